//! Refs: loose files, then `packed-refs`; for reftable the `git` program is asked. No lookup lists all refs.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use bstr::ByteSlice as _;

use super::alike::{Folders, Search};
use super::layout::{Layout, RefStorage};
use super::{RepoError, packed, reftable};
use crate::push::{HashKind, Oid, RefName};

/// What the ref store says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The ref that holds the value: the name itself, or where its symbolic refs lead.
    pub target: RefName,
    /// The value; `None` when the target does not exist.
    pub value: Option<Oid>,
    /// The name is a symbolic ref.
    pub symbolic: bool,
}

/// Symbolic refs followed from one name; git stops at the same depth.
const SYMREF_DEPTH: usize = 5;
/// Longest loose ref file that is read: a ref name and change.
const LOOSE_MAX_BYTES: u64 = 16 << 10;

/// What stands under one name.
enum Stored {
    Id(Oid),
    Symbolic(RefName),
    Absent,
}

/// The ref store.
pub(super) struct Refs {
    git_dir: PathBuf,
    common_dir: PathBuf,
    hash: HashKind,
    storage: RefStorage,
}

impl Refs {
    pub(super) fn new(layout: &Layout) -> Refs {
        Refs {
            git_dir: layout.git_dir.clone(),
            common_dir: layout.common_dir.clone(),
            hash: layout.hash,
            storage: layout.refs,
        }
    }

    pub(super) fn resolve(&self, name: &RefName) -> Result<Resolved, RepoError> {
        if self.storage == RefStorage::Reftable {
            return reftable::resolve(&self.git_dir, self.hash, name);
        }
        let mut target = name.clone();
        for depth in 0..=SYMREF_DEPTH {
            let value = match self.stored(&target)? {
                Stored::Symbolic(next) => {
                    target = next;
                    continue;
                }
                Stored::Id(id) => Some(id),
                Stored::Absent => None,
            };
            return Ok(Resolved {
                target,
                value,
                symbolic: depth > 0,
            });
        }
        Err(RepoError::Refs(
            "a symbolic ref leads through too many others".into(),
        ))
    }

    pub(super) fn head(&self) -> Result<Option<RefName>, RepoError> {
        if self.storage == RefStorage::Reftable {
            return reftable::head(&self.git_dir);
        }
        match self.loose("HEAD".as_ref(), self.git_dir.join("HEAD"))? {
            Stored::Symbolic(name) => Ok(Some(name)),
            Stored::Id(_) => Ok(None),
            Stored::Absent => Err(RepoError::Refs("HEAD is missing".into())),
        }
    }

    pub(super) fn under(&self, prefix: &[u8]) -> Result<Vec<(RefName, Oid)>, RepoError> {
        let mut probe = prefix.to_vec();
        probe.push(b'x');
        if !prefix.ends_with(b"/") || RefName::new(probe).is_err() {
            return Err(RepoError::Refs("a prefix of refs is malformed".into()));
        }
        if self.storage == RefStorage::Reftable {
            return reftable::under(&self.git_dir, self.hash, prefix);
        }
        let mut found = std::collections::BTreeMap::new();
        for (name, id) in packed::under(&self.packed_path(), self.hash, prefix)? {
            found.insert(name, id);
        }
        self.walk_loose(prefix, &mut |name| {
            match self.resolve(&name)?.value {
                Some(id) => found.insert(name, id),
                None => found.remove(&name),
            };
            Ok(true)
        })?;
        Ok(found.into_iter().collect())
    }

    /// See [`super::Repo::refs_alike`].
    pub(super) fn alike(
        &self,
        names: &[&RefName],
        form: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<Vec<RefName>>, RepoError> {
        let mut searches: Vec<Search<'_>> =
            (names.iter()).map(|name| Search::new(name, form)).collect();
        if self.storage == RefStorage::Reftable {
            for (stored, _) in reftable::under(&self.git_dir, self.hash, b"refs/")? {
                for search in &mut searches {
                    if search.is_alike(stored.as_bytes()) {
                        search.take(stored.as_bytes());
                    }
                }
            }
        } else {
            packed::alike(&self.packed_path(), self.hash, &mut searches)?;
            let mut folders = Folders::new();
            for search in &mut searches {
                search.loose(&self.common_dir, b"refs/", b"refs/".len(), &mut folders)?;
            }
        }
        let found = searches.into_iter().map(|search| {
            let mut found = search.found;
            found.sort_unstable();
            found.dedup();
            found
        });
        Ok(found.collect())
    }

    /// All refs, and what of them cannot be read: one that is broken hides no other.
    pub(super) fn all(&self) -> (Vec<(RefName, Oid)>, Vec<RepoError>) {
        let (mut found, mut broken) = (std::collections::BTreeMap::new(), Vec::new());
        let listed = match self.storage {
            RefStorage::Reftable => reftable::under(&self.git_dir, self.hash, b"refs/"),
            RefStorage::Files => packed::under(&self.packed_path(), self.hash, b"refs/"),
        };
        match listed {
            Ok(listed) => found.extend(listed),
            Err(error) => broken.push(error),
        }
        if self.storage == RefStorage::Files {
            let mut problems = Vec::new();
            let walked = self.walk_loose(b"refs/", &mut |name| {
                match self.resolve(&name) {
                    Ok(resolved) => match resolved.value {
                        Some(id) => found.insert(name, id),
                        None => found.remove(&name),
                    },
                    Err(error) => {
                        problems.push(error);
                        found.remove(&name)
                    }
                };
                Ok(true)
            });
            broken.append(&mut problems);
            broken.extend(walked.err());
        }
        (found.into_iter().collect(), broken)
    }

    /// The commits that detached `HEAD`s name, that of the repository and those of its linked worktrees
    /// (`worktrees/<id>/HEAD`), and what of them cannot be read.
    pub(super) fn detached(&self) -> (Vec<(Vec<u8>, Oid)>, Vec<RepoError>) {
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        if self.storage == RefStorage::Reftable {
            return (found, broken);
        }
        let mut names = vec![b"HEAD".to_vec()];
        match std::fs::read_dir(self.common_dir.join("worktrees")) {
            Ok(entries) => names.extend(entries.flatten().map(|entry| {
                let id = entry.file_name();
                [b"worktrees/", id.as_bytes(), b"/HEAD"].concat()
            })),
            Err(error) if absent(&error) => {}
            Err(error) => broken.push(RepoError::Refs(format!("worktrees: {error}"))),
        }
        names.sort_unstable();
        for name in names {
            match self.loose(&name, self.common_dir.join(OsStr::from_bytes(&name))) {
                Ok(Stored::Id(id)) => found.push((name, id)),
                Ok(Stored::Symbolic(_) | Stored::Absent) => {}
                Err(error) => broken.push(error),
            }
        }
        (found, broken)
    }

    pub(super) fn any(&self) -> Result<bool, RepoError> {
        if self.storage == RefStorage::Reftable {
            return reftable::any(&self.git_dir);
        }
        if packed::any(&self.packed_path())? {
            return Ok(true);
        }
        let walked_all = self.walk_loose(b"refs/", &mut |name| {
            Ok(self.resolve(&name)?.value.is_none())
        })?;
        Ok(!walked_all)
    }

    fn packed_path(&self) -> PathBuf {
        self.common_dir.join("packed-refs")
    }

    /// The folder that a ref is stored in: a linked worktree has a few of its own.
    fn base_of(&self, name: &[u8]) -> &PathBuf {
        let own = [&b"refs/bisect/"[..], b"refs/worktree/", b"refs/rewritten/"];
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            &self.git_dir
        } else {
            &self.common_dir
        }
    }

    fn stored(&self, name: &RefName) -> Result<Stored, RepoError> {
        let bytes = name.as_bytes();
        let path = self.base_of(bytes).join(OsStr::from_bytes(bytes));
        match self.loose(bytes, path)? {
            Stored::Absent => Ok(match packed::find(&self.packed_path(), self.hash, bytes)? {
                Some(id) => Stored::Id(id),
                None => Stored::Absent,
            }),
            found => Ok(found),
        }
    }

    fn loose(&self, name: &[u8], path: PathBuf) -> Result<Stored, RepoError> {
        let refuse =
            |why: String| RepoError::Refs(format!("{}: {why}", crate::redact::Quoted(name)));
        let found = match std::fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if absent(&error) => return Ok(Stored::Absent),
            Err(error) => return Err(refuse(error.to_string())),
        };
        if found.is_symlink() {
            let target = std::fs::read_link(&path).map_err(|error| refuse(error.to_string()))?;
            return RefName::new(target.as_os_str().as_bytes())
                .map(Stored::Symbolic)
                .map_err(|_| refuse("a link that leads out of refs/".into()));
        }
        if found.is_dir() {
            return Ok(Stored::Absent);
        }
        if !found.is_file() || found.len() > LOOSE_MAX_BYTES {
            return Err(refuse("not a ref".into()));
        }
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if absent(&error) => return Ok(Stored::Absent),
            Err(error) => return Err(refuse(error.to_string())),
        };
        let text = text.trim_end();
        if let Some(target) = text.strip_prefix(b"ref:") {
            return RefName::new(target.trim_start())
                .map(Stored::Symbolic)
                .map_err(|_| refuse("a symbolic ref that leads out of refs/".into()));
        }
        match Oid::from_hex(text) {
            Ok(id) if id.kind() == self.hash && !id.is_null() => Ok(Stored::Id(id)),
            _ => Err(refuse("it holds no object id".into())),
        }
    }

    /// Visits all loose refs below `prefix` until `visit` says no; whether it never did. Files whose names cannot be
    /// refs (`*.lock`) are none.
    fn walk_loose(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(RefName) -> Result<bool, RepoError>,
    ) -> Result<bool, RepoError> {
        let refuse = |error: std::io::Error| {
            RepoError::Refs(format!("{}: {error}", crate::redact::Quoted(prefix)))
        };
        let dir = self.base_of(prefix).join(OsStr::from_bytes(prefix));
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if absent(&error) => return Ok(true),
            Err(error) => return Err(refuse(error)),
        };
        for entry in entries {
            let entry = entry.map_err(refuse)?;
            let mut name = prefix.to_vec();
            name.extend_from_slice(entry.file_name().as_bytes());
            if entry.file_type().map_err(refuse)?.is_dir() {
                name.push(b'/');
                if !self.walk_loose(&name, visit)? {
                    return Ok(false);
                }
            } else if let Ok(name) = RefName::new(name)
                && !visit(name)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// No file of that name can be there.
pub(super) fn absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}
