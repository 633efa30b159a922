//! The end of the ledger: all that an append reads, however large the file is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use jiff::Timestamp;

use super::LedgerError;
use super::chain;
use super::suspended;

/// How much of the end of the file is read first. One entry of an ordinary push has about 1 KiB.
const TAIL_BYTES: u64 = 8 << 10;

/// Most of the end of the file that is ever read by an append: two of the longest lines.
const TAIL_MAX_BYTES: u64 = 2 * chain::LINE_MAX_BYTES as u64;

/// The end of the ledger, as the next entry must know it.
pub(super) struct Tail {
    pub(super) seq: u64,
    pub(super) hash: [u8; 32],
    /// Bytes of unfinished lines behind the last entry.
    pub(super) torn: Option<u64>,
    /// The file does not end with LF.
    pub(super) open_line: bool,
    pub(super) carried: Carried,
}

/// What each entry takes over from the one before.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Carried {
    pub(super) time: String,
    #[serde(default)]
    pub(super) suspended: suspended::Names,
    #[serde(default)]
    pub(super) ahead: Option<String>,
}

impl Carried {
    /// A time that cannot be read is none; what was written here can.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        let ahead = self.ahead.iter().filter_map(|time| time.parse().ok());
        self.time.parse().into_iter().chain(ahead).max()
    }
}

/// Reads the end of the ledger.
pub(super) fn read_tail(file: &File) -> Result<Tail, LedgerError> {
    let length = file.metadata().map_err(LedgerError::Open)?.len();
    let mut window = TAIL_BYTES;
    loop {
        let from = length.saturating_sub(window);
        let mut tail = vec![0; usize::try_from(length - from).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut tail, from)
            .map_err(LedgerError::Open)?;
        if let Some(found) = find_last(&tail, from == 0)? {
            return Ok(found);
        }
        if window >= TAIL_MAX_BYTES {
            return Err(LedgerError::Broken);
        }
        window *= 8;
    }
}

/// Finds the last entry in the end of the file. `None`: more of the file must be read.
fn find_last(tail: &[u8], whole: bool) -> Result<Option<Tail>, LedgerError> {
    let open_line = !tail.is_empty() && !tail.ends_with(b"\n");
    let mut end = tail.len() - usize::from(tail.ends_with(b"\n"));
    loop {
        if end == 0 && whole {
            return Ok(Some(Tail {
                seq: 0,
                hash: chain::GENESIS,
                torn: open_line.then_some(tail.len() as u64),
                open_line,
                carried: Carried::default(),
            }));
        }
        let start = match tail[..end].iter().rposition(|byte| *byte == b'\n') {
            Some(before) => before + 1,
            None if whole => 0,
            None => return Ok(None),
        };
        if let Some(link) = chain::unseal(&tail[start..end]) {
            let carried = serde_json::from_slice(&tail[start..end]);
            let behind = tail.len() - (end + 1).min(tail.len());
            return Ok(Some(Tail {
                seq: link.seq,
                hash: link.hash,
                torn: (open_line && behind > 0).then_some(behind as u64),
                open_line,
                carried: carried.map_err(|_| LedgerError::Broken)?,
            }));
        }
        // A line that ends with LF was written whole once. Only behind a cut line may unfinished ones stand.
        if !open_line {
            return Err(LedgerError::Broken);
        }
        end = start.saturating_sub(1);
    }
}
