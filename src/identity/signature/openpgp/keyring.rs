//! Public keys of a file, each with what its own signatures say of it.

use super::super::crypto;
use super::super::revoked::sha1;
use super::super::wire::Wire;
use super::packet::{self, Packet, Packets, Signature, dearmored};

const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";

/// A key that may sign: a primary key or a subkey.
#[derive(Debug)]
pub(in super::super) struct Key {
    material: crypto::Key,
    pub(in super::super) fingerprint: Vec<u8>,
    /// Of the primary key, when this is a subkey.
    pub(in super::super) primary: Vec<u8>,
    /// The user ids that the primary key vouches for.
    pub(in super::super) users: Vec<Vec<u8>>,
    /// Seconds since 1970.
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(in super::super) revoked: bool,
}

impl Key {
    pub(super) fn made(&self, signature: &Signature<'_>, payload: &[&[u8]]) -> bool {
        signature.holds(&self.material, payload)
    }

    /// Whether one of its user ids is this one, or has this mail address.
    pub(in super::super) fn is_of(&self, name: &str) -> bool {
        self.users.iter().any(|user| {
            let mail = user
                .strip_suffix(b">")
                .and_then(|rest| rest.rsplit(|byte| *byte == b'<').next());
            user.eq_ignore_ascii_case(name.as_bytes())
                || mail.is_some_and(|mail| mail.eq_ignore_ascii_case(name.as_bytes()))
        })
    }
}

/// The keys of a file that may sign.
#[derive(Debug, Default)]
pub(in super::super) struct Keyring {
    keys: Vec<Key>,
    /// Primary keys of which nothing can be used.
    pub(in super::super) unusable: usize,
}

/// One packet of a key and the signatures behind it.
struct Part<'a> {
    tag: u8,
    body: &'a [u8],
    signatures: Vec<Signature<'a>>,
    /// It has a revocation that cannot be read.
    taken_back: bool,
}

/// Whether a signature may vouch for something: one that ends would have to be asked again at each push.
fn lasts(signature: &&Signature<'_>) -> bool {
    signature.expires_after.is_none()
}

impl Keyring {
    /// Reads armoured blocks, or packets as they are.
    pub(in super::super) fn read(file: &[u8]) -> Result<Keyring, String> {
        let mut ring = Keyring::default();
        if file.first().is_some_and(|first| first & 0x80 != 0) {
            ring.packets(file)?;
            return Ok(ring);
        }
        if file.trim_ascii().is_empty() {
            return Ok(ring); // nobody's keys
        }
        let mut rest = file;
        let mut blocks = 0;
        while let Some(start) = memchr::memmem::find(rest, BEGIN) {
            let block = &rest[start..];
            let end =
                memchr::memmem::find(block, END).ok_or("an armoured block has no end")? + END.len();
            let blob =
                dearmored(&block[..end], BEGIN, END).ok_or("an armoured block cannot be read")?;
            ring.packets(&blob)?;
            rest = &block[end..];
            blocks += 1;
        }
        match blocks {
            0 => Err("it holds no OpenPGP key".to_owned()),
            _ => Ok(ring),
        }
    }

    fn packets(&mut self, blob: &[u8]) -> Result<(), String> {
        let mut packets = Packets(blob);
        let mut parts: Vec<Part<'_>> = Vec::new();
        for Packet { tag, body } in &mut packets {
            match tag {
                packet::SECRET_KEY | packet::SECRET_SUBKEY => {
                    return Err(
                        "it holds a secret key, which has no place on this server".to_owned()
                    );
                }
                packet::PUBLIC_KEY => {
                    self.key(&parts);
                    parts.clear();
                }
                packet::SIGNATURE => {
                    let Some(part) = parts.last_mut() else {
                        continue;
                    };
                    match Signature::parse(body) {
                        Ok(signature) => part.signatures.push(signature),
                        // One that cannot be read vouches for nothing, but it may take something back.
                        Err(_) => part.taken_back |= packet::may_revoke(body),
                    }
                    continue;
                }
                packet::USER_ID | packet::PUBLIC_SUBKEY | packet::USER_ATTRIBUTE => {}
                _ => continue, // trust, markers: not from the owner of the key
            }
            parts.push(Part {
                tag,
                body,
                signatures: Vec::new(),
                taken_back: false,
            });
        }
        self.key(&parts);
        match packets.0.is_empty() {
            true => Ok(()),
            false => Err("a packet of it cannot be read".to_owned()),
        }
    }

    /// Takes in one primary key with its user ids and subkeys.
    fn key(&mut self, parts: &[Part<'_>]) {
        let Some(first) = parts.first() else {
            return;
        };
        let before = self.keys.len();
        if first.tag == packet::PUBLIC_KEY {
            let _ = self.take(first, parts);
        }
        if self.keys.len() == before {
            self.unusable += 1;
        }
    }

    fn take(&mut self, first: &Part<'_>, parts: &[Part<'_>]) -> Option<()> {
        let primary = Body::parse(first.body)?;
        let own = framed(0x99, first.body)?;
        let mut users = Vec::new();
        // What the key says of itself.
        let mut words: Vec<&Signature<'_>> = Vec::new();
        words.extend(first.signatures.iter().filter(lasts).filter(|signature| {
            signature.kind == packet::DIRECT_KEY && signature.holds(&primary.material, &[&own])
        }));
        for part in parts.iter().filter(|part| part.tag == packet::USER_ID) {
            let mut user = vec![0xb4];
            user.extend(u32::try_from(part.body.len()).ok()?.to_be_bytes());
            user.extend_from_slice(part.body);
            let ours =
                |signature: &&Signature<'_>| signature.holds(&primary.material, &[&own, &user]);
            let mut own_words = part
                .signatures
                .iter()
                .filter(|signature| matches!(signature.kind, 0x10..=0x13))
                .filter(lasts)
                .filter(ours)
                .peekable();
            let revoked = part
                .signatures
                .iter()
                .filter(|signature| signature.kind == packet::USER_REVOCATION)
                .any(|signature| ours(&signature));
            if own_words.peek().is_none() || revoked || part.taken_back {
                continue;
            }
            users.push(part.body.to_vec());
            words.extend(own_words);
        }
        let word = words.iter().max_by_key(|word| word.created)?;
        let has_revoker = words.iter().any(|word| word.has_revoker);
        // A revocation by somebody whom the key names cannot be checked here: it holds.
        let revoked = first.taken_back
            || first.signatures.iter().any(|signature| {
                signature.kind == packet::KEY_REVOCATION
                    && (has_revoker || signature.holds(&primary.material, &[&own]))
            });
        let expiry = |created: i64, word: &Signature<'_>| {
            word.key_expires_after.map(|after| created + after)
        };
        let expires = expiry(primary.created, word);
        if word.flags.is_none_or(|flags| flags & packet::MAY_SIGN != 0) {
            self.keys.push(Key {
                material: primary.material.clone(),
                fingerprint: primary.fingerprint.clone(),
                primary: primary.fingerprint.clone(),
                users: users.clone(),
                created: primary.created,
                expires,
                revoked,
            });
        }
        for part in parts
            .iter()
            .filter(|part| part.tag == packet::PUBLIC_SUBKEY)
        {
            let (Some(subkey), Some(framed)) = (Body::parse(part.body), framed(0x99, part.body))
            else {
                continue; // for encryption, or of a kind that is not taken
            };
            let ours = |kind: u8| {
                let (own, framed) = (&own, &framed);
                let material = &primary.material;
                part.signatures.iter().filter(move |signature| {
                    signature.kind == kind && signature.holds(material, &[own, framed])
                })
            };
            let bindings = ours(packet::SUBKEY_BINDING).filter(lasts);
            let Some(word) = bindings.max_by_key(|word| word.created) else {
                continue;
            };
            let may_sign = word
                .flags
                .is_some_and(|flags| flags & packet::MAY_SIGN != 0);
            // Without it anybody could take somebody else's subkey for his own.
            let agrees = word.embedded.iter().any(|embedded| {
                Signature::parse(embedded).is_ok_and(|back| {
                    back.kind == packet::PRIMARY_BINDING
                        && back.holds(&subkey.material, &[&own, &framed])
                })
            });
            if !(may_sign && agrees) {
                continue;
            }
            let own_end = expiry(subkey.created, word);
            self.keys.push(Key {
                revoked: revoked
                    || part.taken_back
                    || ours(packet::SUBKEY_REVOCATION).next().is_some(),
                material: subkey.material,
                fingerprint: subkey.fingerprint,
                primary: primary.fingerprint.clone(),
                users: users.clone(),
                created: subkey.created,
                expires: [expires, own_end].into_iter().flatten().min(),
            });
        }
        Some(())
    }

    /// The key that a signature names as its maker.
    pub(super) fn find(&self, signature: &Signature<'_>) -> Option<&Key> {
        self.keys.iter().find(|key| {
            let named = |issuer: &&[u8]| issuer.len() >= 8 && key.fingerprint.ends_with(issuer);
            signature.issuers.iter().any(named)
        })
    }

    pub(in super::super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// What a key packet says.
struct Body {
    material: crypto::Key,
    fingerprint: Vec<u8>,
    created: i64,
}

impl Body {
    fn parse(body: &[u8]) -> Option<Body> {
        let mut wire = Wire(body);
        if wire.byte()? != 4 {
            return None;
        }
        let created = i64::from(wire.number()?);
        let algorithm = wire.byte()?;
        Some(Body {
            material: packet::material(algorithm, &mut wire)?,
            fingerprint: sha1(&framed(0x99, body)?)?,
            created,
        })
    }
}

/// A key packet as signatures cover it.
fn framed(first: u8, body: &[u8]) -> Option<Vec<u8>> {
    let mut framed = vec![first];
    framed.extend(u16::try_from(body.len()).ok()?.to_be_bytes());
    framed.extend_from_slice(body);
    Some(framed)
}
