//! What `install`, `uninstall` and `doctor` tell: one line a fact, starting with `ok`, `warning`, `error` or `hint`.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;

/// Writes the lines and counts the errors. A closed standard output is not our failure, so writing never fails.
pub(in crate::cli) struct Lines<'a> {
    out: &'a mut dyn Write,
    errors: usize,
    /// `ok` lines are left out.
    pub(in crate::cli) only_findings: bool,
}

impl<'a> Lines<'a> {
    pub(in crate::cli) fn new(out: &'a mut dyn Write) -> Self {
        Lines {
            out,
            errors: 0,
            only_findings: false,
        }
    }

    /// How many errors were told.
    pub(in crate::cli) fn errors(&self) -> usize {
        self.errors
    }

    pub(in crate::cli) fn plain(&mut self, text: impl Display) {
        let _ = writeln!(self.out, "{text}");
    }

    pub(in crate::cli) fn ok(&mut self, text: impl Display) {
        if !self.only_findings {
            self.plain(format_args!("ok: {text}"));
        }
    }

    /// Something that works, but not as it should, and what to do.
    pub(in crate::cli) fn warning(&mut self, text: impl Display, hint: impl Display) {
        self.plain(format_args!("warning: {text}"));
        self.hint(hint);
    }

    /// Something that is broken or lets pushes pass, and what to do.
    pub(in crate::cli) fn error(&mut self, text: impl Display, hint: impl Display) {
        self.errors += 1;
        self.plain(format_args!("error: {text}"));
        self.hint(hint);
    }

    pub(in crate::cli) fn hint(&mut self, text: impl Display) {
        self.plain(format_args!("hint: {text}"));
    }
}

/// A path for the administrator: whole, so that it can be pasted, but never with a control character.
pub(in crate::cli) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) {
        text.escape_debug().to_string()
    } else {
        text.into_owned()
    }
}
