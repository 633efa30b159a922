//! Finds every keyword of a rule pack in a text, at a few gigabytes a second.
//!
//! A stock Aho-Corasick automaton waits for one load per byte. Here every second position is looked up on its
//! own: its three bytes are hashed into an 8 KB bitmap. A keyword of four bytes or more holds two neighbouring
//! grams that are in the bitmap, and one of them starts at an even offset, so nothing is missed and nothing is
//! found twice. What passes the bitmap is compared with the keyword itself.
//!
//! The same pass tells which blocks of 16 bytes are made of base64 letters alone; `decode` looks into those.

use super::grams::{BITMAP_WORDS, Entry, Tables, fold, hash};

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
        text.get(start..start + self.bytes.len())
            .is_some_and(|found| {
                found.eq_ignore_ascii_case(self.bytes)
                    && found[..self.exact] == self.bytes[..self.exact]
            })
    }
}

/// The tables, borrowed: static ones of the build script, or owned ones of a test or a user's pack.
#[derive(Debug, Clone, Copy)]
pub struct Prefilter<'a> {
    /// One bit per gram hash.
    pub bitmap: &'a [u64; BITMAP_WORDS],
    /// First entry of each bucket, and the end.
    pub buckets: &'a [u16; BITMAP_WORDS + 1],
    /// Sorted by bucket.
    pub entries: &'a [Entry],
    /// The keywords.
    pub keywords: &'a [Keyword<'a>],
}

/// What the walk tells. One object, so that both kinds of news can change the same state.
pub trait Visit {
    /// A keyword stands at `start`.
    fn keyword(&mut self, keyword: usize, start: usize);
    /// The 16 bytes from `start` are base64 letters alone.
    fn dense(&mut self, start: usize);
}

impl<'a> Prefilter<'a> {
    /// Borrows owned tables. `None`: they are not of [`super::grams::build`].
    pub fn new(tables: &'a Tables, keywords: &'a [Keyword<'a>]) -> Option<Self> {
        Some(Prefilter {
            bitmap: tables.bitmap.as_slice().try_into().ok()?,
            buckets: tables.buckets.as_slice().try_into().ok()?,
            entries: &tables.entries,
            keywords,
        })
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
        for offset in (0..BLOCK).step_by(2) {
            any |= self.bit(gram(window, offset));
        }
        if any & 1 != 0 {
            self.candidates(text, at, window, visit);
        }
        if is_dense(window) {
            visit.dense(at);
        }
    }

    #[inline(always)]
    fn bit(&self, folded: u32) -> u64 {
        let hash = hash(folded);
        self.bitmap[(hash >> 22) as usize] >> (hash >> 16 & 63)
    }

    #[cold]
    #[inline(never)]
    fn candidates(&self, text: &[u8], at: usize, window: &[u8; WINDOW], visit: &mut impl Visit) {
        for offset in (0..BLOCK).step_by(2) {
            let folded = gram(window, offset);
            if self.bit(folded) & 1 == 0 {
                continue;
            }
            let bucket = (hash(folded) >> 22) as usize;
            let range = usize::from(self.buckets[bucket])..usize::from(self.buckets[bucket + 1]);
            for entry in &self.entries[range] {
                if entry.gram != folded & 0x00ff_ffff {
                    continue;
                }
                let keyword = self.keywords[usize::from(entry.keyword)];
                let Some(start) = (at + offset).checked_sub(usize::from(entry.offset)) else {
                    continue;
                };
                if keyword.is_at(text, start) {
                    visit.keyword(usize::from(entry.keyword), start);
                }
            }
        }
    }
}

#[inline(always)]
fn gram(window: &[u8; WINDOW], offset: usize) -> u32 {
    fold(u32::from_le_bytes([
        window[offset],
        window[offset + 1],
        window[offset + 2],
        window[offset + 3],
    ]))
}

/// Whether the block is base64 or base64url letters alone. Without branches: it becomes vector code.
#[inline(always)]
fn is_dense(window: &[u8; WINDOW]) -> bool {
    let mut all = true;
    for &byte in &window[..BLOCK] {
        all &= is_base64_letter(byte);
    }
    all
}

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

    fn naive(keywords: &[&[u8]], text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (index, keyword) in keywords.iter().enumerate() {
            for start in 0..text.len() {
                if text[start..]
                    .get(..keyword.len())
                    .is_some_and(|piece| piece.eq_ignore_ascii_case(keyword))
                {
                    found.push((index, start));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn agrees(keywords: &[Vec<u8>], text: &[u8]) {
        let mut keywords: Vec<&[u8]> = keywords.iter().map(Vec::as_slice).collect();
        keywords.dedup();
        let tables = grams::build(&keywords);
        let folded: Vec<Keyword<'_>> = keywords
            .iter()
            .map(|&bytes| Keyword { bytes, exact: 0 })
            .collect();
        let mut seen = Seen::default();
        Prefilter::new(&tables, &folded)
            .unwrap()
            .walk(text, &mut seen);
        seen.keywords.sort_unstable();
        assert_eq!(seen.keywords, naive(&keywords, text));
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
        ) {
            let keywords: Vec<Vec<u8>> = keywords.into_iter().map(String::into_bytes).collect();
            agrees(&keywords, text.as_bytes());
        }

        #[test]
        fn any_bytes(
            keywords in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..8), 1..6),
            text in prop::collection::vec(any::<u8>(), 0..120),
            at in 0usize..120,
        ) {
            let mut text = text;
            let at = at.min(text.len());
            text.splice(at..at, keywords[0].clone());
            agrees(&keywords, &text);
        }
    }

    #[test]
    fn every_length_and_offset_of_the_tail() {
        for length in 4..70 {
            for start in 0..=length - 4 {
                let mut text = vec![b'.'; length];
                text[start..start + 4].copy_from_slice(b"GhP_");
                agrees(&[b"ghp_".to_vec()], &text);
            }
        }
    }
}
