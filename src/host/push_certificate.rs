//! Signed pushes: what git tells of a push certificate, and what the certificate itself says (gitprotocol-pack(5)).
//!
//! git's own word on the signature (`GIT_PUSH_CERT_STATUS`) is not taken: it comes from the keys of the account that runs git.
//! The nonce is git's to judge, who gave it out.

use bstr::ByteSlice as _;

use super::environment::Environment;
use super::{InputError, environment, read_commands};
use crate::push::{Command, HashKind, Oid, PushCertificate};

/// Largest push certificate that is read, in bytes: what a push of the largest number of refs needs.
pub const CERTIFICATE_MAX_BYTES: u64 = 8 << 20;

/// The variables of a signed push. `None`: the push is not signed.
pub(super) fn told(environment: &Environment<'_>) -> Result<Option<PushCertificate>, InputError> {
    let name = "GIT_PUSH_CERT";
    let Some(id) = environment.get(name)? else {
        return Ok(None);
    };
    let id = Oid::from_hex(id.as_bytes())
        .map_err(|_| environment::variable(name, "is not an object id"))?;
    Ok(Some(PushCertificate {
        id,
        nonce: environment.get("GIT_PUSH_CERT_NONCE")?,
        nonce_status: environment.get("GIT_PUSH_CERT_NONCE_STATUS")?,
        nonce_slop: environment.number("GIT_PUSH_CERT_NONCE_SLOP")?,
    }))
}

/// What a certificate says, without its signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Certified<'a> {
    /// The address that was pushed to, as the client knows it.
    pub pushee: &'a [u8],
    /// The server's token, against replay.
    pub nonce: &'a [u8],
    /// The ref updates that it is for.
    pub commands: Vec<Command>,
}

/// Reads the signed part of a certificate. The error is the rest of a sentence about it.
pub fn parse(payload: &[u8], hash: HashKind) -> Result<Certified<'_>, &'static str> {
    let (head, commands) = payload.split_once_str("\n\n").ok_or("has no ref updates")?;
    let mut lines = head.split(|byte| *byte == b'\n');
    if lines.next() != Some(b"certificate version 0.1") {
        return Err("is of a version that is not known");
    }
    let (mut pusher, mut pushee, mut nonce) = (None, None, None);
    for line in lines {
        let (key, value) = line
            .split_once_str(" ")
            .ok_or("has a line that is not known")?;
        let slot = match key {
            b"pusher" => &mut pusher,
            b"pushee" => &mut pushee,
            b"nonce" => &mut nonce,
            // git itself compares them with what was sent.
            b"push-option" => continue,
            _ => return Err("has a line that is not known"),
        };
        if slot.replace(value).is_some() {
            return Err("says the same twice");
        }
    }
    pusher.ok_or("does not say who pushes")?;
    Ok(Certified {
        pushee: pushee.ok_or("does not say where it pushes to")?,
        nonce: nonce.ok_or("has no nonce")?,
        commands: read_commands(commands, Some(hash))
            .map_err(|_| "has ref updates that cannot be read")?,
    })
}

/// Whether an address ends in the name of the repository: `ssh://host/org/site.git` in `org/site`.
pub fn leads_to(pushee: &[u8], repository: &str) -> bool {
    let address = pushee.strip_suffix(b"/").unwrap_or(pushee);
    let address = address.strip_suffix(b".git").unwrap_or(address);
    match address.strip_suffix(repository.as_bytes()) {
        Some(before) => matches!(before.last(), None | Some(b'/' | b':')),
        None => false,
    }
}
