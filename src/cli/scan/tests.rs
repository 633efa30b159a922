use super::*;
use crate::scan::{Dice, make_sample};

fn token() -> String {
    make_sample("ghp_{crc62:30}", &mut Dice::new(3)).unwrap()
}

fn scan(paths: &[&Path], format: &str, folder: &Path) -> (Exit, String, String) {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    scan_with(&[&["--format", format], &paths[..]].concat(), folder)
}

#[derive(clap::Parser)]
struct Typed {
    #[command(flatten)]
    args: ScanArgs,
}

/// Runs a command line with a key beside the folder.
fn scan_with(arguments: &[&str], folder: &Path) -> (Exit, String, String) {
    use clap::Parser as _;
    let key = folder.join("../key");
    if !key.exists() {
        fs::write(&key, [5; 32]).unwrap();
    }
    let own = ["--key", key.to_str().unwrap()];
    let start = match arguments.contains(&"--key") {
        true => vec!["scan"],
        false => [&["scan"], &own[..]].concat(),
    };
    let args = Typed::try_parse_from([&start, arguments].concat())
        .unwrap()
        .args;
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
    let short = root.join("short");
    let (exit, _, err) = scan_with(
        &["--key", short.to_str().unwrap(), root.to_str().unwrap()],
        &root,
    );
    assert_eq!(exit, Exit::Usage, "{err}");
}

fn another() -> String {
    make_sample("ghp_{crc62:30}", &mut Dice::new(4)).unwrap()
}

fn objects(lines: &str) -> Vec<serde_json::Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    lines.lines().map(parse).collect()
}

#[test]
fn the_places_of_one_value_stand_together() {
    let (_held, root) = tree();
    let (token, other) = (token(), another());
    for n in 0..9 {
        fs::write(root.join(format!("{n}.txt")), format!("x\n{token}\n")).unwrap();
    }
    fs::write(root.join("z.txt"), &other).unwrap();
    let (_, out, err) = scan(&[&root], "text", &root);
    assert_eq!(out.matches("error[").count(), 2, "{out}");
    assert_eq!(out.matches("  also:  ").count(), 5, "{out}");
    assert!(out.contains("0.txt:2:1: error[") && out.contains("and 3 more places"));
    assert!(err.contains("2 findings at 10 places in 10 files"), "{err}");

    let (_, out, err) = scan(&[&root], "jsonl", &root);
    let lines = objects(&out);
    assert_eq!(lines.len(), 10, "one line a place");
    assert!(lines.iter().all(|line| line["key"] == lines[0]["key"]));
    assert!(err.contains("2 findings at 10 places"), "{err}");

    let (_, out, _) = scan(&[&root], "json", &root);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), 2);
    assert_eq!(document["findings"][0]["place_count"], 9);
    assert_eq!(
        document["findings"][0]["places"].as_array().unwrap().len(),
        9
    );
    assert!(document["findings"][1].get("places").is_none());
    assert_eq!(document["summary"]["places"], 10);

    let (_, out, _) = scan(&[&root], "sarif", &root);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["occurrenceCount"], 9);
    assert_eq!(results[0]["relatedLocations"].as_array().unwrap().len(), 8);
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        // What the standard asks of a result and its places.
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]));
        assert!(result["message"]["text"].is_string());
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        let related = result["relatedLocations"].as_array();
        let mut ids = Vec::new();
        for place in related.into_iter().flatten() {
            ids.push(place["id"].as_u64().unwrap());
            assert!(place["message"]["text"].is_string());
        }
        let all = result["locations"].as_array().unwrap();
        for place in all.iter().chain(related.into_iter().flatten()) {
            let physical = &place["physicalLocation"];
            assert!(physical["artifactLocation"]["uri"].is_string());
            assert!(physical["region"]["startLine"].as_u64() >= Some(1));
            assert!(physical["region"]["startColumn"].as_u64() >= Some(1));
        }
        ids.dedup();
        assert_eq!(ids.len(), related.map_or(0, Vec::len), "ids are distinct");
    }
}

/// Also with names that no URI has, with hidden text, with nothing, and where something could not be read.
#[test]
fn sarif_conforms_to_the_standard() {
    use std::os::unix::ffi::OsStrExt as _;
    let (held, root) = tree();
    let schema = crate::report::sarif_validator();
    let check = |paths: &[&Path], wanted: Exit, count: usize| {
        let (exit, out, err) = scan(paths, "sarif", &root);
        assert_eq!(exit, wanted, "{err}");
        let log: serde_json::Value = serde_json::from_str(&out).unwrap();
        let wrong: Vec<String> = (schema.iter_errors(&log))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert!(results.len() >= count, "{out}");
    };
    check(&[&root], Exit::Accept, 0);
    let names: [&[u8]; 6] = [
        b"a b",
        b"a%b#c?d",
        b"\xff\xfe",
        b"\x1b[31m",
        b":x",
        b"line\nbreak",
    ];
    for (seed, name) in names.iter().enumerate() {
        let value = make_sample("ghp_{crc62:30}", &mut Dice::new(seed as u64 + 10)).unwrap();
        fs::write(root.join(OsStr::from_bytes(name)), value).unwrap();
    }
    fs::write(root.join("AGENTS.md"), "Do\u{e0049}\u{e0047} it\n").unwrap();
    check(&[&root], Exit::Refuse, 7);
    check(&[&root, &root.join("nowhere")], Exit::Unjudged, 7);
    drop(held);
}

#[test]
fn what_the_baseline_knows_is_not_told() {
    let (held, root) = tree();
    let at = root.to_str().unwrap();
    let (token, other) = (token(), another());
    fs::write(root.join("a.txt"), format!("{token}\n{other}\n")).unwrap();
    fs::write(root.join("b.txt"), "is_ad\u{200b}min\n").unwrap();
    let made = held.path().join("baseline.jsonl");
    let made = made.to_str().unwrap();
    let (exit, out, err) = scan_with(&["--write-baseline", made, at], &root);
    assert_eq!(exit, Exit::Accept, "{err}");
    assert!(
        out.contains("error[secret/github-pat]"),
        "it is told all the same"
    );
    assert!(err.contains("3 values written"), "{err}");
    let (exit, out, err) = scan_with(&["--baseline", made, at], &root);
    assert_eq!((exit, &*out), (Exit::Accept, ""), "{err}");
    assert!(err.contains("3 of 3 known values found"), "{err}");
    // The output of a scan is a baseline as well.
    let (_, lines, _) = scan(&[&root], "jsonl", &root);
    let printed = held.path().join("printed.jsonl");
    fs::write(&printed, &lines).unwrap();
    let printed = printed.to_str().unwrap();
    assert_eq!(
        scan_with(&["--baseline", printed, at], &root).0,
        Exit::Accept
    );
    // Moved down, and into another file: the value is known. One that is gone is told, a new one is found.
    fs::write(root.join("a.txt"), "nothing\n").unwrap();
    fs::write(root.join("c.txt"), format!("one\ntwo\nthree {token}\n")).unwrap();
    let (exit, _, err) = scan_with(&["--baseline", made, at], &root);
    assert_eq!(exit, Exit::Accept, "{err}");
    assert!(err.contains("2 of 3 known values found"), "{err}");
    assert_eq!(err.matches("no longer found: secret/github-pat").count(), 1);
    let new = make_sample("ghp_{crc62:30}", &mut Dice::new(5)).unwrap();
    fs::write(root.join("a.txt"), &new).unwrap();
    // The same invisible character in another file is another finding.
    fs::write(root.join("d.txt"), "is_ro\u{200b}ot\n").unwrap();
    let (exit, out, err) = scan_with(&["--baseline", made, "--format", "jsonl", at], &root);
    assert_eq!(exit, Exit::Refuse);
    let told: Vec<_> = objects(&out)
        .iter()
        .map(|found| found["rule"].to_string())
        .collect();
    assert_eq!(told, ["\"secret/github-pat\"", "\"unicode/zero-width\""]);
    assert!(
        err.contains("2 findings in 4 files") && err.contains("; 2 places known"),
        "{err}"
    );
    // Carried on: what is gone leaves the baseline, what is new comes in.
    let (exit, _, err) = scan_with(&["--baseline", made, "--write-baseline", made, at], &root);
    assert_eq!(exit, Exit::Accept);
    assert!(err.contains("4 values written"), "{err}");
    let (_, _, err) = scan_with(&["--baseline", made, at], &root);
    assert!(err.contains("4 of 4 known values found"), "{err}");
    for text in [fs::read_to_string(made).unwrap(), lines] {
        for secret in [&token, &other, &new] {
            assert!(!text.contains(&secret[4..]));
        }
    }
}

#[test]
fn a_file_that_is_no_baseline_is_refused() {
    let (held, root) = tree();
    let at = root.to_str().unwrap();
    fs::write(root.join("a.txt"), token()).unwrap();
    let (_, lines, _) = scan(&[&root], "jsonl", &root);
    let line = lines.trim();
    let file = held.path().join("baseline");
    let name = file.to_str().unwrap();
    let refused = |text: &[u8]| {
        fs::write(&file, text).unwrap();
        let (exit, out, err) = scan_with(&["--baseline", name, at], &root);
        assert_eq!((exit, &*out), (Exit::Usage, ""), "{err}");
        err
    };
    let cut = line.replacen("\"fingerprint\":\"", "\"fingerprint\":\"0", 1);
    for text in [
        "# a comment\n",
        "[]\n",
        "{\"rule\":\"secret/github-pat\"}\n",
        "{\"v\": 1,\n \"findings\": []}\n",
        &cut,
        &format!("{line}\n{}\n", &line[..line.len() - 3]),
    ] {
        let err = refused(text.as_bytes());
        assert!(err.contains("has no finding on line"), "{text}: {err}");
    }
    assert!(refused(b"\xff\xfe\0").contains("has no finding on line 1"));
    let long = format!("{line}\n{}{line}\n", " ".repeat(64 << 10));
    assert!(refused(long.as_bytes()).contains("has no finding on line 2"));
    // Another key: nothing would be known, and nobody would be told why.
    fs::write(&file, &lines).unwrap();
    let key = held.path().join("other-key");
    fs::write(&key, [6; 32]).unwrap();
    let key = key.to_str().unwrap();
    let (exit, _, err) = scan_with(&["--key", key, "--baseline", name, at], &root);
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("was made with another key (line 1)"), "{err}");
    // Larger than anything that is read, without a byte of content.
    let huge = fs::File::create(&file).unwrap();
    huge.set_len(200 << 20).unwrap();
    let (exit, _, err) = scan_with(&["--baseline", name, at], &root);
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("is larger than"), "{err}");
    for missing in [
        held.path().join("none"),
        held.path().to_path_buf(),
        "/dev/zero".into(),
    ] {
        let missing = missing.to_str().unwrap();
        let (exit, _, err) = scan_with(&["--baseline", missing, at], &root);
        assert_eq!(exit, Exit::Usage, "{err}");
    }
    // An empty one knows nothing.
    fs::write(&file, "\n").unwrap();
    assert_eq!(scan_with(&["--baseline", name, at], &root).0, Exit::Refuse);
}

#[test]
fn a_baseline_is_written_whole_or_not_at_all() {
    let (held, root) = tree();
    let at = root.to_str().unwrap();
    fs::write(root.join("a.txt"), token()).unwrap();
    let missing = held.path().join("none/baseline");
    let (exit, _, err) = scan_with(&["--write-baseline", missing.to_str().unwrap(), at], &root);
    assert_eq!(exit, Exit::Unjudged);
    assert!(err.contains("cannot be written"), "{err}");
    // What could not be looked into is never known.
    let made = held.path().join("baseline");
    let made_name = made.to_str().unwrap();
    let unread = root.join("none");
    let paths = ["--write-baseline", made_name, at, unread.to_str().unwrap()];
    let (exit, _, err) = scan_with(&paths, &root);
    assert_eq!(exit, Exit::Unjudged, "{err}");
    assert_eq!(objects(&fs::read_to_string(&made).unwrap()).len(), 1);
    let left: Vec<_> = fs::read_dir(held.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "no draft is left: {left:?}");
}

#[test]
fn a_policy_gives_levels_and_suppresses() {
    let (held, root) = tree();
    let at = root.to_str().unwrap();
    let (token, other) = (token(), another());
    fs::create_dir_all(root.join("tests/fixtures")).unwrap();
    fs::write(root.join("tests/fixtures/a.txt"), &token).unwrap();
    fs::write(root.join("b.txt"), &other).unwrap();
    let (_, lines, _) = scan(&[&root], "jsonl", &root);
    let found = objects(&lines);
    let print = found[0]["fingerprint"].as_str().unwrap();
    let policy = held.path().join("policy.yaml");
    let entry = |id: &str, rest: &str, until: &str| {
        format!(
            "  - {{ id: {id}, {rest}, owner: alice, reason: r, until: {until}-01-01T00:00:00Z }}\n"
        )
    };
    let text = [
        "version: 1\nidentities:\n  bot: { kind: agent, match: { account: bot }, boundary: docs }\n".to_owned(),
        "boundaries:\n  docs: { refs: [], checks: { secret/github-pat: hold } }\nsuppressions:\n".to_owned(),
        entry("here", "rule: secret/github-pat, path: \"tests/**\"", "2099"),
        entry("value", &format!("path: \"c*\", fingerprint: \"{print}\""), "2099"),
        entry("unused", "fingerprint: 000000000000", "2099"),
        entry("over", "rule: secret/github-pat, path: b.txt", "2020"),
        entry("other", "identities: bot, fingerprint: 000000000001", "2099"),
    ];
    fs::write(&policy, text.concat()).unwrap();
    let policy = policy.to_str().unwrap();
    let (exit, out, err) = scan_with(&["--policy", policy, "--format", "jsonl", at], &root);
    assert_eq!(exit, Exit::Refuse, "{err}");
    let told = objects(&out);
    assert_eq!(told.len(), 1, "{out}");
    assert!(told[0]["path"].as_str().unwrap().ends_with("b.txt"));
    assert_eq!(told[0]["level"], "deny");
    for wanted in [
        "1 place suppressed by the policy",
        "suppression here (policy.yaml:7): 1 place",
        "warning: suppression unused (policy.yaml:9) matched nothing here",
        "warning: suppression over (policy.yaml:10) expired on 2020-01-01T00:00:00Z; what it names is at 1 place",
        "warning: suppression value (policy.yaml:8) matched nothing here",
        "note: suppression other (policy.yaml:11) is for other identities",
    ] {
        assert!(err.contains(wanted), "{wanted}: {err}");
    }
    let as_bot = ["--policy", policy, "--as", "bot", "--format", "jsonl", at];
    let (_, out, err) = scan_with(&as_bot, &root);
    assert!(out.contains("\"level\":\"hold\""), "{out}");
    assert!(
        err.contains("warning: suppression other (policy.yaml:11) matched nothing"),
        "{err}"
    );
    let (exit, _, err) = scan_with(&["--policy", policy, "--as", "nobody", at], &root);
    assert_eq!(exit, Exit::Usage, "{err}");
    fs::write(policy, "version: 2\n").unwrap();
    let (exit, _, err) = scan_with(&["--policy", policy, at], &root);
    assert_eq!(exit, Exit::Usage, "{err}");
}

#[test]
fn paths_are_those_of_the_repository() {
    let inside = |root: &str, path: &str| {
        let path = weight::inside(Some(Path::new(root)), Path::new(path));
        String::from_utf8(path).unwrap()
    };
    assert_eq!(inside(".", "a/b"), "a/b");
    assert_eq!(inside("./a", "./a/b"), "a/b");
    assert_eq!(inside("a", "a/b"), "a/b");
    assert_eq!(inside("/r/a", "/r/a/b/c"), "b/c");
    // Not below: never taken for a path of the repository.
    assert_eq!(inside("/r/a", "/x/b"), "/x/b");
    assert_eq!(inside("..", "../tests/x"), "../tests/x");
}
