//! `objects`: what the push sends is well formed, connected, and all of it is judged.

use bstr::BString;

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place};
use crate::push::{Oid, RefName};
use crate::repo::{Defect, RepoError};

/// See the module.
pub(super) struct Objects;

static RULES: &[Rule] = &[
    Rule {
        id: "object/malformed",
        title: "the object is not well formed",
        doc: "A commit, tag or tree that `git fsck` complains about: two readers can see two different \
              things in it (duplicate entries or headers, wrong order, NUL bytes, odd modes). So is a tree with an \
              empty folder, which git never writes. Make the commit again with git.",
        default: Level::Deny,
        default_human: Level::Deny,
        fixed: false,
    },
    Rule {
        id: "object/unreferenced",
        title: "the push sends objects that nothing in it refers to",
        doc: "They would stay in the store, readable by id, without having been judged. Ordinary git \
              clients do not send such objects.",
        default: Level::Deny,
        default_human: Level::Deny,
        fixed: false,
    },
    Rule {
        id: "history/unrelated",
        title: "the commit starts a history of its own",
        doc: "A commit without parents where the repository has a history already: content arrives without \
              the reviewed base below it.",
        default: Level::Deny,
        default_human: Level::Warn,
        fixed: false,
    },
];

impl Check for Objects {
    fn name(&self) -> &'static str {
        "objects"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        let history = facts.history;
        for new in &history.commits {
            let ref_name = facts.ref_of(&new.updates);
            for defect in &new.commit.defects {
                findings.push(defective(
                    defect,
                    Part::Commit,
                    Some(new.commit.id),
                    ref_name.clone(),
                    None,
                ));
            }
            for (path, defect) in &new.tree_defects {
                let path = Some(path.clone());
                findings.push(defective(
                    defect,
                    Part::Path,
                    Some(new.commit.id),
                    ref_name.clone(),
                    path,
                ));
            }
        }
        for new in &history.tags {
            let ref_name = facts.ref_of(&new.updates);
            for defect in &new.tag.defects {
                findings.push(defective(
                    defect,
                    Part::Tag,
                    Some(new.tag.id),
                    ref_name.clone(),
                    None,
                ));
            }
        }
        for (update, path, defect) in &history.content_defects {
            let name = facts.updates[*update].command.name.clone();
            let path = Some(path.clone());
            findings.push(defective(defect, Part::Path, None, Some(name), path));
        }
        if let Some((first, _)) = history.unreferenced.first() {
            let title = "the push sends objects that nothing in it refers to";
            let mut found = Finding::new("object/unreferenced", title, Place::new(Part::Ref));
            found.detail = Some(format!(
                "{} objects, the first is {first}",
                history.unreferenced.len()
            ));
            findings.push(found);
        }
        for root in &history.new_roots {
            if is_note(facts, *root) {
                continue;
            }
            let mut place = Place::new(Part::Commit);
            place.commit = Some(*root);
            findings.push(Finding::new(
                "history/unrelated",
                "the commit starts a history of its own",
                place,
            ));
        }
        Ok(())
    }
}

/// Whether only refs of notes bring the commit: notes are a history of their own by nature.
fn is_note(facts: &Facts<'_>, id: Oid) -> bool {
    let brought_by_notes = |update: &usize| {
        facts.updates[*update]
            .target
            .as_bytes()
            .starts_with(b"refs/notes/")
    };
    let new = facts.history.commits.iter().find(|new| new.commit.id == id);
    new.is_some_and(|new| new.updates.iter().all(brought_by_notes))
}

fn defective(
    defect: &Defect,
    part: Part,
    commit: Option<Oid>,
    ref_name: Option<RefName>,
    path: Option<BString>,
) -> Finding {
    let mut place = Place::new(part);
    place.commit = commit;
    place.ref_name = ref_name;
    place.path = path;
    let title = match defect.rule {
        "path/confusable" => "the path can be mistaken for another one",
        "path/control" => "the path holds control characters",
        _ => "the object is not well formed",
    };
    let mut found = Finding::new(defect.rule, title, place);
    found.detail = Some(defect.what.clone());
    found
}
