//! What merges are blamed for where the oracle's generated histories rarely come by: modes, conflicts inside bases,
//! and each bound of the automatic merge, exactly.

use super::tests::told;
use super::world::*;
use super::*;
use crate::budget::Bounds;
use crate::finding::PathOp;
use crate::repo::changes::Origin;

const PLAIN: u32 = 0o100_644;
const RUN: u32 = 0o100_755;

/// A file `x`, or nothing.
type Side<'s> = Option<(u32, &'s str)>;

fn side(x: Side<'_>) -> Files {
    let mut files = files(&[("keep", "1")]);
    files.extend(x.map(|(mode, text)| ("x".to_owned(), (mode, text.as_bytes().to_vec()))));
    files
}

/// What a merge of these parents with this content is blamed for.
fn blamed(world: &World, parents: &[Oid], merge: &Files) -> Vec<(String, Origin)> {
    let merge = world.commit(true, parents, merge, 900);
    let history = world.history(&[update("refs/heads/m", None, Some(merge))], parents);
    assert_eq!(ids(&history), [merge]);
    told(&history.commits[0].changes)
        .into_iter()
        .map(|(path, _, origin)| (path, origin))
        .collect()
}

/// The same for a plain merge of one file. `None`: not told at all.
fn blame(base: Side<'_>, ours: Side<'_>, theirs: Side<'_>, merge: Side<'_>) -> Option<Origin> {
    let world = World::new();
    let root = world.commit(false, &[], &side(base), 1);
    let ours = world.commit(false, &[root], &side(ours), 2);
    let theirs = world.commit(false, &[root], &side(theirs), 3);
    let blamed = blamed(&world, &[ours, theirs], &side(merge));
    assert!(blamed.len() < 2, "{blamed:?}");
    blamed.first().map(|(_, origin)| *origin)
}

#[test]
fn a_mode_that_one_side_changes_is_merged_like_its_lines() {
    let (base, top, end, both) = ("1\n2\n3\n", "0\n2\n3\n", "1\n2\n4\n", "0\n2\n4\n");
    for (ours, theirs) in [(RUN, PLAIN), (PLAIN, RUN), (RUN, RUN)] {
        let merge = |mode| {
            let (ours, theirs) = (Some((ours, top)), Some((theirs, end)));
            blame(Some((PLAIN, base)), ours, theirs, Some((mode, both)))
        };
        assert_eq!(merge(RUN), Some(Origin::AutoMerge));
        assert_eq!(merge(PLAIN), Some(Origin::Merge));
    }
    // Of two new files with two modes neither is right by itself.
    let (plain, run) = (Some((PLAIN, base)), Some((RUN, base)));
    assert_eq!(blame(None, plain, run, run), Some(Origin::Discards));
    assert_eq!(blame(None, plain, run, plain), Some(Origin::Discards));
}

/// Whoever merges chooses how git lines up repeated lines.
#[test]
fn a_merge_by_the_older_algorithm_is_as_good() {
    let plain = |text| Some((PLAIN, text));
    let (base, ours, theirs) = ("b\na\na\n", "a\na\nb\n", "a\nd\na\n");
    let merge = |x| blame(plain(base), plain(ours), plain(theirs), plain(x));
    assert_eq!(merge("a\nd\na\nb\n"), Some(Origin::AutoMerge));
    assert_eq!(merge("a\nd\nb\n"), Some(Origin::Merge));
}

#[test]
fn binary_content_is_never_merged_by_lines() {
    let (base, top, end) = ("\0\n2\n3\n4\n5\n", "\0x\n2\n3\n4\n5\n", "\0\n2\n3\n4\n6\n");
    let plain = |text| Some((PLAIN, text));
    let both = plain("\0x\n2\n3\n4\n6\n");
    let blamed = blame(plain(base), plain(top), plain(end), both);
    assert_eq!(blamed, Some(Origin::Merge));
    // Whole content and mode are merged all the same.
    let run = |text| Some((RUN, text));
    for (ours, theirs) in [(run(base), plain(end)), (plain(end), run(base))] {
        let merge = |x| blame(plain(base), ours, theirs, x);
        assert_eq!(merge(run(end)), Some(Origin::AutoMerge));
        assert_eq!(merge(plain(end)), Some(Origin::Discards));
    }
    let merge = blame(plain(base), run(end), plain(end), run(end));
    assert_eq!(merge, None);
}

#[test]
fn a_conflict_is_not_settled_by_what_was_there_before() {
    let plain = |text| Some((PLAIN, text));
    let changed = |merge| blame(plain("1\n"), None, plain("2\n"), merge);
    assert_eq!(changed(plain("1\n")), Some(Origin::Merge));
    assert_eq!(changed(plain("2\n")), Some(Origin::Discards));
    assert_eq!(changed(None), Some(Origin::Discards));
    // Nor by the markers that git writes for people.
    let markers = plain("<<<<<<<\n2\n=======\n3\n>>>>>>>\n");
    let marked = blame(plain("1\n"), plain("2\n"), plain("3\n"), markers);
    assert_eq!(marked, Some(Origin::Merge));
}

/// Two merges of the same two sides: which two bases a merge of them has.
fn criss_cross(
    world: &World,
    root: Side<'_>,
    bases: [Side<'_>; 2],
    tips: [Side<'_>; 2],
) -> [Oid; 2] {
    let root = world.commit(false, &[], &side(root), 1);
    let one = world.commit(false, &[root], &side(bases[0]), 2);
    let other = world.commit(false, &[root], &side(bases[1]), 3);
    let first = world.commit(false, &[one, other], &side(tips[0]), 4);
    let second = world.commit(false, &[other, one], &side(tips[1]), 5);
    [first, second]
}

#[test]
fn a_conflict_among_bases_counts_as_git_counts_it() {
    let plain = |text| Some((PLAIN, text));
    let x = |origin| vec![("x".to_owned(), origin)];
    // Deleted on one side and changed on the other: git goes on with what was there before.
    let world = World::new();
    let tips = [plain("1\n"), plain("5\n")];
    let parents = criss_cross(&world, plain("1\n"), [None, plain("2\n")], tips);
    assert_eq!(blamed(&world, &parents, &side(tips[1])), []);
    assert_eq!(
        blamed(&world, &parents, &side(tips[0])),
        x(Origin::Discards)
    );
    // Lines: git goes on with the markers, so that even what was there before is a change of both sides.
    let world = World::new();
    let tips = [plain("r\n"), plain("q\n")];
    let parents = criss_cross(&world, plain("r\n"), [plain("a\n"), plain("b\n")], tips);
    assert_eq!(
        blamed(&world, &parents, &side(tips[1])),
        x(Origin::Discards)
    );
}

/// Criss-cross upon criss-cross, `height` times. Each step adds a line on either side, far from all others.
fn ladder(world: &World, height: usize) -> Vec<(String, Origin)> {
    let lines = |marks: &[usize]| {
        let line = |at: usize| format!("{at}{}\n", if marks.contains(&at) { "!" } else { "" });
        (0..100).map(line).collect::<String>()
    };
    let commit = |parents: &[Oid], marks: &[usize], date: usize| {
        let text = lines(marks);
        world.commit(false, parents, &side(Some((PLAIN, &text))), date as i64)
    };
    let root = commit(&[], &[], 1);
    let mut marks: Vec<usize> = Vec::new();
    let mut parents = vec![root];
    for step in 0..=height {
        let with = |mark: usize| [&marks[..], &[mark]].concat();
        let (one, other) = (10 * step + 2, 10 * step + 7);
        let first = commit(&parents, &with(one), 2 * step + 2);
        parents.reverse();
        let second = commit(&parents, &with(other), 2 * step + 3);
        parents = vec![first, second];
        marks.extend([one, other]);
    }
    let text = lines(&marks);
    blamed(world, &parents, &side(Some((PLAIN, &text))))
}

#[test]
fn criss_cross_is_followed_to_its_bound() {
    let auto = |origin| vec![("x".to_owned(), origin)];
    for height in [0, 1, 3, 4] {
        assert_eq!(
            ladder(&World::new(), height),
            auto(Origin::AutoMerge),
            "{height}"
        );
    }
    for height in [5, 6] {
        assert_eq!(
            ladder(&World::new(), height),
            auto(Origin::Merge),
            "{height}"
        );
    }
}

#[test]
fn bases_and_parents_are_taken_to_their_bound() {
    let text = |x: &str| files(&[("x", x)]);
    // Two merges of the same roots have all of them for bases.
    for (bases, followed) in [(2, true), (16, true), (17, false), (18, false)] {
        let world = World::new();
        let roots: Vec<Oid> = (0..bases)
            .map(|date| world.commit(false, &[], &text("1\n2\n3\n"), date))
            .collect();
        let ours = world.commit(false, &roots, &text("0\n2\n3\n"), 50);
        let theirs = world.commit(false, &roots, &text("1\n2\n4\n"), 51);
        let origin = [Origin::Merge, Origin::AutoMerge][usize::from(followed)];
        let found = blamed(&world, &[ours, theirs], &text("0\n2\n4\n"));
        assert_eq!(found, [("x".to_owned(), origin)], "{bases} bases");
    }
    // Each parent is a tree that is walked, and so is their base.
    for (parents, followed) in [(3, true), (63, true), (64, false), (65, false)] {
        let world = World::new();
        let root = world.commit(false, &[], &text("1"), 1);
        let mut merge = text("1");
        let sides: Vec<Oid> = (0..parents)
            .map(|at| {
                let mut files = text("1");
                let file = (format!("f{at}"), (PLAIN, b"1".to_vec()));
                merge.extend([file.clone()]);
                files.extend([file]);
                world.commit(false, &[root], &files, 2)
            })
            .collect();
        let found = blamed(&world, &sides, &merge);
        assert_eq!(found.is_empty(), followed, "{parents} parents: {found:?}");
    }
}

#[test]
fn a_commit_has_no_more_parents_than_its_bound() {
    let world = World::new();
    let main = world.commit(false, &[], &files(&[("a", "1")]), 1);
    let merge = |parents: usize| {
        let merge = world.commit(true, &vec![main; parents], &files(&[("a", "2")]), 2);
        world.try_history(&[update("refs/heads/x", None, Some(merge))], &[main])
    };
    let changes = told(&merge(PARENTS_MAX).unwrap().commits[0].changes);
    let expected = ("a".to_owned(), vec![PathOp::Modify], Origin::Commit);
    assert_eq!(changes, [expected]);
    for parents in [PARENTS_MAX + 1, PARENTS_MAX + 50] {
        let error = merge(parents).unwrap_err();
        assert!(matches!(error, RepoError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn a_base_that_another_base_reaches_is_none() {
    let world = World::new();
    let commit = |parents: &[Oid], date| world.commit(false, parents, &files(&[]), date);
    let low = commit(&[], 60);
    // Its date lies, so that the walk has seen enough before it comes by.
    let late = commit(&[low], 1);
    let base = commit(&[late], 50);
    let (one, other) = (commit(&[base, low], 100), commit(&[low, base], 101));
    let (repo, budget) = (world.repo(), Budget::new(Bounds::default()));
    let reader = repo.reader();
    let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
    let [base, one, other] = [base, one, other].map(|id| graph.node(&id));
    assert_eq!(graph.merge_bases(one, &[other]).unwrap(), [base]);
}

/// Two lines in any order, on three sides: no merge by lines ends before the time is up, and nobody waits for it.
#[test]
fn a_merge_of_lines_ends_when_the_time_is_up() {
    let world = World::new();
    let mut dice = 1_u64;
    let mut text = || {
        let mut line = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if dice >> 63 == 0 { "a\n" } else { "b\n" }
        };
        (0..80_000).map(|_| line()).collect::<String>()
    };
    let (base, ours, theirs, merged) = (text(), text(), text(), text());
    let base = world.commit(false, &[], &files(&[("x", &base)]), 1);
    let main = world.commit(false, &[base], &files(&[("x", &ours)]), 2);
    let work = world.commit(true, &[base], &files(&[("x", &theirs)]), 3);
    let merge = world.commit(true, &[work, main], &files(&[("x", &merged)]), 4);
    let budget = Budget::new(Bounds {
        time: std::time::Duration::from_millis(500),
        ..Bounds::default()
    });
    let updates = [update("refs/heads/x", None, Some(merge))];
    let trusted = [(name("refs/heads/main"), main)];
    let told = History::of(&world.repo(), &updates, &trusted, &budget).err();
    assert!(matches!(told, Some(RepoError::Exhausted(_))), "{told:?}");
}
