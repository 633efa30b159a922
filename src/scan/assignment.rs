//! A name and the value that it is given, as source code, configuration and data write them down.

use std::ops::Range;

/// Longest name and value, in bytes.
const NAME_MAX_BYTES: usize = 80;
const VALUE_MAX_BYTES: usize = 400;

/// What may stand between a name and its value, in bytes.
const BETWEEN_MAX_BYTES: usize = 64;

/// What a text assigns.
pub(super) struct Assignment {
    /// The whole name, without quotes.
    pub(super) name: Range<usize>,
    /// The value, without quotes.
    pub(super) value: Range<usize>,
    /// Whether quotes stand around the value.
    pub(super) quoted: bool,
    /// Nothing but a blank or a word of prose stands between them: the value must speak for itself.
    pub(super) loose: bool,
}

/// How a name and its value are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `=`, `:` and their kin.
    Sign(u8),
    /// `ENV NAME value`, `--name value`.
    Command,
    /// `name value`, `name is value`.
    Loose,
}

/// Reads the assignment whose name holds the word at `word`.
pub(super) fn around(text: &[u8], word: Range<usize>) -> Option<Assignment> {
    let name = whole_name(text, word)?;
    let name = with_word_before(text, name);
    if let Some(at) = paired(text, name.end) {
        return value(text, at, name, Joint::Sign(b'='));
    }
    let limit = text.len().min(name.end + BETWEEN_MAX_BYTES);
    // What closes the name: `"`, `']`, `\"`, `*`, a blank.
    let closes = |byte: &u8| {
        matches!(
            byte,
            b'"' | b'\'' | b'`' | b']' | b')' | b'\\' | b' ' | b'\t' | b'*' | b'!'
        )
    };
    let mut at = name.end
        + text[name.end..limit]
            .iter()
            .take_while(|byte| closes(byte))
            .count();
    let joint = match operator(&text[at..limit]) {
        Some((operator, length)) => {
            at += length;
            if operator == b':' {
                at += type_between(&text[at..limit]);
            }
            Joint::Sign(operator)
        }
        None => {
            let (joint, start) = without_operator(text, &name, limit)?;
            at = start;
            joint
        }
    };
    at += blanks(&text[at..limit.max(at)]);
    at += line_end(&text[at..], joint);
    // A call or a prefix around the value: `String::from("`, `b'`, `env("NAME", "`.
    let limit = text.len().min(at + BETWEEN_MAX_BYTES);
    let call = text[at..limit]
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b':' | b'_' | b'.' | b'@' | b'#' | b'&' | b'[' | b']')
        })
        .count();
    if let Some(b'(' | b'"' | b'\'') = text.get(at + call)
        && (call <= 2 || text[at + call] == b'(')
    {
        at += call + usize::from(text[at + call] == b'(');
    }
    value(text, at, name, joint)
}

/// The letters, digits and joints around the word.
fn whole_name(text: &[u8], word: Range<usize>) -> Option<Range<usize>> {
    let part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$');
    let before = text[..word.start]
        .iter()
        .rev()
        .take(NAME_MAX_BYTES)
        .take_while(|byte| part(byte))
        .count();
    let after = text[word.end..]
        .iter()
        .take(NAME_MAX_BYTES)
        .take_while(|byte| part(byte))
        .count();
    if before == NAME_MAX_BYTES || after == NAME_MAX_BYTES {
        return None;
    }
    // A word that starts or ends with a quote or a blank was looked for with it.
    let is_outside = |byte: u8| !part(&byte);
    let start = word.start - before + usize::from(is_outside(text[word.start]));
    let mut end = word.end + after;
    if is_outside(text[word.end - 1]) {
        end = word.end - 1;
    }
    (start < end).then_some(start..end)
}

/// `API key` is one name, and so is `Stripe secret`: a bare word says more with the one before it.
fn with_word_before(text: &[u8], name: Range<usize>) -> Range<usize> {
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric();
    if name.len() > 10 || !text[name.clone()].iter().all(u8::is_ascii_alphabetic) {
        return name;
    }
    let Some((b' ', before)) = text[..name.start].split_last() else {
        return name;
    };
    let word = before.iter().rev().take(24).take_while(letter).count();
    match (3..24).contains(&word) {
        true => name.start - 1 - word..name.end,
        false => name,
    }
}

/// Name and value as two values of a record: `name="…" value="…"`, `<key>…</key><string>…`, `- name: …` and `value: …`
/// on the next line. Gives where the second value starts.
fn paired(text: &[u8], name_end: usize) -> Option<usize> {
    let rest = &text[name_end..text.len().min(name_end + 2 * BETWEEN_MAX_BYTES)];
    if let Some(closing) = rest.strip_prefix(b"</") {
        // The next element, unless it is one that closes too.
        let at = memchr::memchr(b'<', closing)?;
        let open = memchr::memchr(b'>', &closing[at..])?;
        let between = memchr::memchr(b'>', closing)? + 1;
        let plain = between <= at && closing[between..at].iter().all(u8::is_ascii_whitespace);
        return (plain && closing[at + 1] != b'/').then_some(name_end + 2 + at + open + 1);
    }
    let between = |byte: &&u8| {
        byte.is_ascii_whitespace() || matches!(**byte, b'"' | b'\'' | b',' | b'\\' | b'-' | b';')
    };
    let skipped = rest.iter().take_while(between).count();
    let word = &rest[skipped..];
    let ends = |word: &[u8]| {
        let close = |byte: &&u8| matches!(**byte, b'"' | b'\'' | b'\\' | b' ');
        let quotes = word.iter().take_while(close).count();
        matches!(word.get(quotes), Some(b':' | b'=')).then_some(quotes + 1)
    };
    for known in [b"value".as_slice(), b"content", b"defaultvalue"] {
        if skipped > 0
            && word.len() > known.len()
            && word[..known.len()].eq_ignore_ascii_case(known)
        {
            let closed = ends(&word[known.len()..])?;
            let at = skipped + known.len() + closed;
            return Some(name_end + at + blanks(&rest[at..]));
        }
    }
    None
}

/// The operator that the text starts with: its kind and length.
fn operator(text: &[u8]) -> Option<(u8, usize)> {
    let found = match text {
        [b':', b':', b':', b'=', ..] => (b'=', 4),
        [b'|', b'|', b'=', ..]
        | [b'?', b'?', b'=', ..]
        | [b'=', b'=', b'=', ..]
        | [b':', b':', b'=', ..] => (b'=', 3),
        [b'=', b'>' | b'=', ..]
        | [b':' | b'?' | b'+' | b'.', b'=', ..]
        | [b'-', b'>', ..]
        | [b'<', b'-', ..]
        | [b'|', b'|', ..]
        | [b'?', b'?', ..] => (b'=', 2),
        // `name?: string = …`, `getenv(name) ?: …`
        [b'?', b':', ..] => (b':', 2),
        [b'=', ..] => (b'=', 1),
        [b':', ..] => (b':', 1),
        [b',', ..] => (b',', 1),
        [b'(', ..] => (b'(', 1),
        [b'>', ..] => (b'>', 1),
        [b'|', ..] => (b'|', 1),
        _ => return None,
    };
    Some(found)
}

/// `ENV NAME value`, `--name value`, `the name is value`: where the value starts, behind the blanks.
fn without_operator(text: &[u8], name: &Range<usize>, limit: usize) -> Option<(Joint, usize)> {
    let rest = &text[name.end..limit];
    let close = |byte: &&u8| matches!(**byte, b'"' | b'\'' | b'`' | b'*');
    let closed = rest.iter().take_while(close).count();
    let count = blanks(&rest[closed..]);
    if count == 0 {
        return None;
    }
    let at = name.end + closed + count;
    let line = memchr::memrchr(b'\n', &text[..name.start]).map_or(0, |end| end + 1);
    let line = text[line..name.start].trim_ascii_start();
    let command = [
        b"ENV".as_slice(),
        b"ARG",
        b"SetEnv",
        b"setx",
        b"set",
        b"setenv",
        b"export",
    ];
    let joint = match text[name.clone()].starts_with(b"--")
        || command
            .iter()
            .any(|word| line.strip_prefix(*word) == Some(b" "))
    {
        true => Joint::Command,
        false => Joint::Loose,
    };
    let word = [b"is ".as_slice(), b"to ", b"as ", b"= "];
    let prose = word.iter().find(|word| text[at..limit].starts_with(word));
    Some((joint, at + prose.map_or(0, |word| word.len())))
}

/// A value that starts on the next line: in an element, behind `=` in code, in a YAML block.
fn line_end(text: &[u8], joint: Joint) -> usize {
    let mark = match (joint, text) {
        (Joint::Sign(b':'), [b'|' | b'>', b'-' | b'+', ..]) => 2,
        (Joint::Sign(b':'), [b'|' | b'>', ..]) => 1,
        (Joint::Sign(b'='), [b'(' | b'\\', ..]) => 1,
        _ => 0,
    };
    let open = text[mark..].strip_prefix(b"\r").unwrap_or(&text[mark..]);
    if open.first() != Some(&b'\n') {
        return 0;
    }
    let start = text.len() - open.len() + 1;
    let start = start + blanks(&text[start..text.len().min(start + BETWEEN_MAX_BYTES)]);
    let quoted = matches!(text.get(start), Some(b'"' | b'\'' | b'`'));
    match joint {
        Joint::Sign(b'>') => start,
        Joint::Sign(b':') if mark > 0 || quoted => start,
        Joint::Sign(b'=') if quoted => start,
        _ => 0,
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// `: String = "…"`, `: &str = "…"`: the length of the type and its equals sign.
fn type_between(text: &[u8]) -> usize {
    let named = text
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b' ' | b'_' | b'&' | b'<' | b'>' | b'?' | b'*' | b'\'' | b'[' | b']'
                )
        })
        .count();
    match (text.get(named), text.get(named + 1)) {
        (Some(b'='), Some(next)) if *next != b'=' && named > 1 => named + 1,
        _ => 0,
    }
}

fn value(text: &[u8], at: usize, name: Range<usize>, joint: Joint) -> Option<Assignment> {
    let rest = text.get(at..text.len().min(at + VALUE_MAX_BYTES))?;
    let escaped = usize::from(matches!(rest, [b'\\', b'"' | b'\'', ..]));
    let loose = joint == Joint::Loose;
    if let Some(quote @ (b'"' | b'\'' | b'`')) = rest.get(escaped).copied() {
        let inner = &rest[escaped + 1..];
        let stop = |byte: &u8| *byte == quote || *byte == b'\n' || (escaped == 1 && *byte == b'\\');
        let length = inner.iter().position(stop)?;
        let start = at + escaped + 1;
        let closed =
            inner[length] == quote || (escaped == 1 && inner.get(length + 1) == Some(&quote));
        return closed.then_some(Assignment {
            name,
            value: start..start + length,
            quoted: true,
            loose,
        });
    }
    // Without quotes, a list or a call gives nothing to hold on to.
    if matches!(joint, Joint::Sign(b',' | b'(')) {
        return None;
    }
    let part = |byte: &u8| {
        byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'"' | b'\''
                    | b'`'
                    | b'<'
                    | b'>'
                    | b';'
                    | b','
                    | b'&'
                    | b'('
                    | b')'
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b'|'
                    | b'\\'
            )
    };
    let mut length = rest.iter().take_while(|byte| part(byte)).count();
    if loose && length > 0 && rest[length - 1] == b'.' {
        // The end of a sentence.
        length -= 1;
    }
    let behind = &rest[length..];
    let tail = &behind[blanks(behind)..];
    let ends = match joint {
        // Another element may follow on the next line.
        Joint::Sign(b'>') => behind.trim_ascii_start().starts_with(b"<"),
        Joint::Sign(b'|') => tail.starts_with(b"|"),
        // Behind it nothing, a comment, or what ends a statement, a query or a list.
        _ => {
            matches!(
                tail.first(),
                None | Some(
                    0 | b'\n' | b'\r' | b'#' | b'&' | b'<' | b'"' | b'\'' | b'\\' | b'`' | b';'
                )
            ) || tail.starts_with(b"//")
                || (blanks(behind) > 0 && joint != Joint::Sign(b':'))
                || (loose && matches!(tail.first(), Some(b'.' | b',' | b')')))
        }
    };
    (length > 0 && ends).then_some(Assignment {
        name,
        value: at..at + length,
        quoted: false,
        loose,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(&str, &str, bool)> {
        let at = text
            .find("token")
            .or_else(|| text.find("Token"))
            .or_else(|| text.find("TOKEN"))?;
        let found = around(text.as_bytes(), at..at + 5)?;
        Some((&text[found.name], &text[found.value], found.quoted))
    }

    #[test]
    fn the_common_languages() {
        for text in [
            "my_token = \"abc123\"",
            "my_token: 'abc123'",
            "\"my_token\": \"abc123\",",
            "my_token := `abc123`",
            "'my_token' => 'abc123',",
            "let my_token: &str = \"abc123\";",
            "const my_token : String = \"abc123\"",
            "config[\"my_token\"] = \"abc123\"",
            "<my_token>abc123</my_token>",
            "set my_token(\"abc123\")",
            "my_token = String::from(\"abc123\")",
            "my_token=b'abc123'",
            "my_token := []byte(\"abc123\")",
            "{\\\"my_token\\\": \\\"abc123\\\"}",
            "export my_token=abc123",
            "my_token: abc123 # why",
            "--my_token=abc123\n",
            "if my_token == 'abc123':",
            "define('my_token', 'abc123');",
            "my_token ::= \"abc123\"",
            "my_token ?= abc123",
            "my_token .= \"abc123\"",
            "<my_token>\n    abc123\n</my_token>",
            "<add key=\"my_token\" value=\"abc123\" />",
            "<key>my_token</key>\n\t<string>abc123</string>",
            "{\"name\": \"my_token\", \"value\": \"abc123\"}",
            "- name: my_token\n  value: abc123\n",
            "name = \"my_token\"\n  value = \"abc123\"\n",
            "ENV my_token abc123\n",
            "  export my_token 'abc123'\n",
            "run --my_token abc123 --verbose",
            "my_token = (\n    \"abc123\"\n)",
            "my_token: >-\n    abc123\n",
            "os.environ.get('my_token', 'abc123')",
            "process.env.my_token || \"abc123\"",
            "getenv('my_token') ?: 'abc123'",
            "env['my_token'] ?? 'abc123'",
            "| my_token | abc123 |",
            "the my_token is abc123.",
            "Use `my_token` `abc123` here",
            "my_token abc123\n",
        ] {
            let (name, value, _) = read(text).unwrap_or_else(|| panic!("{text}"));
            assert!(name.ends_with("my_token"), "{text}: {name}");
            assert_eq!(value, "abc123", "{text}");
        }
    }

    #[test]
    fn what_assigns_nothing() {
        for text in [
            "a token",
            "token",
            "tokenize(x)",
            "token = next()",
            "token = { a: 1 }",
            "token = \"never closed\n",
            "fn f(token: Token, x: u8)",
            "token(a, b)",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
