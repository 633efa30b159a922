//! What the record alone decides, before anything of the push is looked at: who is suspended, and a clock that went back.

use jiff::Timestamp;

use crate::finding::{Finding, Part, Place};
use crate::gate::Request;
use crate::identity::{Actor, NotIdentified};
use crate::policy::{Kind, Mode};
use crate::standing::Standing;

/// The rule of a suspended identity: the one refusal that binds in every mode.
pub(super) const SUSPENDED: &str = "identity/suspended";

/// The finding against a suspended identity.
pub(super) fn suspended(name: &str, kind: Kind, standing: &Standing) -> Option<Finding> {
    let since = standing.suspended_since(name)?;
    let title = format!("{} \"{name}\" is suspended", kind.as_str());
    let mut found = Finding::new(SUSPENDED, title, Place::new(Part::Ref));
    found.detail = Some(format!("since {since}, until a person lifts it"));
    Some(found)
}

/// The finding against a clock that is behind the record.
pub(super) fn clock(standing: &Standing, now: Timestamp) -> Option<Finding> {
    let latest = standing.clock_behind(now)?;
    let title = "the clock of the server is behind its own record";
    let mut found = Finding::new("time/clock", title, Place::new(Part::Ref));
    found.detail = Some(format!(
        "it is {now:.0}, and the ledger has an entry of {latest:.0}; what expires or counts by the hour cannot be known"
    ));
    Some(found)
}

/// The finding against an identity that may not push here and now anyway: a policy that only observes would let it.
pub(super) fn of_stranger(request: &Request<'_>, stranger: &NotIdentified) -> Option<Finding> {
    let name = stranger.name.as_deref()?;
    let identities = request.policy.identities();
    let kind = identities.iter().find(|one| one.name == name)?.kind;
    suspended(name, kind, request.standing)
}

/// Both, and whether the judgement ends with them.
pub(super) fn of(actor: &Actor, standing: &Standing, now: Timestamp) -> (Vec<Finding>, bool) {
    let name = actor.name.as_deref();
    let stopped = name.and_then(|name| suspended(name, actor.kind, standing));
    let clock = clock(standing, now);
    // What only observes is looked at all the same, and told in full.
    let binds = actor.kind != Kind::Human && actor.mode == Mode::Enforce;
    let ends = stopped.is_some() || (clock.is_some() && binds);
    (stopped.into_iter().chain(clock).collect(), ends)
}
