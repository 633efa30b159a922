//! The past of one ref, as far as it is needed to know who made it, and what was lost when it was deleted.
//!
//! A decision that let a push pass does not prove that the ref moved: git may decline afterwards, or another hook. So a past is a
//! list of values that the ref may have, each with the identity that would own it then. The value that the ref store really has
//! picks among them; what post-receive recorded, and time, strike out the others. Where two are left that disagree, nobody
//! is the owner.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Most values that are kept. More are there only when pushes pass and never land: then the oldest go.
const CLAIMS_MAX: usize = 16;

/// Later than this no push that was let pass is still on its way into the ref store.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(15);

/// The past of one ref.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefPast {
    claims: Vec<Claim>,
}

/// One value that the ref may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// The value; `None`: the ref is not there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    value: Option<String>,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    from: Option<String>,
    /// The identity that created it. `None`: not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    owner: Option<String>,
    /// The decision that let it pass.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    by: Option<String>,
    /// When, in seconds.
    at: i64,
    /// What went away when the ref was deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    lost: Option<Lost>,
}

/// A value that went away with the ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    tip: String,
    /// Who deleted it.
    by: Option<String>,
    /// Whether that is a person: then the name is free for everybody else.
    person: bool,
}

/// A move that was let pass.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// Value before, as the ref store said; `None`: it was not there.
    pub old: Option<&'a str>,
    /// Value after; `None`: it goes away.
    pub new: Option<&'a str>,
    /// The identity; `None`: an unknown pusher.
    pub identity: Option<&'a str>,
    /// Whether it is a person.
    pub person: bool,
    /// Id of the decision.
    pub decision: &'a str,
}

impl RefPast {
    /// The identity that made the ref as it stands. `None`: the record does not know, or knows of two.
    pub fn owner(&self, stored: Option<&str>) -> Option<&str> {
        stored?;
        let mut owners = self
            .claims
            .iter()
            .filter(|claim| claim.value.as_deref() == stored)
            .map(|claim| claim.owner.as_deref());
        let first = owners.next()??;
        owners.all(|owner| owner == Some(first)).then_some(first)
    }

    /// The values that went away when the ref, which is not there, was deleted, and that count against `identity` when
    /// it makes the ref again: a person's delete frees the name for others.
    pub fn lost_to(&self, identity: Option<&str>) -> impl Iterator<Item = &str> {
        self.claims
            .iter()
            .filter(|claim| claim.value.is_none())
            .filter_map(|claim| claim.lost.as_ref())
            .filter(move |lost| !lost.person || lost.by.as_deref() == identity)
            .map(|lost| lost.tip.as_str())
    }

    /// Notes the value that the ref store had when a push was judged: values that can no longer be on their way, and
    /// are not this one, are past.
    pub fn seen(&mut self, stored: Option<&str>, at: Timestamp) {
        let oldest = (at - ON_ITS_WAY).as_second();
        self.claims
            .retain(|claim| claim.value.as_deref() == stored || claim.at > oldest);
    }

    /// Notes a move that was let pass.
    pub fn pass(&mut self, moved: &Passed<'_>, at: Timestamp) {
        let owner = match (moved.old, moved.new) {
            (_, None) => None,
            (None, Some(_)) => moved.identity,
            (old, Some(_)) => self.owner(old),
        };
        let lost = match (moved.old, moved.new) {
            (Some(tip), None) => Some(Lost {
                tip: tip.to_owned(),
                by: moved.identity.map(str::to_owned),
                person: moved.person,
            }),
            _ => None,
        };
        self.push(Claim {
            value: moved.new.map(str::to_owned),
            from: moved.old.map(str::to_owned),
            owner: owner.map(str::to_owned),
            by: Some(moved.decision.to_owned()),
            at: at.as_second(),
            lost,
        });
    }

    /// Notes a move that was carried out. `decision`: the entry that let it pass; `None`: none did.
    pub fn land(
        &mut self,
        old: Option<&str>,
        new: Option<&str>,
        decision: Option<&str>,
        at: Timestamp,
    ) {
        let carried_out = |claim: &Claim| {
            claim.by.is_some() && claim.by.as_deref() == decision && claim.value.as_deref() == new
        };
        let index = match self.claims.iter().position(carried_out) {
            Some(index) => index,
            None => {
                // Nothing let it pass: whoever made the ref then is not known.
                let owner = match (old, new) {
                    (Some(_), Some(_)) => self.owner(old).map(str::to_owned),
                    _ => None,
                };
                self.push(Claim {
                    value: new.map(str::to_owned),
                    from: old.map(str::to_owned),
                    owner,
                    by: None,
                    at: at.as_second(),
                    lost: None,
                });
                self.claims.len() - 1
            }
        };
        // What came before is past. What was let pass later can still land where it starts from what landed.
        let mut kept: Vec<Claim> = Vec::with_capacity(self.claims.len() - index);
        for claim in self.claims.drain(index..) {
            if kept.is_empty() || kept.iter().any(|before| before.value == claim.from) {
                kept.push(claim);
            }
        }
        self.claims = kept;
    }

    /// Takes a person's word for whose the ref is.
    pub fn assign(&mut self, value: &str, identity: &str, at: Timestamp) {
        self.claims = vec![Claim {
            value: Some(value.to_owned()),
            from: None,
            owner: Some(identity.to_owned()),
            by: None,
            at: at.as_second(),
            lost: None,
        }];
    }

    /// Whether nothing of it can matter any more.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    fn push(&mut self, claim: Claim) {
        self.claims.push(claim);
        if self.claims.len() > CLAIMS_MAX {
            // What was lost stays: whoever makes a ref again must contain all of it, so the older is in the newer.
            let spare = self.claims.iter().position(|claim| claim.lost.is_none());
            self.claims.remove(spare.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn moved<'a>(
        who: &'a str,
        decision: &'a str,
        old: Option<&'a str>,
        new: Option<&'a str>,
    ) -> Passed<'a> {
        Passed {
            old,
            new,
            identity: Some(who),
            person: who == "alice",
            decision,
        }
    }

    #[test]
    fn who_creates_a_ref_owns_it_and_a_move_by_another_changes_nothing() {
        let mut past = RefPast::default();
        past.pass(&moved("a", "d1", None, Some("v1")), at(0));
        past.pass(&moved("alice", "d2", Some("v1"), Some("v2")), at(1));
        assert_eq!(past.owner(Some("v1")), Some("a"), "it may not have landed");
        assert_eq!(past.owner(Some("v2")), Some("a"));
        assert_eq!(past.owner(Some("v3")), None, "moved past the gate");
        assert_eq!(past.owner(None), None);
    }

    #[test]
    fn of_two_that_create_the_same_value_neither_owns_it_until_one_landed() {
        for (landed, owner) in [("d1", "a"), ("d2", "b")] {
            let mut past = RefPast::default();
            past.pass(&moved("a", "d1", None, Some("v")), at(0));
            past.pass(&moved("b", "d2", None, Some("v")), at(0));
            assert_eq!(past.owner(Some("v")), None);
            past.land(None, Some("v"), Some(landed), at(0));
            assert_eq!(past.owner(Some("v")), Some(owner));
        }
    }

    #[test]
    fn a_create_that_never_landed_gives_nothing() {
        let mut past = RefPast::default();
        past.pass(&moved("a", "d1", None, Some("v")), at(0));
        past.seen(None, at(16));
        past.pass(&moved("b", "d2", None, Some("v")), at(16));
        assert_eq!(past.owner(Some("v")), Some("b"));
    }

    #[test]
    fn what_was_let_pass_meanwhile_is_kept_when_another_lands() {
        let mut past = RefPast::default();
        past.pass(&moved("a", "d1", None, Some("v1")), at(0));
        past.pass(&moved("a", "d2", Some("v1"), Some("v2")), at(0));
        past.land(None, Some("v1"), Some("d1"), at(0));
        assert_eq!(past.owner(Some("v2")), Some("a"));
        past.land(Some("v1"), Some("v2"), Some("d2"), at(0));
        assert_eq!(past.owner(Some("v1")), None, "that is past");
        assert_eq!(past.owner(Some("v2")), Some("a"));
    }

    #[test]
    fn what_lands_though_nothing_let_it_pass_is_nobodys() {
        let mut past = RefPast::default();
        past.land(None, Some("v"), None, at(0));
        assert_eq!(past.owner(Some("v")), None);
        past.pass(&moved("a", "d", Some("v"), Some("w")), at(0));
        assert_eq!(past.owner(Some("w")), None, "an update gives nothing");
        past.assign("w", "a", at(1));
        assert_eq!(past.owner(Some("w")), Some("a"));
    }

    #[test]
    fn an_unknown_pusher_owns_nothing() {
        let mut past = RefPast::default();
        let mut stranger = moved("x", "d", None, Some("v"));
        stranger.identity = None;
        past.pass(&stranger, at(0));
        assert_eq!(past.owner(Some("v")), None);
    }

    #[test]
    fn what_an_agent_deletes_counts_against_everybody_who_makes_it_again() {
        let lost = |past: &RefPast, who: &str| -> Vec<String> {
            past.lost_to(Some(who)).map(str::to_owned).collect()
        };
        let mut past = RefPast::default();
        past.pass(&moved("a", "d1", None, Some("v")), at(0));
        past.land(None, Some("v"), Some("d1"), at(0));
        past.pass(&moved("a", "d2", Some("v"), None), at(1));
        past.land(Some("v"), None, Some("d2"), at(1));
        // However long ago, and however many pushes were refused meanwhile.
        for minute in 2..100 {
            past.seen(None, at(minute));
        }
        assert_eq!(lost(&past, "a"), ["v"]);
        assert_eq!(lost(&past, "b"), ["v"]);
        // Made again by another, it is the other's alone.
        past.pass(&moved("b", "d3", None, Some("w")), at(200));
        past.land(None, Some("w"), Some("d3"), at(200));
        assert_eq!(past.owner(Some("w")), Some("b"));
        assert!(lost(&past, "a").is_empty());
    }

    #[test]
    fn what_a_person_deletes_is_free_for_others() {
        let mut past = RefPast::default();
        past.pass(&moved("a", "d1", None, Some("v")), at(0));
        past.pass(&moved("alice", "d2", Some("v"), None), at(1));
        assert_eq!(past.lost_to(Some("a")).count(), 0);
        assert_eq!(past.lost_to(Some("alice")).count(), 1);
        assert_eq!(
            past.owner(Some("v")),
            Some("a"),
            "the delete may not have landed"
        );
    }

    #[test]
    fn the_list_is_bounded() {
        let mut past = RefPast::default();
        for n in 0..1_000 {
            let value = format!("v{n}");
            past.pass(&moved("a", "d", None, Some(&value)), at(0));
        }
        assert_eq!(past.claims.len(), CLAIMS_MAX);
        past.pass(&moved("a", "d", Some("v999"), None), at(0));
        for n in 0..1_000 {
            let value = format!("w{n}");
            past.pass(&moved("a", "d", None, Some(&value)), at(0));
        }
        assert_eq!(past.claims.len(), CLAIMS_MAX);
        assert_eq!(
            past.lost_to(Some("a")).count(),
            1,
            "pushes that never land hide nothing"
        );
    }
}
