//! What the commands that judge share: the policy, the repository, and a judgement over both.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::budget::Budget;
use crate::check;
use crate::cli::Exit;
use crate::gate::{self, Outcome, Request};
use crate::identity::signature::Signers;
use crate::ledger::{Ledger, LedgerError};
use crate::policy::Policy;
use crate::push::{Oid, Push, RefName, RefUpdate};
use crate::redact::FingerprintKey;
use crate::repo::{Layout, Repo, RepoError};
use crate::standing::{Past, Standing};
use crate::verdict::{Decision, Unjudged};

/// Why a command cannot go on. The words are fit to be shown to pushers, but for [`Refusal::NoPolicy`].
#[derive(Debug)]
pub(super) enum Refusal {
    /// The command or the policy is at fault.
    Usage(String),
    /// No policy was found; the words name the places.
    NoPolicy(String),
    /// The policy is no valid policy: what is wrong, in one line.
    BadPolicy(String),
    /// The gate could not finish.
    Unjudged(String),
}

impl Refusal {
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Refusal::Usage(text.into())
    }

    pub(super) fn unjudged(text: impl Into<String>) -> Self {
        Refusal::Unjudged(text.into())
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Refusal::Usage(_) | Refusal::NoPolicy(_) | Refusal::BadPolicy(_) => Exit::Usage,
            Refusal::Unjudged(_) => Exit::Unjudged,
        }
    }

    /// The words as lines for people, errors but for those that say what they are.
    pub(super) fn lines(&self) -> String {
        let text = match self {
            Refusal::Usage(text) | Refusal::NoPolicy(text) => text.clone(),
            Refusal::BadPolicy(brief) => {
                format!(
                    "{brief}\nthe gate refuses every push until an admin repairs it (ringfence policy check)"
                )
            }
            Refusal::Unjudged(text) => {
                let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
                let sure = "nothing was accepted; the gate refuses what it has not checked";
                format!("push not judged: {first}\n{sure}\n{rest}")
            }
        };
        text.lines()
            .map(|line| match line.split(':').next() {
                Some("error" | "warning" | "hint") => format!("{line}\n"),
                _ => format!("error: {line}\n"),
            })
            .collect()
    }
}

impl From<RepoError> for Refusal {
    fn from(error: RepoError) -> Self {
        Refusal::unjudged(error.to_string())
    }
}

/// One variable of the process environment, by name.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The policy for a repository: named on the command line, or found.
pub(super) fn load_policy(
    explicit: Option<&Path>,
    git_dir: Option<&Path>,
) -> Result<Policy, Refusal> {
    let path = Policy::find(explicit, &variable, git_dir)
        .map_err(|missing| Refusal::NoPolicy(missing.to_string()))?;
    Policy::load(&path, &check::known()).map_err(|error| Refusal::BadPolicy(error.brief()))
}

/// Makes the rule packs of the policy those of this process, before anything is scanned. Never fewer rules than were
/// meant: packs that cannot be used make the policy one that cannot be used. `cache`: see [`super::use_rules`].
pub(super) fn use_packs(policy: &Policy, cache: Option<&Path>) -> Result<(), Refusal> {
    super::use_rules(&policy.rule_packs, cache).map_err(|error| {
        Refusal::BadPolicy(format!("rule pack {}", error.brief(&policy.rule_packs)))
    })
}

/// Where the ledger of a repository is: what the policy says, else beside the repository.
pub(super) fn ledger_path(policy: &Policy, layout: &Layout) -> PathBuf {
    match &policy.ledger {
        Some(path) => path.clone(),
        None => layout.common_dir.join("ringfence/ledger.jsonl"),
    }
}

/// A judgement to be made.
pub(super) struct Judgement<'a> {
    pub(super) policy: &'a Policy,
    pub(super) repo: &'a Repo,
    pub(super) push: &'a Push,
    pub(super) key: &'a FingerprintKey,
    pub(super) budget: &'a Budget,
    /// Judge as this identity, not as the one that the pusher matches.
    pub(super) as_identity: Option<&'a str>,
    /// Nobody is bound by the answer.
    pub(super) advisory: bool,
    /// What the end of the record says.
    pub(super) standing: &'a Standing,
    /// Asks the record for more.
    pub(super) past: &'a (dyn Fn(&[RefUpdate], Option<&str>) -> Past + Sync),
}

impl Judgement<'_> {
    /// Judges with the refs of the repository as they are stored, and gives these too.
    pub(super) fn judge(&self) -> (Vec<RefUpdate>, Outcome) {
        let found = gate::resolve(self.repo, self.push)
            .and_then(|updates| Ok((updates, gate::trusted_tips(self.repo, self.policy, None)?)));
        match found {
            Ok((updates, trusted)) => (updates.clone(), self.judge_with(updates, trusted)),
            Err(error) => {
                let decision = gate::unjudged(self.push, self.policy, error.into(), self.advisory);
                (Vec::new(), Outcome::of(decision))
            }
        }
    }

    /// Judges with ref values from elsewhere.
    pub(super) fn judge_with(
        &self,
        updates: Vec<RefUpdate>,
        trusted: Vec<(RefName, Oid)>,
    ) -> Outcome {
        gate::judge(Request {
            push: self.push,
            updates,
            trusted,
            policy: self.policy,
            repo: self.repo,
            budget: self.budget,
            key: self.key,
            now: Timestamp::now(),
            standing: self.standing,
            past: self.past,
            as_identity: self.as_identity,
            advisory: self.advisory,
        })
    }
}

/// What an answer that binds nobody says where the keys that may sign are on the server alone.
pub(super) fn keys_elsewhere(policy: &Policy) -> &'static str {
    match policy.signers.as_ref().map(Signers::load) {
        Some(Err(_)) => {
            "note: whose signatures they are is known to the server alone: its keys are not here\n"
        }
        Some(Ok(_)) | None => "",
    }
}

/// Marks a decision as refused because it could not be recorded.
pub(super) fn not_recorded(decision: &mut Decision, why: &str) {
    decision.verdict = crate::verdict::Verdict::Unjudged;
    decision.enforced = true;
    decision.unjudged = Some(Unjudged::Ledger(why.to_owned()));
}

/// Opens the ledger and reads the key beside it.
pub(super) fn open_ledger(path: &Path) -> Result<(Ledger, FingerprintKey), Refusal> {
    let ledger = Ledger::open(path).map_err(|error| unusable_ledger(&error))?;
    let key = crate::ledger::key_beside(path).map_err(|error| unusable_ledger(&error))?;
    Ok((ledger, key))
}

/// A ledger that cannot be read or written: nothing can be decided.
pub(super) fn unusable_ledger(error: &LedgerError) -> Refusal {
    Refusal::unjudged(format!("the ledger cannot be written: {error}"))
}

/// Says why a command could not go on, and gives its exit code.
pub(super) fn told(result: Result<Exit, Refusal>, err: &mut dyn Write) -> Exit {
    result.unwrap_or_else(|refusal| {
        // The exit code tells the same when nobody reads this.
        let _ = err.write_all(refusal.lines().as_bytes());
        refusal.exit()
    })
}
