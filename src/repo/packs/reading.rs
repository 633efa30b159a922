//! Inflates entries of packs and loose objects, for one thread. What is checked: the CRC-32 of the index where it has one, the
//! checksum of zlib, every size.

use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};
use gix_pack::data::entry::Header;

use super::SIZE_MAX_BYTES;
use super::pack::Pack;
use crate::push::Oid;
use crate::repo::Kind;

/// What is read at once where entries are small: neighbours are decoded one after another.
const WINDOW_BYTES: usize = 32 << 10;
/// Longest loose file that is read: what does not pack takes a little more room in a stream than by itself.
const LOOSE_MAX_BYTES: u64 = SIZE_MAX_BYTES + (16 << 20);
/// Deflate makes no more of one byte.
const RATIO_MAX: u64 = 1032;
/// Room behind the end, with which the decompressor is faster.
const SLACK_BYTES: usize = 320;
/// Texts that are kept for their memory.
const SPARE_MAX: usize = 4;
const SPARE_MAX_BYTES: usize = 1 << 20;

/// What one thread reads with.
pub(super) struct Reading {
    inflate: Decompress,
    /// The pack whose bytes are in the window, where they begin, and the bytes.
    window: (usize, u64, Vec<u8>),
    spare: Vec<Vec<u8>>,
}

/// Whether an object is the one that its name says. A loose file is not where its index says, but where its name says, and has no
/// checksum but that of its stream.
pub(super) fn is_own(id: &Oid, kind: Kind, text: &[u8]) -> bool {
    gix_object::compute_hash(id.kind(), kind, text).is_ok_and(|own| own == *id)
}

/// Why an object cannot be read.
pub(super) type Why = String;

impl Reading {
    pub(super) fn new() -> Self {
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
    pub(super) fn loose(&mut self, path: &Path, into: &mut Vec<u8>) -> Result<Option<Kind>, Why> {
        let packed = match crate::repo::read_file(path, LOOSE_MAX_BYTES) {
            Ok(packed) => packed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        // The header of the object is a part of what is packed.
        const HEAD_BYTES: usize = 32;
        self.inflate.reset(true);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        self.inflate
            .decompress_vec(&packed, &mut head, FlushDecompress::None)
            .map_err(|_| "it is no zlib stream")?;
        let no_header = || "it has no header".to_owned();
        let end = memchr::memchr(0, &head).ok_or_else(no_header)?;
        let mut words = head[..end].splitn(2, |byte| *byte == b' ');
        let kind = words.next().and_then(|word| Kind::from_bytes(word).ok());
        let size = words
            .next()
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
        let (Some(kind), Some(size)) = (kind, size) else {
            return Err(no_header());
        };
        let whole = size.saturating_add(end as u64 + 1);
        inflated(&mut self.inflate, &packed, whole, into)?;
        into.drain(..=end);
        Ok(Some(kind))
    }
}

/// Inflates so many bytes, no more and no less, and gives back how many packed ones they were.
fn inflated(
    inflate: &mut Decompress,
    packed: &[u8],
    size: u64,
    into: &mut Vec<u8>,
) -> Result<usize, Why> {
    if size > SIZE_MAX_BYTES {
        return Err("it is larger than 1 GiB".to_owned());
    }
    // A size that cannot be is not asked of the memory.
    if size > RATIO_MAX * (packed.len() as u64 + 1) {
        return Err("it is smaller than it says".to_owned());
    }
    let size = usize::try_from(size).map_err(|_| "it is too large")?;
    inflate.reset(true);
    into.clear();
    into.reserve_exact(size + SLACK_BYTES);
    let status = inflate
        .decompress_vec(packed, into, FlushDecompress::Finish)
        .map_err(|_| "its zlib stream is damaged")?;
    match status {
        Status::StreamEnd if into.len() == size => {
            usize::try_from(inflate.total_in()).map_err(|error| error.to_string())
        }
        Status::StreamEnd if into.len() < size => Err("it is smaller than it says".to_owned()),
        _ if into.len() > size => Err("it is larger than it says".to_owned()),
        _ => Err("its zlib stream is cut off".to_owned()),
    }
}
