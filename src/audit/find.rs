//! Which repositories are meant: by paths, by folders that are searched, and by a list.
//!
//! A path that is a repository is this one and what is nested in it; any other folder is searched. Nothing is left out in
//! silence: what could not be entered comes back as a candidate that failed. The search follows no symbolic link, reads no
//! object, and runs nothing.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bstr::BString;

use crate::host;
use crate::order::Order as _;
use crate::policy::HostConfig;
use crate::repo::{About, Layout, RepoError};

/// Folders between one that is given and a repository.
const DEPTH_MAX: usize = 64;
/// Longest path in a list, in bytes.
const PATH_MAX: u64 = 64 << 10;

/// What a git folder is made of: no repository of its own is in there. `modules` and `worktrees` are looked into by name.
const OWN_FOLDERS: &[&str] = &[
    "branches",
    "custom_hooks",
    "hooks",
    "info",
    "lfs",
    "logs",
    "modules",
    "objects",
    "refs",
    "reftable",
    "rr-cache",
    "ringfence",
    "worktrees",
];
/// Gitaly's workshop at the top of its storage: what lies there for moments is no repository of anybody.
const GITALY_FOLDER: &str = "+gitaly";
/// Folders in which hosts keep their repositories: names begin below.
const STORAGE_FOLDERS: &[&str] = &["repositories", "gitea-repositories", "forgejo-repositories"];

/// A repository, or what was taken for one. Names and paths are as they are: fit for comparing, not for showing.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name for people: from the host's layout, else its place below the folder that was searched, else its last two
    /// folders. Two of one name have their paths instead.
    pub name: BString,
    /// The names that a hook in it would have, as `repositories:` of a policy and the ledger know it, most specific first.
    /// Empty: it has none that a policy could name.
    pub names: Vec<String>,
    /// Where it is, absolute, links resolved: the top of the work tree, or the git folder.
    pub path: PathBuf,
    /// Where everything of it is; or why it cannot be looked at, in one sentence.
    pub layout: Result<Layout, String>,
    /// What its files say of it.
    pub about: About,
}

/// A list of paths, one a line.
pub struct List<'a> {
    /// Where it is read from.
    pub input: &'a mut dyn BufRead,
    /// Paths end with NUL, and hold any other byte. Else they end with LF or CRLF; a path that itself ends with CR needs NUL.
    pub is_nul: bool,
}

/// Finds the repositories, each once, in the order of what is given; those of one folder in the order of their paths.
pub fn find(paths: &[PathBuf], list: Option<List<'_>>, host: &HostConfig) -> Vec<Candidate> {
    let mut search = Search {
        host,
        found: Vec::new(),
        known: HashSet::new(),
        seen: 0,
        roots: Vec::new(),
        links: Vec::new(),
    };
    for path in paths {
        search.given(path);
    }
    if let Some(list) = list {
        search.listed(list);
    }
    search.links();
    let mut found = search.found;
    tell_apart(&mut found);
    found
}

/// Two repositories of one name get their paths as names.
fn tell_apart(found: &mut [Candidate]) {
    let mut counts: HashMap<BString, usize> = HashMap::new();
    for candidate in found.iter() {
        *counts.entry(candidate.name.clone()).or_default() += 1;
    }
    for candidate in found {
        if counts[&candidate.name] > 1 {
            candidate.name = whole(&candidate.path);
        }
    }
}

/// The bytes of a path.
fn whole(path: &Path) -> BString {
    path.as_os_str().as_bytes().into()
}

struct Search<'a> {
    host: &'a HostConfig,
    found: Vec<Candidate>,
    /// Shared git folders of the repositories found.
    known: HashSet<PathBuf>,
    /// Repositories and failures met, those known already included.
    seen: usize,
    /// Folders that were given.
    roots: Vec<PathBuf>,
    /// Links to folders, and where they lead.
    links: Vec<(PathBuf, PathBuf)>,
}

/// Where the search is.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The folder that was given.
    root: &'a Path,
    /// In a work tree, where whoever pushes makes folders.
    in_work_tree: bool,
}

impl Search<'_> {
    fn listed(&mut self, mut list: List<'_>) {
        let end = if list.is_nul { b'\0' } else { b'\n' };
        let mut entry = Vec::new();
        loop {
            entry.clear();
            let read = (&mut list.input).take(PATH_MAX).read_until(end, &mut entry);
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    return self.fail(Path::new("-"), format!("the list cannot be read: {error}"));
                }
            }
            let is_whole = entry.pop_if(|last| *last == end).is_some();
            if !is_whole && entry.len() as u64 == PATH_MAX {
                return self.fail(
                    Path::new("-"),
                    "the list has a path that is too long".into(),
                );
            }
            if !list.is_nul {
                entry.pop_if(|last| *last == b'\r');
            }
            if !entry.is_empty() {
                self.given(Path::new(OsStr::from_bytes(&entry)));
            }
        }
    }

    /// A path that was given by name.
    fn given(&mut self, path: &Path) {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return self.fail(path, said(&error)),
        };
        let is_pointer = real.is_file() && real.file_name() == Some(OsStr::new(".git"));
        let real = match real.parent() {
            Some(above) if is_pointer => above.to_owned(),
            _ => real,
        };
        if !real.is_dir() {
            return self.fail(path, "it is no folder".into());
        }
        let at = At {
            root: &real,
            in_work_tree: false,
        };
        let before = self.seen;
        self.folder(&real, at, &mut Vec::new());
        if self.seen == before {
            // A folder inside a repository stands for it.
            match Layout::discover(&real) {
                Ok(layout) => {
                    let place = home(&layout.common_dir).to_owned();
                    self.take(&place, Ok(layout), at);
                }
                Err(_) => self.fail(path, "there is no repository in it".into()),
            }
        }
        self.roots.push(real);
    }

    /// Looks at one folder and what is below. `above`: the folders on the way, so that a mount inside itself ends.
    fn folder(&mut self, dir: &Path, at: At<'_>, above: &mut Vec<(u64, u64)>) {
        let id = match fs::symlink_metadata(dir) {
            Ok(found) => (found.dev(), found.ino()),
            Err(error) => return self.fail(dir, said(&error)),
        };
        if above.contains(&id) {
            return;
        }
        if above.len() > DEPTH_MAX {
            return self.fail(
                dir,
                format!("it is more than {DEPTH_MAX} folders deep, and was not searched"),
            );
        }
        above.push(id);
        self.inside(dir, at, above);
        above.pop();
    }

    fn inside(&mut self, dir: &Path, mut at: At<'_>, above: &mut Vec<(u64, u64)>) {
        let dot_git = dir.join(".git");
        let mut git_dir = fs::symlink_metadata(&dot_git)
            .is_ok_and(|found| found.is_dir())
            .then_some(&*dot_git);
        match Layout::here(dir) {
            Some(opened) => {
                self.take(dir, opened, at);
                if fs::symlink_metadata(&dot_git).is_err() {
                    git_dir = Some(dir);
                } else {
                    at.in_work_tree = true;
                }
            }
            None => {
                if let Some(why) = damage(dir) {
                    self.fail(dir, why.into());
                }
            }
        }
        let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                return self.fail(dir, format!("it cannot be searched: {}", said(&error)));
            }
        };
        entries.order_by_key(fs::DirEntry::file_name);
        let is_git_dir = git_dir == Some(dir);
        for entry in entries {
            let (name, path) = (entry.file_name(), entry.path());
            let is_own = is_git_dir && OWN_FOLDERS.iter().any(|own| name == *own);
            match entry.file_type() {
                Err(error) => self.fail(&path, said(&error)),
                _ if is_own || name == ".git" || name == GITALY_FOLDER => {}
                Ok(kind) if kind.is_dir() => self.folder(&path, at, above),
                // Links in a work tree are content, which anybody may push.
                Ok(kind) if kind.is_symlink() && !at.in_work_tree && !is_git_dir => {
                    match fs::canonicalize(&path) {
                        Ok(target) if target.is_dir() => self.links.push((path, target)),
                        Ok(_) => {}
                        // A storage that is not mounted, perhaps.
                        Err(_) => {
                            self.fail(&path, "it is a symbolic link that leads nowhere".into())
                        }
                    }
                }
                Ok(_) => {}
            }
        }
        if let Some(git_dir) = git_dir {
            self.modules(git_dir, at, above);
        }
    }

    /// The submodules that a git folder keeps, its own and those of its linked worktrees.
    fn modules(&mut self, git_dir: &Path, at: At<'_>, above: &mut Vec<(u64, u64)>) {
        let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let worktrees = git_dir.join("worktrees");
        let mut folders = vec![git_dir.to_owned()];
        if is_dir(&worktrees) {
            match fs::read_dir(&worktrees).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(entries) => folders.extend(entries.iter().map(fs::DirEntry::path)),
                Err(error) => self.fail(
                    &worktrees,
                    format!("it cannot be searched: {}", said(&error)),
                ),
            }
        }
        folders.order();
        for folder in folders {
            let modules = folder.join("modules");
            if is_dir(&modules) {
                self.folder(
                    &modules,
                    At {
                        in_work_tree: false,
                        ..at
                    },
                    above,
                );
            }
        }
    }

    /// Links that lead out of what was searched, to something that nobody gave.
    fn links(&mut self) {
        for (path, target) in std::mem::take(&mut self.links) {
            let is_searched = self.roots.iter().any(|root| target.starts_with(root));
            let is_known = || match Layout::here(&target) {
                Some(Ok(layout)) => self.known.contains(&layout.common_dir),
                _ => false,
            };
            if !is_searched && !is_known() {
                let why = "it is a symbolic link, which a search does not follow: give the folder that it leads to";
                self.fail(&path, why.into());
            }
        }
    }

    fn take(&mut self, dir: &Path, opened: Result<Layout, RepoError>, at: At<'_>) {
        self.seen += 1;
        let whole = |layout: Layout| {
            // A linked worktree is the repository that it belongs to.
            let place = match layout.git_dir == layout.common_dir {
                true => dir.to_owned(),
                false => home(&layout.common_dir).to_owned(),
            };
            let layout = match Layout::here(&layout.common_dir) {
                Some(shared) => shared?,
                None => layout,
            };
            Ok((place, layout.about()?, layout))
        };
        let (path, about, layout) = match opened.and_then(whole) {
            Ok(told) => told,
            Err(error) => return self.fail(dir, error.to_string()),
        };
        if !self.known.insert(layout.common_dir.clone()) {
            return;
        }
        // In a work tree, whoever pushes could make folders that look like a host's.
        let plain = HostConfig::default();
        let (host, noted) = match at.in_work_tree {
            true => (&plain, None),
            false => (self.host, about.gitlab_name.as_deref()),
        };
        let stored = host::stored_names(&layout.common_dir, noted, host).unwrap_or_default();
        self.found.push(Candidate {
            name: name_of(&path, at, &stored),
            names: stored.names,
            path,
            layout: Ok(layout),
            about,
        });
    }

    fn fail(&mut self, path: &Path, why: String) {
        self.seen += 1;
        self.found.push(Candidate {
            name: whole(path),
            names: Vec::new(),
            path: path.to_owned(),
            layout: Err(why),
            about: About::default(),
        });
    }
}

/// The system's words for an error, without the number behind them.
fn said(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// The folder that people know a repository by: the top of its work tree, or the git folder.
fn home(common_dir: &Path) -> &Path {
    match (common_dir.file_name(), common_dir.parent()) {
        (Some(name), Some(above)) if name == ".git" => above,
        _ => common_dir,
    }
}

/// What a folder lacks that looks as if it had been a repository.
fn damage(dir: &Path) -> Option<&'static str> {
    let is_there = |name: &str| fs::symlink_metadata(dir.join(name)).is_ok();
    if is_there(".git") {
        return Some("its .git is no repository: HEAD, objects or refs are missing");
    }
    let parts = ["HEAD", "objects", "refs"].map(is_there);
    let count = parts.iter().filter(|is_there| **is_there).count();
    let is_named = dir.as_os_str().as_bytes().ends_with(b".git");
    let is_one = match count {
        0 => false,
        // Any folder may have one of these names in it.
        1 => is_named,
        _ => is_named || is_there("config") || is_there("packed-refs"),
    };
    is_one.then_some("it looks like a repository, but HEAD, objects or refs are missing")
}

/// The name for people.
fn name_of(path: &Path, at: At<'_>, stored: &host::StoredNames) -> BString {
    let by_folders = stored.names.first();
    if let Some(told) = by_folders.filter(|_| stored.is_told) {
        return told.as_str().into();
    }
    // Bytes, not text: two names that differ must stay two.
    let below: Vec<&OsStr> = match path.strip_prefix(at.root) {
        Ok(below) => below.iter().collect(),
        Err(_) => Vec::new(),
    };
    let is_storage = |part: &&OsStr| STORAGE_FOLDERS.iter().any(|one| *part == *one);
    let start = below.iter().position(is_storage).map_or(0, |at| at + 1);
    let parts: Vec<&[u8]> = below[start..].iter().map(|part| part.as_bytes()).collect();
    let name = parts.join(&b'/');
    let name = name.strip_suffix(b".git").unwrap_or(&name);
    match (name, by_folders) {
        (b"", Some(by_folders)) => by_folders.as_str().into(),
        (b"", None) => whole(path),
        (name, _) => name.into(),
    }
}

#[cfg(test)]
mod tests;
