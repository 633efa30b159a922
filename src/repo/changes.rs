//! What a commit changes: one path operation a time, from raw trees. No rename detection: a rename is a delete and an add.

use std::collections::HashMap;

use bstr::{BString, ByteSlice as _};

use super::parse::Defect;
use super::trees::{Join, Trees};
use super::{Mode, RepoError};
use crate::budget::Budget;
use crate::finding::PathOp;
use crate::push::Oid;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Kind of entry. Never a folder.
    pub mode: Mode,
    /// The blob, or the commit of a gitlink.
    pub id: Oid,
}

/// How a change came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// An ordinary commit: the path differs from what the parent has.
    Commit,
    /// A merge commit whose path differs from every parent, and is just what the automatic merge gives. Not the
    /// pusher's doing: path rules pass over it, but its content is new and is looked into.
    AutoMerge,
    /// A merge commit whose path differs from every parent and is not what the automatic merge gives.
    Merge,
    /// A merge commit that takes one parent's side, where the automatic merge gives something else.
    Discards,
    /// The net effect of a ref update, where no new commit shows it: the ref was moved back or aside.
    Net,
}

/// One path operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The whole path, as bytes.
    pub path: BString,
    /// What each parent has at the path; empty for root commits.
    pub old: Vec<Option<Entry>>,
    /// What the commit has; `None` when the path is gone.
    pub new: Option<Entry>,
    /// How it came about.
    pub origin: Origin,
    /// Where the same blob was deleted in the same commit: the file was moved unchanged.
    pub moved_from: Option<BString>,
}

impl Change {
    /// The operations that this change is made of, each once, never none. Against several parents: all that it is
    /// against any of them.
    pub fn ops(&self) -> Vec<PathOp> {
        let mut ops = Vec::with_capacity(2);
        let mut add = |op| {
            if !ops.contains(&op) {
                ops.push(op);
            }
        };
        for old in self.old.iter().filter(|old| **old != self.new) {
            ops_between(*old, self.new, &mut add);
        }
        if self.old.is_empty() {
            ops_between(None, self.new, &mut add);
        }
        if ops.is_empty() {
            // A gate must never see a change that is nothing; should a merge equal all its parents at a path and
            // still be told as a change, it is told as the mildest thing that a policy can refuse.
            ops.push(PathOp::Modify);
        }
        ops
    }
}

/// What makes `new` of `old`, which is something else.
fn ops_between(old: Option<Entry>, new: Option<Entry>, add: &mut impl FnMut(PathOp)) {
    let kind = |entry: Option<Entry>| entry.map(|entry| entry.mode.acts_as());
    match (old, new) {
        (None, None) => {}
        (None, Some(_)) => add(PathOp::Add),
        (Some(_), None) => add(PathOp::Delete),
        (Some(old), Some(new)) => {
            let plain = |mode: Mode| matches!(mode.acts_as(), Mode::Blob | Mode::Executable);
            let both_plain = plain(old.mode) && plain(new.mode);
            if old.id != new.id || !both_plain {
                add(PathOp::Modify);
            }
            if both_plain && old.mode != new.mode {
                add(PathOp::Mode);
            }
        }
    }
    // A link that merely goes is a delete; one that appears, or turns into something else, is more.
    if kind(new) == Some(Mode::Symlink) || (new.is_some() && kind(old) == Some(Mode::Symlink)) {
        add(PathOp::Symlink);
    }
    if kind(new) == Some(Mode::Gitlink) || kind(old) == Some(Mode::Gitlink) {
        add(PathOp::Submodule);
    }
}

/// A folder of a merge commit that none of its parents has as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its path; empty for the root.
    pub path: BString,
    /// What the merge has there.
    pub tree: Oid,
    /// What each parent has there.
    pub parents: Vec<Option<Oid>>,
}

/// What a comparison meets on the new side, beside the changes.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Trees and blobs that the commit brings in, wherever they are stored.
    pub(super) objects: Vec<Oid>,
    /// What is wrong with the trees among them.
    pub(super) defects: Vec<(BString, Defect)>,
    /// Folders that a merge made of those of its parents.
    pub(super) joined: Vec<Joined>,
}

/// The changes of a commit with one parent, or none, in the order of their paths.
pub(super) fn of_commit(
    trees: &mut Trees<'_>,
    budget: &Budget,
    parent: Option<&Oid>,
    tree: &Oid,
    met: &mut Met,
) -> Result<Vec<Change>, RepoError> {
    let mut changes = Vec::new();
    let root = parent.is_none();
    between(trees, budget, parent, Some(tree), met, |path, old, new| {
        changes.push(Change {
            path,
            old: if root { Vec::new() } else { vec![old] },
            new,
            origin: Origin::Commit,
            moved_from: None,
        });
    })?;
    finish(&mut changes);
    Ok(changes)
}

/// All that is not a folder in `tree`.
pub(super) fn contents(
    trees: &mut Trees<'_>,
    budget: &Budget,
    tree: &Oid,
    met: &mut Met,
) -> Result<Vec<(BString, Entry)>, RepoError> {
    let mut found = Vec::new();
    between(trees, budget, None, Some(tree), met, |path, _, new| {
        found.extend(new.map(|entry| (path, entry)));
    })?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Tells each path, folders aside, where two trees differ.
fn between(
    trees: &mut Trees<'_>,
    budget: &Budget,
    old: Option<&Oid>,
    new: Option<&Oid>,
    met: &mut Met,
    mut tell: impl FnMut(BString, Option<Entry>, Option<Entry>),
) -> Result<(), RepoError> {
    if old == new {
        return Ok(());
    }
    let mut entries = Vec::with_capacity(2);
    let mut folders = vec![(BString::default(), old.copied(), new.copied(), 0_u64)];
    while let Some((path, old, new, depth)) = folders.pop() {
        let before = trees.load(old.as_ref(), None)?;
        let after = trees.load(new.as_ref(), Some(&before))?;
        if let Some(new) = &new {
            met.objects.push(*new);
            let parents = std::slice::from_ref(&before);
            trees.judge(new, &after, parents, path.as_bstr(), &mut met.defects)?;
        }
        let sides = [before, after];
        let mut join = Join::new(&sides);
        while let Some(key) = join.next(&mut entries) {
            let (old, new) = (entries[0], entries[1]);
            if old == new {
                continue;
            }
            if key.folder {
                let id = |entry: Option<Entry>| entry.map(|entry| entry.id);
                if id(old) != id(new) {
                    budget.check_depth(depth + 1)?;
                    folders.push((path_below(&path, key.name), id(old), id(new), depth + 1));
                }
                continue;
            }
            budget.take_changes(1)?;
            if let Some(new) = new.filter(|new| new.mode.acts_as() != Mode::Gitlink) {
                met.objects.push(new.id);
            }
            tell(path_below(&path, key.name), old, new);
        }
    }
    Ok(())
}

/// `folder/name`.
pub fn path_below(folder: &BString, name: &[u8]) -> BString {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.extend_from_slice(folder);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path.into()
}

/// Puts the changes of one commit in order and finds what was moved.
pub(super) fn finish(changes: &mut [Change]) {
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    let mut gone: HashMap<Oid, BString> = HashMap::new();
    for change in changes.iter().filter(|change| change.new.is_none()) {
        for old in change.old.iter().flatten() {
            if old.mode.acts_as() != Mode::Gitlink {
                gone.entry(old.id).or_insert_with(|| change.path.clone());
            }
        }
    }
    if gone.is_empty() {
        return;
    }
    for change in changes {
        if let Some(new) = change.new {
            change.moved_from = gone.get(&new.id).cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_an_entry_is_told_in_full() {
        let entry = |digit: &str, mode| {
            let id = Oid::from_hex(digit.repeat(40).as_bytes()).unwrap();
            Some(Entry { mode, id })
        };
        let ops = |old, new| {
            let change = Change {
                path: "a".into(),
                old: vec![old],
                new,
                origin: Origin::Commit,
                moved_from: None,
            };
            change.ops()
        };
        let (file, run, link, sub) = (Mode::Blob, Mode::Executable, Mode::Symlink, Mode::Gitlink);
        let (odd_file, odd_link) = (Mode::Other(0o100_600), Mode::Other(0o120_777));
        use PathOp::{Add, Delete, Mode as Chmod, Modify, Submodule, Symlink};
        for (old, new, expected) in [
            (("1", file), ("2", file), &[Modify][..]),
            (("1", file), ("1", run), &[Chmod]),
            (("1", file), ("2", run), &[Modify, Chmod]),
            (("1", file), ("1", odd_file), &[Chmod]),
            (("1", file), ("1", link), &[Modify, Symlink]),
            (("1", link), ("2", file), &[Modify, Symlink]),
            (("1", link), ("1", odd_link), &[Modify, Symlink]),
            (("1", link), ("1", sub), &[Modify, Symlink, Submodule]),
            (("1", sub), ("2", sub), &[Modify, Submodule]),
        ] {
            let found = ops(entry(old.0, old.1), entry(new.0, new.1));
            assert_eq!(found, expected, "{old:?} {new:?}");
        }
        assert_eq!(ops(None, entry("1", link)), [Add, Symlink]);
        assert_eq!(ops(entry("1", link), None), [Delete]);
        assert_eq!(ops(entry("1", sub), None), [Delete, Submodule]);
    }
}
