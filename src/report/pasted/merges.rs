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
