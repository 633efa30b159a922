//! Entries that are no pushes: what people order, and what a file continues.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Event};

/// Who was stopped, or may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Name of the identity.
    pub identity: String,
    /// Whose word it is: the account on the server.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whose word about the clock it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSet {
    /// The account on the server.
    pub by: String,
}

/// Whose a ref is, on a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Names of the repository, most specific first.
    pub repository: Vec<String>,
    /// The ref, quoted.
    #[serde(rename = "ref")]
    pub name: String,
    /// Its exact bytes in hex, when `ref` does not show them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_hex: Option<String>,
    /// The value that it had then.
    pub value: String,
    /// The identity that owns it from now on.
    pub identity: String,
    /// Whose word it is: the account on the server.
    pub by: String,
}

/// What a new file continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continued {
    /// How many entries the file before has.
    pub entries: u64,
    /// Its hash.
    pub head: String,
}

impl Entry {
    /// The entry that stops an identity.
    pub fn suspended(stopped: Stopped, now: jiff::Timestamp) -> Self {
        Entry::now(Event::Suspended(stopped), now)
    }

    /// The entry that lets an identity go on.
    pub fn resumed(stopped: Stopped, now: jiff::Timestamp) -> Self {
        Entry::now(Event::Resumed(stopped), now)
    }

    /// The entry that says that the clock is right.
    pub fn clock(by: String, now: jiff::Timestamp) -> Self {
        Entry::now(Event::Clock(ClockSet { by }), now)
    }

    /// The entry that says whose a ref is.
    pub fn assigned(assigned: Assigned, now: jiff::Timestamp) -> Self {
        Entry::now(Event::Assigned(assigned), now)
    }

    /// The first entry of a file that takes the place of one with these many entries and this last hash.
    pub(super) fn continued(entries: u64, hash: &[u8; 32], now: jiff::Timestamp) -> Self {
        let head = data_encoding::HEXLOWER.encode(hash);
        Entry::now(Event::Continued(Continued { entries, head }), now)
    }
}
