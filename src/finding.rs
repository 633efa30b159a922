//! What a check found: rule, place, evidence without the secret.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bstr::BString;

use crate::push::{Oid, RefName};
use crate::redact::Fingerprint;

/// `family/name`, kebab-case, stable for ever.
pub type RuleId = Cow<'static, str>;

/// What the policy says of a rule for one identity. Ordered: the strictest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not looked at.
    Off,
    /// Told, never refused.
    Warn,
    /// Refused until a human approves.
    Hold,
    /// Refused.
    Deny,
}

impl Level {
    /// The word in policies, reports and docs.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Warn => "warn",
            Level::Hold => "hold",
            Level::Deny => "deny",
        }
    }
}

/// How sure a content rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Looks like one.
    Possible,
    /// A vendor's format, or strong evidence.
    Likely,
    /// Verified: checksum, structure or key material.
    Certain,
}

/// What happens to one path, as a policy names it under `may:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathOp {
    /// A path that was not there.
    Add,
    /// Other content.
    Modify,
    /// The path goes away.
    Delete,
    /// The executable bit changes.
    Mode,
    /// A symbolic link appears, or changes its target or its kind.
    Symlink,
    /// A gitlink (submodule commit) appears, moves or goes.
    Submodule,
}

/// What happens to one ref, as a policy names it under `may:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefOp {
    /// The ref was not there.
    Create,
    /// Fast-forward.
    Update,
    /// Any other move: history of the ref is lost.
    Force,
    /// The ref goes away.
    Delete,
}

/// Which text of the push a finding is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The ref itself.
    Ref,
    /// The commit as a whole.
    Commit,
    /// A path as a whole.
    Path,
    /// Inside the content at a path.
    Content,
    /// The target of a symbolic link.
    SymlinkTarget,
    /// Commit message.
    Message,
    /// Author of a commit.
    Author,
    /// Committer of a commit.
    Committer,
    /// Any other header of a commit or tag.
    Header,
    /// The annotated tag as a whole.
    Tag,
    /// Tagger of an annotated tag.
    Tagger,
    /// Message of an annotated tag.
    TagMessage,
}

/// Bytes inside a text, and where a person finds them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// Bytes in the text, before any decoding.
    pub bytes: Range<usize>,
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which text.
    pub part: Part,
    /// The ref update it belongs to; `None` for findings of the push as a whole and in files.
    pub ref_name: Option<RefName>,
    /// The commit, or the tag object.
    pub commit: Option<Oid>,
    /// Other new commits with the same finding.
    pub also_in: Vec<Oid>,
    /// The path, as bytes.
    pub path: Option<BString>,
    /// The bytes inside the text.
    pub span: Option<Span>,
}

impl Place {
    /// A place that names nothing yet but the kind of text.
    pub fn new(part: Part) -> Self {
        Place {
            part,
            ref_name: None,
            commit: None,
            also_in: Vec::new(),
            path: None,
            span: None,
        }
    }
}

/// One more place of a value that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Where.
    pub place: Place,
    /// What is special about this place: `inside base64`.
    pub detail: Option<String>,
}

/// An entry under `suppressions:` of the server's policy that names a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Its id.
    pub id: Arc<str>,
    /// When it ends, or ended.
    pub until: jiff::Timestamp,
    /// It is over: the finding weighs as if the entry were not there.
    pub expired: bool,
    /// Its line.
    pub at: PolicyAt,
}

/// What may be shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The public prefix of the format, such as `ghp_`.
    pub prefix: Option<String>,
    /// Length of the secret, in bytes.
    pub bytes: usize,
    /// Keyed fingerprint of the value.
    pub fingerprint: Fingerprint,
}

/// A line of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAt {
    /// Name of the file, without its folder: server paths are not shown to pushers.
    pub file: Arc<str>,
    /// Line, from 1. 0: a built-in rule, no line decided.
    pub line: u32,
    /// What stands there, in a few words: `checks: secrets: deny`.
    pub what: Arc<str>,
}

/// One fact that a check states. It has no level: `verdict` gives it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// One sentence without a full stop, made of words of ours alone: `agent "docs-bot" may not modify this path`.
    pub title: Cow<'static, str>,
    /// A second fact, already fit to be shown (pushed text goes through [`crate::redact::Quoted`] first).
    pub detail: Option<String>,
    /// Where.
    pub place: Place,
    /// The path operation that was judged.
    pub op: Option<PathOp>,
    /// Content rules: how sure.
    pub confidence: Option<Confidence>,
    /// Content rules: what may be shown.
    pub evidence: Option<Evidence>,
    /// The policy line that this finding comes from, where one line does.
    pub decided_by: Option<PolicyAt>,
    /// `…/already-present`: the rule that names the value.
    pub original: Option<RuleId>,
    /// The entry of the policy that names this finding, in force or expired.
    pub suppression: Option<Suppression>,
}

impl Finding {
    /// The id of the entry that suppresses it here and now.
    pub fn suppressed_by(&self) -> Option<&Arc<str>> {
        let in_force = |entry: &&Suppression| !entry.expired;
        self.suppression
            .as_ref()
            .filter(in_force)
            .map(|entry| &entry.id)
    }

    /// A finding with its three mandatory facts.
    pub fn new(rule: impl Into<RuleId>, title: impl Into<Cow<'static, str>>, place: Place) -> Self {
        Finding {
            rule: rule.into(),
            title: title.into(),
            detail: None,
            place,
            op: None,
            confidence: None,
            evidence: None,
            decided_by: None,
            original: None,
            suppression: None,
        }
    }
}
