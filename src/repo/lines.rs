//! Which lines a new version of a file adds to an old one.

use std::ops::Range;

use imara_diff::sources::byte_lines;
use imara_diff::{Algorithm, Diff, InternedInput, Token};

use super::packs::Part;
use crate::budget::{Budget, Exhausted};

/// The lines that one version of a file adds to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// How many.
    pub lines: u64,
    /// All of the new version, in its order: lines that were taken over, and lines that are added.
    pub parts: Vec<Part>,
}

impl Added {
    /// Compares two versions line by line.
    #[cfg(test)]
    fn between(old: &[u8], new: &[u8]) -> Self {
        let budget = Budget::new(crate::budget::Bounds::default());
        Self::within(old, new, differing(old, new), &budget).unwrap()
    }

    /// Compares line by line what [`differing`] left of two versions. Most edits leave most of a file alone, and comparing
    /// bytes is far cheaper than hashing lines. A stretch of very many lines without one that stands once on both sides counts as
    /// replaced.
    ///
    /// # Errors
    ///
    /// The time is up.
    pub fn within(
        old: &[u8],
        new: &[u8],
        (old_middle, new_middle): (Range<usize>, Range<usize>),
        budget: &Budget,
    ) -> Result<Self, Exhausted> {
        let mut input = InternedInput::default();
        input.update_before(byte_lines(&old[old_middle.clone()]));
        input.update_after(byte_lines(&new[new_middle.clone()]));
        let starts = |lines: &[Token], mut start: usize| {
            let mut starts = Vec::with_capacity(lines.len() + 1);
            starts.push(start);
            for line in lines {
                start += input.interner[*line].len();
                starts.push(start);
            }
            starts
        };
        let old_starts = starts(&input.before, old_middle.start);
        let new_starts = starts(&input.after, new_middle.start);
        let mut added = Added {
            lines: 0,
            parts: Vec::new(),
        };
        // Up to where both have been gone through.
        let (mut in_old, mut in_new) = (0, 0);
        for (before, after) in stretches(&input, COMPARED_MAX_LINES) {
            budget.check_time()?;
            let mut put = |in_before: Range<usize>, in_after: Range<usize>| {
                let start = new_starts[after.start + in_after.start];
                let end = new_starts[after.start + in_after.end];
                added.put(in_new..start, Some(in_old));
                added.put(start..end, None);
                added.lines += in_after.len() as u64;
                (in_old, in_new) = (old_starts[before.start + in_before.end], end);
            };
            if before.len() + after.len() > COMPARED_MAX_LINES {
                put(0..before.len(), 0..after.len());
                continue;
            }
            let lines = (&input.before[before.clone()], &input.after[after.clone()]);
            let mut diff = Diff::default();
            // As git counts lines; what it looks for is bounded, where the algorithm by rare lines is not.
            diff.compute_with(
                Algorithm::Myers,
                lines.0,
                lines.1,
                input.interner.num_tokens(),
            );
            for hunk in diff.hunks() {
                let wide = |lines: Range<u32>| lines.start as usize..lines.end as usize;
                put(wide(hunk.before), wide(hunk.after));
            }
        }
        added.put(in_new..new.len(), Some(in_old));
        Ok(added)
    }

    fn put(&mut self, bytes: Range<usize>, from: Option<usize>) {
        if !bytes.is_empty() {
            self.parts.push(Part { bytes, from });
        }
    }

    /// Whether any added line holds one of these bytes. An empty range stands for its position.
    pub fn touches(&self, bytes: &Range<usize>) -> bool {
        let end = bytes.end.max(bytes.start + 1);
        let mut added = self.parts.iter().filter(|part| part.from.is_none());
        added.any(|part| part.bytes.start < end && bytes.start < part.bytes.end)
    }
}

/// Lines on both sides together that are compared at once: some 0.1 s at the worst, in which nobody looks at the clock.
const COMPARED_MAX_LINES: usize = 40_000;

/// Both sides cut into stretches of at most so many lines where that can be: at lines that stand once in each, in the same order.
fn stretches(input: &InternedInput<&[u8]>, most: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let ends = (input.before.len(), input.after.len());
    let mut list = Vec::new();
    let mut from = (0, 0);
    let mut last = from;
    if ends.0 + ends.1 > most {
        for place in common_once(input).into_iter().chain([ends]) {
            if place.0 - from.0 + place.1 - from.1 > most && last != from {
                list.push((from.0..last.0, from.1..last.1));
                from = last;
            }
            last = place;
        }
    }
    list.push((from.0..ends.0, from.1..ends.1));
    list
}

/// Where lines stand that are once in each side: the most of them that are in the same order on both.
fn common_once(input: &InternedInput<&[u8]>) -> Vec<(usize, usize)> {
    const NONE: usize = usize::MAX;
    const OFTEN: usize = usize::MAX - 1;
    let places = |lines: &[Token]| {
        let mut places = vec![NONE; input.interner.num_tokens() as usize];
        for (at, line) in lines.iter().enumerate() {
            let place = &mut places[line.0 as usize];
            *place = if *place == NONE { at } else { OFTEN };
        }
        places
    };
    let (in_before, in_after) = (places(&input.before), places(&input.after));
    let pair = |(at, line): (usize, &Token)| {
        let before = in_before[line.0 as usize];
        (before < OFTEN && in_after[line.0 as usize] == at).then_some((before, at))
    };
    let pairs: Vec<_> = input.after.iter().enumerate().filter_map(pair).collect();
    // The longest rising row: on each pile the least end of a row of its length, and before each pair its row so far.
    let (mut piles, mut rows): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    for (number, (before, _)) in pairs.iter().enumerate() {
        let pile = piles.partition_point(|top| pairs[*top].0 < *before);
        rows.push(pile.checked_sub(1).map(|below| piles[below]));
        if pile == piles.len() {
            piles.push(number);
        } else {
            piles[pile] = number;
        }
    }
    let row = std::iter::successors(piles.last().copied(), |number| rows[*number]);
    let mut row: Vec<_> = row.map(|number| pairs[number]).collect();
    row.reverse();
    row
}

/// The whole lines between the lines that both versions start with and those that both end with, in the old and
/// in the new version.
pub fn differing(old: &[u8], new: &[u8]) -> (Range<usize>, Range<usize>) {
    let same = common_prefix(old, new);
    let start = memchr::memrchr(b'\n', &new[..same]).map_or(0, |newline| newline + 1);
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let same = common_suffix(old_rest, new_rest);
    // A line that only ends alike differs: the tail starts behind the first line end that is common, unless
    // the common part starts with a line in both.
    let starts_line = |text: &[u8]| text.len() == same || text[text.len() - same - 1] == b'\n';
    let tail = if starts_line(old_rest) && starts_line(new_rest) {
        same
    } else {
        memchr::memchr(b'\n', &new_rest[new_rest.len() - same..])
            .map_or(0, |newline| same - newline - 1)
    };
    (start..old.len() - tail, start..new.len() - tail)
}

/// How many bytes both start with. Blocks first: comparing slices runs at memory speed.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let blocks = a
        .chunks_exact(BLOCK)
        .zip(b.chunks_exact(BLOCK))
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (&a[blocks * BLOCK..], &b[blocks * BLOCK..]);
    blocks * BLOCK + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let blocks = a
        .rchunks_exact(BLOCK)
        .zip(b.rchunks_exact(BLOCK))
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (
        &a[..a.len() - blocks * BLOCK],
        &b[..b.len() - blocks * BLOCK],
    );
    let rest = a.iter().rev().zip(b.iter().rev());
    blocks * BLOCK + rest.take_while(|(a, b)| a == b).count()
}

/// Bytes that are compared at once.
const BLOCK: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_inserted_line_is_added_and_its_neighbours_are_not() {
        let added = Added::between(b"a\nb\nc\n", b"a\nx\nb\nc\n");
        assert_eq!(added.lines, 1);
        assert!(added.touches(&(2..4)));
        assert!(added.touches(&(2..3)) && added.touches(&(0..3)));
        assert!(!added.touches(&(0..2)) && !added.touches(&(4..5)));
        // A place between two bytes belongs to the line that starts there.
        assert!(added.touches(&(2..2)) && !added.touches(&(4..4)));
    }

    #[test]
    fn a_second_copy_of_a_line_is_added() {
        assert_eq!(Added::between(b"s\n", b"s\ns\n").lines, 1);
    }

    #[test]
    fn a_last_line_without_end_counts() {
        assert!(Added::between(b"", b"a\nb").touches(&(2..3)));
        assert_eq!(Added::between(b"", b"a\nb").lines, 2);
        assert_eq!(Added::between(b"a", b"").lines, 0);
    }

    #[test]
    fn what_differs_is_found_in_whole_lines_wherever_it_is() {
        let lines: Vec<String> = (0..200).map(|number| format!("line {number}\n")).collect();
        let old = lines.concat();
        for at in 0..200 {
            let mut edited = lines.clone();
            edited[at] = "other\n".to_owned();
            let new = edited.concat();
            let (in_old, in_new) = differing(old.as_bytes(), new.as_bytes());
            assert_eq!(&old[in_old], lines[at]);
            assert_eq!(&new[in_new], "other\n");
            edited.remove(at);
            let shorter = edited.concat();
            let (in_old, in_new) = differing(old.as_bytes(), shorter.as_bytes());
            assert!(old[in_old].contains(&lines[at]));
            assert!(in_new.len() <= lines[at].len());
        }
        let other = "nothing alike\n".repeat(50);
        let (in_old, in_new) = differing(old.as_bytes(), other.as_bytes());
        assert_eq!((in_old, in_new), (0..old.len(), 0..other.len()));
    }

    proptest! {
        /// The parts are the new version, and what was taken over stands where they say.
        #[test]
        fn parts_lead_from_the_old_version_to_the_new(
            old in "((a|b|c)\n){0,12}(a|b)?",
            new in "((a|b|c)\n){0,12}(a|b)?",
        ) {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            let added = Added::between(old, new);
            let (mut made, mut lines) = (Vec::new(), 0);
            for part in &added.parts {
                let own = &new[part.bytes.clone()];
                prop_assert!(part.bytes.start == made.len() && !own.is_empty());
                match part.from {
                    Some(from) => prop_assert_eq!(&old[from..from + own.len()], own),
                    None => lines += str::from_utf8(own).unwrap().split_inclusive('\n').count() as u64,
                }
                made.extend_from_slice(own);
            }
            prop_assert_eq!((&made[..], lines), (new, added.lines));
        }
    }

    proptest! {
        /// However the sides are cut, all of both is there, in order, and a cut is between lines that go together.
        #[test]
        fn stretches_are_all_of_both_sides(old in "((a|b|[c-z])\n){0,30}", new in "((a|b|[c-z])\n){0,30}", most in 1usize..20) {
            let input = InternedInput::new(byte_lines(old.as_bytes()), byte_lines(new.as_bytes()));
            let list = stretches(&input, most);
            let mut at = (0, 0);
            for (before, after) in &list {
                prop_assert_eq!((before.start, after.start), at);
                prop_assert!(at == (0, 0) || input.before[at.0] == input.after[at.1]);
                at = (before.end, after.end);
            }
            prop_assert_eq!(at, (input.before.len(), input.after.len()));
            // It is cut wherever it can be.
            let anchors = common_once(&input);
            for (before, after) in list {
                let is_inside = |(b, a): &&(usize, usize)| before.start < *b && *b < before.end && after.start < *a;
                let inside: Vec<_> = anchors.iter().filter(is_inside).collect();
                prop_assert!(before.len() + after.len() <= most || inside.len() <= 1);
            }
        }
    }

    /// Two lines in any order, and every other line of very many: what took minutes.
    #[test]
    fn large_versions_are_compared_in_bounded_time() {
        let budget = Budget::new(crate::budget::Bounds {
            time: std::time::Duration::from_secs(60),
            ..Default::default()
        });
        let mut state = 1u64;
        let mut coin = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 63 == 1
        };
        let mut text = || {
            (0..400_000)
                .map(|_| if coin() { "a\n" } else { "b\n" })
                .collect::<String>()
        };
        let (old, new) = (text(), text());
        let within = |old: &str, new: &str| {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            Added::within(old, new, differing(old, new), &budget).unwrap()
        };
        assert!(within(&old, &new).lines > 399_000);
        let lines = |other: &str| {
            (0..100_000)
                .map(|at| {
                    if at % 2 == 0 {
                        format!("line {at}\n")
                    } else {
                        format!("{other} {at}\n")
                    }
                })
                .collect::<String>()
        };
        assert_eq!(within(&lines("one"), &lines("two")).lines, 50_000);
    }

    /// How many whole lines both start with.
    fn alike<'a>(old: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) -> usize {
        old.zip(new).take_while(|(old, new)| old == new).count()
    }

    proptest! {
        /// Long runs of lines, so that comparing in blocks meets every case, with lines that only end or only start alike.
        #[test]
        fn what_differs_is_all_but_the_lines_that_both_start_and_end_with(
            head in "((ab?|b)c{0,200}\n){0,6}",
            old in "((ab?|b)c{0,3}\n){0,3}(ab)?",
            new in "((ab?|b)c{0,3}\n){0,3}(ab)?",
            tail in "(ab?|b)?c{0,300}\n((ab?|b)c{0,200}\n){0,6}(ab?)?",
        ) {
            let (old, new) = ([&head, &*old, &tail].concat(), [&head, &*new, &tail].concat());
            let of = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
            let (olds, news) = (of(&old), of(&new));
            let start = alike(olds.iter().copied(), news.iter().copied());
            let (olds, news) = (&olds[start..], &news[start..]);
            let end = alike(olds.iter().rev().copied(), news.iter().rev().copied());
            let (in_old, in_new) = differing(old.as_bytes(), new.as_bytes());
            prop_assert_eq!(&old[in_old], olds[..olds.len() - end].concat());
            prop_assert_eq!(&new[in_new], news[..news.len() - end].concat());
        }
    }
}
