use super::samples::*;
use super::*;
use crate::finding::PathOp;

fn id() -> Id {
    Id::parse("7Q4M-2KX9").unwrap()
}

/// The text, after the rules for every text were checked.
fn told(decision: &Decision) -> String {
    let text = text(decision, Some(&id()));
    for line in text.lines() {
        assert!(
            line.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{line}"
        );
        let is_command = line.starts_with("hint:   ") && !line.starts_with("hint:   # ");
        let is_one_word = line
            .trim_start()
            .rsplit_once(": ")
            .is_none_or(|(_, rest)| !rest.trim().contains(' '));
        assert!(
            line.len() <= 72 || is_command || is_one_word,
            "{} columns: {line}",
            line.len()
        );
        assert!(!line.ends_with(' '), "{line:?}");
    }
    text
}

#[test]
fn a_clean_push_is_silent() {
    assert_eq!(to_pusher(&clean(), Some(&id())), "");
}

#[test]
fn bookkeeping_is_silent_unless_it_is_judged() {
    let mut decision = with(vec![denied(0xb2, "ci.yml", PathOp::Add)]);
    decision.errand = Errand::Bookkeeping;
    decision.enforced = false;
    assert_eq!(to_pusher(&decision, Some(&id())), "");
    decision.enforced = true;
    assert!(told(&decision).starts_with("error: push rejected"));
}

#[test]
fn older_commits_at_fault() {
    let mut token = token(0xb1, "deploy/config.env");
    token.finding.place.also_in = vec![oid(0xb2)];
    let denied = denied(0xb2, ".github/workflows/release.yml", PathOp::Modify);
    insta::assert_snapshot!(told(&with(vec![token, denied])));
}

#[test]
fn the_tip_at_fault() {
    insta::assert_snapshot!(told(&with(vec![denied(
        0xb3,
        ".github/workflows/release.yml",
        PathOp::Add
    )])));
}
