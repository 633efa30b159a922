//! Names that people and file systems take for another: other case, other Unicode forms, letters of another script that
//! look the same, characters that show nothing.

use super::folded;

/// Whether two different names of refs read alike.
pub fn reads_alike(one: &[u8], other: &[u8]) -> bool {
    // What a dot at the end of a folder does is in the form.
    let is_plain = |name: &[u8]| name.is_ascii() && !bstr::ByteSlice::contains_str(name, "./");
    if is_plain(one) && is_plain(other) {
        return one.eq_ignore_ascii_case(other);
    }
    form(one) == form(other)
}

/// What a name spells by letters of several scripts, in the form in which names that read alike are the same. `None`: it has no
/// word that mixes Latin letters with others that look like them, so that it is what it seems to be.
pub fn spelled_by_mixed_scripts(name: &[u8]) -> Option<Vec<u8>> {
    if name.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(name).ok()?;
    let mixes = |word: &str| {
        let looks_latin = |letter: char| letter.to_lowercase().any(|small| latin(small).is_some());
        word.contains(|letter: char| letter.is_ascii_alphabetic()) && word.contains(looks_latin)
    };
    text.split(|letter: char| !letter.is_alphabetic())
        .any(mixes)
        .then(|| form(name))
}

/// The form in which names that read alike are the same. Only a few letters are told apart too little by it: a name that
/// is refused for that has another that is not.
pub fn form(name: &[u8]) -> Vec<u8> {
    let folded_name = folded(name);
    let Ok(text) = std::str::from_utf8(&folded_name) else {
        return folded_name;
    };
    let latin = text.chars().map(|letter| latin(letter).unwrap_or(letter));
    let spelled: String = latin.collect();
    // A Latin letter may now be in upper case, and a mark may complete it.
    folded(spelled.as_bytes())
}

/// The Latin letter or digit that a letter of another script looks like: those of the Unicode confusables (UTS 39) that are
/// one letter for one, in Cyrillic, Greek, Armenian, Cherokee and phonetic writing.
fn latin(letter: char) -> Option<char> {
    Some(match letter {
        'а' | 'α' | 'ɑ' => 'a',
        'Ь' | 'ь' | 'Ꮟ' | 'Ƅ' => 'b',
        'с' | 'ϲ' | 'ⅽ' => 'c',
        'ԁ' | 'ɗ' | 'ժ' | 'ⅾ' => 'd',
        'е' | 'ҽ' | 'є' | 'ε' | 'ɛ' => 'e',
        'ғ' | 'ƒ' | 'ք' => 'f',
        'ɡ' | 'ց' | 'ɢ' => 'g',
        'һ' | 'հ' | 'ի' => 'h',
        'і' | 'ι' | 'ı' | 'ɩ' | 'ӏ' => 'i',
        'ј' | 'ϳ' | 'ɉ' => 'j',
        'к' | 'κ' | 'ĸ' => 'k',
        'ⅼ' | 'Ӏ' | 'ǀ' | 'ɭ' => 'l',
        'м' | 'ⅿ' | 'ʍ' => 'm',
        'п' | 'η' | 'ո' | 'ռ' => 'n',
        'о' | 'ο' | 'օ' | 'σ' => 'o',
        'р' | 'ρ' | 'ϱ' => 'p',
        'ԛ' | 'զ' => 'q',
        'г' | 'ᴦ' | 'ɼ' => 'r',
        'ѕ' | 'ꜱ' | 'ʂ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' | 'ʋ' => 'u',
        'ν' | 'ѵ' | 'ⅴ' => 'v',
        'ԝ' | 'ѡ' | 'ա' | 'ω' => 'w',
        'х' | 'χ' | 'ⅹ' => 'x',
        'у' | 'γ' | 'ү' | 'ყ' => 'y',
        'ᴢ' | 'ʐ' => 'z',
        '‐' | '‑' | '‒' | '–' | '—' | '−' => '-',
        '⁄' | '∕' | '⧸' => '/',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_alike() {
        for (one, other) in [
            ("refs/heads/main", "refs/heads/MAIN"),
            ("refs/heads/main", "refs/heads/m\u{430}in"),
            ("refs/heads/main", "refs/heads/ma\u{131}n"),
            ("refs/heads/main", "refs/heads/main\u{200b}"),
            ("refs/heads/main", "refs/heads/\u{ff4d}ain"),
            ("refs/heads/main", "refs/heads/\u{41c}ain"),
            ("refs/heads/caf\u{e9}", "refs/heads/cafe\u{301}"),
            ("refs/heads/release-1", "refs/heads/release\u{2011}1"),
            ("refs/heads/release/1", "refs/heads/release\u{2215}1"),
            ("refs/heads/release/1", "refs/heads/release./1"),
        ] {
            assert!(reads_alike(one.as_bytes(), other.as_bytes()), "{other}");
        }
        for (one, other) in [
            ("refs/heads/main", "refs/heads/maine"),
            ("refs/heads/main", "refs/heads/mein"),
            ("refs/heads/caf\u{e9}", "refs/heads/cafe"),
            ("refs/heads/main", "refs/heads/\u{4e3b}"),
        ] {
            assert!(!reads_alike(one.as_bytes(), other.as_bytes()), "{other}");
        }
        assert!(!reads_alike(b"refs/heads/\xff", b"refs/heads/\xfe"));
    }

    #[test]
    fn every_latin_letter_has_a_twin_in_another_script() {
        let twins = "\u{430}\u{44c}\u{441}\u{501}\u{435}\u{493}\u{261}\u{4bb}\u{456}\u{458}\u{43a}\u{217c}\u{43c}\
                     \u{43f}\u{43e}\u{440}\u{51b}\u{433}\u{455}\u{442}\u{3c5}\u{3bd}\u{51d}\u{445}\u{443}\u{1d22}";
        for (latin, twin) in ('a'..='z').zip(twins.chars()) {
            let (one, other) = (format!("v{latin}1"), format!("v{twin}1"));
            assert!(reads_alike(one.as_bytes(), other.as_bytes()), "{other}");
        }
        assert_eq!(twins.chars().count(), 26);
    }

    #[test]
    fn words_of_two_scripts() {
        for (name, spelled) in [
            ("\u{410}GENTS.md", Some("agents.md")),
            ("r\u{435}lease", Some("release")),
            ("AGENTS.md", None),
            ("\u{430}.svg", None),
            ("\u{441}\u{43e}\u{440}\u{443}.md", None),
            ("caf\u{e9}-na\u{ef}ve.md", None),
            ("\u{3b1}-beta.md", None),
            ("\u{65e5}\u{672c}v2", None),
        ] {
            let found = spelled_by_mixed_scripts(name.as_bytes());
            assert_eq!(found.as_deref(), spelled.map(str::as_bytes), "{name}");
        }
    }
}
