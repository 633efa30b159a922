//! `suppressions:`: findings that a person looked at and answers for, each until a day.
//!
//! An entry names a value by its fingerprint, or one rule at some paths. Nothing wider can be written: a rule alone,
//! or a path alone, would let pass whatever an agent puts there.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::boundaries::warn_of_pack;
use super::boundary::Layer;
use super::diagnostic::{At, Log, quoted};
use super::keys::SUPPRESSION;
use super::pattern::Pattern;
use super::read::{self, Fields};
use super::{Identity, Known, Policy, sections};
use crate::finding;
use crate::redact::Fingerprint;
use crate::yaml::Node;

/// One of `suppressions:`.
#[derive(Debug, Clone)]
pub struct Suppression {
    /// `id:`.
    pub id: Arc<str>,
    /// `owner:`.
    pub owner: String,
    /// `reason:`.
    pub reason: String,
    /// `until:`.
    pub until: jiff::Timestamp,
    rule: Option<String>,
    paths: Vec<Pattern>,
    fingerprints: Vec<Fingerprint>,
    repositories: Vec<Pattern>,
    identities: Vec<String>,
    boundaries: Vec<String>,
    line: u32,
}

impl Suppression {
    /// Whether it is over.
    pub fn is_expired(&self, now: jiff::Timestamp) -> bool {
        now >= self.until
    }

    /// Its line in the policy.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// What it names, in a few words: `secret/private-key in tests/**`.
    pub fn what(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.rule.clone());
        if !self.fingerprints.is_empty() {
            let values: Vec<String> = self.fingerprints.iter().map(ToString::to_string).collect();
            words.push(format!("fingerprint {}", values.join(", ")));
        }
        for (word, patterns) in [("in", &self.paths), ("of", &self.repositories)] {
            if !patterns.is_empty() {
                let written: Vec<&str> = patterns.iter().map(Pattern::as_written).collect();
                words.push(format!("{word} {}", written.join(", ")));
            }
        }
        for (word, names) in [
            ("for", &self.identities),
            ("for boundary", &self.boundaries),
        ] {
            if !names.is_empty() {
                words.push(format!("{word} {}", names.join(", ")));
            }
        }
        words.join(" ")
    }

    fn holds_for(&self, identity: Option<&str>, boundary: &str) -> bool {
        let named = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| names.iter().any(|one| one == name))
        };
        named(&self.identities, identity) && named(&self.boundaries, Some(boundary))
    }

    fn holds_in(&self, repository: &[String]) -> bool {
        let matches = |pattern: &Pattern| {
            let mut names = repository.iter();
            names.any(|name| pattern.matches_in_any_case(name.as_bytes()))
        };
        self.repositories.is_empty() || self.repositories.iter().any(matches)
    }

    /// The exact bytes of the path count, as for an allow: nothing is let pass for resembling what was named.
    fn names(&self, rule: &str, value: Option<Fingerprint>, path: Option<&[u8]>) -> bool {
        self.rule.as_deref().is_none_or(|own| own == rule)
            && (self.fingerprints.is_empty()
                || value.is_some_and(|value| self.fingerprints.contains(&value)))
            && (self.paths.is_empty()
                || path.is_some_and(|path| self.paths.iter().any(|p| p.matches(path))))
    }
}

/// An entry as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct SuppressionView {
    /// `id:`.
    pub id: String,
    /// What it names.
    pub what: String,
    /// `owner:`.
    pub owner: String,
    /// `reason:`.
    pub reason: String,
    /// `until:`.
    pub until: String,
    /// Whether it is over.
    pub expired: bool,
    /// Its line.
    pub at: String,
}

/// The entries that can hold for one identity in one repository, expired ones too.
#[derive(Debug)]
pub struct InForce<'p> {
    file: Arc<str>,
    now: jiff::Timestamp,
    by_value: HashMap<Fingerprint, Vec<&'p Suppression>>,
    by_rule: HashMap<&'p str, Vec<&'p Suppression>>,
}

impl InForce<'_> {
    /// The entry that names a finding: one that holds before one that is over, then in the order of the text.
    ///
    /// Only content has findings that may be suppressed: never a ref, a path, a limit, or what was not looked into.
    pub fn find(
        &self,
        rule: &str,
        value: Option<Fingerprint>,
        path: Option<&[u8]>,
    ) -> Option<finding::Suppression> {
        if !is_content(rule) {
            return None;
        }
        let of_value = value.and_then(|value| self.by_value.get(&value));
        let of_rule = self.by_rule.get(rule);
        let entry = of_value
            .into_iter()
            .chain(of_rule)
            .flatten()
            .filter(|entry| entry.names(rule, value, path))
            .min_by_key(|entry| (entry.is_expired(self.now), entry.line))?;
        Some(finding::Suppression {
            id: entry.id.clone(),
            until: entry.until,
            expired: entry.is_expired(self.now),
            at: finding::PolicyAt {
                file: self.file.clone(),
                line: entry.line,
                what: format!("suppressions: {}", entry.id).into(),
            },
        })
    }

    /// The ids of all of them.
    pub fn ids(&self) -> HashSet<&str> {
        let all = self.by_value.values().chain(self.by_rule.values());
        all.flatten().map(|entry| &*entry.id).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_value.is_empty() && self.by_rule.is_empty()
    }
}

fn is_content(rule: &str) -> bool {
    rule.starts_with("secret/") || rule.starts_with("unicode/")
}

impl Policy {
    /// `suppressions:`, in the order of the text.
    pub fn suppressions(&self) -> &[Suppression] {
        &self.suppressions
    }

    /// Whether some entry names a value, so that the key of the ledger is needed to know it.
    pub fn suppresses_values(&self) -> bool {
        self.suppressions
            .iter()
            .any(|entry| !entry.fingerprints.is_empty())
    }

    /// Those that can hold for this identity, by its boundary, in a repository with these names.
    pub fn suppressions_for(
        &self,
        identity: Option<&str>,
        boundary: &str,
        repository: &[String],
        now: jiff::Timestamp,
    ) -> InForce<'_> {
        let mut found = InForce {
            file: self.file.clone(),
            now,
            by_value: HashMap::new(),
            by_rule: HashMap::new(),
        };
        for entry in &self.suppressions {
            if !entry.holds_for(identity, boundary) || !entry.holds_in(repository) {
                continue;
            }
            for value in &entry.fingerprints {
                found.by_value.entry(*value).or_default().push(entry);
            }
            if let (true, Some(rule)) = (entry.fingerprints.is_empty(), &entry.rule) {
                found.by_rule.entry(rule).or_default().push(entry);
            }
        }
        found
    }

    /// Those that can hold for this identity, to be shown. Without a repository: in some repository.
    pub fn suppression_views(
        &self,
        identity: Option<&str>,
        boundary: &str,
        repository: Option<&str>,
        now: jiff::Timestamp,
    ) -> Vec<SuppressionView> {
        self.shown(identity, boundary, repository, now, |_| true)
    }

    /// Those of [`Policy::suppression_views`] that can hold for something at this path.
    pub fn suppressions_at(
        &self,
        identity: Option<&str>,
        boundary: &str,
        repository: Option<&str>,
        path: &[u8],
        now: jiff::Timestamp,
    ) -> Vec<SuppressionView> {
        self.shown(identity, boundary, repository, now, |entry| {
            entry.paths.is_empty() || entry.paths.iter().any(|pattern| pattern.matches(path))
        })
    }

    fn shown(
        &self,
        identity: Option<&str>,
        boundary: &str,
        repository: Option<&str>,
        now: jiff::Timestamp,
        wanted: impl Fn(&Suppression) -> bool,
    ) -> Vec<SuppressionView> {
        let names: Vec<String> = repository.map(str::to_owned).into_iter().collect();
        self.suppressions
            .iter()
            .filter(|entry| {
                let there = repository.is_none() || entry.holds_in(&names);
                there && entry.holds_for(identity, boundary) && wanted(entry)
            })
            .map(|entry| SuppressionView {
                id: entry.id.to_string(),
                what: entry.what(),
                owner: entry.owner.clone(),
                reason: entry.reason.clone(),
                until: entry.until.to_string(),
                expired: entry.is_expired(now),
                at: format!("{}:{}", self.file, entry.line),
            })
            .collect()
    }
}

/// Reads the list.
pub(super) fn read<'t>(
    node: &Node<'t>,
    identities: &[Identity],
    layers: &[(At, Arc<Layer>)],
    known: &Known<'_>,
    log: &mut Log<'t>,
) -> Vec<Suppression> {
    let items = read::list(node, "`suppressions`", log).unwrap_or_default();
    let names = Names {
        known,
        identities: (identities.iter().map(|identity| &*identity.name)).collect(),
        boundaries: layers.iter().map(|(_, layer)| &*layer.name).collect(),
    };
    let mut entries: Vec<Suppression> = Vec::with_capacity(items.len());
    let mut first_of: HashMap<Arc<str>, u32> = HashMap::with_capacity(items.len());
    for item in items {
        if log.is_full() {
            break;
        }
        let Some(entry) = entry(item, &names, log) else {
            continue;
        };
        if let Some(first) = first_of.insert(entry.id.clone(), entry.line) {
            log.error(
                item.at,
                format!("the id `{}` is here twice", quoted(&entry.id)),
            )
            .note(format!("first on line {first}"));
        }
        entries.push(entry);
    }
    entries
}

/// What an entry may name.
struct Names<'a> {
    known: &'a Known<'a>,
    identities: HashSet<&'a str>,
    boundaries: HashSet<&'a str>,
}

fn entry<'t>(node: &Node<'t>, names: &Names<'_>, log: &mut Log<'t>) -> Option<Suppression> {
    let fields = read::fields(node, SUPPRESSION, "a suppression", node.at, log)?;
    let mut text = |name: &'static str| {
        let node = fields.get(name)?;
        read::text(node, format_args!("`{name}`"), log).map(str::to_owned)
    };
    let (id, owner, reason) = (text("id"), text("owner"), text("reason"));
    let shown = id.as_deref().unwrap_or("?");
    if let Some(node) = fields.get("id") {
        sections::check_name(shown, node.at, "`id`", log);
    }
    let until = fields
        .get("until")
        .and_then(|node| read::moment(node, "`until`", log));
    if let (Some(now), Some(until)) = (log.examined(), until)
        && now >= until
    {
        log.warn(
            fields.key_at("until"),
            format!("suppression `{}` expired on {until}", quoted(shown)),
        )
        .note("it suppresses nothing any more: take it out, or look at the finding again");
    }
    let rule = rule(&fields, names.known, log);
    let paths = patterns(&fields, "path", log);
    let fingerprints = fingerprints(&fields, log);
    let repositories = patterns(&fields, "repositories", log);
    let identities = defined(&fields, "identities", "identity", &names.identities, log);
    let boundaries = defined(&fields, "boundaries", "boundary", &names.boundaries, log);
    check_width(&fields, shown, &paths, log);
    Some(Suppression {
        id: id?.into(),
        owner: owner?,
        reason: reason?,
        until: until?,
        rule,
        paths,
        fingerprints,
        repositories,
        identities,
        boundaries,
        line: node.at.line,
    })
}

/// Neither a rule alone nor a path alone: both would let pass what nobody has looked at.
fn check_width(fields: &Fields<'_, '_>, id: &str, paths: &[Pattern], log: &mut Log<'_>) {
    let given = |name: &str| fields.get(name).is_some() || fields.is_mistyped(name);
    let (id, at) = (quoted(id), fields.at);
    match (given("fingerprint"), given("rule"), given("path")) {
        (true, ..) => {}
        (false, true, true) => {
            if let Some(bare) = paths.iter().find(|pattern| pattern.is_bare()) {
                let written = quoted(bare.as_written());
                log.error(
                    fields.key_at("path"),
                    format!("suppression `{id}` would cover every finding of its rule: `{written}` is every path"),
                )
                .note("name a folder or a file, or give the `fingerprint` of the value");
            }
        }
        (false, true, false) => {
            log.error(
                at,
                format!("suppression `{id}` would cover every finding of its rule"),
            )
            .note("add `path`, or give the `fingerprint` of the value")
            .note("to change what a rule weighs, use `checks` of a boundary");
        }
        (false, false, true) => {
            log.error(
                at,
                format!("suppression `{id}` would cover every finding in its paths"),
            )
            .note("add `rule`, or give the `fingerprint` of the value");
        }
        (false, false, false) => {
            log.error(at, format!("suppression `{id}` names no finding"))
                .note("give the `fingerprint` of a value, or `rule` and `path`");
        }
    }
}

fn rule<'t>(fields: &Fields<'_, 't>, known: &Known<'_>, log: &mut Log<'t>) -> Option<String> {
    let node = fields.get("rule")?;
    let rule = read::text(node, "`rule`", log)?;
    let shown = quoted(rule);
    if !is_content(rule) {
        log.error(
            node.at,
            format!("findings of `{shown}` cannot be suppressed"),
        )
        .note("only rules of content can: secret/... and unicode/...");
    } else if rule.ends_with("/already-present") {
        log.error(
            node.at,
            format!("`{shown}` stands for every rule of its family"),
        )
        .note("name the rule of the value itself: that covers what was there before as well");
    } else if !known.has_rule(rule) {
        log.error(node.at, format!("unknown rule `{shown}`"))
            .note("`ringfence rules list` shows the rules");
    } else if known.is_of_pack(rule) && log.examined().is_some() {
        warn_of_pack(node.at, rule, log);
    }
    if rule.starts_with("unicode/") && fields.get("fingerprint").is_some() {
        log.error(
            fields.key_at("fingerprint"),
            format!("findings of `{shown}` have no fingerprint"),
        )
        .note("give `rule` and `path`");
    }
    Some(rule.to_owned())
}

fn patterns<'t>(fields: &Fields<'_, 't>, name: &'static str, log: &mut Log<'t>) -> Vec<Pattern> {
    let Some(node) = fields.get(name) else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    for node in read::one_or_more(node, format_args!("`{name}`"), log) {
        let Some(pattern) = read::pattern(node, format_args!("`{name}`"), log) else {
            continue;
        };
        if pattern.as_written().starts_with('@') {
            log.error(
                node.at,
                format!(
                    "`{}`: a preset is too wide here",
                    quoted(pattern.as_written())
                ),
            )
            .note("name the paths themselves; a path that starts with `@`: write `\\@`");
        }
        patterns.push(pattern);
    }
    patterns
}

fn fingerprints<'t>(fields: &Fields<'_, 't>, log: &mut Log<'t>) -> Vec<Fingerprint> {
    let Some(node) = fields.get("fingerprint") else {
        return Vec::new();
    };
    let mut values = Vec::new();
    for node in read::one_or_more(node, "`fingerprint`", log) {
        let Some(written) = read::text(node, "`fingerprint`", log) else {
            continue;
        };
        match Fingerprint::parse(written) {
            Some(value) => values.push(value),
            None => {
                log.error(
                    node.at,
                    format!("`{}` is not a fingerprint", quoted(written)),
                )
                .note("a fingerprint: all 12 digits, 0-9 and a-f, as the refusal shows them");
            }
        }
    }
    values
}

/// Names of things that the policy defines.
fn defined<'t>(
    fields: &Fields<'_, 't>,
    key: &'static str,
    what: &str,
    names: &HashSet<&str>,
    log: &mut Log<'t>,
) -> Vec<String> {
    let Some(node) = fields.get(key) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for node in read::one_or_more(node, format_args!("`{key}`"), log) {
        let Some(name) = read::text(node, format_args!("`{key}`"), log) else {
            continue;
        };
        if !names.contains(name) {
            let all: BTreeSet<&str> = names.iter().copied().collect();
            log.error(node.at, format!("{what} `{}` is not defined", quoted(name)))
                .suggest(name, all);
        }
        found.push(name.to_owned());
    }
    found
}
