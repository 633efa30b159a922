//! The index beside the ledger: who made which ref, and what each identity did lately, without reading the whole ledger.
//!
//! Everything in it follows from the ledger, and its head names the entry that it is up to. Each append adds to it; what
//! a crash left out is read from the ledger by the next one. Its files are sealed with the server's key: one that was
//! edited or replaced is not believed, and the index is made anew from the ledger and its rotated files. An index that
//! knows entries which the ledger no longer has is not thrown away: the ledger was cut or replaced, and a person must look.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::chain::{self, Walk};
use super::entry::{Decided, Entry, Event, Moved, shown_and_hex, time_of};
use super::rotated;
use super::suspended::beside;
use crate::check;
use crate::push::RefName;
use crate::redact::FingerprintKey;
use crate::standing::{Counted, Known, Passed, RefPast, Tally};

/// Files that refs and identities are spread over: with a million refs each has some 250. A push reads those that it is
/// about.
const BUCKETS: u16 = 4096;

/// Of the files. Others are made anew.
const VERSION: u32 = 2;

/// Most of the ledger that a push reads to bring the index up to date, in bytes. More is for `ringfence ledger index`.
pub(super) const INLINE_MAX_BYTES: u64 = 16 << 20;

/// Entries after which the refs in memory are written down, when an index is made from a large ledger.
const FLUSH_AFTER: u64 = 100_000;

/// Why the index cannot answer. The words are fit for the pusher.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Too much of the ledger would have to be read.
    #[error("its index must be made first; an admin runs ringfence ledger index")]
    TooMuch,
    /// The ledger is not the one that the index was made from.
    #[error(
        "its index knows entries that are no longer in it; an admin looks into it with ringfence ledger verify, and makes the index anew with ringfence ledger index"
    )]
    Foreign,
    /// The ledger has a line that does not follow.
    #[error("its chain is broken; an admin runs ringfence ledger verify")]
    Chain,
    /// The files of the index cannot be read or written.
    #[error("its index cannot be used: {}", super::words(.0))]
    Io(#[from] io::Error),
}

/// How far the index is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    v: u32,
    /// Number and hash of the entry.
    seq: u64,
    hash: String,
    /// Where the entry ends in the file.
    offset: u64,
    /// Entries applied, over all files.
    count: u64,
    /// Which files there are, one bit each: one that is taken away is missed.
    buckets: String,
    /// Entries before this moment were not there to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

/// What is known of one ref or identity, and the entry that changed it last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Upto<T>(u64, T);

impl<T> Upto<T> {
    /// Does what an entry says. A crash may have left a file ahead of the head: what it knows already is not counted twice.
    fn change(&mut self, count: u64, change: impl FnOnce(&mut T)) -> bool {
        let is_news = self.0 < count;
        if is_news {
            self.0 = count;
            change(&mut self.1);
        }
        is_news
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Bucket {
    refs: BTreeMap<String, Upto<RefPast>>,
    identities: BTreeMap<String, Upto<Tally>>,
    #[serde(skip)]
    changed: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    ledger: PathBuf,
    folder: PathBuf,
    key: FingerprintKey,
    head: Option<Head>,
    buckets: HashMap<u16, Bucket>,
    /// Which buckets have a file.
    present: Vec<u8>,
    /// The files were found to be edited: they are made anew.
    spoiled: bool,
    /// Nothing is written.
    read_only: bool,
    /// When the last entry was written that was added here.
    latest: Option<Timestamp>,
}

/// Names a ref of a repository in the index.
fn key_of(repository: &str, shown: &str, hex: Option<&str>) -> String {
    match hex {
        Some(hex) => format!("{repository} hex:{hex}"),
        None => format!("{repository} {shown}"),
    }
}

/// As an entry names it, by the ref that really moves.
fn key_of_moved(repository: &[String], moved: &Moved) -> String {
    let repository = repository.first().map_or("", String::as_str);
    match &moved.target {
        Some(target) => key_of(repository, target, moved.target_hex.as_deref()),
        None => key_of(repository, &moved.name, moved.ref_hex.as_deref()),
    }
}

/// Names an identity in the index; all who are none share one key.
fn key_of_identity(name: Option<&str>) -> String {
    format!("identity {}", name.unwrap_or_default())
}

fn bucket_of(key: &str) -> u16 {
    let digest = Sha256::digest(key.as_bytes());
    u16::from_be_bytes([digest[0], digest[1]]) % BUCKETS
}

impl Index {
    /// The index of the ledger at this path. `None`: there is none, and none is asked for.
    pub(super) fn open(ledger: &Path, key: &FingerprintKey, wanted: bool) -> Option<Self> {
        let folder = beside(ledger, ".index");
        if !wanted && !folder.join("head").exists() {
            return None;
        }
        let mut index = Index {
            ledger: ledger.to_owned(),
            folder,
            key: key.clone(),
            head: None,
            buckets: HashMap::new(),
            present: vec![0; usize::from(BUCKETS / 8)],
            spoiled: false,
            read_only: false,
            latest: None,
        };
        match index.load::<Head>("head") {
            Ok(Some(head)) => {
                let bits = HEXLOWER.decode(head.buckets.as_bytes()).unwrap_or_default();
                index.spoiled = head.v != VERSION || bits.len() != index.present.len();
                if !index.spoiled {
                    (index.head, index.present) = (Some(head), bits);
                }
            }
            Ok(None) => {}
            Err(_) => index.spoiled = true,
        }
        Some(index)
    }

    /// For who only asks: what is missing is read from the ledger and kept in memory alone.
    pub(super) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Its files cannot be believed: the next [`Index::catch_up`] makes them anew.
    pub(super) fn distrust(&mut self) {
        (self.head, self.spoiled) = (None, true);
    }

    /// Whether a file of it was edited or is missing, so that it was not believed.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Number and hash of the entry that it is up to.
    pub(super) fn head(&self) -> Option<(u64, [u8; 32])> {
        let head = self.head.as_ref()?;
        Some((head.seq, chain::hex32(head.hash.as_bytes())?))
    }

    /// Reads what the ledger has and the index has not: `seq` and `hash` are of the last entry of `file`.
    pub(super) fn catch_up(
        &mut self,
        file: &File,
        seq: u64,
        hash: &[u8; 32],
        most: u64,
    ) -> Result<(), Trouble> {
        let Some(head) = &self.head else {
            return self.rebuild(file, None, most);
        };
        // An empty file takes the place of the one that the head is of.
        if seq == 0 || head.hash == HEXLOWER.encode(hash) {
            return Ok(());
        }
        let known = chain::hex32(head.hash.as_bytes()).ok_or(Trouble::Foreign)?;
        let (offset, walk) = if ends_at(file, head.offset, &head.hash) {
            (head.offset, Walk::after(head.seq, known))
        } else if rotated::continues(file).is_some_and(|before| before == known) {
            (0, Walk::after(0, chain::GENESIS))
        } else {
            return Err(Trouble::Foreign);
        };
        let length = file.metadata()?.len();
        if length.saturating_sub(offset) > most {
            return Err(Trouble::TooMuch);
        }
        let mut from = file.try_clone()?;
        from.seek(SeekFrom::Start(offset))?;
        self.follow(BufReader::new(from), offset, walk)
    }

    /// Makes the index anew. `older`: files before this one, oldest first; without them they are looked for beside it.
    pub(super) fn rebuild(
        &mut self,
        file: &File,
        older: Option<&[PathBuf]>,
        most: u64,
    ) -> Result<(), Trouble> {
        let found;
        let (older, mut complete) = match older {
            Some(older) => (older, true),
            None => {
                let (files, complete) = rotated::before(&self.ledger, file)?;
                found = files;
                (&*found, complete)
            }
        };
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let bytes = file.metadata()?.len() + older.iter().map(size).sum::<u64>();
        if bytes > most {
            return Err(Trouble::TooMuch);
        }
        self.clear()?;
        // The oldest file may itself continue one that is nowhere.
        let oldest = match older.first() {
            Some(path) => rotated::first_entry(&mut rotated::open(path)?),
            None => rotated::first_entry(&mut reread(file)?),
        };
        complete &= !oldest
            .as_ref()
            .is_some_and(|entry| matches!(entry.event, Event::Continued(_)));
        let first = oldest.map_or_else(|| time_of(Timestamp::now()), |entry| entry.time);
        let since = (!complete).then_some(first);
        self.head = Some(Head {
            v: VERSION,
            seq: 0,
            hash: HEXLOWER.encode(&chain::GENESIS),
            offset: 0,
            count: 0,
            buckets: String::new(),
            since,
        });
        for path in older {
            self.follow(rotated::open(path)?, 0, Walk::after(0, chain::GENESIS))?;
        }
        self.follow(reread(file)?, 0, Walk::after(0, chain::GENESIS))?;
        self.spoiled = false;
        Ok(())
    }

    /// Applies the entries of a file from one place on.
    fn follow(
        &mut self,
        mut from: impl BufRead,
        mut offset: u64,
        mut walk: Walk,
    ) -> Result<(), Trouble> {
        let mut line = Vec::new();
        let limit = u64::try_from(chain::LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
        let mut unwritten = 0;
        loop {
            line.clear();
            offset += from.by_ref().take(limit).read_until(b'\n', &mut line)? as u64;
            if line.pop_if(|last| *last == b'\n').is_none() {
                return Ok(()); // The end, or an append that was cut short.
            }
            let Some(link) = walk.step(&line, 0).map_err(|_| Trouble::Chain)? else {
                continue;
            };
            let entry: Entry = serde_json::from_slice(&line).map_err(|_| Trouble::Chain)?;
            self.apply(&entry, link.id.as_str(), link.seq, &link.hash, offset)?;
            unwritten += 1;
            if unwritten >= FLUSH_AFTER && !self.read_only {
                self.write_buckets()?;
                self.buckets.clear();
                unwritten = 0;
            }
        }
    }

    /// Adds one entry, which ends at `offset`.
    pub(super) fn apply(
        &mut self,
        entry: &Entry,
        id: &str,
        seq: u64,
        hash: &[u8; 32],
        offset: u64,
    ) -> io::Result<()> {
        let count = self.head.as_ref().map_or(0, |head| head.count) + 1;
        let at: Timestamp = entry.time.parse().unwrap_or_default();
        self.latest = Some(at);
        self.count(entry, at, count)?;
        match &entry.event {
            Event::Decision(decided) => {
                for moved in &decided.updates {
                    let key = key_of_moved(&decided.repository, moved);
                    self.change(key, count, |past| decide(past, decided, moved, id, at))?;
                }
            }
            Event::Landed(landed) if !landed.repository.is_empty() => {
                for moved in &landed.updates {
                    let key = key_of_moved(&landed.repository, moved);
                    self.change(key, count, |past| {
                        past.land(
                            moved.old.as_deref(),
                            moved.new.as_deref(),
                            landed.decision.as_deref(),
                            at,
                        );
                    })?;
                }
            }
            Event::Assigned(assigned) => {
                let repository = assigned.repository.first().map_or("", String::as_str);
                let key = key_of(repository, &assigned.name, assigned.ref_hex.as_deref());
                self.change(key, count, |past| {
                    past.assign(&assigned.value, &assigned.identity, at);
                })?;
            }
            _ => {}
        }
        self.head = Some(Head {
            v: VERSION,
            seq,
            hash: HEXLOWER.encode(hash),
            offset,
            count,
            buckets: String::new(),
            since: self.head.take().and_then(|head| head.since),
        });
        Ok(())
    }

    fn count(&mut self, entry: &Entry, at: Timestamp, count: u64) -> io::Result<()> {
        let (name, push) = match &entry.event {
            Event::Decision(decided) => match counted(decided, at) {
                Some(push) => (decided.actor.as_deref(), Some(push)),
                None => return Ok(()),
            },
            Event::Resumed(stopped) => (Some(&*stopped.identity), None),
            _ => return Ok(()),
        };
        let key = key_of_identity(name);
        let bucket = self.bucket(bucket_of(&key))?;
        let one = bucket.identities.entry(key).or_default();
        bucket.changed |= one.change(count, |tally| match push {
            Some(push) => tally.count(&push),
            None => tally.forgive(),
        });
        Ok(())
    }

    fn change(
        &mut self,
        key: String,
        count: u64,
        change: impl FnOnce(&mut RefPast),
    ) -> io::Result<()> {
        let bucket = self.bucket(bucket_of(&key))?;
        let one = bucket.refs.entry(key).or_default();
        bucket.changed |= one.change(count, change);
        Ok(())
    }

    fn bucket(&mut self, number: u16) -> io::Result<&mut Bucket> {
        if !self.buckets.contains_key(&number) {
            let has_file = self.present[usize::from(number / 8)] & (1 << (number % 8)) != 0;
            let bucket = match has_file {
                true => self.load(&bucket_file(number))?,
                // What a crash left there is not known to the head; it is made again from the ledger.
                false => Some(Bucket::default()),
            };
            let bucket = bucket.ok_or_else(|| io::Error::other("a file of it is gone"))?;
            self.buckets.insert(number, bucket);
        }
        Ok(self.buckets.entry(number).or_default())
    }

    /// What it knows of these refs and of an identity.
    pub(super) fn known<'a>(
        &mut self,
        repository: &str,
        refs: impl Iterator<Item = &'a RefName>,
        identity: Option<&str>,
    ) -> io::Result<Known> {
        let mut pasts = Vec::new();
        for name in refs {
            let (shown, hex) = shown_and_hex(name.as_bytes());
            let key = key_of(repository, &shown, hex.as_deref());
            let bucket = self.bucket(bucket_of(&key))?;
            pasts.push(
                bucket
                    .refs
                    .get(&key)
                    .map(|one| one.1.clone())
                    .unwrap_or_default(),
            );
        }
        let key = key_of_identity(identity);
        let bucket = self.bucket(bucket_of(&key))?;
        let tally = bucket.identities.get(&key).map(|one| one.1.clone());
        let since = self.head.as_ref().and_then(|head| head.since.as_ref());
        Ok(Known {
            tally: tally.unwrap_or_default(),
            refs: pasts,
            since: since.and_then(|since| since.parse().ok()),
        })
    }

    /// Writes down what changed; the head last, so that a crash leaves an index that is behind, and never one that lies.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.read_only {
            return Ok(());
        }
        self.write_buckets()?;
        let buckets = HEXLOWER.encode(&self.present);
        match &mut self.head {
            Some(head) => head.buckets = buckets,
            None => return Ok(()),
        }
        self.save("head", &self.head)
    }

    fn write_buckets(&mut self) -> io::Result<()> {
        if self.read_only {
            return Ok(());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let mut buckets = std::mem::take(&mut self.buckets);
        for (number, bucket) in buckets.iter_mut().filter(|(_, bucket)| bucket.changed) {
            if let Some(latest) = self.latest {
                bucket.identities.retain(|_, one| !one.1.is_spent(latest));
            }
            self.save(&bucket_file(*number), bucket)?;
            self.present[usize::from(*number / 8)] |= 1 << (*number % 8);
            bucket.changed = false;
        }
        self.buckets = buckets;
        Ok(())
    }

    /// Takes all of it away, the head first: a crash in between leaves no index.
    fn clear(&mut self) -> io::Result<()> {
        self.head = None;
        self.buckets.clear();
        self.present.fill(0);
        if self.read_only {
            return Ok(());
        }
        let gone = |done: io::Result<()>| match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs::remove_file(self.folder.join("head")))?;
        gone(fs::remove_dir_all(&self.folder))
    }

    /// What the seal of a file binds: the ledger, the file, and the bytes.
    fn seal(&self, name: &str, body: &[u8]) -> String {
        let ledger = self.ledger.file_name().unwrap_or_default();
        let what = format!("{} {name}", ledger.display());
        HEXLOWER.encode(&self.key.seal(&what, body))
    }

    fn load<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let text = match fs::read(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let edited = || io::Error::other("a file of it was changed by something else");
        let body = text.strip_suffix(b"\n").ok_or_else(edited)?;
        let split = memchr::memrchr(b'\n', body).ok_or_else(edited)?;
        let (body, seal) = (&body[..split], &body[split + 1..]);
        if self.seal(name, body).as_bytes() != seal {
            return Err(edited());
        }
        serde_json::from_slice(body).map(Some).map_err(|_| edited())
    }

    fn save(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let body = serde_json::to_vec(value)?;
        let seal = self.seal(name, &body);
        let draft = self.folder.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&[&body, b"\n".as_slice(), seal.as_bytes(), b"\n"].concat())?;
        fs::rename(&draft, self.folder.join(name))
    }
}

fn bucket_file(number: u16) -> String {
    format!("part-{number:03x}")
}

/// A reader of its own over the whole file.
fn reread(file: &File) -> io::Result<BufReader<File>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(BufReader::with_capacity(256 << 10, file))
}

/// Whether the entry with this hash ends at this place.
fn ends_at(file: &File, offset: u64, hash: &str) -> bool {
    let seal = format!(",\"hash\":\"{hash}\",\"id\":\"XXXX-XXXX\"}}\n");
    let mut end = vec![0; seal.len()];
    let Some(from) = offset.checked_sub(end.len() as u64) else {
        return false;
    };
    let fixed = seal.len() - "XXXX-XXXX\"}\n".len();
    file.read_exact_at(&mut end, from).is_ok() && end[..fixed] == seal.as_bytes()[..fixed]
}

/// What one decision says of one of its refs.
fn decide(past: &mut RefPast, decided: &Decided, moved: &Moved, id: &str, at: Timestamp) {
    // A push that could not be judged may name what the client claimed.
    if decided.verdict != "unjudged" {
        past.seen(moved.old.as_deref(), at);
    }
    if has_passed(decided) {
        let passed = Passed {
            old: moved.old.as_deref(),
            new: moved.new.as_deref(),
            identity: decided.actor.as_deref(),
            person: decided.actor_kind == "human",
            decision: id,
        };
        past.pass(&passed, at);
    }
}

fn has_passed(decided: &Decided) -> bool {
    decided.verdict == "accept" || !decided.enforced
}

/// The push as it counts for its identity. `None`: it counts for nobody.
fn counted(decided: &Decided, at: Timestamp) -> Option<Counted> {
    // A forge's own bookkeeping is no push of the account, and who has no boundary has no budget.
    if decided.mode == "record" || decided.boundary.is_none() {
        return None;
    }
    let rejected = decided.verdict == "reject" && decided.enforced;
    let refused = rejected
        && decided
            .findings
            .iter()
            .any(|found| found.level == "deny" && !check::is_of_time(&found.rule));
    Some(Counted {
        at,
        passed: has_passed(decided),
        refused,
        // What could not be judged cost the most.
        judged: refused == rejected,
        commits: decided.counts.commits,
        added_lines: decided.counts.added_lines,
    })
}
