//! Samples with a structure: keys in their containers, tokens with claims, wallets. Every length and checksum is right and
//! every number is random, so that a parser takes them and nobody can use them.

use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};

use super::{BASE62, Dice, LOWER, lines};
use crate::scan::validators::{
    BASE58, BASE58_XRP, annotated_checksums, base36, bech32_checksum, crc16, last_word, product,
    to_base58, to_base58check, word,
};

/// One part of a format. `-json`, `-blank` and `-flat` at the end of a key's name say what stands between its lines.
pub(super) fn part(
    kind: &str,
    count: usize,
    before: &str,
    dice: &mut Dice,
) -> Result<String, String> {
    let (name, between) = match kind {
        _ if kind.ends_with("-json") => (&kind[..kind.len() - 5], Some("\\n")),
        _ if kind.ends_with("-blank") => (&kind[..kind.len() - 6], Some(" ")),
        _ if kind.ends_with("-flat") => (&kind[..kind.len() - 5], Some("")),
        _ => (kind, Some("\n")),
    };
    if let (Some(between), Some(bytes)) = (between, container(name, dice)) {
        return Ok(lines(&bytes, between));
    }
    let url = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    Ok(match kind {
        "jwk" => {
            let [p, q] = [(); 2].map(|()| odd(dice, 64));
            let field = |name: &str, bytes: &[u8]| format!("\"{name}\":\"{}\",", url(bytes));
            let (n, d) = (product(&p, &q), odd(dice, 120));
            format!(
                "{{\"kty\":\"RSA\",{}\"e\":\"AQAB\",{}{}{}\"use\":\"sig\"}}",
                field("n", &n),
                field("d", &d),
                field("p", &p),
                field("q", &q)
            )
        }
        "jwk-ec" => format!(
            "{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{}\",\"y\":\"{}\",\"d\":\"{}\"}}",
            url(&dice.bytes(32)),
            url(&dice.bytes(32)),
            url(&dice.bytes(32))
        ),
        "jwk-okp" => format!(
            "{{\"crv\":\"Ed25519\",\"d\":\"{}\",\"x\":\"{}\",\"kty\":\"OKP\"}}",
            url(&dice.bytes(32)),
            url(&dice.bytes(32))
        ),
        "jwk-oct" => format!(
            "{{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"{}\"}}",
            url(&dice.bytes(32))
        ),
        "paseto" => {
            let claims = format!(
                "{{\"sub\":\"{}\",\"iss\":\"login.corp.internal\",\"exp\":\"2999-01-01T00:00:00+00:00\"}}",
                dice.letters(LOWER, 9)
            );
            format!(
                "v4.public.{}",
                url(&[claims.as_bytes(), &dice.bytes(64)].concat())
            )
        }
        "gitlab-routable" => {
            let routing = format!("o:1\nu:{}", dice.letters(LOWER, 3));
            let length = u8::try_from(routing.len()).unwrap_or(0);
            let payload = url(&[&dice.bytes(16)[..], routing.as_bytes(), &[length]].concat());
            let covered = format!("{payload}.01.{}", base36(payload.len() as u64, 2));
            let whole = format!("{}{covered}", token_before(before));
            let sum = base36(crc32fast::hash(whole.as_bytes()).into(), 7);
            format!("{covered}{sum}")
        }
        "annotated-key" => {
            let random = dice.letters(BASE62, 52);
            let covered = format!("{random}JQQJ99BEAC{}AZCS", dice.letters(BASE62, 16 - 2));
            let covered = &covered[..80.min(covered.len())];
            let sum = &annotated_checksums(covered.as_bytes())[1];
            format!("{covered}{}", &sum[..4])
        }
        "wif" => to_base58check(&[&[0x80][..], &dice.bytes(32), &[1]].concat(), BASE58),
        "xprv" => {
            let head = b"\x04\x88\xad\xe4\x01";
            let key = [&head[..], &dice.bytes(40), &[0], &dice.bytes(32)].concat();
            to_base58check(&key, BASE58)
        }
        "edsk" => to_base58check(&[b"\x0d\x0f\x3a\x07", &dice.bytes(32)[..]].concat(), BASE58),
        "xrp-seed" => to_base58check(&[&[0x21][..], &dice.bytes(16)].concat(), BASE58_XRP),
        "solana" => to_base58(&[&[0xe0][..], &dice.bytes(63)].concat(), BASE58),
        "solana-list" => format!("{:?}", dice.bytes(64)).replace(' ', ""),
        "stellar" => {
            let seed = [&[0x90][..], &dice.bytes(32)].concat();
            BASE32_NOPAD.encode(&[&seed[..], &crc16(&seed)].concat())
        }
        "nats" => {
            // Seed, and user: five bits each, over two bytes.
            let seed = [&[0x90 | 160 >> 5, (160 & 31) << 3][..], &dice.bytes(32)].concat();
            BASE32_NOPAD.encode(&[&seed[..], &crc16(&seed)].concat())
        }
        "bech32" => {
            let five: Vec<u8> = dice
                .bytes((count * 8).div_ceil(5))
                .iter()
                .map(|byte| byte & 31)
                .collect();
            let prefix = token_before(before).trim_end_matches('1').to_owned();
            let data = bech32_checksum(prefix.to_ascii_lowercase().as_bytes(), &five);
            match prefix.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => data.to_ascii_uppercase(),
                false => data,
            }
        }
        "bip39" => {
            let mut words: Vec<usize> = (1..count).map(|_| dice.below(2048)).collect();
            words.push(last_word(&words, dice.below(1 << (11 - count / 3).min(10))));
            let words: Vec<&str> = words.into_iter().map(word).collect();
            words.join(" ")
        }
        "macaroon" => {
            let packet = |field: &str, data: &[u8]| {
                let length = 4 + field.len() + 1 + data.len() + 1;
                [format!("{length:04x}{field} ").as_bytes(), data, b"\n"].concat()
            };
            let id = HEXLOWER.encode(&dice.bytes(16));
            url(&[
                packet("location", b"https://api.corp.internal"),
                packet("identifier", id.as_bytes()),
                packet("signature", &dice.bytes(32)),
            ]
            .concat())
        }
        "lnd-macaroon" => {
            let field = |kind: u8, data: &[u8]| {
                [&[kind, u8::try_from(data.len()).unwrap_or(0)][..], data].concat()
            };
            HEXLOWER.encode(
                &[
                    &[2][..],
                    &field(1, b"lnd"),
                    &field(2, &dice.bytes(60)),
                    &[0, 0],
                    &field(6, &dice.bytes(32)),
                ]
                .concat(),
            )
        }
        "s-expression" => format!(
            "(private-key (rsa (n #00{}#) (e #010001#) (d #{}#)))",
            dice.letters(b"0123456789ABCDEF", 256),
            dice.letters(b"0123456789ABCDEF", 254)
        ),
        "wireguard" => {
            let mut key = dice.bytes(32);
            key[0] &= 0xf8;
            key[31] = key[31] & 0x3f | 0x40;
            BASE64.encode(&key)
        }
        "minisign" => BASE64_NOPAD.encode(&[&b"EdScB2"[..], &dice.bytes(152)].concat()) + "=",
        "signify" => BASE64.encode(&[&b"EdBK\0\0\0\x2a"[..], &dice.bytes(96)].concat()),
        _ => return Err(format!("`{kind}` is no part of a sample")),
    })
}

/// The start of the token that a part goes on with.
fn token_before(before: &str) -> &str {
    let inside = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let start = before
        .rfind(|letter| !inside(letter))
        .map_or(0, |at| at + 1);
    &before[start..]
}

/// An odd number with its highest bit set.
fn odd(dice: &mut Dice, count: usize) -> Vec<u8> {
    let mut bytes = dice.bytes(count);
    if let [first, .., last] = &mut bytes[..] {
        *first |= 0x80;
        *last |= 1;
    }
    bytes
}

/// A DER element.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match length {
        [] => out.push(0),
        [short @ 0..=0x7f] => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

fn number(bytes: &[u8]) -> Vec<u8> {
    match bytes.first() {
        Some(0x80..) => element(2, &[&[0], bytes].concat()),
        _ => element(2, bytes),
    }
}

fn rsa(dice: &mut Dice) -> Vec<u8> {
    let [p, q] = [(); 2].map(|()| odd(dice, 64));
    let n = product(&p, &q);
    let numbers = [
        n,
        vec![1, 0, 1],
        odd(dice, 120),
        p,
        q,
        odd(dice, 60),
        odd(dice, 60),
        odd(dice, 60),
    ];
    let numbers: Vec<Vec<u8>> = [vec![0]]
        .iter()
        .chain(&numbers)
        .map(|bytes| number(bytes))
        .collect();
    sequence(&numbers)
}

const RSA_ID: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const DATA_ID: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/// A piece with its length before it, as SSH and Java write them.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
    [&length[..], bytes].concat()
}

/// The bytes of a container. `None`: no such name.
fn container(name: &str, dice: &mut Dice) -> Option<Vec<u8>> {
    let version = |byte: u8| element(2, &[byte]);
    Some(match name {
        "rsa-key" => rsa(dice),
        "der-key" => sequence(&[version(0), RSA_ID.to_vec(), element(4, &rsa(dice))]),
        "ec-key" => {
            let point = [&[0, 4][..], &dice.bytes(64)].concat();
            sequence(&[
                version(1),
                element(4, &dice.bytes(32)),
                element(0xa0, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
                element(0xa1, &element(3, &point)),
            ])
        }
        "ed25519-key" => {
            let seed = element(4, &dice.bytes(32));
            sequence(&[
                version(0),
                element(0x30, b"\x06\x03\x2b\x65\x70"),
                element(4, &seed),
            ])
        }
        "dsa-key" => {
            let numbers = [128, 20, 127, 127, 19].map(|count| number(&odd(dice, count)));
            sequence(&[&[version(0)][..], &numbers].concat())
        }
        "encrypted-key" => {
            let scheme = element(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d");
            let how = sequence(&[scheme, element(0x30, &dice.bytes(60))]);
            sequence(&[how, element(4, &dice.bytes(320))])
        }
        "openssh-key" | "openssh-key-encrypted" => {
            let public = dice.bytes(32);
            let blob = [counted(b"ssh-ed25519"), counted(&public)].concat();
            let check = dice.bytes(4);
            let pair = [dice.bytes(32), public.clone()].concat();
            let private = [
                check.clone(),
                check,
                blob.clone(),
                counted(&pair),
                counted(b"a@b"),
            ];
            let mut private = private.concat();
            for pad in 1..=(8 - private.len() % 8) % 8 {
                private.push(u8::try_from(pad).unwrap_or(0));
            }
            let (cipher, kdf): (&[u8], &[u8]) = match name {
                "openssh-key" => (b"none", b"none"),
                _ => (b"aes256-ctr", b"bcrypt"),
            };
            let mut options = Vec::new();
            if cipher != b"none" {
                options = [counted(&dice.bytes(16)), vec![0, 0, 0, 16]].concat();
                private = dice.bytes(160);
            }
            [
                b"openssh-key-v1\0".to_vec(),
                counted(cipher),
                counted(kdf),
                counted(&options),
                vec![0, 0, 0, 1],
                counted(&blob),
                counted(&private),
            ]
            .concat()
        }
        "pgp-key" | "pgp-key-encrypted" => {
            let mut number = |count: usize| {
                let bits = u16::try_from(count * 8).unwrap_or(0).to_be_bytes();
                [&bits[..], &odd(dice, count)].concat()
            };
            let public = [vec![4, 0x60, 0, 0, 1, 1], number(128), vec![0, 17, 1, 0, 1]].concat();
            let secret = match name {
                "pgp-key" => [
                    vec![0],
                    number(126),
                    number(64),
                    number(64),
                    number(64),
                    vec![1, 2],
                ]
                .concat(),
                // Cipher, iterated and salted S2K, then what no one can read.
                _ => [vec![254, 9, 3, 8], number(340)].concat(),
            };
            let body = [public, secret].concat();
            let length = u16::try_from(body.len()).unwrap_or(0).to_be_bytes();
            [&[0x95][..], &length, &body].concat()
        }
        "ssh2-key" => {
            let kind = counted(b"if-modn{sign{rsa-pkcs1-sha1},encrypt{rsa-pkcs1v2-oaep}}");
            let rest = [kind, counted(b"3des-cbc"), counted(&dice.bytes(320))].concat();
            let total = u32::try_from(rest.len() + 8).unwrap_or(0).to_be_bytes();
            [&b"\x3f\x6f\xf9\xeb"[..], &total, &rest].concat()
        }
        "pkcs12" => {
            let bag_id = element(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02");
            let bag = sequence(&[bag_id, element(0xa0, &element(0x30, &dice.bytes(300)))]);
            let data = |content: &[u8]| {
                let content = element(0xa0, &element(4, content));
                element(0x30, &[DATA_ID, &content].concat())
            };
            let safe = sequence(&[data(&sequence(&[bag]))]);
            sequence(&[version(3), data(&safe), element(0x30, &dice.bytes(50))])
        }
        "java-keystore" => [
            b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x05mykey".to_vec(),
            dice.bytes(8),
            counted(&element(0x30, &dice.bytes(300))),
            vec![0; 4],
            dice.bytes(20),
        ]
        .concat(),
        _ => return None,
    })
}
