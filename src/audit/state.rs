//! What an audit knows of a repository for the next one, so that it costs what is new: `--state DIR`, a file a repository.
//!
//! Objects never change, so what was found in them holds as long as the program, its rules and the key of the fingerprints are
//! the same; what a policy would have refused holds as long as the policy does as well. The file is sealed with that key:
//! who cannot read the key cannot make one that hides something. A file that does not fit is not used, and made anew.

mod saved;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

use super::commits::{Collector, Commits, Node, Row, TagRow, TextHit};
use super::contents::{Contents, Found};
use super::walk::{Fresh, Thing, Walked};
use crate::finding::Part;
use crate::push::{HashKind, Oid};
use crate::redact::{Fingerprint, FingerprintKey};
use crate::scan;
use saved::{Bytes, Id, PARTS, SavedHit, claims_of};
pub(super) use saved::{Judged, Saved};

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
            let path = self.path(place);
            // A pipe would be waited for, and a device has no end.
            let file = (fs::metadata(&path)
                .ok()?
                .is_file()
                .then(|| File::open(&path)))?
            .ok()?;
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

    /// Commits whose files need not be compared again, for these agents, and whether what agents touch in each is counted; what
    /// the walk over them met is added.
    pub(super) fn restore_walk(
        &self,
        commits: &Commits,
        agents: &[String],
        into: &mut Walked,
    ) -> HashMap<Node, bool> {
        let walk = &self.saved.walk;
        // An identity that the policy did not declare then: nobody counted what it touches.
        if !agents.iter().all(|agent| walk.agents.contains(agent)) {
            return HashMap::new();
        }
        // One commit that is gone: what was summed up with it is too much.
        let node = |id: &Id| commits.nodes.get(&id.0).copied();
        let apart: HashSet<Node> = walk.apart.iter().filter_map(node).collect();
        let is_counted = |node: Node| (node, !apart.contains(&node));
        let nodes: Option<HashMap<Node, bool>> =
            (walk.walked.iter().map(|id| node(id).map(is_counted))).collect();
        let Some(nodes) = nodes else {
            return HashMap::new();
        };
        let index = |agent: &String| agents.iter().position(|one| one == agent);
        for one in &walk.fresh {
            let (Some(hit), Some(print)) = (one.hit.get(), Fingerprint::parse(&one.print)) else {
                return HashMap::new();
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
