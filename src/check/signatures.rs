//! `signatures`: commits, tags and pushes are signed by whom the policy lets sign.

use std::borrow::Cow;

use crate::check::{Check, Facts, Rule};
use crate::finding::{Finding, Level, Part, Place, PolicyAt};
use crate::host::push_certificate::{self, CERTIFICATE_MAX_BYTES};
use crate::identity::signature::{Fault, Refusal, Signers, Wanted};
use crate::policy::Need;
use crate::push::{HostKind, Oid, PushCertificate, RefName};
use crate::redact::Quoted;
use crate::repo::signed::{self, Signed};
use crate::repo::{Kind, RepoError};

/// See the module.
pub(super) struct Signatures;

const MISSING: &str = "signature/missing";
const BAD: &str = "signature/bad";
const PUSH: &str = "signature/push-certificate";

static RULES: &[Rule] = &[
    rule(
        MISSING,
        "the commit or tag is not signed",
        "The boundary says `signature: required`, and this object carries no signature. Sign it with a key that \
         the policy's `signers:` know.",
    ),
    rule(
        BAD,
        "the signature does not hold",
        "What was signed is not what is here, or the signature is none that can be checked: malformed, made \
         for another namespace than `git`, in the header of another hash, more than one, of a kind or with a \
         hash that is not taken (SHA-1, DSA, X.509). Or a tag says another name than its ref has.",
    ),
    rule(
        "signature/unknown-key",
        "nobody knows the key that signed",
        "The signature holds, but no line of the allowed signers, and no OpenPGP key of the server, is the key \
         that made it; or its line does not let it sign for git (`namespaces`).",
    ),
    rule(
        "signature/expired",
        "the key that signed is out of its time",
        "Key, certificate or signature are over, or have not begun, by the server's clock when the push \
         arrives. Dates in commits count for nothing.",
    ),
    rule(
        "signature/revoked",
        "the key that signed is revoked",
        "The key, its certificate or its authority is among the revoked keys of the server, or the OpenPGP key \
         was revoked by its owner.",
    ),
    Rule {
        // A person may push on what others signed.
        default_human: Level::Warn,
        ..rule(
            "signature/wrong-identity",
            "somebody else signed",
            "The signature holds and its key is known, but it is not one that this identity signs with: see \
             `signers:` of the identity.",
        )
    },
    rule(
        "signature/long-lived",
        "the key that signed lives too long",
        "The boundary has `max_certificate_lifetime`, and the signature was made with a plain key, or with a \
         certificate that holds for longer.",
    ),
    rule(
        PUSH,
        "the push itself is not signed as it must be",
        "The boundary looks at push certificates (`git push --signed`): one is missing, is not for this \
         repository or not for these ref updates, or its nonce is not the one that the server gave out (a \
         replay).",
    ),
];

const fn rule(id: &'static str, title: &'static str, doc: &'static str) -> Rule {
    Rule {
        id,
        title,
        doc,
        default: Level::Deny,
        default_human: Level::Deny,
        fixed: false,
    }
}

/// The rule of a fault.
fn rule_of(fault: Fault) -> &'static str {
    match fault {
        Fault::Bad => BAD,
        Fault::UnknownKey => "signature/unknown-key",
        Fault::Expired => "signature/expired",
        Fault::Revoked => "signature/revoked",
        Fault::WrongIdentity => "signature/wrong-identity",
        Fault::LongLived => "signature/long-lived",
    }
}

impl Check for Signatures {
    fn name(&self) -> &'static str {
        "signatures"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn facts(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Result<(), RepoError> {
        let Some(signers) = facts.signers else {
            return Ok(()); // The boundary does not look at signatures.
        };
        let signing = facts.actor.boundary.signing();
        let mut judge = Judge {
            facts,
            signers,
            wanted: Wanted {
                signers: &facts.actor.signers,
                now: facts.now,
                longest: signing.longest.as_ref().map(|(longest, _)| *longest),
            },
            findings,
        };
        if let Some((need, at)) = &signing.signature {
            judge.objects(*need, at)?;
        }
        if let Some((need, at)) = &signing.push_certificate {
            judge.push(*need, at)?;
        }
        Ok(())
    }
}

struct Judge<'a> {
    facts: &'a Facts<'a>,
    signers: &'a Signers,
    wanted: Wanted<'a>,
    findings: &'a mut Vec<Finding>,
}

impl Judge<'_> {
    /// Every new commit and every new tag.
    fn objects(&mut self, need: Need, at: &PolicyAt) -> Result<(), RepoError> {
        let facts = self.facts;
        let mut buffer = Vec::new();
        let commits = facts.history.commits.iter();
        let commits = commits.map(|new| (new.commit.id, &new.updates, Part::Commit));
        let mut signed_tags = Vec::new();
        let tags = facts.history.tags.iter();
        let tags = tags.map(|new| (new.tag.id, &new.updates, Part::Tag));
        for (id, updates, part) in commits.chain(tags) {
            facts.budget.check_time()?;
            let object = facts
                .reader
                .find(&id, &mut buffer, facts.budget)?
                .ok_or(RepoError::Missing(id))?;
            let (what, signed) = match part {
                Part::Tag => ("tag", signed::of_tag(object.data)),
                _ => ("commit", signed::of_commit(object.data, id.kind())),
            };
            let place = |ref_name: Option<RefName>| {
                let mut place = Place::new(part);
                place.commit = Some(id);
                place.ref_name = ref_name;
                place
            };
            let place = place(facts.ref_of(updates));
            match signed {
                Signed::No if need == Need::Allowed => {}
                Signed::No => {
                    let mut found =
                        Finding::new(MISSING, format!("the {what} is not signed"), place);
                    found.decided_by = Some(at.clone());
                    self.findings.push(found);
                }
                Signed::Odd(why) => {
                    let title = format!("the {what} {why}");
                    self.findings.push(Finding::new(BAD, title, place));
                }
                Signed::Yes { payload, signature } => {
                    if part == Part::Tag {
                        signed_tags.push(id);
                    }
                    let judged = self.signers.judge(&payload, &signature, &self.wanted);
                    if let Err(refusal) = judged {
                        self.refused(what, refusal, place);
                    }
                }
            }
        }
        self.tag_names(&signed_tags);
        // A ref that points straight to a file or folder.
        let mut contents: Vec<usize> = facts
            .history
            .contents
            .iter()
            .map(|new| new.update)
            .collect();
        contents.dedup();
        for update in contents.into_iter().filter(|_| need == Need::Required) {
            let mut place = Place::new(Part::Ref);
            place.ref_name = facts.ref_of(&[update]);
            let title = "the ref points to a file or folder, which nobody signs";
            let mut found = Finding::new(MISSING, title, place);
            found.decided_by = Some(at.clone());
            self.findings.push(found);
        }
        Ok(())
    }

    /// A signed tag speaks for the name that stands in it: under another one an old release passes for a new one.
    fn tag_names(&mut self, signed: &[Oid]) {
        let facts = self.facts;
        let tags = facts.history.tags.iter();
        for new in tags.filter(|new| signed.contains(&new.tag.id)) {
            for update in &new.updates {
                let command = &facts.updates[*update].command;
                let Some(name) = command.name.as_bytes().strip_prefix(b"refs/tags/") else {
                    continue;
                };
                if command.new != Some(new.tag.id) || new.tag.name == name {
                    continue;
                }
                let mut place = Place::new(Part::Tag);
                place.commit = Some(new.tag.id);
                place.ref_name = Some(command.name.clone());
                let title = "the tag was made under another name";
                let mut found = Finding::new(BAD, title, place);
                found.detail = Some(format!("it says {}", Quoted(&new.tag.name)));
                self.findings.push(found);
            }
        }
    }

    fn refused(&mut self, what: &str, refusal: Refusal, place: Place) {
        let title = format!("the signature of the {what} {}", refusal.why);
        let mut found = Finding::new(rule_of(refusal.fault), title, place);
        if !refusal.key.is_empty() {
            found.detail = Some(format!("key {}", refusal.key));
        }
        if refusal.fault == Fault::LongLived {
            let longest = &self.facts.actor.boundary.signing().longest;
            found.decided_by = longest.as_ref().map(|(_, at)| at.clone());
        }
        self.findings.push(found);
    }

    /// The push as a whole.
    fn push(&mut self, need: Need, at: &PolicyAt) -> Result<(), RepoError> {
        // Whether a push will be signed is not known before it is made.
        if self.facts.push.host == HostKind::Local {
            return Ok(());
        }
        let Some(told) = &self.facts.push.certificate else {
            if need == Need::Required {
                let title = "the push is not signed";
                let mut found = Finding::new(PUSH, title, Place::new(Part::Ref));
                found.decided_by = Some(at.clone());
                self.findings.push(found);
            }
            return Ok(());
        };
        let mut buffer = Vec::new();
        let text = self.certificate(&told.id, &mut buffer)?;
        let (payload, signature) = match signed::of_text(text) {
            Signed::Yes { payload, signature } => (payload, signature),
            _ => {
                self.not_for_us("the push certificate is not signed", None);
                return Ok(());
            }
        };
        if let Err(refusal) = self.signers.judge(&payload, &signature, &self.wanted) {
            self.refused("push certificate", refusal, Place::new(Part::Ref));
        }
        match push_certificate::parse(&payload.concat(), told.id.kind()) {
            Err(why) => self.not_for_us(format!("the push certificate {why}"), None),
            Ok(certified) => self.certified(told, &certified),
        }
        Ok(())
    }

    /// The bytes of the certificate, which git has written into the store.
    fn certificate<'b>(&self, id: &Oid, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], RepoError> {
        let reader = self.facts.reader;
        let corrupt = |why: &str| RepoError::Corrupt {
            id: *id,
            why: why.to_owned(),
        };
        match reader.header(id)? {
            Some((Kind::Blob, size)) if size <= CERTIFICATE_MAX_BYTES => {}
            Some(_) => return Err(corrupt("it is no push certificate")),
            None => return Err(RepoError::Missing(*id)),
        }
        let found = reader.find(id, buffer, self.facts.budget)?;
        found
            .map(|object| object.data)
            .ok_or(RepoError::Missing(*id))
    }

    /// What the certificate says against what happens.
    fn certified(&mut self, told: &PushCertificate, certified: &push_certificate::Certified<'_>) {
        let slop = self.facts.nonce_slop.as_secs();
        let nonce = match (told.nonce_status.as_deref(), told.nonce_slop) {
            (Some("OK"), _) => Ok(()),
            (Some("SLOP"), Some(by)) if by.unsigned_abs() <= slop => Ok(()),
            (Some("SLOP"), _) => Err("the nonce of the push certificate is too old"),
            (Some("BAD"), _) => Err("the nonce of the push certificate is not ours: a replay"),
            (Some("UNSOLICITED"), _) => {
                Err("the push certificate has a nonce, and this server gives none out")
            }
            (Some("MISSING"), _) => Err("the push certificate has no nonce"),
            _ => Err("git does not say that the nonce of the push certificate is good"),
        };
        if let Err(why) = nonce {
            self.not_for_us(why, None);
        } else if told.nonce.as_deref().map(str::as_bytes) != Some(certified.nonce) {
            self.not_for_us(
                "the nonce of the push certificate is not the one that git judged",
                None,
            );
        }
        let repository = self.facts.push.repository.first();
        let leads_here =
            repository.is_some_and(|name| push_certificate::leads_to(certified.pushee, name));
        if !leads_here {
            let shown = Quoted(certified.pushee).to_string();
            self.not_for_us(
                "the push certificate is for another repository",
                Some(shown),
            );
        }
        let ours = self.facts.updates.iter().map(|update| &update.command);
        if !ours.eq(&certified.commands) {
            self.not_for_us("the push certificate is for other ref updates", None);
        }
    }

    fn not_for_us(&mut self, title: impl Into<Cow<'static, str>>, detail: Option<String>) {
        let mut found = Finding::new(PUSH, title, Place::new(Part::Ref));
        found.detail = detail;
        self.findings.push(found);
    }
}
