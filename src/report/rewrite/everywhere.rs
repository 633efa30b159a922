//! Paths that several commits changed, put back in all of them.

use std::collections::HashSet;

use bstr::BString;

use super::{Fault, LISTED_MAX};
use crate::finding::PathOp;
use crate::order::Order as _;
use crate::push::Oid;
use crate::report::cure::{Cure, Family, Line};
use crate::report::words::{argv, short};

/// The paths at fault, where nothing else in the content is and more than one commit changed one of them: put back in the first
/// commit alone, the changes of the next would not apply. `None`: each commit can be mended for itself.
pub(super) fn paths<'a>(faults: &[Fault<'a>]) -> Option<Vec<&'a BString>> {
    let mut found: Vec<&BString> = Vec::new();
    let mut again = false;
    for fault in faults {
        let mut here = HashSet::new();
        for judged in &fault.findings {
            let finding = &judged.finding;
            // Names and signatures are seen to afterwards.
            if matches!(Family::of(finding), Family::Author | Family::Sign) {
                continue;
            }
            let path = finding.place.path.as_ref()?;
            // A file whose mode alone is wrong keeps its text.
            if Family::of(finding) != Family::Path || finding.op == Some(PathOp::Mode) {
                return None;
            }
            // The path stands in a command inside of a command.
            let is_plain = |byte: &u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-')
            };
            if !path.iter().all(is_plain) {
                return None;
            }
            here.insert(path);
        }
        for path in here {
            match found.contains(&path) {
                true => again = true,
                false => found.push(path),
            }
        }
    }
    found.order();
    (again && found.len() <= LISTED_MAX).then_some(found)
}

/// Puts paths back to what they were before the push, in every commit of it.
pub(super) fn put_back(cure: &mut Cure, base: &Oid, paths: &[&BString]) {
    let base = short(base);
    let mut filter = BString::from(format!("git reset -q {base} --"));
    for path in paths {
        filter.push(b' ');
        filter.extend_from_slice(path);
    }
    let mut command = argv([
        "env",
        "FILTER_BRANCH_SQUELCH_WARNING=1",
        "git",
        "filter-branch",
        "-f",
        "--index-filter",
    ]);
    command.extend([filter, BString::from(format!("{base}..HEAD"))]);
    cure.lines.push(Line::Run {
        argv: command,
        otherwise: "put the paths back in every commit".into(),
    });
    cure.lines.push(Line::Note(
        "what the commits were before stands under refs/original".into(),
    ));
}
