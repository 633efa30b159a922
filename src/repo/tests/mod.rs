//! Real repositories, made by the `git` program; what it and libgit2 say is compared with what we read.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::budget::{Bounds, Budget};
use crate::push::{HashKind, Oid, RefName};
use crate::repo::{Kind, Layout, Mode, RefStorage, Repo, RepoError};

mod commit_graph;
mod crafted;
mod objects;
mod packs;
mod parse;
mod refs;
mod store;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    /// A bare repository `server.git` beside a work tree `work`.
    fn new(init: &[&str]) -> Fixture {
        let fixture = Fixture {
            dir: tempfile::tempdir().unwrap(),
        };
        let mut bare = vec!["init", "-q", "--bare", "-b", "main"];
        bare.extend(init);
        bare.push("server.git");
        fixture.git(".", &bare);
        let mut work = vec!["init", "-q", "-b", "main"];
        work.extend(init);
        work.push("work");
        fixture.git(".", &work);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.dir.path()).unwrap().join(name)
    }

    fn command(&self, dir: &str) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_AUTHOR_DATE", "1700000000 +0100")
            .env("GIT_COMMITTER_NAME", "C")
            .env("GIT_COMMITTER_EMAIL", "c@example.com")
            .env("GIT_COMMITTER_DATE", "1700000001 +0000")
            .current_dir(self.path(dir));
        command
    }

    fn git(&self, dir: &str, args: &[&str]) -> String {
        let output = self.command(dir).args(args).output().unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    }

    /// The same with bytes on standard input; the exit code is the caller's to judge.
    fn git_with(&self, dir: &str, args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
        let mut child = self
            .command(dir)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        (output.status.success(), output.stdout)
    }

    /// Writes an object as it stands, whatever git thinks of it.
    fn object(&self, dir: &str, kind: &str, data: &[u8]) -> Oid {
        let args = ["hash-object", "-t", kind, "-w", "--literally", "--stdin"];
        let (good, id) = self.git_with(dir, &args, data);
        assert!(good);
        Oid::from_hex(id.trim_ascii()).unwrap()
    }

    fn id(&self, dir: &str, rev: &str) -> Oid {
        Oid::from_hex(self.git(dir, &["rev-parse", rev]).as_bytes()).unwrap()
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn commit(&self, file: &str, content: &[u8], message: &str) -> Oid {
        self.write(&format!("work/{file}"), content);
        self.git("work", &["add", "-A"]);
        self.git("work", &["commit", "-q", "-m", message]);
        self.id("work", "HEAD")
    }
}

fn budget() -> Budget {
    Budget::new(Bounds::default())
}

fn open(path: &Path) -> Repo {
    Repo::open(Layout::discover(path).unwrap()).unwrap()
}

/// The environment of a hook.
fn hook<'v>(vars: &'v [(&'v str, OsString)]) -> impl Fn(&str) -> Option<OsString> + 'v {
    move |name| {
        let found = vars.iter().find(|(key, _)| *key == name)?;
        Some(found.1.clone())
    }
}

fn name(text: &str) -> RefName {
    RefName::new(text).unwrap()
}
