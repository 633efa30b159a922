//! The checks: each turns a push into findings, and knows nothing of levels, grants or exit codes.
//!
//! One file a check, one line in [`CHECKS`], its cases in `testdata/`, its rules in `docs/checks.md`.

mod authorship;
mod limits;
mod objects;
mod paths;
mod refs;
mod secrets;
mod unicode;

use std::ops::Range;

use crate::budget::Budget;
use crate::finding::{Confidence, Evidence, Finding, Level, Part, RuleId};
use crate::identity::Actor;
use crate::push::{Push, RefUpdate};
use crate::redact::FingerprintKey;
use crate::repo::{History, Repo, RepoError};

/// Every check, in the order in which they run: cheap refusals first.
pub static CHECKS: &[&dyn Check] = &[
    &refs::Refs,
    &limits::Limits,
    &paths::Paths,
    &authorship::Authorship,
    &objects::Objects,
    &unicode::HiddenUnicode,
    &secrets::Secrets,
];

/// What a rule is, for docs, `policy` validation and default levels.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `family/name`.
    pub id: &'static str,
    /// One sentence without a full stop.
    pub title: &'static str,
    /// What it means and what to do, in Markdown.
    pub doc: &'static str,
    /// Level when the policy names neither the rule nor its check, for agents and services.
    pub default: Level,
    /// The same for humans.
    pub default_human: Level,
    /// No policy can change the level.
    pub fixed: bool,
}

/// The facts of a push, for checks that look at it as a whole.
pub struct Facts<'a> {
    /// The push as the host handed it over.
    pub push: &'a Push,
    /// Its commands with what the ref store says.
    pub updates: &'a [RefUpdate],
    /// Who pushes, with the effective boundary.
    pub actor: &'a Actor,
    /// New commits, tags, contents.
    pub history: &'a History,
    /// Where objects are read.
    pub repo: &'a Repo,
    /// What is left.
    pub budget: &'a Budget,
}

/// One text that a content check looks into.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Which text of the push.
    pub part: Part,
    /// The path, when the text is content at a path.
    pub path: Option<&'a [u8]>,
    /// The bytes as stored.
    pub bytes: &'a [u8],
}

/// What a content check found in a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: RuleId,
    /// One sentence without a full stop.
    pub title: std::borrow::Cow<'static, str>,
    /// Bytes of the text as stored that hold it; for decoded content, the encoded bytes.
    pub bytes: Range<usize>,
    /// How sure.
    pub confidence: Option<Confidence>,
    /// What may be shown.
    pub evidence: Option<Evidence>,
    /// A second fact, fit to be shown.
    pub detail: Option<String>,
}

/// One rule family.
pub trait Check: Sync {
    /// The name under `checks:` in a policy.
    fn name(&self) -> &'static str;

    /// Its rules.
    fn rules(&self) -> &'static [Rule];

    /// Looks at the push as a whole.
    fn facts(&self, _facts: &Facts<'_>, _findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        Ok(())
    }

    /// Whether [`Check::content`] does anything.
    fn reads_content(&self) -> bool {
        false
    }

    /// Looks into one text. Hits of the whole text; the gate tells added from old.
    fn content(
        &self,
        _text: &Text<'_>,
        _key: &FingerprintKey,
        _budget: &Budget,
        _hits: &mut Vec<Hit>,
    ) -> Result<(), crate::budget::Exhausted> {
        Ok(())
    }
}
