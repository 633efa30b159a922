//! YAML text to a tree that knows its lines. Anchors, aliases, tags, directives and several documents are
//! refused where they stand, so the tree is never larger than the text.
//!
//! Policies and rule files are read by it. Shared with the build script, so it imports nothing of the crate.

mod fields;
mod plain;

use std::borrow::Cow;
use std::fmt;

use granit_parser as granit;

pub(crate) use fields::Fields;

/// Most values in one file.
const NODES_MAX: usize = 50_000;

/// Deepest nesting. A policy needs 8, a rule file 5.
const DEPTH_MAX: usize = 32;

/// A piece of the text. Lines from 1; columns in characters, from 1; `line` 0: the file as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Length in characters, at least 1 when shown.
    pub(crate) width: u32,
}

/// What is wrong, where, and at times a way out. `Display` is one line without the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) at: At,
    pub(crate) message: String,
    pub(crate) note: Option<String>,
}

impl Mistake {
    fn new(at: At, message: impl Into<String>) -> Self {
        Mistake {
            at,
            message: message.into(),
            note: None,
        }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.note {
            Some(note) => write!(f, "; {note}"),
            None => Ok(()),
        }
    }
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node<'t> {
    pub(crate) at: At,
    pub(crate) value: Value<'t>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'t> {
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
pub(crate) struct Key<'t> {
    pub(crate) at: At,
    pub(crate) name: Cow<'t, str>,
}

impl Value<'_> {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Nothing => "nothing",
            Value::Scalar(_) => "a plain value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map of keys",
        }
    }
}

/// Reads the one document of a text. `None`: a mistake was noted that leaves no tree.
pub(crate) fn read<'t>(text: &'t str, wrong: &mut Vec<Mistake>) -> Option<Node<'t>> {
    plain::read(text).or_else(|| read_any(text, wrong))
}

/// Reads all of YAML, and says what is wrong.
fn read_any<'t>(text: &'t str, wrong: &mut Vec<Mistake>) -> Option<Node<'t>> {
    let mut options = granit::options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        disallow_directives: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let events = granit::Parser::new_from_str_with_options(text, options);
    build(text, events, wrong)
}

/// A collection that is not closed yet.
enum Open<'t> {
    List(At, Vec<Node<'t>>),
    Map(At, Vec<(Key<'t>, Node<'t>)>, Option<Key<'t>>),
}

fn build<'t>(
    text: &'t str,
    events: impl Iterator<Item = Result<(granit::Event<'t>, granit::Span), granit::ScanError>>,
    wrong: &mut Vec<Mistake>,
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
                let mut mistake = Mistake::new(at, format!("this is not YAML: {}", error.info()));
                if here.is_some_and(|rest| rest.starts_with(['@', '`', '%', '*', '&', '!', '|'])) {
                    mistake = mistake.note("text that starts with a sign needs quotes");
                }
                wrong.push(mistake);
                return None;
            }
        };
        let at = place(&span);
        let tagged = match &event {
            Event::Scalar(_, _, _, tag) => tag.is_some(),
            Event::SequenceStart(_, _, tag) => tag.is_some(),
            Event::MappingStart(_, _, tag) => tag.is_some(),
            Event::Anchor(..) => {
                let mistake = Mistake::new(at, "an anchor (`&name`) is not allowed");
                wrong.push(mistake.note("write the value out where it is needed"));
                return None;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let mistake = Mistake::new(at, "an alias (`*name`) is not allowed");
                let note = "write the value out, or put a pattern that starts with `*` in quotes";
                wrong.push(mistake.note(note));
                return None;
            }
            Event::DocumentStart(..) if document.is_some() => {
                let what = "the file must be one document: `---` may not follow";
                wrong.push(Mistake::new(at, what));
                return None;
            }
            _ => false,
        };
        if tagged {
            let at = span.tag_span().map_or(at, |span| place(&span));
            wrong.push(Mistake::new(at, "a tag (`!name`) is not allowed"));
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
                    find_duplicates(&entries, wrong);
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
            let what = format!("a file has at most {NODES_MAX} values");
            wrong.push(Mistake::new(node.at, what));
            return None;
        }
        match open.last_mut() {
            None => document = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, waiting)) => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => *waiting = Some(key(node, wrong)?),
            },
        }
    }
    match document {
        Some(node) => Some(node),
        None => {
            wrong.push(Mistake::new(At::default(), "the file is empty"));
            None
        }
    }
}

/// Takes a node as the next key of a map.
fn key<'t>(node: Node<'t>, wrong: &mut Vec<Mistake>) -> Option<Key<'t>> {
    let at = node.at;
    match node.value {
        Value::Scalar(name) => Some(Key { at, name }),
        other => {
            let what = format!("a key must be a name, not {}", other.kind());
            wrong.push(Mistake::new(at, what));
            None
        }
    }
}

/// Notes keys that are there twice.
fn find_duplicates(entries: &[(Key<'_>, Node<'_>)], wrong: &mut Vec<Mistake>) {
    let mut keys: Vec<&Key<'_>> = entries.iter().map(|(key, _)| key).collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name).then(a.at.line.cmp(&b.at.line)));
    for pair in keys.windows(2) {
        if pair[0].name == pair[1].name {
            let twice = format!("the key `{}` is here twice", quoted(&pair[1].name));
            let first = format!("first on line {}", pair[0].at.line);
            wrong.push(Mistake::new(pair[1].at, twice).note(first));
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

/// Words of the text, quoted for a message and cut.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    if text.len() <= 60 && !text.chars().any(|c| c != shown(c)) {
        return Cow::Borrowed(text);
    }
    let cut: String = text.chars().take(60).map(shown).collect();
    Cow::Owned(format!("{cut}..."))
}

/// One character for one character, so that carets stay in place.
pub(crate) fn shown(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control()
            || matches!(u32::from(c), 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xE0000..=0xE007F) =>
        {
            '?'
        }
        c => c,
    }
}

#[cfg(test)]
mod tests;
