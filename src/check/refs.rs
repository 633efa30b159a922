//! `refs`: which refs a push may create, move or delete.

use std::borrow::Cow;

use crate::check::{Check, Facts, OfRef, Rule};
use crate::finding::{Finding, Level, Part, Place, PolicyAt, RefOp};
use crate::identity::Actor;
use crate::policy::{self, Answer, Boundary, Kind};
use crate::push::{RefName, RefUpdate};
use crate::redact::Quoted;
use crate::repo::RepoError;

/// See the module.
pub(super) struct Refs;

const fn rule(
    id: &'static str,
    title: &'static str,
    doc: &'static str,
    default_human: Level,
) -> Rule {
    Rule {
        id,
        title,
        doc,
        default: Level::Deny,
        default_human,
        fixed: false,
    }
}

static RULES: &[Rule] = &[
    rule(
        "ref/out-of-boundary",
        "the identity may not write this ref",
        "No entry under `refs:` of the boundary matches the ref with the operation that the push needs. \
         Push to a ref that the boundary names.",
        Level::Deny,
    ),
    rule(
        "ref/force",
        "the identity may not rewrite the history of this ref",
        "The new value does not descend from the stored one (for a tag: any move). Merge instead of \
         rewriting, or add `force` to the entry. Making a ref again that was deleted is a rewrite too, when the new \
         value does not contain what the ref held: whether one identity deleted it and the other made it, and however many \
         pushes lie between. A ref that a person deleted is free for others.",
        Level::Deny,
    ),
    rule(
        "ref/not-own",
        "the identity did not create this ref",
        "The entry that allows the operation has `own`, and by the ledger another identity created the ref. Push to a ref \
         of your own.",
        Level::Deny,
    ),
    rule(
        "ref/owner-unknown",
        "nobody knows who created this ref",
        "The entry that allows the operation has `own`, and the ledger does not say who created the ref: it is older than the \
         ledger, it was moved past the gate, or two identities made it at the same time. A person says whose it is: \
         `ringfence ledger assign REF ID`. `ringfence doctor` lists such refs.",
        Level::Deny,
    ),
    rule(
        "ref/delete",
        "the identity may not delete this ref",
        "The boundary names the ref, but not with `delete`.",
        Level::Deny,
    ),
    rule(
        "ref/namespace",
        "the ref lies outside branches and tags",
        "Refs such as `refs/notes/*`, `refs/replace/*`, `refs/meta/*` or a forge's own `refs/pull/*` change \
         how tools see a repository. An agent writes them only where an entry of its boundary names the \
         namespace itself; a catch-all such as `refs/**` does not, and `refs/replace/*` is never written \
         by an agent.",
        Level::Deny,
    ),
    rule(
        "ref/symref",
        "the ref points to a ref that the identity may not write",
        "On the server this name is a symbolic ref. The ref that would really change is judged.",
        Level::Deny,
    ),
    rule(
        "ref/confusable",
        "the ref name can be mistaken for another ref",
        "Names such as `refs/heads/refs/heads/main`, `refs/heads/origin/main`, `refs/heads/HEAD`, `refs/heads/-x`, or a \
         branch named like an object id make git and people pick the wrong ref. So does a new name that reads like that \
         of a trusted ref (other case, other Unicode forms, letters that look the same), a tag named like a branch, and a \
         branch named like a tag. And a new name that reads like any ref which the identity may not change, or would be its \
         folder, or in it: where names are folded it is that ref.",
        Level::Warn,
    ),
    rule(
        "ref/frozen",
        "the ref does not move at this time",
        "`freeze:` of the policy, of the boundary or of the repository names the ref, and its time is now. Push \
         again when it is over. `checks: { ref/frozen: warn }` in a boundary lets those pass who may.",
        Level::Deny,
    ),
    rule(
        "ref/old-mismatch",
        "the push claims an old value that the ref does not have",
        "Another push came in between, or the client lied to shrink what is looked at. Fetch and push again.",
        Level::Deny,
    ),
];

impl Check for Refs {
    fn name(&self) -> &'static str {
        "refs"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        let moves = facts.updates.iter().zip(&facts.history.moves);
        for (index, (update, op)) in moves.enumerate() {
            // AGit proposes from the zero id always; the ref itself never exists.
            if update.command.claimed_old != update.stored && update.proposed_for.is_none() {
                findings.push(finding("ref/old-mismatch", OLD_MISMATCH, update));
            }
            let past = facts.pasts.get(index);
            let remade = past.and_then(|past| past.remade.as_ref());
            let before = findings.len();
            judge_name(
                facts,
                update,
                remade.map_or(*op, |_| RefOp::Force),
                findings,
            );
            if let Some(tip) = remade {
                for found in &mut findings[before..] {
                    let note = || {
                        format!(
                            "it was deleted when it held {tip}, which the new value does not contain"
                        )
                    };
                    found.detail.get_or_insert_with(note);
                }
            }
            if findings.len() == before {
                findings.extend(past.and_then(|past| foreign(facts, update, past)));
            }
            findings.extend(frozen(facts, update));
            if *op == RefOp::Create
                && let Some(twin) = twin(facts, update)?
            {
                findings.push(mistaken(update, format!("reads like {}", Quoted(&twin))));
            } else if let Some(Some(twin)) = facts.twins.get(index) {
                let (shown, who) = (Quoted(twin.as_bytes()), facts.actor.label());
                let why = format!("it is taken for {shown}, which {who} may not change");
                findings.push(mistaken(update, why));
            }
        }
        Ok(())
    }
}

/// The finding against an operation on a ref that must be the identity's own and is not.
fn foreign(facts: &Facts<'_>, update: &RefUpdate, past: &OfRef) -> Option<Finding> {
    let (at, owner) = past.owner.as_ref()?;
    let actor = facts.actor;
    let mut found = match owner {
        Some(owner) if actor.name.as_ref() == Some(owner) => return None,
        Some(owner) => {
            let title = format!("{} did not create this ref", actor.label());
            let mut found = finding("ref/not-own", title, update);
            found.detail = Some(format!("by the ledger \"{owner}\" created it"));
            found
        }
        None => {
            let title = "nobody knows who created this ref";
            let mut found = finding("ref/owner-unknown", title, update);
            found.detail = Some(format!("{} may change only refs of its own", actor.label()));
            found
        }
    };
    found.decided_by = Some(at.clone());
    Some(found)
}

/// The freeze that holds the ref, or the one that it leads to.
fn frozen(facts: &Facts<'_>, update: &RefUpdate) -> Option<Finding> {
    let freeze = [&update.command.name, &update.target]
        .into_iter()
        .find_map(|name| {
            let boundary = &facts.actor.boundary;
            boundary.frozen(name.as_bytes(), facts.now)
        })?;
    let mut found = finding("ref/frozen", "the ref does not move at this time", update);
    found.detail = Some(match &freeze.reason {
        Some(reason) => format!("frozen {}: {}", freeze.term(), Quoted(reason.as_bytes())),
        None => format!("frozen {}", freeze.term()),
    });
    found.decided_by = Some(freeze.at.clone());
    Some(found)
}

const OLD_MISMATCH: &str = "the push claims an old value that the ref does not have";

fn judge_name(facts: &Facts<'_>, update: &RefUpdate, op: RefOp, findings: &mut Vec<Finding>) {
    let boundary = &facts.actor.boundary;
    let name = &update.command.name;
    if let Some(why) = confusable(name.as_bytes()) {
        findings.push(mistaken(update, why.to_owned()));
    }
    if let Some(refused) = refusal(facts.actor, name, op) {
        findings.push(refused.into_finding(update, facts.actor.label()));
    } else if facts.actor.kind != Kind::Human && is_foreign_namespace(boundary, name.as_bytes(), op)
    {
        findings.push(finding(
            "ref/namespace",
            "the ref lies outside branches and tags",
            update,
        ));
    }
    if update.target != *name
        && let Some(refused) = refusal(facts.actor, &update.target, op)
    {
        let title = "the ref points to a ref that the identity may not write";
        let mut found = finding("ref/symref", title, update);
        found.detail = Some(format!("points to {}", Quoted(update.target.as_bytes())));
        found.decided_by = Some(refused.at);
        findings.push(found);
    }
}

fn mistaken(update: &RefUpdate, why: String) -> Finding {
    let title = "the ref name can be mistaken for another ref";
    let mut found = finding("ref/confusable", title, update);
    found.detail = Some(why);
    found
}

/// The ref that a new one is taken for: a trusted one that reads alike, or the tag for a branch and the branch for a tag,
/// stored or of the same push.
fn twin(facts: &Facts<'_>, update: &RefUpdate) -> Result<Option<Vec<u8>>, RepoError> {
    let name = update.command.name.as_bytes();
    // A tag stands in the way of a branch of its name, so a trusted branch has twins among tags too.
    let as_branch = match name.strip_prefix(b"refs/tags/") {
        Some(short) => Cow::from([b"refs/heads/", short].concat()),
        None => Cow::from(name),
    };
    let alike = facts.trusted.iter().find(|(trusted, _)| {
        let trusted = trusted.as_bytes();
        trusted != name && policy::reads_alike(trusted, &as_branch)
    });
    if let Some((trusted, _)) = alike {
        return Ok(Some(trusted.as_bytes().to_vec()));
    }
    let other = match (
        name.strip_prefix(b"refs/heads/"),
        name.strip_prefix(b"refs/tags/"),
    ) {
        (Some(short), _) => [b"refs/tags/", short].concat(),
        (_, Some(short)) => [b"refs/heads/", short].concat(),
        (None, None) => return Ok(None),
    };
    let Ok(other) = RefName::new(other) else {
        return Ok(None);
    };
    let is_it = |update: &RefUpdate| update.command.name == other && update.command.new.is_some();
    let is_there = facts.updates.iter().any(is_it) || facts.repo.resolve(&other)?.value.is_some();
    Ok(is_there.then(|| other.as_bytes().to_vec()))
}

/// Why the boundary does not allow an operation on a ref.
struct Refusal {
    rule: &'static str,
    verb: &'static str,
    at: PolicyAt,
}

impl Refusal {
    fn into_finding(self, update: &RefUpdate, who: String) -> Finding {
        let mut found = finding(
            self.rule,
            format!("{who} may not {} this ref", self.verb),
            update,
        );
        found.decided_by = Some(self.at);
        found
    }
}

fn refusal(actor: &Actor, name: &RefName, op: RefOp) -> Option<Refusal> {
    let boundary = &actor.boundary;
    let is_agent = actor.kind != Kind::Human;
    let at = match boundary.may_ref(name.as_bytes(), op) {
        Answer::Allowed(_) | Answer::IfOwn(_) => return None,
        Answer::Refused(at) => at,
    };
    let (verb, specific) = match op {
        RefOp::Create => ("create", None),
        RefOp::Update => ("update", None),
        RefOp::Force => ("rewrite the history of", Some("ref/force")),
        RefOp::Delete => ("delete", Some("ref/delete")),
    };
    let named = [RefOp::Create, RefOp::Update, RefOp::Force, RefOp::Delete]
        .iter()
        .any(|op| boundary.may_ref(name.as_bytes(), *op).is_allowed());
    let rule = match specific {
        Some(rule) if named => rule,
        _ if !named && is_agent && !is_branch_or_tag(name.as_bytes()) => "ref/namespace",
        _ => "ref/out-of-boundary",
    };
    Some(Refusal { rule, verb, at })
}

/// The rule by which the boundary refuses an operation on a ref; `None`: it allows it.
pub(crate) fn refused_ref(actor: &Actor, name: &RefName, op: RefOp) -> Option<&'static str> {
    refusal(actor, name, op).map(|refused| refused.rule)
}

/// The rules that a ref breaks by its name alone, with the reason in words.
pub(crate) fn odd_ref(actor: &Actor, name: &RefName, op: RefOp) -> Vec<(&'static str, String)> {
    let mut odd = Vec::new();
    if let Some(why) = confusable(name.as_bytes()) {
        odd.push(("ref/confusable", why.to_owned()));
    }
    if actor.kind != Kind::Human && is_foreign_namespace(&actor.boundary, name.as_bytes(), op) {
        let why = match name.as_bytes().starts_with(b"refs/replace/") {
            true => "no agent writes replacements",
            false => "an entry that names the namespace is needed",
        };
        odd.push(("ref/namespace", why.to_owned()));
    }
    odd
}

fn is_branch_or_tag(name: &[u8]) -> bool {
    [&b"refs/heads/"[..], b"refs/tags/", b"refs/for/"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whether a ref outside branches and tags is allowed by a catch-all only, or is a replacement.
fn is_foreign_namespace(boundary: &Boundary, name: &[u8], op: RefOp) -> bool {
    if is_branch_or_tag(name) {
        return false;
    }
    if name.starts_with(b"refs/replace/") {
        return true;
    }
    // A name of the same namespace and one of a namespace that nobody uses: when both are allowed,
    // the entry that allows them does not name the namespace.
    let other = boundary.may_ref(b"refs/ringfence-no-such-namespace/x", op);
    other.is_allowed()
}

/// Why a branch or tag name can be mistaken, in words of ours. Only the name below `refs/heads/` or
/// `refs/tags/` matters: that is what people and commands type.
fn confusable(name: &[u8]) -> Option<&'static str> {
    let short = short_name(name)?;
    let reads_as_path = [&b"refs/"[..], b"heads/", b"tags/", b"remotes/"];
    let starts = |prefix: &&[u8]| {
        let start = short.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if reads_as_path.iter().any(starts) {
        return Some("a ref path stands inside the name");
    }
    if starts(&&b"origin/"[..]) {
        return Some("the name reads as a branch of a remote");
    }
    if short.starts_with(b"-") {
        return Some("the name starts with a dash and reads as an option");
    }
    if is_root_ref(short) {
        return Some("the name is one of git's own");
    }
    if matches!(short.len(), 40 | 64) && short.iter().all(u8::is_ascii_hexdigit) {
        return Some("the name reads as an object id");
    }
    None
}

/// Whether a short name is one of the refs beside `refs/`: those that git makes, in any case, since it looks for a file of the
/// name; and any other that it would take for one.
fn is_root_ref(short: &[u8]) -> bool {
    const OF_GIT: &[&[u8]] = &[
        b"@",
        b"HEAD",
        b"FETCH_HEAD",
        b"ORIG_HEAD",
        b"MERGE_HEAD",
        b"CHERRY_PICK_HEAD",
        b"REVERT_HEAD",
        b"REBASE_HEAD",
        b"BISECT_HEAD",
        b"AUTO_MERGE",
        b"BISECT_EXPECTED_REV",
        b"NOTES_MERGE_PARTIAL",
        b"NOTES_MERGE_REF",
        b"MERGE_AUTOSTASH",
    ];
    let is_own = |own: &&[u8]| short.eq_ignore_ascii_case(own);
    let is_loud = || {
        short
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'))
    };
    OF_GIT.iter().any(is_own) || (short.ends_with(b"_HEAD") && is_loud())
}

fn short_name(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"refs/heads/")
        .or_else(|| name.strip_prefix(b"refs/tags/"))
}

fn finding(rule: &'static str, title: impl Into<Cow<'static, str>>, update: &RefUpdate) -> Finding {
    let mut place = Place::new(Part::Ref);
    place.ref_name = Some(update.command.name.clone());
    place.commit = update.command.new;
    Finding::new(rule, title, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mislead_are_told_from_ordinary_ones() {
        for name in [
            "refs/heads/refs/heads/main",
            "refs/heads/heads/main",
            "refs/heads/tags/v1",
            "refs/heads/remotes/origin/main",
            "refs/heads/origin/main",
            "refs/heads/Refs/heads/main",
            "refs/heads/HEAD",
            "refs/heads/head",
            "refs/heads/orig_head",
            "refs/heads/BUILD_HEAD",
            "refs/heads/Origin/main",
            "refs/heads/-h",
            "refs/tags/0123456789012345678901234567890123456789",
        ] {
            assert!(confusable(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "refs/heads/main",
            "refs/heads/agents/docs-bot/fix-2",
            "refs/heads/agents/docs-bot/head",
            "refs/tags/v1.0",
            "refs/for/main",
            "refs/notes/commits",
            "refs/heads/header",
            "refs/heads/table_head",
            "refs/heads/feature/TABLE_HEAD",
            "refs/heads/deadbeef",
            "refs/pull/12/head",
        ] {
            assert_eq!(confusable(name.as_bytes()), None, "{name}");
        }
    }
}
