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
