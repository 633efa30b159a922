//! How text is laid out: plain ASCII, 72 columns, no command ever broken.

use bstr::{BStr, BString, ByteSlice as _};

use crate::redact::Quoted;

/// Columns of a line. git's client puts `remote: ` before it, which makes 80.
pub(super) const COLUMNS: usize = 72;

/// Longest argument that a shown command may have, in bytes.
const ARGUMENT_MAX_BYTES: usize = 512;

/// Replaces what is not printable ASCII. Pushed text is quoted long before; this guards names from the policy
/// and everything else that was forgotten.
pub(crate) fn ascii(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars()
        .map(|letter| match letter {
            ' '..='~' => letter.to_string(),
            _ => letter.escape_unicode().to_string(),
        })
        .collect()
}

/// The same of a JSON text. Only its strings can hold such letters, so that an escape stands well wherever they are.
pub(crate) fn ascii_json(json: String) -> String {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if matches!(letter, ' '..='~') {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// [`wrap_at`] for a pusher.
pub(super) fn wrap(out: &mut String, first: &str, then: &str, text: &str) {
    wrap_at(out, COLUMNS, first, then, text);
}

/// Writes `text` in lines of at most `columns`, the first after `first`, the others after `then`. Breaks at
/// blanks alone: a longer word stays whole.
pub(crate) fn wrap_at(out: &mut String, columns: usize, first: &str, then: &str, text: &str) {
    let text = ascii(text);
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !empty && line.len() + 1 + word.len() > columns {
            out.push_str(line.trim_end());
            out.push('\n');
            line.clear();
            line.push_str(then);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// `1 finding`, `2 findings`.
pub(super) fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A command as a person pastes it into a shell; `None` when an argument has bytes that a message may not show.
pub(super) fn pasted(argv: &[BString]) -> Option<String> {
    let mut command = String::new();
    for argument in argv {
        let text = argument.to_str().ok()?;
        let shown = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !shown || text.len() > ARGUMENT_MAX_BYTES {
            return None;
        }
        if !command.is_empty() {
            command.push(' ');
        }
        command.push_str(&shell_word(text));
    }
    Some(command)
}

/// One word for a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@%+:,~".contains(&byte);
    // These mean something to a shell only in front.
    let leads = text.starts_with(['~', '=']);
    if !leads && text.bytes().all(|byte| plain(byte) || byte == b'=') {
        return text.to_owned();
    }
    if let Some((name, value)) = text.split_once('=')
        && name.bytes().all(plain)
    {
        return format!("{name}={}", single_quoted(value));
    }
    single_quoted(text)
}

fn single_quoted(text: &str) -> String {
    // Double quotes read better and are as safe when the shell sees nothing in them.
    if !text
        .bytes()
        .any(|byte| matches!(byte, b'"' | b'\\' | b'$' | b'`' | b'!'))
    {
        return format!("\"{text}\"");
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A path, ref or other pushed text in a sentence.
pub(super) fn quoted(bytes: impl AsRef<[u8]>) -> String {
    Quoted(bytes.as_ref()).to_string()
}

/// Whether git would read the path as a pattern or as pathspec magic.
pub(super) fn is_magic(path: &BStr) -> bool {
    path.starts_with(b":") || path.iter().any(|byte| b"*?[\\".contains(byte))
}

/// An argument array.
pub(super) fn argv<const N: usize>(arguments: [&str; N]) -> Vec<BString> {
    arguments.into_iter().map(BString::from).collect()
}

/// The ten digits by which a commit is named.
pub(super) fn short(id: &crate::push::Oid) -> String {
    let mut text = id.to_string();
    text.truncate(10);
    text
}
