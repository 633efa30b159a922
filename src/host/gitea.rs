//! Gitea and Forgejo: the same `GITEA_` variables.

use std::path::Path;

use super::environment::{Environment, variable};
use super::{InputError, Origin, repository};
use crate::push::{Errand, Pusher};

/// Number of the account that stands for all Actions jobs.
const ACTIONS_USER: i64 = -2;

pub(super) fn origin(environment: &Environment<'_>, git_dir: &Path) -> Result<Origin, InputError> {
    // Asked for, though unused: without it this is no Gitea, and the other names below mean nothing.
    environment.require("GITEA_REPO_ID")?;
    Ok(Origin {
        pusher: pusher(environment)?,
        errand: errand(environment)?,
        repository: vec![repository_name(environment, git_dir)?],
    })
}

fn pusher(environment: &Environment<'_>) -> Result<Pusher, InputError> {
    let id = environment
        .number("GITEA_PUSHER_ID")?
        .ok_or_else(|| variable("GITEA_PUSHER_ID", "is missing or empty"))?;
    let deploy_key = environment
        .number("GITEA_DEPLOY_KEY_ID")?
        .filter(|id| *id != 0);
    if let Some(deploy_key) = deploy_key {
        // All that Gitea says about the pusher is then about the owner of the repository.
        return Ok(Pusher {
            deploy_key: Some(deploy_key.to_string()),
            ..Pusher::default()
        });
    }
    let task = environment
        .number("GITEA_ACTIONS_TASK_ID")?
        .filter(|id| *id != 0);
    let account = environment.get("GITEA_PUSHER_NAME")?;
    if id == ACTIONS_USER {
        // One reserved account for the jobs of all repositories. A policy that admits it has to name it.
        return Ok(Pusher {
            account,
            account_id: Some(id.to_string()),
            ci_task: Some(task.map_or_else(|| "unknown".to_owned(), |task| task.to_string())),
            ..Pusher::default()
        });
    }
    if let Some(task) = task {
        // A job's token under a user's name: the job pushes, not the user.
        return Ok(Pusher {
            ci_task: Some(task.to_string()),
            ..Pusher::default()
        });
    }
    if id <= 0 {
        // Ghost and other accounts that stand for nobody.
        return Ok(Pusher::default());
    }
    Ok(Pusher {
        account,
        account_id: Some(id.to_string()),
        email: environment.get("GITEA_PUSHER_EMAIL")?,
        ..Pusher::default()
    })
}

fn errand(environment: &Environment<'_>) -> Result<Option<Errand>, InputError> {
    if environment.is_true("GITEA_INTERNAL_PUSH")? {
        return Ok(Some(Errand::Bookkeeping));
    }
    let by_gitea = environment
        .get("SSH_ORIGINAL_COMMAND")?
        .is_some_and(|command| command == "gitea-internal");
    let pull_request = environment.number("GITEA_PR_ID")?.unwrap_or(0) != 0;
    // Releases before 1.22 name no trigger; a pull request that Gitea itself pushes for is a merge all the same.
    let merge = pull_request && (by_gitea || environment.get("GITEA_PUSH_TRIGGER")?.is_some());
    Ok(if merge {
        Some(Errand::Merge)
    } else if by_gitea {
        Some(Errand::Web)
    } else {
        None
    })
}

/// `owner/name`, with `.wiki` for a wiki.
///
/// Up to 1.25 the variables of a push over HTTP come from the URL: an old name of a renamed repository, in any case. A
/// client could so choose among the boundaries of a policy, and be another repository for the record. The folder cannot be
/// chosen (Gitea keeps a repository in `<owner>/<name>.git`, lower case), so the folder's name is taken.
fn repository_name(environment: &Environment<'_>, git_dir: &Path) -> Result<String, InputError> {
    let mut told = format!(
        "{}/{}",
        environment.require("GITEA_REPO_USER_NAME")?,
        environment.require("GITEA_REPO_NAME")?
    );
    if environment.is_true("GITEA_REPO_IS_WIKI")? && !told.ends_with(".wiki") {
        told.push_str(".wiki");
    }
    let kept = repository::names(git_dir, None)?
        .into_iter()
        .next()
        .ok_or(InputError::Repository("its folder has no name"))?;
    // A folder that has neither the owner's name nor the repository's is no old name of it, but another layout.
    let part = |name: &str, at: usize| {
        name.split('/')
            .nth(at)
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let is_layout_of_gitea = part(&kept, 0) == part(&told, 0) || part(&kept, 1) == part(&told, 1);
    Ok(if is_layout_of_gitea { kept } else { told })
}
