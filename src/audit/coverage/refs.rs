//! What the ledger knows of one ref, and how it names refs.

use crate::audit::shown;
use crate::check;
use crate::ledger::{self, Moved};
use crate::push::{Oid, RefName};

/// Later than this, in milliseconds, no push that was let pass is still on its way into the ref store.
pub(super) const ON_ITS_WAY: i64 = 15 * 60 * 1_000;
/// Refs that hosts, and git's own maintenance, keep for themselves: no hook sees them move.
const HOST_REFS: &[&[u8]] = &[
    b"refs/changes/",
    b"refs/environments/",
    b"refs/keep-around/",
    b"refs/merge-requests/",
    b"refs/pipelines/",
    b"refs/prefetch/",
    b"refs/pull/",
    b"refs/remotes/",
];

/// A ref as entries name it: what is shown, and the hex of its bytes where that is not exact.
pub(super) type Key = (String, Option<String>);

/// `None`: the ref is not there.
pub(super) type Value = Option<Oid>;

/// What is known of one ref.
#[derive(Default)]
pub(super) struct Past {
    /// Its value, and since when it is known.
    pub(super) now: Value,
    pub(super) since: i64,
    /// What was let pass, and may have come.
    pub(super) pending: Vec<Pending>,
    /// Values that it had until lately.
    pub(super) gone: Vec<(Value, i64)>,
}

pub(super) struct Pending {
    pub(super) value: Value,
    pub(super) from: Value,
    pub(super) at: i64,
    pub(super) decision: String,
    pub(super) identity: Option<String>,
}

impl Past {
    pub(super) fn may_be(&self, value: Value) -> bool {
        self.now == value || self.pending.iter().any(|one| one.value == value)
    }

    /// Whether it had this value within so many milliseconds before `at`.
    pub(super) fn was(&self, value: Value, at: i64, within: i64) -> bool {
        (self.gone.iter()).any(|(gone, until)| *gone == value && *until >= at - within)
    }

    /// The value is known. Returns what was let pass and can no longer come.
    pub(super) fn set(&mut self, value: Value, at: i64) -> Vec<Pending> {
        if self.now != value {
            self.gone.retain(|(_, until)| *until >= at - ON_ITS_WAY);
            self.gone.push((self.now, at));
            self.now = value;
        }
        self.since = at;
        self.pending.retain(|one| one.value != value);
        let (late, pending) = (self.pending.drain(..)).partition(|one| one.at < at - ON_ITS_WAY);
        self.pending = pending;
        late
    }
}

pub(super) fn is_of_host(name: &[u8]) -> bool {
    HOST_REFS.iter().any(|prefix| name.starts_with(prefix))
}

/// The ref that really moves.
pub(super) fn key_of(moved: &Moved) -> Key {
    match &moved.target {
        Some(target) => (target.clone(), moved.target_hex.clone()),
        None => (moved.name.clone(), moved.ref_hex.clone()),
    }
}

/// A ref of the repository as an entry would name it: secrets in names are masked there.
pub(super) fn key_of_name(name: &[u8]) -> Key {
    match check::masked(name).map(RefName::new) {
        None => ledger::shown_and_hex(name),
        Some(Ok(masked)) => ledger::shown_and_hex(masked.as_bytes()),
        Some(Err(_)) => ledger::shown_and_hex(b"refs/masked"),
    }
}

pub(super) fn name_of((name, hex): &Key) -> String {
    let bytes = hex.as_ref().and_then(|hex| {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(hex.as_bytes())
            .ok()
    });
    shown(bytes.as_deref().unwrap_or(name.as_bytes()))
}

pub(super) fn value(hex: &Option<String>) -> Value {
    hex.as_ref()
        .and_then(|hex| Oid::from_hex(hex.as_bytes()).ok())
}
