//! Many repositories: shared out over all cores, told in one order, whatever comes of each.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

use super::baseline::Baseline;
use super::record::Record;
use super::totals::{Totals, recount};

/// One part of a fleet: part `part` of `of`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub part: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// Reads `K/N`.
    pub fn parse(text: &str) -> Option<Shard> {
        let (part, of) = text.split_once('/')?;
        let (part, of) = (part.parse().ok()?, of.parse().ok()?);
        (part >= 1 && part <= of).then_some(Shard { part, of })
    }

    /// Whether a repository belongs to it. By name alone: adding a repository moves no other one.
    pub fn has(self, name: &str) -> bool {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::digest(name.as_bytes());
        let first = digest.first_chunk::<8>().expect("a digest has 32 bytes");
        u64::from_be_bytes(*first) % self.of == self.part - 1
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

/// What a person who waits is told.
#[derive(Debug, Default)]
pub struct Progress {
    /// Repositories that are done.
    pub done: AtomicU64,
    /// Bytes of objects that were looked at, unpacked.
    pub bytes: AtomicU64,
}

impl Progress {
    /// One line: how far, how fast, how long it may take.
    pub fn line(&self, count: u64, since: std::time::Duration) -> String {
        let done = self.done.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let seconds = since.as_secs().max(1);
        let left = match done {
            0 => String::new(),
            done => {
                let left = seconds.saturating_mul(count - done.min(count)) / done;
                format!(", about {left} s left")
            }
        };
        let rate = bytes / seconds / 1_000_000;
        format!("{done} of {count} repositories, {rate} MB/s{left}")
    }
}

/// A repository of at least so many packed bytes is worth all threads at once; smaller ones get one thread each.
const LARGE_BYTES: u64 = 32 << 20;

/// Audits every subject and hands its records out, in the order of the subjects. The audit is told how many threads it may use:
/// all of them for a subject that is a large part of the whole, one where as many subjects are at work. An error: the
/// records could not be written.
pub fn run<S: Sync>(
    subjects: &[S],
    size: &dyn Fn(&S) -> u64,
    audit: &(dyn Fn(&S, usize) -> Vec<Record> + Sync),
    baseline: Option<&Baseline>,
    progress: &Progress,
    out: &mut (dyn FnMut(Record) -> io::Result<()> + Send),
) -> io::Result<Totals> {
    let told = Mutex::new(Told {
        next: 0,
        waiting: BTreeMap::new(),
        totals: Totals::default(),
        result: Ok(()),
        out,
    });
    let threads = rayon::current_num_threads();
    let sizes: Vec<u64> = subjects.iter().map(size).collect();
    let share = sizes.iter().sum::<u64>() / (2 * threads as u64);
    let is_large = |number: &usize| sizes[*number] >= LARGE_BYTES.max(share);
    let one = |number: usize, threads: usize| {
        // Nobody reads any more: the rest is not done for nothing.
        if told.lock().is_ok_and(|told| told.result.is_err()) {
            return;
        }
        let mut records = audit(&subjects[number], threads);
        let known = take_known(&mut records, baseline);
        progress.done.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut told) = told.lock() {
            told.take(number, records, known);
        }
    };
    let (large, small): (Vec<usize>, Vec<usize>) = (0..subjects.len()).partition(is_large);
    for number in large {
        one(number, threads);
    }
    let alone = if small.len() == 1 { threads } else { 1 };
    (small.par_iter().with_max_len(1)).for_each(|number| one(*number, alone));
    let told = told
        .into_inner()
        .map_err(|_| io::Error::other("a thread failed"))?;
    told.result?;
    Ok(told.totals)
}

/// Takes out what the baseline knows, puts the rest in order, and counts it anew.
fn take_known(records: &mut Vec<Record>, baseline: Option<&Baseline>) -> u64 {
    let before = records.len();
    if let Some(baseline) = baseline {
        records.retain(|record| !baseline.knows(record));
    }
    super::tell::sort(records);
    if let Some((Record::Repository(about), rest)) = records.split_first_mut() {
        recount(about, rest);
    }
    (before - records.len()) as u64
}

struct Told<'o> {
    next: usize,
    waiting: BTreeMap<usize, (Vec<Record>, u64)>,
    totals: Totals,
    result: io::Result<()>,
    out: &'o mut (dyn FnMut(Record) -> io::Result<()> + Send),
}

impl Told<'_> {
    fn take(&mut self, number: usize, records: Vec<Record>, known: u64) {
        self.waiting.insert(number, (records, known));
        while let Some((records, known)) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.totals.add_known(known);
            for record in records {
                self.totals.add(&record);
                if self.result.is_ok() {
                    self.result = (self.out)(record);
                }
            }
        }
    }
}
