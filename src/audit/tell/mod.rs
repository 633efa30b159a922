//! How an audit is told: every form is made of the same records, in the same order.
//!
//! The order comes from the records alone, so that shards may be put together in any order. A form never says more than the
//! records do: where they do not show that all was looked at, it says so first.

mod csv;
mod html;
mod jsonl;
mod sarif;
mod text;
mod view;

use std::io::{self, Write};

use super::record::Record;
use crate::order::Order as _;
use view::View;

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The few lines that matter first, for people.
    Text,
    /// The records, one a line.
    Jsonl,
    /// The records as one document.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// One table.
    Csv,
    /// One page that stands for itself.
    Html,
}

impl Form {
    /// The words of `--format`.
    pub const NAMES: [&str; 6] = ["text", "jsonl", "json", "sarif", "csv", "html"];

    /// By the word of `--format`.
    pub fn named(name: &str) -> Option<Form> {
        let all = [
            Form::Text,
            Form::Jsonl,
            Form::Json,
            Form::Sarif,
            Form::Csv,
            Form::Html,
        ];
        let place = Form::NAMES.iter().position(|one| *one == name)?;
        all.get(place).copied()
    }
}

/// Writes the records in a form. Their order does not matter, and one that stands twice counts once. Everything written is
/// ASCII without control bytes other than line ends.
///
/// # Errors
///
/// What `out` says.
pub fn tell(form: Form, records: &[Record], out: &mut dyn Write) -> io::Result<()> {
    let view = View::new(records);
    match form {
        Form::Text => out.write_all(text::text(&view).as_bytes()),
        Form::Jsonl => jsonl::lines(&view, out),
        Form::Json => jsonl::document(&view, out),
        Form::Sarif => sarif::log(&view, out),
        Form::Csv => csv::table(&view, out),
        Form::Html => html::page(&view, out),
    }?;
    out.flush()
}

/// Writes one record as a line of [`Form::Jsonl`], for who has them one after another.
///
/// # Errors
///
/// What `out` says.
pub fn line(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    jsonl::line(record, out)
}

/// Puts the records of one repository in the order of every form.
pub(super) fn sort(records: &mut [Record]) {
    records.order_by(view::order);
}

#[cfg(test)]
mod tests;
