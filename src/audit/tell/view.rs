//! What is told: the records in one order, by type, with their totals and what is missing.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::audit::record::{Agent, Finding, Record, Repository, Summary, Uncovered};
use crate::order::Order as _;
use crate::report::ascii;

/// Longest text of a record that people are shown, in bytes.
const WORD_MAX: usize = 500;

/// The records of an audit, in order.
pub(super) struct View<'a> {
    /// All: by repository, in it the repository itself, agents, findings, uncovered; summaries last.
    pub(super) records: Vec<&'a Record>,
    pub(super) repositories: Vec<&'a Repository>,
    pub(super) agents: Vec<&'a Agent>,
    /// The strictest first, those at a tip before the others.
    pub(super) findings: Vec<&'a Finding>,
    /// A broken record first: it says least about all the others.
    pub(super) uncovered: Vec<&'a Uncovered>,
    /// Of all summaries.
    pub(super) total: Summary,
    /// Why this is not the whole answer, one sentence each. Empty: everything asked for was looked at.
    pub(super) gaps: Vec<String>,
    /// How to read the numbers, where that needs a word.
    pub(super) notes: Vec<String>,
}

impl<'a> View<'a> {
    pub(super) fn new(records: &'a [Record]) -> View<'a> {
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.order_by(|a, b| order(a, b));
        sorted.dedup();
        let mut view = View {
            records: Vec::new(),
            repositories: Vec::new(),
            agents: Vec::new(),
            findings: Vec::new(),
            uncovered: Vec::new(),
            total: Summary::default(),
            gaps: Vec::new(),
            notes: Vec::new(),
        };
        let mut ends = Vec::new();
        for record in &sorted {
            match record {
                Record::Repository(one) => view.repositories.push(one),
                Record::Agent(one) => view.agents.push(one),
                Record::Finding(one) => view.findings.push(one),
                Record::Uncovered(one) => view.uncovered.push(one),
                Record::Summary(one) => ends.push(one),
            }
        }
        view.records = sorted;
        view.findings.order_by_key(|finding| weight(finding));
        let kinds = ["chain", "ref-update", "ref-deleted", "commit"];
        let rank = |one: &&Uncovered| kinds.iter().position(|kind| *kind == one.kind);
        view.uncovered
            .order_by_key(|one| rank(one).unwrap_or(kinds.len()));
        view.total = total(&ends);
        view.gaps = gaps(&view, !ends.is_empty());
        view.notes.extend(missing_shards(&view.total));
        for (things, only) in [
            ("refs", &view.total.only_refs),
            ("files", &view.total.only_paths),
        ] {
            if !only.is_empty() {
                let only: Vec<String> = only.iter().map(|one| word(one)).collect();
                let only = only.join(" or ");
                view.notes
                    .push(format!("only {things} that match {only} were looked at"));
            }
        }
        if view.total.known > 0 {
            let them = many(view.total.known, "finding", "findings");
            view.notes
                .push(format!("{them} of the baseline not told again"));
        }
        if ends.len() > 1 {
            let ends = ends.len();
            view.notes.push(format!(
                "{ends} summaries are added up: what lies in several counts several times"
            ));
        }
        view
    }

    /// Things that could not be looked at, listed or not.
    pub(super) fn unread(&self) -> u64 {
        (self.repositories.iter())
            .map(|one| one.unread_count.max(one.unread.len() as u64))
            .sum()
    }

    /// Secrets that leave no doubt and that a ref still shows at its tip: each value with its findings, one a repository.
    pub(super) fn pressing(&self) -> Vec<Vec<&'a Finding>> {
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        let mut values: Vec<Vec<&Finding>> = Vec::new();
        for found in self.findings.iter().copied().filter(|one| is_pressing(one)) {
            let next = values.len();
            // What has no fingerprint stands for itself.
            let place = match &found.fingerprint {
                Some(print) => *places.entry((&*found.rule, &**print)).or_insert(next),
                None => next,
            };
            match values.get_mut(place) {
                Some(same) => same.push(found),
                None => values.push(vec![found]),
            }
        }
        values
    }

    /// Whether something was left out because nobody asked for it.
    pub(super) fn is_narrowed(&self) -> bool {
        let total = &self.total;
        let filters = [&total.only_refs, &total.only_paths];
        filters.iter().any(|one| !one.is_empty())
            || total.since.is_some()
            || total.until.is_some()
            || missing_shards(total).is_some()
    }

    /// What the policy would have refused or held.
    pub(super) fn replayed(&self) -> impl Iterator<Item = &'a Finding> {
        (self.findings.iter().copied()).filter(|one| one.source == "replay")
    }

    /// Agents that no entry of the policy declares, by id, with their records.
    pub(super) fn undeclared(&self) -> BTreeMap<&'a str, Vec<&'a Agent>> {
        let mut found: BTreeMap<&str, Vec<&Agent>> = BTreeMap::new();
        for agent in self.agents.iter().filter(|one| one.declared.is_none()) {
            found.entry(&agent.agent).or_default().push(agent);
        }
        found
    }
}

/// What is special about a repository, and what the comparison with its ledger could not tell.
pub(super) fn notes(repository: &Repository) -> impl Iterator<Item = &str> {
    let of_ledger = repository.ledger.iter().flat_map(|ledger| &ledger.notes);
    (repository.notes.iter().chain(of_ledger)).map(String::as_str)
}

/// A value that opens something, found in the history.
pub(super) fn is_secret(finding: &Finding) -> bool {
    finding.source != "replay" && finding.rule.starts_with("secret/")
}

/// A secret that leaves no doubt, at a tip.
pub(super) fn is_pressing(finding: &Finding) -> bool {
    is_secret(finding) && finding.at_tip && finding.confidence.as_deref() == Some("certain")
}

/// What comes first: level, then whether a tip shows it, then confidence.
fn weight(finding: &Finding) -> (usize, bool, usize) {
    let place = |words: [&str; 3], word: &str| words.iter().position(|one| *one == word);
    let level = place(["deny", "hold", "warn"], &finding.level);
    let confidence = finding.confidence.as_deref().unwrap_or("certain");
    let confidence = place(["certain", "likely", "possible"], confidence);
    // A word that is not known may weigh anything: first.
    (level.unwrap_or(0), !finding.at_tip, confidence.unwrap_or(0))
}

/// One order for all forms. Two records are equal in it only when they are the same.
pub(super) fn order(a: &Record, b: &Record) -> Ordering {
    fn key(record: &Record) -> (bool, &str, u8, &str, &str, &str) {
        match record {
            Record::Repository(one) => (false, &one.repository, 0, &one.path, "", ""),
            Record::Agent(one) => (false, &one.repository, 1, &one.agent, "", ""),
            Record::Finding(one) => {
                let path = one.path.as_deref().unwrap_or_default();
                (false, &one.repository, 2, &one.source, &one.rule, path)
            }
            Record::Uncovered(one) => {
                let name = one.name.as_deref().unwrap_or_default();
                (false, &one.repository, 3, &one.kind, name, "")
            }
            Record::Summary(one) => (true, "", 4, &one.time, "", ""),
        }
    }
    let lead = |record: &Record| match record {
        Record::Finding(one) => weight(one),
        _ => (0, false, 0),
    };
    let whole = |record: &Record| serde_json::to_string(record).unwrap_or_default();
    let (left, right) = (key(a), key(b));
    (left.0, left.1, left.2)
        .cmp(&(right.0, right.1, right.2))
        .then_with(|| lead(a).cmp(&lead(b)))
        .then_with(|| left.cmp(&right))
        .then_with(|| whole(a).cmp(&whole(b)))
}

/// The sum of summaries: one of a run, several where outputs were put together as they are.
fn total(ends: &[&Summary]) -> Summary {
    let Some((first, rest)) = ends.split_first() else {
        return Summary::default();
    };
    let mut total = (*first).clone();
    for end in rest {
        for (sum, one) in [
            (&mut total.repositories, end.repositories),
            (&mut total.incomplete, end.incomplete),
            (&mut total.failed, end.failed),
            (&mut total.refs, end.refs),
            (&mut total.commits, end.commits),
            (&mut total.objects, end.objects),
            (&mut total.bytes, end.bytes),
            (&mut total.agents, end.agents),
            (&mut total.secrets, end.secrets),
            (&mut total.secrets_at_tip, end.secrets_at_tip),
            (&mut total.refused_commits, end.refused_commits),
            (&mut total.uncovered, end.uncovered),
            (&mut total.known, end.known),
        ] {
            *sum = sum.saturating_add(one);
        }
        for (level, count) in &end.findings {
            *total.findings.entry(level.clone()).or_default() += count;
        }
        if end.status != "complete" {
            total.status.clone_from(&end.status);
        }
        if end.policy != total.policy {
            total.policy = None;
        }
        total.shards.extend(end.shards.iter().cloned());
        if end.time > total.time {
            total.time.clone_from(&end.time);
        }
    }
    total.shards.order();
    total.shards.dedup();
    total
}

fn gaps(view: &View<'_>, has_end: bool) -> Vec<String> {
    let mut gaps = Vec::new();
    let total = &view.total;
    let told = view.repositories.len() as u64;
    let of_status = |wanted: &dyn Fn(&Repository) -> bool| {
        view.repositories.iter().filter(|one| wanted(one)).count() as u64
    };
    if !has_end {
        gaps.push("the audit did not come to its end: its summary is missing".into());
    }
    let is_empty_shard = has_end && total.status == "complete" && !total.shards.is_empty();
    if told == 0 && !is_empty_shard {
        gaps.push("nothing was looked at: there is no repository in it".into());
    } else if has_end && total.repositories != told {
        gaps.push(format!(
            "the summary counts {} and {told} told of: records are missing",
            many(total.repositories, "repository", "repositories"),
        ));
    }
    let failed = of_status(&|one| one.status == "failed");
    if failed > 0 {
        let them = many(failed, "repository", "repositories");
        gaps.push(format!("{them} could not be looked at"));
    }
    let part = of_status(&|one| {
        one.status != "failed" && (one.status != "complete" || one.unread_count > 0)
    });
    if part > 0 {
        let them = many(part, "repository", "repositories");
        gaps.push(format!("{them} could be looked at only in part"));
    }
    if total.status != "complete" && total.matches_no_ref() {
        gaps.push("no ref matches what was asked for".into());
    }
    if gaps.is_empty() && total.status != "complete" {
        gaps.push("something could not be looked at".into());
    }
    gaps
}

/// The shards that are missing, where only some are there.
fn missing_shards(total: &Summary) -> Option<String> {
    let mut there = BTreeSet::new();
    let mut all = 0;
    for shard in &total.shards {
        let (place, count) = shard.split_once('/')?;
        there.insert(place.parse::<u32>().ok()?);
        all = count.parse::<u32>().ok()?.max(all);
    }
    let missing = u64::from(all).saturating_sub(there.len() as u64);
    (missing > 0).then(|| {
        let there: Vec<String> = there.iter().map(u32::to_string).collect();
        let shards = if there.len() == 1 { "shard" } else { "shards" };
        format!("it is of {shards} {} of {all} alone", there.join(", "))
    })
}

/// A number as people read it.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 commit`, `2,000 commits`.
pub(super) fn many(count: u64, one: &str, more: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { more })
}

/// The first letters of a text.
pub(super) fn start(text: &str, letters: usize) -> String {
    let mut text = word(text);
    text.truncate(letters);
    text
}

/// The day of a time.
pub(super) fn day(time: &str) -> String {
    start(time, 10)
}

/// Enough of the id of a commit.
pub(super) fn short(id: &str) -> String {
    start(id, 12)
}

/// A text of a record: ASCII, and cut.
pub(super) fn word(text: &str) -> String {
    let text = ascii(text);
    match text.len() > WORD_MAX {
        true => format!("{}... ({} bytes)", &text[..WORD_MAX], text.len()),
        false => text,
    }
}
