//! `authorship`: commits and tags carry the names that the policy lists for the pusher.

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place};
use crate::push::{Oid, RefName};
use crate::redact::Quoted;
use crate::repo::{RepoError, Signature};

/// See the module.
pub(super) struct Authorship;

static RULES: &[Rule] = &[Rule {
    id: "identity/author-mismatch",
    title: "the commit carries a name that the identity may not use",
    doc: "Author, committer and tagger must each be one of the identity's `authors:`, to the byte. Names in \
          commits are claims: this keeps an agent from claiming to be somebody else. An identity without \
          `authors:` is not checked.",
    default: Level::Deny,
    default_human: Level::Deny,
    fixed: false,
}];

impl Check for Authorship {
    fn name(&self) -> &'static str {
        "authorship"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        if facts.actor.authors.is_empty() {
            return Ok(());
        }
        for new in &facts.history.commits {
            let ref_name = facts.ref_of(&new.updates);
            let commit = &new.commit;
            let mut judge = |part, what, signature: &Signature| {
                judge(
                    facts,
                    part,
                    what,
                    signature,
                    commit.id,
                    ref_name.as_ref(),
                    findings,
                );
            };
            judge(Part::Author, "author", &commit.author);
            judge(Part::Committer, "committer", &commit.committer);
        }
        for new in &facts.history.tags {
            let ref_name = facts.ref_of(&new.updates);
            if let Some(tagger) = &new.tag.tagger {
                judge(
                    facts,
                    Part::Tagger,
                    "tagger",
                    tagger,
                    new.tag.id,
                    ref_name.as_ref(),
                    findings,
                );
            }
        }
        Ok(())
    }
}

fn judge(
    facts: &Facts<'_>,
    part: Part,
    what: &str,
    signature: &Signature,
    id: Oid,
    ref_name: Option<&RefName>,
    findings: &mut Vec<Finding>,
) {
    let mut claimed = signature.name.to_vec();
    claimed.extend_from_slice(b" <");
    claimed.extend_from_slice(&signature.email);
    claimed.push(b'>');
    if facts
        .actor
        .authors
        .iter()
        .any(|author| author.as_bytes() == claimed)
    {
        return;
    }
    let mut place = Place::new(part);
    place.commit = Some(id);
    place.ref_name = ref_name.cloned();
    let title = format!(
        "the {what} is not a name that {} may use",
        facts.actor.label()
    );
    let mut found = Finding::new("identity/author-mismatch", title, place);
    found.detail = Some(format!("{}", Quoted(&claimed)));
    found.decided_by = facts.actor.authors_at.clone();
    findings.push(found);
}
