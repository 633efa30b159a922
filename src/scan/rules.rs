//! The secret rules as static tables. Nothing is parsed or compiled before a keyword hits.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use super::grams::Entry;
use super::prefilter::{Keyword, Prefilter};
use super::validators::Validator;
use crate::finding::Confidence;

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
    /// An assignment follows: at most some letters, quotes and blanks, then `=`, `:` or a comma.
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
                let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
                let rest = skip(rest, 16, name);
                let between =
                    |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b']' | b' ' | b'\t' | b'\\');
                let rest = skip(rest, 12, between);
                matches!(rest.first(), Some(b'=' | b':' | b','))
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
#[derive(Debug)]
pub struct SecretRule {
    /// `secret/<provider-kind>`.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Who issues it.
    pub provider: &'static str,
    /// More words, Markdown. May be empty.
    pub description: &'static str,
    /// The pattern, over bytes, without Unicode. The value is its first group that took part, or the match.
    pub pattern: &'static str,
    /// Whether the pattern has a group.
    pub captures: bool,
    /// One of these stands in every match, in any case.
    pub keywords: &'static [&'static str],
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
    /// How to make the secret worthless.
    pub revoke: &'static str,
    /// The vendor's pages.
    pub references: &'static [&'static str],
    /// Sample formats, see [`super::sample`].
    pub examples: &'static [&'static str],
    /// Texts that must not match.
    pub negatives: &'static [&'static str],
    /// The rule file.
    pub file: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/secret_rules.rs"));

/// A rule file that was compiled: tables, and a place for each regex.
pub struct Pack {
    /// The rules, by file and place in it.
    pub rules: &'static [SecretRule],
    /// Finds the keywords.
    pub prefilter: Prefilter<'static>,
    /// For each keyword of a rule, the rules that want to hear of it. Keywords beyond are marks of
    /// compressed streams.
    pub rules_of_keyword: &'static [&'static [u16]],
    compiled: &'static [OnceLock<Option<Regex>>],
}

/// The pack that is part of the program.
pub static BUILTIN: Pack = Pack {
    rules: &RULES,
    prefilter: PREFILTER,
    rules_of_keyword: RULES_OF_KEYWORD,
    compiled: &COMPILED,
};

impl Pack {
    /// The rule with this id.
    pub fn find(&self, id: &str) -> Option<&'static SecretRule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The regex of a rule, compiled on first use. `None`: it does not compile, which the build script rules
    /// out for the built-in pack.
    pub(super) fn regex(&self, rule: usize) -> Option<&'static Regex> {
        self.compiled
            .get(rule)?
            .get_or_init(|| {
                RegexBuilder::new(self.rules[rule].pattern)
                    .unicode(false)
                    .size_limit(4 << 20)
                    .build()
                    .ok()
            })
            .as_ref()
    }
}
