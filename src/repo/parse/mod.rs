//! Commits, tags and trees from their raw bytes, as strict as `git fsck`. What deviates is a [`Defect`]; what cannot
//! be followed at all (no tree, ids that are not ids, a truncated entry) is [`RepoError::Corrupt`].

mod lookalike;
mod tree;

use bstr::{BString, ByteSlice as _};

#[allow(
    unused_imports,
    reason = "the walk over history reads trees through it"
)]
pub(super) use tree::raw_entries;
pub use tree::{Mode, TreeEntry};
pub(super) use tree::{tree, tree_with_defects};

use super::RepoError;
use super::objects::Kind;
use crate::push::{HashKind, Oid};

/// Something in an object that git itself would not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// `object/malformed`, `path/confusable` or `path/control`.
    pub rule: &'static str,
    /// One sentence without a full stop, fit to be shown.
    pub what: String,
}

const MALFORMED: &str = "object/malformed";

fn malformed(what: impl Into<String>) -> Defect {
    Defect {
        rule: MALFORMED,
        what: what.into(),
    }
}

/// Who, and when: the value of an `author`, `committer` or `tagger` header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// The whole header value.
    pub raw: BString,
    /// What stands before the mail address, without the blanks around it.
    pub name: BString,
    /// What stands between `<` and `>`.
    pub email: BString,
    /// Seconds since 1970; 0 when there is no date that can be read.
    pub time: i64,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: Oid,
    /// Its tree.
    pub tree: Oid,
    /// Its parents, in order: the `parent` headers directly below `tree`, which are the ones git follows.
    pub parents: Vec<Oid>,
    /// The first `author` header; empty when there is none (a defect).
    pub author: Signature,
    /// The first `committer` header; empty when there is none (a defect).
    pub committer: Signature,
    /// Everything below the headers, byte for byte.
    pub message: BString,
    /// All other headers in order, continued lines joined by line feeds. Superfluous `tree`, `parent`, `author`
    /// and `committer` headers are here too.
    pub headers: Vec<(BString, BString)>,
    /// What git would not have written.
    pub defects: Vec<Defect>,
}

/// An annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its id.
    pub id: Oid,
    /// The tagged object.
    pub target: Oid,
    /// What the tag says of the tagged object's kind.
    pub target_kind: Kind,
    /// The tag's own name.
    pub name: BString,
    /// Who tagged; very old tags do not say.
    pub tagger: Option<Signature>,
    /// Everything below the headers, byte for byte.
    pub message: BString,
    /// What git would not have written.
    pub defects: Vec<Defect>,
}

/// One header of a commit or tag: name, value with continued lines joined.
type Header = (BString, BString);

/// Splits headers from message. The flag is false when the headers do not end as they must.
fn split_headers(data: &[u8]) -> (Vec<Header>, &[u8], bool, bool) {
    let mut headers: Vec<Header> = Vec::new();
    let mut well_formed = true;
    let mut rest = data;
    loop {
        if rest.is_empty() {
            return (headers, rest, true, well_formed);
        }
        let (line, next, ended) = match rest.find_byte(b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..], true),
            None => (rest, &rest[rest.len()..], false),
        };
        if line.is_empty() {
            return (headers, next, true, well_formed);
        }
        match (line[0], headers.last_mut()) {
            (b' ', Some((_, value))) => {
                value.push(b'\n');
                value.extend_from_slice(&line[1..]);
            }
            _ => match line.split_once_str(" ") {
                Some((name, value)) if !name.is_empty() => {
                    headers.push((name.into(), value.into()));
                }
                _ => {
                    well_formed = false;
                    headers.push((line.into(), BString::default()));
                }
            },
        }
        rest = next;
        if !ended {
            return (headers, rest, false, well_formed);
        }
    }
}

/// The id at the start of headers, spelled as git spells it.
fn parse_id(text: &[u8], hash: HashKind) -> Option<Oid> {
    Oid::from_hex(text).ok().filter(|id| id.kind() == hash)
}

fn shared_defects(data: &[u8], message: &[u8], ended: bool, well_formed: bool) -> Vec<Defect> {
    let mut defects = Vec::new();
    let head = &data[..data.len() - message.len()];
    if head.contains(&0) {
        defects.push(malformed("has a NUL byte in its headers"));
    }
    if message.contains(&0) {
        defects.push(malformed("has a NUL byte in its message"));
    }
    if !ended {
        defects.push(malformed("has a header that does not end with a line feed"));
    }
    if !well_formed {
        defects.push(malformed("has a header line without a value"));
    }
    defects
}

/// Parses a commit.
pub(super) fn commit(id: Oid, data: &[u8], hash: HashKind) -> Result<Commit, RepoError> {
    let corrupt = |why: &str| RepoError::Corrupt {
        id,
        why: why.into(),
    };
    let (headers, message, ended, well_formed) = split_headers(data);
    let mut defects = shared_defects(data, message, ended, well_formed);
    let mut headers = headers.into_iter().peekable();
    let tree = match headers.next() {
        Some((name, value)) if name == "tree" => {
            parse_id(&value, hash).ok_or_else(|| corrupt("its tree is not an object id"))?
        }
        _ => return Err(corrupt("it does not start with a tree")),
    };
    let mut parents = Vec::new();
    while let Some((_, value)) = headers.next_if(|(name, _)| name == "parent") {
        let parent =
            parse_id(&value, hash).ok_or_else(|| corrupt("a parent is not an object id"))?;
        if parents.contains(&parent) {
            defects.push(malformed("names the same parent twice"));
        }
        parents.push(parent);
    }
    if tree.is_null() || parents.iter().any(Oid::is_null) {
        defects.push(malformed("names the zero id as tree or parent"));
    }
    let mut author = None;
    let mut committer = None;
    let mut others: Vec<Header> = Vec::new();
    for (name, value) in headers {
        match name.as_slice() {
            b"author" if author.is_none() => {
                if committer.is_some() || !others.is_empty() {
                    defects.push(malformed("has its headers out of order"));
                }
                author = Some(signature("author", value, &mut defects));
                continue;
            }
            b"committer" if committer.is_none() => {
                if author.is_none() || !others.is_empty() {
                    defects.push(malformed("has its headers out of order"));
                }
                committer = Some(signature("committer", value, &mut defects));
                continue;
            }
            b"author" => defects.push(malformed("has more than one author header")),
            b"committer" => defects.push(malformed("has more than one committer header")),
            b"tree" => defects.push(malformed("has more than one tree header")),
            b"parent" => defects.push(malformed("has a parent header out of order")),
            _ => {}
        }
        others.push((name, value));
    }
    if author.is_none() {
        defects.push(malformed("has no author header"));
    }
    if committer.is_none() {
        defects.push(malformed("has no committer header"));
    }
    Ok(Commit {
        id,
        tree,
        parents,
        author: author.unwrap_or_default(),
        committer: committer.unwrap_or_default(),
        message: message.into(),
        headers: others,
        defects,
    })
}

/// Parses an annotated tag.
pub(super) fn tag(id: Oid, data: &[u8], hash: HashKind) -> Result<Tag, RepoError> {
    let corrupt = |why: &str| RepoError::Corrupt {
        id,
        why: why.into(),
    };
    let (headers, message, ended, well_formed) = split_headers(data);
    let mut defects = shared_defects(data, message, ended, well_formed);
    let mut headers = headers.into_iter().peekable();
    let target = match headers.next() {
        Some((name, value)) if name == "object" => {
            parse_id(&value, hash).ok_or_else(|| corrupt("its object is not an object id"))?
        }
        _ => return Err(corrupt("it does not start with an object")),
    };
    if target.is_null() {
        defects.push(malformed("tags the zero id"));
    }
    let target_kind = match headers.next() {
        Some((name, value)) if name == "type" => match value.as_slice() {
            b"commit" => Kind::Commit,
            b"tree" => Kind::Tree,
            b"blob" => Kind::Blob,
            b"tag" => Kind::Tag,
            _ => return Err(corrupt("its type is not known")),
        },
        _ => return Err(corrupt("it has no type")),
    };
    let name = match headers.next_if(|(name, _)| name == "tag") {
        Some((_, value)) => value,
        None => {
            defects.push(malformed("has no name header"));
            BString::default()
        }
    };
    let mut full = b"refs/tags/".to_vec();
    full.extend_from_slice(&name);
    if crate::push::RefName::new(full).is_err() {
        defects.push(malformed("names itself with what cannot be a tag name"));
    }
    let tagger = headers
        .next_if(|(name, _)| name == "tagger")
        .map(|(_, value)| signature("tagger", value, &mut defects));
    for (name, _) in headers {
        match name.as_slice() {
            b"object" | b"type" | b"tag" | b"tagger" => {
                defects.push(malformed(format!("has a superfluous {name} header")));
            }
            _ => {}
        }
    }
    Ok(Tag {
        id,
        target,
        target_kind,
        name,
        tagger,
        message: message.into(),
        defects,
    })
}

/// Reads a signature by the rules of `git fsck`.
fn signature(role: &str, raw: BString, defects: &mut Vec<Defect>) -> Signature {
    let mut found = Signature::default();
    if let Err(what) = read_signature(&raw, &mut found) {
        defects.push(malformed(format!("has a malformed {role}: {what}")));
    }
    found.raw = raw;
    found
}

fn read_signature(raw: &[u8], out: &mut Signature) -> Result<(), &'static str> {
    let open = raw.find_byteset(b"<>\n").unwrap_or(raw.len());
    out.name = raw[..open].trim().into();
    match raw.get(open) {
        Some(b'<') => {}
        Some(b'>') => return Err("its name holds \">\""),
        _ => return Err("it has no mail address"),
    }
    let after = &raw[open + 1..];
    let close = after.find_byteset(b"<>\n").unwrap_or(after.len());
    out.email = after[..close].into();
    if after.get(close) != Some(&b'>') {
        return Err("its mail address does not end with \">\"");
    }
    let date = after[close + 1..].trim_start();
    let digits = date.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let seconds = std::str::from_utf8(&date[..digits])
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    out.time = seconds.unwrap_or(0);
    if open == 0 {
        return Err("it has no name");
    }
    if raw[open - 1] != b' ' {
        return Err("no blank stands before its mail address");
    }
    if after.get(close + 1) != Some(&b' ') {
        return Err("no blank stands before its date");
    }
    let stamp = &after[close + 2..];
    if digits == 0 || !stamp.starts_with(&date[..digits]) || stamp.get(digits) != Some(&b' ') {
        return Err("its date is not a number");
    }
    if digits > 1 && stamp[0] == b'0' {
        return Err("its date is padded with zeros");
    }
    if seconds.is_none() {
        return Err("its date is too large");
    }
    match &stamp[digits + 1..] {
        [b'+' | b'-', zone @ ..] if zone.len() == 4 && zone.iter().all(u8::is_ascii_digit) => {
            Ok(())
        }
        _ => Err("its time zone is not four digits with a sign"),
    }
}
