//! gitolite3: the name of the key file is the account. `GL_` variables mean other things on GitLab.

use super::environment::Environment;
use super::{InputError, Origin};
use crate::push::Pusher;

pub(super) fn origin(environment: &Environment<'_>) -> Result<Origin, InputError> {
    let repository = environment.require("GL_REPO")?;
    Ok(Origin {
        pusher: Pusher {
            account: Some(environment.require("GL_USER")?),
            ..Pusher::default()
        },
        errand: None,
        repository: vec![repository],
    })
}
