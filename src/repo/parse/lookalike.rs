//! Names that a file system, or the git for it, takes for one of git's own: the rules of git's `is_hfs_dotgit` and
//! `is_ntfs_dotgit` families.

/// Whether HFS+ or NTFS would take `name` for `.git`. `.git` itself is not asked about.
pub(super) fn of_git(name: &[u8]) -> bool {
    // Nearly all names end here.
    let candidate = matches!(name.first(), Some(b'.' | b'g' | b'G' | 0xe2 | 0xef));
    if candidate && (hfs(name, b"git") || ntfs_git(name)) {
        return true;
    }
    // On Windows a backslash starts a new path component.
    memchr::memchr_iter(b'\\', name).any(|at| ntfs_git(&name[at + 1..]))
}

/// Files that git reads from a tree and that must not be symbolic links; the last word is the prefix of the short
/// name that NTFS falls back to.
const CONTROL_FILES: &[(&str, &str)] = &[
    (".gitmodules", "gi7eba"),
    (".gitattributes", "gi7d29"),
    (".gitignore", "gi250a"),
    (".mailmap", "maba30"),
];

/// Which of git's own files a file system would take `name` for.
pub(super) fn of_control_file(name: &[u8]) -> Option<&'static str> {
    CONTROL_FILES
        .iter()
        .find(|(file, short)| {
            let plain = &file.as_bytes()[1..];
            hfs(name, plain) || ntfs(name, plain, short.as_bytes())
        })
        .map(|(file, _)| *file)
}

/// HFS+ ignores letter case and some code points altogether. Like git, take what is not UTF-8 for the name's end.
fn hfs(name: &[u8], plain: &[u8]) -> bool {
    let text = match std::str::from_utf8(name) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&name[..error.valid_up_to()]).unwrap_or_default(),
    };
    let mut letters = text
        .chars()
        .take_while(|letter| !matches!(letter, '\u{fffe}' | '\u{ffff}'))
        .filter(|letter| {
            !matches!(letter,
                '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
        });
    letters.next() == Some('.')
        && plain.iter().all(|want| {
            letters
                .next()
                .is_some_and(|found| found.to_ascii_lowercase() == char::from(*want))
        })
        && letters.next().is_none()
}

/// `.git` or its short name `git~1`, in any case, then only blanks and dots, or a stream name behind a colon.
fn ntfs_git(name: &[u8]) -> bool {
    [&b".git"[..], b"git~1"].iter().any(|start| {
        name.get(..start.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(start))
            && ntfs_tail(&name[start.len()..])
    })
}

fn ntfs_tail(rest: &[u8]) -> bool {
    let end = rest
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'.'))
        .map(|at| rest[at]);
    matches!(end, None | Some(b':' | b'\\' | b'/'))
}

/// The same for `.` and `plain`: the long name, `gitmod~1` to `~4`, or the fall-back short name.
fn ntfs(name: &[u8], plain: &[u8], short: &[u8]) -> bool {
    let starts = |text: &[u8]| {
        name.get(..text.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(text))
    };
    if name.first() == Some(&b'.')
        && name
            .get(1..=plain.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(plain))
    {
        return ntfs_tail(&name[plain.len() + 1..]);
    }
    if starts(&plain[..6]) && name.get(6) == Some(&b'~') && matches!(name.get(7), Some(b'1'..=b'4'))
    {
        return ntfs_tail(&name[8..]);
    }
    let Some(head) = name.get(..8) else {
        return false;
    };
    let Some(tilde) = memchr::memchr(b'~', head) else {
        return false;
    };
    tilde <= 6
        && head[..tilde].eq_ignore_ascii_case(&short[..tilde])
        && matches!(head.get(tilde + 1), Some(b'1'..=b'9'))
        && head[tilde + 2..].iter().all(u8::is_ascii_digit)
        && ntfs_tail(&name[8..])
}
