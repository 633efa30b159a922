//! The record: an append-only file of hash-chained JSON lines, written and synced before a push is answered.
//!
//! One append costs a lock, one read of the tail, one write and one sync, however large the file is. The form
//! of a line is in `chain.rs`, what it tells in `entry.rs`, and for people in `docs/ledger.md`.

mod chain;
mod entry;
mod key;
mod words;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use chain::{Broken, Link, Record, Verified, hex32, verify};
pub(crate) use entry::shown_and_hex;
pub use entry::{
    Account, ClaimedBy, Counts, Decided, Entry, Event, Found, FoundAt, Id, Landed, Moved, Refused,
};
pub use key::{existing_key_beside, key_beside, key_in, passing_key};
pub(crate) use words::{confidence_word, kind_word, level_word, part_word, verdict_word};

/// Why an entry could not be written. The words are fit for the pusher: they name no server path.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder or the file cannot be made or opened.
    #[error("it cannot be opened: {}", words(.0))]
    Open(io::Error),
    /// Something else than a file stands at the path.
    #[error("it is not a regular file")]
    NotAFile,
    /// Others held the lock until the time was up.
    #[error("it is busy")]
    Busy,
    /// The end of the file is not an entry: the file was changed by something else.
    #[error("its last line is not an entry; run ringfence ledger verify")]
    Broken,
    /// Writing or syncing failed. The file is as it was before.
    #[error("{}", words(.0))]
    Write(io::Error),
    /// The key for fingerprints cannot be made or read.
    #[error("the fingerprint key beside it cannot be used: {}", words(.0))]
    Key(io::Error),
}

/// The system's words for an error, without the number behind them.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// How much of the end of the file is read first. One entry of an ordinary push has about 1 KiB.
const TAIL_BYTES: u64 = 8 << 10;

/// Most of the end of the file that is ever read by an append: two of the longest lines.
const TAIL_MAX_BYTES: u64 = 2 * chain::LINE_MAX_BYTES as u64;

/// How far back a landed push looks for its decision.
const COVERING_MAX_BYTES: u64 = 4 << 20;

/// Where the ledger of a repository is when the policy names no place.
pub fn default_path(git_dir: &Path) -> PathBuf {
    git_dir.join("ringfence/ledger.jsonl")
}

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    // Locks belong to the open file: threads that share it must take turns here first.
    file: Mutex<File>,
}

impl Ledger {
    /// Opens the ledger for appending; makes it (mode 0600) and its folder (mode 0700) when they are not there.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let file = open_file(path)?;
        Ok(Ledger {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Appends one entry, synced to the disk, and returns its id. Waits at most `patience` for others that
    /// are writing.
    pub fn append(&self, entry: &Entry, patience: Duration) -> Result<Id, LedgerError> {
        let mut file = self.file.lock().map_err(|_| LedgerError::Busy)?;
        let until = Instant::now() + patience;
        lock(&file, until)?;
        // A rotation between opening and locking: follow the name, not the old file.
        while !still_named(&self.path, &file) {
            *file = open_file(&self.path)?;
            lock(&file, until)?;
        }
        let appended = append_locked(&file, entry);
        // Closing would unlock as well; an error here loses nothing.
        let _ = file.unlock();
        appended
    }

    /// The newest decision that let all of `landed` pass, looked for in the end of the file.
    pub fn covering(&self, landed: &[Moved]) -> Result<Option<Id>, LedgerError> {
        let file = self.file.lock().map_err(|_| LedgerError::Busy)?;
        let length = file.metadata().map_err(LedgerError::Open)?.len();
        let from = length.saturating_sub(COVERING_MAX_BYTES);
        let mut tail = vec![0; usize::try_from(length - from).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut tail, from)
            .map_err(LedgerError::Open)?;
        for line in tail.rsplit(|byte| *byte == b'\n') {
            // A cut first line, or a torn one.
            let Ok(record) = serde_json::from_slice::<Record>(line) else {
                continue;
            };
            let Event::Decision(decided) = &record.entry.event else {
                continue;
            };
            let passed = decided.verdict == "accept" || !decided.enforced;
            let covers = |moved: &Moved| decided.updates.iter().any(|u| u.same_move(moved));
            if passed && landed.iter().all(covers) {
                return Ok(Id::parse(&record.id));
            }
        }
        Ok(None)
    }
}

/// Reads the entries of a ledger in order; lines that are no entries are left out (`verify` reports them).
pub fn records(path: &Path) -> io::Result<impl Iterator<Item = io::Result<(Vec<u8>, Record)>>> {
    let mut from = BufReader::with_capacity(64 << 10, File::open(path)?);
    let limit = u64::try_from(chain::LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
    Ok(std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            match from.by_ref().take(limit).read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(error)),
                Ok(0) => return None,
                Ok(_) => {}
            }
            line.pop_if(|last| *last == b'\n');
            if let Ok(record) = serde_json::from_slice(&line) {
                return Some(Ok((line, record)));
            }
        }
    }))
}

fn open_file(path: &Path) -> Result<File, LedgerError> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
    };
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(LedgerError::Open)?;
            open()
        }
        opened => opened,
    }
    .map_err(LedgerError::Open)?;
    let kind = file.metadata().map_err(LedgerError::Open)?.file_type();
    if kind.is_file() {
        Ok(file)
    } else {
        Err(LedgerError::NotAFile)
    }
}

fn lock(file: &File, until: Instant) -> Result<(), LedgerError> {
    let mut pause = Duration::from_micros(200);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(LedgerError::Open(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LedgerError::Busy);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn still_named(path: &Path, file: &File) -> bool {
    let (Ok(named), Ok(open)) = (fs::metadata(path), file.metadata()) else {
        return false;
    };
    (named.dev(), named.ino()) == (open.dev(), open.ino())
}

/// The end of the ledger, as the next entry must know it.
struct Tail {
    seq: u64,
    hash: [u8; 32],
    /// Bytes of unfinished lines behind the last entry.
    torn: Option<u64>,
    /// The file does not end with LF.
    open_line: bool,
}

fn append_locked(mut file: &File, entry: &Entry) -> Result<Id, LedgerError> {
    let length = file.metadata().map_err(LedgerError::Write)?.len();
    let tail = read_tail(file, length)?;
    let (line, id) = chain::seal(entry, tail.seq + 1, tail.torn, &tail.hash)
        .map_err(|error| LedgerError::Write(error.into()))?;
    if line.len() > chain::LINE_MAX_BYTES {
        let error = io::Error::other("the entry is too large");
        return Err(LedgerError::Write(error));
    }
    let mut bytes = Vec::with_capacity(line.len() + 2);
    if tail.open_line {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(&line);
    bytes.push(b'\n');
    // One call: on a crash the rest is missing at the end, never in the middle.
    let written = match file.write(&bytes) {
        Ok(count) if count == bytes.len() => file.sync_data(),
        Ok(_) => Err(io::ErrorKind::StorageFull.into()),
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => Ok(id),
        Err(error) => {
            // No entry for a push that is going to be refused as unjudged. Should this fail as well, the
            // next append finds a torn line and says so.
            let _ = file.set_len(length);
            Err(LedgerError::Write(error))
        }
    }
}

fn read_tail(file: &File, length: u64) -> Result<Tail, LedgerError> {
    let mut window = TAIL_BYTES;
    loop {
        let from = length.saturating_sub(window);
        let mut tail = vec![0; usize::try_from(length - from).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut tail, from)
            .map_err(LedgerError::Open)?;
        if let Some(found) = find_last(&tail, from == 0)? {
            return Ok(found);
        }
        if window >= TAIL_MAX_BYTES {
            return Err(LedgerError::Broken);
        }
        window *= 8;
    }
}

/// Finds the last entry in the end of the file. `None`: more of the file must be read.
fn find_last(tail: &[u8], whole: bool) -> Result<Option<Tail>, LedgerError> {
    let open_line = !tail.is_empty() && !tail.ends_with(b"\n");
    let mut end = tail.len() - usize::from(tail.ends_with(b"\n"));
    loop {
        if end == 0 && whole {
            return Ok(Some(Tail {
                seq: 0,
                hash: chain::GENESIS,
                torn: open_line.then_some(tail.len() as u64),
                open_line,
            }));
        }
        let start = match tail[..end].iter().rposition(|byte| *byte == b'\n') {
            Some(before) => before + 1,
            None if whole => 0,
            None => return Ok(None),
        };
        if let Some(link) = chain::unseal(&tail[start..end]) {
            let behind = tail.len() - (end + 1).min(tail.len());
            return Ok(Some(Tail {
                seq: link.seq,
                hash: link.hash,
                torn: (open_line && behind > 0).then_some(behind as u64),
                open_line,
            }));
        }
        // A line that ends with LF was written whole once. Only behind a cut line may unfinished ones stand.
        if !open_line {
            return Err(LedgerError::Broken);
        }
        end = start.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
