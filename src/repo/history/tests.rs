use git2::ObjectType;

use super::world::*;
use super::*;
use crate::budget::{Bounds, Exhausted, Resource};
use crate::finding::PathOp;
use crate::repo::changes::Origin;

const DAY: i64 = 86_400;
const PLAIN: u32 = 0o100_644;

pub(super) fn told(changes: &[Change]) -> Vec<(String, Vec<PathOp>, Origin)> {
    changes
        .iter()
        .map(|change| (change.path.to_string(), change.ops(), change.origin))
        .collect()
}

#[test]
fn one_commit_on_a_branch() {
    let world = World::new();
    let old = world.commit(false, &[], &files(&[("a", "1"), ("b/c", "2")]), 1);
    let after = files(&[("a", "1"), ("b/c", "3"), ("d", "4")]);
    let new = world.commit(true, &[old], &after, 2);
    let history = world.history(&[update("refs/heads/x", Some(old), Some(new))], &[]);
    assert_eq!(ids(&history), [new]);
    assert_eq!(history.moves, [RefOp::Update]);
    assert_eq!(history.commits[0].updates, [0]);
    assert_eq!(
        told(&history.commits[0].changes),
        [
            ("b/c".into(), vec![PathOp::Modify], Origin::Commit),
            ("d".into(), vec![PathOp::Add], Origin::Commit),
        ]
    );
    assert!(history.unreferenced.is_empty());
    assert!(history.new_roots.is_empty());
    assert!(history.net.is_empty());
}

#[test]
fn push_delete_push_again_finds_commits_that_are_stored_already() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let parked = world.commit(false, &[main], &files(&[("a", "bad")]), 2);
    let on_top = world.commit(false, &[parked], &files(&[("a", "1")]), 3);
    let history = world.history(&[update("refs/heads/y", None, Some(on_top))], &[main]);
    assert_eq!(ids(&history), [parked, on_top]);
    assert_eq!(history.moves, [RefOp::Create]);
}

#[test]
fn commits_parked_on_a_lax_ref_are_new_to_a_strict_one() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 10 * DAY);
    let parked = world.commit(false, &[main], &files(&[("a", "bad")]), DAY);
    world.set_ref("refs/heads/lax", parked);
    let strict = update("refs/heads/main", Some(main), Some(parked));
    assert_eq!(ids(&world.history(&[strict], &[main])), [parked]);
    // A child that hides it, backdated or postdated: still both.
    for date in [0, 11 * DAY, 4_000_000_000] {
        let child = world.commit(true, &[parked], &files(&[("a", "1")]), date);
        let strict = update("refs/heads/main", Some(main), Some(child));
        assert_eq!(ids(&world.history(&[strict], &[main])), [parked, child]);
    }
    // To the ref that holds it, it is not new.
    let child = world.commit(true, &[parked], &files(&[("a", "2")]), 12 * DAY);
    let lax = update("refs/heads/lax", Some(parked), Some(child));
    assert_eq!(ids(&world.history(&[lax], &[main])), [child]);
}

#[test]
fn a_commit_new_to_two_refs_is_judged_once_and_after_its_parents() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let lax = world.commit(false, &[main], &files(&[("a", "2")]), 2);
    let top = world.commit(true, &[lax], &files(&[("a", "3")]), 3);
    let updates = [
        update("refs/heads/lax", Some(lax), Some(top)),
        update("refs/heads/other", None, Some(top)),
        update("refs/heads/gone", Some(lax), None),
    ];
    let history = world.history(&updates, &[main]);
    assert_eq!(ids(&history), [lax, top]);
    assert_eq!(history.commits[0].updates, [1]);
    assert_eq!(history.commits[1].updates, [0, 1]);
    assert_eq!(history.moves, [RefOp::Update, RefOp::Create, RefOp::Delete]);
}

#[test]
fn a_branch_from_the_middle_of_trusted_history_brings_its_own_commits_only() {
    let world = World::new();
    let mut chain = Vec::new();
    for at in 0..50 {
        let parents: Vec<Oid> = chain.last().copied().into_iter().collect();
        let content = at.to_string();
        chain.push(world.commit(false, &parents, &files(&[("a", &content)]), at * DAY));
    }
    let new = world.commit(true, &[chain[20]], &files(&[("b", "1")]), 60 * DAY);
    let create = update("refs/heads/x", None, Some(new));
    assert_eq!(ids(&world.history(&[create], &[chain[49]])), [new]);
    // The trusted ref may be an annotated tag.
    let tag = world.tag(false, chain[49], "commit", "v1");
    let create = update("refs/heads/x", None, Some(new));
    assert_eq!(ids(&world.history(&[create], &[tag])), [new]);
    // The clock of a known commit may be wrong.
    let late = world.commit(false, &[chain[49]], &files(&[("c", "1")]), 4_000_000_000);
    let tip = world.commit(false, &[late], &files(&[("c", "2")]), 70 * DAY);
    let new = world.commit(true, &[late], &files(&[("b", "1")]), 60 * DAY);
    let create = update("refs/heads/x", None, Some(new));
    assert_eq!(ids(&world.history(&[create], &[tip])), [new]);
}

#[test]
fn a_proposal_is_judged_against_its_target_branch() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let next = world.commit(false, &[main], &files(&[("a", "2")]), 2);
    world.set_ref("refs/heads/next", next);
    let new = world.commit(true, &[next], &files(&[("a", "3")]), 3);
    let mut proposal = update("refs/for/next/topic", None, Some(new));
    let history = world.history(std::slice::from_ref(&proposal), &[main]);
    assert_eq!(ids(&history), [next, new]);
    proposal.proposed_for = Some(name("refs/heads/next"));
    assert_eq!(ids(&world.history(&[proposal], &[main])), [new]);
}

#[test]
fn moves_are_told_apart_whatever_the_dates() {
    let world = World::new();
    let base = world.commit(false, &[], &files(&[("a", "1")]), 100);
    let old = world.commit(false, &[base], &files(&[("a", "2")]), 4_000_000_000);
    let main = world.commit(false, &[old], &files(&[("a", "3")]), 1);
    let aside = world.commit(true, &[base], &files(&[("a", "4")]), 5);
    let op = |stored, new| {
        let update = update("refs/heads/x", Some(stored), Some(new));
        world.history(&[update], &[main]).moves[0]
    };
    assert_eq!(op(old, main), RefOp::Update);
    assert_eq!(op(old, old), RefOp::Update);
    assert_eq!(op(base, main), RefOp::Update);
    assert_eq!(op(main, base), RefOp::Force);
    assert_eq!(op(old, aside), RefOp::Force);
    assert_eq!(op(base, aside), RefOp::Update);
}

#[test]
fn tags_are_peeled_and_told() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let new = world.commit(true, &[main], &files(&[("a", "2")]), 2);
    let inner = world.tag(true, new, "commit", "inner");
    let outer = world.tag(true, inner, "tag", "outer");
    let create = update("refs/tags/outer", None, Some(outer));
    let history = world.history(&[create], &[main]);
    let tags: Vec<Oid> = history.tags.iter().map(|new| new.tag.id).collect();
    assert_eq!(tags, [outer, inner]);
    assert_eq!(ids(&history), [new]);
    assert!(history.unreferenced.is_empty());
    // A tag that moves forward is forced all the same, and brings the new commit again.
    let moved = update("refs/tags/light", Some(main), Some(new));
    assert_eq!(world.history(&[moved], &[main]).moves, [RefOp::Force]);
    // Tags without end.
    let mut tag = outer;
    for at in 0..20 {
        tag = world.tag(true, tag, "tag", &format!("t{at}"));
    }
    let create = update("refs/tags/outer", None, Some(tag));
    let error = world.try_history(&[create], &[main]).unwrap_err();
    assert!(matches!(error, RepoError::Corrupt { .. }), "{error}");
    // A tag that lies about what it names.
    let liar = world.tag(true, new, "tree", "liar");
    let create = update("refs/tags/liar", None, Some(liar));
    let history = world.history(&[create], &[main]);
    assert_eq!(history.tags[0].tag.defects.len(), 1);
    assert_eq!(ids(&history), [new]);
}

#[test]
fn refs_to_trees_and_blobs_are_told_as_content() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let blob = world.blob(true, b"content");
    let tree = world.tree(true, &files(&[("x/y", "1"), ("x/z", "2"), ("w", "1")]));
    let tag = world.tag(true, tree, "tree", "t");
    let updates = [
        update("refs/tags/blob", None, Some(blob)),
        update("refs/tags/tree", None, Some(tag)),
    ];
    let history = world.history(&updates, &[main]);
    let found: Vec<_> = history
        .contents
        .iter()
        .map(|content| (content.update, content.path.to_string()))
        .collect();
    let expected = [(0, ""), (1, "w"), (1, "x/y"), (1, "x/z")];
    assert_eq!(found, expected.map(|(at, path)| (at, path.to_owned())));
    assert!(history.unreferenced.is_empty());
    assert!(history.commits.is_empty());
}

#[test]
fn objects_that_nothing_reaches_are_told() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let new = world.commit(true, &[main], &files(&[("a", "2")]), 2);
    // What the store has is a thin pack's base, not cargo.
    world.object_twice(ObjectType::Blob, b"1");
    let stray = world.blob(true, b"stray");
    let side = world.commit(true, &[main], &files(&[("a", "2")]), 3);
    let history = world.history(&[update("refs/heads/x", Some(main), Some(new))], &[main]);
    let mut found = history.unreferenced;
    found.sort();
    let mut expected = vec![(stray, Some(Kind::Blob)), (side, Some(Kind::Commit))];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn what_is_sent_again_is_no_newer_for_it() {
    let world = World::new();
    let base = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let main = world.commit(false, &[base], &files(&[("a", "2")]), 2);
    let (_, text) = world.git(&["cat-file", "commit", &base.to_string()]);
    assert_eq!(world.object_twice(ObjectType::Commit, &text), base);
    let new = world.commit(true, &[base], &files(&[("a", "3")]), 3);
    let create = update("refs/heads/x", None, Some(new));
    assert_eq!(ids(&world.history(&[create], &[main])), [new]);
    // A tag that a trusted ref or the ref itself holds is not new either.
    let tag = world.tag(false, main, "commit", "v1");
    let create = update("refs/tags/copy", None, Some(tag));
    let history = world.history(&[create], &[tag]);
    assert!(history.tags.is_empty() && history.commits.is_empty());
}

#[test]
fn what_a_deleted_ref_held_is_contained_or_not() {
    let world = World::new();
    let old = world.commit(false, &[], &files(&[("a", "1")]), 5);
    let new = world.commit(true, &[old], &files(&[("a", "2")]), 1);
    let aside = world.commit(true, &[], &files(&[("a", "3")]), 2);
    let blob = world.blob(false, b"1");
    let gone = Oid::from_hex(b"1111111111111111111111111111111111111111").unwrap();
    let repo = world.repo();
    let budget = Budget::new(Bounds::default());
    let contains = |old, new| contains(&repo, old, new, &budget).unwrap();
    assert!(contains(&old, &new) && contains(&new, &new));
    for other in [&new, &aside, &blob, &gone] {
        assert!(!contains(other, &old), "{other}");
    }
    assert!(contains(&gone, &gone) && !contains(&old, &blob));
}

#[test]
fn new_roots_are_told_where_history_was_before() {
    let world = World::new();
    let first = world.commit(true, &[], &files(&[("a", "1")]), 1);
    let create = update("refs/heads/main", None, Some(first));
    assert!(world.history(&[create], &[]).new_roots.is_empty());
    let main = world.commit(false, &[], &files(&[("b", "1")]), 1);
    let create = update("refs/heads/x", None, Some(first));
    assert_eq!(world.history(&[create], &[main]).new_roots, [first]);
    let both = files(&[("a", "1"), ("b", "1")]);
    let merge = world.commit(true, &[main, first], &both, 2);
    let history = world.history(&[update("refs/heads/x", Some(main), Some(merge))], &[]);
    assert_eq!(history.new_roots, [first]);
    assert_eq!(ids(&history), [first, merge]);
    assert_eq!(told(&history.commits[1].changes), []);
}

#[test]
fn modes_links_and_kinds_are_operations_of_their_own() {
    let world = World::new();
    let link = "1111111111111111111111111111111111111111";
    let mut before = files(&[("file", "1"), ("run", "2"), ("link", "t"), ("gone", "3")]);
    before.insert("dir".into(), (0o100_644, b"d".to_vec()));
    before.insert("sub".into(), (0o160_000, link.into()));
    before.insert("link2".into(), (0o120_000, b"t".to_vec()));
    let mut after = files(&[("file", "1"), ("dir/in", "d"), ("sub", link)]);
    after.insert("run".into(), (0o100_755, b"2".to_vec()));
    after.insert("link".into(), (0o120_000, b"t".to_vec()));
    after.insert("sub2".into(), (0o160_000, link.into()));
    let main = world.commit(false, &[], &before, 1);
    let new = world.commit(true, &[main], &after, 2);
    let history = world.history(&[update("refs/heads/x", Some(main), Some(new))], &[]);
    let found: Vec<_> = told(&history.commits[0].changes)
        .into_iter()
        .map(|(path, ops, _)| (path, ops))
        .collect();
    assert_eq!(
        found,
        [
            ("dir".into(), vec![PathOp::Delete]),
            ("dir/in".into(), vec![PathOp::Add]),
            ("gone".into(), vec![PathOp::Delete]),
            ("link".into(), vec![PathOp::Modify, PathOp::Symlink]),
            ("link2".into(), vec![PathOp::Delete]),
            ("run".into(), vec![PathOp::Mode]),
            ("sub".into(), vec![PathOp::Modify, PathOp::Submodule]),
            ("sub2".to_string(), vec![PathOp::Add, PathOp::Submodule]),
        ]
    );
    let moved = &history.commits[0].changes[1].moved_from;
    assert_eq!(moved.as_ref().unwrap(), "dir");
    assert!(history.unreferenced.is_empty());
}

#[test]
fn a_tree_out_of_order_or_with_twins_hides_nothing() {
    let world = World::new();
    let good = world.blob(false, b"good");
    let bad = world.blob(true, b"bad");
    let old = world.raw_tree(false, &[(0o100_644, b"a", good), (0o100_644, b"z", good)]);
    let main = world.commit_tree(false, &[], old, 1);
    let twins: &[(u32, &[u8], Oid)] = &[
        (0o100_644, b"z", good),
        (0o100_644, b"b", bad),
        (0o100_644, b"a", good),
        (0o100_644, b"a", bad),
    ];
    let tree = world.raw_tree(true, twins);
    let new = world.commit_tree(true, &[main], tree, 2);
    let history = world.history(&[update("refs/heads/x", Some(main), Some(new))], &[]);
    let commit = &history.commits[0];
    let paths: Vec<_> = commit.changes.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["a", "b"]);
    assert!(commit.changes.iter().all(|c| c.new.unwrap().id == bad));
    assert!(!commit.tree_defects.is_empty());
    // What both trees begin with is passed over only where both are in order.
    let plain = |list: &[(&[u8], Oid)]| {
        let lines: Vec<_> = list.iter().map(|(name, id)| (PLAIN, *name, *id)).collect();
        world.raw_tree(false, &lines)
    };
    let told_between = |old: &[(&[u8], Oid)], new: &[(&[u8], Oid)]| {
        let main = world.commit_tree(false, &[], plain(old), 1);
        let new = world.commit_tree(true, &[main], plain(new), 2);
        let history = world.history(&[update("refs/heads/x", Some(main), Some(new))], &[]);
        let commit = &history.commits[0];
        let defects = commit.tree_defects.iter().map(|(_, it)| it.what.clone());
        (told(&commit.changes), defects.collect::<String>())
    };
    let sorted: &[(&[u8], Oid)] = &[(b"b", good), (b"c", good)];
    let mixed: &[(&[u8], Oid)] = &[(b"b", good), (b"c", good), (b"a", bad)];
    let a = |op| vec![("a".to_owned(), vec![op], Origin::Commit)];
    let (changes, defects) = told_between(sorted, mixed);
    assert_eq!(changes, a(PathOp::Add));
    assert!(defects.contains("not sorted"), "{defects}");
    assert_eq!(told_between(mixed, sorted).0, a(PathOp::Delete));
    let (changes, defects) = told_between(&[(b"a", good)], &[(b"a", good), (b"a", bad)]);
    assert_eq!(changes, a(PathOp::Add));
    assert!(defects.contains("same name twice"), "{defects}");
    // Between entries that both have.
    let between = [(&b"a"[..], good), (b"b/b", good), (b"z", good)];
    let (_, defects) = told_between(&[(b"a", good), (b"z", good)], &between);
    assert!(!defects.is_empty());
}

#[test]
fn deep_and_wide_trees_reach_a_bound() {
    let world = World::new();
    let leaf = world.raw_tree(true, &[(0o100_644, b"f", world.blob(true, b"x"))]);
    let mut id = leaf;
    for _ in 0..5_000 {
        id = world.raw_tree(true, &[(0o40_000, b"d", id)]);
    }
    let deep = world.commit_tree(true, &[], id, 1);
    let exhausted = |tip, bounds| {
        let create = update("refs/heads/x", None, Some(tip));
        match world.history_of(&[create], &[], bounds) {
            Err(RepoError::Exhausted(Exhausted { resource, .. })) => resource,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(exhausted(deep, Bounds::default()), Resource::TreeDepth);
    assert_eq!(exhausted(id, Bounds::default()), Resource::TreeDepth);
    // A merge walks by itself.
    let base = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let side = world.commit(true, &[base], &files(&[("a", "2")]), 1);
    let merge = world.commit_tree(true, &[side, base], id, 2);
    assert_eq!(exhausted(merge, Bounds::default()), Resource::TreeDepth);
    // Ten folders in each of ten folders in each: few objects, no end of paths.
    let mut id = leaf;
    for _ in 0..12 {
        let names: Vec<[u8; 1]> = (b'a'..=b'j').map(|letter| [letter]).collect();
        let lines: Vec<(u32, &[u8], Oid)> = names
            .iter()
            .map(|name| (0o40_000, name.as_slice(), id))
            .collect();
        id = world.raw_tree(true, &lines);
    }
    let wide = world.commit_tree(true, &[], id, 1);
    let few = Bounds {
        changes: 1_000,
        ..Bounds::default()
    };
    assert_eq!(exhausted(wide, few), Resource::Changes);
    let commits = Bounds {
        commits: 1,
        ..Bounds::default()
    };
    assert_eq!(exhausted(side, commits), Resource::Commits);
}

#[test]
fn missing_objects_refuse() {
    let world = World::new();
    let nowhere = Oid::from_hex(b"1111111111111111111111111111111111111111").unwrap();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let tree = world.tree(true, &files(&[("a", "2")]));
    let orphan = world.commit_tree(true, &[nowhere], tree, 2);
    let hollow = world.commit_tree(true, &[main], nowhere, 2);
    for tip in [nowhere, orphan, hollow] {
        let create = update("refs/heads/x", None, Some(tip));
        let error = world.try_history(&[create], &[main]).unwrap_err();
        assert!(
            matches!(error, RepoError::Missing(id) if id == nowhere),
            "{error}"
        );
    }
}

#[test]
fn a_shallow_store_is_walked_to_its_edge() {
    let world = World::new();
    let nowhere = Oid::from_hex(b"1111111111111111111111111111111111111111").unwrap();
    let tree = world.tree(false, &files(&[("a", "1")]));
    let edge = world.commit_tree(false, &[nowhere], tree, 1);
    let main = world.commit(false, &[edge], &files(&[("a", "2")]), 2);
    let aside = world.commit(false, &[edge], &files(&[("a", "3")]), 3);
    let new = world.commit(true, &[aside], &files(&[("a", "4")]), 4);
    let create = || update("refs/heads/x", None, Some(new));
    std::fs::write(world.server().join("shallow"), format!("{edge}\n")).unwrap();
    assert_eq!(ids(&world.history(&[create()], &[main])), [aside, new]);
    // What is cut off is what the repository itself says; anything else that is missing is damage, though it is known.
    let list = world.server().join("shallow");
    for other in [String::new(), format!("{main}\n"), format!("{nowhere}\n")] {
        std::fs::write(&list, other).unwrap();
        let error = world.try_history(&[create()], &[main]).unwrap_err();
        assert!(
            matches!(error, RepoError::Missing(id) if id == nowhere),
            "{error}"
        );
    }
    std::fs::remove_file(&list).unwrap();
    std::fs::create_dir(&list).unwrap();
    let error = world.try_history(&[create()], &[main]).unwrap_err();
    assert!(matches!(error, RepoError::Open(_)), "{error}");
    std::fs::remove_dir(&list).unwrap();
    std::fs::write(&list, format!("{edge}\n")).unwrap();
    // Nothing trusted: the edge itself would have to be judged, and cannot.
    let error = world.try_history(&[create()], &[]).unwrap_err();
    assert!(
        matches!(error, RepoError::Missing(id) if id == nowhere),
        "{error}"
    );
}

#[test]
fn a_rewind_of_a_trusted_ref_shows_what_is_lost_and_a_rebase_does_not() {
    let world = World::new();
    let base = world.commit(false, &[], &files(&[("ci", "1"), ("a", "1")]), 1);
    let main = world.commit(false, &[base], &files(&[("ci", "2"), ("a", "1")]), 2);
    let trusted = [(name("refs/heads/main"), main)];
    let rewind = update("refs/heads/main", Some(main), Some(base));
    let history = world
        .history_of(&[rewind], &trusted, Bounds::default())
        .unwrap();
    assert_eq!(history.moves, [RefOp::Force]);
    assert!(history.commits.is_empty());
    let net: Vec<Change> = history.net.into_iter().map(|(_, change)| change).collect();
    assert_eq!(
        told(&net),
        [("ci".into(), vec![PathOp::Modify], Origin::Net)]
    );
    // A branch of its own, rebased from base onto main.
    let own = files(&[("ci", "1"), ("a", "2"), ("b", "1")]);
    let before = world.commit(false, &[base], &own, 3);
    let after = world.commit(true, &[main], &files(&[("ci", "2"), ("a", "2")]), 4);
    let rebase = update("refs/heads/x", Some(before), Some(after));
    let history = world
        .history_of(&[rebase], &trusted, Bounds::default())
        .unwrap();
    assert_eq!(history.moves, [RefOp::Force]);
    assert_eq!(ids(&history), [after]);
    // `b` was the branch's own; main never had it.
    assert!(history.net.is_empty(), "{:?}", history.net);
}

#[test]
fn merges_are_compared_with_the_automatic_merge() {
    let world = World::new();
    let list = |ci: &str, a: &str| files(&[("ci/x", ci), ("a", a), ("b", "1")]);
    let base = world.commit(false, &[], &list("1", "1\n2\n3\n"), 1);
    let main = world.commit(false, &[base], &list("2", "1\n2\n3\n4\n"), 2);
    let own = world.commit(false, &[base], &list("1", "0\n1\n2\n3\n"), 3);
    let merged = "0\n1\n2\n3\n4\n";
    let judged = |parents: &[Oid], files: Files| {
        let merge = world.commit(true, parents, &files, 4);
        let update = update("refs/heads/x", Some(own), Some(merge));
        let history = world.history(&[update], &[main]);
        assert_eq!(ids(&history), [merge]);
        told(&history.commits[0].changes)
    };
    let auto = || ("a".to_owned(), vec![PathOp::Modify], Origin::AutoMerge);
    // As git merges it: main's ci is main's doing; the merged lines are new content all the same.
    assert_eq!(judged(&[own, main], list("2", merged)), [auto()]);
    // Evil: what neither side has.
    let mut evil = list("2", merged);
    evil.insert("ci/y".into(), (0o100_644, b"evil".to_vec()));
    assert_eq!(
        judged(&[own, main], evil),
        [auto(), ("ci/y".into(), vec![PathOp::Add], Origin::Merge)]
    );
    // Main's ci thrown away, whichever parent comes first.
    for parents in [[own, main], [main, own]] {
        assert_eq!(
            judged(&parents, list("1", merged)),
            [
                auto(),
                ("ci/x".into(), vec![PathOp::Modify], Origin::Discards)
            ]
        );
    }
    // A conflict has no automatic answer: whatever stands there was chosen.
    let clash = world.commit(false, &[base], &list("3", "1\n2\n3\n"), 3);
    for (ci, origin) in [
        ("2", Origin::Discards),
        ("3", Origin::Discards),
        ("4", Origin::Merge),
    ] {
        let merge = world.commit(true, &[clash, main], &list(ci, "1\n2\n3\n4\n"), 5);
        let update = update("refs/heads/y", Some(clash), Some(merge));
        let history = world.history(&[update], &[main]);
        assert_eq!(
            told(&history.commits[0].changes),
            [("ci/x".into(), vec![PathOp::Modify], origin)]
        );
    }
    // Three parents at once.
    let third = world.commit(
        false,
        &[base],
        &files(&[("ci/x", "1"), ("a", "1\n2\n3\n"), ("b", "2")]),
        3,
    );
    let mut all = list("2", merged);
    all.insert("b".into(), (0o100_644, b"2".to_vec()));
    let merge = world.commit(true, &[own, main, third], &all, 6);
    let octopus = update("refs/heads/x", Some(own), Some(merge));
    let history = world.history(&[octopus], &[main, third]);
    assert_eq!(told(&history.commits[0].changes), [auto()]);
}

#[test]
fn longer_ids_make_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let git = |args: &[&str], input: &str| {
        let stdin = dir.path().join("stdin");
        std::fs::write(&stdin, input).unwrap();
        let output = std::process::Command::new("git")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(dir.path())
            .args(args)
            .stdin(std::fs::File::open(&stdin).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q", "--bare", "--object-format=sha256", "."], "");
    let commit = |mark: usize, from: &str, change: &str| {
        format!(
            "commit refs/heads/c{mark}\nmark :{mark}\ncommitter C <c@example.com> 1700000{mark:03} +0000\n\
             data 1\nx\n{from}{change}\n"
        )
    };
    let stream = commit(
        1,
        "",
        "M 100644 inline d/a\ndata 2\n1\n\nM 100644 inline b\ndata 2\n1\n",
    ) + &commit(2, "from :1\n", "M 100644 inline d/a\ndata 2\n2\n")
        + &commit(3, "from :1\n", "M 100644 inline b\ndata 2\n2\n")
        + &commit(4, "from :2\nmerge :3\n", "M 100644 inline b\ndata 2\n2\n");
    git(&["fast-import", "--quiet"], &stream);
    let id = |at: usize| {
        let id = git(&["rev-parse", &format!("refs/heads/c{at}")], "");
        assert_eq!(id.len(), 64);
        Oid::from_hex(id.as_bytes()).unwrap()
    };
    let repo = Repo::open(crate::repo::Layout::discover(dir.path()).unwrap()).unwrap();
    let update = update("refs/heads/x", Some(id(2)), Some(id(4)));
    let trusted = [(name("refs/heads/c1"), id(1))];
    let budget = Budget::new(Bounds::default());
    let history = History::of(&repo, &[update], &trusted, &budget).unwrap();
    assert_eq!(ids(&history), [id(3), id(4)]);
    assert_eq!(history.moves, [RefOp::Update]);
    assert_eq!(told(&history.commits[0].changes).len(), 1);
    assert_eq!(told(&history.commits[1].changes), []);
}
