//! A small strict reader of DER, and the private keys that are written in it: PKCS#1, PKCS#8, SEC1, DSA, PKCS#12.

use std::ops::Range;

use super::Judgement;
use super::material::{Content, is_product};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Longest structure that is followed in a binary file: more than an RSA key of 16,384 bits.
const KEY_MAX_BYTES: usize = 16 << 10;
/// Most of a PKCS#12 file that is looked at: a key with a long chain.
const STORE_MAX_BYTES: usize = 256 << 10;

/// Elements one after another. Definite lengths in their shortest form, nothing else.
#[derive(Clone, Copy)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn of(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    /// Tag and content of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, start, length) = header(self.rest)?;
        let content = self.rest.get(start..start + length)?;
        self.rest = &self.rest[start + length..];
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.next()?;
        (found == tag).then_some(content)
    }

    /// A number that is not negative, without its sign byte.
    fn number(&mut self) -> Option<&'a [u8]> {
        match self.expect(INTEGER)? {
            [] => None,
            [0, rest @ ..] if rest.first().is_none_or(|byte| *byte >= 0x80) => Some(rest),
            [0, ..] | [0x80..=0xff, ..] => None,
            number => Some(number),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Tag, length of the header, length of the content.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (tag, rest) = bytes.split_first()?;
    let (start, length) = match rest {
        [length @ 0..=0x7f, ..] => (2, usize::from(*length)),
        [0x81, length @ 0x80..=0xff, ..] => (3, usize::from(*length)),
        [0x82, high @ 1..=0xff, low, ..] => (4, usize::from(*high) << 8 | usize::from(*low)),
        [0x83, top @ 1..=0xff, high, low, ..] => (
            5,
            usize::from(*top) << 16 | usize::from(*high) << 8 | usize::from(*low),
        ),
        _ => return None,
    };
    Some((*tag, start, length))
}

/// Length of the sequence that the bytes start with, header included, whether all of it is there or not.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    match header(bytes)? {
        (SEQUENCE, start, length) => Some(start + length),
        _ => None,
    }
}

/// What a private key in DER at the start of the bytes holds. What follows it is not looked at.
pub(super) fn private_key(bytes: &[u8]) -> Content<'_> {
    let Some(total) = length(bytes) else {
        return Content::Broken;
    };
    let Some(whole) = bytes.get(..total) else {
        // Most of it must be there: the head alone says nothing that is secret.
        return match total <= bytes.len() + bytes.len() / 2 {
            true => Content::Cut,
            false => Content::Broken,
        };
    };
    let Some(content) = Reader::of(whole).expect(SEQUENCE) else {
        return Content::Broken;
    };
    let fields = Reader::of(content);
    if encrypted(fields).is_some() {
        return Content::Encrypted;
    }
    let secret = pkcs8(fields)
        .or_else(|| rsa(fields))
        .or_else(|| dsa(fields))
        .or_else(|| sec1(fields, None));
    secret.map_or(Content::Broken, Content::Plain)
}

/// `EncryptedPrivateKeyInfo` of PKCS#8: how, and the ciphertext.
fn encrypted(mut fields: Reader<'_>) -> Option<()> {
    let mut how = Reader::of(fields.expect(SEQUENCE)?);
    let id = how.expect(OBJECT_ID)?;
    let text = fields.expect(OCTET_STRING)?;
    // The schemes of PKCS#5 and of PKCS#12.
    let known = id.starts_with(b"\x2a\x86\x48\x86\xf7\x0d\x01\x05")
        || id.starts_with(b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01");
    (known && text.len() >= 32 && fields.is_empty()).then_some(())
}

/// `PrivateKeyInfo`: version, algorithm, the key of that algorithm in an octet string.
fn pkcs8(mut fields: Reader<'_>) -> Option<&[u8]> {
    let version = fields.expect(INTEGER)?;
    if !matches!(version, [0 | 1]) {
        return None;
    }
    let mut algorithm = Reader::of(fields.expect(SEQUENCE)?);
    let id = algorithm.expect(OBJECT_ID)?;
    let key = fields.expect(OCTET_STRING)?;
    // Attributes, and in the second version the public key.
    while !fields.is_empty() {
        if !matches!(fields.next()?.0, 0xa0 | 0x80 | 0x81 | 0xa1) {
            return None;
        }
    }
    let inner = || Reader::of(key).expect(SEQUENCE).map(Reader::of);
    match id {
        // rsaEncryption, RSASSA-PSS.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" => {
            rsa(inner()?)
        }
        // id-ecPublicKey, with the curve as its parameter.
        b"\x2a\x86\x48\xce\x3d\x02\x01" => sec1(inner()?, algorithm.next()),
        // id-dsa, and Diffie-Hellman in its two forms.
        b"\x2a\x86\x48\xce\x38\x04\x01"
        | b"\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01"
        | b"\x2a\x86\x48\xce\x3e\x02\x01" => {
            algorithm.expect(SEQUENCE)?;
            Reader::of(key).number()
        }
        // X25519, X448, Ed25519, Ed448.
        [0x2b, 0x65, kind @ 0x6e..=0x71] => {
            let seed = Reader::of(key).expect(OCTET_STRING)?;
            let size = match kind {
                0x6f => 56,
                0x71 => 57,
                _ => 32,
            };
            (seed.len() == size).then_some(seed)
        }
        // ML-DSA, SLH-DSA, ML-KEM.
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 3 | 4, _] => (key.len() >= 32).then_some(key),
        // GOST.
        [0x2a, 0x85, 0x03, ..] => (key.len() >= 32).then_some(key),
        _ => None,
    }
}

/// `RSAPrivateKey` of PKCS#1: the private exponent, if the factors are those of the modulus.
fn rsa(mut fields: Reader<'_>) -> Option<&[u8]> {
    let version = fields.expect(INTEGER)?;
    if !matches!(version, [0 | 1]) {
        return None;
    }
    let [n, e, d, p, q, dp, dq, coefficient] = [(); 8].map(|()| fields.number());
    let (n, e, d, p, q) = (n?, e?, d?, p?, q?);
    let more = match version {
        // More than two factors.
        [1] => fields.expect(SEQUENCE).is_some() && fields.is_empty(),
        _ => fields.is_empty() && is_product(p, q, n),
    };
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let fits = n.len() >= 48
        && odd(n)
        && odd(e)
        && e.len() <= n.len()
        && d.len() <= n.len()
        && dp?.len() <= p.len()
        && dq?.len() <= q.len()
        && coefficient?.len() <= p.len();
    (more && fits).then_some(d)
}

/// The old form of OpenSSL: version, p, q, g, y, x.
fn dsa(mut fields: Reader<'_>) -> Option<&[u8]> {
    if fields.expect(INTEGER)? != [0] {
        return None;
    }
    let [p, q, g, y, x] = [(); 5].map(|()| fields.number());
    let (p, q, g, y, x) = (p?, q?, g?, y?, x?);
    let fits = p.len() >= 64
        && matches!(q.len(), 20 | 28 | 32)
        && g.len() <= p.len()
        && y.len() <= p.len()
        && x.len() <= q.len();
    (fits && fields.is_empty()).then_some(x)
}

/// Bytes of a scalar of the curve. `None`: a curve that is not known.
fn curve_bytes(id: &[u8]) -> Option<usize> {
    Some(match id {
        // P-192, P-224, P-256, P-384, P-521, secp256k1.
        b"\x2a\x86\x48\xce\x3d\x03\x01\x01" => 24,
        b"\x2b\x81\x04\x00\x21" => 28,
        b"\x2a\x86\x48\xce\x3d\x03\x01\x07" | b"\x2b\x81\x04\x00\x0a" => 32,
        b"\x2b\x81\x04\x00\x22" => 48,
        b"\x2b\x81\x04\x00\x23" => 66,
        // Brainpool.
        [0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7 | 8] => 32,
        [0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11 | 12] => 48,
        [0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13 | 14] => 64,
        // SM2.
        b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d" => 32,
        _ => return None,
    })
}

/// `ECPrivateKey` of SEC1. The curve stands in it, or around it in PKCS#8, or both.
fn sec1<'a>(mut fields: Reader<'a>, around: Option<(u8, &'a [u8])>) -> Option<&'a [u8]> {
    if fields.expect(INTEGER)? != [1] {
        return None;
    }
    let scalar = fields.expect(OCTET_STRING)?;
    let mut curve = around;
    if fields.peek() == Some(0xa0) {
        curve = Reader::of(fields.expect(0xa0)?).next();
    }
    let mut public = None;
    if fields.peek() == Some(0xa1) {
        public = Some(Reader::of(fields.expect(0xa1)?).expect(BIT_STRING)?);
    }
    let known = match curve? {
        (OBJECT_ID, id) => curve_bytes(id),
        // The parameters of the curve themselves.
        (SEQUENCE, _) => None,
        _ => return None,
    };
    let size = known.unwrap_or(scalar.len());
    let public_fits = public.is_none_or(|public| match public {
        [0, 4, point @ ..] => point.len() == 2 * size,
        [0, 2 | 3, x @ ..] => x.len() == size,
        _ => false,
    });
    // Some writers leave leading zeros of the scalar out.
    let fits = scalar.len() <= size && scalar.len() + 4 >= size && (14..=72).contains(&size);
    (fits && public_fits && fields.is_empty()).then_some(scalar)
}

/// A private key as bytes in a binary file. The value is what its first bytes looked like.
pub(super) fn in_binary(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let to = (value.start + KEY_MAX_BYTES).min(text.len());
    let bytes = &text[value.start..to];
    let whole = value.start..value.start + length(bytes).unwrap_or(0).min(bytes.len());
    match private_key(bytes) {
        // Half a key among other bytes is more often no key.
        Content::Cut | Content::Broken => (Judgement::Refuted, value),
        content => (content.judgement(), whole),
    }
}

/// A PKCS#12 file. Version 3 and the kind of its content have been seen by the pattern.
pub(super) fn pkcs12(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    let to = (value.start + STORE_MAX_BYTES).min(text.len());
    let bytes = &text[value.start..to];
    // An indefinite length, as old Windows writes it, has no end that one could jump to.
    let total = match bytes {
        [SEQUENCE, 0x80, ..] => bytes.len(),
        _ => length(bytes).unwrap_or(0),
    };
    if total < 64 || total > bytes.len() {
        return (Judgement::Refuted, value);
    }
    let store = &bytes[..total];
    let holds = |id: &[u8]| memchr::memmem::find(store, id).is_some();
    // The kinds of bags: a key, a key under the password, and content that the password hides as a whole.
    let judgement = if holds(b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01") {
        Judgement::Proved
    } else if holds(b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02") {
        Judgement::Plausible
    } else if holds(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06") {
        // Certificates alone are stored like this.
        Judgement::Doubtful
    } else {
        Judgement::Refuted
    };
    // The head and the first content tell one file from another; nobody needs the whole chain.
    let shown = total.min(KEY_MAX_BYTES);
    (judgement, value.start..value.start + shown)
}
