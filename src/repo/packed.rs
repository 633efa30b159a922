//! `packed-refs`: looked up on disk by binary search when its header says that it is sorted.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bstr::ByteSlice as _;

use super::RepoError;
use super::alike::Search;
use crate::push::{HashKind, Oid, RefName};

/// Once a search has come down to this many bytes they are read at once.
const BLOCK: u64 = 4 << 10;

fn refuse(why: impl std::fmt::Display) -> RepoError {
    RepoError::Refs(format!("packed-refs: {why}"))
}

/// An opened file. Opened anew for each question: a repack replaces it at any time.
struct Packed {
    file: File,
    len: u64,
    sorted: bool,
}

impl Packed {
    fn open(path: &Path) -> Result<Option<Packed>, RepoError> {
        match std::fs::metadata(path) {
            // A device seems to be empty, and a pipe waits.
            Ok(found) if !found.is_file() => return Err(refuse("it is not a regular file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(error)),
        };
        let len = file.metadata().map_err(refuse)?.len();
        let mut packed = Packed {
            file,
            len,
            sorted: false,
        };
        let head = packed.read(0, len.min(256))?;
        if let Some(traits) = head.strip_prefix(b"# pack-refs with:") {
            let line = traits.lines().next().unwrap_or_default();
            packed.sorted = line
                .split(|byte| *byte == b' ')
                .any(|word| word == b"sorted");
        }
        Ok(Some(packed))
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<u8>, RepoError> {
        let size = usize::try_from(to - from).map_err(refuse)?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, from).map_err(refuse)?;
        Ok(bytes)
    }

    /// A range of whole lines that holds the line of `name` if there is one, and where all names before the
    /// range are less than `name`.
    fn narrow(&self, name: &[u8]) -> Result<(u64, u64), RepoError> {
        let (mut low, mut high) = (0, self.len);
        if !self.sorted {
            return Ok((low, high));
        }
        while high - low > BLOCK {
            let middle = low + (high - low) / 2;
            let chunk = self.read(middle, high.min(middle + BLOCK / 2))?;
            let Some((start, line)) = first_ref_line(&chunk) else {
                break;
            };
            let start = middle + start as u64;
            if name_of(line) < name {
                low = start;
            } else {
                high = start + line.len() as u64 + 1;
                if name_of(line) == name {
                    return Ok((start, high));
                }
                high = start;
            }
        }
        Ok((low, high))
    }

    /// Where the first line in a range begins whose name is not less than `key`.
    fn lower_bound(&self, key: &[u8], range: (u64, u64)) -> Result<u64, RepoError> {
        let (mut low, mut high) = range;
        while high - low > BLOCK {
            let middle = low + (high - low) / 2;
            let chunk = self.read(middle, high.min(middle + BLOCK / 2))?;
            let Some((start, line)) = first_ref_line(&chunk) else {
                break;
            };
            match name_of(line) < key {
                true => low = middle + start as u64,
                false => high = middle + start as u64,
            }
        }
        let text = self.read(low, high)?;
        let mut at = low;
        for line in text.lines_with_terminator() {
            let is_ref = !matches!(line.first(), Some(b'^' | b'#'));
            if is_ref && name_of(line.trim_end_with(|byte| byte == '\n')) >= key {
                return Ok(at);
            }
            at += line.len() as u64;
        }
        Ok(high)
    }

    /// Takes in what is alike in a range, line by line.
    fn scan(
        &self,
        (low, high): (u64, u64),
        hash: HashKind,
        search: &mut Search<'_>,
    ) -> Result<(), RepoError> {
        for line in refs(&self.read(low, high)?, hash) {
            let (_, name) = line?;
            if search.is_full() {
                break;
            }
            if search.is_alike(name) {
                search.take(name);
            }
        }
        Ok(())
    }

    /// Goes on from a range to those parts of it in which something may be alike: all names of a range begin the same way, and
    /// only a few bytes can follow.
    fn branch(
        &self,
        range: (u64, u64),
        hash: HashKind,
        search: &mut Search<'_>,
        ranges: &mut Vec<(u64, u64)>,
    ) -> Result<(), RepoError> {
        let (low, high) = range;
        // Twice as long as the longest line.
        let head = self.read(low, high.min(low + 2 * BLOCK))?;
        let tail = self.read(high.saturating_sub(2 * BLOCK).max(low), high)?;
        let is_ref = |line: &&[u8]| !matches!(line.first(), None | Some(b'^' | b'#'));
        // The piece of a line at either end of a block is none.
        let first = head.lines().find(is_ref);
        let last = tail.lines().skip(1).filter(is_ref).last();
        let (Some(first), Some(last), true) = (first, last, high - low > 4 * BLOCK) else {
            return self.scan(range, hash, search);
        };
        let (first, last) = (name_of(first), name_of(last));
        let pairs = first.iter().zip(last);
        let common = &first[..pairs.take_while(|(one, other)| one == other).count()];
        let form = &search.form;
        let met = common.len().min(form.len());
        if !super::alike::is_plain(common) || form.get(met).is_some_and(|byte| !byte.is_ascii()) {
            return self.scan(range, hash, search);
        }
        if !common[..met].eq_ignore_ascii_case(&form[..met]) {
            return Ok(());
        }
        let wanted = form.get(met).copied().unwrap_or(b'/');
        if common.len() > met && common[met] != b'/' {
            return Ok(());
        }
        if search.is_alike(first) {
            return self.scan(range, hash, search);
        }
        let part = |from: u8, to: u8| -> Result<(u64, u64), RepoError> {
            let start = self.lower_bound(&[common, &[from]].concat(), range)?;
            let end = self.lower_bound(&[common, &[to]].concat(), (start, high))?;
            Ok((start, end))
        };
        let mut found = vec![part(wanted, wanted + 1)?];
        let capital = wanted.to_ascii_uppercase();
        if capital != wanted {
            found.push(part(capital, capital + 1)?);
        }
        if wanted == b'/' {
            found.push(part(b'.', b'.' + 1)?);
        }
        ranges.extend(found.into_iter().filter(|(low, high)| low < high));
        // Anything may be behind letters that are not ASCII.
        let other = (self.lower_bound(&[common, &[0x80]].concat(), range)?, high);
        self.scan(other, hash, search)
    }
}

/// The first whole ref line behind the first line end in `chunk`, and where it starts.
fn first_ref_line(chunk: &[u8]) -> Option<(usize, &[u8])> {
    let mut start = chunk.find_byte(b'\n')? + 1;
    loop {
        let rest = chunk.get(start..)?;
        let end = rest.find_byte(b'\n')?;
        if !matches!(rest[0], b'^' | b'#') {
            return Some((start, &rest[..end]));
        }
        start += end + 1;
    }
}

/// What follows the first blank of a line.
fn name_of(line: &[u8]) -> &[u8] {
    line.split_once_str(" ").map_or(b"", |(_, name)| name)
}

/// The lines of refs in `text`, which is a range of whole lines: id still as text, name.
fn refs(text: &[u8], hash: HashKind) -> impl Iterator<Item = Result<(&[u8], &[u8]), RepoError>> {
    let cut_off = text.last().is_some_and(|byte| *byte != b'\n');
    let lines = text
        .lines()
        .filter(|line| !matches!(line.first(), Some(b'^' | b'#')))
        .map(move |line| match line.split_once_str(" ") {
            Some((hex, name)) if hex.len() == hash.len_in_hex() => Ok((hex, name)),
            _ => Err(malformed()),
        });
    cut_off.then(|| Err(malformed())).into_iter().chain(lines)
}

fn malformed() -> RepoError {
    refuse("a line is malformed")
}

fn id_of(hex: &[u8], hash: HashKind) -> Result<Oid, RepoError> {
    match Oid::from_hex(hex) {
        Ok(id) if id.kind() == hash && !id.is_null() => Ok(id),
        _ => Err(malformed()),
    }
}

/// The value of one ref.
pub(super) fn find(path: &Path, hash: HashKind, name: &[u8]) -> Result<Option<Oid>, RepoError> {
    let Some(packed) = Packed::open(path)? else {
        return Ok(None);
    };
    let (low, high) = packed.narrow(name)?;
    let text = packed.read(low, high)?;
    for line in refs(&text, hash) {
        let (hex, found) = line?;
        if found == name {
            return id_of(hex, hash).map(Some);
        }
    }
    Ok(None)
}

/// All refs below `prefix`.
pub(super) fn under(
    path: &Path,
    hash: HashKind,
    prefix: &[u8],
) -> Result<Vec<(RefName, Oid)>, RepoError> {
    let mut out = Vec::new();
    let Some(packed) = Packed::open(path)? else {
        return Ok(out);
    };
    let (low, _) = packed.narrow(prefix)?;
    let text = packed.read(low, packed.len)?;
    for line in refs(&text, hash) {
        let (hex, name) = line?;
        if name.starts_with(prefix) {
            if let Ok(name) = RefName::new(name) {
                out.push((name, id_of(hex, hash)?));
            }
        } else if packed.sorted && name > prefix {
            break;
        }
    }
    Ok(out)
}

/// Takes in all refs whose names are taken for those that are looked for.
pub(super) fn alike(
    path: &Path,
    hash: HashKind,
    searches: &mut [Search<'_>],
) -> Result<(), RepoError> {
    let Some(packed) = Packed::open(path)? else {
        return Ok(());
    };
    for search in searches {
        let mut ranges = vec![(0, packed.len)];
        while let Some(range) = ranges.pop() {
            match packed.sorted {
                true => packed.branch(range, hash, search, &mut ranges)?,
                false => packed.scan(range, hash, search)?,
            }
        }
    }
    Ok(())
}

/// Whether there is any ref.
pub(super) fn any(path: &Path) -> Result<bool, RepoError> {
    let Some(packed) = Packed::open(path)? else {
        return Ok(false);
    };
    let text = packed.read(0, packed.len.min(BLOCK))?;
    Ok(text
        .lines()
        .any(|line| !line.is_empty() && !matches!(line[0], b'^' | b'#')))
}
