//! The tables of the keyword prefilter: how keywords become a bitmap of three-byte grams and the
//! short lists behind it. Shared with the build script, so it imports nothing of the crate.

use std::collections::{HashMap, HashSet};

/// Words of the bitmap: 2^18 bits, 32 KB. Small enough for the caches and for eight page faults.
pub const BITMAP_WORDS: usize = 4096;

/// Makes ASCII letters of a gram lower case, so that each stands in the tables once. Other bytes that fall together by it
/// are told apart by the comparison with the keyword.
pub const FOLD: u32 = 0x0020_2020;

/// Shortest keyword: a keyword gives two neighbouring grams, so that one of them starts at an even offset.
pub const KEYWORD_MIN_BYTES: usize = 4;

/// Bytes of one entry: the folded gram (3), the keyword (2), where the gram stands in it (1), the keyword's
/// length (1) and its last byte, folded (1). All numbers of the tables are
/// little-endian.
pub const ENTRY_BYTES: usize = 8;

/// One gram of one keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    word: u32,
    keyword: u16,
    offset: u8,
    /// Of the keyword: its length, and its last byte, folded.
    length: u8,
    last: u8,
}

/// The most frequent grams of source text, in hex, the most frequent first. Measured over source, documents,
/// configuration and data files of many packages.
const COMMON: &str = include_str!("../../rules/common-grams.txt");

/// Hash of the three low bytes of a folded word, as twelve bits: a bucket, and a word of the bitmap. The multiplier's
/// low byte is zero, so that the top byte of the word falls out of the product.
#[inline(always)]
pub fn bucket(word: u32, multiplier: u32) -> usize {
    (word.wrapping_mul(multiplier) >> 20) as usize
}

/// The bit in the word of the bitmap: six bits of the gram's first byte, without the one that folding sets.
#[inline(always)]
pub fn bit(word: u32) -> u32 {
    word & 31 | word >> 1 & 32
}

/// Makes the tables from keywords and how many of their first bytes count with their case. Each keyword must have
/// [`KEYWORD_MIN_BYTES`]. So many hash functions are tried before the best is taken. The tables, one behind another:
/// multiplier, keywords, entries (4 bytes each); the bitmap; for each bucket the first of its entries, and one more at the
/// end (2 each); the entries by bucket ([`ENTRY_BYTES`] each); the end of each keyword in their text, from 0 on (4 each); how many of its bytes
/// count with their case (1 each); the text of the keywords.
pub fn build<K: AsRef<[u8]>>(keywords: &[(K, usize)], tries: u32) -> Vec<u8> {
    let common = common();
    let weight = |gram: u32| common.get(&gram).copied().unwrap_or(100);
    let mut entries = Vec::new();
    let mut taken = HashSet::new();
    for (index, (keyword, _)) in keywords.iter().enumerate() {
        let bytes = keyword.as_ref();
        assert!(bytes.len() >= KEYWORD_MIN_BYTES, "a keyword is too short");
        // Where a gram is in the tables already, one more comparison; else a whole look.
        let price = |at: usize| match gram(bytes, at) {
            gram if taken.contains(&gram) => weight(gram),
            gram => LOOK_COMPARISONS * weight(gram),
        };
        let rarest = (0..=bytes.len() - KEYWORD_MIN_BYTES)
            .min_by_key(|&at| (price(at) + price(at + 1), at))
            .unwrap_or(0);
        for offset in [rarest, rarest + 1] {
            let word = gram(bytes, offset);
            taken.insert(word);
            entries.push(Entry {
                word,
                keyword: u16::try_from(index).expect("fewer than 65,536 keywords"),
                length: u8::try_from(bytes.len()).expect("a keyword is short"),
                last: bytes[bytes.len() - 1] | 0x20,
                offset: u8::try_from(offset).expect("a keyword is short"),
            });
        }
    }
    let multiplier = quietest(&entries, tries);
    entries.sort_by_key(|entry| (bucket(entry.word, multiplier), entry.word, entry.keyword));
    let bitmap = bitmap_of(&entries, multiplier);
    let mut buckets = vec![0u16; BITMAP_WORDS + 1];
    for entry in &entries {
        buckets[bucket(entry.word, multiplier) + 1] += 1;
    }
    for bucket in 0..BITMAP_WORDS {
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
    out.extend(bitmap.iter().flat_map(|word| word.to_le_bytes()));
    out.extend(buckets.iter().flat_map(|first| first.to_le_bytes()));
    for entry in &entries {
        out.extend(&entry.word.to_le_bytes()[..3]);
        out.extend(entry.keyword.to_le_bytes());
        out.extend([entry.offset, entry.length, entry.last]);
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

/// What it costs to look closer at a place, in comparisons with a keyword.
const LOOK_COMPARISONS: u64 = 4;

/// The folded gram at `at`.
fn gram(keyword: &[u8], at: usize) -> u32 {
    let [a, b, c] = [keyword[at], keyword[at + 1], keyword[at + 2]];
    u32::from_le_bytes([a, b, c, 0]) | FOLD
}

fn bitmap_of(entries: &[Entry], multiplier: u32) -> Vec<u64> {
    let mut bitmap = vec![0u64; BITMAP_WORDS];
    for entry in entries {
        bitmap[bucket(entry.word, multiplier)] |= 1 << bit(entry.word);
    }
    bitmap
}

/// The common grams with their weight: about how often they occur against one another.
fn common() -> HashMap<u32, u64> {
    let mut weights = HashMap::new();
    for (rank, hex) in COMMON.split_ascii_whitespace().enumerate() {
        let gram = u32::from_str_radix(hex, 16).expect("rules/common-grams.txt holds hex");
        let weight = weights.entry(gram.swap_bytes() >> 8 | FOLD).or_insert(0);
        *weight += 1_000_000 / (rank as u64 + 20);
    }
    weights
}

/// The multiplier under which the fewest common grams share a bit with one that is looked for.
fn quietest(entries: &[Entry], tries: u32) -> u32 {
    let wanted: HashSet<u32> = entries.iter().map(|entry| entry.word).collect();
    let common: Vec<(u32, u64)> = common()
        .into_iter()
        .filter(|(gram, _)| !wanted.contains(gram))
        .collect();
    let noise = |multiplier: u32| -> u64 {
        let bitmap = bitmap_of(entries, multiplier);
        common
            .iter()
            .filter(|(gram, _)| bitmap[bucket(*gram, multiplier)] >> bit(*gram) & 1 == 1)
            .map(|(_, weight)| weight)
            .sum()
    };
    (0..tries)
        .map(|number| (number.wrapping_mul(0x9e37_79b9) ^ 0x5851_f42d) << 8 | 0x100)
        .min_by_key(|multiplier| noise(*multiplier))
        .unwrap_or(0x9e37_7900)
}
