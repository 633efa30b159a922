//! The tables of the keyword prefilter: how keywords become a bitmap of three-byte grams and the
//! short lists behind it. Shared with the build script, so it imports nothing of the crate.

/// Words of the bitmap: 2^16 bits, 8 KB. Small enough for the first-level cache and for two page faults.
pub const BITMAP_WORDS: usize = 1024;

/// Shortest keyword: a keyword gives two neighbouring grams, so that one of them starts at an even offset.
pub const KEYWORD_MIN_BYTES: usize = 4;

/// One gram of one keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The three bytes, folded, little-endian.
    pub gram: u32,
    /// Index of the keyword.
    pub keyword: u16,
    /// Where the gram stands in the keyword.
    pub offset: u16,
}

/// Owned tables, as the build script or a test makes them.
#[derive(Debug, Clone)]
pub struct Tables {
    /// One bit per hash value.
    pub bitmap: Vec<u64>,
    /// For each of the 1024 buckets (the hash's upper ten bits) the first of its entries; one more at the end.
    pub buckets: Vec<u16>,
    /// Sorted by bucket.
    pub entries: Vec<Entry>,
}

/// Folds ASCII case (and some other bytes: the keyword itself is compared afterwards).
#[inline(always)]
pub fn fold(word: u32) -> u32 {
    word | 0x2020_2020
}

/// Hash of the three low bytes of a folded word; the top byte falls out of the product. The upper ten
/// bits name a bucket and a word of the bitmap, the next six a bit in it.
#[inline(always)]
pub fn hash(folded: u32) -> u32 {
    folded.wrapping_mul(0x9e37_7900)
}

/// Makes the tables. Each keyword must have [`KEYWORD_MIN_BYTES`].
pub fn build<K: AsRef<[u8]>>(keywords: &[K]) -> Tables {
    let mut entries = Vec::new();
    for (index, keyword) in keywords.iter().enumerate() {
        let bytes = keyword.as_ref();
        assert!(bytes.len() >= KEYWORD_MIN_BYTES, "a keyword is too short");
        let rarest = (0..=bytes.len() - KEYWORD_MIN_BYTES)
            .min_by_key(|&at| {
                (
                    commonness(&bytes[at..at + 3]) + commonness(&bytes[at + 1..at + 4]),
                    at,
                )
            })
            .unwrap_or(0);
        for offset in [rarest, rarest + 1] {
            let gram = &bytes[offset..offset + 3];
            let gram = fold(u32::from_le_bytes([gram[0], gram[1], gram[2], 0])) & 0x00ff_ffff;
            entries.push(Entry {
                gram,
                keyword: u16::try_from(index).expect("fewer than 65,536 keywords"),
                offset: u16::try_from(offset).expect("a keyword is short"),
            });
        }
    }
    entries.sort_by_key(|entry| (hash(entry.gram) >> 22, entry.gram, entry.keyword));
    let mut bitmap = vec![0u64; BITMAP_WORDS];
    let mut buckets = vec![0u16; BITMAP_WORDS + 1];
    for entry in &entries {
        let hash = hash(entry.gram);
        bitmap[(hash >> 22) as usize] |= 1 << (hash >> 16 & 63);
        buckets[(hash >> 22) as usize + 1] += 1;
    }
    for bucket in 0..BITMAP_WORDS {
        buckets[bucket + 1] += buckets[bucket];
    }
    Tables {
        bitmap,
        buckets,
        entries,
    }
}

/// How often the bytes of a gram occur in source text, roughly.
fn commonness(gram: &[u8]) -> u32 {
    gram.iter()
        .map(|byte| match byte.to_ascii_lowercase() {
            b'e' | b't' | b' ' => 9,
            b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 7,
            b'c' | b'd' | b'l' | b'm' | b'p' | b'u' | b'f' => 5,
            b'_' | b'b' | b'g' | b'h' | b'.' | b'-' | b'/' => 4,
            b'k' | b'v' | b'w' | b'x' | b'y' | b'0' | b'1' | b'=' | b':' | b'"' => 3,
            _ => 1,
        })
        .sum()
}
