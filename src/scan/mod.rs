//! The secret scanner: rules, prefilter, confirmation, decoding.
//!
//! A text goes through the keyword prefilter once. Only the surroundings of a keyword meet a regex, only what the
//! regex takes meets a validator. Encoded parts are unpacked and go the same way, within bounds.

pub mod compile;
pub mod grams;
mod marks;
pub mod prefilter;
pub mod rules;

mod armored;
mod assignment;
mod confirm;
mod decode;
mod escapes;
mod names;
mod pack;
mod randomness;
mod sample;
#[cfg(test)]
mod tests;
mod validators;

use std::ops::Range;

use crate::budget::{Budget, Exhausted};
use crate::finding::Confidence;
use crate::repo::packs::Part;
pub use compile::Form;
pub use pack::{Examined, PackError, active, examine, load, use_pack};
pub use rules::{About, BUILTIN, Guard, Pack, Rank, SecretRule};
pub use sample::{Dice, make as make_sample, surroundings, test_pack};
pub use validators::Validator;

/// The rule for content that a bound kept the scanner from.
pub const UNSCANNED: &str = "limit/unscanned";

/// The rule for content that no bound kept the scanner from: it is encrypted, or of a format that is not known here.
pub const OPAQUE: &str = "limit/opaque";

/// How much one text may cost beyond reading it once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Levels of encoding.
    pub depth: u32,
    /// Unpacked bytes, all levels together, as a base and a multiple of the text's length.
    pub decoded: (u64, u64),
    /// Bytes that regexes walk over, in the same form.
    pub confirmed: (u64, u64),
    /// Compressed streams that are opened.
    pub streams: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 5,
            decoded: (64 << 20, 16),
            confirmed: (16 << 20, 16),
            streams: 10_000,
        }
    }
}

/// A secret that was found. Has no `Debug`: the value is never printed.
#[derive(Clone)]
pub struct Match {
    /// The rule.
    pub rule: &'static SecretRule,
    /// The bytes of the text that hold it; for decoded content, the encoded bytes.
    pub bytes: Range<usize>,
    /// How sure.
    pub confidence: Confidence,
    /// The encodings around it, outermost first.
    pub via: Vec<&'static str>,
    named: confirm::Named,
    value: Vec<u8>,
}

impl Match {
    /// The secret, for its fingerprint and its length. Never show it.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The part of the value that may be shown.
    pub fn prefix(&self) -> Option<&'static str> {
        self.rule
            .prefix
            .filter(|prefix| self.value.starts_with(prefix.as_bytes()))
    }
}

/// What a scan tells.
#[derive(Default)]
pub struct Outcome {
    /// The secrets, by place.
    pub matches: Vec<Match>,
    /// Parts that a bound kept the scanner from, with the reason.
    pub unscanned: Vec<(Range<usize>, &'static str)>,
    /// Parts that nobody can look into here, however large the bounds: encrypted, or of a format that is not known.
    pub opaque: Vec<(Range<usize>, &'static str)>,
}

/// Looks for the secrets of one pack.
pub struct Scanner<'a> {
    pack: &'a Pack,
    limits: Limits,
}

impl Scanner<'static> {
    /// With the rules of the program.
    pub fn builtin() -> Self {
        Scanner::of(&BUILTIN)
    }
}

impl<'a> Scanner<'a> {
    /// With the rules of a pack.
    pub fn of(pack: &'a Pack) -> Self {
        Scanner {
            pack,
            limits: Limits::default(),
        }
    }

    /// With other bounds.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// All secrets of a text. The budget gives the time; every other bound becomes a part that is told as unscanned.
    pub fn scan(&self, text: &[u8], budget: &Budget) -> Result<Outcome, Exhausted> {
        let mut run = decode::Run::new(self.pack, &self.limits, text.len(), budget);
        let whole = decode::Layer {
            text,
            depth: 0,
            joined: false,
        };
        let found = run.layer(whole)?;
        Ok(outcome(run, found, text))
    }

    /// The same, and what helps to scan texts that are made from this one. `None`: nothing does.
    pub fn scan_keeping(
        &self,
        text: &[u8],
        budget: &Budget,
    ) -> Result<(Outcome, Option<Memory>), Exhausted> {
        let mut run = decode::Run::new(self.pack, &self.limits, text.len(), budget);
        let (found, known) = run.kept(text, &decode::Ground::none(text.len()))?;
        Ok((outcome(run, found, text), known.map(Memory)))
    }

    /// The same of a text that is made from another with the same scanner: the parts are all of it, in their order. What it
    /// tells is what [`Scanner::scan`] tells. The last: how many bytes had to be walked over.
    pub fn scan_made(
        &self,
        text: &[u8],
        from: &Memory,
        parts: &[Part],
        budget: &Budget,
    ) -> Result<(Outcome, Option<Memory>, usize), Exhausted> {
        let ground = decode::Ground::made(&from.0, parts, text.len());
        let fresh = ground.fresh();
        if ground.is_of_use() {
            let mut run = decode::Run::new(self.pack, &self.limits, text.len(), budget);
            if let (found, Some(known)) = run.kept(text, &ground)? {
                return Ok((outcome(run, found, text), Some(Memory(known)), fresh));
            }
        }
        let (outcome, memory) = self.scan_keeping(text, budget)?;
        Ok((outcome, memory, text.len()))
    }
}

/// What a scan noted of a text. Has no `Debug`: it holds secrets.
pub struct Memory(decode::Known);

fn outcome(run: decode::Run<'_>, mut matches: Vec<Match>, text: &[u8]) -> Outcome {
    matches.retain(|found| !armored::is_chance(text, found));
    let mut unscanned = run.unscanned;
    unscanned.sort_by_key(|(bytes, _)| bytes.start);
    unscanned.dedup_by(|next, first| next.0 == first.0);
    Outcome {
        matches,
        unscanned,
        opaque: run.opaque,
    }
}

/// One match for each value and place; the most specific rule where several claim the same bytes. Every layer of a text
/// is settled by itself, so that a value inside another is known by its place and never has to be searched for.
fn settle(mut found: Vec<Match>) -> Vec<Match> {
    if found.len() > 1 {
        found.sort_by(|a, b| {
            (b.rule.rank, b.confidence, b.value.len(), b.named)
                .cmp(&(a.rule.rank, a.confidence, a.value.len(), a.named))
                .then(a.via.len().cmp(&b.via.len()))
                .then(a.bytes.start.cmp(&b.bytes.start))
                .then(a.rule.id.cmp(b.rule.id))
        });
        // Kept ranges by start. They do not overlap one another, so a neighbour on each side is all to ask.
        let mut kept: std::collections::BTreeMap<usize, (usize, usize)> = Default::default();
        let mut keep: Vec<Match> = Vec::with_capacity(found.len());
        let mut known = std::collections::HashSet::with_capacity(found.len());
        for candidate in found {
            let (start, end) = (candidate.bytes.start, candidate.bytes.end);
            let rival = kept
                .range(..end.max(start + 1))
                .next_back()
                .filter(|(_, (kept_end, _))| *kept_end > start)
                .map(|(_, (_, index))| *index);
            // A compressed or folded part is one place for all that is in it: different values stay apart.
            let stays = rival.is_none_or(|rival| {
                keep[rival].bytes == candidate.bytes && !candidate.via.is_empty()
            });
            if stays && known.insert((start, end, candidate.value.clone())) {
                if rival.is_none() {
                    kept.insert(start, (end, keep.len()));
                }
                keep.push(candidate);
            }
        }
        found = keep;
    }
    found.sort_by(|a, b| {
        (a.bytes.start, a.bytes.end, a.rule.id).cmp(&(b.bytes.start, b.bytes.end, b.rule.id))
    });
    found
}
