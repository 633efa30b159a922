//! Decisions to tell about, for the tests of reports and ledger.

use crate::finding::{Evidence, Finding, Level, Part, PathOp, Place, PolicyAt, Sighting, Span};
use crate::policy::Kind;
use crate::push::{Command, Errand, HostKind, Oid, Pusher, RefName, RefUpdate};
use crate::redact::FingerprintKey;
use crate::verdict::{Actor, CommitBrief, Decision, Judged, Verdict, Work};

/// An id made of one hex digit pair, repeated.
pub(crate) fn oid(pair: u8) -> Oid {
    Oid::from_hex(format!("{pair:02x}").repeat(20).as_bytes()).unwrap()
}

/// The ref that the samples push to.
pub(crate) const BRANCH: &str = "refs/heads/agents/docs-bot/guide";

pub(crate) fn name(text: &str) -> RefName {
    RefName::new(text).unwrap()
}

pub(crate) fn update(to: &str, stored: Option<Oid>, new: Option<Oid>) -> RefUpdate {
    RefUpdate {
        command: Command {
            name: name(to),
            claimed_old: stored,
            new,
        },
        target: name(to),
        stored,
        proposed_for: None,
    }
}

pub(crate) fn commit(id: Oid, parents: &[Oid]) -> CommitBrief {
    CommitBrief {
        id,
        parents: parents.to_vec(),
        refs: vec![name(BRANCH)],
    }
}

/// A clean push of three commits, b1 <- b2 <- b3 on top of a0, by `docs-bot`.
pub(crate) fn clean() -> Decision {
    Decision {
        verdict: Verdict::Accept,
        enforced: true,
        advisory: false,
        unjudged: None,
        findings: Vec::new(),
        suppressed: Vec::new(),
        actor: Actor {
            identity: Some("docs-bot".into()),
            kind: Kind::Agent,
            owner: Some("alice".into()),
            boundary: Some("docs".into()),
            assisted: None,
        },
        pusher: Pusher {
            account: Some("docs-bot".into()),
            ..Pusher::default()
        },
        host: HostKind::Plain,
        errand: Errand::None,
        repository: vec!["org/site".into(), "site".into()],
        updates: vec![update(BRANCH, Some(oid(0xa0)), Some(oid(0xb3)))],
        commits: vec![
            commit(oid(0xb1), &[oid(0xa0)]),
            commit(oid(0xb2), &[oid(0xb1)]),
            commit(oid(0xb3), &[oid(0xb2)]),
        ],
        claims: Vec::new(),
        rewrite_base: Some(oid(0xa0)),
        allowed_refs: vec!["refs/heads/agents/docs-bot/**".into()],
        allowed_authors: vec!["docs-bot <docs-bot@agents.example>".into()],
        policy_digest: "4f1c9a27".repeat(8),
        work: Work {
            refs: (1, 1),
            commits: (3, 3),
            changes: (7, 7),
            texts: (6, 6),
            checks: (7, 7),
            bytes: 5120,
            added_lines: 0,
        },
        suspends: None,
    }
}

pub(crate) fn policy_line(line: u32, what: &str) -> PolicyAt {
    PolicyAt {
        file: "policy.yaml".into(),
        line,
        what: what.into(),
    }
}

/// A finding at `place`, judged `level` by policy line 12.
pub(crate) fn judged(
    rule: &'static str,
    level: Level,
    title: &'static str,
    place: Place,
) -> Judged {
    let mut place = place;
    place.ref_name.get_or_insert_with(|| name(BRANCH));
    Judged {
        finding: Finding::new(rule, title, place),
        also: Vec::new(),
        level,
        decided_by: policy_line(12, rule),
    }
}

/// A place in a commit.
pub(crate) fn in_commit(part: Part, pair: u8, path: Option<&str>) -> Place {
    let mut place = Place::new(part);
    place.commit = Some(oid(pair));
    place.path = path.map(Into::into);
    place
}

/// A path that may not be changed.
pub(crate) fn denied(pair: u8, path: &str, op: PathOp) -> Judged {
    let title = "agent \"docs-bot\" may not change this path";
    let mut judged = judged(
        "path/denied",
        Level::Deny,
        title,
        in_commit(Part::Path, pair, Some(path)),
    );
    judged.finding.op = Some(op);
    judged.decided_by = policy_line(18, "deny: ci: @ci");
    judged
}

/// A token in line 14 of a file.
pub(crate) fn token(pair: u8, path: &str) -> Judged {
    let mut place = in_commit(Part::Content, pair, Some(path));
    place.span = Some(Span {
        bytes: 300..340,
        line: 14,
        column: 9,
    });
    let mut judged = judged(
        "secret/github-pat",
        Level::Deny,
        "GitHub personal access token",
        place,
    );
    judged.finding.evidence = Some(Evidence {
        prefix: Some("ghp_".into()),
        bytes: 40,
        fingerprint: FingerprintKey::new([7; 32]).fingerprint("secret/github-pat", b"sample"),
    });
    judged.decided_by = policy_line(31, "checks: secrets: deny");
    judged
}

/// A value at one place more than `more`.
pub(crate) fn in_many_places(more: u32) -> Judged {
    let mut judged = token(0xb1, "deploy/config.env");
    for n in 0..more {
        let (part, path) = match n % 3 {
            2 => (Part::Message, None),
            _ => (Part::Content, Some(format!("docs/{n}.md"))),
        };
        let mut place = in_commit(part, 0xb2, path.as_deref());
        place.ref_name = judged.finding.place.ref_name.clone();
        place.also_in = vec![oid(0xb3)];
        place.span = Some(Span {
            bytes: 10..50,
            line: n + 1,
            column: 11,
        });
        let detail = None;
        judged.also.push(Sighting { place, detail });
    }
    judged
}

/// [`clean`] with these findings; the strictest gives the verdict.
pub(crate) fn with(findings: Vec<Judged>) -> Decision {
    let verdict = match findings.iter().map(|judged| judged.level).max() {
        Some(Level::Deny) => Verdict::Reject,
        Some(Level::Hold) => Verdict::Hold,
        _ => Verdict::Accept,
    };
    Decision {
        verdict,
        findings,
        ..clean()
    }
}
