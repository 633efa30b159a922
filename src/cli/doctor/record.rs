//! The ledger: whether it can be written, and what it says that an admin should know.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::install::lines::{Lines, shown};
use crate::ledger::standing_beside;
use crate::policy::Policy;

/// What cannot be recorded is refused.
pub(super) fn check(git_dir: &Path, policy: Option<&Policy>, lines: &mut Lines<'_>) {
    let ledger = match policy.and_then(|policy| policy.ledger.clone()) {
        Some(ledger) => git_dir.join(ledger),
        None => git_dir.join("ringfence/ledger.jsonl"),
    };
    let folder = ledger.parent().unwrap_or(git_dir);
    // The first push makes what is missing.
    let existing = folder
        .ancestors()
        .find(|folder| folder.symlink_metadata().is_ok())
        .unwrap_or(folder);
    let written =
        probe(existing).and_then(
            |()| match fs::OpenOptions::new().append(true).open(&ledger) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                opened => opened.map(drop),
            },
        );
    match written {
        Ok(()) => lines.ok(format_args!("{} can be written", shown(&ledger))),
        Err(error) => lines.error(
            format_args!(
                "{} cannot be written, so every push is refused: {error}",
                shown(&ledger)
            ),
            format_args!("give {} to the account that runs git", shown(existing)),
        ),
    }
    check_standing(&ledger, lines);
    if let Ok(metadata) = fs::metadata(folder)
        && metadata.permissions().mode() & 0o077 != 0
    {
        lines.warning(
            format_args!(
                "{} is open to other accounts, and holds the record",
                shown(folder)
            ),
            format_args!("chmod 700 {}", shown(folder)),
        );
    }
}

/// What the end of the ledger says that an admin should know.
fn check_standing(ledger: &Path, lines: &mut Lines<'_>) {
    let standing = match standing_beside(ledger) {
        Ok(Some(standing)) => standing,
        Ok(None) => return,
        Err(error) => {
            lines.error(
                format_args!("{}: {error}: every push is refused", shown(ledger)),
                format_args!("ringfence ledger verify {}", shown(ledger)),
            );
            return;
        }
    };
    for (name, since) in &standing.suspended {
        let name = name.escape_debug();
        lines.warning(
            format_args!("{name} is suspended since {}", since.escape_debug()),
            format_args!("a person lifts it: ringfence resume {name}"),
        );
    }
    if let Some(latest) = standing.clock_behind(jiff::Timestamp::now()) {
        lines.error(
            format_args!("the clock is behind the ledger, which has an entry of {latest:.0}: agents are refused"),
            "set the clock right; if it is right now: ringfence ledger clock",
        );
    }
}

/// Writes into a folder, and leaves nothing behind. The rights of a folder do not tell (ACLs, read-only file systems).
fn probe(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".ringfence-doctor-{}", std::process::id()));
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)?;
    fs::remove_file(&file)
}
