//! The judgement of one push: the only loop over checks, and the only place that starts threads for a push.
//!
//! history -> changes -> checks -> findings -> verdict. Every way out is a [`Decision`]; what could not be
//! finished is [`Unjudged`] and refuses the push.

mod before;
mod content;
mod mask;
mod origin;
mod past;
mod settle;
mod stops;
mod twins;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;

pub use mask::updates as masked;
pub use origin::{as_claimed, resolve, trusted_tips};
pub use settle::Outcome;

use crate::budget::Budget;
use crate::check::{self, CHECKS, Facts};
use crate::finding::{Finding, Level, Part, Place};
use crate::identity::claims::{self, Claimed};
use crate::identity::signature::Signers;
use crate::identity::{self, NotIdentified};
use crate::policy::{InForce, Kind, Known, Mode, Policy, RepositoryPolicy};
use crate::push::{Errand, Oid, Push, RefName, RefUpdate};
use crate::redact::FingerprintKey;
use crate::repo::{History, Repo, RepoError};
use crate::standing::{Past, Standing};
use crate::verdict::{self, CommitBrief, Decision, Judged, Unjudged, Verdict, Weighed, Work};

/// Everything that a judgement depends on.
pub struct Request<'a> {
    /// The push as the host handed it over.
    pub push: &'a Push,
    /// Its commands with what the ref store says: see [`resolve`].
    pub updates: Vec<RefUpdate>,
    /// The tips of the trusted refs: see [`trusted_tips`].
    pub trusted: Vec<(RefName, Oid)>,
    /// The server's policy.
    pub policy: &'a Policy,
    /// The repository.
    pub repo: &'a Repo,
    /// What may be used up.
    pub budget: &'a Budget,
    /// Key for fingerprints.
    pub key: &'a FingerprintKey,
    /// When the push arrived.
    pub now: Timestamp,
    /// What the end of the record says by then.
    pub standing: &'a Standing,
    /// Asks the record for more, about these refs; called at most twice, and only when the boundary asks for it.
    pub past: &'a (dyn Fn(&[RefUpdate], Option<&str>) -> Past + Sync),
    /// Judge as this identity instead of the one that the pusher matches.
    pub as_identity: Option<&'a str>,
    /// The answer binds nobody (pre-push, `check`).
    pub advisory: bool,
}

/// Judges a push.
pub fn judge(request: Request<'_>) -> Outcome {
    let identified = match request.as_identity {
        Some(name) => {
            identity::actor_named(request.policy, name, &request.push.repository, request.now)
        }
        None => identity::identify(
            request.policy,
            &request.push.pusher,
            &request.push.repository,
            request.now,
        ),
    };
    let mut state = State::default();
    let mut actor = match identified {
        Ok(actor) => Some(actor),
        Err(stranger) => {
            state.findings.push(not_identified(&stranger));
            state
                .findings
                .extend(stops::of_stranger(&request, &stranger));
            state.name = stranger.name;
            None
        }
    };
    // A stranger has no boundary to be judged by: refused without reading what it brings.
    if let Some(actor) = &mut actor {
        let (found, ends) = stops::of(actor, request.standing, request.now);
        state.findings.extend(found);
        if !ends {
            state.problem = state.judge(&request, actor).err();
        }
    }
    let (asked, decision) = state.decide(request, actor.as_ref());
    Outcome {
        decision,
        actor,
        asked,
    }
}

/// What a judgement gathers on its way.
#[derive(Default)]
struct State {
    findings: Vec<Finding>,
    work: Work,
    problem: Option<Unjudged>,
    commits: Vec<CommitBrief>,
    /// Name of an identity that was found but may not push here and now.
    name: Option<String>,
    /// The agents that the new commits name.
    claims: Vec<Claimed>,
    /// The boundary of `claims:` that narrows this push.
    assisted: Option<String>,
    /// What the record was asked.
    asked: past::Asked,
}

impl State {
    fn judge(
        &mut self,
        request: &Request<'_>,
        actor: &mut identity::Actor,
    ) -> Result<(), Unjudged> {
        let reader = request.repo.reader();
        let updates = &request.updates;
        self.work.refs.0 = updates.len() as u64;
        self.work.checks.0 = CHECKS.len() as u64;
        request
            .budget
            .check_refs(updates.len() as u64)
            .map_err(Unjudged::Exhausted)?;
        let own = match origin::narrow(request, &reader, actor)? {
            Ok(own) => own,
            Err(finding) => {
                self.findings.push(finding);
                if actor.kind != Kind::Human {
                    // The boundary cannot be known, so nothing can be measured against it.
                    return Ok(());
                }
                None
            }
        };
        if self.is_spent(request, actor)? {
            return Ok(());
        }
        let history = History::of(request.repo, updates, &request.trusted, request.budget)?;
        self.work.refs.1 = history.moves.len() as u64;
        self.commits = briefs(&history, updates);
        self.claims = claims::of_push(&history, request.budget).map_err(Unjudged::Exhausted)?;
        self.assist(actor, own.as_ref());
        let signers = match actor.boundary.signing().asks() {
            true => Some(signers(request)?),
            false => None,
        };
        let twins = twins::of_updates(request, actor, &history)?;
        let pasts = past::of_refs(request, actor, &history, &mut self.asked)?;
        let facts = Facts {
            push: request.push,
            updates,
            policy: request.policy,
            actor,
            claims: &self.claims,
            trusted: &request.trusted,
            repo: request.repo,
            history: &history,
            reader: &reader,
            budget: request.budget,
            signers: signers.as_ref(),
            nonce_slop: (request.policy.signers.as_ref())
                .map_or_else(Default::default, |files| files.nonce_slop),
            now: request.now,
            pasts: &pasts,
            twins: &twins,
        };
        for check in CHECKS {
            request.budget.check_time().map_err(Unjudged::Exhausted)?;
            let run = || {
                injected_fault();
                check.facts(&facts, &mut self.findings)
            };
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(result) => result?,
                Err(_) => return Err(Unjudged::Internal(check.name().to_owned())),
            }
            self.work.checks.1 += 1;
        }
        content::judge(
            request,
            actor,
            &history,
            &reader,
            &mut self.work,
            &mut self.findings,
        )
    }

    /// Narrows the boundary of a person whose push carries work of an agent.
    fn assist(&mut self, actor: &mut identity::Actor, own: Option<&RepositoryPolicy>) {
        if let Some(layer) = actor.assisted.take()
            && self.claims.iter().any(|claimed| !claimed.agent.is_bot)
        {
            actor.boundary.narrow_by(&layer, own);
            self.assisted = Some(layer.name().to_owned());
        }
    }

    /// Whether the identity has used up what it may push within an hour or a day: then nothing is looked at.
    fn is_spent(
        &mut self,
        request: &Request<'_>,
        actor: &identity::Actor,
    ) -> Result<bool, Unjudged> {
        let limits = actor.boundary.limits();
        if !limits.count_over_time() {
            return Ok(false);
        }
        let Some(known) = self.asked.ask(request, actor)? else {
            return Ok(false);
        };
        let spent = check::over_time(limits, &known.tally, check::Brings::default(), request.now);
        let refuses =
            |found: &Finding| verdict::level_of(&found.rule, None, Some(actor)).0 >= Level::Deny;
        // What is only told is told once the push is recorded.
        let refusing: Vec<Finding> = spent.into_iter().filter(refuses).collect();
        let ends = !refusing.is_empty() && actor.mode == Mode::Enforce;
        self.findings.extend(refusing);
        Ok(ends)
    }

    fn decide(
        mut self,
        mut request: Request<'_>,
        actor: Option<&identity::Actor>,
    ) -> (past::Asked, Decision) {
        if let Some(actor) = actor {
            // Before names are masked: a pattern is matched on the bytes that were pushed.
            suppress(&request, actor, &mut self.findings);
        }
        mask::names(&mut request.updates, &mut self);
        let Weighed {
            verdict,
            mut findings,
            mut suppressed,
            problem,
        } = verdict::decide(self.findings, actor, &self.work, self.problem);
        let positions: HashMap<Oid, usize> = (self.commits.iter().enumerate())
            .map(|(position, brief)| (brief.id, position))
            .collect();
        let order = |place: &Place| {
            (
                place.ref_name.clone(),
                place.commit.and_then(|id| positions.get(&id).copied()),
                place.path.clone(),
                place.part,
                place.span.as_ref().map(|span| span.bytes.start),
            )
        };
        for judged in [&mut findings, &mut suppressed] {
            for one in judged.iter_mut() {
                one.sort_places_by(order);
            }
            judged.sort_by_cached_key(|one| {
                (std::cmp::Reverse(one.level), order(&one.finding.place))
            });
        }
        let rewrite_base = rewrite_base(&findings, &self.commits);
        let bookkeeping =
            request.push.errand == Errand::Bookkeeping && !request.policy.host.judge_bookkeeping;
        let suspended = findings
            .iter()
            .any(|judged| judged.finding.rule == stops::SUSPENDED);
        let mode = actor.map_or(request.policy.mode, |actor| actor.mode);
        let decision = Decision {
            verdict,
            // A person's word binds in every mode.
            enforced: (mode == Mode::Enforce || suspended) && !bookkeeping,
            advisory: request.advisory,
            unjudged: problem,
            findings,
            suppressed,
            actor: verdict::Actor {
                identity: actor.and_then(|actor| actor.name.clone()).or(self.name),
                kind: actor.map_or(Kind::Agent, |actor| actor.kind),
                owner: actor.and_then(|actor| actor.owner.clone()),
                boundary: actor.map(|actor| actor.boundary.name().to_owned()),
                assisted: self.assisted,
            },
            pusher: request.push.pusher.clone(),
            host: request.push.host,
            errand: request.push.errand,
            repository: request.push.repository.clone(),
            updates: request.updates,
            commits: self.commits,
            claims: self.claims,
            rewrite_base,
            allowed_refs: actor
                .map(|actor| actor.boundary.own_refs())
                .unwrap_or_default(),
            allowed_authors: actor.map(|actor| actor.authors.clone()).unwrap_or_default(),
            policy_digest: request.policy.digest.clone(),
            work: self.work,
            suspends: None,
        };
        (self.asked, decision)
    }
}

/// The keys that may sign.
fn signers(request: &Request<'_>) -> Result<Signers, Unjudged> {
    let loaded = match &request.policy.signers {
        Some(files) => Signers::load(files),
        // A server's boundary that asks has them; a repository's policy may ask in vain.
        None => Err("signatures are asked for, and the policy names no keys".to_owned()),
    };
    match loaded {
        Err(_) if request.advisory => Ok(Signers::elsewhere()),
        loaded => loaded.map_err(Unjudged::Signers),
    }
}

/// Notes which findings an entry of the server's policy names. Nothing that was pushed has a say in this.
fn suppress(request: &Request<'_>, actor: &identity::Actor, findings: &mut [Finding]) {
    let entries = entries_for(request, actor);
    if entries.is_empty() {
        return;
    }
    for finding in findings {
        let rule = finding.original.as_deref().unwrap_or(&finding.rule);
        let value = finding
            .evidence
            .as_ref()
            .map(|evidence| evidence.fingerprint);
        let path = finding.place.path.as_ref().map(|path| path.as_slice());
        finding.suppression = entries.find(rule, value, path);
    }
}

/// The `suppressions:` of the policy that can hold for this push.
fn entries_for<'p>(request: &Request<'p>, actor: &identity::Actor) -> InForce<'p> {
    request.policy.suppressions_for(
        actor.name.as_deref(),
        actor.boundary.name(),
        &request.push.repository,
        request.now,
    )
}

/// The names that the repository's own policy may use: with rule packs of the server there are more.
fn known_names(policy: &Policy) -> Known<'static> {
    Known {
        packs: !policy.rule_packs.is_empty(),
        ..check::known()
    }
}

fn not_identified(stranger: &NotIdentified) -> Finding {
    let mut found = Finding::new(stranger.rule, stranger.title.clone(), Place::new(Part::Ref));
    found.decided_by = stranger.at.clone();
    found
}

fn briefs(history: &History, updates: &[RefUpdate]) -> Vec<CommitBrief> {
    let brief = |new: &crate::repo::NewCommit| CommitBrief {
        id: new.commit.id,
        parents: new.commit.parents.clone(),
        refs: new
            .updates
            .iter()
            .map(|update| updates[*update].command.name.clone())
            .collect(),
    };
    history.commits.iter().map(brief).collect()
}

/// First parent of the oldest new commit that something stands against.
fn rewrite_base(findings: &[Judged], commits: &[CommitBrief]) -> Option<Oid> {
    let at_fault = |brief: &&CommitBrief| {
        findings
            .iter()
            .filter(|judged| judged.level >= Level::Hold)
            .flat_map(Judged::places)
            .any(|place| {
                place.part != Part::Ref
                    && (place.commit == Some(brief.id) || place.also_in.contains(&brief.id))
            })
    };
    commits.iter().find(at_fault)?.parents.first().copied()
}

impl From<RepoError> for Unjudged {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Exhausted(exhausted) => Unjudged::Exhausted(exhausted),
            other => Unjudged::Repository(other.brief()),
        }
    }
}

/// The decision on a push whose judgement could not even start.
pub fn unjudged(push: &Push, policy: &Policy, problem: Unjudged, advisory: bool) -> Decision {
    Decision {
        verdict: Verdict::Unjudged,
        enforced: policy.mode == Mode::Enforce,
        advisory,
        unjudged: Some(problem),
        findings: Vec::new(),
        suppressed: Vec::new(),
        actor: verdict::Actor {
            identity: None,
            kind: Kind::Agent,
            owner: None,
            boundary: None,
            assisted: None,
        },
        pusher: push.pusher.clone(),
        host: push.host,
        errand: push.errand,
        repository: push.repository.clone(),
        updates: mask::updates(as_claimed(push)),
        commits: Vec::new(),
        claims: Vec::new(),
        rewrite_base: None,
        allowed_refs: Vec::new(),
        allowed_authors: Vec::new(),
        policy_digest: policy.digest.clone(),
        work: Work::default(),
        suspends: None,
    }
}

/// Tests of the whole program make a check fail inside. Not in release builds.
fn injected_fault() {
    #[cfg(debug_assertions)]
    match std::env::var("RINGFENCE_FAULT").as_deref() {
        Ok("panic") => panic!("injected fault"),
        Ok("kill") => {
            let own = std::process::id().to_string();
            let _ = std::process::Command::new("kill")
                .args(["-9", &own])
                .status();
        }
        _ => {}
    }
}

/// Whether a decision lets the push pass. Observe mode lets pass what it judged and what it could not judge:
/// it tells, and must not break pushes. (What cannot be recorded or read at all is refused in every mode.)
pub fn lets_pass(decision: &Decision) -> bool {
    decision.verdict == Verdict::Accept || !decision.enforced
}
