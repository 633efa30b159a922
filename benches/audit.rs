//! What it costs to scan every blob of a history, and a whole audit, as ratios against git's own commands and other scanners
//! in the same run: goals G5 and G8.
//!
//! `cargo bench --bench audit`. Each command is a process of its own, in turns (A B A B …), so that a machine whose speed
//! drifts drifts for all; figures are medians. The other scanners are those that `benches/peers` installs. CPU is user plus system time, peak is resident memory. Histories are made in a
//! folder that is removed at the end: of source-like text that is made up, and of the successive versions of crates that
//! `benches/versions` fetched or cargo has unpacked here.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod history;
#[allow(dead_code, reason = "only the place of the sources is asked for here")]
#[path = "../examples/measure/sources.rs"]
mod sources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ringfence::audit::contents::{self, Collect};
use ringfence::push::Oid;
use ringfence::redact::FingerprintKey;
use ringfence::repo::{Layout, Repo};
use ringfence::scan::Dice;
use wait4::Wait4 as _;

const ROUNDS: usize = 5;
/// Versions in the histories of the curve.
const SIZES: [usize; 4] = [12, 25, 50, 100];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, pass, repo, threads] = args.as_slice()
        && pass == "--pass"
    {
        return audit(Path::new(repo), threads.parse().expect("a number"));
    }
    // `cargo test --benches` runs this too; measuring takes minutes and belongs to `cargo bench`.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    println!(
        "G5  every blob scanned: CPU <= 0.6x git cat-file --batch-all-objects --batch --unordered (stretch 0.4x)\n\
         G8  peak memory: at most the pack and 128 MB; two threads at least 1.8x as fast as one\n"
    );
    let folder = tempfile::tempdir().expect("a folder can be made");
    println!("Made up: 40 files, one edited in each commit");
    for versions in SIZES {
        let repo = folder.path().join(format!("made-{versions}"));
        std::fs::create_dir(&repo).expect("a folder can be made");
        history::write(&repo, made_up(versions));
        measure(&format!("{versions} versions"), &repo);
    }
    let mut folders = vec![PathBuf::from("target/versions")];
    folders.extend(sources::cargo_sources());
    let series = history::series(&folders);
    let chosen: Vec<&history::Series> = series
        .iter()
        .filter(|one| one.versions.len() >= 10)
        .collect();
    if chosen.is_empty() {
        println!("\nNo crate is here in ten versions: benches/versions fetches some");
        return;
    }
    let names: Vec<&str> = chosen.iter().map(|one| one.name.as_str()).collect();
    println!("\nSuccessive versions of {}", names.join(", "));
    for versions in SIZES {
        let repo = folder.path().join(format!("crates-{versions}"));
        std::fs::create_dir(&repo).expect("a folder can be made");
        history::write(&repo, history::steps(&chosen, versions));
        measure(&format!("{versions} versions"), &repo);
        if versions == SIZES[SIZES.len() - 1] {
            whole(&repo);
        }
    }
}

/// Whole processes that look for secrets in a history, on one thread where that can be asked for.
fn whole(repo: &Path) {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/venv/bin");
    let git: &[&str] = &["log", "-p", "-U0", "--all"];
    let rows: [(&str, PathBuf, &[&str]); 4] = [
        (
            "ringfence audit",
            env!("CARGO_BIN_EXE_ringfence").into(),
            &["audit", "--jobs", "1", "-q", "--format", "jsonl"],
        ),
        ("git log -p -U0", "git".into(), git),
        (
            "kingfisher",
            peers.join("kingfisher"),
            &[
                "scan",
                "--git-history",
                "full",
                "--no-validate",
                "--no-update-check",
                "--jobs",
                "1",
            ],
        ),
        (
            "betterleaks",
            peers.join("betterleaks"),
            &["git", "--no-banner"],
        ),
    ];
    println!("    whole processes over the last history:");
    let mut runs: Vec<Vec<_>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, program, args), runs) in rows.iter().zip(&mut runs) {
            if program.is_absolute() && !program.is_file() {
                continue;
            }
            let mut command = Command::new(program);
            command.args(*args).current_dir(repo).stdout(Stdio::null());
            if program.starts_with(&peers) {
                command.arg(".");
            }
            runs.push(run_to_its_end(&mut command).0);
        }
    }
    let mut own = 0.0;
    for ((name, ..), runs) in rows.iter().zip(runs) {
        if runs.is_empty() {
            println!("      {name:<16} absent: benches/peers installs it");
            continue;
        }
        let (cpu, wall, peak, _) = median(runs);
        own = if own == 0.0 { cpu } else { own };
        println!(
            "      {name:<16} CPU {cpu:.2} s, wall {wall:.2} s, peak {:.0} MB; ringfence needs {:.2}x of its CPU",
            peak as f64 / 1e6,
            own / cpu
        );
    }
}

struct Nothing;

impl Collect for Nothing {
    fn commit(&mut self, _: &Oid, _: &[u8]) {}
    fn tag(&mut self, _: &Oid, _: &[u8]) {}
}

/// What is measured, in a process of its own.
fn audit(repo: &Path, threads: usize) {
    let repo = Repo::open(Layout::discover(repo).expect("a repository")).expect("a repository");
    let key = FingerprintKey::new([7; 32]);
    let (found, _) = contents::scan(&repo, &key, threads, || Nothing).expect("it can be read");
    assert!(found.unread.is_empty(), "{:?}", found.unread);
    println!(
        "{} {} {} {}",
        found.counts.blobs,
        found.counts.bytes,
        found.counts.scanned,
        found.hits.len()
    );
}

/// Lines of code, and in each version a few of one file others.
fn made_up(versions: usize) -> impl Iterator<Item = BTreeMap<String, history::Files>> {
    let mut dice = Dice::new(5);
    let mut files: Vec<Vec<String>> = (0..40)
        .map(|_| {
            (0..300 + dice.below(1_500))
                .map(|_| line(&mut dice))
                .collect()
        })
        .collect();
    (0..versions * 10).map(move |_| {
        let number = dice.below(files.len());
        let file = &mut files[number];
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(file.len());
            let end = (at + dice.below(4)).min(file.len());
            let new: Vec<String> = (0..dice.below(6)).map(|_| line(&mut dice)).collect();
            file.splice(at..end, new);
        }
        let all = files.iter().enumerate();
        let all = all.map(|(at, lines)| (format!("file{at}.rs"), lines.concat().into_bytes()));
        BTreeMap::from([("src".to_owned(), all.collect())])
    })
}

fn line(dice: &mut Dice) -> String {
    const WORDS: [&str; 24] = [
        "let", "self", "value", "result", "match", "Some", "None", "index", "buffer", "length",
        "return", "token", "key", "config", "parse", "error", "write", "stream", "client",
        "request", "&mut", "=>", "state", "42",
    ];
    let words: Vec<&str> = (0..3 + dice.below(8))
        .map(|_| WORDS[dice.below(24)])
        .collect();
    format!(
        "{}{};\n",
        " ".repeat(4 * dice.below(4)),
        words.join(["_", " ", "(", "."][dice.below(4)])
    )
}

/// One command: CPU, wall, peak in bytes, and what it printed.
fn run(command: &mut Command) -> (Duration, Duration, u64, String) {
    let (used, is_done) = run_to_its_end(command);
    assert!(is_done, "{command:?}");
    used
}

/// The same, and whether it says that it succeeded: scanners say by their exit code that they found something.
fn run_to_its_end(command: &mut Command) -> ((Duration, Duration, u64, String), bool) {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command is installed");
    let out = child.stdout.take().map(|mut out| {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut out, &mut text).expect("it prints text");
        text
    });
    let used = child.wait4().expect("the command ends");
    let wall = started.elapsed();
    assert!(used.status.code().is_some(), "{command:?}");
    let cpu = used.rusage.utime + used.rusage.stime;
    let figures = (cpu, wall, used.rusage.maxrss, out.unwrap_or_default());
    (figures, used.status.success())
}

/// The median of CPU, of wall, the peak, and what was printed last.
fn median(runs: Vec<(Duration, Duration, u64, String)>) -> (f64, f64, u64, String) {
    let of = |what: fn(&(Duration, Duration, u64, String)) -> Duration| {
        let mut all: Vec<Duration> = runs.iter().map(what).collect();
        all.sort();
        all[all.len() / 2].as_secs_f64()
    };
    let (cpu, wall) = (of(|run| run.0), of(|run| run.1));
    let peak = runs.iter().map(|run| run.2).max().unwrap_or(0);
    let printed = runs.into_iter().next_back().map(|run| run.3);
    (cpu, wall, peak, printed.unwrap_or_default())
}

fn measure(name: &str, repo: &Path) {
    let own = |threads: &str| {
        let mut command = Command::new(std::env::current_exe().expect("it runs"));
        command
            .arg("--pass")
            .arg(repo)
            .arg(threads)
            .stdout(Stdio::piped());
        command
    };
    let pack = std::fs::read_dir(repo.join("objects/pack")).expect("it was packed");
    let pack = pack.flatten().map(|entry| entry.path());
    let pack = pack.filter(|path| path.extension().is_some_and(|ending| ending == "pack"));
    let pack: PathBuf = pack.into_iter().next().expect("it was packed");
    let pack_bytes = std::fs::metadata(&pack).map_or(0, |meta| meta.len());
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(repo).args(args).stdout(Stdio::null());
        command
    };
    let index = repo.join("again.idx");
    let index_pack = || {
        let mut command = git(&["index-pack", "--threads=1", "-o"]);
        command.arg(&index).arg(&pack);
        command
    };
    let mut runs: [Vec<_>; 5] = Default::default();
    for _ in 0..ROUNDS {
        runs[0].push(run(&mut own("1")));
        runs[1].push(run(&mut own("2")));
        runs[2].push(run(&mut git(&[
            "cat-file",
            "--batch-all-objects",
            "--batch",
            "--unordered",
        ])));
        runs[3].push(run(&mut index_pack()));
        runs[4].push(run(&mut git(&["rev-list", "--objects", "--all"])));
    }
    let [one, two, cat, index, list] = runs.map(median);
    let counts: Vec<f64> = one
        .3
        .split_whitespace()
        .filter_map(|count| count.parse().ok())
        .collect();
    let [blobs, bytes, scanned, hits] = counts[..] else {
        panic!("{}", one.3);
    };
    let megabytes = |bytes: f64| bytes / 1e6;
    println!(
        "  {name}: {blobs} blobs, {:.1} MB, {:.1} MB of it walked over, {hits} hit, pack {:.1} MB",
        megabytes(bytes),
        megabytes(scanned),
        megabytes(pack_bytes as f64)
    );
    println!(
        "    CPU s   ringfence {:.3}, 2 threads {:.3}, cat-file {:.3}, index-pack {:.3}, rev-list --objects {:.3}",
        one.0, two.0, cat.0, index.0, list.0
    );
    println!(
        "    wall s  ringfence {:.3}, 2 threads {:.3} ({:.2}x), cat-file {:.3}",
        one.1,
        two.1,
        one.1 / two.1,
        cat.1
    );
    println!(
        "    G5 {:.2}x cat-file, {:.2}x index-pack; {:.2} GB/s; G8 peak {:.1} MB (pack and {:.1} MB)",
        one.0 / cat.0,
        one.0 / index.0,
        bytes / one.0 / 1e9,
        megabytes(two.2 as f64),
        megabytes((two.2.saturating_sub(pack_bytes)) as f64)
    );
}
