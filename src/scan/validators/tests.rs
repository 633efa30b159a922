//! Vectors of the formats' own specifications, keys in every line form, and bytes that must break nothing.

use super::*;
use crate::scan::{Dice, make_sample};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use proptest::prelude::*;

fn made(format: &str) -> String {
    make_sample(format, &mut Dice::new(3)).unwrap()
}

fn whole(
    judge: impl Fn(&[u8], Range<usize>) -> (Judgement, Range<usize>),
    text: &str,
) -> Judgement {
    judge(text.as_bytes(), 0..text.len()).0
}

#[test]
fn github_checksum_of_a_revoked_documented_token() {
    // Body and checksum of the token in GitHub's own write-up, without its prefix.
    assert_eq!(base62_crc32(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), *b"0mLq17");
}

#[test]
fn bech32_of_its_own_specifications() {
    for valid in [
        // BIP 173, then BIP 350.
        "A12UEL5L",
        "a12uel5l",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
        "A1LQFN3A",
        "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    ] {
        assert!(checksums::has_bech32(valid.as_bytes()), "{valid}");
    }
    for invalid in [
        "A12uEL5L",
        "a12uel5m",
        "1pzry9x0s0muk",
        "x1b4n0q5v",
        "li1dgmt3",
        "",
    ] {
        assert!(!checksums::has_bech32(invalid.as_bytes()), "{invalid}");
    }
    assert_eq!(bech32_checksum(b"a", &[]), "2uel5l");
}

#[test]
fn base58_of_its_own_specification() {
    // draft-msporny-base58.
    for (plain, letters) in [
        (b"Hello World!".to_vec(), "2NEpo7TZRRrLZSi2U"),
        (
            b"The quick brown fox jumps over the lazy dog.".to_vec(),
            "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
        ),
        (vec![0, 0, 0x28, 0x7f, 0xb4, 0xcd], "11233QC4"),
    ] {
        assert_eq!(to_base58(&plain, BASE58), letters);
        assert_eq!(
            checksums::from_base58(letters.as_bytes(), BASE58),
            Some(plain)
        );
    }
}

#[test]
fn other_checksums() {
    // The check value of CRC-16/XMODEM; Luhn's of ISO 7812.
    assert_eq!(crc16(b"123456789"), [0xc3, 0x31]);
    assert!(checksums::has_luhn(b"7992 7398-713"));
    assert!(!checksums::has_luhn(b"79927398710"));
    assert!(!checksums::has_luhn(b"0000"));
    assert_eq!(base36(35, 2), "0z");
    assert_eq!(base36(36 * 36, 2), "100");
    // Vectors of Marvin32 that its reference implementation is tested with, folded to 32 bits.
    let folded = |sum: u64| (sum >> 32) as u32 ^ (sum & 0xffff_ffff) as u32;
    for (seed, text, sum) in [
        (
            0xd53c_d9ce_cd08_93b7,
            b"abc".as_slice(),
            0x22c7_4339_4927_69bf,
        ),
        (
            0x0ddd_deee_efff_f000,
            b"abcdefghijklmnopqrstuvwxyz",
            0xa128_eb7e_7260_aca2,
        ),
        (0x004f_b61a_001b_dbcc, b"", 0x30ed_35c1_00cd_3c7d),
        (
            0x004f_b61a_001b_dbcc,
            &[134, 66, 220, 89],
            0x7008_f2e8_7e9c_f556,
        ),
    ] {
        assert_eq!(checksums::marvin32(text, seed), folded(sum));
    }
}

#[test]
fn words_of_bip_39() {
    assert_eq!(
        [word(0), word(1), word(2047)],
        ["abandon", "ability", "zoo"]
    );
    let words = || (0..2048).map(word);
    assert!(words().zip(words().skip(1)).all(|(one, next)| one < next));
    // The vectors of the standard: entropy of one byte over and over.
    let vector = |byte: u64, bytes: usize| -> String {
        let bits: Vec<bool> = (0..bytes * 8)
            .map(|at| byte >> (7 - at % 8) & 1 == 1)
            .collect();
        let number = |bits: &[bool]| bits.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit));
        let mut numbers: Vec<usize> = bits.chunks_exact(11).map(number).collect();
        let left = bits.chunks_exact(11).remainder();
        numbers.push(last_word(&numbers, number(left)));
        numbers.into_iter().map(word).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(vector(0, 16), format!("{}about", "abandon ".repeat(11)));
    assert_eq!(vector(0xff, 32), format!("{}vote", "zoo ".repeat(23)));
    assert_eq!(
        vector(0x7f, 16),
        "legal winner thank year wave sausage worth useful legal winner thank yellow"
    );
    let told = |text: &str| wallets::mnemonic(text.as_bytes(), 0..8).0;
    // What a specification publishes is nobody's wallet.
    for (byte, bytes) in [(0, 16), (0x7f, 24), (0x80, 32)] {
        assert_eq!(
            told(&format!("mnemonic: {}", vector(byte, bytes))),
            Judgement::Doubtful
        );
    }
    for count in [12, 15, 18, 21, 24] {
        let phrase = made(&format!("{{bip39:{count}}}"));
        for text in [
            format!("mnemonic: {phrase}\n"),
            format!("mnemonic=\"{}\"", phrase.to_uppercase()),
            format!("mnemonic of this wallet is \"{phrase}\", thanks"),
            format!("mnemonic: [\"{}\"]", phrase.replace(' ', "\", \"")),
            format!("mnemonic:\n{}", phrase.replace(' ', "\n")),
            format!("mnemonic\": \"{}\\n", phrase.replace(' ', "\\n")),
            {
                let numbered = phrase.split(' ').enumerate();
                let lines: Vec<String> = numbered
                    .map(|(at, word)| format!("{}. {word}", at + 1))
                    .collect();
                format!("mnemonic:\n{}", lines.join("\n"))
            },
        ] {
            assert_eq!(told(&text), Judgement::Proved, "{text}");
        }
    }
    let wrong = format!("mnemonic: {}absent", "abandon ".repeat(11));
    assert_eq!(told(&wrong), Judgement::Doubtful);
    assert_eq!(told("mnemonic: abandon ability able"), Judgement::Refuted);
    assert_eq!(told("mnemonic"), Judgement::Refuted);
}

#[test]
fn accounts_of_development_chains_are_only_possible() {
    // The first account of Hardhat and Anvil, in their documentation.
    let known = [
        "ac0974bec39a17e36ba4a6b4d238ff94",
        "4bacb478cbed5efcae784d7bf4f2ff80",
    ]
    .concat();
    assert_eq!(
        wallets::hex_key(format!("0x{known}").as_bytes()),
        Judgement::Doubtful
    );
    assert_eq!(
        wallets::hex_key(made("{hex:64}").as_bytes()),
        Judgement::Plausible
    );
    let one = format!("{:064x}", 1);
    assert_eq!(wallets::hex_key(one.as_bytes()), Judgement::Doubtful);
    assert_eq!(
        wallets::hex_key("f".repeat(64).as_bytes()),
        Judgement::Doubtful
    );
    assert_eq!(wallets::hex_key(b"0x12"), Judgement::Refuted);
}

#[test]
fn wallets_prove_themselves_and_one_wrong_letter_does_not() {
    type Judge = fn(&[u8]) -> Judgement;
    let all: [(&str, Judge, Judgement); 9] = [
        ("{wif}", wallets::wif, Judgement::Refuted),
        ("{xprv}", wallets::extended_key, Judgement::Doubtful),
        ("{edsk}", wallets::tezos, Judgement::Doubtful),
        ("{xrp-seed}", wallets::xrp_seed, Judgement::Refuted),
        ("{stellar}", wallets::stellar, Judgement::Refuted),
        ("{nats}", wallets::nkey, Judgement::Refuted),
        ("nsec1{bech32:32}", wallets::bech32, Judgement::Doubtful),
        (
            "AGE-SECRET-KEY-1{bech32:32}",
            wallets::bech32,
            Judgement::Doubtful,
        ),
        ("addr_sk1{bech32:32}", wallets::bech32, Judgement::Doubtful),
    ];
    for (format, judge, otherwise) in all {
        let key = made(format);
        assert_eq!(judge(key.as_bytes()), Judgement::Proved, "{format}");
        let mut wrong = key.into_bytes();
        let at = wrong.len() - 9;
        wrong[at] = match wrong[at] {
            b'Q' => b'T',
            b'q' => b't',
            upper if upper.is_ascii_uppercase() => b'Q',
            _ => b'q',
        };
        assert_eq!(judge(&wrong), otherwise, "{format}");
    }
    assert!(made("{xprv}").starts_with("xprv") && made("{wif}").len() == 52);
    assert!(made("{edsk}").starts_with("edsk") && made("{edsk}").len() == 54);
    assert!(made("{nats}").starts_with("SU") && made("{nats}").len() == 58);
    assert_eq!(made("{stellar}").len(), 56);
    for pair in ["{solana}", "{solana-list}"] {
        assert_eq!(wallets::solana(made(pair).as_bytes()), Judgement::Plausible);
    }
    // The genesis account of the XRP Ledger: its seed is the hash of `masterpassphrase`.
    assert_eq!(
        wallets::xrp_seed(b"snoPBrXtMeMyMHUVTgbuqAfg1SUTb"),
        Judgement::Proved
    );
}

#[test]
fn a_routable_token_of_gitlab() {
    let token = made("glpat-{gitlab-routable}");
    assert_eq!(tokens::gitlab_routable(token.as_bytes()), Judgement::Proved);
    let wrong = token.replace(".01.", ".02.");
    assert_eq!(
        tokens::gitlab_routable(wrong.as_bytes()),
        Judgement::Doubtful
    );
    assert_eq!(tokens::gitlab_routable(b"glpat-abc"), Judgement::Plausible);
}

#[test]
fn keys_of_azure() {
    let key = made("{annotated-key}");
    assert_eq!(key.len(), 84);
    assert_eq!(azure::annotated_key(key.as_bytes()), Judgement::Proved);
    let sas = |se: &str, sig: &str| {
        let text =
            format!("https://x.blob.core.windows.net/c?sv=2022-11-02&se={se}&sp=r&sig={sig}&x=1");
        let from = text.find("sig=").unwrap() + 4;
        azure::shared_access(text.as_bytes(), from..from + sig.len())
    };
    let mac = made("{base64-bytes:32}")
        .replace('+', "%2B")
        .replace('/', "%2f")
        .replace('=', "%3D");
    for (se, told) in [
        ("2999-01-01T00:00:00Z", Judgement::Plausible),
        ("2999-01-01T00%3A00%3A00Z", Judgement::Plausible),
        ("2019-01-01T00:00Z", Judgement::Doubtful),
        ("2019-01-01", Judgement::Doubtful),
        ("1500000000", Judgement::Doubtful),
        ("soon", Judgement::Plausible),
    ] {
        assert_eq!(sas(se, &mac), told, "{se}");
    }
    assert_eq!(sas("2999-01-01", "abc%"), Judgement::Doubtful);
}

#[test]
fn macaroons() {
    assert_eq!(
        whole(tokens::macaroon, &made("{macaroon}")),
        Judgement::Proved
    );
    assert_eq!(
        tokens::hex_macaroon(made("{lnd-macaroon}").as_bytes()),
        Judgement::Proved
    );
    assert_eq!(
        whole(tokens::macaroon, "MDAxY2xvY2F0aW9uIGh0dHA"),
        Judgement::Refuted
    );
}

/// A token with these claims, signed with a secret.
fn token(head: &str, claims: &str, secret: Option<&str>) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let signed = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(head.as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    );
    let mac = match secret {
        Some(secret) => {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(signed.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        None => BASE64.decode(made("{base64-bytes:32}").as_bytes()).unwrap(),
    };
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac))
}

#[test]
fn claims_of_json_web_tokens() {
    let told = |text: &str| claims::json_web_token(text.as_bytes(), 0..15).0;
    let head = r#"{"alg":"HS256","typ":"JWT"}"#;
    for (claims, judgement) in [
        (r#"{"sub":"u1","exp":32503680000}"#, Judgement::Proved),
        (r#"{"sub":"u1","exp":32503680000.5}"#, Judgement::Proved),
        (
            r#"{"sub":"u1","iss":"https://login.corp.internal/"}"#,
            Judgement::Proved,
        ),
        (
            r#"{"iss":"supabase","role":"service_role","exp":32503680000}"#,
            Judgement::Proved,
        ),
        (r#"{"sub":"u1"}"#, Judgement::Plausible),
        (
            r#"{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:a:b"}"#,
            Judgement::Plausible,
        ),
        (r#"{"sub":"u1","exp":1300819380}"#, Judgement::Doubtful),
        (
            r#"{"iss":"supabase","role":"anon","exp":32503680000}"#,
            Judgement::Doubtful,
        ),
        (
            r#"{"iss":"https://auth.example.com/","exp":32503680000}"#,
            Judgement::Doubtful,
        ),
        (
            r#"{"iss":"http://localhost:8080/realms/a","exp":32503680000}"#,
            Judgement::Doubtful,
        ),
        (
            r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#,
            Judgement::Refuted,
        ),
        (
            r#"{"iss":"joe","exp":1300819380,"http://example.com/is_root":true}"#,
            Judgement::Refuted,
        ),
        ("[1]", Judgement::Refuted),
    ] {
        assert_eq!(told(&token(head, claims, None)), judgement, "{claims}");
    }
    let in_force = r#"{"sub":"u1","exp":32503680000}"#;
    for secret in ["secret", "", "your-256-bit-secret"] {
        assert_eq!(
            told(&token(head, in_force, Some(secret))),
            Judgement::Doubtful,
            "{secret}"
        );
    }
    assert_eq!(
        told(&token(head, in_force, Some("no word of a tutorial 81"))),
        Judgement::Proved
    );
    // A signature of another length; none at all; a name without one.
    assert_eq!(
        told(&token(r#"{"alg":"RS256"}"#, in_force, None)),
        Judgement::Plausible
    );
    assert_eq!(
        told(&token(r#"{"alg":"none"}"#, in_force, None)),
        Judgement::Doubtful
    );
    assert_eq!(
        told(&token(r#"{"typ":"JWT"}"#, in_force, None)),
        Judgement::Refuted
    );
    let whole = token(head, in_force, None);
    assert_eq!(told(whole.rsplit_once('.').unwrap().0), Judgement::Refuted);
    // Encrypted: five parts, all of them the value.
    let jwe = format!(
        "{}.aa.bb.cc.dd",
        BASE64URL_NOPAD.encode(br#"{"alg":"dir","enc":"A256GCM"}"#)
    );
    let (judgement, place) = claims::json_web_token(jwe.as_bytes(), 0..15);
    assert_eq!((judgement, place), (Judgement::Doubtful, 0..jwe.len()));
}

#[test]
fn claims_of_paseto() {
    let public = |claims: &str, mac: usize| {
        let body = [claims.as_bytes(), &vec![7; mac]].concat();
        claims::paseto(format!("v4.public.{}", BASE64URL_NOPAD.encode(&body)).as_bytes())
    };
    assert_eq!(
        public(r#"{"data":"x","exp":"2999-01-01T00:00:00+00:00"}"#, 64),
        Judgement::Proved
    );
    // The payload of the specification's own vectors.
    assert_eq!(
        public(
            r#"{"data":"this is a signed message","exp":"2022-01-01T00:00:00+00:00"}"#,
            64
        ),
        Judgement::Doubtful
    );
    assert_eq!(public(r#"{"data":"x"}"#, 64), Judgement::Plausible);
    assert_eq!(public(r#"{"data":"x"}"#, 48), Judgement::Refuted);
    assert_eq!(
        claims::paseto(made("v4.local.{base64url-bytes:120}").as_bytes()),
        Judgement::Plausible
    );
    assert_eq!(claims::paseto(b"v4.local.abcd"), Judgement::Refuted);
    assert_eq!(
        claims::paserk(made("k4.secret.{base64url-bytes:64}").as_bytes()),
        Judgement::Plausible
    );
    assert_eq!(
        claims::paserk(made("k4.secret.{base64url-bytes:63}").as_bytes()),
        Judgement::Refuted
    );
}

/// Every validator.
fn judge_all(text: &[u8], value: Range<usize>) {
    let mut rule = *crate::scan::BUILTIN.rule(0);
    for &(name, validator) in Validator::ALL {
        rule.validator = validator;
        let (_, place) = judge(&rule, text, value.clone(), value.clone());
        assert!(
            place.start <= place.end && place.end <= text.len(),
            "{name}"
        );
    }
}

#[test]
fn rule_files_name_every_validator() {
    let names: Vec<&str> = Validator::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, crate::scan::compile::VALIDATORS);
    for &(name, validator) in Validator::ALL {
        assert_eq!(validator.name(), name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_break_a_validator(text in prop::collection::vec(any::<u8>(), 24..400), from in 0usize..12, length in 4usize..12) {
        judge_all(&text, from..from + length);
    }

    #[test]
    fn nothing_that_is_nearly_right_breaks_a_validator(which in 0usize..4000, seed in any::<u64>(), cut in 1usize..900, at in 0usize..900, byte in any::<u8>()) {
        let rules = &crate::scan::BUILTIN;
        let rule = rules.rule(which % rules.len());
        let sample = make_sample(rule.about().examples[0], &mut Dice::new(seed)).unwrap();
        let mut text = BASE64.decode(sample.as_bytes()).unwrap_or(sample.into_bytes());
        text.truncate(cut.max(20));
        text.resize(text.len().max(20), byte);
        let at = at % text.len();
        text[at] = byte;
        let ends = [16.min(text.len()), text.len()];
        for end in ends {
            judge_all(&text, 0..end);
        }
    }
}
