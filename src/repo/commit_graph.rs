//! What git keeps of stored commits in `objects/info`: their parents, trees and dates, without a look at each. Such a file is the
//! server's own, as the index of a pack is. Where there is none, where it is damaged or does not list a commit, the commit is read.

use std::path::Path;

use gix_commitgraph::{Graph, Position};

use crate::push::{HashKind, Oid};

/// The commit-graph of one object folder: one file, or a chain of them.
pub(super) struct CommitGraph(Graph);

/// What it knows of a commit.
pub(super) struct Listed {
    pub(super) parents: Vec<Oid>,
    pub(super) tree: Oid,
    /// Of the committer, in seconds since 1970; what lies before or after 34 bits comes out as another date.
    pub(super) date: i64,
}

impl CommitGraph {
    /// `None`: there is none that can be read.
    pub(super) fn open(objects: &Path, hash: HashKind) -> Option<CommitGraph> {
        Graph::from_info_dir(&objects.join("info"), hash)
            .ok()
            .map(CommitGraph)
    }

    pub(super) fn find(&self, id: &Oid) -> Option<Listed> {
        let commit = self.0.commit_by_id(id)?;
        let id_of = |parent: Position| self.0.id_at(parent).to_owned();
        let parents = commit.iter_parents().map(|parent| parent.ok().map(id_of));
        Some(Listed {
            parents: parents.collect::<Option<_>>()?,
            tree: commit.root_tree_id().to_owned(),
            date: i64::try_from(commit.committer_timestamp()).ok()?,
        })
    }
}
