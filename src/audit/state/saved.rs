//! The form of the file: what is kept, in types of its own, so that no change elsewhere changes it by accident.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bstr::BString;
use serde::{Deserialize, Serialize};

use crate::audit::commits::{Claim, Commits, Node, TextHit};
use crate::audit::contents::{Contents, Found};
use crate::audit::record;
use crate::audit::walk::Walked;
use crate::check::{self, Hit};
use crate::finding::{Confidence, Evidence, Part};
use crate::identity::claims;
use crate::push::Oid;
use crate::redact::Fingerprint;

/// The file. Ids are hex; bytes are text whose characters are the bytes.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::audit) struct Saved {
    pub(super) known: Vec<Id>,
    pub(super) found: Vec<(Id, Vec<SavedHit>)>,
    pub(super) odd: Vec<Id>,
    pub(super) returns: Vec<Id>,
    pub(super) names: Vec<Bytes>,
    pub(super) commits: Vec<SavedCommit>,
    pub(super) tags: Vec<SavedTag>,
    pub(super) texts: Vec<(Id, u8, SavedHit, String, u64, u64)>,
    pub(super) walk: SavedWalk,
    pub(super) judged: Judged,
}

/// Id, target, time, tagger, claims.
pub(super) type SavedTag = (Id, Id, i64, u32, Vec<(String, u8)>);

#[derive(Serialize, Deserialize)]
pub(super) struct SavedCommit {
    pub(super) id: Id,
    pub(super) tree: Id,
    pub(super) parents: Vec<Id>,
    pub(super) time: i64,
    pub(super) names: (u32, u32),
    pub(super) signed: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) claims: Vec<(String, u8)>,
}

/// What the walk over the files of these commits met.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SavedWalk {
    pub(super) walked: Vec<Id>,
    /// Those of them that no ref reached: what agents touch in them is not counted.
    pub(super) apart: Vec<Id>,
    /// Agents whose paths were counted: the identities come from the policy.
    pub(super) agents: Vec<String>,
    pub(super) fresh: Vec<SavedFresh>,
    pub(super) gone: Vec<(String, String, Option<Bytes>, Id)>,
    pub(super) seen: Vec<Id>,
    pub(super) touched: Vec<(String, Bytes, u64)>,
    pub(super) untold: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedFresh {
    pub(super) hit: SavedHit,
    pub(super) print: String,
    pub(super) of_path: bool,
    pub(super) part: u8,
    pub(super) commit: Id,
    pub(super) path: Option<Bytes>,
    pub(super) blob: Option<Id>,
    pub(super) at: Option<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedHit {
    pub(super) rule: String,
    pub(super) title: String,
    pub(super) bytes: (usize, usize),
    pub(super) confidence: Option<u8>,
    pub(super) evidence: Option<(Option<String>, usize, String)>,
    pub(super) detail: Option<String>,
}

/// What was judged under one policy, by commit, identity and ref.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::audit) struct Judged {
    pub(super) policy: String,
    pub(in crate::audit) commits: HashMap<String, Vec<record::Finding>>,
}

impl Judged {
    /// Nothing was judged under this policy yet.
    pub(super) fn under(policy: &str) -> Judged {
        Judged {
            policy: policy.to_owned(),
            commits: HashMap::new(),
        }
    }
}

pub(super) const PARTS: [Part; 12] = [
    Part::Ref,
    Part::Commit,
    Part::Path,
    Part::Content,
    Part::SymlinkTarget,
    Part::Message,
    Part::Author,
    Part::Committer,
    Part::Header,
    Part::Tag,
    Part::Tagger,
    Part::TagMessage,
];
pub(super) const CONFIDENCES: [Confidence; 3] = [
    Confidence::Possible,
    Confidence::Likely,
    Confidence::Certain,
];

/// An id as hex.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Id(pub(super) Oid);

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(hex: String) -> Result<Id, &'static str> {
        let id = Oid::from_hex(hex.as_bytes());
        id.map(Id).map_err(|_| "no object id")
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0.to_string()
    }
}

/// Bytes as text: a character for each.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Bytes(String);

impl Bytes {
    pub(super) fn new(bytes: &[u8]) -> Bytes {
        Bytes(bytes.iter().map(|byte| char::from(*byte)).collect())
    }

    pub(super) fn get(&self) -> BString {
        (self.0.chars())
            .filter_map(|one| u8::try_from(u32::from(one)).ok())
            .collect::<Vec<u8>>()
            .into()
    }
}

impl SavedHit {
    pub(super) fn new(hit: &Hit) -> SavedHit {
        SavedHit {
            rule: hit.rule.to_string(),
            title: hit.title.to_string(),
            bytes: (hit.bytes.start, hit.bytes.end),
            confidence: hit.confidence.map(|one| one as u8),
            evidence: hit
                .evidence
                .as_ref()
                .map(|one| (one.prefix.clone(), one.bytes, one.fingerprint.to_string())),
            detail: hit.detail.clone(),
        }
    }

    pub(super) fn get(&self) -> Option<Hit> {
        let evidence = match &self.evidence {
            None => None,
            Some((prefix, bytes, print)) => Some(Evidence {
                prefix: prefix.clone(),
                bytes: *bytes,
                fingerprint: Fingerprint::parse(print)?,
            }),
        };
        // The names of rules live as long as the program.
        let rule = check::find_rule(&self.rule).1;
        Some(Hit {
            rule: rule.map_or(Cow::Owned(self.rule.clone()), |rule| rule.id.into()),
            title: Cow::Owned(self.title.clone()),
            bytes: self.bytes.0..self.bytes.1,
            confidence: match self.confidence {
                None => None,
                Some(one) => Some(*CONFIDENCES.get(usize::from(one))?),
            },
            evidence,
            detail: self.detail.clone(),
        })
    }
}

pub(super) fn part_number(part: Part) -> u8 {
    PARTS.iter().position(|one| *one == part).unwrap_or(0) as u8
}

pub(super) fn claims_of(saved: &[(String, u8)]) -> Option<Box<[Claim]>> {
    let one = |(id, sources): &(String, u8)| {
        let agent = claims::agents().iter().find(|agent| agent.id == id)?;
        Some(Claim::restored(agent, *sources))
    };
    saved.iter().map(one).collect()
}

pub(super) fn saved_claims(claims: &[Claim]) -> Vec<(String, u8)> {
    let one = |claim: &Claim| (claim.agent.id.to_owned(), claim.bits());
    claims.iter().map(one).collect()
}

impl Saved {
    /// What is known once a repository was looked at as a whole.
    pub(in crate::audit) fn new(
        known: Vec<Oid>,
        contents: &Contents,
        commits: &Commits,
        texts: &[TextHit],
    ) -> Saved {
        // A commit whose parents are missing is asked again: they may have come.
        let lacking: HashSet<Oid> = (commits.rows.iter())
            .filter(|row| row.lacks_parents)
            .map(|row| row.id)
            .collect();
        let rows = || commits.rows.iter().filter(|row| !row.lacks_parents);
        Saved {
            known: (known.into_iter())
                .filter(|id| !lacking.contains(id) && !commits.failed.contains(id))
                .map(Id)
                .collect(),
            found: (contents.hits.iter())
                .map(|(id, hits)| {
                    let one = |found: &Found| SavedHit::new(&found.hit());
                    (Id(*id), hits.iter().map(one).collect())
                })
                .collect(),
            odd: contents.odd.iter().copied().map(Id).collect(),
            returns: contents.returns.iter().copied().map(Id).collect(),
            names: commits.names.iter().map(|name| Bytes::new(name)).collect(),
            commits: rows()
                .map(|row| SavedCommit {
                    id: Id(row.id),
                    tree: Id(row.tree),
                    parents: (row.parents.iter())
                        .map(|parent| Id(commits.rows[*parent as usize].id))
                        .collect(),
                    time: row.time,
                    names: (row.author, row.committer),
                    signed: row.signed,
                    claims: saved_claims(&row.claims),
                })
                .collect(),
            tags: (commits.tags.values())
                .map(|tag| {
                    let claims = saved_claims(&tag.claims);
                    (Id(tag.id), Id(tag.target), tag.time, tag.tagger, claims)
                })
                .collect(),
            texts: (texts.iter())
                .filter(|one| !lacking.contains(&one.object))
                .map(|one| {
                    let hit = SavedHit::new(&one.hit);
                    let print = one.print.to_string();
                    (
                        Id(one.object),
                        part_number(one.part),
                        hit,
                        print,
                        one.line,
                        one.column,
                    )
                })
                .collect(),
            walk: SavedWalk::default(),
            judged: Judged::default(),
        }
    }

    /// Adds what the walk over these commits met.
    pub(in crate::audit) fn keep_walk(
        &mut self,
        commits: &Commits,
        agents: &[String],
        nodes: &[Node],
        reached: &[bool],
        walked: &Walked,
    ) {
        let id = |node: Node| Id(commits.rows[node as usize].id);
        let name = |index: u32| agents[index as usize].clone();
        self.walk = SavedWalk {
            walked: nodes.iter().map(|node| id(*node)).collect(),
            apart: (nodes.iter().filter(|node| !reached[**node as usize]))
                .map(|node| id(*node))
                .collect(),
            agents: agents.to_vec(),
            fresh: (walked.fresh.iter())
                .filter_map(|one| {
                    Some(SavedFresh {
                        hit: SavedHit::new(&one.hit),
                        print: one.thing.print.to_string(),
                        of_path: one.thing.path.is_some(),
                        part: part_number(one.part),
                        commit: id(one.commit?),
                        path: one.path.as_ref().map(|path| Bytes::new(path)),
                        blob: one.blob.map(Id),
                        at: one.at,
                    })
                })
                .collect(),
            gone: (walked.gone.iter())
                .map(|(thing, node)| {
                    let path = thing.path.as_ref().map(|path| Bytes::new(path));
                    (
                        thing.rule.to_string(),
                        thing.print.to_string(),
                        path,
                        id(*node),
                    )
                })
                .collect(),
            seen: walked.seen.iter().copied().map(Id).collect(),
            touched: (walked.touched.iter())
                .map(|((index, path), count)| (name(*index), Bytes::new(path), *count))
                .collect(),
            untold: (walked.untold.iter())
                .map(|(index, count)| (name(*index), *count))
                .collect(),
        };
    }

    /// Adds what was judged.
    pub(in crate::audit) fn keep_judged(&mut self, judged: Judged) {
        self.judged = judged;
    }
}
