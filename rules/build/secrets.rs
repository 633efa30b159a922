//! `rules/secrets/*.yaml` becomes `secret_rules.rs`: static tables, nothing to parse or compile at start.
//! A rule that is not right fails the build, with file and line.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

#[path = "../../src/scan/grams.rs"]
#[allow(
    unreachable_pub,
    reason = "the file is a public module of the library too"
)]
mod grams;

#[path = "../../src/scan/marks.rs"]
#[allow(unreachable_pub, reason = "the file is a module of the library too")]
mod marks;

/// Longest match of a pattern. What is longer (keys in armour, JSON web tokens) is followed by its validator.
const MATCH_MAX_BYTES: usize = 2048;

/// Hash functions tried for the prefilter. More make it quieter, and the build longer.
const HASH_TRIES: u32 = 300;

/// How far from the match a keyword may stand.
const KEYWORD_SLACK_BYTES: usize = 32;

/// Names of `src/scan/validators.rs`.
const VALIDATORS: &[&str] = &[
    "none",
    "crc32-base62",
    "crc32-base62-lenient",
    "grafana-crc",
    "aws-access-key-id",
    "aws-secret-key",
    "jwt",
    "private-key",
    "gcp-service-account",
    "age-bech32",
    "pypi-macaroon",
    "base64-64-bytes",
    "discord-token",
    "url-password",
    "random",
    "password",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: String,
    references: Vec<String>,
    revoke: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: Spanned<String>,
    title: String,
    #[serde(default)]
    description: String,
    pattern: Spanned<String>,
    keywords: Spanned<Vec<String>>,
    #[serde(default = "none")]
    validator: Spanned<String>,
    confidence: Spanned<String>,
    #[serde(default)]
    public_prefix: Option<String>,
    #[serde(default = "vendor")]
    rank: Spanned<String>,
    #[serde(default = "yes")]
    edges: bool,
    #[serde(default = "none")]
    guard: Spanned<String>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    revoke: Option<String>,
    #[serde(default)]
    references: Vec<String>,
    examples: Spanned<Vec<String>>,
    negative: Spanned<Vec<String>>,
}

fn none() -> Spanned<String> {
    unplaced("none")
}

fn vendor() -> Spanned<String> {
    unplaced("vendor")
}

fn unplaced(text: &str) -> Spanned<String> {
    let nowhere = serde_saphyr::Location::UNKNOWN;
    Spanned::new(text.to_owned(), nowhere, nowhere)
}

fn yes() -> bool {
    true
}

/// A rule and where it stands.
struct Placed {
    path: PathBuf,
    provider: String,
    rule: Rule,
    references: Vec<String>,
    revoke: String,
    reach: usize,
    captures: bool,
}

pub(crate) fn compile(out: &Path) {
    println!("cargo::rerun-if-changed=rules/secrets");
    println!("cargo::rerun-if-changed=src/scan/grams.rs");
    println!("cargo::rerun-if-changed=src/scan/marks.rs");
    println!("cargo::rerun-if-changed=rules/common-grams.txt");
    let mut errors = Vec::new();
    let rules = read_all(Path::new("rules/secrets"), &mut errors);
    if !errors.is_empty() {
        for error in &errors {
            println!("cargo::error={}", error.replace('\n', " "));
        }
        return;
    }
    let text = emit(&rules);
    std::fs::write(out.join("secret_rules.rs"), text).expect("OUT_DIR is writable");
    std::fs::write(out.join("secret_check_rules.rs"), emit_check_rules(&rules))
        .expect("OUT_DIR is writable");
}

fn read_all(folder: &Path, errors: &mut Vec<String>) -> Vec<Placed> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("rules/secrets is there")
        .map(|entry| entry.expect("rules/secrets can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    paths.sort();
    let mut placed = Vec::new();
    let mut seen: HashMap<String, PathBuf> = HashMap::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a rule file can be read");
        let file: File = match serde_saphyr::from_str(&text) {
            Ok(file) => file,
            Err(error) => {
                errors.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        for rule in file.rules {
            let before = errors.len();
            let (reach, captures) = check(&path, &rule, errors);
            if let Some(other) = seen.insert(rule.id.value.clone(), path.clone()) {
                errors.push(at(
                    &path,
                    &rule.id,
                    &format!("`{}` is already in {}", rule.id.value, other.display()),
                ));
            }
            if errors.len() > before {
                continue;
            }
            let mut references = file.references.clone();
            references.extend(rule.references.iter().cloned());
            placed.push(Placed {
                path: path.clone(),
                provider: file.provider.clone(),
                references,
                revoke: rule.revoke.clone().unwrap_or_else(|| file.revoke.clone()),
                rule,
                reach,
                captures,
            });
        }
    }
    placed
}

fn at<T>(path: &Path, spanned: &Spanned<T>, what: &str) -> String {
    format!("{}:{}: {what}", path.display(), spanned.referenced.line())
}

/// Longest match in bytes, and whether the pattern has a group.
fn check(path: &Path, rule: &Rule, errors: &mut Vec<String>) -> (usize, bool) {
    let id = &rule.id;
    let name = id.value.strip_prefix("secret/").unwrap_or("");
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(kebab) || name.contains("--") {
        errors.push(at(
            path,
            id,
            "the id is not `secret/<provider-kind>` in kebab-case",
        ));
    }
    if rule.title.is_empty() || rule.title.ends_with('.') {
        errors.push(at(path, id, "the title is empty or ends with a full stop"));
    }
    if !VALIDATORS.contains(&rule.validator.value.as_str()) {
        errors.push(at(path, &rule.validator, "no such validator"));
    }
    if !["certain", "likely", "possible"].contains(&rule.confidence.value.as_str()) {
        errors.push(at(
            path,
            &rule.confidence,
            "confidence is certain, likely or possible",
        ));
    }
    if !["vendor", "context", "generic"].contains(&rule.rank.value.as_str()) {
        errors.push(at(path, &rule.rank, "rank is vendor, context or generic"));
    }
    if rule.examples.value.is_empty() {
        errors.push(at(path, id, "a rule needs an example"));
    }
    if rule.negative.value.is_empty() {
        errors.push(at(path, id, "a rule needs a negative example"));
    }
    if rule.keywords.value.is_empty() {
        errors.push(at(path, &rule.keywords, "a rule needs a keyword"));
    }
    if !["none", "assignment", "userinfo", "tilde"].contains(&rule.guard.value.as_str()) {
        errors.push(at(
            path,
            &rule.guard,
            "guard is none, assignment, userinfo or tilde",
        ));
    }
    for keyword in &rule.keywords.value {
        let length = keyword.len();
        if !(grams::KEYWORD_MIN_BYTES..=64).contains(&length) || !keyword.is_ascii() {
            errors.push(at(
                path,
                &rule.keywords,
                &format!("the keyword `{keyword}` is not 4 to 64 bytes of ASCII"),
            ));
        }
    }
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(&rule.pattern.value);
    match parsed {
        Err(error) => {
            errors.push(at(
                path,
                &rule.pattern,
                &format!("the pattern is not a regex: {error}"),
            ));
            (0, false)
        }
        Ok(hir) => {
            let properties = hir.properties();
            let longest = properties.maximum_len().unwrap_or(usize::MAX);
            if longest > MATCH_MAX_BYTES {
                errors.push(at(
                    path,
                    &rule.pattern,
                    "the pattern has no bound, or matches more than 2048 bytes",
                ));
            }
            if properties.minimum_len().unwrap_or(0) < grams::KEYWORD_MIN_BYTES {
                errors.push(at(
                    path,
                    &rule.pattern,
                    "the pattern matches next to nothing",
                ));
            }
            // Keywords may stand beside the match.
            (
                longest.saturating_add(KEYWORD_SLACK_BYTES),
                properties.explicit_captures_len() > 0,
            )
        }
    }
}

fn camel(kebab: &str) -> String {
    kebab
        .split('-')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

fn emit(rules: &[Placed]) -> String {
    let mut keywords: Vec<(Vec<u8>, usize)> = Vec::new();
    let mut rules_of: Vec<Vec<usize>> = Vec::new();
    for (index, placed) in rules.iter().enumerate() {
        let folded = placed.rule.pattern.value.contains("(?i");
        let written = &placed.rule.keywords.value;
        for (bytes, exact) in written
            .iter()
            .flat_map(|keyword| spelled_out(keyword, folded))
        {
            let slot = keywords
                .iter()
                .position(|known| *known == (bytes.clone(), exact));
            let slot = slot.unwrap_or_else(|| {
                keywords.push((bytes, exact));
                rules_of.push(Vec::new());
                keywords.len() - 1
            });
            if !rules_of[slot].contains(&index) {
                rules_of[slot].push(index);
            }
        }
    }
    // Compressed streams are found by the same walk: their keywords stand after those of the rules.
    keywords.extend(marks::MARKS.iter().map(|mark| (mark.to_vec(), mark.len())));
    let tables = grams::build(&keywords, HASH_TRIES);

    let mut out = String::new();
    let count = rules.len();
    let _ = writeln!(out, "pub(crate) static RULES: [SecretRule; {count}] = [");
    for placed in rules {
        let rule = &placed.rule;
        let _ = writeln!(
            out,
            "SecretRule {{ id: {:?}, title: {:?}, provider: {:?}, description: {:?}, pattern: {:?}, captures: {}, \
             keywords: &{:?}, validator: Validator::{}, confidence: Confidence::{}, prefix: {:?}, reach: {}, \
             rank: Rank::{}, edges: {}, guard: Guard::{}, ignore: &{:?}, revoke: {:?}, references: &{:?}, examples: &{:?}, \
             negatives: &{:?}, file: {:?} }},",
            rule.id.value,
            rule.title,
            placed.provider,
            rule.description.trim(),
            rule.pattern.value,
            placed.captures,
            rule.keywords.value,
            camel(&rule.validator.value),
            camel(&rule.confidence.value),
            rule.public_prefix,
            placed.reach,
            camel(&rule.rank.value),
            rule.edges,
            camel(&rule.guard.value),
            rule.ignore,
            placed.revoke.trim(),
            placed.references,
            rule.examples.value,
            rule.negative.value,
            placed.path.display().to_string(),
        );
    }
    let _ = writeln!(out, "];");
    let _ = writeln!(
        out,
        "pub(crate) static COMPILED: [OnceLock<Option<Regex>>; {count}] = [const {{ OnceLock::new() }}; {count}];"
    );
    let _ = writeln!(out, "pub(crate) static RULES_OF_KEYWORD: &[&[u16]] = &[");
    for rules in &rules_of {
        let _ = writeln!(out, "&{rules:?},");
    }
    let _ = writeln!(out, "];");
    let _ = writeln!(
        out,
        "static BITMAP: [u64; {}] = {:?};",
        tables.bitmap.len(),
        tables.bitmap
    );
    let _ = writeln!(
        out,
        "static BUCKETS: [u16; {}] = {:?};",
        tables.buckets.len(),
        tables.buckets
    );
    let _ = writeln!(out, "static ENTRIES: &[Entry] = &{:?};", tables.entries);
    let _ = writeln!(out, "static KEYWORDS: &[Keyword<'static>] = &[");
    for (bytes, exact) in &keywords {
        let _ = writeln!(out, "Keyword {{ bytes: &{bytes:?}, exact: {exact} }},");
    }
    let _ = writeln!(out, "];");
    let _ = writeln!(
        out,
        "pub(crate) static PREFILTER: Prefilter<'static> = Prefilter {{ multiplier: {}, bitmap: &BITMAP, buckets: &BUCKETS, \
         entries: ENTRIES, keywords: KEYWORDS }};",
        tables.multiplier,
    );
    out
}

/// The keyword, and how many of its bytes are compared with regard to case. A star at one end stands for any letter
/// or digit (at the end also `_` and `-`), a hash at the end for any digit.
fn spelled_out(keyword: &str, folded: bool) -> Vec<(Vec<u8>, usize)> {
    let letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    let exact = |stem: &str| if folded { 0 } else { stem.len() };
    let ended = |stem: &str, ends: &str| -> Vec<(Vec<u8>, usize)> {
        ends.chars()
            .map(|end| (format!("{stem}{end}").into_bytes(), exact(stem)))
            .collect()
    };
    if let Some(stem) = keyword.strip_suffix('*') {
        ended(stem, &format!("{letters}_-"))
    } else if let Some(stem) = keyword.strip_suffix('#') {
        ended(stem, "0123456789")
    } else if let Some(stem) = keyword.strip_prefix('*') {
        letters
            .chars()
            .map(|first| (format!("{first}{stem}").into_bytes(), 0))
            .collect()
    } else {
        vec![(keyword.as_bytes().to_vec(), exact(keyword))]
    }
}

fn emit_check_rules(rules: &[Placed]) -> String {
    let mut out = String::from("&[\n");
    for placed in rules {
        let rule = &placed.rule;
        let level = if rule.confidence.value == "possible" {
            "Warn"
        } else {
            "Deny"
        };
        let doc = format!(
            "{}\n\nRevoke: {}",
            rule.description.trim(),
            placed.revoke.trim()
        );
        let _ = writeln!(
            out,
            "Rule {{ id: {:?}, title: {:?}, doc: {:?}, default: Level::{level}, default_human: Level::{level}, fixed: false }},",
            rule.id.value,
            rule.title,
            doc.trim(),
        );
    }
    out.push_str("ALREADY_PRESENT,\n]");
    out
}
