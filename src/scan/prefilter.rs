//! Finds every keyword of a rule pack in a text, at about a gigabyte a second.
//!
//! A stock Aho-Corasick automaton waits for one load per byte. Here every second position is looked up on its own: its
//! three bytes, in lower case, are hashed into a 32 KB bitmap. Each keyword is known by four of its bytes; one of the two
//! grams of three bytes in them starts at an even offset, so nothing is missed and nothing is found twice. The bits of
//! 64 positions are gathered first, so that no branch waits for them. Where one is set, the four bytes there and one before are
//! looked up in a second bitmap, which leaves about one position in two hundred to be compared with keywords.

use super::grams::{BITMAP_WORDS, BUCKETS, ENTRY_BYTES, FOLD, OF_FOUR, bit};

/// Bytes that one step over the end of a text covers.
const BLOCK: usize = 16;

/// Bytes that one step of the walk covers: 64 even positions.
const STEP: usize = 128;

/// Bytes that one step reads: the last pair of positions is cut out of eight bytes.
const WINDOW: usize = STEP + 4;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Keyword<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// So many of its first bytes are compared with regard to ASCII case.
    pub exact: usize,
}

impl Keyword<'_> {
    /// Most keywords differ soon, so a loop is faster than calls that compare many bytes.
    #[inline(always)]
    fn is_at(&self, text: &[u8], start: usize) -> bool {
        let Some(found) = text.get(start..start + self.bytes.len()) else {
            return false;
        };
        let mut pairs = self.bytes.iter().zip(found).enumerate();
        pairs.all(|(place, (byte, found))| {
            byte == found || place >= self.exact && byte.eq_ignore_ascii_case(found)
        })
    }
}

/// The tables of [`super::grams::build`], as they stand in its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Prefilter<'a> {
    multiplier: u32,
    threes: &'a [u8; 8 * BITMAP_WORDS],
    fours: &'a [u8; 8 * BITMAP_WORDS],
    buckets: &'a [u8; 2 * BUCKETS + 2],
    entries: &'a [u8],
    ends: &'a [u8],
    exact: &'a [u8],
    text: &'a [u8],
}

/// What the walk tells.
pub trait Visit {
    /// A keyword stands at `start`.
    fn keyword(&mut self, keyword: usize, start: usize);
}

impl<'a> Prefilter<'a> {
    /// Reads the tables. `None`: they are not of [`super::grams::build`].
    pub fn of(tables: &'a [u8]) -> Option<Self> {
        let (multiplier, rest) = tables.split_first_chunk()?;
        let (keywords, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let count = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        let (keywords, entries) = (count(keywords)?, count(entries)?);
        let (threes, rest) = rest.split_first_chunk()?;
        let (fours, rest) = rest.split_first_chunk()?;
        let (buckets, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_at_checked(ENTRY_BYTES.checked_mul(entries)?)?;
        let (ends, rest) = rest.split_at_checked(4 * (keywords + 1))?;
        let (exact, text) = rest.split_at_checked(keywords)?;
        if usize::try_from(u32_at(ends, keywords)).ok()? != text.len() {
            return None;
        }
        Some(Prefilter {
            multiplier: u32::from_le_bytes(*multiplier),
            threes,
            fours,
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
            self.step::<STEP>(text, at, window, visit);
            at += STEP;
            rest = &rest[STEP..];
        }
        // Less than a window is left: smaller steps, over a copy padded with NUL bytes, which no keyword reaches into.
        let mut padded = [0; WINDOW + BLOCK];
        padded[..rest.len()].copy_from_slice(rest);
        for start in (0..rest.len()).step_by(BLOCK) {
            self.step::<BLOCK>(text, at + start, &padded[start..], visit);
        }
    }

    /// Whether any keyword stands in the text.
    pub fn has_any(&self, text: &[u8]) -> bool {
        struct Any(bool);
        impl Visit for Any {
            fn keyword(&mut self, _: usize, _: usize) {
                self.0 = true;
            }
        }
        let mut any = Any(false);
        self.walk(text, &mut any);
        any.0
    }

    /// Covers the first bytes of the window, 128 at most, and reads four more.
    #[inline(always)]
    fn step<const COVERED: usize>(
        &self,
        text: &[u8],
        at: usize,
        window: &[u8],
        visit: &mut impl Visit,
    ) {
        // The first position is the highest bit. Sums, for which the bit that was tested is added as a carry.
        let mut set = 0_u64;
        for pair in 0..COVERED / 4 {
            // One load for both: four single bytes put together would not become one.
            for word in cut(eight(window, 4 * pair), 16) {
                set = set + set + u64::from(self.has_three(word));
            }
        }
        while set != 0 {
            let last = set.ilog2() as usize;
            set ^= 1 << last;
            self.look(text, at + COVERED - 2 - 2 * last, visit);
        }
    }

    /// Whether the three low bytes of the word may be of a keyword.
    #[inline(always)]
    fn has_three(&self, word: u32) -> bool {
        let (index, bit) = bit(word, self.multiplier);
        eight(self.threes, 8 * index) >> bit & 1 == 1
    }

    /// Whether all four bytes of the word may be of a keyword.
    #[inline(always)]
    fn has_four(&self, word: u32) -> bool {
        let (index, bit) = bit(word, OF_FOUR);
        eight(self.fours, 8 * index) >> bit & 1 == 1
    }

    /// Looks at the four bytes from an even position on, and at those from one before it on.
    #[inline(always)]
    fn look(&self, text: &[u8], position: usize, visit: &mut impl Visit) {
        let around = match position.checked_sub(1).and_then(|from| text.get(from..)) {
            Some(around) if around.len() >= 8 => eight(around, 0),
            _ => edge(text, position),
        };
        let [before, here] = cut(around, 8);
        if let Some(position) = position.checked_sub(1)
            && self.has_four(before)
        {
            self.compare(text, position, before, visit);
        }
        if self.has_four(here) {
            self.compare(text, position, here, visit);
        }
    }

    /// Compares keywords that have this gram with the text around it.
    #[inline(never)]
    fn compare(&self, text: &[u8], position: usize, gram: u32, visit: &mut impl Visit) {
        let (bucket, _) = bit(gram, OF_FOUR);
        let [from, to] = [bucket, bucket + 1]
            .map(|index| ENTRY_BYTES * usize::from(u16_at(self.buckets, index)));
        let entries = self.entries.get(from..to).unwrap_or_default();
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            if u32_at(entry, 0) != gram {
                continue;
            }
            let Some(start) = position.checked_sub(usize::from(entry[6])) else {
                continue;
            };
            // Many keywords may have this gram, and most are not it: one more byte tells.
            let other = text.get(start + usize::from(entry[7]));
            if other.is_none_or(|other| other | 0x20 != entry[8]) {
                continue;
            }
            let keyword = usize::from(u16::from_le_bytes([entry[4], entry[5]]));
            if self.keyword(keyword).is_at(text, start) {
                visit.keyword(keyword, start);
            }
        }
    }
}

/// The eight bytes from one before a position on, with NUL bytes for those that the text does not have.
#[cold]
fn edge(text: &[u8], position: usize) -> u64 {
    let byte = |place: usize| {
        let at = (position + place).checked_sub(1);
        at.and_then(|at| text.get(at)).copied().unwrap_or(0)
    };
    u64::from_le_bytes(std::array::from_fn(byte))
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

/// The folded word of the low bytes, and the one so many bits further up.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the words are cut out of eight bytes"
)]
fn cut(eight: u64, further: u32) -> [u32; 2] {
    [eight as u32 | FOLD, (eight >> further) as u32 | FOLD]
}

#[inline(always)]
fn eight(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes[at..].first_chunk::<8>();
    u64::from_le_bytes(*eight.expect("no caller goes beyond the end"))
}

/// A letter of base64 or base64url, without the padding.
#[inline(always)]
pub const fn is_base64_letter(byte: u8) -> bool {
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
    }

    impl Visit for Seen {
        fn keyword(&mut self, keyword: usize, start: usize) {
            self.keywords.push((keyword, start));
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
        let tables = grams::build(&pairs, &grams::Common::default(), 3);
        let mut seen = Seen::default();
        Prefilter::of(&tables).unwrap().walk(text, &mut seen);
        seen.keywords.sort_unstable();
        assert_eq!(seen.keywords, naive(&keywords, exact, text));
    }

    proptest! {
        #[test]
        fn finds_what_a_naive_search_finds(
            keywords in prop::collection::vec("[abAB_\\-\u{1}]{4,9}", 1..12),
            text in "[abAB_\\-\u{1}\u{0}]{0,400}",
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
        let tables = grams::build(&[("ghp_", 0)], &grams::Common::default(), 3);
        let prefilter = Prefilter::of(&tables).unwrap();
        for length in (4..20)
            .chain(STEP - 4..STEP + 12)
            .chain([2 * STEP + 3, 3 * STEP])
        {
            for start in 0..=length - 4 {
                let mut text = vec![b'.'; length];
                text[start..start + 4].copy_from_slice(b"GhP_");
                let mut seen = Seen::default();
                prefilter.walk(&text, &mut seen);
                assert_eq!(seen.keywords, [(0, start)], "{length}");
            }
        }
    }
}
