//! Any bytes through the whole scan: no panic, places inside the text, bounded work, and nothing that stands before a
//! secret can hide it.

#![no_main]

mod seeds;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ringfence::budget::{Bounds, Budget};
use ringfence::scan::{Dice, Limits, Outcome, Scanner, make_sample};

/// Tight, so that bounds are met often.
const LIMITS: Limits = Limits {
    depth: 3,
    decoded: (256 << 10, 8),
    confirmed: (1 << 20, 64),
    streams: 32,
};

fuzz_target!(init: seeds::write(seeds::encoded_samples), |data: &[u8]| {
    let told = scan(data);
    for found in &told.matches {
        assert!(found.bytes.start <= found.bytes.end && found.bytes.end <= data.len());
        assert!(found.via.len() <= LIMITS.depth as usize);
        assert!(!found.value().is_empty());
    }
    for (bytes, why) in &told.unscanned {
        assert!(bytes.start <= bytes.end && bytes.end <= data.len(), "{why}");
    }

    // The same text with a token on its last line: it is found, or part of another finding, or a bound is told.
    let token = make_sample("ghp_{crc62:30}", &mut Dice::new(data.len() as u64)).expect("a format");
    let mut text = data.to_vec();
    text.push(b'\n');
    let place = text.len()..text.len() + token.len();
    text.extend(token.bytes());
    text.push(b'\n');
    let told = scan(&text);
    let seen = told
        .matches
        .iter()
        .any(|found| found.bytes.start < place.end && found.bytes.end > place.start);
    assert!(seen || !told.unscanned.is_empty(), "a secret on the last line was hidden");
});

fn scan(text: &[u8]) -> Outcome {
    let budget = Budget::new(Bounds {
        time: Duration::from_secs(15),
        ..Bounds::default()
    });
    match Scanner::builtin().with_limits(LIMITS).scan(text, &budget) {
        Ok(told) => told,
        Err(why) => panic!(
            "the bounds on work let {} bytes take long: {why}",
            text.len()
        ),
    }
}
