//! What one line of the ledger holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::orders::{Assigned, ClockSet, Continued, Stopped};
use super::words::{
    confidence_word, errand_word, host_word, kind_word, level_word, part_word, verdict_word,
};
use crate::finding::{Level, Place};
use crate::identity::claims::Claimed;
use crate::push::{Errand, HostKind, Oid, Pusher, RefName};
use crate::redact::Quoted;
use crate::verdict::{Decision, Judged};

/// Most findings that one entry lists, and most places of all of them; `counts` has them all.
pub(super) const FINDINGS_MAX: usize = 1_000;

/// Most suppressed findings that one entry lists. They have room of their own: nobody hides one behind warnings.
const SUPPRESSED_MAX: usize = 200;

/// Most places of one finding, and most commits of one place.
const PLACES_MAX: usize = 100;

/// One entry, without the fields that chain it to the others (`seq`, `torn`, `prev`, `hash`, `id`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339 with milliseconds, UTC.
    pub time: String,
    /// What is recorded.
    #[serde(flatten)]
    pub event: Event,
    /// Version of the program that wrote the entry.
    pub engine: String,
    /// Identities that are suspended once this entry stands, and since when. Filled in by the append.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub suspended: BTreeMap<String, String>,
    /// The latest moment of the entries before, when it is later than `time`: the clock went back. Filled in by the
    /// append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<String>,
}

/// What an entry records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A push was judged.
    Decision(Box<Decided>),
    /// Input that never became a push: malformed standard input, an unreadable policy.
    RefusedInput(Refused),
    /// Refs moved (post-receive).
    Landed(Landed),
    /// An identity is stopped.
    Suspended(Stopped),
    /// An identity may push again.
    Resumed(Stopped),
    /// A person says that the clock is right though the record has later entries.
    Clock(ClockSet),
    /// A person says whose a ref is.
    Assigned(Assigned),
    /// The first entry of a new file: the file before was rotated away.
    Continued(Continued),
}

/// A judged push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// `accept`, `hold`, `reject`, `unjudged`.
    pub verdict: String,
    /// Whether the verdict was enforced.
    pub enforced: bool,
    /// `enforce`, `observe`, or `record` for a forge's own bookkeeping.
    pub mode: String,
    /// Why the gate could not finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<String>,
    /// The identity, as the policy names it.
    pub actor: Option<String>,
    /// `agent`, `human`, `service`.
    pub actor_kind: String,
    /// Owner of the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The boundary it was judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
    /// The boundary that held as well because a person pushed work of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assisted: Option<String>,
    /// The agents that new commits and tags name: what these say of themselves, proved by nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimedBy>,
    /// Whom the host authenticated.
    pub pusher: Account,
    /// The host.
    pub host: String,
    /// Why the host itself pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errand: Option<String>,
    /// Names of the repository, most specific first.
    pub repository: Vec<String>,
    /// The ref updates.
    pub updates: Vec<Moved>,
    /// Totals.
    pub counts: Counts,
    /// The first [`FINDINGS_MAX`] findings.
    pub findings: Vec<Found>,
    /// Findings that the policy suppresses: they weigh nothing. `level` is what they would weigh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Found>,
    /// SHA-256 of the policy.
    pub policy: String,
}

/// The pusher, as the host told it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Account name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The host's number for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The host's number of the deploy key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_key: Option<String>,
    /// Fingerprint of the ssh key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<String>,
    /// Principals of the ssh certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_principals: Vec<String>,
    /// The CI job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_task: Option<String>,
}

/// One ref update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The ref, quoted where it is not plain ASCII, cut where it is long.
    #[serde(rename = "ref")]
    pub name: String,
    /// The exact bytes of the ref in hex, when `ref` does not show them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_hex: Option<String>,
    /// The ref that really moves, when `ref` is a symbolic one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its exact bytes in hex, when `target` does not show them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_hex: Option<String>,
    /// Its value before; `null`: it was not there.
    pub old: Option<String>,
    /// Its value after; `null`: it goes away.
    pub new: Option<String>,
}

/// An agent that commits name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedBy {
    /// Its id, as `docs/claims.md` lists it.
    pub agent: String,
    /// What names it: `author`, `committer`, `trailer`, `message`, `signing key`.
    pub sources: Vec<String>,
    /// How many commits and tags do.
    pub count: u64,
    /// The first of them.
    pub first: String,
}

impl ClaimedBy {
    pub(crate) fn list(claims: &[Claimed]) -> Vec<Self> {
        let one = |claimed: &Claimed| ClaimedBy {
            agent: claimed.agent.id.to_owned(),
            sources: (claimed.sources.iter())
                .map(|source| source.as_str().to_owned())
                .collect(),
            count: claimed.objects.len() as u64,
            first: claimed
                .objects
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        claims.iter().map(one).collect()
    }
}

/// Totals of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ref updates.
    pub refs: u64,
    /// New commits.
    pub commits: u64,
    /// Path changes looked at.
    pub changes: u64,
    /// Bytes of content looked into.
    pub bytes: u64,
    /// Findings, all levels.
    pub findings: u64,
    /// Findings of the level `deny`.
    pub deny: u64,
    /// Findings of the level `hold`.
    pub hold: u64,
    /// Findings of the level `warn`.
    pub warn: u64,
    /// Lines added, where the boundary limits them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added_lines: u64,
    /// Findings that the policy suppresses, in none of the other counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suppressed: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One finding: never the text that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The rule.
    pub rule: String,
    /// `warn`, `hold`, `deny`.
    pub level: String,
    /// The ref, quoted.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The commit or tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The path, quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The exact bytes of the path in hex, when `path` does not show them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// The line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
    /// Keyed fingerprint of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Length of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// The policy line that decided, `policy.yaml:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_at: Option<String>,
    /// Other new commits with the same at the same place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
    /// All places, the first included, when the value stands at more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<FoundAt>,
    /// How many places there are, when more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_count: Option<u64>,
    /// The rule of the value, where `rule` says that it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_rule: Option<String>,
    /// Id of the entry that suppresses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<String>,
    /// Id of the entry that suppressed it until it expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppression_expired: Option<String>,
}

/// One of the places of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundAt {
    /// Which text: `content`, `message`, …
    pub part: String,
    /// The ref, quoted.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The commit or tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Other new commits with the same at this place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
    /// The path, quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The exact bytes of the path in hex, when `path` does not show them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// The line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// A run that ended before there was a push to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, in words fit to be shown.
    pub why: String,
    /// The host.
    pub host: String,
    /// Whom the host authenticated, as far as it is known.
    pub pusher: Account,
}

/// Refs that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landed {
    /// The ref updates that were carried out.
    pub updates: Vec<Moved>,
    /// The entry that let them pass; `null`: no recent decision of this pusher covers them.
    pub decision: Option<String>,
    /// Names of the repository, most specific first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository: Vec<String>,
}

impl Entry {
    /// The entry for a judged push.
    pub fn decision(decision: &Decision, now: jiff::Timestamp) -> Self {
        let count = |level: Level| {
            let of_level = decision
                .findings
                .iter()
                .filter(|judged| judged.level == level);
            of_level.count() as u64
        };
        let mode = match (decision.enforced, decision.errand) {
            (true, _) => "enforce",
            (false, Errand::Bookkeeping) => "record",
            (false, _) => "observe",
        };
        let event = Event::Decision(Box::new(Decided {
            verdict: verdict_word(decision.verdict).into(),
            enforced: decision.enforced,
            mode: mode.into(),
            unjudged: decision.unjudged.as_ref().map(ToString::to_string),
            actor: decision.actor.identity.clone(),
            actor_kind: kind_word(decision.actor.kind).into(),
            owner: decision.actor.owner.clone(),
            boundary: decision.actor.boundary.clone(),
            assisted: decision.actor.assisted.clone(),
            claims: ClaimedBy::list(&decision.claims),
            pusher: Account::of(&decision.pusher),
            host: host_word(decision.host).into(),
            errand: errand_word(decision.errand).map(Into::into),
            repository: decision.repository.clone(),
            updates: decision
                .updates
                .iter()
                .map(|update| {
                    let mut moved =
                        Moved::of(&update.command.name, update.stored, update.command.new);
                    if update.target != update.command.name {
                        let (shown, hex) = shown_and_hex(update.target.as_bytes());
                        (moved.target, moved.target_hex) = (Some(shown), hex);
                    }
                    moved
                })
                .collect(),
            counts: Counts {
                refs: decision.updates.len() as u64,
                commits: decision.commits.len() as u64,
                changes: decision.work.changes.1,
                bytes: decision.work.bytes,
                added_lines: decision.work.added_lines,
                findings: decision.findings.len() as u64,
                deny: count(Level::Deny),
                hold: count(Level::Hold),
                warn: count(Level::Warn),
                suppressed: decision.suppressed.len() as u64,
            },
            findings: Found::list(&decision.findings, FINDINGS_MAX),
            suppressed: Found::list(&decision.suppressed, SUPPRESSED_MAX),
            policy: decision.policy_digest.clone(),
        }));
        Entry::now(event, now)
    }

    /// The entry for input that never became a push. `why` must be fit to be shown.
    pub fn refused_input(why: &str, host: HostKind, pusher: &Pusher, now: jiff::Timestamp) -> Self {
        let refused = Refused {
            why: why.into(),
            host: host_word(host).into(),
            pusher: Account::of(pusher),
        };
        Entry::now(Event::RefusedInput(refused), now)
    }

    /// The entry for refs that moved. [`super::Ledger::covering`] finds the decision.
    pub fn landed(
        updates: Vec<Moved>,
        decision: Option<&Id>,
        repository: &[String],
        now: jiff::Timestamp,
    ) -> Self {
        let landed = Landed {
            updates,
            decision: decision.map(|id| id.as_str().to_owned()),
            repository: repository.to_vec(),
        };
        Entry::now(Event::Landed(landed), now)
    }

    pub(super) fn now(event: Event, now: jiff::Timestamp) -> Self {
        Entry {
            time: time_of(now),
            event,
            engine: env!("CARGO_PKG_VERSION").into(),
            suspended: BTreeMap::new(),
            ahead: None,
        }
    }
}

/// A moment as entries write it.
pub(super) fn time_of(moment: jiff::Timestamp) -> String {
    format!("{moment:.3}")
}

impl Account {
    pub(super) fn of(pusher: &Pusher) -> Self {
        Account {
            account: pusher.account.clone(),
            account_id: pusher.account_id.clone(),
            email: pusher.email.clone(),
            deploy_key: pusher.deploy_key.clone(),
            ssh_key: pusher.ssh_key.clone(),
            ssh_principals: pusher.ssh_principals.clone(),
            ci_task: pusher.ci_task.clone(),
        }
    }

    /// The most telling field, for one line of a listing.
    pub fn brief(&self) -> Option<String> {
        let named = |kind: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{kind} {value}"))
        };
        named("deploy key", &self.deploy_key)
            .or_else(|| named("CI task", &self.ci_task))
            .or_else(|| named("account", &self.account))
            .or_else(|| named("ssh key", &self.ssh_key))
            .or_else(|| {
                self.ssh_principals
                    .first()
                    .map(|p| format!("principal {p}"))
            })
    }
}

impl Moved {
    /// A ref update with its values before and after.
    pub fn of(name: &RefName, old: Option<Oid>, new: Option<Oid>) -> Self {
        let (shown, hex) = shown_and_hex(name.as_bytes());
        Moved {
            name: shown,
            ref_hex: hex,
            target: None,
            target_hex: None,
            old: old.map(|id| id.to_string()),
            new: new.map(|id| id.to_string()),
        }
    }

    /// Whether both are the same move of the same ref.
    pub fn same_move(&self, other: &Moved) -> bool {
        (&self.name, &self.ref_hex, &self.old, &self.new)
            == (&other.name, &other.ref_hex, &other.old, &other.new)
    }
}

impl Found {
    /// At most `room` findings, and as many further places as there is room left.
    fn list(judged: &[Judged], room: usize) -> Vec<Found> {
        let mut places = room.saturating_sub(judged.len());
        judged
            .iter()
            .take(room)
            .map(|one| {
                let found = Found::of(one, places);
                places -= found.places.len().min(places);
                found
            })
            .collect()
    }

    fn of(judged: &Judged, places: usize) -> Self {
        let finding = &judged.finding;
        let place = &finding.place;
        let path = place.path.as_ref().map(|path| shown_and_hex(path));
        let (path, path_hex) = path.map_or((None, None), |(shown, hex)| (Some(shown), hex));
        Found {
            rule: finding.rule.to_string(),
            level: level_word(judged.level).into(),
            name: place
                .ref_name
                .as_ref()
                .map(|name| Quoted(name.as_bytes()).to_string()),
            commit: place.commit.map(|id| id.to_string()),
            path,
            path_hex,
            line: place.span.as_ref().map(|span| span.line),
            confidence: finding
                .confidence
                .map(|confidence| confidence_word(confidence).into()),
            fingerprint: finding.evidence.as_ref().map(|e| e.fingerprint.to_string()),
            bytes: finding.evidence.as_ref().map(|e| e.bytes),
            policy_at: (judged.decided_by.line > 0)
                .then(|| format!("{}:{}", judged.decided_by.file, judged.decided_by.line)),
            also_in: ids(place, PLACES_MAX),
            places: match judged.also.is_empty() {
                true => Vec::new(),
                false => judged
                    .places()
                    .take(PLACES_MAX.min(places))
                    .map(|place| FoundAt::of(place, PLACES_MAX))
                    .collect(),
            },
            place_count: (!judged.also.is_empty()).then(|| judged.also.len() as u64 + 1),
            original_rule: finding.original.as_ref().map(ToString::to_string),
            suppressed_by: finding.suppressed_by().map(ToString::to_string),
            suppression_expired: finding
                .suppression
                .as_ref()
                .filter(|entry| entry.expired)
                .map(|entry| entry.id.to_string()),
        }
    }
}

impl FoundAt {
    /// The place, with at most `commits` other commits.
    pub(crate) fn of(place: &Place, commits: usize) -> Self {
        let path = place.path.as_ref().map(|path| shown_and_hex(path));
        let (path, path_hex) = path.map_or((None, None), |(shown, hex)| (Some(shown), hex));
        FoundAt {
            part: part_word(place.part).into(),
            name: place
                .ref_name
                .as_ref()
                .map(|name| Quoted(name.as_bytes()).to_string()),
            commit: place.commit.map(|id| id.to_string()),
            also_in: ids(place, commits),
            path,
            path_hex,
            line: place.span.as_ref().map(|span| span.line),
            column: place.span.as_ref().map(|span| span.column),
        }
    }
}

fn ids(place: &Place, most: usize) -> Vec<String> {
    let others = place.also_in.iter().take(most);
    others.map(ToString::to_string).collect()
}

/// Pushed bytes as they may be shown, and in hex where that does not tell them exactly.
pub(crate) fn shown_and_hex(bytes: &[u8]) -> (String, Option<String>) {
    let shown = Quoted(bytes).to_string();
    let exact = shown.as_bytes() == bytes;
    let hex = (!exact).then(|| data_encoding::HEXLOWER.encode(bytes));
    (shown, hex)
}
