//! Generated histories: what `git` says of ranges, changes and merges is compared with what we say.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::tests::told;
use super::world::*;
use super::*;
use crate::budget::Bounds;
use crate::repo::changes::Origin;

const DAY: i64 = 86_400;

/// Turns a list of numbers into choices; shrinking the list shrinks the world.
pub(super) struct Dice<'c> {
    numbers: std::slice::Iter<'c, u32>,
}

impl<'c> Dice<'c> {
    pub(super) fn new(numbers: &'c [u32]) -> Self {
        Dice {
            numbers: numbers.iter(),
        }
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        let number = self.numbers.next().copied().unwrap_or(0);
        number as usize % limit.max(1)
    }

    pub(super) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == odds - 1
    }

    pub(super) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

const PATHS: [&str; 9] = ["a", "b", "c", "d/e", "d/f", "d", "g/h/i", "g/h/j", "g/k"];

/// Changes a few files. File and folder of the same name take each other's place.
fn edit(dice: &mut Dice<'_>, files: &mut Files) {
    for _ in 0..=dice.below(3) {
        let path = dice.of(&PATHS);
        match dice.below(10) {
            0 => {
                files.remove(path);
            }
            1 => {
                if let Some(file) = files.get_mut(path).filter(|file| file.0 != 0o160_000) {
                    file.0 = dice.of(&[0o100_644, 0o100_755, 0o120_000]);
                }
            }
            2 => {
                let link = format!("{:040x}", 1 + dice.below(3));
                clear_way(files, path);
                files.insert(path.into(), (0o160_000, link.into()));
            }
            _ => edit_lines(dice, files, path),
        }
    }
}

fn edit_lines(dice: &mut Dice<'_>, files: &mut Files, path: &str) {
    let mut lines: Vec<String> = match files.get(path) {
        Some((0o100_644 | 0o100_755, text)) => String::from_utf8(text.clone())
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
        _ => (0..dice.below(14))
            .map(|at| format!("{}", at % 9))
            .collect(),
    };
    for _ in 0..=dice.below(2) {
        let at = dice.below(lines.len() + 1);
        let text = format!("{}", dice.below(5));
        match dice.below(3) {
            0 if at < lines.len() => {
                lines.remove(at);
            }
            1 if at < lines.len() => lines[at] = text,
            _ => lines.insert(at, text),
        }
    }
    let mut text = lines.join("\n");
    if !dice.one_in(6) {
        text.push('\n');
    }
    let mode = files.get(path).map_or(0o100_644, |file| file.0);
    let mode = if mode == 0o160_000 { 0o100_644 } else { mode };
    clear_way(files, path);
    files.insert(path.into(), (mode, text.into_bytes()));
}

fn clear_way(files: &mut Files, path: &str) {
    files.retain(|other, _| {
        !other.starts_with(&format!("{path}/")) && !path.starts_with(&format!("{other}/"))
    });
}

struct Generated {
    world: World,
    commits: Vec<Oid>,
    stored: usize,
}

fn generate(dice: &mut Dice<'_>, skewed: bool) -> Generated {
    let world = World::new();
    let count = 4 + dice.below(14);
    let stored = 1 + dice.below(count);
    let mut commits: Vec<Oid> = Vec::new();
    let mut trees: Vec<Files> = Vec::new();
    for at in 0..count {
        let mut parents = Vec::new();
        if at > 0 && !dice.one_in(12) {
            for _ in 0..=dice.of(&[0, 0, 0, 1, 1, 2]) {
                let parent = at - 1 - dice.below(at.min(5));
                if !parents.contains(&parent) {
                    parents.push(parent);
                }
            }
        }
        let mut files = Files::new();
        for parent in &parents {
            for (path, file) in &trees[*parent] {
                if !files.contains_key(path) || dice.one_in(3) {
                    clear_way(&mut files, path);
                    files.insert(path.clone(), file.clone());
                }
            }
        }
        if parents.is_empty() {
            for path in ["a", "b", "d/e", "g/h/i", "g/k"] {
                edit_lines(dice, &mut files, path);
            }
        }
        if parents.len() < 2 || dice.one_in(3) {
            edit(dice, &mut files);
        }
        let date = if skewed && dice.one_in(3) {
            dice.of(&[0, 1_000 * DAY, at as i64 * 2 * DAY])
        } else {
            at as i64 * DAY
        };
        let parents: Vec<Oid> = parents.iter().map(|at| commits[*at]).collect();
        commits.push(world.commit(at >= stored, &parents, &files, date));
        trees.push(files);
    }
    Generated {
        world,
        commits,
        stored,
    }
}

fn id_lines(out: &[u8]) -> Vec<Oid> {
    out.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| Oid::from_hex(line).unwrap())
        .collect()
}

type Diff = Vec<(String, Vec<String>)>;

/// What git says of commits: path to mode and id in each parent and in the commit.
fn raw_diffs(world: &World, commits: &[Oid]) -> HashMap<Oid, Diff> {
    let input: String = commits.iter().map(|id| format!("{id}\n")).collect();
    let args = [
        "diff-tree",
        "-r",
        "--root",
        "--no-renames",
        "--raw",
        "-z",
        "-c",
        "--always",
        "--no-abbrev",
        "--stdin",
    ];
    let (_, out) = world.git_with(&args, input.as_bytes());
    let mut diffs: HashMap<Oid, Diff> = HashMap::new();
    let mut commit = None;
    let mut fields = out.split(|byte| *byte == 0);
    while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
        let text = String::from_utf8(field.to_vec()).unwrap();
        let parents = text.bytes().take_while(|byte| *byte == b':').count();
        if parents == 0 {
            commit = Oid::from_hex(text.as_bytes()).ok();
            diffs.entry(commit.unwrap()).or_default();
            continue;
        }
        let words: Vec<&str> = text[parents..].split(' ').collect();
        let path = String::from_utf8(fields.next().unwrap().to_vec()).unwrap();
        let sides = (0..=parents)
            .map(|at| format!("{} {}", words[at], words[parents + 1 + at]))
            .collect();
        diffs.get_mut(&commit.unwrap()).unwrap().push((path, sides));
    }
    for diff in diffs.values_mut() {
        diff.sort();
    }
    diffs
}

fn our_diff(commit: &NewCommit) -> Diff {
    let side = |entry: &Option<Entry>| match entry {
        None => format!("000000 {}", "0".repeat(40)),
        Some(entry) => {
            let mode = match entry.mode {
                Mode::Blob => 0o100_644,
                Mode::Executable => 0o100_755,
                Mode::Symlink => 0o120_000,
                Mode::Gitlink => 0o160_000,
                other => panic!("{other:?}"),
            };
            format!("{mode:06o} {}", entry.id)
        }
    };
    let mut found: Vec<_> = commit
        .changes
        .iter()
        .filter(|change| change.origin != Origin::Discards)
        .map(|change| {
            let mut sides: Vec<_> = change.old.iter().map(side).collect();
            if sides.is_empty() {
                sides.push(side(&None));
            }
            sides.push(side(&change.new));
            (change.path.to_string(), sides)
        })
        .collect();
    found.sort();
    found
}

fn check_ranges(numbers: &[u32], skewed: bool) {
    let mut dice = Dice::new(numbers);
    let Generated {
        world,
        commits,
        stored,
    } = generate(&mut dice, skewed);
    let trusted: Vec<Oid> = (0..dice.below(3))
        .map(|_| dice.of(&commits[..stored]))
        .collect();
    let updates: Vec<RefUpdate> = (0..=dice.below(2))
        .map(|at| {
            let old = (!dice.one_in(3)).then(|| dice.of(&commits[..stored]));
            let new = commits[commits.len() - 1 - dice.below(commits.len())];
            update(&format!("refs/heads/{at}"), old, Some(new))
        })
        .collect();
    let history = world.history(&updates, &trusted);
    for (index, update) in updates.iter().enumerate() {
        let new = update.command.new.unwrap().to_string();
        let known: Vec<String> = trusted
            .iter()
            .chain(&update.stored)
            .map(Oid::to_string)
            .collect();
        let mut args = vec!["rev-list", &new, "--not"];
        args.extend(known.iter().map(String::as_str));
        let mut expected = id_lines(&world.git(&args).1);
        let mut found: Vec<Oid> = history
            .commits
            .iter()
            .filter(|commit| commit.updates.contains(&index))
            .map(|commit| commit.commit.id)
            .collect();
        expected.sort();
        found.sort();
        // Worlds are smaller than the slack, so not even wrong dates make a difference.
        assert_eq!(found, expected);
        let expected = match update.stored {
            None => RefOp::Create,
            Some(old) => {
                let args = ["merge-base", "--is-ancestor", &old.to_string(), &new];
                [RefOp::Update, RefOp::Force][world.git(&args).0 as usize]
            }
        };
        assert_eq!(history.moves[index], expected);
    }
    let seen = ids(&history);
    let diffs = raw_diffs(&world, &seen);
    for (at, commit) in history.commits.iter().enumerate() {
        for parent in &commit.commit.parents {
            assert!(!seen[at..].contains(parent), "a child before its parent");
        }
        assert_eq!(our_diff(commit), diffs[&commit.commit.id]);
        assert!(commit.tree_defects.is_empty(), "{:?}", commit.tree_defects);
    }
    // Everything sent belongs to the new values or is told.
    let tips: Vec<String> = updates
        .iter()
        .filter_map(|update| update.command.new)
        .map(|new| new.to_string())
        .collect();
    let mut args = vec!["rev-list", "--objects", "--no-object-names"];
    args.extend(tips.iter().map(String::as_str));
    let reached: HashSet<Oid> = id_lines(&world.git(&args).1).into_iter().collect();
    let budget = Budget::new(Bounds::default());
    let mut expected = world.repo().incoming_objects(&budget).unwrap();
    expected.retain(|id| !reached.contains(id));
    let found: Vec<Oid> = history.unreferenced.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, expected);
}

/// Path, mode and id of all entries of a tree.
fn listed(world: &World, tree: &str) -> Vec<(String, u32, Oid)> {
    let (_, out) = world.git(&["ls-tree", "-r", "-z", tree]);
    out.split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let text = String::from_utf8(line.to_vec()).unwrap();
            let (entry, path) = text.split_once('\t').unwrap();
            let words: Vec<&str> = entry.split(' ').collect();
            (
                path.to_owned(),
                u32::from_str_radix(words[0], 8).unwrap(),
                Oid::from_hex(words[2].as_bytes()).unwrap(),
            )
        })
        .collect()
}

/// The paths that a merge of `parents` with this tree is blamed for.
fn blamed(world: &World, parents: &[Oid], tree: Oid) -> Vec<String> {
    let merge = world.commit_tree(true, parents, tree, 500 * DAY);
    let create = update("refs/heads/x", None, Some(merge));
    let history = world.history(&[create], parents);
    assert_eq!(ids(&history), [merge]);
    let commit = &history.commits[0];
    assert_eq!(our_diff(commit), raw_diffs(world, &[merge])[&merge]);
    told(&commit.changes)
        .into_iter()
        .filter(|(_, _, origin)| *origin != Origin::AutoMerge)
        .map(|(path, _, _)| path)
        .collect()
}

/// Merges two commits with git and looks at what we make of its result, as it is and tampered with.
fn check_merges(numbers: &[u32]) {
    let mut dice = Dice::new(numbers);
    let Generated { world, commits, .. } = generate(&mut dice, false);
    let late = &commits[commits.len() - 4..];
    let parents = [dice.of(late), dice.of(late)];
    if parents[0] == parents[1] {
        return;
    }
    let (status, out) = world.git(&[
        "merge-tree",
        "--write-tree",
        "--allow-unrelated-histories",
        "-X",
        "no-renames",
        &parents[0].to_string(),
        &parents[1].to_string(),
    ]);
    let tree = id_lines(&out[..41])[0];
    let told = blamed(&world, &parents, tree);
    if status == 1 {
        assert!(!told.is_empty(), "a conflict passes");
        return;
    }
    assert!(told.is_empty(), "a clean merge is blamed for {told:?}");

    let clean = listed(&world, &tree.to_string());
    let mut entries = clean.clone();
    let at = dice.below(entries.len());
    match dice.below(4) {
        0 if !entries.is_empty() => {
            entries.remove(at);
        }
        1 if !entries.is_empty() => {
            entries[at].1 = 0o100_644;
            entries[at].2 = world.blob(true, b"tampered");
        }
        2 => entries.push(("zz/new".into(), 0o100_644, world.blob(true, b"new"))),
        _ => entries = listed(&world, &format!("{}^{{tree}}", dice.of(&parents))),
    }
    let lines: Vec<(&str, u32, Oid)> = entries
        .iter()
        .map(|(path, mode, id)| (path.as_str(), *mode, *id))
        .collect();
    let mut expected: Vec<String> = clean
        .iter()
        .filter(|line| !entries.contains(line))
        .chain(entries.iter().filter(|line| !clean.contains(line)))
        .map(|(path, ..)| path.clone())
        .collect();
    expected.sort();
    expected.dedup();
    let tampered = world.tree_of(true, &lines);
    assert_eq!(blamed(&world, &parents, tampered), expected);
}

pub(super) fn numbers() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 100..600)
}

pub(super) fn config() -> ProptestConfig {
    // The same cases every time, so that a run says what the change did; `PROPTEST_CASES=1000` looks for new ones.
    let (cases, rng_seed) = match std::env::var("PROPTEST_CASES") {
        Ok(cases) => (cases.parse().unwrap(), RngSeed::Random),
        Err(_) => (32, RngSeed::Fixed(2)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ranges_and_changes_are_those_of_git(numbers in numbers()) {
        check_ranges(&numbers, false);
    }

    #[test]
    fn wrong_dates_never_hide_a_commit(numbers in numbers()) {
        check_ranges(&numbers, true);
    }

    #[test]
    fn merges_are_those_of_git(numbers in numbers()) {
        check_merges(&numbers);
    }
}
