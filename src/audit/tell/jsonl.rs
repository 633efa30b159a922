//! The records themselves: one a line, or all in one document.

use std::io::{self, Write};

use serde::Serialize;

use super::view::View;
use crate::audit::record::{Record, VERSION};
use crate::report::ascii_json;

pub(super) fn lines(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    view.records.iter().try_for_each(|record| line(record, out))
}

pub(super) fn line(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", json(record)?)
}

pub(super) fn document(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"v\":{VERSION},\"records\":[")?;
    for (place, record) in view.records.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(out, "{comma}\n{}", json(record)?)?;
    }
    writeln!(out, "\n]}}")
}

fn json(value: &impl Serialize) -> io::Result<String> {
    Ok(ascii_json(serde_json::to_string(value)?))
}
