//! `ringfence hook pre-receive|pre-push|post-receive`: what git calls.
//!
//! The flow of pre-receive reads in one screen: load policy -> receive -> open repository -> judge -> append to
//! the ledger -> report -> exit code. Everything that goes wrong on the way refuses the push with one clear
//! sentence; nothing on the way can end in an accept but a full judgement.

use std::ffi::OsString;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::budget::Budget;
use crate::cli::Exit;
use crate::cli::server::{self, Judgement, Refusal};
use crate::gate;
use crate::host::{self, InputError, prepush};
use crate::ledger::{
    Ask, Entry, Ledger, Moved, Stopped, Written, existing_key_beside, passing_key,
};
use crate::policy::Policy;
use crate::push::{HostKind, Push, Pusher, RefUpdate};
use crate::repo::{Layout, Repo, RepoError};
use crate::report;
use crate::standing::{Past, Standing};
use crate::verdict::{Decision, Verdict};

/// How long a push waits for others that are writing to the ledger, at most.
const LEDGER_PATIENCE: Duration = Duration::from_secs(10);

/// The hooks of git.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(clap::Subcommand)]
enum Hook {
    /// Judge a push on the server; git feeds standard input, any other exit code than 0 refuses
    PreReceive {
        /// The policy [default: $RINGFENCE_POLICY, <git dir>/ringfence/policy.yaml, /etc/ringfence/policy.yaml]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Judge a push before it leaves; advisory, the server decides
    PrePush {
        /// Name of the remote, as git gives it
        remote: String,
        /// URL of the remote, as git gives it
        url: String,
        /// The policy [default: as pre-receive]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// The identity to judge as [default: $RINGFENCE_IDENTITY]
        #[arg(long = "as", value_name = "ID")]
        identity: Option<String>,
    },
    /// Record what landed, after the fact
    PostReceive {
        /// The policy, which names the ledger [default: as pre-receive]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

impl Args {
    pub(super) fn run(self) -> Exit {
        match self.hook {
            Hook::PreReceive { policy } => guarded(|| pre_receive(policy.as_deref())),
            Hook::PrePush {
                remote,
                url,
                policy,
                identity,
            } => guarded(|| pre_push(&remote, &url, policy.as_deref(), identity)),
            Hook::PostReceive { policy } => guarded(|| post_receive(policy.as_deref())),
        }
    }
}

/// The way in that skips the argument parser: exactly `hook pre-receive [--policy FILE]`. `None`: something else.
pub(super) fn fast_path(args: &[OsString]) -> Option<Exit> {
    let (hook, policy) = match args {
        [_, hook, name] if hook == "hook" => (name, None),
        [_, hook, name, flag, policy] if hook == "hook" && flag == "--policy" => {
            (name, Some(Path::new(policy)))
        }
        _ => return None,
    };
    (hook == "pre-receive").then(|| guarded(|| pre_receive(policy)))
}

fn pre_receive(policy: Option<&Path>) -> Result<Exit, Refusal> {
    let layout = Layout::from_hook(&server::variable, &current_folder()?).map_err(unreadable)?;
    let policy = server::load_policy(policy, Some(&layout.common_dir)).map_err(for_pusher)?;
    let record = server::ledger_path(&policy, &layout);
    let (ledger, key) = server::open_ledger(&record)?;
    let ledger = ledger.with_index(&key, policy.asks_the_record);
    use_packs(&policy, &record).map_err(|refusal| packs_refused(refusal, &ledger))?;
    let budget = Budget::new(policy.bounds.clone());
    let mut stdin = std::io::stdin().lock();
    let push = host::receive(
        &server::variable,
        &mut stdin,
        &policy.host,
        &layout.common_dir,
        layout.hash,
        budget.bounds().refs,
    )
    .map_err(|error| input_refused(&error, &ledger))?;
    let repo = Repo::open(layout).map_err(unreadable)?;
    let standing = ledger
        .standing()
        .map_err(|error| server::unusable_ledger(&error))?;
    let judgement = Judgement {
        policy: &policy,
        repo: &repo,
        push: &push,
        key: &key,
        budget: &budget,
        as_identity: None,
        advisory: false,
        standing: &standing,
        past: &|updates, name| ledger.past(LEDGER_PATIENCE, ask(&push, updates, name)),
    };
    let (updates, mut outcome) = judgement.judge();
    let pusher = outcome.decision.actor.identity.clone();
    let asked = outcome.asks_the_record();
    let asked = asked.then(|| ask(&push, &updates, pusher.as_deref()));
    let recorded = ledger.append_with(LEDGER_PATIENCE, asked, |standing, past| {
        let now = Timestamp::now();
        outcome.settle(standing, past, now);
        Written {
            entry: Entry::decision(&outcome.decision, now),
            suspends: suspended_by_itself(&outcome.decision),
        }
    });
    let mut decision = outcome.decision;
    let id = match recorded {
        Ok(id) => Some(id),
        Err(error) => {
            server::not_recorded(&mut decision, &error.to_string());
            None
        }
    };
    say(&report::to_pusher(&decision, id.as_ref()));
    Ok(exit(&decision))
}

/// Who refuses to stop is stopped.
fn suspended_by_itself(decision: &Decision) -> Option<Stopped> {
    let refusals = decision.suspends?;
    Some(Stopped {
        identity: decision.actor.identity.clone()?,
        by: "ringfence".to_owned(),
        reason: Some(format!("{refusals} refusals in a row")),
    })
}

/// What a push asks the index of the ledger about.
fn ask<'a>(push: &'a Push, updates: &'a [RefUpdate], identity: Option<&'a str>) -> Ask<'a> {
    Ask {
        repository: &push.repository,
        updates,
        identity,
    }
}

/// The exit code of a judged push. Every value but 0 refuses it.
fn exit(decision: &Decision) -> Exit {
    match decision.verdict {
        _ if gate::lets_pass(decision) => Exit::Accept,
        Verdict::Accept | Verdict::Hold | Verdict::Reject => Exit::Refuse,
        Verdict::Unjudged => Exit::Unjudged,
    }
}

/// The rule packs of the policy. Compiled ones are kept beside the record, where only the gate may write.
fn use_packs(policy: &Policy, record: &Path) -> Result<(), Refusal> {
    let beside = record.parent().filter(|folder| *folder != Path::new(""));
    server::use_packs(policy, Some(beside.unwrap_or(Path::new("."))))
}

/// Rules that cannot be used refuse every push, and the record says so.
fn packs_refused(refusal: Refusal, ledger: &Ledger) -> Refusal {
    if let Refusal::BadPolicy(why) = &refusal {
        let why = format!("the policy cannot be used: {why}");
        let (host, pusher) = (HostKind::Plain, Pusher::default());
        let entry = Entry::refused_input(&why, host, &pusher, Timestamp::now());
        // It is refused all the same when that fails.
        let _ = ledger.append(&entry, LEDGER_PATIENCE);
    }
    for_pusher(refusal)
}

/// A push that cannot be read as one. It is recorded like any other refusal; when that fails, it is refused
/// all the same.
fn input_refused(error: &InputError, ledger: &Ledger) -> Refusal {
    let entry = Entry::refused_input(
        &error.to_string(),
        HostKind::Plain,
        &Pusher::default(),
        Timestamp::now(),
    );
    let id = ledger.append(&entry, LEDGER_PATIENCE).ok();
    let decision = match id {
        Some(id) => format!("\nhint: Ask about decision {}", id.as_str()),
        None => String::new(),
    };
    Refusal::unjudged(format!("{error}{decision}"))
}

fn pre_push(
    remote: &str,
    url: &str,
    policy: Option<&Path>,
    identity: Option<String>,
) -> Result<Exit, Refusal> {
    let layout = Layout::discover(&current_folder()?)?;
    let policy = server::load_policy(policy, Some(&layout.common_dir)).map_err(for_pusher)?;
    server::use_packs(&policy, None).map_err(for_pusher)?;
    let identity = identity
        .or_else(|| {
            server::variable("RINGFENCE_IDENTITY").and_then(|value| value.into_string().ok())
        })
        .ok_or_else(|| {
            Refusal::usage("say which identity pushes: --as ID, or the variable RINGFENCE_IDENTITY")
        })?;
    let budget = Budget::new(policy.bounds.clone());
    let mut stdin = std::io::stdin().lock();
    let push = prepush::receive(url, &mut stdin, layout.hash, budget.bounds().refs)
        .map_err(|error| Refusal::unjudged(error.to_string()))?;
    let Some(push) = push else {
        return Ok(Exit::Accept); // Everything is up to date: git says so itself.
    };
    let repo = Repo::open(layout)?;
    // The values that the remote advertised are its own; trusted refs are what was fetched from it.
    let updates = gate::as_claimed(&push);
    let trusted = gate::trusted_tips(&repo, &policy, Some(remote.as_bytes()))?;
    let key = passing_key().map_err(|error| Refusal::unjudged(error.to_string()))?;
    let judgement = Judgement {
        policy: &policy,
        repo: &repo,
        push: &push,
        key: &key,
        budget: &budget,
        as_identity: Some(&identity),
        advisory: true,
        standing: &Standing::default(),
        past: &|_, _| Past::Elsewhere,
    };
    let decision = judgement.judge_with(updates, trusted).decision;
    say(&report::to_pusher(&decision, None));
    say(server::keys_elsewhere(&policy));
    Ok(exit(&decision))
}

fn post_receive(policy: Option<&Path>) -> Result<Exit, Refusal> {
    // Nothing can be refused any more, and nothing is said to be: the words are of the record alone.
    let not_recorded =
        |why: &dyn std::fmt::Display| Refusal::usage(format!("what landed is not recorded: {why}"));
    let layout = Layout::from_hook(&server::variable, &current_folder()?)
        .map_err(|error| not_recorded(&error.brief()))?;
    let policy = server::load_policy(policy, Some(&layout.common_dir))
        .map_err(|_| not_recorded(&"the policy cannot be used"))?;
    let path = server::ledger_path(&policy, &layout);
    // Names are masked by the same rules as in the decision.
    use_packs(&policy, &path)
        .map_err(|_| not_recorded(&"the rules of the policy cannot be used"))?;
    let mut stdin = std::io::stdin().lock();
    let push = host::receive(
        &server::variable,
        &mut stdin,
        &policy.host,
        &layout.common_dir,
        layout.hash,
        policy.bounds.refs,
    )
    .map_err(|error| not_recorded(&error))?;
    let ledger = Ledger::open(&path).map_err(|error| not_recorded(&error))?;
    let ledger = match existing_key_beside(&path) {
        Some(key) => ledger.with_index(&key, policy.asks_the_record),
        None => ledger,
    };
    // Masked like the names of a decision, so that the two can be compared and neither keeps a secret.
    let landed: Vec<Moved> = gate::masked(gate::as_claimed(&push))
        .iter()
        .map(|update| Moved::of(&update.command.name, update.stored, update.command.new))
        .collect();
    let decision = ledger
        .covering(&landed, &push.pusher)
        .map_err(|error| not_recorded(&error))?;
    ledger
        .append_with(LEDGER_PATIENCE, None, |_, _| {
            let now = Timestamp::now();
            Entry::landed(landed, decision.as_ref(), &push.repository, now).into()
        })
        .map_err(|error| not_recorded(&error))?;
    Ok(Exit::Accept)
}

fn current_folder() -> Result<PathBuf, Refusal> {
    std::env::current_dir()
        .map_err(|error| Refusal::unjudged(format!("no current folder: {error}")))
}

/// Runs a hook so that nothing it does can end in an accept by accident: a panic becomes a refusal.
fn guarded(run: impl FnOnce() -> Result<Exit, Refusal>) -> Exit {
    // The default words name source files and may hold pushed text.
    std::panic::set_hook(Box::new(|_| {}));
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(refusal)) => {
            say(&refusal.lines());
            refusal.exit()
        }
        Err(_) => {
            let refusal = Refusal::unjudged("internal error");
            say(&refusal.lines());
            refusal.exit()
        }
    }
}

/// What the pusher is told of a repository that cannot be read.
fn unreadable(error: RepoError) -> Refusal {
    Refusal::unjudged(format!(
        "{}\nhint: An admin finds out why with ringfence doctor --repo DIR, as the\nhint: user that runs the hook.",
        error.brief()
    ))
}

/// A policy that cannot be used is the admin's to mend: the pusher is told that, and no path of the server.
fn for_pusher(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::NoPolicy(_) => Refusal::Usage(
            "push refused: this server has no policy for ringfence\n\
             hint: Nothing is accepted until an admin makes one: a file policy.yaml as\n\
             hint: the README shows it, named by --policy, $RINGFENCE_POLICY, or placed\n\
             hint: at <git dir>/ringfence/policy.yaml or /etc/ringfence/policy.yaml."
                .to_owned(),
        ),
        Refusal::BadPolicy(brief) => Refusal::Usage(report::policy_error(&brief)),
        other => other,
    }
}

/// Both streams of a hook reach the pusher; GitLab shows only this one when both are used. A pusher who has
/// gone away does not change the verdict.
fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}
