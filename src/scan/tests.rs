use super::sample;
use super::*;
use crate::budget::Bounds;

fn scan(text: &[u8]) -> Outcome {
    let budget = Budget::new(Bounds {
        time: std::time::Duration::from_secs(60),
        ..Bounds::default()
    });
    Scanner::builtin().scan(text, &budget).unwrap()
}

/// What this thread has had of a processor: how busy the machine is does not count.
pub(super) fn cpu_time() -> std::time::Duration {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = figures.split(' ').next().unwrap();
    std::time::Duration::from_nanos(nanoseconds.parse().unwrap())
}

fn ids(text: &[u8]) -> Vec<&'static str> {
    scan(text)
        .matches
        .iter()
        .map(|found| found.rule.id)
        .collect()
}

#[test]
fn every_rule_finds_its_samples_everywhere_and_no_negative() {
    let failures = test_pack(&BUILTIN, None, 1);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_pack_is_as_large_as_promised() {
    assert!(BUILTIN.len() >= 400);
    let providers: std::collections::BTreeSet<_> =
        BUILTIN.rules().map(|rule| rule.about().provider).collect();
    assert!(providers.len() >= 250);
}

fn made(format: &str) -> String {
    sample::make(format, &mut Dice::new(11)).unwrap()
}

#[test]
fn a_place_is_that_of_the_encoded_bytes() {
    let token = made("ghp_{crc62:30}");
    let packed = data_encoding::BASE64.encode(format!("a {token} z").as_bytes());
    let text = format!("one\nvalue: {packed}\n");
    let told = scan(text.as_bytes());
    assert_eq!(told.matches.len(), 1);
    let found = &told.matches[0];
    assert_eq!(found.value(), token.as_bytes());
    assert_eq!(found.via, ["base64"]);
    let piece = &packed[found.bytes.start - 11..found.bytes.end - 11];
    assert!(
        piece.len() <= token.len().div_ceil(3) * 4 + 4,
        "{}",
        piece.len()
    );
    assert_eq!(found.confidence, Confidence::Certain);
}

#[test]
fn a_wrong_checksum_is_only_possible() {
    let mut token = made("ghp_{crc62:30}").into_bytes();
    token[10] = if token[10] == b'a' { b'b' } else { b'a' };
    let told = scan(&token);
    assert_eq!(told.matches.len(), 1);
    assert_eq!(told.matches[0].confidence, Confidence::Possible);
}

#[test]
fn the_word_false_hides_nothing() {
    let body = "false0NULL1true2Example3test4dum";
    let token = format!("ghp_{}", &body[..30]);
    let sum = validators::base62_crc32(&token.as_bytes()[4..]);
    let token = [token.as_bytes(), &sum].concat();
    assert_eq!(ids(&token), ["secret/github-pat"]);
}

#[test]
fn the_specific_rule_wins_over_the_generic_one() {
    let text = format!("api_key = \"{}\"", made("sk_live_{base62:99}"));
    assert_eq!(ids(text.as_bytes()), ["secret/stripe-live-key"]);
    let url = format!(
        "https://x-access-token:{}@github.com/o/r.git",
        made("ghp_{crc62:30}")
    );
    assert_eq!(ids(url.as_bytes()), ["secret/github-pat"]);
}

#[test]
fn two_secrets_in_one_place_are_two() {
    let text = format!("{} {}", made("ghp_{crc62:30}"), made("sk_live_{base62:99}"));
    let packed = gzip(text.as_bytes());
    let mut found = ids(&packed);
    found.sort_unstable();
    assert_eq!(found, ["secret/github-pat", "secret/stripe-live-key"]);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

#[test]
fn compressed_streams() {
    let text = format!("line\n{}\n", made("npm_{crc62:30}"));
    let packed = gzip(text.as_bytes());
    assert_eq!(ids(&packed), ["secret/npm-access-token"]);
    assert_eq!(ids(&gzip(&packed)), ["secret/npm-access-token"]);
    let framed = [b"some bytes before".as_slice(), &packed, b"and after"].concat();
    assert_eq!(ids(&framed), ["secret/npm-access-token"]);
    let folded = data_encoding::BASE64.encode(&packed);
    assert_eq!(ids(folded.as_bytes()), ["secret/npm-access-token"]);
    let mut zlib = Vec::new();
    {
        use std::io::Write as _;
        let mut packer = flate2::write::ZlibEncoder::new(&mut zlib, flate2::Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
    }
    assert_eq!(ids(&zlib), ["secret/npm-access-token"]);
    // A secret over the seam of two pieces.
    let long = [
        vec![b'.'; (1 << 20) - 20],
        text.into_bytes(),
        vec![b'.'; 4 << 20],
    ]
    .concat();
    assert_eq!(ids(&gzip(&long)), ["secret/npm-access-token"]);
}

#[test]
fn a_zip_entry() {
    use std::io::Write as _;
    let text = format!("{}\n", made("npm_{crc62:30}")).repeat(1);
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    let data = packer.finish().unwrap();
    let mut zip = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
    zip.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    zip.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    zip.extend([5, 0, 0, 0]);
    zip.extend(b"a.txt");
    zip.extend(data);
    assert_eq!(ids(&zip), ["secret/npm-access-token"]);
}

#[test]
fn a_bomb_is_told_and_costs_no_memory() {
    let bomb = gzip(&vec![0; 100 << 20]);
    let told = scan(&bomb);
    assert!(told.matches.is_empty());
    assert_eq!(told.unscanned.len(), 1, "{:?}", told.unscanned);
    assert_eq!(told.unscanned[0].1, "unpacks to too much");
}

#[test]
fn too_many_levels_are_told() {
    let mut text = format!("{}\n", made("npm_{crc62:30}"))
        .repeat(40)
        .into_bytes();
    for _ in 0..6 {
        text = data_encoding::BASE64.encode(&text).into_bytes();
    }
    let told = scan(&text);
    assert!(told.matches.is_empty());
    assert_eq!(told.unscanned[0].1, "encoded too many times");
}

#[test]
fn many_hits_of_one_keyword_end() {
    for piece in [
        "ghp_",
        "eyJhbGciOi.eyJ.",
        "-----BEGIN PRIVATE KEY-----\n",
        "AKIAAKIA",
        "password='",
        "PK\x03\x04",
        "https://a:b@",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        let before = cpu_time();
        let _ = scan(text.as_bytes());
        let used = cpu_time() - before;
        assert!(used < std::time::Duration::from_secs(10), "{piece}");
    }
}

#[test]
fn a_key_in_a_json_string() {
    let text = made(
        "{{\"key\": \"-----BEGIN RSA PRIVATE KEY-----\\n{der-key-json}\\n-----END RSA PRIVATE KEY-----\\n\"}",
    );
    let told = scan(text.as_bytes());
    assert_eq!(told.matches.len(), 1);
    assert_eq!(told.matches[0].rule.id, "secret/private-key");
    assert_eq!(told.matches[0].confidence, Confidence::Certain);
}

#[test]
fn rules_are_only_compiled_on_a_hit() {
    assert!(
        ids("fn main() { println!(\"https://example.com/\"); } // password: none\n".as_bytes())
            .is_empty()
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600), at in 0usize..600, which in 0usize..20_000) {
        let mut text = text;
        let keywords = BUILTIN.prefilter;
        let at = at.min(text.len());
        text.splice(at..at, keywords.keyword(which % keywords.len()).bytes.iter().copied());
        let told = scan(&text);
        for found in told.matches {
            assert!(found.bytes.start <= found.bytes.end && found.bytes.end <= text.len());
        }
    }
}

/// Ids of keys, each another one.
fn key_ids(count: usize) -> Vec<u8> {
    let mut dice = Dice::new(5);
    let one = |_| sample::make("AKIAQ{base32:15}\n", &mut dice).unwrap();
    (0..count).map(one).collect::<String>().into_bytes()
}

#[test]
fn many_secrets_in_one_compressed_part_are_told_in_part_and_soon() {
    let few = scan(&gzip(&key_ids(300)));
    assert_eq!(few.matches.len(), 300);
    assert!(few.unscanned.is_empty());
    let budget = Budget::new(Bounds::default());
    let text = gzip(&key_ids(60_000));
    let before = cpu_time();
    if let Ok(told) = Scanner::builtin().scan(&text, &budget) {
        assert!(told.matches.len() <= 2_000);
        assert_eq!(told.unscanned.len(), 1, "{:?}", told.unscanned);
    }
    assert!(cpu_time() - before < std::time::Duration::from_secs(5));
}

#[test]
fn the_clock_is_asked_in_every_kind_of_work() {
    let piece = made("AKIAQ{base32:15}\n");
    for text in [
        key_ids(2_000),
        gzip(&key_ids(2_000)),
        b"-----BEGIN PRIVATE KEY-----\n".repeat(500),
        b"eyJhbGciOi.eyJ.".repeat(5_000),
        b"password='".repeat(5_000),
        b"PK\x03\x04".repeat(5_000),
        b"0123456789abcdef0123456789abcdefg ".repeat(2_000),
        piece
            .bytes()
            .flat_map(|byte| [byte, 0])
            .collect::<Vec<u8>>()
            .repeat(200),
    ] {
        let budget = Budget::new(Bounds {
            time: std::time::Duration::ZERO,
            ..Bounds::default()
        });
        let head = String::from_utf8_lossy(&text[..20]).into_owned();
        assert!(Scanner::builtin().scan(&text, &budget).is_err(), "{head}");
    }
}

#[test]
fn a_secret_inside_another_in_a_compressed_part_is_one() {
    let url = format!(
        "https://x-access-token:{}@github.com/o/r.git\n",
        made("ghp_{crc62:30}")
    );
    assert_eq!(ids(&gzip(url.as_bytes())), ["secret/github-pat"]);
}

#[test]
fn hex_behind_a_letter() {
    let token = made("ghp_{crc62:30}");
    let hex = data_encoding::HEXLOWER.encode(token.as_bytes());
    for text in [
        format!("k = 0x{hex}\n"),
        format!("key_{hex}"),
        format!("x{hex}z"),
        format!("a{hex}"),
        format!("zz{hex}{}", "ab".repeat(20)),
        data_encoding::BASE64.encode(format!("some words 0x{hex}").as_bytes()),
    ] {
        let told = scan(text.as_bytes());
        assert_eq!(told.matches.len(), 1, "{text}");
        assert_eq!(told.matches[0].value(), token.as_bytes());
    }
    let text = format!("key_{hex};");
    assert_eq!(scan(text.as_bytes()).matches[0].bytes, 4..4 + hex.len());
}

#[test]
fn escaped_letters() {
    let token = made("ghp_{crc62:30}");
    let all = |escape: &dyn Fn(u8) -> String| token.bytes().map(escape).collect::<String>();
    for text in [
        token.replace('_', "%5F"),
        format!("\"{}\"", token.replace('_', "\\u005f")),
        token.replace('_', "&#95;"),
        all(&|byte| format!("\\x{byte:02x}")),
        all(&|byte| format!("&#x{byte:x};")),
        all(&|byte| format!("%{byte:02X}")),
    ] {
        assert_eq!(ids(text.as_bytes()), ["secret/github-pat"], "{text}");
    }
    let plain = format!("{token} and %41");
    assert_eq!(scan(plain.as_bytes()).matches.len(), 1);
}

#[test]
fn base64_in_short_lines() {
    let token = made("ghp_{crc62:30}");
    for width in [30, 31] {
        for before in 0..16 {
            let packed = data_encoding::BASE64.encode(format!("key {token}\n").as_bytes());
            let lines: Vec<&str> = (0..packed.len())
                .step_by(width)
                .map(|at| &packed[at..packed.len().min(at + width)])
                .collect();
            let text = format!("{} {}\n", ".".repeat(before), lines.join("\n"));
            let found = ids(text.as_bytes());
            assert!(
                width < 30 || found == ["secret/github-pat"],
                "{width} {before}"
            );
        }
    }
}

#[test]
fn no_word_before_a_secret_makes_it_a_reference() {
    let key = made("{hex:32}");
    for before in ["arn:", "vault:", "projects/x=", "secretsmanager:", "get("] {
        let after = if before.ends_with('(') { ")" } else { "" };
        let text = format!("algolia_api_key = \"{before}{key}{after}\"\n");
        assert!(!scan(text.as_bytes()).matches.is_empty(), "{before}");
    }
}

/// The digits of a signature may read like a token; those of something that only stands between the same lines do not.
#[test]
fn chance_in_a_signature_is_no_token() {
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    };
    let token = sample::make(
        "EAAG{base62:60}ZA{base62:50}ZC{base62:60}",
        &mut Dice::new(7),
    )
    .unwrap();
    for width in [70, 1_000] {
        for before in 0..3 {
            // Of any number of digits, in any place of the line.
            let mut digits = format!("{}//{token}/", "A".repeat(before)).into_bytes();
            digits.resize(digits.len().next_multiple_of(4), b'A');
            let chance = data_encoding::BASE64.decode(&digits).unwrap();
            let key = [string(b"ssh-ed25519"), string(&[7; 32])].concat();
            let fields = [string(&key), string(b"git"), string(b""), string(b"sha512")].concat();
            let start = [b"SSHSIG\0\0\0\x01".as_slice(), &fields].concat();
            let algorithm = string(b"rsa-sha2-512");
            // The digits begin anew where the bytes before are a multiple of three.
            let so_far = start.len() + 4 + algorithm.len() + 4;
            let filler = vec![0; 3 - so_far % 3];
            let made = [algorithm, string(&[filler, chance].concat())].concat();
            let armored = |blob: &[u8]| {
                let digits = data_encoding::BASE64.encode(blob);
                let lines: Vec<&[u8]> = digits.as_bytes().chunks(width).collect();
                let begin = b"gpgsig -----BEGIN SSH SIGNATURE-----".as_slice();
                let end = b"-----END SSH SIGNATURE-----".as_slice();
                [&[begin], &*lines, &[end], &[b""]].concat().join(&b'\n')
            };
            let whole = armored(&[start.clone(), string(&made)].concat());
            assert_eq!(ids(&whole), Vec::<&str>::new());
            // One byte more, and it is none.
            let other = armored(&[start, string(&made), vec![0]].concat());
            if width == 1_000 {
                assert_eq!(ids(&other), ["secret/facebook-access-token"]);
            }
        }
    }
}
