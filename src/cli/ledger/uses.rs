//! `ringfence ledger suppressions`: an entry of the policy that nothing needs any more is an open door.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Exit, Place, parse_time, plain};
use crate::check;
use crate::ledger::{self, Event};
use crate::order::Order as _;
use crate::policy::{Policy, Suppression};

/// How far back, when nobody says.
const DAYS: i64 = 90;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ledger [default: the one of the policy, else of the repository]
    pub(super) file: Option<PathBuf>,
    /// Uses since this time: `2026-11-22` or `2026-11-22T20:12:05Z` [default: 90 days ago]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<jiff::Timestamp>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Uses of one entry.
#[derive(Debug, Default)]
struct Uses {
    pushes: u64,
    last: String,
}

/// Tells of each entry of the policy how often it was used.
pub(super) fn run(
    path: &Path,
    args: &Args,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let policy = match args.place.policy_file() {
        Ok(file) => Policy::load(&file, &check::known()).map_err(|error| error.to_string()),
        Err(why) => Err(format!("error: {why}")),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(why) => {
            writeln!(err, "{}", why.trim_end())?;
            return Ok(Exit::Usage);
        }
    };
    let now = jiff::Timestamp::now();
    let since = args
        .since
        .unwrap_or_else(|| now - jiff::SignedDuration::from_hours(24 * DAYS));
    // Only what the policy has today: a ledger may name any number of others.
    let mut uses: HashMap<&str, Uses> = policy
        .suppressions()
        .iter()
        .map(|entry| (&*entry.id, Uses::default()))
        .collect();
    for entry in ledger::records(path)? {
        let (_, record) = entry?;
        let Event::Decision(decided) = &record.entry.event else {
            continue;
        };
        let time = record.entry.time.parse::<jiff::Timestamp>();
        if time.is_ok_and(|time| time < since) {
            continue;
        }
        let mut ids: Vec<&str> = decided
            .suppressed
            .iter()
            .filter_map(|found| found.suppressed_by.as_deref())
            .collect();
        ids.order();
        ids.dedup();
        for id in ids {
            if let Some(used) = uses.get_mut(id) {
                used.pushes += 1;
                used.last.clone_from(&record.entry.time);
            }
        }
    }
    for entry in policy.suppressions() {
        line(entry, &uses[&*entry.id], now, out)?;
    }
    if policy.suppressions().is_empty() {
        writeln!(out, "{} suppresses nothing", policy.file)?;
    }
    Ok(Exit::Accept)
}

fn line(
    entry: &Suppression,
    uses: &Uses,
    now: jiff::Timestamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let used = match uses.pushes {
        0 => "UNUSED".to_owned(),
        count => format!(
            "used by {}, last {}",
            match count {
                1 => "1 push".to_owned(),
                _ => format!("{count} pushes"),
            },
            plain(&uses.last)
        ),
    };
    let term = match entry.is_expired(now) {
        true => format!("EXPIRED on {}", entry.until),
        false => format!("until {}", entry.until),
    };
    let (id, what, owner) = (&entry.id, entry.what(), &entry.owner);
    writeln!(
        out,
        "{id} (line {}): {used}; {term}; {owner}: {what}",
        entry.line()
    )
}
