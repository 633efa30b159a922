//! Bytes written as numbers: `[103, 104, 112]`, `0x67, 0x68`, `67:68:70`.

use std::ops::Range;

use super::derived::Derived;
use super::known::{EDGES, Found, Ground, Known, Phase, Segment, moved, short, take};
use super::{Layer, Map, Run};
use crate::budget::Exhausted;

/// Fewest numbers that are looked into.
const COUNT_MIN: usize = 16;
/// Shortest run of digits and what parts them that is looked into: so many numbers of two digits.
pub(super) const RUN_MIN_BYTES: usize = COUNT_MIN * 3;
/// A run of that length covers at least one probe.
const STRIDE_BYTES: usize = RUN_MIN_BYTES - PROBE_BYTES + 1;
const PROBE_BYTES: usize = 12;
/// Numbers that have one place together.
const PLACE_NUMBERS: usize = 16;

impl Run<'_> {
    /// All lists of numbers.
    pub(super) fn numbers(
        &mut self,
        layer: Layer<'_>,
        ground: &Ground<'_>,
        mut keep: Option<&mut Known>,
        found: &mut Found,
    ) -> Result<(), Exhausted> {
        let text = layer.text;
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for segment in ground.segments(EDGES) {
            match (segment, ground.known) {
                (Segment::Fresh(part), _) => runs_in(text, part, &mut runs),
                (Segment::Kept(kept), Some(known)) => {
                    let shift = kept.shift;
                    take(
                        &known.lists,
                        &kept.bytes,
                        shift,
                        |run| run.0,
                        |run| {
                            let start = moved(run.0 as usize, shift);
                            let mut end = moved(run.1 as usize, shift);
                            if ground.shift(start, 1, end, 1).is_none() {
                                end = run_end(text, start);
                            }
                            runs.push((short(start), short(end)));
                        },
                    );
                }
                (Segment::Kept(_), None) => {}
            }
        }
        for &(start, end) in &runs {
            let (mut start, end) = (start as usize, end as usize);
            found.key = (Phase::Numbers, start, 0);
            if self.takes_over(ground, found, (start, 1, end, 1)) {
                continue;
            }
            self.work.pace(8 * (end - start), self.budget)?;
            let before = self.left();
            while start < end {
                let (list, next) = Numbers::read(text, start..end);
                if list.count >= COUNT_MIN {
                    let map = Map::Pieces(&list.bytes);
                    let place = start..next;
                    if !self.inner(layer, &list.bytes.text, place, map, "numbers", found)? {
                        return Ok(());
                    }
                }
                start = next.max(start + 1);
            }
            self.spent(before, keep.as_deref_mut());
        }
        if let Some(keep) = keep {
            keep.lists = runs;
        }
        Ok(())
    }
}

/// The runs that start in a part of the text. Looks at one place in every few.
fn runs_in(text: &[u8], part: Range<usize>, runs: &mut Vec<(u32, u32)>) {
    let mut at = part.start;
    while let Some(probe) = text.get(at..at + PROBE_BYTES) {
        if at >= part.end + RUN_MIN_BYTES {
            break;
        }
        if !is_list(probe) {
            at += STRIDE_BYTES;
            continue;
        }
        // A long run that begins before is not followed to its ends again and again.
        let before = text[part.start..at].iter().rev();
        let start = at - before.take_while(|byte| is_part(**byte)).count();
        let begins = start > part.start || start == 0 || !is_part(text[start - 1]);
        let to = (part.end + RUN_MIN_BYTES + PROBE_BYTES).min(text.len());
        let end = run_end(if begins { text } else { &text[..to] }, at);
        if begins && part.contains(&start) && end - start >= RUN_MIN_BYTES {
            runs.push((short(start), short(end)));
        }
        at = end.max(at + STRIDE_BYTES);
    }
}

fn run_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| is_part(**byte)).count()
}

/// Nothing but digits and what parts numbers.
fn is_list(probe: &[u8]) -> bool {
    // All bytes are counted at once, without a branch: most probes are code and prose, which end anywhere.
    let counts: u32 = probe.iter().map(|byte| KIND[usize::from(*byte)]).sum();
    counts < 1 << 16
}

/// One in the low byte for a hex digit, in the second for what parts numbers, in the third for any other byte.
const KIND: [u32; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => 1,
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'-' | b'x' | b'X' | b';' | b'\\' => {
                1 << 8
            }
            _ => 1 << 16,
        };
        byte += 1;
    }
    kinds
};

fn is_part(byte: u8) -> bool {
    KIND[usize::from(byte)] < 1 << 16
}

/// How the numbers of one list are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Prefixed,
    Pairs,
}

struct Numbers {
    bytes: Derived,
    count: usize,
}

impl Numbers {
    /// The first list in a range, and where to look for the next.
    fn read(text: &[u8], range: Range<usize>) -> (Numbers, usize) {
        let mut list = Numbers {
            bytes: Derived::default(),
            count: 0,
        };
        let mut form = None;
        let mut at = range.start;
        let mut chunk: (Vec<u8>, usize, usize) = (Vec::new(), range.start, range.start);
        while at < range.end {
            if !text[at].is_ascii_hexdigit() {
                at += 1;
                continue;
            }
            let token = &text[at..range.end.min(at + 5)];
            let length = token
                .iter()
                .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'x' | b'X'))
                .count();
            let token = &token[..length];
            let own = match token {
                [b'0', b'x' | b'X', ..] => Form::Prefixed,
                _ => form.unwrap_or_else(|| form_of(text, at, range.end)),
            };
            let value = match own {
                Form::Prefixed => token.get(2..).filter(|_| length > 2 && length < 5),
                Form::Pairs => Some(token).filter(|_| length == 2),
                Form::Decimal => Some(token).filter(|_| length < 4),
            };
            let base = if own == Form::Decimal { 10 } else { 16 };
            let value = value
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| u8::from_str_radix(digits, base).ok());
            let Some(value) = value.filter(|_| form.is_none_or(|form| form == own)) else {
                // Not of this list: it may begin the next, unless it began this one.
                if list.count == 0 {
                    at += length.max(1);
                }
                break;
            };
            form = Some(own);
            if chunk.0.is_empty() {
                chunk.1 = at;
            }
            at += length;
            chunk.0.push(value);
            chunk.2 = at;
            list.count += 1;
            if chunk.0.len() == PLACE_NUMBERS {
                list.bytes.put(&chunk.0, chunk.1..chunk.2);
                chunk.0.clear();
            }
        }
        if !chunk.0.is_empty() {
            list.bytes.put(&chunk.0, chunk.1..chunk.2);
        }
        (list, at)
    }
}

/// Pairs of hex digits, when colons or dashes part them or a letter is among the first; decimals otherwise.
fn form_of(text: &[u8], at: usize, end: usize) -> Form {
    let head = &text[at..end.min(at + 3 * COUNT_MIN)];
    let is_pairs = head.chunks(3).all(|three| {
        three.iter().take(2).all(u8::is_ascii_hexdigit)
            && three.get(2).is_none_or(|byte| !byte.is_ascii_hexdigit())
    });
    let has_letters = head.iter().any(u8::is_ascii_alphabetic);
    let is_parted = matches!(head.get(2), Some(b':' | b'-' | b' '));
    if is_pairs && (has_letters || is_parted) {
        Form::Pairs
    } else {
        Form::Decimal
    }
}
