//! Packets, and what a signature packet says.

use data_encoding::BASE64;

use super::super::armor;
use super::super::crypto::{Curve, Hash, Key};
use super::super::ssh::Flaw;
use super::super::wire::Wire;

/// Tags of packets.
pub(super) const SIGNATURE: u8 = 2;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const SECRET_SUBKEY: u8 = 7;
pub(super) const USER_ID: u8 = 13;
pub(super) const PUBLIC_SUBKEY: u8 = 14;
pub(super) const USER_ATTRIBUTE: u8 = 17;

/// Kinds of signatures.
pub(super) const BINARY: u8 = 0x00;
pub(super) const SUBKEY_BINDING: u8 = 0x18;
pub(super) const PRIMARY_BINDING: u8 = 0x19;
pub(super) const DIRECT_KEY: u8 = 0x1f;
pub(super) const KEY_REVOCATION: u8 = 0x20;
pub(super) const SUBKEY_REVOCATION: u8 = 0x28;
pub(super) const USER_REVOCATION: u8 = 0x30;

/// Key flag: may sign data.
pub(super) const MAY_SIGN: u8 = 2;

/// The bytes of an armoured block: header lines and the checksum are left out.
pub(super) fn dearmored(text: &[u8], begin: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let mut lines = armor::lines(text);
    if lines.next()? != begin {
        return None;
    }
    let mut digits = Vec::with_capacity(text.len());
    let mut in_headers = true;
    loop {
        let line = lines.next()?;
        if line == end {
            break;
        }
        if in_headers {
            // `Name: value` lines, and the empty one that ends them.
            match line.contains(&b':') {
                true => continue,
                false => in_headers = false,
            }
        }
        if !line.starts_with(b"=") {
            digits.extend_from_slice(line);
        }
    }
    let rest_is_empty = lines.all(<[u8]>::is_empty);
    rest_is_empty.then(|| BASE64.decode(&digits).ok())?
}

/// One packet.
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// Packets one after the other. What cannot be read ends them, and is left over.
pub(super) struct Packets<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let mut wire = Wire(self.0);
        let first = wire.byte()?;
        if first & 0x80 == 0 {
            return None;
        }
        let (tag, length) = match first & 0x40 {
            0 => {
                let length = match first & 3 {
                    0 => u32::from(wire.byte()?),
                    1 => u32::from(short(&mut wire)?),
                    2 => wire.number()?,
                    _ => return None, // of no length that is told
                };
                (first >> 2 & 15, length)
            }
            _ => (first & 63, length(&mut wire, true)?),
        };
        let body = wire.take(usize::try_from(length).ok()?)?;
        self.0 = wire.0;
        Some(Packet { tag, body })
    }
}

fn short(wire: &mut Wire<'_>) -> Option<u16> {
    let bytes = wire.take(2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// A length of one, two or five bytes. In packets 224 to 254 announce pieces, which no key and no signature comes in.
fn length(wire: &mut Wire<'_>, of_packet: bool) -> Option<u32> {
    match wire.byte()? {
        first @ ..192 => Some(u32::from(first)),
        224..=254 if of_packet => None,
        255 => wire.number(),
        first => Some(((u32::from(first) - 192) << 8) + u32::from(wire.byte()?) + 192),
    }
}

/// A number with its length in bits before it.
pub(super) fn number<'a>(wire: &mut Wire<'a>) -> Option<&'a [u8]> {
    let bits = short(wire)?;
    wire.take(usize::from(bits).div_ceil(8))
}

/// What a key is made of: its algorithm and its numbers.
pub(super) fn material(algorithm: u8, wire: &mut Wire<'_>) -> Option<Key> {
    let key = match algorithm {
        1 | 3 => {
            let modulus = number(wire)?.to_vec();
            Key::Rsa(modulus, number(wire)?.to_vec())
        }
        19 => {
            let length = usize::from(wire.byte()?);
            let curve = match wire.take(length)? {
                [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => Curve::P256,
                [0x2b, 0x81, 4, 0, 34] => Curve::P384,
                [0x2b, 0x81, 4, 0, 35] => Curve::P521,
                _ => return None,
            };
            Key::Ecdsa(curve, number(wire)?.to_vec())
        }
        22 => {
            let length = usize::from(wire.byte()?);
            if wire.take(length)? != [0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1] {
                return None;
            }
            Key::Ed25519(number(wire)?.strip_prefix(&[0x40])?.try_into().ok()?)
        }
        27 => Key::Ed25519(wire.take(32)?.try_into().ok()?),
        _ => return None,
    };
    wire.is_empty().then_some(key)
}

/// Whether a signature packet that cannot be read says of itself that it takes something back.
pub(super) fn may_revoke(body: &[u8]) -> bool {
    let kind = match body {
        [3, _, kind, ..] | [_, kind, ..] => *kind,
        _ => return false,
    };
    matches!(kind, KEY_REVOCATION | SUBKEY_REVOCATION | USER_REVOCATION)
}

/// A signature packet of version 4.
pub(super) struct Signature<'a> {
    pub(super) kind: u8,
    algorithm: u8,
    hash: Hash,
    /// From the version to the end of the subpackets that are signed too.
    head: &'a [u8],
    /// The first two bytes of the digest.
    left: &'a [u8],
    numbers: &'a [u8],
    /// Seconds since 1970.
    pub(super) created: i64,
    pub(super) expires_after: Option<i64>,
    pub(super) key_expires_after: Option<i64>,
    pub(super) flags: Option<u8>,
    /// Who made it, as it says itself: the id of a key, or a fingerprint.
    pub(super) issuers: Vec<&'a [u8]>,
    /// The signature of a subkey over its primary key.
    pub(super) embedded: Vec<&'a [u8]>,
    /// Somebody else may revoke the key.
    pub(super) has_revoker: bool,
}

impl<'a> Signature<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Flaw> {
        const MALFORMED: Flaw = "is not well formed";
        let mut wire = Wire(body);
        if wire.byte() != Some(4) {
            return Err("is of a version of OpenPGP that is not taken");
        }
        let (Some(kind), Some(algorithm), Some(hash)) = (wire.byte(), wire.byte(), wire.byte())
        else {
            return Err(MALFORMED);
        };
        let hash = match hash {
            8 => Hash::Sha256,
            9 => Hash::Sha384,
            10 => Hash::Sha512,
            1..=3 => return Err("uses a hash that can be forged"),
            _ => return Err("uses a hash that is not taken"),
        };
        let area = |wire: &mut Wire<'a>| {
            let length = short(wire)?;
            wire.take(usize::from(length))
        };
        let hashed = area(&mut wire).ok_or(MALFORMED)?;
        let head = &body[..body.len() - wire.0.len()];
        let unhashed = area(&mut wire).ok_or(MALFORMED)?;
        let left = wire.take(2).ok_or(MALFORMED)?;
        let mut signature = Signature {
            kind,
            algorithm,
            hash,
            head,
            left,
            numbers: wire.0,
            created: 0,
            expires_after: None,
            key_expires_after: None,
            flags: None,
            issuers: Vec::new(),
            embedded: Vec::new(),
            has_revoker: false,
        };
        signature.subpackets(hashed, true)?;
        signature.subpackets(unhashed, false)?;
        if signature.created == 0 {
            return Err(MALFORMED);
        }
        Ok(signature)
    }

    fn subpackets(&mut self, area: &'a [u8], hashed: bool) -> Result<(), Flaw> {
        const MALFORMED: Flaw = "is not well formed";
        let mut wire = Wire(area);
        while !wire.is_empty() {
            let length = length(&mut wire, false).ok_or(MALFORMED)?;
            let length = usize::try_from(length).map_err(|_| MALFORMED)?;
            let (kind, value) = wire
                .take(length)
                .and_then(<[u8]>::split_first)
                .ok_or(MALFORMED)?;
            let seconds = || Wire(value).number().map(i64::from).ok_or(MALFORMED);
            match (kind & 0x7f, hashed) {
                // Hints, and what proves itself.
                (16, _) => self.issuers.push(value),
                (33, _) => self.issuers.push(value.get(1..).unwrap_or_default()),
                (32, _) => self.embedded.push(value),
                (2, true) => self.created = seconds()?,
                (3, true) => self.expires_after = Some(seconds()?).filter(|after| *after > 0),
                (9, true) => self.key_expires_after = Some(seconds()?).filter(|after| *after > 0),
                (27, true) => self.flags = Some(value.first().copied().unwrap_or(0)),
                (12, true) => self.has_revoker = true,
                // Preferences, and who may export, revoke or trust: nothing that makes it hold or not.
                (4..=7 | 11 | 21..=26 | 28..=31 | 34 | 35 | 39, _) => {}
                _ if kind & 0x80 != 0 && hashed => {
                    return Err("asks for something that is not understood");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether this key made it over the parts.
    pub(super) fn holds(&self, key: &Key, parts: &[&[u8]]) -> bool {
        let length = u32::try_from(self.head.len()).unwrap_or(u32::MAX);
        let mut all = parts.to_vec();
        let [first, second, third, fourth] = length.to_be_bytes();
        let tail = [4, 0xff, first, second, third, fourth];
        all.extend([self.head, &tail]);
        let digest = self.hash.digest(&all);
        if digest[..2] != *self.left {
            return false;
        }
        let mut wire = Wire(self.numbers);
        match (key, self.algorithm) {
            (Key::Rsa(modulus, exponent), 1 | 3) => number(&mut wire).is_some_and(|signature| {
                wire.is_empty() && Key::rsa(modulus, exponent, self.hash, &digest, signature)
            }),
            (Key::Ecdsa(curve, point), 19) => match (number(&mut wire), number(&mut wire)) {
                (Some(r), Some(s)) if wire.is_empty() => Key::ecdsa(*curve, point, &digest, r, s),
                _ => false,
            },
            (Key::Ed25519(key), 22) => match (number(&mut wire), number(&mut wire)) {
                (Some(r), Some(s)) if wire.is_empty() && r.len() <= 32 && s.len() <= 32 => {
                    let mut both = [0; 64];
                    both[32 - r.len()..32].copy_from_slice(r);
                    both[64 - s.len()..].copy_from_slice(s);
                    Key::ed25519(key, &digest, &both)
                }
                _ => false,
            },
            (Key::Ed25519(key), 27) => Key::ed25519(key, &digest, self.numbers),
            _ => false,
        }
    }
}
