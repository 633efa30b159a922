//! The presets: `@ci` and its like, data in `rules/presets/`, compiled by the build script.

use super::fold::Folded;
use super::pattern::{component_matches, folded_glob_matches, glob_matches, leads_through};

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
    names: &'static [(&'static str, usize)],
    tails: &'static [(&'static str, usize)],
    inside: &'static [(&'static str, usize)],
    rest: &'static [usize],
    folder_names: &'static [(&'static str, usize)],
    folders: &'static [(&'static str, usize)],
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

    /// A glob that matches the bytes or their folded form.
    pub(super) fn find(&self, path: &[u8], folded: &Folded<'_>) -> Option<&'static Glob> {
        if !folded.is_simple {
            return self.find_slowly(path, folded);
        }
        let accepts = |glob: &&Glob| {
            !glob
                .not
                .iter()
                .any(|not| folded_glob_matches(not.as_bytes(), folded))
        };
        let mut folders = folded.bytes.split(|byte| *byte == b'/');
        let name = folders.next_back().unwrap_or_default();
        look_up(self.names, name)
            .map(|number| &self.globs[number])
            .filter(accepts)
            .or_else(|| {
                let number = folders.find_map(|folder| look_up(self.inside, folder))?;
                Some(&self.globs[number]).filter(accepts)
            })
            .or_else(|| {
                self.tails
                    .iter()
                    .filter(|(tail, _)| component_matches(tail.as_bytes(), name, true))
                    .map(|(_, number)| &self.globs[*number])
                    .find(accepts)
            })
            .or_else(|| {
                self.rest
                    .iter()
                    .map(|number| &self.globs[*number])
                    .find(|glob| {
                        folded_glob_matches(glob.folded.as_bytes(), folded) && accepts(glob)
                    })
            })
    }

    /// Every glob in turn, for paths that may match in other ways than by their lower-case form.
    fn find_slowly(&self, path: &[u8], folded: &Folded<'_>) -> Option<&'static Glob> {
        self.globs.iter().find(|glob| {
            (folded_glob_matches(glob.folded.as_bytes(), folded)
                || glob_matches(glob.written.as_bytes(), path))
                && !glob
                    .not
                    .iter()
                    .any(|not| folded_glob_matches(not.as_bytes(), folded))
        })
    }

    /// A glob whose folders lead through this path.
    pub(super) fn find_folder(&self, path: &[u8], folded: &Folded<'_>) -> Option<&'static Glob> {
        if folded.is_simple {
            let name = folded.bytes.rsplit(|byte| *byte == b'/').next();
            let number = look_up(self.folder_names, name.unwrap_or_default()).or_else(|| {
                self.folders
                    .iter()
                    .find(|(folder, _)| folded_glob_matches(folder.as_bytes(), folded))
                    .map(|(_, number)| *number)
            });
            return number.map(|number| &self.globs[number]);
        }
        self.globs.iter().find(|glob| {
            leads_through(glob.folded.as_bytes(), &|folder| {
                folded_glob_matches(folder, folded)
            }) || leads_through(glob.written.as_bytes(), &|folder| {
                glob_matches(folder, path)
            })
        })
    }
}

fn look_up(table: &[(&str, usize)], name: &[u8]) -> Option<usize> {
    table
        .binary_search_by(|(key, _)| key.as_bytes().cmp(name))
        .ok()
        .map(|at| table[at].1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fold;
    use super::*;

    /// Pieces of names that presets know, and others.
    fn component() -> impl Strategy<Value = String> {
        let pieces: Vec<String> = PRESETS
            .iter()
            .flat_map(|preset| preset.globs)
            .flat_map(|glob| glob.written.split('/'))
            .map(|piece| piece.replace('*', "x"))
            .chain(["src", "a", "env", "x.rs"].map(str::to_owned))
            .collect();
        (prop::sample::select(pieces), any::<bool>()).prop_map(|(piece, loud)| match loud {
            true => piece.to_uppercase(),
            false => piece,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_index_misses_nothing(path in proptest::collection::vec(component(), 1..4)) {
            let path = path.join("/");
            let folded = fold::path(path.as_bytes());
            prop_assert!(folded.is_simple);
            let odd = Folded { bytes: folded.bytes.clone(), short_names: false, is_simple: false };
            for preset in PRESETS {
                prop_assert_eq!(
                    preset.find(path.as_bytes(), &folded).is_some(),
                    preset.find_slowly(path.as_bytes(), &folded).is_some(),
                    "@{} {}", preset.name, &path
                );
                prop_assert_eq!(
                    preset.find_folder(path.as_bytes(), &folded).is_some(),
                    preset.find_folder(path.as_bytes(), &odd).is_some(),
                    "@{} {}", preset.name, &path
                );
            }
        }
    }
}
