//! One identity and its boundary, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::a_kind;
use crate::identity::Actor;
use crate::policy::{
    AllowView, BoundaryView, FreezeView, GuardView, Mode, Policy, Reason, SigningView,
    SuppressionView, place,
};
use crate::redact::Quoted;

/// Rows of one section: what, how, where.
struct Section {
    title: String,
    rows: Vec<[String; 3]>,
    /// What an empty section means.
    empty: &'static str,
}

/// The entries of `suppressions:` that hold for the actor.
fn suppressed(policy: &Policy, actor: &Actor, repository: Option<&str>) -> Vec<SuppressionView> {
    policy.suppression_views(
        actor.name.as_deref(),
        actor.boundary.name(),
        repository,
        jiff::Timestamp::now(),
    )
}

/// How long an entry holds, and on whose word.
pub(super) fn term(entry: &SuppressionView) -> String {
    let until = match entry.expired {
        true => format!("EXPIRED on {}", entry.until),
        false => format!("until {}", entry.until),
    };
    format!("{until}, {}: {}", entry.owner, entry.reason)
}

/// Nothing at all where the policy suppresses nothing.
fn suppressions(entries: &[SuppressionView]) -> Option<Section> {
    let row = |entry: &SuppressionView| {
        [
            entry.id.clone(),
            format!("{}; {}", entry.what, term(entry)),
            entry.at.clone(),
        ]
    };
    (!entries.is_empty()).then(|| Section {
        title: "Findings that are suppressed".to_owned(),
        rows: entries.iter().map(row).collect(),
        empty: "none",
    })
}

/// The freezes that are not over.
fn frozen(actor: &Actor) -> Vec<FreezeView> {
    let now = jiff::Timestamp::now();
    let each = actor.boundary.freezes();
    each.filter_map(|freeze| freeze.view(now)).collect()
}

/// Nothing at all where nothing is frozen, now or later.
fn freezes(actor: &Actor) -> Option<Section> {
    let row = |freeze: &FreezeView| {
        let refs = match freeze.refs.len() {
            0 => "every ref".to_owned(),
            _ => freeze.refs.join(", "),
        };
        [refs, freeze.term(), freeze.at.clone()]
    };
    let views = frozen(actor);
    (!views.is_empty()).then(|| Section {
        title: "Times when refs do not move".to_owned(),
        rows: views.iter().map(row).collect(),
        empty: "none",
    })
}

fn sections(view: &BoundaryView) -> Vec<Section> {
    let allows = |entries: &[AllowView]| {
        entries
            .iter()
            .map(|entry| {
                [
                    entry.targets.join(", "),
                    entry.may.join(", "),
                    entry.at.clone(),
                ]
            })
            .collect()
    };
    let guards = |guards: &[GuardView]| -> Vec<[String; 3]> {
        guards
            .iter()
            .map(|guard| [guard.id.clone(), guard.paths.join(", "), guard.at.clone()])
            .collect()
    };
    let mut sections = Vec::new();
    for (index, layer) in view.layers.iter().enumerate() {
        let narrowed = if index == 0 {
            String::new()
        } else {
            format!(", narrowed by {}", layer.at)
        };
        let mut add = |title: &str, rows: Option<Vec<[String; 3]>>, empty: &'static str| {
            if let Some(rows) = rows {
                sections.push(Section {
                    title: format!("{title}{narrowed}"),
                    rows,
                    empty,
                });
            }
        };
        let server = index == 0;
        let listed = |entries: &Option<Vec<AllowView>>| match entries {
            Some(entries) => Some(allows(entries)),
            None => server.then(Vec::new),
        };
        add("Refs it may change", listed(&layer.refs), "none");
        add("Paths it may change", listed(&layer.paths), "none");
        let given = |rows: Vec<[String; 3]>| (server || !rows.is_empty()).then_some(rows);
        add(
            "Paths that are denied, whatever allows them",
            given(guards(&layer.deny)),
            "none",
        );
        add(
            "Paths that need an approval",
            given(guards(&layer.hold)),
            "none",
        );
        let checks = layer
            .checks
            .iter()
            .map(|check| [check.name.clone(), check.level.clone(), check.at.clone()])
            .collect();
        add(
            "Levels of checks",
            given(checks),
            "the default of every rule",
        );
    }
    let limits = |over_time: bool| -> Vec<[String; 3]> {
        let limits = view.limits.iter();
        limits
            .filter(|limit| limit.over_time == over_time)
            .map(|limit| {
                [
                    limit.name.to_owned(),
                    limit.max.to_string(),
                    limit.at.clone(),
                ]
            })
            .collect()
    };
    sections.push(Section {
        title: "Limits of one push".to_owned(),
        rows: limits(false),
        empty: "none but the budget of the gate",
    });
    // Nothing at all where nobody looks at signatures.
    if !view.signing.is_empty() {
        let row =
            |asked: &SigningView| [asked.name.to_owned(), asked.value.clone(), asked.at.clone()];
        sections.push(Section {
            title: "Signatures".to_owned(),
            rows: view.signing.iter().map(row).collect(),
            empty: "none",
        });
    }
    let over_time = limits(true);
    if !over_time.is_empty() {
        sections.push(Section {
            title: "Limits over time".to_owned(),
            rows: over_time,
            empty: "none",
        });
    }
    sections
}

/// Who it is, one fact a line.
fn facts(policy: &Policy, actor: &Actor, since: Option<&str>) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "boundary",
            format!("{} ({})", actor.boundary.name(), place(actor.boundary.at())),
        ),
        (
            "mode",
            match actor.mode {
                Mode::Enforce => "enforce: what is refused stays out".to_owned(),
                Mode::Observe => "observe: everything is judged, told and accepted".to_owned(),
            },
        ),
    ];
    if let Some(since) = since {
        let since = Quoted(since.as_bytes());
        facts.push(("suspended", format!("since {since}: every push is refused")));
    }
    if let Some(owner) = &actor.owner {
        facts.push(("owner", owner.clone()));
    }
    if let Some((from, until)) = actor.name.as_deref().and_then(|name| policy.validity(name)) {
        let moment = |moment: Option<jiff::Timestamp>, none: &str| {
            moment.map_or_else(|| none.to_owned(), |moment| moment.to_string())
        };
        facts.push((
            "valid",
            format!(
                "{} to {}",
                moment(from, "ever since"),
                moment(until, "for ever")
            ),
        ));
    }
    let authors = match actor.authors.len() {
        0 => "none listed".to_owned(),
        _ => actor.authors.join(", "),
    };
    facts.push(("authors", authors));
    if actor.boundary.signing().asks() {
        facts.push(("signers", actor.signers.join(", ")));
    }
    if let Some(layer) = &actor.assisted {
        let what = "as well, once a new commit names an agent";
        facts.push(("claims", format!("boundary {} {what}", layer.name())));
    }
    facts
}

fn name(actor: &Actor) -> &str {
    actor.name.as_deref().unwrap_or("(unknown)")
}

/// For people.
pub(super) fn text(
    policy: &Policy,
    actor: &Actor,
    repository: Option<&str>,
    since: Option<&str>,
) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} is {}", name(actor), a_kind(actor.kind));
    for (what, value) in facts(policy, actor, since) {
        let _ = writeln!(text, "  {what:<9} {value}");
    }
    let of_policy = suppressions(&suppressed(policy, actor, repository));
    for section in sections(&actor.boundary.view())
        .into_iter()
        .chain(freezes(actor))
        .chain(of_policy)
    {
        let _ = writeln!(text, "\n{}", section.title);
        if section.rows.is_empty() {
            let _ = writeln!(text, "  {}", section.empty);
        }
        let width = |column: usize| {
            section
                .rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
                .min(44)
        };
        let (first, second) = (width(0), width(1));
        for [what, how, at] in &section.rows {
            let _ = writeln!(text, "  {what:<first$}  {how:<second$}  {at}");
        }
    }
    let _ = writeln!(text, "\nEverything else is refused.");
    text
}

/// For a page.
pub(super) fn markdown(
    policy: &Policy,
    actor: &Actor,
    repository: Option<&str>,
    since: Option<&str>,
) -> String {
    let cell = |text: &str| format!("`{}`", text.replace('|', "\\|"));
    let mut text = String::new();
    let _ = writeln!(text, "## {} is {}\n", name(actor), a_kind(actor.kind));
    for (what, value) in facts(policy, actor, since) {
        let _ = writeln!(text, "- {what}: {value}");
    }
    let of_policy = suppressions(&suppressed(policy, actor, repository));
    for section in sections(&actor.boundary.view())
        .into_iter()
        .chain(freezes(actor))
        .chain(of_policy)
    {
        let _ = writeln!(text, "\n### {}\n", section.title);
        if section.rows.is_empty() {
            let _ = writeln!(text, "{}", section.empty);
            continue;
        }
        let _ = writeln!(text, "| what | how | where |\n|---|---|---|");
        for [what, how, at] in &section.rows {
            let _ = writeln!(text, "| {} | {} | {at} |", cell(what), cell(how));
        }
    }
    let _ = writeln!(text, "\nEverything else is refused.");
    text
}

/// For programs.
pub(super) fn json(
    policy: &Policy,
    actor: &Actor,
    repository: Option<&str>,
    since: Option<&str>,
) -> String {
    let view = actor.boundary.view();
    let (from, until) = actor
        .name
        .as_deref()
        .and_then(|name| policy.validity(name))
        .unwrap_or_default();
    let document = json!({
        "v": 1,
        "identity": actor.name,
        "kind": actor.kind.as_str(),
        "owner": actor.owner,
        "authors": actor.authors,
        "mode": match actor.mode { Mode::Enforce => "enforce", Mode::Observe => "observe" },
        "valid": {
            "from": from.map(|moment| moment.to_string()),
            "until": until.map(|moment| moment.to_string()),
        },
        "policy": { "file": &*policy.file, "sha256": policy.digest },
        "boundary": actor.boundary.name(),
        "claims_boundary": actor.assisted.as_ref().map(|layer| layer.name()),
        "layers": view.layers,
        "limits": view.limits,
        "signing": view.signing,
        "signers": actor.signers,
        "freeze": frozen(actor),
        "suspended_since": since,
        "suppressions": suppressed(policy, actor, repository),
    });
    format!("{document:#}\n")
}

/// The answers of `policy explain`, for programs.
pub(super) fn reasons_json(
    actor: &Actor,
    reasons: &[Reason],
    suppressed: &[SuppressionView],
) -> Value {
    let answers: Vec<Value> = reasons
        .iter()
        .map(|reason| {
            json!({
                "asked": reason.asked,
                "answer": reason.answer.as_str(),
                "why": reason.why,
                "policy_at": place(&reason.at),
                "policy_says": &*reason.at.what,
                "to_pass": reason.pass,
            })
        })
        .collect();
    json!({
        "v": 1,
        "identity": actor.name,
        "boundary": actor.boundary.name(),
        "answers": answers,
        "signing": actor.boundary.view().signing,
        "suppressions": suppressed,
    })
}
