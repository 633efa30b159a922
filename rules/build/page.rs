//! Packs the style and the script of the audit's page: few runs of the program need them.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;

pub(crate) fn compile(out: &Path) {
    println!("cargo::rerun-if-changed=src/audit/tell/html");
    let assets = [
        include_str!("../../src/audit/tell/html/style.css"),
        include_str!("../../src/audit/tell/html/script.js"),
    ];
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = packer
        .write_all(assets.join("\0").as_bytes())
        .and_then(|()| packer.finish());
    let packed = packed.expect("a vector takes all");
    std::fs::write(out.join("page.z"), packed).expect("OUT_DIR is writable");
}
