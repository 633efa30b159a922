//! Real repositories, made by the `git` program; what it and libgit2 say is compared with what we read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::budget::Bounds;

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

#[test]
fn a_work_tree_is_read() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("docs/a.md", b"hello\n", "First\n\nBody");
    let repo = open(&fixture.path("work/docs"));
    let reader = repo.reader();
    let budget = budget();
    let commit = reader.commit(&id, &budget).unwrap();
    assert_eq!(commit.message, "First\n\nBody\n");
    assert_eq!(commit.author.name, "A");
    assert_eq!(commit.author.email, "a@example.com");
    assert_eq!(commit.author.time, 1_700_000_000);
    assert_eq!(commit.committer.raw, "C <c@example.com> 1700000001 +0000");
    assert!(commit.defects.is_empty());
    let root = reader.tree(&commit.tree, &budget).unwrap();
    assert_eq!(root[0].mode, Mode::Tree);
    let docs = reader.tree(&root[0].id, &budget).unwrap();
    assert_eq!(
        (docs[0].mode, docs[0].name.as_slice()),
        (Mode::Blob, &b"a.md"[..])
    );
    let mut buffer = Vec::new();
    let blob = reader
        .find(&docs[0].id, &mut buffer, &budget)
        .unwrap()
        .unwrap();
    assert_eq!((blob.kind, blob.data), (Kind::Blob, &b"hello\n"[..]));
    let main = RefName::new("refs/heads/main").unwrap();
    assert_eq!(repo.head().unwrap(), Some(main.clone()));
    assert_eq!(repo.resolve(&main).unwrap().value, Some(id));
    assert_eq!(repo.refs_under(b"refs/heads/").unwrap(), vec![(main, id)]);
    assert!(repo.has_any_ref().unwrap());
    fixture.git("work", &["pack-refs", "--all"]);
    fixture.git("work", &["gc", "-q"]);
    let repo = open(&fixture.path("work"));
    assert_eq!(repo.reader().commit(&id, &budget).unwrap(), commit);
    assert!(repo.has_any_ref().unwrap());
    assert_eq!(repo.refs_under(b"refs/heads/").unwrap().len(), 1);
}

#[test]
fn a_quarantine_is_asked_first_and_told_apart() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"x", "First");
    let incoming = fixture.path("server.git").join("objects/incoming");
    std::fs::rename(fixture.path("work/.git/objects"), &incoming).unwrap();
    let server = fixture.path("server.git");
    let vars = |name: &str| -> Option<OsString> {
        match name {
            "GIT_DIR" => Some(".".into()),
            "GIT_OBJECT_DIRECTORY" => Some(server.join("./objects/incoming").into()),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES" => Some(server.join("./objects").into()),
            _ => None,
        }
    };
    let layout = Layout::from_hook(&vars, &server).unwrap();
    assert_eq!(layout.incoming, Some(incoming));
    assert_eq!(layout.alternates, Vec::<PathBuf>::new());
    let repo = Repo::open(layout).unwrap();
    let reader = repo.reader();
    assert!(reader.is_incoming(&id).unwrap());
    assert!(!reader.is_stored(&id).unwrap());
    assert!(reader.commit(&id, &budget()).unwrap().parents.is_empty());
    assert_eq!(repo.incoming_objects(&budget()).unwrap().len(), 3);
    assert!(!repo.has_any_ref().unwrap());
}
