use std::fs;
use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::ledger::{Entry, Ledger};
use crate::report::samples;

#[derive(clap::Parser)]
struct Typed {
    #[command(flatten)]
    args: LedgerArgs,
}

fn typed(arguments: &[&str]) -> (Exit, String) {
    let args = Typed::try_parse_from([&["ledger"], arguments].concat())
        .unwrap()
        .args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&args, &mut out, &mut err);
    (exit, String::from_utf8([out, err].concat()).unwrap())
}

/// Four entries: an accept of a push that landed, a reject, an observed reject of an unknown pusher.
fn sample() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = Ledger::open(&path).unwrap();
    let at = |minute: u32| {
        format!("2026-11-22T20:{minute:02}:05.007Z")
            .parse()
            .unwrap()
    };
    let append = |entry: &Entry| ledger.append(entry, Duration::from_secs(5)).unwrap();
    let id = append(&Entry::decision(&samples::clean(), at(1)));
    let update = &samples::clean().updates[0];
    let moved = Moved::of(&update.command.name, update.stored, update.command.new);
    append(&Entry::landed(vec![moved.clone()], Some(&id), &[], at(1)));
    append(&Entry::decision(
        &samples::with(vec![samples::token(0xb2, "docs/a.md")]),
        at(2),
    ));
    let mut observed = samples::with(vec![samples::token(0xb2, "docs/\u{1b}[2J.md")]);
    observed.enforced = false;
    observed.actor.identity = None;
    append(&Entry::decision(&observed, at(3)));
    append(&Entry::landed(vec![moved], None, &[], at(3)));
    (folder, path.to_str().unwrap().to_owned())
}

/// Hashes hold the program's version, ids come from hashes.
fn still(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let is_id = word.len() == 9 && word.as_bytes()[4] == b'-' && Id::parse(word).is_some();
            if is_id { "XXXX-XXXX" } else { word }
        });
        out.push_str(&words.collect::<Vec<_>>().join(" "));
        out.push('\n');
    }
    out.replace(&format!(" {}\n", env!("CARGO_PKG_VERSION")), " VERSION\n")
}

#[test]
fn one_line_an_entry() {
    let (_folder, path) = sample();
    let (exit, text) = typed(&["show", "--file", &path]);
    assert_eq!(exit, Exit::Accept);
    insta::assert_snapshot!(still(&text));
}

#[test]
fn one_decision_in_full() {
    let (_folder, path) = sample();
    let (_, lines) = typed(&["show", "--file", &path]);
    let id = |line: usize| lines.lines().nth(line).unwrap()[26..35].to_owned();
    let (_, accepted) = typed(&["show", &id(0).to_lowercase(), "--file", &path]);
    let (_, observed) = typed(&["show", &id(3).replace('-', ""), "--file", &path]);
    insta::assert_snapshot!(still(&format!("{accepted}\n{observed}")));
    let (exit, text) = typed(&["show", "0000-0000", "--file", &path]);
    assert_eq!(exit, Exit::Refuse);
    assert!(text.ends_with("no entry 0000-0000\n"), "{text}");
}

#[test]
fn filters() {
    let (_folder, path) = sample();
    let count = |arguments: &[&str]| {
        let (exit, text) = typed(&[&["export", &path], arguments].concat());
        assert_eq!(exit, Exit::Accept);
        assert!(
            text.lines()
                .all(|line| line.starts_with("{\"v\":1,\"seq\":"))
        );
        text.lines().count()
    };
    assert_eq!(count(&[]), 5);
    // With what came of it.
    assert_eq!(count(&["--as", "docs-bot"]), 3);
    assert_eq!(count(&["--as", "nobody"]), 0);
    assert_eq!(count(&["--verdict", "reject"]), 2);
    assert_eq!(count(&["--verdict", "reject", "--as", "docs-bot"]), 1);
    assert_eq!(count(&["--since", "2026-11-22T20:02:05.007Z"]), 3);
    assert_eq!(count(&["--until", "2026-11-22T20:02:05.007Z"]), 2);
    assert_eq!(count(&["--since", "2026-11-23"]), 0);
    let wrong = ["export", "--since", "yesterday"];
    assert!(Typed::try_parse_from([&["ledger"][..], &wrong].concat()).is_err());
}

/// What an agent did in a while, what it tried, and on which way.
#[test]
fn an_incident_is_asked_about_by_everything_that_an_entry_tells() {
    let (folder, path) = sample();
    let ledger = Ledger::open(Path::new(&path)).unwrap();
    let now = jiff::Timestamp::now();
    let pusher = crate::push::Pusher {
        account: Some("docs-bot".into()),
        ..Default::default()
    };
    let plain = crate::push::HostKind::Plain;
    let append = |entry: &Entry| drop(ledger.append(entry, Duration::from_secs(5)).unwrap());
    append(&Entry::refused_input("malformed", plain, &pusher, now));
    let stopped = |identity: &str| Stopped {
        identity: identity.into(),
        by: "alice".into(),
        reason: None,
    };
    append(&Entry::suspended(stopped("docs-bot"), now));
    append(&Entry::suspended(stopped("other"), now));
    append(&Entry::clock("alice".into(), now));
    let count = |arguments: &[&str]| {
        let (exit, text) =
            typed(&[&["show", "--format", "jsonl", "--file", &path], arguments].concat());
        assert_eq!(exit, Exit::Accept, "{text}");
        text.lines().count()
    };
    assert_eq!(count(&[]), 9);
    // Two decisions, what came of one, and the order.
    assert_eq!(count(&["--as", "docs-bot"]), 4);
    assert_eq!(count(&["--as", "docs-bot", "--verdict", "accept"]), 2);
    let account = samples::clean().pusher.account.unwrap();
    assert_eq!(account, "docs-bot");
    assert_eq!(
        count(&["--account", "docs-bot"]),
        5,
        "refused input too, and one without an identity"
    );
    assert_eq!(count(&["--repository", "org/*"]), 3);
    assert_eq!(count(&["--repository", "other/*"]), 0);
    assert_eq!(
        count(&["--ref", "refs/heads/agents/**"]),
        5,
        "what landed too"
    );
    assert_eq!(count(&["--ref", "refs/heads/main"]), 0);
    assert_eq!(count(&["--rule", "secret"]), 2);
    assert_eq!(count(&["--rule", "secret/*"]), 2);
    assert_eq!(
        count(&["--rule", "secret/github-pat", "--as", "docs-bot"]),
        1
    );
    assert_eq!(count(&["--rule", "secret/github"]), 0);
    assert_eq!(count(&["--path", "docs/a.md"]), 1);
    assert_eq!(
        count(&["--path", "docs/\u{1b}*"]),
        1,
        "the exact bytes count"
    );
    assert!(Typed::try_parse_from(["ledger", "show", "--path", "a/**b"]).is_err());
    let (_, full) = typed(&["show", "--full", "--verdict", "reject", "--file", &path]);
    assert_eq!(full.matches("  repository: ").count(), 2, "{full}");
    drop(folder);
}

#[test]
fn what_is_shown_is_told_to_be_what_was_written_or_not() {
    let (folder, path) = sample();
    // An older file comes first.
    let older = folder.path().join("old.jsonl");
    fs::copy(&path, &older).unwrap();
    let (exit, text) = typed(&["export", &path, "--older", older.to_str().unwrap()]);
    assert_eq!((exit, text.lines().count()), (Exit::Accept, 11), "{text}");
    assert!(
        text.contains("does not say which file it continues"),
        "{text}"
    );
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replacen("\"reject\"", "\"accept\"", 1)).unwrap();
    for arguments in [&["show", "--file", &path] as &[&str], &["export", &path]] {
        let (exit, text) = typed(arguments);
        assert_eq!(exit, Exit::Refuse);
        assert!(
            text.contains(":3: ") && text.contains("the chain is broken"),
            "{text}"
        );
        assert_eq!(
            text.lines().count(),
            5 + 2,
            "all of it is shown all the same"
        );
    }
}

#[test]
fn verify_tells_the_head_and_the_first_bad_line() {
    let (_folder, path) = sample();
    let (exit, text) = typed(&["verify", &path]);
    assert_eq!(exit, Exit::Accept);
    assert!(
        text.starts_with("ok: 5 entries, the chain is whole\nhead: "),
        "{text}"
    );
    let head = text.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(typed(&["verify", &path, "--head", head]).0, Exit::Accept);

    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(&path, lines[..4].join("\n") + "\n").unwrap();
    assert_eq!(typed(&["verify", &path]).0, Exit::Accept);
    let (exit, text) = typed(&["verify", &path, "--head", head]);
    assert_eq!(exit, Exit::Refuse);
    assert!(text.contains(head), "{text}");

    // Nothing is not whole.
    for none in ["", "no ledger"] {
        fs::write(&path, none).unwrap();
        let (exit, text) = typed(&["verify", &path]);
        assert_eq!(exit, Exit::Refuse);
        assert!(
            text.ends_with("no entry, so there is nothing to verify\n"),
            "{text}"
        );
    }

    fs::write(&path, whole.replacen("reject", "accept", 1)).unwrap();
    let (exit, text) = typed(&["verify", &path]);
    assert_eq!(exit, Exit::Refuse);
    assert_eq!(
        text,
        format!("error: {path}:3: the line was changed: its hash is wrong\n")
    );

    fs::write(&path, &whole[..whole.len() - 30]).unwrap();
    let (exit, text) = typed(&["verify", &path]);
    assert_eq!(exit, Exit::Accept);
    assert!(text.starts_with("warning: the last "), "{text}");
}

#[test]
fn a_ledger_that_is_not_there_is_no_whole_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let (exit, text) = typed(&["verify", path.to_str().unwrap()]);
    assert_eq!(exit, Exit::Usage);
    assert!(text.starts_with("error: "), "{text}");
    let (exit, _) = typed(&["show", "--repo", folder.path().to_str().unwrap()]);
    assert_eq!(exit, Exit::Usage);
}

#[test]
fn the_policy_names_the_ledger() {
    let (folder, path) = sample();
    let policy = folder.path().join("policy.yaml");
    let text =
        format!("version: 1\nledger: {path}\nunknown: deny\nidentities: {{}}\nboundaries: {{}}\n");
    fs::write(&policy, text).unwrap();
    let (exit, text) = typed(&["verify", "--policy", policy.to_str().unwrap()]);
    assert_eq!(exit, Exit::Accept, "{text}");
    let (exit, text) = typed(&["verify", "--policy", "/nowhere/policy.yaml"]);
    assert_eq!(exit, Exit::Usage, "{text}");
}

#[test]
fn suppressions_that_nothing_needs_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let entry = |id: &str, until: &str| {
        format!(
            "  - {{ id: {id}, fingerprint: 0a09a2c64215, owner: alice, reason: r, until: {until}-01-01T00:00:00Z }}\n"
        )
    };
    let policy = [
        "version: 1\nidentities: {}\nboundaries: {}\nsuppressions:\n".to_owned(),
        entry("used", "2099"),
        entry("unused", "2099"),
        entry("over", "2020"),
    ];
    fs::write(path("policy.yaml"), policy.concat()).unwrap();
    let ledger = Ledger::open(Path::new(&path("ledger.jsonl"))).unwrap();
    for (day, id) in [
        ("2026-11-20", "used"),
        ("2026-11-22", "used"),
        ("2026-11-23", "foreign"),
    ] {
        let mut quiet = samples::token(0xb1, "tests/key.pem");
        quiet.finding.suppression = Some(crate::finding::Suppression {
            id: id.into(),
            until: "2099-01-01T00:00:00Z".parse().unwrap(),
            expired: false,
            at: samples::policy_line(9, "suppressions"),
        });
        let mut decision = samples::clean();
        decision.suppressed = vec![quiet.clone(), quiet];
        let time = format!("{day}T00:00:00Z").parse().unwrap();
        let entry = Entry::decision(&decision, time);
        ledger.append(&entry, Duration::from_secs(5)).unwrap();
    }
    let (file, policy) = (path("ledger.jsonl"), path("policy.yaml"));
    let ask = |since| {
        let (exit, said) = typed(&["suppressions", &file, "--policy", &policy, "--since", since]);
        assert_eq!(exit, Exit::Accept, "{said}");
        said
    };
    insta::assert_snapshot!(ask("2026-11-01"));
    let later = ask("2026-11-22");
    assert!(
        later.contains("used (line 5): used by 1 push, last 2026-11-22T00:00:00"),
        "{later}"
    );
    assert!(ask("2026-11-23").contains("used (line 5): UNUSED"));
    let (_, shown) = typed(&["show", "--file", &file, "--verdict", "accept"]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
}
