//! Rule packs that the server's policy names: real pushes are judged by them, or refused.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use ringfence::scan::{Dice, make_sample};

use crate::world::{ACCOUNT, Clone, Pushed, Verdict, World, both, default_policy, feed};

const MINE: &str = "main:refs/heads/agents/builder/x";

const RULES: &str = r#"provider: Acme
references: [https://acme.invalid/docs]
revoke: 'Ask the admins.'
rules:
  - id: secret/acme-token
    title: 'Acme token'
    pattern: 'acme_[0-9a-f]{32}'
    keywords: ["acme_"]
    confidence: likely
    public_prefix: 'acme_'
    examples: ['acme_{hex:32}']
    negative: ['acme_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']
"#;

/// A second file, with a rule in the place of one of the program's.
const REPLACES: &str = r#"provider: GitHub
references: [https://acme.invalid/proxy]
revoke: 'Ask the admins.'
rules:
  - id: secret/github-pat
    title: 'Token of the proxy'
    pattern: 'gxp_[0-9A-Za-z]{36}'
    keywords: ["gxp_"]
    confidence: likely
    public_prefix: 'gxp_'
    examples: ['gxp_{base62:36}']
    negative: ['gxp_']
"#;

fn sample(format: &str) -> String {
    make_sample(format, &mut Dice::new(11)).unwrap()
}

/// A server with a pack of one file.
fn world() -> World {
    let world = World::new();
    fs::create_dir(folder(&world)).unwrap();
    fs::write(folder(&world).join("acme.yaml"), RULES).unwrap();
    let rules = format!("rules: [{}]\n", folder(&world).display());
    world.set_policy(&(default_policy() + &rules));
    let kept = world.server().join("ringfence");
    fs::set_permissions(kept, fs::Permissions::from_mode(0o700)).unwrap();
    world
}

fn folder(world: &World) -> PathBuf {
    world.path("rules")
}

fn push(builder: &Clone<'_>, path: &str, text: &str) -> Pushed {
    builder.write(path, text);
    builder.commit("Change");
    builder.push(&[MINE])
}

/// The compiled packs beside the ledger.
fn cached(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.server().join("ringfence")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().contains("/rules-"))
        .collect()
}

fn written(path: &Path) -> (u64, i64, i64) {
    let meta = fs::metadata(path).unwrap();
    (meta.ino(), meta.mtime(), meta.mtime_nsec())
}

#[test]
fn a_rule_of_the_server_refuses_and_what_is_clean_passes() {
    let world = world();
    let builder = world.clone_for("builder");
    push(&builder, "src/clean.rs", "pub fn clean() {}\n").expect_accept();
    let [first] = &cached(&world)[..] else {
        panic!("{:?}", cached(&world));
    };
    let before = written(first);

    let token = sample("acme_{hex:32}");
    let refused = push(&builder, "docs/a.md", &format!("Use {token} here.\n"));
    refused.expect_reject(&["secret/acme-token"]);
    assert!(refused.said.contains("docs/a.md"), "{}", refused.said);
    assert!(
        !refused.everything.contains(&token["acme_".len()..]),
        "the secret is shown"
    );
    assert_eq!(&cached(&world)[..], std::slice::from_ref(first));
    assert_eq!(written(first), before, "the second push compiled again");
    let mode = fs::metadata(first).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The rules of the program are still there.
    builder.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let token = crate::samples::github_pat("packs");
    push(&builder, "docs/b.md", &token).expect_reject(&["secret/github-pat"]);
}

#[test]
fn a_rule_with_the_id_of_one_of_the_programs_takes_its_place() {
    let world = world();
    fs::write(folder(&world).join("github.yaml"), REPLACES).unwrap();
    let builder = world.clone_for("builder");
    // The program's format is no longer looked for under this id.
    let old = push(&builder, "docs/a.md", &crate::samples::github_pat("packs"));
    assert!(old.accepted, "{}", old.everything);
    let refused = push(&builder, "docs/b.md", &sample("gxp_{base62:36}"));
    refused.expect_reject(&["secret/github-pat"]);
    assert!(
        refused.said.contains("Token of the proxy"),
        "{}",
        refused.said
    );
}

#[test]
fn another_content_is_another_pack_and_a_damaged_one_is_compiled_again() {
    let world = world();
    let builder = world.clone_for("builder");
    push(&builder, "src/clean.rs", "pub fn clean() {}\n").expect_accept();
    let first = cached(&world).remove(0);

    fs::write(
        folder(&world).join("acme.yaml"),
        RULES.replace("acme_", "acne_"),
    )
    .unwrap();
    push(&builder, "src/more.rs", "pub fn more() {}\n").expect_accept();
    let [second] = &cached(&world)[..] else {
        panic!("the stale one is still there: {:?}", cached(&world));
    };
    assert_ne!(*second, first);

    let good = fs::read(second).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [flipped, good[..good.len() / 2].to_vec(), Vec::new()] {
        fs::write(second, bad).unwrap();
        let refused = push(&builder, "docs/a.md", &sample("acne_{hex:32}"));
        refused.expect_reject(&["secret/acme-token"]);
        assert_eq!(fs::read(second).unwrap(), good, "it was not written anew");
    }
}

#[test]
fn rules_that_cannot_be_used_refuse_every_push() {
    type Spoil = fn(&Path);
    let spoils: [(Spoil, &str); 5] = [
        (
            |rules| {
                let text = RULES.replace("{32}", "+");
                fs::write(rules.join("acme.yaml"), text).unwrap();
            },
            "acme.yaml:7: the pattern has no bound",
        ),
        (
            |rules| fs::write(rules.join("other.yaml"), "provider: [").unwrap(),
            "other.yaml:1: ",
        ),
        (
            |rules| fs::remove_file(rules.join("acme.yaml")).unwrap(),
            "no rule file",
        ),
        (|rules| fs::remove_dir_all(rules).unwrap(), "No such file"),
        // Opening a pipe that nobody writes to would wait for ever.
        (
            |rules| {
                let pipe = rules.join("pipe.yaml");
                assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
            },
            "pipe.yaml: is neither a folder nor a file",
        ),
    ];
    for (spoil, says) in spoils {
        let world = world();
        let builder = world.clone_for("builder");
        push(&builder, "src/clean.rs", "pub fn clean() {}\n").expect_accept();
        // What was compiled before is no way around it.
        assert_eq!(cached(&world).len(), 1);
        spoil(&folder(&world));
        let refused = push(&builder, "src/more.rs", "pub fn more() {}\n");
        assert_eq!(refused.verdict(), Verdict::Unusable, "{}", refused.said);
        let words = refused.said.replace("\nerror: ", " ");
        assert!(words.contains(says), "{says}:\n{}", refused.said);
        let server = world.path("").display().to_string();
        assert!(
            !refused.said.contains(&server),
            "a server path is shown:\n{}",
            refused.said
        );
        let input = format!("{} {} refs/heads/topic\n", "0".repeat(40), world.id("main"));
        let (code, said) = world.hook("alice", input.as_bytes());
        assert_eq!(code, Some(2), "people too: {said}");
        let ledger = fs::read_to_string(world.server().join("ringfence/ledger.jsonl")).unwrap();
        assert_eq!(ledger.matches("rule pack ").count(), 2);

        let repo = world.server();
        for arguments in [&["policy", "check"][..], &["doctor", "--repo", "."]] {
            let mut command = world.ringfence_command(&repo);
            let output = command.args(arguments).output().unwrap();
            // What is not here may be on the server: to the policy alone that is a warning.
            let warns = arguments[0] == "policy" && !folder(&world).exists();
            assert_eq!(output.status.success(), warns, "{}", both(&output));
            assert!(both(&output).contains(says), "{says}:\n{}", both(&output));
        }
    }
}

#[test]
fn check_scan_and_the_local_hook_judge_by_the_same_rules() {
    let world = world();
    let builder = world.clone_for("builder");
    let policy = world.policy_path();
    let run = |arguments: &[&str]| {
        let mut command = world.ringfence_command(builder.dir());
        builder.dress(&mut command);
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), both(&output))
    };
    let (policy, rules) = (policy.to_str().unwrap(), folder(&world));
    let rules = rules.to_str().unwrap();

    builder.write("docs/a.md", sample("acme_{hex:32}"));
    builder.commit("Change");
    let check = [
        "check",
        "--policy",
        policy,
        "--as",
        "builder",
        "--ref",
        &MINE[5..],
    ];
    let scans = [
        &["scan", "--rules", rules, "docs"][..],
        &["scan", "--rules", &format!("{rules}/acme.yaml"), "docs"],
        &["scan", "--policy", policy, "docs"],
        &["scan", "--policy", policy, "--rules", rules, "docs"],
        &check,
    ];
    for arguments in scans {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("secret/acme-token"), "{arguments:?}: {said}");
    }
    let (code, said) = run(&["scan", "docs"]);
    assert_eq!(code, Some(0), "{said}");

    let (code, said) = run(&["install", "pre-push", "--repo", ".", "--policy", policy]);
    assert_eq!(code, Some(0), "{said}");
    builder.set("RINGFENCE_IDENTITY", "builder");
    let refused = builder.push(&[MINE]);
    assert!(!refused.accepted && refused.said.is_empty());
    let told = "error[secret/acme-token]";
    assert!(refused.everything.contains(told), "{}", refused.everything);

    let named = "checks: { secrets: deny, secret/acme-token: warn, hidden-unicode";
    let text = fs::read_to_string(policy).unwrap();
    fs::write(
        policy,
        text.replacen("checks: { secrets: deny, hidden-unicode", named, 1),
    )
    .unwrap();
    let (code, said) = run(&["policy", "check", policy]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 rule added, "), "{said}");
    assert!(!said.contains("not built in"), "{said}");
    let (_, said) = run(&["doctor", "--repo", world.server().to_str().unwrap()]);
    assert!(said.contains("rules of the policy: 1 rule added"), "{said}");

    // A pack with a mistake: nothing is scanned with the program's own rules alone.
    fs::write(folder(&world).join("acme.yaml"), RULES.replace("{32}", "+")).unwrap();
    for arguments in scans {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains("acme.yaml:7: "), "{arguments:?}: {said}");
    }
    let refused = builder.push(&[MINE]);
    assert!(!refused.accepted && refused.said.is_empty());
    assert!(
        refused.everything.contains("acme.yaml:7: "),
        "{}",
        refused.everything
    );
}

#[test]
fn hooks_that_compile_at_once_do_not_disturb_each_other() {
    let world = world();
    let input = format!("{} {} refs/heads/topic\n", "0".repeat(40), world.id("main"));
    let hooks: Vec<_> = (0..6).map(|_| world.hook_command("alice")).collect();
    std::thread::scope(|scope| {
        for hook in hooks {
            scope.spawn(|| {
                let output = feed(hook, input.as_bytes());
                assert_eq!(output.status.code(), Some(0), "{}", both(&output));
            });
        }
    });
    let left = cached(&world);
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn doctor_tells_of_rules_that_others_can_change() {
    let world = world();
    let file = folder(&world).join("acme.yaml");
    fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
    let mut command = world.ringfence_command(&world.server());
    let output = command.args(["doctor", "--repo", "."]).output().unwrap();
    let said = both(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let told = "acme.yaml can be changed by everybody";
    assert!(said.contains(told), "{said}");
}

#[test]
fn the_example_of_the_docs_passes_its_own_test() {
    let world = world();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rule-packs.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    fs::write(folder(&world).join("acme.yaml"), example).unwrap();
    for id in ["secret/acme-token", "secret/acme-ingest-key"] {
        let mut command = world.ringfence_command(&world.server());
        command.args(["rules", "test", id, "--rules"]);
        let output = command.arg(folder(&world)).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    }
}

/// After the fact nothing can be refused; but a name with a secret in it is not recorded as it is.
#[test]
fn what_landed_is_masked_by_the_same_rules() {
    let world = world();
    let token = sample("acme_{hex:32}");
    let zeros = "0".repeat(40);
    let input = format!("{zeros} {} refs/heads/{token}\n", world.id("main"));
    let land = || {
        let mut command = world.ringfence_command(&world.server());
        command.args(["hook", "post-receive"]).env("GIT_DIR", ".");
        command
            .env(ACCOUNT, "alice")
            .env("GIT_PUSH_OPTION_COUNT", "0");
        let output = feed(command, input.as_bytes());
        let ledger = fs::read_to_string(world.server().join("ringfence/ledger.jsonl"));
        let ledger = ledger.unwrap_or_default();
        assert!(!ledger.contains(&token), "the secret is recorded");
        (output.status.code(), ledger.lines().count(), both(&output))
    };
    let (code, entries, said) = land();
    assert_eq!(code, Some(0), "{said}");
    assert!(entries > 0);
    fs::write(folder(&world).join("acme.yaml"), "provider: [").unwrap();
    let (code, now, said) = land();
    assert_eq!((code, now), (Some(2), entries), "{said}");
    assert!(said.contains("not recorded"), "{said}");
}
