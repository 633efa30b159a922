//! The few lines of the repository's config that say how it is stored. Nothing else of it is looked at, so it does
//! not matter who owns the repository. Includes are not followed: git does not follow them here either.

use std::path::Path;

use super::RepoError;
use super::layout::RefStorage;
use crate::push::HashKind;

/// How the repository is stored, and what its host noted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) hash: HashKind,
    pub(super) refs: RefStorage,
    /// A partial clone: `extensions.partialClone`, or a remote that promises what is not here.
    pub(super) is_partial: bool,
    /// GitLab's name of it, which its folder does not tell: `gitlab.fullPath`.
    pub(super) gitlab_name: Option<String>,
}

/// Longest config that is read.
const CONFIG_MAX_BYTES: u64 = 4 << 20;

/// Reads the config file; one that is not there means the first format.
pub(super) fn read(path: &Path) -> Result<Format, RepoError> {
    let open = |why: String| RepoError::Open(format!("{}: {why}", path.display()));
    let text = match super::read_file(path, CONFIG_MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(open(error.to_string())),
    };
    parse(&text).map_err(open)
}

/// Extensions that change nothing about how objects and refs are read, allowed in either format version.
const HARMLESS: &[&str] = &["noop", "preciousobjects", "partialclone", "worktreeconfig"];
/// Extensions that git knows in format version 1 alone.
const VERSION_1: &[&str] = &[
    "noop-v1",
    "objectformat",
    "compatobjectformat",
    "refstorage",
    "relativeworktrees",
];

fn parse(text: &[u8]) -> Result<Format, String> {
    let mut version = 0;
    let mut format = Format {
        hash: HashKind::Sha1,
        refs: RefStorage::Files,
        is_partial: false,
        gitlab_name: None,
    };
    let mut unknown = None;
    let mut only_in_1 = None;
    let mut section = Section::Other;
    let mut lines = Lines {
        text,
        at: 0,
        line: 1,
    };
    while let Some(item) = lines.next()? {
        match item {
            Item::Section(found) => section = found,
            Item::Value(key, value) => match section {
                Section::Other => {}
                Section::Remote => {
                    format.is_partial |= key == "promisor" && is_true(value.as_deref())
                }
                Section::Gitlab => {
                    if key == "fullpath" {
                        format.gitlab_name = value.filter(|name| !name.is_empty());
                    }
                }
                Section::Core => {
                    if key == "repositoryformatversion" {
                        let value = value.ok_or("core.repositoryformatversion has no value")?;
                        version = value
                            .parse::<u32>()
                            .map_err(|_| "core.repositoryformatversion is not a number")?;
                    }
                }
                Section::Extensions => {
                    if VERSION_1.contains(&key.as_str()) {
                        only_in_1 = Some(key.clone());
                    } else if !HARMLESS.contains(&key.as_str()) {
                        unknown = Some(key.clone());
                    }
                    match (key.as_str(), value.as_deref()) {
                        ("objectformat", Some("sha1")) => format.hash = HashKind::Sha1,
                        ("objectformat", Some("sha256")) => format.hash = HashKind::Sha256,
                        ("refstorage", Some("files")) => format.refs = RefStorage::Files,
                        ("refstorage", Some("reftable")) => format.refs = RefStorage::Reftable,
                        ("partialclone", _) => format.is_partial = true,
                        ("objectformat" | "refstorage", _) => {
                            return Err(format!("extensions.{key} has a value that is not known"));
                        }
                        _ => {}
                    }
                }
            },
        }
    }
    match (version, unknown, only_in_1) {
        (0, _, None) => Ok(format),
        (0, _, Some(key)) => Err(format!(
            "extensions.{key} needs core.repositoryformatversion 1"
        )),
        (1, None, _) => Ok(format),
        (1, Some(_), _) => Err("it uses an extension that is not known".into()),
        _ => Err("its core.repositoryformatversion is not known".into()),
    }
}

/// git's words for a switch that is on.
fn is_true(value: Option<&str>) -> bool {
    value.is_none_or(|value| {
        ["true", "yes", "on"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
            || value.parse::<i64>().is_ok_and(|number| number != 0)
    })
}

#[derive(Clone, Copy)]
enum Section {
    Core,
    Extensions,
    Gitlab,
    /// `[remote "name"]`.
    Remote,
    Other,
}

enum Item {
    Section(Section),
    Value(String, Option<String>),
}

struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Item>, String> {
        loop {
            match self.peek() {
                None => return Ok(None),
                Some(b'\n' | b' ' | b'\t' | b'\r' | 0x0b | 0x0c) => {
                    self.take();
                }
                Some(b'#' | b';') => self.skip_line(),
                Some(b'[') => return self.section().map(Some),
                Some(byte) if byte.is_ascii_alphabetic() => return self.value().map(Some),
                // A byte order mark at the very start is skipped, as git does.
                Some(0xef) if self.at == 0 && self.text.starts_with(b"\xef\xbb\xbf") => self.at = 3,
                Some(_) => return Err(self.bad()),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.take();
        }
    }

    fn bad(&self) -> String {
        format!("line {} is malformed", self.line)
    }

    fn section(&mut self) -> Result<Item, String> {
        self.take();
        let mut name = String::new();
        let mut plain = true;
        loop {
            match self.take() {
                Some(b']') => break,
                Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => {
                    name.push(char::from(byte.to_ascii_lowercase()));
                }
                Some(b' ' | b'\t') => {
                    plain = false;
                    self.subsection()?;
                    break;
                }
                _ => return Err(self.bad()),
            }
        }
        Ok(Item::Section(match (plain, name.as_str()) {
            (true, "core") => Section::Core,
            (true, "extensions") => Section::Extensions,
            (true, "gitlab") => Section::Gitlab,
            (false, "remote") => Section::Remote,
            _ => Section::Other,
        }))
    }

    /// ` "name"]`, the first blank already taken.
    fn subsection(&mut self) -> Result<(), String> {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.take();
        }
        if self.take() != Some(b'"') {
            return Err(self.bad());
        }
        loop {
            match self.take() {
                Some(b'"') => break,
                Some(b'\\') => match self.take() {
                    Some(byte) if byte != b'\n' => {}
                    _ => return Err(self.bad()),
                },
                None | Some(b'\n') => return Err(self.bad()),
                Some(_) => {}
            }
        }
        if self.take() == Some(b']') {
            Ok(())
        } else {
            Err(self.bad())
        }
    }

    fn value(&mut self) -> Result<Item, String> {
        let mut key = String::new();
        while let Some(byte) = self.peek() {
            if !(byte.is_ascii_alphanumeric() || byte == b'-') {
                break;
            }
            key.push(char::from(byte.to_ascii_lowercase()));
            self.take();
        }
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.take();
        }
        match self.take() {
            None | Some(b'\n') => Ok(Item::Value(key, None)),
            Some(b'\r') if matches!(self.peek(), None | Some(b'\n')) => Ok(Item::Value(key, None)),
            Some(b'#' | b';') => {
                self.skip_line();
                Ok(Item::Value(key, None))
            }
            Some(b'=') => Ok(Item::Value(key, Some(self.text_value()?))),
            Some(_) => Err(self.bad()),
        }
    }

    /// What follows `=`: quotes removed, escapes and continued lines applied, comments and outer blanks cut.
    fn text_value(&mut self) -> Result<String, String> {
        let mut out = Vec::new();
        let mut keep = 0;
        let mut quoted = false;
        loop {
            match self.take() {
                None if quoted => return Err(self.bad()),
                None => break,
                Some(b'\n') if quoted => return Err(self.bad()),
                Some(b'\n') => break,
                Some(b'\r') if self.peek() == Some(b'\n') => {}
                Some(b'#' | b';') if !quoted => self.skip_line(),
                Some(b'"') => {
                    quoted = !quoted;
                    keep = out.len();
                }
                Some(b'\\') => {
                    let byte = match self.take() {
                        Some(b'\n') => continue,
                        Some(b'\r') if self.peek() == Some(b'\n') => {
                            self.take();
                            continue;
                        }
                        Some(b't') => b'\t',
                        Some(b'b') => 8,
                        Some(b'n') => b'\n',
                        Some(same @ (b'\\' | b'"')) => same,
                        _ => return Err(self.bad()),
                    };
                    out.push(byte);
                    keep = out.len();
                }
                Some(byte @ (b' ' | b'\t' | b'\r')) if !quoted => {
                    if !out.is_empty() {
                        out.push(byte);
                    }
                }
                Some(byte) => {
                    out.push(byte);
                    keep = out.len();
                }
            }
        }
        out.truncate(keep);
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> Result<(HashKind, RefStorage), String> {
        parse(text.as_bytes()).map(|format| (format.hash, format.refs))
    }

    #[test]
    fn only_the_format_is_read() {
        let plain = Ok((HashKind::Sha1, RefStorage::Files));
        for text in [
            "",
            "\u{feff}[core]\n\tbare = true\n",
            "[core]\n\trepositoryformatversion = 0\n\tbare\n[remote \"a ] \\\" b\"]\n url = x # y\n",
            "[core] repositoryformatversion = 1 ; why\n[extensions]\nnoop\nnoop-v1\n",
            "[core]\r\n\tRepositoryFormatVersion = \"1\"\r\n[EXTENSIONS]\r\n\tObjectFormat = sha1\r\n",
            // Version 0: git ignores what it does not know.
            "[extensions]\n\tsomething = true\n\tworktreeConfig = true\n",
            "[core]\n\trepositoryformatversion = 1\n[extensions \"sub\"]\n\tunknown = true\n[user]\n\tunknown = 1\n",
            "[alias]\n\tlong = one \\\n two \\\\ \"quoted # no comment; \\t\\n\\b\\\"\"\n[include]\n\tpath = elsewhere\n",
            "[a.b]\nc=d",
            "[core]\nrepositoryformatversion = 1\n[extensions]\nrefstorage = files\n",
        ] {
            assert_eq!(format(text), plain, "{text}");
        }
        let sha256 = "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n\
            compatobjectformat = sha1\nrefstorage = reftable\npartialclone = origin\nrelativeworktrees\n";
        assert_eq!(format(sha256), Ok((HashKind::Sha256, RefStorage::Reftable)));
    }

    #[test]
    fn what_the_host_noted_is_read() {
        let noted = |text: &str| {
            let format = parse(text.as_bytes()).unwrap();
            (format.is_partial, format.gitlab_name)
        };
        let name = |name: &str| Some(name.to_owned());
        for (text, expected) in [
            (
                "[gitlab]\n\tfullpath = group/sub/name\n",
                (false, name("group/sub/name")),
            ),
            (
                "[GitLab]\nfullPath=\"a/b\" # c\n[gitlab]\nfullpath = c/d\n",
                (false, name("c/d")),
            ),
            ("[gitlab]\r\nfullpath = a\\\r\n/b\r\n", (false, name("a/b"))),
            (
                "[gitlab]\nfullpath = \" a\rb \" \n",
                (false, name(" a\rb ")),
            ),
            ("[gitlab]\nfullpath\n", (false, None)),
            ("[gitlab]\nfullpath =\n", (false, None)),
            (
                "[gitlab \"x\"]\nfullpath = a/b\n[core]\nfullpath = a/b\n",
                (false, None),
            ),
            ("[extensions]\npartialClone = origin\n", (true, None)),
            ("[remote \"origin\"]\npromisor = true\n", (true, None)),
            ("[remote \"origin\"]\npromisor\n", (true, None)),
            ("[remote \"origin\"]\r\npromisor\r\n", (true, None)),
            ("[remote \"origin\"]\npromisor = 1\n", (true, None)),
            ("[remote \"origin\"]\npromisor = false\n", (false, None)),
            ("[remote]\npromisor = true\n", (false, None)),
        ] {
            assert_eq!(noted(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_or_malformed_is_refused() {
        for text in [
            "[core]\nrepositoryformatversion = 2\n",
            "[core]\nrepositoryformatversion = x\n",
            "[core]\nrepositoryformatversion\n",
            "[core]\nrepositoryformatversion = 1\n[extensions]\nsomething = true\n",
            "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = md5\n",
            "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat\n",
            "[core]\nrepositoryformatversion = 1\n[extensions]\nrefstorage = other\n",
            "[extensions]\nobjectformat = sha256\n",
            "[core\n",
            "[core \"a\n\"]\n",
            "[core \"a\" ]\n",
            "[core \"a\\\n\"]\n",
            "[co re]\n",
            "[core]\n= 1\n",
            "[core]\n1a = 1\n",
            "[core]\na b = 1\n",
            "[core]\na = \"open\n",
            "[core]\na = \\q\n",
            "[core]\na = \\\rb\n",
            "[core]\na\rb = 1\n",
            "[core]\na = \"b",
            "\u{1}",
            // Starts as a byte order mark does.
            "\u{f000}[core]\n",
        ] {
            assert!(format(text).is_err(), "{text:?}");
        }
        let told = format("[core]\na = 1\nb c\n");
        assert_eq!(told, Err("line 3 is malformed".to_owned()));
    }
}
