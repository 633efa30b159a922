//! The rule packs of the policy.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use super::super::install::lines::Lines;
use super::{check_mode, check_rights};
use crate::scan::{self, PackError};

/// A pack that cannot be used refuses every push: nothing is judged with fewer rules than were meant. And who can
/// change one can take its rules away.
pub(super) fn check(packs: &[PathBuf], lines: &mut Lines<'_>) {
    if packs.is_empty() {
        return;
    }
    for pack in packs {
        check_rights(pack, lines);
        for entry in fs::read_dir(pack).into_iter().flatten().flatten() {
            check_mode(&entry.path(), lines);
        }
    }
    let mut wrong = |what: &dyn Display| {
        lines.error(
            format_args!(
                "the rules of the policy cannot be used, so every push is refused: {what}"
            ),
            "put them right, or take them out of the policy",
        );
    };
    match scan::examine(packs) {
        Ok(examined) => lines.ok(format_args!("the rules of the policy: {examined}")),
        Err(PackError::Rules(mistakes)) => mistakes.iter().for_each(|line| wrong(line)),
        Err(error) => wrong(&error),
    }
}
