//! Keys for pushes as data: made at run time in the world's own folder, so that none stands in the repository.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::world::{Clone, World, both};

impl World {
    /// The folder of the keys.
    fn keys(&self) -> PathBuf {
        let keys = self.path("keys");
        fs::create_dir_all(&keys).unwrap();
        keys
    }

    fn tool(&self, mut command: Command, program: &str, package: &str) -> Vec<u8> {
        let output = command.output().unwrap_or_else(|error| {
            panic!("{program}: {error}; install {package} (tests/setup does)")
        });
        assert!(output.status.success(), "{program}:\n{}", both(&output));
        output.stdout
    }

    fn keygen(&self, arguments: &[OsString]) {
        let mut command = self.scrubbed("ssh-keygen", &self.keys());
        command.arg("-q").args(arguments);
        self.tool(command, "ssh-keygen", "openssh-client");
    }

    fn gpg(&self, arguments: &[&OsStr]) -> Vec<u8> {
        use std::os::unix::fs::PermissionsExt as _;
        let home = self.path("home/.gnupg");
        if !home.exists() {
            fs::create_dir(&home).unwrap();
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let mut command = self.scrubbed("gpg", &self.keys());
        command
            .args([
                "--batch",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .args(arguments);
        self.tool(command, "gpg", "gnupg")
    }

    /// `key NAME [TYPE [BITS]]`, or `key NAME openpgp USER`.
    pub(crate) fn make_key(&self, words: &[OsString]) {
        let name = &words[0];
        if words.get(1).is_some_and(|kind| kind == "openpgp") {
            let new = ["--quick-generate-key"].map(OsStr::new);
            let how = ["ed25519", "sign", "0"].map(OsStr::new);
            self.gpg(&[&new[..], &[words[2].as_os_str()], &how[..]].concat());
            let file = self.keys().join(name).with_extension("asc");
            let options = ["--armor", "--export"].map(OsStr::new);
            fs::write(
                file,
                self.gpg(&[&options[..], &[words[2].as_os_str()]].concat()),
            )
            .unwrap();
            fs::write(
                self.keys().join(name).with_extension("user"),
                words[2].as_encoded_bytes(),
            )
            .unwrap();
            return;
        }
        let mut arguments: Vec<OsString> = ["-N", "", "-C", "", "-t"].map(OsString::from).into();
        arguments.push(words.get(1).cloned().unwrap_or("ed25519".into()));
        if let Some(bits) = words.get(2) {
            arguments.extend(["-b".into(), bits.clone()]);
        }
        arguments.extend(["-f".into(), name.clone()]);
        self.keygen(&arguments);
    }

    /// `certificate NAME for KEY by AUTHORITY OPTIONS`: options of ssh-keygen. NAME is a key of its own from here on.
    pub(crate) fn certify(&self, words: &[OsString]) {
        let [name, by_for, key, by, authority, options @ ..] = words else {
            panic!("certificate NAME for KEY by AUTHORITY OPTIONS");
        };
        assert!(by_for == "for" && by == "by");
        let file = |name: &OsString, end: &str| {
            let mut file = name.clone();
            file.push(end);
            self.keys().join(file)
        };
        for end in ["", ".pub"] {
            fs::copy(file(key, end), file(name, end)).unwrap();
        }
        let mut arguments: Vec<OsString> =
            vec!["-s".into(), authority.clone(), "-I".into(), name.clone()];
        arguments.extend(options.iter().cloned());
        arguments.push(file(name, ".pub").into());
        self.keygen(&arguments);
    }

    /// The keys that `testdata/pushes/signed.yaml` goes with.
    pub(crate) fn usual_keys(&self) {
        for name in ["builder", "porter", "alice", "bob", "ca", "stranger"] {
            self.make_key(&[name.into()]);
        }
        self.write_keys(
            "allowed_signers",
            "builder@agents.example [builder]\n\
             porter [porter]\n\
             alice@people.example [alice]\n\
             bob@people.example namespaces=\"git\" [bob]\n\
             * cert-authority [ca]\n",
        );
        self.write_keys("revoked", "");
        self.write_keys("openpgp.asc", "");
    }

    /// A file of keys for the server: `[NAME]` stands for the public key of that name.
    pub(crate) fn write_keys(&self, file: &str, text: &str) {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('[') {
            let (name, after) = after.split_once(']').expect("`[` needs `]`");
            out.push_str(before);
            let key = self.keys().join(name);
            let public = fs::read_to_string(key.with_extension("pub"))
                .or_else(|_| fs::read_to_string(key.with_extension("asc")))
                .unwrap();
            out.push_str(public.trim_end());
            rest = after;
        }
        out.push_str(rest);
        fs::write(self.keys().join(file), out).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let home = self.path("home/.gnupg");
        if home.exists() {
            // The agent of this home alone.
            let mut command = self.scrubbed("gpgconf", &self.path(""));
            let _ = command.args(["--kill", "all"]).output();
        }
    }
}

impl Clone<'_> {
    /// `sign with NAME`: every commit and tag from here on; `sign with nothing` ends it.
    pub(crate) fn sign_with(&self, name: &str) {
        let sign = if name == "nothing" { "false" } else { "true" };
        self.git(&["config", "commit.gpgSign", sign]);
        self.git(&["config", "tag.gpgSign", sign]);
        if name == "nothing" {
            return;
        }
        let key = self.world().keys().join(name);
        let (format, key) = match fs::read_to_string(key.with_extension("user")) {
            Ok(user) => ("openpgp", OsString::from(user)),
            Err(_) => {
                let mut certificate = key.clone().into_os_string();
                certificate.push("-cert.pub");
                let is_there = PathBuf::from(&certificate).exists();
                (
                    "ssh",
                    if is_there {
                        certificate
                    } else {
                        key.into_os_string()
                    },
                )
            }
        };
        self.git(&["config", "gpg.format", format]);
        self.git(&[OsStr::new("config"), OsStr::new("user.signingKey"), &key]);
    }
}
