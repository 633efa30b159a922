//! The fast reader against the full one.

use proptest::prelude::*;

use super::*;

fn full(text: &str) -> Result<Node<'_>, String> {
    let mut wrong = Vec::new();
    let tree = read_any(text, &mut wrong);
    match wrong.first() {
        Some(mistake) => Err(mistake.to_string()),
        None => tree.ok_or_else(|| "no tree".to_owned()),
    }
}

/// The two see the start of a list that is no deeper than its key one token apart; only a caret tells.
fn without_starts_of_lists(mut node: Node<'_>) -> Node<'_> {
    match &mut node.value {
        Value::List(items) => {
            node.at = At::default();
            *items = std::mem::take(items)
                .into_iter()
                .map(without_starts_of_lists)
                .collect();
        }
        Value::Map(entries) => {
            *entries = std::mem::take(entries)
                .into_iter()
                .map(|(key, value)| (key, without_starts_of_lists(value)))
                .collect();
        }
        Value::Nothing | Value::Scalar(_) => {}
    }
    node
}

/// What the fast reader takes, the full one must take for the same.
fn assert_same(text: &str) {
    if let Some(tree) = plain::read(text) {
        assert_eq!(
            Ok(without_starts_of_lists(tree)),
            full(text).map(without_starts_of_lists),
            "\n{text}"
        );
    }
}

const POLICY: &str = include_str!("../../testdata/policies/valid/design.yaml");

#[test]
fn an_ordinary_policy_is_plain() {
    assert!(plain::read(POLICY).is_some());
    assert_same(POLICY);
}

#[test]
fn plain_texts() {
    for text in [
        "a: b\n",
        "a: b",
        "- a\n- b: c\n  d: e\n-   f: g\n    h: i\n",
        "a:\n- b\n- c\nd: e\n",
        "a:\n  - b\n  -\n    c: d\n",
        "a: { b: [c, \"d e\", 'f'], }  # g\n\n# h\ni: ~\n",
        "a: [b,\n  c]\n",
        "a: { b: c,\n     d: e }\n",
        "- - a\n  - b\n- c\n",
        "\"a\": 'b: c'\n'd': e#f\n",
        "a: -1\nb: x - y\nc: http://x:1/y\nd: 2026-11-01T00:00:00Z\n",
        "caf\u{e9}: [\u{fc}, x]  # \u{2014}\nb: {\u{e9}: c}\n",
        "a: null\nb: ~\nc: \"\"\n",
        "a: b c  \n",
        "a:\n    b: c\n    d:\n      e: f\ng: h\n",
    ] {
        assert!(plain::read(text).is_some(), "{text}");
        assert_same(text);
    }
}

#[test]
fn what_is_not_plain_is_left_to_the_full_parser() {
    for text in [
        "",
        "# a\n",
        "a: &b c\n",
        "a: *b\n",
        "a: !b c\n",
        "a: |\n  b\n",
        "a: b\n  c\n",
        "a: \"b\n  c\"\n",
        "a: 'b''c'\n",
        "a: \"\\n\"\n",
        "---\na: b\n",
        "a: b\n---\nc: d\n",
        "a: b\n...\n",
        "%YAML 1.2\n---\na: b\n",
        "a: b\na: c\n",
        "a: b: c\n",
        "a:\n",
        "a: {b}\n",
        "a: {b: }\n",
        "a: [b: c]\n",
        "? a\n",
        "a:\tb\n",
        "a: b\r\n",
        "a: [b\n]\n",
        " a: b\n",
        "a: b\n c: d\n",
        "{a: b}: c\n",
        "a: 'b' c\n",
        "a: [b]#c\n",
        "a : b\n",
        "a: -\n",
        "a: - b\n",
        "{a: b\n",
        "a: \"b\n",
        "\u{feff}a: b\n",
    ] {
        assert!(plain::read(text).is_none(), "{text}");
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "a: b", "a:", ":", ": ", "- ", "-", "\n", "\n  ", "\n    ", "\n- ", "\n  - ",
        " ", "  ", "{", "}", "[", "]", ", ", ",", "\"x\"", "'y'", "\"", "'", "#", " # c", "~",
        "null", "?", "&a", "*a", "!t", "|", ">", "%", "@", "`", "---", "...", "\\", "\u{e9}",
        "{ a: b }", "[a, b]", "c: d\n", "e:\n", "1.5", "x y",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_tree_from_tokens(tokens in proptest::collection::vec(token(), 0..14)) {
        assert_same(&tokens.concat());
    }

    #[test]
    fn the_same_tree_from_a_policy_with_edits(edits in proptest::collection::vec((0..POLICY.len(), 0..6_usize, token()), 0..4)) {
        let mut text = POLICY.to_owned();
        for (at, cut, token) in edits {
            let start = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (start + cut..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            text.replace_range(start..end, token);
        }
        assert_same(&text);
    }
}
