//! What the record knows before a push is judged: who is stopped, how late it is at least, and, where a boundary asks for
//! it, what the pusher did lately and who made the refs.

mod refs;
mod tally;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

pub use refs::{Passed, RefPast};
pub use tally::{Counted, PER_HOUR_MAX, Sums, Tally};

/// How far the clock may be behind the record before that is told: time servers move clocks a little, and pushes that
/// come together are recorded in the order in which they end.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(2);

/// What the ledger says at one moment. Without a ledger: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Identities that are stopped until a person lifts it, and since when.
    pub suspended: BTreeMap<String, String>,
    /// The latest moment that an entry names.
    pub latest: Option<Timestamp>,
}

/// What the index of the ledger knows of the pushers and of the refs of one push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// It cannot be known, and why: what needs it is refused.
    Unknown(String),
    /// The record is another machine's (an advisory run): what needs it is passed over.
    Elsewhere,
    /// It is known.
    Known(Known),
}

/// See [`Past`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What the identity asked for did lately.
    pub tally: Tally,
    /// One for each ref asked for, in that order.
    pub refs: Vec<RefPast>,
    /// Entries before this moment are not known. `None`: all are.
    pub since: Option<Timestamp>,
}

impl Standing {
    /// Since when an identity is suspended, as the ledger says it. `None`: it is not.
    pub fn suspended_since(&self, identity: &str) -> Option<&str> {
        self.suspended.get(identity).map(String::as_str)
    }

    /// The latest moment of the record, when the clock is so far behind it that it must have gone back.
    pub fn clock_behind(&self, now: Timestamp) -> Option<Timestamp> {
        self.latest
            .filter(|latest| latest.duration_since(now) > CLOCK_SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_a_little_behind_is_no_clock_that_went_back() {
        let now: Timestamp = "2026-11-22T20:12:05Z".parse().unwrap();
        let latest = |seconds: i64| Standing {
            latest: Some(now + SignedDuration::from_secs(seconds)),
            ..Standing::default()
        };
        assert_eq!(Standing::default().clock_behind(now), None);
        for seconds in [-1_000_000, 0, 120] {
            assert_eq!(latest(seconds).clock_behind(now), None, "{seconds}");
        }
        let ahead = latest(121);
        assert_eq!(ahead.clock_behind(now), ahead.latest);
    }
}
