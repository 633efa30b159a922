//! Base64 between a first and a last line.

use data_encoding::BASE64;

/// The bytes between two lines, of ssh's form. Nothing may stand before the first line or behind the last: a second reader
/// could take it for the signature.
pub(super) fn decode(text: &[u8], begin: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let mut lines = lines(text);
    if lines.next()? != begin {
        return None;
    }
    let mut digits = Vec::with_capacity(text.len());
    loop {
        match lines.next()? {
            line if line == end => break,
            line => digits.extend_from_slice(line),
        }
    }
    let rest_is_empty = lines.all(<[u8]>::is_empty);
    rest_is_empty.then(|| BASE64.decode(&digits).ok())?
}

/// The lines of a text, without blanks at their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
}
