//! A repository with a history, and pushes to it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{AGENT_REF, Pair, RINGFENCE, Run, median, scrubbed};

/// New objects in a quarantine, as receive-pack leaves them for the hook.
pub(crate) struct Quarantined {
    new: String,
    folder: PathBuf,
}

/// A bare repository with a history, many refs and a policy.
pub(crate) struct World {
    root: tempfile::TempDir,
    tip: String,
}

impl World {
    pub(crate) fn new(refs: usize, commits: usize) -> Self {
        // On a memory file system the ledger's disk sync costs nothing: the goals leave it aside.
        let base = if Path::new("/dev/shm").is_dir() {
            PathBuf::from("/dev/shm")
        } else {
            std::env::temp_dir()
        };
        let root = tempfile::tempdir_in(base).expect("a folder can be made");
        let mut world = World {
            root,
            tip: String::new(),
        };
        world.run_git(
            &["init", "--quiet", "--bare", "--initial-branch=main", "."],
            &[],
            [],
        );
        world.run_git(&["fast-import", "--quiet"], &[], history(refs, commits));
        world.git(&["pack-refs", "--all"]);
        world.git(&["repack", "-adq"]);
        world.tip = world.git(&["rev-parse", "refs/heads/main"]);
        world.write_policy(1);
        world
    }

    fn git_dir(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.run_git(args, &[], [])
    }

    /// Feeds git piece by piece: the peak of a child is at least that of this process when it starts one.
    fn run_git(
        &self,
        args: &[&str],
        env: &[(String, String)],
        stdin: impl IntoIterator<Item = String>,
    ) -> String {
        let mut child = Command::new("git")
            .args(args)
            .env_clear()
            .envs(scrubbed())
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git starts");
        let mut input = child.stdin.take().expect("piped");
        for piece in stdin {
            input
                .write_all(piece.as_bytes())
                .expect("git reads its input");
        }
        drop(input);
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// An example policy with `count` agents.
    pub(crate) fn write_policy(&self, count: usize) {
        let mut text = String::from(
            "version: 1\nhost: { kind: plain, account_env: RINGFENCE_BENCH_ACCOUNT }\nidentities:\n",
        );
        for number in 0..count {
            let name = if number == 0 {
                "docs-bot".to_owned()
            } else {
                format!("bot-{number}")
            };
            text.push_str(&format!(
                "  {name}:\n    kind: agent\n    match: {{ account: {name} }}\n    owner: alice\n    boundary: docs\n    \
                 authors: [\"{name} <{name}@agents.example>\"]\n    \
                 valid: {{ from: 2020-01-01T00:00:00Z, until: 2100-01-01T00:00:00Z }}\n"
            ));
        }
        text.push_str(
            "  alice: { kind: human, match: { account: alice }, boundary: people }\n\
             boundaries:\n  docs:\n    refs:\n      \
             - { match: \"refs/heads/agents/docs-bot/**\", may: [create, update, delete] }\n    paths:\n      \
             - { match: \"docs/**\", may: [add, modify, delete] }\n      - { match: \"README.md\", may: [modify] }\n    \
             deny:\n      - { id: ci, paths: [\"@ci\"] }\n      - { id: exec, paths: [\"@agent-exec\", \"@editor-exec\"] }\n    \
             hold:\n      - { id: lockfiles, paths: [\"@lockfiles\"] }\n    \
             limits: { refs: 1, commits: 5000, files: 5000, added_lines: 1000000, file_bytes: 4MiB }\n    \
             checks: { secrets: deny, hidden-unicode: deny, authorship: deny }\n  \
             people:\n    refs: [{ match: \"refs/**\", may: [create, update, force, delete] }]\n    \
             paths: [{ match: \"**\", may: [add, modify, delete, mode, symlink, submodule] }]\n    \
             checks: { secrets: deny }\n",
        );
        self.write_policy_text(&text);
    }

    /// A policy for an empty ledger.
    pub(crate) fn write_policy_text(&self, text: &str) {
        let folder = self.root.path().join("ringfence");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("a folder can be removed");
        }
        std::fs::create_dir(&folder).expect("a folder can be made");
        std::fs::write(folder.join("policy.yaml"), text).expect("a file can be written");
    }

    /// Objects made by `make` in a quarantine of their own.
    fn quarantine(
        &self,
        name: &str,
        make: impl FnOnce(&Self, &[(String, String)]) -> String,
    ) -> Quarantined {
        let folder = self.root.path().join("objects").join(name);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let env = self.quarantine_env(&folder);
        let new = make(self, &env);
        Quarantined { new, folder }
    }

    fn quarantine_env(&self, folder: &Path) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().expect("the folder is UTF-8").to_owned();
        vec![
            ("GIT_OBJECT_DIRECTORY".to_owned(), text(folder)),
            (
                "GIT_ALTERNATE_OBJECT_DIRECTORIES".to_owned(),
                text(&self.root.path().join("objects")),
            ),
        ]
    }

    /// A commit with one text of 120 lines on top of main.
    pub(crate) fn one_commit(&self) -> Quarantined {
        self.commit_of("one", &self.tip, &prose(7, 120))
    }

    /// A commit with an empty file on top of main.
    pub(crate) fn empty_file(&self) -> Quarantined {
        self.commit_of("empty", &self.tip, "")
    }

    /// As [`World::one_commit`], on top of another.
    pub(crate) fn one_commit_from(&self, start: &str) -> Quarantined {
        self.commit_of("one", &self.git(&["rev-parse", start]), &prose(7, 120))
    }

    fn commit_of(&self, name: &str, start: &str, text: &str) -> Quarantined {
        self.quarantine(&format!("tmp_objdir-incoming-{name}"), |world, env| {
            let stream = format!(
                "commit {AGENT_REF}\ncommitter docs-bot <docs-bot@agents.example> 1700000000 +0000\n\
                 data 9\nAdd a doc\nfrom {}\nM 100644 inline docs/guide-1.md\n{}",
                start,
                data(text),
            );
            world.import(env, [stream])
        })
    }

    /// The commit of a push once more, signed with a new ssh key, and the file of allowed signers that has it.
    pub(crate) fn signed(&self, push: &Quarantined) -> (Quarantined, PathBuf) {
        let key = self.root.path().join("key");
        let key = key.to_str().expect("the folder is UTF-8");
        self.run_shell(&format!("ssh-keygen -q -t ed25519 -N '' -f {key}"), &[], "");
        let public = std::fs::read_to_string(format!("{key}.pub")).expect("a key was made");
        let signers = self.root.path().join("allowed_signers");
        std::fs::write(&signers, format!("docs-bot@agents.example {public}"))
            .expect("a file can be written");
        let signed = self.quarantine("tmp_objdir-incoming-signed", |world, env| {
            let mut from = world.quarantine_env(&push.folder);
            let tree = world.run_git(&["rev-parse", &format!("{}^{{tree}}", push.new)], &from, []);
            let objects = format!("{tree}\n^{}\n", world.tip);
            let pack = world.root.path().join("signed.pack");
            let pack = pack.to_str().expect("the folder is UTF-8");
            world.run_shell(
                &format!("git pack-objects --revs -q --stdout > {pack}"),
                &from,
                &objects,
            );
            from = env.to_vec();
            world.run_shell(&format!("git unpack-objects -q < {pack}"), &from, "");
            let sign = [
                "-c",
                "gpg.format=ssh",
                "-c",
                &format!("user.signingkey={key}"),
            ];
            let commit = [
                "commit-tree",
                "-S",
                "-p",
                &world.tip,
                "-m",
                "Add a doc",
                &tree,
            ];
            world.run_git(&[&sign[..], &commit].concat(), env, [])
        });
        (signed, signers)
    }

    /// `count` commits, each editing one file of 230 KB and one small one.
    pub(crate) fn many_commits(&self, count: usize) -> Quarantined {
        let imported = self.quarantine("tmp_objdir-incoming-many", |world, env| {
            let mut lines: Vec<String> = prose(3, 4_000).lines().map(str::to_owned).collect();
            let commit = |number: usize| {
                let at = number * 37 % lines.len();
                lines[at] = format!("line {at} as commit {number} has it, said in other words");
                let from = if number == 0 { format!("from {}\n", world.tip) } else { String::new() };
                format!(
                    "commit {AGENT_REF}\ncommitter docs-bot <docs-bot@agents.example> {} +0000\ndata 4\nEdit\n\
                     {from}M 100644 inline docs/long.md\n{}M 100644 inline docs/note-{}.md\n{}",
                    1_700_000_000 + number,
                    data(&lines.join("\n")),
                    number % 50,
                    data(&prose(number as u64, 20)),
                )
            };
            world.import(env, (0..count).map(commit))
        });
        self.as_received(imported)
    }

    /// Packs a quarantine as receive-pack has it: what the client's `git push` made of its objects.
    /// (fast-import leaves whole objects, which no pusher sends.)
    fn as_received(&self, imported: Quarantined) -> Quarantined {
        let env = self.quarantine_env(&imported.folder);
        let wanted = format!("{}\n^{}\n", imported.new, self.tip);
        let pack = self.root.path().join("pushed.pack");
        let pack = pack.to_str().expect("the folder is UTF-8");
        let sent = "git pack-objects --revs --thin --no-reuse-delta --quiet --stdout";
        self.run_shell(&format!("{sent} > {pack}"), &env, &wanted);
        self.quarantine("tmp_objdir-incoming-received", |world, env| {
            let kept = "git index-pack --fix-thin --stdin";
            world.run_shell(&format!("{kept} < {pack}"), env, "");
            imported.new
        })
    }

    fn run_shell(&self, script: &str, env: &[(String, String)], stdin: &str) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env_clear()
            .envs(scrubbed())
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh starts");
        let mut to_child = child.stdin.take().expect("piped");
        to_child
            .write_all(stdin.as_bytes())
            .expect("it reads its input");
        drop(to_child);
        assert!(child.wait().expect("it ends").success(), "{script}");
    }

    /// Imports below the quarantine and leaves the ref store as it was.
    fn import(&self, env: &[(String, String)], stream: impl IntoIterator<Item = String>) -> String {
        self.run_git(&["fast-import", "--quiet", "--force"], env, stream);
        let new = self.run_git(&["rev-parse", AGENT_REF], env, []);
        self.run_git(&["update-ref", "-d", AGENT_REF], env, []);
        new
    }

    pub(crate) fn hook(&self, push: &Quarantined) -> Run {
        let zeros = "0".repeat(push.new.len());
        let mut env = scrubbed();
        env.extend(self.quarantine_env(&push.folder));
        env.push(("GIT_DIR".into(), ".".into()));
        env.push(("RINGFENCE_BENCH_ACCOUNT".into(), "docs-bot".into()));
        self.pre_receive(env, format!("{zeros} {} {AGENT_REF}\n", push.new))
    }

    fn pre_receive(&self, env: Vec<(String, String)>, stdin: String) -> Run {
        Run {
            program: RINGFENCE.into(),
            args: vec!["hook".into(), "pre-receive".into()],
            env,
            stdin,
            folder: self.git_dir(),
        }
    }

    pub(crate) fn rev_list(&self, push: &Quarantined) -> Run {
        self.git_run(push, &["rev-list", &push.new, "--not", "--all"])
    }

    pub(crate) fn log_patches(&self, push: &Quarantined) -> Run {
        self.git_run(push, &["log", "-p", "-U0", &push.new, "--not", "--all"])
    }

    fn git_run(&self, push: &Quarantined, args: &[&str]) -> Run {
        let mut env = scrubbed();
        env.extend(self.quarantine_env(&push.folder));
        Run {
            program: "git".into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env,
            stdin: String::new(),
            folder: self.git_dir(),
        }
    }

    pub(crate) fn compare(&self, push: &Quarantined, against: &Run, runs: usize) -> Pair {
        let hook = self.hook(push);
        let mut figures = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        let mut peak_kib = 0;
        for warm_up in [true, false] {
            for _ in 0..if warm_up { 3 } else { runs } {
                for (run, (cpu, wall)) in [&hook, against].into_iter().zip(&mut figures) {
                    let (used, elapsed, peak) = run.measure();
                    if !warm_up {
                        cpu.push(used);
                        wall.push(elapsed);
                    }
                    if std::ptr::eq(run, &raw const hook) {
                        peak_kib = peak_kib.max(peak);
                    }
                }
            }
        }
        let [(hook_cpu, hook_wall), (other_cpu, other_wall)] = figures;
        Pair {
            cpu: (median(hook_cpu), median(other_cpu)),
            wall: (median(hook_wall), median(other_wall)),
            peak_kib,
        }
    }

    /// The hook on a push that deletes a branch: nothing is walked.
    pub(crate) fn deletion(&self) -> Run {
        self.git(&["update-ref", AGENT_REF, &self.tip]);
        let zeros = "0".repeat(self.tip.len());
        let mut env = scrubbed();
        env.push(("GIT_DIR".into(), ".".into()));
        env.push(("RINGFENCE_BENCH_ACCOUNT".into(), "docs-bot".into()));
        self.pre_receive(env, format!("{} {zeros} {AGENT_REF}\n", self.tip))
    }

    /// Instructions of a run, by callgrind.
    pub(crate) fn instructions(&self, run: &Run) -> String {
        let child = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&run.program)
            .args(&run.args)
            .env_clear()
            .envs(run.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&run.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            return "? (install valgrind)".to_owned();
        };
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(run.stdin.as_bytes())
            .expect("the hook reads its input");
        let output = child.wait_with_output().expect("valgrind ends");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let count = told
            .lines()
            .find_map(|line| line.split("Collected : ").nth(1));
        count.unwrap_or("?").to_owned()
    }
}

/// A history of `commits` commits on main, and refs spread over it.
fn history(refs: usize, commits: usize) -> impl Iterator<Item = String> {
    let on_main = move |number: usize| {
        let text = data(&prose(number as u64, 60));
        let mut commit = format!(
            "commit refs/heads/main\nmark :{}\ncommitter alice <alice@people.example> {} +0000\ndata 4\nWork\n\
             M 100644 inline src/part-{}/file-{}.txt\n{text}",
            number + 1,
            1_600_000_000 + number * 60,
            number % 20,
            number % 400,
        );
        if number.is_multiple_of(10) {
            commit.push_str(&format!(
                "M 100644 inline docs/guide-{}.md\n{text}",
                number / 10 % 40
            ));
        }
        commit
    };
    let on_topic = move |number: usize| {
        format!(
            "commit refs/heads/topic/{number}\ncommitter alice <alice@people.example> {} +0000\ndata 5\nTopic\n\
             from :{}\nM 100644 inline docs/topic.md\n{}",
            1_650_000_000 + number,
            number * 7 % commits + 1,
            data(&format!("topic {number}\n")),
        )
    };
    (0..commits).map(on_main).chain((0..refs).map(on_topic))
}

fn data(text: &str) -> String {
    format!("data {}\n{text}\n", text.len())
}

/// Lines of words that no two calls with other seeds share: a linear congruential generator picks them.
fn prose(seed: u64, lines: usize) -> String {
    const WORDS: [&str; 24] = [
        "the", "gate", "reads", "every", "commit", "that", "a", "push", "brings", "and", "says",
        "what", "stands", "against", "it", "token", "path", "key", "while", "folder", "branch",
        "value", "secret", "merge",
    ];
    let mut state = seed
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    let mut text = String::new();
    for line in 0..lines {
        text.push_str(&format!("{line}:"));
        for _ in 0..9 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            text.push(' ');
            text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
        }
        text.push('\n');
    }
    text
}
