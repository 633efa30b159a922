//! Escapes, strings that are put together, and what stands behind a keyword in pieces.

use std::ops::{Range, RangeInclusive};

use memchr::{memchr, memrchr};

use super::joints::{self, Between};
use super::known::{EDGES, Found, Ground, Known, Phase, Segment, moved, short, take};
use super::{Layer, Map, PART_COST, Run, oddities};
use crate::budget::Exhausted;
use crate::scan::compile::Form;
use crate::scan::escapes;

/// The walk for quotes and escapes goes over so much at a time, so that what it notes has a bound.
const ODD_BYTES: usize = 1 << 20;

/// What was looked into up to where.
#[derive(Default)]
struct Covered {
    escapes: usize,
    joints: usize,
}

impl Run<'_> {
    /// Escapes, and strings that are put together.
    pub(super) fn odd(
        &mut self,
        layer: Layer<'_>,
        ground: &Ground<'_>,
        mut keep: Option<&mut Known>,
        found: &mut Found,
    ) -> Result<(), Exhausted> {
        let text = layer.text;
        let mut to = Covered::default();
        let mut places: Vec<u32> = Vec::new();
        for segment in ground.segments(EDGES) {
            let part = match (segment, ground.known) {
                (Segment::Fresh(part), _) => part,
                (Segment::Kept(kept), known) => {
                    let shift = kept.shift;
                    let known = known.map_or(&[][..], |known| &known.places);
                    take(
                        known,
                        &kept.bytes,
                        shift,
                        |place| *place,
                        |place| {
                            places.push(short(moved(*place as usize, shift)));
                        },
                    );
                    if !self.at_places(layer, &mut places, &mut to, &mut keep, found)? {
                        return Ok(());
                    }
                    continue;
                }
            };
            for start in part.clone().step_by(ODD_BYTES) {
                let end = (start + ODD_BYTES).min(part.end);
                oddities::each(&text[start..end], |at| {
                    if is_place(text, start + at) {
                        places.push(short(start + at));
                    }
                });
                if !self.at_places(layer, &mut places, &mut to, &mut keep, found)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Looks closer at some places, in their order. `false`: a bound was reached.
    fn at_places(
        &mut self,
        layer: Layer<'_>,
        places: &mut Vec<u32>,
        to: &mut Covered,
        keep: &mut Option<&mut Known>,
        found: &mut Found,
    ) -> Result<bool, Exhausted> {
        let text = layer.text;
        self.work.pace(8 * places.len(), self.budget)?;
        if let Some(keep) = keep {
            keep.places.extend(places.iter());
        }
        for at in places.drain(..) {
            let at = at as usize;
            found.key = (Phase::Odd, at, 0);
            let is_joint =
                at >= to.joints && !matches!(text[at], b'%' | b'&') && joints::may_join(text, at);
            if is_joint {
                let between = if joints::is_letters(text, at) {
                    Between::Commas
                } else {
                    Between::Operators
                };
                to.joints = at + 1;
                let (plain, next) = joints::joined(text, at, 0, between);
                self.work.pace(next.saturating_sub(at), self.budget)?;
                if let Some(plain) = plain {
                    to.joints = next.max(at + 1);
                    let (place, map) = (0..text.len(), Map::Joined(&plain));
                    if !self.inner(layer, &plain.text, place, map, "pieces", found)? {
                        return Ok(false);
                    }
                }
            } else if at >= to.escapes && !is_quote(text[at]) && escapes::is_telling(text, at) {
                let (plain, next) = escapes::unescaped(text, at, to.escapes);
                to.escapes = next;
                let (place, map) = (0..text.len(), Map::Pieces(&plain));
                if !self.inner(layer, &plain.text, place, map, "escapes", found)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Follows what stands behind a keyword over anything that may cut a secret into pieces.
    pub(super) fn anchored(
        &mut self,
        layer: Layer<'_>,
        anchors: &[usize],
        found: &mut Found,
    ) -> Result<(), Exhausted> {
        // What only a name tells of may be the first piece of something longer.
        let mut whole: Vec<Range<usize>> = found
            .hits
            .iter()
            .filter(|(_, hit)| hit.rule.form == Form::Pattern)
            .map(|(_, hit)| hit.bytes.clone())
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
            self.work.pace(4 * LINE_BYTES, self.budget)?;
            if is_amid_base64(layer.text, anchor) {
                continue;
            }
            found.key = (Phase::Anchored, anchor, 0);
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
    pub(super) fn lists(
        &mut self,
        layer: Layer<'_>,
        range: Range<usize>,
        found: &mut Found,
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

/// Whether an escape or a joint of two strings may stand at an odd byte.
pub(super) fn is_place(text: &[u8], at: usize) -> bool {
    let is_joint = !matches!(text[at], b'%' | b'&') && joints::may_join(text, at);
    is_joint || (!is_quote(text[at]) && escapes::is_telling(text, at))
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// How wide base64 is wrapped, in digits: ssh wraps at 70, OpenPGP and PEM at 64, mail at 76.
const WRAPPED: RangeInclusive<usize> = 60..=80;

/// How much of a line and its neighbours is read, in bytes: the base64, and what leads it.
const LINE_BYTES: usize = 128;

/// Whether a place stands in base64 that is wrapped over lines of one width. A `+`, a `/` or a line end there cuts no secret
/// into pieces: it is a digit like others, or wraps the lines, and what it makes of the digits around it is chance. In a
/// signature of ssh the chance depends on the key. Anything less regular may be a piece of a token behind some digits.
fn is_amid_base64(text: &[u8], at: usize) -> bool {
    let start = start_of_line(text, at);
    let Some((lead, width)) = digits_of_line(text, start) else {
        return false;
    };
    let above = start.checked_sub(1).map(|end| start_of_line(text, end));
    let below = memchr(b'\n', &text[at..(at + LINE_BYTES).min(text.len())]).map(|end| at + end + 1);
    let is_alike = |line: Option<usize>| {
        line.and_then(|start| digits_of_line(text, start)) == Some((lead, width))
    };
    at > start && WRAPPED.contains(&width) && [above, below].into_iter().any(is_alike)
}

/// What leads a line that is base64 and nothing else, and how many digits it has. Marks of a quotation or a comment may
/// lead it.
fn digits_of_line(text: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let line = &text[start..(start + LINE_BYTES).min(text.len())];
    let line = &line[..memchr(b'\n', line)?];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_lead = |byte: &u8| byte.is_ascii_whitespace() || b"|>#*".contains(byte);
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let (lead, digits) = line.split_at(line.iter().take_while(|byte| is_lead(byte)).count());
    digits.iter().all(is_digit).then_some((lead, digits.len()))
}

/// Of a line that is longer than is read, a place that makes it no base64.
fn start_of_line(text: &[u8], end: usize) -> usize {
    let from = end.saturating_sub(LINE_BYTES);
    memrchr(b'\n', &text[from..end]).map_or(from, |before| from + before + 1)
}

#[cfg(test)]
mod tests {
    use super::is_amid_base64;

    /// Whether the first `@` of a text, taken out, is a place amid base64.
    fn is_amid(text: &str) -> bool {
        let at = text.find('@').expect("a place");
        is_amid_base64(text.replacen('@', "", 1).as_bytes(), at)
    }

    #[test]
    fn base64_is_told_from_what_stands_before_a_piece() {
        let (wide, half) = ("veH8Gw6mtE8+Db/4".repeat(4), "veH8Gw6mtE8+Db/4".repeat(2));
        for (text, expected) in [
            (format!("\n{half}@{half}\n{wide}\n"), true),
            (format!("BEGIN\n{wide}\n{half}@{half}\nveH8==\nEND"), true),
            (format!("  | {wide}\r\n  | {half}@{half}\r\n"), true),
            // Not wrapped, alone, of another width, or led by something else.
            (format!("\n{half}@{half}\n"), false),
            (format!("\n{half}@{half}{wide}\n{wide}{wide}\n"), false),
            (format!("\n{half}@\n{half}\n"), false),
            (format!("\n{half}@A{half}\n{wide}\n{wide}\n"), false),
            (
                format!("\n{wide}\nveH8Gw6mtE8+Db/@EAAG\nveH8Gw6mtE\n"),
                false,
            ),
            (format!("\n# {half}@{half}\n{wide}\n"), false),
            // Not base64.
            (
                format!("\n{wide}\n{half}@ghp_{}\n{wide}\n", &half[4..]),
                false,
            ),
            (
                format!("\n{wide}\nlet a = \"{half}@{}\n{wide}\n", &half[9..]),
                false,
            ),
            (format!("{wide}{wide}{wide}@{wide}\n"), false),
            ("short/@".to_owned(), false),
            ("@".to_owned(), false),
            ("@\n\n".to_owned(), false),
        ] {
            assert_eq!(is_amid(&text), expected, "{text}");
        }
    }
}
