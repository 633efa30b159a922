//! `limits`: how much one push may bring.

use std::collections::HashSet;

use bstr::BString;
use jiff::Timestamp;

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place};
use crate::policy::{self, Limit};
use crate::push::Oid;
use crate::repo::{Entry, Kind as ObjectKind, Mode, Origin, RepoError};
use crate::standing::Tally;

/// See the module.
pub(super) struct Limits;

const fn rule(id: &'static str, title: &'static str, doc: &'static str) -> Rule {
    Rule {
        id,
        title,
        doc,
        default: Level::Deny,
        default_human: Level::Deny,
        fixed: false,
    }
}

static RULES: &[Rule] = &[
    rule(
        "limit/refs",
        "the push updates too many refs",
        "`limits: refs` of the boundary. Push fewer refs at once.",
    ),
    rule(
        "limit/commits",
        "the push brings too many commits",
        "`limits: commits` of the boundary. Counted: new commits, each once. Push part of the branch first.",
    ),
    rule(
        "limit/files",
        "the push changes too many files",
        "`limits: files` of the boundary. Counted: distinct paths that new commits change or that a ref straight to a tree holds.",
    ),
    rule(
        "limit/added-lines",
        "the push adds too many lines",
        "`limits: added_lines` of the boundary. Counted: lines that each new commit adds, summed, binary files aside.",
    ),
    rule(
        "limit/file-bytes",
        "a file is too large",
        "`limits: file_bytes` of the boundary, for each file that a new commit adds or modifies. A pointer of git-lfs counts as \
         large as the file that it stands for.",
    ),
    rule(
        "limit/bytes",
        "the push brings too many bytes",
        "`limits: bytes` of the boundary. Counted: the files that new commits add or modify, each content once.",
    ),
    rule(
        "limit/pushes-per-hour",
        "the identity pushed too often within an hour",
        "`limits: pushes_per_hour` of the boundary. Counted from the ledger: pushes of the identity that passed, to any \
         repository of the ledger, in the 60 minutes before. Push again later.",
    ),
    rule(
        "limit/attempts-per-hour",
        "the identity tried too often within an hour",
        "`limits: attempts_per_hour` of the boundary. As `pushes_per_hour`, with the pushes that were refused, held or could not \
         be judged; those refused for the time at which they came do not count.",
    ),
    rule(
        "limit/pushes-per-day",
        "the identity pushed too often today",
        "`limits: pushes_per_day` of the boundary: pushes that passed on this day of UTC.",
    ),
    rule(
        "limit/commits-per-day",
        "the identity brings too many commits today",
        "`limits: commits_per_day` of the boundary: new commits of the pushes that passed on this day of UTC, and of this one.",
    ),
    rule(
        "limit/added-lines-per-day",
        "the identity adds too many lines today",
        "`limits: added_lines_per_day` of the boundary: lines that the pushes that passed on this day of UTC added, and this one.",
    ),
    rule(
        "limit/unscanned",
        "content was not looked into because a bound was reached",
        "What the gate did not look into it does not call clean. Make the file smaller, leave it out, or let \
         a person push it; the bound is `budget:` of the policy.",
    ),
    Rule {
        id: "limit/opaque",
        title: "a part that nobody can look into",
        doc: "An encrypted entry of a zip archive, a 7z or rar archive, a method of compression that is not known here. No \
              bound was reached and waiting does not help, so that it is told and not refused: binary files of this kind are \
              ordinary in some repositories. Where they are not, `limit/opaque: deny`.",
        default: Level::Warn,
        default_human: Level::Warn,
        fixed: false,
    },
];

impl Check for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        let limits = facts.actor.boundary.limits();
        let mut judge = |rule, title, limit: Option<&Limit>, count: u64| {
            if let Some(limit) = limit.filter(|limit| count > limit.max) {
                findings.push(over(limit, rule, title, count));
            }
        };
        let commits = &facts.history.commits;
        judge(
            "limit/refs",
            "the push updates too many refs",
            limits.refs.as_ref(),
            facts.updates.len() as u64,
        );
        judge(
            "limit/commits",
            "the push brings too many commits",
            limits.commits.as_ref(),
            commits.len() as u64,
        );
        if limits.files.is_some() {
            let paths: HashSet<&BString> = own_changes(facts).map(|own| own.path).collect();
            judge(
                "limit/files",
                "the push changes too many files",
                limits.files.as_ref(),
                paths.len() as u64,
            );
        }
        if let Some(limit) = &limits.file_bytes {
            judge_file_bytes(facts, limit, findings)?;
        }
        if let Some(limit) = &limits.bytes {
            let count = new_bytes(facts)?;
            if count > limit.max {
                let title = "the push brings too many bytes";
                findings.push(over(limit, "limit/bytes", title, count));
            }
        }
        Ok(())
    }
}

/// A change that the pusher made.
struct Own<'a> {
    commit: Option<Oid>,
    path: &'a BString,
    new: Option<Entry>,
}

/// All that the pusher changes, and what refs to trees and blobs hold.
fn own_changes<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = Own<'a>> {
    let of_commits = facts.history.commits.iter().flat_map(|commit| {
        commit
            .changes
            .iter()
            .map(|change| (Some(commit.commit.id), change))
    });
    let of_net = facts.history.net.iter().map(|(_, change)| (None, change));
    let changes = of_commits
        .chain(of_net)
        .filter(|(_, change)| change.origin != Origin::AutoMerge)
        .map(|(commit, change)| Own {
            commit,
            path: &change.path,
            new: change.new,
        });
    let contents = facts.history.contents.iter().map(|content| Own {
        commit: None,
        path: &content.path,
        new: Some(content.entry),
    });
    changes.chain(contents)
}

/// The one limit that needs the content: the gate counts lines while it has the files at hand.
pub(crate) fn too_many_lines(limits: &policy::Limits, count: u64) -> Option<Finding> {
    let limit = limits
        .added_lines
        .as_ref()
        .filter(|limit| count > limit.max)?;
    Some(over(
        limit,
        "limit/added-lines",
        "the push adds too many lines",
        count,
    ))
}

/// What one push adds to the sums of its identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Brings {
    pub(crate) commits: u64,
    pub(crate) added_lines: u64,
}

/// The limits that the ledger counts: what this push makes too much.
pub(crate) fn over_time(
    limits: &policy::Limits,
    tally: &Tally,
    brings: Brings,
    now: Timestamp,
) -> Vec<Finding> {
    let sums = tally.sums(now);
    let mut findings = Vec::new();
    let mut judge = |limit: Option<&Limit>, id: &'static str, count: u64, more: u64| {
        let Some(limit) = limit.filter(|limit| count.saturating_add(more) > limit.max) else {
            return;
        };
        let title = RULES
            .iter()
            .find(|rule| rule.id == id)
            .map(|rule| rule.title);
        let mut found = Finding::new(id, title.unwrap_or_default(), Place::new(Part::Ref));
        let next = match id {
            "limit/pushes-per-hour" => tally.next_pass(limit.max, now),
            "limit/attempts-per-hour" => tally.next_attempt(limit.max, now),
            _ => None,
        };
        let next = next.map_or_else(String::new, |at| format!("; the next from {at:.0} on"));
        found.detail = Some(match more {
            0 | 1 => format!("{count} so far, at most {} may pass{next}", limit.max),
            _ => format!(
                "{count} so far and {more} more, at most {} may pass",
                limit.max
            ),
        });
        found.decided_by = Some(limit.at.clone());
        findings.push(found);
    };
    judge(
        limits.pushes_per_hour.as_ref(),
        "limit/pushes-per-hour",
        sums.passed_in_hour,
        1,
    );
    judge(
        limits.attempts_per_hour.as_ref(),
        "limit/attempts-per-hour",
        sums.judged_in_hour,
        1,
    );
    judge(
        limits.pushes_per_day.as_ref(),
        "limit/pushes-per-day",
        sums.pushes,
        1,
    );
    judge(
        limits.commits_per_day.as_ref(),
        "limit/commits-per-day",
        sums.commits,
        brings.commits,
    );
    judge(
        limits.added_lines_per_day.as_ref(),
        "limit/added-lines-per-day",
        sums.added_lines,
        brings.added_lines,
    );
    findings
}

/// Bytes of all files that the pusher adds or modifies, each content once.
fn new_bytes(facts: &Facts<'_>) -> Result<u64, RepoError> {
    let mut seen = HashSet::new();
    let mut sum = 0_u64;
    for own in own_changes(facts) {
        if own.new.is_some_and(|entry| seen.insert(entry.id)) {
            sum = sum.saturating_add(size_of_new(facts, own.new)?);
        }
    }
    Ok(sum)
}

fn over(limit: &Limit, rule: &'static str, title: &'static str, count: u64) -> Finding {
    let mut found = Finding::new(rule, title, Place::new(Part::Ref));
    found.detail = Some(format!("{count}, at most {} may pass", limit.max));
    found.decided_by = Some(limit.at.clone());
    found
}

fn is_file(mode: Mode) -> bool {
    matches!(mode, Mode::Blob | Mode::Executable)
}

fn size_of_new(facts: &Facts<'_>, new: Option<Entry>) -> Result<u64, RepoError> {
    let Some(entry) = new.filter(|entry| is_file(entry.mode)) else {
        return Ok(0);
    };
    match facts.reader.header(&entry.id)? {
        Some((ObjectKind::Blob, size)) => Ok(size),
        _ => Err(RepoError::Missing(entry.id)),
    }
}

fn judge_file_bytes(
    facts: &Facts<'_>,
    limit: &Limit,
    findings: &mut Vec<Finding>,
) -> Result<(), RepoError> {
    for own in own_changes(facts) {
        let stored = size_of_new(facts, own.new)?;
        let pointed = pointed_to(facts, own.new, stored)?;
        let size = pointed.unwrap_or(stored);
        if size <= limit.max {
            continue;
        }
        let mut place = Place::new(Part::Path);
        place.commit = own.commit;
        place.path = Some(own.path.clone()).filter(|path| !path.is_empty());
        let mut found = Finding::new("limit/file-bytes", "a file is too large", place);
        let by = pointed.map_or("", |_| " by its git-lfs pointer");
        found.detail = Some(format!("{size} bytes{by}, at most {} may pass", limit.max));
        found.decided_by = Some(limit.at.clone());
        findings.push(found);
    }
    Ok(())
}

/// A pointer of git-lfs is shorter than this, by its specification.
const POINTER_MAX_BYTES: u64 = 1024;

/// Size of the file that a pointer of git-lfs stands for. The file itself travels by another road.
fn pointed_to(
    facts: &Facts<'_>,
    new: Option<Entry>,
    stored: u64,
) -> Result<Option<u64>, RepoError> {
    let Some(entry) = new.filter(|entry| is_file(entry.mode) && stored < POINTER_MAX_BYTES) else {
        return Ok(None);
    };
    let mut buffer = Vec::new();
    let object = facts.reader.find(&entry.id, &mut buffer, facts.budget)?;
    Ok(object.and_then(|object| size_in_pointer(object.data)))
}

/// The size that a pointer names; one that is no number is larger than any limit. `None`: the text is no pointer. Blanks
/// around lines are passed over, as git-lfs does.
fn size_in_pointer(text: &[u8]) -> Option<u64> {
    let mut lines = text
        .trim_ascii()
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let version = lines.next()?.strip_prefix(b"version ")?;
    // Its own address, and those that it had in its first year.
    let is_lfs = [
        &b"https://git-lfs.github.com/spec/"[..],
        b"https://hawser.github.com/spec/",
        b"http://git-media.io/v/",
    ]
    .iter()
    .any(|start| version.trim_ascii_start().starts_with(start));
    let size = lines
        .find_map(|line| line.strip_prefix(b"size "))?
        .trim_ascii();
    let number = std::str::from_utf8(size)
        .ok()
        .and_then(|size| size.parse().ok());
    is_lfs.then(|| number.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_the_size_of_its_file() {
        let pointer = |version: &str, size: &str| {
            format!(
                "version {version}\noid sha256:{}\nsize {size}\n",
                "0".repeat(64)
            )
        };
        let spec = "https://git-lfs.github.com/spec/v1";
        for (text, size) in [
            (pointer(spec, "12345"), Some(12_345)),
            (pointer("https://hawser.github.com/spec/v1", "7"), Some(7)),
            (pointer(spec, "12345").replace('\n', "\r\n"), Some(12_345)),
            (format!("\n {}\n", pointer(spec, "5")), Some(5)),
            (pointer(spec, "99999999999999999999999"), Some(u64::MAX)),
            (pointer(spec, "-1"), Some(u64::MAX)),
            (pointer("https://example.com/spec/v1", "5"), None),
            (format!("# About\n{}", pointer(spec, "5")), None),
            (format!("version {spec}\n"), None),
            (String::new(), None),
        ] {
            assert_eq!(size_in_pointer(text.as_bytes()), size, "{text}");
        }
    }
}
