//! Where the answer of an audit goes.

use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::cli::whole::WholeFile;
use crate::redact::Quoted;

/// Standard output, or a file that is whole or not there.
pub(super) enum Target<'o> {
    Stream(BufWriter<&'o mut (dyn Write + Send)>),
    File(WholeFile),
}

impl<'o> Target<'o> {
    pub(super) fn open(
        path: Option<&Path>,
        out: &'o mut (dyn Write + Send),
    ) -> Result<Target<'o>, String> {
        let Some(path) = path else {
            return Ok(Target::Stream(BufWriter::new(out)));
        };
        let shown = Quoted(path.as_os_str().as_bytes()).to_string();
        WholeFile::open(path)
            .map(Target::File)
            .map_err(|error| format!("{shown} cannot be written: {error}"))
    }

    pub(super) fn writer(&mut self) -> &mut (dyn Write + Send) {
        match self {
            Target::Stream(out) => out,
            Target::File(file) => file,
        }
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        match self {
            Target::Stream(out) => out.flush(),
            Target::File(file) => file.end(),
        }
    }
}
