//! What a push costs, as ratios against git's own commands in the same run: goals G1 to G4, G8 and G9.
//!
//! `cargo bench --bench hook`. Runs alternate (A B A B …), so that a machine whose speed drifts drifts for
//! both; the figures are medians. CPU is user plus system time of the whole process, peak is resident memory.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod parts;
mod world;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;
use world::World;

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
    let deleted = world.deletion();
    println!("  {} instructions", world.instructions(&deleted));

    parts::print(&world);

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

fn median(mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
