//! `ringfence check`: the same judgement without a push.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::budget::Budget;
use crate::cli::Exit;
use crate::cli::server::{self, Judgement, Refusal};
use crate::gate;
use crate::host;
use crate::ledger::{Ask, existing_key_beside, passing_key, past_beside, standing_beside};
use crate::push::{Command, Errand, HostKind, Oid, Push, Pusher, RefName, RefUpdate};
use crate::repo::{Layout, Repo};
use crate::report;
use crate::standing::Past;
use crate::verdict::{Decision, Verdict};

/// Judge what a push would bring, without pushing.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The identity to judge as [default: $RINGFENCE_IDENTITY; without one, an unknown pusher]
    #[arg(long = "as", value_name = "ID")]
    identity: Option<String>,
    /// The ref that would be pushed to [default: the branch that is checked out]
    #[arg(long = "ref", value_name = "REF")]
    name: Option<String>,
    /// The value that the ref has on the server, or zeros for none [default: as last fetched from origin,
    /// else as stored here]
    #[arg(long, value_name = "OID")]
    old: Option<String>,
    /// What would be pushed: any revision of this repository, or zeros to delete the ref
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    new: String,
    /// The repository [default: that of the current folder]
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// The policy [default: $RINGFENCE_POLICY, <git dir>/ringfence/policy.yaml, /etc/ringfence/policy.yaml]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

impl Args {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Refusal> {
        if !self.repo.is_dir() {
            let shown = self.repo.display();
            return Err(Refusal::usage(format!("--repo {shown} is not a folder")));
        }
        let layout = Layout::discover(&self.repo)?;
        let policy = server::load_policy(self.policy.as_deref(), Some(&layout.common_dir))?;
        server::use_packs(&policy, None)?;
        let repo = Repo::open(layout)?;
        let git_dir = repo.layout().git_dir.clone();
        let name = match &self.name {
            Some(name) => RefName::new(name.as_bytes())
                .map_err(|error| Refusal::usage(format!("--ref {name} {error}")))?,
            None => repo
                .head()?
                .ok_or_else(|| Refusal::usage("no branch is checked out: say --ref REF"))?,
        };
        let is_zero = |id: &str| id.bytes().all(|digit| digit == b'0') && !id.is_empty();
        let new = match is_zero(&self.new) {
            true => None,
            false => Some(revision(&git_dir, &self.new)?),
        };
        let tracks = !repo.refs_under(b"refs/remotes/origin/")?.is_empty();
        let remote = tracks.then_some(&b"origin"[..]);
        let claimed_old = match &self.old {
            Some(old) if is_zero(old) => None,
            Some(old) => Some(revision(&git_dir, old)?),
            None => stored(&repo, &name, remote, new)?,
        };
        let push = Push {
            host: HostKind::Local,
            pusher: Pusher::default(),
            errand: Errand::None,
            repository: host::repository_names(&repo.layout().common_dir, &policy.host)
                .map_err(|error| Refusal::usage(error.to_string()))?,
            commands: vec![Command {
                name,
                claimed_old,
                new,
            }],
            certificate: None,
        };
        let identity = self.identity.or_else(|| {
            server::variable("RINGFENCE_IDENTITY").and_then(|value| value.into_string().ok())
        });
        if let Some(name) = &identity
            && !policy.identity_names().any(|known| known == name)
        {
            let names: Vec<&str> = policy.identity_names().take(20).collect();
            return Err(Refusal::usage(format!(
                "the policy has no identity \"{}\"\nhint: identities of the policy: {}",
                name.escape_debug(),
                names.join(", ")
            )));
        }
        let budget = Budget::new(policy.bounds.clone());
        // On the server itself the key of the record is there, and suppressions by value hold as in a push.
        let own = existing_key_beside(&server::ledger_path(&policy, repo.layout()));
        let knows_values = own.is_some();
        let key = match own {
            Some(key) => key,
            None => passing_key().map_err(|error| Refusal::unjudged(error.to_string()))?,
        };
        // What others recorded is known to the server alone.
        let (asked, is_here) = (AtomicBool::new(false), AtomicBool::new(false));
        let standing = standing_beside(&server::ledger_path(&policy, repo.layout()));
        let standing = standing.unwrap_or_default().unwrap_or_default();
        let record = server::ledger_path(&policy, repo.layout());
        let past = |updates: &[RefUpdate], identity: Option<&str>| {
            let ask = Ask {
                repository: &push.repository,
                updates,
                identity,
            };
            let found = past_beside(&record, ask);
            asked.store(true, Ordering::Relaxed);
            is_here.store(found.is_some(), Ordering::Relaxed);
            found.unwrap_or(Past::Elsewhere)
        };
        let judgement = Judgement {
            policy: &policy,
            repo: &repo,
            push: &push,
            key: &key,
            budget: &budget,
            as_identity: identity.as_deref(),
            advisory: true,
            standing: &standing,
            past: &past,
        };
        let trusted = gate::trusted_tips(&repo, &policy, remote)?;
        let updates = gate::as_claimed(&push);
        let mut outcome = judgement.judge_with(updates.clone(), trusted);
        if outcome.asks_the_record() {
            let pusher = outcome.decision.actor.identity.clone();
            let known = past(&updates, pusher.as_deref());
            outcome.settle(&standing, known, jiff::Timestamp::now());
        }
        let decision = outcome.decision;
        let mut told = match self.format.as_str() {
            "json" => report::json(&decision, None),
            _ => report::text(&decision, None),
        };
        // A hook is silent on success; a person who asked is not left to guess.
        if told.is_empty() {
            told.push_str("accepted: nothing stands against this push\n");
        }
        if self.format != "json" {
            told.push_str(&suppressed(&decision));
            told.push_str(server::keys_elsewhere(&policy));
            if asked.into_inner() && !is_here.into_inner() {
                told.push_str(
                    "note: owners of refs and limits over time are known to the server alone: its ledger is not here\n",
                );
            }

            if policy.suppresses_values() && !knows_values && !decision.findings.is_empty() {
                told.push_str(
                    "note: suppressions by fingerprint are known to the server alone: its key is not here\n",
                );
            }
        }
        out.write_all(told.as_bytes())
            .map_err(|error| Refusal::unjudged(error.to_string()))?;
        Ok(match decision.verdict {
            Verdict::Accept => Exit::Accept,
            Verdict::Hold | Verdict::Reject => Exit::Refuse,
            Verdict::Unjudged => Exit::Unjudged,
        })
    }
}

/// What weighs nothing because the policy suppresses it, by entry.
fn suppressed(decision: &Decision) -> String {
    let mut by_entry: BTreeMap<&str, usize> = BTreeMap::new();
    for judged in &decision.suppressed {
        let id = judged.finding.suppressed_by().map_or("", |id| id);
        *by_entry.entry(id).or_default() += 1;
    }
    by_entry
        .into_iter()
        .map(|(id, count)| {
            let findings = if count == 1 { "finding" } else { "findings" };
            format!("note: the policy suppresses {count} {findings} by {id}\n")
        })
        .collect()
}

/// The value that the server's ref most likely has. A ref that already is what would be pushed was not
/// pushed yet when it only exists here: then it counts as new.
fn stored(
    repo: &Repo,
    name: &RefName,
    remote: Option<&[u8]>,
    new: Option<Oid>,
) -> Result<Option<Oid>, Refusal> {
    if let (Some(remote), Some(branch)) = (remote, name.as_bytes().strip_prefix(b"refs/heads/")) {
        let tracked = RefName::new([b"refs/remotes/", remote, b"/", branch].concat())
            .map_err(|error| Refusal::usage(format!("the ref {error}")))?;
        return Ok(repo.resolve(&tracked)?.value);
    }
    let value = repo.resolve(name)?.value;
    Ok(value.filter(|value| Some(*value) != new))
}

/// Asks git what a revision names. Not on the hook's path, so a child may be started.
fn revision(git_dir: &Path, revision: &str) -> Result<Oid, Refusal> {
    let output = Process::new("git")
        .arg("--git-dir")
        .arg(git_dir)
        .args([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            revision,
        ])
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| Refusal::usage(format!("git cannot be run: {error}")))?;
    let text = output.stdout.trim_ascii_end();
    Oid::from_hex(text)
        .map_err(|_| Refusal::usage(format!("{revision} names nothing in this repository")))
}
