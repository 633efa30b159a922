//! `ringfence audit`: whole histories, many repositories, one answer.

mod earlier;
mod ledgers;
mod target;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::audit::{
    Form, List, Progress, Question, Record, Recorded, Repository, Shard, States, Subject, Summary,
    Totals, Unread, audit, find_repositories, run_all, shown, shown_whole, tell_all, tell_line,
};
use crate::check;
use crate::cli::{Exit, server};
use crate::ledger;
use crate::policy::{HostConfig, Known, Pattern, Policy};
use crate::redact::{FingerprintKey, Quoted};
use crate::repo::{About, Layout};
use earlier::{baseline, merged};
use target::Target;

/// How often the progress is told: on a terminal, and elsewhere.
const TERMINAL_EVERY: Duration = Duration::from_millis(500);
const LINES_EVERY: Duration = Duration::from_secs(30);

/// Find what agents did and which secrets lie in whole histories.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    /// Repositories, and folders that are searched for repositories; - reads a list of them from standard input, one a line
    #[arg(value_name = "REPO")]
    repositories: Vec<PathBuf>,
    /// The list on standard input is separated by NUL bytes
    #[arg(short = 'z', long = "null")]
    null: bool,
    /// How to tell it
    #[arg(long, default_value = "text", value_parser = Form::NAMES)]
    format: String,
    /// Write to this file instead of standard output; it is replaced once the answer is whole
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Judge the past by this policy, and tell declared agents from others [default: as for every command, and none where
    /// there is none]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Judge every commit as this identity of the policy [default: as the agent or service whose `authors:` it is by]
    #[arg(long = "as", value_name = "ID")]
    identity: Option<String>,
    /// Only refs that match this pattern; may be given again
    #[arg(long = "ref", value_name = "PATTERN")]
    refs: Vec<String>,
    /// Only paths that match this pattern; may be given again
    #[arg(long = "path", value_name = "PATTERN")]
    paths: Vec<String>,
    /// Only commits from this day or moment on (2026-11-28, 2026-11-28T12:00:00Z), by the committer's clock
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only commits before this day or moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The key for fingerprints, 32 bytes [default: that of the policy's ledger, else one of your own]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Compare with this ledger; may be given again for its older files, the oldest first [default: that of the policy,
    /// else of each repository, with the older files that lie beside it]
    #[arg(long, value_name = "FILE")]
    ledger: Vec<PathBuf>,
    /// Do not compare with a ledger
    #[arg(long, conflicts_with = "ledger")]
    no_ledger: bool,
    /// A folder or file with more rules; may be given again
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Tell only what is not in this output of an earlier `--format jsonl`, made with the same key
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Keep what is known in this folder, so that the next audit costs what is new
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// End with 1 when something of this level or above was found
    #[arg(long, value_name = "LEVEL", default_value = "hold", value_parser = ["warn", "hold", "deny", "never"])]
    fail_on: String,
    /// Only part K of N of the repositories, the same part every time
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Put the outputs of several `--format jsonl` runs together instead of looking at repositories
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["repositories", "null", "policy", "identity", "refs",
        "paths", "since", "until", "key", "ledger", "no_ledger", "rules", "baseline", "state", "shard", "jobs"])]
    merge: Vec<PathBuf>,
    /// Threads [default: one a core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Do not tell how far it is
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &AuditArgs, out: &mut (dyn Write + Send), err: &mut dyn Write) -> Exit {
    command(args, out, err).unwrap_or_else(|why| {
        let _ = writeln!(err, "{}", why.trim_end());
        Exit::Usage
    })
}

/// A repository, ready to be asked about.
struct Job {
    name: String,
    names: Vec<String>,
    path: String,
    layout: Result<Layout, String>,
    notes: Vec<String>,
    /// Object folders that it borrows from and that are not there.
    lacks: Vec<String>,
    policy: Option<Arc<Policy>>,
    /// Why the policy of this repository is not used.
    trouble: Option<String>,
    ledger: ledgers::Of,
}

fn command(
    args: &AuditArgs,
    out: &mut (dyn Write + Send),
    err: &mut dyn Write,
) -> Result<Exit, String> {
    let usage = |why: String| format!("error: {why}");
    let mut answer = Answer {
        target: Target::open(args.output.as_deref(), out).map_err(usage)?,
        form: Form::named(&args.format).unwrap_or(Form::Text),
        kept: Vec::new(),
    };
    let told = match args.merge.is_empty() {
        true => asked(args, &mut |record| answer.take(record))?,
        false => merged(&args.merge, &mut |record| answer.take(record)).map_err(usage)?,
    };
    let written = told.and_then(|totals| {
        let summary = totals.end(jiff::Timestamp::now());
        answer.take(Record::Summary(summary.clone()))?;
        answer.end().map(|()| summary)
    });
    let summary = match written {
        Ok(summary) => summary,
        // Whoever read the output has gone: nothing was told to the end.
        Err(error) => {
            let _ = writeln!(err, "error: the answer cannot be written: {error}");
            return Ok(Exit::Unjudged);
        }
    };
    Ok(exit(&summary, &args.fail_on, err))
}

/// Records on their way out. JSON lines go at once; every other form needs them all.
struct Answer<'o> {
    target: Target<'o>,
    form: Form,
    kept: Vec<Record>,
}

impl Answer<'_> {
    fn take(&mut self, record: Record) -> io::Result<()> {
        match self.form {
            Form::Jsonl => tell_line(&record, self.target.writer()),
            _ => {
                self.kept.push(record);
                Ok(())
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.form != Form::Jsonl {
            tell_all(self.form, &self.kept, self.target.writer())?;
        }
        self.target.end()
    }
}

fn exit(summary: &Summary, fail_on: &str, err: &mut dyn Write) -> Exit {
    if summary.status != "complete" {
        let why = match summary.repositories {
            0 => "no repository was looked at",
            _ if summary.matches_no_ref() => "no ref matches --ref",
            _ => "not everything could be looked at: see `unread` of the repositories",
        };
        let _ = writeln!(err, "error: {why}");
        return Exit::Unjudged;
    }
    let levels: &[&str] = match fail_on {
        "never" => return Exit::Accept,
        "warn" => &["warn", "hold", "deny"],
        "hold" => &["hold", "deny"],
        _ => &["deny"],
    };
    let count = |level: &&str| summary.findings.get(*level).copied().unwrap_or(0);
    match levels.iter().map(count).sum::<u64>() + summary.uncovered {
        0 => Exit::Accept,
        _ => Exit::Refuse,
    }
}

type Take<'t> = &'t mut (dyn FnMut(Record) -> io::Result<()> + Send);

/// Looks at repositories.
fn asked(args: &AuditArgs, take: Take<'_>) -> Result<io::Result<Totals>, String> {
    let usage = |why: String| format!("error: {why}");
    let refs = patterns(&args.refs, "--ref").map_err(usage)?;
    if let Some(wrong) = refs.iter().find(|one| !can_be_of_refs(one)) {
        let shown = Quoted(wrong.as_written().as_bytes()).to_string();
        return Err(usage(format!(
            "--ref {shown}: a ref has its whole name, as in refs/heads/main"
        )));
    }
    let paths = patterns(&args.paths, "--path").map_err(usage)?;
    if let Some(wrong) = paths.iter().find(|one| !can_be_of_paths(one)) {
        let shown = Quoted(wrong.as_written().as_bytes()).to_string();
        return Err(usage(format!(
            "--path {shown}: a path starts at the top of the repository, as in docs/**"
        )));
    }
    if args.null && !args.repositories.iter().any(|path| is_list(path)) {
        return Err(usage(
            "-z is for a list on standard input: say - as well".into(),
        ));
    }
    let since = moment(args.since.as_deref(), "--since").map_err(usage)?;
    let until = moment(args.until.as_deref(), "--until").map_err(usage)?;
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(usage("--since is not before --until".into()));
    }
    let shard = (args.shard.as_deref())
        .map(|text| Shard::parse(text).ok_or_else(|| format!("--shard {text}: say K/N, as in 1/4")))
        .transpose()
        .map_err(usage)?;
    let shared = shared_policy(args)?;
    let host = shared.as_ref().map(|policy| policy.host.clone());
    let mut jobs = jobs(args, &host.unwrap_or_default());
    let count = jobs.len();
    if let Some(shard) = shard {
        jobs.retain(|job| shard.has(&job.name));
    }
    let has_empty_share = jobs.is_empty() && count > 0;
    let policies = Policies::load(args, shared, &mut jobs)?;
    ledgers::find(args, &mut jobs).map_err(usage)?;
    let key = key(args, policies.shared.as_deref()).map_err(usage)?;
    let baseline = (args.baseline.as_deref())
        .map(|path| baseline(path, &key))
        .transpose()
        .map_err(usage)?;
    let states = (args.state.as_deref())
        .map(|folder| {
            let shown = Quoted(folder.as_os_str().as_bytes()).to_string();
            States::open(folder).map_err(|error| format!("--state {shown}: {error}"))
        })
        .transpose()
        .map_err(usage)?;
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.jobs.map_or_else(cores, usize::from);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| usage(error.to_string()))?;
    let progress = Progress::default();
    let look = |job: &Job, threads: usize| -> Vec<Record> {
        let question = Question {
            policy: job.policy.as_deref(),
            key: &key,
            as_identity: args.identity.as_deref(),
            refs: &refs,
            paths: &paths,
            since,
            until,
            threads,
            progress: &progress,
            states: states.as_ref(),
        };
        job.look(&question)
    };
    let is_done = AtomicBool::new(false);
    let totals = std::thread::scope(|scope| {
        let (progress, is_done, count) = (&progress, &is_done, jobs.len() as u64);
        if !args.quiet {
            scope.spawn(move || tell_progress(progress, is_done, count));
        }
        let told =
            pool.install(|| run_all(&jobs, &Job::size, &look, baseline.as_ref(), progress, take));
        is_done.store(true, Ordering::Release);
        told
    });
    Ok(totals.map(|mut totals| {
        if has_empty_share {
            totals.has_empty_share();
        }
        totals.add(&Record::Summary(Summary {
            status: "complete".into(),
            only_refs: args.refs.iter().map(|one| shown(one.as_bytes())).collect(),
            only_paths: args.paths.iter().map(|one| shown(one.as_bytes())).collect(),
            policy: policies.shared.as_ref().map(|policy| policy.digest.clone()),
            since: since.map(crate::audit::time),
            until: until.map(crate::audit::time),
            key: Some(key.name().to_string()),
            shards: shard.iter().map(ToString::to_string).collect(),
            ..Summary::default()
        }));
        totals
    }))
}

impl Job {
    /// Bytes of its packs, as far as they can be seen.
    fn size(&self) -> u64 {
        let Ok(layout) = &self.layout else { return 0 };
        let packs = fs::read_dir(layout.objects_dir().join("pack"));
        let files = packs.into_iter().flatten().flatten();
        files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    }

    fn look(&self, question: &Question<'_>) -> Vec<Record> {
        let failed = |why: &str| {
            let unread = Unread {
                what: "the repository".into(),
                why: why.to_owned(),
                objects: 0,
            };
            vec![Record::Repository(Repository {
                repository: self.name.clone(),
                path: self.path.clone(),
                status: "failed".into(),
                unread: vec![unread],
                unread_count: 1,
                ..Repository::default()
            })]
        };
        let layout = match &self.layout {
            Ok(layout) => layout,
            Err(why) => return failed(why),
        };
        let own;
        let ledger = match &self.ledger {
            ledgers::Of::Nobody => None,
            ledgers::Of::Shared(read) => Some((read.as_ref(), false)),
            ledgers::Of::Own(path) => {
                own = ledgers::read(std::slice::from_ref(path));
                Some((&own, true))
            }
        };
        let ledger = ledger.map(|(read, is_own)| match read {
            Ok(book) => Ok(Recorded { book, is_own }),
            Err(why) => Err(why.clone()),
        });
        let subject = Subject {
            name: &self.name,
            names: &self.names,
            path: &self.path,
            layout,
            trouble: self.trouble.as_deref(),
            notes: &self.notes,
            lacks: &self.lacks,
            ledger,
        };
        audit(&subject, question)
    }
}

/// Whether it stands for the list on standard input.
fn is_list(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The repositories that are asked for: those given, else that of the current folder.
fn jobs(args: &AuditArgs, host: &HostConfig) -> Vec<Job> {
    let reads_list = args.repositories.iter().any(|path| is_list(path));
    let mut paths: Vec<PathBuf> = (args.repositories.iter())
        .filter(|path| !is_list(path))
        .cloned()
        .collect();
    if args.repositories.is_empty() {
        paths.push(PathBuf::from("."));
    }
    let mut input = io::stdin().lock();
    let list = reads_list.then_some(List {
        input: &mut input,
        is_nul: args.null,
    });
    let found = find_repositories(&paths, list, host).into_iter();
    found
        .map(|one| Job {
            name: shown_whole(&one.name),
            names: one.names,
            path: shown_whole(one.path.as_os_str().as_bytes()),
            layout: one.layout,
            notes: notes(&one.about),
            lacks: (one.about.alternates_missing.iter())
                .map(|path| shown(path.as_os_str().as_bytes()))
                .collect(),
            policy: None,
            trouble: None,
            ledger: ledgers::Of::Nobody,
        })
        .collect()
}

/// What is special about a repository, in words for records.
fn notes(about: &About) -> Vec<String> {
    let all = [("shallow", about.is_shallow), ("partial", about.is_partial)];
    let those = all.into_iter().filter(|(_, is)| *is);
    those.map(|(word, _)| word.to_owned()).collect()
}

/// The policies of a run.
struct Policies {
    /// The one for all repositories.
    shared: Option<Arc<Policy>>,
}

fn load_policy(args: &AuditArgs, path: &Path) -> Result<Arc<Policy>, String> {
    let known = Known {
        packs: !args.rules.is_empty(),
        ..check::known()
    };
    let loaded = Policy::load(path, &known).map_err(|error| error.to_string());
    loaded.map(Arc::new)
}

/// The policy for all repositories: the one that is named, or in the environment.
fn shared_policy(args: &AuditArgs) -> Result<Option<Arc<Policy>>, String> {
    let variable = server::variable("RINGFENCE_POLICY").filter(|value| !value.is_empty());
    let named = args.policy.clone().or(variable.map(PathBuf::from));
    named.map(|path| load_policy(args, &path)).transpose()
}

impl Policies {
    /// Without one policy for all, that of each repository, else that of the machine.
    fn load(
        args: &AuditArgs,
        shared: Option<Arc<Policy>>,
        jobs: &mut [Job],
    ) -> Result<Policies, String> {
        let mut found: BTreeMap<PathBuf, Result<Arc<Policy>, String>> = BTreeMap::new();
        for job in jobs.iter_mut() {
            if let Some(shared) = &shared {
                job.policy = Some(Arc::clone(shared));
                continue;
            }
            let Ok(layout) = &job.layout else { continue };
            let Ok(path) = Policy::find(None, &|_| None, Some(&layout.common_dir)) else {
                continue;
            };
            let loaded = found
                .entry(path.clone())
                .or_insert_with(|| load_policy(args, &path));
            match loaded {
                Ok(policy) => job.policy = Some(Arc::clone(policy)),
                Err(why) => job.trouble = Some(format!("its policy cannot be used: {why}")),
            }
        }
        if let Some(identity) = &args.identity {
            let is_known = |policy: &Arc<Policy>| {
                let mut names = policy.identity_names();
                names.any(|name| name == identity)
            };
            let mut all = jobs.iter().filter_map(|job| job.policy.as_ref());
            if !all.any(is_known) && !shared.as_ref().is_some_and(is_known) {
                let shown = Quoted(identity.as_bytes());
                return Err(match shared.is_some() || !found.is_empty() {
                    true => format!("error: the policy has no identity {shown}"),
                    false => format!("error: --as {shown} needs a policy: say --policy FILE"),
                });
            }
        }
        let mut packs = args.rules.clone();
        let policies = shared.iter().chain(found.values().flatten());
        packs.extend(policies.flat_map(|policy| policy.rule_packs.clone()));
        let mut seen = std::collections::HashSet::new();
        packs.retain(|path| seen.insert(path.clone()));
        super::use_rules(&packs, None).map_err(|error| format!("error: {error}"))?;
        Ok(Policies { shared })
    }
}

/// The key given, that of the policy's ledger, or the user's own.
fn key(args: &AuditArgs, policy: Option<&Policy>) -> Result<FingerprintKey, String> {
    let of_ledger = (policy.and_then(|policy| policy.ledger.as_deref()))
        .filter(|_| args.key.is_none())
        .and_then(ledger::existing_key_beside);
    match of_ledger {
        Some(key) => Ok(key),
        None => super::scan::key(args.key.as_deref()),
    }
}

fn patterns(written: &[String], option: &str) -> Result<Vec<Pattern>, String> {
    let one = |text: &String| {
        let shown = Quoted(text.as_bytes()).to_string();
        Pattern::new(text).map_err(|error| format!("{option} {shown}: {}", error.what))
    };
    written.iter().map(one).collect()
}

/// Whether a pattern may match a ref: all of them begin with `refs/`, but for a `HEAD` that names a commit itself.
fn can_be_of_refs(pattern: &Pattern) -> bool {
    let start = pattern.literal_prefix();
    start.starts_with(b"refs/") || b"refs/".starts_with(&start) || pattern.matches(b"HEAD")
}

/// Whether a pattern may match a path: none of them goes through `.` or `..`.
fn can_be_of_paths(pattern: &Pattern) -> bool {
    let start = pattern.literal_prefix();
    let mut parts = start.split_inclusive(|byte| *byte == b'/');
    !parts.any(|part| matches!(part, b"./" | b"../"))
}

/// A day, which starts at midnight UTC, or a moment.
fn moment(text: Option<&str>, option: &str) -> Result<Option<i64>, String> {
    let Some(text) = text else { return Ok(None) };
    let day = format!("{text}T00:00:00Z");
    let parsed = text.parse().or_else(|_| day.parse::<jiff::Timestamp>());
    parsed
        .map(|time: jiff::Timestamp| Some(time.as_second()))
        .map_err(|_| {
            let shown = Quoted(text.as_bytes());
            format!("{option} {shown}: say a day (2026-11-28) or a moment (2026-11-28T12:00:00Z)")
        })
}

/// Tells on standard error how far it is, until it is done.
fn tell_progress(progress: &Progress, is_done: &AtomicBool, count: u64) {
    let started = Instant::now();
    let on_terminal = io::stderr().is_terminal();
    let every = if on_terminal {
        TERMINAL_EVERY
    } else {
        LINES_EVERY
    };
    let mut told = Instant::now();
    let mut drawn = false;
    while !is_done.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(20));
        if told.elapsed() < every {
            continue;
        }
        told = Instant::now();
        let line = progress.line(count, started.elapsed());
        let mut err = io::stderr().lock();
        let _ = match on_terminal {
            true => write!(err, "\r\x1b[K{line}"),
            false => writeln!(err, "{line}"),
        };
        let _ = err.flush();
        drawn = on_terminal;
    }
    if drawn {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}
