//! One pack, and how its objects hang together: each delta below its base.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gix_pack::data;
use gix_pack::data::entry::Header;

use super::index::Index;
use crate::push::{HashKind, Oid};
use crate::repo::Kind;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;
/// What the headers are read through.
const CHUNK_BYTES: usize = 64 << 10;
/// Longest header of an entry: its size, and the id of a base.
const HEADER_MAX_BYTES: usize = 10 + 32;
/// Of a pack itself.
const PACK_HEADER_BYTES: u64 = 12;

/// One object in a pack.
pub(super) struct Entry {
    pub(super) offset: u64,
    /// Its place in the index.
    pub(super) number: u32,
    /// The entry that it is a delta against.
    pub(super) base: u32,
    /// The first one that is a delta against it.
    pub(super) child: u32,
    /// The next one with the same base.
    pub(super) sibling: u32,
    /// How many from here down have to be decoded.
    pub(super) weight: u32,
    pub(super) state: State,
    /// Somebody wants to see it.
    pub(super) is_wanted: bool,
}

/// What is known of an entry before anything is decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// No way was found to it yet.
    Unreached,
    Of(Kind),
    /// A delta whose base is not in this pack.
    Elsewhere,
    /// It cannot be read, and what hangs below it neither.
    Lost(&'static str),
}

/// A pack and its index.
pub(super) struct Pack {
    pub(super) name: String,
    pub(super) index: Index,
    pub(super) entries: Vec<Entry>,
    /// Bases that are not in this pack, by the entry that needs them.
    pub(super) elsewhere: HashMap<u32, Oid>,
    file: File,
    hash: HashKind,
    /// Where the checksum begins.
    end: u64,
    /// Whether it ends as its index says. One that does not is read as far as it goes.
    pub(super) fits: bool,
}

/// Why a pack cannot be opened.
pub(super) enum Refused {
    /// It is not there any more.
    Gone,
    Damaged(String),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Refused::Gone,
            _ => Refused::Damaged(error.to_string()),
        }
    }
}

impl Pack {
    /// Opens the pack at `path`, reads all headers and finds out what hangs below what.
    pub(super) fn open(path: &Path, index: Index, hash: HashKind) -> Result<Pack, Refused> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let width = hash.len_in_bytes();
        let end = length.saturating_sub(width as u64);
        let (mut header, mut checksum) = ([0; 12], vec![0; width]);
        if end < PACK_HEADER_BYTES {
            return Err(Refused::Damaged("it is cut off".to_owned()));
        }
        file.read_exact_at(&mut header, 0)?;
        file.read_exact_at(&mut checksum, end)?;
        let Ok((_, count)) = data::header::decode(&header) else {
            return Err(Refused::Damaged("it is no pack".to_owned()));
        };
        let fits = usize::try_from(count) == Ok(index.len()) && checksum == index.pack_checksum();
        let mut entries: Vec<Entry> = (0..u32::try_from(index.len()).unwrap_or(NONE))
            .map(|number| Entry {
                offset: index.offset(number as usize).unwrap_or(u64::MAX),
                number,
                base: NONE,
                child: NONE,
                sibling: NONE,
                weight: 0,
                state: State::Unreached,
                is_wanted: false,
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.offset);
        let mut pack = Pack {
            name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            index,
            entries,
            elsewhere: HashMap::new(),
            file,
            hash,
            end,
            fits,
        };
        pack.headers()?;
        pack.hang();
        Ok(pack)
    }

    /// The id of an entry.
    pub(super) fn id(&self, entry: u32) -> Oid {
        self.index.id(self.entries[entry as usize].number as usize)
    }

    /// Where an entry stands.
    pub(super) fn range(&self, entry: u32) -> std::ops::Range<u64> {
        let at = entry as usize;
        let next = self
            .entries
            .get(at + 1)
            .map_or(self.end, |next| next.offset);
        self.entries[at].offset..next.min(self.end)
    }

    /// Reads bytes of the pack, as many as there are from an offset on.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match self.file.read_at(&mut into[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// The header of an entry, of which `bytes` has the start.
    pub(super) fn header(&self, entry: u32, bytes: &[u8]) -> Option<data::Entry> {
        let offset = self.entries[entry as usize].offset;
        data::Entry::from_bytes(bytes, offset, self.hash).ok()
    }

    /// The entry that begins at an offset.
    pub(super) fn at(&self, offset: u64) -> Option<u32> {
        let found = self
            .entries
            .binary_search_by_key(&offset, |entry| entry.offset);
        found.ok().and_then(|at| u32::try_from(at).ok())
    }

    /// Reads all headers: kinds and bases.
    fn headers(&mut self) -> std::io::Result<()> {
        let (mut chunk, mut chunk_at, mut filled) = (vec![0; CHUNK_BYTES], 0, 0);
        for at in 0..self.entries.len() {
            let offset = self.entries[at].offset;
            if !(PACK_HEADER_BYTES..self.end).contains(&offset) {
                self.entries[at].state = State::Lost("it stands beyond the end of its pack");
                continue;
            }
            let inside = |filled: usize| offset >= chunk_at && offset - chunk_at < filled as u64;
            let left = |filled: usize| filled as u64 - (offset - chunk_at);
            if !inside(filled) || (left(filled) < HEADER_MAX_BYTES as u64 && filled == CHUNK_BYTES)
            {
                filled = self.read(offset, &mut chunk)?;
                chunk_at = offset;
            }
            let start = usize::try_from(offset - chunk_at).unwrap_or(usize::MAX);
            let number = u32::try_from(at).unwrap_or(NONE);
            let header = chunk[..filled].get(start..);
            let Some(header) = header.and_then(|bytes| self.header(number, bytes)) else {
                self.entries[at].state = State::Lost("its header is damaged");
                continue;
            };
            let base = match header.header {
                Header::OfsDelta { base_distance } => offset
                    .checked_sub(base_distance)
                    .filter(|base| *base < offset)
                    .and_then(|base| self.at(base)),
                Header::RefDelta { base_id } => {
                    let inside = self.index.find(&base_id);
                    let inside = inside
                        .and_then(|number| self.index.offset(number))
                        .and_then(|offset| self.at(offset));
                    if inside.is_none() {
                        self.elsewhere.insert(number, base_id);
                        self.entries[at].state = State::Elsewhere;
                        continue;
                    }
                    inside
                }
                Header::Commit => {
                    self.entries[at].state = State::Of(Kind::Commit);
                    continue;
                }
                Header::Tree => {
                    self.entries[at].state = State::Of(Kind::Tree);
                    continue;
                }
                Header::Blob => {
                    self.entries[at].state = State::Of(Kind::Blob);
                    continue;
                }
                Header::Tag => {
                    self.entries[at].state = State::Of(Kind::Tag);
                    continue;
                }
            };
            match base {
                Some(base) => self.entries[at].base = base,
                None => self.entries[at].state = State::Lost("its base is not where it should be"),
            }
        }
        Ok(())
    }

    /// Links every entry to its base, in the order of the pack.
    fn hang(&mut self) {
        for at in (0..self.entries.len()).rev() {
            let base = self.entries[at].base;
            if base != NONE {
                let base = &mut self.entries[base as usize];
                let first = std::mem::replace(&mut base.child, u32::try_from(at).unwrap_or(NONE));
                self.entries[at].sibling = first;
            }
        }
    }

    /// The entries that are deltas against this one.
    pub(super) fn children(&self, entry: u32) -> impl Iterator<Item = u32> {
        let link = |at: u32| (at != NONE).then_some(at);
        let first = link(self.entries[entry as usize].child);
        std::iter::successors(first, move |at| link(self.entries[*at as usize].sibling))
    }

    /// All entries below one, each before those that hang below it. Without recursion: a chain may be as long as the pack.
    pub(super) fn below(&self, root: u32) -> impl Iterator<Item = u32> {
        let mut waiting: Vec<u32> = self.children(root).collect();
        std::iter::from_fn(move || {
            let next = waiting.pop()?;
            waiting.extend(self.children(next));
            Some(next)
        })
    }

    /// Gives all that hangs below a root its state.
    pub(super) fn reach(&mut self, root: u32, state: State) {
        self.entries[root as usize].state = state;
        let mut waiting: Vec<u32> = self.children(root).collect();
        while let Some(next) = waiting.pop() {
            self.entries[next as usize].state = state;
            waiting.extend(self.children(next));
        }
    }

    /// Notes that an entry is wanted: all bases on the way to it are decoded.
    pub(super) fn want(&mut self, entry: u32) {
        self.entries[entry as usize].is_wanted = true;
        let mut at = entry;
        // A base is counted once: where one is already, all above are.
        while at != NONE && self.entries[at as usize].weight == 0 {
            self.entries[at as usize].weight = 1;
            at = self.entries[at as usize].base;
        }
    }

    /// Adds up the weights below a root.
    pub(super) fn weigh(&mut self, root: u32) {
        let order: Vec<u32> = self.below(root).collect();
        for at in order.into_iter().rev() {
            let Entry { weight, base, .. } = self.entries[at as usize];
            let above = &mut self.entries[base as usize].weight;
            *above = above.saturating_add(weight);
        }
    }
}
