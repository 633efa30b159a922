//! What a scan notes of a text, and how it holds for a text that is made from it.
//!
//! Whatever starts something is found by looking at bytes near it, all within [`EDGES`]: keywords and what must follow them,
//! quotes and escapes, the first letter of a run. Where these bytes were copied together, what starts there is known and not
//! looked for. A keyword is known up to its own end; near the ends of what was copied it is asked again what it does. What
//! becomes of it is worked out anew, in the same order and by the same code, but for what only depends on bytes that were
//! copied together too: that gives the same hits.

use std::ops::Range;

use crate::repo::packs::Part;
use crate::scan::Match;

/// How far before and behind a place the bytes lie that tell whether something starts there: a keyword and its guard (64 and
/// 256), a joint (258), what follows a telling word (140).
pub(super) const EDGES: Margins = Margins(16, 328);

/// What tells that a keyword stands somewhere: itself.
pub(super) const KEYWORD_EDGES: Margins = Margins(0, 64);

/// Bytes before and behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margins(pub(super) usize, pub(super) usize);

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
pub(super) struct Used(pub(super) [u64; 4]);

impl Used {
    /// Of what was left before, what is no longer.
    pub(super) fn between(before: Used, now: Used) -> Used {
        before.with(now, u64::saturating_sub)
    }

    pub(super) fn with(self, other: Used, one: impl Fn(u64, u64) -> u64) -> Used {
        let mut all = self.0;
        for (own, other) in all.iter_mut().zip(other.0) {
            *own = one(*own, other);
        }
        Used(all)
    }

    fn plus(self, other: Used) -> Used {
        self.with(other, u64::saturating_add)
    }
}

/// What a scan noted of a text. Has no `Debug`: it holds secrets.
#[derive(Default)]
pub(in crate::scan) struct Known {
    length: usize,
    /// Every keyword that is no name, with its place.
    pub(super) keywords: Vec<(u32, u16)>,
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
    /// What was used by steps that a later text takes over, together and by one of them at most.
    used: Used,
    most: Used,
}

impl Known {
    /// Notes what one step used that can be taken over.
    pub(super) fn spent(&mut self, used: Used) {
        self.used = self.used.plus(used);
        self.most = self.most.with(used, u64::max);
    }

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
        let now = Used::between(before, now);
        let mut all = now;
        if let Some(known) = ground.known {
            // What was taken over cost as much in the old text, and as often as it was copied.
            let again = ground.again(known);
            let taken = known.used.plus(
                known
                    .most
                    .with(known.most, |most, _| most.saturating_mul(again)),
            );
            all = all.plus(taken);
            self.used = self.used.plus(taken);
            self.most = self.most.with(known.most, u64::max);
        }
        let half = before.with(before, |left, _| left / 2);
        length < KEPT_MAX_BYTES && all.0.iter().zip(half.0).all(|(used, half)| *used <= half)
    }

    /// How many notes start in a part of the text.
    fn notes(&self, start: i64, end: i64) -> usize {
        fn count<T>(all: &[T], at: impl Fn(&T) -> u32, start: i64, end: i64) -> usize {
            let before = |place: i64| all.partition_point(|one| i64::from(at(one)) < place);
            before(end).saturating_sub(before(start))
        }
        count(&self.effects, |effect| effect.at, start, end)
            + count(&self.names, |effect| effect.at, start, end)
            + count(&self.lists, |run| run.0, start, end)
            + count(&self.folded, |lines| lines.at, start, end)
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
pub(super) struct Copied {
    start: i64,
    end: i64,
    shift: i64,
}

impl Copied {
    /// What lies inside of the margins, in a text of so many bytes.
    fn inside(self, margins: Margins, length: usize) -> Range<usize> {
        let Margins(back, ahead) = margins;
        let place = |place: i64| usize::try_from(place.max(0)).unwrap_or(0).min(length);
        let start = place(self.start.saturating_add(wide(back)));
        start..place(self.end.saturating_sub(wide(ahead))).max(start)
    }
}

/// A part of a text: what starts in it is looked for, or known.
#[derive(Debug, Clone)]
pub(super) enum Segment {
    Fresh(Range<usize>),
    Kept(Kept),
}

/// Bytes from which whatever is asked about was copied together.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) bytes: Range<usize>,
    pub(super) shift: i64,
    copied: Copied,
}

impl Kept {
    /// What is left of it within other margins.
    pub(super) fn inside(&self, margins: Margins) -> Range<usize> {
        let inside = self.copied.inside(margins, self.bytes.end);
        let start = inside.start.clamp(self.bytes.start, self.bytes.end);
        start..inside.end.clamp(start, self.bytes.end)
    }
}

/// What is known of the text that a text was made from.
pub(in crate::scan) struct Ground<'k> {
    pub(super) known: Option<&'k Known>,
    length: usize,
    copied: Vec<Copied>,
}

impl<'k> Ground<'k> {
    /// Nothing, of a text of so many bytes.
    pub(in crate::scan) fn none(length: usize) -> Self {
        Ground {
            known: None,
            length,
            copied: Vec::new(),
        }
    }

    /// The parts are all of the text.
    pub(in crate::scan) fn made(known: &'k Known, parts: &[Part], length: usize) -> Self {
        let copied = parts.iter().filter_map(|part| {
            let from = part.from?;
            let bytes = part.bytes.clone();
            let is_first = bytes.start == 0 && from == 0;
            let is_last = bytes.end == length && from + bytes.len() == known.length;
            Some(Copied {
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
                shift: wide(bytes.start) - wide(from),
            })
        });
        Ground {
            known: Some(known),
            length,
            copied: copied.collect(),
        }
    }

    /// The parts of the text, in their order.
    pub(super) fn segments(&self, margins: Margins) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(2 * self.copied.len() + 1);
        let mut fresh = 0;
        for copied in &self.copied {
            let bytes = copied.inside(margins, self.length);
            if bytes.is_empty() {
                continue;
            }
            if fresh < bytes.start {
                segments.push(Segment::Fresh(fresh..bytes.start));
            }
            fresh = bytes.end;
            segments.push(Segment::Kept(Kept {
                bytes,
                shift: copied.shift,
                copied: *copied,
            }));
        }
        if fresh < self.length {
            segments.push(Segment::Fresh(fresh..self.length));
        }
        segments
    }

    /// How many bytes have to be walked over, at most.
    pub(in crate::scan) fn fresh(&self) -> usize {
        let kept = self.copied.iter();
        let kept = kept.map(|copied| copied.inside(EDGES, self.length).len());
        self.length - kept.sum::<usize>()
    }

    /// Whether so much was copied that it is less work than to scan the whole.
    pub(in crate::scan) fn is_of_use(&self) -> bool {
        let kept = self.copied.iter();
        let kept = kept.map(|copied| copied.inside(KEYWORD_EDGES, self.length).len());
        kept.sum::<usize>() > self.length / 8
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
        let (start, end) = (wide(start) - wide(before), wide(end) + wide(behind));
        let next = self.copied.partition_point(|part| part.start <= start);
        let part = self.copied.get(next.checked_sub(1)?)?;
        (end <= part.end).then_some(part.shift)
    }

    /// How many notes of the old text were copied more than once, each time counted but one.
    fn again(&self, known: &Known) -> u64 {
        // As a rule parts are taken one after the other.
        let old = |part: &Copied, place: i64| place.saturating_sub(part.shift);
        let mut pairs = self.copied.windows(2);
        if pairs.all(|pair| old(&pair[0], pair[0].end) <= old(&pair[1], pair[1].start)) {
            return 0;
        }
        let mut ends: Vec<(i64, i64)> = Vec::with_capacity(2 * self.copied.len());
        for part in &self.copied {
            ends.push((old(part, part.start), 1));
            ends.push((old(part, part.end), -1));
        }
        // What ends somewhere has ended before the next begins.
        ends.sort_unstable();
        let (mut times, mut again) = (0, 0_u64);
        for pair in ends.windows(2) {
            times += pair[0].1;
            if times > 1 {
                let count = known.notes(pair[0].0, pair[1].0) as u64;
                again = again.saturating_add(count.saturating_mul(times.unsigned_abs() - 1));
            }
        }
        again
    }
}

fn wide(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX / 4)
}

/// The place in the new text of one in the old, and the other way round with the shift negated.
#[inline]
pub(super) fn moved(place: usize, shift: i64) -> usize {
    usize::try_from(wide(place) + shift).unwrap_or(0)
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
