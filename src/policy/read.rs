//! Nodes to plain values: the small readers that every section shares. Each notes its own mistakes.

use std::fmt::Display;
use std::time::Duration;

use super::diagnostic::{At, Log, nearest, quoted};
use super::keys::Key;
use super::pattern::Pattern;
use crate::yaml::{self, Node, Value};

/// The tree of a text. `None`: a mistake was noted that leaves none.
pub(super) fn tree<'t>(text: &'t str, log: &mut Log<'t>) -> Option<Node<'t>> {
    let mut wrong = Vec::new();
    let tree = yaml::read(text, &mut wrong);
    for mistake in wrong {
        let told = log.error(mistake.at, mistake.message);
        if let Some(note) = mistake.note {
            told.note(note);
        }
    }
    tree
}

/// The keys of one map, all known.
pub(super) struct Fields<'n, 't> {
    pub(super) at: At,
    node: &'n [(yaml::Key<'t>, Node<'t>)],
    keys: &'static [Key],
    /// Keys that are not there, but another is that looks like it.
    mistyped: Vec<&'static str>,
}

impl<'n, 't> Fields<'n, 't> {
    /// The value of a key that is in the table.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node<'t>> {
        debug_assert!(
            self.keys.iter().any(|key| key.name == name),
            "{name} is not in the table of keys"
        );
        self.node
            .iter()
            .find(|(key, node)| key.name == name && node.value != Value::Nothing)
            .map(|(_, node)| node)
    }

    /// Whether an unknown key was noted that looks like this one.
    pub(super) fn is_mistyped(&self, name: &str) -> bool {
        self.mistyped.contains(&name)
    }

    /// The place of a key.
    pub(super) fn key_at(&self, name: &str) -> At {
        self.node
            .iter()
            .find(|(key, _)| key.name == name)
            .map_or(self.at, |(key, _)| key.at)
    }
}

/// Takes a map and checks its keys against the table. `what` says in messages what the map is.
pub(super) fn fields<'n, 't>(
    node: &'n Node<'t>,
    keys: &'static [Key],
    what: impl Display + Copy,
    at: At,
    log: &mut Log<'t>,
) -> Option<Fields<'n, 't>> {
    let Value::Map(entries) = &node.value else {
        log.error(
            node.at,
            format!("{what} must be a map of keys, not {}", node.value.kind()),
        )
        .note(format!("valid here: {}", names(keys).join(", ")));
        return None;
    };
    let mut mistyped = Vec::new();
    for (key, value) in entries {
        match keys.iter().find(|known| known.name == key.name) {
            None => {
                mistyped.extend(nearest(&key.name, &names(keys)));
                log.error(
                    key.at,
                    format!("unknown key `{}` in {what}", quoted(&key.name)),
                )
                .suggest(&key.name, names(keys));
            }
            Some(_) if value.value == Value::Nothing => {
                log.error(key.at, format!("`{}` has no value", quoted(&key.name)));
            }
            Some(_) => {}
        }
    }
    for key in keys.iter().filter(|key| key.required) {
        if !entries.iter().any(|(written, _)| written.name == key.name)
            && !mistyped.contains(&key.name)
        {
            log.error(at, format!("{what} has no `{}`", key.name))
                .note(key.doc.to_owned());
        }
    }
    Some(Fields {
        at,
        node: entries,
        keys,
        mistyped,
    })
}

pub(super) fn names(keys: &'static [Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// Text that is not empty.
pub(super) fn text<'n>(
    node: &'n Node<'_>,
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> Option<&'n str> {
    match &node.value {
        Value::Scalar(text) if !text.is_empty() => Some(text),
        Value::Scalar(_) => {
            log.error(node.at, format!("{what} is empty"));
            None
        }
        other => {
            log.error(
                node.at,
                format!("{what} must be text, not {}", other.kind()),
            );
            None
        }
    }
}

/// The items of a list.
pub(super) fn list<'n, 't>(
    node: &'n Node<'t>,
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> Option<&'n [Node<'t>]> {
    match &node.value {
        Value::List(items) => Some(items),
        other => {
            log.error(
                node.at,
                format!("{what} must be a list, not {}", other.kind()),
            )
            .note("a list: [first, second], or one line for each that starts with `- `");
            None
        }
    }
}

/// The items of a list, or one value as a list of one.
pub(super) fn one_or_more<'n, 't>(
    node: &'n Node<'t>,
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> &'n [Node<'t>] {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            log.error(node.at, format!("{what} is an empty list"));
            &[]
        }
        Value::List(items) => items,
        Value::Scalar(_) => std::slice::from_ref(node),
        other => {
            log.error(
                node.at,
                format!(
                    "{what} must be text or a list of texts, not {}",
                    other.kind()
                ),
            );
            &[]
        }
    }
}

/// One of a few words; gives its index.
pub(super) fn choice(
    node: &Node<'_>,
    words: &'static [&'static str],
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> Option<usize> {
    let written = text(node, what, log)?;
    let found = words.iter().position(|word| *word == written);
    if found.is_none() {
        log.error(
            node.at,
            format!("`{}` is not a valid value of {what}", quoted(written)),
        )
        .suggest(written, words.iter().copied());
    }
    found
}

/// A whole number.
pub(super) fn count(node: &Node<'_>, what: impl Display + Copy, log: &mut Log<'_>) -> Option<u64> {
    let written = text(node, what, log)?;
    let number = digits(written);
    if number.is_none() {
        log.error(
            node.at,
            format!("{what} must be a whole number, not `{}`", quoted(written)),
        );
    }
    number
}

fn digits(text: &str) -> Option<u64> {
    let bare: String = text.chars().filter(|c| *c != '_').collect();
    let plain = !text.starts_with('_')
        && !bare.is_empty()
        && bare.len() <= 18
        && bare.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| bare.parse().ok()).flatten()
}

/// A number of bytes.
pub(super) fn size(node: &Node<'_>, what: impl Display + Copy, log: &mut Log<'_>) -> Option<u64> {
    let written = text(node, what, log)?;
    let split = written
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(written.len());
    let (number, unit) = (&written[..split], written[split..].trim());
    let unit = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "kB" | "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        _ => None,
    };
    let bytes = digits(number)
        .zip(unit)
        .and_then(|(number, unit): (u64, u64)| number.checked_mul(unit));
    if bytes.is_none() {
        log.error(
            node.at,
            format!("{what} must be a size, not `{}`", quoted(written)),
        )
        .note("a size: 512KiB, 64MiB, 4GiB, 500kB, 10MB, or a number of bytes");
    }
    bytes
}

/// A length of time.
pub(super) fn duration(
    node: &Node<'_>,
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> Option<Duration> {
    let written = text(node, what, log)?;
    let split = written
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(written.len());
    let unit = match written[split..].trim() {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" | "min" => Some(60_000),
        _ => None,
    };
    let length = digits(&written[..split])
        .zip(unit)
        .and_then(|(number, unit): (u64, u64)| number.checked_mul(unit))
        .filter(|millis| (1..=3_600_000).contains(millis))
        .map(Duration::from_millis);
    if length.is_none() {
        log.error(
            node.at,
            format!("{what} must be a length of time, not `{}`", quoted(written)),
        )
        .note("a length of time: 4s, 500ms, 2m; at most an hour");
    }
    length
}

/// A moment.
pub(super) fn moment(
    node: &Node<'_>,
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> Option<jiff::Timestamp> {
    let written = text(node, what, log)?;
    let moment = written.parse().ok();
    if moment.is_none() {
        log.error(
            node.at,
            format!("{what} must be a moment, not `{}`", quoted(written)),
        )
        .note("a moment: 2026-11-01T00:00:00Z, with its zone");
    }
    moment
}

/// A glob. Matching is on bytes, so no YAML type but text will do.
pub(super) fn pattern(
    node: &Node<'_>,
    what: impl Display + Copy,
    log: &mut Log<'_>,
) -> Option<Pattern> {
    let written = text(node, what, log)?;
    match Pattern::new(written) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let mistake = log.error(
                node.at,
                format!(
                    "the pattern `{}` is not valid: {}",
                    quoted(written),
                    error.what
                ),
            );
            if let Some(instead) = error.instead {
                mistake.note(format!("did you mean `{}`?", quoted(&instead)));
            }
            None
        }
    }
}
