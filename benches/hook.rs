//! What a push costs, as ratios against git's own commands in the same run: goals G1 to G4, G8 and G9.
//!
//! `cargo bench --bench hook`. Runs alternate (A B A B …), so that a machine whose speed drifts drifts for
//! both; the figures are medians. CPU is user plus system time of the whole process, peak is resident memory.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

const RINGFENCE: &str = env!("CARGO_BIN_EXE_ringfence");
const AGENT_REF: &str = "refs/heads/agents/docs-bot/work";

fn main() {
    // `cargo test --benches` runs this too; measuring takes minutes and belongs to `cargo bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let pack = &ringfence::scan::BUILTIN;
    println!(
        "{} secret rules, {} keywords",
        pack.len(),
        pack.prefilter.len() + pack.names.len()
    );
    let goal = |name: &str, text: &str| println!("\n{name}  {text}");

    goal(
        "G1",
        "1-commit push at 400 refs: CPU <= 0.5x rev-list --not --all (1.2x with a commit-graph)",
    );
    let world = World::new(400, 3_000);
    let push = world.one_commit();
    let one = world.compare(&push, &world.rev_list(&push), 60);
    one.print("hook / git rev-list NEW --not --all");
    world
        .compare(&push, &git_version(), 60)
        .print("hook / git version (wall <= 2x)");
    println!("  peak {} KiB (G8: <= 16 MiB)", one.peak_kib);
    world.git(&["commit-graph", "write", "--reachable"]);
    world
        .compare(&push, &world.rev_list(&push), 60)
        .print("the same with a commit-graph");
    world.write_policy(500);
    let many = world.compare(&push, &world.rev_list(&push), 60);
    println!(
        "  policy of 500 identities: {:+.2} ms CPU (<= 3 ms)",
        millis(many.cpu.0) - millis(one.cpu.0)
    );
    world.write_policy(1);

    goal(
        "G2",
        "start-up with rules, before the walk: <= 3 M instructions (a push that deletes a branch)",
    );
    world.count_instructions();

    goal("G3", "the same at 100,000 refs: <= 1.5x G1's own time");
    let crowded = World::new(100_000, 3_000);
    let crowded_push = crowded.one_commit();
    let other = crowded.compare(&crowded_push, &crowded.rev_list(&crowded_push), 20);
    other.print("hook / git rev-list NEW --not --all");
    println!(
        "  100,000 refs / 400 refs, CPU: {:.2}x",
        ratio(other.cpu.0, one.cpu.0)
    );
    println!("\nA branch that starts 5,000 commits behind main, one commit pushed");
    behind("400 refs", &World::new(400, 6_000));
    drop(crowded);
    behind("100,000 refs", &World::new(100_000, 6_000));

    goal(
        "G4",
        "1,000-commit push, scan included: CPU <= 0.25x git log -p -U0",
    );
    let long = world.many_commits(1_000);
    let thousand = world.compare(&long, &world.log_patches(&long), 7);
    thousand.print("hook / git log -p -U0 NEW --not --all");
    println!("  peak {} KiB (G8: <= 64 MiB)", thousand.peak_kib);

    goal("G9", "one static binary, at most 8 MiB");
    let binary = std::fs::read(RINGFENCE).expect("the program is built");
    // An interpreter path stands in every dynamic ELF program.
    let dynamic = binary.windows(13).any(|window| window == b"/lib64/ld-lin");
    println!(
        "  {:.2} MiB, {}",
        binary.len() as f64 / 1048576.0,
        if dynamic { "DYNAMIC" } else { "static" }
    );
}

/// Two commands measured in turns.
struct Pair {
    cpu: (Duration, Duration),
    wall: (Duration, Duration),
    peak_kib: u64,
}

impl Pair {
    fn print(&self, what: &str) {
        println!(
            "  {what}: CPU {:.2}x ({:.2} / {:.2} ms), wall {:.2}x ({:.2} / {:.2} ms)",
            ratio(self.cpu.0, self.cpu.1),
            millis(self.cpu.0),
            millis(self.cpu.1),
            ratio(self.wall.0, self.wall.1),
            millis(self.wall.0),
            millis(self.wall.1),
        );
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// One run of a command: what it is fed and what it must exit with.
struct Run {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: String,
    folder: PathBuf,
}

/// The hook against git's own walk, without a commit-graph and with one.
fn behind(refs: &str, world: &World) {
    let push = world.one_commit_from("refs/heads/main~5000");
    let plain = world.compare(&push, &world.rev_list(&push), 20);
    plain.print(&format!("{refs}: hook / git rev-list NEW --not --all"));
    world.git(&["commit-graph", "write", "--reachable"]);
    let graph = world.compare(&push, &world.rev_list(&push), 20);
    graph.print(&format!("{refs}, with a commit-graph"));
}

impl Run {
    /// CPU time, wall time and peak memory in KiB of one run.
    fn measure(&self) -> (Duration, Duration, u64) {
        let started = Instant::now();
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin
            .write_all(self.stdin.as_bytes())
            .expect("the command reads its input");
        drop(stdin);
        let used = child.wait4().expect("the command ends");
        let wall = started.elapsed();
        assert!(
            used.status.success(),
            "{:?} {:?}: {:?}",
            self.program,
            self.args,
            used.status
        );
        (
            used.rusage.utime + used.rusage.stime,
            wall,
            used.rusage.maxrss / 1024,
        )
    }
}

fn git_version() -> Run {
    Run {
        program: "git".into(),
        args: vec!["version".into()],
        env: scrubbed(),
        stdin: String::new(),
        folder: std::env::temp_dir(),
    }
}

fn scrubbed() -> Vec<(String, String)> {
    let path = std::env::var("PATH").expect("PATH is set");
    [
        ("PATH", path.as_str()),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "docs-bot"),
        ("GIT_AUTHOR_EMAIL", "docs-bot@agents.example"),
        ("GIT_COMMITTER_NAME", "docs-bot"),
        ("GIT_COMMITTER_EMAIL", "docs-bot@agents.example"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// New objects in a quarantine, as receive-pack leaves them for the hook.
struct Quarantined {
    new: String,
    folder: PathBuf,
}

/// A bare repository with a history, many refs and a policy.
struct World {
    root: tempfile::TempDir,
    tip: String,
}

impl World {
    fn new(refs: usize, commits: usize) -> Self {
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

    fn git(&self, args: &[&str]) -> String {
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
    fn write_policy(&self, count: usize) {
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
        std::fs::create_dir_all(self.root.path().join("ringfence")).expect("a folder can be made");
        std::fs::write(self.root.path().join("ringfence/policy.yaml"), text)
            .expect("a file can be written");
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

    fn one_commit(&self) -> Quarantined {
        self.one_commit_from(&self.tip)
    }

    fn one_commit_from(&self, start: &str) -> Quarantined {
        let start = self.git(&["rev-parse", start]);
        self.quarantine("tmp_objdir-incoming-one", |world, env| {
            let stream = format!(
                "commit {AGENT_REF}\ncommitter docs-bot <docs-bot@agents.example> 1700000000 +0000\n\
                 data 9\nAdd a doc\nfrom {}\nM 100644 inline docs/guide-1.md\n{}",
                start,
                data(&prose(7, 120)),
            );
            world.import(env, [stream])
        })
    }

    /// `count` commits, each editing one file of 230 KB and one small one.
    fn many_commits(&self, count: usize) -> Quarantined {
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

    fn hook(&self, push: &Quarantined) -> Run {
        let zeros = "0".repeat(push.new.len());
        let mut env = scrubbed();
        env.extend(self.quarantine_env(&push.folder));
        env.push(("GIT_DIR".into(), ".".into()));
        env.push(("RINGFENCE_BENCH_ACCOUNT".into(), "docs-bot".into()));
        Run {
            program: RINGFENCE.into(),
            args: vec!["hook".into(), "pre-receive".into()],
            env,
            stdin: format!("{zeros} {} {AGENT_REF}\n", push.new),
            folder: self.git_dir(),
        }
    }

    fn rev_list(&self, push: &Quarantined) -> Run {
        self.git_run(push, &["rev-list", &push.new, "--not", "--all"])
    }

    fn log_patches(&self, push: &Quarantined) -> Run {
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

    fn compare(&self, push: &Quarantined, against: &Run, runs: usize) -> Pair {
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

    /// Instructions of a hook run without a walk, by callgrind.
    fn count_instructions(&self) {
        self.git(&["update-ref", AGENT_REF, &self.tip]);
        let zeros = "0".repeat(self.tip.len());
        let mut env = scrubbed();
        env.push(("GIT_DIR".into(), ".".into()));
        env.push(("RINGFENCE_BENCH_ACCOUNT".into(), "docs-bot".into()));
        let child = Command::new("valgrind")
            .args([
                "--tool=callgrind",
                "--callgrind-out-file=/dev/null",
                RINGFENCE,
                "hook",
                "pre-receive",
            ])
            .env_clear()
            .envs(env)
            .current_dir(self.root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("  not measured: install valgrind");
            return;
        };
        let line = format!("{} {zeros} {AGENT_REF}\n", self.tip);
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(line.as_bytes())
            .expect("the hook reads its input");
        let output = child.wait_with_output().expect("valgrind ends");
        let told = String::from_utf8_lossy(&output.stderr);
        let count = told
            .lines()
            .find_map(|line| line.split("Collected : ").nth(1))
            .unwrap_or("?");
        println!("  {count} instructions, {}", output.status);
    }
}

fn median(mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    figures[figures.len() / 2]
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
