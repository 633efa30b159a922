//! Outputs of earlier audits: as a baseline, and put together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Take;
use crate::audit::{Baseline, Record, Totals};
use crate::redact::{FingerprintKey, Quoted};

/// Longest line of an earlier output that is read.
const LINE_MAX_BYTES: u64 = 16 << 20;

/// Reads the records of an earlier output.
fn records_of(
    path: &Path,
    take: &mut dyn FnMut(Record) -> io::Result<()>,
) -> Result<io::Result<()>, String> {
    let shown = Quoted(path.as_os_str().as_bytes()).to_string();
    let file = File::open(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let mut from = BufReader::new(file);
    let mut line = Vec::new();
    let mut is_whole = false;
    for number in 1_u64.. {
        line.clear();
        let count = (&mut from)
            .take(LINE_MAX_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        if count == 0 {
            break;
        }
        let record: Record = serde_json::from_slice(&line)
            .map_err(|_| format!("{shown} has no record of an audit on line {number}"))?;
        is_whole = matches!(record, Record::Summary(_));
        if let Err(error) = take(record) {
            return Ok(Err(error));
        }
    }
    match is_whole {
        true => Ok(Ok(())),
        // A run that was cut off must not pass for a whole one.
        false => Err(format!(
            "{shown} is not whole: it has no summary at its end"
        )),
    }
}

pub(super) fn baseline(path: &Path, key: &FingerprintKey) -> Result<Baseline, String> {
    let mut records = Vec::new();
    let read = records_of(path, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    read.map_err(|error| error.to_string())?;
    let name = key.name().to_string();
    for record in &records {
        if let Record::Summary(summary) = record
            && summary.key.as_ref() != Some(&name)
        {
            let shown = Quoted(path.as_os_str().as_bytes()).to_string();
            return Err(format!(
                "the baseline {shown} was made with another key: its fingerprints cannot be compared; give that key with --key"
            ));
        }
    }
    Ok(Baseline::new(&records))
}

/// Puts earlier outputs together. A repository may stand in several only with the same answer: of two answers, as of two
/// servers with the same names, none is left out in silence.
pub(super) fn merged(paths: &[PathBuf], take: Take<'_>) -> Result<io::Result<Totals>, String> {
    let mut repositories: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut totals = Totals::default();
    let mut keys = BTreeSet::new();
    let mut filters = BTreeSet::new();
    for path in paths {
        // Outputs one behind the other in one file are as many outputs.
        let mut of_files: Vec<BTreeMap<String, Vec<Record>>> = vec![BTreeMap::new()];
        let read = records_of(path, &mut |record| {
            let name = match &record {
                Record::Repository(one) => &one.repository,
                Record::Agent(one) => &one.repository,
                Record::Finding(one) => &one.repository,
                Record::Uncovered(one) => &one.repository,
                Record::Summary(one) => {
                    keys.extend(one.key.clone());
                    filters.insert((
                        one.since.clone(),
                        one.until.clone(),
                        one.only_refs.clone(),
                        one.only_paths.clone(),
                    ));
                    totals.add(&record);
                    of_files.push(BTreeMap::new());
                    return Ok(());
                }
            };
            if let Some(of_file) = of_files.last_mut() {
                of_file.entry(name.clone()).or_default().push(record);
            }
            Ok(())
        })?;
        read.map_err(|error| error.to_string())?;
        for (name, records) in of_files.into_iter().flatten() {
            match repositories.get(&name) {
                Some(before) if *before != records => {
                    return Err(format!(
                        "{name} stands in two outputs with two answers: leave the older one out, or audit two servers with the same names apart"
                    ));
                }
                Some(_) => {}
                None => drop(repositories.insert(name, records)),
            }
        }
    }
    if keys.len() > 1 {
        return Err("the outputs were made with different keys: the same secret has another fingerprint in each; make them with one --key".into());
    }
    if filters.len() > 1 {
        return Err("the outputs were made with different --since, --until, --ref or --path: what one of them leaves out, another does not".into());
    }
    if let Some(missing) = totals.missing_shard() {
        return Err(format!(
            "shard {missing} is missing: without it the answer is not whole"
        ));
    }
    for record in repositories.into_values().flatten() {
        totals.add(&record);
        if let Err(error) = take(record) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(totals))
}
