//! Which ledger each repository is compared with.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::{AuditArgs, Job};
use crate::audit::shown;
use crate::ledger::{self, Book};

/// The ledger that a repository is compared with.
pub(super) enum Of {
    Nobody,
    /// Of several repositories: read once.
    Shared(Arc<Result<Book, String>>),
    /// In the repository: read when its turn comes.
    Own(PathBuf),
}

pub(super) fn read(files: &[PathBuf]) -> Result<Book, String> {
    Book::read(files).map_err(|error| {
        let path = files.last().map(|path| shown(path.as_os_str().as_bytes()));
        format!("{}: {error}", path.unwrap_or_default())
    })
}

/// The ledgers to compare with: the one that is named, else for each repository that of its policy, else its own. One that is
/// not there is none: nothing was recorded here.
pub(super) fn find(args: &AuditArgs, jobs: &mut [Job]) -> Result<(), String> {
    if args.no_ledger {
        return Ok(());
    }
    if !args.ledger.is_empty() {
        let read = Arc::new(Ok(read(&args.ledger)?));
        for job in jobs {
            job.ledger = Of::Shared(Arc::clone(&read));
        }
        return Ok(());
    }
    let mut shared: BTreeMap<PathBuf, Arc<Result<Book, String>>> = BTreeMap::new();
    for job in jobs {
        let named = job.policy.as_ref().and_then(|policy| policy.ledger.clone());
        if let Some(path) = named {
            if path.try_exists().unwrap_or(true) {
                let read = shared
                    .entry(path)
                    .or_insert_with_key(|path| Arc::new(read(std::slice::from_ref(path))));
                job.ledger = Of::Shared(Arc::clone(read));
            }
        } else if let Ok(layout) = &job.layout {
            let path = ledger::default_path(&layout.common_dir);
            if path.try_exists().unwrap_or(true) {
                job.ledger = Of::Own(path);
            }
        }
    }
    Ok(())
}
