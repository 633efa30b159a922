//! Letters written as escapes: `%5F`, `\u005f`, `\x5f`, `&#95;`. What shows as it is needs none, so that they are rare.

use std::ops::Range;

/// How far around an escape its text is read, at most to the ends of the line.
const AROUND_BYTES: usize = 256;

/// The surroundings of escaped letters, with their escapes taken out.
pub(super) fn unescaped(text: &[u8]) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut parts = Vec::new();
    let mut covered = 0;
    for at in memchr::memchr3_iter(b'%', b'\\', b'&', text) {
        if at < covered || !escape(&text[at..]).is_some_and(|(letter, _)| is_letter(letter)) {
            continue;
        }
        let back = &text[covered.max(at.saturating_sub(AROUND_BYTES))..at];
        let line = memchr::memrchr(b'\n', back).map_or(0, |newline| newline + 1);
        let start = at - back.len() + line;
        let mut plain = text[start..at].to_vec();
        let (mut next, mut last) = (at, at);
        while next < text.len() && next - last < AROUND_BYTES && text[next] != b'\n' {
            let (byte, length) = escape(&text[next..]).unwrap_or((text[next], 1));
            plain.push(byte);
            next += length;
            if length > 1 && is_letter(byte) {
                last = next;
            }
        }
        parts.push((start..next, plain));
        covered = next;
    }
    parts
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The ASCII character of the escape that the text starts with, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let (letter, length) = match text {
        [b'%', rest @ ..] => (number(rest.get(..2)?, 16)?, 3),
        [b'\\', b'x', rest @ ..] => (number(rest.get(..2)?, 16)?, 4),
        [b'\\', b'u', rest @ ..] => (number(rest.get(..4)?, 16)?, 6),
        [b'&', b'#', b'x' | b'X', rest @ ..] => {
            let end = rest.iter().take(7).position(|byte| *byte == b';')?;
            (number(&rest[..end], 16)?, end + 4)
        }
        [b'&', b'#', rest @ ..] => {
            let end = rest.iter().take(7).position(|byte| *byte == b';')?;
            (number(&rest[..end], 10)?, end + 3)
        }
        _ => return None,
    };
    let letter = u8::try_from(letter).ok()?;
    letter.is_ascii().then_some((letter, length))
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |number: u32, digit| {
        Some(number * base + char::from(*digit).to_digit(base)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_only_letters() {
        let text = br"one%5Ftwo \u005f \x5F &#95; &#x5f; %zz %20 \n end";
        let parts = unescaped(text);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].0, 0..text.len());
        assert_eq!(parts[0].1, br"one_two _ _ _ _ %zz   \n end");
        for plain in [
            "100% of 20%20",
            r"\u00e9\x00\n",
            "&amp; &#8217; &#; &#x;",
            "%",
            "\\u00",
            "%4",
        ] {
            assert!(unescaped(plain.as_bytes()).is_empty(), "{plain}");
        }
    }

    #[test]
    fn lines_are_apart() {
        let parts = unescaped(b"first\na%41\nsecond\n%42b\n");
        let plain: Vec<&[u8]> = parts.iter().map(|(_, plain)| plain.as_slice()).collect();
        assert_eq!(plain, [b"aA".as_slice(), b"Bb"]);
    }
}
