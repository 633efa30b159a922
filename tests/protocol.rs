//! A client that speaks git's push protocol (version 0) by hand, because git's own client refuses to send what a
//! hostile one can. Every deviation must refuse the whole push.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::process::Stdio;

use bstr::BString;

use crate::world::{ACCOUNT, Clone, Pushed, Setup, Verdict, World, testdata};

const ZERO: &str = "0000000000000000000000000000000000000000";
const MINE: &str = "refs/heads/agents/builder";

/// What a raw push sends.
#[derive(Default)]
struct Raw {
    /// Old value, new value, ref name: as they are put on the wire.
    commands: Vec<(String, String, Vec<u8>)>,
    /// Whether all or nothing is asked for.
    atomic: bool,
    /// Push options.
    options: Vec<Vec<u8>>,
    /// A push certificate, sent in the place of the commands.
    certificate: Option<Vec<u8>>,
    /// Revisions whose objects are sent, as `git rev-list` reads them.
    objects: Vec<String>,
}

impl Raw {
    fn command(mut self, old: &str, new: &str, name: impl AsRef<[u8]>) -> Raw {
        let name = name.as_ref().to_vec();
        self.commands.push((old.to_owned(), new.to_owned(), name));
        self
    }

    fn create(self, new: &str, name: impl AsRef<[u8]>) -> Raw {
        self.command(ZERO, new, name)
    }

    fn send(mut self, revision: &str) -> Raw {
        self.objects.push(revision.to_owned());
        self
    }

    fn option(mut self, option: impl Into<Vec<u8>>) -> Raw {
        self.options.push(option.into());
        self
    }

    fn atomic(mut self) -> Raw {
        self.atomic = true;
        self
    }
}

/// The answer to a raw push.
struct Answer {
    pushed: Pushed,
    /// What git reports for each ref: `ok`, or why not.
    report: BTreeMap<BString, String>,
}

fn packet(content: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", content.len() + 4).into_bytes();
    packet.extend_from_slice(content);
    packet
}

/// The content of the next packet; `None` for a flush and at the end.
fn read_packet(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let length = usize::from_str_radix(std::str::from_utf8(&length).unwrap(), 16).unwrap();
    let mut content = vec![0; length.checked_sub(4)?];
    from.read_exact(&mut content).unwrap();
    Some(content)
}

/// Sends `raw` from `clone` to its server.
fn push(clone: &Clone<'_>, account: &str, raw: &Raw) -> Answer {
    let world = clone.world();
    let before = world.refs();
    let mut command = world.git_command(&world.path(""));
    let mut server = command
        .arg("receive-pack")
        .arg(world.server())
        .env(ACCOUNT, account)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = server.stdin.take().unwrap();
    let mut stdout = server.stdout.take().unwrap();
    while read_packet(&mut stdout).is_some() {}

    let mut sent = Vec::new();
    for (index, (old, new, name)) in raw.commands.iter().enumerate() {
        let mut line = format!("{old} {new} ").into_bytes();
        line.extend_from_slice(name);
        if index == 0 {
            line.extend(b"\0report-status side-band-64k agent=raw");
            line.extend_from_slice(if raw.atomic { b" atomic" } else { b"" });
            line.extend_from_slice(if raw.options.is_empty() {
                b""
            } else {
                b" push-options"
            });
        }
        sent.extend(packet(&line));
    }
    if let Some(certificate) = &raw.certificate {
        sent = packet(b"push-cert\0report-status side-band-64k agent=raw\n");
        for line in certificate.split_inclusive(|byte| *byte == b'\n') {
            sent.extend(packet(line));
        }
        sent.extend(packet(b"push-cert-end\n"));
    }
    sent.extend(b"0000");
    if !raw.options.is_empty() {
        raw.options
            .iter()
            .for_each(|option| sent.extend(packet(option)));
        sent.extend(b"0000");
    }
    if raw
        .commands
        .iter()
        .any(|(_, new, _)| new.bytes().any(|digit| digit != b'0'))
    {
        sent.extend(pack(clone, &raw.objects));
    }
    let mut text = Vec::new();
    let mut report = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(&sent)));
        while let Some(content) = read_packet(&mut stdout) {
            match content.split_first() {
                Some((1, rest)) => report.extend_from_slice(rest),
                Some((_, rest)) => text.extend_from_slice(rest),
                None => {}
            }
        }
    });
    server.stdout = Some(stdout);
    let output = server.wait_with_output().unwrap();
    text.extend(output.stderr);

    let mut report = &report[..];
    let mut outcome = BTreeMap::new();
    while let Some(line) = read_packet(&mut report) {
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if let Some(name) = line.strip_prefix(b"ok ") {
            outcome.insert(name.into(), "ok".to_owned());
        } else if let Some(rest) = line.strip_prefix(b"ng ") {
            let (_, _, name) = raw
                .commands
                .iter()
                .filter(|(_, _, name)| rest.starts_with(name))
                .max_by_key(|(_, _, name)| name.len())
                .unwrap();
            let why = String::from_utf8_lossy(&rest[name.len()..]);
            outcome.insert(name.as_slice().into(), why.trim().to_owned());
        }
    }
    let said = String::from_utf8_lossy(&text).into_owned();
    let accepted = outcome.values().all(|state| state == "ok") && !outcome.is_empty();
    if !accepted && !outcome.values().any(|state| state == "ok") {
        assert_eq!(before, world.refs(), "a refused push moved refs:\n{said}");
    }
    world.assert_sound();
    Answer {
        pushed: Pushed {
            accepted,
            everything: format!("{said}\n{outcome:?}"),
            said,
        },
        report: outcome,
    }
}

/// A pack with the objects of some revisions; without any, an empty pack.
fn pack(clone: &Clone<'_>, revisions: &[String]) -> Vec<u8> {
    let mut command = clone.world().git_command(clone.dir());
    command.args(["pack-objects", "--revs", "--stdout", "-q"]);
    let output = crate::world::feed(command, (revisions.join("\n") + "\n").as_bytes());
    assert!(output.status.success());
    output.stdout
}

/// A builder with one commit inside its boundary on top of main; its id.
fn one_commit(world: &World) -> (Clone<'_>, String) {
    let builder = world.clone_for("builder");
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    let id = builder.commit("Feature");
    (builder, id)
}

/// The raw push is refused as a whole and every command was declined.
fn assert_refused(answer: &Answer) {
    let said = &answer.pushed.everything;
    assert_ne!(answer.pushed.verdict(), Verdict::Accept, "{said}");
    assert!(!answer.report.values().any(|state| state == "ok"), "{said}");
    let errors = answer
        .pushed
        .said
        .lines()
        .filter(|line| line.starts_with("error: "));
    assert!(errors.count() >= 1, "no clear error:\n{said}");
    let printable = |byte: u8| matches!(byte, b'\n' | b' '..=b'~');
    assert!(
        answer.pushed.said.bytes().all(printable),
        "raw bytes shown:\n{said}"
    );
}

#[test]
fn an_ordinary_push_in_the_raw_protocol_is_accepted() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let name = format!("{MINE}/feature");
    let answer = push(
        &builder,
        "builder",
        &Raw::default().create(&id, &name).send("main"),
    );
    answer.pushed.expect_accept();
    assert_eq!(world.id(&name), id);
}

#[test]
fn a_forged_line_hidden_in_a_ref_name_refuses_the_push() {
    for atomic in [false, true] {
        let world = World::new();
        let (builder, good) = one_commit(&world);
        builder.write("src/feature.rs", "pub fn evil() {}\n");
        let bad = builder.commit("Evil");
        let forged = format!("{MINE}/x\n{ZERO} {bad} {MINE}/evil");
        let mut raw = Raw::default()
            .create(&good, format!("{MINE}/evil"))
            .create(&bad, forged)
            .send("main");
        if atomic {
            raw = raw.atomic();
        }
        assert_refused(&push(&builder, "builder", &raw));
    }
}

#[test]
fn the_same_ref_twice_refuses_the_push() {
    let world = World::new();
    let (builder, first) = one_commit(&world);
    let second = builder.commit("Second");
    let name = format!("{MINE}/feature");
    let raw = Raw::default()
        .create(&first, &name)
        .create(&second, &name)
        .send("main");
    assert_refused(&push(&builder, "builder", &raw));
}

#[test]
fn names_that_git_finds_funny_refuse_the_push() {
    let names: [&[u8]; 6] = [
        b"HEAD",
        b"refs/heads/agents/builder/a b",
        b"refs/heads/agents/builder/../x",
        b"refs/heads/agents/builder/\x1b[31mred",
        b"refs/heads/agents/builder/x.lock",
        b"refs/heads/agents/builder//x",
    ];
    for name in names {
        let world = World::new();
        let (builder, id) = one_commit(&world);
        let raw = Raw::default()
            .create(&id, format!("{MINE}/good"))
            .create(&id, name)
            .send("main");
        assert_refused(&push(&builder, "builder", &raw));
    }
}

#[test]
fn a_ref_name_that_is_not_utf8_is_judged_by_the_boundary() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let inside = b"refs/heads/agents/builder/\xff\xfe";
    let answer = push(
        &builder,
        "builder",
        &Raw::default().create(&id, inside).send("main"),
    );
    answer.pushed.expect_accept();

    let outside = b"refs/heads/\xff\xfe";
    let answer = push(
        &builder,
        "builder",
        &Raw::default().create(&id, outside).send("main"),
    );
    answer.pushed.expect_reject(&["ref/out-of-boundary"]);
    assert!(
        answer.pushed.said.contains("refs/heads/\\377\\376"),
        "{}",
        answer.pushed.said
    );
    assert!(answer.pushed.said.is_ascii());
}

#[test]
fn an_object_that_was_not_sent_refuses_the_push() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let nowhere = "1234567890123456789012345678901234567890";
    let raw = Raw::default()
        .create(&id, format!("{MINE}/good"))
        .create(nowhere, format!("{MINE}/absent"))
        .send("main");
    let answer = push(&builder, "builder", &raw);
    assert_refused(&answer);
    assert_eq!(
        answer.pushed.verdict(),
        Verdict::Unjudged,
        "{}",
        answer.pushed.said
    );
}

#[test]
fn deleting_a_ref_that_does_not_exist_refuses_the_push() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let raw = Raw::default().command(&id, ZERO, format!("{MINE}/never"));
    assert_refused(&push(&builder, "porter", &raw));
}

#[test]
fn a_wrong_old_value_refuses_the_push_as_what_it_is() {
    let world = World::new();
    let (builder, first) = one_commit(&world);
    builder.write("src/feature.rs", "pub fn feature2() {}\n");
    let second = builder.commit("More");
    let name = format!("{MINE}/feature");

    // An update of a ref that does not exist: the claim would hide the first commit from a range of old..new.
    let answer = push(
        &builder,
        "builder",
        &Raw::default().command(&first, &second, &name).send("main"),
    );
    answer.pushed.expect_reject(&["ref/old-mismatch"]);

    // A create of a ref that exists.
    builder
        .push(&["main~1:refs/heads/agents/builder/feature"])
        .expect_accept();
    let answer = push(
        &builder,
        "builder",
        &Raw::default().create(&second, &name).send("main"),
    );
    answer.pushed.expect_reject(&["ref/old-mismatch"]);
}

#[test]
fn a_delete_with_a_wrong_old_value_refuses_the_push() {
    let world = World::new();
    let porter = world.clone_for("porter");
    let name = "refs/heads/agents/porter/x";
    porter.push(&[format!("main:{name}")]).expect_accept();
    let claimed = porter.commit("Never pushed");
    let answer = push(
        &porter,
        "porter",
        &Raw::default().command(&claimed, ZERO, name),
    );
    answer.pushed.expect_reject(&["ref/old-mismatch"]);
    let answer = push(
        &porter,
        "porter",
        &Raw::default().command(&world.id("main"), ZERO, name),
    );
    answer.pushed.expect_accept();
}

#[test]
fn an_update_to_the_value_that_is_there_brings_nothing() {
    let world = World::new();
    let (builder, _) = one_commit(&world);
    let name = format!("{MINE}/same");
    builder.push(&[format!("main~1:{name}")]).expect_accept();
    let main = world.id("main");
    let answer = push(
        &builder,
        "builder",
        &Raw::default().command(&main, &main, &name).send("main~1"),
    );
    answer.pushed.expect_accept();
    let answer = push(
        &builder,
        "builder",
        &Raw::default()
            .command(&main, &main, "refs/heads/main")
            .send("main~1"),
    );
    answer.pushed.expect_reject(&["ref/out-of-boundary"]);
}

#[test]
fn a_push_option_with_a_newline_turns_nothing_on() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let raw = Raw::default()
        .create(&id, format!("{MINE}/feature"))
        .send("main")
        .option(b"skip\nRINGFENCE_TEST_ACCOUNT=alice".as_slice());
    push(&builder, "builder", &raw).pushed.expect_accept();

    builder.write(".github/workflows/ci.yml", "on: [push, issue_comment]\n");
    let id = builder.commit("CI");
    let raw = Raw::default()
        .create(&id, format!("{MINE}/ci"))
        .send("main")
        .option(b"ringfence.skip\n$(touch owned)".as_slice());
    push(&builder, "builder", &raw)
        .pushed
        .expect_reject(&["path/denied"]);
}

#[test]
fn options_too_large_for_a_process_refuse_the_push() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let mut raw = Raw::default()
        .create(&id, format!("{MINE}/feature"))
        .send("main");
    for _ in 0..60 {
        raw = raw.option(vec![b'x'; 60_000]);
    }
    // git cannot start the hook at all, and declines.
    let answer = push(&builder, "builder", &raw);
    assert!(!answer.pushed.accepted, "{}", answer.pushed.everything);
}

/// They would stay in the store, readable by id: nobody judged them.
#[test]
fn objects_that_no_ref_needs_refuse_the_push() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    builder.git(&["switch", "-qc", "stray", "main~1"]);
    builder.write(".github/workflows/ci.yml", "on: issue_comment\n");
    builder.commit("Stray");
    let blob = builder.feed(&["hash-object", "-w", "--stdin"], b"stray\n");
    for stray in ["stray", &blob] {
        let raw = Raw::default()
            .create(&id, format!("{MINE}/feature"))
            .send("main")
            .send(stray);
        let answer = push(&builder, "builder", &raw);
        answer.pushed.expect_reject(&["object/unreferenced"]);
        let mut command = world.git_command(&world.server());
        let stored = command.args(["cat-file", "-e", &blob]).output().unwrap();
        assert!(!stored.status.success(), "a refused object is in the store");
    }
}

/// A client may send what the server has already, and bases that a thin pack leaves out are no strays.
#[test]
fn objects_that_the_server_has_already_are_no_strays() {
    let world = World::new();
    let (builder, id) = one_commit(&world);
    let name = format!("{MINE}/feature");
    let everything = Raw::default().create(&id, &name).send("main");
    push(&builder, "builder", &everything)
        .pushed
        .expect_accept();

    let long: String = (0..1500).map(|n| format!("line {n}\n")).collect();
    builder.write("docs/long.md", &long);
    builder.commit("Long");
    builder
        .push(&["main:refs/heads/agents/builder/long"])
        .expect_accept();
    builder.write("docs/long.md", long + "and one more\n");
    builder.commit("Longer");
    builder
        .push(&["--thin", "main:refs/heads/agents/builder/long"])
        .expect_accept();
}

/// Standard input as git never writes it, but a broken host might: the push cannot be judged, code 3.
#[test]
fn input_that_is_not_a_list_of_commands_has_its_own_exit_code() {
    let world = World::new();
    let id = world.id("main");
    let good = format!("{ZERO} {id} {MINE}/x\n");
    let without_end = good.trim_end().to_owned();
    let inputs = [
        String::new(),
        "\n".to_owned(),
        without_end.clone(),
        format!("{good}\n"),
        format!("{good}{without_end}"),
        format!("{good}{good}"),
        format!("{ZERO}  {id} {MINE}/x\n"),
        format!("{ZERO} {id}\t{MINE}/x\n"),
        format!("{ZERO} {} {MINE}/x\n", &id[1..]),
        format!(
            "{ZERO} {} {MINE}/x\n",
            id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "G")
        ),
        format!("{ZERO}000000000000000000000000 {id} {MINE}/x\n"),
        format!("{ZERO} {ZERO} {MINE}/x\n"),
        format!("{ZERO} {id} \n"),
        format!("{ZERO} {id} main\n"),
        format!("{ZERO} {id} refs/heads/{}\n", "x".repeat(70_000)),
    ];
    for input in inputs {
        let (code, said) = world.hook("builder", input.as_bytes());
        let shown: String = input.chars().take(120).collect();
        assert_eq!(code, Some(3), "{shown:?}: {said}");
        assert!(said.starts_with("error: "), "{shown:?}: {said}");
    }
}

/// The certificate of a signed push, sent once more, and sent with another ref in it.
#[test]
fn a_push_certificate_counts_once() {
    let policy = std::fs::read_to_string(testdata("pushes/signed.yaml")).unwrap();
    let world = World::with(Setup {
        policy: Some(policy),
        ..Setup::default()
    });
    world.usual_keys();
    world.server_git(&["config", "receive.certNonceSeed", "nobody-knows"]);
    let bob = world.clone_for("bob");
    bob.sign_with("bob");
    bob.sign_with("nothing");
    let id = bob.commit("X");
    let signed = bob.push(&["--signed", "main:refs/heads/x"]);
    signed.expect_accept();
    let objects = world.server_git(&["cat-file", "--batch-all-objects", "--batch-check"]);
    let certificate = objects
        .lines()
        .filter_map(|line| line.split_once(" blob "))
        .map(|(id, _)| world.server_git(&["cat-file", "blob", id]) + "\n")
        .find(|blob| blob.starts_with("certificate version"))
        .expect("git keeps the certificate");
    world.server_git(&["update-ref", "-d", "refs/heads/x"]);

    // A nonce is good for the second in which it was given out.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let raw = |certificate: String, name: &str| Raw {
        certificate: Some(certificate.into_bytes()),
        ..Raw::default().create(&id, name).send(&id)
    };
    let replayed = push(&bob, "bob", &raw(certificate.clone(), "refs/heads/x"));
    assert_refused(&replayed);
    replayed
        .pushed
        .expect_reject(&["signature/push-certificate"]);
    assert!(
        replayed.pushed.said.contains("a replay"),
        "{}",
        replayed.pushed.said
    );
    let other = certificate.replace("refs/heads/x", "refs/heads/z");
    let altered = push(&bob, "bob", &raw(other, "refs/heads/z"));
    assert_refused(&altered);
    altered.pushed.expect_reject(&["signature/bad"]);
}
