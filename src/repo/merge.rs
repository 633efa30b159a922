//! Merge commits: every path compared with every parent, and with what the automatic merge of the parents would give.
//!
//! All trees that the automatic merge depends on (parents, merge bases, the bases of those) are walked side by side.
//! A folder is entered only where the outcome is not plain from the folders' ids, so a clean merge of a long
//! history costs no more than the folders that both sides changed.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};

use bstr::{BString, ByteSlice as _};

use super::changes::{Change, Entry, Joined, Met, Origin, finish, path_below};
use super::graph::{BASES_MAX, Graph, Node};
use super::text_merge::{self, ENGINES, Engine, Merged, TEXT_MERGE_MAX_BYTES};
use super::trees::{Join, Tree, Trees};
use super::{Kind, Mode, Reader, RepoError};
use crate::budget::Budget;
use crate::push::{HashKind, Oid};

/// How deep bases of bases are merged: criss-cross upon criss-cross. Deeper ones count as conflicts.
const NESTING_MAX: u32 = 4;

/// Trees walked side by side.
const LEAVES_MAX: usize = 64;

/// Lines of three texts together that are merged without a thread: at most some 0.1 s.
const AT_ONCE_MAX_LINES: usize = 10_000;

/// How the automatic merge comes out of the trees.
enum Plan {
    /// One of the trees.
    Leaf(usize),
    /// No tree at all: histories that share nothing.
    Empty,
    /// Too tangled to be worked out.
    Unknown,
    /// A three-way merge.
    Merge(Box<ThreeWay>),
}

struct ThreeWay {
    base: Plan,
    ours: Plan,
    theirs: Plan,
    /// The result only serves as the base of another merge: conflicts do not matter, as in git.
    inner: bool,
}

/// What the automatic merge gives at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// This entry, or nothing.
    Is(Option<Entry>),
    /// A folder that both sides changed: it has to be entered.
    Open,
    /// No clean result.
    Conflict,
}

/// The changes of a merge commit, in the order of their paths.
pub(super) struct Merger<'m, 'r> {
    pub(super) reader: &'m Reader<'r>,
    pub(super) budget: &'m Budget,
    pub(super) hash: HashKind,
    pub(super) trees: &'m mut Trees<'r>,
    pub(super) graph: &'m mut Graph<'r>,
}

struct Work<'m, 'r> {
    reader: &'m Reader<'r>,
    budget: &'m Budget,
    hash: HashKind,
    /// Merged texts that no object holds.
    made: HashMap<Oid, Vec<u8>>,
    /// Whether lines were merged since this was last cleared: then another engine may give something else.
    merged_lines: bool,
}

impl<'r> Merger<'_, 'r> {
    /// Compares the tree of a merge with those of its parents.
    pub(super) fn changes(
        mut self,
        parents: &[Node],
        tree: &Oid,
        met: &mut Met,
    ) -> Result<Vec<Change>, RepoError> {
        let mut leaves = Vec::new();
        for parent in parents {
            leaves.push(self.graph.tree(*parent)?);
        }
        if leaves.iter().all(|leaf| leaf == tree) {
            return Ok(Vec::new());
        }
        let mut plan = Plan::Leaf(0);
        for at in 1..parents.len() {
            let bases = self.graph.merge_bases(parents[at], &parents[..at])?;
            plan = Plan::Merge(Box::new(ThreeWay {
                base: self.base(&bases, &mut leaves, 0)?,
                ours: plan,
                theirs: Plan::Leaf(at),
                inner: false,
            }));
        }
        self.walk(&plan, parents.len(), leaves, tree, met)
    }

    fn base(
        &mut self,
        bases: &[Node],
        leaves: &mut Vec<Oid>,
        nesting: u32,
    ) -> Result<Plan, RepoError> {
        let Some(first) = bases.first() else {
            return Ok(Plan::Empty);
        };
        if bases.len() > BASES_MAX || nesting > NESTING_MAX || leaves.len() > LEAVES_MAX {
            return Ok(Plan::Unknown);
        }
        let mut plan = self.leaf(*first, leaves)?;
        for at in 1..bases.len() {
            let inner = self.graph.merge_bases(bases[at], &bases[..at])?;
            plan = Plan::Merge(Box::new(ThreeWay {
                base: self.base(&inner, leaves, nesting + 1)?,
                ours: plan,
                theirs: self.leaf(bases[at], leaves)?,
                inner: true,
            }));
        }
        Ok(plan)
    }

    fn leaf(&mut self, commit: Node, leaves: &mut Vec<Oid>) -> Result<Plan, RepoError> {
        let tree = self.graph.tree(commit)?;
        let at = leaves.iter().position(|leaf| *leaf == tree);
        Ok(Plan::Leaf(at.unwrap_or_else(|| {
            leaves.push(tree);
            leaves.len() - 1
        })))
    }

    fn walk(
        self,
        plan: &Plan,
        parents: usize,
        leaves: Vec<Oid>,
        tree: &Oid,
        met: &mut Met,
    ) -> Result<Vec<Change>, RepoError> {
        let mut work = Work {
            reader: self.reader,
            budget: self.budget,
            hash: self.hash,
            made: HashMap::new(),
            merged_lines: false,
        };
        let mut changes = Vec::new();
        let mut entries = Vec::new();
        let width = leaves.len();
        // In each folder: the trees of the plan, then that of the merge commit.
        let roots: Vec<_> = leaves.into_iter().chain([*tree]).map(Some).collect();
        let mut folders = vec![(BString::default(), roots, 0_u64)];
        while let Some((path, ids, depth)) = folders.pop() {
            let mut sides: Vec<Rc<Tree>> = Vec::with_capacity(ids.len());
            for id in &ids {
                let like = sides.last().cloned();
                sides.push(self.trees.load(id.as_ref(), like.as_deref())?);
            }
            if let Some(id) = ids[width].filter(|id| !ids[..parents].contains(&Some(*id))) {
                met.objects.push(id);
                met.joined.push(Joined {
                    path: path.clone(),
                    tree: id,
                    parents: ids[..parents].to_vec(),
                });
                let (after, before) = (&sides[width], &sides[..parents]);
                self.trees
                    .judge(&id, after, before, path.as_bstr(), &mut met.defects)?;
            }
            let mut join = Join::new(&sides);
            while let Some(key) = join.next(&mut entries) {
                if entries.iter().all(|entry| *entry == entries[width]) {
                    continue;
                }
                if key.folder {
                    if work.folder(plan, &mut entries) != Outcome::Is(entries[width]) {
                        work.budget.check_depth(depth + 1)?;
                        let ids = entries.iter().map(|entry| entry.map(|entry| entry.id));
                        folders.push((path_below(&path, key.name), ids.collect(), depth + 1));
                    }
                    continue;
                }
                let new = entries[width];
                let as_parent = entries[..parents].contains(&new);
                let origin = match (work.is_automatic(plan, &entries[..width], new)?, as_parent) {
                    (true, true) => continue,
                    (true, false) => Origin::AutoMerge,
                    (false, true) => Origin::Discards,
                    (false, false) => Origin::Merge,
                };
                work.budget.take_changes(1)?;
                if let Some(new) = new.filter(|new| new.mode.acts_as() != Mode::Gitlink)
                    && !as_parent
                {
                    met.objects.push(new.id);
                }
                changes.push(Change {
                    path: path_below(&path, key.name),
                    old: entries[..parents].to_vec(),
                    new,
                    origin,
                    moved_from: None,
                });
            }
        }
        finish(&mut changes);
        Ok(changes)
    }
}

impl Work<'_, '_> {
    /// The outcome for a folder, from ids alone.
    fn folder(&mut self, plan: &Plan, entries: &mut [Option<Entry>]) -> Outcome {
        // Only the id says what a folder holds.
        for entry in entries.iter_mut().flatten() {
            entry.mode = Mode::Tree;
        }
        fold_folder(plan, entries)
    }

    /// Whether the automatic merge, by any of the engines, gives `new`.
    fn is_automatic(
        &mut self,
        plan: &Plan,
        leaves: &[Option<Entry>],
        new: Option<Entry>,
    ) -> Result<bool, RepoError> {
        for engine in ENGINES {
            self.merged_lines = false;
            if self.file(plan, leaves, engine)? == Outcome::Is(new) {
                return Ok(true);
            }
            if !self.merged_lines {
                break;
            }
        }
        Ok(false)
    }

    fn file(
        &mut self,
        plan: &Plan,
        leaves: &[Option<Entry>],
        engine: Engine,
    ) -> Result<Outcome, RepoError> {
        let step = match plan {
            Plan::Leaf(at) => return Ok(Outcome::Is(leaves[*at])),
            Plan::Empty => return Ok(Outcome::Is(None)),
            Plan::Unknown => return Ok(Outcome::Conflict),
            Plan::Merge(step) => step,
        };
        let ours = self.file(&step.ours, leaves, engine)?;
        let theirs = self.file(&step.theirs, leaves, engine)?;
        if ours == theirs {
            return Ok(ours);
        }
        let base = self.file(&step.base, leaves, engine)?;
        let (Outcome::Is(base), Outcome::Is(ours), Outcome::Is(theirs)) = (base, ours, theirs)
        else {
            return Ok(Outcome::Conflict);
        };
        if base == ours {
            return Ok(Outcome::Is(theirs));
        }
        if base == theirs {
            return Ok(Outcome::Is(ours));
        }
        let merged = self.both_changed(base, ours, theirs, engine, step.inner)?;
        Ok(match merged {
            // git, too, goes on with the base where a merge of bases has no answer.
            Outcome::Conflict if step.inner => Outcome::Is(base),
            outcome => outcome,
        })
    }

    /// Both sides changed the entry, and not alike.
    fn both_changed(
        &mut self,
        base: Option<Entry>,
        ours: Option<Entry>,
        theirs: Option<Entry>,
        engine: Engine,
        inner: bool,
    ) -> Result<Outcome, RepoError> {
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return Ok(Outcome::Conflict);
        };
        let plain = |entry: &Entry| matches!(entry.mode, Mode::Blob | Mode::Executable);
        if !plain(&ours) || !plain(&theirs) || !base.as_ref().is_none_or(plain) {
            return Ok(Outcome::Conflict);
        }
        let base_mode = base.map(|base| base.mode);
        let mode = if ours.mode == theirs.mode || Some(ours.mode) == base_mode {
            theirs.mode
        } else if Some(theirs.mode) == base_mode {
            ours.mode
        } else {
            return Ok(Outcome::Conflict);
        };
        let base_id = base.map(|base| base.id);
        let id = if ours.id == theirs.id || base_id == Some(ours.id) {
            theirs.id
        } else if base_id == Some(theirs.id) {
            ours.id
        } else {
            match self.lines(base_id, ours.id, theirs.id, engine, inner)? {
                Some(id) => id,
                None => return Ok(Outcome::Conflict),
            }
        };
        Ok(Outcome::Is(Some(Entry { mode, id })))
    }

    /// Merges three texts; the id that the result has as a blob, or `None` for a conflict.
    fn lines(
        &mut self,
        base: Option<Oid>,
        ours: Oid,
        theirs: Oid,
        engine: Engine,
        inner: bool,
    ) -> Result<Option<Oid>, RepoError> {
        let base = match base {
            Some(base) => self.text(&base)?,
            None => Some(Vec::new()),
        };
        let (Some(base), Some(ours), Some(theirs)) = (base, self.text(&ours)?, self.text(&theirs)?)
        else {
            return Ok(None);
        };
        self.budget.check_time()?;
        self.merged_lines = true;
        let merged = self.merged([base, ours, theirs], engine)?;
        if !merged.clean && !inner {
            return Ok(None);
        }
        let id =
            gix_object::compute_hash(self.hash, Kind::Blob, &merged.text).map_err(|error| {
                RepoError::Corrupt {
                    id: self.hash.null(),
                    why: format!("a merged text cannot be hashed: {error}"),
                }
            })?;
        self.made.insert(id, merged.text);
        Ok(Some(id))
    }

    /// Merges the lines of three texts. What git does with them, and we with it, takes minutes for some large ones, and cannot be
    /// stopped: a thread does it, and is left alone when the time is up.
    fn merged(&self, texts: [Vec<u8>; 3], engine: Engine) -> Result<Merged, RepoError> {
        let lines = |text: &Vec<u8>| memchr::memchr_iter(b'\n', text).count();
        let merge = move |[base, ours, theirs]: [Vec<u8>; 3]| {
            text_merge::merge(&base, &ours, &theirs, engine)
        };
        if texts.iter().map(lines).sum::<usize>() <= AT_ONCE_MAX_LINES {
            return Ok(merge(texts));
        }
        let (send, merged) = mpsc::channel();
        std::thread::spawn(move || send.send(merge(texts)));
        match merged.recv_timeout(self.budget.time_left()) {
            Ok(merged) => Ok(merged),
            Err(RecvTimeoutError::Timeout) => Err(self.budget.time_is_up().into()),
            Err(RecvTimeoutError::Disconnected) => panic!("the merge of three texts failed"),
        }
    }

    /// The content of a blob, if lines can be merged in it.
    fn text(&self, id: &Oid) -> Result<Option<Vec<u8>>, RepoError> {
        if let Some(text) = self.made.get(id) {
            return Ok(Some(text.clone()));
        }
        let (_, size) = self.reader.header(id)?.ok_or(RepoError::Missing(*id))?;
        if size > TEXT_MERGE_MAX_BYTES as u64 {
            return Ok(None);
        }
        let mut buffer = Vec::new();
        let object = self
            .reader
            .find(id, &mut buffer, self.budget)?
            .ok_or(RepoError::Missing(*id))?;
        Ok(
            (object.kind == Kind::Blob && text_merge::is_text(object.data))
                .then(|| object.data.to_vec()),
        )
    }
}

fn fold_folder(plan: &Plan, leaves: &[Option<Entry>]) -> Outcome {
    let step = match plan {
        Plan::Leaf(at) => return Outcome::Is(leaves[*at]),
        Plan::Empty => return Outcome::Is(None),
        Plan::Unknown => return Outcome::Open,
        Plan::Merge(step) => step,
    };
    let ours = fold_folder(&step.ours, leaves);
    let theirs = fold_folder(&step.theirs, leaves);
    if ours == theirs {
        return ours;
    }
    let base = fold_folder(&step.base, leaves);
    if base == Outcome::Open {
        Outcome::Open
    } else if base == ours {
        theirs
    } else if base == theirs {
        ours
    } else {
        Outcome::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(base: Plan, ours: Plan, theirs: Plan) -> Plan {
        Plan::Merge(Box::new(ThreeWay {
            base,
            ours,
            theirs,
            inner: false,
        }))
    }

    /// Two folders of which nothing is known yet are not the same folder.
    #[test]
    fn a_folder_is_open_where_its_base_and_a_side_are() {
        let entry = |digit: &str| {
            let id = Oid::from_hex(digit.repeat(40).as_bytes()).unwrap();
            let mode = Mode::Tree;
            Some(Entry { mode, id })
        };
        let leaves = [entry("1"), entry("2"), entry("3"), entry("4")];
        let open = || both(Plan::Leaf(0), Plan::Leaf(1), Plan::Leaf(2));
        assert_eq!(fold_folder(&open(), &leaves), Outcome::Open);
        for plan in [
            both(open(), open(), Plan::Leaf(3)),
            both(open(), Plan::Leaf(3), open()),
            both(Plan::Unknown, Plan::Unknown, Plan::Leaf(3)),
        ] {
            assert_eq!(fold_folder(&plan, &leaves), Outcome::Open);
        }
        let known = both(Plan::Leaf(0), Plan::Leaf(0), open());
        assert_eq!(fold_folder(&known, &leaves), Outcome::Open);
        let taken = both(Plan::Leaf(0), Plan::Leaf(0), Plan::Leaf(3));
        assert_eq!(fold_folder(&taken, &leaves), Outcome::Is(leaves[3]));
    }
}
