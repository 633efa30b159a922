//! Answers to questions about a change, as a push with it would be judged: what the boundary says, what is asked of every
//! name, and the levels that the boundary gives to the rules.

use crate::check;
use crate::finding::{Level, PathOp, RefOp};
use crate::identity::Actor;
use crate::policy::{self, Expect, Reason};
use crate::push::RefName;
use crate::verdict;

/// The answers about a ref; without an operation: created or updated, whichever is allowed.
pub(super) fn of_ref(actor: &Actor, name: &RefName, op: Option<RefOp>) -> Vec<Reason> {
    let bytes = name.as_bytes();
    let reason = actor.boundary.explain_ref(bytes, op);
    let is_allowed = |op: &RefOp| actor.boundary.may_ref(bytes, *op).is_allowed();
    let tried = [RefOp::Update, RefOp::Create];
    let op = op.unwrap_or_else(|| tried.into_iter().find(is_allowed).unwrap_or(RefOp::Update));
    let asked = reason.asked.clone();
    let mut reasons = vec![match check::refused_ref(actor, name, op) {
        Some(rule) => weighed(reason, rule, actor),
        None => reason,
    }];
    let odd = check::odd_ref(actor, name, op);
    reasons.extend(
        odd.into_iter()
            .filter_map(|(rule, why)| built_in(&asked, rule, why, actor)),
    );
    reasons
}

/// The answers about a path.
pub(super) fn of_path(actor: &Actor, path: &[u8], op: PathOp) -> Vec<Reason> {
    let reason = actor.boundary.explain_path(actor.kind, path, op);
    let asked = reason.asked.clone();
    let rule = match (reason.answer, op) {
        (Expect::Hold, _) => "path/held",
        _ if policy::is_policy_path(path) && actor.kind != policy::Kind::Human => "path/policy",
        _ if actor
            .boundary
            .denied(path, !matches!(op, PathOp::Delete | PathOp::Mode))
            .is_some() =>
        {
            "path/denied"
        }
        (_, PathOp::Symlink) => "path/symlink",
        (_, PathOp::Submodule) => "path/submodule",
        (_, PathOp::Mode) => "path/mode",
        (_, PathOp::Add | PathOp::Modify | PathOp::Delete) => "path/out-of-boundary",
    };
    let mut reasons = vec![weighed(reason, rule, actor)];
    if matches!(op, PathOp::Add | PathOp::Symlink | PathOp::Submodule) {
        let odd = check::odd_path(path);
        reasons.extend(odd.and_then(|(rule, why)| built_in(&asked, rule, why.to_owned(), actor)));
    }
    reasons
}

/// The answer about a freeze, where one holds the ref.
pub(super) fn of_freeze(actor: &Actor, name: &RefName, now: jiff::Timestamp) -> Option<Reason> {
    let reason = actor.boundary.explain_freeze(name.as_bytes(), now)?;
    Some(weighed(reason, "ref/frozen", actor))
}

/// The refusal by the level of its rule, which may only warn.
fn weighed(mut reason: Reason, rule: &'static str, actor: &Actor) -> Reason {
    if reason.answer == Expect::Accept {
        return reason;
    }
    let (level, at) = verdict::level_of(rule, None, Some(actor));
    let answer = answer_of(level);
    if answer == Expect::Accept {
        reason.why = format!("{}, but {rule} refuses nothing here", reason.why);
        reason.pass.clear();
    }
    if answer != reason.answer {
        reason.at = at;
        reason.answer = answer;
    }
    reason
}

/// What is asked of every name, whatever the boundary allows; `None` where its rule does not refuse.
fn built_in(asked: &str, rule: &'static str, why: String, actor: &Actor) -> Option<Reason> {
    let (level, mut at) = verdict::level_of(rule, None, Some(actor));
    let answer = answer_of(level);
    if at.line == 0 {
        at.what = "built in".into();
    }
    (answer != Expect::Accept).then(|| Reason {
        asked: asked.to_owned(),
        answer,
        why: format!("{rule}: {why}"),
        at,
        pass: vec!["choose another name".to_owned()],
    })
}

fn answer_of(level: Level) -> Expect {
    match level {
        Level::Off | Level::Warn => Expect::Accept,
        Level::Hold => Expect::Hold,
        Level::Deny => Expect::Reject,
    }
}
