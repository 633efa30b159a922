//! Where the objects and refs of one repository are: from the variables of a hook, or found from a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::{RepoError, Vars, alternates, config};
use crate::push::HashKind;

/// How refs are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefStorage {
    /// One file a ref, and `packed-refs`.
    Files,
    /// Reftable: not read by the gate itself; `git` is asked.
    Reftable,
}

/// Where the objects and refs of one repository are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `$GIT_DIR`, absolute.
    pub git_dir: PathBuf,
    /// The shared folder of a linked worktree; else the same as `git_dir`.
    pub common_dir: PathBuf,
    /// The quarantine: `GIT_OBJECT_DIRECTORY` when it is not the repository's own folder.
    pub incoming: Option<PathBuf>,
    /// Object folders beside the repository's own, from `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    pub alternates: Vec<PathBuf>,
    /// Length of ids.
    pub hash: HashKind,
    /// How refs are stored.
    pub refs: RefStorage,
}

/// What the files of a repository say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// History is cut off at some commits.
    pub is_shallow: bool,
    /// Objects are left with a remote until they are needed.
    pub is_partial: bool,
    /// GitLab's name of it.
    pub gitlab_name: Option<String>,
    /// Object folders that it borrows from and that are not there, in the words of the file that names them.
    pub alternates_missing: Vec<PathBuf>,
}

impl Layout {
    /// The repository of a hook that git runs in `cwd`.
    ///
    /// A delete-only push sets no object variables; GitLab sets them without `GIT_QUARANTINE_PATH`, so that one is
    /// not asked for.
    pub fn from_hook(vars: Vars<'_>, cwd: &Path) -> Result<Layout, RepoError> {
        let given = |name: &str| vars(name).filter(|value| !value.is_empty());
        let Some(git_dir) = given("GIT_DIR") else {
            return Err(RepoError::Open("GIT_DIR is not set".into()));
        };
        let common_dir = given("GIT_COMMON_DIR").map(|dir| cwd.join(dir));
        let mut layout = Layout::at(&cwd.join(git_dir), common_dir)?;
        let own = real(&layout.objects_dir());
        if let Some(dir) = given("GIT_OBJECT_DIRECTORY") {
            let dir = cwd.join(dir);
            if !dir.is_dir() {
                return Err(RepoError::Open(
                    "GIT_OBJECT_DIRECTORY names no folder".into(),
                ));
            }
            let dir = real(&dir);
            if dir != own {
                layout.incoming = Some(dir);
            }
        }
        if let Some(list) = given("GIT_ALTERNATE_OBJECT_DIRECTORIES") {
            for entry in alternates::split(list.as_bytes(), b':') {
                let dir = real(&cwd.join(entry));
                // git warns about a folder that is not there and goes on; what is missing then is missing.
                let known = dir == own
                    || layout.incoming.as_ref() == Some(&dir)
                    || layout.alternates.contains(&dir);
                if !known && dir.is_dir() {
                    layout.alternates.push(dir);
                }
            }
        }
        Ok(layout)
    }

    /// The repository that `from` is in: a work tree or any folder inside it, or a bare repository.
    pub fn discover(from: &Path) -> Result<Layout, RepoError> {
        let start = std::fs::canonicalize(from)
            .map_err(|error| RepoError::Open(format!("{}: {error}", from.display())))?;
        if !start.is_dir() {
            return Err(RepoError::Open(format!(
                "{} is not a folder",
                from.display()
            )));
        }
        for dir in start.ancestors() {
            if let Some(opened) = Layout::here(dir) {
                return opened;
            }
        }
        Err(RepoError::Open(format!(
            "{} is not inside a git repository",
            from.display()
        )))
    }

    /// The repository that `dir` itself is: the top of a work tree, or a git folder. Folders above are not asked. `None`: it
    /// is none.
    pub fn here(dir: &Path) -> Option<Result<Layout, RepoError>> {
        let dot_git = dir.join(".git");
        if dot_git.is_file() {
            return Some(gitdir_file(&dot_git).and_then(|git_dir| Layout::at(&git_dir, None)));
        }
        let git_dirs = [dot_git.as_path(), dir];
        let git_dir = git_dirs.into_iter().find(|dir| is_git_dir(dir))?;
        Some(Layout::at(git_dir, None))
    }

    /// What its files say of it, beside what is asked for to read it.
    pub fn about(&self) -> Result<About, RepoError> {
        let format = config::read(&self.common_dir.join("config"))?;
        let shallow = std::fs::metadata(self.common_dir.join("shallow"));
        let packs = std::fs::read_dir(self.objects_dir().join("pack"));
        let mut files = packs.into_iter().flatten().flatten();
        let promised =
            |file: &std::fs::DirEntry| file.file_name().as_encoded_bytes().ends_with(b".promisor");
        Ok(About {
            is_shallow: shallow.is_ok_and(|found| found.len() > 0),
            is_partial: format.is_partial || files.any(|file| promised(&file)),
            gitlab_name: format.gitlab_name,
            alternates_missing: alternates::missing(&self.objects_dir()),
        })
    }

    /// The repository's own object folder.
    pub fn objects_dir(&self) -> PathBuf {
        self.common_dir.join("objects")
    }

    fn at(git_dir: &Path, common_dir: Option<PathBuf>) -> Result<Layout, RepoError> {
        let git_dir = real(git_dir);
        let common_dir = match common_dir {
            Some(dir) => real(&dir),
            None => common_dir_of(&git_dir)?,
        };
        if !common_dir.join("objects").is_dir() {
            return Err(RepoError::Open(format!(
                "{} is not a git repository",
                git_dir.display()
            )));
        }
        let config = config::read(&common_dir.join("config"))?;
        Ok(Layout {
            git_dir,
            common_dir,
            incoming: None,
            alternates: Vec::new(),
            hash: config.hash,
            refs: config.refs,
        })
    }
}

/// The path with links and dots resolved where it exists; else with dots resolved by text.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| {
        let mut out = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    out.pop();
                }
                other => out.push(other),
            }
        }
        out
    })
}

/// Enough to be one for git too: `HEAD`, and objects and refs here or in the shared folder.
fn is_git_dir(dir: &Path) -> bool {
    let head = std::fs::symlink_metadata(dir.join("HEAD"))
        .is_ok_and(|found| found.is_file() || found.is_symlink());
    head && (dir.join("commondir").is_file()
        || (dir.join("objects").is_dir() && dir.join("refs").is_dir()))
}

/// Longest `.git` or `commondir` file that is read.
const POINTER_MAX_BYTES: u64 = 64 << 10;

fn read_pointer(path: &Path) -> Result<Vec<u8>, RepoError> {
    let cannot = |why: String| RepoError::Open(format!("{}: {why}", path.display()));
    let mut text =
        super::read_file(path, POINTER_MAX_BYTES).map_err(|error| cannot(error.to_string()))?;
    while matches!(text.last(), Some(b'\n' | b'\r')) {
        text.pop();
    }
    Ok(text)
}

/// What a `.git` file of a linked worktree or submodule points to.
fn gitdir_file(path: &Path) -> Result<PathBuf, RepoError> {
    let text = read_pointer(path)?;
    match text.strip_prefix(b"gitdir: ") {
        Some(target) if !target.is_empty() => {
            let base = path.parent().unwrap_or(Path::new("/"));
            Ok(base.join(OsStr::from_bytes(target)))
        }
        _ => Err(RepoError::Open(format!(
            "{} names no repository",
            path.display()
        ))),
    }
}

fn common_dir_of(git_dir: &Path) -> Result<PathBuf, RepoError> {
    let pointer = git_dir.join("commondir");
    if !pointer.is_file() {
        return Ok(git_dir.to_owned());
    }
    let target = read_pointer(&pointer)?;
    if target.is_empty() {
        return Err(RepoError::Open(format!("{} is empty", pointer.display())));
    }
    Ok(real(&git_dir.join(OsStr::from_bytes(&target))))
}
