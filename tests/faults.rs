//! Bad input and faults. Each is one clear error, a refused push, an intact repository, and its own exit code:
//! 1 reject or hold, 2 usage or policy, 3 the gate could not finish.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::{
    ACCOUNT, Clone, Pushed, RINGFENCE, Setup, Verdict, World, default_policy, feed,
};

const ZERO: &str = "0000000000000000000000000000000000000000";
const MINE: &str = "refs/heads/agents/builder/x";

/// A push that is fine as such: what refuses it is the fault.
fn push_something(world: &World) -> Pushed {
    let builder = world.clone_for("builder");
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    builder.push(&[&format!("main:{MINE}")])
}

/// The verdict, and one clear error: the first line says it, and nothing else is an error headline.
fn assert_one_error(pushed: &Pushed, verdict: Verdict) {
    assert_eq!(pushed.verdict(), verdict, "{}", pushed.everything);
    let headlines = pushed
        .said
        .lines()
        .filter(|line| line.starts_with("error: push"))
        .count();
    let first = pushed.said.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: "), "{}", pushed.said);
    assert!(headlines <= 1, "more than one headline:\n{}", pushed.said);
    assert!(
        pushed.said.is_ascii() && pushed.said.lines().count() < 100,
        "{}",
        pushed.said
    );
}

/// The exit code of the hook for a create of a ref at main's tip, which needs no new objects.
fn exit_code(world: &World, account: &str, name: &str) -> Option<i32> {
    let input = format!("{ZERO} {} {name}\n", world.id("main"));
    let (code, said) = world.hook(account, input.as_bytes());
    if code != Some(0) {
        assert!(said.starts_with("error: "), "{said}");
    }
    code
}

/// The policy is no policy: code 2 for everybody, and the same through git.
fn assert_unusable(world: &World) {
    assert_eq!(exit_code(world, "builder", MINE), Some(2));
    assert_eq!(exit_code(world, "alice", "refs/heads/topic"), Some(2));
    assert_one_error(&push_something(world), Verdict::Unusable);
}

fn with_policy(policy: impl Into<String>) -> World {
    World::with(Setup {
        policy: Some(policy.into()),
        ..Setup::default()
    })
}

#[test]
fn the_three_exit_codes_of_a_judgement() {
    let world = World::new();
    assert_eq!(exit_code(&world, "builder", MINE), Some(0));
    assert_eq!(exit_code(&world, "builder", "refs/heads/topic"), Some(1));
    assert_eq!(exit_code(&world, "stranger", MINE), Some(1));
    let nowhere = "1234567890123456789012345678901234567890";
    let (code, said) = world.hook("builder", format!("{ZERO} {nowhere} {MINE}\n").as_bytes());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(nowhere), "{said}");
}

#[test]
fn no_policy() {
    let world = World::with(Setup {
        policy: None,
        ..Setup::default()
    });
    assert_unusable(&world);
    let pushed = world.clone_for("alice").push(&["main:refs/heads/topic"]);
    let folder = world.server().display().to_string();
    assert!(
        !pushed.said.contains(&folder),
        "a server path is shown:\n{}",
        pushed.said
    );
    assert!(
        pushed.said.contains("hint: "),
        "it says how to make one:\n{}",
        pushed.said
    );
}

/// Not by its permissions: the tests may run as root, whom these do not stop.
#[test]
fn a_policy_that_cannot_be_read() {
    type Spoil = fn(&Path);
    let spoils: [Spoil; 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("nowhere", path).unwrap(),
        |path| symlink("policy.yaml", path).unwrap(),
        // Opening a pipe that nobody writes to would wait for ever.
        |path| {
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(path)
                    .status()
                    .unwrap()
                    .success()
            )
        },
    ];
    for spoil in spoils {
        let world = World::new();
        fs::remove_file(world.policy_path()).unwrap();
        spoil(&world.policy_path());
        assert_unusable(&world);
    }
}

#[test]
fn a_policy_that_is_no_policy() {
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        text + &format!(
            "a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n",
            n - 1
        )
    });
    let huge = default_policy() + &format!("# {}\n", "x".repeat(78)).repeat(64 << 10);
    assert!(huge.len() > 5 << 20);
    let deep = format!(
        "version: 1\nidentities: {}{}\n",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    for text in [
        "",
        "version: 1\n\0",
        "\u{feff}\u{feff}",
        "- 1\n",
        &bomb,
        &huge,
        &deep,
    ] {
        let started = Instant::now();
        assert_unusable(&with_policy(text));
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "slow on {:?}",
            &text[..text.len().min(40)]
        );
    }
    let world = World::new();
    fs::write(
        world.policy_path(),
        b"version: 1\nidentities: { \xff: {} }\n",
    )
    .unwrap();
    assert_unusable(&world);
}

#[test]
fn an_unknown_pusher() {
    let world = World::new();
    let pushed = world.clone_for("stranger").push(&[format!("main:{MINE}")]);
    assert_one_error(&pushed, Verdict::Reject);
    pushed.expect_reject(&["identity/unknown"]);
}

#[test]
fn no_standard_input() {
    let world = World::new();
    let output = world
        .hook_command("builder")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let script = format!("exec '{RINGFENCE}' hook pre-receive <&-\n");
    world.set_hook(&script);
    assert_one_error(&push_something(&world), Verdict::Unjudged);
    // A folder can be opened, but not read.
    world.set_hook(&format!("exec '{RINGFENCE}' hook pre-receive </\n"));
    let pushed = world.clone_for("alice").push(&["main:refs/heads/topic"]);
    assert_one_error(&pushed, Verdict::Unjudged);
}

/// The object stood in the store once; now a part of it is gone, or is garbage.
#[test]
fn objects_that_are_missing_or_corrupt_in_the_store() {
    type Spoil = fn(&Path);
    let spoils: [Spoil; 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "garbage").unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            fs::write(path, bytes).unwrap();
        },
    ];
    for spoil in spoils {
        for part in ["", "^{tree}", ":src/feature.rs"] {
            let world = World::new();
            let builder = world.clone_for("builder");
            builder.write("src/feature.rs", "pub fn feature() {}\n");
            let id = builder.commit("Feature");
            world.set_hook("exit 0\n");
            assert!(builder.push(&["main:refs/heads/parked"]).accepted);
            let object = world.id(&format!("{id}{part}"));
            let file = world
                .server()
                .join("objects")
                .join(&object[..2])
                .join(&object[2..]);
            let whole = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            fs::write(&file, &whole).unwrap();
            spoil(&file);

            let (code, said) = world.hook("builder", format!("{ZERO} {id} {MINE}\n").as_bytes());
            assert_eq!(code, Some(3), "{part:?}: {said}");
            assert!(said.starts_with("error: push not judged"), "{said}");
            fs::write(&file, whole).unwrap();
            world.install();
            let (code, said) = world.hook("builder", format!("{ZERO} {id} {MINE}\n").as_bytes());
            assert_eq!(code, Some(0), "{said}");
        }
    }
}

#[test]
fn a_corrupt_pack_in_the_store() {
    let world = World::new();
    let builder = world.clone_for("builder");
    builder.write("src/feature.rs", "pub fn feature() {}\n".repeat(200));
    let id = builder.commit("Feature");
    world.set_hook("exit 0\n");
    assert!(builder.push(&["main:refs/heads/parked"]).accepted);
    world.server_git(&["repack", "-adq"]);
    let packs = world.server().join("objects/pack");
    let pack = fs::read_dir(&packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pack")
        })
        .unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let end = bytes.len() - 20;
    bytes[12..end].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let (code, said) = world.hook("builder", format!("{ZERO} {id} {MINE}\n").as_bytes());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.starts_with("error: push not judged"), "{said}");
}

/// The record is part of the decision: what cannot be recorded is not accepted.
#[test]
fn a_ledger_that_cannot_be_written() {
    let in_folder = |ledger: &str| {
        let policy = default_policy();
        let world = with_policy(&policy);
        let path = world.path(ledger);
        world.set_policy(&policy.replace(
            "version: 1\n",
            &format!("version: 1\nledger: {}\n", path.display()),
        ));
        world
    };
    let is_folder = in_folder("home");
    let below_a_file = in_folder("home/.gitconfig/ledger.jsonl");
    let full =
        with_policy(default_policy().replace("version: 1\n", "version: 1\nledger: /dev/full\n"));
    for world in [is_folder, below_a_file, full] {
        assert_eq!(exit_code(&world, "builder", MINE), Some(3));
        assert_one_error(&push_something(&world), Verdict::Unjudged);
    }
}

/// No file may grow: what a full disk does to the ledger, whether the signal for it is taken or not.
#[test]
fn a_full_disk() {
    let world = World::new();
    world.set_hook(&format!(
        "trap '' XFSZ\nulimit -f 0\nexec '{RINGFENCE}' hook pre-receive\n"
    ));
    assert_one_error(&push_something(&world), Verdict::Unjudged);

    world.set_hook(&format!(
        "ulimit -f 0\nexec '{RINGFENCE}' hook pre-receive\n"
    ));
    let alice = world.clone_for("alice");
    assert!(!alice.push(&["main:refs/heads/topic"]).accepted);

    world.install();
    alice.push(&["main:refs/heads/topic"]).expect_accept();
    let verify = world
        .ringfence_command(&world.server())
        .args(["ledger", "verify"])
        .output();
    assert!(
        verify.unwrap().status.success(),
        "the ledger did not survive a full disk"
    );
}

#[test]
fn the_time_is_spent() {
    let policy = default_policy().replace("budget: { time: 60s }", "budget: { time: 1ms }");
    assert_ne!(policy, default_policy());
    let world = with_policy(policy);
    let alice = world.clone_for("alice");
    let mut text = String::new();
    for n in 0..200_000 {
        text += &format!("let value_{n} = compute(token, password, {n});\n");
    }
    alice.write("src/big.rs", text);
    alice.commit("Big");
    assert_one_error(&alice.push(&["main:main"]), Verdict::Unjudged);
}

#[test]
fn a_panic_in_a_check() {
    let world = World::new();
    let builder = world.clone_for("builder");
    builder.set("RINGFENCE_FAULT", "panic");
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    assert_one_error(&builder.push(&[format!("main:{MINE}")]), Verdict::Unjudged);
    builder.unset("RINGFENCE_FAULT");
    builder.push(&[format!("main:{MINE}")]).expect_accept();
}

#[test]
fn the_gate_is_killed() {
    let world = World::new();
    let builder = world.clone_for("builder");
    builder.set("RINGFENCE_FAULT", "kill");
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    let pushed = builder.push(&[format!("main:{MINE}")]);
    assert!(
        pushed.everything.contains("pre-receive hook declined"),
        "{}",
        pushed.everything
    );
    builder.unset("RINGFENCE_FAULT");
    builder.push(&[format!("main:{MINE}")]).expect_accept();
    let verify = world
        .ringfence_command(&world.server())
        .args(["ledger", "verify"])
        .output();
    assert!(
        verify.unwrap().status.success(),
        "the ledger did not survive"
    );
}

#[test]
fn two_thousand_refs_in_one_push() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let updates: String = (0..2000)
        .map(|n| format!("create refs/heads/x/{n} HEAD\n"))
        .collect();
    builder.feed(&["update-ref", "--stdin"], updates.as_bytes());
    for account in ["builder", "alice"] {
        builder.set(ACCOUNT, account);
        let pushed = builder.push(&["refs/heads/x/*:refs/heads/agents/builder/*"]);
        // The bound of the gate stands against all of them, and the limit of the boundary against the agent.
        assert_ne!(pushed.verdict(), Verdict::Accept, "{}", pushed.everything);
        assert_one_error(&pushed, pushed.verdict());
        assert!(pushed.said.len() < 20_000, "a message as long as the push");
    }
}

/// Within 256 MiB of address space: the blob is never held as a whole.
#[test]
fn a_blob_of_200_megabytes() {
    let world = World::new();
    world.set_hook(&format!(
        "ulimit -v 262144\nexec '{RINGFENCE}' hook pre-receive\n"
    ));
    let builder = world.clone_for("builder");
    builder.git(&["config", "core.compression", "1"]);
    builder.git(&["config", "core.bigFileThreshold", "1m"]);
    builder.shell(b"truncate -s 200M docs/blob; git add docs/blob; git commit -qm Blob");
    for (account, rule) in [
        ("builder", "limit/file-bytes"),
        ("alice", "limit/unscanned"),
    ] {
        builder.set(ACCOUNT, account);
        let pushed = builder.push(&[format!("main:{MINE}")]);
        assert_one_error(&pushed, Verdict::Reject);
        pushed.expect_reject(&[rule]);
    }
}

fn fast_import(clone: &Clone<'_>, files: impl Iterator<Item = (String, String)>) {
    let mut stream =
        "commit refs/heads/bulk\ncommitter builder <builder@agents.example> 1767300000 +0000\n\
                      data 5\nBulk\nfrom refs/heads/main\n"
            .to_owned();
    for (path, text) in files {
        stream += &format!("M 644 inline {path}\ndata {}\n{text}\n", text.len());
    }
    clone.feed(&["fast-import", "--quiet"], stream.as_bytes());
}

#[test]
fn a_tree_of_5000_levels() {
    let world = World::new();
    let builder = world.clone_for("builder");
    builder.git(&["config", "core.maxTreeDepth", "10000"]);
    let path = format!("docs/{}file", "a/".repeat(5000));
    fast_import(&builder, [(path, "deep".to_owned())].into_iter());
    // git itself gives up at its own bound, but still asks the hook; with a larger bound the gate is alone.
    for depth in ["2048", "10000"] {
        world.server_git(&["config", "core.maxTreeDepth", depth]);
        let pushed = builder.push(&[format!("bulk:{MINE}")]);
        assert_eq!(pushed.verdict(), Verdict::Unjudged, "{}", pushed.everything);
    }
    assert_eq!(world.id("main"), builder.git(&["rev-parse", "main"]));
}

#[test]
fn a_hundred_thousand_files_in_one_commit() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let file = |n: u32| (format!("docs/{}/{n}", n % 300), format!("{n}\n"));
    fast_import(&builder, (0..100_000).map(file));
    for account in ["builder", "alice"] {
        builder.set(ACCOUNT, account);
        let pushed = builder.push(&[format!("bulk:{MINE}")]);
        let verdict = pushed.verdict();
        assert!(
            matches!(verdict, Verdict::Reject | Verdict::Unjudged),
            "{}",
            pushed.everything
        );
        assert_one_error(&pushed, verdict);
    }
}

/// History that the client does not have itself arrives with a new shallow root.
#[test]
fn a_history_that_is_cut_off() {
    for allowed in ["false", "true"] {
        let world = World::new();
        world.server_git(&["config", "receive.shallowUpdate", allowed]);
        let builder = world.clone_for("builder");
        builder.shell(
            b"git switch -qc long
              for n in 1 2 3; do echo $n >docs/n.md; git add docs; git commit -qm $n; done
              git clone -q --depth 1 --template= -b long \"file://$PWD\" ../cut
              cd ../cut; echo 4 >docs/n.md; git commit -qam 4",
        );
        let mut command = world.git_command(&world.path("clones/cut"));
        builder.dress(&mut command);
        let output = command
            .arg("push")
            .arg(world.server())
            .arg(format!("long:{MINE}"))
            .output();
        let output = output.unwrap();
        assert!(!output.status.success(), "{}", crate::world::both(&output));
        assert!(!world.refs().contains(MINE));
        world.assert_sound();
    }
}

/// Formats that the gate does not read itself: it asks git, or refuses. It never guesses.
#[test]
fn a_ref_format_that_the_gate_may_not_know() {
    let world = World::new();
    world.server_git(&["refs", "migrate", "--ref-format=reftable"]);
    let builder = world.clone_for("builder");
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    let inside = builder.push(&[format!("main:{MINE}")]);
    assert!(
        matches!(inside.verdict(), Verdict::Accept | Verdict::Unjudged),
        "{}",
        inside.everything
    );
    let outside = builder.push(&["main:main"]);
    assert!(!outside.accepted, "{}", outside.everything);
}

#[test]
fn an_extension_that_the_gate_does_not_know() {
    let world = World::new();
    world.server_git(&["config", "core.repositoryFormatVersion", "1"]);
    world.server_git(&["config", "extensions.noop", "true"]);
    assert_eq!(exit_code(&world, "builder", MINE), Some(0));
    world.server_git(&["config", "extensions.fromTheFuture", "true"]);
    let input = format!("{ZERO} {} {MINE}\n", "1".repeat(40));
    let output = feed(world.hook_command("builder"), input.as_bytes());
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        crate::world::both(&output)
    );
}

/// The web server's account is rarely the owner of the repository; git's own check for that is git's matter.
#[test]
fn a_repository_of_another_user() {
    let world = World::new();
    let config = world.path("home/.gitconfig");
    let text = fs::read_to_string(&config).unwrap() + "[safe]\n\tdirectory = *\n";
    fs::write(config, text).unwrap();
    let builder = world.clone_for("builder");
    builder.set("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    builder.push(&[format!("main:{MINE}")]).expect_accept();
    builder
        .push(&["main:main"])
        .expect_reject(&["ref/out-of-boundary"]);
}

/// git quotes such a path in the list of alternates, and the shim has to quote it for the shell.
#[test]
fn a_repository_with_an_odd_path() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let odd = world
        .path("o:d\"d \\ $(touch owned) \u{e9}")
        .join("site.git");
    fs::create_dir(odd.parent().unwrap()).unwrap();
    fs::rename(world.server(), &odd).unwrap();
    fs::remove_file(odd.join("hooks/pre-receive")).unwrap();
    let mut install = world.ringfence_command(&odd);
    install.args([
        "install",
        "plain",
        "--repo",
        ".",
        "--policy",
        "ringfence/policy.yaml",
    ]);
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", crate::world::both(&output));

    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    let push = |refspec: &str| {
        let mut command = world.git_command(builder.dir());
        builder.dress(&mut command);
        let output = command.arg("push").arg(&odd).arg(refspec).output().unwrap();
        (output.status.success(), crate::world::both(&output))
    };
    let (accepted, said) = push(&format!("main:{MINE}"));
    assert!(accepted, "{said}");
    let (accepted, said) = push("main:main");
    assert!(
        !accepted && said.contains("error[ref/out-of-boundary]"),
        "{said}"
    );
}
