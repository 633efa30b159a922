//! `rules/secrets/*.yaml` becomes `secrets.pack`, which the program embeds: nothing to parse or compile at start.
//! A rule that is not right fails the build, with file and line.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;

#[path = "../../src/scan/compile/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the file is a public module of the library too"
)]
mod compile;
#[path = "../../src/scan/grams.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the file is a public module of the library too"
)]
mod grams;
#[path = "../../src/scan/marks.rs"]
#[allow(
    unreachable_pub,
    reason = "the file is a public module of the library too"
)]
mod marks;

/// Hash functions tried for the prefilter. More make it quieter, and the build longer.
const HASH_TRIES: u32 = 300;

pub(crate) fn compile(out: &Path) {
    println!("cargo::rerun-if-changed=rules/secrets");
    println!("cargo::rerun-if-changed=rules/common-grams.txt");
    for shared in ["scan/compile", "scan/grams.rs", "scan/marks.rs", "yaml"] {
        println!("cargo::rerun-if-changed=src/{shared}");
    }
    match compile::read(&files(Path::new("rules/secrets"))) {
        Ok(rules) => {
            let text = include_str!("../common-grams.txt");
            let common = grams::Common::read(text);
            let pack = compile::pack(&rules, &common, HASH_TRIES);
            let pack = pack.expect("fewer than an index can name");
            std::fs::write(out.join("secrets.pack"), pack).expect("OUT_DIR is writable");
            // The program needs it for packs of a server's own alone.
            let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
            let packed = packer
                .write_all(text.as_bytes())
                .and_then(|()| packer.finish());
            let packed = packed.expect("a vector takes all");
            std::fs::write(out.join("common-grams.z"), packed).expect("OUT_DIR is writable");
        }
        Err(errors) => {
            for error in &errors {
                println!("cargo::error={}", error.replace('\n', " "));
            }
        }
    }
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("rules/secrets is there")
        .map(|entry| entry.expect("rules/secrets can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    paths.sort();
    let text = |path: &PathBuf| std::fs::read_to_string(path).expect("a rule file can be read");
    paths
        .iter()
        .map(|path| (path.display().to_string(), text(path)))
        .collect()
}
