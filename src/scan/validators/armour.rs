//! Private keys in armour: `-----BEGIN … PRIVATE KEY-----` to its end, however the lines are written down.

use std::ops::Range;

use super::Judgement;
use crate::scan::decode::from_base64;

/// Longest armour that is followed: an RSA key of 16,384 bits in a JSON string is 13 KB.
const ARMOUR_MAX_BYTES: usize = 24 << 10;
/// Key material below this is no key of any kind: an Ed25519 key in PKCS#8 has 48 bytes.
const KEY_MIN_BYTES: usize = 40;

/// The value is the first line of the armour.
pub(super) fn private_key(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let begin = &text[value.clone()];
    let to = (value.end + ARMOUR_MAX_BYTES).min(text.len());
    let rest = &text[value.end..to];
    if begin.starts_with(b"PuTTY") {
        return putty(rest, value);
    }
    let dashes: &[u8] = if contains(begin, b"SSH2") {
        b"---- END"
    } else {
        b"-----END"
    };
    let end = memchr::memmem::find(rest, dashes);
    let body = &rest[..end.unwrap_or(rest.len())];
    let closing = end.map(|end| {
        let tail = &rest[end + 8..];
        let length =
            memchr::memmem::find(&tail[..tail.len().min(80)], &dashes[..4]).map_or(0, |at| at + 4);
        let length = length + usize::from(length > 0 && dashes[4] == b'-');
        end + 8 + length
    });
    let armour = Armour::read(body);
    let whole = value.start..value.end + closing.unwrap_or(armour.bytes_read);
    let key = from_base64(&armour.letters);
    if key.len() < KEY_MIN_BYTES || all_alike(&key) {
        return (Judgement::Refuted, whole);
    }
    let judgement = if contains(begin, b"OPENSSH") {
        match key.starts_with(b"openssh-key-v1\0") {
            true => Judgement::Proved,
            false => Judgement::Refuted,
        }
    } else if contains(begin, b"PGP") {
        // First packet: a secret key, tag 5, in the old or the new header.
        match key[0] {
            0x94..=0x97 | 0xc5 => Judgement::Proved,
            _ => Judgement::Refuted,
        }
    } else if contains(begin, b"SSH2") {
        match key.starts_with(&[0x3f, 0x6f, 0xf9, 0xeb]) {
            true => Judgement::Proved,
            false => Judgement::Doubtful,
        }
    } else if armour.encrypted {
        // Ciphertext of an old-style encrypted key has no structure.
        Judgement::Plausible
    } else {
        match der_length(&key) {
            Some(length) if length == key.len() => match contains(begin, b"ENCRYPTED") {
                // Worthless without its passphrase, which is often near.
                true => Judgement::Plausible,
                false => Judgement::Proved,
            },
            // Cut off, or padded by what was taken for letters.
            Some(length) if length <= key.len() + key.len() / 2 => Judgement::Plausible,
            _ => Judgement::Refuted,
        }
    };
    (judgement, whole)
}

/// A PuTTY file ends with the MAC over all of it.
fn putty(rest: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let Some(mac) = memchr::memmem::find(rest, b"Private-MAC: ") else {
        return (Judgement::Doubtful, value);
    };
    let digits = rest[mac + 13..]
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let whole = value.start..value.end + mac + 13 + digits;
    match digits {
        40 | 64 => (Judgement::Proved, whole),
        _ => (Judgement::Doubtful, whole),
    }
}

/// The key of a Google service account: the rest of its JSON stands around it.
pub(super) fn service_account(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let (judgement, whole) = private_key(text, value);
    let from = whole.start.saturating_sub(1024);
    let to = (whole.end + 1024).min(text.len());
    let around = &text[from..to];
    if contains(around, b"service_account") || contains(around, b"private_key_id") {
        (judgement, whole)
    } else {
        (Judgement::Refuted, whole)
    }
}

struct Armour {
    letters: Vec<u8>,
    encrypted: bool,
    bytes_read: usize,
}

impl Armour {
    /// The base64 letters of the body. Line ends may be real or written as `\n`; lines may be indented, quoted,
    /// joined by `+`, or stand behind comment marks.
    fn read(body: &[u8]) -> Self {
        let mut armour = Armour {
            letters: Vec::with_capacity(body.len()),
            encrypted: false,
            bytes_read: 0,
        };
        let mut at = 0;
        while at < body.len() {
            let line_end = line_end(&body[at..]);
            let (line, next) = (&body[at..at + line_end.0], at + line_end.1);
            let line = trim(line);
            if line.is_empty() {
                at = next;
                continue;
            }
            // `Proc-Type: 4,ENCRYPTED`, `DEK-Info: …`, `Version: …`; quoted lines of other texts end the armour.
            if line.contains(&b':') {
                armour.encrypted |=
                    contains(line, b"ENCRYPTED") || contains(line, b"Encryption: aes");
                at = next;
                continue;
            }
            // The CRC-24 line of PGP armour.
            if line[0] == b'=' {
                break;
            }
            let letters = line
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
                .count();
            let rest = &line[letters..];
            if !rest.iter().all(|byte| *byte == b'=') {
                break;
            }
            armour.letters.extend_from_slice(&line[..letters]);
            armour.bytes_read = next.min(body.len());
            at = next;
        }
        armour
    }
}

/// Where the line ends, and where the next begins: a line feed, or `\n` written out.
fn line_end(text: &[u8]) -> (usize, usize) {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\n' => return (at, at + 1),
            b'\\' => {
                // `\\n` in a string inside a string; `\r\n`; a line continuation.
                let mut next = at;
                while next < text.len() && matches!(text[next], b'\\') {
                    next += 1;
                }
                if next < text.len() && matches!(text[next], b'n' | b'r') {
                    next += 1;
                }
                return (at, next);
            }
            _ => at += 1,
        }
    }
    (text.len(), text.len())
}

/// Takes indentation, quotes, commas, concatenation and comment marks away.
fn trim(line: &[u8]) -> &[u8] {
    let outside = |byte: &u8| {
        matches!(
            byte,
            b' ' | b'\t' | b'\r' | b'"' | b'\'' | b'`' | b',' | b';' | b'(' | b')'
        )
    };
    let mut line = line;
    loop {
        let before = line.len();
        while let [first, rest @ ..] = line {
            if outside(first) || matches!(first, b'#' | b'*' | b'|' | b'>') {
                line = rest;
            } else {
                break;
            }
        }
        for mark in [b"// ".as_slice(), b"+ ", b". ", b"- "] {
            line = line.strip_prefix(mark).unwrap_or(line);
        }
        while let [rest @ .., last] = line {
            if outside(last) {
                line = rest;
            } else {
                break;
            }
        }
        for mark in [b" +".as_slice(), b" .", b" &", b" _", b"\"+", b"'+", b"\"."] {
            line = line.strip_suffix(mark).unwrap_or(line);
        }
        if line.len() == before {
            return line;
        }
    }
}

/// Length of the DER sequence that the key starts with, header included.
fn der_length(key: &[u8]) -> Option<usize> {
    match key {
        [0x30, length @ 0..=0x7f, ..] => Some(2 + usize::from(*length)),
        [0x30, 0x81, length, ..] => Some(3 + usize::from(*length)),
        [0x30, 0x82, high, low, ..] => Some(4 + (usize::from(*high) << 8) + usize::from(*low)),
        _ => None,
    }
}

fn all_alike(key: &[u8]) -> bool {
    key.windows(2).all(|pair| pair[0] == pair[1])
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(text, piece).is_some()
}
