//! Objects in packs: one by one, by their deltas.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use gix_pack::data;
use gix_pack::data::entry::Header;

use super::bytes::Bytes;
use super::lookup::Lookup;
use crate::budget::{Budget, Exhausted};
use crate::push::{HashKind, Oid};
use crate::repo::packs::delta;
use crate::repo::packs::reading::{Reading, Stream};
use crate::repo::{Kind, RepoError};

/// Longest pack that is read whole, in bytes: what a push brings, most often.
const WHOLE_MAX_BYTES: u64 = 2 << 20;
/// What is read at once of others: neighbours are decoded one after another.
const WINDOW_BYTES: usize = 16 << 10;
/// Longest header of an entry: its size, and the id of a base.
const HEADER_MAX_BYTES: u64 = 10 + 32;
/// Of a pack itself.
const PACK_HEADER_BYTES: u64 = 12;
/// A delta of at most so many bytes is inflated whole when the size of what it makes is asked for: it is needed next.
const SMALL_DELTA_BYTES: u64 = 64 << 10;
/// Deltas of which is kept what they are.
const KINDS_MAX: usize = 1 << 16;
/// The two sizes at the start of a delta.
const SIZES_BYTES: usize = 20;

/// Why an object cannot be had.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// A file is not there any more.
    Gone,
    /// Something in it is not as it must be.
    Damaged(String),
    /// A bound was reached.
    Exhausted(Exhausted),
}

impl Trouble {
    pub(super) fn of(self, id: &Oid) -> RepoError {
        let why = match self {
            Trouble::Gone => "a pack was removed while it was read".to_owned(),
            Trouble::Damaged(why) => why,
            Trouble::Exhausted(bound) => return RepoError::Exhausted(bound),
        };
        super::corrupt(id, &why)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Trouble::Gone,
            _ => Trouble::Damaged(error.to_string()),
        }
    }
}

impl From<Exhausted> for Trouble {
    fn from(bound: Exhausted) -> Self {
        Trouble::Exhausted(bound)
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Trouble::Damaged(why)
    }
}

impl From<&str> for Trouble {
    fn from(why: &str) -> Self {
        Trouble::Damaged(why.to_owned())
    }
}

/// A pack that was listed; opened when first asked.
pub(super) struct Packed {
    index_path: PathBuf,
    hash: HashKind,
    may_stay_open: bool,
    index: OnceLock<Result<Lookup, Trouble>>,
    opened: OnceLock<Result<Bytes, Trouble>>,
}

/// A pack that is open.
#[derive(Clone, Copy)]
pub(super) struct Opened<'p> {
    index: &'p Lookup,
    bytes: &'p Bytes,
}

impl Packed {
    pub(super) fn new(index_path: PathBuf, hash: HashKind, may_stay_open: bool) -> Self {
        Packed {
            index_path,
            hash,
            may_stay_open,
            index: OnceLock::new(),
            opened: OnceLock::new(),
        }
    }

    fn index(&self) -> Result<&Lookup, Trouble> {
        let open = || {
            Lookup::open(&self.index_path, self.hash, self.may_stay_open).map_err(|error| {
                match Trouble::from(error) {
                    Trouble::Damaged(_) => {
                        Trouble::from("a pack index that may list it cannot be read")
                    }
                    gone => gone,
                }
            })
        };
        self.index
            .get_or_init(open)
            .as_ref()
            .map_err(Trouble::clone)
    }

    /// Where the pack has an object.
    pub(super) fn find(&self, id: &Oid) -> Result<Option<u64>, Trouble> {
        Ok(self.index()?.find(id)?)
    }

    pub(super) fn opened(&self) -> Result<Opened<'_>, Trouble> {
        let index = self.index()?;
        let path = self.index_path.with_extension("pack");
        let open = || open(&path, index, self.hash, self.may_stay_open);
        let bytes = self.opened.get_or_init(open);
        let bytes = bytes.as_ref().map_err(Trouble::clone)?;
        Ok(Opened { index, bytes })
    }
}

/// Opens a pack that its index speaks of.
fn open(
    path: &Path,
    index: &Lookup,
    hash: HashKind,
    may_stay_open: bool,
) -> Result<Bytes, Trouble> {
    // Of hundreds of small packs none is kept in memory.
    let whole_max = if may_stay_open { WHOLE_MAX_BYTES } else { 0 };
    let bytes = Bytes::open(path, whole_max, may_stay_open)?;
    let width = hash.len_in_bytes();
    let end = bytes.len().checked_sub(width as u64);
    let end = end
        .filter(|end| *end >= PACK_HEADER_BYTES)
        .ok_or("its pack is cut off")?;
    let (mut header, mut checksum) = ([0; 12], vec![0; width]);
    bytes.read(0, &mut header)?;
    bytes.read(end, &mut checksum)?;
    let (_, count) = data::header::decode(&header).map_err(|_| "its pack is no pack")?;
    if u64::from(count) != index.count() || checksum != index.pack_checksum()? {
        return Err("its pack is not the one that the index was made for".into());
    }
    Ok(bytes)
}

/// What one thread takes packs apart with.
pub(super) struct Unpacking {
    hash: HashKind,
    pub(super) reading: Reading,
    window: Window,
    bases: Bases,
    /// What deltas were found to be, by pack and offset.
    kinds: HashMap<(usize, u64), Kind>,
    /// The delta that was inflated last, and its place.
    delta: Option<(usize, u64, Vec<u8>)>,
    parts: Vec<crate::repo::packs::Part>,
}

/// Some bytes of a pack.
#[derive(Default)]
struct Window {
    pack: usize,
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// What stands at an offset: `least` bytes, if the pack has so many there.
    fn at<'w>(
        &'w mut self,
        of: Opened<'w>,
        pack: usize,
        at: u64,
        least: u64,
    ) -> Result<&'w [u8], Trouble> {
        if let Some(whole) = of.bytes.whole() {
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            return Ok(whole.get(start..).unwrap_or_default());
        }
        let end = self.at + self.bytes.len() as u64;
        let is_inside = self.pack == pack && at >= self.at && at.saturating_add(least) <= end;
        if !is_inside {
            // Bases stand before what is made from them, most of them not far.
            (self.pack, self.at) = (pack, at.saturating_sub(WINDOW_BYTES as u64 / 4));
            self.bytes.resize(WINDOW_BYTES, 0);
            let filled = of.bytes.read_some(self.at, &mut self.bytes);
            self.bytes
                .truncate(filled.as_ref().copied().unwrap_or_default());
            filled?;
        }
        let start = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.bytes.get(start..).unwrap_or_default())
    }
}

impl Unpacking {
    pub(super) fn new(hash: HashKind) -> Self {
        Unpacking {
            hash,
            reading: Reading::new(),
            window: Window::default(),
            bases: Bases::default(),
            kinds: HashMap::new(),
            delta: None,
            parts: Vec::new(),
        }
    }

    /// Packs have other numbers now.
    pub(super) fn forget(&mut self) {
        (self.window, self.bases, self.delta) = (Window::default(), Bases::default(), None);
        self.kinds.clear();
    }

    /// Kind and size of the object at an offset.
    pub(super) fn header(
        &mut self,
        of: Opened<'_>,
        pack: usize,
        offset: u64,
    ) -> Result<(Kind, u64), Trouble> {
        if let Some(base) = self.bases.get(pack, offset) {
            return Ok((base.kind, base.text.len() as u64));
        }
        let entry = self.entry(of, pack, offset)?;
        let size = match kind_of(&entry.header) {
            Some(kind) => return Ok((kind, entry.decompressed_size)),
            None if entry.decompressed_size <= SMALL_DELTA_BYTES => {
                let mut delta = Vec::new();
                self.inflate(of, pack, &entry, &mut delta)?;
                let size = delta::made_size(&delta);
                self.delta = Some((pack, offset, delta));
                size
            }
            None => {
                let mut start = Vec::with_capacity(SIZES_BYTES);
                let input = self.window.at(of, pack, entry.data_offset, 1 << 10)?;
                self.reading.start(input, &mut start)?;
                delta::made_size(&start)
            }
        };
        let size = size.ok_or("a delta is cut off")?;
        Ok((self.kind(of, pack, offset, entry)?, size))
    }

    /// What a delta makes is what the first of its bases is. No delta is asked twice, however many stand on it.
    fn kind(
        &mut self,
        of: Opened<'_>,
        pack: usize,
        mut at: u64,
        mut entry: data::Entry,
    ) -> Result<Kind, Trouble> {
        let mut asked = Vec::new();
        let kind = loop {
            if let Some(kind) = self.kinds.get(&(pack, at)) {
                break *kind;
            }
            if let Some(kind) = kind_of(&entry.header) {
                break kind;
            }
            asked.push((pack, at));
            at = self.base(of, at, &entry, asked.len() as u64)?;
            entry = self.entry(of, pack, at)?;
        };
        if self.kinds.len() > KINDS_MAX {
            self.kinds.clear();
        }
        self.kinds.extend(asked.into_iter().map(|at| (at, kind)));
        Ok(kind)
    }

    /// The object at an offset.
    pub(super) fn object(
        &mut self,
        of: Opened<'_>,
        pack: usize,
        offset: u64,
        budget: &Budget,
    ) -> Result<(Kind, Rc<Vec<u8>>), Trouble> {
        let mut deltas: Vec<(u64, data::Entry)> = Vec::new();
        let mut at = offset;
        let Base { kind, mut text } = loop {
            if let Some(base) = self.bases.get(pack, at) {
                break base;
            }
            let entry = self.entry(of, pack, at)?;
            if let Some(kind) = kind_of(&entry.header) {
                let mut text = Vec::new();
                self.inflate(of, pack, &entry, &mut text)?;
                let text = Rc::new(text);
                break self.bases.keep(pack, at, Base { kind, text });
            }
            let base = self.base(of, at, &entry, deltas.len() as u64)?;
            deltas.push((at, entry));
            at = base;
        };
        let mut delta = Vec::new();
        for (at, entry) in deltas.into_iter().rev() {
            // Whoever sends a pack says how long its chains are.
            budget.check_time()?;
            let is_known =
                |(of_pack, place, _): &mut (usize, u64, Vec<u8>)| (*of_pack, *place) == (pack, at);
            match self.delta.take_if(is_known) {
                Some((.., known)) => delta = known,
                None => self.inflate(of, pack, &entry, &mut delta)?,
            }
            let mut made = self.bases.spare(delta::made_size(&delta));
            delta::apply(&delta, &text, &mut made, &mut self.parts)?;
            text = Rc::new(made);
            let base = Base {
                kind,
                text: Rc::clone(&text),
            };
            self.bases.keep(pack, at, base);
        }
        Ok((kind, text))
    }

    fn entry(&mut self, of: Opened<'_>, pack: usize, at: u64) -> Result<data::Entry, Trouble> {
        let bytes = self.window.at(of, pack, at, HEADER_MAX_BYTES)?;
        let entry = data::Entry::from_bytes(bytes, at, self.hash);
        entry.map_err(|_| Trouble::from("its header is damaged"))
    }

    /// Where the base of a delta is: in the same pack, as everywhere but on the way over the network.
    fn base(
        &self,
        of: Opened<'_>,
        at: u64,
        entry: &data::Entry,
        steps: u64,
    ) -> Result<u64, Trouble> {
        if steps > of.index.count() {
            return Err("its deltas go round in a circle".into());
        }
        match &entry.header {
            Header::OfsDelta { base_distance } => at
                .checked_sub(*base_distance)
                .filter(|base| *base >= PACK_HEADER_BYTES && *base < at)
                .ok_or_else(|| "its base is not where it should be".into()),
            Header::RefDelta { base_id } => of
                .index
                .find(base_id)?
                .ok_or_else(|| "its base is missing".into()),
            _ => Err("it is no delta".into()),
        }
    }

    fn inflate(
        &mut self,
        of: Opened<'_>,
        pack: usize,
        entry: &data::Entry,
        into: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let most = of.bytes.len().saturating_sub(entry.data_offset);
        let mut stream = self.reading.stream(entry.decompressed_size, most, into)?;
        let mut at = entry.data_offset;
        loop {
            let packed = self.window.at(of, pack, at, 1)?;
            match stream.take(packed)? {
                Stream::Ended => return Ok(()),
                Stream::More(used) => at += used,
            }
        }
    }
}

/// `None`: it is a delta.
fn kind_of(header: &Header) -> Option<Kind> {
    match header {
        Header::Commit => Some(Kind::Commit),
        Header::Tree => Some(Kind::Tree),
        Header::Blob => Some(Kind::Blob),
        Header::Tag => Some(Kind::Tag),
        Header::OfsDelta { .. } | Header::RefDelta { .. } => None,
    }
}

/// Half of what is kept of objects, in bytes.
const GENERATION_BYTES: usize = 2 << 20;

/// Objects are the bases of older ones: a walk over history would build each chain anew. Kept in two generations; when
/// the young one is full it becomes the old one, and what was old is dropped.
#[derive(Default)]
struct Bases {
    young: HashMap<(usize, u64), Base>,
    young_bytes: usize,
    old: HashMap<(usize, u64), Base>,
    /// Large buffers of what was dropped: memory that is given back and taken again for each version of a file costs more than to
    /// fill it.
    spare: Vec<Vec<u8>>,
}

/// Buffers from this size on are worth it, so many of them.
const SPARE_FROM_BYTES: usize = 32 << 10;
const SPARE_MAX: usize = 8;

#[derive(Clone)]
struct Base {
    kind: Kind,
    text: Rc<Vec<u8>>,
}

impl Bases {
    fn keep(&mut self, pack: usize, offset: u64, base: Base) -> Base {
        if base.text.len() <= GENERATION_BYTES / 2 {
            self.young_bytes += base.text.len() + 2 * size_of::<Base>();
            self.young.insert((pack, offset), base.clone());
            if self.young_bytes > GENERATION_BYTES {
                let dropped = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
                self.young_bytes = 0;
                let texts = dropped.into_values().map(|base| base.text);
                let large = texts.filter(|text| text.capacity() >= SPARE_FROM_BYTES);
                self.spare.extend(large.filter_map(Rc::into_inner));
                self.spare.truncate(SPARE_MAX);
            }
        }
        base
    }

    /// An empty buffer, for so many bytes.
    fn spare(&mut self, size: Option<u64>) -> Vec<u8> {
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(0);
        let fits = |spare: &Vec<u8>| (size..=size.saturating_mul(2)).contains(&spare.capacity());
        let found = self.spare.iter().position(fits);
        found.map_or_else(Vec::new, |at| {
            let mut spare = self.spare.swap_remove(at);
            spare.clear();
            spare
        })
    }

    fn get(&mut self, pack: usize, offset: u64) -> Option<Base> {
        if let Some(base) = self.young.get(&(pack, offset)) {
            return Some(base.clone());
        }
        let base = self.old.remove(&(pack, offset))?;
        Some(self.keep(pack, offset, base))
    }
}
