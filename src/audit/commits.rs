//! All commits of a repository in memory: who, when, what they claim, how they hang together, which refs reach them.
//!
//! About 150 bytes a commit. Commits stand with parents before children, so that every question about reach is one loop.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bstr::BString;

use super::record;
use crate::budget::{Bounds, Budget};
use crate::check::{self, CHECKS, Check, Hit, Text};
use crate::finding::Part;
use crate::identity::claims::{self, Agent, Source};
use crate::push::{HashKind, Oid};
use crate::redact::FingerprintKey;
use crate::repo::{Signature, parse};

/// A commit, by its place in [`Commits::rows`].
pub(super) type Node = u32;

/// One commit.
pub(super) struct Row {
    pub(super) id: Oid,
    pub(super) tree: Oid,
    /// Parents that are there, in order.
    pub(super) parents: Box<[Node]>,
    /// It names parents that are not there.
    pub(super) lacks_parents: bool,
    /// By the committer's clock, seconds since 1970.
    pub(super) time: i64,
    /// Author and committer, as places in [`Commits::names`].
    pub(super) author: u32,
    pub(super) committer: u32,
    pub(super) signed: bool,
    pub(super) claims: Box<[Claim]>,
}

/// An agent that a commit names, with a bit for each source.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) agent: &'static Agent,
    sources: u8,
}

impl Claim {
    pub(super) fn sources(self) -> impl Iterator<Item = Source> {
        SOURCES
            .into_iter()
            .filter(move |source| self.sources >> *source as u8 & 1 == 1)
    }

    pub(super) fn bits(&self) -> u8 {
        self.sources
    }

    pub(super) fn restored(agent: &'static Agent, sources: u8) -> Claim {
        Claim { agent, sources }
    }

    fn list(claims: &[claims::Claim]) -> Box<[Claim]> {
        let mut list: Vec<Claim> = Vec::new();
        for claim in claims {
            let bit = 1 << claim.source as u8;
            match list.iter_mut().find(|one| one.agent.id == claim.agent.id) {
                Some(one) => one.sources |= bit,
                None => list.push(Claim {
                    agent: claim.agent,
                    sources: bit,
                }),
            }
        }
        list.into()
    }
}

const SOURCES: [Source; 5] = [
    Source::Author,
    Source::Committer,
    Source::Trailer,
    Source::Line,
    Source::SigningKey,
];

/// An annotated tag.
pub(super) struct TagRow {
    pub(super) id: Oid,
    pub(super) target: Oid,
    pub(super) time: i64,
    pub(super) tagger: u32,
    pub(super) claims: Box<[Claim]>,
}

/// A hit in the text of a commit or tag.
pub(super) struct TextHit {
    pub(super) object: Oid,
    pub(super) part: Part,
    pub(super) hit: Hit,
    /// For what has no value of its own: what stands there.
    pub(super) print: crate::redact::Fingerprint,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl TextHit {
    fn order(&self) -> (Oid, Part, usize, &str, &crate::redact::Fingerprint) {
        let start = self.hit.bytes.start;
        (self.object, self.part, start, &self.hit.rule, &self.print)
    }
}

/// What the content checks find in a text that is wholly looked into. An error: one sentence why they could not.
pub(super) fn hits(text: &Text<'_>, key: &FingerprintKey) -> Result<Vec<Hit>, String> {
    hits_of(CHECKS, text, key)
}

/// The same of some checks.
pub(super) fn hits_of(
    checks: &[&dyn Check],
    text: &Text<'_>,
    key: &FingerprintKey,
) -> Result<Vec<Hit>, String> {
    let budget = Budget::new(bounds());
    let mut hits = Vec::new();
    for check in checks.iter().filter(|check| check.reads_content()) {
        let run = || check.content(text, key, &budget, &mut hits);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(exhausted)) => return Err(exhausted.to_string()),
            Err(_) => return Err(format!("the check {} failed", check.name())),
        }
    }
    Ok(hits)
}

/// Bounds of one object or commit: nobody waits for an answer in milliseconds, but none may take for ever.
pub(super) fn bounds() -> Bounds {
    Bounds {
        time: std::time::Duration::from_secs(120),
        refs: u64::MAX,
        commits: u64::MAX,
        changes: 1_000_000,
        bytes: u64::MAX,
        blob_bytes: 512 << 20,
        object_bytes: 256 << 20,
        ..Bounds::default()
    }
}

/// Line and column of a place in a text, from 1.
pub(super) fn line_and_column(bytes: &[u8], at: usize) -> (u64, u64) {
    let before = &bytes[..at.min(bytes.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    (line as u64, (before.len() - start + 1) as u64)
}

/// Takes commits and tags as the pass over all objects meets them. One a thread.
pub(super) struct Collector<'a> {
    hash: HashKind,
    key: &'a FingerprintKey,
    commits: Vec<(Row, Box<[Oid]>)>,
    tags: Vec<TagRow>,
    names: HashMap<BString, u32>,
    hits: Vec<TextHit>,
    unread: Vec<record::Unread>,
    failed: Vec<Oid>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(hash: HashKind, key: &'a FingerprintKey) -> Self {
        Collector {
            hash,
            key,
            commits: Vec::new(),
            tags: Vec::new(),
            names: HashMap::new(),
            hits: Vec::new(),
            unread: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Takes a commit, raw.
    pub(super) fn commit(&mut self, id: &Oid, data: &[u8]) {
        let commit = match parse::commit(*id, data, self.hash) {
            Ok(commit) => commit,
            Err(error) => return self.cannot(id, error.to_string()),
        };
        for (part, text) in check::texts_of_commit(&commit) {
            self.text(id, part, &text);
        }
        let signed = (commit.headers.iter())
            .any(|(name, _)| matches!(name.as_slice(), b"gpgsig" | b"gpgsig-sha256"));
        let row = Row {
            id: *id,
            tree: commit.tree,
            parents: Box::default(),
            lacks_parents: false,
            time: commit.committer.time,
            author: self.name(&commit.author),
            committer: self.name(&commit.committer),
            signed,
            claims: Claim::list(&claims::of_commit(&commit)),
        };
        self.commits.push((row, commit.parents.into()));
    }

    /// Takes an annotated tag, raw.
    pub(super) fn tag(&mut self, id: &Oid, data: &[u8]) {
        let tag = match parse::tag(*id, data, self.hash) {
            Ok(tag) => tag,
            Err(error) => return self.cannot(id, error.to_string()),
        };
        for (part, text) in check::texts_of_tag(&tag) {
            self.text(id, part, &text);
        }
        let nobody = Signature::default();
        let tagger = tag.tagger.as_ref().unwrap_or(&nobody);
        let row = TagRow {
            id: *id,
            target: tag.target,
            time: tagger.time,
            tagger: self.name(tagger),
            claims: Claim::list(&claims::of_tag(&tag)),
        };
        self.tags.push(row);
    }

    fn cannot(&mut self, id: &Oid, why: String) {
        self.failed.push(*id);
        self.unread.push(record::Unread {
            what: format!("object {id}"),
            why,
            objects: 1,
        });
    }

    fn text(&mut self, id: &Oid, part: Part, bytes: &[u8]) {
        let text = Text {
            part,
            path: None,
            bytes,
        };
        match hits(&text, self.key) {
            Ok(hits) => self.hits.extend(hits.into_iter().map(|hit| {
                let (line, column) = line_and_column(bytes, hit.bytes.start);
                TextHit {
                    object: *id,
                    part,
                    print: print(&hit, bytes, self.key),
                    hit,
                    line,
                    column,
                }
            })),
            Err(why) => self.cannot(id, why),
        }
    }

    fn name(&mut self, signature: &Signature) -> u32 {
        let mut name = signature.name.clone();
        name.extend_from_slice(b" <");
        name.extend_from_slice(&signature.email);
        name.push(b'>');
        self.named(name)
    }

    /// The place of a name, `name <mail>`.
    pub(super) fn named(&mut self, name: BString) -> u32 {
        let next = self.names.len() as u32;
        *self.names.entry(name).or_insert(next)
    }

    /// Takes a commit that an earlier audit read.
    pub(super) fn restore_commit(&mut self, row: Row, parents: Box<[Oid]>) {
        self.commits.push((row, parents));
    }

    /// Takes a tag that an earlier audit read.
    pub(super) fn restore_tag(&mut self, tag: TagRow) {
        self.tags.push(tag);
    }

    /// Takes a hit that an earlier audit found.
    pub(super) fn restore_text(&mut self, hit: TextHit) {
        self.hits.push(hit);
    }
}

/// What names the thing that was found: the value, or else the bytes that hold it.
pub(super) fn print(hit: &Hit, bytes: &[u8], key: &FingerprintKey) -> crate::redact::Fingerprint {
    match &hit.evidence {
        Some(evidence) => evidence.fingerprint,
        None => {
            let end = hit.bytes.end.min(bytes.len());
            key.fingerprint(&hit.rule, &bytes[hit.bytes.start.min(end)..end])
        }
    }
}

/// All commits and tags of an object store.
#[derive(Default)]
pub(super) struct Commits {
    /// Parents before children; of several that may come next, the earlier first.
    pub(super) rows: Vec<Row>,
    pub(super) nodes: HashMap<Oid, Node>,
    pub(super) tags: HashMap<Oid, TagRow>,
    /// `name <mail>`, as commits have it.
    pub(super) names: Vec<BString>,
    pub(super) hits: Vec<TextHit>,
    pub(super) unread: Vec<record::Unread>,
    /// Objects that could not be looked into as a whole.
    pub(super) failed: HashSet<Oid>,
}

impl Commits {
    /// Puts together what the collectors took. `shallow`: commits whose parents are not wanted here.
    pub(super) fn new(collectors: Vec<Collector<'_>>, shallow: &HashSet<Oid>) -> Commits {
        let mut all = Commits::default();
        let mut rows: Vec<(Row, Box<[Oid]>)> = Vec::new();
        let mut names: HashMap<BString, u32> = HashMap::new();
        let mut known: HashMap<Oid, Node> = HashMap::new();
        let mut tags_known: HashSet<Oid> = HashSet::new();
        for collector in collectors {
            let mut map = vec![0; collector.names.len()];
            for (name, index) in collector.names {
                let next = names.len() as u32;
                map[index as usize] = *names.entry(name).or_insert(next);
            }
            // An object may stand in several packs: its texts were looked into each time, and count once.
            let mut fresh = HashSet::new();
            for (mut row, parents) in collector.commits {
                if known.contains_key(&row.id) {
                    continue;
                }
                fresh.insert(row.id);
                known.insert(row.id, rows.len() as Node);
                row.author = map[row.author as usize];
                row.committer = map[row.committer as usize];
                rows.push((row, parents));
            }
            for mut tag in collector.tags {
                tag.tagger = map[tag.tagger as usize];
                if tags_known.insert(tag.id) {
                    fresh.insert(tag.id);
                    all.tags.insert(tag.id, tag);
                }
            }
            let hits = collector.hits.into_iter();
            all.hits
                .extend(hits.filter(|hit| fresh.contains(&hit.object)));
            all.unread.extend(collector.unread);
            all.failed.extend(collector.failed);
        }
        all.names = vec![BString::default(); names.len()];
        for (name, index) in names {
            all.names[index as usize] = name;
        }
        all.hits.sort_by(|a, b| a.order().cmp(&b.order()));
        all.hits
            .dedup_by(|next, first| next.order() == first.order());
        all.order(rows, &known, shallow);
        all
    }

    fn order(
        &mut self,
        rows: Vec<(Row, Box<[Oid]>)>,
        known: &HashMap<Oid, Node>,
        shallow: &HashSet<Oid>,
    ) {
        let count = rows.len();
        let mut waits = vec![0_u32; count];
        let mut children: Vec<(Node, Node)> = Vec::with_capacity(count);
        let mut missing = 0_u64;
        for (at, (row, parents)) in rows.iter().enumerate() {
            for parent in parents {
                match known.get(parent) {
                    Some(parent) => {
                        waits[at] += 1;
                        children.push((*parent, at as Node));
                    }
                    None if shallow.contains(&row.id) => {}
                    None => {
                        missing += 1;
                        if missing <= 100 {
                            self.unread.push(record::Unread {
                                what: format!("commit {parent}"),
                                why: format!("it is a parent of {} and is missing", row.id),
                                objects: 1,
                            });
                        }
                    }
                }
            }
        }
        children.sort_unstable();
        let first = |parent: Node| children.partition_point(|(one, _)| *one < parent);
        let key = |at: usize| std::cmp::Reverse((rows[at].0.time, rows[at].0.id, at));
        let mut ready: BinaryHeap<_> = (0..count).filter(|at| waits[*at] == 0).map(key).collect();
        let mut order: Vec<usize> = Vec::with_capacity(count);
        while let Some(std::cmp::Reverse((_, _, at))) = ready.pop() {
            order.push(at);
            for (parent, child) in &children[first(at as Node)..] {
                if *parent as usize != at {
                    break;
                }
                let child = *child as usize;
                waits[child] -= 1;
                if waits[child] == 0 {
                    ready.push(key(child));
                }
            }
        }
        if order.len() < count {
            // Ids that are true hashes cannot go round in a circle.
            self.unread.push(record::Unread {
                what: "commits".into(),
                why: "some are their own ancestors: an index of a pack lies".into(),
                objects: (count - order.len()) as u64,
            });
        }
        let mut place = vec![Node::MAX; count];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new as Node;
        }
        let mut slots: Vec<Option<(Row, Box<[Oid]>)>> = rows.into_iter().map(Some).collect();
        for old in order {
            let Some((mut row, parents)) = slots[old].take() else {
                continue;
            };
            row.lacks_parents = !parents.iter().all(|id| known.contains_key(id));
            row.parents = (parents.iter())
                .filter_map(|id| known.get(id))
                .map(|old| place[*old as usize])
                .collect();
            self.nodes.insert(row.id, self.rows.len() as Node);
            self.rows.push(row);
        }
    }

    /// For up to 64 sets of commits, given as a bit for each commit that is in one: which of them each commit reaches.
    pub(super) fn reach(&self, of: &dyn Fn(Node) -> u64) -> Vec<u64> {
        let mut reached: Vec<u64> = Vec::with_capacity(self.rows.len());
        for (at, row) in self.rows.iter().enumerate() {
            let parents = row.parents.iter();
            let below = parents.fold(0, |bits, parent| bits | reached[*parent as usize]);
            reached.push(below | of(at as Node));
        }
        reached
    }

    /// The commits that some of `tips` reach.
    pub(super) fn reachable(&self, tips: &[Node]) -> Vec<bool> {
        let mut reached = vec![false; self.rows.len()];
        for tip in tips {
            reached[*tip as usize] = true;
        }
        for at in (0..self.rows.len()).rev() {
            if reached[at] {
                for parent in &self.rows[at].parents {
                    reached[*parent as usize] = true;
                }
            }
        }
        reached
    }
}
