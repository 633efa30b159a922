//! Names of a repository from its folder, for hosts that tell no name.

use std::path::{Component, Path};

use super::InputError;

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
