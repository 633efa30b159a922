//! The audit: whole histories, many repositories, one answer.
//!
//! Everything that it tells is a [`record::Record`]: JSON lines are these and nothing else, every other form is made from them, and
//! so is what several runs told together.

mod find;
pub mod record;

mod agents;
mod baseline;
mod commits;
pub mod contents;
mod coverage;
mod findings;
mod replay;
mod repository;
mod run;
mod state;
mod tell;
mod tips;
mod totals;
mod walk;
mod weights;

pub use baseline::Baseline;
pub use find::{Candidate, List, find as find_repositories};
pub use record::{Record, Repository, Summary, Unread};
pub use repository::{Question, Recorded, Subject, audit};
pub use run::{Progress, Shard, run as run_all};
pub use state::States;
pub use tell::{Form, line as tell_line, tell as tell_all};
pub use totals::Totals;

use bstr::ByteSlice as _;

use crate::check;
use crate::redact::Quoted;

/// Bytes of a repository, fit to be shown: secrets masked, quoted and cut.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let masked = check::masked(bytes);
    Quoted(masked.as_deref().unwrap_or(bytes).as_bytes()).to_string()
}

/// Seconds since 1970 as records show them. Commits say what they like: what lies outside the years 1970 to 9999 is shown as
/// the end of these.
pub(crate) fn time(seconds: i64) -> String {
    let within = seconds.clamp(0, 253_402_207_200);
    let time = jiff::Timestamp::from_second(within).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_string()
}
