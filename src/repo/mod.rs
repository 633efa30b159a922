//! The repository, read only: objects of the quarantine and of the store, refs, history, changes.
//!
//! Raw objects, never porcelain: no replace refs, grafts, attributes, textconv, rename heuristics, and of the
//! repository's config only the `extensions` section is read, to refuse what the gate does not understand, and, for the
//! audit, the name that GitLab noted and whether a remote keeps part of the objects.

mod alike;
mod alternates;
mod changes;
mod commit_graph;
mod config;
mod differ;
mod graph;
mod history;
mod layout;
mod lines;
mod merge;
mod net;
mod objects;
mod packed;
pub mod packs;
pub mod parse;
mod refs;
mod reftable;
pub mod signed;
mod store;
#[cfg(test)]
mod tests;
mod text_merge;
mod trees;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

pub use alike::ALIKE_MAX;
pub use changes::{Change, Entry, Joined, Origin, path_below};
pub use differ::{Differ, Differing};
pub use history::{History, NewCommit, NewContent, NewTag, contains};
pub use layout::{About, Layout, RefStorage};
pub use lines::{Added, differing};
pub use objects::{Kind, Object, Reader};
pub use parse::{Commit, Defect, Mode, Signature, Tag, TreeEntry};
pub use refs::Resolved;

use crate::budget::{Budget, Exhausted};
use crate::push::{HashKind, Oid, RefName};

/// Why the repository could not be read. Each of these refuses the push.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// Not a repository, or one that the gate does not understand.
    #[error("cannot open the repository: {0}")]
    Open(String),
    /// An object that must be there is not.
    #[error("object {0} is missing")]
    Missing(Oid),
    /// An object is there but cannot be read.
    #[error("object {id} cannot be read: {why}")]
    Corrupt {
        /// The object.
        id: Oid,
        /// The reader's words.
        why: String,
    },
    /// A ref cannot be read.
    #[error("refs cannot be read: {0}")]
    Refs(String),
    /// A bound was reached.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl RepoError {
    /// The words for a pusher: without paths of the server, which the full words may hold.
    pub fn brief(&self) -> String {
        match self {
            RepoError::Open(_) => "the repository cannot be opened".to_owned(),
            RepoError::Corrupt { id, .. } => format!("object {id} cannot be read"),
            RepoError::Refs(_) => "the refs cannot be read".to_owned(),
            RepoError::Missing(_) | RepoError::Exhausted(_) => self.to_string(),
        }
    }
}

/// Reads a regular file of at most so many bytes: a device or a pipe, which a link may lead to, has no end.
fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(io::Error::other("it is too long"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file. Opening anything else might wait for ever.
fn open_file(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Looks up one environment variable. The process environment is read by name alone, never as a whole:
/// behind plain HTTP it holds the client's password.
pub type Vars<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// An opened repository. Shared between threads; each thread reads objects through its own [`Reader`].
pub struct Repo {
    layout: Layout,
    objects: objects::Stores,
    refs: refs::Refs,
}

impl Repo {
    /// Opens what `layout` names. No pack is listed and no object is read before the first one is asked for.
    pub fn open(layout: Layout) -> Result<Repo, RepoError> {
        Ok(Repo {
            objects: objects::Stores::new(&layout)?,
            refs: refs::Refs::new(&layout),
            layout,
        })
    }

    /// Where everything is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Length of ids.
    pub fn hash_kind(&self) -> HashKind {
        self.layout.hash
    }

    /// A reader of objects, for one thread.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.objects)
    }

    /// The ids of all objects in the quarantine, loose and packed, each once, in no particular order.
    /// Empty when nothing was sent.
    pub fn incoming_objects(&self, budget: &Budget) -> Result<Vec<Oid>, RepoError> {
        self.objects.incoming_objects(budget)
    }

    /// What the ref store says of `name`, symbolic refs followed.
    pub fn resolve(&self, name: &RefName) -> Result<Resolved, RepoError> {
        self.refs.resolve(name)
    }

    /// The branch that `HEAD` names, also when it has no commit yet. `None`: `HEAD` is detached.
    pub fn head(&self) -> Result<Option<RefName>, RepoError> {
        self.refs.head()
    }

    /// All refs below `prefix`, which ends with `/`, in byte order, symbolic refs followed.
    pub fn refs_under(&self, prefix: &[u8]) -> Result<Vec<(RefName, Oid)>, RepoError> {
        self.refs.under(prefix)
    }

    /// For each of `names`, in byte order, the stored refs that cannot stand beside it where names are folded: those that have
    /// the same `form`, those whose folder it would be, and those that are its folder. What git itself refuses, byte by byte, is
    /// left out. More than [`ALIKE_MAX`]: these, and perhaps others.
    pub fn refs_alike(
        &self,
        names: &[&RefName],
        form: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<Vec<RefName>>, RepoError> {
        self.refs.alike(names, form)
    }

    /// All refs in byte order, symbolic refs followed, and what of them cannot be read: one that is broken hides no other.
    pub fn all_refs(&self) -> (Vec<(RefName, Oid)>, Vec<RepoError>) {
        self.refs.all()
    }

    /// The commits that `HEAD`s name by themselves, and no branch for them: that of the repository (`HEAD`) and those of its linked
    /// worktrees (`worktrees/<id>/HEAD`), and what of them cannot be read. With reftables it is not asked.
    pub fn detached_heads(&self) -> (Vec<(Vec<u8>, Oid)>, Vec<RepoError>) {
        self.refs.detached()
    }

    /// Commits whose parents are not here: those of a shallow clone.
    pub fn shallow(&self) -> Result<std::collections::HashSet<Oid>, RepoError> {
        history::shallow(self)
    }

    /// Whether the repository has any ref at all.
    pub fn has_any_ref(&self) -> Result<bool, RepoError> {
        self.refs.any()
    }
}
