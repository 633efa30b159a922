//! Makes sample secrets from a rule's description of its format, with valid checksums, so that no live-looking secret
//! stands in any file.
//!
//! A format is text with parts in braces; `{{` is a brace. Parts:
//! `{base62:N}` `{base64:N}` `{base64url:N}` `{base32:N}` `{hex:N}` `{HEX:N}` `{digit:N}` `{alnum:N}` (lower case and digits)
//! `{ALNUM:N}` `{upper:N}` `{lower:N}`: N random letters; `A-B` instead of N: that many.
//! `{crc62:N}`: N base-62 letters and their CRC-32 in base 62. `{grafana-crc}`: hex CRC-32 of all before it.
//! `{base64-bytes:N}` `{base64url-bytes:N}`: N random bytes encoded. `{age}`: data and checksum of an age identity.
//! `{uuid}`, `{base64-json}`, `{jwt}`, `{pypi}`, `{discord-id}`. `{bech32:N}`: N bytes and the checksum over them and the word before. Keys in their
//! containers, claims and wallets: see `structures`.

mod structures;

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};

use super::validators::{base62_crc32, bech32_checksum};
use super::{Form, Pack, Scanner, SecretRule};
use crate::budget::{Bounds, Budget};
use crate::finding::Confidence;
use std::time::Duration;

/// A small random generator with a seed: the same samples every time. Not for keys.
pub struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next 64 bits (splitmix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.roll() % below.max(1) as u64).unwrap_or(0)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll().to_le_bytes()[3]).collect()
    }

    fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }
}

/// Makes one sample. `Err`: the format is not right; the text says how.
pub fn make(format: &str, dice: &mut Dice) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            out.push('{');
            rest = after;
            continue;
        }
        let close = rest.find('}').ok_or("a brace is not closed")?;
        let (kind, count) = match rest[..close].split_once(':') {
            Some((kind, count)) => (kind, length(count, dice)?),
            None => (&rest[..close], 0),
        };
        let piece = part(kind, count, &out, dice)?;
        out.push_str(&piece);
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn length(text: &str, dice: &mut Dice) -> Result<usize, String> {
    let number = |text: &str| {
        text.parse::<usize>()
            .map_err(|_| format!("`{text}` is no length"))
    };
    match text.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            Ok(from + dice.below(to.saturating_sub(from) + 1))
        }
        None => number(text),
    }
}

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const BASE62: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn part(kind: &str, count: usize, before: &str, dice: &mut Dice) -> Result<String, String> {
    let alphabet: &[u8] = match kind {
        "base62" => BASE62,
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base64url" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "hex" => b"0123456789abcdef",
        "HEX" => b"0123456789ABCDEF",
        "digit" => b"0123456789",
        "alnum" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "ALNUM" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "upper" => UPPER,
        "lower" => LOWER,
        _ => return structured(kind, count, before, dice),
    };
    let text = dice.letters(alphabet, count);
    // Some of every kind, at the ends too: what a generator gives nearly always.
    let plain_end = |text: &str| {
        let ends = [text.chars().next(), text.chars().next_back()];
        ends.iter().flatten().all(char::is_ascii_alphanumeric)
    };
    let mixed = |text: &str| {
        text.chars().filter(char::is_ascii_digit).count() >= 2
            && text.chars().filter(char::is_ascii_alphabetic).count() >= 2
            && (!alphabet.contains(&b'Q') || text.chars().any(|letter| letter.is_ascii_uppercase()))
            && (!alphabet.contains(&b'q') || text.chars().any(|letter| letter.is_ascii_lowercase()))
    };
    let mut text = text;
    if count >= 8 && !matches!(kind, "digit" | "upper" | "lower") {
        for _ in 0..1000 {
            if mixed(&text) && plain_end(&text) {
                break;
            }
            text = dice.letters(alphabet, count);
        }
    }
    Ok(text)
}

fn structured(kind: &str, count: usize, before: &str, dice: &mut Dice) -> Result<String, String> {
    Ok(match kind {
        "crc62" => {
            let body = dice.letters(BASE62, count);
            let sum = base62_crc32(body.as_bytes());
            format!("{body}{}", String::from_utf8_lossy(&sum))
        }
        "grafana-crc" => {
            // Behind the underscore that separates it, so without that.
            let told = before
                .rsplit(|letter: char| letter.is_whitespace() || letter == '"' || letter == '=')
                .next();
            let body = told.unwrap_or(before).trim_end_matches('_');
            data_encoding::HEXLOWER.encode(&crc32fast::hash(body.as_bytes()).to_le_bytes())
        }
        "uuid" => {
            let hex = |count, dice: &mut Dice| dice.letters(b"0123456789abcdef", count);
            let parts = [8, 4, 4, 4, 12].map(|count| hex(count, dice));
            parts.join("-")
        }
        "base64-json" => {
            let text = format!(
                r#"{{"id":"{}","n":{}}}"#,
                dice.letters(LOWER, 12),
                dice.below(10_000)
            );
            BASE64.encode(text.as_bytes())
        }
        "base64-bytes" => BASE64.encode(&dice.bytes(count)),
        "base64url-bytes" => BASE64URL_NOPAD.encode(&dice.bytes(count)),
        "age" => {
            let five: Vec<u8> = dice.bytes(52).iter().map(|byte| byte & 31).collect();
            bech32_checksum(b"age-secret-key-", &five).to_ascii_uppercase()
        }
        "jwt" => {
            let header = r#"{"alg":"HS256","typ":"JWT"}"#;
            let claims = format!(
                r#"{{"sub":"{}","iss":"https://login.corp.internal","iat":1700000000}}"#,
                dice.letters(LOWER, 9)
            );
            format!(
                "{}.{}.{}",
                BASE64URL_NOPAD.encode(header.as_bytes()),
                BASE64URL_NOPAD.encode(claims.as_bytes()),
                BASE64URL_NOPAD.encode(&dice.bytes(32))
            )
        }
        "pypi" => {
            let mut macaroon = vec![2, 1, 8];
            macaroon.extend(b"pypi.org");
            macaroon.extend([2, 36]);
            macaroon.extend(dice.letters(b"0123456789abcdef-", 36).bytes());
            macaroon.extend([0, 2, 12]);
            macaroon.extend(b"[1,\"project\"");
            macaroon.extend([0, 0, 6, 32]);
            macaroon.extend(dice.bytes(32));
            BASE64URL_NOPAD.encode(&macaroon)
        }
        "discord-id" => {
            let id = format!("{}{}", 1 + dice.below(9), dice.letters(b"0123456789", 17));
            BASE64_NOPAD.encode(id.as_bytes())
        }
        _ => return structures::part(kind, count, before, dice),
    })
}

fn lines(bytes: &[u8], end: &str) -> String {
    let text = BASE64.encode(bytes);
    let mut out = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push_str(end);
        }
        out.push(letter);
    }
    out
}

/// The surroundings in which every sample must be found. One that is a whole line, or several, is not made a value of
/// another name.
pub fn surroundings(sample: &str, is_value: bool) -> Vec<(&'static str, Vec<u8>)> {
    let mut around: Vec<(&'static str, Vec<u8>)> = vec![
        ("alone", sample.as_bytes().to_vec()),
        (
            "in prose",
            format!("Please use {sample} for now, thanks").into_bytes(),
        ),
        (
            "after text",
            format!("{}\r\n{sample}\r\nend\r\n", "x = 1;\r\n".repeat(40)).into_bytes(),
        ),
        (
            "after NUL bytes",
            [b"\x7fELF\0\0\0\0\0\x01", sample.as_bytes(), b"\0\0"].concat(),
        ),
        ("UTF-16LE", utf16(sample, u16::to_le_bytes, true)),
        (
            "UTF-16BE without mark",
            utf16(sample, u16::to_be_bytes, false),
        ),
        (
            "base64",
            format!("data: {}\n", BASE64.encode(sample.as_bytes())).into_bytes(),
        ),
        (
            "base64 twice",
            BASE64
                .encode(BASE64.encode(format!("x={sample}\n").as_bytes()).as_bytes())
                .into_bytes(),
        ),
        (
            "folded base64",
            format!(
                "-----\n{}\n-----\n",
                lines(
                    format!("padding for it: {sample} and so on and on").as_bytes(),
                    "\n  "
                )
            )
            .into_bytes(),
        ),
        (
            "hex",
            data_encoding::HEXLOWER
                .encode(format!("..{sample}..").as_bytes())
                .into_bytes(),
        ),
    ];
    if is_value && !sample.contains('\n') && !sample.contains('"') && !sample.contains('\'') {
        around.push((
            "assignment",
            format!("export TOKEN={sample}\n").into_bytes(),
        ));
        around.push((
            "quoted",
            format!("const token = '{sample}';\n").into_bytes(),
        ));
        around.push((
            "JSON",
            format!("{{\"token\": \"{sample}\", \"n\": 1}}").into_bytes(),
        ));
        around.push(("YAML", format!("env:\n  token: {sample}\n").into_bytes()));
        around.push((
            "JSON escape",
            format!("{{\"text\": \"first\\n{sample}\\nlast\"}}").into_bytes(),
        ));
        around.push((
            "percent escape",
            format!("/login?to=%2Fx%3D{sample}&x=1").into_bytes(),
        ));
        around.push(("XML", format!("<token>{sample}</token>").into_bytes()));
        around.push((
            "a comment that asks to look away",
            format!("t = \"{sample}\" # gitleaks:allow ringfence:allow nosec\n").into_bytes(),
        ));
    }
    around
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    let text = format!("value: {text} and the rest of the line\n");
    let mark = mark.then_some(0xfeff);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(bytes)
        .collect()
}

/// Whether every sample of every rule (or of one) is found by its own rule in all surroundings, and no negative is.
/// One line for each failure; no sample is shown.
pub fn test_pack(pack: &'static Pack, only: Option<&str>, rounds: u64) -> Vec<String> {
    let bounds = Bounds {
        time: Duration::from_secs(600),
        ..Bounds::default()
    };
    let budget = Budget::new(bounds);
    let chosen = (0..pack.len())
        .into_par_iter()
        .map(|index| pack.rule(index));
    chosen
        .filter(|rule| only.is_none_or(|id| rule.id == id))
        .flat_map_iter(|rule| test_rule(pack, rule, rounds, &budget))
        .collect()
}

fn test_rule(pack: &'static Pack, rule: &SecretRule, rounds: u64, budget: &Budget) -> Vec<String> {
    let scanner = Scanner::of(pack);
    let mut failures = Vec::new();
    for (number, format) in rule.about().examples.iter().enumerate() {
        // A sample with a name in it is a line of its own.
        let is_value = rule.form == Form::Pattern && !format.contains(['=', ':']);
        let (mut missed, mut instead) = (BTreeSet::new(), BTreeSet::new());
        for round in 0..rounds {
            let mut dice = Dice::new(round * 1000 + number as u64 + 7);
            let made = match make(format, &mut dice) {
                Ok(made) => made,
                Err(why) => {
                    failures.push(format!("{}: example {number}: {why}", rule.id));
                    break;
                }
            };
            for (name, text) in surroundings(&made, is_value) {
                let told = match scanner.scan(&text, budget) {
                    Ok(told) => told.matches,
                    Err(why) => {
                        failures.push(format!("{}: example {number} {name}: {why}", rule.id));
                        continue;
                    }
                };
                if !told.iter().any(|hit| hit.rule.id == rule.id) {
                    missed.insert(name);
                    instead.extend(told.iter().map(|hit| hit.rule.id));
                }
            }
        }
        if !missed.is_empty() {
            let places = Vec::from_iter(missed).join(", ");
            let instead = match instead.is_empty() {
                true => String::new(),
                false => format!("; found instead: {}", Vec::from_iter(instead).join(", ")),
            };
            let id = rule.id;
            failures.push(format!(
                "{id}: example {number} is not found {places}{instead}"
            ));
        }
    }
    for (number, text) in rule.about().negatives.iter().enumerate() {
        let told = match scanner.scan(text.as_bytes(), budget) {
            Ok(told) => told.matches,
            Err(why) => {
                failures.push(format!("{}: negative {number}: {why}", rule.id));
                continue;
            }
        };
        let wrong = told
            .iter()
            .filter(|hit| hit.confidence > Confidence::Possible || hit.rule.id == rule.id);
        failures.extend(
            wrong.map(|hit| format!("{}: negative {number} matches {}", rule.id, hit.rule.id)),
        );
    }
    failures
}
