//! Pushes as data: reads and runs the files in `testdata/pushes/`. Their format is told in `testdata/pushes/README.md`.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::samples::expand;
use crate::world::{Clone, Pushed, Setup, Verdict, World, testdata};

/// One case: a title and its steps.
#[derive(Debug)]
struct Case {
    title: String,
    line: usize,
    steps: Vec<Step>,
}

/// One line of a case, with the block of `| ` lines below it.
#[derive(Debug)]
struct Step {
    line: usize,
    verb: String,
    rest: String,
    block: Option<String>,
}

/// Runs every case of one file and panics with all failures.
pub(crate) fn run_file(name: &str) {
    let path = testdata("pushes").join(format!("{name}.case"));
    let text = fs::read_to_string(&path).unwrap();
    let only = std::env::var("CASE").unwrap_or_default();
    let mut failures = String::new();
    for case in parse(&text)
        .iter()
        .filter(|case| case.title.contains(&only))
    {
        let at = Cell::new(case.line);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(case, &at))) {
            let why = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panic");
            let _ = writeln!(
                failures,
                "{name}.case:{}: {}\n{why}\n",
                at.get(),
                case.title
            );
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// How many cases of a file expect nothing but acceptance.
pub(crate) fn count_clean(name: &str) -> usize {
    let text = fs::read_to_string(testdata("pushes").join(format!("{name}.case"))).unwrap();
    let refuses = |step: &Step| matches!(&*step.verb, "reject" | "hold" | "unjudged" | "unusable");
    parse(&text)
        .iter()
        .filter(|case| !case.steps.iter().any(refuses))
        .count()
}

/// How many cases a file holds.
pub(crate) fn count(name: &str) -> usize {
    let text = fs::read_to_string(testdata("pushes").join(format!("{name}.case"))).unwrap();
    parse(&text).len()
}

/// The rows of the list of attacks that the cases of a file name.
pub(crate) fn attacks(name: &str) -> Vec<String> {
    let text = fs::read_to_string(testdata("pushes").join(format!("{name}.case"))).unwrap();
    parse(&text)
        .iter()
        .flat_map(|case| &case.steps)
        .filter(|step| step.verb == "attack")
        .flat_map(|step| step.rest.split(' ').map(str::to_owned))
        .collect()
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if let Some(content) = line.strip_prefix('|') {
            let step = cases.last_mut().and_then(|case| case.steps.last_mut());
            let block = &mut step
                .unwrap_or_else(|| panic!("line {number}: no step above"))
                .block;
            let block = block.get_or_insert_default();
            block.push_str(content.strip_prefix(' ').unwrap_or(content));
            block.push('\n');
            continue;
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        if verb == "case" {
            cases.push(Case {
                title: rest.to_owned(),
                line: number,
                steps: Vec::new(),
            });
            continue;
        }
        let case = cases
            .last_mut()
            .unwrap_or_else(|| panic!("line {number}: no case above"));
        case.steps.push(Step {
            line: number,
            verb: verb.to_owned(),
            rest: rest.to_owned(),
            block: None,
        });
    }
    cases
}

/// What a running case knows.
struct Run<'w> {
    world: &'w World,
    clones: HashMap<String, Clone<'w>>,
    who: Option<String>,
    pushed: Option<Pushed>,
    secrets: Vec<Vec<u8>>,
}

fn run(case: &Case, at: &Cell<usize>) {
    let mut setup = Setup::default();
    let mut secrets = Vec::new();
    for step in &case.steps {
        match &*step.verb {
            "repository" => {
                setup.seeded = !step.rest.contains("empty");
                if step.rest.contains("sha256") {
                    setup.object_format = "sha256";
                }
            }
            "policy" if step.block.is_none() => {
                let file = testdata("pushes").join(format!("{}.yaml", step.rest));
                setup.policy = Some(fs::read_to_string(file).unwrap());
            }
            "policy" => {
                let text = expand(step.block.as_deref().unwrap_or_default(), &mut secrets);
                setup.policy = Some(String::from_utf8(text).unwrap());
            }
            _ => {}
        }
    }
    let world = World::with(setup);
    let mut run = Run {
        world: &world,
        clones: HashMap::new(),
        who: None,
        pushed: None,
        secrets,
    };
    for step in &case.steps {
        at.set(step.line);
        run.step(step);
    }
    assert!(run.pushed.is_none(), "the last push has no expectation");
    // Without a usable policy nothing was judged, and there may be no ledger.
    let ledger = world.server().join("ringfence/ledger.jsonl");
    if ledger.exists() {
        let mut command = world.ringfence_command(&world.server());
        let verified = command
            .args(["ledger", "verify"])
            .arg(&ledger)
            .output()
            .unwrap();
        let said = crate::world::both(&verified);
        assert!(verified.status.success(), "the ledger is broken:\n{said}");
    }
}

impl<'w> Run<'w> {
    fn clone(&self) -> &Clone<'w> {
        let who = self.who.as_ref().expect("`as NAME` first");
        &self.clones[who]
    }

    fn step(&mut self, step: &Step) {
        let rest = expand(&step.rest, &mut self.secrets);
        let rest = OsStr::from_bytes(&rest);
        let block = step
            .block
            .as_ref()
            .map(|block| expand(block, &mut self.secrets));
        let words: Vec<_> = split(rest.as_bytes());
        match &*step.verb {
            "attack" | "repository" | "policy" => {}
            "as" => {
                let name = step.rest.clone();
                if !self.clones.contains_key(&name) {
                    self.clones
                        .insert(name.clone(), self.world.clone_for(&name));
                }
                self.who = Some(name);
            }
            "set" => {
                let (name, value) = step.rest.split_once('=').expect("set NAME=VALUE");
                self.clone().set(name, expand_text(value));
            }
            "unset" => self.clone().unset(&step.rest),
            "write" => self.clone().write(rest, block.unwrap_or_default()),
            "append" => {
                let path = self.clone().dir().join(rest);
                let mut content = fs::read(path).unwrap();
                content.extend(block.expect("append needs lines"));
                self.clone().write(rest, content);
            }
            "bytes" => {
                let mut content = block.expect("bytes needs lines");
                content.pop();
                self.clone().write(rest, content);
            }
            "key" => self.world.make_key(&words),
            "certificate" => self.world.certify(&words),
            "keys" if rest.is_empty() => self.world.usual_keys(),
            "keys" => {
                let text = String::from_utf8(block.unwrap_or_default()).unwrap();
                self.world.write_keys(&step.rest, &text);
            }
            "sign" => {
                let name = step.rest.strip_prefix("with ").expect("sign with NAME");
                self.clone().sign_with(name);
            }
            "commit" => {
                let mut message = rest.as_bytes().to_vec();
                if let Some(block) = block {
                    message.extend(b"\n\n");
                    message.extend(block);
                }
                self.clone().commit(std::ffi::OsString::from_vec(message));
            }
            "git" => {
                self.clone().git(&words);
            }
            "sh" => self
                .clone()
                .shell(&block.unwrap_or_else(|| rest.as_bytes().to_vec())),
            "server" => {
                let script = block.unwrap_or_else(|| rest.as_bytes().to_vec());
                let mut shell = self
                    .world
                    .shell_command(&self.world.server(), OsStr::from_bytes(&script));
                let output = shell.output().unwrap();
                assert!(output.status.success(), "{}", crate::world::both(&output));
            }
            "push" => {
                assert!(self.pushed.is_none(), "the push before has no expectation");
                let pushed = self.clone().push(&words);
                for secret in &self.secrets {
                    // The client shows what it was told to push; the remote must not.
                    let shown = find(pushed.said.as_bytes(), secret);
                    assert!(!shown, "a secret is shown:\n{}", pushed.everything);
                }
                self.pushed = Some(pushed);
            }
            "accept" | "observed" | "reject" | "hold" | "unjudged" | "unusable" | "declined" => {
                let pushed = self.pushed.take().expect("`push` first");
                judge(&step.verb, &step.rest, &pushed);
                self.pushed = None;
            }
            "says" => {
                let pushed = self
                    .pushed
                    .as_ref()
                    .expect("`says` stands between push and verdict");
                let said = find(pushed.said.as_bytes(), rest.as_bytes());
                assert!(said, "not said:\n{}", pushed.everything);
            }
            verb => panic!("unknown step {verb}"),
        }
    }
}

/// Compares the outcome of a push with what a case expects.
fn judge(verb: &str, rules: &str, pushed: &Pushed) {
    let rules: Vec<&str> = rules.split_whitespace().collect();
    if verb == "observed" {
        assert!(
            pushed.accepted,
            "expected to be accepted:\n{}",
            pushed.everything
        );
        return;
    }
    if verb == "accept" {
        assert!(
            pushed.accepted,
            "expected to be accepted:\n{}",
            pushed.everything
        );
        let mut warned = pushed.rules("warning");
        warned.dedup();
        assert_eq!(warned, rules, "warnings:\n{}", pushed.everything);
        if rules.is_empty() {
            pushed.expect_accept();
        }
        return;
    }
    let verdict = match verb {
        "reject" => Verdict::Reject,
        "hold" => Verdict::Hold,
        "unjudged" => Verdict::Unjudged,
        "unusable" => Verdict::Unusable,
        _ => Verdict::Declined,
    };
    pushed.expect(verdict, &rules);
    if matches!(verdict, Verdict::Reject | Verdict::Hold) {
        assert!(!rules.is_empty(), "name the rules that refuse");
    }
}

fn expand_text(text: &str) -> std::ffi::OsString {
    std::ffi::OsString::from_vec(expand(text, &mut Vec::new()))
}

/// Words as a shell splits them, with single quotes and nothing else.
fn split(text: &[u8]) -> Vec<std::ffi::OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    for &byte in text {
        match byte {
            b'\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
        .into_iter()
        .map(std::ffi::OsString::from_vec)
        .collect()
}

fn find(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
