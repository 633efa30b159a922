//! The policy as typed and validated values. Text becomes [`Policy`] only by [`Policy::parse`]; nobody else sees raw YAML.

mod boundaries;
mod boundary;
mod describe;
mod diagnostic;
mod explain;
mod file;
mod fold;
mod freeze;
mod keys;
mod limits;
mod lookalike;
mod pattern;
mod presets;
mod questions;
mod read;
mod repository;
mod schema;
mod sections;
mod signing;
mod suppressions;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

pub use boundary::{Answer, Boundary, Layer};
pub use describe::{
    AllowView, BoundaryView, CheckView, GuardView, LayerView, LimitView, SigningView, place,
};
pub use diagnostic::{Diagnostic, PolicyError, Warnings};
pub use explain::{Reason, path_op, path_op_name, ref_op, ref_op_name};
pub use freeze::{Freeze, FreezeView};
pub use limits::{Limit, Limits};
pub use lookalike::{form as spelled_form, reads_alike, spelled_by_mixed_scripts};
pub use pattern::{Pattern, PatternError};
pub use presets::{Glob, Preset, presets};
pub use repository::RepositoryPolicy;
pub use schema::{reference, schema};
pub use signing::{Need, SignerFiles, Signing, shown as shown_lifetime};
pub use suppressions::{InForce, Suppression, SuppressionView};

use crate::budget::Bounds;
use crate::finding::{PathOp, RefOp};
use crate::push::{HostKind, RefName};
use crate::yaml;
use diagnostic::{At, Log, quoted};
use file::{check_version, checked_text, failed, read_file};

/// Largest policy that is read, in bytes.
pub const POLICY_MAX_BYTES: usize = 1 << 20;

/// The file in a repository that narrows the server's policy.
pub const REPOSITORY_POLICY: &str = ".ringfence.yaml";

/// Judge and refuse, or judge and only tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refusals refuse.
    Enforce,
    /// Everything is judged, recorded and told, and accepted.
    Observe,
}

/// Kind of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An autonomous agent.
    Agent,
    /// A person.
    Human,
    /// A machine account that is not an agent.
    Service,
}

impl Kind {
    /// The word in the policy.
    pub fn as_str(self) -> &'static str {
        keys::KINDS[self as usize]
    }
}

/// `host:` of the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `None`: found from the environment.
    pub kind: Option<HostKind>,
    /// The variable that names the account, pinned. Missing or empty: refused.
    pub account_env: Option<String>,
    /// Whether the forge's own bookkeeping pushes are judged like any other (default: recorded).
    pub judge_bookkeeping: bool,
    /// Folder that repository names are relative to, on hosts that do not tell the name.
    pub root: Option<PathBuf>,
}

/// The names that `checks:` may use. The checks live on a higher floor, so their names come from there.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Names of checks.
    pub checks: &'a [&'a str],
    /// Whether this is the id of a rule.
    pub rule: &'a dyn Fn(&str) -> bool,
    /// Whether the level of this rule cannot be changed.
    pub fixed: &'a dyn Fn(&str) -> bool,
    /// There are rule packs of the server's own, so any `secret/…` may be the id of a rule.
    pub packs: bool,
}

impl Known<'_> {
    /// Takes every name; for tools that look at something else.
    pub const ANY: Known<'static> = Known {
        checks: &[],
        rule: &|_| true,
        fixed: &|_| false,
        packs: false,
    };

    fn has(&self, name: &str) -> bool {
        self.checks.contains(&name) || self.has_rule(name)
    }

    fn has_rule(&self, name: &str) -> bool {
        (self.rule)(name) || self.is_of_pack(name)
    }

    /// Not one of ours, but it may be one of a rule pack.
    fn is_of_pack(&self, name: &str) -> bool {
        let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let shaped = |rest: &str| !rest.is_empty() && rest.len() <= 100 && rest.bytes().all(kebab);
        self.packs && !(self.rule)(name) && name.strip_prefix("secret/").is_some_and(shaped)
    }
}

/// A validated policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Name of the file without its folder, as shown to pushers.
    pub file: Arc<str>,
    /// SHA-256 of the text, hex.
    pub digest: String,
    /// Mode of the whole policy.
    pub mode: Mode,
    /// `host:`.
    pub host: HostConfig,
    /// `trusted_refs:`; `None`: the branch that HEAD names.
    pub trusted_refs: Option<Vec<Pattern>>,
    /// `ledger:`.
    pub ledger: Option<PathBuf>,
    /// `budget:`.
    pub bounds: Bounds,
    /// `rules:`: files and folders with secret rules of the server's own, absolute.
    pub rule_packs: Vec<PathBuf>,
    /// `signers:`: files with the keys that may sign.
    pub signers: Option<SignerFiles>,
    suppressions: Vec<Suppression>,
    identities: Vec<Identity>,
    unknown: Option<Arc<Layer>>,
    assisted: Option<Arc<Layer>>,
    freezes: Arc<[Freeze]>,
    /// Some boundary lets refs be deleted that it does not let be forced.
    pub remakes_count: bool,
    /// Some boundary needs what the ledger knows of owners and counts.
    pub asks_the_record: bool,
    boundaries: usize,
    tests: Vec<TestCase>,
}

/// One of `identities:`.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) kind: Kind,
    pub(crate) traits: Traits,
    match_at: At,
    pub(crate) owner: Option<String>,
    pub(crate) home: Home,
    pub(crate) authors: Vec<String>,
    authors_at: At,
    pub(crate) signers: Vec<String>,
    pub(crate) from: Option<jiff::Timestamp>,
    pub(crate) until: Option<jiff::Timestamp>,
    valid_at: At,
    pub(crate) mode: Option<Mode>,
    pub(crate) assisted: Option<Arc<Layer>>,
}

impl Identity {
    /// The line of its `authors:`.
    pub(crate) fn authors_line(&self) -> u32 {
        self.authors_at.line
    }

    /// The line of its `valid:`.
    pub(crate) fn valid_line(&self) -> u32 {
        self.valid_at.line
    }
}

/// `match:` of an identity. All lists that are not empty must hold; any value of a list will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Traits {
    pub(crate) account: Vec<String>,
    pub(crate) account_id: Vec<String>,
    pub(crate) email: Vec<String>,
    pub(crate) deploy_key: Vec<String>,
    pub(crate) ssh_key: Vec<String>,
    pub(crate) ssh_principal: Vec<String>,
}

impl Traits {
    fn is_empty(&self) -> bool {
        *self == Traits::default()
    }
}

/// Where an identity is at home.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// One boundary in every repository.
    Everywhere(Arc<Layer>),
    /// `repositories:`, in the order of the text, with lines.
    Listed(Vec<(Pattern, Arc<Layer>, u32)>),
}

/// What a test expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Allowed.
    Accept,
    /// Needs an approval.
    Hold,
    /// Refused.
    Reject,
}

impl Expect {
    /// The word in the policy.
    pub fn as_str(self) -> &'static str {
        keys::VERDICTS[self as usize]
    }
}

/// One of `tests:`.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// The identity that pushes.
    pub identity: String,
    /// The ref.
    pub name: RefName,
    /// What happens to it; `None`: created or updated, whichever is allowed.
    pub op: Option<RefOp>,
    /// The repository, for identities with `repositories:`.
    pub repository: Option<String>,
    /// Path changes.
    pub changes: Vec<(PathOp, String)>,
    /// What the answer must be.
    pub expect: Expect,
    /// Its line.
    pub line: u32,
}

/// No policy where one is looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no policy found; looked at {}", .places.join(", "))]
pub struct NotFound {
    /// The places, in order.
    pub places: Vec<String>,
}

impl Policy {
    /// Where the policy of a run is: `explicit`, else `$RINGFENCE_POLICY`, else in the git folder, else in `/etc`.
    ///
    /// A place that is named must be there: only the last two are tried in turn.
    pub fn find(
        explicit: Option<&Path>,
        vars: &dyn Fn(&str) -> Option<OsString>,
        git_dir: Option<&Path>,
    ) -> Result<PathBuf, NotFound> {
        let named = explicit.map(Path::to_path_buf).or_else(|| {
            vars("RINGFENCE_POLICY")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        });
        if let Some(path) = named {
            return if path.exists() {
                Ok(path)
            } else {
                Err(NotFound {
                    places: vec![path.display().to_string()],
                })
            };
        }
        let own = git_dir.map(|folder| folder.join("ringfence/policy.yaml"));
        let places: Vec<PathBuf> = own
            .into_iter()
            .chain([PathBuf::from("/etc/ringfence/policy.yaml")])
            .collect();
        // `symlink_metadata`: a dangling link is a broken policy, not a missing one.
        if let Some(found) = places.iter().find(|path| path.symlink_metadata().is_ok()) {
            return Ok(found.clone());
        }
        Err(NotFound {
            places: places
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        })
    }

    /// Reads a regular file of at most [`POLICY_MAX_BYTES`].
    pub fn load(path: &Path, known: &Known<'_>) -> Result<Policy, PolicyError> {
        let (name, text) = read_file(path)?;
        Policy::parse(&name, &text, known)
    }

    /// [`Policy::load`], and what is allowed but cannot be meant.
    pub fn load_examined(
        path: &Path,
        known: &Known<'_>,
        now: jiff::Timestamp,
    ) -> Result<(Policy, Warnings), PolicyError> {
        let (name, text) = read_file(path)?;
        Policy::examine(&name, &text, known, now)
    }

    /// Turns text into a policy, or says every mistake in it.
    pub fn parse(name: &str, text: &[u8], known: &Known<'_>) -> Result<Policy, PolicyError> {
        Policy::read(name, text, known, None).map(|(policy, _)| policy)
    }

    /// [`Policy::parse`], and what is allowed but cannot be meant.
    pub fn examine(
        name: &str,
        text: &[u8],
        known: &Known<'_>,
        now: jiff::Timestamp,
    ) -> Result<(Policy, Warnings), PolicyError> {
        Policy::read(name, text, known, Some(now))
    }

    fn read(
        name: &str,
        text: &[u8],
        known: &Known<'_>,
        examined: Option<jiff::Timestamp>,
    ) -> Result<(Policy, Warnings), PolicyError> {
        let file: Arc<str> = name.into();
        let source = checked_text(&file, text)?;
        let mut log = Log::new(source, examined);
        match build(&file, source, known, &mut log) {
            Some(policy) => log.finish(&file).map(|warnings| (policy, warnings)),
            None => Err(failed(log, &file)),
        }
    }

    /// Names of the identities, in the order of the text.
    pub fn identity_names(&self) -> impl Iterator<Item = &str> {
        self.identities
            .iter()
            .map(|identity| identity.name.as_str())
    }

    /// `tests:`.
    pub fn tests(&self) -> &[TestCase] {
        &self.tests
    }

    /// How many boundaries it defines.
    pub fn boundary_count(&self) -> usize {
        self.boundaries
    }

    /// `valid:` of an identity: from, until. `None` where there is no such identity, or it is always valid.
    pub fn validity(
        &self,
        name: &str,
    ) -> Option<(Option<jiff::Timestamp>, Option<jiff::Timestamp>)> {
        let identity = self
            .identities
            .iter()
            .find(|identity| identity.name == name)?;
        (identity.from.is_some() || identity.until.is_some())
            .then_some((identity.from, identity.until))
    }

    /// Whether some identity may change this ref only when it created it.
    pub fn narrows_to_owner(&self, name: &[u8]) -> bool {
        let narrows = |layer: &Arc<Layer>| layer.narrows_to_owner(name);
        self.identities.iter().any(|identity| match &identity.home {
            Home::Everywhere(layer) => narrows(layer),
            Home::Listed(listed) => listed.iter().any(|(_, layer, _)| narrows(layer)),
        })
    }

    pub(crate) fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The boundary of pushers that match no identity; `None`: they are refused.
    pub(crate) fn unknown(&self) -> Option<Boundary> {
        let layer = self.unknown.clone()?;
        Some(Boundary::new(layer, self.freezes.clone()))
    }

    /// `claims:`: what narrows the push of a person that carries work of an agent.
    pub(crate) fn assisted(&self) -> Option<&Arc<Layer>> {
        self.assisted.as_ref()
    }

    /// The identity, other than `own`, that commits by this mail address.
    pub fn whose_mail(&self, mail: &[u8], own: Option<&str>) -> Option<&str> {
        let is_it = |known: &str| known.as_bytes().eq_ignore_ascii_case(mail);
        let of_author = |author: &String| {
            let mail = author.rsplit_once('<').map_or("", |(_, mail)| mail);
            is_it(mail.trim_end_matches('>'))
        };
        let has = |identity: &&Identity| {
            identity.authors.iter().any(of_author)
                || identity.traits.email.iter().any(|mail| is_it(mail))
        };
        let mut owners = self.identities.iter().filter(has).peekable();
        // An address that is its own too is nobody else's.
        let first = owners.peek()?.name.as_str();
        let is_own = owners.any(|identity| Some(identity.name.as_str()) == own);
        (!is_own && !mail.is_empty()).then_some(first)
    }

    /// `freeze:` at the top: it holds for everybody.
    pub(crate) fn freezes(&self) -> &Arc<[Freeze]> {
        &self.freezes
    }
}

fn build<'t>(
    file: &Arc<str>,
    text: &'t str,
    known: &Known<'_>,
    log: &mut Log<'t>,
) -> Option<Policy> {
    let tree = read::tree(text, log)?;
    check_version(&tree, log)?;
    let top = read::fields(&tree, keys::POLICY, "the policy", tree.at, log)?;
    let known = &Known {
        packs: known.packs || top.get("rules").is_some(),
        ..*known
    };
    let layers = top
        .get("boundaries")
        .map(|node| boundaries::Reader { file, known, log }.boundaries(node))
        .unwrap_or_default();
    if let Some((at, _)) = layers.iter().find(|(_, layer)| layer.name == "*") {
        log.error(*at, "`*` is no name of a boundary here")
            .note("it is one in a repository's own policy alone");
    }
    let mut names = sections::Boundaries::new(&layers);
    let identities = top
        .get("identities")
        .map(|node| sections::identities(node, &mut names, log))
        .unwrap_or_default();
    let unknown = match top.get("unknown") {
        Some(node) if node.value == yaml::Value::Scalar("deny".into()) => None,
        Some(node) => names.find(node, log),
        None => None,
    };
    let assisted = top
        .get("claims")
        .and_then(|node| sections::claims(node, top.key_at("claims"), &mut names, log));
    for ((at, layer), used) in names.defined.iter().zip(&names.used) {
        if !used && log.examined().is_some() {
            log.warn(
                *at,
                format!("nothing uses boundary `{}`", quoted(&layer.name)),
            );
        }
    }
    let trusted_refs = top.get("trusted_refs").map(|node| {
        read::one_or_more(node, "`trusted_refs`", log)
            .iter()
            .filter_map(|node| boundaries::ref_pattern(node, log))
            .collect()
    });
    let signers = signing::of_policy(&top, &layers, log);
    let suppressions = top
        .get("suppressions")
        .map(|node| suppressions::read(node, &identities, &layers, known, log))
        .unwrap_or_default();
    let tests = match top.get("tests") {
        Some(node) => questions::tests(node, &identities, log),
        None => {
            if log.examined().is_some() {
                log.warn(At::default(), "the policy has no `tests`")
                    .note("a test says what the policy must answer; `ringfence policy test` asks");
            }
            Vec::new()
        }
    };
    Some(Policy {
        file: file.clone(),
        digest: data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())),
        mode: top
            .get("mode")
            .and_then(|node| sections::mode(node, log))
            .unwrap_or(Mode::Enforce),
        host: sections::host(top.get("host"), top.key_at("host"), log),
        trusted_refs,
        ledger: top
            .get("ledger")
            .and_then(|node| read::text(node, "`ledger`", log))
            .map(PathBuf::from),
        bounds: sections::budget(top.get("budget"), top.key_at("budget"), log),
        rule_packs: top
            .get("rules")
            .map(|node| sections::rule_packs(node, log))
            .unwrap_or_default(),
        signers,
        suppressions,
        freezes: top
            .get("freeze")
            .map(|node| freeze::read(file, node, log))
            .unwrap_or_default()
            .into(),
        remakes_count: layers
            .iter()
            .any(|(_, layer)| layer.deletes_without_force()),
        asks_the_record: layers.iter().any(|(_, layer)| layer.asks_the_record()),
        boundaries: layers.len(),
        identities,
        unknown,
        assisted,
        tests,
    })
}

/// Whether the path is the repository's own policy, in any spelling that a file system takes for it, or lies in a
/// folder of that name: a policy that is a folder cannot be used, and would refuse every agent.
pub fn is_policy_path(path: &[u8]) -> bool {
    // What folding takes for nothing, as in `./`, may stand before the name.
    let folded = fold::path(path);
    let end = memchr::memchr(b'/', &folded.bytes).unwrap_or(folded.bytes.len());
    let first = fold::Folded {
        bytes: folded.bytes[..end].into(),
        ..folded
    };
    pattern::folded_glob_matches(REPOSITORY_POLICY.as_bytes(), &first)
}

/// Whether some file system takes the path for `literal`, a path in lower-case ASCII.
pub fn is_spelling_of(path: &[u8], literal: &str) -> bool {
    pattern::folded_glob_matches(literal.as_bytes(), &fold::path(path))
}

/// The form of a name that common file systems compare: two names of one folder with the same form are
/// one file there.
pub fn folded(name: &[u8]) -> Vec<u8> {
    fold::path(name).bytes.into_owned()
}
