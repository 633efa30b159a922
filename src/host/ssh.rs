//! What sshd says about the key that authenticated (`ExposeAuthInfo yes`).
//!
//! sshd checked signature, validity and certificate authority; here a key only gets its name. The formats: sshd_config(5)
//! for the file, PROTOCOL.certkeys of OpenSSH for certificates.

use data_encoding::BASE64;

use super::InputError;
use crate::identity::signature::ssh::{self, Certificate};

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

fn parse(kind: &[u8], blob: &[u8]) -> Result<Authenticated, InputError> {
    const CUT: &str = "a key or certificate is cut short";
    let inner = ssh::kind(blob).ok_or_else(|| unusable(CUT))?;
    if !ssh::is_certificate(inner) {
        if inner != kind {
            return Err(unusable("a key is of another type than its line says"));
        }
        return Ok(Authenticated {
            fingerprint: ssh::fingerprint(blob),
            key_id: None,
            principals: Vec::new(),
        });
    }
    if ssh::certified(inner).is_none() {
        return Err(unusable("a certificate is of a kind that is not known"));
    }
    let certificate = Certificate::parse(blob).ok_or_else(|| unusable(CUT))?;
    if !certificate.is_for_users() {
        return Err(unusable("a certificate is not for users"));
    }
    let principals = certificate.principals().ok_or_else(|| unusable(CUT))?;
    Ok(Authenticated {
        fingerprint: ssh::fingerprint(&certificate.key()),
        key_id: Some(text(certificate.key_id)?),
        principals: principals.into_iter().map(text).collect::<Result<_, _>>()?,
    })
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

#[cfg(test)]
mod tests;
