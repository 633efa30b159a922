//! One walk that finds the few bytes behind which something may be hidden: quotes that may be joints of a split string,
//! and the first bytes of escapes.

/// Bytes that one step looks at.
const STEP: usize = 32;
const WORD: usize = 8;

/// Calls `visit` with the place of every `"`, `'`, `%`, `&` and backslash.
#[inline(always)]
pub(super) fn each(text: &[u8], mut visit: impl FnMut(usize)) {
    // Zeros, numbers and letters alone have none.
    if memchr::memchr3(b'"', b'\'', b'\\', text).is_none()
        && memchr::memchr2(b'%', b'&', text).is_none()
    {
        return;
    }
    let (steps, rest) = text.as_chunks::<STEP>();
    for (step, bytes) in steps.iter().enumerate() {
        for (word, mut odd) in odd_bytes(bytes).into_iter().enumerate() {
            while odd != 0 {
                visit(step * STEP + word * WORD + odd.trailing_zeros() as usize / 8);
                odd &= odd - 1;
            }
        }
    }
    let start = text.len() - rest.len();
    for (at, byte) in rest.iter().enumerate() {
        if is_odd(*byte) {
            visit(start + at);
        }
    }
}

/// No branches: the compiler makes vector instructions of it.
#[inline(always)]
pub(super) fn is_odd(byte: u8) -> bool {
    // `%`, `&` and `'` stand side by side.
    (byte == b'"') | (byte.wrapping_sub(b'%') < 3) | (byte == b'\\')
}

/// One for each odd byte, at its place.
#[inline(always)]
fn odd_bytes(bytes: &[u8; STEP]) -> [u64; STEP / WORD] {
    // Not with `map`: that does not become vector code.
    let mut odd = [0; STEP];
    for (odd, byte) in odd.iter_mut().zip(bytes) {
        *odd = u8::from(is_odd(*byte));
    }
    let (words, _) = odd.as_chunks::<WORD>();
    let mut odd = [0; STEP / WORD];
    for (odd, word) in odd.iter_mut().zip(words) {
        *odd = u64::from_le_bytes(*word);
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for length in [0, 1, 31, 32, 33, 70] {
            for at in 0..length {
                for byte in 0..=255u8 {
                    let mut text = vec![b'.'; length];
                    text[at] = byte;
                    let mut seen = Vec::new();
                    each(&text, |at| seen.push(at));
                    let expected = if is_odd(byte) { vec![at] } else { Vec::new() };
                    assert_eq!(seen, expected, "{byte} at {at} of {length}");
                }
            }
        }
        let mut count = 0;
        each(&b"\"'%&\\".repeat(50), |_| count += 1);
        assert_eq!(count, 250);
    }
}
