//! The table of keys as JSON Schema for editors, and as the reference in the docs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Shape};
use super::presets::presets;

/// JSON Schema of the server's policy, draft 2020-12.
pub fn schema() -> Value {
    let mut root = Map::new();
    root.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    root.insert("title".into(), "ringfence policy, version 1".into());
    root.extend(map_of(keys::POLICY));
    Value::Object(root)
}

fn map_of(keys: &'static [Key]) -> Map<String, Value> {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| {
            let mut value = shape(&key.shape);
            value.insert("description".into(), key.doc.into());
            (key.name.to_owned(), Value::Object(value))
        })
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut map = object(json!({ "type": "object", "additionalProperties": false }));
    map.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        map.insert("required".into(), json!(required));
    }
    map
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn one_or_more(item: Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

fn shape(shape: &'static Shape) -> Map<String, Value> {
    let level = json!({ "enum": keys::LEVELS });
    object(match shape {
        Shape::Version => json!({ "const": 1 }),
        Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::Words => one_or_more(json!({ "type": ["string", "integer"] })),
        Shape::Texts => one_or_more(json!({ "type": "string", "minLength": 1 })),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Choices(words) => one_or_more(json!({ "enum": words })),
        Shape::Count => json!({ "type": "integer", "minimum": 0 }),
        Shape::Size => json!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9_]+ *(B|KiB|MiB|GiB|kB|KB|MB|GB)?$" },
            ]
        }),
        Shape::Duration => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|min)$" }),
        Shape::Lifetime => json!({ "type": "string", "pattern": "^[0-9]+ *(s|m|min|h|d)$" }),
        Shape::Time => json!({ "type": "string", "format": "date-time" }),
        Shape::Patterns { presets: false } => {
            one_or_more(json!({ "type": "string", "minLength": 1 }))
        }
        Shape::Patterns { presets: true } => {
            let names: Vec<String> = presets()
                .iter()
                .map(|preset| format!("@{}", preset.name))
                .collect();
            one_or_more(json!({
                "anyOf": [{ "enum": names }, { "type": "string", "pattern": "^[^@]" }]
            }))
        }
        // Digits alone are a number to YAML; the reader takes them as they are written.
        Shape::Fingerprints => one_or_more(json!({
            "anyOf": [{ "type": "string", "pattern": "^[0-9a-f]{12}$" }, { "type": "number" }]
        })),
        Shape::Map(keys) => Value::Object(map_of(keys)),
        Shape::Maps(keys) => json!({ "type": "array", "items": map_of(keys) }),
        Shape::Named(keys) => json!({ "type": "object", "additionalProperties": map_of(keys) }),
        Shape::Repositories => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Shape::Levels => {
            let by_confidence: Map<String, Value> = keys::CONFIDENCES
                .iter()
                .map(|name| ((*name).to_owned(), level.clone()))
                .collect();
            json!({
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        level,
                        {
                            "type": "object",
                            "properties": by_confidence,
                            "additionalProperties": false,
                        },
                    ]
                }
            })
        }
    })
}

/// The reference of every key and preset, in Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    section(&mut text, "The policy", keys::POLICY);
    for (title, keys) in [
        ("`host`", keys::HOST),
        ("`budget`", keys::BUDGET),
        ("`signers`", keys::SIGNERS),
        ("One of `identities`", keys::IDENTITY),
        ("`match` of an identity", keys::MATCH),
        ("`valid` of an identity", keys::VALID),
        ("One of `boundaries`", keys::BOUNDARY),
        ("One of `refs`", keys::REF_ALLOW),
        ("One of `paths`", keys::PATH_ALLOW),
        ("One of `deny` or `hold`", keys::GUARD),
        ("`limits`", keys::LIMITS),
        ("One of `freeze`", keys::FREEZE),
        ("One of `suppressions`", keys::SUPPRESSION),
        ("One of `tests`", keys::TEST),
        ("A repository's `.ringfence.yaml`", keys::REPOSITORY_POLICY),
    ] {
        section(&mut text, title, keys);
    }
    text.push_str("### Presets\n\n| preset | names | usual use | globs |\n|---|---|---|---|\n");
    for preset in presets() {
        writeln!(
            text,
            "| `@{}` | {} | `{}` | {} |",
            preset.name,
            preset.title,
            preset.usual,
            preset.globs.len()
        )
        .expect("a string takes all text");
    }
    text
}

fn section(text: &mut String, title: &str, keys: &[Key]) {
    writeln!(
        text,
        "### {title}\n\n| key | takes | meaning |\n|---|---|---|"
    )
    .expect("a string takes all text");
    for key in keys {
        let needed = if key.required { " (needed)" } else { "" };
        writeln!(
            text,
            "| `{}`{needed} | {} | {} |",
            key.name,
            takes(&key.shape),
            key.doc
        )
        .expect("a string takes all text");
    }
    text.push('\n');
}

fn takes(shape: &Shape) -> String {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match shape {
        Shape::Version => "`1`".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Words => "text or a number, or a list".to_owned(),
        Shape::Texts => "text, or a list".to_owned(),
        Shape::Choice(choices) => words(choices),
        Shape::Choices(choices) => format!("a list of {}", words(choices)),
        Shape::Count => "a whole number".to_owned(),
        Shape::Size => "a size: `512KiB`, `10MB`, `4096`".to_owned(),
        Shape::Duration => "a length of time: `4s`, `500ms`".to_owned(),
        Shape::Lifetime => "a length of time: `15m`, `1h`".to_owned(),
        Shape::Time => "a moment".to_owned(),
        Shape::Patterns { presets: false } => "a glob, or a list".to_owned(),
        Shape::Patterns { presets: true } => "a glob or a `@preset`, or a list".to_owned(),
        Shape::Fingerprints => "a fingerprint, or a list".to_owned(),
        Shape::Map(_) => "a map".to_owned(),
        Shape::Maps(_) => "a list of maps".to_owned(),
        Shape::Named(_) => "a map by name".to_owned(),
        Shape::Repositories => "a map from globs to boundaries".to_owned(),
        Shape::Levels => "a map from checks or rules to levels".to_owned(),
    }
}
