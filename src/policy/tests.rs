use std::path::Path;

use super::*;

/// Every file of a folder of `testdata/policies/`, by name.
fn cases(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/policies")
        .join(folder);
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy();
            (name.into_owned(), std::fs::read(&path).expect("a file"))
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn valid_policies_are_valid() {
    for (name, text) in cases("valid") {
        if let Err(error) = Policy::parse(&name, &text, &Known::ANY) {
            panic!("{error}");
        }
    }
}

/// The names that cases may use.
pub(super) const KNOWN: Known<'static> = Known {
    checks: &["secrets", "hidden-unicode", "authorship", "refs", "paths"],
    rule: &|id| {
        matches!(
            id,
            "secret/github-pat"
                | "secret/already-present"
                | "ref/force"
                | "unicode/bidi"
                | "identity/unknown"
        )
    },
    fixed: &|id| id == "identity/unknown",
    packs: false,
};

/// Compares with the text beside a case; with `BLESS` set, writes it.
fn assert_expected(folder: &str, name: &str, actual: &str, wrong: &mut Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/policies")
        .join(folder)
        .join(name)
        .with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("the folder can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != actual {
        wrong.push(format!(
            "{folder}/{name}:\n{actual}--- expected:\n{expected}"
        ));
    }
}

#[test]
fn every_mistake_is_shown_with_its_place() {
    let mut wrong = Vec::new();
    for (name, text) in cases("invalid") {
        match Policy::parse("policy.yaml", &text, &KNOWN) {
            Ok(_) => wrong.push(format!("{name}: is valid")),
            Err(error) => {
                let shown = format!("{error}\nbrief: {}\n", error.brief());
                assert_expected("invalid", &name, &shown, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn warnings_are_shown_with_their_place() {
    let mut wrong = Vec::new();
    for (name, text) in cases("warnings") {
        let now = "2026-06-01T00:00:00Z".parse().expect("a moment");
        let (_, warnings) =
            Policy::examine("policy.yaml", &text, &KNOWN, now).expect("a valid policy");
        assert_expected("warnings", &name, &warnings.to_string(), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(super) fn policy(text: &str) -> Policy {
    match Policy::parse("policy.yaml", text.as_bytes(), &Known::ANY) {
        Ok(policy) => policy,
        Err(error) => panic!("{error}"),
    }
}

/// The boundary of the one agent of a policy whose boundary is `text`, two spaces in.
fn boundary(text: &str) -> Boundary {
    let policy = policy(&format!(
        "version: 1\nidentities:\n  bot: {{ kind: agent, match: {{ account: bot }}, boundary: b }}\nboundaries:\n  b:\n{text}"
    ));
    match &policy.identities[0].home {
        Home::Everywhere(layer) => Boundary::new(layer.clone(), policy.freezes().clone()),
        Home::Listed(_) => panic!("one boundary everywhere"),
    }
}

const DOCS: &str = r#"
    refs:
      - { match: "refs/heads/agents/**", may: [create, update] }
      - { match: ["refs/heads/x", "refs/tags/y"], may: delete }
    paths:
      - { match: "docs/**", may: [add, modify] }
      - { match: ["@lockfiles", "README.md"], may: modify }
    deny:
      - { id: ci, paths: ["@ci", ".github/workflows/**"] }
      - { id: own, paths: "docs/internal/**" }
    hold: [{ id: lock, paths: ["@lockfiles"] }]
    limits: { files: 40, commits: 3, file_bytes: 512KiB }
    checks: { secrets: deny, secret/github-pat: hold, hidden-unicode: { certain: deny, possible: warn } }
"#;

#[test]
fn an_allow_needs_the_exact_bytes_and_the_operation() {
    let docs = boundary(DOCS);
    for (path, op, expected) in [
        ("docs/a.md", PathOp::Add, true),
        ("docs/a/b.md", PathOp::Modify, true),
        ("docs/a.md", PathOp::Delete, false),
        ("Docs/a.md", PathOp::Add, false),
        ("README.md", PathOp::Modify, true),
        ("readme.md", PathOp::Modify, false),
        ("web/yarn.lock", PathOp::Modify, true),
        ("web/yarn.lock", PathOp::Add, false),
        ("src/main.rs", PathOp::Modify, false),
    ] {
        assert_eq!(
            docs.may_path(path.as_bytes(), op).is_allowed(),
            expected,
            "{path}"
        );
    }
    for (name, op, expected) in [
        ("refs/heads/agents/x", RefOp::Create, true),
        ("refs/heads/agents/x", RefOp::Force, false),
        ("refs/heads/agents", RefOp::Create, false),
        ("refs/tags/y", RefOp::Delete, true),
        ("refs/heads/main", RefOp::Update, false),
    ] {
        assert_eq!(
            docs.may_ref(name.as_bytes(), op).is_allowed(),
            expected,
            "{name}"
        );
    }
    assert_eq!(docs.own_refs(), ["refs/heads/agents/**"]);
    assert_eq!(
        docs.may_ref(b"refs/heads/agents/x", RefOp::Update)
            .at()
            .line,
        8
    );
    assert_eq!(docs.may_path(b"src/x", PathOp::Add).at().line, 10);
}

#[test]
fn a_deny_sees_through_spellings() {
    let docs = boundary(DOCS);
    let denied = |path: &str| {
        docs.denied(path.as_bytes(), false)
            .map(|(id, at)| (id, at.line))
    };
    assert_eq!(denied("docs/internal/a"), Some(("own".to_owned(), 15)));
    assert_eq!(denied("DOCS/Internal /a"), Some(("own".to_owned(), 15)));
    for path in [
        ".github/workflows/ci.yml",
        ".GitHub/workflows/ci.yml",
        ".github./workflows/ci.yml",
        "GITHUB~1/workflows/ci.yml",
        "a/.gitlab-ci.yml",
        ".gitlab-ci.yml::$DATA",
        "jenkinsfile.prod",
    ] {
        assert_eq!(denied(path), Some(("ci".to_owned(), 14)), "{path}");
    }
    for path in ["docs/a.md", ".github", "src/workflows/ci.yml", "internal/a"] {
        assert_eq!(denied(path), None, "{path}");
    }
    assert!(docs.denied(b".github", true).is_some());
    assert!(docs.denied(b".GITHUB", true).is_some());
    assert!(docs.denied(b"docs", true).is_some());
    assert!(docs.denied(b"src", true).is_none());
    assert_eq!(docs.held(b"a/Cargo.lock", false).expect("held").0, "lock");
}

#[test]
fn levels_by_rule_check_and_confidence() {
    let docs = boundary(DOCS);
    let level = |check: &str, rule: &str, confidence| {
        docs.level(check, rule, confidence).map(|(level, _)| level)
    };
    use crate::finding::Confidence::{Certain, Likely, Possible};
    use crate::finding::Level;
    assert_eq!(
        level("secrets", "secret/x", Some(Likely)),
        Some(Level::Deny)
    );
    assert_eq!(
        level("secrets", "secret/x", Some(Possible)),
        Some(Level::Warn)
    );
    assert_eq!(
        level("secrets", "secret/github-pat", Some(Possible)),
        Some(Level::Hold)
    );
    assert_eq!(
        level("hidden-unicode", "unicode/x", Some(Certain)),
        Some(Level::Deny)
    );
    assert_eq!(level("hidden-unicode", "unicode/x", Some(Likely)), None);
    assert_eq!(
        level("hidden-unicode", "unicode/x", None),
        Some(Level::Deny)
    );
    assert_eq!(level("paths", "path/denied", None), None);
    let (level, at) = docs.level_or("paths", "path/denied", None, Level::Deny);
    assert_eq!((level, at.line), (Level::Deny, 0));
}

#[test]
fn a_repository_can_only_narrow() {
    let narrower = RepositoryPolicy::parse(
        REPOSITORY_POLICY,
        br#"
version: 1
boundaries:
  "*":
    paths: [{ match: "docs/public/**", may: [add, modify, delete] }]
    deny: [{ id: migrations, paths: ["migrations/**"] }]
    limits: { files: 10, commits: 100, refs: 1 }
    checks: { secrets: warn, paths: hold, secret/github-pat: deny }
  other: { refs: [] }
"#,
        &Known::ANY,
    )
    .expect("a valid policy");
    let mut docs = boundary(DOCS);
    docs.narrow(&narrower, true);
    use crate::finding::Level;
    assert!(docs.may_path(b"docs/public/a", PathOp::Add).is_allowed());
    assert!(!docs.may_path(b"docs/public/a", PathOp::Delete).is_allowed());
    let refused = docs.may_path(b"docs/a", PathOp::Add);
    assert_eq!(
        (&*refused.at().file, refused.at().line),
        (REPOSITORY_POLICY, 5)
    );
    assert!(
        docs.may_ref(b"refs/heads/agents/x", RefOp::Create)
            .is_allowed()
    );
    assert_eq!(
        docs.denied(b"Migrations/1", false).expect("denied").0,
        "migrations"
    );
    assert!(docs.denied(b"docs/internal/x", false).is_some());
    let max = |limit: &Option<Limit>| limit.as_ref().map(|limit| limit.max);
    let limits = docs.limits();
    assert_eq!(
        (
            max(&limits.files),
            max(&limits.commits),
            max(&limits.refs),
            max(&limits.added_lines)
        ),
        (Some(10), Some(3), Some(1), None)
    );
    let level = |check: &str, rule: &str| docs.level_or(check, rule, None, Level::Warn).0;
    assert_eq!(level("secrets", "secret/x"), Level::Deny);
    assert_eq!(level("secrets", "secret/github-pat"), Level::Deny);
    assert_eq!(level("paths", "path/denied"), Level::Hold);
    let mut people = boundary(DOCS);
    people.narrow(&narrower, false);
    assert!(people.may_path(b"docs/a", PathOp::Add).is_allowed());
}

#[test]
fn a_repository_policy_has_no_other_keys() {
    for text in [
        "version: 1\nboundaries: {}\nidentities: {}\n",
        "version: 1\nboundaries: {}\nmode: observe\n",
        "version: 1\nboundaries: {}\nsuppressions: []\n",
        "version: 1\nboundaries: {}\nrules: [/x]\n",
        "version: 2\nboundaries: {}\n",
        "boundaries: {}\n",
        "",
    ] {
        assert!(
            RepositoryPolicy::parse(REPOSITORY_POLICY, text.as_bytes(), &Known::ANY).is_err(),
            "{text}"
        );
    }
}

#[test]
fn the_policy_of_a_repository_in_every_spelling() {
    for path in [
        &b".ringfence.yaml"[..],
        b".RingFence.YAML",
        b".ringfence.yaml.",
        b".ringfence.yaml::$DATA",
        b"RINGFE~1.YAM",
        ".ring\u{200b}fence.yaml".as_bytes(),
        b".ringfence.yaml/x",
        b".Ringfence.yaml\\x",
        b"RINGFE~1.YAM/x/y",
    ] {
        assert!(is_policy_path(path), "{}", path.escape_ascii());
    }
    assert!(!is_policy_path(b"docs/.ringfence.yaml"));
    assert!(!is_policy_path(b"ringfence.yaml"));
    assert!(!is_policy_path(b"docs/.ringfence.yaml/x"));
    assert!(!is_policy_path(b".ringfence.yaml.d/x"));
}

#[test]
fn presets_name_what_they_are_for() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "ci",
            &[
                ".github/workflows/x.yml",
                "sub/action.yaml",
                "ci/deploy.sh",
                "Jenkinsfile",
            ],
            &["docs/ci.md", "src/ci/x.rs"],
        ),
        (
            "agent-instructions",
            &[
                "AGENTS.md",
                "a/b/claude.md",
                ".cursor/rules/x.mdc",
                "x.prompt.md",
            ],
            &["docs/agents.html"],
        ),
        (
            "agent-exec",
            &[".claude/settings.json", "sub/.mcp.json", ".aider.conf.yml"],
            &["claude/x"],
        ),
        (
            "editor-exec",
            &[
                ".vscode/settings.json",
                "x/.devcontainer/a",
                "w.code-workspace",
            ],
            &["vscode/settings.json"],
        ),
        (
            "git-control",
            &[
                "a/.gitattributes",
                ".husky/pre-commit",
                "hooks/pre-commit",
                "lefthook.yml",
                "x/.git/config",
            ],
            &["src/hooks/useX.ts", ".gitignore"],
        ),
        (
            "build-exec",
            &[
                "package.json",
                "x/Cargo.toml",
                ".cargo/config",
                "Makefile.am",
                "BUILD.bazel",
            ],
            &["src/package.rs"],
        ),
        (
            "lockfiles",
            &[
                "Cargo.lock",
                "web/package-lock.json",
                "requirements-dev.txt",
                "bun.lockb",
            ],
            &["docs/lock.md"],
        ),
        (
            "deploy",
            &[
                "Dockerfile.prod",
                "infra/main.tf",
                "docker-compose.yml",
                "charts/a/values.yaml",
                "x/charts/a/values.yaml",
            ],
            &["src/charts/Bar.tsx"],
        ),
        (
            "ownership",
            &[
                "CODEOWNERS",
                ".github/CODEOWNERS",
                "docs/CODEOWNERS",
                "LICENSE-MIT",
                ".ringfence.yaml",
            ],
            &["src/owners.rs"],
        ),
        (
            "secrets-files",
            &[
                ".env",
                "a/.env.production",
                "x.pem",
                ".aws/credentials",
                "id_rsa",
            ],
            &[".env.example", "a/.env.sample", ".env.template", "env.rs"],
        ),
    ];
    assert_eq!(cases.len(), presets().len());
    for (name, guarded, others) in cases {
        let docs = boundary(&format!("    deny: [{{ id: x, paths: \"@{name}\" }}]\n"));
        for path in *guarded {
            assert!(
                docs.denied(path.as_bytes(), false).is_some(),
                "@{name}: {path}"
            );
            let loud = path.to_uppercase();
            assert!(
                docs.denied(loud.as_bytes(), false).is_some(),
                "@{name}: {loud}"
            );
        }
        for path in *others {
            assert!(
                docs.denied(path.as_bytes(), false).is_none(),
                "@{name}: {path}"
            );
        }
    }
}

#[test]
fn a_policy_that_is_too_large_is_not_read() {
    let mut text = b"version: 1\n".to_vec();
    text.resize(5 << 20, b'#');
    let error = Policy::parse("policy.yaml", &text, &Known::ANY).expect_err("too large");
    assert_eq!(
        error.brief(),
        "policy.yaml: the policy is larger than 1048576 bytes"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, &text).expect("a file");
    assert!(Policy::load(&path, &Known::ANY).is_err());
    assert!(
        Policy::load(folder.path(), &Known::ANY).is_err(),
        "a folder"
    );
    assert!(
        Policy::load(Path::new("/dev/zero"), &Known::ANY).is_err(),
        "a device"
    );
}

#[test]
fn many_values_are_refused_fast() {
    let mut text = "version: 1\nhost: [".to_owned();
    text.push_str(&"a,".repeat(300_000));
    text.push_str("]\n");
    assert!(Policy::parse("policy.yaml", text.as_bytes(), &Known::ANY).is_err());
}

#[test]
fn the_policy_is_looked_for_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("ringfence");
    std::fs::create_dir(&own).expect("a folder");
    let none = |_: &str| None;
    let git_dir = Some(folder.path());
    let own = own.join("policy.yaml");
    std::fs::write(&own, "").expect("a file");
    assert_eq!(Policy::find(None, &none, git_dir), Ok(own.clone()));
    let named = folder.path().join("named");
    let vars = |name: &str| (name == "RINGFENCE_POLICY").then(|| named.clone().into_os_string());
    let missing = Policy::find(None, &vars, git_dir).expect_err("a named policy must be there");
    assert_eq!(missing.places, [named.display().to_string()]);
    std::fs::write(&named, "").expect("a file");
    assert_eq!(Policy::find(None, &vars, git_dir), Ok(named.clone()));
    assert_eq!(Policy::find(Some(&own), &vars, git_dir), Ok(own));
}

#[test]
fn the_schema_and_the_reference_are_written_down() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let schema = format!("{:#}\n", schema());
    let path = docs.join("policy.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &schema).expect("the folder can be written");
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == schema,
        "docs/policy.schema.json is not what `ringfence policy schema` prints; BLESS=1 writes it"
    );
    let path = docs.join("policy.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let (start, end) = (
        "<!-- from the code: start -->\n",
        "<!-- from the code: end -->\n",
    );
    let (before, rest) = text.split_once(start).expect("docs/policy.md has the mark");
    let (_, after) = rest.split_once(end).expect("docs/policy.md has the mark");
    let wanted = format!("{before}{start}\n{}\n{end}{after}", reference());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &wanted).expect("the folder can be written");
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == wanted,
        "the reference in docs/policy.md is not that of the code; BLESS=1 writes it"
    );
}
