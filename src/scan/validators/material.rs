//! What was found where key material should be, and what that says.

use sha2::{Digest, Sha256};

use super::Judgement;

/// What a container holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A whole private key that nothing protects; its secret number.
    Plain(&'a [u8]),
    /// A whole private key under a passphrase. Worthless without it, but it is often near, or weak.
    Encrypted,
    /// The container is right as far as it goes.
    Cut,
    /// No private key at all: a public one, or a stub of one that is on a card.
    Public,
    /// Not what it says it is.
    Broken,
}

impl Content<'_> {
    pub(super) fn judgement(&self) -> Judgement {
        match self {
            Content::Plain(secret) if is_published(secret) || is_filler(secret) => {
                Judgement::Doubtful
            }
            Content::Plain(_) => Judgement::Proved,
            Content::Encrypted | Content::Cut => Judgement::Plausible,
            Content::Public | Content::Broken => Judgement::Refuted,
        }
    }
}

/// Private numbers of specifications and documentation, as SHA-256 in hex, one a line.
const PUBLISHED: &str = include_str!("../../../rules/published-keys.txt");

/// Whether the world has this number already. Nothing but the number itself decides: no path, no word near it.
pub(super) fn is_published(secret: &[u8]) -> bool {
    let zeros = secret.iter().take_while(|byte| **byte == 0).count();
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(&secret[zeros..]));
    PUBLISHED.lines().any(|line| line.starts_with(&hash))
}

/// One byte over and over, or a counted sequence: what a test puts where a key belongs.
pub(super) fn is_filler(secret: &[u8]) -> bool {
    let steps = |step: u8| {
        let pairs = secret.windows(2);
        pairs
            .filter(|pair| pair[1].wrapping_sub(pair[0]) == step)
            .count()
    };
    let pairs = secret.len().saturating_sub(1);
    // A small number in a wide field (a scalar of one) is mostly zeros.
    secret.len() < 12
        || [0, 1, 0xff]
            .iter()
            .any(|step| steps(*step) * 4 >= pairs * 3)
}

/// Takes a piece with its length before it, as SSH writes them.
pub(super) fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_u32(rest)?).ok()?;
    take(rest, length)
}

pub(super) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (four, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*four))
}

pub(super) fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (two, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*two))
}

pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (piece, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(piece)
}

/// `p * q`, big-endian, without leading zeros.
pub(in crate::scan) fn product(p: &[u8], q: &[u8]) -> Vec<u8> {
    // Little-endian words of 32 bits.
    let words = |bytes: &[u8]| -> Vec<u64> {
        bytes
            .rchunks(4)
            .map(|four| {
                four.iter()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte))
            })
            .collect()
    };
    let (p, q) = (words(p), words(q));
    let mut product = vec![0u64; p.len() + q.len() + 1];
    for (at, a) in p.iter().enumerate() {
        let mut carry = 0;
        for (place, b) in product[at..].iter_mut().zip(q.iter().chain([&0])) {
            let sum = *place + a * b + carry;
            *place = sum & 0xffff_ffff;
            carry = sum >> 32;
        }
    }
    let bytes = product
        .iter()
        .rev()
        .flat_map(|word| word.to_be_bytes().into_iter().skip(4));
    bytes.skip_while(|byte| *byte == 0).collect()
}

/// Whether `p * q == n`. The one relation of an RSA key that costs next to nothing to ask.
pub(super) fn is_product(p: &[u8], q: &[u8], n: &[u8]) -> bool {
    const MOST: usize = 2048;
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    zeros < n.len() && p.len() + q.len() <= MOST && product(p, q) == n[zeros..]
}
