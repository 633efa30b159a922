//! What the refs show now: the files at their tips in which something was found, and what they name without a commit.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use bstr::{BString, ByteSlice as _};

use super::contents::Found;
use super::record;
use super::tips::{LeadsTo, Tip};
use super::walk::{
    Fresh, Hidden, Sought, Walked, hidden, hits_of_name, is_text, part_of, thing_of,
};
use crate::finding::Part;
use crate::push::Oid;
use crate::repo::{Differ, Entry, Mode, Reader};

/// Files at the tips in which something may stand, and that are kept.
const AT_TIPS_MAX: u64 = 1_000_000;

/// What stands at the tips, as far as it hits.
#[derive(Default)]
pub(super) struct AtTips {
    /// Blobs with hits or odd ones at a tip, with a path.
    pub(super) blobs: HashSet<(Oid, BString)>,
    /// Paths at a tip in whose names something was found.
    pub(super) names: HashSet<BString>,
    /// What refs name without a commit.
    pub(super) fresh: Vec<Fresh>,
    pub(super) unread: Vec<record::Unread>,
}

/// Looks at what the refs show now. What no commit that could be read brought there is told as well.
pub(super) fn at_tips(sought: &Sought<'_>, tips: &[Tip], walked: &Walked) -> AtTips {
    let reader = sought.repo.reader();
    let mut differ = Differ::new(sought.repo, &reader, sought.budget);
    let mut at_tips = AtTips::default();
    // One folder may stand at several paths. Their hash will do: nobody can know the keys of it.
    let hasher = RandomState::new();
    let mut entered: HashSet<(Oid, u64)> = HashSet::new();
    let of_names = walked.fresh.iter().filter(|one| one.part == Part::Path);
    let names: HashSet<&BString> = of_names.filter_map(|one| one.path.as_ref()).collect();
    let mut count = 0;
    for tip in tips {
        let tree = match tip.leads_to {
            LeadsTo::Commit(node) => sought.commits.rows[node as usize].tree,
            LeadsTo::Tree(id) => id,
            LeadsTo::Blob(id) => {
                bare(
                    sought,
                    &reader,
                    tip,
                    id,
                    "".into(),
                    Mode::Blob,
                    &mut at_tips,
                );
                continue;
            }
            LeadsTo::Nothing => continue,
        };
        let is_bare = matches!(tip.leads_to, LeadsTo::Tree(_));
        let (mut found, mut names_here) = (Vec::new(), Vec::new());
        let told = differ.walk(
            &tree,
            &mut |path, id| is_bare || entered.insert((*id, hasher.hash_one(path))),
            &mut |path, entry| {
                if is_bare {
                    names_here.extend(hits_of_name(sought, &path).into_iter().map(
                        |(thing, hit)| {
                            let name = tip.name.as_bstr().to_owned();
                            Fresh::of_name(thing, hit, &path, None, Some(name))
                        },
                    ));
                } else if names.contains(&path) {
                    at_tips.names.insert(path.clone());
                }
                let hits = sought.contents.hits.contains_key(&entry.id);
                if is_text(entry.mode) && (hits || sought.is_odd(&entry, &path)) {
                    count += 1;
                    if count <= AT_TIPS_MAX {
                        found.push((path, entry));
                    }
                }
            },
        );
        for one in names_here {
            sought.keep(&mut at_tips.fresh, one);
        }
        for (path, entry) in found {
            if is_bare || !walked.seen.contains(&entry.id) {
                bare(
                    sought,
                    &reader,
                    tip,
                    entry.id,
                    path.clone(),
                    entry.mode,
                    &mut at_tips,
                );
            }
            at_tips.blobs.insert((entry.id, path));
        }
        if let Err(error) = told {
            at_tips.unread.push(record::Unread {
                what: format!("the files of ref {}", super::shown(&tip.name)),
                why: error.to_string(),
                objects: 1,
            });
        }
    }
    if count > AT_TIPS_MAX {
        at_tips.unread.push(record::Unread {
            what: "what the refs show".into(),
            why: format!("more than {AT_TIPS_MAX} files may hold something: what is at a tip is not told of the others"),
            objects: 0,
        });
    }
    at_tips
}

/// What a ref names without a commit.
fn bare(
    sought: &Sought<'_>,
    reader: &Reader<'_>,
    tip: &Tip,
    blob: Oid,
    path: BString,
    mode: Mode,
    at_tips: &mut AtTips,
) {
    let mut found: Hidden = Vec::new();
    if let Some(hits) = sought.contents.hits.get(&blob) {
        let one = |found: &Found| (thing_of(found, sought.key, &path), found.hit(), (0, 0));
        found.extend(hits.iter().map(one));
    }
    let entry = Entry { mode, id: blob };
    if sought.is_odd(&entry, &path) {
        found.extend(hidden(sought, reader, &entry, &path).unwrap_or_default());
    }
    at_tips.blobs.insert((blob, path.clone()));
    for (thing, hit, at) in found {
        let one = Fresh {
            thing,
            hit,
            part: part_of(mode),
            commit: None,
            path: Some(path.clone()).filter(|path| !path.is_empty()),
            blob: Some(blob),
            tag: None,
            name: Some(tip.name.as_bstr().to_owned()),
            at: Some(at).filter(|at| at.0 > 0),
        };
        sought.keep(&mut at_tips.fresh, one);
    }
}
