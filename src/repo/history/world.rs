//! A repository and a quarantine, filled object by object without a process; `git` is asked afterwards what it thinks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use git2::ObjectType;

use super::*;
use crate::budget::{Bounds, Budget};
use crate::push;
use crate::repo::Layout;

/// Path to mode and content. For a gitlink the content is the hex id of the commit.
pub(super) type Files = BTreeMap<String, (u32, Vec<u8>)>;

pub(super) struct World {
    dir: tempfile::TempDir,
    kept: git2::Repository,
    sent: git2::Repository,
}

pub(super) fn files(list: &[(&str, &str)]) -> Files {
    list.iter()
        .map(|(path, text)| ((*path).into(), (0o100_644, text.as_bytes().to_vec())))
        .collect()
}

impl World {
    pub(super) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let kept = git2::Repository::init_bare(dir.path().join("server.git")).unwrap();
        let sent = git2::Repository::init_bare(dir.path().join("sent.git")).unwrap();
        World { dir, kept, sent }
    }

    pub(super) fn server(&self) -> PathBuf {
        std::fs::canonicalize(self.dir.path().join("server.git")).unwrap()
    }

    fn incoming(&self) -> PathBuf {
        std::fs::canonicalize(self.dir.path().join("sent.git/objects")).unwrap()
    }

    /// Writes an object, as git does: into the quarantine only when the store does not have it.
    pub(super) fn object(&self, sent: bool, kind: ObjectType, data: &[u8]) -> Oid {
        let kept = self.kept.odb().unwrap();
        let id = git2::Oid::hash_object(kind, data).unwrap();
        if !kept.exists(id) {
            let odb = if sent { self.sent.odb().unwrap() } else { kept };
            odb.write(kind, data).unwrap();
        }
        Oid::from_hex(id.to_string().as_bytes()).unwrap()
    }

    /// Writes an object into the quarantine even when the store has it, as a completed thin pack does.
    pub(super) fn object_twice(&self, kind: ObjectType, data: &[u8]) -> Oid {
        let id = self.sent.odb().unwrap().write(kind, data).unwrap();
        Oid::from_hex(id.to_string().as_bytes()).unwrap()
    }

    /// Sends a stored object again.
    pub(super) fn send_again(&self, id: &Oid) {
        let kept = self.kept.odb().unwrap();
        let id = git2::Oid::from_str(&id.to_string()).unwrap();
        let object = kept.read(id).unwrap();
        let sent = self.sent.odb().unwrap();
        sent.write(object.kind(), object.data()).unwrap();
    }

    pub(super) fn blob(&self, sent: bool, data: &[u8]) -> Oid {
        self.object(sent, ObjectType::Blob, data)
    }

    pub(super) fn tree(&self, sent: bool, files: &Files) -> Oid {
        let entries: Vec<(&str, u32, Oid)> = files
            .iter()
            .map(|(path, (mode, content))| {
                let id = if *mode == 0o160_000 {
                    Oid::from_hex(content).unwrap()
                } else {
                    self.blob(sent, content)
                };
                (path.as_str(), *mode, id)
            })
            .collect();
        self.tree_of(sent, &entries)
    }

    pub(super) fn tree_of(&self, sent: bool, entries: &[(&str, u32, Oid)]) -> Oid {
        let mut folders: BTreeMap<&str, Vec<(&str, u32, Oid)>> = BTreeMap::new();
        let mut lines: Vec<(Vec<u8>, &str, u32, Oid)> = Vec::new();
        for (path, mode, id) in entries {
            match path.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((rest, *mode, *id)),
                None => lines.push((path.as_bytes().to_vec(), path, *mode, *id)),
            }
        }
        for (folder, entries) in folders {
            let id = self.tree_of(sent, &entries);
            lines.push((format!("{folder}/").into_bytes(), folder, 0o40_000, id));
        }
        lines.sort();
        let lines: Vec<(u32, &[u8], Oid)> = lines
            .iter()
            .map(|(_, name, mode, id)| (*mode, name.as_bytes(), *id))
            .collect();
        self.raw_tree(sent, &lines)
    }

    pub(super) fn raw_tree(&self, sent: bool, lines: &[(u32, &[u8], Oid)]) -> Oid {
        let mut data = Vec::new();
        for (mode, name, id) in lines {
            data.extend_from_slice(format!("{mode:o} ").as_bytes());
            data.extend_from_slice(name);
            data.push(0);
            data.extend_from_slice(id.as_slice());
        }
        self.object(sent, ObjectType::Tree, &data)
    }

    pub(super) fn commit_tree(&self, sent: bool, parents: &[Oid], tree: Oid, date: i64) -> Oid {
        let mut text = format!("tree {tree}\n");
        for parent in parents {
            text += &format!("parent {parent}\n");
        }
        text += &format!(
            "author A <a@example.com> {date} +0000\ncommitter C <c@example.com> {date} +0000\n\nText\n"
        );
        self.object(sent, ObjectType::Commit, text.as_bytes())
    }

    pub(super) fn commit(&self, sent: bool, parents: &[Oid], files: &Files, date: i64) -> Oid {
        let tree = self.tree(sent, files);
        self.commit_tree(sent, parents, tree, date)
    }

    pub(super) fn tag(&self, sent: bool, target: Oid, kind: &str, name: &str) -> Oid {
        let text = format!(
            "object {target}\ntype {kind}\ntag {name}\ntagger T <t@example.com> 1700000000 +0000\n\nText\n"
        );
        self.object(sent, ObjectType::Tag, text.as_bytes())
    }

    pub(super) fn set_ref(&self, name: &str, id: Oid) {
        let path = self.server().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{id}\n")).unwrap();
    }

    pub(super) fn repo(&self) -> Repo {
        let vars = |name: &str| match name {
            "GIT_DIR" => Some(".".into()),
            "GIT_OBJECT_DIRECTORY" => Some(self.incoming().into()),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES" => Some(self.server().join("objects").into()),
            _ => None,
        };
        Repo::open(Layout::from_hook(&vars, &self.server()).unwrap()).unwrap()
    }

    pub(super) fn history(&self, updates: &[RefUpdate], trusted: &[Oid]) -> History {
        self.try_history(updates, trusted).unwrap()
    }

    pub(super) fn try_history(
        &self,
        updates: &[RefUpdate],
        trusted: &[Oid],
    ) -> Result<History, RepoError> {
        let trusted: Vec<_> = trusted
            .iter()
            .enumerate()
            .map(|(at, id)| (name(&format!("refs/heads/trusted-{at}")), *id))
            .collect();
        self.history_of(updates, &trusted, Bounds::default())
    }

    pub(super) fn history_of(
        &self,
        updates: &[RefUpdate],
        trusted: &[(RefName, Oid)],
        bounds: Bounds,
    ) -> Result<History, RepoError> {
        let bounds = Bounds {
            time: std::time::Duration::from_secs(120),
            ..bounds
        };
        History::of(&self.repo(), updates, trusted, &Budget::new(bounds))
    }

    /// Runs git on the server with the quarantine in view. Exit status and output.
    pub(super) fn git(&self, args: &[&str]) -> (i32, Vec<u8>) {
        self.git_with(args, b"")
    }

    /// As [`World::git`], with standard input.
    pub(super) fn git_with(&self, args: &[&str], input: &[u8]) -> (i32, Vec<u8>) {
        let stdin = self.dir.path().join("stdin");
        std::fs::write(&stdin, input).unwrap();
        let output = Command::new("git")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.incoming())
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "C")
            .env("GIT_COMMITTER_EMAIL", "c@example.com")
            .current_dir(self.server())
            .args(args)
            .stdin(std::fs::File::open(&stdin).unwrap())
            .output()
            .unwrap();
        let status = output.status.code().unwrap();
        assert!(
            status <= 1,
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        (status, output.stdout)
    }
}

pub(super) fn name(text: &str) -> RefName {
    RefName::new(text).unwrap()
}

/// An update as the gate's front makes it.
pub(super) fn update(ref_name: &str, stored: Option<Oid>, new: Option<Oid>) -> RefUpdate {
    RefUpdate {
        command: push::Command {
            name: name(ref_name),
            claimed_old: stored,
            new,
        },
        target: name(ref_name),
        stored,
        proposed_for: None,
    }
}

/// The ids of the new commits.
pub(super) fn ids(history: &History) -> Vec<Oid> {
    history
        .commits
        .iter()
        .map(|commit| commit.commit.id)
        .collect()
}
