//! `ringfence suspend` and `ringfence resume`: stop an identity from the next push on, and let it go on.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Exit;
use super::doctor::installed_policy;
use super::install::git_dirs;
use super::install::lines::{Lines, shown};
use crate::check;
use crate::ledger::{Ledger, LedgerError, Stopped, default_path, key_beside};
use crate::order::Order as _;
use crate::policy::Policy;
use crate::repo::Layout;

/// How long the command waits for pushes that are being recorded.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of both commands.
#[derive(Debug, clap::Args)]
pub(super) struct SuspendArgs {
    /// The identity, as the policy names it
    identity: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Whose ledger.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// One repository [default: the one of the current folder]
    #[arg(long, value_name = "DIR", conflicts_with = "repo_root")]
    repo: Option<PathBuf>,
    /// Every bare repository below this folder
    #[arg(long, value_name = "DIR")]
    repo_root: Option<PathBuf>,
    /// The policy [default: the one of the hook, else as the hook finds it]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// The policy that the hook of a repository judges by, and its ledger.
pub(super) struct RecordOf {
    pub(super) git_dir: PathBuf,
    pub(super) policy: Policy,
    pub(super) ledger: PathBuf,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Suspend,
    Resume,
}

/// The account that runs this command: what the system says, and the name that the environment gives it.
pub(super) fn by() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let uid = std::fs::metadata("/proc/self").map(|own| own.uid());
    let uid = uid.map_or_else(|_| "uid unknown".to_owned(), |uid| format!("uid {uid}"));
    match name {
        Some(name) => format!("{name} ({uid})"),
        None => uid,
    }
}

/// Runs one of both commands.
pub(super) fn run(way: Way, args: &SuspendArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut lines = Lines::new(out);
    let ledgers = match args.place.ledgers(&args.identity, &mut lines) {
        Ok(ledgers) => ledgers,
        Err(why) => {
            let _ = writeln!(err, "error: {why}");
            return Exit::Usage;
        }
    };
    for path in &ledgers {
        let stopped = Stopped {
            identity: args.identity.clone(),
            by: by(),
            reason: args.reason.clone(),
        };
        match record(way, path, stopped) {
            Ok(text) => lines.ok(text),
            Err(error) => lines.error(
                format_args!("{}: {error}: nothing changed there", shown(path)),
                "run this as the account that runs git",
            ),
        }
    }
    match lines.errors() {
        0 => Exit::Accept,
        _ => Exit::Unjudged,
    }
}

fn record(way: Way, path: &Path, stopped: Stopped) -> Result<String, LedgerError> {
    let ledger = Ledger::open(path)?.with_index(&key_beside(path)?, false);
    let name = stopped.identity.escape_debug().to_string();
    let place = shown(path);
    match way {
        Way::Suspend => {
            let id = ledger.suspend(stopped, PATIENCE)?;
            Ok(format!("{name} is suspended: entry {id} of {place}"))
        }
        Way::Resume => Ok(match ledger.resume(stopped, PATIENCE)? {
            Some(id) => format!("{name} may push again: entry {id} of {place}"),
            None => format!("{name} was not suspended in {place}"),
        }),
    }
}

impl Place {
    /// The ledgers of the repositories, each once. A repository whose policy does not know the identity is told.
    fn ledgers(&self, identity: &str, lines: &mut Lines<'_>) -> Result<Vec<PathBuf>, String> {
        let git_dirs = git_dirs(self.repo.as_deref(), self.repo_root.as_deref(), lines)?;
        let mut ledgers = Vec::new();
        for git_dir in &git_dirs {
            let RecordOf { policy, ledger, .. } = match self.record_of(git_dir) {
                Ok(found) => found,
                Err(why) => {
                    let why = format_args!("{}: {why}", shown(git_dir));
                    lines.error(why, "nothing changed there");
                    continue;
                }
            };
            if policy.identity_names().any(|name| name == identity) {
                ledgers.push(ledger);
            } else if git_dirs.len() == 1 {
                let names: Vec<&str> = policy.identity_names().take(20).collect();
                return Err(format!(
                    "the policy has no identity `{}`\nhint: identities of the policy: {}",
                    identity.escape_debug(),
                    names.join(", ")
                ));
            }
        }
        ledgers.order();
        ledgers.dedup();
        if ledgers.is_empty() && lines.errors() == 0 {
            return Err(format!(
                "no policy of these repositories has an identity `{}`",
                identity.escape_debug()
            ));
        }
        Ok(ledgers)
    }

    /// The record of one repository.
    pub(super) fn record(&self) -> Result<RecordOf, String> {
        let mut unheard = std::io::sink();
        let mut lines = Lines::new(&mut unheard);
        match git_dirs(self.repo.as_deref(), self.repo_root.as_deref(), &mut lines)?.as_slice() {
            [git_dir] => self.record_of(git_dir),
            _ => Err("name one repository: --repo DIR".to_owned()),
        }
    }

    /// The policy that the hook of a repository judges by, and its ledger.
    fn record_of(&self, git_dir: &Path) -> Result<RecordOf, String> {
        let layout = Layout::discover(git_dir).map_err(|error| error.to_string())?;
        let vars = |name: &str| std::env::var_os(name);
        let said = |why: &dyn Display| why.to_string();
        let file = match self.policy.clone().or_else(|| installed_policy(git_dir)) {
            Some(file) => file,
            None => Policy::find(None, &vars, Some(&layout.common_dir)).map_err(|e| said(&e))?,
        };
        let policy = Policy::load(&file, &check::known()).map_err(|error| error.brief())?;
        let ledger = match &policy.ledger {
            // A hook runs in the folder of the repository.
            Some(ledger) => layout.git_dir.join(ledger),
            None => default_path(&layout.common_dir),
        };
        let git_dir = git_dir.to_owned();
        Ok(RecordOf {
            git_dir,
            policy,
            ledger,
        })
    }
}
