//! GitLab: Gitaly builds the environment of custom hooks itself. `GL_` variables mean other things on gitolite.

use super::environment::Environment;
use super::{InputError, Origin};
use crate::push::{Errand, Pusher};

pub(super) fn origin(environment: &Environment<'_>) -> Result<Origin, InputError> {
    let id = environment.require("GL_ID")?;
    let number = |prefix: &str| {
        id.strip_prefix(prefix)
            .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
            .map(str::to_owned)
    };
    let pusher = if let Some(account_id) = number("user-") {
        Pusher {
            account: environment.get("GL_USERNAME")?,
            account_id: Some(account_id),
            ..Pusher::default()
        }
    } else {
        // A deploy key acts in the name of nobody; what `GL_USERNAME` says beside it is whoever made the key. Any other
        // kind of id is one that we do not know: it matches no identity.
        Pusher {
            deploy_key: number("key-"),
            ..Pusher::default()
        }
    };
    let web = environment
        .get("GL_PROTOCOL")?
        .is_some_and(|protocol| protocol == "web");
    Ok(Origin {
        pusher,
        errand: web.then_some(Errand::Web),
        repository: vec![repository(
            environment.require("GL_PROJECT_PATH")?,
            &environment.require("GL_REPOSITORY")?,
        )],
    })
}

/// The project's path names several repositories: the code, the wiki, designs, snippets. What `GL_REPOSITORY` says tells
/// them apart, so that a boundary for the code never holds for another one.
fn repository(path: String, kind: &str) -> String {
    let suffix = match kind.split_once('-') {
        Some(("project", _)) => return path,
        _ if kind.starts_with("wiki-") || kind.ends_with("-wiki") => ".wiki".to_owned(),
        Some((other, _)) => format!(".{other}"),
        None => format!(".{kind}"),
    };
    if path.ends_with(&suffix) {
        path
    } else {
        path + &suffix
    }
}
