//! The last word on a push: what the record decides at the very moment when the decision is recorded.
//!
//! Counting and recording happen under one lock, so two pushes at the same time never both take the last place.

use jiff::{SignedDuration, Timestamp};

use super::past::Asked;
use super::stops;
use crate::check::{self, Brings};
use crate::finding::Level;
use crate::identity::Actor;
use crate::policy::{Kind, Limits};
use crate::standing::{Known, Past, Standing};
use crate::verdict::{self, Decision, Judged, Unjudged, Verdict};

/// A judged push, before it is recorded.
#[derive(Debug)]
pub struct Outcome {
    /// What was decided.
    pub decision: Decision,
    pub(super) actor: Option<Actor>,
    pub(super) asked: Asked,
}

impl Outcome {
    /// A decision that rests on nothing of the record.
    pub fn of(decision: Decision) -> Self {
        Outcome {
            decision,
            actor: None,
            asked: Asked::default(),
        }
    }

    /// Whether [`Outcome::settle`] needs what the index of the ledger knows.
    pub fn asks_the_record(&self) -> bool {
        let limits = self.actor.as_ref().map(|actor| actor.boundary.limits());
        self.asked.is_answered() || limits.is_some_and(Limits::count_over_time)
    }

    /// Looks once more at what the record decides. It can only become stricter: whoever was suspended meanwhile is
    /// refused, and so is the push that comes second for the last place.
    pub fn settle(&mut self, standing: &Standing, past: Past, now: Timestamp) {
        let Some(actor) = &self.actor else { return };
        let decision = &mut self.decision;
        let is_told = |decision: &Decision| {
            decision
                .findings
                .iter()
                .any(|one| one.finding.rule == stops::SUSPENDED)
        };
        if let Some(name) = &actor.name
            && !is_told(decision)
            && let Some(found) = stops::suspended(name, actor.kind, standing)
        {
            verdict::add(decision, vec![found], Some(actor));
            decision.enforced = true;
        }
        if decision.verdict == Verdict::Unjudged || is_told(decision) {
            return;
        }
        let limits = actor.boundary.limits();
        if !self.asked.is_answered() && !limits.count_over_time() {
            return;
        }
        let known = match past {
            Past::Known(known) => known,
            Past::Unknown(why) => return unjudged(decision, why),
            Past::Elsewhere => return,
        };
        if !self.asked.still_holds(&known, &decision.updates, actor) {
            return unjudged(
                decision,
                "another push of the same ref came in between".to_owned(),
            );
        }
        let tally = &known.tally;
        if decision.verdict != Verdict::Reject {
            if let Some(why) = too_short(limits, &known, now) {
                return unjudged(decision, why);
            }
            let brings = Brings {
                commits: decision.commits.len() as u64,
                added_lines: decision.work.added_lines,
            };
            verdict::add(
                decision,
                check::over_time(limits, tally, brings, now),
                Some(actor),
            );
        }
        let refusals = tally.sums(now).refusals + 1;
        decision.suspends = limits
            .suspend_after
            .as_ref()
            .filter(|_| actor.kind != Kind::Human && actor.name.is_some() && !decision.advisory)
            .filter(|_| decision.enforced && decision.verdict == Verdict::Reject)
            .filter(|_| decision.findings.iter().any(counts))
            .filter(|limit| refusals >= limit.max)
            .map(|_| refusals);
    }
}

/// Whether a finding refuses a push for what it is, not for the time at which it comes.
fn counts(judged: &Judged) -> bool {
    judged.level == Level::Deny && !check::is_of_time(&judged.finding.rule)
}

fn unjudged(decision: &mut Decision, why: String) {
    decision.verdict = Verdict::Unjudged;
    decision.unjudged = Some(Unjudged::Record(why));
}

/// Why the sums cannot be known: the record does not reach back far enough.
fn too_short(limits: &Limits, known: &Known, now: Timestamp) -> Option<String> {
    let since = known.since?;
    let by_hour = limits.pushes_per_hour.is_some() || limits.attempts_per_hour.is_some();
    let by_day = limits.pushes_per_day.is_some()
        || limits.commits_per_day.is_some()
        || limits.added_lines_per_day.is_some();
    let needed = match (by_day, by_hour) {
        (true, _) => SignedDuration::from_hours(24),
        (false, true) => SignedDuration::from_hours(1),
        (false, false) => return None,
    };
    (since > now - needed).then(|| {
        format!(
            "the ledger is here from {since:.0} on alone, and the limits over time need more of it; an admin names the files before it with ringfence ledger index"
        )
    })
}
