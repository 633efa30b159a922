use super::*;
use crate::scan::{Dice, make_sample};

fn token() -> String {
    make_sample("ghp_{crc62:30}", &mut Dice::new(3)).unwrap()
}

fn scan(paths: &[&Path], format: &str, folder: &Path) -> (Exit, String, String) {
    let key = folder.join("../key");
    fs::write(&key, [5; 32]).unwrap();
    let args = ScanArgs {
        paths: paths.iter().map(|path| path.to_path_buf()).collect(),
        format: format.to_owned(),
        key: Some(key),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&args, &mut out, &mut err);
    (
        exit,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn tree() -> (tempfile::TempDir, PathBuf) {
    let held = tempfile::tempdir().unwrap();
    let root = held.path().join("tree");
    fs::create_dir_all(root.join("a/.git")).unwrap();
    (held, root)
}

#[test]
fn every_format_names_the_place_and_never_the_secret() {
    let (_held, root) = tree();
    let token = token();
    fs::write(root.join("a/.git/config"), &token).unwrap();
    fs::write(root.join("a/x y.txt"), format!("first\n  t = {token}\n")).unwrap();
    fs::write(root.join("clean.txt"), "nothing here\n").unwrap();
    for format in ["text", "jsonl", "json", "sarif"] {
        let (exit, out, err) = scan(&[&root], format, &root);
        assert_eq!(exit, Exit::Refuse, "{format}: {err}");
        assert!(
            !out.contains(&token[4..]) && !err.contains(&token[4..]),
            "{format}"
        );
        assert!(
            err.contains("1 finding in 2 files") && err.contains("1 .git folder not looked into"),
            "{err}"
        );
        match format {
            "text" => assert!(
                out.contains("x y.txt:2:7: error[secret/github-pat]"),
                "{out}"
            ),
            "jsonl" => {
                let found: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
                assert_eq!(found["line"], 2);
                assert_eq!(found["column"], 7);
                assert_eq!(found["rule"], "secret/github-pat");
                assert_eq!(found["confidence"], "certain");
                assert_eq!(found["level"], "deny");
                assert_eq!(found["bytes"], 40);
                assert_eq!(found["fingerprint"].as_str().unwrap().len(), 12);
            }
            "json" => {
                let told: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(told["summary"]["findings"], 1);
            }
            _ => {
                let told: serde_json::Value = serde_json::from_str(&out).unwrap();
                let result = &told["runs"][0]["results"][0];
                assert_eq!(
                    result["locations"][0]["physicalLocation"]["region"]["startLine"],
                    2
                );
                let uri = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
                assert!(uri.as_str().unwrap().ends_with("a/x%20y.txt"));
            }
        }
    }
}

#[test]
fn names_and_link_targets_are_looked_at() {
    let (_held, root) = tree();
    let token = token();
    fs::write(root.join(&token), "").unwrap();
    std::os::unix::fs::symlink(format!("/x/{token}"), root.join("link")).unwrap();
    let (exit, out, _) = scan(&[&root], "jsonl", &root);
    assert_eq!(exit, Exit::Refuse);
    let parts: Vec<String> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["part"].to_string())
        .collect();
    assert_eq!(parts, ["\"path\"", "\"symlink-target\""]);
}

#[test]
fn clean_is_nothing_and_unreadable_is_told() {
    let (_held, root) = tree();
    fs::write(root.join("clean.md"), "# Title\n").unwrap();
    let (exit, out, _) = scan(&[&root], "jsonl", &root);
    assert_eq!((exit, &*out), (Exit::Accept, ""));
    let (exit, _, err) = scan(&[&root.join("none")], "jsonl", &root);
    assert_eq!(exit, Exit::Unjudged);
    assert!(err.contains("cannot be read"));
}

#[test]
fn a_key_of_another_size_is_refused() {
    let (_held, root) = tree();
    fs::write(root.join("short"), [1; 31]).unwrap();
    let args = ScanArgs {
        paths: vec![root.clone()],
        format: "text".to_owned(),
        key: Some(root.join("short")),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(run(&args, &mut out, &mut err), Exit::Usage);
}
