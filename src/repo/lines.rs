//! Which lines a new version of a file adds to an old one.

use std::ops::Range;

use imara_diff::sources::byte_lines;
use imara_diff::{Algorithm, Diff, InternedInput};

/// The lines that one version of a file adds to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// How many.
    pub lines: u64,
    /// Where they are in the new version, in bytes, in order, line ends included.
    pub bytes: Vec<Range<usize>>,
}

impl Added {
    /// Compares two versions line by line.
    pub fn between(old: &[u8], new: &[u8]) -> Self {
        let mut input = InternedInput::default();
        input.update_before(byte_lines(old));
        input.update_after(byte_lines(new));
        let diff = Diff::compute(Algorithm::Histogram, &input);
        let mut starts = Vec::with_capacity(input.after.len() + 1);
        let mut start = 0;
        for token in &input.after {
            starts.push(start);
            start += input.interner[*token].len();
        }
        starts.push(start);
        let mut added = Added {
            lines: 0,
            bytes: Vec::new(),
        };
        for hunk in diff.hunks() {
            let lines = hunk.after.start as usize..hunk.after.end as usize;
            if !lines.is_empty() {
                added.lines += lines.len() as u64;
                added.bytes.push(starts[lines.start]..starts[lines.end]);
            }
        }
        added
    }

    /// Whether any added line holds one of these bytes. An empty range stands for its position.
    pub fn touches(&self, bytes: &Range<usize>) -> bool {
        let end = bytes.end.max(bytes.start + 1);
        self.bytes
            .iter()
            .any(|added| added.start < end && bytes.start < added.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inserted_line_is_added_and_its_neighbours_are_not() {
        let added = Added::between(b"a\nb\nc\n", b"a\nx\nb\nc\n");
        assert_eq!(added.lines, 1);
        assert!(added.touches(&(2..4)));
        assert!(added.touches(&(2..3)) && added.touches(&(0..3)));
        assert!(!added.touches(&(0..2)) && !added.touches(&(4..5)));
    }

    #[test]
    fn a_second_copy_of_a_line_is_added() {
        assert_eq!(Added::between(b"s\n", b"s\ns\n").lines, 1);
    }

    #[test]
    fn a_last_line_without_end_counts() {
        assert!(Added::between(b"", b"a\nb").touches(&(2..3)));
        assert_eq!(Added::between(b"", b"a\nb").lines, 2);
        assert_eq!(Added::between(b"a", b"").lines, 0);
    }
}
