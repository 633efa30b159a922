//! git over a local path or plain ssh: `receive-pack` with nothing around it.
//!
//! Nothing here names an account. sshd tells the key or certificate when `ExposeAuthInfo yes` is set; a forced command
//! can export a variable of its own, which the policy then pins with `account_env`.

use std::io::Read as _;
use std::path::Path;

use super::environment::Environment;
use super::{InputError, Origin, repository, ssh};
use crate::policy::HostConfig;

/// Longest file of sshd taken, in bytes: many methods with the largest certificates.
const SSH_AUTH_MAX_BYTES: u64 = 256 << 10;

pub(super) fn origin(
    environment: &Environment<'_>,
    config: &HostConfig,
    git_dir: &Path,
) -> Result<Origin, InputError> {
    let mut origin = Origin {
        repository: repository::names(git_dir, config.root.as_deref())?,
        ..Origin::default()
    };
    if let Some(file) = environment.get("SSH_USER_AUTH")? {
        // A file that is named but cannot be read refuses: a known key must not become an unknown pusher.
        let text = read_bounded(Path::new(&file))?;
        if let Some(key) = ssh::authenticated(&text)? {
            origin.pusher.ssh_key = Some(key.fingerprint);
            origin.pusher.ssh_principals = key.principals;
        }
    }
    Ok(origin)
}

fn read_bounded(file: &Path) -> Result<Vec<u8>, InputError> {
    let mut text = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(SSH_AUTH_MAX_BYTES + 1).read_to_end(&mut text))
        .map_err(|error| {
            InputError::SshAuth(format!("the file that it names cannot be read: {error}").into())
        })?;
    if text.len() as u64 > SSH_AUTH_MAX_BYTES {
        return Err(InputError::SshAuth(
            "the file that it names is too long".into(),
        ));
    }
    Ok(text)
}
