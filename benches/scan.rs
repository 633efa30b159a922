//! What the scanner does in a second, against other engines and other scanners in the same run: goal G7.
//!
//! `cargo bench --bench scan`. The text is a sample of the crate sources that cargo has unpacked on this machine, scanned
//! file by file on one core. Engines alternate (A B C A B C …), so that a machine whose speed drifts drifts for all;
//! times are CPU time of the thread, figures are medians. Other scanners (`benches/peers` installs them) run as whole
//! processes over the same files.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../examples/measure/sources.rs"]
mod sources;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{RegexSet, RegexSetBuilder};
use ringfence::budget::{Bounds, Budget};
use ringfence::scan::prefilter::Visit;
use ringfence::scan::{BUILTIN, Scanner};
use wait4::Wait4 as _;

const SAMPLE_BYTES: usize = 64 << 20;
/// A regex set of thousands of patterns walks over a few kilobytes a second.
const SLICE_BYTES: usize = 32 << 10;
const ROUNDS: usize = 9;
const ROUND_MIN: Duration = Duration::from_millis(200);
const PEER_ROUNDS: usize = 3;

fn main() {
    // `cargo test --benches` runs this too; measuring takes minutes and belongs to `cargo bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let Some(files) = sources::cargo_sources().map(|folder| sample(&folder)) else {
        println!("cargo has unpacked no crates here: nothing to measure with");
        return;
    };
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!(
        "{} files, {:.1} MB of crate sources; {} rules, {} keywords\n",
        files.len(),
        bytes as f64 / 1e6,
        BUILTIN.len(),
        BUILTIN.prefilter.len() + BUILTIN.names.len()
    );
    engines(&files);
    peers(&files);
}

/// Text files spread over the whole folder, the same ones in every run.
fn sample(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths = sources::files(folder);
    paths.sort_by_cached_key(|path| crc32fast::hash(path.as_os_str().as_encoded_bytes()));
    let mut files = Vec::new();
    let mut left = SAMPLE_BYTES;
    for path in paths {
        let Ok(text) = std::fs::read(path) else {
            continue;
        };
        if !text.is_empty() && text.len() <= left && memchr::memchr(0, &text).is_none() {
            left -= text.len();
            files.push(text);
        }
    }
    files
}

/// Walks over a file and tells how much it found.
type Walk<'a> = Box<dyn Fn(&[u8]) -> u64 + 'a>;

/// One engine: a name, and what walks over a file and returns how much it found.
struct Engine<'a> {
    name: &'static str,
    files: &'a [Vec<u8>],
    walk: Walk<'a>,
}

/// The figures of one engine.
struct Figures {
    bytes_per_second: f64,
    found: u64,
}

fn engines(files: &[Vec<u8>]) {
    let prefilter = &BUILTIN.prefilter;
    let keywords: Vec<&[u8]> = (0..prefilter.len())
        .map(|at| prefilter.keyword(at).bytes)
        .collect();
    let stock = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(&keywords)
        .expect("the keywords make an automaton");
    let started = Instant::now();
    let set = regex_set();
    let set_built = started.elapsed();
    let mut slice_bytes = 0;
    let slice = files.iter().take_while(|file| {
        slice_bytes += file.len();
        slice_bytes <= SLICE_BYTES
    });
    let slice = &files[..slice.count()];
    let budget = Budget::new(Bounds {
        time: Duration::from_secs(3600),
        ..Bounds::default()
    });

    let scanner = Scanner::builtin();
    let engines = [
        Engine {
            name: "memchr, one byte",
            files,
            walk: Box::new(|text| memchr::memchr_iter(0, text).count() as u64),
        },
        Engine {
            name: "ringfence prefilter",
            files,
            walk: Box::new(|text| {
                let mut seen = Seen(0);
                BUILTIN.prefilter.walk(text, &mut seen);
                seen.0
            }),
        },
        Engine {
            name: "ringfence whole scan",
            files,
            walk: Box::new(move |text| {
                let told = scanner.scan(text, &budget).expect("an hour is enough");
                told.matches.len() as u64
            }),
        },
        Engine {
            name: "aho-corasick DFA",
            files,
            walk: Box::new(|text| stock.find_iter(text).count() as u64),
        },
        Engine {
            name: "aho-corasick DFA, overlapping",
            files,
            walk: Box::new(|text| stock.find_overlapping_iter(text).count() as u64),
        },
        Engine {
            name: "RegexSet of all patterns",
            files: slice,
            walk: Box::new(|text| set.matches(text).iter().count() as u64),
        },
    ];

    let mut times: Vec<Vec<Duration>> = engines.iter().map(|_| Vec::new()).collect();
    let mut found = vec![0; engines.len()];
    for round in 0..=ROUNDS {
        for (number, engine) in engines.iter().enumerate() {
            let (before, started) = (cpu_time(), Instant::now());
            let mut walks = 0;
            // The kernel counts CPU time in steps of some milliseconds: many of them.
            while walks == 0 || started.elapsed() < ROUND_MIN {
                found[number] = engine
                    .files
                    .iter()
                    .map(|text| black_box((engine.walk)(text)))
                    .sum();
                walks += 1;
            }
            // The first round warms the caches and compiles the regexes that the text asks for.
            if round > 0 {
                times[number].push((cpu_time() - before) / walks);
            }
        }
    }

    let figures: Vec<Figures> = engines
        .iter()
        .zip(times)
        .zip(found)
        .map(|((engine, times), found)| Figures {
            bytes_per_second: engine.files.iter().map(Vec::len).sum::<usize>() as f64
                / median(times).as_secs_f64(),
            found,
        })
        .collect();
    println!("{:<34} {:>10} {:>12}", "engine, one core", "MB/s", "found");
    for (engine, figures) in engines.iter().zip(&figures) {
        println!(
            "{:<34} {:>10.0} {:>12}",
            engine.name,
            figures.bytes_per_second / 1e6,
            figures.found
        );
    }
    let [memchr, prefilter, scan, stock_once, stock_all, set] =
        [0, 1, 2, 3, 4, 5].map(|number: usize| figures[number].bytes_per_second);
    // The faster way to use the stock automaton is the one to beat.
    let stock_speed = stock_once.max(stock_all);
    println!(
        "\nG7  prefilter / stock DFA: {:.2}x (>= 2.5x)",
        prefilter / stock_speed
    );
    println!("    whole scan / stock DFA: {:.2}x", scan / stock_speed);
    println!("    whole scan / RegexSet: {:.0}x", scan / set);
    println!("    whole scan / prefilter: {:.2}x", scan / prefilter);
    println!("    prefilter / memchr: {:.3}x", prefilter / memchr);
    println!(
        "    stock DFA {:.1} MiB, RegexSet built in {:.0} ms\n",
        stock.memory_usage() as f64 / 1048576.0,
        set_built.as_secs_f64() * 1e3
    );
}

fn regex_set() -> RegexSet {
    RegexSetBuilder::new(
        BUILTIN
            .rules()
            .map(|rule| rule.pattern)
            .filter(|pattern| !pattern.is_empty()),
    )
    .unicode(false)
    .size_limit(1 << 30)
    .dfa_size_limit(256 << 20)
    .build()
    .expect("the patterns make a set")
}

/// Counts keywords.
struct Seen(u64);

impl Visit for Seen {
    fn keyword(&mut self, _: usize, _: usize) {
        self.0 += 1;
    }
}

/// CPU time of this thread, or the wall clock where the kernel does not tell it.
fn cpu_time() -> Duration {
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .filter(|nanos| *nanos > 0);
    match nanos {
        Some(nanos) => Duration::from_nanos(nanos),
        None => std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default(),
    }
}

/// Another scanner, or this one, as a process.
struct Peer {
    name: &'static str,
    program: PathBuf,
    args: &'static [&'static str],
    /// Counts the findings in what it printed.
    count: fn(&str) -> usize,
}

/// How often a key stands in JSON.
fn keys(text: &str, key: &str) -> usize {
    text.matches(key).count()
}

fn peers(files: &[Vec<u8>]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (number, text) in files.iter().enumerate() {
        let below = folder.path().join(format!("{:03}", number / 100));
        std::fs::create_dir_all(&below).expect("a folder can be made");
        std::fs::write(below.join(format!("{number:06}.rs")), text).expect("a file can be written");
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let peers = [
        Peer {
            name: "ringfence scan",
            program: env!("CARGO_BIN_EXE_ringfence").into(),
            args: &["scan", "--format", "jsonl"],
            count: |told| keys(told, "\"secret/"),
        },
        Peer {
            name: "ripsecrets",
            program: installed.join("bin/ripsecrets"),
            args: &[],
            count: |told| told.lines().count(),
        },
        Peer {
            name: "kingfisher",
            program: installed.join("venv/bin/kingfisher"),
            args: &[
                "scan",
                "--no-validate",
                "--no-update-check",
                "--format",
                "jsonl",
            ],
            count: |told| keys(told, "\"fingerprint\""),
        },
        Peer {
            name: "betterleaks",
            program: installed.join("venv/bin/betterleaks"),
            args: &["--jsonl", "--redact=100", "--no-banner"],
            count: |told| keys(told, "\"finding\":{"),
        },
    ];
    println!(
        "{:<18} {:>10} {:>10} {:>10} {:>10}",
        "whole process", "CPU s", "wall s", "findings", "exit"
    );
    let mut medians: Vec<Option<Duration>> = Vec::new();
    let mut runs: Vec<Vec<Used>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..=PEER_ROUNDS {
        for (peer, runs) in peers.iter().zip(&mut runs) {
            if peer.program.is_file() {
                let used = peer.run(folder.path());
                // The first round fills the caches, their own ones too.
                if round > 0 {
                    runs.push(used);
                }
            }
        }
    }
    for (peer, runs) in peers.iter().zip(runs) {
        let Some(last) = runs.last() else {
            println!("{:<18} absent: benches/peers installs it", peer.name);
            medians.push(None);
            continue;
        };
        let cpu = median(runs.iter().map(|used| used.cpu).collect());
        println!(
            "{:<18} {:>10.2} {:>10.2} {:>10} {:>10}",
            peer.name,
            cpu.as_secs_f64(),
            median(runs.iter().map(|used| used.wall).collect()).as_secs_f64(),
            last.findings,
            last.exit
        );
        medians.push(Some(cpu));
    }
    for (peer, cpu) in peers.iter().zip(&medians).skip(1) {
        if let (Some(own), Some(cpu)) = (medians[0], cpu) {
            println!(
                "    {} / ringfence, CPU: {:.1}x",
                peer.name,
                cpu.as_secs_f64() / own.as_secs_f64()
            );
        }
    }
}

/// One run of a process.
struct Used {
    cpu: Duration,
    wall: Duration,
    findings: usize,
    exit: String,
}

impl Peer {
    fn run(&self, folder: &Path) -> Used {
        let output = tempfile::tempfile().expect("a file can be made");
        let started = Instant::now();
        let child = Command::new(&self.program)
            .args(self.args)
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file has two handles"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let used = child.wait4().expect("the program ends");
        let wall = started.elapsed();
        Used {
            cpu: used.rusage.utime + used.rusage.stime,
            wall,
            findings: (self.count)(&read(output)),
            exit: used
                .status
                .code()
                .map_or_else(|| "signal".to_owned(), |code| code.to_string()),
        }
    }
}

fn read(mut file: std::fs::File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.rewind().expect("a file can be read again");
    file.read_to_end(&mut bytes).expect("a file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn median<T: Ord + Copy>(mut figures: Vec<T>) -> T {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
