use super::*;
use crate::policy::Known;

const TEXT: &str = r#"
version: 1
unknown: deny
identities:
  docs-bot:
    kind: agent
    match: { account: docs-bot }
    boundary: docs
    valid: { from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z }
  keyed: { kind: agent, match: { deploy_key: [7, 8] }, boundary: docs }
  ci: { kind: service, match: { account: gitea-actions }, boundary: docs }
  both: { kind: human, match: { account: alice, ssh_key: "SHA256:abc" }, boundary: docs }
  alice: { kind: human, match: { account: [alice, alice2] }, boundary: docs, mode: observe }
  listed:
    kind: agent
    match: { account: listed }
    repositories: { "org/docs-*": docs, "org/docs-x": people, "org/*-y": people }
boundaries:
  docs: { refs: [], paths: [] }
  people: { refs: [], paths: [] }
"#;

fn policy() -> Policy {
    Policy::parse("policy.yaml", TEXT.as_bytes(), &Known::ANY).expect("a valid policy")
}

fn pusher(account: &str) -> Pusher {
    Pusher {
        account: Some(account.to_owned()),
        ..Pusher::default()
    }
}

fn who(pusher: &Pusher, repository: &str, now: &str) -> Result<(String, String), &'static str> {
    let now = now.parse().expect("a moment");
    identify(&policy(), pusher, &[repository.to_owned()], now)
        .map(|actor| {
            (
                actor.name.expect("an identity"),
                actor.boundary.name().to_owned(),
            )
        })
        .map_err(|refused| refused.rule)
}

const NOW: &str = "2026-06-01T00:00:00Z";

fn named(name: &str, boundary: &str) -> Result<(String, String), &'static str> {
    Ok((name.to_owned(), boundary.to_owned()))
}

#[test]
fn by_account() {
    assert_eq!(
        who(&pusher("docs-bot"), "o/r", NOW),
        named("docs-bot", "docs")
    );
    assert_eq!(
        who(&pusher("DOCS-BOT"), "o/r", NOW),
        Err("identity/unknown")
    );
    assert_eq!(who(&Pusher::default(), "o/r", NOW), Err("identity/unknown"));
    assert_eq!(who(&pusher("alice2"), "o/r", NOW), named("alice", "docs"));
}

#[test]
fn in_time() {
    let bot = pusher("docs-bot");
    assert_eq!(
        who(&bot, "o/r", "2025-12-31T23:59:59Z"),
        Err("identity/not-yet-valid")
    );
    assert_eq!(
        who(&bot, "o/r", "2026-01-01T00:00:00Z"),
        named("docs-bot", "docs")
    );
    assert_eq!(
        who(&bot, "o/r", "2027-01-01T00:00:00Z"),
        Err("identity/expired")
    );
}

#[test]
fn a_deploy_key_is_no_account() {
    let mut key = pusher("docs-bot");
    key.deploy_key = Some("7".to_owned());
    assert_eq!(who(&key, "o/r", NOW), named("keyed", "docs"));
    key.deploy_key = Some("9".to_owned());
    assert_eq!(who(&key, "o/r", NOW), Err("identity/unknown"));
}

#[test]
fn a_ci_job_is_no_account() {
    let mut job = pusher("docs-bot");
    job.ci_task = Some("12".to_owned());
    assert_eq!(who(&job, "o/r", NOW), Err("identity/unknown"));
    job.account = Some(CI_ACCOUNT.to_owned());
    assert_eq!(who(&job, "o/r", NOW), named("ci", "docs"));
}

#[test]
fn two_matches_are_none() {
    let mut alice = pusher("alice");
    assert_eq!(who(&alice, "o/r", NOW), named("alice", "docs"));
    alice.ssh_key = Some("SHA256:abc".to_owned());
    assert_eq!(who(&alice, "o/r", NOW), Err("identity/ambiguous"));
}

#[test]
fn the_case_of_a_repository_chooses_no_boundary() {
    let text = TEXT.replace("\"org/*-y\": people", "\"*/*\": people, \"Org/Site\": docs");
    let text = text.replace("\"org/docs-*\": docs", "\"org/Docs-?\": docs");
    let policy = Policy::parse("policy.yaml", text.as_bytes(), &Known::ANY).expect("valid");
    let boundary = |name: &str| {
        let actor = actor_at_any_time(&policy, "listed", &[name.to_owned()]);
        actor
            .map(|actor| actor.boundary.name().to_owned())
            .map_err(|refused| refused.rule)
    };
    for name in ["Org/Site", "org/site", "ORG/SITE"] {
        assert_eq!(boundary(name).as_deref(), Ok("docs"), "{name}");
    }
    for name in ["org/docs-x", "Org/DOCS-X", "other/site"] {
        assert_eq!(boundary(name).as_deref(), Ok("people"), "{name}");
    }
    // Two that match in any case are two that match.
    for name in ["org/docs-z", "ORG/DOCS-Z"] {
        assert_eq!(boundary(name), Err("identity/ambiguous"), "{name}");
    }
}

#[test]
fn by_repository() {
    let bot = pusher("listed");
    assert_eq!(who(&bot, "org/docs-a", NOW), named("listed", "docs"));
    assert_eq!(who(&bot, "org/docs-x", NOW), named("listed", "people"));
    assert_eq!(who(&bot, "org/a-y", NOW), named("listed", "people"));
    assert_eq!(who(&bot, "org/docs-y", NOW), Err("identity/ambiguous"));
    assert_eq!(who(&bot, "org/site", NOW), Err("identity/repository"));
    assert_eq!(who(&bot, "docs-a", NOW), Err("identity/repository"));
}

#[test]
fn modes() {
    let now = NOW.parse().expect("a moment");
    let actor = actor_named(&policy(), "alice", &[], now).expect("an identity");
    assert_eq!((actor.mode, actor.kind), (Mode::Observe, Kind::Human));
    let actor = actor_named(&policy(), "docs-bot", &[], now).expect("an identity");
    assert_eq!((actor.mode, actor.kind), (Mode::Enforce, Kind::Agent));
}
