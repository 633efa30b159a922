//! Packs and indices that are made up as the input says, honest and lying: what is read of them one by one is what a plain
//! resolver of deltas makes of them, or an error. Bytes that are changed afterwards may only lead to errors and other
//! objects.

#![no_main]

mod seeds;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use libfuzzer_sys::fuzz_target;
use ringfence::budget::{Bounds, Budget};
use ringfence::push::Oid;
use ringfence::repo::{Kind, Layout, Reader, Repo};

const ENTRIES_MAX: usize = 80;
/// Of one whole object, in bytes.
const WHOLE_MAX: usize = 48 << 10;
/// Of what a delta makes, in bytes: beyond that it is not expected to be anything.
const MADE_MAX: u64 = 4 << 20;

/// The input, read from its start. Behind its end everything is zero.
struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

/// What must come out.
#[derive(Clone, Debug)]
enum Expected {
    Is(Kind, Vec<u8>),
    /// An error, and neither an object nor none.
    Broken,
    /// It leads to bytes that nobody meant for an entry.
    Any,
}

enum Source {
    Whole(Kind, Vec<u8>),
    Delta(Base, Vec<u8>),
    Broken,
    Any,
}

#[derive(Clone, Copy)]
enum Base {
    At(u64),
    Id(Oid),
}

struct Entry {
    id: Oid,
    offset: u64,
    crc: u32,
    source: Source,
}

#[derive(Default)]
struct Pack {
    body: Vec<u8>,
    entries: Vec<Entry>,
}

/// Ids that stand close to each other, and some that do not.
fn id(number: usize, spread: u8) -> Oid {
    let mut bytes = [7_u8; 20];
    bytes[0] = (number as u8).wrapping_mul(spread | 1);
    bytes[3] = number as u8;
    bytes[19] = spread;
    Oid::try_from(&bytes[..]).expect("twenty bytes")
}

fn number(mut left: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while left > 0x7f {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    out
}

/// How far back a base is, as packs write it.
fn distance(mut back: u64) -> Vec<u8> {
    let mut out = vec![(back & 0x7f) as u8];
    while back > 0x7f {
        back = (back >> 7) - 1;
        out.insert(0, (back & 0x7f) as u8 | 0x80);
    }
    out
}

fn content(choices: &mut Choices<'_>) -> Vec<u8> {
    let length = choices.short();
    match length % 4 {
        // What does not pack.
        0 => {
            let mut state = length as u32 | 1;
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..length.min(WHOLE_MAX)).map(next).collect()
        }
        1 => vec![choices.byte(); length.min(WHOLE_MAX)],
        _ => choices.bytes(length % 64),
    }
}

/// A delta for a base of so many bytes, or bytes that look like one.
fn delta(choices: &mut Choices<'_>, base: usize) -> Vec<u8> {
    let (lie, count) = (choices.byte(), choices.byte() % 6);
    let (mut out, mut made) = (Vec::new(), 0);
    for _ in 0..count {
        let command = choices.byte();
        if command & 0x80 != 0 {
            let (from, length) = (choices.short(), choices.short());
            let from = if lie & 1 == 0 { from % (base + 1) } else { from };
            let length = if lie & 1 == 0 { length.min(base - from) } else { length };
            let fields = [from as u8, (from >> 8) as u8, 0, 0, length as u8, (length >> 8) as u8, 0];
            let mut mask = 0x80;
            let start = out.len();
            out.push(0);
            for (bit, field) in fields.into_iter().enumerate() {
                if field != 0 || command >> (bit % 7) & 1 == 1 {
                    mask |= 1 << bit;
                    out.push(field);
                }
            }
            out[start] = mask;
            made += if length == 0 { 0x10000 } else { length };
        } else {
            let piece = choices.bytes(usize::from(command));
            out.push(piece.len() as u8);
            made += piece.len();
            out.extend(piece);
        }
    }
    let from = if lie & 2 == 0 { base } else { choices.short() };
    let to = if lie & 4 == 0 { made } else { choices.short() };
    let mut sizes = [number(from), number(to)].concat();
    if lie & 0x18 == 0x18 {
        // A number that does not end.
        sizes = vec![0xff; usize::from(lie >> 5) + 8];
    }
    sizes.extend(out);
    sizes
}

impl Pack {
    fn put(&mut self, choices: &mut Choices<'_>, numbers: (usize, u8), all: &[Oid]) {
        let (how, lie) = (choices.byte(), choices.byte());
        let offset = 12 + self.body.len() as u64;
        let (kind, link, data, mut source) = match how % 8 {
            at @ 0..=3 => {
                let kind = [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag][usize::from(at)];
                let text = content(choices);
                (at + 1, Vec::new(), text.clone(), Source::Whole(kind, text))
            }
            4 | 5 => {
                let pick = usize::from(choices.byte());
                let (to, base) = match self.entries.get(pick % self.entries.len().max(1)) {
                    Some(entry) => (entry.offset, self.length(pick % self.entries.len())),
                    None => (offset, 0),
                };
                let back = match lie & 0xc0 {
                    0xc0 => choices.short() as u64,
                    _ => offset - to,
                };
                let text = delta(choices, base);
                let source = match offset.checked_sub(back).filter(|at| *at < offset && *at >= 12) {
                    Some(at) => Source::Delta(Base::At(at), text.clone()),
                    None => Source::Broken,
                };
                (6, distance(back), text, source)
            }
            6 => {
                // Itself, one that follows, or one that nobody has, among the others.
                let pick = usize::from(choices.byte());
                let to = all[pick % all.len()];
                let place = self.entries.iter().position(|entry| entry.id == to);
                let text = delta(choices, place.map_or(pick, |place| self.length(place)));
                let source = Source::Delta(Base::Id(to), text.clone());
                (7, to.as_bytes().to_vec(), text, source)
            }
            _ => (how >> 7 & 5, Vec::new(), content(choices), Source::Broken),
        };
        let mut size = data.len();
        if lie & 0x30 == 0x30 {
            size = choices.short() << (lie & 15);
            if size != data.len() {
                source = Source::Broken;
            }
        }
        let start = self.body.len();
        let mut left = size >> 4;
        let mut byte = kind << 4 | (size & 15) as u8;
        while left > 0 {
            self.body.push(byte | 0x80);
            byte = (left & 0x7f) as u8;
            left >>= 7;
        }
        self.body.push(byte);
        self.body.extend(link);
        let level = Compression::new(u32::from(how >> 5) % 3 * 4);
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        zlib.write_all(&data).expect("memory can be written");
        let mut packed = zlib.finish().expect("memory can be written");
        if lie & 0x0c == 0x0c {
            let at = choices.short() % packed.len();
            match choices.byte() {
                0 => packed.truncate(at),
                flip => packed[at] ^= flip,
            }
            source = Source::Any;
        }
        self.body.extend(packed);
        self.entries.push(Entry {
            id: id(numbers.0, numbers.1),
            offset,
            crc: crc32fast::hash(&self.body[start..]),
            source,
        });
    }

    /// Of what an entry makes, as far as it makes something.
    fn length(&self, entry: usize) -> usize {
        match self.expected(entry, self.entries.len()) {
            Expected::Is(_, text) => text.len(),
            _ => 3,
        }
    }

    fn expected(&self, entry: usize, steps: usize) -> Expected {
        let (base, delta) = match &self.entries[entry].source {
            Source::Whole(kind, text) => return Expected::Is(*kind, text.clone()),
            Source::Broken => return Expected::Broken,
            Source::Any => return Expected::Any,
            Source::Delta(base, delta) => (*base, delta),
        };
        let place = self.entries.iter().position(|entry| match base {
            Base::At(offset) => entry.offset == offset,
            Base::Id(id) => entry.id == id,
        });
        match (place, base) {
            (Some(_), _) if steps == 0 => Expected::Broken,
            (Some(place), _) => match self.expected(place, steps - 1) {
                Expected::Is(kind, text) => match applied(delta, &text) {
                    Some(text) if text.len() as u64 > MADE_MAX => Expected::Any,
                    Some(text) => Expected::Is(kind, text),
                    None => Expected::Broken,
                },
                other => other,
            },
            (None, Base::At(_)) => Expected::Any,
            (None, Base::Id(_)) => Expected::Broken,
        }
    }

    fn files(&self, form: u8) -> (Vec<u8>, Vec<u8>) {
        let count = self.entries.len() as u32;
        let checksum = [form; 20];
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend(count.to_be_bytes());
        pack.extend(&self.body);
        pack.extend(checksum);
        let mut sorted: Vec<&Entry> = self.entries.iter().collect();
        sorted.sort_by_key(|entry| entry.id);
        let mut index = Vec::new();
        if form & 1 == 0 {
            index.extend(b"\xfftOc\0\0\0\x02");
        }
        for first in 0..=255_u8 {
            let below = sorted.iter().filter(|entry| entry.id.as_bytes()[0] <= first);
            index.extend((below.count() as u32).to_be_bytes());
        }
        if form & 1 == 1 {
            for entry in sorted {
                index.extend((entry.offset as u32).to_be_bytes());
                index.extend(entry.id.as_bytes());
            }
        } else {
            index.extend(sorted.iter().flat_map(|entry| entry.id.as_bytes()));
            index.extend(sorted.iter().flat_map(|entry| entry.crc.to_be_bytes()));
            let mut long = Vec::new();
            for entry in sorted {
                if form & 2 == 2 && entry.offset % 3 != 0 {
                    index.extend((1 << 31 | long.len() as u32 / 8).to_be_bytes());
                    long.extend(entry.offset.to_be_bytes());
                } else {
                    index.extend((entry.offset as u32).to_be_bytes());
                }
            }
            index.extend(long);
        }
        index.extend(checksum);
        // Its own checksum is not looked at here.
        index.extend([0; 20]);
        (pack, index)
    }
}

/// What a delta makes, byte by byte.
fn applied(delta: &[u8], base: &[u8]) -> Option<Vec<u8>> {
    let mut rest = delta.iter().copied();
    let mut size = || {
        let mut size = 0_u64;
        for place in 0..9 {
            let byte = rest.next()?;
            size += u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(size);
            }
        }
        None
    };
    let (from, to) = (size()?, size()?);
    let mut made = Vec::new();
    while let Some(command) = rest.next() {
        if command < 0x80 {
            for _ in 0..command {
                made.push(rest.next()?);
            }
            if command == 0 {
                return None;
            }
            continue;
        }
        let mut fields = [0_usize; 7];
        for (bit, field) in fields.iter_mut().enumerate() {
            if command >> bit & 1 == 1 {
                *field = usize::from(rest.next()?);
            }
        }
        let at = fields[0] + fields[1] * 0x100 + fields[2] * 0x1_0000 + fields[3] * 0x100_0000;
        let length = match fields[4] + fields[5] * 0x100 + fields[6] * 0x1_0000 {
            0 => 0x1_0000,
            length => length,
        };
        for place in at..at + length {
            made.push(*base.get(place)?);
        }
    }
    (from == base.len() as u64 && to == made.len() as u64).then_some(made)
}

/// A bare repository that is gone with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("ringfence-fuzz-packs-{}", std::process::id()));
        for folder in ["objects/pack", "refs/heads"] {
            std::fs::create_dir_all(path.join(folder)).expect("a folder can be made");
        }
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text);
        write("HEAD", "ref: refs/heads/main\n").expect("a file can be written");
        write("config", "[core]\n\tbare = true\n").expect("a file can be written");
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join("objects").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        std::fs::write(path, bytes).expect("a file can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> Repo {
    let layout = Layout::discover(path).expect("a repository");
    Repo::open(layout).expect("a repository that is understood")
}

fn check(reader: &Reader<'_>, id: &Oid, expected: &Expected, budget: &Budget, ask_first: bool) {
    let mut buffer = Vec::new();
    let header = ask_first.then(|| reader.header(id));
    let found = reader.find(id, &mut buffer, budget);
    match (expected, &found) {
        (Expected::Any, _) => {}
        (Expected::Is(kind, text), Ok(Some(object))) => {
            assert_eq!((object.kind, object.data), (*kind, &text[..]), "{id}");
            if let Some(header) = header {
                let header = header.expect("a header of what can be read");
                assert_eq!(header, Some((*kind, text.len() as u64)), "{id}");
            }
        }
        (Expected::Broken, Err(_)) => {}
        _ => panic!("{id}: {found:?}, and not {expected:?}"),
    }
    if !matches!(expected, Expected::Any) {
        assert!(reader.is_stored(id).expect("indices are sound"), "{id}");
    }
}

fuzz_target!(init: seeds::write(made_packs), |data: &[u8]| {
    let mut choices = Choices(data);
    let (form, count, spread) = (choices.byte(), usize::from(choices.byte()) % ENTRIES_MAX, choices.byte());
    let all: Vec<Oid> = (0..count + 2).map(|at| id(at, spread)).collect();
    if all.iter().collect::<BTreeSet<_>>().len() < all.len() {
        return;
    }
    let mut packs = [Pack::default(), Pack::default()];
    for at in 0..count {
        // The second half of the choices is for the second pack, if there is one.
        let pack = usize::from(form & 0x10 != 0 && at > count / 2);
        packs[pack].put(&mut choices, (at, spread), &all);
    }
    let mut expected = BTreeMap::new();
    let folder = Folder::new();
    let damage = form >> 6;
    for (place, pack) in packs.iter().enumerate() {
        for entry in 0..pack.entries.len() {
            let is = pack.expected(entry, pack.entries.len());
            expected.insert(pack.entries[entry].id, is);
        }
        let (mut bytes, mut index) = pack.files(form & 3);
        if damage == 3 && place == 0 {
            let file = if form & 0x20 == 0 { &mut bytes } else { &mut index };
            for _ in 0..=choices.byte() % 4 {
                let at = choices.short() % file.len();
                file[at] ^= choices.byte();
            }
            if choices.byte() == 1 {
                file.truncate(choices.short());
            }
        }
        if place == 0 || !pack.entries.is_empty() {
            folder.write(&format!("pack/pack-{place}.pack"), &bytes);
            folder.write(&format!("pack/pack-{place}.idx"), &index);
        }
    }
    // A loose file with the name of something else is nothing.
    let stray = all[count];
    let hex = stray.to_string();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&choices.bytes(40)).expect("memory can be written");
    let loose = zlib.finish().expect("memory can be written");
    folder.write(&format!("{}/{}", &hex[..2], &hex[2..]), &loose);
    expected.insert(stray, Expected::Broken);

    let budget = Budget::new(Bounds {
        time: Duration::from_secs(15),
        ..Bounds::default()
    });
    let repo = open(&folder.0);
    let (first, second) = (repo.reader(), repo.reader());
    let mut ids: Vec<&Oid> = expected.keys().collect();
    let turn = usize::from(choices.byte()) % ids.len();
    ids.rotate_left(turn);
    for (at, id) in ids.iter().chain(ids.iter().rev()).enumerate() {
        let reader = if choices.byte() & 1 == 0 { &first } else { &second };
        if damage == 3 {
            let _ = (reader.header(id), reader.find(id, &mut Vec::new(), &budget), reader.is_stored(id));
        } else {
            check(reader, id, &expected[*id], &budget, at % 3 == 0);
        }
    }
    let absent = first.find(&all[count + 1], &mut Vec::new(), &budget).map(|found| found.is_some());
    assert!(damage == 3 || matches!(absent, Ok(false)), "{absent:?}");
});

/// Some whole objects with deltas of every kind on them, in each form.
fn made_packs() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for form in [0, 1, 2, 0x10, 0xc0, 0xe0] {
        for spread in [1, 77] {
            let mut input = vec![form, 40, spread];
            for round in 0..10_u8 {
                // A whole object, one upon it by offset, one by id.
                input.extend([round % 4, 0, 50 + 4 * (round % 3), round]);
                input.extend([b'x'; 48]);
                for (kind, pick) in [(4, 3 * round), (6, 3 * round + 1)] {
                    input.extend([kind, 0, pick, 0, 3]);
                    input.extend([0x80, 1, 0, 9, 0, 3, b'a', b'b', b'c', 0xff, 2, 0, 4, 0]);
                }
                input.extend([2, [0, 0x30, 0x0c, 0xc0][usize::from(round % 4)], 3, 0, 1, 2, 3]);
            }
            inputs.push(input);
        }
    }
    inputs
}
