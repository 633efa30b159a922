//! Who was at work, where, and what was not read.

use super::super::view::{View, many, notes, number, short, word};
use super::findings::Rows;
use super::markup::{Page, Row, Table, badge, moment};
use crate::order::Order as _;

pub(super) fn agents(page: &mut Page, view: &View<'_>, rows: &Rows<'_>) {
    let has_policy = view.total.policy.is_some();
    let table = Table {
        id: "agents",
        title: "Agents",
        about: "Who was at work in which repository, by what commits and tags claim and by what the policy declares. Claims are evidence, not proof.",
        levels: "Declared",
        columns: &[
            "Agent",
            "Repository",
            "Declared",
            "#Commits",
            "#Signed",
            "#Not passing",
            "Active",
            "Evidence and reach",
        ],
        none: "None was found in what was looked at.",
    };
    page.table(&table, view.agents.len(), &mut |place, cells| {
        let one = view.agents[place];
        cells.raw("<th scope=row>").text(&one.name);
        cells.small("m", Some(&one.agent));
        cells.small("", one.is_bot.then_some("bot"));
        cells.raw("<td>");
        rows.repository(cells, &one.repository);
        cells.raw("<td>");
        let level = match &one.declared {
            Some(name) => {
                badge(cells, "good", "declared");
                cells.small("", Some(&format!("as {}", word(name))));
                "declared"
            }
            None if has_policy => {
                badge(cells, "deny", "not declared");
                "not declared"
            }
            None => {
                cells.raw("no policy");
                "no policy"
            }
        };
        cells.count(one.commits).count(one.signed);
        cells.count(one.refused_commits).raw("<td>");
        if let (Some(from), Some(to)) = (&one.first, &one.last) {
            cells.days(&from.time, &to.time);
        }
        cells.raw("<td>");
        let counted = |(name, count): (&String, &u64)| format!("{} {}", word(name), number(*count));
        let evidence: Vec<String> = one.evidence.iter().map(counted).collect();
        cells.text(&evidence.join(", "));
        // Those touched most first, as records say.
        let mut paths: Vec<(&String, &u64)> = one.paths.iter().collect();
        paths.order_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let name = many(one.path_count, "path", "paths");
        cells.folded(&name, &mut paths.into_iter().map(counted), one.path_count);
        let name = many(one.ref_count, "ref", "refs");
        cells.folded(&name, &mut one.refs.iter().cloned(), one.ref_count);
        let count = one.authors.len() as u64;
        let name = many(count, "author", "authors");
        cells.folded(&name, &mut one.authors.iter().map(counted), count);
        rows.row("a", place, level, &one.repository)
    });
}

pub(super) fn repositories(page: &mut Page, view: &View<'_>) {
    let table = Table {
        id: "repositories",
        title: "Repositories",
        about: "Each repository, how much of it was looked at, and what stands in it.",
        levels: "State",
        columns: &[
            "Repository",
            "State",
            "#Commits",
            "#Agents",
            "#Deny",
            "#Hold",
            "#Warn",
            "#Secrets",
            "#At a tip",
            "#Not passing",
            "#Uncovered",
            "Commits from, to",
        ],
        none: "Nothing was looked at.",
    };
    page.table(&table, view.repositories.len(), &mut |place, cells| {
        let one = view.repositories[place];
        cells
            .raw("<th scope=row>")
            .text(&one.repository)
            .raw("<td>");
        let is_whole = one.status == "complete" && one.unread_count == 0;
        badge(cells, if is_whole { "good" } else { "deny" }, &one.status);
        for note in notes(one) {
            cells.small("", Some(note));
        }
        if let Some(ledger) = one.ledger.as_ref().filter(|ledger| !ledger.intact) {
            let why = ledger.why.as_deref().unwrap_or_default();
            let why = format!("the ledger does not hold: {}", word(why));
            cells.small("", Some(&why));
        }
        cells.count(one.commits).count(one.agents);
        for level in ["deny", "hold", "warn"] {
            cells.count(one.findings.get(level).copied().unwrap_or(0));
        }
        cells.count(one.secrets).count(one.secrets_at_tip);
        cells.count(one.refused_commits).count(one.uncovered);
        cells.raw("<td>");
        if let (Some(from), Some(to)) = (&one.first, &one.last) {
            cells.days(from, to);
        }
        Row {
            id: format!("r{place}"),
            level: one.status.clone(),
            repository: Some(place),
        }
    });
}

pub(super) fn commits(page: &mut Page, rows: &Rows<'_>) {
    let table = Table {
        id: "commits",
        title: "Commits named above",
        about: "Every commit that brings, takes away or repeats something above.",
        levels: "Level",
        columns: &["Commit", "Time", "Author", "Agents", "Repository", "#Named"],
        none: "None.",
    };
    page.table(&table, rows.named.len(), &mut |place, cells| {
        let (repository, commit, count) = rows.named[place];
        cells.raw("<th scope=row class=m>").text(&commit.commit);
        cells.raw("<td class=k>").text(&moment(&commit.time));
        cells.raw("<td>").text(&commit.author).raw("<td>");
        rows.agents(cells, repository, &commit.agents);
        cells.raw("<td>");
        rows.repository(cells, repository);
        cells.raw("<td class=r>");
        cells.sought(&short(&commit.commit), &number(count));
        rows.row("c", place, "", repository)
    });
}

pub(super) fn unread(page: &mut Page, view: &View<'_>, rows: &Rows<'_>) {
    let all: Vec<_> = (view.repositories.iter())
        .flat_map(|one| one.unread.iter().map(|unread| (&*one.repository, unread)))
        .collect();
    let hidden = view.unread().saturating_sub(all.len() as u64);
    let about = match hidden {
        0 => "What lies in these may be anything.".to_owned(),
        _ => format!(
            "What lies in these may be anything. {} more are counted and not listed.",
            number(hidden)
        ),
    };
    let table = Table {
        id: "unread",
        title: "Not read",
        about: &about,
        levels: "Level",
        columns: &["Repository", "What", "Why", "#Objects"],
        none: match (view.gaps.is_empty(), hidden) {
            (true, _) => "Everything was read.",
            (false, 0) => "No repository says what: see the top of this page.",
            (false, _) => "What it is is not listed: see the top of this page.",
        },
    };
    page.table(&table, all.len(), &mut |place, cells| {
        let (repository, unread) = all[place];
        cells.raw("<th scope=row>");
        rows.repository(cells, repository);
        cells
            .raw("<td class=m>")
            .text(&unread.what)
            .raw("<td>")
            .text(&unread.why);
        cells.count(unread.objects);
        rows.row("n", place, "", repository)
    });
}
