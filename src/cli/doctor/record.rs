//! The ledger: whether it can be written, and what it says that an admin should know.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::install::lines::{Lines, shown};
use crate::host;
use crate::ledger::{Ask, index_trouble, past_beside, standing_beside};
use crate::policy::Policy;
use crate::push::{Command, RefUpdate};
use crate::redact::Quoted;
use crate::repo::{Layout, Repo};
use crate::standing::{Past, RefPast};

/// Refs without a known owner that are named one by one.
const OWNERLESS_SHOWN_MAX: usize = 10;

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
    if let Some(policy) = policy.filter(|policy| policy.asks_the_record) {
        check_index(&ledger, lines);
        check_owners(git_dir, policy, &ledger, lines);
    }
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

/// What limits over time and owners of refs rest on.
fn check_index(ledger: &Path, lines: &mut Lines<'_>) {
    if let Some(trouble) = index_trouble(ledger) {
        lines.error(
            format_args!("{}: {trouble}", shown(ledger)),
            "look into it with ringfence ledger verify; ringfence ledger index makes the index anew",
        );
    }
}

/// Refs that only their owner may change, and nobody knows who that is: agents are refused there.
fn check_owners(git_dir: &Path, policy: &Policy, ledger: &Path, lines: &mut Lines<'_>) {
    let narrowed = || -> Option<(Vec<String>, Vec<RefUpdate>)> {
        let layout = Layout::discover(git_dir).ok()?;
        let names = host::repository_names(&layout.common_dir, &policy.host).ok()?;
        let refs = Repo::open(layout).ok()?.refs_under(b"refs/").ok()?;
        let updates = refs
            .into_iter()
            .filter(|(name, _)| policy.narrows_to_owner(name.as_bytes()))
            .map(|(name, value)| RefUpdate {
                command: Command {
                    name: name.clone(),
                    claimed_old: Some(value),
                    new: None,
                },
                target: name,
                stored: Some(value),
                proposed_for: None,
            });
        Some((names, updates.collect()))
    };
    let Some((repository, updates)) = narrowed().filter(|(_, updates)| !updates.is_empty()) else {
        return;
    };
    let ask = Ask {
        repository: &repository,
        updates: &updates,
        identity: None,
    };
    let pasts = match past_beside(ledger, ask) {
        Some(Past::Known(known)) => known.refs,
        // Told already, or there was no push yet: then nothing is known of any.
        _ => vec![RefPast::default(); updates.len()],
    };
    let unknown: Vec<&RefUpdate> = updates
        .iter()
        .zip(&pasts)
        .filter(|(update, past)| {
            let stored = update.stored.map(|id| id.to_string());
            past.owner(stored.as_deref()).is_none()
        })
        .map(|(update, _)| update)
        .collect();
    for update in unknown.iter().take(OWNERLESS_SHOWN_MAX) {
        let name = Quoted(update.target.as_bytes()).to_string();
        lines.warning(
            format_args!("{name} has no known owner: agents that may change only refs of their own are refused there"),
            format_args!("say whose it is: ringfence ledger assign {name} ID"),
        );
    }
    if unknown.len() > OWNERLESS_SHOWN_MAX {
        let rest = unknown.len() - OWNERLESS_SHOWN_MAX;
        lines.hint(format_args!("{rest} more refs have no known owner"));
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
