//! The text for people: `error`, `warning` and `hint` at the start of a line are coloured by git's client.

use std::collections::BTreeMap;

use super::cure::Line;
use super::words::{counted, listed, pasted, quoted, short, wrap};
use super::{SHOWN_MAX, View};
use crate::budget::Resource;
use crate::finding::{Level, Part, PathOp, Place, Sighting};
use crate::order::Order as _;
use crate::verdict::{Judged, Unjudged, Verdict};

/// Further places of one value that a text shows.
const ALSO_MAX: usize = 3;

/// Everything that the pusher reads about a decision.
pub(super) fn render(view: &View<'_>) -> String {
    let mut out = String::new();
    if view.is_silent() {
        return out;
    }
    let accepted_with_warnings = view.decision.verdict == Verdict::Accept;
    if !accepted_with_warnings {
        headline(&mut out, view);
    }
    for judged in view.findings.iter().take(SHOWN_MAX) {
        if !out.is_empty() {
            out.push('\n');
        }
        finding(&mut out, view, judged);
    }
    not_shown(&mut out, view);
    if accepted_with_warnings {
        let would = if view.decision.advisory {
            "would be"
        } else {
            "is"
        };
        let count = counted(view.findings.len(), "warning");
        out.push('\n');
        let text = format!("the push {would} accepted, with {count}{}", scope(view).1);
        wrap(&mut out, "warning: ", "warning: ", &text);
    } else {
        out.push('\n');
        hints(&mut out, view);
    }
    out
}

/// What a pusher reads when the policy itself cannot be used. `brief` is one line that names the file without
/// its folder; place and caret are for `ringfence policy check`.
pub fn policy_error(brief: &str) -> String {
    let mut out = String::new();
    let text = format!("push refused: the policy of this server cannot be used: {brief}");
    wrap(&mut out, "error: ", "error: ", &text);
    let text = "This is not the fault of your commits. Tell an admin of this server to run:";
    wrap(&mut out, "hint: ", "hint: ", text);
    out.push_str("hint:   ringfence policy check\n");
    out
}

/// One sentence about the whole run.
pub(super) fn summary(view: &View<'_>) -> String {
    let work = &view.decision.work;
    let looked_at = format!(
        "{}, {}, {} looked at",
        counted(view.decision.updates.len(), "ref"),
        counted(view.decision.commits.len(), "new commit"),
        counted(
            usize::try_from(work.changes.1).unwrap_or(usize::MAX),
            "change"
        ),
    );
    let answer = match view.decision.verdict {
        Verdict::Accept if view.findings.is_empty() => "accept".into(),
        Verdict::Accept => format!("accept, with {}", counted(view.findings.len(), "warning")),
        Verdict::Hold => "hold: a person must approve".into(),
        Verdict::Reject => format!("reject: {}", counted(view.refusing(), "finding")),
        Verdict::Unjudged => "not judged".into(),
    };
    let suppressed = match view.decision.suppressed.len() {
        0 => String::new(),
        count => format!("; {} suppressed by the policy", counted(count, "finding")),
    };
    format!("{answer} ({looked_at}{suppressed})\n")
}

fn headline(out: &mut String, view: &View<'_>) {
    let decision = view.decision;
    let level = if view.refuses() {
        "error: "
    } else {
        "warning: "
    };
    if !decision.enforced {
        let would = match decision.verdict {
            Verdict::Hold => "would have been held for approval",
            Verdict::Unjudged => "could not be judged",
            _ => "would have been rejected",
        };
        let line = format!("observe mode: accepted; {would}");
        wrap(out, level, level, &line);
    }
    if let (Verdict::Unjudged, Some(why)) = (decision.verdict, &decision.unjudged) {
        let text = format!("push not judged: {}", unjudged(view, why));
        wrap(out, level, level, &text);
        if view.refuses() {
            let text = "nothing was accepted; the gate refuses what it has not checked";
            wrap(out, level, level, text);
        }
        return;
    }
    let (commits, refs) = scope(view);
    let what = match (decision.verdict, decision.enforced, decision.advisory) {
        (_, false, _) => "",
        (Verdict::Hold, _, false) => "push held for approval: ",
        (Verdict::Hold, _, true) => "advisory: push would be held for approval: ",
        (_, _, false) => "push rejected: ",
        (_, _, true) => "advisory: push would be rejected: ",
    };
    let refusing = view.refusing();
    let mut counts = vec![counted(refusing, "finding")];
    if view.findings.len() > refusing {
        counts.push(counted(view.findings.len() - refusing, "warning"));
    }
    let line = format!("{what}{}{commits}", listed(&counts));
    let whole = format!("{line}{refs}");
    if level.len() + whole.len() <= super::words::COLUMNS {
        wrap(out, level, level, &whole);
    } else {
        wrap(out, level, level, &line);
        wrap(out, level, level, refs.trim_start());
    }
}

/// ` in 3 new commits` and ` on refs/heads/x`.
fn scope(view: &View<'_>) -> (String, String) {
    let commits = match view.decision.commits.len() {
        0 => String::new(),
        count => format!(" in {}", counted(count, "new commit")),
    };
    let refs = match view.decision.updates.as_slice() {
        [] => String::new(),
        [one] => format!(" on {}", quoted(one.command.name.as_bytes())),
        many => format!(" on {}", counted(many.len(), "ref")),
    };
    (commits, refs)
}

fn unjudged(view: &View<'_>, why: &Unjudged) -> String {
    let work = &view.decision.work;
    match why {
        Unjudged::Exhausted(bound) if bound.resource == Resource::Time => {
            let (expected, done) = work.texts;
            let progress = match expected {
                0 => String::new(),
                _ => format!(", {done} of {expected} texts looked into"),
            };
            format!("time budget of {} ms used{progress}", bound.limit)
        }
        other => other.to_string(),
    }
}

fn finding(out: &mut String, view: &View<'_>, judged: &Judged) {
    let finding = &judged.finding;
    let place = &finding.place;
    let level = match judged.level {
        Level::Warn | Level::Off => "warning",
        Level::Hold | Level::Deny => "error",
    };
    let first = format!("{level}[{}] ", finding.rule);
    wrap(out, &first, "  ", &finding.title);
    let mut field = |name: &str, text: &str| {
        wrap(out, &format!("  {name:<8}"), "          ", text);
    };
    if let Some(detail) = &finding.detail {
        field("what:", detail);
    }
    field("at:", &at(&finding.place, finding.op));
    for seen in judged.also.iter().take(ALSO_MAX) {
        field("also:", &also_at(view, place, seen));
    }
    if judged.also.len() > ALSO_MAX {
        let rest = counted(judged.also.len() - ALSO_MAX, "more place");
        field("", &format!("and {rest}"));
    }
    let several = view.decision.updates.len() > 1;
    if let (true, Some(name), true) = (several, &place.ref_name, place.part != Part::Ref) {
        field("ref:", &quoted(name.as_bytes()));
    }
    if let Some(id) = &place.commit {
        let what = match place.part {
            Part::Tag | Part::Tagger | Part::TagMessage => "tag:",
            _ => "commit:",
        };
        field(what, &format!("{}{}", short(id), also_in(place)));
    }
    if let Some(evidence) = &finding.evidence {
        let prefix = match &evidence.prefix {
            Some(prefix) => format!("{prefix}..., "),
            None => String::new(),
        };
        let bytes = counted(evidence.bytes, "byte");
        field(
            "found:",
            &format!("{prefix}{bytes}, fingerprint {}", evidence.fingerprint),
        );
    }
    let held = match judged.level {
        Level::Hold => " (a person may approve)",
        _ => "",
    };
    let by = &judged.decided_by;
    match by.line {
        0 => field("policy:", &format!("built in: {}{held}", by.what)),
        line => field("policy:", &format!("{}:{line}, {}{held}", by.file, by.what)),
    }
    if let Some(entry) = finding.suppression.as_ref().filter(|entry| entry.expired) {
        let text = format!(
            "suppression {} ({}:{}) expired on {}",
            entry.id, entry.at.file, entry.at.line, entry.until
        );
        field("note:", &text);
    }
}

/// One more place, with what is not the same there as at the first.
fn also_at(view: &View<'_>, first: &Place, seen: &Sighting) -> String {
    let place = &seen.place;
    let mut text = at(place, None);
    if let Some(detail) = &seen.detail {
        text.push_str(&format!(", {detail}"));
    }
    if let Some(id) = place.commit.filter(|id| first.commit.as_ref() != Some(id)) {
        text.push_str(&format!(", in {}", short(&id)));
    }
    text.push_str(&also_in(place));
    let several = view.decision.updates.len() > 1 && place.part != Part::Ref;
    match &place.ref_name {
        Some(name) if several && first.ref_name.as_ref() != Some(name) => {
            format!("{text}, on {}", quoted(name.as_bytes()))
        }
        _ => text,
    }
}

fn at(place: &Place, op: Option<PathOp>) -> String {
    let path = place.path.as_ref().map(quoted);
    let text = match place.part {
        Part::Ref => {
            let name = place.ref_name.as_ref();
            name.map_or_else(
                || "the push as a whole".into(),
                |name| quoted(name.as_bytes()),
            )
        }
        Part::Commit => path.unwrap_or_else(|| match place.commit {
            Some(_) => "the commit as a whole".into(),
            None => "the push as a whole".into(),
        }),
        Part::Path | Part::Content => path.unwrap_or_else(|| "content".into()),
        Part::SymlinkTarget => format!("{} (target of the link)", path.unwrap_or_default()),
        Part::Message => "commit message".into(),
        Part::Author => "author".into(),
        Part::Committer => "committer".into(),
        Part::Header => "commit header".into(),
        Part::Tag => "the tag as a whole".into(),
        Part::Tagger => "tagger".into(),
        Part::TagMessage => "tag message".into(),
    };
    if let Some(span) = &place.span {
        return format!("{text}, line {}, column {}", span.line, span.column);
    }
    match op.map(op_word) {
        Some(op) => format!("{text} ({op})"),
        None => text,
    }
}

fn op_word(op: PathOp) -> &'static str {
    match op {
        PathOp::Add => "added",
        PathOp::Modify => "modified",
        PathOp::Delete => "deleted",
        PathOp::Mode => "mode changed",
        PathOp::Symlink => "symbolic link",
        PathOp::Submodule => "submodule",
    }
}

fn also_in(place: &Place) -> String {
    let others = &place.also_in;
    match others.as_slice() {
        [] => String::new(),
        [..] if others.len() <= 3 => {
            let named: Vec<String> = others.iter().map(short).collect();
            format!(" (also in {})", listed(&named))
        }
        [first, ..] => format!(" (also in {} and {} more)", short(first), others.len() - 1),
    }
}

fn not_shown(out: &mut String, view: &View<'_>) {
    let rest = view.findings.get(SHOWN_MAX..).unwrap_or_default();
    if rest.is_empty() {
        return;
    }
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    for judged in rest {
        *by_rule.entry(&judged.finding.rule).or_default() += 1;
    }
    let mut rules: Vec<(usize, &str)> = by_rule.into_iter().map(|(r, c)| (c, r)).collect();
    rules.order_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let mut parts: Vec<String> = rules
        .iter()
        .take(5)
        .map(|(count, rule)| format!("{count} {rule}"))
        .collect();
    if rules.len() > 5 {
        parts.push(format!(
            "{} of other rules",
            rest.len() - rules[..5].iter().map(|r| r.0).sum::<usize>()
        ));
    }
    out.push('\n');
    let what = if rest.iter().any(|judged| judged.level > Level::Warn) {
        "error: "
    } else {
        "warning: "
    };
    let text = format!(
        "{} not shown: {}",
        counted(rest.len(), "more finding"),
        listed(&parts)
    );
    wrap(out, what, what, &text);
}

fn hints(out: &mut String, view: &View<'_>) {
    const HINT: &str = "hint: ";
    if !view.decision.enforced && view.decision.verdict != Verdict::Unjudged {
        let text = "Nothing has to change now. Once the policy is enforced, this helps:";
        wrap(out, HINT, HINT, text);
    }
    for line in &view.cure.lines {
        match line {
            Line::Say(text) | Line::Or(text) => wrap(out, HINT, HINT, text),
            Line::Note(text) => wrap(out, "hint:   # ", "hint:   # ", text),
            Line::Run { argv, otherwise } => match pasted(argv) {
                Some(command) => {
                    out.push_str("hint:   ");
                    out.push_str(&command);
                    out.push('\n');
                }
                None => wrap(out, "hint:   # ", "hint:   # ", otherwise),
            },
        }
    }
    if view.decision.advisory {
        let text = "This check is advisory: the gate of the server decides.";
        wrap(out, HINT, HINT, text);
    }
    let unjudged = view.decision.verdict == Verdict::Unjudged;
    let rule = view.findings.first().map(|judged| &judged.finding.rule);
    if !unjudged {
        let owner = match &view.decision.actor.owner {
            Some(owner) => format!("{owner} or an admin"),
            None => "an admin".into(),
        };
        let about = match view.id {
            Some(id) => format!(" about decision {id}"),
            None => String::new(),
        };
        wrap(out, HINT, HINT, &format!("Ask {owner}{about}."));
    }
    if let (Some(rule), false) = (rule, unjudged) {
        let command = format!("hint: More: ringfence rules show {rule}\n");
        out.push_str(&command);
    }
}
