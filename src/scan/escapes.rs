//! Letters written as escapes: `%5F`, `\u005f`, `\x5f`, `\137`, `&#95;`. What shows as it is needs none, so that they are
//! rare.

use super::decode::Derived;

/// How far around an escape its text is read, at most to the ends of the line.
const AROUND_BYTES: usize = 256;

/// Whether the byte at `at`, one of `%`, `\` and `&`, starts an escape that may hide a part of a secret.
#[inline]
pub(super) fn is_telling(text: &[u8], at: usize) -> bool {
    let rest = &text[at..];
    match rest {
        // Every URL in the JSON of some languages.
        [b'\\', b'/', b'\\', b'/', ..] => text[..at].ends_with(b":"),
        [b'\\', b'/', ..] => false,
        [b'\\', b'x' | b'u' | b'U' | b'0'..=b'3' | b'\\', ..]
        | [b'%', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]
        | [b'&', b'#' | b'a'..=b'z' | b'U', ..] => {
            escape(rest).is_some_and(|(letter, _)| is_letter(letter))
        }
        _ => false,
    }
}

/// The surroundings of an escaped letter at `at`, with their escapes taken out. They begin at `from` or later.
pub(super) fn unescaped(text: &[u8], at: usize, from: usize) -> (Derived, usize) {
    let back = &text[from.max(at.saturating_sub(AROUND_BYTES))..at];
    let line = memchr::memrchr(b'\n', back).map_or(0, |newline| newline + 1);
    let start = at - back.len() + line;
    let mut plain = Derived::default();
    plain.copy(text, start..at);
    let (mut next, mut last) = (at, at);
    while next < text.len() && next - last < AROUND_BYTES && text[next] != b'\n' {
        match escape(&text[next..]) {
            Some((byte, length)) => {
                plain.put(&[byte], next..next + length);
                next += length;
                if is_letter(byte) {
                    last = next;
                }
            }
            None => {
                plain.copy(text, next..next + 1);
                next += 1;
            }
        }
    }
    (plain, next)
}

/// What secrets, and URLs with secrets, are made of.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'-' | b'+' | b'/' | b':' | b'@' | b'.' | b'~' | b'='
        )
}

/// The ASCII character of the escape that the text starts with, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let (letter, length) = match text {
        [b'%', rest @ ..] => {
            // The percent sign may be written so itself, more than once.
            let mut skipped = 0;
            while skipped < 16
                && rest[skipped..].starts_with(b"25")
                && rest
                    .get(skipped + 2..skipped + 4)
                    .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
            {
                skipped += 2;
            }
            (number(rest.get(skipped..skipped + 2)?, 16)?, skipped + 3)
        }
        [b'\\', ..] => {
            // In a text inside another the backslash itself is escaped.
            let slashes = text
                .iter()
                .take(16)
                .take_while(|byte| **byte == b'\\')
                .count();
            let rest = &text[slashes..];
            let (letter, length) = match rest {
                [b'x', rest @ ..] => (number(rest.get(..2)?, 16)?, 3),
                [b'u', b'{', rest @ ..] => {
                    let end = rest.iter().take(9).position(|byte| *byte == b'}')?;
                    (number(&rest[..end], 16)?, end + 3)
                }
                [b'u', rest @ ..] => (number(rest.get(..4)?, 16)?, 5),
                [b'U', rest @ ..] => (number(rest.get(..8)?, 16)?, 9),
                [b'0'..=b'3', ..] => (number(rest.get(..3)?, 8)?, 3),
                [b'/', ..] => (u32::from(b'/'), 1),
                _ => return None,
            };
            (letter, slashes + length)
        }
        [b'&', b'#', b'x' | b'X', rest @ ..] => {
            let end = rest.iter().take(9).position(|byte| *byte == b';')?;
            (number(&rest[..end], 16)?, end + 4)
        }
        [b'&', b'#', rest @ ..] => {
            let end = rest.iter().take(9).position(|byte| *byte == b';')?;
            (number(&rest[..end], 10)?, end + 3)
        }
        [b'&', rest @ ..] => {
            let end = rest.iter().take(12).position(|byte| *byte == b';')?;
            (u32::from(named(&rest[..end])?), end + 2)
        }
        _ => return None,
    };
    let letter = u8::try_from(letter).ok()?;
    letter.is_ascii().then_some((letter, length))
}

/// The names of HTML for ASCII characters that stand in secrets or around them.
fn named(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"lowbar" | b"UnderBar" => b'_',
        b"hyphen" | b"dash" => b'-',
        b"period" => b'.',
        b"colon" => b':',
        b"sol" => b'/',
        b"plus" => b'+',
        b"equals" => b'=',
        b"commat" => b'@',
        b"num" => b'#',
        b"quot" => b'"',
        b"apos" => b'\'',
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        _ => return None,
    })
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |number, digit| {
        number
            .checked_mul(base)?
            .checked_add(char::from(*digit).to_digit(base)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        let mut covered = 0;
        for at in memchr::memchr3_iter(b'%', b'\\', b'&', text) {
            if at >= covered && is_telling(text, at) {
                let (plain, end) = unescaped(text, at, covered);
                covered = end;
                parts.push(plain.text);
            }
        }
        parts
    }

    #[test]
    fn every_kind_and_only_letters() {
        let text = br"one%5Ftwo \u005f \x5F &#95; &#x5f; %zz %20 \n end";
        assert_eq!(all(text), [br"one_two _ _ _ _ %zz   \n end"]);
        let text = br"%255F %25255f \u{5f} \U0000005f \137 &lowbar; \\u005f \\\\x5f &colon;&sol;";
        assert_eq!(all(text), [b"_ _ _ _ _ _ _ _ :/"]);
        assert_eq!(all(br#""https:\/\/a\/b""#), [br#""https://a/b""#]);
        for plain in [
            "100% of 20%20",
            r"\u00e9\x00\n",
            "&amp; &#8217; &#; &#x;",
            "%",
            "\\u00",
            "%4",
            r"\1 \12 C:\999",
            r"/\d+\/\w+/",
            "&nbsp;&middot;",
            r"\u{110000}\U99999999 &#99999999;",
        ] {
            assert!(all(plain.as_bytes()).is_empty(), "{plain}");
        }
    }

    #[test]
    fn lines_are_apart() {
        assert_eq!(
            all(b"first\na%41\nsecond\n%42b\n"),
            [b"aA".as_slice(), b"Bb"]
        );
    }
}
