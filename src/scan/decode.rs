//! Unpacks what is encoded inside a text, and scans every layer. Bounded in depth, bytes, streams and time; what a
//! bound kept it from is told, never passed over.

mod bzip2;
mod derived;
mod inflate;
mod joints;
mod letters;
mod lzma;
mod notes;
mod numbers;
mod oddities;
mod packed;
#[cfg(test)]
mod tests;
mod wide;
mod zstd;

use std::ops::Range;

use super::compile::Form;
use super::confirm::{self, Confirmed, Work};
use super::marks::{LZMA, LZMA_SIZES, MARKS};
use super::rules::{Pack, Rank};
use super::{Limits, Match, escapes, settle};
use crate::budget::{Budget, Exhausted};
use crate::finding::Confidence;
pub(super) use derived::Derived;
use joints::Between;
pub(super) use letters::{from_base64, from_base64_padded};
use notes::Notes;

/// What noting a keyword costs, and what looking at one encoded part costs beside its bytes.
const KEYWORD_COST: usize = 64;
const PART_COST: usize = 512;
/// The walk for quotes and escapes goes over so much at a time, so that what it notes has a bound.
const ODD_BYTES: usize = 1 << 20;
/// How far from the call that joins it a list of strings is looked for, to both sides.
const LIST_BYTES: usize = 1024;

/// One text and everything inside it.
pub(super) struct Run<'a> {
    pack: &'a Pack,
    budget: &'a Budget,
    depth: u32,
    decoded_left: u64,
    streams_left: u64,
    work: Work,
    /// Where, in the layer that is being scanned, a compressed stream starts that goes on beyond its end.
    open: Option<usize>,
    /// The same of the layer inside that was scanned last.
    piece_open: Option<usize>,
    pub(super) unscanned: Vec<(Range<usize>, &'static str)>,
    pub(super) opaque: Vec<(Range<usize>, &'static str)>,
}

/// A text, and how many it is inside of.
#[derive(Clone, Copy)]
pub(super) struct Layer<'t> {
    pub(super) text: &'t [u8],
    pub(super) depth: u32,
    /// The text was put together from pieces. To go on putting together would end with the depth.
    pub(super) joined: bool,
}

/// How places in an unpacked layer relate to the layer that holds it.
#[derive(Clone, Copy)]
enum Map<'m> {
    /// The packed part as a whole.
    Whole,
    /// `count` bytes unpacked are `of` letters, of which so many were skipped.
    Linear {
        count: usize,
        of: usize,
        skip: usize,
        letters: &'m Derived,
    },
    /// A text that was rewritten.
    Pieces(&'m Derived),
    /// A text put together from pieces. Only what goes over a seam counts, and only formats that are told by themselves.
    Joined(&'m Derived),
    /// The same by guess: the format must have a prefix of its own, or the value a proof.
    Guessed(&'m Derived),
}

impl Map<'_> {
    fn outer(self, packed: &Range<usize>, inner: &Range<usize>) -> Range<usize> {
        let range = match self {
            Map::Whole => return packed.clone(),
            Map::Linear {
                count,
                of,
                skip,
                letters,
            } => {
                let start = inner.start / count * of + inner.start % count * of / count;
                let end = (inner.end * of).div_ceil(count);
                let end = (skip + end).min(letters.text.len());
                letters.outer(&((skip + start).min(end)..end))
            }
            Map::Pieces(derived) | Map::Joined(derived) | Map::Guessed(derived) => {
                derived.outer(inner)
            }
        };
        let end = range.end.min(packed.end);
        range.start.max(packed.start).min(end)..end
    }

    /// Whether a find in the inner text counts.
    fn admits(self, hit: &Match) -> bool {
        match self {
            Map::Whole | Map::Linear { .. } | Map::Pieces(_) => true,
            Map::Joined(derived) => {
                hit.rule.form == Form::Pattern
                    && hit.rule.rank > Rank::Generic
                    && derived.is_joined(&hit.bytes)
            }
            Map::Guessed(derived) => {
                (hit.rule.prefix.is_some() || hit.confidence == Confidence::Certain)
                    && derived.is_joined(&hit.bytes)
            }
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
            open: None,
            piece_open: None,
            unscanned: Vec::new(),
            opaque: Vec::new(),
        }
    }

    /// Scans one layer and what is packed in it. Places are those of this layer.
    pub(super) fn layer(
        &mut self,
        layer: Layer<'_>,
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        let before = found.len();
        self.unsettled(layer, found)?;
        // Here the places are still apart: in the layer outside, a packed part is one place.
        if found.len() > before + 1 {
            let settled = settle(found.split_off(before));
            found.extend(settled);
        }
        Ok(())
    }

    fn unsettled(&mut self, layer: Layer<'_>, found: &mut Vec<Match>) -> Result<(), Exhausted> {
        let text = layer.text;
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
            anchors: Vec::new(),
            near: Vec::new(),
        };
        self.pack.prefilter.walk(text, &mut notes);
        notes.names();
        let Notes {
            windows,
            mut marks,
            dense,
            over,
            anchors,
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
        if !layer.joined {
            self.anchored(layer, &anchors, &confirmed, found)?;
        }
        found.extend(confirmed.into_iter().map(|hit| Match {
            rule: hit.rule,
            value: text[hit.value.clone()].to_vec(),
            bytes: hit.value,
            confidence: hit.confidence,
            named: hit.named,
            via: Vec::new(),
        }));
        self.odd(layer, found)?;
        self.numbers(layer, found)?;
        if memchr::memchr(0, text).is_some() {
            self.wide(layer, found)?;
            let size = |at: usize| text[at + LZMA.len()..].first_chunk::<2>();
            let lzma = memchr::memmem::find_iter(text, LZMA);
            marks.extend(lzma.filter(|&at| size(at).is_some_and(|size| LZMA_SIZES.contains(size))));
            marks.sort_unstable();
        }
        self.dense(layer, &dense, found)?;
        if inflate::is_zlib(text) {
            self.zlib(layer, 0, 0, found)?;
        }
        self.all_marked(layer, &marks, found)
    }

    /// What is packed behind the marks, in the order of their places.
    fn all_marked(
        &mut self,
        layer: Layer<'_>,
        marks: &[usize],
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        let text = layer.text;
        let (mut covered, mut lists_covered) = (0, 0);
        let (mut has_runs, mut is_mail) = (false, false);
        for &mark in marks {
            match &text[mark..] {
                [b'<', ..] if has_runs => {}
                [b'<', ..] => {
                    has_runs = true;
                    let plain = joints::without_tags(text);
                    let map = Map::Joined(&plain);
                    self.inner(layer, &plain.text, 0..text.len(), map, "text runs", found)?;
                }
                [b'o', ..] if is_mail => {}
                [b'o', ..] => {
                    is_mail = true;
                    // From behind the mark, or it would be found again in what comes out.
                    let from = text.len().min(mark + b"oted-printable".len());
                    let plain = joints::from_quoted_printable(text, from);
                    let (place, map) = (from..text.len(), Map::Pieces(&plain));
                    self.inner(layer, &plain.text, place, map, "quoted-printable", found)?;
                }
                [b'j' | b'"' | b'\'', ..] | [b'i', b'm', ..]
                    if layer.joined || mark < lists_covered => {}
                [b'j' | b'"' | b'\'', ..] | [b'i', b'm', ..] => {
                    let start = lists_covered.max(mark.saturating_sub(LIST_BYTES));
                    lists_covered = (mark + LIST_BYTES).min(text.len());
                    self.lists(layer, start..lists_covered, found)?;
                }
                _ if mark >= covered => covered = self.marked(layer, mark, found)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn give_up(&mut self, bytes: Range<usize>, why: &'static str) {
        // One of a kind is enough to say that the text was not looked into as a whole.
        if !self.unscanned.iter().any(|(_, known)| *known == why) {
            self.unscanned.push((bytes, why));
        }
    }

    /// Notes what nobody can look into, with a key or a format that is not at hand: no bound was reached.
    fn opaque(&mut self, bytes: Range<usize>, what: &'static str) {
        if !self.opaque.iter().any(|(_, known)| *known == what) {
            self.opaque.push((bytes, what));
        }
    }

    /// A stream that starts at `at` is not at its end where the text is.
    fn goes_on(&mut self, at: usize) {
        self.open = Some(self.open.map_or(at, |open| open.min(at)));
    }

    /// Scans an unpacked layer and gives its findings the place of the packed one. `false`: a bound was reached, and told.
    fn inner(
        &mut self,
        layer: Layer<'_>,
        inner: &[u8],
        packed: Range<usize>,
        map: Map<'_>,
        name: &'static str,
        found: &mut Vec<Match>,
    ) -> Result<bool, Exhausted> {
        if layer.depth + 1 > self.depth {
            if looks_readable(inner) {
                self.give_up(packed, "encoded too many times");
                return Ok(false);
            }
            return Ok(true);
        }
        let Some(left) = self.decoded_left.checked_sub(inner.len() as u64 + 1) else {
            self.give_up(packed, "unpacks to too much");
            return Ok(false);
        };
        self.decoded_left = left;
        self.work.pace(PART_COST + inner.len(), self.budget)?;
        let before = found.len();
        let told = [self.unscanned.len(), self.opaque.len()];
        let around = self.open.take();
        let inside = Layer {
            text: inner,
            depth: layer.depth + 1,
            joined: matches!(map, Map::Joined(_) | Map::Guessed(_)),
        };
        self.layer(inside, found)?;
        self.piece_open = self.open.take();
        self.open = around;
        if self.piece_open.is_some() && packed.end >= layer.text.len() {
            self.goes_on(packed.start);
        }
        if matches!(map, Map::Joined(_) | Map::Guessed(_)) {
            let inside = found.split_off(before);
            found.extend(inside.into_iter().filter(|hit| map.admits(hit)));
        }
        for hit in &mut found[before..] {
            hit.bytes = map.outer(&packed, &hit.bytes);
            hit.via.insert(0, name);
        }
        let parts = self.unscanned[told[0]..].iter_mut();
        for (bytes, _) in parts.chain(&mut self.opaque[told[1]..]) {
            *bytes = map.outer(&packed, bytes);
        }
        Ok(true)
    }

    /// Escapes, and strings that are put together.
    fn odd(&mut self, layer: Layer<'_>, found: &mut Vec<Match>) -> Result<(), Exhausted> {
        let text = layer.text;
        let (mut escapes_to, mut joints_to) = (0, 0);
        let mut places: Vec<usize> = Vec::new();
        for start in (0..text.len()).step_by(ODD_BYTES) {
            let end = (start + ODD_BYTES).min(text.len());
            oddities::each(&text[start..end], |at| {
                let at = start + at;
                let is_joint = match text[at] {
                    b'%' | b'&' => false,
                    _ => joints::may_join(text, at),
                };
                if is_joint || (!is_quote(text[at]) && escapes::is_telling(text, at)) {
                    places.push(at);
                }
            });
            self.work.pace(8 * places.len(), self.budget)?;
            for at in places.drain(..) {
                let is_joint = at >= joints_to
                    && !matches!(text[at], b'%' | b'&')
                    && joints::may_join(text, at);
                if is_joint {
                    let between = if joints::is_letters(text, at) {
                        Between::Commas
                    } else {
                        Between::Operators
                    };
                    joints_to = at + 1;
                    let (plain, next) = joints::joined(text, at, 0, between);
                    self.work.pace(next.saturating_sub(at), self.budget)?;
                    if let Some(plain) = plain {
                        joints_to = next.max(at + 1);
                        let (place, map) = (0..text.len(), Map::Joined(&plain));
                        if !self.inner(layer, &plain.text, place, map, "pieces", found)? {
                            return Ok(());
                        }
                    }
                } else if at >= escapes_to && !is_quote(text[at]) && escapes::is_telling(text, at) {
                    let (plain, next) = escapes::unescaped(text, at, escapes_to);
                    escapes_to = next;
                    let (place, map) = (0..text.len(), Map::Pieces(&plain));
                    if !self.inner(layer, &plain.text, place, map, "escapes", found)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Follows what stands behind a keyword over anything that may cut a secret into pieces.
    fn anchored(
        &mut self,
        layer: Layer<'_>,
        anchors: &[usize],
        confirmed: &[Confirmed],
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        // What only a name tells of may be the first piece of something longer.
        let mut whole: Vec<&Range<usize>> = confirmed
            .iter()
            .filter(|hit| hit.rule.form == Form::Pattern)
            .map(|hit| &hit.value)
            .collect();
        whole.sort_by_key(|value| value.start);
        let (mut covered, mut known, mut known_to) = (0, 0, 0);
        for &anchor in anchors {
            while let Some(value) = whole.get(known).filter(|value| value.start <= anchor) {
                known_to = known_to.max(value.end);
                known += 1;
            }
            if anchor < covered.max(known_to) {
                continue;
            }
            let (plain, next) = joints::joined(layer.text, anchor, covered, Between::Anything);
            covered = next.max(anchor + 1);
            self.work.pace(covered - anchor, self.budget)?;
            if let Some(plain) = plain {
                let (place, map) = (0..layer.text.len(), Map::Guessed(&plain));
                if !self.inner(layer, &plain.text, place, map, "pieces", found)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Lists of strings near a call that joins them.
    fn lists(
        &mut self,
        layer: Layer<'_>,
        range: Range<usize>,
        found: &mut Vec<Match>,
    ) -> Result<(), Exhausted> {
        let mut covered = range.start;
        let mut places = Vec::new();
        oddities::each(&layer.text[range.clone()], |at| {
            if joints::may_join_list(layer.text, range.start + at) {
                places.push(range.start + at);
            }
        });
        self.work.pace(PART_COST + range.len(), self.budget)?;
        for at in places {
            if at < covered {
                continue;
            }
            let (plain, next) = joints::joined(layer.text, at, 0, Between::Commas);
            covered = next.max(at + 1);
            if let Some(plain) = plain {
                let (place, map) = (0..layer.text.len(), Map::Joined(&plain));
                if !self.inner(layer, &plain.text, place, map, "pieces", found)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// Whether something was decoded here, and not just letters taken for code: text, or what is packed once more.
fn looks_readable(inner: &[u8]) -> bool {
    let head = &inner[..inner.len().min(64)];
    let readable = |byte: &&u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let count = head.iter().filter(readable).count();
    count * 16 >= head.len() * 15 || MARKS.iter().any(|mark| inner.starts_with(mark))
}
