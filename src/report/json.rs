//! The versioned document for programs. Its types live here, apart from the inner ones, so that those can change.
//! What a field means stands in `docs/report.md`; `docs/report.schema.json` is checked against samples by a test.

use serde::Serialize;

use super::View;
use super::cure::{Family, Line, Retry};
use crate::finding::{Level, PathOp};
use crate::ledger::{
    ClaimedBy, FoundAt, confidence_word, kind_word, level_word, shown_and_hex, verdict_word,
};
use crate::verdict::{Judged, Unjudged, Verdict};

/// Starts the line for agents.
pub const AGENT_LINE_PREFIX: &str = "ringfence-report: ";

/// Longest line for agents, prefix and line feed included.
pub const AGENT_LINE_MAX_BYTES: usize = 16 << 10;

/// Version of the document.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    v: u32,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    enforced: bool,
    advisory: bool,
    actor: Option<&'a str>,
    actor_kind: &'static str,
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unjudged: Option<NotJudged>,
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    assisted: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    claims: Vec<ClaimedBy>,
    findings: Vec<Found<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Fix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'static str>,
    needs_human: &'a [&'static str],
    not_a_fix: &'a [&'static str],
}

#[derive(Serialize)]
struct NotJudged {
    reason: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Counts {
    refs: usize,
    commits: usize,
    findings: usize,
    deny: usize,
    hold: usize,
    warn: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<usize>,
    shown: usize,
}

#[derive(Serialize)]
struct Found<'a> {
    rule: &'a str,
    level: &'static str,
    title: String,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_in: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_at: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    places: Vec<FoundAt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression_expired: Option<Expired<'a>>,
    fix: &'static str,
}

/// The entry of the policy that suppressed a finding until it expired.
#[derive(Serialize)]
struct Expired<'a> {
    id: &'a str,
    until: String,
}

#[derive(Serialize)]
struct Fix {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commits: Vec<String>,
    steps: Vec<Vec<String>>,
}

/// Other commits that one place lists.
const ALSO_IN_MAX: usize = 20;

/// Places that one finding lists.
const PLACES_MAX: usize = 20;

/// The whole document, indented, with every finding.
pub(super) fn document(view: &View<'_>) -> String {
    let document = Document::of(view, view.findings.len(), true);
    let text = serde_json::to_string_pretty(&document).expect("a document of strings and numbers");
    let mut text = only_ascii(&text);
    text.push('\n');
    text
}

/// The document in one line, cut to fit.
pub(super) fn agent_line(view: &View<'_>) -> String {
    let write = |shown: usize, with_steps: bool| {
        let document = Document::of(view, shown, with_steps);
        let text = serde_json::to_string(&document).expect("a document of strings and numbers");
        format!("{AGENT_LINE_PREFIX}{}\n", only_ascii(&text))
    };
    let fits = |line: &String| line.len() <= AGENT_LINE_MAX_BYTES;
    for with_steps in [true, false] {
        // The length grows with every finding: the largest number that fits is found by halving.
        let (mut low, mut high) = (0, view.findings.len().min(AGENT_LINE_MAX_BYTES / 64));
        let mut best = Some(write(low, with_steps)).filter(fits);
        while best.is_some() && low < high {
            let middle = (low + high).div_ceil(2);
            match Some(write(middle, with_steps)).filter(fits) {
                Some(line) => (low, best) = (middle, Some(line)),
                None => high = middle - 1,
            }
        }
        // A report without any finding tells less than one without steps.
        let told = low > 0 || view.findings.is_empty() || !with_steps;
        if let (Some(line), true) = (best, told) {
            return line;
        }
    }
    let (verdict, id) = (verdict_word(view.decision.verdict), view.id);
    let id = id.map_or_else(String::new, |id| format!(",\"id\":\"{id}\""));
    format!("{AGENT_LINE_PREFIX}{{\"v\":{VERSION},\"verdict\":\"{verdict}\"{id}}}\n")
}

impl<'a> Document<'a> {
    fn of(view: &'a View<'a>, shown: usize, with_steps: bool) -> Self {
        let decision = view.decision;
        let count = |level: Level| {
            let same = |judged: &&&Judged| judged.level == level;
            view.findings.iter().filter(same).count()
        };
        let cure = &view.cure;
        Document {
            v: VERSION,
            verdict: verdict_word(decision.verdict),
            id: view.id.map(|id| id.as_str()),
            enforced: decision.enforced,
            advisory: decision.advisory,
            actor: decision.actor.identity.as_deref(),
            actor_kind: kind_word(decision.actor.kind),
            policy: &decision.policy_digest,
            unjudged: decision
                .unjudged
                .as_ref()
                .filter(|_| decision.verdict == Verdict::Unjudged)
                .map(NotJudged::of),
            counts: Counts {
                refs: decision.updates.len(),
                commits: decision.commits.len(),
                findings: view.findings.len(),
                deny: count(Level::Deny),
                hold: count(Level::Hold),
                warn: count(Level::Warn),
                suppressed: Some(decision.suppressed.len()).filter(|count| *count > 0),
                shown,
            },
            assisted: decision.actor.assisted.as_deref(),
            claims: ClaimedBy::list(&decision.claims),
            findings: view.findings[..shown]
                .iter()
                .map(|j| Found::of(j))
                .collect(),
            fix: cure.kind.map(|kind| Fix {
                kind,
                base: cure.base.map(|id| id.to_string()),
                commits: cure
                    .commits
                    .iter()
                    .take(ALSO_IN_MAX)
                    .map(ToString::to_string)
                    .collect(),
                steps: if with_steps {
                    steps(&cure.lines)
                } else {
                    Vec::new()
                },
            }),
            retry: cure.retry.map(|retry| match retry {
                Retry::AfterFix => "after_fix",
                Retry::Later => "later",
                Retry::Never => "never",
            }),
            needs_human: &cure.needs_human,
            not_a_fix: &cure.not_a_fix,
        }
    }
}

impl NotJudged {
    fn of(why: &Unjudged) -> Self {
        let reason = match why {
            Unjudged::Exhausted(_) => "bound",
            Unjudged::Repository(_) => "repository",
            Unjudged::Internal(_) => "internal",
            Unjudged::Incomplete => "incomplete",
            Unjudged::Signers(_) => "signers",
            Unjudged::Ledger(_) | Unjudged::Record(_) => "ledger",
        };
        NotJudged {
            reason,
            text: why.to_string(),
        }
    }
}

impl<'a> Found<'a> {
    fn of(judged: &'a Judged) -> Self {
        let finding = &judged.finding;
        let place = &finding.place;
        let path = place.path.as_ref().map(|path| shown_and_hex(path));
        let (path, path_hex) = path.map_or((None, None), |(shown, hex)| (Some(shown), hex));
        let by = &judged.decided_by;
        Found {
            rule: &finding.rule,
            level: level_word(judged.level),
            title: finding.title.to_string(),
            name: place
                .ref_name
                .as_ref()
                .map(|name| shown_and_hex(name.as_bytes()).0),
            commit: place.commit.map(|id| id.to_string()),
            also_in: place
                .also_in
                .iter()
                .take(ALSO_IN_MAX)
                .map(ToString::to_string)
                .collect(),
            path,
            path_hex,
            op: finding.op.map(op_word),
            line: place.span.as_ref().map(|span| span.line),
            column: place.span.as_ref().map(|span| span.column),
            confidence: finding.confidence.map(confidence_word),
            bytes: finding.evidence.as_ref().map(|evidence| evidence.bytes),
            prefix: finding
                .evidence
                .as_ref()
                .and_then(|evidence| evidence.prefix.as_deref()),
            fingerprint: finding
                .evidence
                .as_ref()
                .map(|evidence| evidence.fingerprint.to_string()),
            policy_at: (by.line > 0).then(|| format!("{}:{}", by.file, by.line)),
            places: match judged.also.is_empty() {
                true => Vec::new(),
                false => judged
                    .places()
                    .take(PLACES_MAX)
                    .map(|place| FoundAt::of(place, ALSO_IN_MAX))
                    .collect(),
            },
            place_count: (!judged.also.is_empty()).then(|| judged.also.len() + 1),
            suppression_expired: finding
                .suppression
                .as_ref()
                .filter(|entry| entry.expired)
                .map(|entry| Expired {
                    id: &entry.id,
                    until: entry.until.to_string(),
                }),
            fix: match judged.level {
                Level::Warn | Level::Off => "none",
                Level::Hold | Level::Deny => Family::of(finding).word(),
            },
        }
    }
}

/// The commands of the first way to mend, as far as their arguments are UTF-8.
fn steps(lines: &[Line]) -> Vec<Vec<String>> {
    let mut steps = Vec::new();
    let first_way = lines.iter().take_while(|line| !matches!(line, Line::Or(_)));
    for line in first_way {
        let Line::Run { argv, .. } = line else {
            continue;
        };
        let texts: Result<Vec<String>, _> =
            argv.iter().map(|a| String::from_utf8(a.to_vec())).collect();
        if let Ok(texts) = texts {
            steps.push(texts);
        }
    }
    steps
}

/// The word for a path operation, as a policy names it.
fn op_word(op: PathOp) -> &'static str {
    match op {
        PathOp::Add => "add",
        PathOp::Modify => "modify",
        PathOp::Delete => "delete",
        PathOp::Mode => "mode",
        PathOp::Symlink => "symlink",
        PathOp::Submodule => "submodule",
    }
}

/// JSON says the same with escapes: what is not ASCII stands inside strings alone.
fn only_ascii(json: &str) -> String {
    if json.is_ascii() {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len() + 64);
    for letter in json.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            out.push(letter);
            continue;
        }
        let mut units = [0; 2];
        for unit in letter.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}
