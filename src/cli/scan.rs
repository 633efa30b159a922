//! `ringfence scan`: findings of the content checks in files, folders and standard input.

#[cfg(test)]
mod tests;
mod told;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::budget::{Bounds, Budget};
use crate::check::{CHECKS, Hit, Text};
use crate::cli::Exit;
use crate::finding::Part;
use crate::ledger;
use crate::redact::{FingerprintKey, Quoted};
use crate::scan::UNSCANNED;
use told::Told;

/// Files larger than this are not looked into, and that is told.
const FILE_MAX_BYTES: u64 = 512 << 20;
/// Time for one file.
const FILE_TIME: Duration = Duration::from_secs(120);
/// Levels of folders.
const DEPTH_MAX: usize = 256;

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
}

pub(super) fn run(args: &ScanArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let key = match key(args.key.as_deref()) {
        Ok(key) => key,
        Err(why) => {
            let _ = writeln!(err, "error: {why}");
            return Exit::Usage;
        }
    };
    let mut walk = Walk {
        key: &key,
        told: Told::new(&args.format, out),
        err,
        files: 0,
        bytes: 0,
        skipped: 0,
        failed: 0,
    };
    for path in &args.paths {
        if path.as_os_str() == "-" {
            walk.standard_input();
        } else {
            walk.root(path);
        }
    }
    walk.end()
}

/// The key given, or the user's own, made on first use.
fn key(given: Option<&Path>) -> Result<FingerprintKey, String> {
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
    files: u64,
    bytes: u64,
    skipped: u64,
    failed: u64,
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
                self.files += 1;
                self.text(b"-", Part::Content, None, &text);
            }
            Err(error) => self.fail(b"-", &format!("cannot be read: {error}")),
        }
    }

    /// A path of the command line. A symbolic link given by name is followed; those inside folders are not.
    fn root(&mut self, path: &Path) {
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
                self.files += 1;
                self.text(name, Part::Content, Some(name), &text);
            }
            Err(error) => self.fail(name, &format!("cannot be read: {error}")),
        }
    }

    fn text(&mut self, name: &[u8], part: Part, path: Option<&[u8]>, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
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
        self.failed += hits.iter().filter(|hit| hit.rule == UNSCANNED).count() as u64;
        self.told.hits(name, &text, &hits, self.key);
    }

    fn fail(&mut self, name: &[u8], why: &str) {
        self.failed += 1;
        let _ = writeln!(self.err, "error: {} {why}", Quoted(name));
    }

    fn end(self) -> Exit {
        let findings = self.told.count();
        let wrote = self.told.end(self.files, self.bytes, self.failed);
        let count = |number: u64, one: &str, many: &str| match number {
            1 => format!("1 {one}"),
            _ => format!("{number} {many}"),
        };
        let mut line = format!(
            "{} in {} ({} bytes)",
            count(findings, "finding", "findings"),
            count(self.files, "file", "files"),
            self.bytes
        );
        if self.skipped > 0 {
            line += &format!(
                "; {} not looked into",
                count(self.skipped, ".git folder", ".git folders")
            );
        }
        if self.failed > 0 {
            line += &format!(
                "; {} could not be looked into",
                count(self.failed, "thing", "things")
            );
        }
        let _ = writeln!(self.err, "{line}");
        match (wrote, self.failed, findings) {
            (Err(_), ..) | (_, 1.., _) => Exit::Unjudged,
            (_, 0, 0) => Exit::Accept,
            _ => Exit::Refuse,
        }
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
