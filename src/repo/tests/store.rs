use super::*;
use crate::repo::store::lookup::Lookup;

/// A repository with one pack of a few hundred objects, and the pack.
fn packed(format: &str) -> (Fixture, PathBuf) {
    let fixture = Fixture::new(&[&format!("--object-format={format}")]);
    for number in 0..300 {
        fixture.write(
            &format!("work/{}/{number}", number % 7),
            format!("text {number}\n").as_bytes(),
        );
    }
    fixture.commit("a", b"x", "First");
    fixture.git("work", &["repack", "-q", "-ad"]);
    let pack = fixture.path("work/.git/objects/pack");
    let files = std::fs::read_dir(pack).unwrap();
    let pack = files
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "pack"));
    (fixture, pack.unwrap())
}

#[test]
fn an_index_is_asked_as_git_reads_it() {
    for format in ["sha1", "sha256"] {
        let (fixture, pack) = packed(format);
        let hash = match format {
            "sha1" => HashKind::Sha1,
            _ => HashKind::Sha256,
        };
        // The last: most offsets stand in the table of long ones.
        for version in ["1", "2", "2,0x80"] {
            let index = fixture.path(&format!("index-{}.idx", version.len()));
            let option = format!("--index-version={version}");
            let (to, from) = (index.to_str().unwrap(), pack.to_str().unwrap());
            fixture.git("work", &["index-pack", &option, "-o", to, from]);
            let bytes = std::fs::read(&index).unwrap();
            let (ok, shown) = fixture.git_with(
                "work",
                &["show-index", &format!("--object-format={format}")],
                &bytes,
            );
            assert!(ok);
            let shown = String::from_utf8(shown).unwrap();
            let many = Lookup::open(&index, hash, true).unwrap();
            let closed = Lookup::open(&index, hash, false).unwrap();
            assert_eq!(many.count(), shown.lines().count() as u64);
            for line in shown.lines() {
                let words: Vec<_> = line.split(' ').collect();
                let (offset, hex) = (words[0].parse().unwrap(), words[1].as_bytes());
                let id = Oid::from_hex(hex).unwrap();
                let few = Lookup::open(&index, hash, true).unwrap();
                for lookup in [&few, &many, &closed] {
                    assert_eq!(lookup.find(&id).unwrap(), Some(offset), "{version} {id}");
                }
                for at in [0, 1, 6, hex.len() - 1] {
                    let mut other = hex.to_vec();
                    other[at] = if other[at] == b'0' { b'f' } else { b'0' };
                    let other = Oid::from_hex(&other).unwrap();
                    assert_eq!(many.find(&other).unwrap(), None, "{version} {other}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_an_index_is_refused() {
    let (fixture, pack) = packed("sha1");
    let sound = std::fs::read(pack.with_extension("idx")).unwrap();
    let path = fixture.path("index");
    let mut fan = sound.clone();
    fan[8..12].fill(0xff);
    let mut more = sound.clone();
    more.extend([0; 4]);
    let mut third = sound.clone();
    third[7] = 3;
    let cut = |length: usize| sound[..length].to_vec();
    for bytes in [
        Vec::new(),
        cut(7),
        cut(1032),
        cut(sound.len() - 20),
        fan,
        more,
        third,
    ] {
        std::fs::write(&path, &bytes).unwrap();
        assert!(
            Lookup::open(&path, HashKind::Sha1, true).is_err(),
            "{}",
            bytes.len()
        );
    }
    assert!(Lookup::open(&fixture.path("work"), HashKind::Sha1, true).is_err());
}

/// Another copy of an object stands in for one whose pack cannot be used; without one it is not taken for missing.
#[test]
fn a_pack_that_is_not_its_own_or_gone_is_passed_over_for_a_copy() {
    let (fixture, pack) = packed("sha1");
    let id = fixture.id("work", "HEAD");
    let (_, text) = fixture.git_with("work", &["cat-file", "commit", "HEAD"], b"");
    let sound = std::fs::read(&pack).unwrap();
    let mut other = sound.clone();
    let end = other.len() - 1;
    other[end] ^= 1;
    for broken in [None, Some(&sound[..sound.len() - 1]), Some(&other)] {
        std::fs::remove_file(&pack).unwrap();
        if let Some(broken) = broken {
            std::fs::write(&pack, broken).unwrap();
        }
        let repo = open(&fixture.path("work"));
        let found = repo.reader().commit(&id, &budget());
        assert!(matches!(found, Err(RepoError::Corrupt { .. })), "{found:?}");
        assert!(repo.reader().is_stored(&id).is_err());
        // A loose copy.
        assert_eq!(fixture.object("server.git", "commit", &text), id);
        let hex = id.to_string();
        let [from, to] = ["server.git/objects", "work/.git/objects"]
            .map(|objects| fixture.path(objects).join(&hex[..2]).join(&hex[2..]));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, &to).unwrap();
        let repo = open(&fixture.path("work"));
        assert_eq!(repo.reader().commit(&id, &budget()).unwrap().id, id);
        assert!(repo.reader().is_stored(&id).unwrap());
        std::fs::remove_file(to).unwrap();
        std::fs::write(&pack, &sound).unwrap();
        // A second pack that has it, under a name before or behind.
        let copies = ["pack-0.pack", "pack-z.pack"].map(|name| pack.with_file_name(name));
        for copy in copies {
            std::fs::copy(&pack, &copy).unwrap();
            std::fs::copy(pack.with_extension("idx"), copy.with_extension("idx")).unwrap();
            std::fs::remove_file(&pack).unwrap();
            if let Some(broken) = broken {
                std::fs::write(&pack, broken).unwrap();
            }
            let repo = open(&fixture.path("work"));
            assert_eq!(repo.reader().commit(&id, &budget()).unwrap().id, id);
            std::fs::write(&pack, &sound).unwrap();
            std::fs::remove_file(&copy).unwrap();
            std::fs::remove_file(copy.with_extension("idx")).unwrap();
        }
    }
}

#[test]
fn a_loose_object_that_is_packed_meanwhile_is_read() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"x", "First");
    let repo = open(&fixture.path("work"));
    let reader = repo.reader();
    assert_eq!(reader.header(&id).unwrap().unwrap().0, Kind::Commit);
    fixture.git("work", &["repack", "-q", "-ad"]);
    fixture.git("work", &["prune-packed"]);
    assert_eq!(reader.commit(&id, &budget()).unwrap().id, id);
}

/// A pipe in the place of a file: opening it would wait for ever.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"x", "First").to_string();
    let objects = fixture.path("work/.git/objects");
    let pipe = |path: &Path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let loose = objects.join(&id[..2]).join(&id[2..]);
    std::fs::remove_file(&loose).unwrap();
    pipe(&loose);
    let id = Oid::from_hex(id.as_bytes()).unwrap();
    let found = open(&fixture.path("work")).reader().commit(&id, &budget());
    assert!(matches!(found, Err(RepoError::Corrupt { .. })), "{found:?}");
    std::fs::remove_file(&loose).unwrap();
    pipe(&objects.join("pack/pack-1.idx"));
    let found = open(&fixture.path("work")).reader().commit(&id, &budget());
    assert!(matches!(found, Err(RepoError::Corrupt { .. })), "{found:?}");
}

/// More packs than stay open: each object in a pack of its own.
#[test]
fn hundreds_of_packs_are_read_with_few_open_files() {
    let fixture = Fixture::new(&[]);
    let mut stream = String::new();
    for number in 0..100 {
        stream.push_str(&format!(
            "commit refs/heads/main\ncommitter A <a@example.com> {} +0000\ndata 1\nc\n\
             M 100644 inline a\ndata 4\n{number:04}\ncheckpoint\n\n",
            1_700_000_000 + number
        ));
    }
    let import = ["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"];
    assert!(fixture.git_with("server.git", &import, stream.as_bytes()).0);
    let repo = open(&fixture.path("server.git"));
    let (reader, budget) = (repo.reader(), budget());
    let tip = fixture.id("server.git", "main");
    // Other tests of this process have files open too.
    let own = fixture.path("server.git");
    let open_files = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        links.filter(|link| link.starts_with(&own)).count()
    };
    let (mut at, mut count) = (Some(tip), 0);
    while let Some(id) = at {
        let commit = reader.commit(&id, &budget).unwrap();
        assert_eq!(reader.tree(&commit.tree, &budget).unwrap().len(), 1);
        at = commit.parents.first().copied();
        count += 1;
    }
    assert_eq!(count, 100);
    assert!((1..=96).contains(&open_files()), "{}", open_files());
    // A repack under it.
    fixture.git("server.git", &["repack", "-q", "-ad"]);
    let first = fixture.id("server.git", "main~99");
    assert!(reader.commit(&first, &budget).is_ok());
    assert!(reader.commit(&tip, &budget).is_ok());
}
