//! What a scan notes of a text, and how it holds for a text that is made from it.
//!
//! Whatever starts something is found by looking at bytes near it, all within [`BACK_BYTES`] and [`AHEAD_BYTES`]: keywords and
//! what must follow them, quotes and escapes, the first letter of a run. Where these bytes were copied together, what starts
//! there is known and not looked for. What becomes of it is worked out anew, in the same order and by the same code, but
//! for what only depends on bytes that were copied together too: that gives the same hits.

use std::ops::Range;

use crate::repo::packs::Part;
use crate::scan::Match;

/// How far before and behind a place the bytes lie that tell whether something starts there: a keyword and its guard (64 and
/// 256), a joint (258), what follows a telling word (140).
const BACK_BYTES: usize = 16;
const AHEAD_BYTES: usize = 328;

/// Of larger texts nothing is kept.
const KEPT_MAX_BYTES: usize = 1 << 28;

/// Which step of a scan gave a hit, the place where it began, and the rule where one place has several.
pub(super) type Key = (Phase, usize, u16);

/// The steps of a scan over one layer, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Window,
    Anchored,
    Odd,
    Numbers,
    Dense,
    Packed,
}

/// The hits of one layer before they are settled, each with its key.
pub(super) struct Found {
    pub(super) hits: Vec<(Key, Match)>,
    /// The key of what is pushed.
    pub(super) key: Key,
}

impl Found {
    pub(super) fn new() -> Self {
        Found {
            hits: Vec::new(),
            key: (Phase::Window, 0, 0),
        }
    }

    pub(super) fn push(&mut self, hit: Match) {
        self.hits.push((self.key, hit));
    }
}

/// What a keyword does where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effect {
    pub(super) at: u32,
    pub(super) rule: u16,
    pub(super) length: u8,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The rule must be asked.
    Rule,
    /// A mark.
    Mark,
    /// Names are looked for around it.
    Telling,
}

/// A run of letters that was looked into, with the lines before and behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folded {
    /// The run by which it was found.
    pub(super) at: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Nothing before it had a say in where it begins.
    pub(super) is_free: bool,
}

/// How much of the bounds was used, at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) confirmed: u64,
    pub(super) decoded: u64,
    pub(super) streams: u64,
    pub(super) matches: u64,
}

/// What a scan noted of a text. Has no `Debug`: it holds secrets.
#[derive(Default)]
pub(in crate::scan) struct Known {
    pub(super) length: usize,
    pub(super) effects: Vec<Effect>,
    pub(super) names: Vec<Effect>,
    pub(super) places: Vec<u32>,
    /// Runs of letters, without those that are words.
    pub(super) runs: Vec<(u32, u32)>,
    pub(super) folded: Vec<Folded>,
    /// Digits and what parts numbers.
    pub(super) lists: Vec<(u32, u32)>,
    /// By their keys.
    pub(super) hits: Vec<(Key, Match)>,
    pub(super) used: Used,
}

impl Known {
    /// Ends the notes on a text. `false`: it is too large to be kept, or so much was used of the bounds that a text made from it
    /// may reach one.
    pub(super) fn close(
        &mut self,
        length: usize,
        ground: &Ground<'_>,
        before: Used,
        now: Used,
        found: &mut Found,
    ) -> bool {
        self.length = length;
        found.hits.sort_by_key(|(key, _)| *key);
        // What was taken over cost no more in the old text, for each time that it was copied.
        let times = ground.times();
        let old = ground.known.map(|known| known.used).unwrap_or_default();
        let sum = |old: u64, before: u64, now: u64| {
            (old.saturating_mul(times)).saturating_add(before.saturating_sub(now))
        };
        self.used = Used {
            confirmed: sum(old.confirmed, before.confirmed, now.confirmed),
            decoded: sum(old.decoded, before.decoded, now.decoded),
            streams: sum(old.streams, before.streams, now.streams),
            matches: sum(old.matches, before.matches, now.matches),
        };
        length < KEPT_MAX_BYTES
            && self.used.confirmed <= before.confirmed / 2
            && self.used.decoded <= before.decoded / 2
            && self.used.streams <= before.streams / 2
            && self.used.matches <= before.matches / 2
    }

    /// The hits with a key.
    pub(super) fn of(&self, key: Key) -> &[(Key, Match)] {
        let from = self.hits.partition_point(|(own, _)| *own < key);
        let count = self.hits[from..].partition_point(|(own, _)| *own == key);
        &self.hits[from..from + count]
    }
}

/// A part that was copied: `shift` leads from the place in the old text to the one in the new. At the ends of both texts it
/// goes on for ever.
#[derive(Debug, Clone, Copy)]
struct Copied {
    start: i64,
    end: i64,
    shift: i64,
}

/// A part of a text: what starts in it is looked for, or known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Fresh(Range<usize>),
    Kept { bytes: Range<usize>, shift: i64 },
}

/// What is known of the text that a text was made from.
pub(in crate::scan) struct Ground<'k> {
    pub(super) known: Option<&'k Known>,
    copied: Vec<Copied>,
    segments: Vec<Segment>,
}

impl<'k> Ground<'k> {
    /// Nothing.
    pub(in crate::scan) fn none() -> Self {
        Ground {
            known: None,
            copied: Vec::new(),
            segments: Vec::new(),
        }
    }

    /// The parts are all of the text.
    pub(in crate::scan) fn made(known: &'k Known, parts: &[Part], length: usize) -> Self {
        let mut ground = Ground {
            known: Some(known),
            copied: Vec::with_capacity(parts.len()),
            segments: Vec::with_capacity(2 * parts.len()),
        };
        let mut fresh = 0;
        for part in parts {
            let Some(from) = part.from else { continue };
            let bytes = part.bytes.clone();
            let (is_first, is_last) = (
                bytes.start == 0 && from == 0,
                bytes.end == length && from + bytes.len() == known.length,
            );
            let wide = |place: usize| i64::try_from(place).unwrap_or(i64::MAX / 4);
            let shift = wide(bytes.start) - wide(from);
            ground.copied.push(Copied {
                start: if is_first {
                    i64::MIN / 2
                } else {
                    wide(bytes.start)
                },
                end: if is_last {
                    i64::MAX / 2
                } else {
                    wide(bytes.end)
                },
                shift,
            });
            let start = bytes.start + if is_first { 0 } else { BACK_BYTES };
            let end = if is_last {
                bytes.end
            } else {
                bytes.end.saturating_sub(AHEAD_BYTES)
            };
            if start < end {
                if fresh < start {
                    ground.segments.push(Segment::Fresh(fresh..start));
                }
                ground.segments.push(Segment::Kept {
                    bytes: start..end,
                    shift,
                });
                fresh = end;
            }
        }
        if fresh < length {
            ground.segments.push(Segment::Fresh(fresh..length));
        }
        ground
    }

    /// The parts of a text of so many bytes, in their order.
    pub(super) fn segments(&self, length: usize) -> impl Iterator<Item = Segment> {
        let all = self.known.is_none().then_some(Segment::Fresh(0..length));
        all.into_iter().chain(self.segments.iter().cloned())
    }

    /// How many bytes have to be walked over.
    pub(in crate::scan) fn fresh(&self) -> usize {
        let fresh = self.segments.iter().map(|segment| match segment {
            Segment::Fresh(part) => part.len(),
            Segment::Kept { .. } => 0,
        });
        fresh.sum()
    }

    /// Where bytes come from, if all of them were copied together. They may lie beyond the ends of the text.
    #[inline]
    pub(super) fn shift(
        &self,
        start: usize,
        before: usize,
        end: usize,
        behind: usize,
    ) -> Option<i64> {
        let wide = |place: usize| i64::try_from(place).unwrap_or(i64::MAX / 4);
        let (start, end) = (wide(start) - wide(before), wide(end) + wide(behind));
        let next = self.copied.partition_point(|part| part.start <= start);
        let part = self.copied.get(next.checked_sub(1)?)?;
        (end <= part.end).then_some(part.shift)
    }

    /// How often a byte of the old text was copied, at most.
    pub(super) fn times(&self) -> u64 {
        let mut ends: Vec<(i64, i64)> = Vec::with_capacity(2 * self.copied.len());
        for part in &self.copied {
            ends.push((part.start.saturating_sub(part.shift), 1));
            ends.push((part.end.saturating_sub(part.shift), -1));
        }
        // What ends somewhere has ended before the next begins.
        ends.sort_unstable();
        let (mut now, mut most) = (0, 1);
        for (_, step) in ends {
            now += step;
            most = most.max(now);
        }
        u64::try_from(most).unwrap_or(1)
    }
}

/// The place in the new text of one in the old, and the other way round with the shift negated.
#[inline]
pub(super) fn moved(place: usize, shift: i64) -> usize {
    let place = i64::try_from(place).unwrap_or(i64::MAX / 4);
    usize::try_from(place + shift).unwrap_or(0)
}

/// A place in 32 bits. Texts from 4 GiB on are never kept.
pub(super) fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Takes over what starts in a part of the old text that was copied.
pub(super) fn take<T: Copy>(
    from: &[T],
    bytes: &Range<usize>,
    shift: i64,
    at: impl Fn(&T) -> u32,
    mut put: impl FnMut(&T),
) {
    let (start, end) = (moved(bytes.start, -shift), moved(bytes.end, -shift));
    let first = from.partition_point(|one| (at(one) as usize) < start);
    for one in &from[first..] {
        if at(one) as usize >= end {
            break;
        }
        put(one);
    }
}
