//! OpenPGP signatures of version 4, and the keys that make them (RFC 9580).
//!
//! As much of the format as git needs, over the same arithmetic as ssh: a whole OpenPGP library would be larger than half of
//! this program. Read are keys with RSA, ECDSA and Ed25519, their user ids, bindings, revocations and expiry. Not taken:
//! DSA, ElGamal, SHA-1 and older hashes, signatures of version 3, keys and signatures of version 6.

mod keyring;
mod packet;

pub(super) use keyring::{Key, Keyring};

use super::ssh::Flaw;
use packet::{Packets, Signature};

/// The first line of a signature.
pub(super) const BEGIN: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"-----END PGP SIGNATURE-----";

/// Seconds by which the clock of whoever signs may be ahead of ours.
const AHEAD_MAX: i64 = 3600;

/// What a signature comes to, once it is found to hold.
pub(super) struct Verified<'k> {
    /// Whose it is.
    pub(super) key: &'k Key,
    /// Why it counts no more, or not yet.
    pub(super) expired: Option<Flaw>,
}

/// Checks a signature over the payload. `Ok(None)`: no key of the ring made it.
pub(super) fn verified<'k>(
    ring: &'k Keyring,
    payload: &[&[u8]],
    armored: &[u8],
    now: i64,
) -> Result<Option<Verified<'k>>, Flaw> {
    let blob = packet::dearmored(armored, BEGIN, END).ok_or("is not well formed")?;
    let mut packets = Packets(&blob);
    let first = packets.next().ok_or("is not well formed")?;
    if packets.next().is_some() || !packets.0.is_empty() {
        return Err("is more than one");
    }
    if first.tag != packet::SIGNATURE {
        return Err("is not well formed");
    }
    let signature = Signature::parse(first.body)?;
    if signature.kind != packet::BINARY {
        return Err("is not one over a document");
    }
    let Some(key) = ring.find(&signature) else {
        return Ok(None);
    };
    if !key.made(&signature, payload) {
        return Err("does not hold: what was signed is not what is here");
    }
    let created = signature.created;
    if created < key.created {
        return Err("is older than its key");
    }
    let over = |expires: Option<i64>| expires.is_some_and(|expires| now >= expires);
    let expired = if over(signature.expires_after.map(|after| created + after)) {
        Some("has expired")
    } else if created > now + AHEAD_MAX {
        Some("was made in the future")
    } else if over(key.expires) {
        Some("is made with a key that has expired")
    } else {
        None
    };
    Ok(Some(Verified { key, expired }))
}
