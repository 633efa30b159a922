//! A text that is made from another gives what a scan of all of it gives: chains of versions, edited most at the edges of what
//! matters. `VERSIONS=20000 cargo test --release --lib made_from` runs more of them than CI does.

use super::*;
use crate::repo::packs::Part;
use crate::scan::decode::known::{Effect, Known};
use crate::scan::{BUILTIN, Match, Memory};

/// Chains of versions, and versions of each.
const CHAINS: u64 = 40;
const VERSIONS: usize = 6;

/// A text, and for each byte where it stood in the version before.
struct Version {
    bytes: Vec<(u8, Option<usize>)>,
}

impl Version {
    fn after(text: &[u8]) -> Self {
        let bytes = text.iter().enumerate();
        Version {
            bytes: bytes.map(|(at, byte)| (*byte, Some(at))).collect(),
        }
    }

    fn text(&self) -> Vec<u8> {
        self.bytes.iter().map(|(byte, _)| *byte).collect()
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for (at, (_, from)) in self.bytes.iter().enumerate() {
            if let Some(last) = parts.last_mut()
                && last.from.map(|from| from + last.bytes.len()) == *from
            {
                last.bytes.end = at + 1;
                continue;
            }
            parts.push(Part {
                bytes: at..at + 1,
                from: *from,
            });
        }
        parts
    }

    fn edit(&mut self, edges: &[usize], dice: &mut Dice) {
        let length = self.bytes.len();
        let place = |dice: &mut Dice| match dice.below(4) {
            0 => dice.below(length + 1),
            _ if edges.is_empty() => dice.below(length + 1),
            _ => (edges[dice.below(edges.len())] + dice.below(5))
                .saturating_sub(2)
                .min(length),
        };
        let at = place(dice);
        let some = |dice: &mut Dice| [0, 1, 1, 2, 3, 8, 30, 100, 400][dice.below(9)];
        let end = (at + some(dice)).min(length);
        match dice.below(7) {
            0 => drop(self.bytes.drain(at..end)),
            1 | 2 => {
                let new = piece(dice).into_iter().map(|byte| (byte, None));
                drop(self.bytes.splice(at..at, new));
            }
            3 => {
                let few = b"a0Z \n\"'+=:,/\\%&<_-."[dice.below(19)];
                drop(self.bytes.splice(at..end.min(at + 3), [(few, None)]));
            }
            // The same again elsewhere, or moved there.
            kind @ (4 | 5) => {
                let taken: Vec<_> = self.bytes[at..end].to_vec();
                if kind == 5 {
                    self.bytes.drain(at..end);
                }
                let to = dice.below(self.bytes.len() + 1);
                drop(self.bytes.splice(to..to, taken));
            }
            // git does not find all that is the same.
            _ => self.bytes[at..end]
                .iter_mut()
                .for_each(|byte| byte.1 = None),
        }
    }
}

fn sample(dice: &mut Dice) -> String {
    let rules = BUILTIN.len();
    // Keys in armour and tokens of a few kinds more often than the thousands of others.
    let often = [
        "secret/private-key",
        PAT,
        "secret/jwt",
        "secret/aws-access-key-id",
        "secret/generic-password",
    ];
    let rule = match dice.below(3) {
        0 => BUILTIN.find(often[dice.below(often.len())]),
        _ => None,
    };
    let rule = rule.unwrap_or_else(|| BUILTIN.rule(dice.below(rules)));
    let examples = rule.about().examples;
    sample::make(examples[dice.below(examples.len())], dice).unwrap()
}

fn folded(text: &str, dice: &mut Dice) -> String {
    let width = 16 + dice.below(60);
    let letters: Vec<char> = text.chars().collect();
    let ends = [
        "\n",
        "\\n",
        "\r\n",
        "\n    ",
        "\"\n    \"",
        "\" +\n\"",
        "\n# ",
    ];
    let end = ends[dice.below(ends.len())];
    let lines = letters
        .chunks(width)
        .map(|line| line.iter().collect::<String>());
    lines.collect::<Vec<_>>().join(end)
}

fn code(dice: &mut Dice) -> String {
    const WORDS: &[&str] = &[
        "let",
        "token",
        "value",
        "api_key",
        "secret",
        "the",
        "stripe",
        "github",
        "x",
        "=",
        ";",
        "{",
        "}",
        "\"a\"",
        "'b'",
        "password",
        "client_secret",
        "https://",
        "key",
        "//",
        "NOT_A_SECRET_BUT_LONG",
        "someCamelCaseIdentifier42",
        "0x1f",
        "1, 2, 3,",
        "sk_live_",
        "ghp_",
        "eyJ",
        "AKIA",
        "--",
        "return",
        "&amp;",
        "%20",
        "\\n",
        "+",
    ];
    let mut line = String::new();
    for _ in 0..4 + dice.below(12) {
        line += WORDS[dice.below(WORDS.len())];
        line += [" ", " ", " ", "\n", "_", ""][dice.below(6)];
    }
    line + "\n"
}

/// Something that the scanner has its own way with.
fn piece(dice: &mut Dice) -> Vec<u8> {
    let sample = sample(dice);
    let base64 = || data_encoding::BASE64.encode(sample.as_bytes());
    let text = match dice.below(16) {
        0 | 1 => sample,
        2 => format!("api_key = \"{sample}\"\n"),
        3 => folded(&base64(), dice),
        4 => format!("data: {}\n", base64()),
        5 => {
            let cut = dice.below(sample.len().max(1));
            let cut = (0..=cut)
                .rev()
                .find(|at| sample.is_char_boundary(*at))
                .unwrap();
            let joints = [
                "\" + \"", "'\n  '", "\" .. \"", "\\\n", "\n", "</b>", "\", \"", "\"\n# \"",
            ];
            let (left, right) = sample.split_at(cut);
            format!("t = \"{left}{}{right}\"", joints[dice.below(joints.len())])
        }
        6 => {
            let every = 1 + dice.below(9);
            let how = dice.below(4);
            let letter = |(at, byte): (usize, u8)| match (at % every, how) {
                (0, 0) => format!("%{byte:02X}"),
                (0, 1) => format!("\\u{byte:04x}"),
                (0, 2) => format!("&#{byte};"),
                (0, _) => format!("\\x{byte:02x}"),
                _ => char::from(byte).to_string(),
            };
            sample.bytes().enumerate().map(letter).collect()
        }
        7 => {
            let how = dice.below(3);
            let number = |byte: u8| match how {
                0 => format!("{byte}, "),
                1 => format!("0x{byte:02x},"),
                _ => format!("{byte:02x}:"),
            };
            sample.bytes().map(number).collect()
        }
        8 => sample.bytes().map(|byte| format!("{byte:02x}")).collect(),
        9 => {
            let letters: Vec<String> = sample.chars().map(|letter| format!("'{letter}'")).collect();
            format!("[{}].join('')\n", letters.join(", "))
        }
        10 => format!(
            "acme {} token: {}\n",
            ["algolia", "datadog", "okta"][dice.below(3)],
            &base64()
        ),
        11 => [" ", "-", "0", "a", "Ab1", "\n"][dice.below(6)].repeat(dice.below(200)),
        _ => code(dice),
    };
    text.into_bytes()
}

/// Seldom: what makes that all of a text must be scanned.
fn whole(dice: &mut Dice) -> Vec<u8> {
    let forms = sample::surroundings(&sample(dice), true);
    let count = forms.len();
    forms.into_iter().nth(dice.below(count)).unwrap().1
}

fn first(dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..40 {
        text.extend(piece(dice));
        for _ in 0..dice.below(6) {
            text.extend(code(dice).into_bytes());
        }
    }
    if dice.below(8) == 0 {
        text.extend(whole(dice));
    }
    text
}

fn shown(hit: &Match) -> String {
    let named = hit.named.map(|(start, name)| (start, name.0));
    format!(
        "{} {:?} {:?} {:?} {named:?} {:x}",
        hit.rule.id,
        hit.bytes,
        hit.confidence,
        hit.via,
        crc32fast::hash(&hit.value)
    )
}

fn told(outcome: &Outcome) -> Vec<String> {
    let parts = outcome.unscanned.iter().chain(&outcome.opaque);
    let parts = parts.map(|part| format!("{part:?}"));
    outcome.matches.iter().map(shown).chain(parts).collect()
}

fn noted(known: &Known) -> Vec<String> {
    let effect = |effect: &Effect| format!("{effect:?}");
    let mut all: Vec<String> = known
        .effects
        .iter()
        .chain(&known.names)
        .map(effect)
        .collect();
    all.push(format!("{:?}", known.places));
    all.push(format!("{:?}", known.keywords));
    all.extend(known.runs.iter().map(|run| format!("run {run:?}")));
    all.extend(known.lists.iter().map(|run| format!("list {run:?}")));
    all.extend(known.folded.iter().map(|lines| format!("{lines:?}")));
    all.extend(
        known
            .hits
            .iter()
            .map(|(key, hit)| format!("{key:?} {}", shown(hit))),
    );
    all
}

fn differ(made: &[String], whole: &[String]) -> String {
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter()
            .filter(|one| !others.contains(one))
            .take(5)
            .cloned()
            .collect()
    };
    format!(
        "made {:#?}\nwhole {:#?}",
        without(made, whole),
        without(whole, made)
    )
}

/// Scans a version in both ways. Gives what is known of it, and whether it was of use.
fn agree(
    what: &str,
    text: &[u8],
    parts: &[Part],
    before: &Memory,
) -> (Option<Memory>, Outcome, bool) {
    let scanner = Scanner::builtin();
    let (expected, kept) = scanner.scan_keeping(text, &budget()).unwrap();
    let plain = scanner.scan(text, &budget()).unwrap();
    assert_eq!(told(&plain), told(&expected), "{what}");
    let (made, memory, fresh) = scanner.scan_made(text, before, parts, &budget()).unwrap();
    assert!(
        told(&made) == told(&expected),
        "{what}: {}",
        differ(&told(&made), &told(&expected))
    );
    if let (Some(kept), Some(memory)) = (&kept, &memory) {
        let (made, whole) = (noted(&memory.0), noted(&kept.0));
        assert!(made == whole, "{what}: {}", differ(&made, &whole));
    }
    (memory, made, fresh < text.len())
}

fn chain(seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let mut text = first(&mut dice);
    let (outcome, mut memory) = Scanner::builtin().scan_keeping(&text, &budget()).unwrap();
    let mut edges: Vec<usize> = Vec::new();
    let note = |outcome: &Outcome, edges: &mut Vec<usize>| {
        edges.clear();
        edges.extend(
            outcome
                .matches
                .iter()
                .flat_map(|hit| [hit.bytes.start, hit.bytes.end]),
        );
    };
    note(&outcome, &mut edges);
    let (mut used, mut hits) = (0, 0);
    for version in 0..VERSIONS {
        let mut next = Version::after(&text);
        for _ in 0..1 + dice.below(4) {
            next.edit(&edges, &mut dice);
        }
        let (parts, new) = (next.parts(), next.text());
        let Some(before) = &memory else { break };
        let what = format!("seed {seed}, version {version}");
        let (kept, outcome, is_used) = agree(&what, &new, &parts, before);
        used += usize::from(is_used);
        hits += outcome.matches.len();
        note(&outcome, &mut edges);
        (memory, text) = (kept, new);
    }
    (used, hits)
}

#[test]
fn made_from_another_as_if_scanned_whole() {
    let chains = std::env::var("VERSIONS")
        .ok()
        .and_then(|count| count.parse().ok());
    let from = std::env::var("FROM")
        .ok()
        .and_then(|from| from.parse().ok())
        .unwrap_or(0);
    let chains = chains.unwrap_or(CHAINS);
    let (mut used, mut hits) = (0, 0);
    for seed in from..from + chains {
        let one = chain(seed);
        used += one.0;
        hits += one.1;
    }
    assert!(
        used as u64 > chains && hits as u64 > 10 * chains,
        "{used} {hits}"
    );
}
