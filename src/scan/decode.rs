//! Unpacks what is encoded inside a text, and scans every layer. Bounded in depth, bytes, streams and time; what a
//! bound kept it from is told, never passed over.

mod bzip2;
mod derived;
mod inflate;
mod joints;
mod known;
mod letters;
mod lzma;
mod notes;
mod numbers;
mod oddities;
mod packed;
mod strings;
#[cfg(test)]
mod tests;
mod wide;
mod zstd;

use std::ops::Range;

use super::compile::Form;
use super::confirm::{self, Window, Work};
use super::marks::{LZMA, LZMA_SIZES, MARKS};
use super::rules::{Pack, Rank};
use super::{Limits, Match, settle};
use crate::budget::{Budget, Exhausted};
use crate::finding::Confidence;
pub(super) use derived::Derived;
use known::{Found, Phase, Used, moved};
pub(super) use known::{Ground, Known};
pub(super) use letters::{from_base64, from_base64_padded};
use notes::{Asked, Notes};

/// What noting a keyword costs, and what looking at one encoded part costs beside its bytes.
const KEYWORD_COST: usize = 64;
const PART_COST: usize = 512;
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
    pub(super) fn layer(&mut self, layer: Layer<'_>) -> Result<Vec<Match>, Exhausted> {
        let mut found = Found::new();
        let ground = Ground::none(layer.text.len());
        self.unsettled(layer, &ground, None, &mut found)?;
        Ok(settled(found))
    }

    /// Whether a short text has nothing that any step of a scan begins with. Runs of letters in code are taken for base64, and
    /// nearly all of what comes out is such.
    fn is_barren(&self, text: &[u8]) -> bool {
        if text.len() >= numbers::RUN_MIN_BYTES {
            return false;
        }
        let mut letters = 0;
        for (at, &byte) in text.iter().enumerate() {
            letters = if letters::LETTERS[usize::from(byte)] {
                letters + 1
            } else {
                0
            };
            let is_odd = || oddities::is_odd(byte) && strings::is_place(text, at);
            if byte == 0 || letters == letters::LINE_MIN_BYTES || is_odd() {
                return false;
            }
        }
        !inflate::is_zlib(text) && !self.pack.prefilter.has_any(text)
    }

    /// The same of the outermost layer, of which what was noted is kept. `None`: what is in it may reach from anywhere to
    /// anywhere, or a bound was near.
    pub(super) fn kept(
        &mut self,
        text: &[u8],
        ground: &Ground<'_>,
    ) -> Result<(Vec<Match>, Option<Known>), Exhausted> {
        let layer = Layer {
            text,
            depth: 0,
            joined: false,
        };
        let mut keep = Known::default();
        let mut found = Found::new();
        let left = self.left();
        let is_local = self.unsettled(layer, ground, Some(&mut keep), &mut found)?;
        let now = self.left();
        let is_whole = self.unscanned.is_empty() && self.opaque.is_empty();
        let is_known = keep.close(text.len(), ground, left, now, &mut found);
        let known = is_local && is_whole && is_known;
        keep.hits.clone_from(&found.hits);
        Ok((settled(found), known.then_some(keep)))
    }

    /// What is left of the bounds.
    fn left(&self) -> Used {
        let (confirmed, matches) = self.work.left();
        Used([confirmed, matches, self.decoded_left, self.streams_left])
    }

    /// Notes what a step used since so much was left.
    fn spent(&self, before: Used, keep: Option<&mut Known>) {
        if let Some(keep) = keep {
            keep.spent(Used::between(before, self.left()));
        }
    }

    /// Takes over the hits with the key that is set, if all the bytes that tell of them were copied together.
    fn takes_over(
        &self,
        ground: &Ground<'_>,
        found: &mut Found,
        (start, before, end, behind): (usize, usize, usize, usize),
    ) -> bool {
        let shift = ground.shift(start, before, end, behind);
        if let Some(shift) = shift {
            self.take_key(ground, found, shift);
        }
        shift.is_some()
    }

    fn take_key(&self, ground: &Ground<'_>, found: &mut Found, shift: i64) {
        let Some(known) = ground.known.filter(|known| !known.hits.is_empty()) else {
            return;
        };
        let (phase, at, rule) = found.key;
        for (_, hit) in known.of((phase, moved(at, -shift), rule)) {
            let place = |place: usize| moved(place, shift);
            // The name of a value that was packed has its place in what was unpacked.
            let named = match hit.via.is_empty() {
                true => confirm::moved(hit.named, place),
                false => hit.named,
            };
            found.push(Match {
                bytes: place(hit.bytes.start)..place(hit.bytes.end),
                named,
                ..hit.clone()
            });
        }
    }

    /// `false`: what is noted is not enough to tell what another text made from this one holds.
    fn unsettled(
        &mut self,
        layer: Layer<'_>,
        ground: &Ground<'_>,
        mut keep: Option<&mut Known>,
        found: &mut Found,
    ) -> Result<bool, Exhausted> {
        let text = layer.text;
        let mut notes = Notes {
            pack: self.pack,
            budget: self.budget,
            work: &mut self.work,
            text,
        };
        let effects = notes.effects(ground, keep.as_deref_mut())?;
        let names = notes.names(ground, &effects)?;
        let mut asked = Asked::default();
        asked.add(self.pack, text.len(), &effects);
        asked.add(self.pack, text.len(), &names);
        if let Some(keep) = &mut keep {
            keep.effects = effects;
            keep.names = names;
        }
        let Asked {
            windows,
            anchors,
            mut marks,
            ..
        } = asked;
        // Streams, whole texts without their tags: one byte changes all.
        let is_packed = inflate::is_zlib(text)
            || memchr::memchr(0, text).is_some()
            || marks.iter().any(|&mark| !is_list_mark(&text[mark..]));
        if is_packed && ground.known.is_some() {
            return Ok(false);
        }
        self.windows(layer, ground, &windows, keep.as_deref_mut(), found)?;
        if !layer.joined {
            self.anchored(layer, &anchors, found)?;
        }
        self.odd(layer, ground, keep.as_deref_mut(), found)?;
        self.numbers(layer, ground, keep.as_deref_mut(), found)?;
        if is_packed && memchr::memchr(0, text).is_some() {
            found.key = (Phase::Packed, 0, 0);
            self.wide(layer, found)?;
            let size = |at: usize| text[at + LZMA.len()..].first_chunk::<2>();
            let lzma = memchr::memmem::find_iter(text, LZMA);
            marks.extend(lzma.filter(|&at| size(at).is_some_and(|size| LZMA_SIZES.contains(size))));
            marks.sort_unstable();
        }
        self.dense(layer, ground, keep, found)?;
        found.key = (Phase::Packed, 0, 0);
        if inflate::is_zlib(text) {
            self.zlib(layer, 0, 0, found)?;
        }
        self.all_marked(layer, &marks, found)?;
        Ok(!is_packed)
    }

    /// Asks the rules.
    fn windows(
        &mut self,
        layer: Layer<'_>,
        ground: &Ground<'_>,
        windows: &[Window],
        mut keep: Option<&mut Known>,
        found: &mut Found,
    ) -> Result<(), Exhausted> {
        let mut confirmed = Vec::new();
        for &window in windows {
            found.key = (Phase::Window, window.start, window.rule);
            if ground.known.is_some() {
                let rule = self.pack.rule(usize::from(window.rule));
                let (before, behind) = rule.around();
                if self.takes_over(ground, found, (window.start, before, window.end, behind)) {
                    continue;
                }
            }
            let before = self.left();
            let stopped = confirm::window(
                self.pack,
                layer.text,
                window,
                &mut self.work,
                self.budget,
                &mut confirmed,
            )?;
            self.spent(before, keep.as_deref_mut());
            for hit in confirmed.drain(..) {
                found.push(Match {
                    rule: hit.rule,
                    value: layer.text[hit.value.clone()].to_vec(),
                    bytes: hit.value,
                    confidence: hit.confidence,
                    named: hit.named,
                    via: Vec::new(),
                });
            }
            if let Some(why) = stopped {
                self.give_up(window.start..window.end, why);
                break;
            }
        }
        Ok(())
    }

    /// What is packed behind the marks, in the order of their places.
    fn all_marked(
        &mut self,
        layer: Layer<'_>,
        marks: &[usize],
        found: &mut Found,
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
                rest if is_list_mark(rest) && (layer.joined || mark < lists_covered) => {}
                rest if is_list_mark(rest) => {
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
        found: &mut Found,
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
        if self.is_barren(inner) {
            self.piece_open = None;
            return Ok(true);
        }
        let told = [self.unscanned.len(), self.opaque.len()];
        let around = self.open.take();
        let inside = Layer {
            text: inner,
            depth: layer.depth + 1,
            joined: matches!(map, Map::Joined(_) | Map::Guessed(_)),
        };
        let inside = self.layer(inside)?;
        self.piece_open = self.open.take();
        self.open = around;
        if self.piece_open.is_some() && packed.end >= layer.text.len() {
            self.goes_on(packed.start);
        }
        for mut hit in inside.into_iter().filter(|hit| map.admits(hit)) {
            hit.bytes = map.outer(&packed, &hit.bytes);
            hit.via.insert(0, name);
            found.push(hit);
        }
        let parts = self.unscanned[told[0]..].iter_mut();
        for (bytes, _) in parts.chain(&mut self.opaque[told[1]..]) {
            *bytes = map.outer(&packed, bytes);
        }
        Ok(true)
    }
}

/// The hits of a layer, each place once. Here the places are still apart: in the layer outside, a packed part is one place.
fn settled(mut found: Found) -> Vec<Match> {
    // In an order that does not depend on which of them were known.
    found.hits.sort_by_key(|(key, _)| *key);
    settle(found.hits.into_iter().map(|(_, hit)| hit).collect())
}

/// Whether a mark is one of a list of strings that is joined near it.
fn is_list_mark(text: &[u8]) -> bool {
    matches!(text, [b'j' | b'"' | b'\'', ..] | [b'i', b'm', ..])
}

/// Whether something was decoded here, and not just letters taken for code: text, or what is packed once more.
fn looks_readable(inner: &[u8]) -> bool {
    let head = &inner[..inner.len().min(64)];
    let readable = |byte: &&u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let count = head.iter().filter(readable).count();
    count * 16 >= head.len() * 15 || MARKS.iter().any(|mark| inner.starts_with(mark))
}
