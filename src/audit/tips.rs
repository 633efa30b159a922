//! The refs of a repository, and what they lead to.

use std::sync::OnceLock;

use bstr::BString;

use super::commits::{Commits, Node};
use super::record;
use crate::budget::Budget;
use crate::policy::Pattern;
use crate::push::Oid;
use crate::repo::{Kind, Reader, Repo};

/// Tags of tags of tags: no deeper than this.
const TAG_DEPTH_MAX: usize = 16;

/// A ref, and what it leads to, tags followed.
pub(super) struct Tip {
    pub(super) name: BString,
    pub(super) leads_to: LeadsTo,
    /// The annotated tags on the way.
    pub(super) tags: Vec<Oid>,
    shown: OnceLock<String>,
}

impl Tip {
    /// Its name, fit to be shown.
    pub(super) fn shown(&self) -> &str {
        self.shown.get_or_init(|| super::shown(&self.name))
    }
}

/// What stands at the end of a ref.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LeadsTo {
    Commit(Node),
    Tree(Oid),
    Blob(Oid),
    Nothing,
}

/// All refs below `refs/` that `wanted` matches (all, when it is empty), and each `HEAD` that names a commit itself, also those
/// of linked worktrees.
pub(super) fn of(
    repo: &Repo,
    reader: &Reader<'_>,
    commits: &Commits,
    wanted: &[Pattern],
    budget: &Budget,
    unread: &mut Vec<record::Unread>,
) -> Vec<Tip> {
    let mut found: Vec<(BString, Oid)> = Vec::new();
    let (refs, broken) = repo.all_refs();
    found.extend((refs.into_iter()).map(|(name, id)| (name.as_bytes().into(), id)));
    unread.extend(broken.into_iter().map(|error| record::Unread {
        what: "a ref".into(),
        why: error.to_string(),
        objects: 0,
    }));
    let (heads, broken) = repo.detached_heads();
    found.extend(heads.into_iter().map(|(name, id)| (name.into(), id)));
    unread.extend(broken.into_iter().map(|error| record::Unread {
        what: "HEAD".into(),
        why: error.to_string(),
        objects: 0,
    }));
    found.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one.matches(name)));
    let mut tips = Vec::with_capacity(found.len());
    for (name, id) in found {
        let (leads_to, tags, why) = follow(reader, commits, id, budget);
        if let Some(why) = why {
            unread.push(record::Unread {
                what: format!("ref {}", super::shown(&name)),
                why,
                objects: 0,
            });
        }
        tips.push(Tip {
            name,
            leads_to,
            tags,
            shown: OnceLock::new(),
        });
    }
    tips
}

fn follow(
    reader: &Reader<'_>,
    commits: &Commits,
    mut id: Oid,
    budget: &Budget,
) -> (LeadsTo, Vec<Oid>, Option<String>) {
    let mut tags = Vec::new();
    for _ in 0..=TAG_DEPTH_MAX {
        if let Some(node) = commits.nodes.get(&id) {
            return (LeadsTo::Commit(*node), tags, None);
        }
        if let Some(tag) = commits.tags.get(&id) {
            tags.push(id);
            id = tag.target;
            continue;
        }
        match reader.header(&id) {
            Ok(Some((Kind::Tree, _))) => return (LeadsTo::Tree(id), tags, None),
            Ok(Some((Kind::Blob, _))) => return (LeadsTo::Blob(id), tags, None),
            Ok(Some((Kind::Tag, _))) => match reader.tag(&id, budget) {
                Ok(tag) => {
                    tags.push(id);
                    id = tag.target;
                }
                Err(error) => return (LeadsTo::Nothing, tags, Some(error.to_string())),
            },
            Ok(Some((Kind::Commit, _))) => {
                let why = format!("commit {id} could not be read");
                return (LeadsTo::Nothing, tags, Some(why));
            }
            Ok(None) => {
                let why = format!("object {id} is missing");
                return (LeadsTo::Nothing, tags, Some(why));
            }
            Err(error) => return (LeadsTo::Nothing, tags, Some(error.to_string())),
        }
    }
    let why = format!("tags are nested more than {TAG_DEPTH_MAX} deep");
    (LeadsTo::Nothing, tags, Some(why))
}
