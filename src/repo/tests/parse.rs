use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::repo::parse;
use crate::repo::{Defect, TreeEntry};

const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const PARENT: &str = "1234567890123456789012345678901234567890";
const WHO: &str = "A U Thor <a@example.com> 1700000000 +0100";

fn any_id() -> Oid {
    Oid::from_hex(PARENT.as_bytes()).unwrap()
}

fn commit(text: &[u8]) -> Result<crate::repo::Commit, RepoError> {
    parse::commit(any_id(), text, HashKind::Sha1)
}

fn tree(data: &[u8]) -> Result<(Vec<TreeEntry>, Vec<Defect>), RepoError> {
    parse::tree_with_defects(any_id(), data, HashKind::Sha1)
}

/// git's own judgement: it refuses to write an object that `git fsck` would complain about.
fn git_writes(fixture: &Fixture, kind: &str, data: &[u8]) -> bool {
    let args = ["hash-object", "-t", kind, "--stdin"];
    fixture.git_with("work", &args, data).0
}

#[test]
fn a_commit_is_cut_into_its_parts() {
    let text = format!(
        "tree {TREE}\nparent {PARENT}\nauthor {WHO}\ncommitter  C  <> 5 -0000\nencoding latin1\n\
         gpgsig -----BEGIN\n \n  two\n -----END\nmergetag object {TREE}\n type commit\n\n\nMessage\n\n more"
    );
    let commit = commit(text.as_bytes()).unwrap();
    assert!(commit.defects.is_empty(), "{:?}", commit.defects);
    assert_eq!(commit.tree.to_string(), TREE);
    assert_eq!(commit.parents, vec![any_id()]);
    assert_eq!(commit.author.raw, WHO);
    assert_eq!(commit.author.name, "A U Thor");
    assert_eq!(commit.author.email, "a@example.com");
    assert_eq!(commit.author.time, 1_700_000_000);
    assert_eq!(commit.committer.name, " C ");
    assert_eq!(
        (commit.committer.email.as_slice(), commit.committer.time),
        (&b""[..], 5)
    );
    assert_eq!(commit.message, "\nMessage\n\n more");
    let headers: Vec<_> = commit
        .headers
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(headers, ["encoding", "gpgsig", "mergetag"]);
    assert_eq!(commit.headers[1].1, "-----BEGIN\n\n two\n-----END");
}

/// Replaces lines of a good commit, and says what must come out.
#[test]
fn deviations_of_commits_are_defects_where_git_complains_too() {
    let fixture = Fixture::new(&[]);
    let tree = format!("tree {TREE}\n");
    let parent = format!("parent {PARENT}\n");
    let author = format!("author {WHO}\n");
    let committer = format!("committer {WHO}\n");
    let zero = "0".repeat(40);
    let who = |value: &str| format!("{tree}{parent}author {value}\n{committer}\nm\n");
    // What git complains about.
    let refused = [
        format!("{tree}{author}\nm\n"),
        format!("{tree}{committer}\nm\n"),
        format!("{tree}{committer}{author}\nm\n"),
        format!("{tree}{author}{author}{committer}\nm\n"),
        format!("{tree}{author}{parent}{committer}\nm\n"),
        format!("{tree}encoding x\n{author}{committer}\nm\n"),
        format!("{tree}{author}x y\n{committer}\nm\n"),
        format!("{tree}x y\n{author}{committer}\nm\n"),
        format!("{tree}{author}{committer}"),
        format!("{tree}{author}{committer}\nm\0m\n"),
        format!("{tree}{author}{committer}x\0y z\n\nm\n"),
        who("A<a@example.com> 1 +0000"),
        who("<a@example.com> 1 +0000"),
        who("A a@example.com 1 +0000"),
        who("A <a@example.com 1 +0000"),
        who("A <a<b> 1 +0000"),
        who("A> <a> 1 +0000"),
        who("A <a>1 +0000"),
        who("A <a>"),
        who("A <a> "),
        who("A <a> x +0000"),
        who("A <a> -1 +0000"),
        who("A <a> 01 +0000"),
        who("A <a> 99999999999999999999 +0000"),
        who("A <a> 1"),
        who("A <a> 1 0000"),
        who("A <a> 1 +000"),
        who("A <a> 1 +00000"),
        who("A <a> 1 +00x0"),
        who("A <a> 1 +0000 "),
    ];
    for text in &refused[..7] {
        assert!(!git_writes(&fixture, "commit", text.as_bytes()), "{text}");
    }
    for text in &refused {
        // A commit whose headers end without a blank line is nothing git minds.
        let unminded = text.ends_with(&committer);
        assert_eq!(
            git_writes(&fixture, "commit", text.as_bytes()),
            unminded,
            "{text:?}"
        );
        let found = commit(text.as_bytes()).unwrap().defects;
        assert_eq!(found.is_empty(), unminded, "{text:?}: {found:?}");
        assert!(found.iter().all(|defect| defect.rule == "object/malformed"));
    }
    // What git lets pass, but no git writes.
    for text in [
        who("A <a>  1 +0000"),
        format!("{tree}{author}{committer}{committer}\nm\n"),
        format!("{tree}{author}{committer}{author}\nm\n"),
        format!("{tree}{author}{committer}{tree}\nm\n"),
        format!("{tree}{author}{committer}{parent}\nm\n"),
        format!("{tree}{author}{committer}noblank\n\nm\n"),
        format!("{tree}{parent}{parent}{author}{committer}\nm\n"),
        format!("tree {}\n{author}{committer}\nm\n", TREE.to_uppercase()),
        format!("{tree}parent {zero}\n{author}{committer}\nm\n"),
    ] {
        assert!(
            !commit(text.as_bytes()).unwrap().defects.is_empty(),
            "{text}"
        );
    }
    for (text, what) in [
        (&refused[9], "has a NUL byte in its message"),
        (&refused[10], "has a NUL byte in its headers"),
        (&refused[16], "its name holds"),
    ] {
        let found = commit(text.as_bytes()).unwrap().defects;
        assert!(found[0].what.contains(what), "{found:?}");
    }
    let first_second = who("A <a> 0 +0000");
    assert!(git_writes(&fixture, "commit", first_second.as_bytes()));
    assert_eq!(commit(first_second.as_bytes()).unwrap().defects, []);
    // What cannot be followed.
    for text in [
        String::new(),
        format!("{author}{committer}\nm\n"),
        format!("tree {}\n{author}{committer}\nm\n", &TREE[1..]),
        format!("tree {TREE} \n{author}{committer}\nm\n"),
        format!("tree {TREE}{}\n{author}{committer}\nm\n", &zero[..24]),
        format!("{tree}parent x\n{author}{committer}\nm\n"),
        format!(" {tree}{author}{committer}\nm\n"),
        format!("{tree}{}", "x y\n".repeat(5000)),
    ] {
        assert!(
            matches!(commit(text.as_bytes()), Err(RepoError::Corrupt { .. })),
            "{text}"
        );
    }
}

#[test]
fn tags_are_read_and_judged() {
    let fixture = Fixture::new(&[]);
    let tag = |text: &str| parse::tag(any_id(), text.as_bytes(), HashKind::Sha1);
    let good = format!("object {PARENT}\ntype commit\ntag v1\ntagger {WHO}\n\nRelease\n");
    let found = tag(&good).unwrap();
    assert!(git_writes(&fixture, "tag", good.as_bytes()));
    assert_eq!((found.target, found.target_kind), (any_id(), Kind::Commit));
    assert_eq!(
        (found.name.as_slice(), found.message.as_slice()),
        (&b"v1"[..], &b"Release\n"[..])
    );
    assert_eq!(found.tagger.unwrap().name, "A U Thor");
    assert!(found.defects.is_empty());
    // Tags of git's first months say no tagger.
    let old = tag(&good.replace(&format!("tagger {WHO}\n"), "")).unwrap();
    assert!(old.tagger.is_none() && old.defects.is_empty());
    for (from, to) in [
        ("tag v1", "tag a..b"),
        ("tag v1\n", ""),
        ("1700000000", "x"),
    ] {
        let text = good.replacen(from, to, 1);
        assert!(!tag(&text).unwrap().defects.is_empty(), "{text}");
        assert!(!git_writes(&fixture, "tag", text.as_bytes()), "{text}");
    }
    let more = good.replacen("\n\n", "\ngpgsig one\n two\n\n", 1);
    assert_eq!(
        tag(&more).unwrap().headers,
        [("gpgsig".into(), "one\ntwo".into())]
    );
    for kind in [Kind::Tree, Kind::Blob, Kind::Tag] {
        let text = good.replace("type commit", &format!("type {kind}"));
        let found = tag(&text).unwrap();
        assert_eq!((found.target_kind, found.defects), (kind, Vec::new()));
    }
    let again = good.replacen("\n\n", "\ntagger A <a> 1 +0000\n\n", 1);
    assert!(!tag(&again).unwrap().defects.is_empty());
    let nul = good.replace("Release", "Rel\0ease");
    assert!(!tag(&nul).unwrap().defects.is_empty());
    for (from, to) in [
        ("object", "subject"),
        ("type commit", "type thing"),
        ("type commit", "kind commit"),
        ("type commit\n", ""),
        ("12", "1"),
    ] {
        let text = good.replacen(from, to, 1);
        assert!(
            matches!(tag(&text), Err(RepoError::Corrupt { .. })),
            "{text}"
        );
    }
}

/// Mode and name of a tree entry.
type Line<'a> = (&'a str, &'a [u8]);

fn raw(entries: &[Line<'_>]) -> Vec<u8> {
    let mut data = Vec::new();
    for (mode, name) in entries {
        data.extend_from_slice(mode.as_bytes());
        data.push(b' ');
        data.extend_from_slice(name);
        data.push(0);
        data.extend_from_slice(any_id().as_slice());
    }
    data
}

#[test]
fn spellings_of_git_are_told_where_git_complains() {
    let fixture = Fixture::new(&[]);
    let blob = "100644";
    for name in [
        ".GIT",
        ".Git",
        "git~1",
        "GIT~1",
        ".git ",
        ".git.",
        ".git . ",
        ".git::$INDEX_ALLOCATION",
        ".git:x",
        ".g\u{200c}it",
        "\u{feff}.git",
        ".gi\u{202e}t",
        ".git\u{206a}",
        "a\\.git",
        ".git\\x",
        "a\\GIT~1.\\b",
    ] {
        let data = raw(&[(blob, name.as_bytes())]);
        let (_, defects) = tree(&data).unwrap();
        assert_eq!(defects.len(), 1, "{name:?}: {defects:?}");
        assert_eq!(defects[0].rule, "path/confusable", "{name:?}");
        assert!(!git_writes(&fixture, "tree", &data), "{name:?}");
    }
    for name in [
        ".gitx",
        ".git x",
        "git~2",
        "git",
        ".gitignore",
        ".gi\u{301}t",
        "..git",
        ".github",
        "g\u{200c}it",
        ".git~1",
        "a\\b",
        "\u{200c}git~1",
        ".g",
        "gi",
        "GIT",
        "git~10",
    ] {
        let data = raw(&[(blob, name.as_bytes())]);
        assert_eq!(tree(&data).unwrap().1, vec![], "{name:?}");
        assert!(git_writes(&fixture, "tree", &data), "{name:?}");
    }
    let not_utf8 = raw(&[(blob, b".git\xff")]);
    assert_eq!(tree(&not_utf8).unwrap().1[0].rule, "path/confusable");
    assert!(!git_writes(&fixture, "tree", &not_utf8));
}

#[test]
fn control_files_are_no_symbolic_links() {
    let fixture = Fixture::new(&[]);
    for (name, told) in [
        (".gitmodules", true),
        (".GITMODULES", true),
        (".gitmodules .", true),
        ("gitmod~1", true),
        ("GITMOD~4", true),
        ("gitmod~5", false),
        ("gi7eba~1", true),
        ("gi7eba~9", true),
        ("gi7eb~01", false),
        ("gi7eb~10", true),
        ("g~123456", true),
        ("~1234567", true),
        ("gi7ebax1", false),
        (".git\u{200c}modules", true),
        (".gitattributes", true),
        ("gitatt~1", true),
        ("gi7d29~1", true),
        (".gitignore", true),
        ("gi250a~1", true),
        (".mailmap", true),
        ("maba30~1", true),
        ("mailma~2", true),
        ("gitmod", false),
        ("gitmodxy", false),
        ("readme~1", false),
        (".gitmodule", false),
        ("readme", false),
    ] {
        let data = raw(&[("120000", name.as_bytes())]);
        assert_eq!(!tree(&data).unwrap().1.is_empty(), told, "{name}");
        assert_eq!(!git_writes(&fixture, "tree", &data), told, "git: {name}");
        let file = raw(&[("100644", name.as_bytes())]);
        assert!(tree(&file).unwrap().1.is_empty(), "{name}");
    }
}

#[test]
fn malformed_trees_are_told_and_truncated_ones_refused() {
    let long = vec![b'n'; 5000];
    let cases: &[(&[Line<'_>], &str)] = &[
        (&[("100644", b"a"), ("100644", b"a")], "object/malformed"),
        (
            &[("100644", b"a"), ("100644", b"a.b"), ("40000", b"a")],
            "object/malformed",
        ),
        (
            &[
                ("100644", b"a"),
                ("100644", b"a-"),
                ("100644", b"a-b"),
                ("40000", b"a"),
            ],
            "object/malformed",
        ),
        (&[("40000", b"a"), ("100644", b"a")], "object/malformed"),
        (&[("100644", b"b"), ("100644", b"a")], "object/malformed"),
        (&[("040000", b"a")], "object/malformed"),
        (&[("100600", b"a")], "object/malformed"),
        (&[("1", b"a")], "object/malformed"),
        (&[("100644", b"")], "object/malformed"),
        (&[("100644", b"a/b")], "object/malformed"),
        (&[("40000", b".")], "object/malformed"),
        (&[("40000", b"..")], "object/malformed"),
        (&[("40000", b".git")], "object/malformed"),
        (&[("100644", &long[..4097])], "object/malformed"),
        (&[("100644", b"a\x1bb")], "path/control"),
        (&[("100644", b"a\x7f")], "path/control"),
        (&[("100644", b"\n")], "path/control"),
    ];
    for (entries, rule) in cases {
        let (found, defects) = tree(&raw(entries)).unwrap();
        assert_eq!(found.len(), entries.len());
        assert_eq!(defects.len(), 1, "{entries:?}: {defects:?}");
        assert_eq!(defects[0].rule, *rule, "{entries:?}");
        assert!(defects[0].what.is_ascii() && defects[0].what.len() < 200);
    }
    let mut zero = raw(&[("100644", b"a")]);
    let end = zero.len();
    zero[end - 20..].fill(0);
    assert_eq!(tree(&zero).unwrap().1.len(), 1);
    for kind in [HashKind::Sha1, HashKind::Sha256] {
        let mut empty = b"40000 a\0".to_vec();
        empty.extend_from_slice(Oid::empty_tree(kind).as_slice());
        let (_, defects) = parse::tree_with_defects(any_id(), &empty, kind).unwrap();
        assert_eq!(defects[0].rule, "object/malformed");
    }
    let fine: &[(&str, &[u8])] = &[
        ("100644", b"a"),
        ("100755", b"a-b"),
        ("120000", b"a.b"),
        ("40000", b"a"),
        ("160000", b"ab"),
        ("100644", &long[..4096]),
    ];
    let fine = &fine[1..];
    assert_eq!(tree(&raw(fine)).unwrap().1, vec![]);
    let sound = raw(&[("100644", b"a")]);
    for broken in [
        &sound[..end - 1],
        b"100644 a",
        b"100644",
        b"x a\0",
        b" a\0",
        b" a\0aaaaaaaaaaaaaaaaaaaa",
        b"777777777777 a\0aaaaaaaaaaaaaaaaaaaa",
        // Of these 36 bits the last 32 are a file's mode.
        b"100000100644 a\0aaaaaaaaaaaaaaaaaaaa",
    ] {
        assert!(
            matches!(tree(broken), Err(RepoError::Corrupt { .. })),
            "{broken:?}"
        );
        assert!(matches!(
            parse::tree(any_id(), broken, HashKind::Sha1),
            Err(RepoError::Corrupt { .. })
        ));
    }
    // Millions of defects are told as a few, and do not hide one of another kind.
    let mut many: Vec<(&str, &[u8])> = vec![("7", b"same"); 1000];
    many.push(("100644", b"\x01"));
    let (_, defects) = tree(&raw(&many)).unwrap();
    assert_eq!(defects.len(), 17);
    assert_eq!(defects[16].rule, "path/control");
}

#[test]
fn odd_modes_act_as_git_takes_them() {
    for (raw, mode, acts_as) in [
        (0o100_664, Mode::Blob, Mode::Blob),
        (0o100_600, Mode::Other(0o100_600), Mode::Blob),
        (0o100_744, Mode::Other(0o100_744), Mode::Executable),
        (0o120_777, Mode::Other(0o120_777), Mode::Symlink),
        (0o040_755, Mode::Other(0o040_755), Mode::Tree),
        (0o160_001, Mode::Other(0o160_001), Mode::Gitlink),
        (0o644, Mode::Other(0o644), Mode::Gitlink),
    ] {
        assert_eq!(Mode::from_raw(raw), mode);
        assert_eq!(mode.acts_as(), acts_as);
    }
}

const NAMES: &[&[u8]] = &[
    b"a",
    b"a.b",
    b"a-",
    b"a0",
    b"b",
    b"B",
    b"ab",
    b"",
    b".",
    b"..",
    b".git",
    b".GIT",
    b"git~1",
    b".git ",
    b"x\\.git",
    b".g\xe2\x80\x8cit",
    b".git\xff",
    b".gitmodules",
    b"GITMOD~1",
    b"gi7eba~1",
    b".mailmap",
    b"a/b",
    b".gitx",
];
const MODES: &[&str] = &[
    "100644", "100755", "120000", "40000", "160000", "040000", "100600", "40755",
];

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

/// A tree has defects here exactly when git would not write it.
#[test]
fn trees_are_judged_as_git_judges_them() {
    let fixture = Fixture::new(&[]);
    let picks = proptest::collection::vec((0..NAMES.len(), 0..MODES.len() * 4), 0..6);
    let sorted = proptest::bool::weighted(0.8);
    let compare = |(picks, sorted): (Vec<(usize, usize)>, bool)| {
        let mut entries: Vec<(&str, &[u8])> = picks
            .iter()
            .map(|(name, mode)| (*MODES.get(*mode).unwrap_or(&"100644"), NAMES[*name]))
            .collect();
        if sorted {
            entries.sort_by_key(|(mode, name)| {
                let folder = mode.ends_with("40000") || *mode == "40755";
                [*name, if folder { b"/" } else { b"" }].concat()
            });
        }
        let data = raw(&entries);
        let (found, defects) = tree(&data).unwrap();
        prop_assert_eq!(found.len(), entries.len());
        let written = git_writes(&fixture, "tree", &data);
        prop_assert_eq!(written, defects.is_empty(), "{:?}: {:?}", entries, defects);
        Ok(())
    };
    cases(150).run(&(picks, sorted), compare).unwrap();
}

/// One changed byte of a commit: whatever git complains about is a defect here, or refused.
#[test]
fn changed_commits_do_not_pass_unseen() {
    let fixture = Fixture::new(&[]);
    let sound = format!("tree {TREE}\nparent {PARENT}\nauthor {WHO}\ncommitter {WHO}\n\nm\n");
    let change = (0..sound.len(), any::<u8>(), any::<bool>());
    let compare = |(at, byte, cut): (usize, u8, bool)| {
        let mut text = sound.clone().into_bytes();
        if cut {
            text.truncate(at);
        } else {
            text[at] = byte;
        }
        let seen = commit(&text).map_or(true, |found| !found.defects.is_empty());
        let shown = String::from_utf8_lossy(&text);
        prop_assert!(seen || git_writes(&fixture, "commit", &text), "{:?}", shown);
        Ok(())
    };
    cases(300).run(&change, compare).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200), start in 0..4_usize) {
        let starts = [String::new(), format!("tree {TREE}\n"), format!("object {TREE}\ntype blob\ntag "), "100644 a".into()];
        let data = [starts[start].as_bytes(), &data].concat();
        for hash in [HashKind::Sha1, HashKind::Sha256] {
            let _ = parse::commit(any_id(), &data, hash);
            let _ = parse::tag(any_id(), &data, hash);
            let _ = parse::tree_with_defects(any_id(), &data, hash);
        }
    }

    /// What is read can be written back to the same bytes.
    #[test]
    fn trees_round_trip(entries in proptest::collection::vec(("[a-z]{1,8}", 0..5_usize), 0..20)) {
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, mode)| (MODES[*mode], name.as_bytes())).collect();
        let data = raw(&entries);
        let found = parse::tree(any_id(), &data, HashKind::Sha1).unwrap();
        let again: Vec<(&str, &[u8])> = found
            .iter()
            .map(|entry| {
                let mode = match entry.mode {
                    Mode::Blob => "100644",
                    Mode::Executable => "100755",
                    Mode::Symlink => "120000",
                    Mode::Tree => "40000",
                    Mode::Gitlink | Mode::Other(_) => "160000",
                };
                (mode, entry.name.as_slice())
            })
            .collect();
        prop_assert_eq!(raw(&again), data);
    }
}
