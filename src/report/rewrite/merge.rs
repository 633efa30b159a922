//! A merge that is made again.

use bstr::BString;

use super::{Fault, LISTED_MAX};
use crate::report::cure::{Cure, Family, Line};
use crate::report::words::{argv, quoted, short};
use crate::verdict::Judged;

pub(super) fn at_tip(cure: &mut Cure, merge: &Fault<'_>) {
    let Some(first) = merge.commit.parents.first() else {
        return;
    };
    cure.lines.push(Line::Note(
        "make the merge again, and leave git's result as it is".into(),
    ));
    let first = short(first);
    cure.lines
        .push(Line::run(["git", "reset", "--keep", &first]));
    again(cure, merge);
}

/// The same for a merge that is not the tip: what came after it is put on top of the new one. Nothing else is made
/// again, least of all what the merge brought from others.
pub(super) fn below(cure: &mut Cure, merge: &Fault<'_>) {
    let Some(first) = merge.commit.parents.first() else {
        return;
    };
    let text = format!(
        "make the merge {} again, as git makes it",
        short(&merge.commit.id)
    );
    cure.lines.push(Line::Note(text));
    let (first, old) = (short(first), short(&merge.commit.id));
    cure.lines
        .push(Line::run(["git", "checkout", "-q", "--detach", &first]));
    again(cure, merge);
    cure.lines.push(Line::run(["git", "checkout", "-q", "-"]));
    cure.lines.push(Line::run([
        "git", "rebase", "-r", "--onto", "HEAD@{1}", &old,
    ]));
}

/// What the editor of a rebase does to the merges with these ids. git writes `merge -C <id> <label>`, and takes over a merge
/// whose parents did not change, as it is; so they are made by hand, with the message that they have.
pub(super) fn again_in_rebase(ids: &str, merges: &[&Fault<'_>]) -> String {
    let mut amend = "git commit -q --amend --allow-empty -C \\2".to_owned();
    if merges.iter().any(|merge| merge.has(Family::Author)) {
        amend.push_str(" --reset-author");
    }
    if merges.iter().any(|merge| merge.has(Family::Sign)) {
        amend.push_str(" -S");
    }
    format!(
        "s,^(m|merge) -C ({ids})[0-9a-f]* ([^ ]+).*,exec git merge -q --no-ff --no-edit refs/rewritten/\\3 \\&\\& {amend},"
    )
}

fn again(cure: &mut Cure, merge: &Fault<'_>) {
    let twin = |judged: &&&Judged| judged.finding.rule == "path/confusable";
    for judged in merge.findings.iter().filter(twin).take(LISTED_MAX) {
        if let Some(path) = &judged.finding.place.path {
            let text = format!(
                "first rename {} or its twin, whichever is yours, and commit that",
                quoted(path)
            );
            cure.lines.push(Line::Note(text));
        }
    }
    let others = merge.commit.parents.iter().skip(1);
    let mut command = argv(["git", "merge", "--no-ff", "--no-edit"]);
    command.extend(others.map(|id| BString::from(short(id))));
    cure.lines.push(Line::Run {
        argv: command,
        otherwise: "merge again".into(),
    });
}
