//! Hidden text: what a person reviewing does not see, and an agent or a compiler reads.
//!
//! ASCII without control characters passes at memory speed. Every other character is judged by its neighbours:
//! emoji, right-to-left prose, Indic and Persian spelling and ideographic variants need invisible characters.

mod alphabet;
mod judge;
#[cfg(test)]
mod tests;
mod wide;

use std::borrow::Cow;
use std::ops::Range;

use super::{Check, Hit, Rule, Text};
use crate::budget::{Budget, Exhausted};
use crate::finding::{Level, Part};
use crate::redact::{FingerprintKey, Quoted};

/// The check.
pub(super) struct HiddenUnicode;

static RULES: &[Rule] = &[
    Rule {
        id: "unicode/already-present",
        title: "the file holds hidden text that was there before this push",
        doc: "The push touches or moves a file with hidden characters that it did not add. Nobody is refused for \
              it, but a person should look at them.",
        default: Level::Warn,
        default_human: Level::Warn,
        fixed: false,
    },
    Rule {
        id: TAG_TEXT,
        title: "invisible tag characters that spell a text",
        doc: "The tag block (U+E0000 to U+E007F) mirrors ASCII and shows nothing. Language models read it. The \
              flags of England, Scotland and Wales are its one use, and pass. Remove the characters.",
        default: Level::Deny,
        default_human: Level::Deny,
        fixed: false,
    },
    Rule {
        id: VARIATION_SELECTORS,
        title: "variation selectors that vary nothing",
        doc: "A run of variation selectors, or one after a character that has no variants, can carry any bytes unseen. \
              Emoji and ideographs keep theirs, unless a line of ideographs has many different ones. Remove the others.",
        default: Level::Deny,
        default_human: Level::Warn,
        fixed: false,
    },
    Rule {
        id: BIDI,
        title: "bidirectional control characters",
        doc: "They make code read differently from how it runs (CVE-2021-42574). In prose, balanced ones on a line with \
              right-to-left letters pass; marks of direction do so in code and messages too, two in a row. Remove them, or write them as escapes.",
        default: Level::Deny,
        default_human: Level::Warn,
        fixed: false,
    },
    Rule {
        id: ZERO_WIDTH,
        title: "invisible characters",
        doc: "Zero-width spaces and joiners, fillers and their like, where no script or emoji needs them. They split \
              words for scanners and hide text from reviewers. Remove them, or write them as escapes.",
        default: Level::Deny,
        default_human: Level::Warn,
        fixed: false,
    },
    Rule {
        id: CONTROL,
        title: "control characters in text",
        doc: "Escape sequences and other control characters change what a terminal shows. Tab, line feed, carriage \
              return before a line feed and form feed pass, and line separators in prose. A NUL byte does not make a file \
              binary whose name says text. Write them as escapes.",
        default: Level::Deny,
        default_human: Level::Warn,
        fixed: false,
    },
];

const TAG_TEXT: &str = "unicode/tag-text";
const VARIATION_SELECTORS: &str = "unicode/variation-selectors";
const BIDI: &str = "unicode/bidi";
const ZERO_WIDTH: &str = "unicode/zero-width";
const CONTROL: &str = "unicode/control";

/// Findings told one by one. What follows in the same text becomes one more for each rule, up to the end of the text, so
/// that nothing is lost and memory has a bound.
const HITS_MAX: usize = 10_000;

impl Check for HiddenUnicode {
    fn name(&self) -> &'static str {
        "hidden-unicode"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn reads_content(&self) -> bool {
        true
    }

    fn content(
        &self,
        text: &Text<'_>,
        _key: &FingerprintKey,
        budget: &Budget,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Exhausted> {
        let ground = Ground::of(text);
        if !is_close(ground, text) && is_plain(text.bytes) {
            return Ok(());
        }
        // Only content can be binary; and nothing makes so what is read as text because of its name.
        let always_text =
            text.part != Part::Content || ground == Ground::Strict || is_text_file(text, ground);
        if let Some((mark, big_endian)) = wide::start(text.bytes) {
            let decoded = wide::decode(&text.bytes[mark..], mark, big_endian, budget)?;
            if decoded.whole || always_text {
                let before = hits.len();
                let inner = Text {
                    bytes: &decoded.text,
                    ..*text
                };
                find(&inner, ground, Reading::Only, budget, hits)?;
                for hit in &mut hits[before..] {
                    hit.bytes = decoded.place(hit.bytes.start)..decoded.place(hit.bytes.end);
                }
                // Two bytes at the start do not make it so: agents read it as UTF-8 all the same.
                return find(text, ground, Reading::Second, budget, hits);
            }
        }
        if !always_text && is_binary(text.bytes) {
            return Ok(());
        }
        find(text, ground, Reading::Only, budget, hits)
    }
}

/// Which reading of the bytes is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The only one.
    Only,
    /// What was judged as UTF-16 already, as UTF-8. Bytes of UTF-16 that happen to be control characters are not told.
    Second,
}

/// How strictly a text is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// For people to read: balanced bidirectional controls beside right-to-left letters, soft hyphens.
    Prose,
    /// For machines.
    Code,
    /// For agents and tools: instruction files, messages, names.
    Strict,
}

/// Endings of files that people read, or that hold translations.
const PROSE: &[&[u8]] = &[
    b"md",
    b"markdown",
    b"mkd",
    b"txt",
    b"text",
    b"rst",
    b"adoc",
    b"asciidoc",
    b"org",
    b"tex",
    b"html",
    b"htm",
    b"xhtml",
    b"xml",
    b"svg",
    b"po",
    b"pot",
    b"arb",
    b"xlf",
    b"xliff",
    b"strings",
    b"stringsdict",
    b"resx",
    b"properties",
    b"srt",
    b"vtt",
    b"csv",
    b"tsv",
    b"ftl",
    b"json",
    b"textile",
    b"wiki",
    b"mdx",
    b"log",
    b"eml",
];

/// Names and folders of files that instruct agents, in lower case.
const AGENT_FILES: &[&[u8]] = &[
    b"agents.md",
    b"agent.md",
    b"claude.md",
    b"claude.local.md",
    b"gemini.md",
    b"skill.md",
    b"conventions.md",
    b"copilot-instructions.md",
    b".cursorrules",
    b".windsurfrules",
    b".clinerules",
    b".goosehints",
    b"llms.txt",
    b".mcp.json",
    b"mcp.json",
];
const AGENT_FOLDERS: &[&[u8]] = &[
    b".cursor",
    b".claude",
    b".agents",
    b".codex",
    b".gemini",
    b".windsurf",
    b".clinerules",
    b".roo",
    b".continue",
    b".aider",
    b".kiro",
    b".amazonq",
    b".junie",
    b".opencode",
    b"prompts",
    b"instructions",
];

impl Ground {
    fn of(text: &Text<'_>) -> Self {
        if text.part != Part::Content {
            return Ground::Strict;
        }
        let Some(path) = text.path else {
            return Ground::Code;
        };
        let path = path.to_ascii_lowercase();
        let mut folders: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let name = folders.pop().unwrap_or(&[]);
        if AGENT_FILES.contains(&name)
            || name.ends_with(b".mdc")
            || name.ends_with(b".instructions.md")
            || name.ends_with(b".prompt.md")
            || folders.iter().any(|folder| AGENT_FOLDERS.contains(folder))
        {
            return Ground::Strict;
        }
        let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or(&[]);
        let bare = !name.contains(&b'.')
            && [
                b"readme".as_slice(),
                b"license",
                b"licence",
                b"copying",
                b"authors",
                b"changelog",
                b"news",
                b"notice",
            ]
            .contains(&name);
        if bare || PROSE.contains(&ending) {
            Ground::Prose
        } else {
            Ground::Code
        }
    }
}

/// Endings of files that compilers and interpreters read: a NUL byte must not hide the rest of them.
const SOURCE: &[&[u8]] = &[
    b"c", b"h", b"cc", b"cpp", b"cxx", b"hpp", b"cs", b"go", b"rs", b"java", b"kt", b"scala",
    b"swift", b"py", b"rb", b"php", b"pl", b"lua", b"js", b"mjs", b"cjs", b"jsx", b"tsx", b"vue",
    b"sh", b"bash", b"zsh", b"ps1", b"sql", b"yml", b"yaml", b"toml", b"gradle", b"tf", b"nix",
    b"sol", b"zig", b"ex", b"exs", b"erl", b"hs", b"ml", b"r", b"jl", b"dart", b"ts",
];

/// Endings of [`PROSE`] that binary formats have too.
const SOMETIMES_BINARY: &[&[u8]] = &[b"strings", b"stringsdict", b"log"];

/// Whether people, agents or compilers read it as text because of its name, whatever is in it.
fn is_text_file(text: &Text<'_>, ground: Ground) -> bool {
    let name = text
        .path
        .and_then(|path| path.rsplit(|byte| *byte == b'/').next())
        .unwrap_or(&[]);
    let Some(dot) = memchr::memrchr(b'.', name) else {
        return ground == Ground::Prose
            || matches!(
                name,
                b"Makefile" | b"Dockerfile" | b"Jenkinsfile" | b"Vagrantfile"
            );
    };
    let ending = name[dot + 1..].to_ascii_lowercase();
    // TypeScript shares its ending with the MPEG transport stream, whose packets start so.
    let is_video =
        ending == b"ts" && text.bytes.first() == Some(&0x47) && text.bytes.get(188) == Some(&0x47);
    !is_video
        && (SOURCE.contains(&ending.as_slice())
            || (ground == Ground::Prose && !SOMETIMES_BINARY.contains(&ending.as_slice())))
}

/// A NUL byte in the first 8 KB, as git decides it; or bytes that are no text in any encoding.
fn is_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(8 << 10)];
    if memchr::memchr(0, head).is_some() || head.starts_with(b"%PDF-") {
        return true;
    }
    // The last letter may be cut off.
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let controls = head
        .iter()
        .filter(|byte| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
        .count();
    !is_utf8 && controls > 0
}

/// Names hold no tab or line feed either.
fn names_a_thing(part: Part) -> bool {
    matches!(
        part,
        Part::Ref
            | Part::Path
            | Part::SymlinkTarget
            | Part::Author
            | Part::Committer
            | Part::Tagger
    )
}

/// ASCII that shows as it is: nothing can be hidden in it, carriage returns aside. Without branches inside a block: it
/// becomes vector code.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    bytes
        .chunks(256)
        .all(|block| !block.iter().fold(false, |odd, byte| odd | is_odd(*byte)))
}

/// Not printable ASCII, tab, line feed, form feed or carriage return.
#[inline(always)]
fn is_odd(byte: u8) -> bool {
    let blank = (byte == b'\t') | (byte == b'\n') | (byte == 0x0c) | (byte == b'\r');
    (byte.wrapping_sub(0x20) > 0x5e) & !blank
}

/// Whether a text at this path is for agents to read, and so is judged more strictly.
pub(crate) fn is_for_agents(path: &[u8]) -> bool {
    let text = Text {
        part: Part::Content,
        path: Some(path),
        bytes: b"",
    };
    Ground::of(&text) == Ground::Strict
}

/// Whether a content may be found to hide something at any path: what is clean where it is judged most strictly is clean
/// everywhere.
pub(crate) fn may_hide(bytes: &[u8], budget: &Budget) -> Result<bool, Exhausted> {
    let text = Text {
        part: Part::Content,
        path: None,
        bytes,
    };
    let mut hits = Vec::new();
    find(&text, Ground::Strict, Reading::Only, budget, &mut hits)?;
    Ok(!hits.is_empty() || wide::start(bytes).is_some())
}

/// Whether every byte must be looked at: names, and texts for agents with carriage returns.
fn is_close(ground: Ground, text: &Text<'_>) -> bool {
    names_a_thing(text.part)
        || (ground == Ground::Strict && memchr::memchr(b'\r', text.bytes).is_some())
}

fn find(
    text: &Text<'_>,
    ground: Ground,
    reading: Reading,
    budget: &Budget,
    hits: &mut Vec<Hit>,
) -> Result<(), Exhausted> {
    let bytes = text.bytes;
    let close = is_close(ground, text);
    let marks_pass =
        ground == Ground::Prose || matches!(text.part, Part::Message | Part::TagMessage);
    let mut judge = judge::Judge::new(bytes, ground, names_a_thing(text.part), marks_pass);
    let mut told = Told {
        hits: Vec::new(),
        rest: Vec::new(),
    };
    let mut at = 0;
    let mut since_clock = 0;
    while at < bytes.len() {
        // Plain blocks are stepped over; names are short and looked at in full.
        let block = (at + 256).min(bytes.len());
        if !close && is_plain(&bytes[at..block]) {
            at = block;
            continue;
        }
        since_clock += 1;
        if since_clock == 32 {
            since_clock = 0;
            budget.check_time()?;
        }
        while at < block {
            if matches!(bytes[at], b' '..=b'~') {
                at += 1;
                continue;
            }
            at = judge.look(at, &mut |rule, range| {
                if reading == Reading::Only || is_told_twice(bytes, &range) {
                    told.tell(rule, range);
                }
            });
        }
    }
    let all = told.hits.into_iter().chain(told.rest);
    hits.extend(all.map(|(rule, range)| hit(bytes, rule, range)));
    Ok(())
}

/// Whether a character of what may be UTF-16 is meant as UTF-8: three bytes that fit are no accident, a control character is
/// none where all around it is ASCII.
fn is_told_twice(bytes: &[u8], range: &Range<usize>) -> bool {
    const AROUND_BYTES: usize = 12;
    let around = &bytes[range
        .start
        .saturating_sub(AROUND_BYTES)
        .max(2)
        .min(range.start)..(range.end + AROUND_BYTES).min(bytes.len())];
    range.len() >= 3
        || (around.len() > AROUND_BYTES && around.iter().all(|byte| matches!(byte, 1..=0x7f)))
}

struct Told {
    hits: Vec<(&'static str, Range<usize>)>,
    rest: Vec<(&'static str, Range<usize>)>,
}

impl Told {
    /// Runs of one rule that touch are one hit.
    fn tell(&mut self, rule: &'static str, range: Range<usize>) {
        if let Some((known, last)) = self.hits.last_mut()
            && *known == rule
            && last.end == range.start
        {
            last.end = range.end;
        } else if self.hits.len() < HITS_MAX {
            self.hits.push((rule, range));
        } else if let Some((_, known)) = self.rest.iter_mut().find(|(known, _)| *known == rule) {
            known.end = range.end;
        } else {
            self.rest.push((rule, range));
        }
    }
}

fn hit(bytes: &[u8], rule: &'static str, range: Range<usize>) -> Hit {
    let known = RULES.iter().find(|known| known.id == rule);
    Hit {
        rule: Cow::Borrowed(rule),
        title: Cow::Borrowed(known.map_or(rule, |known| known.title)),
        detail: Some(detail(&bytes[range.clone()], rule)),
        bytes: range,
        confidence: None,
        evidence: None,
    }
}

/// The hidden text, or the first code points.
fn detail(run: &[u8], rule: &str) -> String {
    // Enough to tell what it is; a long run need not be decoded as a whole.
    let run = &run[..run.len().min(1024)];
    let text = String::from_utf8_lossy(run);
    if rule == TAG_TEXT {
        let hidden: Vec<u8> = text
            .chars()
            .filter_map(|letter| u8::try_from(u32::from(letter).checked_sub(0xe_0000)?).ok())
            .filter(|byte| matches!(byte, b' '..=b'~'))
            .collect();
        if !hidden.is_empty() {
            return format!("spells {}", Quoted(&hidden));
        }
    }
    let odd: Vec<char> = text
        .chars()
        .filter(|letter| !letter.is_ascii() || letter.is_ascii_control())
        .collect();
    let mut shown: Vec<String> = odd
        .iter()
        .take(4)
        .map(|letter| format!("U+{:04X}", u32::from(*letter)))
        .collect();
    if odd.len() > 4 {
        shown.push(format!("and {} more", odd.len() - 4));
    }
    shown.join(" ")
}
