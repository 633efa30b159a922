//! Advice for refs: where to push instead, what to keep, how to push in parts.

use bstr::{BString, ByteSlice as _};

use super::cure::{COMMANDS_MAX, Cure, Line};
use super::words::{argv, listed, quoted};
use crate::push::{RefName, RefUpdate};
use crate::verdict::{Decision, Judged};

impl Cure {
    pub(super) fn stale(&mut self, faults: &[&Judged], decision: &Decision) {
        for update in updates_of(decision, faults).into_iter().take(COMMANDS_MAX) {
            self.is("fetch");
            self.say("The ref is not where the push said it was. Fetch it, then push again:");
            self.fetch(update);
        }
    }

    fn fetch(&mut self, update: &RefUpdate) {
        let name = update.command.name.as_bytes();
        let mut command = argv(["git", "fetch", "origin"]);
        command.push(name.into());
        self.lines.push(Line::Run {
            argv: command,
            otherwise: format!("fetch {}", quoted(name)),
        });
    }

    pub(super) fn force(&mut self, faults: &[&Judged], decision: &Decision) {
        for update in updates_of(decision, faults).into_iter().take(COMMANDS_MAX) {
            let name = &update.command.name;
            let elsewhere = allowed_name(decision, name, "-2");
            if update.stored.is_none() {
                // It is not there, so there is nothing to merge.
                self.is("push");
                self.say("The ref was deleted, and what it held then is not in what you push: that rewrites its history. Use a new name.");
            } else if name.as_bytes().starts_with(b"refs/heads/") {
                self.is("merge");
                self.say("History that is on the server must stay. Merge it in, then push again:");
                self.fetch(update);
                self.lines.push(Line::run(["git", "merge", "FETCH_HEAD"]));
                if elsewhere.is_some() {
                    self.lines.push(Line::Or("Or push to a new branch:".into()));
                }
            } else {
                self.is("push");
                self.say("What is on the server must stay. Use a new name.");
            }
            if let Some(elsewhere) = elsewhere {
                self.push_to(update, &elsewhere, faults.len() == 1);
            }
        }
    }

    pub(super) fn not_own(&mut self, faults: &[&Judged], decision: &Decision) {
        let updates = updates_of(decision, faults);
        if updates.is_empty() {
            return;
        }
        let unknown = |judged: &&Judged| judged.finding.rule == "ref/owner-unknown";
        if faults.iter().any(unknown) {
            self.say("Nothing shows whose the ref is. If it is yours, a person who looks after the server says so: ringfence ledger assign REF ID.");
            self.needs("server_admin");
        }
        let moves: Vec<(&RefUpdate, RefName)> = updates
            .iter()
            .filter(|update| update.command.new.is_some())
            .filter_map(|update| {
                let name = allowed_name(decision, &update.command.name, "-2")?;
                Some((*update, name))
            })
            .take(COMMANDS_MAX)
            .collect();
        if moves.is_empty() {
            self.is("ask");
            self.never();
            self.say("Leave the ref to whom it belongs.");
            return;
        }
        self.is("push");
        self.say(match faults.iter().any(unknown) {
            true => "Or push to a new ref of your own:",
            false => "The ref is not this identity's. Push to a new ref of your own:",
        });
        let only = updates.len() == 1 && decision.updates.len() == 1;
        for (update, name) in &moves {
            self.push_to(update, name, only);
        }
    }

    fn push_to(&mut self, update: &RefUpdate, name: &RefName, only: bool) {
        let mut refspec = BString::default();
        match update.command.new {
            Some(id) if !only => refspec.extend_from_slice(id.to_string().as_bytes()),
            _ => refspec.extend_from_slice(b"HEAD"),
        }
        refspec.push(b':');
        refspec.extend_from_slice(name.as_bytes());
        let mut command = argv(["git", "push", "origin"]);
        command.push(refspec);
        self.lines.push(Line::Run {
            argv: command,
            otherwise: format!("push to {}", quoted(name.as_bytes())),
        });
    }

    pub(super) fn elsewhere(&mut self, faults: &[&Judged], decision: &Decision) {
        let updates = updates_of(decision, faults);
        if updates.is_empty() {
            return;
        }
        if decision.allowed_refs.is_empty() {
            self.is("ask");
            self.never();
            self.say("The policy names no ref of this repository that this identity may push to.");
            return;
        }
        self.is("push");
        let patterns: Vec<String> = decision
            .allowed_refs
            .iter()
            .take(COMMANDS_MAX)
            .map(quoted)
            .collect();
        self.say(format!("This identity may push to {}.", listed(&patterns)));
        let moves: Vec<(&RefUpdate, RefName)> = updates
            .iter()
            .filter(|update| update.command.new.is_some())
            .filter_map(|update| {
                let tried = &update.command.name;
                // What may be pushed to but for its name gets another one.
                let suffix = match allowed_name(decision, tried, "")? == *tried {
                    true => "-2",
                    false => "",
                };
                let name = allowed_name(decision, tried, suffix)?;
                (name != *tried).then_some((*update, name))
            })
            .take(COMMANDS_MAX)
            .collect();
        if moves.is_empty() {
            return self.without(&updates, decision);
        }
        self.say("Push there:");
        let only = updates.len() == 1 && decision.updates.len() == 1;
        for (update, name) in &moves {
            self.push_to(update, name, only);
        }
    }

    /// What has no place under any name is left out of the push.
    fn without(&mut self, updates: &[&RefUpdate], decision: &Decision) {
        let is_left_out =
            |update: &RefUpdate| updates.iter().any(|one| one.command == update.command);
        let (out, rest): (Vec<&RefUpdate>, Vec<&RefUpdate>) =
            (decision.updates.iter()).partition(|update| is_left_out(update));
        let names = (out.iter().take(3)).map(|update| quoted(update.command.name.as_bytes()));
        let names: Vec<String> = names.collect();
        if rest.is_empty() {
            self.never();
            self.say(format!(
                "Leave {}, or ask a person who may push it.",
                listed(&names)
            ));
            return;
        }
        self.say(format!("Leave {} out, and push the rest:", listed(&names)));
        let mut command = argv(["git", "push", "origin"]);
        command.extend(rest.into_iter().take(COMMANDS_MAX).map(refspec));
        self.lines.push(Line::Run {
            argv: command,
            otherwise: "push the others".into(),
        });
    }

    pub(super) fn kept(&mut self, faults: &[&Judged], what: &str) {
        if faults.is_empty() {
            return;
        }
        self.is("ask");
        self.never();
        let names: Vec<String> = faults
            .iter()
            .filter_map(|judged| judged.finding.place.ref_name.as_ref())
            .take(3)
            .map(|name| quoted(name.as_bytes()))
            .collect();
        let names = if names.is_empty() {
            "The ref".into()
        } else {
            listed(&names)
        };
        self.say(format!(
            "{names} may not be {what} by this identity. Leave it, or ask a person who may do it."
        ));
    }

    pub(super) fn split(&mut self, faults: &[&Judged], decision: &Decision, rewritten: bool) {
        let Some(first) = faults.first() else { return };
        self.is("split");
        let linear = decision
            .commits
            .windows(2)
            .all(|pair| pair[1].parents == [pair[0].id]);
        let ([update], true, false) = (decision.updates.as_slice(), linear, rewritten) else {
            self.say("Push the work in smaller parts, oldest commits first.");
            return;
        };
        let count = decision.commits.len();
        if count < 2 {
            self.say("Split the commit into smaller ones, and push them one after the other.");
            return;
        }
        // Only the limit on commits says how large a part may be; for the others each part has its share of the commits.
        let max = last_number(&first.decided_by.what).filter(|max| *max > 0);
        let step = match (&*first.finding.rule, max) {
            ("limit/commits", Some(max)) if max < count => max,
            (_, max) => {
                let brought = first.finding.detail.as_deref().and_then(first_number);
                let parts = brought
                    .zip(max)
                    .map_or(2, |(brought, max)| brought.div_ceil(max));
                (count / parts.max(2)).max(1)
            }
        };
        self.say("Push the commits in smaller parts, oldest first:");
        let ends = (step..count).step_by(step).chain([count]);
        for end in ends.clone().take(COMMANDS_MAX) {
            let mut refspec = BString::from(decision.commits[end - 1].id.to_string());
            refspec.push(b':');
            refspec.extend_from_slice(update.command.name.as_bytes());
            let mut command = argv(["git", "push", "origin"]);
            command.push(refspec);
            self.lines.push(Line::Run {
                argv: command,
                otherwise: format!("push {}", quoted(update.command.name.as_bytes())),
            });
        }
        if ends.count() > COMMANDS_MAX {
            self.lines.push(Line::Note("and so on".into()));
        }
    }

    pub(super) fn one_ref_at_a_time(&mut self, faults: &[&Judged], decision: &Decision) {
        if faults.is_empty() {
            return;
        }
        self.is("split");
        self.say("Push the refs one at a time:");
        for update in decision.updates.iter().take(COMMANDS_MAX) {
            let mut command = argv(["git", "push", "origin"]);
            command.push(refspec(update));
            self.lines.push(Line::Run {
                argv: command,
                otherwise: format!("push {}", quoted(update.command.name.as_bytes())),
            });
        }
        if decision.updates.len() > COMMANDS_MAX {
            self.lines.push(Line::Note("and so on".into()));
        }
    }
}

/// The update as `git push` is asked for it.
fn refspec(update: &RefUpdate) -> BString {
    let mut refspec = BString::default();
    if let Some(id) = update.command.new {
        refspec.extend_from_slice(id.to_string().as_bytes());
    }
    refspec.push(b':');
    refspec.extend_from_slice(update.command.name.as_bytes());
    refspec
}

/// The ref updates that the findings are about, in the order of the push.
pub(super) fn updates_of<'a>(decision: &'a Decision, faults: &[&Judged]) -> Vec<&'a RefUpdate> {
    let named = |update: &&RefUpdate| {
        faults.iter().any(|judged| {
            let name = judged.finding.place.ref_name.as_ref();
            match name {
                Some(name) => *name == update.command.name || *name == update.target,
                None => decision.updates.len() == 1,
            }
        })
    };
    decision.updates.iter().filter(named).collect()
}

/// A ref that the identity may push to and that resembles the one it tried: the last part of that one in the
/// place of the wildcard.
fn allowed_name(decision: &Decision, tried: &RefName, suffix: &str) -> Option<RefName> {
    let tried = tried.as_bytes();
    let part = tried.rsplit_str("/").next().unwrap_or(tried);
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let part = match part.iter().all(usual) && !part.is_empty() {
        true => part.to_str().ok()?,
        false => "NAME",
    };
    let kind = tried.splitn_str(3, "/").nth(1)?;
    let of_kind = |kind: &[u8]| {
        let same = |pattern: &&String| pattern.as_bytes().splitn_str(3, "/").nth(1) == Some(kind);
        decision.allowed_refs.iter().find(same)
    };
    // A tag or a note is no branch: no branch name can stand for it.
    let pattern = match (of_kind(kind), kind) {
        (None, b"heads" | b"for") => of_kind(b"heads"),
        (found, _) => found,
    }?;
    if !pattern.contains('*') {
        return suffix
            .is_empty()
            .then(|| RefName::new(pattern.as_bytes()).ok())?;
    }
    let mut name = pattern.replace("**", "*").replace('*', part);
    name.push_str(suffix);
    if name.contains(['?', '[', '{']) {
        return None;
    }
    RefName::new(name).ok()
}

fn first_number(text: &str) -> Option<usize> {
    let digits = text.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn last_number(text: &str) -> Option<usize> {
    text.rsplit(|letter: char| !letter.is_ascii_digit())
        .find(|digits| !digits.is_empty())?
        .parse()
        .ok()
}
