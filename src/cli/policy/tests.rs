use super::*;

const POLICY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/testdata/policies/valid/design.yaml"
);

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: PolicyArgs,
}

/// Runs one command line: the exit code, then standard output and error.
fn ran(line: &[&str]) -> String {
    use clap::Parser as _;
    let words = ["policy"].iter().chain(line);
    let args = Line::try_parse_from(words)
        .expect("a valid command line")
        .args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&args, &mut out, &mut err);
    format!(
        "exit {}\n{}{}",
        exit as u8,
        String::from_utf8_lossy(&out),
        String::from_utf8_lossy(&err)
    )
}

#[test]
fn show() {
    insta::assert_snapshot!(ran(&["show", "--policy", POLICY, "--as", "docs-bot"]));
    insta::assert_snapshot!(ran(&[
        "show", "--policy", POLICY, "--as", "alice", "--format", "markdown"
    ]));
    let json = ran(&[
        "show", "--policy", POLICY, "--as", "alice", "--format", "json",
    ]);
    let document: serde_json::Value =
        serde_json::from_str(json.trim_start_matches("exit 0\n")).expect("JSON");
    assert_eq!(document["layers"][0]["refs"][0]["match"][0], "refs/**");
}

#[test]
fn explain() {
    let explain = |line: &[&str]| {
        let start = ["explain", "--policy", POLICY, "--as", "docs-bot"];
        ran(&[&start, line].concat())
    };
    insta::assert_snapshot!(
        [
            explain(&[
                "--ref",
                "refs/heads/agents/docs-bot/x",
                "--path",
                "docs/a.md",
                "--op",
                "add"
            ]),
            explain(&["--ref", "refs/heads/main"]),
            explain(&["--ref", "refs/heads/agents/docs-bot/x", "--op", "force"]),
            explain(&["--path", "README.md", "--op", "delete"]),
            explain(&["--path", "src/main.rs"]),
            explain(&["--path", ".GitHub/workflows/x.yml", "--op", "add"]),
            explain(&["--path", ".github", "--op", "symlink"]),
            explain(&["--path", "docs/yarn.lock", "--op", "add"]),
            explain(&["--path", ".ringfence.yaml", "--op", "add"]),
            explain(&["--path", "docs/a.md", "--op", "rename"]),
            explain(&["--path", "docs/a.md", "--format", "json"]),
        ]
        .join("\n")
    );
}

#[test]
fn an_unknown_identity_is_a_wrong_question() {
    assert_eq!(
        ran(&["show", "--policy", POLICY, "--as", "docsbot"]),
        "exit 2\nerror: the policy has no identity \"docsbot\"\n\
         hint: identities of the policy: docs-bot, alice\n"
    );
}

#[test]
fn check() {
    assert_eq!(
        ran(&["check", POLICY]),
        "exit 0\ndesign.yaml: valid: 2 identities, 2 boundaries, 2 tests, 0 warnings\n"
    );
    let broken = POLICY.replace("valid/design", "invalid/level");
    assert!(ran(&["check", &broken]).starts_with("exit 2\nlevel.yaml:7:24: error: "));
    let warned = POLICY.replace("valid/design", "warnings/warnings");
    assert!(ran(&["check", &warned]).starts_with("exit 0\nwarnings.yaml: warning: "));
    assert!(ran(&["check", "/nowhere/policy.yaml"]).starts_with("exit 2\nerror: no policy found"));
}

/// Levels, names and what is built in count as they do in a push.
#[test]
fn answers_are_those_of_a_push() {
    let policy = POLICY.replace("design", "answers");
    assert!(ran(&["test", &policy]).ends_with("7 of 7 tests as expected\n"));
    let explain = |line: &[&str]| {
        let start = ["explain", "--policy", &*policy, "--as", "builder"];
        ran(&[&start, line].concat())
    };
    insta::assert_snapshot!(
        [
            explain(&["--ref", "refs/notes/x"]),
            explain(&["--path", "lib/x"]),
            explain(&["--path", "src/nul", "--op", "add"]),
            explain(&["--path", ".git/hooks/x", "--op", "add"]),
            explain(&["--path", ""]),
        ]
        .join("\n")
    );
}

#[test]
fn the_tests_of_a_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    let text = std::fs::read_to_string(POLICY).expect("the example");
    assert!(ran(&["test", POLICY]).starts_with("exit 0\nok   design.yaml:"));
    let wrong = text.replace(
        r#"change: ["modify docs/a.md"], expect: reject"#,
        r#"change: ["modify docs/a.md", "add docs/yarn.lock"], expect: hold"#,
    );
    std::fs::write(&path, wrong).expect("a file");
    insta::assert_snapshot!(ran(&["test", &path.display().to_string()]));
}

#[test]
fn suppressions_are_shown_and_explained() {
    let text = include_str!("../../../testdata/policies/valid/suppressions.yaml");
    // One that is over, two that hold for as long as this test will be run.
    let text = text.replace("2027-", "2099-").replacen("2099-", "2020-", 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let who = |command, rest: &[&'static str]| {
        let start = [command, "--policy", file, "--as", "bot"];
        ran(&[&start, rest].concat())
    };
    let check = ran(&["check", file]);
    assert!(check.contains("0 tests, 3 suppressions, "), "{check}");
    insta::assert_snapshot!(
        [
            who("show", &[]),
            who(
                "show",
                &["--repository", "other/site", "--format", "markdown"]
            ),
            who("explain", &["--path", "docs/a.md"]),
            who(
                "explain",
                &["--path", "tests/fixtures/a", "--repository", "org/site"]
            ),
        ]
        .join("\n")
    );
    let json = who("show", &["--format", "json"]);
    let document: serde_json::Value =
        serde_json::from_str(json.trim_start_matches("exit 0\n")).expect("JSON");
    assert_eq!(document["suppressions"][0]["expired"], true);
    assert_eq!(document["suppressions"][2]["id"], "own");
}

#[test]
fn what_is_asked_of_signatures_is_shown_and_explained() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/policies/valid/signatures.yaml"
    );
    let bot = |command: &'static str, rest: &[&'static str]| {
        let start = [command, "--policy", file, "--as", "bot"];
        ran(&[&start, rest].concat())
    };
    insta::assert_snapshot!(
        [
            bot("show", &[]),
            bot("explain", &["--ref", "refs/heads/agents/x"]),
        ]
        .join("\n")
    );
    let json = bot("show", &["--format", "json"]);
    let document: serde_json::Value =
        serde_json::from_str(json.trim_start_matches("exit 0\n")).expect("JSON");
    assert_eq!(document["signing"][0]["value"], "required");
    assert_eq!(document["signers"][1], "bot@agents.example");
}
