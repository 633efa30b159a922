//! Trees beside others that they resemble: what is passed over, and that nothing else is.

use super::*;
use crate::budget::Bounds;
use crate::repo::{Layout, Repo};

const FILE: &str = "100644";
const FOLDER: &str = "40000";

fn some_id() -> Oid {
    Oid::from_hex(b"1234567890123456789012345678901234567890").unwrap()
}

/// The bytes of a tree. The content of an entry is the id made of one digit.
fn raw(entries: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (mode, name, digit) in entries {
        data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let id = Oid::from_hex(digit.repeat(40).as_bytes()).unwrap();
        data.extend_from_slice(id.as_slice());
    }
    data
}

fn like(entries: &[(&str, &str, &str)], like: Option<&Tree>) -> Tree {
    Tree::parse(some_id(), &raw(entries), HashKind::Sha1, like).unwrap()
}

fn told(tree: &Tree) -> Vec<(String, bool, Entry)> {
    (0..tree.len())
        .map(|at| {
            let key = tree.key(at);
            let name = String::from_utf8(key.name.to_vec()).unwrap();
            (name, key.folder, tree.entry(at))
        })
        .collect()
}

/// Asks a cache of trees over a repository that holds nothing.
fn with_trees<T>(ask: impl FnOnce(&mut Trees<'_>) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    git2::Repository::init_bare(dir.path()).unwrap();
    let repo = Repo::open(Layout::discover(dir.path()).unwrap()).unwrap();
    let (reader, budget) = (repo.reader(), Budget::new(Bounds::default()));
    ask(&mut Trees::new(&reader, &budget, HashKind::Sha1))
}

#[test]
fn the_order_of_git_is_known_as_such() {
    let sorted = [
        (FILE, "a", "1"),
        (FILE, "a-b", "1"),
        (FILE, "a.b", "1"),
        (FOLDER, "a", "1"),
        (FILE, "a0", "1"),
        (FOLDER, "b", "1"),
        (FILE, "b0", "1"),
    ];
    assert!(like(&sorted, None).sorted);
    for at in 1..sorted.len() {
        let mut mixed = sorted;
        mixed.swap(at - 1, at);
        let tree = like(&mixed, None);
        assert!(!tree.sorted, "{mixed:?}");
        // Found all the same, in the order in which trees are compared.
        assert_eq!(told(&tree), told(&like(&sorted, None)));
        let mut again = sorted;
        again[at] = again[at - 1];
        assert!(!like(&again, None).sorted, "{again:?}");
    }
}

#[test]
fn what_two_trees_begin_and_end_with_is_shared_and_nothing_else() {
    let old = [
        (FILE, "a", "1"),
        (FILE, "b", "1"),
        (FOLDER, "c", "1"),
        (FILE, "d", "1"),
        (FILE, "e", "1"),
    ];
    let old_tree = like(&old, None);
    for (new, shared) in [
        (
            vec![old[0], old[1], (FOLDER, "changed", "2"), old[3], old[4]],
            (2, 2),
        ),
        (vec![old[0], old[1], old[3], old[4]], (2, 2)),
        (
            vec![old[0], old[1], old[2], (FOLDER, "cc", "2"), old[3], old[4]],
            (3, 2),
        ),
        (
            vec![(FOLDER, "A", "1"), old[0], old[1], old[2], old[3], old[4]],
            (0, 5),
        ),
        (vec![old[0], old[1], old[2], old[3]], (4, 0)),
        (vec![(FILE, "x", "2")], (0, 0)),
        (old.to_vec(), (5, 0)),
        (vec![old[0], old[2], old[1], old[3], old[4]], (0, 0)),
    ] {
        let tree = like(&new, Some(&old_tree));
        assert_eq!(told(&tree), told(&like(&new, None)), "{new:?}");
        assert_eq!(tree.shared(&old_tree), shared, "{new:?}");
        assert_eq!(old_tree.shared(&tree), shared, "{new:?}");
    }
    let bytes = old_tree.data.len();
    let last = bytes - old_tree.items[4].start as usize;
    for (back, whole) in [(0, 0), (last - 1, 0), (last, 1), (last + 1, 1), (bytes, 5)] {
        assert_eq!(old_tree.items_in_back(back).len(), whole, "{back}");
    }
}

/// The defects that are told of `new`, as a change of `old`.
fn defects(old: &[(&str, &str, &str)], new: &[(&str, &str, &str)]) -> Vec<String> {
    with_trees(|trees| {
        let before = Rc::new(like(old, None));
        let after = like(new, Some(&before));
        let mut found = Vec::new();
        trees
            .judge(&some_id(), &after, &[before], BStr::new(b"f"), &mut found)
            .unwrap();
        found.into_iter().map(|(_, defect)| defect.what).collect()
    })
}

#[test]
fn the_part_of_a_tree_that_changed_is_judged_and_what_was_there_is_not() {
    let (a, b, z) = ((FILE, "a", "1"), (FILE, "b", "1"), (FILE, "z", "1"));
    assert!(defects(&[a, z], &[a, b, z]).is_empty());
    let odd = ("100600", "b", "1");
    for old in [&[a, z][..], &[a, b, z], &[a], &[z], &[]] {
        let found = defects(old, &[a, odd, z]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("mode 100600"), "{found:?}");
    }
    assert!(defects(&[a, odd, z], &[a, odd, z, (FILE, "zz", "1")]).is_empty());
    // The twin of what changed may stand where nothing did.
    let old = [a, (FILE, "a.b", "1"), z];
    for (new, count) in [
        (vec![a, (FILE, "a.b", "1"), (FOLDER, "a", "1"), z], 1),
        (vec![a, (FILE, "a.b", "1"), (FOLDER, "aa", "1"), z], 0),
    ] {
        let found = defects(&old, &new);
        assert_eq!(found.len(), count, "{found:?}");
        assert!(found.iter().all(|what| what.contains("same name twice")));
    }
}

#[test]
fn the_trees_used_last_are_kept_and_no_more_than_fit() {
    with_trees(|trees| {
        let id = |number: u8| Oid::from_hex(format!("{number:040x}").as_bytes()).unwrap();
        let count = 40;
        for number in 0..count {
            let mut tree = Tree::empty();
            tree.data = vec![0; GENERATION_BYTES / 4].into();
            trees.keep(id(number), Rc::new(tree));
            let bytes: usize = [&trees.young, &trees.old]
                .into_iter()
                .flat_map(HashMap::values)
                .map(|tree| tree.weight())
                .sum();
            assert!(bytes <= 2 * (GENERATION_BYTES + GENERATION_BYTES / 2));
            // Nothing can be read: what is not kept cannot be had.
            for kept in number.saturating_sub(3)..=number {
                let id = id(kept);
                assert!(trees.young.contains_key(&id) || trees.old.contains_key(&id));
            }
        }
        assert!(trees.load(Some(&id(count - 1)), None).is_ok());
        assert!(trees.load(Some(&id(0)), None).is_err());
    });
}
