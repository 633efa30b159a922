//! `rules/presets/*.yaml` to a static table of globs, checked, without braces, folded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::yaml::{self, Fields, Mistake, Node, Value};

struct File {
    title: String,
    usual: String,
    anywhere: Vec<Entry>,
    root: Vec<Entry>,
}

struct Entry {
    glob: String,
    why: String,
    not: Vec<String>,
}

fn file(text: &str, wrong: &mut Vec<Mistake>) -> Option<File> {
    let tree = yaml::read(text, wrong)?;
    let (needed, others) = (&["title", "usual"], &["anywhere", "root"]);
    let fields = Fields::of(&tree, "a preset", needed, others, wrong)?;
    let mut entries = |name| {
        let items = fields.items(name, wrong).iter();
        items.filter_map(|node| entry(node, wrong)).collect()
    };
    Some(File {
        anywhere: entries("anywhere"),
        root: entries("root"),
        title: fields.text("title", wrong)?,
        usual: fields.text("usual", wrong)?,
    })
}

/// A glob alone, or with what there is to say of it.
fn entry(node: &Node<'_>, wrong: &mut Vec<Mistake>) -> Option<Entry> {
    if let Value::Scalar(glob) = &node.value {
        return Some(Entry {
            glob: glob.clone().into_owned(),
            why: String::new(),
            not: Vec::new(),
        });
    }
    let fields = Fields::of(node, "an entry", &["glob"], &["why", "not"], wrong)?;
    Some(Entry {
        glob: fields.text("glob", wrong)?,
        why: fields.text("why", wrong).unwrap_or_default(),
        not: fields.texts("not", wrong),
    })
}

/// Writes `presets.rs` into `out`.
pub(crate) fn compile(rules: &Path, out: &Path) {
    let files = crate::read_folder(&rules.join("presets"), file);
    let mut code = String::from("pub(super) static PRESETS: &[Preset] = &[\n");
    for (name, file) in &files {
        let anywhere = file.anywhere.iter().map(|entry| ("**/", entry));
        let root = file.root.iter().map(|entry| ("", entry));
        let mut globs = Vec::new();
        let mut rows = String::new();
        for (prefix, entry) in anywhere.chain(root) {
            let Entry { glob, why, not } = entry;
            let not: Vec<String> = not
                .iter()
                .flat_map(|glob| expand(&format!("{prefix}{glob}")))
                .map(|glob| glob.to_ascii_lowercase())
                .collect();
            for glob in expand(&format!("{prefix}{glob}")) {
                check(name, &glob);
                let folded = glob.to_ascii_lowercase();
                writeln!(
                    rows,
                    "Glob {{ written: {glob:?}, folded: {folded:?}, why: {why:?}, not: &{not:?} }},",
                )
                .expect("a string takes all text");
                globs.push(folded);
            }
        }
        let index = Index::of(&globs);
        writeln!(
            code,
            "Preset {{ name: {name:?}, title: {:?}, usual: {:?}, globs: &[\n{rows}], \
             names: &{:?}, tails: &{:?}, inside: &{:?}, rest: &{:?}, folder_names: &{:?}, folders: &{:?} }},",
            file.title,
            file.usual,
            index.names.iter().collect::<Vec<_>>(),
            index.tails,
            index.inside.iter().collect::<Vec<_>>(),
            index.rest,
            index.folder_names.iter().collect::<Vec<_>>(),
            index.folders.iter().collect::<Vec<_>>(),
        )
        .expect("a string takes all text");
    }
    code.push_str("];\n");
    std::fs::write(out.join("presets.rs"), code).expect("the build folder can be written");
}

/// Where to look for the glob that a path matches, so that few globs are tried.
#[derive(Default)]
struct Index {
    /// `**/name`, by name.
    names: BTreeMap<String, usize>,
    /// `**/na*me`: the glob of the name.
    tails: Vec<(String, usize)>,
    /// `**/name/**`, by name.
    inside: BTreeMap<String, usize>,
    /// All others.
    rest: Vec<usize>,
    /// `**/name` that is a folder on the way of some glob, by name.
    folder_names: BTreeMap<String, usize>,
    /// All other folders on the way, as globs.
    folders: BTreeMap<String, usize>,
}

impl Index {
    fn of(globs: &[String]) -> Index {
        let mut index = Index::default();
        for (number, glob) in globs.iter().enumerate() {
            let is_name = |name: &&str| !name.contains(['/', '*']);
            let anywhere = glob.strip_prefix("**/");
            if let Some(name) = anywhere.filter(is_name) {
                index.names.entry(name.to_owned()).or_insert(number);
            } else if let Some(name) = anywhere
                .and_then(|rest| rest.strip_suffix("/**"))
                .filter(is_name)
            {
                index.inside.entry(name.to_owned()).or_insert(number);
            } else if let Some(name) =
                anywhere.filter(|name| !name.contains('/') && !name.contains("**"))
            {
                index.tails.push((name.to_owned(), number));
            } else {
                index.rest.push(number);
            }
            for (slash, _) in glob.match_indices('/') {
                let folder = &glob[..slash];
                if folder
                    .rsplit('/')
                    .next()
                    .is_some_and(|last| last.trim_matches('*').is_empty())
                {
                    continue;
                }
                let (map, key) = match folder.strip_prefix("**/").filter(is_name) {
                    Some(name) => (&mut index.folder_names, name),
                    None => (&mut index.folders, folder),
                };
                map.entry(key.to_owned()).or_insert(number);
            }
        }
        index
    }
}

/// The data keeps to the part of the glob language that needs no parser: ASCII, `*`, `**`, braces.
fn check(preset: &str, glob: &str) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !br#"[]?\{}!"'"#.contains(&byte);
    assert!(
        glob.bytes().all(plain),
        "preset {preset}: {glob:?}: only ASCII names, `*`, `**` and braces"
    );
    for component in glob.split('/') {
        assert!(
            !component.is_empty() && (component == "**" || !component.contains("**")),
            "preset {preset}: {glob:?}: `**` must be a whole folder name, and no folder name is empty"
        );
    }
}

/// Expands the braces; they are not nested.
fn expand(glob: &str) -> Vec<String> {
    let Some((before, rest)) = glob.split_once('{') else {
        return vec![glob.to_owned()];
    };
    let (choices, after) = rest.split_once('}').expect("a brace in a preset is closed");
    choices
        .split(',')
        .flat_map(|choice| expand(&format!("{before}{choice}{after}")))
        .collect()
}
