//! `ringfence policy`: checks, shows and explains a policy, and runs its own tests.

mod answers;
mod show;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;

use super::Exit;
use crate::check;
use crate::finding::{PathOp, RefOp};
use crate::identity::{Actor, actor_at_any_time};
use crate::ledger;
use crate::policy::{self, Expect, Kind, Policy, Reason};
use crate::push::RefName;
use crate::repo::Layout;
use crate::scan::{self, PackError};
use crate::standing::Standing;

/// Arguments of `ringfence policy`.
#[derive(Debug, clap::Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Find every mistake in the policy
    Check(File),
    /// Show what one identity may do
    Show(Show),
    /// Say what decides about one change, and what would let it pass
    Explain(Explain),
    /// Ask the policy what its `tests:` section asks
    Test(File),
    /// Print the JSON Schema of the policy, for editors
    Schema,
}

#[derive(Debug, clap::Args)]
struct File {
    /// The policy [default: $RINGFENCE_POLICY, else that of the repository here, else /etc/ringfence/policy.yaml].
    #[arg(long = "policy", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The same, without the flag.
    #[arg(value_name = "FILE", conflicts_with = "policy")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Who {
    /// The identity.
    #[arg(long = "as", value_name = "ID")]
    identity: String,
    /// The repository, for identities with a boundary for each.
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    place: File,
    #[command(flatten)]
    who: Who,
    /// How.
    #[arg(long, default_value = "text", value_parser = ["text", "json", "markdown"])]
    format: String,
}

#[derive(Debug, clap::Args)]
struct Explain {
    #[command(flatten)]
    place: File,
    #[command(flatten)]
    who: Who,
    /// The full name of a ref.
    #[arg(long = "ref", value_name = "REF", required_unless_present = "path")]
    ref_name: Option<String>,
    /// A path.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// What happens to the path (add, modify, delete, mode, symlink, submodule) or, without one, to the ref
    /// (create, update, force, delete) [default: modify the path; create or update the ref].
    #[arg(long, value_name = "OP")]
    op: Option<String>,
    /// What happens to the ref when there is a path too.
    #[arg(long, value_name = "OP")]
    ref_op: Option<String>,
    /// How.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// A command that cannot go on: what to say, and how to end.
type Stop = (String, Exit);

/// Runs `ringfence policy`.
pub(super) fn run(args: &PolicyArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let done = match &args.command {
        Sub::Check(file) => examine(file, out),
        Sub::Show(args) => show(args, out),
        Sub::Explain(args) => explain(args, out),
        Sub::Test(file) => test(file, out),
        Sub::Schema => {
            let text = serde_json::to_string_pretty(&policy::schema());
            let _ = writeln!(out, "{}", text.unwrap_or_default());
            Ok(Exit::Accept)
        }
    };
    done.unwrap_or_else(|(message, exit)| {
        let _ = writeln!(err, "{}", message.trim_end());
        exit
    })
}

impl File {
    /// Where the policy is, without a repository's own place unless the current folder is in one.
    fn find(&self) -> Result<PathBuf, Stop> {
        let explicit = self.policy.as_deref().or(self.file.as_deref());
        let vars = |name: &str| std::env::var_os(name);
        let git_dir = std::env::var_os("GIT_DIR").map(PathBuf::from).or_else(|| {
            let here = std::env::current_dir().ok()?;
            let layout = Layout::discover(&here).ok()?;
            Some(layout.common_dir)
        });
        Policy::find(explicit, &vars, git_dir.as_deref())
            .map_err(|error| (format!("error: {error}"), Exit::Usage))
    }

    fn load(&self) -> Result<Policy, Stop> {
        Policy::load(&self.find()?, &check::known())
            .map_err(|error| (error.to_string(), Exit::Usage))
    }
}

fn examine(file: &File, out: &mut dyn Write) -> Result<Exit, Stop> {
    let path = file.find()?;
    let unusable = |error: policy::PolicyError| (error.to_string(), Exit::Usage);
    // With its packs in use their rules are known by name.
    let packs = Policy::load(&path, &check::known())
        .map_err(unusable)?
        .rule_packs;
    let examined = examine_packs(&packs);
    let now = jiff::Timestamp::now();
    let (policy, warnings) =
        Policy::load_examined(&path, &check::known(), now).map_err(unusable)?;
    if !warnings.each().is_empty() {
        let _ = writeln!(out, "{warnings}");
    }
    let rules = examined?;
    let suppressions = match policy.suppressions().len() {
        0 => String::new(),
        1 => "1 suppression, ".to_owned(),
        count => format!("{count} suppressions, "),
    };
    let _ = writeln!(
        out,
        "{}: valid: {} identities, {} boundaries, {} tests, {suppressions}{rules}{} warnings",
        policy.file,
        policy.identity_names().count(),
        policy.boundary_count(),
        policy.tests().len(),
        warnings.each().len()
    );
    Ok(Exit::Accept)
}

/// What the packs of the policy bring, in words. Packs that cannot be used make the policy one that cannot be used.
fn examine_packs(packs: &[PathBuf]) -> Result<String, Stop> {
    // A path that is not here may be there on the server: that is a warning of the policy itself.
    if packs.is_empty() || packs.iter().any(|pack| !pack.exists()) {
        return Ok(String::new());
    }
    let wrong = |error: PackError| {
        let lines = error.to_string();
        let lines: Vec<String> = lines.lines().map(|line| format!("error: {line}")).collect();
        let hint = "hint: every push is refused until the rules of the policy can be used";
        (format!("{}\n{hint}", lines.join("\n")), Exit::Usage)
    };
    let examined = scan::examine(packs).map_err(wrong)?;
    super::use_rules(packs, None).map_err(wrong)?;
    Ok(format!("{examined}, "))
}

/// The actor that a question is about.
fn actor(policy: &Policy, name: &str, repository: Option<&str>) -> Result<Actor, Stop> {
    let names: Vec<String> = repository.map(str::to_owned).into_iter().collect();
    actor_at_any_time(policy, name, &names).map_err(|refused| {
        let hint = match (refused.rule, repository) {
            ("identity/repository", None) => {
                "\nhint: name the repository: --repository OWNER/NAME".to_owned()
            }
            ("identity/unknown", _) => {
                let names: Vec<&str> = policy.identity_names().take(20).collect();
                format!("\nhint: identities of the policy: {}", names.join(", "))
            }
            _ => String::new(),
        };
        (format!("error: {refused}{hint}"), Exit::Usage)
    })
}

fn show(args: &Show, out: &mut dyn Write) -> Result<Exit, Stop> {
    let policy = args.place.load()?;
    let actor = actor(&policy, &args.who.identity, args.who.repository.as_deref())?;
    let repository = args.who.repository.as_deref();
    let standing = standing(&policy);
    let since = standing.suspended_since(&args.who.identity);
    let text = match &*args.format {
        "json" => show::json(&policy, &actor, repository, since),
        "markdown" => show::markdown(&policy, &actor, repository, since),
        _ => show::text(&policy, &actor, repository, since),
    };
    let _ = out.write_all(text.as_bytes());
    Ok(Exit::Accept)
}

/// What the ledger of the policy, or else of the repository here, says: as far as it is here and can be read.
fn standing(policy: &Policy) -> Standing {
    let here = || {
        let layout = Layout::discover(&std::env::current_dir().ok()?).ok()?;
        Some(ledger::default_path(&layout.common_dir))
    };
    let path = policy.ledger.clone().or_else(here);
    let found = path.map(|path| ledger::standing_beside(&path));
    found
        .and_then(|found| found.ok().flatten())
        .unwrap_or_default()
}

fn explain(args: &Explain, out: &mut dyn Write) -> Result<Exit, Stop> {
    let usage = |message: String| (format!("error: {message}"), Exit::Usage);
    let ref_op = |name: &str| -> Result<RefOp, Stop> {
        policy::ref_op(name).ok_or_else(|| {
            usage(format!(
                "`{}` is no operation on a ref: create, update, force, delete",
                name.escape_debug()
            ))
        })
    };
    let path_op = |name: &str| -> Result<PathOp, Stop> {
        policy::path_op(name).ok_or_else(|| {
            usage(format!(
                "`{}` is no operation on a path: add, modify, delete, mode, symlink, submodule",
                name.escape_debug()
            ))
        })
    };
    let policy = args.place.load()?;
    let actor = actor(&policy, &args.who.identity, args.who.repository.as_deref())?;
    let mut reasons = Vec::new();
    if let Some(name) = &args.ref_name {
        let name = RefName::new(name.as_str())
            .map_err(|error| usage(format!("the ref `{}` {error}", name.escape_debug())))?;
        let op = match (&args.ref_op, &args.op, &args.path) {
            (Some(op), ..) | (None, Some(op), None) => Some(ref_op(op)?),
            _ => None,
        };
        reasons.extend(answers::of_ref(&actor, &name, op));
        let now = jiff::Timestamp::now();
        reasons.extend(answers::of_freeze(&actor, &name, now));
    }
    if let Some(path) = &args.path {
        if path.is_empty() {
            return Err(usage("the path is empty".to_owned()));
        }
        let op = args.op.as_deref().map_or(Ok(PathOp::Modify), path_op)?;
        reasons.extend(answers::of_path(&actor, path.as_bytes(), op));
    }
    let suppressed = match &args.path {
        Some(path) => policy.suppressions_at(
            actor.name.as_deref(),
            actor.boundary.name(),
            args.who.repository.as_deref(),
            path.as_bytes(),
            jiff::Timestamp::now(),
        ),
        None => Vec::new(),
    };
    let allowed = reasons.iter().all(|reason| reason.answer == Expect::Accept);
    if args.format == "json" {
        let _ = writeln!(out, "{}", show::reasons_json(&actor, &reasons, &suppressed));
    } else {
        for reason in &reasons {
            write_reason(reason, out);
        }
        for asked in &actor.boundary.view().signing {
            let (name, value, at) = (asked.name, &asked.value, &asked.at);
            let _ = writeln!(out, "also asked: {name}: {value} ({at})");
        }
        for entry in &suppressed {
            let (id, what, at) = (&entry.id, &entry.what, &entry.at);
            let _ = writeln!(out, "suppression there: {what}");
            let _ = writeln!(out, "  {id} ({at}), {}", show::term(entry));
        }
    }
    Ok(if allowed { Exit::Accept } else { Exit::Refuse })
}

/// One answer, three kinds of lines: what, why with its line, and what would pass.
fn write_reason(reason: &Reason, out: &mut dyn Write) {
    let _ = writeln!(out, "{}: {}", reason.answer.as_str(), reason.asked);
    let at = match reason.at.line {
        0 => reason.at.what.to_string(),
        _ => format!("{}: {}", policy::place(&reason.at), reason.at.what),
    };
    let _ = writeln!(out, "  {} ({at})", reason.why);
    for (index, way) in reason.pass.iter().enumerate() {
        let lead = if index == 0 { "to pass: " } else { "         " };
        let way = match index {
            0 => way.strip_prefix("or ").unwrap_or(way),
            _ => way,
        };
        let _ = writeln!(out, "  {lead}{way}");
    }
}

fn test(file: &File, out: &mut dyn Write) -> Result<Exit, Stop> {
    let policy = file.load()?;
    if policy.tests().is_empty() {
        return Err((
            format!("error: {} has no `tests`", policy.file),
            Exit::Usage,
        ));
    }
    let mut failed = 0;
    for case in policy.tests() {
        let actor = actor(&policy, &case.identity, case.repository.as_deref());
        let (answer, reasons) = match &actor {
            Ok(actor) => {
                let mut reasons = answers::of_ref(actor, &case.name, case.op);
                for (op, path) in &case.changes {
                    reasons.extend(answers::of_path(actor, path.as_bytes(), *op));
                }
                let strictest = reasons.iter().map(|reason| reason.answer);
                let strictest = strictest.max_by_key(|answer| *answer as u8);
                (strictest.unwrap_or(Expect::Accept), reasons)
            }
            // No boundary in that repository: refused like any push there.
            Err(_) => (Expect::Reject, Vec::new()),
        };
        let good = answer == case.expect;
        let changes: Vec<String> = case
            .changes
            .iter()
            .map(|(op, path)| format!("{} {path}", policy::path_op_name(*op)))
            .collect();
        let _ = writeln!(
            out,
            "{} {}:{} {} {}{}{}: {}",
            if good { "ok  " } else { "FAIL" },
            policy.file,
            case.line,
            case.identity,
            String::from_utf8_lossy(case.name.as_bytes()),
            if changes.is_empty() { "" } else { ", " },
            changes.join(", "),
            answer.as_str()
        );
        if !good {
            failed += 1;
            let _ = writeln!(out, "     expected {}", case.expect.as_str());
            for reason in reasons.iter().filter(|reason| reason.answer == answer) {
                let _ = writeln!(
                    out,
                    "     {}: {} ({})",
                    reason.asked,
                    reason.why,
                    policy::place(&reason.at)
                );
            }
            if let Err((message, _)) = actor {
                let _ = writeln!(out, "     {message}");
            }
        }
    }
    let total = policy.tests().len();
    let _ = writeln!(out, "{} of {total} tests as expected", total - failed);
    Ok(if failed == 0 {
        Exit::Accept
    } else {
        Exit::Refuse
    })
}

/// The word for a kind, with its article.
fn a_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Agent => "an agent",
        Kind::Human => "a human",
        Kind::Service => "a service",
    }
}
