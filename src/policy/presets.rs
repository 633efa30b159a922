//! The presets: `@ci` and its like, data in `rules/presets/`, compiled by the build script.

use super::fold::Folded;
use super::pattern::{folded_glob_matches, glob_matches, leads_through};

include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// A list of globs with a name.
#[derive(Debug)]
pub struct Preset {
    /// Without the `@`.
    pub name: &'static str,
    /// What the files are.
    pub title: &'static str,
    /// What a policy usually does with them: `hold` or `deny`.
    pub usual: &'static str,
    /// The globs.
    pub globs: &'static [Glob],
}

/// One glob of a preset, without braces.
#[derive(Debug)]
pub struct Glob {
    /// As matched against the exact bytes.
    pub written: &'static str,
    /// As matched against the folded form.
    pub folded: &'static str,
    /// Why it is guarded; empty where the name says it.
    pub why: &'static str,
    /// Folded globs of names that are excepted.
    pub not: &'static [&'static str],
}

/// Every preset, by name.
pub fn presets() -> &'static [Preset] {
    PRESETS
}

/// Looks up a preset by its name, without the `@`.
pub(super) fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// Whether a glob matches exactly these bytes.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        self.globs.iter().any(|glob| {
            glob_matches(glob.written.as_bytes(), path)
                && !glob
                    .not
                    .iter()
                    .any(|not| glob_matches(not.as_bytes(), path))
        })
    }

    /// The first glob that matches the bytes or their folded form.
    pub(super) fn find(&self, path: &[u8], folded: &Folded<'_>) -> Option<&'static Glob> {
        self.globs.iter().find(|glob| {
            // Every exact match is a folded one, but for bytes that folding joins with their neighbours.
            (folded_glob_matches(glob.folded.as_bytes(), folded)
                || glob_matches(glob.written.as_bytes(), path))
                && !glob
                    .not
                    .iter()
                    .any(|not| folded_glob_matches(not.as_bytes(), folded))
        })
    }

    /// The first glob whose folders lead through this path.
    pub(super) fn find_folder(&self, path: &[u8], folded: &Folded<'_>) -> Option<&'static Glob> {
        self.globs.iter().find(|glob| {
            leads_through(glob.folded.as_bytes(), &|folder| {
                folded_glob_matches(folder, folded)
            }) || leads_through(glob.written.as_bytes(), &|folder| {
                glob_matches(folder, path)
            })
        })
    }
}
