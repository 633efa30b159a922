//! Commits, tags and trees from their raw bytes, as strict as `git fsck`. What deviates is a [`Defect`]; what cannot
//! be followed at all (no tree, ids that are not ids, a truncated entry) is [`RepoError::Corrupt`].

mod lookalike;
mod tree;

use bstr::{BString, ByteSlice as _};

pub(super) use tree::tree;
pub use tree::tree_with_defects;
pub use tree::{Mode, TreeEntry};
#[allow(
    unused_imports,
    reason = "the walk over history reads trees through it"
)]
pub(super) use tree::{RawEntry, raw_entries, tree_with_new_defects};

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
    /// The entry of a tree whose name it is about, where that can stand in a path.
    pub entry: Option<BString>,
}

const MALFORMED: &str = "object/malformed";

/// Defects of one rule that are told of one object. One more changes no verdict, but one object can hold millions.
const DEFECTS_MAX: usize = 16;

/// Headers of one commit or tag, parents among them. git itself writes a parent twice here at most: once as such, once
/// as a merged tag.
const HEADERS_MAX: usize = 4096;

/// The defects of one object.
#[derive(Default)]
struct Defects(Vec<Defect>);

impl Defects {
    fn add(&mut self, rule: &'static str, what: impl FnOnce() -> String) {
        let told = self.0.iter().filter(|defect| defect.rule == rule).count();
        if told < DEFECTS_MAX {
            let what = what();
            self.0.push(Defect {
                rule,
                what,
                entry: None,
            });
        }
    }

    fn malformed(&mut self, what: &str) {
        self.add(MALFORMED, || what.into());
    }
}

/// Who, and when: the value of an `author`, `committer` or `tagger` header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// The whole header value.
    pub raw: BString,
    /// What stands before the mail address, without the one blank between them.
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
    /// All other headers in order, continued lines joined by line feeds, superfluous ones among them.
    pub headers: Vec<(BString, BString)>,
    /// What git would not have written.
    pub defects: Vec<Defect>,
}

/// One header of a commit or tag: name, value with continued lines joined.
type Header = (BString, BString);

/// A commit or tag, cut into headers and message.
struct Parts<'a> {
    headers: std::iter::Peekable<std::vec::IntoIter<Header>>,
    message: &'a [u8],
    defects: Defects,
}

/// `None` when there are too many headers.
fn split(data: &[u8]) -> Option<Parts<'_>> {
    let mut headers: Vec<Header> = Vec::new();
    let mut defects = Defects::default();
    let mut rest = data;
    while !rest.is_empty() {
        let (line, next) = match rest.find_byte(b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => {
                defects.malformed("has a header that does not end with a line feed");
                (rest, &rest[rest.len()..])
            }
        };
        rest = next;
        if line.is_empty() {
            break;
        }
        if headers.len() >= HEADERS_MAX {
            return None;
        }
        match (line[0], headers.last_mut(), line.split_once_str(" ")) {
            (b' ', Some((_, value)), _) => {
                value.push(b'\n');
                value.extend_from_slice(&line[1..]);
            }
            // An empty name is that of the first line, and no object starts with that.
            (_, _, Some((name, value))) => headers.push((name.into(), value.into())),
            _ => {
                defects.malformed("has a header line that is not a name and a value");
                headers.push((line.into(), BString::default()));
            }
        }
    }
    if let Some(at) = memchr::memchr(0, data) {
        defects.malformed(if at < data.len() - rest.len() {
            "has a NUL byte in its headers"
        } else {
            "has a NUL byte in its message"
        });
    }
    Some(Parts {
        headers: headers.into_iter().peekable(),
        message: rest,
        defects,
    })
}

/// A header's object id. git reads capital digits too, but never writes them.
fn id_of(text: &[u8], hash: HashKind, defects: &mut Defects) -> Option<Oid> {
    let id = Oid::from_hex(text).ok().filter(|id| id.kind() == hash)?;
    if text.iter().any(u8::is_ascii_uppercase) {
        defects.malformed("spells an object id with capital letters");
    }
    if id.is_null() {
        defects.malformed("names the zero id");
    }
    Some(id)
}

/// Parses a commit.
pub fn commit(id: Oid, data: &[u8], hash: HashKind) -> Result<Commit, RepoError> {
    let corrupt = |why: &str| RepoError::Corrupt {
        id,
        why: why.into(),
    };
    let Parts {
        mut headers,
        message,
        mut defects,
    } = split(data).ok_or_else(|| corrupt("it has too many headers"))?;
    let tree = match headers.next() {
        Some((name, value)) if name == "tree" => id_of(&value, hash, &mut defects)
            .ok_or_else(|| corrupt("its tree is not an object id"))?,
        _ => return Err(corrupt("it does not start with a tree")),
    };
    let mut parents = Vec::new();
    while let Some((_, value)) = headers.next_if(|(name, _)| name == "parent") {
        let parent = id_of(&value, hash, &mut defects)
            .ok_or_else(|| corrupt("a parent is not an object id"))?;
        parents.push(parent);
    }
    let mut distinct = parents.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < parents.len() {
        defects.malformed("names the same parent twice");
    }
    let mut author = None;
    let mut committer = None;
    let mut others: Vec<Header> = Vec::new();
    for (name, value) in headers {
        match name.as_slice() {
            // Out of order it is told of the committer: there has to be one, and it has to come next.
            b"author" if author.is_none() => {
                author = Some(signature("author", value, &mut defects));
                continue;
            }
            b"committer" if committer.is_none() => {
                if author.is_none() || !others.is_empty() {
                    defects.malformed("has its headers out of order");
                }
                committer = Some(signature("committer", value, &mut defects));
                continue;
            }
            b"author" => defects.malformed("has more than one author header"),
            b"committer" => defects.malformed("has more than one committer header"),
            b"tree" => defects.malformed("has more than one tree header"),
            b"parent" => defects.malformed("has a parent header out of order"),
            b"encoding" if !holds_ascii(&value) => {
                defects.malformed("is in an encoding that git shows as other text than it holds");
            }
            _ => {}
        }
        others.push((name, value));
    }
    if author.is_none() {
        defects.malformed("has no author header");
    }
    if committer.is_none() {
        defects.malformed("has no committer header");
    }
    Ok(Commit {
        id,
        tree,
        parents,
        author: author.unwrap_or_default(),
        committer: committer.unwrap_or_default(),
        message: message.into(),
        headers: others,
        defects: defects.0,
    })
}

/// Whether an encoding of messages leaves ASCII as it is, by name. git converts a message before it shows it, so in another
/// one (UTF-7, EBCDIC) people read what no reader of the bytes sees.
fn holds_ascii(encoding: &[u8]) -> bool {
    const FAMILIES: &[&str] = &[
        "utf8",
        "ascii",
        "usascii",
        "ansix34",
        "iso8859",
        "iso2022jp",
        "iso2022kr",
        "latin",
        "windows125",
        "cp125",
        "koi8",
        "euc",
        "gb",
        "big5",
        "sjis",
        "shiftjis",
        "mac",
        "tis620",
        "viscii",
        "cp437",
        "cp737",
        "cp775",
        "cp850",
        "cp852",
        "cp855",
        "cp857",
        "cp858",
        "cp86",
        "cp874",
        "cp932",
        "cp936",
        "cp949",
        "cp950",
        "ibm437",
        "ibm85",
        "ibm866",
    ];
    let plain: String = encoding
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    FAMILIES.iter().any(|family| plain.starts_with(family))
}

/// Parses an annotated tag.
pub fn tag(id: Oid, data: &[u8], hash: HashKind) -> Result<Tag, RepoError> {
    let corrupt = |why: &str| RepoError::Corrupt {
        id,
        why: why.into(),
    };
    let Parts {
        mut headers,
        message,
        mut defects,
    } = split(data).ok_or_else(|| corrupt("it has too many headers"))?;
    let target = match headers.next() {
        Some((name, value)) if name == "object" => id_of(&value, hash, &mut defects)
            .ok_or_else(|| corrupt("its object is not an object id"))?,
        _ => return Err(corrupt("it does not start with an object")),
    };
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
            defects.malformed("has no name header");
            BString::default()
        }
    };
    let mut full = b"refs/tags/".to_vec();
    full.extend_from_slice(&name);
    if crate::push::RefName::new(full).is_err() {
        defects.malformed("names itself with what cannot be a tag name");
    }
    let tagger = headers
        .next_if(|(name, _)| name == "tagger")
        .map(|(_, value)| signature("tagger", value, &mut defects));
    let headers: Vec<Header> = headers.collect();
    for (name, _) in &headers {
        match name.as_slice() {
            b"object" | b"type" | b"tag" | b"tagger" => {
                defects.add(MALFORMED, || format!("has a superfluous {name} header"));
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
        headers,
        defects: defects.0,
    })
}

/// Reads a signature by the rules of `git fsck`.
fn signature(role: &str, raw: BString, defects: &mut Defects) -> Signature {
    let mut found = Signature::default();
    if let Err(what) = read_signature(&raw, &mut found) {
        defects.add(MALFORMED, || format!("has a malformed {role}: {what}"));
    }
    found.raw = raw;
    found
}

fn read_signature(raw: &[u8], out: &mut Signature) -> Result<(), &'static str> {
    let open = raw.find_byteset(b"<>\n").unwrap_or(raw.len());
    let name = &raw[..open];
    out.name = name.strip_suffix(b" ").unwrap_or(name).into();
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
    let date = after[close + 1..].trim_ascii_start();
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
