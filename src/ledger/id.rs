//! The id by which people name an entry.

use std::fmt;

/// Names a ledger entry in messages: `7Q4M-2KX9`. Made of the first 40 bits of the entry's hash, so
/// that everybody who has the line can check it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// The id of the entry with this hash.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        // Crockford's alphabet: no I, L, O, U, which are misread over the telephone.
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let bits = hash[..5]
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let mut text = String::with_capacity(9);
        for place in (0..8).rev() {
            let digit = (bits >> (5 * place)) & 31;
            text.push(char::from(
                DIGITS[usize::try_from(digit).expect("five bits fit")],
            ));
            if place == 4 {
                text.push('-');
            }
        }
        Id(text)
    }

    /// Reads an id as a person types it: any case, with or without the hyphen, O for 0, I and L for 1.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = String::with_capacity(9);
        for letter in text.chars().filter(|letter| *letter != '-') {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            if !letter.is_ascii_alphanumeric() || letter == 'U' || digits.len() == 9 {
                return None;
            }
            digits.push(letter);
            if digits.len() == 4 {
                digits.push('-');
            }
        }
        (digits.len() == 9).then_some(Id(digits))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
