//! Near misses: what looks like a secret and is none. Placeholders in the shape of every rule's examples, references to
//! variables and vaults in their place, and the ids, sums, keys and encoded data that fill ordinary repositories.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use rayon::prelude::*;
use ringfence::finding::Confidence;
use ringfence::scan::{BUILTIN, Dice, SecretRule, make_sample};

use crate::syntax::{SYNTAXES, Shape, shape};
use crate::tally::{self, word};

/// One kind: texts that must not be refused.
type Texts = Vec<(String, String)>;

/// Prints how many texts of each kind have findings. `show`: so many of those that would be refused, by name.
pub(crate) fn print(seeds: u64, show: usize) {
    println!(
        "\nnear misses: texts with findings, by the surest of them\n{:<34} {:>8} {:>8} {:>8} {:>8}",
        "kind", "texts", "possible", "likely", "certain"
    );
    let mut refused = Vec::new();
    let mut total = (0, BTreeMap::new());
    for (kind, texts) in kinds(seeds) {
        let mut counts: BTreeMap<Confidence, usize> = BTreeMap::new();
        let told: Vec<_> = texts
            .par_iter()
            .map(|(_, text)| {
                let matches = tally::scan(text.as_bytes()).matches;
                let surest = matches.iter().max_by_key(|found| found.confidence);
                surest.map(|found| (found.confidence, found.rule.id))
            })
            .collect();
        for (told, (name, _)) in told.into_iter().zip(&texts) {
            if let Some((confidence, rule)) = told {
                *counts.entry(confidence).or_default() += 1;
                *total.1.entry(confidence).or_insert(0) += 1;
                if confidence > Confidence::Possible {
                    refused.push(format!("{kind}: {name}: {rule} {}", word(confidence)));
                }
            }
        }
        total.0 += texts.len();
        println!("{}", row(kind, texts.len(), &counts));
    }
    println!("{}", row("total", total.0, &total.1));
    for line in refused.iter().take(show) {
        println!("    {line}");
    }
}

fn row(kind: &str, texts: usize, counts: &BTreeMap<Confidence, usize>) -> String {
    let of = |confidence| counts.get(&confidence).copied().unwrap_or(0);
    format!(
        "{kind:<34} {texts:>8} {:>8} {:>8} {:>8}",
        of(Confidence::Possible),
        of(Confidence::Likely),
        of(Confidence::Certain)
    )
}

fn kinds(seeds: u64) -> Vec<(&'static str, Texts)> {
    let mut kinds = Vec::new();
    for (kind, fill) in FILLERS {
        kinds.push((*kind, in_the_shape_of_rules(*fill)));
    }
    kinds.extend(ordinary(seeds));
    kinds
}

/// The kinds that fill ordinary repositories: none of these may be refused.
fn ordinary(seeds: u64) -> Vec<(&'static str, Texts)> {
    let mut kinds = Vec::new();
    for (kind, reference) in REFERENCES {
        kinds.push((*kind, in_place_of_values(reference)));
    }
    for (kind, names, make) in ORDINARY {
        kinds.push((*kind, beside_names(names, *make, seeds)));
    }
    for (kind, make) in FILES {
        let texts = (0..seeds * 4).map(|seed| {
            let mut dice = Dice::new(seed * 31 + 5);
            (format!("seed {seed}"), make(&mut dice))
        });
        kinds.push((*kind, texts.collect()));
    }
    kinds
}

/// Writes something of a length.
type Fill = fn(usize) -> String;

/// What people write where a random part belongs, from its length.
const FILLERS: &[(&str, Fill)] = &[
    ("placeholder xxxx", |length| "x".repeat(length)),
    ("placeholder XXXX", |length| "X".repeat(length)),
    ("placeholder ****", |length| "*".repeat(length)),
    ("placeholder ....", |length| ".".repeat(length)),
    ("placeholder 0000", |length| "0".repeat(length)),
    ("placeholder 1234", |length| cycle("1234567890", length)),
    ("placeholder abcd", |length| {
        cycle("abcdefghijklmnopqrstuvwxyz", length)
    }),
    ("placeholder 0-9a-f", |length| {
        cycle("0123456789abcdef", length)
    }),
    ("placeholder your-key-here", |length| {
        cycle("your-key-here-", length)
    }),
    ("placeholder YOUR_TOKEN", |length| {
        cycle("YOUR_TOKEN_", length)
    }),
    ("placeholder <TOKEN>", |_| "<TOKEN>".to_owned()),
    ("placeholder ${TOKEN}", |_| "${TOKEN}".to_owned()),
    ("placeholder deadbeef", |length| cycle("deadbeef", length)),
];

fn cycle(text: &str, length: usize) -> String {
    text.chars().cycle().take(length).collect()
}

/// Each example of each rule, its random parts filled.
fn in_the_shape_of_rules(fill: Fill) -> Texts {
    let examples = BUILTIN.rules().flat_map(|rule| {
        rule.about()
            .examples
            .iter()
            .map(move |format| (rule, *format))
    });
    examples
        .filter_map(|(rule, format)| Some((rule.id.to_owned(), filled(format, fill)?)))
        .collect()
}

/// A sample format with its parts filled instead of made. `None`: it has no random part, or one of a shape of its own.
fn filled(format: &str, fill: Fill) -> Option<String> {
    let mut out = String::new();
    let mut rest = format;
    let mut parts = 0;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            out.push('{');
            rest = after;
            continue;
        }
        let close = rest.find('}')?;
        let (kind, length) = rest[..close].split_once(':')?;
        let length: usize = length.split('-').next()?.parse().ok()?;
        let length = match kind {
            "crc62" => length + 6,
            "base64-bytes" => length.div_ceil(3) * 4,
            "base64url-bytes" => (length * 4).div_ceil(3),
            _ => length,
        };
        // A digit or two are no random part.
        parts += usize::from(length >= 8);
        out.push_str(&fill(length));
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    (parts > 0).then_some(out)
}

/// What stands where a secret would, in code that is right. `NAME` is the name of it.
const REFERENCES: &[(&str, &str)] = &[
    ("reference ${X}", "${NAME}"),
    ("reference $X", "$NAME"),
    ("reference %X%", "%NAME%"),
    ("reference os.environ", "os.environ[\"NAME\"]"),
    ("reference os.getenv", "os.getenv('NAME', '')"),
    ("reference process.env", "process.env.NAME"),
    ("reference ENV.fetch", "ENV.fetch('NAME')"),
    ("reference System.getenv", "System.getenv(\"NAME\")"),
    ("reference secrets.X", "${{ secrets.NAME }}"),
    ("reference {{ X }}", "{{ NAME }}"),
    ("reference vault:", "vault:secret/data/service#NAME"),
    ("reference !Ref", "!Ref NAME"),
    ("reference op://", "op://vault/service/NAME"),
    (
        "reference ARN",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-a1b2c3",
    ),
    ("reference ssm", "{{resolve:ssm-secure:/service/NAME:1}}"),
    ("reference file", "/run/secrets/NAME"),
    ("reference var.x", "var.NAME"),
    (
        "reference key vault",
        "@Microsoft.KeyVault(SecretUri=https://service.vault.azure.net/secrets/NAME)",
    ),
    (
        "reference function call",
        "get_secret(\"NAME\", region=REGION)",
    ),
    (
        "reference SOPS",
        "ENC[AES256_GCM,data:8Zk1Jp2vQw==,iv:c2FsdHlfaXZfaGVyZQ==,tag:dGFnX2lzX2hlcmU=,type:str]",
    ),
];

/// Every named example, with the reference instead of its value, in the syntaxes of code and settings.
fn in_place_of_values(reference: &str) -> Texts {
    let mut texts = Vec::new();
    for (rule, name) in named_examples() {
        let value = reference.replace("NAME", &name.to_ascii_uppercase());
        for syntax in SYNTAXES {
            // In a programming language a call stands without quotes; in the others it is text.
            let text = match syntax.name {
                "Python" => Some(format!("{name} = {value}\n")),
                "TypeScript" => Some(format!("const {name} = {value};\n")),
                _ => syntax.assign(&name, &value),
            };
            texts.extend(text.map(|text| (format!("{} in {}", rule.id, syntax.name), text)));
        }
    }
    texts
}

/// The names in examples of the form `NAME=value`, each once.
fn named_examples() -> Vec<(&'static SecretRule, String)> {
    let mut named: Vec<(&'static SecretRule, String)> = Vec::new();
    for rule in BUILTIN.rules() {
        for format in rule.about().examples {
            let Ok(sample) = make_sample(format, &mut Dice::new(1)) else {
                continue;
            };
            if let Shape::Named(name, _) = shape(&sample)
                && named.iter().all(|(_, known)| known != name)
            {
                named.push((rule, name.to_owned()));
            }
        }
    }
    named
}

/// How an ordinary value is made.
type Make = fn(&mut Dice) -> String;

/// Values that are no secrets, and the names beside which they stand.
const ORDINARY: &[(&str, &[&str], Make)] = &[
    (
        "UUID",
        &["id", "request_id", "project_guid", "tenant_id", "trace_id"],
        uuid,
    ),
    (
        "MD5 sum",
        &["md5", "checksum", "etag", "file_hash"],
        |dice| hex(dice, 16),
    ),
    (
        "SHA-1 sum, git id",
        &["sha1", "commit", "rev", "revision", "git_sha", "tree"],
        |dice| hex(dice, 20),
    ),
    (
        "SHA-256 sum",
        &[
            "sha256",
            "digest",
            "content_hash",
            "checksum",
            "vendor_hash",
        ],
        |dice| hex(dice, 32),
    ),
    ("SHA-512 integrity", &["integrity", "hash"], |dice| {
        format!("sha512-{}", BASE64.encode(&bytes(dice, 64)))
    }),
    ("image digest", &["image", "base_image"], |dice| {
        format!("registry.example/app@sha256:{}", hex(dice, 32))
    }),
    (
        "version",
        &["version", "api_version", "min_version"],
        |dice| {
            format!(
                "{}.{}.{}-rc.{}+build.{}",
                dice.below(20),
                dice.below(90),
                dice.below(90),
                dice.below(9),
                dice.below(99_999)
            )
        },
    ),
    ("time", &["created_at", "expires", "updated"], |dice| {
        format!(
            "2026-{:02}-{:02}T{:02}:{:02}:00.{:06}Z",
            1 + dice.below(12),
            1 + dice.below(28),
            dice.below(24),
            dice.below(60),
            dice.below(1_000_000)
        )
    }),
    (
        "number",
        &[
            "count",
            "max_tokens",
            "token_limit",
            "key_size",
            "timeout_ms",
        ],
        |dice| dice.below(1 << 40).to_string(),
    ),
    (
        "CSS and HTML id",
        &["id", "class_name", "data_key", "for"],
        |dice| format!("{}__{}--{}", slug(dice), slug(dice), hex(dice, 3)),
    ),
    (
        "path",
        &["key_file", "token_path", "secret_name", "password_file"],
        |dice| format!("/etc/{}/{}/{}.pem", slug(dice), slug(dice), slug(dice)),
    ),
    (
        "URL",
        &["auth_url", "token_endpoint", "webhook_docs"],
        |dice| {
            format!(
                "https://{}.example/{}/{}?page={}",
                slug(dice),
                slug(dice),
                slug(dice),
                dice.below(90)
            )
        },
    ),
    (
        "identifier",
        &[
            "api_key_field",
            "token_type",
            "secret_key_ref",
            "password_column",
            "auth_scheme",
        ],
        |dice| format!("{}_{}_{}", slug(dice), slug(dice), slug(dice)),
    ),
    (
        "public SSH key",
        &["ssh_key", "public_key", "authorized_key"],
        |dice| {
            let head = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec(), bytes(dice, 32)].concat();
            format!("ssh-ed25519 {} alice@example", BASE64.encode(&head))
        },
    ),
    ("image in base64", &["logo", "background", "icon"], |dice| {
        let image = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), bytes(dice, 300)].concat();
        format!("data:image/png;base64,{}", BASE64.encode(&image))
    }),
    (
        "password hash",
        &["password_hash", "password_digest"],
        |dice| {
            format!(
                "$2b$12${}",
                letters(
                    dice,
                    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                    53
                )
            )
        },
    ),
    ("nonce, salt", &["nonce", "salt", "iv"], |dice| {
        hex(dice, 16)
    }),
];

/// A value beside each name, in each syntax.
fn beside_names(names: &[&str], make: Make, seeds: u64) -> Texts {
    let mut texts = Vec::new();
    for seed in 0..seeds {
        for (number, name) in names.iter().enumerate() {
            for (place, syntax) in SYNTAXES.iter().enumerate() {
                let mut dice = Dice::new(seed << 20 | (number << 10 | place) as u64);
                let text = syntax.assign(name, &make(&mut dice));
                texts.extend(text.map(|text| (format!("{name} in {}", syntax.name), text)));
            }
        }
    }
    texts
}

/// Whole files without a secret.
const FILES: &[(&str, Make)] = &[
    ("package-lock.json", |dice| {
        let package = |dice: &mut Dice| {
            let name = slug(dice);
            format!(
                "    \"node_modules/{name}\": {{\n      \"version\": \"{}.{}.0\",\n      \"resolved\": \"https://registry.npmjs.org/{name}/-/{name}.tgz\",\n      \"integrity\": \"sha512-{}\",\n      \"dev\": true\n    }},\n",
                dice.below(9),
                dice.below(40),
                BASE64.encode(&bytes(dice, 64))
            )
        };
        (0..30).map(|_| package(dice)).collect()
    }),
    ("Cargo.lock", |dice| {
        let package = |dice: &mut Dice| {
            format!(
                "[[package]]\nname = \"{}\"\nversion = \"1.{}.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n\n",
                slug(dice),
                dice.below(90),
                hex(dice, 32)
            )
        };
        (0..30).map(|_| package(dice)).collect()
    }),
    ("go.sum", |dice| {
        let line = |dice: &mut Dice| {
            format!(
                "github.com/{}/{} v1.{}.0/go.mod h1:{}\n",
                slug(dice),
                slug(dice),
                dice.below(90),
                BASE64.encode(&bytes(dice, 32))
            )
        };
        (0..40).map(|_| line(dice)).collect()
    }),
    ("requirements with hashes", |dice| {
        (0..20)
            .map(|_| {
                format!(
                    "{}=={}.0 \\\n    --hash=sha256:{} \\\n    --hash=sha256:{}\n",
                    slug(dice),
                    dice.below(9),
                    hex(dice, 32),
                    hex(dice, 32)
                )
            })
            .collect()
    }),
    ("minified JavaScript", |dice| {
        let piece = |dice: &mut Dice| {
            let names = letters(
                dice,
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$_",
                6,
            );
            format!(
                "function {}({},{}){{return {}.token?{}.password||\"{}\":void 0}}var key={}({},\"{}\"),",
                &names[..2],
                &names[2..3],
                &names[3..4],
                &names[2..3],
                &names[3..4],
                slug(dice),
                &names[..2],
                dice.below(900),
                slug(dice)
            )
        };
        (0..300).map(|_| piece(dice)).collect()
    }),
    ("certificate", |dice| armour(dice, "CERTIFICATE", 900)),
    ("public key", |dice| armour(dice, "PUBLIC KEY", 294)),
    ("PGP signature", |dice| armour(dice, "PGP SIGNATURE", 566)),
    ("source map", |dice| {
        let mappings = letters(
            dice,
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/;,",
            6000,
        );
        format!(
            "{{\"version\":3,\"sources\":[\"a.ts\"],\"names\":[\"token\",\"secret\"],\"mappings\":\"{mappings}\"}}\n"
        )
    }),
    ("test vectors", |dice| {
        (0..40)
            .map(|number| {
                format!(
                    "COUNT = {number}\nKEY = {}\nIV = {}\nPLAINTEXT = {}\nCIPHERTEXT = {}\n\n",
                    hex(dice, 32),
                    hex(dice, 16),
                    hex(dice, 32),
                    hex(dice, 32)
                )
            })
            .collect()
    }),
    ("known hosts", |dice| {
        (0..10)
            .map(|_| {
                format!(
                    "|1|{}|{} ssh-rsa {}\n",
                    BASE64.encode(&bytes(dice, 20)),
                    BASE64.encode(&bytes(dice, 20)),
                    BASE64.encode(&[b"\0\0\0\x07ssh-rsa".to_vec(), bytes(dice, 260)].concat())
                )
            })
            .collect()
    }),
    ("font in CSS", |dice| {
        format!(
            "@font-face{{font-family:x;src:url(data:font/woff2;base64,{}) format(\"woff2\")}}\n",
            BASE64.encode(&[b"wOF2".to_vec(), bytes(dice, 20_000)].concat())
        )
    }),
    ("notebook with an image", |dice| {
        format!(
            "{{\"cells\":[{{\"cell_type\":\"code\",\"id\":\"{}\",\"outputs\":[{{\"data\":{{\"image/png\":\"{}\\n\"}}}}]}}]}}\n",
            hex(dice, 4),
            BASE64.encode(&[b"\x89PNG\r\n\x1a\n".to_vec(), bytes(dice, 9_000)].concat())
        )
    }),
    ("binary data", |dice| {
        bytes(dice, 4096)
            .iter()
            .map(|byte| char::from(*byte))
            .collect()
    }),
];

fn armour(dice: &mut Dice, label: &str, length: usize) -> String {
    let body = BASE64.encode(&[vec![0x30, 0x82, 0x03, 0x80], bytes(dice, length)].concat());
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..body.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn bytes(dice: &mut Dice, count: usize) -> Vec<u8> {
    (0..count).map(|_| dice.roll().to_le_bytes()[2]).collect()
}

fn hex(dice: &mut Dice, count: usize) -> String {
    HEXLOWER.encode(&bytes(dice, count))
}

fn letters(dice: &mut Dice, alphabet: &str, count: usize) -> String {
    let alphabet = alphabet.as_bytes();
    (0..count)
        .map(|_| char::from(alphabet[dice.below(alphabet.len())]))
        .collect()
}

fn uuid(dice: &mut Dice) -> String {
    let digits = hex(dice, 16);
    format!(
        "{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

/// A word or two, as names in source are made.
fn slug(dice: &mut Dice) -> String {
    const WORDS: &[&str] = &[
        "access", "account", "api", "auth", "button", "cache", "client", "config", "core", "data",
        "default", "event", "field", "handler", "index", "key", "layout", "manager", "model",
        "node", "parser", "password", "private", "public", "request", "response", "secret",
        "server", "session", "token", "user", "value", "view", "webhook",
    ];
    format!(
        "{}-{}",
        WORDS[dice.below(WORDS.len())],
        WORDS[dice.below(WORDS.len())]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_format_are_filled() {
        let fill = |length: usize| "x".repeat(length);
        assert_eq!(
            filled("ab_{base62:10}-{hex:2}", fill).unwrap(),
            format!("ab_{}-xx", "x".repeat(10))
        );
        assert_eq!(filled("{crc62:30}", fill).unwrap().len(), 36);
        assert_eq!(filled("{base64-bytes:64}", fill).unwrap().len(), 88);
        assert_eq!(filled("{alnum:8-20}!", fill).unwrap(), "xxxxxxxx!");
        assert_eq!(
            filled("{{\"a\": \"{hex:8}\"}", fill).unwrap(),
            "{\"a\": \"xxxxxxxx\"}"
        );
        // Without a random part of some length there is nothing to stand for.
        assert_eq!(filled("plain", fill), None);
        assert_eq!(filled("{jwt}", fill), None);
        assert_eq!(filled("{digit:2}", fill), None);
    }

    #[test]
    fn every_kind_has_texts() {
        for (kind, texts) in kinds(1) {
            assert!(!texts.is_empty(), "{kind}");
        }
    }

    #[test]
    fn nothing_ordinary_is_refused() {
        for (kind, texts) in ordinary(1) {
            // All of them take minutes where nothing is optimized; the command takes all.
            let share = texts.len().div_ceil(3_000).max(1);
            for (name, text) in texts.into_iter().step_by(share) {
                let matches = tally::scan(text.as_bytes()).matches;
                let refused = matches
                    .iter()
                    .find(|found| found.confidence > Confidence::Possible);
                let rule = refused.map(|found| found.rule.id);
                assert_eq!(rule, None, "{kind}: {name}");
            }
        }
    }

    #[test]
    fn a_uuid_is_one() {
        let made = uuid(&mut Dice::new(3));
        let lengths: Vec<usize> = made.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
