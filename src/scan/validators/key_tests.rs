//! Key containers: every form of lines, published keys, and what is no whole key.

use super::*;
use crate::scan::{Dice, make_sample};
use data_encoding::{BASE64, HEXLOWER};

fn made(format: &str) -> String {
    make_sample(format, &mut Dice::new(3)).unwrap()
}

#[test]
fn published_keys_are_only_possible() {
    // RFC 8037, appendix A.1, which is the first key of RFC 8032 too; RFC 7517, A.2.
    let okp = ["nWGxne_9WmC6hEr0kuws", "xERJxWl7MmkZcDusAxyuf2A"].concat();
    let text = format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{okp}"}}"#);
    assert_eq!(
        jwk::json_web_key(text.as_bytes(), 2..11).0,
        Judgement::Doubtful
    );
    let ec = ["870MB6gfuTJ4HtUnUvYM", "yJpr5eUZNP4Bk43bVdj3eAE"].concat();
    let text = format!(r#"{{"kty":"EC","crv":"P-256","d":"{ec}","kid":"1"}}"#);
    assert_eq!(
        jwk::json_web_key(text.as_bytes(), 2..11).0,
        Judgement::Doubtful
    );
    // The same number in another container.
    let seed = HEXLOWER
        .decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        .unwrap();
    let key = [
        b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(),
        &seed,
    ]
    .concat();
    assert_eq!(der::private_key(&key).judgement(), Judgement::Doubtful);
    // No other number is.
    let key = [&key[..16], &[0x5b; 31][..], &[1]].concat();
    assert_eq!(der::private_key(&key), material::Content::Plain(&key[16..]));
}

#[test]
fn members_of_a_json_web_key() {
    let judge = |text: &str| {
        let at = text.find("kty").unwrap();
        let (judgement, place) = jwk::json_web_key(text.as_bytes(), at..at + 3);
        (judgement, text[place].len())
    };
    for (format, told) in [
        ("{jwk}", Judgement::Proved),
        ("{jwk-ec}", Judgement::Proved),
        ("{jwk-okp}", Judgement::Proved),
        ("{jwk-oct}", Judgement::Plausible),
    ] {
        let key = made(format);
        let spaced = key.replace(':', " : ").replace(',', ",\n  ");
        let escaped = key.replace('"', "\\\"");
        let literal = key
            .replace("\"kty\"", "kty")
            .replace("\"d\"", "d")
            .replace('"', "'");
        let set = format!("{{\"keys\":[{{\"kty\":\"RSA\"}},{key}]}}");
        for text in [&key, &spaced, &escaped] {
            assert_eq!(judge(text).0, told, "{text}");
        }
        if format != "{jwk-oct}" {
            assert_eq!(judge(&literal).0, told, "{literal}");
        }
        let at = set.rfind("\"kty\"").unwrap();
        assert_eq!(jwk::json_web_key(set.as_bytes(), at..at + 5).0, told);
    }
    let public = made("{jwk-ec}").replace("\"d\"", "\"kid\"");
    assert_eq!(judge(&public).0, Judgement::Refuted);
    assert_eq!(
        judge("{\"kty\":\"EC\",\"d\":\"${KEY}\"}").0,
        Judgement::Refuted
    );
    assert_eq!(judge("kty").0, Judgement::Refuted);
}

/// The judgement on an armour, and whether the value goes to its end.
fn armoured(text: &str) -> (Judgement, bool) {
    let from = text.find("-----BEGIN").unwrap();
    let to = from + text[from + 5..].find("-----").unwrap() + 10;
    let (judgement, place) = armour::private_key(text.as_bytes(), from..to);
    (judgement, text[place].ends_with("KEY-----"))
}

#[test]
fn every_form_of_lines() {
    for (label, part) in [
        ("RSA ", "rsa-key"),
        ("", "der-key"),
        ("EC ", "ec-key"),
        ("OPENSSH ", "openssh-key"),
    ] {
        let pem = made(&format!(
            "-----BEGIN {label}PRIVATE KEY-----\n{{{part}}}\n-----END {label}PRIVATE KEY-----"
        ));
        let lines: Vec<&str> = pem.lines().collect();
        let each = |before: &str, after: &str| -> String {
            lines
                .iter()
                .map(|line| format!("{before}{line}{after}"))
                .collect()
        };
        for (name, text) in [
            ("as it is", pem.clone()),
            ("CRLF", pem.replace('\n', "\r\n")),
            ("written out", pem.replace('\n', "\\n")),
            ("written out twice", pem.replace('\n', "\\\\n")),
            ("CRLF written out", pem.replace('\n', "\\r\\n")),
            ("PHP's JSON", pem.replace('/', "\\/").replace('\n', "\\n")),
            ("blanks", pem.replace('\n', " ")),
            ("nothing", pem.replace('\n', "")),
            ("indented", format!("key: |\n{}", each("    ", "\n"))),
            ("tabs", each("\t\t", "\n")),
            ("quoted", each("    \"", "\\n\"\n")),
            ("Java", each("  \"", "\\n\" +\n")),
            ("JavaScript", each("  '", "\\n' + \n")),
            ("one line of Java", each("\"", "\\n\" + ")),
            ("plus first", each("  + \"", "\\n\"\n")),
            ("PHP", each("  . \"", "\\n\"\n")),
            ("Basic", each("  \"", "\" & vbCrLf & _\n")),
            ("a list", format!("[{}]", each("\n  \"", "\","))),
            ("continued", each("", "\\\n")),
            ("a comment", each("// ", "\n")),
            ("a shell comment", each("# ", "\n")),
            ("a mail", each("> ", "\n")),
            ("a box", each(" * ", "\n")),
            ("a patch", format!("@@\n{}", each("+", "\n"))),
        ] {
            assert_eq!(
                armoured(&text),
                (Judgement::Proved, true),
                "{part} {name}\n{text}"
            );
        }
    }
}

#[test]
fn what_is_no_whole_key() {
    let pem = |label: &str, part: &str| {
        made(&format!(
            "-----BEGIN {label} KEY-----\n{part}\n-----END {label} KEY-----\n"
        ))
    };
    for (label, part) in [
        ("ENCRYPTED PRIVATE", "{encrypted-key}"),
        ("OPENSSH PRIVATE", "{openssh-key-encrypted}"),
        (
            "RSA PRIVATE",
            "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{HEX:32}\n\n{base64:640}",
        ),
        (
            "RSA PRIVATE",
            "Proc-Type: 4,ENCRYPTED DEK-Info: AES-128-CBC,{HEX:32} {base64:640}",
        ),
    ] {
        assert_eq!(
            armoured(&pem(label, part)),
            (Judgement::Plausible, true),
            "{label}"
        );
    }
    // Cut: most of it, little of it.
    let key = pem("RSA PRIVATE", "{rsa-key}");
    let (head, rest) = key.split_at(key.len() * 3 / 4);
    assert_eq!(armoured(head).0, Judgement::Plausible);
    assert_eq!(
        armoured(&format!("{head}\n-----END RSA PRIVATE KEY-----{rest}")).0,
        Judgement::Plausible
    );
    assert_eq!(armoured(&key[..key.len() / 2]).0, Judgement::Doubtful);
    assert_eq!(armoured(&key[..100]).0, Judgement::Refuted);
    // One number changed: the factors are not those of the modulus.
    let at = key.len() / 5;
    let other = format!(
        "{}{}{}",
        &key[..at],
        if &key[at..=at] == "A" { "B" } else { "A" },
        &key[at + 1..]
    );
    assert_ne!(armoured(&other).0, Judgement::Proved);
    for nothing in [
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n<your key goes here>\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC...\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----- and then some words about what a key looks like in a text",
        "-----BEGIN PRIVATE KEY-----",
    ] {
        assert_eq!(armoured(nothing).0, Judgement::Refuted, "{nothing}");
    }
    let zeros = "A".repeat(600);
    assert_eq!(
        armoured(&format!(
            "-----BEGIN PRIVATE KEY-----\n{zeros}\n-----END PRIVATE KEY-----"
        ))
        .0,
        Judgement::Refuted
    );
}

#[test]
fn containers_of_other_programs() {
    let pgp = |part: &str| {
        armoured(&made(&format!(
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{part}\n=aB1c\n-----END PGP PRIVATE KEY BLOCK-----"
        )))
        .0
    };
    assert_eq!(pgp("{pgp-key}"), Judgement::Proved);
    assert_eq!(pgp("{pgp-key-encrypted}"), Judgement::Plausible);
    // A public key packet does not become private by its label.
    assert_eq!(
        pgp(&format!("mQ{}", "ENBGAAAAABCAC7".repeat(20))),
        Judgement::Refuted
    );
    let sexp = made("{s-expression}");
    assert_eq!(
        containers::s_expression(sexp.as_bytes(), 0..17),
        (Judgement::Proved, 0..sexp.len())
    );
    let stars = "(private-key (rsa (n #00..#) (d #00..#)))";
    assert_eq!(
        containers::s_expression(stars.as_bytes(), 0..17).0,
        Judgement::Refuted
    );
    // A salt that is nearly text is a string, perhaps with a quote in it.
    for salt in [r#""_.n6..\"""#, r#""\\.n6..\\""#, "#0011223344556677#"] {
        let digits = "0A1B".repeat(20);
        let key = format!(
            r#"(protected-private-key (ecc (q #40#)(protected aes ((sha1 {salt} "1")#00#)#{digits}#)))"#
        );
        assert_eq!(
            containers::s_expression(key.as_bytes(), 0..27),
            (Judgement::Plausible, 0..key.len()),
            "{salt}"
        );
    }
    for key in ["{minisign}", "{signify}"] {
        assert_eq!(
            containers::signify(made(key).as_bytes()),
            Judgement::Plausible
        );
    }
    // A store of trusted certificates, and one that is cut off.
    let bytes = |part: &str| BASE64.decode(made(part).as_bytes()).unwrap();
    let store = bytes("{java-keystore-flat}");
    let judge = |store: &[u8]| containers::java_keystore(store, 0..12).0;
    assert_eq!(judge(&store), Judgement::Plausible);
    let mut trusted = store.clone();
    trusted[15] = 2;
    assert_eq!(judge(&trusted), Judgement::Refuted);
    assert_eq!(judge(&store[..40]), Judgement::Refuted);
    let p12 = bytes("{pkcs12-flat}");
    assert_eq!(
        der::pkcs12(&p12, 0..25),
        (Judgement::Plausible, 0..p12.len())
    );
    assert_eq!(
        der::pkcs12(&p12[..p12.len() - 1], 0..25).0,
        Judgement::Refuted
    );
}
