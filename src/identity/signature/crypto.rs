//! The arithmetic: RSA, ECDSA and Ed25519, each from a crate of its own. Nothing else sees these crates.
//!
//! Every function answers whether a signature holds. A key or a signature that is no such thing holds nothing.

use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey};
use sha2::{Sha256, Sha384, Sha512};

use super::wire::without_zeros;

/// Fewest bits of an RSA key. Shorter ones are within reach of whoever has enough computers.
const RSA_MIN_BITS: usize = 2048;

/// Most bits of an RSA key: what OpenSSH takes. Longer ones cost more time than a push has.
const RSA_MAX_BITS: usize = 16384;

/// Hashes that may still be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The digest of the parts, one after the other.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Self::of::<Sha256>(parts),
            Hash::Sha384 => Self::of::<Sha384>(parts),
            Hash::Sha512 => Self::of::<Sha512>(parts),
        }
    }

    fn of<D: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
        let mut hasher = D::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().to_vec()
    }

    /// What PKCS#1 puts before the digest: the DER of a DigestInfo (RFC 8017, 9.2).
    fn prefix(self) -> [u8; 19] {
        let (id, length) = match self {
            Hash::Sha256 => (1, 32),
            Hash::Sha384 => (2, 48),
            Hash::Sha512 => (3, 64),
        };
        [
            0x30,
            17 + length,
            0x30,
            13,
            6,
            9,
            0x60,
            0x86,
            0x48,
            1,
            0x65,
            3,
            4,
            2,
            id,
            5,
            0,
            4,
            length,
        ]
    }
}

/// The curves of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// A public key that can be computed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Ed25519([u8; 32]),
    /// The point in SEC1 form.
    Ecdsa(Curve, Vec<u8>),
    /// Modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
}

impl Key {
    /// An Ed25519 signature over the message itself. Points of small order are refused, for which one signature
    /// holds over many messages.
    pub(super) fn ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key);
        let signature = ed25519_dalek::Signature::from_slice(signature);
        match (key, signature) {
            (Ok(key), Ok(signature)) => key.verify_strict(message, &signature).is_ok(),
            _ => false,
        }
    }

    /// An ECDSA signature over a digest: two numbers.
    pub(super) fn ecdsa(curve: Curve, point: &[u8], digest: &[u8], r: &[u8], s: &[u8]) -> bool {
        macro_rules! verify {
            ($curve:ident, $bytes:literal) => {{
                use $curve::AffinePoint;
                use $curve::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
                use $curve::elliptic_curve::point::AffineCoordinates as _;
                // Both numbers of the point: ssh and OpenPGP have no other form.
                let Some([4, numbers @ ..]) = Some(point).filter(|all| all.len() == 1 + 2 * $bytes)
                else {
                    return false;
                };
                let (x, y) = numbers.split_at($bytes);
                let field = |number: &[u8]| number.try_into().ok();
                let (Some(x), Some(y)) = (field(x), field(y)) else {
                    return false;
                };
                // Not on the curve: no point.
                let Some(point) = AffinePoint::from_coordinates(&x, &y).into_option() else {
                    return false;
                };
                let mut both = [0; 2 * $bytes];
                let (first, second) = both.split_at_mut($bytes);
                if !(padded(r, first) && padded(s, second)) {
                    return false;
                }
                match (
                    VerifyingKey::from_affine(point),
                    Signature::from_slice(&both),
                ) {
                    (Ok(key), Ok(signature)) => key.verify_prehash(digest, &signature).is_ok(),
                    _ => false,
                }
            }};
        }
        match curve {
            Curve::P256 => verify!(p256, 32),
            Curve::P384 => verify!(p384, 48),
            Curve::P521 => verify!(p521, 66),
        }
    }

    /// An RSA signature by PKCS#1, version 1.5, over a digest.
    pub(super) fn rsa(
        modulus: &[u8],
        exponent: &[u8],
        hash: Hash,
        digest: &[u8],
        signature: &[u8],
    ) -> bool {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        // Asked before any arithmetic: the sender of a signature chooses the key that it names.
        if modulus.len() > RSA_MAX_BITS / 8 || exponent.len() > 8 {
            return false;
        }
        let number = BoxedUint::from_be_slice_vartime;
        let (n, e) = (number(modulus), number(exponent));
        let Ok(key) = PublicKey::new_with_size_limits(n, e, RSA_MIN_BITS..=RSA_MAX_BITS) else {
            return false;
        };
        let mut whole = vec![0; modulus.len()];
        if !padded(without_zeros(signature), &mut whole) {
            return false;
        }
        let scheme = Pkcs1v15Sign {
            hash_len: Some(digest.len()),
            prefix: hash.prefix().into(),
        };
        key.verify(scheme, digest, &whole).is_ok()
    }
}

/// Puts a number at the end of a field of zeros; whether it fits.
fn padded(number: &[u8], field: &mut [u8]) -> bool {
    let number = without_zeros(number);
    match field.len().checked_sub(number.len()) {
        Some(start) => {
            field[start..].copy_from_slice(number);
            true
        }
        None => false,
    }
}
