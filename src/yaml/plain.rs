//! The plain part of YAML, read fast: every push reads the policy, and one of 500 identities has to cost little.
//!
//! Takes what policies are made of: block maps and lists, flow maps and lists, scalars on one line, comments. At
//! anything else, and at every mistake, it gives up, and the full parser reads the text from the start: no
//! judgement and no message comes from here. A property test holds the two to the same tree.

use std::borrow::Cow;

use super::{At, Key, NODES_MAX, Node, Value};

/// Deepest nesting read here.
const DEPTH_MAX: usize = 16;

/// Longest key read here, in bytes; YAML allows 1024 characters.
const KEY_MAX_BYTES: usize = 512;

/// Reads a whole text. `None`: it is not plain, or not right.
pub(super) fn read(text: &str) -> Option<Node<'_>> {
    if has_special(text.as_bytes()) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        line_start: 0,
        next_wide: 0,
        nodes: 0,
    };
    reader.skip()?;
    if reader.column() != 0 {
        return None;
    }
    let root = reader.block(0)?;
    (reader.at == reader.bytes.len()).then_some(root)
}

/// Whether there is a character that the full parser treats in a way of its own.
fn has_special(bytes: &[u8]) -> bool {
    // Without an early end, so that many bytes are looked at together.
    let control = bytes.iter().fold(false, |found, &byte| {
        found | ((byte < b' ') & (byte != b'\n')) | (byte == 0x7F)
    });
    // C1 controls, line and paragraph separators, byte order marks and what is no character.
    control
        || memchr::memchr3_iter(0xC2, 0xE2, 0xEF, bytes).any(|at| match bytes[at..] {
            [0xC2, second, ..] => second < 0xA0,
            [0xE2, 0x80, third, ..] => matches!(third, 0xA8 | 0xA9),
            [0xEF, 0xBB, 0xBF, ..] | [0xEF, 0xBF, 0xBE | 0xBF, ..] => true,
            _ => false,
        })
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    line: u32,
    line_start: usize,
    /// The first byte that is not ASCII, at or behind the start of the line.
    next_wide: usize,
    nodes: usize,
}

/// Where a scalar stands decides where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    Flow,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_is(&self, ahead: usize, wanted: impl Fn(u8) -> bool, or_end: bool) -> bool {
        match self.bytes.get(self.at + ahead) {
            Some(byte) => wanted(*byte),
            None => or_end,
        }
    }

    /// Bytes from the start of the line: the indentation, when a line starts here.
    fn column(&self) -> usize {
        self.at - self.line_start
    }

    fn place(&mut self, start: usize, end: usize) -> At {
        if self.next_wide < self.line_start {
            self.next_wide = self.bytes[self.line_start..]
                .iter()
                .position(|byte| !byte.is_ascii())
                .map_or(self.bytes.len(), |at| self.line_start + at);
        }
        let (line_start, is_ascii) = (self.line_start, self.next_wide >= end);
        let count = |from: usize, to: usize| {
            let characters = if is_ascii {
                to - from
            } else {
                self.text
                    .get(from..to)
                    .map_or(0, |text| text.chars().count())
            };
            u32::try_from(characters).unwrap_or(u32::MAX)
        };
        At {
            line: self.line,
            column: count(line_start, start) + 1,
            width: count(start, end).max(1),
        }
    }

    /// Goes to the next token, over blanks, comments and line ends. A comment needs a blank before it.
    fn skip(&mut self) -> Option<()> {
        loop {
            match self.peek() {
                Some(b' ') => self.at += 1,
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                }
                Some(b'#') => {
                    if self.at > 0 && !matches!(self.bytes[self.at - 1], b' ' | b'\n') {
                        return None;
                    }
                    let rest = &self.bytes[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => return Some(()),
            }
        }
    }

    /// Goes to the next token, which must be on a later line.
    fn skip_line(&mut self) -> Option<()> {
        let line = self.line;
        self.skip()?;
        (self.line > line || self.at == self.bytes.len()).then_some(())
    }

    fn is_dash(&self) -> bool {
        self.peek() == Some(b'-') && self.next_is(1, |byte| matches!(byte, b' ' | b'\n'), true)
    }

    fn is_colon(&self) -> bool {
        self.peek() == Some(b':') && self.next_is(1, |byte| matches!(byte, b' ' | b'\n'), true)
    }

    /// The node at this token, and then goes to the token behind it.
    fn block(&mut self, depth: usize) -> Option<Node<'t>> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.is_dash() {
            return self.block_list(depth);
        }
        if matches!(self.peek()?, b'{' | b'[') {
            let node = self.flow(depth, self.column())?;
            self.skip_line()?;
            return Some(node);
        }
        let column = self.column();
        let scalar = self.scalar(Context::Block)?;
        if self.is_colon() {
            return self.block_map(column, scalar, depth);
        }
        self.skip_line()?;
        Some(scalar)
    }

    fn block_map(&mut self, column: usize, first: Node<'t>, depth: usize) -> Option<Node<'t>> {
        let at = At {
            width: 1,
            ..first.at
        };
        let mut entries = Vec::new();
        let mut key = self.key(first)?;
        loop {
            self.at += 1;
            let line = self.line;
            self.skip()?;
            let value = if self.line == line {
                self.value(column, depth)?
            } else {
                let inner = self.column();
                if !(inner > column || (inner == column && self.is_dash())) {
                    return None;
                }
                self.block(depth + 1)?
            };
            entries.push((key, value));
            match self.peek() {
                None => break,
                Some(_) if self.column() < column => break,
                Some(_) if self.column() == column && !self.is_dash() => {}
                Some(_) => return None,
            }
            let scalar = self.scalar(Context::Block)?;
            if !self.is_colon() {
                return None;
            }
            key = self.key(scalar)?;
        }
        self.node(at, map(entries)?)
    }

    /// A value behind its key, on the same line. What follows on deeper lines is not plain.
    fn value(&mut self, column: usize, depth: usize) -> Option<Node<'t>> {
        let node = match self.peek()? {
            b'{' | b'[' => self.flow(depth + 1, column)?,
            _ => self.scalar(Context::Block)?,
        };
        self.skip_line()?;
        (self.at == self.bytes.len() || self.column() <= column).then_some(node)
    }

    fn block_list(&mut self, depth: usize) -> Option<Node<'t>> {
        let column = self.column();
        let at = self.place(self.at, self.at + 1);
        let mut items = Vec::new();
        loop {
            self.at += 1;
            self.skip()?;
            if self.at == self.bytes.len() || self.column() <= column {
                return None;
            }
            items.push(self.block(depth + 1)?);
            if self.at == self.bytes.len() || self.column() < column {
                break;
            }
            if self.column() > column {
                return None;
            }
            if !self.is_dash() {
                break;
            }
        }
        self.node(at, Value::List(items))
    }

    /// A flow node, and then stays behind it. Its lines must be deeper than the block around it.
    fn flow(&mut self, depth: usize, indent: usize) -> Option<Node<'t>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let at = self.place(self.at, self.at + 1);
        let is_map = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return self.scalar(Context::Flow),
        };
        let close = if is_map { b'}' } else { b']' };
        let mut entries = Vec::new();
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip_inside(indent)?;
            if self.peek()? == close {
                self.at += 1;
                break;
            }
            if is_map {
                let scalar = self.scalar(Context::Flow)?;
                if !self.is_colon() {
                    return None;
                }
                let key = self.key(scalar)?;
                self.at += 1;
                self.skip_inside(indent)?;
                entries.push((key, self.flow(depth + 1, indent)?));
            } else {
                items.push(self.flow(depth + 1, indent)?);
            }
            self.skip_inside(indent)?;
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == close => {}
                _ => return None,
            }
        }
        let value = if is_map {
            map(entries)?
        } else {
            Value::List(items)
        };
        self.node(at, value)
    }

    fn skip_inside(&mut self, indent: usize) -> Option<()> {
        let line = self.line;
        self.skip()?;
        (self.line == line || self.column() > indent).then_some(())
    }

    /// A scalar on one line, and then stays behind it and the blanks after it, but before a comment.
    fn scalar(&mut self, context: Context) -> Option<Node<'t>> {
        let start = self.at;
        let (value, end) = match self.peek()? {
            quote @ (b'"' | b'\'') => {
                let length = self.bytes[start + 1..]
                    .iter()
                    .position(|byte| *byte == quote || matches!(byte, b'\\' | b'\n'))?;
                let end = start + 1 + length;
                // An escape, a doubled quote or a second line is for the full parser.
                if self.bytes[end] != quote || self.bytes.get(end + 1) == Some(&quote) {
                    return None;
                }
                self.at = end + 1;
                if !self.next_is(
                    0,
                    |byte| matches!(byte, b' ' | b'\n' | b':' | b',' | b']' | b'}'),
                    true,
                ) {
                    return None;
                }
                let text = &self.text[start + 1..end];
                (Value::Scalar(Cow::Borrowed(text)), end + 1)
            }
            _ => {
                let end = self.plain_end(context)?;
                self.at = end;
                let value = match &self.text[start..end] {
                    "~" | "null" => Value::Nothing,
                    text => Value::Scalar(Cow::Borrowed(text)),
                };
                (value, end)
            }
        };
        let at = self.place(start, end);
        let blanks = self.bytes[self.at..]
            .iter()
            .take_while(|byte| **byte == b' ')
            .count();
        // A blank before a colon would make a key of what stands before it, in ways of YAML's own.
        if blanks > 0 && self.bytes.get(self.at + blanks) == Some(&b':') {
            return None;
        }
        self.node(at, value)
    }

    /// Where the plain scalar that starts here ends, without blanks at its end.
    fn plain_end(&self, context: Context) -> Option<usize> {
        let start = self.at;
        let first = self.bytes[start];
        let fine = match first {
            b'-' => self.next_is(1, |byte| byte.is_ascii_alphanumeric(), false),
            b'?' | b':' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|'
            | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' => false,
            // `...` at the start of a line ends a document.
            b'.' => self.column() > 0,
            _ => true,
        };
        if !fine {
            return None;
        }
        let mut end = start;
        let mut last = start;
        while let Some(&byte) = self.bytes.get(end) {
            match byte {
                b'\n' => break,
                b'#' if self.bytes[end - 1] == b' ' => break,
                b':' => match self.bytes.get(end + 1) {
                    None | Some(b' ' | b'\n') => break,
                    Some(b',' | b'[' | b']' | b'{' | b'}') if context == Context::Flow => {
                        return None;
                    }
                    Some(_) => {}
                },
                b',' | b'[' | b']' | b'{' | b'}' if context == Context::Flow => break,
                _ => {}
            }
            end += 1;
            if byte != b' ' {
                last = end;
            }
        }
        // In a flow, a plain scalar may go on after a line end.
        if context == Context::Flow && matches!(self.bytes.get(end), None | Some(b'\n' | b'#')) {
            return None;
        }
        Some(last)
    }

    fn key(&self, scalar: Node<'t>) -> Option<Key<'t>> {
        match scalar.value {
            Value::Scalar(name) if name.len() <= KEY_MAX_BYTES => Some(Key {
                at: scalar.at,
                name,
            }),
            _ => None,
        }
    }

    fn node(&mut self, at: At, value: Value<'t>) -> Option<Node<'t>> {
        self.nodes += 1;
        (self.nodes <= NODES_MAX).then_some(Node { at, value })
    }
}

/// A map, unless a key is there twice.
fn map<'t>(entries: Vec<(Key<'t>, Node<'t>)>) -> Option<Value<'t>> {
    let is_twice = if entries.len() <= 8 {
        entries.iter().enumerate().any(|(index, (key, _))| {
            entries[..index]
                .iter()
                .any(|(earlier, _)| earlier.name == key.name)
        })
    } else {
        let mut names: Vec<&str> = entries.iter().map(|(key, _)| &*key.name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    };
    (!is_twice).then_some(Value::Map(entries))
}
