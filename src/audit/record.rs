//! What an audit tells, one record a line of `--format jsonl` (`docs/audit.md`).
//!
//! Texts are fit to be shown: what came from a repository is quoted ([`crate::redact::Quoted`]), secrets in names are masked, and no
//! secret stands anywhere. Times are RFC 3339, UTC, in seconds. Ids of objects are hex.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the form.
pub const VERSION: u32 = 1;

/// Places of one finding that are listed; `place_count` has all.
pub const PLACES_MAX: usize = 100;
/// Refs that are listed where some reach a thing; a count stands beside them.
pub const REFS_MAX: usize = 50;
/// Paths that are listed of what an agent touched, those touched most first.
pub const PATHS_MAX: usize = 200;
/// Days of an agent that are listed, the latest.
pub const DAYS_MAX: usize = 3_660;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// One repository, and how much of it was looked at.
    Repository(Repository),
    /// One agent or identity that was at work in a repository.
    Agent(Agent),
    /// One secret, hidden text, or thing that a policy would have refused.
    Finding(Box<Finding>),
    /// A ref update, commit or decision for which ledger and repository do not agree.
    Uncovered(Uncovered),
    /// The end: totals of the run.
    Summary(Summary),
}

/// One repository, and how much of it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Repository {
    /// Its name: from the host's layout where that tells it, else its path.
    pub repository: String,
    /// Where it is.
    pub path: String,
    /// `complete`, `incomplete` (part of it could not be looked at), `failed` (none of it could).
    pub status: String,
    /// What is special about it: `shallow`, `partial`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Refs that were looked at.
    pub refs: u64,
    /// Commits that these refs reach, within the filters.
    pub commits: u64,
    /// Objects that were looked at; less than all where an earlier run had seen the rest.
    pub objects: u64,
    /// Objects that an earlier run had seen (`--state`).
    pub objects_known: u64,
    /// Bytes of these objects, unpacked.
    pub bytes: u64,
    /// The first commit by time, and the last.
    pub first: Option<String>,
    /// The last commit by time.
    pub last: Option<String>,
    /// Agents and identities at work.
    pub agents: u64,
    /// Findings by level: `deny`, `hold`, `warn`.
    pub findings: BTreeMap<String, u64>,
    /// Distinct secrets.
    pub secrets: u64,
    /// Distinct secrets that a ref still shows at its tip.
    pub secrets_at_tip: u64,
    /// Commits that would have been refused (`--as`, or the identities of the policy).
    pub refused_commits: u64,
    /// Records of the type `uncovered`.
    pub uncovered: u64,
    /// The ledger that was compared; absent: none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// What could not be looked at.
    pub unread: Vec<Unread>,
    /// How many things could not be looked at; `unread` lists the first hundred.
    pub unread_count: u64,
}

/// A ledger as the audit found it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Ledger {
    /// Where it is.
    pub path: String,
    /// Entries.
    pub entries: u64,
    /// Decisions about this repository.
    pub decisions: u64,
    /// The chain holds from the first line to the last.
    pub intact: bool,
    /// Where and why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When its first entry about this repository was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What the comparison could not tell, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A thing that could not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Unread {
    /// An object, a pack, a ref, a folder.
    pub what: String,
    /// One sentence.
    pub why: String,
    /// Objects that are concerned.
    pub objects: u64,
}

/// One agent or identity that was at work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Agent {
    /// The repository.
    pub repository: String,
    /// Id: of `docs/claims.md` for a claim, the policy's name for a declared identity.
    pub agent: String,
    /// Its name for people.
    pub name: String,
    /// `claim`: commits name a known agent. `identity`: an agent or service of the policy, by its `authors:` or by the ledger.
    pub kind: String,
    /// A program with a fixed task (updates of dependencies), not a coding agent.
    pub is_bot: bool,
    /// The identity of the policy that this is; absent: no policy was given, or none declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// What names it, and in how many commits and tags: `author`, `committer`, `trailer`, `message`, `signing key`, `ledger`.
    pub evidence: BTreeMap<String, u64>,
    /// Commits.
    pub commits: u64,
    /// How many of them carry a signature (which was not verified).
    pub signed: u64,
    /// The first commit by time.
    pub first: Option<Commit>,
    /// The last commit by time.
    pub last: Option<Commit>,
    /// Refs that reach commits of it.
    pub refs: Vec<String>,
    /// How many.
    pub ref_count: u64,
    /// Paths that its commits change, and in how many of them.
    pub paths: BTreeMap<String, u64>,
    /// How many paths.
    pub path_count: u64,
    /// Names and addresses of the authors of these commits, and how many commits each.
    pub authors: BTreeMap<String, u64>,
    /// Commits a day (UTC), `2026-11-28`.
    pub days: BTreeMap<String, u64>,
    /// Commits that would have been refused.
    pub refused_commits: u64,
}

/// A commit, as far as a reader needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Commit {
    /// The commit or tag object.
    pub commit: String,
    /// When, by the committer's clock (a claim).
    pub time: String,
    /// Author, `name <mail>`.
    pub author: String,
    /// The agents that it names, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
}

/// One secret, hidden text, or thing that a policy would have refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Finding {
    /// The repository.
    pub repository: String,
    /// `content`: it stands in the history. `replay`: the policy would have refused it.
    pub source: String,
    /// The rule.
    pub rule: String,
    /// One sentence.
    pub title: String,
    /// `deny`, `hold`, `warn`.
    pub level: String,
    /// `certain`, `likely`, `possible`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
    /// Keyed fingerprint of the value, comparable under the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Length of the value, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The public prefix of its format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A second fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Replay: the identity that it was judged as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Replay: the line of the policy that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_at: Option<String>,
    /// The first place: path, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Its column, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Which text: `content`, `message`, …
    pub part: String,
    /// The first commit by history, the parents before the children, that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Commit>,
    /// The last commit that brings it to one of its places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Commit>,
    /// The last commit that takes it away from one of its places, where no ref shows it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Commit>,
    /// A ref still shows it at its tip. Else it stands in the history alone.
    pub at_tip: bool,
    /// No ref reaches it: objects that a push, a reset or a delete left behind.
    pub unreachable: bool,
    /// Refs that reach it.
    pub refs: Vec<String>,
    /// How many.
    pub ref_count: u64,
    /// Every place, the first included.
    pub places: Vec<Place>,
    /// How many.
    pub place_count: u64,
}

/// One place of a finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Place {
    /// Which text: `content`, `message`, …
    pub part: String,
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line, from 1, in the first version that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column in bytes, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The commit that brings it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The blob, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// The ref, where it is a ref name or a tip that says it.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A ref shows it here at its tip.
    pub at_tip: bool,
    /// What is special: `inside base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Ledger and repository do not agree here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Uncovered {
    /// The repository.
    pub repository: String,
    /// `ref-update`: a ref has a value that no decision let it have. `ref-deleted`: a ref is gone that the ledger left there, and no
    /// decision let it go. `commit`: a commit that no accepted push brought. `not-landed`: a decision let an update pass that the
    /// ref does not show and none that followed explains. `chain`: the ledger itself does not hold together.
    pub kind: String,
    /// One sentence.
    pub why: String,
    /// The ref.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The value that the ledger left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value that the ref has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Who pushed, by the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// When, by the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl Uncovered {
    /// The reason, where nothing else tells one from another. Elsewhere it says how it was noticed, which changes with the
    /// next push.
    pub fn telling_reason(&self) -> Option<&str> {
        let is_told = self.name.is_some() || self.commit.is_some() || self.decision.is_some();
        (!is_told).then_some(&*self.why)
    }
}

impl Summary {
    /// Whether only some refs were asked for, and no repository has one of them.
    pub fn matches_no_ref(&self) -> bool {
        !self.only_refs.is_empty() && self.refs == 0
    }
}

/// Totals of a run, or of several that were put together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Summary {
    /// Always absent: it is of all repositories.
    pub repository: Option<String>,
    /// Version of this form.
    pub v: u32,
    /// Version of the program.
    pub engine: String,
    /// `complete`; `incomplete`: something could not be looked at. A shard is complete as well when no repository falls into it.
    pub status: String,
    /// Repositories.
    pub repositories: u64,
    /// Those that could be looked at in part.
    pub incomplete: u64,
    /// Those that could not be looked at.
    pub failed: u64,
    /// Refs.
    pub refs: u64,
    /// Commits.
    pub commits: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes, unpacked.
    pub bytes: u64,
    /// Distinct agents and identities.
    pub agents: u64,
    /// Findings by level.
    pub findings: BTreeMap<String, u64>,
    /// Distinct secrets, over all repositories.
    pub secrets: u64,
    /// Of these, still at a tip.
    pub secrets_at_tip: u64,
    /// Commits that would have been refused.
    pub refused_commits: u64,
    /// Records of the type `uncovered`.
    pub uncovered: u64,
    /// Findings that a baseline knows, and that are not told.
    pub known: u64,
    /// Names the key of the fingerprints without telling it: two audits can be compared where this is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The shards that are in it, `1/4`; empty: the whole.
    pub shards: Vec<String>,
    /// SHA-256 of the policy, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// `--since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// `--until`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// `--ref`: what other refs reach was not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_refs: Vec<String>,
    /// `--path`: other files were not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_paths: Vec<String>,
    /// When the run ended.
    pub time: String,
}
