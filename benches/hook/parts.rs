//! What each part of the gate adds to a push of one commit.

use crate::world::{Quarantined, World};
use crate::{git_version, millis};

/// Without limits or anything else that a policy may leave out.
const BARE: &str = "version: 1
host: { kind: plain, account_env: RINGFENCE_BENCH_ACCOUNT }
TOP
identities:
  docs-bot:
    kind: agent
    match: { account: docs-bot }
    boundary: docs
    authors: [\"docs-bot <docs-bot@agents.example>\"]
boundaries:
  docs:
    refs:
      - { match: \"refs/heads/agents/docs-bot/**\", may: [create, update, deleteMAY] }
    paths:
      - { match: \"docs/**\", may: [add, modify, delete] }
BOUNDARY
";

/// What one part writes where into the bare policy.
struct Part<'p> {
    name: &'static str,
    top: String,
    may: &'static str,
    boundary: &'static str,
    push: &'p Quarantined,
}

/// Measures the gate with each part alone, then prints what it adds.
pub(crate) fn print(world: &World) {
    println!("\nWhat each part adds to a push of one commit: instructions, CPU");
    let (empty, text) = (world.empty_file(), world.one_commit());
    let (signed, signers) = world.signed(&text);
    let with = |name, push| Part {
        name,
        top: String::new(),
        may: "",
        boundary: "",
        push,
    };
    let parts = [
        with("an empty file, refs and paths alone", &empty),
        with("120 lines of text in it", &text),
        Part {
            boundary: "    deny: [{ id: exec, paths: [\"@ci\", \"@agent-exec\", \"@editor-exec\"] }]",
            ..with("denied presets", &empty)
        },
        Part {
            boundary: "    limits: { refs: 1, commits: 20, files: 40, added_lines: 2000, file_bytes: 512KiB }",
            ..with("limits of a push", &empty)
        },
        Part {
            boundary: "    limits: { pushes_per_hour: 3600, commits_per_day: 100000, added_lines_per_day: 100000000 }",
            ..with("limits over time", &empty)
        },
        Part {
            boundary: "    limits: { suspend_after: 5 }",
            ..with("suspension after refusals", &empty)
        },
        Part {
            may: ", own",
            ..with("owners of refs", &empty)
        },
        Part {
            top: "freeze: [{ from: 2020-01-01T00:00:00Z, until: 2020-01-02T00:00:00Z, refs: [\"refs/heads/**\"] }]".into(),
            ..with("a freeze", &empty)
        },
        Part {
            top: format!("signers: {{ ssh: {} }}", signers.display()),
            boundary: "    signature: required",
            ..with("120 lines of text, and the signature of the commit", &signed)
        },
    ];
    let mut bare = None;
    for part in parts {
        let policy = BARE
            .replace("TOP", &part.top)
            .replace("MAY", part.may)
            .replace("BOUNDARY", part.boundary);
        world.write_policy_text(&policy);
        let pair = world.compare(part.push, &git_version(), 40);
        let told = world.instructions(&world.hook(part.push));
        let count = told.parse::<f64>().unwrap_or(f64::NAN) / 1e6;
        let cpu = millis(pair.cpu.0);
        match bare {
            None => println!("  {}: {count:.2} M, {cpu:.2} ms", part.name),
            Some((least, fastest)) => println!(
                "  {}: {:+.2} M, {:+.2} ms",
                part.name,
                count - least,
                cpu - fastest
            ),
        }
        bare.get_or_insert((count, cpu));
    }
    world.write_policy(1);
}
