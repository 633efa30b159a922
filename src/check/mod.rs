//! The checks: each turns a push into findings, and knows nothing of levels, grants or exit codes.
//!
//! One file a check, one line in [`CHECKS`], its cases in `testdata/`, its rules in `docs/checks.md`.

mod authorship;
mod claims;
mod limits;
mod objects;
mod paths;
mod refs;
mod secrets;
mod signatures;
mod texts;
mod unicode;

use std::ops::Range;

pub(crate) use limits::{Brings, over_time, too_many_lines};
pub(crate) use paths::{BECOMES_EXECUTABLE, odd_path};
pub(crate) use refs::{odd_ref, refused_ref};
pub(crate) use secrets::{hits, masked};
pub(crate) use texts::{of_commit as texts_of_commit, of_tag as texts_of_tag};
pub(crate) use unicode::{is_for_agents, is_plain, may_hide};

use crate::budget::Budget;
use crate::finding::{Confidence, Evidence, Finding, Level, Part, PolicyAt, RuleId};
use crate::identity::Actor;
use crate::identity::claims::Claimed;
use crate::identity::signature::Signers;
use crate::policy::{Known, Policy};
use crate::push::{Oid, Push, RefName, RefUpdate};
use crate::redact::FingerprintKey;
use crate::repo::{History, Reader, Repo, RepoError, packs};
use crate::scan::Memory;

/// Every check, in the order in which they run: cheap refusals first.
pub static CHECKS: &[&dyn Check] = &[
    &refs::Refs,
    &limits::Limits,
    &paths::Paths,
    &authorship::Authorship,
    &signatures::Signatures,
    &claims::Claims,
    &objects::Objects,
    HIDDEN_TEXT,
    &secrets::Secrets,
];

/// The check that looks for text that people do not see.
pub(crate) const HIDDEN_TEXT: &dyn Check = &unicode::HiddenUnicode;

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
    /// The server's policy.
    pub policy: &'a Policy,
    /// Who pushes, with the effective boundary.
    pub actor: &'a Actor,
    /// The agents that the new commits and tags name.
    pub claims: &'a [Claimed],
    /// The trusted refs and their tips.
    pub trusted: &'a [(RefName, Oid)],
    /// Where refs are looked up.
    pub repo: &'a Repo,
    /// New commits, tags, contents.
    pub history: &'a History,
    /// Where objects are read.
    pub reader: &'a Reader<'a>,
    /// What is left.
    pub budget: &'a Budget,
    /// The keys that may sign; `None`: the boundary does not look at signatures.
    pub signers: Option<&'a Signers>,
    /// By how much the nonce of a push certificate may be too old.
    pub nonce_slop: std::time::Duration,
    /// When the push arrived.
    pub now: jiff::Timestamp,
    /// What the record says of each ref; empty: the boundary asks for none of it.
    pub pasts: &'a [OfRef],
    /// For each ref update the stored ref that it would be taken for, and that the pusher may not change.
    pub twins: &'a [Option<RefName>],
}

/// What the record says of one ref, as far as the boundary asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfRef {
    /// Asked for where the operation holds for own refs alone: the line that says so, and the identity that created the ref,
    /// when it is known.
    pub owner: Option<(PolicyAt, Option<String>)>,
    /// The ref is made again, without this that it held when it was deleted.
    pub remade: Option<String>,
}

impl Facts<'_> {
    /// The first of the ref updates that bring something.
    fn ref_of(&self, updates: &[usize]) -> Option<RefName> {
        updates
            .first()
            .map(|update| self.updates[*update].command.name.clone())
    }
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

/// What the checks noted of one version of a file, for the version after it. Has no `Debug`: it holds secrets.
#[derive(Default)]
pub struct Notes {
    secrets: Option<Memory>,
}

impl Notes {
    /// Whether no check has left any.
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_none()
    }
}

/// What a check has of other versions of the file that a text is one version of.
pub struct Series<'a> {
    /// What was noted of one of them, and the parts of the text, all of it in their order: copied from there, or new.
    pub from: Option<(&'a Notes, &'a [packs::Part])>,
    /// Where notes on the text itself go.
    pub notes: &'a mut Notes,
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

/// Rules of facts that are known before any check runs: who pushes, and by which policy.
pub static IDENTITY_RULES: &[Rule] = &[
    identity_rule(
        "identity/unknown",
        "the pusher matches no identity of the policy",
        "The host authenticated an account, key or certificate that no entry under `identities:` names. \
         Add an entry, or name a boundary under `unknown:`.",
    ),
    identity_rule(
        "identity/ambiguous",
        "the pusher matches more than one identity of the policy",
        "Two entries match the same pusher, so no boundary can be chosen. Make their `match:` distinct.",
    ),
    identity_rule(
        "identity/expired",
        "the identity is no longer valid",
        "`valid: until` of the identity is over. A person who may change the policy extends it.",
    ),
    identity_rule(
        "identity/not-yet-valid",
        "the identity is not valid yet",
        "`valid: from` of the identity lies ahead.",
    ),
    identity_rule(
        "identity/repository",
        "the identity may not push to this repository",
        "The identity lists `repositories:` and this one matches none of them.",
    ),
    identity_rule(
        "identity/suspended",
        "the identity is suspended",
        "A person stopped it with `ringfence suspend`. Refused in every mode, \
         before anything else is looked at, until a person lifts it with `ringfence resume`.",
    ),
    identity_rule(
        "time/clock",
        "the clock of the server is behind its own record",
        "The ledger has an entry that is later than now, so the clock went back, or was ahead before. What expires, \
         freezes or counts by the hour cannot be known: agents and services are refused until the clock has caught up, \
         people are told. An admin sets the clock right; when it was ahead before, `ringfence ledger clock` says that \
         now is right.",
    ),
    identity_rule(
        "policy/invalid",
        "the repository's own policy cannot be used",
        "`.ringfence.yaml` at the trusted ref is unreadable or invalid. Agents are refused until a person \
         repairs it; people are told.",
    ),
];

const fn identity_rule(id: &'static str, title: &'static str, doc: &'static str) -> Rule {
    // A person must still be able to push the repair of a broken repository policy, and under a wrong clock.
    let default_human = match id.as_bytes()[0] {
        b'p' | b't' => Level::Warn,
        _ => Level::Deny,
    };
    Rule {
        id,
        title,
        doc,
        default: Level::Deny,
        default_human,
        fixed: true,
    }
}

/// The names that a policy may use under `checks:`.
pub fn known() -> Known<'static> {
    static NAMES: &[&str] = &[
        "refs",
        "limits",
        "paths",
        "authorship",
        "signatures",
        "claims",
        "objects",
        "hidden-unicode",
        "secrets",
    ];
    Known {
        checks: NAMES,
        rule: &|id| find_rule(id).1.is_some(),
        // The name of a check is no rule: it need not be looked for among thousands.
        fixed: &|id| !NAMES.contains(&id) && find_rule(id).1.is_some_and(|rule| rule.fixed),
        packs: false,
    }
}

/// The rule with this id and the name of its check.
pub fn find_rule(id: &str) -> (&'static str, Option<&'static Rule>) {
    if let Some(rule) = IDENTITY_RULES.iter().find(|rule| rule.id == id) {
        return ("identity", Some(rule));
    }
    for check in CHECKS {
        if let Some(rule) = check.find(id) {
            return (check.name(), Some(rule));
        }
    }
    ("unknown", None)
}

/// The level of a content finding where no policy was given.
pub(crate) fn default_level(rule: &str, confidence: Option<Confidence>) -> Level {
    match confidence {
        Some(Confidence::Possible) => Level::Warn,
        Some(_) => Level::Deny,
        None => find_rule(rule).1.map_or(Level::Deny, |rule| rule.default),
    }
}

/// Whether a push that this rule refuses may pass unchanged at another time, or once somebody has acted: it says nothing
/// against the pusher.
pub fn is_of_time(rule: &str) -> bool {
    let (family, name) = rule.split_once('/').unwrap_or((rule, ""));
    match family {
        "identity" => !matches!(name, "author-mismatch" | "committer-mismatch"),
        "time" | "policy" => true,
        "limit" => name.ends_with("-per-hour") || name.ends_with("-per-day"),
        "ref" => matches!(name, "frozen" | "old-mismatch" | "owner-unknown"),
        _ => false,
    }
}

/// One rule family.
pub trait Check: Sync {
    /// The name under `checks:` in a policy.
    fn name(&self) -> &'static str;

    /// Its rules.
    fn rules(&self) -> &'static [Rule];

    /// The rule with this id.
    fn find(&self, id: &str) -> Option<&'static Rule> {
        self.rules().iter().find(|rule| rule.id == id)
    }

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

    /// The same of one version of a file, for a check that need not look again at what it has noted.
    fn in_series(
        &self,
        text: &Text<'_>,
        _series: Series<'_>,
        key: &FingerprintKey,
        budget: &Budget,
        hits: &mut Vec<Hit>,
    ) -> Result<(), crate::budget::Exhausted> {
        self.content(text, key, budget, hits)
    }
}

/// The text of `docs/checks.md`.
pub fn docs() -> String {
    let mut text = String::from(
        "# Checks and their rules\n\n\
         <!-- Made from the tables in src/check/: RINGFENCE_WRITE_DOCS=1 cargo test --lib writes it anew. -->\n\n\
         A policy names checks and rules under `checks:`, each with a level: `off`, `warn`, `hold` or `deny`. \
         A rule that the policy does not name has the level in the table, for agents and services, and for \
         humans. Levels marked *fixed* cannot be changed by a policy. The formats behind `secret/...` are in \
         [rules.md](rules.md).\n",
    );
    let builtin = ("identity", IDENTITY_RULES);
    let checks = CHECKS.iter().map(|check| (check.name(), check.rules()));
    for (name, rules) in std::iter::once(builtin).chain(checks) {
        text.push_str(&format!("\n## {name}\n"));
        // The formats of secrets have a page of their own.
        let is_format = |rule: &&Rule| name == "secrets" && rule.id != "secret/already-present";
        let formats = rules.iter().filter(is_format).count();
        for rule in rules.iter().filter(|rule| !is_format(rule)) {
            text.push_str(&format!(
                "\n### {}\n\n{}. {}\n\nAgents: {}, humans: {}{}.\n",
                rule.id,
                rule.title,
                rule.doc,
                rule.default.as_str(),
                rule.default_human.as_str(),
                if rule.fixed { " (fixed)" } else { "" },
            ));
        }
        if formats > 0 {
            text.push_str(&format!(
                "\n{formats} more rules: see [rules.md](rules.md).\n"
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_say_what_the_tables_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checks.md");
        if std::env::var_os("RINGFENCE_WRITE_DOCS").is_some() {
            std::fs::write(path, docs()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            docs(),
            "RINGFENCE_WRITE_DOCS=1 cargo test --lib"
        );
    }

    #[test]
    fn a_policy_may_name_every_check() {
        for check in CHECKS {
            assert!(known().checks.contains(&check.name()), "{}", check.name());
        }
    }

    /// What suspends an agent, and what it can wait for.
    #[test]
    fn only_what_another_time_changes_is_of_time() {
        for (rule, of_time) in [
            ("identity/unknown", true),
            ("identity/suspended", true),
            ("identity/author-mismatch", false),
            ("time/clock", true),
            ("policy/invalid", true),
            ("limit/pushes-per-hour", true),
            ("limit/commits-per-day", true),
            ("limit/files", false),
            ("ref/frozen", true),
            ("ref/force", false),
            ("secret/github-pat", false),
        ] {
            assert!(find_rule(rule).1.is_some(), "{rule}");
            assert_eq!(is_of_time(rule), of_time, "{rule}");
        }
    }

    #[test]
    fn rule_ids_are_family_and_name_and_stand_once() {
        let mut ids = Vec::new();
        for rule in CHECKS
            .iter()
            .flat_map(|check| check.rules())
            .chain(IDENTITY_RULES)
        {
            let (family, name) = rule.id.split_once('/').expect("family/name");
            for part in [family, name] {
                let kebab =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                assert!(!part.is_empty() && part.bytes().all(kebab), "{}", rule.id);
            }
            assert!(!rule.title.is_empty(), "{}", rule.id);
            ids.push(rule.id);
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "a rule id stands twice");
    }
}
