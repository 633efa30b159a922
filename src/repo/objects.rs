//! Objects of the quarantine and of the store, through the gitoxide plumbing crates: one store each, the quarantine
//! asked first. Replace refs are never honoured: no replacement is handed to a store.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gix_object::FindHeader as _;
pub use gix_object::Kind;
use gix_odb::HandleArc;

use super::parse::{self, Commit, Defect, Tag, TreeEntry};
use super::{Layout, RepoError};
use crate::budget::Budget;
use crate::push::{HashKind, Oid};

/// An object as it is stored, in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'b> {
    /// Commit, tree, blob or tag.
    pub kind: Kind,
    /// Its content.
    pub data: &'b [u8],
}

/// Index files that may come beside those counted when a store is opened, should a repack run at the same time.
const SPARE_SLOTS: usize = 16;

/// One object folder with what its `info/alternates` adds. Opened when the first object is asked of it.
struct Store {
    dir: PathBuf,
    hash: HashKind,
    opened: OnceLock<Result<Arc<gix_odb::Store>, String>>,
}

impl Store {
    fn new(dir: PathBuf, hash: HashKind) -> Store {
        Store {
            dir,
            hash,
            opened: OnceLock::new(),
        }
    }

    fn open(&self) -> Result<&Arc<gix_odb::Store>, RepoError> {
        self.opened
            .get_or_init(|| {
                let slots = count_indices(&self.dir)? + SPARE_SLOTS;
                let options = gix_odb::store::init::Options {
                    slots: gix_odb::store::init::Slots::Given(
                        u16::try_from(slots).map_err(|_| "it has too many packs")?,
                    ),
                    current_dir: Some(PathBuf::from("/")),
                    ..Default::default()
                };
                gix_odb::Store::at_opts(
                    self.dir.clone(),
                    self.hash,
                    &mut std::iter::empty(),
                    options,
                )
                .map(Arc::new)
                .map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(|why| RepoError::Open(format!("{}: {why}", self.dir.display())))
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
                count += files
                    .filter_map(Result::ok)
                    .filter(|file| file.path().extension().is_some_and(|end| end == "idx"))
                    .count();
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(count)
}

/// All object folders of one repository, the quarantine first.
pub(super) struct Stores {
    hash: HashKind,
    incoming: Option<Store>,
    /// The repository's own, then further entries of `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    stored: Vec<Store>,
}

impl Stores {
    pub(super) fn new(layout: &Layout) -> Result<Stores, RepoError> {
        let store = |dir: &PathBuf| Store::new(dir.clone(), layout.hash);
        Ok(Stores {
            hash: layout.hash,
            incoming: layout.incoming.as_ref().map(store),
            stored: std::iter::once(&layout.objects_dir())
                .chain(&layout.alternates)
                .map(store)
                .collect(),
        })
    }

    pub(super) fn incoming_objects(&self, budget: &Budget) -> Result<Vec<Oid>, RepoError> {
        let Some(store) = &self.incoming else {
            return Ok(Vec::new());
        };
        let open = |why: String| RepoError::Open(format!("{}: {why}", store.dir.display()));
        let mut ids = Vec::new();
        let entries = std::fs::read_dir(&store.dir).map_err(|error| open(error.to_string()))?;
        for entry in entries {
            let entry = entry.map_err(|error| open(error.to_string()))?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.len() == 2 && name.iter().all(u8::is_ascii_hexdigit) {
                let files =
                    std::fs::read_dir(entry.path()).map_err(|error| open(error.to_string()))?;
                for file in files {
                    let file = file.map_err(|error| open(error.to_string()))?;
                    let mut hex = name.to_vec();
                    hex.extend_from_slice(file.file_name().as_encoded_bytes());
                    if hex.len() == self.hash.len_in_hex()
                        && let Ok(id) = Oid::from_hex(&hex)
                    {
                        budget.take_bytes(hex.len() as u64)?;
                        ids.push(id);
                    }
                }
            } else if name == b"pack" {
                let files =
                    std::fs::read_dir(entry.path()).map_err(|error| open(error.to_string()))?;
                for file in files {
                    let path = file.map_err(|error| open(error.to_string()))?.path();
                    if path.extension().is_some_and(|end| end == "idx") {
                        let index = gix_pack::index::File::at(&path, self.hash)
                            .map_err(|error| open(error.to_string()))?;
                        budget.take_bytes(
                            u64::from(index.num_objects()) * self.hash.len_in_bytes() as u64,
                        )?;
                        ids.extend(index.iter().map(|entry| entry.oid));
                    }
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// Reads objects, for one thread.
pub struct Reader<'r> {
    stores: &'r Stores,
    incoming: Option<View<'r>>,
    stored: Vec<View<'r>>,
    scratch: Cell<Vec<u8>>,
}

/// One thread's view of one store.
struct View<'r> {
    store: &'r Store,
    handle: OnceCell<HandleArc>,
    /// All index files could be loaded, so that a miss is a miss.
    complete: Cell<bool>,
}

impl<'r> View<'r> {
    fn new(store: &'r Store) -> Self {
        View {
            store,
            handle: OnceCell::new(),
            complete: Cell::new(false),
        }
    }

    fn handle(&self) -> Result<&HandleArc, RepoError> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let mut handle = self.store.open()?.to_cache_arc();
        handle.refresh_never();
        Ok(self.handle.get_or_init(|| handle))
    }

    /// After a miss: the store swallows index files that it cannot load, but what they list is not absent.
    fn confirm_absence(&self, id: &Oid) -> Result<(), RepoError> {
        if self.complete.get() {
            return Ok(());
        }
        let metrics = self.handle()?.store_ref().metrics();
        if metrics.open_reachable_indices < metrics.known_reachable_indices {
            return Err(RepoError::Corrupt {
                id: *id,
                why: "a pack index that may list it cannot be read".into(),
            });
        }
        self.complete.set(true);
        Ok(())
    }

    fn header(&self, id: &Oid) -> Result<Option<(Kind, u64)>, RepoError> {
        match self.handle()?.try_header(id) {
            Ok(Some(header)) => Ok(Some((header.kind, header.size))),
            Ok(None) => self.confirm_absence(id).map(|()| None),
            Err(error) => Err(corrupt(id, &error)),
        }
    }

    fn contains(&self, id: &Oid) -> Result<bool, RepoError> {
        if self.handle()?.exists_without_refresh(id) {
            return Ok(true);
        }
        self.confirm_absence(id).map(|()| false)
    }

    fn find<'b>(&self, id: &Oid, buffer: &'b mut Vec<u8>) -> Result<Option<Object<'b>>, RepoError> {
        use gix_object::Find as _;
        match self.handle()?.try_find(id, buffer) {
            Ok(Some(found)) => Ok(Some(Object {
                kind: found.kind,
                data: found.data,
            })),
            Ok(None) => self.confirm_absence(id).map(|()| None),
            Err(error) => Err(corrupt(id, &error)),
        }
    }
}

fn corrupt(id: &Oid, error: &dyn std::fmt::Display) -> RepoError {
    RepoError::Corrupt {
        id: *id,
        why: error.to_string(),
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(stores: &'r Stores) -> Self {
        Reader {
            stores,
            incoming: stores.incoming.as_ref().map(View::new),
            stored: stores.stored.iter().map(View::new).collect(),
            scratch: Cell::default(),
        }
    }

    fn views(&self) -> impl Iterator<Item = &View<'r>> {
        self.incoming.iter().chain(&self.stored)
    }

    /// The object, read into `buffer`; `None` when no store has it. Takes its size from the bytes of `budget`.
    pub fn find<'b>(
        &self,
        id: &Oid,
        buffer: &'b mut Vec<u8>,
        budget: &Budget,
    ) -> Result<Option<Object<'b>>, RepoError> {
        for view in self.views() {
            let Some((kind, size)) = view.header(id)? else {
                continue;
            };
            if kind != Kind::Blob {
                budget.check_object(size)?;
            }
            budget.take_bytes(size)?;
            return match view.find(id, buffer)? {
                Some(object) => Ok(Some(object)),
                None => Err(RepoError::Missing(*id)),
            };
        }
        Ok(None)
    }

    /// Kind and size of an object, without inflating it; `None` when no store has it.
    pub fn header(&self, id: &Oid) -> Result<Option<(Kind, u64)>, RepoError> {
        for view in self.views() {
            if let Some(found) = view.header(id)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether the repository has the object without the quarantine.
    pub fn is_stored(&self, id: &Oid) -> Result<bool, RepoError> {
        for view in &self.stored {
            if view.contains(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the object is in the quarantine.
    pub fn is_incoming(&self, id: &Oid) -> Result<bool, RepoError> {
        match &self.incoming {
            Some(view) => view.contains(id),
            None => Ok(false),
        }
    }

    /// Reads and parses a commit. One that is absent is [`RepoError::Missing`].
    pub fn commit(&self, id: &Oid, budget: &Budget) -> Result<Commit, RepoError> {
        self.with(id, Kind::Commit, budget, |data, hash| {
            parse::commit(*id, data, hash)
        })
    }

    /// Reads and parses an annotated tag. One that is absent is [`RepoError::Missing`].
    pub fn tag(&self, id: &Oid, budget: &Budget) -> Result<Tag, RepoError> {
        self.with(id, Kind::Tag, budget, |data, hash| {
            parse::tag(*id, data, hash)
        })
    }

    /// Reads a tree and splits it into entries. One that is absent is [`RepoError::Missing`].
    pub fn tree(&self, id: &Oid, budget: &Budget) -> Result<Vec<TreeEntry>, RepoError> {
        self.with(id, Kind::Tree, budget, |data, hash| {
            parse::tree(*id, data, hash)
        })
    }

    /// As [`Reader::tree`], and judges the tree as `git fsck` would. For trees that a push brings.
    pub fn tree_with_defects(
        &self,
        id: &Oid,
        budget: &Budget,
    ) -> Result<(Vec<TreeEntry>, Vec<Defect>), RepoError> {
        self.with(id, Kind::Tree, budget, |data, hash| {
            parse::tree_with_defects(*id, data, hash)
        })
    }

    fn with<T>(
        &self,
        id: &Oid,
        wanted: Kind,
        budget: &Budget,
        parse: impl FnOnce(&[u8], HashKind) -> Result<T, RepoError>,
    ) -> Result<T, RepoError> {
        for view in self.views() {
            let Some((kind, size)) = view.header(id)? else {
                continue;
            };
            if kind != wanted {
                return Err(RepoError::Corrupt {
                    id: *id,
                    why: format!("a {wanted} is expected here, but it is a {kind}"),
                });
            }
            budget.check_object(size)?;
            budget.take_bytes(size)?;
            let mut buffer = self.scratch.take();
            let parsed = match view.find(id, &mut buffer) {
                Ok(Some(object)) => parse(object.data, self.stores.hash),
                Ok(None) => Err(RepoError::Missing(*id)),
                Err(error) => Err(error),
            };
            self.scratch.set(buffer);
            return parsed;
        }
        Err(RepoError::Missing(*id))
    }
}
