//! The hook scripts: written from the templates in `hooks/`, and read back.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Stands in every script that is ours to replace or remove.
const MARK: &[u8] = b"\n# ringfence-shim ";

/// A hook is a short script; of anything longer only the start is looked at.
const READ_MAX_BYTES: u64 = 64 << 10;

/// A hook that a shim exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Hook {
    PreReceive,
    PostReceive,
    PrePush,
}

impl Hook {
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Hook::PreReceive => "pre-receive",
            Hook::PostReceive => "post-receive",
            Hook::PrePush => "pre-push",
        }
    }

    fn template(self) -> &'static str {
        match self {
            Hook::PreReceive => include_str!("../../../hooks/pre-receive"),
            Hook::PostReceive => include_str!("../../../hooks/post-receive"),
            Hook::PrePush => include_str!("../../../hooks/pre-push"),
        }
    }
}

/// The script for one hook. Paths are bytes and may hold anything.
pub(in crate::cli) fn render(hook: Hook, binary: &Path, policy: &Path) -> Vec<u8> {
    let mut script = Vec::new();
    for line in hook.template().lines() {
        match line.split_once('=') {
            Some((name, "@RINGFENCE@")) => assign(&mut script, name, binary),
            Some((name, "@POLICY@")) => assign(&mut script, name, policy),
            _ => script.extend_from_slice(line.as_bytes()),
        }
        script.push(b'\n');
    }
    script
}

/// `name='value'`, quoted for every POSIX shell.
fn assign(script: &mut Vec<u8>, name: &str, value: &Path) {
    script.extend_from_slice(name.as_bytes());
    script.extend_from_slice(b"='");
    for byte in value.as_os_str().as_bytes() {
        match byte {
            b'\'' => script.extend_from_slice(b"'\\''"),
            byte => script.push(*byte),
        }
    }
    script.push(b'\'');
}

/// What stands at the place of a hook.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Found {
    Nothing,
    /// A symbolic link to nowhere: git runs nothing.
    Dangling,
    /// A folder, a socket: not a hook.
    NotAFile,
    /// Ours, with the paths that it holds.
    Shim {
        binary: PathBuf,
        policy: PathBuf,
    },
    /// Somebody else's, which names ringfence or does not.
    Foreign {
        names_ringfence: bool,
    },
}

/// Looks at the place of a hook, through symbolic links, as git does.
pub(in crate::cli) fn look(file: &Path) -> io::Result<Found> {
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(match fs::symlink_metadata(file) {
                Ok(_) => Found::Dangling,
                Err(_) => Found::Nothing,
            });
        }
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Ok(Found::NotAFile);
    }
    let mut text = Vec::new();
    fs::File::open(file)?
        .take(READ_MAX_BYTES)
        .read_to_end(&mut text)?;
    let ours = text.windows(MARK.len()).any(|window| window == MARK);
    match (ours, value(&text, "ringfence"), value(&text, "policy")) {
        (true, Some(binary), Some(policy)) => Ok(Found::Shim { binary, policy }),
        _ => Ok(Found::Foreign {
            names_ringfence: text.windows(9).any(|window| window == b"ringfence"),
        }),
    }
}

/// Reads back what [`assign`] wrote.
fn value(script: &[u8], name: &str) -> Option<PathBuf> {
    let start = format!("\n{name}='");
    let at = script
        .windows(start.len())
        .position(|window| window == start.as_bytes())?;
    let mut rest = &script[at + start.len()..];
    let mut value = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\'')?;
        value.extend_from_slice(&rest[..end]);
        rest = &rest[end..];
        match rest.strip_prefix(b"'\\''") {
            Some(after) => {
                value.push(b'\'');
                rest = after;
            }
            None => return Some(PathBuf::from(OsString::from_vec(value))),
        }
    }
}

/// Puts a script in its place in one step: a push at this moment meets the old hook or the new one, never half of it and
/// never one without the x bit, which git would skip.
pub(in crate::cli) fn write(file: &Path, script: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // No host takes this name for a hook: Gitea's glob leaves out a leading dot, GitLab a tilde at the end.
    let fresh = folder.join(format!(".ringfence-{}~", std::process::id()));
    let written = (|| {
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&fresh)?;
        out.write_all(script)?;
        out.set_permissions(fs::Permissions::from_mode(0o755))?;
        out.sync_all()?;
        drop(out);
        fs::rename(&fresh, file)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// Where a hook that was there before the gate is kept.
pub(in crate::cli) fn chained(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".ringfence-chained");
    PathBuf::from(name)
}
