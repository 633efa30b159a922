//! One delta: taken apart into the parts of what it makes, then applied.

use super::{Part, SIZE_MAX_BYTES};

/// Parts of one object that are told apart. A delta with more is told as one part that is new.
const PARTS_MAX: usize = 1 << 20;

/// The parts that a delta makes out of a base of so many bytes, and the text. What it copies from where lies in the base, and
/// the size that it promises is kept.
pub(in crate::repo) fn apply(
    delta: &[u8],
    base: &[u8],
    text: &mut Vec<u8>,
    parts: &mut Vec<Part>,
) -> Result<(), &'static str> {
    let (from, rest) = size(delta).ok_or("a delta is cut off")?;
    let (to, mut rest) = size(rest).ok_or("a delta is cut off")?;
    if from != base.len() as u64 {
        return Err("a delta was made for another base");
    }
    if to > SIZE_MAX_BYTES {
        return Err("the object is larger than 1 GiB");
    }
    let to = usize::try_from(to).map_err(|_| "the object is too large")?;
    parts.clear();
    text.clear();
    // Nothing is taken from memory for what the instructions do not make.
    let made = total(rest, to).ok_or("a delta does not make what it promises")?;
    text.reserve_exact(made);
    let mut is_many = false;
    while let Some((instruction, next)) = instruction(rest) {
        let start = text.len();
        let from = match instruction {
            Instruction::Copy { from, length } => {
                let piece = base.get(from..from + length);
                text.extend_from_slice(piece.ok_or("a delta copies from beyond its base")?);
                Some(from)
            }
            Instruction::Insert(bytes) => {
                text.extend_from_slice(bytes);
                None
            }
        };
        rest = next;
        is_many |= parts.len() == PARTS_MAX;
        if !is_many {
            tell(parts, start..text.len(), from);
        }
    }
    if is_many {
        parts.clear();
        tell(parts, 0..text.len(), None);
    }
    Ok(())
}

/// Parts that go on where the last one ended are one.
fn tell(parts: &mut Vec<Part>, bytes: std::ops::Range<usize>, from: Option<usize>) {
    if let Some(last) = parts.last_mut() {
        let goes_on = match (last.from, from) {
            (None, None) => true,
            (Some(before), Some(from)) => before + last.bytes.len() == from,
            _ => false,
        };
        if goes_on {
            last.bytes.end = bytes.end;
            return;
        }
    }
    parts.push(Part { bytes, from });
}

/// The length that all instructions make together, if it is the one that was promised.
fn total(mut rest: &[u8], promised: usize) -> Option<usize> {
    let mut made = 0usize;
    while !rest.is_empty() {
        let (instruction, next) = instruction(rest)?;
        made = made.checked_add(match instruction {
            Instruction::Copy { length, .. } => length,
            Instruction::Insert(bytes) => bytes.len(),
        })?;
        rest = next;
    }
    (made == promised).then_some(made)
}

enum Instruction<'d> {
    Copy { from: usize, length: usize },
    Insert(&'d [u8]),
}

/// The instruction that the delta starts with. `None`: none is whole.
#[inline(always)]
fn instruction(delta: &[u8]) -> Option<(Instruction<'_>, &[u8])> {
    let (&command, mut rest) = delta.split_first()?;
    if command & 0x80 == 0 {
        let (bytes, rest) = rest.split_at_checked(usize::from(command))?;
        // Nothing is inserted by an instruction that is reserved.
        return (command != 0).then_some((Instruction::Insert(bytes), rest));
    }
    let mut number = |bits: std::ops::Range<u32>| -> Option<usize> {
        let mut number = 0;
        for (place, bit) in bits.enumerate() {
            if command >> bit & 1 == 1 {
                let (&byte, more) = rest.split_first()?;
                number |= usize::from(byte) << (8 * place);
                rest = more;
            }
        }
        Some(number)
    };
    let from = number(0..4)?;
    let length = match number(4..7)? {
        0 => 0x10000,
        length => length,
    };
    Some((Instruction::Copy { from, length }, rest))
}

/// The size of what a delta makes, from its start.
pub(in crate::repo) fn made_size(delta: &[u8]) -> Option<u64> {
    let (_, rest) = size(delta)?;
    Some(size(rest)?.0)
}

/// A size at the start of a delta, and what follows.
fn size(delta: &[u8]) -> Option<(u64, &[u8])> {
    let mut size = 0u64;
    for (at, byte) in delta.iter().enumerate().take(9) {
        size |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((size, &delta[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(delta: &[u8]) -> Result<(Vec<u8>, Vec<Part>), &'static str> {
        let (mut text, mut parts) = (Vec::new(), Vec::new());
        apply(delta, b"0123456789", &mut text, &mut parts)?;
        Ok((text, parts))
    }

    fn part(bytes: std::ops::Range<usize>, from: Option<usize>) -> Part {
        Part { bytes, from }
    }

    #[test]
    fn neighbours_are_one_part() {
        // 2..4 and 4..6 of the base, `a`, `bc`, 0..3.
        let delta = b"\x0a\x0a\x91\x02\x02\x91\x04\x02\x01a\x02bc\x90\x03";
        let (text, parts) = applied(delta).unwrap();
        assert_eq!(text, b"2345abc012");
        assert_eq!(
            parts,
            [part(0..4, Some(2)), part(4..7, None), part(7..10, Some(0))]
        );
        // 1..4 and 4..6 are neighbours, 3..5 and 6..8 are none.
        let delta = b"\x0a\x09\x91\x01\x03\x91\x04\x02\x91\x03\x02\x91\x06\x02";
        let (text, parts) = applied(delta).unwrap();
        assert_eq!(text, b"123453467");
        assert_eq!(
            parts,
            [
                part(0..5, Some(1)),
                part(5..7, Some(3)),
                part(7..9, Some(6))
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (delta, why) in [
            (&b"\x0a"[..], "cut off"),
            (b"\x0b\x01\x01a", "another base"),
            (b"\x0a\x02\x01a", "promises"),
            (b"\x0a\x01\x02ab", "promises"),
            (b"\x0a\x01\x02a", "promises"),
            (b"\x0a\x01\x00", "promises"),
            (b"\x0a\x01\x91", "promises"),
            (b"\x0a\x04\x91\x08\x04", "beyond"),
            (
                b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                "cut off",
            ),
            (b"\x0a\xff\xff\xff\xff\x7f\x01a", "larger"),
        ] {
            let error = applied(delta).unwrap_err();
            assert!(error.contains(why), "{error}: {why}");
        }
        assert_eq!(applied(b"\x0a\x00").unwrap(), (Vec::new(), Vec::new()));
    }
}
