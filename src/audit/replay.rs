//! What a policy would have refused: each commit judged by the gate itself, as if it had been pushed alone onto its parents.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;

use super::commits::{Commits, Node, bounds};
use super::findings::{Teller, name_refs};
use super::record::{self, PLACES_MAX};
use super::shown;
use super::state::Judged;
use super::tips::{LeadsTo, Tip};
use crate::budget::Budget;
use crate::finding::{Level, RefOp};
use crate::gate::{self, Request};
use crate::identity;
use crate::ledger::{confidence_word, part_word};
use crate::order::Order as _;
use crate::policy::{Kind, Policy};
use crate::push::{Command, Errand, HostKind, Oid, Push, Pusher, RefName, RefUpdate};
use crate::redact::FingerprintKey;
use crate::repo::Repo;
use crate::standing::{Past, Standing};
use crate::verdict::Judged as Judgement;

/// What is judged.
pub(super) struct Replay<'a> {
    pub(super) repo: &'a Repo,
    pub(super) policy: &'a Policy,
    pub(super) key: &'a FingerprintKey,
    pub(super) commits: &'a Commits,
    pub(super) tips: &'a [Tip],
    /// Names of the repository, as a host would hand them over.
    pub(super) repository: &'a [String],
    /// Judge every commit as this identity, and not as the one whose `authors:` names its author or committer.
    pub(super) as_identity: Option<&'a str>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Replayed {
    pub(super) findings: Vec<record::Finding>,
    /// Commits against which something stands that is more than the ref that they stand on.
    pub(super) refused: HashSet<Node>,
    pub(super) unread: Vec<record::Unread>,
}

/// One commit to be judged.
struct Job<'a> {
    node: Node,
    identity: &'a str,
    name: RefName,
    op: RefOp,
}

impl Job<'_> {
    /// Names what is judged, for a later audit.
    fn key(&self, commits: &Commits) -> String {
        let id = commits.rows[self.node as usize].id;
        let op = if self.op == RefOp::Create { '+' } else { '=' };
        // The whole name: one that is cut for showing may be that of two refs.
        let name = data_encoding::HEXLOWER.encode(self.name.as_bytes());
        format!("{id} {op} {} {name}", self.identity)
    }
}

/// Judges the commits, which stand in the order of the history; those that were judged before, as the same identity on the same
/// ref, are not judged again.
pub(super) fn replay(
    of: &Replay<'_>,
    teller: &Teller<'_>,
    nodes: &[Node],
    judged: &mut Judged,
) -> Replayed {
    let jobs = jobs(of, nodes);
    let head = of.repo.head().ok().flatten();
    let fresh: Vec<&Job<'_>> = (jobs.iter())
        .filter(|job| !judged.commits.contains_key(&job.key(of.commits)))
        .collect();
    let chunk = fresh
        .len()
        .div_ceil(8 * rayon::current_num_threads())
        .max(1);
    let told: Vec<Result<Vec<record::Finding>, String>> = (fresh.par_chunks(chunk))
        .flat_map_iter(|jobs| {
            let one = |job: &&Job<'_>| judge(of, job, head.as_ref());
            jobs.iter().map(one).collect::<Vec<_>>()
        })
        .collect();
    let mut replayed = Replayed::default();
    for (job, told) in fresh.into_iter().zip(told) {
        match told {
            Ok(findings) => {
                judged.commits.insert(job.key(of.commits), findings);
            }
            Err(why) => replayed.unread.push(record::Unread {
                what: format!(
                    "commit {} as {}",
                    of.commits.rows[job.node as usize].id, job.identity
                ),
                why: format!("it could not be judged: {why}"),
                objects: 1,
            }),
        }
    }
    // What is one for a reader: the same rule at the same path, or on the same ref, for the same value.
    let mut groups: BTreeMap<Key, Vec<(Node, &record::Finding)>> = BTreeMap::new();
    for job in &jobs {
        let findings = judged.commits.get(&job.key(of.commits));
        for finding in findings.into_iter().flatten() {
            let of_ref = finding.rule.starts_with("ref/");
            if !of_ref {
                replayed.refused.insert(job.node);
            }
            let key = Key {
                is_held: finding.level == "hold",
                identity: job.identity.to_owned(),
                rule: finding.rule.clone(),
                at: match of_ref {
                    true => finding.places.first().and_then(|place| place.name.clone()),
                    false => finding.path.clone(),
                },
                print: finding.fingerprint.clone(),
            };
            groups.entry(key).or_default().push((job.node, finding));
        }
    }
    let mut told: Vec<(record::Finding, Vec<Node>)> = Vec::new();
    for mut group in groups.into_values() {
        group.order_by_key(|(node, _)| *node);
        group.dedup_by_key(|(node, _)| *node);
        let nodes = group.iter().map(|(node, _)| *node).collect();
        told.push((together(of, teller, &group), nodes));
    }
    name_refs(of.commits, of.tips, &mut told);
    replayed.findings = told.into_iter().map(|(finding, _)| finding).collect();
    replayed
}

/// What makes findings of several commits one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    is_held: bool,
    identity: String,
    rule: String,
    at: Option<String>,
    print: Option<String>,
}

fn together(
    of: &Replay<'_>,
    teller: &Teller<'_>,
    group: &[(Node, &record::Finding)],
) -> record::Finding {
    let tips: HashSet<Node> = (of.tips.iter())
        .filter_map(|tip| match tip.leads_to {
            LeadsTo::Commit(node) => Some(node),
            _ => None,
        })
        .collect();
    let places: Vec<record::Place> = (group.iter().take(PLACES_MAX))
        .flat_map(|(node, finding)| {
            let first = finding.places.first()?;
            Some(record::Place {
                commit: Some(teller.brief(*node)),
                at_tip: tips.contains(node),
                ..first.clone()
            })
        })
        .collect();
    let ((first, head), (last, _)) = (&group[0], &group[group.len() - 1]);
    record::Finding {
        first: Some(teller.brief(*first)),
        last: Some(teller.brief(*last)),
        at_tip: places.iter().any(|place| place.at_tip),
        place_count: group.len() as u64,
        places,
        ..(*head).clone()
    }
}

/// What stands against one commit, without what the whole history says of it.
fn finding(identity: &str, judged: &Judgement) -> record::Finding {
    let found = &judged.finding;
    let place = &found.place;
    // The gate has masked what it names.
    let at = record::Place {
        part: part_word(place.part).to_owned(),
        path: place.path.as_ref().map(|path| shown(path)),
        line: place.span.as_ref().map(|span| u64::from(span.line)),
        column: place.span.as_ref().map(|span| u64::from(span.column)),
        name: (place.ref_name.as_ref()).map(|name| shown(name.as_bytes())),
        detail: found.detail.clone(),
        ..record::Place::default()
    };
    let evidence = found.evidence.as_ref();
    let policy = &judged.decided_by;
    record::Finding {
        source: "replay".into(),
        rule: found.rule.to_string(),
        title: found.title.to_string(),
        level: judged.level.as_str().into(),
        confidence: found.confidence.map(|one| confidence_word(one).to_owned()),
        fingerprint: evidence.map(|evidence| evidence.fingerprint.to_string()),
        bytes: evidence.map(|evidence| evidence.bytes as u64),
        prefix: evidence.and_then(|evidence| evidence.prefix.clone()),
        detail: found.detail.clone(),
        identity: Some(identity.to_owned()),
        policy_at: (policy.line > 0).then(|| format!("{}:{}", policy.file, policy.line)),
        path: at.path.clone(),
        line: at.line,
        column: at.column,
        part: at.part.clone(),
        places: vec![at],
        ..record::Finding::default()
    }
}

/// Which commit is judged as whom, and as pushed to which ref: of the refs that reach it one that the identity may write
/// to, else the branch that HEAD names, else any branch, else any ref.
fn jobs<'a>(of: &'a Replay<'_>, nodes: &[Node]) -> Vec<Job<'a>> {
    let head = of.repo.head().ok().flatten();
    let mut jobs = Vec::new();
    let mut is_asked = vec![false; of.commits.rows.len()];
    for node in nodes {
        is_asked[*node as usize] = true;
    }
    for identity in of.policy.identities() {
        let authors: HashSet<&[u8]> = identity.authors.iter().map(String::as_bytes).collect();
        let is_its = |node: Node| match of.as_identity {
            Some(name) => name == identity.name,
            None => {
                let row = &of.commits.rows[node as usize];
                identity.kind != Kind::Human
                    && [row.author, row.committer]
                        .iter()
                        .any(|name| authors.contains(of.commits.names[*name as usize].as_slice()))
            }
        };
        if !nodes.iter().any(|node| is_its(*node)) {
            continue;
        }
        let actor = identity::actor_at_any_time(of.policy, &identity.name, of.repository).ok();
        let may = |name: &[u8], op| {
            let boundary = actor.as_ref().map(|actor| &actor.boundary);
            boundary.is_some_and(|boundary| boundary.may_ref(name, op).is_allowed())
        };
        let rank = |tip: &Tip| {
            let may = |op| may(&tip.name, op);
            match () {
                () if may(RefOp::Create) || may(RefOp::Update) => 0,
                () if head
                    .as_ref()
                    .is_some_and(|head| tip.name == head.as_bytes()) =>
                {
                    1
                }
                () if tip.name.starts_with(b"refs/heads/") => 2,
                () => 3,
            }
        };
        let mut ranked: Vec<(u8, &Tip)> = of.tips.iter().map(|tip| (rank(tip), tip)).collect();
        ranked.order_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        let mut home: Vec<Option<&Tip>> = vec![None; of.commits.rows.len()];
        for (_, tip) in ranked {
            let LeadsTo::Commit(node) = tip.leads_to else {
                continue;
            };
            let mut open = vec![node];
            while let Some(node) = open.pop() {
                let place = &mut home[node as usize];
                if place.is_none() {
                    *place = Some(tip);
                    open.extend(of.commits.rows[node as usize].parents.iter());
                }
            }
        }
        let mut begun: HashSet<&[u8]> = HashSet::new();
        // Those that were not asked for as well: which one is the first on its ref does not hang on the filters.
        for node in (0..of.commits.rows.len() as Node).filter(|node| is_its(*node)) {
            let Some(tip) = home[node as usize] else {
                continue;
            };
            let name: &[u8] = &tip.name;
            let has_parents = !of.commits.rows[node as usize].parents.is_empty();
            // The history does not tell which commit made the ref: who may only move one is not held to have made it.
            let must_move = || !may(name, RefOp::Create) && may(name, RefOp::Update);
            let is_first = begun.insert(name);
            let op = match has_parents && (!is_first || must_move()) {
                true => RefOp::Update,
                false => RefOp::Create,
            };
            // A detached HEAD is no ref that anybody pushes to.
            let full = RefName::new(name).or_else(|_| RefName::new("refs/heads/HEAD"));
            if let Some(name) = full.ok().filter(|_| is_asked[node as usize]) {
                jobs.push(Job {
                    node,
                    identity: &identity.name,
                    name,
                    op,
                });
            }
        }
    }
    jobs
}

/// Judges one commit: what would have refused it. An error: why it could not be judged in full.
fn judge(
    of: &Replay<'_>,
    job: &Job<'_>,
    head: Option<&RefName>,
) -> Result<Vec<record::Finding>, String> {
    let row = &of.commits.rows[job.node as usize];
    let parents: Vec<Oid> = (row.parents.iter())
        .map(|parent| of.commits.rows[*parent as usize].id)
        .collect();
    let stored = match job.op {
        RefOp::Create => None,
        _ => parents.first().copied(),
    };
    let command = Command {
        name: job.name.clone(),
        claimed_old: stored,
        new: Some(row.id),
    };
    let push = Push {
        host: HostKind::Local,
        pusher: Pusher::default(),
        errand: Errand::None,
        repository: of.repository.to_vec(),
        commands: vec![command.clone()],
        certificate: None,
    };
    let updates = vec![RefUpdate {
        target: command.name.clone(),
        stored,
        proposed_for: None,
        command,
    }];
    // Its parents are what was there: nothing of them is judged again, and the first one's own policy narrows.
    let home = head.unwrap_or(&job.name);
    let trusted = parents
        .iter()
        .map(|parent| (home.clone(), *parent))
        .collect();
    let budget = Budget::new(bounds());
    let outcome = gate::judge(Request {
        push: &push,
        updates,
        trusted,
        policy: of.policy,
        repo: of.repo,
        budget: &budget,
        key: of.key,
        now: Timestamp::from_second(row.time).unwrap_or(Timestamp::UNIX_EPOCH),
        standing: &Standing::default(),
        past: &|_, _| Past::Elsewhere,
        as_identity: Some(job.identity),
        advisory: true,
    });
    let decision = outcome.decision;
    if let Some(problem) = decision.unjudged {
        return Err(problem.to_string());
    }
    let refuses = decision
        .findings
        .iter()
        .filter(|one| one.level >= Level::Hold);
    Ok(refuses.map(|one| finding(job.identity, one)).collect())
}
