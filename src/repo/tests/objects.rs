use super::*;

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

/// Reads every object that git lists in `dir`, and compares with git and libgit2.
fn compare_all(fixture: &Fixture, dir: &str, git_dir: &str) -> usize {
    let repo = open(&fixture.path(dir));
    let reader = repo.reader();
    let budget = budget();
    let oracle = git2::Odb::new().unwrap();
    if repo.hash_kind() == HashKind::Sha1 {
        let objects = fixture.path(git_dir).join("objects");
        oracle
            .add_disk_alternate(objects.to_str().unwrap())
            .unwrap();
    }
    let list = fixture.git(dir, &["cat-file", "--batch-all-objects", "--batch-check"]);
    let mut buffer = Vec::new();
    for line in list.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let id = Oid::from_hex(words[0].as_bytes()).unwrap();
        let size: u64 = words[2].parse().unwrap();
        let object = reader.find(&id, &mut buffer, &budget).unwrap().unwrap();
        assert_eq!(object.kind.to_string(), words[1]);
        assert_eq!(object.data.len() as u64, size);
        if repo.hash_kind() == HashKind::Sha1 {
            let theirs = oracle.read(git2::Oid::from_str(words[0]).unwrap()).unwrap();
            assert_eq!(object.data, theirs.data());
        }
        let kind = object.kind;
        assert_eq!(reader.header(&id).unwrap(), Some((kind, size)));
        assert!(reader.is_stored(&id).unwrap());
        assert!(!reader.is_incoming(&id).unwrap());
    }
    list.lines().count()
}

fn history(fixture: &Fixture, commits: usize) {
    let mut text = String::new();
    for count in 0..commits {
        text.push_str(&format!("line {count} of a file that grows\n"));
        fixture.commit("grows.txt", text.as_bytes(), &format!("Commit {count}"));
    }
    fixture.git("work", &["tag", "-a", "v1", "-m", "One"]);
}

#[test]
fn every_way_to_store_objects_reads_as_git_reads_it() {
    for format in ["sha1", "sha256"] {
        let option = format!("--object-format={format}");
        let fixture = Fixture::new(&[&option]);
        history(&fixture, 12);
        let loose = compare_all(&fixture, "work", "work/.git");
        assert!(loose >= 37);
        fixture.git("work", &["repack", "-q", "-ad", "--depth=50"]);
        fixture.git("work", &["prune-packed"]);
        assert_eq!(compare_all(&fixture, "work", "work/.git"), loose);
        fixture.commit("second", b"pack", "Second pack");
        fixture.git("work", &["repack", "-q", "-d"]);
        assert_eq!(compare_all(&fixture, "work", "work/.git"), loose + 3);
        fixture.git("work", &["multi-pack-index", "write"]);
        assert_eq!(compare_all(&fixture, "work", "work/.git"), loose + 3);
        // The multi-pack index stands in for the indices of its packs.
        for file in std::fs::read_dir(fixture.path("work/.git/objects/pack")).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|end| end == "rev" || end == "bitmap")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
        fixture.commit("third", b"loose", "Beside a multi-pack index");
        assert_eq!(compare_all(&fixture, "work", "work/.git"), loose + 6);
    }
}

/// A server with a first commit, and a quarantine with a second one, sent as git sends it.
fn quarantined(fixture: &Fixture, unpack: bool) -> (Vec<(&'static str, OsString)>, Oid, Oid) {
    let big: String = (0..500).map(|line| format!("line {line}\n")).collect();
    let old = fixture.commit("big", big.as_bytes(), "Old");
    fixture.git("work", &["push", "-q", "../server.git", "main"]);
    let new = fixture.commit("big", format!("{big}one more\n").as_bytes(), "New");
    let server = fixture.path("server.git");
    let incoming = server.join("objects/tmp_objdir-incoming-x");
    std::fs::create_dir_all(incoming.join("pack")).unwrap();
    let vars: Vec<(&str, OsString)> = vec![
        ("GIT_DIR", ".".into()),
        (
            "GIT_OBJECT_DIRECTORY",
            server.join("./objects/tmp_objdir-incoming-x").into(),
        ),
        (
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            server.join("./objects").into(),
        ),
    ];
    let (_, pack) = fixture.git_with(
        "work",
        &["pack-objects", "--thin", "--stdout", "--revs", "-q"],
        format!("{new}\n^{old}\n").as_bytes(),
    );
    let receive: &[&str] = if unpack {
        &["unpack-objects", "-q"]
    } else {
        &["index-pack", "--stdin", "--fix-thin"]
    };
    let mut child = fixture
        .command("server.git")
        .args(receive)
        .envs(vars.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&pack).unwrap();
    assert!(child.wait().unwrap().success());
    (vars, old, new)
}

#[test]
fn a_quarantine_is_told_from_the_store() {
    for unpack in [false, true] {
        let fixture = Fixture::new(&[]);
        let (vars, old, new) = quarantined(&fixture, unpack);
        let layout = Layout::from_hook(&hook(&vars), &fixture.path("server.git")).unwrap();
        let incoming = fixture.path("server.git/objects/tmp_objdir-incoming-x");
        assert_eq!(layout.incoming, Some(incoming.clone()));
        assert_eq!(layout.alternates, Vec::<PathBuf>::new());
        let repo = Repo::open(layout).unwrap();
        let reader = repo.reader();
        let budget = budget();
        assert!(reader.is_incoming(&new).unwrap() && !reader.is_stored(&new).unwrap());
        assert!(!reader.is_incoming(&old).unwrap() && reader.is_stored(&old).unwrap());
        assert_eq!(reader.commit(&new, &budget).unwrap().parents, vec![old]);
        assert_eq!(reader.commit(&old, &budget).unwrap().id, old);
        let sent = repo.incoming_objects(&budget).unwrap();
        // The commit, its tree, the blob; a thin pack brings the base of the blob's delta along.
        let base = fixture.id("work", "HEAD~:big");
        assert_eq!(sent.len(), if unpack { 3 } else { 4 });
        assert!(sent.contains(&new));
        assert_eq!(sent.contains(&base), !unpack);
        assert_eq!(reader.is_incoming(&base).unwrap(), !unpack);
        assert!(reader.is_stored(&base).unwrap());
        let mut buffer = Vec::new();
        let blob = fixture.id("work", "HEAD:big");
        let found = reader.find(&blob, &mut buffer, &budget).unwrap().unwrap();
        assert!(found.data.ends_with(b"one more\n"));
        // The whole listing is bounded too.
        let small = Budget::new(Bounds {
            bytes: 20 * sent.len() as u64 - 1,
            ..Bounds::default()
        });
        assert!(matches!(
            repo.incoming_objects(&small),
            Err(RepoError::Exhausted(_))
        ));
    }
}

#[test]
fn without_a_quarantine_there_is_none() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"x", "First");
    fixture.git("work", &["push", "-q", "../server.git", "main"]);
    let server = fixture.path("server.git");
    for objects in [
        None,
        Some(server.join("./objects/")),
        Some("objects".into()),
    ] {
        let mut vars: Vec<(&str, OsString)> = vec![("GIT_DIR", ".".into())];
        vars.extend(objects.map(|dir| ("GIT_OBJECT_DIRECTORY", dir.into())));
        let layout = Layout::from_hook(&hook(&vars), &server).unwrap();
        assert_eq!(layout.incoming, None);
        let repo = Repo::open(layout).unwrap();
        assert!(repo.reader().is_stored(&id).unwrap());
        assert!(!repo.reader().is_incoming(&id).unwrap());
        assert!(repo.incoming_objects(&budget()).unwrap().is_empty());
    }
    let vars = [
        ("GIT_DIR", ".".into()),
        ("GIT_OBJECT_DIRECTORY", "gone".into()),
    ];
    assert!(Layout::from_hook(&hook(&vars), &server).is_err());
    assert!(Layout::from_hook(&hook(&[]), &server).is_err());
}

#[test]
fn alternates_with_quotes_and_colons_are_found() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"x", "First");
    let odd = fixture.path("an odd:\"name\"\nof it");
    std::fs::rename(fixture.path("work/.git/objects"), &odd).unwrap();
    let quoted = odd
        .to_str()
        .unwrap()
        .replace('"', "\\\"")
        .replace('\n', "\\012");
    let list = format!(
        ":{}:\"{quoted}\"::/not/there",
        fixture.path("server.git/objects").display()
    );
    let vars: Vec<(&str, OsString)> = vec![
        ("GIT_DIR", ".".into()),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", list.into()),
    ];
    let git = fixture
        .command("server.git")
        .args(["cat-file", "-e", &id.to_string()])
        .envs(vars.iter().cloned())
        .status()
        .unwrap();
    assert!(git.success(), "git itself reads the list");
    let layout = Layout::from_hook(&hook(&vars), &fixture.path("server.git")).unwrap();
    assert_eq!(layout.alternates, vec![odd]);
    let repo = Repo::open(layout).unwrap();
    assert!(repo.reader().is_stored(&id).unwrap());
    assert_eq!(repo.reader().commit(&id, &budget()).unwrap().id, id);
}

#[test]
fn info_alternates_are_followed_as_git_follows_them() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"x", "First");
    // server.git borrows from middle, which borrows from a folder named relative to middle.
    fixture.write("deep/store/pack/.keep", b"");
    fixture.write(
        "deep/er/middle/info/alternates",
        b"# why\n\n../../store\n/not/there\n",
    );
    fixture.write(
        "server.git/objects/info/alternates",
        b"../../deep/er/middle\n",
    );
    std::fs::remove_dir_all(fixture.path("deep/store")).unwrap();
    std::fs::rename(
        fixture.path("work/.git/objects"),
        fixture.path("deep/store"),
    )
    .unwrap();
    fixture.git("server.git", &["cat-file", "-e", &id.to_string()]);
    let repo = open(&fixture.path("server.git"));
    let reader = repo.reader();
    assert!(reader.is_stored(&id).unwrap());
    assert!(reader.commit(&id, &budget()).is_ok());
    // A circle ends.
    fixture.write("deep/store/info/alternates", b"../er/middle\n");
    let circle = Repo::open(Layout::discover(&fixture.path("server.git")).unwrap());
    assert!(circle.is_err() || circle.unwrap().reader().is_stored(&id).is_ok());
    // A list that cannot be read is not an empty one.
    let list = fixture.path("deep/store/info/alternates");
    std::fs::remove_file(&list).unwrap();
    std::os::unix::fs::symlink("alternates", &list).unwrap();
    let open = Repo::open(Layout::discover(&fixture.path("server.git")).unwrap());
    assert!(open.is_err() || open.unwrap().reader().is_stored(&id).is_err());
}

#[test]
fn replace_refs_and_grafts_change_nothing() {
    let fixture = Fixture::new(&[]);
    fixture.commit("a", b"x", "First");
    let second = fixture.commit("a", b"y", "Second");
    fixture.git("work", &["replace", "HEAD", "HEAD~"]);
    fixture.write("work/.git/info/grafts", format!("{second}\n").as_bytes());
    let repo = open(&fixture.path("work"));
    let commit = repo.reader().commit(&second, &budget()).unwrap();
    assert_eq!(commit.message, "Second\n");
    assert_eq!(commit.parents.len(), 1);
}

#[test]
fn what_is_missing_is_not_what_is_broken() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", &b"some content\n".repeat(400), "First");
    let repo = open(&fixture.path("work"));
    let reader = repo.reader();
    let budget = budget();
    let absent = Oid::from_hex(b"1234567890123456789012345678901234567890").unwrap();
    let mut buffer = Vec::new();
    assert_eq!(reader.find(&absent, &mut buffer, &budget).unwrap(), None);
    assert_eq!(reader.header(&absent).unwrap(), None);
    assert!(matches!(
        reader.commit(&absent, &budget),
        Err(RepoError::Missing(_))
    ));
    assert!(matches!(
        reader.tree(&id, &budget),
        Err(RepoError::Corrupt { .. })
    ));

    let hex = id.to_string();
    let path = fixture
        .path("work/.git/objects")
        .join(&hex[..2])
        .join(&hex[2..]);
    let sound = std::fs::read(&path).unwrap();
    let mut flipped = sound.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let broken = [&b""[..], b"x", &sound[..sound.len() / 2], &flipped];
    for broken in broken {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, broken).unwrap();
        let repo = open(&fixture.path("work"));
        let found = repo.reader().commit(&id, &budget);
        assert!(matches!(found, Err(RepoError::Corrupt { .. })), "{found:?}");
    }
    // One object's bytes under another's name.
    std::fs::remove_file(&path).unwrap();
    let tree = Oid::empty_tree(HashKind::Sha1);
    let text = format!("tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nOther\n");
    let other = fixture
        .object("server.git", "commit", text.as_bytes())
        .to_string();
    let from = fixture
        .path("server.git/objects")
        .join(&other[..2])
        .join(&other[2..]);
    std::fs::copy(from, &path).unwrap();
    let found = open(&fixture.path("work")).reader().commit(&id, &budget);
    assert!(matches!(found, Err(RepoError::Corrupt { .. })), "{found:?}");
}

#[test]
fn a_broken_pack_or_index_is_an_error() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", &b"some content\n".repeat(400), "First");
    fixture.git("work", &["repack", "-q", "-ad"]);
    let pack = std::fs::read_dir(fixture.path("work/.git/objects/pack"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "pack"))
        .unwrap();
    let budget = budget();
    for (part, keep) in [
        ("pack", 0),
        ("pack", 4),
        ("pack", 20),
        ("idx", 0),
        ("idx", 100),
        ("idx", 1060),
    ] {
        let path = pack.with_extension(part);
        let sound = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut broken = sound.clone();
        broken[keep..].fill(0);
        std::fs::write(&path, &broken[..if keep == 0 { 10 } else { broken.len() }]).unwrap();
        let repo = open(&fixture.path("work"));
        let reader = repo.reader();
        let found = reader.commit(&id, &budget);
        // An index of zeros lists other objects: then the object is missing, which refuses as well.
        let zeroed = part == "idx" && keep == 1060;
        match found {
            Err(RepoError::Corrupt { .. }) => {}
            Err(RepoError::Missing(_)) if zeroed => {}
            other => panic!("{part} {keep}: {other:?}"),
        }
        if part == "idx" && keep < 1060 {
            assert!(reader.is_stored(&id).is_err(), "idx {keep}");
            assert!(reader.header(&id).is_err());
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, sound).unwrap();
    }
}

#[test]
fn a_repack_under_a_reader_loses_nothing() {
    let fixture = Fixture::new(&[]);
    history(&fixture, 4);
    fixture.git("work", &["repack", "-q", "-d"]);
    let id = fixture.commit("a", b"x", "Last");
    fixture.git("work", &["repack", "-q", "-d"]);
    let repo = open(&fixture.path("work"));
    let reader = repo.reader();
    let budget = budget();
    let absent = Oid::from_hex(b"1234567890123456789012345678901234567890").unwrap();
    assert!(!reader.is_stored(&absent).unwrap());
    fixture.git("work", &["repack", "-q", "-ad"]);
    let mut at = Some(id);
    let mut count = 0;
    while let Some(id) = at {
        at = reader
            .commit(&id, &budget)
            .unwrap()
            .parents
            .first()
            .copied();
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn a_first_pack_and_many_packs_are_found() {
    let fixture = Fixture::new(&[]);
    history(&fixture, 2);
    let repo = open(&fixture.path("work"));
    let reader = repo.reader();
    let loose = fixture.id("work", "HEAD");
    assert!(reader.is_stored(&loose).unwrap());
    // All that was loose comes to lie in the first pack, under the reader.
    fixture.git("work", &["repack", "-q", "-ad"]);
    assert!(
        reader
            .commit(&fixture.id("work", "HEAD~1"), &budget())
            .is_ok()
    );
    let ids: Vec<Oid> = (0..40)
        .map(|number| {
            let id = fixture.commit("a", format!("{number}").as_bytes(), "One more");
            fixture.git("work", &["repack", "-q", "-d"]);
            id
        })
        .collect();
    let repo = open(&fixture.path("work"));
    let reader = repo.reader();
    for id in ids {
        assert_eq!(reader.commit(&id, &budget()).unwrap().id, id);
    }
    let packs = fixture.path("work/.git/objects/pack");
    std::fs::remove_dir_all(&packs).unwrap();
    std::fs::write(&packs, b"no folder").unwrap();
    let found = open(&fixture.path("work")).reader().is_stored(&loose);
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn sizes_are_bounded_before_anything_is_inflated() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("big", &vec![b'z'; 3 << 20], &"long message ".repeat(100));
    let repo = open(&fixture.path("work"));
    let reader = repo.reader();
    let small = Budget::new(Bounds {
        object_bytes: 1000,
        bytes: 2 << 20,
        ..Bounds::default()
    });
    assert!(matches!(
        reader.commit(&id, &small),
        Err(RepoError::Exhausted(_))
    ));
    let mut buffer = Vec::new();
    assert!(matches!(
        reader.find(&id, &mut buffer, &small),
        Err(RepoError::Exhausted(_))
    ));
    let blob = fixture.id("work", "HEAD:big");
    assert_eq!(reader.header(&blob).unwrap(), Some((Kind::Blob, 3 << 20)));
    assert!(matches!(
        reader.find(&blob, &mut buffer, &small),
        Err(RepoError::Exhausted(_))
    ));
    assert!(buffer.capacity() < 1 << 20);
}

#[test]
fn the_empty_tree_needs_no_object() {
    let fixture = Fixture::new(&[]);
    let repo = open(&fixture.path("server.git"));
    let reader = repo.reader();
    let empty = Oid::empty_tree(HashKind::Sha1);
    assert_eq!(reader.tree(&empty, &budget()).unwrap(), vec![]);
    assert_eq!(reader.header(&empty).unwrap(), Some((Kind::Tree, 0)));
    assert!(!reader.is_stored(&empty).unwrap());
    // Any other tree is missing when it is not there.
    let absent = Oid::from_hex(b"1234567890123456789012345678901234567890").unwrap();
    let found = reader.tree(&absent, &budget());
    assert!(matches!(found, Err(RepoError::Missing(_))), "{found:?}");
}

#[test]
fn readers_work_side_by_side() {
    let fixture = Fixture::new(&[]);
    history(&fixture, 6);
    fixture.git("work", &["repack", "-q", "-ad"]);
    let tip = fixture.id("work", "HEAD");
    let repo = open(&fixture.path("work"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let reader = repo.reader();
                let commit = reader.commit(&tip, &budget()).unwrap();
                assert_eq!(reader.tree(&commit.tree, &budget()).unwrap().len(), 1);
            });
        }
    });
}

#[test]
fn unknown_formats_are_refused() {
    for (key, value) in [
        ("extensions.somethingNew", "true"),
        ("core.repositoryformatversion", "2"),
        ("extensions.objectFormat", "sha3"),
        ("extensions.refStorage", "sqlite"),
    ] {
        let fixture = Fixture::new(&[]);
        fixture.git(
            "server.git",
            &["config", "core.repositoryformatversion", "1"],
        );
        assert!(Layout::discover(&fixture.path("server.git")).is_ok());
        fixture.git("server.git", &["config", key, value]);
        let refused = Layout::discover(&fixture.path("server.git"));
        assert!(matches!(refused, Err(RepoError::Open(_))), "{key}");
    }
}

/// Ten trees that name one another ten times each: ten thousand million paths.
#[test]
fn paths_without_end_come_to_one() {
    let fixture = Fixture::new(&[]);
    let blob = fixture.object("server.git", "blob", b"one\n");
    let full = |mode: &str, id: &Oid| {
        let entries =
            (0..10).map(|number| [format!("{mode} {number}\0").as_bytes(), id.as_bytes()].concat());
        entries.collect::<Vec<_>>().concat()
    };
    let mut tree = fixture.object("server.git", "tree", &full("100644", &blob));
    for _ in 0..9 {
        tree = fixture.object("server.git", "tree", &full("40000", &tree));
    }
    let repo = open(&fixture.path("server.git"));
    let reader = repo.reader();
    let budget = Budget::new(Bounds {
        changes: 10_000,
        time: std::time::Duration::MAX,
        ..Bounds::default()
    });
    let mut differ = crate::repo::Differ::new(&repo, &reader, &budget);
    let mut count = 0;
    let told = differ.each(&[], &tree, &mut |_| count += 1);
    assert!(matches!(told, Err(RepoError::Exhausted(_))), "{told:?}");
    assert!((5_000..=10_010).contains(&count), "{count}");
    let told = differ.walk(&tree, &mut |_, _| true, &mut |_, _| count += 1);
    assert!(matches!(told, Err(RepoError::Exhausted(_))), "{told:?}");
    assert!(count <= 10_020, "{count}");
}
