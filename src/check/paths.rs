//! `paths`: which paths the new commits may change, and how.

use std::collections::{HashMap, HashSet, hash_map};

use bstr::{BStr, BString, ByteSlice as _};

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, PathOp, Place, PolicyAt};
use crate::policy::{self, Answer, Boundary, Kind};
use crate::push::Oid;
use crate::redact::Quoted;
use crate::repo::{Change, Kind as ObjectKind, Mode, Origin, RepoError};

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
        "`.gitmodules` holds a URL that starts with a dash or names a command transport, a path or name that \
         climbs or holds control characters, or an `update` command.",
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
         case, Unicode forms, ignorable characters or trailing dots.",
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
        for commit in &facts.history.commits {
            for change in &commit.changes {
                let at = At {
                    facts,
                    commit: Some(commit.commit.id),
                    update: commit.updates.first(),
                };
                at.judge(change, findings)?;
                if change.origin != Origin::AutoMerge {
                    names.judge(&at, commit.commit.tree, change, findings)?;
                }
            }
        }
        for (update, change) in &facts.history.net {
            At {
                facts,
                commit: facts.updates[*update].command.new,
                update: Some(update),
            }
            .judge(change, findings)?;
        }
        Ok(())
    }
}

/// Longest link target or `.gitmodules` that is read, in bytes.
const READ_MAX_BYTES: u64 = 1 << 20;

/// Where a change stands: what every finding about it shares.
struct At<'a> {
    facts: &'a Facts<'a>,
    commit: Option<Oid>,
    update: Option<&'a usize>,
}

impl At<'_> {
    fn judge(&self, change: &Change, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        if change.origin == Origin::AutoMerge {
            return Ok(());
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
        if let Some((op, decided_by)) = missing_permission(boundary, path, &change.ops()) {
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
            found.op = Some(op);
            found.decided_by = Some(decided_by);
            findings.push(found);
        }
        self.judge_content(change, findings)
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
        } else if let Some(why) = odd_submodule(object.data) {
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
            Answer::Allowed(_) => None,
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

/// Why a `.gitmodules` is dangerous. Reads values as git's config syntax does in the simple cases and
/// looks at the raw line in all others, so that quoting hides nothing.
fn odd_submodule(text: &[u8]) -> Option<&'static str> {
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim();
        if line.contains(&b'\r') {
            return Some("a carriage return inside a value");
        }
        if let Some(section) = line.strip_prefix(b"[") {
            if climbs(section) {
                return Some("a submodule name that climbs");
            }
            continue;
        }
        let Some(equals) = line.find_byte(b'=') else {
            continue;
        };
        let key = line[..equals].trim().to_ascii_lowercase();
        let value: Vec<u8> = line[equals + 1..]
            .trim()
            .iter()
            .copied()
            .filter(|b| *b != b'"')
            .collect();
        let value = value.trim();
        match key.as_slice() {
            b"url" if value.starts_with(b"-") => return Some("a URL that starts with a dash"),
            b"url" if value.contains_str("::") => return Some("a URL with a command transport"),
            b"path" if value.starts_with(b"-") => return Some("a path that starts with a dash"),
            b"path" if value.starts_with(b"/") || climbs(value) => {
                return Some("a path that climbs");
            }
            b"update" if value.starts_with(b"!") => return Some("an update command"),
            _ => {}
        }
        if value.ends_with(b"\\") || value.contains(&b'\\') && key != b"path" && key != b"url" {
            return Some("an escaped value");
        }
    }
    None
}

fn climbs(value: &[u8]) -> bool {
    value
        .split(|byte| matches!(byte, b'/' | b'\\' | b'"' | b' ' | b']'))
        .any(|part| part == b"..")
}

/// Names that were looked at already, so that a folder is read once and a name told once.
#[derive(Default)]
struct Names {
    seen: HashSet<BString>,
    folders: HashMap<Oid, Folder>,
}

/// One tree as a file system would see it.
struct Folder {
    below: HashMap<BString, Oid>,
    /// Folded forms that more than one entry has.
    twins: HashSet<Vec<u8>>,
}

impl Names {
    /// Looks at the names of a path that a commit adds.
    fn judge(
        &mut self,
        at: &At<'_>,
        root: Oid,
        change: &Change,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RepoError> {
        let appears = change.new.is_some() && change.old.iter().all(Option::is_none);
        if !appears || !self.seen.insert(change.path.clone()) {
            return Ok(());
        }
        let components = || change.path.split(|byte| *byte == b'/');
        if let Some(why) = components().find_map(unportable) {
            let mut found = at.finding(
                "path/portable",
                change,
                "the path cannot exist on some systems",
            );
            found.detail = Some(why.to_owned());
            findings.push(found);
        }
        let mut tree = Some(root);
        for name in components() {
            let Some(id) = tree else { break };
            let folder = self.folder(at, id)?;
            tree = folder.below.get(BStr::new(name)).copied();
            if folder.twins.contains(&policy::folded(name)) {
                let title = "the path can be mistaken for another one";
                let mut found = at.finding("path/confusable", change, title);
                found.detail = Some(format!("{} has a twin in its folder", Quoted(name)));
                findings.push(found);
                break;
            }
        }
        Ok(())
    }

    fn folder(&mut self, at: &At<'_>, id: Oid) -> Result<&Folder, RepoError> {
        match self.folders.entry(id) {
            hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            hash_map::Entry::Vacant(unknown) => {
                let mut folder = Folder {
                    below: HashMap::new(),
                    twins: HashSet::new(),
                };
                let mut forms = HashSet::new();
                for entry in at.facts.reader.tree(&id, at.facts.budget)? {
                    let form = policy::folded(&entry.name);
                    if !forms.insert(form.clone()) {
                        folder.twins.insert(form);
                    }
                    if entry.mode == Mode::Tree {
                        folder.below.insert(entry.name, entry.id);
                    }
                }
                Ok(unknown.insert(folder))
            }
        }
    }
}

/// Why a file name cannot exist on some systems.
fn unportable(name: &[u8]) -> Option<&'static str> {
    if name.contains(&b'\\') {
        return Some("a backslash separates folders on Windows");
    }
    if name.contains(&b':') {
        return Some("a colon names a drive or a stream on Windows");
    }
    if name.ends_with(b".") || name.ends_with(b" ") {
        return Some("a trailing dot or space is cut on Windows");
    }
    let stem = name
        .split(|byte| *byte == b'.')
        .next()
        .unwrap_or(name)
        .trim_end_with(|c| c == ' ');
    let device = [&b"con"[..], b"prn", b"aux", b"nul", b"conin$", b"conout$"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || stem.len() == 4
            && (stem[..3].eq_ignore_ascii_case(b"com") || stem[..3].eq_ignore_ascii_case(b"lpt"))
            && stem[3].is_ascii_digit();
    device.then_some("a device name on Windows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_targets_inside_the_tree_pass() {
        for (link, target) in [
            ("a", "b"),
            ("docs/a", "../src/b"),
            ("a/b/c", "../../d"),
            ("a", "./b/../c"),
        ] {
            assert_eq!(
                odd_target(BStr::new(link), target.as_bytes()),
                None,
                "{link} -> {target}"
            );
        }
        for (link, target) in [
            ("a", "/etc/passwd"),
            ("a", "../b"),
            ("docs/a", "../../b"),
            ("a", ".git/config"),
            ("a", "x/../.GIT/hooks"),
            ("a", "C:\\x"),
            ("a", "..\\x"),
        ] {
            assert!(
                odd_target(BStr::new(link), target.as_bytes()).is_some(),
                "{link} -> {target}"
            );
        }
    }

    #[test]
    fn submodule_settings_that_run_or_climb_are_told() {
        let plain =
            "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = https://git.example/lib.git\n";
        assert_eq!(odd_submodule(plain.as_bytes()), None);
        let relative = "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n\tbranch = main\n";
        assert_eq!(odd_submodule(relative.as_bytes()), None);
        for bad in [
            "[submodule \"x\"]\npath = x\nurl = ext::sh -c id\n",
            "[submodule \"x\"]\npath = x\nurl = -u./payload\n",
            "[submodule \"x\"]\npath = x\nurl = \"-u./payload\"\n",
            "[submodule \"../../hooks\"]\npath = x\nurl = https://git.example/x\n",
            "[submodule \"x\"]\npath = ../x\nurl = https://git.example/x\n",
            "[submodule \"x\"]\npath = \"x\r\"\nurl = https://git.example/x\n",
            "[submodule \"x\"]\npath = x\nurl = https://git.example/x\nupdate = !id\n",
        ] {
            assert!(odd_submodule(bad.as_bytes()).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_windows_cannot_hold_are_told() {
        for name in [
            "con", "NUL.txt", "a\\b", "C:x", "a.", "a ", "a::$DATA", "com1", "LPT9.c",
        ] {
            assert!(unportable(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "console",
            "null.c",
            "com",
            "common.rs",
            "a.b",
            ".gitignore",
            "aux-file.c",
        ] {
            assert!(unportable(name.as_bytes()).is_none(), "{name}");
        }
    }
}
