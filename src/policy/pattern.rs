//! Globs over bytes. No regex, no compilation: a pattern is matched as it is written, in time that is at
//! most quadratic in the number of components and never exponential.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use super::fold::{self, Folded};

mod grammar;

/// A glob over bytes: `*` stays in a folder, `**` crosses. Checked once, matched as written.
#[derive(Clone)]
pub struct Pattern {
    written: Box<str>,
    /// Without braces and without a leading slash; each matches on its own.
    exact: Box<[Box<[u8]>]>,
    folded: OnceLock<Box<[Box<[u8]>]>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

/// What is wrong with a pattern, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Bytes before the mistake.
    pub offset: usize,
    /// One sentence without a full stop.
    pub what: Cow<'static, str>,
    /// What to write instead.
    pub instead: Option<String>,
}

impl PatternError {
    fn new(offset: usize, what: impl Into<Cow<'static, str>>) -> Self {
        PatternError {
            offset,
            what: what.into(),
            instead: None,
        }
    }

    fn instead(mut self, instead: String) -> Self {
        self.instead = Some(instead);
        self
    }
}

impl Pattern {
    /// Checks a pattern.
    pub fn new(written: &str) -> Result<Pattern, PatternError> {
        grammar::check(written)?;
        let anchored = written.strip_prefix('/').unwrap_or(written);
        let exact = if anchored.contains('{') {
            let expanded = grammar::expanded(anchored)?;
            expanded.into_iter().map(Vec::into_boxed_slice).collect()
        } else {
            Box::new([Box::from(anchored.as_bytes())]) as Box<[Box<[u8]>]>
        };
        for alternative in &exact {
            grammar::check_components(alternative, written)?;
        }
        Ok(Pattern {
            written: written.into(),
            exact,
            folded: OnceLock::new(),
        })
    }

    /// The pattern as the policy writes it.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Whether the pattern matches exactly these bytes.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.exact.iter().any(|glob| glob_matches(glob, name))
    }

    /// Whether the pattern matches these bytes when the case of ASCII letters does not count: names of repositories, which
    /// Gitea and GitLab take in any case.
    pub(crate) fn matches_in_any_case(&self, name: &[u8]) -> bool {
        let name = name.to_ascii_lowercase();
        let mut globs = self.exact.iter();
        globs.any(|glob| glob_matches(&glob.to_ascii_lowercase(), &name))
    }

    /// Whether the pattern matches these bytes or what common file systems would take them for.
    pub fn matches_folded(&self, name: &[u8]) -> bool {
        self.matches_either(name, &fold::path(name))
    }

    /// [`Pattern::matches_folded`] with the folded form at hand.
    pub(super) fn matches_either(&self, name: &[u8], folded: &Folded<'_>) -> bool {
        (!folded.is_simple && self.matches(name))
            || self
                .folded()
                .iter()
                .any(|glob| folded_glob_matches(glob, folded))
    }

    /// Whether some alternative holds nothing but wildcards, so that it names no path in particular.
    pub(super) fn is_bare(&self) -> bool {
        let wild = |byte: &u8| matches!(byte, b'*' | b'?' | b'/');
        self.exact.iter().any(|glob| glob.iter().all(wild))
    }

    /// Bytes that every match starts with; whole folders unless the pattern is a plain name.
    pub fn literal_prefix(&self) -> Vec<u8> {
        let prefix_of = |glob: &[u8]| {
            let mut prefix = Vec::new();
            let mut folder = 0;
            let mut rest = glob.iter();
            while let Some(&byte) = rest.next() {
                match byte {
                    b'*' | b'?' | b'[' => {
                        prefix.truncate(folder);
                        return prefix;
                    }
                    b'\\' => prefix.extend(rest.next()),
                    _ => prefix.push(byte),
                }
                if byte == b'/' {
                    folder = prefix.len();
                }
            }
            prefix
        };
        let mut prefixes = self.exact.iter().map(|glob| prefix_of(glob));
        let first = prefixes.next().unwrap_or_default();
        prefixes.fold(first, |shared, next| {
            let same = shared.iter().zip(&next).take_while(|(a, b)| a == b).count();
            let folder = shared[..same].iter().rposition(|byte| *byte == b'/');
            if same == shared.len() && same == next.len() {
                shared
            } else {
                shared[..folder.map_or(0, |at| at + 1)].to_vec()
            }
        })
    }

    /// Whether `path` is a folder that leads to what the pattern names: with a symbolic link or a file in
    /// its place, everything under it is replaced. `.github` for `.github/workflows/**`.
    pub fn covers_folder(&self, path: &[u8]) -> bool {
        self.leads_through(path, &fold::path(path))
    }

    /// [`Pattern::covers_folder`] with the folded form at hand.
    pub(super) fn leads_through(&self, path: &[u8], folded: &Folded<'_>) -> bool {
        let exact = |folder: &[u8]| glob_matches(folder, path);
        let alike = |folder: &[u8]| folded_glob_matches(folder, folded);
        (!folded.is_simple && self.exact.iter().any(|glob| leads_through(glob, &exact)))
            || self.folded().iter().any(|glob| leads_through(glob, &alike))
    }

    /// Whether it is one name without wildcards.
    pub(super) fn is_plain(&self) -> bool {
        self.exact.len() == 1 && is_plain(&self.exact[0])
    }

    /// Whether everything that `other` matches is matched by this pattern too. `false` when in doubt.
    pub(super) fn includes(&self, other: &Pattern) -> bool {
        other.exact.iter().all(|theirs| {
            self.exact
                .iter()
                .any(|ours| ours == theirs || glob_includes(ours, theirs))
        })
    }

    fn folded(&self) -> &[Box<[u8]>] {
        self.folded
            .get_or_init(|| self.exact.iter().map(|glob| fold_glob(glob)).collect())
    }
}

/// A glob that the build script checked and folded: presets.
pub(super) fn folded_glob_matches(glob: &[u8], folded: &Folded<'_>) -> bool {
    if !folded.short_names && starts_otherwise(glob, &folded.bytes) {
        return false;
    }
    walk(glob, &folded.bytes, &|component, name| {
        component_matches(component, name, true)
            || (folded.short_names && is_short_name_of_match(name, component))
    })
}

/// Whether a name may be the short name of another that the component of a glob matches.
fn is_short_name_of_match(name: &[u8], component: &[u8]) -> bool {
    let (mut start, mut end) = (Vec::new(), Vec::new());
    let mut has_wildcards = false;
    let mut at = 0;
    while at < component.len() {
        match component[at] {
            b'*' | b'?' => {
                (has_wildcards, end) = (true, Vec::new());
                at += 1;
            }
            b'[' => {
                (has_wildcards, end) = (true, Vec::new());
                at = class_matches(component, at + 1, 0).1;
            }
            byte => {
                let is_escape = byte == b'\\' && at + 1 < component.len();
                at += usize::from(is_escape);
                let literal = if has_wildcards { &mut end } else { &mut start };
                literal.push(component[at]);
                at += 1;
            }
        }
    }
    match has_wildcards {
        true => fold::is_short_name_between(name, &start, &end),
        false => fold::is_short_name_of(name, &start),
    }
}

/// Whether a checked glob without braces matches exactly these bytes.
pub(super) fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    if starts_otherwise(glob, name) {
        return false;
    }
    walk(glob, name, &|component, name| {
        component_matches(component, name, false)
    })
}

/// Whether some folder that the glob names, on the way to its end, is matched.
pub(super) fn leads_through(glob: &[u8], matches: &dyn Fn(&[u8]) -> bool) -> bool {
    memchr::memchr_iter(b'/', glob).any(|slash| {
        let folder = &glob[..slash];
        let last = folder.rsplit(|byte| *byte == b'/').next().unwrap_or(folder);
        // Every folder leads through a `*`; only a name says that it is guarded.
        last.iter().any(|byte| !matches!(byte, b'*' | b'?')) && matches(folder)
    })
}

/// Whether the first byte alone says no.
fn starts_otherwise(glob: &[u8], name: &[u8]) -> bool {
    match glob.first() {
        Some(b'*' | b'?' | b'[' | b'\\') | None => false,
        literal => name.first() != literal,
    }
}

/// Matches folder by folder. Only the last `**` is ever tried again, so the work is at most the product
/// of the two lengths.
fn walk(glob: &[u8], path: &[u8], same: &dyn Fn(&[u8], &[u8]) -> bool) -> bool {
    // Most patterns end in a name, and most paths in another one.
    // Names are short: a plain loop is done before a vector search has begun.
    let last_of = |text: &[u8]| {
        let slash = text.iter().rposition(|byte| *byte == b'/');
        slash.map_or(0, |slash| slash + 1)
    };
    let tail = &glob[last_of(glob)..];
    if tail != b"**" && !same(tail, &path[last_of(path)..]) {
        return false;
    }
    let mut glob = Some(glob);
    let mut path = Some(path);
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob, path) {
            (None, None) => return true,
            (Some(pattern), _) => {
                let (component, pattern_rest) = cut(pattern);
                if component == b"**" {
                    match (pattern_rest, path) {
                        (None, rest) => return rest.is_some(),
                        (Some(after), Some(here)) => {
                            again = Some((after, here));
                            glob = pattern_rest;
                            continue;
                        }
                        (Some(_), None) => return false,
                    }
                }
                if let Some(here) = path {
                    let (name, rest) = cut(here);
                    if same(component, name) {
                        glob = pattern_rest;
                        path = rest;
                        continue;
                    }
                }
            }
            (None, Some(_)) => {}
        }
        let Some((after, here)) = again else {
            return false;
        };
        let Some(next) = cut(here).1 else {
            return false;
        };
        again = Some((after, next));
        glob = Some(after);
        path = Some(next);
    }
}

/// The first component and, if there is one, what follows its slash.
fn cut(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
        None => (text, None),
    }
}

/// Matches one component. Only the last `*` is ever tried again.
pub(super) fn component_matches(glob: &[u8], name: &[u8], fold: bool) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    loop {
        match glob.get(at) {
            Some(b'*') => {
                at += 1;
                again = Some((at, here));
                continue;
            }
            Some(_) => {
                if let Some(&byte) = name.get(here)
                    && let Some(next) = token_matches(glob, at, byte, fold)
                {
                    at = next;
                    here += 1;
                    continue;
                }
            }
            None if here == name.len() => return true,
            None => {}
        }
        match again {
            Some((after, from)) if from < name.len() => {
                at = after;
                here = from + 1;
                again = Some((after, here));
            }
            _ => return false,
        }
    }
}

/// Matches one byte with the token at `at`; gives the start of the next token.
fn token_matches(glob: &[u8], at: usize, byte: u8, fold: bool) -> Option<usize> {
    let (matched, next) = match glob[at] {
        b'?' => (true, at + 1),
        b'\\' => (glob.get(at + 1) == Some(&byte), at + 2),
        b'[' => {
            let (matched, next) = class_matches(glob, at + 1, byte);
            let upper = fold
                && byte.is_ascii_lowercase()
                && class_matches(glob, at + 1, byte.to_ascii_uppercase()).0;
            (matched || upper, next)
        }
        literal => (literal == byte, at + 1),
    };
    matched.then_some(next)
}

/// Matches one byte with the class whose text starts at `at`, behind the bracket; gives the byte behind it.
fn class_matches(glob: &[u8], mut at: usize, byte: u8) -> (bool, usize) {
    let negated = matches!(glob.get(at), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    let first = at;
    let mut found = false;
    while at < glob.len() && (glob[at] != b']' || at == first) {
        let low = glob[at];
        if glob.get(at + 1) == Some(&b'-') && glob.get(at + 2).is_some_and(|end| *end != b']') {
            found |= (low..=glob[at + 2]).contains(&byte);
            at += 3;
        } else {
            found |= low == byte;
            at += 1;
        }
    }
    (found != negated, at + 1)
}

fn is_plain(glob: &[u8]) -> bool {
    !glob
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

/// Whether `ours` matches whatever `theirs` matches: a folder or an ending over a narrower pattern.
fn glob_includes(ours: &[u8], theirs: &[u8]) -> bool {
    if ours == b"**" {
        return true;
    }
    if is_plain(theirs) {
        return glob_matches(ours, theirs);
    }
    match ours.strip_suffix(b"/**") {
        // `a/**` over `a/<anything>`: the literal folders of theirs must be in ours.
        Some(folder) if is_plain(folder) => theirs
            .strip_prefix(folder)
            .is_some_and(|rest| rest.first() == Some(&b'/')),
        _ => false,
    }
}

/// Folds the literal bytes of a glob and leaves its wildcards.
fn fold_glob(glob: &[u8]) -> Box<[u8]> {
    let mut folded = Vec::with_capacity(glob.len());
    for (index, component) in glob.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            folded.push(b'/');
        }
        let start = folded.len();
        let mut literal = Vec::new();
        let mut at = 0;
        while at < component.len() {
            match component[at] {
                wild @ (b'*' | b'?') => {
                    flush(&mut literal, &mut folded);
                    folded.push(wild);
                    at += 1;
                }
                b'[' => {
                    flush(&mut literal, &mut folded);
                    let (_, end) = class_matches(component, at + 1, 0);
                    folded.extend_from_slice(&component[at..end]);
                    at = end;
                }
                b'\\' => {
                    literal.extend(component.get(at + 1));
                    at += 2;
                }
                byte => {
                    literal.push(byte);
                    at += 1;
                }
            }
        }
        flush(&mut literal, &mut folded);
        fold::strip_tail(&mut folded, start);
    }
    folded.into_boxed_slice()
}

fn flush(literal: &mut Vec<u8>, folded: &mut Vec<u8>) {
    let mut piece = Vec::new();
    fold::text(literal, &mut piece);
    for byte in piece {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            folded.push(b'\\');
        }
        folded.push(byte);
    }
    literal.clear();
}

#[cfg(test)]
mod tests;
