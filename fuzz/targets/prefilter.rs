//! Random keywords in random text: the prefilter tells what a naive search tells, each place once.

#![no_main]

mod seeds;

use libfuzzer_sys::fuzz_target;
use ringfence::scan::grams;
use ringfence::scan::prefilter::{Keyword, Prefilter, Visit};

fuzz_target!(init: seeds::write(seeds::keywords_and_text), |data: &[u8]| {
    let Some((keywords, text)) = parts(data) else {
        return;
    };
    let pairs: Vec<(&[u8], usize)> = keywords.iter().map(|word| (word.bytes, word.exact)).collect();
    let tables = grams::build(&pairs, &grams::Common::default(), 1);
    let mut seen = Seen::default();
    Prefilter::of(&tables)
        .expect("tables of `build`")
        .walk(text, &mut seen);

    seen.keywords.sort_unstable();
    assert_eq!(seen.keywords, naive(&keywords, text));
});

/// A count, then for each keyword its length, how much of it counts with its case, and its bytes; the rest is text.
fn parts(data: &[u8]) -> Option<(Vec<Keyword<'_>>, &[u8])> {
    let (&count, mut rest) = data.split_first()?;
    let mut keywords: Vec<Keyword<'_>> = Vec::new();
    for _ in 0..1 + count % 16 {
        let (&shape, after) = rest.split_first()?;
        let length = grams::KEYWORD_MIN_BYTES + usize::from(shape & 15);
        let exact = usize::from(shape >> 4).min(length);
        let (bytes, after) = after.split_at_checked(length)?;
        rest = after;
        // The build script gives each keyword once.
        if keywords
            .iter()
            .all(|known| (known.bytes, known.exact) != (bytes, exact))
        {
            keywords.push(Keyword { bytes, exact });
        }
    }
    Some((keywords, rest))
}

fn naive(keywords: &[Keyword<'_>], text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, keyword) in keywords.iter().enumerate() {
        for (start, piece) in text.windows(keyword.bytes.len()).enumerate() {
            let exact = keyword.exact.min(piece.len());
            if piece[..exact] == keyword.bytes[..exact] && piece.eq_ignore_ascii_case(keyword.bytes)
            {
                found.push((index, start));
            }
        }
    }
    found
}

#[derive(Default)]
struct Seen {
    keywords: Vec<(usize, usize)>,
}

impl Visit for Seen {
    fn keyword(&mut self, keyword: usize, start: usize) {
        self.keywords.push((keyword, start));
    }
}
