//! What the record, the calendar and the clock refuse.

use super::*;

/// Every such refusal, by the name of its snapshot.
fn refusals() -> Vec<(&'static str, Decision)> {
    let detailed = |mut decision: Decision, detail: &str| {
        decision.findings[0].finding.detail = Some(detail.to_owned());
        decision
    };
    let mut second = of_push("path/denied", "deny: ci: @ci");
    second.suspends = Some(5);
    let mut unjudged = clean();
    unjudged.verdict = Verdict::Unjudged;
    let why = "its index must be made first; an admin runs ringfence ledger index";
    unjudged.unjudged = Some(Unjudged::Record(why.to_owned()));
    let mut remade = of_ref("ref/force", BRANCH);
    remade.updates = vec![update(BRANCH, None, Some(oid(0xb3)))];
    let mut deleting = of_ref("ref/not-own", BRANCH);
    deleting.updates = vec![update(BRANCH, Some(oid(0xa0)), None)];
    vec![
        (
            "frozen",
            detailed(
                of_ref("ref/frozen", BRANCH),
                "frozen until 2027-01-04T00:00:00Z: holidays",
            ),
        ),
        (
            "not-own",
            detailed(
                of_ref("ref/not-own", BRANCH),
                "by the ledger \"porter\" created it",
            ),
        ),
        ("not-own-delete", deleting),
        (
            "remade",
            detailed(
                remade,
                "it was deleted when it held a0a0a0a0a0, which the new value does not contain",
            ),
        ),
        ("owner-unknown", of_ref("ref/owner-unknown", BRANCH)),
        (
            "suspended",
            detailed(
                of_push("identity/suspended", "default of identity/suspended"),
                "since 2026-11-28T19:00:00.000Z, until a person lifts it",
            ),
        ),
        ("suspended-by-this", second),
        (
            "per-hour",
            of_push("limit/pushes-per-hour", "limits: pushes_per_hour: 30"),
        ),
        (
            "per-day",
            of_push("limit/commits-per-day", "limits: commits_per_day: 400"),
        ),
        ("clock", of_push("time/clock", "default of time/clock")),
        ("record-unjudged", unjudged),
    ]
}

#[test]
fn each_says_what_to_do_and_when_to_come_again() {
    for (name, decision) in refusals() {
        insta::assert_snapshot!(name, told(&decision));
    }
}

#[test]
fn a_program_knows_whether_to_wait_to_ask_or_to_go_elsewhere() {
    let schema = include_str!("../../../docs/report.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let mut rows = String::new();
    for (name, decision) in refusals() {
        let document: Value = serde_json::from_str(&json(&decision, Some(&id()))).unwrap();
        conforms(&document, &schema, name);
        let (retry, human) = (&document["retry"], &document["needs_human"]);
        let kind = &document["fix"]["kind"];
        rows.push_str(&format!(
            "{name}: retry {retry}, needs {human}, fix {kind}\n"
        ));
    }
    insta::assert_snapshot!("what-programs-read", rows);
}
