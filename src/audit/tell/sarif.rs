//! SARIF 2.1.0: what was found, what the policy would have refused, and where ledger and repository do not agree.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::view::View;
use crate::audit::record::{Commit, Finding, Place, Uncovered};
use crate::redact::unquoted;
use crate::report::{Sarif, location, uri};

/// Places of a finding beside its first that a result names.
const RELATED_MAX: usize = 20;

pub(super) fn log(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    let kinds: BTreeSet<String> = view.uncovered.iter().map(|one| rule_of(one)).collect();
    let mut rules: BTreeSet<&str> = view.findings.iter().map(|one| &*one.rule).collect();
    rules.extend(kinds.iter().map(String::as_str));
    let mut bases = Map::new();
    let mut provenance = Vec::new();
    let mut notifications: Vec<Value> = (view.gaps.iter())
        .map(|gap| json!({ "level": "error", "message": { "text": gap } }))
        .collect();
    for repository in &view.repositories {
        let name = &repository.repository;
        bases.insert(
            name.clone(),
            json!({ "description": { "text": repository.path } }),
        );
        provenance.push(json!({
            "repositoryUri": repository_uri(&repository.path),
            "mappedTo": { "uriBaseId": name },
        }));
        for unread in &repository.unread {
            let text = format!("{name}: {}: {}", unread.what, unread.why);
            notifications.push(json!({
                "level": "error",
                "message": { "text": text },
                "locations": [{ "logicalLocations": [logical(name, "repository")] }],
            }));
        }
        let rest = (repository.unread_count).saturating_sub(repository.unread.len() as u64);
        if rest > 0 {
            let text = format!("{name}: and {rest} more that could not be looked at");
            notifications.push(json!({ "level": "error", "message": { "text": text } }));
        }
    }
    notifications.extend(
        (view.notes.iter()).map(|note| json!({ "level": "note", "message": { "text": note } })),
    );
    let mut run = json!({ "properties": { "repositories": view.repositories.len() } });
    // The standard has no empty ones.
    if !provenance.is_empty() {
        run["originalUriBaseIds"] = bases.into();
        run["versionControlProvenance"] = provenance.into();
    }
    let log = Sarif {
        rules,
        invocation: json!({
            "executionSuccessful": view.gaps.is_empty(),
            "toolExecutionNotifications": notifications,
        }),
        run,
    };
    let findings = view.findings.iter().map(|one| of_finding(one));
    let uncovered = view.uncovered.iter().map(|one| of_uncovered(one));
    log.write(out, &mut findings.chain(uncovered))
}

/// Where a repository is, as an absolute URI.
fn repository_uri(path: &str) -> String {
    match unquoted(path).filter(|path| path.starts_with(b"/")) {
        Some(path) => format!("file://{}", uri(&path)),
        None => format!("urn:ringfence:repository:{}", uri(path.as_bytes())),
    }
}

fn logical(name: &str, kind: &str) -> Value {
    json!({ "fullyQualifiedName": name, "kind": kind })
}

/// A place in a repository. A path that could not be told exactly, or that would lead out of it, is no URI.
fn place(repository: &str, path: Option<&str>, at: (Option<u64>, Option<u64>)) -> Value {
    let leads_out = |path: &Vec<u8>| {
        let mut parts = path.split(|byte| *byte == b'/');
        parts.any(|part| matches!(part, b"" | b"." | b".."))
    };
    let bytes = path.and_then(unquoted).filter(|path| !leads_out(path));
    let mut place = match bytes {
        Some(bytes) => {
            let mut place = location(&uri(&bytes), at.0, at.1);
            place["physicalLocation"]["artifactLocation"]["uriBaseId"] = repository.into();
            place
        }
        None => json!({}),
    };
    let mut names = vec![logical(repository, "repository")];
    names.extend(path.map(|path| logical(path, "path")));
    place["logicalLocations"] = names.into();
    place
}

fn of_finding(found: &Finding) -> Value {
    let is_serious = found.level != "warn";
    let mut text = found.title.clone();
    if let Some(bytes) = found.bytes {
        text += &format!(" ({bytes} bytes)");
    }
    if let Some(identity) = &found.identity {
        text += &format!(", judged as {identity}");
    }
    let (name, print) = match &found.fingerprint {
        // The same value has the same one everywhere, as in `scan`.
        Some(print) if found.source != "replay" => ("ringfence/v1", print.clone()),
        _ => {
            let first = found.first.as_ref().map(|commit| &*commit.commit);
            let parts = [
                Some(&*found.repository),
                Some(&*found.rule),
                found.identity.as_deref(),
                found.path.as_deref(),
                found.fingerprint.as_deref(),
                first,
            ];
            ("ringfence-audit/v1", digest(&parts))
        }
    };
    let mut result = json!({
        "ruleId": found.rule,
        "level": if is_serious { "error" } else { "warning" },
        "message": { "text": text },
        "locations": [place(&found.repository, found.path.as_deref(), (found.line, found.column))],
        "partialFingerprints": { name: print },
        "properties": {
            "repository": found.repository,
            "source": found.source,
            "level": found.level,
            "part": found.part,
            "atTip": found.at_tip,
            "unreachable": found.unreachable,
            "refs": found.refs,
            "refCount": found.ref_count,
        },
    });
    let first = place_of(found.places.first());
    let more = found.places.iter().skip(1).map(|one| place_of(Some(one)));
    let mut related = Vec::new();
    for one in more.filter(|one| *one != first).take(RELATED_MAX) {
        let mut at = place(&found.repository, one.0, (one.1, one.2));
        at["id"] = (related.len() + 1).into();
        at["message"] = json!({ "text": "here too" });
        related.push(at);
    }
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    if found.place_count > 0 {
        result["occurrenceCount"] = found.place_count.into();
    }
    let properties = &mut result["properties"];
    for (name, text) in [
        ("confidence", &found.confidence),
        ("detail", &found.detail),
        ("identity", &found.identity),
        ("policyAt", &found.policy_at),
    ] {
        if let Some(text) = text {
            properties[name] = text.as_str().into();
        }
    }
    for (name, commit) in [
        ("firstCommit", &found.first),
        ("lastCommit", &found.last),
        ("removedBy", &found.removed),
    ] {
        if let Some(commit) = commit {
            properties[name] = of_commit(commit);
        }
    }
    result
}

type At<'a> = (Option<&'a str>, Option<u64>, Option<u64>);

fn place_of(place: Option<&Place>) -> At<'_> {
    let of = |place: &'_ Place| (place.line, place.column);
    let (line, column) = place.map(of).unwrap_or_default();
    (place.and_then(|one| one.path.as_deref()), line, column)
}

fn of_commit(commit: &Commit) -> Value {
    json!({
        "commit": commit.commit,
        "time": commit.time,
        "author": commit.author,
        "agents": commit.agents,
    })
}

fn rule_of(uncovered: &Uncovered) -> String {
    format!("uncovered/{}", uncovered.kind)
}

fn of_uncovered(one: &Uncovered) -> Value {
    let mut parts = vec![
        Some(&*one.repository),
        Some(&*one.kind),
        one.name.as_deref(),
        one.old.as_deref(),
        one.new.as_deref(),
        one.commit.as_ref().map(|commit| &*commit.commit),
        one.decision.as_deref(),
    ];
    parts.extend(one.telling_reason().map(Some));
    let mut at = vec![logical(&one.repository, "repository")];
    at.extend(one.name.iter().map(|name| logical(name, "ref")));
    let mut properties = json!({ "repository": one.repository, "kind": one.kind });
    for (name, text) in [
        ("ref", &one.name),
        ("old", &one.old),
        ("new", &one.new),
        ("decision", &one.decision),
        ("identity", &one.identity),
        ("time", &one.time),
    ] {
        if let Some(text) = text {
            properties[name] = text.as_str().into();
        }
    }
    if let Some(commit) = &one.commit {
        properties["commit"] = of_commit(commit);
    }
    json!({
        "ruleId": rule_of(one),
        "level": "error",
        "message": { "text": one.why },
        "locations": [{ "logicalLocations": at }],
        "partialFingerprints": { "ringfence-audit/v1": digest(&parts) },
        "properties": properties,
    })
}

/// What makes a result the same in the next run: 16 hex digits.
fn digest(parts: &[Option<&str>]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.unwrap_or_default().as_bytes());
        hasher.update([0]);
    }
    data_encoding::HEXLOWER.encode(&hasher.finalize()[..8])
}
