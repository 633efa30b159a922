//! Advice for commits at fault: how to make them again without what was found.
//!
//! The commands work at each stop of a rebase as they do on a branch: `HEAD~1` is the commit before, as it was
//! mended already.

mod everywhere;
mod merge;

use std::collections::{HashMap, HashSet};

use bstr::{BString, ByteSlice as _};

use super::cure::{Cure, Family, Line};
use super::words::{argv, counted, is_magic, listed, quoted, short};
use crate::check::BECOMES_EXECUTABLE;
use crate::finding::PathOp;
use crate::order::Order as _;
use crate::push::{Oid, RefName};
use crate::verdict::{CommitBrief, Decision, Judged};

/// Most paths in one command, most commits marked by one.
const LISTED_MAX: usize = 20;

/// Most commits at which the steps are written out.
const STOPS_MAX: usize = 5;

/// One commit and what is wrong with it.
struct Fault<'a> {
    commit: &'a CommitBrief,
    findings: Vec<&'a Judged>,
}

impl Fault<'_> {
    fn has(&self, wanted: Family) -> bool {
        self.findings
            .iter()
            .any(|judged| Family::of(&judged.finding) == wanted)
    }

    /// A merge whose content is wrong. Its authors and message can be amended like those of any other.
    fn is_bad_merge(&self) -> bool {
        self.commit.parents.len() > 1
            && (self.has(Family::Merge) || self.has(Family::Path) || self.has(Family::Content))
    }
}

/// Adds the advice for `findings`, all of which need new commits.
pub(super) fn advise(cure: &mut Cure, decision: &Decision, findings: &[&Judged]) {
    let order: HashMap<Oid, usize> = decision
        .commits
        .iter()
        .enumerate()
        .map(|(index, commit)| (commit.id, index))
        .collect();
    let mut by_ref: Vec<(Option<&RefName>, Vec<&Judged>)> = Vec::new();
    let mut netto = Vec::new();
    for judged in findings {
        let place = &judged.finding.place;
        if place.commit.is_none_or(|id| !order.contains_key(&id)) {
            netto.push(*judged);
            continue;
        }
        // What stands in a commit stands on the ref that brings it, whether the finding says so or not.
        let brings = place.commit.and_then(|id| order.get(&id));
        let brings = brings.and_then(|index| decision.commits[*index].refs.first());
        let of = place.ref_name.as_ref().or(brings);
        match by_ref.iter_mut().find(|(name, _)| *name == of) {
            Some((_, of_ref)) => of_ref.push(judged),
            None => by_ref.push((of, vec![judged])),
        }
    }
    if !by_ref.is_empty() {
        cure.lines.push(Line::Say(
            "Every commit of a push is judged: a later commit that takes it back is not enough. Change the commits, then push again:".into(),
        ));
    }
    let several = by_ref.len() > 1;
    for (name, of_ref) in by_ref {
        if let (true, Some(name)) = (several, name) {
            let text = format!("on your branch for {}:", quoted(name.as_bytes()));
            cure.lines.push(Line::Note(text));
        }
        let faults = faults(decision, &of_ref, &order);
        cure.commits
            .extend(faults.iter().map(|fault| fault.commit.id));
        of_branch(cure, decision, name, &faults);
    }
    net_effect(cure, decision, &netto);
}

fn faults<'a>(
    decision: &'a Decision,
    findings: &[&'a Judged],
    order: &HashMap<Oid, usize>,
) -> Vec<Fault<'a>> {
    let mut by_commit: HashMap<usize, Vec<&Judged>> = HashMap::new();
    for judged in findings {
        let place = &judged.finding.place;
        let ids: HashSet<&Oid> = place.commit.iter().chain(&place.also_in).collect();
        for index in ids.into_iter().filter_map(|id| order.get(id)) {
            by_commit.entry(*index).or_default().push(judged);
        }
    }
    let mut faults: Vec<(usize, Vec<&Judged>)> = by_commit.into_iter().collect();
    faults.order_by_key(|(index, _)| *index);
    let fault = |(index, findings)| Fault {
        commit: &decision.commits[index],
        findings,
    };
    faults.into_iter().map(fault).collect()
}

fn of_branch(cure: &mut Cure, decision: &Decision, name: Option<&RefName>, faults: &[Fault<'_>]) {
    let tip = decision
        .updates
        .iter()
        .find(|update| name.is_none_or(|name| *name == update.command.name))
        .and_then(|update| update.command.new);
    let only_headers = faults.iter().all(|fault| {
        let family = |judged: &&Judged| Family::of(&judged.finding);
        let in_header = |judged| matches!(family(judged), Family::Author | Family::Sign);
        fault.findings.iter().all(in_header)
    });
    if faults.iter().any(|fault| fault.has(Family::Author)) {
        configure_author(cure, decision);
    }
    let unsigned: Vec<&Judged> = faults
        .iter()
        .flat_map(|fault| fault.findings.iter().copied())
        .filter(|judged| Family::of(&judged.finding) == Family::Sign)
        .collect();
    if !unsigned.is_empty() {
        cure.configure_signing(&unsigned);
    }
    if let [only] = faults
        && Some(only.commit.id) == tip
    {
        cure.base = only.commit.parents.first().copied();
        if only.is_bad_merge() {
            merge::at_tip(cure, only);
        } else {
            at_commit(cure, only, faults);
        }
        return;
    }
    let base = base(decision, faults);
    cure.base = base;
    let base_text = base.map_or_else(|| "--root".into(), |id| short(&id));
    let merges = decision
        .commits
        .iter()
        .any(|commit| commit.parents.len() > 1);
    if only_headers {
        headers(cure, decision, faults, &base_text);
        return;
    }
    if !merges
        && let Some(base) = base
        && let Some(paths) = everywhere::paths(faults)
    {
        everywhere::put_back(cure, &base, &paths);
        if faults
            .iter()
            .any(|fault| fault.has(Family::Author) || fault.has(Family::Sign))
        {
            headers(cure, decision, faults, &base_text);
        }
        return;
    }
    let (redone, mut stops): (Vec<&Fault<'_>>, Vec<&Fault<'_>>) =
        faults.iter().partition(|fault| fault.is_bad_merge());
    if let ([merge], []) = (redone.as_slice(), stops.as_slice()) {
        merge::below(cure, merge);
        return;
    }
    if merges {
        let order = order_of_replay(decision);
        stops.order_by_key(|fault| order.get(&fault.commit.id));
    }
    let marks = |faults: &[&Fault<'_>]| {
        let ids = faults.iter().take(LISTED_MAX);
        let ids: Vec<String> = ids
            .map(|fault| fault.commit.id.to_string()[..7].to_owned())
            .collect();
        ids.join("|")
    };
    // git writes `pick <id> <subject>` lines; the editor marks those at which it shall stop.
    let mut edits = Vec::new();
    if !stops.is_empty() {
        edits.push(format!("s/^(p|pick) ({})/edit \\2/", marks(&stops)));
    }
    if !redone.is_empty() {
        edits.push(merge::again_in_rebase(&marks(&redone), &redone));
    }
    let editor = format!("GIT_SEQUENCE_EDITOR=sed -i.bak -E \"{}\"", edits.join("; "));
    let mut command = vec![BString::from("env"), BString::from(editor)];
    command.extend(argv(["git", "rebase"]));
    if merges {
        command.push("-r".into());
    }
    // What takes back what is mended has nothing left to do.
    command.extend(argv(["-i", "--empty=drop"]));
    // Later commits often take out what is taken out now: where both touch a line, it comes out as they left it.
    if !merges && stops.iter().any(|fault| fault.has(Family::Content)) {
        command.extend(argv(["-X", "theirs"]));
    }
    command.push(base_text.into());
    cure.lines.push(Line::Run {
        argv: command,
        otherwise: "rebase, and stop at each commit at fault".into(),
    });
    for fault in &redone {
        let text = format!("this makes the merge {} again", short(&fault.commit.id));
        cure.lines.push(Line::Note(text));
    }
    for fault in stops.iter().take(STOPS_MAX) {
        let text = format!("when git stops at {}:", short(&fault.commit.id));
        cure.lines.push(Line::Note(text));
        at_commit(cure, fault, faults);
        cure.lines.push(Line::run(["git", "rebase", "--continue"]));
    }
    if stops.len() > STOPS_MAX {
        let text = format!("and so on: {} commits are at fault", stops.len());
        cure.lines.push(Line::Note(text));
    }
}

/// Makes every commit from `base` on again, with another author or a signature.
fn headers(cure: &mut Cure, decision: &Decision, faults: &[Fault<'_>], base: &str) {
    let mut exec = String::new();
    // What merges brought from known history passes by as well, and stays as it is.
    for id in known_parents(decision).filter(|id| !base.starts_with(&short(id))) {
        exec.push_str(&format!(
            "git merge-base --is-ancestor HEAD {} || ",
            short(&id)
        ));
    }
    exec.push_str("git commit --amend --no-edit --allow-empty");
    if faults.iter().any(|fault| fault.has(Family::Author)) {
        exec.push_str(" --reset-author");
    }
    if faults.iter().any(|fault| fault.has(Family::Sign)) {
        exec.push_str(" -S");
    }
    cure.lines
        .push(Line::run(["git", "rebase", "-r", base, "--exec", &exec]));
}

/// What the merges of the push join that is not of the push.
fn known_parents(decision: &Decision) -> impl Iterator<Item = Oid> {
    let new: HashSet<Oid> = decision.commits.iter().map(|commit| commit.id).collect();
    let merges = (decision.commits.iter()).filter(|commit| commit.parents.len() > 1);
    let mut known: Vec<Oid> = merges
        .flat_map(|commit| commit.parents.iter().copied())
        .filter(|id| !new.contains(id))
        .collect();
    known.order();
    known.dedup();
    known.into_iter()
}

/// The order in which `git rebase -r` makes commits again: each line of first parents as a whole, lines that are
/// merged before those that merge them.
fn order_of_replay(decision: &Decision) -> HashMap<Oid, usize> {
    let first_parent: HashMap<Oid, Option<Oid>> = decision
        .commits
        .iter()
        .map(|commit| (commit.id, commit.parents.first().copied()))
        .collect();
    let continued: HashSet<Oid> = first_parent.values().copied().flatten().collect();
    let mut order = HashMap::new();
    for commit in &decision.commits {
        if continued.contains(&commit.id) {
            continue;
        }
        let mut line = Vec::new();
        let mut next = Some(commit.id);
        while let Some(id) = next
            && let Some(parent) = first_parent.get(&id)
            && !order.contains_key(&id)
        {
            line.push(id);
            next = *parent;
        }
        for id in line.into_iter().rev() {
            order.insert(id, order.len());
        }
    }
    order
}

/// The commit that a rebase must start from to pass through every fault. `None`: it starts at the root.
fn base(decision: &Decision, faults: &[Fault<'_>]) -> Option<Oid> {
    let wanted: Vec<Oid> = faults.iter().map(|fault| fault.commit.id).collect();
    let reaches_all = |start: &CommitBrief| {
        let mut above = HashSet::from([start.id]);
        // Parents come before children: one pass marks everything above the start.
        for commit in &decision.commits {
            if commit.parents.iter().any(|parent| above.contains(parent)) {
                above.insert(commit.id);
            }
        }
        wanted.iter().all(|id| above.contains(id))
    };
    let oldest = faults.first().map(|fault| fault.commit);
    let start = oldest
        .filter(|commit| reaches_all(commit))
        .or_else(|| decision.commits.iter().find(|commit| reaches_all(commit)));
    match start {
        Some(commit) => commit.parents.first().copied(),
        // Faults on lines that never met: from where the push left known history.
        None => {
            let new: HashSet<Oid> = decision.commits.iter().map(|commit| commit.id).collect();
            let known = |commit: &CommitBrief| {
                commit
                    .parents
                    .first()
                    .copied()
                    .filter(|parent| !new.contains(parent))
            };
            decision
                .commits
                .iter()
                .find_map(known)
                .or(decision.rewrite_base)
        }
    }
}

fn configure_author(cure: &mut Cure, decision: &Decision) {
    match author(decision) {
        Some((user, mail)) => {
            cure.lines
                .push(Line::run(["git", "config", "user.name", &user]));
            cure.lines
                .push(Line::run(["git", "config", "user.email", &mail]));
            cure.lines.push(Line::Note(
                "GIT_AUTHOR_* and GIT_COMMITTER_* must not be set: they win".into(),
            ));
        }
        None => {
            let listed_authors: Vec<String> = decision
                .allowed_authors
                .iter()
                .take(3)
                .map(quoted)
                .collect();
            let text = match listed_authors.is_empty() {
                true => "set user.name and user.email to an author that is allowed".into(),
                false => format!(
                    "set user.name and user.email so that they fit {}",
                    listed(&listed_authors)
                ),
            };
            cure.lines.push(Line::Note(text));
        }
    }
}

/// The first allowed author that is no pattern, as name and mail.
pub(super) fn author(decision: &Decision) -> Option<(String, String)> {
    let plain = |author: &&String| !author.contains(['*', '?', '[', '{']);
    let (name, mail) = decision
        .allowed_authors
        .iter()
        .find(plain)?
        .split_once('<')?;
    let (name, mail) = (name.trim(), mail.trim_end().strip_suffix('>')?);
    (!name.is_empty() && !mail.is_empty()).then(|| (name.to_owned(), mail.to_owned()))
}

/// Whether nobody could execute the file before the first of the faults.
fn was_plain(faults: &[Fault<'_>], path: &BString) -> bool {
    let mut findings = faults.iter().flat_map(|fault| &fault.findings);
    let first = findings.find(|judged| {
        judged.finding.rule == "path/mode" && judged.finding.place.path.as_ref() == Some(path)
    });
    first.is_some_and(|judged| judged.finding.detail.as_deref() == Some(BECOMES_EXECUTABLE))
}

/// Puts right the commit at which the working tree stands; `faults`: of the whole branch, oldest first.
fn at_commit(cure: &mut Cure, fault: &Fault<'_>, faults: &[Fault<'_>]) {
    let is_root = fault.commit.parents.is_empty();
    let mut back = Vec::new();
    let mut out = Vec::new();
    let mut either = Vec::new();
    let (mut plain, mut executable) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for judged in &fault.findings {
        let finding = &judged.finding;
        let (Some(path), Family::Path | Family::Merge) = (&finding.place.path, Family::of(finding))
        else {
            continue;
        };
        if seen.insert(path) {
            match finding.op {
                // The file keeps its text: later commits may build on it.
                Some(PathOp::Mode) if finding.rule == "path/mode" => {
                    match was_plain(faults, path) {
                        true => plain.push(path),
                        false => executable.push(path),
                    }
                }
                Some(PathOp::Add) => out.push(path),
                _ if is_root => out.push(path),
                Some(PathOp::Modify | PathOp::Delete | PathOp::Mode) => back.push(path),
                Some(PathOp::Symlink | PathOp::Submodule) | None => either.push(path),
            }
        }
    }
    // A file that is put back takes the place of the folder that replaced it, and so does a file in a folder.
    let is_below = |path: &[u8], folder: &BString| {
        let rest = path.strip_prefix(folder.as_slice());
        rest.is_some_and(|rest| rest.starts_with(b"/"))
    };
    let stays = |path: &&BString| {
        let crosses = |file: &&BString| is_below(path, file) || is_below(file, path);
        !back.iter().any(crosses)
    };
    out.retain(stays);
    with_paths(cure, &["git", "checkout", "HEAD~1"], &back, "put back");
    with_paths(
        cure,
        &["git", "rm", "--cached", "-q"],
        &out,
        "take out of the commit",
    );
    with_paths(
        cure,
        &["git", "restore", "-s", "HEAD~1", "-S", "-W"],
        &either,
        "put back, or take out,",
    );
    with_paths(cure, &["chmod", "-x"], &plain, "make plain files of");
    with_paths(cure, &["chmod", "+x"], &executable, "make executable");
    plain.append(&mut executable);
    with_paths(cure, &["git", "add"], &plain, "add");
    let mut mended = HashSet::new();
    let mut remarks = 0;
    for judged in &fault.findings {
        let finding = &judged.finding;
        let (Some(path), Family::Content) = (&finding.place.path, Family::of(finding)) else {
            continue;
        };
        if seen.contains(path) {
            // Put back or taken out as a whole: adding it again would undo that.
            continue;
        }
        mended.insert(path);
        remarks += 1;
        if remarks > LISTED_MAX {
            continue;
        }
        let span = finding.place.span.as_ref();
        let line = span.map_or_else(String::new, |span| format!(", line {}", span.line));
        let shown = quoted(path);
        let text = match finding.rule.split('/').next() {
            Some("secret") => format!("remove the value from {shown}{line}"),
            Some("unicode") => {
                let column =
                    span.map_or_else(String::new, |span| format!(", column {}", span.column));
                format!("remove the characters from {shown}{line}{column}")
            }
            Some("limit") => format!("make {shown} smaller"),
            _ => format!("mend {shown}{line}"),
        };
        cure.lines.push(Line::Note(text));
    }
    if remarks > LISTED_MAX {
        let rest = counted(remarks - LISTED_MAX, "more place");
        cure.lines
            .push(Line::Note(format!("and so on: {rest} in this commit")));
    }
    let mut mended: Vec<&BString> = mended.into_iter().collect();
    mended.order();
    with_paths(cure, &["git", "add"], &mended, "add");
    if fault.has(Family::Rebuild) {
        let text = "an ordinary git writes well-formed objects when it makes the commit again";
        cure.lines.push(Line::Note(text.into()));
    }
    let message = fault.has(Family::Message);
    if message {
        cure.lines.push(Line::Note(
            "write a clean message when git asks for it, or give it with -m".into(),
        ));
    }
    let mut amend = argv(["git", "commit", "--amend"]);
    if !message {
        amend.push("--no-edit".into());
    }
    // Without the change the commit may have nothing left, or it had nothing from the start.
    amend.push("--allow-empty".into());
    if fault.has(Family::Author) {
        amend.push("--reset-author".into());
    }
    if fault.has(Family::Sign) {
        amend.push("-S".into());
    }
    cure.lines.push(Line::Run {
        argv: amend,
        otherwise: "amend the commit".into(),
    });
}

/// One command for the paths that a text may show, one remark for each of the others.
fn with_paths(cure: &mut Cure, program: &[&str], paths: &[&BString], what: &str) {
    let is_odd = |path: &&&BString| !path.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let (odd, usual): (Vec<&BString>, Vec<&BString>) =
        paths.iter().copied().partition(|path| is_odd(&path));
    let groups = usual
        .chunks(LISTED_MAX)
        .map(<[_]>::to_vec)
        .chain(odd.iter().map(|path| vec![*path]));
    for group in groups.take(LISTED_MAX) {
        let mut command: Vec<BString> = program.iter().map(|word| BString::from(*word)).collect();
        if program[0] == "git" && group.iter().any(|path| is_magic(path.as_bstr())) {
            command.insert(1, "--literal-pathspecs".into());
        }
        command.push("--".into());
        command.extend(group.iter().map(|path| (*path).clone()));
        let shown: Vec<String> = group.iter().take(3).map(quoted).collect();
        cure.lines.push(Line::Run {
            argv: command,
            otherwise: format!("{what} {}", listed(&shown)),
        });
    }
}

/// Findings that no single new commit caused: what the push as a whole does to the ref.
fn net_effect(cure: &mut Cure, decision: &Decision, findings: &[&Judged]) {
    if findings.is_empty() {
        return;
    }
    let to_put_back = findings
        .iter()
        .any(|judged| judged.finding.place.path.is_some());
    cure.lines.push(Line::Say(match to_put_back {
        true => {
            "The push as a whole changes what it may not. Put these paths back to what the server has:"
                .into()
        }
        false => "What the ref points to holds what it may not. Make it again without that.".into(),
    }));
    let mut unknown = Vec::new();
    for update in &decision.updates {
        let of_update = |judged: &&&Judged| {
            judged
                .finding
                .place
                .ref_name
                .as_ref()
                .is_none_or(|name| *name == update.command.name)
        };
        let paths: Vec<&BString> = findings
            .iter()
            .filter(of_update)
            .filter_map(|judged| judged.finding.place.path.as_ref())
            .collect();
        match (update.stored, paths.is_empty()) {
            (Some(stored), false) => {
                let stored = short(&stored);
                with_paths(
                    cure,
                    &["git", "restore", "-s", &stored, "-S", "-W"],
                    &paths,
                    "put back, or take out,",
                );
                cure.lines.push(Line::run([
                    "git",
                    "commit",
                    "--amend",
                    "--no-edit",
                    "--allow-empty",
                ]));
            }
            (None, false) => unknown.extend(paths),
            (_, true) => {}
        }
    }
    let unknown: Vec<String> = unknown.into_iter().take(5).map(quoted).collect();
    if !unknown.is_empty() {
        cure.lines
            .push(Line::Note(format!("put back {}", listed(&unknown))));
    }
}
