//! The net effect of a ref that moves back or aside.
//!
//! When a ref is created or moves forward, every difference between its old and its new tree is a change of one of the
//! new commits, which are all judged, or it comes from history that trusted refs hold, joined by a merge which
//! is compared with the automatic one. So the commits tell all, and no net effect is worked out.
//!
//! When a ref moves back or aside, content can go or return without any new commit. Then old and new tree are
//! compared, less what is as trusted history has it (a branch rebased onto a newer main), and less what a new
//! commit of the same update does anyhow.

use std::collections::HashSet;
use std::rc::Rc;

use bstr::BString;

use super::RepoError;
use super::changes::{Change, Entry, Origin, path_below};
use super::trees::{Join, Tree, Trees};
use crate::budget::Budget;
use crate::push::Oid;

/// Trees that excuse a difference.
pub(super) struct Trusted {
    /// Trees where the new value and trusted history meet: what they have or lack at a path is excused.
    pub(super) bases: Vec<Oid>,
    /// Trees of trusted tips: what they have is excused; what one of them lacks is not, or one old release would
    /// excuse every delete.
    pub(super) tips: Vec<Oid>,
}

/// The paths where `new` differs from `old`, less what is excused or in `told`.
pub(super) fn effect(
    trees: &mut Trees<'_>,
    budget: &Budget,
    old: Oid,
    new: Oid,
    trusted: &Trusted,
    told: &HashSet<(&BString, Option<Entry>)>,
) -> Result<Vec<Change>, RepoError> {
    let roots = [old, new]
        .into_iter()
        .chain(trusted.bases.iter().copied())
        .chain(trusted.tips.iter().copied());
    let first_tip = 2 + trusted.bases.len();
    let excused = |entries: &[Option<Entry>]| {
        let new = entries[1];
        entries[2..first_tip].contains(&new)
            || (new.is_some() && entries[first_tip..].contains(&new))
    };
    let mut changes = Vec::new();
    let mut entries = Vec::new();
    let mut folders = vec![(
        BString::default(),
        roots.map(Some).collect::<Vec<_>>(),
        0_u64,
    )];
    while let Some((path, ids, depth)) = folders.pop() {
        let mut sides: Vec<Rc<Tree>> = Vec::with_capacity(ids.len());
        for id in &ids {
            let like = sides.last().cloned();
            sides.push(trees.load(id.as_ref(), like.as_deref())?);
        }
        let mut join = Join::new(&sides);
        while let Some(key) = join.next(&mut entries) {
            if entries[0] == entries[1] || excused(&entries) {
                continue;
            }
            let path = path_below(&path, key.name);
            if key.folder {
                budget.check_depth(depth + 1)?;
                let ids = entries.iter().map(|entry| entry.map(|entry| entry.id));
                folders.push((path, ids.collect(), depth + 1));
            } else if !told.contains(&(&path, entries[1])) {
                budget.take_changes(1)?;
                changes.push(Change {
                    path,
                    old: vec![entries[0]],
                    new: entries[1],
                    origin: Origin::Net,
                    moved_from: None,
                });
            }
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}
