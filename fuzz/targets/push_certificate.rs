//! Any bytes as a push certificate, a commit and a tag: no panic, and every byte is signed, signature or left out once.

#![no_main]

mod seeds;

use libfuzzer_sys::fuzz_target;
use ringfence::host::push_certificate;
use ringfence::push::HashKind;
use ringfence::repo::signed::{self, Signed};

fn inputs() -> Vec<Vec<u8>> {
    let (old, new) = ("0".repeat(40), "12".repeat(20));
    let armour = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n";
    [
        format!(
            "certificate version 0.1\npusher alice <a@x.example> 1 +0000\npushee ssh://x.example/org/site.git\n\
             nonce 1-abc\npush-option a\n\n{old} {new} refs/heads/x\n{new} {old} refs/tags/y\n{armour}"
        ),
        format!("tree {new}\nauthor a\ncommitter c\ngpgsig {}\n\nm\n", armour.replace('\n', "\n ")),
        format!("tree {new}\ngpgsig a\n b\ngpgsig-sha256 c\n d\nmergetag x\n y\n\nm\n"),
        format!("object {new}\ntype commit\ntag x\n\nm\n{armour}"),
    ]
    .map(String::into_bytes)
    .into()
}

fuzz_target!(init: seeds::write(inputs), |data: &[u8]| {
    for hash in [HashKind::Sha1, HashKind::Sha256] {
        if let Ok(certified) = push_certificate::parse(data, hash) {
            assert!(!certified.commands.is_empty());
            assert!(!certified.pushee.contains(&b'\n') && !certified.nonce.contains(&b'\n'));
            let _ = push_certificate::leads_to(certified.pushee, "org/site");
        }
        if let Signed::Yes { payload, signature } = signed::of_commit(data, hash) {
            let payload = payload.concat();
            assert!(payload.len() + signature.len() < data.len());
            // What is left has no signature any more.
            assert_eq!(signed::of_commit(&payload, hash), Signed::No);
        }
    }
    for taken in [signed::of_tag(data), signed::of_text(data)] {
        if let Signed::Yes { payload, signature } = taken {
            assert_eq!([payload.concat(), signature].concat(), data);
        }
    }
});
