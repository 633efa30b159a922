//! `freeze:`: times when refs do not move, for everybody or for one boundary.

use std::sync::Arc;

use serde::Serialize;

use super::boundaries::ref_pattern;
use super::diagnostic::Log;
use super::fold;
use super::keys::FREEZE;
use super::pattern::Pattern;
use super::read;
use crate::finding::PolicyAt;
use crate::yaml::{Node, Value};

/// A time when refs do not move.
#[derive(Debug, Clone)]
pub struct Freeze {
    /// First moment.
    pub from: Option<jiff::Timestamp>,
    /// First moment when it is over; `None`: until the policy changes.
    pub until: Option<jiff::Timestamp>,
    /// Why, as the policy says it.
    pub reason: Option<String>,
    /// Its line.
    pub at: PolicyAt,
    /// Empty: every ref.
    refs: Vec<Pattern>,
}

/// A freeze as a person reads it.
#[derive(Debug, Clone, Serialize)]
pub struct FreezeView {
    /// First moment.
    pub from: Option<String>,
    /// First moment when it is over.
    pub until: Option<String>,
    /// Globs over refs as written; empty: every ref.
    pub refs: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// Whether it holds now.
    pub in_force: bool,
    /// Its line.
    pub at: String,
}

impl Freeze {
    /// Whether it holds at this moment.
    pub fn is_in_force(&self, now: jiff::Timestamp) -> bool {
        self.from.is_none_or(|from| now >= from) && !self.is_over(now)
    }

    fn is_over(&self, now: jiff::Timestamp) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Whether it names the ref, in any spelling that a file system takes for the same.
    pub fn names(&self, name: &[u8]) -> bool {
        self.refs.is_empty() || {
            let folded = fold::path(name);
            let hit = |pattern: &Pattern| pattern.matches_either(name, &folded);
            self.refs.iter().any(hit)
        }
    }

    /// How long it holds, in words.
    pub fn term(&self) -> String {
        match self.until {
            Some(until) => format!("until {until}"),
            None => "until the policy says otherwise".to_owned(),
        }
    }

    /// For people and programs; `None`: it is over.
    pub fn view(&self, now: jiff::Timestamp) -> Option<FreezeView> {
        (!self.is_over(now)).then(|| FreezeView {
            from: self.from.map(|moment| moment.to_string()),
            until: self.until.map(|moment| moment.to_string()),
            refs: self
                .refs
                .iter()
                .map(|pattern| pattern.as_written().to_owned())
                .collect(),
            reason: self.reason.clone(),
            in_force: self.is_in_force(now),
            at: super::place(&self.at),
        })
    }
}

impl FreezeView {
    /// How long refs do not move, and why.
    pub fn term(&self) -> String {
        let from = match (&self.from, self.in_force) {
            (Some(from), false) => format!("from {from}"),
            _ => "NOW,".to_owned(),
        };
        let until = match &self.until {
            Some(until) => format!("until {until}"),
            None => "until the policy says otherwise".to_owned(),
        };
        match &self.reason {
            Some(reason) => format!("{from} {until}: {reason}"),
            None => format!("{from} {until}"),
        }
    }
}

/// Reads a list of freezes.
pub(super) fn read<'t>(file: &Arc<str>, node: &Node<'t>, log: &mut Log<'t>) -> Vec<Freeze> {
    let items = read::list(node, "`freeze`", log).unwrap_or_default();
    let mut freezes = Vec::with_capacity(items.len());
    for item in items {
        let what = "an entry of `freeze`";
        let Some(fields) = read::fields(item, FREEZE, what, item.at, log) else {
            continue;
        };
        let mut moment = |name: &str| {
            let node = fields.get(name)?;
            read::moment(node, format_args!("`{name}`"), log)
        };
        let (from, until) = (moment("from"), moment("until"));
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            log.error(
                item.at,
                "this freeze never holds: `from` is not before `until`",
            );
        }
        if let (Some(now), Some(until)) = (log.examined(), until)
            && until <= now
        {
            log.warn(item.at, format!("this freeze was over at {until}"))
                .note("take it out");
        }
        let refs: Vec<Pattern> = match fields.get("refs") {
            Some(node) => read::one_or_more(node, "`refs`", log)
                .iter()
                .filter_map(|node| ref_pattern(node, log))
                .collect(),
            None => Vec::new(),
        };
        let reason = fields
            .get("reason")
            .and_then(|node| read::text(node, "`reason`", log))
            .map(str::to_owned);
        let written = |name: &str| match fields.get(name).map(|node| &node.value) {
            Some(Value::Scalar(text)) => format!(" {name} {text}"),
            _ => String::new(),
        };
        freezes.push(Freeze {
            from,
            until,
            at: PolicyAt {
                file: file.clone(),
                line: item.at.line,
                what: format!("freeze:{}{}", written("from"), written("until")).into(),
            },
            reason,
            refs,
        });
    }
    freezes
}
