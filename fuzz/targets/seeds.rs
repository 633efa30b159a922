//! First inputs and words for the fuzzer, made from the rules when it starts.

#![allow(dead_code, reason = "each target takes what it needs")]

use std::io::Write as _;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use ringfence::scan::prefilter::Keyword;
use ringfence::scan::{BUILTIN, Dice, make_sample};

/// Writes the inputs into the folder that `fuzz/run` names, and the keywords of all rules as a dictionary beside it.
pub fn write(make: fn() -> Vec<Vec<u8>>) {
    if let Some(folder) = std::env::var_os("RINGFENCE_FUZZ_SEEDS") {
        for input in make() {
            let name = format!("seed-{:08x}", crc32fast::hash(&input));
            std::fs::write(Path::new(&folder).join(name), input)
                .expect("the corpus can be written");
        }
    }
    if let Some(file) = std::env::var_os("RINGFENCE_FUZZ_WORDS") {
        let words: String = keywords()
            .iter()
            .map(|keyword| {
                let hex: String = keyword
                    .bytes
                    .iter()
                    .map(|byte| format!("\\x{byte:02x}"))
                    .collect();
                format!("\"{hex}\"\n")
            })
            .collect();
        std::fs::write(file, words).expect("the dictionary can be written");
    }
}

fn keywords() -> Vec<Keyword<'static>> {
    let prefilter = &BUILTIN.prefilter;
    (0..prefilter.len())
        .map(|at| prefilter.keyword(at))
        .collect()
}

/// A sample of every rule, in one encoding after the other.
pub fn encoded_samples() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(1);
    let mut inputs = Vec::new();
    for rule in BUILTIN.rules() {
        for format in rule.about().examples {
            let Ok(sample) = make_sample(format, &mut dice) else {
                continue;
            };
            let text = format!("name = \"{sample}\"\n");
            inputs.push(match inputs.len() % 7 {
                0 => BASE64.encode(text.as_bytes()).into_bytes(),
                1 => HEXLOWER.encode(text.as_bytes()).into_bytes(),
                2 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                3 => gzip(text.as_bytes()),
                4 => zip(text.as_bytes()),
                5 => zlib(text.as_bytes()),
                _ => text.replace('_', "%5F").into_bytes(),
            });
            inputs.push(text.into_bytes());
        }
    }
    // Packed in one another.
    for at in 0..inputs.len().min(40) {
        let text = BASE64.encode(&gzip(&inputs[at]));
        inputs.push(text.into_bytes());
    }
    inputs
}

/// Inputs of the target `prefilter`: some of the real keywords, and a text with them.
pub fn keywords_and_text() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for words in keywords().chunks(5) {
        let mut input = vec![u8::try_from(words.len() - 1).unwrap_or(0)];
        for word in words {
            let bytes = &word.bytes[..word.bytes.len().min(19)];
            let exact = word.exact.min(15).min(bytes.len());
            input.push(u8::try_from((bytes.len() - 4) | exact << 4).unwrap_or(0));
            input.extend(bytes);
        }
        for word in words {
            input.extend(b"let x = 1; // ");
            input.extend(word.bytes);
            input.extend(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo \n");
            input.extend(word.bytes.to_ascii_uppercase());
        }
        inputs.push(input);
    }
    inputs
}

/// Inputs of the target `rules`: files of the two forms, and patterns with a keyword on the next line.
pub fn rule_files() -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = BUILTIN
        .rules()
        .map(|rule| {
            let keyword = rule.about().keywords.first().copied().unwrap_or("word");
            format!("{}\n{keyword}", rule.pattern).into_bytes()
        })
        .collect();
    let head =
        "provider: Some\nreferences: [https://some.example/]\nrevoke: 'Delete it.'\nrules:\n";
    let tail = "    confidence: likely\n    examples: ['{hex:32}']\n    negative: ['none']\n";
    for middle in [
        "  - id: secret/some-key\n    title: 'Some key'\n    pattern: 'some_[0-9a-f]{32}'\n    keywords: [\"some_\"]\n    public_prefix: 'some_'\n    guard: none\n    rank: vendor\n    edges: false\n    validator: random\n    ignore: ['*00']\n",
        "  - id: secret/some-key\n    title: 'Some key'\n    names: [\"some name\", \"n8n*\"]\n    value: '[0-9A-Za-z_-]{43}'\n    telling: false\n    controls: [CWE-798]\n    references: [https://other.example/]\n    revoke: \"Other.\"\n",
    ] {
        inputs.push(format!("{head}{middle}{tail}").into_bytes());
    }
    inputs
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).expect("memory can be written");
    packer.finish().expect("memory can be written")
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).expect("memory can be written");
    packer.finish().expect("memory can be written")
}

/// The local header of one entry and its data: what a reader of a broken archive sees too.
fn zip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).expect("memory can be written");
    let data = packer.finish().expect("memory can be written");
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
    let mut zip = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0".to_vec();
    zip.extend(crc32fast::hash(text).to_le_bytes());
    zip.extend(length(&data));
    zip.extend(length(text));
    zip.extend([5, 0, 0, 0]);
    zip.extend(b"a.txt");
    zip.extend(data);
    zip
}
