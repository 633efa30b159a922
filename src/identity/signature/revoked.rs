//! Revoked keys: a list of keys, or a KRL of `ssh-keygen -k` (PROTOCOL.krl of OpenSSH).

use data_encoding::BASE64_NOPAD;
use sha2::{Digest as _, Sha256};

use super::ssh::{self, Certificate};
use super::wire::Wire;
use crate::push::HashKind;

/// What may sign no more.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Plain keys. One that is an authority takes all of its certificates with it.
    keys: Vec<Vec<u8>>,
    sha1: Vec<Vec<u8>>,
    sha256: Vec<Vec<u8>>,
    certificates: Vec<OfAuthority>,
}

/// Revoked certificates of one authority; without a key, of every one.
#[derive(Debug, Default)]
struct OfAuthority {
    authority: Vec<u8>,
    /// First and last.
    serials: Vec<(u64, u64)>,
    /// The serial of the last bit, and bits: the last is the lowest.
    bitmaps: Vec<(u64, Vec<u8>)>,
    key_ids: Vec<Vec<u8>>,
}

const MAGIC: &[u8] = b"SSHKRL\n\0";

impl Revoked {
    /// Reads either form. A line or section that cannot be read makes the whole unusable: it may be the one that counts.
    pub(super) fn read(text: &[u8]) -> Result<Revoked, String> {
        match text.strip_prefix(MAGIC) {
            Some(krl) => read_krl(krl).ok_or_else(|| "it is not a KRL that can be read".to_owned()),
            None => read_list(text),
        }
    }

    /// Whether a key, or a certificate, its key or its authority, is revoked.
    pub(super) fn has(&self, signer: &[u8]) -> bool {
        let Some(certificate) = Certificate::parse(signer) else {
            return self.has_key(signer);
        };
        self.has_key(&certificate.key())
            || self.has_key(certificate.authority)
            || self.certificates.iter().any(|of| {
                let ours = of.authority.is_empty() || of.authority == certificate.authority;
                ours && (of.has_serial(certificate.serial)
                    || of.key_ids.iter().any(|id| id == certificate.key_id))
            })
    }

    fn has_key(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|revoked| revoked == key)
            || (!self.sha256.is_empty()
                && (self.sha256.iter()).any(|print| **print == Sha256::digest(key)[..]))
            || (!self.sha1.is_empty() && sha1(key).is_none_or(|own| self.sha1.contains(&own)))
    }
}

impl OfAuthority {
    fn has_serial(&self, serial: u64) -> bool {
        let in_range = |(first, last): &(u64, u64)| (*first..=*last).contains(&serial);
        let in_bitmap = |(first, bits): &(u64, Vec<u8>)| {
            let bit = serial.checked_sub(*first);
            bit.and_then(|bit| usize::try_from(bit / 8).ok())
                .and_then(|place| bits.iter().rev().nth(place))
                .is_some_and(|byte| byte & (1 << ((serial - first) % 8)) != 0)
        };
        // Zero is what an authority writes that gives no serials.
        serial != 0 && (self.serials.iter().any(in_range) || self.bitmaps.iter().any(in_bitmap))
    }
}

/// `None`: the key was made to have the same hash as another.
pub(super) fn sha1(data: &[u8]) -> Option<Vec<u8>> {
    let mut hasher = gix_hash::hasher(HashKind::Sha1);
    hasher.update(data);
    hasher.try_finalize().ok().map(|id| id.as_slice().to_vec())
}

/// A key, or the fingerprint of one, a line.
fn read_list(text: &[u8]) -> Result<Revoked, String> {
    let mut revoked = Revoked::default();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let unreadable = || format!("line {number} is no key");
        if let Some(print) = line.strip_prefix(b"SHA256:") {
            let end = print.iter().position(u8::is_ascii_whitespace);
            let print = &print[..end.unwrap_or(print.len())];
            let print = BASE64_NOPAD.decode(print).map_err(|_| unreadable())?;
            revoked.sha256.push(print);
            continue;
        }
        let key = ssh::read_key(line).ok_or_else(unreadable)?;
        revoked.keys.push(match Certificate::parse(&key) {
            Some(certificate) => certificate.key(),
            None => key,
        });
    }
    Ok(revoked)
}

fn read_krl(krl: &[u8]) -> Option<Revoked> {
    let mut revoked = Revoked::default();
    let mut wire = Wire(krl);
    if wire.number()? != 1 {
        return None;
    }
    wire.take(3 * 8)?; // version, date, flags
    wire.string()?; // reserved
    wire.string()?; // comment
    while !wire.is_empty() {
        let section = wire.byte()?;
        let mut content = Wire(wire.string()?);
        match section {
            1 => revoked.certificates.push(certificates(content)?),
            2 | 3 | 5 => {
                let list = match section {
                    2 => &mut revoked.keys,
                    3 => &mut revoked.sha1,
                    _ => &mut revoked.sha256,
                };
                while !content.is_empty() {
                    list.push(content.string()?.to_vec());
                }
            }
            4 => {} // a signature over the list, by which nobody here tells its maker
            255 => optional(&mut content)?,
            _ => return None,
        }
    }
    Some(revoked)
}

/// An extension. One that says that it must be understood is not.
fn optional(content: &mut Wire<'_>) -> Option<()> {
    content.string()?;
    let critical = content.byte()?;
    content.string()?;
    (critical == 0).then_some(())
}

fn certificates(mut section: Wire<'_>) -> Option<OfAuthority> {
    let mut of = OfAuthority {
        authority: section.string()?.to_vec(),
        ..OfAuthority::default()
    };
    section.string()?; // reserved
    while !section.is_empty() {
        let kind = section.byte()?;
        let mut content = Wire(section.string()?);
        match kind {
            0x20 => {
                while !content.is_empty() {
                    let serial = content.long()?;
                    of.serials.push((serial, serial));
                }
            }
            0x21 => of.serials.push((content.long()?, content.long()?)),
            0x22 => {
                let first = content.long()?;
                of.bitmaps.push((first, content.string()?.to_vec()));
            }
            0x23 => {
                while !content.is_empty() {
                    of.key_ids.push(content.string()?.to_vec());
                }
            }
            0x39 => optional(&mut content)?,
            _ => return None,
        }
        if !content.is_empty() {
            return None;
        }
    }
    Some(of)
}
