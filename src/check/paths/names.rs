//! Names that come new, as the file systems of others would see them.

use std::collections::{HashMap, HashSet, hash_map};
use std::rc::Rc;

use bstr::{BString, ByteSlice as _};

use super::At;
use crate::finding::Finding;
use crate::policy;
use crate::push::Oid;
use crate::redact::Quoted;
use crate::repo::{Change, Entry, Joined, Mode, Origin, RepoError, TreeEntry, path_below};

/// Folders that were read already, so that each is read once, and paths that were told, so that each is told once.
#[derive(Default)]
pub(super) struct Names {
    told: HashSet<BString>,
    folders: HashMap<Oid, Rc<Folder>>,
}

/// One tree as a file system would see it.
struct Folder {
    /// Folded forms of the entries, and how many have each.
    forms: HashMap<Vec<u8>, usize>,
    /// The folders below, by their form.
    below: HashMap<Vec<u8>, Vec<(BString, Oid)>>,
    /// Names that mix scripts, with what they spell.
    mixed: Vec<(BString, Vec<u8>)>,
}

/// Folders that a file system shows as one: those of a path and of its twins.
type View = Vec<Oid>;

impl Names {
    /// Looks at the names of a path that comes new, down from the tree that it stands in. `parents`: the commits that it
    /// is new to.
    pub(super) fn judge(
        &mut self,
        at: &At<'_>,
        root: Option<Oid>,
        parents: &[Oid],
        change: &Change,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RepoError> {
        let appears = change.new.is_some() && change.old.iter().all(Option::is_none);
        if !appears || self.told.contains(&change.path) {
            return Ok(());
        }
        let names: Vec<&[u8]> = change.path.split(|byte| *byte == b'/').collect();
        if let Some(why) = names.iter().copied().find_map(unportable) {
            let mut found = at.finding(
                "path/portable",
                change,
                "the path cannot exist on some systems",
            );
            found.detail = Some(why.to_owned());
            findings.push(found);
            self.told.insert(change.path.clone());
        }
        let mut view: View = root.into_iter().collect();
        for (index, name) in names.iter().enumerate() {
            if view.is_empty() {
                break;
            }
            let form = policy::folded(name);
            let twins = self.count(at, &view, &form)?;
            let other = match policy::spelled_by_mixed_scripts(name) {
                Some(spelled) if self.count(at, &view, &spelled)? > 0 => Some(spelled),
                _ => None,
            };
            if (twins > 1 || other.is_some())
                && !self.was_there(at, parents, &names[..=index], twins, other.as_deref())?
            {
                findings.push(self.mistaken(at, change, name, other.as_deref()));
                break;
            }
            view = self.below(at, &view, &form)?;
        }
        Ok(())
    }

    /// Looks at a folder that a merge made: names that were apart in its parents may be twins in it.
    pub(super) fn judge_joined(
        &mut self,
        at: &At<'_>,
        joined: &Joined,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RepoError> {
        let parents: Vec<View> = joined
            .parents
            .iter()
            .flatten()
            .map(|id| vec![*id])
            .collect();
        let mut views = vec![(joined.path.clone(), vec![joined.tree], parents)];
        while let Some((path, view, parents)) = views.pop() {
            let twins = self.twins(at, &view)?;
            // Read once, however many twins there are.
            let (entries, old) = match twins.is_empty() {
                true => Default::default(),
                false => (
                    by_form(at, &view)?,
                    by_form(at, parents.first().map_or(&[], Vec::as_slice))?,
                ),
            };
            for form in twins {
                let count = self.count(at, &view, &form)?;
                let mut known = false;
                for parent in &parents {
                    known |= self.count(at, parent, &form)? >= count;
                }
                let Some(entry) = new_of(&entries, &old, &form) else {
                    continue;
                };
                let path = path_below(&path, &entry.name);
                if !known {
                    self.tell_joined(at, path, entry, None, findings);
                    continue;
                }
                // Twins of old are one folder, in which others may meet.
                let inside = self.below(at, &view, &form)?;
                if inside.len() > 1 {
                    let mut before = Vec::with_capacity(parents.len());
                    for parent in &parents {
                        before.push(self.below(at, parent, &form)?);
                    }
                    views.push((path, inside, before));
                }
            }
            for id in &view {
                let folder = self.folder(at, *id)?;
                if folder.mixed.is_empty() {
                    continue;
                }
                let entries = by_form(at, &[*id])?;
                for (name, spelled) in &folder.mixed {
                    let mut known = self.count(at, &view, spelled)? == 0;
                    for parent in &parents {
                        let both = self.count(at, parent, &policy::folded(name))? > 0
                            && self.count(at, parent, spelled)? > 0;
                        known |= both;
                    }
                    let form = policy::folded(name);
                    if !known && let Some(entry) = new_of(&entries, &ByForm::new(), &form) {
                        let path = path_below(&path, name);
                        self.tell_joined(at, path, entry, Some(spelled), findings);
                    }
                }
            }
        }
        // The next commit has another one here, and large folders that many merges change would add up.
        self.folders.remove(&joined.tree);
        Ok(())
    }

    fn tell_joined(
        &mut self,
        at: &At<'_>,
        path: BString,
        entry: &TreeEntry,
        other: Option<&[u8]>,
        findings: &mut Vec<Finding>,
    ) {
        if self.told.contains(&path) {
            return;
        }
        let change = Change {
            path,
            old: Vec::new(),
            new: Some(Entry {
                mode: entry.mode,
                id: entry.id,
            }),
            origin: Origin::Merge,
            moved_from: None,
        };
        findings.push(self.mistaken(at, &change, &entry.name, other));
    }

    fn mistaken(
        &mut self,
        at: &At<'_>,
        change: &Change,
        name: &[u8],
        other: Option<&[u8]>,
    ) -> Finding {
        self.told.insert(change.path.clone());
        let title = "the path can be mistaken for another one";
        let mut found = at.finding("path/confusable", change, title);
        found.detail = Some(match other {
            Some(other) => format!("{} reads like {}", Quoted(name), Quoted(other)),
            None => format!("{} has a twin in its folder", Quoted(name)),
        });
        found
    }

    /// Whether a parent has the last of these names as a folder already, beside as many twins and what it reads like.
    fn was_there(
        &mut self,
        at: &At<'_>,
        parents: &[Oid],
        names: &[&[u8]],
        twins: usize,
        other: Option<&[u8]>,
    ) -> Result<bool, RepoError> {
        for parent in parents {
            let reader = at.facts.reader;
            let mut exact = Some(reader.commit(parent, at.facts.budget)?.tree);
            let mut view: View = exact.into_iter().collect();
            for (index, name) in names.iter().enumerate() {
                let form = policy::folded(name);
                let Some(folder) = exact else { break };
                let folder = self.folder(at, folder)?;
                let mut below = folder.below.get(&form).into_iter().flatten();
                exact = below.find(|(known, _)| known == name).map(|(_, id)| *id);
                if index + 1 < names.len() {
                    view = self.below(at, &view, &form)?;
                    continue;
                }
                let as_many = self.count(at, &view, &form)? >= twins;
                let reads_alike = match other {
                    Some(other) => self.count(at, &view, other)? > 0,
                    None => true,
                };
                if exact.is_some() && as_many && reads_alike {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// How many entries have a form.
    fn count(&mut self, at: &At<'_>, view: &[Oid], form: &[u8]) -> Result<usize, RepoError> {
        let mut count = 0;
        for id in view {
            count += self.folder(at, *id)?.forms.get(form).copied().unwrap_or(0);
        }
        Ok(count)
    }

    /// The folders of a form.
    fn below(&mut self, at: &At<'_>, view: &[Oid], form: &[u8]) -> Result<View, RepoError> {
        let mut found = Vec::new();
        for id in view {
            let folder = self.folder(at, *id)?;
            found.extend(
                folder
                    .below
                    .get(form)
                    .into_iter()
                    .flatten()
                    .map(|(_, id)| *id),
            );
        }
        Ok(found)
    }

    /// The forms that more than one entry has.
    fn twins(&mut self, at: &At<'_>, view: &[Oid]) -> Result<Vec<Vec<u8>>, RepoError> {
        let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut twins = Vec::new();
        for id in view {
            for (form, count) in &self.folder(at, *id)?.forms {
                if view.len() == 1 {
                    if *count > 1 {
                        twins.push(form.clone());
                    }
                } else {
                    *counts.entry(form.clone()).or_default() += count;
                }
            }
        }
        let several = counts.into_iter().filter(|(_, count)| *count > 1);
        twins.extend(several.map(|(form, _)| form));
        twins.sort_unstable();
        Ok(twins)
    }

    fn folder(&mut self, at: &At<'_>, id: Oid) -> Result<Rc<Folder>, RepoError> {
        match self.folders.entry(id) {
            hash_map::Entry::Occupied(known) => Ok(Rc::clone(known.get())),
            hash_map::Entry::Vacant(unknown) => {
                let mut folder = Folder {
                    forms: HashMap::new(),
                    below: HashMap::new(),
                    mixed: Vec::new(),
                };
                for entry in at.facts.reader.tree(&id, at.facts.budget)? {
                    let form = policy::folded(&entry.name);
                    if let Some(spelled) = policy::spelled_by_mixed_scripts(&entry.name) {
                        folder.mixed.push((entry.name.clone(), spelled));
                    }
                    if entry.mode == Mode::Tree {
                        let below = folder.below.entry(form.clone()).or_default();
                        below.push((entry.name, entry.id));
                    }
                    *folder.forms.entry(form).or_default() += 1;
                }
                Ok(Rc::clone(unknown.insert(Rc::new(folder))))
            }
        }
    }
}

/// Entries of folders by their folded form.
type ByForm = HashMap<Vec<u8>, Vec<TreeEntry>>;

fn by_form(at: &At<'_>, view: &[Oid]) -> Result<ByForm, RepoError> {
    let mut entries = ByForm::new();
    for id in view {
        for entry in at.facts.reader.tree(id, at.facts.budget)? {
            let form = policy::folded(&entry.name);
            entries.entry(form).or_default().push(entry);
        }
    }
    Ok(entries)
}

/// An entry with a form; if there is one, one that `before` lacks.
fn new_of<'e>(entries: &'e ByForm, before: &ByForm, form: &[u8]) -> Option<&'e TreeEntry> {
    let old = before.get(form).map_or(&[][..], Vec::as_slice);
    let is_new = |entry: &&TreeEntry| old.iter().all(|old| old.name != entry.name);
    let entries = entries.get(form)?;
    entries.iter().find(is_new).or_else(|| entries.first())
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
