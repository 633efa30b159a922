//! The commit graph: which commits are new, who is an ancestor of whom, where two histories meet.
//!
//! Dates come from commits, so whoever pushes chooses them. They order the walks and so decide how much is read;
//! no answer that lets a commit pass rests on them.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::commit_graph::Listed;
use super::{Commit, Reader, RepoError};
use crate::budget::Budget;
use crate::push::Oid;

/// A commit of the graph.
pub(super) type Node = u32;

/// How many more commits of known history are read when only known ones are left to walk, and some stored commit is
/// still taken for new: a wrong clock should rarely make the gate judge old commits again.
const SLACK: u32 = 1024;

/// From so many stored commits on, a commit-graph is worth to be opened. Tests have few.
const LISTED_FROM: u32 = if cfg!(test) { 4 } else { 64 };

/// More histories than this do not meet in any one push; a merge of such histories counts as a conflict.
pub(super) const BASES_MAX: usize = 16;

struct Vertex {
    id: Oid,
    links: Option<Links>,
}

#[derive(Clone)]
struct Links {
    date: i64,
    parents: Vec<Node>,
    tree: Oid,
    /// The commit is not in the store: the other side of a shallow boundary.
    absent: bool,
}

/// Commits read so far.
pub(super) struct Graph<'r> {
    reader: &'r Reader<'r>,
    budget: &'r Budget,
    shallow: Box<dyn Fn() -> Result<HashSet<Oid>, RepoError> + 'r>,
    nodes: HashMap<Oid, Node>,
    vertices: Vec<Vertex>,
    /// Commits read whole because they are new for sure.
    whole: HashMap<Node, Commit>,
    marks: Marks,
    /// Commits that were read, of those that need not be new.
    read: u32,
    /// Whether a commit-graph is asked: found out when it is worth it.
    is_listed: Option<bool>,
}

/// One byte a commit, cleared by what was touched.
#[derive(Default)]
struct Marks {
    flags: Vec<u8>,
    touched: Vec<Node>,
}

impl Marks {
    fn get(&self, node: Node) -> u8 {
        self.flags.get(node as usize).copied().unwrap_or(0)
    }

    fn add(&mut self, node: Node, flags: u8) {
        let at = node as usize;
        if self.flags.len() <= at {
            self.flags.resize(at + 1, 0);
        }
        if self.flags[at] == 0 {
            self.touched.push(node);
        }
        self.flags[at] |= flags;
    }

    fn remove(&mut self, node: Node, flags: u8) {
        if let Some(held) = self.flags.get_mut(node as usize) {
            *held &= !flags;
        }
    }

    fn clear(&mut self) {
        for node in self.touched.drain(..) {
            self.flags[node as usize] = 0;
        }
    }
}

/// Flags of the walk for new commits.
const REACHED: u8 = 1;
const KNOWN: u8 = 2;
const QUEUED: u8 = 4;
const READ: u8 = 8;
const STORED: u8 = 16;
/// Flags of a walk in order.
const DONE: u8 = 64;
const OPENED: u8 = 128;

/// Flags of the walk for merge bases.
const ONE: u8 = 1;
const OTHER: u8 = 2;
const STALE: u8 = 4;
const FOUND: u8 = 8;
const WAITING: u8 = 16;

/// What a walk from one tip gave.
pub(super) struct Fresh {
    /// The new commits, parents before children.
    pub(super) commits: Vec<Node>,
    /// The walk came by the old value of the ref, so the update is a fast-forward.
    pub(super) met_old: bool,
}

impl<'r> Graph<'r> {
    /// An empty graph. `shallow` is asked, at most when a parent is missing, which commits are a shallow boundary.
    pub(super) fn new(
        reader: &'r Reader<'r>,
        budget: &'r Budget,
        shallow: impl Fn() -> Result<HashSet<Oid>, RepoError> + 'r,
    ) -> Self {
        Graph {
            reader,
            budget,
            shallow: Box::new(shallow),
            nodes: HashMap::new(),
            vertices: Vec::new(),
            whole: HashMap::new(),
            marks: Marks::default(),
            read: 0,
            is_listed: None,
        }
    }

    /// The node of a commit, read or not.
    pub(super) fn node(&mut self, id: &Oid) -> Node {
        if let Some(node) = self.nodes.get(id) {
            return *node;
        }
        let node = Node::try_from(self.vertices.len()).expect("the budget bounds commits");
        self.nodes.insert(*id, node);
        self.vertices.push(Vertex {
            id: *id,
            links: None,
        });
        node
    }

    /// The id of a node.
    pub(super) fn id(&self, node: Node) -> Oid {
        self.vertices[node as usize].id
    }

    /// The tree of a commit.
    pub(super) fn tree(&mut self, node: Node) -> Result<Oid, RepoError> {
        self.read(node)?;
        match &self.vertices[node as usize].links {
            Some(links) if !links.absent => Ok(links.tree),
            _ => Err(RepoError::Missing(self.id(node))),
        }
    }

    /// The whole commit of a new node. Given away once.
    pub(super) fn commit(&mut self, node: Node) -> Result<Commit, RepoError> {
        match self.whole.remove(&node) {
            Some(commit) => Ok(commit),
            None => self.reader.commit(&self.id(node), self.budget),
        }
    }

    /// Asks the clock now and then: commits read before cost nothing of the budget.
    fn check_time(&self, step: u32) -> Result<(), RepoError> {
        if step.is_multiple_of(512) {
            self.budget.check_time()?;
        }
        Ok(())
    }

    fn date(&self, node: Node) -> i64 {
        match &self.vertices[node as usize].links {
            Some(links) => links.date,
            None => i64::MIN,
        }
    }

    fn parents(&self, node: Node) -> &[Node] {
        match &self.vertices[node as usize].links {
            Some(links) => &links.parents,
            None => &[],
        }
    }

    fn read(&mut self, node: Node) -> Result<(), RepoError> {
        if self.vertices[node as usize].links.is_some() {
            return Ok(());
        }
        self.budget.take_commits(1)?;
        let id = self.id(node);
        if let Some(listed) = self.listed(&id)? {
            self.link(node, &listed.parents, listed.tree, listed.date);
            return Ok(());
        }
        match self.reader.stored_commit(&id, self.budget) {
            Ok(commit) => {
                self.link(node, &commit.parents, commit.tree, commit.committer.time);
                Ok(())
            }
            Err(RepoError::Missing(missing)) if missing == id && self.is_cut_off(node)? => {
                self.vertices[node as usize].links = Some(Links {
                    date: i64::MIN,
                    parents: Vec::new(),
                    tree: id,
                    absent: true,
                });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What a commit-graph lists of a commit. A long walk over stored commits asks it, as git does: not in a shallow repository, where
    /// it lists more than there is.
    fn listed(&mut self, id: &Oid) -> Result<Option<Listed>, RepoError> {
        self.read += 1;
        if self.read < LISTED_FROM {
            return Ok(None);
        }
        let is_listed = match self.is_listed {
            Some(is_listed) => is_listed,
            None => *self.is_listed.insert((self.shallow)()?.is_empty()),
        };
        Ok(is_listed.then(|| self.reader.listed(id)).flatten())
    }

    fn link(&mut self, node: Node, parents: &[Oid], tree: Oid, date: i64) {
        let parents = parents.iter().map(|id| self.node(id)).collect();
        self.vertices[node as usize].links = Some(Links {
            date,
            parents,
            tree,
            absent: false,
        });
    }

    /// Whether all known children of a missing commit are a shallow boundary of the repository itself.
    fn is_cut_off(&self, node: Node) -> Result<bool, RepoError> {
        let shallow = (self.shallow)()?;
        let mut children = 0;
        for vertex in &self.vertices {
            if let Some(links) = &vertex.links
                && links.parents.contains(&node)
            {
                children += 1;
                if !shallow.contains(&vertex.id) {
                    return Ok(false);
                }
            }
        }
        Ok(children > 0)
    }

    /// The commits that `tip` reaches and that no commit of `known` reaches.
    ///
    /// `tips` are asked for only when the fast way does not answer: they are the commits of `known`, tags peeled.
    pub(super) fn fresh(
        &mut self,
        tip: Node,
        old: Option<Node>,
        known: impl Fn(&Oid) -> bool,
        tips: impl FnOnce(&mut Self) -> Result<Vec<Node>, RepoError>,
    ) -> Result<Fresh, RepoError> {
        self.marks.clear();
        // A commit that is only in the quarantine is new, whatever dates say: all that known commits reach is stored.
        let mut boundary = Vec::new();
        let mut stack = vec![tip];
        while let Some(node) = stack.pop() {
            if self.marks.get(node) & REACHED != 0 {
                continue;
            }
            self.marks.add(node, REACHED);
            let id = self.id(node);
            if known(&id) {
                self.marks.add(node, KNOWN);
            } else if self.is_only_incoming(&id)? {
                self.read_whole(node)?;
                stack.extend_from_slice(self.parents(node));
            } else {
                boundary.push(node);
            }
        }
        if !boundary.is_empty() {
            // Boundary commits are walked from again, together with what is known.
            let tips = tips(self)?;
            self.prove(&boundary, &tips)?;
        }
        let commits = self.collect(tip)?;
        let met_old = old.is_some_and(|old| self.marks.get(old) & REACHED != 0);
        Ok(Fresh { commits, met_old })
    }

    fn is_only_incoming(&self, id: &Oid) -> Result<bool, RepoError> {
        Ok(self.reader.is_incoming(id)? && !self.reader.is_stored(id)?)
    }

    fn read_whole(&mut self, node: Node) -> Result<(), RepoError> {
        if self.vertices[node as usize].links.is_none() {
            self.budget.take_commits(1)?;
            let commit = self.reader.commit(&self.id(node), self.budget)?;
            self.link(node, &commit.parents, commit.tree, commit.committer.time);
            self.whole.insert(node, commit);
        }
        Ok(())
    }

    /// Walks down from the boundary commits and from the known tips, by date, and passes [`KNOWN`] on from child to
    /// parent. A commit counts as known only when a walk from a known tip came by; dates that lie can only make
    /// the walk end before that, and then more is judged, never less.
    fn prove(&mut self, boundary: &[Node], tips: &[Node]) -> Result<(), RepoError> {
        let mut queue = BinaryHeap::new();
        // Commits that are stored and not yet known; those of them in the queue.
        let mut open = 0_u32;
        let mut open_queued = 0_u32;
        for node in boundary {
            self.read(*node)?;
            self.marks.add(*node, STORED | QUEUED);
            queue.push((self.date(*node), *node));
            open += 1;
            open_queued += 1;
        }
        for node in tips {
            let flags = self.marks.get(*node);
            self.read(*node)?;
            if flags & QUEUED == 0 {
                self.marks.add(*node, QUEUED);
                queue.push((self.date(*node), *node));
            }
            self.make_known(*node, &mut open, &mut open_queued);
        }
        let mut slack = SLACK;
        for step in 1.. {
            self.check_time(step)?;
            if open == 0 {
                break;
            }
            if open_queued == 0 {
                if slack == 0 {
                    break;
                }
                slack -= 1;
            }
            let Some((_, node)) = queue.pop() else {
                break;
            };
            let flags = self.marks.get(node);
            self.marks.add(node, READ);
            if flags & (KNOWN | STORED) == STORED {
                open_queued -= 1;
            }
            for at in 0..self.parents(node).len() {
                let parent = self.parents(node)[at];
                let seen = self.marks.get(parent);
                if flags & KNOWN != 0 {
                    if seen & KNOWN == 0 {
                        self.make_known(parent, &mut open, &mut open_queued);
                    }
                } else if seen & (REACHED | KNOWN) == 0 {
                    self.marks.add(parent, REACHED | STORED);
                    open += 1;
                    open_queued += 1;
                } else {
                    self.marks.add(parent, REACHED);
                }
                if seen & QUEUED == 0 {
                    self.read(parent)?;
                    self.marks.add(parent, QUEUED);
                    queue.push((self.date(parent), parent));
                }
            }
        }
        Ok(())
    }

    /// Marks a commit and all of its ancestors that were already walked by.
    fn make_known(&mut self, node: Node, open: &mut u32, open_queued: &mut u32) {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            let flags = self.marks.get(node);
            if flags & KNOWN != 0 {
                continue;
            }
            self.marks.add(node, KNOWN);
            if flags & STORED != 0 {
                *open -= 1;
                if flags & READ == 0 {
                    *open_queued -= 1;
                }
            }
            if flags & READ != 0 {
                stack.extend_from_slice(self.parents(node));
            }
        }
    }

    /// The reached commits that are not known, parents before children.
    fn collect(&mut self, tip: Node) -> Result<Vec<Node>, RepoError> {
        let mut commits = Vec::new();
        self.descend(tip, &mut commits)?;
        for node in &commits {
            if let Some(Links { absent: true, .. }) = self.vertices[*node as usize].links {
                return Err(RepoError::Missing(self.id(*node)));
            }
        }
        Ok(commits)
    }

    /// Puts commits in order, parents before children, first parents first.
    pub(super) fn in_order(&mut self, commits: &[Node]) -> Result<Vec<Node>, RepoError> {
        self.marks.clear();
        // Everything but the given commits counts as known.
        let wanted: HashSet<Node> = commits.iter().copied().collect();
        for node in commits {
            for parent in self.parents(*node).to_vec() {
                if !wanted.contains(&parent) {
                    self.marks.add(parent, KNOWN);
                }
            }
        }
        let mut ordered = Vec::with_capacity(commits.len());
        for node in commits {
            self.descend(*node, &mut ordered)?;
        }
        Ok(ordered)
    }

    /// Walks depth first down to known commits, and tells each commit behind its parents.
    fn descend(&mut self, tip: Node, commits: &mut Vec<Node>) -> Result<(), RepoError> {
        let mut stack = vec![tip];
        while let Some(node) = stack.last().copied() {
            let flags = self.marks.get(node);
            if flags & (DONE | KNOWN) != 0 {
                stack.pop();
            } else if flags & OPENED != 0 {
                self.marks.add(node, DONE);
                commits.push(node);
                stack.pop();
            } else {
                self.marks.add(node, OPENED);
                self.read(node)?;
                // The last pushed is walked first: first parents come first.
                stack.extend(self.parents(node).iter().rev());
            }
        }
        Ok(())
    }

    /// Whether `old` is `new` or an ancestor of it. Exact whatever the dates.
    pub(super) fn is_ancestor(&mut self, old: Node, new: Node) -> Result<bool, RepoError> {
        if old == new {
            return Ok(true);
        }
        self.paint(old, &[new])?;
        Ok(self.marks.get(old) & OTHER != 0)
    }

    /// The best common ancestors of `one` and of any of `others`, oldest first, as `git merge-base --all` finds them.
    pub(super) fn merge_bases(
        &mut self,
        one: Node,
        others: &[Node],
    ) -> Result<Vec<Node>, RepoError> {
        if others.contains(&one) {
            return Ok(vec![one]);
        }
        let mut bases = self.paint(one, others)?;
        if bases.len() > 1 && bases.len() <= BASES_MAX {
            // A base that another base reaches is not a best one; the first walk may miss that when dates lie.
            let mut best = Vec::new();
            for (at, base) in bases.iter().enumerate() {
                let mut rest = bases.clone();
                rest.remove(at);
                self.paint(*base, &rest)?;
                if self.marks.get(*base) & OTHER == 0 {
                    best.push(*base);
                }
            }
            bases = best;
        }
        bases.sort_by_key(|base| (self.date(*base), self.id(*base)));
        Ok(bases)
    }

    /// Paints what `one` reaches and what `others` reach, and gives the first commits with both colours.
    fn paint(&mut self, one: Node, others: &[Node]) -> Result<Vec<Node>, RepoError> {
        self.marks.clear();
        let mut queue = BinaryHeap::new();
        // Queued commits that are not yet below a common ancestor.
        let mut live = 0_u32;
        for (node, colour) in
            std::iter::once((one, ONE)).chain(others.iter().map(|node| (*node, OTHER)))
        {
            self.read(node)?;
            if self.marks.get(node) == 0 {
                queue.push((self.date(node), node));
                live += 1;
            }
            self.marks.add(node, colour | WAITING);
        }
        let mut found = Vec::new();
        // A commit may be queued again when dates lie: it got a colour after it was passed.
        for step in 1.. {
            self.check_time(step)?;
            if live == 0 {
                break;
            }
            let Some((_, node)) = queue.pop() else {
                break;
            };
            self.marks.remove(node, WAITING);
            let mut flags = self.marks.get(node) & (ONE | OTHER | STALE);
            if flags & STALE == 0 {
                live -= 1;
            }
            if flags == ONE | OTHER {
                if self.marks.get(node) & FOUND == 0 {
                    self.marks.add(node, FOUND);
                    found.push(node);
                }
                flags |= STALE;
            }
            for at in 0..self.parents(node).len() {
                let parent = self.parents(node)[at];
                let seen = self.marks.get(parent);
                if seen & flags == flags {
                    continue;
                }
                let waiting = seen & WAITING != 0;
                // A parent that was stale before has both colours, and was passed over.
                let stale = flags & STALE != 0;
                if waiting && stale {
                    live -= 1;
                }
                self.marks.add(parent, flags | WAITING);
                if !waiting {
                    self.read(parent)?;
                    queue.push((self.date(parent), parent));
                    live += u32::from(!stale);
                }
            }
        }
        found.retain(|node| self.marks.get(*node) & STALE == 0);
        Ok(found)
    }
}
