//! CSV (RFC 4180): one table, one row a record.
//!
//! A spreadsheet runs what starts like a formula, so such a cell gets an apostrophe in front. What is not printable ASCII is
//! escaped.

use std::io::{self, Write};

use serde_json::Value;

use super::view::View;
use crate::audit::record::Record;
use crate::report::ascii;

/// The columns, and the fields of a record that each shows: the first that is there.
const COLUMNS: &[(&str, &[&str])] = &[
    ("type", &["/type"]),
    ("repository", &["/repository"]),
    ("status", &["/status"]),
    ("source", &["/source"]),
    ("kind", &["/kind"]),
    ("level", &["/level"]),
    ("confidence", &["/confidence"]),
    ("rule", &["/rule"]),
    ("title", &["/title"]),
    ("detail", &["/detail", "/why", "/ledger/why"]),
    ("identity", &["/identity"]),
    ("policy_at", &["/policy_at"]),
    ("path", &["/path"]),
    ("line", &["/line"]),
    ("column", &["/column"]),
    ("part", &["/part"]),
    ("ref", &["/ref"]),
    ("commit", &["/first/commit", "/commit/commit"]),
    ("time", &["/first/time", "/commit/time", "/first", "/time"]),
    ("author", &["/first/author", "/commit/author"]),
    ("agents", &["/first/agents", "/commit/agents", "/agents"]),
    ("last_commit", &["/last/commit"]),
    ("last_time", &["/last/time", "/last"]),
    ("removed_commit", &["/removed/commit"]),
    ("at_tip", &["/at_tip"]),
    ("unreachable", &["/unreachable"]),
    ("fingerprint", &["/fingerprint"]),
    ("bytes", &["/bytes"]),
    ("prefix", &["/prefix"]),
    ("refs", &["/refs"]),
    ("ref_count", &["/ref_count"]),
    ("place_count", &["/place_count"]),
    ("agent", &["/agent"]),
    ("declared", &["/declared"]),
    ("evidence", &["/evidence"]),
    ("commits", &["/commits"]),
    ("signed", &["/signed"]),
    ("refused_commits", &["/refused_commits"]),
    ("findings", &["/findings"]),
    ("secrets", &["/secrets"]),
    ("secrets_at_tip", &["/secrets_at_tip"]),
    ("uncovered", &["/uncovered"]),
    ("unread", &["/unread_count"]),
    ("objects", &["/objects"]),
    ("old", &["/old"]),
    ("new", &["/new"]),
    ("decision", &["/decision"]),
];

pub(super) fn table(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    row(out, &mut COLUMNS.iter().map(|(name, _)| (*name).to_owned()))?;
    for record in &view.records {
        let value = serde_json::to_value(record)?;
        write(out, &value)?;
        let Record::Repository(repository) = record else {
            continue;
        };
        for unread in &repository.unread {
            write(
                out,
                &serde_json::json!({
                    "type": "unread",
                    "repository": repository.repository,
                    "title": unread.what,
                    "why": unread.why,
                    "objects": unread.objects,
                }),
            )?;
        }
    }
    Ok(())
}

fn write(out: &mut dyn Write, record: &Value) -> io::Result<()> {
    row(
        out,
        &mut COLUMNS.iter().map(|(_, fields)| {
            let mut shown = fields.iter().map(|field| cell(record.pointer(field)));
            shown.find(|cell| !cell.is_empty()).unwrap_or_default()
        }),
    )
}

/// A value as one cell shows it: lists with semicolons, tables as `name=count`.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let all: Vec<String> = all.iter().map(|one| cell(Some(one))).collect();
            all.join("; ")
        }
        Some(Value::Object(all)) => {
            // A commit or a ledger has columns of its own.
            let counts = all.iter().filter(|(_, count)| count.is_number());
            let all: Vec<String> = counts
                .map(|(name, count)| format!("{name}={count}"))
                .collect();
            all.join("; ")
        }
        Some(other) => other.to_string(),
    }
}

fn row(out: &mut dyn Write, cells: &mut dyn Iterator<Item = String>) -> io::Result<()> {
    let mut line = String::new();
    for (place, text) in cells.enumerate() {
        if place > 0 {
            line.push(',');
        }
        line.push_str(&quoted(&text));
    }
    line.push_str("\r\n");
    out.write_all(line.as_bytes())
}

/// A cell as it stands in the file. Where a semicolon parts cells, what follows one is a cell too.
fn quoted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at_start = true;
    for letter in ascii(text).chars() {
        if at_start && matches!(letter, '=' | '+' | '-' | '@') {
            shown.push('\'');
        }
        at_start = matches!(letter, ';' | ',' | '|') || at_start && matches!(letter, ' ' | '"');
        shown.push(letter);
    }
    let outer_blank = shown.starts_with(' ') || shown.ends_with(' ');
    match outer_blank || shown.contains(['"', ',', ';']) {
        true => format!("\"{}\"", shown.replace('"', "\"\"")),
        false => shown,
    }
}
