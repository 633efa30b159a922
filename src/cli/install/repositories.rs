//! Repositories on disk, and the few lines of git's configuration that decide whether a hook runs.

use crate::order::Order as _;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders between `--repo-root` and a repository. GitLab's hashed storage needs four.
const DEPTH_MAX: usize = 8;

/// The shared git folder of the repository at `folder`: itself when it is bare, its `.git`, or what a `.git` file leads to.
pub(in crate::cli) fn git_dir(folder: &Path) -> Option<PathBuf> {
    let git_dir = [folder.to_path_buf(), folder.join(".git")]
        .into_iter()
        .find(|folder| is_git_dir(folder))
        .or_else(|| linked(&folder.join(".git")))?;
    git_dir.canonicalize().ok()
}

/// What git itself asks of a git folder. A reftable repository keeps `HEAD` and `refs` as stand-ins.
fn is_git_dir(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok()
        && folder.join("objects").is_dir()
        && folder.join("refs").is_dir()
}

/// Follows the `.git` file of a linked worktree or of a submodule to the folder that holds the hooks.
fn linked(file: &Path) -> Option<PathBuf> {
    let text = fs::read(file).ok()?;
    let target = OsStr::from_bytes(text.strip_prefix(b"gitdir: ")?.trim_ascii_end());
    let own = file.parent()?.join(target);
    let common = match fs::read(own.join("commondir")) {
        Ok(text) => own.join(OsStr::from_bytes(text.trim_ascii_end())),
        Err(_) => own,
    };
    is_git_dir(&common).then_some(common)
}

/// Every bare repository below `root`, sorted. Symbolic links are not followed, and repositories are not entered.
/// Folders that cannot be read come back too, so that nobody takes them for covered.
pub(in crate::cli) fn bare_below(root: &Path) -> (Vec<PathBuf>, Vec<(PathBuf, io::Error)>) {
    let mut found = Vec::new();
    let mut unread = Vec::new();
    let mut open = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = open.pop() {
        if is_git_dir(&folder) {
            // A work tree's `.git` is no server's repository.
            if folder.file_name() != Some(OsStr::new(".git")) {
                found.push(folder);
            }
            continue;
        }
        if depth == DEPTH_MAX {
            continue;
        }
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        match entries {
            Ok(entries) => open.extend(
                entries
                    .iter()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| (entry.path(), depth + 1)),
            ),
            Err(error) => unread.push((folder, error)),
        }
    }
    found.order();
    (found, unread)
}

/// git's configuration as the account that runs this sees it for one repository.
pub(in crate::cli) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Asks git: the repository's file, the account's and the system's, with their includes.
    pub(in crate::cli) fn of(git_dir: &Path) -> Result<Self, String> {
        let output = git()
            // A hook's repository may belong to another account; only its configuration is read here.
            .args(["-c", "safe.directory=*"])
            .arg("--git-dir")
            .arg(git_dir)
            .args(["config", "--null", "--includes", "--list"])
            .output()
            .map_err(|error| format!("git cannot be run: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Settings(
            String::from_utf8_lossy(&output.stdout)
                .split_terminator('\0')
                // A key without a value means true.
                .map(|entry| entry.split_once('\n').unwrap_or((entry, "true")))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        ))
    }

    /// The value that counts: the last one. Section and variable are lower case, as git lists them.
    pub(in crate::cli) fn get(&self, key: &str) -> Option<&str> {
        let mut entries = self.0.iter().rev();
        entries
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a setting is on, by git's words for it.
    pub(in crate::cli) fn is(&self, key: &str, on: bool) -> bool {
        self.get(key).is_some_and(|value| {
            let words: &[&str] = if on {
                &["true", "yes", "on", "1"]
            } else {
                &["false", "no", "off", "0", ""]
            };
            words.contains(&value.to_ascii_lowercase().as_str())
        })
    }

    /// Every setting whose name starts so.
    pub(in crate::cli) fn starting(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The folder that git runs hooks from: `core.hooksPath`, else `hooks`.
    pub(in crate::cli) fn hooks_folder(&self, git_dir: &Path) -> PathBuf {
        let Some(path) = self.get("core.hookspath") else {
            return git_dir.join("hooks");
        };
        if let (Some(rest), Some(home)) = (path.strip_prefix("~/"), std::env::var_os("HOME")) {
            return Path::new(&home).join(rest);
        }
        // Relative to where hooks run: the repository, or the top of the work tree.
        let bare = git_dir.file_name() != Some(OsStr::new(".git"));
        let base = if bare {
            Some(git_dir)
        } else {
            git_dir.parent()
        };
        base.unwrap_or(git_dir).join(path)
    }
}

/// Major and minor version of the git program.
pub(in crate::cli) fn git_version() -> Option<(u32, u32)> {
    let output = git().arg("version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// git with an environment that nobody prepared: no variable that points it at another repository or configuration.
fn git() -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("LC_ALL", "C");
    for name in ["PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
