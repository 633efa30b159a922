//! The summary of a run, counted from its records: of one run, or of the outputs of several that are put together.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::record::{Finding, Record, Summary, VERSION};
use crate::order::Order as _;

/// Counts records as they come.
#[derive(Default)]
pub struct Totals {
    summary: Summary,
    agents: HashSet<String>,
    /// Distinct secrets, and whether a ref still shows them.
    secrets: HashMap<(String, String), bool>,
    is_incomplete: bool,
    has_empty_share: bool,
}

impl Totals {
    /// Takes one record. A summary adds what no other record tells: the shard, and what a baseline knew.
    pub fn add(&mut self, record: &Record) {
        let all = &mut self.summary;
        match record {
            Record::Repository(one) => {
                all.repositories += 1;
                match one.status.as_str() {
                    "complete" => {}
                    "failed" => all.failed += 1,
                    _ => all.incomplete += 1,
                }
                self.is_incomplete |= one.status != "complete";
                all.refs += one.refs;
                all.commits += one.commits;
                all.objects += one.objects;
                all.bytes += one.bytes;
                all.refused_commits += one.refused_commits;
            }
            Record::Agent(one) => {
                self.agents.insert(one.agent.clone());
            }
            Record::Finding(one) => {
                *all.findings.entry(one.level.clone()).or_default() += 1;
                if is_secret(one)
                    && let Some(value) = &one.fingerprint
                {
                    let key = (one.rule.clone(), value.clone());
                    *self.secrets.entry(key).or_default() |= one.at_tip;
                }
            }
            Record::Uncovered(_) => all.uncovered += 1,
            Record::Summary(one) => {
                all.known += one.known;
                all.shards.extend(one.shards.iter().cloned());
                self.is_incomplete |= one.status != "complete";
                let first = |mine: &mut Option<String>, other: &Option<String>| {
                    if mine.is_none() {
                        mine.clone_from(other);
                    }
                };
                first(&mut all.policy, &one.policy);
                first(&mut all.since, &one.since);
                first(&mut all.until, &one.until);
                first(&mut all.key, &one.key);
                if all.only_refs.is_empty() {
                    all.only_refs.clone_from(&one.only_refs);
                }
                if all.only_paths.is_empty() {
                    all.only_paths.clone_from(&one.only_paths);
                }
            }
        }
    }

    /// Notes that a baseline knew so many findings.
    pub(super) fn add_known(&mut self, count: u64) {
        self.summary.known += count;
    }

    /// Notes that there are repositories, and that all of them fall into other shards.
    pub fn has_empty_share(&mut self) {
        self.has_empty_share = true;
    }

    /// The first shard that is missing beside those that are there.
    pub fn missing_shard(&self) -> Option<String> {
        let shards = self.summary.shards.iter();
        let of = shards.filter_map(|shard| shard.split_once('/')?.1.parse::<u64>().ok());
        let of = of.max()?;
        let mut all = (1..=of).map(|part| format!("{part}/{of}"));
        all.find(|shard| !self.summary.shards.contains(shard))
    }

    /// The summary so far, ended at a moment.
    pub fn end(mut self, now: jiff::Timestamp) -> Summary {
        let is_part = self.missing_shard().is_some();
        let all = &mut self.summary;
        all.v = VERSION;
        all.engine = env!("CARGO_PKG_VERSION").into();
        // Nothing that was looked at is no clean answer.
        let whole = !self.is_incomplete && (all.repositories > 0 || self.has_empty_share);
        // Nor is a name that was mistyped. In a shard alone it may be that only the others have the ref.
        let whole = whole && (is_part || !all.matches_no_ref());
        all.status = if whole { "complete" } else { "incomplete" }.into();
        all.agents = self.agents.len() as u64;
        all.secrets = self.secrets.len() as u64;
        all.secrets_at_tip = self.secrets.values().filter(|at_tip| **at_tip).count() as u64;
        all.shards.order();
        all.shards.dedup();
        all.time = super::time(now.as_second());
        self.summary
    }
}

/// Whether a finding is a value in the history, not what a policy says of it.
pub(super) fn is_secret(one: &Finding) -> bool {
    one.source == "content" && one.rule.starts_with("secret/")
}

/// Counts the findings of one repository anew, once a baseline has taken some away.
pub(super) fn recount(about: &mut super::record::Repository, rest: &[Record]) {
    let mut levels: BTreeMap<String, u64> = BTreeMap::new();
    (about.secrets, about.secrets_at_tip, about.uncovered) = (0, 0, 0);
    for record in rest {
        match record {
            Record::Finding(one) => {
                *levels.entry(one.level.clone()).or_default() += 1;
                about.secrets += u64::from(is_secret(one));
                about.secrets_at_tip += u64::from(is_secret(one) && one.at_tip);
            }
            Record::Uncovered(_) => about.uncovered += 1,
            Record::Agent(_) | Record::Repository(_) | Record::Summary(_) => {}
        }
    }
    about.findings = levels;
}
