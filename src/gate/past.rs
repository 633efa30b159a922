//! What the record says of the refs of a push, as far as the boundary asks for it.

use crate::check::OfRef;
use crate::finding::{PolicyAt, RefOp};
use crate::gate::Request;
use crate::identity::Actor;
use crate::policy::Answer;
use crate::push::{Oid, RefUpdate};
use crate::repo::{self, History};
use crate::standing::{Known, Past, RefPast};
use crate::verdict::Unjudged;

/// What the record answered while a push was judged.
#[derive(Debug, Default)]
pub(super) struct Asked {
    answer: Option<Known>,
    elsewhere: bool,
    /// The judgement rests on the pasts of the refs, not only on the sums.
    about_refs: bool,
}

impl Asked {
    /// Asks the record, once. `None`: it is not here, and the run binds nobody.
    pub(super) fn ask(
        &mut self,
        request: &Request<'_>,
        actor: &Actor,
    ) -> Result<Option<&Known>, Unjudged> {
        if self.answer.is_none() && !self.elsewhere {
            match (request.past)(&request.updates, actor.name.as_deref()) {
                Past::Known(known) => self.answer = Some(known),
                Past::Elsewhere => self.elsewhere = true,
                Past::Unknown(why) => return Err(Unjudged::Record(why)),
            }
        }
        Ok(self.answer.as_ref())
    }

    /// Whether it was asked, and answered.
    pub(super) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Whether what the judgement rests on is still so.
    pub(super) fn still_holds(&self, now: &Known, updates: &[RefUpdate], actor: &Actor) -> bool {
        let Some(then) = self.answer.as_ref().filter(|_| self.about_refs) else {
            return true;
        };
        let name = actor.name.as_deref();
        let pasts = then.refs.iter().zip(&now.refs);
        then.refs.len() == now.refs.len()
            && pasts.zip(updates).all(|((then, now), update)| {
                let stored = update.stored.map(|id| id.to_string());
                then.owner(stored.as_deref()) == now.owner(stored.as_deref())
                    && then.lost_to(name).eq(now.lost_to(name))
            })
    }
}

/// The line that narrows the operation to own refs.
fn narrowed(actor: &Actor, update: &RefUpdate, op: RefOp) -> Option<PolicyAt> {
    [&update.command.name, &update.target]
        .into_iter()
        .find_map(|name| match actor.boundary.may_ref(name.as_bytes(), op) {
            Answer::IfOwn(at) => Some(at),
            Answer::Allowed(_) | Answer::Refused(_) => None,
        })
}

fn may_force(actor: &Actor, update: &RefUpdate) -> bool {
    [&update.command.name, &update.target]
        .into_iter()
        .all(|name| {
            let answer = actor.boundary.may_ref(name.as_bytes(), RefOp::Force);
            answer.is_allowed()
        })
}

/// One answer for each ref update; none at all where nothing is asked.
pub(super) fn of_refs(
    request: &Request<'_>,
    actor: &Actor,
    history: &History,
    asked: &mut Asked,
) -> Result<Vec<OfRef>, Unjudged> {
    let updates = &request.updates;
    let questions: Vec<(Option<PolicyAt>, bool)> = updates
        .iter()
        .zip(&history.moves)
        .map(|(update, op)| {
            let remakes = *op == RefOp::Create
                && (request.policy.remakes_count || actor.boundary.deletes_without_force())
                && update.proposed_for.is_none()
                && !may_force(actor, update);
            (narrowed(actor, update, *op), remakes)
        })
        .collect();
    if questions
        .iter()
        .all(|(narrowed, remakes)| narrowed.is_none() && !remakes)
    {
        return Ok(Vec::new());
    }
    asked.about_refs = true;
    let Some(known) = asked.ask(request, actor)? else {
        return Ok(Vec::new());
    };
    updates
        .iter()
        .zip(questions)
        .enumerate()
        .map(|(index, (update, (narrowed, remakes)))| {
            // One for each ref asked for: a shorter answer knows nothing of the rest.
            let unknown = RefPast::default();
            let past = known.refs.get(index).unwrap_or(&unknown);
            let stored = update.stored.map(|id| id.to_string());
            let owner = past.owner(stored.as_deref()).map(str::to_owned);
            let remade = match (remakes, update.command.new) {
                (true, Some(new)) => lost(request, actor, update, past, &new)?,
                _ => None,
            };
            Ok(OfRef {
                owner: narrowed.map(|at| (at, owner)),
                remade,
            })
        })
        .collect()
}

/// What the ref held when it was deleted, and `new` does not contain.
fn lost(
    request: &Request<'_>,
    actor: &Actor,
    update: &RefUpdate,
    past: &RefPast,
    new: &Oid,
) -> Result<Option<String>, Unjudged> {
    let is_tag = update.target.as_bytes().starts_with(b"refs/tags/");
    for tip in past.lost_to(actor.name.as_deref()) {
        let kept = match Oid::from_hex(tip.as_bytes()) {
            // A tag that names something else is never a step forward.
            Ok(old) if is_tag => old == *new,
            Ok(old) => repo::contains(request.repo, &old, new, request.budget)?,
            Err(_) => false,
        };
        if !kept {
            return Ok(Some(tip.chars().take(10).collect()));
        }
    }
    Ok(None)
}
