//! The record: an append-only file of hash-chained JSON lines, written and synced before a push is answered.
//!
//! One append costs a lock, one read of the tail, one write and one sync, however large the file is. The form
//! of a line is in `chain.rs`, what it tells in `entry.rs`, and for people in `docs/ledger.md`.

mod book;
mod chain;
mod entry;
mod id;
mod index;
mod key;
mod orders;
mod rotated;
mod suspended;
mod tail;
mod words;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::push::{Pusher, RefUpdate};
use crate::redact::FingerprintKey;
use crate::standing::{Known, Past, Standing};

pub use book::{Book, Flaw, Gap};
pub use chain::{Broken, Link, Record, Verified, hex32, verify};
pub(crate) use entry::shown_and_hex;
use entry::time_of;
pub use entry::{
    Account, ClaimedBy, Counts, Decided, Entry, Event, Found, FoundAt, Landed, Moved, Refused,
};
pub use id::Id;
use index::{INLINE_MAX_BYTES, Index, Trouble};
pub use key::{existing_key_beside, key_beside, key_in, passing_key};
pub use orders::{Assigned, ClockSet, Continued, Stopped};
use tail::{Tail, read_tail};
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
    /// The index cannot be made.
    #[error("{0}")]
    Index(String),
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
    /// Seals the index. Without it the index is neither asked nor kept.
    key: Option<FingerprintKey>,
    /// The index is made where there is none.
    keeps_index: bool,
}

/// What is asked of the index: one identity, and some refs of one repository, by the name that really moves.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Names of the repository, most specific first.
    pub repository: &'a [String],
    /// The refs.
    pub updates: &'a [RefUpdate],
    /// Who pushes. `None`: nobody that the policy knows; they all share one tally.
    pub identity: Option<&'a str>,
}

/// What is written down in one step.
#[derive(Debug)]
pub struct Written {
    /// The entry.
    pub entry: Entry,
    /// An identity that is stopped at the same moment, by an entry of its own.
    pub suspends: Option<Stopped>,
}

impl From<Entry> for Written {
    fn from(entry: Entry) -> Self {
        Written {
            entry,
            suspends: None,
        }
    }
}

impl Ledger {
    /// Opens the ledger for appending; makes it (mode 0600) and its folder (mode 0700) when they are not there.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let file = open_file(path)?;
        Ok(Ledger {
            path: path.to_owned(),
            file: Mutex::new(file),
            key: None,
            keeps_index: false,
        })
    }

    /// Asks the index beside the ledger, and keeps it where there is one, or everywhere (`always`).
    pub fn with_index(mut self, key: &FingerprintKey, always: bool) -> Self {
        (self.key, self.keeps_index) = (Some(key.clone()), always);
        self
    }

    /// Appends one entry, synced to the disk, and returns its id. Waits at most `patience` for others that
    /// are writing.
    pub fn append(&self, entry: &Entry, patience: Duration) -> Result<Id, LedgerError> {
        self.append_with(patience, None, |_, _| entry.clone().into())
    }

    /// Appends what `make` gives for what the ledger says at that very moment: nobody else appends before it stands
    /// there. `ask`: what the index is asked; without it the past is [`Past::Elsewhere`]. Otherwise as
    /// [`Ledger::append`].
    pub fn append_with(
        &self,
        patience: Duration,
        ask: Option<Ask<'_>>,
        make: impl FnOnce(&Standing, Past) -> Written,
    ) -> Result<Id, LedgerError> {
        self.locked(patience, |file| {
            let tail = read_tail(file)?;
            let (index, past) = self.index(file, &tail, ask);
            let standing = standing_at(&self.path, &tail)?;
            let Written { entry, suspends } = make(&standing, past);
            let mut entries = vec![entry];
            if let Some(stopped) = suspends {
                let now = entries[0].time.parse().unwrap_or_default();
                self.keep_suspended(&standing, &stopped, now)?;
                entries.push(Entry::suspended(stopped, now));
            }
            self.write(file, tail, standing, index, entries)
        })
    }

    /// What the index knows now. Waits at most `patience` for others that are writing.
    pub fn past(&self, patience: Duration, ask: Ask<'_>) -> Past {
        let asked = self.locked(patience, |file| {
            let tail = read_tail(file)?;
            Ok(self.index(file, &tail, Some(ask)).1)
        });
        asked.unwrap_or_else(|error| Past::Unknown(error.to_string()))
    }

    /// Makes the index anew, however long that takes. `older`: files before this one, oldest first; when there are
    /// none, they are looked for beside it. Pushes wait meanwhile.
    pub fn make_index(&self, older: &[PathBuf], patience: Duration) -> Result<(), LedgerError> {
        let Some(key) = &self.key else { return Ok(()) };
        self.locked(patience, |file| {
            let Some(mut index) = Index::open(&self.path, key, true) else {
                return Ok(());
            };
            let older = (!older.is_empty()).then_some(older);
            index
                .rebuild(file, older, u64::MAX)
                .and_then(|()| Ok(index.flush()?))
                .map_err(|trouble| LedgerError::Index(trouble.to_string()))
        })
    }

    /// The index, up to date, and what it answers. No index: none is kept, or it cannot be brought up to date.
    fn index(&self, file: &File, tail: &Tail, ask: Option<Ask<'_>>) -> (Option<Index>, Past) {
        let key = self.key.as_ref();
        let wanted = self.keeps_index || ask.is_some();
        let index = key.and_then(|key| Index::open(&self.path, key, wanted));
        let Some(mut index) = index else {
            return (None, Past::Elsewhere);
        };
        let answered = match ask_index(&mut index, file, tail, ask) {
            // A file of it was edited or is gone: what the ledger says is what counts.
            Err(Trouble::Io(_)) => {
                index.distrust();
                ask_index(&mut index, file, tail, ask)
            }
            answered => answered,
        };
        match answered {
            Ok(Some(known)) => (Some(index), Past::Known(known)),
            Ok(None) => (Some(index), Past::Elsewhere),
            Err(trouble) => (None, Past::Unknown(trouble.to_string())),
        }
    }

    /// Stops an identity until [`Ledger::resume`]: the next push of it is refused.
    pub fn suspend(&self, stopped: Stopped, patience: Duration) -> Result<Id, LedgerError> {
        self.locked(patience, |file| {
            let tail = read_tail(file)?;
            let (index, _) = self.index(file, &tail, None);
            let standing = standing_at(&self.path, &tail)?;
            let now = Timestamp::now();
            self.keep_suspended(&standing, &stopped, now)?;
            let entries = vec![Entry::suspended(stopped, now)];
            self.write(file, tail, standing, index, entries)
        })
    }

    /// Keeps the list beside the ledger. First of all: a crash before the entry stands there still leaves it suspended.
    fn keep_suspended(
        &self,
        standing: &Standing,
        stopped: &Stopped,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut names = standing.suspended.clone();
        names.insert(stopped.identity.clone(), time_of(now));
        suspended::write(&self.path, &names).map_err(LedgerError::Suspended)
    }

    /// Lets an identity go on. `None`: it was not suspended, and nothing was recorded.
    pub fn resume(&self, stopped: Stopped, patience: Duration) -> Result<Option<Id>, LedgerError> {
        self.locked(patience, |file| {
            let tail = read_tail(file)?;
            let (index, _) = self.index(file, &tail, None);
            let standing = standing_at(&self.path, &tail)?;
            let mut names = standing.suspended.clone();
            if names.remove(&stopped.identity).is_none() {
                return Ok(None);
            }
            let entries = vec![Entry::resumed(stopped, Timestamp::now())];
            let id = self.write(file, tail, standing, index, entries)?;
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

    /// Writes entries behind the end of the ledger in one call, and adds them to the index. Returns the id of the first.
    fn write(
        &self,
        mut file: &File,
        tail: Tail,
        mut standing: Standing,
        index: Option<Index>,
        mut entries: Vec<Entry>,
    ) -> Result<Id, LedgerError> {
        let length = file.metadata().map_err(LedgerError::Write)?.len();
        let head = index.as_ref().and_then(Index::head);
        if let Some((seq, hash)) = head.filter(|(seq, _)| tail.seq == 0 && *seq > 0) {
            entries.insert(0, Entry::continued(seq, &hash, Timestamp::now()));
        }
        let first = entries.len() - 1 - usize::from(entries.len() > 1 && is_suspension(&entries));
        let mut bytes = Vec::with_capacity(2 << 10);
        if tail.open_line {
            bytes.push(b'\n');
        }
        let (mut seq, mut hash, mut torn) = (tail.seq, tail.hash, tail.torn);
        let mut sealed = Vec::with_capacity(entries.len());
        for entry in &mut entries {
            carry_on(entry, &mut standing);
            let (line, own, id) = chain::seal(entry, seq + 1, torn.take(), &hash)
                .map_err(|error| LedgerError::Write(error.into()))?;
            if line.len() > chain::LINE_MAX_BYTES {
                let error = io::Error::other("the entry is too large");
                return Err(LedgerError::Write(error));
            }
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
            (seq, hash) = (seq + 1, own);
            sealed.push((id, seq, hash, length + bytes.len() as u64));
        }
        // One call: on a crash the rest is missing at the end, never in the middle.
        let written = match file.write(&bytes) {
            Ok(count) if count == bytes.len() => file.sync_data(),
            Ok(_) => Err(io::ErrorKind::StorageFull.into()),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // No entry for a push that is going to be refused as unjudged. Should this fail as well, the
            // next append finds a torn line and says so.
            let _ = file.set_len(length);
            return Err(LedgerError::Write(error));
        }
        if let Some(mut index) = index {
            let mut each = entries.iter().zip(&sealed);
            let added = each.try_for_each(|(entry, (id, seq, hash, end))| {
                index.apply(entry, id.as_str(), *seq, hash, *end)
            });
            // What stands in the ledger is recorded: an index that is behind is brought up to date by the next push.
            let _ = added.and_then(|()| index.flush());
        }
        Ok(sealed.swap_remove(first).0)
    }

    /// The newest decision that let all of `landed` of this pusher pass, looked for in the end of the file. Of two that
    /// push the same, each is covered by a decision of its own.
    pub fn covering(&self, landed: &[Moved], pusher: &Pusher) -> Result<Option<Id>, LedgerError> {
        let pusher = Account::of(pusher);
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
            if passed && decided.pusher == pusher && landed.iter().all(covers) {
                return Ok(Id::parse(&record.id));
            }
        }
        Ok(None)
    }
}

/// Reads the entries of a ledger in order, also of one that is packed (`.gz`); lines that are no entries are left out (`verify` reports them).
pub fn records(path: &Path) -> io::Result<impl Iterator<Item = io::Result<(Vec<u8>, Record)>>> {
    let mut from = rotated::open(path)?;
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

/// What the index of a ledger says, for who only asks, and makes none. `None`: there is no ledger or key that this account
/// may read.
pub fn past_beside(path: &Path, ask: Ask<'_>) -> Option<Past> {
    let key = existing_key_beside(path)?;
    let file = File::open(path).ok()?;
    let tail = read_tail(&file).ok()?;
    let mut index = Index::open(path, &key, true)?.read_only();
    Some(match ask_index(&mut index, &file, &tail, Some(ask)) {
        Ok(Some(known)) => Past::Known(known),
        Ok(None) => Past::Elsewhere,
        Err(trouble) => Past::Unknown(trouble.to_string()),
    })
}

/// What is wrong with the index of a ledger, in one sentence. `None`: nothing, or there is none.
pub fn index_trouble(path: &Path) -> Option<String> {
    let key = existing_key_beside(path)?;
    let file = File::open(path).ok()?;
    let tail = read_tail(&file).ok()?;
    let mut index = Index::open(path, &key, false)?.read_only();
    if index.is_spoiled() {
        return Some("a file of its index was changed by something else".to_owned());
    }
    let behind = index.catch_up(&file, tail.seq, &tail.hash, INLINE_MAX_BYTES);
    behind.err().map(|trouble| trouble.to_string())
}

/// Brings an index up to date, and asks it.
fn ask_index(
    index: &mut Index,
    file: &File,
    tail: &Tail,
    ask: Option<Ask<'_>>,
) -> Result<Option<Known>, Trouble> {
    let before = index.head();
    index.catch_up(file, tail.seq, &tail.hash, INLINE_MAX_BYTES)?;
    if before != index.head() {
        index.flush()?;
    }
    let Some(ask) = ask else { return Ok(None) };
    let repository = ask.repository.first().map_or("", String::as_str);
    let refs = ask.updates.iter().map(|update| &update.target);
    Ok(Some(index.known(repository, refs, ask.identity)?))
}

/// Whether the last of them stops somebody, behind the entry that it is about.
fn is_suspension(entries: &[Entry]) -> bool {
    let stops = |entry: &Entry| matches!(entry.event, Event::Suspended(_));
    entries.last().is_some_and(stops)
}

/// Takes over into `entry` what the end of the ledger says, and into that what the entry says.
fn carry_on(entry: &mut Entry, standing: &mut Standing) {
    entry.suspended = standing.suspended.clone();
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
        _ => {}
    }
    standing.suspended = entry.suspended.clone();
    let ahead = entry.ahead.as_ref().and_then(|time| time.parse().ok());
    standing.latest = ahead.or_else(|| entry.time.parse().ok());
}

#[cfg(test)]
mod tests;
