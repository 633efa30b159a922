//! The index follows from the ledger, whatever happened to either.

use std::io::Write as _;

use super::*;
use crate::push::RefUpdate;
use crate::verdict::Decision;

fn key() -> FingerprintKey {
    FingerprintKey::new([5; 32])
}

/// `docs-bot` makes the ref `number`.
fn make(number: u32) -> Decision {
    let mut decision = samples::clean();
    let name = format!("refs/heads/agents/docs-bot/{number}");
    decision.updates = vec![samples::update(&name, None, Some(samples::oid(0xb3)))];
    decision
}

fn made(number: u32) -> Vec<RefUpdate> {
    let mut updates = make(number).updates;
    updates[0].stored = updates[0].command.new;
    updates
}

/// Who made the ref `number`, and how often `docs-bot` pushed within the last hour.
fn ask(ledger: &Ledger, number: u32) -> Result<(Option<String>, u64), String> {
    let (repository, updates) = (make(number).repository, made(number));
    let ask = Ask {
        repository: &repository,
        updates: &updates,
        identity: Some("docs-bot"),
    };
    match ledger.past(PATIENCE, ask) {
        Past::Known(known) => {
            let stored = samples::oid(0xb3).to_string();
            let owner = known.refs[0].owner(Some(&stored)).map(str::to_owned);
            Ok((owner, known.tally.sums(now()).passed_in_hour))
        }
        Past::Unknown(why) => Err(why),
        Past::Elsewhere => Err("no index".to_owned()),
    }
}

fn open(path: &Path) -> Ledger {
    Ledger::open(path).unwrap().with_index(&key(), true)
}

fn push(ledger: &Ledger, number: u32) {
    let entry = Entry::decision(&make(number), now());
    ledger.append(&entry, PATIENCE).unwrap();
}

fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = suspended::beside(path, ".index");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn known() -> Result<(Option<String>, u64), String> {
    Ok((Some("docs-bot".to_owned()), 3))
}

/// A ledger with an index, and three refs that `docs-bot` made.
fn three() -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = ledger_of(0);
    let ledger = open(&path);
    (1..=3).for_each(|n| push(&ledger, n));
    (folder, path)
}

#[test]
fn what_others_append_is_read_later() {
    let (_folder, path) = three();
    // By a policy that keeps no index, or by a gate that was killed before it came to that.
    let without = Ledger::open(&path).unwrap();
    push(&without, 4);
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    (&file).write_all(b"{\"torn").unwrap();
    push(&without, 5);
    let ledger = open(&path);
    assert_eq!(ask(&ledger, 5), Ok((Some("docs-bot".to_owned()), 5)));
    assert_eq!(ask(&ledger, 6), Ok((None, 5)));
    let grown = files(&path);
    ledger.make_index(&[], PATIENCE).unwrap();
    assert_eq!(files(&path), grown);
}

#[test]
fn an_index_that_was_edited_or_lost_a_file_is_made_anew() {
    let (_folder, path) = three();
    let whole = files(&path);
    assert!(whole.len() >= 3, "head, identities, refs");
    for (file, text) in &whole {
        let mut edited = text.clone();
        edited[10] ^= 1;
        // As another server would have sealed it.
        let foreign = [b"{}\n".as_slice(), &[b'0'; 64], b"\n"].concat();
        for spoiled in [Some(edited), Some(Vec::new()), Some(foreign), None] {
            match spoiled {
                Some(text) => fs::write(file, text).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
            for number in 1..=3 {
                assert_eq!(ask(&open(&path), number), known(), "{}", file.display());
            }
            assert_eq!(files(&path), whole);
        }
    }
    // The seal binds the name of the file: one bucket is not another.
    let buckets: Vec<_> = whole
        .iter()
        .filter(|(file, _)| file.to_string_lossy().contains("refs-"))
        .collect();
    if let [(first, _), (_, second), ..] = &buckets[..] {
        fs::write(first, second).unwrap();
        (1..=3).for_each(|number| assert_eq!(ask(&open(&path), number), known()));
    }
}

#[test]
fn a_ledger_that_was_cut_or_replaced_is_not_believed() {
    let (_folder, path) = three();
    let whole = fs::read_to_string(&path).unwrap();
    let two: String = whole.split_inclusive('\n').take(2).collect();
    let (_other_folder, other) = ledger_of(7);
    for replaced in [two, fs::read_to_string(other).unwrap()] {
        fs::write(&path, &replaced).unwrap();
        let why = ask(&open(&path), 1).unwrap_err();
        assert!(why.contains("no longer in it"), "{why}");
        assert!(
            index_trouble_with(&path)
                .unwrap()
                .contains("no longer in it")
        );
        // What needs no index is recorded all the same.
        push(&open(&path), 9);
        assert!(ask(&open(&path), 9).is_err());
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(ask(&open(&path), 3), known());
    // A line was changed in the part that is not read yet.
    (4..=5).for_each(|n| push(&Ledger::open(&path).unwrap(), n));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("docs-bot/4", "docs-bot/6")).unwrap();
    let why = ask(&open(&path), 1).unwrap_err();
    assert!(why.contains("chain is broken"), "{why}");
}

/// [`index_trouble`] finds the key beside the ledger.
fn index_trouble_with(path: &Path) -> Option<String> {
    fs::write(path.with_file_name("fingerprint.key"), [5; 32]).unwrap();
    index_trouble(path)
}

#[test]
fn rotated_files_are_found_by_what_continues_them_and_packed_ones_named() {
    let (folder, path) = three();
    for (number, name) in [(4, "ledger.jsonl.2"), (5, "ledger.jsonl-20261101")] {
        fs::rename(&path, path.with_file_name(name)).unwrap();
        push(&open(&path), number);
    }
    let index = suspended::beside(&path, ".index");
    for number in 1..=5 {
        fs::remove_dir_all(&index).unwrap();
        let known = Ok((Some("docs-bot".to_owned()), 5));
        assert_eq!(ask(&open(&path), number), known, "{number}");
    }
    // The oldest goes away: what it said is not known any more.
    let oldest = path.with_file_name("ledger.jsonl.2");
    let packed = folder.path().join("old.gz");
    let mut gz =
        flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
    gz.write_all(&fs::read(&oldest).unwrap()).unwrap();
    gz.finish().unwrap();
    fs::remove_file(&oldest).unwrap();
    fs::remove_dir_all(&index).unwrap();
    assert_eq!(ask(&open(&path), 1), Ok((None, 2)));
    assert_eq!(ask(&open(&path), 5), Ok((Some("docs-bot".to_owned()), 2)));
    // A person names it.
    let older = [packed, path.with_file_name("ledger.jsonl-20261101")];
    open(&path).make_index(&older, PATIENCE).unwrap();
    assert_eq!(ask(&open(&path), 1), Ok((Some("docs-bot".to_owned()), 5)));
}

#[test]
fn a_ledger_without_its_start_is_told_from_a_whole_one() {
    let (_folder, path) = three();
    let since = |path: &Path| match open(path).past(
        PATIENCE,
        Ask {
            repository: &[],
            updates: &[],
            identity: None,
        },
    ) {
        Past::Known(known) => known.since,
        other => panic!("{other:?}"),
    };
    assert_eq!(since(&path), None);
    fs::rename(&path, path.with_file_name("ledger.jsonl.1")).unwrap();
    push(&open(&path), 4);
    assert_eq!(since(&path), None, "the index goes on");
    let index = suspended::beside(&path, ".index");
    fs::remove_dir_all(&index).unwrap();
    assert_eq!(since(&path), None, "the file before is there");
    fs::remove_dir_all(&index).unwrap();
    fs::remove_file(path.with_file_name("ledger.jsonl.1")).unwrap();
    assert!(since(&path).is_some());
}

#[test]
fn a_large_ledger_needs_its_index_made_once_and_costs_a_push_nothing_afterwards() {
    let (_folder, path) = ledger_of(0);
    {
        // Without syncing each of them.
        let file = File::create(&path).unwrap();
        let mut out = io::BufWriter::new(file);
        let mut prev = chain::GENESIS;
        let mut number = 0;
        while fs::metadata(&path).unwrap().len() <= INLINE_MAX_BYTES {
            number += 1;
            let entry = Entry::decision(&make(number % 5_000), now());
            let (line, hash, _) = chain::seal(&entry, u64::from(number), None, &prev).unwrap();
            out.write_all(&line).unwrap();
            out.write_all(b"\n").unwrap();
            prev = hash;
        }
        out.flush().unwrap();
    }
    let ledger = open(&path);
    let why = ask(&ledger, 1).unwrap_err();
    assert!(why.contains("ringfence ledger index"), "{why}");
    push(&ledger, 1);
    ledger.make_index(&[], PATIENCE).unwrap();
    assert_eq!(ask(&ledger, 1).unwrap().0.as_deref(), Some("docs-bot"));
    let started = Instant::now();
    for _ in 0..100 {
        ask(&open(&path), 4_000).unwrap();
    }
    let each = started.elapsed() / 100;
    assert!(
        each < Duration::from_millis(50),
        "{each:?} for one question"
    );
}
