//! The common grams of source text, for `rules/common-grams.txt`: the prefilter knows keywords by their rare ones.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::sources;

/// Bytes read of each folder, so that none outweighs the others.
const FOLDER_BYTES: usize = 24 << 20;

/// Grams that are rarer than this, in a million places, are not listed.
const LISTED_PER_MILLION: u64 = 40;

/// Prints the common grams of three and of four bytes in lower case, as hex, behind how often each occurs in a
/// million places: that often or up to a quarter more.
pub(crate) fn print(folders: &[PathBuf]) -> Result<(), String> {
    let mut grams: [HashMap<u32, u64>; 2] = Default::default();
    let mut places = 0;
    for folder in folders {
        let mut paths = sources::files(folder);
        paths.sort_by_cached_key(|path| crc32fast::hash(path.as_os_str().as_encoded_bytes()));
        let mut left = FOLDER_BYTES;
        for text in paths.iter().filter_map(|path| std::fs::read(path).ok()) {
            if text.len() > left || memchr::memchr(0, &text).is_some() {
                continue;
            }
            left -= text.len();
            for four in text.windows(4).filter_map(<[u8]>::first_chunk) {
                let four = u32::from_be_bytes(*four) | 0x2020_2020;
                *grams[0].entry(four >> 8).or_default() += 1;
                *grams[1].entry(four).or_default() += 1;
                places += 1;
            }
        }
    }
    if places == 0 {
        return Err("no text in these folders".to_owned());
    }
    for (grams, digits) in grams.iter().zip([6, 8]) {
        let mut classes: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (gram, count) in grams {
            let per_million = count * 1_000_000 / places;
            if per_million >= LISTED_PER_MILLION {
                let steps = (per_million as f64).log(1.25).floor();
                let class = 1.25_f64.powf(steps) as u64;
                classes.entry(class).or_default().push(*gram);
            }
        }
        for (class, mut grams) in classes.into_iter().rev() {
            grams.sort_unstable();
            for line in grams.chunks(12) {
                print!("{class}:");
                for gram in line {
                    print!(" {gram:0digits$x}");
                }
                println!();
            }
        }
    }
    Ok(())
}
