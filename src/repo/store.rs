//! One object folder with what its `info/alternates` adds, read where it is asked. Files are read, not mapped: one that is cut off
//! meanwhile ends in an error and not in a signal. A miss is believed only when every pack index could be read.

mod bytes;
pub(super) mod lookup;
mod packed;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use packed::{Packed, Trouble, Unpacking};

use super::packs::reading::is_own;
use super::{Kind, RepoError, alternates};
use crate::budget::Budget;
use crate::push::{HashKind, Oid};

/// One object folder with what its `info/alternates` adds.
pub(super) struct Store {
    dir: PathBuf,
    hash: HashKind,
    listed: OnceLock<Result<Arc<Listing>, String>>,
}

impl Store {
    pub(super) fn new(dir: PathBuf, hash: HashKind) -> Store {
        Store {
            dir,
            hash,
            listed: OnceLock::new(),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn listing(&self) -> Result<Arc<Listing>, RepoError> {
        let listed = self
            .listed
            .get_or_init(|| Listing::of(&self.dir, self.hash).map(Arc::new));
        listed.clone().map_err(|why| self.unopened(&why))
    }

    fn unopened(&self, why: &str) -> RepoError {
        RepoError::Open(format!("{}: {why}", self.dir.display()))
    }
}

/// So many packs and their indices stay open while they are asked. Of the others only large ones do.
const OPEN_MAX: usize = 48;

/// How often the packs are listed again for one question.
const LISTED_AGAIN_MAX: usize = 3;

/// The packs of all folders, as they were listed at one moment.
struct Listing {
    folders: Vec<Folder>,
    packs: Vec<Packed>,
}

struct Folder {
    dir: PathBuf,
    /// When the pack folder last changed before it was listed.
    packed_at: Option<SystemTime>,
}

fn packed_at(dir: &Path) -> Option<SystemTime> {
    std::fs::metadata(dir.join("pack"))
        .and_then(|found| found.modified())
        .ok()
}

impl Listing {
    fn of(dir: &Path, hash: HashKind) -> Result<Listing, String> {
        let mut dirs = vec![dir.to_owned()];
        dirs.extend(alternates::of(dir)?);
        let (mut folders, mut packs) = (Vec::new(), Vec::new());
        for dir in dirs {
            let packed_at = packed_at(&dir);
            let folder = dir.join("pack");
            match std::fs::read_dir(&folder) {
                Ok(files) => {
                    for file in files {
                        let name = file.map_err(|error| error.to_string())?.file_name();
                        if name.as_encoded_bytes().ends_with(b".idx") {
                            let may_stay_open = packs.len() < OPEN_MAX;
                            packs.push(Packed::new(folder.join(name), hash, may_stay_open));
                        }
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{}: {error}", folder.display())),
            }
            folders.push(Folder { dir, packed_at });
        }
        Ok(Listing { folders, packs })
    }

    fn has_changed(&self) -> bool {
        self.folders
            .iter()
            .any(|folder| packed_at(&folder.dir) != folder.packed_at)
    }
}

/// Where an object is, and what.
#[derive(Clone)]
pub(super) struct Located {
    pub(super) kind: Kind,
    /// In bytes.
    pub(super) size: u64,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Loose(PathBuf),
    Packed { pack: usize, offset: u64 },
}

/// One thread's view of one store.
pub(super) struct View<'r> {
    store: &'r Store,
    /// Listed anew when a repack was seen.
    listing: RefCell<Option<Arc<Listing>>>,
    /// The pack that had the last object.
    last: Cell<usize>,
    unpacking: RefCell<Unpacking>,
    /// What was located last: it is asked for once more when it is read.
    located: RefCell<Option<(Oid, Located)>>,
}

impl<'r> View<'r> {
    pub(super) fn new(store: &'r Store) -> Self {
        View {
            store,
            listing: RefCell::default(),
            last: Cell::new(0),
            unpacking: RefCell::new(Unpacking::new(store.hash)),
            located: RefCell::default(),
        }
    }

    /// Kind and size of an object, and where it is; of what is large nothing is inflated but its beginning.
    pub(super) fn locate(&self, id: &Oid) -> Result<Option<Located>, RepoError> {
        if let Some((known, located)) = &*self.located.borrow()
            && known == id
        {
            return Ok(Some(located.clone()));
        }
        let located = self.ask(id, |listing| {
            if let Some((pack, offset)) = self.find(listing, id)? {
                let of = listing.packs[pack].opened()?;
                let unpacking = &mut *self.unpacking.borrow_mut();
                let (kind, size) = unpacking.header(of, pack, offset)?;
                let place = Place::Packed { pack, offset };
                return Ok(Some(Located { kind, size, place }));
            }
            let Some(path) = loose(listing, id)? else {
                return Ok(None);
            };
            let reading = &mut self.unpacking.borrow_mut().reading;
            let Some((kind, size)) = reading.loose_start(&path)? else {
                return Ok(None);
            };
            let place = Place::Loose(path);
            Ok(Some(Located { kind, size, place }))
        })?;
        if let Some(located) = &located {
            *self.located.borrow_mut() = Some((*id, located.clone()));
        }
        Ok(located)
    }

    /// Reads what [`View::locate`] found. `None`: it is not there any more.
    pub(super) fn read(
        &self,
        id: &Oid,
        located: &Located,
        budget: &Budget,
    ) -> Result<Option<Rc<Vec<u8>>>, RepoError> {
        if let Some(text) = self.read_at(id, located, budget)? {
            return Ok(Some(text));
        }
        // What was loose is packed, or what was packed is packed anew.
        *self.located.borrow_mut() = None;
        match self.locate(id)? {
            Some(again) if (again.kind, again.size) == (located.kind, located.size) => {
                self.read_at(id, &again, budget)
            }
            _ => Ok(None),
        }
    }

    fn read_at(
        &self,
        id: &Oid,
        located: &Located,
        budget: &Budget,
    ) -> Result<Option<Rc<Vec<u8>>>, RepoError> {
        let read = match &located.place {
            Place::Packed { pack, offset } => {
                let listing = self.listing()?;
                let of = listing.packs[*pack].opened();
                let unpacking = &mut *self.unpacking.borrow_mut();
                match of.and_then(|of| unpacking.object(of, *pack, *offset, budget)) {
                    Ok((_, text)) => Some(text),
                    Err(Trouble::Gone) => None,
                    Err(trouble) => return Err(trouble.of(id)),
                }
            }
            Place::Loose(path) => self.read_loose(id, path)?,
        };
        match read {
            Some(text) if text.len() as u64 != located.size => {
                Err(corrupt(id, "its size changed while it was read"))
            }
            read => Ok(read),
        }
    }

    /// In a pack the checksum of each entry is verified; a loose file has its name alone.
    fn read_loose(&self, id: &Oid, path: &Path) -> Result<Option<Rc<Vec<u8>>>, RepoError> {
        let mut text = Vec::new();
        let reading = &mut self.unpacking.borrow_mut().reading;
        let kind = reading
            .loose(path, &mut text)
            .map_err(|why| corrupt(id, &why))?;
        match kind {
            None => Ok(None),
            Some(kind) if is_own(id, kind, &text) => Ok(Some(Rc::new(text))),
            Some(_) => Err(corrupt(id, "its content does not match its id")),
        }
    }

    pub(super) fn contains(&self, id: &Oid) -> Result<bool, RepoError> {
        let found = self.ask(id, |listing| {
            let is_there = self.find(listing, id)?.is_some() || loose(listing, id)?.is_some();
            Ok(is_there.then_some(()))
        });
        Ok(found?.is_some())
    }

    fn listing(&self) -> Result<Arc<Listing>, RepoError> {
        let mut listing = self.listing.borrow_mut();
        match &*listing {
            Some(listing) => Ok(Arc::clone(listing)),
            None => Ok(Arc::clone(listing.insert(self.store.listing()?))),
        }
    }

    /// Asks, and asks again if a repack came in between: it writes the new pack before it removes the old one, so that what was
    /// listed may be gone while the object is not.
    fn ask<T>(
        &self,
        id: &Oid,
        question: impl Fn(&Listing) -> Result<Option<T>, Trouble>,
    ) -> Result<Option<T>, RepoError> {
        let mut listing = self.listing()?;
        let mut answer = question(&listing);
        for _ in 0..LISTED_AGAIN_MAX {
            let is_old = match answer {
                Ok(Some(_)) | Err(Trouble::Damaged(_) | Trouble::Exhausted(_)) => false,
                Err(Trouble::Gone) => true,
                Ok(None) => listing.has_changed(),
            };
            if !is_old {
                break;
            }
            let listed = Listing::of(&self.store.dir, self.store.hash);
            listing = Arc::new(listed.map_err(|why| self.store.unopened(&why))?);
            *self.listing.borrow_mut() = Some(Arc::clone(&listing));
            *self.located.borrow_mut() = None;
            self.unpacking.borrow_mut().forget();
            self.last.set(0);
            answer = question(&listing);
        }
        answer.map_err(|trouble| trouble.of(id))
    }

    /// The pack that has an object, and where.
    fn find(&self, listing: &Listing, id: &Oid) -> Result<Option<(usize, u64)>, Trouble> {
        let last = self.last.get();
        let others = (0..listing.packs.len()).filter(|pack| *pack != last);
        let first = listing.packs.get(last).map(|_| last);
        let mut trouble = None;
        for number in first.into_iter().chain(others) {
            let pack = &listing.packs[number];
            let found = match pack.find(id) {
                Ok(Some(offset)) => pack.opened().map(|_| Some(offset)),
                missed => missed,
            };
            match found {
                Ok(Some(offset)) => {
                    self.last.set(number);
                    return Ok(Some((number, offset)));
                }
                Ok(None) => {}
                // Another pack may have it. What is damaged outweighs what is gone.
                Err(Trouble::Gone) if trouble.is_some() => {}
                Err(new) => trouble = Some(new),
            }
        }
        match trouble {
            Some(trouble) if loose(listing, id)?.is_none() => Err(trouble),
            _ => Ok(None),
        }
    }
}

/// The file of a loose object.
fn loose(listing: &Listing, id: &Oid) -> Result<Option<PathBuf>, Trouble> {
    let hex = id.to_string();
    for folder in &listing.folders {
        let path = folder.dir.join(&hex[..2]).join(&hex[2..]);
        if path.try_exists()? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn corrupt(id: &Oid, why: &str) -> RepoError {
    RepoError::Corrupt {
        id: *id,
        why: why.to_owned(),
    }
}
