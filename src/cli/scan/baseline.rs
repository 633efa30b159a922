//! What is known of an old repository: findings that were there when the gate came, by rule and fingerprint.
//!
//! A baseline is what `scan --format jsonl` prints. Every line names the key of its fingerprints, so that a file made
//! with another key is refused instead of knowing nothing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::told::Found;
use crate::cli::whole::WholeFile;
use crate::order::Order as _;
use crate::redact::{Fingerprint, FingerprintKey, Quoted};

/// Largest baseline, in bytes.
const BYTES_MAX: u64 = 128 << 20;
/// Longest line. A finding has some 400 bytes.
const LINE_MAX_BYTES: usize = 64 << 10;
/// Most values of one baseline.
pub(super) const VALUES_MAX: usize = 250_000;

/// What makes a finding the same one: rule and value. Hidden text has no value of its own, the same few characters
/// stand in many files: there the path counts as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Known {
    rule: String,
    fingerprint: Fingerprint,
    path: Option<String>,
}

impl Known {
    fn new(rule: &str, fingerprint: Fingerprint, path: &str) -> Option<Known> {
        let is_value = rule.starts_with("secret/");
        // What was not looked into is never known.
        if !is_value && !rule.starts_with("unicode/") {
            return None;
        }
        Some(Known {
            rule: rule.to_owned(),
            fingerprint,
            path: (!is_value).then(|| path.to_owned()),
        })
    }

    fn of(found: &Found) -> Option<Known> {
        Known::new(&found.rule, found.fingerprint, &found.path)
    }
}

/// The fields of a line that count; others are passed over.
#[derive(Deserialize)]
struct Line {
    rule: String,
    fingerprint: String,
    path: String,
    key: String,
}

/// A baseline as it was read, and what of it was found again.
pub(super) struct Baseline {
    shown: String,
    /// Where each was, and whether it was found.
    known: HashMap<Known, (String, bool)>,
}

impl Baseline {
    /// Reads a file whole, or says in one sentence why it is no baseline for this key.
    pub(super) fn read(path: &Path, key: &FingerprintKey) -> Result<Self, String> {
        let shown = Quoted(path.as_os_str().as_bytes()).to_string();
        let unreadable = |why: &dyn std::fmt::Display| format!("the baseline {shown} {why}");
        let meta = fs::metadata(path)
            .map_err(|error| unreadable(&format_args!("cannot be read: {error}")))?;
        if !meta.is_file() {
            return Err(unreadable(&"is not a regular file"));
        }
        let too_large = || unreadable(&format_args!("is larger than {BYTES_MAX} bytes"));
        if meta.len() > BYTES_MAX {
            return Err(too_large());
        }
        let file = File::open(path)
            .map_err(|error| unreadable(&format_args!("cannot be read: {error}")))?;
        let mut from = BufReader::with_capacity(64 << 10, file.take(BYTES_MAX + 1));
        let key = key.name().to_string();
        let mut known = HashMap::new();
        let (mut line, mut read) = (Vec::new(), 0_u64);
        for number in 1_u64.. {
            line.clear();
            let count = (&mut from)
                .take(LINE_MAX_BYTES as u64 + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| unreadable(&format_args!("cannot be read: {error}")))?;
            if count == 0 {
                break;
            }
            read += count as u64;
            if read > BYTES_MAX {
                return Err(too_large());
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let parsed: Option<(Line, Fingerprint)> = (line.len() <= LINE_MAX_BYTES)
                .then(|| serde_json::from_slice::<Line>(text).ok())
                .flatten()
                .and_then(|line| {
                    let value = Fingerprint::parse(&line.fingerprint)?;
                    Some((line, value))
                });
            let Some((found, value)) = parsed else {
                return Err(unreadable(&format_args!(
                    "has no finding on line {number}: write it with scan --write-baseline, or --format jsonl"
                )));
            };
            if found.key != key {
                return Err(unreadable(&format_args!(
                    "was made with another key (line {number}): its fingerprints cannot be compared; give that key with --key, or write it anew"
                )));
            }
            if let Some(one) = Known::new(&found.rule, value, &found.path) {
                known.entry(one).or_insert((found.path, false));
            }
            if known.len() > VALUES_MAX {
                return Err(unreadable(&format_args!(
                    "holds more than {VALUES_MAX} values"
                )));
            }
        }
        Ok(Baseline { shown, known })
    }

    /// Whether the finding is in it; notes that it was found.
    pub(super) fn knows(&mut self, found: &Found) -> bool {
        let entry = Known::of(found).and_then(|one| self.known.get_mut(&one));
        entry.is_some_and(|(_, seen)| {
            *seen = true;
            true
        })
    }

    /// How many of it were found, and how many there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        let seen = self.known.values().filter(|(_, seen)| *seen).count();
        (seen, self.known.len())
    }

    /// The file, fit to be shown.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Those that were not found: rule, fingerprint, and where it was.
    pub(super) fn stale(&self) -> Vec<String> {
        let mut gone: Vec<(&String, &Known)> = self
            .known
            .iter()
            .filter(|(_, (_, seen))| !seen)
            .map(|(one, (path, _))| (path, one))
            .collect();
        gone.order();
        gone.iter()
            .map(|(path, one)| {
                // The words of the file are not ours: they were quoted once, but may have been changed since.
                let path = match path.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                    true => (*path).clone(),
                    false => Quoted(path.as_bytes()).to_string(),
                };
                let rule = Quoted(one.rule.as_bytes());
                format!("{rule}, fingerprint {}, was in {path}", one.fingerprint)
            })
            .collect()
    }
}

/// A baseline that is being made.
pub(super) struct NewBaseline {
    path: PathBuf,
    key: String,
    lines: HashMap<Known, String>,
    /// There was more than fits.
    is_full: bool,
}

impl NewBaseline {
    pub(super) fn new(path: &Path, key: &FingerprintKey) -> Self {
        NewBaseline {
            path: path.to_path_buf(),
            key: key.name().to_string(),
            lines: HashMap::new(),
            is_full: false,
        }
    }

    /// Takes a finding, at its first place.
    pub(super) fn add(&mut self, found: &Found) {
        let Some(one) = Known::of(found) else { return };
        if self.lines.contains_key(&one) {
            return;
        }
        if self.lines.len() == VALUES_MAX {
            self.is_full = true;
            return;
        }
        self.lines.insert(one, found.line_of_json(&self.key));
    }

    /// Writes the file: whole, or not at all. Gives the number of values.
    pub(super) fn write(self) -> Result<usize, String> {
        let shown = Quoted(self.path.as_os_str().as_bytes()).to_string();
        if self.is_full {
            return Err(format!(
                "the baseline {shown} would hold more than {VALUES_MAX} values: scan in parts"
            ));
        }
        let mut lines: Vec<(Known, String)> = self.lines.into_iter().collect();
        // By place, so that a later one can be compared with it.
        lines.order_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
        let write = || {
            let mut file = WholeFile::open(&self.path)?;
            let mut all = lines.iter();
            all.try_for_each(|(_, line)| file.write_all(line.as_bytes()))?;
            file.end()
        };
        write().map_err(|error| format!("the baseline {shown} cannot be written: {error}"))?;
        Ok(lines.len())
    }
}
