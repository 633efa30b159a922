//! Packs written by hand: deep, circular, lying.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use super::packs::{Keeper, all};
use super::{Fixture, budget, open};
use crate::budget::{Bounds, Budget};
use crate::push::{HashKind, Oid};
use crate::repo::packs::pass;
use crate::repo::{Kind, RepoError};

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
    // A base no bytes back, and one in the head of the pack.
    made.put(id(14), 6, &[0], delta.len(), &delta);
    let back = made.offset() - 4;
    let back = [
        u8::try_from((back >> 7) - 1).unwrap() | 0x80,
        back as u8 & 0x7f,
    ];
    made.put(id(15), 6, &back, delta.len(), &delta);
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
        (14, "base is not where"),
        (15, "base is not where"),
    ] {
        let id = id(byte).to_string();
        let found = told.get(&*id).copied().unwrap_or_default();
        assert!(found.contains(why), "{byte}: {found}");
    }
    // One by one they are refused for the same reasons.
    let (reader, mut buffer) = (repo.reader(), Vec::new());
    for byte in 1..=15 {
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

/// A base in another pack may be whole, made from others there, or hang on a third pack; whatever is asked first.
#[test]
fn bases_are_followed_from_pack_to_pack() {
    let fixture = Fixture::new(&[]);
    let texts: Vec<Vec<u8>> = (0..5)
        .map(|more| b"start!!!!"[..5 + more].to_vec())
        .collect();
    let delta = |base: usize| longer(texts[base].len(), b'!');
    let mut whole = Made::default();
    whole.blob(&texts[0]);
    whole.write(&fixture, "3");
    // One on the whole object there, one on that, and that in yet another pack, which is opened first.
    let mut middle = Made::default();
    let (first, second) = (delta(0), delta(1));
    let base = id_of(&texts[0]);
    let at = middle.put(id_of(&texts[1]), 7, base.as_bytes(), first.len(), &first);
    let back = u8::try_from(middle.offset() - at).unwrap();
    middle.put(id_of(&texts[2]), 6, &[back], second.len(), &second);
    middle.write(&fixture, "2");
    let mut last = Made::default();
    let (third, fourth) = (delta(2), delta(3));
    let base = id_of(&texts[2]);
    last.put(id_of(&texts[3]), 7, base.as_bytes(), third.len(), &third);
    let base = id_of(&texts[3]);
    last.put(id_of(&texts[4]), 7, base.as_bytes(), fourth.len(), &fourth);
    last.write(&fixture, "1");
    Made::default().write(&fixture, "0");
    let (seen, unread, _) = all(&open(&fixture.path("work/.git")), 1, &|_| true);
    assert_eq!(unread, []);
    let expected: BTreeSet<Oid> = texts.iter().map(|text| id_of(text)).collect();
    assert_eq!(seen.into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_circle_in_another_pack_ends() {
    let fixture = Fixture::new(&[]);
    let delta = longer(4, b'!');
    let id = |byte: u8| Oid::from_bytes_or_panic(&[byte; 20]);
    let mut circle = Made::default();
    circle.put(id(1), 7, id(2).as_bytes(), delta.len(), &delta);
    circle.put(id(2), 7, id(1).as_bytes(), delta.len(), &delta);
    circle.write(&fixture, "1");
    let mut above = Made::default();
    above.put(id(3), 7, id(1).as_bytes(), delta.len(), &delta);
    above.write(&fixture, "0");
    let (seen, unread, _) = all(&open(&fixture.path("work/.git")), 1, &|_| true);
    assert!(seen.is_empty());
    assert_eq!(unread.iter().map(|one| one.objects).sum::<u64>(), 3);
}

#[test]
fn what_cannot_be_read_is_told_one_by_one_up_to_a_bound() {
    for (count, told) in [(1_000, 1_000), (1_003, 1_001)] {
        let fixture = Fixture::new(&[]);
        let delta = longer(4, b'!');
        let nowhere = Oid::from_bytes_or_panic(&[0xff; 20]);
        let mut made = Made::default();
        for number in 0..count {
            let text = format!("{number}");
            let id = id_of(text.as_bytes());
            made.put(id, 7, nowhere.as_bytes(), delta.len(), &delta);
        }
        made.write(&fixture, "1");
        let (seen, unread, _) = all(&open(&fixture.path("work/.git")), 1, &|_| true);
        assert!(seen.is_empty());
        assert_eq!(unread.len(), told);
        assert_eq!(unread.iter().map(|one| one.objects).sum::<u64>(), count);
    }
}

/// An object that is gone when it is read, and stands elsewhere as something else, is not taken for what was asked about.
#[test]
fn what_was_located_is_read_as_that_or_not_at_all() {
    for (kind, text) in [(3, &b"longer"[..]), (2, b"loose"), (3, b"loose")] {
        let fixture = Fixture::new(&[]);
        let id = fixture.object("work", "blob", b"loose");
        let repo = open(&fixture.path("work/.git"));
        let (reader, mut buffer) = (repo.reader(), Vec::new());
        assert_eq!(reader.header(&id).unwrap(), Some((Kind::Blob, 5)));
        let hex = id.to_string();
        let objects = fixture.path("work/.git/objects");
        std::fs::remove_file(objects.join(&hex[..2]).join(&hex[2..])).unwrap();
        let mut made = Made::default();
        made.put(id, kind, &[], text.len(), text);
        made.write(&fixture, "1");
        let found = reader.find(&id, &mut buffer, &budget());
        if (kind, text) == (3, b"loose") {
            let found = found.unwrap().unwrap();
            assert_eq!((found.kind, found.data), (Kind::Blob, text));
        } else {
            assert!(matches!(found, Err(RepoError::Missing(_))), "{found:?}");
        }
    }
}

/// What is read of a pack at once is less than lies between an object and its base.
#[test]
fn a_base_far_away_is_found() {
    let fixture = Fixture::new(&[]);
    let mut made = Made::default();
    let (start, _) = made.blob(b"start");
    let mut state = 1_u32;
    let large: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(100 << 10)
    .collect();
    let (large_id, _) = made.blob(&large);
    let delta = longer(5, b'!');
    let end = id_of(b"start!");
    made.put(end, 7, start.as_bytes(), delta.len(), &delta);
    made.write(&fixture, "1");
    let repo = open(&fixture.path("work/.git"));
    let (reader, budget) = (repo.reader(), budget());
    let mut buffer = Vec::new();
    for (id, text) in [
        (end, &b"start!"[..]),
        (large_id, &large),
        (start, b"start"),
        (end, b"start!"),
    ] {
        let found = reader.find(&id, &mut buffer, &budget).unwrap().unwrap();
        assert_eq!(found.data, text);
    }
}

/// Packs that are listed anew have other numbers: what was kept of the old ones is not taken for theirs.
#[test]
fn nothing_of_a_pack_is_kept_for_the_one_that_takes_its_place() {
    let fixture = Fixture::new(&[]);
    let repo = open(&fixture.path("work/.git"));
    let (reader, budget) = (repo.reader(), budget());
    let mut buffer = Vec::new();
    for round in 0..4_u8 {
        let text = [b"text of round ".to_vec(), vec![b'0' + round]].concat();
        let delta = longer(text.len(), b'!');
        let mut made = Made::default();
        let (id, at) = made.blob(&text);
        let longer_text = [&text[..], b"!"].concat();
        let back = u8::try_from(made.offset() - at).unwrap();
        let longer_id = id_of(&longer_text);
        made.put(longer_id, 6, &[back], delta.len(), &delta);
        made.write(&fixture, &round.to_string());
        for (id, text) in [(longer_id, &longer_text), (id, &text)] {
            assert_eq!(
                reader.header(&id).unwrap(),
                Some((Kind::Blob, text.len() as u64))
            );
            let found = reader.find(&id, &mut buffer, &budget).unwrap().unwrap();
            assert_eq!(found.data, text);
        }
        let folder = fixture.path("work/.git/objects/pack");
        for end in ["idx", "pack"] {
            std::fs::remove_file(folder.join(format!("pack-{round}.{end}"))).unwrap();
        }
    }
}
