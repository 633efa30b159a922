//! xz, and lzma alone.

use lzma_rust2::{Action, LzmaStream, Status, StreamResult, XzStream};

use super::packed::{State, Unpacker, WINDOW_MAX_BYTES};

/// The same in the unit of the decoders.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the bound is far below 4 TiB"
)]
const WINDOW_MAX_KIB: u32 = (WINDOW_MAX_BYTES >> 10) as u32;

/// A stream of xz or lzma.
pub(super) struct Lzma<'t> {
    text: &'t [u8],
    at: usize,
    inner: Kind,
}

enum Kind {
    Xz(Box<XzStream>),
    Alone(Box<LzmaStream>),
}

impl<'t> Lzma<'t> {
    pub(super) fn xz(text: &'t [u8]) -> Self {
        let inner = XzStream::new_mem_limit(false, WINDOW_MAX_KIB);
        Lzma {
            text,
            at: 0,
            inner: Kind::Xz(Box::new(inner)),
        }
    }

    /// The `.lzma` format. It has no magic number, and nearly any bytes can be unpacked, so that its header has to be
    /// one that a tool writes: a size that is not known or can be, and the range coder's first byte.
    pub(super) fn alone(text: &'t [u8]) -> Option<Self> {
        let size = u64::from_le_bytes(*text.get(5..)?.first_chunk()?);
        if (size != u64::MAX && size >> 38 != 0) || text.get(13) != Some(&0) {
            return None;
        }
        Some(Lzma {
            text,
            at: 0,
            inner: Kind::Alone(Box::new(LzmaStream::new_mem_limit(WINDOW_MAX_KIB, None))),
        })
    }

    /// An entry of a zip archive: two bytes of version, two of the length of the properties, then these.
    pub(super) fn in_zip(text: &'t [u8]) -> Option<Self> {
        let [_, _, 5, 0, properties, size @ ..] = text else {
            return None;
        };
        let window = u32::from_le_bytes(*size.first_chunk()?);
        if u64::from(window) > WINDOW_MAX_BYTES {
            return None;
        }
        let inner = LzmaStream::new_with_props(u64::MAX, *properties, window, None).ok()?;
        Some(Lzma {
            text,
            at: 9,
            inner: Kind::Alone(Box::new(inner)),
        })
    }
}

impl Unpacker for Lzma<'_> {
    fn pull(&mut self, out: &mut [u8]) -> (usize, State) {
        let input = &self.text[self.at..];
        let told = match &mut self.inner {
            Kind::Xz(inner) => inner.process(input, out, Action::Finish),
            Kind::Alone(inner) => inner.process(input, out, Action::Finish),
        };
        match told {
            Ok(StreamResult {
                bytes_consumed,
                bytes_produced,
                status,
            }) => {
                self.at = (self.at + bytes_consumed).min(self.text.len());
                if let (Status::StreamEnd, Kind::Alone(inner)) = (status, &self.inner) {
                    // It reads ahead.
                    self.at -= inner.unused_input().len().min(self.at);
                }
                let state = match status {
                    Status::StreamEnd => State::Ended,
                    Status::Ok if bytes_produced == 0 && bytes_consumed == 0 => State::Cut,
                    Status::Ok => State::Going,
                };
                (bytes_produced.min(out.len()), state)
            }
            Err(error) => {
                // The count of what was written is lost with the error; the caller gave zeros to write on.
                let made = out
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |at| at + 1);
                let state = match error.kind() {
                    std::io::ErrorKind::OutOfMemory => State::TooLarge,
                    std::io::ErrorKind::UnexpectedEof => State::Cut,
                    _ => State::Broken,
                };
                (made, state)
            }
        }
    }

    fn used(&self) -> usize {
        self.at
    }
}
