//! What looks closer at a match: checksums, structure, key material, evidence. Never the network.

mod armour;
mod evidence;
mod tokens;

use std::ops::Range;

use super::rules::SecretRule;

/// The built-in validators, by the name that a rule file gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validator {
    /// The pattern is all there is.
    None,
    /// The last six characters are the CRC-32 of those after the prefix, in base 62 (GitHub).
    Crc32Base62,
    /// The same where no public statement says what older tokens carry: a wrong one proves nothing.
    Crc32Base62Lenient,
    /// The last eight are the CRC-32 of what stands before, in hex (Grafana).
    GrafanaCrc,
    /// Names an account that can exist; a secret key beside it proves it.
    AwsAccessKeyId,
    /// 40 random base64 characters.
    AwsSecretKey,
    /// A JSON web token: header, claims, expiry.
    Jwt,
    /// A private key in armour, followed to its end.
    PrivateKey,
    /// The same inside the JSON of a service account.
    GcpServiceAccount,
    /// Bech32 checksum of an age identity.
    AgeBech32,
    /// Structure of a macaroon.
    PypiMacaroon,
    /// Base64 of 64 bytes.
    Base6464Bytes,
    /// The first part is a snowflake id in base64.
    DiscordToken,
    /// A URL with a password that is one.
    UrlPassword,
    /// Base64 of a JSON object.
    Base64Json,
    /// Base64 of `user:password`.
    BasicAuth,
    /// Letters and digits that a generator mixed.
    Random,
    /// What stands where a format has a password.
    Password,
    /// A value that is assigned to the name of a key, token or secret.
    AssignedSecret,
    /// A value that is assigned to the name of a password.
    AssignedPassword,
}

impl Validator {
    /// Every one, with the name that rule files give it.
    pub const ALL: &[(&str, Validator)] = &[
        ("none", Validator::None),
        ("crc32-base62", Validator::Crc32Base62),
        ("crc32-base62-lenient", Validator::Crc32Base62Lenient),
        ("grafana-crc", Validator::GrafanaCrc),
        ("aws-access-key-id", Validator::AwsAccessKeyId),
        ("aws-secret-key", Validator::AwsSecretKey),
        ("jwt", Validator::Jwt),
        ("private-key", Validator::PrivateKey),
        ("gcp-service-account", Validator::GcpServiceAccount),
        ("age-bech32", Validator::AgeBech32),
        ("pypi-macaroon", Validator::PypiMacaroon),
        ("base64-64-bytes", Validator::Base6464Bytes),
        ("discord-token", Validator::DiscordToken),
        ("url-password", Validator::UrlPassword),
        ("base64-json", Validator::Base64Json),
        ("basic-auth", Validator::BasicAuth),
        ("random", Validator::Random),
        ("password", Validator::Password),
        ("assigned-secret", Validator::AssignedSecret),
        ("assigned-password", Validator::AssignedPassword),
    ];

    /// The name that rule files give it.
    pub fn name(self) -> &'static str {
        let own = Self::ALL.iter().find(|(_, validator)| *validator == self);
        own.map_or("none", |(name, _)| name)
    }
}

/// What a validator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is not one.
    Refuted,
    /// It may be one: `possible`, whatever the rule says.
    Doubtful,
    /// Nothing speaks against it.
    Plausible,
    /// Verified.
    Proved,
}

/// Asks the rule's validator. It may follow the value further than the pattern did.
pub(super) fn judge(
    rule: &SecretRule,
    text: &[u8],
    found: Range<usize>,
    value: Range<usize>,
) -> (Judgement, Range<usize>) {
    let bytes = &text[value.clone()];
    let after_prefix = rule
        .prefix
        .and_then(|prefix| bytes.strip_prefix(prefix.as_bytes()))
        .unwrap_or(bytes);
    let judgement = match rule.validator {
        Validator::None => Judgement::Plausible,
        Validator::Crc32Base62 => match tokens::has_crc32_base62(after_prefix) {
            true => Judgement::Proved,
            false => Judgement::Doubtful,
        },
        Validator::Crc32Base62Lenient => match tokens::has_crc32_base62(after_prefix) {
            true => Judgement::Proved,
            false => Judgement::Plausible,
        },
        Validator::GrafanaCrc => tokens::grafana(bytes),
        Validator::AwsAccessKeyId => tokens::aws_access_key_id(text, &value),
        Validator::AwsSecretKey => evidence::aws_secret_key(bytes),
        Validator::Jwt => return tokens::json_web_token(text, value),
        Validator::PrivateKey => return armour::private_key(text, value),
        Validator::GcpServiceAccount => return armour::service_account(text, value),
        Validator::AgeBech32 => tokens::age_identity(bytes),
        Validator::PypiMacaroon => return tokens::pypi(text, value),
        Validator::Base6464Bytes => match super::decode::from_base64_padded(bytes) {
            Some(key) if key.len() == 64 => Judgement::Plausible,
            _ => Judgement::Refuted,
        },
        Validator::DiscordToken => tokens::discord(bytes),
        Validator::UrlPassword => evidence::url_password(&text[found], bytes),
        Validator::Base64Json => tokens::base64_json(after_prefix),
        Validator::BasicAuth => evidence::basic_auth(after_prefix),
        Validator::Random => evidence::random(bytes),
        Validator::Password => evidence::password_field(bytes),
        // Their rules have no pattern: see `assigned`.
        Validator::AssignedSecret | Validator::AssignedPassword => Judgement::Refuted,
    };
    (judgement, value)
}

/// Asks about the value that is assigned to the name with the word at `word`.
pub(super) fn assigned(
    rule: &SecretRule,
    text: &[u8],
    word: Range<usize>,
) -> Option<(Judgement, Range<usize>)> {
    match rule.validator {
        Validator::AssignedPassword => evidence::assigned_password(text, word),
        _ => evidence::assigned_secret(text, word),
    }
}

pub(super) use evidence::beside_provider;
pub(super) use tokens::{base62_crc32, bech32_checksum};
