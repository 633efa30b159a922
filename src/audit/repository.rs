//! The audit of one repository, from its objects to its records.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bstr::BString;

use super::agents::{self, Cast};
use super::commits::{self, Collector, Commits, Node};
use super::contents::{self, Collect};
use super::coverage;
use super::findings::{Findings, Teller, refs_of};
use super::record::{self, Record};
use super::replay::{Replay, Replayed, replay};
use super::run::Progress;
use super::shows::at_tips;
use super::state::{Judged, Saved, State, States};
use super::tips::{self, LeadsTo, Tip};
use super::walk::{Fresh, KEPT_MAX, Sought, Thing, Walked, touched, walk};
use super::weights::Weights;
use crate::budget::{Bounds, Budget};
use crate::check::Text;
use crate::finding::Part;
use crate::ledger::Book;
use crate::order::Order as _;
use crate::policy::{Pattern, Policy};
use crate::push::Oid;
use crate::redact::FingerprintKey;
use crate::repo::{Kind, Layout, Repo};

/// Things that could not be looked at, and that are listed.
const UNREAD_MAX: usize = 100;
/// Changed paths and folders of all commits, and those at the tips: ten times what the longest histories have.
const CHANGES_MAX: u64 = 500_000_000;

/// What is asked of every repository of a run.
pub struct Question<'a> {
    /// The policy to judge by; none: nothing is replayed, and every agent is undeclared.
    pub policy: Option<&'a Policy>,
    /// The key of fingerprints.
    pub key: &'a FingerprintKey,
    /// Judge every commit as this identity of the policy.
    pub as_identity: Option<&'a str>,
    /// Refs to look at; empty: all.
    pub refs: &'a [Pattern],
    /// Paths to look at; empty: all.
    pub paths: &'a [Pattern],
    /// Commits from this moment on, seconds since 1970.
    pub since: Option<i64>,
    /// Commits before this moment.
    pub until: Option<i64>,
    /// Threads for one repository.
    pub threads: usize,
    /// Told how far it is.
    pub progress: &'a Progress,
    /// Where what is known is kept for a later audit.
    pub states: Option<&'a States>,
}

/// A repository that is asked about.
pub struct Subject<'a> {
    /// Its name in records.
    pub name: &'a str,
    /// Its names as a policy's `repositories:` has them, most specific first.
    pub names: &'a [String],
    /// Where it was found, for people.
    pub path: &'a str,
    /// Where everything of it is.
    pub layout: &'a Layout,
    /// What is wrong around it, and is told: its policy cannot be used.
    pub trouble: Option<&'a str>,
    /// What is special about it.
    pub notes: &'a [String],
    /// Object folders that it borrows from and that are not there.
    pub lacks: &'a [String],
    /// The ledger to compare it with; or why that cannot be read.
    pub ledger: Option<Result<Recorded<'a>, String>>,
}

/// The ledger of a repository.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    /// It, and its older files.
    pub book: &'a Book,
    /// No other repository writes into it, so names do not matter.
    pub is_own: bool,
}

/// Everything that is told of one repository, its own record first. Never fails: what could not be looked at is told.
pub fn audit(subject: &Subject<'_>, question: &Question<'_>) -> Vec<Record> {
    let mut about = record::Repository {
        repository: subject.name.to_owned(),
        path: subject.path.to_owned(),
        notes: subject.notes.to_vec(),
        ..record::Repository::default()
    };
    about
        .unread
        .extend(subject.trouble.map(|why| record::Unread {
            what: "the policy".into(),
            why: why.to_owned(),
            objects: 0,
        }));
    for folder in subject.lacks {
        about.unread.push(record::Unread {
            what: format!("the objects of {folder}"),
            why: "the repository borrows them, and the folder is not there".into(),
            objects: 0,
        });
    }
    let looked = catch_unwind(AssertUnwindSafe(|| look(subject, question, &mut about)));
    // What is no longer there has no objects and no refs, which is not to be taken for a repository without any.
    let git_dir = &subject.layout.common_dir;
    for part in ["HEAD", "objects", "refs"] {
        if git_dir.join(part).symlink_metadata().is_err() {
            about.unread.push(record::Unread {
                what: "the repository".into(),
                why: format!("its {part} went away while it was looked at"),
                objects: 0,
            });
        }
    }
    let looked = looked.unwrap_or_else(|_| Err("the audit of it broke down".to_owned()));
    let mut records = match looked {
        Ok(records) => records,
        Err(why) => {
            about.unread.push(record::Unread {
                what: "the repository".into(),
                why,
                objects: 0,
            });
            about.status = "failed".into();
            Vec::new()
        }
    };
    about.unread.order();
    about.unread.dedup();
    about.unread_count = about.unread.len() as u64;
    about.unread.truncate(UNREAD_MAX);
    if about.status.is_empty() {
        let whole = about.unread.is_empty();
        about.status = if whole { "complete" } else { "incomplete" }.into();
    }
    records.insert(0, Record::Repository(about));
    records
}

/// One thread of the pass over all objects.
struct Looker<'a> {
    collector: Collector<'a>,
    state: &'a State,
    /// Objects that are looked at now, where that is to be known later.
    wanted: Option<&'a Mutex<Vec<Oid>>>,
    progress: &'a Progress,
}

impl Collect for Looker<'_> {
    fn wants(&self, id: &Oid, _kind: Kind) -> bool {
        let wants = !self.state.knows(id);
        self.progress.object_found(u64::from(wants));
        if let Some(mut wanted) = self
            .wanted
            .filter(|_| wants)
            .and_then(|all| all.lock().ok())
        {
            wanted.push(*id);
        }
        wants
    }

    fn commit(&mut self, id: &Oid, data: &[u8]) {
        self.progress.object_done(data.len() as u64);
        self.collector.commit(id, data);
    }

    fn tag(&mut self, id: &Oid, data: &[u8]) {
        self.progress.object_done(data.len() as u64);
        self.collector.tag(id, data);
    }

    fn blob(&mut self, bytes: u64) {
        self.progress.object_done(bytes);
    }
}

fn look(
    subject: &Subject<'_>,
    question: &Question<'_>,
    about: &mut record::Repository,
) -> Result<Vec<Record>, String> {
    let told = |error: crate::repo::RepoError| error.to_string();
    let repo = Repo::open(subject.layout.clone()).map_err(told)?;
    let budget = Budget::new(bounds());
    let place = &subject.layout.common_dir;
    let state = match question.states {
        Some(states) => states.load(question.key, place),
        None => State::default(),
    };
    let wanted = Mutex::new(Vec::new());
    let make = || Looker {
        collector: Collector::new(repo.hash_kind(), question.key),
        state: &state,
        wanted: question.states.map(|_| &wanted),
        progress: question.progress,
    };
    let (mut contents, lookers) =
        contents::scan(&repo, question.key, question.threads, make).map_err(told)?;
    let counts = contents.counts;
    about.objects = counts.commits + counts.tags + counts.blobs;
    about.bytes = counts.bytes;
    for unread in contents.unread.drain(..) {
        about.unread.push(record::Unread {
            what: unread.what,
            why: unread.why,
            objects: unread.objects,
        });
    }
    let mut collectors: Vec<Collector<'_>> =
        lookers.into_iter().map(|looker| looker.collector).collect();
    let mut known = state.known();
    let lost = state.has_lost(&known);
    about.objects_known = known.len() as u64;
    let mut restored = Collector::new(repo.hash_kind(), question.key);
    state.restore(&known, repo.hash_kind(), &mut contents, &mut restored);
    collectors.push(restored);
    let shallow = repo.shallow().map_err(told)?;
    let mut commits = Commits::new(collectors, &shallow);
    about.unread.append(&mut commits.unread);
    let texts = std::mem::take(&mut commits.hits);
    // Where something could not be read, what is known stays what it was.
    let is_read = about.unread.is_empty();
    let mut saved = question.states.filter(|_| is_read).map(|_| {
        known.extend(wanted.into_inner().unwrap_or_default());
        Saved::new(known, &contents, &commits, &texts)
    });
    let reader = repo.reader();
    let tips = tips::of(
        &repo,
        &reader,
        &commits,
        question.refs,
        &budget,
        &mut about.unread,
    );
    about.refs = tips.len() as u64;
    let tip_nodes: Vec<Node> = (tips.iter())
        .filter_map(|tip| match tip.leads_to {
            LeadsTo::Commit(node) => Some(node),
            _ => None,
        })
        .collect();
    let reached = commits.reachable(&tip_nodes);
    let narrowed = question.since.is_some() || question.until.is_some();
    let in_time = |time: i64| {
        question.since.is_none_or(|since| time >= since)
            && question.until.is_none_or(|until| time < until)
    };
    let is_chosen = |node: Node| {
        let known = reached[node as usize] || question.refs.is_empty();
        known && in_time(commits.rows[node as usize].time)
    };
    let nodes: Vec<Node> = (0..commits.rows.len() as Node)
        .filter(|node| is_chosen(*node))
        .collect();
    let in_refs: Vec<Node> = (nodes.iter().copied())
        .filter(|node| reached[*node as usize])
        .collect();
    about.commits = in_refs.len() as u64;
    let times = in_refs.iter().map(|node| commits.rows[*node as usize].time);
    about.first = times.clone().min().map(super::time);
    about.last = times.max().map(super::time);

    let cast = Cast::new(&commits, question.policy);
    let teller = Teller::new(&commits, &cast);
    let sought = Sought {
        repo: &repo,
        key: question.key,
        budget: &budget,
        commits: &commits,
        cast: &cast,
        contents: &contents,
        paths: question.paths,
        reached: &reached,
        places: AtomicU64::new(0),
    };
    let is_whole = !narrowed && question.refs.is_empty() && question.paths.is_empty();
    let agent_ids: Vec<String> = (cast.actors.iter()).map(|actor| actor.key()).collect();
    let mut walked = Walked::default();
    // Objects that are gone may be missed by commits that are not.
    let mut before = match is_whole && !lost {
        true => state.restore_walk(&commits, &agent_ids, &mut walked),
        false => HashMap::new(),
    };
    // Where refs have moved, what agents touch is counted in other commits than it was.
    let moved = |was_counted: bool| -> Vec<Node> {
        let has_moved = |node: &&Node| {
            let was = before.get(*node);
            was == Some(&was_counted) && reached[**node as usize] != was_counted
        };
        nodes.iter().filter(has_moved).copied().collect()
    };
    let (gone, come) = (moved(true), moved(false));
    let has_moved = !gone.is_empty() || !come.is_empty();
    if has_moved && !walked.untold.is_empty() {
        before.clear();
    }
    if before.is_empty() {
        walked = Walked::default();
    } else {
        walked.without_touched(touched(&sought, &gone));
        walked = walked.absorb(touched(&sought, &come));
    }
    let fresh: Vec<Node> = (nodes.iter().copied())
        .filter(|node| !before.contains_key(node))
        .collect();
    walked = walked.absorb(walk(&sought, &fresh));
    if let Some(saved) = saved
        .as_mut()
        .filter(|_| is_whole && walked.unread.is_empty() && walked.missing.is_empty())
    {
        saved.keep_walk(&commits, &agent_ids, &nodes, &reached, &walked);
    }
    about.unread.append(&mut walked.unread);
    let missing = walked.missing.len() as u64;
    if missing > 0 {
        let mut some: Vec<&Oid> = walked.missing.iter().collect();
        some.order();
        let first = some[0];
        about.unread.push(record::Unread {
            what: format!("{missing} blobs that trees name, the first is {first}"),
            why: match subject.notes.iter().any(|note| note == "partial") {
                true => "they are missing: in a partial clone they are with the remote".into(),
                false => "they are missing".into(),
            },
            objects: missing,
        });
    }
    let mut shown_now = at_tips(&sought, &tips, &walked);
    about.unread.append(&mut shown_now.unread);
    if sought.places.load(Ordering::Relaxed) > KEPT_MAX {
        about.unread.push(record::Unread {
            what: "places of findings".into(),
            why: format!("there are more than {KEPT_MAX}: those beyond it are not told"),
            objects: 0,
        });
    }
    if narrowed || !question.paths.is_empty() {
        // What no commit brings has no time, and what is asked for here is a time or a path.
        shown_now.fresh.clear();
    }

    let replayed = match question.policy {
        Some(policy) => {
            // The names of the repository choose the boundary.
            let under = format!("{} {:?}", policy.digest, subject.names);
            let mut judged = match saved {
                Some(_) => state.judged(&under),
                None => Judged::default(),
            };
            let what = Replay {
                repo: &repo,
                policy,
                key: question.key,
                commits: &commits,
                tips: &tips,
                repository: subject.names,
                as_identity: question.as_identity,
            };
            let replayed = replay(&what, &teller, &in_refs, &mut judged);
            // Keys are revoked without a word in the policy: what rests on signatures is judged anew each time.
            if let Some(saved) = saved.as_mut().filter(|_| policy.signers.is_none()) {
                saved.keep_judged(judged);
            }
            replayed
        }
        None => Replayed::default(),
    };
    if let (Some(states), Some(saved)) = (question.states, &saved)
        && let Err(error) = states.store(question.key, place, saved)
    {
        about.unread.push(record::Unread {
            what: "the state of an earlier audit".into(),
            why: format!("it cannot be written: {error}"),
            objects: 0,
        });
    }
    about.unread.extend(replayed.unread);
    about.refused_commits = replayed.refused.len() as u64;

    let is_refused = |node: Node| replayed.refused.contains(&node);
    let in_time_tags: Vec<_> = (commits.tags.values())
        .filter(|tag| in_time(tag.time) && tips.iter().any(|tip| tip.tags.contains(&tag.id)))
        .collect();
    let brief = |node: Node| teller.brief(node);
    let mut agents = agents::inventory(
        &cast,
        &commits,
        &in_refs,
        &in_time_tags,
        &walked,
        &is_refused,
        &brief,
    );
    name_refs_of_agents(&mut agents, &cast, &commits, &tips, &in_refs);

    let texts = of_texts(texts, &commits, &is_chosen, question, &tips, &in_time);
    let texts = texts.chain(of_ref_names(&tips, question));
    let stray = match is_whole {
        true => stray(&sought, &walked, &shown_now.blobs),
        false => Vec::new(),
    };
    let weights = Weights::new(subject, question)?;
    let findings = Findings {
        sought: &sought,
        teller: &teller,
        tips: &tips,
        reached: &reached,
        weigh: &|hit, path| weights.level(hit, path),
    };
    let mut found = findings.of(walked, shown_now, texts.chain(stray).collect());
    about.secrets = count(&found, |one| one.rule.starts_with("secret/"));
    about.secrets_at_tip = count(&found, |one| one.rule.starts_with("secret/") && one.at_tip);
    found.extend(replayed.findings);
    let read = coverage::Read {
        commits: &commits,
        teller: &teller,
    };
    let uncovered = coverage::of(subject, question, &repo, &read, &in_time, about);

    about.agents = agents.len() as u64;
    let mut levels: BTreeMap<String, u64> = BTreeMap::new();
    for one in &found {
        *levels.entry(one.level.clone()).or_default() += 1;
    }
    about.findings = levels;
    let mut records = Vec::with_capacity(agents.len() + found.len());
    for mut agent in agents {
        agent.repository = subject.name.to_owned();
        records.push(Record::Agent(agent));
    }
    for mut one in found {
        one.repository = subject.name.to_owned();
        records.push(Record::Finding(Box::new(one)));
    }
    records.extend(uncovered.into_iter().map(Record::Uncovered));
    Ok(records)
}

/// Bounds of what is done with all commits of a repository: how long it takes is the caller's to see, but it ends.
fn bounds() -> Bounds {
    Bounds {
        time: std::time::Duration::MAX,
        changes: CHANGES_MAX,
        ..commits::bounds()
    }
}

fn count(found: &[record::Finding], is: impl Fn(&record::Finding) -> bool) -> u64 {
    found.iter().filter(|one| is(one)).count() as u64
}

/// Names the refs that reach commits of each agent, 64 agents a round.
fn name_refs_of_agents(
    agents: &mut [record::Agent],
    cast: &Cast,
    commits: &Commits,
    tips: &[Tip],
    nodes: &[Node],
) {
    for agents in agents.chunks_mut(64) {
        let mut bits = vec![0_u64; commits.rows.len()];
        for node in nodes {
            for index in cast.of(&commits.rows[*node as usize]) {
                let actor = &cast.actors[index as usize];
                if let Some(place) = agents.iter().position(|agent| actor.is(agent)) {
                    bits[*node as usize] |= 1 << place;
                }
            }
        }
        let reach = commits.reach(&|node| bits[node as usize]);
        for (place, agent) in agents.iter_mut().enumerate() {
            (agent.refs, agent.ref_count) = refs_of(tips, &reach, place);
        }
    }
}

/// Hits in messages, names and headers.
fn of_texts<'t>(
    texts: Vec<commits::TextHit>,
    commits: &'t Commits,
    is_chosen: &'t dyn Fn(Node) -> bool,
    question: &'t Question<'_>,
    tips: &'t [Tip],
    in_time: &'t dyn Fn(i64) -> bool,
) -> impl Iterator<Item = Fresh> + 't {
    texts.into_iter().filter_map(move |text| {
        let commit = commits.nodes.get(&text.object).copied();
        let is_wanted = match (commit, commits.tags.get(&text.object)) {
            (Some(node), _) => is_chosen(node),
            (None, Some(tag)) => {
                let named = || tips.iter().any(|tip| tip.tags.contains(&tag.id));
                in_time(tag.time) && (question.refs.is_empty() || named())
            }
            (None, None) => false,
        };
        // A message has no path.
        (is_wanted && question.paths.is_empty()).then(|| Fresh {
            thing: Thing::new(&text.hit, text.print, Some(text.object.as_slice())),
            part: text.part,
            commit,
            path: None,
            blob: None,
            tag: commit.is_none().then_some(text.object),
            name: None,
            at: Some((text.line, text.column)),
            hit: text.hit,
        })
    })
}

/// Hits in the names of refs.
fn of_ref_names(tips: &[Tip], question: &Question<'_>) -> Vec<Fresh> {
    let mut fresh = Vec::new();
    for tip in tips.iter().filter(|_| question.paths.is_empty()) {
        let text = Text {
            part: Part::Ref,
            path: None,
            bytes: &tip.name,
        };
        for hit in commits::hits(&text, question.key).unwrap_or_default() {
            let print = commits::print(&hit, &tip.name, question.key);
            fresh.push(Fresh {
                thing: Thing::new(&hit, print, Some(&tip.name)),
                hit,
                part: Part::Ref,
                commit: None,
                path: None,
                blob: None,
                tag: None,
                name: Some(tip.name.clone()),
                at: None,
            });
        }
    }
    fresh
}

/// Hits of blobs that neither a commit nor a ref has: left behind, or only staged.
fn stray(sought: &Sought<'_>, walked: &Walked, at_tips: &HashSet<(Oid, BString)>) -> Vec<Fresh> {
    let bare: HashSet<_> = at_tips.iter().map(|(blob, _)| *blob).collect();
    let mut fresh = Vec::new();
    for (blob, hits) in &sought.contents.hits {
        if walked.seen.contains(blob) || bare.contains(blob) {
            continue;
        }
        for hit in hits.iter() {
            fresh.push(Fresh {
                thing: super::walk::thing_of(hit, sought.key, b""),
                hit: hit.hit(),
                part: Part::Content,
                commit: None,
                path: None,
                blob: Some(*blob),
                tag: None,
                name: None,
                at: None,
            });
        }
    }
    fresh
}
