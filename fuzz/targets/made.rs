//! A text that is made from another by copying, moving and inserting is told as a scan of all of it tells it, through two
//! versions.

#![no_main]

mod seeds;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ringfence::budget::{Bounds, Budget};
use ringfence::repo::packs::Part;
use ringfence::scan::{Limits, Outcome, Scanner};

/// Tight, so that bounds are met often.
const LIMITS: Limits = Limits {
    depth: 3,
    decoded: (64 << 10, 8),
    confirmed: (64 << 10, 64),
    streams: 32,
};
/// What one edit is read from.
const EDIT_BYTES: usize = 7;

/// The bytes of a version, and where each stood in the one before.
type Version = Vec<(u8, Option<usize>)>;

fuzz_target!(init: seeds::write(edited_samples), |data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let length = (usize::from(*count) % 8 * EDIT_BYTES).min(rest.len());
    let (edits, text) = rest.split_at(length - length % EDIT_BYTES);
    let (edits, _) = edits.as_chunks::<EDIT_BYTES>();
    let budget = Budget::new(Bounds {
        time: Duration::from_secs(15),
        ..Bounds::default()
    });
    let scanner = Scanner::builtin().with_limits(LIMITS);
    let (_, memory) = scanner.scan_keeping(text, &budget).expect("work is bounded");
    let (mut memory, mut text) = (memory, text.to_vec());
    for edits in edits.chunks(edits.len().div_ceil(2).max(1)) {
        let Some(before) = &memory else { return };
        let mut version: Version = text.iter().copied().zip((0..).map(Some)).collect();
        for edit in edits {
            apply(edit, &mut version);
        }
        let new: Vec<u8> = version.iter().map(|(byte, _)| *byte).collect();
        let parts = parts(&version);
        let (made, next, _) = scanner.scan_made(&new, before, &parts, &budget).expect("work is bounded");
        let whole = scanner.scan(&new, &budget).expect("work is bounded");
        assert_eq!(told(&made), told(&whole));
        (memory, text) = (next, new);
    }
});

fn apply(edit: &[u8; EDIT_BYTES], version: &mut Version) {
    let [kind, at, more, length, to, further, byte] = *edit;
    let place = |low, high| usize::from(u16::from_le_bytes([low, high])) % (version.len() + 1);
    let (at, to) = (place(at, more), place(to, further));
    let part = at..(at + usize::from(length)).min(version.len());
    match kind % 4 {
        0 => drop(version.drain(part)),
        1 => version.insert(at, (byte, None)),
        2 => {
            let copied = version[part].to_vec();
            drop(version.splice(to..to, copied));
        }
        _ => version[part].iter_mut().for_each(|(_, from)| *from = None),
    }
}

fn parts(version: &Version) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (at, (_, from)) in version.iter().enumerate() {
        match parts.last_mut() {
            Some(last) if last.from.map(|from| from + last.bytes.len()) == *from => {
                last.bytes.end += 1
            }
            _ => parts.push(Part {
                bytes: at..at + 1,
                from: *from,
            }),
        }
    }
    parts
}

fn told(outcome: &Outcome) -> Vec<String> {
    let hits = outcome.matches.iter().map(|hit| {
        let value = crc32fast::hash(hit.value());
        format!(
            "{} {:?} {:?} {:?} {value:x}",
            hit.rule.id, hit.bytes, hit.confidence, hit.via
        )
    });
    let parts = outcome.unscanned.iter().chain(&outcome.opaque);
    hits.chain(parts.map(|part| format!("{part:?}"))).collect()
}

/// Samples one below the other, each with edits near its edges.
fn edited_samples() -> Vec<Vec<u8>> {
    let samples = seeds::encoded_samples();
    let edited = samples.chunks(3).enumerate().map(|(number, three)| {
        let text = three.join(&b"\n"[..]);
        let near = |place: usize| u16::try_from(place + number % 5).unwrap_or(0).to_le_bytes();
        let (first, second) = (near(three[0].len()), near(text.len() / 2));
        let mut input = vec![2];
        for kind in [number % 4, (number + 1) % 4] {
            let length = [1, 3, 40, 200][number / 4 % 4];
            let kind = u8::try_from(kind).unwrap_or(0);
            input.extend([kind, first[0], first[1], length, second[0], second[1], b'"']);
        }
        input.extend(text);
        input
    });
    edited.collect()
}
