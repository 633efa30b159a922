//! Recall: samples of every rule, made from the formats in its examples, in every syntax.

use std::collections::BTreeMap;

use rayon::prelude::*;
use ringfence::finding::Confidence;
use ringfence::scan::{BUILTIN, Dice, SecretRule, make_sample};

use crate::syntax::SYNTAXES;
use crate::tally::{self, percent};

/// What became of some samples.
#[derive(Debug, Default, Clone)]
struct Found {
    samples: u64,
    /// By their own rule.
    own: u64,
    /// By any rule.
    any: u64,
    /// `certain` or `likely`, by any rule: what a gate refuses by default.
    refused: u64,
    /// `certain`, by any rule.
    certain: u64,
}

impl Found {
    fn add(&mut self, other: &Found) {
        self.samples += other.samples;
        self.own += other.own;
        self.any += other.any;
        self.refused += other.refused;
        self.certain += other.certain;
    }

    fn line(&self, name: &str) -> String {
        format!(
            "{name:<44} {:>8} {:>8} {:>8} {:>8} {:>8}",
            self.samples,
            percent(self.own, self.samples),
            percent(self.any, self.samples),
            percent(self.refused, self.samples),
            percent(self.certain, self.samples)
        )
    }
}

fn head(of: &str) -> String {
    format!(
        "{of:<44} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "samples", "own", "any", "refused", "certain"
    )
}

/// Prints the tables. `all`: every rule, not only those that miss something.
pub(crate) fn print(only: Option<&str>, seeds: u64, all: bool) {
    let rules: Vec<&SecretRule> = BUILTIN
        .rules()
        .filter(|rule| only.is_none_or(|id| rule.id == id))
        .collect();
    let of_rules: Vec<BTreeMap<usize, Found>> =
        rules.par_iter().map(|rule| measure(rule, seeds)).collect();

    let mut total = Found::default();
    let mut by_syntax = vec![Found::default(); SYNTAXES.len()];
    let mut by_confidence: BTreeMap<Confidence, Found> = BTreeMap::new();
    let mut rows = Vec::new();
    for (rule, found) in rules.iter().zip(&of_rules) {
        let mut of_rule = Found::default();
        let mut missing = Vec::new();
        for (&syntax, found) in found {
            by_syntax[syntax].add(found);
            of_rule.add(found);
            if found.own < found.samples {
                missing.push(format!(
                    "{} {}",
                    SYNTAXES[syntax].name,
                    percent(found.own, found.samples)
                ));
            }
        }
        total.add(&of_rule);
        by_confidence
            .entry(rule.confidence)
            .or_default()
            .add(&of_rule);
        if all || !missing.is_empty() {
            rows.push((
                of_rule.own as f64 / of_rule.samples.max(1) as f64,
                rule.id,
                of_rule,
                missing,
            ));
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));

    println!(
        "recall: {} rules, {seeds} seeds, {} syntaxes",
        rules.len(),
        SYNTAXES.len()
    );
    println!(
        "own: found by its own rule; any: by any rule; refused: certain or likely, by any rule\n"
    );
    println!("{}", head("syntax"));
    for (syntax, found) in SYNTAXES.iter().zip(&by_syntax) {
        println!("{}", found.line(syntax.name));
    }
    println!("\n{}", head("rules that say"));
    for (confidence, found) in by_confidence.iter().rev() {
        println!("{}", found.line(tally::word(*confidence)));
    }
    println!("{}", total.line("total"));
    let whole = of_rules
        .iter()
        .filter(|found| found.values().all(|found| found.own == found.samples))
        .count();
    println!(
        "\n{whole} of {} rules find every sample of theirs everywhere",
        rules.len()
    );
    if !rows.is_empty() {
        println!(
            "\n{}",
            head(if all { "rule" } else { "rule that misses some" })
        );
        for (_, id, found, missing) in rows {
            println!("{}", found.line(id));
            if !missing.is_empty() {
                println!("    {}", missing.join(", "));
            }
        }
    }
}

/// One rule, by syntax.
fn measure(rule: &SecretRule, seeds: u64) -> BTreeMap<usize, Found> {
    let mut by_syntax: BTreeMap<usize, Found> = BTreeMap::new();
    for (number, format) in rule.about().examples.iter().enumerate() {
        for seed in 0..seeds {
            let mut dice = Dice::new(0x6d65_6173 + seed * 7919 + number as u64);
            let sample = make_sample(format, &mut dice)
                .unwrap_or_else(|why| panic!("{}, example {number}: {why}", rule.id));
            for (place, syntax) in SYNTAXES.iter().enumerate() {
                if let Some(file) = syntax.file(&sample) {
                    by_syntax.entry(place).or_default().add(&look(rule, &file));
                }
            }
        }
    }
    by_syntax
}

fn look(rule: &SecretRule, file: &str) -> Found {
    let told = tally::scan(file.as_bytes());
    let most = told.matches.iter().map(|found| found.confidence).max();
    let own = told.matches.iter().any(|found| found.rule.id == rule.id);
    Found {
        samples: 1,
        own: u64::from(own),
        any: u64::from(most.is_some()),
        refused: u64::from(most >= Some(Confidence::Likely)),
        certain: u64::from(most == Some(Confidence::Certain)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proved_token_is_certain_in_every_syntax() {
        let rule = BUILTIN.find("secret/github-pat").unwrap();
        let by_syntax = measure(rule, 2);
        assert_eq!(by_syntax.len(), SYNTAXES.len());
        for found in by_syntax.values() {
            assert_eq!(found.samples, 2 * rule.about().examples.len() as u64);
            assert_eq!(found.own, found.samples);
            assert_eq!(found.certain, found.samples);
        }
    }

    #[test]
    fn the_files_around_are_clean() {
        for syntax in SYNTAXES {
            let file = syntax.file("nothing").unwrap();
            assert!(
                tally::scan(file.as_bytes()).matches.is_empty(),
                "{}",
                syntax.name
            );
        }
    }
}
