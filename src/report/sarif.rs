//! SARIF 2.1.0: what all logs of this program have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::words::ascii_json;
use crate::check::{CHECKS, IDENTITY_RULES, Rule};

/// A log of one run, but for its results.
pub(crate) struct Sarif<'a> {
    /// The rules that its results name.
    pub(crate) rules: BTreeSet<&'a str>,
    pub(crate) invocation: Value,
    /// Further properties of the run.
    pub(crate) run: Value,
}

impl Sarif<'_> {
    /// Writes the log, its results one a line.
    pub(crate) fn write(
        &self,
        out: &mut dyn Write,
        results: &mut dyn Iterator<Item = Value>,
    ) -> io::Result<()> {
        let mut run = json!({
            "tool": { "driver": {
                "name": "ringfence",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": self.rules(),
            } },
            "invocations": [self.invocation],
            "columnKind": "utf16CodeUnits",
        });
        if let (Some(run), Some(more)) = (run.as_object_mut(), self.run.as_object()) {
            run.extend(more.clone());
        }
        let run = ascii_json(run.to_string());
        let open = run.strip_suffix('}').unwrap_or(&run);
        let schema = "https://json.schemastore.org/sarif-2.1.0.json";
        write!(
            out,
            "{{\"$schema\":\"{schema}\",\"version\":\"2.1.0\",\"runs\":["
        )?;
        write!(out, "{open},\"results\":[")?;
        for (place, result) in results.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}\n{}", ascii_json(result.to_string()))?;
        }
        out.write_all(b"\n]}]}\n")
    }

    fn rules(&self) -> Vec<Value> {
        let all = CHECKS.iter().flat_map(|check| check.rules());
        let known: BTreeMap<&str, &Rule> = (all.chain(IDENTITY_RULES))
            .map(|rule| (rule.id, rule))
            .collect();
        let about = |id: &&str| {
            let rule = known.get(id);
            json!({
                "id": id,
                "shortDescription": { "text": rule.map_or(*id, |rule| rule.title) },
                "help": { "text": rule.map_or(*id, |rule| rule.doc) },
            })
        };
        self.rules.iter().map(about).collect()
    }
}

/// A place in a file: a relative reference, and line and column from 1 where they are known.
pub(crate) fn location(uri: &str, line: Option<u64>, column: Option<u64>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let Some(line) = line {
        physical["region"]["startLine"] = line.into();
        if let Some(column) = column {
            physical["region"]["startColumn"] = column.into();
        }
    }
    json!({ "physicalLocation": physical })
}

/// A relative reference: bytes that are not plain in a URI are escaped.
pub(crate) fn uri(path: &[u8]) -> String {
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
