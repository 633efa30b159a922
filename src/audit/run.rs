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

/// Most parts of a fleet.
const SHARDS_MAX: u64 = 100_000;

impl Shard {
    /// Reads `K/N`, N at most 100,000.
    pub fn parse(text: &str) -> Option<Shard> {
        let (part, of) = text.split_once('/')?;
        let (part, of) = (part.parse().ok()?, of.parse().ok()?);
        (part >= 1 && part <= of && of <= SHARDS_MAX).then_some(Shard { part, of })
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

/// What a person who waits is told. Counted by all threads.
#[derive(Debug, Default)]
pub struct Progress {
    /// Repositories that are done.
    done: AtomicU64,
    /// Objects to look at that were found in the repositories begun so far, and those of them that were looked at.
    found: AtomicU64,
    looked: AtomicU64,
    /// Their bytes, unpacked.
    bytes: AtomicU64,
}

impl Progress {
    pub(super) fn object_found(&self, count: u64) {
        self.found.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn object_done(&self, bytes: u64) {
        self.looked.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One line: how far it is with so many repositories, how fast, and how long it may still take.
    pub fn line(&self, count: u64, since: std::time::Duration) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (done, found, looked) = (of(&self.done).min(count), of(&self.found), of(&self.looked));
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = of(&self.bytes) / 1_000 / millis;
        // Of the one that is at work the objects tell, of those that have not begun nothing but their number.
        let share = match count {
            1 => looked as f64 / found.max(1) as f64,
            _ => done as f64 / count.max(1) as f64,
        };
        let left = match share > 0.0 {
            true => (since.as_secs_f64() * (1.0 - share.min(1.0)) / share).ceil() as u64,
            false => 0,
        };
        let left = match (share > 0.0, left / 60, left % 60) {
            (false, ..) => String::new(),
            (true, 0, seconds) => format!(", about {seconds} s left"),
            (true, minutes, seconds) => format!(", about {minutes} min {seconds} s left"),
        };
        format!("{done} of {count} repositories, {looked} of {found} objects, {rate} MB/s{left}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is() {
        let progress = Progress::default();
        let line = |count, seconds| progress.line(count, std::time::Duration::from_secs(seconds));
        assert_eq!(line(1, 0), "0 of 1 repositories, 0 of 0 objects, 0 MB/s");
        progress.object_found(4);
        progress.object_done(90_000_000);
        assert_eq!(
            line(1, 30),
            "0 of 1 repositories, 1 of 4 objects, 3 MB/s, about 1 min 30 s left"
        );
        progress.done.store(2, Ordering::Relaxed);
        assert_eq!(
            line(4, 30),
            "2 of 4 repositories, 1 of 4 objects, 3 MB/s, about 30 s left"
        );
    }

    #[test]
    fn every_repository_is_in_one_shard_whatever_else_there_is() {
        for name in ["org/site", "org/docs", "a", ""] {
            let shards = (1..=4).filter(|part| Shard { part: *part, of: 4 }.has(name));
            assert_eq!(shards.count(), 1, "{name}");
        }
        for wrong in [
            "", "1", "0/4", "5/4", "1/0", "a/4", "1/4/4", "-1/4", "1/100001",
        ] {
            assert_eq!(Shard::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Shard::parse("2/4").unwrap().to_string(), "2/4");
    }
}
