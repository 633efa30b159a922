//! Who pushes: the policy entry that the pusher matches, and the boundary that holds for it here and now.

pub mod claims;
pub mod signature;

use std::sync::Arc;

use crate::finding::PolicyAt;
use crate::policy::{Boundary, Home, Identity, Kind, Layer, Mode, Pattern, Policy, Traits};
use crate::push::Pusher;

/// Account of Gitea's and Forgejo's CI jobs. A job's own token is matched by this account, or by its number.
pub const CI_ACCOUNT: &str = "gitea-actions";

/// Number of [`CI_ACCOUNT`].
pub const CI_ACCOUNT_ID: &str = "-2";

/// The pusher as the policy sees it, with its effective boundary.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Name of the policy entry; `None`: it matched none, and `unknown:` names a boundary.
    pub name: Option<String>,
    /// Kind of the entry. A pusher that matched none is judged like an agent.
    pub kind: Kind,
    /// `owner:`.
    pub owner: Option<String>,
    /// `authors:`, as written: `Name <mail>`.
    pub authors: Vec<String>,
    /// The line that lists them.
    pub authors_at: Option<PolicyAt>,
    /// Whose signatures count as its own: `signers:`, or its name and mail addresses.
    pub signers: Vec<String>,
    /// Mode for this identity.
    pub mode: Mode,
    /// What it may do.
    pub boundary: Boundary,
    /// `claims:`: what narrows a person's push that carries work of an agent.
    pub assisted: Option<Arc<Layer>>,
}

impl Actor {
    /// Who it is, for a sentence: `agent "docs-bot"`.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{} \"{name}\"", self.kind.as_str()),
            None => "an unknown pusher".to_owned(),
        }
    }
}

/// Why nobody can be held to have pushed. Refuses the push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{title}")]
pub struct NotIdentified {
    /// `identity/unknown`, `identity/ambiguous`, `identity/expired`, `identity/not-yet-valid`, `identity/repository`.
    pub rule: &'static str,
    /// One sentence without a full stop, in words of the policy alone.
    pub title: String,
    /// The line that decided, where one did.
    pub at: Option<PolicyAt>,
    /// The policy entry, where one matched.
    pub name: Option<String>,
}

/// Finds the one identity that the pusher matches, and its boundary in this repository.
///
/// `repository` holds the names of the repository, most specific first.
pub fn identify(
    policy: &Policy,
    pusher: &Pusher,
    repository: &[String],
    now: jiff::Timestamp,
) -> Result<Actor, NotIdentified> {
    let mut matching = policy
        .identities()
        .iter()
        .filter(|identity| matches(&identity.traits, pusher));
    match (matching.next(), matching.next()) {
        (Some(identity), None) => actor(policy, identity, repository, Some(now)),
        (Some(first), Some(second)) => Err(NotIdentified {
            rule: "identity/ambiguous",
            title: format!(
                "the pusher matches two identities, \"{}\" and \"{}\"",
                first.name, second.name
            ),
            at: Some(line(
                policy,
                second.line,
                format!("identity {}", second.name),
            )),
            name: None,
        }),
        (None, _) => match policy.unknown() {
            Some(boundary) => Ok(Actor {
                name: None,
                kind: Kind::Agent,
                owner: None,
                authors: Vec::new(),
                authors_at: None,
                signers: Vec::new(),
                mode: policy.mode,
                boundary,
                assisted: None,
            }),
            None => Err(unknown(
                "the pusher matches no identity of the policy".into(),
            )),
        },
    }
}

/// The identity with this name, as if it had pushed.
pub fn actor_named(
    policy: &Policy,
    name: &str,
    repository: &[String],
    now: jiff::Timestamp,
) -> Result<Actor, NotIdentified> {
    actor(policy, named(policy, name)?, repository, Some(now))
}

/// [`actor_named`] without a look at the clock: for questions about the policy itself.
pub fn actor_at_any_time(
    policy: &Policy,
    name: &str,
    repository: &[String],
) -> Result<Actor, NotIdentified> {
    actor(policy, named(policy, name)?, repository, None)
}

fn named<'p>(policy: &'p Policy, name: &str) -> Result<&'p Identity, NotIdentified> {
    policy
        .identities()
        .iter()
        .find(|identity| identity.name == name)
        .ok_or_else(|| {
            unknown(format!(
                "the policy has no identity \"{}\"",
                name.escape_debug()
            ))
        })
}

fn unknown(title: String) -> NotIdentified {
    NotIdentified {
        rule: "identity/unknown",
        title,
        at: None,
        name: None,
    }
}

fn line(policy: &Policy, line: u32, what: String) -> PolicyAt {
    PolicyAt {
        file: policy.file.clone(),
        line,
        what: what.into(),
    }
}

/// Whether every trait that the policy names is the pusher's.
fn matches(traits: &Traits, pusher: &Pusher) -> bool {
    // With a deploy key the host fills in the repository's owner: the account says nothing.
    if pusher.deploy_key.is_some() && traits.deploy_key.is_empty() {
        return false;
    }
    // A CI job pushes with a token of its own; no account of a person or an agent stands behind it.
    if pusher.ci_task.is_some()
        && !traits.account.iter().any(|name| name == CI_ACCOUNT)
        && !traits.account_id.iter().any(|id| id == CI_ACCOUNT_ID)
    {
        return false;
    }
    let holds = |wanted: &[String], has: Option<&String>| {
        wanted.is_empty() || has.is_some_and(|has| wanted.contains(has))
    };
    let principal = traits.ssh_principal.is_empty()
        || pusher
            .ssh_principals
            .iter()
            .any(|has| traits.ssh_principal.contains(has));
    holds(&traits.account, pusher.account.as_ref())
        && holds(&traits.account_id, pusher.account_id.as_ref())
        && holds(&traits.email, pusher.email.as_ref())
        && holds(&traits.deploy_key, pusher.deploy_key.as_ref())
        && holds(&traits.ssh_key, pusher.ssh_key.as_ref())
        && principal
}

/// The boundary in a repository with these names. The most specific name decides, an entry without wildcards before
/// one with; two entries that still disagree are nobody's intent, and the error is the line of the second. Case decides
/// between two entries, and keeps no entry out: Gitea and GitLab take the name in any case, and who pushes would choose.
fn at_home(
    listed: &[(Pattern, Arc<Layer>, u32)],
    repository: &[String],
) -> Result<Option<Arc<Layer>>, u32> {
    type Entry = (Pattern, Arc<Layer>, u32);
    for name in repository {
        let is_same = |(pattern, ..): &Entry| pattern.as_written() == name;
        let is_same_name = |(pattern, ..): &Entry| pattern.as_written().eq_ignore_ascii_case(name);
        let matches = |(pattern, ..): &Entry| pattern.matches_in_any_case(name.as_bytes());
        for holds in [&is_same as &dyn Fn(&Entry) -> bool, &is_same_name, &matches] {
            let mut found = listed.iter().filter(|entry| holds(entry));
            let Some((_, layer, _)) = found.next() else {
                continue;
            };
            return match found.find(|(_, other, _)| !Arc::ptr_eq(layer, other)) {
                Some((.., line)) => Err(*line),
                None => Ok(Some(layer.clone())),
            };
        }
    }
    Ok(None)
}

fn actor(
    policy: &Policy,
    identity: &Identity,
    repository: &[String],
    now: Option<jiff::Timestamp>,
) -> Result<Actor, NotIdentified> {
    let refused = |rule, title, line_number, what: &str| NotIdentified {
        rule,
        title,
        at: Some(line(
            policy,
            line_number,
            format!("identity {}: {what}", identity.name),
        )),
        name: Some(identity.name.clone()),
    };
    let kind = identity.kind.as_str();
    if let (Some(now), Some(from)) = (now, identity.from)
        && now < from
    {
        return Err(refused(
            "identity/not-yet-valid",
            format!("{kind} \"{}\" may push from {from} on", identity.name),
            identity.valid_line(),
            "valid",
        ));
    }
    if let (Some(now), Some(until)) = (now, identity.until)
        && now >= until
    {
        return Err(refused(
            "identity/expired",
            format!("{kind} \"{}\" could push until {until}", identity.name),
            identity.valid_line(),
            "valid",
        ));
    }
    let layer = match &identity.home {
        Home::Everywhere(layer) => layer.clone(),
        Home::Listed(listed) => match at_home(listed, repository) {
            Ok(Some(layer)) => layer,
            Ok(None) => {
                return Err(refused(
                    "identity/repository",
                    format!(
                        "{kind} \"{}\" has no boundary in this repository",
                        identity.name
                    ),
                    identity.line,
                    "repositories",
                ));
            }
            Err(second) => {
                return Err(refused(
                    "identity/ambiguous",
                    format!(
                        "{kind} \"{}\" has two boundaries in this repository",
                        identity.name
                    ),
                    second,
                    "repositories",
                ));
            }
        },
    };
    Ok(Actor {
        name: Some(identity.name.clone()),
        kind: identity.kind,
        owner: identity.owner.clone(),
        authors: identity.authors.clone(),
        authors_at: (!identity.authors.is_empty()).then(|| {
            let what = format!("identity {}: authors", identity.name);
            line(policy, identity.authors_line(), what)
        }),
        signers: identity.signers.clone(),
        mode: identity.mode.unwrap_or(policy.mode),
        boundary: Boundary::new(layer, policy.freezes().clone()),
        assisted: (identity.kind == Kind::Human)
            .then(|| identity.assisted.as_ref().or(policy.assisted()))
            .flatten()
            .cloned(),
    })
}

#[cfg(test)]
mod tests;
