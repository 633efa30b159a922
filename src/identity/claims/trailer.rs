//! Trailers, read as git, forges and people read them.

use std::ops::Range;

use bstr::{BStr, ByteSlice as _};

use super::MESSAGE_MAX_BYTES;
use crate::policy;

/// Where the lines of a message stand that are read.
pub(super) fn lines(message: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let read = &message[..message.len().min(MESSAGE_MAX_BYTES)];
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        // A carriage return moves a terminal to the start of the line, so what follows it is read as a line.
        let Some(length) = read[start..].find_byteset(b"\n\r") else {
            next = None;
            return Some(start..read.len());
        };
        let end = start + length;
        let is_pair = read[end..].starts_with(b"\r\n");
        next = Some(end + if is_pair { 2 } else { 1 });
        Some(start..end)
    })
}

/// A line `Key: value`, wherever it stands in a message: forges and people read it there too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer<'a> {
    /// In lower case, with hyphens between its words.
    pub key: String,
    /// Without the blanks around it.
    pub value: &'a BStr,
}

/// A colon, and what looks like one.
const COLONS: &[&str] = &[":", "\u{2236}", "\u{a789}", "\u{fe55}", "\u{ff1a}"];

impl<'a> Trailer<'a> {
    /// Reads a line: the key, and where the value begins. `None`: it is not one, or it is quoted (`>`) or indented like code.
    fn key(line: &[u8]) -> Option<(String, usize)> {
        const KEY_MAX_BYTES: usize = 64;
        let start = line.iter().position(|byte| *byte != b' ')?;
        if start >= 4 {
            return None;
        }
        let head = &line[start..line.len().min(start + KEY_MAX_BYTES + 1)];
        let colons = COLONS
            .iter()
            .filter_map(|colon| Some((head.find(colon)?, colon.len())));
        let (colon, length) = colons.min()?;
        let words = head[..colon].trim_end();
        // Letters of another script that look like these, and what takes no room.
        let spelled = match words.is_ascii() {
            true => words.to_vec(),
            false => policy::spelled_form(words),
        };
        let key: String = String::from_utf8(spelled)
            .ok()?
            .chars()
            .map(|letter| match letter {
                // Dashes that look like a hyphen, and what people write instead of one.
                '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}' | ' ' | '_' => '-',
                letter => letter.to_ascii_lowercase(),
            })
            .collect();
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        is_key.then_some((key, start + colon + length))
    }

    /// The trailers of a message, in their order.
    pub fn all(message: &'a [u8]) -> impl Iterator<Item = Trailer<'a>> {
        let mut lines = lines(message).peekable();
        std::iter::from_fn(move || {
            loop {
                let line = lines.next()?;
                let Some((key, at)) = Trailer::key(&message[line.clone()]) else {
                    continue;
                };
                let mut end = line.end;
                // git folds: a line that starts with a blank goes on with the value.
                let goes_on = |next: &Range<usize>| {
                    let next = &message[next.clone()];
                    next.starts_with_str(" ") || next.starts_with_str("\t")
                };
                while let Some(next) = lines.peek().filter(|next| goes_on(next))
                    && !message[next.clone()].trim().is_empty()
                    && Trailer::key(&message[next.clone()]).is_none()
                {
                    end = next.end;
                    lines.next();
                }
                let value = message[line.start + at..end].trim().as_bstr();
                return Some(Trailer { key, value });
            }
        })
    }

    /// The value as `Name <mail>`.
    pub fn person(&self) -> (&'a [u8], &'a [u8]) {
        Trailer::person_in(self.value)
    }

    /// Name and address of `Name <mail>`. Without brackets, or with more behind them, all of it is the name: a line with two
    /// people is not the word of the first.
    pub fn person_in(value: &[u8]) -> (&[u8], &[u8]) {
        let inside = value.trim().strip_suffix(b">");
        match inside.and_then(|inside| Some((inside, inside.find_byte(b'<')?))) {
            Some((inside, open)) if !inside[open + 1..].contains(&b'>') => {
                (inside[..open].trim(), inside[open + 1..].trim())
            }
            _ => (value, b""),
        }
    }

    /// Whether somebody takes responsibility by it: signs off, reviews, approves, tests, or several of these.
    pub fn is_approval(&self) -> bool {
        let is_done = |word: &str| {
            matches!(
                word,
                "signed" | "reviewed" | "approved" | "acked" | "tested" | "verified" | "lgtm"
            )
        };
        let joins = |word: &str| matches!(word, "off" | "and" | "reported");
        match self.key.strip_suffix("-by") {
            Some(done) => {
                let mut words = done.split('-');
                words.clone().any(is_done) && words.all(|word| is_done(word) || joins(word))
            }
            None => matches!(self.key.as_str(), "reviewer" | "approver"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_trailers() {
        for (line, key) in [
            ("Signed-off-by: alice <a@b.example>", Some("signed-off-by")),
            ("  reviewed by : alice", Some("reviewed-by")),
            ("Reviewed\u{2011}by: alice", Some("reviewed-by")),
            ("Re\u{200b}viewed-by: alice", Some("reviewed-by")),
            ("R\u{435}viewed-by: alice", Some("reviewed-by")),
            ("\u{ff32}eviewed\u{a0}by\u{ff1a} alice", Some("reviewed-by")),
            ("    Signed-off-by: alice", None),
            ("> Signed-off-by: alice", None),
            ("no colon", None),
            (": empty", None),
        ] {
            let found = Trailer::all(line.as_bytes()).next();
            assert_eq!(found.map(|one| one.key).as_deref(), key, "{line}");
        }
        let of = |line: &'static str| Trailer::all(line.as_bytes()).next().unwrap();
        let two = of("Signed-off-by: a <a@b.example>, c <c@d.example>");
        assert_eq!(two.person().1, b"");
        let trailer = of("Signed-off-by: Alice A. <a@b.example> ");
        assert_eq!(trailer.person(), (&b"Alice A."[..], &b"a@b.example"[..]));
        assert!(trailer.is_approval());
        assert!(!of("Co-authored-by: a <a@b.example>").is_approval());
        assert!(of("Reviewed-and-tested-by: a").is_approval());
        assert!(of("Reported-and-tested-by: a").is_approval());
        for other in [
            "Designed-by: a",
            "Manually tested by: curl",
            "- Reviewed-by: is read",
            "Reported-by: a",
        ] {
            assert!(!of(other).is_approval(), "{other}");
        }
    }

    #[test]
    fn values_that_git_folds_are_read_whole() {
        for (text, values) in [
            ("Reviewed-by:\n alice", &["alice"][..]),
            ("Reviewed-by:\r\n\talice\r\n a\r\nx", &["alice\r\n a"]),
            ("Reviewed-by: bob\n    alice", &["bob\n    alice"]),
            ("Reviewed-by: bob\n  Tested-by: alice", &["bob", "alice"]),
            ("Reviewed-by:\n\n alice", &[""]),
            ("Reviewed-by:\n \n alice", &[""]),
            ("Reviewed-by: bob\nalice", &["bob"]),
        ] {
            let found: Vec<_> = Trailer::all(text.as_bytes()).map(|one| one.value).collect();
            assert_eq!(found, values, "{text:?}");
        }
    }
}
