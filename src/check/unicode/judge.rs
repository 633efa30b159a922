//! One character after the other, judged by its neighbours.

use std::ops::Range;

use super::alphabet::{
    Class, breaks_without_blanks, class, has_variants, is_emoji, is_han, is_jamo, is_keycap_base,
    is_right_to_left, needs_joiners,
};
use super::{BIDI, CONTROL, Ground, TAG_TEXT, VARIATION_SELECTORS, ZERO_WIDTH};

/// State of the walk over one text.
pub(super) struct Judge<'a> {
    bytes: &'a [u8],
    ground: Ground,
    /// A name: no tab, no line feed.
    names: bool,
    /// Marks of direction pass on a line with right-to-left letters.
    marks_pass: bool,
    line: Line,
}

/// Flags that are spelled with tags: England, Scotland, Wales. Emoji fonts know no others.
const REGIONS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// The last selector that any collection of ideographic variants uses, with room for a few more.
const LAST_IDEOGRAPHIC_SELECTOR: u32 = 0xe_012f;

/// A line of ideographs uses few different selectors: from so many on it spells something else.
const SELECTORS_OF_LINE: usize = 8;
const DIFFERENT_SELECTORS_OF_LINE: u32 = 6;

/// What is known of the line that was asked about last.
struct Line {
    bytes: Range<usize>,
    right_to_left: bool,
    balanced: bool,
    /// The ideographic selectors on it spell something.
    spells: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(bytes: &'a [u8], ground: Ground, names: bool, marks_pass: bool) -> Self {
        Judge {
            bytes,
            ground,
            names,
            marks_pass,
            line: Line {
                bytes: 0..0,
                right_to_left: false,
                balanced: true,
                spells: false,
            },
        }
    }

    /// Judges the character at `at`; returns where the next one starts.
    pub(super) fn look(
        &mut self,
        at: usize,
        tell: &mut impl FnMut(&'static str, Range<usize>),
    ) -> usize {
        let byte = self.bytes[at];
        if byte < 0x80 {
            if self.is_bad_control(byte, at) {
                tell(CONTROL, at..at + 1);
            }
            return at + 1;
        }
        let Some(letter) = letter_at(self.bytes, at) else {
            // Not UTF-8: other rules look at such bytes.
            return at + 1;
        };
        let end = at + letter.len_utf8();
        match class(letter) {
            Class::Plain => {}
            Class::Control => tell(CONTROL, at..end),
            Class::Separator => {
                if self.ground != Ground::Prose {
                    tell(CONTROL, at..end);
                }
            }
            Class::Tag => return self.tag(at, end, tell),
            Class::Variation => {
                let spells = u32::from(letter) >= 0xe_0100 && self.line(at).spells;
                if spells || !self.is_fit_variation(letter, at, end) {
                    tell(VARIATION_SELECTORS, at..end);
                }
            }
            Class::Bidi => {
                let passes =
                    self.ground == Ground::Prose && !matches!(letter, '\u{202d}' | '\u{202e}') && {
                        let line = self.line(at);
                        line.right_to_left && line.balanced
                    };
                if !passes {
                    tell(BIDI, at..end);
                }
            }
            Class::Mark => {
                let passes = (self.marks_pass || self.ground == Ground::Code)
                    && self.line(at).right_to_left
                    && !self.third_mark(at);
                if !passes {
                    // Without letters to turn it is only invisible.
                    let rule = match self.ground {
                        Ground::Prose => ZERO_WIDTH,
                        _ => BIDI,
                    };
                    tell(rule, at..end);
                }
            }
            Class::Invisible => {
                if !self.is_fit_invisible(letter, at, end) {
                    tell(ZERO_WIDTH, at..end);
                }
            }
        }
        end
    }

    fn is_bad_control(&self, byte: u8, at: usize) -> bool {
        match byte {
            b'\t' | b'\n' | 0x0c => self.names,
            // Alone it takes the cursor back to overwrite the line.
            b'\r' => {
                self.names
                    || (self.ground == Ground::Strict
                        && !matches!(self.bytes.get(at + 1), Some(b'\n') | None))
            }
            // The end-of-file mark of old editors.
            0x1a => at + 1 < self.bytes.len(),
            0..=0x1f | 0x7f => true,
            _ => false,
        }
    }

    fn before(&self, at: usize) -> Option<char> {
        letter_before(self.bytes, at)
    }

    /// Two letters before, stepping over variation selectors and skin tones.
    fn emoji_before(&self, at: usize) -> bool {
        let mut at = at;
        for _ in 0..3 {
            let Some(letter) = self.before(at) else {
                return false;
            };
            if letter == '\u{fe0f}' || matches!(u32::from(letter), 0x1_f3fb..=0x1_f3ff) {
                at -= letter.len_utf8();
                continue;
            }
            return is_emoji(letter);
        }
        false
    }

    /// Whether two marks of direction stand before.
    fn third_mark(&self, at: usize) -> bool {
        let mut at = at;
        for _ in 0..2 {
            match self.before(at) {
                Some(letter) if class(letter) == Class::Mark => at -= letter.len_utf8(),
                _ => return false,
            }
        }
        true
    }

    /// A flag of a region: black flag, the letters of the region, the end tag. Else a text.
    fn tag(
        &self,
        at: usize,
        end: usize,
        tell: &mut impl FnMut(&'static str, Range<usize>),
    ) -> usize {
        if self.before(at) == Some('\u{1f3f4}') {
            let mut region = String::new();
            let mut next = at;
            while let Some(letter) = letter_at(self.bytes, next).filter(|_| region.len() <= 5) {
                next += letter.len_utf8();
                match u32::from(letter) {
                    0xe_007f if REGIONS.contains(&region.as_str()) => return next,
                    tag => match u8::try_from(tag.wrapping_sub(0xe_0000)) {
                        Ok(byte) if byte.is_ascii_lowercase() => region.push(char::from(byte)),
                        _ => break,
                    },
                }
            }
        }
        tell(TAG_TEXT, at..end);
        end
    }

    fn is_fit_variation(&self, letter: char, at: usize, end: usize) -> bool {
        let Some(base) = self.before(at) else {
            return false;
        };
        match u32::from(letter) {
            0xfe0e | 0xfe0f => {
                is_emoji(base)
                    || (is_keycap_base(base) && letter_at(self.bytes, end) == Some('\u{20e3}'))
                    || (letter == '\u{fe0e}' && has_variants(base))
            }
            0xfe00..=0xfe02 => is_han(base) || has_variants(base),
            0xfe03..=0xfe0d => has_variants(base),
            code => is_han(base) && code <= LAST_IDEOGRAPHIC_SELECTOR,
        }
    }

    fn is_fit_invisible(&self, letter: char, at: usize, end: usize) -> bool {
        let before = self.before(at);
        let after = letter_at(self.bytes, end);
        let near = |what: fn(char) -> bool| before.is_some_and(what) || after.is_some_and(what);
        match letter {
            // The byte order mark.
            '\u{feff}' => at == 0,
            '\u{200d}' => {
                (self.emoji_before(at) && after.is_some_and(is_emoji))
                    || before.is_some_and(needs_joiners)
            }
            '\u{200c}' => before.is_some_and(needs_joiners),
            '\u{200b}' => near(breaks_without_blanks),
            '\u{ad}' => {
                let inside = before.is_some_and(char::is_alphabetic)
                    && after.is_some_and(char::is_alphabetic);
                let ascii =
                    before.is_some_and(|c| c.is_ascii()) && after.is_some_and(|c| c.is_ascii());
                inside && (self.ground == Ground::Prose || (self.ground == Ground::Code && !ascii))
            }
            '\u{115f}' | '\u{1160}' => near(is_jamo),
            '\u{17b4}' | '\u{17b5}' => {
                before.is_some_and(|c| matches!(u32::from(c), 0x1780..=0x17ff))
            }
            '\u{180e}' => near(|c| matches!(u32::from(c), 0x1800..=0x18af)),
            // Keeps marks in order: only after a mark or letter of such writing.
            '\u{34f}' => before.is_some_and(|c| !c.is_ascii() && class(c) == Class::Plain),
            _ => false,
        }
    }

    /// Facts of the line around `at`, computed once per line.
    fn line(&mut self, at: usize) -> &Line {
        if !self.line.bytes.contains(&at) {
            let start = memchr::memrchr(b'\n', &self.bytes[..at]).map_or(0, |at| at + 1);
            let end = memchr::memchr(b'\n', &self.bytes[at..])
                .map_or(self.bytes.len(), |length| at + length);
            let mut open = Vec::new();
            let mut right_to_left = false;
            let mut balanced = true;
            let (mut selectors, mut different) = (0, 0_u64);
            let mut next = start;
            while next < end {
                let Some(letter) = letter_at(self.bytes, next) else {
                    next += 1;
                    continue;
                };
                next += letter.len_utf8();
                right_to_left |= is_right_to_left(letter);
                match letter {
                    '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' => open.push(false),
                    '\u{2066}'..='\u{2068}' => open.push(true),
                    '\u{202c}' => balanced &= open.pop() == Some(false),
                    '\u{2069}' => balanced &= open.pop() == Some(true),
                    '\u{e0100}'..='\u{e01ef}' => {
                        selectors += 1;
                        different |= 1 << (u32::from(letter) - 0xe_0100).min(63);
                    }
                    _ => {}
                }
            }
            self.line = Line {
                bytes: start..end,
                right_to_left,
                balanced: balanced && open.is_empty(),
                spells: selectors > SELECTORS_OF_LINE
                    && different.count_ones() > DIFFERENT_SELECTORS_OF_LINE,
            };
        }
        &self.line
    }
}

/// The character that starts at `at`. `None`: there is none, or the bytes are not UTF-8.
fn letter_at(bytes: &[u8], at: usize) -> Option<char> {
    let rest = &bytes[at.min(bytes.len())..];
    let (letter, size) = bstr::decode_utf8(rest);
    letter.filter(|_| size > 0)
}

/// The character that ends at `at`.
fn letter_before(bytes: &[u8], at: usize) -> Option<char> {
    let (letter, size) = bstr::decode_last_utf8(&bytes[..at]);
    letter.filter(|_| size > 0)
}
