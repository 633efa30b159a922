//! Every blob of a repository through the secret scanner, as if each were scanned whole.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::budget::{Bounds, Budget};
use crate::check::{self, Hit};
use crate::push::Oid;
use crate::redact::FingerprintKey;
use crate::repo::packs::{Part, Unread, Visit, pass};
use crate::repo::{Kind, Repo, RepoError};
use crate::scan::{Scanner, active};

/// Takes what is no content, one a thread.
pub trait Collect: Send {
    /// Whether an object has to be looked at. Asked of commits, annotated tags and blobs, before anything is read.
    fn wants(&self, _id: &Oid, _kind: Kind) -> bool {
        true
    }
    /// A commit as it is stored.
    fn commit(&mut self, id: &Oid, data: &[u8]);
    /// An annotated tag as it is stored.
    fn tag(&mut self, id: &Oid, data: &[u8]);
}

/// One hit of the check `secrets` in one blob.
#[derive(Debug, Clone)]
pub struct Found {
    /// What was found. Versions of a file share it, so that its place is that of one of them.
    hit: Arc<Hit>,
    /// Bytes of this blob that hold it.
    pub bytes: Range<usize>,
}

impl Found {
    /// A hit in one blob.
    pub(super) fn new(hit: Hit) -> Found {
        Found {
            bytes: hit.bytes.clone(),
            hit: Arc::new(hit),
        }
    }

    /// The hit, with the place that it has in some blob.
    pub(super) fn as_shared(&self) -> &Hit {
        &self.hit
    }

    /// The hit as the check tells it of this blob.
    pub fn hit(&self) -> Hit {
        Hit {
            bytes: self.bytes.clone(),
            ..Hit::clone(&self.hit)
        }
    }
}

/// What lies in the blobs of a repository.
#[derive(Debug, Default)]
pub struct Contents {
    /// Every blob in which the check `secrets` hits, with all of its hits, in the order of the check.
    pub hits: HashMap<Oid, Vec<Found>>,
    /// Blobs that have more than printable ASCII, tabs and line ends: the check `hidden-unicode` may hit at some path.
    pub odd: HashSet<Oid>,
    /// Other blobs that have carriage returns: the same at the path of a file that instructs agents, and only there.
    pub returns: HashSet<Oid>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// How much it was.
    pub counts: Counts,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits.
    pub commits: u64,
    /// Annotated tags.
    pub tags: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the scanner walked over; the others were known from another blob.
    pub scanned: u64,
}

/// Scans every blob that is wanted, and shows commits and tags to the collectors, one a thread.
pub fn scan<C: Collect>(
    repo: &Repo,
    key: &FingerprintKey,
    threads: usize,
    make: impl Fn() -> C + Sync,
) -> Result<(Contents, Vec<C>), RepoError> {
    // Work on one text has its own bounds; how long all of them take is the caller's to see.
    let budget = Budget::new(Bounds {
        time: Duration::MAX,
        ..Bounds::default()
    });
    let visitor = || Scan {
        key,
        budget: &budget,
        collect: make(),
        found: Contents::default(),
    };
    let (scans, unread) = pass(repo, threads, visitor)?;
    let mut all = Contents {
        unread,
        ..Contents::default()
    };
    let mut collectors = Vec::with_capacity(scans.len());
    for scan in scans {
        all.add(scan.found);
        collectors.push(scan.collect);
    }
    Ok((all, collectors))
}

impl Contents {
    fn add(&mut self, other: Contents) {
        self.hits.extend(other.hits);
        self.odd.extend(other.odd);
        self.returns.extend(other.returns);
        let (own, more) = (&mut self.counts, other.counts);
        own.commits += more.commits;
        own.tags += more.tags;
        own.blobs += more.blobs;
        own.bytes += more.bytes;
        own.scanned += more.scanned;
    }
}

/// One thread.
struct Scan<'a, C> {
    key: &'a FingerprintKey,
    budget: &'a Budget,
    collect: C,
    found: Contents,
}

impl<C: Collect> Visit for Scan<'_, C> {
    type Kept = ();

    fn wants(&self, id: &Oid, kind: Kind) -> bool {
        self.collect.wants(id, kind)
    }

    fn object(&mut self, id: &Oid, kind: Kind, data: &[u8]) {
        if kind == Kind::Tag {
            self.found.counts.tags += 1;
            self.collect.tag(id, data);
        } else {
            self.found.counts.commits += 1;
            self.collect.commit(id, data);
        }
    }

    fn blob(&mut self, id: &Oid, text: &[u8]) {
        let counts = &mut self.found.counts;
        counts.blobs += 1;
        counts.bytes += text.len() as u64;
        counts.scanned += text.len() as u64;
        if !check::is_plain(text) {
            self.found.odd.insert(*id);
        } else if memchr::memchr(b'\r', text).is_some() {
            self.found.returns.insert(*id);
        }
        let outcome = Scanner::of(active()).scan(text, self.budget);
        let outcome = outcome.expect("a budget without an end");
        let hits = check::hits(outcome, self.key);
        if !hits.is_empty() {
            let found = hits.into_iter().map(|hit| Found {
                bytes: hit.bytes.clone(),
                hit: Arc::new(hit),
            });
            self.found.hits.insert(*id, found.collect());
        }
    }

    fn made(&mut self, id: &Oid, text: &[u8], _base: &(), _parts: &[Part]) {
        self.blob(id, text);
    }
}
