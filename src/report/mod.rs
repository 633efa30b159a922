//! What is told about a decision: one view, shown as text to the pusher, as one line to an agent, and as JSON.
//!
//! The view decides what is told (order, counts, how to mend it); the formats only lay it out. Texts are part of
//! the contract and held by snapshots.

mod cure;
mod json;
mod refs;
mod rewrite;
mod sarif;
mod text;
mod words;

use std::collections::HashMap;

use crate::finding::Level;
use crate::ledger::Id;
use crate::order::Order as _;
use crate::policy::Kind;
use crate::push::{Errand, HostKind};
use crate::verdict::{Decision, Judged, Verdict};

pub use json::{AGENT_LINE_MAX_BYTES, AGENT_LINE_PREFIX};
pub(crate) use sarif::{Sarif, location, uri};
pub use text::policy_error;
pub(crate) use words::{ascii, ascii_json, wrap_at};

/// Most findings that a text shows.
pub const SHOWN_MAX: usize = 10;

/// Everything that a pusher gets to see, in the order of writing: the text, the line for GitLab's pages, the
/// line for agents. Empty when there is nothing to say.
pub fn to_pusher(decision: &Decision, id: Option<&Id>) -> String {
    let mut out = text(decision, id);
    if out.is_empty() {
        return out;
    }
    if decision.host == HostKind::Gitlab && View::new(decision, id).refuses() {
        // GitLab shows only lines with this prefix in its pages.
        let headline = out.lines().next().unwrap_or_default();
        let line = format!("GL-HOOK-ERR: {headline}\n");
        out.push_str(&line);
    }
    if decision.actor.kind == Kind::Agent {
        out.push_str(&agent_line(decision, id));
    }
    out
}

/// The text for the pusher; empty on a clean accept and on the forge's own bookkeeping.
pub fn text(decision: &Decision, id: Option<&Id>) -> String {
    text::render(&View::new(decision, id))
}

/// `ringfence-report: {…}` and a line feed: the document in one line of at most [`AGENT_LINE_MAX_BYTES`], with
/// fewer findings when they do not all fit.
pub fn agent_line(decision: &Decision, id: Option<&Id>) -> String {
    json::agent_line(&View::new(decision, id))
}

/// The whole document, on several lines.
pub fn json(decision: &Decision, id: Option<&Id>) -> String {
    json::document(&View::new(decision, id))
}

/// One sentence for a person who asked: what was looked at, and the answer.
pub fn summary(decision: &Decision) -> String {
    text::summary(&View::new(decision, None))
}

/// What the formats show.
struct View<'a> {
    decision: &'a Decision,
    id: Option<&'a Id>,
    /// All findings: strictest first, then by ref, commit order, path, offset.
    findings: Vec<&'a Judged>,
    cure: cure::Cure,
}

impl<'a> View<'a> {
    fn new(decision: &'a Decision, id: Option<&'a Id>) -> Self {
        let mut findings: Vec<&Judged> = decision.findings.iter().collect();
        let place_of: HashMap<_, _> = decision
            .commits
            .iter()
            .enumerate()
            .map(|(index, commit)| (commit.id, index))
            .collect();
        // The decision is sorted already; a report must not depend on it.
        findings.order_by(|a, b| {
            let key = |judged: &Judged| {
                let place = &judged.finding.place;
                let commit = place.commit.and_then(|id| place_of.get(&id).copied());
                let offset = place.span.as_ref().map(|span| span.bytes.start);
                (std::cmp::Reverse(judged.level), commit, offset)
            };
            let ((a_level, a_commit, a_offset), (b_level, b_commit, b_offset)) = (key(a), key(b));
            let (a_place, b_place) = (&a.finding.place, &b.finding.place);
            a_level
                .cmp(&b_level)
                .then_with(|| a_place.ref_name.cmp(&b_place.ref_name))
                .then_with(|| a_commit.cmp(&b_commit))
                .then_with(|| a_place.path.cmp(&b_place.path))
                .then_with(|| a_offset.cmp(&b_offset))
        });
        let places: Vec<Judged> = findings.iter().flat_map(|one| one.one_by_one()).collect();
        let places: Vec<&Judged> = places.iter().collect();
        let cure = cure::Cure::of(decision, &places, id);
        View {
            decision,
            id,
            findings,
            cure,
        }
    }

    /// Findings that weigh more than a warning.
    fn refusing(&self) -> usize {
        let weighty = |judged: &&&Judged| judged.level > Level::Warn;
        self.findings.iter().filter(weighty).count()
    }

    /// Whether the push is refused by this decision.
    fn refuses(&self) -> bool {
        self.decision.enforced && self.decision.verdict != Verdict::Accept
    }

    /// Whether there is anything to say.
    fn is_silent(&self) -> bool {
        let nothing_found =
            self.decision.verdict == Verdict::Accept && self.decision.findings.is_empty();
        let bookkeeping = self.decision.errand == Errand::Bookkeeping && !self.decision.enforced;
        nothing_found || bookkeeping
    }
}

#[cfg(test)]
mod pasted;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sarif_validator;
