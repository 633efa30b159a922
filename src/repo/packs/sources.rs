//! What the object folders hold: packs and loose objects, each object once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::{Path, PathBuf};

use super::index::Index;
use super::pack::{Entry, NONE, Pack, Refused, State};
use super::reading::{Reading, is_own};
use super::work::{Failure, Root};
use super::{Unread, Visit, delta};
use crate::push::{HashKind, Oid};
use crate::repo::{Kind, RepoError};

/// The files of the object folders, as they were listed.
#[derive(Default)]
pub(super) struct Listing {
    /// Without their ending.
    packs: BTreeSet<PathBuf>,
    /// Packs that no index was found for.
    bare: BTreeSet<PathBuf>,
    /// The folder, and the object.
    loose: BTreeSet<(Oid, u32)>,
}

impl Listing {
    /// Lists the folders. One that is not there is empty.
    pub(super) fn of(folders: &[PathBuf], hash: HashKind) -> Result<Listing, RepoError> {
        let mut listing = Listing::default();
        for (number, folder) in folders.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            for name in names(folder)? {
                let path = folder.join(&name);
                match name.as_encoded_bytes() {
                    b"pack" => listing.packs(&path)?,
                    [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                        for rest in names(&path)? {
                            let hex = [&[*a, *b], rest.as_encoded_bytes()].concat();
                            // Files with other names are git's half-written ones.
                            if let Ok(id) = Oid::from_hex(&hex)
                                && id.kind() == hash
                            {
                                listing.loose.insert((id, number));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(listing)
    }

    fn packs(&mut self, folder: &Path) -> Result<(), RepoError> {
        let (mut indices, mut packs) = (BTreeSet::new(), BTreeSet::new());
        for name in names(folder)? {
            let path = folder.join(&name);
            match path.extension().map(std::ffi::OsStr::as_encoded_bytes) {
                Some(b"idx") => indices.insert(path.with_extension("")),
                Some(b"pack") => packs.insert(path.with_extension("")),
                _ => false,
            };
        }
        let bare = packs.difference(&indices);
        self.bare
            .extend(bare.filter(|path| !is_half_written(path)).cloned());
        self.packs.extend(indices);
        Ok(())
    }

    /// What is here and was not there before.
    pub(super) fn without(mut self, before: &Listing) -> Listing {
        self.packs = &self.packs - &before.packs;
        self.loose = &self.loose - &before.loose;
        self
    }

    /// Packs that had no index both times: git does not look into them either, but something lies there.
    pub(super) fn still_bare<'l>(
        &'l self,
        before: &'l Listing,
    ) -> impl Iterator<Item = Unread> + 'l {
        self.bare.intersection(&before.bare).map(|path| Unread {
            what: name_of(path),
            why: "it has no index".to_owned(),
            objects: 0,
        })
    }
}

/// The names in a folder.
fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, RepoError> {
    let listed = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    match listed {
        // A repack removes folders that are empty.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| RepoError::Open(format!("{}: {error}", folder.display()))),
    }
}

/// A pack that `git repack` is still writing: it gets its name once its index is there. It may take long.
fn is_half_written(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".tmp-")
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("{}.pack", name.to_string_lossy())
}

/// Packs that are open, and loose objects that none of them has.
pub(super) struct Sources {
    pub(super) packs: Vec<Pack>,
    loose: Vec<(Oid, u32)>,
    folders: Vec<PathBuf>,
    /// Indices of packs that were listed and are gone.
    pub(super) gone: Vec<(String, Index)>,
    /// Packs that were listed and are gone with their indices: nobody knows what was in them.
    pub(super) vanished: Vec<String>,
    /// What could not be opened.
    pub(super) unread: Vec<Unread>,
}

impl Sources {
    /// Opens what was listed.
    pub(super) fn open(listing: &Listing, folders: &[PathBuf], hash: HashKind) -> Sources {
        let mut sources = Sources {
            packs: Vec::new(),
            loose: Vec::new(),
            folders: folders.to_vec(),
            gone: Vec::new(),
            vanished: Vec::new(),
            unread: Vec::new(),
        };
        for path in &listing.packs {
            sources.open_pack(path, hash);
        }
        for (id, folder) in &listing.loose {
            let is_known = sources.loose.last().is_some_and(|(known, _)| known == id);
            if !is_known && sources.place(id).is_none() {
                sources.loose.push((*id, *folder));
            }
        }
        sources
    }

    fn open_pack(&mut self, path: &Path, hash: HashKind) {
        let name = name_of(path);
        let refused = |why, objects| Unread {
            what: name.clone(),
            why,
            objects,
        };
        let index_path = path.with_extension("idx");
        let index = match Index::read(&index_path, hash) {
            Ok(index) => index,
            // It was removed together with its pack, after what is in it was written elsewhere.
            Err(_) if !index_path.exists() => return self.vanished.push(name),
            Err(why) => return self.unread.push(refused(why, 0)),
        };
        let count = index.len() as u64;
        // It may still lead to most of what is there.
        if !index.is_whole() {
            let why = "its index is damaged: objects may be missing that nobody can name";
            self.unread.push(refused(why.to_owned(), 0));
        }
        match Pack::open(&path.with_extension("pack"), index, hash) {
            Ok(pack) => {
                if !pack.fits {
                    let why = "it does not end as its index says: it is damaged, or cut off";
                    self.unread.push(refused(why.to_owned(), 0));
                }
                self.packs.push(pack);
            }
            Err(Refused::Gone) => {
                if let Ok(index) = Index::read(&index_path, hash) {
                    self.gone.push((name, index));
                }
            }
            Err(Refused::Damaged(why)) => self.unread.push(refused(why, count)),
        }
    }

    /// The loose object with this number, and its file.
    pub(super) fn loose_at(&self, at: usize) -> (Oid, PathBuf) {
        let (id, folder) = self.loose[at];
        (id, self.loose_path(&id, folder))
    }

    fn loose_path(&self, id: &Oid, folder: u32) -> PathBuf {
        let hex = id.to_string();
        self.folders[folder as usize]
            .join(&hex[..2])
            .join(&hex[2..])
    }

    /// Where a pack has an object.
    fn place(&self, id: &Oid) -> Option<(usize, u32)> {
        self.places(id).next()
    }

    fn places(&self, id: &Oid) -> impl Iterator<Item = (usize, u32)> {
        let id = *id;
        self.packs.iter().enumerate().filter_map(move |(at, pack)| {
            let offset = pack.index.offset(pack.index.find(&id)?)?;
            Some((at, pack.at(offset)?))
        })
    }

    /// Whether a pack or a loose file has an object.
    pub(super) fn has(&self, id: &Oid) -> bool {
        self.place(id).is_some() || self.loose.binary_search_by(|(own, _)| own.cmp(id)).is_ok()
    }

    /// Finds out what everything is, asks what is wanted, and gives the places to begin at. What nothing leads to is told.
    pub(super) fn plan(
        &mut self,
        wants: impl Fn(&Oid, Kind) -> bool,
        is_known: impl Fn(&Oid) -> bool,
        failures: &mut Vec<Failure>,
    ) -> Vec<Root> {
        let again = self.again();
        let mut roots = Vec::new();
        for at in 0..self.packs.len() {
            let count = u32::try_from(self.packs[at].entries.len()).unwrap_or(NONE);
            // Kinds of what is whole first: bases elsewhere are told from these.
            for entry in 0..count {
                let Pack { entries, .. } = &mut self.packs[at];
                let Entry { base, state, .. } = entries[entry as usize];
                if base == NONE && state != State::Elsewhere {
                    self.packs[at].reach(entry, state);
                }
            }
        }
        for at in 0..self.packs.len() {
            let elsewhere: Vec<(u32, Oid)> = self.packs[at]
                .elsewhere
                .iter()
                .map(|(entry, base)| (*entry, *base))
                .collect();
            for (entry, base) in elsewhere {
                let state = match self.kind_of(&base) {
                    Some(kind) => State::Of(kind),
                    None => State::Lost("its base is missing"),
                };
                self.packs[at].reach(entry, state);
            }
        }
        for (at, again) in again.iter().enumerate() {
            let pack = &mut self.packs[at];
            let count = u32::try_from(pack.entries.len()).unwrap_or(NONE);
            for entry in 0..count {
                let id = pack.id(entry);
                let number = pack.entries[entry as usize].number as usize;
                if again.get(number).copied().unwrap_or_default() || is_known(&id) {
                    continue;
                }
                let mut lost = |why: &str| {
                    failures.push(Failure {
                        id,
                        pack: Some(pack.name.clone()),
                        why: why.to_owned(),
                        objects: vec![id],
                    });
                };
                match pack.entries[entry as usize].state {
                    State::Of(Kind::Tree) => {}
                    State::Of(kind) if wants(&id, kind) => pack.want(entry),
                    State::Of(_) => {}
                    // What it is nobody knows, so that it would have been wanted.
                    State::Unreached => lost("its deltas go round in a circle"),
                    State::Lost(why) => lost(why),
                    State::Elsewhere => lost("its base is missing"),
                }
            }
            let number = u32::try_from(at).unwrap_or(NONE);
            for entry in 0..count {
                let here = &pack.entries[entry as usize];
                if here.base == NONE && here.weight > 0 {
                    pack.weigh(entry);
                    roots.push(Root::Packed {
                        pack: number,
                        entry,
                    });
                }
            }
        }
        for (at, (id, _)) in self.loose.iter().enumerate() {
            if !is_known(id) {
                let at = u32::try_from(at).unwrap_or(NONE);
                roots.push(Root::Loose { at });
            }
        }
        roots
    }

    /// For each pack which of its objects a pack before has too.
    fn again(&self) -> Vec<Vec<bool>> {
        if self.packs.len() < 2 {
            return vec![Vec::new(); self.packs.len()];
        }
        let mut again: Vec<Vec<bool>> = self
            .packs
            .iter()
            .map(|pack| vec![false; pack.index.len()])
            .collect();
        // All indices are sorted: the least of their heads is the next id.
        let mut heads: BinaryHeap<Reverse<(Oid, usize, usize)>> = BinaryHeap::new();
        for (at, pack) in self.packs.iter().enumerate() {
            if pack.index.len() > 0 {
                heads.push(Reverse((pack.index.id(0), at, 0)));
            }
        }
        let mut last = None;
        while let Some(Reverse((id, at, number))) = heads.pop() {
            again[at][number] = last == Some(id);
            last = Some(id);
            if number + 1 < self.packs[at].index.len() {
                heads.push(Reverse((
                    self.packs[at].index.id(number + 1),
                    at,
                    number + 1,
                )));
            }
        }
        again
    }

    /// What an object is that some delta is against. Nothing is inflated for what is packed.
    fn kind_of(&self, id: &Oid) -> Option<Kind> {
        let mut id = *id;
        // A base elsewhere may have one elsewhere itself; more of them than packs is a circle, or absurd.
        for _ in 0..=self.packs.len() {
            let Some((pack, mut entry)) = self.place(&id) else {
                let mut text = Vec::new();
                let path = self.loose_file(&id)?;
                return Reading::new().loose(&path, &mut text).ok().flatten();
            };
            let pack = &self.packs[pack];
            let mut steps = 0;
            while pack.entries[entry as usize].base != NONE {
                entry = pack.entries[entry as usize].base;
                steps += 1;
                if steps > pack.entries.len() {
                    return None;
                }
            }
            match pack.entries[entry as usize].state {
                State::Of(kind) => return Some(kind),
                State::Elsewhere => id = *pack.elsewhere.get(&entry)?,
                State::Unreached | State::Lost(_) => return None,
            }
        }
        None
    }

    fn loose_file(&self, id: &Oid) -> Option<PathBuf> {
        // A base may be loose and packed: the list of loose objects does not have it then, the folder does.
        (0..u32::try_from(self.folders.len()).ok()?)
            .map(|folder| self.loose_path(id, folder))
            .find(|path| path.is_file())
    }

    /// Decodes one object by itself: the chain of its deltas up to what is whole, in this pack or elsewhere.
    pub(super) fn alone(
        &self,
        reading: &mut Reading,
        pack: u32,
        entry: u32,
    ) -> Result<(Kind, Vec<u8>), String> {
        let mut chain = vec![(pack as usize, entry)];
        let most: usize = self.packs.iter().map(|pack| pack.entries.len()).sum();
        let mut text = Vec::new();
        let kind = loop {
            let (pack, entry) = chain[chain.len() - 1];
            let of = &self.packs[pack];
            if chain.len() > most {
                return Err("its deltas go round in a circle".to_owned());
            }
            if of.entries[entry as usize].base != NONE {
                chain.push((pack, of.entries[entry as usize].base));
            } else if let Some(id) = of.elsewhere.get(&entry) {
                match self.place(id) {
                    Some(place) => chain.push(place),
                    None => {
                        let path = self.loose_file(id).ok_or("its base is missing")?;
                        break reading
                            .loose(&path, &mut text)?
                            .ok_or("its base is missing")?;
                    }
                }
            } else {
                let State::Of(kind) = of.entries[entry as usize].state else {
                    return Err("its base cannot be read".to_owned());
                };
                reading.entry(&self.packs, pack, entry, &mut text)?;
                chain.pop();
                break kind;
            }
        };
        let (mut delta, mut made, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        while let Some((pack, entry)) = chain.pop() {
            reading.entry(&self.packs, pack, entry, &mut delta)?;
            delta::apply(&delta, &text, &mut made, &mut parts)?;
            std::mem::swap(&mut text, &mut made);
        }
        Ok((kind, text))
    }

    /// Reads an object that could not be read in one pack from any other place that has it.
    pub(super) fn second_chance<V: Visit>(
        &self,
        reading: &mut Reading,
        id: &Oid,
        not_in: Option<&str>,
        visitor: &mut V,
    ) -> bool {
        let others = self.places(id);
        let mut others = others.filter(|(pack, _)| not_in != Some(&self.packs[*pack].name));
        let packed = others.find_map(|(pack, entry)| {
            let pack = u32::try_from(pack).ok()?;
            self.alone(reading, pack, entry).ok()
        });
        let found = packed.or_else(|| {
            let mut text = Vec::new();
            let kind = reading.loose(&self.loose_file(id)?, &mut text).ok()??;
            is_own(id, kind, &text).then_some((kind, text))
        });
        match found {
            Some((Kind::Tree, _)) => true,
            Some((Kind::Blob, text)) => {
                visitor.blob(id, &text);
                true
            }
            Some((kind, text)) => {
                visitor.object(id, kind, &text);
                true
            }
            None => false,
        }
    }
}
