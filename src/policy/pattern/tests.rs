use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern)
        .expect("a valid pattern")
        .matches(name.as_bytes())
}

#[test]
fn stars_and_folders() {
    for (pattern, name, expected) in [
        ("docs/**", "docs/a.md", true),
        ("docs/**", "docs/a/b/c.md", true),
        ("docs/**", "docs", false),
        ("docs/**", "docs2/a", false),
        ("docs/*", "docs/a.md", true),
        ("docs/*", "docs/a/b.md", false),
        ("**/x", "x", true),
        ("**/x", "a/b/x", true),
        ("**/x", "a/b/yx", false),
        ("**", "a", true),
        ("**", "a/b/c", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/x/y/c", false),
        ("a/**/b/**/c", "a/b/x/b/y/c", true),
        ("a/**/b/**", "a/x/b/y", true),
        ("/README.md", "README.md", true),
        ("README.md", "docs/README.md", false),
        ("README.md", "readme.md", false),
        ("a?c", "abc", true),
        ("a?c", "a/c", false),
        ("*.{yml,yaml}", "x.yaml", true),
        ("{a/b,c}/d", "a/b/d", true),
        ("{a/b,c}/d", "c/d", true),
        ("{a,b{c,d}}e", "bde", true),
        ("x{,y}", "x", true),
        ("[a-c]x", "bx", true),
        ("[!a-c]x", "bx", false),
        ("[]x]", "]", true),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("\\@scope/**", "@scope/a", true),
        ("*a*b*c", "xxaxxbxxbxxc", true),
        (".env.*", ".env.local", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
    }
}

#[test]
fn folded_forms_of_guarded_names() {
    let guarded = |pattern: &str, name: &[u8]| {
        Pattern::new(pattern)
            .expect("a valid pattern")
            .matches_folded(name)
    };
    for name in [
        &b".github/workflows/ci.yml"[..],
        b".GitHub/Workflows/CI.yml",
        b".github./workflows /ci.yml",
        b".github\\workflows\\ci.yml",
        b".github::$INDEX_ALLOCATION/workflows/x",
        b"GITHUB~1/WORKFL~1/CI.YML",
        b"GITHUB~1/workflows/CI.YML",
        ".git\u{200d}hub/workflows/x".as_bytes(),
        b".github/workflows/\xff",
    ] {
        assert!(
            guarded(".github/workflows/**", name),
            "{}",
            name.escape_ascii()
        );
    }
    assert!(!guarded(".github/workflows/**", b".github/x"));
    assert!(!guarded(".github/workflows/**", b"x/.github/workflows/y"));
    assert!(guarded("**/AGENTS.md", b"a/agents.MD"));
    assert!(guarded("**/[A-Z]*.TXT", b"a/notes.txt"));
    assert!(guarded("**/caf\u{e9}", "cafe\u{301}".as_bytes()));
}

#[test]
fn folders_that_lead_to_guarded_names() {
    let covers = |pattern: &str, folder: &str| {
        Pattern::new(pattern)
            .expect("a valid pattern")
            .covers_folder(folder.as_bytes())
    };
    assert!(covers(".github/workflows/**", ".github"));
    assert!(covers(".github/workflows/**", ".GITHUB/workflows"));
    assert!(covers("**/.claude/**", "a/b/.claude"));
    assert!(!covers("**/.claude/**", "a/b"));
    assert!(!covers("**/AGENTS.md", "a"));
    assert!(!covers("*/secret/x", "a"));
    assert!(covers("*/secret/x", "a/secret"));
    assert!(!covers(".github/workflows/**", ".github/workflows/x"));
}

#[test]
fn literal_prefixes() {
    for (pattern, prefix) in [
        ("refs/heads/release/**", "refs/heads/release/"),
        ("refs/heads/rel*", "refs/heads/"),
        ("refs/heads/main", "refs/heads/main"),
        ("refs/heads/{main,master}", "refs/heads/"),
        ("**", ""),
    ] {
        let pattern = Pattern::new(pattern).expect("a valid pattern");
        assert_eq!(pattern.literal_prefix(), prefix.as_bytes(), "{pattern:?}");
    }
}

#[test]
fn refuses_what_cannot_be_meant() {
    for pattern in [
        "", "a//b", "a/", "a**", "**a", "a/../b", "./a", "[a", "{a", "a}", "a\\", "!a", "[z-a]",
        "[a/b]", "a\\/b",
    ] {
        assert!(Pattern::new(pattern).is_err(), "{pattern}");
    }
    let bomb = "{a,b}".repeat(7);
    assert!(Pattern::new(&bomb).is_err(), "128 alternatives");
    let deep = "{".repeat(2000) + &"}".repeat(2000);
    assert!(Pattern::new(&deep).is_err(), "nested braces");
}

#[test]
fn no_pattern_is_slow() {
    let stars = "*a".repeat(200) + "b";
    let name = "a".repeat(3000);
    assert!(!matches(&stars, &name));
    let folders = "**/a/".repeat(200) + "b";
    let deep = "a/".repeat(2000) + "c";
    assert!(!matches(&folders, &deep));
    let worst = "**/*a*a*a*a*b/".repeat(50) + "**/c";
    let path = format!("{}/", "a".repeat(40)).repeat(60) + "d";
    assert!(!matches(&worst, &path));
}

/// Patterns within the part of the language that globset reads the same way. A negated class is not: there it
/// matches a slash.
fn pattern_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => "[ab.]{1,2}",
        2 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("{a,bb}".to_owned()),
        1 => Just("\\*".to_owned()),
    ];
    let component = prop_oneof![
        3 => proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat()),
        1 => Just("**".to_owned()),
    ];
    proptest::collection::vec(component, 1..5).prop_map(|components| components.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_globset(pattern in pattern_text(), name in "[ab.*]{1,3}(/[ab.*]{1,3}){0,4}") {
        let Ok(ours) = Pattern::new(&pattern) else { return Ok(()); };
        let theirs = globset::GlobBuilder::new(&pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .expect("a pattern of ours is one of theirs")
            .compile_matcher();
        prop_assert_eq!(ours.matches(name.as_bytes()), theirs.is_match(&name), "{} on {}", pattern, name);
    }

    #[test]
    fn an_exact_match_is_a_folded_match(pattern in pattern_text(), name in "[abAB. ]{1,3}(/[abAB. ]{1,3}){0,4}") {
        let Ok(pattern) = Pattern::new(&pattern) else { return Ok(()); };
        prop_assert!(!pattern.matches(name.as_bytes()) || pattern.matches_folded(name.as_bytes()));
        prop_assert_eq!(
            pattern.matches_folded(name.as_bytes()) || pattern.matches_folded(name.to_ascii_uppercase().as_bytes()),
            pattern.matches_folded(name.to_ascii_uppercase().as_bytes()) || pattern.matches(name.as_bytes())
                || pattern.matches_folded(name.as_bytes())
        );
    }

    #[test]
    fn nothing_panics(pattern in "\\PC{0,20}", name in proptest::collection::vec(any::<u8>(), 0..30)) {
        if let Ok(pattern) = Pattern::new(&pattern) {
            pattern.matches(&name);
            pattern.matches_folded(&name);
            pattern.covers_folder(&name);
            pattern.literal_prefix();
        }
    }
}
