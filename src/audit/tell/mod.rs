//! Temporary.

use std::io::{self, Write};

use super::record::Record;

/// How records are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One record a line.
    Jsonl,
    /// SARIF.
    Sarif,
    /// CSV.
    Csv,
    /// HTML.
    Html,
}

/// Tells records.
pub fn tell(_form: Form, records: &[Record], out: &mut dyn Write) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut *out, record)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
