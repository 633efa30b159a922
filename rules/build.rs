//! Compiles the data in `rules/` into the tables that the program embeds.

fn main() {
    println!("cargo::rerun-if-changed=rules/build.rs");
}
