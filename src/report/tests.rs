use serde_json::Value;

use super::samples::*;
use super::*;
use crate::budget::{Exhausted, Resource};
use crate::finding::{Part, PathOp, Place, Span, Suppression};
use crate::verdict::Unjudged;

mod record;
mod sarif;
pub(crate) use sarif::validator as sarif_validator;

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

/// A finding of the ref itself.
fn of_ref(rule: &'static str, to: &str) -> Decision {
    let mut place = Place::new(Part::Ref);
    place.ref_name = Some(name(to));
    let title = "agent \"docs-bot\" may not do this to this ref";
    let mut decision = with(vec![judged(rule, Level::Deny, title, place)]);
    decision.updates = vec![update(to, Some(oid(0xa0)), Some(oid(0xb3)))];
    decision
}

fn of_push(rule: &'static str, what: &str) -> Decision {
    let mut decision = with(vec![judged(
        rule,
        Level::Deny,
        "the push is more than the boundary allows",
        Place::new(Part::Commit),
    )]);
    decision.findings[0].decided_by = policy_line(40, what);
    decision
}

fn of_author(pair: u8) -> Judged {
    judged(
        "identity/author-mismatch",
        Level::Deny,
        "the author is none of those that the policy lists for \"docs-bot\"",
        in_commit(Part::Author, pair, None),
    )
}

fn hidden(pair: u8, path: &str) -> Judged {
    let mut place = in_commit(Part::Content, pair, Some(path));
    place.span = Some(Span {
        bytes: 10..14,
        line: 3,
        column: 14,
    });
    judged(
        "unicode/tag-text",
        Level::Deny,
        "tag characters that spell text which nobody sees",
        place,
    )
}

fn held(pair: u8) -> Judged {
    let mut judged = judged(
        "path/held",
        Level::Hold,
        "agent \"docs-bot\" may change this path only with an approval",
        in_commit(Part::Path, pair, Some("package-lock.json")),
    );
    judged.finding.op = Some(PathOp::Modify);
    judged.decided_by = policy_line(22, "hold: lockfiles: @lockfiles");
    judged
}

fn warning(pair: u8) -> Judged {
    let mut judged = token(pair, "docs/example.md");
    judged.level = Level::Warn;
    judged
}

fn merged() -> Decision {
    let mut decision = with(Vec::new());
    decision.verdict = Verdict::Reject;
    decision.commits = vec![
        commit(oid(0xb1), &[oid(0xa0)]),
        commit(oid(0xc1), &[oid(0xb1), oid(0xa1)]),
        commit(oid(0xb3), &[oid(0xc1)]),
    ];
    decision
}

fn evil(pair: u8) -> Judged {
    let mut judged = denied(pair, ".github/workflows/ci.yml", PathOp::Modify);
    judged.finding.rule = "merge/evil".into();
    judged.finding.title = "the merge holds what neither side has".into();
    judged
}

fn unjudged(why: Unjudged) -> Decision {
    let mut decision = clean();
    decision.verdict = Verdict::Unjudged;
    decision.work.texts = (2300, 1812);
    decision.unjudged = Some(why);
    decision
}

/// A decision for every text.
fn cases() -> Vec<(&'static str, Decision)> {
    let bound = |resource, limit| Unjudged::Exhausted(Exhausted { resource, limit });
    let mut cases: Vec<(&str, Decision)> = vec![
        ("warnings-only", with(vec![warning(0xb2)])),
        (
            "reject-with-warning",
            with(vec![warning(0xb1), hidden(0xb3, "AGENTS.md")]),
        ),
        ("hold", with(vec![held(0xb3)])),
        (
            "reject-and-hold",
            with(vec![held(0xb2), denied(0xb3, "ci.yml", PathOp::Add)]),
        ),
        (
            "ref-out-of-boundary",
            of_ref("ref/out-of-boundary", "refs/heads/main"),
        ),
        ("ref-force", of_ref("ref/force", BRANCH)),
        ("ref-force-tag", of_ref("ref/force", "refs/tags/v1")),
        ("ref-delete", of_ref("ref/delete", BRANCH)),
        ("ref-old-mismatch", of_ref("ref/old-mismatch", BRANCH)),
        ("ref-symref", of_ref("ref/symref", BRANCH)),
        (
            "limit-commits",
            of_push("limit/commits", "limits: commits: 2"),
        ),
        ("limit-files", of_push("limit/files", "limits: files: 40")),
        (
            "object-unreferenced",
            of_push("object/unreferenced", "object/unreferenced"),
        ),
        (
            "history-unrelated",
            of_push("history/unrelated", "history/unrelated"),
        ),
        (
            "identity-unknown",
            of_push("identity/unknown", "unknown: deny"),
        ),
        (
            "identity-not-yet-valid",
            of_push("identity/not-yet-valid", "valid: from"),
        ),
        ("author-tip", with(vec![of_author(0xb3)])),
        ("author-older", with(vec![of_author(0xb1), of_author(0xb2)])),
        ("secret-tip", with(vec![token(0xb3, "deploy/config.env")])),
        ("unicode-older", with(vec![hidden(0xb2, "AGENTS.md")])),
        (
            "message-tip",
            with(vec![judged(
                "secret/github-pat",
                Level::Deny,
                "GitHub personal access token",
                in_commit(Part::Message, 0xb3, None),
            )]),
        ),
        ("tag-message", {
            let mut place = in_commit(Part::TagMessage, 0xd1, None);
            place.ref_name = Some(name("refs/tags/v1"));
            let mut decision = with(vec![judged(
                "unicode/bidi",
                Level::Deny,
                "bidirectional control characters",
                place,
            )]);
            decision.updates = vec![update("refs/tags/v1", None, Some(oid(0xd1)))];
            decision
        }),
        ("unjudged-time", unjudged(bound(Resource::Time, 4000))),
        ("unjudged-refs", unjudged(bound(Resource::Refs, 1000))),
        (
            "unjudged-repository",
            unjudged(Unjudged::Repository(format!(
                "object {} is missing",
                oid(0xb2)
            ))),
        ),
        (
            "unjudged-ledger",
            unjudged(Unjudged::Ledger("no space left on device".into())),
        ),
    ];
    let mut merge = merged();
    merge.findings = vec![evil(0xc1)];
    cases.push(("merge-older", merge));
    let mut merge = merged();
    merge.findings = vec![evil(0xc1)];
    merge.updates[0].command.new = Some(oid(0xc1));
    merge.commits.pop();
    cases.push(("merge-tip", merge));
    let mut root = with(vec![denied(0xb1, "ci.yml", PathOp::Add)]);
    root.commits[0].parents.clear();
    root.rewrite_base = None;
    cases.push(("root-commit", root));
    let odd = [
        ("a b/$(id)'s.yml", PathOp::Delete),
        ("x*", PathOp::Symlink),
        ("d/\u{65e5}\n.md", PathOp::Modify),
        ("-rf", PathOp::Add),
    ];
    cases.push((
        "odd-paths",
        with(
            odd.iter()
                .map(|(path, op)| denied(0xb3, path, *op))
                .collect(),
        ),
    ));
    let many = (0..25).map(|n| {
        if n < 20 {
            denied(0xb3, &format!("src/{n:02}.rs"), PathOp::Add)
        } else {
            hidden(0xb3, &format!("doc/{n}.md"))
        }
    });
    cases.push(("more-than-ten", with(many.collect())));
    let mut observed = with(vec![denied(0xb3, "ci.yml", PathOp::Add)]);
    observed.enforced = false;
    cases.push(("observe", observed.clone()));
    observed.findings = vec![held(0xb3)];
    observed.verdict = Verdict::Hold;
    cases.push(("observe-hold", observed));
    let mut advisory = with(vec![token(0xb3, "deploy/config.env")]);
    advisory.advisory = true;
    cases.push(("advisory", advisory.clone()));
    advisory.findings[0].level = Level::Warn;
    advisory.verdict = Verdict::Accept;
    cases.push(("advisory-warning", advisory));
    let mut nowhere = of_ref("ref/out-of-boundary", "refs/heads/main");
    nowhere.allowed_refs.clear();
    cases.push(("no-ref-allowed", nowhere));
    let mut two = of_ref("ref/out-of-boundary", "refs/heads/main");
    two.updates
        .push(update("refs/tags/v1", None, Some(oid(0xb2))));
    two.findings.push({
        let mut second = two.findings[0].clone();
        second.finding.place.ref_name = Some(name("refs/tags/v1"));
        second
    });
    cases.push(("two-refs", two));
    let mut large = in_commit(Part::Path, 0xb3, Some("data/set.bin"));
    large.ref_name = Some(name(BRANCH));
    let large = judged(
        "limit/file-bytes",
        Level::Deny,
        "the file is too large",
        large,
    );
    cases.push(("limit-file-bytes", with(vec![large])));
    let malformed = in_commit(Part::Path, 0xb3, Some("docs"));
    let malformed = judged(
        "object/malformed",
        Level::Deny,
        "the folder has an entry twice",
        malformed,
    );
    cases.push(("object-malformed", with(vec![malformed])));
    let mut target = in_commit(Part::SymlinkTarget, 0xb3, Some("docs/link"));
    target.ref_name = Some(name(BRANCH));
    let mut target = judged(
        "path/symlink-target",
        Level::Deny,
        "the link leads out of the repository",
        target,
    );
    target.finding.op = Some(PathOp::Symlink);
    cases.push(("path-symlink-target", with(vec![target])));
    cases.push(("many-places", with(vec![in_many_places(6)])));
    let mut two = with(vec![in_many_places(1)]);
    two.updates.push(update(
        "refs/heads/agents/docs-bot/two",
        None,
        Some(oid(0xb2)),
    ));
    two.findings[0].also[0].place.ref_name = Some(name("refs/heads/agents/docs-bot/two"));
    two.findings[0].also[0].detail = Some("inside base64".into());
    two.suppressed = vec![warning(0xb2)];
    cases.push(("two-places-on-two-refs", two));
    let mut expired = token(0xb3, "tests/fixtures/key.pem");
    expired.finding.suppression = Some(Suppression {
        id: "test-vectors".into(),
        until: "2026-11-01T00:00:00Z".parse().unwrap(),
        expired: true,
        at: policy_line(50, "suppressions: test-vectors"),
    });
    cases.push(("expired-suppression", with(vec![expired])));
    let mut net = denied(0xb3, "ci.yml", PathOp::Modify);
    net.finding.place.commit = None;
    cases.push(("net-effect", with(vec![net])));
    cases
}

#[test]
fn texts() {
    for (case, decision) in cases() {
        insta::assert_snapshot!(case, told(&decision));
    }
}

#[test]
fn an_unjudged_push_without_a_record_names_no_id() {
    let text = text(&unjudged(Unjudged::Ledger("it is busy".into())), None);
    assert!(
        text.contains("the ledger cannot be written: it is busy"),
        "{text}"
    );
    assert!(!text.contains("decision"), "{text}");
}

#[test]
fn a_policy_that_cannot_be_used() {
    insta::assert_snapshot!("policy-error", policy_error("policy.yaml is not valid"));
}

#[test]
fn gitlab_shows_the_headline_in_its_pages() {
    let mut decision = with(vec![denied(0xb3, "ci.yml", PathOp::Add)]);
    decision.host = HostKind::Gitlab;
    decision.actor.kind = Kind::Human;
    let out = to_pusher(&decision, Some(&id()));
    let last = out.lines().last().unwrap();
    assert_eq!(
        last,
        "GL-HOOK-ERR: error: push rejected: 1 finding in 3 new commits"
    );
    decision.actor.kind = Kind::Agent;
    let out = to_pusher(&decision, Some(&id()));
    assert!(out.lines().last().unwrap().starts_with(AGENT_LINE_PREFIX));
    decision.enforced = false;
    assert!(!to_pusher(&decision, Some(&id())).contains("GL-HOOK-ERR"));
}

#[test]
fn findings_stand_in_one_order_however_they_come() {
    let mut findings = vec![
        token(0xb1, "b"),
        token(0xb1, "a"),
        warning(0xb1),
        denied(0xb2, "0", PathOp::Add),
        held(0xb1),
    ];
    let mut other_ref = token(0xb1, "a");
    other_ref.finding.place.ref_name = Some(name("refs/heads/a"));
    findings.push(other_ref);
    let expected = text(&with(findings.clone()), None);
    for _ in 0..findings.len() {
        findings.rotate_left(1);
        assert_eq!(text(&with(findings.clone()), None), expected);
    }
    let order: Vec<&str> = expected
        .lines()
        .filter(|line| line.starts_with("  at:"))
        .collect();
    insta::assert_snapshot!("order", order.join("\n"));
}

#[test]
fn what_was_pushed_cannot_speak_with_our_voice() {
    let path = "x\nerror: ask nobody\u{1b}[2J\u{202e}`id`";
    for finding in [
        denied(0xb3, path, PathOp::Add),
        token(0xb3, path),
        hidden(0xb2, path),
    ] {
        let decision = with(vec![finding]);
        let text = told(&decision);
        assert!(!text.contains("\nerror: ask"), "{text}");
        let line = agent_line(&decision, Some(&id()));
        assert_eq!(line.lines().count(), 1);
        assert!(
            line.trim_end()
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~'))
        );
    }
}

#[test]
fn the_line_for_agents_fits() {
    let many: Vec<Judged> = (0..2_000)
        .map(|n| token(0xb3, &format!("{}/{n}", "d".repeat(90))))
        .collect();
    let mut decision = with(many);
    let check = |decision: &Decision| {
        let line = agent_line(decision, Some(&id()));
        assert!(
            line.len() <= AGENT_LINE_MAX_BYTES && line.ends_with("}\n"),
            "{}",
            line.len()
        );
        let document: Value =
            serde_json::from_str(line.strip_prefix(AGENT_LINE_PREFIX).unwrap()).unwrap();
        assert_eq!(document["counts"]["findings"], decision.findings.len());
        assert_eq!(
            document["counts"]["shown"],
            document["findings"].as_array().unwrap().len()
        );
        assert_eq!(document["id"], "7Q4M-2KX9");
        document["findings"].as_array().unwrap().len()
    };
    assert!(check(&decision) > 10);
    // Steps so long that nothing else has room are left out before all findings are.
    for (n, judged) in decision.findings.iter_mut().enumerate() {
        *judged = denied(0xb3, &format!("{}/{n}", "d".repeat(500)), PathOp::Add);
    }
    assert!(check(&decision) > 10);
    decision.findings.truncate(3);
    assert_eq!(check(&decision), 3);
}

/// The part of JSON Schema that our schema uses. Everything else in it fails.
fn conforms(value: &Value, schema: &Value, at: &str) {
    for (word, asked) in schema.as_object().unwrap() {
        match word.as_str() {
            "$schema" | "$id" | "title" | "description" => {}
            "const" => assert_eq!(value, asked, "{at}"),
            "enum" => assert!(asked.as_array().unwrap().contains(value), "{at}: {value}"),
            "type" => {
                let kinds = asked
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![asked.clone()]);
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("{other}"),
                };
                assert!(kinds.iter().any(is), "{at}: {value} is no {asked}");
            }
            "minimum" => assert!(value.as_u64() >= asked.as_u64(), "{at}: {value}"),
            "pattern" => {
                let pattern = regex::Regex::new(asked.as_str().unwrap()).unwrap();
                assert!(pattern.is_match(value.as_str().unwrap()), "{at}: {value}");
            }
            "required" => {
                for name in asked.as_array().unwrap() {
                    assert!(
                        value.get(name.as_str().unwrap()).is_some(),
                        "{at}: no {name}"
                    );
                }
            }
            "properties" => {
                for (name, field) in value.as_object().unwrap() {
                    let schema = asked
                        .get(name)
                        .unwrap_or_else(|| panic!("{at}: {name} is unknown"));
                    conforms(field, schema, &format!("{at}.{name}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().unwrap().iter().enumerate() {
                    conforms(item, asked, &format!("{at}[{index}]"));
                }
            }
            other => panic!("the schema uses {other}"),
        }
    }
}

#[test]
fn documents_conform_to_the_schema() {
    let schema = include_str!("../../docs/report.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    for (case, decision) in cases() {
        for id in [Some(id()), None] {
            let line = agent_line(&decision, id.as_ref());
            let line = line.strip_prefix(AGENT_LINE_PREFIX).unwrap();
            for document in [line, &json(&decision, id.as_ref())] {
                conforms(&serde_json::from_str(document).unwrap(), &schema, case);
            }
        }
    }
}

#[test]
fn places_are_counted_and_cut() {
    let decision = with(vec![in_many_places(1_000)]);
    for (document, most) in [
        (json(&decision, None), usize::MAX),
        (
            agent_line(&decision, None)[AGENT_LINE_PREFIX.len()..].to_owned(),
            AGENT_LINE_MAX_BYTES,
        ),
    ] {
        assert!(document.len() <= most);
        let document: Value = serde_json::from_str(&document).unwrap();
        let found = &document["findings"][0];
        assert_eq!(found["place_count"], 1_001);
        assert_eq!(found["places"].as_array().unwrap().len(), 20);
        assert_eq!(found["places"][0]["path"], found["path"]);
        assert_eq!(document["counts"]["findings"], 1);
    }
    assert!(told(&decision).contains("and 997 more places"));
}

#[test]
fn what_was_accepted_is_not_to_be_tried_again() {
    let mut decision = with(vec![denied(0xb3, "ci.yml", PathOp::Add)]);
    assert!(json(&decision, None).contains("\"retry\": \"after_fix\""));
    decision.enforced = false;
    assert!(!json(&decision, None).contains("\"retry\""));
}

#[test]
fn documents() {
    for wanted in [
        "reject-with-warning",
        "hold",
        "ref-out-of-boundary",
        "unjudged-time",
        "odd-paths",
        "two-places-on-two-refs",
        "expired-suppression",
    ] {
        let (case, decision) = cases()
            .into_iter()
            .find(|(case, _)| *case == wanted)
            .unwrap();
        insta::assert_snapshot!(format!("json-{case}"), json(&decision, Some(&id())));
    }
}
