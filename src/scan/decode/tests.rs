//! Each form hides a token that is made at run time, and each shows the place that it was hidden in.

mod joints;
mod made;
mod streams;
mod texts;

use crate::budget::{Bounds, Budget};
use crate::scan::sample::{self, Dice};
use crate::scan::{Limits, Outcome, Scanner};

const PAT: &str = "secret/github-pat";

/// A token with a right checksum.
fn token() -> String {
    sample::make("ghp_{crc62:30}", &mut Dice::new(11)).unwrap()
}

fn budget() -> Budget {
    Budget::new(Bounds {
        time: std::time::Duration::from_secs(300),
        ..Bounds::default()
    })
}

fn scan_within(text: &[u8], limits: Limits) -> Outcome {
    let scanner = Scanner::builtin().with_limits(limits);
    let told = scanner.scan(text, &budget()).unwrap();
    for bytes in told
        .matches
        .iter()
        .map(|found| &found.bytes)
        .chain(told.unscanned.iter().map(|(bytes, _)| bytes))
        .chain(told.opaque.iter().map(|(bytes, _)| bytes))
    {
        assert!(bytes.start <= bytes.end && bytes.end <= text.len());
    }
    told
}

fn scan(text: &[u8]) -> Outcome {
    scan_within(text, Limits::default())
}

/// Whether the token is found, once and whole, and nothing was passed over.
fn finds(text: &[u8]) -> bool {
    let told = scan(text);
    let values: std::collections::BTreeSet<&[u8]> =
        told.matches.iter().map(|found| found.value()).collect();
    values.contains(token().as_bytes())
        && told.matches.iter().any(|found| found.rule.id == PAT)
        && told.unscanned.is_empty()
}

/// Fails with the names of those that are not found.
fn all_found<'n>(forms: impl IntoIterator<Item = (&'n str, Vec<u8>)>) {
    let missed: Vec<&str> = forms
        .into_iter()
        .filter(|(_, text)| !finds(text))
        .map(|(name, _)| name)
        .collect();
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

/// Fails where anything is found.
fn none_found<'n>(texts: impl IntoIterator<Item = &'n str>) {
    for text in texts {
        let told = scan(text.as_bytes());
        let ids: Vec<_> = told.matches.iter().map(|found| found.rule.id).collect();
        assert!(ids.is_empty(), "{ids:?} in {text}");
        assert!(told.unscanned.is_empty(), "{text}");
    }
}
