//! What the pusher can do: sentences for people, commands that can be pasted, argument arrays for agents.

use bstr::BString;

use super::refs::updates_of;
use super::rewrite;
use super::words::{argv, counted, quoted};
use crate::budget::Resource;
use crate::finding::{Finding, Level, Part};
use crate::ledger::Id;
use crate::push::Oid;
use crate::verdict::{Decision, Judged, Unjudged, Verdict};

/// Most commands of one kind that are written out.
pub(super) const COMMANDS_MAX: usize = 5;

/// One line of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A sentence.
    Say(String),
    /// A sentence that starts another way to the same end: its commands are not for the agent's steps.
    Or(String),
    /// A remark between commands.
    Note(String),
    /// A command, and the remark that stands for it where it cannot be shown.
    Run {
        /// Its arguments, the program first.
        argv: Vec<BString>,
        /// What to say when an argument has bytes that a text may not show.
        otherwise: String,
    },
}

impl Line {
    /// A command that can always be shown.
    pub(super) fn run<const N: usize>(arguments: [&str; N]) -> Self {
        Line::Run {
            argv: argv(arguments),
            otherwise: "(the command has bytes that cannot be shown)".into(),
        }
    }
}

/// When the same intent may be pushed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retry {
    /// After the fix.
    AfterFix,
    /// Unchanged, later: time or a person must act.
    Later,
    /// Not at all under this policy.
    Never,
}

/// What one finding asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Elsewhere,
    Force,
    Delete,
    Stale,
    Symref,
    Path,
    Content,
    Message,
    Author,
    Merge,
    Split,
    OneRefAtATime,
    Rebuild,
    Unreferenced,
    Unrelated,
    Identity,
    Suspended,
    Wait,
    NotOwn,
    Clock,
    Tag,
    Sign,
    SignPush,
}

impl Family {
    /// By rule where the rule says what to do, else by the place.
    pub(super) fn of(finding: &Finding) -> Self {
        let part = finding.place.part;
        let (family, name) = finding.rule.split_once('/').unwrap_or((&finding.rule, ""));
        match (family, name, part) {
            (_, _, Part::Tag | Part::Tagger | Part::TagMessage) => Family::Tag,
            ("signature", "missing", _) => Family::Sign,
            ("signature", _, Part::Ref) => Family::SignPush,
            ("signature", ..) => Family::Sign,
            ("ref", "force", _) => Family::Force,
            ("ref", "delete", _) => Family::Delete,
            ("ref", "old-mismatch", _) => Family::Stale,
            ("ref", "frozen", _) => Family::Wait,
            ("ref", "not-own" | "owner-unknown", _) => Family::NotOwn,
            ("limit", name, _) if name.ends_with("-per-hour") || name.ends_with("-per-day") => {
                Family::Wait
            }
            ("identity", "suspended", _) => Family::Suspended,
            ("time", ..) => Family::Clock,
            ("ref", "symref", _) => Family::Symref,
            ("merge", ..) => Family::Merge,
            ("limit", "refs", _) => Family::OneRefAtATime,
            ("limit", _, Part::Path | Part::Content) => Family::Content,
            ("limit", ..) => Family::Split,
            ("object", "unreferenced", _) => Family::Unreferenced,
            ("object", _, Part::Path) => Family::Rebuild,
            ("path", _, Part::SymlinkTarget) => Family::Path,
            ("history", ..) => Family::Unrelated,
            (_, _, Part::Author | Part::Committer) => Family::Author,
            ("identity", "author-mismatch" | "committer-mismatch", _) => Family::Author,
            ("identity", ..) | ("claim", "agent", _) => Family::Identity,
            (_, _, Part::Ref) => Family::Elsewhere,
            (_, _, Part::Path) => Family::Path,
            (_, _, Part::Content | Part::SymlinkTarget) => Family::Content,
            (_, _, Part::Message) => Family::Message,
            (_, _, Part::Commit | Part::Header) => Family::Rebuild,
        }
    }

    fn needs_new_commits(self) -> bool {
        matches!(
            self,
            Family::Path
                | Family::Content
                | Family::Message
                | Family::Author
                | Family::Merge
                | Family::Rebuild
                | Family::Sign
        )
    }

    /// The word for `fix` in the document.
    pub(super) fn word(self) -> &'static str {
        match self {
            Family::Elsewhere => "push_to_allowed_ref",
            Family::Force => "merge_or_new_ref",
            Family::Delete | Family::Symref => "leave_ref",
            Family::Stale => "fetch_first",
            Family::Path => "restore_path",
            Family::Content => "remove_from_commit",
            Family::Message => "change_message",
            Family::Author => "change_author",
            Family::Merge => "redo_merge",
            Family::Split => "split_push",
            Family::OneRefAtATime => "one_ref_at_a_time",
            Family::Rebuild => "rebuild_commit",
            Family::Unreferenced => "plain_push",
            Family::Unrelated => "rebase_onto_history",
            Family::Identity => "ask_policy_admin",
            Family::Suspended => "ask_to_resume",
            Family::Wait => "wait",
            Family::NotOwn => "use_own_ref",
            Family::Clock => "ask_server_admin",
            Family::Tag => "remake_tag",
            Family::Sign => "sign_commit",
            Family::SignPush => "sign_push",
        }
    }
}

/// Everything that is advised about one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cure {
    /// In order.
    pub(super) lines: Vec<Line>,
    /// `rewrite`, `push`, …: what the steps amount to.
    pub(super) kind: Option<&'static str>,
    /// What a rewrite starts from.
    pub(super) base: Option<Oid>,
    /// Commits at fault, oldest first.
    pub(super) commits: Vec<Oid>,
    /// `None`: nothing was refused.
    pub(super) retry: Option<Retry>,
    /// What only a person can do.
    pub(super) needs_human: Vec<&'static str>,
    /// What does not help.
    pub(super) not_a_fix: Vec<&'static str>,
}

impl Cure {
    /// The advice for `decision`; `findings` are its findings in the order of showing, one for each place: what
    /// stands at three places is mended at three.
    pub(super) fn of(decision: &Decision, findings: &[&Judged], id: Option<&Id>) -> Self {
        let mut cure = Cure {
            lines: Vec::new(),
            kind: None,
            base: None,
            commits: Vec::new(),
            retry: None,
            needs_human: Vec::new(),
            not_a_fix: Vec::new(),
        };
        cure.assisted(decision);
        match decision.verdict {
            Verdict::Accept => {}
            Verdict::Unjudged => cure.unjudged(decision, id),
            Verdict::Hold => {
                cure.approval(decision, id);
                cure.mend(decision, &at_level(findings, Level::Hold));
                cure.retry = Some(Retry::Later);
            }
            Verdict::Reject => {
                cure.retry = Some(Retry::AfterFix);
                cure.mend(decision, &at_level(findings, Level::Deny));
                let is_held = |judged: &&Judged| judged.level == Level::Hold;
                let held = decision.findings.iter().filter(is_held).count();
                if held > 0 {
                    cure.needs("approval");
                    let text = format!(
                        "{} will still need a person's approval then.",
                        counted(held, "finding")
                    );
                    cure.say(text);
                }
            }
        }
        cure.stopped(decision);
        if decision.verdict != Verdict::Accept {
            cure.revoke(decision, findings);
        }
        if !decision.enforced {
            // It was accepted: there is nothing to push again.
            cure.retry = None;
        }
        cure
    }

    /// Why a boundary holds that is not the person's own.
    fn assisted(&mut self, decision: &Decision) {
        let refused = matches!(decision.verdict, Verdict::Hold | Verdict::Reject);
        let Some(boundary) = decision.actor.assisted.as_ref().filter(|_| refused) else {
            return;
        };
        let agents: Vec<String> = (decision.claims.iter())
            .filter(|claimed| !claimed.agent.is_bot)
            .map(ToString::to_string)
            .collect();
        self.say(format!(
            "The commits name an agent, so boundary \"{boundary}\" holds as well as your own: {}.",
            agents.join(", ")
        ));
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Say(text.into()));
    }

    pub(super) fn needs(&mut self, what: &'static str) {
        if !self.needs_human.contains(&what) {
            self.needs_human.push(what);
        }
    }

    pub(super) fn is(&mut self, kind: &'static str) {
        self.kind.get_or_insert(kind);
    }

    pub(super) fn never(&mut self) {
        self.retry = Some(Retry::Never);
        self.needs("policy_admin");
    }

    fn approval(&mut self, decision: &Decision, id: Option<&Id>) {
        self.needs("approval");
        self.is("approval");
        let whom = match &decision.actor.owner {
            Some(owner) => owner.clone(),
            None => "a person who may approve".into(),
        };
        let what = match id {
            Some(id) => format!("decision {id}"),
            None => "this push".into(),
        };
        self.say(format!(
            "A human approval is needed. Ask {whom} to approve {what}, then push the same commits again, unchanged."
        ));
        self.lines
            .push(Line::Or("Or leave the held change out:".into()));
    }

    fn revoke(&mut self, decision: &Decision, findings: &[&Judged]) {
        let secret = |judged: &&&Judged| {
            judged.level > Level::Warn && judged.finding.rule.starts_with("secret/")
        };
        if findings.iter().filter(secret).count() == 0 || decision.advisory {
            return;
        }
        self.needs("revoke_credential");
        self.say("The secret has reached this server. A person must revoke it; removing it from the commits is not enough.");
    }

    fn mend(&mut self, decision: &Decision, faults: &[&Judged]) {
        let of = |family: Family| -> Vec<&Judged> {
            let same = |judged: &&Judged| Family::of(&judged.finding) == family;
            faults.iter().copied().filter(same).collect()
        };
        self.identity(&of(Family::Identity));
        self.suspended(&of(Family::Suspended), decision);
        self.clock(&of(Family::Clock));
        let rewriting: Vec<&Judged> = faults
            .iter()
            .copied()
            .filter(|judged| Family::of(&judged.finding).needs_new_commits())
            .collect();
        if !rewriting.is_empty() {
            self.is("rewrite");
            rewrite::advise(self, decision, &rewriting);
        }
        self.tags(&of(Family::Tag), decision);
        self.sign_push(&of(Family::SignPush));
        self.unrelated(&of(Family::Unrelated));
        if !of(Family::Unreferenced).is_empty() {
            self.is("push");
            self.say("The push carried objects that no ref update needs. Push again with an ordinary git client.");
        }
        self.stale(&of(Family::Stale), decision);
        self.force(&of(Family::Force), decision);
        self.elsewhere(&of(Family::Elsewhere), decision);
        self.not_own(&of(Family::NotOwn), decision);
        self.wait(&of(Family::Wait));
        self.kept(&of(Family::Delete), "deleted");
        self.kept(&of(Family::Symref), "moved through a symbolic ref");
        self.split(&of(Family::Split), decision, !rewriting.is_empty());
        self.one_ref_at_a_time(&of(Family::OneRefAtATime), decision);

        let families: Vec<Family> = faults.iter().map(|j| Family::of(&j.finding)).collect();
        let has = |wanted: &[Family]| families.iter().any(|family| wanted.contains(family));
        if !rewriting.is_empty() {
            self.not_a_fix.push("later_commit");
        }
        if has(&[Family::Content, Family::Message, Family::Split]) {
            self.not_a_fix.push("encode_or_split");
        }
        if has(&[Family::Split, Family::OneRefAtATime]) {
            self.not_a_fix.retain(|what| *what != "encode_or_split");
        }
        if !has(&[Family::Elsewhere, Family::Force, Family::NotOwn]) {
            self.not_a_fix.push("other_ref");
        }
        self.not_a_fix.push("skip_option");
    }

    fn identity(&mut self, faults: &[&Judged]) {
        if faults.is_empty() {
            return;
        }
        self.is("ask");
        self.never();
        if faults
            .iter()
            .any(|judged| judged.finding.rule == "identity/not-yet-valid")
        {
            self.retry = Some(Retry::Later);
        }
        self.say("No change to the commits helps: the policy must allow this pusher.");
    }

    fn suspended(&mut self, faults: &[&Judged], decision: &Decision) {
        let (Some(_), Some(name)) = (faults.first(), &decision.actor.identity) else {
            return;
        };
        self.is("ask");
        self.retry = Some(Retry::Later);
        self.needs("resume");
        self.say("Stop pushing: nothing of this identity is accepted, whatever it brings. A person looks into it and lifts the suspension on the server:");
        // Not a step for the agent: it has no rights there.
        self.lines
            .push(Line::Note(format!("ringfence resume {name} --repo DIR")));
    }

    fn clock(&mut self, faults: &[&Judged]) {
        if faults.is_empty() {
            return;
        }
        self.is("ask");
        self.retry = Some(Retry::Later);
        self.needs("server_admin");
        self.say("This is not the fault of your commits. An admin of this server sets the clock right; ringfence doctor tells more. Then push the same commits again.");
    }

    /// What only time mends.
    fn wait(&mut self, faults: &[&Judged]) {
        if faults.is_empty() {
            return;
        }
        self.is("wait");
        let is_frozen = |judged: &&Judged| judged.finding.rule == "ref/frozen";
        if faults.iter().any(is_frozen) {
            self.say(
                "Push again when the freeze is over: the policy allows no ref update there before.",
            );
        }
        let per = |end: &str| {
            let limit = |judged: &&Judged| judged.finding.rule.ends_with(end);
            faults.iter().any(limit)
        };
        if per("-per-hour") {
            self.say("Wait until fewer pushes lie in the last 60 minutes, then push the same commits again. Push less often: what belongs together in one push.");
        }
        if per("-per-day") {
            self.say("Push again after midnight UTC, or push less today.");
        }
        if self.retry == Some(Retry::AfterFix) && self.kind == Some("wait") {
            self.retry = Some(Retry::Later);
        }
    }

    /// This refusal was one too many.
    fn stopped(&mut self, decision: &Decision) {
        let (Some(refusals), Some(name)) = (decision.suspends, &decision.actor.identity) else {
            return;
        };
        self.needs("resume");
        self.say(format!(
            "This was refusal {refusals} in a row: {name} is suspended now, and every further push of it is refused. Stop pushing; a person looks into it and lifts the suspension on the server:"
        ));
        self.lines
            .push(Line::Note(format!("ringfence resume {name} --repo DIR")));
        self.retry = Some(Retry::Later);
    }

    fn tags(&mut self, faults: &[&Judged], decision: &Decision) {
        for update in updates_of(decision, faults).into_iter().take(COMMANDS_MAX) {
            self.is("retag");
            let name = update.command.name.as_bytes();
            let Some(tag) = name.strip_prefix(b"refs/tags/") else {
                self.say(format!("Make the tag object of {} again.", quoted(name)));
                continue;
            };
            let unsigned = |judged: &&&Judged| judged.finding.rule.starts_with("signature/");
            let unsigned: Vec<&Judged> = faults.iter().filter(unsigned).copied().collect();
            let how = match unsigned.is_empty() {
                true => "-a",
                false => "-s",
            };
            self.say(match unsigned.is_empty() {
                true => {
                    "Make the tag again, with a clean message and an allowed tagger, then push it:"
                }
                false => "Make the tag again, signed, then push it:",
            });
            if !unsigned.is_empty() {
                self.configure_signing(&unsigned);
            }
            if let Some((user, mail)) = rewrite::author(decision) {
                self.lines
                    .push(Line::run(["git", "config", "user.name", &user]));
                self.lines
                    .push(Line::run(["git", "config", "user.email", &mail]));
            }
            let mut target = BString::from(tag);
            target.extend_from_slice(b"^{}");
            let mut command = argv(["git", "tag", "-f", how]);
            command.extend([BString::from(tag), target]);
            self.lines.push(Line::Run {
                argv: command,
                otherwise: format!("tag {} again", quoted(tag)),
            });
        }
    }

    /// How commits and tags come to be signed, and with which key.
    pub(super) fn configure_signing(&mut self, faults: &[&Judged]) {
        let has = |rule: &str| faults.iter().any(|judged| judged.finding.rule == rule);
        if has("signature/long-lived") {
            self.say("Sign with a certificate that holds for a short time: get one from whoever issues them.");
        } else if has("signature/expired") {
            self.say("The key or certificate is out of its time: get a new one.");
        } else if has("signature/revoked") {
            self.needs("policy_admin");
            self.say("The key is revoked. Sign with a new one, which an admin must add to the keys of the server.");
        } else if has("signature/unknown-key") || has("signature/wrong-identity") {
            self.needs("policy_admin");
            self.say("Sign with a key that the server knows as yours; an admin can add one.");
        }
        // Fingerprints of OpenPGP keys are digits alone.
        let is_openpgp = |judged: &&Judged| {
            let key = judged.finding.detail.as_deref();
            key.is_some_and(|key| !key.contains("SHA256:"))
        };
        if !faults.iter().any(is_openpgp) {
            self.lines
                .push(Line::run(["git", "config", "gpg.format", "ssh"]));
        }
        self.lines.push(Line::Note(
            "user.signingKey must name your key (with gpg.format openpgp: its id)".into(),
        ));
        // A rebase makes commits again: without it they would lose their signatures.
        self.lines
            .push(Line::run(["git", "config", "commit.gpgSign", "true"]));
    }

    fn sign_push(&mut self, faults: &[&Judged]) {
        if faults.is_empty() {
            return;
        }
        self.is("push");
        self.say(
            "The push itself must be signed. Push again with --signed, or let git always do it:",
        );
        self.lines
            .push(Line::run(["git", "config", "gpg.format", "ssh"]));
        self.lines
            .push(Line::run(["git", "config", "push.gpgSign", "true"]));
    }

    fn unrelated(&mut self, faults: &[&Judged]) {
        if faults.is_empty() {
            return;
        }
        self.is("rewrite");
        self.say("The commits start a history of their own. Put them on top of the history of the repository, then push again:");
        self.lines.push(Line::run(["git", "fetch", "origin"]));
        self.lines.push(Line::run([
            "git",
            "rebase",
            "--root",
            "--onto",
            "origin/HEAD",
        ]));
    }

    fn unjudged(&mut self, decision: &Decision, id: Option<&Id>) {
        self.not_a_fix.push("skip_option");
        let whom = match id {
            Some(id) => format!("give id {id} to an admin"),
            None => "tell an admin".into(),
        };
        let (retry, what) = match &decision.unjudged {
            Some(Unjudged::Exhausted(bound)) => match bound.resource {
                Resource::Time | Resource::Bytes | Resource::Commits | Resource::Changes => {
                    (Retry::AfterFix, "Push fewer commits at once")
                }
                Resource::Refs => (Retry::AfterFix, "Push fewer refs at once"),
                Resource::TreeDepth => (Retry::AfterFix, "Push folders that are less deep"),
                Resource::ObjectBytes => {
                    (Retry::AfterFix, "Push smaller commits, tags and folders")
                }
            },
            _ => (Retry::Later, "Try again later"),
        };
        self.retry = Some(retry);
        if retry == Retry::AfterFix {
            self.is("split");
        } else {
            self.needs("server_admin");
        }
        self.say(format!("{what}, or {whom}."));
    }
}

fn at_level<'a>(findings: &[&'a Judged], level: Level) -> Vec<&'a Judged> {
    let same = |judged: &&Judged| judged.level == level;
    findings.iter().copied().filter(same).collect()
}
