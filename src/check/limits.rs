//! `limits`: how much one push may bring.

use std::collections::HashSet;

use bstr::BString;

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place};
use crate::policy::Limit;
use crate::push::Oid;
use crate::repo::{Added, Change, Entry, Kind as ObjectKind, Mode, Origin, RepoError};

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
        "`limits: files` of the boundary. Counted: distinct paths that new commits change.",
    ),
    rule(
        "limit/added-lines",
        "the push adds too many lines",
        "`limits: added_lines` of the boundary. Counted: lines that each new commit adds, summed, binary files aside.",
    ),
    rule(
        "limit/file-bytes",
        "a file is too large",
        "`limits: file_bytes` of the boundary, for each file that a new commit adds or modifies.",
    ),
    rule(
        "limit/unscanned",
        "content was not looked into because a bound was reached",
        "What the gate did not look into it does not call clean. Make the file smaller, leave it out, or let \
         a person push it; the bound is `budget:` of the policy.",
    ),
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
        let mut over =
            |rule: &'static str, title: &'static str, limit: Option<&Limit>, count: u64| {
                if let Some(limit) = limit.filter(|limit| count > limit.max) {
                    let mut found = Finding::new(rule, title, Place::new(Part::Ref));
                    found.detail = Some(format!("{count}, at most {} may pass", limit.max));
                    found.decided_by = Some(limit.at.clone());
                    findings.push(found);
                }
            };
        let commits = &facts.history.commits;
        over(
            "limit/refs",
            "the push updates too many refs",
            limits.refs.as_ref(),
            facts.updates.len() as u64,
        );
        over(
            "limit/commits",
            "the push brings too many commits",
            limits.commits.as_ref(),
            commits.len() as u64,
        );
        if limits.files.is_some() {
            let paths: HashSet<&BString> =
                own_changes(facts).map(|(_, change)| &change.path).collect();
            over(
                "limit/files",
                "the push changes too many files",
                limits.files.as_ref(),
                paths.len() as u64,
            );
        }
        if let Some(limit) = &limits.added_lines {
            let count = count_added_lines(facts, limit.max)?;
            over(
                "limit/added-lines",
                "the push adds too many lines",
                Some(limit),
                count,
            );
        }
        if let Some(limit) = &limits.file_bytes {
            judge_file_bytes(facts, limit, findings)?;
        }
        Ok(())
    }
}

/// Changes that the pusher made, with their commit.
fn own_changes<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = (Option<Oid>, &'a Change)> {
    let of_commits = facts.history.commits.iter().flat_map(|commit| {
        commit
            .changes
            .iter()
            .map(|change| (Some(commit.commit.id), change))
    });
    let of_net = facts.history.net.iter().map(|(_, change)| (None, change));
    of_commits
        .chain(of_net)
        .filter(|(_, change)| change.origin != Origin::AutoMerge)
}

/// Lines added, exact when they exceed `max`; below it an upper bound may be returned. A file cannot add
/// more lines than it has, so most pushes are settled without a diff.
fn count_added_lines(facts: &Facts<'_>, max: u64) -> Result<u64, RepoError> {
    let changes: Vec<&Change> = own_changes(facts)
        .map(|(_, change)| change)
        .filter(|change| change.new.is_some_and(|entry| is_file(entry.mode)))
        .collect();
    let mut upper_bound = 0_u64;
    for change in &changes {
        // One byte a line is the densest a file can be.
        upper_bound = upper_bound.saturating_add(size_of_new(facts, change)?);
    }
    if upper_bound <= max {
        return Ok(upper_bound);
    }
    let mut new = Vec::new();
    let mut old = Vec::new();
    upper_bound = 0;
    for change in &changes {
        let text = load(facts, change.new, &mut new)?;
        if !is_binary(text) {
            upper_bound += memchr::memchr_iter(b'\n', text).count() as u64 + 1;
        }
    }
    if upper_bound <= max {
        return Ok(upper_bound);
    }
    let mut total = 0_u64;
    for change in changes {
        // Against the parent that leaves least: what a merge took over from one side it does not add.
        let text = load(facts, change.new, &mut new)?;
        if is_binary(text) {
            continue;
        }
        let mut least = Added::between(b"", text).lines;
        for parent in &change.old {
            let before = load(facts, *parent, &mut old)?;
            least = least.min(Added::between(before, text).lines);
        }
        total = total.saturating_add(least);
        if total > max {
            break;
        }
    }
    Ok(total)
}

/// The content of a file at one side of a change; empty when there is no file on that side. A file above
/// the bound for one blob counts as one line: the gate refuses it by `limit/unscanned`.
fn load<'b>(
    facts: &Facts<'_>,
    entry: Option<Entry>,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], RepoError> {
    let Some(entry) = entry.filter(|entry| is_file(entry.mode)) else {
        return Ok(b"");
    };
    match facts.reader.header(&entry.id)? {
        Some((ObjectKind::Blob, size)) if size > facts.budget.bounds().blob_bytes => {
            return Ok(b"\n");
        }
        Some((ObjectKind::Blob, _)) => {}
        _ => return Err(RepoError::Missing(entry.id)),
    }
    match facts.reader.find(&entry.id, buffer, facts.budget)? {
        Some(object) => Ok(object.data),
        None => Err(RepoError::Missing(entry.id)),
    }
}

/// A file without lines, as git counts them (`git diff --numstat`): a NUL byte among the first 8,000.
fn is_binary(text: &[u8]) -> bool {
    memchr::memchr(0, &text[..text.len().min(8_000)]).is_some()
}

fn is_file(mode: Mode) -> bool {
    matches!(mode, Mode::Blob | Mode::Executable)
}

fn size_of_new(facts: &Facts<'_>, change: &Change) -> Result<u64, RepoError> {
    let Some(entry) = change.new.filter(|entry| is_file(entry.mode)) else {
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
    for (commit, change) in own_changes(facts) {
        let size = size_of_new(facts, change)?;
        if size <= limit.max {
            continue;
        }
        let mut place = Place::new(Part::Path);
        place.commit = commit;
        place.path = Some(change.path.clone());
        let mut found = Finding::new("limit/file-bytes", "a file is too large", place);
        found.detail = Some(format!("{size} bytes, at most {} may pass", limit.max));
        found.decided_by = Some(limit.at.clone());
        findings.push(found);
    }
    Ok(())
}
