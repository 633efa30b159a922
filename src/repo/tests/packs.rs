//! The pass over all objects, against what git says of each; packs that are damaged, odd or hostile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Fixture, budget, open};
use crate::budget::{Bounds, Budget};
use crate::push::{HashKind, Oid};
use crate::repo::packs::{Part, Unread, Visit, pass};
use crate::repo::{Kind, Repo, RepoError};

/// Keeps everything, and proves on the way that parts are what they say.
struct Keeper<'w> {
    seen: Vec<(Oid, Kind, Vec<u8>)>,
    made: usize,
    wants: &'w (dyn Fn(&Oid) -> bool + Sync),
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

fn all(
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
    let repo = open(&fixture.path("work/.git"));
    let (seen, unread, _) = all(&repo, 2, &|_| true);
    assert_eq!(unread, []);
    assert_eq!(
        seen.into_keys().collect::<BTreeSet<_>>(),
        listed(&fixture, "work")
    );
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

/// A pack written by hand, and its index.
#[derive(Default)]
struct Made {
    body: Vec<u8>,
    entries: Vec<(Oid, u64, u32)>,
}

impl Made {
    fn offset(&self) -> u64 {
        12 + self.body.len() as u64
    }

    /// `kind`: the number of the type; `link`: the bytes behind the size.
    fn put(&mut self, id: Oid, kind: u8, link: &[u8], size: usize, content: &[u8]) -> u64 {
        let offset = self.offset();
        let start = self.body.len();
        let mut left = size >> 4;
        let mut byte = kind << 4 | u8::try_from(size & 15).unwrap();
        while left > 0 {
            self.body.push(byte | 0x80);
            byte = u8::try_from(left & 0x7f).unwrap();
            left >>= 7;
        }
        self.body.push(byte);
        self.body.extend(link);
        let mut zlib = flate2::write::ZlibEncoder::new(&mut self.body, flate2::Compression::fast());
        zlib.write_all(content).unwrap();
        zlib.finish().unwrap();
        self.entries
            .push((id, offset, crc32fast::hash(&self.body[start..])));
        offset
    }

    fn blob(&mut self, text: &[u8]) -> (Oid, u64) {
        let id = id_of(text);
        (id, self.put(id, 3, &[], text.len(), text))
    }

    fn write(mut self, fixture: &Fixture, name: &str) {
        let folder = fixture.path("work/.git/objects/pack");
        std::fs::create_dir_all(&folder).unwrap();
        let count = u32::try_from(self.entries.len()).unwrap();
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend(count.to_be_bytes());
        pack.extend(&self.body);
        let checksum = [7; 20];
        pack.extend(checksum);
        self.entries.sort();
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        for first in 0..=255u8 {
            let below = self
                .entries
                .iter()
                .filter(|(id, ..)| id.first_byte() <= first);
            index.extend(u32::try_from(below.count()).unwrap().to_be_bytes());
        }
        index.extend(self.entries.iter().flat_map(|(id, ..)| id.as_bytes()));
        index.extend(self.entries.iter().flat_map(|(.., crc)| crc.to_be_bytes()));
        for (_, offset, _) in &self.entries {
            index.extend(u32::try_from(*offset).unwrap().to_be_bytes());
        }
        index.extend(checksum);
        let mut hasher = gix_hash::hasher(HashKind::Sha1);
        hasher.update(&index);
        index.extend(hasher.try_finalize().unwrap().as_bytes());
        std::fs::write(folder.join(format!("pack-{name}.pack")), pack).unwrap();
        std::fs::write(folder.join(format!("pack-{name}.idx")), index).unwrap();
    }
}

fn id_of(text: &[u8]) -> Oid {
    gix_object::compute_hash(HashKind::Sha1, Kind::Blob, text).unwrap()
}

/// A delta that copies all of the base and adds one byte.
fn longer(base: usize, byte: u8) -> Vec<u8> {
    let mut delta = size(base);
    delta.extend(size(base + 1));
    let [low, high, ..] = base.to_le_bytes();
    delta.extend([0xb0, low, high, 1, byte]);
    delta
}

fn size(mut size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while size > 0x7f {
        out.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
        size >>= 7;
    }
    out.push(u8::try_from(size).unwrap());
    out
}

#[test]
fn deep_chains_and_bases_elsewhere() {
    let fixture = Fixture::new(&[]);
    let mut text = b"start".to_vec();
    let mut made = Made::default();
    let (mut id, _) = made.blob(&text);
    let mut expected = BTreeSet::from([id]);
    for step in 0..20_000usize {
        let delta = longer(text.len(), b'a');
        text.push(b'a');
        // References to ids, every one of the entry before.
        let next = id_of(&text);
        made.put(next, 7, id.as_bytes(), delta.len(), &delta);
        id = next;
        expected.insert(id);
        if step == 9_999 {
            made.write(&fixture, "1");
            made = Made::default();
        }
    }
    made.write(&fixture, "2");
    // And one on a loose object.
    let loose = fixture.object("work", "blob", b"loose");
    let mut made = Made::default();
    let delta = longer(5, b'!');
    let on_loose = id_of(b"loose!");
    made.put(on_loose, 7, loose.as_bytes(), delta.len(), &delta);
    made.write(&fixture, "3");
    expected.extend([loose, on_loose]);
    let repo = open(&fixture.path("work/.git"));
    for threads in [1, 2] {
        let (seen, unread, _) = all(&repo, threads, &|_| true);
        assert_eq!(unread, []);
        assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), expected);
    }
    // One by one, from either end.
    let reader = repo.reader();
    let whole: Vec<u8> = [b"start".to_vec(), vec![b'a'; 10_000]].concat();
    for length in [10_005, 5, 6, 5_000] {
        let mut buffer = Vec::new();
        let id = id_of(&whole[..length]);
        let found = reader.find(&id, &mut buffer, &budget()).unwrap().unwrap();
        assert_eq!(found.data, &whole[..length]);
    }
    let late = Budget::new(Bounds {
        time: std::time::Duration::ZERO,
        ..Bounds::default()
    });
    let (reader, mut buffer) = (repo.reader(), Vec::new());
    let found = reader.find(&id_of(&whole), &mut buffer, &late);
    assert!(matches!(found, Err(RepoError::Exhausted(_))), "{found:?}");
}

#[test]
fn circles_lies_and_bombs_are_told() {
    let fixture = Fixture::new(&[]);
    let mut made = Made::default();
    let (good, good_at) = made.blob(b"good");
    let delta = longer(4, b'!');
    let id = |byte: u8| Oid::from_bytes_or_panic(&[byte; 20]);
    // A circle of two, one of one, and what hangs below.
    made.put(id(1), 7, id(2).as_bytes(), delta.len(), &delta);
    made.put(id(2), 7, id(1).as_bytes(), delta.len(), &delta);
    made.put(id(3), 7, id(3).as_bytes(), delta.len(), &delta);
    made.put(id(4), 7, id(3).as_bytes(), delta.len(), &delta);
    // A base that is nowhere, and an offset that leads beside an entry.
    made.put(id(5), 7, id(99).as_bytes(), delta.len(), &delta);
    let distance = u8::try_from(made.offset() - good_at).unwrap_or(0x70);
    made.put(
        id(6),
        6,
        &[distance.wrapping_sub(1) & 0x7f],
        delta.len(),
        &delta,
    );
    // Sizes that lie: too small, too large, absurd.
    made.put(id(7), 3, &[], 3, b"good");
    made.put(id(8), 3, &[], 5, b"good");
    made.put(id(9), 3, &[], 900 << 20, b"good");
    made.put(id(10), 3, &[], 3 << 30, b"good");
    // A kind that there is not, a delta for another base, one that promises a gigabyte.
    made.put(id(11), 5, &[], 4, b"good");
    let wrong = longer(5, b'!');
    made.put(id(12), 7, good.as_bytes(), wrong.len(), &wrong);
    let bomb = [size(4), size(1 << 30), b"\x01a".to_vec()].concat();
    made.put(id(13), 7, good.as_bytes(), bomb.len(), &bomb);
    made.write(&fixture, "1");
    let repo = open(&fixture.path("work/.git"));
    let make = || Keeper {
        seen: Vec::new(),
        made: 0,
        wants: &|_| true,
    };
    let (keepers, unread) = pass(&repo, 2, make).unwrap();
    let seen: Vec<Oid> = keepers
        .iter()
        .flat_map(|keeper| keeper.seen.iter().map(|one| one.0))
        .collect();
    assert_eq!(seen, [good]);
    let told: BTreeMap<&str, &str> = unread.iter().map(|one| (&*one.what, &*one.why)).collect();
    for (byte, why) in [
        (1, "circle"),
        (2, "circle"),
        (3, "circle"),
        (4, "circle"),
        (5, "base is missing"),
        (6, "base is not where"),
        (7, "larger than it says"),
        (8, "smaller than it says"),
        (9, "smaller than it says"),
        (10, "larger than 1 GiB"),
        (11, "header"),
        (12, "another base"),
        (13, "promises"),
    ] {
        let id = id(byte).to_string();
        let found = told.get(&*id).copied().unwrap_or_default();
        assert!(found.contains(why), "{byte}: {found}");
    }
    // One by one they are refused for the same reasons.
    let (reader, mut buffer) = (repo.reader(), Vec::new());
    for byte in 1..=13 {
        match reader.find(&id(byte), &mut buffer, &budget()) {
            Err(RepoError::Corrupt { why, .. }) => {
                // Where entries begin is not known there.
                let is_alike = told[&*id(byte).to_string()].starts_with(&why);
                assert!(is_alike || byte == 6, "{byte}: {why}");
            }
            Err(RepoError::Exhausted(_)) if byte == 13 => {}
            other => panic!("{byte}: {other:?}"),
        }
    }
    let found = reader.find(&good, &mut buffer, &budget()).unwrap();
    assert_eq!(found.unwrap().data, b"good");
}
