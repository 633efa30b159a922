//! Every state in which git, or a host, accepts a push unseen, made by hand; where it is cheap, with the push.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::Exit;
use crate::cli::install::repositories;
use crate::cli::install::tests::{POLICY, Server};

#[test]
fn a_healthy_repository() {
    let server = Server::new();
    server.plain();
    let (exit, text) = server.doctor();
    assert_eq!(exit, Exit::Accept);
    assert_eq!(
        text,
        "ok: git keeps pushed objects in quarantine\n@/site.git\nok: @/site.git/hooks/pre-receive (git runs it)\nok: @/site.git/ringfence/ledger.jsonl can be written\n"
    );
}

#[test]
fn no_hook() {
    let server = Server::new();
    server.plain();
    fs::remove_file(server.path("site.git/hooks/pre-receive")).unwrap();
    assert_eq!(
        server.findings(),
        "error: no pre-receive hook in @/site.git/hooks"
    );
    server.write("site.git/hooks/pre-receive", "#!/bin/sh\n", 0o755);
    assert_eq!(
        server.findings(),
        "error: @/site.git/hooks/pre-receive does not call ringfence"
    );
}

#[test]
fn a_dangling_link() {
    let server = Server::new();
    server.plain();
    fs::remove_file(server.path("site.git/hooks/pre-receive")).unwrap();
    symlink("gone", server.path("site.git/hooks/pre-receive")).unwrap();
    assert!(server.push("site.git").status.success(), "git says nothing");
    assert_eq!(
        server.findings(),
        "error: @/site.git/hooks/pre-receive is a symbolic link to nothing"
    );
}

#[test]
fn no_x_bit() {
    let server = Server::new();
    server.plain();
    server.chmod("site.git/hooks/pre-receive", 0o644);
    assert!(server.push("site.git").status.success(), "git only hints");
    assert_eq!(
        server.findings(),
        "error: @/site.git/hooks/pre-receive is not executable: git does not run it"
    );
}

#[test]
fn a_hooks_path_elsewhere() {
    let server = Server::new();
    server.plain();
    server.git("site.git", &["config", "core.hooksPath", "gone"]);
    assert!(server.push("site.git").status.success(), "git says nothing");
    assert_eq!(
        server.findings(),
        "error: core.hooksPath is @/site.git/gone, which is not a folder: git runs no hook"
    );
    fs::create_dir(server.path("site.git/gone")).unwrap();
    assert_eq!(
        server.findings(),
        "error: core.hooksPath is @/site.git/gone, and no hook there calls ringfence"
    );
    // A central folder that does call it is as good.
    let text = server.read("site.git/hooks/pre-receive");
    server.write("site.git/gone/pre-receive", &text, 0o755);
    assert_eq!(server.doctor().0, Exit::Accept);
}

#[test]
fn a_program_or_policy_that_is_gone() {
    let server = Server::new();
    server.plain();
    server.chmod("ringfence's bin/ringfence", 0o644);
    assert!(
        server
            .findings()
            .contains("is not a program: every push is refused")
    );
    fs::remove_file(server.path("ringfence's bin/ringfence")).unwrap();
    fs::remove_file(server.path("policy.yaml")).unwrap();
    let findings = server.findings();
    assert!(
        findings.contains("error: the program @/ringfence's bin/ringfence: No such file"),
        "{findings}"
    );
    assert!(
        findings
            .contains("error: the policy @/policy.yaml cannot be used, so every push is refused"),
        "{findings}"
    );
}

#[test]
fn a_policy_that_is_not_valid() {
    let server = Server::new();
    server.plain();
    server.write("policy.yaml", &POLICY.replace("kind:", "knid:"), 0o644);
    let findings = server.findings();
    assert!(
        findings.contains("cannot be used, so every push is refused: policy.yaml:2: "),
        "{findings}"
    );
}

#[test]
fn a_host_that_is_pinned_and_another_that_has_the_hook() {
    let server = Server::new();
    server.plain();
    let pinned = |kind: &str| {
        let policy = format!("{POLICY}host: {{ kind: {kind} }}\n");
        server.write("policy.yaml", &policy, 0o644);
        server
            .doctor()
            .1
            .contains("warning: host: kind in the policy is not the host")
    };
    assert!(pinned("gitea") && pinned("gitlab"));
    assert!(!pinned("plain") && !pinned("http") && !pinned("gitolite") && !pinned("auto"));
}

#[test]
fn a_ledger_elsewhere() {
    let server = Server::new();
    server.plain();
    let ledger = server.text("records/ledger.jsonl");
    server.write("policy.yaml", &format!("{POLICY}ledger: {ledger}\n"), 0o644);
    server.write("records", "", 0o644);
    assert!(
        server
            .findings()
            .contains("error: @/records/ledger.jsonl cannot be written")
    );
    fs::remove_file(server.path("records")).unwrap();
    fs::create_dir(server.path("records")).unwrap();
    server.chmod("records", 0o755);
    let (exit, text) = server.doctor();
    assert_eq!(exit, Exit::Accept);
    assert!(
        text.contains(
            "ok: @/records/ledger.jsonl can be written\nwarning: @/records is open to other"
        ),
        "{text}"
    );
}

#[test]
fn another_policy_than_the_one_meant() {
    let server = Server::new();
    server.plain();
    server.write("other.yaml", POLICY, 0o644);
    let (repo, policy) = (server.text("site.git"), server.text("policy.yaml"));
    assert_eq!(
        server
            .run(&["doctor", "--repo", &repo, "--policy", &policy])
            .0,
        Exit::Accept
    );
    let (exit, text) = server.run(&[
        "doctor",
        "--repo",
        &repo,
        "--policy",
        &server.text("other.yaml"),
    ]);
    assert_eq!(exit, Exit::Refuse);
    assert!(text.contains("the hook judges by @/policy.yaml, not by"));
}

#[test]
fn files_that_others_can_change() {
    let server = Server::new();
    server.plain();
    for name in [
        "site.git/hooks/pre-receive",
        "site.git/hooks",
        "policy.yaml",
        "ringfence's bin/ringfence",
        "ringfence's bin",
    ] {
        let mode = fs::metadata(server.path(name)).unwrap().mode();
        server.chmod(name, mode | 0o002);
        assert_eq!(
            server.findings(),
            format!("error: @/{name} can be changed by everybody on this machine")
        );
        server.chmod(name, (mode | 0o020) & !0o002);
        let (exit, text) = server.doctor();
        assert_eq!(exit, Exit::Accept, "{text}");
        assert!(
            text.contains(&format!("warning: @/{name} can be changed by group")),
            "{text}"
        );
        server.chmod(name, mode & !0o022);
    }
}

#[test]
fn a_record_that_cannot_be_written() {
    let server = Server::new();
    server.plain();
    // The first push makes the folder.
    fs::remove_dir(server.path("site.git/ringfence")).unwrap();
    assert_eq!(server.doctor().0, Exit::Accept);
    server.write("site.git/ringfence", "", 0o700);
    let refused = "ledger.jsonl cannot be written, so every push is refused";
    assert!(server.findings().contains(refused));
    fs::remove_file(server.path("site.git/ringfence")).unwrap();
    fs::create_dir_all(server.path("site.git/ringfence/ledger.jsonl")).unwrap();
    assert!(server.findings().contains(refused));
}

#[test]
fn no_post_receive() {
    let server = Server::new();
    server.plain();
    fs::remove_file(server.path("site.git/hooks/post-receive")).unwrap();
    let (exit, text) = server.doctor();
    assert_eq!(exit, Exit::Accept);
    assert!(text.contains(
        "warning: @/site.git/hooks/post-receive does not call ringfence: what landed is not recorded"
    ));
}

#[test]
fn a_pre_push_hook_protects_no_server() {
    let server = Server::new();
    server.plain();
    let hooks = server.path("site.git/hooks");
    fs::rename(hooks.join("pre-receive"), hooks.join("pre-push")).unwrap();
    assert_eq!(
        server.findings(),
        "error: no pre-receive hook in @/site.git/hooks"
    );
}

#[test]
fn a_missing_interpreter() {
    let server = Server::new();
    server.plain();
    let text = server.read("site.git/hooks/pre-receive");
    server.write(
        "site.git/hooks/pre-receive",
        &text.replace("/bin/sh", "/no/such/sh"),
        0o755,
    );
    assert!(
        server
            .findings()
            .contains("needs /no/such/sh, which is not there")
    );
}

#[test]
fn settings_of_git_that_matter() {
    let server = Server::new();
    server.plain();
    server.git("site.git", &["config", "receive.shallowUpdate", "true"]);
    server.git("site.git", &["config", "transfer.hideRefs", "refs/x"]);
    let (exit, text) = server.doctor();
    assert_eq!(exit, Exit::Accept);
    assert!(text.contains("warning: receive.shallowUpdate is on"));
    assert!(text.contains("hint: refs are hidden"));
    server.git("site.git", &["config", "hook.pre-receive.enabled", "false"]);
    assert!(
        server
            .findings()
            .contains("hook.pre-receive.enabled is false")
    );
}

#[test]
fn hooks_in_the_configuration_need_a_git_that_reads_them() {
    let server = Server::new();
    server.plain();
    fs::remove_file(server.path("site.git/hooks/pre-receive")).unwrap();
    server.git("site.git", &["config", "hook.gate.event", "pre-receive"]);
    server.git(
        "site.git",
        &["config", "hook.gate.command", "ringfence hook pre-receive"],
    );
    if repositories::git_version() < Some((2, 54)) {
        assert!(
            server
                .findings()
                .contains("hook.gate is a hook in git's configuration, which this git ignores")
        );
    } else {
        assert_eq!(server.doctor().0, Exit::Accept);
        server.git("site.git", &["config", "hook.gate.enabled", "false"]);
        assert!(server.findings().contains("hook.gate is switched off"));
    }
}

#[test]
fn configuration_that_git_cannot_read() {
    let server = Server::new();
    server.plain();
    server.write("site.git/config", "[core\n", 0o644);
    assert!(
        server.findings().contains("bad config"),
        "{}",
        server.findings()
    );
}

#[test]
fn not_a_repository() {
    let server = Server::new();
    let folder = server.text("");
    assert_eq!(server.run(&["doctor", "--repo", &folder]).0, Exit::Usage);
}

#[test]
fn rules_that_are_not_there_and_suppressions_that_are_over() {
    let server = Server::new();
    server.plain();
    let rules = server.text("rules");
    let entry =
        "id: old, fingerprint: 0a09a2c64215, owner: a, reason: r, until: 2020-01-01T00:00:00Z";
    let policy = format!("{POLICY}rules: [{rules}]\nsuppressions: [{{ {entry} }}]\n");
    server.write("policy.yaml", &policy, 0o644);
    let findings = server.findings();
    assert!(
        findings.starts_with(
            "error: the rules of the policy cannot be used, so every push is refused: @/rules: No such"
        ),
        "{findings}"
    );
    let pack = "provider: A\nreferences: []\nrevoke: ask\nrules:\n\
        \x20 - { id: secret/acme-token, title: token, pattern: 'acme_[0-9a-f]{32}', keywords: [acme_], \
        confidence: likely, examples: ['acme_{hex:32}'], negative: [acme_] }\n";
    server.write("rules/acme.yaml", &pack.replace("{32}", "*"), 0o644);
    let findings = server.findings();
    assert!(
        findings.contains("refused: @/rules/acme.yaml:5: the pattern has no bound"),
        "{findings}"
    );
    server.write("rules/acme.yaml", pack, 0o644);
    let (exit, text) = server.doctor();
    assert_eq!(exit, Exit::Accept, "{text}");
    assert!(
        text.contains("the rules of the policy: 1 rule added"),
        "{text}"
    );
    assert!(
        text.contains(
            "warning: suppression old (@/policy.yaml:5) expired on 2020-01-01T00:00:00Z\n"
        ),
        "{text}"
    );
}

/// Who can change the keys can sign for anybody; keys that cannot be read refuse.
#[test]
fn keys_that_may_sign() {
    let server = Server::new();
    server.plain();
    let keys = server.text("allowed_signers");
    let policy = format!("{POLICY}signers: {{ ssh: {keys}, revoked: {keys}.revoked }}\n");
    server.write("policy.yaml", &policy, 0o644);
    server.write("allowed_signers", "# nobody yet\n", 0o644);
    let findings = server.findings();
    assert!(
        findings.contains("every push that is asked for signatures is refused: the file of revoked keys, allowed_signers.revoked, cannot be read"),
        "{findings}"
    );
    server.write("allowed_signers.revoked", "", 0o644);
    let (_, text) = server.doctor();
    assert!(
        text.contains("ok: the keys that may sign: 0 allowed signers of ssh, 0 OpenPGP keys"),
        "{text}"
    );
    server.write("allowed_signers", "alice ssh-ed25519\n", 0o666);
    server.chmod("allowed_signers", 0o666);
    let (_, findings) = server.doctor();
    for part in [
        "@/allowed_signers can be changed by everybody on this machine",
        "warning: line 1 of the allowed signers",
    ] {
        assert!(findings.contains(part), "{findings}");
    }
}
