//! Text in UTF-16: told by its mark or by its NUL bytes, and where its characters stand.

use crate::budget::{Budget, Exhausted};

/// Where UTF-16 text starts, and whether its first byte is the high one.
pub(super) fn start(bytes: &[u8]) -> Option<(usize, bool)> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] => Some((2, false)),
        [0xfe, 0xff, ..] => Some((2, true)),
        _ => {
            let head = bytes
                .get(..bytes.len().min(64) & !1)
                .filter(|head| head.len() >= 8)?;
            let (mut even, mut odd) = (0, 0);
            for pair in head.chunks_exact(2) {
                even += usize::from(pair[0] == 0);
                odd += usize::from(pair[1] == 0);
            }
            let most = head.len() / 2 * 3 / 4;
            match (even, odd) {
                (0, odd) if odd > most => Some((0, false)),
                (even, 0) if even > most => Some((0, true)),
                _ => None,
            }
        }
    }
}

/// UTF-16 as UTF-8.
pub(super) struct Decoded {
    pub(super) text: Vec<u8>,
    /// For some places at the start of a character: the place in the original.
    offsets: Vec<(usize, usize)>,
    /// Every surrogate has its other half, which is seldom so in what is no UTF-16.
    pub(super) whole: bool,
}

impl Decoded {
    /// The place in the original.
    pub(super) fn place(&self, at: usize) -> usize {
        let index = self.offsets.partition_point(|(utf8, _)| *utf8 <= at);
        match index
            .checked_sub(1)
            .and_then(|index| self.offsets.get(index))
        {
            Some((utf8, utf16)) => utf16 + 2 * (at - utf8),
            None => at,
        }
    }
}

/// Decodes what follows the mark, which is `offset` bytes long.
pub(super) fn decode(
    bytes: &[u8],
    offset: usize,
    big_endian: bool,
    budget: &Budget,
) -> Result<Decoded, Exhausted> {
    let unit = |pair: &[u8]| match big_endian {
        true => u16::from_be_bytes([pair[0], pair[1]]),
        false => u16::from_le_bytes([pair[0], pair[1]]),
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut offsets = Vec::new();
    let mut at = offset;
    let mut whole = true;
    for letter in char::decode_utf16(bytes.chunks_exact(2).map(unit)) {
        let letter = letter.unwrap_or_else(|_| {
            whole = false;
            char::REPLACEMENT_CHARACTER
        });
        // Where both lengths go one by one nothing need be noted.
        if !letter.is_ascii() || out.is_empty() || out.len().is_multiple_of(1024) {
            offsets.push((out.len(), at));
        }
        if at & 0xfffe == 0 {
            budget.check_time()?;
        }
        let mut buffer = [0; 4];
        out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
        at += 2 * letter.len_utf16();
        if !letter.is_ascii() {
            offsets.push((out.len(), at));
        }
    }
    Ok(Decoded {
        text: out,
        offsets,
        whole,
    })
}
