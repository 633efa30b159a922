//! What a judgement starts from: the true values of the refs, the trusted tips, the repository's own policy.

use bstr::ByteSlice as _;

use crate::finding::{Finding, Part, Place};
use crate::gate::Request;
use crate::identity::Actor;
use crate::policy::{Kind, Pattern, Policy, REPOSITORY_POLICY, RepositoryPolicy};
use crate::push::{Oid, Push, RefName, RefUpdate};
use crate::repo::{Kind as ObjectKind, Mode, Reader, Repo, RepoError};

/// Asks the ref store what the commands of a push really change.
pub fn resolve(repo: &Repo, push: &Push) -> Result<Vec<RefUpdate>, RepoError> {
    push.commands
        .iter()
        .map(|command| {
            let resolved = repo.resolve(&command.name)?;
            Ok(RefUpdate {
                command: command.clone(),
                target: resolved.target,
                stored: resolved.value,
                proposed_for: proposed_for(repo, &command.name)?,
            })
        })
        .collect()
}

/// Takes the old values that the client names for what they claim: a local pre-push run gets them from the
/// remote itself, and a push that could not be judged has no better.
pub fn as_claimed(push: &Push) -> Vec<RefUpdate> {
    let claimed = |command: &crate::push::Command| RefUpdate {
        target: command.name.clone(),
        stored: command.claimed_old,
        proposed_for: None,
        command: command.clone(),
    };
    push.commands.iter().map(claimed).collect()
}

/// For `refs/for/<branch>[/<topic>]`: the longest leading part that names a stored branch.
fn proposed_for(repo: &Repo, name: &RefName) -> Result<Option<RefName>, RepoError> {
    for candidate in crate::host::agit::candidates(name) {
        if repo.resolve(&candidate)?.value.is_some() {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// The stored values of the trusted refs, tags peeled. Without `trusted_refs:` the branch that HEAD names.
///
/// `remote`: in a clone, the values fetched from that remote stand for the server's own branches.
pub fn trusted_tips(
    repo: &Repo,
    policy: &Policy,
    remote: Option<&[u8]>,
) -> Result<Vec<(RefName, Oid)>, RepoError> {
    let tracked = remote.map(|remote| [b"refs/remotes/", remote, b"/"].concat());
    let mut tips = Vec::new();
    match &policy.trusted_refs {
        None => tips.extend(tip_of_head(repo, tracked.as_deref())?),
        Some(patterns) => {
            for pattern in patterns {
                tips.extend(tips_matching(repo, pattern, tracked.as_deref())?);
            }
        }
    }
    // A forge's bookkeeping refs hold what anybody proposed: never trusted, whatever a pattern says.
    tips.retain(|(name, _)| !name.as_bytes().starts_with(b"refs/pull/"));
    let reader = repo.reader();
    tips.into_iter()
        .map(|(name, id)| {
            // git lets no branch hold a tag object, so most tips need not be looked at.
            let id = if is_branch(&name) {
                id
            } else {
                peel(&reader, id)?
            };
            Ok((name, id))
        })
        .collect()
}

fn tip_of_head(repo: &Repo, tracked: Option<&[u8]>) -> Result<Option<(RefName, Oid)>, RepoError> {
    let Some(tracked) = tracked else {
        let Some(head) = repo.head()? else {
            return Ok(None);
        };
        return Ok(repo.resolve(&head)?.value.map(|id| (head, id)));
    };
    let Ok(head) = RefName::new([tracked, b"HEAD"].concat()) else {
        return Ok(None);
    };
    let resolved = repo.resolve(&head)?;
    let branch = resolved.target.as_bytes().strip_prefix(tracked);
    let name = branch.and_then(|branch| RefName::new([b"refs/heads/", branch].concat()).ok());
    Ok(name.zip(resolved.value))
}

fn tips_matching(
    repo: &Repo,
    pattern: &Pattern,
    tracked: Option<&[u8]>,
) -> Result<Vec<(RefName, Oid)>, RepoError> {
    let prefix = pattern.literal_prefix();
    // The server's name of a ref, where this repository keeps it.
    let kept_at = |name: &[u8]| match (tracked, name.strip_prefix(b"refs/heads/")) {
        (Some(tracked), Some(branch)) => [tracked, branch].concat(),
        _ => name.to_vec(),
    };
    if prefix == pattern.as_written().as_bytes() {
        let (Ok(name), Ok(kept)) = (RefName::new(prefix.clone()), RefName::new(kept_at(&prefix)))
        else {
            return Ok(Vec::new());
        };
        return Ok(repo
            .resolve(&kept)?
            .value
            .map(|id| (name, id))
            .into_iter()
            .collect());
    }
    let folder = &prefix[..prefix.rfind_byte(b'/').map_or(0, |slash| slash + 1)];
    let kept_folder = kept_at(folder);
    let named = repo
        .refs_under(&kept_folder)?
        .into_iter()
        .filter_map(|(kept, id)| {
            let rest = kept.as_bytes().strip_prefix(kept_folder.as_slice())?;
            let name = RefName::new([folder, rest].concat()).ok()?;
            pattern.matches(name.as_bytes()).then_some((name, id))
        });
    Ok(named.collect())
}

fn is_branch(name: &RefName) -> bool {
    name.as_bytes().starts_with(b"refs/heads/")
}

/// Follows annotated tags, at most as many as git nests in practice.
fn peel(reader: &Reader<'_>, mut id: Oid) -> Result<Oid, RepoError> {
    let budget = crate::budget::Budget::new(crate::budget::Bounds::default());
    for _ in 0..8 {
        match reader.header(&id)? {
            Some((ObjectKind::Tag, _)) => id = reader.tag(&id, &budget)?.target,
            Some(_) => return Ok(id),
            None => return Err(RepoError::Missing(id)),
        }
    }
    Err(RepoError::Refs(
        "a trusted tag is nested too deep".to_owned(),
    ))
}

/// Narrows the boundary of `actor` by the repository's own policy, read from the stored trusted ref.
/// Returns that policy, or the finding when it is there but cannot be used.
pub(super) fn narrow(
    request: &Request<'_>,
    reader: &Reader<'_>,
    actor: &mut Actor,
) -> Result<Result<Option<RepositoryPolicy>, Finding>, RepoError> {
    // With one trusted ref there is nothing to choose, and HEAD need not be asked again.
    let head = match request.trusted.len() {
        0 => return Ok(Ok(None)), // Nothing is stored yet, so nothing narrows.
        1 => None,
        _ => request.repo.head()?,
    };
    let of_head = request
        .trusted
        .iter()
        .find(|(name, _)| Some(name) == head.as_ref());
    let (name, tip) = of_head.unwrap_or(&request.trusted[0]);
    let invalid = |why: String| {
        let title = "the repository's own policy cannot be used";
        let mut place = Place::new(Part::Path);
        place.path = Some(REPOSITORY_POLICY.into());
        place.ref_name = Some(name.clone());
        place.commit = Some(*tip);
        let mut found = Finding::new("policy/invalid", title, place);
        found.detail = Some(why);
        Ok(Err(found))
    };
    // A branch holds a commit; only a tag may hold something else, and then no policy.
    if !is_branch(name) && !matches!(reader.header(tip)?, Some((ObjectKind::Commit, _))) {
        return Ok(Ok(None));
    }
    let tree = reader.commit(tip, request.budget)?.tree;
    let entries = reader.tree(&tree, request.budget)?;
    let Some(entry) = entries
        .iter()
        .find(|entry| entry.name == REPOSITORY_POLICY.as_bytes())
    else {
        return Ok(Ok(None));
    };
    if entry.mode != Mode::Blob {
        return invalid("it is not a regular file".to_owned());
    }
    match reader.header(&entry.id)? {
        Some((ObjectKind::Blob, size)) if size <= 1 << 20 => {}
        _ => return invalid("it is too long or not a file".to_owned()),
    }
    let mut buffer = Vec::new();
    let Some(object) = reader.find(&entry.id, &mut buffer, request.budget)? else {
        return Err(RepoError::Missing(entry.id));
    };
    match RepositoryPolicy::parse(
        REPOSITORY_POLICY,
        object.data,
        &super::known_names(request.policy),
    ) {
        Ok(own) => {
            actor.boundary.narrow(&own, actor.kind != Kind::Human);
            Ok(Ok(Some(own)))
        }
        Err(error) => invalid(error.brief()),
    }
}
