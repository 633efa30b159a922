//! `paths`: which paths the new commits may change, and how.

mod names;
mod submodules;

use std::collections::HashSet;

use bstr::{BStr, BString, ByteSlice as _};

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, PathOp, Place, PolicyAt};
use crate::policy::{self, Answer, Boundary, Kind};
use crate::push::Oid;
use crate::redact::Quoted;
use crate::repo::{Change, Kind as ObjectKind, Mode, NewContent, Origin, RepoError};
use names::Names;

/// See the module.
pub(super) struct Paths;

const fn rule(
    id: &'static str,
    title: &'static str,
    doc: &'static str,
    default_human: Level,
) -> Rule {
    Rule {
        id,
        title,
        doc,
        default: Level::Deny,
        default_human,
        fixed: false,
    }
}

static RULES: &[Rule] = &[
    rule(
        "path/out-of-boundary",
        "the identity may not change this path",
        "No entry under `paths:` of the boundary matches the path with the operation. Every new commit is \
         judged: taking the change back in a later commit is not enough.",
        Level::Deny,
    ),
    rule(
        "path/denied",
        "the path is denied by the boundary",
        "An entry under `deny:` matches. It wins over every allow, in any spelling of the path that some \
         file system takes for the same.",
        Level::Deny,
    ),
    Rule {
        id: "path/held",
        title: "a change of this path needs an approval",
        doc: "An entry under `hold:` matches. The push waits for the approval of a person.",
        default: Level::Hold,
        default_human: Level::Hold,
        fixed: false,
    },
    Rule {
        id: "path/policy",
        title: "an agent may not change the policy",
        doc: "`.ringfence.yaml` narrows what agents may do, so no agent writes it, whatever its boundary says.",
        default: Level::Deny,
        default_human: Level::Off,
        fixed: true,
    },
    rule(
        "path/symlink",
        "the identity may not create or change this symbolic link",
        "`may: [symlink]` is missing. A link gives a second name to what it points to.",
        Level::Deny,
    ),
    rule(
        "path/symlink-target",
        "the symbolic link leads out of the tree or into .git",
        "The target is absolute, climbs above the root, or passes through `.git`. Programs that follow the \
         link read and write outside the checkout.",
        Level::Warn,
    ),
    rule(
        "path/submodule",
        "the identity may not add, move or remove this submodule",
        "`may: [submodule]` is missing. A submodule brings content that this gate does not see.",
        Level::Deny,
    ),
    rule(
        "path/submodule-config",
        "the submodule configuration can run commands or write outside the tree",
        "`.gitmodules` holds a URL that starts with a dash, names a command transport, an encoded line end or a host that ssh \
         takes for an option, a path or name that climbs, leads into `.git` or holds control characters, or an `update` \
         command. Or git cannot read it, or it is no file.",
        Level::Deny,
    ),
    rule(
        "path/mode",
        "the identity may not change the mode of this file",
        "`may: [mode]` is missing.",
        Level::Deny,
    ),
    rule(
        "path/confusable",
        "the path can be mistaken for another one",
        "The name equals another name of the same folder, or one of git's own, on file systems that fold \
         case, Unicode forms, ignorable characters or trailing dots. So does a new name that reads like another of its \
         folder by letters of a second script among Latin ones.",
        Level::Warn,
    ),
    rule(
        "path/portable",
        "the path cannot exist on some systems",
        "Backslashes, drive letters, device names, streams, trailing dots or spaces: a checkout elsewhere \
         fails or writes another file.",
        Level::Warn,
    ),
    rule(
        "path/control",
        "the path holds control characters",
        "Tabs, line ends and escape bytes in names break listings, logs and scripts.",
        Level::Deny,
    ),
    rule(
        "merge/evil",
        "the merge brings a change that neither side has",
        "At this path the merge commit is neither like one of its parents nor what the automatic merge \
         gives, and the boundary does not allow the change. Redo the merge.",
        Level::Deny,
    ),
    rule(
        "merge/discards",
        "the merge throws away the other side's change",
        "The merge commit keeps one side although the other changed this path too, and the boundary does \
         not allow that. Redo the merge.",
        Level::Deny,
    ),
];

impl Check for Paths {
    fn name(&self) -> &'static str {
        "paths"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        let mut names = Names::default();
        let gone = GoneFiles::of(facts);
        for commit in &facts.history.commits {
            let at = At {
                facts,
                gone: &gone,
                commit: Some(commit.commit.id),
                update: commit.updates.first(),
            };
            for change in &commit.changes {
                at.judge(change, findings)?;
                if change.origin != Origin::AutoMerge {
                    let tree = Some(commit.commit.tree);
                    names.judge(&at, tree, &commit.commit.parents, change, findings)?;
                }
            }
            for joined in &commit.joined {
                names.judge_joined(&at, joined, findings)?;
            }
        }
        for (update, change) in &facts.history.net {
            At {
                facts,
                gone: &gone,
                commit: facts.updates[*update].command.new,
                update: Some(update),
            }
            .judge(change, findings)?;
        }
        for content in &facts.history.contents {
            let at = At {
                facts,
                gone: &gone,
                commit: None,
                update: Some(&content.update),
            };
            at.judge_content_of_ref(content, &mut names, findings)?;
        }
        Ok(())
    }
}

/// Paths where a commit of the push removes a file that nobody could execute. To add it again as one that can be
/// executed is to change its mode in two steps.
struct GoneFiles<'a>(HashSet<&'a BString>);

impl<'a> GoneFiles<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let changes = || facts.history.commits.iter().flat_map(|new| &new.changes);
        // Executables are rarely new, so most pushes need not be gone through.
        if !changes().any(is_new_executable) {
            return GoneFiles(HashSet::new());
        }
        let was_plain = |change: &&Change| {
            let mut old = change.old.iter().flatten();
            change
                .new
                .is_none_or(|new| new.mode.acts_as() != Mode::Blob)
                && old.any(|old| old.mode.acts_as() == Mode::Blob)
        };
        GoneFiles(
            changes()
                .filter(was_plain)
                .map(|change| &change.path)
                .collect(),
        )
    }
}

/// Whether the change adds an executable file, rather than to make a file executable.
fn is_new_executable(change: &Change) -> bool {
    let is_file = |mode: Mode| matches!(mode.acts_as(), Mode::Blob | Mode::Executable);
    change
        .new
        .is_some_and(|new| new.mode.acts_as() == Mode::Executable)
        && !change.old.iter().flatten().any(|old| is_file(old.mode))
}

/// What a finding of a mode says of the file, where it does not say the opposite.
pub(crate) const BECOMES_EXECUTABLE: &str = "it becomes executable";

/// Longest link target or `.gitmodules` that is read, in bytes.
const READ_MAX_BYTES: u64 = 1 << 20;

/// Where a change stands: what every finding about it shares.
struct At<'a> {
    facts: &'a Facts<'a>,
    gone: &'a GoneFiles<'a>,
    commit: Option<Oid>,
    update: Option<&'a usize>,
}

impl At<'_> {
    fn judge(&self, change: &Change, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        if change.origin == Origin::AutoMerge {
            // Nobody's doing, but what two sides left harmless may be put together.
            return self.judge_content(change, findings);
        }
        let actor = self.facts.actor;
        let boundary = &actor.boundary;
        let path = change.path.as_bstr();
        if actor.kind != Kind::Human && policy::is_policy_path(path) {
            findings.push(self.finding(
                "path/policy",
                change,
                "an agent may not change the policy",
            ));
        }
        let replaces_folder = change.new.is_some_and(|entry| entry.mode != Mode::Tree);
        let denied = boundary.denied(path, replaces_folder);
        // A deny says all there is to say, but not that it came in by a merge.
        let is_told =
            denied.is_some() && !matches!(change.origin, Origin::Merge | Origin::Discards);
        if let Some((id, decided_by)) = denied {
            let title = format!("{} may not {} this path", actor.label(), verb(change));
            let mut found = self.finding("path/denied", change, title);
            found.detail = Some(format!("denied by \"{id}\""));
            found.decided_by = Some(decided_by);
            findings.push(found);
        } else if let Some((id, decided_by)) = boundary.held(path, replaces_folder) {
            let mut found = self.finding(
                "path/held",
                change,
                "a change of this path needs an approval",
            );
            found.detail = Some(format!("held by \"{id}\""));
            found.decided_by = Some(decided_by);
            findings.push(found);
        }
        if is_told {
            return self.judge_content(change, findings);
        }
        if let Some((op, decided_by)) = missing_permission(boundary, path, &self.ops(change)) {
            let (rule, title) = match (change.origin, op) {
                (Origin::Merge, _) => (
                    "merge/evil",
                    "the merge brings a change that neither side has".to_owned(),
                ),
                (Origin::Discards, _) => (
                    "merge/discards",
                    "the merge throws away the other side's change".to_owned(),
                ),
                (_, PathOp::Symlink) => (
                    "path/symlink",
                    self.may_not("create or change this symbolic link"),
                ),
                (_, PathOp::Submodule) => (
                    "path/submodule",
                    self.may_not("add, move or remove this submodule"),
                ),
                (_, PathOp::Mode) => ("path/mode", self.may_not("change the mode of this file")),
                (_, PathOp::Add) => ("path/out-of-boundary", self.may_not("add this path")),
                (_, PathOp::Modify) => ("path/out-of-boundary", self.may_not("modify this path")),
                (_, PathOp::Delete) => ("path/out-of-boundary", self.may_not("delete this path")),
            };
            let mut found = self.finding(rule, change, title);
            if op == PathOp::Mode {
                let is_executable =
                    |entry: crate::repo::Entry| entry.mode.acts_as() == Mode::Executable;
                let way = match change.new.is_some_and(is_executable) {
                    true => BECOMES_EXECUTABLE,
                    false => "it is executable no longer",
                };
                found.detail = Some(way.to_owned());
            }
            found.op = Some(op);
            found.decided_by = Some(decided_by);
            findings.push(found);
        }
        self.judge_content(change, findings)
    }

    /// The operations of the change, as the push does them in all.
    fn ops(&self, change: &Change) -> Vec<PathOp> {
        let mut ops = change.ops();
        if is_new_executable(change) && self.gone.0.contains(&change.path) {
            ops.push(PathOp::Mode);
        }
        ops
    }

    /// What a ref to a tree or a blob holds is judged as if a commit added it.
    fn judge_content_of_ref(
        &self,
        content: &NewContent,
        names: &mut Names,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RepoError> {
        let change = Change {
            path: content.path.clone(),
            old: Vec::new(),
            new: Some(content.entry),
            origin: Origin::Commit,
            moved_from: None,
        };
        if content.tree.is_some() {
            self.judge(&change, findings)?;
            return names.judge(self, content.tree, &[], &change, findings);
        }
        // A bare blob has no path to be asked about: only a boundary that allows every path holds it.
        if let Answer::Refused(decided_by) = self.facts.actor.boundary.may_every_path(PathOp::Add) {
            let title = self.may_not("add content that has no path");
            let mut found = self.finding("path/out-of-boundary", &change, title);
            found.place.path = None;
            found.decided_by = Some(decided_by);
            findings.push(found);
        }
        Ok(())
    }

    /// The two kinds of file whose content names other places.
    fn judge_content(&self, change: &Change, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        let Some(entry) = change.new else {
            return Ok(());
        };
        let is_link = entry.mode == Mode::Symlink;
        if !is_link && !policy::is_spelling_of(&change.path, ".gitmodules") {
            return Ok(());
        }
        let mut buffer = Vec::new();
        let (rule, title) = if is_link {
            (
                "path/symlink-target",
                "the symbolic link leads out of the tree or into .git",
            )
        } else {
            (
                "path/submodule-config",
                "the submodule configuration can run commands or write outside the tree",
            )
        };
        if entry.mode == Mode::Gitlink {
            let mut found = self.finding(rule, change, title);
            found.detail = Some("a submodule of that name".to_owned());
            findings.push(found);
            return Ok(());
        }
        // No honest link target or submodule list comes near this; what is not read is not clean.
        match self.facts.reader.header(&entry.id)? {
            Some((ObjectKind::Blob, size)) if size <= READ_MAX_BYTES => {}
            Some((ObjectKind::Blob, size)) => {
                let mut found = self.finding(rule, change, title);
                found.detail = Some(format!("too long to be read: {size} bytes"));
                findings.push(found);
                return Ok(());
            }
            _ => return Ok(()),
        }
        let Some(object) = self
            .facts
            .reader
            .find(&entry.id, &mut buffer, self.facts.budget)?
        else {
            return Ok(());
        };
        if is_link {
            if let Some(why) = odd_target(change.path.as_bstr(), object.data) {
                let mut found = self.finding(rule, change, title);
                found.detail = Some(format!("{why}: {}", Quoted(object.data)));
                found.place.part = Part::SymlinkTarget;
                findings.push(found);
            }
        } else if let Some(why) = submodules::odd(object.data) {
            let mut found = self.finding(rule, change, title);
            found.detail = Some(why.to_owned());
            findings.push(found);
        }
        Ok(())
    }

    fn may_not(&self, what: &str) -> String {
        format!("{} may not {what}", self.facts.actor.label())
    }

    fn finding(
        &self,
        rule: &'static str,
        change: &Change,
        title: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Finding {
        let mut place = Place::new(Part::Path);
        place.ref_name = self
            .update
            .map(|update| self.facts.updates[*update].command.name.clone());
        place.commit = self.commit;
        place.path = Some(change.path.clone());
        let mut found = Finding::new(rule, title, place);
        found.op = change.ops().first().copied();
        found
    }
}

/// The first operation of the change that no allow covers.
fn missing_permission(
    boundary: &Boundary,
    path: &BStr,
    ops: &[PathOp],
) -> Option<(PathOp, PolicyAt)> {
    ops.iter()
        .find_map(|op| match boundary.may_path(path, *op) {
            Answer::Allowed(_) | Answer::IfOwn(_) => None,
            Answer::Refused(at) => Some((*op, at)),
        })
}

fn verb(change: &Change) -> &'static str {
    match change.ops().first() {
        Some(PathOp::Add) => "add",
        Some(PathOp::Delete) => "delete",
        Some(PathOp::Mode) => "change the mode of",
        Some(PathOp::Symlink) => "make a symbolic link of",
        Some(PathOp::Submodule) => "put a submodule at",
        Some(PathOp::Modify) | None => "modify",
    }
}

/// The rule that a new path breaks by its name alone, with the reason in words.
pub(crate) fn odd_path(path: &[u8]) -> Option<(&'static str, &'static str)> {
    let names = || path.split(|byte| *byte == b'/');
    if names().any(|name| matches!(name, b"" | b"." | b"..")) {
        Some(("object/malformed", "git has no such path"))
    } else if names().any(|name| policy::is_spelling_of(name, ".git")) {
        Some(("object/malformed", "git keeps this name for itself"))
    } else if path.iter().any(u8::is_ascii_control) {
        Some(("path/control", "it holds control characters"))
    } else {
        names()
            .find_map(names::unportable)
            .map(|why| ("path/portable", why))
    }
}

/// Why a link target is not an ordinary one: it is absolute, climbs above the root, or enters `.git`.
fn odd_target(link: &BStr, target: &[u8]) -> Option<&'static str> {
    // A backslash separates on Windows, where git checks links out too.
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    if target.first().is_some_and(is_separator) || has_drive(target) {
        return Some("absolute target");
    }
    let mut depth = link.split(|byte| *byte == b'/').count().saturating_sub(1);
    for component in target.split(is_separator) {
        match component {
            b"" | b"." => {}
            b".." if depth == 0 => return Some("target above the root"),
            b".." => depth -= 1,
            name if policy::is_spelling_of(name, ".git") => return Some("target inside .git"),
            _ => depth += 1,
        }
    }
    None
}

fn has_drive(name: &[u8]) -> bool {
    matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
