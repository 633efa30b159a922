//! `limits`: how much one push may bring.

use std::collections::HashSet;

use bstr::BString;

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place};
use crate::policy::{self, Limit};
use crate::push::Oid;
use crate::repo::{Entry, Kind as ObjectKind, Mode, Origin, RepoError};

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
        "`limits: file_bytes` of the boundary, for each file that a new commit adds or modifies.",
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
        let size = size_of_new(facts, own.new)?;
        if size <= limit.max {
            continue;
        }
        let mut place = Place::new(Part::Path);
        place.commit = own.commit;
        place.path = Some(own.path.clone()).filter(|path| !path.is_empty());
        let mut found = Finding::new("limit/file-bytes", "a file is too large", place);
        found.detail = Some(format!("{size} bytes, at most {} may pass", limit.max));
        found.decided_by = Some(limit.at.clone());
        findings.push(found);
    }
    Ok(())
}
