//! Tokens that carry a checksum or a structure of their own.

use std::ops::Range;

use super::Judgement;
use super::checksums::base36;
use crate::scan::decode::from_base64;
use crate::scan::prefilter::is_base64_letter;

/// `glsa_<secret>_<checksum>`. Grafana writes the CRC-32 bytes little-endian.
pub(super) fn grafana(value: &[u8]) -> Judgement {
    let Some(split) = value.len().checked_sub(9) else {
        return Judgement::Refuted;
    };
    let mut sum = [0; 4];
    let told = data_encoding::HEXLOWER_PERMISSIVE.decode_mut(&value[split + 1..], &mut sum);
    let crc = crc32fast::hash(&value[..split]);
    if told.is_ok() && (sum == crc.to_le_bytes() || sum == crc.to_be_bytes()) {
        Judgement::Proved
    } else {
        Judgement::Plausible
    }
}

/// Ids of keys made since 2019 hold the account's number; a number of more than twelve digits cannot be one.
pub(super) fn aws_access_key_id(text: &[u8], value: &Range<usize>) -> Judgement {
    let id = &text[value.clone()];
    let mut bits: u128 = 0;
    for byte in id.get(4..).unwrap_or_default() {
        let five = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return Judgement::Refuted,
        };
        bits = bits << 5 | u128::from(five);
    }
    // 80 bits; the first says which layout, the next 40 are the account.
    let account = bits >> 39 & ((1 << 40) - 1);
    let names_account = bits >> 79 == 1;
    if names_account && account > 999_999_999_999 {
        return Judgement::Doubtful;
    }
    let word = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(u8::is_ascii_alphanumeric)
    };
    if word(value.start.checked_sub(1)) || word(Some(value.end)) {
        return Judgement::Plausible;
    }
    let from = value.start.saturating_sub(400);
    let to = (value.end + 400).min(text.len());
    if secret_key_in(&text[from..value.start]) || secret_key_in(&text[value.end..to]) {
        Judgement::Proved
    } else {
        Judgement::Plausible
    }
}

/// Whether a run of exactly 40 base64 characters that a generator made stands in `text`.
fn secret_key_in(text: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+');
    text.split(|byte| !letter(byte))
        .any(|run| run.len() == 40 && super::evidence::aws_secret_key(run) == Judgement::Plausible)
}

/// The value is `pypi-` and the first letters of a macaroon; the rest is followed here.
pub(super) fn pypi(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let rest = &text[value.end..];
    let more = rest
        .iter()
        .take(2048)
        .take_while(|byte| is_base64_letter(**byte))
        .count();
    let whole = value.start..value.end + more;
    let macaroon = from_base64(text[whole.clone()].get(5..).unwrap_or_default());
    if is_macaroon(&macaroon) {
        (Judgement::Proved, whole)
    } else if whole.len() >= 80 {
        (Judgement::Plausible, whole)
    } else {
        (Judgement::Refuted, whole)
    }
}

/// Binary macaroon, version 2: location, identifier, caveats, a signature of 32 bytes at the very end.
fn is_macaroon(bytes: &[u8]) -> bool {
    let Some((2, mut rest)) = bytes.split_first().map(|(version, rest)| (*version, rest)) else {
        return false;
    };
    let mut fields = 0;
    while let Some((&kind, after)) = rest.split_first() {
        rest = after;
        if kind == 0 {
            continue;
        }
        let mut length = 0usize;
        loop {
            let Some((&byte, after)) = rest.split_first() else {
                return false;
            };
            rest = after;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
            if length > 1 << 20 {
                return false;
            }
        }
        if length > rest.len() {
            return false;
        }
        fields += 1;
        if kind == 6 {
            return length == 32 && fields >= 3;
        }
        rest = &rest[length..];
    }
    false
}

/// The token that GitLab routes by what is in it: `<prefix><payload>.<version>.<length><checksum>`, the version missing in
/// its first form. The checksum is the CRC-32 of all before it.
pub(super) fn gitlab_routable(value: &[u8]) -> Judgement {
    let Some(dot) = value.iter().rposition(|byte| *byte == b'.') else {
        return Judgement::Plausible;
    };
    let tail = &value[dot + 1..];
    let Some((length, sum)) = tail.split_at_checked(2).filter(|(_, sum)| sum.len() == 7) else {
        return Judgement::Plausible;
    };
    let covered = &value[..dot + 3];
    let right = base36(crc32fast::hash(covered).into(), 7).as_bytes() == sum;
    // The payload stands between the prefix and the first dot; where the prefix ends is not written anywhere.
    let payload = covered.split(|byte| *byte == b'.').next().unwrap_or(&[]);
    let told = std::str::from_utf8(length).ok();
    let told = told.and_then(|told| usize::from_str_radix(told, 36).ok());
    match told {
        Some(told) if right && told <= payload.len() => Judgement::Proved,
        _ => Judgement::Doubtful,
    }
}

/// A macaroon of the first version in base 64: packets, each with its length in four hex digits. The value is its
/// first letters.
pub(super) fn macaroon(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    const MOST: usize = 8 << 10;
    let more = text[value.end..]
        .iter()
        .take(MOST)
        .take_while(|byte| is_base64_letter(**byte))
        .count();
    let whole = value.start..value.end + more;
    let bytes = from_base64(&text[whole.clone()]);
    let mut rest = &bytes[..];
    let mut packets = 0;
    while let Some(digits) = rest.get(..4) {
        let length = std::str::from_utf8(digits).ok();
        let length = length.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(packet) = length.and_then(|length| rest.get(4..length)) else {
            break;
        };
        packets += 1;
        if let Some(signature) = packet.strip_prefix(b"signature ") {
            return match signature.len() == 33 && packets >= 3 {
                true => (Judgement::Proved, whole),
                false => (Judgement::Refuted, whole),
            };
        }
        rest = &rest[packet.len() + 4..];
    }
    (Judgement::Refuted, whole)
}

/// A macaroon of the second version in hex digits, as Lightning nodes hand them out.
pub(super) fn hex_macaroon(value: &[u8]) -> Judgement {
    let even = &value[..value.len() & !1];
    match data_encoding::HEXLOWER_PERMISSIVE.decode(even) {
        Ok(bytes) if is_macaroon(&bytes) => Judgement::Proved,
        _ => Judgement::Refuted,
    }
}

/// `<base64 of a snowflake>.<time>.<mac>`.
pub(super) fn discord(value: &[u8]) -> Judgement {
    let first = value.split(|byte| *byte == b'.').next().unwrap_or(&[]);
    let id = from_base64(first);
    if id.len() >= 17 && id.iter().all(u8::is_ascii_digit) {
        Judgement::Proved
    } else {
        Judgement::Refuted
    }
}

/// Base64 or base64url of a JSON object with something in it.
pub(super) fn base64_json(value: &[u8]) -> Judgement {
    let letters = value.split(|byte| *byte == b'=').next().unwrap_or(&[]);
    match serde_json::from_slice(&from_base64(letters)) {
        Ok(serde_json::Value::Object(fields)) if !fields.is_empty() => Judgement::Proved,
        _ => Judgement::Refuted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_an_impossible_account() {
        let id = [b"AKIA".as_slice(), &[b'7'; 16]].concat();
        assert_eq!(aws_access_key_id(&id, &(0..20)), Judgement::Doubtful);
    }
}
