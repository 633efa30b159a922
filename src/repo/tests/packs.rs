//! The pass over all objects, against what git says of each; packs that are damaged, odd or hostile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Fixture, open};
use crate::push::Oid;
use crate::repo::packs::{Part, Unread, Visit, pass};
use crate::repo::{Kind, Repo};

/// Keeps everything, and proves on the way that parts are what they say.
pub(super) struct Keeper<'w> {
    pub(super) seen: Vec<(Oid, Kind, Vec<u8>)>,
    pub(super) made: usize,
    pub(super) wants: &'w (dyn Fn(&Oid) -> bool + Sync),
}

impl Visit for Keeper<'_> {
    type Kept = Vec<u8>;

    fn wants(&self, id: &Oid, kind: Kind) -> bool {
        assert_ne!(kind, Kind::Tree);
        (self.wants)(id)
    }

    fn object(&mut self, id: &Oid, kind: Kind, data: &[u8]) {
        assert!(matches!(kind, Kind::Commit | Kind::Tag));
        self.seen.push((*id, kind, data.to_vec()));
    }

    fn blob(&mut self, id: &Oid, text: &[u8]) -> Vec<u8> {
        self.seen.push((*id, Kind::Blob, text.to_vec()));
        text.to_vec()
    }

    fn made(&mut self, id: &Oid, text: &[u8], base: &Vec<u8>, parts: &[Part]) -> Vec<u8> {
        let mut at = 0;
        for part in parts {
            assert_eq!(part.bytes.start, at);
            assert!(!part.bytes.is_empty());
            at = part.bytes.end;
            if let Some(from) = part.from {
                assert_eq!(
                    text[part.bytes.clone()],
                    base[from..from + part.bytes.len()]
                );
            }
        }
        assert_eq!(at, text.len());
        self.made += 1;
        self.blob(id, text)
    }
}

type Seen = BTreeMap<Oid, (Kind, Vec<u8>)>;

pub(super) fn all(
    repo: &Repo,
    threads: usize,
    wants: &(dyn Fn(&Oid) -> bool + Sync),
) -> (Seen, Vec<Unread>, usize) {
    let make = || Keeper {
        seen: Vec::new(),
        made: 0,
        wants,
    };
    let (keepers, unread) = pass(repo, threads, make).unwrap();
    assert_eq!(keepers.len(), threads);
    let made = keepers.iter().map(|keeper| keeper.made).sum();
    let mut seen = Seen::new();
    for (id, kind, data) in keepers.into_iter().flat_map(|keeper| keeper.seen) {
        let hashed = gix_object::compute_hash(id.kind(), kind, &data).unwrap();
        assert_eq!(hashed, id, "the content is that of another object");
        assert!(seen.insert(id, (kind, data)).is_none(), "{id} twice");
    }
    (seen, unread, made)
}

/// What git lists, without trees.
fn listed(fixture: &Fixture, dir: &str) -> BTreeSet<Oid> {
    let args = [
        "cat-file",
        "--batch-all-objects",
        "--batch-check=%(objecttype) %(objectname)",
    ];
    let text = fixture.git(dir, &args);
    let lines = text.lines().filter(|line| !line.starts_with("tree "));
    lines
        .map(|line| Oid::from_hex(line.split(' ').nth(1).unwrap().as_bytes()).unwrap())
        .collect()
}

/// Versions of two files that share most of their lines.
fn versions(fixture: &Fixture, from: usize, to: usize) {
    let lines: Vec<String> = (0..300)
        .map(|line| format!("line {line} of many, {}\n", line * 7919 % 1009))
        .collect();
    for version in from..to {
        let mut lines = lines.clone();
        for change in 0..version {
            lines[change * 37 % 300] = format!("version {version} change {change}\n");
        }
        lines.rotate_left(version % 5);
        fixture.write("work/b.txt", lines[..100].concat().as_bytes());
        fixture.commit("a.txt", lines.concat().as_bytes(), &format!("v{version}"));
    }
}

fn packs(fixture: &Fixture, dir: &str, ending: &str) -> Vec<PathBuf> {
    let folder = fixture.path(dir).join(".git/objects/pack");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|own| own == ending))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_object_of_git_once() {
    for (hash, offsets, index) in [
        ("sha1", "true", "2"),
        ("sha1", "false", "1"),
        ("sha256", "true", "2"),
    ] {
        let fixture = Fixture::new(&[&format!("--object-format={hash}")]);
        versions(&fixture, 0, 12);
        fixture.git("work", &["tag", "-a", "v1", "-m", "one"]);
        let base = format!("repack.useDeltaBaseOffset={offsets}");
        let version = format!("pack.indexVersion={index}");
        let repack = ["-c", &base, "-c", &version, "repack", "-adfq", "--depth=50"];
        fixture.git("work", &repack);
        if index == "2" {
            // Most offsets in the table for large packs.
            let pack = packs(&fixture, "work", "pack").remove(0);
            std::fs::remove_file(pack.with_extension("idx")).unwrap();
            let pack = pack.to_str().unwrap();
            fixture.git("work", &["index-pack", "--index-version=2,0x40", pack]);
        }
        // A second pack that shares objects with the first, loose ones, and a clone that borrows.
        versions(&fixture, 12, 20);
        fixture.git("work", &["repack", "-dq"]);
        versions(&fixture, 20, 24);
        fixture.git(".", &["clone", "-q", "--shared", "work", "borrower"]);
        fixture.write("borrower/own.txt", b"of the borrower\n");
        fixture.git("borrower", &["add", "."]);
        for dir in ["work", "borrower"] {
            let repo = open(&fixture.path(dir).join(".git"));
            let expected = listed(&fixture, dir);
            for threads in [1, 3] {
                let (seen, unread, made) = all(&repo, threads, &|_| true);
                assert_eq!(unread, []);
                assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), expected);
                assert!(made > 20, "{made}");
            }
        }
    }
}

#[test]
fn an_object_in_two_packs_comes_once() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 6);
    fixture.git("work", &["repack", "-adfq"]);
    let kept = packs(&fixture, "work", "pack");
    std::fs::write(kept[0].with_extension("keep"), b"").unwrap();
    versions(&fixture, 6, 9);
    // All objects, those of the kept pack too.
    fixture.git("work", &["repack", "-afq", "--pack-kept-objects"]);
    assert_eq!(packs(&fixture, "work", "pack").len(), 2);
    let expected = listed(&fixture, "work");
    for copies in 0..3 {
        let repo = open(&fixture.path("work/.git"));
        let (seen, unread, _) = all(&repo, 2, &|_| true);
        assert_eq!(unread, []);
        assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), expected);
        // Under one more name.
        let copy = kept[0].with_file_name(format!("pack-{copies}.pack"));
        std::fs::copy(&kept[0], &copy).unwrap();
        let index = kept[0].with_extension("idx");
        std::fs::copy(index, copy.with_extension("idx")).unwrap();
    }
}

/// Whoever removes a pack and keeps its index has lost what no other pack has.
#[test]
fn what_a_lost_pack_had_is_counted() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 6);
    fixture.git("work", &["repack", "-adfq"]);
    let kept = packs(&fixture, "work", "pack").remove(0);
    std::fs::write(kept.with_extension("keep"), b"").unwrap();
    let few = listed(&fixture, "work");
    let few_with_trees = objects(&fixture);
    versions(&fixture, 6, 9);
    fixture.git("work", &["repack", "-afq", "--pack-kept-objects"]);
    fixture.git("work", &["prune-packed"]);
    let every = listed(&fixture, "work");
    let every_with_trees = objects(&fixture);
    let both = packs(&fixture, "work", "pack");
    let large = both.iter().find(|path| **path != kept).unwrap();
    // The one that has everything, and the one that has nothing of its own.
    for (lost, shown, missing) in [
        (large, &few, every_with_trees - few_with_trees),
        (&kept, &every, 0),
    ] {
        let bytes = std::fs::read(lost).unwrap();
        let repo = open(&fixture.path("work/.git"));
        let (keepers, unread) = pass(&repo, 1, || {
            std::fs::remove_file(lost).unwrap();
            Keeper {
                seen: Vec::new(),
                made: 0,
                wants: &|_| true,
            }
        })
        .unwrap();
        let seen: BTreeSet<Oid> = keepers[0].seen.iter().map(|(id, ..)| *id).collect();
        assert_eq!(seen, *shown);
        let told: Vec<(bool, u64)> = unread
            .iter()
            .map(|one| (lost.ends_with(&one.what), one.objects))
            .collect();
        let expected = (missing > 0).then_some((true, missing));
        assert_eq!(told, Vec::from_iter(expected));
        std::fs::write(lost, bytes).unwrap();
    }
}

/// How many objects there are, trees among them.
fn objects(fixture: &Fixture) -> u64 {
    let args = ["cat-file", "--batch-all-objects", "--batch-check"];
    fixture.git("work", &args).lines().count() as u64
}

/// What lies beside packs and loose objects is none of git's, and no pack folder is none with a fault.
#[test]
fn other_files_among_the_objects_are_passed_over() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 2);
    let expected = listed(&fixture, "work");
    let folder = fixture.path("work/.git/objects");
    for name in ["zz", "az", "za", "abc", "a"] {
        std::fs::write(folder.join(name), b"").unwrap();
    }
    std::fs::remove_dir_all(folder.join("pack")).unwrap();
    // Nor does a folder of others that is gone hold anything.
    fixture.write(
        "work/.git/objects/info/alternates",
        b"../../../gone/objects\n",
    );
    let (seen, unread, _) = all(&open(&fixture.path("work/.git")), 1, &|_| true);
    assert_eq!(unread, []);
    assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn what_nobody_wants_is_not_shown() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 20);
    fixture.git("work", &["repack", "-adfq", "--depth=50"]);
    let repo = open(&fixture.path("work/.git"));
    let every = listed(&fixture, "work");
    for skipped in 0..7 {
        let few: BTreeSet<Oid> = every.iter().skip(skipped).step_by(7).copied().collect();
        let (seen, unread, _) = all(&repo, 2, &|id| few.contains(id));
        assert_eq!(unread, []);
        assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), few);
    }
}

#[test]
fn a_repack_in_the_middle_loses_nothing() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 5);
    fixture.git("work", &["repack", "-adfq"]);
    versions(&fixture, 5, 9);
    let repo = open(&fixture.path("work/.git"));
    let expected = listed(&fixture, "work");
    let is_done = AtomicBool::new(false);
    let repack = || {
        if !is_done.swap(true, Ordering::SeqCst) {
            fixture.git("work", &["gc", "-q", "--prune=now"]);
        }
    };
    // Between the listing and the opening: the pack is gone.
    let (keepers, unread) = pass(&repo, 2, || {
        repack();
        Keeper {
            seen: Vec::new(),
            made: 0,
            wants: &|_| true,
        }
    })
    .unwrap();
    assert_eq!(unread, []);
    let seen = keepers.iter().flat_map(|keeper| &keeper.seen);
    assert_eq!(seen.map(|(id, ..)| *id).collect::<BTreeSet<_>>(), expected);

    // With nothing else there that would be missed: the pack is gone, and its index with it.
    is_done.store(false, Ordering::SeqCst);
    let (keepers, unread) = pass(&repo, 1, || {
        if !is_done.swap(true, Ordering::SeqCst) {
            fixture.git("work", &["repack", "-adfq", "--window=0"]);
        }
        Keeper {
            seen: Vec::new(),
            made: 0,
            wants: &|_| true,
        }
    })
    .unwrap();
    assert_eq!(unread, []);
    let seen = keepers.iter().flat_map(|keeper| &keeper.seen);
    assert_eq!(seen.map(|(id, ..)| *id).collect::<BTreeSet<_>>(), expected);

    // After the opening: loose objects are gone, the pack is still open.
    versions(&fixture, 9, 14);
    let expected = listed(&fixture, "work");
    is_done.store(false, Ordering::SeqCst);
    let (seen, unread, _) = all(&repo, 2, &|_| {
        repack();
        true
    });
    assert_eq!(unread, []);
    assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn what_is_gone_for_good_is_told() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 3);
    let repo = open(&fixture.path("work/.git"));
    let count = listed(&fixture, "work").len();
    let is_done = AtomicBool::new(false);
    let folder = fixture.path("work/.git/objects");
    let (keepers, unread) = pass(&repo, 1, || {
        if !is_done.swap(true, Ordering::SeqCst) {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name().len() == 2 {
                    std::fs::remove_dir_all(entry.path()).unwrap();
                }
            }
        }
        Keeper {
            seen: Vec::new(),
            made: 0,
            wants: &|_| true,
        }
    })
    .unwrap();
    assert!(keepers[0].seen.is_empty());
    // Nobody can tell any more which of them were trees.
    assert!(unread.iter().map(|one| one.objects).sum::<u64>() >= count as u64);
}

/// Whatever is broken: what is shown is right, what is not is told, and nothing panics.
fn shown_or_told(fixture: &Fixture, expected: &BTreeSet<Oid>, what: &str) -> (usize, Vec<Unread>) {
    let repo = open(&fixture.path("work/.git"));
    let (seen, unread, _) = all(&repo, 2, &|_| true);
    let missing = expected.iter().filter(|id| !seen.contains_key(*id)).count();
    let told: u64 = unread.iter().map(|one| one.objects).sum();
    assert!(
        told >= missing as u64,
        "{what}: {missing} missing, {told} told"
    );
    assert!(missing == 0 || !unread.is_empty(), "{what}");
    (missing, unread)
}

#[test]
fn damage_is_told_and_the_rest_goes_on() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 15);
    fixture.git("work", &["repack", "-adfq", "--depth=50"]);
    let expected = listed(&fixture, "work");
    let pack = packs(&fixture, "work", "pack").remove(0);
    let index = pack.with_extension("idx");
    let (packed, indexed) = (
        std::fs::read(&pack).unwrap(),
        std::fs::read(&index).unwrap(),
    );
    let write = |path: &PathBuf, bytes: &[u8]| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let mut hurt = 0;
    for at in (0..packed.len()).step_by(packed.len() / 60 + 1) {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x55;
        write(&pack, &bytes);
        hurt += usize::from(shown_or_told(&fixture, &expected, &format!("byte {at}")).0 > 0);
    }
    assert!(hurt > 10, "{hurt}");
    for length in [
        0,
        11,
        12,
        40,
        packed.len() / 2,
        packed.len() - 21,
        packed.len() - 1,
    ] {
        write(&pack, &packed[..length]);
        let (missing, unread) = shown_or_told(&fixture, &expected, &format!("{length} bytes"));
        assert!(!unread.is_empty(), "{length}");
        // What lies before the cut can be read.
        assert!(
            length != packed.len() / 2 || missing < expected.len(),
            "{length}"
        );
    }
    // The count in its head, and the checksum at its end.
    for at in [11, packed.len() - 1] {
        let mut bytes = packed.clone();
        bytes[at] ^= 1;
        write(&pack, &bytes);
        let (missing, unread) = shown_or_told(&fixture, &expected, &format!("byte {at}"));
        assert!(missing == 0 && !unread.is_empty(), "{at}");
    }
    write(&pack, &packed);
    for at in (0..indexed.len()).step_by(indexed.len() / 80 + 1) {
        let mut bytes = indexed.clone();
        bytes[at] ^= 0x81;
        write(&index, &bytes);
        // An index names what there is: what it does not name nobody can count.
        let repo = open(&fixture.path("work/.git"));
        let make = || Keeper {
            seen: Vec::new(),
            made: 0,
            wants: &|_| true,
        };
        let (keepers, unread) = pass(&repo, 1, make).unwrap();
        let shown: usize = keepers.iter().map(|keeper| keeper.seen.len()).sum();
        assert!(shown >= expected.len() || !unread.is_empty(), "index {at}");
    }
    for length in [0, 8, 1031, 1040, indexed.len() - 1] {
        write(&index, &indexed[..length]);
        let repo = open(&fixture.path("work/.git"));
        assert!(!all(&repo, 1, &|_| true).1.is_empty(), "index {length}");
    }
    std::fs::remove_file(&index).unwrap();
    let repo = open(&fixture.path("work/.git"));
    let (seen, unread, _) = all(&repo, 1, &|_| true);
    assert!(seen.is_empty() && unread[0].why.contains("no index"));
    assert!(pack.ends_with(&unread[0].what), "{unread:?}");
    // A folder that cannot be listed is not an empty one.
    let folder = pack.parent().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::write(folder, b"no folder").unwrap();
    let make = || -> Keeper<'_> { unreachable!() };
    assert!(pass(&open(&fixture.path("work/.git")), 1, make).is_err());
}

#[test]
fn a_second_copy_stands_in_for_a_damaged_one() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 8);
    fixture.git("work", &["repack", "-adfq"]);
    let first = packs(&fixture, "work", "pack").remove(0);
    std::fs::write(first.with_extension("keep"), b"").unwrap();
    versions(&fixture, 8, 10);
    fixture.git("work", &["repack", "-afq", "--pack-kept-objects"]);
    let expected = listed(&fixture, "work");
    for pack in packs(&fixture, "work", "pack") {
        let whole = std::fs::read(&pack).unwrap();
        let mut bytes = whole.clone();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 0xff;
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, &bytes).unwrap();
        let repo = open(&fixture.path("work/.git"));
        let (seen, _, _) = all(&repo, 2, &|_| true);
        let shown: BTreeSet<Oid> = seen.into_keys().collect();
        // Only the larger pack has the newest versions.
        let missing = expected.difference(&shown).count();
        assert!(missing == 0 || pack != first, "{missing}");
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, &whole).unwrap();
    }
}

/// Listed every time and never there: nobody knows what such a pack has.
#[test]
fn an_index_that_leads_nowhere_is_told() {
    let fixture = Fixture::new(&[]);
    versions(&fixture, 0, 2);
    fixture.git("work", &["repack", "-adfq"]);
    let expected = listed(&fixture, "work");
    let folder = fixture.path("work/.git/objects/pack");
    std::os::unix::fs::symlink("nowhere", folder.join("pack-0.idx")).unwrap();
    let (seen, unread, _) = all(&open(&fixture.path("work/.git")), 1, &|_| true);
    assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), expected);
    let [one] = &unread[..] else {
        panic!("{unread:?}");
    };
    assert_eq!(one.what, "pack-0.pack");
    assert!(one.why.contains("nowhere else"), "{one:?}");
}
