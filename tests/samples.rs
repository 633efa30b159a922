//! What `{{…}}` stands for in the test data: bytes that no text file can hold well, and secrets, which are made
//! from their format at run time so that none stands in the repository.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// Replaces every `{{…}}` in `text`. Secrets that were made are added to `secrets`: the remote must never show one.
pub(crate) fn expand(text: &str, secrets: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        out.extend_from_slice(&rest.as_bytes()[..start]);
        let end = rest[start..].find("}}").expect("`{{` needs `}}`") + start;
        out.extend(sample(&rest[start + 2..end], secrets));
        rest = &rest[end + 2..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// One sample: a name, and arguments after colons.
fn sample(text: &str, secrets: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    let mut secret = |value: Vec<u8>| {
        secrets.push(value.clone());
        value
    };
    match name {
        "github-pat" => secret(github_pat(argument).into_bytes()),
        "github-pat-reversed" => secret(github_pat(argument).bytes().rev().collect()),
        "aws-secret-key" => secret(characters(argument, 40, BASE64).into_bytes()),
        "aws-key-id" => secret(format!("AKIA{}", characters(argument, 16, BASE32)).into_bytes()),
        // The ids that Amazon's own documentation uses: no secret.
        "aws-example-key-id" => b"AKIA".iter().chain(b"IOSFODNN7EXAMPLE").copied().collect(),
        "aws-example-secret-key" => {
            [&b"wJalrXUtnFEMI/K7MDENG"[..], b"/bPxRfiCYEXAMPLEKEY"].concat()
        }
        "stripe-test-key" => {
            secret(format!("sk_test_{}", characters(argument, 99, BASE62)).into_bytes())
        }
        "stripe-live-restricted-key" => {
            secret(format!("rk_live_{}", characters(argument, 24, BASE62)).into_bytes())
        }
        "private-key" => secret(private_key(argument).into_bytes()),
        "utf16" => secret(
            github_pat(argument)
                .bytes()
                .flat_map(|byte| [byte, 0])
                .collect(),
        ),
        "base64" => data_encoding::BASE64
            .encode(github_pat(argument).as_bytes())
            .into_bytes(),
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            let text = format!("token = {}\n", github_pat(argument));
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        // Invisible text: each ASCII character as its twin in the Unicode tag block.
        "tag-text" => argument
            .chars()
            .map(|c| char::from_u32(0xE_0000 + u32::from(c)).unwrap())
            .collect::<String>()
            .into_bytes(),
        "u" => argument
            .split(' ')
            .map(|point| char::from_u32(u32::from_str_radix(point, 16).unwrap()).unwrap())
            .collect::<String>()
            .into_bytes(),
        "hex" => data_encoding::HEXLOWER.decode(argument.as_bytes()).unwrap(),
        "repeat" => {
            let (count, text) = argument.split_once(':').unwrap();
            text.repeat(count.parse().unwrap()).into_bytes()
        }
        "lines" => {
            let count: usize = argument.parse().unwrap();
            (1..=count)
                .map(|n| format!("line {n}\n"))
                .collect::<String>()
                .into_bytes()
        }
        "random" => {
            let mut dice = Dice::new("random");
            (0..argument.parse().unwrap())
                .map(|_| dice.roll(256) as u8)
                .collect()
        }
        "ringfence" => crate::world::RINGFENCE.into(),
        _ => panic!("unknown sample {{{{{text}}}}}"),
    }
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A GitHub personal access token with a valid checksum. The same seed gives the same token.
pub(crate) fn github_pat(seed: &str) -> String {
    let body = characters(seed, 30, BASE62);
    let mut sum = crc32fast::hash(body.as_bytes()) as usize;
    let mut check = [b'0'; 6];
    for digit in check.iter_mut().rev() {
        *digit = BASE62[sum % 62];
        sum /= 62;
    }
    format!("ghp_{body}{}", std::str::from_utf8(&check).unwrap())
}

/// The text around a private key, with random content: enough for a format check, of no use as a key.
fn private_key(seed: &str) -> String {
    let label = ["OPENSSH", "PRIVATE", "KEY"].join(" ");
    let mut key = b"openssh-key-v1\0".to_vec();
    key.extend(characters(seed, 400, BASE64).bytes());
    let lines: Vec<_> = data_encoding::BASE64
        .encode(&key)
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----",
        lines.join("\n")
    )
}

fn characters(seed: &str, count: usize, alphabet: &[u8]) -> String {
    let mut dice = Dice::new(seed);
    (0..count)
        .map(|_| char::from(alphabet[dice.roll(alphabet.len())]))
        .collect()
}

/// Repeatable random numbers (splitmix64): test data must be the same in every run.
struct Dice(u64);

impl Dice {
    fn new(seed: &str) -> Dice {
        Dice(u64::from(crc32fast::hash(seed.as_bytes())) + 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        usize::try_from(x % sides as u64).unwrap()
    }
}
