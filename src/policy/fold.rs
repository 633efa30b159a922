//! The folded form of a path: what common file systems and readers would take it for.
//!
//! Case, compatibility forms, ignorable code points, trailing dots and spaces, NTFS streams, backslashes.
//! A deny is matched against both forms, so folding too much refuses too much, and folding too little lets
//! `.GitHub/workflows` pass.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// A folded path. Components are separated by `/` alone; none is empty.
#[derive(Debug)]
pub(super) struct Folded<'a> {
    /// The folded bytes.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Some component may be an 8.3 short name (`GITHUB~1`).
    pub(super) short_names: bool,
    /// Folding changed nothing but the case of ASCII letters: what matches the exact bytes matches this too.
    pub(super) is_simple: bool,
}

/// Folds a path.
pub(super) fn path(raw: &[u8]) -> Folded<'_> {
    if let Some(has_capitals) = simple(raw) {
        return Folded {
            bytes: match has_capitals {
                true => Cow::Owned(raw.to_ascii_lowercase()),
                false => Cow::Borrowed(raw),
            },
            short_names: false,
            is_simple: true,
        };
    }
    let mut folded = Vec::with_capacity(raw.len());
    for component in raw.split(|byte| matches!(byte, b'/' | b'\\')) {
        // `name:stream` opens `name` on NTFS; a leading colon names nothing.
        let named = match component.iter().position(|byte| *byte == b':') {
            Some(colon) if colon > 0 => &component[..colon],
            _ => component,
        };
        let start = folded.len();
        text(named, &mut folded);
        strip_tail(&mut folded, start);
        if folded.len() > start {
            folded.push(b'/');
        }
    }
    folded.pop();
    Folded {
        short_names: folded.contains(&b'~'),
        is_simple: false,
        bytes: Cow::Owned(folded),
    }
}

/// Whether folding would change nothing but the case of ASCII letters, and whether it would change that. Most
/// paths pass here.
fn simple(path: &[u8]) -> Option<bool> {
    let mut previous = b'/';
    let mut has_capitals = false;
    for &byte in path {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'@' | b'+' | b'=' | b',' => {}
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'$' | b'#' | b'!' | b'%' | b'&' => {}
            b'A'..=b'Z' => has_capitals = true,
            b' ' if previous != b'/' => {}
            b'/' if !matches!(previous, b'.' | b' ' | b'/') => {}
            _ => return None,
        }
        previous = byte;
    }
    (!matches!(previous, b'.' | b' ' | b'/')).then_some(has_capitals)
}

/// Appends the folded form of a piece of a name. Bytes that are not UTF-8 stay as they are.
pub(super) fn text(piece: &[u8], folded: &mut Vec<u8>) {
    if piece.is_ascii() {
        folded.extend(piece.iter().map(u8::to_ascii_lowercase));
        return;
    }
    for chunk in piece.utf8_chunks() {
        let letters = chunk
            .valid()
            .chars()
            .filter(|c| !is_ignorable(*c))
            .nfkc()
            // By way of the capital letter, so that a long s or a Kelvin sign folds as well.
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .filter(|c| !is_ignorable(*c))
            .nfkc();
        let mut utf8 = [0; 4];
        for letter in letters {
            folded.extend_from_slice(letter.encode_utf8(&mut utf8).as_bytes());
        }
        folded.extend_from_slice(chunk.invalid());
    }
}

/// Windows drops dots and spaces at the end of a name. A name of nothing else stays.
pub(super) fn strip_tail(folded: &mut Vec<u8>, start: usize) {
    let kept = folded[start..]
        .iter()
        .rposition(|byte| !matches!(byte, b'.' | b' '));
    if let Some(last) = kept {
        folded.truncate(start + last + 1);
    }
}

/// Code points that take no room: HFS+ leaves them out of names, readers do not see them.
fn is_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
        | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFF8
        | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// Whether `component`, folded, may be the 8.3 short name that Windows makes for the long name `long`.
/// git refuses only those of its own files; here every guarded literal name is covered.
pub(super) fn is_short_name_of(component: &[u8], long: &[u8]) -> bool {
    let Some(tilde) = component.iter().position(|byte| *byte == b'~') else {
        return false;
    };
    let (prefix, rest) = (&component[..tilde], &component[tilde + 1..]);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let extension = match &rest[digits..] {
        [] => &[][..],
        [b'.', extension @ ..] => extension,
        _ => return false,
    };
    if digits == 0 || digits > 6 {
        return false;
    }
    let bare: Vec<u8> = long
        .iter()
        .skip_while(|byte| **byte == b'.')
        .filter(|byte| **byte != b' ')
        .copied()
        .collect();
    let (base, long_extension) = match bare.iter().rposition(|byte| *byte == b'.') {
        Some(dot) => (&bare[..dot], &bare[dot + 1..]),
        None => (&bare[..], &[][..]),
    };
    let base: Vec<u8> = base.iter().filter(|byte| **byte != b'.').copied().collect();
    let is_short_already = bare.len() == long.len() && base.len() <= 8 && long_extension.len() <= 3;
    if is_short_already || extension != &long_extension[..long_extension.len().min(3)] {
        return false;
    }
    let counted = base.len().min(6).min(7 - digits);
    // After four files with one prefix, Windows takes two letters and four hex digits of a hash.
    let hashed = prefix.len() == 6
        && base.len() >= 2
        && prefix[..2] == base[..2]
        && prefix[2..].iter().all(u8::is_ascii_hexdigit);
    hashed || (prefix == &base[..counted] && counted > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(raw: &[u8]) -> String {
        String::from_utf8_lossy(&path(raw).bytes).into_owned()
    }

    #[test]
    fn folds_what_file_systems_fold() {
        for (raw, expected) in [
            (&b"src/main.rs"[..], "src/main.rs"),
            (b".GitHub/Workflows/CI.yml", ".github/workflows/ci.yml"),
            (b".github. /workflows", ".github/workflows"),
            (b".github::$INDEX_ALLOCATION/x", ".github/x"),
            (b"a.md::$DATA", "a.md"),
            (b".github\\workflows\\x", ".github/workflows/x"),
            ("\u{200d}.git\u{200c}hub/x".as_bytes(), ".github/x"),
            ("\u{ff41}gents.md".as_bytes(), "agents.md"),
            ("AGENT\u{17f}.md".as_bytes(), "agents.md"),
            ("\u{212a}ube".as_bytes(), "kube"),
            ("cafe\u{301}".as_bytes(), "caf\u{e9}"),
            (b"...", "..."),
        ] {
            assert_eq!(folded(raw), expected, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn keeps_bytes_that_are_not_utf8() {
        assert_eq!(&*path(b"A\xff\xfeB/C").bytes, b"a\xff\xfeb/c");
    }

    #[test]
    fn plain_paths_are_not_copied() {
        assert!(matches!(path(b"src/a-b_c.d/e1").bytes, Cow::Borrowed(_)));
        assert!(matches!(path(b"src/a./b").bytes, Cow::Owned(_)));
    }

    #[test]
    fn short_names() {
        for (component, long, expected) in [
            (&b"git~1"[..], &b".git"[..], true),
            (b"github~1", b".github", true),
            (b"github~2", b".github", true),
            (b"githu~10", b".github", true),
            (b"gi7eba~1", b".gitmodules", true),
            (b"gitatt~1", b".gitattributes", true),
            (b"packag~1.jso", b"package.json", true),
            (b"packag~1.txt", b"package.json", false),
            (b"gitx~1", b".github", false),
            (b"makefi~1", b"makefile", false),
            (b"notes~", b"notes", false),
        ] {
            assert_eq!(
                is_short_name_of(component, long),
                expected,
                "{}",
                component.escape_ascii()
            );
        }
    }
}
