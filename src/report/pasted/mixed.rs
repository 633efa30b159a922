//! Faults of several kinds in one branch.

use super::*;

#[test]
fn a_mode_in_the_middle_of_edits() {
    let world = World::new();
    let mode = |commit: Oid, plus: bool| {
        let mut judged = at(denied(0xb1, "docs/a.md", PathOp::Mode), commit);
        judged.finding.rule = "path/mode".into();
        judged.finding.detail = plus.then(|| crate::check::BECOMES_EXECUTABLE.to_owned());
        judged
    };
    let chmod = |sign: &str| {
        drop(output(
            git_command(&world.work, "chmod").args([sign, "docs/a.md"]),
        ))
    };
    chmod("+x");
    let first = world.commit(&[("docs/a.md", "two\n")]);
    world.commit(&[("docs/a.md", "two\nthree\n"), ("docs/b.md", "b\n")]);
    chmod("-x");
    let third = world.commit(&[("docs/a.md", "two\nthree\nfour\n")]);
    let findings = vec![mode(first, true), mode(third, false)];
    world.paste(&world.decision("main", findings), nothing);
    let modes = world.git(&["log", "--format=", "--raw", "main..HEAD", "--", "docs/a.md"]);
    assert_eq!(modes.lines().count(), 3, "{modes}");
    assert!(!modes.contains("100755"), "{modes}");
    assert_eq!(world.git(&["show", "HEAD:docs/a.md"]), "two\nthree\nfour");

    // The tip alone, and nothing but the mode.
    chmod("+x");
    let tip = world.commit(&[]);
    world.paste(&world.decision("HEAD~1", vec![mode(tip, true)]), nothing);
    let modes = world.git(&["log", "--format=", "--raw", "main..HEAD"]);
    assert!(!modes.contains("100755"), "{modes}");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_mode_and_its_way_back() {
    let world = World::new();
    let mode = |commit: Oid| {
        let mut judged = at(denied(0xb1, "docs/a.md", PathOp::Mode), commit);
        judged.finding.rule = "path/mode".into();
        judged.finding.detail = Some(crate::check::BECOMES_EXECUTABLE.to_owned());
        judged
    };
    output(git_command(&world.work, "chmod").args(["+x", "docs/a.md"]));
    let there = world.commit(&[]);
    // Nothing is left of it.
    output(git_command(&world.work, "chmod").args(["-x", "docs/a.md"]));
    let back = world.commit(&[]);
    world.commit(&[("docs/b.md", "b\n")]);
    world.paste(
        &world.decision("main", vec![mode(there), mode(back)]),
        nothing,
    );
    let modes = world.git(&["log", "--format=", "--raw", "main..HEAD"]);
    assert!(!modes.contains("100755"), "{modes}");
    assert_eq!(world.git(&["show", "HEAD:docs/b.md"]), "b");
}

#[test]
fn a_file_in_the_place_of_a_guarded_folder() {
    let world = World::new();
    fs::remove_dir_all(world.work.join("docs")).unwrap();
    let tip = world.commit(&[("docs", "a file\n")]);
    let findings = vec![
        at(denied(0xb1, "docs", PathOp::Add), tip),
        at(denied(0xb1, "docs/a.md", PathOp::Delete), tip),
    ];
    world.paste(&world.decision("main", findings), nothing);
    assert_eq!(world.git(&["diff", "main", "HEAD"]), "");
}

#[test]
fn a_path_that_several_commits_change_under_another_name() {
    let world = World::new();
    world.git(&["config", "user.name", "alice"]);
    let first = world.commit(&[("out.yml", "one\n")]);
    let second = world.commit(&[("out.yml", "two\n"), ("docs/a.md", "two\n")]);
    let author = |commit: Oid| {
        let mut judged = at(denied(0xb1, "out.yml", PathOp::Add), commit);
        judged.finding.rule = "identity/author-mismatch".into();
        judged.finding.place = Place::new(Part::Author);
        judged.finding.place.commit = Some(commit);
        judged
    };
    let findings = vec![
        at(denied(0xb1, "out.yml", PathOp::Add), first),
        at(denied(0xb2, "out.yml", PathOp::Modify), second),
        author(first),
        author(second),
    ];
    let mut decision = world.decision("main", findings);
    decision.allowed_authors = vec!["docs-bot <docs-bot@agents.example>".into()];
    world.paste(&decision, nothing);
    assert_eq!(
        world.git(&["log", "--format=%h", "main..HEAD", "--", "out.yml"]),
        ""
    );
    let authors = world.git(&["log", "--format=%an", "main..HEAD"]);
    assert_eq!(authors, "docs-bot\ndocs-bot");
    assert_eq!(world.git(&["show", "HEAD:docs/a.md"]), "two");
}

#[test]
fn a_secret_that_the_next_commit_takes_out() {
    let world = World::new();
    let there = world.commit(&[("docs/a.md", "one\nsecret\n")]);
    world.commit(&[("docs/a.md", "one\nnone\n")]);
    let found = at(token(0xb1, "docs/a.md"), there);
    world.paste(&world.decision("main", vec![found]), |remark| {
        if remark.starts_with("remove") {
            fs::write(world.work.join("docs/a.md"), "one\nmended\n").unwrap();
        }
    });
    let mut ever = world.ever("main", "docs/a.md");
    ever.sort();
    assert_eq!(ever, ["one\nmended\n", "one\nnone\n"]);
}
