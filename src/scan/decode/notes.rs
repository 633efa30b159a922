//! What the keywords of a text do: where rules must be asked, where something may be packed, where names are looked for.

use std::ops::Range;

use super::KEYWORD_COST;
use super::known::{
    EDGES, Effect, Ground, KEYWORD_EDGES, Known, Margins, Segment, What, moved, short, take,
};
use crate::budget::{Budget, Exhausted};
use crate::scan::compile::Form;
use crate::scan::confirm::{Window, Work};
use crate::scan::prefilter::Visit;
use crate::scan::rules::{self, Kind};
use crate::scan::{Pack, Rank};

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
    seen: Option<&'n mut Vec<(u32, u16)>>,
    /// The clock ran out during the walk; nothing more is noted.
    over: Option<Exhausted>,
}

impl Visit for Walk<'_, '_> {
    fn keyword(&mut self, keyword: usize, start: usize) {
        let start = self.offset + start;
        if self.over.is_some() || start >= self.to {
            return;
        }
        let keyword = u16::try_from(keyword).unwrap_or(u16::MAX);
        if let Some(seen) = &mut self.seen {
            seen.push((short(start), keyword));
        }
        let judged = self
            .notes
            .judge(keyword, start, self.is_names, &mut self.found);
        self.over = judged.err();
    }
}

impl Notes<'_> {
    /// What one keyword does where it stands.
    fn judge(
        &mut self,
        keyword: u16,
        start: usize,
        is_names: bool,
        out: &mut Vec<(u16, Effect)>,
    ) -> Result<(), Exhausted> {
        self.work.pace(KEYWORD_COST, self.budget)?;
        let (pack, text, index) = (self.pack, self.text, usize::from(keyword));
        let tables = if is_names {
            &pack.names
        } else {
            &pack.prefilter
        };
        let end = start + tables.keyword(index).bytes.len();
        let effect = |rule, what| Effect {
            at: short(start),
            rule,
            length: u8::try_from(end - start).unwrap_or(u8::MAX),
            what,
        };
        let mut note = |rule: u16| {
            if pack.rule(usize::from(rule)).admits(text, start..end) {
                out.push((keyword, effect(rule, What::Rule)));
            }
        };
        if is_names {
            pack.rules_of_name(index).for_each(note);
            return Ok(());
        }
        match pack.keyword(index) {
            Kind::Rules(rules) => rules.for_each(&mut note),
            Kind::Mark => out.push((keyword, effect(0, What::Mark))),
            Kind::Telling => {
                if rules::has_value_near(text, start) {
                    out.push((keyword, effect(0, What::Telling)));
                }
            }
        }
        Ok(())
    }

    /// What the keywords that start in a part of the text do, in the order of their places.
    fn walk(
        &mut self,
        part: Range<usize>,
        to: usize,
        is_names: bool,
        out: &mut Vec<Effect>,
        mut keep: Option<&mut Known>,
    ) -> Result<(), Exhausted> {
        let (pack, text) = (self.pack, self.text);
        let first = keep.as_ref().map_or(0, |keep| keep.keywords.len());
        let mut walk = Walk {
            notes: self,
            offset: part.start,
            to: part.end,
            is_names,
            found: Vec::new(),
            seen: keep.as_mut().map(|keep| &mut keep.keywords),
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
        put_in_order(walk.found, out);
        if let Some(keep) = keep {
            keep.keywords[first..].sort_unstable();
        }
        Ok(())
    }

    /// The same of keywords that are known to start there.
    fn again(
        &mut self,
        known: &Known,
        part: &Range<usize>,
        shift: i64,
        out: &mut Vec<Effect>,
    ) -> Result<(), Exhausted> {
        let mut keywords = Vec::new();
        take(
            &known.keywords,
            part,
            shift,
            |one| one.0,
            |one| keywords.push(*one),
        );
        let mut found = Vec::new();
        for (at, keyword) in keywords {
            self.judge(keyword, moved(at as usize, shift), false, &mut found)?;
        }
        put_in_order(found, out);
        Ok(())
    }

    /// What all keywords do but names, by place.
    pub(super) fn effects(
        &mut self,
        ground: &Ground<'_>,
        mut keep: Option<&mut Known>,
    ) -> Result<Vec<Effect>, Exhausted> {
        let mut effects = Vec::new();
        let Margins(_, keyword_bytes) = KEYWORD_EDGES;
        for segment in ground.segments(KEYWORD_EDGES) {
            match (segment, ground.known) {
                (Segment::Fresh(part), _) => {
                    let to = (part.end + keyword_bytes - 1).min(self.text.len());
                    self.walk(part, to, false, &mut effects, keep.as_deref_mut())?;
                }
                (Segment::Kept(kept), Some(known)) => {
                    let (bytes, shift) = (&kept.bytes, kept.shift);
                    // What stands near the ends may do something else here.
                    let inside = kept.inside(EDGES);
                    self.again(known, &(bytes.start..inside.start), shift, &mut effects)?;
                    move_all(&known.effects, &inside, shift, &mut effects);
                    self.again(known, &(inside.end..bytes.end), shift, &mut effects)?;
                    if let Some(keep) = &mut keep {
                        let to_here = |at: u32| short(moved(at as usize, shift));
                        let put = |one: &(u32, u16)| keep.keywords.push((to_here(one.0), one.1));
                        take(&known.keywords, bytes, shift, |one| one.0, put);
                    }
                }
                (Segment::Kept(_), None) => {}
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
                _ => self.walk(near.clone(), near.end, true, &mut names, None)?,
            }
        }
        Ok(names)
    }
}

/// By place, then by keyword.
fn put_in_order(mut found: Vec<(u16, Effect)>, out: &mut Vec<Effect>) {
    found.sort_by_key(|(keyword, effect)| (effect.at, *keyword));
    out.extend(found.into_iter().map(|(_, effect)| effect));
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
