//! Keys and certificates of every kind that `ssh-keygen` makes here, compared with what it says of them.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::identity::signature::wire::put;

fn ssh_keygen(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("ssh-keygen runs (Debian package openssh-client)");
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("its output is text")
}

/// What sshd writes for a key: the type and the blob of its public file.
fn line(folder: &Path, public: &str) -> String {
    let text = std::fs::read_to_string(folder.join(public)).unwrap();
    let fields: Vec<&str> = text.split_whitespace().collect();
    format!("publickey {} {}\n", fields[0], fields[1])
}

/// What `ssh-keygen -l` says: `256 SHA256:… comment (TYPE)`.
fn shown(folder: &Path, public: &str) -> String {
    ssh_keygen(folder, &["-l", "-f", public])
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned()
}

const KINDS: &[&[&str]] = &[
    &["-t", "ed25519"],
    &["-t", "rsa", "-b", "2048"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "ecdsa", "-b", "521"],
];

#[test]
fn keys_and_certificates_are_named_as_ssh_keygen_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ssh_keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
    for (index, kind) in KINDS.iter().enumerate() {
        let key = format!("key{index}");
        ssh_keygen(folder, &[&["-q", "-N", "", "-f", &key], *kind].concat());
        let public = format!("{key}.pub");
        let fingerprint = shown(folder, &public);

        let plain = authenticated(line(folder, &public).as_bytes()).unwrap();
        assert_eq!(
            plain,
            Some(Authenticated {
                fingerprint: fingerprint.clone(),
                key_id: None,
                principals: vec![],
            })
        );

        let sign = [
            "-q",
            "-s",
            "ca",
            "-I",
            "robot 7",
            "-n",
            "docs-bot,deploy",
            "-V",
            "+1h",
            &public,
        ];
        ssh_keygen(folder, &sign);
        let certificate = format!("{key}-cert.pub");
        let certified = authenticated(line(folder, &certificate).as_bytes()).unwrap();
        assert_eq!(
            certified,
            Some(Authenticated {
                fingerprint,
                key_id: Some("robot 7".to_owned()),
                principals: vec!["docs-bot".to_owned(), "deploy".to_owned()],
            })
        );
    }
}

#[test]
fn a_host_certificate_and_one_without_principals() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for key in ["ca", "key"] {
        ssh_keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-f", key]);
    }
    ssh_keygen(folder, &["-q", "-s", "ca", "-I", "x", "key.pub"]);
    let certified = authenticated(line(folder, "key-cert.pub").as_bytes()).unwrap();
    assert!(certified.unwrap().principals.is_empty());
    ssh_keygen(folder, &["-q", "-h", "-s", "ca", "-I", "x", "key.pub"]);
    let refused = authenticated(line(folder, "key-cert.pub").as_bytes()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "SSH_USER_AUTH: a certificate is not for users"
    );
}

#[test]
fn every_cut_of_a_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for key in ["ca", "key"] {
        ssh_keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-f", key]);
    }
    ssh_keygen(folder, &["-q", "-s", "ca", "-I", "x", "-n", "a", "key.pub"]);
    let line = line(folder, "key-cert.pub");
    let encoded = line.split_whitespace().nth(2).unwrap();
    let blob = BASE64.decode(encoded.as_bytes()).unwrap();
    let kind = b"ssh-ed25519-cert-v01@openssh.com";
    assert!(parse(kind, &blob).is_ok());
    for length in 0..blob.len() {
        assert!(parse(kind, &blob[..length]).is_err(), "{length}");
    }
}

#[test]
fn methods_without_a_key_and_odd_lines() {
    assert_eq!(authenticated(b"").unwrap(), None);
    assert_eq!(
        authenticated(b"password\nkeyboard-interactive pam\n").unwrap(),
        None
    );
    let key = |kind: &[u8], fill: u8| {
        let mut blob = Vec::new();
        put(&mut blob, kind);
        put(&mut blob, &[fill; 32]);
        format!("publickey ssh-ed25519 {}\n", BASE64.encode(&blob))
    };
    let (one, two) = (key(b"ssh-ed25519", 1), key(b"ssh-ed25519", 2));
    assert!(authenticated(one.as_bytes()).unwrap().is_some());
    assert!(
        authenticated(format!("password\n{one}{one}").as_bytes())
            .unwrap()
            .is_some()
    );
    for (text, message) in [
        (format!("{one}{two}"), "it names more than one key"),
        (
            "publickey ssh-ed25519\n".to_owned(),
            "a publickey line has not three fields",
        ),
        (
            "publickey a b c\n".to_owned(),
            "a publickey line has not three fields",
        ),
        (
            "publickey ssh-ed25519 !\n".to_owned(),
            "a key is not base64",
        ),
        (
            "publickey ssh-ed25519 AAAA\n".to_owned(),
            "a key or certificate is cut short",
        ),
        (
            key(b"ssh-rsa", 1),
            "a key is of another type than its line says",
        ),
        (
            key(b"ssh-new-cert-v01@openssh.com", 1),
            "a certificate is of a kind that is not known",
        ),
    ] {
        let error = authenticated(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("SSH_USER_AUTH: {message}"));
    }
}
