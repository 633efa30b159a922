//! Each thing that was found once, with every place, and who brought it where.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use bstr::BString;

use super::agents::Cast;
use super::commits::{Commits, Node, line_and_column};
use super::record::{self, PLACES_MAX, REFS_MAX};
use super::shown;
use super::shows::AtTips;
use super::tips::{LeadsTo, Tip};
use super::walk::{Fresh, Sought, Thing, Walked, read};
use crate::check::Hit;
use crate::finding::{Confidence, Level, Part};
use crate::ledger::{confidence_word, part_word};
use crate::order::Order as _;
use crate::push::Oid;
use crate::repo::{Entry, Mode, Reader};

/// What is told of commits.
pub(super) struct Teller<'a> {
    commits: &'a Commits,
    cast: &'a Cast,
    /// Names that were made fit to be shown: few people make many commits.
    names: RefCell<HashMap<u32, String>>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(commits: &'a Commits, cast: &'a Cast) -> Teller<'a> {
        Teller {
            commits,
            cast,
            names: RefCell::default(),
        }
    }

    fn name(&self, index: u32) -> String {
        let mut names = self.names.borrow_mut();
        let name = || shown(&self.commits.names[index as usize]);
        names.entry(index).or_insert_with(name).clone()
    }

    pub(super) fn brief(&self, node: Node) -> record::Commit {
        let row = &self.commits.rows[node as usize];
        record::Commit {
            commit: row.id.to_string(),
            time: super::time(row.time),
            author: self.name(row.author),
            agents: self.cast.ids(row),
        }
    }

    fn brief_of_tag(&self, id: &Oid) -> Option<record::Commit> {
        let tag = self.commits.tags.get(id)?;
        Some(record::Commit {
            commit: id.to_string(),
            time: super::time(tag.time),
            author: self.name(tag.tagger),
            agents: self.cast.ids_of_tag(tag),
        })
    }
}

/// One thing with its places.
#[derive(Default)]
struct Group {
    places: Vec<Fresh>,
    /// The last commit that takes it away, one that a ref reaches before others.
    gone: Option<(bool, Node)>,
}

/// What a finding weighs here: none, it is not told.
pub(super) type Weigh<'a> = &'a dyn Fn(&Hit, Option<&[u8]>) -> Option<Level>;

/// What findings are told from.
pub(super) struct Findings<'a> {
    pub(super) sought: &'a Sought<'a>,
    pub(super) teller: &'a Teller<'a>,
    pub(super) tips: &'a [Tip],
    /// The commits that the tips reach.
    pub(super) reached: &'a [bool],
    pub(super) weigh: Weigh<'a>,
}

impl Findings<'_> {
    /// Puts together what the walk, the tips, the texts of commits and the blobs that nothing has gave.
    pub(super) fn of(
        &self,
        walked: Walked,
        at_tips: AtTips,
        others: Vec<Fresh>,
    ) -> Vec<record::Finding> {
        let mut groups: BTreeMap<Thing, Group> = BTreeMap::new();
        let fresh = walked.fresh.into_iter().chain(at_tips.fresh);
        for one in fresh.chain(others) {
            let group = groups.entry(one.thing.clone()).or_default();
            group.places.push(one);
        }
        for (thing, node) in walked.gone {
            if let Some(group) = groups.get_mut(&thing) {
                let reached = self.reached[node as usize];
                group.gone = group.gone.max(Some((reached, node)));
            }
        }
        let reader = self.sought.repo.reader();
        let now = Now::new(self, &at_tips.blobs, at_tips.names);
        let mut told: Vec<(record::Finding, Vec<Node>)> = Vec::new();
        for (thing, mut group) in groups {
            // The order of the history; what no commit brings comes last.
            group.places.order_by(|a, b| {
                let order = |one: &Fresh| (one.commit.unwrap_or(Node::MAX), one.part);
                (order(a), &a.path, a.tag).cmp(&(order(b), &b.path, b.tag))
            });
            group.places.dedup_by(|next, first| {
                (
                    next.commit,
                    next.part,
                    &next.path,
                    next.blob,
                    next.tag,
                    &next.name,
                ) == (
                    first.commit,
                    first.part,
                    &first.path,
                    first.blob,
                    first.tag,
                    &first.name,
                )
            });
            let Some(finding) = self.one(&thing, &group, &now, &reader) else {
                continue;
            };
            let nodes = group.places.iter().filter_map(|one| one.commit).collect();
            told.push((finding, nodes));
        }
        name_refs(self.teller.commits, self.tips, &mut told);
        told.into_iter().map(|(finding, _)| finding).collect()
    }

    fn one(
        &self,
        thing: &Thing,
        group: &Group,
        now: &Now,
        reader: &Reader<'_>,
    ) -> Option<record::Finding> {
        let Findings { sought, teller, .. } = self;
        let mut level: Option<Level> = None;
        let mut confidence: Option<Confidence> = None;
        for place in &group.places {
            let path = place.path.as_ref().map(|path| path.as_slice());
            level = level.max((self.weigh)(&place.hit, path));
            confidence = confidence.max(place.hit.confidence);
        }
        let level = level?;
        let first = group.places.first()?;
        let is_at_tip = |place: &Fresh| match (place.blob, place.commit, place.tag, &place.name) {
            (Some(_), ..) => now.has(self, thing, place, reader),
            (None, ..) if place.part == Part::Path => {
                let is_there = |path| now.names.contains(path);
                place.name.is_some() || place.path.as_ref().is_some_and(is_there)
            }
            // The name of a ref; a message of a commit or tag that a ref names.
            (None, None, None, Some(_)) => true,
            (None, None, Some(tag), _) => now.tags.contains(&tag),
            (None, Some(node), ..) => now.commits.contains(&node),
            (None, None, None, None) => false,
        };
        let mut places = Vec::new();
        for place in group.places.iter().take(PLACES_MAX) {
            let at = place.at.or_else(|| {
                let mut buffer = Vec::new();
                let bytes = read(reader, &place.blob?, &mut buffer, sought.budget).ok()?;
                Some(line_and_column(bytes, place.hit.bytes.start))
            });
            places.push(record::Place {
                part: part_word(place.part).to_owned(),
                path: place.path.as_ref().map(|path| shown(path)),
                line: at.map(|(line, _)| line),
                column: at.map(|(_, column)| column),
                commit: match (place.commit, place.tag) {
                    (Some(node), _) => Some(teller.brief(node)),
                    (None, Some(tag)) => teller.brief_of_tag(&tag),
                    (None, None) => None,
                },
                blob: place.blob.map(|blob| blob.to_string()),
                name: place.name.as_ref().map(|name| shown(name)),
                at_tip: is_at_tip(place),
                detail: place.hit.detail.clone(),
            });
        }
        let at_tip = group.places.iter().any(is_at_tip);
        let reachable = |place: &Fresh| match (place.commit, &place.name, place.tag) {
            (Some(node), ..) => self.reached[node as usize],
            (None, Some(_), _) => true,
            (None, None, Some(tag)) => now.tags.contains(&tag),
            (None, None, None) => false,
        };
        let evidence = group
            .places
            .iter()
            .find_map(|place| place.hit.evidence.as_ref());
        let with_commit: Vec<&record::Commit> = places
            .iter()
            .filter_map(|place| place.commit.as_ref())
            .collect();
        let last = (group.places.iter().rev())
            .find_map(|place| place.commit)
            .map(|node| teller.brief(node))
            .or_else(|| with_commit.last().map(|commit| (*commit).clone()));
        let head = places.first()?.clone();
        Some(record::Finding {
            source: "content".into(),
            rule: thing.rule.to_string(),
            title: first.hit.title.to_string(),
            level: level.as_str().into(),
            confidence: confidence.map(|confidence| confidence_word(confidence).to_owned()),
            fingerprint: Some(thing.print.to_string()),
            bytes: evidence.map(|evidence| evidence.bytes as u64),
            prefix: evidence.and_then(|evidence| evidence.prefix.clone()),
            detail: first.hit.detail.clone(),
            path: head.path.clone(),
            line: head.line,
            column: head.column,
            part: head.part.clone(),
            first: with_commit.first().map(|commit| (*commit).clone()),
            last,
            removed: (group.gone.filter(|_| !at_tip)).map(|(_, node)| teller.brief(node)),
            at_tip,
            unreachable: !group.places.iter().any(reachable),
            refs: self.refs_by_name(group),
            place_count: group.places.len() as u64,
            places,
            ..record::Finding::default()
        })
    }
}

impl Findings<'_> {
    /// The refs that show a thing without a commit: by their names, or through a tag.
    fn refs_by_name(&self, group: &Group) -> Vec<String> {
        let names = group.places.iter().filter_map(|place| place.name.as_ref());
        let mut refs: Vec<String> = names.map(|name| shown(name)).collect();
        let tags: HashSet<Oid> = group.places.iter().filter_map(|place| place.tag).collect();
        let through_one = |tip: &&Tip| tip.tags.iter().any(|tag| tags.contains(tag));
        refs.extend((self.tips.iter().filter(through_one)).map(|tip| tip.shown().to_owned()));
        refs
    }
}

/// Which things the tips show.
struct Now {
    /// Commits and annotated tags that refs name.
    commits: HashSet<Node>,
    tags: HashSet<Oid>,
    /// By thing, the paths where it stands at a tip.
    paths: HashMap<Thing, HashSet<Vec<u8>>>,
    /// Blobs in which hidden text may stand, by path.
    odd: HashMap<BString, Vec<Oid>>,
    /// The hidden text in them, as far as it was asked for.
    hidden: RefCell<HashMap<(BString, Part), HashSet<Thing>>>,
    /// Paths.
    names: HashSet<BString>,
}

impl Now {
    fn new(of: &Findings<'_>, blobs: &HashSet<(Oid, BString)>, names: HashSet<BString>) -> Now {
        let sought = of.sought;
        let commits = of.tips.iter().filter_map(|tip| match tip.leads_to {
            LeadsTo::Commit(node) => Some(node),
            _ => None,
        });

        let mut shown = Now {
            commits: commits.collect(),
            tags: of
                .tips
                .iter()
                .flat_map(|tip| tip.tags.iter().copied())
                .collect(),
            paths: HashMap::new(),
            odd: HashMap::new(),
            hidden: RefCell::default(),
            names,
        };
        for (blob, path) in blobs {
            for hit in sought.contents.hits.get(blob).into_iter().flatten() {
                let thing = super::walk::thing_of(hit, sought.key, path);
                shown.paths.entry(thing).or_default().insert(path.to_vec());
            }
            shown.odd.entry(path.clone()).or_default().push(*blob);
        }
        shown
    }

    fn has(&self, of: &Findings<'_>, thing: &Thing, place: &Fresh, reader: &Reader<'_>) -> bool {
        let path = place.path.clone().unwrap_or_default();
        let here = self.paths.get(thing);
        if here.is_some_and(|paths| paths.contains(path.as_slice())) {
            return true;
        }
        if !thing.rule.starts_with("unicode/") {
            return false;
        }
        // The file may have changed since, and what is hidden in it still be there.
        let mut hidden = self.hidden.borrow_mut();
        let key = (path, place.part);
        if let Some(things) = hidden.get(&key) {
            return things.contains(thing);
        }
        let mut things = HashSet::new();
        for blob in self.odd.get(&key.0).into_iter().flatten() {
            let mode = match place.part {
                Part::SymlinkTarget => Mode::Symlink,
                _ => Mode::Blob,
            };
            let entry = Entry { mode, id: *blob };
            let found = super::walk::hidden(of.sought, reader, &entry, &key.0);
            things.extend(found.into_iter().flatten().map(|(thing, ..)| thing));
        }
        let has = things.contains(thing);
        hidden.insert(key, things);
        has
    }
}

/// Names the refs that reach each finding, 64 findings a round.
pub(super) fn name_refs(
    commits: &Commits,
    tips: &[Tip],
    told: &mut [(record::Finding, Vec<Node>)],
) {
    for round in told.chunks_mut(64) {
        let mut bits: HashMap<Node, u64> = HashMap::new();
        for (place, (_, nodes)) in round.iter().enumerate() {
            for node in nodes {
                *bits.entry(*node).or_default() |= 1 << place;
            }
        }
        let reach = commits.reach(&|node| bits.get(&node).copied().unwrap_or(0));
        for (place, (finding, _)) in round.iter_mut().enumerate() {
            let (refs, count) = refs_of(tips, &reach, place);
            finding.refs.extend(refs);
            finding.refs.order();
            finding.refs.dedup();
            finding.ref_count = count.max(finding.refs.len() as u64);
            finding.refs.truncate(REFS_MAX);
        }
    }
}

/// The refs whose commits reach the set with this place.
pub(super) fn refs_of(tips: &[Tip], reach: &[u64], place: usize) -> (Vec<String>, u64) {
    let (mut refs, mut count) = (Vec::new(), 0);
    for tip in tips {
        if let LeadsTo::Commit(node) = tip.leads_to
            && reach[node as usize] >> place & 1 == 1
        {
            count += 1;
            if refs.len() < REFS_MAX {
                refs.push(tip.shown().to_owned());
            }
        }
    }
    (refs, count)
}
