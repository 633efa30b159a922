//! Many pushers at once on one server: every verdict right, nothing lost, limits exact; and the same with the gate killed
//! at random moments.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::world::{ACCOUNT, Clone, RINGFENCE, Setup, World, both};

/// Pushers of each of the two kinds.
const HALF: usize = 4;

/// The team of four may push this often within an hour, all together.
const TEAM_MAX: usize = 100;

const POLICY: &str = r#"
version: 1
host: { kind: plain, account_env: RINGFENCE_TEST_ACCOUNT }
identities:
  team: { kind: agent, match: { account: [team0, team1, team2, team3] }, owner: alice, boundary: team }
  solo0: { kind: agent, match: { account: solo0 }, owner: alice, boundary: solo }
  solo1: { kind: agent, match: { account: solo1 }, owner: alice, boundary: solo }
  solo2: { kind: agent, match: { account: solo2 }, owner: alice, boundary: solo }
  solo3: { kind: agent, match: { account: solo3 }, owner: alice, boundary: solo }
boundaries:
  team:
    refs: [{ match: "refs/heads/agents/**", may: [create, update] }]
    paths: []
    limits: { pushes_per_hour: 100 }
  solo:
    refs: [{ match: "refs/heads/agents/**", may: [create, update, delete, own] }]
    paths: [{ match: "src/**", may: [add, modify] }, { match: "Cargo.lock", may: [modify] }]
    hold: [{ id: lock, paths: ["Cargo.lock"] }]
    limits: { suspend_after: 1000 }
"#;

/// What a push must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Accept,
    /// Rejected by this rule.
    Reject(&'static str),
    Hold,
    /// Accepted, or refused because the team has pushed enough.
    Shared,
}

struct Push {
    command: Command,
    expect: Expect,
    /// The ref that it creates when it passes.
    creates: Option<String>,
}

/// What became of a push, as its pusher saw it.
struct Seen {
    output: Output,
    expect: Expect,
    creates: Option<String>,
}

/// Commits on top of main: `good` changes src/, `lock` changes Cargo.lock.
fn prepare(clone: &Clone<'_>) {
    let mut stream = String::new();
    for (branch, path) in [("good", "src/new.rs"), ("lock", "Cargo.lock")] {
        let _ = write!(
            stream,
            "commit refs/heads/{branch}\ncommitter x <x@agents.example> 1767300000 +0000\ndata 1\nx\n\
             from refs/heads/main\nM 644 inline {path}\ndata 2\nx\n"
        );
    }
    clone.feed(&["fast-import", "--quiet"], stream.as_bytes());
}

fn push(clone: &Clone<'_>, refspec: String, expect: Expect, creates: Option<String>) -> Push {
    let mut command = clone.world().git_command(clone.dir());
    clone.dress(&mut command);
    command.args(["push", "-q", "origin", &refspec]);
    Push {
        command,
        expect,
        creates,
    }
}

/// `count` pushes of a member of the team: each makes a ref.
fn of_team(clone: &Clone<'_>, number: usize, count: usize) -> Vec<Push> {
    let make = |n: usize| {
        let name = format!("refs/heads/agents/team{number}/{n}");
        push(clone, format!("main:{name}"), Expect::Shared, Some(name))
    };
    (0..count).map(make).collect()
}

/// `count` pushes of somebody who works alone, of every kind in turn.
fn of_solo(clone: &Clone<'_>, number: usize, count: usize) -> Vec<Push> {
    let own = |n: usize| format!("refs/heads/agents/solo{number}/{n}");
    let make = |n: usize| match n % 6 {
        0 => push(
            clone,
            format!("good:{}", own(n)),
            Expect::Accept,
            Some(own(n)),
        ),
        1 => push(
            clone,
            format!("main:refs/heads/topic{number}"),
            Expect::Reject("ref/out-of-boundary"),
            None,
        ),
        2 => push(clone, format!("lock:{}", own(n)), Expect::Hold, None),
        // Made by a person who pushed past the gate; nobody's.
        3 => push(
            clone,
            ":refs/heads/agents/old".to_owned(),
            Expect::Reject("ref/owner-unknown"),
            None,
        ),
        // Made by the first of them, before all others started.
        4 => push(
            clone,
            ":refs/heads/agents/first".to_owned(),
            Expect::Reject("ref/not-own"),
            None,
        ),
        _ => push(
            clone,
            format!("main:{}", own(n)),
            Expect::Accept,
            Some(own(n)),
        ),
    };
    (0..count).map(make).collect()
}

/// A server, and everybody's pushes.
fn set_up(world: &World, count: usize) -> Vec<Vec<Push>> {
    world.server_git(&["branch", "agents/old", "main"]);
    let clone = |name: String| {
        let clone = world.clone_for(&name);
        prepare(&clone);
        clone
    };
    let teams: Vec<_> = (0..HALF).map(|n| clone(format!("team{n}"))).collect();
    let solos: Vec<_> = (0..HALF).map(|n| clone(format!("solo{n}"))).collect();
    teams[0]
        .push(&["main:refs/heads/agents/first"])
        .expect_accept();
    let teams = teams
        .iter()
        .enumerate()
        .map(|(n, clone)| of_team(clone, n, count));
    let solos = solos
        .iter()
        .enumerate()
        .map(|(n, clone)| of_solo(clone, n, count));
    teams.chain(solos).collect()
}

/// All pushers at once, each one push after the other.
fn run(pushers: Vec<Vec<Push>>) -> Vec<Seen> {
    let one = |pushes: Vec<Push>| -> Vec<Seen> {
        let carry_out = |mut push: Push| Seen {
            output: push.command.output().unwrap(),
            expect: push.expect,
            creates: push.creates,
        };
        pushes.into_iter().map(carry_out).collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = pushers
            .into_iter()
            .map(|pushes| scope.spawn(move || one(pushes)))
            .collect();
        running
            .into_iter()
            .flat_map(|pusher| pusher.join().unwrap())
            .collect()
    })
}

fn ringfence(world: &World, arguments: &[&str]) -> String {
    let mut command = world.ringfence_command(&world.server());
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Every entry of the ledger, which must be whole.
fn entries(world: &World) -> Vec<serde_json::Value> {
    ringfence(world, &["ledger", "verify"]);
    let text = fs::read_to_string(world.server().join("ringfence/ledger.jsonl")).unwrap();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn decided<'e>(
    entries: &'e [serde_json::Value],
    verdict: &'e str,
) -> impl Iterator<Item = &'e serde_json::Value> {
    entries
        .iter()
        .filter(move |entry| entry["kind"] == "decision" && entry["verdict"] == verdict)
}

/// The files of the index.
fn index(world: &World) -> BTreeMap<String, String> {
    let folder = world.server().join("ringfence/ledger.jsonl.index");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    let is_draft = |name: &String| Path::new(name).extension().is_some();
    fs::read_dir(folder)
        .unwrap()
        .map(file)
        .filter(|(name, _)| !is_draft(name))
        .collect()
}

/// What was added bit by bit is what the whole ledger says.
fn assert_index_follows_from_the_ledger(world: &World) {
    let grown = index(world);
    ringfence(world, &["ledger", "index"]);
    let made = index(world);
    assert!(grown.len() > 2, "there is an index");
    for (name, text) in &made {
        assert_eq!(
            grown.get(name),
            Some(text),
            "{name} is not what the ledger says"
        );
    }
}

/// The refs of the server are those whose makers were told so.
fn assert_refs(world: &World, seen: &[Seen]) {
    let refs = world.refs();
    let stands = |name: &str| refs.lines().any(|line| line.ends_with(&format!(" {name}")));
    for one in seen {
        if let Some(name) = &one.creates {
            let (landed, told) = (stands(name), one.output.status.success());
            assert_eq!(landed, told, "{name}\n{}", both(&one.output));
        }
    }
}

#[test]
fn eight_pushers_at_once() {
    const EACH: usize = 63;
    let world = World::with(Setup {
        policy: Some(POLICY.to_owned()),
        ..Setup::default()
    });
    let pushers = set_up(&world, EACH);
    let seen = run(pushers);
    assert_eq!(seen.len(), 2 * HALF * EACH);
    let mut team = 1; // The first was pushed before.
    for one in &seen {
        let (passed, said) = (one.output.status.success(), both(&one.output));
        let names = |rule: &str| said.contains(&format!("error[{rule}]"));
        let right = match one.expect {
            Expect::Accept => passed,
            Expect::Reject(rule) => !passed && names(rule),
            Expect::Hold => !passed && said.contains("error: push held"),
            Expect::Shared => passed || names("limit/pushes-per-hour"),
        };
        assert!(right, "expected {:?}:\n{said}", one.expect);
        team += usize::from(passed && one.expect == Expect::Shared);
    }
    assert_eq!(team, TEAM_MAX, "the limit of the team is exact");
    let entries = entries(&world);
    let count = |verdict| decided(&entries, verdict).count();
    let passed = 1 + seen
        .iter()
        .filter(|one| one.output.status.success())
        .count();
    let held = seen.iter().filter(|one| one.expect == Expect::Hold).count();
    assert_eq!(count("accept"), passed);
    assert_eq!(count("hold"), held);
    assert_eq!(count("reject"), 1 + seen.len() - passed - held);
    assert_eq!(count("unjudged"), 0);
    let landed: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "landed")
        .collect();
    assert_eq!(landed.len(), passed);
    assert!(landed.iter().all(|entry| entry["decision"].is_string()));
    assert_refs(&world, &seen);
    assert_index_follows_from_the_ledger(&world);
    world.assert_sound();
}

/// Numbers that look random and are the same in every run.
fn dice(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn eight_pushers_at_once_and_the_gate_killed_at_random_moments() {
    const EACH: usize = 36;
    let world = World::with(Setup {
        policy: Some(POLICY.replace("per_hour: 100", "per_hour: 40")),
        ..Setup::default()
    });
    let mut pushers = set_up(&world, EACH);
    let policy = world.policy_path();
    let policy = policy.display();
    world.set_hook(&format!(
        "exec timeout -s KILL ${{KILL_AFTER:-60}} '{RINGFENCE}' hook pre-receive --policy '{policy}'\n"
    ));
    let mut state = 42;
    for push in pushers.iter_mut().flatten() {
        match dice(&mut state) % 6 {
            0 => push.command.env("RINGFENCE_FAULT", "kill"),
            1 | 2 => {
                let after = dice(&mut state) % 150;
                push.command.env("KILL_AFTER", format!("0.{after:03}1"))
            }
            _ => &mut push.command,
        };
    }
    let seen = run(pushers);
    let mut cut_short = 0;
    for one in &seen {
        let (passed, said) = (one.output.status.success(), both(&one.output));
        let names = |rule: &str| said.contains(&format!("error[{rule}]"));
        if !passed && !said.contains("remote: error: push") {
            assert!(said.contains("pre-receive hook declined"), "{said}");
            cut_short += 1;
            continue;
        }
        let right = match one.expect {
            Expect::Accept => passed,
            Expect::Reject(rule) => !passed && names(rule),
            Expect::Hold => !passed && said.contains("error: push held"),
            Expect::Shared => passed || names("limit/pushes-per-hour"),
        };
        assert!(right, "expected {:?}:\n{said}", one.expect);
    }
    assert!(cut_short > 20, "{cut_short} were killed");
    let entries = entries(&world);
    let of_team = |entry: &&serde_json::Value| entry["actor"] == "team";
    // Whoever was killed after the entry stood there has used a place, and none is used twice.
    let counted = decided(&entries, "accept").filter(of_team).count();
    assert_eq!(counted, 40, "the limit of the team is exact");
    let passed = seen
        .iter()
        .filter(|one| one.output.status.success())
        .count();
    assert!(
        decided(&entries, "accept").count() > passed,
        "first included"
    );
    assert_refs(&world, &seen);
    // The next push brings the index up to date, whatever the last killed one left behind.
    let solo = world.clone_for("last");
    solo.set(ACCOUNT, "solo0");
    solo.push(&["main:refs/heads/agents/last"]).expect_accept();
    assert_index_follows_from_the_ledger(&world);
    world.assert_sound();
}
