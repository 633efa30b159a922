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
mod shows;
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
use sha2::{Digest as _, Sha256};

use crate::check;
use crate::redact::{Quoted, SHOWN_MAX_BYTES, Whole};

/// Bytes of a repository, fit to be shown: secrets masked, quoted and cut. What is cut ends with a digest of the whole, so that
/// two long names that begin alike stay two, also for a baseline.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let masked = check::masked(bytes);
    let bytes = masked.as_deref().unwrap_or(bytes).as_bytes();
    let text = Quoted(bytes).to_string();
    match text.strip_suffix(')') {
        Some(start) if bytes.len() > SHOWN_MAX_BYTES => {
            let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)[..6]);
            format!("{start}, {digest})")
        }
        _ => text,
    }
}

/// The name or the path of a repository, which no system lets grow without a bound: never cut, since records, shards and
/// baselines know a repository by it.
pub(crate) fn shown_whole(bytes: &[u8]) -> String {
    let masked = check::masked(bytes);
    Whole(masked.as_deref().unwrap_or(bytes).as_bytes()).to_string()
}

/// Seconds since 1970 as records show them. Commits say what they like: what lies outside the years 1970 to 9999 is shown as
/// the end of these.
pub(crate) fn time(seconds: i64) -> String {
    let within = seconds.clamp(0, 253_402_207_200);
    let time = jiff::Timestamp::from_second(within).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_string()
}
