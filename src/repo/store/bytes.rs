//! The bytes of one file, read where they are asked for; a small file that is asked often is read whole.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::repo::open_file;

/// After so many reads a small file is read whole.
const READS_BEFORE_WHOLE: u32 = 32;

/// From this length on a file stays open whatever there is beside it: git makes few large ones. In bytes.
const LARGE_BYTES: u64 = 1 << 20;

/// See the module. Shared between threads.
pub(super) struct Bytes {
    held: Held,
    length: u64,
    whole_max: u64,
    reads: AtomicU32,
    whole: OnceLock<Vec<u8>>,
}

enum Held {
    Open(File),
    /// Opened again for each read: a process has only so many open files.
    Path(PathBuf),
}

impl Bytes {
    /// `whole_max`: the longest file that is read whole, in bytes.
    pub(super) fn open(path: &Path, whole_max: u64, may_stay_open: bool) -> Result<Self> {
        let file = open_file(path)?;
        let length = file.metadata()?.len();
        Ok(Bytes {
            held: match may_stay_open || length >= LARGE_BYTES {
                true => Held::Open(file),
                false => Held::Path(path.to_owned()),
            },
            length,
            whole_max,
            reads: AtomicU32::new(0),
            whole: OnceLock::new(),
        })
    }

    fn with_file<T>(&self, work: impl FnOnce(&File) -> Result<T>) -> Result<T> {
        match &self.held {
            Held::Open(file) => work(file),
            Held::Path(path) => work(&open_file(path)?),
        }
    }

    /// In bytes.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// All of it, where it was read whole.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.whole.get().map(Vec::as_slice)
    }

    /// Fills `into` with what stands from an offset on.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> Result<()> {
        match self.read_some(at, into)? {
            count if count == into.len() => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Reads what stands from an offset on, as far as it goes.
    pub(super) fn read_some(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        if self.length <= self.whole_max
            && self.reads.fetch_add(1, Ordering::Relaxed) == READS_BEFORE_WHOLE
        {
            self.read_whole()?;
        }
        if let Some(whole) = self.whole() {
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            let from = whole.get(start..).unwrap_or_default();
            let count = from.len().min(into.len());
            into[..count].copy_from_slice(&from[..count]);
            return Ok(count);
        }
        self.with_file(|file| {
            let mut filled = 0;
            while filled < into.len() {
                match file.read_at(&mut into[filled..], at + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        })
    }

    fn read_whole(&self) -> Result<()> {
        let mut whole = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
        self.with_file(|file| file.read_exact_at(&mut whole, 0))?;
        // Another thread may have been first.
        let _ = self.whole.set(whole);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_file_however_they_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let content: Vec<u8> = (0..100).collect();
        std::fs::write(&path, &content).unwrap();
        for (whole_max, may_stay_open) in [(100, true), (100, false), (99, true), (99, false)] {
            let bytes = Bytes::open(&path, whole_max, may_stay_open).unwrap();
            assert_eq!(bytes.len(), 100);
            assert_eq!(matches!(bytes.held, Held::Open(_)), may_stay_open);
            for asked in 0..50_u32 {
                for (at, length, expected) in [
                    (0, 100, 0..100),
                    (7, 13, 7..20),
                    (95, 5, 95..100),
                    (95, 6, 95..100),
                    (100, 1, 100..100),
                    (1 << 40, 3, 0..0),
                ] {
                    let mut into = vec![0xee; length];
                    let count = bytes.read_some(at, &mut into).unwrap();
                    assert_eq!(into[..count], content[expected]);
                    assert_eq!(bytes.read(at, &mut into).is_ok(), count == length);
                }
                // Twelve questions a round.
                let is_whole = whole_max == 100 && 12 * (asked + 1) > READS_BEFORE_WHOLE;
                assert_eq!(bytes.whole().is_some(), is_whole, "{asked}");
            }
            assert!(whole_max < 100 || bytes.whole().unwrap() == content);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_meanwhile_ends_in_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for may_stay_open in [true, false] {
            std::fs::write(&path, [7; 100]).unwrap();
            let bytes = Bytes::open(&path, 100, may_stay_open).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(50).unwrap();
            let mut into = [0; 10];
            // From some question on it is read whole, or would be.
            for _ in 0..=READS_BEFORE_WHOLE {
                assert!(bytes.read(45, &mut into).is_err());
            }
            bytes.read(40, &mut into).unwrap();
            assert_eq!(into, [7; 10]);
        }
        assert!(Bytes::open(dir.path(), 100, true).is_err());
    }

    #[test]
    fn a_large_file_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (length, is_open) in [(LARGE_BYTES - 1, false), (LARGE_BYTES, true)] {
            let file = File::create(&path).unwrap();
            file.set_len(length).unwrap();
            let bytes = Bytes::open(&path, 0, false).unwrap();
            assert_eq!(matches!(bytes.held, Held::Open(_)), is_open);
        }
    }
}
