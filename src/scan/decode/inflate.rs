//! Deflate, zlib and gzip.

use flate2::{Decompress, FlushDecompress, Status};

use super::packed::{State, Unpacker};

/// A stream of deflate.
pub(super) struct Inflate<'t> {
    text: &'t [u8],
    at: usize,
    inner: Decompress,
    /// Bytes behind the data that belong to it.
    trailer: usize,
}

impl<'t> Inflate<'t> {
    /// Without any header.
    pub(super) fn raw(text: &'t [u8]) -> Self {
        Inflate {
            text,
            at: 0,
            inner: Decompress::new(false),
            trailer: 0,
        }
    }

    /// The two bytes of zlib's header, no more: its checksum says nothing about what is in it.
    pub(super) fn zlib(text: &'t [u8]) -> Option<Self> {
        is_zlib(text).then(|| Inflate {
            at: 2,
            trailer: 4,
            ..Inflate::raw(text)
        })
    }

    /// A gzip member.
    pub(super) fn gzip(text: &'t [u8]) -> Option<Self> {
        let flags = *text.get(3)?;
        let mut at = 10;
        if flags & 4 != 0 {
            let length = text.get(at..at + 2)?;
            at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
        }
        for name in [8, 16] {
            if flags & name != 0 {
                at += memchr::memchr(0, text.get(at..)?)? + 1;
            }
        }
        if flags & 2 != 0 {
            at += 2;
        }
        (at < text.len()).then(|| Inflate {
            at,
            trailer: 8,
            ..Inflate::raw(text)
        })
    }
}

impl Unpacker for Inflate<'_> {
    fn pull(&mut self, out: &mut [u8]) -> (usize, State) {
        let (read, made) = (self.inner.total_in(), self.inner.total_out());
        let told = self
            .inner
            .decompress(&self.text[self.at..], out, FlushDecompress::None);
        let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
        let read = count(self.inner.total_in(), read);
        let made = count(self.inner.total_out(), made).min(out.len());
        self.at = (self.at + read).min(self.text.len());
        let state = match told {
            Ok(Status::StreamEnd) => {
                self.at = (self.at + self.trailer).min(self.text.len());
                State::Ended
            }
            // Nothing more comes out of all that there is.
            Ok(_) if made == 0 => State::Cut,
            Ok(_) => State::Going,
            Err(_) => State::Broken,
        };
        (made, state)
    }

    fn used(&self) -> usize {
        self.at
    }
}

/// Whether a text starts as zlib does: deflate, a window that there is, a right check, no dictionary.
pub(super) fn is_zlib(text: &[u8]) -> bool {
    let [method, flags, _, ..] = text else {
        return false;
    };
    method & 0x8f == 8
        && flags & 0x20 == 0
        && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
}
