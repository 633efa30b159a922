//! zstd.

use std::io::Read as _;

use ruzstd::decoding::errors::{FrameDecoderError, FrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::packed::{State, Unpacker, WINDOW_MAX_BYTES};

/// A last block without content, and room for a checksum.
const LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

/// Blocks, of 128 KiB at most, that may be held back for a large window before anything is given.
const HELD_MAX_BLOCKS: usize = 512;

/// A frame of zstd.
pub(super) struct Zstd<'t> {
    text: &'t [u8],
    rest: &'t [u8],
    inner: FrameDecoder,
    given: usize,
    /// Why the frame ended before its end. What its window still holds is being given.
    fault: Option<State>,
}

impl<'t> Zstd<'t> {
    /// `Err`: it does not start.
    pub(super) fn new(text: &'t [u8]) -> Result<Self, State> {
        let (mut inner, mut rest) = (FrameDecoder::new(), text);
        inner.set_max_window_size(WINDOW_MAX_BYTES);
        match inner.init(&mut rest) {
            Ok(()) => {}
            Err(
                FrameDecoderError::WindowSizeTooBig { .. }
                | FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { .. })
                | FrameDecoderError::FailedToInitialize(FrameHeaderError::WindowTooBig { .. }),
            ) => return Err(State::TooLarge),
            Err(_) => return Err(State::Broken),
        }
        Ok(Zstd {
            text,
            rest,
            inner,
            given: 0,
            fault: None,
        })
    }

    /// The decoder gives what is in its window only at the end of a frame. A frame that breaks is read once more, up to
    /// the block that broke, and ended there.
    fn salvage(&mut self, good: usize, fault: State) {
        self.fault = Some(fault);
        let mut whole = self.text[..good].chain(LAST_BLOCK);
        let mut inner = FrameDecoder::new();
        inner.set_max_window_size(WINDOW_MAX_BYTES);
        let mut gone = vec![0; 16 << 10];
        let mut left = self.given;
        if inner.init(&mut whole).is_err() {
            return;
        }
        loop {
            if !inner.is_finished()
                && inner
                    .decode_blocks(&mut whole, BlockDecodingStrategy::UptoBlocks(1))
                    .is_err()
            {
                return;
            }
            while left > 0 && inner.can_collect() > 0 {
                let room = left.min(gone.len());
                let read = inner.read(&mut gone[..room]).unwrap_or(0);
                if read == 0 {
                    break;
                }
                left -= read;
            }
            if inner.is_finished() {
                break;
            }
        }
        if left == 0 {
            self.inner = inner;
        }
    }
}

impl Unpacker for Zstd<'_> {
    fn pull(&mut self, out: &mut [u8]) -> (usize, State) {
        while self.inner.can_collect() == 0 && !self.inner.is_finished() && self.fault.is_none() {
            if self.given == 0 && self.inner.blocks_decoded() > HELD_MAX_BLOCKS {
                self.fault = Some(State::TooLarge);
                break;
            }
            let good = self.text.len() - self.rest.len();
            let mut rest = self.rest;
            if self
                .inner
                .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1))
                .is_err()
            {
                let fault = if rest.is_empty() || is_cut(self.rest) {
                    State::Cut
                } else {
                    State::Broken
                };
                self.salvage(good, fault);
                break;
            }
            self.rest = rest;
        }
        let made = self.inner.read(out).unwrap_or(0);
        self.given += made;
        let state = match self.fault {
            Some(fault) if made == 0 => fault,
            None if self.inner.is_finished() && self.inner.can_collect() == 0 => State::Ended,
            _ => State::Going,
        };
        (made, state)
    }

    fn used(&self) -> usize {
        self.text.len() - self.rest.len()
    }
}

/// Whether the block that the text starts with goes on beyond the text.
fn is_cut(text: &[u8]) -> bool {
    let [a, b, c, ..] = text else { return true };
    let header = u32::from_le_bytes([*a, *b, *c, 0]);
    let size = if header >> 1 & 3 == 1 { 1 } else { header >> 3 };
    text.len() < 3 + usize::try_from(size).unwrap_or(usize::MAX)
}
