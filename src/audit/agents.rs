//! The agents at work in a repository: those that commits name, and those that the policy declares.

use std::collections::{BTreeMap, HashMap};

use super::commits::{Commits, Node, Row, TagRow};
use super::record::{self, DAYS_MAX, PATHS_MAX};
use super::shown;
use super::walk::Walked;
use crate::identity::claims::{self, Agent};
use crate::order::Order as _;
use crate::policy::{Kind, Policy};

/// One agent.
pub(super) struct Actor {
    pub(super) id: String,
    name: String,
    /// The known agent that commits name; none: an identity of the policy.
    claim: Option<&'static Agent>,
    declared: Option<String>,
    /// The names by which an identity is known.
    authors: Vec<String>,
}

impl Actor {
    /// Whether a record is of it.
    pub(super) fn is(&self, told: &record::Agent) -> bool {
        told.agent == self.id && (told.kind == "claim") == self.claim.is_some()
    }

    /// Tells it from others, also from the same one under a policy that gives it other names.
    pub(super) fn key(&self) -> String {
        match self.claim {
            Some(_) => format!("claim {}", self.id),
            None => format!("identity {} {:?}", self.id, self.authors),
        }
    }
}

/// All agents of a repository, and which commits are whose.
#[derive(Default)]
pub(super) struct Cast {
    pub(super) actors: Vec<Actor>,
    by_claim: HashMap<&'static str, u32>,
    /// By the place of a name in [`Commits::names`].
    by_name: HashMap<u32, Vec<u32>>,
}

impl Cast {
    /// The agents of these commits and tags, and the agents and services of the policy that some of them are by.
    pub(super) fn new(commits: &Commits, policy: Option<&Policy>) -> Cast {
        let mut cast = Cast::default();
        let of_rows = commits.rows.iter().flat_map(|row| row.claims.iter());
        let of_tags = commits.tags.values().flat_map(|tag| tag.claims.iter());
        for claim in of_rows.chain(of_tags) {
            let actors = &mut cast.actors;
            cast.by_claim.entry(claim.agent.id).or_insert_with(|| {
                actors.push(Actor {
                    id: claim.agent.id.to_owned(),
                    name: claim.agent.name.to_owned(),
                    claim: Some(claim.agent),
                    declared: policy.and_then(|policy| declaring(policy, claim.agent)),
                    authors: Vec::new(),
                });
                actors.len() as u32 - 1
            });
        }
        let Some(policy) = policy else { return cast };
        for identity in policy.identities() {
            if identity.kind == Kind::Human {
                continue;
            }
            let mut index = None;
            for (place, name) in commits.names.iter().enumerate() {
                if !(identity.authors.iter()).any(|author| author.as_bytes() == name.as_slice()) {
                    continue;
                }
                let actors = &mut cast.actors;
                let index = *index.get_or_insert_with(|| {
                    actors.push(Actor {
                        id: identity.name.clone(),
                        name: identity.name.clone(),
                        claim: None,
                        declared: Some(identity.name.clone()),
                        authors: identity.authors.clone(),
                    });
                    actors.len() as u32 - 1
                });
                cast.by_name.entry(place as u32).or_default().push(index);
            }
        }
        cast
    }

    /// The agents whose work a commit is, by what it says.
    pub(super) fn of(&self, row: &Row) -> Vec<u32> {
        let claims = row.claims.iter().map(|claim| self.by_claim[claim.agent.id]);
        let mut all: Vec<u32> = claims.collect();
        for name in [row.author, row.committer] {
            all.extend(self.by_name.get(&name).into_iter().flatten());
        }
        all.order();
        all.dedup();
        all
    }

    /// Ids of the agents whose work a commit is.
    pub(super) fn ids(&self, row: &Row) -> Vec<String> {
        let id = |index: &u32| self.actors[*index as usize].id.clone();
        let mut ids: Vec<String> = self.of(row).iter().map(id).collect();
        ids.order();
        ids.dedup();
        ids
    }

    /// Ids of the agents that a tag names.
    pub(super) fn ids_of_tag(&self, tag: &TagRow) -> Vec<String> {
        let named = tag.claims.iter().map(|claim| claim.agent.id.to_owned());
        let mut ids: Vec<String> = named.collect();
        let own = self.by_name.get(&tag.tagger).into_iter().flatten();
        ids.extend(own.map(|index| self.actors[*index as usize].id.clone()));
        ids.order();
        ids.dedup();
        ids
    }
}

/// The identity of the policy that stands for a known agent.
fn declaring(policy: &Policy, agent: &Agent) -> Option<String> {
    let is_its = |author: &String| {
        let (name, rest) = author.split_once(" <").unwrap_or((author, ""));
        let email = rest.strip_suffix('>').unwrap_or(rest);
        claims::of_name(name.as_bytes(), email.as_bytes()).any(|one| one.id == agent.id)
    };
    let declares = |identity: &&crate::policy::Identity| {
        identity.kind != Kind::Human
            && (identity.name == agent.id || identity.authors.iter().any(is_its))
    };
    let found = policy.identities().iter().find(declares)?;
    Some(found.name.clone())
}

/// What is told of each agent.
pub(super) fn inventory(
    cast: &Cast,
    commits: &Commits,
    nodes: &[Node],
    tags: &[&TagRow],
    walked: &Walked,
    refused: &dyn Fn(Node) -> bool,
    brief: &dyn Fn(Node) -> record::Commit,
) -> Vec<record::Agent> {
    let mut found: Vec<Tally> = cast.actors.iter().map(|_| Tally::default()).collect();
    for node in nodes {
        let row = &commits.rows[*node as usize];
        for index in cast.of(row) {
            found[index as usize].add(*node, row, refused(*node));
        }
        for claim in &row.claims {
            let tally = &mut found[cast.by_claim[claim.agent.id] as usize];
            for source in claim.sources() {
                tally.evidence(source.as_str());
            }
        }
        for (name, word) in [(row.author, "author"), (row.committer, "committer")] {
            for index in cast.by_name.get(&name).into_iter().flatten() {
                found[*index as usize].evidence(word);
            }
        }
    }
    for tag in tags {
        for claim in &tag.claims {
            let tally = &mut found[cast.by_claim[claim.agent.id] as usize];
            for source in claim.sources() {
                tally.evidence(source.as_str());
            }
        }
        for index in cast.by_name.get(&tag.tagger).into_iter().flatten() {
            found[*index as usize].evidence("tagger");
        }
    }
    let mut paths: Vec<Vec<(&[u8], u64)>> = vec![Vec::new(); cast.actors.len()];
    for ((index, path), count) in &walked.touched {
        paths[*index as usize].push((path.as_slice(), *count));
    }
    let mut told = Vec::new();
    for (index, (actor, tally)) in cast.actors.iter().zip(found).enumerate() {
        if tally.commits == 0 && tally.evidence.is_empty() {
            continue;
        }
        let mut touched = std::mem::take(&mut paths[index]);
        touched.order_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        let untold = walked.untold.get(&(index as u32)).copied().unwrap_or(0);
        let mut days: Vec<(String, u64)> = tally.days.into_iter().collect();
        days.drain(..days.len().saturating_sub(DAYS_MAX));
        let author = |(name, count): (u32, u64)| (shown(&commits.names[name as usize]), count);
        told.push(record::Agent {
            agent: actor.id.clone(),
            name: actor.name.clone(),
            kind: match actor.claim {
                Some(_) => "claim".into(),
                None => "identity".into(),
            },
            is_bot: actor.claim.is_some_and(|agent| agent.is_bot),
            declared: actor.declared.clone(),
            evidence: tally.evidence,
            commits: tally.commits,
            signed: tally.signed,
            first: tally.first.map(|(_, node)| brief(node)),
            last: tally.last.map(|(_, node)| brief(node)),
            path_count: touched.len() as u64 + untold,
            paths: (touched.iter().take(PATHS_MAX))
                .map(|(path, count)| (shown(path), *count))
                .collect(),
            authors: tally.authors.into_iter().map(author).collect(),
            days: days.into_iter().collect(),
            refused_commits: tally.refused,
            ..record::Agent::default()
        });
    }
    told
}

#[derive(Default)]
struct Tally {
    commits: u64,
    signed: u64,
    refused: u64,
    first: Option<(i64, Node)>,
    last: Option<(i64, Node)>,
    evidence: BTreeMap<String, u64>,
    authors: BTreeMap<u32, u64>,
    days: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, node: Node, row: &Row, refused: bool) {
        self.commits += 1;
        self.signed += u64::from(row.signed);
        self.refused += u64::from(refused);
        let here = (row.time, node);
        self.first = Some(self.first.map_or(here, |first| first.min(here)));
        self.last = Some(self.last.map_or(here, |last| last.max(here)));
        *self.authors.entry(row.author).or_default() += 1;
        let day = super::time(row.time)[..10].to_owned();
        *self.days.entry(day).or_default() += 1;
    }

    fn evidence(&mut self, word: &str) {
        *self.evidence.entry(word.to_owned()).or_default() += 1;
    }
}
