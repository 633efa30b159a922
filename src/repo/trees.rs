//! Trees in memory: parsed once, compact, in git's order whatever their bytes say.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use bstr::{BStr, BString};

use super::changes::Entry;
use super::parse::{self, Defect, Mode};
use super::{Kind, Reader, RepoError};
use crate::budget::Budget;
use crate::push::{HashKind, Oid};

/// A parsed tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    names: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    start: u32,
    end: u32,
    mode: Mode,
    id: Oid,
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
    fn parse(id: Oid, data: &[u8], hash: HashKind) -> Result<Tree, RepoError> {
        let mut tree = Tree::default();
        let mut sorted = true;
        for entry in parse::raw_entries(id, data, hash) {
            let entry = entry?;
            let start = tree.names.len();
            tree.names.extend_from_slice(entry.name);
            tree.items.push(Item {
                // An object is far smaller than 4 GiB: the budget bounds it.
                start: u32::try_from(start).unwrap_or(u32::MAX),
                end: u32::try_from(tree.names.len()).unwrap_or(u32::MAX),
                mode: entry.mode,
                id: entry.id,
            });
            let len = tree.len();
            sorted &= len < 2 || tree.key(len - 2) < tree.key(len - 1);
        }
        if !sorted {
            // Two trees are compared by walking both in order. A tree in any other order is a defect that is told
            // on its own; it must not hide an entry from the comparison.
            let Tree { names, items } = &mut tree;
            items.sort_by(|a, b| key_of(names, a).cmp(&key_of(names, b)));
        }
        Ok(tree)
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The key of entry `at`.
    pub(super) fn key(&self, at: usize) -> Key<'_> {
        key_of(&self.names, &self.items[at])
    }

    /// Entry `at`.
    pub(super) fn entry(&self, at: usize) -> Entry {
        let item = &self.items[at];
        Entry {
            mode: item.mode,
            id: item.id,
        }
    }

    fn weight(&self) -> usize {
        64 + self.names.len() + self.items.len() * size_of::<Item>()
    }
}

fn key_of<'t>(names: &'t [u8], item: &Item) -> Key<'t> {
    Key {
        name: &names[item.start as usize..item.end as usize],
        folder: item.mode.acts_as() == Mode::Tree,
    }
}

/// Half of what the cache may hold, in bytes.
const GENERATION_BYTES: usize = 4 << 20;

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
        }
    }

    /// The tree, or the empty one for `None`.
    pub(super) fn load(&mut self, id: Option<&Oid>) -> Result<Rc<Tree>, RepoError> {
        let Some(id) = id else {
            return Ok(Rc::default());
        };
        // A bound on walks that meet the same trees over and over, and so read nothing.
        self.budget.check_time()?;
        if let Some(tree) = self.young.get(id) {
            return Ok(Rc::clone(tree));
        }
        let tree = match self.old.remove(id) {
            Some(tree) => tree,
            None => Rc::new(self.read(id)?.0),
        };
        self.keep(*id, Rc::clone(&tree));
        Ok(tree)
    }

    /// What is wrong with the tree itself; each tree is judged once.
    pub(super) fn judge(
        &mut self,
        id: &Oid,
        path: &BStr,
        into: &mut Vec<(BString, Defect)>,
    ) -> Result<(), RepoError> {
        if !self.judged.insert(*id) || id.is_empty_tree() {
            return Ok(());
        }
        let (_, defects) = self.reader.tree_with_defects(id, self.budget)?;
        into.extend(defects.into_iter().map(|defect| (path.to_owned(), defect)));
        Ok(())
    }

    fn read(&mut self, id: &Oid) -> Result<(Tree, usize), RepoError> {
        // git knows the empty tree without having it.
        if id.is_empty_tree() {
            return Ok((Tree::default(), 0));
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
        Ok((Tree::parse(*id, object.data, self.hash)?, object.data.len()))
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

/// Walks several trees of the same folder side by side, in git's order.
pub(super) struct Join {
    trees: Vec<Rc<Tree>>,
    at: Vec<usize>,
}

impl Join {
    /// Starts at the first entry of each tree.
    pub(super) fn new(trees: Vec<Rc<Tree>>) -> Self {
        let at = vec![0; trees.len()];
        Join { trees, at }
    }

    /// The next key, and what each tree has there. A tree with the same key twice gives it twice: nothing is passed over.
    pub(super) fn next(&mut self, entries: &mut Vec<Option<Entry>>) -> Option<Key<'_>> {
        let Join { trees, at } = self;
        let head = |side: usize, at: &[usize]| {
            let tree = &trees[side];
            (at[side] < tree.len()).then(|| tree.key(at[side]))
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
