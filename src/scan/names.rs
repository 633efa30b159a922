//! What the name of a value promises: a secret, perhaps one, or something else.

mod words;

use words::{ABOUT, DIGESTS, OTHER_KEYS, OTHER_TOKENS, PUBLIC, SECRET_KEYS, TELLING};

/// What a name says of its value. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// `key`, `auth`: also the name of much else.
    Weak,
    /// `api_key`, `clientSecret`, `ACCESS_TOKEN`.
    Strong,
}

/// Words of a name, in lower case: `apiKey`, `API_KEY`, `api-key` and `api.key` are two.
fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, &byte) in name.iter().enumerate() {
        let next_is_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let last_is_lower =
            at > 0 && (name[at - 1].is_ascii_lowercase() || name[at - 1].is_ascii_digit());
        let starts = byte.is_ascii_uppercase()
            && (last_is_lower || (at > 0 && name[at - 1].is_ascii_uppercase() && next_is_lower));
        if starts || !byte.is_ascii_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if byte.is_ascii_alphanumeric() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// What the name of a key, token or secret promises.
pub(super) fn secret(name: &[u8]) -> Option<Promise> {
    let words = words(name);
    let is = |list: &[&str], word: &str| list.binary_search(&word).is_ok();
    if words.iter().any(|word| PUBLIC.contains(&word.as_str())) {
        return None;
    }
    let (at, promise) = words.iter().enumerate().rev().find_map(|(at, word)| {
        let before = at
            .checked_sub(1)
            .map_or("", |before| words[before].as_str());
        let singular = word.strip_suffix('s').unwrap_or(word);
        let promise = match singular {
            "secret" | "credential" | "cred" | "apikey" | "apitoken" | "accesskey"
            | "secretkey" | "authtoken" | "accesstoken" | "apisecret" | "clientsecret"
            | "authkey" | "privatekey" | "pat"
                if singular != "pat" || words.len() > 1 =>
            {
                Some(Promise::Strong)
            }
            "token" if is(OTHER_TOKENS, before) => return Some((at, None)),
            "token" if word == "tokens" => return Some((at, None)),
            "token" => Some(Promise::Strong),
            "key" if is(OTHER_KEYS, before) => return Some((at, None)),
            "key" if is(SECRET_KEYS, before) => Some(Promise::Strong),
            "key" if before.is_empty() || word == "keys" => Some(Promise::Weak),
            // A provider's name: `FASTLY_KEY`.
            "key" => Some(Promise::Strong)
                .filter(|_| name.iter().all(|byte| !byte.is_ascii_lowercase()))
                .or(Some(Promise::Weak)),
            "auth" | "authorization" | "authentication" => Some(Promise::Weak),
            other => [
                "apikey",
                "accesskey",
                "secretkey",
                "apitoken",
                "authtoken",
                "accesstoken",
                "secret",
                "token",
            ]
            .iter()
            .any(|ending| other.len() > ending.len() && other.ends_with(ending))
            .then_some(Promise::Strong),
        };
        promise.map(|promise| (at, Some(promise)))
    })?;
    if words[at + 1..].iter().any(|word| is(ABOUT, word)) {
        return None;
    }
    promise
}

/// Whether the name is that of a password.
pub(super) fn is_password(name: &[u8]) -> bool {
    let words = words(name);
    let telling = |word: &str| {
        let ends = |ending: &str| word.ends_with(ending);
        ends("password")
            || ends("passwd")
            || ends("passphrase")
            || ends("passcode")
            || ends("pwd")
            || ends("passwort")
            || word == "pass"
            || word == "pw"
            || [
                "dbpass",
                "userpass",
                "rootpass",
                "adminpass",
                "mypass",
                "sshpass",
                "smtppass",
                "mailpass",
                "pgpass",
                "ftppass",
            ]
            .contains(&word)
            || word.starts_with("password")
    };
    match words.iter().rposition(|word| telling(word)) {
        None => false,
        Some(at) => !words[at + 1..].iter().any(|word| {
            ABOUT.binary_search(&word.as_str()).is_ok()
                || matches!(
                    word.as_str(),
                    "hash"
                        | "hashed"
                        | "salt"
                        | "digest"
                        | "strength"
                        | "reset"
                        | "change"
                        | "confirm"
                        | "confirmation"
                )
        }),
    }
}

/// Whether the text holds a telling word, in any case.
pub(super) fn is_telling(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    TELLING
        .iter()
        .any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some())
}

/// Whether the text says that a digest follows.
pub(super) fn tells_of_digest(text: &[u8]) -> bool {
    words(text)
        .iter()
        .any(|word| DIGESTS.binary_search(&word.as_str()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_without_doubles() {
        for list in [ABOUT, OTHER_KEYS, SECRET_KEYS, OTHER_TOKENS, DIGESTS] {
            for pair in list.windows(2) {
                assert!(pair[0] < pair[1], "{pair:?}");
            }
        }
    }

    #[test]
    fn names() {
        for name in [
            "api_key",
            "apiKey",
            "APIKEY",
            "X-Api-Key",
            "clientSecret",
            "GITHUB_TOKEN",
            "accessTokens.secret",
            "FASTLY_KEY",
            "db_credentials",
            "acmeapikey",
            "AccountKey",
        ] {
            assert_eq!(secret(name.as_bytes()), Some(Promise::Strong), "{name}");
        }
        for name in ["key", "auth", "fastly_key", "keys"] {
            assert_eq!(secret(name.as_bytes()), Some(Promise::Weak), "{name}");
        }
        for name in [
            "public_key",
            "secret_name",
            "token_type",
            "nextToken",
            "cacheKey",
            "primary_key",
            "keyboard",
            "tokens",
            "apiKeyId",
            "monkey",
            "stop_token",
            "secretKeyRef",
            "token_url",
        ] {
            assert_eq!(secret(name.as_bytes()), None, "{name}");
        }
        for name in [
            "password",
            "dbPassword",
            "DB_PASS",
            "rootpwd",
            "SSH_PASSPHRASE",
            "password1",
        ] {
            assert!(is_password(name.as_bytes()), "{name}");
        }
        for name in [
            "password_hash",
            "bypass",
            "compass",
            "passwordField",
            "passport",
            "PASSWORD_MIN_LENGTH",
            "pass_through_x_path",
        ] {
            assert!(!is_password(name.as_bytes()), "{name}");
        }
    }
}
