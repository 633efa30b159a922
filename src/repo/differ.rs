//! What each of many commits changes, for who walks over whole histories: every path where a commit differs from all of
//! its parents. No judgement of trees, no automatic merges, no order of paths.

use bstr::BString;

use super::changes::{Entry, path_below};
use super::trees::{Join, Trees};
use super::{Reader, Repo, RepoError};
use crate::budget::{Budget, Exhausted, Resource};
use crate::push::Oid;

/// Paths and folders of one commit, or below one tree, that are told. A few trees that name one another again and again
/// make more paths than anybody can count.
const PATHS_MAX: u64 = 4_000_000;

/// Compares trees, for one thread. Trees read last are kept, 8 MiB of them: walk over neighbours in the history.
pub struct Differ<'r> {
    trees: Trees<'r>,
    budget: &'r Budget,
}

/// A path where a commit differs from every parent.
pub struct Differing<'d> {
    /// The whole path.
    pub path: BString,
    /// What each parent has there; empty for a commit without parents.
    pub old: &'d [Option<Entry>],
    /// What the commit has there; `None`: the path is gone.
    pub new: Option<Entry>,
}

impl<'r> Differ<'r> {
    /// One that reads through `reader`.
    pub fn new(repo: &Repo, reader: &'r Reader<'r>, budget: &'r Budget) -> Self {
        Differ {
            trees: Trees::new(reader, budget, repo.hash_kind()),
            budget,
        }
    }

    /// Tells each path, folders aside, where `tree` differs from all of `parents`, which are trees as well. An error: some
    /// were not told, also because there are more than 4,000,000 or the budget for changes is spent.
    pub fn each(
        &mut self,
        parents: &[Oid],
        tree: &Oid,
        tell: &mut dyn FnMut(Differing<'_>),
    ) -> Result<(), RepoError> {
        let mut sides: Vec<Option<Oid>> = parents.iter().copied().map(Some).collect();
        sides.push(Some(*tree));
        let mut folders = vec![(BString::default(), sides, 0_u64)];
        let mut entries = Vec::with_capacity(parents.len() + 1);
        let mut left = PATHS_MAX;
        while let Some((path, sides, depth)) = folders.pop() {
            let (new, old) = sides.split_last().expect("the tree itself is a side");
            // What one parent has just so was brought there by that parent's history.
            if old.contains(new) {
                continue;
            }
            let mut trees = Vec::with_capacity(sides.len());
            for side in &sides {
                let like = trees.last().cloned();
                trees.push(self.trees.load(side.as_ref(), like.as_deref())?);
            }
            let mut join = Join::new(&trees);
            let mut count = 0;
            while let Some(key) = join.next(&mut entries) {
                let (new, old) = entries.split_last().expect("as many entries as trees");
                if old.contains(new) {
                    continue;
                }
                count += 1;
                if key.folder {
                    self.budget.check_depth(depth + 1)?;
                    let sides = entries.iter().map(|entry| entry.map(|entry| entry.id));
                    folders.push((path_below(&path, key.name), sides.collect(), depth + 1));
                } else {
                    tell(Differing {
                        path: path_below(&path, key.name),
                        old,
                        new: *new,
                    });
                }
            }
            self.take(count, &mut left)?;
        }
        Ok(())
    }

    /// Tells every path of a tree, folders aside, whose folder `enter` wants to see into, by its path and id. Errs as
    /// [`Differ::each`] does.
    pub fn walk(
        &mut self,
        tree: &Oid,
        enter: &mut dyn FnMut(&BString, &Oid) -> bool,
        tell: &mut dyn FnMut(BString, Entry),
    ) -> Result<(), RepoError> {
        let mut folders = vec![(BString::default(), *tree, 0_u64)];
        let mut left = PATHS_MAX;
        while let Some((path, id, depth)) = folders.pop() {
            if !enter(&path, &id) {
                continue;
            }
            self.budget.check_depth(depth)?;
            let tree = self.trees.load(Some(&id), None)?;
            self.take(tree.len() as u64, &mut left)?;
            for at in 0..tree.len() {
                let (key, entry) = (tree.key(at), tree.entry(at));
                let below = path_below(&path, key.name);
                match key.folder {
                    true => folders.push((below, entry.id, depth + 1)),
                    false => tell(below, entry),
                }
            }
        }
        Ok(())
    }

    /// Counts what a folder tells.
    fn take(&self, count: u64, left: &mut u64) -> Result<(), RepoError> {
        self.budget.take_changes(count)?;
        *left = left.checked_sub(count).ok_or(Exhausted {
            resource: Resource::Changes,
            limit: PATHS_MAX,
        })?;
        Ok(())
    }
}
