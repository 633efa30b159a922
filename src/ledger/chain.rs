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

/// Makes the line, without its LF; its hash, and its id.
pub(super) fn seal(
    entry: &Entry,
    seq: u64,
    torn: Option<u64>,
    prev: &[u8; 32],
) -> Result<(Vec<u8>, [u8; 32], Id), serde_json::Error> {
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
    Ok((line, hash, id))
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

/// Goes along a chain, line by line.
#[derive(Debug)]
pub(super) struct Walk {
    /// Number of the last entry.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: [u8; 32],
    /// Lines that are no entries: where they start, and their bytes. They are only right when the next entry reports them
    /// as torn.
    loose: Option<(u64, u64)>,
}

impl Walk {
    /// Starts after the entry with this number and hash.
    pub(super) fn after(seq: u64, hash: [u8; 32]) -> Self {
        let loose = None;
        Walk { seq, hash, loose }
    }

    /// Takes one line, without its LF; `number` is for messages. `None`: it is no entry, which must still prove right.
    pub(super) fn step(&mut self, line: &[u8], number: u64) -> Result<Option<Link>, Broken> {
        let broken = |line: u64, why: String| Broken::Line { line, why };
        let link = unseal(line);
        let follows = |link: &Link| link.seq == self.seq + 1 && link.prev == self.hash;
        match (link, self.loose) {
            (Some(link), loose) if follows(&link) => {
                let bytes = loose.map(|(_, bytes)| bytes);
                if link.torn != bytes {
                    let at = loose.map_or(number, |(at, _)| at);
                    return Err(broken(at, not_an_entry(link.torn, bytes)));
                }
                *self = Walk::after(link.seq, link.hash);
                Ok(Some(link))
            }
            (Some(_), Some((at, bytes))) => Err(broken(at, not_an_entry(None, Some(bytes)))),
            (Some(link), None) => {
                let (found, due) = (link.seq, self.seq + 1);
                let why = if found == due {
                    format!("entry {found} does not follow from the one before")
                } else {
                    format!("entry {found} where entry {due} must stand")
                };
                Err(broken(number, why))
            }
            (None, loose) => {
                let (at, before) = loose.map_or((number, 0), |(at, bytes)| (at, bytes + 1));
                self.loose = Some((at, before + line.len() as u64));
                Ok(None)
            }
        }
    }

    /// At the end: no line may be left that nothing reports.
    pub(super) fn end(&self) -> Result<(), Broken> {
        match self.loose {
            Some((line, _)) => Err(Broken::Line {
                line,
                why: not_an_entry(None, Some(0)),
            }),
            None => Ok(()),
        }
    }
}

/// Checks every line of a ledger. `anchor` is a hash noted elsewhere: without one, entries that were cut
/// off at the end cannot be missed.
pub fn verify(mut from: impl BufRead, anchor: Option<[u8; 32]>) -> Result<Verified, Broken> {
    let mut verified = Verified::default();
    let mut walk = Walk::after(0, GENESIS);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = u64::try_from(LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
        if from.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            if line.len() >= LINE_MAX_BYTES {
                let why = "the line is too long".into();
                return Err(Broken::Line { line: number, why });
            }
            let (_, before) = walk
                .loose
                .take()
                .map_or((0, 0), |(at, bytes)| (at, bytes + 1));
            verified.unfinished = before + line.len() as u64;
            break;
        }
        let Some(link) = walk.step(&line, number)? else {
            continue;
        };
        if let Some(bytes) = link.torn {
            verified.torn.push((link.seq, bytes));
        }
        verified.entries += 1;
        verified.anchor_met |= anchor == Some(link.hash);
        verified.head = Some(link);
    }
    walk.end()?;
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
