//! The texts about signatures.

use super::samples::*;
use super::text;
use crate::finding::{Level, Part, Place};
use crate::verdict::{Decision, Judged};

fn commit(rule: &'static str, title: &'static str, pair: u8, key: Option<&str>) -> Judged {
    let mut judged = judged(
        rule,
        Level::Deny,
        title,
        in_commit(Part::Commit, pair, None),
    );
    judged.finding.detail = key.map(|key| format!("key {key}"));
    judged
}

#[test]
fn what_is_said_of_signatures() {
    const KEY: &str = "SHA256:uNiVztksCsDhcc0u9e8BrAnPD6JNFuyfCcGOTYRE5zk";
    let tag = || -> Decision {
        let mut place = in_commit(Part::Tag, 0xd1, None);
        place.ref_name = Some(name("refs/tags/v1"));
        let mut decision = with(vec![judged(
            "signature/missing",
            Level::Deny,
            "the tag is not signed",
            place,
        )]);
        decision.updates = vec![update("refs/tags/v1", None, Some(oid(0xd1)))];
        decision
    };
    let missing = |pair| commit("signature/missing", "the commit is not signed", pair, None);
    let unknown = "the signature of the commit is made with a key that nobody knows";
    let long =
        "the signature of the commit is made with a plain key, not with a certificate that ends";
    let push = judged(
        "signature/push-certificate",
        Level::Deny,
        "the push is not signed",
        Place::new(Part::Ref),
    );
    let decisions = [
        with(vec![missing(0xb3)]),
        with(vec![missing(0xb1), missing(0xb2)]),
        with(vec![commit(
            "signature/unknown-key",
            unknown,
            0xb3,
            Some(KEY),
        )]),
        with(vec![commit("signature/long-lived", long, 0xb2, Some(KEY))]),
        tag(),
        with(vec![push]),
    ];
    let texts: Vec<String> = decisions
        .iter()
        .map(|decision| text(decision, None))
        .collect();
    for line in texts.iter().flat_map(|text| text.lines()) {
        assert!(line.len() <= 72 || line.starts_with("hint:   "), "{line}");
    }
    insta::assert_snapshot!(texts.join("\n"));
}
