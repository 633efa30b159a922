//! From a keyword to a secret: the rule's regex around it, the edges, the validator, placeholders.

use std::cmp::Reverse;
use std::ops::Range;

use super::compile::Form;
use super::names;
use super::randomness::{ODD_NATS, surprise};
use super::rules::{NEAR_BYTES, Pack, SecretRule};
use super::validators::{Judgement, assigned, beside_provider, in_reference, judge};
use super::{Rank, Validator};
use crate::budget::{Budget, Exhausted};
use crate::finding::Confidence;

/// What a closer look at one match costs, in bytes of regex work.
const CANDIDATE_COST: usize = 1024;

/// The same where the validator follows the text for kilobytes.
const FOLLOWED_COST: usize = 8 << 10;

/// The clock is asked once for so much work: well under a millisecond.
const CLOCK_COST: u64 = 128 << 10;

/// Matches of one text that are told. Nobody reads more, and each must be compared with the others.
const MATCHES_MAX: u64 = 2_000;

/// What a rule found in one layer of a text.
pub(super) struct Confirmed {
    pub(super) rule: &'static SecretRule,
    pub(super) value: Range<usize>,
    pub(super) confidence: Confidence,
    pub(super) named: Named,
}

/// By which name a value was found, if by one. Among several it is the one in the identifier nearest to the value, and
/// there the one that starts first, for `urlbox_key` is not of Box. Larger is better.
pub(super) type Named = Option<(usize, Reverse<usize>)>;

/// The work that is left for one text, in all its layers.
pub(super) struct Work {
    left: u64,
    matches_left: u64,
    since_clock: u64,
}

impl Work {
    pub(super) fn new(left: u64) -> Self {
        Work {
            left,
            matches_left: MATCHES_MAX,
            since_clock: 0,
        }
    }

    /// Bytes that regexes may still walk over, and matches that may still be told.
    pub(super) fn left(&self) -> (u64, u64) {
        (self.left, self.matches_left)
    }

    /// Keeps what was found, or says why not.
    fn found(&mut self, found: Confirmed, out: &mut Vec<Confirmed>) -> Result<(), &'static str> {
        let left = self.matches_left.checked_sub(1);
        self.matches_left = left.ok_or("more secrets than are told of one text")?;
        out.push(found);
        Ok(())
    }

    /// Notes work that has no bound of its own, and asks the clock now and then. Every loop goes through here.
    pub(super) fn pace(&mut self, cost: usize, budget: &Budget) -> Result<(), Exhausted> {
        self.since_clock += cost as u64;
        if self.since_clock >= CLOCK_COST {
            self.since_clock = 0;
            budget.check_time()?;
        }
        Ok(())
    }
}

/// Where a rule must be asked: from `start` to `end`.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) rule: u16,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the last keyword in it starts.
    pub(super) keyword: usize,
}

/// Asks the rule about one window. A text: why it stopped before the end of the window. What lies further around it than
/// the rule looks is not shown to it, so that the answer cannot depend on that.
pub(super) fn window(
    pack: &Pack,
    text: &[u8],
    window: Window,
    work: &mut Work,
    budget: &Budget,
    out: &mut Vec<Confirmed>,
) -> Result<Option<&'static str>, Exhausted> {
    let rule = pack.rule(usize::from(window.rule));
    let (before, behind) = match rule.form {
        Form::Assigned => rule.around(),
        _ => (rule.validator.context(), rule.validator.context()),
    };
    let from = window.start.saturating_sub(before);
    let shown = &text[from..(window.end + behind).min(text.len())];
    let first = out.len();
    let inner = Window {
        rule: window.rule,
        start: window.start - from,
        end: window.end - from,
        keyword: window.keyword - from,
    };
    let stopped = asked(pack, shown, inner, work, budget, out);
    for found in &mut out[first..] {
        found.value = found.value.start + from..found.value.end + from;
        found.named = moved(found.named, |place| place + from);
    }
    stopped
}

/// The same name in a text where it stands elsewhere.
pub(super) fn moved(named: Named, place: impl Fn(usize) -> usize) -> Named {
    named.map(|(start, Reverse(name))| (place(start), Reverse(place(name))))
}

fn asked(
    pack: &Pack,
    text: &[u8],
    window: Window,
    work: &mut Work,
    budget: &Budget,
    out: &mut Vec<Confirmed>,
) -> Result<Option<&'static str>, Exhausted> {
    let index = usize::from(window.rule);
    let rule = pack.rule(index);
    if rule.form == Form::Assigned {
        let Some(left) = work.left.checked_sub(CANDIDATE_COST as u64) else {
            return Ok(Some("too much to look at closely"));
        };
        work.left = left;
        work.pace(CANDIDATE_COST, budget)?;
        let Some(found) = assignment(rule, text, window.start..window.end) else {
            return Ok(None);
        };
        return Ok(work.found(found, out).err());
    }
    let Some(regex) = pack.regex(index) else {
        return Ok(Some("a rule does not compile"));
    };
    let candidate_cost = match rule.validator.follows() {
        true => FOLLOWED_COST,
        false => CANDIDATE_COST,
    };
    let text_to = &text[..window.end];
    let mut at = window.start;
    while at < window.end {
        let found = regex.find_at(text_to, at);
        let walked = found.map_or(window.end, |found| found.end()) - at;
        let cost = walked + found.map_or(16, |_| candidate_cost);
        let Some(left) = work.left.checked_sub(cost as u64) else {
            return Ok(Some("too much to look at closely"));
        };
        work.left = left;
        work.pace(cost, budget)?;
        let Some(found) = found else { break };
        let value = if rule.captures {
            regex
                .captures_at(text_to, found.start())
                .and_then(|groups| groups.iter().skip(1).flatten().next().map(|m| m.range()))
                .unwrap_or(found.range())
        } else {
            found.range()
        };
        let confirmed = match rule.form {
            Form::Named { telling, .. } => {
                let name = match window.keyword < value.start {
                    true => window.keyword,
                    false => window.start,
                };
                named(rule, text, name, value, telling)
            }
            _ => confirm(rule, text, found.range(), value),
        };
        match confirmed {
            Some(confirmed) => {
                at = confirmed.value.end.max(found.start() + 1);
                if let Err(why) = work.found(confirmed, out) {
                    return Ok(Some(why));
                }
            }
            // The true one may start inside what was refused.
            None => at = found.start() + 1,
        }
    }
    Ok(None)
}

fn confirm(
    rule: &'static SecretRule,
    text: &[u8],
    found: Range<usize>,
    value: Range<usize>,
) -> Option<Confirmed> {
    let (judgement, value) = judge(rule, text, found, value);
    let bytes = &text[value.clone()];
    let confidence = match judgement {
        Judgement::Refuted => return None,
        Judgement::Proved => Confidence::Certain,
        Judgement::Plausible => rule.confidence,
        Judgement::Doubtful => Confidence::Possible,
    };
    if documented(rule, bytes) {
        return None;
    }
    // A proof needs no further evidence; without one the value must stand alone and look made by a machine.
    if judgement != Judgement::Proved {
        if rule.edges && !(left_edge(text, value.start) && right_edge(text, value.end)) {
            return None;
        }
        if is_placeholder(body(rule, bytes)) {
            return None;
        }
        if rule.rank != Rank::Vendor && in_reference(text, value.start, bytes) {
            return None;
        }
    }
    // Without a validator that knows the format, the letters must speak.
    let is_bare = rule.rank == Rank::Vendor && rule.validator == Validator::None;
    let confidence = match is_bare {
        true => confidence.min(generated(body(rule, bytes))?),
        false => confidence,
    };
    Some(Confirmed {
        rule,
        value,
        confidence,
        named: None,
    })
}

/// A value of the right shape behind the name of a provider.
fn named(
    rule: &'static SecretRule,
    text: &[u8],
    name: usize,
    value: Range<usize>,
    telling: bool,
) -> Option<Confirmed> {
    let bytes = &text[value.clone()];
    if documented(rule, bytes)
        || !(left_edge(text, value.start) && right_edge(text, value.end))
        || is_placeholder(bytes)
        || in_reference(text, value.start, bytes)
    {
        return None;
    }
    let before = &text[..value.start];
    let line = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    // A value that stands alone on its line belongs to what stands above it.
    let alone = before[line..]
        .iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'-'));
    let near = value.start.saturating_sub(NEAR_BYTES + 64);
    let context = match alone {
        true => &before[near..],
        false => &before[near.max(line)..],
    };
    // The line may begin with words that the name belongs to: `my_algolia_key`.
    let earlier = &text[name.saturating_sub(24).max(near)..value.start];
    if telling && !names::is_telling(context) && !(alone && names::is_telling(earlier)) {
        return None;
    }
    let (judgement, value) = match (beside_provider(context, bytes), rule.validator) {
        (Judgement::Refuted, _) => return None,
        (judgement, Validator::None) => (judgement, value),
        _ => judge(rule, text, value.clone(), value),
    };
    let confidence = match judgement {
        Judgement::Refuted => return None,
        Judgement::Proved => Confidence::Certain,
        Judgement::Plausible if is_assigned(before) && starts_word(text, name) => rule.confidence,
        Judgement::Plausible | Judgement::Doubtful => Confidence::Possible,
    };
    let joint = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let led = text[..name]
        .iter()
        .rev()
        .take(NEAR_BYTES)
        .take_while(|byte| joint(byte));
    Some(Confirmed {
        rule,
        value,
        confidence,
        named: Some((name - led.count(), Reverse(name))),
    })
}

/// Whether a word starts at `start`, be it inside an identifier: `acme_key`, `myAcmeKey`, `the acme key`.
fn starts_word(text: &[u8], start: usize) -> bool {
    match text[..start].last() {
        Some(before) if before.is_ascii_alphabetic() => {
            before.is_ascii_lowercase() && text[start].is_ascii_uppercase()
        }
        _ => true,
    }
}

/// Whether the value that follows is assigned, quoted, passed or put into a header.
fn is_assigned(before: &[u8]) -> bool {
    if matches!(before.last(), Some(b'"' | b'\'' | b'`')) {
        return true;
    }
    let outside = |byte: &&u8| matches!(**byte, b'"' | b'\'' | b'`' | b' ' | b'\t' | b'\\' | b'[');
    let skipped = before.iter().rev().take(16).take_while(outside).count();
    let before = &before[..before.len() - skipped];
    let word = |word: &[u8]| {
        before.len() >= word.len() && before[before.len() - word.len()..].eq_ignore_ascii_case(word)
    };
    matches!(before.last(), Some(b'=' | b':' | b'>' | b',' | b'('))
        || word(b"bearer")
        || word(b"token")
        || word(b"basic")
}

fn assignment(rule: &'static SecretRule, text: &[u8], word: Range<usize>) -> Option<Confirmed> {
    let (judgement, value) = assigned(rule, text, word)?;
    let bytes = &text[value.clone()];
    if documented(rule, bytes) || is_placeholder(bytes) {
        return None;
    }
    let confidence = match judgement {
        Judgement::Refuted => return None,
        Judgement::Proved | Judgement::Plausible => rule.confidence,
        Judgement::Doubtful => Confidence::Possible,
    };
    Some(Confirmed {
        rule,
        value,
        confidence,
        named: None,
    })
}

/// The value without the part that every one has.
fn body<'a>(rule: &SecretRule, value: &'a [u8]) -> &'a [u8] {
    rule.prefix
        .and_then(|prefix| value.strip_prefix(prefix.as_bytes()))
        .unwrap_or(value)
}

/// An example of the vendor's own documentation.
fn documented(rule: &SecretRule, value: &[u8]) -> bool {
    rule.ignore
        .iter()
        .any(|known| match known.strip_prefix('*') {
            Some(ending) => value.ends_with(ending.as_bytes()),
            None => value == known.as_bytes(),
        })
}

/// Whether a word can start at `start`. Escapes (`\n`, `%3D`, `\u003d`) end in letters and still are edges.
fn left_edge(text: &[u8], start: usize) -> bool {
    let before = &text[..start];
    match before.last() {
        None => return true,
        Some(byte) if !is_word(*byte) => return true,
        Some(_) => {}
    }
    let tail = |count: usize| before.len().checked_sub(count).map(|from| &before[from..]);
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    matches!(
        tail(2),
        Some([b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0'])
    ) || matches!(tail(3), Some([b'%', digits @ ..]) if hex(digits))
        || matches!(tail(4), Some([b'\\', b'x', digits @ ..]) if hex(digits))
        || matches!(tail(6), Some([b'\\', b'u', digits @ ..]) if hex(digits))
}

fn right_edge(text: &[u8], end: usize) -> bool {
    text.get(end).is_none_or(|byte| !is_word(*byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether the whole value stands for a secret that is not there: one character over and over, a counted
/// sequence, a repeated piece, a variable or a template. Never because of a word inside it.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let wrapped = |open: &[u8], close: &[u8]| {
        value.len() >= open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
    };
    if value.is_empty()
        || wrapped(b"<", b">")
        || wrapped(b"${", b"}")
        || wrapped(b"$(", b")")
        || wrapped(b"{{", b"}}")
        || wrapped(b"{", b"}")
        || wrapped(b"[", b"]")
        || wrapped(b"%", b"%")
    {
        return true;
    }
    if let Some(name) = value.strip_prefix(b"$")
        && name
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
    {
        return true;
    }
    let mut pieces = value
        .split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|piece| piece.len() >= 8)
        .peekable();
    is_drawn_out(value)
        || is_hex_speech(value)
        || (pieces.peek().is_some() && pieces.all(is_drawn_out))
}

/// Few characters, a counted sequence or a repeated piece.
fn is_drawn_out(value: &[u8]) -> bool {
    let mut seen = [0usize; 256];
    for byte in value {
        seen[usize::from(byte.to_ascii_lowercase())] += 1;
    }
    let distinct = seen.iter().filter(|count| **count > 0).count();
    let most = seen.iter().max().copied().unwrap_or(0);
    if distinct <= 2 || (value.len() >= 16 && (distinct < 5 || most * 5 >= value.len() * 3)) {
        return true;
    }
    if value.len() < 8 {
        return false;
    }
    // `0` follows `9` and `f`, `a` follows `9`: people count on.
    let counted = value
        .windows(2)
        .filter(|pair| {
            matches!(pair[1].wrapping_sub(pair[0]), 0 | 1 | 0xff)
                || matches!(
                    pair,
                    [b'9', b'0' | b'a' | b'A'] | [b'f' | b'F' | b'z' | b'Z', b'0' | b'a' | b'A']
                )
        })
        .count();
    counted * 4 >= (value.len() - 1) * 3
        || (1..=value.len() / 2).any(|period| value[period..] == value[..value.len() - period])
}

/// `deadbeef` and its like, from end to end.
fn is_hex_speech(value: &[u8]) -> bool {
    const WORDS: [&[u8; 4]; 12] = [
        b"dead", b"beef", b"cafe", b"babe", b"f00d", b"face", b"feed", b"c0de", b"d00d", b"0bad",
        b"fade", b"deaf",
    ];
    let (mut at, mut spoken, mut letters) = (0, 0, 0);
    while at < value.len() {
        let four = value[at..]
            .first_chunk::<4>()
            .map(|four| four.map(|byte| byte.to_ascii_lowercase()));
        let known = four.is_some_and(|four| WORDS.contains(&&four));
        let step = if known { 4 } else { 1 };
        spoken += if known { 4 } else { 0 };
        letters += if known {
            4
        } else {
            usize::from(value[at].is_ascii_alphanumeric())
        };
        at += step;
    }
    letters >= 8 && spoken * 4 >= letters * 3
}

/// How much a vendor's generator speaks from the value. `None`: a person wrote it, such as `your-key-goes-here`.
fn generated(body: &[u8]) -> Option<Confidence> {
    let count = |what: fn(&u8) -> bool| body.iter().filter(|byte| what(byte)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    if body.len() < 16 {
        return Some(Confidence::Certain);
    }
    let surprise = match letters {
        0 => 0.0,
        // Fixed letters before or behind hexadecimal digits change the alphabet.
        _ => surprise(body).max(surprise(longest_hex(body))),
    };
    // Seldom is such a value without any digit, or without any letter.
    if surprise < -ODD_NATS {
        None
    } else if surprise < 0.0 || (body.len() >= 20 && (digits == 0 || letters == 0)) {
        Some(Confidence::Possible)
    } else {
        Some(Confidence::Certain)
    }
}

/// The longest run of hexadecimal digits in one case.
fn longest_hex(body: &[u8]) -> &[u8] {
    let lower = body.split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let upper = body.split(|byte| !matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    lower
        .chain(upper)
        .max_by_key(|run| run.len())
        .unwrap_or_default()
}
