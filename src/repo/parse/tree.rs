//! Trees: their entries, and what git would not have written.

use std::cmp::Ordering;
use std::collections::HashSet;

use bstr::BString;

use super::{Defect, Defects, MALFORMED, lookalike};
use crate::push::{HashKind, Oid};
use crate::redact::Quoted;
use crate::repo::RepoError;

const CONFUSABLE: &str = "path/confusable";
const CONTROL: &str = "path/control";

/// Longest name that git's own check lets pass.
const NAME_MAX_BYTES: usize = 4096;

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A file (100644; 100664 of very old trees too).
    Blob,
    /// An executable file (100755).
    Executable,
    /// A symbolic link (120000).
    Symlink,
    /// A commit of another repository (160000).
    Gitlink,
    /// A folder (40000).
    Tree,
    /// Any other number (a defect); see [`Mode::acts_as`].
    Other(u32),
}

impl Mode {
    /// From the number in the tree.
    pub fn from_raw(raw: u32) -> Mode {
        match raw {
            0o100_644 | 0o100_664 => Mode::Blob,
            0o100_755 => Mode::Executable,
            0o120_000 => Mode::Symlink,
            0o160_000 => Mode::Gitlink,
            0o040_000 => Mode::Tree,
            other => Mode::Other(other),
        }
    }

    /// What git takes the entry for: an odd number is read by its file type, and any file type that git does not
    /// know is a gitlink. Never [`Mode::Other`].
    pub fn acts_as(self) -> Mode {
        match self {
            Mode::Other(raw) => match raw & 0o170_000 {
                0o100_000 if raw & 0o100 != 0 => Mode::Executable,
                0o100_000 => Mode::Blob,
                0o120_000 => Mode::Symlink,
                0o040_000 => Mode::Tree,
                _ => Mode::Gitlink,
            },
            known => known,
        }
    }
}

/// One line of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub mode: Mode,
    /// Its name, one path component.
    pub name: BString,
    /// Its content.
    pub id: Oid,
}

/// One line of a tree, its name still in the tree's bytes.
#[derive(Debug, Clone, Copy)]
pub(in crate::repo) struct RawEntry<'a> {
    pub(in crate::repo) mode: Mode,
    pub(in crate::repo) name: &'a [u8],
    pub(in crate::repo) id: Oid,
    /// Its mode starts with a zero.
    pub(in crate::repo) padded: bool,
}

impl RawEntry<'_> {
    fn is_tree(&self) -> bool {
        self.mode.acts_as() == Mode::Tree
    }
}

/// The entries of a tree, in the order of its bytes. Ends after the first error.
pub(in crate::repo) struct RawEntries<'a> {
    id: Oid,
    data: &'a [u8],
    hash: HashKind,
}

/// Splits a tree into its entries without copying. Nothing is judged but what makes it impossible to walk.
pub(in crate::repo) fn raw_entries(id: Oid, data: &[u8], hash: HashKind) -> RawEntries<'_> {
    RawEntries { id, data, hash }
}

impl<'a> Iterator for RawEntries<'a> {
    type Item = Result<RawEntry<'a>, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.data.is_empty() {
            return None;
        }
        let entry = self.split();
        if entry.is_none() {
            self.data = &[];
        }
        Some(entry.ok_or_else(|| RepoError::Corrupt {
            id: self.id,
            why: "a tree entry is truncated or has no mode".into(),
        }))
    }
}

impl<'a> RawEntries<'a> {
    /// How many bytes are still to be split.
    pub(in crate::repo) fn rest(&self) -> usize {
        self.data.len()
    }

    fn split(&mut self) -> Option<RawEntry<'a>> {
        let mut raw: u32 = 0;
        let mut at = 0;
        loop {
            match *self.data.get(at)? {
                b' ' if at > 0 => break,
                digit @ b'0'..=b'7' if raw <= u32::MAX >> 3 => {
                    raw = raw << 3 | u32::from(digit - b'0');
                }
                _ => return None,
            }
            at += 1;
        }
        let rest = &self.data[at + 1..];
        let end = memchr::memchr(0, rest)?;
        let id_end = end + 1 + self.hash.len_in_bytes();
        let id = Oid::try_from(rest.get(end + 1..id_end)?).ok()?;
        let entry = RawEntry {
            mode: Mode::from_raw(raw),
            padded: self.data[0] == b'0',
            name: &rest[..end],
            id,
        };
        self.data = &rest[id_end..];
        Some(entry)
    }
}

/// The entries of a tree.
pub(in crate::repo) fn tree(
    id: Oid,
    data: &[u8],
    hash: HashKind,
) -> Result<Vec<TreeEntry>, RepoError> {
    raw_entries(id, data, hash)
        .map(|entry| {
            entry.map(|entry| TreeEntry {
                mode: entry.mode,
                name: entry.name.into(),
                id: entry.id,
            })
        })
        .collect()
}

/// The entries of a tree, and what `git fsck` would say of them.
pub fn tree_with_defects(
    id: Oid,
    data: &[u8],
    hash: HashKind,
) -> Result<(Vec<TreeEntry>, Vec<Defect>), RepoError> {
    tree_with_new_defects(id, data, hash, |_| false)
}

/// [`tree_with_defects`] without the defects of single entries that were there before.
pub(in crate::repo) fn tree_with_new_defects(
    id: Oid,
    data: &[u8],
    hash: HashKind,
    mut is_old: impl FnMut(&RawEntry<'_>) -> bool,
) -> Result<(Vec<TreeEntry>, Vec<Defect>), RepoError> {
    let mut defects = Defects::default();
    let mut order = Order::default();
    let mut entries = Vec::new();
    for entry in raw_entries(id, data, hash) {
        let entry = entry?;
        let told = defects.0.len();
        judge_entry(&entry, &mut defects);
        if defects.0.len() > told && is_old(&entry) {
            defects.0.truncate(told);
        }
        for defect in &mut defects.0[told..] {
            defect.entry = (defect.rule != MALFORMED).then(|| entry.name.into());
        }
        order.judge(&entry, &mut defects);
        entries.push(TreeEntry {
            mode: entry.mode,
            name: entry.name.into(),
            id: entry.id,
        });
    }
    if order.unsorted {
        judge_unsorted(&entries, &mut defects);
    }
    Ok((entries, defects.0))
}

fn judge_entry(entry: &RawEntry<'_>, defects: &mut Defects) {
    let name = Quoted(entry.name);
    if let Mode::Other(raw) = entry.mode {
        defects.add(MALFORMED, || {
            format!("has an entry of mode {raw:o}: {name}")
        });
    }
    if entry.padded {
        defects.add(MALFORMED, || {
            format!("has an entry whose mode is padded with zeros: {name}")
        });
    }
    if entry.id.is_null() {
        defects.add(MALFORMED, || {
            format!("has an entry with the zero id: {name}")
        });
    }
    // No path of a file shows it, so nobody would be asked about its place or its name. git writes no such entry.
    if entry.is_tree() && entry.id.is_empty_tree() {
        defects.add(MALFORMED, || {
            format!("has a folder with nothing in it: {name}")
        });
    }
    match entry.name {
        b"" => defects.malformed("has an entry without a name"),
        b"." | b".." | b".git" => {
            defects.add(MALFORMED, || format!("has an entry named {name}"));
        }
        long if long.len() > NAME_MAX_BYTES => {
            defects.add(MALFORMED, || format!("has a name that is too long: {name}"));
        }
        other if lookalike::of_git(other) => defects.add(CONFUSABLE, || {
            format!("has a name that some systems take for .git: {name}")
        }),
        _ => {}
    }
    if entry.name.contains(&b'/') {
        defects.add(MALFORMED, || format!("has a name with a slash: {name}"));
    }
    if entry.name.iter().any(u8::is_ascii_control) {
        defects.add(CONTROL, || {
            format!("has a control character in a name: {name}")
        });
    }
    if entry.mode.acts_as() == Mode::Symlink
        && let Some(file) = lookalike::of_control_file(entry.name)
    {
        defects.add(MALFORMED, || {
            format!("has {file} as a symbolic link: {name}")
        });
    }
}

/// What the order of entries must be: by name, a folder's name as if it ended with a slash.
fn compare(left: &RawEntry<'_>, right: &RawEntry<'_>) -> Ordering {
    let shared = left.name.len().min(right.name.len());
    let behind = |entry: &RawEntry<'_>| match entry.name.get(shared) {
        Some(byte) => *byte,
        None if entry.is_tree() => b'/',
        None => 0,
    };
    left.name[..shared]
        .cmp(&right.name[..shared])
        .then_with(|| behind(left).cmp(&behind(right)))
}

/// Watches the order of entries, and finds names that come twice: next to each other, or a file `a` and, after `a.b`,
/// a folder `a`.
#[derive(Default)]
struct Order<'a> {
    last: Option<RawEntry<'a>>,
    /// Files whose names the next entry's name may start with.
    open: Vec<&'a [u8]>,
    unsorted: bool,
}

impl<'a> Order<'a> {
    fn judge(&mut self, entry: &RawEntry<'a>, defects: &mut Defects) {
        if self.unsorted {
            return;
        }
        if let Some(last) = &self.last
            && last.name != entry.name
            && compare(last, entry) == Ordering::Greater
        {
            self.unsorted = true;
            return;
        }
        while self
            .open
            .last()
            .is_some_and(|name| !entry.name.starts_with(name))
        {
            self.open.pop();
        }
        let again = self.open.last() == Some(&entry.name)
            || self.last.is_some_and(|last| last.name == entry.name);
        if again {
            twice(entry.name, defects);
        }
        if !entry.is_tree() && self.open.last() != Some(&entry.name) {
            self.open.push(entry.name);
        }
        self.last = Some(*entry);
    }
}

fn twice(name: &[u8], defects: &mut Defects) {
    defects.add(MALFORMED, || {
        format!("has the same name twice: {}", Quoted(name))
    });
}

fn judge_unsorted(entries: &[TreeEntry], defects: &mut Defects) {
    defects.malformed("has entries that are not sorted");
    let mut seen = HashSet::new();
    for entry in entries {
        if !seen.insert(&entry.name) {
            twice(&entry.name, defects);
        }
    }
}
