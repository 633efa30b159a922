//! What may be shown. A secret never is; text from a push is quoted, cut and stripped first.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Longest piece of pushed text that is ever shown, in bytes before quoting.
pub const SHOWN_MAX_BYTES: usize = 120;

/// The server's key for fingerprints. Without the key a fingerprint of a weak password cannot be guessed.
#[derive(Clone)]
pub struct FingerprintKey([u8; 32]);

impl FingerprintKey {
    /// Takes 32 random bytes.
    pub fn new(key: [u8; 32]) -> Self {
        FingerprintKey(key)
    }

    /// The first 12 hex digits of HMAC-SHA-256 over rule id, a NUL, and the secret value.
    pub fn fingerprint(&self, rule: &str, value: &[u8]) -> Fingerprint {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(rule.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        let digest = mac.finalize().into_bytes();
        let mut first = [0; 6];
        first.copy_from_slice(&digest[..6]);
        Fingerprint(first)
    }
}

impl FingerprintKey {
    /// A seal over bytes that are kept outside of memory: only who has the key can make it. `what` says what they are.
    pub fn seal(&self, what: &str, bytes: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        // No rule has this id: rule ids are `family/name`.
        for part in [b"seal".as_slice(), what.as_bytes()] {
            mac.update(part);
            mac.update(&[0]);
        }
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

impl FingerprintKey {
    /// Names the key without telling it: fingerprints can be compared where this is the same.
    pub fn name(&self) -> Fingerprint {
        // No rule has this id: rule ids are `family/name`.
        self.fingerprint("key", b"")
    }
}

/// Stands for a secret in messages and records. The same value gives the same fingerprint on one server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 6]);

impl Fingerprint {
    /// Reads a fingerprint exactly as it is shown: 12 digits, lower case. A shorter one would name many values.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 12 || !text.bytes().all(lower) {
            return None;
        }
        let mut bytes = [0; 6];
        data_encoding::HEXLOWER
            .decode_mut(text.as_bytes(), &mut bytes)
            .ok()?;
        Some(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes that came with a push, shown the way git shows odd paths: as they are when they are plain
/// printable ASCII without quote or backslash, else in double quotes with C escapes, every other
/// byte octal. Cut at [`SHOWN_MAX_BYTES`]. The result is ASCII and holds no control byte.
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..SHOWN_MAX_BYTES) {
            Some(start) if self.0.len() > start.len() => {
                write!(f, "{}... ({} bytes)", Whole(start), self.0.len())
            }
            _ => Whole(self.0).fmt(f),
        }
    }
}

/// The same, never cut: for what has a bound of its own, as the path of a folder has.
pub struct Whole<'a>(pub &'a [u8]);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let outer_blank = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
        if bytes.iter().all(plain) && !outer_blank && !bytes.is_empty() {
            return f.write_str(std::str::from_utf8(bytes).map_err(|_| fmt::Error)?);
        }
        f.write_str("\"")?;
        for byte in bytes {
            match byte {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "\\{byte:03o}")?,
            }
        }
        f.write_str("\"")
    }
}

/// The bytes that [`Quoted`] shows as `text`; `None` where it shows only a part of them.
pub fn unquoted(text: &str) -> Option<Vec<u8>> {
    // The audit adds a digest to the count.
    let rest = text.rsplit_once("... (").map_or("", |(_, rest)| rest);
    let is_cut = rest.ends_with(')') && rest.contains(" bytes");
    if is_cut && text.len() > SHOWN_MAX_BYTES {
        return None;
    }
    let Some(inner) = text.strip_prefix('"') else {
        return Some(text.as_bytes().to_vec());
    };
    let mut rest = inner.strip_suffix('"')?.bytes();
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                same @ (b'"' | b'\\') => same,
                high => {
                    let mut digits = [high, rest.next()?, rest.next()?].into_iter();
                    let value = digits.try_fold(0_u32, |value, digit| {
                        let digit = char::from(digit).to_digit(8)?;
                        Some(value * 8 + digit)
                    })?;
                    u8::try_from(value).ok()?
                }
            },
            plain => plain,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_can_be_read_back_unless_it_was_cut() {
        let all: Vec<u8> = (0..=255).collect();
        let long = [b'a'; SHOWN_MAX_BYTES];
        for bytes in [
            &all[..120],
            &all[120..200],
            &all[200..],
            b"",
            b" a",
            b"a/b",
            &long,
        ] {
            let shown = Quoted(bytes).to_string();
            assert_eq!(unquoted(&shown).as_deref(), Some(bytes), "{shown}");
        }
        let cut = Quoted(&[b'a'; SHOWN_MAX_BYTES + 1]).to_string();
        for shown in [
            &cut,
            &Quoted(&all).to_string(),
            "\"a",
            "\"\\77\"",
            "\"\\777\"",
        ] {
            assert_eq!(unquoted(shown), None, "{shown}");
        }
    }

    #[test]
    fn a_fingerprint_depends_on_key_rule_and_value_alone() {
        let (ours, theirs) = (FingerprintKey::new([1; 32]), FingerprintKey::new([2; 32]));
        let print = ours.fingerprint("secret/a", b"value");
        assert_eq!(print, ours.fingerprint("secret/a", b"value"));
        for other in [
            theirs.fingerprint("secret/a", b"value"),
            ours.fingerprint("secret/b", b"value"),
            ours.fingerprint("secret/a", b"value "),
            ours.fingerprint("secret/", b"avalue"),
        ] {
            assert_ne!(print, other);
        }
        assert_ne!(ours.name(), theirs.name());
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown_and_in_no_other_form() {
        let print = FingerprintKey::new([1; 32]).fingerprint("secret/a", b"value");
        let shown = print.to_string();
        assert_eq!(Fingerprint::parse(&shown), Some(print));
        for wrong in [
            &shown[..11],
            &format!("{shown}0"),
            &format!(" {}", &shown[..11]),
            "0A09A2C64215",
            "0x0a09a2c642",
            "",
            "g00000000000",
        ] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
