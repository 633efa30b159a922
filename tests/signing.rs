//! Keys for pushes as data: made at run time in the world's own folder, so that none stands in the repository.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::world::{Clone, Setup, World, both, feed, testdata};

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

const ZERO: &str = "0000000000000000000000000000000000000000";

/// A certificate as git's client writes it, signed with `key`, in the store of the server.
fn certificate(world: &World, key: &str, text: &str) -> String {
    let mut command = world.scrubbed("ssh-keygen", &world.keys());
    command.args(["-q", "-Y", "sign", "-n", "git", "-f", key]);
    let signature = feed(command, text.as_bytes());
    assert!(
        signature.status.success(),
        "ssh-keygen:\n{}",
        both(&signature)
    );
    let whole = [text.as_bytes(), &signature.stdout].concat();
    world.feed(&world.server(), &["hash-object", "-w", "--stdin"], &whole)
}

/// Everything that git tells of a push certificate, and everything that stands in one.
#[test]
fn what_a_push_certificate_must_say() {
    let policy = fs::read_to_string(testdata("pushes/signed.yaml")).unwrap();
    let policy = policy.replace("signers:\n  ssh", "signers:\n  nonce_slop: 90s\n  ssh");
    let world = World::with(Setup {
        policy: Some(policy),
        ..Setup::default()
    });
    world.usual_keys();
    let id = world.id("main");
    let line = format!("{ZERO} {id} refs/heads/x\n");
    let text = |pushee: &str, nonce: &str, lines: &str| {
        format!(
            "certificate version 0.1\npusher bob 1767225600 +0000\npushee {pushee}\nnonce {nonce}\n\n{lines}"
        )
    };
    let judged = |text: &str, vars: &[(&str, &str)], input: &str| {
        let mut command = world.hook_command("bob");
        command
            .env("GIT_PUSH_CERT", certificate(&world, "bob", text))
            .env("GIT_PUSH_CERT_STATUS", "G")
            .env("GIT_PUSH_CERT_NONCE", "1-abc");
        command.envs(vars.iter().copied());
        let output = feed(command, input.as_bytes());
        (output.status.code(), both(&output))
    };
    let ok = [("GIT_PUSH_CERT_NONCE_STATUS", "OK")];
    let slop = |by| {
        [
            ("GIT_PUSH_CERT_NONCE_STATUS", "SLOP"),
            ("GIT_PUSH_CERT_NONCE_SLOP", by),
        ]
    };
    let status = |word| [("GIT_PUSH_CERT_NONCE_STATUS", word)];
    let here = "ssh://git@x.example/org/site.git";
    let good = text(here, "1-abc", &line);
    for pushee in [
        here,
        "git@x.example:org/site.git",
        "/srv/org/site",
        "https://x.example/org/site/",
        "org/site.git",
    ] {
        assert_eq!(
            judged(&text(pushee, "1-abc", &line), &ok, &line),
            (Some(0), String::new()),
            "{pushee}"
        );
    }
    assert_eq!(judged(&good, &slop("90"), &line).0, Some(0));
    assert_eq!(judged(&good, &slop("-90"), &line).0, Some(0));
    let two = format!("{line}{ZERO} {id} refs/heads/y\n");
    assert_eq!(judged(&text(here, "1-abc", &two), &ok, &two).0, Some(0));

    let other = line.replace("heads/x", "heads/y");
    let option = good.replace("\n\n", "\npush-option ci.skip\n\n");
    assert_eq!(
        judged(&option, &ok, &line).0,
        Some(0),
        "git compares push options"
    );
    for (text, vars, input, why) in [
        (&good, &slop("91")[..], &line, "too old"),
        (&good, &slop("much"), &line, "GIT_PUSH_CERT_NONCE_SLOP"),
        (&good, &status("SLOP"), &line, "too old"),
        (&good, &status("BAD"), &line, "a replay"),
        (&good, &status("MISSING"), &line, "has no nonce"),
        (&good, &status("UNSOLICITED"), &line, "gives none out"),
        (&good, &status("ok"), &line, "does not say"),
        (&good, &[], &line, "does not say"),
        (
            &text(here, "2-abc", &line),
            &ok,
            &line,
            "not the one that git judged",
        ),
        (
            &text("ssh://x.example/org/other.git", "1-abc", &line),
            &ok,
            &line,
            "another repository",
        ),
        (
            &text("ssh://x.example/evilorg/site.git/x", "1-abc", &line),
            &ok,
            &line,
            "another repository",
        ),
        (
            &text("ssh://x.example/xorg/site.git", "1-abc", &line),
            &ok,
            &line,
            "another repository",
        ),
        (&good, &ok, &other, "other ref updates"),
        (&good, &ok, &two, "other ref updates"),
        (&text(here, "1-abc", &two), &ok, &line, "other ref updates"),
        (
            &text(here, "1-abc", &line.replace(&ZERO[..8], &id[..8])),
            &ok,
            &line,
            "other ref updates",
        ),
        (&text(here, "1-abc", ""), &ok, &line, "cannot be read"),
        (
            &good.replace("0.1", "0.2"),
            &ok,
            &line,
            "version that is not known",
        ),
        (
            &good.replace("nonce 1", "pushee a\nnonce 1"),
            &ok,
            &line,
            "twice",
        ),
        (&good.replace("nonce 1", "note 1"), &ok, &line, "not known"),
        (
            &good.replace("pusher bob 1767225600 +0000\n", ""),
            &ok,
            &line,
            "who pushes",
        ),
    ] {
        let (code, said) = judged(text, vars, input);
        assert!(matches!(code, Some(1 | 3)), "{why}: {said}");
        let said = said.replace("\n         ", " ").replace("\n  ", " ");
        assert!(said.contains(why), "{why}:\n{said}");
    }
    // Words of the environment alone are nothing.
    for id in [id.as_str(), &"1".repeat(40), "x"] {
        let mut command = world.hook_command("bob");
        command
            .env("GIT_PUSH_CERT", id)
            .env("GIT_PUSH_CERT_STATUS", "G")
            .envs(ok);
        let output = feed(command, line.as_bytes());
        assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    }
}
