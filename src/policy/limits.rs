//! `limits:` of a boundary: the most that one push may bring, and the most within an hour or a day.

use crate::finding::PolicyAt;

/// A limit with the line that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The greatest value that passes.
    pub max: u64,
    /// The line.
    pub at: PolicyAt,
}

/// `limits:` of a boundary. `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Ref updates in one push.
    pub refs: Option<Limit>,
    /// New commits in one push.
    pub commits: Option<Limit>,
    /// Distinct paths changed by the new commits.
    pub files: Option<Limit>,
    /// Lines added by the new commits, summed.
    pub added_lines: Option<Limit>,
    /// Bytes of one changed file.
    pub file_bytes: Option<Limit>,
    /// Bytes of all changed files.
    pub bytes: Option<Limit>,
    /// Pushes that pass within 60 minutes.
    pub pushes_per_hour: Option<Limit>,
    /// Pushes that are judged within 60 minutes.
    pub attempts_per_hour: Option<Limit>,
    /// Pushes that pass on one day.
    pub pushes_per_day: Option<Limit>,
    /// Their new commits.
    pub commits_per_day: Option<Limit>,
    /// The lines that they add.
    pub added_lines_per_day: Option<Limit>,
    /// Refusals in a row that suspend an agent.
    pub suspend_after: Option<Limit>,
}

/// Keys of `limits:` in the order of [`Limits::slots`]: those of one push, then those that the ledger counts.
const LIMIT_KEYS: [&str; 12] = [
    "refs",
    "commits",
    "files",
    "added_lines",
    "file_bytes",
    "bytes",
    "pushes_per_hour",
    "attempts_per_hour",
    "pushes_per_day",
    "commits_per_day",
    "added_lines_per_day",
    "suspend_after",
];

/// Where those that the ledger counts start.
const OVER_TIME_FROM: usize = 6;

impl Limits {
    fn slots(&self) -> [&Option<Limit>; 12] {
        [
            &self.refs,
            &self.commits,
            &self.files,
            &self.added_lines,
            &self.file_bytes,
            &self.bytes,
            &self.pushes_per_hour,
            &self.attempts_per_hour,
            &self.pushes_per_day,
            &self.commits_per_day,
            &self.added_lines_per_day,
            &self.suspend_after,
        ]
    }

    /// Every limit with its key, to be filled in.
    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Option<Limit>)> {
        LIMIT_KEYS.into_iter().zip([
            &mut self.refs,
            &mut self.commits,
            &mut self.files,
            &mut self.added_lines,
            &mut self.file_bytes,
            &mut self.bytes,
            &mut self.pushes_per_hour,
            &mut self.attempts_per_hour,
            &mut self.pushes_per_day,
            &mut self.commits_per_day,
            &mut self.added_lines_per_day,
            &mut self.suspend_after,
        ])
    }

    pub(super) fn take_minimum(&mut self, other: &Limits) {
        for ((_, mine), theirs) in self.slots_mut().zip(other.slots()) {
            if let Some(limit) = theirs
                && mine.as_ref().is_none_or(|mine| limit.max < mine.max)
            {
                *mine = Some(limit.clone());
            }
        }
    }

    /// Every limit that is set, with its key.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Limit)> {
        let slots = LIMIT_KEYS.into_iter().zip(self.slots());
        slots.filter_map(|(key, limit)| Some((key, limit.as_ref()?)))
    }

    /// Whether the ledger counts for the limit with this key.
    pub(super) fn is_over_time(key: &str) -> bool {
        LIMIT_KEYS[OVER_TIME_FROM..].contains(&key)
    }

    /// Whether one of them needs what the ledger counts.
    pub fn count_over_time(&self) -> bool {
        self.slots()[OVER_TIME_FROM..]
            .iter()
            .any(|limit| limit.is_some())
    }

    /// Whether added lines must be counted.
    pub fn count_lines(&self) -> bool {
        self.added_lines.is_some() || self.added_lines_per_day.is_some()
    }
}
