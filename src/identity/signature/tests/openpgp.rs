//! OpenPGP keys.

use super::*;

impl Bench {
    fn gpg(&self, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
        let mut all = vec![
            "--batch",
            "--no-tty",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ];
        all.extend(arguments);
        run(self.0.path(), "gpg", "gnupg", &all, input)
    }

    /// A key for `user`, made at the start of 2026.
    fn pgp_key(&self, user: &str, kind: &str, usage: &str, expire: &str) -> String {
        let (done, _) = self.gpg(
            &[
                "--faked-system-time",
                "20260101T000000!",
                "--quick-generate-key",
                user,
                kind,
                usage,
                expire,
            ],
            b"",
        );
        assert!(done, "gpg makes a key of kind {kind}");
        self.pgp_print(user)
    }

    fn pgp_print(&self, user: &str) -> String {
        let (_, listed) = self.gpg(&["--with-colons", "--list-keys", user], b"");
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    fn pgp_sign(&self, user: &str, options: &[&str]) -> Vec<u8> {
        let mut arguments = vec!["--faked-system-time", "20260615T110000!", "-bsau", user];
        arguments.extend(options);
        let (done, signature) = self.gpg(&arguments, PAYLOAD);
        assert!(done, "gpg signs as {user}");
        signature
    }

    fn pgp_ring(&self, options: &[&str]) -> Signers {
        let mut arguments = vec!["--export"];
        arguments.extend(options);
        let (_, ring) = self.gpg(&arguments, b"");
        Signers::read(None, Some(&ring), None).unwrap().0
    }

    /// What gpg itself says: whether it is good, by a key that is valid now.
    fn pgp_oracle(&self, signature: &[u8]) -> bool {
        fs::write(self.path("signature.asc"), signature).unwrap();
        let (done, status) = self.gpg(
            &[
                "--faked-system-time",
                "20260615T120000!",
                "--trust-model",
                "always",
                "--status-fd",
                "1",
                "--verify",
                "signature.asc",
                "-",
            ],
            PAYLOAD,
        );
        let status = String::from_utf8_lossy(&status).into_owned();
        let said = |word: &str| {
            status
                .lines()
                .any(|line| line.starts_with(&format!("[GNUPG:] {word} ")))
        };
        done && said("GOODSIG") && said("VALIDSIG") && !said("KEYREVOKED")
    }

    fn pgp(test: impl FnOnce(&Bench)) {
        use std::os::unix::fs::PermissionsExt as _;
        let bench = Bench::new();
        let home = bench.path("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&bench)));
        // The agent of this home alone.
        let _ = run(bench.0.path(), "gpgconf", "gnupg", &["--kill", "all"], b"");
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn every_kind_of_openpgp_key() {
    Bench::pgp(|bench| {
        for kind in [
            "rsa2048", "rsa3072", "ed25519", "nistp256", "nistp384", "nistp521",
        ] {
            let user = format!("{kind} <{kind}@x.example>");
            let print = bench.pgp_key(&user, kind, "sign", "0");
            let mail = format!("{kind}@x.example");
            let ring = bench.pgp_ring(&[]);
            let signature = bench.pgp_sign(&user, &["--digest-algo", "SHA512"]);
            assert!(bench.pgp_oracle(&signature), "{kind}");
            for who in [
                &user,
                &mail,
                &mail.to_uppercase(),
                &print,
                &print.to_lowercase(),
            ] {
                assert_eq!(
                    judged(&ring, &signature, &["x", who], NOW, None),
                    Ok(()),
                    "{kind} {who}"
                );
            }
            assert_eq!(
                judged(&ring, &signature, &["bob@x.example"], NOW, None),
                Err(Fault::WrongIdentity)
            );
            assert_eq!(
                judged(&ring, &signature, &[&mail], NOW, Some(3600)),
                Err(Fault::LongLived)
            );
            assert_eq!(
                judged(&signers("", None), &signature, &[&mail], NOW, None),
                Err(Fault::UnknownKey)
            );
            for now in ["2026-06-15T09:59:00Z", "2025-12-31T23:59:59Z"] {
                assert_eq!(
                    judged(&ring, &signature, &[&mail], now, None),
                    Err(Fault::Expired),
                    "from the future"
                );
            }
            // Every bit that is signed, or is the signature.
            let text = String::from_utf8(signature.clone()).unwrap();
            let blob = openpgp_blob(&text);
            let mut held = 0;
            for at in (3..blob.len()).step_by(5) {
                let mut changed = blob.clone();
                changed[at] ^= 1 << (at % 8);
                let verdict = judged(
                    &ring,
                    pgp_armoured(&changed).as_bytes(),
                    &[&mail],
                    NOW,
                    None,
                );
                // Who made it is a hint: another hint finds no key, or the same.
                let hint = matches!(verdict, Err(Fault::UnknownKey) | Ok(()));
                assert!(
                    verdict == Err(Fault::Bad) || hint,
                    "{kind}, byte {at}: {verdict:?}"
                );
                held += usize::from(verdict.is_ok());
            }
            // Lengths in bits that come to the same bytes, and a hint more or less.
            assert!(held <= 2, "{kind}: {held}");
            // With the curves of NIST gpg itself refuses to.
            let weak: &[&str] = match kind.starts_with("nist") {
                true => &[],
                false => &["SHA1", "RIPEMD160"],
            };
            for weak in weak {
                let options = ["--digest-algo", *weak, "--allow-weak-digest-algos"];
                let signature = bench.pgp_sign(&user, &options);
                assert_eq!(
                    judged(&ring, &signature, &[&mail], NOW, None),
                    Err(Fault::Bad),
                    "{weak}"
                );
            }
        }
    });
}

fn openpgp_blob(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .filter(|line| !line.starts_with(['-', '=']) && !line.contains(':'))
        .collect();
    data_encoding::BASE64.decode(digits.as_bytes()).unwrap()
}

fn pgp_armoured(blob: &[u8]) -> String {
    format!(
        "-----BEGIN PGP SIGNATURE-----\n\n{}\n-----END PGP SIGNATURE-----\n",
        data_encoding::BASE64.encode(blob)
    )
}

#[test]
fn openpgp_keys_end_and_are_revoked() {
    Bench::pgp(|bench| {
        let first = bench.pgp_key("first <first@x.example>", "ed25519", "sign", "0");
        let short = bench.pgp_key(
            "short <short@x.example>",
            "ed25519",
            "sign",
            "20260701T000000",
        );
        // A key that only certifies, with subkeys for signing and encryption.
        let split = bench.pgp_key("split <split@x.example>", "rsa2048", "cert", "0");
        for (kind, usage, expire) in [
            ("ed25519", "sign", "20260701T000000"),
            ("rsa2048", "encr", "0"),
        ] {
            let fake = "20260101T000000!";
            let (done, _) = bench.gpg(
                &[
                    "--faked-system-time",
                    fake,
                    "--quick-add-key",
                    &split,
                    kind,
                    usage,
                    expire,
                ],
                b"",
            );
            assert!(done);
        }
        let ring = bench.pgp_ring(&[]);
        assert_eq!(ring.counts(), (0, 3));
        let armoured = bench.pgp_ring(&["--armor"]);
        assert_eq!(armoured.counts(), (0, 3));
        let late = "2026-07-01T00:00:00Z";
        for (user, print, ends) in [
            ("first", &first, false),
            ("short", &short, true),
            ("split", &split, true),
        ] {
            let mail = format!("{user}@x.example");
            let signature = bench.pgp_sign(&mail, &[]);
            assert!(bench.pgp_oracle(&signature));
            for who in [&mail, print] {
                assert_eq!(
                    judged(&ring, &signature, &[who], NOW, None),
                    Ok(()),
                    "{user}"
                );
                assert_eq!(
                    judged(&armoured, &signature, &[who], NOW, None),
                    Ok(()),
                    "{user}"
                );
            }
            let expected = if ends { Err(Fault::Expired) } else { Ok(()) };
            assert_eq!(
                judged(&ring, &signature, &[&mail], late, None),
                expected,
                "{user}"
            );
            let (done, _) = bench.gpg(&["--verify", "-"], &signature);
            assert!(!done, "a signature alone is no message");
        }
        let expiring = bench.pgp_sign("first", &["--default-sig-expire", "20260616T000000"]);
        assert_eq!(
            judged(&ring, &expiring, &["first@x.example"], NOW, None),
            Ok(())
        );
        assert_eq!(
            judged(&ring, &expiring, &["first@x.example"], late, None),
            Err(Fault::Expired)
        );
        // Over a text with other line ends, and two at once.
        let text = bench.pgp_sign("first", &["--textmode"]);
        assert_eq!(
            judged(&ring, &text, &["first@x.example"], NOW, None),
            Err(Fault::Bad)
        );
        let two = bench.pgp_sign("first", &["-u", "short"]);
        assert_eq!(
            judged(&ring, &two, &["first@x.example"], NOW, None),
            Err(Fault::Bad)
        );

        let signature = bench.pgp_sign("first", &[]);
        let revocation =
            fs::read_to_string(bench.path(&format!("gnupg/openpgp-revocs.d/{first}.rev"))).unwrap();
        let revocation = revocation.replace(":-----BEGIN", "-----BEGIN");
        assert!(bench.gpg(&["--import"], revocation.as_bytes()).0);
        assert!(!bench.pgp_oracle(&signature));
        let ring = bench.pgp_ring(&[]);
        assert_eq!(
            judged(&ring, &signature, &["first@x.example"], NOW, None),
            Err(Fault::Revoked)
        );

        let (_, secret) = bench.gpg(&["--armor", "--export-secret-keys", "short"], b"");
        for (text, part) in [
            (secret, "no OpenPGP key"),
            (b"nothing".to_vec(), "no OpenPGP key"),
            (
                b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc".to_vec(),
                "no end",
            ),
            (vec![0x99, 1], "cannot be read"),
        ] {
            let error = Signers::read(None, Some(&text), None).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let (_, secret) = bench.gpg(&["--export-secret-keys", "short"], b"");
        let error = Signers::read(None, Some(&secret), None).unwrap_err();
        assert!(error.contains("secret key"), "{error}");
    });
}
