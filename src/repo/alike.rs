//! Stored refs whose names are taken for that of a new one: on a file system that folds names, or by a reader.
//!
//! Found without listing all refs: folder by folder among the loose ones, by ranges of names in `packed-refs`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use super::RepoError;
use crate::push::RefName;

/// Most names that are told. One more says that there are more.
pub const ALIKE_MAX: usize = 64;

/// What a folder of loose refs holds: names, and which of them are folders. Read once, however many names are looked for.
pub(super) type Folders = HashMap<Vec<u8>, Vec<(Vec<u8>, bool)>>;

/// What is looked for, and what was found.
pub(super) struct Search<'a> {
    name: &'a [u8],
    /// The form of `name`.
    pub(super) form: Vec<u8>,
    of: &'a dyn Fn(&[u8]) -> Vec<u8>,
    /// Names of refs, each at most twice.
    pub(super) found: Vec<RefName>,
}

impl<'a> Search<'a> {
    /// `of` gives the form in which names that are taken for each other are the same. It must work on each component alone, and
    /// do no more to ASCII than to turn it into lower case and to drop dots at the end of a component.
    pub(super) fn new(name: &'a RefName, of: &'a dyn Fn(&[u8]) -> Vec<u8>) -> Self {
        Search {
            name: name.as_bytes(),
            form: of(name.as_bytes()),
            of,
            found: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.found.len() > ALIKE_MAX
    }

    /// Whether two names cannot both be there where names are folded: they are the same, or one is a folder of the other. Where
    /// that is so byte by byte, git itself sees to it.
    pub(super) fn is_alike(&self, stored: &[u8]) -> bool {
        if is_plain(stored) {
            let common = stored.len().min(self.form.len());
            return stored[..common].eq_ignore_ascii_case(&self.form[..common])
                && matches!(stored.get(common), None | Some(b'/'))
                && matches!(self.form.get(common), None | Some(b'/'));
        }
        let form = (self.of)(stored);
        is_folder(&form, &self.form) || is_folder(&self.form, &form) || form == self.form
    }

    /// Takes in a name that is alike, and is not what git refuses by itself.
    pub(super) fn take(&mut self, stored: &[u8]) {
        let same =
            stored == self.name || is_folder(stored, self.name) || is_folder(self.name, stored);
        if !same && let Ok(name) = RefName::new(stored) {
            self.found.push(name);
        }
    }

    /// Looks among the loose refs below `prefix`, which ends with a slash; `from`: how much of the form that is.
    pub(super) fn loose(
        &mut self,
        base: &Path,
        prefix: &[u8],
        from: usize,
        folders: &mut Folders,
    ) -> Result<(), RepoError> {
        let mut on = Vec::new();
        for (own, is_folder) in list(base, prefix, folders)? {
            if self.is_full() {
                return Ok(());
            }
            // Where the form is at its end, everything is below it.
            let length = match from > self.form.len() {
                true => Some(0),
                false => self.starts_with(own, from),
            };
            let name = [prefix, own].concat();
            match length {
                Some(length) if *is_folder => on.push((name, from + length + 1)),
                Some(_) => self.take(&name),
                None => {}
            }
        }
        for (name, from) in on {
            // Byte by byte the same: git refuses the new name as long as anything is in there.
            if from <= self.form.len() || name != self.name {
                self.loose(base, &[&name, b"/".as_slice()].concat(), from, folders)?;
            }
        }
        Ok(())
    }

    /// By how many bytes a component brings the form on, if it does.
    fn starts_with(&self, component: &[u8], from: usize) -> Option<usize> {
        let rest = self.form.get(from..)?;
        let length = if is_plain(component) {
            let start = rest.get(..component.len())?;
            start
                .eq_ignore_ascii_case(component)
                .then_some(component.len())?
        } else {
            let form = (self.of)(component);
            rest.starts_with(&form).then_some(form.len())?
        };
        matches!(rest.get(length), None | Some(b'/')).then_some(length)
    }
}

fn list<'f>(
    base: &Path,
    prefix: &[u8],
    folders: &'f mut Folders,
) -> Result<&'f [(Vec<u8>, bool)], RepoError> {
    let refuse = |error: std::io::Error| {
        RepoError::Refs(format!("{}: {error}", crate::redact::Quoted(prefix)))
    };
    match folders.entry(prefix.to_owned()) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(place) => {
            let mut listed = Vec::new();
            match std::fs::read_dir(base.join(OsStr::from_bytes(prefix))) {
                Ok(entries) => {
                    for entry in entries {
                        let entry = entry.map_err(refuse)?;
                        let is_folder = entry.file_type().map_err(refuse)?.is_dir();
                        listed.push((entry.file_name().into_vec(), is_folder));
                    }
                }
                Err(error) if super::refs::absent(&error) => {}
                Err(error) => return Err(refuse(error)),
            }
            Ok(place.insert(listed))
        }
    }
}

/// Whether `folder` is a folder on the way to `name`.
fn is_folder(folder: &[u8], name: &[u8]) -> bool {
    name.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// Whether the form of a name is the name in lower case.
pub(super) fn is_plain(name: &[u8]) -> bool {
    name.is_ascii() && !name.ends_with(b".") && !bstr::ByteSlice::contains_str(name, "./")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::push::HashKind;
    use crate::repo::packed;

    /// Folds what the real form folds, as far as it matters here.
    fn form(name: &[u8]) -> Vec<u8> {
        crate::policy::spelled_form(name)
    }

    fn found(searches: Vec<Search<'_>>) -> Vec<BTreeSet<RefName>> {
        let of = |search: Search<'_>| search.found.into_iter().collect();
        searches.into_iter().map(of).collect()
    }

    #[test]
    fn ranges_and_folders_find_what_a_list_of_all_finds() {
        let folder = tempfile::tempdir().unwrap();
        let mut stored: BTreeSet<String> = (0..4_000)
            .map(|number| format!("refs/heads/agents/bot-{}/task-{number:05}", number % 7))
            .collect();
        for name in [
            "refs/heads/Agents/bot-1/Task-00008",
            "refs/heads/agents/bot-1./task-00008",
            "refs/heads/agents/BOT-1/task-00008/more/of/it",
            "refs/heads/agents/b\u{43e}t-1/task-00008",
            "refs/heads/agents/Bot-2",
            "refs/heads/agents/bot-2.x/task-00009",
            "refs/heads/agents/bot-2x/task-00009",
            "refs/heads/caf\u{e9}/x",
            "refs/heads/cafe\u{301}/y",
            "refs/heads/zz/\u{200b}a",
            "refs/tags/V1",
        ] {
            stored.insert(name.to_owned());
        }
        let id = "1".repeat(40);
        let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
        for name in &stored {
            text.push_str(&format!("{id} {name}\n"));
            if name.starts_with("refs/tags/") {
                text.push_str(&format!("^{id}\n"));
            }
        }
        let packed_refs = folder.path().join("packed-refs");
        std::fs::write(&packed_refs, &text).unwrap();
        // The same refs loose, as far as a folder and a file do not stand in each other's way.
        for name in &stored {
            let path = folder.path().join(name);
            if std::fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists() {
                std::fs::write(path, format!("{id}\n")).unwrap();
            }
        }
        let wanted: Vec<RefName> = [
            "refs/heads/agents/bot-1/TASK-00008",
            "refs/heads/agents/bot-1/task-00008",
            "refs/heads/agents/BOT-2/task-00009",
            "refs/heads/agents/bot-2/new",
            "refs/heads/agents/Bot-1",
            "refs/heads/AGENTS",
            "refs/heads/cafe\u{301}/x",
            "refs/heads/caf\u{e9}",
            "refs/heads/zz/A",
            "refs/tags/v1",
            "refs/tags/v1/x",
            "refs/tags/v2",
            "refs/heads/new",
            "refs/zzz",
        ]
        .map(|name| RefName::new(name).unwrap())
        .into();
        let searches = || -> Vec<Search<'_>> {
            (wanted.iter())
                .map(|name| Search::new(name, &form))
                .collect()
        };
        let mut by_list = searches();
        for search in &mut by_list {
            for name in &stored {
                if !search.is_full() && search.is_alike(name.as_bytes()) {
                    search.take(name.as_bytes());
                }
            }
        }
        let by_list = found(by_list);
        assert_eq!(by_list.iter().filter(|found| !found.is_empty()).count(), 11);
        let by_hand: Vec<_> = by_list[1].iter().map(|name| format!("{name:?}")).collect();
        assert_eq!(by_hand.len(), 4, "{by_hand:?}");

        let mut ranges = searches();
        packed::alike(&packed_refs, HashKind::Sha1, &mut ranges).unwrap();
        let is_many = |found: &BTreeSet<RefName>| found.len() > ALIKE_MAX;
        for (index, found) in found(ranges).into_iter().enumerate() {
            match is_many(&by_list[index]) {
                true => assert!(is_many(&found)),
                false => assert_eq!(found, by_list[index], "{:?}", wanted[index]),
            }
        }
        std::fs::write(&packed_refs, text.replace(" sorted", "")).unwrap();
        let mut lines = searches();
        packed::alike(&packed_refs, HashKind::Sha1, &mut lines).unwrap();
        assert_eq!(found(lines)[0], by_list[0]);

        let mut loose = searches();
        let mut folders = Folders::new();
        for search in &mut loose {
            let from = b"refs/".len();
            (search.loose(folder.path(), b"refs/", from, &mut folders)).unwrap();
        }
        for (index, found) in found(loose).into_iter().enumerate() {
            match is_many(&by_list[index]) {
                true => assert!(is_many(&found)),
                false => assert_eq!(found, by_list[index], "{:?}", wanted[index]),
            }
        }
    }
}
