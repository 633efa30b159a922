//! The rule compiler: rule files (YAML) become checked rules and the keywords of the prefilter.
//!
//! The build script compiles `rules/secrets/` into the program; the same code compiles a user's pack when it is first
//! used. A rule that is not right is an error with file and line. Shared with the build script, so it imports nothing
//! of the crate but its two neighbours and the YAML reader.

mod file;
mod tables;

use std::collections::HashMap;

use super::grams;
use file::{FileText, RuleText};

pub use tables::{GROUP, Keywords, pack};

/// Longest match of a pattern, in bytes. What is longer (keys in armour, JSON web tokens) is followed by its validator.
const MATCH_MAX_BYTES: usize = 2048;

/// Longest and shortest value of a named rule, in bytes. A shorter one is no evidence.
const NAMED_MAX_BYTES: usize = 512;
const NAMED_MIN_BYTES: usize = 12;

/// How far from the match a keyword may stand.
const KEYWORD_SLACK_BYTES: usize = 32;

/// Longest rule file, in bytes.
pub const FILE_MAX_BYTES: u64 = 1 << 20;

/// A compiled regex of a rule may take so much memory, in bytes. Rules that repeat hugely do not pass.
pub const REGEX_MAX_BYTES: usize = 1 << 20;

/// What the control ids of a rule are when it names none: hard-coded credentials, leaked secrets of non-human
/// identities, insufficient credential hygiene.
const CONTROLS: &[&str] = &["CWE-798", "NHI2:2025", "CICD-SEC-6"];

/// Names of `Validator` that a rule may ask for, in its order.
pub const VALIDATORS: &[&str] = &[
    "none",
    "crc32-base62",
    "crc32-base62-lenient",
    "grafana-crc",
    "aws-access-key-id",
    "aws-secret-key",
    "jwt",
    "paseto",
    "paserk",
    "private-key",
    "putty-key",
    "der-key",
    "pkcs12",
    "java-keystore",
    "jwk",
    "signify",
    "s-expression",
    "gcp-service-account",
    "bech32",
    "pypi-macaroon",
    "macaroon",
    "hex-macaroon",
    "gitlab-routable",
    "luhn",
    "bitcoin-wif",
    "extended-key",
    "hex-key",
    "solana-key",
    "stellar-seed",
    "nats-seed",
    "xrp-seed",
    "tezos-key",
    "mnemonic",
    "azure-annotated-key",
    "azure-sas",
    "base64-64-bytes",
    "discord-token",
    "url-password",
    "base64-json",
    "basic-auth",
    "random",
    "password",
    "assigned-secret",
    "assigned-password",
];

/// Words for the numbers that stand in a pack.
pub const RANKS: &[&str] = &["generic", "context", "vendor"];
#[allow(missing_docs, reason = "see above")]
pub const GUARDS: &[&str] = &["none", "assignment", "userinfo", "tilde"];

/// How a rule finds its values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// The pattern is that of the secret with what must stand around it.
    #[default]
    Pattern,
    /// The pattern is that of the value alone; a name of the provider stands before it.
    Named {
        /// A word such as `key` or `token` must stand there too.
        telling: bool,
        /// Shortest value, in bytes.
        shortest: u16,
    },
    /// Any value that is assigned to a telling name: the keyword.
    Assigned,
}

/// A checked rule.
#[derive(Debug, Clone, Default)]
#[allow(
    missing_docs,
    reason = "the fields of `SecretRule`, which says what they are"
)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub provider: String,
    pub description: String,
    pub form: Form,
    pub pattern: String,
    pub captures: bool,
    pub keywords: Vec<String>,
    pub validator: String,
    pub confidence: String,
    pub prefix: Option<String>,
    pub reach: usize,
    pub rank: String,
    pub edges: bool,
    pub guard: String,
    pub ignore: Vec<String>,
    pub revoke: String,
    pub references: Vec<String>,
    pub controls: Vec<String>,
    pub examples: Vec<String>,
    pub negatives: Vec<String>,
    pub file: String,
}

/// Reads rule files: their names as they are to be shown, and their texts. Every mistake of every file is told.
pub fn read(files: &[(String, String)]) -> Result<Vec<Rule>, Vec<String>> {
    let mut errors = Vec::new();
    let mut rules = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for (name, text) in files {
        let file = match file::read(text) {
            Ok(file) => file,
            Err(mistakes) => {
                let told = mistakes.iter().map(|mistake| {
                    let line = mistake.at.line.max(1);
                    format!("{name}:{line}: {mistake}")
                });
                errors.extend(told);
                continue;
            }
        };
        for rule in &file.rules {
            let known = seen.insert(rule.id.value.clone(), name.clone());
            let mut mistakes = Mistakes {
                file: name,
                line: rule.id.line,
                errors: &mut errors,
                count: 0,
            };
            if let Some(other) = known {
                let id = &rule.id.value;
                mistakes.tell(&format!("`{id}` is already in {other}"));
            }
            let (form, reach, captures) = check(rule, &mut mistakes);
            if mistakes.count == 0 {
                rules.push(checked(&file, rule, name, form, reach, captures));
            }
        }
    }
    match errors.is_empty() {
        true => Ok(rules),
        false => Err(errors),
    }
}

fn checked(
    file: &FileText,
    rule: &RuleText,
    name: &str,
    form: Form,
    reach: usize,
    captures: bool,
) -> Rule {
    let controls = [&rule.controls, &file.controls];
    let controls = match controls.into_iter().find(|list| !list.is_empty()) {
        Some(list) => list.clone(),
        None => CONTROLS.iter().map(|&id| id.to_owned()).collect(),
    };
    let written = if form == Form::Pattern {
        &rule.keywords
    } else {
        &rule.names
    };
    Rule {
        id: rule.id.value.clone(),
        title: rule.title.clone(),
        provider: file.provider.clone(),
        description: rule.description.trim().to_owned(),
        form,
        pattern: rule
            .pattern
            .as_ref()
            .or(rule.value.as_ref())
            .map_or(String::new(), |pattern| pattern.value.clone()),
        captures,
        keywords: written.clone(),
        validator: rule.validator.clone(),
        confidence: rule.confidence.clone(),
        prefix: rule.public_prefix.clone(),
        reach,
        rank: rule.rank.clone(),
        edges: rule.edges,
        guard: rule.guard.clone(),
        ignore: rule.ignore.clone(),
        revoke: rule
            .revoke
            .as_ref()
            .unwrap_or(&file.revoke)
            .trim()
            .to_owned(),
        references: [file.references.as_slice(), &rule.references].concat(),
        controls,
        examples: rule.examples.clone(),
        negatives: rule.negative.clone(),
        file: name.to_owned(),
    }
}

/// Where mistakes of one rule go.
struct Mistakes<'a> {
    file: &'a str,
    line: u32,
    errors: &'a mut Vec<String>,
    count: usize,
}

impl Mistakes<'_> {
    fn tell(&mut self, what: &str) {
        let line = self.line;
        self.at(line, what);
    }

    fn at(&mut self, line: u32, what: &str) {
        self.errors.push(format!("{}:{line}: {what}", self.file));
        self.count += 1;
    }
}

/// The form, the longest match in bytes, and whether the pattern has a group.
fn check(rule: &RuleText, wrong: &mut Mistakes<'_>) -> (Form, usize, bool) {
    let name = rule.id.value.strip_prefix("secret/").unwrap_or("");
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(kebab) || name.contains("--") {
        wrong.tell("the id is not `secret/<provider-kind>` in kebab-case");
    }
    if rule.title.is_empty() || rule.title.ends_with('.') {
        wrong.tell("the title is empty or ends with a full stop");
    }
    let known = [
        ("validator", &rule.validator, VALIDATORS),
        ("confidence", &rule.confidence, &["likely", "possible"]),
        ("rank", &rule.rank, RANKS),
        ("guard", &rule.guard, GUARDS),
    ];
    for (key, word, words) in known {
        if !words.contains(&word.as_str()) {
            wrong.tell(&format!(
                "{key} `{word}` is not one of: {}",
                words.join(", ")
            ));
        }
    }
    if rule.examples.is_empty() || rule.negative.is_empty() {
        wrong.tell("a rule needs an example and a negative example");
    }
    let (form, pattern, words) = match (&rule.pattern, &rule.value, rule.names.is_empty()) {
        (Some(pattern), None, true) => (Form::Pattern, Some(pattern), &rule.keywords),
        (None, Some(value), false) => {
            let named = Form::Named {
                telling: rule.telling,
                shortest: 0,
            };
            (named, Some(value), &rule.names)
        }
        (None, None, false) => (Form::Assigned, None, &rule.names),
        _ => {
            wrong.tell(
                "a rule has `pattern` and `keywords`, or `names` and `value`, or `names` alone",
            );
            return (Form::Assigned, 0, false);
        }
    };
    if words.is_empty() || (form != Form::Pattern && !rule.keywords.is_empty()) {
        wrong.tell("a rule needs `keywords` with its `pattern`, or `names` with its `value`");
    }
    for word in words {
        let stem = word.trim_matches('*').trim_end_matches('#');
        let length = stem.chars().count() + usize::from(stem.len() < word.len());
        if !(grams::KEYWORD_MIN_BYTES..=64).contains(&length)
            || stem.chars().any(|letter| u32::from(letter) > 0xff)
        {
            wrong.tell(&format!("the keyword `{word}` is not 4 to 64 bytes"));
        }
    }
    let Some(pattern) = pattern else {
        return (form, 0, false);
    };
    match shape_of(&pattern.value) {
        Err(error) => {
            wrong.at(pattern.line, &error);
            (form, 0, false)
        }
        Ok(shape) => {
            let most = match form {
                Form::Pattern => MATCH_MAX_BYTES,
                _ => NAMED_MAX_BYTES,
            };
            let least = match form {
                Form::Pattern => grams::KEYWORD_MIN_BYTES,
                _ => NAMED_MIN_BYTES,
            };
            if shape.longest > most {
                let what = format!("the pattern has no bound, or matches more than {most} bytes");
                wrong.at(pattern.line, &what);
            }
            if shape.shortest < least {
                let what = format!("the pattern matches less than {least} bytes");
                wrong.at(pattern.line, &what);
            }
            let form = match form {
                Form::Named { telling, .. } => Form::Named {
                    telling,
                    shortest: u16::try_from(shape.shortest).unwrap_or(u16::MAX),
                },
                form => form,
            };
            // Keywords may stand beside the match.
            let slack = if form == Form::Pattern {
                KEYWORD_SLACK_BYTES
            } else {
                0
            };
            (form, shape.longest.saturating_add(slack), shape.captures)
        }
    }
}

struct Shape {
    shortest: usize,
    longest: usize,
    captures: bool,
}

fn shape_of(pattern: &str) -> Result<Shape, String> {
    let hir = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(50)
        .build()
        .parse(pattern)
        .map_err(|error| match error {
            // One line: what else the error shows is the pattern.
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        })
        .map_err(|error| format!("the pattern is not a regex: {error}"))?;
    let properties = hir.properties();
    Ok(Shape {
        shortest: properties.minimum_len().unwrap_or(0),
        longest: properties.maximum_len().unwrap_or(usize::MAX),
        captures: properties.explicit_captures_len() > 0,
    })
}
