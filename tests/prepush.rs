//! The same judgement on the pusher's side, before anything leaves: advisory, and it says so.

use crate::world::{World, both, default_policy, testdata};

#[test]
fn the_local_hook_foretells_what_the_server_says() {
    let world = World::new();
    let builder = world.clone_for("builder");
    let policy = world.path("policy-copy.yaml");
    std::fs::write(&policy, default_policy()).unwrap();
    let mut install = world.ringfence_command(builder.dir());
    install
        .args(["install", "pre-push", "--repo", ".", "--policy"])
        .arg(&policy);
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    builder.set("RINGFENCE_IDENTITY", "builder");

    builder.write("src/feature.rs", "pub fn feature() {}\n");
    builder.commit("Feature");
    let pushed = builder.push(&["main:refs/heads/agents/builder/x"]);
    assert!(pushed.accepted, "{}", pushed.everything);

    builder.write(".github/workflows/ci.yml", "on: issue_comment\n");
    builder.commit("CI");
    let refused = builder.push(&["main:refs/heads/agents/builder/x"]);
    assert!(
        !refused.accepted && refused.said.is_empty(),
        "it reached the server:\n{}",
        refused.everything
    );
    for part in ["advisory", "error[path/denied]", ".github/workflows/ci.yml"] {
        assert!(
            refused.everything.contains(part),
            "{part}:\n{}",
            refused.everything
        );
    }

    // It can be skipped, and the server does not care.
    let skipped = builder.push(&["--no-verify", "main:refs/heads/agents/builder/x"]);
    skipped.expect_reject(&["path/denied"]);
}

/// The keys are on the server alone: here it is only asked whether there is a signature that holds.
#[test]
fn the_local_hook_does_without_the_keys_of_the_server() {
    let world = World::new();
    world.usual_keys();
    let builder = world.clone_for("builder");
    let policy = world.path("policy-copy.yaml");
    let text = std::fs::read_to_string(testdata("pushes/signed.yaml")).unwrap();
    std::fs::write(&policy, text.replace("$WORLD", "/nonexistent")).unwrap();
    let mut install = world.ringfence_command(builder.dir());
    install
        .args(["install", "pre-push", "--repo", ".", "--policy"])
        .arg(&policy);
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    builder.set("RINGFENCE_IDENTITY", "builder");

    builder.commit("Unsigned");
    let refused = builder.push(&["main:refs/heads/agents/builder/x"]);
    assert!(!refused.accepted && refused.said.is_empty());
    assert!(
        refused.everything.contains("error[signature/missing]"),
        "{}",
        refused.everything
    );
    builder.git(&["reset", "-q", "--hard", "HEAD~1"]);
    builder.sign_with("porter");
    builder.commit("Signed");
    let pushed = builder.push(&["main:refs/heads/agents/builder/x"]);
    assert!(pushed.accepted, "{}", pushed.everything);
    let note = "whose signatures they are is known to the server alone";
    assert!(pushed.everything.contains(note), "{}", pushed.everything);

    let mut check = world.ringfence_command(builder.dir());
    check
        .args(["check", "--as", "builder", "--policy"])
        .arg(&policy);
    let checked = both(&check.output().unwrap());
    assert!(checked.contains(note), "{checked}");
}
