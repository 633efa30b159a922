//! The policy as typed and validated values. Text becomes [`Policy`] only by [`Policy::parse`]; nobody else sees raw YAML.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::budget::Bounds;
use crate::finding::{Confidence, Level, PathOp, PolicyAt, RefOp};
use crate::push::{HostKind, Pusher};

/// Judge and refuse, or judge and only tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refusals refuse.
    Enforce,
    /// Everything is judged, recorded and told, and accepted.
    Observe,
}

/// Kind of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An autonomous agent.
    Agent,
    /// A person.
    Human,
    /// A machine account that is not an agent.
    Service,
}

/// `host:` of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// `None`: found from the environment.
    pub kind: Option<HostKind>,
    /// The variable that names the account, pinned. Missing or empty: refused.
    pub account_env: Option<String>,
    /// Whether the forge's own bookkeeping pushes are judged like any other (default: recorded).
    pub judge_bookkeeping: bool,
    /// Folder that repository names are relative to, on hosts that do not tell the name.
    pub root: Option<PathBuf>,
}

/// A validated policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Name of the file without its folder, as shown to pushers.
    pub file: Arc<str>,
    /// SHA-256 of the text, hex.
    pub digest: String,
    /// Mode of the whole policy.
    pub mode: Mode,
    /// `host:`.
    pub host: HostConfig,
    /// `trusted_refs:`; `None`: the branch that HEAD names.
    pub trusted_refs: Option<Vec<Pattern>>,
    /// `ledger:`.
    pub ledger: Option<PathBuf>,
    /// `budget:`.
    pub bounds: Bounds,
    // (identities, boundaries, unknown, tests: private to policy/)
}

/// A glob over bytes: `*` stays in a folder, `**` crosses. Compiled once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    // policy/pattern.rs
}

/// What a boundary answers to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This line allows it.
    Allowed(PolicyAt),
    /// No line allows it; the line is where the boundary's list starts.
    Refused(PolicyAt),
}

/// A limit with the line that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The greatest value that passes.
    pub max: u64,
    /// The line.
    pub at: PolicyAt,
}

/// `limits:` of a boundary. `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Ref updates in one push.
    pub refs: Option<Limit>,
    /// New commits in one push.
    pub commits: Option<Limit>,
    /// Distinct paths changed by the new commits.
    pub files: Option<Limit>,
    /// Lines added by the new commits, summed.
    pub added_lines: Option<Limit>,
    /// Bytes of one changed file.
    pub file_bytes: Option<Limit>,
}
