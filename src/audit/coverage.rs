//! A repository against the ledger: what moved past the gate, and what was let pass and never came.
//!
//! An accept is no proof that a ref moved: git may decline afterwards, or another hook. So a ref has a value that is known,
//! because a later push saw it there or post-receive told it, and values that were let pass and may have come.
//! Whatever else it shows is a move that no decision covers. The same is asked of commits: those that no passed push
//! brought, of those that the refs reach.
//!
//! What stood there before the ledger began is no finding. The ledger does not tell it apart from what was made past the
//! gate and never touched by a push, so the committer's clock decides: a claim, and said to be one.

use std::collections::{HashMap, HashSet};

mod history;
mod refs;
mod unmentioned;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use self::history::History;
use self::refs::{
    Key, ON_ITS_WAY, Past, Pending, Value, is_of_host, key_of, key_of_name, name_of, value,
};
use super::commits::Node;
use super::repository::{Question, Subject};
use super::{record, shown, time};
use crate::ledger::{Book, Decided, Event, Moved, Record};
use crate::order::Order as _;
use crate::push::{Oid, RefName};
use crate::redact::unquoted;
use crate::repo::Repo;

pub(super) use self::history::Read;

/// How much younger than the ledger a ref must look, in milliseconds: clocks of clients are not exact.
const YOUNGER_BY: i64 = 2 * 60 * 1_000;
/// Values of one ref that were let pass and are waited for; beyond it the oldest is forgotten.
const PENDING_MAX: usize = 1_000;
/// Records of each kind that are listed; the counts are of all.
const LISTED_MAX: u64 = 1_000;
/// A push to it makes a proposal, never a ref of this name.
const PROPOSALS: &str = "refs/for/";

/// Compares with the ledger, where there is one.
pub(super) fn of(
    subject: &Subject<'_>,
    question: &Question<'_>,
    repo: &Repo,
    read: &Read<'_>,
    in_time: &dyn Fn(i64) -> bool,
    about: &mut record::Repository,
) -> Vec<record::Uncovered> {
    let read_at = jiff::Timestamp::now().as_millisecond();
    let (refs, _told_already) = repo.all_refs();
    let all: Vec<(Vec<u8>, Oid)> = (refs.into_iter())
        .map(|(name, id)| (name.as_bytes().to_vec(), id))
        .collect();
    let target = |name: &[u8]| {
        let found = RefName::new(name).ok().map(|name| repo.resolve(&name));
        let found = found.and_then(Result::ok).filter(|found| found.symbolic);
        found.map(|found| found.target.as_bytes().to_vec())
    };
    let refs = Refs {
        all: &all,
        target: &target,
        read_at,
    };
    let told = match &subject.ledger {
        None => return Vec::new(),
        Some(Err(why)) => Err(why.clone()),
        Some(Ok(ledger)) if !ledger.is_own && subject.names.is_empty() => {
            let path = named(ledger.book.path());
            Err(format!(
                "{path}: nothing tells which entries are about this repository: it has no name"
            ))
        }
        Some(Ok(ledger)) => {
            let names = (!ledger.is_own).then_some(subject.names);
            compare(subject.name, names, &refs, read, ledger.book)
        }
    };
    let compared = match told {
        Ok(compared) => compared,
        Err(why) => {
            about.unread.push(record::Unread {
                what: "the ledger".into(),
                why,
                objects: 0,
            });
            return Vec::new();
        }
    };
    about.ledger = Some(compared.ledger);
    let listed = compared.uncovered.len() as u64;
    let mut uncovered = compared.uncovered;
    uncovered.retain(|one| {
        // A name that had to be cut is not one that a pattern can be held against: it stays.
        let name = one.name.as_deref().and_then(unquoted);
        let commit = one.commit.as_ref().map(|commit| &commit.time);
        let time = one.time.as_ref().or(commit);
        let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let is_of_ref = name.is_none_or(|name| {
            let mut patterns = question.refs.iter();
            question.refs.is_empty() || patterns.any(|one| one.matches(&name))
        });
        is_of_ref && time.is_none_or(|time| in_time(time.as_second()))
    });
    about.uncovered = compared.count - (listed - uncovered.len() as u64);
    uncovered
}

/// What is compared.
struct Refs<'a> {
    /// Every ref below `refs/` and its value, symbolic ones followed. All of them: one that is left out counts as deleted.
    all: &'a [(Vec<u8>, Oid)],
    /// Which ref a symbolic one leads to; none: it is no symbolic one.
    target: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
    /// When they were read, milliseconds since 1970, by the clock of the ledger, which is read after it.
    read_at: i64,
}

/// What came of it.
#[derive(Debug, Default)]
struct Compared {
    ledger: record::Ledger,
    /// The first thousand of each kind.
    uncovered: Vec<record::Uncovered>,
    /// All of them.
    count: u64,
}

/// Compares. `names`: of the repository, as the ledger has them; `None`: the ledger is of this repository alone.
fn compare(
    repository: &str,
    names: Option<&[String]>,
    refs: &Refs<'_>,
    history: &dyn History,
    book: &Book,
) -> Result<Compared, String> {
    let mut comparison = Comparison::new(repository, history);
    comparison.ledger_itself(book);
    let told = book.about(names, &mut |record| comparison.take(&record));
    told.map_err(|error| format!("the ledger cannot be read: {error}"))?;
    comparison.end(refs);
    Ok(comparison.out)
}

struct Comparison<'a> {
    repository: &'a str,
    history: &'a dyn History,
    out: Compared,
    listed: HashMap<&'static str, u64>,
    refs: HashMap<Key, Past>,
    /// Symbolic refs that were pushed to, and what they led to.
    aliases: HashMap<Key, Key>,
    /// Values that were let pass as proposals: a host gives them refs of its own.
    proposals: HashSet<Oid>,
    /// Commits that a passed push brought, or that stood there before.
    covered: Vec<bool>,
    /// Those of them that a push brought.
    brought: Vec<bool>,
    /// The moment of the first entry about this repository.
    began: Option<i64>,
}

impl<'a> Comparison<'a> {
    fn new(repository: &'a str, history: &'a dyn History) -> Self {
        Comparison {
            repository,
            history,
            out: Compared::default(),
            listed: HashMap::new(),
            refs: HashMap::new(),
            aliases: HashMap::new(),
            proposals: HashSet::new(),
            covered: vec![false; history.count()],
            brought: vec![false; history.count()],
            began: None,
        }
    }

    fn tell(&mut self, kind: &'static str, why: String, more: record::Uncovered) {
        self.out.count += 1;
        let listed = self.listed.entry(kind).or_default();
        *listed += 1;
        if *listed <= LISTED_MAX {
            self.out.uncovered.push(record::Uncovered {
                repository: self.repository.to_owned(),
                kind: kind.to_owned(),
                why,
                ..more
            });
        }
    }

    fn note(&mut self, note: String) {
        self.out.ledger.notes.push(note);
    }

    fn ledger_itself(&mut self, book: &Book) {
        let (flaws, count) = book.flaws();
        self.out.ledger.path = named(book.path());
        self.out.ledger.entries = book.entries();
        self.out.ledger.intact = count == 0;
        for flaw in flaws {
            let path = named(&flaw.path);
            let why = format!("{path}, line {}: {}", flaw.line, flaw.why);
            self.out.ledger.why.get_or_insert_with(|| why.clone());
            self.tell("chain", why, record::Uncovered::default());
        }
        let rest = count - flaws.len() as u64;
        if rest > 0 {
            self.note(format!("the chain is broken at {rest} more places"));
            self.out.count += rest;
        }
        if count > 0 {
            self.note("what follows a broken place of the ledger is compared all the same; a decision that was cut out shows as a move without one".into());
        }
        for gap in book.gaps() {
            self.note(gap.to_string());
        }
    }

    fn take(&mut self, record: &Record) {
        let Ok(moment) = record.entry.time.parse::<jiff::Timestamp>() else {
            return self.note(format!("entry {} has no time", shown(record.id.as_bytes())));
        };
        let at = moment.as_millisecond();
        let is_first = self.began.is_none();
        match &record.entry.event {
            Event::Decision(decided) => {
                self.began.get_or_insert(at);
                self.out.ledger.decisions += 1;
                for moved in &decided.updates {
                    self.decided(decided, moved, &record.id, at);
                }
            }
            Event::Landed(landed) => {
                self.began.get_or_insert(at);
                for moved in &landed.updates {
                    self.landed(moved, landed.decision.as_deref(), at);
                }
            }
            _ => {}
        }
        if is_first && self.began.is_some() {
            self.out.ledger.since = Some(time(at / 1_000));
        }
    }

    fn decided(&mut self, decided: &Decided, moved: &Moved, id: &str, at: i64) {
        let key = key_of(moved);
        if moved.target.is_some() {
            let alias = (moved.name.clone(), moved.ref_hex.clone());
            self.aliases.insert(alias, key.clone());
        }
        let (old, new) = (value(&moved.old), value(&moved.new));
        let has_passed = decided.verdict == "accept" || !decided.enforced;
        if moved.name.starts_with(PROPOSALS) {
            if let Some(new) = new.filter(|_| has_passed) {
                self.brought(None, new);
                self.proposals.insert(new);
            }
            return;
        }
        if is_of_host(key.0.as_bytes()) {
            if let Some(new) = new.filter(|_| has_passed) {
                self.brought(old, new);
            }
            return;
        }
        // A push that could not be judged may name what the client claimed.
        if decided.verdict != "unjudged" {
            self.observed(&key, old, at, "a push found it there");
        }
        if !has_passed {
            return;
        }
        if let Some(new) = new {
            self.brought(old, new);
        }
        let past = self.refs.entry(key).or_default();
        past.pending.push(Pending {
            value: new,
            from: old,
            at,
            decision: id.to_owned(),
            identity: decided.actor.clone(),
        });
        if past.pending.len() > PENDING_MAX {
            past.pending.remove(0);
        }
    }

    fn landed(&mut self, moved: &Moved, decision: Option<&str>, at: i64) {
        let own = (moved.name.clone(), moved.ref_hex.clone());
        let key = self.aliases.get(&own).cloned().unwrap_or(own);
        let (old, new) = (value(&moved.old), value(&moved.new));
        if is_of_host(key.0.as_bytes()) {
            let is_proposal = |new: &Oid| self.proposals.contains(new);
            if let Some(new) = new.filter(|new| decision.is_some() || is_proposal(new)) {
                self.brought(old, new);
            }
            return;
        }
        self.observed(&key, old, at, "a push moved it from there");
        let Some(past) = self.refs.get_mut(&key) else {
            return;
        };
        let is_awaited = (past.pending.iter()).any(|one| one.value == new && one.from == old);
        let is_proposal = new.is_some_and(|new| self.proposals.contains(&new));
        let is_covered = decision.is_some() || is_awaited || is_proposal;
        // Of two pushes that come together, the first may be told last.
        if is_covered && !is_awaited && past.now != new && past.was(new, at, ON_ITS_WAY) {
            return;
        }
        let late = past.set(new, at);
        self.never_came(&key, late);
        if is_covered {
            if let Some(new) = new {
                self.brought(old, new);
            }
            return;
        }
        let why = "a push moved it that no decision let pass: the gate did not judge it";
        self.moved_past_the_gate(&key, old, new, Some(at), why.into());
    }

    /// The ref was seen to have a value.
    fn observed(&mut self, key: &Key, found: Value, at: i64, how: &str) {
        let Some(past) = self.refs.get_mut(key) else {
            let (now, since) = (found, at);
            let past = Past {
                now,
                since,
                ..Past::default()
            };
            self.refs.insert(key.clone(), past);
            if let Some(found) = found {
                self.first_seen(key, found, at, how);
            }
            return;
        };
        if !past.may_be(found) {
            if !past.was(found, at, ON_ITS_WAY) {
                self.gap(key, found, at, false, how);
            }
            return;
        }
        let late = past.set(found, at);
        self.never_came(key, late);
    }

    /// The first that the ledger says of a ref that was there already.
    fn first_seen(&mut self, key: &Key, found: Oid, at: i64, how: &str) {
        if self.is_younger_than_the_ledger(&found) {
            let why =
                format!("{how}, and no decision let it be made; it is younger than the ledger");
            self.moved_past_the_gate(key, None, Some(found), Some(at), why);
        } else {
            self.cover(found, &[], false);
        }
    }

    fn is_younger_than_the_ledger(&self, value: &Oid) -> bool {
        let made = self.history.made(value);
        made.zip(self.began)
            .is_some_and(|(made, began)| 1_000 * made > began + YOUNGER_BY)
    }

    /// The ref has a value that nothing explains: by the ledger at `at`, or now, when the refs were read.
    fn gap(&mut self, key: &Key, found: Value, at: i64, is_now: bool, how: &str) {
        let history = self.history;
        let tip = found.and_then(|found| history.commit(&found));
        let Some(past) = self.refs.get_mut(key) else {
            return;
        };
        // What was let pass and is contained in what is there has come, and was moved on.
        let (mut left, mut since) = (past.now, past.since);
        let node_of = |one: &Pending| history.commit(&one.value?);
        if let (Some(tip), Some(floor)) = (tip, past.pending.iter().filter_map(node_of).min()) {
            // Parents come before children: nothing below the lowest one leads to any.
            let reached = reached(history, &[tip], &|node| node < floor);
            past.pending.retain(|one| {
                let has_come = node_of(one).is_some_and(|node| reached[node as usize]);
                if has_come {
                    (left, since) = (one.value, one.at);
                }
                !has_come
            });
        }
        let late = past.set(found, at);
        self.never_came(key, late);
        let why = format!(
            "{how}; the ledger left it elsewhere at {}, and knows of no move since",
            time(since / 1_000)
        );
        self.moved_past_the_gate(key, left, found, (!is_now).then_some(at), why);
    }

    fn moved_past_the_gate(
        &mut self,
        key: &Key,
        old: Value,
        new: Value,
        at: Option<i64>,
        why: String,
    ) {
        let kind = if new.is_some() {
            "ref-update"
        } else {
            "ref-deleted"
        };
        let more = record::Uncovered {
            name: Some(name_of(key)),
            old: old.map(|old| old.to_string()),
            new: new.map(|new| new.to_string()),
            time: at.map(|at| time(at / 1_000)),
            ..record::Uncovered::default()
        };
        self.tell(kind, why, more);
    }

    fn never_came(&mut self, key: &Key, late: Vec<Pending>) {
        for one in late {
            let why = "it was let pass and the ref never showed it: refused afterwards, or undone past the gate";
            let more = record::Uncovered {
                name: Some(name_of(key)),
                old: one.from.map(|old| old.to_string()),
                new: one.value.map(|new| new.to_string()),
                decision: Some(shown(one.decision.as_bytes())),
                identity: one.identity.map(|name| shown(name.as_bytes())),
                time: Some(time(one.at / 1_000)),
                ..record::Uncovered::default()
            };
            self.tell("not-landed", why.into(), more);
        }
    }

    /// A push was let pass: what is new in it was judged. What its old value has is not new.
    fn brought(&mut self, old: Value, new: Oid) {
        let below = old.and_then(|old| self.history.commit(&old));
        let below = below.filter(|node| !self.covered[*node as usize]);
        self.cover(new, below.as_slice(), true);
    }

    /// Covers what `value` reaches, without what `except` reach.
    fn cover(&mut self, value: Oid, except: &[Node], is_brought: bool) {
        let Some(tip) = self.history.commit(&value) else {
            return;
        };
        let excluded = match except {
            [] => Vec::new(),
            nodes => reached(self.history, nodes, &|node| self.covered[node as usize]),
        };
        let mut open = vec![tip];
        while let Some(node) = open.pop() {
            let at = node as usize;
            if self.covered[at] || excluded.get(at).copied().unwrap_or(false) {
                continue;
            }
            self.covered[at] = true;
            self.brought[at] = is_brought;
            open.extend(self.history.parents(node));
        }
    }

    fn end(&mut self, refs: &Refs<'_>) {
        if self.began.is_none() {
            if !refs.all.is_empty() {
                let why =
                    "the ledger has no decision about this repository: nothing in it is covered";
                self.tell("ref-update", why.into(), record::Uncovered::default());
            }
            return;
        }
        let mut unknown = Vec::new();
        let mut there: HashSet<Key> = HashSet::new();
        for (name, id) in refs.all {
            let key = key_of_name(name);
            let key = self.aliases.get(&key).cloned().unwrap_or(key);
            match self.refs.contains_key(&key) {
                // Two names may be the same one in the ledger, where secrets in them are masked.
                true if there.insert(key.clone()) => self.stands(&key, Some(*id), refs.read_at),
                true => {}
                false => unknown.push((name, *id)),
            }
        }
        let mut gone: Vec<Key> = (self.refs.keys())
            .filter(|key| !there.contains(*key))
            .cloned()
            .collect();
        gone.order();
        for key in gone {
            self.stands(&key, None, refs.read_at);
        }
        self.unmentioned(unknown, refs);
        self.commits(refs);
        for (kind, count) in [
            ("ref-update", "moves of refs"),
            ("ref-deleted", "deletes"),
            ("commit", "commits"),
            ("not-landed", "decisions"),
        ] {
            let rest = self
                .listed
                .get(kind)
                .copied()
                .unwrap_or(0)
                .saturating_sub(LISTED_MAX);
            if rest > 0 {
                self.note(format!("{rest} more {count} are not listed"));
            }
        }
    }

    /// Compares the value that a ref has now.
    fn stands(&mut self, key: &Key, found: Value, read_at: i64) {
        let Some(past) = self.refs.get_mut(key) else {
            return;
        };
        if past.may_be(found) {
            let awaited = |one: &Pending| one.value != found && one.at < read_at - ON_ITS_WAY;
            let late = past.pending.drain(..).filter(awaited).collect();
            self.never_came(key, late);
        } else if !past.was(found, read_at, 0) {
            let how = match found {
                Some(_) => "it has this value now",
                None => "it is gone now",
            };
            self.gap(key, found, read_at, true, how);
        }
    }

    /// Commits that no passed push brought.
    fn commits(&mut self, refs: &Refs<'_>) {
        let history = self.history;
        let tips: Vec<Node> = (refs.all.iter())
            .filter(|(name, _)| !is_of_host(name))
            .filter_map(|(_, id)| history.commit(id))
            .collect();
        let reached = reached(history, &tips, &|_| false);
        for at in (0..reached.len()).filter(|at| reached[*at]) {
            if self.covered[at] {
                continue;
            }
            let brief = history.brief(at as Node);
            let more = record::Uncovered {
                commit: Some(brief),
                ..record::Uncovered::default()
            };
            self.tell(
                "commit",
                "no push that was let pass brought it".into(),
                more,
            );
        }
    }
}

/// What `tips` reach, without what is `known` and what lies behind that.
fn reached(history: &dyn History, tips: &[Node], known: &dyn Fn(Node) -> bool) -> Vec<bool> {
    let mut reached = vec![false; history.count()];
    let mut open = tips.to_vec();
    while let Some(node) = open.pop() {
        if !reached[node as usize] && !known(node) {
            reached[node as usize] = true;
            open.extend(history.parents(node));
        }
    }
    reached
}

fn named(path: &Path) -> String {
    shown(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests;
