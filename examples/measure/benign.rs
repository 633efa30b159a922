//! False alarms over published sources: whatever is found there is public, and next to all of it no secret.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::sources;
use crate::tally::Tally;

/// Files larger than this are data sets, not sources.
const FILE_MAX_BYTES: u64 = 32 << 20;

/// The corpora of this machine: what cargo has unpacked, and what `fetch` got.
pub(crate) fn corpora(fetched: &Path) -> Vec<PathBuf> {
    let mut corpora: Vec<PathBuf> = sources::cargo_sources().into_iter().collect();
    if let Ok(entries) = std::fs::read_dir(fetched) {
        let folders = entries.flatten().map(|entry| entry.path());
        let sources = |path: &PathBuf| path.is_dir() && path.extension().is_none();
        let mut folders: Vec<PathBuf> = folders.filter(sources).collect();
        folders.sort();
        corpora.extend(folders);
    }
    corpora
}

/// Scans every file below a folder and prints the figures. Paths are shown below the folder.
pub(crate) fn print(folder: &Path, show: usize) -> Result<(), String> {
    let files = sources::files(folder);
    if files.is_empty() {
        return Err(format!("{}: no files", folder.display()));
    }
    let tally = files
        .par_iter()
        .filter_map(|path| {
            let small = path
                .metadata()
                .is_ok_and(|about| about.len() <= FILE_MAX_BYTES);
            let text = small.then(|| std::fs::read(path).ok()).flatten()?;
            let name = path.strip_prefix(folder).unwrap_or(path);
            Some(Tally::of(name.as_os_str().as_encoded_bytes(), &text))
        })
        .reduce(Tally::default, Tally::and);
    tally.print(&folder.display().to_string(), show);
    Ok(())
}
