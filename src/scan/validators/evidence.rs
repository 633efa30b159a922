//! Values without structure: what speaks for a generator, what for a person, what for a placeholder.

use std::ops::Range;

use super::Judgement;
use crate::scan::assignment;
use crate::scan::names::{self, Promise};
use crate::scan::randomness::{ODD_NATS, RANDOM_NATS, surprise};

/// Bits per byte of the value's own distribution.
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let total = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

struct Shape {
    upper: usize,
    lower: usize,
    digits: usize,
    other: usize,
}

fn shape(value: &[u8]) -> Shape {
    let count = |what: fn(&u8) -> bool| value.iter().filter(|byte| what(byte)).count();
    let (upper, lower, digits) = (
        count(u8::is_ascii_uppercase),
        count(u8::is_ascii_lowercase),
        count(u8::is_ascii_digit),
    );
    Shape {
        upper,
        lower,
        digits,
        other: value.len() - upper - lower - digits,
    }
}

/// 40 characters of base64: a SHA-1 in hex and a path have the same letters, but not this mixture.
pub(super) fn aws_secret_key(value: &[u8]) -> Judgement {
    let shape = shape(value);
    if shape.upper < 4 || shape.lower < 4 || shape.digits == 0 || entropy(value) < 4.2 {
        Judgement::Refuted
    } else {
        Judgement::Plausible
    }
}

/// Letters and digits that a generator mixed.
pub(super) fn random(value: &[u8]) -> Judgement {
    let shape = shape(value);
    if shape.digits < 2 || shape.upper + shape.lower < 2 || is_uuid(value) {
        return Judgement::Refuted;
    }
    match surprise(value) >= ODD_NATS {
        true => Judgement::Plausible,
        false => Judgement::Refuted,
    }
}

/// The value beside the name of a provider has the right shape. Did a generator make it, and not a person or a digest?
/// `before` is what stands before it on its line.
pub(in crate::scan) fn beside_provider(before: &[u8], value: &[u8]) -> Judgement {
    let shape = shape(value);
    let letters = shape.upper + shape.lower;
    if letters == 0 {
        // A number: an id as often as a secret.
        return Judgement::Doubtful;
    }
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    if (hex || is_uuid(value)) && names::tells_of_digest(before) {
        return Judgement::Refuted;
    }
    let made = match (hex, shape.digits) {
        (true, digits) => digits >= 2 && letters >= 2,
        (false, 0) => surprise(value) >= RANDOM_NATS,
        (false, _) => surprise(value) >= ODD_NATS,
    };
    match made {
        true => Judgement::Plausible,
        false => Judgement::Refuted,
    }
}

/// The value that is assigned to a name with a word such as `token` at `word`.
pub(super) fn assigned_secret(
    text: &[u8],
    word: Range<usize>,
) -> Option<(Judgement, Range<usize>)> {
    let found = assignment::around(text, word)?;
    // Most of what stands behind a telling word in prose is too short.
    let value = &text[found.value.clone()];
    if !(8..=256).contains(&value.len()) {
        return None;
    }
    let name = &text[found.name.clone()];
    let promise = names::secret(name)?;
    if is_reference(value) || is_public(value) || in_reference(text, found.name.start, value) {
        return None;
    }
    let token_letter = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'_' | b'-' | b'.' | b'/' | b'+' | b'=' | b'~' | b':' | b'|'
            )
    };
    let judgement = if value.iter().all(token_letter) {
        key(value, promise, name)?
    } else if promise == Promise::Strong && found.quoted {
        password(value, true)?
    } else {
        return None;
    };
    let judgement = match found.loose {
        // Prose beside a telling word: only what a generator made.
        true if judgement == Judgement::Doubtful || surprise(value) < RANDOM_NATS => return None,
        true => Judgement::Doubtful,
        false => judgement,
    };
    Some((judgement, found.value))
}

fn key(value: &[u8], promise: Promise, name: &[u8]) -> Option<Judgement> {
    let strong = promise == Promise::Strong;
    let shape = shape(value);
    let letters = shape.upper + shape.lower;
    if is_uuid(value) {
        return strong.then_some(Judgement::Doubtful);
    }
    if value.iter().all(u8::is_ascii_hexdigit) {
        // Digests and test vectors look the same: the name must say that it is a secret.
        let made = shape.digits >= 2 && letters >= 2 && value.len() >= 16;
        let digest = names::tells_of_digest(name);
        return match (strong, value.len()) {
            _ if !made || digest => None,
            (true, 32..) => Some(Judgement::Plausible),
            (true, _) | (false, 32..) => Some(Judgement::Doubtful),
            (false, _) => None,
        };
    }
    if letters == 0 {
        return None;
    }
    let surprise = surprise(value);
    if shape.digits == 0 {
        return (strong && value.len() >= 16 && surprise >= 1.5 * RANDOM_NATS).then_some(
            match value.len() >= 24 && surprise >= 3.0 * RANDOM_NATS {
                true => Judgement::Plausible,
                false => Judgement::Doubtful,
            },
        );
    }
    if strong && value.len() >= 12 && surprise >= RANDOM_NATS {
        Some(Judgement::Plausible)
    } else if strong && value.len() >= 10 && surprise >= ODD_NATS {
        Some(Judgement::Doubtful)
    } else {
        (value.len() >= 16 && surprise >= RANDOM_NATS).then_some(Judgement::Doubtful)
    }
}

/// The value that is assigned to a name with a word such as `password` at `word`.
pub(super) fn assigned_password(
    text: &[u8],
    word: Range<usize>,
) -> Option<(Judgement, Range<usize>)> {
    let found = assignment::around(text, word)?;
    let value = &text[found.value.clone()];
    if !names::is_password(&text[found.name.clone()])
        || !(6..=128).contains(&value.len())
        || is_reference(value)
        || is_public(value)
        || in_reference(text, found.name.start, value)
    {
        return None;
    }
    let judgement = password(value, found.quoted)?;
    if found.loose && (judgement == Judgement::Doubtful || value.len() < 8) {
        return None;
    }
    Some((judgement, found.value))
}

/// A password that a person or a generator made up.
fn password(value: &[u8], quoted: bool) -> Option<Judgement> {
    let shape = shape(value);
    let kinds = [shape.upper, shape.lower, shape.digits, shape.other];
    let kinds = kinds.iter().filter(|count| **count > 0).count();
    if kinds < 2
        || (shape.digits == 0 && (kinds < 3 || value.len() < 10 || !quoted))
        || is_stand_in(value)
        || value
            .iter()
            .any(|byte| byte.is_ascii_whitespace() || *byte >= 0x80)
    {
        return None;
    }
    let surprise = surprise(value);
    if shape.digits == 0 && surprise < 0.0 {
        return None;
    }
    let identifier = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    if !quoted && value.iter().all(identifier) && surprise < ODD_NATS {
        return None;
    }
    if value.len() >= 12 && kinds >= 3 && surprise >= RANDOM_NATS {
        Some(Judgement::Plausible)
    } else if value.len() >= 8 && (kinds >= 3 || surprise >= ODD_NATS / 2.0) {
        Some(Judgement::Doubtful)
    } else {
        None
    }
}

/// What stands where a format has a password: any word may be one, but those that stand for one.
pub(super) fn password_field(value: &[u8]) -> Judgement {
    let shape = shape(value);
    if is_stand_in(value)
        || is_reference(value)
        || value.iter().any(|byte| !byte.is_ascii_graphic())
    {
        Judgement::Refuted
    } else if value.len() < 8 || shape.digits == 0 || shape.digits == value.len() {
        Judgement::Doubtful
    } else {
        Judgement::Plausible
    }
}

/// A variable, a template, a place in a vault, a path or an address: where the secret is, not the secret.
fn is_reference(value: &[u8]) -> bool {
    const STARTS: &[&[u8]] = &[
        b"$",
        b"%",
        b"<",
        b"{",
        b"#{",
        b"@{",
        b"!",
        b"env.",
        b"env:",
        b"process.env",
        b"os.environ",
        b"vault:",
        b"ssm:",
        b"arn:",
        b"op://",
        b"ref+",
        b"file:",
        b"http://",
        b"https://",
        b"ENC[",
        b"./",
        b"../",
        b"~/",
        b"projects/",
        b"secretsmanager",
    ];
    const INSIDE: &[&[u8]] = &[
        b"${",
        b"{{",
        b"$(",
        b"<%",
        b"...",
        b"***",
        b"xxxx",
        b"XXXX",
        b"secrets.",
        b"Secrets.",
        b"://",
    ];
    let is_call = || {
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':');
        let length = value.iter().take_while(|byte| name(byte)).count();
        // What a generator made is no name in brackets, whatever stands around it.
        length >= 3
            && value[length..].starts_with(b"(")
            && value.ends_with(b")")
            && surprise(value) < RANDOM_NATS
    };
    STARTS.iter().any(|start| value.starts_with(start))
        || INSIDE
            .iter()
            .any(|inside| memchr::memmem::find(value, inside).is_some())
        || is_call()
}

/// Whether `at` lies inside the name of a place where the secret is, or of an encrypted value: an ARN, a value of SOPS.
pub(in crate::scan) fn in_reference(text: &[u8], at: usize, value: &[u8]) -> bool {
    const STARTS: &[&[u8]] = &[
        b"arn:",
        b"vault:",
        b"op://",
        b"ref+",
        b"ssm:",
        b"projects/",
        b"secretsmanager",
    ];
    let before = &text[at.saturating_sub(256)..at];
    let quotes =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'>');
    let length = before.iter().rev().take_while(|byte| !quotes(byte)).count();
    // What begins here counts too.
    let word = &text[at - length..text.len().min(at + 16)];
    // Base64 inside the reference ends in the sign that it may stand behind.
    let mut behind_equals = memchr::memchr_iter(b'=', word).map(|at| &word[at + 1..]);
    // A secret behind such a start is a secret: only the name of a place is let pass, or what SOPS made.
    // Secrets Manager puts a dash and six random letters behind a name.
    let name = match value.len().checked_sub(7).map(|at| value.split_at(at)) {
        Some((name, [b'-', letters @ ..])) if letters.iter().all(u8::is_ascii_alphanumeric) => name,
        _ => value,
    };
    let is_name = surprise(name) < RANDOM_NATS;
    let is_start = |word: &[u8]| {
        word.starts_with(b"ENC[AES256_GCM,")
            || (is_name && STARTS.iter().any(|start| word.starts_with(start)))
    };
    is_start(word) || behind_equals.any(is_start)
}

/// Public keys, certificates, subresource integrity.
fn is_public(value: &[u8]) -> bool {
    const STARTS: &[&[u8]] = &[
        b"AAAAB3Nza",
        b"AAAAC3Nza",
        b"AAAAE2Vj",
        b"MIIB",
        b"MIID",
        b"MFkw",
        b"MCowBQ",
        b"sha1-",
        b"sha256-",
        b"sha384-",
        b"sha512-",
        b"sha256:",
        b"SHA256:",
    ];
    STARTS.iter().any(|start| value.starts_with(start))
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whole values that stand for a password in documentation.
const STAND_INS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "passphrase",
    "secret",
    "mypassword",
    "yourpassword",
    "changeme",
    "change_me",
    "changeit",
    "example",
    "test",
    "testing",
    "foobar",
    "foo",
    "bar",
    "admin",
    "root",
    "user",
    "username",
    "postgres",
    "guest",
    "default",
    "none",
    "null",
    "true",
    "false",
    "undefined",
    "string",
    "redacted",
    "hidden",
    "required",
    "hunter2",
    "letmein",
    "your_password",
    "your-password",
    "my-password",
    "password123",
    "password1",
    "p@ssw0rd",
    "passw0rd",
    "pass123",
    "test123",
    "secret123",
    "admin123",
    "123456",
    "12345678",
    "dummy",
    "fake",
    "sample",
    "token",
];

fn is_stand_in(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    STAND_INS.iter().any(|word| word.as_bytes() == lower)
}

/// `scheme://user:password@host`.
pub(super) fn url_password(url: &[u8], password: &[u8]) -> Judgement {
    if is_stand_in(password)
        || password
            .first()
            .is_some_and(|byte| matches!(byte, b'$' | b'{' | b'<' | b'%' | b'[' | b'*'))
        || password
            .iter()
            .any(|byte| matches!(byte, b'{' | b'}' | b'<' | b'>' | b'(' | b')'))
        || password.windows(3).any(|three| three == b"...")
    {
        return Judgement::Refuted;
    }
    let after_scheme = memchr::memmem::find(url, b"://").map_or(url, |at| &url[at + 3..]);
    let user = after_scheme
        .split(|byte| *byte == b':')
        .next()
        .unwrap_or(&[]);
    let host = url.rsplit(|byte| *byte == b'@').next().unwrap_or(&[]);
    if user == password {
        return Judgement::Refuted;
    }
    let host = host.to_ascii_lowercase();
    let local = host.starts_with(b"localhost")
        || host.starts_with(b"127.")
        || host.starts_with(b"0.0.0.0")
        || !host.contains(&b'.');
    let reserved = [
        b"example.com".as_slice(),
        b"example.org",
        b"example.net",
        b".example",
        b".test",
        b".invalid",
        b".local",
    ]
    .iter()
    .any(|ending| host.ends_with(ending));
    let shape = shape(password);
    let weak = password.len() < 8 || shape.digits == 0 || shape.upper + shape.lower == 0;
    if local || reserved || weak {
        Judgement::Doubtful
    } else {
        Judgement::Plausible
    }
}

/// Base64 of `user:password`, as in basic authentication and in the login files of container registries.
pub(super) fn basic_auth(value: &[u8]) -> Judgement {
    let plain =
        crate::scan::decode::from_base64(value.split(|byte| *byte == b'=').next().unwrap_or(&[]));
    let Some(colon) = plain.iter().position(|byte| *byte == b':') else {
        return Judgement::Refuted;
    };
    let (user, secret) = (&plain[..colon], &plain[colon + 1..]);
    if secret.is_empty()
        || user == secret
        || plain.iter().any(|byte| !byte.is_ascii_graphic())
        || is_stand_in(secret)
        || is_reference(secret)
    {
        return Judgement::Refuted;
    }
    // The example of RFC 7617.
    if secret == b"open sesame" || secret.len() < 6 {
        return Judgement::Doubtful;
    }
    Judgement::Plausible
}
