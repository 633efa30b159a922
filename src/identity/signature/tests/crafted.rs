//! OpenPGP keys that no program makes: put together by hand, to try what a key may not get by.

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::*;

const CREATED: u32 = 1_767_225_600; // 2026-01-01
const MAIL: &str = "mallory@x.example";

fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&[0xc0 | tag, 0xff][..], &length.to_be_bytes(), body].concat()
}

/// A key packet: Ed25519 in the old form (22) or the new one (27).
fn key_body(key: &SigningKey, algorithm: u8) -> Vec<u8> {
    let mut body = vec![4];
    body.extend(CREATED.to_be_bytes());
    body.push(algorithm);
    if algorithm == 22 {
        body.extend([9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1, 1, 7, 0x40]);
    }
    body.extend(key.verifying_key().as_bytes());
    body
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    [&[0x99][..], &length.to_be_bytes(), body].concat()
}

fn user(name: &str) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap();
    [&[0xb4][..], &length.to_be_bytes(), name.as_bytes()].concat()
}

fn subpacket(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len() + 1;
    let mut subpacket = match u8::try_from(length) {
        Ok(short @ ..192) => vec![short],
        _ => [&[255][..], &u32::try_from(length).unwrap().to_be_bytes()].concat(),
    };
    subpacket.push(kind);
    subpacket.extend(value);
    subpacket
}

fn issuer(body: &[u8]) -> Vec<u8> {
    let print = revoked::sha1(&framed(body)).unwrap();
    subpacket(33, &[&[4][..], &print].concat())
}

/// The body of a signature of this kind over the parts.
fn signature(
    key: &SigningKey,
    body: &[u8],
    kind: u8,
    more: &[Vec<u8>],
    parts: &[&[u8]],
) -> Vec<u8> {
    let algorithm = body[5];
    let mut hashed = subpacket(2, &CREATED.to_be_bytes());
    hashed.extend(issuer(body));
    hashed.extend(more.concat());
    let mut head = vec![4, kind, algorithm, 8];
    head.extend(u16::try_from(hashed.len()).unwrap().to_be_bytes());
    head.extend(hashed);
    let tail = [
        &[4, 0xff][..],
        &u32::try_from(head.len()).unwrap().to_be_bytes(),
    ]
    .concat();
    let digest = Sha256::digest([parts.concat(), head.clone(), tail].concat());
    let made = key.sign(&digest).to_bytes();
    let mut all = [&head[..], &[0, 0], &digest[..2]].concat();
    match algorithm {
        22 => {
            for number in made.chunks(32) {
                all.extend([1, 0]);
                all.extend(number);
            }
        }
        _ => all.extend(made),
    }
    all
}

const SIGN: [u8; 1] = [2];

/// One primary key with one user id.
struct Crafted {
    primary: SigningKey,
    body: Vec<u8>,
}

impl Crafted {
    fn new(seed: u8, algorithm: u8) -> Crafted {
        let primary = SigningKey::from_bytes(&[seed; 32]);
        let body = key_body(&primary, algorithm);
        Crafted { primary, body }
    }

    fn signed(&self, kind: u8, more: &[Vec<u8>], parts: &[&[u8]]) -> Vec<u8> {
        packet(2, &signature(&self.primary, &self.body, kind, more, parts))
    }

    /// The key with its user id; `more` is what the user id's signature says beside.
    fn ring(&self, more: &[Vec<u8>]) -> Vec<u8> {
        let name = format!("Mallory <{MAIL}>");
        let vouched = self.signed(0x13, more, &[&framed(&self.body), &user(&name)]);
        [packet(6, &self.body), packet(13, name.as_bytes()), vouched].concat()
    }

    fn over_payload(&self, more: &[Vec<u8>]) -> String {
        armoured(&self.signed(0, more, &[PAYLOAD]))
    }
}

fn armoured(packet: &[u8]) -> String {
    format!(
        "-----BEGIN PGP SIGNATURE-----\n\n{}\n-----END PGP SIGNATURE-----\n",
        data_encoding::BASE64.encode(packet)
    )
}

fn verdict(ring: &[u8], signature: &str) -> Result<(), Fault> {
    let known = Signers::read(None, Some(ring), None).unwrap().0;
    judged(&known, signature.as_bytes(), &[MAIL], NOW, None)
}

/// Of an hour at most the clock of whoever signs may be ahead.
#[test]
fn a_signature_from_the_future_is_out_of_its_time() {
    let key = Crafted::new(1, 22);
    let known = Signers::read(None, Some(&key.ring(&[])), None).unwrap().0;
    let made = key.over_payload(&[]);
    for (now, expected) in [
        ("2025-12-31T23:00:00Z", Ok(())),
        ("2025-12-31T22:59:59Z", Err(Fault::Expired)),
    ] {
        let found = judged(&known, made.as_bytes(), &[MAIL], now, None);
        assert_eq!(found, expected, "{now}");
    }
}

#[test]
fn both_forms_of_ed25519() {
    for algorithm in [22, 27] {
        let key = Crafted::new(1, algorithm);
        let flags = [subpacket(27, &SIGN)];
        let good = key.over_payload(&[]);
        assert_eq!(verdict(&key.ring(&flags), &good), Ok(()), "{algorithm}");
        assert_eq!(
            verdict(&key.ring(&[]), &good),
            Ok(()),
            "a primary key without flags may sign"
        );
        // It may only certify; it has expired; its user id is vouched for by nobody.
        let other = [subpacket(27, &[1])];
        assert_eq!(verdict(&key.ring(&other), &good), Err(Fault::UnknownKey));
        let day = [subpacket(9, &86400_u32.to_be_bytes())];
        assert_eq!(verdict(&key.ring(&day), &good), Err(Fault::Expired));
        let bare = [packet(6, &key.body), packet(13, MAIL.as_bytes())].concat();
        assert_eq!(verdict(&bare, &good), Err(Fault::UnknownKey));
        let stranger = Crafted::new(2, algorithm);
        let vouched = stranger.signed(0x13, &[], &[&framed(&key.body), &user(MAIL)]);
        assert_eq!(
            verdict(&[bare, vouched].concat(), &good),
            Err(Fault::UnknownKey)
        );
    }
}

#[test]
fn what_a_signature_says_that_is_not_understood() {
    let key = Crafted::new(1, 22);
    let ring = key.ring(&[]);
    for (more, expected) in [
        (subpacket(20, b"\x80\0\0\0\0\x01\0\x01ab"), Ok(())),
        (
            subpacket(0x80 | 20, b"\x80\0\0\0\0\x01\0\x01ab"),
            Err(Fault::Bad),
        ),
        (subpacket(100, b"x"), Ok(())),
        (subpacket(0x80 | 100, b"x"), Err(Fault::Bad)),
        (subpacket(3, &60_u32.to_be_bytes()), Err(Fault::Expired)),
        (subpacket(3, &0_u32.to_be_bytes()), Ok(())),
        (subpacket(3, b"x"), Err(Fault::Bad)),
        (vec![9], Err(Fault::Bad)),
    ] {
        let text = key.over_payload(std::slice::from_ref(&more));
        assert_eq!(verdict(&ring, &text), expected, "{more:?}");
    }
    // Over something else, of another kind, of another version, cut short.
    let other = armoured(&key.signed(0, &[], &[b"x", PAYLOAD]));
    assert_eq!(verdict(&ring, &other), Err(Fault::Bad));
    let text_kind = armoured(&key.signed(1, &[], &[PAYLOAD]));
    assert_eq!(verdict(&ring, &text_kind), Err(Fault::Bad));
    let body = signature(&key.primary, &key.body, 0, &[], &[PAYLOAD]);
    for version in [3, 5, 6] {
        let mut changed = body.clone();
        changed[0] = version;
        assert_eq!(
            verdict(&ring, &armoured(&packet(2, &changed))),
            Err(Fault::Bad)
        );
    }
    for length in 0..body.len() {
        let cut = verdict(&ring, &armoured(&packet(2, &body[..length])));
        assert!(cut.is_err(), "{length}");
    }
    assert_eq!(verdict(&ring, &armoured(&packet(2, &body))), Ok(()));
}

/// Mallory puts alice's signing key under her own: what alice signs would then be mallory's.
#[test]
fn a_subkey_must_agree() {
    let (mallory, alice) = (Crafted::new(1, 22), Crafted::new(2, 22));
    let (own, sub) = (framed(&mallory.body), framed(&alice.body));
    let both: [&[u8]; 2] = [&own, &sub];
    let back = signature(&alice.primary, &alice.body, 0x19, &[], &both);
    let of_mallory = signature(&mallory.primary, &mallory.body, 0x19, &[], &both);
    let elsewhere = signature(&alice.primary, &alice.body, 0x19, &[], &[&sub, &own]);
    let wrong_kind = signature(&alice.primary, &alice.body, 0x18, &[], &both);
    let flags = subpacket(27, &SIGN);
    let bound = |more: &[Vec<u8>]| {
        let binding = mallory.signed(0x18, more, &both);
        [mallory.ring(&[]), packet(14, &alice.body), binding].concat()
    };
    let made = alice.over_payload(&[]);
    let with = |embedded: &[u8]| bound(&[flags.clone(), subpacket(32, embedded)]);
    assert_eq!(verdict(&with(&back), &made), Ok(()));
    for ring in [
        bound(std::slice::from_ref(&flags)),
        with(&of_mallory),
        with(&elsewhere),
        with(&wrong_kind),
        with(b""),
        bound(&[subpacket(32, &back)]), // without the right to sign
        bound(&[subpacket(27, &[4]), subpacket(32, &back)]),
        [mallory.ring(&[]), packet(14, &alice.body)].concat(),
    ] {
        assert_eq!(verdict(&ring, &made), Err(Fault::UnknownKey));
    }
    // Taken back by mallory; by somebody else, which counts for nothing.
    let mut ring = with(&back);
    ring.extend(Crafted::new(3, 22).signed(0x28, &[], &both));
    assert_eq!(verdict(&ring, &made), Ok(()));
    ring.extend(mallory.signed(0x28, &[], &both));
    assert_eq!(verdict(&ring, &made), Err(Fault::Revoked));
}

#[test]
fn revocations() {
    let key = Crafted::new(1, 22);
    let stranger = Crafted::new(2, 22);
    let own = framed(&key.body);
    let made = key.over_payload(&[]);
    let with = |revocation: &[u8], more: &[Vec<u8>]| {
        let ring = key.ring(more);
        let (first, rest) = ring.split_at(packet(6, &key.body).len());
        [first, revocation, rest].concat()
    };
    let by_stranger = stranger.signed(0x20, &[], &[&own]);
    assert_eq!(
        verdict(&with(&key.signed(0x20, &[], &[&own]), &[]), &made),
        Err(Fault::Revoked)
    );
    assert_eq!(verdict(&with(&by_stranger, &[]), &made), Ok(()));
    // The key names somebody who may revoke it.
    let revoker = [subpacket(12, &[0x80; 22])];
    assert_eq!(
        verdict(&with(&by_stranger, &revoker), &made),
        Err(Fault::Revoked)
    );
    assert_eq!(verdict(&key.ring(&revoker), &made), Ok(()));
    // One with a hash that can be forged, or of an old version, is not read; it may be real.
    for (at, value) in [(3, 2), (0, 3)] {
        let mut odd = signature(&key.primary, &key.body, 0x20, &[], &[&own]);
        odd[at] = value;
        if value == 3 {
            odd[2] = 0x20;
        }
        assert_eq!(
            verdict(&with(&packet(2, &odd), &[]), &made),
            Err(Fault::Revoked),
            "{at}"
        );
    }
    // A word that ends vouches for nothing.
    let ends = [subpacket(3, &u32::MAX.to_be_bytes())];
    assert_eq!(verdict(&key.ring(&ends), &made), Err(Fault::UnknownKey));
    // A user id that was taken back names nobody, and vouches for nothing.
    let name = format!("Mallory <{MAIL}>");
    let taken_back = key.signed(0x30, &[], &[&own, &user(&name)]);
    assert_eq!(
        verdict(&[key.ring(&[]), taken_back].concat(), &made),
        Err(Fault::UnknownKey)
    );
}
