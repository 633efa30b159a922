//! Objects of the quarantine and of the store: one store each, the quarantine asked first. Replace refs are never honoured:
//! nobody asks for them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

pub use gix_object::Kind;

use super::commit_graph::{CommitGraph, Listed};
use super::packs::index::Index;
use super::parse::{self, Commit, Tag, TreeEntry};
use super::store::{Store, View};
use super::{Layout, RepoError, alternates};
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

/// All object folders of one repository, the quarantine first.
pub(super) struct Stores {
    hash: HashKind,
    incoming: Option<Store>,
    /// The repository's own, then further entries of `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    stored: Vec<Store>,
    commit_graphs: OnceLock<Vec<CommitGraph>>,
}

impl Stores {
    pub(super) fn new(layout: &Layout) -> Result<Stores, RepoError> {
        let mut dirs = vec![layout.objects_dir()];
        dirs.extend(layout.alternates.iter().cloned());
        Ok(Stores {
            hash: layout.hash,
            incoming: layout
                .incoming
                .clone()
                .map(|dir| Store::new(dir, layout.hash)),
            stored: dirs
                .into_iter()
                .map(|dir| Store::new(dir, layout.hash))
                .collect(),
            commit_graphs: OnceLock::new(),
        })
    }

    fn commit_graphs(&self) -> &[CommitGraph] {
        self.commit_graphs.get_or_init(|| {
            let mut dirs = Vec::new();
            for store in &self.stored {
                dirs.push(store.dir().to_owned());
                dirs.extend(alternates::of(store.dir()).unwrap_or_default());
            }
            let open = |dir: PathBuf| CommitGraph::open(&dir, self.hash);
            dirs.into_iter().filter_map(open).collect()
        })
    }

    pub(super) fn incoming_objects(&self, budget: &Budget) -> Result<Vec<Oid>, RepoError> {
        let mut ids = Vec::new();
        if let Some(store) = &self.incoming {
            for name in names(store.dir())? {
                let path = store.dir().join(&name);
                match name.as_encoded_bytes() {
                    b"pack" => self.packed_objects(&path, budget, &mut ids)?,
                    [first, second] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => {
                        self.loose_objects(&path, name.as_encoded_bytes(), budget, &mut ids)?;
                    }
                    _ => {}
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Objects of one `objects/ab` folder. Files with other names are git's half-written ones.
    fn loose_objects(
        &self,
        dir: &Path,
        start: &[u8],
        budget: &Budget,
        ids: &mut Vec<Oid>,
    ) -> Result<(), RepoError> {
        for name in names(dir)? {
            let hex = [start, name.as_encoded_bytes()].concat();
            if let Ok(id) = Oid::from_hex(&hex)
                && id.kind() == self.hash
            {
                budget.take_bytes(self.hash.len_in_bytes() as u64)?;
                ids.push(id);
            }
        }
        Ok(())
    }

    /// Objects of all packs in the folder. Each pack has an index; a multi-pack index lists nothing else.
    fn packed_objects(
        &self,
        dir: &Path,
        budget: &Budget,
        ids: &mut Vec<Oid>,
    ) -> Result<(), RepoError> {
        for name in names(dir)? {
            if !name.as_encoded_bytes().ends_with(b".idx") {
                continue;
            }
            let index = Index::read(&dir.join(name), self.hash).map_err(RepoError::Open)?;
            budget.take_bytes((index.len() * self.hash.len_in_bytes()) as u64)?;
            ids.extend((0..index.len()).map(|at| index.id(at)));
        }
        Ok(())
    }
}

/// The names in a folder.
fn names(dir: &Path) -> Result<Vec<OsString>, RepoError> {
    std::fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|found| found.file_name()))
                .collect()
        })
        .map_err(|error| RepoError::Open(format!("{}: {error}", dir.display())))
}

/// Reads objects, for one thread.
pub struct Reader<'r> {
    stores: &'r Stores,
    incoming: Option<View<'r>>,
    stored: Vec<View<'r>>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(stores: &'r Stores) -> Self {
        Reader {
            stores,
            incoming: stores.incoming.as_ref().map(View::new),
            stored: stores.stored.iter().map(View::new).collect(),
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
            let Some(located) = view.locate(id)? else {
                continue;
            };
            if located.kind != Kind::Blob {
                budget.check_object(located.size)?;
            }
            budget.take_bytes(located.size)?;
            let text = view
                .read(id, &located, budget)?
                .ok_or(RepoError::Missing(*id))?;
            buffer.clear();
            buffer.extend_from_slice(&text);
            return Ok(Some(Object {
                kind: located.kind,
                data: buffer,
            }));
        }
        // git knows the empty tree without having it.
        Ok(id.is_empty_tree().then_some(Object {
            kind: Kind::Tree,
            data: &[],
        }))
    }

    /// Reads a blob whose size the caller has from [`Reader::header`], and has found small enough.
    pub fn read(&self, id: &Oid, size: u64, budget: &Budget) -> Result<Rc<Vec<u8>>, RepoError> {
        budget.take_bytes(size)?;
        for view in self.views() {
            if let Some(located) = view.locate(id)? {
                return view
                    .read(id, &located, budget)?
                    .ok_or(RepoError::Missing(*id));
            }
        }
        Err(RepoError::Missing(*id))
    }

    /// Kind and size of an object, without inflating it; `None` when no store has it.
    pub fn header(&self, id: &Oid) -> Result<Option<(Kind, u64)>, RepoError> {
        for view in self.views() {
            if let Some(located) = view.locate(id)? {
                return Ok(Some((located.kind, located.size)));
            }
        }
        Ok(id.is_empty_tree().then_some((Kind::Tree, 0)))
    }

    /// What a commit-graph of the store lists of a commit, if one does.
    pub(super) fn listed(&self, id: &Oid) -> Option<Listed> {
        let graphs = self.stores.commit_graphs().iter();
        graphs.filter_map(|graph| graph.find(id)).next()
    }

    /// The same as [`Reader::commit`], for a commit that is likely in the store.
    pub(super) fn stored_commit(&self, id: &Oid, budget: &Budget) -> Result<Commit, RepoError> {
        let views = self.stored.iter().chain(&self.incoming);
        self.with(views, id, Kind::Commit, budget, |data, hash| {
            parse::commit(*id, data, hash)
        })
    }

    /// Whether the repository has the object without the quarantine: in its own folder or in an alternate.
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
        self.with(self.views(), id, Kind::Commit, budget, |data, hash| {
            parse::commit(*id, data, hash)
        })
    }

    /// Reads and parses an annotated tag. One that is absent is [`RepoError::Missing`].
    pub fn tag(&self, id: &Oid, budget: &Budget) -> Result<Tag, RepoError> {
        self.with(self.views(), id, Kind::Tag, budget, |data, hash| {
            parse::tag(*id, data, hash)
        })
    }

    /// Reads a tree and splits it into entries. One that is absent is [`RepoError::Missing`].
    pub fn tree(&self, id: &Oid, budget: &Budget) -> Result<Vec<TreeEntry>, RepoError> {
        self.with(self.views(), id, Kind::Tree, budget, |data, hash| {
            parse::tree(*id, data, hash)
        })
    }

    fn with<'v, T>(
        &self,
        views: impl Iterator<Item = &'v View<'r>>,
        id: &Oid,
        wanted: Kind,
        budget: &Budget,
        parse: impl FnOnce(&[u8], HashKind) -> Result<T, RepoError>,
    ) -> Result<T, RepoError>
    where
        'r: 'v,
    {
        for view in views {
            let Some(located) = view.locate(id)? else {
                continue;
            };
            if located.kind != wanted {
                return Err(RepoError::Corrupt {
                    id: *id,
                    why: format!("a {wanted} is expected here, but it is a {}", located.kind),
                });
            }
            budget.check_object(located.size)?;
            budget.take_bytes(located.size)?;
            let text = view
                .read(id, &located, budget)?
                .ok_or(RepoError::Missing(*id))?;
            return parse(&text, self.stores.hash);
        }
        if id.is_empty_tree() && wanted == Kind::Tree {
            return parse(&[], self.stores.hash);
        }
        Err(RepoError::Missing(*id))
    }
}
