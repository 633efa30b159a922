//! `ringfence rules`: what is looked for, and the proof that it is found.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::check::{CHECKS, Rule, find_rule};
use crate::cli::Exit;
use crate::finding::{Confidence, Level};
use crate::scan::{BUILTIN, Form, SecretRule, active, test_pack};

/// Arguments of `ringfence rules`.
#[derive(Debug, clap::Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    command: Sub,
    /// A folder or file with more rules; may be given again
    #[arg(long, value_name = "DIR", global = true)]
    rules: Vec<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// All rules of all checks
    List {
        /// How
        #[arg(long, default_value = "text", value_parser = ["text", "json", "markdown"])]
        format: String,
    },
    /// What one rule means, and what to do about a finding
    Show {
        /// Such as secret/github-pat
        id: String,
    },
    /// Make samples of every secret format, and look for them in many surroundings
    Test {
        /// One rule alone
        id: Option<String>,
    },
}

pub(super) fn run(args: &RulesArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    if let Err(error) = super::use_rules(&args.rules, None) {
        let _ = writeln!(err, "error: {error}");
        return Exit::Usage;
    }
    let text = match &args.command {
        Sub::List { format } => match format.as_str() {
            "json" => format!("{:#}\n", json_list()),
            "markdown" => markdown(),
            _ => text_list(),
        },
        Sub::Show { id } => match find(id) {
            Some((check, rule)) => show(check, rule),
            None => {
                let _ = writeln!(
                    err,
                    "error: no rule `{}`; `ringfence rules list` names all",
                    id.escape_default()
                );
                return Exit::Usage;
            }
        },
        Sub::Test { id } => return test(id.as_deref(), out, err),
    };
    let _ = out.write_all(text.as_bytes());
    Exit::Accept
}

fn find(id: &str) -> Option<(&'static str, &'static Rule)> {
    match find_rule(id) {
        (check, Some(rule)) => Some((check, rule)),
        _ => None,
    }
}

fn all() -> impl Iterator<Item = (&'static str, &'static Rule)> {
    CHECKS
        .iter()
        .flat_map(|check| check.rules().iter().map(|rule| (check.name(), rule)))
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Off => "off",
        Level::Warn => "warn",
        Level::Hold => "hold",
        Level::Deny => "deny",
    }
}

fn sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Possible => "possible",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
}

fn text_list() -> String {
    let width = all().map(|(_, rule)| rule.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut last = "";
    for (check, rule) in all() {
        if check != last {
            let gap = if last.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{check}\n"));
            last = check;
        }
        text.push_str(&format!("  {:width$}  {}\n", rule.id, rule.title));
    }
    text
}

fn json_list() -> Value {
    all()
        .map(|(check, rule)| {
            let secret = active().find(rule.id);
            let about = secret.map(SecretRule::about);
            json!({
                "id": rule.id,
                "check": check,
                "title": rule.title,
                "default": word(rule.default),
                "default_human": word(rule.default_human),
                "fixed": rule.fixed,
                "provider": about.map(|about| about.provider),
                "confidence": secret.map(|rule| sure(rule.confidence)),
                "prefix": secret.and_then(|rule| rule.prefix),
                "description": about.map(|about| about.description),
                "form": secret.map(form),
                "pattern": secret.map(|rule| rule.pattern),
                "keywords": about.map(|about| about.keywords),
                "validator": secret.map(|rule| rule.validator.name()),
                "prefix_bytes": secret.map(|rule| rule.prefix.map_or(0, str::len)),
                "references": about.map(|about| about.references),
                "revoke": about.map(|about| about.revoke),
                "controls": about.map(|about| about.controls),
                "examples": about.map(|about| about.examples),
                "negative": about.map(|about| about.negatives),
            })
        })
        .collect()
}

fn show(check: &str, rule: &Rule) -> String {
    let mut text = format!("{}: {}\ncheck: {check}\n", rule.id, rule.title);
    text.push_str(&format!(
        "default: {} for agents and services, {} for humans\n",
        word(rule.default),
        word(rule.default_human)
    ));
    match active().find(rule.id) {
        None => text.push_str(&format!("\n{}\n", rule.doc)),
        Some(secret) => {
            let about = secret.about();
            text.push_str(&format!(
                "provider: {}\nconfidence: {}",
                about.provider,
                sure(secret.confidence)
            ));
            text.push_str(match is_proved(secret) {
                true => ", certain when its checksum or structure is right\n",
                false => "\n",
            });
            text.push_str(&format!("controls: {}\n", about.controls.join(", ")));
            if !about.description.is_empty() {
                text.push_str(&format!("\n{}\n", about.description));
            }
            text.push_str(&format!("\nRevoke: {}\n", about.revoke));
            for reference in about.references {
                text.push_str(&format!("See: {reference}\n"));
            }
        }
    }
    text
}

fn form(rule: &SecretRule) -> &'static str {
    match rule.form {
        Form::Pattern => "pattern",
        Form::Named { .. } => "named",
        Form::Assigned => "assigned",
    }
}

/// Whether a validator can prove a match.
fn is_proved(rule: &SecretRule) -> bool {
    use crate::scan::Validator::*;
    !matches!(
        rule.validator,
        None | AwsSecretKey
            | Jwt
            | Base6464Bytes
            | UrlPassword
            | BasicAuth
            | Random
            | Password
            | AssignedSecret
            | AssignedPassword
    )
}

/// The text of `docs/rules.md`.
fn markdown() -> String {
    let mut text = String::from(
        "# Secret formats\n\n\
         <!-- Made from rules/secrets/: RINGFENCE_WRITE_DOCS=1 cargo test --lib writes it anew. -->\n\n\
         Each is a rule of the check `secrets`. `certain` and `likely` findings are denied by default, `possible` ones are \
         warned about. A mark in the column *proof* says that a checksum, the structure or the key material is verified: \
         such a match is `certain`. `ringfence rules show ID` tells more, and how to revoke.\n\n\
         | rule | what | provider | confidence | proof |\n|---|---|---|---|---|\n",
    );
    for rule in BUILTIN.rules() {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            rule.id,
            rule.title,
            rule.about().provider,
            sure(rule.confidence),
            if is_proved(rule) { "yes" } else { "" },
        ));
    }
    text
}

fn test(id: Option<&str>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    if let Some(id) = id
        && active().find(id).is_none()
    {
        let _ = writeln!(err, "error: no secret rule `{}`", id.escape_default());
        return Exit::Usage;
    }
    let failures = test_pack(active(), id, 5);
    for failure in &failures {
        let _ = writeln!(out, "{failure}");
    }
    let rules = active()
        .rules()
        .filter(|rule| id.is_none_or(|id| rule.id == id));
    let (mut count, mut samples, mut negatives) = (0, 0, 0);
    for rule in rules {
        count += 1;
        samples += rule.about().examples.len();
        negatives += rule.about().negatives.len();
    }
    let _ = writeln!(
        out,
        "{count} rules, {samples} sample formats, {negatives} negatives: {} failures",
        failures.len()
    );
    match failures.is_empty() {
        true => Exit::Accept,
        false => Exit::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Dice, make_sample};

    #[test]
    fn the_docs_say_what_the_rules_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
        if std::env::var_os("RINGFENCE_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            written,
            markdown(),
            "RINGFENCE_WRITE_DOCS=1 cargo test --lib"
        );
    }

    #[test]
    fn every_rule_can_be_shown() {
        for (check, rule) in all() {
            assert!(show(check, rule).contains(rule.title));
        }
        for rule in active().rules() {
            assert!(find(rule.id).is_some());
            for format in rule.about().examples {
                assert!(make_sample(format, &mut Dice::new(1)).is_ok());
            }
        }
    }
}
