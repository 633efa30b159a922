//! A rule file as it is written: keys, texts and lists. What they mean is checked behind this.

use crate::yaml::{self, Fields, Mistake, Node};

/// Most mistakes told of one file.
const TOLD_MAX: usize = 20;

#[derive(Default)]
pub(super) struct FileText {
    pub(super) provider: String,
    pub(super) references: Vec<String>,
    pub(super) revoke: String,
    pub(super) controls: Vec<String>,
    pub(super) rules: Vec<RuleText>,
}

pub(super) struct RuleText {
    pub(super) id: Placed,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) pattern: Option<Placed>,
    pub(super) keywords: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) value: Option<Placed>,
    pub(super) telling: bool,
    pub(super) validator: String,
    pub(super) confidence: String,
    pub(super) public_prefix: Option<String>,
    pub(super) rank: String,
    pub(super) edges: bool,
    pub(super) guard: String,
    pub(super) ignore: Vec<String>,
    pub(super) revoke: Option<String>,
    pub(super) references: Vec<String>,
    pub(super) controls: Vec<String>,
    pub(super) examples: Vec<String>,
    pub(super) negative: Vec<String>,
}

/// Text with its line.
#[derive(Default)]
pub(super) struct Placed {
    pub(super) line: u32,
    pub(super) value: String,
}

/// Reads one file, or tells what is wrong, in the order of the text.
pub(super) fn read(text: &str) -> Result<FileText, Vec<Mistake>> {
    let mut wrong = Vec::new();
    let file = yaml::read(text, &mut wrong)
        .and_then(|tree| file(&tree, &mut wrong))
        .unwrap_or_default();
    if wrong.is_empty() {
        return Ok(file);
    }
    wrong.sort_by_key(|mistake| (mistake.at.line, mistake.at.column));
    wrong.truncate(TOLD_MAX);
    Err(wrong)
}

fn file(tree: &Node<'_>, wrong: &mut Vec<Mistake>) -> Option<FileText> {
    let needed = &["provider", "references", "revoke", "rules"];
    let fields = Fields::of(tree, "a rule file", needed, &["controls"], wrong)?;
    Some(FileText {
        provider: fields.text("provider", wrong).unwrap_or_default(),
        references: fields.texts("references", wrong),
        revoke: fields.text("revoke", wrong).unwrap_or_default(),
        controls: fields.texts("controls", wrong),
        rules: fields
            .items("rules", wrong)
            .iter()
            .filter_map(|node| rule(node, wrong))
            .collect(),
    })
}

fn rule(node: &Node<'_>, wrong: &mut Vec<Mistake>) -> Option<RuleText> {
    let needed = &["id", "title", "confidence", "examples", "negative"];
    let others = &[
        "description",
        "pattern",
        "keywords",
        "names",
        "value",
        "telling",
        "validator",
        "public_prefix",
        "rank",
        "edges",
        "guard",
        "ignore",
        "revoke",
        "references",
        "controls",
    ];
    let fields = Fields::of(node, "a rule", needed, others, wrong)?;
    // What is needed and not there was noted above: the file is refused, whatever stands here.
    let mut text = |name| fields.text(name, wrong);
    let or = |text: Option<String>, usual: &str| text.unwrap_or_else(|| usual.to_owned());
    let mut placed = |name| {
        Some(Placed {
            line: fields.get(name)?.at.line,
            value: text(name)?,
        })
    };
    let (id, pattern, value) = (placed("id"), placed("pattern"), placed("value"));
    Some(RuleText {
        id: id.unwrap_or_default(),
        title: text("title").unwrap_or_default(),
        description: text("description").unwrap_or_default(),
        pattern,
        value,
        validator: or(text("validator"), "none"),
        confidence: text("confidence").unwrap_or_default(),
        public_prefix: text("public_prefix"),
        rank: or(text("rank"), "vendor"),
        guard: or(text("guard"), "none"),
        revoke: text("revoke"),
        telling: fields.flag("telling", wrong).unwrap_or(true),
        edges: fields.flag("edges", wrong).unwrap_or(true),
        keywords: fields.texts("keywords", wrong),
        names: fields.texts("names", wrong),
        ignore: fields.texts("ignore", wrong),
        references: fields.texts("references", wrong),
        controls: fields.texts("controls", wrong),
        examples: fields.texts("examples", wrong),
        negative: fields.texts("negative", wrong),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
provider: Acme
references: [https://acme.invalid/docs]
revoke: |
  Ask the admins.
rules:
  - id: secret/acme-token
    title: 007
    telling: false
    pattern:
      'acme''_'
    keywords:
      - \"acme\\x5f\"
    confidence: likely
    examples: ['acme']
    negative: []
";

    fn told(text: &str) -> Vec<String> {
        let lines = |mistake: Mistake| format!("{}: {mistake}", mistake.at.line);
        match read(text) {
            Ok(_) => Vec::new(),
            Err(wrong) => wrong.into_iter().map(lines).collect(),
        }
    }

    #[test]
    fn scalars_of_every_style() {
        let file = read(FILE).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert_eq!(file.revoke, "Ask the admins.\n");
        let rule = &file.rules[0];
        assert_eq!((rule.id.line, rule.title.as_str()), (6, "007"));
        assert!(!rule.telling && rule.edges);
        let pattern = rule.pattern.as_ref().unwrap();
        assert_eq!((pattern.line, pattern.value.as_str()), (10, "acme'_"));
        assert_eq!(rule.keywords, ["acme_"]);
        assert_eq!((&*rule.validator, &*rule.rank), ("none", "vendor"));
    }

    #[test]
    fn every_mistake_has_its_line() {
        for (from, to, says) in [
            (
                "title:",
                "titel:",
                "7: unknown key `titel` in a rule; known: id, title,",
            ),
            ("provider: Acme\n", "", "1: a rule file has no `provider`"),
            (
                "    confidence: likely\n",
                "",
                "6: a rule has no `confidence`",
            ),
            ("title: 007", "title:", "7: `title` has no value"),
            (
                "title: 007",
                "title: [a]",
                "7: `title` must be text, not a list",
            ),
            (
                "['acme']",
                "acme",
                "14: `examples` must be a list, not a plain value",
            ),
            (
                "['acme']",
                "[{a: b}]",
                "14: `examples` must be text, not a map of keys",
            ),
            (
                "['acme']",
                "[~]",
                "14: `examples` must be text, not nothing",
            ),
            (
                "telling: false",
                "telling: 0",
                "8: `telling` must be true or false, not `0`",
            ),
            (
                "title: 007",
                "title: a\n    title: b",
                "8: the key `title` is here twice; first on line 7",
            ),
            (
                "title: 007",
                "title: &a b",
                "7: an anchor (`&name`) is not allowed",
            ),
            (
                "title: 007",
                "title: *a",
                "7: an alias (`*name`) is not allowed",
            ),
            (
                "title: 007",
                "title: !!str a",
                "7: a tag (`!name`) is not allowed",
            ),
            ("provider: Acme", "provider: [", "3: this is not YAML"),
            (
                "  - id: secret/acme-token",
                "  - a\n  - id: b",
                "6: a rule must be a map of keys",
            ),
            (
                "negative: []",
                "negative: []\n---\na: b",
                "16: the file must be one document",
            ),
        ] {
            assert!(FILE.contains(from), "{from}");
            let told = told(&FILE.replacen(from, to, 1));
            assert!(
                told.first().is_some_and(|told| told.starts_with(says)),
                "{to}: {told:?}"
            );
        }
        assert_eq!(told(""), ["0: the file is empty"]);
        assert_eq!(
            told("- a\n"),
            ["1: a rule file must be a map of keys, not a list"]
        );
        let deep = format!("rules: {}", "[".repeat(100_000));
        assert!(told(&deep)[0].contains("this is not YAML"));
        let wide = format!("rules: [{}]", "a,".repeat(60_000));
        assert_eq!(told(&wide), ["1: a file has at most 50000 values"]);
        let many = format!("rules:\n{}", "- a\n".repeat(100));
        assert_eq!(told(&many).len(), TOLD_MAX);
    }
}
