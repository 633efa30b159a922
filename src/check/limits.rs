//! `limits`: how much one push may bring.

use std::collections::HashSet;

use bstr::{BString, ByteSlice as _};
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
        "`limits: file_bytes` of the boundary, for each file that a new commit adds or modifies. Of a pointer of Git LFS the size \
         that it names counts: the file itself travels by another road, which the gate does not see.",
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

/// git-lfs takes nothing longer for a pointer.
const POINTER_MAX_BYTES: u64 = 1_024;
/// One of these stands in every pointer that git-lfs reads.
const POINTER_WORDS: &[&[u8]] = &[b"git-lfs", b"hawser", b"git-media"];

/// The size that a pointer of Git LFS names.
fn promised_by_pointer(
    facts: &Facts<'_>,
    entry: Entry,
    size: u64,
) -> Result<Option<u64>, RepoError> {
    if size == 0 || size > POINTER_MAX_BYTES || !is_file(entry.mode) {
        return Ok(None);
    }
    let text = facts.reader.read(&entry.id, size, facts.budget)?;
    Ok(size_in_pointer(&text))
}

/// Read no more strictly than git-lfs does: what it takes for a pointer must not pass for a small file.
fn size_in_pointer(text: &[u8]) -> Option<u64> {
    let is_pointer = text.trim_start().starts_with(b"version")
        && POINTER_WORDS.iter().any(|word| text.contains_str(word));
    let mut lines = text.lines().map(|line| line.trim());
    let line = lines.find(|line| is_pointer && line.starts_with(b"size"))?;
    let digits = std::str::from_utf8(line[4..].trim()).ok()?;
    // As Go reads a number.
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A number that fits nowhere is larger than every limit.
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn judge_file_bytes(
    facts: &Facts<'_>,
    limit: &Limit,
    findings: &mut Vec<Finding>,
) -> Result<(), RepoError> {
    for own in own_changes(facts) {
        let size = size_of_new(facts, own.new)?;
        let promised = match own.new.filter(|_| size <= limit.max) {
            Some(entry) => promised_by_pointer(facts, entry, size)?,
            None => None,
        };
        let size = promised.unwrap_or(size);
        if size <= limit.max {
            continue;
        }
        let mut place = Place::new(Part::Path);
        place.commit = own.commit;
        place.path = Some(own.path.clone()).filter(|path| !path.is_empty());
        let title = match promised {
            Some(_) => "a file that a pointer stands for is too large",
            None => "a file is too large",
        };
        let mut found = Finding::new("limit/file-bytes", title, place);
        found.detail = Some(format!("{size} bytes, at most {} may pass", limit.max));
        found.decided_by = Some(limit.at.clone());
        findings.push(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::size_in_pointer;

    #[test]
    fn whatever_git_lfs_takes_for_a_pointer_is_one() {
        let of = |text: &str| size_in_pointer(text.as_bytes());
        let oid = "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        for (version, end) in [
            ("https://git-lfs.github.com/spec/v1", "\n"),
            ("https://hawser.github.com/spec/v1", "\r\n"),
            ("http://git-media.io/v/2", "\n"),
        ] {
            let text = format!("version {version}{end}{oid}{end}size 12345{end}");
            assert_eq!(of(&text), Some(12_345), "{text}");
            assert_eq!(of(text.trim_end()), Some(12_345), "{text}");
            assert_eq!(of(&format!("\n {text}")), Some(12_345), "{text}");
        }
        let signed = "version https://git-lfs.github.com/spec/v1\nsize +12345\n";
        assert_eq!(of(signed), Some(12_345));
        let huge = "version https://git-lfs.github.com/spec/v1\nsize 99999999999999999999999\n";
        assert_eq!(of(huge), Some(u64::MAX));
        for text in [
            "",
            "size 12345\n",
            "version 1.2 of git-lfs\nsizes vary\n",
            "About git-lfs: version https://git-lfs.github.com/spec/v1\nsize 12345\n",
            "version https://example.org/spec/v1\nsize 12345\n",
            "version https://git-lfs.github.com/spec/v1\nsize -1\n",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
