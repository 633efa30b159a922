//! JSON web keys: the object around `"kty"`, and the private number in it.

use std::ops::Range;

use super::Judgement;
use super::material::{Content, is_product};
use crate::scan::decode::from_base64;

/// How far the object is followed to either side: an RSA key of 8,192 bits with all its factors.
const AROUND_MAX_BYTES: usize = 8 << 10;
/// Members of an object that are looked at.
const MEMBERS_MAX: usize = 40;

/// A member whose value is a string: name, and where the value stands.
struct Member<'a> {
    name: &'a [u8],
    value: Range<usize>,
}

/// The value stands at `"kty"`. The judged value is the private number.
pub(super) fn json_web_key(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let refused = (Judgement::Refuted, value.clone());
    let Some(start) = opening(text, value.start) else {
        return refused;
    };
    let to = (value.end + AROUND_MAX_BYTES).min(text.len());
    let members = members(&text[..to], start + 1);
    let find = |name: &[u8]| {
        members
            .iter()
            .find(|member| member.name == name)
            .map(|member| member.value.clone())
    };
    let bytes = |name: &[u8]| find(name).map(|range| number(&text[range]));
    let Some(kind) = find(b"kty").map(|range| &text[range]) else {
        return refused;
    };
    let place = match kind {
        b"oct" => find(b"k"),
        _ => find(b"d"),
    };
    let Some(place) = place else {
        return refused;
    };
    let Some(secret) = number(&text[place.clone()]) else {
        return (Judgement::Refuted, place);
    };
    let curve = find(b"crv").map(|range| &text[range]);
    let content = match kind {
        b"oct" => {
            // No structure: as good a secret as it is random.
            let judgement = match Content::Plain(&secret).judgement() {
                Judgement::Proved if secret.len() >= 16 => Judgement::Plausible,
                Judgement::Proved => Judgement::Doubtful,
                other => other,
            };
            return (judgement, place);
        }
        b"RSA" => {
            let Some(Some(n)) = bytes(b"n") else {
                return (Judgement::Doubtful, place);
            };
            let factors = match (bytes(b"p"), bytes(b"q")) {
                (Some(Some(p)), Some(Some(q))) => is_product(&p, &q, &n),
                (None, None) => true,
                _ => false,
            };
            n.len() >= 64 && secret.len() <= n.len() && secret.len() * 2 >= n.len() && factors
        }
        b"EC" | b"OKP" => {
            let size = match curve {
                Some(b"P-256" | b"secp256k1" | b"P-256K" | b"Ed25519" | b"X25519") => 32,
                Some(b"P-384") => 48,
                Some(b"P-521") => 66,
                Some(b"Ed448") => 57,
                Some(b"X448") => 56,
                _ => secret.len(),
            };
            let public = bytes(b"x").flatten().is_none_or(|x| x.len() == size);
            secret.len() == size && size >= 24 && public
        }
        _ => false,
    };
    let judgement = match content {
        true => Content::Plain(&secret).judgement(),
        false => Judgement::Doubtful,
    };
    (judgement, place)
}

/// Base64url of a number. `None`: other letters are in it.
fn number(letters: &[u8]) -> Option<Vec<u8>> {
    let letters = letters.trim_ascii_end();
    let padding = letters
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let letters = &letters[..letters.len() - padding.min(2)];
    let fits = letters
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/'));
    (fits && !letters.is_empty()).then(|| from_base64(letters))
}

/// The brace that opens the object around `at`. Objects before it in the same one are stepped over.
fn opening(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let from = at.saturating_sub(AROUND_MAX_BYTES);
    for index in (from..at).rev() {
        match text[index] {
            b'}' => depth += 1,
            b'{' if depth == 0 => return Some(index),
            b'{' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The members with string values of the object whose inside starts at `at`. JSON, JSON in a string (`\"`), or the literal
/// of a programming language.
fn members(text: &[u8], mut at: usize) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    let mut depth = 0usize;
    while at < text.len() && members.len() < MEMBERS_MAX {
        match text[at] {
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                if depth == 0 {
                    break;
                }
                depth -= 1;
                at += 1;
            }
            quote @ (b'"' | b'\'') => {
                let (name, after) = quoted(text, at, quote);
                at = after;
                if depth > 0 {
                    continue;
                }
                at = value(text, at, &text[name], &mut members);
            }
            byte if depth == 0 && (byte.is_ascii_alphabetic() || byte == b'_') => {
                let length = text[at..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                    .count();
                let name = &text[at..at + length];
                at = value(text, at + length, name, &mut members);
            }
            _ => at += 1,
        }
    }
    members
}

/// A quoted text that starts with the quote at `at`: its inside, and where it goes on. A backslash before the end belongs
/// to the quote.
fn quoted(text: &[u8], at: usize, quote: u8) -> (Range<usize>, usize) {
    let inside = at + 1;
    let length = text[inside..]
        .iter()
        .take_while(|byte| **byte != quote)
        .count();
    let end = inside + length;
    let escaped = text[inside..end].ends_with(b"\\");
    (
        inside..end - usize::from(escaped),
        (end + 1).min(text.len()),
    )
}

/// After a name: a colon (or what another language has) and a quoted value. Returns where to go on.
fn value<'a>(
    text: &'a [u8],
    mut at: usize,
    name: &'a [u8],
    members: &mut Vec<Member<'a>>,
) -> usize {
    let skip = |at: usize, what: fn(&&u8) -> bool| at + text[at..].iter().take_while(what).count();
    let blank: fn(&&u8) -> bool = |byte| byte.is_ascii_whitespace() || **byte == b'\\';
    at = skip(at, blank);
    let colon = at;
    at = skip(at, |byte| matches!(**byte, b':' | b'=' | b'>'));
    if at == colon {
        return at;
    }
    at = skip(at, blank);
    match text.get(at) {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            let (value, after) = quoted(text, at, *quote);
            members.push(Member { name, value });
            after
        }
        _ => at,
    }
}
