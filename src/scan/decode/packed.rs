//! Compressed streams and archives. Scanned piece by piece, so that a bomb costs no memory.
//!
//! A zip archive is read by its local headers, one entry after the other, whatever its directory says: sizes may be
//! absent, beyond 4 GiB, or lies. Stored entries, the members of a tar and all names are in the text as they are.

use std::ops::Range;

use super::bzip2::Bzip2;
use super::inflate::{Inflate, is_zlib};
use super::known::Found;
use super::lzma::Lzma;
use super::zstd::Zstd;
use super::{Layer, Map, PART_COST, Run};
use crate::budget::Exhausted;

/// Unpacked streams are scanned in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// What two pieces share: longer than any secret.
const SHARED_BYTES: usize = 16 << 10;
/// What is kept of a piece at most, where a stream inside it goes on in the next.
const HELD_MAX_BYTES: usize = if cfg!(test) { 3 << 20 } else { 16 << 20 };
/// What is asked of a decompressor at once. What it wrote before an error in the same call may be lost.
const PULL_BYTES: usize = 8 << 10;
/// What a decompressor may look back to. Memory follows what comes out, not what a header says.
pub(super) const WINDOW_MAX_BYTES: u64 = 128 << 20;

/// The form of what a decompressor of any format gives.
pub(super) trait Unpacker {
    /// Writes the next bytes, at most as many as there is room for, over zeros. None and `Going`: ask again.
    fn pull(&mut self, out: &mut [u8]) -> (usize, State);
    /// Packed bytes that were read.
    fn used(&self) -> usize;
}

/// What becomes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Going,
    Ended,
    /// The packed bytes are at their end, the stream is not.
    Cut,
    /// It is no stream, or is damaged. What came out before counts.
    Broken,
    /// It needs more memory than it gets.
    TooLarge,
}

impl Run<'_> {
    /// What stands at a mark. Returns the end of what was read: marks before it are part of that.
    pub(super) fn marked(
        &mut self,
        layer: Layer<'_>,
        mark: usize,
        found: &mut Found,
    ) -> Result<usize, Exhausted> {
        let rest = &layer.text[mark..];
        match rest {
            [0x1f, 0x8b, ..] => {
                let Some(packed) = Inflate::gzip(rest) else {
                    return Ok(self.cut(layer, mark));
                };
                self.stream(layer, mark, mark, packed, "gzip", found)
            }
            [0x28, 0xb5, ..] => match Zstd::new(rest) {
                Ok(packed) => self.stream(layer, mark, mark, packed, "zstd", found),
                Err(State::TooLarge) => {
                    self.too_large(mark..layer.text.len());
                    Ok(mark)
                }
                Err(_) => Ok(self.cut(layer, mark)),
            },
            [b'1', b'A', b'Y', ..] => {
                let start = mark.saturating_sub(4);
                match &layer.text[start..mark] {
                    [b'B', b'Z', b'h', b'1'..=b'9'] => {
                        let packed = Bzip2::new(&layer.text[start..]);
                        self.stream(layer, start, start, packed, "bzip2", found)
                    }
                    _ => Ok(mark),
                }
            }
            [0xfd, b'7', ..] => self.stream(layer, mark, mark, Lzma::xz(rest), "xz", found),
            [0x5d, ..] => match Lzma::alone(rest) {
                Some(packed) => self.stream(layer, mark, mark, packed, "lzma", found),
                None => Ok(mark),
            },
            [b'P', b'K', ..] => self.zip_entry(layer, mark, found),
            [b's', ..] => {
                let start = mark + rest.iter().position(|byte| *byte == b'x').unwrap_or(0);
                self.zlib(layer, mark, start, found)
            }
            // The keyword of the chunk, a NUL, flags, for iTXt two more names, and then zlib.
            [b'z' | b'i', b'T', b'X', b't', body @ ..] => {
                let body = &body[..body.len().min(256)];
                let name = memchr::memchr(0, body).unwrap_or(body.len());
                let start = (name..body.len()).find(|&at| body[at] == 0x78 && is_zlib(&body[at..]));
                start.map_or(Ok(mark), |at| self.zlib(layer, mark, mark + 4 + at, found))
            }
            // A loose object of git is zlib without anything before it.
            [b'u', b's', b't', b'a', b'r', ..] => match mark.checked_sub(257) {
                Some(header) => self.zlib(layer, header, header + 512, found),
                None => Ok(mark),
            },
            [b'7', b'z', ..] => {
                self.opaque(mark..layer.text.len(), "a 7z archive");
                Ok(mark)
            }
            [b'R', b'a', b'r', ..] => {
                self.opaque(mark..layer.text.len(), "a rar archive");
                Ok(mark)
            }
            _ => Ok(mark),
        }
    }

    fn zip_entry(
        &mut self,
        layer: Layer<'_>,
        at: usize,
        found: &mut Found,
    ) -> Result<usize, Exhausted> {
        let rest = &layer.text[at..];
        let word = |from: usize| {
            let two = rest.get(from..from + 2)?;
            Some(usize::from(u16::from_le_bytes([two[0], two[1]])))
        };
        let (Some(flags), Some(method), Some(name), Some(extra)) =
            (word(6), word(8), word(26), word(28))
        else {
            return Ok(self.cut(layer, at));
        };
        let start = at + 30 + name + extra;
        let Some(data) = layer.text.get(start..) else {
            return Ok(self.cut(layer, at));
        };
        // The header may lie, where a reader believes the directory at the end: what is said to be stored, encrypted or of a
        // method that nobody knows is tried as the one that nearly all are.
        let unknown = match method {
            0 => None,
            99 => Some("an encrypted entry of a zip archive"),
            _ if flags & 1 != 0 => Some("an encrypted entry of a zip archive"),
            8 | 12 | 14 | 93 | 95 => None,
            _ => Some("a zip entry of a method that is not known here"),
        };
        let end = match method {
            12 => self.stream(layer, at, start, Bzip2::new(data), "zip", found)?,
            14 => match Lzma::in_zip(data) {
                Some(packed) => self.stream(layer, at, start, packed, "zip", found)?,
                None => {
                    self.too_large(at..start);
                    at
                }
            },
            93 => match Zstd::new(data) {
                Ok(packed) => self.stream(layer, at, start, packed, "zip", found)?,
                Err(State::TooLarge) => {
                    self.too_large(at..start);
                    at
                }
                Err(_) => at,
            },
            95 => self.stream(layer, at, start, Lzma::xz(data), "zip", found)?,
            _ => self.stream(layer, at, start, Inflate::raw(data), "zip", found)?,
        };
        if let Some(what) = unknown.filter(|_| end <= start) {
            self.opaque(at..start, what);
        }
        // A stored entry may hold what has marks of its own.
        Ok(if method == 0 { at } else { end })
    }

    /// zlib at a place, if it is there.
    pub(super) fn zlib(
        &mut self,
        layer: Layer<'_>,
        mark: usize,
        at: usize,
        found: &mut Found,
    ) -> Result<usize, Exhausted> {
        match layer.text.get(at..).and_then(Inflate::zlib) {
            Some(packed) => self.stream(layer, mark, at, packed, "zlib", found),
            None => Ok(at),
        }
    }

    /// A stream whose very header goes beyond the text. In a piece of a larger one, the next has it whole.
    fn cut(&mut self, layer: Layer<'_>, at: usize) -> usize {
        if layer.text.len() - at < SHARED_BYTES {
            self.goes_on(at);
        }
        at
    }

    fn too_large(&mut self, bytes: Range<usize>) {
        self.give_up(bytes, "needs too much memory to unpack");
    }

    /// Scans a stream that starts at `at` and is known by what stands at `mark`. Returns its end, or its start where it was none.
    fn stream(
        &mut self,
        layer: Layer<'_>,
        mark: usize,
        at: usize,
        mut packed: impl Unpacker,
        name: &'static str,
        found: &mut Found,
    ) -> Result<usize, Exhausted> {
        let Some(left) = self.streams_left.checked_sub(1) else {
            self.give_up(at..layer.text.len(), "too many compressed parts");
            return Ok(layer.text.len());
        };
        self.streams_left = left;
        // A decompressor is made even for a mark that starts nothing.
        self.work.pace(8 * PART_COST, self.budget)?;
        let before = found.hits.len();
        let told = self.unscanned.len();
        let state = self.pieces(layer, at, &mut packed, name, found)?;
        let end = (at + packed.used()).min(layer.text.len());
        // All pieces are one place, so that the same value in what two of them share is one finding.
        for (_, hit) in &mut found.hits[before..] {
            hit.bytes = at..end;
        }
        for (bytes, _) in &mut self.unscanned[told..] {
            *bytes = at..end;
        }
        match state {
            State::TooLarge => self.too_large(at..end),
            State::Cut => self.goes_on(mark.min(at)),
            _ => {}
        }
        Ok(if state == State::Ended { end } else { at })
    }

    fn pieces(
        &mut self,
        layer: Layer<'_>,
        at: usize,
        packed: &mut impl Unpacker,
        name: &'static str,
        found: &mut Found,
    ) -> Result<State, Exhausted> {
        let mut piece = Vec::new();
        let mut size = PIECE_BYTES;
        loop {
            let kept = piece.len();
            let mut state = State::Going;
            while piece.len() < size && state == State::Going {
                let start = piece.len();
                piece.resize((start + PULL_BYTES).min(size), 0);
                let (made, now) = packed.pull(&mut piece[start..]);
                piece.truncate(start + made);
                state = now;
                self.work.pace(PART_COST / 8 + made, self.budget)?;
            }
            if piece.len() == kept {
                return Ok(state);
            }
            // What was open in the layer around is not what is open in this piece.
            let around = self.open.take();
            let going = self.inner(
                layer,
                &piece,
                at..at + packed.used(),
                Map::Whole,
                name,
                found,
            );
            let open = self.piece_open.take();
            self.open = around;
            if !going? {
                return Ok(State::Going);
            }
            if state != State::Going {
                return Ok(state);
            }
            let shared = piece.len() - SHARED_BYTES.min(piece.len());
            let mut keep_from = open.map_or(shared, |open| open.min(shared));
            if piece.len() - keep_from >= HELD_MAX_BYTES {
                self.give_up(
                    at..at + packed.used(),
                    "a large compressed part inside another",
                );
                keep_from = shared;
            }
            piece.drain(..keep_from);
            size = PIECE_BYTES.max(2 * piece.len());
        }
    }
}
