//! Mistakes in a policy, shown with file, line, caret and a way out.

use std::fmt;
use std::sync::Arc;

use crate::order::Order as _;
use crate::yaml::shown;
pub(super) use crate::yaml::{At, quoted};

/// Most mistakes shown of one file.
const SHOWN_MAX: usize = 20;

/// Longest source line shown, in characters.
const LINE_MAX_CHARS: usize = 160;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub(super) severity: Severity,
    pub(super) at: At,
    pub(super) message: String,
    pub(super) notes: Vec<String>,
    /// The line of the policy it is on, fit to be shown.
    source: String,
}

impl Diagnostic {
    /// Line of the policy, from 1; 0 for the file as a whole.
    pub fn line(&self) -> u32 {
        self.at.line
    }

    /// One sentence without a full stop.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn write(&self, file: &str, out: &mut impl fmt::Write) -> fmt::Result {
        let label = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        if self.at.line == 0 {
            writeln!(out, "{file}: {label}: {}", self.message)?;
        } else {
            let At {
                line,
                column,
                width,
            } = self.at;
            writeln!(out, "{file}:{line}:{column}: {label}: {}", self.message)?;
            let number = line.to_string();
            let gap = " ".repeat(number.len());
            let shown: String = self.source.chars().take(LINE_MAX_CHARS).collect();
            let before = (column as usize).saturating_sub(1);
            writeln!(out, "{gap} |")?;
            writeln!(out, "{number} | {}", shown.trim_end())?;
            if before < LINE_MAX_CHARS {
                let room = shown.chars().count().saturating_sub(before).max(1);
                let carets = "^".repeat((width as usize).clamp(1, room));
                writeln!(out, "{gap} | {}{carets}", " ".repeat(before))?;
            }
            for note in &self.notes {
                writeln!(out, "{gap} = {note}")?;
            }
            return Ok(());
        }
        for note in &self.notes {
            writeln!(out, "  = {note}")?;
        }
        Ok(())
    }
}

/// Why a file is not a policy. `Display` shows every mistake with its line and a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    file: Arc<str>,
    mistakes: Vec<Diagnostic>,
}

impl PolicyError {
    pub(super) fn new(file: Arc<str>, mistakes: Vec<Diagnostic>) -> Self {
        PolicyError { file, mistakes }
    }

    /// A mistake of the file as a whole: it cannot be read, is too large.
    pub(super) fn of_file(file: &str, message: impl Into<String>) -> Self {
        let mistake = Diagnostic {
            severity: Severity::Error,
            at: At::default(),
            message: message.into(),
            notes: Vec::new(),
            source: String::new(),
        };
        PolicyError::new(file.into(), vec![mistake])
    }

    /// Every mistake, in the order of the text.
    pub fn mistakes(&self) -> &[Diagnostic] {
        &self.mistakes
    }

    /// One line without the folder of the file, fit for a pusher who cannot mend it.
    pub fn brief(&self) -> String {
        let Some(first) = self.mistakes.first() else {
            return format!("{} is invalid", self.file);
        };
        let place = match first.at.line {
            0 => self.file.to_string(),
            line => format!("{}:{line}", self.file),
        };
        let more = match self.mistakes.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("{place}: {}{more}", first.message)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(&self.file, &self.mistakes, f)
    }
}

impl std::error::Error for PolicyError {}

/// Shows several mistakes, a blank line between them, at most [`SHOWN_MAX`].
pub(super) fn write_all(
    file: &str,
    mistakes: &[Diagnostic],
    out: &mut impl fmt::Write,
) -> fmt::Result {
    for (index, mistake) in mistakes.iter().take(SHOWN_MAX).enumerate() {
        if index > 0 {
            out.write_char('\n')?;
        }
        mistake.write(file, out)?;
    }
    if mistakes.len() > SHOWN_MAX {
        writeln!(out, "\n{file}: and {} more", mistakes.len() - SHOWN_MAX)?;
    }
    Ok(())
}

/// What is allowed in a policy but cannot be meant. `Display` shows each like a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warnings {
    file: Arc<str>,
    found: Vec<Diagnostic>,
}

impl Warnings {
    /// In the order of the text.
    pub fn each(&self) -> &[Diagnostic] {
        &self.found
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(&self.file, &self.found, f)
    }
}

/// Gathers the mistakes of one file.
#[derive(Debug)]
pub(super) struct Log<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
    examined: Option<jiff::Timestamp>,
}

impl<'t> Log<'t> {
    pub(super) fn new(text: &'t str, examined: Option<jiff::Timestamp>) -> Self {
        Log {
            text,
            found: Vec::new(),
            examined,
        }
    }

    /// The present, when somebody wants warnings. A push does not: they cost time and refuse nothing.
    pub(super) fn examined(&self) -> Option<jiff::Timestamp> {
        self.examined
    }

    /// Notes a mistake; the value given back takes notes.
    pub(super) fn error(&mut self, at: At, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Error, at, message.into())
    }

    /// Notes something that is allowed but cannot be meant.
    pub(super) fn warn(&mut self, at: At, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Warning, at, message.into())
    }

    fn add(&mut self, severity: Severity, at: At, message: String) -> &mut Diagnostic {
        let line = (at.line as usize).wrapping_sub(1);
        // Only ever a few: finding the line from the start each time costs nothing that matters.
        let source = self.text.lines().nth(line).unwrap_or("");
        self.found.push(Diagnostic {
            severity,
            at,
            message,
            notes: Vec::new(),
            source: source.chars().map(shown).collect(),
        });
        self.found.last_mut().expect("one was just added")
    }

    /// Whether too many were found to go on.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= 1000
    }

    /// Errors, or the warnings if there are none.
    pub(super) fn finish(self, file: &Arc<str>) -> Result<Warnings, PolicyError> {
        let mut found = self.found;
        found.order_by_key(|mistake| (mistake.at.line, mistake.at.column));
        if found
            .iter()
            .any(|mistake| mistake.severity == Severity::Error)
        {
            found.retain(|mistake| mistake.severity == Severity::Error);
            return Err(PolicyError::new(file.clone(), found));
        }
        Ok(Warnings {
            file: file.clone(),
            found,
        })
    }
}

impl Diagnostic {
    /// Adds a line under the caret.
    pub(super) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into().chars().map(shown).collect());
        self
    }

    /// Adds the nearest of the valid names, and all of them when they are few.
    pub(super) fn suggest<'n>(
        &mut self,
        written: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> &mut Self {
        let names: Vec<&str> = names.into_iter().collect();
        if let Some(near) = nearest(written, &names) {
            self.note(format!("did you mean `{near}`?"));
        }
        if !names.is_empty() && names.len() <= 16 {
            self.note(format!("valid here: {}", names.join(", ")));
        }
        self
    }
}

/// The name with the fewest edits, if it is near enough to be meant.
pub(super) fn nearest<'n>(written: &str, names: &[&'n str]) -> Option<&'n str> {
    let written = written.to_lowercase();
    if written.len() > 64 {
        return None;
    }
    let enough = (written.chars().count() / 3).clamp(1, 3);
    names
        .iter()
        .map(|name| (edits(&written, &name.to_lowercase()), *name))
        .filter(|(edits, name)| *edits <= enough && name.len() > *edits)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, substitutions and swaps of neighbours.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut least = (above[j + 1] + 1)
                .min(row[j] + 1)
                .min(above[j] + usize::from(x != y));
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}
