//! The few lines that matter first: ASCII, 80 columns but for paths, names and commands.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{View, day, is_pressing, is_secret, many, notes, number, short, word};
use crate::audit::record::{Agent, Finding, Repository};
use crate::order::Order as _;
use crate::report::wrap_at;

const COLUMNS: usize = 80;
/// Things of one kind that are shown; the rest is counted.
const SHOWN_MAX: usize = 10;
/// Repositories that get a line.
const REPOSITORIES_MAX: usize = 50;

/// A text of lines.
struct Lines(String);

impl Lines {
    /// One paragraph; its second line and those after it stand further in.
    fn say(&mut self, indent: usize, text: &str) {
        let (first, then) = (" ".repeat(indent), " ".repeat(indent + 2));
        wrap_at(&mut self.0, COLUMNS, &first, &then, text);
    }

    /// A name and what it says, `name` behind it in a column of its own.
    fn fact(&mut self, name: &str, text: &str) {
        let first = format!("    {name:<8}");
        wrap_at(&mut self.0, COLUMNS, &first, &" ".repeat(12), text);
    }

    fn head(&mut self, text: &str) {
        self.0.push('\n');
        wrap_at(&mut self.0, COLUMNS, "", "  ", text);
    }

    fn rest(&mut self, all: usize, shown: usize) {
        if all > shown {
            self.say(2, &format!("and {} more", number((all - shown) as u64)));
        }
    }
}

pub(super) fn text(view: &View<'_>) -> String {
    let mut out = Lines(String::new());
    let total = &view.total;
    let scope = [
        many(total.refs, "ref", "refs"),
        many(total.commits, "commit", "commits"),
        many(total.objects, "object", "objects"),
        many(total.agents, "agent", "agents"),
    ];
    let repositories = view.repositories.len() as u64;
    let repositories = many(repositories, "repository", "repositories");
    out.say(0, &format!("Audit of {repositories}: {}", scope.join(", ")));
    for (name, limit) in [("from", &total.since), ("before", &total.until)] {
        if let Some(limit) = limit {
            out.say(0, &format!("Commits {name} {limit} alone."));
        }
    }
    for note in &view.notes {
        out.say(0, &format!("Note: {note}."));
    }
    if !view.gaps.is_empty() {
        out.head("INCOMPLETE. What was not looked at is not clean:");
        for gap in &view.gaps {
            out.say(2, gap);
        }
    }
    let sections = [
        pressing(&mut out, view),
        replayed(&mut out, view),
        uncovered(&mut out, view),
        undeclared(&mut out, view),
    ];
    let stands = further(&mut out, view);
    per_repository(&mut out, view);
    unread(&mut out, view);
    match (view.gaps.is_empty(), stands || sections.contains(&true)) {
        (true, false) if view.is_narrowed() => {
            out.head("Nothing was found in what was asked for, and all of that was looked at.");
        }
        (true, false) => out.head("Nothing was found, and everything was looked at."),
        (false, false) => out.head("Nothing was found in what could be looked at."),
        (_, true) => {}
    }
    next(&mut out, view, sections);
    out.0
}

fn pressing(out: &mut Lines, view: &View<'_>) -> bool {
    let values = view.pressing();
    if values.is_empty() {
        return false;
    }
    let them = many(
        values.len() as u64,
        "certain secret stands",
        "certain secrets stand",
    );
    out.head(&format!(
        "{them} at a tip, where everyone who reads finds it:"
    ));
    for value in values.iter().take(SHOWN_MAX) {
        if let [first, also @ ..] = value.as_slice() {
            secret(out, first, also);
        }
    }
    out.rest(values.len(), SHOWN_MAX);
    true
}

fn secret(out: &mut Lines, found: &Finding, also: &[&Finding]) {
    out.say(
        2,
        &format!("{} in {}", word(&found.rule), word(&found.repository)),
    );
    let mut at = match &found.path {
        Some(path) => word(path),
        None => format!("({})", word(&found.part)),
    };
    for number in [found.line, found.column].into_iter().flatten() {
        at += &format!(":{number}");
    }
    if found.place_count > 1 {
        at += &format!(
            " and {}",
            many(found.place_count - 1, "more place", "more places")
        );
    }
    let others: BTreeSet<&str> = also.iter().map(|one| &*one.repository).collect();
    if !others.is_empty() {
        let them = many(
            others.len() as u64,
            "other repository",
            "other repositories",
        );
        at += &format!(", and in {them}");
    }
    out.fact("at:", &at);
    if let Some(commit) = &found.first {
        let agents = match commit.agents.is_empty() {
            true => String::new(),
            false => format!(" ({})", word(&commit.agents.join(", "))),
        };
        let (id, author) = (short(&commit.commit), word(&commit.author));
        let line = format!("{} of {} by {author}{agents}", id, day(&commit.time));
        out.fact("commit:", &line);
    }
    let prefix = found
        .prefix
        .as_ref()
        .map(|prefix| format!("{}..., ", word(prefix)));
    let bytes = found.bytes.map(|bytes| format!("{bytes} bytes, "));
    let print = found.fingerprint.as_deref().unwrap_or("none");
    let [prefix, bytes] = [prefix, bytes].map(Option::unwrap_or_default);
    out.fact(
        "found:",
        &format!("{prefix}{bytes}fingerprint {}", word(print)),
    );
}

fn replayed(out: &mut Lines, view: &View<'_>) -> bool {
    #[derive(Default)]
    struct Row<'a> {
        count: u64,
        repositories: BTreeSet<&'a str>,
        first: Option<&'a Finding>,
    }
    let mut rows: BTreeMap<_, Row<'_>> = BTreeMap::new();
    for found in view.replayed().filter(|one| one.level != "warn") {
        let identity = found.identity.as_deref().unwrap_or("nobody");
        let row = rows
            .entry((identity, &*found.rule, &*found.level))
            .or_default();
        row.count += found.place_count.max(1);
        row.repositories.insert(&found.repository);
        row.first.get_or_insert(found);
    }
    let commits = view.total.refused_commits;
    if rows.is_empty() && commits == 0 {
        return false;
    }
    let them = many(commits, "commit", "commits");
    out.head(&format!("{them} would not have passed under this policy:"));
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.order_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
    for ((identity, rule, level), row) in rows.iter().take(SHOWN_MAX) {
        let verb = if *level == "hold" { "held" } else { "refused" };
        let places = many(row.repositories.len() as u64, "repository", "repositories");
        let mut line = format!(
            "{}: {} {verb} {} in {places}",
            word(identity),
            word(rule),
            many(row.count, "time", "times"),
        );
        if let Some(at) = row.first.and_then(|found| found.policy_at.as_deref()) {
            line += &format!(", {}", word(at));
        }
        if let Some(commit) = row.first.and_then(|found| found.first.as_ref()) {
            line += &format!(", first by {}", short(&commit.commit));
        }
        out.say(2, &line);
    }
    out.rest(rows.len(), SHOWN_MAX);
    true
}

fn uncovered(out: &mut Lines, view: &View<'_>) -> bool {
    let all = &view.uncovered;
    if all.is_empty() {
        return false;
    }
    let them = match all.len() {
        1 => "1 place where ledger and repository do not agree:".to_owned(),
        count => format!(
            "{} places where ledger and repository do not agree:",
            number(count as u64)
        ),
    };
    out.head(&them);
    for one in all.iter().take(SHOWN_MAX) {
        let name = one
            .name
            .as_ref()
            .or(one.commit.as_ref().map(|commit| &commit.commit));
        let name = name.map_or(String::new(), |name| format!(" {}", word(name)));
        let (kind, place, why) = (word(&one.kind), word(&one.repository), word(&one.why));
        out.say(2, &format!("{kind}{name} in {place}: {why}"));
    }
    out.rest(all.len(), SHOWN_MAX);
    true
}

fn undeclared(out: &mut Lines, view: &View<'_>) -> bool {
    let found = view.undeclared();
    if found.is_empty() {
        return false;
    }
    let sum = |agents: &[&Agent]| agents.iter().map(|one| one.commits).sum::<u64>();
    let mut rows: Vec<_> = found.into_iter().collect();
    rows.order_by(|a, b| sum(&b.1).cmp(&sum(&a.1)).then_with(|| a.0.cmp(b.0)));
    let them = many(rows.len() as u64, "agent", "agents");
    let head = match view.total.policy {
        Some(_) => format!("{them} at work that the policy does not declare:"),
        None => format!("{them} at work (no policy was given that could declare them):"),
    };
    out.head(&head);
    for (agent, all) in rows.iter().take(SHOWN_MAX) {
        let repositories: BTreeSet<&str> = all.iter().map(|one| &*one.repository).collect();
        let commits = many(sum(all), "commit", "commits");
        let places = many(repositories.len() as u64, "repository", "repositories");
        let mut line = format!("{}: {commits} in {places}", word(agent));
        if let Some(last) = all
            .iter()
            .filter_map(|one| one.last.as_ref())
            .map(|one| &one.time)
            .max()
        {
            line += &format!(", last on {}", day(last));
        }
        out.say(2, &line);
    }
    out.rest(rows.len(), SHOWN_MAX);
    true
}

/// Counts of what the sections above do not show.
fn further(out: &mut Lines, view: &View<'_>) -> bool {
    let (mut secrets, mut others) = (BTreeMap::new(), BTreeMap::new());
    for found in &view.findings {
        let is_refusal = found.source == "replay" && found.level != "warn";
        if is_refusal || is_pressing(found) {
            continue;
        }
        let count: &mut u64 = match is_secret(found) {
            true => {
                let place = match (found.at_tip, found.unreachable) {
                    (true, _) => "at a tip",
                    (false, true) => "that no ref reaches",
                    (false, false) => "in the history alone",
                };
                let confidence = found.confidence.as_deref().unwrap_or("certain");
                secrets.entry((confidence, place)).or_default()
            }
            false => others.entry((&*found.level, &*found.rule)).or_default(),
        };
        *count += 1;
    }
    if secrets.is_empty() && others.is_empty() {
        return false;
    }
    out.head("Further:");
    for ((confidence, place), count) in &secrets {
        let them = many(*count, "secret", "secrets");
        out.say(2, &format!("{them} {place}, {}", word(confidence)));
    }
    let mut others: Vec<_> = others.into_iter().collect();
    others.order_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for ((level, rule), count) in others.iter().take(SHOWN_MAX) {
        let them = many(*count, "finding", "findings");
        out.say(2, &format!("{} {}: {them}", word(level), word(rule)));
    }
    out.rest(others.len(), SHOWN_MAX);
    true
}

fn stands(one: &Repository) -> bool {
    let found = one.findings.values().any(|count| *count > 0);
    found
        || one.uncovered > 0
        || one.refused_commits > 0
        || one.status != "complete"
        || one.unread_count > 0
        || notes(one).next().is_some()
}

fn per_repository(out: &mut Lines, view: &View<'_>) {
    let all: Vec<&&Repository> = view.repositories.iter().filter(|one| stands(one)).collect();
    if all.is_empty() {
        return;
    }
    out.head("Repositories:");
    for one in all.iter().take(REPOSITORIES_MAX) {
        let mut parts = Vec::new();
        if one.status != "complete" {
            parts.push(word(&one.status).to_uppercase());
        }
        for level in ["deny", "hold", "warn"] {
            let count = one.findings.get(level).copied().unwrap_or(0);
            if count > 0 {
                parts.push(format!("{} {level}", number(count)));
            }
        }
        if one.secrets > 0 {
            let secrets = many(one.secrets, "secret", "secrets");
            parts.push(format!(
                "{secrets} ({} at a tip)",
                number(one.secrets_at_tip)
            ));
        }
        if one.refused_commits > 0 {
            let commits = many(one.refused_commits, "commit", "commits");
            parts.push(format!("{commits} not passing"));
        }
        if one.uncovered > 0 {
            parts.push(format!("{} uncovered", number(one.uncovered)));
        }
        if one.unread_count > 0 {
            parts.push(format!("{} not read", number(one.unread_count)));
        }
        parts.extend(notes(one).map(word));
        out.say(
            2,
            &format!("{}: {}", word(&one.repository), parts.join(", ")),
        );
    }
    out.rest(all.len(), REPOSITORIES_MAX);
    let rest = (view.repositories.len() - all.len()) as u64;
    if rest > 0 {
        let them = many(rest, "repository", "repositories");
        out.say(2, &format!("{them} beside these where nothing stands"));
    }
}

fn unread(out: &mut Lines, view: &View<'_>) {
    let count = view.unread();
    if count == 0 {
        return;
    }
    out.head(&format!("Not read, {}:", many(count, "thing", "things")));
    let all = (view.repositories.iter())
        .flat_map(|one| one.unread.iter().map(|unread| (&*one.repository, unread)));
    for (repository, unread) in all.take(SHOWN_MAX) {
        let (what, why) = (word(&unread.what), word(&unread.why));
        out.say(2, &format!("{}: {what}: {why}", word(repository)));
    }
    out.rest(usize::try_from(count).unwrap_or(usize::MAX), SHOWN_MAX);
}

fn next(out: &mut Lines, view: &View<'_>, [secrets, replayed, uncovered, agents]: [bool; 4]) {
    out.head("Next:");
    if secrets {
        out.say(2, "Revoke each secret where it was issued and put a new one in its place. To take it out of the history alone does not help: who has a clone has it.");
    }
    if uncovered {
        out.say(2, "Find out who moved these refs: `ringfence doctor` tells whether a hook is missing, `ringfence ledger verify` whether the record is whole.");
    }
    if replayed {
        out.say(
            2,
            "Read what the policy would have stopped, and widen it where the work was wanted.",
        );
    }
    if agents {
        out.say(
            2,
            "Declare each agent in the policy (`identities:`), or stop it.",
        );
    }
    if !view.gaps.is_empty() {
        out.say(2, "Mend what could not be looked at, then audit again.");
    }
    out.say(
        2,
        "`--format html` shows all of it with every place, `--format jsonl` gives it to programs.",
    );
}
