//! The secret rules as static tables. Nothing is parsed or compiled before a keyword hits.

use std::io::Read as _;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use super::compile::{Form, GROUP, REGEX_MAX_BYTES};
use super::marks::MARKS;
use super::prefilter::{Prefilter, u16_at, u32_at};
use super::validators::Validator;
use crate::finding::Confidence;

/// How far behind the name of a provider its value may stand, in bytes.
pub(super) const NEAR_BYTES: usize = 64;

/// Which rule wins when two match the same bytes. Ordered: the most specific is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A telling name and a value.
    Generic,
    /// A format that many products share: keys in armour, URLs, tokens in configuration files.
    Context,
    /// One vendor's format.
    Vendor,
}

/// A look around a keyword that costs next to nothing. Words such as `password` or `https://` stand everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// No guard.
    None,
    /// An assignment follows: behind the rest of the name `=`, `:`, a comma, a bracket.
    Assignment,
    /// A colon and then an at sign follow before the authority of a URL ends.
    Userinfo,
    /// A tilde follows on the same line.
    Tilde,
}

impl Guard {
    /// `end` is the end of the keyword.
    pub(super) fn admits(self, text: &[u8], end: usize) -> bool {
        let rest = &text[end..];
        match self {
            Guard::None => true,
            Guard::Assignment => {
                let closes =
                    |byte: &u8| in_name(byte) || closes_name(byte) || matches!(byte, b'|' | b'?');
                matches!(
                    skip(rest, 36, closes).first(),
                    Some(b'=' | b':' | b',' | b'(' | b'>')
                )
            }
            Guard::Userinfo => {
                let mut colon = false;
                for byte in rest.iter().take(256) {
                    match byte {
                        b':' => colon = true,
                        b'@' => return colon,
                        b'/' | b'?' | b'#' | b' ' | b'\n' | b'"' | b'\'' | b'<' | b'>' | b'`' => {
                            return false;
                        }
                        _ => {}
                    }
                }
                false
            }
            Guard::Tilde => {
                let line = rest.iter().take(128).take_while(|byte| **byte != b'\n');
                line.into_iter().any(|byte| *byte == b'~')
            }
        }
    }
}

fn skip(text: &[u8], most: usize, what: impl Fn(&u8) -> bool) -> &[u8] {
    let count = text.iter().take(most).take_while(|byte| what(byte)).count();
    &text[count..]
}

/// One secret format.
#[derive(Clone, Copy)]
pub struct SecretRule {
    /// `secret/<provider-kind>`.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// How the values are found.
    pub form: Form,
    /// The pattern, over bytes, without Unicode. The value is its first group that took part, or the match. Empty for
    /// [`Form::Assigned`].
    pub pattern: &'static str,
    /// Whether the pattern has a group.
    pub captures: bool,
    /// What looks closer.
    pub validator: Validator,
    /// Confidence of a match that no validator could prove or refute.
    pub confidence: Confidence,
    /// The part of the value that every one has and that may be shown.
    pub prefix: Option<&'static str>,
    /// Longest match, in bytes.
    pub reach: usize,
    /// Against rules that match the same bytes.
    pub rank: Rank,
    /// The value must not be the middle of a longer word.
    pub edges: bool,
    /// What must stand around a keyword before the regex is asked.
    pub guard: Guard,
    /// Documented examples: a whole value, or `*` and how it ends.
    pub ignore: &'static [&'static str],
    group: &'static Group,
    place: usize,
}

impl SecretRule {
    /// Whether the rule must be asked when one of its keywords stands at `keyword`.
    pub(super) fn admits(&self, text: &[u8], keyword: Range<usize>) -> bool {
        match self.form {
            Form::Pattern => self.guard.admits(text, keyword.end),
            Form::Named { shortest, .. } => {
                let to = self.window(keyword.clone(), text.len()).end;
                has_run(&text[keyword.end..to], usize::from(shortest), NEAR_BYTES)
            }
            Form::Assigned => may_assign(&text[keyword.end..]),
        }
    }

    /// Where it is asked then, in a text of so many bytes.
    pub(super) fn window(&self, keyword: Range<usize>, length: usize) -> Range<usize> {
        match self.form {
            Form::Pattern => {
                let from = keyword.end.saturating_sub(self.reach);
                from..(keyword.start + self.reach).min(length)
            }
            Form::Named { .. } => {
                keyword.start..(keyword.end + NEAR_BYTES + self.reach).min(length)
            }
            Form::Assigned => keyword,
        }
    }

    /// How far before and behind a window the bytes lie that tell what the rule finds in it, and that it does not go on.
    pub(super) fn around(&self) -> (usize, usize) {
        let context = self.validator.context();
        match self.form {
            // Another keyword beside it, and what must follow that.
            Form::Pattern => (context.max(self.reach + 64), context.max(self.reach + 400)),
            // The same, and the telling words around that.
            Form::Named { .. } => {
                let beside = self.reach + 1_200;
                (context.max(beside), context.max(beside))
            }
            Form::Assigned => (512, 1_024),
        }
    }
}

/// Whether a value may stand behind the rest of a name. Such words are everywhere; most of what follows them in code is
/// no value.
fn may_assign(text: &[u8]) -> bool {
    let rest = skip(skip(text, 24, in_name), 12, closes_name);
    // Every value has digits or capitals.
    let made = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    !matches!(rest.first(), None | Some(b'.' | b';' | b'{' | b'}' | b'/'))
        && rest.iter().take(96).any(made)
}

fn in_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn closes_name(byte: &u8) -> bool {
    matches!(
        byte,
        b'"' | b'\'' | b'`' | b']' | b')' | b' ' | b'\t' | b'\\' | b'*'
    )
}

/// How far a name may stand from a telling word.
const NEAR_TELLING: usize = 2 * NEAR_BYTES;

/// Whether a value that a provider may have issued follows a telling word.
pub(super) fn has_value_near(text: &[u8], word: usize) -> bool {
    const VALUE_MIN_BYTES: usize = 12;
    let to = (word + NEAR_TELLING + VALUE_MIN_BYTES).min(text.len());
    has_run(&text[word..to], VALUE_MIN_BYTES, NEAR_TELLING)
}

/// Where a name may stand near a telling word, in a text of so many bytes.
pub(super) fn near(word: usize, length: usize) -> Range<usize> {
    word.saturating_sub(NEAR_TELLING)..(word + NEAR_TELLING).min(length)
}

/// Whether a run of so many letters, digits and marks with a digit in it starts within reach.
fn has_run(text: &[u8], shortest: usize, reach: usize) -> bool {
    let mut start = 0;
    // Looked at from the far end: what ends a run there spares the rest of it.
    while start < reach
        && let Some(run) = text.get(start..start + shortest)
    {
        if let Some(end) = run.iter().rposition(|byte| ENDS_RUN[usize::from(*byte)]) {
            start += end + 1;
            continue;
        }
        let rest = text[start..].iter();
        let mut run = rest.take_while(|byte| !ENDS_RUN[usize::from(**byte)]);
        let length = run.clone().count();
        if run.any(u8::is_ascii_digit) {
            return true;
        }
        start += length + 1;
    }
    false
}

/// What no value is made of: blanks, quotes, brackets.
const ENDS_RUN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        ends[byte] = matches!(
            byte as u8,
            0..=b' '
                | b'"'
                | b'\''
                | b'`'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'<'
                | b'>'
                | b','
                | b';'
        );
        byte += 1;
    }
    ends
};

/// What people want to know of a rule.
#[derive(Debug)]
pub struct About {
    /// Who issues the secret.
    pub provider: &'static str,
    /// More words, Markdown. May be empty.
    pub description: &'static str,
    /// How to make the secret worthless.
    pub revoke: &'static str,
    /// The rule file.
    pub file: &'static str,
    /// One of these stands in every match, or before every value.
    pub keywords: &'static [&'static str],
    /// The vendor's pages.
    pub references: &'static [&'static str],
    /// Ids in frameworks of controls.
    pub controls: &'static [&'static str],
    /// Sample formats, see [`super::sample`].
    pub examples: &'static [&'static str],
    /// Texts that must not match.
    pub negatives: &'static [&'static str],
}

/// The words of a few rules, packed, and unpacked on first use.
struct Group {
    packed: &'static [u8],
    rules: OnceLock<Vec<About>>,
}

impl Group {
    fn unpack(&self) -> Option<Vec<About>> {
        let mut words = Vec::new();
        let mut packed = flate2::read::ZlibDecoder::new(self.packed);
        packed.read_to_end(&mut words).ok()?;
        let mut rest = Reader(Vec::leak(words));
        let mut rules = Vec::with_capacity(GROUP);
        while !rest.0.is_empty() {
            rules.push(About {
                provider: rest.text()?,
                description: rest.text()?,
                revoke: rest.text()?,
                file: rest.text()?,
                keywords: rest.list()?,
                references: rest.list()?,
                controls: rest.list()?,
                examples: rest.list()?,
                negatives: rest.list()?,
            });
        }
        Some(rules)
    }
}

impl SecretRule {
    /// What people want to know of it.
    pub fn about(&self) -> &'static About {
        let unpacked = || self.group.unpack().expect("a pack is written whole");
        &self.group.rules.get_or_init(unpacked)[self.place]
    }

    /// Reads what [`super::compile::pack`] wrote.
    fn read(bytes: &'static [u8], group: &'static Group, place: usize) -> Option<Self> {
        let mut rest = Reader(bytes);
        let form = rest.number()?;
        let shortest = rest.short()?;
        let reach = usize::from(rest.short()?);
        let (_, validator) = *Validator::ALL.get(usize::from(rest.number()?))?;
        let confidence = match rest.number()? {
            0 => Confidence::Likely,
            _ => Confidence::Possible,
        };
        let rank = match rest.number()? {
            0 => Rank::Generic,
            1 => Rank::Context,
            _ => Rank::Vendor,
        };
        let guard = match rest.number()? {
            0 => Guard::None,
            1 => Guard::Assignment,
            2 => Guard::Userinfo,
            _ => Guard::Tilde,
        };
        let flags = rest.number()?;
        let (id, title, pattern, prefix) = (rest.text()?, rest.text()?, rest.text()?, rest.text()?);
        Some(SecretRule {
            id,
            title,
            form: match form {
                0 => Form::Pattern,
                1 => Form::Assigned,
                telling => Form::Named {
                    telling: telling == 3,
                    shortest,
                },
            },
            pattern,
            captures: flags & 1 != 0,
            validator,
            confidence,
            prefix: (flags & 4 != 0).then_some(prefix),
            reach,
            rank,
            edges: flags & 2 != 0,
            guard,
            ignore: rest.list()?,
            group,
            place,
        })
    }
}

struct Reader(&'static [u8]);

impl Reader {
    fn number(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn short(&mut self) -> Option<u16> {
        let (two, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_le_bytes(*two))
    }

    fn text(&mut self) -> Option<&'static str> {
        let length = usize::from(self.short()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn list(&mut self) -> Option<&'static [&'static str]> {
        let count = self.short()?;
        let texts: Option<Vec<&'static str>> = (0..count).map(|_| self.text()).collect();
        Some(Vec::leak(texts?))
    }
}

/// A rule that was asked for, and its regex.
struct Loaded {
    rule: SecretRule,
    regex: OnceLock<Option<Regex>>,
}

/// Where the id of a rule begins in its bytes: behind its numbers.
const ID_AT: usize = 10;

/// Places of rules, in groups too: a push that meets ten rules has no time to make places for thousands.
type Places = Box<[OnceLock<&'static Loaded>]>;

/// Rules that were compiled: bytes that are read in place. A rule is loaded when a keyword of it hits.
pub struct Pack {
    bytes: &'static [u8],
    count: usize,
    /// Finds the keywords that may stand anywhere. Behind those of rules come the marks of compressed streams, then the
    /// words that tell of a value.
    pub prefilter: Prefilter<'static>,
    keywords_of_rules: usize,
    rules_of: Parts,
    /// Finds the names of providers.
    pub names: Prefilter<'static>,
    rules_of_name: Parts,
    records: Parts,
    groups: Vec<&'static Group>,
    loaded: Box<[OnceLock<Places>]>,
}

/// Parts that stand one behind another, and where each begins.
struct Parts {
    starts: &'static [u8],
    bytes: &'static [u8],
}

impl Parts {
    /// So many parts, in units of so many bytes, and what follows them.
    fn read(bytes: &'static [u8], count: usize, unit: usize) -> Option<(Self, &'static [u8])> {
        let (starts, rest) = bytes.split_at_checked(4 * (count + 1))?;
        let end = usize::try_from(u32_at(starts, count)).ok()?;
        let (bytes, rest) = rest.split_at_checked(unit * end)?;
        Some((Parts { starts, bytes }, rest))
    }

    /// Where the part stands, in its unit.
    fn range(&self, index: usize) -> Range<usize> {
        u32_at(self.starts, index) as usize..u32_at(self.starts, index + 1) as usize
    }

    fn part(&self, index: usize) -> &'static [u8] {
        &self.bytes[self.range(index)]
    }

    /// The part as numbers of two bytes.
    fn numbers(&self, index: usize) -> impl Iterator<Item = u16> {
        self.range(index).map(|at| u16_at(self.bytes, at))
    }
}

/// What a keyword is for.
pub(super) enum Kind<R> {
    /// These rules want to hear of it.
    Rules(R),
    /// A compressed stream may stand there.
    Mark,
    /// A value may follow that belongs to a provider whose name is near.
    Telling,
}

/// The pack that is part of the program.
pub static BUILTIN: LazyLock<Pack> = LazyLock::new(|| {
    let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/secrets.pack"));
    Pack::of(bytes).expect("the build script wrote a pack")
});

impl Pack {
    /// All of it, as it was compiled: two packs with the same bytes find the same.
    pub fn bytes(&self) -> &'static [u8] {
        self.bytes
    }

    /// Reads what [`super::compile::pack`] wrote, in place. `None`: it is none.
    pub(super) fn of(bytes: &'static [u8]) -> Option<Self> {
        let (counts, rest) = bytes.split_first_chunk::<20>()?;
        let number = |at: usize| usize::try_from(u32_at(counts, at)).ok();
        let (count, keywords_of_rules, names) = (number(0)?, number(1)?, number(2)?);
        let (rules, tables) = rest.split_at_checked(number(4)?)?;
        let (everywhere, near) = tables.split_at_checked(number(3)?)?;
        let (rules_of, rest) = Parts::read(rules, keywords_of_rules, 2)?;
        let (rules_of_name, rest) = Parts::read(rest, names, 2)?;
        let (records, rest) = Parts::read(rest, count, 1)?;
        let (packed, _) = Parts::read(rest, count.div_ceil(GROUP), 1)?;
        let group = |index| -> &'static Group {
            Box::leak(Box::new(Group {
                packed: packed.part(index),
                rules: OnceLock::new(),
            }))
        };
        let groups = 0..count.div_ceil(GROUP);
        Some(Pack {
            bytes,
            count,
            prefilter: Prefilter::of(everywhere)?,
            keywords_of_rules,
            rules_of,
            names: Prefilter::of(near)?,
            rules_of_name,
            records,
            loaded: groups.clone().map(|_| OnceLock::new()).collect(),
            groups: groups.map(group).collect(),
        })
    }

    /// Of its rules, without the words for people.
    pub(super) fn checksum(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        for parts in [&self.rules_of, &self.rules_of_name, &self.records] {
            sum.update(parts.starts);
            sum.update(parts.bytes);
        }
        sum.finalize()
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All rules, by file and place in it.
    pub fn rules(&self) -> impl Iterator<Item = &'static SecretRule> {
        (0..self.count).map(|index| self.rule(index))
    }

    /// The rule with this index.
    pub fn rule(&self, index: usize) -> &'static SecretRule {
        &self.loaded(index).rule
    }

    /// The rule with this id.
    pub fn find(&self, id: &str) -> Option<&'static SecretRule> {
        // The id is the first text: others are not loaded for it.
        let length = u16::try_from(id.len()).ok()?.to_le_bytes();
        let has = |index: &usize| {
            let text = self.records.part(*index).get(ID_AT..).unwrap_or_default();
            text.starts_with(&length) && text[length.len()..].starts_with(id.as_bytes())
        };
        (0..self.count).find(has).map(|index| self.rule(index))
    }

    fn loaded(&self, index: usize) -> &'static Loaded {
        let (group, place) = (index / GROUP, index % GROUP);
        let places =
            self.loaded[group].get_or_init(|| (0..GROUP).map(|_| OnceLock::new()).collect());
        places[place].get_or_init(|| {
            let rule = SecretRule::read(self.records.part(index), self.groups[group], place);
            Box::leak(Box::new(Loaded {
                rule: rule.expect("a pack is written whole"),
                regex: OnceLock::new(),
            }))
        })
    }

    /// What a keyword of the prefilter is for.
    pub(super) fn keyword(&self, keyword: usize) -> Kind<impl Iterator<Item = u16>> {
        if keyword < self.keywords_of_rules {
            Kind::Rules(self.rules_of.numbers(keyword))
        } else if keyword < self.keywords_of_rules + MARKS.len() {
            Kind::Mark
        } else {
            Kind::Telling
        }
    }

    /// The rules that want to hear of a name.
    pub(super) fn rules_of_name(&self, name: usize) -> impl Iterator<Item = u16> {
        self.rules_of_name.numbers(name)
    }

    /// The regex of a rule, compiled on first use. `None`: it does not compile, which the tests rule out for the
    /// program's own, and [`super::load`] for a user's.
    pub(super) fn regex(&self, rule: usize) -> Option<&'static Regex> {
        let loaded = self.loaded(rule);
        let regex = loaded
            .regex
            .get_or_init(|| compiled(loaded.rule.pattern).ok());
        regex.as_ref()
    }
}

pub(super) fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_MAX_BYTES)
        .build()
}
