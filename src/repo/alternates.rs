//! Lists of further object folders: the variable `GIT_ALTERNATE_OBJECT_DIRECTORIES` and `info/alternates` files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// The entries of a list, read as git reads them: an entry that starts with `"` is C-quoted (broken quoting: taken
/// as it stands); `#` starts a comment; empty ones are skipped.
pub(super) fn split(mut list: &[u8], separator: u8) -> Vec<PathBuf> {
    let mut entries = Vec::new();
    while !list.is_empty() {
        let plain_end = memchr::memchr(separator, list).unwrap_or(list.len());
        let (entry, end) = match unquote(list) {
            Some((entry, end)) => (entry, end),
            None if list[0] == b'#' => (Vec::new(), plain_end),
            None => (list[..plain_end].to_vec(), plain_end),
        };
        if !entry.is_empty() {
            entries.push(OsString::from_vec(entry).into());
        }
        list = list.get(end + 1..).unwrap_or_default();
    }
    entries
}

/// A C-quoted string at the start of `text`, and the offset behind its closing quote.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let mut at = 1;
    if text.first() != Some(&b'"') {
        return None;
    }
    loop {
        match *text.get(at)? {
            b'"' => return Some((out, at + 1)),
            b'\\' => {
                at += 1;
                let byte = match *text.get(at)? {
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    same @ (b'\\' | b'"') => same,
                    first @ b'0'..=b'3' => {
                        let digits = text.get(at + 1..at + 3)?;
                        if !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
                            return None;
                        }
                        at += 2;
                        (first - b'0') << 6 | (digits[0] - b'0') << 3 | (digits[1] - b'0')
                    }
                    _ => return None,
                };
                out.push(byte);
            }
            byte => out.push(byte),
        }
        at += 1;
    }
}

/// Alternates of alternates that git still follows.
const DEPTH: usize = 5;

/// Longest list that is read.
const LIST_MAX_BYTES: u64 = 4 << 20;
/// Missing ones that are told.
const MISSING_MAX: usize = 16;

/// The folders that `dir/info/alternates` names, and those that these name in turn. A relative entry counts from the
/// object folder whose file names it.
pub(super) fn of(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut next = vec![dir.to_owned()];
    for _ in 0..=DEPTH {
        let mut deeper = Vec::new();
        for dir in &next {
            let list = dir.join("info/alternates");
            let text = match super::read_file(&list, LIST_MAX_BYTES) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("{}: {error}", list.display())),
            };
            for entry in split(&text, b'\n') {
                // git goes on without a folder that is not there; what is missing then is missing.
                if let Ok(entry) = std::fs::canonicalize(dir.join(entry))
                    && !found.contains(&entry)
                {
                    found.push(entry.clone());
                    deeper.push(entry);
                }
            }
        }
        if deeper.is_empty() {
            return Ok(found);
        }
        next = deeper;
    }
    Err(format!("{}: alternates are nested too deep", dir.display()))
}

/// The entries of `dir/info/alternates` that lead to no folder. What the folders themselves borrow is not looked at.
pub(super) fn missing(dir: &Path) -> Vec<PathBuf> {
    let text = super::read_file(&dir.join("info/alternates"), LIST_MAX_BYTES).unwrap_or_default();
    let entries = split(&text, b'\n');
    let mut missing: Vec<_> = entries
        .into_iter()
        .filter(|entry| !dir.join(entry).is_dir())
        .collect();
    missing.truncate(MISSING_MAX);
    missing
}

#[cfg(test)]
mod tests {
    use super::split;

    fn list(text: &str) -> Vec<String> {
        split(text.as_bytes(), b':')
            .into_iter()
            .map(|path| path.into_os_string().into_string().unwrap())
            .collect()
    }

    #[test]
    fn lists_are_read_as_git_reads_them() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (":::", &[]),
            ("/a", &["/a"]),
            ("/a:/b:", &["/a", "/b"]),
            ("\"/a:b\":/c", &["/a:b", "/c"]),
            (r#""/\"q\"\\\141\n":/c"#, &["/\"q\"\\a\n", "/c"]),
            (
                r#""/\a\b\f\r\t\v\302\251""#,
                &["/\u{7}\u{8}\u{c}\r\t\u{b}\u{a9}"],
            ),
            // Broken quoting is taken as it stands.
            ("\"/a:/b", &["\"/a", "/b"]),
            (r#""/\q":/b"#, &["\"/\\q\"", "/b"]),
            (r#""/\477":/b"#, &["\"/\\477\"", "/b"]),
            // What follows a closing quote up to the next entry: one byte is skipped, whatever it is.
            ("\"/a\"x/b:/c", &["/a", "/b", "/c"]),
            ("#/a:/b", &["/b"]),
            ("/a#:/b", &["/a#", "/b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(&list(text), expected, "{text}");
        }
    }
}
