//! Damaged, cut off and hostile repositories under `ringfence audit`: what is wrong is told, the rest is looked at, and the
//! answer is not passed off as whole.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ringfence::audit::record::Repository;

use crate::audit::{Told, audit, bare, land, secret};
use crate::world::{RINGFENCE, World, both};

/// A site with a secret and a large file in two versions, and a good repository with the same beside it.
fn world() -> World {
    let world = bare();
    let alice = world.clone_for("alice");
    let (text, _) = secret("token = \"{{github-pat:fault}}\"\n");
    alice.write("config/token.txt", text);
    alice.write("big.bin", noise(1));
    alice.commit("First");
    alice.write("big.bin", noise(2));
    alice.commit("Second");
    land(&alice);
    world.server_git(&["clone", "-q", "--bare", "--no-local", ".", "../good.git"]);
    world
}

/// Bytes that nothing packs.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..64 << 10).map(|_| next()).collect()
}

fn site(told: &Told) -> &Repository {
    let mut all = told.repositories().into_iter();
    all.find(|one| one.repository.ends_with("site")).unwrap()
}

fn has_secret(told: &Told, name: &str) -> bool {
    let mut all = told.findings("content").into_iter();
    all.any(|one| one.rule == "secret/github-pat" && one.repository.ends_with(name))
}

/// Audits the damaged site and the good repository beside it: the damage is told with these words, and nothing else is lost.
fn assert_told(world: &World, words: &str) -> Told {
    let told = audit(world, &["org"]);
    assert_eq!(told.code, Some(3), "{}{}", told.text, told.err);
    assert!(
        !told.err.contains("panicked") && !told.text.contains("broke down"),
        "{}{}",
        told.text,
        told.err
    );
    let bad = site(&told);
    assert_ne!(bad.status, "complete", "{}", told.text);
    let said = format!("{:?}", bad.unread);
    assert!(said.contains(words), "{said}");
    assert!(bad.unread_count > 0);
    let good = told
        .repositories()
        .into_iter()
        .find(|one| one.repository.ends_with("good"));
    assert_eq!(good.unwrap().status, "complete", "{}", told.text);
    assert!(has_secret(&told, "good"));
    assert_eq!(told.summary().status, "incomplete");
    told
}

/// The only pack of the site, made of everything.
fn packed(world: &World) -> PathBuf {
    world.server_git(&["repack", "-q", "-a", "-d"]);
    let folder = world.server().join("objects/pack");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut packs = files.filter(|path| path.extension().is_some_and(|end| end == "pack"));
    let pack = packs.next().unwrap();
    for path in [pack.clone(), pack.with_extension("idx")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    pack
}

/// Where an object starts in the pack.
fn offset(world: &World, pack: &Path, id: &str) -> usize {
    let listed = world.server_git(&[
        "verify-pack",
        "-v",
        pack.with_extension("idx").to_str().unwrap(),
    ]);
    let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
    line.split_whitespace().nth(4).unwrap().parse().unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

fn loose(world: &World, id: &str) -> PathBuf {
    let path = world.server().join("objects").join(&id[..2]).join(&id[2..]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

#[test]
fn a_corrupt_pack() {
    let world = world();
    let pack = packed(&world);
    let id = world.id("main:big.bin");
    flip(&pack, offset(&world, &pack, &id) + 1_000);
    let told = assert_told(&world, &id);
    assert!(has_secret(&told, "site"), "the rest of the pack is read");
}

#[test]
fn a_truncated_pack() {
    let world = world();
    let pack = packed(&world);
    let bytes = fs::read(&pack).unwrap();
    for keep in [bytes.len() / 2, 40, 0] {
        fs::write(&pack, &bytes[..keep]).unwrap();
        assert_told(&world, "");
    }
}

fn sha1(world: &World, bytes: &[u8]) -> Vec<u8> {
    let command = world.scrubbed("sha1sum", &world.path(""));
    let output = crate::world::feed(command, bytes);
    let text = String::from_utf8(output.stdout).unwrap();
    unhex(&text[..40])
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// An index whose checksum holds and whose offsets do not.
#[test]
fn an_index_that_lies() {
    let world = world();
    let pack = packed(&world);
    let index = pack.with_extension("idx");
    let whole = fs::read(&index).unwrap();
    let count = u32::from_be_bytes(whole[8 + 255 * 4..8 + 256 * 4].try_into().unwrap()) as usize;
    let offsets = 8 + 1_024 + count * 24;
    type Lie<'l> = &'l dyn Fn(&mut Vec<u8>);
    let lies: [Lie<'_>; 4] = [
        // Two objects change places; one lies behind the end; one in the middle of another; one at the start of all.
        &|bytes| {
            let (first, second) = (offsets, offsets + 4);
            for at in 0..4 {
                bytes.swap(first + at, second + at);
            }
        },
        &|bytes| bytes[offsets..offsets + 4].copy_from_slice(&0x7fff_fff0_u32.to_be_bytes()),
        &|bytes| bytes[offsets + 3] ^= 1,
        &|bytes| bytes[offsets..offsets + 4].fill(0),
    ];
    for lie in lies {
        let mut bytes = whole.clone();
        lie(&mut bytes);
        let body = bytes.len() - 20;
        let sum = sha1(&world, &bytes[..body]);
        bytes[body..].copy_from_slice(&sum);
        fs::write(&index, &bytes).unwrap();
        assert_told(&world, "");
    }
    // And one that is no index.
    for bytes in [&whole[..500], b"", b"not an index"] {
        fs::write(&index, bytes).unwrap();
        assert_told(&world, "");
    }
}

#[test]
fn corrupt_loose_objects() {
    let world = world();
    let id = world.id("main:big.bin");
    let path = loose(&world, &id);
    let whole = fs::read(&path).unwrap();
    flip(&path, 1_000);
    let told = assert_told(&world, &id);
    assert!(has_secret(&told, "site"));
    // Cut off, empty, and another object's bytes under this id.
    let other = fs::read(loose(&world, &world.id("main:README.md"))).unwrap();
    for bytes in [&whole[..500], b"", &other] {
        fs::write(&path, bytes).unwrap();
        let told = assert_told(&world, &id);
        assert!(has_secret(&told, "site"));
    }
}

#[test]
fn missing_objects() {
    for what in ["main~1:big.bin", "main^{tree}", "main~1"] {
        let world = world();
        let id = world.id(what);
        fs::remove_file(loose(&world, &id)).unwrap();
        let told = assert_told(&world, &id);
        assert!(has_secret(&told, "site"), "{what}: {}", told.text);
    }
}

/// One entry of a pack: its kind, the length that it says it has, what stands before its stream, and what the stream holds.
fn entry(kind: u8, length: u64, before: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | (length & 15) as u8];
    let mut rest = length >> 4;
    while rest > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.extend_from_slice(before);
    let mut packer = flate2::write::ZlibEncoder::new(bytes, flate2::Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Writes a pack and its index, both with right checksums, whatever the entries hold.
fn write_pack(world: &World, mut entries: Vec<(String, Vec<u8>)>) {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend((entries.len() as u32).to_be_bytes());
    let mut listed = Vec::new();
    for (id, bytes) in entries.drain(..) {
        listed.push((unhex(&id), crc32fast::hash(&bytes), pack.len() as u32));
        pack.extend(bytes);
    }
    let sum = sha1(world, &pack);
    pack.extend(&sum);
    listed.sort();
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=255_u8 {
        let count = listed.iter().filter(|(id, ..)| id[0] <= first).count() as u32;
        index.extend(count.to_be_bytes());
    }
    listed.iter().for_each(|(id, ..)| index.extend(id));
    listed
        .iter()
        .for_each(|(_, crc, _)| index.extend(crc.to_be_bytes()));
    listed
        .iter()
        .for_each(|(.., offset)| index.extend(offset.to_be_bytes()));
    index.extend(&sum);
    let own = sha1(world, &index);
    index.extend(own);
    let folder = world.server().join("objects/pack");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("pack-crafted.pack"), pack).unwrap();
    fs::write(folder.join("pack-crafted.idx"), index).unwrap();
}

#[test]
fn deltas_that_go_round_or_promise_too_much() {
    const REF_DELTA: u8 = 7;
    const BLOB: u8 = 3;
    let (a, b, c) = ("a1".repeat(20), "b2".repeat(20), "c3".repeat(20));
    let delta = |base: u64, result: u64, insert: &[u8]| {
        let mut bytes = [varint(base), varint(result)].concat();
        bytes.push(insert.len() as u8);
        bytes.extend(insert);
        bytes
    };
    let hello = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0".to_owned();
    let plain = (hello.clone(), entry(BLOB, 5, b"", b"hello"));
    let small = delta(5, 5, b"xxxxx");
    let on = |base: &str, delta: &[u8]| entry(REF_DELTA, delta.len() as u64, &unhex(base), delta);
    let huge = delta(5, 1 << 40, b"xxxxx");
    let cases = [
        // Two that need each other; one that needs itself; a base that is nowhere.
        vec![
            plain.clone(),
            (a.clone(), on(&b, &small)),
            (b.clone(), on(&a, &small)),
        ],
        vec![plain.clone(), (a.clone(), on(&a, &small))],
        vec![plain.clone(), (a.clone(), on(&c, &small))],
        // A tebibyte out of five bytes, of a delta and of a blob.
        vec![plain.clone(), (a.clone(), on(&hello, &huge))],
        vec![
            plain.clone(),
            (a.clone(), entry(BLOB, 1 << 40, b"", b"tiny")),
        ],
        // A kind that is none.
        vec![plain.clone(), (a.clone(), entry(5, 5, b"", b"hello"))],
    ];
    for entries in cases {
        let world = world();
        write_pack(&world, entries);
        let told = assert_told(&world, "");
        // What is promised is not asked of the memory.
        let script = "ulimit -v 1500000; exec \"$RINGFENCE\" audit --quiet --jobs 2 org";
        let mut bounded = world.shell_command(&world.path(""), script.as_ref());
        let output = bounded.output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", both(&output));
        assert!(has_secret(&told, "site"), "{}", told.text);
    }
}

#[test]
fn shallow_clones_are_what_they_are() {
    let world = world();
    let url = format!("file://{}", world.server().display());
    world.server_git(&["clone", "-q", "--bare", "--depth", "1", &url, "../cut.git"]);
    let told = audit(&world, &["org/cut.git", "--fail-on", "never"]);
    assert_eq!(told.code, Some(0), "{}{}", told.text, told.err);
    let about = told.repository();
    assert_eq!((about.status.as_str(), about.commits), ("complete", 1));
    assert!(
        about.notes.iter().any(|note| note == "shallow"),
        "{:?}",
        about.notes
    );
}

#[test]
fn partial_clones_lack_what_is_with_the_remote() {
    let world = world();
    world.server_git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", world.server().display());
    world.server_git(&[
        "clone",
        "-q",
        "--bare",
        "--filter=blob:none",
        &url,
        "../partial.git",
    ]);
    let told = audit(&world, &["org/partial.git"]);
    assert_eq!(told.code, Some(3), "{}{}", told.text, told.err);
    let about = told.repository();
    assert_eq!(about.status, "incomplete");
    assert!(
        about.notes.iter().any(|note| note == "partial"),
        "{:?}",
        about.notes
    );
    assert!(
        format!("{:?}", about.unread).contains("with the remote"),
        "{:?}",
        about.unread
    );
}

/// git passes over a loop of alternates; whatever is made of it, nothing is lost in silence.
#[test]
fn alternates_that_go_round_or_lead_nowhere() {
    let world = world();
    world.server_git(&["clone", "-q", "--bare", "--shared", ".", "../fork.git"]);
    let info = world.server().join("objects/info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("alternates"), "../../fork.git/objects\n").unwrap();
    for name in ["org/site.git", "org/fork.git"] {
        let told = audit(&world, &[name]);
        let is_whole = told.repository().status == "complete";
        assert_eq!(told.code == Some(3), !is_whole, "{}{}", told.text, told.err);
        assert!(
            !is_whole || told.findings("content").len() == 1,
            "{}",
            told.text
        );
    }
    fs::write(info.join("alternates"), "/nowhere/objects\n").unwrap();
    let told = assert_told(&world, "/nowhere/objects");
    assert!(has_secret(&told, "site"));
    // A file that has no end.
    fs::remove_file(info.join("alternates")).unwrap();
    symlink("/dev/zero", info.join("alternates")).unwrap();
    assert_told(&world, "alternates");
}

#[test]
fn links_to_folders_are_followed_where_git_follows_them() {
    let world = world();
    fs::rename(world.server().join("objects"), world.path("kept")).unwrap();
    symlink(world.path("kept"), world.server().join("objects")).unwrap();
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(
        (told.code, site(&told).status.as_str()),
        (Some(1), "complete"),
        "{}",
        told.text
    );
    fs::remove_file(world.server().join("objects")).unwrap();
    symlink(
        world.server().join("objects"),
        world.server().join("objects"),
    )
    .unwrap();
    let told = audit(&world, &["org/site.git"]);
    assert_eq!(told.code, Some(3), "{}", told.text);
}

/// Files that have no end, or that wait for somebody.
#[test]
fn files_that_are_no_files() {
    for name in [
        "config",
        "packed-refs",
        "shallow",
        "HEAD",
        "refs/heads/endless",
        "objects/info/alternates",
    ] {
        let world = world();
        let path = world.server().join(name);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("/dev/zero", &path).unwrap();
        let told = audit(&world, &["org"]);
        assert_eq!(told.code, Some(3), "{name}: {}{}", told.text, told.err);
        assert!(has_secret(&told, "good"), "{name}");
    }
}

#[test]
fn what_may_not_be_read_is_told() {
    let world = world();
    let closed = world.path("org/closed.git");
    world.server_git(&["clone", "-q", "--bare", ".", "../closed.git"]);
    let rights =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    // Another account looks: nothing is closed to root.
    let program = world.path("ringfence");
    fs::copy(RINGFENCE, &program).unwrap();
    rights(&world.path(""), 0o755);
    fs::write(world.path("key"), [7; 32]).unwrap();
    rights(&world.path("key"), 0o644);
    let look = || {
        let mut command = world.scrubbed(&program, &world.path(""));
        command.args(["audit", "--format", "jsonl", "--key", "key", "org"]);
        if fs::metadata("/proc/self")
            .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
        {
            command.uid(65_534).gid(65_534);
        }
        Told::of(&command.output().unwrap())
    };
    let told = look();
    assert_eq!(told.code, Some(1), "{}{}", told.text, told.err);
    let id = world.id("main:big.bin");
    let one = closed.join("objects").join(&id[..2]);
    for (path, words) in [
        (closed.clone(), "denied"),
        (closed.join("objects"), "objects"),
        (closed.join("refs/heads"), "refs"),
        (one, ""),
    ] {
        if !path.exists() {
            continue;
        }
        let before = fs::metadata(&path).unwrap().permissions().mode();
        rights(&path, 0o000);
        let told = look();
        rights(&path, before);
        assert_eq!(
            told.code,
            Some(3),
            "{}: {}{}",
            path.display(),
            told.text,
            told.err
        );
        let bad = told
            .repositories()
            .into_iter()
            .find(|one| one.path.contains("closed"))
            .unwrap();
        assert_ne!(bad.status, "complete");
        assert!(
            format!("{:?}", bad.unread).contains(words),
            "{:?}",
            bad.unread
        );
        assert!(has_secret(&told, "good") && has_secret(&told, "site"));
    }
}

#[test]
fn repositories_that_go_away_while_they_are_looked_at() {
    let world = world();
    let names: Vec<String> = (0..24)
        .map(|number| format!("org/r{number:02}.git"))
        .collect();
    for name in &names {
        world.server_git(&[
            "clone",
            "-q",
            "--bare",
            "--no-local",
            ".",
            &format!("../../{name}"),
        ]);
    }
    let mut command = world.ringfence_command(&world.path(""));
    command.args(["audit", "--format", "jsonl", "--jobs", "1", "org"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for name in names.iter().rev().take(20) {
        let _ = fs::remove_dir_all(world.path(name));
    }
    let told = Told::of(&child.wait_with_output().unwrap());
    assert!(
        matches!(told.code, Some(1 | 3)),
        "{}{}",
        told.text,
        told.err
    );
    assert!(
        !told.err.contains("panicked") && !told.text.contains("broke down"),
        "{}{}",
        told.text,
        told.err
    );
    let of = |name: &str| {
        told.repositories()
            .into_iter()
            .find(|one| one.repository.ends_with(name))
            .unwrap()
    };
    for stays in ["good", "site", "r00", "r03"] {
        assert_eq!(of(stays).status, "complete", "{}", told.text);
        assert!(has_secret(&told, stays));
    }
    // One that is whole was looked at as a whole.
    for one in told.repositories() {
        assert!(
            one.status != "complete" || has_secret(&told, &one.repository),
            "{}",
            told.text
        );
    }
}

#[test]
fn hostile_names_in_every_form() {
    let world = bare();
    let alice = world.clone_for("alice");
    let (text, _) = secret("token = \"{{github-pat:fault}}\"\n");
    let hostile = [
        "=HYPERLINK(\"http:||x\")",
        "+cmd|' |C calc'!A0",
        "@SUM(1)",
        "-1+1",
        "<script>alert(1)<|script>.txt",
        "\"><img src=x onerror=alert(1)>",
        "a\u{1b}[31m\u{7}b",
        "line\nbreak,\"quote\"",
        "\u{202e}gpj.exe",
        "file:||||x?#%2e%2e",
    ];
    for name in hostile {
        alice.write(name, &text);
    }
    alice.commit("<script>alert(2)</script>\n\n\u{1b}]0;title\u{7}");
    land(&alice);
    for name in ["<svg|onload=alert(3)>", "=1+1", "\u{202e}x"] {
        world.server_git(&[
            "update-ref",
            &format!("refs/heads/{}", name.replace('|', "")),
            "main",
        ]);
    }
    for form in ["text", "jsonl", "json", "sarif", "csv", "html"] {
        let mut command = world.ringfence_command(&world.path(""));
        let output = command
            .args(["audit", "--format", form, "--quiet", "org"])
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{form}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let is_odd = |c: char| {
            (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
                || ('\u{202a}'..='\u{202e}').contains(&c)
        };
        assert!(
            !text.contains(is_odd),
            "{form}: {:?}",
            text.lines().find(|line| line.contains(is_odd))
        );
        match form {
            "json" | "sarif" => drop(serde_json::from_str::<serde_json::Value>(&text).unwrap()),
            "jsonl" => text
                .lines()
                .for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap())),
            "csv" => {
                let starts = text.lines().flat_map(|line| line.split(','));
                let is_formula = |cell: &str| {
                    cell.trim_start_matches('"')
                        .starts_with(['=', '+', '@', '-'])
                };
                let formulas: Vec<_> = starts.filter(|cell| is_formula(cell)).collect();
                assert!(formulas.is_empty(), "{formulas:?}");
            }
            "html" => {
                for bad in ["<script>alert", "<img src=x", "<svgonload", "<|script>"] {
                    assert!(!text.contains(bad), "{bad}");
                }
            }
            _ => {}
        }
        if form == "sarif" {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            for result in value["runs"][0]["results"].as_array().unwrap() {
                for location in result["locations"].as_array().into_iter().flatten() {
                    let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str();
                    let is_plain = |uri: &str| {
                        uri.bytes()
                            .all(|byte| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte))
                    };
                    assert!(
                        uri.is_none_or(|uri| is_plain(uri) && !uri.contains("://")),
                        "{uri:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_a_state_does_not_know_is_looked_at_again() {
    // Damaged before the first audit, and only after it; packed, and loose.
    for (is_late, is_packed) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = world();
        let id = world.id("main:big.bin");
        let (path, at) = match is_packed {
            true => {
                let pack = packed(&world);
                let at = offset(&world, &pack, &id) + 1_000;
                (pack, at)
            }
            false => (loose(&world, &id), 1_000),
        };
        let state = ["org", "--state", "state"];
        if is_late {
            assert_eq!(audit(&world, &state).code, Some(1));
        }
        flip(&path, at);
        for round in 0..2 {
            let told = audit(&world, &state);
            let said = format!("{:?}", site(&told).unread);
            // What was looked at while it was whole is known, and in a pack not read again; a loose object tells its kind only
            // when it is opened. Nothing that was never looked at is known.
            if is_late && is_packed {
                assert_eq!(site(&told).status, "complete", "{said}");
            } else {
                assert_eq!(told.code, Some(3), "{round}: {}", told.text);
                assert!(said.contains(&id), "{round}: {said}");
            }
            assert!(has_secret(&told, "site"), "{round}: {}", told.text);
        }
        if !is_late && !is_packed {
            // It is gone: what the state knows of the rest hides that no more.
            fs::remove_file(&path).unwrap();
            let told = audit(&world, &state);
            assert_eq!(told.code, Some(3), "{}", told.text);
            assert!(
                format!("{:?}", site(&told).unread).contains(&id),
                "{}",
                told.text
            );
        }
    }
}

#[test]
fn an_object_that_goes_after_the_first_audit_is_missed() {
    let world = world();
    let id = world.id("main:big.bin");
    let state = ["org", "--state", "state"];
    assert_eq!(audit(&world, &state).code, Some(1));
    fs::remove_file(loose(&world, &id)).unwrap();
    for _ in 0..2 {
        let told = audit(&world, &state);
        assert_eq!(told.code, Some(3), "{}", told.text);
        assert!(
            format!("{:?}", site(&told).unread).contains(&id),
            "{}",
            told.text
        );
    }
}

#[test]
fn broken_refs_hide_no_other_and_an_empty_repository_is_whole() {
    let world = world();
    for (name, text) in [
        ("refs/heads/garbled", "no object id\n"),
        (
            "refs/heads/gone",
            "1234567890123456789012345678901234567890\n",
        ),
    ] {
        fs::write(world.server().join(name), text).unwrap();
        let told = assert_told(
            &world,
            if name.ends_with("gone") {
                "1234567890"
            } else {
                "garbled"
            },
        );
        assert!(has_secret(&told, "site"));
        fs::remove_file(world.server().join(name)).unwrap();
    }
    // A branch that is not born yet is nothing wrong.
    fs::write(world.server().join("HEAD"), "ref: refs/heads/unborn\n").unwrap();
    let told = audit(&world, &["org"]);
    assert_eq!(site(&told).status, "complete", "{}", told.text);
    assert!(has_secret(&told, "site"));
    world.server_git(&["init", "-q", "--bare", "../../new/empty.git"]);
    let told = audit(&world, &["new/empty.git"]);
    assert_eq!(told.code, Some(0), "{}{}", told.text, told.err);
    assert_eq!(
        (told.repository().status.as_str(), told.repository().commits),
        ("complete", 0)
    );
}
