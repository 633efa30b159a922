//! Merges at fault, and faults around merges.

use super::*;

fn evil_merge(world: &World) -> Oid {
    world.commit(&[("docs/b.md", "new\n")]);
    world.git(&["switch", "-q", "-c", "side", "main"]);
    world.commit(&[("docs/c.md", "new\n")]);
    world.git(&["switch", "-q", "guide"]);
    world.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    world.commit(&[("guarded.yml", "evil\n")])
}

#[test]
fn an_evil_merge() {
    for older in [false, true] {
        let world = World::new();
        let merge = evil_merge(&world);
        let mut findings = vec![at(denied(0, "guarded.yml", PathOp::Modify), merge)];
        findings[0].finding.rule = "merge/evil".into();
        if older {
            let later = world.commit(&[("docs/d.md", "new\n"), ("other.yml", "two\n")]);
            findings.push(at(denied(0, "other.yml", PathOp::Modify), later));
        }
        world.paste(&world.decision("main", findings), nothing);
        assert_eq!(world.ever("main", "guarded.yml"), ["one\n"]);
        assert_eq!(world.ever("main", "other.yml"), ["one\n"]);
        assert_eq!(
            world.git(&["rev-list", "--count", "--merges", "main..HEAD"]),
            "1"
        );
        assert_eq!(world.git(&["show", "HEAD:docs/c.md"]), "new");
    }
}

/// What the merge brought from others stays theirs.
#[test]
fn an_evil_merge_of_main_with_work_after_it() {
    let world = World::new();
    world.commit(&[("docs/b.md", "new\n")]);
    world.git(&["switch", "-q", "-c", "newer", "main"]);
    let theirs = world.commit(&[("guarded.yml", "newer\n")]);
    world.git(&["push", "-q", "origin", "newer:main"]);
    world.git(&["switch", "-q", "guide"]);
    world.git(&["merge", "-q", "--no-commit", "--no-ff", "newer"]);
    let merge = world.commit(&[("guarded.yml", "one\n")]);
    world.commit(&[("docs/d.md", "new\n")]);
    world.commit(&[("docs/e.md", "new\n")]);
    let mut found = at(denied(0, "guarded.yml", PathOp::Modify), merge);
    found.finding.rule = "merge/discards".into();
    world.paste(&world.decision("newer", vec![found]), nothing);
    assert_eq!(world.git(&["show", "HEAD:guarded.yml"]), "newer");
    assert_eq!(world.git(&["show", "HEAD:docs/e.md"]), "new");
    assert_eq!(world.git(&["symbolic-ref", "--short", "HEAD"]), "guide");
    let brought = world.git(&["rev-list", "HEAD", "--not", "main"]);
    assert!(brought.contains(&theirs.to_string()), "{brought}");
    assert_eq!(world.git(&["rev-list", "--count", "newer..HEAD"]), "4");
}

#[test]
fn a_fault_on_each_side_of_a_merge() {
    let world = World::new();
    let ours = world.commit(&[("guarded.yml", "two\n")]);
    world.git(&["switch", "-q", "-c", "side", "main"]);
    let theirs = world.commit(&[("other.yml", "two\n")]);
    world.git(&["switch", "-q", "guide"]);
    world.git(&["merge", "-q", "--no-edit", "side"]);
    let decision = world.decision(
        "main",
        vec![
            at(denied(0, "guarded.yml", PathOp::Modify), ours),
            at(denied(0, "other.yml", PathOp::Modify), theirs),
        ],
    );
    world.paste(&decision, nothing);
    assert_eq!(world.ever("main", "guarded.yml"), ["one\n"]);
    assert_eq!(world.ever("main", "other.yml"), ["one\n"]);
}

/// Main moves on by a guarded file, and is merged: `evil` says what the merge adds to it.
fn merge_of_newer(world: &World, evil: Option<&str>) -> (Oid, Oid) {
    world.git(&["switch", "-q", "-c", "newer", "main"]);
    let theirs = world.commit(&[("guarded.yml", "newer\n")]);
    world.git(&["push", "-q", "origin", "newer:main"]);
    world.git(&["switch", "-q", "guide"]);
    world.git(&["merge", "-q", "--no-commit", "--no-ff", "newer"]);
    let merge = match evil {
        Some(path) => world.commit(&[(path, "evil\n")]),
        None => world.commit(&[]),
    };
    (theirs, merge)
}

#[test]
fn a_bad_merge_of_main_and_a_later_fault() {
    let world = World::new();
    world.commit(&[("docs/b.md", "new\n")]);
    let (theirs, merge) = merge_of_newer(&world, Some("other.yml"));
    let later = world.commit(&[("docs/c.md", "new\n"), ("added.yml", "new\n")]);
    let mut evil = at(denied(0, "other.yml", PathOp::Modify), merge);
    evil.finding.rule = "merge/evil".into();
    let findings = vec![evil, at(denied(0, "added.yml", PathOp::Add), later)];
    world.paste(&world.decision("newer", findings), nothing);
    assert_eq!(world.ever("newer", "added.yml"), ["absent"]);
    assert_eq!(world.git(&["show", "HEAD:other.yml"]), "one");
    let brought = world.git(&["rev-list", "HEAD"]);
    assert!(brought.contains(&theirs.to_string()), "{brought}");
    assert_eq!(world.git(&["rev-list", "--count", "newer..HEAD"]), "3");
}

#[test]
fn authors_around_a_merge_of_main() {
    let world = World::new();
    world.git(&["config", "user.name", "alice"]);
    let first = world.commit(&[("docs/b.md", "new\n")]);
    let (theirs, merge) = merge_of_newer(&world, None);
    let last = world.commit(&[("docs/c.md", "new\n")]);
    let author = |commit: Oid| {
        let place = in_commit(Part::Author, 0, None);
        at(
            judged("identity/author-mismatch", Level::Deny, "author", place),
            commit,
        )
    };
    let findings = [first, merge, last].map(author).into();
    world.paste(&world.decision("newer", findings), nothing);
    let names = world.git(&["log", "--format=%an", "newer..HEAD"]);
    assert_eq!(names, "docs-bot\ndocs-bot\ndocs-bot");
    let brought = world.git(&["rev-list", "HEAD"]);
    assert!(brought.contains(&theirs.to_string()), "{brought}");
}
