//! What a person writes into the ledger: the clock is right, a ref is somebody's. And its index, made anew.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::suspend::{self, PATIENCE, by};
use super::Exit;
use crate::host;
use crate::ledger::{Assigned, Entry, Ledger, LedgerError, Moved, key_beside};
use crate::push::RefName;
use crate::repo::{Layout, Repo};

#[derive(Debug, clap::Args)]
pub(super) struct ClockArgs {
    #[command(flatten)]
    place: suspend::Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct IndexArgs {
    /// Files that were the ledger before, oldest first, packed with gzip or not [default: those beside it that follow
    /// from each other]
    #[arg(value_name = "FILE")]
    older: Vec<PathBuf>,
    #[command(flatten)]
    place: suspend::Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct AssignArgs {
    /// The full name of the ref
    #[arg(value_name = "REF")]
    name: String,
    /// The identity that it belongs to from now on
    #[arg(value_name = "ID")]
    identity: String,
    /// The name of the repository in the ledger [default: by its folder]
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    #[command(flatten)]
    place: suspend::Place,
}

fn failed(error: LedgerError) -> io::Error {
    io::Error::other(error)
}

/// The ledger, with its index.
fn open(path: &Path) -> Result<Ledger, LedgerError> {
    let ledger = Ledger::open(path)?;
    Ok(ledger.with_index(&key_beside(path)?, false))
}

impl ClockArgs {
    pub(super) fn ledger(&self) -> Result<PathBuf, String> {
        Ok(self.place.record()?.ledger)
    }

    /// Records that the clock is right: later entries count no more.
    pub(super) fn run(&self, path: &Path, out: &mut dyn Write) -> io::Result<Exit> {
        let now = || Entry::clock(by(), jiff::Timestamp::now()).into();
        let id = open(path)
            .and_then(|ledger| ledger.append_with(PATIENCE, None, |_, _| now()))
            .map_err(failed)?;
        writeln!(out, "ok: the clock is right from entry {id} on")?;
        Ok(Exit::Accept)
    }
}

impl IndexArgs {
    pub(super) fn ledger(&self) -> Result<PathBuf, String> {
        Ok(self.place.record()?.ledger)
    }

    /// Makes the index anew from the ledger.
    pub(super) fn run(&self, path: &Path, out: &mut dyn Write) -> io::Result<Exit> {
        open(path)
            .and_then(|ledger| ledger.make_index(&self.older, PATIENCE))
            .map_err(failed)?;
        writeln!(out, "ok: the index of {} is made", path.display())?;
        Ok(Exit::Accept)
    }
}

impl AssignArgs {
    pub(super) fn ledger(&self) -> Result<PathBuf, String> {
        Ok(self.place.record()?.ledger)
    }

    /// Records whose a ref is.
    pub(super) fn run(
        &self,
        path: &Path,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<Exit> {
        let assigned = match self.assigned() {
            Ok(assigned) => assigned,
            Err(why) => {
                writeln!(err, "error: {why}")?;
                return Ok(Exit::Usage);
            }
        };
        let (name, identity) = (assigned.name.clone(), self.identity.escape_debug());
        let entry = |_: &_, _| Entry::assigned(assigned, jiff::Timestamp::now()).into();
        let id = open(path)
            .and_then(|ledger| ledger.append_with(PATIENCE, None, entry))
            .map_err(failed)?;
        writeln!(out, "ok: {name} belongs to {identity} from entry {id} on")?;
        Ok(Exit::Accept)
    }

    fn assigned(&self) -> Result<Assigned, String> {
        let record = self.place.record()?;
        if !record
            .policy
            .identity_names()
            .any(|name| name == self.identity)
        {
            return Err(format!(
                "the policy has no identity `{}`",
                self.identity.escape_debug()
            ));
        }
        let name = RefName::new(self.name.as_bytes())
            .map_err(|error| format!("the ref {} {error}", self.name.escape_debug()))?;
        let layout = Layout::discover(&record.git_dir).map_err(|error| error.to_string())?;
        let repository = match &self.repository {
            Some(name) => vec![name.clone()],
            None => host::repository_names(&layout.common_dir, &record.policy.host)
                .map_err(|error| error.to_string())?,
        };
        let resolved = Repo::open(layout)
            .and_then(|repo| repo.resolve(&name))
            .map_err(|error| error.to_string())?;
        let moved = Moved::of(&resolved.target, None, resolved.value);
        Ok(Assigned {
            repository,
            name: moved.name,
            ref_hex: moved.ref_hex,
            value: moved
                .new
                .ok_or_else(|| format!("{} is not there", self.name.escape_debug()))?,
            identity: self.identity.clone(),
            by: by(),
        })
    }
}
