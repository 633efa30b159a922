//! Real keys, made here by the programs that people make theirs with: private ones are found, public ones never.

use std::path::Path;
use std::process::{Command, Stdio};

use ringfence::budget::{Bounds, Budget};
use ringfence::finding::Confidence;
use ringfence::scan::Scanner;

/// Rule and confidence of what is found in a file.
fn found(path: &Path) -> Vec<(&'static str, Confidence)> {
    let text = std::fs::read(path).unwrap();
    let told = Scanner::builtin()
        .scan(&text, &Budget::new(Bounds::default()))
        .unwrap();
    assert!(told.unscanned.is_empty());
    let matches = told.matches.iter();
    matches.map(|hit| (hit.rule.id, hit.confidence)).collect()
}

/// Runs a command line in the folder; words are parted by blanks, `''` is an empty one.
fn run(folder: &Path, line: &str) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap())
        .args(words.map(|word| if word == "''" { "" } else { word }))
        .current_dir(folder)
        .env("GNUPGHOME", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {told}");
}

/// Fails where a program is missing: a test that is passed over proves nothing.
fn need(program: &str, package: &str) {
    let known = Command::new(program)
        .arg("--help")
        .stdin(Stdio::null())
        .output();
    assert!(
        known.is_ok(),
        "{program} is missing: run `tests/setup`, or install Debian's package {package}"
    );
}

#[test]
fn keys_of_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        for form in ["", "-m PEM ", "-m PKCS8 ", "-m RFC4716 "] {
            for (word, plain) in [("''", true), ("correct-horse", false)] {
                let bits = if kind == "rsa" { "-b 2048 " } else { "" };
                let name = format!("{kind}{}{plain}", form.trim().replace(' ', "")).to_lowercase();
                run(
                    folder,
                    &format!("ssh-keygen -q -t {kind} {bits}{form}-N {word} -C a@b -f {name}"),
                );
                let sure = if plain {
                    Confidence::Certain
                } else {
                    Confidence::Likely
                };
                assert_eq!(
                    found(&folder.join(&name)),
                    [("secret/private-key", sure)],
                    "{name}"
                );
                assert_eq!(found(&folder.join(format!("{name}.pub"))), [], "{name}");
                let exported = Command::new("ssh-keygen")
                    .args(["-e", "-f", &format!("{name}.pub")])
                    .current_dir(folder)
                    .output()
                    .unwrap();
                let other = folder.join("exported");
                std::fs::write(&other, exported.stdout).unwrap();
                assert_eq!(found(&other), [], "{name}");
            }
        }
    }
}

#[test]
fn keys_of_openssl() {
    need("openssl", "openssl");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let expect = |name: &str, rule: &'static str, sure: Confidence| {
        assert_eq!(found(&folder.join(name)), [(rule, sure)], "{name}");
    };
    for (kind, options) in [
        ("RSA", " -pkeyopt rsa_keygen_bits:2048"),
        ("EC", " -pkeyopt ec_paramgen_curve:P-384"),
        ("ED25519", ""),
        ("X448", ""),
    ] {
        run(
            folder,
            &format!("openssl genpkey -quiet -algorithm {kind}{options} -out key.pem"),
        );
        expect("key.pem", "secret/private-key", Confidence::Certain);
        run(
            folder,
            "openssl pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der",
        );
        expect("key.der", "secret/private-key-der", Confidence::Certain);
        run(
            folder,
            "openssl pkcs8 -topk8 -in key.pem -passout pass:word -out locked.pem",
        );
        expect("locked.pem", "secret/private-key", Confidence::Likely);
        run(folder, "openssl pkey -in key.pem -pubout -out public.pem");
        assert_eq!(found(&folder.join("public.pem")), [], "{kind}");
        run(
            folder,
            "openssl pkey -in key.pem -pubout -outform DER -out public.der",
        );
        assert_eq!(found(&folder.join("public.der")), [], "{kind}");
        if kind != "X448" {
            let line = "openssl req -x509 -key key.pem -subj /CN=a -days 9 -out cert.pem";
            run(folder, line);
            assert_eq!(found(&folder.join("cert.pem")), [], "{kind}");
            run(
                folder,
                "openssl req -new -key key.pem -subj /CN=a -out request.pem",
            );
            assert_eq!(found(&folder.join("request.pem")), [], "{kind}");
            let line =
                "openssl pkcs12 -export -inkey key.pem -in cert.pem -passout pass:word -out a.p12";
            run(folder, line);
            expect("a.p12", "secret/pkcs12-file", Confidence::Likely);
        }
        if kind == "RSA" || kind == "EC" {
            run(folder, "openssl pkey -in key.pem -traditional -out old.pem");
            expect("old.pem", "secret/private-key", Confidence::Certain);
            run(
                folder,
                "openssl pkey -in key.pem -traditional -outform DER -out old.der",
            );
            expect("old.der", "secret/private-key-der", Confidence::Certain);
            let line = "openssl pkey -in key.pem -traditional -aes128 -passout pass:word -out old-locked.pem";
            run(folder, line);
            expect("old-locked.pem", "secret/private-key", Confidence::Likely);
        }
    }
}

#[test]
fn keys_of_gnupg() {
    need("gpg", "gnupg");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (algorithm, user) in [("rsa2048", "one"), ("future-default", "two")] {
        for (word, sure) in [("''", Confidence::Certain), ("word", Confidence::Likely)] {
            let user = format!("{user}{sure:?}");
            let gpg = format!("gpg --batch --quiet --pinentry-mode loopback --passphrase {word}");
            run(
                folder,
                &format!("{gpg} --quick-generate-key {user} {algorithm}"),
            );
            run(
                folder,
                &format!("{gpg} --armor --output {user}.asc --export-secret-keys {user}"),
            );
            let told = found(&folder.join(format!("{user}.asc")));
            assert_eq!(told, [("secret/pgp-private-key", sure)], "{algorithm}");
            run(
                folder,
                &format!("{gpg} --armor --output {user}.pub --export {user}"),
            );
            assert_eq!(
                found(&folder.join(format!("{user}.pub"))),
                [],
                "{algorithm}"
            );
        }
    }
    for entry in std::fs::read_dir(folder.join("private-keys-v1.d")).unwrap() {
        let path = entry.unwrap().path();
        let told = found(&path);
        assert!(
            matches!(told[..], [("secret/gpg-agent-key", _)]),
            "{told:?}"
        );
    }
    run(folder, "gpgconf --kill all");
}

#[test]
fn stores_of_keytool() {
    need("keytool", "default-jre-headless");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (form, rule) in [
        ("JKS", "secret/java-keystore"),
        ("JCEKS", "secret/java-keystore"),
        ("PKCS12", "secret/pkcs12-file"),
    ] {
        let store = format!("-storetype {form} -keystore {form}.store -storepass changeit");
        let line = format!(
            "keytool -genkeypair -keyalg RSA -alias a -dname CN=a -keypass changeit {store}"
        );
        run(folder, &line);
        let told = found(&folder.join(format!("{form}.store")));
        assert_eq!(told, [(rule, Confidence::Likely)], "{form}");
        run(
            folder,
            &format!("keytool -exportcert -alias a -file {form}.cer {store}"),
        );
        assert_eq!(found(&folder.join(format!("{form}.cer"))), [], "{form}");
        let trust = format!("-storetype {form} -keystore {form}.trust -storepass changeit");
        run(
            folder,
            &format!("keytool -importcert -noprompt -alias a -file {form}.cer {trust}"),
        );
        let told = found(&folder.join(format!("{form}.trust")));
        let sure = |hit: &&(&str, Confidence)| hit.1 > Confidence::Possible;
        assert_eq!(told.iter().filter(sure).count(), 0, "{form}");
    }
}
