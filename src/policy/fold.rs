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
            // By way of the capital letter, so that a long s or a Kelvin sign folds as well; the capital sharp s has its own
            // in the small one alone.
            .flat_map(char::to_lowercase)
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

/// An 8.3 short name that Windows makes: `GITHUB~1`, `PACKAG~1.JSO`.
struct ShortName<'a> {
    prefix: &'a [u8],
    digits: usize,
    extension: &'a [u8],
}

impl<'a> ShortName<'a> {
    fn of(component: &'a [u8]) -> Option<Self> {
        let tilde = component.iter().position(|byte| *byte == b'~')?;
        let (prefix, rest) = (&component[..tilde], &component[tilde + 1..]);
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let extension = match &rest[digits..] {
            [] => &[][..],
            [b'.', extension @ ..] => extension,
            _ => return None,
        };
        (1..=6).contains(&digits).then_some(ShortName {
            prefix,
            digits,
            extension,
        })
    }

    /// How much of a long name it keeps.
    fn kept(&self) -> usize {
        6.min(7 - self.digits)
    }

    /// After four files with one prefix, Windows takes two letters and four hex digits of a hash.
    fn is_hashed(&self, base: &[u8]) -> bool {
        self.prefix.len() == 6
            && base.len() >= 2
            && self.prefix[..2] == base[..2]
            && self.prefix[2..].iter().all(u8::is_ascii_hexdigit)
    }

    fn is_of_base(&self, base: &[u8]) -> bool {
        let counted = base.len().min(self.kept());
        self.is_hashed(base) || (self.prefix == &base[..counted] && counted > 0)
    }
}

/// Without what Windows leaves out: leading dots, and blanks.
fn bare(name: &[u8]) -> Vec<u8> {
    name.iter()
        .skip_while(|byte| **byte == b'.')
        .filter(|byte| **byte != b' ')
        .copied()
        .collect()
}

fn without_dots(name: &[u8]) -> Vec<u8> {
    name.iter().filter(|byte| **byte != b'.').copied().collect()
}

/// Whether `component`, folded, may be the 8.3 short name that Windows makes for the long name `long`.
/// git refuses only those of its own files; here every guarded name is covered.
pub(super) fn is_short_name_of(component: &[u8], long: &[u8]) -> bool {
    let Some(short) = ShortName::of(component) else {
        return false;
    };
    let bare = bare(long);
    let (base, long_extension) = match bare.iter().rposition(|byte| *byte == b'.') {
        Some(dot) => (&bare[..dot], &bare[dot + 1..]),
        None => (&bare[..], &[][..]),
    };
    let base = without_dots(base);
    let is_short_already = bare.len() == long.len() && base.len() <= 8 && long_extension.len() <= 3;
    !is_short_already
        && short.extension == &long_extension[..long_extension.len().min(3)]
        && short.is_of_base(&base)
}

/// Whether `component`, folded, may be the 8.3 short name of some name that starts with `start` and ends with `end`, with
/// whatever between them: what is left of a component with wildcards.
pub(super) fn is_short_name_between(component: &[u8], start: &[u8], end: &[u8]) -> bool {
    let Some(short) = ShortName::of(component) else {
        return false;
    };
    let start = bare(start);
    let base = without_dots(&start);
    if let Some(dot) = end.iter().rposition(|byte| *byte == b'.') {
        let extension = &end[dot + 1..];
        if short.extension != &extension[..extension.len().min(3)] {
            return false;
        }
        if base.is_empty() {
            // Any name with this ending: one that short names keep is matched as it is.
            return extension.len() > 3;
        }
    } else if let Some(dot) = start.iter().rposition(|byte| *byte == b'.') {
        // The start may hold the whole base: `renovate.json*`.
        let extension = &start[dot + 1..];
        let shared = extension.len().min(3);
        if short.is_of_base(&without_dots(&start[..dot]))
            && short.extension.starts_with(&extension[..shared])
        {
            return true;
        }
    }
    let shared = base.len().min(short.kept());
    let is_longer = short.prefix.starts_with(&base[..shared]) && short.prefix.len() <= short.kept();
    shared > 0 && (is_longer || short.is_hashed(&base))
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
            ("STRA\u{1e9e}E/a".as_bytes(), "strasse/a"),
            ("stra\u{df}e/a".as_bytes(), "strasse/a"),
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

    #[test]
    fn short_names_of_what_wildcards_match() {
        for (component, start, end, expected) in [
            (&b"jenkin~1"[..], &b"jenkinsfile"[..], &b""[..], true),
            (b"jenkin~2.old", b"jenkinsfile", b"", true),
            (b"je1a2b~1", b"jenkinsfile", b"", true),
            (b"azure-~1.yml", b"azure-pipelines", b".yml", true),
            (b"azure-~1.yam", b"azure-pipelines", b".yaml", true),
            (b"azure-~1.txt", b"azure-pipelines", b".yml", false),
            (b"renova~1.jso", b"renovate.json", b"", true),
            (b"env~1.loc", b".env.", b"", true),
            (b"id_ed2~1", b"id_ed25519", b"", true),
            (b"any~1.key", b"", b".keystore", true),
            (b"any~1.md", b"", b".prompt.md", false),
            (b"any~1", b"", b"", false),
            (b"other~1", b"jenkinsfile", b"", false),
            (b"jenkinsf~1", b"jenkinsfile", b"", false),
            (b"jenkinsfile~", b"jenkinsfile", b"", false),
        ] {
            assert_eq!(
                is_short_name_between(component, start, end),
                expected,
                "{}",
                component.escape_ascii()
            );
        }
    }
}
