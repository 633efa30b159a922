//! Files that once were the ledger and were renamed, by hand or by logrotate.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::chain;
use super::entry::{Entry, Event};
use crate::order::Order as _;

/// Most files before the present one that are looked for.
const FILES_MAX: usize = 10_000;

/// Reads a file from its start; what ends in `.gz` is unpacked.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    Ok(
        match path.extension().is_some_and(|ending| ending == "gz") {
            true => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
            false => Box::new(BufReader::with_capacity(256 << 10, file)),
        },
    )
}

/// The first entry of a file.
pub(super) fn first_entry(from: &mut impl BufRead) -> Option<Entry> {
    let mut line = Vec::new();
    let limit = u64::try_from(chain::LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
    from.by_ref()
        .take(limit)
        .read_until(b'\n', &mut line)
        .ok()?;
    line.pop_if(|last| *last == b'\n')?;
    chain::unseal(&line)?;
    serde_json::from_slice(&line).ok()
}

/// The hash that a file says it continues.
fn continued(entry: &Entry) -> Option<[u8; 32]> {
    match &entry.event {
        Event::Continued(continued) => chain::hex32(continued.head.as_bytes()),
        _ => None,
    }
}

/// The hash that the ledger says it continues.
pub(super) fn continues(file: &File) -> Option<[u8; 32]> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = file.try_clone().ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    continued(&first_entry(&mut BufReader::new(file))?)
}

/// The files before the ledger, oldest first, by what each says that it continues; and whether there is no other.
pub(super) fn before(ledger: &Path, file: &File) -> io::Result<(Vec<PathBuf>, bool)> {
    let mut candidates = beside(ledger)?;
    let mut files = Vec::new();
    let mut wanted = continues(file);
    while let Some(hash) = wanted {
        let Some(found) = candidates
            .iter()
            .position(|path| last_hash(path) == Some(hash))
        else {
            break;
        };
        let path = candidates.swap_remove(found);
        wanted = open(&path)
            .ok()
            .and_then(|mut from| continued(&first_entry(&mut from)?));
        files.insert(0, path);
    }
    Ok((files, candidates.is_empty()))
}

/// Files whose name is the ledger's and an ending, as logrotate gives them. Packed ones are for a person to name.
pub(super) fn beside(ledger: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match ledger.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = ledger
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let is_one = |path: &PathBuf| {
        let ending = path
            .file_name()
            .and_then(|other| other.to_str())
            .and_then(|other| other.strip_prefix(&name));
        let rotated = ending.is_some_and(|ending| {
            ending.starts_with(['.', '-']) && ending.bytes().any(|byte| byte.is_ascii_digit())
        });
        rotated && path.is_file()
    };
    let files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(is_one).take(FILES_MAX).collect();
    files.order();
    Ok(files)
}

/// The hash of the last entry of a file that is not packed.
fn last_hash(path: &Path) -> Option<[u8; 32]> {
    let tail = super::tail::read_tail(&File::open(path).ok()?).ok()?;
    (tail.seq > 0).then_some(tail.hash)
}
