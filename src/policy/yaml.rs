//! YAML text to a tree that knows its lines. Anchors, aliases, tags, directives and several documents are
//! refused where they stand, so the tree is never larger than the text.

use std::borrow::Cow;

use serde_saphyr::granit_parser as granit;

use super::diagnostic::{At, Log, quoted};

/// Most values in one file.
pub(super) const NODES_MAX: usize = 50_000;

/// Deepest nesting. A policy needs 8.
const DEPTH_MAX: usize = 32;

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node<'t> {
    pub(super) at: At,
    pub(super) value: Value<'t>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'t> {
    /// Nothing, or a plain `null` or `~`.
    Nothing,
    /// Text, a number, a date: the reader knows what it wants.
    Scalar(Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// Keys, each once, in the order of the text.
    Map(Vec<(Key<'t>, Node<'t>)>),
}

/// A key with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key<'t> {
    pub(super) at: At,
    pub(super) name: Cow<'t, str>,
}

impl Value<'_> {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Nothing => "nothing",
            Value::Scalar(_) => "a plain value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map of keys",
        }
    }
}

/// Reads the one document of a text. `None`: a mistake was noted that leaves no tree.
pub(super) fn read<'t>(text: &'t str, log: &mut Log<'t>) -> Option<Node<'t>> {
    super::plain::read(text).or_else(|| read_any(text, log))
}

/// Reads all of YAML, and says what is wrong.
fn read_any<'t>(text: &'t str, log: &mut Log<'t>) -> Option<Node<'t>> {
    let mut options = granit::options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        disallow_directives: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let events = granit::Parser::new_from_str_with_options(text, options);
    build(text, events, log)
}

/// A collection that is not closed yet.
enum Open<'t> {
    List(At, Vec<Node<'t>>),
    Map(At, Vec<(Key<'t>, Node<'t>)>, Option<Key<'t>>),
}

fn build<'t>(
    text: &'t str,
    events: impl Iterator<Item = Result<(granit::Event<'t>, granit::Span), granit::ScanError>>,
    log: &mut Log<'t>,
) -> Option<Node<'t>> {
    use granit::Event;
    let mut open: Vec<Open<'t>> = Vec::new();
    let mut document: Option<Node<'t>> = None;
    let mut nodes = 0;
    for event in events {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let marker = error.marker();
                let at = At {
                    line: number(marker.line()).max(1),
                    column: number(marker.col()) + 1,
                    width: 1,
                };
                let here = marker.byte_offset().and_then(|offset| text.get(offset..));
                let mistake = log.error(at, format!("this is not YAML: {}", error.info()));
                if here.is_some_and(|rest| rest.starts_with(['@', '`', '%', '*', '&', '!', '|'])) {
                    mistake.note("text that starts with a sign needs quotes");
                }
                return None;
            }
        };
        let at = place(&span);
        let tagged = match &event {
            Event::Scalar(_, _, _, tag) => tag.is_some(),
            Event::SequenceStart(_, _, tag) => tag.is_some(),
            Event::MappingStart(_, _, tag) => tag.is_some(),
            Event::Anchor(..) => {
                log.error(at, "an anchor (`&name`) is not allowed in a policy")
                    .note("write the value out where it is needed");
                return None;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                log.error(at, "an alias (`*name`) is not allowed in a policy")
                    .note("write the value out, or put a pattern that starts with `*` in quotes");
                return None;
            }
            Event::DocumentStart(..) if document.is_some() => {
                log.error(at, "a policy is one document: `---` may not follow");
                return None;
            }
            _ => false,
        };
        if tagged {
            log.error(
                span.tag_span().map_or(at, |span| place(&span)),
                "a tag (`!name`) is not allowed in a policy",
            );
            return None;
        }
        let done = match event {
            Event::SequenceStart(..) => {
                open.push(Open::List(at, Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(at, Vec::new(), None));
                None
            }
            Event::Scalar(text, style, ..) => {
                let plain = matches!(style, granit::ScalarStyle::Plain);
                let value = match &*text {
                    "" | "~" | "null" if plain => Value::Nothing,
                    _ => Value::Scalar(text),
                };
                Some(Node { at, value })
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(at, items)) => Some(Node {
                    at,
                    value: Value::List(items),
                }),
                Some(Open::Map(at, entries, _)) => {
                    find_duplicates(&entries, log);
                    Some(Node {
                        at,
                        value: Value::Map(entries),
                    })
                }
                None => None,
            },
            _ => None,
        };
        let Some(node) = done else {
            continue;
        };
        nodes += 1;
        if nodes > NODES_MAX {
            log.error(node.at, format!("a policy has at most {NODES_MAX} values"));
            return None;
        }
        match open.last_mut() {
            None => document = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, waiting)) => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => *waiting = Some(key(node, log)?),
            },
        }
    }
    match document {
        Some(node) => Some(node),
        None => {
            log.error(At::default(), "the file is empty");
            None
        }
    }
}

/// Takes a node as the next key of a map.
fn key<'t>(node: Node<'t>, log: &mut Log<'t>) -> Option<Key<'t>> {
    let at = node.at;
    match node.value {
        Value::Scalar(name) => Some(Key { at, name }),
        other => {
            log.error(at, format!("a key must be a name, not {}", other.kind()));
            None
        }
    }
}

/// Notes keys that are there twice.
fn find_duplicates(entries: &[(Key<'_>, Node<'_>)], log: &mut Log<'_>) {
    let mut keys: Vec<&Key<'_>> = entries.iter().map(|(key, _)| key).collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name).then(a.at.line.cmp(&b.at.line)));
    for pair in keys.windows(2) {
        if pair[0].name == pair[1].name {
            let twice = format!("the key `{}` is here twice", quoted(&pair[1].name));
            log.error(pair[1].at, twice)
                .note(format!("first on line {}", pair[0].at.line));
        }
    }
}

fn place(span: &granit::Span) -> At {
    let same_line = span.start.line() == span.end.line();
    let width = if same_line {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    At {
        line: number(span.start.line()),
        column: number(span.start.col()) + 1,
        width: number(width).max(1),
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
