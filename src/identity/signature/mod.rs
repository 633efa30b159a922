//! Signatures: who made one, and whether that is somebody who may. No belief in anything but the bytes that were signed, the
//! server's files of keys, and the server's clock.

mod allowed;
mod armor;
mod crypto;
mod openpgp;
mod revoked;
pub(crate) mod ssh;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::policy::SignerFiles;
use allowed::Standing;
use revoked::Revoked;

/// Largest file of keys that is read, in bytes.
pub const SIGNERS_MAX_BYTES: u64 = 8 << 20;

/// Largest signature that is looked at, in bytes of its text.
const SIGNATURE_MAX_BYTES: usize = 64 << 10;

/// By how much issuers date certificates back, so that a clock that is a little behind takes them: `ssh-keygen -V +1h` by up to
/// two minutes, others by one or less. It is no part of what a certificate is asked to hold at most.
const DATED_BACK_MAX_SECS: u64 = 120;

/// What stands against a signature. Each is a rule of the check `signatures`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not hold, or is none that can be checked.
    Bad,
    /// It holds, and nobody knows the key.
    UnknownKey,
    /// Key, certificate or signature are out of their time.
    Expired,
    /// The key was revoked.
    Revoked,
    /// The key is somebody else's.
    WrongIdentity,
    /// The key lives longer than is allowed.
    LongLived,
}

/// A signature that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What stands against it.
    pub fault: Fault,
    /// The rest of a sentence that starts with "the signature", in words of ours alone.
    pub why: &'static str,
    /// The key: `SHA256:…` or an OpenPGP fingerprint. Empty when the signature tells none.
    pub key: String,
}

impl Refusal {
    fn bad(why: &'static str) -> Self {
        Refusal {
            fault: Fault::Bad,
            why,
            key: String::new(),
        }
    }
}

/// Whose signature is wanted, and when it must hold.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Principals and fingerprints of the identity: any of them will do.
    pub signers: &'a [String],
    /// The server's clock.
    pub now: Timestamp,
    /// The longest time for which a certificate may hold; with it no plain key will do.
    pub longest: Option<Duration>,
}

/// The keys that the server knows.
#[derive(Debug, Default)]
pub struct Signers {
    ssh: Vec<allowed::Line>,
    openpgp: openpgp::Keyring,
    revoked: Revoked,
    /// The keys are on the server alone: nobody here can tell whose they are.
    elsewhere: bool,
}

impl Signers {
    /// Stands for keys that are not here, for answers that bind nobody: it is asked whether a signature holds, as far as its
    /// own bytes tell, and not whose it is.
    pub fn elsewhere() -> Signers {
        Signers {
            elsewhere: true,
            ..Signers::default()
        }
    }

    /// Reads the files that the policy names. The error is a sentence without a full stop, and without paths of the server.
    pub fn load(files: &SignerFiles) -> Result<Signers, String> {
        Signers::examine(files).map(|(signers, _)| signers)
    }

    /// [`Signers::load`], and what is wrong with single entries, for people who look after the files.
    pub fn examine(files: &SignerFiles) -> Result<(Signers, Vec<String>), String> {
        let content = |path: &Option<PathBuf>, what| match path {
            Some(path) => read(path, what).map(Some),
            None => Ok(None),
        };
        let ssh = content(&files.ssh, "allowed signers")?;
        let openpgp = content(&files.openpgp, "OpenPGP keys")?;
        let revoked = content(&files.revoked, "revoked keys")?;
        Signers::read(ssh.as_deref(), openpgp.as_deref(), revoked.as_deref())
    }

    /// The same from the bytes of the files.
    pub fn read(
        ssh: Option<&[u8]>,
        openpgp: Option<&[u8]>,
        revoked: Option<&[u8]>,
    ) -> Result<(Signers, Vec<String>), String> {
        let unusable = |what, why| format!("the file of {what} cannot be used: {why}");
        let mut signers = Signers::default();
        let mut notes = Vec::new();
        if let Some(text) = ssh {
            let mistakes;
            (signers.ssh, mistakes) = allowed::read(text, &allowed::local_zone());
            notes.extend(mistakes.iter().map(|(line, what)| {
                format!("line {line} of the allowed signers {what}; it is left out")
            }));
        }
        if let Some(keys) = openpgp {
            signers.openpgp =
                openpgp::Keyring::read(keys).map_err(|why| unusable("OpenPGP keys", why))?;
            if signers.openpgp.unusable > 0 {
                notes.push(format!(
                    "{} of the OpenPGP keys cannot sign here: no signing key of version 4, of a kind that is not taken, or vouched for by SHA-1 alone",
                    signers.openpgp.unusable
                ));
            }
        }
        if let Some(list) = revoked {
            signers.revoked = Revoked::read(list).map_err(|why| unusable("revoked keys", why))?;
        }
        Ok((signers, notes))
    }

    /// How many keys there are: lines of allowed signers, and OpenPGP keys that may sign.
    pub fn counts(&self) -> (usize, usize) {
        (self.ssh.len(), self.openpgp.len())
    }

    /// Judges one signature over the parts of a payload.
    pub fn judge(
        &self,
        payload: &[&[u8]],
        signature: &[u8],
        wanted: &Wanted<'_>,
    ) -> Result<(), Refusal> {
        if signature.len() > SIGNATURE_MAX_BYTES {
            return Err(Refusal::bad("is too long"));
        }
        if signature.starts_with(ssh::BEGIN) {
            self.judge_ssh(payload, signature, wanted)
        } else if signature.starts_with(openpgp::BEGIN) {
            self.judge_openpgp(payload, signature, wanted)
        } else {
            Err(Refusal::bad("is neither of ssh nor of OpenPGP"))
        }
    }

    fn judge_ssh(
        &self,
        payload: &[&[u8]],
        text: &[u8],
        wanted: &Wanted<'_>,
    ) -> Result<(), Refusal> {
        let made = ssh::Signature::verified(payload, text).map_err(Refusal::bad)?;
        if self.elsewhere {
            return Ok(());
        }
        let certificate = ssh::Certificate::parse(&made.signer);
        let key = ssh::fingerprint(&match &certificate {
            Some(certificate) => certificate.key(),
            None => made.signer.clone(),
        });
        let refused = |fault, why| {
            let key = key.clone();
            Err(Refusal { fault, why, key })
        };
        if self.revoked.has(&made.signer) {
            return refused(Fault::Revoked, "is made with a key that is revoked");
        }
        let now = wanted.now.as_second();
        let standing =
            |principal: Option<&[u8]>| allowed::standing(&self.ssh, &made.signer, principal, now);
        let own = wanted
            .signers
            .iter()
            .map(|signer| match signer.starts_with("SHA256:") {
                true if *signer == key => standing(None),
                true => Standing::Unknown,
                false => standing(Some(signer.as_bytes())),
            })
            .max()
            .unwrap_or(Standing::Unknown);
        match own {
            Standing::Good => {}
            Standing::OutOfTime => {
                return refused(
                    Fault::Expired,
                    "is made with a key whose time is over or has not come",
                );
            }
            Standing::CertificateOutOfTime => {
                return refused(
                    Fault::Expired,
                    "is made with a certificate whose time is over or has not come",
                );
            }
            Standing::OtherNamespace => {
                return refused(
                    Fault::UnknownKey,
                    "is made with a key that may not sign for git",
                );
            }
            Standing::Unknown => match standing(None) {
                Standing::Unknown => {
                    return refused(Fault::UnknownKey, "is made with a key that nobody knows");
                }
                _ => return refused(Fault::WrongIdentity, "is made with somebody else's key"),
            },
        }
        match (wanted.longest, certificate) {
            (None, _) => Ok(()),
            (Some(longest), Some(certificate))
                if certificate.lifetime() <= longest.as_secs() + DATED_BACK_MAX_SECS =>
            {
                Ok(())
            }
            (Some(_), Some(_)) => refused(
                Fault::LongLived,
                "is made with a certificate that holds for too long",
            ),
            (Some(_), None) => refused(
                Fault::LongLived,
                "is made with a plain key, not with a certificate that ends",
            ),
        }
    }

    fn judge_openpgp(
        &self,
        payload: &[&[u8]],
        text: &[u8],
        wanted: &Wanted<'_>,
    ) -> Result<(), Refusal> {
        let found = openpgp::verified(&self.openpgp, payload, text, wanted.now.as_second())
            .map_err(Refusal::bad)?;
        let Some(found) = found else {
            if self.elsewhere {
                return Ok(());
            }
            return Err(Refusal {
                fault: Fault::UnknownKey,
                why: "is made with a key that nobody knows",
                key: String::new(),
            });
        };
        let hex = |bytes: &[u8]| data_encoding::HEXUPPER.encode(bytes);
        let key = hex(&found.key.fingerprint);
        let primary = hex(&found.key.primary);
        let is_own = wanted.signers.iter().any(|signer| {
            let named = |print: &str| signer.eq_ignore_ascii_case(print);
            named(&key) || named(&primary) || found.key.is_of(signer)
        });
        let (fault, why) = if found.key.revoked {
            (Fault::Revoked, "is made with a key that is revoked")
        } else if !is_own {
            (Fault::WrongIdentity, "is made with somebody else's key")
        } else if let Some(why) = found.expired {
            (Fault::Expired, why)
        } else if wanted.longest.is_some() {
            (
                Fault::LongLived,
                "is made with a plain key, not with a certificate that ends",
            )
        } else {
            return Ok(());
        };
        Err(Refusal { fault, why, key })
    }
}

/// A file of keys, whole.
fn read(path: &Path, what: &str) -> Result<Vec<u8>, String> {
    let unreadable = |why: &dyn std::fmt::Display| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("the file of {what}, {name}, cannot be read: {why}")
    };
    // Asked before it is opened: opening a pipe would wait for a writer.
    let meta = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !meta.is_file() {
        return Err(unreadable(&"it is not a regular file"));
    }
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SIGNERS_MAX_BYTES + 1).read_to_end(&mut text))
        .map_err(|error| unreadable(&error))?;
    if text.len() as u64 > SIGNERS_MAX_BYTES {
        return Err(unreadable(&"it is too long"));
    }
    Ok(text)
}
