//! Names of a repository from its folder: for hosts that tell no name, and where no push tells one.

use std::path::{Component, Path};

use super::{InputError, StoredNames};
use crate::policy::HostConfig;
use crate::push::HostKind;

/// The name relative to `root`, or, without one, the last two folders and the last one: `org/site`, `site`.
/// Without `.git` at the end; a work tree's `.git` folder is left out.
pub(super) fn names(git_dir: &Path, root: Option<&Path>) -> Result<Vec<String>, InputError> {
    // Symbolic links are resolved: a name must say which repository changes, not how it was reached.
    let folder = git_dir
        .canonicalize()
        .map_err(|_| InputError::Repository("its folder cannot be resolved"))?;
    let folder = match folder.file_name() {
        Some(name) if name == ".git" => folder.parent().unwrap_or(&folder),
        _ => &folder,
    };
    let Some(root) = root else {
        let parts = parts(folder)?;
        let last = |count: usize| named(&parts[parts.len().saturating_sub(count)..]);
        let mut names = vec![last(2)?, last(1)?];
        names.dedup();
        return Ok(names);
    };
    let root = root
        .canonicalize()
        .map_err(|_| InputError::Repository("the folder of host: root in the policy is missing"))?;
    let relative = folder
        .strip_prefix(&root)
        .map_err(|_| InputError::Repository("it is not below host: root of the policy"))?;
    Ok(vec![named(&parts(relative)?)?])
}

/// Folders at the top of GitLab's storage, below which names are hashes and numbers.
const GITLAB_FOLDERS: &[&str] = &["@hashed", "@groups", "@snippets", "@pools", "@cluster"];

/// The names that a hook in this repository would have. What a host told the hook stands here in the layout of its
/// storage: GitLab notes the name in the repository's config, gitolite keeps `repositories/<name>.git`, Gitea and Forgejo
/// `<owner>/<name>.git`.
pub(super) fn stored(
    git_dir: &Path,
    gitlab_name: Option<&str>,
    config: &HostConfig,
) -> Result<StoredNames, InputError> {
    let told = |name: String| StoredNames {
        names: vec![name],
        is_told: true,
    };
    let is_hashed = git_dir
        .components()
        .any(|part| GITLAB_FOLDERS.iter().any(|name| part.as_os_str() == *name));
    let has = |file: &str| git_dir.join(file).is_file();
    let kind = config.kind.or_else(|| match () {
        () if is_hashed => Some(HostKind::Gitlab),
        () if has("gl-conf") => Some(HostKind::Gitolite),
        () if has("hooks/pre-receive.d/gitea") => Some(HostKind::Gitea),
        () => None,
    });
    match kind {
        Some(HostKind::Gitlab) if is_hashed => {
            let clean = |name: &&str| !name.chars().any(char::is_control);
            let name = gitlab_name.filter(clean).ok_or(InputError::Repository(
                "its config does not tell the name that GitLab has for it",
            ))?;
            Ok(told(of_gitlab(git_dir, name)))
        }
        Some(HostKind::Gitlab | HostKind::Gitolite) => match below_repositories(git_dir)? {
            Some(name) => Ok(told(name)),
            None => names(git_dir, None).map(|names| told(names[0].clone())),
        },
        Some(HostKind::Gitea) => names(git_dir, None).map(|names| told(names[0].clone())),
        _ => Ok(StoredNames {
            names: names(git_dir, config.root.as_deref())?,
            is_told: config.root.is_some(),
        }),
    }
}

/// The project's path, with what tells its other repositories apart.
fn of_gitlab(git_dir: &Path, name: &str) -> String {
    let folder = git_dir.file_name().unwrap_or_default().to_string_lossy();
    let suffix = [".wiki", ".design"].into_iter().find(|suffix| {
        folder.trim_end_matches(".git").ends_with(suffix) && !name.ends_with(suffix)
    });
    format!("{name}{}", suffix.unwrap_or_default())
}

/// What follows the folder `repositories`: of gitolite's account where there are several of that name, else the outermost.
fn below_repositories(git_dir: &Path) -> Result<Option<String>, InputError> {
    let all = || {
        let folders = git_dir.ancestors();
        folders.filter(|folder| {
            folder
                .file_name()
                .is_some_and(|name| name == "repositories")
        })
    };
    let is_of_gitolite = |folder: &&Path| folder.with_file_name(".gitolite").is_dir();
    let Some(folder) = all().find(is_of_gitolite).or_else(|| all().last()) else {
        return Ok(None);
    };
    let relative = git_dir.strip_prefix(folder).unwrap_or(git_dir);
    named(&parts(relative)?).map(Some)
}

/// The folder names of a path.
fn parts(path: &Path) -> Result<Vec<String>, InputError> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .map(|name| match name.to_str() {
            Some(name) if !name.chars().any(char::is_control) => Ok(name.to_owned()),
            _ => Err(InputError::Repository(
                "its path is not UTF-8, or holds a control character",
            )),
        })
        .collect()
}

fn named(parts: &[String]) -> Result<String, InputError> {
    let name = parts.join("/");
    let name = name.strip_suffix(".git").unwrap_or(&name);
    if name.is_empty() {
        return Err(InputError::Repository("its folder has no name"));
    }
    Ok(name.to_owned())
}
