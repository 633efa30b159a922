//! Any text as the server's policy and as a repository's own: every mistake has its place, and what is valid answers.

#![no_main]

mod seeds;

use libfuzzer_sys::fuzz_target;
use ringfence::check;
use ringfence::finding::{PathOp, RefOp};
use ringfence::identity;
use ringfence::policy::{Policy, RepositoryPolicy};

fn inputs() -> Vec<Vec<u8>> {
    let policy = "version: 1\nmode: observe\ntrusted_refs: [refs/heads/main, \"refs/heads/release/**\"]\nclaims: { boundary: docs }\n\
        identities:\n  docs-bot:\n    kind: agent\n    match: { account: docs-bot }\n    boundary: docs\n    \
        authors: [\"docs-bot <docs-bot@agents.example>\"]\n    valid: { from: 2026-11-01T00:00:00Z, until: 2027-01-01T00:00:00Z }\n  \
        alice: { kind: human, match: { email: [a@x.example] }, repositories: { \"org/*\": docs } }\n\
        boundaries:\n  docs:\n    refs:\n      - { match: \"refs/heads/{a,b}/**\", may: [create, update] }\n    paths:\n      \
        - { match: [\"docs/**\", \"@ci\"], may: [add, modify] }\n    deny: [{ id: ci, paths: [\"@ci\", \"[a-c]?.md\"] }]\n    \
        limits: { refs: 1, file_bytes: 512KiB }\n    checks: { secrets: { certain: deny, likely: hold, possible: warn } }\n\
        tests:\n  - { as: docs-bot, ref: refs/heads/a/x, change: [\"modify docs/a.md\"], expect: accept }\n";
    let own = "version: 1\nboundaries:\n  \"*\": { deny: [{ id: frozen, paths: [\"docs/old/**\"] }], limits: { files: 1 } }\n";
    [policy, own].map(|text| text.as_bytes().to_vec()).into()
}

fuzz_target!(init: seeds::write(inputs), |data: &[u8]| {
    let known = check::known();
    match Policy::parse("policy.yaml", data, &known) {
        Ok(policy) => answers(&policy),
        Err(error) => assert!(error.brief().contains("policy.yaml")),
    }
    if let Err(error) = RepositoryPolicy::parse(".ringfence.yaml", data, &known) {
        assert!(!error.to_string().is_empty());
    }
});

/// Who is named has a boundary or a reason why not, and the boundary answers whatever it is asked.
fn answers(policy: &Policy) {
    for name in policy.identity_names() {
        let Ok(actor) = identity::actor_at_any_time(policy, name, &["org/site".to_owned()]) else {
            continue;
        };
        let boundary = &actor.boundary;
        for ask in [
            &b"docs/a.md"[..],
            b".github/workflows/ci.yml",
            b"a/\xff/../b",
            b"AGENTS.md ",
        ] {
            let _ = boundary.may_path(ask, PathOp::Modify);
            let _ = boundary.denied(ask, true);
            let _ = boundary.may_ref(ask, RefOp::Force);
        }
    }
}
