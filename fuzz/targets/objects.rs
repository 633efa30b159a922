//! Any bytes as a commit, a tag and a tree: what comes out was in the bytes, and what cannot be followed is an error.

#![no_main]

mod seeds;

use libfuzzer_sys::fuzz_target;
use ringfence::identity::claims;
use ringfence::push::{HashKind, Oid};
use ringfence::repo::parse;

fn inputs() -> Vec<Vec<u8>> {
    let id = "12".repeat(20);
    let who = "docs-bot <docs-bot@agents.example> 1700000000 +0000";
    let texts = [
        format!(
            "tree {id}\nparent {id}\nauthor {who}\ncommitter {who}\ngpgsig a\n b\n\nwords\n\nReviewed-by: x <y@z>\n"
        ),
        format!("tree {id}\nauthor {who}\nauthor {who}\n\n\0"),
        format!("object {id}\ntype commit\ntag v1\ntagger {who}\n\nwords\n"),
        format!("object {id}\ntype blob\ntag \n"),
    ];
    let mut inputs: Vec<Vec<u8>> = texts.map(String::into_bytes).into();
    let entry =
        |mode: &str, name: &str| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &[7; 20]].concat();
    inputs.push(
        [
            entry("100644", "a"),
            entry("40000", "b"),
            entry("160000", ".git"),
        ]
        .concat(),
    );
    inputs.push(
        [
            entry("120000", "b"),
            entry("100755", "b"),
            entry("7", "a/../c"),
        ]
        .concat(),
    );
    inputs
}

fuzz_target!(init: seeds::write(inputs), |data: &[u8]| {
    for (hash, hex) in [(HashKind::Sha1, 40), (HashKind::Sha256, 64)] {
        let id = Oid::from_hex("1".repeat(hex).as_bytes()).expect("an id");
        if let Ok(commit) = parse::commit(id, data, hash) {
            assert!(data.ends_with(&commit.message));
            assert!(commit.author.raw.len() + commit.committer.raw.len() <= data.len());
            assert!(claims::of_commit(&commit).len() <= data.len());
            if commit.defects.is_empty() {
                let tree = format!("tree {}\n", commit.tree);
                assert!(data.starts_with(tree.as_bytes()));
                assert!(!data.contains(&0));
            }
        }
        if let Ok(tag) = parse::tag(id, data, hash) {
            assert!(data.ends_with(&tag.message));
            let _ = claims::of_tag(&tag);
        }
        if let Ok((entries, defects)) = parse::tree_with_defects(id, data, hash) {
            // Each entry takes its bytes, and all of them are taken.
            let least: usize = entries.iter().map(|entry| 3 + entry.name.len() + hex / 2).sum();
            assert!(least <= data.len());
            let mut names: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
            names.sort();
            names.dedup();
            assert!(!defects.is_empty() || names.len() == entries.len());
        }
    }
});
