//! What one walk over a text notes: where rules must be asked, where something may be packed or in pieces.

use std::ops::Range;

use super::KEYWORD_COST;
use crate::budget::{Budget, Exhausted};
use crate::scan::compile::Form;
use crate::scan::confirm::{Window, Work};
use crate::scan::prefilter::{BLOCK, Visit};
use crate::scan::rules::{self, Kind};
use crate::scan::{Pack, Rank};

/// What the walk over one layer noted.
pub(super) struct Notes<'p> {
    pub(super) pack: &'p Pack,
    pub(super) budget: &'p Budget,
    pub(super) work: &'p mut Work,
    /// The clock ran out during the walk; nothing more is noted.
    pub(super) over: Option<Exhausted>,
    pub(super) text: &'p [u8],
    pub(super) windows: Vec<Window>,
    /// Index of the last window of each rule, plus one. Made on the first hit.
    pub(super) last: Vec<u32>,
    pub(super) marks: Vec<usize>,
    pub(super) dense: Vec<Range<usize>>,
    /// Keywords of formats that are told by themselves.
    pub(super) anchors: Vec<usize>,
    /// Where names of providers are looked for.
    pub(super) near: Vec<Range<usize>>,
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
        match self.pack.keyword(keyword) {
            Kind::Rules(rules) => {
                let end = start + self.pack.prefilter.keyword(keyword).bytes.len();
                self.wanted(rules, start..end);
            }
            Kind::Mark => self.marks.push(start),
            Kind::Telling => {
                let Some(near) = rules::near_telling(self.text, start) else {
                    return;
                };
                match self.near.last_mut() {
                    Some(last) if near.start <= last.end => last.end = last.end.max(near.end),
                    _ => self.near.push(near),
                }
            }
        }
    }

    fn dense(&mut self, start: usize) {
        match self.dense.last_mut() {
            Some(last) if last.end == start => last.end = start + BLOCK,
            _ => self.dense.push(start..start + BLOCK),
        }
    }
}

impl Notes<'_> {
    /// Notes where each of the rules must be asked, for a keyword of theirs.
    fn wanted(&mut self, rules: impl Iterator<Item = u16>, keyword: Range<usize>) {
        let start = keyword.start;
        if self.last.is_empty() {
            self.last = vec![0; self.pack.len()];
        }
        for rule in rules {
            let wanted = self.pack.rule(usize::from(rule));
            let Some(window) = wanted.window(self.text, keyword.clone()) else {
                continue;
            };
            if wanted.form == Form::Pattern
                && wanted.rank > Rank::Generic
                && self.anchors.last() != Some(&start)
            {
                self.anchors.push(start);
            }
            // Neighbours are asked about together; an assignment is read from its own name.
            let last = &mut self.last[usize::from(rule)];
            if *last > 0
                && wanted.form != Form::Assigned
                && let before = &mut self.windows[*last as usize - 1]
                && window.start <= before.end
            {
                before.start = before.start.min(window.start);
                before.end = before.end.max(window.end);
                before.keyword = start;
                continue;
            }
            self.windows.push(Window {
                rule,
                start: window.start,
                end: window.end,
                keyword: start,
            });
            *last = u32::try_from(self.windows.len()).unwrap_or(0);
        }
    }

    /// Looks for the names of providers near the telling words.
    pub(super) fn names(&mut self) {
        for near in std::mem::take(&mut self.near) {
            let (pack, text) = (self.pack, self.text);
            let mut names = Names {
                offset: near.start,
                notes: self,
            };
            pack.names.walk(&text[near], &mut names);
        }
    }
}

/// What the walk for names notes, in a part of the text.
struct Names<'n, 'p> {
    notes: &'n mut Notes<'p>,
    offset: usize,
}

impl Visit for Names<'_, '_> {
    fn keyword(&mut self, name: usize, start: usize) {
        let notes = &mut *self.notes;
        if notes.over.is_some() {
            return;
        }
        if let Err(over) = notes.work.pace(KEYWORD_COST, notes.budget) {
            notes.over = Some(over);
            return;
        }
        let start = self.offset + start;
        let end = start + notes.pack.names.keyword(name).bytes.len();
        notes.wanted(notes.pack.rules_of_name(name), start..end);
    }

    fn dense(&mut self, _: usize) {}
}
