//! The form of a line, and the proof that no line was changed, lost or put in between.
//!
//! A line is `{"v":1,"seq":N,…,"prev":"P","hash":"H","id":"I"}`. `H` is the SHA-256 of the bytes of the line
//! up to `,"hash":`, closed with `}`; `P` is the `hash` of the entry before, 64 zeros for the first; `I` is
//! made of `H`. The bytes as stored are what is hashed, so that nobody has to agree on a canonical JSON.

use std::io::{BufRead, Read as _};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::entry::Entry;
use super::id::Id;

/// `prev` of the first entry.
pub(super) const GENESIS: [u8; 32] = [0; 32];

/// Longest line that is written or read.
pub(super) const LINE_MAX_BYTES: usize = 16 << 20;

/// Length of `,"hash":"<64>","id":"<9>"}`.
const SEAL_BYTES: usize = 9 + 64 + 8 + 9 + 2;

/// Length of `,"prev":"<64>"`.
const PREV_BYTES: usize = 9 + 64 + 1;

/// What chains one line to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Number of the entry, from 1.
    pub seq: u64,
    /// Bytes of unfinished lines (a crash in the middle of a write) that stand before this entry.
    pub torn: Option<u64>,
    /// Hash of the entry before.
    pub prev: [u8; 32],
    /// Hash of this entry.
    pub hash: [u8; 32],
    /// Id of this entry.
    pub id: Id,
}

#[derive(Serialize)]
struct Body<'a> {
    v: u32,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn: Option<u64>,
    #[serde(flatten)]
    entry: &'a Entry,
    prev: String,
}

/// One line of the ledger as it is read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// Number of the entry, from 1.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// What was recorded.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Makes the line, without its LF.
pub(super) fn seal(
    entry: &Entry,
    seq: u64,
    torn: Option<u64>,
    prev: &[u8; 32],
) -> Result<(Vec<u8>, Id), serde_json::Error> {
    let body = Body {
        v: 1,
        seq,
        torn,
        entry,
        prev: HEXLOWER.encode(prev),
    };
    let mut line = serde_json::to_vec(&body)?;
    let hash: [u8; 32] = Sha256::digest(&line).into();
    let id = Id::of_hash(&hash);
    line.pop();
    line.extend_from_slice(b",\"hash\":\"");
    line.extend_from_slice(HEXLOWER.encode(&hash).as_bytes());
    line.extend_from_slice(b"\",\"id\":\"");
    line.extend_from_slice(id.as_str().as_bytes());
    line.extend_from_slice(b"\"}");
    Ok((line, id))
}

/// The link of a line (without its LF), when its own hash and id are right.
pub(super) fn unseal(line: &[u8]) -> Option<Link> {
    let (body, seal) = line.split_at_checked(line.len().checked_sub(SEAL_BYTES)?)?;
    let seal = seal.strip_prefix(b",\"hash\":\"")?;
    let (hash, seal) = seal.split_at_checked(64)?;
    let id = seal.strip_prefix(b"\",\"id\":\"")?.strip_suffix(b"\"}")?;
    let hash = hex32(hash)?;
    let mut hasher = Sha256::new();
    hasher.update(body);
    hasher.update(b"}");
    if <[u8; 32]>::from(hasher.finalize()) != hash || id != Id::of_hash(&hash).as_str().as_bytes() {
        return None;
    }
    let (rest, prev) = body.split_at_checked(body.len().checked_sub(PREV_BYTES)?)?;
    let prev = hex32(prev.strip_prefix(b",\"prev\":\"")?.strip_suffix(b"\"")?)?;
    let (seq, rest) = number(rest.strip_prefix(b"{\"v\":1,\"seq\":")?)?;
    let torn = match rest.strip_prefix(b",\"torn\":") {
        Some(rest) => Some(number(rest)?.0),
        None => None,
    };
    let id = Id::of_hash(&hash);
    Some(Link {
        seq,
        torn,
        prev,
        hash,
        id,
    })
}

/// Reads a hash as it stands in the ledger.
pub fn hex32(text: &[u8]) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text).ok()?.try_into().ok()
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((value, rest))
}

/// What a whole ledger proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Entries.
    pub entries: u64,
    /// The last entry.
    pub head: Option<Link>,
    /// Unfinished lines: number of the entry that reports them, and their bytes.
    pub torn: Vec<(u64, u64)>,
    /// Bytes after the last LF: an append was cut short and none followed.
    pub unfinished: u64,
    /// Whether the expected hash was met.
    pub anchor_met: bool,
}

/// Where and why a ledger is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The line does not hold what was written.
    #[error("line {line}: {why}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// The chain is whole, but the expected entry is not in it.
    #[error(
        "the chain is whole, but no entry has the hash {0}: entries were cut off, or the file was replaced"
    )]
    Anchor(String),
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// Checks every line of a ledger. `anchor` is a hash noted elsewhere: without one, entries that were cut
/// off at the end cannot be missed.
pub fn verify(mut from: impl BufRead, anchor: Option<[u8; 32]>) -> Result<Verified, Broken> {
    let mut verified = Verified::default();
    let mut prev = GENESIS;
    let mut line = Vec::new();
    // Lines that are no entries are only right when the next entry reports their bytes as torn.
    let mut loose: Option<(u64, u64)> = None;
    let broken = |line: u64, why: String| Broken::Line { line, why };
    for number in 1.. {
        line.clear();
        let limit = u64::try_from(LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
        if from.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            if line.len() >= LINE_MAX_BYTES {
                return Err(broken(number, "the line is too long".into()));
            }
            let (_, before) = loose.take().map_or((0, 0), |(at, bytes)| (at, bytes + 1));
            verified.unfinished = before + line.len() as u64;
            break;
        }
        let link = unseal(&line);
        let follows = link
            .as_ref()
            .filter(|link| link.seq == verified.entries + 1 && link.prev == prev);
        match (follows, loose) {
            (Some(link), loose_lines) => {
                let loose_bytes = loose_lines.map(|(_, bytes)| bytes);
                if link.torn != loose_bytes {
                    let at = loose_lines.map_or(number, |(at, _)| at);
                    return Err(broken(at, not_an_entry(link.torn, loose_bytes)));
                }
                if let Some(bytes) = loose_bytes {
                    verified.torn.push((link.seq, bytes));
                }
                loose = None;
                prev = link.hash;
                verified.entries += 1;
                verified.anchor_met |= anchor == Some(link.hash);
                verified.head = Some(link.clone());
            }
            (None, Some((at, bytes))) if link.is_some() => {
                return Err(broken(at, not_an_entry(None, Some(bytes))));
            }
            (None, None) if link.is_some() => {
                let (found, due) = (link.map_or(0, |link| link.seq), verified.entries + 1);
                let why = if found == due {
                    format!("entry {found} does not follow from the one before")
                } else {
                    format!("entry {found} where entry {due} must stand")
                };
                return Err(broken(number, why));
            }
            (None, None) => loose = Some((number, line.len() as u64)),
            (None, Some((at, bytes))) => loose = Some((at, bytes + 1 + line.len() as u64)),
        }
    }
    if let Some((at, _)) = loose {
        return Err(broken(at, not_an_entry(None, Some(0))));
    }
    match anchor {
        Some(anchor) if !verified.anchor_met => Err(Broken::Anchor(HEXLOWER.encode(&anchor))),
        _ => Ok(verified),
    }
}

fn not_an_entry(reported: Option<u64>, found: Option<u64>) -> String {
    match (reported, found) {
        (Some(reported), None) => {
            format!("the entry reports {reported} torn bytes that are not there")
        }
        (Some(reported), Some(found)) => {
            format!("{found} bytes that are no entry, where {reported} torn bytes were reported")
        }
        _ => "the line was changed: its hash is wrong".into(),
    }
}
