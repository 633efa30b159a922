//! Findings, boundary and work done become a verdict: one pure, total function.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::budget::Exhausted;
use crate::check;
use crate::finding::{Confidence, Finding, Level, Place, PolicyAt, RuleId, Sighting};
use crate::identity;
use crate::identity::claims::Claimed;
use crate::policy::Kind;
use crate::push::{Errand, HostKind, Oid, Pusher, RefName, RefUpdate};
use crate::redact::Fingerprint;

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
    /// The fact, at its first place.
    pub finding: Finding,
    /// The other places of the same value under the same rule.
    pub also: Vec<Sighting>,
    /// What it weighs for this identity. Never `Off`: those are dropped.
    pub level: Level,
    /// The policy line that gave the level (or the line that the finding itself comes from).
    pub decided_by: PolicyAt,
}

impl Judged {
    /// Every place, the first to be told first.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.finding.place).chain(self.also.iter().map(|seen| &seen.place))
    }

    /// Puts the places in the order of `key`.
    pub fn sort_places_by<K: Ord>(&mut self, key: impl Fn(&Place) -> K) {
        if self.also.is_empty() {
            return;
        }
        let finding = &mut self.finding;
        self.also.push(Sighting {
            place: finding.place.clone(),
            detail: finding.detail.take(),
        });
        self.also.sort_by_cached_key(|seen| key(&seen.place));
        let first = self.also.remove(0);
        (finding.place, finding.detail) = (first.place, first.detail);
    }

    /// The same for each place alone: a value is mended where it stands, one place after the other.
    pub fn one_by_one(&self) -> impl Iterator<Item = Judged> {
        let at = |seen: Option<&Sighting>| {
            let mut finding = self.finding.clone();
            if let Some(seen) = seen {
                finding.place = seen.place.clone();
                finding.detail = seen.detail.clone();
            }
            Judged {
                finding,
                also: Vec::new(),
                level: self.level,
                decided_by: self.decided_by.clone(),
            }
        };
        std::iter::once(at(None)).chain(self.also.iter().map(move |seen| at(Some(seen))))
    }

    /// Takes over the places of the same value: the strictest level and the highest confidence stay.
    fn absorb(&mut self, other: Judged) {
        if other.level > self.level {
            self.level = other.level;
            self.decided_by = other.decided_by;
        }
        let (mine, theirs) = (&mut self.finding, other.finding);
        mine.confidence = mine.confidence.max(theirs.confidence);
        if mine.suppression.is_none() {
            mine.suppression = theirs.suppression;
        }
        self.also.push(Sighting {
            place: theirs.place,
            detail: theirs.detail,
        });
        self.also.extend(other.also);
    }
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
    /// Lines added, where the boundary limits them.
    pub added_lines: u64,
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
    /// The keys that may sign cannot be read. The text is fit to be shown.
    #[error("{0}")]
    Signers(String),
    /// The record does not tell what the boundary asks of it. The text is fit to be shown.
    #[error("the record does not tell: {0}")]
    Record(String),
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
    /// Name of the boundary of `claims:` that held as well, for work of an agent in a person's push.
    pub assisted: Option<String>,
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
    /// One for each value or fact: strictest first, then by ref, commit order, path, offset.
    pub findings: Vec<Judged>,
    /// What the server's policy suppresses: recorded and counted, and weighs nothing.
    pub suppressed: Vec<Judged>,
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
    /// The agents that new commits and tags name.
    pub claims: Vec<Claimed>,
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
    /// This refusal suspends the identity: it is this many in a row.
    pub suspends: Option<u64>,
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

/// What [`decide`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// The answer.
    pub verdict: Verdict,
    /// What weighs, or is told.
    pub findings: Vec<Judged>,
    /// What the policy suppresses, with the level that it would have.
    pub suppressed: Vec<Judged>,
    /// Why the gate could not finish.
    pub problem: Option<Unjudged>,
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
) -> Weighed {
    // Each place is suppressed or not before places are put together: one that is not stays.
    let (suppressed, weighing): (Vec<Judged>, Vec<Judged>) = merge_commits(findings)
        .into_iter()
        .filter_map(|finding| weigh(finding, actor))
        .partition(|judged| judged.finding.suppressed_by().is_some());
    let findings = merge_values(weighing);
    let strictest = findings
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
    Weighed {
        verdict,
        findings,
        suppressed: merge_values(suppressed),
        problem,
    }
}

/// Adds findings to a decision that stands, and weighs it anew. It can only become stricter.
pub fn add(decision: &mut Decision, findings: Vec<Finding>, actor: Option<&identity::Actor>) {
    let more = findings
        .into_iter()
        .filter_map(|finding| weigh(finding, actor));
    decision.findings.extend(more);
    decision
        .findings
        .sort_by_key(|judged| std::cmp::Reverse(judged.level));
    let strictest = decision.findings.first().map(|judged| judged.level);
    decision.verdict = match (decision.verdict, strictest) {
        (Verdict::Unjudged, _) => Verdict::Unjudged,
        (_, Some(Level::Deny)) => Verdict::Reject,
        (_, Some(Level::Hold)) => Verdict::Hold,
        (verdict, _) => verdict,
    };
}

/// The level of one finding; `None` when it is switched off.
fn weigh(finding: Finding, actor: Option<&identity::Actor>) -> Option<Judged> {
    let (level, at) = level_of(&finding.rule, finding.confidence, actor);
    if level == Level::Off {
        return None;
    }
    let decided_by = finding.decided_by.clone().unwrap_or(at);
    Some(Judged {
        finding,
        also: Vec::new(),
        level,
        decided_by,
    })
}

/// What a finding of this rule weighs for this identity, and the line that says so.
pub fn level_of(
    rule_id: &str,
    confidence: Option<Confidence>,
    actor: Option<&identity::Actor>,
) -> (Level, PolicyAt) {
    let (check, rule) = check::find_rule(rule_id);
    let kind = actor.map_or(Kind::Agent, |actor| actor.kind);
    let default = match (rule, kind) {
        (Some(rule), Kind::Human) => rule.default_human,
        (Some(rule), Kind::Agent | Kind::Service) => rule.default,
        // A rule that no table names cannot be weighed: refuse.
        (None, _) => Level::Deny,
    };
    let default = by_confidence(default, confidence);
    let fixed = rule.is_none_or(|rule| rule.fixed);
    match actor {
        Some(actor) if !fixed => {
            // What was there before the push is told. A level for the whole check speaks of what a push
            // adds; only a level for this very rule changes that.
            let told = rule_id.ends_with("/already-present");
            let check = if told { rule_id } else { check };
            actor.boundary.level_or(check, rule_id, confidence, default)
        }
        _ => {
            let what = format!("default of {rule_id}");
            (
                default,
                PolicyAt {
                    file: Arc::from("built-in"),
                    line: 0,
                    what: what.into(),
                },
            )
        }
    }
}

/// A refusal by default refuses what is certain or likely, and tells what is possible.
fn by_confidence(level: Level, confidence: Option<Confidence>) -> Level {
    match confidence {
        Some(Confidence::Possible) => level.min(Level::Warn),
        _ => level,
    }
}

/// The same fact in several commits becomes one finding that names them all.
fn merge_commits(findings: Vec<Finding>) -> Vec<Finding> {
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

/// The same value under the same rule becomes one finding with all its places. What was there before has a rule of
/// its own, so it never takes in what is new; and an entry that suppresses one place takes in no other.
fn merge_values(judged: Vec<Judged>) -> Vec<Judged> {
    type Value = (RuleId, Fingerprint, Option<Arc<str>>);
    let mut merged: Vec<Judged> = Vec::with_capacity(judged.len());
    let mut seen: HashMap<Value, usize> = HashMap::new();
    for one in judged {
        let Some(evidence) = &one.finding.evidence else {
            merged.push(one);
            continue;
        };
        let value = (
            one.finding.rule.clone(),
            evidence.fingerprint,
            one.finding.suppressed_by().cloned(),
        );
        match seen.get(&value) {
            Some(&index) => merged[index].absorb(one),
            None => {
                seen.insert(value, merged.len());
                merged.push(one);
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
    fingerprint: Option<Fingerprint>,
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
