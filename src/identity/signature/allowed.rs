//! The allowed-signers file, as `ssh-keygen -Y verify` reads it (ssh-keygen(1), ALLOWED SIGNERS): which key may sign for whom,
//! for what, and when.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ssh::{self, Certificate};

/// One line that gives a key a right.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Patterns of those it signs for.
    principals: Vec<u8>,
    /// Certificates of this key are meant, not the key itself.
    authority: bool,
    namespaces: Option<Vec<u8>>,
    /// Seconds since 1970: the first and the last when it holds.
    after: Option<i64>,
    before: Option<i64>,
    key: Vec<u8>,
}

/// What a file of allowed signers says of a key that signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// No line is about it.
    Unknown,
    /// A line knows it, but not for signatures of git.
    OtherNamespace,
    /// A line knows it, and its time is over or has not come.
    OutOfTime,
    /// The certificate's own time is over or has not come.
    CertificateOutOfTime,
    /// It may sign.
    Good,
}

/// Reads a file. What is wrong with a line is told with its number; the line gives nobody a right.
pub(super) fn read(text: &[u8], zone: &TimeZone) -> (Vec<Line>, Vec<(usize, &'static str)>) {
    let (mut lines, mut mistakes) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        match read_line(line, zone) {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => {}
            Err(mistake) => mistakes.push((number, mistake)),
        }
    }
    (lines, mistakes)
}

fn read_line(line: &[u8], zone: &TimeZone) -> Result<Option<Line>, &'static str> {
    let line = line.trim_ascii();
    if line.is_empty() || line[0] == b'#' {
        return Ok(None);
    }
    if line.contains(&0) {
        return Err("holds a NUL byte");
    }
    let (principals, rest) = first_word(line).ok_or("has no key")?;
    if let Some(key) = plain_key(rest)? {
        return Ok(Some(Line {
            principals,
            authority: false,
            namespaces: None,
            after: None,
            before: None,
            key,
        }));
    }
    let end = end_of_options(rest).ok_or("has options without their last quote")?;
    let (options, rest) = rest.split_at(end);
    let options = Options::read(options, zone)?;
    let key = plain_key(rest.trim_ascii_start())?.ok_or("has no key that can be read")?;
    Ok(Some(Line {
        principals,
        authority: options.authority,
        namespaces: options.namespaces,
        after: options.after,
        before: options.before,
        key,
    }))
}

/// The first word, which may hold blanks between quotes, and what follows it.
fn first_word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let stop = line.iter().position(|byte| blank(byte) || *byte == b'"')?;
    let (mut word, mut rest) = (line[..stop].to_vec(), &line[stop + 1..]);
    if line[stop] == b'"' {
        let end = rest.iter().position(|byte| *byte == b'"')?;
        word.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
    }
    Some((word, rest.trim_ascii_start()))
}

/// A key at the start of the text. `None`: something else stands there.
fn plain_key(text: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    match ssh::read_key(text) {
        Some(key) if ssh::kind(&key).is_some_and(ssh::is_certificate) => {
            Err("names a certificate; name its authority, with cert-authority")
        }
        key => Ok(key),
    }
}

/// Where the options end: at the first blank outside of quotes.
fn end_of_options(text: &[u8]) -> Option<usize> {
    let (mut at, mut quoted) = (0, false);
    while at < text.len() && (quoted || !matches!(text[at], b' ' | b'\t')) {
        match (text[at], text.get(at + 1)) {
            (b'\\', Some(b'"')) => at += 1,
            (b'"', _) => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    (at < text.len() || !quoted).then_some(at)
}

#[derive(Default)]
struct Options {
    authority: bool,
    namespaces: Option<Vec<u8>>,
    after: Option<i64>,
    before: Option<i64>,
}

impl Options {
    fn read(mut text: &[u8], zone: &TimeZone) -> Result<Options, &'static str> {
        let mut found = Options::default();
        while !text.is_empty() {
            if starts_with(text, b"cert-authority") {
                found.authority = true;
                text = &text[b"cert-authority".len()..];
            } else if starts_with(text, b"namespaces=") {
                let value = quoted(&mut text)?;
                if found.namespaces.replace(value).is_some() {
                    return Err("has `namespaces` twice");
                }
            } else if starts_with(text, b"valid-after=") {
                let moment = moment(&quoted(&mut text)?, zone)?;
                if found.after.replace(moment).is_some() {
                    return Err("has `valid-after` twice");
                }
            } else if starts_with(text, b"valid-before=") {
                let moment = moment(&quoted(&mut text)?, zone)?;
                if found.before.replace(moment).is_some() {
                    return Err("has `valid-before` twice");
                }
            }
            match text.split_first() {
                None => break,
                Some((b',', [])) => return Err("has options that end with a comma"),
                Some((b',', rest)) => text = rest,
                Some(_) => return Err("has an unknown option"),
            }
        }
        match (found.after, found.before) {
            (Some(after), Some(before)) if before <= after => {
                Err("has `valid-before` before `valid-after`")
            }
            _ => Ok(found),
        }
    }
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(start))
}

/// The value between quotes behind `name=`, which is taken off the text.
fn quoted(text: &mut &[u8]) -> Result<Vec<u8>, &'static str> {
    let start = text.iter().position(|byte| *byte == b'=').unwrap_or(0) + 1;
    if text.get(start) != Some(&b'"') {
        return Err("has an option whose value is not in quotes");
    }
    let mut value = Vec::new();
    let mut at = start + 1;
    loop {
        match (text.get(at), text.get(at + 1)) {
            (None, _) => return Err("has an option without its last quote"),
            (Some(b'\\'), Some(b'"')) => {
                value.push(b'"');
                at += 2;
            }
            (Some(b'"'), _) => break,
            (Some(byte), _) => {
                value.push(*byte);
                at += 1;
            }
        }
    }
    *text = &text[at + 1..];
    Ok(value)
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC with a `Z` behind it, else in the zone of the machine.
fn moment(text: &[u8], zone: &TimeZone) -> Result<i64, &'static str> {
    const WRONG: &str = "has a time that is none: YYYYMMDD[HHMM[SS]][Z]";
    let ends = |end: &[u8]| {
        let start = text.len().checked_sub(end.len())?;
        text[start..]
            .eq_ignore_ascii_case(end)
            .then_some(&text[..start])
    };
    let (digits, zone) = match ends(b"UTC").or_else(|| ends(b"Z")) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(WRONG);
    }
    let part = |range: std::ops::Range<usize>| {
        let digits = digits.get(range).unwrap_or_default();
        digits
            .iter()
            .fold(0_i16, |number, digit| number * 10 + i16::from(digit - b'0'))
    };
    let small = |range| i8::try_from(part(range)).unwrap_or(i8::MAX);
    let civil = DateTime::new(
        part(0..4),
        small(4..6),
        small(6..8),
        small(8..10),
        small(10..12),
        small(12..14),
        0,
    )
    .map_err(|_| WRONG)?;
    let seconds = civil
        .to_zoned(zone.clone())
        .map_err(|_| WRONG)?
        .timestamp()
        .as_second();
    if seconds > 0 { Ok(seconds) } else { Err(WRONG) }
}

/// How good the key or certificate is that signed, for `principal`; without one, for anybody. `now` in seconds since 1970.
pub(super) fn standing(
    lines: &[Line],
    signer: &[u8],
    principal: Option<&[u8]>,
    now: i64,
) -> Standing {
    let certificate = Certificate::parse(signer);
    lines
        .iter()
        .filter(|line| principal.is_none_or(|name| in_list(name, &line.principals)))
        .map(|line| line.standing(signer, certificate.as_ref(), principal, now))
        .max()
        .unwrap_or(Standing::Unknown)
}

impl Line {
    fn standing(
        &self,
        signer: &[u8],
        certificate: Option<&Certificate<'_>>,
        principal: Option<&[u8]>,
        now: i64,
    ) -> Standing {
        let mut standing = Standing::Good;
        match certificate {
            None if !self.authority && self.key == signer => {}
            Some(certificate) if self.authority && certificate.authority == self.key => {
                let named = |names: Vec<&[u8]>| match principal {
                    Some(principal) => names.contains(&principal),
                    None => !names.is_empty(),
                };
                // One without names is for everybody, and so for nobody in particular.
                if !certificate.principals().is_some_and(named) {
                    return Standing::Unknown;
                }
                let now = u64::try_from(now).unwrap_or(0);
                if now < certificate.after || now >= certificate.before {
                    standing = Standing::CertificateOutOfTime;
                }
            }
            _ => return Standing::Unknown,
        }
        if let Some(namespaces) = &self.namespaces
            && !in_list(b"git", namespaces)
        {
            return Standing::OtherNamespace;
        }
        if self.after.is_some_and(|after| now < after)
            || self.before.is_some_and(|before| now > before)
        {
            return Standing::OutOfTime;
        }
        standing
    }
}

/// Whether a name is in a list of patterns: `*` and `?`, `!` before one that must not match.
fn in_list(name: &[u8], list: &[u8]) -> bool {
    let mut found = false;
    for pattern in list.split(|byte| *byte == b',') {
        match pattern.strip_prefix(b"!") {
            Some(not) if matches(name, not) => return false,
            Some(_) => {}
            None => found |= matches(name, pattern),
        }
    }
    found
}

/// Matching with the last `*` alone to go back to: never more than the product of the lengths.
fn matches(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(b'?') => {
                at += 1;
                in_pattern += 1;
            }
            Some(byte) if *byte == name[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match &mut star {
                Some((start, taken)) => {
                    *taken += 1;
                    (in_pattern, at) = (*start + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

/// The zone of the machine, in which times without a `Z` are meant. UTC where it cannot be read.
pub(super) fn local_zone() -> TimeZone {
    std::fs::read("/etc/localtime")
        .ok()
        .and_then(|data| TimeZone::tzif("local", &data).ok())
        .unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_of_the_machine() {
        let east = TimeZone::fixed(jiff::tz::offset(9));
        let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        for (text, expected) in [
            ("20260615", "2026-06-14T15:00:00Z"),
            ("202606151230", "2026-06-15T03:30:00Z"),
            ("20260615123059", "2026-06-15T03:30:59Z"),
            ("20260615Z", "2026-06-15T00:00:00Z"),
            ("20260615123059utc", "2026-06-15T12:30:59Z"),
        ] {
            assert_eq!(
                moment(text.as_bytes(), &east),
                Ok(second(expected)),
                "{text}"
            );
        }
        for text in [
            "",
            "Z",
            "2026061",
            "20260631",
            "202606152460",
            "19700101Z",
            "2026-06-15",
        ] {
            assert!(moment(text.as_bytes(), &east).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_take_time_within_bounds() {
        let name = [b'a'; 4000];
        let pattern = b"*a".repeat(1000);
        assert!(matches(&name, &pattern));
        assert!(!matches(&name, &[&pattern[..], b"b"].concat()));
        assert!(matches(b"", b"**") && !matches(b"", b"?") && matches(b"a*c", b"a\x2ac"));
    }
}
