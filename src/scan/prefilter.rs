//! Finds every keyword of a rule pack in a text, at a few gigabytes a second.
//!
//! A stock Aho-Corasick automaton waits for one load per byte. Here every second position is looked up on its
//! own: its three bytes, in lower case, are hashed into a 32 KB bitmap. A keyword of four bytes or more holds two neighbouring
//! grams that are in the bitmap, and one of them starts at an even offset, so nothing is missed and nothing is
//! found twice. What passes the bitmap is compared with the keyword itself.
//!
//! The same pass tells which blocks of 16 bytes are made of base64 letters alone; `decode` looks into those.

use super::grams::{BITMAP_WORDS, ENTRY_BYTES, FOLD, bit, bucket};

/// Bytes that one step of the walk covers.
pub const BLOCK: usize = 16;

/// Bytes that one step reads: the last gram starts at 14 and its word ends at 18.
const WINDOW: usize = BLOCK + 4;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Keyword<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// So many of its first bytes are compared with regard to ASCII case.
    pub exact: usize,
}

impl Keyword<'_> {
    fn is_at(&self, text: &[u8], start: usize) -> bool {
        let (exact, folded) = self.bytes.split_at(self.exact.min(self.bytes.len()));
        text.get(start..start + self.bytes.len())
            .is_some_and(|found| {
                found.starts_with(exact) && found[exact.len()..].eq_ignore_ascii_case(folded)
            })
    }
}

/// The tables of [`super::grams::build`], as they stand in its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Prefilter<'a> {
    multiplier: u32,
    bitmap: &'a [u8; 8 * BITMAP_WORDS],
    buckets: &'a [u8; 2 * BITMAP_WORDS + 2],
    entries: &'a [u8],
    ends: &'a [u8],
    exact: &'a [u8],
    text: &'a [u8],
}

/// What the walk tells. One object, so that both kinds of news can change the same state.
pub trait Visit {
    /// A keyword stands at `start`.
    fn keyword(&mut self, keyword: usize, start: usize);
    /// The 16 bytes from `start` are base64 letters alone.
    fn dense(&mut self, start: usize);
}

impl<'a> Prefilter<'a> {
    /// Reads the tables. `None`: they are not of [`super::grams::build`].
    pub fn of(tables: &'a [u8]) -> Option<Self> {
        let (multiplier, rest) = tables.split_first_chunk()?;
        let (keywords, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let count = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        let (keywords, entries) = (count(keywords)?, count(entries)?);
        let (bitmap, rest) = rest.split_first_chunk()?;
        let (buckets, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_at_checked(ENTRY_BYTES.checked_mul(entries)?)?;
        let (ends, rest) = rest.split_at_checked(4 * (keywords + 1))?;
        let (exact, text) = rest.split_at_checked(keywords)?;
        if usize::try_from(u32_at(ends, keywords)).ok()? != text.len() {
            return None;
        }
        Some(Prefilter {
            multiplier: u32::from_le_bytes(*multiplier),
            bitmap,
            buckets,
            entries,
            ends,
            exact,
            text,
        })
    }

    /// How many keywords there are.
    pub fn len(&self) -> usize {
        self.exact.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// The keyword with this index.
    pub fn keyword(&self, index: usize) -> Keyword<'a> {
        let end = |index: usize| usize::try_from(u32_at(self.ends, index)).unwrap_or(0);
        Keyword {
            bytes: &self.text[end(index)..end(index + 1)],
            exact: usize::from(self.exact[index]),
        }
    }

    /// Walks over the text. Keywords come in about the order of their places: never more than the longest
    /// keyword apart.
    pub fn walk(&self, text: &[u8], visit: &mut impl Visit) {
        let mut at = 0;
        let mut rest = text;
        while let Some(window) = rest.first_chunk::<WINDOW>() {
            self.step(text, at, window, visit);
            at += BLOCK;
            rest = &rest[BLOCK..];
        }
        // At most 19 bytes are left: two more steps over a copy padded with NUL bytes, which no keyword
        // or base64 letter is.
        let mut padded = [0; 2 * BLOCK + 4];
        padded[..rest.len()].copy_from_slice(rest);
        for step in 0..2 {
            if step * BLOCK < rest.len()
                && let Some(window) = padded[step * BLOCK..].first_chunk::<WINDOW>()
            {
                self.step(text, at + step * BLOCK, window, visit);
            }
        }
    }

    #[inline(always)]
    fn step(&self, text: &[u8], at: usize, window: &[u8; WINDOW], visit: &mut impl Visit) {
        let mut any = 0;
        for pair in 0..BLOCK / 4 {
            let [first, second] = words(window, pair);
            any |= self.bit(first) | self.bit(second);
        }
        if any & 1 != 0 {
            self.candidates(text, at, window, visit);
        }
        if may_be_dense(window) && window[..BLOCK].iter().all(|byte| is_base64_letter(*byte)) {
            visit.dense(at);
        }
    }

    #[inline(always)]
    fn bit(&self, word: u32) -> u64 {
        eight(self.bitmap, 8 * bucket(word, self.multiplier)) >> bit(word)
    }

    #[inline(never)]
    fn candidates(&self, text: &[u8], at: usize, window: &[u8; WINDOW], visit: &mut impl Visit) {
        // All eight once more, now without a branch: most blocks that come here have one gram.
        let mut grams = 0;
        for pair in 0..BLOCK / 4 {
            let [first, second] = words(window, pair);
            grams |= (self.bit(first) & 1 | (self.bit(second) & 1) << 1) << (2 * pair);
        }
        while grams != 0 {
            let offset = 2 * grams.trailing_zeros() as usize;
            grams &= grams - 1;
            let found = words(window, offset / 4)[offset / 2 % 2];
            let bucket = bucket(found, self.multiplier);
            let range = usize::from(u16_at(self.buckets, bucket))
                ..usize::from(u16_at(self.buckets, bucket + 1));
            let entries = self
                .entries
                .get(ENTRY_BYTES * range.start..ENTRY_BYTES * range.end);
            for entry in entries.unwrap_or_default().chunks_exact(ENTRY_BYTES) {
                if (u32_at(entry, 0) ^ found) << 8 != 0 {
                    continue;
                }
                let keyword = usize::from(u16::from_le_bytes([entry[3], entry[4]]));
                let Some(start) = (at + offset).checked_sub(usize::from(entry[5])) else {
                    continue;
                };
                // Most are not it: one byte tells.
                let last = text.get(start + usize::from(entry[6]) - 1);
                if last.is_none_or(|last| last | 0x20 != entry[7]) {
                    continue;
                }
                if self.keyword(keyword).is_at(text, start) {
                    visit.keyword(keyword, start);
                }
            }
        }
    }
}

/// The number with this index of a table of such numbers.
#[inline(always)]
pub(super) fn u16_at(table: &[u8], index: usize) -> u16 {
    let two = table[2 * index..].first_chunk();
    u16::from_le_bytes(*two.expect("the index is of the table"))
}

#[inline(always)]
pub(super) fn u32_at(table: &[u8], index: usize) -> u32 {
    let four = table[4 * index..].first_chunk();
    u32::from_le_bytes(*four.expect("the index is of the table"))
}

/// The folded words at `4 * pair` and two further. One load for both: four single bytes put together would not become one.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the words are cut out of eight bytes"
)]
fn words(window: &[u8; WINDOW], pair: usize) -> [u32; 2] {
    let eight = eight(window, 4 * pair);
    [eight as u32 | FOLD, (eight >> 16) as u32 | FOLD]
}

#[inline(always)]
fn eight(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes[at..].first_chunk::<8>();
    u64::from_le_bytes(*eight.expect("no caller goes beyond the end"))
}

/// Whether the block may be base64 or base64url letters alone: every byte is one of `+,-./`, a digit, or from `@` to DEL.
/// Eight bytes at a time, in the top bit of each; the exact question comes after it.
#[inline(always)]
fn may_be_dense(window: &[u8; WINDOW]) -> bool {
    let tops = |at: usize| {
        let word = eight(window, at);
        let low = word & (EACH * 0x7f);
        let from_plus = low + EACH * (0x80 - 0x2b);
        let from_colon = low + EACH * (0x80 - 0x3a);
        // A letter has its second bit; shifted up it stands in the top one.
        (low << 1 | from_plus & !from_colon) & !word
    };
    tops(0) & tops(8) & (EACH * 0x80) == EACH * 0x80
}

/// One in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// A letter of base64 or base64url, without the padding.
#[inline(always)]
pub fn is_base64_letter(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    letter | digit | (byte == b'+') | (byte == b'/') | (byte == b'-') | (byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::grams;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Seen {
        keywords: Vec<(usize, usize)>,
        dense: Vec<usize>,
    }

    impl Visit for Seen {
        fn keyword(&mut self, keyword: usize, start: usize) {
            self.keywords.push((keyword, start));
        }
        fn dense(&mut self, start: usize) {
            self.dense.push(start);
        }
    }

    fn naive(keywords: &[&[u8]], exact: usize, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (index, keyword) in keywords.iter().enumerate() {
            for start in 0..text.len() {
                if text[start..].get(..keyword.len()).is_some_and(|piece| {
                    let exact = exact.min(keyword.len());
                    piece[..exact] == keyword[..exact] && piece.eq_ignore_ascii_case(keyword)
                }) {
                    found.push((index, start));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn agrees(keywords: &[Vec<u8>], exact: usize, text: &[u8]) {
        let mut keywords: Vec<&[u8]> = keywords.iter().map(Vec::as_slice).collect();
        keywords.dedup();
        let pairs: Vec<(&[u8], usize)> = keywords.iter().map(|&bytes| (bytes, exact)).collect();
        let tables = grams::build(&pairs, 3);
        let mut seen = Seen::default();
        Prefilter::of(&tables).unwrap().walk(text, &mut seen);
        seen.keywords.sort_unstable();
        assert_eq!(seen.keywords, naive(&keywords, exact, text));
        let dense: Vec<usize> = (0..text.len() / BLOCK)
            .map(|block| block * BLOCK)
            .filter(|&at| text[at..at + BLOCK].iter().all(|&b| is_base64_letter(b)))
            .collect();
        assert_eq!(seen.dense, dense);
    }

    proptest! {
        #[test]
        fn finds_what_a_naive_search_finds(
            keywords in prop::collection::vec("[abAB_\\-\u{1}]{4,9}", 1..12),
            text in "[abAB_\\-\u{1}\u{0}]{0,200}",
            exact in 0usize..10,
        ) {
            let keywords: Vec<Vec<u8>> = keywords.into_iter().map(String::into_bytes).collect();
            agrees(&keywords, exact, text.as_bytes());
        }

        #[test]
        fn any_bytes(
            keywords in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..8), 1..6),
            text in prop::collection::vec(any::<u8>(), 0..120),
            at in 0usize..120,
            exact in 0usize..8,
        ) {
            let mut text = text;
            let at = at.min(text.len());
            text.splice(at..at, keywords[0].clone());
            agrees(&keywords, exact, &text);
        }
    }

    #[test]
    fn every_length_and_offset_of_the_tail() {
        for length in 4..70 {
            for start in 0..=length - 4 {
                let mut text = vec![b'.'; length];
                text[start..start + 4].copy_from_slice(b"GhP_");
                agrees(&[b"ghp_".to_vec()], 0, &text);
            }
        }
    }
}
