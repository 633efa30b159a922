//! `rules/agents/*.yaml` to a static table, checked, in lower case.

use std::fmt::Write as _;
use std::path::Path;

use crate::yaml::{self, Fields, Mistake, Node};

struct File {
    name: String,
    kind: String,
    mails: Vec<String>,
    names: Vec<String>,
    trailers: Vec<(String, String)>,
    lines: Vec<String>,
    keys: Vec<String>,
    references: Vec<String>,
}

fn file(text: &str, wrong: &mut Vec<Mistake>) -> Option<File> {
    let tree = yaml::read(text, wrong)?;
    let needed = &["name", "kind", "references"];
    let others = &["mails", "names", "trailers", "lines", "keys"];
    let fields = Fields::of(&tree, "an agent", needed, others, wrong)?;
    let items = fields.items("trailers", wrong).iter();
    let trailers = items.filter_map(|node| trailer(node, wrong)).collect();
    let kind = fields.text("kind", wrong)?;
    let mut lower = |name| -> Vec<String> {
        let texts = fields.texts(name, wrong).into_iter();
        texts.map(|text| text.to_lowercase()).collect()
    };
    Some(File {
        kind,
        mails: lower("mails"),
        names: lower("names"),
        lines: lower("lines"),
        trailers,
        keys: fields.texts("keys", wrong),
        references: fields.texts("references", wrong),
        name: fields.text("name", wrong)?,
    })
}

fn trailer(node: &Node<'_>, wrong: &mut Vec<Mistake>) -> Option<(String, String)> {
    let fields = Fields::of(node, "a trailer", &["key"], &["value"], wrong)?;
    let value = fields.text("value", wrong).unwrap_or_default();
    Some((
        fields.text("key", wrong)?.to_lowercase(),
        value.to_lowercase(),
    ))
}

/// Writes `agents.rs` into `out`.
pub(crate) fn compile(rules: &Path, out: &Path) {
    let files = crate::read_folder(&rules.join("agents"), file);
    for (id, file) in &files {
        check(id, file);
    }
    let mut code = String::from("pub(super) static AGENTS: &[Agent] = &[\n");
    for (id, file) in &files {
        let File {
            name,
            kind,
            mails,
            names,
            trailers,
            lines,
            keys,
            references,
        } = file;
        let is_bot = kind == "bot";
        writeln!(
            code,
            "Agent {{ id: {id:?}, name: {name:?}, is_bot: {is_bot}, mails: &{mails:?}, names: &{names:?}, \
             trailers: &{trailers:?}, lines: &{lines:?}, keys: &{keys:?}, references: &{references:?} }},",
        )
        .expect("a string takes all text");
    }
    code.push_str("];\n");
    std::fs::write(out.join("agents.rs"), code).expect("the build folder can be written");
}

fn check(id: &str, file: &File) {
    let told = |what: &str, is_right: bool| assert!(is_right, "rules/agents/{id}.yaml: {what}");
    told(
        "`kind` is agent or bot",
        ["agent", "bot"].contains(&file.kind.as_str()),
    );
    let marks = file.mails.len() + file.names.len() + file.trailers.len() + file.lines.len();
    told("no mark tells the agent", marks + file.keys.len() > 0);
    let is_mail = |mail: &String| mail.matches('@').count() == 1 && !mail.contains(['<', '>', ' ']);
    told("a mail address is not one", file.mails.iter().all(is_mail));
    let is_key = |key: &String| key.starts_with("SHA256:") && key.len() == 50;
    told("a key is not a fingerprint", file.keys.iter().all(is_key));
    // Shorter ones stand in ordinary prose.
    let is_telling = |line: &String| line.len() >= 12;
    told("a line tells too little", file.lines.iter().all(is_telling));
}
