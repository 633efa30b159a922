//! Key containers that are not DER: OpenSSH, SSH.com, OpenPGP, PuTTY, Java key stores, minisign, libgcrypt.

use std::ops::Range;

use sha2::{Digest, Sha512};

use super::Judgement;
use super::material::{Content, take, take_string, take_u16, take_u32};
use crate::scan::decode::from_base64;

/// `openssh-key-v1`: cipher, KDF, public keys, then the private ones in a blob of their own.
pub(super) fn openssh(bytes: &[u8]) -> Content<'_> {
    let Some(mut rest) = bytes.strip_prefix(b"openssh-key-v1\0") else {
        return Content::Broken;
    };
    let head = |rest: &mut &[u8]| -> Option<(bool, usize)> {
        let plain = take_string(rest)? == b"none";
        take_string(rest)?;
        take_string(rest)?;
        let count = take_u32(rest)?;
        (1..=16).contains(&count).then_some(())?;
        for _ in 0..count {
            take_string(rest)?;
        }
        Some((plain, usize::try_from(take_u32(rest)?).ok()?))
    };
    let Some((plain, length)) = head(&mut rest) else {
        return match bytes.len() >= 64 {
            true => Content::Cut,
            false => Content::Broken,
        };
    };
    let Some(private) = rest.get(..length).filter(|_| length >= 32) else {
        return match rest.len() * 3 >= length * 2 && length >= 32 {
            true => Content::Cut,
            false => Content::Broken,
        };
    };
    if !plain {
        return Content::Encrypted;
    }
    openssh_secret(private).map_or(Content::Broken, Content::Plain)
}

/// Two equal check numbers, the kind of key, its numbers.
fn openssh_secret(mut rest: &[u8]) -> Option<&[u8]> {
    let check = take_u32(&mut rest)?;
    if take_u32(&mut rest)? != check {
        return None;
    }
    let kind = take_string(&mut rest)?;
    let mut skip = |count: usize| -> Option<()> {
        (0..count).try_for_each(|_| take_string(&mut rest).map(|_| ()))
    };
    match kind {
        b"ssh-ed25519" | b"sk-ssh-ed25519@openssh.com" => {
            skip(1)?;
            let pair = take_string(&mut rest)?;
            // On a security key only a handle is here.
            if kind[1] == b'k' {
                return (!pair.is_empty()).then_some(pair);
            }
            (pair.len() == 64).then(|| &pair[..32])
        }
        b"ssh-rsa" => {
            skip(2)?;
            let d = take_string(&mut rest)?;
            (d.len() >= 48).then_some(d)
        }
        b"ssh-dss" => {
            skip(4)?;
            take_string(&mut rest)
        }
        [b'e', b'c', b'd', b's', b'a', b'-', ..] => {
            skip(2)?;
            let scalar = take_string(&mut rest)?;
            (scalar.len() <= 67).then_some(scalar)
        }
        // XMSS, and what comes after it.
        [b's', b's', b'h', b'-', ..] => (rest.len() >= 32).then_some(rest),
        _ => None,
    }
}

/// The format of SSH.com: magic, length, kind, cipher, data.
pub(super) fn ssh_com(bytes: &[u8]) -> Content<'_> {
    let Some(mut rest) = bytes.strip_prefix(b"\x3f\x6f\xf9\xeb") else {
        return Content::Broken;
    };
    let mut read = || -> Option<(usize, &[u8], &[u8])> {
        let total = usize::try_from(take_u32(&mut rest)?).ok()?;
        take_string(&mut rest)?;
        let cipher = take_string(&mut rest)?;
        Some((total, cipher, take_string(&mut rest)?))
    };
    match read() {
        Some((total, b"none", data)) if total == bytes.len() && data.len() >= 32 => {
            Content::Plain(data)
        }
        Some((_, _, data)) if data.len() >= 32 => Content::Encrypted,
        Some(_) => Content::Broken,
        None if bytes.len() >= 64 => Content::Cut,
        None => Content::Broken,
    }
}

/// OpenPGP packets: the worst that any secret key packet holds.
pub(super) fn openpgp(bytes: &[u8]) -> Content<'_> {
    let mut rest = bytes;
    let mut found = Content::Broken;
    while let Some((tag, length)) = packet(&mut rest) {
        let body = &rest[..length.min(rest.len())];
        let cut = length > rest.len();
        if matches!(tag, 5 | 7) {
            match secret_packet(body) {
                Some(plain @ Content::Plain(_)) if !cut => return plain,
                Some(Content::Plain(_)) => found = Content::Cut,
                Some(Content::Encrypted) => found = Content::Encrypted,
                Some(Content::Public) if found == Content::Broken => found = Content::Public,
                None if cut && body.len() >= 32 => found = Content::Cut,
                _ => {}
            }
        } else if found == Content::Broken {
            // A block of private keys starts with one.
            return found;
        }
        rest = &rest[body.len()..];
    }
    found
}

/// Tag and length of a packet, in the old or the new form.
fn packet(rest: &mut &[u8]) -> Option<(u8, usize)> {
    let head = *take(rest, 1)?.first()?;
    let byte = |rest: &mut &[u8]| take(rest, 1).map(|one| usize::from(one[0]));
    let (tag, length) = match head {
        0xc0.. => {
            let length = match byte(rest)? {
                short @ 0..=191 => short,
                high @ 192..=223 => ((high - 192) << 8) + byte(rest)? + 192,
                255 => usize::try_from(take_u32(rest)?).ok()?,
                // Partial lengths are not for keys.
                _ => return None,
            };
            (head & 0x3f, length)
        }
        0x80.. => {
            let length = match head & 3 {
                0 => byte(rest)?,
                1 => usize::from(take_u16(rest)?),
                2 => usize::try_from(take_u32(rest)?).ok()?,
                _ => return None,
            };
            (head >> 2 & 0xf, length)
        }
        _ => return None,
    };
    (length > 0).then_some((tag, length))
}

/// Over the public numbers to the byte that says how the secret ones are protected.
fn secret_packet(body: &[u8]) -> Option<Content<'_>> {
    let mut rest = body;
    let version = take(&mut rest, 1)?[0];
    take(&mut rest, 4)?;
    match version {
        3 => {
            take(&mut rest, 2)?;
        }
        4..=6 => {}
        _ => return None,
    }
    let algorithm = take(&mut rest, 1)?[0];
    let number = |rest: &mut &[u8]| -> Option<()> {
        let bits = usize::from(take_u16(rest)?);
        take(rest, bits.div_ceil(8)).map(|_| ())
    };
    let short = |rest: &mut &[u8]| -> Option<()> {
        let length = usize::from(take(rest, 1)?[0]);
        take(rest, length).map(|_| ())
    };
    if version >= 5 {
        let length = usize::try_from(take_u32(&mut rest)?).ok()?;
        take(&mut rest, length)?;
    } else {
        match algorithm {
            1..=3 => (0..2).try_for_each(|_| number(&mut rest))?,
            16 => (0..3).try_for_each(|_| number(&mut rest))?,
            17 => (0..4).try_for_each(|_| number(&mut rest))?,
            18 => {
                short(&mut rest)?;
                number(&mut rest)?;
                short(&mut rest)?;
            }
            19 | 22 => {
                short(&mut rest)?;
                number(&mut rest)?;
            }
            25 | 27 => {
                take(&mut rest, 32)?;
            }
            26 => {
                take(&mut rest, 56)?;
            }
            28 => {
                take(&mut rest, 57)?;
            }
            _ => return None,
        }
    }
    let usage = take(&mut rest, 1)?[0];
    match usage {
        0 => {
            if version == 5 {
                take_u32(&mut rest)?;
            }
            let secret = match algorithm {
                25..=28 => rest,
                // The first secret number, behind its length in bits.
                _ => {
                    let bits = usize::from(take_u16(&mut rest)?);
                    take(&mut rest, bits.div_ceil(8))?
                }
            };
            (secret.len() >= 16).then_some(Content::Plain(secret))
        }
        253..=255 => {
            if version >= 5 {
                take(&mut rest, 1)?;
            }
            if version == 6 {
                take(&mut rest, 1)?;
            }
            // Cipher, then the kind of S2K: 101 is GnuPG's mark for a secret that is not here.
            match rest {
                [_, 101, ..] => Some(Content::Public),
                [_, _, ..] if rest.len() >= 16 => Some(Content::Encrypted),
                _ => None,
            }
        }
        1..=252 => (rest.len() >= 16).then_some(Content::Encrypted),
    }
}

/// A Java key store: JKS or JCEKS. Private keys in it are under a password that is often `changeit`.
pub(super) fn java_keystore(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    const STORE_MAX_BYTES: usize = 256 << 10;
    const SHOWN_BYTES: usize = 4 << 10;
    const ENTRIES_MAX: u32 = 512;
    let to = (value.start + STORE_MAX_BYTES).min(text.len());
    let bytes = &text[value.start..to];
    let mut rest = bytes.get(4..).unwrap_or_default();
    let mut private = false;
    let mut read = || -> Option<bool> {
        let version = take_u32(&mut rest)?;
        let count = take_u32(&mut rest)?;
        (matches!(version, 1 | 2) && (1..=ENTRIES_MAX).contains(&count)).then_some(())?;
        let short = |rest: &mut &[u8]| {
            let length = usize::from(take_u16(rest)?);
            take(rest, length).map(|_| ())
        };
        let certificate = |rest: &mut &[u8]| {
            if version == 2 {
                short(rest)?;
            }
            take_string(rest).map(|_| ())
        };
        for _ in 0..count {
            let kind = take_u32(&mut rest)?;
            short(&mut rest)?;
            take(&mut rest, 8)?;
            match kind {
                1 => {
                    let key = take_string(&mut rest)?;
                    private |= key.len() >= 64 && key[0] == 0x30;
                    for _ in 0..take_u32(&mut rest)?.min(64) {
                        certificate(&mut rest)?;
                    }
                }
                2 => certificate(&mut rest)?,
                // A sealed object of Java's serialisation, which has no length before it.
                3 => {
                    private |= rest.starts_with(b"\xac\xed\0\x05");
                    return Some(false);
                }
                _ => return None,
            }
        }
        // The digest over all of it.
        take(&mut rest, 20).map(|_| true)
    };
    let whole = read();
    let length = (bytes.len() - rest.len()).min(SHOWN_BYTES);
    let judgement = match (private, whole) {
        (true, _) => Judgement::Plausible,
        _ => Judgement::Refuted,
    };
    (judgement, value.start..value.start + length.max(4))
}

/// The secret key of minisign or signify, base64: both start with `Ed`, the KDF comes next.
pub(super) fn signify(letters: &[u8]) -> Judgement {
    let padding = letters.iter().position(|byte| *byte == b'=');
    let key = from_base64(&letters[..padding.unwrap_or(letters.len())]);
    match (&key[..], key.len()) {
        // minisign: algorithm, KDF, checksum, salt, limits, key number, key, checksum of it.
        ([b'E', b'd', b'S', b'c', b'B', b'2', ..], 158) => Judgement::Plausible,
        ([b'E', b'd', 0, 0, b'B', b'2', ..], 158) => Content::Plain(&key[62..94]).judgement(),
        // signify: algorithm, KDF, rounds, salt, the first bytes of a SHA-512, key number, key.
        ([b'E', b'd', b'B', b'K', ..], 104) => {
            let secret = &key[40..];
            match key[4..8] == [0; 4] {
                true if Sha512::digest(secret)[..8] == key[24..32] => {
                    Content::Plain(&secret[..32]).judgement()
                }
                _ => Judgement::Plausible,
            }
        }
        _ => Judgement::Refuted,
    }
}

/// A key of libgcrypt as an S-expression. The value is its head: that it is private, protected or not, and its kind.
pub(super) fn s_expression(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    const EXPRESSION_MAX_BYTES: usize = 16 << 10;
    let to = (value.start + EXPRESSION_MAX_BYTES).min(text.len());
    let bytes = &text[value.start..to];
    let protected = memchr::memmem::find(&text[value.clone()], b"protected").is_some();
    // Of each list the name; the secret numbers are `d`, or `x`.
    let (mut at, mut depth, mut head) = (0, 0usize, false);
    let mut named: &[u8] = b"";
    let mut secret: Option<Vec<u8>> = None;
    let mut closed = false;
    while at < bytes.len() {
        let rest = &bytes[at..];
        // Its bytes, its length as written, and whether it is data: a word is none.
        let atom: Option<(Vec<u8>, usize, bool)> = match rest[0] {
            b'(' => {
                depth += 1;
                head = true;
                at += 1;
                continue;
            }
            b')' => {
                depth = depth.saturating_sub(1);
                at += 1;
                named = b"";
                if depth == 0 {
                    closed = true;
                    break;
                }
                continue;
            }
            b'#' => {
                let digits: Vec<u8> = rest[1..]
                    .iter()
                    .copied()
                    .take_while(|byte| *byte != b'#')
                    .collect();
                let length = digits.len() + 2;
                let mut digits: Vec<u8> =
                    digits.into_iter().filter(u8::is_ascii_hexdigit).collect();
                digits.truncate(digits.len() & !1);
                let number = data_encoding::HEXUPPER_PERMISSIVE.decode(&digits);
                Some((number.unwrap_or_default(), length, true))
            }
            b'"' => {
                // A short number that happens to be nearly text is written as a string; a backslash stands before a
                // quote in it.
                let mut length = 1;
                while rest.get(length).is_some_and(|byte| *byte != b'"') {
                    length += 1 + usize::from(rest[length] == b'\\');
                }
                let inner = rest.get(1..length).unwrap_or(&rest[1..]);
                Some((inner.to_vec(), length + 1, false))
            }
            digit if digit.is_ascii_digit() => {
                let digits = rest
                    .iter()
                    .take(5)
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                let length = std::str::from_utf8(&rest[..digits])
                    .ok()
                    .and_then(|digits| digits.parse::<usize>().ok())
                    .unwrap_or(0);
                match rest.get(digits) {
                    Some(b':') => {
                        let from = digits + 1;
                        let piece = rest.get(from..from + length).unwrap_or_default();
                        Some((piece.to_vec(), from + length.max(1), true))
                    }
                    _ => None,
                }
            }
            byte if byte.is_ascii_alphabetic() => {
                let word = |byte: &&u8| {
                    byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'_' | b'.')
                };
                let length = rest.iter().take_while(word).count();
                Some((rest[..length].to_vec(), length, false))
            }
            _ => None,
        };
        let Some((atom, length, data)) = atom else {
            at += 1;
            continue;
        };
        if head {
            head = false;
            named = match &atom[..] {
                b"d" | b"x" => b"d",
                b"protected" => b"protected",
                _ => b"",
            };
        } else if data && !named.is_empty() && atom.len() >= 16 && secret.is_none() {
            secret = Some(atom);
        }
        at += length.max(1);
    }
    let whole = value.start..value.start + at.min(bytes.len()) + usize::from(closed);
    let whole = whole.start..whole.end.min(text.len());
    let judgement = match secret {
        Some(_) if protected => Judgement::Plausible,
        Some(secret) if closed => Content::Plain(&secret).judgement(),
        Some(_) => Judgement::Plausible,
        None if protected && closed && whole.len() >= 100 => Judgement::Plausible,
        None => Judgement::Refuted,
    };
    (judgement, whole)
}
