//! Signatures: where the server's keys are, and what a boundary asks of signatures.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Traits;
use super::boundary::Layer;
use super::diagnostic::{At, Log, quoted};
use super::keys::{NEEDS, SIGNERS};
use super::read::{self, Fields};
use crate::finding::PolicyAt;
use crate::yaml::{Node, Value};

/// Whether something may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It may be missing; what is there must hold.
    Allowed,
    /// It must be there.
    Required,
}

impl Need {
    /// The word in the policy.
    pub fn as_str(self) -> &'static str {
        NEEDS[self as usize]
    }
}

/// `signers:`: files with the keys that the server knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignerFiles {
    /// Allowed signers of ssh.
    pub ssh: Option<PathBuf>,
    /// OpenPGP keys.
    pub openpgp: Option<PathBuf>,
    /// Revoked keys of ssh.
    pub revoked: Option<PathBuf>,
    /// By how much the nonce of a push certificate may be too old.
    pub nonce_slop: Duration,
}

impl SignerFiles {
    /// Every file that is named.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ssh.iter().chain(&self.openpgp).chain(&self.revoked)
    }
}

/// What a boundary asks of signatures. `None`: it does not look at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signing {
    /// `signature:` of commits and tags.
    pub signature: Option<(Need, PolicyAt)>,
    /// `max_certificate_lifetime:`.
    pub longest: Option<(Duration, PolicyAt)>,
    /// `push_certificate:`.
    pub push_certificate: Option<(Need, PolicyAt)>,
}

impl Signing {
    /// Whether any signature is looked at.
    pub fn asks(&self) -> bool {
        self.signature.is_some() || self.push_certificate.is_some()
    }

    /// Takes what is stricter in `other`.
    pub(super) fn narrow(&mut self, other: &Signing) {
        for (mine, theirs) in [
            (&mut self.signature, &other.signature),
            (&mut self.push_certificate, &other.push_certificate),
        ] {
            if theirs.as_ref().map(|(need, _)| need) > mine.as_ref().map(|(need, _)| need) {
                mine.clone_from(theirs);
            }
        }
        if let Some((longest, _)) = &other.longest
            && self.longest.as_ref().is_none_or(|(mine, _)| longest < mine)
        {
            self.longest.clone_from(&other.longest);
        }
    }

    /// Every key that is given, with its value and its line.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, String, &PolicyAt)> {
        let need = |key, given: &'_ Option<(Need, PolicyAt)>| {
            let (need, _) = given.as_ref()?;
            Some((key, need.as_str().to_owned()))
        };
        let longest = self.longest.as_ref();
        [
            need("signature", &self.signature).zip(self.signature.as_ref().map(|(_, at)| at)),
            longest.map(|(longest, at)| (("max_certificate_lifetime", shown(*longest)), at)),
            need("push_certificate", &self.push_certificate)
                .zip(self.push_certificate.as_ref().map(|(_, at)| at)),
        ]
        .into_iter()
        .flatten()
        .map(|((key, value), at)| (key, value, at))
    }
}

/// `90s`, `15m`, `1h`, `2d`: in the largest unit that gives a whole number.
pub fn shown(length: Duration) -> String {
    let seconds = length.as_secs();
    for (unit, name) in [(86400, "d"), (3600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

/// What a boundary says of signatures.
pub(super) fn of_boundary<'t>(
    fields: &Fields<'_, 't>,
    file: &Arc<str>,
    log: &mut Log<'t>,
) -> Signing {
    let at = |node: &Node<'_>, key: &str| PolicyAt {
        file: file.clone(),
        line: node.at.line,
        what: match &node.value {
            Value::Scalar(written) => format!("{key}: {written}").into(),
            _ => key.into(),
        },
    };
    let need = |key: &'static str, log: &mut Log<'t>| {
        let node = fields.get(key)?;
        let index = read::choice(node, NEEDS, format_args!("`{key}`"), log)?;
        Some(([Need::Allowed, Need::Required][index], at(node, key)))
    };
    let signing = Signing {
        signature: need("signature", log),
        push_certificate: need("push_certificate", log),
        longest: fields.get("max_certificate_lifetime").and_then(|node| {
            let key = "max_certificate_lifetime";
            Some((lifetime(node, key, log)?, at(node, key)))
        }),
    };
    if signing.longest.is_some()
        && fields.get("signature").is_none()
        && fields.get("push_certificate").is_none()
    {
        log.error(
            fields.key_at("max_certificate_lifetime"),
            "`max_certificate_lifetime` says nothing without `signature` or `push_certificate`",
        )
        .note("`signature: required`: every commit and tag must be signed, with a certificate that holds no longer");
    }
    signing
}

/// Whose signatures count as those of an identity.
pub(super) fn of_identity<'t>(
    fields: &Fields<'_, 't>,
    name: &str,
    authors: &[String],
    traits: &Traits,
    log: &mut Log<'t>,
) -> Vec<String> {
    if let Some(node) = fields.get("signers") {
        let nodes = read::one_or_more(node, "`signers`", log).iter();
        let text = |node| read::text(node, "a signer", log).map(str::to_owned);
        return nodes.filter_map(text).collect();
    }
    let mail = |author: &String| Some(author.strip_suffix('>')?.rsplit_once('<')?.1.to_owned());
    std::iter::once(name.to_owned())
        .chain(authors.iter().filter_map(mail))
        .chain(traits.email.iter().cloned())
        .collect()
}

/// `signers:` of the server's policy. Boundaries that look at signatures need it.
pub(super) fn of_policy<'t>(
    top: &Fields<'_, 't>,
    layers: &[(At, Arc<Layer>)],
    log: &mut Log<'t>,
) -> Option<SignerFiles> {
    let Some(node) = top.get("signers") else {
        for (at, _) in layers.iter().filter(|(_, layer)| layer.signing.asks()) {
            log.error(
                *at,
                "this boundary looks at signatures, but the policy has no `signers`",
            )
            .note("`signers` names the files with the keys that may sign");
        }
        return None;
    };
    files(node, top.key_at("signers"), log)
}

fn files<'t>(node: &Node<'t>, at: At, log: &mut Log<'t>) -> Option<SignerFiles> {
    let fields = read::fields(node, SIGNERS, "`signers`", at, log)?;
    let path = |key: &'static str, log: &mut Log<'t>| {
        let node = fields.get(key)?;
        let written = read::text(node, format_args!("`{key}`"), log)?;
        let path = PathBuf::from(written);
        let climbs = |part| matches!(part, std::path::Component::ParentDir);
        if !path.is_absolute() || path.components().any(climbs) {
            log.error(
                node.at,
                format!("`{}` is not an absolute path", quoted(written)),
            )
            .note("a hook runs in the folder of whichever repository was pushed to");
            return None;
        }
        if log.examined().is_some()
            && let Err(error) = std::fs::metadata(&path)
        {
            log.warn(
                node.at,
                format!("the keys `{}` cannot be read: {error}", quoted(written)),
            )
            .note("on the server that has this policy every push that is asked for signatures would be refused");
        }
        Some(path)
    };
    let files = SignerFiles {
        ssh: path("ssh", log),
        openpgp: path("openpgp", log),
        revoked: path("revoked", log),
        nonce_slop: fields
            .get("nonce_slop")
            .and_then(|node| lifetime(node, "nonce_slop", log))
            .unwrap_or_default(),
    };
    if fields.get("ssh").is_none() && fields.get("openpgp").is_none() {
        log.error(at, "`signers` names no keys").note(
            "give `ssh`, a file of allowed signers, or `openpgp`, a file of public keys, or both",
        );
    }
    Some(files)
}

/// A length of time from a second to a year.
fn lifetime(node: &Node<'_>, key: &str, log: &mut Log<'_>) -> Option<Duration> {
    let written = read::text(node, format_args!("`{key}`"), log)?;
    let split = written
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(written.len());
    let unit = match written[split..].trim() {
        "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86400),
        _ => None,
    };
    let length = written[..split]
        .parse()
        .ok()
        .zip(unit)
        .and_then(|(number, unit): (u64, u64)| number.checked_mul(unit))
        .filter(|seconds| (1..=366 * 86400).contains(seconds))
        .map(Duration::from_secs);
    if length.is_none() {
        log.error(
            node.at,
            format!(
                "`{key}` must be a length of time, not `{}`",
                quoted(written)
            ),
        )
        .note("a length of time: 90s, 15m, 1h, 2d; at most a year");
    }
    length
}

#[cfg(test)]
mod tests {
    use super::super::boundary::Boundary;
    use super::super::tests::policy;
    use super::super::{Home, Known, REPOSITORY_POLICY, RepositoryPolicy};

    /// A repository can ask for more signatures, and for shorter lives, never for less.
    #[test]
    fn signatures_only_narrow() {
        let with = |server: &str, own: &str| {
            let text = format!(
                "version: 1\nsigners: {{ ssh: /x }}\nidentities:\n  bot: {{ kind: agent, match: {{ account: bot }}, boundary: b }}\nboundaries:\n  b: {{ refs: [], {server} }}\n"
            );
            let policy = policy(&text);
            let Home::Everywhere(layer) = &policy.identities[0].home else {
                panic!("one boundary everywhere");
            };
            let mut boundary = Boundary::new(layer.clone(), policy.freezes.clone());
            let own = format!("version: 1\nboundaries: {{ \"*\": {{ {own} }} }}\n");
            let own = RepositoryPolicy::parse(REPOSITORY_POLICY, own.as_bytes(), &Known::ANY);
            boundary.narrow(&own.expect("a valid policy"), true);
            let each = boundary.signing().each();
            each.map(|(key, value, at)| format!("{key} {value} {}", at.file))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (ours, theirs) = ("policy.yaml", REPOSITORY_POLICY);
        for (server, own, expected) in [
            (
                "limits: {}",
                "signature: required",
                format!("signature required {theirs}"),
            ),
            (
                "signature: required",
                "signature: allowed",
                format!("signature required {ours}"),
            ),
            (
                "signature: allowed",
                "signature: required",
                format!("signature required {theirs}"),
            ),
            (
                "signature: required, max_certificate_lifetime: 1h",
                "signature: allowed, max_certificate_lifetime: 30m",
                format!("signature required {ours}, max_certificate_lifetime 30m {theirs}"),
            ),
            (
                "signature: required, max_certificate_lifetime: 15m",
                "push_certificate: required, max_certificate_lifetime: 1d",
                format!(
                    "signature required {ours}, max_certificate_lifetime 15m {ours}, push_certificate required {theirs}"
                ),
            ),
            ("limits: {}", "limits: {}", String::new()),
        ] {
            assert_eq!(with(server, own), expected, "{server} / {own}");
        }
    }
}
