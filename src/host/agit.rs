//! AGit: a ref that proposes commits for a branch instead of naming one (`git push origin HEAD:refs/for/main/topic`).

use crate::push::RefName;

/// What Gitea and Forgejo take as proposals, older releases included.
const PREFIXES: [&[u8]; 3] = [b"refs/for/", b"refs/for-review/", b"refs/draft/"];

/// More levels than any branch has. Without candidates the commits are judged against the trusted refs alone, which is
/// stricter; so the bound costs a hostile client, and nobody else.
const LEVELS_MAX: usize = 32;

/// The branches that `name` may propose commits for, longest first; none when it is not such a ref.
///
/// Branch and topic names both hold slashes, so only the ref store knows where the branch ends: the caller takes the
/// first one that exists. At most one prefix of a name can exist, since `a` and `a/b` cannot both be branches.
pub fn candidates(name: &RefName) -> Vec<RefName> {
    let Some(rest) = PREFIXES
        .iter()
        .find_map(|prefix| name.as_bytes().strip_prefix(*prefix))
    else {
        return Vec::new();
    };
    let levels: Vec<&[u8]> = rest.split(|byte| *byte == b'/').collect();
    if levels.len() > LEVELS_MAX {
        return Vec::new();
    }
    (1..=levels.len())
        .rev()
        .filter_map(|count| {
            let branch = levels[..count].join(&b'/');
            RefName::new([b"refs/heads/".as_slice(), &branch].concat()).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates_of(name: &str) -> Vec<String> {
        candidates(&RefName::new(name).unwrap())
            .iter()
            .map(|name| String::from_utf8(name.as_bytes().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn every_split_is_offered_longest_first() {
        assert_eq!(
            candidates_of("refs/for/a/b/c"),
            ["refs/heads/a/b/c", "refs/heads/a/b", "refs/heads/a"]
        );
        assert_eq!(candidates_of("refs/draft/main"), ["refs/heads/main"]);
        assert_eq!(candidates_of("refs/for-review/main"), ["refs/heads/main"]);
    }

    #[test]
    fn ordinary_refs_propose_nothing() {
        assert!(candidates_of("refs/heads/for/main").is_empty());
        assert!(candidates_of("refs/form/main").is_empty());
    }

    #[test]
    fn a_name_with_absurd_depth_proposes_nothing() {
        let deep = format!("refs/for/{}", vec!["x"; LEVELS_MAX + 1].join("/"));
        assert!(candidates_of(&deep).is_empty());
    }
}
