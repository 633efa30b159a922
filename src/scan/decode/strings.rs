//! Escapes, strings that are put together, and what stands behind a keyword in pieces.

use std::ops::Range;

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
            self.work.pace(BASE64_LOOK_BACK, self.budget)?;
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

/// How far back base64 is looked for, in bytes.
const BASE64_LOOK_BACK: usize = 256;

/// Whether a place stands behind nothing but base64 on its line. A `+`, a `/` or a line end there cuts no secret into pieces: it
/// is a digit like others, or wraps the lines, and what it makes of the digits around it is chance. In a signature of ssh
/// the chance depends on the key.
fn is_amid_base64(text: &[u8], at: usize) -> bool {
    const FEW: usize = 12;
    let before = &text[at.saturating_sub(BASE64_LOOK_BACK)..at];
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let count = before
        .iter()
        .rev()
        .take_while(|byte| is_digit(byte))
        .count();
    let rest = &before[..before.len() - count];
    let line = rest.rsplit(|byte| *byte == b'\n').next();
    // Marks of a quotation or a comment may lead the line. A longer line is not wrapped.
    let leads = |byte: &u8| byte.is_ascii_whitespace() || b"|>#*".contains(byte);
    (FEW..BASE64_LOOK_BACK).contains(&count) && line.unwrap_or_default().iter().all(leads)
}

#[cfg(test)]
mod tests {
    use super::is_amid_base64;

    #[test]
    fn base64_is_told_from_what_stands_before_a_piece() {
        for (before, expected) in [
            ("veH8Gw6mtE8TBDb+", true),
            ("first\n  veH8Gw6mtE8TBDb/", true),
            ("let a = \"veH8Gw6mtE8TBDb/", false),
            ("https://graph.example/v2/", false),
            ("short/", false),
            ("", false),
        ] {
            let text = format!("{before}EAAG");
            assert_eq!(
                is_amid_base64(text.as_bytes(), before.len()),
                expected,
                "{before}"
            );
        }
        assert!(is_amid_base64(b"| veH8Gw6mtE8TBDb+EAAG", 18));
        assert!(!is_amid_base64(&[b'A'; 1000], 900));
    }
}
