//! `claims`: what commits and tags say of agents, and what an agent says in the name of others.

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place};
use crate::identity::claims::{Agent, MESSAGE_MAX_BYTES, Trailer, are_one_agent, of_name};
use crate::policy::Kind;
use crate::push::Oid;
use crate::redact::Quoted;
use crate::repo::{RepoError, Signature};

/// See the module.
pub(super) struct Claims;

/// Places in the table.
const APPROVAL: usize = 0;
const IDENTITY: usize = 1;
const BOT: usize = 2;
const AGENT: usize = 3;

static RULES: &[Rule] = &[
    Rule {
        id: "claim/approval",
        title: "the message says that somebody else signed off, reviewed or approved",
        doc: "A trailer such as `Signed-off-by`, `Reviewed-by`, `Approved-by`, `Acked-by` or `Tested-by` with a name that \
              is not one of the identity's `authors:` (without these: not the author or committer of the commit). People \
              and tools take it for the word of that person. Trailers are read anywhere in a message, quoted and \
              indented lines aside; `Co-authored-by` is no approval. A message \
              of more than 1 MiB is not read to its end and counts as one. People often add the word of others: they are not \
              checked unless the policy says so.",
        default: Level::Deny,
        default_human: Level::Off,
        fixed: false,
    },
    Rule {
        id: "claim/identity",
        title: "the commit carries the name of another identity",
        doc: "Author, committer or tagger has the mail address of another identity of the policy (its `authors:` or \
              `match: email`). An identity with `authors:` is held to these instead: `identity/author-mismatch`.",
        default: Level::Deny,
        default_human: Level::Off,
        fixed: false,
    },
    Rule {
        id: "claim/bot",
        title: "the commit carries the name of a bot",
        doc: "Author, committer or tagger is a bot with a fixed task (marked as such in [claims.md](claims.md)), and neither the \
              name nor the account of the identity has the bot's name in it. An identity with `authors:` is held to \
              these instead: `identity/author-mismatch`.",
        default: Level::Warn,
        default_human: Level::Off,
        fixed: false,
    },
    Rule {
        id: "claim/agent",
        title: "the push carries work of an agent",
        doc: "A new commit or tag in the push of a person or a service names a coding agent, by author, committer, trailer, \
              a line of the message or the key of the signature. The marks are listed in [claims.md](claims.md). It is \
              evidence: an agent may leave all of it away. `claims: { boundary: NAME }` in the policy narrows such a push; \
              whom it named stands in the record whatever the level.",
        default: Level::Off,
        default_human: Level::Off,
        fixed: false,
    },
];

impl Check for Claims {
    fn name(&self) -> &'static str {
        "claims"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        if facts.actor.kind != Kind::Agent {
            named(facts, findings);
        }
        for new in &facts.history.commits {
            facts.budget.check_time()?;
            let commit = &new.commit;
            let mut found = |part, title: &'static str, rule: &'static str, detail: String| {
                push(
                    facts,
                    &new.updates,
                    commit.id,
                    (part, title, rule, detail),
                    findings,
                );
            };
            let names = [
                (Part::Author, &commit.author),
                (Part::Committer, &commit.committer),
            ];
            for (part, signature) in names {
                if let Some((rule, whose)) = of_another(facts, signature) {
                    found(part, rule.title, rule.id, whose);
                }
            }
            let own = [&commit.author, &commit.committer];
            for approval in approvals(facts, &commit.message, &own) {
                found(
                    Part::Message,
                    RULES[APPROVAL].title,
                    RULES[APPROVAL].id,
                    approval,
                );
            }
        }
        for new in &facts.history.tags {
            facts.budget.check_time()?;
            let tag = &new.tag;
            let mut found = |part, title: &'static str, rule: &'static str, detail: String| {
                push(
                    facts,
                    &new.updates,
                    tag.id,
                    (part, title, rule, detail),
                    findings,
                );
            };
            if let Some((rule, whose)) = tag
                .tagger
                .as_ref()
                .and_then(|tagger| of_another(facts, tagger))
            {
                found(Part::Tagger, rule.title, rule.id, whose);
            }
            let own: Vec<&Signature> = tag.tagger.iter().collect();
            for approval in approvals(facts, &tag.message, &own) {
                found(
                    Part::TagMessage,
                    RULES[APPROVAL].title,
                    RULES[APPROVAL].id,
                    approval,
                );
            }
        }
        Ok(())
    }
}

fn push(
    facts: &Facts<'_>,
    updates: &[usize],
    id: Oid,
    (part, title, rule, detail): (Part, &'static str, &'static str, String),
    findings: &mut Vec<Finding>,
) {
    let mut place = Place::new(part);
    place.commit = Some(id);
    place.ref_name = facts.ref_of(updates);
    let mut found = Finding::new(rule, title, place);
    found.detail = Some(detail);
    found.decided_by = facts.actor.authors_at.clone();
    findings.push(found);
}

/// One finding for each agent that is named.
fn named(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for claimed in facts.claims {
        let mut place = Place::new(Part::Commit);
        let (first, rest) = claimed
            .objects
            .split_first()
            .map_or((None, &[][..]), |(first, rest)| (Some(*first), rest));
        place.commit = first;
        place.also_in = rest.to_vec();
        place.ref_name = facts.ref_of(&[claimed.update]);
        let mut found = Finding::new(RULES[AGENT].id, RULES[AGENT].title, place);
        found.detail = Some(claimed.to_string());
        findings.push(found);
    }
}

/// Whose name it is, in words, where the pusher has no names of its own to be held to.
fn of_another(facts: &Facts<'_>, signature: &Signature) -> Option<(&'static Rule, String)> {
    if !facts.actor.authors.is_empty() {
        return None;
    }
    let own = facts.actor.name.as_deref();
    if let Some(whose) = facts.policy.whose_mail(&signature.email, own) {
        let words = format!("{} of \"{whose}\"", Quoted(&signature.email));
        return Some((&RULES[IDENTITY], words));
    }
    let is_own = |bot: &Agent| {
        [own, facts.push.pusher.account.as_deref()]
            .into_iter()
            .flatten()
            .any(|name| name.to_lowercase().contains(bot.id))
    };
    let bot = of_name(&signature.name, &signature.email).find(|bot| bot.is_bot && !is_own(bot))?;
    Some((&RULES[BOT], bot.name.to_owned()))
}

/// The trailers of a message by which somebody else takes responsibility.
fn approvals(facts: &Facts<'_>, message: &[u8], own: &[&Signature]) -> Vec<String> {
    /// More of them change no verdict.
    const TOLD_MAX: usize = 10;
    if message.len() > MESSAGE_MAX_BYTES {
        let limit = MESSAGE_MAX_BYTES;
        return vec![format!(
            "a message of more than {limit} bytes is not read to its end"
        )];
    }
    let authors = &facts.actor.authors;
    let listed = authors
        .iter()
        .map(|author| Trailer::person_in(author.as_bytes()));
    let own: Vec<(&[u8], &[u8])> = match authors.is_empty() {
        true => own
            .iter()
            .map(|own| (own.name.as_slice(), own.email.as_slice()))
            .collect(),
        false => listed.collect(),
    };
    let is_own = |name: &[u8], mail: &[u8]| {
        own.iter().any(|(own_name, own_mail)| {
            // Without a list, the address of the commit itself will do.
            let is_named = authors.is_empty() || own_name.eq_ignore_ascii_case(name);
            let is_it = is_named && !mail.is_empty() && own_mail.eq_ignore_ascii_case(mail);
            is_it || are_one_agent((own_name, own_mail), (name, mail))
        })
    };
    let forged = |trailer: &Trailer<'_>| {
        let (name, mail) = trailer.person();
        trailer.is_approval() && !trailer.value.is_empty() && !is_own(name, mail)
    };
    Trailer::all(message)
        .filter(forged)
        .take(TOLD_MAX)
        .map(|trailer| format!("{}: {}", trailer.key, Quoted(trailer.value)))
        .collect()
}
