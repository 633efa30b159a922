//! Alphabets and checksums that token formats share. Samples are made with the same functions that judge.

use sha2::{Digest, Sha256};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Six base-62 digits of the CRC-32, most significant first.
pub(in crate::scan) fn base62_crc32(body: &[u8]) -> [u8; 6] {
    let mut left = crc32fast::hash(body) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[left % 62];
        left /= 62;
    }
    digits
}

pub(super) fn has_crc32_base62(after_prefix: &[u8]) -> bool {
    after_prefix
        .split_last_chunk::<6>()
        .is_some_and(|(body, sum)| base62_crc32(body) == *sum)
}

/// A number in base 36, with zeros before it up to `width`.
pub(in crate::scan) fn base36(mut number: u64, width: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.len() < width.max(1) {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
    }
    digits.reverse();
    String::from_utf8(digits).unwrap_or_default()
}

/// The check digit of payment cards and of some tokens.
pub(super) fn has_luhn(digits: &[u8]) -> bool {
    let sum: Option<u32> = digits
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-'))
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = char::from(*byte).to_digit(10)?;
            Some(match place % 2 {
                0 => digit,
                _ => digit * 2 / 10 + digit * 2 % 10,
            })
        })
        .sum();
    sum.is_some_and(|sum| sum > 0 && sum % 10 == 0)
}

/// Bitcoin's alphabet of base 58.
pub(in crate::scan) const BASE58: &[u8; 58] =
    b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// The XRP Ledger's.
pub(in crate::scan) const BASE58_XRP: &[u8; 58] =
    b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// Longest text in base 58 that is read: the work grows with the square.
const BASE58_MAX_LETTERS: usize = 160;

pub(super) fn from_base58(letters: &[u8], alphabet: &[u8; 58]) -> Option<Vec<u8>> {
    if letters.len() > BASE58_MAX_LETTERS {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(letters.len());
    for letter in letters {
        let mut carry = alphabet.iter().position(|known| known == letter)?;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, (carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = letters
        .iter()
        .take_while(|letter| **letter == alphabet[0])
        .count();
    Some([vec![0; zeros], bytes].concat())
}

pub(in crate::scan) fn to_base58(bytes: &[u8], alphabet: &[u8; 58]) -> String {
    let mut digits: Vec<usize> = Vec::new();
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in digits.iter_mut().rev() {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.insert(0, carry % 58);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let all = std::iter::repeat_n(0, zeros).chain(digits);
    all.map(|digit| char::from(alphabet[digit])).collect()
}

fn double_sha256(bytes: &[u8]) -> [u8; 4] {
    let hash = Sha256::digest(Sha256::digest(bytes));
    [hash[0], hash[1], hash[2], hash[3]]
}

/// What stands before four bytes of a double SHA-256. `None`: they are not right.
pub(super) fn from_base58check(letters: &[u8], alphabet: &[u8; 58]) -> Option<Vec<u8>> {
    let mut bytes = from_base58(letters, alphabet)?;
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if double_sha256(body) != *sum {
        return None;
    }
    bytes.truncate(bytes.len() - 4);
    Some(bytes)
}

pub(in crate::scan) fn to_base58check(body: &[u8], alphabet: &[u8; 58]) -> String {
    to_base58(&[body, &double_sha256(body)].concat(), alphabet)
}

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// A word, the last `1`, data and a checksum of six letters, in one case. Bech32, or its younger form bech32m.
pub(super) fn has_bech32(value: &[u8]) -> bool {
    let mixed =
        value.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    let value = value.to_ascii_lowercase();
    let Some(one) = value.iter().rposition(|byte| *byte == b'1') else {
        return false;
    };
    let (prefix, data) = (&value[..one], &value[one + 1..]);
    let five: Option<Vec<u8>> = data
        .iter()
        .map(|byte| {
            let at = BECH32.iter().position(|letter| letter == byte)?;
            u8::try_from(at).ok()
        })
        .collect();
    five.is_some_and(|five| {
        !mixed
            && !prefix.is_empty()
            && five.len() >= 6
            && matches!(polymod(&five, prefix), 1 | 0x2bc8_30a3)
    })
}

fn polymod(data: &[u8], prefix: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let high = prefix.iter().map(|byte| byte >> 5);
    let low = prefix.iter().map(|byte| byte & 31);
    let all = high.chain([0]).chain(low).chain(data.iter().copied());
    all.fold(1u32, |sum, five| {
        let top = sum >> 25;
        let sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(five);
        GENERATOR
            .iter()
            .enumerate()
            .fold(sum, |sum, (bit, constant)| {
                if top >> bit & 1 == 1 {
                    sum ^ constant
                } else {
                    sum
                }
            })
    })
}

/// The data with its checksum, as bech32 letters, lower case. For samples.
pub(in crate::scan) fn bech32_checksum(prefix: &[u8], five: &[u8]) -> String {
    let mut padded = five.to_vec();
    padded.extend([0; 6]);
    let sum = polymod(&padded, prefix) ^ 1;
    let check = (0..6u32).map(|at| (sum >> (5 * (5 - at)) & 31) as u8);
    five.iter()
        .copied()
        .chain(check)
        .map(|five| char::from(BECH32[usize::from(five)]))
        .collect()
}

/// CRC-16 of XMODEM, as Stellar and NATS append it, low byte first.
pub(in crate::scan) fn crc16(bytes: &[u8]) -> [u8; 2] {
    let sum = bytes.iter().fold(0u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| match sum >> 15 {
            1 => sum << 1 ^ 0x1021,
            _ => sum << 1,
        })
    });
    sum.to_le_bytes()
}

/// Base 32 whose last two bytes are the CRC-16 of the others.
pub(super) fn from_base32_crc16(letters: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = data_encoding::BASE32_NOPAD.decode(letters).ok()?;
    let (body, sum) = bytes.split_last_chunk::<2>()?;
    if crc16(body) != *sum {
        return None;
    }
    bytes.truncate(bytes.len() - 2);
    Some(bytes)
}

/// Marvin32, folded to 32 bits: the checksum in keys of Microsoft's services.
pub(in crate::scan) fn marvin32(bytes: &[u8], seed: u64) -> u32 {
    let mix = |[mut a, mut b]: [u32; 2]| {
        b ^= a;
        a = a.rotate_left(20).wrapping_add(b);
        b = b.rotate_left(9) ^ a;
        a = a.rotate_left(27).wrapping_add(b);
        [a, b.rotate_left(19)]
    };
    let mut state = [(seed & 0xffff_ffff) as u32, (seed >> 32) as u32];
    let word = |piece: &[u8]| {
        piece
            .iter()
            .rev()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
    };
    let mut pieces = bytes.chunks_exact(4);
    for piece in &mut pieces {
        state[0] = state[0].wrapping_add(word(piece));
        state = mix(state);
    }
    // The rest, and a bit that tells how much of it there is.
    let rest = pieces.remainder();
    let last = word(rest) | 0x80 << (8 * rest.len());
    state[0] = state[0].wrapping_add(last);
    let [a, b] = mix(mix(state));
    a ^ b
}
