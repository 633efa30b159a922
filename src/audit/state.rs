//! What an audit knows of a repository for the next one, so that it costs what is new: `--state DIR`, a file a repository.
//!
//! Objects never change, so what was found in them holds as long as the program, its rules and the key of the fingerprints are
//! the same; what a policy would have refused holds as long as the policy does as well. The file is sealed with that key:
//! who cannot read the key cannot make one that hides something. A file that does not fit is not used, and made anew.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bstr::BString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::commits::{Claim, Collector, Commits, Node, Row, TagRow, TextHit};
use super::contents::{Contents, Found};
use super::record;
use super::walk::{Fresh, Thing, Walked};
use crate::check::{self, Hit};
use crate::finding::{Confidence, Evidence, Part};
use crate::identity::claims;
use crate::push::{HashKind, Oid};
use crate::redact::{Fingerprint, FingerprintKey};
use crate::scan;

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 4 << 30;
/// Changes with the form of the file.
const FORM: &str = "ringfence audit state 1";

/// Where the states of a run are, and what they must fit.
pub struct States {
    folder: PathBuf,
    /// Of the program and its rules.
    engine: [u8; 32],
}

impl States {
    /// Keeps states in this folder, which is made if it is not there. Once the rules of the run are in use.
    pub fn open(folder: &Path) -> io::Result<States> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut hash = Sha256::new();
        hash.update(FORM);
        // Another build may look at things in another way.
        hash.update(fs::read(std::env::current_exe()?)?);
        hash.update(scan::active().bytes());
        Ok(States {
            folder: folder.to_path_buf(),
            engine: hash.finalize().into(),
        })
    }

    /// The file of a repository, by where it is.
    fn path(&self, place: &Path) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let digest = Sha256::digest(place.as_os_str().as_bytes());
        let name = data_encoding::HEXLOWER.encode(&digest[..16]);
        self.folder.join(format!("{name}.state"))
    }

    fn seal(&self, key: &FingerprintKey, place: &Path, bytes: &[u8]) -> [u8; 32] {
        use std::os::unix::ffi::OsStrExt as _;
        let mut hash = Sha256::new();
        hash.update(self.engine);
        hash.update(Sha256::digest(place.as_os_str().as_bytes()));
        hash.update(bytes);
        key.seal(FORM, &hash.finalize())
    }

    /// What is known of the repository at a place; nothing, when there is no file that fits.
    pub(super) fn load(&self, key: &FingerprintKey, place: &Path) -> State {
        let read = || -> Option<Saved> {
            let file = File::open(self.path(place)).ok()?;
            let mut bytes = Vec::new();
            file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
            let (seal, saved) = bytes.split_first_chunk::<32>()?;
            if *seal != self.seal(key, place, saved) {
                return None;
            }
            serde_json::from_slice(saved).ok()
        };
        read().and_then(State::of).unwrap_or_default()
    }

    /// Keeps what is known now: the whole of it, or what was kept before.
    pub(super) fn store(
        &self,
        key: &FingerprintKey,
        place: &Path,
        saved: &Saved,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(saved)?;
        let path = self.path(place);
        let draft = path.with_extension(format!("{}", std::process::id()));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(&self.seal(key, place, &bytes))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        let written = write();
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written
    }
}

/// What an earlier audit of a repository found.
#[derive(Default)]
pub(super) struct State {
    /// Sorted.
    known: Vec<Oid>,
    /// Which of these are still there.
    met: Vec<AtomicBool>,
    saved: Saved,
}

/// The file. Ids are hex; bytes are text whose characters are the bytes.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    known: Vec<Id>,
    found: Vec<(Id, Vec<SavedHit>)>,
    odd: Vec<Id>,
    returns: Vec<Id>,
    names: Vec<Bytes>,
    commits: Vec<SavedCommit>,
    tags: Vec<SavedTag>,
    texts: Vec<(Id, u8, SavedHit, String, u64, u64)>,
    walk: SavedWalk,
    judged: Judged,
}

/// Id, target, time, tagger, claims.
type SavedTag = (Id, Id, i64, u32, Vec<(String, u8)>);

#[derive(Serialize, Deserialize)]
struct SavedCommit {
    id: Id,
    tree: Id,
    parents: Vec<Id>,
    time: i64,
    names: (u32, u32),
    signed: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<(String, u8)>,
}

/// What the walk over the files of these commits met.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedWalk {
    walked: Vec<Id>,
    /// Agents whose paths were counted: the identities come from the policy.
    agents: Vec<String>,
    fresh: Vec<SavedFresh>,
    gone: Vec<(String, String, Option<Bytes>, Id)>,
    seen: Vec<Id>,
    touched: Vec<(String, Bytes, u64)>,
    untold: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct SavedFresh {
    hit: SavedHit,
    print: String,
    of_path: bool,
    part: u8,
    commit: Id,
    path: Option<Bytes>,
    blob: Option<Id>,
    at: Option<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct SavedHit {
    rule: String,
    title: String,
    bytes: (usize, usize),
    confidence: Option<u8>,
    evidence: Option<(Option<String>, usize, String)>,
    detail: Option<String>,
}

/// What was judged under one policy, by commit, identity and ref.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Judged {
    policy: String,
    pub(super) commits: HashMap<String, Vec<record::Finding>>,
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

const PARTS: [Part; 12] = [
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
const CONFIDENCES: [Confidence; 3] = [
    Confidence::Possible,
    Confidence::Likely,
    Confidence::Certain,
];

/// An id as hex.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Id(Oid);

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
struct Bytes(String);

impl Bytes {
    fn new(bytes: &[u8]) -> Bytes {
        Bytes(bytes.iter().map(|byte| char::from(*byte)).collect())
    }

    fn get(&self) -> BString {
        (self.0.chars())
            .filter_map(|one| u8::try_from(u32::from(one)).ok())
            .collect::<Vec<u8>>()
            .into()
    }
}

impl SavedHit {
    fn new(hit: &Hit) -> SavedHit {
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

    fn get(&self) -> Option<Hit> {
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

fn part_number(part: Part) -> u8 {
    PARTS.iter().position(|one| *one == part).unwrap_or(0) as u8
}

fn claims_of(saved: &[(String, u8)]) -> Option<Box<[Claim]>> {
    let one = |(id, sources): &(String, u8)| {
        let agent = claims::agents().iter().find(|agent| agent.id == id)?;
        Some(Claim::restored(agent, *sources))
    };
    saved.iter().map(one).collect()
}

fn saved_claims(claims: &[Claim]) -> Vec<(String, u8)> {
    let one = |claim: &Claim| (claim.agent.id.to_owned(), claim.bits());
    claims.iter().map(one).collect()
}

impl State {
    fn of(mut saved: Saved) -> Option<State> {
        let mut known: Vec<Oid> = saved.known.drain(..).map(|id| id.0).collect();
        known.sort_unstable();
        let met = known.iter().map(|_| AtomicBool::new(false)).collect();
        Some(State { known, met, saved })
    }

    /// Whether an object was looked at before; notes that it is still there.
    pub(super) fn knows(&self, id: &Oid) -> bool {
        let found = self.known.binary_search(id);
        if let Ok(place) = found {
            self.met[place].store(true, Ordering::Relaxed);
        }
        found.is_ok()
    }

    /// The known objects that are still there. Others are forgotten, and so is what was found in them.
    pub(super) fn known(&self) -> Vec<Oid> {
        let met = self.met.iter().map(|met| met.load(Ordering::Relaxed));
        let there = self.known.iter().zip(met).filter(|(_, met)| *met);
        there.map(|(id, _)| *id).collect()
    }

    /// Whether objects are gone that were known.
    pub(super) fn has_lost(&self, known: &[Oid]) -> bool {
        known.len() < self.known.len()
    }

    /// Adds what was found before in objects that are still there.
    pub(super) fn restore(
        &self,
        known: &[Oid],
        hash: HashKind,
        contents: &mut Contents,
        into: &mut Collector<'_>,
    ) {
        let is_there = |id: &Oid| id.kind() == hash && known.binary_search(id).is_ok();
        for (id, hits) in self.saved.found.iter().filter(|(id, _)| is_there(&id.0)) {
            let hits = hits.iter().filter_map(SavedHit::get).map(Found::new);
            contents.hits.insert(id.0, hits.collect());
        }
        let odd = self.saved.odd.iter().map(|id| id.0);
        contents.odd.extend(odd.filter(is_there));
        let returns = self.saved.returns.iter().map(|id| id.0);
        contents.returns.extend(returns.filter(is_there));
        let names: Vec<u32> = (self.saved.names.iter())
            .map(|name| into.named(name.get()))
            .collect();
        let name = |index: u32| names.get(index as usize).copied().unwrap_or(0);
        for one in self.saved.commits.iter().filter(|one| is_there(&one.id.0)) {
            let row = Row {
                id: one.id.0,
                tree: one.tree.0,
                parents: Box::default(),
                lacks_parents: false,
                time: one.time,
                author: name(one.names.0),
                committer: name(one.names.1),
                signed: one.signed,
                claims: claims_of(&one.claims).unwrap_or_default(),
            };
            into.restore_commit(row, one.parents.iter().map(|id| id.0).collect());
        }
        for (id, target, time, tagger, claims) in &self.saved.tags {
            if is_there(&id.0) {
                into.restore_tag(TagRow {
                    id: id.0,
                    target: target.0,
                    time: *time,
                    tagger: name(*tagger),
                    claims: claims_of(claims).unwrap_or_default(),
                });
            }
        }
        for (object, part, hit, print, line, column) in &self.saved.texts {
            let (Some(hit), Some(print)) = (hit.get(), Fingerprint::parse(print)) else {
                continue;
            };
            if is_there(&object.0) {
                into.restore_text(TextHit {
                    object: object.0,
                    part: PARTS
                        .get(usize::from(*part))
                        .copied()
                        .unwrap_or(Part::Header),
                    hit,
                    print,
                    line: *line,
                    column: *column,
                });
            }
        }
    }

    /// Commits whose files need not be compared again, for these agents; what the walk over them met is added.
    pub(super) fn restore_walk(
        &self,
        commits: &Commits,
        agents: &[String],
        into: &mut Walked,
    ) -> HashSet<Node> {
        let walk = &self.saved.walk;
        // An identity that the policy did not declare then: nobody counted what it touches.
        if !agents.iter().all(|agent| walk.agents.contains(agent)) {
            return HashSet::new();
        }
        // One commit that is gone: what was summed up with it is too much.
        let node = |id: &Id| commits.nodes.get(&id.0).copied();
        let nodes: Option<HashSet<Node>> = walk.walked.iter().map(node).collect();
        let Some(nodes) = nodes else {
            return HashSet::new();
        };
        let index = |agent: &String| agents.iter().position(|one| one == agent);
        for one in &walk.fresh {
            let (Some(hit), Some(print)) = (one.hit.get(), Fingerprint::parse(&one.print)) else {
                return HashSet::new();
            };
            let path = one.path.as_ref().map(Bytes::get);
            into.fresh.push(Fresh {
                thing: Thing {
                    rule: hit.rule.clone(),
                    print,
                    path: path.clone().filter(|_| one.of_path),
                },
                hit,
                part: PARTS
                    .get(usize::from(one.part))
                    .copied()
                    .unwrap_or(Part::Content),
                commit: node(&one.commit),
                path,
                blob: one.blob.map(|blob| blob.0),
                tag: None,
                name: None,
                at: one.at,
            });
        }
        for (rule, print, path, commit) in &walk.gone {
            if let (Some(print), Some(node)) = (Fingerprint::parse(print), node(commit)) {
                let thing = Thing {
                    rule: Cow::Owned(rule.clone()),
                    print,
                    path: path.as_ref().map(Bytes::get),
                };
                into.gone.push((thing, node));
            }
        }
        into.seen.extend(walk.seen.iter().map(|id| id.0));
        for (agent, path, count) in &walk.touched {
            if let Some(index) = index(agent) {
                into.touched.insert((index as u32, path.get()), *count);
            }
        }
        for (agent, count) in &walk.untold {
            if let Some(index) = index(agent) {
                into.untold.insert(index as u32, *count);
            }
        }
        nodes
    }

    /// What was judged under this policy.
    pub(super) fn judged(&self, policy: &str) -> Judged {
        match self.saved.judged.policy == policy {
            true => self.saved.judged.clone(),
            false => Judged::under(policy),
        }
    }
}

impl Saved {
    /// What is known once a repository was looked at as a whole.
    pub(super) fn new(
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
    pub(super) fn keep_walk(
        &mut self,
        commits: &Commits,
        agents: &[String],
        nodes: &[Node],
        walked: &Walked,
    ) {
        let id = |node: Node| Id(commits.rows[node as usize].id);
        let name = |index: u32| agents[index as usize].clone();
        self.walk = SavedWalk {
            walked: nodes.iter().map(|node| id(*node)).collect(),
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
    pub(super) fn keep_judged(&mut self, judged: Judged) {
        self.judged = judged;
    }
}
