//! Refs of which the ledger says nothing: those that were there before it, those of the host, and those that nobody let be made.

use super::refs::{is_of_host, key_of_name};
use super::{Comparison, Refs, YOUNGER_BY};
use crate::audit::commits::Node;
use crate::push::Oid;

impl Comparison<'_> {
    /// Commits that were made after the ledger began, whatever their own clocks say: they stand on one that a push brought
    /// and that says so itself.
    fn stand_on_younger(&self) -> Vec<bool> {
        let began = self.began.unwrap_or(i64::MAX);
        let mut younger: Vec<bool> = Vec::with_capacity(self.history.count());
        for (at, is_brought) in self.brought.iter().enumerate() {
            let node = at as Node;
            let says_so = || 1_000 * self.history.clock(node) > began + YOUNGER_BY;
            let mut parents = self.history.parents(node).iter();
            let stands = parents.any(|parent| younger[*parent as usize]);
            younger.push(stands || (*is_brought && says_so()));
        }
        younger
    }

    /// Refs that the ledger does not mention.
    pub(super) fn unmentioned(&mut self, unknown: Vec<(&Vec<u8>, Oid)>, refs: &Refs<'_>) {
        let (mut of_host, mut older, mut symbolic) = (0, 0, 0);
        let mut younger = Vec::new();
        let stands = match unknown.is_empty() {
            true => Vec::new(),
            false => self.stand_on_younger(),
        };
        let stands = |id: &Oid| (self.history.commit(id)).is_some_and(|node| stands[node as usize]);
        let is_compared = |target: Vec<u8>| {
            let found = refs.all.binary_search_by(|(name, _)| name.cmp(&target));
            found.is_ok() && !is_of_host(&target)
        };
        let mut old = Vec::new();
        for (name, id) in unknown {
            if is_of_host(name) {
                of_host += u64::from(!self.proposals.contains(&id));
            } else if !self.is_younger_than_the_ledger(&id) && !stands(&id) {
                older += 1;
                old.push(id);
            } else if (refs.target)(name).is_some_and(is_compared) {
                symbolic += 1;
            } else {
                younger.push((name, id));
            }
        }
        for id in old {
            self.cover(id, &[], false);
        }
        for (name, id) in younger {
            let why = "no decision let it be made; it is younger than the ledger";
            self.moved_past_the_gate(&key_of_name(name), None, Some(id), None, why.into());
        }
        if of_host > 0 {
            self.note(format!(
                "{of_host} refs are the host's own, which no hook sees: they are not compared"
            ));
        }
        if symbolic > 0 {
            self.note(format!(
                "the ledger does not mention {symbolic} symbolic refs: what they lead to is compared instead"
            ));
        }
        if older > 0 {
            self.note(format!(
                "the ledger does not mention {older} refs: by the clocks of their commits they were there before it began"
            ));
        }
    }
}
