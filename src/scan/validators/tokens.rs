//! Tokens that carry a checksum or a structure of their own.

use std::ops::Range;

use super::Judgement;
use crate::scan::decode::from_base64;
use crate::scan::prefilter::is_base64_letter;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Six base-62 digits of the CRC-32, most significant first.
pub(in crate::scan) fn base62_crc32(body: &[u8]) -> [u8; 6] {
    let mut left = crc32fast::hash(body) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[left % 62];
        left /= 62;
    }
    digits
}

pub(super) fn has_crc32_base62(after_prefix: &[u8]) -> bool {
    after_prefix
        .split_last_chunk::<6>()
        .is_some_and(|(body, sum)| base62_crc32(body) == *sum)
}

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
    for byte in &id[4..] {
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

/// Follows the three parts of a token whose header starts at the value.
pub(super) fn json_web_token(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    const PART_MAX_BYTES: usize = 8 << 10;
    let part = |from: usize| {
        let rest = &text[from.min(text.len())..];
        let length = rest
            .iter()
            .take(PART_MAX_BYTES)
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            .count();
        from..from + length
    };
    let header = part(value.start);
    if text.get(header.end) != Some(&b'.') {
        return (Judgement::Refuted, value);
    }
    let claims = part(header.end + 1);
    if text.get(claims.end) != Some(&b'.') {
        return (Judgement::Refuted, value);
    }
    let signature = part(claims.end + 1);
    let whole = value.start..signature.end;
    let json = |part: &Range<usize>| -> Option<serde_json::Value> {
        serde_json::from_slice(&from_base64(&text[part.clone()])).ok()
    };
    let Some(head) = json(&header) else {
        return (Judgement::Refuted, whole);
    };
    let Some(algorithm) = head.get("alg").and_then(|alg| alg.as_str()) else {
        return (Judgement::Refuted, whole);
    };
    if head.get("enc").is_some() {
        // Encrypted: the second part is a key, not claims.
        return (Judgement::Doubtful, whole);
    }
    let Some(claims) = json(&claims).filter(serde_json::Value::is_object) else {
        return (Judgement::Refuted, whole);
    };
    let says =
        |name: &str, text: &str| claims.get(name).and_then(|told| told.as_str()) == Some(text);
    if says("sub", "1234567890") && says("name", "John Doe") {
        // The example of jwt.io.
        return (Judgement::Refuted, whole);
    }
    let expires = claims.get("exp").and_then(serde_json::Value::as_i64);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    let expired = expires.is_some_and(|at| at < now);
    // Supabase's browser key is public by design.
    let public = says("role", "anon");
    let unsigned = algorithm.eq_ignore_ascii_case("none") || signature.len() < 40;
    if expired || public || unsigned {
        (Judgement::Doubtful, whole)
    } else {
        (Judgement::Plausible, whole)
    }
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
    let macaroon = from_base64(&text[value.start + 5..whole.end]);
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

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// `AGE-SECRET-KEY-1…`, upper case.
pub(super) fn age_identity(value: &[u8]) -> Judgement {
    let lower = value.to_ascii_lowercase();
    let Some(data) = lower.strip_prefix(b"age-secret-key-1") else {
        return Judgement::Refuted;
    };
    let five: Option<Vec<u8>> = data
        .iter()
        .map(|byte| {
            let at = BECH32.iter().position(|letter| letter == byte)?;
            u8::try_from(at).ok()
        })
        .collect();
    match five {
        Some(five) if polymod(&five, b"age-secret-key-") == 1 => Judgement::Proved,
        _ => Judgement::Doubtful,
    }
}

fn polymod(data: &[u8], prefix: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let high = prefix.iter().map(|byte| byte >> 5);
    let low = prefix.iter().map(|byte| byte & 31);
    let all = high.chain([0]).chain(low).chain(data.iter().copied());
    all.fold(1u32, |sum, five| {
        let top = sum >> 25;
        let sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(five);
        GENERATOR
            .iter()
            .enumerate()
            .fold(sum, |sum, (bit, constant)| {
                if top >> bit & 1 == 1 {
                    sum ^ constant
                } else {
                    sum
                }
            })
    })
}

/// The data with its checksum, as bech32 letters, lower case. For samples.
pub(in crate::scan) fn bech32_checksum(prefix: &[u8], five: &[u8]) -> String {
    let mut padded = five.to_vec();
    padded.extend([0; 6]);
    let sum = polymod(&padded, prefix) ^ 1;
    let check = (0..6u32).map(|at| (sum >> (5 * (5 - at)) & 31) as u8);
    five.iter()
        .copied()
        .chain(check)
        .map(|five| char::from(BECH32[usize::from(five)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn github_checksum_of_a_revoked_documented_token() {
        // Body and checksum of the token in GitHub's own write-up, without its prefix.
        assert_eq!(base62_crc32(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), *b"0mLq17");
    }

    #[test]
    fn bech32_of_its_own_specification() {
        // `a12uel5l`, a valid string of BIP 173: prefix `a`, no data.
        assert_eq!(bech32_checksum(b"a", &[]), "2uel5l");
    }

    #[test]
    fn an_id_with_an_impossible_account() {
        let id = [b"AKIA".as_slice(), &[b'7'; 16]].concat();
        assert_eq!(aws_access_key_id(&id, &(0..20)), Judgement::Doubtful);
    }
}
