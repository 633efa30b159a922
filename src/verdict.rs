//! Findings, boundary and work done become a verdict: one pure, total function.

use crate::budget::Exhausted;
use crate::finding::{Finding, Level, PolicyAt};
use crate::push::{Errand, HostKind, Oid, Pusher, RefName, RefUpdate};

/// The answer to a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Everything was looked at and nothing stands against it.
    Accept,
    /// Only what a human may approve stands against it.
    Hold,
    /// Refused.
    Reject,
    /// The gate could not finish. Refused.
    Unjudged,
}

/// A finding with the level that the policy gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The fact.
    pub finding: Finding,
    /// What it weighs for this identity. Never `Off`: those are dropped.
    pub level: Level,
    /// The policy line that gave the level (or the line that the finding itself comes from).
    pub decided_by: PolicyAt,
}

/// Work expected and work done, counted apart. Only a full count can become [`Verdict::Accept`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Ref updates: expected, done.
    pub refs: (u64, u64),
    /// New commits.
    pub commits: (u64, u64),
    /// Path changes.
    pub changes: (u64, u64),
    /// Distinct blobs and other texts looked into.
    pub texts: (u64, u64),
    /// Runs of checks.
    pub checks: (u64, u64),
    /// Bytes of content looked into.
    pub bytes: u64,
}

/// Why the gate could not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unjudged {
    /// A bound was reached.
    #[error("{0}")]
    Exhausted(Exhausted),
    /// The repository could not be read. The text is fit to be shown.
    #[error("{0}")]
    Repository(String),
    /// A check failed inside.
    #[error("internal error in {0}")]
    Internal(String),
    /// Less was looked at than expected, though nothing else failed.
    #[error("the count of work is short")]
    Incomplete,
    /// The record could not be written.
    #[error("the ledger cannot be written: {0}")]
    Ledger(String),
}

/// Who pushed, as the policy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the policy entry; `None` for a pusher that matched nothing.
    pub identity: Option<String>,
    /// Kind of the entry; unknown pushers are treated as agents.
    pub kind: ActorKind,
    /// Owner of the identity, as the policy names it.
    pub owner: Option<String>,
    /// Name of the boundary it was judged by.
    pub boundary: Option<String>,
}

/// Kind of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// An autonomous agent.
    Agent,
    /// A person.
    Human,
    /// A machine account that is not an agent.
    Service,
}

/// Everything that is told about one judged push: the input of every report and of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// `false` in observe mode and for bookkeeping pushes: told and recorded, but not refused.
    pub enforced: bool,
    /// Local pre-push runs and `check`: says so.
    pub advisory: bool,
    /// Why the gate could not finish, when the verdict is [`Verdict::Unjudged`].
    pub unjudged: Option<Unjudged>,
    /// Strictest first, then by ref, commit order, path, offset.
    pub findings: Vec<Judged>,
    /// Who.
    pub actor: Actor,
    /// Whom the host authenticated.
    pub pusher: Pusher,
    /// The host.
    pub host: HostKind,
    /// Why the host itself pushes.
    pub errand: Errand,
    /// Names of the repository, most specific first.
    pub repository: Vec<String>,
    /// The ref updates asked for.
    pub updates: Vec<RefUpdate>,
    /// New commits, parents before children.
    pub commits: Vec<CommitBrief>,
    /// First parent of the oldest new commit at fault: what a rebase starts from. `None`: `--root`.
    pub rewrite_base: Option<Oid>,
    /// Refs that the identity may create or update, as patterns; for the hint.
    pub allowed_refs: Vec<String>,
    /// Author identities that the policy lists for the identity; for the hint.
    pub allowed_authors: Vec<String>,
    /// SHA-256 of the server policy, hex.
    pub policy_digest: String,
    /// What was done.
    pub work: Work,
}

/// What a report needs to know of a new commit to write its hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBrief {
    /// Its id.
    pub id: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// The refs of this push that bring it.
    pub refs: Vec<RefName>,
}
