//! Letters kept apart by NUL bytes: UTF-16 and UTF-32, both ways, with or without a byte order mark, in a file of their own
//! or in a stretch of another.

use super::derived::Derived;
use super::known::Found;
use super::{Layer, Map, Run};
use crate::budget::Exhausted;

/// Bytes that are looked at together.
const BLOCK: usize = 16;
/// NUL bytes that may stand between two letters.
const GAP_MAX_BYTES: usize = 7;
/// Fewer letters are no secret.
const LETTERS_MIN: usize = 12;

impl Run<'_> {
    pub(super) fn wide(&mut self, layer: Layer<'_>, found: &mut Found) -> Result<(), Exhausted> {
        let text = layer.text;
        let mut at = 0;
        let mut covered = 0;
        while let Some(block) = text.get(at..at + BLOCK) {
            self.work.pace(BLOCK, self.budget)?;
            // Most of what has NUL bytes has nothing else for long, or few.
            if block.iter().all(|byte| *byte == 0) {
                let zeros = text[at..].chunks_exact(4 * BLOCK);
                let skipped = zeros.take_while(|zeros| **zeros == [0; 4 * BLOCK]).count();
                self.work.pace(skipped * BLOCK / 4, self.budget)?;
                at += BLOCK.max(skipped * 4 * BLOCK);
                continue;
            }
            if !is_spaced(block) {
                at += BLOCK;
                continue;
            }
            let Some(letter) = block.iter().position(|byte| *byte != 0) else {
                at += BLOCK;
                continue;
            };
            let mut first = at + letter;
            while let Some(before) = before(text, first, covered) {
                first = before;
            }
            let mut letters = Derived::default();
            let mut next = Some(first);
            let mut end = first;
            let mut gaps = 0;
            while let Some(place) = next {
                gaps = place.saturating_sub(end).max(gaps);
                letters.copy(text, place..place + 1);
                end = place + 1;
                next = after(text, place);
            }
            self.work.pace(end - first, self.budget)?;
            covered = end;
            at = end.max(at + BLOCK);
            if letters.text.len() < LETTERS_MIN {
                continue;
            }
            let name = match gaps {
                1 => "utf-16",
                3 => "utf-32",
                _ => "nul bytes",
            };
            let map = Map::Pieces(&letters);
            if !self.inner(layer, &letters.text, first..end, map, name, found)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Letters and NUL bytes, no letter beside another.
fn is_spaced(block: &[u8]) -> bool {
    let nul = block.iter().filter(|byte| **byte == 0).count();
    (block.len() / 2..block.len()).contains(&nul)
        && block.iter().all(|byte| *byte == 0 || is_text(*byte))
        && block.windows(2).all(|two| two[0] == 0 || two[1] == 0)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// The place of the letter before this one.
fn before(text: &[u8], letter: usize, from: usize) -> Option<usize> {
    let gap = text[from..letter].iter().rev().take(GAP_MAX_BYTES);
    let nul = gap.take_while(|byte| **byte == 0).count();
    let place = letter.checked_sub(nul + 1).filter(|place| *place >= from)?;
    (nul > 0 && is_text(text[place])).then_some(place)
}

fn after(text: &[u8], letter: usize) -> Option<usize> {
    let gap = text[letter + 1..].iter().take(GAP_MAX_BYTES);
    let nul = gap.take_while(|byte| **byte == 0).count();
    let place = letter + 1 + nul;
    (nul > 0 && text.get(place).is_some_and(|byte| is_text(*byte))).then_some(place)
}
