//! A bound for everything: time, commits, objects, bytes. One value, passed down, asked before each unit of work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Wall time, in milliseconds.
    Time,
    /// Ref updates in one push.
    Refs,
    /// Commits walked.
    Commits,
    /// Path changes of all new commits.
    Changes,
    /// Bytes of object content read, after inflation.
    Bytes,
    /// Levels of folders.
    TreeDepth,
    /// Bytes of one commit, tag or tree object.
    ObjectBytes,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Resource::Time => "time (ms)",
            Resource::Refs => "ref updates",
            Resource::Commits => "commits",
            Resource::Changes => "path changes",
            Resource::Bytes => "bytes read",
            Resource::TreeDepth => "folder levels",
            Resource::ObjectBytes => "bytes of one commit, tag or tree",
        })
    }
}

/// The bounds of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Wall time for the whole judgement.
    pub time: Duration,
    /// Ref updates in one push.
    pub refs: u64,
    /// Commits walked, new ones and those read to prove what is known.
    pub commits: u64,
    /// Path changes of all new commits.
    pub changes: u64,
    /// Object content read, in bytes after inflation.
    pub bytes: u64,
    /// Largest blob that is looked into, in bytes. A larger one is a finding, not an error.
    pub blob_bytes: u64,
    /// Levels of folders.
    pub tree_depth: u64,
    /// Bytes of one commit, tag or tree object.
    pub object_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            time: Duration::from_secs(4),
            refs: 1_000,
            commits: 100_000,
            changes: 50_000,
            bytes: 4 << 30,
            blob_bytes: 64 << 20,
            tree_depth: 512,
            object_bytes: 16 << 20,
        }
    }
}

/// A bound was reached: the gate cannot finish, so the push is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bound on {resource} is reached: {limit}")]
pub struct Exhausted {
    /// What ran out.
    pub resource: Resource,
    /// The bound, in the unit of the resource.
    pub limit: u64,
}

/// The bounds and what was used of them. Shared between threads.
#[derive(Debug)]
pub struct Budget {
    bounds: Bounds,
    started: Instant,
    commits: AtomicU64,
    changes: AtomicU64,
    bytes: AtomicU64,
}

impl Budget {
    /// A fresh budget whose clock starts now.
    pub fn new(bounds: Bounds) -> Self {
        Budget {
            bounds,
            started: Instant::now(),
            commits: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// The bounds as given.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Time since the budget was made.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Errs once the time is used up. Costs a clock read: ask per object, not per byte.
    pub fn check_time(&self) -> Result<(), Exhausted> {
        if self.started.elapsed() < self.bounds.time {
            return Ok(());
        }
        Err(self.time_is_up())
    }

    /// What is said when the time is used up.
    pub fn time_is_up(&self) -> Exhausted {
        Exhausted {
            resource: Resource::Time,
            limit: u64::try_from(self.bounds.time.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The time that is left.
    pub fn time_left(&self) -> Duration {
        self.bounds.time.saturating_sub(self.started.elapsed())
    }

    /// Takes `count` commits.
    pub fn take_commits(&self, count: u64) -> Result<(), Exhausted> {
        take(&self.commits, count, self.bounds.commits, Resource::Commits)
    }

    /// Takes `count` path changes.
    pub fn take_changes(&self, count: u64) -> Result<(), Exhausted> {
        take(&self.changes, count, self.bounds.changes, Resource::Changes)
    }

    /// Takes `count` bytes of content, and asks the clock.
    pub fn take_bytes(&self, count: u64) -> Result<(), Exhausted> {
        self.check_time()?;
        take(&self.bytes, count, self.bounds.bytes, Resource::Bytes)
    }

    /// Errs when `depth` levels of folders are more than allowed.
    pub fn check_depth(&self, depth: u64) -> Result<(), Exhausted> {
        within(depth, self.bounds.tree_depth, Resource::TreeDepth)
    }

    /// Errs when a commit, tag or tree object is larger than allowed.
    pub fn check_object(&self, bytes: u64) -> Result<(), Exhausted> {
        within(bytes, self.bounds.object_bytes, Resource::ObjectBytes)
    }

    /// Errs when a push has more ref updates than allowed.
    pub fn check_refs(&self, refs: u64) -> Result<(), Exhausted> {
        within(refs, self.bounds.refs, Resource::Refs)
    }
}

fn take(counter: &AtomicU64, count: u64, limit: u64, resource: Resource) -> Result<(), Exhausted> {
    let used = counter
        .fetch_add(count, Ordering::Relaxed)
        .saturating_add(count);
    within(used, limit, resource)
}

fn within(used: u64, limit: u64, resource: Resource) -> Result<(), Exhausted> {
    if used <= limit {
        Ok(())
    } else {
        Err(Exhausted { resource, limit })
    }
}
