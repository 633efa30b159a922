//! A throw-away git server in a temporary folder: a bare repository with the hook under test, a policy, and a
//! clone for everyone who pushes. Nothing of the machine's own git configuration or environment gets in.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The program under test.
pub(crate) const RINGFENCE: &str = env!("CARGO_BIN_EXE_ringfence");

/// The variable that names the account in pushes over a local path, which authenticate nobody.
pub(crate) const ACCOUNT: &str = "RINGFENCE_TEST_ACCOUNT";

/// 2026-01-01T00:00:00Z; every commit is a minute later than the one before.
const FIRST_COMMIT_AT: u64 = 1_767_225_600;

const GITCONFIG: &str = "\
[init]
	defaultBranch = main
[commit]
	gpgSign = false
[core]
	fsync = none
	quotePath = true
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
[protocol \"file\"]
	allow = always
[merge]
	conflictStyle = merge
";

/// What stands on `main` before anybody pushes. Small, but with a file of every kind that the policy tells apart.
pub(crate) const SEED: &[(&str, &str)] = &[
    ("README.md", "# Site\n\nRead the docs.\n"),
    ("AGENTS.md", "# For agents\n\nRun the tests first.\n"),
    ("Cargo.lock", "version = 4\n"),
    ("docs/guide.md", "# Guide\n\none\ntwo\nthree\nfour\nfive\n"),
    ("docs/faq.md", "# Questions\n\nNone yet.\n"),
    ("docs/old/notes.md", "old notes\n"),
    ("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n"),
    ("src/main.rs", "fn main() {}\n"),
    ("src/tool.sh", "#!/bin/sh\necho tool\n"),
    ("vendor/left/pad.js", "module.exports = 1;\n"),
    (
        ".github/workflows/ci.yml",
        "on: push\njobs:\n  test:\n    runs-on: linux\n",
    ),
];

/// How a world starts.
pub(crate) struct Setup {
    /// Whether `main` is there with [`SEED`].
    pub(crate) seeded: bool,
    /// `sha1` or `sha256`.
    pub(crate) object_format: &'static str,
    /// Text of the server policy; `None`: there is no policy file.
    pub(crate) policy: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            seeded: true,
            object_format: "sha1",
            policy: Some(default_policy()),
        }
    }
}

/// The policy that tests use unless they bring their own.
pub(crate) fn default_policy() -> String {
    fs::read_to_string(testdata("pushes/policy.yaml")).unwrap()
}

/// A file or folder in `testdata/`.
pub(crate) fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(path)
}

/// One server with its pushers.
pub(crate) struct World {
    root: TempDir,
    commits: Cell<u64>,
}

impl World {
    /// A seeded server with the default policy.
    pub(crate) fn new() -> World {
        World::with(Setup::default())
    }

    /// A server as `setup` says.
    pub(crate) fn with(setup: Setup) -> World {
        let root = tempfile::Builder::new()
            .prefix("ringfence-test-")
            .tempdir()
            .unwrap();
        let world = World {
            root,
            commits: Cell::new(0),
        };
        fs::create_dir(world.path("home")).unwrap();
        fs::write(world.path("home/.gitconfig"), GITCONFIG).unwrap();
        let format = format!("--object-format={}", setup.object_format);
        let server = world.server();
        world.run(&world.path(""), &[], |git| {
            git.args(["init", "-q", "--bare", "--template=", &format])
                .arg(&server)
        });
        world.server_git(&["config", "receive.advertisePushOptions", "true"]);
        if setup.seeded {
            world.seed();
        }
        // A server is set up with a policy that works; what happens to the policy later is the test's matter.
        world.set_policy(&default_policy());
        world.install();
        match &setup.policy {
            Some(policy) => world.set_policy(policy),
            None => fs::remove_file(world.policy_path()).unwrap(),
        }
        world
    }

    /// A path inside the world's folder.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside)
    }

    /// The bare repository: `org/site` on hosts that name the owner too.
    pub(crate) fn server(&self) -> PathBuf {
        self.path("org/site.git")
    }

    /// Where the policy of this server stands.
    pub(crate) fn policy_path(&self) -> PathBuf {
        self.server().join("ringfence/policy.yaml")
    }

    /// Writes the server policy.
    pub(crate) fn set_policy(&self, text: &str) {
        fs::create_dir_all(self.server().join("ringfence")).unwrap();
        // A policy names files by absolute paths.
        let text = text.replace(
            "$WORLD",
            self.path("").to_str().unwrap().trim_end_matches('/'),
        );
        fs::write(self.policy_path(), text).unwrap();
    }

    /// Installs the hook as an admin does, in the place of whatever is there.
    pub(crate) fn install(&self) {
        let _ = fs::remove_file(self.server().join("hooks/pre-receive"));
        let mut command = self.ringfence_command(&self.server());
        command
            .args(["install", "plain", "--repo", ".", "--policy"])
            .arg(self.policy_path());
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "install failed:\n{}",
            both(&output)
        );
    }

    /// Puts a shell script in the place of the hook.
    pub(crate) fn set_hook(&self, script: &str) {
        let hook = self.server().join("hooks/pre-receive");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn seed(&self) {
        let when = self.tick();
        let mut stream = format!(
            "commit refs/heads/main\ncommitter Alice <alice@people.example> {when}\ndata 5\nStart\n"
        );
        for (path, text) in SEED {
            let mode = if path.ends_with(".sh") {
                "100755"
            } else {
                "100644"
            };
            stream += &format!("M {mode} inline {path}\ndata {}\n{text}\n", text.len());
        }
        self.feed(
            &self.server(),
            &["fast-import", "--quiet"],
            stream.as_bytes(),
        );
    }

    /// Date for the next commit, in git's raw form.
    fn tick(&self) -> String {
        let count = self.commits.get();
        self.commits.set(count + 1);
        format!("{} +0000", FIRST_COMMIT_AT + 60 * count)
    }

    /// The environment of every process of this world: nothing is inherited but `PATH`.
    pub(crate) fn scrubbed(&self, program: impl AsRef<OsStr>, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path(""))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir(dir)
            .stdin(Stdio::null());
        command
    }

    /// `git` in a scrubbed environment, for a caller that adds its own arguments.
    pub(crate) fn git_command(&self, dir: &Path) -> Command {
        self.scrubbed("git", dir)
    }

    /// `ringfence` in a scrubbed environment.
    pub(crate) fn ringfence_command(&self, dir: &Path) -> Command {
        self.scrubbed(RINGFENCE, dir)
    }

    /// A shell in a scrubbed environment; the shell can call `$RINGFENCE`.
    pub(crate) fn shell_command(&self, dir: &Path, script: &OsStr) -> Command {
        let mut command = self.scrubbed("sh", dir);
        command
            .env("RINGFENCE", RINGFENCE)
            .env("WORLD", self.path(""));
        command.args([OsStr::new("-euc"), script]);
        command
    }

    /// Runs git and returns its output, which must not be a failure.
    fn run(
        &self,
        dir: &Path,
        vars: &[(&str, &OsStr)],
        fill: impl FnOnce(&mut Command) -> &mut Command,
    ) -> String {
        let mut command = self.git_command(dir);
        command.envs(vars.iter().copied());
        fill(&mut command);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{command:?} failed:\n{}",
            both(&output)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// git on the server's side, past the hook.
    pub(crate) fn server_git(&self, arguments: &[&str]) -> String {
        self.run(&self.server(), &[], |git| git.args(arguments))
    }

    /// git with something on standard input.
    pub(crate) fn feed(&self, dir: &Path, arguments: &[&str], input: &[u8]) -> String {
        let mut command = self.git_command(dir);
        command.args(arguments);
        let output = feed(command, input);
        assert!(
            output.status.success(),
            "git {arguments:?} failed:\n{}",
            both(&output)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// A clone of the server for `name`, who is also author and committer of what is made in it.
    pub(crate) fn clone_for(&self, name: &str) -> Clone<'_> {
        let dir = self.path("clones").join(name);
        self.run(&self.path(""), &[], |git| {
            git.args(["clone", "-q", "--template="])
                .arg(self.server())
                .arg(&dir)
        });
        let kind = if is_agent(name) { "agents" } else { "people" };
        let mail = format!("{name}@{kind}.example");
        let mut vars = HashMap::new();
        for who in ["AUTHOR", "COMMITTER"] {
            vars.insert(format!("GIT_{who}_NAME"), OsString::from(name));
            vars.insert(format!("GIT_{who}_EMAIL"), OsString::from(&mail));
        }
        vars.insert(ACCOUNT.to_owned(), OsString::from(name));
        Clone {
            world: self,
            dir,
            vars: vars.into(),
        }
    }

    /// Every ref of the server with its value.
    pub(crate) fn refs(&self) -> String {
        self.server_git(&["for-each-ref", "--format=%(objectname) %(refname)"])
    }

    /// The value of a revision on the server.
    pub(crate) fn id(&self, revision: &str) -> String {
        self.server_git(&["rev-parse", "--verify", revision])
    }

    /// The repository is whole, and no quarantine was left behind.
    pub(crate) fn assert_sound(&self) {
        self.server_git(&[
            "fsck",
            "--full",
            "--strict",
            "--no-dangling",
            "--no-progress",
        ]);
        let left: Vec<_> = fs::read_dir(self.server().join("objects"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.as_bytes().starts_with(b"tmp_objdir"))
            .collect();
        assert!(left.is_empty(), "quarantine left behind: {left:?}");
    }

    /// The hook as git calls it for a push without new objects.
    pub(crate) fn hook_command(&self, account: &str) -> Command {
        let mut command = self.ringfence_command(&self.server());
        command
            .args(["hook", "pre-receive"])
            .env("GIT_DIR", ".")
            .env("GIT_PUSH_OPTION_COUNT", "0")
            .env(ACCOUNT, account);
        command
    }

    /// Calls the hook past git, and returns its exit code and what it said.
    pub(crate) fn hook(&self, account: &str, input: &[u8]) -> (Option<i32>, String) {
        let output = feed(self.hook_command(account), input);
        (output.status.code(), both(&output))
    }
}

fn is_agent(name: &str) -> bool {
    matches!(name, "builder" | "porter" | "docs-bot" | "stranger")
}

/// Runs a command with something on its standard input. It need not read all of it.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

/// Standard output and standard error, for messages.
pub(crate) fn both(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    text
}

/// A working copy of one pusher.
pub(crate) struct Clone<'w> {
    world: &'w World,
    dir: PathBuf,
    vars: std::cell::RefCell<HashMap<String, OsString>>,
}

impl<'w> Clone<'w> {
    /// The server that it was cloned from.
    pub(crate) fn world(&self) -> &'w World {
        self.world
    }

    /// The top folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sets a variable for everything that this pusher does from now on.
    pub(crate) fn set(&self, name: &str, value: impl Into<OsString>) {
        self.vars.borrow_mut().insert(name.to_owned(), value.into());
    }

    /// Takes a variable away again.
    pub(crate) fn unset(&self, name: &str) {
        self.vars.borrow_mut().remove(name);
    }

    /// Adds this pusher's environment, and the next date.
    pub(crate) fn dress(&self, command: &mut Command) {
        let when = self.world.tick();
        command
            .env("GIT_AUTHOR_DATE", &when)
            .env("GIT_COMMITTER_DATE", &when)
            .envs(self.vars.borrow().iter());
    }

    /// Runs git, which must succeed.
    pub(crate) fn git<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let mut command = self.world.git_command(&self.dir);
        self.dress(&mut command);
        command.args(arguments);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{command:?} failed:\n{}",
            both(&output)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// Runs git with something on standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = self.world.git_command(&self.dir);
        self.dress(&mut command);
        command.args(arguments);
        let output = feed(command, input);
        assert!(
            output.status.success(),
            "git {arguments:?} failed:\n{}",
            both(&output)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// Runs a shell script in the top folder; it must succeed.
    pub(crate) fn shell(&self, script: &[u8]) {
        let mut command = self
            .world
            .shell_command(&self.dir, OsStr::from_bytes(script));
        self.dress(&mut command);
        let output = command.output().unwrap();
        let shown = String::from_utf8_lossy(script);
        assert!(
            output.status.success(),
            "sh failed:\n{shown}\n{}",
            both(&output)
        );
    }

    /// Writes a file, with its folders.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits everything that stands in the working copy, even if that is nothing new; the id of the commit.
    pub(crate) fn commit(&self, message: impl AsRef<OsStr>) -> String {
        self.git(&["add", "-A"]);
        let options = ["commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m"];
        let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        arguments.push(message.as_ref());
        self.git(&arguments);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes over the local path.
    pub(crate) fn push<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Pushed {
        self.push_to("origin".as_ref(), arguments)
    }

    /// Pushes to any address of the server, and checks that a refused push changed nothing.
    pub(crate) fn push_to<A: AsRef<OsStr>>(&self, address: &OsStr, arguments: &[A]) -> Pushed {
        let before = self.world.refs();
        let mut command = self.world.git_command(&self.dir);
        self.dress(&mut command);
        let is_option = |argument: &&A| argument.as_ref().as_bytes().starts_with(b"-");
        command.args(["push", "--porcelain"]);
        command.args(arguments.iter().filter(is_option));
        command.arg(address);
        command.args(arguments.iter().filter(|argument| !is_option(argument)));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr)
            .lines()
            .filter_map(|line| line.strip_prefix("remote: "))
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect();
        let pushed = Pushed {
            accepted: output.status.success(),
            said,
            everything: both(&output),
        };
        if !pushed.accepted {
            let after = self.world.refs();
            assert_eq!(
                before, after,
                "a refused push moved refs:\n{}",
                pushed.everything
            );
        }
        self.world.assert_sound();
        pushed
    }
}

/// What a push came to.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Whether git reports success for every ref.
    pub(crate) accepted: bool,
    /// What the remote said, without git's `remote: `.
    pub(crate) said: String,
    /// All output of `git push`.
    pub(crate) everything: String,
}

/// What the gate said, as the pusher can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Hold,
    Reject,
    Unjudged,
    /// Refused because there is no policy that can be used.
    Unusable,
    /// The gate was happy, git was not.
    Declined,
}

impl Pushed {
    /// The verdict by the headline, which is part of the contract.
    pub(crate) fn verdict(&self) -> Verdict {
        let headline = |start: &str| self.said.lines().any(|line| line.starts_with(start));
        if self.accepted {
            Verdict::Accept
        } else if headline("error: push rejected") {
            Verdict::Reject
        } else if headline("error: push held") {
            Verdict::Hold
        } else if headline("error: push not judged") {
            Verdict::Unjudged
        } else if headline("error: push refused") {
            Verdict::Unusable
        } else {
            Verdict::Declined
        }
    }

    /// The rules named in the text at a level: `error[family/name]`, `warning[family/name]`.
    pub(crate) fn rules(&self, level: &str) -> Vec<&str> {
        self.said
            .lines()
            .filter_map(|line| line.strip_prefix(level)?.strip_prefix('[')?.split_once(']'))
            .map(|(rule, _)| rule)
            .collect()
    }

    /// Panics unless accepted in silence.
    pub(crate) fn expect_accept(&self) {
        assert!(
            self.accepted,
            "expected to be accepted:\n{}",
            self.everything
        );
        assert_eq!(self.said, "", "an accepted push is silent");
    }

    /// Panics unless rejected for these rules among others.
    pub(crate) fn expect_reject(&self, rules: &[&str]) {
        self.expect(Verdict::Reject, rules);
    }

    /// Panics unless the verdict is this one and the text names these rules as errors.
    pub(crate) fn expect(&self, verdict: Verdict, rules: &[&str]) {
        let printable = |byte: u8| matches!(byte, b'\n' | b' '..=b'~');
        assert!(
            self.said.bytes().all(printable),
            "raw bytes shown:\n{}",
            self.everything
        );
        assert_eq!(
            self.verdict(),
            verdict,
            "wrong verdict:\n{}",
            self.everything
        );
        let named = self.rules("error");
        for rule in rules {
            assert!(
                named.contains(rule),
                "{rule} is not named:\n{}",
                self.everything
            );
        }
    }
}
