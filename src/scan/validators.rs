//! What looks closer at a match: checksums, structure, key material, evidence. Never the network.

mod armour;
mod azure;
mod checksums;
mod claims;
mod containers;
mod der;
mod evidence;
mod jwk;
mod material;
mod tokens;
mod wallets;

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod tests;

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
    /// PASETO: lengths, and the claims of a public one.
    Paseto,
    /// A key of PASERK, by its length.
    Paserk,
    /// A private key in armour, followed to its end.
    PrivateKey,
    /// A PuTTY key file.
    PuttyKey,
    /// A private key as DER bytes: PKCS#8, PKCS#1, SEC1.
    DerKey,
    /// A PKCS#12 file that holds a key.
    Pkcs12,
    /// A Java key store that holds a key.
    JavaKeystore,
    /// A JSON web key with its private part.
    Jwk,
    /// A secret key of minisign or signify.
    Signify,
    /// A private key of libgcrypt.
    SExpression,
    /// The same inside the JSON of a service account.
    GcpServiceAccount,
    /// Checksum of bech32 or bech32m: age, Nostr, Cardano.
    Bech32,
    /// Structure of a macaroon.
    PypiMacaroon,
    /// A macaroon of the first version, in base64.
    Macaroon,
    /// One of the second version, in hex.
    HexMacaroon,
    /// GitLab's checksum of a routable token.
    GitlabRoutable,
    /// The check digit of Luhn.
    Luhn,
    /// Wallet import format of Bitcoin.
    BitcoinWif,
    /// An extended private key of BIP 32.
    ExtendedKey,
    /// 64 hex digits that are a key of secp256k1.
    HexKey,
    /// A pair of keys of Solana.
    SolanaKey,
    /// A secret seed of Stellar.
    StellarSeed,
    /// A seed of NATS.
    NatsSeed,
    /// A family seed of the XRP Ledger.
    XrpSeed,
    /// A secret key of Tezos.
    TezosKey,
    /// The words of BIP 39 and their checksum.
    Mnemonic,
    /// A common annotated security key of Microsoft.
    AzureAnnotatedKey,
    /// A shared access signature of Azure: length and expiry.
    AzureSas,
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
        ("paseto", Validator::Paseto),
        ("paserk", Validator::Paserk),
        ("private-key", Validator::PrivateKey),
        ("putty-key", Validator::PuttyKey),
        ("der-key", Validator::DerKey),
        ("pkcs12", Validator::Pkcs12),
        ("java-keystore", Validator::JavaKeystore),
        ("jwk", Validator::Jwk),
        ("signify", Validator::Signify),
        ("s-expression", Validator::SExpression),
        ("gcp-service-account", Validator::GcpServiceAccount),
        ("bech32", Validator::Bech32),
        ("pypi-macaroon", Validator::PypiMacaroon),
        ("macaroon", Validator::Macaroon),
        ("hex-macaroon", Validator::HexMacaroon),
        ("gitlab-routable", Validator::GitlabRoutable),
        ("luhn", Validator::Luhn),
        ("bitcoin-wif", Validator::BitcoinWif),
        ("extended-key", Validator::ExtendedKey),
        ("hex-key", Validator::HexKey),
        ("solana-key", Validator::SolanaKey),
        ("stellar-seed", Validator::StellarSeed),
        ("nats-seed", Validator::NatsSeed),
        ("xrp-seed", Validator::XrpSeed),
        ("tezos-key", Validator::TezosKey),
        ("mnemonic", Validator::Mnemonic),
        ("azure-annotated-key", Validator::AzureAnnotatedKey),
        ("azure-sas", Validator::AzureSas),
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

impl Validator {
    /// Whether it may follow the text for kilobytes, which costs more than a look at the match.
    pub(super) fn follows(self) -> bool {
        matches!(
            self,
            Validator::PrivateKey
                | Validator::PuttyKey
                | Validator::GcpServiceAccount
                | Validator::Jwt
                | Validator::Jwk
                | Validator::Pkcs12
                | Validator::JavaKeystore
                | Validator::SExpression
                | Validator::Macaroon
                | Validator::PypiMacaroon
        )
    }
}

impl Validator {
    /// How far around a match it may look, in bytes. It is shown no more.
    pub(super) fn context(self) -> usize {
        match self {
            Validator::Pkcs12 | Validator::JavaKeystore => 264 << 10,
            Validator::DerKey => 32 << 10,
            _ if self.follows() => 32 << 10,
            Validator::AzureSas | Validator::AwsAccessKeyId | Validator::Mnemonic => 1_100,
            _ => 320,
        }
    }
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
        Validator::Crc32Base62 => match checksums::has_crc32_base62(after_prefix) {
            true => Judgement::Proved,
            false => Judgement::Doubtful,
        },
        Validator::Crc32Base62Lenient => match checksums::has_crc32_base62(after_prefix) {
            true => Judgement::Proved,
            false => Judgement::Plausible,
        },
        Validator::GrafanaCrc => tokens::grafana(bytes),
        Validator::AwsAccessKeyId => tokens::aws_access_key_id(text, &value),
        Validator::AwsSecretKey => evidence::aws_secret_key(bytes),
        Validator::Jwt => return claims::json_web_token(text, value),
        Validator::Paseto => claims::paseto(bytes),
        Validator::Paserk => claims::paserk(bytes),
        Validator::PrivateKey => return armour::private_key(text, value),
        Validator::PuttyKey => return armour::putty(text, value),
        Validator::DerKey => return der::in_binary(text, value),
        Validator::Pkcs12 => return der::pkcs12(text, value),
        Validator::JavaKeystore => return containers::java_keystore(text, value),
        Validator::Jwk => return jwk::json_web_key(text, value),
        Validator::Signify => containers::signify(bytes),
        Validator::SExpression => return containers::s_expression(text, value),
        Validator::GcpServiceAccount => return armour::service_account(text, value),
        Validator::Bech32 => wallets::bech32(bytes),
        Validator::PypiMacaroon => return tokens::pypi(text, value),
        Validator::Macaroon => return tokens::macaroon(text, value),
        Validator::HexMacaroon => tokens::hex_macaroon(bytes),
        Validator::GitlabRoutable => tokens::gitlab_routable(bytes),
        Validator::Luhn => match checksums::has_luhn(bytes) {
            true => Judgement::Plausible,
            false => Judgement::Refuted,
        },
        Validator::BitcoinWif => wallets::wif(bytes),
        Validator::ExtendedKey => wallets::extended_key(bytes),
        Validator::HexKey => wallets::hex_key(bytes),
        Validator::SolanaKey => wallets::solana(bytes),
        Validator::StellarSeed => wallets::stellar(bytes),
        Validator::NatsSeed => wallets::nkey(bytes),
        Validator::XrpSeed => wallets::xrp_seed(bytes),
        Validator::TezosKey => wallets::tezos(bytes),
        Validator::Mnemonic => return wallets::mnemonic(text, value),
        Validator::AzureAnnotatedKey => azure::annotated_key(bytes),
        Validator::AzureSas => azure::shared_access(text, value.clone()),
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

pub(super) use azure::checksums as annotated_checksums;
pub(super) use checksums::{
    BASE58, BASE58_XRP, base36, base62_crc32, bech32_checksum, crc16, to_base58, to_base58check,
};
pub(super) use evidence::{beside_provider, in_reference};
pub(super) use material::product;
pub(super) use wallets::{last_word, word};
