use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::ledger::{Account, Counts, Entry, Id, Landed, Ledger};
use crate::push::RefName;

mod unmentioned;

/// When the ledger begins, in seconds.
const BEGAN: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;

/// Commits by number: parents, and when they were made, in hours from the beginning of the ledger.
struct Commits(Vec<(Vec<Node>, i64)>);

fn oid(node: Node) -> Oid {
    Oid::from_hex(format!("{:040x}", node + 1).as_bytes()).unwrap()
}

impl History for Commits {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn commit(&self, value: &Oid) -> Option<Node> {
        (0..self.0.len() as Node).find(|node| oid(*node) == *value)
    }

    fn parents(&self, node: Node) -> &[Node] {
        &self.0[node as usize].0
    }

    fn made(&self, value: &Oid) -> Option<i64> {
        Some(self.clock(self.commit(value)?))
    }

    fn clock(&self, node: Node) -> i64 {
        BEGAN + HOUR * self.0[node as usize].1
    }

    fn brief(&self, node: Node) -> record::Commit {
        record::Commit {
            commit: node.to_string(),
            ..record::Commit::default()
        }
    }
}

/// Symbolic refs: `refs/heads/to/main` leads to the branch of that name, `refs/heads/to/pull` to a ref of the host.
fn target(name: &[u8]) -> Option<Vec<u8>> {
    match name {
        b"refs/heads/to/main" => Some(MAIN.into()),
        b"refs/heads/to/pull" => Some(b"refs/pull/1/head".to_vec()),
        _ => None,
    }
}

/// One line of history: commits 0 to 3 are older than the ledger, each later one is an hour younger than the one before.
fn line(count: Node) -> Commits {
    let commit = |node: Node| {
        (
            node.checked_sub(1).into_iter().collect(),
            i64::from(node) - 4,
        )
    };
    Commits((0..count).map(commit).collect())
}

struct Bench {
    dir: tempfile::TempDir,
    name: &'static str,
    minute: i64,
}

/// A move in short: the ref, and the numbers of the commits before and after.
type Move<'a> = (&'a str, Option<Node>, Option<Node>);

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Bench {
            dir,
            name: "org/site",
            minute: 0,
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ledger.jsonl")
    }

    fn moved((name, old, new): &Move<'_>) -> Moved {
        let name = RefName::new(*name).unwrap();
        Moved::of(&name, old.map(oid), new.map(oid))
    }

    fn write(&mut self, event: Event) -> Id {
        self.minute += 1;
        let now = jiff::Timestamp::from_second(BEGAN + 60 * (self.minute - 1)).unwrap();
        let entry = Entry {
            time: format!("{now:.3}"),
            event,
            engine: "test".into(),
            suspended: Default::default(),
            ahead: None,
        };
        let ledger = Ledger::open(&self.path()).unwrap();
        ledger.append(&entry, Duration::from_secs(5)).unwrap()
    }

    /// Minutes go by.
    fn wait(&mut self, minutes: i64) {
        self.minute += minutes;
    }

    fn decide(&mut self, verdict: &str, moves: &[Move<'_>]) -> Id {
        let updates = moves.iter().map(Bench::moved).collect();
        self.decide_on(verdict, verdict != "observe", updates)
    }

    fn decide_on(&mut self, verdict: &str, enforced: bool, updates: Vec<Moved>) -> Id {
        let verdict = if enforced { verdict } else { "reject" };
        self.write(Event::Decision(Box::new(Decided {
            verdict: verdict.into(),
            enforced,
            mode: "enforce".into(),
            unjudged: None,
            actor: Some("docs-bot".into()),
            actor_kind: "agent".into(),
            owner: None,
            boundary: None,
            assisted: None,
            claims: Vec::new(),
            pusher: Account::default(),
            host: "plain".into(),
            errand: None,
            repository: vec![self.name.into(), "site".into()],
            updates,
            counts: Counts::default(),
            findings: Vec::new(),
            suppressed: Vec::new(),
            policy: String::new(),
        })))
    }

    fn land(&mut self, decision: Option<&Id>, moves: &[Move<'_>]) {
        let landed = Landed {
            updates: moves.iter().map(Bench::moved).collect(),
            decision: decision.map(ToString::to_string),
            repository: vec![self.name.into(), "site".into()],
        };
        self.write(Event::Landed(landed));
    }

    /// An accepted push that came.
    fn push(&mut self, moves: &[Move<'_>]) {
        let id = self.decide("accept", moves);
        self.land(Some(&id), moves);
    }

    fn compare(&self, history: &Commits, refs: &[(&str, Node)]) -> Compared {
        self.compare_files(&[self.path()], history, refs)
    }

    fn compare_files(
        &self,
        files: &[PathBuf],
        history: &Commits,
        refs: &[(&str, Node)],
    ) -> Compared {
        let mut all: Vec<(Vec<u8>, Oid)> = refs
            .iter()
            .map(|(name, node)| (name.as_bytes().to_vec(), oid(*node)))
            .collect();
        all.sort();
        let refs = Refs {
            all: &all,
            target: &target,
            read_at: 1_000 * (BEGAN + 60 * self.minute + HOUR),
        };
        let names = ["org/site".to_owned(), "site".to_owned()];
        compare(
            "org/site",
            Some(&names),
            &refs,
            history,
            &Book::read(files).unwrap(),
        )
        .unwrap()
    }
}

/// What was told, in short: kind, ref or commit, and the numbers of the commits.
fn told(compared: &Compared) -> Vec<String> {
    let number = |id: &Option<String>| match id {
        Some(id) => (u64::from_str_radix(id, 16).unwrap() - 1).to_string(),
        None => "-".into(),
    };
    let short = |one: &record::Uncovered| match (&*one.kind, &one.commit) {
        ("chain", _) => format!("chain {}", one.why.rsplit('/').next().unwrap()),
        (kind, Some(commit)) => format!("{kind} {}", commit.commit),
        (kind, None) => {
            let name = one.name.as_deref().unwrap_or("*");
            let name = name.trim_start_matches("refs/heads/");
            format!("{kind} {name} {}..{}", number(&one.old), number(&one.new))
        }
    };
    compared.uncovered.iter().map(short).collect()
}

const MAIN: &str = "refs/heads/main";
const WORK: &str = "refs/heads/work";

#[test]
fn what_the_gate_let_pass_is_covered() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.push(&[(WORK, None, Some(5)), ("refs/tags/v1", None, Some(4))]);
    // Refused: the ref stays.
    bench.decide("reject", &[(MAIN, Some(4), Some(6))]);
    // A force push, and back.
    bench.push(&[(WORK, Some(5), Some(3))]);
    bench.push(&[(WORK, Some(3), Some(5))]);
    // Deleted, and made again.
    bench.push(&[("refs/tags/v1", Some(4), None)]);
    bench.push(&[("refs/tags/v1", None, Some(5))]);
    // Observed only.
    let id = bench.decide("observe", &[(MAIN, Some(4), Some(6))]);
    bench.land(Some(&id), &[(MAIN, Some(4), Some(6))]);
    bench.push(&[(WORK, Some(5), None)]);
    let compared = bench.compare(
        &line(7),
        &[(MAIN, 6), ("refs/tags/v1", 5), ("refs/heads/old", 1)],
    );
    assert_eq!(told(&compared), [""; 0]);
    let ledger = &compared.ledger;
    assert!(ledger.intact && ledger.why.is_none());
    assert_eq!((ledger.entries, ledger.decisions), (17, 9));
    assert_eq!(ledger.since.as_deref(), Some("2027-01-15T08:00:00Z"));
    assert_eq!(ledger.notes.len(), 1, "{:?}", ledger.notes);
    assert!(ledger.notes[0].contains("does not mention 1 refs"));
}

/// Without post-receive nothing says what landed: what a later push found does, and the ref itself.
#[test]
fn without_post_receive_the_next_push_tells_what_came() {
    let mut bench = Bench::new();
    bench.decide("accept", &[(MAIN, Some(2), Some(4))]);
    bench.decide("accept", &[(MAIN, Some(4), Some(5))]);
    bench.wait(60);
    bench.decide("reject", &[(MAIN, Some(5), Some(3))]);
    bench.decide("accept", &[(MAIN, Some(5), Some(6))]);
    assert_eq!(told(&bench.compare(&line(7), &[(MAIN, 6)])), [""; 0]);
    // The last one may not have come.
    assert_eq!(
        told(&bench.compare(&line(7), &[(MAIN, 5)])),
        ["not-landed main 5..6"]
    );
    let compared = bench.compare(&line(7), &[(MAIN, 5)]);
    let one = &compared.uncovered[0];
    assert_eq!(one.identity.as_deref(), Some("docs-bot"));
    assert_eq!(one.time.as_deref(), Some("2027-01-15T09:03:00Z"));
    assert!(one.decision.is_some());
}

#[test]
fn a_ref_that_moved_behind_the_gate_is_told() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4)), (WORK, None, Some(4))]);
    bench.wait(60);
    let history = line(8);
    assert_eq!(
        told(&bench.compare(&history, &[(MAIN, 6), (WORK, 4)])),
        ["ref-update main 4..6", "commit 5", "commit 6"]
    );
    assert_eq!(
        told(&bench.compare(&history, &[(MAIN, 4)])),
        ["ref-deleted work 4..-"]
    );
    // Set back to what the ledger knows, but long ago.
    assert_eq!(
        told(&bench.compare(&history, &[(MAIN, 2), (WORK, 4)])),
        ["ref-update main 4..2"]
    );
    // A later push shows that it was so, whatever came then; what it brought itself is covered.
    bench.push(&[(MAIN, Some(6), Some(7))]);
    let compared = bench.compare(&history, &[(MAIN, 7), (WORK, 4)]);
    assert_eq!(
        told(&compared),
        ["ref-update main 4..6", "commit 5", "commit 6"]
    );
    assert_eq!(
        compared.uncovered[0].time.as_deref(),
        Some("2027-01-15T09:02:00Z")
    );
    assert!(
        compared.uncovered[0]
            .why
            .contains("the ledger left it elsewhere at 2027-01-15T08:01:00Z")
    );
    assert_eq!(compared.count, 3);
}

#[test]
fn a_push_that_no_decision_covers_is_told() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.land(None, &[(MAIN, Some(4), Some(5))]);
    bench.land(None, &[("refs/heads/new", None, Some(6))]);
    bench.land(None, &[(MAIN, Some(5), None)]);
    assert_eq!(
        told(&bench.compare(&line(7), &[("refs/heads/new", 6)])),
        [
            "ref-update main 4..5",
            "ref-update new -..6",
            "ref-deleted main 5..-",
            "commit 5",
            "commit 6"
        ]
    );
}

/// Post-receive looks for a decision in the end of the ledger only; here all of it is known.
#[test]
fn a_landing_without_a_decision_is_covered_by_one_that_let_the_same_pass() {
    let mut bench = Bench::new();
    bench.decide("accept", &[(MAIN, Some(2), Some(4))]);
    bench.land(None, &[(MAIN, Some(2), Some(4))]);
    assert_eq!(told(&bench.compare(&line(5), &[(MAIN, 4)])), [""; 0]);
}

#[test]
fn a_decision_that_never_landed_is_told() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.decide("accept", &[(MAIN, Some(4), Some(5)), (WORK, None, Some(6))]);
    bench.wait(30);
    assert_eq!(
        told(&bench.compare(&line(7), &[(MAIN, 4)])),
        ["not-landed main 4..5", "not-landed work -..6"]
    );
    // One that is told when a later push finds the ref as it was is not told twice.
    bench.push(&[(MAIN, Some(4), Some(6))]);
    assert_eq!(
        told(&bench.compare(&line(7), &[(MAIN, 6), (WORK, 6)])),
        ["not-landed main 4..5"]
    );
    // Too fresh to say: it may still be on its way.
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.decide("accept", &[(MAIN, Some(4), Some(5))]);
    bench.minute -= 60;
    assert_eq!(told(&bench.compare(&line(7), &[(MAIN, 4)])), [""; 0]);
}

/// Two push at the same time: the order of entries is not the order in which things happened.
#[test]
fn pushes_that_come_together_are_no_finding() {
    let mut bench = Bench::new();
    let first = bench.decide("accept", &[(MAIN, Some(2), Some(4))]);
    let second = bench.decide("accept", &[(MAIN, Some(4), Some(5))]);
    bench.land(Some(&second), &[(MAIN, Some(4), Some(5))]);
    bench.land(Some(&first), &[(MAIN, Some(2), Some(4))]);
    // It had read the ref before the others landed.
    bench.decide("reject", &[(MAIN, Some(4), Some(6))]);
    assert_eq!(told(&bench.compare(&line(7), &[(MAIN, 5)])), [""; 0]);
    // The refs were read before the last push landed.
    bench.wait(-64);
    assert_eq!(told(&bench.compare(&line(7), &[(MAIN, 4)])), [""; 0]);
}

#[test]
fn what_was_let_pass_and_was_moved_on_past_the_gate_has_come() {
    let mut bench = Bench::new();
    bench.decide("accept", &[(MAIN, Some(2), Some(4))]);
    bench.wait(60);
    assert_eq!(
        told(&bench.compare(&line(7), &[(MAIN, 5)])),
        ["ref-update main 4..5", "commit 5"]
    );
}

#[test]
fn a_repository_that_the_ledger_never_mentions_is_one_record() {
    let mut bench = Bench::new();
    bench.name = "org/other";
    bench.push(&[(MAIN, Some(2), Some(4))]);
    // An entry of another repository whose last folder has the same name.
    let compared = bench.compare(&line(7), &[(MAIN, 6), (WORK, 5)]);
    assert_eq!(told(&compared), ["ref-update * -..-"]);
    assert_eq!((compared.ledger.entries, compared.ledger.decisions), (2, 0));
    assert_eq!(told(&bench.compare(&line(0), &[])), [""; 0]);
    // A ledger of its own needs no name.
    let book = Book::read(&[bench.path()]).unwrap();
    let all = [(MAIN.as_bytes().to_vec(), oid(4))];
    let refs = Refs {
        all: &all,
        target: &target,
        read_at: 1_000 * (BEGAN + HOUR),
    };
    let compared = compare("renamed", None, &refs, &line(7), &book).unwrap();
    assert_eq!(told(&compared), [""; 0]);
    assert_eq!(compared.ledger.decisions, 1);
}

#[test]
fn symbolic_refs_proposals_and_odd_names_are_followed() {
    let mut bench = Bench::new();
    let alias = |old, new| Moved {
        target: Some(MAIN.into()),
        ..Bench::moved(&("refs/heads/alias", old, new))
    };
    let id = bench.decide_on("accept", true, vec![alias(Some(2), Some(4))]);
    bench.land(Some(&id), &[("refs/heads/alias", Some(2), Some(4))]);
    bench.push(&[(MAIN, Some(4), Some(5))]);
    // AGit: the host gives the proposal a ref of its own, and may move it itself.
    bench.decide("accept", &[("refs/for/main", None, Some(6))]);
    bench.land(None, &[("refs/pull/1/head", None, Some(6))]);
    bench.decide("accept", &[("refs/for/main/topic", None, Some(7))]);
    let odd = "refs/heads/\u{e4}\u{202e}";
    bench.push(&[(odd, None, Some(5))]);
    let refs = [
        (MAIN, 5),
        ("refs/heads/alias", 5),
        ("refs/pull/1/head", 7),
        (odd, 5),
    ];
    assert_eq!(told(&bench.compare(&line(8), &refs)), [""; 0]);
    let moved = [
        (MAIN, 5),
        ("refs/heads/alias", 5),
        ("refs/pull/1/head", 7),
        (odd, 4),
    ];
    let compared = bench.compare(&line(8), &moved);
    assert_eq!(compared.count, 1);
    assert!(
        compared.uncovered[0].name.as_ref().unwrap().is_ascii(),
        "{compared:?}"
    );
}

#[test]
fn an_edited_line_is_told_and_is_no_evidence() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.decide("reject", &[(MAIN, Some(4), Some(5))]);
    bench.wait(60);
    bench.push(&[(WORK, None, Some(4))]);
    let refs = [(MAIN, 5), (WORK, 4)];
    let whole = ["ref-update main 4..5", "commit 5"];
    assert_eq!(told(&bench.compare(&line(6), &refs)), whole);
    // Somebody makes an accept of the refusal.
    let text = fs::read_to_string(bench.path()).unwrap();
    let edited = text.replace("\"verdict\":\"reject\"", "\"verdict\":\"accept\"");
    fs::write(bench.path(), &edited).unwrap();
    let compared = bench.compare(&line(6), &refs);
    assert!(
        told(&compared)[0].starts_with("chain ledger.jsonl, line 3: "),
        "{compared:?}"
    );
    assert_eq!(&told(&compared)[1..], whole);
    assert!(!compared.ledger.intact && compared.ledger.why.is_some());
    // Or cuts it out, and the accepted push with it.
    let cut: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(at, _)| ![0, 1].contains(at))
        .map(|(_, line)| line)
        .collect();
    fs::write(bench.path(), cut.join("\n") + "\n").unwrap();
    let told_of = told(&bench.compare(&line(6), &refs));
    assert!(
        told_of[0].starts_with("chain ledger.jsonl, line 1: "),
        "{told_of:?}"
    );
    assert_eq!(told_of[1], "ref-update main 4..5");
}

#[test]
fn an_append_that_was_cut_short_breaks_nothing() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(bench.path())
        .unwrap();
    file.write_all(b"{\"v\":1,\"seq\":3").unwrap();
    let compared = bench.compare(&line(6), &[(MAIN, 4)]);
    assert_eq!(told(&compared), [""; 0]);
    assert!(compared.ledger.intact && compared.ledger.notes[0].contains("14 bytes"));
    bench.push(&[(MAIN, Some(4), Some(5))]);
    let compared = bench.compare(&line(6), &[(MAIN, 5)]);
    assert_eq!(
        (told(&compared), compared.ledger.intact),
        (Vec::new(), true)
    );
}

#[test]
fn older_files_are_read_first() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    let older = bench.dir.path().join("ledger.jsonl.1");
    fs::rename(bench.path(), &older).unwrap();
    bench.push(&[(MAIN, Some(4), Some(5))]);
    // Nothing links them where no index is kept: it is told, and what is named is read.
    let compared = bench.compare(&line(6), &[(MAIN, 5)]);
    assert_eq!(compared.ledger.entries, 2);
    assert!(
        compared.ledger.notes[0].starts_with("1 files beside the ledger"),
        "{:?}",
        compared.ledger.notes
    );
    let files = [older.clone(), bench.path()];
    let compared = bench.compare_files(&files, &line(6), &[(MAIN, 5)]);
    assert_eq!((told(&compared), compared.ledger.entries), (Vec::new(), 4));
    assert!(compared.ledger.notes[0].contains("does not say which file it continues"));
    // Packed ones too.
    let packed = bench.dir.path().join("old.gz");
    let mut writer = flate2::write::GzEncoder::new(
        fs::File::create(&packed).unwrap(),
        flate2::Compression::default(),
    );
    writer.write_all(&fs::read(&older).unwrap()).unwrap();
    writer.finish().unwrap();
    let compared = bench.compare_files(&[packed, bench.path()], &line(6), &[(MAIN, 5)]);
    assert_eq!(
        (told(&compared), compared.ledger.decisions),
        (Vec::new(), 2)
    );
    // The wrong way round.
    let compared = bench.compare_files(&[bench.path(), older], &line(6), &[(MAIN, 5)]);
    assert!(!told(&compared).is_empty());
}

#[test]
fn many_are_counted_and_not_all_listed() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    let names: Vec<String> = (0..1_500)
        .map(|number| format!("refs/heads/b{number}"))
        .collect();
    let refs: Vec<(&str, Node)> = names.iter().map(|name| (&**name, 5)).collect();
    let compared = bench.compare(&line(6), &refs);
    // And `main` is gone.
    assert_eq!(compared.count, 1_502);
    assert_eq!(compared.uncovered.len() as u64, LISTED_MAX + 2);
    assert!(
        compared
            .ledger
            .notes
            .iter()
            .any(|note| note.starts_with("500 more moves"))
    );
}
