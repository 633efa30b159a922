//! Who brought what: one walk over the trees of all commits, for the blobs that hit and the paths that agents touch.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use bstr::BString;
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;

use super::agents::Cast;
use super::commits::{self, Commits, Node, line_and_column, print};
use super::contents::{Contents, Found};
use super::record;
use crate::budget::Budget;
use crate::check::{self, Hit, Text};
use crate::finding::{Part, RuleId};
use crate::policy::Pattern;
use crate::push::Oid;
use crate::redact::{Fingerprint, FingerprintKey};
use crate::repo::{Differ, Differing, Entry, Mode, Reader, Repo};

/// Paths of agents that one thread counts apart; more of them are only counted together.
const TOUCHED_MAX: usize = 100_000;
/// Places of one repository that are kept: a few trees can put a secret at more paths than anybody can list.
pub(super) const KEPT_MAX: u64 = 500_000;
/// Names without a finding that one thread remembers.
const NAMES_MAX: usize = 100_000;

/// What makes two hits the same thing: rule and value. What has no value of its own (hidden text, what could not be looked
/// into) is another thing at another path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Thing {
    pub(super) rule: RuleId,
    pub(super) print: Fingerprint,
    pub(super) path: Option<BString>,
}

impl Thing {
    pub(super) fn new(hit: &Hit, print: Fingerprint, path: Option<&[u8]>) -> Thing {
        let is_value = hit.evidence.is_some();
        Thing {
            rule: hit.rule.clone(),
            print,
            path: path.filter(|_| !is_value).map(BString::from),
        }
    }
}

/// A thing that comes to a place.
pub(super) struct Fresh {
    pub(super) thing: Thing,
    pub(super) hit: Hit,
    pub(super) part: Part,
    /// The commit that brings it; none: a ref names it without a commit, or nothing does.
    pub(super) commit: Option<Node>,
    pub(super) path: Option<BString>,
    pub(super) blob: Option<Oid>,
    /// The object of a text that is neither: an annotated tag.
    pub(super) tag: Option<Oid>,
    pub(super) name: Option<BString>,
    /// Known where the text was at hand.
    pub(super) at: Option<(u64, u64)>,
}

impl Fresh {
    /// In the name of a path, which a commit brings or a ref names without one.
    pub(super) fn of_name(
        thing: Thing,
        hit: Hit,
        path: &BString,
        commit: Option<Node>,
        name: Option<BString>,
    ) -> Fresh {
        Fresh {
            thing,
            hit,
            part: Part::Path,
            commit,
            path: Some(path.clone()),
            blob: None,
            tag: None,
            name,
            at: None,
        }
    }
}

/// What is looked for.
pub(super) struct Sought<'a> {
    pub(super) repo: &'a Repo,
    pub(super) key: &'a FingerprintKey,
    pub(super) budget: &'a Budget,
    pub(super) commits: &'a Commits,
    pub(super) cast: &'a Cast,
    /// What the blobs hold.
    pub(super) contents: &'a Contents,
    /// Paths to look at; empty: all.
    pub(super) paths: &'a [Pattern],
    /// The commits that the refs reach: what agents touch in others is not counted.
    pub(super) reached: &'a [bool],
    /// How many places were found.
    pub(super) places: AtomicU64,
}

impl Sought<'_> {
    /// Keeps a place, as long as there are not too many.
    pub(super) fn keep(&self, fresh: &mut Vec<Fresh>, one: Fresh) {
        if self.places.fetch_add(1, Ordering::Relaxed) < KEPT_MAX {
            fresh.push(one);
        }
    }

    /// Whether the check of hidden text may find something in what stands at a path.
    pub(super) fn is_odd(&self, entry: &Entry, path: &[u8]) -> bool {
        match entry.mode.acts_as() {
            Mode::Tree | Mode::Gitlink => false,
            // The target of a link is a name.
            Mode::Symlink => true,
            _ => {
                self.contents.odd.contains(&entry.id)
                    || (self.contents.returns.contains(&entry.id) && check::is_for_agents(path))
            }
        }
    }
}

/// What the walk met.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) fresh: Vec<Fresh>,
    /// Things that a commit takes away from a path.
    pub(super) gone: Vec<(Thing, Node)>,
    /// Blobs with hits, or with what may be hidden text where they stand, that some commit has.
    pub(super) seen: HashSet<Oid>,
    /// Paths by agent, and in how many commits.
    pub(super) touched: HashMap<(u32, BString), u64>,
    /// Changes of paths beyond [`TOUCHED_MAX`], by agent.
    pub(super) untold: HashMap<u32, u64>,
    pub(super) unread: Vec<record::Unread>,
    /// Blobs that trees name and that are not there.
    pub(super) missing: HashSet<Oid>,
}

impl Walked {
    pub(super) fn absorb(mut self, other: Walked) -> Walked {
        self.fresh.extend(other.fresh);
        self.gone.extend(other.gone);
        self.seen.extend(other.seen);
        for (place, count) in other.touched {
            *self.touched.entry(place).or_default() += count;
        }
        for (agent, count) in other.untold {
            *self.untold.entry(agent).or_default() += count;
        }
        self.unread.extend(other.unread);
        self.missing.extend(other.missing);
        self
    }

    /// Takes away what agents touched in some commits.
    pub(super) fn without_touched(&mut self, other: Walked) {
        for (place, count) in other.touched {
            if let Some(all) = self.touched.get_mut(&place) {
                *all = all.saturating_sub(count);
                if *all == 0 {
                    self.touched.remove(&place);
                }
            }
        }
        self.unread.extend(other.unread);
    }
}

/// Walks over the commits, which stand in the order of the history.
pub(super) fn walk(sought: &Sought<'_>, nodes: &[Node]) -> Walked {
    pass(sought, nodes, false)
}

/// Counts what agents touch in these commits, whether refs reach them or not, and does nothing else.
pub(super) fn touched(sought: &Sought<'_>, nodes: &[Node]) -> Walked {
    pass(sought, nodes, true)
}

fn pass(sought: &Sought<'_>, nodes: &[Node], only_counts: bool) -> Walked {
    let chunk = nodes
        .len()
        .div_ceil(4 * rayon::current_num_threads())
        .max(64);
    let walked = nodes.par_chunks(chunk).map(|nodes| {
        let reader = sought.repo.reader();
        let mut pass = Pass {
            sought,
            reader: &reader,
            only_counts,
            plain_names: HashSet::new(),
            there: HashSet::new(),
            walked: Walked::default(),
        };
        let mut differ = Differ::new(sought.repo, &reader, sought.budget);
        for node in nodes {
            pass.commit(&mut differ, *node);
        }
        pass.walked
    });
    walked.reduce(Walked::default, Walked::absorb)
}

struct Pass<'a> {
    sought: &'a Sought<'a>,
    reader: &'a Reader<'a>,
    only_counts: bool,
    /// Paths that were looked into as texts, and in which nothing is.
    plain_names: HashSet<BString>,
    /// Blobs that were asked for: they are there, or told as missing.
    there: HashSet<Oid>,
    walked: Walked,
}

impl Pass<'_> {
    fn commit(&mut self, differ: &mut Differ<'_>, node: Node) {
        let rows = &self.sought.commits.rows;
        let row = &rows[node as usize];
        let parents: Vec<Oid> = (row.parents.iter())
            .map(|parent| rows[*parent as usize].tree)
            .collect();
        let agents = match self.only_counts || self.sought.reached[node as usize] {
            true => self.sought.cast.of(row),
            false => Vec::new(),
        };
        let told = differ.each(&parents, &row.tree, &mut |differing| {
            self.change(node, &agents, &differing);
        });
        if let Err(error) = told {
            self.walked.unread.push(record::Unread {
                what: format!("the files of commit {}", row.id),
                why: error.to_string(),
                objects: 1,
            });
        }
    }

    fn change(&mut self, node: Node, agents: &[u32], change: &Differing<'_>) {
        let paths = self.sought.paths;
        if !paths.is_empty() && !paths.iter().any(|one| one.matches(&change.path)) {
            return;
        }
        for agent in agents {
            let touched = &mut self.walked.touched;
            if touched.len() < TOUCHED_MAX {
                *touched.entry((*agent, change.path.clone())).or_default() += 1;
            } else if let Some(count) = touched.get_mut(&(*agent, change.path.clone())) {
                *count += 1;
            } else {
                *self.walked.untold.entry(*agent).or_default() += 1;
            }
        }
        if self.only_counts {
            return;
        }
        self.name(node, change);
        self.presence(change);
        self.values(node, change);
        self.hidden(node, change);
    }

    /// What the pass over all objects did not meet it could not look into.
    fn presence(&mut self, change: &Differing<'_>) {
        let Some(entry) = change.new.filter(|entry| is_text(entry.mode)) else {
            return;
        };
        if self.there.insert(entry.id) && !matches!(self.reader.is_stored(&entry.id), Ok(true)) {
            self.walked.missing.insert(entry.id);
        }
    }

    /// The path itself is a text that others read, from the commit that makes it to the one that takes it away.
    fn name(&mut self, node: Node, change: &Differing<'_>) {
        let path = &change.path;
        let was_there = change.old.iter().any(Option::is_some);
        if change.new.is_some() == was_there || self.plain_names.contains(path) {
            return;
        }
        let found = hits_of_name(self.sought, path);
        if found.is_empty() {
            if self.plain_names.len() >= NAMES_MAX {
                self.plain_names.clear();
            }
            self.plain_names.insert(path.clone());
        }
        for (thing, hit) in found {
            if was_there {
                self.walked.gone.push((thing, node));
                continue;
            }
            let one = Fresh::of_name(thing, hit, path, Some(node), None);
            self.sought.keep(&mut self.walked.fresh, one);
        }
    }

    /// Hits of the blob itself.
    fn values(&mut self, node: Node, change: &Differing<'_>) {
        let hits_of = |entry: &Option<Entry>| {
            let entry = entry.as_ref().filter(|entry| is_text(entry.mode))?;
            self.sought.contents.hits.get(&entry.id)
        };
        let new = hits_of(&change.new);
        let old: Vec<_> = change.old.iter().filter_map(hits_of).collect();
        if new.is_none() && old.is_empty() {
            return;
        }
        let things = |hits: &Vec<Found>| -> Vec<Thing> {
            let one = |found: &Found| thing_of(found, self.sought.key, &change.path);
            hits.iter().map(one).collect()
        };
        let before: HashSet<Thing> = old.into_iter().flat_map(things).collect();
        let after = new.map(things).unwrap_or_default();
        if let (Some(hits), Some(entry)) = (new, change.new) {
            self.walked.seen.insert(entry.id);
            let mut told = HashSet::new();
            for (hit, thing) in hits.iter().zip(&after) {
                if before.contains(thing) || !told.insert(thing) {
                    continue;
                }
                let one = Fresh {
                    thing: thing.clone(),
                    hit: hit.hit(),
                    part: part_of(entry.mode),
                    commit: Some(node),
                    path: Some(change.path.clone()),
                    blob: Some(entry.id),
                    tag: None,
                    name: None,
                    at: None,
                };
                self.sought.keep(&mut self.walked.fresh, one);
            }
        }
        let gone = before.into_iter().filter(|thing| !after.contains(thing));
        self.walked.gone.extend(gone.map(|thing| (thing, node)));
    }

    /// Hidden text, for which the path counts.
    fn hidden(&mut self, node: Node, change: &Differing<'_>) {
        let odd = |entry: &&Entry| self.sought.is_odd(entry, &change.path);
        let new = change.new.as_ref().filter(odd);
        let old: Vec<&Entry> = change.old.iter().flatten().filter(odd).collect();
        if new.is_none() && old.is_empty() {
            return;
        }
        let look = |entry: &Entry| hidden(self.sought, self.reader, entry, &change.path);
        let mut found = Vec::new();
        if let Some(new) = new {
            self.walked.seen.insert(new.id);
            match look(new) {
                Ok(here) => found = here,
                Err(why) => {
                    self.walked.unread.push(record::Unread {
                        what: format!("blob {}", new.id),
                        why,
                        objects: 1,
                    });
                    return;
                }
            }
        }
        let mut before: HashSet<Thing> = HashSet::new();
        for old in old {
            let found = look(old).unwrap_or_default();
            before.extend(found.into_iter().map(|(thing, ..)| thing));
        }
        let mut after: HashSet<Thing> = HashSet::new();
        for (thing, hit, at) in found {
            let is_first = after.insert(thing.clone());
            if let Some(new) = new.filter(|_| is_first && !before.contains(&thing)) {
                let one = Fresh {
                    thing,
                    hit,
                    part: part_of(new.mode),
                    commit: Some(node),
                    path: Some(change.path.clone()),
                    blob: Some(new.id),
                    tag: None,
                    name: None,
                    at: Some(at),
                };
                self.sought.keep(&mut self.walked.fresh, one);
            }
        }
        let gone = before.into_iter().filter(|thing| !after.contains(thing));
        self.walked.gone.extend(gone.map(|thing| (thing, node)));
    }
}

/// What the name of a path holds.
pub(super) fn hits_of_name(sought: &Sought<'_>, path: &BString) -> Vec<(Thing, Hit)> {
    let text = Text {
        part: Part::Path,
        path: None,
        bytes: path,
    };
    let hits = commits::hits(&text, sought.key).unwrap_or_default();
    let one = |hit: Hit| {
        let print = print(&hit, path, sought.key);
        (Thing::new(&hit, print, Some(path)), hit)
    };
    hits.into_iter().map(one).collect()
}

pub(super) fn is_text(mode: Mode) -> bool {
    !matches!(mode.acts_as(), Mode::Tree | Mode::Gitlink)
}

pub(super) fn part_of(mode: Mode) -> Part {
    match mode.acts_as() {
        Mode::Symlink => Part::SymlinkTarget,
        _ => Part::Content,
    }
}

pub(super) fn thing_of(found: &Found, key: &FingerprintKey, path: &[u8]) -> Thing {
    let hit = found.as_shared();
    let print = match &hit.evidence {
        Some(evidence) => evidence.fingerprint,
        // The text is not at hand, and what stands there says less than why it was not looked into.
        None => {
            let why: Cow<'_, str> = hit.detail.as_deref().unwrap_or_default().into();
            key.fingerprint(&hit.rule, why.as_bytes())
        }
    };
    Thing::new(hit, print, Some(path))
}

/// What the check of hidden text finds in a blob at a path.
pub(super) type Hidden = Vec<(Thing, Hit, (u64, u64))>;

pub(super) fn hidden(
    sought: &Sought<'_>,
    reader: &Reader<'_>,
    entry: &Entry,
    path: &BString,
) -> Result<Hidden, String> {
    let mut buffer = Vec::new();
    let bytes = read(reader, &entry.id, &mut buffer, sought.budget)?;
    let text = Text {
        part: part_of(entry.mode),
        path: Some(path),
        bytes,
    };
    let hits = commits::hits_of(&[check::HIDDEN_TEXT], &text, sought.key)?;
    let one = |hit: Hit| {
        let at = line_and_column(bytes, hit.bytes.start);
        let print = print(&hit, bytes, sought.key);
        (Thing::new(&hit, print, Some(path)), hit, at)
    };
    Ok(hits.into_iter().map(one).collect())
}

/// Reads a blob.
pub(super) fn read<'b>(
    reader: &Reader<'_>,
    id: &Oid,
    buffer: &'b mut Vec<u8>,
    budget: &Budget,
) -> Result<&'b [u8], String> {
    match reader.find(id, buffer, budget) {
        Ok(Some(object)) => Ok(object.data),
        Ok(None) => Err("it is missing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
