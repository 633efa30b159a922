//! Where a push comes from: standard input and a handful of named environment variables become a [`Push`].
//!
//! One file a host. A host tells who pushes, which repository it is and whether the host itself is at work; none
//! of them tells what may be done. The facts behind every line: `docs/hosts.md`.
//!
//! Absent on purpose: the environment as a whole (behind plain HTTP it holds the client's password), push options
//! (the pusher holds no switch), and any belief in the old values that a client claims.

pub mod agit;
mod environment;
mod gitea;
mod gitlab;
mod gitolite;
mod http;
mod plain;
pub mod prepush;
pub mod push_certificate;
mod repository;
pub mod ssh;
mod stdin;

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use crate::budget::Exhausted;
use crate::policy::HostConfig;
use crate::push::{Command, Errand, HashKind, HostKind, Push, Pusher};
use crate::repo::Vars;

use environment::Environment;
pub use stdin::{INPUT_MAX_BYTES, read_commands};

/// Why a push could not be taken from its host. Each of these refuses the whole push; the text is fit to be shown.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Standard input holds no line: the gate was called by hand, or by a host that feeds nothing.
    #[error("no ref updates on standard input")]
    Empty,
    /// One line is not what git writes.
    #[error("line {number} of standard input {problem}: {shown}")]
    Line {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it, as the rest of a sentence.
        problem: Cow<'static, str>,
        /// The odd bytes, quoted.
        shown: String,
    },
    /// Standard input is longer than [`INPUT_MAX_BYTES`].
    #[error("standard input is longer than {INPUT_MAX_BYTES} bytes")]
    TooLong,
    /// More ref updates than the policy's budget has.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// Standard input cannot be read.
    #[error("standard input cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// A variable of the host, or the one that the policy pins, is missing or not usable.
    #[error("environment variable {name} {problem}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it, as the rest of a sentence.
        problem: &'static str,
    },
    /// The host, or something that it does, is not supported.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The file that `SSH_USER_AUTH` names says nothing usable.
    #[error("SSH_USER_AUTH: {0}")]
    SshAuth(Cow<'static, str>),
    /// The repository has no name that a policy could match.
    #[error("the repository cannot be named: {0}")]
    Repository(&'static str),
}

/// What one host tells, before standard input is read.
#[derive(Debug, Default)]
struct Origin {
    pusher: Pusher,
    /// Why the host pushes itself, as far as variables tell. [`Errand::Bookkeeping`] is a claim until the refs were seen.
    errand: Option<Errand>,
    /// Most specific first.
    repository: Vec<String>,
}

/// Which host called: the one that the policy pins, else the first whose own variables are there.
///
/// The variables are as trustworthy as the program that started git. Over plain ssh with a shell the client sets
/// all of them; there the policy must pin the kind.
pub fn detect(vars: Vars<'_>, config: &HostConfig) -> Result<HostKind, InputError> {
    if let Some(kind) = config.kind {
        return Ok(kind);
    }
    let set = |name: &str| vars(name).is_some_and(|value| !value.is_empty());
    if set("GITEA_REPO_ID") && set("GITEA_PUSHER_ID") {
        Ok(HostKind::Gitea)
    } else if set("GL_REPOSITORY") && set("GL_PROTOCOL") {
        Ok(HostKind::Gitlab)
    } else if set("GL_REPO") && set("GL_TID") {
        Ok(HostKind::Gitolite)
    } else if set("GOGS_REPO_ID") {
        Err(InputError::Unsupported(
            "this host looks like Gogs, which is not supported; \
             to use its account names, pin host: { kind: plain, account_env: GOGS_AUTH_USER_NAME }",
        ))
    } else if set("SOFT_SERVE_REPO_NAME") {
        Err(InputError::Unsupported(
            "this host looks like Soft Serve, which is not supported; \
             to use its account names, pin host: { kind: plain, account_env: SOFT_SERVE_USERNAME }",
        ))
    } else if (set("GATEWAY_INTERFACE") || set("REMOTE_USER")) && set("GIT_PROJECT_ROOT") {
        Ok(HostKind::Http)
    } else {
        Ok(HostKind::Plain)
    }
}

/// Takes one push from its host: reads all of standard input, and the variables of the host that called.
///
/// `git_dir` is the repository's own folder (for a linked worktree the shared one); `hash` the length of its ids;
/// `max_refs` the greatest number of ref updates. The input of post-receive has the same form and comes the same way.
pub fn receive(
    vars: Vars<'_>,
    stdin: &mut dyn Read,
    config: &HostConfig,
    git_dir: &Path,
    hash: HashKind,
    max_refs: u64,
) -> Result<Push, InputError> {
    // Read first: a host that is still writing must not see a closed pipe because of a variable.
    let input = stdin::read_all(stdin)?;
    stdin::check_count(&input, max_refs)?;
    let commands = read_commands(&input, Some(hash))?;

    let environment = Environment(vars);
    if environment.get("GIT_NAMESPACE")?.is_some() {
        return Err(InputError::Unsupported(
            "git namespaces (GIT_NAMESPACE) are not supported: the refs that change are not the refs that are named",
        ));
    }
    let kind = detect(vars, config)?;
    let mut origin = match kind {
        HostKind::Gitea => gitea::origin(&environment, git_dir)?,
        HostKind::Gitlab => gitlab::origin(&environment)?,
        HostKind::Gitolite => gitolite::origin(&environment)?,
        HostKind::Http => http::origin(&environment, config, git_dir)?,
        HostKind::Plain | HostKind::Local => plain::origin(&environment, config, git_dir)?,
    };
    if let Some(name) = &config.account_env {
        let account = environment.require(name)?;
        // A deploy key or a job token is not an account, whatever a variable says.
        if origin.pusher.deploy_key.is_none() && origin.pusher.ci_task.is_none() {
            origin.pusher.account = Some(account);
        }
    }
    Ok(Push {
        host: kind,
        pusher: origin.pusher,
        errand: errand(origin.errand, &commands),
        repository: origin.repository,
        commands,
        certificate: push_certificate::told(&environment)?,
    })
}

/// Names of a repository that no host tells the name of, most specific first.
pub fn repository_names(git_dir: &Path, config: &HostConfig) -> Result<Vec<String>, InputError> {
    repository::names(git_dir, config.root.as_deref())
}

/// Names of a repository that stands in a host's storage, while nobody pushes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredNames {
    /// As a hook in it would have them, most specific first.
    pub names: Vec<String>,
    /// The host's layout or the policy tells the name; else it is made of the last folders.
    pub is_told: bool,
}

/// The names that a hook in this repository would have. `git_dir` is canonical; `gitlab_name`: what GitLab noted in its config.
pub fn stored_names(
    git_dir: &Path,
    gitlab_name: Option<&str>,
    config: &HostConfig,
) -> Result<StoredNames, InputError> {
    repository::stored(git_dir, gitlab_name, config)
}

/// A host's word on its errand holds, but bookkeeping only for the one ref shape that a forge keeps books in: a
/// forged variable gains nothing anywhere else.
fn errand(told: Option<Errand>, commands: &[Command]) -> Errand {
    match told {
        Some(Errand::Bookkeeping) if !commands.iter().all(is_bookkeeping) => Errand::None,
        Some(errand) => errand,
        None => Errand::None,
    }
}

/// `refs/pull/<digits>/head`, created or moved.
fn is_bookkeeping(command: &Command) -> bool {
    let number = command
        .name
        .as_bytes()
        .strip_prefix(b"refs/pull/")
        .and_then(|rest| rest.strip_suffix(b"/head"));
    command.new.is_some()
        && number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests;
