//! Names that come new, as the file systems of others would see them.

use std::collections::{HashMap, HashSet, hash_map};

use bstr::{BStr, BString, ByteSlice as _};

use super::At;
use crate::finding::Finding;
use crate::policy;
use crate::push::Oid;
use crate::redact::Quoted;
use crate::repo::{Change, Mode, RepoError};

/// Names that were looked at already, so that a folder is read once and a name told once.
#[derive(Default)]
pub(super) struct Names {
    seen: HashSet<BString>,
    folders: HashMap<Oid, Folder>,
}

/// One tree as a file system would see it.
struct Folder {
    below: HashMap<BString, Oid>,
    /// Folded forms of the entries.
    forms: HashSet<Vec<u8>>,
    /// Those that more than one entry has.
    twins: HashSet<Vec<u8>>,
}

impl Names {
    /// Looks at the names of a path that comes new, down from the tree that it stands in.
    pub(super) fn judge(
        &mut self,
        at: &At<'_>,
        root: Option<Oid>,
        change: &Change,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RepoError> {
        let appears = change.new.is_some() && change.old.iter().all(Option::is_none);
        if !appears || !self.seen.insert(change.path.clone()) {
            return Ok(());
        }
        let components = || change.path.split(|byte| *byte == b'/');
        if let Some(why) = components().find_map(unportable) {
            let mut found = at.finding(
                "path/portable",
                change,
                "the path cannot exist on some systems",
            );
            found.detail = Some(why.to_owned());
            findings.push(found);
        }
        let mut tree = root;
        for name in components() {
            let Some(id) = tree else { break };
            let folder = self.folder(at, id)?;
            tree = folder.below.get(BStr::new(name)).copied();
            let twin = folder.twins.contains(&policy::folded(name));
            let looks_like = policy::spelled_by_mixed_scripts(name)
                .filter(|spelled| folder.forms.contains(spelled));
            if twin || looks_like.is_some() {
                let title = "the path can be mistaken for another one";
                let mut found = at.finding("path/confusable", change, title);
                found.detail = Some(match looks_like {
                    Some(other) => format!("{} reads like {}", Quoted(name), Quoted(&other)),
                    None => format!("{} has a twin in its folder", Quoted(name)),
                });
                findings.push(found);
                break;
            }
        }
        Ok(())
    }

    fn folder(&mut self, at: &At<'_>, id: Oid) -> Result<&Folder, RepoError> {
        match self.folders.entry(id) {
            hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            hash_map::Entry::Vacant(unknown) => {
                let mut folder = Folder {
                    below: HashMap::new(),
                    forms: HashSet::new(),
                    twins: HashSet::new(),
                };
                for entry in at.facts.reader.tree(&id, at.facts.budget)? {
                    let form = policy::folded(&entry.name);
                    if !folder.forms.insert(form.clone()) {
                        folder.twins.insert(form);
                    }
                    if entry.mode == Mode::Tree {
                        folder.below.insert(entry.name, entry.id);
                    }
                }
                Ok(unknown.insert(folder))
            }
        }
    }
}

/// Why a file name cannot exist on some systems.
pub(super) fn unportable(name: &[u8]) -> Option<&'static str> {
    if name.contains(&b'\\') {
        return Some("a backslash separates folders on Windows");
    }
    if name.contains(&b':') {
        return Some("a colon names a drive or a stream on Windows");
    }
    if name.ends_with(b".") || name.ends_with(b" ") {
        return Some("a trailing dot or space is cut on Windows");
    }
    let stem = name
        .split(|byte| *byte == b'.')
        .next()
        .unwrap_or(name)
        .trim_end_with(|c| c == ' ');
    let device = [&b"con"[..], b"prn", b"aux", b"nul", b"conin$", b"conout$"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || stem.len() == 4
            && (stem[..3].eq_ignore_ascii_case(b"com") || stem[..3].eq_ignore_ascii_case(b"lpt"))
            && stem[3].is_ascii_digit();
    device.then_some("a device name on Windows")
}
