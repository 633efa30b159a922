//! Checked rules to a pack: the keywords of the prefilter, and everything of each rule as bytes that are read in place.

use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::grams;
use super::super::marks::MARKS;
use super::{Form, GUARDS, RANKS, Rule, VALIDATORS};

/// Keywords of one pack: their indices have 16 bits.
const KEYWORDS_MAX: usize = 30_000;

/// Rules whose words for people are packed together. A group is unpacked when one of them is asked for.
pub const GROUP: usize = 64;

/// The keywords of a pack: bytes, how many of the first count with their case, and the rules that want to hear of them.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    /// Those of rules first, then the marks of compressed streams.
    pub list: Vec<(Vec<u8>, usize)>,
    /// For each keyword of a rule.
    rules_of: Vec<Vec<u16>>,
}

impl Keywords {
    /// Adds those of one rule.
    fn add(&mut self, index: usize, rule: &Rule, slots: &mut HashMap<(Vec<u8>, usize), usize>) {
        let folded = rule.form != Form::Pattern || rule.pattern.contains("(?i");
        for word in &rule.keywords {
            let words = match rule.form {
                Form::Named { .. } => respaced(word),
                _ => vec![word.clone()],
            };
            for key in words.iter().flat_map(|word| spelled_out(word, folded)) {
                let next = slots.len();
                let slot = *slots.entry(key.clone()).or_insert(next);
                if slot == self.list.len() {
                    self.list.push(key);
                    self.rules_of.push(Vec::new());
                }
                let index = u16::try_from(index).expect("fewer than 65,536 rules");
                if !self.rules_of[slot].contains(&index) {
                    self.rules_of[slot].push(index);
                }
            }
        }
    }

    /// Those of all rules, with the marks of compressed streams behind them. `None`: more than an index can name.
    pub fn of(rules: &[Rule]) -> Option<Self> {
        let mut keywords = Keywords::default();
        let mut slots = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            if index > KEYWORDS_MAX || keywords.list.len() > KEYWORDS_MAX {
                return None;
            }
            keywords.add(index, rule, &mut slots);
        }
        let marks = MARKS.iter().map(|mark| (mark.to_vec(), mark.len()));
        keywords.list.extend(marks);
        Some(keywords)
    }
}

/// The pack of these rules, as one sequence of bytes that is read in place. Numbers have 4 bytes and are little-endian:
/// how many rules, keywords of rules, and bytes before the tables; where the rules of each keyword begin, and the end; the
/// indices of these rules (2 bytes each); where each rule begins, and the end; the rules; where each group of words for
/// people begins, and the end; these groups, packed; the tables of [`grams::build`]. `None`: more than an index can name.
pub fn pack(rules: &[Rule], tries: u32) -> Option<Vec<u8>> {
    let keywords = Keywords::of(rules)?;
    let mut out = Vec::new();
    let all: Vec<u16> = keywords.rules_of.iter().flatten().copied().collect();
    starts(keywords.rules_of.iter().map(Vec::len), &mut out)?;
    out.extend(all.iter().flat_map(|rule| rule.to_le_bytes()));
    let mut records = Vec::new();
    let mut packed = Vec::new();
    for group in rules.chunks(GROUP) {
        let mut words = Vec::new();
        for rule in group {
            let mut record = Vec::new();
            write(rule, &mut record)?;
            records.push(record);
            write_words(rule, &mut words)?;
        }
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&words).ok()?;
        packed.push(packer.finish().ok()?);
    }
    for parts in [records, packed] {
        starts(parts.iter().map(Vec::len), &mut out)?;
        out.extend(parts.concat());
    }
    let mut pack = Vec::with_capacity(out.len());
    for count in [rules.len(), keywords.rules_of.len(), out.len()] {
        pack.extend(u32::try_from(count).ok()?.to_le_bytes());
    }
    pack.extend(out);
    pack.extend(grams::build(&keywords.list, tries));
    Some(pack)
}

/// Where each of the parts begins, and the end.
fn starts(lengths: impl Iterator<Item = usize>, out: &mut Vec<u8>) -> Option<()> {
    let mut start = 0;
    out.extend(u32::to_le_bytes(0));
    for length in lengths {
        start += length;
        out.extend(u32::try_from(start).ok()?.to_le_bytes());
    }
    Some(())
}

/// What the engine needs of a rule: numbers, texts and a list with their lengths before them (2 bytes each).
/// `SecretRule` reads them in the same order.
fn write(rule: &Rule, out: &mut Vec<u8>) -> Option<()> {
    let place = |words: &[&str], word: &str| {
        let at = words.iter().position(|known| *known == word)?;
        u8::try_from(at).ok()
    };
    let (form, shortest) = match rule.form {
        Form::Pattern => (0, 0),
        Form::Assigned => (1, 0),
        Form::Named { telling, shortest } => (2 + u8::from(telling), shortest),
    };
    out.push(form);
    out.extend(shortest.to_le_bytes());
    out.extend(u16::try_from(rule.reach).ok()?.to_le_bytes());
    out.push(place(VALIDATORS, &rule.validator)?);
    out.push(u8::from(rule.confidence == "possible"));
    out.push(place(RANKS, &rule.rank)?);
    out.push(place(GUARDS, &rule.guard)?);
    out.push(
        u8::from(rule.captures) | u8::from(rule.edges) << 1 | u8::from(rule.prefix.is_some()) << 2,
    );
    let prefix = rule.prefix.as_deref().unwrap_or_default();
    for text in [&rule.id, &rule.title, &rule.pattern, prefix] {
        write_text(text, out)?;
    }
    write_list(&rule.ignore, out)
}

/// What people want to know of a rule. `About` reads it in the same order.
fn write_words(rule: &Rule, out: &mut Vec<u8>) -> Option<()> {
    for text in [&rule.provider, &rule.description, &rule.revoke, &rule.file] {
        write_text(text, out)?;
    }
    for list in [
        &rule.keywords,
        &rule.references,
        &rule.controls,
        &rule.examples,
        &rule.negatives,
    ] {
        write_list(list, out)?;
    }
    Some(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    out.extend(text.bytes());
    Some(())
}

fn write_list(texts: &[String], out: &mut Vec<u8>) -> Option<()> {
    out.extend(u16::try_from(texts.len()).ok()?.to_le_bytes());
    texts.iter().try_for_each(|text| write_text(text, out))
}

/// A space in a name stands for what people write between words: nothing, a mark, a blank; the same between all of them,
/// or nothing between the first two.
fn respaced(name: &str) -> Vec<String> {
    let gaps = ["", "_", "-", " ", "."];
    let mut written: Vec<String> = gaps.map(|gap| name.replace(' ', gap)).to_vec();
    if name.matches(' ').count() > 1 {
        let joined = name.replacen(' ', "", 1);
        written.extend(gaps.map(|gap| joined.replace(' ', gap)));
    }
    written.sort();
    written.dedup();
    written
}

/// The keyword, and how many of its bytes are compared with regard to case. A star at one end stands for any letter
/// or digit (at the end also `_` and `-`), a hash at the end for any digit. A character up to U+00FF is one byte.
fn spelled_out(keyword: &str, folded: bool) -> Vec<(Vec<u8>, usize)> {
    let letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    let bytes = |text: &str| -> Vec<u8> {
        text.chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
            .collect()
    };
    let exact = |stem: &str| if folded { 0 } else { bytes(stem).len() };
    let ended = |stem: &str, ends: &str| -> Vec<(Vec<u8>, usize)> {
        ends.chars()
            .map(|end| (bytes(&format!("{stem}{end}")), exact(stem)))
            .collect()
    };
    if let Some(stem) = keyword.strip_suffix('*') {
        ended(stem, &format!("{letters}_-"))
    } else if let Some(stem) = keyword.strip_suffix('#') {
        ended(stem, "0123456789")
    } else if let Some(stem) = keyword.strip_prefix('*') {
        letters
            .chars()
            .map(|first| (bytes(&format!("{first}{stem}")), 0))
            .collect()
    } else {
        vec![(bytes(keyword), exact(keyword))]
    }
}
