//! Trees in memory: parsed once, compact, in git's order whatever their bytes say.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use bstr::{BStr, BString};

use super::changes::{Entry, path_below};
use super::parse::{self, Defect, Mode};
use super::{Kind, Reader, RepoError};
use crate::budget::Budget;
use crate::push::{HashKind, Oid};

/// A parsed tree: its bytes, and where its entries are in them.
#[derive(Debug)]
pub(super) struct Tree {
    data: Box<[u8]>,
    items: Vec<Item>,
    id_bytes: usize,
    /// The bytes are in git's order, so the items are where the bytes have them.
    sorted: bool,
}

/// Offsets into the bytes. An object is far smaller than 4 GiB: the budget bounds it.
#[derive(Debug, Clone, Copy)]
struct Item {
    start: u32,
    name: u32,
    end: u32,
    mode: Mode,
}

/// What orders the entries of a tree. A file and a folder of the same name are two keys, as they are to git: a path
/// that turns from one into the other is a delete and an add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'t> {
    pub(super) name: &'t [u8],
    pub(super) folder: bool,
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let shared = self.name.len().min(other.name.len());
        let behind = |key: &Key<'_>| match key.name.get(shared) {
            Some(byte) => *byte,
            None if key.folder => b'/',
            None => 0,
        };
        self.name[..shared]
            .cmp(&other.name[..shared])
            .then_with(|| behind(self).cmp(&behind(other)))
            // Only names that hold a slash or a NUL get here without being the same.
            .then_with(|| self.name.cmp(other.name))
            .then_with(|| self.folder.cmp(&other.folder))
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Tree {
    fn empty() -> Tree {
        Tree {
            data: Box::default(),
            items: Vec::new(),
            id_bytes: 0,
            sorted: true,
        }
    }

    /// Parses a tree. `like` is one that probably has most entries in common, the same folder in the parent: what
    /// both begin and end with is not parsed again.
    fn parse(id: Oid, data: &[u8], hash: HashKind, like: Option<&Tree>) -> Result<Tree, RepoError> {
        let mut tree = Tree {
            data: data.into(),
            items: Vec::new(),
            id_bytes: hash.len_in_bytes(),
            sorted: true,
        };
        let (front, back) = match like.filter(|like| like.sorted) {
            Some(like) => {
                let (front, back) = shared_bytes(&like.data, data);
                (like.items_in_front(front), like.items_in_back(back))
            }
            None => (&[][..], &[][..]),
        };
        tree.items.reserve(front.len() + back.len() + 8);
        tree.items.extend_from_slice(front);
        let mut at = front.last().map_or(0, |item| item.end as usize);
        // The entries of the back as they would lie in this tree.
        let shift = data
            .len()
            .wrapping_sub(like.map_or(0, |like| like.data.len())) as u32;
        let back_start = back.first().map(|item| item.start.wrapping_add(shift));
        let mut entries = parse::raw_entries(id, &data[at..], hash);
        loop {
            if back_start == Some(at as u32) {
                let shifted = back.iter().map(|item| item.shifted(shift));
                let first = tree.items.len();
                tree.items.extend(shifted);
                tree.watch_order(first);
                break;
            }
            let Some(entry) = entries.next() else {
                break;
            };
            let entry = entry?;
            let end = data.len() - entries.rest();
            let name = end - tree.id_bytes - 1 - entry.name.len();
            tree.items.push(Item {
                start: at as u32,
                name: name as u32,
                end: end as u32,
                mode: entry.mode,
            });
            tree.watch_order(tree.items.len() - 1);
            at = end;
        }
        if !tree.sorted {
            // Two trees are compared by walking both in order. A tree in any other order is a defect that is told
            // on its own; it must not hide an entry from the comparison.
            let mut items = std::mem::take(&mut tree.items);
            items.sort_by(|a, b| tree.key_of(a).cmp(&tree.key_of(b)));
            tree.items = items;
        }
        Ok(tree)
    }

    /// Looks at the order of item `at` and the one before.
    fn watch_order(&mut self, at: usize) {
        if at > 0 {
            self.sorted &= self.key(at - 1) < self.key(at);
        }
    }

    /// The items that lie whole in the first `bytes` bytes.
    fn items_in_front(&self, bytes: usize) -> &[Item] {
        let count = self
            .items
            .partition_point(|item| item.end as usize <= bytes);
        &self.items[..count]
    }

    /// The items that lie whole in the last `bytes` bytes.
    fn items_in_back(&self, bytes: usize) -> &[Item] {
        let from = self.data.len() - bytes;
        let count = self
            .items
            .partition_point(|item| (item.start as usize) < from);
        &self.items[count..]
    }

    /// How many entries both trees begin and end with.
    fn shared(&self, other: &Tree) -> (usize, usize) {
        if !self.sorted || !other.sorted {
            return (0, 0);
        }
        let (front, back) = shared_bytes(&self.data, &other.data);
        let (ours, theirs) = (self.items_in_back(back), other.items_in_back(back));
        // The same bytes may be cut into entries in another way when they are entered in another way.
        let back = ours
            .iter()
            .rev()
            .zip(theirs.iter().rev())
            .take_while(|(a, b)| {
                self.data.len() - a.start as usize == other.data.len() - b.start as usize
            })
            .count();
        (self.items_in_front(front).len(), back)
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The key of entry `at`.
    pub(super) fn key(&self, at: usize) -> Key<'_> {
        self.key_of(&self.items[at])
    }

    fn key_of(&self, item: &Item) -> Key<'_> {
        Key {
            name: &self.data[item.name as usize..item.end as usize - self.id_bytes - 1],
            folder: item.mode.acts_as() == Mode::Tree,
        }
    }

    /// Entry `at`.
    pub(super) fn entry(&self, at: usize) -> Entry {
        let item = &self.items[at];
        let end = item.end as usize;
        Entry {
            mode: item.mode,
            id: Oid::from_bytes_or_panic(&self.data[end - self.id_bytes..end]),
        }
    }

    fn has(&self, key: &Key<'_>) -> bool {
        self.items
            .binary_search_by(|item| self.key_of(item).cmp(key))
            .is_ok()
    }

    /// Whether it has this very entry.
    fn has_entry(&self, entry: &parse::RawEntry<'_>) -> bool {
        let key = Key {
            name: entry.name,
            folder: entry.mode.acts_as() == Mode::Tree,
        };
        let found = self
            .items
            .binary_search_by(|item| self.key_of(item).cmp(&key));
        found.is_ok_and(|at| {
            let known = self.entry(at);
            let is_padded = self.data[self.items[at].start as usize] == b'0';
            (known.mode, known.id, is_padded) == (entry.mode, entry.id, entry.padded)
        })
    }

    fn weight(&self) -> usize {
        64 + self.data.len() + self.items.len() * size_of::<Item>()
    }
}

impl Item {
    fn shifted(&self, by: u32) -> Item {
        Item {
            start: self.start.wrapping_add(by),
            name: self.name.wrapping_add(by),
            end: self.end.wrapping_add(by),
            mode: self.mode,
        }
    }
}

/// How many bytes both begin with, and how many more both end with.
fn shared_bytes(a: &[u8], b: &[u8]) -> (usize, usize) {
    const STEP: usize = 64;
    let mut front = 0;
    for (x, y) in a.chunks(STEP).zip(b.chunks(STEP)) {
        if x != y {
            front += x.iter().zip(y).take_while(|(x, y)| x == y).count();
            break;
        }
        front += x.len();
    }
    let (a, b) = (&a[front..], &b[front..]);
    let mut back = 0;
    for (x, y) in a.rchunks(STEP).zip(b.rchunks(STEP)) {
        if x != y {
            back += x
                .iter()
                .rev()
                .zip(y.iter().rev())
                .take_while(|(x, y)| x == y)
                .count();
            break;
        }
        back += x.len();
    }
    (front, back)
}

/// Half of what the cache may hold, in bytes.
const GENERATION_BYTES: usize = 3 << 20;

/// Reads trees, and keeps those used last: the tree of a commit is the tree of its child's parent.
pub(super) struct Trees<'r> {
    reader: &'r Reader<'r>,
    budget: &'r Budget,
    hash: HashKind,
    young: HashMap<Oid, Rc<Tree>>,
    young_bytes: usize,
    old: HashMap<Oid, Rc<Tree>>,
    buffer: Vec<u8>,
    judged: HashSet<Oid>,
    empty: Rc<Tree>,
}

impl<'r> Trees<'r> {
    /// An empty cache.
    pub(super) fn new(reader: &'r Reader<'r>, budget: &'r Budget, hash: HashKind) -> Self {
        Trees {
            reader,
            budget,
            hash,
            young: HashMap::new(),
            young_bytes: 0,
            old: HashMap::new(),
            buffer: Vec::new(),
            judged: HashSet::new(),
            empty: Rc::new(Tree::empty()),
        }
    }

    /// The tree, or the empty one for `None`. `like` is a tree that it probably resembles.
    pub(super) fn load(
        &mut self,
        id: Option<&Oid>,
        like: Option<&Tree>,
    ) -> Result<Rc<Tree>, RepoError> {
        let Some(id) = id else {
            return Ok(Rc::clone(&self.empty));
        };
        // A bound on walks that meet the same trees over and over, and so read nothing.
        self.budget.check_time()?;
        if let Some(tree) = self.young.get(id) {
            return Ok(Rc::clone(tree));
        }
        let tree = match self.old.remove(id) {
            Some(tree) => tree,
            None => Rc::new(self.read(id, like)?),
        };
        self.keep(*id, Rc::clone(&tree));
        Ok(tree)
    }

    /// What is wrong with a tree that a commit brings, as far as none of `parents`, the same folder in the parents, has
    /// it already. A tree judged whole is not judged again.
    pub(super) fn judge(
        &mut self,
        id: &Oid,
        tree: &Tree,
        parents: &[Rc<Tree>],
        path: &BStr,
        into: &mut Vec<(BString, Defect)>,
    ) -> Result<(), RepoError> {
        if self.judged.contains(id) {
            return Ok(());
        }
        let (front, back) = match parents.first() {
            Some(first) => tree.shared(first),
            None => (0, 0),
        };
        let changed = &tree.items[front..tree.len() - back];
        let has_twin = |item: &Item| {
            let key = tree.key_of(item);
            tree.has(&Key {
                folder: !key.folder,
                ..key
            })
        };
        // One out of order shares nothing.
        let mut is_whole = front + back == 0 || changed.iter().any(has_twin);
        let bytes = match (changed.first(), changed.last()) {
            _ if is_whole => &tree.data[..],
            (Some(first), Some(last)) => &tree.data[first.start as usize..last.end as usize],
            _ => &[],
        };
        let is_old = |entry: &parse::RawEntry<'_>| {
            let is_old = parents.iter().any(|parent| parent.has_entry(entry));
            is_whole &= !is_old;
            is_old
        };
        let (_, defects) = parse::tree_with_new_defects(*id, bytes, self.hash, is_old)?;
        if is_whole {
            self.judged.insert(*id);
        }
        into.extend(defects.into_iter().map(|defect| match &defect.entry {
            Some(name) => (path_below(&path.to_owned(), name), defect),
            None => (path.to_owned(), defect),
        }));
        Ok(())
    }

    fn read(&mut self, id: &Oid, like: Option<&Tree>) -> Result<Tree, RepoError> {
        // git knows the empty tree without having it.
        if id.is_empty_tree() {
            return Ok(Tree::empty());
        }
        let object = self
            .reader
            .find(id, &mut self.buffer, self.budget)?
            .ok_or(RepoError::Missing(*id))?;
        if object.kind != Kind::Tree {
            return Err(RepoError::Corrupt {
                id: *id,
                why: format!("a tree was expected, it is a {}", object.kind),
            });
        }
        Tree::parse(*id, object.data, self.hash, like)
    }

    fn keep(&mut self, id: Oid, tree: Rc<Tree>) {
        self.young_bytes += tree.weight();
        self.young.insert(id, tree);
        if self.young_bytes > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

/// Walks several trees of the same folder side by side, in git's order. What all of them begin and end with alike is
/// passed over.
pub(super) struct Join<'t> {
    trees: &'t [Rc<Tree>],
    at: Vec<usize>,
    end: Vec<usize>,
}

impl<'t> Join<'t> {
    /// Starts at the first entry where the trees may differ.
    pub(super) fn new(trees: &'t [Rc<Tree>]) -> Self {
        let mut shared: Option<(usize, usize)> = None;
        for pair in trees.windows(2) {
            let (front, back) = if Rc::ptr_eq(&pair[0], &pair[1]) {
                continue;
            } else {
                pair[0].shared(&pair[1])
            };
            shared = Some(match shared {
                Some((f, b)) => (f.min(front), b.min(back)),
                None => (front, back),
            });
        }
        let (front, back) = shared.unwrap_or((0, 0));
        Join {
            trees,
            at: vec![front; trees.len()],
            end: trees.iter().map(|tree| tree.len() - back).collect(),
        }
    }

    /// The next key, and what each tree has there. A tree with the same key twice gives it twice: nothing is passed over.
    pub(super) fn next(&mut self, entries: &mut Vec<Option<Entry>>) -> Option<Key<'t>> {
        let Join { trees, at, end } = self;
        let head = |side: usize, at: &[usize]| {
            let tree: &'t Tree = &trees[side];
            (at[side] < end[side]).then(|| tree.key(at[side]))
        };
        let key = (0..trees.len()).filter_map(|side| head(side, at)).min()?;
        entries.clear();
        for side in 0..trees.len() {
            let here = head(side, at) == Some(key);
            entries.push(here.then(|| trees[side].entry(at[side])));
            at[side] += usize::from(here);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests;
