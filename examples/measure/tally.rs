//! Counts findings, and shows where they stand without showing them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use ringfence::budget::{Bounds, Budget};
use ringfence::finding::Confidence;
use ringfence::redact::Quoted;
use ringfence::scan::{Match, Outcome, Scanner};

/// The whole scan of one text, with time enough for any.
pub(crate) fn scan(text: &[u8]) -> Outcome {
    let budget = Budget::new(Bounds {
        time: Duration::from_secs(600),
        ..Bounds::default()
    });
    match Scanner::builtin().scan(text, &budget) {
        Ok(told) => told,
        Err(why) => panic!("a text of {} bytes was not scanned: {why}", text.len()),
    }
}

/// The word of a confidence.
pub(crate) fn word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Certain => "certain",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    }
}

/// `part` of `all`, never rounded up to the full hundred.
pub(crate) fn percent(part: u64, all: u64) -> String {
    if all == 0 {
        return "-".to_owned();
    }
    let tenths = part * 1000 / all;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// What was looked at, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    texts: u64,
    bytes: u64,
    lines: u64,
    unscanned: BTreeMap<&'static str, u64>,
    /// By rule and confidence: findings, and the different values among them.
    rules: BTreeMap<(&'static str, Confidence), (u64, HashSet<u64>)>,
    places: Vec<Place>,
}

/// Where a finding stands.
#[derive(Debug)]
struct Place {
    at: String,
    line: usize,
    rule: &'static str,
    confidence: Confidence,
    what: String,
}

impl Tally {
    /// One text and its name.
    pub(crate) fn of(name: &[u8], text: &[u8]) -> Self {
        let told = scan(text);
        let mut tally = Tally {
            texts: 1,
            bytes: text.len() as u64,
            lines: memchr::memchr_iter(b'\n', text).count() as u64,
            ..Tally::default()
        };
        for (_, why) in &told.unscanned {
            *tally.unscanned.entry(why).or_default() += 1;
        }
        for found in &told.matches {
            let of_rule = tally
                .rules
                .entry((found.rule.id, found.confidence))
                .or_default();
            of_rule.0 += 1;
            of_rule.1.insert(digest(found.value()));
            tally.places.push(Place {
                at: Quoted(name).to_string(),
                line: 1 + memchr::memchr_iter(b'\n', &text[..found.bytes.start]).count(),
                rule: found.rule.id,
                confidence: found.confidence,
                what: redacted(found),
            });
        }
        tally
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Tally) -> Self {
        self.texts += other.texts;
        self.bytes += other.bytes;
        self.lines += other.lines;
        for (why, count) in other.unscanned {
            *self.unscanned.entry(why).or_default() += count;
        }
        for (rule, (count, values)) in other.rules {
            let known = self.rules.entry(rule).or_default();
            known.0 += count;
            known.1.extend(values);
        }
        self.places.extend(other.places);
        self
    }

    /// Findings and different values of one confidence.
    pub(crate) fn count(&self, confidence: Confidence) -> (u64, usize) {
        let of_this = self.rules.iter().filter(|((_, of), _)| *of == confidence);
        of_this.fold((0, 0), |(count, values), (_, (more, others))| {
            (count + more, values + others.len())
        })
    }

    fn sure(&self) -> u64 {
        self.count(Confidence::Certain).0 + self.count(Confidence::Likely).0
    }

    /// The figures: totals, what there is for each million lines, and the rules with the most findings.
    pub(crate) fn print(&self, name: &str, show: usize) {
        println!(
            "\n{name}: {} texts, {} lines, {:.1} MB",
            self.texts,
            self.lines,
            self.bytes as f64 / 1e6
        );
        let per = |count: u64, lines: f64| count as f64 * lines / self.lines.max(1) as f64;
        for confidence in [
            Confidence::Certain,
            Confidence::Likely,
            Confidence::Possible,
        ] {
            let (count, values) = self.count(confidence);
            println!(
                "  {:<9} {count:>7} findings, {values:>6} values, {:>8.2} per million lines",
                word(confidence),
                per(count, 1e6)
            );
        }
        println!(
            "  certain and likely: {:.3} per 100,000 lines",
            per(self.sure(), 1e5)
        );
        for (why, count) in &self.unscanned {
            println!("  not looked into: {count} x {why}");
        }
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|((_, confidence), (count, _))| {
            (std::cmp::Reverse(*confidence), std::cmp::Reverse(*count))
        });
        for ((rule, confidence), (count, values)) in rules {
            println!(
                "    {:<9} {count:>7} {:>6} values  {rule}",
                word(*confidence),
                values.len()
            );
        }
        let mut places: Vec<&Place> = self.places.iter().collect();
        places.sort_by(|a, b| {
            (b.confidence, a.rule, &a.at, a.line).cmp(&(a.confidence, b.rule, &b.at, b.line))
        });
        for place in places.into_iter().take(show) {
            println!(
                "    {}:{} {} {} ({})",
                place.at,
                place.line,
                place.rule,
                word(place.confidence),
                place.what
            );
        }
    }
}

/// Its public prefix and its length.
fn redacted(found: &Match) -> String {
    let via = match found.via.is_empty() {
        true => String::new(),
        false => format!(", inside {}", found.via.join(" inside ")),
    };
    format!(
        "{}... {} bytes{via}",
        found.prefix().unwrap_or_default(),
        found.value().len()
    )
}

fn digest(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence::scan::{Dice, make_sample};

    #[test]
    fn a_share_is_not_rounded_up() {
        assert_eq!(percent(9_999, 10_000), "99.9 %");
        assert_eq!(percent(10_000, 10_000), "100.0 %");
        assert_eq!(percent(0, 3), "0.0 %");
        assert_eq!(percent(0, 0), "-");
    }

    #[test]
    fn findings_and_values_are_counted_apart() {
        let token = make_sample("ghp_{crc62:30}", &mut Dice::new(1)).unwrap();
        let other = make_sample("ghp_{crc62:30}", &mut Dice::new(2)).unwrap();
        let one = Tally::of(b"a", format!("one\n{token}\n{other}\n").as_bytes());
        let two = Tally::of(b"b", format!("{token}\n").as_bytes());
        let both = one.and(two);
        assert_eq!((both.texts, both.lines), (2, 4));
        assert_eq!(both.count(Confidence::Certain), (3, 2));
        assert_eq!(both.count(Confidence::Possible), (0, 0));
        assert_eq!(both.places[1].line, 3);
        assert!(
            both.places
                .iter()
                .all(|place| !place.what.contains(&token[4..]))
        );
    }
}
