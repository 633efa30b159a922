//! Compiles the data in `rules/` into the tables that the program embeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[path = "build/agents.rs"]
mod agents;
#[path = "build/page.rs"]
mod page;
#[path = "build/presets.rs"]
mod presets;
#[path = "build/secrets.rs"]
mod secrets;
#[path = "../src/yaml/mod.rs"]
#[allow(dead_code, reason = "the policy needs more of it")]
mod yaml;

fn main() {
    println!("cargo::rerun-if-changed=rules/build.rs");
    println!("cargo::rerun-if-changed=rules/build");
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    agents::compile(&root.join("rules"), &out);
    page::compile(&out);
    presets::compile(&root.join("rules"), &out);
    secrets::compile(&out);
}

/// Every `NAME.yaml` of a folder, by name. A mistake fails the build with file and line.
fn read_folder<T>(
    folder: &Path,
    read: impl Fn(&str, &mut Vec<yaml::Mistake>) -> Option<T>,
) -> BTreeMap<String, T> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder is part of the package") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".yaml"))
            .unwrap_or_else(|| panic!("{}: not named NAME.yaml", path.display()))
            .to_owned();
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let mut wrong = Vec::new();
        let file = read(&text, &mut wrong);
        if let Some(mistake) = wrong.first() {
            panic!("{}:{}: {mistake}", path.display(), mistake.at.line);
        }
        let file = file.expect("a file without mistakes has all that is needed");
        files.insert(name, file);
    }
    files
}
