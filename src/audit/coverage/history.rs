//! The commits of a repository, as far as the comparison asks for them.

use crate::audit::commits::{Commits, Node, TagRow};
use crate::audit::findings::Teller;
use crate::audit::record;
use crate::push::Oid;

/// Tags of tags: no deeper than this.
const TAG_DEPTH_MAX: usize = 16;

/// The commits of the repository, numbered, parents before children.
pub(in crate::audit) trait History {
    /// How many there are.
    fn count(&self) -> usize;
    /// The commit that a value leads to, tags followed. `None`: to none, or it is not there any more.
    fn commit(&self, value: &Oid) -> Option<Node>;
    /// Its parents that are there.
    fn parents(&self, node: Node) -> &[Node];
    /// When a value was made, by the latest clock in it: the committer's, and the taggers' of the tags on the way.
    fn made(&self, value: &Oid) -> Option<i64>;
    /// When a commit was made, by the committer's clock.
    fn clock(&self, node: Node) -> i64;
    /// A commit for people.
    fn brief(&self, node: Node) -> record::Commit;
}

/// The commits that an audit read.
pub(in crate::audit) struct Read<'a> {
    pub(in crate::audit) commits: &'a Commits,
    pub(in crate::audit) teller: &'a Teller<'a>,
}

impl Read<'_> {
    /// The tags from a value on, and what they end at.
    fn tags(&self, value: &Oid) -> (Vec<&TagRow>, Oid) {
        let (mut tags, mut at) = (Vec::new(), *value);
        while let Some(tag) = self
            .commits
            .tags
            .get(&at)
            .filter(|_| tags.len() < TAG_DEPTH_MAX)
        {
            tags.push(tag);
            at = tag.target;
        }
        (tags, at)
    }
}

impl History for Read<'_> {
    fn count(&self) -> usize {
        self.commits.rows.len()
    }

    fn commit(&self, value: &Oid) -> Option<Node> {
        self.commits.nodes.get(&self.tags(value).1).copied()
    }

    fn parents(&self, node: Node) -> &[Node] {
        &self.commits.rows[node as usize].parents
    }

    fn made(&self, value: &Oid) -> Option<i64> {
        let commit = self
            .commit(value)
            .map(|node| self.commits.rows[node as usize].time);
        let tags = self.tags(value).0.into_iter().map(|tag| tag.time);
        tags.chain(commit).max()
    }

    fn clock(&self, node: Node) -> i64 {
        self.commits.rows[node as usize].time
    }

    fn brief(&self, node: Node) -> record::Commit {
        self.teller.brief(node)
    }
}
