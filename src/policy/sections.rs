//! The sections of a server policy beside its boundaries.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::boundary::Layer;
use super::diagnostic::{At, Log, quoted};
use super::keys::{self, BUDGET, CLAIMS, HOST, IDENTITY, MATCH, VALID};
use super::pattern::Pattern;
use super::read::{self, Fields};
use super::signing;
use super::{Home, HostConfig, Identity, Kind, Mode, Traits};
use crate::budget::Bounds;
use crate::order::Order as _;
use crate::push::HostKind;
use crate::yaml::{Node, Value};

/// Names go into messages, the record and the command line.
pub(super) fn check_name(name: &str, at: At, what: &str, log: &mut Log<'_>) {
    let plain = |c: char| c.is_alphanumeric() || "-_.+@/".contains(c);
    if name.is_empty() {
        log.error(at, format!("{what} has an empty name"));
    } else if name != "*" && (name.len() > 100 || !name.chars().all(plain)) {
        log.error(at, format!("{what} `{}` is not a plain name", quoted(name)))
            .note("letters, digits and - _ . + @ /, at most 100 bytes");
    }
}

pub(super) fn mode(node: &Node<'_>, log: &mut Log<'_>) -> Option<Mode> {
    let index = read::choice(node, keys::MODES, "`mode`", log)?;
    Some([Mode::Enforce, Mode::Observe][index])
}

/// Whether the value of an environment variable comes with the push: git, sshd and web servers hand it on as it was sent.
fn is_of_the_pusher(variable: &str) -> bool {
    let starts = |start: &&str| variable.starts_with(start);
    ["GIT_PUSH_", "LC_"].iter().any(starts)
        || [
            "GIT_PROTOCOL",
            "LANG",
            "LANGUAGE",
            "SSH_ORIGINAL_COMMAND",
            "PATH_INFO",
            "QUERY_STRING",
        ]
        .contains(&variable)
}

pub(super) fn host<'t>(node: Option<&Node<'t>>, at: At, log: &mut Log<'t>) -> HostConfig {
    let mut host = HostConfig::default();
    let Some(fields) = node.and_then(|node| read::fields(node, HOST, "`host`", at, log)) else {
        return host;
    };
    if let Some(node) = fields.get("kind") {
        host.kind = read::choice(node, keys::HOSTS, "`kind`", log).and_then(|index| {
            [
                None,
                Some(HostKind::Plain),
                Some(HostKind::Gitea),
                Some(HostKind::Gitlab),
                Some(HostKind::Gitolite),
                Some(HostKind::Http),
            ][index]
        });
    }
    if let Some(node) = fields.get("account_env")
        && let Some(name) = read::text(node, "`account_env`", log)
    {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if is_of_the_pusher(name) {
            log.error(
                node.at,
                format!("`{}` is filled in by whoever pushes", quoted(name)),
            )
            .note("take a variable that the server sets after it has authenticated somebody");
        } else if name.chars().all(valid) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            if name.starts_with("HTTP_") {
                log.warn(
                    node.at,
                    format!("`{}` is a header of the request", quoted(name)),
                )
                .note("whoever pushes can send it, unless the web server always sets it itself");
            }
            host.account_env = Some(name.to_owned());
        } else {
            log.error(
                node.at,
                format!(
                    "`{}` is not the name of an environment variable",
                    quoted(name)
                ),
            );
        }
    }
    if let Some(node) = fields.get("bookkeeping") {
        host.judge_bookkeeping =
            read::choice(node, keys::BOOKKEEPING, "`bookkeeping`", log) == Some(1);
    }
    if let Some(node) = fields.get("root") {
        host.root = read::text(node, "`root`", log).map(PathBuf::from);
    }
    host
}

pub(super) fn budget<'t>(node: Option<&Node<'t>>, at: At, log: &mut Log<'t>) -> Bounds {
    let mut bounds = Bounds::default();
    let Some(fields) = node.and_then(|node| read::fields(node, BUDGET, "`budget`", at, log)) else {
        return bounds;
    };
    if let Some(node) = fields.get("time") {
        bounds.time = read::duration(node, "`time`", log).unwrap_or(Duration::ZERO);
    }
    for (name, slot) in [
        ("refs", &mut bounds.refs),
        ("commits", &mut bounds.commits),
        ("changes", &mut bounds.changes),
        ("tree_depth", &mut bounds.tree_depth),
        ("bytes", &mut bounds.bytes),
        ("blob_bytes", &mut bounds.blob_bytes),
        ("object_bytes", &mut bounds.object_bytes),
    ] {
        let Some(node) = fields.get(name) else {
            continue;
        };
        let what = format_args!("`{name}`");
        let value = match name.ends_with("bytes") {
            true => read::size(node, what, log),
            false => read::count(node, what, log),
        };
        match value {
            Some(0) => {
                log.error(node.at, format!("{what} is 0: every push would be refused"));
            }
            Some(value) => *slot = value,
            None => {}
        }
    }
    bounds
}

/// The names that a policy defines, and which of them something uses.
pub(super) struct Boundaries<'a> {
    pub(super) defined: &'a [(At, Arc<Layer>)],
    by_name: HashMap<&'a str, usize>,
    pub(super) used: Vec<bool>,
}

impl<'a> Boundaries<'a> {
    pub(super) fn new(defined: &'a [(At, Arc<Layer>)]) -> Self {
        Boundaries {
            defined,
            by_name: defined
                .iter()
                .enumerate()
                .map(|(index, (_, layer))| (layer.name.as_str(), index))
                .collect(),
            used: vec![false; defined.len()],
        }
    }

    /// The boundary that a value names.
    pub(super) fn find(&mut self, node: &Node<'_>, log: &mut Log<'_>) -> Option<Arc<Layer>> {
        let name = read::text(node, "a boundary's name", log)?;
        match self.by_name.get(name) {
            Some(&index) => {
                self.used[index] = true;
                Some(self.defined[index].1.clone())
            }
            None => {
                log.error(
                    node.at,
                    format!("boundary `{}` is not defined", quoted(name)),
                )
                .suggest(
                    name,
                    self.by_name
                        .keys()
                        .copied()
                        .collect::<std::collections::BTreeSet<_>>(),
                );
                None
            }
        }
    }
}

pub(super) fn identities<'t>(
    node: &Node<'t>,
    boundaries: &mut Boundaries<'_>,
    log: &mut Log<'t>,
) -> Vec<Identity> {
    let Value::Map(entries) = &node.value else {
        log.error(
            node.at,
            format!(
                "`identities` must be a map of names, not {}",
                node.value.kind()
            ),
        );
        return Vec::new();
    };
    let mut identities: Vec<Identity> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if log.is_full() {
            break;
        }
        check_name(&key.name, key.at, "identity", log);
        if let Some(identity) = identity(&key.name, key.at, value, boundaries, log) {
            identities.push(identity);
        }
    }
    let mut seen: HashMap<&Traits, &Identity> = HashMap::with_capacity(identities.len());
    for identity in &identities {
        if identity.traits.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert(&identity.traits, identity) {
            log.error(
                identity.match_at,
                format!(
                    "identities `{}` and `{}` match the same pusher",
                    quoted(&first.name),
                    quoted(&identity.name)
                ),
            )
            .note(format!(
                "`{}` is on line {}",
                quoted(&first.name),
                first.line
            ));
        }
    }
    identities
}

fn identity<'t>(
    name: &str,
    at: At,
    node: &Node<'t>,
    boundaries: &mut Boundaries<'_>,
    log: &mut Log<'t>,
) -> Option<Identity> {
    let what = format_args!("identity `{}`", quoted(name));
    let fields = read::fields(node, IDENTITY, what, at, log)?;
    let kind = fields
        .get("kind")
        .and_then(|node| read::choice(node, keys::KINDS, "`kind`", log))
        .map_or(Kind::Agent, |index| {
            [Kind::Agent, Kind::Human, Kind::Service][index]
        });
    let traits = fields
        .get("match")
        .map(|node| traits(node, fields.key_at("match"), log))
        .unwrap_or_default();
    let of_account = [&traits.account, &traits.account_id, &traits.email];
    if !traits.deploy_key.is_empty() && of_account.iter().any(|wanted| !wanted.is_empty()) {
        log.warn(
            fields.key_at("match"),
            "no pusher matches this: a deploy key comes without an account",
        )
        .note("an identity for the key, and another one for the account");
    }
    let owner = fields
        .get("owner")
        .and_then(|node| read::text(node, "`owner`", log))
        .map(str::to_owned);
    let home = home(&fields, what, boundaries, log);
    let (from, until) = valid(&fields, log);
    let mut authors = Vec::new();
    if let Some(node) = fields.get("authors") {
        for node in read::one_or_more(node, "`authors`", log) {
            let Some(author) = read::text(node, "an author", log) else {
                continue;
            };
            let shaped = author
                .strip_suffix('>')
                .and_then(|rest| rest.split_once('<'))
                .is_some_and(|(_, mail)| !mail.is_empty() && !mail.contains(['<', '>']));
            if shaped {
                authors.push(author.to_owned());
            } else {
                log.error(
                    node.at,
                    format!("`{}` is not a commit identity", quoted(author)),
                )
                .note("a commit identity: \"Name <mail@example.com>\"");
            }
        }
    }
    let signers = signing::of_identity(&fields, name, &authors, &traits, log);
    Some(Identity {
        name: name.to_owned(),
        line: at.line,
        kind,
        traits,
        match_at: fields.key_at("match"),
        owner,
        home,
        authors,
        authors_at: fields.key_at("authors"),
        signers,
        from,
        until,
        valid_at: fields.key_at("valid"),
        mode: fields.get("mode").and_then(|node| mode(node, log)),
        assisted: own_claims(&fields, kind, boundaries, log),
    })
}

/// `claims:`
pub(super) fn claims<'t>(
    node: &Node<'t>,
    at: At,
    boundaries: &mut Boundaries<'_>,
    log: &mut Log<'t>,
) -> Option<Arc<Layer>> {
    let fields = read::fields(node, CLAIMS, "`claims`", at, log)?;
    boundaries.find(fields.get("boundary")?, log)
}

fn own_claims<'t>(
    fields: &Fields<'_, 't>,
    kind: Kind,
    boundaries: &mut Boundaries<'_>,
    log: &mut Log<'t>,
) -> Option<Arc<Layer>> {
    let node = fields.get("claims")?;
    let at = fields.key_at("claims");
    if kind != Kind::Human {
        log.error(
            at,
            "`claims` is for people: an agent's boundary holds already",
        )
        .note("`kind: human`");
    }
    claims(node, at, boundaries, log)
}

fn home<'t>(
    fields: &Fields<'_, 't>,
    what: fmt::Arguments<'_>,
    boundaries: &mut Boundaries<'_>,
    log: &mut Log<'t>,
) -> Home {
    match (fields.get("boundary"), fields.get("repositories")) {
        (Some(_), Some(_)) => {
            log.error(
                fields.key_at("repositories"),
                format!("{what} has both `boundary` and `repositories`"),
            )
            .note("`boundary` holds in every repository; `repositories` names one for each and refuses the others");
        }
        (None, None) if fields.is_mistyped("boundary") || fields.is_mistyped("repositories") => {}
        (None, None) => {
            log.error(
                fields.at,
                format!("{what} has neither `boundary` nor `repositories`"),
            );
        }
        (Some(node), None) => {
            if let Some(layer) = boundaries.find(node, log) {
                return Home::Everywhere(layer);
            }
        }
        (None, Some(node)) => {
            let Value::Map(entries) = &node.value else {
                log.error(
                    node.at,
                    format!(
                        "`repositories` must be a map from names to boundaries, not {}",
                        node.value.kind()
                    ),
                );
                return Home::Listed(Vec::new());
            };
            let mut listed = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let pattern = match Pattern::new(&key.name) {
                    Ok(pattern) => Some(pattern),
                    Err(error) => {
                        log.error(
                            key.at,
                            format!(
                                "the pattern `{}` is not valid: {}",
                                quoted(&key.name),
                                error.what
                            ),
                        );
                        None
                    }
                };
                if !key.name.contains('/') && log.examined().is_some() {
                    log.warn(
                        key.at,
                        format!(
                            "`{}` matches only repositories without an owner",
                            quoted(&key.name)
                        ),
                    )
                    .note("on a forge a repository is `owner/name`");
                }
                let layer = boundaries.find(value, log);
                listed.extend(
                    pattern
                        .zip(layer)
                        .map(|(pattern, layer)| (pattern, layer, key.at.line)),
                );
            }
            return Home::Listed(listed);
        }
    }
    Home::Listed(Vec::new())
}

fn traits<'t>(node: &Node<'t>, at: At, log: &mut Log<'t>) -> Traits {
    let mut traits = Traits::default();
    let Some(fields) = read::fields(node, MATCH, "`match`", at, log) else {
        return traits;
    };
    let Traits {
        account,
        account_id,
        email,
        deploy_key,
        ssh_key,
        ssh_principal,
    } = &mut traits;
    for (name, slot) in [
        ("account", account),
        ("account_id", account_id),
        ("email", email),
        ("deploy_key", deploy_key),
        ("ssh_key", ssh_key),
        ("ssh_principal", ssh_principal),
    ] {
        let Some(node) = fields.get(name) else {
            continue;
        };
        for node in read::one_or_more(node, format_args!("`{name}`"), log) {
            let Some(value) = read::text(node, format_args!("`{name}`"), log) else {
                continue;
            };
            if name == "ssh_key" && !value.starts_with("SHA256:") {
                log.error(
                    node.at,
                    format!("`{}` is not the fingerprint of an ssh key", quoted(value)),
                )
                .note("a fingerprint: SHA256: and 43 characters, as `ssh-keygen -lf` shows it");
            }
            slot.push(value.to_owned());
        }
        slot.order();
        slot.dedup();
    }
    if traits.is_empty() {
        log.error(at, "an empty `match` would match every pusher")
            .note(format!("valid here: {}", read::names(MATCH).join(", ")));
    }
    traits
}

/// `rules:`. Whether the packs are there is asked by whoever examines the policy, never on a push: a pack that cannot
/// be used refuses the push when it is loaded.
pub(super) fn rule_packs<'t>(node: &Node<'t>, log: &mut Log<'t>) -> Vec<PathBuf> {
    let mut packs: Vec<PathBuf> = Vec::new();
    for node in read::one_or_more(node, "`rules`", log) {
        let Some(written) = read::text(node, "`rules`", log) else {
            continue;
        };
        let path = PathBuf::from(written);
        let climbs = |part| matches!(part, std::path::Component::ParentDir);
        if !path.is_absolute() || path.components().any(climbs) {
            log.error(
                node.at,
                format!("`{}` is not an absolute path", quoted(written)),
            )
            .note("a hook runs in the folder of whichever repository was pushed to");
        } else if packs.contains(&path) {
            log.error(node.at, format!("`{}` is here twice", quoted(written)));
        } else {
            if log.examined().is_some()
                && let Err(error) = std::fs::metadata(&path)
            {
                log.warn(
                    node.at,
                    format!("the rules `{}` cannot be read: {error}", quoted(written)),
                )
                .note("on the server that has this policy every push would be refused");
            }
            packs.push(path);
        }
    }
    packs
}

type Moments = (Option<jiff::Timestamp>, Option<jiff::Timestamp>);

fn valid<'t>(fields: &Fields<'_, 't>, log: &mut Log<'t>) -> Moments {
    let Some(node) = fields.get("valid") else {
        return (None, None);
    };
    let Some(entries) = read::fields(node, VALID, "`valid`", fields.key_at("valid"), log) else {
        return (None, None);
    };
    let mut moment = |name: &str| {
        entries
            .get(name)
            .and_then(|node| read::moment(node, format_args!("`{name}`"), log))
    };
    let (from, until) = (moment("from"), moment("until"));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        log.error(
            fields.key_at("valid"),
            "`valid` never holds: `from` is not before `until`",
        );
    }
    if let (Some(now), Some(until)) = (log.examined(), until)
        && until <= now
    {
        log.warn(
            fields.key_at("valid"),
            format!("this identity's time was over at {until}"),
        )
        .note("every push of it is refused");
    }
    (from, until)
}
