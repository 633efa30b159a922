//! The local pre-push hook: the same judgement before anything is sent. Advisory: `--no-verify` skips it.

use std::collections::HashSet;
use std::io::Read;

use super::stdin;
use super::{InputError, stdin::refuse};
use crate::push::{Errand, HashKind, HostKind, Push, Pusher};

/// Takes a push from git's client: `<local ref> SP <local oid> SP <remote ref> SP <remote oid> LF` a line.
///
/// `url` is the hook's second argument; it gives the repository's names. `None`: git has nothing to push. Nobody is
/// authenticated here, so the pusher is empty; who it would be is the caller's to say.
pub fn receive(
    url: &str,
    input: &mut dyn Read,
    hash: HashKind,
    max_refs: u64,
) -> Result<Option<Push>, InputError> {
    let input = stdin::read_all(input)?;
    // Refs that are up to date are left out, so there may be none.
    if input.is_empty() {
        return Ok(None);
    }
    stdin::check_count(&input, max_refs)?;
    let mut hash = Some(hash);
    let mut names = HashSet::new();
    let commands = stdin::lines(&input)?
        .map(|(number, line)| {
            // From the right: the local side comes as the user typed it, and `HEAD^{/fix this}` holds blanks.
            let mut fields = line.rsplitn(4, |byte| *byte == b' ');
            let (Some(old), Some(name), Some(new), Some(_typed)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(refuse(number, "does not hold four fields".into(), line));
            };
            let old =
                stdin::object_id(old, &mut hash).map_err(|problem| refuse(number, problem, old))?;
            let new =
                stdin::object_id(new, &mut hash).map_err(|problem| refuse(number, problem, new))?;
            stdin::command(number, name, old, new, &mut names)
        })
        .collect::<Result<_, _>>()?;
    Ok(Some(Push {
        host: HostKind::Local,
        pusher: Pusher::default(),
        errand: Errand::None,
        repository: repository(url),
        commands,
        certificate: None,
    }))
}

/// The names that the server may know the repository by, most specific first: its whole path, then less and less of the
/// path's start. User and password of a URL are not looked at.
fn repository(url: &str) -> Vec<String> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_host, path)| path),
        // `host:path` of ssh, unless a slash comes first: then it is a local path with a colon in it.
        None => match url.split_once(':') {
            Some((host, path)) if !host.contains('/') => path,
            _ => url,
        },
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".." | ".git"))
        .collect();
    (0..parts.len())
        // Servers name repositories with few levels; a path of a local clone may have many.
        .skip(parts.len().saturating_sub(8))
        .map(|start| {
            let name = parts[start..].join("/");
            name.strip_suffix(".git").unwrap_or(&name).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::{Command, RefName};

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn commands(input: &str) -> Result<Vec<Command>, InputError> {
        let push = receive("u", &mut input.as_bytes(), HashKind::Sha1, 10)?;
        Ok(push.expect("has lines").commands)
    }

    #[test]
    fn the_local_side_comes_as_typed_and_may_hold_blanks() {
        for typed in ["refs/heads/x", "HEAD~1", "main~0", "HEAD^{/fix this bug}"] {
            let commands = commands(&format!("{typed} {NEW} refs/heads/x {OLD}\n")).unwrap();
            assert_eq!(
                commands,
                [Command {
                    name: RefName::new("refs/heads/x").unwrap(),
                    claimed_old: Some(crate::push::Oid::from_hex(OLD.as_bytes()).unwrap()),
                    new: Some(crate::push::Oid::from_hex(NEW.as_bytes()).unwrap()),
                }]
            );
        }
    }

    #[test]
    fn deletions_and_creations() {
        let deleted = commands(&format!("(delete) {ZERO} refs/heads/x {OLD}\n")).unwrap();
        assert!(deleted[0].new.is_none());
        let created = commands(&format!("HEAD {NEW} refs/heads/x {ZERO}\n")).unwrap();
        assert!(created[0].claimed_old.is_none());
    }

    #[test]
    fn nothing_to_push_is_no_push() {
        let push = receive("u", &mut b"".as_slice(), HashKind::Sha1, 10).unwrap();
        assert!(push.is_none());
    }

    #[test]
    fn odd_lines_are_refused() {
        for line in [
            format!("{NEW} refs/heads/x {OLD}\n"),
            format!("HEAD {NEW} refs/heads/x {OLD}"),
            format!("HEAD {NEW} HEAD {OLD}\n"),
            format!("HEAD {NEW} refs/heads/x {OLD}00\n"),
            "\n".to_owned(),
        ] {
            assert!(commands(&line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn the_url_names_the_repository_without_its_credentials() {
        for (url, names) in [
            (
                "https://u:p@h.example/org/site.git",
                vec!["org/site", "site"],
            ),
            ("git@h.example:org/site.git", vec!["org/site", "site"]),
            ("ssh://git@h.example:22/a/b/c", vec!["a/b/c", "b/c", "c"]),
            (
                "https://h.example/org/site.git/?x#y",
                vec!["org/site", "site"],
            ),
            ("../up/site/.git", vec!["up/site", "site"]),
            ("/srv/a:b.git", vec!["srv/a:b", "a:b"]),
            ("https://h.example", vec![]),
        ] {
            assert_eq!(repository(url), names, "{url}");
        }
    }
}
