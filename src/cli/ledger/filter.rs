//! Which entries a question is about.

use std::collections::HashSet;
use std::path::PathBuf;

use super::parse_time;
use crate::ledger::{Account, Decided, Event, Found, Moved, Record};
use crate::policy::Pattern;
use crate::redact::Quoted;

/// Which entries. All that are given must hold.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// What this identity did and tried: its decisions, what came of them, and orders about it
    #[arg(long = "as", value_name = "ID")]
    actor: Option<String>,
    /// Pushes of this pusher as the host told it, whatever identity it had: account, account id, mail address, ssh key or
    /// principal, deploy key, CI task
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Not before this time: `2026-11-22` or `2026-11-22T20:12:05Z`
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<jiff::Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<jiff::Timestamp>,
    /// Decisions with this verdict
    #[arg(long, value_name = "VERDICT", value_parser = ["accept", "hold", "reject", "unjudged"])]
    verdict: Option<String>,
    /// About repositories that match this pattern
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    repository: Option<Pattern>,
    /// About refs that match this pattern
    #[arg(long = "ref", value_name = "PATTERN", value_parser = parse_pattern)]
    reference: Option<Pattern>,
    /// Decisions with a finding at a path that matches this pattern
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    path: Option<Pattern>,
    /// Decisions with a finding of this rule, or of this family of rules (`secret`)
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Read this older file first; may be given again, the oldest first [default: those beside the ledger that it continues]
    #[arg(long, value_name = "FILE")]
    pub(super) older: Vec<PathBuf>,
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| format!("{}: {}", Quoted(text.as_bytes()), error.what))
}

/// The entries of a filter, asked one after another in the order of the ledger.
pub(super) struct Chosen<'f> {
    filter: &'f Filter,
    /// Decisions that were taken: what came of them is taken too.
    decisions: HashSet<String>,
}

impl<'f> Chosen<'f> {
    pub(super) fn by(filter: &'f Filter) -> Self {
        let decisions = HashSet::new();
        Chosen { filter, decisions }
    }

    pub(super) fn takes(&mut self, record: &Record) -> bool {
        let filter = self.filter;
        if !filter.is_in_time(record) {
            return false;
        }
        let any = |wanted: &Option<Pattern>, mut names: &mut dyn Iterator<Item = Vec<u8>>| {
            (wanted.as_ref()).is_none_or(|wanted| (&mut names).any(|name| wanted.matches(&name)))
        };
        let is_about = |repository: &[String], updates: &[Moved]| {
            let mut names = repository.iter().map(|name| name.clone().into_bytes());
            any(&filter.repository, &mut names)
                && any(&filter.reference, &mut updates.iter().flat_map(refs_of))
        };
        let is_of = |identity: Option<&String>| {
            (filter.actor.as_ref()).is_none_or(|wanted| identity == Some(wanted))
        };
        match &record.entry.event {
            Event::Decision(decided) => {
                let takes = is_of(decided.actor.as_ref())
                    && is_about(&decided.repository, &decided.updates)
                    && filter.is_by(&decided.pusher)
                    && (filter.verdict.as_ref()).is_none_or(|wanted| decided.verdict == *wanted)
                    && any(&filter.path, &mut findings_of(decided).filter_map(path_of))
                    && (filter.rule.as_ref()).is_none_or(|wanted| {
                        findings_of(decided).any(|found| is_rule(&found.rule, wanted))
                    });
                if takes && filter.asks_for_decisions() {
                    self.decisions.insert(record.id.clone());
                }
                takes
            }
            Event::Landed(landed) => match filter.asks_for_decisions() {
                true => (landed.decision.as_ref()).is_some_and(|id| self.decisions.contains(id)),
                false => is_about(&landed.repository, &landed.updates),
            },
            // Nothing but the pusher is known of it.
            Event::RefusedInput(refused) => {
                filter.is_by(&refused.pusher) && !filter.asks_for(|filter| filter.account = None)
            }
            Event::Suspended(stopped) | Event::Resumed(stopped) => {
                is_of(Some(&stopped.identity)) && !filter.asks_for(|filter| filter.actor = None)
            }
            Event::Assigned(assigned) => {
                let names = || {
                    assigned
                        .repository
                        .iter()
                        .map(|name| name.clone().into_bytes())
                };
                let name = bytes_of(&assigned.name, assigned.ref_hex.as_deref());
                is_of(Some(&assigned.identity))
                    && any(&filter.repository, &mut names())
                    && any(&filter.reference, &mut std::iter::once(name))
                    && !filter.asks_for(|filter| {
                        (filter.actor, filter.repository, filter.reference) = (None, None, None);
                    })
            }
            Event::Clock(_) | Event::Continued(_) => !filter.asks_for(|_| {}),
        }
    }
}

impl Filter {
    fn is_in_time(&self, record: &Record) -> bool {
        // A time that cannot be read is never left out: this is evidence.
        let time = record.entry.time.parse::<jiff::Timestamp>().ok();
        let since = |from: jiff::Timestamp| time.is_none_or(|time| time >= from);
        let until = |to: jiff::Timestamp| time.is_none_or(|time| time < to);
        self.since.is_none_or(since) && self.until.is_none_or(until)
    }

    fn is_by(&self, pusher: &Account) -> bool {
        let Some(wanted) = &self.account else {
            return true;
        };
        let fields = [
            &pusher.account,
            &pusher.account_id,
            &pusher.email,
            &pusher.deploy_key,
            &pusher.ssh_key,
            &pusher.ci_task,
        ];
        fields
            .into_iter()
            .flatten()
            .chain(&pusher.ssh_principals)
            .any(|field| field == wanted)
    }

    /// Whether something is asked that only a decision can answer.
    fn asks_for_decisions(&self) -> bool {
        self.asks_for(|filter| (filter.repository, filter.reference) = (None, None))
    }

    /// Whether something is asked beside time and what `but` takes out.
    fn asks_for(&self, but: impl FnOnce(&mut Asked)) -> bool {
        let mut asked = Asked {
            actor: self.actor.as_ref().map(drop),
            account: self.account.as_ref().map(drop),
            verdict: self.verdict.as_ref().map(drop),
            repository: self.repository.as_ref().map(drop),
            reference: self.reference.as_ref().map(drop),
            path: self.path.as_ref().map(drop),
            rule: self.rule.as_ref().map(drop),
        };
        but(&mut asked);
        asked != Asked::default()
    }
}

/// What a filter asks.
#[derive(Default, PartialEq)]
struct Asked {
    actor: Option<()>,
    account: Option<()>,
    verdict: Option<()>,
    repository: Option<()>,
    reference: Option<()>,
    path: Option<()>,
    rule: Option<()>,
}

fn findings_of(decided: &Decided) -> impl Iterator<Item = &Found> {
    decided.findings.iter().chain(&decided.suppressed)
}

fn path_of(found: &Found) -> Option<Vec<u8>> {
    let path = found.path.as_ref()?;
    Some(bytes_of(path, found.path_hex.as_deref()))
}

/// The names of a ref update: as it was pushed, and the one that really moves.
fn refs_of(moved: &Moved) -> impl Iterator<Item = Vec<u8>> {
    let target = moved.target.as_ref();
    let target = target.map(|target| bytes_of(target, moved.target_hex.as_deref()));
    std::iter::once(bytes_of(&moved.name, moved.ref_hex.as_deref())).chain(target)
}

fn bytes_of(shown: &str, hex: Option<&str>) -> Vec<u8> {
    hex.and_then(|hex| {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(hex.as_bytes())
            .ok()
    })
    .unwrap_or_else(|| shown.as_bytes().to_vec())
}

/// `secret` is a family, `secret/github-pat` a rule.
fn is_rule(rule: &str, wanted: &str) -> bool {
    let family = wanted.strip_suffix("/*").unwrap_or(wanted);
    rule == wanted
        || rule
            .strip_prefix(family)
            .is_some_and(|rest| rest.starts_with('/'))
}
