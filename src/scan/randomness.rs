//! How little a value looks like something that a person wrote: a word, an identifier, a path, a version.

/// For each pair of the letters below, how rare it is in what people write: eighths of a nat above `0`. Measured over
/// the distinct words, identifiers, paths and versions in the sources of many packages, without digests and keys.
const PAIRS: &[u8] = include_bytes!("../../rules/benign-pairs.txt");

const LETTERS: &[u8; 68] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+=";

const PLACES: [u8; 256] = {
    let mut places = [u8::MAX; 256];
    let mut at = 0;
    while at < LETTERS.len() {
        places[LETTERS[at] as usize] = at as u8;
        at += 1;
    }
    places
};

/// From this many nats on a generator made the value: fewer than one in a thousand identifiers has them, and 95 of 100
/// random values of 16 characters.
pub(super) const RANDOM_NATS: f32 = 12.0;

/// From this many on it may have.
pub(super) const ODD_NATS: f32 = 6.0;

/// The log-likelihood, in nats, that the value was drawn at random from its own alphabet, over that a person wrote it.
/// Pieces between marks are weighed apart: each has an alphabet of its own.
pub(super) fn surprise(value: &[u8]) -> f32 {
    value
        .split(|byte| !byte.is_ascii_alphanumeric())
        .map(surprise_of_piece)
        .sum()
}

fn surprise_of_piece(piece: &[u8]) -> f32 {
    let place = |byte: u8| usize::from(PLACES[usize::from(byte)]);
    // One more byte a row: the line end.
    let rarity = |pair: &[u8]| {
        let cell = place(pair[0]) * (LETTERS.len() + 1) + place(pair[1]);
        f32::from(PAIRS[cell] - b'0') / 8.0
    };
    let chance = alphabet(piece).ln();
    piece.windows(2).map(|pair| rarity(pair) - chance).sum()
}

/// How many characters the generator of such a value chooses from.
fn alphabet(piece: &[u8]) -> f32 {
    let has = |what: fn(&u8) -> bool| piece.iter().any(what);
    let (lower, upper) = (has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let hex = lower != upper && piece.iter().all(u8::is_ascii_hexdigit);
    let letters = if hex { 6 } else { 26 };
    let digits = usize::from(has(u8::is_ascii_digit)) * 10;
    let count = digits + letters * (usize::from(lower) + usize::from(upper));
    count.max(2) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Dice, make_sample};

    #[test]
    fn the_table_is_square() {
        let rows: Vec<&[u8]> = PAIRS
            .trim_ascii_end()
            .split(|byte| *byte == b'\n')
            .collect();
        assert_eq!(rows.len(), LETTERS.len());
        assert!(rows.iter().all(|row| row.len() == LETTERS.len()));
    }

    #[test]
    fn what_people_write() {
        for written in [
            "client_credentials",
            "getAccessToken",
            "AWS_SECRET_ACCESS_KEY",
            "your-api-key-goes-here",
            "process.env.SECRET_KEY",
            "sha256WithRSAEncryption",
            "correcthorsebatterystaple",
            "application/vnd.api+json",
            "ExampleToken1234567890",
            "2026-11-25T10:00:00",
        ] {
            assert!(surprise(written.as_bytes()) < ODD_NATS, "{written}");
        }
    }

    #[test]
    fn what_generators_make() {
        for format in [
            "{hex:32}",
            "{base62:20}",
            "{alnum:20}",
            "{base64url:32}",
            "{ALNUM:24}",
        ] {
            let random = |seed| {
                let value = make_sample(format, &mut Dice::new(seed)).unwrap();
                surprise(value.as_bytes()) >= RANDOM_NATS
            };
            let found = (0..500).filter(|seed| random(*seed)).count();
            assert!(found >= 490, "{format}: {found} of 500");
        }
    }
}
