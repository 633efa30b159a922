//! What every log in SARIF is held to.

use std::process::Command;

use serde_json::Value;

/// Holds a log to the schema of the standard.
pub(crate) fn validator() -> jsonschema::Validator {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema()).expect("a schema")
}

/// The schema of the standard, out of the sources of a crate that carries it.
fn schema() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    cargo.args([
        "metadata",
        "--format-version=1",
        "--offline",
        "--locked",
        "--manifest-path",
        manifest,
    ]);
    let output = cargo.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}: run tests/setup, which fetches serde-sarif"
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut packages = metadata["packages"].as_array().expect("packages").iter();
    let package = packages
        .find(|one| one["name"] == "serde-sarif")
        .expect("serde-sarif");
    let manifest = package["manifest_path"].as_str().expect("a path");
    let path = manifest.replace("Cargo.toml", "src/schema.json");
    let text = std::fs::read_to_string(path).expect("tests/setup fetches serde-sarif");
    // The pattern of languages, which are not written, has a bracket too much for ECMA 262.
    let text = text.replace("{2}]?$", "{2}?$");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        schema["$id"]
            .as_str()
            .expect("a name")
            .ends_with("sarif-schema-2.1.0.json")
    );
    schema
}
