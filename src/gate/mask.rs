//! Nothing that the push named is told or recorded with a secret in it.
//!
//! The content checks find a secret in a name like anywhere else; but the finding, its hints, the report line
//! and the record all repeat the name. So a decision holds only masked names.

use bstr::BString;

use crate::check::masked;
use crate::gate::State;
use crate::push::{RefName, RefUpdate};

/// Masks the names of the ref updates, and every name and sentence of the findings.
pub(super) fn names(updates: &mut [RefUpdate], state: &mut State) {
    for update in updates {
        mask_update(update);
    }
    for brief in &mut state.commits {
        brief.refs.iter_mut().for_each(mask_ref);
    }
    for finding in &mut state.findings {
        let place = &mut finding.place;
        if let Some(name) = &mut place.ref_name {
            mask_ref(name);
        }
        if let Some(shown) = place.path.as_ref().and_then(|path| masked(path)) {
            place.path = Some(BString::from(shown));
        }
        if let Some(shown) = finding
            .detail
            .as_ref()
            .and_then(|detail| masked(detail.as_bytes()))
        {
            finding.detail = Some(String::from_utf8_lossy(&shown).into_owned());
        }
    }
}

/// Masks the names of ref updates that were not judged.
pub fn updates(mut updates: Vec<RefUpdate>) -> Vec<RefUpdate> {
    updates.iter_mut().for_each(mask_update);
    updates
}

fn mask_update(update: &mut RefUpdate) {
    mask_ref(&mut update.command.name);
    mask_ref(&mut update.target);
    if let Some(branch) = &mut update.proposed_for {
        mask_ref(branch);
    }
}

fn mask_ref(name: &mut RefName) {
    if let Some(shown) = masked(name.as_bytes()) {
        *name = RefName::new(shown)
            .or_else(|_| RefName::new("refs/masked"))
            .expect("the fallback is a ref name");
    }
}
