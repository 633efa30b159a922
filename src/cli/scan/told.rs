//! How findings of `scan` are written: lines for people, JSON lines, one JSON document, SARIF.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::check::{CHECKS, Hit, Rule, Text};
use crate::finding::{Confidence, Level, Part};
use crate::redact::{FingerprintKey, Quoted};

/// Findings that one document holds; more are counted.
const DOCUMENT_MAX: usize = 100_000;

enum Format {
    Text,
    Lines,
    Document,
    Sarif,
}

pub(super) struct Told<'a> {
    format: Format,
    out: &'a mut dyn Write,
    rules: BTreeMap<&'static str, &'static Rule>,
    kept: Vec<Value>,
    count: u64,
    wrote: io::Result<()>,
}

impl<'a> Told<'a> {
    pub(super) fn new(format: &str, out: &'a mut dyn Write) -> Self {
        let rules = CHECKS.iter().flat_map(|check| check.rules());
        Told {
            format: match format {
                "jsonl" => Format::Lines,
                "json" => Format::Document,
                "sarif" => Format::Sarif,
                _ => Format::Text,
            },
            out,
            rules: rules.map(|rule| (rule.id, rule)).collect(),
            kept: Vec::new(),
            count: 0,
            wrote: Ok(()),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The hits of one text, by place.
    pub(super) fn hits(
        &mut self,
        name: &[u8],
        text: &Text<'_>,
        hits: &[Hit],
        key: &FingerprintKey,
    ) {
        let mut counted = 0;
        let mut line = 1u64;
        let mut line_start = 0;
        for hit in hits {
            self.count += 1;
            let start = hit.bytes.start.min(text.bytes.len());
            for at in memchr::memchr_iter(b'\n', &text.bytes[counted..start]) {
                line += 1;
                line_start = counted + at + 1;
            }
            counted = start;
            let column = start - line_start + 1;
            self.hit(name, text, hit, (line, column), key);
        }
    }

    fn hit(
        &mut self,
        name: &[u8],
        text: &Text<'_>,
        hit: &Hit,
        at: (u64, usize),
        key: &FingerprintKey,
    ) {
        let range = hit.bytes.start.min(text.bytes.len())..hit.bytes.end.min(text.bytes.len());
        let (fingerprint, bytes, prefix) = match &hit.evidence {
            Some(evidence) => (
                evidence.fingerprint,
                evidence.bytes,
                evidence.prefix.as_deref(),
            ),
            None => (
                key.fingerprint(&hit.rule, &text.bytes[range.clone()]),
                range.len(),
                None,
            ),
        };
        let level = match hit.confidence {
            Some(Confidence::Possible) => Level::Warn,
            Some(_) => Level::Deny,
            None => self
                .rules
                .get(&*hit.rule)
                .map_or(Level::Deny, |rule| rule.default),
        };
        let confidence = match hit.confidence {
            Some(Confidence::Possible) => "possible",
            Some(Confidence::Likely) => "likely",
            Some(Confidence::Certain) | None => "certain",
        };
        let level = match level {
            Level::Off => "off",
            Level::Warn => "warn",
            Level::Hold => "hold",
            Level::Deny => "deny",
        };
        let path = Quoted(name).to_string();
        let part = match text.part {
            Part::Path => "path",
            Part::SymlinkTarget => "symlink-target",
            _ => "content",
        };
        if let Format::Text = self.format {
            let word = if level == "warn" { "warning" } else { "error" };
            let place = match part {
                "content" => format!("{path}:{}:{}", at.0, at.1),
                other => format!("{path} ({other})"),
            };
            let shown = prefix.map_or(String::new(), |prefix| format!("{prefix}..., "));
            let detail = hit
                .detail
                .as_ref()
                .map_or(String::new(), |detail| format!("; {detail}"));
            let text = format!(
                "{place}: {word}[{}] {}\n  found: {shown}{bytes} bytes, {confidence}, fingerprint {fingerprint}{detail}\n",
                hit.rule, hit.title
            );
            self.write(text.as_bytes());
            return;
        }
        let object = json!({
            "path": path, "line": at.0, "column": at.1, "rule": hit.rule, "title": hit.title,
            "confidence": confidence, "level": level, "fingerprint": fingerprint.to_string(), "bytes": bytes,
            "prefix": prefix, "detail": hit.detail, "part": part,
            "start": hit.bytes.start, "end": hit.bytes.end,
        });
        match self.format {
            Format::Lines => self.write(format!("{object}\n").as_bytes()),
            _ if self.kept.len() < DOCUMENT_MAX => {
                let mut object = object;
                if let (Format::Sarif, Value::Object(fields)) = (&self.format, &mut object) {
                    fields.insert("uri".to_owned(), Value::String(uri(name)));
                }
                self.kept.push(object);
            }
            _ => {}
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.wrote.is_ok() {
            self.wrote = self.out.write_all(bytes);
        }
    }

    /// Writes what is written at the end.
    pub(super) fn end(mut self, files: u64, bytes: u64, failed: u64) -> io::Result<()> {
        let kept = std::mem::take(&mut self.kept);
        let document = match self.format {
            Format::Text | Format::Lines => None,
            Format::Document => Some(json!({
                "v": 1,
                "findings": kept,
                "summary": { "findings": self.count, "files": files, "bytes": bytes, "failed": failed },
            })),
            Format::Sarif => Some(self.sarif(&kept, failed)),
        };
        if let Some(document) = document {
            self.write(format!("{document:#}\n").as_bytes());
        }
        self.wrote?;
        self.out.flush()
    }

    fn sarif(&self, kept: &[Value], failed: u64) -> Value {
        let mut used: Vec<&str> = kept
            .iter()
            .filter_map(|found| found["rule"].as_str())
            .collect();
        used.sort_unstable();
        used.dedup();
        let rules: Vec<Value> = used
            .iter()
            .map(|id| {
                let rule = self.rules.get(id);
                json!({
                    "id": id,
                    "shortDescription": { "text": rule.map_or(*id, |rule| rule.title) },
                    "help": { "text": rule.map_or("", |rule| rule.doc) },
                })
            })
            .collect();
        let results: Vec<Value> = kept
            .iter()
            .map(|found| {
                let level = if found["level"] == "warn" { "warning" } else { "error" };
                let title = found["title"].as_str().unwrap_or_default();
                json!({
                    "ruleId": found["rule"],
                    "level": level,
                    "message": { "text": format!("{title} ({} bytes, fingerprint {})", found["bytes"],
                        found["fingerprint"].as_str().unwrap_or_default()) },
                    "locations": [{ "physicalLocation": {
                        "artifactLocation": { "uri": found["uri"] },
                        "region": { "startLine": found["line"], "startColumn": found["column"] },
                    } }],
                    "partialFingerprints": { "ringfence/v1": found["fingerprint"] },
                    "properties": { "confidence": found["confidence"] },
                })
            })
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "ringfence",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                } },
                "invocations": [{ "executionSuccessful": failed == 0 }],
                "columnKind": "utf16CodeUnits",
                "results": results,
            }],
        })
    }
}

/// A relative reference: bytes that are not plain in a URI are escaped.
fn uri(path: &[u8]) -> String {
    let mut out = String::new();
    for byte in path {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(*byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
