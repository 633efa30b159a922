//! The commands of the hints, pasted into a shell over real repositories: afterwards nothing is at fault any more.

mod merges;
mod mixed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::samples::*;
use crate::finding::{Level, Part, PathOp, Place, Sighting};
use crate::order::Order as _;
use crate::push::Oid;
use crate::verdict::{CommitBrief, Decision, Judged};

struct World {
    _folder: tempfile::TempDir,
    server: PathBuf,
    work: PathBuf,
}

fn git_command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // Whoever is asked for a message gives the one that stands beside the repositories, if there is one.
        .env("GIT_EDITOR", "cp ../message")
        .env("LC_ALL", "C");
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    assert!(output.status.success(), "{command:?}\n{text}");
    text
}

impl World {
    /// A server whose main holds three files, and a clone on the branch `guide`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, work) = (folder.path().join("server.git"), folder.path().join("work"));
        fs::create_dir(&work).unwrap();
        output(
            git_command(folder.path(), "git")
                .args(["init", "-q", "--bare", "-b", "main"])
                .arg(&server),
        );
        let world = World {
            _folder: folder,
            server,
            work,
        };
        world.git(&["init", "-q", "-b", "main"]);
        world.git(&["config", "user.name", "docs-bot"]);
        world.git(&["config", "user.email", "docs-bot@agents.example"]);
        world.git(&["remote", "add", "origin", world.server.to_str().unwrap()]);
        world.commit(&[
            ("guarded.yml", "one\n"),
            ("other.yml", "one\n"),
            ("docs/a.md", "one\n"),
        ]);
        world.git(&["push", "-q", "origin", "main"]);
        world.git(&["switch", "-q", "-c", "guide"]);
        world
    }

    fn git(&self, arguments: &[&str]) -> String {
        output(git_command(&self.work, "git").args(arguments))
    }

    fn id(&self, revision: &str) -> Oid {
        Oid::from_hex(self.git(&["rev-parse", revision]).as_bytes()).unwrap()
    }

    /// Writes files (`None` text: deletes is done by the caller) and commits them.
    fn commit(&self, files: &[(&str, &str)]) -> Oid {
        for (path, text) in files {
            let path = self.work.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "work"]);
        self.id("HEAD")
    }

    /// What the gate would say about the branch, with these findings.
    fn decision(&self, since: &str, findings: Vec<Judged>) -> Decision {
        let mut decision = with(findings);
        let range = match since {
            "" => "HEAD".to_owned(),
            since => format!("{since}..HEAD"),
        };
        let listing = self.git(&["rev-list", "--topo-order", "--reverse", "--parents", &range]);
        decision.commits = listing
            .lines()
            .map(|line| {
                let mut ids = line
                    .split(' ')
                    .map(|id| Oid::from_hex(id.as_bytes()).unwrap());
                CommitBrief {
                    id: ids.next().unwrap(),
                    parents: ids.collect(),
                    refs: vec![name(BRANCH)],
                }
            })
            .collect();
        let stored = (!since.is_empty()).then(|| self.id(since));
        decision.updates = vec![update(BRANCH, stored, Some(self.id("HEAD")))];
        decision
    }

    /// Pastes the commands. `by_hand` does what a remark asks for.
    fn paste(&self, decision: &Decision, by_hand: impl Fn(&str)) -> String {
        let text = super::text(decision, None);
        for line in text
            .lines()
            .filter_map(|line| line.strip_prefix("hint:   "))
        {
            match line.strip_prefix("# ") {
                Some(remark) => by_hand(remark),
                None => drop(output(git_command(&self.work, "sh").args(["-c", line]))),
            }
        }
        text
    }

    /// Every text that a path ever had in the commits since.
    fn ever(&self, since: &str, path: &str) -> Vec<String> {
        let range = match since {
            "" => "HEAD".to_owned(),
            since => format!("{since}..HEAD"),
        };
        let commits = self.git(&["rev-list", &range]);
        let show = |commit: &str| {
            let object = format!("{commit}:{path}");
            let output = git_command(&self.work, "git")
                .args(["cat-file", "blob", &object])
                .output()
                .unwrap();
            match output.status.success() {
                true => String::from_utf8(output.stdout).unwrap(),
                false => "absent".into(),
            }
        };
        let mut texts: Vec<String> = commits.lines().map(show).collect();
        texts.order();
        texts.dedup();
        texts
    }
}

fn at(mut judged: Judged, commit: Oid) -> Judged {
    judged.finding.place.commit = Some(commit);
    judged
}

fn nothing(_: &str) {}

#[test]
fn paths_of_older_commits_and_of_the_tip() {
    let world = World::new();
    let first = world.commit(&[("guarded.yml", "two\n"), ("docs/a.md", "two\n")]);
    world.commit(&[("docs/b.md", "new\n")]);
    let tip = world.commit(&[("added.yml", "new\n"), ("other.yml", "two\n")]);
    let decision = world.decision(
        "main",
        vec![
            at(denied(0, "guarded.yml", PathOp::Modify), first),
            at(denied(0, "added.yml", PathOp::Add), tip),
            at(denied(0, "other.yml", PathOp::Modify), tip),
        ],
    );
    world.paste(&decision, nothing);
    assert_eq!(world.ever("main", "guarded.yml"), ["one\n"]);
    assert_eq!(world.ever("main", "other.yml"), ["one\n"]);
    assert_eq!(world.ever("main", "added.yml"), ["absent"]);
    assert_eq!(world.ever("main", "docs/a.md"), ["two\n"]);
    assert!(
        fs::exists(world.work.join("added.yml")).unwrap(),
        "the work is not lost"
    );
}

#[test]
fn a_tip_that_does_nothing_else() {
    let world = World::new();
    let tip = world.commit(&[("guarded.yml", "two\n")]);
    let decision = world.decision(
        "main",
        vec![at(denied(0, "guarded.yml", PathOp::Modify), tip)],
    );
    world.paste(&decision, nothing);
    assert_eq!(world.ever("main", "guarded.yml"), ["one\n"]);
}

#[test]
fn a_root_commit() {
    let world = World::new();
    let root = world.id("main");
    world.commit(&[("docs/b.md", "new\n")]);
    let decision = world.decision("", vec![at(denied(0, "guarded.yml", PathOp::Add), root)]);
    world.paste(&decision, nothing);
    assert_eq!(world.ever("", "guarded.yml"), ["absent"]);
    assert_eq!(world.ever("", "docs/a.md"), ["one\n"]);
}

#[test]
fn links_and_deletions_and_odd_names() {
    let world = World::new();
    let odd = "a b/$(id)'s *.yml";
    world.commit(&[(odd, "one\n"), ("a b/keep.yml", "one\n")]);
    let since = world.id("HEAD").to_string();
    for path in ["new-link", "guarded.yml"] {
        let _ = fs::remove_file(world.work.join(path));
        std::os::unix::fs::symlink("/etc/passwd", world.work.join(path)).unwrap();
    }
    fs::remove_file(world.work.join("other.yml")).unwrap();
    let tip = world.commit(&[(odd, "two\n"), ("a b/keep.yml", "two\n"), ("-rf", "new\n")]);
    let decision = world.decision(
        &since,
        vec![
            at(denied(0, "new-link", PathOp::Symlink), tip),
            at(denied(0, "guarded.yml", PathOp::Symlink), tip),
            at(denied(0, "other.yml", PathOp::Delete), tip),
            at(denied(0, odd, PathOp::Modify), tip),
            at(denied(0, "-rf", PathOp::Add), tip),
        ],
    );
    world.paste(&decision, nothing);
    for (path, text) in [
        ("new-link", "absent"),
        ("guarded.yml", "one\n"),
        ("other.yml", "one\n"),
        (odd, "one\n"),
        ("-rf", "absent"),
    ] {
        assert_eq!(world.ever(&since, path), [text], "{path}");
    }
    assert_eq!(world.ever(&since, "a b/keep.yml"), ["two\n"]);
}

#[test]
fn a_secret_in_the_middle() {
    let world = World::new();
    let secret = world.commit(&[("deploy/config.env", "KEY=value\n")]);
    world.commit(&[("docs/b.md", "new\n")]);
    let decision = world.decision("main", vec![at(token(0, "deploy/config.env"), secret)]);
    let asked = std::cell::Cell::new(0);
    world.paste(&decision, |remark| {
        if remark.starts_with("remove the value from deploy/config.env") {
            asked.set(asked.get() + 1);
            fs::write(world.work.join("deploy/config.env"), "KEY=\n").unwrap();
        }
    });
    assert_eq!(asked.get(), 1);
    assert_eq!(world.ever("main", "deploy/config.env"), ["KEY=\n"]);
}

/// One value at five places of four commits: each is mended where it stands.
#[test]
fn one_value_in_files_and_messages() {
    let world = World::new();
    fs::write(world.work.join("../message"), "clean\n").unwrap();
    let secret = |files: &[&str]| {
        let files: Vec<_> = files.iter().map(|path| (*path, "KEY=value\n")).collect();
        world.commit(&files)
    };
    let first = secret(&["deploy/a.env", "deploy/b.env"]);
    world.commit(&[("docs/b.md", "new\n")]);
    let second = secret(&["docs/c.md"]);
    world.git(&["commit", "-q", "--allow-empty", "-m", "KEY=value"]);
    let message = world.id("HEAD");
    let tip = secret(&["d.md"]);
    let mut found = at(token(0, "deploy/a.env"), first);
    for (commit, path) in [
        (first, Some("deploy/b.env")),
        (second, Some("docs/c.md")),
        (message, None),
        (tip, Some("d.md")),
    ] {
        let mut place = found.finding.place.clone();
        place.commit = Some(commit);
        place.path = path.map(Into::into);
        if path.is_none() {
            place.part = Part::Message;
            place.span = None;
        }
        let detail = None;
        found.also.push(Sighting { place, detail });
    }
    let decision = world.decision("main", vec![found]);
    let text = world.paste(&decision, |remark| {
        if let Some(rest) = remark.strip_prefix("remove the value from ") {
            let path = rest.split(',').next().unwrap();
            fs::write(world.work.join(path), "KEY=\n").unwrap();
        }
    });
    assert!(
        text.starts_with("error: push rejected: 1 finding in"),
        "{text}"
    );
    for path in ["deploy/a.env", "deploy/b.env", "docs/c.md", "d.md"] {
        let texts = world.ever("main", path);
        assert!(texts.iter().all(|text| text != "KEY=value\n"), "{path}");
        assert!(texts.contains(&"KEY=\n".to_owned()), "{path}");
    }
    let messages = world.git(&["log", "--format=%B", "main..HEAD"]);
    assert!(!messages.contains("value"), "{messages}");
    assert_eq!(world.git(&["rev-list", "--count", "main..HEAD"]), "5");
}

/// A file that goes as a whole is not mended and added again.
#[test]
fn a_secret_in_a_file_that_may_not_be_there() {
    let world = World::new();
    let tip = world.commit(&[("added.yml", "KEY=value\n"), ("docs/b.md", "new\n")]);
    let decision = world.decision(
        "main",
        vec![
            at(denied(0, "added.yml", PathOp::Add), tip),
            at(token(0, "added.yml"), tip),
        ],
    );
    world.paste(&decision, nothing);
    assert_eq!(world.ever("main", "added.yml"), ["absent"]);
    assert_eq!(world.ever("main", "docs/b.md"), ["new\n"]);
}

/// Put back in the first commit alone, the changes of the next would not apply.
#[test]
fn paths_that_one_commit_after_the_other_changes() {
    let world = World::new();
    let mut findings = Vec::new();
    for text in ["two\n", "three\n", "four\n"] {
        let commit = world.commit(&[
            ("guarded.yml", text),
            ("new/added.yml", text),
            ("docs/a.md", text),
        ]);
        findings.push(at(denied(0, "guarded.yml", PathOp::Modify), commit));
        findings.push(at(denied(0, "new/added.yml", PathOp::Add), commit));
        world.commit(&[("docs/b.md", text)]);
    }
    fs::remove_file(world.work.join("new/added.yml")).unwrap();
    let gone = world.commit(&[("docs/c.md", "new\n")]);
    findings.push(at(denied(0, "new/added.yml", PathOp::Delete), gone));
    world.paste(&world.decision("main", findings), nothing);
    assert_eq!(world.ever("main", "guarded.yml"), ["one\n"]);
    assert_eq!(world.ever("main", "new/added.yml"), ["absent"]);
    assert_eq!(
        world.ever("main", "docs/a.md"),
        ["four\n", "three\n", "two\n"]
    );
    assert_eq!(world.git(&["rev-list", "--count", "main..HEAD"]), "7");
    assert_eq!(world.git(&["status", "--short"]), "");
}

#[test]
fn a_folder_in_the_place_of_a_file() {
    let world = World::new();
    fs::remove_file(world.work.join("guarded.yml")).unwrap();
    let folder = world.commit(&[("guarded.yml/a", "new\n"), ("docs/b.md", "new\n")]);
    world.commit(&[("docs/c.md", "new\n")]);
    let decision = world.decision(
        "main",
        vec![
            at(denied(0, "guarded.yml", PathOp::Delete), folder),
            at(denied(0, "guarded.yml/a", PathOp::Add), folder),
        ],
    );
    world.paste(&decision, nothing);
    assert_eq!(world.ever("main", "guarded.yml"), ["one\n"]);
    assert_eq!(world.ever("main", "guarded.yml/a"), ["absent"]);
}

/// A finding about a name says nothing of the ref; it is mended in one go with those that do.
#[test]
fn findings_with_and_without_a_ref() {
    let world = World::new();
    let first = world.commit(&[("added.yml", "new\n"), ("docs/b.md", "new\n")]);
    let second = world.commit(&[("other.yml", "two\n")]);
    world.commit(&[("docs/c.md", "new\n")]);
    let mut nameless = at(denied(0, "added.yml", PathOp::Add), first);
    nameless.finding.place.ref_name = None;
    let decision = world.decision(
        "main",
        vec![nameless, at(denied(0, "other.yml", PathOp::Modify), second)],
    );
    world.paste(&decision, nothing);
    assert_eq!(world.ever("main", "added.yml"), ["absent"]);
    assert_eq!(world.ever("main", "other.yml"), ["one\n"]);
}

#[test]
fn authors_of_the_tip_and_of_all() {
    for commits in [1, 3] {
        let world = World::new();
        world.git(&["config", "user.name", "Somebody Else"]);
        world.git(&["config", "user.email", "else@agents.example"]);
        let findings = (0..commits).map(|n| {
            let id = world.commit(&[("docs/a.md", &format!("{n}\n"))]);
            at(
                judged(
                    "identity/author-mismatch",
                    Level::Deny,
                    "author",
                    in_commit(Part::Author, 0, None),
                ),
                id,
            )
        });
        let findings = findings.collect();
        world.paste(&world.decision("main", findings), nothing);
        let names = world.git(&["log", "--format=%an <%ae>%n%cn <%ce>", "main..HEAD"]);
        assert_eq!(names.lines().count(), 2 * commits);
        assert!(
            names
                .lines()
                .all(|name| name == "docs-bot <docs-bot@agents.example>"),
            "{names}"
        );
        assert_eq!(
            world.git(&["show", "HEAD:docs/a.md"]),
            (commits - 1).to_string()
        );
    }
}

#[test]
fn signatures_of_the_tip_and_of_all() {
    for commits in [1, 3] {
        let world = World::new();
        let key = world.work.join("../key");
        let mut keygen = git_command(&world.work, "ssh-keygen");
        output(
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&key),
        );
        world.git(&["config", "user.signingKey", key.to_str().unwrap()]);
        let findings = (0..commits).map(|n| {
            let id = world.commit(&[("docs/a.md", &format!("{n}\n"))]);
            let rule = "signature/missing";
            at(
                judged(
                    rule,
                    Level::Deny,
                    "not signed",
                    in_commit(Part::Commit, 0, None),
                ),
                id,
            )
        });
        let findings = findings.collect();
        world.paste(&world.decision("main", findings), nothing);
        let raw = world.git(&["log", "--format=raw", "main..HEAD"]);
        assert_eq!(raw.matches("BEGIN SSH SIGNATURE").count(), commits, "{raw}");
        let text = (commits - 1).to_string();
        assert_eq!(world.git(&["show", "HEAD:docs/a.md"]), text);
    }
}

#[test]
fn pushes_elsewhere_in_parts_and_after_a_merge() {
    let world = World::new();
    for n in 0..3 {
        world.commit(&[("docs/a.md", &format!("{n}\n"))]);
    }
    let tip = world.id("HEAD").to_string();
    let on_server = |to: &str| output(git_command(&world.server, "git").args(["rev-parse", to]));

    let mut place = Place::new(Part::Ref);
    place.ref_name = Some(name("refs/heads/main"));
    let mut elsewhere = world.decision(
        "main",
        vec![judged("ref/out-of-boundary", Level::Deny, "no", place)],
    );
    elsewhere.updates[0] = update(
        "refs/heads/main",
        Some(world.id("main")),
        Some(world.id("HEAD")),
    );
    world.paste(&elsewhere, nothing);
    assert_eq!(on_server("refs/heads/agents/docs-bot/main"), tip);

    let mut parts = world.decision(
        "main",
        vec![judged(
            "limit/commits",
            Level::Deny,
            "no",
            Place::new(Part::Commit),
        )],
    );
    parts.findings[0].decided_by.what = "limits: commits: 2".into();
    let text = world.paste(&parts, nothing);
    assert_eq!(text.matches("git push").count(), 2);
    assert_eq!(on_server(BRANCH), tip);

    // The branch on the server went on; ours was made again.
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    world.commit(&[("docs/b.md", "new\n")]);
    let mut place = Place::new(Part::Ref);
    place.ref_name = Some(name(BRANCH));
    let mut force = world.decision("main", vec![judged("ref/force", Level::Deny, "no", place)]);
    force.allowed_refs = vec![BRANCH.into()];
    world.paste(&force, nothing);
    world.git(&["push", "-q", "origin", &format!("HEAD:{BRANCH}")]);
    world.git(&["merge-base", "--is-ancestor", &tip, "HEAD"]);
}

#[test]
fn a_history_of_its_own_is_put_on_top() {
    let world = World::new();
    world.git(&["switch", "-q", "--orphan", "own"]);
    world.commit(&[("docs/own.md", "new\n")]);
    world.git(&["remote", "set-head", "origin", "main"]);
    let decision = world.decision(
        "",
        vec![judged(
            "history/unrelated",
            Level::Deny,
            "no",
            Place::new(Part::Commit),
        )],
    );
    world.paste(&decision, nothing);
    assert_eq!(
        world.git(&["rev-parse", "HEAD~1"]),
        world.id("main").to_string()
    );
}
