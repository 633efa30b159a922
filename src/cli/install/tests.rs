//! Installing, breaking and examining hooks in throw-away repositories, with pushes of the real git.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use clap::Parser as _;

use super::*;
use crate::cli::doctor::DoctorArgs;

/// The least that is a policy.
pub(in crate::cli) const POLICY: &str = "version: 1\n\
    identities: { bot: { kind: agent, match: { account: bot }, boundary: b } }\n\
    boundaries: { b: { refs: [{ match: refs/heads/x, may: [create, update] }], paths: [{ match: a, may: [add] }] } }\n";

/// A folder with a policy and a program that takes the place of ringfence: it writes down what it is called with, and
/// refuses when a file says so.
pub(in crate::cli) struct Server(tempfile::TempDir);

impl Server {
    pub(in crate::cli) fn new() -> Self {
        let server = Server(tempfile::tempdir().unwrap());
        let program = format!(
            "#!/bin/sh\n{{ echo \"$@\"; cat; }} >>'{0}/called'\n! [ -e '{0}/refuse' ]\n",
            server.0.path().display()
        );
        server.write("ringfence's bin/ringfence", &program, 0o755);
        server.write("policy.yaml", POLICY, 0o644);
        server
    }

    pub(in crate::cli) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(in crate::cli) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(in crate::cli) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.chmod(name, mode);
    }

    pub(in crate::cli) fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(in crate::cli) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(in crate::cli) fn git_in<S: AsRef<OsStr>>(&self, folder: &str, arguments: &[S]) -> Output {
        Command::new("git")
            .args(arguments)
            .current_dir(self.path(folder))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git runs (Debian package git)")
    }

    pub(in crate::cli) fn git(&self, folder: &str, arguments: &[&str]) {
        let output = self.git_in(folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// A bare repository, with a umask of the usual kind whatever the tester's is.
    pub(in crate::cli) fn bare(&self, name: &str) -> &Self {
        self.git("", &["init", "-q", "--bare", "--shared=0755", name]);
        self.chmod(name, 0o755);
        self
    }

    /// A clone with one commit more each time; pushes it to a branch of `bare`.
    pub(in crate::cli) fn push(&self, bare: &str) -> Output {
        if !self.path("work").exists() {
            self.git("", &["init", "-q", "work"]);
        }
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let commit = ["commit", "-q", "--allow-empty", "-m", "x"];
        self.git("work", &[&identity[..], &commit].concat());
        self.git_in(
            "work",
            &["push", "-q", &self.text(bare), "HEAD:refs/heads/x"],
        )
    }

    pub(in crate::cli) fn run(&self, arguments: &[&str]) -> (Exit, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = match Arguments::parse_from([&[""], arguments].concat()) {
            Arguments::Install(args) => install(&args, &mut out, &mut err),
            Arguments::Uninstall(args) => uninstall(&args, &mut out, &mut err),
            Arguments::Doctor(args) => doctor::run(&args, &mut out, &mut err),
        };
        out.extend(err);
        let text = String::from_utf8(out).unwrap();
        let folder = self.0.path().canonicalize().unwrap();
        (exit, text.replace(folder.to_str().unwrap(), "@"))
    }

    pub(in crate::cli) fn install(
        &self,
        host: &str,
        target: [&str; 2],
        more: &[&str],
    ) -> (Exit, String) {
        let (policy, bin) = (
            self.text("policy.yaml"),
            self.text("ringfence's bin/ringfence"),
        );
        let target = [target[0], &self.text(target[1])];
        let fixed = ["install", host, "--policy", &policy, "--bin", &bin];
        self.run(&[&fixed[..], &target, more].concat())
    }

    pub(in crate::cli) fn plain(&self) -> &Self {
        self.bare("site.git");
        let (exit, text) = self.install("plain", ["--repo", "site.git"], &[]);
        assert_eq!(exit, Exit::Accept, "{text}");
        self
    }

    pub(in crate::cli) fn doctor(&self) -> (Exit, String) {
        self.run(&["doctor", "--repo", &self.text("site.git")])
    }

    /// What doctor finds, when it finds something.
    pub(in crate::cli) fn findings(&self) -> String {
        let (exit, text) = self.doctor();
        assert_eq!(exit, Exit::Refuse, "{text}");
        let errors = text.lines().filter(|line| line.starts_with("error: "));
        errors.collect::<Vec<_>>().join("\n")
    }
}

#[derive(clap::Parser)]
enum Arguments {
    Install(InstallArgs),
    Uninstall(UninstallArgs),
    Doctor(DoctorArgs),
}

#[test]
fn a_plain_repository_gets_both_hooks_and_git_runs_them() {
    let server = Server::new();
    server.plain();
    assert!(server.push("site.git").status.success());
    let called = server.read("called");
    let policy = server.text("policy.yaml");
    let calls: Vec<&str> = called
        .lines()
        .filter(|line| line.starts_with("hook"))
        .collect();
    assert_eq!(
        calls,
        [
            format!("hook pre-receive --policy {policy}"),
            format!("hook post-receive --policy {policy}")
        ]
    );
    assert_eq!(called.matches(" refs/heads/x\n").count(), 2);
    server.write("refuse", "", 0o644);
    assert!(!server.push("site.git").status.success());
    let mode = fs::metadata(server.path("site.git/ringfence"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn without_the_program_every_push_is_refused_in_one_line() {
    let server = Server::new();
    server.plain();
    fs::remove_file(server.path("ringfence's bin/ringfence")).unwrap();
    let output = server.push("site.git");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let remote: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("remote:"))
        .collect();
    assert_eq!(remote.len(), 1, "{text}");
    assert!(
        remote[0].contains("error: push refused: the ringfence program is missing on the server")
    );
}

#[test]
fn installing_twice_changes_nothing() {
    let server = Server::new();
    server.plain();
    let before = server.read("site.git/hooks/pre-receive");
    let (exit, text) = server.install("plain", ["--repo", "site.git"], &[]);
    assert_eq!(exit, Exit::Accept);
    assert_eq!(
        text,
        "@/site.git\nok: @/site.git/hooks/pre-receive is up to date\nok: @/site.git/hooks/post-receive is up to date\n"
    );
    assert_eq!(server.read("site.git/hooks/pre-receive"), before);
    // Another policy, another script.
    server.write("other.yaml", POLICY, 0o644);
    let other = server.text("other.yaml");
    let bin = server.text("ringfence's bin/ringfence");
    let repo = server.text("site.git");
    let (exit, _) = server.run(&[
        "install", "plain", "--policy", &other, "--bin", &bin, "--repo", &repo,
    ]);
    assert_eq!(exit, Exit::Accept);
    assert!(
        server
            .read("site.git/hooks/pre-receive")
            .contains("other.yaml")
    );
}

#[test]
fn a_foreign_hook_is_never_overwritten() {
    let server = Server::new();
    server.bare("site.git");
    server.write("site.git/hooks/post-receive", "#!/bin/sh\n", 0o755);
    let (exit, text) = server.install("plain", ["--repo", "site.git"], &[]);
    assert_eq!(exit, Exit::Refuse);
    assert!(text.contains(
        "error: @/site.git/hooks/post-receive is a hook of somebody else\nhint: use --chain"
    ));
    assert!(
        !server.path("site.git/hooks/pre-receive").exists(),
        "all or none"
    );
}

#[test]
fn a_chained_hook_runs_after_the_gate_on_the_same_input_and_comes_back() {
    let server = Server::new();
    server.bare("site.git");
    let log = server.text("chained");
    let theirs = format!("#!/bin/sh\ncat >>'{log}'\n! [ -e '{log}-refuses' ]\n");
    server.write("site.git/hooks/pre-receive", &theirs, 0o755);
    let (exit, text) = server.install("plain", ["--repo", "site.git"], &["--chain"]);
    assert_eq!(exit, Exit::Accept, "{text}");
    assert_eq!(
        server
            .install("plain", ["--repo", "site.git"], &["--chain"])
            .0,
        Exit::Accept
    );

    assert!(server.push("site.git").status.success());
    assert_eq!(server.read("chained").matches(" refs/heads/x\n").count(), 1);
    server.write("chained-refuses", "", 0o644);
    assert!(
        !server.push("site.git").status.success(),
        "the other hook refuses"
    );
    fs::remove_file(server.path("chained-refuses")).unwrap();
    server.write("refuse", "", 0o644);
    fs::remove_file(server.path("chained")).unwrap();
    assert!(
        !server.push("site.git").status.success(),
        "the gate refuses"
    );
    assert_eq!(server.read("chained"), "", "and the other hook did not run");

    server.chmod("site.git/hooks/pre-receive.ringfence-chained", 0o644);
    fs::remove_file(server.path("refuse")).unwrap();
    assert!(
        !server.push("site.git").status.success(),
        "a hook that cannot run refuses"
    );
    assert!(server.findings().contains("every push is refused"));

    let (exit, _) = server.run(&["uninstall", "plain", "--repo", &server.text("site.git")]);
    assert_eq!(exit, Exit::Accept);
    assert_eq!(server.read("site.git/hooks/pre-receive"), theirs);
    assert!(!server.path("site.git/hooks/post-receive").exists());
    assert!(
        server.path("site.git/ringfence").is_dir(),
        "the record stays"
    );
}

#[test]
fn chaining_refuses_what_it_cannot_keep() {
    let server = Server::new();
    server.bare("site.git");
    let hook = "site.git/hooks/pre-receive";
    server.write(hook, "#!/bin/sh\n", 0o644);
    let refused = || {
        let (exit, text) = server.install("plain", ["--repo", "site.git"], &["--chain"]);
        assert_eq!(exit, Exit::Refuse);
        text
    };
    assert!(refused().contains("is not executable, so git does not run it"));
    server.chmod(hook, 0o755);
    server.write(
        "site.git/hooks/pre-receive.ringfence-chained",
        "#!/bin/sh\n",
        0o755,
    );
    assert!(refused().contains("keeps another hook already"));
    fs::remove_file(server.path(hook)).unwrap();
    symlink("/no/such/file", server.path(hook)).unwrap();
    assert!(refused().contains("is a symbolic link to nothing"));
}

#[test]
fn uninstall_leaves_foreign_hooks_alone() {
    let server = Server::new();
    server.bare("site.git");
    server.write(
        "site.git/hooks/pre-receive",
        "#!/bin/sh\nringfence hook pre-receive\n",
        0o755,
    );
    let (exit, text) = server.run(&["uninstall", "plain", "--repo", &server.text("site.git")]);
    assert_eq!(exit, Exit::Refuse);
    assert!(text.contains("hooks/pre-receive is not ours"));
    assert!(text.contains("hooks/post-receive is not there"));
    assert!(server.path("site.git/hooks/pre-receive").exists());
}

#[test]
fn a_root_covers_every_bare_repository_below_it_and_reports_each() {
    let server = Server::new();
    for name in ["srv/a.git", "srv/org/b.git", "srv/@hashed/aa/bb/c.git"] {
        server.bare(name);
    }
    server.git("srv", &["init", "-q", "clone"]);
    symlink(server.path("srv/org"), server.path("srv/link")).unwrap();
    server.write("srv/org/b.git/hooks/pre-receive", "#!/bin/sh\n", 0o755);
    let (exit, text) = server.install("plain", ["--repo-root", "srv"], &[]);
    assert_eq!(exit, Exit::Refuse, "one of them has a hook of its own");
    let folders: Vec<&str> = text.lines().filter(|line| line.starts_with('@')).collect();
    assert_eq!(
        folders,
        [
            "@/srv/@hashed/aa/bb/c.git",
            "@/srv/a.git",
            "@/srv/org/b.git"
        ]
    );
    assert!(server.path("srv/a.git/hooks/pre-receive").exists());
    let (exit, text) = server.run(&["doctor", "--repo-root", &server.text("srv")]);
    assert_eq!(exit, Exit::Refuse);
    assert_eq!(
        text.matches("error: ").count(),
        1,
        "no hook of ours: {text}"
    );
}

#[test]
fn a_root_without_repositories_is_a_mistake() {
    let server = Server::new();
    assert_eq!(
        server.install("plain", ["--repo-root", "."], &[]).0,
        Exit::Usage
    );
    assert_eq!(
        server.install("plain", ["--repo", "nowhere"], &[]).0,
        Exit::Usage
    );
    assert_eq!(
        server.install("pre-push", ["--repo-root", "."], &[]).0,
        Exit::Usage
    );
    assert_eq!(
        server.install("plain", ["--local-code", "."], &[]).0,
        Exit::Usage
    );
    server.bare("site.git");
    server.write("broken.yaml", "version: 1\nboundary: {}\n", 0o644);
    let repo = server.text("site.git");
    for (policy, bin) in [
        ("nowhere", "ringfence's bin/ringfence"),
        ("policy.yaml", "policy.yaml"),
        ("policy.yaml", "nowhere"),
        ("broken.yaml", "ringfence's bin/ringfence"),
    ] {
        let (policy, bin) = (server.text(policy), server.text(bin));
        let (exit, _) = server.run(&[
            "install", "plain", "--policy", &policy, "--bin", &bin, "--repo", &repo,
        ]);
        assert_eq!(exit, Exit::Usage);
    }
}

#[test]
fn a_hooks_path_elsewhere_refuses_to_install() {
    let server = Server::new();
    server.bare("site.git");
    server.git("site.git", &["config", "core.hooksPath", "/srv/hooks"]);
    let (exit, text) = server.install("plain", ["--repo", "site.git"], &[]);
    assert_eq!(exit, Exit::Refuse);
    assert!(
        text.contains(
            "error: core.hooksPath is /srv/hooks: git would not run a hook in @/site.git/hooks"
        ),
        "{text}"
    );
    assert!(!server.path("site.git/hooks/pre-receive").exists());
    // Gitaly's own business.
    assert_eq!(
        server.install("gitlab", ["--repo", "site.git"], &[]).0,
        Exit::Accept
    );
}

const DISPATCHER: &str = "#!/bin/sh\ndata=$(cat)\nfor hook in \"${GIT_DIR}\"/hooks/pre-receive.d/*; do\n    echo \"$data\" | \"$hook\" || exit\ndone\n";

#[test]
fn gitea_gets_a_file_in_its_folders() {
    let server = Server::new();
    server.bare("site.git");
    let (exit, text) = server.install("gitea", ["--repo", "site.git"], &[]);
    assert_eq!(exit, Exit::Refuse);
    assert!(
        text.contains("does not run pre-receive.d: the gate is never called"),
        "{text}"
    );
    server.write("site.git/hooks/pre-receive", DISPATCHER, 0o755);
    let (exit, text) = server.install("gitea", ["--repo", "site.git"], &[]);
    assert_eq!(exit, Exit::Accept, "{text}");
    assert!(
        text.contains("hint: new repositories, forks and first wiki pages come without the hook")
    );
    assert!(server.push("site.git").status.success());
    assert_eq!(server.read("called").matches(" refs/heads/x\n").count(), 1);
    assert_eq!(server.doctor().0, Exit::Accept);
    server.chmod("site.git/hooks/pre-receive", 0o644);
    assert!(server.findings().contains("the gate is never called"));
}

#[test]
fn gitlab_gets_custom_hooks() {
    let server = Server::new();
    server.bare("site.git");
    let (exit, text) = server.install("gitlab", ["--repo", "site.git"], &[]);
    assert_eq!(exit, Exit::Accept, "{text}");
    for name in ["pre-receive", "post-receive"] {
        let file = server.path(&format!("site.git/custom_hooks/{name}.d/00-ringfence"));
        assert!(is_executable(&file));
    }
    assert_eq!(server.doctor().0, Exit::Accept);
}

#[test]
fn gitolite_gets_its_common_hooks() {
    let server = Server::new();
    fs::create_dir(server.path("local")).unwrap();
    let (exit, text) = server.install("gitolite", ["--local-code", "local"], &[]);
    assert_eq!(exit, Exit::Accept, "{text}");
    assert!(text.contains("hint: now run: gitolite setup --hooks-only"));
    // What `gitolite setup` does then.
    server.bare("site.git");
    fs::create_dir(server.path("site.git/ringfence")).unwrap();
    server.chmod("site.git/ringfence", 0o700);
    symlink(
        server.path("local/hooks/common/pre-receive"),
        server.path("site.git/hooks/pre-receive"),
    )
    .unwrap();
    let (exit, text) = server.doctor();
    assert_eq!(exit, Exit::Accept, "{text}");
    assert!(server.push("site.git").status.success());
    assert!(server.read("called").contains("hook pre-receive"));
}

#[test]
fn pre_push_goes_where_the_client_looks_also_from_a_linked_worktree() {
    let server = Server::new();
    server.bare("up.git");
    assert!(server.push("up.git").status.success());
    server.git("work", &["worktree", "add", "-q", "../linked"]);
    let (exit, text) = server.install("pre-push", ["--repo", "linked"], &[]);
    assert_eq!(exit, Exit::Accept, "{text}");
    assert!(server.push("up.git").status.success());
    let (called, up) = (server.read("called"), server.text("up.git"));
    assert!(
        called.starts_with(&format!(
            "hook pre-push --policy {} {up} {up}\n",
            server.text("policy.yaml")
        )),
        "{called}"
    );
    server.write("refuse", "", 0o644);
    assert!(!server.push("up.git").status.success());
}

// shims

#[test]
fn any_path_survives_the_shell() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = OsString::from_vec(b"/a 'b' \"$c\" `d` \\ \n*\xff".to_vec());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hook");
    for hook in [Hook::PreReceive, Hook::PostReceive, Hook::PrePush] {
        let script = shim::render(hook, Path::new(&odd), Path::new("/p"));
        fs::write(&file, &script).unwrap();
        let found = Found::Shim {
            binary: PathBuf::from(&odd),
            policy: PathBuf::from("/p"),
        };
        assert_eq!(shim::look(&file).unwrap(), found);
        let check = Command::new("sh").arg("-n").arg(&file).output().unwrap();
        assert!(check.status.success(), "{check:?}");
        // The shell reads the same value.
        let lines: Vec<&[u8]> = script.split(|byte| *byte == b'\n').collect();
        let start = lines
            .iter()
            .position(|line| line.starts_with(b"ringfence="))
            .unwrap();
        let end = lines
            .iter()
            .position(|line| line.starts_with(b"policy="))
            .unwrap();
        let mut assignment = lines[start..end].join(&b'\n');
        assignment.extend_from_slice(b"\nprintf %s \"$ringfence\"");
        let output = Command::new("sh")
            .arg("-c")
            .arg(OsString::from_vec(assignment))
            .output()
            .unwrap();
        assert_eq!(output.stdout, odd.clone().into_vec());
    }
}
