use super::*;
use crate::finding::{Evidence, Part, Place, Span, Suppression};
use crate::redact::FingerprintKey;

fn oid(pair: u8) -> Oid {
    Oid::from_hex(format!("{pair:02x}").repeat(20).as_bytes()).unwrap()
}

fn token(value: &str, path: &str, commit: u8, confidence: Confidence) -> Finding {
    let mut place = Place::new(Part::Content);
    place.path = Some(path.into());
    place.commit = Some(oid(commit));
    place.span = Some(Span {
        bytes: 0..40,
        line: 1,
        column: 1,
    });
    let mut finding = Finding::new("secret/github-pat", "a token", place);
    finding.confidence = Some(confidence);
    finding.evidence = Some(Evidence {
        prefix: None,
        bytes: 40,
        fingerprint: FingerprintKey::new([3; 32])
            .fingerprint("secret/github-pat", value.as_bytes()),
    });
    finding
}

fn suppressed(mut finding: Finding, id: &str, expired: bool) -> Finding {
    let at = PolicyAt {
        file: "policy.yaml".into(),
        line: 9,
        what: "suppressions".into(),
    };
    finding.suppression = Some(Suppression {
        id: id.into(),
        until: jiff::Timestamp::UNIX_EPOCH,
        expired,
        at,
    });
    finding
}

fn full() -> Work {
    Work {
        refs: (1, 1),
        checks: (1, 1),
        ..Work::default()
    }
}

fn paths(judged: &Judged) -> Vec<String> {
    let paths = judged.places().filter_map(|place| place.path.as_ref());
    paths.map(ToString::to_string).collect()
}

use Confidence::{Certain, Likely, Possible};

#[test]
fn one_value_is_one_finding_with_all_its_places() {
    let weighed = decide(
        vec![
            token("a", "x", 1, Possible),
            token("b", "x", 1, Certain),
            token("a", "y", 1, Certain),
            token("a", "y", 2, Certain),
            token("a", "z", 2, Possible),
        ],
        None,
        &full(),
        None,
    );
    assert_eq!(weighed.verdict, Verdict::Reject);
    let [a, b] = &weighed.findings[..] else {
        panic!("{:?}", weighed.findings)
    };
    assert_eq!(paths(a), ["x", "y", "z"]);
    assert_eq!(a.also[0].place.also_in, [oid(2)]);
    // The strictest level and the highest confidence of all places.
    assert_eq!(
        (a.level, a.finding.confidence),
        (Level::Deny, Some(Certain))
    );
    assert_eq!(paths(b), ["x"]);
    assert_eq!(a.one_by_one().count(), 3);
    assert!(a.one_by_one().all(|one| one.also.is_empty()));
}

#[test]
fn what_was_there_before_takes_in_nothing_that_is_new() {
    let mut old = token("a", "x", 1, Certain);
    old.rule = "secret/already-present".into();
    old.original = Some("secret/github-pat".into());
    for findings in [
        vec![old.clone(), token("a", "y", 1, Certain)],
        vec![token("a", "y", 1, Certain), old.clone()],
    ] {
        let weighed = decide(findings, None, &full(), None);
        assert_eq!(weighed.verdict, Verdict::Reject);
        assert_eq!(weighed.findings.len(), 2);
    }
    let weighed = decide(vec![old], None, &full(), None);
    assert_eq!(weighed.verdict, Verdict::Accept);
}

#[test]
fn a_place_that_is_suppressed_takes_in_no_other() {
    let quiet = suppressed(token("a", "x", 1, Certain), "vector", false);
    let loud = token("a", "y", 1, Certain);
    for findings in [vec![quiet.clone(), loud.clone()], vec![loud, quiet.clone()]] {
        let weighed = decide(findings, None, &full(), None);
        assert_eq!(weighed.verdict, Verdict::Reject);
        assert_eq!(paths(&weighed.findings[0]), ["y"]);
        assert_eq!(paths(&weighed.suppressed[0]), ["x"]);
    }
    // Two entries are told apart.
    let other = suppressed(token("a", "z", 1, Certain), "other", false);
    let weighed = decide(vec![quiet, other], None, &full(), None);
    assert_eq!(weighed.verdict, Verdict::Accept);
    assert_eq!((weighed.findings.len(), weighed.suppressed.len()), (0, 2));
}

#[test]
fn an_entry_that_expired_changes_no_weight() {
    let weighed = decide(
        vec![
            token("a", "x", 1, Certain),
            suppressed(token("a", "y", 1, Certain), "vector", true),
        ],
        None,
        &full(),
        None,
    );
    assert_eq!(weighed.verdict, Verdict::Reject);
    assert_eq!(paths(&weighed.findings[0]), ["x", "y"]);
    assert!(weighed.findings[0].finding.suppression.is_some());
    assert!(weighed.suppressed.is_empty());
}

#[test]
fn a_suppressed_finding_does_not_stand_for_work_that_was_not_done() {
    let quiet = suppressed(token("a", "x", 1, Certain), "vector", false);
    let weighed = decide(vec![quiet], None, &Work::default(), None);
    assert_eq!(weighed.verdict, Verdict::Unjudged);
}

#[test]
fn places_are_put_in_order_with_their_details() {
    let mut finding = token("a", "y", 1, Certain);
    finding.detail = Some("inside base64".into());
    let weighed = decide(
        vec![finding, token("a", "x", 1, Certain)],
        None,
        &full(),
        None,
    );
    let mut judged = weighed.findings[0].clone();
    judged.sort_places_by(|place| place.path.clone());
    assert_eq!(paths(&judged), ["x", "y"]);
    assert_eq!(judged.finding.detail, None);
    assert_eq!(judged.also[0].detail.as_deref(), Some("inside base64"));
}

#[test]
fn by_default_what_is_only_possible_is_told() {
    for (confidence, verdict) in [
        (Certain, Verdict::Reject),
        (Likely, Verdict::Reject),
        (Possible, Verdict::Accept),
    ] {
        let weighed = decide(vec![token("a", "x", 1, confidence)], None, &full(), None);
        assert_eq!(weighed.verdict, verdict, "{confidence:?}");
        assert_eq!(weighed.findings.len(), 1);
    }
}

#[test]
fn work_without_a_ref_or_without_a_check_is_no_work() {
    for (refs, checks) in [(0, 1), (1, 0), (0, 0)] {
        let work = Work {
            refs: (refs, refs),
            checks: (checks, checks),
            ..Work::default()
        };
        assert!(!work.is_complete(), "{refs} {checks}");
    }
    assert!(full().is_complete());
}

#[test]
fn a_policy_cannot_switch_off_what_is_fixed() {
    let text = "version: 1\nidentities:\n  a: { kind: agent, match: { account: a }, boundary: b }\n\
                boundaries:\n  b: { checks: { paths: off } }\n";
    let policy = crate::policy::Policy::parse("policy.yaml", text.as_bytes(), &check::known());
    let policy = policy.unwrap();
    let actor = identity::actor_at_any_time(&policy, "a", &[]).unwrap();
    let level = |rule| level_of(rule, None, Some(&actor)).0;
    assert_eq!(level("path/policy"), Level::Deny);
    assert_eq!(level("path/out-of-boundary"), Level::Off);
}
