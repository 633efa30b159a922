//! Files that are whole or not there: written beside their place, and renamed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file on its way. A reader of its path sees what was there before until [`WholeFile::end`]; one that is dropped before
/// leaves nothing behind.
pub(super) struct WholeFile {
    out: BufWriter<File>,
    draft: PathBuf,
    path: PathBuf,
}

impl WholeFile {
    pub(super) fn open(path: &Path) -> io::Result<WholeFile> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::other("it names no file"))?;
        let mut draft_name = OsString::from(".");
        draft_name.push(name);
        draft_name.push(format!(".{}", std::process::id()));
        let draft = path.with_file_name(draft_name);
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&draft)?;
        Ok(WholeFile {
            out: BufWriter::new(file),
            draft,
            path: path.to_path_buf(),
        })
    }

    /// Puts the file in its place.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.draft, &self.path)
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
        let _ = fs::remove_file(&self.draft);
    }
}
