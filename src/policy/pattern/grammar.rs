//! What makes a text a pattern.

use super::{PatternError, class_matches};

/// Most patterns that the braces of one pattern stand for.
const ALTERNATIVES_MAX: usize = 64;

/// Most braces in one pattern.
const BRACES_MAX: usize = 16;

/// Longest pattern, in bytes.
const PATTERN_MAX_BYTES: usize = 4096;

/// Checks what can be seen before the braces are expanded.
pub(super) fn check(written: &str) -> Result<(), PatternError> {
    let bytes = written.as_bytes();
    if bytes.is_empty() {
        return Err(PatternError::new(0, "an empty pattern matches nothing"));
    }
    if bytes.len() > PATTERN_MAX_BYTES {
        return Err(PatternError::new(
            0,
            format!("a pattern is at most {PATTERN_MAX_BYTES} bytes long"),
        ));
    }
    if bytes[0] == b'!' {
        return Err(PatternError::new(
            0,
            "a pattern cannot be negated; a name that starts with `!` is written `\\!`",
        ));
    }
    let mut braces: Vec<usize> = Vec::new();
    let mut opened = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            0 => return Err(PatternError::new(at, "a NUL byte is in no path")),
            b'\\' => {
                if matches!(bytes.get(at + 1), None | Some(b'/')) {
                    return Err(PatternError::new(
                        at,
                        "a backslash must stand before the character that it escapes",
                    ));
                }
                at += 1;
            }
            b'[' => at = check_class(bytes, at)?,
            b'{' => {
                opened += 1;
                if opened > BRACES_MAX {
                    return Err(PatternError::new(
                        at,
                        format!("a pattern has at most {BRACES_MAX} braces"),
                    ));
                }
                braces.push(at);
            }
            b'}' if braces.pop().is_none() => {
                return Err(PatternError::new(
                    at,
                    "a brace closes that was never opened",
                ));
            }
            _ => {}
        }
        at += 1;
    }
    match braces.pop() {
        Some(open) => Err(PatternError::new(open, "this brace is never closed")),
        None => Ok(()),
    }
}

/// Gives the index of the closing bracket.
fn check_class(bytes: &[u8], open: usize) -> Result<usize, PatternError> {
    let mut at = open + 1;
    if matches!(bytes.get(at), Some(b'!' | b'^')) {
        at += 1;
    }
    let first = at;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b']' if at > first => return Ok(at),
            b'/' | b'{' | b'}' | b'\\' => {
                return Err(PatternError::new(
                    at,
                    "a class in brackets cannot hold a slash, a brace or a backslash",
                ));
            }
            byte if !byte.is_ascii() => {
                return Err(PatternError::new(at, "a class in brackets is ASCII"));
            }
            _ => {}
        }
        if bytes.get(at + 1) == Some(&b'-')
            && let Some(&end) = bytes.get(at + 2)
            && end != b']'
        {
            if end < byte || !end.is_ascii() || matches!(end, b'/' | b'\\' | b'{' | b'}') {
                return Err(PatternError::new(at, "this range is not a range"));
            }
            if (byte..=end).contains(&b'/') {
                return Err(PatternError::new(at, "this range holds a slash"));
            }
            at += 2;
        }
        at += 1;
    }
    Err(PatternError::new(open, "this bracket is never closed"))
}

/// Checks the folders of one alternative.
pub(super) fn check_components(glob: &[u8], written: &str) -> Result<(), PatternError> {
    let components: Vec<&[u8]> = glob.split(|byte| *byte == b'/').collect();
    for (index, component) in components.iter().enumerate() {
        if component.is_empty() {
            let error = PatternError::new(0, "an empty folder name matches nothing");
            return Err(if index + 1 == components.len() && index > 0 {
                error.instead(format!("{}/**", written.trim_end_matches('/')))
            } else {
                error
            });
        }
        if matches!(*component, b"." | b"..") {
            return Err(PatternError::new(
                0,
                "paths in git hold no `.` and no `..`: this matches nothing",
            ));
        }
        if *component != b"**" && has_double_star(component) {
            return Err(PatternError::new(
                memchr::memmem::find(written.as_bytes(), b"**").unwrap_or(0),
                "`**` must be a whole folder name: `a/**`, `**/a`, `a/**/b`",
            ));
        }
    }
    Ok(())
}

fn has_double_star(component: &[u8]) -> bool {
    let mut at = 0;
    while at < component.len() {
        match component[at] {
            b'\\' => at += 2,
            b'[' => at = class_matches(component, at + 1, 0).1,
            b'*' if component.get(at + 1) == Some(&b'*') => return true,
            _ => at += 1,
        }
    }
    false
}

struct Many;

/// Every pattern that the braces of a checked one stand for.
pub(super) fn expanded(written: &str) -> Result<Vec<Vec<u8>>, PatternError> {
    let mut expanded = Vec::new();
    match expand(Vec::new(), written.as_bytes(), &mut expanded) {
        Ok(()) => Ok(expanded),
        Err(Many) => Err(PatternError::new(
            0,
            format!("stands for more than {ALTERNATIVES_MAX} patterns"),
        )),
    }
}

/// Expands the first brace of `rest`, and the others by recursion.
fn expand(prefix: Vec<u8>, rest: &[u8], expanded: &mut Vec<Vec<u8>>) -> Result<(), Many> {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'[' => at = class_matches(rest, at + 1, 0).1,
            b'{' => break,
            _ => at += 1,
        }
    }
    if at >= rest.len() {
        if expanded.len() == ALTERNATIVES_MAX {
            return Err(Many);
        }
        let mut whole = prefix;
        whole.extend_from_slice(rest);
        expanded.push(whole);
        return Ok(());
    }
    let (pieces, end) = alternatives(rest, at);
    for piece in pieces {
        let mut text = piece.to_vec();
        text.extend_from_slice(&rest[end..]);
        let mut before = prefix.clone();
        before.extend_from_slice(&rest[..at]);
        expand(before, &text, expanded)?;
    }
    Ok(())
}

/// The pieces between the brace at `open` and the one that closes it, and the index behind that one.
fn alternatives(text: &[u8], open: usize) -> (Vec<&[u8]>, usize) {
    let mut pieces = Vec::new();
    let mut start = open + 1;
    let mut depth = 0;
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'[' => at = class_matches(text, at + 1, 0).1 - 1,
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                pieces.push(&text[start..at]);
                return (pieces, at + 1);
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    (pieces, at)
}
