//! Findings, boundary and work done become a verdict: one pure, total function.

use std::collections::HashMap;
use std::sync::Arc;

use crate::budget::Exhausted;
use crate::check;
use crate::finding::{Confidence, Finding, Level, PolicyAt};
use crate::identity;
use crate::policy::Kind;
use crate::push::{Errand, HostKind, Oid, Pusher, RefName, RefUpdate};

/// The answer to a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Everything was looked at and nothing stands against it.
    Accept,
    /// Only what a human may approve stands against it.
    Hold,
    /// Refused.
    Reject,
    /// The gate could not finish. Refused.
    Unjudged,
}

/// A finding with the level that the policy gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The fact.
    pub finding: Finding,
    /// What it weighs for this identity. Never `Off`: those are dropped.
    pub level: Level,
    /// The policy line that gave the level (or the line that the finding itself comes from).
    pub decided_by: PolicyAt,
}

/// Work expected and work done, counted apart. Only a full count can become [`Verdict::Accept`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Ref updates: expected, done.
    pub refs: (u64, u64),
    /// New commits.
    pub commits: (u64, u64),
    /// Path changes.
    pub changes: (u64, u64),
    /// Distinct blobs and other texts looked into.
    pub texts: (u64, u64),
    /// Runs of checks.
    pub checks: (u64, u64),
    /// Bytes of content looked into.
    pub bytes: u64,
}

/// Why the gate could not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unjudged {
    /// A bound was reached.
    #[error("{0}")]
    Exhausted(Exhausted),
    /// The repository could not be read. The text is fit to be shown.
    #[error("{0}")]
    Repository(String),
    /// A check failed inside.
    #[error("internal error in {0}")]
    Internal(String),
    /// Less was looked at than expected, though nothing else failed.
    #[error("the count of work is short")]
    Incomplete,
    /// The record could not be written.
    #[error("the ledger cannot be written: {0}")]
    Ledger(String),
}

/// Who pushed, as the policy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the policy entry; `None` for a pusher that matched nothing.
    pub identity: Option<String>,
    /// Kind of the entry; unknown pushers are treated as agents.
    pub kind: Kind,
    /// Owner of the identity, as the policy names it.
    pub owner: Option<String>,
    /// Name of the boundary it was judged by.
    pub boundary: Option<String>,
}

/// Everything that is told about one judged push: the input of every report and of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// `false` in observe mode and for bookkeeping pushes: told and recorded, but not refused.
    pub enforced: bool,
    /// Local pre-push runs and `check`: says so.
    pub advisory: bool,
    /// Why the gate could not finish, when the verdict is [`Verdict::Unjudged`].
    pub unjudged: Option<Unjudged>,
    /// Strictest first, then by ref, commit order, path, offset.
    pub findings: Vec<Judged>,
    /// Who.
    pub actor: Actor,
    /// Whom the host authenticated.
    pub pusher: Pusher,
    /// The host.
    pub host: HostKind,
    /// Why the host itself pushes.
    pub errand: Errand,
    /// Names of the repository, most specific first.
    pub repository: Vec<String>,
    /// The ref updates asked for.
    pub updates: Vec<RefUpdate>,
    /// New commits, parents before children.
    pub commits: Vec<CommitBrief>,
    /// First parent of the oldest new commit at fault: what a rebase starts from. `None`: `--root`.
    pub rewrite_base: Option<Oid>,
    /// Refs that the identity may create or update, as patterns; for the hint.
    pub allowed_refs: Vec<String>,
    /// Author identities that the policy lists for the identity; for the hint.
    pub allowed_authors: Vec<String>,
    /// SHA-256 of the server policy, hex.
    pub policy_digest: String,
    /// What was done.
    pub work: Work,
}

/// What a report needs to know of a new commit to write its hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBrief {
    /// Its id.
    pub id: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// The refs of this push that bring it.
    pub refs: Vec<RefName>,
}

impl Work {
    /// Whether everything that was expected was done.
    pub fn is_complete(&self) -> bool {
        [
            self.refs,
            self.commits,
            self.changes,
            self.texts,
            self.checks,
        ]
        .iter()
        .all(|(expected, done)| expected == done)
            && self.refs.0 > 0
            && self.checks.0 > 0
    }
}

/// Weighs every finding by the boundary of `actor` and gives the verdict. Pure and total: the same
/// facts always give the same answer.
///
/// `problem` is why the gate could not finish, if it could not. A push that is refused for a reason
/// found before the problem is still refused for that reason only when the problem is absent: what was
/// not looked at may hold more, so [`Verdict::Unjudged`] goes before every other answer.
pub fn decide(
    findings: Vec<Finding>,
    actor: Option<&identity::Actor>,
    work: &Work,
    problem: Option<Unjudged>,
) -> (Verdict, Vec<Judged>, Option<Unjudged>) {
    let judged: Vec<Judged> = merge_places(findings)
        .into_iter()
        .filter_map(|finding| weigh(finding, actor))
        .collect();
    let strictest = judged
        .iter()
        .map(|judged| judged.level)
        .max()
        .unwrap_or(Level::Off);
    let problem = match problem {
        Some(problem) => Some(problem),
        // Rejections stand without a full count (an unknown pusher is not judged further);
        // an accept and a hold do not.
        None if strictest < Level::Deny && !work.is_complete() => Some(Unjudged::Incomplete),
        None => None,
    };
    let verdict = match (&problem, strictest) {
        (Some(_), _) => Verdict::Unjudged,
        (None, Level::Deny) => Verdict::Reject,
        (None, Level::Hold) => Verdict::Hold,
        (None, Level::Off | Level::Warn) => Verdict::Accept,
    };
    (verdict, judged, problem)
}

/// The level of one finding; `None` when it is switched off.
fn weigh(finding: Finding, actor: Option<&identity::Actor>) -> Option<Judged> {
    let (check, rule) = check::find_rule(&finding.rule);
    let kind = actor.map_or(Kind::Agent, |actor| actor.kind);
    let default = match (rule, kind) {
        (Some(rule), Kind::Human) => rule.default_human,
        (Some(rule), Kind::Agent | Kind::Service) => rule.default,
        // A rule that no table names cannot be weighed: refuse.
        (None, _) => Level::Deny,
    };
    let default = by_confidence(default, finding.confidence);
    let fixed = rule.is_none_or(|rule| rule.fixed);
    let (level, at) = match actor {
        Some(actor) if !fixed => {
            // What was there before the push is told. A level for the whole check speaks of what a push
            // adds; only a level for this very rule changes that.
            let told = finding.rule.ends_with("/already-present");
            let check = if told { &finding.rule } else { check };
            actor
                .boundary
                .level_or(check, &finding.rule, finding.confidence, default)
        }
        _ => {
            let what = format!("default of {}", finding.rule);
            (
                default,
                PolicyAt {
                    file: Arc::from("built-in"),
                    line: 0,
                    what: what.into(),
                },
            )
        }
    };
    if level == Level::Off {
        return None;
    }
    let decided_by = finding.decided_by.clone().unwrap_or(at);
    Some(Judged {
        finding,
        level,
        decided_by,
    })
}

/// A refusal by default refuses what is certain or likely, and tells what is possible.
fn by_confidence(level: Level, confidence: Option<Confidence>) -> Level {
    match confidence {
        Some(Confidence::Possible) => level.min(Level::Warn),
        _ => level,
    }
}

/// The same fact in several commits becomes one finding that names them all.
fn merge_places(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::with_capacity(findings.len());
    let mut seen: HashMap<FactKey, usize> = HashMap::with_capacity(findings.len());
    for finding in findings {
        match seen.get(&FactKey::of(&finding)) {
            Some(&index) => {
                let place = &mut merged[index].place;
                if let Some(commit) = finding.place.commit
                    && place.commit != Some(commit)
                    && !place.also_in.contains(&commit)
                {
                    place.also_in.push(commit);
                }
            }
            None => {
                seen.insert(FactKey::of(&finding), merged.len());
                merged.push(finding);
            }
        }
    }
    merged
}

/// What makes two findings the same fact: all but the commit.
#[derive(PartialEq, Eq, Hash)]
struct FactKey {
    rule: String,
    title: String,
    detail: Option<String>,
    ref_name: Option<RefName>,
    path: Option<bstr::BString>,
    part: crate::finding::Part,
    span: Option<crate::finding::Span>,
    fingerprint: Option<crate::redact::Fingerprint>,
}

impl FactKey {
    fn of(finding: &Finding) -> Self {
        FactKey {
            rule: finding.rule.to_string(),
            title: finding.title.to_string(),
            detail: finding.detail.clone(),
            ref_name: finding.place.ref_name.clone(),
            path: finding.place.path.clone(),
            part: finding.place.part,
            span: finding.place.span.clone(),
            fingerprint: finding
                .evidence
                .as_ref()
                .map(|evidence| evidence.fingerprint),
        }
    }
}
