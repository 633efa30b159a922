//! Random histories under random boundaries: the gate against a slow, obvious reading of the same rules over `git`'s own
//! plumbing. `REFERENCE_CASES=2000 cargo test reference` looks for more; a case that fails prints its seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::world::World;

const REF: &str = "refs/heads/agents/builder/x";

/// Paths that a push changes. Guards match the one with capitals too.
const PATHS: &[&str] = &[
    "src/a.rs",
    "src/deep/er/b.rs",
    "src/link",
    "docs/guide.md",
    "docs/old/notes.md",
    "docs/new.md",
    "README.md",
    "Makefile",
    "CI/Build.sh",
    "vendor/left/pad.js",
    "tools/x.sh",
];

const GLOBS: &[&str] = &[
    "**",
    "*",
    "src/**",
    "docs/**",
    "docs/*",
    "docs/*.md",
    "**/*.md",
    "**/*.rs",
    "src/*",
    "ci/**",
    "vendor/**",
    "README.md",
    "**/deep/**",
    "tools/?.sh",
];

const OPS: &[&str] = &["add", "modify", "delete", "mode", "symlink", "submodule"];

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % limit as u64).unwrap()
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    fn some<'l>(&mut self, list: &[&'l str], most: usize) -> Vec<&'l str> {
        let count = self.below(most + 1);
        let mut taken: Vec<&str> = (0..count).map(|_| list[self.below(list.len())]).collect();
        taken.sort_unstable();
        taken.dedup();
        taken
    }
}

/// A boundary as the reference reads it.
struct Boundary {
    allows: Vec<(&'static str, Vec<&'static str>)>,
    deny: Vec<&'static str>,
    hold: Vec<&'static str>,
    commits: usize,
    files: usize,
}

impl Boundary {
    fn roll(dice: &mut Dice) -> Self {
        let mut allows = Vec::new();
        for glob in dice.some(GLOBS, 4) {
            let mut may = dice.some(OPS, 6);
            if may.is_empty() {
                may.push("modify");
            }
            allows.push((glob, may));
        }
        Boundary {
            allows,
            deny: dice.some(GLOBS, 1),
            hold: dice.some(GLOBS, 1),
            commits: 2 + dice.below(5),
            files: 2 + dice.below(8),
        }
    }

    fn policy(&self) -> String {
        let mut text = String::from(
            "version: 1\nhost: { kind: plain, account_env: RINGFENCE_TEST_ACCOUNT }\nidentities:\n  \
             builder: { kind: agent, match: { account: builder }, boundary: code }\nboundaries:\n  code:\n    \
             refs: [{ match: \"refs/heads/agents/builder/**\", may: [create, update] }]\n",
        );
        if !self.allows.is_empty() {
            text.push_str("    paths:\n");
        }
        for (glob, may) in &self.allows {
            writeln!(
                text,
                "      - {{ match: \"{glob}\", may: [{}] }}",
                may.join(", ")
            )
            .unwrap();
        }
        for (key, globs) in [("deny", &self.deny), ("hold", &self.hold)] {
            if let [glob] = globs[..] {
                writeln!(text, "    {key}: [{{ id: it, paths: [\"{glob}\"] }}]").unwrap();
            }
        }
        writeln!(
            text,
            "    limits: {{ commits: {}, files: {} }}",
            self.commits, self.files
        )
        .unwrap();
        text
    }

    /// What becomes of one operation on one path.
    fn level(&self, path: &str, op: &str) -> Option<&'static str> {
        let folded = path.to_lowercase();
        let guarded = |globs: &[&str]| {
            let mut globs = globs.iter();
            globs.any(|glob| matches(glob, path) || matches(&glob.to_lowercase(), &folded))
        };
        let allows = |(glob, may): &(&str, Vec<&str>)| matches(glob, path) && may.contains(&op);
        if guarded(&self.deny) || !self.allows.iter().any(allows) {
            Some("deny")
        } else if guarded(&self.hold) {
            Some("hold")
        } else {
            None
        }
    }
}

/// Globs by trying everything: `*` and `?` in a folder, `**` over folders.
fn matches(glob: &str, path: &str) -> bool {
    fn folders(glob: &[&str], path: &[&str]) -> bool {
        match (glob, path) {
            ([], []) => true,
            (["**"], rest) => !rest.is_empty(),
            (["**", more @ ..], rest) => (0..=rest.len()).any(|skip| folders(more, &rest[skip..])),
            ([one, more @ ..], [name, rest @ ..]) => {
                name_matches(one.as_bytes(), name.as_bytes()) && folders(more, rest)
            }
            _ => false,
        }
    }
    fn name_matches(glob: &[u8], name: &[u8]) -> bool {
        match (glob, name) {
            ([], []) => true,
            ([b'*', more @ ..], rest) => {
                (0..=rest.len()).any(|skip| name_matches(more, &rest[skip..]))
            }
            ([b'?', more @ ..], [_, rest @ ..]) => name_matches(more, rest),
            ([one, more @ ..], [letter, rest @ ..]) => one == letter && name_matches(more, rest),
            _ => false,
        }
    }

    let glob: Vec<&str> = glob.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    folders(&glob, &path)
}

/// A change of one path for `git fast-import`, of those that are possible for what is there.
fn change(dice: &mut Dice, path: &str, is_there: bool, number: usize) -> String {
    match (is_there, dice.below(8)) {
        (true, 0 | 1) => format!("D {path}\n"),
        (true, 2) => format!("M 100755 inline {path}\ndata 5\nexec\n\n"),
        (_, 3) => format!("M 120000 inline {path}\ndata 4\na.rs\n"),
        (_, 4) => format!("M 160000 {:040x} {path}\n", number + 1),
        _ => {
            let text = format!("text {number}\n");
            format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len())
        }
    }
}

/// One push: commits on an older main, perhaps with the newer main merged, cleanly or not.
fn history(dice: &mut Dice, old_main: &str, new_main: &str, main_changes: &str) -> String {
    let mut stream = String::new();
    let mut left: Vec<&str> = PATHS[..].to_vec();
    let count = 1 + dice.below(5);
    let merge_at = dice.one_in(2).then(|| 1 + dice.below(count));
    for number in 0..=count {
        let merges = merge_at == Some(number);
        if number == count && !merges {
            break;
        }
        writeln!(stream, "commit refs/scratch/x\nmark :{}", number + 1).unwrap();
        writeln!(
            stream,
            "committer builder <builder@agents.example> {} +0000",
            1_767_300_000 + number
        )
        .unwrap();
        stream.push_str("data 2\nX\n");
        match number {
            0 => writeln!(stream, "from {old_main}").unwrap(),
            _ => writeln!(stream, "from :{number}").unwrap(),
        }
        if merges {
            writeln!(stream, "merge {new_main}").unwrap();
            stream.push_str(main_changes);
        }
        let changes = if merges {
            usize::from(dice.one_in(3))
        } else {
            1 + dice.below(3)
        };
        for _ in 0..changes.min(left.len()) {
            // Each path once, so that the net effect is what the commits say.
            let path = left.swap_remove(dice.below(left.len()));
            let is_there = SEED_PATHS.contains(&path);
            stream.push_str(&change(dice, path, is_there, number));
        }
    }
    stream.push_str("done\n");
    stream
}

/// What stands on main of [`PATHS`].
const SEED_PATHS: &[&str] = &[
    "README.md",
    "docs/guide.md",
    "docs/old/notes.md",
    "vendor/left/pad.js",
];

/// What `main` gets behind the agent's back. No path of a push.
const MAIN_CHANGES: &str = "M 100644 inline .github/workflows/ci.yml\ndata 3\nnew\nM 100644 inline docs/faq.md\ndata 4\nmore\n";

/// Path to level, read from git's own answers.
fn expected(
    world: &World,
    boundary: &Boundary,
    new: &str,
) -> (BTreeMap<String, &'static str>, usize, usize) {
    let git = |arguments: &[&str]| world.server_git(arguments);
    let commits = git(&["rev-list", "--parents", new, "--not", "refs/heads/main"]);
    let mut levels: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut files = std::collections::BTreeSet::new();
    for line in commits.lines() {
        let ids: Vec<&str> = line.split(' ').collect();
        let raw = match ids[..] {
            [commit, parent] => git(&["diff-tree", "-r", "--raw", "--no-renames", parent, commit]),
            // What the merge has and the automatic one would not have.
            [commit, first, second] => {
                let tree = git(&["merge-tree", "--write-tree", first, second]);
                git(&[
                    "diff-tree",
                    "-r",
                    "--raw",
                    "--no-renames",
                    tree.trim(),
                    commit,
                ])
            }
            _ => unreachable!("no root and no octopus is made"),
        };
        for change in raw.lines() {
            let (facts, path) = change.split_once('\t').unwrap();
            let words: Vec<&str> = facts.trim_start_matches(':').split(' ').collect();
            let [before, after, ..] = words[..] else {
                unreachable!("a raw line")
            };
            let (none, link, module) = ("000000", "120000", "160000");
            let is_plain = |mode: &str| mode.starts_with("100");
            let mut ops = Vec::new();
            if before == none {
                ops.push("add");
            } else if after == none {
                ops.push("delete");
            } else if words[2] != words[3] || is_plain(before) != is_plain(after) {
                ops.push("modify");
            }
            if is_plain(before) && is_plain(after) && before != after {
                ops.push("mode");
            }
            if after == link || before == link && after != none {
                ops.push("symlink");
            }
            if before == module || after == module {
                ops.push("submodule");
            }
            files.insert(path.to_owned());
            for level in ops.iter().filter_map(|op| boundary.level(path, op)) {
                let entry = levels.entry(path.to_owned()).or_insert(level);
                if level == "deny" {
                    *entry = level;
                }
            }
        }
    }
    (levels, commits.lines().count(), files.len())
}

#[test]
fn the_gate_says_what_a_slow_reading_of_git_says() {
    let world = World::new();
    let old_main = world.id("refs/heads/main");
    let stream = format!(
        "commit refs/heads/main\ncommitter alice <alice@people.example> 1767290000 +0000\ndata 2\nM\nfrom {old_main}\n{MAIN_CHANGES}done\n"
    );
    let server = world.server();
    world.feed(
        &server,
        &["fast-import", "--quiet", "--done"],
        stream.as_bytes(),
    );
    let new_main = world.id("refs/heads/main");
    let cases: u64 = std::env::var("REFERENCE_CASES").map_or(60, |count| {
        count.parse().expect("REFERENCE_CASES is a number")
    });
    for seed in 0..cases {
        let mut dice = Dice(seed);
        let boundary = Boundary::roll(&mut dice);
        world.set_policy(&boundary.policy());
        let stream = history(&mut dice, &old_main, &new_main, MAIN_CHANGES);
        let arguments = ["fast-import", "--quiet", "--force", "--done"];
        world.feed(&server, &arguments, stream.as_bytes());
        let new = world.id("refs/scratch/x");
        let (paths, commits, files) = expected(&world, &boundary, &new);
        let mut command = world.ringfence_command(&server);
        command.args(["check", "--as", "builder", "--ref", REF, "--format", "json"]);
        command.args(["--old", &"0".repeat(40), "--new", &new, "--repo", "."]);
        let output = command
            .arg("--policy")
            .arg(world.policy_path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let about = || {
            format!(
                "seed {seed}\n{}\n{stream}\n{told}\n{}",
                boundary.policy(),
                crate::world::both(&output)
            )
        };
        let document: serde_json::Value =
            serde_json::from_str(&told).unwrap_or_else(|_| panic!("{}", about()));
        let findings = document["findings"].as_array().unwrap();
        let mut found: BTreeMap<String, &str> = BTreeMap::new();
        for finding in findings {
            let (Some(path), Some(level)) = (finding["path"].as_str(), finding["level"].as_str())
            else {
                continue;
            };
            if level == "warn" {
                continue;
            }
            let entry = found.entry(path.to_owned()).or_insert(level);
            if level == "deny" {
                *entry = level;
            }
        }
        let paths: BTreeMap<String, &str> = paths.into_iter().collect();
        assert_eq!(found, paths, "{}", about());
        let has = |rule: &str| findings.iter().any(|finding| finding["rule"] == rule);
        assert_eq!(
            has("limit/commits"),
            commits > boundary.commits,
            "{}",
            about()
        );
        assert_eq!(has("limit/files"), files > boundary.files, "{}", about());
        let refused = paths.values().any(|level| *level == "deny")
            || commits > boundary.commits
            || files > boundary.files;
        let verdict = match (refused, paths.is_empty()) {
            (true, _) => "reject",
            (false, true) => "accept",
            (false, false) => "hold",
        };
        assert_eq!(document["verdict"], verdict, "{}", about());
    }
}

/// A file of some lines, edited again and again: tokens come and go, whole, cut in two, and put together again.
fn versions(dice: &mut Dice, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = (0..40 + dice.below(400))
        .map(|line| format!("let value_{line} = read(\"part {line}\", password_of(user));"))
        .collect();
    if dice.one_in(3) {
        // Whatever is noted of such a text is of no use for the next version.
        let at = dice.below(lines.len());
        lines.insert(at, "<w:t>page</w:t>".to_owned());
    }
    let mut all = Vec::new();
    for version in 0..count {
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(lines.len());
            match dice.below(8) {
                0 => lines.insert(at, format!("// said in version {version}")),
                1 => drop(lines.remove(at)),
                2 => lines.insert(at, format!("hidden\u{200b} {version}")),
                3 => {
                    let moved: Vec<String> = lines.drain(at..lines.len().min(at + 9)).collect();
                    let to = dice.below(lines.len() + 1);
                    lines.splice(to..to, moved);
                }
                4 => {
                    // In the middle of whatever stands there, and back together.
                    let cut = lines[at].len() / 2;
                    if lines[at].is_char_boundary(cut) {
                        let tail = lines[at].split_off(cut);
                        lines.insert(at + 1, tail);
                    }
                }
                5 if at + 1 < lines.len() => {
                    let tail = lines.remove(at + 1);
                    lines[at].push_str(&tail);
                }
                kind => {
                    let seed = dice.below(1_000_000);
                    let form =
                        ["{{github-pat:S}}", "{{base64:S}}", "{{aws-secret-key:S}}"][kind % 3];
                    let secret = form.replace('S', &seed.to_string());
                    let secret = crate::samples::expand(&secret, &mut Vec::new());
                    let secret = String::from_utf8(secret).unwrap();
                    lines.insert(at, format!("aws_secret_access_key = \"{secret}\""));
                }
            }
        }
        all.push(lines.join("\n") + "\n");
    }
    all
}

/// What is told of each text is the same, whether it comes with the version before it or alone.
#[test]
fn versions_in_one_push_are_told_as_if_each_came_alone() {
    let world = World::new();
    let server = world.server();
    world.set_policy(
        "version: 1\nhost: { kind: plain, account_env: RINGFENCE_TEST_ACCOUNT }\nidentities:\n  \
         builder: { kind: agent, match: { account: builder }, boundary: code }\nboundaries:\n  code:\n    \
         refs: [{ match: \"refs/heads/agents/builder/**\", may: [create, update] }]\n    \
         paths: [{ match: \"**\", may: [add, modify, delete] }]\n    \
         checks: { secrets: warn, hidden-unicode: warn }\n",
    );
    let main = world.id("refs/heads/main");
    let told = |new: &str| {
        let mut command = world.ringfence_command(&server);
        command.args(["check", "--as", "builder", "--ref", REF, "--format", "json"]);
        command.args(["--old", &"0".repeat(40), "--new", new, "--repo", "."]);
        let output = command
            .arg("--policy")
            .arg(world.policy_path())
            .output()
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", crate::world::both(&output)));
        let findings = document["findings"].as_array().unwrap().clone();
        let of = |finding: &serde_json::Value| {
            let place = ["commit", "line", "column", "rule", "bytes"];
            place.map(|key| finding[key].to_string())
        };
        // What was there is told where its place is another; it is no matter how often.
        let is_told = |finding: &&serde_json::Value| finding["rule"] != "unicode/already-present";
        findings.iter().filter(is_told).map(of).collect::<Vec<_>>()
    };
    let mut hits = 0;
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut stream = String::new();
        let texts = versions(&mut dice, 12);
        for (number, text) in texts.iter().enumerate() {
            let from = if number == 0 {
                format!("from {main}\n")
            } else {
                String::new()
            };
            write!(
                stream,
                "commit refs/scratch/x\ncommitter builder <builder@agents.example> {} +0000\ndata 1\nM\n{from}\
                 M 100644 inline src/a.rs\ndata {}\n{text}\n",
                1_767_290_000 + number,
                text.len()
            )
            .unwrap();
        }
        stream.push_str("done\n");
        world.server_git(&["update-ref", "refs/heads/main", &main]);
        let arguments = ["fast-import", "--quiet", "--force", "--done"];
        world.feed(&server, &arguments, stream.as_bytes());
        let range = format!("{main}..refs/scratch/x");
        let commits = world.server_git(&["rev-list", "--reverse", &range]);
        let together = told(commits.lines().last().unwrap());
        let mut alone = Vec::new();
        // In one push a value is told once, with all its places: where it came first.
        let mut known = std::collections::BTreeSet::new();
        for (commit, text) in commits.lines().zip(&texts) {
            alone.extend(
                told(commit)
                    .into_iter()
                    .filter(|[_, line, column, rule, _]| {
                        let place = |number: &String| number.parse::<usize>().unwrap() - 1;
                        let line = text.lines().nth(place(line)).unwrap();
                        let start: String = line.chars().skip(place(column)).take(30).collect();
                        rule.contains("unicode/") || known.insert((rule.clone(), start))
                    }),
            );
            world.server_git(&["update-ref", "refs/heads/main", commit]);
        }
        let (mut one, mut other) = (together, alone);
        one.sort();
        other.sort();
        hits += one.len();
        assert_eq!(one, other, "seed {seed}");
    }
    assert!(hits > 100, "{hits}");
}
