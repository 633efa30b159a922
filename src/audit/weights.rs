//! What content findings weigh.

use super::repository::{Question, Subject};
use crate::check::{self, Hit};
use crate::finding::Level;
use crate::identity;
use crate::verdict;

/// What content findings weigh: by the defaults, or for the identity that is asked about; what the policy suppresses
/// nothing.
pub(super) struct Weights<'a> {
    actor: Option<identity::Actor>,
    entries: Option<crate::policy::InForce<'a>>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(subject: &Subject<'_>, question: &Question<'a>) -> Result<Self, String> {
        let Some(policy) = question.policy else {
            return Ok(Weights {
                actor: None,
                entries: None,
            });
        };
        let actor = question
            .as_identity
            .map(|name| identity::actor_at_any_time(policy, name, subject.names))
            .transpose()
            .map_err(|refused| refused.to_string());
        // An identity without a boundary in this repository: replay says so, and the defaults hold.
        let actor = actor.ok().flatten();
        let boundary = actor.as_ref().map_or("", |actor| actor.boundary.name());
        let entries = policy.suppressions_for(
            question.as_identity,
            boundary,
            subject.names,
            jiff::Timestamp::now(),
        );
        Ok(Weights {
            entries: Some(entries),
            actor,
        })
    }

    pub(super) fn level(&self, hit: &Hit, path: Option<&[u8]>) -> Option<Level> {
        let value = hit.evidence.as_ref().map(|evidence| evidence.fingerprint);
        let entry =
            (self.entries.as_ref()).and_then(|entries| entries.find(&hit.rule, value, path));
        if entry.is_some_and(|entry| !entry.expired) {
            return None;
        }
        let level = match &self.actor {
            Some(actor) => verdict::level_of(&hit.rule, hit.confidence, Some(actor)).0,
            None => check::default_level(&hit.rule, hit.confidence),
        };
        Some(level).filter(|level| *level > Level::Off)
    }
}
