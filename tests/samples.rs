//! What `{{…}}` stands for in the test data: bytes that no text file can hold well, and secrets, which are made
//! from their format at run time so that none stands in the repository.

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::Write as _;

/// Replaces every `{{…}}` in `text`. Secrets that were made are added to `secrets`: the remote must never show one.
pub(crate) fn expand(text: &str, secrets: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        out.extend_from_slice(&rest.as_bytes()[..start]);
        let end = rest[start..].find("}}").expect("`{{` needs `}}`") + start;
        out.extend(sample(&rest[start + 2..end], secrets));
        rest = &rest[end + 2..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// One sample: a name, and arguments after colons.
fn sample(text: &str, secrets: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    let mut secret = |value: Vec<u8>| {
        secrets.push(value.clone());
        value
    };
    match name {
        "github-pat" => secret(github_pat(argument).into_bytes()),
        "github-pat-reversed" => secret(github_pat(argument).bytes().rev().collect()),
        "aws-secret-key" => secret(characters(argument, 40, BASE64).into_bytes()),
        "aws-key-id" => secret(format!("AKIA{}", characters(argument, 16, BASE32)).into_bytes()),
        // The ids that Amazon's own documentation uses: no secret.
        "aws-example-key-id" => b"AKIA".iter().chain(b"IOSFODNN7EXAMPLE").copied().collect(),
        "aws-example-secret-key" => {
            [&b"wJalrXUtnFEMI/K7MDENG"[..], b"/bPxRfiCYEXAMPLEKEY"].concat()
        }
        "stripe-test-key" => {
            secret(format!("sk_test_{}", characters(argument, 99, BASE62)).into_bytes())
        }
        "stripe-live-restricted-key" => {
            secret(format!("rk_live_{}", characters(argument, 24, BASE62)).into_bytes())
        }
        "private-key" => secret(private_key(argument).into_bytes()),
        "utf16" => secret(
            github_pat(argument)
                .bytes()
                .flat_map(|byte| [byte, 0])
                .collect(),
        ),
        "base64" => data_encoding::BASE64
            .encode(github_pat(argument).as_bytes())
            .into_bytes(),
        "gzip" => encoded(
            "gzip",
            format!("token = {}\n", github_pat(argument)).into_bytes(),
        ),
        // `packed:ENCODINGS:SEED`: a line with a token through one encoding after the other, the innermost first.
        "packed" => {
            let (encodings, seed) = argument.split_once(':').unwrap();
            let token = github_pat(seed);
            secret(token.clone().into_bytes());
            let line = format!("the token is {token} until Friday\n").into_bytes();
            encodings
                .split(' ')
                .fold(line, |text, name| encoded(name, text))
        }
        // `encoded:ENCODINGS:TEXT`: the same with a text that holds no secret.
        "encoded" => {
            let (encodings, text) = argument.split_once(':').unwrap();
            let text = text.replace("\\n", "\n").into_bytes();
            encodings
                .split(' ')
                .fold(text, |text, name| encoded(name, text))
        }
        // `part:SEED:N:OF`: the N-th of so many pieces of a token.
        "part" => {
            let [seed, number, of] = argument.split(':').collect::<Vec<_>>()[..] else {
                panic!("part:SEED:N:OF");
            };
            let token = github_pat(seed);
            secret(token.clone().into_bytes());
            let (number, of): (usize, usize) = (number.parse().unwrap(), of.parse().unwrap());
            let length = token.len().div_ceil(of);
            token
                .as_bytes()
                .chunks(length)
                .nth(number - 1)
                .unwrap()
                .to_vec()
        }
        // `github-pat-with:WORD:SEED`: a token, with a valid checksum, that happens to contain a word.
        "github-pat-with" => {
            let (word, seed) = argument.split_once(':').unwrap();
            let mut body = characters(seed, 30 - word.len(), BASE62);
            body.insert_str(9, word);
            secret(github_token(&body).into_bytes())
        }
        // `bytes:ENCODING:COUNT:SEED`: random bytes, as sums, ids and images are.
        "bytes" => {
            let [encoding, count, seed] = argument.split(':').collect::<Vec<_>>()[..] else {
                panic!("bytes:ENCODING:COUNT:SEED");
            };
            let mut dice = Dice::new(seed);
            let random = (0..count.parse().unwrap()).map(|_| dice.roll(256) as u8);
            encoded(encoding, random.collect())
        }
        // Invisible text: each ASCII character as its twin in the Unicode tag block.
        "tag-text" => argument
            .chars()
            .map(|c| char::from_u32(0xE_0000 + u32::from(c)).unwrap())
            .collect::<String>()
            .into_bytes(),
        "u" => argument
            .split(' ')
            .map(|point| char::from_u32(u32::from_str_radix(point, 16).unwrap()).unwrap())
            .collect::<String>()
            .into_bytes(),
        "hex" => data_encoding::HEXLOWER.decode(argument.as_bytes()).unwrap(),
        "repeat" => {
            let (count, text) = argument.split_once(':').unwrap();
            text.repeat(count.parse().unwrap()).into_bytes()
        }
        "lines" => {
            let count: usize = argument.parse().unwrap();
            (1..=count)
                .map(|n| format!("line {n}\n"))
                .collect::<String>()
                .into_bytes()
        }
        "random" => {
            let mut dice = Dice::new("random");
            (0..argument.parse().unwrap())
                .map(|_| dice.roll(256) as u8)
                .collect()
        }
        "ringfence" => crate::world::RINGFENCE.into(),
        _ => panic!("unknown sample {{{{{text}}}}}"),
    }
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A GitHub personal access token with a valid checksum. The same seed gives the same token.
pub(crate) fn github_pat(seed: &str) -> String {
    github_token(&characters(seed, 30, BASE62))
}

fn github_token(body: &str) -> String {
    let mut sum = crc32fast::hash(body.as_bytes()) as usize;
    let mut check = [b'0'; 6];
    for digit in check.iter_mut().rev() {
        *digit = BASE62[sum % 62];
        sum /= 62;
    }
    format!("ghp_{body}{}", std::str::from_utf8(&check).unwrap())
}

/// One encoding of a text.
fn encoded(name: &str, text: Vec<u8>) -> Vec<u8> {
    let each = |escape: &dyn Fn(u8) -> String| -> Vec<u8> {
        text.iter()
            .map(|byte| escape(*byte))
            .collect::<String>()
            .into_bytes()
    };
    match name {
        "raw" => text,
        "base64" => data_encoding::BASE64.encode(&text).into_bytes(),
        "base64url" => data_encoding::BASE64URL_NOPAD.encode(&text).into_bytes(),
        "mime" => {
            let letters = data_encoding::BASE64.encode(&text);
            let lines: Vec<&[u8]> = letters.as_bytes().chunks(76).collect();
            lines.join(&b"\r\n"[..])
        }
        "hex" => data_encoding::HEXLOWER.encode(&text).into_bytes(),
        "HEX" => data_encoding::HEXUPPER.encode(&text).into_bytes(),
        "percent" => each(&|byte| format!("%{byte:02X}")),
        "backslash-x" => each(&|byte| format!("\\x{byte:02x}")),
        "backslash-u" => each(&|byte| format!("\\u{byte:04x}")),
        "html" => each(&|byte| format!("&#{byte};")),
        "crlf" => String::from_utf8(text)
            .unwrap()
            .replace('\n', "\r\n")
            .into_bytes(),
        "utf16le" => utf16(&text, u16::to_le_bytes),
        "utf16be" => utf16(&text, u16::to_be_bytes),
        "bom-utf16le" => [b"\xff\xfe".to_vec(), utf16(&text, u16::to_le_bytes)].concat(),
        "bom-utf16be" => [b"\xfe\xff".to_vec(), utf16(&text, u16::to_be_bytes)].concat(),
        "gzip" => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(&text).unwrap();
            packer.finish().unwrap()
        }
        "zlib" => {
            let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
            packer.write_all(&text).unwrap();
            packer.finish().unwrap()
        }
        "zip" => zip("notes/token.txt", &text),
        // An Office document and a Java archive are zip files with names of their own.
        "docx" => zip("word/document.xml", &text),
        "jar" => zip("META-INF/settings.properties", &text),
        "tar" => tar("notes/token.txt", &text),
        _ => panic!("unknown encoding {name}"),
    }
}

fn utf16(text: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::str::from_utf8(text)
        .unwrap()
        .encode_utf16()
        .flat_map(bytes)
        .collect()
}

/// An archive with one compressed entry, as zip programs write it.
fn zip(name: &str, text: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).unwrap();
    let data = packer.finish().unwrap();
    let four = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    // Version, flags, method, time, date, checksum, sizes, lengths of name and extra field.
    let mut about = b"\x14\0\0\0\x08\0\0\0\x21\x5a".to_vec();
    about.extend(crc32fast::hash(text).to_le_bytes());
    about.extend(four(data.len()));
    about.extend(four(text.len()));
    about.extend(four(name.len()));
    let mut archive = b"PK\x03\x04".to_vec();
    archive.extend(&about);
    archive.extend(name.bytes());
    archive.extend(&data);
    let directory = archive.len();
    archive.extend(b"PK\x01\x02\x14\0");
    archive.extend(&about);
    archive.extend([0; 14]);
    archive.extend(name.bytes());
    let size = archive.len() - directory;
    archive.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    archive.extend(four(size));
    archive.extend(four(directory));
    archive.extend([0; 2]);
    archive
}

/// An archive with one file, as tar writes it.
fn tar(name: &str, text: &[u8]) -> Vec<u8> {
    let mut head = [0; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..108].copy_from_slice(b"0000644\0");
    head[124..136].copy_from_slice(format!("{:011o}\0", text.len()).as_bytes());
    head[136..148].copy_from_slice(b"14000000000\0");
    head[148..156].fill(b' ');
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    archive.extend(text);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// The text around a private key, with random content: enough for a format check, of no use as a key.
fn private_key(seed: &str) -> String {
    let label = ["OPENSSH", "PRIVATE", "KEY"].join(" ");
    let mut key = b"openssh-key-v1\0".to_vec();
    key.extend(characters(seed, 400, BASE64).bytes());
    let lines: Vec<_> = data_encoding::BASE64
        .encode(&key)
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----",
        lines.join("\n")
    )
}

fn characters(seed: &str, count: usize, alphabet: &[u8]) -> String {
    let mut dice = Dice::new(seed);
    (0..count)
        .map(|_| char::from(alphabet[dice.roll(alphabet.len())]))
        .collect()
}

/// Repeatable random numbers (splitmix64): test data must be the same in every run.
struct Dice(u64);

impl Dice {
    fn new(seed: &str) -> Dice {
        Dice(u64::from(crc32fast::hash(seed.as_bytes())) + 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        usize::try_from(x % sides as u64).unwrap()
    }
}
