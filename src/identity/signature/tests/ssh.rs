//! Keys, certificates and lists of ssh.

use super::super::{armor, ssh};
use super::*;

#[test]
fn every_line_means_what_it_means_to_ssh_keygen() {
    let bench = Bench::new();
    bench.key("ed", "ed25519", "");
    bench.key("other", "ed25519", "");
    bench.key("ca", "ed25519", "");
    for (name, options) in [
        (
            "good",
            &[
                "-n",
                "alice,a@x.example",
                "-V",
                "20260101000000Z:20270101000000Z",
            ][..],
        ),
        (
            "over",
            &["-n", "alice", "-V", "20250101000000Z:20260101000000Z"],
        ),
        (
            "early",
            &["-n", "alice", "-V", "20270101000000Z:20280101000000Z"],
        ),
        ("nobody", &["-V", "20260101000000Z:20270101000000Z"]),
        (
            "host",
            &["-h", "-n", "alice", "-V", "20260101000000Z:20270101000000Z"],
        ),
        (
            "forced",
            &[
                "-n",
                "alice",
                "-O",
                "force-command=true",
                "-O",
                "source-address=10.0.0.0/8",
            ],
        ),
        (
            "until",
            &["-n", "alice", "-V", "20260101000000Z:20260615120000Z"],
        ),
        (
            "since",
            &["-n", "alice", "-V", "20260615120000Z:20270101000000Z"],
        ),
    ] {
        bench.certify("ca", "ed", name, options);
    }
    let names = [
        "ed", "other", "good", "over", "early", "nobody", "host", "forced", "until", "since",
    ];
    let signatures: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| (*name, bench.sign(name, "git", &[])))
        .collect();
    let (ed, ca) = (bench.public("ed"), bench.public("ca"));
    let body = ed.split(' ').nth(1).unwrap();
    let lines = [
        format!("alice {ed}"),
        format!("alice {ed} a comment"),
        format!("  alice\t{ed}"),
        format!("alice,bob {ed}"),
        format!("bob {ed}"),
        format!("*@x.example,al* {ed}"),
        format!("!alice,* {ed}"),
        format!("*,!alice {ed}"),
        format!("a?ice {ed}"),
        format!("\"alice\" {ed}"),
        format!("\"alice,bob smith\" {ed}"),
        format!("al\"ice\" {ed}"),
        format!("\"alice {ed}"),
        format!("Alice {ed}"),
        format!("# alice {ed}"),
        format!("\n\n#x\nalice {ed}\n"),
        format!("alice {ed}\r"),
        format!("alice namespaces=\"git\" {ed}"),
        format!("alice namespaces=\"file,git\" {ed}"),
        format!("alice namespaces=\"file\" {ed}"),
        format!("alice namespaces=\"*\" {ed}"),
        format!("alice namespaces=\"!git,*\" {ed}"),
        format!("alice NAMESPACES=\"git\" {ed}"),
        format!("alice namespaces=git {ed}"),
        format!("alice namespaces=\"git\",namespaces=\"git\" {ed}"),
        format!("alice namespaces=\"a b,git\" {ed}"),
        format!("alice namespaces=\"git {ed}"),
        format!("alice valid-after=\"20260615120000Z\" {ed}"),
        format!("alice valid-after=\"20260615120001Z\" {ed}"),
        format!("alice valid-before=\"20260615120000Z\" {ed}"),
        format!("alice valid-before=\"20260615115959Z\" {ed}"),
        format!("alice valid-before=\"202606151200Z\" {ed}"),
        format!("alice valid-before=\"20260616\" {ed}"),
        format!("alice valid-before=\"20260615\" {ed}"),
        format!("alice valid-after=\"202606151200\" {ed}"),
        format!("alice valid-before=\"20270101utc\" {ed}"),
        format!("alice valid-before=\"2027\" {ed}"),
        format!("alice valid-before=\"20271301\" {ed}"),
        format!("alice valid-before=\"tomorrow\" {ed}"),
        format!("alice valid-after=\"20260101Z\",valid-before=\"20270101Z\" {ed}"),
        format!("alice valid-after=\"20270101Z\",valid-before=\"20260101Z\" {ed}"),
        format!("alice cert-authority {ed}"),
        format!("alice cert-authority {ca}"),
        format!("* cert-authority {ca}"),
        format!("a@x.example cert-authority {ca}"),
        format!("alice CERT-AUTHORITY {ca}"),
        format!("alice cert-authority,namespaces=\"git\" {ca}"),
        format!("alice cert-authority,namespaces=\"file\" {ca}"),
        format!("alice cert-authority,valid-before=\"20260101Z\" {ca}"),
        format!("alice cert-authority,valid-before=\"20270101Z\" {ca}"),
        format!("alice {ca}"),
        format!("alice cert-authority, {ca}"),
        format!("alice cert-authority,unknown {ca}"),
        format!("alice unknown {ed}"),
        format!("alice zzz\nalice {ed}"),
        format!("alice\nalice {ed}"),
        format!("alice namespaces=\"file\" {ed}\nalice {ed}"),
        format!("bob {ed}\nalice {ed}"),
        format!("alice ssh-rsa {body}"),
        format!("alice ssh-ed25519 {}", &body[..40]),
        "alice ssh-ed25519".to_owned(),
        "alice".to_owned(),
        String::new(),
    ];
    let mut good = 0;
    for line in &lines {
        let known = signers(line, None);
        for (name, signature) in &signatures {
            // The second name matters where a pattern could take it.
            let two = line.contains(['*', '@']);
            for principal in ["alice", "a@x.example"].iter().take(1 + usize::from(two)) {
                let theirs = bench.oracle(line, None, principal, signature, NOW_SSH);
                let ours = judged(&known, signature, &[*principal], NOW, None);
                assert_eq!(
                    ours.is_ok(),
                    theirs,
                    "{line}\n{principal}, signed with {name}: {ours:?}"
                );
                good += usize::from(theirs);
            }
        }
    }
    assert!(good > 40, "{good} good ones");
}

#[test]
fn every_kind_of_key() {
    let bench = Bench::new();
    let kinds = [
        ("ed", "ed25519", ""),
        ("rsa", "rsa", "2048"),
        ("rsa3", "rsa", "3072"),
        ("p256", "ecdsa", "256"),
        ("p384", "ecdsa", "384"),
        ("p521", "ecdsa", "521"),
    ];
    for (name, kind, bits) in kinds {
        bench.key(name, kind, bits);
        let known = signers(&format!("alice {}", bench.public(name)), None);
        for options in [&["-Ohashalg=sha256"][..], &["-Ohashalg=sha512"]] {
            let signature = bench.sign(name, "git", options);
            assert_eq!(
                judged(&known, &signature, &["alice"], NOW, None),
                Ok(()),
                "{name}"
            );
            assert_eq!(
                judged(&known, &signature, &["bob"], NOW, None),
                Err(Fault::WrongIdentity)
            );
            assert_eq!(
                judged(&signers("", None), &signature, &["alice"], NOW, None),
                Err(Fault::UnknownKey)
            );
            // Every bit counts, but for those of the armour.
            let blob =
                armor::decode(&signature, ssh::BEGIN, b"-----END SSH SIGNATURE-----").unwrap();
            for at in (0..blob.len()).step_by(7) {
                let mut changed = blob.clone();
                changed[at] ^= 1 << (at % 8);
                let text = format!(
                    "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
                    data_encoding::BASE64.encode(&changed)
                );
                let verdict = judged(&known, text.as_bytes(), &["alice"], NOW, None);
                assert!(verdict.is_err(), "{name}, byte {at}");
            }
        }
        let elsewhere = bench.sign(name, "file", &[]);
        assert_eq!(
            judged(&known, &elsewhere, &["alice"], NOW, None),
            Err(Fault::Bad),
            "{name}"
        );
        // An authority of this kind.
        bench.certify(name, "ed", &format!("of-{name}"), &["-n", "alice"]);
        let known = signers(
            &format!("alice cert-authority {}", bench.public(name)),
            None,
        );
        let signature = bench.sign(&format!("of-{name}"), "git", &[]);
        assert_eq!(
            judged(&known, &signature, &["alice"], NOW, None),
            Ok(()),
            "certified by {name}"
        );
        // A certificate over this kind.
        bench.certify("ed", name, &format!("for-{name}"), &["-n", "alice"]);
        let known = signers(
            &format!("alice cert-authority {}", bench.public("ed")),
            None,
        );
        let signature = bench.sign(&format!("for-{name}"), "git", &[]);
        assert_eq!(
            judged(&known, &signature, &["alice"], NOW, None),
            Ok(()),
            "certificate for {name}"
        );
    }
    bench.key("short", "rsa", "1024");
    let known = signers(&format!("alice {}", bench.public("short")), None);
    let signature = bench.sign("short", "git", &[]);
    assert_eq!(
        judged(&known, &signature, &["alice"], NOW, None),
        Err(Fault::Bad)
    );
}

#[test]
fn what_is_revoked_is_what_ssh_keygen_says() {
    let bench = Bench::new();
    for name in ["ed", "other", "ca"] {
        bench.key(name, "ed25519", "");
    }
    for (name, serial) in [
        ("one", "1"),
        ("two", "2"),
        ("seven", "7"),
        ("nine", "900"),
        ("none", "0"),
    ] {
        bench.certify("ca", "ed", name, &["-n", "alice", "-z", serial]);
    }
    let (ed, ca) = (bench.public("ed"), bench.public("ca"));
    let print = |name: &str| {
        let (_, said) = run(
            bench.0.path(),
            "ssh-keygen",
            "openssh-client",
            &["-lf", &format!("{name}.pub")],
            b"",
        );
        String::from_utf8(said)
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let krl = |what: &str, options: &[&str]| {
        fs::write(bench.path("spec"), what).unwrap();
        let mut arguments = vec!["-q", "-k", "-f", "krl"];
        arguments.extend(options);
        arguments.push("spec");
        bench.keygen(&arguments);
        fs::read(bench.path("krl")).unwrap()
    };
    let of_ca = ["-s", "ca.pub"];
    let many: String = (5..400)
        .filter(|n| n % 3 == 1)
        .map(|n| format!("serial: {n}\n"))
        .collect();
    let lists: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"# none\n\n".to_vec(),
        format!("{ed}\n").into_bytes(),
        format!("# x\n{ca} authority\n").into_bytes(),
        fs::read(bench.path("other.pub")).unwrap(),
        fs::read(bench.path("two-cert.pub")).unwrap(),
        b"nonsense\n".to_vec(),
        krl("", &[]),
        krl("serial: 1\nserial: 7\n", &of_ca),
        krl("serial: 1-7\n", &of_ca),
        krl("id: two\nid: seven\n", &of_ca),
        krl(&format!("key: {ed}\n"), &[]),
        krl(&format!("sha1: {ed}\n"), &[]),
        krl(&format!("sha256: {ed}\n"), &[]),
        krl(&format!("hash: {}\n", print("ed")), &[]),
        krl(&format!("key: {ca}\n"), &[]),
        krl(&many, &of_ca),
        krl("serial: 1-7\nid: nine\n", &["-s", "other.pub"]),
    ];
    let allowed = format!(
        "alice {ed}\nalice {}\nalice cert-authority {ca}\n",
        bench.public("other")
    );
    let mut seen = (0, 0);
    for (at, list) in lists.iter().enumerate() {
        let known = Signers::read(Some(allowed.as_bytes()), None, Some(list));
        for name in ["ed", "other", "one", "two", "seven", "nine", "none"] {
            let signature = bench.sign(name, "git", &[]);
            let theirs = bench.oracle(&allowed, Some(list), "alice", &signature, NOW_SSH);
            let ours = match &known {
                Ok((known, _)) => judged(known, &signature, &["alice"], NOW, None),
                Err(_) => Err(Fault::Revoked), // nothing is judged with half a list
            };
            assert_eq!(
                ours.is_ok(),
                theirs,
                "list {at}, signed with {name}: {ours:?}"
            );
            assert!(ours.is_ok() || ours == Err(Fault::Revoked), "{ours:?}");
            if theirs { seen.0 += 1 } else { seen.1 += 1 }
        }
    }
    assert!(seen.0 > 20 && seen.1 > 20, "{seen:?}");
    let prints = format!("{}\n", print("ed"));
    let known = signers(&allowed, Some(prints.as_bytes()));
    assert_eq!(
        judged(&known, &bench.sign("ed", "git", &[]), &["alice"], NOW, None),
        Err(Fault::Revoked)
    );
}

#[test]
fn short_lives_alone() {
    let bench = Bench::new();
    bench.key("ed", "ed25519", "");
    bench.key("ca", "ed25519", "");
    bench.certify(
        "ca",
        "ed",
        "hour",
        &["-n", "alice", "-V", "20260615113000Z:20260615123000Z"],
    );
    bench.certify("ca", "ed", "ever", &["-n", "alice"]);
    let allowed = format!(
        "alice {}\nalice cert-authority {}",
        bench.public("ed"),
        bench.public("ca")
    );
    let known = signers(&allowed, None);
    for (name, longest, expected) in [
        ("hour", Some(3600), Ok(())),
        ("hour", Some(3600 - 120), Ok(())),
        ("hour", Some(3600 - 121), Err(Fault::LongLived)),
        ("ever", Some(3600), Err(Fault::LongLived)),
        ("ed", Some(3600), Err(Fault::LongLived)),
        ("ever", None, Ok(())),
        ("ed", None, Ok(())),
    ] {
        let signature = bench.sign(name, "git", &[]);
        assert_eq!(
            judged(&known, &signature, &["alice"], NOW, longest),
            expected,
            "{name}"
        );
    }
    let signature = bench.sign("hour", "git", &[]);
    for now in ["2026-06-15T11:29:59Z", "2026-06-15T12:30:00Z"] {
        assert_eq!(
            judged(&known, &signature, &["alice"], now, Some(3600)),
            Err(Fault::Expired)
        );
    }
}

/// An identity may name keys instead of principals.
#[test]
fn a_fingerprint_is_a_signer_too() {
    let bench = Bench::new();
    bench.key("ed", "ed25519", "");
    let known = signers(&format!("somebody {}", bench.public("ed")), None);
    let blob = ssh::read_key(bench.public("ed").as_bytes()).unwrap();
    let print = ssh::fingerprint(&blob);
    let signature = bench.sign("ed", "git", &[]);
    assert_eq!(
        judged(&known, &signature, &["x", &print], NOW, None),
        Ok(())
    );
    let none: [&str; 0] = [];
    assert_eq!(
        judged(&known, &signature, &none, NOW, None),
        Err(Fault::WrongIdentity)
    );
    assert_eq!(
        judged(&signers("", None), &signature, &[&print], NOW, None),
        Err(Fault::UnknownKey)
    );
}

#[test]
fn an_unknown_critical_option_is_not_passed_over() {
    let bench = Bench::new();
    bench.key("ed", "ed25519", "");
    bench.key("ca", "ed25519", "");
    let known = signers(
        &format!("alice cert-authority {}", bench.public("ca")),
        None,
    );
    for (option, expected) in [
        ("critical:odd@x.example=1", Err(Fault::Bad)),
        ("extension:odd@x.example=1", Ok(())),
        ("verify-required", Err(Fault::Bad)), // only a security key can tell
    ] {
        bench.certify("ca", "ed", "odd", &["-n", "alice", "-O", option]);
        let signature = bench.sign("odd", "git", &[]);
        assert_eq!(
            judged(&known, &signature, &["alice"], NOW, None),
            expected,
            "{option}"
        );
        for end in ["", ".pub", "-cert.pub"] {
            fs::remove_file(bench.path(&format!("odd{end}"))).unwrap();
        }
    }
}

/// The clock of these tests.
#[test]
fn the_two_forms_of_now_are_the_same() {
    let now: Timestamp = NOW.parse().unwrap();
    assert_eq!(now.strftime("%Y%m%d%H%M%SZ").to_string(), NOW_SSH);
}

/// ssh-keygen takes these; whoever can make two certificates with one SHA-1 could choose what he gets signed.
#[test]
fn an_authority_that_signs_with_sha1() {
    let bench = Bench::new();
    bench.key("ed", "ed25519", "");
    bench.key("ca", "rsa", "2048");
    let known = signers(
        &format!("alice cert-authority {}", bench.public("ca")),
        None,
    );
    for (kind, expected) in [
        ("ssh-rsa", Err(Fault::Bad)),
        ("rsa-sha2-256", Ok(())),
        ("rsa-sha2-512", Ok(())),
    ] {
        bench.certify("ca", "ed", kind, &["-n", "alice", "-t", kind]);
        let signature = bench.sign(kind, "git", &[]);
        assert_eq!(
            judged(&known, &signature, &["alice"], NOW, None),
            expected,
            "{kind}"
        );
    }
}

/// Security keys, played by keys of this test: what they sign is put together as PROTOCOL.u2f says.
#[test]
fn security_keys() {
    use crate::identity::signature::wire::put;
    use data_encoding::BASE64;
    use ed25519_dalek::Signer as _;
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    use sha2::{Digest as _, Sha256, Sha512};

    fn blob(parts: &[&[u8]]) -> Vec<u8> {
        let mut blob = Vec::new();
        parts.iter().for_each(|part| put(&mut blob, part));
        blob
    }
    let bench = Bench::new();
    let ed = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let p256 = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let point = p256.verifying_key().to_sec1_point(false);
    let kinds: [(&[u8], Vec<u8>); 2] = [
        (
            b"sk-ssh-ed25519@openssh.com",
            blob(&[
                b"sk-ssh-ed25519@openssh.com",
                ed.verifying_key().as_bytes(),
                b"ssh:",
            ]),
        ),
        (
            b"sk-ecdsa-sha2-nistp256@openssh.com",
            blob(&[
                b"sk-ecdsa-sha2-nistp256@openssh.com",
                b"nistp256",
                point.as_bytes(),
                b"ssh:",
            ]),
        ),
    ];
    let mut signed = b"SSHSIG".to_vec();
    for part in [&b"git"[..], b"", b"sha512", &Sha512::digest(PAYLOAD)] {
        put(&mut signed, part);
    }
    for (kind, key) in kinds {
        let line = format!(
            "alice {} {}\n",
            String::from_utf8_lossy(kind),
            BASE64.encode(&key)
        );
        let known = signers(&line, None);
        for (flags, counter, changed) in [
            (1_u8, 5_u32, false),
            (5, u32::MAX, false),
            (0, 0, false),
            (1, 5, true),
        ] {
            let tail = [&[flags][..], &counter.to_be_bytes()].concat();
            let message = [
                &Sha256::digest(b"ssh:")[..],
                &tail,
                &Sha256::digest(&signed),
            ]
            .concat();
            let made = match kind.starts_with(b"sk-ssh") {
                true => ed.sign(&message).to_bytes().to_vec(),
                false => {
                    let made: p256::ecdsa::Signature =
                        p256.sign_prehash(&Sha256::digest(&message)).unwrap();
                    let (r, s) = made.split_bytes();
                    // Numbers are positive: a zero goes before a first bit that is set.
                    blob(&[&[&[0][..], &r].concat(), &[&[0][..], &s].concat()])
                }
            };
            let mut signature = blob(&[kind, &made]);
            signature.extend(&tail);
            if changed {
                let last = signature.len() - 1;
                signature[last] ^= 1;
            }
            let mut whole = b"SSHSIG\0\0\0\x01".to_vec();
            for part in [&key[..], b"git", b"", b"sha512", &signature] {
                put(&mut whole, part);
            }
            let text = format!(
                "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
                BASE64.encode(&whole)
            );
            let theirs = bench.oracle(&line, None, "alice", text.as_bytes(), NOW_SSH);
            let ours = judged(&known, text.as_bytes(), &["alice"], NOW, None);
            assert_eq!(
                ours.is_ok(),
                theirs,
                "{} {flags}",
                String::from_utf8_lossy(kind)
            );
            assert_eq!(ours.is_ok(), !changed);
        }
    }
}
