//! `git http-backend` behind a web server, which authenticates and sets `REMOTE_USER`.
//!
//! The environment also holds every header of the request, `HTTP_AUTHORIZATION` among them: nothing but the names below
//! is looked at.

use std::path::Path;

use super::environment::{Environment, variable};
use super::{InputError, Origin, repository};
use crate::policy::HostConfig;
use crate::push::Pusher;

pub(super) fn origin(
    environment: &Environment<'_>,
    config: &HostConfig,
    git_dir: &Path,
) -> Result<Origin, InputError> {
    let account = environment.get("REMOTE_USER")?;
    // Only a pinned kind comes here without both: a push over another way in must not pass as the web server's.
    if account.is_none() && environment.get("GATEWAY_INTERFACE")?.is_none() {
        return Err(variable(
            "GATEWAY_INTERFACE",
            "is missing, though the policy pins host: http",
        ));
    }
    Ok(Origin {
        pusher: Pusher {
            account,
            ..Pusher::default()
        },
        errand: None,
        repository: repository::names(git_dir, config.root.as_deref())?,
    })
}
