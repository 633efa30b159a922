//! Values without structure: what speaks for a generator, what for a person, what for a placeholder.

use super::Judgement;

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

/// A key or token beside a telling name.
pub(super) fn random(value: &[u8]) -> Judgement {
    let shape = shape(value);
    let letters = shape.upper + shape.lower;
    if shape.digits < 2 || letters < 2 || entropy(value) < 3.3 || is_uuid(value) {
        return Judgement::Refuted;
    }
    // Words joined by separators are names, not values: every piece a word, a number or a version.
    let pieces = value.split(|byte| matches!(byte, b'-' | b'_' | b'.' | b'/' | b':'));
    let named = pieces.into_iter().all(|piece| {
        piece.is_empty()
            || piece.iter().all(u8::is_ascii_alphabetic)
            || piece.iter().all(u8::is_ascii_digit)
            || (piece.len() <= 4)
    });
    if named && shape.other > 0 {
        return Judgement::Refuted;
    }
    Judgement::Plausible
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

/// A password in quotes. Conservative: at least three kinds of characters, or a digit and a mark.
pub(super) fn password(value: &[u8]) -> Judgement {
    let shape = shape(value);
    let kinds = [shape.upper, shape.lower, shape.digits, shape.other]
        .iter()
        .filter(|count| **count > 0)
        .count();
    let template =
        |byte: &u8| matches!(byte, b'$' | b'{' | b'}' | b'<' | b'>' | b'(' | b')' | b'%');
    if kinds < 3
        || shape.digits == 0
        || entropy(value) < 2.75
        || is_stand_in(value)
        || value.first().is_some_and(template)
        || memchr::memmem::find(value, b"${").is_some()
        || memchr::memmem::find(value, b"{{").is_some()
    {
        Judgement::Refuted
    } else {
        Judgement::Plausible
    }
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
