//! Refs of a reftable repository: `git` is asked, with an environment in which nothing of ours or of the
//! repository's config changes its answer.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bstr::ByteSlice as _;

use super::RepoError;
use super::refs::Resolved;
use crate::push::{HashKind, Oid, RefName};

fn refuse(why: impl std::fmt::Display) -> RepoError {
    RepoError::Refs(format!("git was asked, reftable: {why}"))
}

fn git(git_dir: &Path, args: &[&OsStr]) -> Result<Output, RepoError> {
    let mut command = Command::new("git");
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("GIT_DIR", git_dir)
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .args(args)
        .current_dir(git_dir)
        .stdin(Stdio::null())
        .output()
        .map_err(refuse)
}

/// Runs `git for-each-ref`; one line a ref: id, name, and for a symbolic ref what it names.
fn for_each_ref(git_dir: &Path, pattern: &[u8], most: Option<&str>) -> Result<Vec<u8>, RepoError> {
    let mut args: Vec<&OsStr> = vec![
        "for-each-ref".as_ref(),
        "--format=%(objectname) %(refname) %(symref)".as_ref(),
    ];
    args.extend(most.map(OsStr::new));
    args.push("--".as_ref());
    args.push(OsStr::from_bytes(pattern));
    let output = git(git_dir, &args)?;
    // git passes over a ref or a table that it cannot read, and says so. A symbolic ref that leads nowhere is
    // passed over as well, but nothing is wrong with it.
    let complains = output
        .stderr
        .lines()
        .any(|line| !line.starts_with(b"warning: ignoring dangling symref "));
    if !output.status.success() || complains {
        return Err(refuse("git for-each-ref did not read all refs"));
    }
    Ok(output.stdout)
}

struct Line {
    id: Oid,
    name: RefName,
    symref: Option<RefName>,
}

fn lines(text: &[u8], hash: HashKind) -> impl Iterator<Item = Result<Line, RepoError>> {
    text.lines().map(move |line| {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let mut word = || words.next().unwrap_or_default();
        let id = Oid::from_hex(word()).ok().filter(|id| id.kind() == hash);
        let name = RefName::new(word()).ok();
        let symref = match word() {
            b"" => None,
            target => Some(
                RefName::new(target)
                    .map_err(|_| refuse("a symbolic ref that leads out of refs/"))?,
            ),
        };
        match (id, name) {
            (Some(id), Some(name)) => Ok(Line { id, name, symref }),
            _ => Err(refuse("git for-each-ref gave a line that cannot be read")),
        }
    })
}

pub(super) fn resolve(
    git_dir: &Path,
    hash: HashKind,
    name: &RefName,
) -> Result<Resolved, RepoError> {
    let text = for_each_ref(git_dir, name.as_bytes(), None)?;
    for line in lines(&text, hash) {
        let line = line?;
        if line.name == *name {
            let symbolic = line.symref.is_some();
            return Ok(Resolved {
                target: line.symref.unwrap_or(line.name),
                value: Some(line.id),
                symbolic,
            });
        }
    }
    // Not listed: absent, or a symbolic ref to a ref that is.
    let target = symbolic_ref(git_dir, name.as_bytes())?;
    Ok(Resolved {
        symbolic: target.is_some(),
        target: target.unwrap_or_else(|| name.clone()),
        value: None,
    })
}

fn symbolic_ref(git_dir: &Path, name: &[u8]) -> Result<Option<RefName>, RepoError> {
    let output = git(
        git_dir,
        &[
            "symbolic-ref".as_ref(),
            "-q".as_ref(),
            "--".as_ref(),
            OsStr::from_bytes(name),
        ],
    )?;
    match output.status.code() {
        Some(0) => RefName::new(output.stdout.trim_end())
            .map(Some)
            .map_err(|_| refuse("a symbolic ref that leads out of refs/")),
        Some(1) => Ok(None),
        _ => Err(refuse("git symbolic-ref failed")),
    }
}

pub(super) fn head(git_dir: &Path) -> Result<Option<RefName>, RepoError> {
    symbolic_ref(git_dir, b"HEAD")
}

pub(super) fn under(
    git_dir: &Path,
    hash: HashKind,
    prefix: &[u8],
) -> Result<Vec<(RefName, Oid)>, RepoError> {
    let text = for_each_ref(git_dir, prefix, None)?;
    if text.is_empty() {
        confirm_readable(git_dir)?;
    }
    lines(&text, hash)
        .map(|line| line.map(|line| (line.name, line.id)))
        .collect()
}

pub(super) fn any(git_dir: &Path) -> Result<bool, RepoError> {
    let any = !for_each_ref(git_dir, b"refs/", Some("--count=1"))?.is_empty();
    if !any {
        confirm_readable(git_dir)?;
    }
    Ok(any)
}

/// `git for-each-ref` lists nothing, and says nothing, when it cannot open the tables; a question for one ref fails.
fn confirm_readable(git_dir: &Path) -> Result<(), RepoError> {
    head(git_dir).map(|_| ())
}
