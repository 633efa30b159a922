//! The tables of the keyword prefilter: how keywords become two bitmaps, of three-byte and of four-byte grams, and the
//! short lists behind them. Shared with the build script, so it imports nothing of the crate.

use std::collections::{HashMap, HashSet};

/// Words of each bitmap: 2^18 bits, 32 KB. Both stay in the caches of a core, and are few page faults.
pub const BITMAP_WORDS: usize = 4096;

/// Lists of entries.
pub const BUCKETS: usize = 4096;

/// Makes ASCII letters of a gram lower case, so that each stands in the tables once. Other bytes that fall together by it
/// are told apart by the comparison with the keyword.
pub const FOLD: u32 = 0x2020_2020;

/// Shortest keyword: one gram of four bytes.
pub const KEYWORD_MIN_BYTES: usize = 4;

/// Bytes of one entry: the folded four-byte gram (4), the keyword (2), where the gram stands in it (1), where another byte
/// of it stands (1), that byte, folded (1). All numbers of the tables are little-endian.
pub const ENTRY_BYTES: usize = 9;

/// The gram of one keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    gram: u32,
    keyword: u16,
    offset: u8,
    /// The last byte, or the first where the gram has the last.
    other: u8,
    byte: u8,
}

/// The multiplier for grams of four bytes.
pub const OF_FOUR: u32 = 0x9e37_79b1;

/// Where the bit of a gram stands in its bitmap: the word, and the bit in it. The word's index is the bucket of the gram
/// too. A multiplier whose low byte is zero leaves the top byte of the gram out.
#[inline(always)]
pub fn bit(gram: u32, multiplier: u32) -> (usize, u32) {
    let hash = gram.wrapping_mul(multiplier);
    ((hash >> 20) as usize, hash >> 14 & 63)
}

/// Makes the tables from keywords and how many of their first bytes count with their case. Each keyword must have
/// [`KEYWORD_MIN_BYTES`]. Grams that `common` does not list are taken for rare; so many hash functions are tried before the
/// best is taken. The tables, one behind another:
/// multiplier, keywords, entries (4 bytes each); the two bitmaps; for each bucket the first of its entries, and one more at
/// the end (2 each); the entries by bucket ([`ENTRY_BYTES`] each); the end of each keyword in their text, from 0 on (4 each);
/// how many of its bytes count with their case (1 each); the text of the keywords.
pub fn build<K: AsRef<[u8]>>(keywords: &[(K, usize)], common: &Common, tries: u32) -> Vec<u8> {
    let mut entries = Vec::new();
    let (mut threes, mut fours) = (HashSet::new(), HashSet::new());
    for (index, (keyword, _)) in keywords.iter().enumerate() {
        let bytes = keyword.as_ref();
        assert!(bytes.len() >= KEYWORD_MIN_BYTES, "a keyword is too short");
        // A gram that is in the tables already costs nothing but one more comparison.
        let price = |offset: usize| {
            let four = gram(bytes, offset);
            let looks = halves(four).map(|three| match threes.contains(&three) {
                true => 0,
                false => common.of_three(three) * LOOK,
            });
            let found = common.of_four(four) * if fours.contains(&four) { 0 } else { FOUND };
            looks[0] + looks[1] + found + common.of_four(four) * COMPARISON
        };
        let cheapest = (0..=bytes.len() - KEYWORD_MIN_BYTES)
            .min_by_key(|&offset| (price(offset), offset))
            .unwrap_or(0);
        let gram = gram(bytes, cheapest);
        threes.extend(halves(gram));
        fours.insert(gram);
        let last = bytes.len() - 1;
        let other = if cheapest + 4 > last { 0 } else { last };
        let place = |place: usize| u8::try_from(place).expect("a keyword is short");
        entries.push(Entry {
            gram,
            keyword: u16::try_from(index).expect("fewer than 65,536 keywords"),
            offset: place(cheapest),
            other: place(other),
            byte: bytes[other] | 0x20,
        });
    }
    let multiplier = quietest(&threes, common, tries);
    let fours = bitmap(fours.iter().map(|gram| bit(*gram, OF_FOUR)));
    let bucket = |entry: &Entry| bit(entry.gram, OF_FOUR).0;
    entries.sort_by_key(|entry| (bucket(entry), entry.gram, entry.keyword));
    let mut buckets = vec![0u16; BUCKETS + 1];
    for entry in &entries {
        buckets[bucket(entry) + 1] += 1;
    }
    for bucket in 0..BUCKETS {
        buckets[bucket + 1] += buckets[bucket];
    }
    let number = |number: usize| {
        u32::try_from(number)
            .expect("tables are small")
            .to_le_bytes()
    };
    let mut out = Vec::new();
    out.extend(multiplier.to_le_bytes());
    out.extend(number(keywords.len()));
    out.extend(number(entries.len()));
    for bitmap in [bitmap_of_threes(&threes, multiplier), fours] {
        out.extend(bitmap.iter().flat_map(|word| word.to_le_bytes()));
    }
    out.extend(buckets.iter().flat_map(|first| first.to_le_bytes()));
    for entry in &entries {
        out.extend(entry.gram.to_le_bytes());
        out.extend(entry.keyword.to_le_bytes());
        out.extend([entry.offset, entry.other, entry.byte]);
    }
    let mut end = 0;
    out.extend(number(end));
    for (keyword, _) in keywords {
        end += keyword.as_ref().len();
        out.extend(number(end));
    }
    let exact = |exact: &usize| u8::try_from(*exact).unwrap_or(u8::MAX);
    out.extend(keywords.iter().map(|(_, count)| exact(count)));
    out.extend(
        keywords
            .iter()
            .flat_map(|(keyword, _)| keyword.as_ref().iter().copied()),
    );
    out
}

/// About what these cost, in CPU cycles: a look at the four bytes of every second place that has a gram of three bytes, a
/// place that has one of four, and a comparison with one keyword there.
const LOOK: u64 = 4;
const FOUND: u64 = 24;
const COMPARISON: u64 = 8;

/// The folded gram at `offset`.
fn gram(keyword: &[u8], offset: usize) -> u32 {
    let four = keyword[offset..].first_chunk();
    u32::from_le_bytes(*four.expect("the offset leaves four bytes")) | FOLD
}

/// Its first and its last three bytes. One of them starts at an even place of a text.
fn halves(gram: u32) -> [u32; 2] {
    [gram & 0xff_ffff, gram >> 8]
}

fn bitmap(bits: impl Iterator<Item = (usize, u32)>) -> Vec<u64> {
    let mut bitmap = vec![0u64; BITMAP_WORDS];
    for (word, bit) in bits {
        bitmap[word] |= 1 << bit;
    }
    bitmap
}

fn bitmap_of_threes(threes: &HashSet<u32>, multiplier: u32) -> Vec<u64> {
    bitmap(threes.iter().map(|three| bit(*three, multiplier)))
}

/// How often two bytes that stand in keywords occur in a million places, about.
const PAIR_PER_MILLION: u64 = 2000;

/// How often the common grams occur in a million places, and a guess for the others. The default knows none.
#[derive(Debug, Clone, Default)]
pub struct Common(HashMap<u32, u64>);

impl Common {
    /// Reads `rules/common-grams.txt`: the most frequent grams of three and of four bytes, in hex, behind how often each
    /// occurs in a million places. Of source, documents, configuration and data files in several languages:
    /// `cargo run --example measure -- grams`.
    pub fn read(text: &str) -> Self {
        let mut occurs = HashMap::new();
        for line in text.lines() {
            let (class, grams) = line.split_once(": ").expect("a line has a figure");
            let class = class.parse().expect("the figure is a number");
            for hex in grams.split(' ') {
                let gram = u32::from_str_radix(hex, 16).expect("grams are hex");
                // The low byte of three is no byte of folded text, so that the two kinds are told apart.
                let key = if hex.len() == 6 { gram << 8 } else { gram };
                occurs.insert(key.swap_bytes(), class);
            }
        }
        Common(occurs)
    }

    fn of_three(&self, three: u32) -> u64 {
        self.0.get(&three).copied().unwrap_or(10)
    }

    fn of_four(&self, four: u32) -> u64 {
        let guess = || {
            let [first, last] = halves(four).map(|three| self.of_three(three));
            (first * last / PAIR_PER_MILLION).clamp(1, 39)
        };
        self.0.get(&four).copied().unwrap_or_else(guess)
    }

    fn threes(&self) -> impl Iterator<Item = (u32, u64)> {
        let all = self.0.iter().map(|(gram, class)| (*gram, *class));
        all.filter(|(gram, _)| *gram < 1 << 24)
    }
}

/// The multiplier under which the fewest common grams share a bit with one that is looked for.
fn quietest(threes: &HashSet<u32>, common: &Common, tries: u32) -> u32 {
    let others: Vec<(u32, u64)> = (common.threes())
        .filter(|(gram, _)| !threes.contains(gram))
        .collect();
    let noise = |multiplier: u32| -> u64 {
        let bitmap = bitmap_of_threes(threes, multiplier);
        let shares = |gram: u32| {
            let (word, bit) = bit(gram, multiplier);
            bitmap[word] >> bit & 1 == 1
        };
        let shared = others.iter().filter(|(gram, _)| shares(*gram));
        shared.map(|(_, class)| class).sum()
    };
    (0..tries)
        .map(|number| (number.wrapping_mul(0x9e37_79b9) ^ 0x5851_f42d) << 8 | 0x100)
        .min_by_key(|multiplier| noise(*multiplier))
        .unwrap_or(0x9e37_7900)
}
