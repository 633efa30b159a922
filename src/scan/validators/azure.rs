//! Microsoft's keys and signatures.

use std::ops::Range;

use super::Judgement;
use super::checksums::marvin32;
use super::claims::now;
use crate::scan::decode::from_base64;

/// `Default0`, read as a number: the seed that the standard names for its second version.
const SEED: u64 = u64::from_be_bytes(*b"Default0");

/// Common annotated security key: 60 bytes in base 64 letters, then a checksum of three or four bytes.
pub(super) fn annotated_key(value: &[u8]) -> Judgement {
    const COVERED_LETTERS: usize = 80;
    let Some((covered, told)) = value.split_at_checked(COVERED_LETTERS) else {
        return Judgement::Refuted;
    };
    let padding = told.iter().rev().take_while(|byte| **byte == b'=').count();
    let told = &told[..told.len() - padding];
    let [in_bytes, in_letters] = checksums(covered);
    let fits = |sum: &[u8]| !told.is_empty() && sum.starts_with(told);
    // Which of the two forms a service uses depends on its age; a key with neither may be of a third.
    match fits(in_bytes.as_bytes()) || fits(in_letters.as_bytes()) {
        true => Judgement::Proved,
        false => Judgement::Plausible,
    }
}

/// The checksum in its two spellings, of which a key has the first four letters or all six: base 64 of its bytes, and
/// base 62 filled up with zeros.
pub(in crate::scan) fn checksums(covered: &[u8]) -> [String; 2] {
    let sum = marvin32(&from_base64(covered), SEED).to_le_bytes();
    let bytes = data_encoding::BASE64_NOPAD.encode(&sum);
    // The four bytes are one number, the first the highest; each zero byte before it is a zero.
    let mut number = u32::from_be_bytes(sum);
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                [(number % 62) as usize],
        );
        number /= 62;
    }
    let zeros = sum.iter().take_while(|byte| **byte == 0).count();
    digits.extend(std::iter::repeat_n(b'0', zeros));
    digits.reverse();
    digits.resize(6, b'0');
    [bytes, String::from_utf8(digits).unwrap_or_default()]
}

/// A shared access signature: the value is the `sig` field, the others stand in the query around it.
pub(super) fn shared_access(text: &[u8], value: Range<usize>) -> Judgement {
    const QUERY_MAX_BYTES: usize = 1024;
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"%&=:_.+-/?*@,;$()!~".contains(byte);
    let from = value.start.saturating_sub(QUERY_MAX_BYTES);
    let before = text[from..value.start]
        .iter()
        .rev()
        .take_while(|byte| inside(byte))
        .count();
    let to = (value.end + QUERY_MAX_BYTES).min(text.len());
    let after = text[value.end..to]
        .iter()
        .take_while(|byte| inside(byte))
        .count();
    let query = &text[value.start - before..value.end + after];
    // The signature is an HMAC-SHA256, its base 64 mostly with percent escapes.
    let mut letters = Vec::with_capacity(48);
    let mut rest = &text[value];
    while let [first, after @ ..] = rest {
        let (letter, next) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
                (digit(high) << 4 | digit(low), after)
            }
            _ => (*first, after),
        };
        if letter != b'=' {
            letters.push(letter);
        }
        rest = next;
    }
    if from_base64(&letters).len() != 32 {
        return Judgement::Doubtful;
    }
    match expiry(query) {
        Some(at) if at < now() => Judgement::Doubtful,
        _ => Judgement::Plausible,
    }
}

/// The field `se`: a date and time, or seconds since 1970.
fn expiry(query: &[u8]) -> Option<i64> {
    let field = query
        .split(|byte| matches!(byte, b'&' | b'?' | b';'))
        .find_map(|field| field.strip_prefix(b"se="))?;
    let told = std::str::from_utf8(field).ok()?;
    let told = told.replace("%3A", ":").replace("%3a", ":");
    if let Ok(seconds) = told.parse::<i64>() {
        return Some(seconds);
    }
    let whole = match told.len() {
        10 => format!("{told}T23:59:59Z"),
        17 => told.replace('Z', ":00Z"),
        _ => told,
    };
    whole
        .parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_second)
}
