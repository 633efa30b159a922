//! The index of a pack, read where it is asked: which offset an object has. A push looks up a few objects among millions.

use std::path::Path;

use super::bytes::Bytes;
use crate::push::{HashKind, Oid};

/// Numbers of the first bytes.
const FAN: usize = 256;
/// Where an offset says that it stands in the table of long ones.
const LONG: u32 = 1 << 31;
/// Longest index that is read whole, in bytes.
const WHOLE_MAX_BYTES: u64 = 1 << 20;
/// Ids that are read at once around the place where one is likely to be.
const NEAR: usize = 64;

/// The index of one pack, of either version.
pub(in crate::repo) struct Lookup {
    bytes: Bytes,
    is_second: bool,
    width: usize,
    /// How many ids begin with a byte of at most this.
    fan: Vec<u32>,
    /// Where the long offsets begin and end.
    long: (u64, u64),
}

impl Lookup {
    /// Opens the file and makes sure that it can be one by its length and its first numbers.
    pub(in crate::repo) fn open(
        path: &Path,
        hash: HashKind,
        may_stay_open: bool,
    ) -> std::io::Result<Lookup> {
        let bytes = Bytes::open(path, WHOLE_MAX_BYTES, may_stay_open)?;
        let length = bytes.len();
        let mut start = [0; 8 + 4 * FAN];
        let most = length.min(start.len() as u64) as usize;
        bytes.read(0, &mut start[..most])?;
        let is_second = start.starts_with(b"\xfftOc");
        if is_second && start[4..8] != [0, 0, 0, 2] {
            return Err(damaged());
        }
        let fan_at = if is_second { 8 } else { 0 };
        let fan: Vec<u32> = start[fan_at..fan_at + 4 * FAN]
            .as_chunks()
            .0
            .iter()
            .map(|four| u32::from_be_bytes(*four))
            .collect();
        let width = hash.len_in_bytes();
        let mut lookup = Lookup {
            bytes,
            is_second,
            width,
            fan,
            long: (0, 0),
        };
        let end = length.saturating_sub(2 * width as u64);
        let offsets = lookup.offsets_at();
        let fixed = match is_second {
            true => offsets + 4 * lookup.count(),
            false => offsets,
        };
        lookup.long = (fixed, end);
        let has_long = fixed < end;
        if !lookup.fan.is_sorted() || fixed > end || (has_long && !is_second) {
            return Err(damaged());
        }
        // More long offsets than objects is no index either.
        match (end - fixed) % 8 == 0 && (end - fixed) / 8 <= lookup.count() {
            true => Ok(lookup),
            false => Err(damaged()),
        }
    }

    /// How many objects the pack has.
    pub(in crate::repo) fn count(&self) -> u64 {
        self.fan.last().copied().unwrap_or_default().into()
    }

    fn table_at(&self) -> u64 {
        4 * FAN as u64 + if self.is_second { 8 } else { 0 }
    }

    /// From one id to the next, in bytes.
    fn stride(&self) -> usize {
        self.width + if self.is_second { 0 } else { 4 }
    }

    /// Behind the ids, and the checksums of the second version.
    fn offsets_at(&self) -> u64 {
        let each = self.stride() + if self.is_second { 4 } else { 0 };
        self.table_at() + self.count() * each as u64
    }

    /// The offset of an object in the pack. `None`: the pack does not have it.
    pub(in crate::repo) fn find(&self, id: &Oid) -> std::io::Result<Option<u64>> {
        let first = usize::from(id.first_byte());
        let mut low = match first {
            0 => 0,
            _ => self.fan[first - 1] as usize,
        };
        let mut high = self.fan[first] as usize;
        let stride = self.stride();
        let mut near = [0; NEAR * (32 + 4)];
        // Ids are spread evenly: the place follows from the next bytes.
        let next = u32::from_be_bytes([1, 2, 3, 4].map(|at| id.as_bytes()[at]));
        let mut guess = low + (((high - low) as u64 * u64::from(next)) >> 32) as usize;
        while low < high {
            let from = guess.saturating_sub(NEAR / 2).clamp(low, high - 1);
            let count = NEAR.min(high - from);
            let bytes = &mut near[..count * stride];
            self.bytes
                .read(self.table_at() + (from * stride) as u64, bytes)?;
            let at = |place: usize| {
                let start = (place + 1) * stride - self.width;
                &bytes[start..start + self.width]
            };
            let wanted = id.as_bytes();
            if wanted < at(0) {
                high = from;
            } else if wanted > at(count - 1) {
                low = from + count;
            } else {
                let (mut left, mut right) = (0, count);
                while left < right {
                    let middle = left + (right - left) / 2;
                    match at(middle).cmp(wanted) {
                        std::cmp::Ordering::Less => left = middle + 1,
                        std::cmp::Ordering::Greater => right = middle,
                        std::cmp::Ordering::Equal if self.is_second => {
                            return self.offset(from + middle).map(Some);
                        }
                        std::cmp::Ordering::Equal => {
                            let four = &bytes[middle * stride..][..4];
                            return Ok(four
                                .first_chunk()
                                .map(|four| u32::from_be_bytes(*four).into()));
                        }
                    }
                }
                return Ok(None);
            }
            guess = low + (high - low) / 2;
        }
        Ok(None)
    }

    fn offset(&self, number: usize) -> std::io::Result<u64> {
        let mut four = [0; 4];
        self.bytes
            .read(self.offsets_at() + 4 * number as u64, &mut four)?;
        let short = u32::from_be_bytes(four);
        if short & LONG == 0 {
            return Ok(short.into());
        }
        let (start, end) = self.long;
        let at = start + 8 * u64::from(short & !LONG);
        if at + 8 > end {
            return Err(damaged());
        }
        let mut eight = [0; 8];
        self.bytes.read(at, &mut eight)?;
        Ok(u64::from_be_bytes(eight))
    }

    /// The checksum that the pack ends with.
    pub(super) fn pack_checksum(&self) -> std::io::Result<Vec<u8>> {
        let mut checksum = vec![0; self.width];
        self.bytes.read(self.long.1, &mut checksum)?;
        Ok(checksum)
    }
}

fn damaged() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "its index is damaged")
}
