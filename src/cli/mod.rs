//! The commands: one file each. This one parses and dispatches.

mod audit;
mod check;
mod demo;
mod doctor;
mod hook;
mod install;
mod ledger;
mod policy;
mod rules;
mod scan;
mod server;
mod suspend;
mod whole;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

use crate::scan::PackError;

/// What the process tells its caller. Every value but `Accept` refuses a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Accepted; nothing found.
    Accept = 0,
    /// Rejected or held; findings.
    Refuse = 1,
    /// Wrong usage, or a policy that cannot be used.
    Usage = 2,
    /// The gate could not finish.
    Unjudged = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// The gate between autonomous coding agents and the repositories of a git server.
#[derive(clap::Parser)]
#[command(name = "ringfence", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant a command; the arguments and the work are in the command's own file.
#[derive(clap::Subcommand)]
enum Command {
    /// Show a throw-away server, real pushes, and every verdict
    Demo(demo::DemoArgs),
    /// What git calls: pre-receive, pre-push, post-receive
    Hook(hook::Args),
    /// Judge what a push would bring, without pushing
    Check(check::Args),
    /// Find secrets and hidden text in files, folders and standard input
    Scan(scan::ScanArgs),
    /// Find what agents did and which secrets lie in whole histories
    Audit(Box<audit::AuditArgs>),
    /// List and show the rules, and prove that the secret formats are found
    Rules(rules::RulesArgs),
    /// Put the hook where a host runs it
    Install(install::InstallArgs),
    /// Take the hook away again
    Uninstall(install::UninstallArgs),
    /// Find what lets pushes pass unseen, and what refuses every push
    Doctor(doctor::DoctorArgs),
    /// Stop an identity: every push of it is refused from the next one on
    Suspend(suspend::SuspendArgs),
    /// Let an identity push again that was suspended
    Resume(suspend::SuspendArgs),
    /// Prove the record, and ask it
    Ledger(Box<ledger::LedgerArgs>),
    /// Check, show, explain and test the policy
    Policy(policy::PolicyArgs),
}

/// Adds rule packs to those of the program. Compiled packs are kept in the folder given, or in the user's own cache.
fn use_rules(paths: &[PathBuf], cache: Option<&Path>) -> Result<(), PackError> {
    if paths.is_empty() {
        return Ok(());
    }
    let home = || {
        let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let own = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
        let folder = given
            .filter(|path| path.is_absolute())
            .or_else(own)?
            .join("ringfence");
        // Without it the pack is compiled each time.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .ok()?;
        Some(folder)
    };
    let cache = cache.map(Path::to_path_buf).or_else(home);
    crate::scan::use_pack(crate::scan::load(paths, cache.as_deref())?)
}

/// Runs the program with its arguments, the program's own name first.
pub fn run(args: Vec<OsString>) -> ExitCode {
    // Before the argument parser is built: the hook is a cold process, and this is its usual call.
    if let Some(exit) = hook::fast_path(&args) {
        return exit.into();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too; a closed standard output is not our failure.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Accept.into()
            };
        }
    };
    if let Command::Audit(args) = &cli.command {
        // Its threads tell how far they are, so no thread holds the lock of an output meanwhile.
        return audit::run(args, &mut io::stdout(), &mut io::stderr()).into();
    }
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match cli.command {
        Command::Demo(args) => demo::run(&args, &mut out, &mut err),
        Command::Hook(args) => args.run(),
        Command::Check(args) => server::told(args.run(&mut out), &mut err),
        Command::Scan(args) => scan::run(&args, &mut out, &mut err),
        Command::Audit(_) => unreachable!("it was run above"),
        Command::Rules(args) => rules::run(&args, &mut out, &mut err),
        Command::Install(args) => install::install(&args, &mut out, &mut err),
        Command::Uninstall(args) => install::uninstall(&args, &mut out, &mut err),
        Command::Doctor(args) => doctor::run(&args, &mut out, &mut err),
        Command::Suspend(args) => suspend::run(suspend::Way::Suspend, &args, &mut out, &mut err),
        Command::Resume(args) => suspend::run(suspend::Way::Resume, &args, &mut out, &mut err),
        Command::Ledger(args) => ledger::run(&args, &mut out, &mut err),
        Command::Policy(args) => policy::run(&args, &mut out, &mut err),
    }
    .into()
}
