//! Files that are whole or not there: written beside their place, and renamed. What is no file (a pipe, a terminal,
//! `/dev/null`) is written to as it stands.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file on its way. A reader of its path sees what was there before until [`WholeFile::end`]; one that is dropped before
/// leaves nothing behind.
pub(super) struct WholeFile {
    out: BufWriter<File>,
    /// Where it is written until it is whole, and its place then.
    draft: Option<(PathBuf, PathBuf)>,
}

/// Names for a draft that are tried: a run that was killed leaves its own behind, and in a container the next one may have
/// the same process id.
const DRAFTS_MAX: u32 = 1_000;

impl WholeFile {
    pub(super) fn open(path: &Path) -> io::Result<WholeFile> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                let out = BufWriter::new(fs::OpenOptions::new().write(true).open(path)?);
                return Ok(WholeFile { out, draft: None });
            }
            _ => {}
        }
        // A link stays one: what it leads to is replaced.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::other("it names no file"))?;
        let mut number = 0;
        loop {
            let mut draft_name = OsString::from(".");
            draft_name.push(name);
            draft_name.push(format!(".{}.{number}", std::process::id()));
            let draft = path.with_file_name(draft_name);
            let mut options = fs::OpenOptions::new();
            match options.write(true).create_new(true).open(&draft) {
                Ok(file) => {
                    return Ok(WholeFile {
                        out: BufWriter::new(file),
                        draft: Some((draft, path.clone())),
                    });
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && number < DRAFTS_MAX =>
                {
                    number += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts the file in its place.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.out.flush()?;
        match &self.draft {
            None => Ok(()),
            Some((draft, path)) => {
                self.out.get_ref().sync_all()?;
                fs::rename(draft, path)
            }
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // Gone already when it was put in its place.
        if let Some((draft, _)) = &self.draft {
            let _ = fs::remove_file(draft);
        }
    }
}
