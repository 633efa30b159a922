//! The record: an append-only file of hash-chained JSON lines, written and synced before a push is answered.
//!
//! One append costs a lock, one read of the tail, one write and one sync, however large the file is. The form
//! of a line is in `chain.rs`, what it tells in `entry.rs`, and for people in `docs/ledger.md`.

mod chain;
mod entry;
mod id;
mod key;
mod suspended;
mod words;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::standing::Standing;

pub use chain::{Broken, Link, Record, Verified, hex32, verify};
pub(crate) use entry::shown_and_hex;
use entry::time_of;
pub use entry::{
    Account, ClockSet, Counts, Decided, Entry, Event, Found, FoundAt, Landed, Moved, Refused,
    Stopped,
};
pub use id::Id;
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
    /// The list of suspended identities cannot be read or written.
    #[error("{}", words(.0))]
    Suspended(io::Error),
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
        self.append_with(patience, |_| entry.clone())
    }

    /// Appends the entry that `make` gives for what the ledger says at that very moment: nobody else appends
    /// before it stands there. Otherwise as [`Ledger::append`].
    pub fn append_with(
        &self,
        patience: Duration,
        make: impl FnOnce(&Standing) -> Entry,
    ) -> Result<Id, LedgerError> {
        self.locked(patience, |file| self.append_locked(file, make))
    }

    /// Stops an identity until [`Ledger::resume`]: the next push of it is refused.
    pub fn suspend(&self, stopped: Stopped, patience: Duration) -> Result<Id, LedgerError> {
        self.locked(patience, |file| {
            let now = Timestamp::now();
            // First of all the file: a crash before the entry stands there still leaves it suspended.
            let mut names = standing_at(&self.path, &read_tail(file)?)?.suspended;
            names.insert(stopped.identity.clone(), time_of(now));
            suspended::write(&self.path, &names).map_err(LedgerError::Suspended)?;
            self.append_locked(file, |_| Entry::suspended(stopped, now))
        })
    }

    /// Lets an identity go on. `None`: it was not suspended, and nothing was recorded.
    pub fn resume(&self, stopped: Stopped, patience: Duration) -> Result<Option<Id>, LedgerError> {
        self.locked(patience, |file| {
            let mut names = standing_at(&self.path, &read_tail(file)?)?.suspended;
            if names.remove(&stopped.identity).is_none() {
                return Ok(None);
            }
            let id = self.append_locked(file, |_| Entry::resumed(stopped, Timestamp::now()))?;
            suspended::write(&self.path, &names).map_err(LedgerError::Suspended)?;
            Ok(Some(id))
        })
    }

    /// What the end of the ledger says now. Waits for nobody; an append that is being written counts as not there.
    pub fn standing(&self) -> Result<Standing, LedgerError> {
        let file = self.file.lock().map_err(|_| LedgerError::Busy)?;
        standing_at(&self.path, &read_tail(&file)?)
    }

    /// Does something while nobody else appends.
    fn locked<T>(
        &self,
        patience: Duration,
        work: impl FnOnce(&File) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut file = self.file.lock().map_err(|_| LedgerError::Busy)?;
        let until = Instant::now() + patience;
        lock(&file, until)?;
        // A rotation between opening and locking: follow the name, not the old file.
        while !still_named(&self.path, &file) {
            *file = open_file(&self.path)?;
            lock(&file, until)?;
        }
        let done = work(&file);
        // Closing would unlock as well; an error here loses nothing.
        let _ = file.unlock();
        done
    }

    fn append_locked(
        &self,
        mut file: &File,
        make: impl FnOnce(&Standing) -> Entry,
    ) -> Result<Id, LedgerError> {
        let length = file.metadata().map_err(LedgerError::Write)?.len();
        let tail = read_tail(file)?;
        let standing = standing_at(&self.path, &tail)?;
        let mut entry = make(&standing);
        carry_on(&mut entry, standing);
        let (line, id) = chain::seal(&entry, tail.seq + 1, tail.torn, &tail.hash)
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
    carried: Carried,
}

/// What each entry takes over from the one before.
#[derive(Debug, Default, serde::Deserialize)]
struct Carried {
    time: String,
    #[serde(default)]
    suspended: suspended::Names,
    #[serde(default)]
    ahead: Option<String>,
}

impl Carried {
    /// A time that cannot be read is none; what was written here can.
    fn latest(&self) -> Option<Timestamp> {
        let ahead = self.ahead.iter().filter_map(|time| time.parse().ok());
        self.time.parse().into_iter().chain(ahead).max()
    }
}

/// What the ledger at `path` with this end says.
fn standing_at(path: &Path, tail: &Tail) -> Result<Standing, LedgerError> {
    let mut suspended = suspended::read(path).map_err(LedgerError::Suspended)?;
    suspended.extend(tail.carried.suspended.clone());
    Ok(Standing {
        suspended,
        latest: tail.carried.latest(),
    })
}

/// What a ledger says, for who only asks, and makes none. `None`: there is none.
pub fn standing_beside(path: &Path) -> Result<Option<Standing>, LedgerError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(LedgerError::Open)?,
    };
    standing_at(path, &read_tail(&file)?).map(Some)
}

/// Takes over into `entry` what the end of the ledger says.
fn carry_on(entry: &mut Entry, standing: Standing) {
    entry.suspended = standing.suspended;
    entry.ahead = standing
        .latest
        .filter(|latest| {
            entry
                .time
                .parse()
                .is_ok_and(|time: Timestamp| time < *latest)
        })
        .map(time_of);
    match &entry.event {
        Event::Suspended(stopped) => {
            let since = entry.time.clone();
            entry.suspended.insert(stopped.identity.clone(), since);
        }
        Event::Resumed(stopped) => {
            entry.suspended.remove(&stopped.identity);
        }
        Event::Clock(_) => entry.ahead = None,
        Event::Decision(_) | Event::RefusedInput(_) | Event::Landed(_) => {}
    }
}

fn read_tail(file: &File) -> Result<Tail, LedgerError> {
    let length = file.metadata().map_err(LedgerError::Open)?.len();
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
                carried: Carried::default(),
            }));
        }
        let start = match tail[..end].iter().rposition(|byte| *byte == b'\n') {
            Some(before) => before + 1,
            None if whole => 0,
            None => return Ok(None),
        };
        if let Some(link) = chain::unseal(&tail[start..end]) {
            let carried = serde_json::from_slice(&tail[start..end]);
            let behind = tail.len() - (end + 1).min(tail.len());
            return Ok(Some(Tail {
                seq: link.seq,
                hash: link.hash,
                torn: (open_line && behind > 0).then_some(behind as u64),
                open_line,
                carried: carried.map_err(|_| LedgerError::Broken)?,
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
