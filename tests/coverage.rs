//! `ringfence audit` against the ledger, after real pushes through the real hook and around it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence::audit::record::{Record, Uncovered};
use ringfence::ledger::{Ledger, records};

use crate::audit::{Told, audit};
use crate::world::{Setup, World, default_policy};

const MINE: &str = "refs/heads/agents/porter/x";

fn uncovered(told: &Told) -> Vec<&Uncovered> {
    let all = told.records.iter();
    all.filter_map(|record| match record {
        Record::Uncovered(one) => Some(one),
        _ => None,
    })
    .collect()
}

/// Kind and ref of each, or the commit.
fn short(told: &Told) -> Vec<String> {
    let name = |one: &Uncovered| match (&one.name, &one.commit) {
        (Some(name), _) => format!("{} {name}", one.kind),
        (None, Some(commit)) => format!("{} {}", one.kind, commit.commit),
        (None, None) => one.kind.clone(),
    };
    let mut all: Vec<String> = uncovered(told).into_iter().map(name).collect();
    all.sort();
    all
}

fn of_ref<'t>(told: &'t Told, name: &str) -> &'t Uncovered {
    let mut all = uncovered(told).into_iter();
    all.find(|one| one.name.as_deref() == Some(name)).unwrap()
}

fn ledger(world: &World) -> PathBuf {
    world.server().join("ringfence/ledger.jsonl")
}

/// Makes a commit on the server behind the hook's back.
fn commit_past_the_gate(world: &World, parent: &str) -> String {
    let mut commit = world.git_command(&world.server());
    commit
        .args(["commit-tree", "-p", parent, "-m", "past the gate"])
        .arg(format!("{parent}^{{tree}}"));
    for who in ["AUTHOR", "COMMITTER"] {
        commit.env(format!("GIT_{who}_NAME"), "x");
        commit.env(format!("GIT_{who}_EMAIL"), "x@x.example");
    }
    let output = commit.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Two agents' and people's pushes, accepted and refused, with a force push, a delete and a ref made again.
fn work(world: &World) {
    let porter = world.clone_for("porter");
    porter.write("docs/a.md", "one\n");
    porter.commit("One");
    porter.push(&[format!("HEAD:{MINE}")]).expect_accept();
    porter.write("docs/a.md", "two\n");
    porter.commit("Two");
    porter.push(&[format!("HEAD:{MINE}")]).expect_accept();
    porter.push(&[format!("+HEAD~1:{MINE}")]).expect_accept();
    porter
        .push(&["HEAD:refs/heads/main"])
        .expect_reject(&["ref/out-of-boundary"]);
    porter.push(&[format!(":{MINE}")]).expect_accept();
    porter.push(&[format!("HEAD:{MINE}")]).expect_accept();
    let alice = world.clone_for("alice");
    alice.git(&["tag", "-a", "-m", "v1", "v1"]);
    alice.write("README.md", "By alice\n");
    alice.commit("Readme");
    alice.push(&["HEAD:refs/heads/main", "v1"]).expect_accept();
}

#[test]
fn what_passed_the_gate_is_covered() {
    let world = World::new();
    world.server_git(&["branch", "old", "main"]);
    work(&world);
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(short(&told), [""; 0], "{}", told.text);
    let about = told.repository();
    let ledger = about.ledger.as_ref().unwrap();
    assert!(ledger.intact && ledger.why.is_none());
    assert_eq!((ledger.decisions, about.uncovered), (7, 0));
    assert!(
        ledger.notes[0].contains("does not mention 1 refs"),
        "{:?}",
        ledger.notes
    );
    let told = audit(&world, &["org/site.git", "--no-ledger"]);
    assert_eq!(told.repository().ledger, None);
}

#[test]
fn what_went_around_the_gate_is_told() {
    let world = World::new();
    work(&world);
    let made = commit_past_the_gate(&world, "main");
    world.server_git(&["update-ref", "refs/heads/main", &made]);
    world.server_git(&["branch", "-D", "agents/porter/x"]);
    let told = audit(&world, &["org/site.git"]);
    let expected = [
        format!("commit {made}"),
        format!("ref-deleted {MINE}"),
        "ref-update refs/heads/main".to_owned(),
    ];
    assert_eq!(short(&told), expected, "{}", told.text);
    assert_eq!(told.code, Some(1));
    assert_eq!(
        (told.repository().uncovered, told.summary().uncovered),
        (3, 3)
    );
    let main = of_ref(&told, "refs/heads/main");
    assert_eq!(main.new.as_ref(), Some(&made));
    assert_eq!(main.old, Some(world.id(&format!("{made}^"))));
    // Another branch, looked at alone; and a ref that a ref filter leaves out.
    let told = audit(&world, &["org/site.git", "--ref", "refs/heads/agents/**"]);
    assert_eq!(
        short(&told),
        [format!("commit {made}"), format!("ref-deleted {MINE}")]
    );
    // Work that is pushed on top of it does not cover it.
    let bob = world.clone_for("bob");
    bob.write("README.md", "On top\n");
    bob.commit("On top");
    bob.push(&["HEAD:refs/heads/main"]).expect_accept();
    let told = audit(&world, &["org/site.git"]);
    let again = short(&told);
    assert!(again == expected, "{again:?}");
    assert!(of_ref(&told, "refs/heads/main").time.is_some());
}

/// The gate is taken out; post-receive stays, and tells.
#[test]
fn a_push_without_the_gate_is_told() {
    let world = World::new();
    work(&world);
    fs::remove_file(world.server().join("hooks/pre-receive")).unwrap();
    let builder = world.clone_for("builder");
    builder.write(".github/workflows/ci.yml", "on: push\n");
    let commit = builder.commit("Take over");
    assert!(builder.push(&["HEAD:refs/heads/main"]).accepted);
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(
        short(&told),
        [
            format!("commit {commit}"),
            "ref-update refs/heads/main".to_owned()
        ]
    );
    assert!(of_ref(&told, "refs/heads/main").time.is_some());
}

/// Moves all that the ledger says into the past.
fn age(world: &World, hours: i64) {
    let path = ledger(world);
    let old: Vec<_> = records(&path)
        .unwrap()
        .map(|record| record.unwrap().1)
        .collect();
    fs::remove_file(&path).unwrap();
    let aged = Ledger::open(&path).unwrap();
    for record in old {
        let mut entry = record.entry;
        let time: Timestamp = entry.time.parse().unwrap();
        entry.time = format!("{:.3}", time - SignedDuration::from_hours(hours));
        aged.append(&entry, Duration::from_secs(5)).unwrap();
    }
}

#[test]
fn a_decision_that_never_landed_is_told_with_who_and_when() {
    let world = World::new();
    work(&world);
    // Declines what the gate has let pass, as gitolite does.
    let update = world.server().join("hooks/update");
    fs::write(&update, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&update, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let porter = world.path("clones/porter");
    let mut push = world.git_command(&porter);
    push.args(["push", "-q", "origin", "HEAD:refs/heads/agents/porter/y"])
        .env(crate::world::ACCOUNT, "porter");
    assert!(!push.output().unwrap().status.success());
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(short(&told), [""; 0], "it may still be on its way");
    age(&world, 2);
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(
        short(&told),
        ["not-landed refs/heads/agents/porter/y"],
        "{}",
        told.text
    );
    let one = uncovered(&told)[0];
    assert_eq!(one.identity.as_deref(), Some("porter"));
    assert!(one.decision.is_some() && one.time.is_some() && one.old.is_none());
    // By time, as an incident is looked into.
    let until = (Timestamp::now() - SignedDuration::from_hours(3)).to_string();
    assert_eq!(
        short(&audit(&world, &["org/site.git", "--until", &until])),
        [""; 0]
    );
}

#[test]
fn a_ref_that_is_younger_than_the_ledger_and_that_nobody_pushed_is_told() {
    let world = World::new();
    work(&world);
    age(&world, 2);
    let made = commit_past_the_gate(&world, "main");
    world.server_git(&["tag", "v2", &made]);
    // On old history, but an annotated tag has a clock of its own.
    let mut tag = world.git_command(&world.server());
    tag.args(["tag", "-a", "-m", "x", "v3", "main"]).envs([
        ("GIT_COMMITTER_NAME", "x"),
        ("GIT_COMMITTER_EMAIL", "x@x.example"),
    ]);
    assert!(tag.status().unwrap().success());
    let told = audit(&world, &["org/site.git"]);
    let expected = [
        format!("commit {made}"),
        "ref-update refs/tags/v2".to_owned(),
        "ref-update refs/tags/v3".into(),
    ];
    assert_eq!(short(&told), expected, "{}", told.text);
}

/// It is noticed by the audit first and then by a push, and stays the same.
#[test]
fn what_a_baseline_knows_is_known_however_it_was_noticed() {
    let world = World::new();
    work(&world);
    let made = commit_past_the_gate(&world, "main");
    world.server_git(&["update-ref", "refs/heads/main", &made]);
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(told.summary().uncovered, 2, "{}", told.text);
    fs::write(world.path("before"), &told.text).unwrap();
    let bob = world.clone_for("bob");
    bob.write("README.md", "On top\n");
    bob.commit("On top");
    bob.push(&["HEAD:refs/heads/main"]).expect_accept();
    let told = audit(&world, &["org/site.git", "--baseline", "before"]);
    assert_eq!(short(&told), [""; 0], "{}", told.text);
    assert_eq!(told.code, Some(0));
    // The same once more is another.
    let again = commit_past_the_gate(&world, "main");
    world.server_git(&["update-ref", "refs/heads/main", &again]);
    let told = audit(&world, &["org/site.git", "--baseline", "before"]);
    let wanted = [
        format!("commit {again}"),
        "ref-update refs/heads/main".to_owned(),
    ];
    assert_eq!(short(&told), wanted, "{}", told.text);
    // A broken chain is told apart by where it is broken.
    let path = ledger(&world);
    let text = fs::read_to_string(&path).unwrap();
    let broken = text.replacen("\"porter\"", "\"nobody\"", 1);
    fs::write(&path, broken).unwrap();
    let told = audit(&world, &["org/site.git", "--baseline", "before"]);
    assert!(short(&told).contains(&"chain".to_owned()), "{}", told.text);
}

#[test]
fn an_edited_ledger_is_told() {
    let world = World::new();
    work(&world);
    let text = fs::read_to_string(ledger(&world)).unwrap();
    fs::write(ledger(&world), text.replacen("\"reject\"", "\"accept\"", 1)).unwrap();
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(short(&told), ["chain"], "{}", told.text);
    let about = told.repository().ledger.as_ref().unwrap();
    assert!(
        !about.intact && about.why.as_ref().unwrap().contains("line 7: "),
        "{about:?}"
    );
    assert_eq!(told.code, Some(1));
    // An end that was cut off does not show, but what it was about does.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.truncate(lines.len() - 2);
    fs::write(ledger(&world), lines.join("\n") + "\n").unwrap();
    let told = audit(&world, &["org/site.git"]);
    assert!(
        short(&told).contains(&"ref-update refs/heads/main".to_owned()),
        "{}",
        told.text
    );
}

/// One ledger for several repositories, and one of them that it never mentions.
#[test]
fn a_shared_ledger_is_read_by_name() {
    let policy = default_policy().replace(
        "version: 1\n",
        "version: 1\nledger: $WORLD/shared/ledger.jsonl\n",
    );
    let world = World::with(Setup {
        policy: Some(policy),
        ..Setup::default()
    });
    work(&world);
    world.server_git(&["clone", "-q", "--bare", ".", "../other.git"]);
    let policy = world.policy_path();
    let policy = policy.to_str().unwrap();
    let told = audit(&world, &["org", "--policy", policy]);
    assert_eq!(short(&told), ["ref-update"], "{}", told.text);
    let one = uncovered(&told)[0];
    assert!(
        one.repository.ends_with("other") && one.why.contains("no decision about this repository")
    );
    // Named by hand; one that is not there is a mistake.
    let shared = world.path("shared/ledger.jsonl");
    let told = audit(
        &world,
        &["org/site.git", "--ledger", shared.to_str().unwrap()],
    );
    assert_eq!(
        (
            short(&told),
            told.repository().ledger.as_ref().unwrap().decisions
        ),
        (vec![], 7)
    );
    let told = audit(&world, &["org/site.git", "--ledger", "nowhere.jsonl"]);
    assert_eq!(told.code, Some(2));
    assert!(told.err.contains("nowhere.jsonl"), "{}", told.err);
    // One that cannot be read is no ledger without entries.
    fs::remove_file(&shared).unwrap();
    fs::create_dir(&shared).unwrap();
    let told = audit(&world, &["org/site.git", "--policy", policy]);
    assert_eq!(told.code, Some(3), "{}", told.text);
    assert_eq!(told.repository().unread[0].what, "the ledger");
}
