//! Keys of crypto wallets: most carry a checksum, so that a written-down key cannot be wrong by one letter.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::Judgement;
use super::checksums::{
    BASE58, BASE58_XRP, from_base32_crc16, from_base58, from_base58check, has_bech32,
};
use super::material::{Content, is_published};

/// A checksum of four bytes proves what it covers; one that is wrong makes the key worthless.
fn checked(bytes: Option<Vec<u8>>, fits: impl Fn(&[u8]) -> Judgement) -> Judgement {
    match bytes {
        Some(bytes) => fits(&bytes),
        None => Judgement::Doubtful,
    }
}

/// Wallet import format: version, 32 bytes, and a one where the public key is compressed.
pub(super) fn wif(value: &[u8]) -> Judgement {
    let decoded = from_base58check(value, BASE58);
    if decoded.is_none() {
        // Fifty letters of base 58 beside the word bitcoin are an address or a hash as well.
        return Judgement::Refuted;
    }
    checked(decoded, |bytes| match bytes {
        [0x80, key @ ..] if key.len() == 32 => Content::Plain(key).judgement(),
        [0x80, key @ .., 1] if key.len() == 32 => Content::Plain(key).judgement(),
        // Coins of a test network are worth nothing; other coins have other versions.
        [0xef, key @ ..] if matches!(key.len(), 32 | 33) => Judgement::Doubtful,
        [0xb0 | 0x9e | 0xcc | 0xb5 | 0xb4, key @ ..] if matches!(key.len(), 32 | 33) => {
            Content::Plain(&key[..32]).judgement()
        }
        _ => Judgement::Refuted,
    })
}

/// Extended private keys of BIP 32: `xprv` and its sisters.
pub(super) fn extended_key(value: &[u8]) -> Judgement {
    checked(from_base58check(value, BASE58), |bytes| {
        // Version 4, depth 1, parent 4, number 4, chain code 32, a zero, the key.
        if bytes.len() != 78 || bytes[45] != 0 {
            return Judgement::Refuted;
        }
        match value.first() {
            Some(b't' | b'u' | b'v' | b'U' | b'V') => Judgement::Doubtful,
            _ => Content::Plain(&bytes[46..]).judgement(),
        }
    })
}

/// Base58check with the prefixes of Tezos' secret keys.
pub(super) fn tezos(value: &[u8]) -> Judgement {
    checked(from_base58check(value, BASE58), |bytes| {
        let encrypted =
            value.starts_with(b"edes") || value.starts_with(b"spes") || value.starts_with(b"p2es");
        match bytes.len() {
            // A prefix of four bytes and a seed, or the pair; salt and tag more where it is encrypted.
            _ if encrypted => Judgement::Plausible,
            36 => Content::Plain(&bytes[4..]).judgement(),
            68 => Content::Plain(&bytes[4..36]).judgement(),
            _ => Judgement::Doubtful,
        }
    })
}

/// A family seed of the XRP Ledger, which has an alphabet of its own.
pub(super) fn xrp_seed(value: &[u8]) -> Judgement {
    match from_base58check(value, BASE58_XRP) {
        Some(bytes) => match &bytes[..] {
            [0x21, seed @ ..] | [0x01, 0xe1, 0x4b, seed @ ..] if seed.len() == 16 => {
                Content::Plain(seed).judgement()
            }
            _ => Judgement::Refuted,
        },
        None => Judgement::Refuted,
    }
}

/// Bech32 with any word before it: Nostr, Cardano, age.
pub(super) fn bech32(value: &[u8]) -> Judgement {
    match has_bech32(value) {
        true => Judgement::Proved,
        false => Judgement::Doubtful,
    }
}

/// A secret seed of Stellar: version 18 << 3, 32 bytes, CRC-16.
pub(super) fn stellar(value: &[u8]) -> Judgement {
    match from_base32_crc16(value).as_deref() {
        Some([0x90, seed @ ..]) if seed.len() == 32 => Content::Plain(seed).judgement(),
        _ => Judgement::Refuted,
    }
}

/// A seed of NATS: two prefixes of five bits, 32 bytes, CRC-16.
pub(super) fn nkey(value: &[u8]) -> Judgement {
    match from_base32_crc16(value).as_deref() {
        Some([first, _, seed @ ..]) if first & 0xf8 == 0x90 && seed.len() == 32 => {
            Content::Plain(seed).judgement()
        }
        _ => Judgement::Refuted,
    }
}

/// Order of secp256k1: a private key is a number below it.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// 64 hex digits beside a name that says private key.
pub(super) fn hex_key(value: &[u8]) -> Judgement {
    let digits = value
        .strip_prefix(b"0x")
        .or_else(|| value.strip_prefix(b"0X"))
        .unwrap_or(value);
    match data_encoding::HEXLOWER_PERMISSIVE.decode(digits) {
        Ok(key) if key.len() == 32 => match Content::Plain(&key).judgement() {
            Judgement::Proved if key[..] < ORDER[..] => Judgement::Plausible,
            Judgement::Proved => Judgement::Doubtful,
            // Accounts of development chains, and fillers.
            other => other,
        },
        _ => Judgement::Refuted,
    }
}

/// A pair of Solana: 64 bytes in base 58, or written as a list of numbers.
pub(super) fn solana(value: &[u8]) -> Judgement {
    let bytes = if value.contains(&b',') {
        let numbers = value.split(|byte| !byte.is_ascii_digit());
        let numbers = numbers.filter(|digits| !digits.is_empty()).map(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            text.parse::<u8>().ok()
        });
        numbers.collect::<Option<Vec<u8>>>()
    } else {
        from_base58(value, BASE58)
    };
    match bytes {
        Some(pair) if pair.len() == 64 => match Content::Plain(&pair[..32]).judgement() {
            Judgement::Proved => Judgement::Plausible,
            other => other,
        },
        _ => Judgement::Refuted,
    }
}

/// The English words of BIP 39, in their order, one a line.
const WORDS: &str = include_str!("../../../rules/bip39-english.txt");
const COUNT: usize = 2048;

/// Where each word starts, and behind the last: worked out by the compiler.
const STARTS: [u16; COUNT + 1] = {
    let bytes = WORDS.as_bytes();
    let mut starts = [0u16; COUNT + 1];
    let (mut at, mut word) = (0, 1);
    while at < bytes.len() {
        if bytes[at] == b'\n' {
            #[allow(clippy::cast_possible_truncation, reason = "the list has 13 KB")]
            {
                starts[word] = at as u16 + 1;
            }
            word += 1;
        }
        at += 1;
    }
    assert!(word == COUNT + 1, "the list has 2,048 words");
    starts
};

/// The word with this number. For samples too.
pub(in crate::scan) fn word(number: usize) -> &'static str {
    let (from, to) = (STARTS[number % COUNT], STARTS[number % COUNT + 1]);
    WORDS[usize::from(from)..usize::from(to)].trim_end()
}

fn number_of(spelled: &[u8]) -> Option<usize> {
    let (mut low, mut high) = (0, COUNT);
    while low < high {
        let middle = low.midpoint(high);
        match word(middle).as_bytes().cmp(spelled) {
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// The bits of the checksum that belong to so much entropy: the last word holds them.
pub(in crate::scan) fn last_word(first: &[usize], entropy: usize) -> usize {
    // Eleven bits of each word; the last one has what is left of the entropy, then the checksum.
    let words = first.len() + 1;
    let check = words / 3;
    let mut bits: Vec<bool> = first
        .iter()
        .flat_map(|word| (0..11).rev().map(move |bit| word >> bit & 1 == 1))
        .collect();
    bits.extend((0..11 - check).rev().map(|bit| entropy >> bit & 1 == 1));
    let bytes: Vec<u8> = bits
        .chunks(8)
        .map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect();
    let hash = Sha256::digest(&bytes);
    let own = entropy & ((1 << (11 - check)) - 1);
    own << check | usize::from(hash[0] >> (8 - check))
}

fn has_checksum(words: &[usize]) -> bool {
    let Some((last, first)) = words.split_last() else {
        return false;
    };
    let check = words.len() / 3;
    last_word(first, last >> check) == *last
}

/// The value is a word such as `mnemonic`; the phrase is looked for behind it.
pub(super) fn mnemonic(text: &[u8], value: Range<usize>) -> (Judgement, Range<usize>) {
    /// How far behind the word the phrase may begin, and how many other words may stand between.
    const LEAD_MAX_BYTES: usize = 96;
    const APART_MAX_BYTES: usize = 12;
    const RUN_MAX_WORDS: usize = 40;
    let refused = (Judgement::Refuted, value.clone());
    let to = (value.end + LEAD_MAX_BYTES + 600).min(text.len());
    let mut run: Vec<(usize, Range<usize>)> = Vec::new();
    let mut at = value.end;
    // The word itself may be part of a longer name.
    while at < to && (text[at].is_ascii_alphanumeric() || text[at] == b'_') {
        at += 1;
    }
    while at < to {
        let letters = text[at..to]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic());
        let length = letters.count();
        if length == 0 {
            at += 1;
            continue;
        }
        let mut place = at..at + length;
        at += length;
        // `\n` written out between words.
        if text[place.start - 1] == b'\\' && matches!(text[place.start], b'n' | b'r' | b't') {
            place.start += 1;
        }
        let length = place.len();
        if length == 0 {
            continue;
        }
        let apart = run
            .last()
            .is_some_and(|(_, last)| place.start - last.end > APART_MAX_BYTES);
        // `word1` and `_seed` are names.
        let joined = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'$'))
        };
        let named = joined(text.get(place.end)) || joined(text.get(place.start - 1));
        let listed = match length {
            3..=8 if !named => number_of(&text[place.clone()].to_ascii_lowercase()),
            _ => None,
        };
        match listed {
            Some(number) if !apart => run.push((number, place)),
            _ => {
                if run.len() >= 12 {
                    break;
                }
                run.clear();
                if let (Some(number), true) = (listed, apart) {
                    run.push((number, place.clone()));
                }
                if place.start > value.end + LEAD_MAX_BYTES {
                    return refused;
                }
            }
        }
        if run.len() > RUN_MAX_WORDS {
            break;
        }
    }
    phrase(text, &run).unwrap_or(refused)
}

/// What a run of listed words is. Words around the phrase may be listed by chance: `end`, `token`.
fn phrase(text: &[u8], run: &[(usize, Range<usize>)]) -> Option<(Judgement, Range<usize>)> {
    let numbers: Vec<usize> = run.iter().map(|(number, _)| *number).collect();
    let known = |numbers: &[usize]| {
        let words: Vec<&str> = numbers.iter().map(|number| word(*number)).collect();
        is_published(words.join(" ").as_bytes())
    };
    // What stands before a word, without the digits of a numbered list.
    let gap = |at: usize| {
        let between = &text[run[at - 1].1.end..run[at].1.start];
        between.iter().filter(|byte| !byte.is_ascii_digit())
    };
    let alone = |from: usize, count: usize| {
        let end = from + count;
        (from == 0 || !gap(from).eq(gap(from + 1)))
            && (end == run.len() || !gap(end).eq(gap(end - 1)))
    };
    let mut found: Option<(Judgement, Range<usize>)> = None;
    for count in [24, 21, 18, 15, 12] {
        for (from, words) in numbers.windows(count).enumerate() {
            let alone = alone(from, count);
            let judgement = match has_checksum(words) {
                true if known(words) => Judgement::Doubtful,
                true if alone => Judgement::Proved,
                // With so many tries a checksum fits by chance.
                true => Judgement::Plausible,
                false if alone => Judgement::Doubtful,
                false => continue,
            };
            let place = run[from].1.start..run[from + count - 1].1.end;
            if run.len() == count && judgement == Judgement::Doubtful && known(words) {
                return Some((judgement, place));
            }
            if found
                .as_ref()
                .is_none_or(|(best, _)| rank(judgement) > rank(*best))
            {
                found = Some((judgement, place));
            }
        }
    }
    found
}

fn rank(judgement: Judgement) -> u8 {
    match judgement {
        Judgement::Refuted => 0,
        Judgement::Doubtful => 1,
        Judgement::Plausible => 2,
        Judgement::Proved => 3,
    }
}
