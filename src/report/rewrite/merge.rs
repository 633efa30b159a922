//! A merge that is made again.

use bstr::BString;

use super::{Fault, LISTED_MAX};
use crate::report::cure::{Cure, Line};
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
