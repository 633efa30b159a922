//! Checked rules to a pack: the keywords of the prefilter, and everything of each rule as bytes that are read in place.

use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::grams::{self, Common};
use super::super::marks::MARKS;
use super::{Form, GUARDS, RANKS, Rule, VALIDATORS};

/// Keywords of one pack: their indices have 16 bits.
const KEYWORDS_MAX: usize = 30_000;

/// Rules whose words for people are packed together. A group is unpacked when one of them is asked for.
pub const GROUP: usize = 64;

/// Words of which one stands beside every value that is known by the name of its provider. They end in what stands behind
/// them, for a keyword has four bytes.
const TELLING: &[&str] = &[
    "auth", "bearer", "cookie", "cred", "licence", "license", "login", "pass", "private", "secret",
    "session", "sign", "token", "webhook",
];
const TELLING_SHORT: &[&str] = &["api", "dsn", "jwt", "key", "pat", "pwd", "sid"];
const BEHIND_SHORT: &str = "is123_-. =:\"'`)]>},;<|/\\[(*@\t\n\r\u{e2}";

/// The keywords of a pack.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    /// What is looked for everywhere: keywords of rules, marks of compressed streams, telling words.
    pub everywhere: List,
    /// Names of providers, many thousands: they are looked for near a telling word that a value follows.
    pub near: List,
}

/// Keywords, and the rules that want to hear of the first of them.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Bytes, and how many of the first count with their case.
    pub words: Vec<(Vec<u8>, usize)>,
    rules_of: Vec<Vec<u16>>,
    slots: HashMap<(Vec<u8>, usize), usize>,
}

impl List {
    fn add(&mut self, key: (Vec<u8>, usize), rule: u16) {
        let slot = *self.slots.entry(key.clone()).or_insert(self.words.len());
        if slot == self.words.len() {
            self.words.push(key);
            self.rules_of.push(Vec::new());
        }
        if !self.rules_of[slot].contains(&rule) {
            self.rules_of[slot].push(rule);
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        starts(self.rules_of.iter().map(Vec::len), out)?;
        let rules = self.rules_of.iter().flatten();
        out.extend(rules.flat_map(|rule| rule.to_le_bytes()));
        Some(())
    }
}

impl Keywords {
    /// Those of all rules. `None`: more than an index can name.
    pub fn of(rules: &[Rule]) -> Option<Self> {
        let mut keywords = Keywords::default();
        for (index, rule) in rules.iter().enumerate() {
            let index = u16::try_from(index).ok()?;
            let folded = rule.form != Form::Pattern || rule.pattern.contains("(?i");
            let (list, gaps) = match rule.form {
                Form::Named { telling: true, .. } => (&mut keywords.near, true),
                Form::Named { .. } => (&mut keywords.everywhere, true),
                _ => (&mut keywords.everywhere, false),
            };
            for word in &rule.keywords {
                let words = match gaps {
                    true => respaced(word),
                    false => vec![word.clone()],
                };
                for key in words.iter().flat_map(|word| spelled_out(word, folded)) {
                    list.add(key, index);
                }
            }
            if list.words.len() > KEYWORDS_MAX {
                return None;
            }
        }
        let words = &mut keywords.everywhere.words;
        words.extend(MARKS.iter().map(|mark| (mark.to_vec(), mark.len())));
        words.extend(TELLING.iter().map(|word| (word.as_bytes().to_vec(), 0)));
        for word in TELLING_SHORT {
            // `keyCode`, `keyValue`: behind this one anything may stand.
            let more = if *word == "key" {
                "abcdefghjklmnopqrtuvwxyz"
            } else {
                ""
            };
            words.extend(BEHIND_SHORT.chars().chain(more.chars()).map(|behind| {
                let behind = u8::try_from(u32::from(behind)).unwrap_or(b' ');
                ([word.as_bytes(), &[behind]].concat(), 0)
            }));
        }
        Some(keywords)
    }
}

/// The pack of these rules, as one sequence of bytes that is read in place. Numbers have 4 bytes and are little-endian:
/// how many rules, how many keywords of rules everywhere and near, bytes of the first tables, bytes before them; for each
/// list where the rules of each keyword begin, and the end, and the indices of these rules (2 bytes each); where each rule
/// begins, and the end; the rules; where each group of words for people begins, and the end; these groups, packed; the
/// tables of [`grams::build`] for each list. `None`: more than an index can name.
pub fn pack(rules: &[Rule], common: &Common, tries: u32) -> Option<Vec<u8>> {
    let keywords = Keywords::of(rules)?;
    let mut out = Vec::new();
    keywords.everywhere.write(&mut out)?;
    keywords.near.write(&mut out)?;
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
    let everywhere = grams::build(&keywords.everywhere.words, common, tries);
    let near = grams::build(&keywords.near.words, common, tries.min(20));
    let lists = [&keywords.everywhere, &keywords.near].map(|list| list.rules_of.len());
    let mut pack = Vec::new();
    for count in [rules.len(), lists[0], lists[1], everywhere.len(), out.len()] {
        pack.extend(u32::try_from(count).ok()?.to_le_bytes());
    }
    for part in [out, everywhere, near] {
        pack.extend(part);
    }
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
