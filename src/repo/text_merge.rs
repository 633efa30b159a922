//! Three-way merge of the lines of one file, as git's own merge does it.
//!
//! Used to tell what the automatic merge of two parents would have given. git leaves the choice of the diff algorithm
//! to its user, and different algorithms line up repeated lines differently, so a few of them are offered: a result
//! that any of them gives is an automatic merge.

use imara_diff::{Algorithm, Diff, Hunk, IndentHeuristic, IndentLevel, Interner, Token, sources};

/// Files above this size are not merged line by line: they conflict.
pub(super) const TEXT_MERGE_MAX_BYTES: usize = 1 << 20;

/// git looks for a NUL in this many bytes to tell binary files.
const BINARY_PROBE_BYTES: usize = 8000;

/// One way to line up two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Engine {
    /// What `git merge` uses.
    Histogram,
    /// What `git merge-file` and older merges use.
    Myers,
    /// Histogram, with hunks slid to indentation as `git diff` does.
    Indented,
}

/// All engines, the likeliest first.
pub(super) const ENGINES: [Engine; 3] = [Engine::Histogram, Engine::Myers, Engine::Indented];

/// The result of a merge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    /// The text; with conflict markers where the sides disagree.
    pub(super) text: Vec<u8>,
    /// No side disagreed with the other.
    pub(super) clean: bool,
}

/// Whether git would merge this content line by line.
pub(super) fn is_text(content: &[u8]) -> bool {
    content.len() <= TEXT_MERGE_MAX_BYTES
        && memchr::memchr(0, &content[..content.len().min(BINARY_PROBE_BYTES)]).is_none()
}

/// Merges what `ours` and `theirs` made of `base`.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], engine: Engine) -> Merged {
    let mut interner = Interner::new(64);
    let mut lines = |text| -> Vec<Token> {
        sources::byte_lines(text)
            .map(|line| interner.intern(line))
            .collect()
    };
    let base = lines(base);
    let sides = [lines(ours), lines(theirs)];
    let hunks = [
        hunks(&base, &sides[0], engine, &interner),
        hunks(&base, &sides[1], engine, &interner),
    ];

    let mut merged = Merged {
        text: Vec::new(),
        clean: true,
    };
    let write = |tokens: &[Token], text: &mut Vec<u8>| {
        for token in tokens {
            text.extend_from_slice(interner[*token]);
        }
    };
    // How far each side has been read, in hunks; how far the base has been written, in lines.
    let mut next = [0, 0];
    let mut done = 0;
    // What to add to a line of the base to get the line of the side, behind the hunks read so far.
    let mut offset = [0_i64, 0];
    while let Some(start) = first_start(&hunks, next) {
        write(&base[done..start], &mut merged.text);
        let mut end = start;
        let entry = offset;
        let mut has_read = [false, false];
        // Hunks that touch belong together: git, too, needs an unchanged line between two sides' changes.
        loop {
            let before = end;
            for side in 0..2 {
                while let Some(hunk) = hunks[side].get(next[side]) {
                    if hunk.before.start as usize > end {
                        break;
                    }
                    end = end.max(hunk.before.end as usize);
                    offset[side] = i64::from(hunk.after.end) - i64::from(hunk.before.end);
                    next[side] += 1;
                    has_read[side] = true;
                }
            }
            // The first hunk may be empty in the base (an insertion): one more round finds what touches it.
            if end == before {
                break;
            }
        }
        let region = |side: usize| -> &[Token] {
            &sides[side][shift(start, entry[side])..shift(end, offset[side])]
        };
        if !has_read[1] || region(0) == region(1) {
            write(region(0), &mut merged.text);
        } else if !has_read[0] {
            write(region(1), &mut merged.text);
        } else {
            merged.clean = false;
            marker(b"<<<<<<<\n", &mut merged.text);
            write(region(0), &mut merged.text);
            marker(b"=======\n", &mut merged.text);
            write(region(1), &mut merged.text);
            marker(b">>>>>>>\n", &mut merged.text);
        }
        done = end;
    }
    write(&base[done..], &mut merged.text);
    merged
}

fn shift(line: usize, by: i64) -> usize {
    usize::try_from(line as i64 + by).expect("hunks come in order and inside the side")
}

fn marker(line: &[u8], text: &mut Vec<u8>) {
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(line);
}

fn first_start(hunks: &[Vec<Hunk>; 2], next: [usize; 2]) -> Option<usize> {
    let start = |side: usize| hunks[side].get(next[side]).map(|hunk| hunk.before.start);
    let first = match (start(0), start(1)) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    Some(first as usize)
}

fn hunks(base: &[Token], side: &[Token], engine: Engine, interner: &Interner<&[u8]>) -> Vec<Hunk> {
    let algorithm = match engine {
        Engine::Histogram | Engine::Indented => Algorithm::Histogram,
        Engine::Myers => Algorithm::Myers,
    };
    let mut diff = Diff::default();
    diff.compute_with(algorithm, base, side, interner.num_tokens());
    if engine == Engine::Indented {
        diff.postprocess_with(
            base,
            side,
            IndentHeuristic::new(|token: Token| {
                IndentLevel::for_ascii_line(interner[token].iter().copied(), 8)
            }),
        );
    } else {
        diff.postprocess_with(base, side, imara_diff::NoSliderHeuristic);
    }
    diff.hunks().collect()
}

#[cfg(test)]
mod tests;
