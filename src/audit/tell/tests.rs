mod schemas;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Form, tell};
use crate::audit::record::{Record, Summary};

/// Records of every type, as a fleet of repositories gives them.
const FLEET: &str = include_str!("../../../testdata/audit/fleet.jsonl");
/// Records whose every text is hostile.
const HOSTILE: &str = include_str!("../../../testdata/audit/hostile.jsonl");

const FORMS: [Form; 6] = [
    Form::Text,
    Form::Jsonl,
    Form::Json,
    Form::Sarif,
    Form::Csv,
    Form::Html,
];

fn records(lines: &str) -> Vec<Record> {
    let read = |line| serde_json::from_str(line).expect("a record");
    lines.lines().map(read).collect()
}

fn told(form: Form, records: &[Record]) -> String {
    let mut out = Vec::new();
    tell(form, records, &mut out).expect("a vector takes all");
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn every_form_has_its_word() {
    for (name, form) in Form::NAMES.iter().zip(FORMS) {
        assert_eq!(Form::named(name), Some(form));
    }
    assert_eq!(Form::named("yaml"), None);
}

#[test]
fn the_order_of_the_records_changes_nothing() {
    for lines in [FLEET, HOSTILE] {
        let in_order = records(lines);
        let mut turned: Vec<Record> = in_order.iter().rev().cloned().collect();
        let half = turned.len() / 2;
        turned.rotate_left(half / 2);
        // Outputs of shards that lie over each other.
        turned.extend_from_slice(&in_order[half..]);
        for form in FORMS {
            assert!(told(form, &in_order) == told(form, &turned), "{form:?}");
        }
    }
}

#[test]
fn every_form_is_plain_ascii() {
    for form in FORMS {
        let out = told(form, &records(HOSTILE));
        let wrong = out
            .bytes()
            .find(|byte| !matches!(byte, b' '..=b'~' | b'\n' | b'\r'));
        assert_eq!(wrong, None, "{form:?}");
        let bare = out.replace("\r\n", "").contains('\r');
        assert!(!bare, "{form:?}");
    }
}

#[test]
fn lines_are_the_records() {
    for (name, lines) in [("fleet", FLEET), ("hostile", HOSTILE)] {
        let out = told(Form::Jsonl, &records(lines));
        if std::env::var_os("BLESS").is_some() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/audit");
            std::fs::write(format!("{folder}/{name}.jsonl"), &out).expect("the folder is there");
        }
        assert!(
            out == lines,
            "testdata/audit/{name}.jsonl; BLESS=1 writes it"
        );
        assert_eq!(records(&out), records(lines));
        let document: Value =
            serde_json::from_str(&told(Form::Json, &records(lines))).expect("JSON");
        let each: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(document["records"].as_array(), Some(&each));
        assert_eq!(document["v"], 1);
    }
}

#[test]
fn forms_of_a_fleet() {
    let records = records(FLEET);
    insta::assert_snapshot!("text", told(Form::Text, &records));
    insta::assert_snapshot!("csv", told(Form::Csv, &records).replace("\r\n", "\n"));
    let sarif: Value = serde_json::from_str(&told(Form::Sarif, &records)).expect("JSON");
    insta::assert_snapshot!(
        "sarif-invocations",
        format!("{:#}", sarif["runs"][0]["invocations"])
    );
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let of = |rule: &str| {
        results
            .iter()
            .find(|one| one["ruleId"] == rule)
            .expect("a result")
    };
    for rule in [
        "secret/stripe-secret-key",
        "path/denied",
        "uncovered/ref-update",
    ] {
        insta::assert_snapshot!(
            format!("sarif-{}", rule.replace('/', "-")),
            format!("{:#}", of(rule))
        );
    }
}

/// Records of a run in which all is well.
fn clean() -> Vec<Record> {
    let of_one = r#"{"type":"repository","repository":"a","status":"complete","commits":3}"#;
    let end = r#"{"type":"summary","v":1,"status":"complete","repositories":1,"commits":3,"time":"2026-11-28T21:14:05Z"}"#;
    records(&format!("{of_one}\n{end}"))
}

#[test]
fn only_a_whole_answer_is_clean() {
    let whole = told(Form::Text, &clean());
    insta::assert_snapshot!("text-clean", whole);
    let summary = |records: &mut Vec<Record>, change: &dyn Fn(&mut Summary)| {
        for record in records {
            if let Record::Summary(end) = record {
                change(end);
            }
        }
    };
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Vec<Record>));
    let changes: [Change<'_>; 7] = [
        ("nothing at all", &|records| records.clear()),
        ("no repository", &|records| {
            records.remove(0);
        }),
        ("no summary", &|records| {
            records.pop();
        }),
        ("a repository more than told", &|records| {
            summary(records, &|end| end.repositories = 2);
        }),
        ("a summary that says so", &|records| {
            summary(records, &|end| end.status = "incomplete".into());
        }),
        ("a failed repository", &|records| {
            if let Record::Repository(one) = &mut records[0] {
                one.status = "failed".into();
            }
        }),
        ("an unread object", &|records| {
            if let Record::Repository(one) = &mut records[0] {
                one.unread_count = 1;
            }
        }),
    ];
    for (what, change) in changes {
        let mut records = clean();
        change(&mut records);
        let out = told(Form::Text, &records);
        let early: Vec<&str> = out.lines().take(4).collect();
        assert!(early.join("\n").contains("INCOMPLETE"), "{what}: {out}");
        assert!(!out.contains("everything was looked at"), "{what}: {out}");
        let sarif: Value = serde_json::from_str(&told(Form::Sarif, &records)).expect("JSON");
        let invocation = &sarif["runs"][0]["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false, "{what}");
        assert!(
            !invocation["toolExecutionNotifications"][0].is_null(),
            "{what}"
        );
    }
    let sarif: Value = serde_json::from_str(&told(Form::Sarif, &clean())).expect("JSON");
    assert_eq!(
        sarif["runs"][0]["invocations"][0]["executionSuccessful"],
        true
    );
}

#[test]
fn a_part_of_the_shards_is_no_whole() {
    let mut records = clean();
    if let Some(Record::Summary(end)) = records.last_mut() {
        end.shards = vec!["1/4".into(), "3/4".into()];
    }
    let out = told(Form::Text, &records);
    assert!(out.contains("shards 1, 3 of 4 alone"), "{out}");
}

#[test]
fn text_fits_a_terminal() {
    for line in told(Form::Text, &records(FLEET)).lines() {
        assert!(line.len() <= 80, "{line}");
    }
    let bytes = told(Form::Text, &records(HOSTILE)).len();
    assert!(bytes < 200_000, "{bytes}");
}

/// The cells of a table, by RFC 4180.
fn cells(table: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = table.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quoted, letter) {
            (true, '"') if letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            (_, '"') => quoted = !quoted,
            (false, ',') => row.push(std::mem::take(&mut cell)),
            (false, '\r') => {
                assert_eq!(letters.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ => cell.push(letter),
        }
    }
    assert!(row.is_empty() && cell.is_empty() && !quoted);
    rows
}

#[test]
fn a_table_has_no_formula() {
    let table = cells(&told(Form::Csv, &records(HOSTILE)));
    let columns = table[0].len();
    assert_eq!(table[0].iter().collect::<BTreeSet<_>>().len(), columns);
    let told: Vec<&String> = table.iter().flatten().collect();
    for row in &table {
        assert_eq!(row.len(), columns);
        for cell in row {
            // Parted at semicolons as well, as some programs do.
            for piece in cell.split([';', ',', '|']) {
                let piece = piece.trim_start_matches([' ', '"']);
                assert!(!piece.starts_with(['=', '+', '-', '@']), "{cell}");
            }
        }
    }
    for hostile in ["'=cmd|' /C calc'!A0", "'+1", "'-1", "'@SUM(1)", "a;'=1+1"] {
        assert!(told.iter().any(|cell| *cell == hostile), "{hostile}");
    }
}

#[test]
fn places_in_sarif_stay_in_their_repository() {
    let sarif: Value = serde_json::from_str(&told(Form::Sarif, &records(HOSTILE))).expect("JSON");
    let mut seen = 0;
    for result in sarif["runs"][0]["results"].as_array().expect("results") {
        let artifact = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        let Some(uri) = artifact["uri"].as_str() else {
            continue;
        };
        seen += 1;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        assert!(uri.bytes().all(plain), "{uri}");
        assert!(
            !uri.starts_with('/') && uri.split('/').all(|part| part != ".."),
            "{uri}"
        );
        assert!(artifact["uriBaseId"].is_string());
    }
    assert!(seen > 10, "{seen}");
}
