//! The tables of the keyword prefilter: how keywords become a bitmap of three-byte grams and the
//! short lists behind it. Shared with the build script, so it imports nothing of the crate.

/// Words of the bitmap: 2^17 bits, 16 KB. Small enough for the first-level cache and for four page faults.
pub const BITMAP_WORDS: usize = 2048;

/// Shortest keyword: a keyword gives two neighbouring grams, so that one of them starts at an even offset.
pub const KEYWORD_MIN_BYTES: usize = 4;

/// One gram of one keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The three bytes, little-endian.
    pub word: u32,
    /// Index of the keyword.
    pub keyword: u16,
    /// Where the gram stands in the keyword.
    pub offset: u16,
}

/// The most frequent grams of source text, in hex, the most frequent first. Measured over source, documents,
/// configuration and data files of many packages.
const COMMON: &str = include_str!("../../rules/common-grams.txt");

/// Owned tables, as the build script or a test makes them.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Names the hash function.
    pub multiplier: u32,
    /// One bit per hash value.
    pub bitmap: Vec<u64>,
    /// For each bucket the first of its entries; one more at the end.
    pub buckets: Vec<u16>,
    /// Sorted by bucket.
    pub entries: Vec<Entry>,
}

/// Hash of the three low bytes of a word, as eleven bits: a bucket, and a word of the bitmap. The multiplier's low
/// byte is zero, so that the top byte of the word falls out of the product.
#[inline(always)]
pub fn bucket(word: u32, multiplier: u32) -> usize {
    (word.wrapping_mul(multiplier) >> 21) as usize
}

/// The bit in the word of the bitmap: six bits of the gram's first byte.
#[inline(always)]
pub fn bit(word: u32) -> u32 {
    word & 63
}

/// Makes the tables from keywords and how many of their first bytes count with their case. Each must have
/// [`KEYWORD_MIN_BYTES`]. A gram that may come in either case stands in the tables in every one. So many hash functions
/// are tried before the best is taken.
pub fn build<K: AsRef<[u8]>>(keywords: &[(K, usize)], tries: u32) -> Tables {
    let common = common();
    let weight = |gram: u32| {
        let known = common.iter().find(|(known, _)| *known == gram);
        known.map_or(100, |(_, weight)| u64::from(*weight))
    };
    let mut entries = Vec::new();
    for (index, (keyword, exact)) in keywords.iter().enumerate() {
        let bytes = keyword.as_ref();
        assert!(bytes.len() >= KEYWORD_MIN_BYTES, "a keyword is too short");
        let cost = |at: usize| -> u64 {
            let grams = spellings(bytes, *exact, at).into_iter();
            grams
                .chain(spellings(bytes, *exact, at + 1))
                .map(weight)
                .sum()
        };
        let rarest = (0..=bytes.len() - KEYWORD_MIN_BYTES)
            .min_by_key(|&at| (cost(at), at))
            .unwrap_or(0);
        for offset in [rarest, rarest + 1] {
            for word in spellings(bytes, *exact, offset) {
                entries.push(Entry {
                    word,
                    keyword: u16::try_from(index).expect("fewer than 65,536 keywords"),
                    offset: u16::try_from(offset).expect("a keyword is short"),
                });
            }
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
    Tables {
        multiplier,
        bitmap,
        buckets,
        entries,
    }
}

/// The gram at `at` in every case that it may come in.
fn spellings(keyword: &[u8], exact: usize, at: usize) -> Vec<u32> {
    let mut words = vec![0u32];
    for (place, byte) in (at..at + 3).map(|place| (place, keyword[place])) {
        let shift = 8 * (place - at);
        let other = match place >= exact {
            true if byte.is_ascii_uppercase() => byte.to_ascii_lowercase(),
            true => byte.to_ascii_uppercase(),
            false => byte,
        };
        let mut both: Vec<u32> = words
            .iter()
            .map(|word| word | u32::from(byte) << shift)
            .collect();
        if other != byte {
            both.extend(words.iter().map(|word| word | u32::from(other) << shift));
        }
        words = both;
    }
    words
}

fn bitmap_of(entries: &[Entry], multiplier: u32) -> Vec<u64> {
    let mut bitmap = vec![0u64; BITMAP_WORDS];
    for entry in entries {
        bitmap[bucket(entry.word, multiplier)] |= 1 << bit(entry.word);
    }
    bitmap
}

/// The common grams with their weight: about how often they occur against one another.
fn common() -> Vec<(u32, u32)> {
    COMMON
        .split_ascii_whitespace()
        .enumerate()
        .filter_map(|(rank, hex)| {
            let gram = u32::from_str_radix(hex, 16).ok()?.swap_bytes() >> 8;
            let weight = u32::try_from(1_000_000 / (rank + 20)).ok()?;
            Some((gram, weight))
        })
        .collect()
}

/// The multiplier under which the fewest common grams share a bit with one that is looked for.
fn quietest(entries: &[Entry], tries: u32) -> u32 {
    let common: Vec<(u32, u32)> = common()
        .into_iter()
        .filter(|(gram, _)| entries.iter().all(|entry| entry.word != *gram))
        .collect();
    let noise = |multiplier: u32| -> u64 {
        let bitmap = bitmap_of(entries, multiplier);
        common
            .iter()
            .filter(|(gram, _)| bitmap[bucket(*gram, multiplier)] >> bit(*gram) & 1 == 1)
            .map(|(_, weight)| u64::from(*weight))
            .sum()
    };
    (0..tries)
        .map(|number| (number.wrapping_mul(0x9e37_79b9) ^ 0x5851_f42d) << 8 | 0x100)
        .min_by_key(|multiplier| noise(*multiplier))
        .unwrap_or(0x9e37_7900)
}
