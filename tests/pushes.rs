//! The files in `testdata/pushes/`, one test each, so that they run in parallel.

use crate::cases;
use crate::samples::github_pat;
use crate::world::{World, testdata};

macro_rules! case_files {
    ($($name:ident)*) => {
        /// Every file of cases; `tidy` compares it with the folder.
        pub(crate) const FILES: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            cases::run_file(stringify!($name));
        })*
    };
}

case_files! {
    clean_agents
    clean_people
    clean_workflows
    clean_history
    clean_lookalikes
    names
    refs
    history
    merges
    paths
    objects
    content
    suppressions
    levels
    evasions
    hosts
    identity
    claims
    policy
    signatures
    clean_signatures
    time
    owners
    limits
}

/// The first thing that this project was built for: the object is only in the quarantine, and is seen.
#[test]
fn a_secret_in_a_quarantined_commit_is_seen_and_refused() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let token = github_pat("first");
    builder.write(
        "src/config.rs",
        format!("const TOKEN: &str = \"{token}\";\n"),
    );
    let id = builder.commit("Configure");
    let pushed = builder.push(&["main:refs/heads/agents/builder/config"]);
    pushed.expect_reject(&["secret/github-pat"]);
    assert!(pushed.said.contains("src/config.rs"), "{}", pushed.said);
    assert!(
        !pushed.everything.contains(&token[4..]),
        "the secret is shown"
    );
    let mut command = world.git_command(&world.server());
    let stored = command.args(["cat-file", "-e", &id]).output().unwrap();
    assert!(!stored.status.success(), "a refused commit is in the store");
}

/// The second: an object that the store has but no ref reaches is not sent again. What was sent is not what is new.
#[test]
fn a_parked_commit_is_judged_though_the_quarantine_is_empty() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let token = github_pat("second");
    builder.write(
        "src/config.rs",
        format!("const TOKEN: &str = \"{token}\";\n"),
    );
    let id = builder.commit("Configure");
    // It reaches the store in a time without a gate, and is deleted again.
    world.set_hook("exit 0\n");
    assert!(builder.push(&["main:refs/heads/agents/builder/x"]).accepted);
    assert!(builder.push(&[":refs/heads/agents/builder/x"]).accepted);
    world.set_hook("find \"$GIT_OBJECT_DIRECTORY\" -type f >seen; exit 0\n");
    assert!(builder.push(&["main:refs/heads/agents/builder/y"]).accepted);
    let seen = std::fs::read_to_string(world.server().join("seen")).unwrap();
    assert_eq!(seen, "", "this case is about an empty quarantine");
    assert!(builder.push(&[":refs/heads/agents/builder/y"]).accepted);

    world.install();
    let pushed = builder.push(&["main:refs/heads/agents/builder/z"]);
    pushed.expect_reject(&["secret/github-pat"]);
    assert!(pushed.said.contains(&id[..7]), "{}", pushed.said);
}

/// A bound that is reached in what was there before does not hide what a later version adds.
#[test]
fn a_new_secret_is_seen_below_more_old_ones_than_are_told() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let old = |number| {
        format!(
            "let old_{number} = \"{}\";\n",
            github_pat(&format!("{number}"))
        )
    };
    let mut lines: Vec<String> = (0..1_100).map(old).collect();
    lines
        .extend((0..5_000).map(|number| format!("let part_{number} = read(\"page {number}\");\n")));
    builder.write("src/parts.rs", lines.concat());
    builder.commit("Parts");
    world.set_hook("exit 0\n");
    assert!(builder.push(&["main"]).accepted);
    world.install();
    for (number, at) in [2_000, 2_001].into_iter().enumerate() {
        lines[at] = format!("let edited = {number};\n");
        lines[6_000] = lines[at].clone();
        builder.write("src/parts.rs", lines.concat());
        builder.commit("Edit");
    }
    builder
        .push(&["main:refs/heads/agents/builder/x"])
        .expect_accept();
    lines[2_002] = "let edited = 2;\n".to_owned();
    lines[6_001] = format!("let token = \"{}\";\n", github_pat("new"));
    builder.write("src/parts.rs", lines.concat());
    builder.commit("Edit again");
    let pushed = builder.push(&["main:refs/heads/agents/builder/y"]);
    pushed.expect_reject(&["secret/github-pat"]);
}

#[test]
fn clean_pushes_are_at_least_thirty_two() {
    let clean: usize = FILES.iter().map(|name| cases::count_clean(name)).sum();
    assert!(clean >= 32, "{clean} clean pushes");
}

/// What hides a secret from other scanners, in real pushes: each case names the rule that refuses or tells.
#[test]
fn evasions_are_at_least_sixty() {
    let cases = cases::count("evasions");
    assert!(cases >= 60, "{cases} ways to hide a secret");
}

/// Rows of the list of known attacks that concern pushes as such, each with a case.
#[test]
fn every_known_attack_on_the_boundary_has_a_case() {
    let wanted = [
        "1", "2", "3", "5", "7", "9", "11", "13", "14", "15", "16", "18", "20", "21", "22", "24",
        "25", "26", "28", "29", "30", "31", "32", "33", "35", "37", "39", "40", "41", "43", "45",
        "46", "47", "49", "51", "52", "54", "56", "57", "59", "60", "64", "65", "66", "68", "71",
        "73", "75", "76", "78", "83", "85", "87", "93", "99",
    ];
    let mut found: Vec<String> = FILES.iter().flat_map(|name| cases::attacks(name)).collect();
    // Only the raw protocol or a broken server can send these: see `protocol` and `faults`.
    found.extend(["20", "21", "25", "26", "28", "52", "54", "85"].map(str::to_owned));
    let missing: Vec<_> = wanted
        .iter()
        .filter(|row| !found.iter().any(|f| f == *row))
        .collect();
    assert!(missing.is_empty(), "attacks without a case: {missing:?}");
}

/// A file that no test names would never run.
#[test]
fn every_file_of_cases_is_run() {
    let mut here: Vec<String> = std::fs::read_dir(testdata("pushes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "case")
        })
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    here.sort();
    let mut named = FILES.to_vec();
    named.sort_unstable();
    assert_eq!(here, named);
}
