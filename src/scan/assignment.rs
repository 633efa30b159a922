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
}

/// Reads the assignment whose name holds the word at `word`.
pub(super) fn around(text: &[u8], word: Range<usize>) -> Option<Assignment> {
    let name = whole_name(text, word)?;
    let mut at = name.end;
    let limit = text.len().min(name.end + BETWEEN_MAX_BYTES);
    // What closes the name: `"`, `']`, `\"`, `*`, a blank.
    while at < limit
        && matches!(
            text[at],
            b'"' | b'\'' | b'`' | b']' | b'\\' | b' ' | b'\t' | b'*' | b'?' | b'!'
        )
    {
        at += 1;
    }
    let (operator, length) = operator(&text[at..limit])?;
    at += length;
    if operator == b':' {
        at += type_between(&text[at..limit]);
    }
    let mut at = at + blanks(&text[at..limit]);
    // A call or a prefix around the value: `String::from("`, `b'`, `env("NAME", "`.
    let call = text[at.min(limit)..limit]
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'.' | b'@' | b'#' | b'&')
        })
        .count();
    if let Some(b'(' | b'"' | b'\'') = text.get(at + call)
        && (call <= 2 || text[at + call] == b'(')
    {
        at += call + usize::from(text[at + call] == b'(');
    }
    value(text, at, name, operator)
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

/// The operator that the text starts with: its kind and length.
fn operator(text: &[u8]) -> Option<(u8, usize)> {
    let found = match text {
        [b'|', b'|', b'=', ..] | [b'=', b'=', b'=', ..] => (b'=', 3),
        [b'=', b'>' | b'=', ..] | [b':', b'=', ..] | [b'-', b'>', ..] | [b'<', b'-', ..] => {
            (b'=', 2)
        }
        [b'=', ..] => (b'=', 1),
        [b':', ..] => (b':', 1),
        [b',', ..] => (b',', 1),
        [b'(', ..] => (b'(', 1),
        [b'>', ..] => (b'>', 1),
        _ => return None,
    };
    Some(found)
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

fn value(text: &[u8], at: usize, name: Range<usize>, operator: u8) -> Option<Assignment> {
    let rest = text.get(at..text.len().min(at + VALUE_MAX_BYTES))?;
    let escaped = usize::from(matches!(rest, [b'\\', b'"' | b'\'', ..]));
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
        });
    }
    // Without quotes, a list or a call gives nothing to hold on to.
    if !matches!(operator, b'=' | b':' | b'>') {
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
                    | b'\\'
            )
    };
    let length = rest.iter().take_while(|byte| part(byte)).count();
    let behind = &rest[length..];
    // Behind it nothing, a comment, or what ends a tag, a query or a list.
    let tail = &behind[blanks(behind)..];
    let ends = matches!(
        tail.first(),
        None | Some(0 | b'\n' | b'\r' | b'#' | b'&' | b'<' | b'"' | b'\'' | b'\\' | b'`')
    ) || tail.starts_with(b"//")
        || (blanks(behind) > 0 && operator == b'=');
    let xml = operator == b'>' && !tail.starts_with(b"<");
    (length > 0 && ends && !xml).then_some(Assignment {
        name,
        value: at..at + length,
        quoted: false,
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
            "{\\\"my_token\\\": \\\"abc123\\\"}",
            "export my_token=abc123",
            "my_token: abc123 # why",
            "--my_token=abc123\n",
            "if my_token == 'abc123':",
            "define('my_token', 'abc123');",
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
