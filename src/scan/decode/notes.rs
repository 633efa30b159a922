//! What the keywords of a text do: where rules must be asked, where something may be packed, where names are looked for.

use std::ops::Range;

use super::KEYWORD_COST;
use super::known::{Effect, Ground, Segment, What, moved, short, take};
use crate::budget::{Budget, Exhausted};
use crate::scan::compile::Form;
use crate::scan::confirm::{Window, Work};
use crate::scan::prefilter::Visit;
use crate::scan::rules::{self, Kind};
use crate::scan::{Pack, Rank};

/// A keyword has no more bytes.
const KEYWORD_MAX_BYTES: usize = 64;
/// What lies so far around the place where names are looked for tells which they are, and what becomes of them: telling words
/// beside it; behind it a value.
const AROUND_NAMES: (usize, usize) = (300, 700);

/// Walks over a text, or the parts of it that are new, for keywords.
pub(super) struct Notes<'p> {
    pub(super) pack: &'p Pack,
    pub(super) budget: &'p Budget,
    pub(super) work: &'p mut Work,
    pub(super) text: &'p [u8],
}

/// One walk.
struct Walk<'n, 'p> {
    notes: &'n mut Notes<'p>,
    /// Where the part begins that is walked over, and where a keyword must start at the latest.
    offset: usize,
    to: usize,
    is_names: bool,
    /// The keyword too: by place and keyword the order is the same however the text is walked over.
    found: Vec<(u16, Effect)>,
    /// The clock ran out during the walk; nothing more is noted.
    over: Option<Exhausted>,
}

impl Visit for Walk<'_, '_> {
    fn keyword(&mut self, keyword: usize, start: usize) {
        let start = self.offset + start;
        if self.over.is_some() || start >= self.to {
            return;
        }
        let notes = &mut *self.notes;
        if let Err(over) = notes.work.pace(KEYWORD_COST, notes.budget) {
            self.over = Some(over);
            return;
        }
        let (pack, text) = (notes.pack, notes.text);
        let tables = if self.is_names {
            &pack.names
        } else {
            &pack.prefilter
        };
        let end = start + tables.keyword(keyword).bytes.len();
        let effect = |rule, what| Effect {
            at: short(start),
            rule,
            length: u8::try_from(end - start).unwrap_or(u8::MAX),
            what,
        };
        let keyword_id = u16::try_from(keyword).unwrap_or(u16::MAX);
        let mut note = |rule: u16| {
            if pack.rule(usize::from(rule)).admits(text, start..end) {
                self.found.push((keyword_id, effect(rule, What::Rule)));
            }
        };
        if self.is_names {
            pack.rules_of_name(keyword).for_each(note);
            return;
        }
        match pack.keyword(keyword) {
            Kind::Rules(rules) => rules.for_each(&mut note),
            Kind::Mark => self.found.push((keyword_id, effect(0, What::Mark))),
            Kind::Telling => {
                if rules::has_value_near(text, start) {
                    self.found.push((keyword_id, effect(0, What::Telling)));
                }
            }
        }
    }
}

impl Notes<'_> {
    /// What the keywords that start in a part of the text do, in the order of their places.
    fn walk(
        &mut self,
        part: Range<usize>,
        to: usize,
        is_names: bool,
        out: &mut Vec<Effect>,
    ) -> Result<(), Exhausted> {
        let (pack, text) = (self.pack, self.text);
        let mut walk = Walk {
            notes: self,
            offset: part.start,
            to: part.end,
            is_names,
            found: Vec::new(),
            over: None,
        };
        let tables = if is_names {
            &pack.names
        } else {
            &pack.prefilter
        };
        tables.walk(&text[part.start..to], &mut walk);
        if let Some(over) = walk.over {
            return Err(over);
        }
        walk.found
            .sort_by_key(|(keyword, effect)| (effect.at, *keyword));
        out.extend(walk.found.into_iter().map(|(_, effect)| effect));
        Ok(())
    }

    /// What all keywords do but names, by place.
    pub(super) fn effects(&mut self, ground: &Ground<'_>) -> Result<Vec<Effect>, Exhausted> {
        let mut effects = Vec::new();
        let length = self.text.len();
        for segment in ground.segments(length) {
            match (segment, ground.known) {
                (Segment::Fresh(part), _) => {
                    let to = (part.end + KEYWORD_MAX_BYTES - 1).min(length);
                    self.walk(part, to, false, &mut effects)?;
                }
                (Segment::Kept { bytes, shift }, Some(known)) => {
                    move_all(&known.effects, &bytes, shift, &mut effects);
                }
                (Segment::Kept { .. }, None) => {}
            }
        }
        Ok(effects)
    }

    /// The same of the names of providers, which are looked for near telling words.
    pub(super) fn names(
        &mut self,
        ground: &Ground<'_>,
        effects: &[Effect],
    ) -> Result<Vec<Effect>, Exhausted> {
        let length = self.text.len();
        let mut near: Vec<Range<usize>> = Vec::new();
        for effect in effects {
            if effect.what == What::Telling {
                let one = rules::near(effect.at as usize, length);
                match near.last_mut() {
                    Some(last) if one.start <= last.end => last.end = last.end.max(one.end),
                    _ => near.push(one),
                }
            }
        }
        let mut names = Vec::new();
        for near in near {
            let (before, behind) = AROUND_NAMES;
            let shift = ground.shift(near.start, before, near.end, behind);
            match (shift, ground.known) {
                (Some(shift), Some(known)) => move_all(&known.names, &near, shift, &mut names),
                _ => self.walk(near.clone(), near.end, true, &mut names)?,
            }
        }
        Ok(names)
    }
}

fn move_all(from: &[Effect], bytes: &Range<usize>, shift: i64, out: &mut Vec<Effect>) {
    take(
        from,
        bytes,
        shift,
        |effect| effect.at,
        |effect| {
            out.push(Effect {
                at: short(moved(effect.at as usize, shift)),
                ..*effect
            });
        },
    );
}

/// Where rules must be asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) windows: Vec<Window>,
    /// Index of the last window of each rule, plus one. Made on the first.
    last: Vec<u32>,
    /// Keywords of formats that are told by themselves.
    pub(super) anchors: Vec<usize>,
    pub(super) marks: Vec<usize>,
}

impl Asked {
    /// Of effects in the order of their places.
    pub(super) fn add(&mut self, pack: &Pack, length: usize, effects: &[Effect]) {
        for effect in effects {
            let start = effect.at as usize;
            match effect.what {
                What::Rule => self.wanted(pack, length, effect),
                What::Mark => self.marks.push(start),
                What::Telling => {}
            }
        }
    }

    fn wanted(&mut self, pack: &Pack, length: usize, effect: &Effect) {
        let start = effect.at as usize;
        if self.last.is_empty() {
            self.last = vec![0; pack.len()];
        }
        let wanted = pack.rule(usize::from(effect.rule));
        let window = wanted.window(start..start + usize::from(effect.length), length);
        if wanted.form == Form::Pattern
            && wanted.rank > Rank::Generic
            && self.anchors.last() != Some(&start)
        {
            self.anchors.push(start);
        }
        // Neighbours are asked about together; an assignment is read from its own name.
        let last = &mut self.last[usize::from(effect.rule)];
        if *last > 0
            && wanted.form != Form::Assigned
            && let before = &mut self.windows[*last as usize - 1]
            && window.start <= before.end
        {
            before.start = before.start.min(window.start);
            before.end = before.end.max(window.end);
            before.keyword = start;
            return;
        }
        self.windows.push(Window {
            rule: effect.rule,
            start: window.start,
            end: window.end,
            keyword: start,
        });
        *last = u32::try_from(self.windows.len()).unwrap_or(0);
    }
}
