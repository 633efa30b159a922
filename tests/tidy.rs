//! The shape of the repository, kept by reading it: floors, names, sizes, docs, and that CI runs what the README says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ringfence::check::{CHECKS, IDENTITY_RULES};

use crate::world::World;

/// The floors of `src/lib.rs`, lowest first. `lib.rs` and `main.rs` stand above all.
const FLOORS: &[&[&str]] = &[
    &[
        "push", "finding", "order", "redact", "budget", "standing", "yaml",
    ],
    &["policy", "repo", "identity"],
    &["host"],
    &["scan", "check"],
    &["grant", "verdict", "gate"],
    &["report", "ledger", "audit", "cli"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder of the repository, without what is built or belongs to git.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == "target" || name == ".git" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files(&root().join("src"))
        .into_iter()
        .filter(is_rust)
        .collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The top module that a source file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.iter().next().unwrap();
    Path::new(first)
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The code of a file without its tests, which may look anywhere.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// What a line names of the crate: `crate::a::b` gives `a` and `b`; of a list after `crate::a::` each entry.
fn named(line: &str) -> Vec<(String, String)> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = Vec::new();
    for (start, _) in line.match_indices("crate::") {
        let rest = &line[start + "crate::".len()..];
        let module = word(rest);
        let below = rest[module.len()..].strip_prefix("::").unwrap_or_default();
        match below.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(list.split(", ").map(|item| (module.clone(), word(item))));
            }
            None => found.push((module, word(below))),
        }
    }
    found
}

#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        if matches!(&*module, "lib" | "main") || path.ends_with("tests.rs") {
            continue;
        }
        let own = floor_of(&module).unwrap_or_else(|| panic!("{module} has no floor"));
        for line in code(&path)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for (other, item) in named(line) {
                let Some(floor) = floor_of(&other) else {
                    continue;
                };
                let inner = root().join("src").join(&other).join(&item);
                let is_inner =
                    !item.is_empty() && (inner.is_dir() || inner.with_extension("rs").is_file());
                let is_neighbour = floor == own && other != module;
                if floor > own || (is_neighbour && is_inner) {
                    wrong.push(format!("{}: {}", shown(&path), line.trim()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that go up, or into the inside of a neighbour:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_module_is_a_drawer() {
    for path in files(root()) {
        let stem = path.file_stem().unwrap().to_string_lossy().to_lowercase();
        let folder = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        for name in ["util", "utils", "common", "helper", "helpers", "misc"] {
            assert!(
                stem != name && folder != name,
                "{} says nothing by its name",
                shown(&path)
            );
        }
    }
}

#[test]
fn no_source_file_is_long() {
    for path in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= 600,
            "{} has {lines} lines: split it by meaning",
            shown(&path)
        );
    }
}

/// The repository builds and reads the same on every machine: no absolute path into somebody's working folder.
#[test]
fn no_path_of_one_machine() {
    let here = root().to_string_lossy().into_owned();
    let places = [here, ["/wo", "rk/"].concat()];
    for path in files(root()) {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for place in &places {
            for (at, _) in text.match_indices(place.as_str()) {
                let inside_a_path =
                    text[..at].ends_with(|c: char| c.is_alphanumeric() || "/}.-_".contains(c));
                assert!(inside_a_path, "{}: {place}", shown(&path));
            }
        }
    }
}

/// The blocks of shell commands in a Markdown file.
fn shell_blocks(text: &str) -> Vec<String> {
    text.split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// `.ci/run` takes the first two blocks of the README as they stand.
#[test]
fn ci_runs_the_commands_of_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = shell_blocks(&readme);
    assert!(blocks.len() >= 2, "the README has two commands");
    assert!(
        blocks[0].contains("demo"),
        "the first ends in the demo: {}",
        blocks[0]
    );
    assert_eq!(
        blocks[1].trim(),
        "tests/run",
        "the second installs what the tests need and runs them"
    );
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(
        ci.contains("for block in 1 2") && ci.contains("README.md"),
        "CI does not run them"
    );
}

/// Rules that the cases name.
fn rules_in_cases() -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    for path in files(&root().join("testdata/pushes")) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let Some((verb, rest)) = line.split_once(' ') else {
                continue;
            };
            if matches!(verb, "accept" | "reject" | "hold") {
                rules.extend(rest.split_whitespace().map(str::to_owned));
            }
        }
    }
    rules
}

/// Every rule of every check.
fn rules() -> BTreeSet<String> {
    let of_checks = CHECKS.iter().flat_map(|check| check.rules());
    of_checks
        .chain(IDENTITY_RULES)
        .map(|rule| rule.id.to_owned())
        .collect()
}

#[test]
fn cases_name_rules_that_exist() {
    let known = rules();
    let unknown: Vec<_> = rules_in_cases().difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_rule_has_a_real_push_and_a_doc() {
    let mut proved = rules_in_cases();
    for path in ["tests/protocol.rs", "tests/faults.rs", "tests/record.rs"] {
        let text = fs::read_to_string(root().join(path)).unwrap();
        proved.extend(
            rules()
                .into_iter()
                .filter(|rule| text.contains(&format!("\"{rule}\""))),
        );
    }
    let [checks, formats] = ["docs/checks.md", "docs/rules.md"]
        .map(|path| fs::read_to_string(root().join(path)).unwrap());
    for rule in rules() {
        let told =
            checks.contains(&format!("### {rule}\n")) || formats.contains(&format!("`{rule}`"));
        assert!(told, "{rule} is not in the docs");
        let is_format = formats.contains(&format!("`{rule}`"));
        assert!(
            is_format || proved.contains(&rule),
            "no real push shows {rule}"
        );
    }
}

/// Samples are made at run time. The rules themselves show the shapes of what they look for.
#[test]
fn no_file_holds_a_secret() {
    let world = World::new();
    let mut command = world.ringfence_command(root());
    command.args(["scan", "--format", "jsonl"]);
    let is_rule = |path: &PathBuf| path.starts_with(root().join("rules/secrets"));
    command.args(files(root()).into_iter().filter(|path| !is_rule(path)));
    let output = command.output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let sure = |line: &&str| line.contains("secret/") && !line.contains("\"possible\"");
    let sure: Vec<_> = found.lines().filter(sure).collect();
    assert!(sure.is_empty(), "{}", sure.join("\n"));
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{:?}",
        output.status
    );
}
