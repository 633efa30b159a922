//! Runs of base64, hex and base32 letters, also when they are folded over lines, in comments, in quotes or put together
//! from strings.

use std::ops::Range;

use super::derived::Derived;
use super::known::{EDGES, Folded, Found, Ground, Known, Phase, Segment, moved, short, take};
use super::{Layer, Map, PART_COST, Run};
use crate::budget::Exhausted;
use crate::scan::prefilter::is_base64_letter;

/// Shortest run of base64 or hex letters that is looked into.
const RUN_MIN_BYTES: usize = 24;
/// Shortest run of base32 letters: 16 bytes would be a word in upper case.
const BASE32_MIN_BYTES: usize = 32;
/// Shortest line of letters that goes on in the next.
pub(super) const LINE_MIN_BYTES: usize = 16;
/// Longest part between two lines of letters: blanks, quotes, an operator, a comment mark.
const FOLD_MAX_BYTES: usize = 48;
/// What lies so far around lines of letters tells whether they go on.
const AROUND_BYTES: usize = FOLD_MAX_BYTES + LINE_MIN_BYTES + 16;
/// Of a shorter run the bytes near its start tell whether it is made of words.
const LONG_RUN_BYTES: usize = 256;
/// What lies so far around a run tells whether it is made of words.
const BESIDE_BYTES: usize = 15;

impl Run<'_> {
    /// All runs of letters.
    pub(super) fn dense(
        &mut self,
        layer: Layer<'_>,
        ground: &Ground<'_>,
        mut keep: Option<&mut Known>,
        found: &mut Found,
    ) -> Result<(), Exhausted> {
        let mut covered = 0;
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for segment in ground.segments(EDGES) {
            match (segment, ground.known) {
                (Segment::Fresh(part), _) => {
                    let first = runs.len();
                    runs_in(layer.text, part, &mut runs);
                    for &run in &runs[first..] {
                        if !self.one_run(layer, ground, run, &mut covered, &mut keep, found)? {
                            return Ok(());
                        }
                    }
                }
                (Segment::Kept(kept), Some(known)) => {
                    let (bytes, shift) = (kept.bytes, kept.shift);
                    let old = moved(bytes.start, -shift);
                    let mut lines = known.folded.partition_point(|one| (one.at as usize) < old);
                    let first = runs.len();
                    take(
                        &known.runs,
                        &bytes,
                        shift,
                        |run| run.0,
                        |run| runs.push(*run),
                    );
                    for slot in &mut runs[first..] {
                        let run = *slot;
                        while known.folded.get(lines).is_some_and(|one| one.at < run.0) {
                            lines += 1;
                        }
                        let before = known.folded.get(lines).filter(|one| one.at == run.0);
                        let (start, mut end) =
                            (moved(run.0 as usize, shift), moved(run.1 as usize, shift));
                        if let Some(before) = before.and_then(|one| one.inside(&bytes, shift))
                            && covered <= before.start as usize
                        {
                            *slot = (short(start), short(end));
                            if !known.hits.is_empty() {
                                found.key = (Phase::Dense, start, 0);
                                self.take_key(ground, found, shift);
                            }
                            covered = before.end as usize;
                            if let Some(keep) = &mut keep {
                                keep.folded.push(before);
                            }
                            continue;
                        }
                        if ground.shift(start, 1, end, 1).is_none() {
                            end = run_end(layer.text, start);
                        }
                        *slot = (short(start), short(end));
                        if !self.one_run(layer, ground, *slot, &mut covered, &mut keep, found)? {
                            return Ok(());
                        }
                    }
                }
                (Segment::Kept(_), None) => {}
            }
        }
        if let Some(keep) = keep {
            keep.runs = runs;
        }
        Ok(())
    }

    /// Looks into one run of letters. `false`: a bound was reached.
    fn one_run(
        &mut self,
        layer: Layer<'_>,
        ground: &Ground<'_>,
        (start, end): (u32, u32),
        covered: &mut usize,
        keep: &mut Option<&mut Known>,
        found: &mut Found,
    ) -> Result<bool, Exhausted> {
        let (text, start, end) = (layer.text, start as usize, end as usize);
        if end <= *covered || is_words(text, &(start..end)) {
            return Ok(true);
        }
        found.key = (Phase::Dense, start, 0);
        self.work.pace(PART_COST, self.budget)?;
        let before = self.left();
        let folded = match self.known_lines(ground, start, *covered) {
            Some((lines, shift)) => {
                self.take_key(ground, found, shift);
                lines
            }
            None if end - start < RUN_MIN_BYTES && is_alone(text, start..end, *covered) => Folded {
                at: short(start),
                start: short(start),
                end: short(end),
                is_free: true,
            },
            None => {
                let run = Letters::around(text, start, *covered);
                self.work.pace(run.range.len(), self.budget)?;
                if run.letters.text.len() >= RUN_MIN_BYTES && !self.run(layer, &run, found)? {
                    return Ok(false);
                }
                Folded {
                    at: short(start),
                    start: short(run.range.start),
                    end: short(run.range.end),
                    is_free: *covered <= run.range.start && begins_alone(text, run.range.start),
                }
            }
        };
        *covered = folded.end as usize;
        self.spent(before, keep.as_deref_mut());
        if let Some(keep) = keep {
            keep.folded.push(folded);
        }
        Ok(true)
    }

    /// The lines that the run at `start` was found to be of before, if all that tells so was copied together.
    fn known_lines(
        &self,
        ground: &Ground<'_>,
        start: usize,
        covered: usize,
    ) -> Option<(Folded, i64)> {
        let known = ground.known?;
        let shift = ground.shift(start, 0, start + 1, 0)?;
        let at = short(moved(start, -shift));
        let index = known.folded.binary_search_by_key(&at, |one| one.at).ok()?;
        let before = known.folded[index];
        let place = |place: u32| moved(place as usize, shift);
        let (from, to) = (place(before.start), place(before.end));
        let is_whole = ground.shift(from, AROUND_BYTES, to, AROUND_BYTES) == Some(shift);
        let is_free = covered <= from;
        (is_whole && is_free && before.is_free).then_some((
            Folded {
                at: short(start),
                start: short(from),
                end: short(to),
                is_free: true,
            },
            shift,
        ))
    }

    /// `false`: a bound was reached.
    fn run(
        &mut self,
        layer: Layer<'_>,
        run: &Letters,
        found: &mut Found,
    ) -> Result<bool, Exhausted> {
        let letters = &run.letters.text;
        let is_hex = letters.iter().all(u8::is_ascii_hexdigit);
        // `0x…`, `key_…`: one letter that is no digit does not make all of it base64.
        if !is_hex && !self.hex_stretches(layer, run.range.clone(), found)? {
            return Ok(false);
        }
        if letters.len() >= BASE32_MIN_BYTES
            && let Some(inner) = from_base32(letters)
        {
            let place = run.range.clone();
            if !self.inner(layer, &inner, place, Map::Whole, "base32", found)? {
                return Ok(false);
            }
        }
        let (steps, name) = if is_hex { (2, "hex") } else { (4, "base64") };
        // What stands before the run may be letters too (a path, a word): every alignment is tried.
        let mut inner = Vec::new();
        for skip in 0..steps {
            let (count, of) = if is_hex {
                inner = from_hex(&letters[skip..]);
                (1, 2)
            } else {
                decode_base64(&letters[skip..], &mut inner);
                (3, 4)
            };
            let map = Map::Linear {
                count,
                of,
                skip,
                letters: &run.letters,
            };
            if !self.inner(layer, &inner, run.range.clone(), map, name, found)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stretches of hex digits inside a run of letters, each line for itself. `false`: a bound was reached.
    fn hex_stretches(
        &mut self,
        layer: Layer<'_>,
        run: Range<usize>,
        found: &mut Found,
    ) -> Result<bool, Exhausted> {
        let text = layer.text;
        let mut at = run.start;
        // Looked at from the far end: what breaks a stretch there spares the rest of it.
        while at + RUN_MIN_BYTES <= run.end {
            let last = at + RUN_MIN_BYTES - 1;
            let broken = (at..=last).rev().find(|&at| !text[at].is_ascii_hexdigit());
            if let Some(broken) = broken {
                at = broken + 1;
                continue;
            }
            let mut end = last + 1;
            while end < run.end && text[end].is_ascii_hexdigit() {
                end += 1;
            }
            let mut letters = Derived::default();
            letters.copy(text, at..end);
            for skip in 0..2 {
                let inner = from_hex(&text[at + skip..end]);
                let map = Map::Linear {
                    count: 1,
                    of: 2,
                    skip,
                    letters: &letters,
                };
                if !self.inner(layer, &inner, at..end, map, "hex", found)? {
                    return Ok(false);
                }
            }
            at = end + 1;
        }
        Ok(true)
    }
}

impl Folded {
    /// The same in a new text, if all that tells of it lies in a part that was copied together.
    fn inside(&self, bytes: &Range<usize>, shift: i64) -> Option<Folded> {
        let place = |place: u32| moved(place as usize, shift);
        let (start, end) = (place(self.start), place(self.end));
        let is_inside = start >= bytes.start + AROUND_BYTES && end + AROUND_BYTES <= bytes.end;
        (self.is_free && is_inside).then_some(Folded {
            at: short(place(self.at)),
            start: short(start),
            end: short(end),
            is_free: true,
        })
    }
}

/// The runs that start in a part of the text, from the length of a line on.
fn runs_in(text: &[u8], part: Range<usize>, runs: &mut Vec<(u32, u32)>) {
    /// Bytes that are looked at together: a line of letters has one such word at least.
    const WORD: usize = 8;
    const STEP: usize = 4 * WORD;
    let to = (part.end + LINE_MIN_BYTES).min(text.len());
    let mut at = part.start;
    let mut known_to = part.start;
    let mut look = |at: usize| {
        if at < known_to {
            return;
        }
        // A long run that begins before is not followed to its ends again and again.
        let before = text[part.start..at].iter().rev();
        let start = at
            - before
                .take_while(|byte| LETTERS[usize::from(**byte)])
                .count();
        let begins = start > part.start || start == 0 || !is_base64_letter(text[start - 1]);
        known_to = run_end(if begins { text } else { &text[..to] }, at);
        let run = start..known_to;
        if begins
            && part.contains(&start)
            && run.len() >= LINE_MIN_BYTES
            && (run.len() > LONG_RUN_BYTES || !is_words(text, &run))
        {
            runs.push((short(run.start), short(run.end)));
        }
    };
    while let Some(step) = text[..to]
        .get(at..)
        .and_then(|rest| rest.first_chunk::<STEP>())
    {
        // Without a branch: it becomes vector code.
        let mut letters = [0; STEP];
        for (letter, byte) in letters.iter_mut().zip(step) {
            *letter = u8::from(is_base64_letter(*byte));
        }
        let (words, _) = letters.as_chunks::<WORD>();
        for (word, letters) in words.iter().enumerate() {
            if u64::from_le_bytes(*letters) == u64::from_le_bytes([1; WORD]) {
                look(at + word * WORD);
            }
        }
        at += STEP;
    }
    while at + WORD <= to {
        if text[at..at + WORD]
            .iter()
            .all(|byte| is_base64_letter(*byte))
        {
            look(at);
        }
        at += WORD;
    }
}

fn run_end(text: &[u8], at: usize) -> usize {
    let letters = text[at..].iter();
    let letters = letters.take_while(|byte| LETTERS[usize::from(**byte)]);
    at + letters.count()
}

/// The letters of base64 and base64url, for looking at one byte after another.
pub(super) const LETTERS: [bool; 256] = {
    let mut letters = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = is_base64_letter(byte as u8);
        byte += 1;
    }
    letters
};

/// Whether a run of letters is made of words, lines and paths in lower case. What is encoded has capitals and digits: in
/// base64 a group of text has none only where its first byte is one of `jnrvz`; hex of text has a digit for each byte.
fn is_words(text: &[u8], run: &Range<usize>) -> bool {
    let around = run.start.saturating_sub(BESIDE_BYTES)..(run.end + BESIDE_BYTES).min(text.len());
    let telling = |byte: &u8| u8::from(byte.is_ascii_uppercase() | byte.is_ascii_digit());
    // Pieces of a size that one byte can count, and that become vector instructions.
    text[around]
        .chunks(128)
        .all(|piece| piece.iter().map(telling).sum::<u8>() < 3)
}

/// Letters of one run, without what stands between its lines.
struct Letters {
    range: Range<usize>,
    letters: Derived,
}

impl Letters {
    /// The letters around `at`, from `from` on.
    fn around(text: &[u8], at: usize, from: usize) -> Letters {
        let mut start = at;
        loop {
            while start > from && is_base64_letter(text[start - 1]) {
                start -= 1;
            }
            // Short lines need not show in the walk: the armour may have begun before this one.
            match fold_before(text, start, from) {
                Some(end) => start = end,
                None => break,
            }
        }
        let mut letters = Derived::default();
        let mut end = start;
        let mut is_hex = true;
        loop {
            let line = end;
            end = run_end(text, end);
            letters.copy(text, line..end);
            // JSON writes a slash like this.
            if text[end..].starts_with(b"\\/") && end > line {
                letters.put(b"/", end..end + 2);
                end += 2;
                is_hex = false;
                continue;
            }
            if end - line < LINE_MIN_BYTES {
                break;
            }
            is_hex &= text[line..end].iter().all(u8::is_ascii_hexdigit);
            let Some(next) = fold(text, end) else { break };
            // A digest in hex, and a word in the next line.
            if is_hex && !text[next..].iter().take(4).all(u8::is_ascii_hexdigit) {
                break;
            }
            end = next;
        }
        Letters {
            range: start..end,
            letters,
        }
    }
}

/// Whether a whole run of letters is no part of a longer one that is folded over lines. The same as to put it together with
/// its lines and to find no other; of most runs in code it is all there is to know.
fn is_alone(text: &[u8], run: Range<usize>, from: usize) -> bool {
    from <= run.start
        && (run.len() < LINE_MIN_BYTES || fold(text, run.end).is_none())
        && !text[run.end..].starts_with(b"\\/")
        && begins_alone(text, run.start)
}

/// Whether no letters and no line before `start` go on there, wherever the search for runs has got to.
fn begins_alone(text: &[u8], start: usize) -> bool {
    let is_letter = |at: usize| is_base64_letter(text[at]);
    !start.checked_sub(1).is_some_and(is_letter) && fold_before(text, start, 0).is_none()
}

/// Where the line of letters that ends at `end` goes on.
fn fold(text: &[u8], end: usize) -> Option<usize> {
    let rest = &text[end..text.len().min(end + FOLD_MAX_BYTES)];
    let mut at = 0;
    let mut breaks = 0;
    let mut is_plain = true;
    loop {
        let blank_follows = || matches!(rest.get(at + 1), Some(b' ' | b'\t' | b'\r' | b'\n'));
        match rest[at..] {
            [b'\\', b'r', b'\\', b'n', ..] => {
                at += 4;
                breaks += 1;
            }
            [b'\\', b'n', ..] => {
                at += 2;
                breaks += 1;
            }
            [b' ' | b'\t' | b'\r', ..] => at += 1,
            [b'\n', ..] => {
                at += 1;
                breaks += 1;
            }
            [b'/', b'/', b' ' | b'\t', ..] | [b'-', b'-', b' ' | b'\t', ..] if breaks > 0 => {
                at += 2;
                is_plain = false;
            }
            [b'+', ..] if blank_follows() || rest.get(at + 1) == Some(&b'"') => {
                at += 1;
                is_plain = false;
            }
            [
                b'"' | b'\'' | b'`' | b',' | b'.' | b'&' | b'|' | b'\\' | b'#' | b'*' | b';' | b'>',
                ..,
            ]
            | [b'<' | b'(' | b')' | b'~' | b'$' | b'@', ..] => {
                at += 1;
                is_plain = false;
            }
            [letter, ..] if is_base64_letter(letter) => break,
            _ => return None,
        }
    }
    let next = end + at;
    if breaks == 0 || breaks > 2 {
        return None;
    }
    // In quotes and comments the next word may be another: a key of JSON, prose.
    let more = text[next..].iter().take(LINE_MIN_BYTES);
    let count = more.take_while(|byte| is_base64_letter(**byte)).count();
    let is_last = matches!(
        text.get(next + count),
        None | Some(b'=' | b'"' | b'\'' | b'`' | b'\r' | b'\n' | b'\\')
    ) && !text[next + count..].starts_with(b"\":");
    (is_plain || count == LINE_MIN_BYTES || is_last).then_some(next)
}

/// The end of a line of letters that goes on at `start`.
fn fold_before(text: &[u8], start: usize, from: usize) -> Option<usize> {
    let back = &text[from.max(start.saturating_sub(FOLD_MAX_BYTES))..start];
    // Of what begins a word only the letters of an escaped line end stand between two lines.
    let is_word = |at: usize| {
        let is_end = matches!(back[at], b'r' | b'n') && at > 0 && back[at - 1] == b'\\';
        !is_end && (back[at].is_ascii_alphanumeric() || back[at] == b'_')
    };
    let between = (0..back.len()).rev().find(|&at| is_word(at));
    let between = &back[between.map_or(0, |at| at + 1)..];
    memchr::memchr2(b'\n', b'\\', between)?;
    let first = start - between.len();
    (first.max(start - back.len() + 1)..start)
        .rev()
        .find(|&end| {
            is_base64_letter(text[end - 1])
                && !is_base64_letter(text[end])
                && end - from >= LINE_MIN_BYTES
                && text[end - LINE_MIN_BYTES..end]
                    .iter()
                    .all(|byte| is_base64_letter(*byte))
                && fold(text, end) == Some(start)
        })
}

/// The value of each letter of base64 and base64url, 63 for any other byte.
const SIX: [u8; 256] = {
    let mut six = [63; 256];
    let mut value = 0;
    while value < 26 {
        six[(b'A' + value) as usize] = value;
        six[(b'a' + value) as usize] = value + 26;
        if value < 10 {
            six[(b'0' + value) as usize] = value + 52;
        }
        value += 1;
    }
    six[b'+' as usize] = 62;
    six[b'-' as usize] = 62;
    six
};

/// Base64 and base64url, letters alone. A lone letter at the end gives nothing.
pub(in crate::scan) fn from_base64(letters: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    decode_base64(letters, &mut out);
    out
}

fn decode_base64(letters: &[u8], out: &mut Vec<u8>) {
    let six = |byte: &u8| u32::from(SIX[usize::from(*byte)]);
    let (fours, rest) = letters.as_chunks::<4>();
    out.clear();
    out.reserve(3 * fours.len() + 2);
    out.resize(3 * fours.len(), 0);
    for ([a, b, c, d], three) in fours.iter().zip(out.as_chunks_mut::<3>().0) {
        let bits = six(a) << 18 | six(b) << 12 | six(c) << 6 | six(d);
        let [_, first, second, third] = bits.to_be_bytes();
        *three = [first, second, third];
    }
    if let [a, b, more @ ..] = rest {
        let bits = six(a) << 18 | six(b) << 12 | more.first().map_or(0, |c| six(c) << 6);
        out.extend(&bits.to_be_bytes()[1..2 + more.len()]);
    }
}

/// Base64 with its padding. `None`: the padding is not right.
pub(in crate::scan) fn from_base64_padded(text: &[u8]) -> Option<Vec<u8>> {
    let letters = text
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(text.len());
    let padding = &text[letters..];
    (text.len().is_multiple_of(4) && padding.len() <= 2 && padding.iter().all(|byte| *byte == b'='))
        .then(|| from_base64(&text[..letters]))
}

fn from_hex(letters: &[u8]) -> Vec<u8> {
    let four = |byte: u8| {
        (byte as char)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    letters
        .chunks_exact(2)
        .filter_map(|two| Some(four(two[0])? << 4 | four(two[1])?))
        .collect()
}

/// `None`: a letter is not one of base32.
fn from_base32(letters: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(letters.len() / 8 * 5 + 5);
    let (mut bits, mut count) = (0u32, 0);
    for letter in letters {
        let five = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(five);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}
