//! `ringfence audit` over real repositories, compared with what git itself says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;

use ringfence::audit::record::{Agent, Finding, Record, Repository, Summary};

use crate::samples::expand;
use crate::world::{Clone, Setup, World, both, feed};

/// What one run told.
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) records: Vec<Record>,
    pub(crate) text: String,
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn of(output: &Output) -> Told {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let records = text
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        Told {
            code: output.status.code(),
            records,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            text,
        }
    }

    pub(crate) fn repositories(&self) -> Vec<&Repository> {
        let all = self.records.iter();
        all.filter_map(|record| match record {
            Record::Repository(one) => Some(one),
            _ => None,
        })
        .collect()
    }

    pub(crate) fn repository(&self) -> &Repository {
        let all = self.repositories();
        assert_eq!(all.len(), 1, "{}", self.text);
        all[0]
    }

    fn agents(&self) -> BTreeMap<&str, &Agent> {
        let all = self.records.iter();
        all.filter_map(|record| match record {
            Record::Agent(one) => Some((one.agent.as_str(), one)),
            _ => None,
        })
        .collect()
    }

    pub(crate) fn findings(&self, source: &str) -> Vec<&Finding> {
        let all = self.records.iter();
        all.filter_map(|record| match record {
            Record::Finding(one) if one.source == source => Some(&**one),
            _ => None,
        })
        .collect()
    }

    /// The only finding of a rule.
    fn finding(&self, rule: &str) -> &Finding {
        let all = self.findings("content");
        let of_rule: Vec<_> = all.into_iter().filter(|one| one.rule == rule).collect();
        assert_eq!(of_rule.len(), 1, "{rule}:\n{}", self.text);
        of_rule[0]
    }

    pub(crate) fn summary(&self) -> &Summary {
        match self.records.last() {
            Some(Record::Summary(summary)) => summary,
            _ => panic!("no summary at the end:\n{}\n{}", self.text, self.err),
        }
    }
}

/// Runs the audit with these arguments, JSON lines.
pub(crate) fn audit(world: &World, arguments: &[&str]) -> Told {
    let mut command = world.ringfence_command(&world.path(""));
    command.args(["audit", "--format", "jsonl"]).args(arguments);
    Told::of(&command.output().unwrap())
}

pub(crate) fn secret(text: &str) -> (Vec<u8>, Vec<u8>) {
    let mut secrets = Vec::new();
    let text = expand(text, &mut secrets);
    (text, secrets.pop().unwrap())
}

/// A world without a policy, so that only what stands in the history counts.
pub(crate) fn bare() -> World {
    World::with(Setup {
        policy: None,
        ..Setup::default()
    })
}

pub(crate) fn land(clone: &Clone<'_>) {
    // Past the hook, as somebody did before there was one.
    let _ = fs::remove_file(clone.world().server().join("hooks/pre-receive"));
    clone.git(&["push", "-q", "--all", "-f"]);
    clone.git(&["push", "-q", "--tags", "-f"]);
}

/// What git says: the commits that change how often a value stands in the files, oldest first.
fn by_git(world: &World, value: &[u8]) -> Vec<String> {
    let value = String::from_utf8(value.to_vec()).unwrap();
    let log = world.server_git(&[
        "log",
        "--all",
        "--reverse",
        "--topo-order",
        "--format=%H",
        "-S",
        &value,
    ]);
    log.lines().map(str::to_owned).collect()
}

#[test]
fn nothing_stands_against_a_clean_history() {
    let world = bare();
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(told.code, Some(0), "{}{}", told.text, told.err);
    assert_eq!(told.repository().status, "complete");
    assert_eq!(told.repository().commits, 1);
    assert!(told.findings("content").is_empty());
    assert_eq!(told.summary().repositories, 1);
}

#[test]
fn a_secret_is_told_once_with_who_brought_it_where_and_when_it_went() {
    let world = bare();
    let alice = world.clone_for("alice");
    let (line, value) = secret("token = {{github-pat:audit}}\n");
    alice.write("docs/old.md", &line);
    let came = alice.commit("Add notes\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n");
    // Many versions of the file, and a second place.
    for version in 0..5 {
        alice.write(
            "docs/old.md",
            [format!("version {version}\n").as_bytes(), &line].concat(),
        );
        alice.commit("Edit the notes");
    }
    alice.write("docs/new.md", &line);
    let copied = alice.commit("Copy the notes");
    fs::remove_file(alice.dir().join("docs/old.md")).unwrap();
    alice.commit("Drop the old notes");
    fs::remove_file(alice.dir().join("docs/new.md")).unwrap();
    let went = alice.commit("Drop the notes");
    land(&alice);
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(told.code, Some(1), "{}", told.err);
    assert!(
        !told.text.contains(std::str::from_utf8(&value).unwrap()),
        "the value is shown"
    );
    let found = told.finding("secret/github-pat");
    let first = found.first.as_ref().unwrap();
    assert_eq!(first.commit, came);
    assert_eq!(first.author, "alice <alice@people.example>");
    assert_eq!(first.agents, ["claude-code"]);
    assert_eq!(found.last.as_ref().unwrap().commit, copied);
    assert_eq!(found.removed.as_ref().unwrap().commit, went);
    assert_eq!((found.at_tip, found.unreachable), (false, false));
    assert_eq!(found.refs, ["refs/heads/main"]);
    let places: Vec<_> = (found.places.iter())
        .map(|place| (place.path.as_deref().unwrap(), place.line.unwrap()))
        .collect();
    assert_eq!(places, [("docs/old.md", 1), ("docs/new.md", 1)]);
    let git = by_git(&world, &value);
    assert_eq!(git.first(), Some(&came));
    assert_eq!(git.last(), Some(&went));
    assert_eq!(told.summary().secrets_at_tip, 0);
}

#[test]
fn a_secret_at_a_tip_on_a_branch_in_a_tag_in_a_message_and_one_that_no_ref_reaches() {
    let world = bare();
    let alice = world.clone_for("alice");
    let (at_tip, _) = secret("{{github-pat:tip}}\n");
    let (in_message, _) = secret("{{github-pat:message}}");
    let (in_tag, _) = secret("{{github-pat:tag}}");
    let (lost, _) = secret("{{github-pat:lost}}\n");
    alice.git(&["switch", "-q", "-c", "topic"]);
    alice.write("a.txt", &at_tip);
    let tip = alice.commit("Add a file");
    let spoke = alice.commit(String::from_utf8([b"Say ", &in_message[..]].concat()).unwrap());
    alice.git(&[
        "tag",
        "-a",
        "v1",
        "-m",
        std::str::from_utf8(&in_tag).unwrap(),
    ]);
    alice.write("b.txt", &lost);
    let gone = alice.commit("Add another");
    land(&alice);
    alice.git(&[
        "push",
        "-q",
        "-f",
        "origin",
        &format!("{spoke}:refs/heads/topic"),
    ]);
    let told = audit(&world, &["org/site.git"]);
    let all = told.findings("content");
    let by_commit = |id: &str| {
        let is_its = |one: &&&Finding| one.first.as_ref().is_some_and(|first| first.commit == id);
        *all.iter()
            .find(is_its)
            .unwrap_or_else(|| panic!("{id}:\n{}", told.text))
    };
    let found = by_commit(&tip);
    assert!(found.at_tip && !found.unreachable, "{found:?}");
    assert_eq!(found.refs, ["refs/heads/topic", "refs/tags/v1"]);
    let found = by_commit(&spoke);
    assert_eq!(found.part, "message");
    let found = by_commit(&world.id("refs/tags/v1"));
    assert_eq!(found.part, "tag-message");
    assert!(found.at_tip);
    let found = by_commit(&gone);
    assert!(found.unreachable && !found.at_tip, "{found:?}");
    assert!(found.refs.is_empty());
    // Asked about one ref: only what it reaches.
    let told = audit(&world, &["org/site.git", "--ref", "refs/heads/main"]);
    assert_eq!(told.code, Some(0), "{}", told.text);
    let told = audit(&world, &["org/site.git", "--path", "b.txt"]);
    assert_eq!(told.findings("content").len(), 1);
}

#[test]
fn the_first_commit_of_every_value_is_the_one_that_git_names() {
    let world = bare();
    let alice = world.clone_for("alice");
    let mut values = Vec::new();
    for number in 0..12 {
        let (line, value) = secret(&format!("t{number} = {{{{github-pat:{number}}}}}\n"));
        let branch = format!("b{}", number % 3);
        let _ = world
            .git_command(alice.dir())
            .args(["switch", "-q", "-C", &branch, "origin/main"])
            .output();
        if number >= 3 {
            alice.git(&["reset", "-q", "--hard", &format!("k{}", number % 3)]);
        }
        alice.write(format!("f{}.txt", number % 4), &line);
        alice.commit(format!("Change {number}"));
        if number % 5 == 4 {
            let other = format!("k{}", (number + 1) % 3);
            let merge = ["merge", "-q", "-X", "ours", "-m", "Merge", &other];
            let mut command = world.git_command(alice.dir());
            alice.dress(&mut command);
            let _ = command.args(merge).output();
            alice.commit("Settle");
        }
        alice.git(&["branch", "-f", &format!("k{}", number % 3)]);
        values.push(value);
    }
    land(&alice);
    let told = audit(&world, &["org/site.git"]);
    let found: BTreeSet<String> = (told.findings("content").iter())
        .filter(|one| one.rule == "secret/github-pat")
        .map(|one| one.first.as_ref().unwrap().commit.clone())
        .collect();
    let wanted: BTreeSet<String> = (values.iter())
        .map(|value| by_git(&world, value)[0].clone())
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn agents_are_counted_as_git_counts_them() {
    let world = bare();
    let alice = world.clone_for("alice");
    for number in 0..3 {
        alice.write(format!("docs/{number}.md"), "text\n");
        alice.commit("Write\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n");
    }
    alice.set("GIT_AUTHOR_NAME", "dependabot[bot]");
    alice.set(
        "GIT_AUTHOR_EMAIL",
        "49699333+dependabot[bot]@users.noreply.github.com",
    );
    alice.write("Cargo.lock", "version = 5\n");
    alice.commit("Bump");
    land(&alice);
    let told = audit(&world, &["org/site.git"]);
    let agents = told.agents();
    let claude = agents["claude-code"];
    assert_eq!(
        (claude.commits, claude.kind.as_str(), claude.is_bot),
        (3, "claim", false)
    );
    assert_eq!(claude.evidence, BTreeMap::from([("trailer".to_owned(), 3)]));
    assert_eq!(claude.declared, None);
    assert_eq!(
        claude.paths.keys().collect::<Vec<_>>(),
        ["docs/0.md", "docs/1.md", "docs/2.md"]
    );
    assert_eq!(claude.refs, ["refs/heads/main"]);
    assert_eq!(claude.days.values().sum::<u64>(), 3);
    let bot = agents["dependabot"];
    assert!(bot.is_bot);
    assert_eq!((bot.commits, bot.path_count), (1, 1));
}

const POLICY: &str = "version: 1\n\
identities:\n  docs-bot:\n    kind: agent\n    match: { account: docs-bot }\n    boundary: docs\n    \
authors: [\"docs-bot <docs-bot@agents.example>\"]\n\
boundaries:\n  docs:\n    refs: [{ match: \"refs/heads/**\", may: [create, update] }]\n    \
paths: [{ match: \"docs/**\", may: [add, modify, delete] }]\n    deny: [{ id: ci, paths: [\"@ci\"] }]\n";

#[test]
fn the_past_is_judged_by_a_policy() {
    let world = World::with(Setup {
        policy: None,
        ..Setup::default()
    });
    fs::write(world.path("p.yaml"), POLICY).unwrap();
    let bot = world.clone_for("docs-bot");
    bot.write("docs/a.md", "fine\n");
    let fine = bot.commit("Write");
    bot.write(".github/workflows/ci.yml", "on: push\n");
    let ci = bot.commit("Change the build");
    bot.git(&["revert", "--no-edit", "HEAD"]);
    let reverted = bot.git(&["rev-parse", "HEAD"]);
    let alice = world.clone_for("alice");
    land(&bot);
    alice.git(&["pull", "-q"]);
    alice.write("src/lib.rs", "pub fn two() {}\n");
    let hers = alice.commit("Program");
    land(&alice);
    let told = audit(&world, &["org/site.git", "--policy", "p.yaml"]);
    assert_eq!(told.code, Some(1), "{}{}", told.text, told.err);
    let refused = |told: &Told| -> BTreeSet<(String, String)> {
        let findings = told.findings("replay");
        let each = findings.iter().flat_map(|one| {
            let of = |place: &ringfence::audit::record::Place| {
                (
                    one.rule.clone(),
                    place.commit.as_ref().unwrap().commit.clone(),
                )
            };
            one.places.iter().map(of).collect::<Vec<_>>()
        });
        each.collect()
    };
    let wanted = BTreeSet::from([
        ("path/denied".to_owned(), ci.clone()),
        ("path/denied".to_owned(), reverted.clone()),
    ]);
    assert_eq!(refused(&told), wanted, "{}", told.text);
    assert_eq!(told.repository().refused_commits, 2);
    let agent = told.agents()["docs-bot"];
    assert_eq!(
        (agent.kind.as_str(), agent.commits, agent.refused_commits),
        ("identity", 3, 2)
    );
    assert_eq!(agent.declared.as_deref(), Some("docs-bot"));
    // Everybody's work, as if the agent had done it.
    let told = audit(
        &world,
        &["org/site.git", "--policy", "p.yaml", "--as", "docs-bot"],
    );
    let refused = refused(&told);
    assert!(refused.contains(&("identity/author-mismatch".to_owned(), hers.clone())));
    assert!(
        refused
            .iter()
            .any(|(rule, id)| rule == "path/out-of-boundary" && *id == hers)
    );
    assert!(!refused.iter().any(|(_, id)| *id == fine), "{refused:?}");
    // An identity that is not there, and one without a policy.
    for arguments in [
        &["org/site.git", "--policy", "p.yaml", "--as", "nobody"][..],
        &["org/site.git", "--as", "docs-bot"],
        &["org/site.git", "--policy", "missing.yaml"],
        &["org/site.git", "--since", "soon"],
        &[
            "org/site.git",
            "--since",
            "2026-02-01",
            "--until",
            "2026-01-01",
        ],
        &["org/site.git", "--shard", "5/4"],
        &["org/site.git", "--ref", "a**b"],
    ] {
        let told = audit(&world, arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}\n{}", told.err);
        assert!(told.err.contains("error: "), "{}", told.err);
        assert_eq!(told.err.lines().count(), 1, "{}", told.err);
    }
}

/// Who may move a ref and not make one has made none.
#[test]
fn the_first_commit_of_an_agent_on_a_branch_of_others_moved_it() {
    let world = World::with(Setup {
        policy: None,
        ..Setup::default()
    });
    let bot = world.clone_for("docs-bot");
    for number in 0..2 {
        bot.write("docs/a.md", format!("{number}\n"));
        bot.commit("Write");
    }
    land(&bot);
    for (may, refused) in [
        ("[update]", [false, false]),
        ("[create]", [false, true]),
        ("[force]", [true, true]),
    ] {
        let policy = POLICY.replace("[create, update]", may);
        fs::write(world.path("p.yaml"), policy).unwrap();
        let told = audit(&world, &["org/site.git", "--policy", "p.yaml"]);
        let findings = told.findings("replay");
        let count: u64 = findings.iter().map(|one| one.place_count).sum();
        let wanted = refused.iter().filter(|is| **is).count();
        assert_eq!(count, wanted as u64, "{may}: {}", told.text);
        assert!(findings.iter().all(|one| one.rule == "ref/out-of-boundary"));
        assert_eq!(told.repository().refused_commits, 0);
    }
}

#[test]
fn times_narrow_what_is_told() {
    let world = bare();
    let alice = world.clone_for("alice");
    for number in 0..3 {
        let (line, _) = secret(&format!("{{{{github-pat:{number}}}}}\n"));
        alice.write(format!("{number}.txt"), &line);
        alice.commit("Add");
    }
    land(&alice);
    let times = world.server_git(&["log", "--reverse", "--format=%cI", "main"]);
    let times: Vec<&str> = times.lines().collect();
    let told = audit(
        &world,
        &["org/site.git", "--since", times[2], "--until", times[3]],
    );
    let found = told.findings("content");
    assert_eq!(found.len(), 1, "{}", told.text);
    assert_eq!(found[0].path.as_deref(), Some("1.txt"));
    assert_eq!(told.repository().commits, 1);
}

#[test]
fn a_baseline_knows_the_old_and_the_state_costs_the_new() {
    let world = bare();
    let alice = world.clone_for("alice");
    let (old, _) = secret("{{github-pat:old}}\n");
    alice.write("old.txt", &old);
    alice.commit("Add");
    land(&alice);
    let first = audit(&world, &["org/site.git", "--state", "state"]);
    assert_eq!(first.code, Some(1));
    fs::write(world.path("first.jsonl"), &first.text).unwrap();
    let (new, _) = secret("{{github-pat:new}}\n");
    alice.write("new.txt", &new);
    let added = alice.commit("Add more");
    land(&alice);
    world.server_git(&["repack", "-adq"]);
    let fresh = audit(&world, &["org/site.git"]);
    let again = audit(&world, &["org/site.git", "--state", "state"]);
    let about = again.repository();
    // A commit and a blob; trees are not looked into.
    assert_eq!(
        (about.objects, about.objects_known > 10),
        (2, true),
        "{about:?}"
    );
    assert_eq!(again.findings("content"), fresh.findings("content"));
    let told = audit(
        &world,
        &[
            "org/site.git",
            "--state",
            "state",
            "--baseline",
            "first.jsonl",
        ],
    );
    let found = told.findings("content");
    assert_eq!(found.len(), 1, "{}", told.text);
    assert_eq!(found[0].first.as_ref().unwrap().commit, added);
    assert_eq!(told.summary().known, 1);
    assert_eq!(told.repository().secrets, 1);
    // A baseline of another key says nothing, and neither does half of one.
    fs::write(world.path("key"), [7; 32]).unwrap();
    let told = audit(
        &world,
        &["org/site.git", "--baseline", "first.jsonl", "--key", "key"],
    );
    assert_eq!(told.code, Some(2), "{}", told.err);
    let half = first.text.lines().next().unwrap();
    fs::write(world.path("half.jsonl"), format!("{half}\n")).unwrap();
    let told = audit(&world, &["org/site.git", "--baseline", "half.jsonl"]);
    assert_eq!(told.code, Some(2), "{}", told.err);
    // A state that somebody else wrote is not believed.
    let state = fs::read_dir(world.path("state"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&state).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&state, bytes).unwrap();
    let told = audit(&world, &["org/site.git", "--state", "state"]);
    assert_eq!(told.repository().objects_known, 0);
    assert_eq!(told.findings("content"), fresh.findings("content"));
}

#[test]
fn the_state_holds_for_one_policy_and_forgets_what_is_gone() {
    let world = bare();
    fs::write(world.path("p.yaml"), POLICY).unwrap();
    let lax = POLICY
        .replace("    deny: [{ id: ci, paths: [\"@ci\"] }]\n", "")
        .replace("docs/**", "**");
    fs::write(world.path("lax.yaml"), lax).unwrap();
    let bot = world.clone_for("docs-bot");
    let (line, _) = secret("{{github-pat:gone}}\n");
    bot.git(&["switch", "-q", "-c", "side"]);
    bot.write("docs/gone.md", &line);
    bot.commit("Add");
    bot.git(&["switch", "-q", "main"]);
    bot.write(".github/workflows/ci.yml", "on: push\n");
    bot.commit("Change the build");
    land(&bot);
    let run = |policy: &str, state: bool| {
        let state: &[&str] = if state { &["--state", "state"] } else { &[] };
        audit(
            &world,
            &[&["org/site.git", "--policy", policy], state].concat(),
        )
    };
    for policy in ["p.yaml", "lax.yaml", "p.yaml", "p.yaml"] {
        let (kept, fresh) = (run(policy, true), run(policy, false));
        assert_eq!(
            kept.records[1..kept.records.len() - 1],
            fresh.records[1..fresh.records.len() - 1]
        );
    }
    world.server_git(&["branch", "-D", "-q", "side"]);
    world.server_git(&["-c", "gc.pruneExpire=now", "gc", "-q", "--prune=now"]);
    let (kept, fresh) = (run("p.yaml", true), run("p.yaml", false));
    assert!(!kept.text.contains("docs/gone.md"), "{}", kept.text);
    assert_eq!(
        kept.records[1..kept.records.len() - 1],
        fresh.records[1..fresh.records.len() - 1]
    );
}

#[test]
fn shards_are_disjoint_and_together_they_are_the_whole() {
    let world = bare();
    for number in 0..9 {
        let dir = world.path(&format!("fleet/r{number}.git"));
        let mut command = world.git_command(&world.path(""));
        command
            .args(["clone", "-q", "--bare"])
            .arg(world.server())
            .arg(&dir);
        assert!(command.output().unwrap().status.success());
    }
    let whole = audit(&world, &["fleet"]);
    assert_eq!(whole.repositories().len(), 9, "{}", whole.text);
    let mut names = Vec::new();
    let mut files = Vec::new();
    for part in 1..=3 {
        let told = audit(&world, &["fleet", "--shard", &format!("{part}/3")]);
        names.extend(told.repositories().iter().map(|one| one.repository.clone()));
        let file = format!("{part}.jsonl");
        fs::write(world.path(&file), &told.text).unwrap();
        files.push(file);
    }
    names.sort();
    let all: Vec<_> = whole
        .repositories()
        .iter()
        .map(|one| one.repository.clone())
        .collect();
    assert_eq!(names, all);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let merged = audit(&world, &[&["--merge"], &files[..]].concat());
    assert_eq!(merged.code, Some(0), "{}", merged.err);
    let (a, b) = (merged.summary(), whole.summary());
    assert_eq!(
        (a.repositories, a.commits, a.objects),
        (b.repositories, b.commits, b.objects)
    );
    assert_eq!(merged.records[..9], whole.records[..9]);
    // Without one of them the answer is not whole.
    let merged = audit(&world, &[&["--merge"], &files[1..]].concat());
    assert_eq!(merged.code, Some(2), "{}", merged.err);
}

#[test]
fn one_bad_repository_is_told_and_the_rest_goes_on() {
    let world = bare();
    fs::create_dir(world.path("empty")).unwrap();
    let told = audit(&world, &["org/site.git", "missing"]);
    assert_eq!(told.code, Some(3), "{}{}", told.text, told.err);
    let statuses: Vec<_> = told
        .repositories()
        .iter()
        .map(|one| one.status.as_str())
        .collect();
    assert!(
        statuses.contains(&"complete") && statuses.contains(&"failed"),
        "{statuses:?}"
    );
    // Nothing looked at is not clean.
    let told = audit(&world, &["empty"]);
    assert_eq!(told.code, Some(3), "{}{}", told.text, told.err);
}

#[test]
fn a_list_on_standard_input_and_an_output_file() {
    let world = bare();
    let list = format!("{}\n", world.server().display());
    let mut command = world.ringfence_command(&world.path(""));
    command.args(["audit", "-", "--format", "jsonl", "--output", "out.jsonl"]);
    let output = feed(command, list.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(output.stdout.is_empty());
    let text = fs::read_to_string(world.path("out.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let left = fs::read_dir(world.path("")).unwrap();
    let drafts = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".out")
    });
    assert_eq!(drafts.count(), 0);
}

/// Nothing of a repository changes by being looked at.
#[test]
fn the_audit_writes_nothing_into_a_repository() {
    fn listing(folder: &Path, into: &mut Vec<(String, u64, std::time::SystemTime)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            let name = entry.path().display().to_string();
            into.push((name, meta.len(), meta.modified().unwrap()));
            if meta.is_dir() {
                listing(&entry.path(), into);
            }
        }
    }
    let world = World::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    listing(&world.server(), &mut before);
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(told.repository().status, "complete", "{}", told.text);
    listing(&world.server(), &mut after);
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

/// Every place that can hold a value holds one, in both formats of ids.
#[test]
fn a_secret_is_found_wherever_a_history_can_hide_one() {
    for object_format in ["sha1", "sha256"] {
        let world = World::with(Setup {
            policy: None,
            object_format,
            ..Setup::default()
        });
        let alice = world.clone_for("alice");
        let text = |name: &str| {
            let (text, _) = secret(&format!("{{{{github-pat:{name}}}}}"));
            String::from_utf8(text).unwrap()
        };
        // Only in a merge, on neither side.
        alice.git(&["switch", "-q", "-c", "side"]);
        alice.write("side.txt", "side\n");
        alice.commit("Side");
        alice.git(&["switch", "-q", "main"]);
        alice.write("main.txt", "main\n");
        alice.commit("Main");
        alice.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
        alice.write("merged.txt", text("merge"));
        let merge = alice.commit("Merge");
        // The target of a link, a name, a name of a ref, a blob and a tree that a ref names without a commit.
        alice.shell(format!("ln -s {} link", text("link")).as_bytes());
        alice.write(format!("{}.txt", text("name")), "named\n");
        let linked = alice.commit("Link");
        alice.git(&["branch", &format!("topic-{}", text("ref"))]);
        let blob = alice.feed(&["hash-object", "-w", "--stdin"], text("blob").as_bytes());
        alice.git(&["update-ref", "refs/tags/blob", &blob]);
        let inner = alice.feed(&["hash-object", "-w", "--stdin"], text("tree").as_bytes());
        let tree = alice.feed(
            &["mktree"],
            format!("100644 blob {inner}\tin.txt\n").as_bytes(),
        );
        alice.git(&["update-ref", "refs/tags/tree", &tree]);
        // An author, and another header.
        alice.set("GIT_AUTHOR_NAME", text("author"));
        let author = alice.commit("Author");
        alice.unset("GIT_AUTHOR_NAME");
        alice.set("GIT_AUTHOR_NAME", "alice");
        land(&alice);
        // A commit that is parked on a note, and one that only a detached HEAD has.
        let told = audit(&world, &["org/site.git"]);
        assert_eq!(told.repository().status, "complete", "{}", told.text);
        let found: BTreeSet<(String, String)> = (told.findings("content").iter())
            .filter(|one| one.rule.starts_with("secret/"))
            .map(|one| {
                let commit = one.first.as_ref().map(|first| first.commit.clone());
                (one.part.clone(), commit.unwrap_or_default())
            })
            .collect();
        for (part, commit) in [
            ("content", merge.as_str()),
            ("symlink-target", &linked),
            ("path", &linked),
            ("ref", ""),
            ("content", ""),
            ("author", &author),
        ] {
            let wanted = (part.to_owned(), commit.to_owned());
            assert!(
                found.contains(&wanted),
                "{object_format}: {wanted:?}\n{found:?}"
            );
        }
        let by_ref: BTreeSet<_> = (told.findings("content").iter())
            .filter(|one| one.part == "content" && one.first.is_none())
            .flat_map(|one| one.refs.clone())
            .collect();
        assert_eq!(
            by_ref,
            BTreeSet::from(["refs/tags/blob".into(), "refs/tags/tree".into()])
        );
        for name in ["merge", "link", "name", "ref", "blob", "tree", "author"] {
            assert!(!told.text.contains(&text(name)), "{name} is shown");
        }
        // The same once it is packed, in two packs and loose.
        world.server_git(&["repack", "-dq"]);
        world.server_git(&["repack", "-aq"]);
        let packed = audit(&world, &["org/site.git"]);
        assert_eq!(packed.findings("content"), told.findings("content"));
    }
}

#[test]
fn refs_in_reftables_and_objects_of_another_repository() {
    let world = bare();
    let alice = world.clone_for("alice");
    let (line, _) = secret("{{github-pat:borrowed}}\n");
    alice.write("a.txt", &line);
    alice.commit("Add");
    land(&alice);
    let plain = audit(&world, &["org/site.git"]);
    let clone = |arguments: &[&str], to: &str| {
        let mut command = world.git_command(&world.path(""));
        command.args(["clone", "-q", "--bare"]).args(arguments);
        command.arg(world.server()).arg(world.path(to));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
    };
    clone(&["--ref-format=reftable"], "tables.git");
    clone(&["--shared"], "borrower.git");
    for name in ["tables.git", "borrower.git"] {
        let told = audit(&world, &[name]);
        assert_eq!(told.code, Some(1), "{}", told.err);
        assert_eq!(
            told.repository().commits,
            plain.repository().commits,
            "{}",
            told.text
        );
        let (ours, theirs) = (told.findings("content"), plain.findings("content"));
        assert_eq!(ours.len(), 1, "{}", told.text);
        assert_eq!(ours[0].places, theirs[0].places);
    }
}

/// Random histories with merges: every place of every value is just where a reading of all trees says.
#[test]
fn places_are_those_of_a_slow_reading_of_every_tree() {
    use std::collections::BTreeMap as Map;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    for round in 0..6 {
        let world = World::with(Setup {
            policy: None,
            seeded: false,
            ..Setup::default()
        });
        let values: Vec<Vec<u8>> = (0..3)
            .map(|number| secret(&format!("{{{{github-pat:{round}-{number}}}}}")).1)
            .collect();
        // What each commit has at each path: a version, and the values in it.
        let mut trees: Vec<Map<String, (usize, BTreeSet<usize>)>> = Vec::new();
        let mut parents: Vec<Vec<usize>> = Vec::new();
        let mut stream = Vec::new();
        for at in 0..30 {
            let mut from: Vec<usize> = match at {
                0 => Vec::new(),
                _ if roll(12) == 0 => Vec::new(),
                _ => vec![at - 1 - roll(at.min(4))],
            };
            if at > 2 && roll(3) == 0 {
                from.push(roll(at));
                from.dedup();
            }
            let mut tree = from
                .first()
                .map(|first| trees[*first].clone())
                .unwrap_or_default();
            if let Some(other) = from.get(1) {
                for (path, text) in &trees[*other] {
                    if roll(2) == 0 {
                        tree.insert(path.clone(), text.clone());
                    }
                }
            }
            for _ in 0..=roll(2) {
                let path = format!("d{}/f{}", roll(2), roll(3));
                match roll(4) {
                    0 => drop(tree.remove(&path)),
                    _ => {
                        let mut text = tree.get(&path).cloned().unwrap_or_default();
                        text.0 = 100 * at + roll(2);
                        let value = roll(values.len());
                        if !text.1.remove(&value) {
                            text.1.insert(value);
                        }
                        tree.insert(path, text);
                    }
                }
            }
            let mut text = format!(
                "commit refs/heads/b{at}\nmark :{}\ncommitter a <a@people.example> {} +0000\ndata 1\nx\n",
                at + 1,
                1_700_000_000 + 60 * roll(100),
            );
            for (place, parent) in from.iter().enumerate() {
                text += &format!(
                    "{} :{}\n",
                    if place == 0 { "from" } else { "merge" },
                    parent + 1
                );
            }
            text += "deleteall\n";
            stream.extend_from_slice(text.as_bytes());
            for (path, (version, held)) in &tree {
                let mut blob = format!("version {version}\n").into_bytes();
                for value in held {
                    blob.extend_from_slice(&values[*value]);
                    blob.push(b'\n');
                }
                stream.extend(format!("M 100644 inline {path}\ndata {}\n", blob.len()).bytes());
                stream.extend_from_slice(&blob);
                stream.push(b'\n');
            }
            trees.push(tree);
            parents.push(from);
        }
        world.feed(
            &world.server(),
            &["fast-import", "--quiet", "--export-marks=marks"],
            &stream,
        );
        let marks = fs::read_to_string(world.server().join("marks")).unwrap();
        fs::remove_file(world.server().join("marks")).unwrap();
        let ids: Map<usize, String> = (marks.lines())
            .map(|line| {
                let (mark, id) = line[1..].split_once(' ').unwrap();
                (mark.parse::<usize>().unwrap() - 1, id.to_owned())
            })
            .collect();
        let mut wanted: BTreeSet<BTreeSet<(String, String)>> = BTreeSet::new();
        for value in 0..values.len() {
            let mut places = BTreeSet::new();
            for (at, tree) in trees.iter().enumerate() {
                for (path, (_, held)) in tree {
                    let had = |parent: &usize| {
                        trees[*parent]
                            .get(path)
                            .is_some_and(|text| text.1.contains(&value))
                    };
                    if held.contains(&value) && !parents[at].iter().any(had) {
                        places.insert((ids[&at].clone(), path.clone()));
                    }
                }
            }
            if !places.is_empty() {
                wanted.insert(places);
            }
        }
        assert!(
            !wanted.is_empty(),
            "a history without any value proves nothing"
        );
        let told = audit(&world, &["org/site.git"]);
        let found: BTreeSet<BTreeSet<(String, String)>> = (told.findings("content").iter())
            .map(|one| {
                let place = |place: &ringfence::audit::record::Place| {
                    let commit = place.commit.as_ref().unwrap().commit.clone();
                    (commit, place.path.clone().unwrap())
                };
                one.places.iter().map(place).collect()
            })
            .collect();
        assert_eq!(found, wanted, "round {round}");
    }
}

#[test]
fn two_answers_of_one_name_and_outputs_that_were_cut_off_are_refused() {
    let world = bare();
    let first = audit(&world, &["org/site.git"]);
    fs::write(world.path("first.jsonl"), &first.text).unwrap();
    let merge = |names: &[&str]| audit(&world, &[&["--merge"], names].concat());
    // The same answer twice is one.
    assert_eq!(
        merge(&["first.jsonl", "first.jsonl"]).repositories().len(),
        1
    );
    let alice = world.clone_for("alice");
    let (line, _) = secret("{{github-pat:two}}\n");
    alice.write("a.txt", &line);
    alice.commit("Add");
    land(&alice);
    let second = audit(&world, &["org/site.git"]);
    fs::write(world.path("second.jsonl"), &second.text).unwrap();
    // A clean answer must not stand in for another one, in whatever order.
    for names in [
        ["first.jsonl", "second.jsonl"],
        ["second.jsonl", "first.jsonl"],
    ] {
        let told = merge(&names);
        assert_eq!(told.code, Some(2), "{}", told.err);
        assert!(told.records.is_empty(), "{}", told.text);
    }
    // One that is whole hides none that was cut off behind it.
    let cut: String = second
        .text
        .lines()
        .take(1)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(world.path("both.jsonl"), first.text.clone() + &cut).unwrap();
    assert_eq!(merge(&["both.jsonl"]).code, Some(2));
}

#[test]
fn an_identity_that_gets_another_name_is_counted_anew() {
    let world = bare();
    let other = "docs-bot <bot@agents.example>";
    fs::write(world.path("p.yaml"), POLICY).unwrap();
    let more = POLICY.replace("\"]\n", &format!("\", \"{other}\"]\n"));
    assert_ne!(more, POLICY);
    fs::write(world.path("more.yaml"), more).unwrap();
    let bot = world.clone_for("docs-bot");
    bot.write("docs/a.md", "a\n");
    bot.commit("Write");
    for who in ["AUTHOR", "COMMITTER"] {
        bot.set(&format!("GIT_{who}_EMAIL"), "bot@agents.example");
    }
    bot.write("docs/b.md", "b\n");
    bot.commit("Write more");
    land(&bot);
    for (policy, paths) in [("p.yaml", 1), ("more.yaml", 2), ("p.yaml", 1)] {
        let told = audit(
            &world,
            &["org/site.git", "--policy", policy, "--state", "state"],
        );
        let agent = told.agents()["docs-bot"];
        assert_eq!(
            (agent.commits, agent.path_count),
            (paths, paths),
            "{}",
            told.text
        );
    }
}

/// A tree with one name twice, as only a crafted push makes it: each of both is looked at.
#[test]
fn a_name_that_stands_twice_hides_nothing() {
    let world = bare();
    let (one, _) = secret("{{github-pat:one}}\n");
    let (two, _) = secret("{{github-pat:twin}}\n");
    let mut tree = Vec::new();
    for text in [b"clean\n".to_vec(), one, two] {
        let id = world.feed(&world.server(), &["hash-object", "-w", "--stdin"], &text);
        tree.extend_from_slice(b"100644 a.txt\0");
        tree.extend(data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap());
    }
    let arguments = ["hash-object", "-w", "-t", "tree", "--literally", "--stdin"];
    let tree = world.feed(&world.server(), &arguments, &tree);
    let text = format!(
        "tree {tree}\nauthor a <a@people.example> 1700000000 +0000\ncommitter a <a@people.example> 1700000000 +0000\n\nx\n"
    );
    let arguments = ["hash-object", "-w", "-t", "commit", "--stdin"];
    let commit = world.feed(&world.server(), &arguments, text.as_bytes());
    world.server_git(&["update-ref", "refs/heads/twins", &commit]);
    let told = audit(&world, &["org/site.git"]);
    let found = told.findings("content");
    assert_eq!(found.len(), 2, "{}", told.text);
    for one in found {
        assert_eq!(one.first.as_ref().unwrap().commit, commit);
        assert!(one.at_tip && !one.unreachable, "{one:?}");
    }
}
