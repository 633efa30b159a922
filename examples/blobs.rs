//! Large histories, and what the audit finds in their blobs against a scan of every blob as a whole.
//!
//! `cargo run --release --example blobs -- build REPO CRATE…` makes a repository of successive versions of crates
//! (`benches/versions` fetches them), `-- compare REPO…` looks at every blob twice and tells each difference, `-- time REPO`
//! takes the time.

#![allow(clippy::print_stdout, reason = "it prints its figures")]

#[path = "../benches/history.rs"]
mod history;
#[allow(dead_code, reason = "only the place of the sources is asked for here")]
#[path = "measure/sources.rs"]
mod sources;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringfence::audit::contents::{self, Collect, Contents};
use ringfence::budget::{Bounds, Budget};
use ringfence::check::{CHECKS, Hit, Text};
use ringfence::finding::Part as TextPart;
use ringfence::push::Oid;
use ringfence::redact::FingerprintKey;
use ringfence::repo::packs::{Part, Visit, pass};
use ringfence::repo::{Kind, Layout, Repo};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["build", repo, crates @ ..] => build(Path::new(repo), crates),
        ["compare", repos @ ..] => {
            let differences: u64 = repos.iter().map(|repo| compare(&open(repo))).sum();
            assert_eq!(differences, 0, "not as if each blob were scanned whole");
        }
        ["time", repo, threads] => time(&open(repo), threads.parse().expect("a number")),
        _ => println!("build REPO CRATE… | compare REPO… | time REPO THREADS"),
    }
}

fn build(repo: &Path, crates: &[&str]) {
    let mut folders = vec![PathBuf::from("target/versions")];
    folders.extend(sources::cargo_sources());
    let all = history::series(&folders);
    let wanted = |one: &&history::Series| crates.is_empty() || crates.contains(&one.name.as_str());
    let chosen: Vec<&history::Series> = all.iter().filter(wanted).collect();
    std::fs::create_dir_all(repo).expect("a folder can be made");
    history::write(repo, history::steps(&chosen, usize::MAX));
}

fn open(repo: &str) -> Repo {
    let layout = Layout::discover(Path::new(repo)).expect("a repository");
    Repo::open(layout).expect("a repository")
}

struct Nothing;

impl Collect for Nothing {
    fn commit(&mut self, _: &Oid, _: &[u8]) {}
    fn tag(&mut self, _: &Oid, _: &[u8]) {}
}

fn key() -> FingerprintKey {
    FingerprintKey::new([7; 32])
}

fn audited(repo: &Repo, threads: usize) -> Contents {
    let (contents, _) = contents::scan(repo, &key(), threads, || Nothing).expect("it can be read");
    contents
}

fn time(repo: &Repo, threads: usize) {
    let started = Instant::now();
    let contents = audited(repo, threads);
    println!(
        "{:?}, {} blobs, {:.1} MB, {:.1} MB scanned, {} hit, {} odd, {} unread",
        started.elapsed(),
        contents.counts.blobs,
        contents.counts.bytes as f64 / 1e6,
        contents.counts.scanned as f64 / 1e6,
        contents.hits.len(),
        contents.odd.len(),
        contents.unread.len()
    );
}

/// Looks at every blob by itself.
struct Whole<'a> {
    key: &'a FingerprintKey,
    budget: &'a Budget,
    hits: HashMap<Oid, Vec<Hit>>,
}

impl Visit for Whole<'_> {
    type Kept = ();

    fn wants(&self, _: &Oid, kind: Kind) -> bool {
        kind == Kind::Blob
    }

    fn object(&mut self, _: &Oid, _: Kind, _: &[u8]) {}

    fn blob(&mut self, id: &Oid, text: &[u8]) {
        let secrets = CHECKS.iter().find(|check| check.name() == "secrets");
        let text = Text {
            part: TextPart::Content,
            path: None,
            bytes: text,
        };
        let mut hits = Vec::new();
        let secrets = secrets.expect("there is such a check");
        secrets
            .content(&text, self.key, self.budget, &mut hits)
            .expect("a day is enough");
        self.hits.insert(*id, hits);
    }

    fn made(&mut self, id: &Oid, text: &[u8], _: &(), _: &[Part]) {
        self.blob(id, text);
    }
}

fn compare(repo: &Repo) -> u64 {
    let contents = audited(repo, 2);
    let key = key();
    let budget = Budget::new(Bounds {
        time: Duration::from_secs(86_400),
        ..Bounds::default()
    });
    let whole = || Whole {
        key: &key,
        budget: &budget,
        hits: HashMap::new(),
    };
    let (wholes, unread) = pass(repo, 2, whole).expect("it can be read");
    assert_eq!(unread, contents.unread);
    let (mut differences, mut blobs, mut hits) = (0, 0, 0);
    for (id, expected) in wholes.into_iter().flat_map(|whole| whole.hits) {
        let found: Vec<Hit> = contents
            .hits
            .get(&id)
            .into_iter()
            .flatten()
            .map(contents::Found::hit)
            .collect();
        blobs += 1;
        hits += expected.len();
        if found != expected {
            differences += 1;
            println!("{id}\n  whole {expected:?}\n  audit {found:?}");
        }
    }
    println!(
        "{blobs} blobs, {:.1} MB, {:.1} MB scanned, {hits} hits, {differences} differences",
        contents.counts.bytes as f64 / 1e6,
        contents.counts.scanned as f64 / 1e6,
    );
    differences
}
