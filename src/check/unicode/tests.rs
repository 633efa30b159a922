use super::*;
use crate::budget::Bounds;

/// Cases stand in `testdata/unicode/*.txt`: `rules or clean | part | path | text`, the text with escapes alone.
fn cases() -> Vec<(String, String, Part, String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/unicode");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            assert!(line.is_ascii(), "{}:{}", path.display(), number + 1);
            let fields: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
            let [expected, part, name, text] = fields[..] else {
                panic!("{}:{}: four fields", path.display(), number + 1);
            };
            let part = match part {
                "content" => Part::Content,
                "message" => Part::Message,
                "author" => Part::Author,
                "path" => Part::Path,
                "ref" => Part::Ref,
                "tag" => Part::TagMessage,
                _ => panic!("part {part}"),
            };
            let place = format!(
                "{}:{}",
                path.file_name().unwrap().to_string_lossy(),
                number + 1
            );
            found.push((
                place,
                expected.to_owned(),
                part,
                name.to_owned(),
                unescape(text),
            ));
        }
    }
    assert!(found.len() > 60);
    found
}

/// `\n`, `\r`, `\t`, `\\`, `\xNN` (a byte) and `\u{N}` (a character).
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend(rest[..at].bytes());
        let kind = rest[at + 1..].chars().next().unwrap();
        rest = &rest[at + 2..];
        match kind {
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            '\\' => out.push(b'\\'),
            'x' => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            'u' => {
                let end = rest.find('}').unwrap();
                for code in rest[1..end].split(' ') {
                    let letter = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
                    out.extend(letter.to_string().bytes());
                }
                rest = &rest[end + 1..];
            }
            other => panic!("escape {other}"),
        }
    }
    out.extend(rest.bytes());
    out
}

fn hits(part: Part, path: &str, bytes: &[u8]) -> Vec<Hit> {
    let text = Text {
        part,
        path: (!path.is_empty()).then_some(path.as_bytes()),
        bytes,
    };
    let mut hits = Vec::new();
    let budget = Budget::new(Bounds::default());
    HiddenUnicode
        .content(&text, &FingerprintKey::new([7; 32]), &budget, &mut hits)
        .unwrap();
    hits
}

#[test]
fn all_cases() {
    let mut wrong = Vec::new();
    for (place, expected, part, path, text) in cases() {
        let mut found: Vec<String> = hits(part, &path, &text)
            .iter()
            .map(|hit| hit.rule.trim_start_matches("unicode/").to_owned())
            .collect();
        found.sort();
        found.dedup();
        let found = if found.is_empty() {
            "clean".to_owned()
        } else {
            found.join(" ")
        };
        if found != expected {
            wrong.push(format!("{place}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hidden_text_is_decoded_and_is_one_hit() {
    let hidden: String = "rm -rf \"x\""
        .chars()
        .map(|c| char::from_u32(0xe_0000 + c as u32).unwrap())
        .collect();
    let text = format!("a{hidden}b{}", "\u{200b}");
    let found = hits(Part::Content, "a.rs", text.as_bytes());
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].bytes, 1..1 + hidden.len());
    assert_eq!(
        found[0].detail.as_deref(),
        Some("spells \"rm -rf \\\"x\\\"\"")
    );
    assert_eq!(found[1].detail.as_deref(), Some("U+200B"));
    assert_eq!(found[0].title, "invisible tag characters that spell a text");
    let details = |text: &str| -> Vec<String> {
        let found = hits(Part::Content, "a.rs", text.as_bytes());
        found.into_iter().filter_map(|hit| hit.detail).collect()
    };
    assert_eq!(details("a\u{200b}b\u{200b}"), ["U+200B", "U+200B"]);
    let four = "\u{200b}".repeat(4);
    let told = "U+200B U+200B U+200B U+200B";
    assert_eq!(details(&four), [told]);
    assert_eq!(
        details(&format!("{four}\u{200b}")),
        [format!("{told} and 1 more")]
    );
}

#[test]
fn places_in_utf16_are_those_of_the_file() {
    let text = format!(
        "\u{feff}escape \u{1b}, {}\u{e4}\u{1f600} \u{202e}x\n",
        "ordinary words ".repeat(200)
    );
    let units: Vec<u16> = text.encode_utf16().collect();
    let place = |odd| units.iter().position(|unit| *unit == odd).unwrap();
    let (escape, at) = (place(0x1b), place(0x202e));
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let file: Vec<u8> = units.iter().flat_map(|unit| bytes(*unit)).collect();
        let found = hits(Part::Content, "a.cs", &file);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].bytes, 2 * escape..2 * escape + 2);
        assert_eq!(found[1].bytes, 2 * at..2 * at + 2);
    }
}

#[test]
fn many_hits_are_bounded_and_none_is_lost() {
    let text = "a\u{200b}".repeat(50_000) + "\u{e0041}";
    let found = hits(Part::Content, "a.rs", text.as_bytes());
    assert!(found.len() <= HITS_MAX + 2);
    assert!(found.iter().any(|hit| hit.rule == TAG_TEXT));
    assert!(found.iter().any(|hit| hit.bytes.end == text.len() - 4));
}

#[test]
fn binary_content_is_not_text() {
    assert!(hits(Part::Content, "a.png", b"\x89PNG\r\n\x1a\n\0\0\0\x1b").is_empty());
    assert!(
        hits(
            Part::Content,
            "a.pdf",
            b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n\x08\x1b"
        )
        .is_empty()
    );
    assert!(hits(Part::Content, "a.dat", b"\x01\xfe\x02\xff").is_empty());
    assert!(!hits(Part::Content, "a.py", b"x = 1 # \0\xe2\x80\xae").is_empty());
    assert!(!hits(Part::Content, "AGENTS.md", b"# Rules\n\0\x1b[8mhidden").is_empty());
    assert!(!hits(Part::Message, "", b"x\0y").is_empty());
}

/// The audit looks at a content at its paths only where something may be hidden in it.
fn assert_no_path_hides_more(bytes: &[u8]) {
    let found = [
        "a.rs",
        "a.md",
        "AGENTS.md",
        "a.png",
        "a.ts",
        "notes.txt",
        "",
    ]
    .iter()
    .any(|path| !hits(Part::Content, path, bytes).is_empty());
    let may = may_hide(bytes, &Budget::new(Bounds::default())).unwrap();
    assert!(may || !found, "{bytes:?}");
}

#[test]
fn what_hides_nothing_where_it_is_judged_most_strictly_hides_nothing_anywhere() {
    let mut clean = 0;
    for (_, _, part, _, text) in cases() {
        assert_no_path_hides_more(&text);
        let may = may_hide(&text, &Budget::new(Bounds::default())).unwrap();
        clean += usize::from(part == Part::Content && !may && !is_plain(&text));
    }
    assert!(clean > 5, "{clean}");
}

proptest::proptest! {
    #[test]
    fn no_path_hides_more(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "a", "b c", "\n", "\r", "\r\n", "\0", "\u{1b}", "\u{85}", "\u{ad}", "\u{34f}", "\u{5d0}", "\u{627}", "\u{915}\u{94d}",
        "\u{180e}", "\u{200b}", "\u{200c}", "\u{200d}", "\u{200e}", "\u{200f}", "\u{2028}", "\u{202a}", "\u{202c}",
        "\u{202e}", "\u{2066}", "\u{2069}", "\u{3042}", "\u{4e00}", "\u{fe0f}", "\u{feff}", "\u{1f468}", "\u{e0041}", "\u{e0100}",
    ]), 0..12)) {
        assert_no_path_hides_more(pieces.concat().as_bytes());
    }

    #[test]
    fn no_path_hides_more_of_any_bytes(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
        assert_no_path_hides_more(&bytes);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        for hit in hits(Part::Message, "", &bytes) {
            assert!(hit.bytes.start < hit.bytes.end && hit.bytes.end <= bytes.len());
        }
    }

    #[test]
    fn blocks_change_nothing(before in 0usize..600, letter in proptest::sample::select(vec!['\u{202e}', '\u{e0041}', '\u{200b}', '\u{1b}'])) {
        let text = format!("{}{letter}{}", "x".repeat(before), "y".repeat(700));
        assert_eq!(hits(Part::Content, "a.rs", text.as_bytes()).len(), 1);
    }
}

#[test]
fn texts_for_agents_are_told_by_their_paths() {
    for path in [
        "AGENTS.md",
        "a/Claude.md",
        "b/c.instructions.md",
        ".cursor/rules/x.mdc",
    ] {
        assert!(is_for_agents(path.as_bytes()), "{path}");
    }
    for path in [
        "README.md",
        "src/agents.rs",
        "agents.md/x.c",
        "a.prompt",
        "",
    ] {
        assert!(!is_for_agents(path.as_bytes()), "{path}");
    }
}
