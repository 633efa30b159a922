//! Stored refs that a new ref would be taken for, and that the pusher may not change.
//!
//! Where names are folded, on a server or in a clone, whoever makes the twin of a ref changes that ref. So whoever may change
//! it may make its twin too, and nobody else.

use crate::finding::RefOp;
use crate::gate::Request;
use crate::identity::Actor;
use crate::policy::{self, Answer};
use crate::push::{Command, RefName, RefUpdate};
use crate::repo::{ALIKE_MAX, History, Resolved};
use crate::standing::Past;
use crate::verdict::Unjudged;

/// One answer for each ref update: the ref that stands in its way.
pub(super) fn of_updates(
    request: &Request<'_>,
    actor: &Actor,
    history: &History,
) -> Result<Vec<Option<RefName>>, Unjudged> {
    let updates = &request.updates;
    let mut found = vec![None; updates.len()];
    if actor.boundary.may_change_every_ref() {
        return Ok(found);
    }
    let is_new = |(index, op): (usize, &RefOp)| {
        (*op == RefOp::Create && updates[index].proposed_for.is_none()).then_some(index)
    };
    let moves = history.moves.iter().enumerate();
    let new: Vec<usize> = moves.filter_map(is_new).collect();
    let names: Vec<&RefName> = (new.iter())
        .map(|index| &updates[*index].command.name)
        .collect();
    if names.is_empty() {
        return Ok(found);
    }
    let goes = |name: &RefName| {
        let is_it =
            |update: &RefUpdate| update.command.name == *name && update.command.new.is_none();
        updates.iter().any(is_it)
    };
    // Those that the pusher may change when it made them.
    let mut asked: Vec<(usize, RefUpdate)> = Vec::new();
    let alike = request.repo.refs_alike(&names, &policy::spelled_form)?;
    for (index, twins) in new.into_iter().zip(alike) {
        request.budget.check_time().map_err(Unjudged::Exhausted)?;
        let is_crowded = twins.len() > ALIKE_MAX;
        for twin in twins.into_iter().filter(|twin| !goes(twin)) {
            let resolved = request.repo.resolve(&twin)?;
            let both = [
                may_change(actor, &twin),
                may_change(actor, &resolved.target),
            ];
            if is_crowded || both.iter().any(|answer| !answer.is_allowed()) {
                found[index] = Some(twin);
                break;
            }
            if both.iter().any(|answer| matches!(answer, Answer::IfOwn(_))) {
                asked.push((index, question(twin, resolved)));
            }
        }
    }
    asked.retain(|(index, _)| found[*index].is_none());
    if asked.is_empty() {
        return Ok(found);
    }
    let (indices, questions): (Vec<usize>, Vec<RefUpdate>) = asked.into_iter().unzip();
    let name = actor.name.as_deref();
    let known = match (request.past)(&questions, name) {
        Past::Known(known) => known,
        Past::Elsewhere => return Ok(found),
        Past::Unknown(why) => return Err(Unjudged::Record(why)),
    };
    for (position, (index, twin)) in indices.into_iter().zip(questions).enumerate() {
        let stored = twin.stored.map(|id| id.to_string());
        let past = known.refs.get(position);
        let owner = past.and_then(|past| past.owner(stored.as_deref()));
        if owner.is_none() || owner != name {
            found[index].get_or_insert(twin.command.name);
        }
    }
    Ok(found)
}

fn may_change(actor: &Actor, name: &RefName) -> Answer {
    let may = |op| actor.boundary.may_ref(name.as_bytes(), op);
    match (may(RefOp::Update), may(RefOp::Force)) {
        (Answer::Refused(_), force) => force,
        (Answer::IfOwn(_), force @ Answer::Allowed(_)) => force,
        (update, _) => update,
    }
}

/// The record is asked about ref updates: here about one that changes nothing.
fn question(name: RefName, resolved: Resolved) -> RefUpdate {
    RefUpdate {
        command: Command {
            name,
            claimed_old: resolved.value,
            new: resolved.value,
        },
        target: resolved.target,
        stored: resolved.value,
        proposed_for: None,
    }
}
