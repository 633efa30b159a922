//! A ledger with the files that it continues, read once for many repositories: its chain is proved, and where the
//! entries about each repository stand is noted, 16 bytes an entry and name. Then each repository reads its own.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::chain::{self, Broken, GENESIS, LINE_MAX_BYTES, Record, Walk};
use super::entry::Event;
use super::rotated;
use crate::redact::Quoted;

/// Flaws that are listed; `flaw_count` has all.
const FLAWS_MAX: usize = 100;

/// Where a chain does not hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

/// What a file that is read is missing, without the chain being broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// The oldest file that is here continues one that is not.
    OlderFileMissing(PathBuf),
    /// Files beside it that may be older ones, and that nothing links to it: they were not read.
    NotLinked(usize),
    /// A file that does not say which one it continues.
    DoesNotSay(PathBuf),
    /// The last append was cut short: so many bytes are no entry.
    CutShort(PathBuf, u64),
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |path: &Path| Quoted(path.as_os_str().as_bytes()).to_string();
        match self {
            Gap::OlderFileMissing(path) => {
                let path = shown(path);
                write!(
                    f,
                    "{path} continues a file that is not here: what was decided before is not known"
                )
            }
            Gap::NotLinked(count) => write!(
                f,
                "{count} files beside the ledger may be older ones, and nothing links them to it: they were not read"
            ),
            Gap::DoesNotSay(path) => {
                write!(f, "{} does not say which file it continues", shown(path))
            }
            Gap::CutShort(path, bytes) => {
                write!(
                    f,
                    "the last {bytes} bytes of {} are an append that was cut short",
                    shown(path)
                )
            }
        }
    }
}

/// A ledger and its older files.
#[derive(Debug, Default)]
pub struct Book {
    /// Oldest first; the last one is the ledger.
    files: Vec<PathBuf>,
    entries: u64,
    began: Option<String>,
    flaws: Vec<Flaw>,
    flaw_count: u64,
    gaps: Vec<Gap>,
    /// By the most specific name that an entry gives of its repository.
    by_name: HashMap<String, Vec<Place>>,
    /// By its other names.
    by_other_name: HashMap<String, Vec<Place>>,
    /// Of entries that name no repository.
    nameless: Vec<Place>,
}

/// Where an entry starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: u32,
    offset: u64,
}

/// As much of an entry as is needed to sort it.
#[derive(Deserialize)]
struct Heading {
    time: String,
    #[serde(default)]
    repository: Vec<String>,
    #[serde(default)]
    kind: String,
}

impl Book {
    /// Reads a ledger. `files`: oldest first; of a single one, those before it are looked for beside it. An entry whose own
    /// hash is wrong is no evidence for anything, and is left out; what follows it is read all the same.
    pub fn read(files: &[PathBuf]) -> io::Result<Book> {
        let mut book = Book::default();
        for path in files {
            // Asked before it is opened: a pipe would be waited for, and a device has no end.
            if !std::fs::metadata(path)?.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
        }
        book.files = match files {
            [ledger] => {
                let (mut files, is_all) = rotated::before(ledger, &File::open(ledger)?)?;
                if !is_all {
                    let beside = rotated::beside(ledger)?.len();
                    book.gaps.push(Gap::NotLinked(beside - files.len()));
                }
                files.push(ledger.clone());
                files
            }
            files => files.to_vec(),
        };
        let mut head = None;
        for (number, path) in book.files.clone().iter().enumerate() {
            head = book.read_file(path, number, head)?;
        }
        Ok(book)
    }

    /// Reads one file, and tells the hash that it ends with. `before`: that of the file before.
    fn read_file(
        &mut self,
        path: &Path,
        number: usize,
        before: Option<[u8; 32]>,
    ) -> io::Result<Option<[u8; 32]>> {
        let mut from = rotated::open(path)?;
        let mut walk = Walk::after(0, GENESIS);
        let (mut line, mut offset, mut is_first) = (Vec::new(), 0, true);
        for at in 1.. {
            let start = offset;
            offset += match read_line(&mut from, &mut line)? {
                Line::End => break,
                Line::Whole(bytes) => bytes,
                Line::TooLong(bytes) => {
                    self.flaw(path, at, "the line is too long".into());
                    bytes
                }
                Line::Unfinished(bytes) => {
                    self.gaps.push(Gap::CutShort(path.to_owned(), bytes));
                    break;
                }
            };
            let link = match walk.step(&line, at) {
                Ok(Some(link)) => link,
                Ok(None) => continue,
                Err(broken) => {
                    match broken {
                        Broken::Line { line, why } => self.flaw(path, line, why),
                        other => self.flaw(path, at, other.to_string()),
                    }
                    let Some(link) = chain::unseal(&line) else {
                        continue;
                    };
                    walk = Walk::after(link.seq, link.hash);
                    link
                }
            };
            self.entries += 1;
            let Ok(heading) = serde_json::from_slice::<Heading>(&line) else {
                self.flaw(path, at, format!("entry {} is of no known form", link.seq));
                continue;
            };
            if is_first {
                is_first = false;
                self.link(path, at, &line, &heading, number, before);
            }
            let place = Place {
                file: u32::try_from(number).unwrap_or(u32::MAX),
                offset: start,
            };
            self.note(heading, place);
        }
        if let Err(Broken::Line { line, why }) = walk.end() {
            self.flaw(path, line, why);
        }
        Ok((walk.seq > 0).then_some(walk.hash).or(before))
    }

    /// Compares the first entry of a file with the file before.
    fn link(
        &mut self,
        path: &Path,
        at: u64,
        line: &[u8],
        heading: &Heading,
        number: usize,
        before: Option<[u8; 32]>,
    ) {
        self.began.get_or_insert_with(|| heading.time.clone());
        let continued =
            match serde_json::from_slice::<Record>(line).map(|record| record.entry.event) {
                Ok(Event::Continued(continued)) => chain::hex32(continued.head.as_bytes()),
                _ => None,
            };
        match (continued, before) {
            (Some(_), None) if number == 0 => {
                self.gaps.push(Gap::OlderFileMissing(path.to_owned()))
            }
            (Some(head), before) if before != Some(head) => {
                let why = "it continues another file than the one before it".into();
                self.flaw(path, at, why);
            }
            (None, _) if number > 0 => self.gaps.push(Gap::DoesNotSay(path.to_owned())),
            _ => {}
        }
    }

    fn note(&mut self, heading: Heading, place: Place) {
        let mut names = heading.repository.into_iter();
        match names.next() {
            Some(first) => self.by_name.entry(first).or_default().push(place),
            None if matches!(&*heading.kind, "landed" | "decision") => self.nameless.push(place),
            None => {}
        }
        for other in names {
            self.by_other_name.entry(other).or_default().push(place);
        }
    }

    fn flaw(&mut self, path: &Path, line: u64, why: String) {
        self.flaw_count += 1;
        if self.flaws.len() < FLAWS_MAX {
            let path = path.to_owned();
            self.flaws.push(Flaw { path, line, why });
        }
    }

    /// The ledger itself.
    pub fn path(&self) -> &Path {
        self.files.last().map_or(Path::new(""), PathBuf::as_path)
    }

    /// All files, oldest first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Entries.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The moment of the first entry, as it stands there.
    pub fn began(&self) -> Option<&str> {
        self.began.as_deref()
    }

    /// Where the chain does not hold, the first hundred; and how many places there are.
    pub fn flaws(&self) -> (&[Flaw], u64) {
        (&self.flaws, self.flaw_count)
    }

    /// What is missing.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Hands over the entries about one repository, in order. `names`: its names, most specific first; an entry is about it when
    /// the most specific name of one is among the names of the other. `None`: every entry is, since no other
    /// repository writes into this ledger.
    pub fn about(&self, names: Option<&[String]>, on: &mut dyn FnMut(Record)) -> io::Result<()> {
        let mut places: BTreeSet<Place> = BTreeSet::new();
        match names {
            None => {
                places.extend(self.by_name.values().flatten());
                places.extend(&self.nameless);
            }
            Some(names) => {
                for name in names {
                    places.extend(self.by_name.get(name).into_iter().flatten());
                }
                let first = names.first().and_then(|name| self.by_other_name.get(name));
                places.extend(first.into_iter().flatten());
            }
        }
        let mut places = places.into_iter().peekable();
        let mut line = Vec::new();
        while let Some(file) = places.peek().map(|place| place.file) {
            let mut reader = Skipping::open(&self.files[file as usize])?;
            while let Some(place) = places.next_if(|place| place.file == file) {
                reader.skip_to(place.offset)?;
                reader.line(&mut line)?;
                // A ledger only grows: what is there no longer was taken away meanwhile.
                let sealed = chain::unseal(&line).is_some();
                match serde_json::from_slice(&line) {
                    Ok(record) if sealed => on(record),
                    _ => {
                        let why =
                            "an entry changed while the ledger was read, or is of no known form";
                        return Err(io::Error::other(why));
                    }
                }
            }
        }
        Ok(())
    }
}

enum Line {
    End,
    Whole(u64),
    TooLong(u64),
    Unfinished(u64),
}

/// Reads a line without its LF, and tells how many bytes it took; of one that is too long nothing is kept.
fn read_line(from: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    let limit = u64::try_from(LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
    line.clear();
    let mut bytes = 0;
    loop {
        let read = from.take(limit).read_until(b'\n', line)? as u64;
        bytes += read;
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        return Ok(match (bytes, ended) {
            (0, _) => Line::End,
            (_, true) if bytes <= limit => Line::Whole(bytes),
            (_, true) => {
                line.clear();
                Line::TooLong(bytes)
            }
            (_, false) if read == limit => {
                line.clear();
                continue;
            }
            (_, false) => {
                line.clear();
                Line::Unfinished(bytes)
            }
        });
    }
}

/// Reads forward from place to place; what is packed cannot be jumped over, and is unpacked.
struct Skipping {
    plain: Option<BufReader<File>>,
    packed: Option<Box<dyn BufRead>>,
    at: u64,
}

impl Skipping {
    fn open(path: &Path) -> io::Result<Self> {
        let is_packed = path.extension().is_some_and(|ending| ending == "gz");
        let (plain, packed) = match is_packed {
            true => (None, Some(rotated::open(path)?)),
            false => (
                Some(BufReader::with_capacity(64 << 10, File::open(path)?)),
                None,
            ),
        };
        Ok(Skipping {
            plain,
            packed,
            at: 0,
        })
    }

    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        let ahead = offset - self.at;
        self.at = offset;
        if let Some(plain) = &mut self.plain {
            return match i64::try_from(ahead) {
                Ok(ahead) => plain.seek_relative(ahead),
                Err(_) => plain.seek(SeekFrom::Start(offset)).map(drop),
            };
        }
        if let Some(packed) = &mut self.packed {
            io::copy(&mut packed.take(ahead), &mut io::sink())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        let from: &mut dyn BufRead = match (&mut self.plain, &mut self.packed) {
            (Some(plain), _) => plain,
            (None, Some(packed)) => packed,
            (None, None) => return Ok(()),
        };
        if let Line::Whole(bytes) = read_line(from, line)? {
            self.at += bytes;
        }
        Ok(())
    }
}
