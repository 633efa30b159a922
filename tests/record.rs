//! The ledger after real pushes: complete, chained, and without a secret.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence::ledger::{Entry, Ledger};

use crate::samples::github_pat;
use crate::world::{World, both};

const MINE: &str = "refs/heads/agents/builder";

fn ledger(world: &World) -> String {
    fs::read_to_string(world.server().join("ringfence/ledger.jsonl")).unwrap()
}

/// Exit code and output of `ringfence ledger verify`.
fn verify(world: &World) -> (Option<i32>, String) {
    let mut command = world.ringfence_command(&world.server());
    let output = command.args(["ledger", "verify"]).output().unwrap();
    (output.status.code(), both(&output))
}

#[test]
fn every_push_is_recorded_whatever_became_of_it() {
    let world = World::new();
    let builder = world.clone_for("builder");
    builder.push(&[format!("main:{MINE}/fine")]).expect_accept();
    builder
        .push(&["main:refs/heads/topic"])
        .expect_reject(&["ref/out-of-boundary"]);
    builder.write("Cargo.lock", "version = 5\n");
    builder.commit("Lock");
    assert!(!builder.push(&[format!("main:{MINE}/lock")]).accepted);
    let record = ledger(&world);
    for (verdict, name) in [("accept", "fine"), ("reject", "topic"), ("hold", "lock")] {
        let has = |line: &&str| line.contains(&format!("\"{verdict}\"")) && line.contains(name);
        assert_eq!(
            record.lines().filter(has).count(),
            1,
            "{verdict} {name}:\n{record}"
        );
    }
    assert_eq!(verify(&world).0, Some(0), "{}", verify(&world).1);
}

#[test]
fn a_changed_record_is_found() {
    let world = World::new();
    let builder = world.clone_for("builder");
    builder.push(&[format!("main:{MINE}/fine")]).expect_accept();
    builder
        .push(&["main:refs/heads/topic"])
        .expect_reject(&["ref/out-of-boundary"]);
    builder.push(&[format!("main:{MINE}/more")]).expect_accept();
    let record = ledger(&world);
    let path = world.server().join("ringfence/ledger.jsonl");
    let without_one: String = record
        .lines()
        .filter(|line| !line.contains("topic"))
        .map(|l| l.to_owned() + "\n")
        .collect();
    for forged in [record.replace("\"reject\"", "\"accept\""), without_one] {
        assert_ne!(forged, record);
        fs::write(&path, forged).unwrap();
        let (code, said) = verify(&world);
        assert_eq!(code, Some(1), "{said}");
    }
    fs::write(&path, record).unwrap();
    assert_eq!(verify(&world).0, Some(0));
}

#[test]
fn pushes_at_the_same_time_are_all_recorded() {
    const PUSHES: usize = 8;
    let world = World::new();
    let builder = world.clone_for("builder");
    let start = |n: usize| {
        let mut command = world.git_command(builder.dir());
        builder.dress(&mut command);
        command
            .args(["push", "-q", "origin"])
            .arg(format!("main:{MINE}/at-once-{n}"));
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..PUSHES).map(start).collect();
    for push in running {
        let output = push.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
    }
    let record = ledger(&world);
    for n in 0..PUSHES {
        let name = format!("at-once-{n}");
        let has = |line: &&str| line.contains("\"accept\"") && line.contains(&name);
        assert_eq!(record.lines().filter(has).count(), 1, "{name}:\n{record}");
    }
    assert_eq!(verify(&world).0, Some(0), "{}", verify(&world).1);
}

/// A clock that was ahead, or went back: what expires cannot be known, so agents wait, and people are told.
#[test]
fn a_clock_behind_the_record_stops_agents_until_somebody_looks() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let alice = world.clone_for("alice");
    let ahead = Timestamp::now() + SignedDuration::from_hours(24);
    let path = world.server().join("ringfence/ledger.jsonl");
    let patience = Duration::from_secs(5);
    let entry = Entry::clock("a wrong clock".into(), ahead);
    Ledger::open(&path)
        .unwrap()
        .append(&entry, patience)
        .unwrap();
    for n in 0..2 {
        let pushed = builder.push(&[format!("main:{MINE}/{n}")]);
        pushed.expect_reject(&["time/clock"]);
        assert!(
            pushed.said.contains("\"retry\":\"later\""),
            "{}",
            pushed.said
        );
        let pushed = alice.push(&[format!("main:refs/heads/topic-{n}")]);
        assert!(pushed.accepted, "{}", pushed.everything);
        assert_eq!(pushed.rules("warning"), ["time/clock"]);
    }
    let run = |arguments: &[&str]| {
        let mut command = world.ringfence_command(&world.server());
        both(&command.args(arguments).output().unwrap())
    };
    let doctor = run(&["doctor", "--repo", "."]);
    assert!(
        doctor.contains("the clock is behind the ledger"),
        "{doctor}"
    );
    let said = run(&["ledger", "clock"]);
    assert!(said.starts_with("ok: "), "{said}");
    builder
        .push(&[format!("main:{MINE}/right")])
        .expect_accept();
}

#[test]
fn a_refused_secret_is_nowhere_on_the_server() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let token = github_pat("record");
    builder.write(
        "src/config.rs",
        format!("const TOKEN: &str = \"{token}\";\n"),
    );
    builder.commit(format!("Use {token}"));
    let pushed = builder.push(&[format!("main:{MINE}/{token}")]);
    pushed.expect_reject(&["secret/github-pat"]);
    fn look(folder: &Path, token: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, token);
            } else {
                let bytes = fs::read(&path).unwrap();
                let found = memchr::memmem::find(&bytes, &token.as_bytes()[4..]).is_some();
                assert!(!found, "the secret stands in {}", path.display());
            }
        }
    }
    look(&world.server(), &token);
}
