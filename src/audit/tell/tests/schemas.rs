//! What is written conforms to what is promised: `docs/audit.schema.json`, and the schema of SARIF itself.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{FLEET, HOSTILE, clean, records, told};
use crate::audit::record::Record;
use crate::audit::tell::Form;

/// Fields with a closed set of words.
const WORDS: &[(&str, &str, &[&str])] = &[
    (
        "Repository",
        "status",
        &["complete", "incomplete", "failed"],
    ),
    ("Summary", "status", &["complete", "incomplete"]),
    ("Agent", "kind", &["claim", "identity"]),
    ("Finding", "source", &["content", "replay"]),
    ("Finding", "level", &["deny", "hold", "warn"]),
    ("Finding", "confidence", &["certain", "likely", "possible"]),
    (
        "Uncovered",
        "kind",
        &["ref-update", "ref-deleted", "commit", "not-landed", "chain"],
    ),
];

/// The schema of one line, from the types and their documentation.
fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let generator = settings.into_generator();
    let schema = generator.into_root_schema_for::<Record>();
    let mut schema = serde_json::to_value(schema).expect("JSON");
    for (name, field, words) in WORDS {
        let field = &mut schema["$defs"][name]["properties"][field];
        assert!(field.is_object(), "{name}");
        let may_be_absent = field["type"].is_array();
        let mut words: Vec<Value> = words.iter().map(|word| json!(word)).collect();
        words.extend(may_be_absent.then_some(Value::Null));
        field["enum"] = words.into();
    }
    schema["$id"] = "https://ringfence.example/audit.schema.json".into();
    schema["title"] = "A line of `ringfence audit --format jsonl`, version 1".into();
    schema["description"] =
        "Fields may be added within version 1; a program must pass over those it does not know."
            .into();
    schema
}

/// Refuses fields that the schema does not name, wherever it names some.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(all) => {
            all.values_mut().for_each(closed);
            if all.get("type") == Some(&json!("object"))
                && all.contains_key("properties")
                && !all.contains_key("$ref")
            {
                all.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(all) => all.iter_mut().for_each(closed),
        _ => {}
    }
}

#[test]
fn the_schema_is_written_down() {
    let written = format!("{:#}\n", schema());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &written).expect("the folder is there");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == written,
        "docs/audit.schema.json is not what the types say; BLESS=1 writes it"
    );
}

#[test]
fn every_line_conforms_to_the_schema() {
    let mut strict = schema();
    // A record stands beside its `type`, which a closed one would refuse.
    for one in strict["oneOf"].as_array_mut().expect("the records") {
        one["unevaluatedProperties"] = false.into();
    }
    for name in ["Commit", "Place", "Ledger", "Unread"] {
        closed(&mut strict["$defs"][name]);
    }
    let strict = jsonschema::validator_for(&strict).expect("a schema");
    let open = jsonschema::validator_for(&schema()).expect("a schema");
    let out = told(Form::Jsonl, &records(FLEET));
    for line in out.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let wrong: Vec<String> = strict
            .iter_errors(&line)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{line}: {wrong:?}");
        for (field, value) in [
            ("more", json!(1)),
            ("type", json!("other")),
            ("repository", json!(1)),
        ] {
            let mut other = line.clone();
            other[field] = value;
            assert!(!strict.is_valid(&other), "{other}");
            assert_eq!(open.is_valid(&other), field == "more", "{other}");
        }
    }
}

#[test]
fn sarif_conforms_to_its_schema() {
    let schema = crate::report::sarif_validator();
    for records in [records(FLEET), records(HOSTILE), clean(), Vec::new()] {
        let log: Value = serde_json::from_str(&told(Form::Sarif, &records)).expect("JSON");
        let wrong: Vec<String> = (schema.iter_errors(&log))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        // It does look: a log without what it asks for is refused.
        for pointer in ["/runs/0/tool/driver/name", "/version"] {
            let mut other = log.clone();
            *other.pointer_mut(pointer).expect("a place") = json!(1);
            assert!(!schema.is_valid(&other), "{pointer}");
        }
    }
}
