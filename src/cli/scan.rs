//! `ringfence scan`: findings of the content checks in files, folders and standard input.

mod baseline;
#[cfg(test)]
mod tests;
mod told;
mod weight;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::budget::{Bounds, Budget};
use crate::check::{self, CHECKS, Hit, Text};
use crate::cli::Exit;
use crate::finding::Part;
use crate::ledger;
use crate::policy::{Known, Policy};
use crate::redact::{FingerprintKey, Quoted};
use crate::scan::UNSCANNED;
use baseline::{Baseline, NewBaseline};
use told::{Found, Told, Totals};
use weight::{Weight, Weights};

/// Files larger than this are not looked into, and that is told.
const FILE_MAX_BYTES: u64 = 512 << 20;
/// Time for one file.
const FILE_TIME: Duration = Duration::from_secs(120);
/// Levels of folders.
const DEPTH_MAX: usize = 256;
/// Values of a baseline that are shown because they were not found.
const STALE_SHOWN_MAX: usize = 20;

/// Find secrets and hidden text in files.
#[derive(Debug, clap::Args)]
pub(super) struct ScanArgs {
    /// Files and folders; - is standard input. Folders are walked in full, but for `.git` itself.
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// How
    #[arg(long, default_value = "text", value_parser = ["text", "jsonl", "json", "sarif"])]
    format: String,
    /// The key for fingerprints, 32 bytes [default: one of your own, in $XDG_STATE_HOME/ringfence/]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Tell only what is not in this file: an earlier `--write-baseline`, or the output of `--format jsonl`. Needs the
    /// same key
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write every value that is found to this file, for later runs, and end with 0
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Weigh by this policy: its levels and its suppressions. Paths count from the current folder, or from a folder that
    /// is named by its whole path
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A folder or file with more rules; may be given again. Those of the policy are used too
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// The identity to weigh for [default: the defaults of every rule, and suppressions that hold for everybody]
    #[arg(long = "as", value_name = "ID", requires = "policy")]
    identity: Option<String>,
    /// The name of the repository, for what the policy says of some repositories alone
    #[arg(long, value_name = "NAME", requires = "policy")]
    repository: Option<String>,
}

pub(super) fn run(args: &ScanArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    scan(args, out, err).unwrap_or_else(|why| {
        let _ = writeln!(err, "{}", why.trim_end());
        Exit::Usage
    })
}

fn scan(args: &ScanArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, String> {
    let usage = |why: String| format!("error: {why}");
    let key = key(args.key.as_deref()).map_err(usage)?;
    let baseline = args
        .baseline
        .as_deref()
        .map(|path| Baseline::read(path, &key))
        .transpose()
        .map_err(usage)?;
    let known = Known {
        packs: !args.rules.is_empty(),
        ..check::known()
    };
    let policy = args
        .policy
        .as_deref()
        .map(|path| Policy::load(path, &known))
        .transpose()
        .map_err(|error| error.to_string())?;
    let mut packs = args.rules.clone();
    packs.extend(policy.iter().flat_map(|policy| policy.rule_packs.clone()));
    packs.dedup();
    super::use_rules(&packs, None).map_err(|error| format!("error: {error}"))?;
    let weights = policy
        .as_ref()
        .map(|policy| Weights::new(policy, args.identity.as_deref(), args.repository.as_deref()))
        .transpose()
        .map_err(usage)?;
    let mut walk = Walk {
        key: &key,
        told: Told::new(&args.format, &key, out),
        err,
        baseline,
        new_baseline: args
            .write_baseline
            .as_deref()
            .map(|path| NewBaseline::new(path, &key)),
        weights,
        root: None,
        totals: Totals::default(),
        skipped: 0,
    };
    for path in &args.paths {
        if path.as_os_str() == "-" {
            walk.standard_input();
        } else {
            walk.root(path);
        }
    }
    Ok(walk.end())
}

/// The key given, or the user's own, made on first use.
pub(super) fn key(given: Option<&Path>) -> Result<FingerprintKey, String> {
    if let Some(path) = given {
        let shown = Quoted(path.as_os_str().as_bytes()).to_string();
        return ledger::key_in(path).map_err(|error| format!("--key {shown}: {error}"));
    }
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    match state {
        Some(state) => ledger::key_beside(&state.join("ringfence/scan"))
            // A home that cannot be written: fingerprints then hold for this run alone.
            .or_else(|_| ledger::passing_key())
            .map_err(|error| error.to_string()),
        None => ledger::passing_key().map_err(|error| error.to_string()),
    }
}

struct Walk<'a> {
    key: &'a FingerprintKey,
    told: Told<'a>,
    err: &'a mut dyn Write,
    baseline: Option<Baseline>,
    new_baseline: Option<NewBaseline>,
    weights: Option<Weights<'a>>,
    /// The path of the command line that is walked.
    root: Option<PathBuf>,
    totals: Totals,
    skipped: u64,
}

impl Walk<'_> {
    fn standard_input(&mut self) {
        let mut text = Vec::new();
        let read = std::io::stdin()
            .lock()
            .take(FILE_MAX_BYTES + 1)
            .read_to_end(&mut text);
        match read {
            Ok(_) if text.len() as u64 > FILE_MAX_BYTES => {
                self.fail(b"-", "is too large to be looked into")
            }
            Ok(_) => {
                self.totals.files += 1;
                self.text(b"-", Part::Content, None, &text);
            }
            Err(error) => self.fail(b"-", &format!("cannot be read: {error}")),
        }
    }

    /// A path of the command line. A symbolic link given by name is followed; those inside folders are not.
    fn root(&mut self, path: &Path) {
        self.root = Some(path.to_path_buf());
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.folder(path),
            Ok(meta) => self.file(path, &meta),
            Err(error) => self.fail(
                path.as_os_str().as_bytes(),
                &format!("cannot be read: {error}"),
            ),
        }
    }

    fn folder(&mut self, root: &Path) {
        let mut folders = vec![(root.to_path_buf(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let shown = folder.as_os_str().as_bytes().to_vec();
            if depth > DEPTH_MAX {
                self.fail(&shown, "is nested too deep");
                continue;
            }
            let entries: Result<Vec<_>, _> = fs::read_dir(&folder).and_then(Iterator::collect);
            let mut entries = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    self.fail(&shown, &format!("cannot be listed: {error}"));
                    continue;
                }
            };
            entries.sort_by_key(fs::DirEntry::file_name);
            let mut inner = Vec::new();
            for entry in entries {
                let path = joined(&folder, &entry.path());
                // The entry itself, never what a symbolic link points to.
                match fs::symlink_metadata(entry.path()) {
                    Ok(meta) if meta.is_dir() && entry.file_name() == ".git" => self.skipped += 1,
                    Ok(meta) if meta.is_dir() => inner.push((path, depth + 1)),
                    Ok(meta) => self.file(&path, &meta),
                    Err(error) => self.fail(
                        path.as_os_str().as_bytes(),
                        &format!("cannot be read: {error}"),
                    ),
                }
            }
            folders.extend(inner.into_iter().rev());
        }
    }

    fn file(&mut self, path: &Path, meta: &fs::Metadata) {
        let name = path.as_os_str().as_bytes();
        let base = path.file_name().map_or(name, |base| base.as_bytes());
        self.text(name, Part::Path, None, base);
        if meta.is_symlink() {
            match fs::read_link(path) {
                Ok(target) => self.text(
                    name,
                    Part::SymlinkTarget,
                    Some(name),
                    target.as_os_str().as_bytes(),
                ),
                Err(error) => self.fail(name, &format!("cannot be read: {error}")),
            }
            return;
        }
        if !meta.is_file() {
            self.fail(name, "is neither a file nor a folder");
            return;
        }
        if meta.len() > FILE_MAX_BYTES {
            self.fail(name, "is too large to be looked into");
            return;
        }
        let mut text = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        let read = fs::File::open(path)
            .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text));
        match read {
            Ok(_) if text.len() as u64 > FILE_MAX_BYTES => {
                self.fail(name, "is too large to be looked into")
            }
            Ok(_) => {
                self.totals.files += 1;
                self.text(name, Part::Content, Some(name), &text);
            }
            Err(error) => self.fail(name, &format!("cannot be read: {error}")),
        }
    }

    fn text(&mut self, name: &[u8], part: Part, path: Option<&[u8]>, bytes: &[u8]) {
        self.totals.bytes += bytes.len() as u64;
        let budget = Budget::new(Bounds {
            time: FILE_TIME,
            ..Bounds::default()
        });
        let text = Text { part, path, bytes };
        let mut hits: Vec<Hit> = Vec::new();
        for check in CHECKS.iter().filter(|check| check.reads_content()) {
            if check.content(&text, self.key, &budget, &mut hits).is_err() {
                self.fail(name, "took too long to be looked into");
            }
        }
        hits.sort_by(|a, b| (a.bytes.start, &a.rule).cmp(&(b.bytes.start, &b.rule)));
        self.totals.failed += hits.iter().filter(|hit| hit.rule == UNSCANNED).count() as u64;
        let (mut counted, mut line, mut line_start) = (0, 1, 0);
        for hit in &hits {
            let start = hit.bytes.start.min(bytes.len());
            for at in memchr::memchr_iter(b'\n', &bytes[counted..start]) {
                line += 1;
                line_start = counted + at + 1;
            }
            counted = start;
            self.hit(name, &text, hit, (line, start - line_start + 1));
        }
    }

    /// Tells of one hit, unless the policy or the baseline has an answer to it.
    fn hit(&mut self, name: &[u8], text: &Text<'_>, hit: &Hit, at: (u64, usize)) {
        let level = match &mut self.weights {
            None => check::default_level(&hit.rule, hit.confidence),
            Some(weights) => {
                // Standard input is no path of a repository.
                let is_file = text.part == Part::Path || text.path.is_some();
                let path = is_file.then(|| {
                    weight::inside(self.root.as_deref(), Path::new(OsStr::from_bytes(name)))
                });
                match weights.of(hit, path.as_deref()) {
                    Weight::Told(level) => level,
                    Weight::Off => return,
                    Weight::Suppressed => {
                        self.totals.suppressed += 1;
                        return;
                    }
                }
            }
        };
        let found = Found::new(name, text, hit, at, level, self.key);
        if let Some(new) = &mut self.new_baseline {
            new.add(&found);
        }
        if self
            .baseline
            .as_mut()
            .is_some_and(|baseline| baseline.knows(&found))
        {
            self.totals.known += 1;
            return;
        }
        self.told.add(found);
    }

    fn fail(&mut self, name: &[u8], why: &str) {
        self.totals.failed += 1;
        let _ = writeln!(self.err, "error: {} {why}", Quoted(name));
    }

    fn end(self) -> Exit {
        let (findings, places) = (self.told.count(), self.told.places());
        let totals = self.totals;
        let mut wrote = self.told.end(totals).is_ok();
        let count = |number: u64, one: &str, many: &str| match number {
            1 => format!("1 {one}"),
            _ => format!("{number} {many}"),
        };
        let mut line = count(findings, "finding", "findings");
        if places > findings {
            line += &format!(" at {}", count(places, "place", "places"));
        }
        line += &format!(
            " in {} ({} bytes)",
            count(totals.files, "file", "files"),
            totals.bytes
        );
        if totals.known > 0 {
            line += &format!("; {} known", count(totals.known, "place", "places"));
        }
        if totals.suppressed > 0 {
            let places = count(totals.suppressed, "place", "places");
            line += &format!("; {places} suppressed by the policy");
        }
        if self.skipped > 0 {
            line += &format!(
                "; {} not looked into",
                count(self.skipped, ".git folder", ".git folders")
            );
        }
        if totals.failed > 0 {
            line += &format!(
                "; {} could not be looked into",
                count(totals.failed, "thing", "things")
            );
        }
        let _ = writeln!(self.err, "{line}");
        if let Some(weights) = &self.weights {
            for remark in weights.remarks() {
                let _ = writeln!(self.err, "{remark}");
            }
        }
        if let Some(baseline) = &self.baseline {
            tell_baseline(baseline, self.err);
        }
        let adopts = self.new_baseline.is_some();
        match self.new_baseline.map(NewBaseline::write) {
            Some(Ok(values)) => {
                let values = count(values as u64, "value", "values");
                let _ = writeln!(self.err, "{values} written to the baseline");
            }
            Some(Err(why)) => {
                let _ = writeln!(self.err, "error: {why}");
                wrote = false;
            }
            None => {}
        }
        match (wrote, totals.failed, findings) {
            (false, ..) | (_, 1.., _) => Exit::Unjudged,
            (_, 0, 0) => Exit::Accept,
            _ if adopts => Exit::Accept,
            _ => Exit::Refuse,
        }
    }
}

/// How much of the baseline was found, and what of it is gone.
fn tell_baseline(baseline: &Baseline, err: &mut dyn Write) {
    let (seen, all) = baseline.counts();
    let _ = writeln!(
        err,
        "baseline {}: {seen} of {all} known values found",
        baseline.shown()
    );
    let stale = baseline.stale();
    for gone in stale.iter().take(STALE_SHOWN_MAX) {
        let _ = writeln!(err, "note: no longer found: {gone}");
    }
    if stale.len() > STALE_SHOWN_MAX {
        let rest = stale.len() - STALE_SHOWN_MAX;
        let _ = writeln!(err, "note: and {rest} more that are no longer found");
    }
}

/// Paths under `.` are shown without it.
fn joined(folder: &Path, entry: &Path) -> PathBuf {
    if folder == Path::new(".") {
        entry.strip_prefix(".").unwrap_or(entry).to_path_buf()
    } else {
        entry.to_path_buf()
    }
}
