//! `ringfence audit` over what nobody makes by accident, and asked in ways that nobody should ask: no answer is cleaner than
//! what was looked at.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ringfence::audit::record::{Finding, Record};

use crate::audit::{Told, audit, bare, land, secret};
use crate::world::{World, both, feed};

fn token(name: &str) -> String {
    let (text, _) = secret(&format!("{{{{github-pat:{name}}}}}"));
    String::from_utf8(text).unwrap()
}

/// Secrets that were found, in their parts.
fn secrets<'t>(told: &'t Told, part: &str) -> Vec<&'t Finding> {
    let mut all = told.findings("content");
    all.retain(|one| one.part == part && one.rule.starts_with("secret/"));
    all
}

fn only<'t>(told: &'t Told, part: &str) -> &'t Finding {
    let all = secrets(told, part);
    assert_eq!(all.len(), 1, "{part}: {}", told.text);
    all[0]
}

/// The loose object of the server.
fn loose(world: &World, id: &str) -> PathBuf {
    world.server().join("objects").join(&id[..2]).join(&id[2..])
}

#[test]
fn a_secret_in_a_file_name_stays_until_the_file_goes() {
    let world = bare();
    let alice = world.clone_for("alice");
    let name = format!("{}.txt", token("name"));
    alice.write(&name, "one\n");
    let made = alice.commit("Add");
    alice.write(&name, "two\n");
    alice.commit("Change");
    land(&alice);
    let told = audit(&world, &["org"]);
    let one = only(&told, "path");
    assert!(one.at_tip && one.removed.is_none(), "{one:?}");
    assert_eq!(
        (one.place_count, one.first.as_ref()),
        (1, one.last.as_ref())
    );
    assert_eq!(one.first.as_ref().unwrap().commit, made);
    alice.git(&["rm", "-q", &name]);
    let gone = alice.commit("Remove");
    land(&alice);
    let told = audit(&world, &["org"]);
    let one = only(&told, "path");
    assert!(!one.at_tip, "{one:?}");
    assert_eq!(one.removed.as_ref().unwrap().commit, gone);
}

/// However many threads share a history, and however much of it is known.
#[test]
fn how_the_work_is_shared_out_changes_nothing() {
    let world = bare();
    let alice = world.clone_for("alice");
    let name = format!("{}.txt", token("name"));
    for number in 0..70 {
        alice.write(&name, format!("{number}\n"));
        alice.commit("Change");
    }
    land(&alice);
    let one = audit(&world, &["org", "--jobs", "1"]);
    let all = audit(&world, &["org", "--jobs", "8"]);
    assert_eq!(only(&one, "path").place_count, 1);
    assert_eq!(one.findings("content"), all.findings("content"));
    let state = world.path("state");
    let known = ["org", "--state", state.to_str().unwrap()];
    audit(&world, &known);
    alice.write(&name, "last\n");
    alice.commit("Change");
    land(&alice);
    let again = audit(&world, &known);
    assert!(again.repository().objects_known > 0);
    assert_eq!(only(&again, "path"), only(&audit(&world, &["org"]), "path"));
}

#[test]
fn the_message_of_a_tag_names_the_refs_that_show_it() {
    let world = bare();
    let alice = world.clone_for("alice");
    alice.git(&["tag", "-a", "-m", &token("tag"), "v1"]);
    alice.git(&["tag", "-a", "-m", "On top", "v2", "v1"]);
    land(&alice);
    let told = audit(&world, &["org"]);
    let one = only(&told, "tag-message");
    assert_eq!(one.refs, ["refs/tags/v1", "refs/tags/v2"]);
    assert_eq!(
        (one.ref_count, one.at_tip, one.unreachable),
        (2, true, false)
    );
}

/// A tree that no commit has: its names are texts too.
#[test]
fn names_in_a_tree_that_only_a_tag_reaches() {
    let world = bare();
    let alice = world.clone_for("alice");
    let blob = alice.feed(&["hash-object", "-w", "--stdin"], b"plain\n");
    let tree = alice.feed(
        &["mktree"],
        format!("100644 blob {blob}\t{}\n", token("name")).as_bytes(),
    );
    alice.git(&["tag", "-a", "-m", "A tree", "kept", &tree]);
    land(&alice);
    let told = audit(&world, &["org"]);
    let one = only(&told, "path");
    assert_eq!(one.refs, ["refs/tags/kept"]);
    assert!(one.at_tip && !one.unreachable, "{one:?}");
}

/// One object may stand at two paths, and each of them counts.
#[test]
fn a_folder_that_stands_twice_is_at_the_tip_twice() {
    let world = bare();
    let alice = world.clone_for("alice");
    for folder in ["one", "two"] {
        alice.write(format!("{folder}/a.txt"), token("twice"));
        alice.write(
            format!("{folder}/AGENTS.md"),
            "Do\u{e0049}\u{e0047}\u{e004e}\u{e004f} it\n",
        );
    }
    alice.commit("Twice");
    land(&alice);
    let told = audit(&world, &["org"]);
    let one = only(&told, "content");
    assert_eq!(one.place_count, 2);
    assert!(one.places.iter().all(|place| place.at_tip), "{one:?}");
    let mut hidden = told.findings("content");
    hidden.retain(|one| one.rule.starts_with("unicode/"));
    assert!(hidden.len() >= 2, "{}", told.text);
    assert!(hidden.iter().all(|one| one.at_tip), "{hidden:?}");
}

/// Who brought it cannot be told any more; that it is there can.
#[test]
fn damaged_trees_hide_no_secret_at_a_tip() {
    let world = bare();
    let alice = world.clone_for("alice");
    alice.write("key.txt", token("tip"));
    alice.write("AGENTS.md", "Do\u{e0049}\u{e0047}\u{e004e}\u{e004f} it\n");
    let brought = alice.commit("Secret");
    alice.write("more.txt", "more\n");
    alice.commit("More");
    land(&alice);
    fs::remove_file(loose(&world, &world.id(&format!("{brought}^{{tree}}")))).unwrap();
    let told = audit(&world, &["org"]);
    assert_eq!(told.code, Some(3));
    let one = only(&told, "content");
    assert!(one.at_tip && !one.unreachable, "{one:?}");
    assert_eq!((one.path.as_deref(), one.line), (Some("key.txt"), Some(1)));
    assert_eq!(one.refs, ["refs/heads/main"]);
    let is_hidden = |one: &&Finding| one.rule.starts_with("unicode/");
    let all = told.findings("content");
    assert!(
        all.into_iter().any(|one| is_hidden(&one) && one.at_tip),
        "{}",
        told.text
    );
}

#[test]
fn a_ref_that_nobody_has_makes_no_clean_answer() {
    let world = bare();
    for wrong in ["main", "heads/main", "origin/**"] {
        let told = audit(&world, &["org", "--ref", wrong]);
        assert_eq!(told.code, Some(2), "{wrong}: {}", told.text);
        assert!(told.err.contains("refs/heads/main"), "{}", told.err);
    }
    let told = audit(&world, &["org", "--ref", "refs/heads/mian"]);
    assert_eq!(told.code, Some(3), "{}", told.text);
    assert!(told.err.contains("no ref matches"), "{}", told.err);
    for right in [
        "refs/heads/main",
        "**",
        "*/heads/**",
        "HEAD",
        "{HEAD,refs/heads/*}",
    ] {
        let told = audit(&world, &["org", "--ref", right]);
        let wanted = if right == "HEAD" { 3 } else { 0 };
        assert_eq!(
            told.code,
            Some(wanted),
            "{right}: {}{}",
            told.text,
            told.err
        );
    }
    // Of several repositories one may have it.
    world.server_git(&["clone", "-q", "--bare", ".", "../other.git"]);
    world.server_git(&["branch", "topic"]);
    let told = audit(&world, &["org", "--ref", "refs/heads/topic"]);
    assert_eq!(told.code, Some(0), "{}{}", told.text, told.err);
}

#[test]
fn what_was_not_asked_for_is_said() {
    let world = bare();
    let text = |arguments: &[&str]| {
        let mut command = world.ringfence_command(&world.path(""));
        let output = command
            .args(["audit", "-q", "org"])
            .args(arguments)
            .output();
        both(&output.unwrap())
    };
    assert!(text(&[]).contains("everything was looked at"));
    for (arguments, words) in [
        (
            ["--ref", "refs/heads/main"],
            "only refs that match refs/heads/main",
        ),
        (["--path", "docs/**"], "only files that match docs/**"),
        (["--since", "2020-01-01"], "Commits from 2020-01-01"),
    ] {
        let said = text(&arguments);
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("everything was looked at"), "{said}");
    }
}

/// A scheduler has more places than there are repositories.
#[test]
fn shards_without_a_repository_are_whole() {
    let world = bare();
    let whole = audit(&world, &["org"]);
    let mut files = Vec::new();
    for part in 1..=3 {
        let told = audit(&world, &["org", "--shard", &format!("{part}/3")]);
        assert_eq!(told.code, Some(0), "{}{}", told.text, told.err);
        assert_eq!(told.summary().status, "complete");
        fs::write(world.path(&part.to_string()), &told.text).unwrap();
        files.push(part.to_string());
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let merged = audit(&world, &[&["--merge"], &files[..]].concat());
    assert_eq!(merged.code, Some(0), "{}{}", merged.text, merged.err);
    assert_eq!(merged.records[..1], whole.records[..1]);
    // No repository at all is another thing.
    let mut command = world.ringfence_command(&world.path(""));
    command.args(["audit", "-", "--shard", "1/3"]);
    let output = feed(command, b"\n\r\n");
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
}

#[test]
fn outputs_in_one_file_count_once_and_filters_must_agree() {
    let world = bare();
    let whole = audit(&world, &["org"]);
    fs::write(world.path("twice"), whole.text.repeat(2)).unwrap();
    let merged = audit(&world, &["--merge", "twice"]);
    assert_eq!(merged.code, Some(0), "{}", merged.err);
    assert_eq!(merged.records.len(), whole.records.len(), "{}", merged.text);
    for filter in [
        ["--since", "2020-01-01"],
        ["--path", "docs/**"],
        ["--ref", "refs/heads/**"],
    ] {
        let part = audit(&world, &[&["org"], &filter[..]].concat());
        fs::write(world.path("part"), &part.text).unwrap();
        let told = audit(&world, &["--merge", "twice", "part"]);
        assert_eq!(told.code, Some(2), "{filter:?}: {}", told.text);
        assert!(told.err.contains(filter[0]), "{}", told.err);
    }
}

#[test]
fn names_that_are_no_text_stay_two() {
    let world = bare();
    for name in [&b"org/\xfe.git"[..], b"org/\xff.git"] {
        let path = world.path("").join(OsStr::from_bytes(name));
        fs::rename(world.server(), &path).unwrap();
        let mut command = world.git_command(&path);
        command
            .args(["clone", "-q", "--bare", "."])
            .arg(world.server());
        assert!(command.status().unwrap().success());
    }
    let told = audit(&world, &["org"]);
    let names: Vec<&str> = (told.repositories().iter())
        .map(|one| one.repository.as_str())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names.contains(&"\"\\376\"") && names.contains(&"\"\\377\""),
        "{names:?}"
    );
    let again = world.path("again");
    fs::write(&again, &told.text).unwrap();
    let merged = audit(&world, &["--merge", "again"]);
    assert_eq!(merged.records.len(), told.records.len());
}

/// What is no file is not replaced by one, and a link stays a link.
#[test]
fn an_output_goes_where_it_was_sent() {
    let world = bare();
    let run = |to: &str| {
        let mut command = world.ringfence_command(&world.path(""));
        command.args(["audit", "-q", "org", "--format", "jsonl", "-o", to]);
        command.output().unwrap()
    };
    assert_eq!(run("/dev/null").status.code(), Some(0));
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    let output = run("/dev/stdout");
    assert_eq!(
        Told::of(&output).repositories().len(),
        1,
        "{}",
        both(&output)
    );
    fs::write(world.path("real"), "old").unwrap();
    symlink("real", world.path("link")).unwrap();
    assert_eq!(run("link").status.code(), Some(0));
    assert!(world.path("link").is_symlink());
    assert!(
        fs::read_to_string(world.path("real"))
            .unwrap()
            .starts_with('{')
    );
    // A folder is told before anything is looked at.
    let output = run("org");
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
}

/// Of a run that was killed the draft stays; the next one may have its process id.
#[test]
fn a_draft_that_was_left_behind_is_in_nobodys_way() {
    let world = bare();
    let script = r#"
        for pid in $(seq $$ $(($$ + 300))); do : > .out.$pid.0; done
        "$RINGFENCE" audit -q org --format jsonl -o out
        test -s out"#;
    let mut command = world.shell_command(&world.path(""), OsStr::new(script));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

#[test]
fn threads_have_a_bound() {
    let world = bare();
    for wrong in ["0", "1025", "1000000", "-1"] {
        let told = audit(&world, &["org", &format!("--jobs={wrong}")]);
        assert_eq!(told.code, Some(2), "{wrong}: {}", told.err);
    }
}

/// A pipe would be waited for, and a device has no end.
#[test]
fn a_ledger_or_a_state_that_is_no_file_is_told_at_once() {
    let world = bare();
    let ledger = world.server().join("ringfence/ledger.jsonl");
    let begun = Instant::now();
    let mut make = world.scrubbed("mkfifo", &world.path(""));
    assert!(make.arg(&ledger).status().unwrap().success());
    let told = audit(&world, &["org"]);
    assert_eq!(told.code, Some(3), "{}{}", told.text, told.err);
    assert!(
        told.repository().unread[0]
            .why
            .contains("not a regular file"),
        "{}",
        told.text
    );
    fs::remove_file(&ledger).unwrap();
    symlink("/dev/zero", &ledger).unwrap();
    let told = audit(&world, &["org"]);
    assert_eq!(told.code, Some(3), "{}{}", told.text, told.err);
    fs::remove_file(&ledger).unwrap();
    let state = world.path("state");
    let known = ["org", "--state", state.to_str().unwrap()];
    let whole = audit(&world, &known);
    let file = fs::read_dir(&state)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(&file).unwrap();
    symlink("/dev/zero", &file).unwrap();
    let told = audit(&world, &known);
    assert_eq!(
        (told.code, told.records[0].clone()),
        (Some(0), whole.records[0].clone())
    );
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// A pack that a repack is writing, and one that lost its index.
#[test]
fn a_repack_at_work_is_no_damage() {
    let world = bare();
    let packs = world.server().join("objects/pack");
    for (name, status) in [
        (".tmp-4711-pack-0123.pack", "complete"),
        ("pack-0123.pack", "incomplete"),
    ] {
        fs::write(packs.join(name), "PACK").unwrap();
        let told = audit(&world, &["org"]);
        assert_eq!(told.repository().status, status, "{}", told.text);
    }
}

/// Agents work in linked worktrees, and often on no branch.
#[test]
fn what_a_linked_worktree_has_checked_out_is_reached() {
    let world = bare();
    let alice = world.clone_for("alice");
    alice.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    let linked = world.path("clones/linked");
    let git = |arguments: &[&str]| {
        let mut command = world.git_command(&linked);
        assert!(command.args(arguments).status().unwrap().success());
    };
    fs::write(linked.join("key.txt"), token("linked")).unwrap();
    git(&["add", "key.txt"]);
    let author = [
        "-c",
        "user.name=Claude",
        "-c",
        "user.email=noreply@anthropic.com",
    ];
    git(&[&author[..], &["commit", "-q", "-m", "Add"]].concat());
    let told = audit(&world, &["clones/alice"]);
    let one = only(&told, "content");
    assert!(one.at_tip && !one.unreachable, "{one:?}");
    assert_eq!(one.refs, ["worktrees/linked/HEAD"]);
    assert_eq!(told.repository().agents, 1, "{}", told.text);
    assert_eq!(told.repository().status, "complete");
}

/// A file goes on changing around what is hidden in it.
#[test]
fn hidden_text_stays_at_the_tip_until_it_is_taken_away() {
    let world = bare();
    let alice = world.clone_for("alice");
    let hidden = "x\u{e0041}\u{e0042}\n";
    alice.write("notes.md", hidden);
    let made = alice.commit("Hide");
    alice.write("notes.md", format!("more\n{hidden}"));
    alice.commit("Change something else");
    land(&alice);
    let one = |told: &Told| told.findings("content")[0].clone();
    let told = audit(&world, &["org", "--state", "known"]);
    let there = one(&told);
    assert_eq!(there.rule, "unicode/tag-text");
    assert!(there.at_tip && there.removed.is_none(), "{there:?}");
    assert_eq!(there.first.as_ref().unwrap().commit, made);
    assert_eq!(there.place_count, 1);
    alice.write("notes.md", "more\n");
    let removed = alice.commit("Take it away");
    land(&alice);
    let told = audit(&world, &["org", "--state", "known"]);
    let gone = one(&told);
    assert!(!gone.at_tip, "{gone:?}");
    assert_eq!(gone.removed.as_ref().unwrap().commit, removed);
    assert_eq!(one(&audit(&world, &["org"])), gone);
}

/// Names of repositories and of files that are the same for longer than a line.
#[test]
fn long_names_that_begin_alike_stay_two() {
    let world = bare();
    let alice = world.clone_for("alice");
    let deep = ["d".repeat(70), "e".repeat(70)].join("/");
    let hidden = "x\u{e0041}\u{e0042}\n";
    alice.write(format!("{deep}/one.md"), hidden);
    alice.commit("Hide");
    land(&alice);
    for name in ["one.git", "two.git"] {
        let path = world.path(&format!("deep/{deep}/{name}"));
        let path = path.to_str().unwrap();
        world.server_git(&["clone", "-q", "--bare", ".", path]);
    }
    let told = audit(&world, &["deep"]);
    let all = told.repositories();
    let names: Vec<&String> = all.iter().map(|one| &one.repository).collect();
    let wanted = [format!("{deep}/one"), format!("{deep}/two")];
    assert_eq!(names, wanted.iter().collect::<Vec<_>>(), "{}", told.text);
    fs::write(world.path("before"), &told.text).unwrap();
    // The same text in another file of the second one.
    alice.write(format!("{deep}/two.md"), hidden);
    alice.commit("Hide again");
    let two = world.path(&format!("deep/{deep}/two.git"));
    alice.git(&["push", "-q", two.to_str().unwrap(), "HEAD:main"]);
    let told = audit(&world, &["deep", "--baseline", "before"]);
    assert_eq!(told.findings("content").len(), 1, "{}", told.text);
    let new = told.findings("content")[0];
    assert_eq!(new.repository, format!("{deep}/two"));
    assert!(new.path.as_ref().unwrap().contains("... (148 bytes, "));
    assert_eq!(told.code, Some(1));
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let world = bare();
    let told = audit(&world, &["org"]);
    fs::write(world.path("whole"), &told.text).unwrap();
    for arguments in [
        &["--merge", "whole", "--baseline", "whole"][..],
        &["--merge", "whole", "--since", "2026-01-01"],
        &["--merge", "whole", "--ref", "refs/heads/**"],
        &["--merge", "whole", "--path", "docs/**"],
        &["--merge", "whole", "--as", "docs-bot"],
        &["--merge", "whole", "--state", "known"],
        &["--merge", "whole", "--key", "key"],
        &["-z", "org"],
        &["-z"],
        &["org", "--path", "./docs/**"],
        &["org", "--path", "docs/../src/**"],
    ] {
        let told = audit(&world, arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}\n{}", told.err);
        assert!(told.err.starts_with("error: "), "{}", told.err);
        assert_eq!(told.text, "", "{arguments:?}");
    }
}

/// What no ref reaches counts for no agent, neither its commits nor its paths, also when refs move between two audits.
#[test]
fn paths_of_agents_are_those_of_the_commits_that_count() {
    let world = bare();
    let alice = world.clone_for("alice");
    alice.set("GIT_AUTHOR_EMAIL", "noreply@anthropic.com");
    for name in ["docs/a.md", "docs/b.md", "docs/c.md"] {
        alice.write(name, "text\n");
        alice.commit("Write");
    }
    let touched = |arguments: &[&str]| {
        let told = audit(&world, &[&["org"], arguments].concat());
        let agents = told.records.iter().filter_map(|record| match record {
            Record::Agent(one) => Some((one.commits, one.paths.len(), one.path_count)),
            _ => None,
        });
        agents.collect::<Vec<_>>()
    };
    land(&alice);
    for (back, count) in [(0, 3), (2, 1), (1, 2), (0, 3), (3, 0)] {
        let to = format!("main~{back}");
        let id = alice.git(&["rev-parse", &to]);
        world.server_git(&["update-ref", "refs/heads/main", &id]);
        let wanted = match count {
            0 => vec![],
            _ => vec![(count, count as usize, count)],
        };
        assert_eq!(touched(&["--state", "known"]), wanted, "{to}");
        assert_eq!(touched(&[]), wanted, "{to}");
    }
}
