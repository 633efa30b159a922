//! Any bytes as allowed signers, OpenPGP keys, revoked keys or a signature: no panic, and nobody gets a right whose key is not
//! there.

#![no_main]

mod seeds;

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ringfence::identity::signature::{Signers, Wanted};

const PAYLOAD: &[u8] = b"tree 0\n\nmessage\n";

/// A key and its signature over the payload, made when the target starts.
struct Made {
    /// `ssh-ed25519 AAAA…`
    public: String,
    signature: Vec<u8>,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("ringfence-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let keygen = |arguments: &[&str]| {
            use std::io::Write as _;
            let mut child = Command::new("ssh-keygen")
                .args(arguments)
                .current_dir(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("ssh-keygen runs: install openssh-client (tests/setup does)");
            let mut stdin = child.stdin.take().expect("a pipe");
            let _ = stdin.write_all(PAYLOAD);
            drop(stdin);
            child.wait_with_output().expect("ssh-keygen ends").stdout
        };
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "key"]);
        let signature = keygen(&["-Y", "sign", "-n", "git", "-f", "key"]);
        let public = std::fs::read_to_string(folder.join("key.pub")).expect("a key was made");
        let public = public.trim_end().to_owned();
        let _ = std::fs::remove_dir_all(&folder);
        Made { public, signature }
    })
}

fn inputs() -> Vec<Vec<u8>> {
    let key = &made().public;
    let mut inputs: Vec<Vec<u8>> = [
        format!("0alice {key}\n"),
        format!("0alice,b* namespaces=\"git,!x\",valid-after=\"20250101Z\",valid-before=\"209901011200\" {key} c\n"),
        format!("0\"a b\" cert-authority {key}\n# x\n!alice,* {key}\n"),
        format!("2{key}\nSHA256:AAAA\n"),
    ]
    .map(String::into_bytes)
    .into();
    inputs.push([b"3", &*made().signature].concat());
    inputs.push([&b"1\x98\x33\x04"[..], &[7; 60]].concat());
    inputs.push(
        [
            &b"2SSHKRL\n\0\0\0\0\x01"[..],
            &[0; 32],
            b"\x01\0\0\0\x08\0\0\0\0\0\0\0\0",
        ]
        .concat(),
    );
    inputs
}

fuzz_target!(init: seeds::write(inputs), |data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let made = made();
    let part = |wanted: u8| (*kind == wanted).then_some(data);
    let Ok((signers, _)) = Signers::read(part(b'0'), part(b'1'), part(b'2')) else {
        return;
    };
    let who = ["alice".to_owned()];
    let wanted = Wanted {
        signers: &who,
        now: "2026-06-15T12:00:00Z".parse().expect("a moment"),
        longest: None,
    };
    let signature = part(b'3').unwrap_or(&made.signature);
    if signers.judge(&[PAYLOAD], signature, &wanted).is_ok() {
        let key = made.public.split(' ').nth(1).expect("type and key").as_bytes();
        let named = data.windows(key.len()).any(|window| window == key);
        assert!(*kind == b'0' && named, "a right for nobody");
    }
});
