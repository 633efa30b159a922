//! Tokens whose claims can be read: JSON web tokens and PASETO. Expired, made for a test, or in force.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

use super::Judgement;
use crate::scan::decode::from_base64;

/// Longest part that is followed.
const PART_MAX_BYTES: usize = 8 << 10;

/// Secrets of documentation and of first steps. A token signed with one proves nothing to anybody.
const EXAMPLE_SECRETS: &[&str] = &[
    "",
    "secret",
    "secretkey",
    "secret-key",
    "secret_key",
    "secretKey",
    "my-secret",
    "my_secret",
    "mysecret",
    "my-secret-key",
    "mysecretkey",
    "supersecret",
    "super-secret",
    "super_secret",
    "topsecret",
    "jwt-secret",
    "jwt_secret",
    "jwtsecret",
    "your-secret",
    "your-secret-key",
    "your_jwt_secret",
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "key",
    "test",
    "testing",
    "password",
    "changeme",
    "shhhhh",
    "shhhhhared-secret",
    "foo",
    "bar",
    "abc",
    "123456",
    "token",
];

/// Letters of base64url from `from`, within bounds.
fn part(text: &[u8], from: usize) -> Range<usize> {
    let rest = &text[from.min(text.len())..];
    let length = rest
        .iter()
        .take(PART_MAX_BYTES)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        .count();
    from..from + length
}

fn json(letters: &[u8]) -> Option<Value> {
    serde_json::from_slice(&from_base64(letters)).ok()
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// Whether a host is one that nobody can own.
fn is_reserved_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let domain = |name: &str| {
        host.strip_suffix(name)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    [
        "example.com",
        "example.org",
        "example.net",
        "example",
        "test",
        "invalid",
        "localhost",
    ]
    .into_iter()
    .any(domain)
        || host.starts_with("127.")
        || host == "::1"
        || host == "[::1]"
}

/// What the issuer is: a test, somebody, nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Issuer {
    Reserved,
    Named,
    None,
}

fn issuer(claims: &Value) -> Issuer {
    let Some(told) = claims.get("iss").and_then(Value::as_str) else {
        return Issuer::None;
    };
    let host = told.split_once("://").map_or(told, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or(host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if told.trim().is_empty() {
        Issuer::None
    } else if is_reserved_host(host) {
        Issuer::Reserved
    } else {
        Issuer::Named
    }
}

/// Bytes of a signature. `None`: an algorithm that is not known, or with more than one length.
fn signature_fits(algorithm: &str, length: usize) -> Option<bool> {
    Some(match algorithm {
        "HS256" => length == 32,
        "HS384" => length == 48,
        "HS512" => length == 64,
        "ES256" | "ES256K" => length == 64,
        "ES384" => length == 96,
        "ES512" => length == 132,
        "EdDSA" => length == 64 || length == 114,
        "Ed25519" => length == 64,
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => {
            (128..=1024).contains(&length) && length.is_multiple_of(32)
        }
        _ => return None,
    })
}

/// Whether the token is signed with a secret that every reader of a tutorial knows.
fn signed_with_an_example(algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
    fn verifies<M: Mac + KeyInit>(secret: &str, signed: &[u8], signature: &[u8]) -> bool {
        <M as KeyInit>::new_from_slice(secret.as_bytes()).is_ok_and(|mut mac| {
            mac.update(signed);
            mac.verify_slice(signature).is_ok()
        })
    }
    let verifies = match algorithm {
        "HS256" => verifies::<Hmac<sha2::Sha256>>,
        "HS384" => verifies::<Hmac<sha2::Sha384>>,
        "HS512" => verifies::<Hmac<sha2::Sha512>>,
        _ => return false,
    };
    EXAMPLE_SECRETS
        .iter()
        .any(|secret| verifies(secret, signed, signature))
}

/// Follows the parts of a token whose header starts at the value.
pub(super) fn json_web_token(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let header = part(text, value.start);
    let Some(head) = json(&text[header.clone()]) else {
        return (Judgement::Refuted, value);
    };
    if text.get(header.end) != Some(&b'.') {
        return (Judgement::Refuted, value);
    }
    let Some(algorithm) = head.get("alg").and_then(Value::as_str) else {
        return (Judgement::Refuted, value);
    };
    let payload = part(text, header.end + 1);
    if text.get(payload.end) != Some(&b'.') {
        return (Judgement::Refuted, value);
    }
    let signature = part(text, payload.end + 1);
    if head.get("enc").is_some() {
        // Encrypted: key, nonce, text and tag follow. What is in it only the receiver knows.
        let mut end = signature.end;
        for _ in 0..2 {
            if text.get(end) == Some(&b'.') {
                end = part(text, end + 1).end;
            }
        }
        return (Judgement::Doubtful, value.start..end);
    }
    let whole = value.start..signature.end;
    let Some(claims) = json(&text[payload.clone()]).filter(Value::is_object) else {
        // Signed text that is no set of claims, or another token inside it.
        let nested = text[payload].starts_with(b"ZXlK");
        let judgement = match nested {
            true => Judgement::Doubtful,
            false => Judgement::Refuted,
        };
        return (judgement, whole);
    };
    let mac = from_base64(&text[signature.clone()]);
    let signed = &text[value.start..payload.end];
    (judge_claims(algorithm, &claims, signed, &mac), whole)
}

fn judge_claims(algorithm: &str, claims: &Value, signed: &[u8], signature: &[u8]) -> Judgement {
    let says = |name: &str, text: &str| claims.get(name).and_then(Value::as_str) == Some(text);
    // The examples of jwt.io and of RFC 7519.
    if says("sub", "1234567890") && says("name", "John Doe")
        || says("iss", "joe") && claims.get("http://example.com/is_root").is_some()
    {
        return Judgement::Refuted;
    }
    let expires = claims.get("exp").and_then(Value::as_f64);
    #[allow(
        clippy::cast_precision_loss,
        reason = "a clock needs no more than 53 bits"
    )]
    let expired = expires.is_some_and(|at| at < now() as f64);
    let issuer = issuer(claims);
    // Supabase's browser key is public by design, and its local stack has one key for everybody.
    let public = says("role", "anon") || says("iss", "supabase-demo");
    let unsigned = algorithm.eq_ignore_ascii_case("none") || signature.len() < 30;
    if expired
        || public
        || unsigned
        || issuer == Issuer::Reserved
        || signed_with_an_example(algorithm, signed, signature)
    {
        return Judgement::Doubtful;
    }
    // A service account of Kubernetes has an issuer that every cluster has.
    let any_cluster = says("iss", "kubernetes/serviceaccount");
    let in_force = expires.is_some() || (issuer == Issuer::Named && !any_cluster);
    match signature_fits(algorithm, signature.len()) {
        Some(true) if in_force => Judgement::Proved,
        _ => Judgement::Plausible,
    }
}

/// `v4.public.…`, `v2.local.…`: the value is the whole token, footer and all.
pub(super) fn paseto(value: &[u8]) -> Judgement {
    let mut parts = value.split(|byte| *byte == b'.');
    let (Some(version), Some(purpose), Some(body)) = (parts.next(), parts.next(), parts.next())
    else {
        return Judgement::Refuted;
    };
    // A lone letter at the end is no base64.
    if body.len() % 4 == 1 {
        return Judgement::Refuted;
    }
    let body = from_base64(body);
    // Nonce and tag, or the signature at the end.
    let overhead = match (version, purpose) {
        (b"v1" | b"v3", b"local") => 32 + 48,
        (b"v2", b"local") => 24 + 16,
        (b"v4", b"local") => 32 + 32,
        (b"v1", b"public") => 256,
        (b"v2" | b"v4", b"public") => 64,
        (b"v3", b"public") => 96,
        _ => return Judgement::Refuted,
    };
    let Some(message) = body
        .len()
        .checked_sub(overhead)
        .filter(|length| *length > 1)
    else {
        return Judgement::Refuted;
    };
    if purpose == b"local" {
        return Judgement::Plausible;
    }
    let Some(claims) = serde_json::from_slice::<Value>(&body[..message])
        .ok()
        .filter(Value::is_object)
    else {
        return Judgement::Refuted;
    };
    let expires = claims.get("exp").and_then(Value::as_str);
    let at = expires.map(|told| {
        told.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_second)
    });
    let expired = matches!(at, Some(Ok(at)) if at < now());
    let issuer = issuer(&claims);
    if expired || issuer == Issuer::Reserved {
        Judgement::Doubtful
    } else if matches!(at, Some(Ok(_))) || issuer == Issuer::Named {
        Judgement::Proved
    } else {
        Judgement::Plausible
    }
}

/// A key of PASERK: `k4.secret.…`, `k3.local.…`. Its length is that of the version's keys.
pub(super) fn paserk(value: &[u8]) -> Judgement {
    let mut parts = value.split(|byte| *byte == b'.');
    let (Some(version), Some(kind), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return Judgement::Refuted;
    };
    let key = from_base64(body);
    let fits = match (version, kind) {
        (_, b"local") => key.len() == 32,
        (b"k2" | b"k4", b"secret") => key.len() == 64,
        (b"k3", b"secret") => key.len() == 48,
        (b"k1", b"secret") => {
            return super::der::private_key(&key).judgement();
        }
        _ => false,
    };
    match fits {
        true if super::material::is_filler(&key) => Judgement::Doubtful,
        true => Judgement::Plausible,
        false => Judgement::Refuted,
    }
}
