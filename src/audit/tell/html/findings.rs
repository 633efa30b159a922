//! What was found, refused, or went past the gate: rows, and the cells that they share.

use std::collections::HashMap;

use super::super::view::{View, day, is_secret, many, number, short, start, word};
use super::markup::{Html, LABEL_MAX, LISTED_MAX, Page, ROWS_MAX, Row, Table, badge, moment};
use crate::audit::record::{Commit, Finding, Place};
use crate::order::Order as _;

/// Where a row stands that others lead to.
pub(super) struct Rows<'a> {
    repositories: HashMap<&'a str, usize>,
    agents: HashMap<(&'a str, &'a str), usize>,
    commits: HashMap<(&'a str, &'a str), usize>,
    /// Each commit that something names, how many times, and its repository.
    pub(super) named: Vec<(&'a str, &'a Commit, u64)>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(view: &View<'a>) -> Rows<'a> {
        let mut rows = Rows {
            repositories: HashMap::new(),
            agents: HashMap::new(),
            commits: HashMap::new(),
            named: Vec::new(),
        };
        for (place, one) in view.repositories.iter().take(ROWS_MAX).enumerate() {
            rows.repositories.entry(&one.repository).or_insert(place);
        }
        for (place, one) in view.agents.iter().take(ROWS_MAX).enumerate() {
            let key = (&*one.repository, &*one.agent);
            rows.agents.entry(key).or_insert(place);
        }
        for found in &view.findings {
            let places = found.places.iter().take(LISTED_MAX);
            let commits = places.filter_map(|place| place.commit.as_ref());
            let ends = [&found.first, &found.last, &found.removed];
            let mut all: Vec<&Commit> = ends.into_iter().flatten().chain(commits).collect();
            all.order_by(|a, b| a.commit.cmp(&b.commit));
            all.dedup_by(|a, b| a.commit == b.commit);
            for commit in all {
                rows.name(&found.repository, commit);
            }
        }
        for one in &view.uncovered {
            if let Some(commit) = &one.commit {
                rows.name(&one.repository, commit);
            }
        }
        rows
    }

    pub(super) fn name(&mut self, repository: &'a str, commit: &'a Commit) {
        let next = self.named.len();
        let place = *self
            .commits
            .entry((repository, &commit.commit))
            .or_insert(next);
        match self.named.get_mut(place) {
            Some((.., count)) => *count += 1,
            None => self.named.push((repository, commit, 1)),
        }
    }

    pub(super) fn repository(&self, out: &mut Html, name: &str) {
        out.link("r", self.repositories.get(name).copied(), name);
    }

    /// What a row is called and filtered by.
    pub(super) fn row(&self, kind: &str, place: usize, level: &str, repository: &str) -> Row {
        Row {
            id: format!("{kind}{place}"),
            level: level.to_owned(),
            repository: self.repositories.get(repository).copied(),
        }
    }

    pub(super) fn agents(&self, out: &mut Html, repository: &str, ids: &[String]) {
        for (place, id) in ids.iter().enumerate() {
            out.raw(if place == 0 { "" } else { ", " });
            out.link("a", self.agents.get(&(repository, &**id)).copied(), id);
        }
    }
}

/// Secrets, and what else the checks of contents found.
pub(super) fn content(page: &mut Page, view: &View<'_>, rows: &Rows<'_>) {
    let (secrets, others): (Vec<&Finding>, Vec<&Finding>) = (view.findings.iter())
        .filter(|one| one.source != "replay")
        .partition(|one| is_secret(one));
    let mut table = Table {
        id: "secrets",
        title: "Secrets",
        about: "Each value once for each repository, with every place. The value itself is nowhere in this page. Revoke what is certain where it was issued: who has a clone has it.",
        levels: "Level",
        columns: &["Level", "What", "Where", "State", "First commit"],
        none: "None was found in what was looked at.",
    };
    for (kind, all) in [("s", secrets), ("x", others)] {
        page.table(&table, all.len(), &mut |place, cells| {
            let found = all[place];
            what(cells, found, rows);
            state(cells, found);
            first(cells, found, rows);
            rows.row(kind, place, &found.level, &found.repository)
        });
        table.id = "content";
        table.title = "Other content";
        table.about = "What else the checks of contents found in the histories.";
    }
}

/// What a policy would not have let pass.
pub(super) fn refused(page: &mut Page, view: &View<'_>, rows: &Rows<'_>) {
    let all: Vec<&Finding> = view.replayed().collect();
    let table = Table {
        id: "refused",
        title: "Refused if replayed",
        about: "What this policy would have refused (deny), held for an approval (hold) or warned of (warn), had it been in force.",
        levels: "Level",
        columns: &[
            "Level",
            "What",
            "Where",
            "Judged as",
            "#Times",
            "First commit",
        ],
        none: match view.total.policy {
            Some(_) => "Nothing of what was looked at would have been refused.",
            None => "No policy was given, so nothing was replayed.",
        },
    };
    page.table(&table, all.len(), &mut |place, cells| {
        let found = all[place];
        what(cells, found, rows);
        cells
            .raw("<td>")
            .text(found.identity.as_deref().unwrap_or_default());
        cells.small("m", found.policy_at.as_deref());
        cells.count(found.place_count);
        first(cells, found, rows);
        rows.row("p", place, &found.level, &found.repository)
    });
}

/// Where ledger and repository do not agree.
pub(super) fn uncovered(page: &mut Page, view: &View<'_>, rows: &Rows<'_>) {
    let compared = (view.repositories.iter())
        .filter(|one| one.ledger.is_some())
        .count() as u64;
    let none = match compared {
        0 => {
            "No ledger was there to compare with: what no decision covers is not known.".to_owned()
        }
        _ => format!(
            "Ledger and repository agree in {}.",
            many(compared, "repository", "repositories")
        ),
    };
    let table = Table {
        id: "uncovered",
        title: "Uncovered ref updates",
        about: "Where ledger and repository do not agree: what went past the gate, what was decided and never came, and records that do not hold together.",
        levels: "Kind",
        columns: &[
            "Kind",
            "What",
            "Repository",
            "From, to",
            "Commit",
            "Decision",
        ],
        none: &none,
    };
    page.table(&table, view.uncovered.len(), &mut |place, cells| {
        let one = view.uncovered[place];
        cells.raw("<td class=k>");
        badge(cells, "deny", &one.kind);
        cells.raw("<th scope=row>").text(&one.why);
        cells.small("m", one.name.as_deref());
        cells.raw("<td>");
        rows.repository(cells, &one.repository);
        cells.raw("<td class='m k'>");
        for (name, value) in [("from ", &one.old), ("to ", &one.new)] {
            if let Some(value) = value {
                cells
                    .raw("<span class=b>")
                    .raw(name)
                    .text(&short(value))
                    .raw("</span>");
            }
        }
        commit(cells, &one.repository, one.commit.as_ref(), rows);
        cells
            .raw("<td>")
            .text(one.decision.as_deref().unwrap_or_default());
        cells.small("", one.identity.as_deref());
        cells.small("", one.time.as_deref().map(moment).as_deref());
        rows.row("u", place, &one.kind, &one.repository)
    });
}

/// Level, what, and where: what all findings have.
fn what(cells: &mut Html, found: &Finding, rows: &Rows<'_>) {
    cells.raw("<td class=k>");
    badge(cells, &found.level, &found.level);
    let confidence = found.confidence.as_deref();
    cells.small("", confidence.map(|word| start(word, LABEL_MAX)).as_deref());
    cells.raw("<th scope=row>").text(&found.title);
    cells.small("m", Some(&found.rule));
    cells.small("", found.detail.as_deref());
    if let Some(print) = &found.fingerprint {
        cells.raw("<span class='b d m'>");
        if let Some(prefix) = &found.prefix {
            cells.text(prefix).raw("... ");
        }
        if let Some(bytes) = found.bytes {
            cells.raw(&many(bytes, "byte", "bytes")).raw(" ");
        }
        // The same value, wherever it stands.
        cells.sought(print, print).raw("</span>");
    }
    cells.raw("<td>");
    rows.repository(cells, &found.repository);
    let head = Place {
        part: found.part.clone(),
        path: found.path.clone(),
        line: found.line,
        column: found.column,
        ..Place::default()
    };
    cells
        .raw("<span class='b m'>")
        .text(&spot(&head))
        .raw("</span>");
    if found.place_count > 1 {
        let more = |place: &Place| match &place.commit {
            Some(commit) => {
                let (id, day) = (short(&commit.commit), day(&commit.time));
                format!("{} in {id} of {day}", spot(place))
            }
            None => spot(place),
        };
        let name = format!("{} places", number(found.place_count));
        cells.folded(&name, &mut found.places.iter().map(more), found.place_count);
    }
}

/// A place as people write it.
fn spot(place: &Place) -> String {
    let mut spot = match (&place.path, &place.name) {
        (Some(path), _) => word(path),
        (None, Some(name)) => word(name),
        (None, None) => format!("({})", word(&place.part)),
    };
    for number in [place.line, place.column].into_iter().flatten() {
        spot += &format!(":{number}");
    }
    if let Some(detail) = &place.detail {
        spot += &format!(", {}", word(detail));
    }
    spot
}

fn state(cells: &mut Html, found: &Finding) {
    cells.raw("<td>");
    match (found.at_tip, found.unreachable) {
        (true, _) => badge(cells, "deny", "at a tip"),
        (false, true) => {
            cells.raw("no ref reaches it");
        }
        (false, false) => {
            cells.raw("in the history alone");
        }
    }
    if let Some(commit) = &found.removed {
        let (id, day) = (short(&commit.commit), day(&commit.time));
        cells.small("", Some(&format!("removed on {day} in {id}")));
    }
    if found.ref_count > 0 {
        let name = many(found.ref_count, "ref", "refs");
        cells.folded(&name, &mut found.refs.iter().cloned(), found.ref_count);
    }
}

fn first(cells: &mut Html, found: &Finding, rows: &Rows<'_>) {
    commit(cells, &found.repository, found.first.as_ref(), rows);
}

fn commit(cells: &mut Html, repository: &str, commit: Option<&Commit>, rows: &Rows<'_>) {
    cells.raw("<td>");
    if let Some(commit) = commit {
        let row = rows.commits.get(&(repository, &commit.commit)).copied();
        let row = row.filter(|row| *row < ROWS_MAX);
        cells.text(&moment(&commit.time)).raw(" <span class=m>");
        cells.link("c", row, &short(&commit.commit)).raw("</span>");
        cells.small("", Some(&commit.author));
        rows.agents(cells, repository, &commit.agents);
    }
}
