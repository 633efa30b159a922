use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::report::samples;

mod index;
mod standing;

const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> Timestamp {
    "2026-11-22T20:12:05.0071Z".parse().unwrap()
}

fn sample() -> Entry {
    Entry::decision(
        &samples::with(vec![samples::token(0xb2, "docs/a.md")]),
        now(),
    )
}

fn check(path: &Path) -> Result<Verified, Broken> {
    verify(Cursor::new(fs::read(path).unwrap()), None)
}

fn ledger_of(entries: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringfence/ledger.jsonl");
    let ledger = Ledger::open(&path).unwrap();
    for _ in 0..entries {
        ledger.append(&sample(), PATIENCE).unwrap();
    }
    (folder, path)
}

#[test]
fn a_line_tells_who_what_where_and_when() {
    let (_folder, path) = ledger_of(1);
    let line = fs::read_to_string(&path).unwrap();
    let (body, _) = line.split_once(",\"hash\"").unwrap();
    insta::assert_snapshot!(body.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn places_and_what_is_suppressed_are_recorded_and_bounded() {
    let mut found = samples::token(0xb2, "docs/a.md");
    for n in 0..2_000 {
        let mut place = found.finding.place.clone();
        place.path = Some(format!("docs/{n}.md").into());
        let detail = None;
        found.also.push(crate::finding::Sighting { place, detail });
    }
    let mut quiet = samples::token(0xb1, "tests/key.pem");
    quiet.finding.suppression = Some(crate::finding::Suppression {
        id: "vector".into(),
        until: now(),
        expired: false,
        at: samples::policy_line(9, "suppressions: vector"),
    });
    let mut decision = samples::with(vec![found; 30]);
    decision.suppressed = vec![quiet; 300];
    let entry = Entry::decision(&decision, now());
    let Event::Decision(decided) = &entry.event else {
        panic!("a decision")
    };
    assert_eq!(decided.counts.suppressed, 300);
    assert_eq!(decided.counts.findings, 30);
    assert_eq!(decided.suppressed.len(), 200);
    assert_eq!(
        decided.suppressed[0].suppressed_by.as_deref(),
        Some("vector")
    );
    assert_eq!(decided.findings[0].place_count, Some(2_001));
    assert_eq!(decided.findings[0].places.len(), 100);
    let places: usize = decided
        .findings
        .iter()
        .map(|found| found.places.len())
        .sum();
    assert_eq!(places, 970, "with the findings at most a thousand rows");
    let text = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
}

#[test]
fn folder_and_file_are_for_the_server_alone() {
    let (_folder, path) = ledger_of(1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn the_id_comes_from_the_hash_and_is_read_as_people_type_it() {
    let id = Id::of_hash(&[0xff; 32]);
    assert_eq!(id.as_str(), "ZZZZ-ZZZZ");
    let mut hash = [0; 32];
    hash[..5].copy_from_slice(&[
        0b0000_0000,
        0b0100_0100,
        0b0011_0010,
        0b0001_0100,
        0b1100_0111,
    ]);
    assert_eq!(Id::of_hash(&hash).as_str(), "0123-4567");
    for typed in ["0123-4567", "oi23-4567", "OL234567", "0123-4567"] {
        assert_eq!(Id::parse(typed), Some(Id::of_hash(&hash)), "{typed}");
    }
    for wrong in [
        "",
        "0123",
        "0123-45678",
        "U123-4567",
        "0123 4567",
        "../../etc",
    ] {
        assert_eq!(Id::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn threads_that_append_together_leave_a_whole_chain() {
    let (_folder, path) = ledger_of(0);
    std::thread::scope(|scope| {
        for shared in [true, false] {
            let one = std::sync::Arc::new(Ledger::open(&path).unwrap());
            for _ in 0..4 {
                let (path, one) = (&path, one.clone());
                scope.spawn(move || {
                    for _ in 0..50 {
                        let own = Ledger::open(path).unwrap();
                        let ledger = if shared { &*one } else { &own };
                        ledger.append(&sample(), PATIENCE).unwrap();
                    }
                });
            }
        }
    });
    assert_eq!(check(&path).unwrap().entries, 400);
}

#[test]
fn a_torn_line_is_ended_and_reported() {
    for cut in [1, 40, 200] {
        let (_folder, path) = ledger_of(3);
        let length = fs::metadata(&path).unwrap().len();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length - cut).unwrap();
        let before = check(&path).unwrap();
        assert!(before.unfinished > 0, "{cut}");
        let ledger = Ledger::open(&path).unwrap();
        ledger.append(&sample(), PATIENCE).unwrap();
        ledger.append(&sample(), PATIENCE).unwrap();
        let after = check(&path).unwrap();
        match cut {
            // Only the LF was missing: the entry is there.
            1 => assert_eq!((after.entries, after.torn.len()), (5, 0)),
            _ => {
                assert_eq!(after.entries, 4);
                assert_eq!(after.torn, [(3, before.unfinished)]);
            }
        }
    }
}

#[test]
fn torn_twice_and_torn_at_the_start() {
    let (_folder, path) = ledger_of(0);
    for kept in [0, 1] {
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"v\":1,\"seq\":1,\"ti\n{\"v\":1,\"se");
        fs::write(&path, &bytes).unwrap();
        Ledger::open(&path)
            .unwrap()
            .append(&sample(), PATIENCE)
            .unwrap();
        let verified = check(&path).unwrap();
        assert_eq!(verified.entries, kept + 1);
        assert_eq!(verified.torn.last(), Some(&(kept + 1, 29)));
    }
}

#[test]
fn a_last_line_that_was_changed_refuses() {
    let (_folder, path) = ledger_of(2);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}note to self\n")).unwrap();
    let error = Ledger::open(&path)
        .unwrap()
        .append(&sample(), PATIENCE)
        .unwrap_err();
    assert!(matches!(error, LedgerError::Broken), "{error}");
}

#[test]
fn tampering_is_found() {
    let (_folder, path) = ledger_of(5);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let broken_at = |lines: &[&str]| {
        let text = lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        match verify(Cursor::new(text), None) {
            Err(Broken::Line { line, .. }) => Some(line),
            Ok(_) => None,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(broken_at(&lines), None);
    let edited = lines[2].replace("reject", "accept");
    assert_eq!(
        broken_at(&[lines[0], lines[1], &edited, lines[3], lines[4]]),
        Some(3)
    );
    assert_eq!(
        broken_at(&[lines[0], lines[1], lines[3], lines[4]]),
        Some(3)
    );
    assert_eq!(broken_at(&lines[1..]), Some(1));
    assert_eq!(
        broken_at(&[lines[0], lines[2], lines[1], lines[3], lines[4]]),
        Some(2)
    );
    assert_eq!(
        broken_at(&[lines[0], lines[1], lines[1], lines[2], lines[3]]),
        Some(3)
    );
    assert_eq!(
        broken_at(&[lines[0], lines[1], "hello", lines[2], lines[3]]),
        Some(3)
    );
    assert_eq!(broken_at(&[lines[0], lines[1], ""]), Some(3));
    let edited = lines[4].replace("reject", "accept");
    assert_eq!(
        broken_at(&[lines[0], lines[1], lines[2], lines[3], &edited]),
        Some(5)
    );
    // The chain alone cannot miss what was cut off at the end: that takes a hash noted elsewhere.
    assert_eq!(broken_at(&lines[..3]), None);
    let head = check(&path).unwrap().head.unwrap().hash;
    assert!(verify(Cursor::new(&text), Some(head)).is_ok());
    let cut = lines[..3].join("\n") + "\n";
    assert!(matches!(
        verify(Cursor::new(cut), Some(head)),
        Err(Broken::Anchor(_))
    ));
}

#[test]
fn an_entry_with_a_forged_torn_field_is_found() {
    let (_folder, path) = ledger_of(1);
    let first = fs::read(&path).unwrap();
    let link = chain::unseal(first.trim_ascii_end()).unwrap();
    let (line, ..) = chain::seal(&sample(), 2, Some(7), &link.hash).unwrap();
    let text = [first, line, b"\n".to_vec()].concat();
    assert!(matches!(
        verify(Cursor::new(text), None),
        Err(Broken::Line { line: 2, .. })
    ));
}

#[test]
fn what_stands_in_the_way_is_said_without_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &Path| Ledger::open(path).unwrap_err().to_string();
    assert_eq!(at(folder.path()), "it cannot be opened: is a directory");
    assert_eq!(at(Path::new("/dev/full")), "it is not a regular file");
    assert_eq!(
        at(Path::new("/dev/null/x/ledger.jsonl")),
        "it cannot be opened: not a directory"
    );
}

#[test]
fn a_lock_held_by_others_is_waited_for_only_so_long() {
    let (_folder, path) = ledger_of(1);
    let other = File::open(&path).unwrap();
    other.lock().unwrap();
    let ledger = Ledger::open(&path).unwrap();
    let error = ledger
        .append(&sample(), Duration::from_millis(30))
        .unwrap_err();
    assert!(matches!(error, LedgerError::Busy), "{error}");
    other.unlock().unwrap();
    ledger.append(&sample(), Duration::ZERO).unwrap();
}

#[test]
fn a_rotated_file_is_left_alone() {
    let (_folder, path) = ledger_of(2);
    let ledger = Ledger::open(&path).unwrap();
    let old = path.with_extension("1");
    fs::rename(&path, &old).unwrap();
    ledger.append(&sample(), PATIENCE).unwrap();
    assert_eq!(check(&old).unwrap().entries, 2);
    assert_eq!(check(&path).unwrap().entries, 1);
}

#[test]
fn a_landed_push_finds_its_decision() {
    let (_folder, path) = ledger_of(0);
    let ledger = Ledger::open(&path).unwrap();
    let accepted = ledger
        .append(&Entry::decision(&samples::clean(), now()), PATIENCE)
        .unwrap();
    // The same push, refused later: it cannot be what let the refs move.
    ledger.append(&sample(), PATIENCE).unwrap();
    let update = &samples::clean().updates[0];
    let landed = Moved::of(&update.command.name, update.stored, update.command.new);
    assert_eq!(
        ledger
            .covering(std::slice::from_ref(&landed), &samples::clean().pusher)
            .unwrap(),
        Some(accepted.clone())
    );
    let another = Pusher::default();
    let moves = std::slice::from_ref(&landed);
    assert_eq!(ledger.covering(moves, &another).unwrap(), None);
    let mut other = landed.clone();
    other.new = None;
    assert_eq!(
        ledger
            .covering(&[landed.clone(), other], &samples::clean().pusher)
            .unwrap(),
        None
    );
    ledger
        .append(
            &Entry::landed(vec![landed], Some(&accepted), &[], now()),
            PATIENCE,
        )
        .unwrap();
    let last = records(&path).unwrap().last().unwrap().unwrap().1;
    assert!(
        matches!(last.entry.event, Event::Landed(landed) if landed.decision.as_deref() == Some(accepted.as_str()))
    );
}

#[test]
fn entries_are_read_back_as_written() {
    let (_folder, path) = ledger_of(0);
    let ledger = Ledger::open(&path).unwrap();
    let mut observed = samples::with(vec![samples::token(0xb2, "docs/\u{65e5}.md")]);
    observed.enforced = false;
    let refused = Entry::refused_input(
        "standard input is empty",
        crate::push::HostKind::Gitea,
        &observed.pusher,
        now(),
    );
    for entry in [Entry::decision(&observed, now()), refused, sample()] {
        let id = ledger.append(&entry, PATIENCE).unwrap();
        let (_, read) = records(&path).unwrap().last().unwrap().unwrap();
        assert_eq!((read.entry, read.id.as_str()), (entry, id.as_str()));
    }
}

#[test]
fn a_large_ledger_costs_an_append_no_more_than_a_small_one() {
    let (_folder, path) = ledger_of(1);
    // 100 MB in front of the last entry; nothing of it may be read.
    let line = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(100 << 20).unwrap();
    file.write_all_at(&[b"\n", line.as_slice()].concat(), 100 << 20)
        .unwrap();
    let read = |path: &Path| read_tail(&File::open(path).unwrap()).unwrap().seq;
    let started = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(read(&path), 1);
    }
    // Reading 100 MB a thousand times would take a minute.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn pushes_that_come_first_agree_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("new/ledger.jsonl");
    let prints: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| key_beside(&ledger).unwrap().fingerprint("r", b"v")))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(prints.iter().all(|print| *print == prints[0]));
    let key = ledger.with_file_name("fingerprint.key");
    let mode = fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode, fs::read(&key).unwrap().len()), (0o600, 32));
    assert_eq!(fs::read_dir(ledger.parent().unwrap()).unwrap().count(), 1);
    fs::write(&key, "short").unwrap();
    let error = key_beside(&ledger).unwrap_err().to_string();
    assert_eq!(
        error,
        "the fingerprint key beside it cannot be used: it does not hold 32 bytes"
    );
    let passing = || passing_key().unwrap().fingerprint("r", b"v");
    assert_ne!(passing(), passing());
}

/// Stands for a process of its own; see [`child`].
#[test]
#[ignore = "run by other tests, in processes of their own"]
fn append_from_a_process() {
    let Some(path) = std::env::var_os("LEDGER_OF_TEST") else {
        return;
    };
    let count: u32 = std::env::var("APPENDS_OF_TEST").unwrap().parse().unwrap();
    for _ in 0..count {
        let appended =
            Ledger::open(Path::new(&path)).and_then(|ledger| ledger.append(&sample(), PATIENCE));
        if let Err(error) = appended {
            panic!("REFUSED: {error}");
        }
    }
}

/// This program again, appending to a ledger; `before` is what a shell does first, `as_nobody` drops root.
fn child(path: &Path, appends: u32, before: &str, as_nobody: bool) -> std::process::Child {
    let program = std::env::current_exe().unwrap();
    let (program, test) = (
        program.to_str().unwrap(),
        "ledger::tests::append_from_a_process",
    );
    let drop_root = match as_nobody && fs::metadata("/proc/self").unwrap().uid() == 0 {
        true => "setpriv --reuid=65534 --regid=65534 --clear-groups",
        false => "",
    };
    std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "{before}\nexec {drop_root} '{program}' --exact {test} --ignored --nocapture"
        ))
        .env("LEDGER_OF_TEST", path)
        .env("APPENDS_OF_TEST", appends.to_string())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn processes_that_append_together_leave_a_whole_chain() {
    let (_folder, path) = ledger_of(0);
    let children: Vec<_> = (0..8).map(|_| child(&path, 50, "", false)).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!(check(&path).unwrap().entries, 400);
}

#[test]
fn a_full_disk_refuses_and_leaves_the_ledger_whole() {
    let (_folder, path) = ledger_of(3);
    // The largest size that a file may get, in 512 bytes: room for a part of the next entry, and for none.
    for limit in [
        fs::metadata(&path).unwrap().len() / 512 + 1,
        fs::metadata(&path).unwrap().len() / 512,
    ] {
        let before = fs::read(&path).unwrap();
        let output = child(&path, 3, &format!("trap '' XFSZ; ulimit -f {limit}"), false)
            .wait_with_output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(
            !output.status.success() && text.contains("REFUSED: "),
            "{text}"
        );
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    Ledger::open(&path)
        .unwrap()
        .append(&sample(), PATIENCE)
        .unwrap();
    assert_eq!(check(&path).unwrap().entries, 4);
}

#[test]
fn a_writer_that_is_killed_leaves_what_the_next_one_can_mend() {
    let (_folder, path) = ledger_of(1);
    for _ in 0..5 {
        let mut writer = child(&path, 100_000, "", false);
        std::thread::sleep(Duration::from_millis(60));
        writer.kill().unwrap();
        writer.wait().unwrap();
        Ledger::open(&path)
            .unwrap()
            .append(&sample(), PATIENCE)
            .unwrap();
        check(&path).unwrap();
    }
}

#[test]
fn a_ledger_that_may_only_be_read_refuses() {
    let (folder, path) = ledger_of(1);
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(folder.path(), 0o755);
    set(path.parent().unwrap(), 0o755);
    set(&path, 0o444);
    for missing in [false, true] {
        if missing {
            fs::remove_file(&path).unwrap();
            set(path.parent().unwrap(), 0o555);
        }
        let output = child(&path, 1, "cd /", true).wait_with_output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(
            text.contains("REFUSED: it cannot be opened: permission denied"),
            "{text}"
        );
    }
    set(path.parent().unwrap(), 0o755);
}
