//! Keys, certificates and signatures of ssh, as their bytes say (RFC 4253, 5656 and 8709; PROTOCOL.certkeys,
//! PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH).

use data_encoding::{BASE64, BASE64_NOPAD};
use sha2::{Digest as _, Sha256};

use super::armor;
use super::crypto::{Curve, Hash, Key};
use super::wire::{Wire, put};

/// The first line of a signature.
pub(crate) const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
pub(crate) const END: &[u8] = b"-----END SSH SIGNATURE-----";

/// What a signature of git says that it is for.
const NAMESPACE: &[u8] = b"git";

/// A principal list longer than this is nobody's: what OpenSSH takes.
const PRINCIPALS_MAX: usize = 256;

/// Kinds of keys: the name, and how many strings follow it.
const KINDS: &[(&[u8], usize)] = &[
    (b"ssh-ed25519", 1),
    (b"ssh-rsa", 2),
    (b"ecdsa-sha2-nistp256", 2),
    (b"ecdsa-sha2-nistp384", 2),
    (b"ecdsa-sha2-nistp521", 2),
    (b"sk-ssh-ed25519@openssh.com", 2),
    (b"sk-ecdsa-sha2-nistp256@openssh.com", 3),
];

/// The end of the name of every kind of certificate.
const CERTIFICATE: &[u8] = b"-cert-v01@openssh.com";

/// The plain kind that a kind of certificate certifies.
pub(crate) fn certified(kind: &[u8]) -> Option<&'static (&'static [u8], usize)> {
    let stem = kind.strip_suffix(CERTIFICATE)?;
    let stem = match stem {
        b"rsa-sha2-256" | b"rsa-sha2-512" => b"ssh-rsa",
        stem => stem,
    };
    KINDS
        .iter()
        .find(|(name, _)| name.strip_suffix(b"@openssh.com").unwrap_or(name) == stem)
}

/// Whether a key is a certificate.
pub(crate) fn is_certificate(kind: &[u8]) -> bool {
    kind.ends_with(CERTIFICATE)
}

/// `SHA256:…` of a plain key, as `ssh-keygen -l` shows it.
pub(crate) fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", BASE64_NOPAD.encode(&Sha256::digest(key)))
}

/// The name of the kind that a blob starts with.
pub(crate) fn kind(blob: &[u8]) -> Option<&[u8]> {
    Wire(blob).string()
}

/// Reads `type base64`, as authorized_keys, allowed_signers and lists of revoked keys hold keys. What follows is a comment.
pub(super) fn read_key(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = text
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let name = words.next()?;
    let blob = BASE64.decode(words.next()?).ok()?;
    (kind(&blob)? == name).then_some(blob)
}

/// The fingerprint of the key that an armoured signature carries, whether it holds or not.
pub(crate) fn claimed_key(armored: &[u8]) -> Option<String> {
    let blob = armor::decode(armored, BEGIN, END)?;
    let mut rest = Wire(blob.strip_prefix(b"SSHSIG")?);
    let _version = rest.number()?;
    rest.string().map(fingerprint)
}

/// Whether an armoured signature is one by its form, of a key of a kind that is known, whether it holds or not.
pub(crate) fn is_well_formed(armored: &[u8]) -> bool {
    let fields = |blob: &[u8]| {
        let mut wire = Wire(blob.strip_prefix(b"SSHSIG")?);
        let version = wire.number()?;
        let signer = kind(wire.string()?)?;
        let (_namespace, _reserved) = (wire.string()?, wire.string()?);
        let hash = wire.string()?;
        let made = kind(wire.string()?)?;
        let is_known =
            KINDS.iter().any(|(known, _)| *known == signer) || certified(signer).is_some();
        Some(
            version == 1
                && is_known
                && matches!(hash, b"sha256" | b"sha512")
                && !made.is_empty()
                && wire.is_empty(),
        )
    };
    let blob = armor::decode(armored, BEGIN, END);
    blob.is_some_and(|blob| fields(&blob) == Some(true))
}

/// Why a signature does not hold: the rest of a sentence that starts with "the signature".
pub(super) type Flaw = &'static str;

/// A certificate, by the key of an authority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certificate<'a> {
    /// The kind of the key that it certifies, and the fields of that key.
    plain: &'static [u8],
    fields: &'a [u8],
    pub(super) serial: u64,
    /// 1 for a user, 2 for a host.
    role: u32,
    /// The name that its authority gave it.
    pub(crate) key_id: &'a [u8],
    principals: &'a [u8],
    /// Seconds since 1970: the first when it holds, and the first when it holds no more.
    pub(super) after: u64,
    pub(super) before: u64,
    options: &'a [u8],
    /// The key of the authority.
    pub(super) authority: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart. `None`: it is none, or of a kind that is not known.
    pub(crate) fn parse(blob: &'a [u8]) -> Option<Self> {
        let mut wire = Wire(blob);
        let (plain, count) = certified(wire.string()?)?;
        wire.string()?; // nonce
        let start = wire.0;
        for _ in 0..*count {
            wire.string()?;
        }
        let fields = &start[..start.len() - wire.0.len()];
        let serial = wire.long()?;
        let role = wire.number()?;
        let key_id = wire.string()?;
        let principals = wire.string()?;
        let (after, before) = (wire.long()?, wire.long()?);
        let options = wire.string()?;
        wire.string()?; // extensions: rights of a login
        wire.string()?; // reserved
        let authority = wire.string()?;
        let signed = &blob[..blob.len() - wire.0.len()];
        let signature = wire.string()?;
        wire.is_empty().then_some(Certificate {
            plain,
            fields,
            serial,
            role,
            key_id,
            principals,
            after,
            before,
            options,
            authority,
            signed,
            signature,
        })
    }

    /// The key that it certifies.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.fields.len() + 40);
        put(&mut key, self.plain);
        key.extend_from_slice(self.fields);
        key
    }

    /// The names that it is for; `None`: the list cannot be read, or is too long.
    pub(crate) fn principals(&self) -> Option<Vec<&'a [u8]>> {
        let mut wire = Wire(self.principals);
        let mut names = Vec::new();
        while !wire.is_empty() {
            if names.len() == PRINCIPALS_MAX {
                return None;
            }
            names.push(wire.string()?);
        }
        Some(names)
    }

    /// Whether it is for users, not for hosts.
    pub(crate) fn is_for_users(&self) -> bool {
        self.role == 1
    }

    /// Seconds between the two moments.
    pub(super) fn lifetime(&self) -> u64 {
        self.before.saturating_sub(self.after)
    }

    /// Whether it is one for users, made by its authority, with no condition that is not understood. Gives whether
    /// the owner's finger or PIN must be behind each signature.
    fn check(&self) -> Result<bool, Flaw> {
        if !self.is_for_users() {
            return Err("is made with a certificate that is not for users");
        }
        if is_certificate(kind(self.authority).unwrap_or_default()) {
            return Err("is made with a certificate whose authority is a certificate");
        }
        let mut verified = false;
        let mut wire = Wire(self.options);
        while !wire.is_empty() {
            let (Some(name), Some(_)) = (wire.string(), wire.string()) else {
                return Err("is made with a certificate whose critical options cannot be read");
            };
            match name {
                // What a login may do, and from where: nothing about signatures.
                b"force-command" | b"source-address" => {}
                b"verify-required" => verified = true,
                _ => return Err("is made with a certificate that has an unknown critical option"),
            }
        }
        verify(self.authority, self.signed, self.signature, false)
            .map_err(|_| "is made with a certificate that its authority did not sign")?;
        Ok(verified)
    }
}

/// A signature that holds under the key that it names. Whose key that is, is another question.
#[derive(Debug)]
pub(super) struct Signature {
    /// The key, or the certificate.
    pub(super) signer: Vec<u8>,
}

impl Signature {
    /// Reads a signature and checks it over the payload.
    pub(super) fn verified(payload: &[&[u8]], armored: &[u8]) -> Result<Signature, Flaw> {
        const MALFORMED: Flaw = "is not well formed";
        let blob = armor::decode(armored, BEGIN, END).ok_or(MALFORMED)?;
        let mut wire = Wire(&blob);
        if wire.take(6) != Some(b"SSHSIG") || wire.number() != Some(1) {
            return Err(MALFORMED);
        }
        let mut string = || wire.string().ok_or(MALFORMED);
        let signer = string()?;
        let namespace = string()?;
        string()?; // reserved
        let hash_name = string()?;
        let signature = string()?;
        if !wire.is_empty() {
            return Err(MALFORMED);
        }
        if namespace != NAMESPACE {
            return Err("was made for another namespace than git");
        }
        let hash = match hash_name {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            _ => return Err("uses a hash that is not taken"),
        };
        let mut signed = b"SSHSIG".to_vec();
        for string in [NAMESPACE, b"", hash_name, &hash.digest(payload)] {
            put(&mut signed, string);
        }
        match Certificate::parse(signer) {
            Some(certificate) => {
                let finger = certificate.check()?;
                verify(&certificate.key(), &signed, signature, finger)?;
            }
            None if is_certificate(kind(signer).unwrap_or_default()) => {
                return Err("is made with a certificate of a kind that is not known");
            }
            None => verify(signer, &signed, signature, false)?,
        }
        Ok(Signature {
            signer: signer.to_vec(),
        })
    }
}

/// Checks a signature in the form of ssh: its algorithm, and what the algorithm makes. `verified`: a security key must say
/// that it verified its user.
fn verify(key: &[u8], signed: &[u8], signature: &[u8], verified: bool) -> Result<(), Flaw> {
    const BAD: Flaw = "does not hold: what was signed is not what is here";
    const KEY: Flaw = "names a key that is not well formed";
    let mut fields = Wire(key);
    let kind = fields.string().ok_or(KEY)?;
    let mut wire = Wire(signature);
    let (algorithm, made) = (wire.string().ok_or(BAD)?, wire.string().ok_or(BAD)?);
    // A security key adds what it did, and how often.
    let hardware = kind.starts_with(b"sk-");
    let tail = if hardware {
        wire.take(5).ok_or(BAD)?
    } else {
        &[]
    };
    if !wire.is_empty() {
        return Err(BAD);
    }
    if kind != b"ssh-rsa" && algorithm != kind {
        return Err("is of another kind than its key");
    }
    const USER_VERIFIED: u8 = 4;
    if verified && tail.first().is_none_or(|flags| flags & USER_VERIFIED == 0) {
        return Err("lacks the PIN or finger that its certificate asks for");
    }
    let read = |fields: &mut Wire<'_>| -> Option<(Key, Vec<u8>)> {
        let key = match kind {
            b"ssh-ed25519" | b"sk-ssh-ed25519@openssh.com" => {
                Key::Ed25519(fields.string()?.try_into().ok()?)
            }
            b"ssh-rsa" => {
                let exponent = fields.positive()?.to_vec();
                Key::Rsa(fields.positive()?.to_vec(), exponent)
            }
            _ => {
                let curve = fields.string()?;
                let point = fields.string()?.to_vec();
                Key::Ecdsa(curve_of(kind, curve)?, point)
            }
        };
        let application = if hardware { fields.string()? } else { b"" };
        fields.is_empty().then(|| (key, application.to_vec()))
    };
    if !KINDS.iter().any(|(name, _)| *name == kind) {
        return Err("is made with a kind of key that is not taken");
    }
    let (key, application) = read(&mut fields).ok_or(KEY)?;
    let message = match hardware {
        false => signed.to_vec(),
        true => [
            Sha256::digest(&application).as_slice(),
            tail,
            Sha256::digest(signed).as_slice(),
        ]
        .concat(),
    };
    let holds = match &key {
        Key::Ed25519(key) => Key::ed25519(key, &message, made),
        Key::Ecdsa(curve, point) => {
            let hash = match curve {
                Curve::P256 => Hash::Sha256,
                Curve::P384 => Hash::Sha384,
                Curve::P521 => Hash::Sha512,
            };
            let mut numbers = Wire(made);
            let (Some(r), Some(s), true) =
                (numbers.positive(), numbers.positive(), numbers.is_empty())
            else {
                return Err(BAD);
            };
            Key::ecdsa(*curve, point, &hash.digest(&[&message]), r, s)
        }
        Key::Rsa(modulus, exponent) => {
            let hash = match algorithm {
                b"rsa-sha2-256" => Hash::Sha256,
                b"rsa-sha2-512" => Hash::Sha512,
                b"ssh-rsa" => return Err("uses SHA-1, which can be forged"),
                _ => return Err("is of another kind than its key"),
            };
            let digest = hash.digest(&[&message]);
            Key::rsa(modulus, exponent, hash, &digest, made)
        }
    };
    if holds { Ok(()) } else { Err(BAD) }
}

/// The curve, when the key's kind and the key itself name the same.
fn curve_of(kind: &[u8], named: &[u8]) -> Option<Curve> {
    let of_kind = kind
        .strip_prefix(b"sk-")
        .unwrap_or(kind)
        .strip_prefix(b"ecdsa-sha2-")?;
    let of_kind = of_kind.strip_suffix(b"@openssh.com").unwrap_or(of_kind);
    if of_kind != named {
        return None;
    }
    match named {
        b"nistp256" => Some(Curve::P256),
        b"nistp384" => Some(Curve::P384),
        b"nistp521" => Some(Curve::P521),
        _ => None,
    }
}
