//! Bounds, at the last value that is within and the first that is not.

use super::world::*;
use super::*;
use crate::budget::{Bounds, Exhausted, Resource};

fn of(world: &World, tip: Oid, trusted: &[Oid], bounds: Bounds) -> Result<History, RepoError> {
    let trusted: Vec<_> = trusted
        .iter()
        .map(|id| (name("refs/heads/main"), *id))
        .collect();
    let create = update("refs/heads/x", None, Some(tip));
    world.history_of(&[create], &trusted, bounds)
}

#[test]
fn folders_are_entered_as_deep_as_allowed() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let side = world.commit(true, &[], &files(&[("b", "1")]), 1);
    let deep = world.tree(true, &files(&[("a/b/c/d", "2")]));
    for parents in [&[][..], &[main], &[main, side]] {
        let tip = world.commit_tree(true, parents, deep, 2);
        let within = |tree_depth| {
            let bounds = Bounds {
                tree_depth,
                ..Bounds::default()
            };
            of(&world, tip, &[main], bounds)
        };
        assert!(within(3).is_ok());
        assert!(matches!(
            within(2),
            Err(RepoError::Exhausted(Exhausted {
                resource: Resource::TreeDepth,
                ..
            }))
        ));
    }
}

#[test]
fn tags_of_tags_are_followed_as_far_as_allowed() {
    let world = World::new();
    let mut tip = world.commit(true, &[], &files(&[("a", "1")]), 1);
    let mut kind = "commit";
    for count in 1..=TAG_DEPTH_MAX + 1 {
        tip = world.tag(true, tip, kind, &format!("v{count}"));
        kind = "tag";
        let create = update("refs/tags/v", None, Some(tip));
        let history = world.try_history(&[create], &[]);
        if count <= TAG_DEPTH_MAX {
            let history = history.unwrap();
            assert_eq!((history.tags.len(), history.commits.len()), (count, 1));
        } else {
            history.unwrap_err();
        }
    }
}
