//! How findings of `scan` are written: lines for people, JSON lines, one JSON document, SARIF.
//!
//! JSON lines have one object for each place, as they are found. The other forms put the places of one value together.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::check::{Hit, Text};
use crate::finding::{Confidence, Level, RuleId};
use crate::ledger::{confidence_word, part_word};
use crate::redact::{Fingerprint, FingerprintKey, Quoted};
use crate::report::{self, Sarif};

/// Values that one document holds; more are counted.
const DOCUMENT_MAX: usize = 100_000;
/// Places of one value that a document holds; more are counted.
const PLACES_MAX: usize = 100;
/// Further places of one value that a text shows.
const ALSO_MAX: usize = 5;

enum Format {
    Text,
    Lines,
    Document,
    Sarif,
}

/// One finding at one place, fit to be shown.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) rule: RuleId,
    title: String,
    confidence: Confidence,
    level: Level,
    pub(super) fingerprint: Fingerprint,
    /// The fingerprint is that of a value, the same wherever it stands.
    is_value: bool,
    bytes: usize,
    prefix: Option<String>,
    detail: Option<String>,
    pub(super) path: String,
    uri: String,
    part: &'static str,
    line: u64,
    column: usize,
    range: std::ops::Range<usize>,
}

impl Found {
    /// A hit in a text, at a line and column from 1.
    pub(super) fn new(
        name: &[u8],
        text: &Text<'_>,
        hit: &Hit,
        at: (u64, usize),
        level: Level,
        key: &FingerprintKey,
    ) -> Self {
        let range = hit.bytes.start.min(text.bytes.len())..hit.bytes.end.min(text.bytes.len());
        let (fingerprint, bytes, prefix) = match &hit.evidence {
            Some(evidence) => (
                evidence.fingerprint,
                evidence.bytes,
                evidence.prefix.clone(),
            ),
            None => (
                key.fingerprint(&hit.rule, &text.bytes[range.clone()]),
                range.len(),
                None,
            ),
        };
        Found {
            rule: hit.rule.clone(),
            title: hit.title.to_string(),
            confidence: hit.confidence.unwrap_or(Confidence::Certain),
            level,
            fingerprint,
            is_value: hit.evidence.is_some(),
            bytes,
            prefix,
            detail: hit.detail.clone(),
            path: Quoted(name).to_string(),
            uri: report::uri(name),
            part: part_word(text.part),
            line: at.0,
            column: at.1,
            range: hit.bytes.clone(),
        }
    }

    fn place(&self) -> String {
        match self.part {
            "content" => format!("{}:{}:{}", self.path, self.line, self.column),
            other => format!("{} ({other})", self.path),
        }
    }

    fn json(&self) -> Value {
        json!({
            "path": self.path, "line": self.line, "column": self.column, "rule": self.rule,
            "title": self.title, "confidence": confidence_word(self.confidence),
            "level": self.level.as_str(), "fingerprint": self.fingerprint.to_string(),
            "bytes": self.bytes, "prefix": self.prefix, "detail": self.detail, "part": self.part,
            "start": self.range.start, "end": self.range.end,
        })
    }

    /// One line of JSON, which names the key of its fingerprint.
    pub(super) fn line_of_json(&self, key: &str) -> String {
        let mut object = self.json();
        object["key"] = key.into();
        format!("{object}\n")
    }
}

/// One value with its places.
struct Group {
    /// At the first place, with the strictest level and the highest confidence of all.
    first: Found,
    also: Vec<Found>,
    count: u64,
}

impl Group {
    fn absorb(&mut self, found: Found) {
        self.count += 1;
        self.first.level = self.first.level.max(found.level);
        self.first.confidence = self.first.confidence.max(found.confidence);
        if self.also.len() + 1 < PLACES_MAX {
            self.also.push(found);
        }
    }

    fn text(&self) -> String {
        let first = &self.first;
        let word = match first.level {
            Level::Warn | Level::Off => "warning",
            Level::Hold | Level::Deny => "error",
        };
        let shown = |prefix: &String| format!("{prefix}..., ");
        let detail = |found: &Found| {
            let with = |detail: &String| format!("; {detail}");
            found.detail.as_ref().map_or(String::new(), with)
        };
        let mut text = format!(
            "{}: {word}[{}] {}\n  found: {}{} bytes, {}, fingerprint {}{}\n",
            first.place(),
            first.rule,
            first.title,
            first.prefix.as_ref().map_or(String::new(), shown),
            first.bytes,
            confidence_word(first.confidence),
            first.fingerprint,
            detail(first),
        );
        for found in self.also.iter().take(ALSO_MAX) {
            text += &format!("  also:  {}{}\n", found.place(), detail(found));
        }
        match self.count.saturating_sub(1 + ALSO_MAX as u64) {
            0 => {}
            1 => text += "         and 1 more place\n",
            rest => text += &format!("         and {rest} more places\n"),
        }
        text
    }

    fn json(&self) -> Value {
        let mut object = self.first.json();
        if self.count > 1 {
            let place = |found: &Found| {
                json!({
                    "path": found.path, "line": found.line, "column": found.column, "part": found.part,
                    "detail": found.detail, "start": found.range.start, "end": found.range.end,
                })
            };
            let places = std::iter::once(&self.first).chain(&self.also).map(place);
            object["places"] = places.collect();
            object["place_count"] = self.count.into();
        }
        object
    }

    fn sarif(&self) -> Value {
        let first = &self.first;
        let level = match first.level {
            Level::Warn | Level::Off => "warning",
            Level::Hold | Level::Deny => "error",
        };
        let mut result = json!({
            "ruleId": first.rule,
            "level": level,
            "message": { "text": format!("{} ({} bytes, fingerprint {})",
                first.title, first.bytes, first.fingerprint) },
            "locations": [location(first)],
            "partialFingerprints": { "ringfence/v1": first.fingerprint.to_string() },
            "properties": { "confidence": confidence_word(first.confidence) },
        });
        if self.count > 1 {
            let related = self.also.iter().enumerate().map(|(index, found)| {
                let mut location = location(found);
                location["id"] = (index + 1).into();
                location["message"] = json!({ "text": "the same value" });
                location
            });
            result["relatedLocations"] = related.collect();
            result["occurrenceCount"] = self.count.into();
        }
        result
    }
}

fn location(found: &Found) -> Value {
    let column = u64::try_from(found.column).ok();
    report::location(&found.uri, Some(found.line), column)
}

/// What the end of a run says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) failed: u64,
    /// Places not told because the baseline has their value.
    pub(super) known: u64,
    /// Places not told because the policy suppresses them.
    pub(super) suppressed: u64,
}

pub(super) struct Told<'a> {
    format: Format,
    out: &'a mut dyn Write,
    key: String,
    groups: Vec<Group>,
    by_value: HashMap<(RuleId, Fingerprint), usize>,
    /// JSON lines need no groups, only their number.
    values: HashSet<(RuleId, Fingerprint)>,
    count: u64,
    places: u64,
    wrote: io::Result<()>,
}

impl<'a> Told<'a> {
    pub(super) fn new(format: &str, key: &FingerprintKey, out: &'a mut dyn Write) -> Self {
        Told {
            format: match format {
                "jsonl" => Format::Lines,
                "json" => Format::Document,
                "sarif" => Format::Sarif,
                _ => Format::Text,
            },
            out,
            key: key.name().to_string(),
            groups: Vec::new(),
            by_value: HashMap::new(),
            values: HashSet::new(),
            count: 0,
            places: 0,
            wrote: Ok(()),
        }
    }

    /// Distinct values and facts; past the first [`DOCUMENT_MAX`] each place counts.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn places(&self) -> u64 {
        self.places
    }

    /// Takes a finding at one place.
    pub(super) fn add(&mut self, found: Found) {
        self.places += 1;
        let value = (found.rule.clone(), found.fingerprint);
        if let Format::Lines = self.format {
            let line = found.line_of_json(&self.key);
            self.write(line.as_bytes());
            let is_new = !found.is_value
                || match self.values.len() < DOCUMENT_MAX {
                    true => self.values.insert(value),
                    false => !self.values.contains(&value),
                };
            self.count += u64::from(is_new);
            return;
        }
        if let Some(&index) = self.by_value.get(&value).filter(|_| found.is_value) {
            self.groups[index].absorb(found);
            return;
        }
        self.count += 1;
        let group = Group {
            first: found,
            also: Vec::new(),
            count: 1,
        };
        if self.groups.len() < DOCUMENT_MAX {
            if group.first.is_value {
                self.by_value.insert(value, self.groups.len());
            }
            self.groups.push(group);
        } else if let Format::Text = self.format {
            self.write(group.text().as_bytes());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.wrote.is_ok() {
            self.wrote = self.out.write_all(bytes);
        }
    }

    /// Writes what is written at the end.
    pub(super) fn end(mut self, totals: Totals) -> io::Result<()> {
        let groups = std::mem::take(&mut self.groups);
        let Totals {
            files,
            bytes,
            failed,
            known,
            suppressed,
        } = totals;
        let document = match self.format {
            Format::Lines => None,
            Format::Text => {
                for group in &groups {
                    self.write(group.text().as_bytes());
                }
                None
            }
            Format::Document => Some(json!({
                "v": 1,
                "findings": groups.iter().map(Group::json).collect::<Vec<_>>(),
                "summary": {
                    "findings": self.count, "places": self.places, "files": files, "bytes": bytes,
                    "failed": failed, "known": known, "suppressed": suppressed,
                },
            })),
            Format::Sarif => {
                let log = Sarif {
                    rules: groups.iter().map(|group| &*group.first.rule).collect(),
                    invocation: json!({ "executionSuccessful": failed == 0 }),
                    run: json!({}),
                };
                if self.wrote.is_ok() {
                    self.wrote = log.write(self.out, &mut groups.iter().map(Group::sarif));
                }
                None
            }
        };
        if let Some(document) = document {
            self.write(format!("{document:#}\n").as_bytes());
        }
        self.wrote?;
        self.out.flush()
    }
}
