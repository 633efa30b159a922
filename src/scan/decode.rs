//! Unpacks what is encoded inside a text, and scans every layer. Bounded in depth, bytes, streams and time; what a
//! bound kept it from is told, never passed over.

use std::io::Read;
use std::ops::Range;

use super::compile::Form;
use super::confirm::{self, Window, Work};
use super::escapes;
use super::prefilter::{BLOCK, Visit, is_base64_letter};
use super::rules::Pack;
use super::{Limits, Match, settle};
use crate::budget::{Budget, Exhausted};

/// Shortest run of base64 or hex letters that is looked into.
const RUN_MIN_BYTES: usize = 24;
/// What noting a keyword costs, and what looking at one encoded part costs beside its bytes.
const KEYWORD_COST: usize = 64;
const PART_COST: usize = 512;
/// Shortest line of letters that goes on in the next.
const LINE_MIN_BYTES: usize = 16;
/// Unpacked streams are scanned in pieces of this size, so that a bomb costs no memory.
const PIECE_BYTES: usize = 1 << 20;
/// What two pieces share: longer than any secret.
const SHARED_BYTES: usize = 16 << 10;

/// One text and everything inside it.
pub(super) struct Run<'a> {
    pack: &'a Pack,
    budget: &'a Budget,
    depth: u32,
    decoded_left: u64,
    streams_left: u64,
    work: Work,
    pub(super) unscanned: Vec<(Range<usize>, &'static str)>,
}

/// How places in an unpacked layer relate to the layer that holds it.
#[derive(Clone, Copy)]
enum Map {
    /// The packed part as a whole.
    Whole,
    /// `count` bytes unpacked are `of` bytes packed.
    Linear { count: usize, of: usize },
}

impl Map {
    fn outer(self, packed: &Range<usize>, inner: &Range<usize>) -> Range<usize> {
        match self {
            Map::Whole => packed.clone(),
            Map::Linear { count, of } => {
                let start =
                    packed.start + inner.start / count * of + inner.start % count * of / count;
                let end = packed.start + (inner.end * of).div_ceil(count);
                start..end.min(packed.end)
            }
        }
    }
}

/// What the walk over one layer noted.
struct Notes<'p> {
    pack: &'p Pack,
    budget: &'p Budget,
    work: &'p mut Work,
    /// The clock ran out during the walk; nothing more is noted.
    over: Option<Exhausted>,
    text: &'p [u8],
    windows: Vec<Window>,
    /// Index of the last window of each rule, plus one. Made on the first hit.
    last: Vec<u32>,
    marks: Vec<usize>,
    dense: Vec<Range<usize>>,
}

impl Visit for Notes<'_> {
    fn keyword(&mut self, keyword: usize, start: usize) {
        if self.over.is_some() {
            return;
        }
        if let Err(over) = self.work.pace(KEYWORD_COST, self.budget) {
            self.over = Some(over);
            return;
        }
        let Some(rules) = self.pack.rules_of_keyword(keyword) else {
            self.marks.push(start);
            return;
        };
        if self.last.is_empty() {
            self.last = vec![0; self.pack.len()];
        }
        let keyword = start..start + self.pack.prefilter.keyword(keyword).bytes.len();
        for rule in rules {
            let wanted = self.pack.rule(usize::from(rule));
            let Some(window) = wanted.window(self.text, keyword.clone()) else {
                continue;
            };
            // Neighbours are asked about together; an assignment is read from its own name.
            let last = &mut self.last[usize::from(rule)];
            if *last > 0
                && wanted.form != Form::Assigned
                && let before = &mut self.windows[*last as usize - 1]
                && window.start <= before.end
            {
                before.start = before.start.min(window.start);
                before.end = before.end.max(window.end);
                continue;
            }
            self.windows.push(Window {
                rule,
                start: window.start,
                end: window.end,
            });
            *last = u32::try_from(self.windows.len()).unwrap_or(0);
        }
    }

    fn dense(&mut self, start: usize) {
        match self.dense.last_mut() {
            Some(last) if last.end == start => last.end = start + BLOCK,
            _ => self.dense.push(start..start + BLOCK),
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(pack: &'a Pack, limits: &Limits, length: usize, budget: &'a Budget) -> Self {
        let of = |(base, factor): (u64, u64)| base + factor * length as u64;
        Run {
            pack,
            budget,
            depth: limits.depth,
            decoded_left: of(limits.decoded),
            streams_left: limits.streams,
            work: Work::new(of(limits.confirmed)),
            unscanned: Vec::new(),
        }
    }

    /// Scans one layer and what is packed in it. Places are those of this layer.
    pub(super) fn layer(
        &mut self,
        text: &[u8],
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        let before = found.len();
        self.unsettled(text, depth, found)?;
        // Here the places are still apart: in the layer outside, a packed part is one place.
        if found.len() > before + 1 {
            let settled = settle(found.split_off(before));
            found.extend(settled);
        }
        Ok(())
    }

    fn unsettled(
        &mut self,
        text: &[u8],
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        let mut notes = Notes {
            pack: self.pack,
            budget: self.budget,
            work: &mut self.work,
            over: None,
            text,
            windows: Vec::new(),
            last: Vec::new(),
            marks: Vec::new(),
            dense: Vec::new(),
        };
        self.pack.prefilter.walk(text, &mut notes);
        let Notes {
            windows,
            marks,
            dense,
            over,
            ..
        } = notes;
        if let Some(over) = over {
            return Err(over);
        }
        let mut confirmed = Vec::new();
        for window in windows {
            let stopped = confirm::window(
                self.pack,
                text,
                window,
                &mut self.work,
                self.budget,
                &mut confirmed,
            )?;
            if let Some(why) = stopped {
                self.give_up(window.start..window.end, why);
                break;
            }
        }
        found.extend(confirmed.into_iter().map(|hit| Match {
            rule: hit.rule,
            value: text[hit.value.clone()].to_vec(),
            bytes: hit.value,
            confidence: hit.confidence,
            via: Vec::new(),
        }));

        for (packed, plain) in escapes::unescaped(text) {
            if !self.inner(&plain, packed, Map::Whole, "escapes", depth, found)? {
                break;
            }
        }
        let zlib = is_zlib(text) && (depth > 0 || marks.is_empty());
        let has_nul = memchr::memchr(0, text).is_some();
        if dense.is_empty() && marks.is_empty() && !has_nul && !zlib {
            return Ok(());
        }
        if has_nul {
            self.wide(text, depth, found)?;
        }
        self.dense(text, &dense, depth, found)?;
        let mut covered = 0;
        for mark in marks {
            if mark >= covered {
                covered = self.stream(text, mark, depth, found)?;
            }
        }
        if zlib {
            let mut packed = flate2::bufread::ZlibDecoder::new(text);
            self.unpack(&mut packed, 0..text.len(), "zlib", depth, found)?;
        }
        Ok(())
    }

    fn give_up(&mut self, bytes: Range<usize>, why: &'static str) {
        // One of a kind is enough to say that the text was not looked into as a whole.
        if !self.unscanned.iter().any(|(_, known)| *known == why) {
            self.unscanned.push((bytes, why));
        }
    }

    /// Scans an unpacked layer and gives its findings the place of the packed one.
    fn inner(
        &mut self,
        inner: &[u8],
        packed: Range<usize>,
        map: Map,
        name: &'static str,
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<bool, Exhausted> {
        if depth + 1 > self.depth {
            self.give_up(packed, "encoded too many times");
            return Ok(false);
        }
        let Some(left) = self.decoded_left.checked_sub(inner.len() as u64 + 1) else {
            self.give_up(packed, "unpacks to too much");
            return Ok(false);
        };
        self.decoded_left = left;
        self.work.pace(PART_COST + inner.len(), self.budget)?;
        let before = found.len();
        let told = self.unscanned.len();
        self.layer(inner, depth + 1, found)?;
        for hit in &mut found[before..] {
            hit.bytes = map.outer(&packed, &hit.bytes);
            hit.via.insert(0, name);
        }
        for (bytes, _) in &mut self.unscanned[told..] {
            *bytes = map.outer(&packed, bytes);
        }
        Ok(true)
    }

    /// UTF-16, both ways, with or without a byte order mark: every second byte is NUL.
    fn wide(&mut self, text: &[u8], depth: u32, found: &mut Vec<Match>) -> Result<(), Exhausted> {
        let mut at = 0;
        while at + BLOCK <= text.len() {
            let block = &text[at..at + BLOCK];
            let even = block.iter().step_by(2).all(|byte| *byte != 0);
            let odd = block.iter().skip(1).step_by(2).all(|byte| *byte != 0);
            let no_even = block.iter().step_by(2).all(|byte| *byte == 0);
            let no_odd = block.iter().skip(1).step_by(2).all(|byte| *byte == 0);
            let letter = match (even && no_odd, odd && no_even) {
                (true, _) => at,
                (_, true) => at + 1,
                _ => {
                    at += BLOCK;
                    self.work.pace(BLOCK, self.budget)?;
                    continue;
                }
            };
            // A letter at `letter`, its NUL on one side: which side does not matter for the walk.
            let other = if letter == at { at + 1 } else { at };
            let pair = |letter: usize, other: usize| {
                text.get(letter).is_some_and(|byte| *byte != 0)
                    && text.get(other).is_some_and(|byte| *byte == 0)
            };
            let (mut first, mut nul) = (letter, other);
            while first >= 2 && nul >= 2 && pair(first - 2, nul - 2) {
                first -= 2;
                nul -= 2;
            }
            let mut past = letter;
            let mut past_nul = other;
            while pair(past, past_nul) {
                past += 2;
                past_nul += 2;
            }
            // The last letter may have lost its NUL at the end of the text.
            if past < text.len() && past_nul >= text.len() && text[past] != 0 {
                past += 2;
            }
            let letters: Vec<u8> = text[first..past.min(text.len())]
                .iter()
                .step_by(2)
                .copied()
                .collect();
            let packed = first..past.min(text.len());
            let map = Map::Linear { count: 1, of: 2 };
            if !self.inner(&letters, packed, map, "utf-16", depth, found)? {
                return Ok(());
            }
            at = past.max(at + BLOCK);
        }
        Ok(())
    }

    /// Runs of base64 or hex letters, also when they are folded over lines.
    fn dense(
        &mut self,
        text: &[u8],
        dense: &[Range<usize>],
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        let mut covered = 0;
        for block in dense {
            if block.end <= covered {
                continue;
            }
            let (packed, letters, folded) = run_of_letters(text, block.start, covered);
            covered = packed.end;
            self.work.pace(letters.len(), self.budget)?;
            if letters.len() < RUN_MIN_BYTES {
                continue;
            }
            let is_hex = letters.iter().all(u8::is_ascii_hexdigit);
            // `0x…`, `key_…`: one letter that is no digit does not make all of it base64.
            if !is_hex && !self.hex_stretches(text, packed.clone(), depth, found)? {
                return Ok(());
            }
            let (steps, name) = if is_hex { (2, "hex") } else { (4, "base64") };
            // What stands before the run may be letters too (a path, a word): every alignment is tried.
            for skip in 0..steps {
                let (inner, map) = if is_hex {
                    (from_hex(&letters[skip..]), Map::Linear { count: 1, of: 2 })
                } else {
                    (
                        from_base64(&letters[skip..]),
                        Map::Linear { count: 3, of: 4 },
                    )
                };
                let map = if folded { Map::Whole } else { map };
                let from = if folded {
                    packed.start
                } else {
                    packed.start + skip
                };
                if !self.inner(&inner, from..packed.end, map, name, depth, found)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Stretches of hex digits inside a run of letters, each line for itself. `false`: a bound was reached.
    fn hex_stretches(
        &mut self,
        text: &[u8],
        run: Range<usize>,
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<bool, Exhausted> {
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
            for skip in 0..2 {
                let inner = from_hex(&text[at + skip..end]);
                let map = Map::Linear { count: 1, of: 2 };
                if !self.inner(&inner, at + skip..end, map, "hex", depth, found)? {
                    return Ok(false);
                }
            }
            at = end + 1;
        }
        Ok(true)
    }

    /// A gzip member or a zip entry. Returns the end of what was read.
    fn stream(
        &mut self,
        text: &[u8],
        at: usize,
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<usize, Exhausted> {
        let rest = &text[at..];
        if self.streams_left == 0 {
            self.give_up(at..text.len(), "too many compressed parts");
            return Ok(text.len());
        }
        self.streams_left -= 1;
        // A decompressor is made even for a mark that starts nothing.
        self.work.pace(8 * PART_COST, self.budget)?;
        if rest.starts_with(b"PK") {
            let word = |from: usize| {
                rest.get(from..from + 2)
                    .map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])))
            };
            let (Some(flags), Some(method), Some(name), Some(extra)) =
                (word(6), word(8), word(26), word(28))
            else {
                return Ok(at);
            };
            // Stored entries are in the text as they are; encrypted ones nobody can look into.
            let Some(data) = rest
                .get(30 + name + extra..)
                .filter(|_| method == 8 && flags & 1 == 0)
            else {
                return Ok(at);
            };
            let mut packed = flate2::bufread::DeflateDecoder::new(data);
            let end = self.unpack(&mut packed, at..text.len(), "zip", depth, found)?;
            let read = usize::try_from(packed.total_in()).unwrap_or(0);
            return Ok(if end {
                at + 30 + name + extra + read
            } else {
                at
            });
        }
        let mut packed = flate2::bufread::GzDecoder::new(rest);
        self.unpack(&mut packed, at..text.len(), "gzip", depth, found)?;
        Ok(at + rest.len() - packed.into_inner().len())
    }

    /// Scans what a decompressor gives, piece by piece. `true`: to its end.
    fn unpack(
        &mut self,
        packed: &mut impl Read,
        bytes: Range<usize>,
        name: &'static str,
        depth: u32,
        found: &mut Vec<Match>,
    ) -> Result<bool, Exhausted> {
        let mut piece = Vec::new();
        loop {
            let room = (PIECE_BYTES - piece.len()) as u64;
            let before = piece.len();
            // A stream that breaks off has given all it had; its rest is no stream.
            let whole = packed.by_ref().take(room).read_to_end(&mut piece).is_ok();
            if piece.len() == before {
                return Ok(whole);
            }
            if !self.inner(&piece, bytes.clone(), Map::Whole, name, depth, found)? {
                return Ok(false);
            }
            if piece.len() < PIECE_BYTES || !whole {
                return Ok(whole);
            }
            piece.drain(..piece.len() - SHARED_BYTES);
        }
    }
}

fn is_zlib(text: &[u8]) -> bool {
    matches!(text, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..])
}

/// The letters around `at`, going on over line ends where the lines are long. The place, the letters, folded or not.
fn run_of_letters(text: &[u8], at: usize, from: usize) -> (Range<usize>, Vec<u8>, bool) {
    let mut start = at;
    loop {
        while start > from && is_base64_letter(text[start - 1]) {
            start -= 1;
        }
        // Short lines need not show in the walk: the armour may have begun before this one.
        let blank = |byte: &&u8| matches!(**byte, b'\r' | b'\n' | b' ' | b'\t');
        let before = &text[from.max(start.saturating_sub(32))..start];
        let blanks = before.iter().rev().take_while(blank).count();
        let last = &text[from..start - blanks];
        let is_long = last.len() >= LINE_MIN_BYTES
            && last[last.len() - LINE_MIN_BYTES..]
                .iter()
                .all(|byte| is_base64_letter(*byte));
        if !is_long || !before[before.len() - blanks..].contains(&b'\n') {
            break;
        }
        start -= blanks;
    }
    let mut letters = Vec::new();
    let mut folded = false;
    let mut end = start;
    loop {
        let line = end;
        while end < text.len() && is_base64_letter(text[end]) {
            end += 1;
        }
        letters.extend_from_slice(&text[line..end]);
        // A next line of the same armour: this one was long, and the next starts with letters after blanks.
        if end - line < LINE_MIN_BYTES {
            break;
        }
        let mut next = end;
        while next < text.len()
            && next - end < 32
            && matches!(text[next], b'\r' | b'\n' | b' ' | b'\t')
        {
            next += 1;
        }
        let breaks = text[end..next].contains(&b'\n');
        if !breaks || next >= text.len() || !is_base64_letter(text[next]) {
            break;
        }
        folded = true;
        end = next;
    }
    (start..end, letters, folded)
}

/// Base64 and base64url, letters alone. A lone letter at the end gives nothing.
pub(super) fn from_base64(letters: &[u8]) -> Vec<u8> {
    let six = |byte: &u8| -> u32 {
        match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'a'..=b'z' => u32::from(byte - b'a') + 26,
            b'0'..=b'9' => u32::from(byte - b'0') + 52,
            b'+' | b'-' => 62,
            _ => 63,
        }
    };
    let mut out = Vec::with_capacity(letters.len() / 4 * 3 + 3);
    for four in letters.chunks(4) {
        let bits =
            four.iter().fold(0, |bits, byte| bits << 6 | six(byte)) << (6 * (4 - four.len()));
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(&bytes[1..four.len().max(1)]);
    }
    out
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

/// Base64 with its padding. `None`: the padding is not right.
pub(super) fn from_base64_padded(text: &[u8]) -> Option<Vec<u8>> {
    let letters = text
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(text.len());
    let padding = &text[letters..];
    (text.len().is_multiple_of(4) && padding.len() <= 2 && padding.iter().all(|byte| *byte == b'='))
        .then(|| from_base64(&text[..letters]))
}
