//! Private keys in armour: `-----BEGIN … PRIVATE KEY-----` to its end, however the lines are written down.

use std::ops::Range;

use super::Judgement;
use super::material::{Content, is_filler};
use super::{containers, der};
use crate::scan::decode::from_base64;

/// Longest armour that is followed: an RSA key of 16,384 bits in a JSON string is 13 KB.
const ARMOUR_MAX_BYTES: usize = 24 << 10;
/// Key material below this is no key of any kind.
const KEY_MIN_BYTES: usize = 32;

/// The value is the first line of the armour.
pub(super) fn private_key(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let begin = &text[value.clone()];
    let to = (value.end + ARMOUR_MAX_BYTES).min(text.len());
    let rest = &text[value.end..to];
    let dashes: &[u8] = match contains(begin, b"SSH2") {
        true => b"---- END",
        false => b"-----END",
    };
    let end = memchr::memmem::find(rest, dashes);
    // Another key begins where this one has lost its end.
    let next = memchr::memmem::find(rest, b"-----BEGIN ");
    let end = end.filter(|end| next.is_none_or(|next| *end < next));
    let body = &rest[..end.or(next).unwrap_or(rest.len())];
    let closing = end.map(|end| {
        let tail = &rest[end + dashes.len()..];
        let length =
            memchr::memmem::find(&tail[..tail.len().min(80)], &dashes[..4]).map_or(0, |at| at + 4);
        let length = length + usize::from(length > 0 && dashes[4] == b'-');
        end + dashes.len() + length
    });
    // Each line of a patch that adds a key starts with a plus, which is a letter of base64 too.
    let added = text[..value.start].ends_with(b"\n+") || text[..value.start] == *b"+";
    let armour = Armour::read(body, added);
    let whole = value.start..(value.end + closing.unwrap_or(armour.bytes_read)).min(text.len());
    let key = from_base64(&armour.letters);
    if key.len() < KEY_MIN_BYTES || key.windows(2).all(|pair| pair[0] == pair[1]) {
        return (Judgement::Refuted, whole);
    }
    let says = |word: &[u8]| contains(begin, word);
    let judgement = if says(b"OPENSSH") {
        containers::openssh(&key).judgement()
    } else if says(b"PGP") {
        containers::openpgp(&key).judgement()
    } else if says(b"SSH2") {
        match containers::ssh_com(&key) {
            Content::Broken => Judgement::Doubtful,
            content => content.judgement(),
        }
    } else if armour.encrypted {
        // Ciphertext of an old-style encrypted key has no structure.
        Content::Encrypted.judgement()
    } else if says(b"COSIGN") || says(b"SIGSTORE") {
        match key.first() {
            Some(b'{') => Content::Encrypted.judgement(),
            _ => Judgement::Doubtful,
        }
    } else if says(b"TSS2") {
        // Wrapped by a chip that did not come along.
        Judgement::Doubtful
    } else {
        match der::private_key(&key) {
            // The length is right, and what it holds is of a kind that is not known here.
            Content::Broken if der::length(&key).is_some_and(|length| fits(&key, length)) => {
                Judgement::Plausible
            }
            // The head of a key, as documentation shows it.
            Content::Broken if der::length(&key).is_some_and(|length| key.len() * 3 < length) => {
                Judgement::Refuted
            }
            Content::Broken if labelled_raw(begin) => Judgement::Plausible,
            // Random bytes where a key belongs; a few words of prose are not.
            Content::Broken if key.len() >= 48 && is_random(&key) => Judgement::Doubtful,
            content => content.judgement(),
        }
    };
    (judgement, whole)
}

/// Whether so many bytes may be the structure of this length, cut off or with letters behind it that are none of it.
fn fits(key: &[u8], length: usize) -> bool {
    length <= key.len() + key.len() / 2 && key.len() <= length + length / 2 && !is_filler(key)
}

/// Labels of formats that write the key without any structure.
fn labelled_raw(begin: &[u8]) -> bool {
    [
        b"NEBULA".as_slice(),
        b"ED25519",
        b"X25519",
        b"TENDERMINT",
        b"LIBP2P",
    ]
    .iter()
    .any(|word| contains(begin, word))
}

/// Bytes of a generator have few repetitions; letters of prose, taken for base64, have the same.
fn is_random(key: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in key {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    // 48 random bytes have 44 different values on average, and next to never fewer than 36.
    distinct * 4 >= key.len().min(48) * 3
}

/// A PuTTY file: the value is its head with the name of the cipher. It ends with the MAC over all of it.
pub(super) fn putty(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let to = (value.end + ARMOUR_MAX_BYTES).min(text.len());
    let rest = &text[value.end..to];
    let plain = contains(&text[value.clone()], b"Encryption: none");
    let Some(mac) = memchr::memmem::find(rest, b"Private-MAC: ") else {
        return (Judgement::Doubtful, value);
    };
    let digits = rest[mac + 13..]
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let whole = value.start..value.end + mac + 13 + digits;
    let lines = memchr::memmem::find(&rest[..mac], b"Private-Lines: ");
    let secret = lines.map(|at| {
        let after = &rest[at + 15..mac];
        let count = after
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        from_base64(&Armour::read(&after[count..], false).letters)
    });
    let judgement = match (secret, digits) {
        (Some(secret), 40 | 64) if secret.len() >= 16 => match plain {
            true => Content::Plain(&secret).judgement(),
            false => Content::Encrypted.judgement(),
        },
        _ => Judgement::Doubtful,
    };
    (judgement, whole)
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
    /// The base64 letters of the body. Line ends may be real, written as `\n`, or blanks; lines may be indented,
    /// quoted, joined by `+`, or stand behind comment marks.
    fn read(body: &[u8], added: bool) -> Self {
        let mut armour = Armour {
            letters: Vec::with_capacity(body.len()),
            encrypted: false,
            bytes_read: 0,
        };
        let mut at = 0;
        while at < body.len() {
            let (line_end, next) = line_end(&body[at..]);
            let (mut line, next) = (&body[at..at + line_end], at + next);
            if added && at > 0 && body[at - 1] == b'\n' {
                line = line.strip_prefix(b"+").unwrap_or(line);
            }
            let mut line = trim(line);
            // `Proc-Type: 4,ENCRYPTED`, `DEK-Info: …`, `Version: …`.
            if line.contains(&b':') {
                armour.encrypted |= contains(line, b"ENCRYPTED");
                line = behind_headers(line);
            }
            if !armour.take(line) {
                break;
            }
            armour.bytes_read = next.min(body.len());
            at = next;
        }
        armour
    }

    /// Takes the letters of a line. `false`: here the armour ends, or never was one.
    fn take(&mut self, line: &[u8]) -> bool {
        for piece in line.split(|byte| matches!(byte, b' ' | b'\t')) {
            // The CRC-24 of PGP armour, which stands alone.
            if let [b'=', _, ..] = piece {
                return false;
            }
            let letters = piece
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
                .count();
            if !piece[letters..].iter().all(|byte| *byte == b'=') {
                return false;
            }
            self.letters.extend_from_slice(&piece[..letters]);
        }
        true
    }
}

/// What follows the headers on a line that holds more than one of them: the key, where line ends have become blanks.
fn behind_headers(line: &[u8]) -> &[u8] {
    let last = memchr::memmem::rfind(line, b": ").map_or(line.len(), |at| at + 2);
    let value = &line[last..];
    match value.iter().position(|byte| *byte == b' ') {
        Some(blank) if value.len() - blank > 64 => &value[blank + 1..],
        _ => b"",
    }
}

/// Where the line ends, and where the next begins: a line feed, or `\n` written out.
fn line_end(text: &[u8]) -> (usize, usize) {
    let Some(at) = memchr::memchr2(b'\n', b'\\', text) else {
        return (text.len(), text.len());
    };
    let mut next = at + 1;
    if text[at] == b'\\' {
        // `\\n` in a string inside a string; `\r\n`; a line continuation.
        while text.get(next) == Some(&b'\\') {
            next += 1;
        }
        if matches!(text.get(next), Some(b'n' | b'r' | b't')) {
            next += 1;
        }
    }
    (at, next)
}

/// Takes indentation, quotes, commas, concatenation and comment marks away.
fn trim(line: &[u8]) -> &[u8] {
    let outside = |byte: &u8| {
        matches!(
            byte,
            b' ' | b'\t' | b'\r' | b'"' | b'\'' | b'`' | b',' | b';' | b'(' | b')' | b'[' | b']'
        )
    };
    let mut line = line;
    loop {
        let before = line.len();
        while let [first, rest @ ..] = line {
            if outside(first) || matches!(first, b'#' | b'*' | b'|' | b'>' | b'<') {
                line = rest;
            } else {
                break;
            }
        }
        for mark in [b"// ".as_slice(), b"+ ", b". ", b"- ", b"& "] {
            line = line.strip_prefix(mark).unwrap_or(line);
        }
        while let [rest @ .., last] = line {
            if outside(last) {
                line = rest;
            } else {
                break;
            }
        }
        for mark in [
            b" +".as_slice(),
            b" .",
            b" &",
            b" _",
            b"\"+",
            b"'+",
            b"\".",
            b"& vbCrLf",
            b"& vbLf",
            b" <<",
        ] {
            line = line.strip_suffix(mark).unwrap_or(line);
        }
        // What is left of `\n" +`: no line of base64 has one letter.
        if matches!(line, [b'+' | b'.' | b'&' | b'-'] | b"vbCrLf" | b"vbLf") {
            line = b"";
        }
        if line.len() == before {
            return line;
        }
    }
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(text, piece).is_some()
}
