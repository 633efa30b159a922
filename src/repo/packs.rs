//! One pass over all objects of a repository, in the order in which they are packed, with an own resolver of deltas: what
//! was made from what is told, so that whoever looks at every version of a file need not look at all of it every time.
//!
//! Checked is what costs nothing beside inflating: the index as a whole, its CRC-32 of each entry, the checksums of zlib,
//! every size. Content is not
//! hashed, ids are those of the index. Trees are not looked at. What cannot be read is told, and the rest goes on.
//!
//! Packs are read, not mapped: a file that is cut off while it is read ends in an error and not in a signal, and what was read
//! does not count as memory of the process.

pub(super) mod delta;
pub(super) mod index;
mod pack;
pub(super) mod reading;
mod sources;
mod work;

use std::ops::Range;
use std::path::PathBuf;

use reading::Reading;
use sources::{Listing, Sources};
use work::{Failure, Shared, Worker};

use super::{Kind, Repo, RepoError, alternates};
use crate::push::Oid;

/// Largest object that is put together, in bytes.
const SIZE_MAX_BYTES: u64 = 1 << 30;
/// Objects that cannot be read and are told one by one. What is beyond is told as a number.
const TOLD_MAX: usize = 1_000;
/// How often packs are listed again before anything is read, where a repack came in between.
const LISTED_AGAIN_MAX: usize = 3;
const TOO_MUCH: &str = "it takes too much memory to put together";
const GONE: &str = "it was removed while it was read, and is nowhere else";

/// A part of a blob that was made from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which bytes of the text. Never none.
    pub bytes: Range<usize>,
    /// Where they stand in the text that it was made from. `None`: they are new.
    pub from: Option<usize>,
}

/// What is made of the objects, one a thread.
pub trait Visit: Send {
    /// What is kept of a blob while objects made from it follow.
    type Kept: Send + Sync;
    /// Whether somebody wants to see an object. One that nobody wants is decoded only where one that is wanted is made from
    /// it. Asked before anything is decoded, of the first visitor for all packed objects.
    fn wants(&self, id: &Oid, kind: Kind) -> bool;
    /// A commit or an annotated tag as it is stored.
    fn object(&mut self, id: &Oid, kind: Kind, data: &[u8]);
    /// A blob that is stored whole, or made from one that nobody wanted.
    fn blob(&mut self, id: &Oid, text: &[u8]) -> Self::Kept;
    /// A blob made from another. The parts stand in the order of the text, and are all of it.
    fn made(&mut self, id: &Oid, text: &[u8], base: &Self::Kept, parts: &[Part]) -> Self::Kept;
}

/// Objects that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The id of an object, or the name of a pack.
    pub what: String,
    /// Why not.
    pub why: String,
    /// How many objects are missing for it. 0: it is not known, or none.
    pub objects: u64,
}

/// Shows every object that is wanted to one of the visitors: commits, annotated tags and blobs of the repository's own
/// folder and of its alternates, packed and loose, each once. Gives the visitors back, and what could not be read.
///
/// A pack that a repack removes meanwhile is looked for once more under its new name.
pub fn pass<V: Visit>(
    repo: &Repo,
    threads: usize,
    make: impl Fn() -> V + Sync,
) -> Result<(Vec<V>, Vec<Unread>), RepoError> {
    let folders = folders(repo)?;
    let mut unread = Vec::new();
    let mut first = Listing::of(&folders, repo.hash_kind())?;
    let mut visitors: Vec<V> = (0..threads.max(1)).map(|_| make()).collect();
    let mut sources = Sources::open(&first, &folders, repo.hash_kind());
    for _ in 0..LISTED_AGAIN_MAX {
        if sources.vanished.is_empty() {
            break;
        }
        first = Listing::of(&folders, repo.hash_kind())?;
        sources = Sources::open(&first, &folders, repo.hash_kind());
    }
    let mut failures = round(&mut sources, &mut visitors, |_| false);

    // What was not there any more was written elsewhere before.
    let second = Listing::of(&folders, repo.hash_kind())?;
    unread.extend(second.still_bare(&first));
    let is_gone = |failure: &Failure| failure.why == GONE;
    if !sources.gone.is_empty() || failures.iter().any(is_gone) {
        let new = second.without(&first);
        let mut new = Sources::open(&new, &folders, repo.hash_kind());
        let lost: std::collections::HashSet<Oid> = failures
            .iter()
            .filter(|failure| is_gone(failure))
            .map(|failure| failure.id)
            .collect();
        let is_known = |id: &Oid| sources.has(id) && !lost.contains(id);
        let more = round(&mut new, &mut visitors, is_known);
        failures.retain(|failure| !is_gone(failure) || !new.has(&failure.id));
        for (name, index) in sources.gone.iter().chain(&new.gone) {
            let ids = (0..index.len()).map(|at| index.id(at));
            let missing = ids.filter(|id| !sources.has(id) && !new.has(id)).count() as u64;
            if missing > 0 {
                unread.push(Unread {
                    what: name.clone(),
                    why: GONE.to_owned(),
                    objects: missing,
                });
            }
        }
        tell(more, &new, &mut visitors[0], &mut unread);
        unread.append(&mut new.unread);
        sources.vanished.append(&mut new.vanished);
    }
    tell(failures, &sources, &mut visitors[0], &mut unread);
    unread.append(&mut sources.unread);
    unread.extend(sources.vanished.into_iter().map(|what| Unread {
        what,
        why: GONE.to_owned(),
        objects: 0,
    }));
    Ok((visitors, unread))
}

/// All object folders, the repository's own first.
fn folders(repo: &Repo) -> Result<Vec<PathBuf>, RepoError> {
    let layout = repo.layout();
    let mut folders: Vec<PathBuf> = Vec::new();
    let named = layout.incoming.iter().cloned();
    let own = named.chain([layout.objects_dir()]);
    for folder in own.chain(layout.alternates.iter().cloned()) {
        let more = alternates::of(&folder).map_err(RepoError::Open)?;
        for folder in std::iter::once(folder).chain(more) {
            let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    Ok(folders)
}

/// Shows all that the sources have.
fn round<V: Visit>(
    sources: &mut Sources,
    visitors: &mut Vec<V>,
    is_known: impl Fn(&Oid) -> bool,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    let first = &visitors[0];
    let roots = sources.plan(|id, kind| first.wants(id, kind), is_known, &mut failures);
    let shared = Shared::new(sources, &roots, visitors.len());
    let workers: Vec<Worker<'_, V>> = std::mem::take(visitors)
        .into_iter()
        .map(|visitor| Worker::new(&shared, visitor))
        .collect();
    let done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|worker| scope.spawn(|| worker.run()))
            .collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    for one in done {
        match one {
            Ok((visitor, failed)) => {
                visitors.push(visitor);
                failures.extend(failed);
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    failures
}

/// What could not be read at one place is read at another that has it, or told.
fn tell<V: Visit>(
    failures: Vec<Failure>,
    sources: &Sources,
    visitor: &mut V,
    unread: &mut Vec<Unread>,
) {
    let mut reading = Reading::new();
    let (mut told, mut more) = (0, 0);
    for failure in failures {
        // One by one they can be put together in little memory.
        let not_in = failure.pack.as_deref().filter(|_| failure.why != TOO_MUCH);
        let lost = failure.objects.iter();
        let lost = lost.filter(|id| !sources.second_chance(&mut reading, id, not_in, visitor));
        let objects = lost.count() as u64;
        if objects == 0 {
            continue;
        }
        told += 1;
        if told > TOLD_MAX {
            more += objects;
            continue;
        }
        let place = failure.pack.map(|name| format!(" (in {name})"));
        unread.push(Unread {
            what: failure.id.to_string(),
            why: failure.why + &place.unwrap_or_default(),
            objects,
        });
    }
    if more > 0 {
        unread.push(Unread {
            what: "more objects".to_owned(),
            why: "they cannot be read for the same reasons".to_owned(),
            objects: more,
        });
    }
}
