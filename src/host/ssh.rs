//! What sshd says about the key that authenticated (`ExposeAuthInfo yes`).
//!
//! sshd checked signature, validity and certificate authority; here a key only gets its name. The formats: sshd_config(5)
//! for the file, PROTOCOL.certkeys of OpenSSH for certificates.

use data_encoding::{BASE64, BASE64_NOPAD};
use sha2::{Digest as _, Sha256};

use super::InputError;

/// The key of one ssh session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// `SHA256:…` of the key; for a certificate, of the key that it certifies, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// The certificate's key id: the name that its authority gave it.
    pub key_id: Option<String>,
    /// The certificate's principals.
    pub principals: Vec<String>,
}

/// Reads the file that `SSH_USER_AUTH` names: a line for each method that succeeded, `publickey <type> <base64>` among
/// them. `None`: no key was used (a password).
pub fn authenticated(text: &[u8]) -> Result<Option<Authenticated>, InputError> {
    let mut found = None;
    for line in text.split(|byte| *byte == b'\n') {
        let Some(key) = line.strip_prefix(b"publickey ") else {
            continue;
        };
        let mut fields = key.split(|byte| *byte == b' ');
        let (Some(kind), Some(encoded), None) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(unusable("a publickey line has not three fields"));
        };
        let blob = BASE64
            .decode(encoded)
            .map_err(|_| unusable("a key is not base64"))?;
        let key = parse(kind, &blob)?;
        match &found {
            None => found = Some(key),
            Some(first) if *first == key => {}
            // Which of them is the pusher is not ours to choose.
            Some(_) => return Err(unusable("it names more than one key")),
        }
    }
    Ok(found)
}

/// Fields between the nonce and the serial number of a certificate, which are the fields of the plain key after its type.
fn certified_key(kind: &[u8]) -> Option<(&'static [u8], usize)> {
    Some(match kind {
        b"ssh-ed25519-cert-v01@openssh.com" => (b"ssh-ed25519", 1),
        b"ssh-rsa-cert-v01@openssh.com"
        | b"rsa-sha2-256-cert-v01@openssh.com"
        | b"rsa-sha2-512-cert-v01@openssh.com" => (b"ssh-rsa", 2),
        b"ecdsa-sha2-nistp256-cert-v01@openssh.com" => (b"ecdsa-sha2-nistp256", 2),
        b"ecdsa-sha2-nistp384-cert-v01@openssh.com" => (b"ecdsa-sha2-nistp384", 2),
        b"ecdsa-sha2-nistp521-cert-v01@openssh.com" => (b"ecdsa-sha2-nistp521", 2),
        b"sk-ssh-ed25519-cert-v01@openssh.com" => (b"sk-ssh-ed25519@openssh.com", 2),
        b"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" => {
            (b"sk-ecdsa-sha2-nistp256@openssh.com", 3)
        }
        _ => return None,
    })
}

fn parse(kind: &[u8], blob: &[u8]) -> Result<Authenticated, InputError> {
    let mut fields = Fields(blob);
    let inner = fields.string()?;
    let Some((plain, count)) = certified_key(inner) else {
        if inner.ends_with(b"-cert-v01@openssh.com") {
            return Err(unusable("a certificate is of a kind that is not known"));
        }
        if inner != kind {
            return Err(unusable("a key is of another type than its line says"));
        }
        return Ok(Authenticated {
            fingerprint: fingerprint(blob),
            key_id: None,
            principals: Vec::new(),
        });
    };
    fields.string()?; // nonce
    let mut key = Vec::new();
    put(&mut key, plain);
    for _ in 0..count {
        put(&mut key, fields.string()?);
    }
    fields.take(8)?; // serial
    if fields.number()? != 1 {
        return Err(unusable("a certificate is not for users"));
    }
    let key_id = text(fields.string()?)?;
    let mut list = Fields(fields.string()?);
    let mut principals = Vec::new();
    while !list.0.is_empty() {
        principals.push(text(list.string()?)?);
    }
    Ok(Authenticated {
        fingerprint: fingerprint(&key),
        key_id: Some(key_id),
        principals,
    })
}

fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_NOPAD.encode(&Sha256::digest(blob)))
}

fn text(bytes: &[u8]) -> Result<String, InputError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(unusable(
            "a name in a certificate is not UTF-8, or holds a control character",
        )),
    }
}

fn unusable(what: &'static str) -> InputError {
    InputError::SshAuth(what.into())
}

/// The wire format of ssh: numbers big-endian, strings with their length before them.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], InputError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| unusable("a key or certificate is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, InputError> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn string(&mut self) -> Result<&'a [u8], InputError> {
        let length = self.number()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

fn put(blob: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).expect("a part of a file of at most 256 KiB");
    blob.extend_from_slice(&length.to_be_bytes());
    blob.extend_from_slice(string);
}

#[cfg(test)]
mod tests;
