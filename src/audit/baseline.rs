//! What an earlier audit told, so that a later one tells what is new.

use std::collections::HashSet;

use super::record::{Finding, Record, Uncovered};

/// What makes two findings of two audits the same one.
type Known = (String, &'static str, String, String, String);

/// The findings of an earlier audit.
#[derive(Default)]
pub struct Baseline(HashSet<Known>);

impl Baseline {
    /// Takes over the findings of an earlier audit; fingerprints must be of the same key.
    pub fn new(records: &[Record]) -> Baseline {
        let mut known = HashSet::new();
        for record in records {
            match record {
                Record::Finding(one) => known.insert(of_finding(one)),
                Record::Uncovered(one) => known.insert(of_uncovered(one)),
                _ => false,
            };
        }
        Baseline(known)
    }

    /// Whether the record was told before.
    pub fn knows(&self, record: &Record) -> bool {
        match record {
            Record::Finding(one) => self.0.contains(&of_finding(one)),
            Record::Uncovered(one) => self.0.contains(&of_uncovered(one)),
            _ => false,
        }
    }
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

/// A value is known wherever it stands in its repository. What a policy refuses is known as long as no later commit does it
/// again; what has no value, by its path. What could not be looked into is never known.
fn of_finding(one: &Finding) -> Known {
    let repository = one.repository.clone();
    if one.source == "replay" {
        let last = one.last.as_ref().map(|commit| commit.commit.clone());
        let what = format!("{} {}", text(&one.identity), text(&one.path));
        return (repository, "replay", one.rule.clone(), what, text(&last));
    }
    let path = match one.rule.starts_with("secret/") {
        true => String::new(),
        false => text(&one.path),
    };
    let value = text(&one.fingerprint);
    (repository, "content", one.rule.clone(), value, path)
}

fn of_uncovered(one: &Uncovered) -> Known {
    let what = format!("{} {} {}", text(&one.name), text(&one.old), text(&one.new));
    let commit = one.commit.as_ref().map(|commit| commit.commit.clone());
    let by = text(&commit) + &text(&one.decision) + one.telling_reason().unwrap_or_default();
    (
        one.repository.clone(),
        "uncovered",
        one.kind.clone(),
        what,
        by,
    )
}
