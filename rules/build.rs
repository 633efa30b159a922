//! Compiles the data in `rules/` into the tables that the program embeds.

use std::path::PathBuf;

#[path = "build/agents.rs"]
mod agents;
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
    presets::compile(&root.join("rules"), &out);
    secrets::compile(&out);
}
