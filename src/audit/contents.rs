//! Temporary: every object that refs reach, one by one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::commits::{Collector, bounds};
use super::record::Unread;
use crate::budget::Budget;
use crate::check::{CHECKS, Hit, Text};
use crate::finding::Part;
use crate::push::Oid;
use crate::redact::FingerprintKey;
use crate::repo::{Differ, Kind, Repo, RepoError};

/// What was found in all blobs.
pub(super) struct Looked<'a> {
    pub(super) found: HashMap<Oid, Arc<Vec<Hit>>>,
    pub(super) odd: HashSet<Oid>,
    pub(super) collectors: Vec<Collector<'a>>,
    pub(super) unread: Vec<Unread>,
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) ids: Vec<Oid>,
}

pub(super) fn look<'a>(
    repo: &Repo,
    key: &'a FingerprintKey,
    _threads: usize,
    wants: &(dyn Fn(&Oid) -> bool + Sync),
) -> Result<Looked<'a>, RepoError> {
    let mut looked = Looked {
        found: HashMap::new(),
        odd: HashSet::new(),
        collectors: Vec::new(),
        unread: Vec::new(),
        objects: 0,
        bytes: 0,
        ids: Vec::new(),
    };
    let mut collector = Collector::new(repo.hash_kind(), key);
    let budget = Budget::new(bounds());
    let reader = repo.reader();
    let mut differ = Differ::new(repo, &reader, &budget);
    let mut seen = HashSet::new();
    let mut open: Vec<Oid> = repo.all_refs().0.into_iter().map(|(_, id)| id).collect();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let mut buffer = Vec::new();
        let Ok(Some(object)) = reader.find(&id, &mut buffer, &budget) else {
            continue;
        };
        let (kind, data) = (object.kind, object.data.to_vec());
        let wanted = wants(&id);
        if kind != Kind::Tree {
            looked.ids.push(id);
        }
        looked.objects += u64::from(wanted);
        looked.bytes += data.len() as u64;
        match kind {
            Kind::Commit => {
                if wanted {
                    collector.commit(&id, &data);
                }
                let commit = reader.commit(&id, &budget)?;
                open.extend(commit.parents);
                open.push(commit.tree);
            }
            Kind::Tag => {
                if wanted {
                    collector.tag(&id, &data);
                }
                open.push(reader.tag(&id, &budget)?.target);
            }
            Kind::Tree => {
                let mut blobs = Vec::new();
                differ.walk(&id, &mut |_| true, &mut |_, entry| blobs.push(entry.id))?;
                open.extend(blobs);
            }
            Kind::Blob if !wanted => {}
            Kind::Blob => {
                let mut hits = Vec::new();
                let text = Text {
                    part: Part::Content,
                    path: None,
                    bytes: &data,
                };
                for check in CHECKS.iter().filter(|check| check.name() == "secrets") {
                    let _ = check.content(&text, key, &budget, &mut hits);
                }
                if !hits.is_empty() {
                    looked.found.insert(id, Arc::new(hits));
                }
                if !data.is_ascii() {
                    looked.odd.insert(id);
                }
            }
        }
    }
    looked.collectors.push(collector);
    Ok(looked)
}
