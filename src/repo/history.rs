//! What a push brings: new commits, tags, contents; how each ref moves; what was sent and belongs to nothing.

use std::collections::{HashMap, HashSet};

use bstr::BString;

use super::changes::{self, Change, Entry, Joined, Met};
use super::graph::{Graph, Node};
use super::merge::Merger;
use super::net;
use super::trees::Trees;
use super::{Commit, Defect, Kind, Mode, Reader, Repo, RepoError, Tag};
use crate::budget::Budget;
use crate::finding::RefOp;
use crate::push::{Oid, RefName, RefUpdate};

/// Tags of tags of tags: no deeper than this.
const TAG_DEPTH_MAX: usize = 16;

/// Parents of one commit. The widest merges known in the wild have fewer than 70.
const PARENTS_MAX: usize = 256;

/// Trusted tips whose content excuses a net effect; see [`net::Trusted`].
const NET_TIPS_MAX: usize = 16;

/// Everything a push brings, and how refs move.
#[derive(Debug)]
pub struct History {
    /// New commits, parents before children, each once.
    pub commits: Vec<NewCommit>,
    /// New annotated tags, each once.
    pub tags: Vec<NewTag>,
    /// What refs that point straight to a blob or a tree hold.
    pub contents: Vec<NewContent>,
    /// What is wrong with the trees among them: update, folder, defect.
    pub content_defects: Vec<(usize, BString, Defect)>,
    /// What happens to each ref, in the order of the updates.
    pub moves: Vec<RefOp>,
    /// Net effects that no new commit shows, by index of the update.
    pub net: Vec<(usize, Change)>,
    /// Objects of the quarantine that none of the new values reaches.
    pub unreferenced: Vec<(Oid, Option<Kind>)>,
    /// New commits without parents, where history was there before.
    pub new_roots: Vec<Oid>,
}

/// A commit that no trusted ref reaches, nor the old value of the ref.
#[derive(Debug)]
pub struct NewCommit {
    /// The commit.
    pub commit: Commit,
    /// Indices of the updates that bring it.
    pub updates: Vec<usize>,
    /// What it changes, in the order of paths.
    pub changes: Vec<Change>,
    /// What is wrong with the trees it brings: folder, defect. Each tree object is told once in a push.
    pub tree_defects: Vec<(BString, Defect)>,
    /// For a merge: the folders that it made of those of its parents. Names of two sides meet there without any change.
    pub joined: Vec<Joined>,
}

/// An annotated tag that its ref did not have before.
#[derive(Debug)]
pub struct NewTag {
    /// The tag.
    pub tag: Tag,
    /// Indices of the updates that bring it.
    pub updates: Vec<usize>,
}

/// One entry of what a ref to a blob or tree holds.
#[derive(Debug)]
pub struct NewContent {
    /// Index of the update.
    pub update: usize,
    /// Path in the tree; empty when the ref points straight to a blob.
    pub path: BString,
    /// The tree that the path starts from; none when the ref points straight to a blob.
    pub tree: Option<Oid>,
    /// What stands there.
    pub entry: Entry,
}

/// Where tags lead.
#[derive(Clone, Copy)]
enum Peeled {
    Commit(Oid),
    Tree(Oid),
    Blob(Oid),
}

impl History {
    /// Works out what `updates` bring to `repo`.
    ///
    /// New is what the new value reaches, less what the stored old value of that ref reaches, less what
    /// `trusted` refs reach. Never less what any other ref reaches: commits parked there were judged for that ref,
    /// by rules that may be laxer.
    pub fn of(
        repo: &Repo,
        updates: &[RefUpdate],
        trusted: &[(RefName, Oid)],
        budget: &Budget,
    ) -> Result<History, RepoError> {
        budget.check_refs(updates.len() as u64)?;
        let reader = repo.reader();
        let mut walk = Walk {
            repo,
            reader: &reader,
            budget,
            trusted,
            trusted_ids: trusted.iter().map(|(_, id)| *id).collect(),
            trusted_nodes: None,
            graph: Graph::new(&reader, budget, || shallow(repo)),
            trees: Trees::new(&reader, budget, repo.hash_kind()),
            reached: HashSet::new(),
            order: Vec::new(),
            brought: HashMap::new(),
            history: History {
                commits: Vec::new(),
                tags: Vec::new(),
                contents: Vec::new(),
                content_defects: Vec::new(),
                moves: Vec::with_capacity(updates.len()),
                net: Vec::new(),
                unreferenced: Vec::new(),
                new_roots: Vec::new(),
            },
        };
        for (index, update) in updates.iter().enumerate() {
            let op = walk.update(index, update)?;
            walk.history.moves.push(op);
        }
        walk.commits(updates)?;
        for (index, update) in updates.iter().enumerate() {
            if walk.history.moves[index] == RefOp::Force {
                walk.net(index, update)?;
            }
        }
        walk.unreferenced()?;
        Ok(walk.history)
    }
}

/// Whether `new` contains all that `old` reaches. `false` where `old` is not there any more, or is no commit.
pub fn contains(repo: &Repo, old: &Oid, new: &Oid, budget: &Budget) -> Result<bool, RepoError> {
    if old == new {
        return Ok(true);
    }
    let reader = repo.reader();
    for id in [old, new] {
        if !matches!(reader.header(id)?, Some((Kind::Commit, _))) {
            return Ok(false);
        }
    }
    let mut graph = Graph::new(&reader, budget, || shallow(repo));
    let (old, new) = (graph.node(old), graph.node(new));
    graph.is_ancestor(old, new)
}

/// Longest list of shallow commits that is read.
const SHALLOW_MAX_BYTES: u64 = 256 << 20;

/// The repository's own shallow boundary.
pub(super) fn shallow(repo: &Repo) -> Result<HashSet<Oid>, RepoError> {
    let path = repo.layout().common_dir.join("shallow");
    match super::read_file(&path, SHALLOW_MAX_BYTES) {
        Ok(text) => Ok(text
            .split(|byte| *byte == b'\n')
            .filter_map(|line| Oid::from_hex(line).ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(RepoError::Open(format!("shallow: {error}"))),
    }
}

struct Walk<'r> {
    repo: &'r Repo,
    reader: &'r Reader<'r>,
    budget: &'r Budget,
    trusted: &'r [(RefName, Oid)],
    trusted_ids: HashSet<Oid>,
    /// The commits of the trusted refs, tags peeled; worked out when first needed.
    trusted_nodes: Option<Vec<Node>>,
    graph: Graph<'r>,
    trees: Trees<'r>,
    /// All that the new values are known to bring.
    reached: HashSet<Oid>,
    /// New commits; in order for each update by itself.
    order: Vec<Node>,
    /// The updates that bring each of them.
    brought: HashMap<Node, Vec<usize>>,
    history: History,
}

impl Walk<'_> {
    fn update(&mut self, index: usize, update: &RefUpdate) -> Result<RefOp, RepoError> {
        let Some(new) = update.command.new else {
            return Ok(RefOp::Delete);
        };
        let proposed_for = match &update.proposed_for {
            Some(branch) => self.repo.resolve(branch)?.value,
            None => None,
        };
        let known = [update.stored, proposed_for];
        if update.stored == Some(new) {
            return Ok(RefOp::Update);
        }
        let met_old = match self.peel(index, &new, &known)? {
            None => false,
            Some(Peeled::Commit(tip)) => self.walk(index, &tip, &known)?,
            Some(content @ (Peeled::Tree(_) | Peeled::Blob(_))) => {
                self.content(index, content)?;
                false
            }
        };
        let Some(old) = update.stored else {
            return Ok(RefOp::Create);
        };
        if update.target.as_bytes().starts_with(b"refs/tags/") {
            // A tag that moves is never a fast-forward: what it named is named no more.
            return Ok(RefOp::Force);
        }
        Ok(if met_old || self.is_forward(&old, &new)? {
            RefOp::Update
        } else {
            RefOp::Force
        })
    }

    fn is_forward(&mut self, old: &Oid, new: &Oid) -> Result<bool, RepoError> {
        for id in [old, new] {
            if self.kind(id)? != Kind::Commit {
                return Ok(false);
            }
        }
        let (old, new) = (self.graph.node(old), self.graph.node(new));
        self.graph.is_ancestor(old, new)
    }

    fn kind(&self, id: &Oid) -> Result<Kind, RepoError> {
        match self.reader.header(id)? {
            Some((kind, _)) => Ok(kind),
            None => Err(RepoError::Missing(*id)),
        }
    }

    /// Follows new tags to what they name. `None`: it leads to something known.
    fn peel(
        &mut self,
        index: usize,
        new: &Oid,
        known: &[Option<Oid>],
    ) -> Result<Option<Peeled>, RepoError> {
        let mut id = *new;
        for _ in 0..=TAG_DEPTH_MAX {
            if known.contains(&Some(id)) || self.trusted_ids.contains(&id) {
                return Ok(None);
            }
            match self.kind(&id)? {
                Kind::Commit => return Ok(Some(Peeled::Commit(id))),
                Kind::Tree => return Ok(Some(Peeled::Tree(id))),
                Kind::Blob => return Ok(Some(Peeled::Blob(id))),
                Kind::Tag => id = self.new_tag(index, &id)?,
            }
        }
        Err(too_many_tags(new))
    }

    /// Takes a tag among the new ones; what it names.
    fn new_tag(&mut self, index: usize, id: &Oid) -> Result<Oid, RepoError> {
        self.reached.insert(*id);
        if let Some(new) = self.history.tags.iter_mut().find(|new| new.tag.id == *id) {
            new.updates.push(index);
            return Ok(new.tag.target);
        }
        let mut tag = self.reader.tag(id, self.budget)?;
        let target = tag.target;
        let really = self.kind(&target)?;
        if really != tag.target_kind {
            tag.defects.push(Defect {
                rule: "object/malformed",
                what: format!(
                    "says that it tags a {}, which is a {really}",
                    tag.target_kind
                ),
                entry: None,
            });
        }
        self.history.tags.push(NewTag {
            tag,
            updates: vec![index],
        });
        Ok(target)
    }

    /// Finds the new commits of one update; whether the walk came by the old value.
    fn walk(
        &mut self,
        index: usize,
        tip: &Oid,
        known: &[Option<Oid>; 2],
    ) -> Result<bool, RepoError> {
        let node = self.graph.node(tip);
        let old = known[0].map(|old| self.graph.node(&old));
        let Walk {
            graph,
            trusted,
            trusted_ids,
            trusted_nodes,
            reader,
            budget,
            ..
        } = self;
        let fresh = graph.fresh(
            node,
            old,
            |id| known.contains(&Some(*id)) || trusted_ids.contains(id),
            |graph| {
                let mut tips = trusted_tips(graph, reader, budget, trusted, trusted_nodes)?;
                for id in known.iter().flatten() {
                    tips.extend(commit_of(graph, reader, budget, id)?);
                }
                Ok(tips)
            },
        )?;
        for node in fresh.commits {
            let updates = self.brought.entry(node).or_insert_with(|| {
                self.order.push(node);
                Vec::with_capacity(1)
            });
            updates.push(index);
        }
        Ok(fresh.met_old)
    }

    fn content(&mut self, index: usize, content: Peeled) -> Result<(), RepoError> {
        match content {
            Peeled::Commit(_) => {}
            Peeled::Blob(id) => {
                self.budget.take_changes(1)?;
                self.reached.insert(id);
                self.history.contents.push(NewContent {
                    update: index,
                    path: BString::default(),
                    tree: None,
                    entry: Entry {
                        mode: Mode::Blob,
                        id,
                    },
                });
            }
            Peeled::Tree(id) => {
                let mut met = Met::default();
                let found = changes::contents(&mut self.trees, self.budget, &id, &mut met)?;
                self.reached.extend(met.objects);
                let defects = met.defects.into_iter();
                self.history
                    .content_defects
                    .extend(defects.map(|(path, defect)| (index, path, defect)));
                self.history
                    .contents
                    .extend(found.into_iter().map(|(path, entry)| NewContent {
                        update: index,
                        path,
                        tree: Some(id),
                        entry,
                    }));
            }
        }
        Ok(())
    }

    /// Works out what each new commit changes.
    fn commits(&mut self, updates: &[RefUpdate]) -> Result<(), RepoError> {
        let mut order = std::mem::take(&mut self.order);
        if updates.len() > 1 {
            // What is new to a later update may be known to an earlier one, and its children come first.
            order = self.graph.in_order(&order)?;
        }
        self.history.commits.reserve(order.len());
        for node in order {
            let commit = self.graph.commit(node)?;
            if commit.parents.len() > PARENTS_MAX {
                return Err(RepoError::Corrupt {
                    id: commit.id,
                    why: format!("it has more than {PARENTS_MAX} parents"),
                });
            }
            let mut parents: Vec<Node> = Vec::with_capacity(commit.parents.len());
            for id in &commit.parents {
                let parent = self.graph.node(id);
                if !parents.contains(&parent) {
                    parents.push(parent);
                }
            }
            let mut met = Met::default();
            let changes = match parents.as_slice() {
                [] => {
                    changes::of_commit(&mut self.trees, self.budget, None, &commit.tree, &mut met)?
                }
                [parent] => {
                    let before = self.graph.tree(*parent)?;
                    changes::of_commit(
                        &mut self.trees,
                        self.budget,
                        Some(&before),
                        &commit.tree,
                        &mut met,
                    )?
                }
                parents => Merger {
                    reader: self.reader,
                    budget: self.budget,
                    hash: self.repo.hash_kind(),
                    trees: &mut self.trees,
                    graph: &mut self.graph,
                }
                .changes(parents, &commit.tree, &mut met)?,
            };
            let brought = self.brought.remove(&node).unwrap_or_default();
            let had_history = !self.trusted.is_empty()
                || brought.iter().any(|index| updates[*index].stored.is_some());
            if parents.is_empty() && had_history {
                self.history.new_roots.push(commit.id);
            }
            if self.repo.layout().incoming.is_some() {
                self.reached.insert(commit.id);
                self.reached.extend(met.objects);
            }
            self.history.commits.push(NewCommit {
                commit,
                updates: brought,
                changes,
                tree_defects: met.defects,
                joined: met.joined,
            });
        }
        Ok(())
    }

    /// The net effect of an update that is not a fast-forward.
    fn net(&mut self, index: usize, update: &RefUpdate) -> Result<(), RepoError> {
        let (Some(old), Some(new)) = (update.stored, update.command.new) else {
            return Ok(());
        };
        let mut node = |id: &Oid| commit_of(&mut self.graph, self.reader, self.budget, id);
        let (Some(old), Some(new)) = (node(&old)?, node(&new)?) else {
            // Content on either side: on the new one it was told whole.
            return Ok(());
        };
        // What the moved ref itself holds does not excuse losing it.
        let others: Vec<_> = self
            .trusted
            .iter()
            .filter(|(name, _)| *name != update.target)
            .cloned()
            .collect();
        let tips = trusted_tips(
            &mut self.graph,
            self.reader,
            self.budget,
            &others,
            &mut None,
        )?;
        let mut trusted = net::Trusted {
            bases: Vec::new(),
            tips: Vec::new(),
        };
        if !tips.is_empty() {
            for base in self.graph.merge_bases(new, &tips)? {
                trusted.bases.push(self.graph.tree(base)?);
            }
        }
        for tip in tips.iter().take(NET_TIPS_MAX) {
            trusted.tips.push(self.graph.tree(*tip)?);
        }
        let (old, new) = (self.graph.tree(old)?, self.graph.tree(new)?);
        let told = self
            .history
            .commits
            .iter()
            .filter(|commit| commit.updates.contains(&index))
            .flat_map(|commit| &commit.changes)
            .map(|change| (&change.path, change.new))
            .collect();
        let effect = net::effect(&mut self.trees, self.budget, old, new, &trusted, &told)?;
        self.history
            .net
            .extend(effect.into_iter().map(|change| (index, change)));
        Ok(())
    }

    /// What was sent, is not stored yet, and is reached by none of the new values. A thin pack is completed with
    /// objects that the store has; those do not count.
    fn unreferenced(&mut self) -> Result<(), RepoError> {
        for id in self.repo.incoming_objects(self.budget)? {
            if !self.reached.contains(&id) && !self.reader.is_stored(&id)? {
                let kind = self.reader.header(&id)?.map(|(kind, _)| kind);
                self.history.unreferenced.push((id, kind));
            }
        }
        Ok(())
    }
}

fn too_many_tags(id: &Oid) -> RepoError {
    RepoError::Corrupt {
        id: *id,
        why: format!("tags are nested more than {TAG_DEPTH_MAX} deep"),
    }
}

/// The commits of trusted refs.
fn trusted_tips(
    graph: &mut Graph<'_>,
    reader: &Reader<'_>,
    budget: &Budget,
    trusted: &[(RefName, Oid)],
    found: &mut Option<Vec<Node>>,
) -> Result<Vec<Node>, RepoError> {
    if let Some(found) = found {
        return Ok(found.clone());
    }
    let mut tips = Vec::with_capacity(trusted.len());
    for (_, id) in trusted {
        tips.extend(commit_of(graph, reader, budget, id)?);
    }
    *found = Some(tips.clone());
    Ok(tips)
}

/// The commit that an id leads to, tags followed.
fn commit_of(
    graph: &mut Graph<'_>,
    reader: &Reader<'_>,
    budget: &Budget,
    id: &Oid,
) -> Result<Option<Node>, RepoError> {
    let mut at = *id;
    for _ in 0..=TAG_DEPTH_MAX {
        match reader.header(&at)? {
            Some((Kind::Commit, _)) => return Ok(Some(graph.node(&at))),
            Some((Kind::Tag, _)) => at = reader.tag(&at, budget)?.target,
            Some((Kind::Tree | Kind::Blob, _)) => return Ok(None),
            None => return Err(RepoError::Missing(at)),
        }
    }
    Err(too_many_tags(id))
}

#[cfg(test)]
mod limits;
#[cfg(test)]
mod merges;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walks;
#[cfg(test)]
mod world;
