//! bzip2.

use bzip2::{Decompress, Status};

use super::packed::{State, Unpacker};

/// A stream of bzip2.
pub(super) struct Bzip2<'t> {
    text: &'t [u8],
    at: usize,
    inner: Decompress,
}

impl<'t> Bzip2<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Bzip2 {
            text,
            at: 0,
            inner: Decompress::new(false),
        }
    }
}

impl Unpacker for Bzip2<'_> {
    fn pull(&mut self, out: &mut [u8]) -> (usize, State) {
        let (read, made) = (self.inner.total_in(), self.inner.total_out());
        let told = self.inner.decompress(&self.text[self.at..], out);
        let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
        let read = count(self.inner.total_in(), read);
        let made = count(self.inner.total_out(), made).min(out.len());
        self.at = (self.at + read).min(self.text.len());
        let state = match told {
            Ok(Status::StreamEnd) => State::Ended,
            Ok(Status::MemNeeded) => State::TooLarge,
            Ok(_) if read == 0 && made == 0 => State::Cut,
            Ok(_) => State::Going,
            Err(_) => State::Broken,
        };
        (made, state)
    }

    fn used(&self) -> usize {
        self.at
    }
}
