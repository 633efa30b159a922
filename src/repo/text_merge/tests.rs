use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn merged(base: &str, ours: &str, theirs: &str) -> (String, bool) {
    let merged = merge(
        base.as_bytes(),
        ours.as_bytes(),
        theirs.as_bytes(),
        Engine::Histogram,
    );
    (String::from_utf8(merged.text).unwrap(), merged.clean)
}

#[test]
fn sides_that_stay_apart_are_both_taken() {
    let base = "1\n2\n3\n4\n5\n";
    assert_eq!(
        merged(base, "0\n1\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive"),
        ("0\n1\n2\n3\n4\nfive".into(), true)
    );
    assert_eq!(merged(base, base, "2\n"), ("2\n".into(), true));
    assert_eq!(merged(base, "", base), (String::new(), true));
}

#[test]
fn the_same_change_on_both_sides_is_taken_once() {
    let base = "1\n2\n3\n";
    let both = "1\n2\n2a\n3\n";
    assert_eq!(merged(base, both, both), (both.into(), true));
    assert_eq!(
        merged(base, "1\nx\n3\n4\n", "1\nx\n3\n"),
        ("1\nx\n3\n4\n".into(), true)
    );
}

#[test]
fn changes_that_touch_or_overlap_conflict() {
    let base = "1\n2\n3\n";
    assert!(!merged(base, "1\nx\n3\n", "1\ny\n3\n").1);
    // Next to each other, without an unchanged line between: so does git.
    assert!(!merged(base, "1\nx\n3\n", "1\n2\ny\n").1);
    assert!(!merged("", "1\n", "1\n2\n").1);
    assert_eq!(
        merged(base, "1\nx\n3\n", "1\ny\n3\n").0,
        "1\n<<<<<<<\nx\n=======\ny\n>>>>>>>\n3\n"
    );
}

#[test]
fn binary_and_large_content_is_not_text() {
    assert!(is_text(b""));
    assert!(is_text("äöü\n".as_bytes()));
    assert!(!is_text(b"a\0b"));
    assert!(!is_text(&vec![b'a'; TEXT_MERGE_MAX_BYTES + 1]));
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(0..6_u8, 0..14), any::<bool>()).prop_map(|(lines, ended)| {
        let mut text = Vec::new();
        for line in &lines {
            text.extend_from_slice(&[b'a' + line, b'\n']);
        }
        if !ended {
            text.pop();
        }
        text
    })
}

/// `text` with a few lines put in, taken out or changed.
fn edited(text: &[u8], edits: &[(usize, u8)]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for (at, what) in edits {
        let at = at % (lines.len() + 1);
        let line = vec![b'a' + what % 7, b'\n'];
        match what % 3 {
            0 if at < lines.len() => {
                lines.remove(at);
            }
            1 if at < lines.len() => lines[at] = line,
            _ => lines.insert(at, line),
        }
    }
    lines.concat()
}

fn sorted(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Whether no line stands twice, so that there is one way to line it up.
fn is_unambiguous(text: &[u8]) -> bool {
    sorted(text).windows(2).all(|pair| pair[0] != pair[1])
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)
}

fn config() -> ProptestConfig {
    // The same cases every time; `PROPTEST_CASES=1000` looks for new ones.
    let (cases, rng_seed) = match std::env::var("PROPTEST_CASES") {
        Ok(cases) => (cases.parse().unwrap(), RngSeed::Random),
        Err(_) => (64, RngSeed::Fixed(2)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lines_merge_as_in_git(base in lines(), ours in edits(), theirs in edits()) {
        let ours = edited(&base, &ours);
        let theirs = edited(&base, &theirs);
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        for (engine, algorithm) in [(Engine::Histogram, "histogram"), (Engine::Myers, "myers")] {
            let output = Command::new("git")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .args(["merge-file", "-p", "--diff-algorithm", algorithm, "ours", "base", "theirs"])
                .current_dir(dir.path())
                .output()
                .unwrap();
            let merged = merge(&base, &ours, &theirs, engine);
            // The algorithms are other programs than git's own, and may line up repeated lines in another way: then
            // one sees a conflict where the other does not, the same lines stand elsewhere, or of two like lines that
            // the sides take away one sees twice the same.
            if output.status.success() && merged.clean {
                let sides = [sorted(&ours), sorted(&theirs)].concat();
                prop_assert!(sorted(&merged.text).iter().all(|line| sides.contains(line)));
                if [&base, &ours, &theirs].into_iter().all(|text| is_unambiguous(text)) {
                    prop_assert_eq!(&merged.text, &output.stdout);
                }
            }
        }
    }
}
