//! What a finding of `scan` weighs: by the defaults, or by a policy for one of its identities.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::check::Hit;
use crate::finding::Level;
use crate::identity::{self, Actor};
use crate::policy::{InForce, Policy};
use crate::verdict;

/// A policy with what of it was used.
pub(super) struct Weights<'p> {
    policy: &'p Policy,
    actor: Option<Actor>,
    entries: InForce<'p>,
    now: jiff::Timestamp,
    used: HashMap<String, u64>,
    expired: HashMap<String, u64>,
}

/// What a policy says of a hit.
pub(super) enum Weight {
    /// Told with this level.
    Told(Level),
    /// Not told: switched off for the identity.
    Off,
    /// Not told: an entry suppresses it.
    Suppressed,
}

impl<'p> Weights<'p> {
    pub(super) fn new(
        policy: &'p Policy,
        identity: Option<&str>,
        repository: Option<&str>,
    ) -> Result<Self, String> {
        let repository: Vec<String> = repository.map(str::to_owned).into_iter().collect();
        let actor = identity
            .map(|name| identity::actor_at_any_time(policy, name, &repository))
            .transpose()
            .map_err(|refused| refused.to_string())?;
        let now = jiff::Timestamp::now();
        // Without an identity those entries alone that hold for everybody.
        let entries = policy.suppressions_for(
            identity,
            actor.as_ref().map_or("", |actor| actor.boundary.name()),
            &repository,
            now,
        );
        Ok(Weights {
            policy,
            actor,
            entries,
            now,
            used: HashMap::new(),
            expired: HashMap::new(),
        })
    }

    /// Weighs a hit at a path as the repository knows it.
    pub(super) fn of(&mut self, hit: &Hit, path: Option<&[u8]>) -> Weight {
        let value = hit.evidence.as_ref().map(|evidence| evidence.fingerprint);
        if let Some(entry) = self.entries.find(&hit.rule, value, path) {
            let counts = match entry.expired {
                true => &mut self.expired,
                false => &mut self.used,
            };
            *counts.entry(entry.id.to_string()).or_default() += 1;
            if !entry.expired {
                return Weight::Suppressed;
            }
        }
        match verdict::level_of(&hit.rule, hit.confidence, self.actor.as_ref()).0 {
            Level::Off => Weight::Off,
            level => Weight::Told(level),
        }
    }

    /// What a person should know of the suppressions, one sentence each.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let in_scope = self.entries.ids();
        for entry in self.policy.suppressions() {
            let id = &*entry.id;
            let at = format!("{}:{}", self.policy.file, entry.line());
            let times = |count: u64| match count {
                1 => "1 place".to_owned(),
                _ => format!("{count} places"),
            };
            if !in_scope.contains(id) {
                remarks.push(format!(
                    "note: suppression {id} ({at}) is for other identities or repositories"
                ));
                continue;
            }
            match (
                entry.is_expired(self.now),
                self.used.get(id),
                self.expired.get(id),
            ) {
                (false, Some(count), _) => {
                    remarks.push(format!("note: suppression {id} ({at}): {}", times(*count)));
                }
                (false, None, _) => remarks.push(format!(
                    "warning: suppression {id} ({at}) matched nothing here"
                )),
                (true, _, found) => remarks.push(format!(
                    "warning: suppression {id} ({at}) expired on {}{}",
                    entry.until,
                    found.map_or_else(String::new, |count| format!(
                        "; what it names is at {}",
                        times(*count)
                    ))
                )),
            }
        }
        remarks
    }
}

/// A path as the repository has it: from the current folder, or from the folder that was named by its whole path.
pub(super) fn inside(root: Option<&Path>, path: &Path) -> Vec<u8> {
    let below = match root {
        Some(root) if root.is_absolute() => path.strip_prefix(root).unwrap_or(path),
        _ => path,
    };
    let plain: PathBuf = below
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect();
    plain.as_os_str().as_bytes().to_vec()
}
