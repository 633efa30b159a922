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
use crate::scan::{Memory, Outcome, Scanner, active};

/// Time is the one thing that a scan of one text cannot bound by itself.
const ENDLESS: &str = "the budget has no end";

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
    /// A blob of so many bytes was looked at.
    fn blob(&mut self, _bytes: u64) {}
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
    /// Blobs in which the check `hidden-unicode` may hit at some path.
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

/// What is kept of a blob for those that are made from it.
struct Kept {
    /// What the scanner noted. `None`: nothing that would help.
    memory: Option<Memory>,
    /// Nothing can be hidden in it.
    is_plain: bool,
    has_returns: bool,
    found: Vec<Found>,
}

impl<C: Collect> Scan<'_, C> {
    fn note(
        &mut self,
        (id, text): (&Oid, &[u8]),
        outcome: Outcome,
        base: &[Found],
        mut kept: Kept,
    ) -> Kept {
        if !kept.is_plain {
            if check::may_hide(text, self.budget).expect(ENDLESS) {
                self.found.odd.insert(*id);
            }
        } else if kept.has_returns {
            self.found.returns.insert(*id);
        }
        let hits = check::hits(outcome, self.key).into_iter().map(|hit| {
            let same = |known: &&Found| {
                let known = &known.hit;
                (
                    &known.rule,
                    known.confidence,
                    &known.evidence,
                    &known.detail,
                ) == (&hit.rule, hit.confidence, &hit.evidence, &hit.detail)
            };
            let known = base.iter().find(same).map(|known| known.hit.clone());
            Found {
                bytes: hit.bytes.clone(),
                hit: known.unwrap_or_else(|| Arc::new(hit)),
            }
        });
        kept.found = hits.collect();
        if !kept.found.is_empty() {
            self.found.hits.insert(*id, kept.found.clone());
        }
        kept
    }

    fn count(&mut self, text: &[u8], scanned: usize) {
        self.collect.blob(text.len() as u64);
        let counts = &mut self.found.counts;
        counts.blobs += 1;
        counts.bytes += text.len() as u64;
        counts.scanned += scanned as u64;
    }
}

impl<C: Collect> Visit for Scan<'_, C> {
    type Kept = Kept;

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

    fn blob(&mut self, id: &Oid, text: &[u8]) -> Kept {
        self.count(text, text.len());
        let scanned = Scanner::of(active()).scan_keeping(text, self.budget);
        let (outcome, memory) = scanned.expect(ENDLESS);
        let kept = Kept {
            memory,
            is_plain: check::is_plain(text),
            has_returns: memchr::memchr(b'\r', text).is_some(),
            found: Vec::new(),
        };
        self.note((id, text), outcome, &[], kept)
    }

    fn made(&mut self, id: &Oid, text: &[u8], base: &Kept, parts: &[Part]) -> Kept {
        let Some(before) = &base.memory else {
            return self.blob(id, text);
        };
        let scanned = Scanner::of(active()).scan_made(text, before, parts, self.budget);
        let (outcome, memory, fresh) = scanned.expect(ENDLESS);
        self.count(text, fresh);
        // What was copied from a text without any has none.
        let new = || {
            let new = parts.iter().filter(|part| part.from.is_none());
            new.map(|part| &text[part.bytes.clone()])
        };
        let has_return = |part: &[u8]| memchr::memchr(b'\r', part).is_some();
        let kept = Kept {
            memory,
            is_plain: match base.is_plain {
                true => new().all(check::is_plain),
                false => check::is_plain(text),
            },
            has_returns: match base.has_returns {
                true => has_return(text),
                false => new().any(has_return),
            },
            found: Vec::new(),
        };
        self.note((id, text), outcome, &base.found, kept)
    }
}
