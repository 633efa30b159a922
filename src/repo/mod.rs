//! The repository, read only: objects of the quarantine and of the store, refs, history, changes.
//!
//! Raw objects, never porcelain: no replace refs, grafts, attributes, textconv, rename heuristics, and of the
//! repository's config only the `extensions` section is read, to refuse what the gate does not understand.

mod changes;
mod config;
mod history;
mod merge;
mod objects;
mod parse;
mod refs;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use changes::{Change, Entry, Mode, Origin};
pub use history::{History, NewCommit, NewContent, NewTag};
pub use objects::{Kind, Object, Reader};
pub use parse::{Commit, Defect, Signature, Tag, TreeEntry};
pub use refs::Resolved;

use crate::budget::Exhausted;
use crate::push::HashKind;
use crate::push::Oid;

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

/// Where the objects and refs of one repository are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `$GIT_DIR`, absolute.
    pub git_dir: PathBuf,
    /// The shared folder of a linked worktree; else the same as `git_dir`.
    pub common_dir: PathBuf,
    /// The quarantine: `GIT_OBJECT_DIRECTORY` when it is not the repository's own folder.
    pub incoming: Option<PathBuf>,
    /// Object folders beside the repository's own, from `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    pub alternates: Vec<PathBuf>,
    /// Length of ids.
    pub hash: HashKind,
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
