//! The rule compiler: rule files (YAML) become checked rules and the keywords of the prefilter.
//!
//! The build script compiles `rules/secrets/` into the program; the same code compiles a user's pack when it is first
//! used. A rule that is not right is an error with file and line. Shared with the build script, so it imports nothing
//! of the crate but its two neighbours.

use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::grams;
use super::marks::MARKS;

/// Longest match of a pattern, in bytes. What is longer (keys in armour, JSON web tokens) is followed by its validator.
const MATCH_MAX_BYTES: usize = 2048;

/// Longest and shortest value of a named rule, in bytes. A shorter one is no evidence.
const NAMED_MAX_BYTES: usize = 512;
const NAMED_MIN_BYTES: usize = 12;

/// How far from the match a keyword may stand.
const KEYWORD_SLACK_BYTES: usize = 32;

/// Longest rule file, in bytes.
pub const FILE_MAX_BYTES: u64 = 1 << 20;

/// A compiled regex of a rule may take so much memory, in bytes. Rules that repeat hugely do not pass.
pub const REGEX_MAX_BYTES: usize = 1 << 20;

/// Keywords of one pack: their indices have 16 bits.
const KEYWORDS_MAX: usize = 30_000;

/// What the control ids of a rule are when it names none: hard-coded credentials, leaked secrets of non-human
/// identities, insufficient credential hygiene.
const CONTROLS: &[&str] = &["CWE-798", "NHI2:2025", "CICD-SEC-6"];

/// Names of `Validator` that a rule may ask for, in its order.
pub const VALIDATORS: &[&str] = &[
    "none",
    "crc32-base62",
    "crc32-base62-lenient",
    "grafana-crc",
    "aws-access-key-id",
    "aws-secret-key",
    "jwt",
    "paseto",
    "paserk",
    "private-key",
    "putty-key",
    "der-key",
    "pkcs12",
    "java-keystore",
    "jwk",
    "signify",
    "s-expression",
    "gcp-service-account",
    "bech32",
    "pypi-macaroon",
    "macaroon",
    "hex-macaroon",
    "gitlab-routable",
    "luhn",
    "bitcoin-wif",
    "extended-key",
    "hex-key",
    "solana-key",
    "stellar-seed",
    "nats-seed",
    "xrp-seed",
    "tezos-key",
    "mnemonic",
    "azure-annotated-key",
    "azure-sas",
    "base64-64-bytes",
    "discord-token",
    "url-password",
    "base64-json",
    "basic-auth",
    "random",
    "password",
    "assigned-secret",
    "assigned-password",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    provider: String,
    references: Vec<String>,
    revoke: String,
    #[serde(default)]
    controls: Vec<String>,
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: Spanned<String>,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pattern: Option<Spanned<String>>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    value: Option<Spanned<String>>,
    #[serde(default = "yes")]
    telling: bool,
    #[serde(default = "none")]
    validator: String,
    confidence: String,
    #[serde(default)]
    public_prefix: Option<String>,
    #[serde(default = "vendor")]
    rank: String,
    #[serde(default = "yes")]
    edges: bool,
    #[serde(default = "none")]
    guard: String,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    revoke: Option<String>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    controls: Vec<String>,
    examples: Vec<String>,
    negative: Vec<String>,
}

fn none() -> String {
    "none".to_owned()
}

fn vendor() -> String {
    "vendor".to_owned()
}

fn yes() -> bool {
    true
}

/// How a rule finds its values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// The pattern is that of the secret with what must stand around it.
    #[default]
    Pattern,
    /// The pattern is that of the value alone; a name of the provider stands before it.
    Named {
        /// A word such as `key` or `token` must stand there too.
        telling: bool,
        /// Shortest value, in bytes.
        shortest: u16,
    },
    /// Any value that is assigned to a telling name: the keyword.
    Assigned,
}

/// A checked rule.
#[derive(Debug, Clone, Default)]
#[allow(
    missing_docs,
    reason = "the fields of `SecretRule`, which says what they are"
)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub provider: String,
    pub description: String,
    pub form: Form,
    pub pattern: String,
    pub captures: bool,
    pub keywords: Vec<String>,
    pub validator: String,
    pub confidence: String,
    pub prefix: Option<String>,
    pub reach: usize,
    pub rank: String,
    pub edges: bool,
    pub guard: String,
    pub ignore: Vec<String>,
    pub revoke: String,
    pub references: Vec<String>,
    pub controls: Vec<String>,
    pub examples: Vec<String>,
    pub negatives: Vec<String>,
    pub file: String,
}

/// The keywords of a pack: bytes, how many of the first count with their case, and the rules that want to hear of them.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    /// Those of rules first, then the marks of compressed streams.
    pub list: Vec<(Vec<u8>, usize)>,
    /// For each keyword of a rule.
    rules_of: Vec<Vec<u16>>,
}

/// Reads rule files: their names as they are to be shown, and their texts. Every mistake of every file is told.
pub fn read(files: &[(String, String)]) -> Result<Vec<Rule>, Vec<String>> {
    let mut errors = Vec::new();
    let mut rules = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for (name, text) in files {
        let file: FileText = match serde_saphyr::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                let line = error.location().map_or(1, |at| at.line());
                let what = error.without_snippet().to_string().replace('\n', " ");
                errors.push(format!("{name}:{line}: {what}"));
                continue;
            }
        };
        for rule in &file.rules {
            let known = seen.insert(rule.id.value.clone(), name.clone());
            let mut mistakes = Mistakes {
                file: name,
                line: rule.id.referenced.line(),
                errors: &mut errors,
                count: 0,
            };
            if let Some(other) = known {
                let id = &rule.id.value;
                mistakes.tell(&format!("`{id}` is already in {other}"));
            }
            let (form, reach, captures) = check(rule, &mut mistakes);
            if mistakes.count == 0 {
                rules.push(checked(&file, rule, name, form, reach, captures));
            }
        }
    }
    match errors.is_empty() {
        true => Ok(rules),
        false => Err(errors),
    }
}

fn checked(
    file: &FileText,
    rule: &RuleText,
    name: &str,
    form: Form,
    reach: usize,
    captures: bool,
) -> Rule {
    let controls = [&rule.controls, &file.controls];
    let controls = match controls.into_iter().find(|list| !list.is_empty()) {
        Some(list) => list.clone(),
        None => CONTROLS.iter().map(|&id| id.to_owned()).collect(),
    };
    let written = if form == Form::Pattern {
        &rule.keywords
    } else {
        &rule.names
    };
    Rule {
        id: rule.id.value.clone(),
        title: rule.title.clone(),
        provider: file.provider.clone(),
        description: rule.description.trim().to_owned(),
        form,
        pattern: rule
            .pattern
            .as_ref()
            .or(rule.value.as_ref())
            .map_or(String::new(), |pattern| pattern.value.clone()),
        captures,
        keywords: written.clone(),
        validator: rule.validator.clone(),
        confidence: rule.confidence.clone(),
        prefix: rule.public_prefix.clone(),
        reach,
        rank: rule.rank.clone(),
        edges: rule.edges,
        guard: rule.guard.clone(),
        ignore: rule.ignore.clone(),
        revoke: rule
            .revoke
            .as_ref()
            .unwrap_or(&file.revoke)
            .trim()
            .to_owned(),
        references: [file.references.as_slice(), &rule.references].concat(),
        controls,
        examples: rule.examples.clone(),
        negatives: rule.negative.clone(),
        file: name.to_owned(),
    }
}

/// Where mistakes of one rule go.
struct Mistakes<'a> {
    file: &'a str,
    line: u64,
    errors: &'a mut Vec<String>,
    count: usize,
}

impl Mistakes<'_> {
    fn tell(&mut self, what: &str) {
        let line = self.line;
        self.at(line, what);
    }

    fn at(&mut self, line: u64, what: &str) {
        self.errors.push(format!("{}:{line}: {what}", self.file));
        self.count += 1;
    }
}

/// The form, the longest match in bytes, and whether the pattern has a group.
fn check(rule: &RuleText, wrong: &mut Mistakes<'_>) -> (Form, usize, bool) {
    let name = rule.id.value.strip_prefix("secret/").unwrap_or("");
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(kebab) || name.contains("--") {
        wrong.tell("the id is not `secret/<provider-kind>` in kebab-case");
    }
    if rule.title.is_empty() || rule.title.ends_with('.') {
        wrong.tell("the title is empty or ends with a full stop");
    }
    let known = [
        ("validator", &rule.validator, VALIDATORS),
        ("confidence", &rule.confidence, &["likely", "possible"]),
        ("rank", &rule.rank, RANKS),
        ("guard", &rule.guard, GUARDS),
    ];
    for (key, word, words) in known {
        if !words.contains(&word.as_str()) {
            wrong.tell(&format!(
                "{key} `{word}` is not one of: {}",
                words.join(", ")
            ));
        }
    }
    if rule.examples.is_empty() || rule.negative.is_empty() {
        wrong.tell("a rule needs an example and a negative example");
    }
    let (form, pattern, words) = match (&rule.pattern, &rule.value, rule.names.is_empty()) {
        (Some(pattern), None, true) => (Form::Pattern, Some(pattern), &rule.keywords),
        (None, Some(value), false) => {
            let named = Form::Named {
                telling: rule.telling,
                shortest: 0,
            };
            (named, Some(value), &rule.names)
        }
        (None, None, false) => (Form::Assigned, None, &rule.names),
        _ => {
            wrong.tell(
                "a rule has `pattern` and `keywords`, or `names` and `value`, or `names` alone",
            );
            return (Form::Assigned, 0, false);
        }
    };
    if words.is_empty() || (form != Form::Pattern && !rule.keywords.is_empty()) {
        wrong.tell("a rule needs `keywords` with its `pattern`, or `names` with its `value`");
    }
    for word in words {
        let stem = word.trim_matches('*').trim_end_matches('#');
        let length = stem.chars().count() + usize::from(stem.len() < word.len());
        if !(grams::KEYWORD_MIN_BYTES..=64).contains(&length)
            || stem.chars().any(|letter| u32::from(letter) > 0xff)
        {
            wrong.tell(&format!("the keyword `{word}` is not 4 to 64 bytes"));
        }
    }
    let Some(pattern) = pattern else {
        return (form, 0, false);
    };
    match shape_of(&pattern.value) {
        Err(error) => {
            wrong.at(pattern.referenced.line(), &error);
            (form, 0, false)
        }
        Ok(shape) => {
            let most = match form {
                Form::Pattern => MATCH_MAX_BYTES,
                _ => NAMED_MAX_BYTES,
            };
            let least = match form {
                Form::Pattern => grams::KEYWORD_MIN_BYTES,
                _ => NAMED_MIN_BYTES,
            };
            if shape.longest > most {
                let what = format!("the pattern has no bound, or matches more than {most} bytes");
                wrong.at(pattern.referenced.line(), &what);
            }
            if shape.shortest < least {
                let what = format!("the pattern matches less than {least} bytes");
                wrong.at(pattern.referenced.line(), &what);
            }
            let form = match form {
                Form::Named { telling, .. } => Form::Named {
                    telling,
                    shortest: u16::try_from(shape.shortest).unwrap_or(u16::MAX),
                },
                form => form,
            };
            // Keywords may stand beside the match.
            let slack = if form == Form::Pattern {
                KEYWORD_SLACK_BYTES
            } else {
                0
            };
            (form, shape.longest.saturating_add(slack), shape.captures)
        }
    }
}

struct Shape {
    shortest: usize,
    longest: usize,
    captures: bool,
}

fn shape_of(pattern: &str) -> Result<Shape, String> {
    let hir = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(50)
        .build()
        .parse(pattern)
        .map_err(|error| match error {
            // One line: what else the error shows is the pattern.
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        })
        .map_err(|error| format!("the pattern is not a regex: {error}"))?;
    let properties = hir.properties();
    Ok(Shape {
        shortest: properties.minimum_len().unwrap_or(0),
        longest: properties.maximum_len().unwrap_or(usize::MAX),
        captures: properties.explicit_captures_len() > 0,
    })
}

impl Keywords {
    /// Adds those of one rule.
    fn add(&mut self, index: usize, rule: &Rule, slots: &mut HashMap<(Vec<u8>, usize), usize>) {
        let folded = rule.form != Form::Pattern || rule.pattern.contains("(?i");
        for word in &rule.keywords {
            let words = match rule.form {
                Form::Named { .. } => respaced(word),
                _ => vec![word.clone()],
            };
            for key in words.iter().flat_map(|word| spelled_out(word, folded)) {
                let next = slots.len();
                let slot = *slots.entry(key.clone()).or_insert(next);
                if slot == self.list.len() {
                    self.list.push(key);
                    self.rules_of.push(Vec::new());
                }
                let index = u16::try_from(index).expect("fewer than 65,536 rules");
                if !self.rules_of[slot].contains(&index) {
                    self.rules_of[slot].push(index);
                }
            }
        }
    }

    /// Those of all rules, with the marks of compressed streams behind them. `None`: more than an index can name.
    pub fn of(rules: &[Rule]) -> Option<Self> {
        let mut keywords = Keywords::default();
        let mut slots = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            if index > KEYWORDS_MAX || keywords.list.len() > KEYWORDS_MAX {
                return None;
            }
            keywords.add(index, rule, &mut slots);
        }
        let marks = MARKS.iter().map(|mark| (mark.to_vec(), mark.len()));
        keywords.list.extend(marks);
        Some(keywords)
    }
}

/// Words for the numbers that stand in a pack.
pub const RANKS: &[&str] = &["generic", "context", "vendor"];
#[allow(missing_docs, reason = "see above")]
pub const GUARDS: &[&str] = &["none", "assignment", "userinfo", "tilde"];

/// Rules whose words for people are packed together. A group is unpacked when one of them is asked for.
pub const GROUP: usize = 64;

/// The pack of these rules, as one sequence of bytes that is read in place. Numbers have 4 bytes and are little-endian:
/// how many rules, keywords of rules, and bytes before the tables; where the rules of each keyword begin, and the end; the
/// indices of these rules (2 bytes each); where each rule begins, and the end; the rules; where each group of words for
/// people begins, and the end; these groups, packed; the tables of [`grams::build`]. `None`: more than an index can name.
pub fn pack(rules: &[Rule], tries: u32) -> Option<Vec<u8>> {
    let keywords = Keywords::of(rules)?;
    let mut out = Vec::new();
    let all: Vec<u16> = keywords.rules_of.iter().flatten().copied().collect();
    starts(keywords.rules_of.iter().map(Vec::len), &mut out)?;
    out.extend(all.iter().flat_map(|rule| rule.to_le_bytes()));
    let mut records = Vec::new();
    let mut packed = Vec::new();
    for group in rules.chunks(GROUP) {
        let mut words = Vec::new();
        for rule in group {
            let mut record = Vec::new();
            write(rule, &mut record)?;
            records.push(record);
            write_words(rule, &mut words)?;
        }
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&words).ok()?;
        packed.push(packer.finish().ok()?);
    }
    for parts in [records, packed] {
        starts(parts.iter().map(Vec::len), &mut out)?;
        out.extend(parts.concat());
    }
    let mut pack = Vec::with_capacity(out.len());
    for count in [rules.len(), keywords.rules_of.len(), out.len()] {
        pack.extend(u32::try_from(count).ok()?.to_le_bytes());
    }
    pack.extend(out);
    pack.extend(grams::build(&keywords.list, tries));
    Some(pack)
}

/// Where each of the parts begins, and the end.
fn starts(lengths: impl Iterator<Item = usize>, out: &mut Vec<u8>) -> Option<()> {
    let mut start = 0;
    out.extend(u32::to_le_bytes(0));
    for length in lengths {
        start += length;
        out.extend(u32::try_from(start).ok()?.to_le_bytes());
    }
    Some(())
}

/// What the engine needs of a rule: numbers, texts and a list with their lengths before them (2 bytes each).
/// `SecretRule` reads them in the same order.
fn write(rule: &Rule, out: &mut Vec<u8>) -> Option<()> {
    let place = |words: &[&str], word: &str| {
        let at = words.iter().position(|known| *known == word)?;
        u8::try_from(at).ok()
    };
    let (form, shortest) = match rule.form {
        Form::Pattern => (0, 0),
        Form::Assigned => (1, 0),
        Form::Named { telling, shortest } => (2 + u8::from(telling), shortest),
    };
    out.push(form);
    out.extend(shortest.to_le_bytes());
    out.extend(u16::try_from(rule.reach).ok()?.to_le_bytes());
    out.push(place(VALIDATORS, &rule.validator)?);
    out.push(u8::from(rule.confidence == "possible"));
    out.push(place(RANKS, &rule.rank)?);
    out.push(place(GUARDS, &rule.guard)?);
    out.push(
        u8::from(rule.captures) | u8::from(rule.edges) << 1 | u8::from(rule.prefix.is_some()) << 2,
    );
    let prefix = rule.prefix.as_deref().unwrap_or_default();
    for text in [&rule.id, &rule.title, &rule.pattern, prefix] {
        write_text(text, out)?;
    }
    write_list(&rule.ignore, out)
}

/// What people want to know of a rule. `About` reads it in the same order.
fn write_words(rule: &Rule, out: &mut Vec<u8>) -> Option<()> {
    for text in [&rule.provider, &rule.description, &rule.revoke, &rule.file] {
        write_text(text, out)?;
    }
    for list in [
        &rule.keywords,
        &rule.references,
        &rule.controls,
        &rule.examples,
        &rule.negatives,
    ] {
        write_list(list, out)?;
    }
    Some(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    out.extend(text.bytes());
    Some(())
}

fn write_list(texts: &[String], out: &mut Vec<u8>) -> Option<()> {
    out.extend(u16::try_from(texts.len()).ok()?.to_le_bytes());
    texts.iter().try_for_each(|text| write_text(text, out))
}

/// A space in a name stands for what people write between words: nothing, a mark, a blank; the same between all of them,
/// or nothing between the first two.
fn respaced(name: &str) -> Vec<String> {
    let gaps = ["", "_", "-", " ", "."];
    let mut written: Vec<String> = gaps.map(|gap| name.replace(' ', gap)).to_vec();
    if name.matches(' ').count() > 1 {
        let joined = name.replacen(' ', "", 1);
        written.extend(gaps.map(|gap| joined.replace(' ', gap)));
    }
    written.sort();
    written.dedup();
    written
}

/// The keyword, and how many of its bytes are compared with regard to case. A star at one end stands for any letter
/// or digit (at the end also `_` and `-`), a hash at the end for any digit. A character up to U+00FF is one byte.
fn spelled_out(keyword: &str, folded: bool) -> Vec<(Vec<u8>, usize)> {
    let letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    let bytes = |text: &str| -> Vec<u8> {
        text.chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
            .collect()
    };
    let exact = |stem: &str| if folded { 0 } else { bytes(stem).len() };
    let ended = |stem: &str, ends: &str| -> Vec<(Vec<u8>, usize)> {
        ends.chars()
            .map(|end| (bytes(&format!("{stem}{end}")), exact(stem)))
            .collect()
    };
    if let Some(stem) = keyword.strip_suffix('*') {
        ended(stem, &format!("{letters}_-"))
    } else if let Some(stem) = keyword.strip_suffix('#') {
        ended(stem, "0123456789")
    } else if let Some(stem) = keyword.strip_prefix('*') {
        letters
            .chars()
            .map(|first| (bytes(&format!("{first}{stem}")), 0))
            .collect()
    } else {
        vec![(bytes(keyword), exact(keyword))]
    }
}
