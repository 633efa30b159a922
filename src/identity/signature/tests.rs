//! Compared with `ssh-keygen` and `gpg`, which make the keys, the signatures and the answers.

mod crafted;
mod openpgp;
mod ssh;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::*;

const PAYLOAD: &[u8] = b"tree 0\n\nmessage\n";

/// A folder with keys.
struct Bench(tempfile::TempDir);

fn run(
    folder: &Path,
    program: &str,
    package: &str,
    arguments: &[&str],
    input: &[u8],
) -> (bool, Vec<u8>) {
    use std::io::Write as _;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .env("GNUPGHOME", folder.join("gnupg"))
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; install {package} (tests/setup does)"));
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout.clone(), output.stderr].concat();
    if std::env::var_os("SHOW").is_some() {
        eprintln!("{arguments:?} {}", String::from_utf8_lossy(&said));
    }
    (output.status.success(), output.stdout)
}

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn keygen(&self, arguments: &[&str]) {
        let (done, _) = run(
            self.0.path(),
            "ssh-keygen",
            "openssh-client",
            arguments,
            b"",
        );
        assert!(done, "ssh-keygen {arguments:?}");
    }

    fn key(&self, name: &str, kind: &str, bits: &str) {
        let mut arguments = vec!["-q", "-t", kind, "-N", "", "-C", name, "-f", name];
        if !bits.is_empty() {
            arguments.extend(["-b", bits]);
        }
        self.keygen(&arguments);
    }

    /// A certificate for `key`, as `name-cert.pub` beside a copy of the key.
    fn certify(&self, authority: &str, key: &str, name: &str, options: &[&str]) {
        for end in ["", ".pub"] {
            fs::copy(
                self.path(&format!("{key}{end}")),
                self.path(&format!("{name}{end}")),
            )
            .unwrap();
        }
        let file = format!("{name}.pub");
        let mut arguments = vec!["-q", "-s", authority, "-I", name];
        arguments.extend(options);
        arguments.push(&file);
        self.keygen(&arguments);
    }

    /// `type base64` of a public key.
    fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    fn sign(&self, name: &str, namespace: &str, options: &[&str]) -> Vec<u8> {
        let file = match self.path(&format!("{name}-cert.pub")).exists() {
            true => format!("{name}-cert.pub"),
            false => name.to_owned(),
        };
        let mut arguments = vec!["-Y", "sign", "-n", namespace, "-f", &file];
        arguments.extend(options);
        let (done, signature) = run(
            self.0.path(),
            "ssh-keygen",
            "openssh-client",
            &arguments,
            PAYLOAD,
        );
        assert!(done, "ssh-keygen {arguments:?}");
        signature
    }

    /// Whether `ssh-keygen -Y verify` takes the signature.
    fn oracle(
        &self,
        allowed: &str,
        revoked: Option<&[u8]>,
        principal: &str,
        signature: &[u8],
        when: &str,
    ) -> bool {
        fs::write(self.path("allowed"), allowed).unwrap();
        fs::write(self.path("signature"), signature).unwrap();
        let when = format!("-Overify-time={when}");
        let mut arguments = vec![
            "-Y",
            "verify",
            "-n",
            "git",
            "-f",
            "allowed",
            "-I",
            principal,
            "-s",
            "signature",
            &when,
        ];
        if let Some(revoked) = revoked {
            fs::write(self.path("revoked"), revoked).unwrap();
            arguments.extend(["-r", "revoked"]);
        }
        run(
            self.0.path(),
            "ssh-keygen",
            "openssh-client",
            &arguments,
            PAYLOAD,
        )
        .0
    }
}

fn judged(
    signers: &Signers,
    signature: &[u8],
    who: &[&str],
    now: &str,
    longest: Option<u64>,
) -> Result<(), Fault> {
    let who: Vec<String> = who.iter().map(|name| (*name).to_owned()).collect();
    let wanted = Wanted {
        signers: &who,
        now: now.parse().unwrap(),
        longest: longest.map(Duration::from_secs),
    };
    signers
        .judge(&[PAYLOAD], signature, &wanted)
        .map_err(|refusal| refusal.fault)
}

fn signers(allowed: &str, revoked: Option<&[u8]>) -> Signers {
    Signers::read(Some(allowed.as_bytes()), None, revoked)
        .unwrap()
        .0
}

/// 2026-06-15T12:00:00Z in both forms.
const NOW: &str = "2026-06-15T12:00:00Z";
const NOW_SSH: &str = "20260615120000Z";
