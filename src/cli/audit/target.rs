//! Where the answer of an audit goes.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::redact::Quoted;

/// Where the answer goes: standard output, or a file that is whole or not there.
pub(super) struct Target<'o> {
    out: BufWriter<Box<dyn Write + Send + 'o>>,
    /// Where it is written, and the name that it gets in the end.
    file: Option<(PathBuf, PathBuf)>,
}

impl<'o> Target<'o> {
    pub(super) fn open(
        path: Option<&Path>,
        out: &'o mut (dyn Write + Send),
    ) -> Result<Target<'o>, String> {
        let Some(path) = path else {
            return Ok(Target {
                out: BufWriter::new(Box::new(out)),
                file: None,
            });
        };
        let shown = Quoted(path.as_os_str().as_bytes()).to_string();
        let cannot = |why: &dyn std::fmt::Display| format!("{shown} cannot be written: {why}");
        let name = path
            .file_name()
            .ok_or_else(|| cannot(&"it names no file"))?;
        let mut draft_name = std::ffi::OsString::from(".");
        draft_name.push(name);
        draft_name.push(format!(".{}", std::process::id()));
        let draft = path.with_file_name(draft_name);
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&draft)
            .map_err(|error| cannot(&error))?;
        Ok(Target {
            out: BufWriter::new(Box::new(file)),
            file: Some((draft, path.to_path_buf())),
        })
    }

    pub(super) fn writer(&mut self) -> &mut (dyn Write + Send) {
        &mut self.out
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.out.flush()?;
        match self.file.take() {
            Some((draft, path)) => fs::rename(draft, path),
            None => Ok(()),
        }
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some((draft, _)) = &self.file {
            let _ = fs::remove_file(draft);
        }
    }
}
