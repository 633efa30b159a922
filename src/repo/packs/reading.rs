//! Inflates entries of packs and loose objects, for one thread. What is checked: the CRC-32 of the index where it has one, the
//! checksum of zlib, every size.

use std::io::Read as _;
use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};
use gix_pack::data::entry::Header;

use super::SIZE_MAX_BYTES;
use super::pack::Pack;
use crate::push::Oid;
use crate::repo::{Kind, open_file};

/// What is read at once where entries are small: neighbours are decoded one after another.
const WINDOW_BYTES: usize = 32 << 10;
/// Longest loose file that is read: what does not pack takes a little more room in a stream than by itself.
const LOOSE_MAX_BYTES: u64 = SIZE_MAX_BYTES + (16 << 20);
/// Deflate makes no more of one byte.
const RATIO_MAX: u64 = 1032;
/// Room behind the end, with which the decompressor is faster.
const SLACK_BYTES: usize = 320;
/// Longest header of a loose object.
const HEAD_BYTES: usize = 32;
const NO_HEADER: &str = "it has no header";
/// Texts that are kept for their memory.
const SPARE_MAX: usize = 4;
const SPARE_MAX_BYTES: usize = 1 << 20;

/// What one thread reads with.
pub(in crate::repo) struct Reading {
    inflate: Decompress,
    /// The pack whose bytes are in the window, where they begin, and the bytes.
    window: (usize, u64, Vec<u8>),
    spare: Vec<Vec<u8>>,
}

/// Whether an object is the one that its name says. A loose file is not where its index says, but where its name says, and has no
/// checksum but that of its stream.
pub(in crate::repo) fn is_own(id: &Oid, kind: Kind, text: &[u8]) -> bool {
    gix_object::compute_hash(id.kind(), kind, text).is_ok_and(|own| own == *id)
}

/// Why an object cannot be read.
pub(in crate::repo) type Why = String;

impl Reading {
    pub(in crate::repo) fn new() -> Self {
        Reading {
            inflate: Decompress::new(true),
            window: (usize::MAX, 0, Vec::new()),
            spare: Vec::new(),
        }
    }

    /// Memory for a text.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes memory back.
    pub(super) fn recycle(&mut self, mut text: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && text.capacity() <= SPARE_MAX_BYTES {
            text.clear();
            self.spare.push(text);
        }
    }

    /// Inflates what an entry holds: an object, or a delta.
    pub(super) fn entry(
        &mut self,
        packs: &[Pack],
        pack: usize,
        entry: u32,
        into: &mut Vec<u8>,
    ) -> Result<Header, Why> {
        let of = &packs[pack];
        let range = of.range(entry);
        let length = usize::try_from(range.end - range.start).map_err(|_| "it is too large")?;
        let (window_pack, window_at, bytes) = &mut self.window;
        let is_inside = *window_pack == pack
            && range.start >= *window_at
            && range.end <= *window_at + bytes.len() as u64;
        if !is_inside {
            bytes.resize(length.max(WINDOW_BYTES), 0);
            let read = of
                .read(range.start, bytes)
                .map_err(|error| error.to_string());
            bytes.truncate(read.as_ref().copied().unwrap_or_default());
            (*window_pack, *window_at) = (pack, range.start);
            read?;
        }
        let start = usize::try_from(range.start - *window_at).unwrap_or(usize::MAX);
        let packed = bytes
            .get(start..start.saturating_add(length))
            .ok_or("the pack is cut off")?;
        let number = of.entries[entry as usize].number as usize;
        if let Some(crc) = of.index.crc(number)
            && crc32fast::hash(packed) != crc
        {
            return Err("its packed bytes are damaged".to_owned());
        }
        let header = of.header(entry, packed).ok_or("its header is damaged")?;
        let skipped = usize::try_from(header.data_offset - range.start).unwrap_or(usize::MAX);
        let data = packed.get(skipped..).ok_or("its header is damaged")?;
        let used = inflated(&mut self.inflate, data, header.decompressed_size, into)?;
        if used != data.len() {
            return Err("something else stands behind its data".to_owned());
        }
        // A large entry is not worth keeping.
        if bytes.len() > 2 * WINDOW_BYTES {
            self.window = (usize::MAX, 0, Vec::new());
        }
        Ok(header.header)
    }

    /// A loose object. `None`: it is not there any more.
    pub(in crate::repo) fn loose(
        &mut self,
        path: &Path,
        into: &mut Vec<u8>,
    ) -> Result<Option<Kind>, Why> {
        let packed = match crate::repo::read_file(path, LOOSE_MAX_BYTES) {
            Ok(packed) => packed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        // The header of the object is a part of what is packed.
        let mut head = Vec::with_capacity(HEAD_BYTES);
        self.start(&packed, &mut head)?;
        let end = memchr::memchr(0, &head).ok_or(NO_HEADER)?;
        let (kind, size) = loose_header(&head[..end]).ok_or(NO_HEADER)?;
        let whole = size.saturating_add(end as u64 + 1);
        inflated(&mut self.inflate, &packed, whole, into)?;
        into.drain(..=end);
        Ok(Some(kind))
    }
}

/// Kind and size at the start of a loose object, `commit 123`.
fn loose_header(head: &[u8]) -> Option<(Kind, u64)> {
    let (kind, size) = {
        let space = memchr::memchr(b' ', head)?;
        (&head[..space], &head[space + 1..])
    };
    let size = std::str::from_utf8(size).ok()?.parse().ok()?;
    Some((Kind::from_bytes(kind).ok()?, size))
}

/// Inflates so many bytes, no more and no less, piece by piece.
pub(in crate::repo) struct Inflating<'i> {
    inflate: &'i mut Decompress,
    into: &'i mut Vec<u8>,
    size: usize,
}

/// How far a stream is.
pub(in crate::repo) enum Stream {
    /// So many packed bytes of the piece were taken, and more follow.
    More(u64),
    /// It is whole.
    Ended,
}

impl Reading {
    /// Kind and size of a loose object, from the start of its file. `None`: it is not there any more.
    pub(in crate::repo) fn loose_start(&mut self, path: &Path) -> Result<Option<(Kind, u64)>, Why> {
        const START_BYTES: u64 = 256;
        let mut packed = Vec::new();
        let read = open_file(path).and_then(|file| file.take(START_BYTES).read_to_end(&mut packed));
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| error.to_string())?,
        };
        let mut head = Vec::with_capacity(HEAD_BYTES);
        self.start(&packed, &mut head)?;
        let end = memchr::memchr(0, &head).ok_or(NO_HEADER)?;
        Ok(Some(loose_header(&head[..end]).ok_or(NO_HEADER)?))
    }

    /// Begins with a stream that makes `size` bytes of at most `packed` packed ones.
    pub(in crate::repo) fn stream<'i>(
        &'i mut self,
        size: u64,
        packed: u64,
        into: &'i mut Vec<u8>,
    ) -> Result<Inflating<'i>, Why> {
        Inflating::begin(&mut self.inflate, size, packed, into)
    }

    /// Inflates the start of a stream, as much as `into` has room for.
    pub(in crate::repo) fn start(&mut self, packed: &[u8], into: &mut Vec<u8>) -> Result<(), Why> {
        self.inflate.reset(true);
        let inflated = self
            .inflate
            .decompress_vec(packed, into, FlushDecompress::None);
        inflated
            .map(drop)
            .map_err(|_| "it is no zlib stream".to_owned())
    }
}

impl<'i> Inflating<'i> {
    fn begin(
        inflate: &'i mut Decompress,
        size: u64,
        packed: u64,
        into: &'i mut Vec<u8>,
    ) -> Result<Self, Why> {
        if size > SIZE_MAX_BYTES {
            return Err("it is larger than 1 GiB".to_owned());
        }
        // A size that cannot be is not asked of the memory.
        if size > RATIO_MAX.saturating_mul(packed.saturating_add(1)) {
            return Err("it is smaller than it says".to_owned());
        }
        let size = usize::try_from(size).map_err(|_| "it is too large")?;
        inflate.reset(true);
        into.clear();
        into.reserve_exact(size + SLACK_BYTES);
        Ok(Inflating {
            inflate,
            into,
            size,
        })
    }

    /// Takes the next piece.
    pub(in crate::repo) fn take(&mut self, packed: &[u8]) -> Result<Stream, Why> {
        let before = self.inflate.total_in();
        let status = self
            .inflate
            .decompress_vec(packed, self.into, FlushDecompress::Finish)
            .map_err(|_| "its zlib stream is damaged")?;
        let used = self.inflate.total_in() - before;
        match status {
            Status::StreamEnd if self.into.len() == self.size => Ok(Stream::Ended),
            Status::StreamEnd if self.into.len() < self.size => {
                Err("it is smaller than it says".to_owned())
            }
            _ if self.into.len() > self.size => Err("it is larger than it says".to_owned()),
            _ if used == 0 => Err("its zlib stream is cut off".to_owned()),
            _ => Ok(Stream::More(used)),
        }
    }
}

/// Inflates so many bytes out of all that is there, and gives back how many packed ones they were.
fn inflated(
    inflate: &mut Decompress,
    packed: &[u8],
    size: u64,
    into: &mut Vec<u8>,
) -> Result<usize, Why> {
    let mut stream = Inflating::begin(inflate, size, packed.len() as u64, into)?;
    match stream.take(packed)? {
        Stream::Ended => usize::try_from(inflate.total_in()).map_err(|error| error.to_string()),
        Stream::More(_) => Err("its zlib stream is cut off".to_owned()),
    }
}
