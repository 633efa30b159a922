//! One object folder through gix-odb: opened when first asked, never refreshed by a mere miss, and a miss is believed
//! only when every pack index could be read.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use gix_object::FindHeader as _;
use gix_odb::HandleArc;
use gix_pack::Find as _;

use super::RepoError;
use super::objects::{Kind, Object};
use crate::push::{HashKind, Oid};

/// Index files that may come beside those counted when a store is opened, should a repack run at the same time.
const SPARE_SLOTS: usize = 16;
/// Largest piece of memory for one object while its deltas are applied. Blobs are asked for their size first; this
/// bounds what lies hidden inside a chain of deltas.
const ALLOCATION_MAX_BYTES: usize = 1 << 30;

/// One object folder with what its `info/alternates` adds.
pub(super) struct Store {
    dir: PathBuf,
    hash: HashKind,
    opened: OnceLock<Result<Opened, String>>,
}

struct Opened {
    store: Arc<gix_odb::Store>,
    /// When the pack folder last changed before it was listed.
    packed_at: Option<SystemTime>,
}

impl Store {
    pub(super) fn new(dir: PathBuf, hash: HashKind) -> Store {
        Store {
            dir,
            hash,
            opened: OnceLock::new(),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn open(&self) -> Result<&Opened, RepoError> {
        self.opened
            .get_or_init(|| {
                let packed_at = self.packed_at();
                // The store reads the lists itself, whatever they are.
                super::alternates::of(&self.dir)?;
                let slots = count_indices(&self.dir)? + SPARE_SLOTS;
                let options = gix_odb::store::init::Options {
                    slots: gix_odb::store::init::Slots::Given(
                        u16::try_from(slots).map_err(|_| "it has too many packs")?,
                    ),
                    alloc_limit_bytes: Some(ALLOCATION_MAX_BYTES),
                    current_dir: Some(PathBuf::from("/")),
                    ..Default::default()
                };
                let dir = self.dir.clone();
                // No replacement is handed over: replace refs are never honoured.
                let store =
                    gix_odb::Store::at_opts(dir, self.hash, &mut std::iter::empty(), options)
                        .map_err(|error| error.to_string())?;
                Ok(Opened {
                    store: Arc::new(store),
                    packed_at,
                })
            })
            .as_ref()
            .map_err(|why| RepoError::Open(format!("{}: {why}", self.dir.display())))
    }

    fn packed_at(&self) -> Option<SystemTime> {
        std::fs::metadata(self.dir.join("pack"))
            .and_then(|found| found.modified())
            .ok()
    }
}

/// Index files in an object folder and its alternates. The store takes a fixed number of slots; counting names costs
/// one directory listing, where the store's own count would ask for the metadata of each file.
fn count_indices(dir: &Path) -> Result<usize, String> {
    let others = gix_odb::alternate::resolve(dir.to_owned(), Path::new("/"))
        .map_err(|error| error.to_string())?;
    let mut count = 0;
    for dir in std::iter::once(dir).chain(others.iter().map(PathBuf::as_path)) {
        match std::fs::read_dir(dir.join("pack")) {
            Ok(files) => {
                for file in files {
                    let name = file.map_err(|error| error.to_string())?.file_name();
                    count += usize::from(name.as_encoded_bytes().ends_with(b".idx"));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(count)
}

/// One thread's view of one store.
pub(super) struct View<'r> {
    store: &'r Store,
    /// Never lists the folder again: a miss costs nothing.
    steady: OnceCell<HandleArc>,
    /// Lists the folder again on a miss; asked when a repack was seen.
    fresh: OnceCell<HandleArc>,
    /// All index files could be loaded, so that a miss is a miss.
    complete: Cell<bool>,
}

impl<'r> View<'r> {
    pub(super) fn new(store: &'r Store) -> Self {
        View {
            store,
            steady: OnceCell::new(),
            fresh: OnceCell::new(),
            complete: Cell::new(false),
        }
    }

    pub(super) fn header(&self, id: &Oid) -> Result<Option<(Kind, u64)>, RepoError> {
        self.ask(id, |handle| match handle.try_header(id) {
            Ok(found) => Ok(found.map(|header| (header.kind, header.size))),
            Err(error) => Err(corrupt(id, &error)),
        })
    }

    pub(super) fn contains(&self, id: &Oid) -> Result<bool, RepoError> {
        let found = self.ask(id, |handle| {
            Ok(gix_object::Exists::exists(handle, id).then_some(()))
        });
        Ok(found?.is_some())
    }

    pub(super) fn find<'b>(
        &self,
        id: &Oid,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Object<'b>>, RepoError> {
        let kind = self.ask(id, |handle| match handle.try_find(id, buffer) {
            Ok(Some((object, Some(_in_pack)))) => Ok(Some(object.kind)),
            Ok(Some((object, None))) => self.verified(id, object).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(corrupt(id, &error)),
        })?;
        Ok(kind.map(|kind| Object { kind, data: buffer }))
    }

    /// A loose object is inflated up to the length that it names, and what follows is not looked at, its checksum
    /// among it: so its id is. In a pack the checksum of each entry is verified.
    fn verified(&self, id: &Oid, object: gix_object::Data<'_>) -> Result<Kind, RepoError> {
        match gix_object::compute_hash(self.store.hash, object.kind, object.data) {
            Ok(found) if found == *id => Ok(object.kind),
            Ok(_) => Err(corrupt(id, &"its content does not match its id")),
            Err(error) => Err(corrupt(id, &error)),
        }
    }

    fn ask<T>(
        &self,
        id: &Oid,
        mut question: impl FnMut(&HandleArc) -> Result<Option<T>, RepoError>,
    ) -> Result<Option<T>, RepoError> {
        let opened = self.store.open()?;
        let steady = self.steady.get_or_init(|| {
            let mut handle = handle(opened);
            handle.refresh_never();
            handle
        });
        if let Some(found) = question(steady)? {
            return Ok(Some(found));
        }
        // A repack writes the new pack before it removes the old one, so that what was listed may be gone while
        // the object is not.
        if self.store.packed_at() != opened.packed_at
            && let Some(found) = question(self.fresh.get_or_init(|| handle(opened)))?
        {
            return Ok(Some(found));
        }
        self.confirm_absence(id, &opened.store)?;
        Ok(None)
    }

    /// The store passes over an index file that it cannot load, but what that one lists is not absent.
    fn confirm_absence(&self, id: &Oid, store: &gix_odb::Store) -> Result<(), RepoError> {
        if self.complete.get() {
            return Ok(());
        }
        let metrics = store.metrics();
        if metrics.open_reachable_indices < metrics.known_reachable_indices {
            return Err(RepoError::Corrupt {
                id: *id,
                why: "a pack index that may list it cannot be read".into(),
            });
        }
        self.complete.set(true);
        Ok(())
    }
}

fn handle(opened: &Opened) -> HandleArc {
    opened
        .store
        .to_cache_arc()
        .with_pack_cache(|| Box::new(DeltaBases::default()))
}

fn corrupt(id: &Oid, error: &dyn std::fmt::Display) -> RepoError {
    RepoError::Corrupt {
        id: *id,
        why: error.to_string(),
    }
}

/// Half of what one handle keeps of objects made from deltas, in bytes.
const GENERATION_BYTES: usize = 2 << 20;

/// Objects made from deltas are the bases of older ones: a walk over history would build each chain anew. Kept in
/// two generations; when the young one is full it becomes the old one, and what was old is dropped.
#[derive(Default)]
struct DeltaBases {
    young: HashMap<(u32, u64), Base>,
    young_bytes: usize,
    old: HashMap<(u32, u64), Base>,
}

struct Base {
    kind: Kind,
    packed: usize,
    data: Vec<u8>,
}

impl DeltaBases {
    fn keep(&mut self, key: (u32, u64), base: Base) {
        self.young_bytes += base.data.len() + size_of::<Base>();
        self.young.insert(key, base);
        if self.young_bytes > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

impl gix_pack::cache::DecodeEntry for DeltaBases {
    fn put(&mut self, pack: u32, offset: u64, data: &[u8], kind: Kind, packed: usize) {
        if data.len() <= GENERATION_BYTES / 2 {
            let data = data.to_vec();
            self.keep((pack, offset), Base { kind, packed, data });
        }
    }

    fn get(&mut self, pack: u32, offset: u64, out: &mut Vec<u8>) -> Option<(Kind, usize)> {
        let key = (pack, offset);
        if let Some(base) = self.old.remove(&key) {
            self.keep(key, base);
        }
        let base = self.young.get(&key).or_else(|| self.old.get(&key))?;
        out.clear();
        out.extend_from_slice(&base.data);
        Some((base.kind, base.packed))
    }
}
