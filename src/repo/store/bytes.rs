//! The bytes of one file, read where they are asked for; a small file that is asked often is read whole.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// After so many reads a small file is read whole.
const READS_BEFORE_WHOLE: u32 = 32;

/// See the module. Shared between threads.
pub(super) struct Bytes {
    /// `None`: it was read whole.
    file: Option<File>,
    length: u64,
    /// In bytes: of at most this length it is small.
    small: u64,
    reads: AtomicU32,
    whole: OnceLock<Vec<u8>>,
}

impl Bytes {
    /// `may_stay_open`: a process has only so many open files. A large one stays open all the same.
    pub(super) fn open(path: &Path, small: u64, may_stay_open: bool) -> Result<Self> {
        let file = crate::repo::open_file(path)?;
        let mut bytes = Bytes {
            length: file.metadata()?.len(),
            file: Some(file),
            small,
            reads: AtomicU32::new(0),
            whole: OnceLock::new(),
        };
        if !may_stay_open && bytes.length <= small {
            bytes.read_whole()?;
            bytes.file = None;
        }
        Ok(bytes)
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
        if self.length <= self.small
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
        let Some(file) = &self.file else {
            return Err(Error::other("it is not open"));
        };
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
    }

    fn read_whole(&self) -> Result<()> {
        if let Some(file) = &self.file {
            let mut whole = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut whole, 0)?;
            // Another thread may have been first.
            let _ = self.whole.set(whole);
        }
        Ok(())
    }
}
