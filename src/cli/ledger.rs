//! `ringfence ledger`: proves that the record is whole, and answers questions about it.

mod filter;
mod orders;
#[cfg(test)]
mod tests;
mod uses;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use self::filter::{Chosen, Filter};
use super::Exit;
use crate::ledger::{self, Book, Broken, Decided, Event, Found, Id, Moved, Record, Stopped};
use crate::policy::{Known, Policy};
use crate::redact::Quoted;
use crate::repo::Layout;

/// Arguments of `ringfence ledger`.
#[derive(Debug, clap::Args)]
pub(super) struct LedgerArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Check that no entry was changed, lost or put in between
    Verify(VerifyArgs),
    /// Show entries as a person reads them
    Show(ShowArgs),
    /// Write entries as they are stored, one JSON object a line
    Export(ExportArgs),
    /// Tell which suppressions of the policy were used, and which were not
    Suppressions(uses::Args),
    /// Say that the clock is right now, after it was ahead: agents are refused while the record has later entries
    Clock(orders::ClockArgs),
    /// Say whose a ref is, where the record does not know it
    Assign(orders::AssignArgs),
    /// Make the index anew: owners of refs, and what counts over time
    Index(orders::IndexArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The ledger [default: the one of the policy, else of the repository]
    file: Option<PathBuf>,
    /// Hash of an entry, noted elsewhere before: it must still be there. Without it, entries that were cut off at
    /// the end cannot be missed
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    head: Option<[u8; 32]>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// One decision, as the pusher's message names it
    #[arg(value_parser = parse_id)]
    id: Option<Id>,
    /// `text`, or `jsonl`: as stored
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "jsonl"], default_value = "text")]
    format: String,
    /// All that each entry tells, not one line of it
    #[arg(long)]
    full: bool,
    /// The ledger [default: the one of the policy, else of the repository]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// The ledger [default: the one of the policy, else of the repository]
    file: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
}

/// Where the ledger is looked for when no file is given.
#[derive(Debug, clap::Args)]
struct Place {
    /// A repository [default: the one of the current folder]
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The policy, which may name the ledger
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

fn parse_hash(text: &str) -> Result<[u8; 32], String> {
    ledger::hex32(text.as_bytes()).ok_or_else(|| "a hash has 64 hex digits".into())
}

fn parse_id(text: &str) -> Result<Id, String> {
    Id::parse(text).ok_or_else(|| "an id looks like 7Q4M-2KX9".into())
}

fn parse_time(text: &str) -> Result<jiff::Timestamp, String> {
    let whole = format!("{text}T00:00:00Z");
    text.parse()
        .or_else(|_| whole.parse())
        .map_err(|_| "a time looks like 2026-11-22 or 2026-11-22T20:12:05Z".into())
}

/// Runs `ringfence ledger`.
pub(super) fn run(args: &LedgerArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let named = |file: &Option<PathBuf>, place: &Place| match file {
        Some(file) => Ok(file.clone()),
        None => place.ledger(),
    };
    let path = match &args.task {
        Task::Verify(args) => named(&args.file, &args.place),
        Task::Show(args) => named(&args.file, &args.place),
        Task::Export(args) => named(&args.file, &args.place),
        Task::Suppressions(args) => named(&args.file, &args.place),
        Task::Clock(args) => args.ledger(),
        Task::Assign(args) => args.ledger(),
        Task::Index(args) => args.ledger(),
    };
    let path = match path {
        Ok(path) => path,
        Err(why) => {
            let _ = writeln!(err, "error: {why}");
            return Exit::Usage;
        }
    };
    let done = match &args.task {
        Task::Verify(args) => verify(&path, args.head, out, err),
        Task::Show(args) => show(&path, args, out, err),
        Task::Export(args) => export(&path, &args.filter, out, err),
        Task::Suppressions(args) => uses::run(&path, args, out, err),
        Task::Clock(args) => args.run(&path, out),
        Task::Assign(args) => args.run(&path, out, err),
        Task::Index(args) => args.run(&path, out),
    };
    match done {
        Ok(exit) => exit,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Accept,
        Err(error) => {
            let _ = writeln!(err, "error: {}: {error}", path.display());
            Exit::Usage
        }
    }
}

impl Place {
    /// The policy: named, or where a hook of this repository would find it.
    fn policy_file(&self) -> Result<PathBuf, String> {
        let from = self.repo.as_deref().unwrap_or(Path::new("."));
        let layout = Layout::discover(from).ok();
        let git_dir = layout.as_ref().map(|layout| layout.common_dir.as_path());
        let vars = |name: &str| std::env::var_os(name);
        Policy::find(self.policy.as_deref(), &vars, git_dir).map_err(|error| error.to_string())
    }

    fn ledger(&self) -> Result<PathBuf, String> {
        let from = self.repo.as_deref().unwrap_or(Path::new("."));
        let layout = Layout::discover(from);
        let git_dir = layout.as_ref().ok().map(|layout| layout.git_dir.as_path());
        let vars = |name: &str| std::env::var_os(name);
        match Policy::find(self.policy.as_deref(), &vars, git_dir) {
            Ok(path) => {
                // Only the place of the ledger is asked for; the names of checks do not matter.
                let policy = Policy::load(&path, &Known::ANY).map_err(|error| error.brief())?;
                if let Some(path) = policy.ledger {
                    return Ok(path);
                }
            }
            Err(error) if self.policy.is_some() => return Err(error.to_string()),
            Err(_) => {}
        }
        match layout {
            Ok(layout) => Ok(ledger::default_path(&layout.git_dir)),
            Err(error) => Err(format!("{error}; name the ledger's file")),
        }
    }
}

fn verify(
    path: &Path,
    head: Option<[u8; 32]>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let from = BufReader::with_capacity(64 << 10, File::open(path)?);
    let shown = path.display();
    let verified = match ledger::verify(from, head) {
        Ok(verified) => verified,
        Err(Broken::Io(error)) => return Err(error),
        Err(Broken::Line { line, why }) => {
            writeln!(err, "error: {shown}:{line}: {why}")?;
            return Ok(Exit::Refuse);
        }
        Err(broken) => {
            writeln!(err, "error: {shown}: {broken}")?;
            return Ok(Exit::Refuse);
        }
    };
    for (seq, bytes) in &verified.torn {
        writeln!(
            out,
            "warning: before entry {seq} stand {bytes} bytes of an append that was cut short"
        )?;
    }
    if verified.unfinished > 0 {
        let bytes = verified.unfinished;
        writeln!(
            out,
            "warning: the last {bytes} bytes are an append that was cut short"
        )?;
    }
    // Cut off to nothing, or no ledger at all.
    if verified.entries == 0 {
        writeln!(
            err,
            "error: {shown}: no entry, so there is nothing to verify"
        )?;
        return Ok(Exit::Refuse);
    }
    writeln!(out, "ok: {} entries, the chain is whole", verified.entries)?;
    if let Some(head) = &verified.head {
        let hash = data_encoding::HEXLOWER.encode(&head.hash);
        writeln!(out, "head: {hash}")?;
    }
    let first = ledger::records(path)?.next().transpose()?;
    if let Some(Event::Continued(before)) = first.map(|(_, record)| record.entry.event) {
        writeln!(out, "continues: {}", plain(&before.head))?;
    }
    Ok(Exit::Accept)
}

/// The ledger with its older files.
fn book(path: &Path, filter: &Filter) -> io::Result<Book> {
    let mut files = filter.older.clone();
    files.push(path.to_owned());
    Book::read(&files)
}

fn export(
    path: &Path,
    filter: &Filter,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let book = book(path, filter)?;
    let mut chosen = Chosen::by(filter);
    for file in book.files() {
        for entry in ledger::records(file)? {
            let (line, record) = entry?;
            if chosen.takes(&record) {
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
        }
    }
    trust(&book, err)
}

fn show(
    path: &Path,
    args: &ShowArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let book = book(path, &args.filter)?;
    let mut chosen = Chosen::by(&args.filter);
    let mut found = false;
    for file in book.files() {
        for entry in ledger::records(file)? {
            let (line, record) = entry?;
            let is_wanted = args.id.as_ref().is_none_or(|id| {
                let is_landing = matches!(&record.entry.event, Event::Landed(landed)
                    if landed.decision.as_deref() == Some(id.as_str()));
                record.id == id.as_str() || is_landing
            });
            if !chosen.takes(&record) || !is_wanted {
                continue;
            }
            found = true;
            match &*args.format {
                "jsonl" => {
                    out.write_all(&line)?;
                    out.write_all(b"\n")?;
                }
                _ if args.id.is_some() || args.full => in_full(&record, out)?,
                _ => writeln!(out, "{}", brief(&record))?,
            }
        }
    }
    let trusted = trust(&book, err)?;
    match &args.id {
        Some(id) if !found => {
            writeln!(err, "error: {}: no entry {id}", path.display())?;
            Ok(Exit::Refuse)
        }
        _ => Ok(trusted),
    }
}

/// Whoever reads the record must know whether it is what was written.
fn trust(book: &Book, err: &mut dyn Write) -> io::Result<Exit> {
    let (flaws, count) = book.flaws();
    for gap in book.gaps() {
        writeln!(err, "warning: {gap}")?;
    }
    for flaw in flaws {
        writeln!(
            err,
            "error: {}:{}: {}",
            flaw.path.display(),
            flaw.line,
            flaw.why
        )?;
    }
    match count {
        0 => Ok(Exit::Accept),
        _ => {
            writeln!(
                err,
                "error: the chain is broken: what stands there need not be what was written"
            )?;
            Ok(Exit::Refuse)
        }
    }
}

/// Names come from hosts and policies: nothing in them may reach a terminal as it is.
fn plain(text: &str) -> String {
    Quoted(text.as_bytes()).to_string()
}

/// What was quoted when it was written stays as it is, once it is known to be printable.
fn shown(text: &str) -> String {
    match text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true => text.to_owned(),
        false => plain(text),
    }
}

fn short(id: &Option<String>) -> String {
    match id {
        Some(id) => plain(id.get(..10).unwrap_or(id)),
        None => "(none)".into(),
    }
}

fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

fn refs(updates: &[Moved]) -> String {
    match updates {
        [] => "-".into(),
        [one] => shown(&one.name),
        [first, rest @ ..] => format!("{} and {} more", shown(&first.name), rest.len()),
    }
}

/// One line.
fn brief(record: &Record) -> String {
    let (time, id) = (plain(&record.entry.time), plain(&record.id));
    let start = format!("{time}  {id}");
    match &record.entry.event {
        Event::Decision(decided) => {
            let who = decided
                .actor
                .as_deref()
                .map_or_else(|| "(unknown)".into(), plain);
            let repository = decided
                .repository
                .first()
                .map_or_else(|| "-".into(), |name| plain(name));
            let mut line = format!(
                "{start}  {:<8}  {who}  {repository}  {}",
                verdict(decided),
                refs(&decided.updates)
            );
            if decided.counts.findings > 0 {
                let mut rules: Vec<String> =
                    decided.findings.iter().map(|f| plain(&f.rule)).collect();
                rules.dedup();
                rules.truncate(3);
                let count = counted(decided.counts.findings, "finding");
                line.push_str(&format!("  {count}: {}", rules.join(", ")));
            }
            line
        }
        Event::Landed(landed) => {
            let by = match &landed.decision {
                Some(id) => format!("by {}", plain(id)),
                None => "NOT COVERED by a decision".into(),
            };
            format!("{start}  landed    {}  {by}", refs(&landed.updates))
        }
        Event::RefusedInput(refused) => format!("{start}  refused   {}", shown(&refused.why)),
        Event::Suspended(stopped) => format!("{start}  suspended {}", whom(stopped)),
        Event::Resumed(stopped) => format!("{start}  resumed   {}", whom(stopped)),
        Event::Assigned(assigned) => format!(
            "{start}  assigned  {} to {} by {}",
            shown(&assigned.name),
            plain(&assigned.identity),
            plain(&assigned.by)
        ),
        Event::Continued(before) => {
            format!(
                "{start}  continues {} ({} entries)",
                plain(&before.head),
                before.entries
            )
        }
        Event::Clock(set) => format!("{start}  clock     is right, says {}", plain(&set.by)),
    }
}

/// Whom somebody stopped or let go on, and why.
fn whom(stopped: &Stopped) -> String {
    let reason = match &stopped.reason {
        Some(reason) => format!(": {}", plain(reason)),
        None => String::new(),
    };
    format!(
        "{} by {}{reason}",
        plain(&stopped.identity),
        plain(&stopped.by)
    )
}

fn verdict(decided: &Decided) -> String {
    let verdict = plain(&decided.verdict);
    match decided.enforced || decided.verdict == "accept" {
        true => verdict,
        false => format!("{verdict} ({})", plain(&decided.mode)),
    }
}

/// All of one entry.
fn in_full(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let Event::Decision(decided) = &record.entry.event else {
        return writeln!(out, "{}", brief(record));
    };
    let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "-".into(), plain);
    let names: Vec<String> = decided.repository.iter().map(|name| plain(name)).collect();
    let (kind, owner) = (plain(&decided.actor_kind), optional(&decided.owner));
    let actor = decided
        .actor
        .as_deref()
        .map_or_else(|| "(matched no entry)".into(), plain);
    let boundary = optional(&decided.boundary);
    writeln!(out, "decision {}", plain(&record.id))?;
    let mut field = |name: &str, text: String| writeln!(out, "  {name:<12}{text}");
    field("time:", plain(&record.entry.time))?;
    field("verdict:", verdict(decided))?;
    if let Some(why) = &decided.unjudged {
        field("because:", shown(why))?;
    }
    field(
        "actor:",
        format!("{actor}, {kind}, owner {owner}, boundary {boundary}"),
    )?;
    field(
        "pusher:",
        decided
            .pusher
            .brief()
            .map_or_else(|| "-".into(), |text| plain(&text)),
    )?;
    field("host:", plain(&decided.host))?;
    if let Some(errand) = &decided.errand {
        field("errand:", plain(errand))?;
    }
    field("repository:", names.join(", "))?;
    for moved in &decided.updates {
        let (old, new) = (short(&moved.old), short(&moved.new));
        field("ref:", format!("{} {old}..{new}", shown(&moved.name)))?;
    }
    let counts = &decided.counts;
    let looked_at = [
        counted(counts.commits, "new commit"),
        counted(counts.changes, "change"),
        counted(counts.bytes, "byte"),
    ];
    field("looked at:", looked_at.join(", "))?;
    field("policy:", plain(&decided.policy))?;
    field("engine:", plain(&record.entry.engine))?;
    field("findings:", counts.findings.to_string())?;
    for found in &decided.findings {
        finding(found, out)?;
    }
    let rest = counts
        .findings
        .saturating_sub(decided.findings.len() as u64);
    if rest > 0 {
        writeln!(
            out,
            "    and {rest} more, which are not recorded one by one"
        )?;
    }
    if counts.suppressed > 0 {
        writeln!(out, "  {:<12}{}", "suppressed:", counts.suppressed)?;
        for found in &decided.suppressed {
            finding(found, out)?;
        }
    }
    Ok(())
}

/// One finding, and its other places.
fn finding(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    let mut place = Vec::new();
    if let Some(path) = &found.path {
        let line = found
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        place.push(format!("{}{line}", shown(path)));
    }
    if found.commit.is_some() {
        place.push(format!("in {}", short(&found.commit)));
    }
    if let Some(name) = &found.name {
        place.push(format!("on {}", shown(name)));
    }
    if let Some(fingerprint) = &found.fingerprint {
        place.push(format!("fingerprint {}", plain(fingerprint)));
    }
    if let Some(at) = &found.policy_at {
        place.push(format!("by {}", plain(at)));
    }
    if let Some(id) = &found.suppressed_by {
        place.push(format!("suppressed by {}", plain(id)));
    }
    if let Some(id) = &found.suppression_expired {
        place.push(format!("no longer suppressed by {}", plain(id)));
    }
    let (level, rule) = (plain(&found.level), plain(&found.rule));
    writeln!(out, "    {level} {rule} {}", place.join(", "))?;
    for at in found.places.iter().skip(1) {
        let line = at.line.map_or_else(String::new, |line| format!(":{line}"));
        let what = at.path.as_deref().map_or_else(|| plain(&at.part), shown);
        let commit = match &at.commit {
            Some(_) => format!(", in {}", short(&at.commit)),
            None => String::new(),
        };
        writeln!(out, "      also {what}{line}{commit}")?;
    }
    let told = found.places.len().max(1) as u64;
    let rest = found.place_count.unwrap_or(1).saturating_sub(told);
    if rest > 0 {
        writeln!(out, "      and {}", counted(rest, "more place"))?;
    }
    Ok(())
}
