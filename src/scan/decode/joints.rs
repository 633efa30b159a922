//! Secrets that are cut into pieces: strings put together by an operator, by standing beside one another or by a list that is
//! joined, lines that go on after a backslash, and, behind a keyword, anything else that a program or a reader skips.
//!
//! What is put together here was never written as one. So it can only give secrets of formats that are told by
//! themselves, and only where the value goes over a seam: `Run::joined` sees to that.

use super::derived::Derived;

/// Longest part that may stand between two pieces.
const JOINT_MAX_BYTES: usize = 256;
/// Bytes of a secret that are followed, all pieces together.
const RUN_MAX_BYTES: usize = 8 << 10;
/// Shorter words are no secret.
const RUN_MIN_BYTES: usize = 16;
/// Bytes of the same line before the first piece: a name, the start of a URL.
const CONTEXT_BYTES: usize = 96;

/// JSON writes a slash like this.
const ESCAPED_SLASH: &[u8] = b"\\/";

/// What may stand between two pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// What one of the common languages takes for nothing.
    Operators,
    /// The same, and commas: the list is joined elsewhere.
    Commas,
    /// Also what a program or a reader may skip. The keyword before it must be whole.
    Anything,
}

/// Whether the quote or backslash at `at` may join two pieces. Most are refused here by the byte after them.
#[inline]
pub(super) fn may_join(text: &[u8], at: usize) -> bool {
    let Some(next) = text.get(at + 1) else {
        return false;
    };
    if text[at] == b'\\' {
        return matches!(next, b'\n' | b'\r') && at > 0 && is_word(text[at - 1]);
    }
    let may = matches!(
        next,
        b' ' | b'+'
            | b'\n'
            | b'"'
            | b'\''
            | b'.'
            | b'&'
            | b'~'
            | b'|'
            | b'<'
            | b'\r'
            | b'\t'
            | b'\\'
            | b'}'
            | b'`'
    );
    if !may || at == 0 {
        // `'g', 'h'`: a list of letters.
        return *next != b' '
            && text.get(at + 2) == Some(&text[at])
            && text.get(at + 3) == Some(&b',')
            && is_word(*next);
    }
    let left = match text[at - 1] {
        b'\\' if at > 1 => text[at - 2],
        left => left,
    };
    is_word(left) && over(text, at, Between::Operators).is_some_and(|next| goes_on(text, next))
}

/// The same in a list that is joined elsewhere.
pub(super) fn may_join_list(text: &[u8], at: usize) -> bool {
    is_quote(text[at])
        && at > 0
        && is_word(text[at - 1])
        && over(text, at, Between::Commas).is_some_and(|next| goes_on(text, next))
}

/// A list of letters begins with the quote at `at`.
pub(super) fn is_letters(text: &[u8], at: usize) -> bool {
    text[at] != b'\\' && text.get(at + 2) == Some(&text[at]) && text.get(at + 3) == Some(&b',')
}

/// A piece, or an empty string, follows.
fn goes_on(text: &[u8], at: usize) -> bool {
    text.get(at)
        .is_some_and(|byte| is_word(*byte) || is_quote(*byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'+' | b'.' | b'~' | b'@')
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// What a piece may be made of: no blank, no quote, no backslash.
fn is_piece(byte: u8) -> bool {
    byte.is_ascii_graphic() && !is_quote(byte) && !matches!(byte, b'\\' | b'`')
}

/// The pieces from the word at `at` on, put together. `None`: nothing is, or it is too short. The second: where the last
/// piece ends.
pub(super) fn joined(
    text: &[u8],
    at: usize,
    from: usize,
    between: Between,
) -> (Option<Derived>, usize) {
    let at = match between {
        Between::Commas if is_letters(text, at) => at + 1,
        _ if is_quote(text[at]) && at > from && text[at - 1] == b'\\' => at - 1,
        _ => at,
    };
    // Behind a keyword the word is whole: what stands before it is context.
    let back = match between {
        Between::Anything => 0,
        _ => RUN_MAX_BYTES,
    };
    let back = &text[from.max(at.saturating_sub(back))..at];
    let back = back.iter().rev().take_while(|byte| is_piece(**byte));
    let start = at - back.count();
    // Most words stand alone.
    let first = start + piece(&text[start..], between);
    if joint(text, first, between).is_none() {
        return (None, first);
    }
    let context = &text[from.max(start.saturating_sub(CONTEXT_BYTES))..start];
    let line = memchr::memrchr(b'\n', context).map_or(0, |newline| newline + 1);
    let mut plain = Derived::default();
    plain.copy(text, start - context.len() + line..start);
    let before = plain.text.len();
    let mut next = start;
    while next < text.len() && plain.text.len() - before < RUN_MAX_BYTES {
        let end = next + piece(&text[next..], between);
        plain.copy(text, next..end);
        next = end;
        let Some(after) = joint(text, next, between) else {
            break;
        };
        if text[next..].starts_with(ESCAPED_SLASH) {
            plain.put(b"/", next..after);
        }
        plain.seam();
        next = after;
    }
    let long = plain.text.len() - before >= RUN_MIN_BYTES;
    let is_any = long && plain.has_seams();
    // What follows tells where the value ends.
    let tail = (next + 2).min(text.len());
    plain.copy(text, next..tail);
    (is_any.then_some(plain), next)
}

/// How many bytes the piece has that a text begins with.
fn piece(text: &[u8], between: Between) -> usize {
    let run = text.iter().take(RUN_MAX_BYTES);
    let ends = |byte: u8| match between {
        // What separates may be made of the bytes of pieces: tags, commas of a list, soft line breaks.
        Between::Anything => matches!(byte, b'<' | b',' | b')' | b']' | b'=' | b'#'),
        _ => false,
    };
    run.take_while(|byte| is_piece(**byte) && !ends(**byte))
        .count()
}

/// Where the next piece starts, behind one that ends at `at`.
fn joint(text: &[u8], at: usize, between: Between) -> Option<usize> {
    if text[at..].starts_with(ESCAPED_SLASH) {
        return Some(at + ESCAPED_SLASH.len());
    }
    over(text, at, between).filter(|after| *after > at && goes_on(text, *after))
}

/// The place where the text goes on behind a joint that begins at `at`: the first byte of the next piece.
fn over(text: &[u8], at: usize, between: Between) -> Option<usize> {
    let rest = &text[at..text.len().min(at + JOINT_MAX_BYTES)];
    let quote = match rest {
        [quote, ..] if is_quote(*quote) => 1,
        [b'\\', quote, ..] if is_quote(*quote) => 2,
        // A line that goes on.
        [b'\\', b'\n', ..] | [b'\\', b'\r', b'\n', ..] => {
            return Some(at + 1 + blanks(&rest[1..]));
        }
        _ if between == Between::Anything => return over_anything(rest).map(|count| at + count),
        _ => return None,
    };
    match over_operator(&rest[quote..], between) {
        Some(count) => Some(at + quote + count),
        // Quotes inside a word, as a shell takes them.
        None if between == Between::Anything && rest.get(quote).is_some_and(|b| is_word(*b)) => {
            Some(at + quote)
        }
        None => None,
    }
}

fn blanks(text: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b'\r' | b'\n');
    text.iter().take_while(is_blank).count()
}

/// From behind a closing quote to behind the next opening one.
fn over_operator(rest: &[u8], between: Between) -> Option<usize> {
    let mut at = 0;
    let mut operators = 0;
    loop {
        let here = &rest[at..];
        let (count, is_operator) = match here {
            [b' ' | b'\t' | b'\r' | b'\n', ..] => (1, false),
            [quote, ..] if is_quote(*quote) => return (operators <= 1).then_some(at + 1),
            [b'\\', quote, ..] if is_quote(*quote) => return (operators <= 1).then_some(at + 2),
            // Lines that go on: C, Python, shells; PowerShell; Visual Basic.
            [b'\\' | b'`', b'\r' | b'\n', ..] => (1, false),
            [b'_', b'\r' | b'\n', ..] => (1, false),
            // The source of a notebook: each line is a string of a list.
            [b'\\', b'n', b'"', b',', ..] => {
                let next = 4 + blanks(&here[4..]);
                (
                    if here.get(next) == Some(&b'"') {
                        next + 1
                    } else {
                        return None;
                    },
                    false,
                )
            }
            [b'\\', b'n', ..] => (2, false),
            [b'.', b'c' | b'C', ..] if here[1..].len() > 7 && here[2..].starts_with(b"oncat(") => {
                (8, true)
            }
            [b'+', b'+', ..] | [b'.', b'.', ..] | [b'|', b'|', ..] => (2, true),
            [b'<', b'>', ..] | [b'<', b'<', ..] => (2, true),
            [b'+' | b'.' | b'&' | b'~' | b'^', ..] => (1, true),
            [b'}', b'$', b'{', ..] | [b'}', b'#', b'{', ..] => (3, true),
            [b'}', b'{', ..] => (2, true),
            [b'(' | b')', ..] if operators > 0 || between != Between::Operators => (1, false),
            [b')', b'.', ..] | [b')', b' ', b'+', ..] => (1, false),
            [b',', ..] if between != Between::Operators => (1, true),
            [b'/', b'/', ..] if at > 0 => (comment(here, b"\n")?, false),
            [b'/', b'*', ..] => (comment(here, b"*/")?, false),
            [b'#', ..] if at > 0 => (comment(here, b"\n")?, false),
            // `f"…"`, `@"…"`.
            [
                b'f' | b'r' | b'b' | b'u' | b'F' | b'R' | b'B' | b'U' | b'L' | b'@' | b'$',
                quote,
                ..,
            ] if is_quote(*quote) && at > 0 => (1, false),
            _ => return None,
        };
        at += count;
        operators += usize::from(is_operator);
    }
}

fn comment(rest: &[u8], end: &[u8]) -> Option<usize> {
    memchr::memmem::find(rest, end).map(|at| at + end.len())
}

/// Line ends with what begins a line, NUL bytes, letters without width, tags, kerning of PDF.
fn over_anything(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let here = &rest[at..];
        let count = match here {
            [b'\r' | b'\n', ..] => {
                let mut next = blanks(here);
                // A comment, a quotation, the mark of a diff, a list.
                while matches!(here.get(next), Some(b'#' | b'*' | b'>' | b'|' | b';')) {
                    next += 1 + blanks(&here[next + 1..]);
                }
                if here[next..].starts_with(b"// ") || here[next..].starts_with(b"-- ") {
                    next += 3;
                }
                if here.get(next).is_some_and(|byte| is_quote(*byte)) {
                    next += 1;
                }
                next
            }
            [b'=', b'\r' | b'\n', ..] => 1,
            [b'`' | b'_', b'\r' | b'\n', ..] => 1,
            [b'\\', b'n', b'"', b',', ..] => 3,
            [b'\\', b'n', ..] => 2,
            [b'\\', b'r', b'\\', b'n', ..] => 4,
            [b',', b'\r' | b'\n', ..] | [b' ' | b'\t', b'\r' | b'\n', ..] => 1,
            [0, ..] => here.iter().take_while(|byte| **byte == 0).count(),
            // Zero-width space, joiners, marks of direction; word joiner; byte order mark; soft hyphen.
            [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0, ..] | [0xef, 0xbb, 0xbf, ..] => 3,
            [0xc2, 0xad, ..] => 2,
            [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'/', ..] => comment(here, b">")?,
            [b')', ..] => {
                let number = |byte: &&u8| matches!(**byte, b'0'..=b'9' | b'-' | b'.' | b' ');
                let next = 1 + here[1..].iter().take_while(number).count();
                if here.get(next) != Some(&b'(') {
                    return None;
                }
                next + 1
            }
            _ => return (at > 0).then_some(at),
        };
        at += count;
    }
}

/// Tags of Office files between two words.
const PARTING_TAGS: &[&[u8]] = &[
    b"</w:p",
    b"<w:br",
    b"<w:tab",
    b"</a:p",
    b"<a:br",
    b"</si",
    b"</text:p",
    b"<text:line-break",
    b"<text:tab",
];

/// A text without tags, for the runs of Office files. Ends of paragraphs and cells part words.
pub(super) fn without_tags(text: &[u8]) -> Derived {
    let mut plain = Derived::default();
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'<', &text[at..]) {
        let open = at + open;
        plain.copy(text, at..open);
        let Some(close) = memchr::memchr(b'>', &text[open..]) else {
            return plain;
        };
        let tag = &text[open..open + close];
        at = open + close + 1;
        let tag = tag.strip_suffix(b"/").unwrap_or(tag);
        if PARTING_TAGS.contains(&tag.trim_ascii_end()) {
            plain.put(b"\n", open..at);
        } else {
            plain.seam();
        }
    }
    plain.copy(text, at..text.len());
    plain
}

/// A mail body: `=5F`, and lines that end in `=`.
pub(super) fn from_quoted_printable(text: &[u8], from: usize) -> Derived {
    let mut plain = Derived::default();
    let mut at = from;
    while let Some(sign) = memchr::memchr(b'=', &text[at..]) {
        let sign = at + sign;
        plain.copy(text, at..sign);
        let rest = &text[sign..];
        at = sign
            + match rest {
                [_, b'\n', ..] => 2,
                [_, b'\r', b'\n', ..] => 3,
                [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    let four = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
                    let byte = u8::try_from(four(*high) << 4 | four(*low)).unwrap_or(0);
                    plain.put(&[byte], sign..sign + 3);
                    plain.seam();
                    at = sign + 3;
                    continue;
                }
                _ => {
                    plain.copy(text, sign..sign + 1);
                    1
                }
            };
        plain.seam();
    }
    plain.copy(text, at..text.len());
    plain
}
