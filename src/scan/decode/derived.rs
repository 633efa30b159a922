//! A text made of pieces of another, and the way back to the places there.

use std::ops::Range;

/// Bytes that became others, or that stayed: then both have the same length.
struct Piece {
    inner: usize,
    outer: Range<usize>,
}

/// The text, and where each part of it comes from.
#[derive(Default)]
pub(in crate::scan) struct Derived {
    pub(in crate::scan) text: Vec<u8>,
    pieces: Vec<Piece>,
    /// Places in `text` where something was taken out or put together.
    seams: Vec<usize>,
}

impl Derived {
    /// Takes bytes as they are.
    pub(in crate::scan) fn copy(&mut self, from: &[u8], outer: Range<usize>) {
        self.text.extend_from_slice(&from[outer.clone()]);
        if let Some(last) = self.pieces.last_mut()
            && last.outer.end == outer.start
            && last.outer.len() == self.text.len() - outer.len() - last.inner
        {
            last.outer.end = outer.end;
            return;
        }
        self.pieces.push(Piece {
            inner: self.text.len() - outer.len(),
            outer,
        });
    }

    /// Takes bytes for what stands at a place.
    pub(in crate::scan) fn put(&mut self, bytes: &[u8], outer: Range<usize>) {
        self.pieces.push(Piece {
            inner: self.text.len(),
            outer,
        });
        self.text.extend_from_slice(bytes);
    }

    /// Something was left out here.
    pub(super) fn seam(&mut self) {
        if self.seams.last() != Some(&self.text.len()) {
            self.seams.push(self.text.len());
        }
    }

    pub(super) fn has_seams(&self) -> bool {
        !self.seams.is_empty()
    }

    /// Whether a range of the text goes over a seam.
    pub(super) fn is_joined(&self, inner: &Range<usize>) -> bool {
        let next = self.seams.partition_point(|seam| *seam <= inner.start);
        self.seams.get(next).is_some_and(|seam| *seam < inner.end)
    }

    /// The bytes that a range of the text was made of, from the first to the last.
    pub(super) fn outer(&self, inner: &Range<usize>) -> Range<usize> {
        let at = |place: usize| -> (usize, Range<usize>) {
            let index = self.pieces.partition_point(|piece| piece.inner <= place);
            let Some(piece) = index.checked_sub(1).and_then(|at| self.pieces.get(at)) else {
                return (place, 0..0);
            };
            let next = self.pieces.get(index);
            let length = next.map_or(self.text.len(), |next| next.inner) - piece.inner;
            let inside = place - piece.inner;
            let one = if length == piece.outer.len() {
                piece.outer.start + inside..(piece.outer.start + inside + 1).min(piece.outer.end)
            } else {
                piece.outer.clone()
            };
            (inside, one)
        };
        let last = inner.end.saturating_sub(1).max(inner.start);
        let (first, last) = (at(inner.start).1, at(last).1);
        first.start.min(last.start)..last.end.max(first.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back() {
        let text = b"ab%5Fcd--ef";
        let mut derived = Derived::default();
        derived.copy(text, 0..1);
        derived.copy(text, 1..2);
        derived.put(b"_", 2..5);
        derived.copy(text, 5..7);
        derived.seam();
        derived.copy(text, 9..11);
        assert_eq!(derived.text, b"ab_cdef");
        assert_eq!(derived.outer(&(0..2)), 0..2);
        assert_eq!(derived.outer(&(1..3)), 1..5);
        assert_eq!(derived.outer(&(2..4)), 2..6);
        assert_eq!(derived.outer(&(3..7)), 5..11);
        assert!(derived.is_joined(&(4..6)));
        assert!(!derived.is_joined(&(0..5)) && !derived.is_joined(&(5..7)));
        assert_eq!(Derived::default().outer(&(0..0)), 0..0);
    }
}
