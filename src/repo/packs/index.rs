//! The index of a pack, both versions: which objects it has, and where. Taken apart here, since a crafted one must not end
//! in a panic.

use std::path::Path;

use crate::push::{HashKind, Oid};

/// Numbers of the first bytes.
const FAN: usize = 256;
/// Where an offset says that it stands in the table of long ones.
const LONG: u32 = 1 << 31;

/// The index of one pack, in memory.
pub(in crate::repo) struct Index {
    bytes: Vec<u8>,
    hash: HashKind,
    is_second: bool,
    count: usize,
}

impl Index {
    /// Reads the file and makes sure that it can be one: its length, its order.
    pub(in crate::repo) fn read(path: &Path, hash: HashKind) -> Result<Index, String> {
        let bytes = crate::repo::read_file(path, u64::MAX).map_err(|error| error.to_string())?;
        Self::of(bytes, hash).ok_or_else(|| "its index is damaged".to_owned())
    }

    fn of(bytes: Vec<u8>, hash: HashKind) -> Option<Index> {
        let is_second = bytes.starts_with(b"\xfftOc");
        if is_second && bytes.get(4..8) != Some(&[0, 0, 0, 2]) {
            return None;
        }
        let mut index = Index {
            bytes,
            hash,
            is_second,
            count: 0,
        };
        let fan = index.fan_at();
        let numbers: Vec<u32> = (0..FAN)
            .map(|first| index.number(fan + 4 * first))
            .collect::<Option<_>>()?;
        index.count = usize::try_from(*numbers.last()?).ok()?;
        let width = hash.len_in_bytes();
        let each = if is_second { width + 8 } else { width + 4 };
        let fixed = index.table_at() + index.count.checked_mul(each)? + 2 * width;
        let long = index.bytes.len().checked_sub(fixed)?;
        if !numbers.is_sorted() || long % 8 != 0 || (!is_second && long > 0) {
            return None;
        }
        (1..index.count)
            .all(|at| index.id_bytes(at - 1) <= index.id_bytes(at))
            .then_some(index)
    }

    /// How many objects it has.
    pub(in crate::repo) fn len(&self) -> usize {
        self.count
    }

    fn fan_at(&self) -> usize {
        if self.is_second { 8 } else { 0 }
    }

    fn table_at(&self) -> usize {
        self.fan_at() + 4 * FAN
    }

    fn number(&self, at: usize) -> Option<u32> {
        let four = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*four))
    }

    fn id_bytes(&self, at: usize) -> &[u8] {
        let width = self.hash.len_in_bytes();
        let start = self.table_at()
            + match self.is_second {
                true => at * width,
                false => at * (width + 4) + 4,
            };
        &self.bytes[start..start + width]
    }

    /// The id of the object with this number.
    pub(in crate::repo) fn id(&self, at: usize) -> Oid {
        Oid::from_bytes_or_panic(self.id_bytes(at))
    }

    /// Where it stands in the pack. `None`: the table of long offsets does not have it.
    pub(super) fn offset(&self, at: usize) -> Option<u64> {
        let width = self.hash.len_in_bytes();
        if !self.is_second {
            return self
                .number(self.table_at() + at * (width + 4))
                .map(u64::from);
        }
        let offsets = self.table_at() + self.count * (width + 4);
        let short = self.number(offsets + 4 * at)?;
        if short & LONG == 0 {
            return Some(u64::from(short));
        }
        let long = usize::try_from(short & !LONG).ok()?;
        let start = offsets + 4 * self.count + long.checked_mul(8)?;
        let end = self.bytes.len() - 2 * width;
        let eight = self.bytes[..end].get(start..)?.first_chunk()?;
        Some(u64::from_be_bytes(*eight))
    }

    /// The CRC-32 of the packed bytes. The first version has none.
    pub(super) fn crc(&self, at: usize) -> Option<u32> {
        let crcs = self.table_at() + self.count * self.hash.len_in_bytes();
        self.is_second.then(|| self.number(crcs + 4 * at)).flatten()
    }

    /// The number of an object.
    pub(super) fn find(&self, id: &Oid) -> Option<usize> {
        let first = usize::from(id.first_byte());
        let fan = |at: usize| -> Option<usize> {
            let number = self.number(self.fan_at() + 4 * at)?;
            usize::try_from(number).ok()
        };
        let mut low = first.checked_sub(1).map_or(Some(0), fan)?;
        let mut high = fan(first)?;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.id_bytes(middle).cmp(id.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Whether it is as it was written: its own checksum, the last thing in it.
    pub(super) fn is_whole(&self) -> bool {
        let end = self.bytes.len() - self.hash.len_in_bytes();
        let mut hasher = gix_hash::hasher(self.hash);
        hasher.update(&self.bytes[..end]);
        hasher
            .try_finalize()
            .is_ok_and(|sum| sum.as_bytes() == &self.bytes[end..])
    }

    /// The checksum that the pack ends with.
    pub(super) fn pack_checksum(&self) -> &[u8] {
        let width = self.hash.len_in_bytes();
        let end = self.bytes.len() - width;
        &self.bytes[end - width..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of the objects 1, 2 and 3, whose checksums nobody looks at.
    fn made(ids: [u8; 3], is_second: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if is_second {
            bytes.extend(b"\xfftOc\0\0\0\x02");
        }
        for first in 0..=255u32 {
            bytes.extend(first.min(3).to_be_bytes());
        }
        for id in ids {
            bytes.extend([0; 4].iter().filter(|_| !is_second));
            bytes.extend([id; 20]);
        }
        bytes.extend([0; 24].iter().filter(|_| is_second));
        bytes.extend([0; 40]);
        bytes
    }

    /// Its own checksum tells of damage; whoever crafts an index makes that too.
    #[test]
    fn an_index_of_another_length_or_order_is_refused() {
        for is_second in [false, true] {
            let is_read = |bytes: &[u8]| Index::of(bytes.to_vec(), HashKind::Sha1).is_some();
            let sound = made([1, 2, 3], is_second);
            assert!(is_read(&sound));
            for bytes in 1..=80 {
                assert!(!is_read(&sound[..sound.len() - bytes]), "{bytes} less");
                let longer = [&sound[..], &vec![0; bytes]].concat();
                // Only the second version may have a table of long offsets.
                let may_be = is_second && bytes % 8 == 0;
                assert_eq!(is_read(&longer), may_be, "{bytes} more");
            }
            assert!(!is_read(&made([1, 3, 2], is_second)));
            assert!(!is_read(&made([2, 1, 3], is_second)));
        }
    }
}
