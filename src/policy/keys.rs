//! Every key of the policy, with its meaning: one table for the reader, the schema and the docs.

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) doc: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub(super) enum Shape {
    /// The number 1.
    Version,
    /// Text.
    Text,
    /// Text or a number, or a list of these.
    Words,
    /// A list of texts.
    Texts,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of these words.
    Choices(&'static [&'static str]),
    /// A whole number.
    Count,
    /// A number of bytes: `512KiB`.
    Size,
    /// `4s`, `500ms`.
    Duration,
    /// `1h`, `15m`.
    Lifetime,
    /// `2026-11-01T00:00:00Z`.
    Time,
    /// A glob, or a list of globs. With `presets`, `@name` too.
    Patterns { presets: bool },
    /// Fingerprints: 12 hex digits, or a list.
    Fingerprints,
    /// A map with these keys.
    Map(&'static [Key]),
    /// A list of maps with these keys.
    Maps(&'static [Key]),
    /// A map from names to maps with these keys.
    Named(&'static [Key]),
    /// A map from globs over repository names to names of boundaries.
    Repositories,
    /// A map from checks or rules to levels.
    Levels,
}

const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        doc,
    }
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: true,
        doc,
    }
}

pub(super) const MODES: &[&str] = &["enforce", "observe"];
pub(super) const KINDS: &[&str] = &["agent", "human", "service"];
pub(super) const HOSTS: &[&str] = &["auto", "plain", "gitea", "gitlab", "gitolite", "http"];
pub(super) const BOOKKEEPING: &[&str] = &["record", "judge"];
pub(super) const REF_OPS: &[&str] = &["create", "update", "force", "delete"];
/// [`REF_OPS`], and what narrows them to refs of one's own.
pub(super) const REF_MAY: &[&str] = &["create", "update", "force", "delete", "own"];
pub(super) const PATH_OPS: &[&str] = &["add", "modify", "delete", "mode", "symlink", "submodule"];
pub(super) const LEVELS: &[&str] = &["off", "warn", "hold", "deny"];
pub(super) const CONFIDENCES: &[&str] = &["certain", "likely", "possible"];
pub(super) const NEEDS: &[&str] = &["allowed", "required"];
pub(super) const VERDICTS: &[&str] = &["accept", "hold", "reject"];

/// The top of a server policy.
pub(super) static POLICY: &[Key] = &[
    required("version", Shape::Version, "Version of the format: `1`."),
    key(
        "mode",
        Shape::Choice(MODES),
        "`enforce` (the default) refuses; `observe` judges, records and tells, and accepts. An identity may have a mode of its own.",
    ),
    key("host", Shape::Map(HOST), "What calls the gate."),
    key(
        "trusted_refs",
        Shape::Patterns { presets: false },
        "Refs whose stored history needs no second judgement. Default: the branch that the repository's HEAD names.",
    ),
    key(
        "unknown",
        Shape::Text,
        "What a pusher gets who matches no identity: `deny` (the default), or the name of a boundary.",
    ),
    key(
        "ledger",
        Shape::Text,
        "File of the record. Default: `<git dir>/ringfence/ledger.jsonl`.",
    ),
    key(
        "budget",
        Shape::Map(BUDGET),
        "Bounds of one judgement. What reaches one is refused as unjudged.",
    ),
    required(
        "identities",
        Shape::Named(IDENTITY),
        "Who may push, by a name of your choice.",
    ),
    required(
        "boundaries",
        Shape::Named(BOUNDARY),
        "What they may do, by a name of your choice.",
    ),
    key(
        "claims",
        Shape::Map(CLAIMS),
        "What a person's push gets that carries work of an agent. A person may have `claims` of its own.",
    ),
    key(
        "freeze",
        Shape::Maps(FREEZE),
        "Times when refs do not move, for everybody.",
    ),
    key(
        "suppressions",
        Shape::Maps(SUPPRESSION),
        "Findings of secrets and hidden text that a person looked at and answers for, each until a day.",
    ),
    key(
        "rules",
        Shape::Texts,
        "Files and folders with secret rules of your own, absolute.",
    ),
    key(
        "signers",
        Shape::Map(SIGNERS),
        "Files with the keys that commits, tags and pushes may be signed with.",
    ),
    key(
        "tests",
        Shape::Maps(TEST),
        "What the policy must answer; `ringfence policy test` asks.",
    ),
];

/// `host:`
pub(super) static HOST: &[Key] = &[
    key(
        "kind",
        Shape::Choice(HOSTS),
        "`auto` (the default) finds it from the environment; any other pins it.",
    ),
    key(
        "account_env",
        Shape::Text,
        "The environment variable that names the account. Missing or empty at run time: the push is refused.",
    ),
    key(
        "bookkeeping",
        Shape::Choice(BOOKKEEPING),
        "The forge's own pushes (Gitea: `refs/pull/N/head`): `record` (the default) judges and records but does not refuse; `judge` refuses too.",
    ),
    key(
        "root",
        Shape::Text,
        "The folder that repository names are relative to, on hosts that do not tell the name.",
    ),
];

/// `signers:`
pub(super) static SIGNERS: &[Key] = &[
    key(
        "ssh",
        Shape::Text,
        "Allowed signers, absolute: the file that `ssh-keygen -Y verify` reads.",
    ),
    key(
        "openpgp",
        Shape::Text,
        "OpenPGP public keys, absolute: what `gpg --export` writes, with or without `--armor`.",
    ),
    key(
        "revoked",
        Shape::Text,
        "Revoked ssh keys, absolute: a KRL, or a list with a key or a `SHA256:` fingerprint a line.",
    ),
    key(
        "nonce_slop",
        Shape::Lifetime,
        "By how much the nonce of a push certificate may be too old, where git itself is in doubt. Default: not at all.",
    ),
];

/// `claims:`
pub(super) static CLAIMS: &[Key] = &[required(
    "boundary",
    Shape::Text,
    "Name of a boundary that holds as well as the person's own, once a new commit names an agent.",
)];

/// `budget:`
pub(super) static BUDGET: &[Key] = &[
    key(
        "time",
        Shape::Duration,
        "Wall time of the whole judgement. Default `4s`.",
    ),
    key(
        "refs",
        Shape::Count,
        "Ref updates in one push. Default 1000.",
    ),
    key(
        "commits",
        Shape::Count,
        "Commits walked, new ones and those read to prove what is known. Default 100000.",
    ),
    key(
        "changes",
        Shape::Count,
        "Path changes of all new commits. Default 50000.",
    ),
    key(
        "bytes",
        Shape::Size,
        "Object content read, after inflation. Default `4GiB`.",
    ),
    key(
        "blob_bytes",
        Shape::Size,
        "Largest blob that is looked into. A larger one is a finding. Default `64MiB`.",
    ),
    key(
        "tree_depth",
        Shape::Count,
        "Levels of folders. Default 512.",
    ),
    key(
        "object_bytes",
        Shape::Size,
        "Largest commit, tag or tree object. Default `16MiB`.",
    ),
];

/// One of `identities:`
pub(super) static IDENTITY: &[Key] = &[
    required(
        "kind",
        Shape::Choice(KINDS),
        "`agent`, `human` or `service`.",
    ),
    required(
        "match",
        Shape::Map(MATCH),
        "What the host must say of the pusher. All given keys must hold.",
    ),
    key(
        "owner",
        Shape::Text,
        "Who answers for it; told and recorded.",
    ),
    key(
        "boundary",
        Shape::Text,
        "Name of the boundary that holds in every repository. Give this or `repositories`.",
    ),
    key(
        "repositories",
        Shape::Repositories,
        "Globs over repository names (`org/docs-*`) with the boundary that holds there. Every other repository is refused.",
    ),
    key(
        "authors",
        Shape::Texts,
        "Commit identities it may use: `Name <mail>`.",
    ),
    key(
        "signers",
        Shape::Texts,
        "Whose signatures count as its own: principals of the allowed signers, mail addresses of OpenPGP keys, or fingerprints of either. Default: its name, and the mail addresses of `authors` and `match`.",
    ),
    key(
        "valid",
        Shape::Map(VALID),
        "When the identity may push. Outside of it every push is refused.",
    ),
    key(
        "mode",
        Shape::Choice(MODES),
        "`enforce` or `observe` for this identity alone.",
    ),
    key(
        "claims",
        Shape::Map(CLAIMS),
        "The same as `claims` of the policy, for this person.",
    ),
];

/// `match:` of an identity.
pub(super) static MATCH: &[Key] = &[
    key("account", Shape::Words, "Account name on the host."),
    key(
        "account_id",
        Shape::Words,
        "The host's number of the account.",
    ),
    key(
        "email",
        Shape::Words,
        "Mail address of the account, on hosts that tell it.",
    ),
    key(
        "deploy_key",
        Shape::Words,
        "The host's number of the deploy key. A deploy key is matched by this alone: its account is the repository's owner.",
    ),
    key(
        "ssh_key",
        Shape::Words,
        "`SHA256:` fingerprint of the ssh key.",
    ),
    key(
        "ssh_principal",
        Shape::Words,
        "A principal of the ssh certificate.",
    ),
];

/// `valid:` of an identity.
pub(super) static VALID: &[Key] = &[
    key(
        "from",
        Shape::Time,
        "First moment, as `2026-11-01T00:00:00Z`.",
    ),
    key(
        "until",
        Shape::Time,
        "First moment when it no longer holds.",
    ),
];

/// One of `boundaries:`
pub(super) static BOUNDARY: &[Key] = &[
    key(
        "refs",
        Shape::Maps(REF_ALLOW),
        "Refs that may be changed, and how. What no entry allows is refused.",
    ),
    key(
        "paths",
        Shape::Maps(PATH_ALLOW),
        "Paths that may be changed, and how. What no entry allows is refused.",
    ),
    key(
        "deny",
        Shape::Maps(GUARD),
        "Paths that are refused whatever allows them, in every spelling that a file system takes for the same.",
    ),
    key(
        "hold",
        Shape::Maps(GUARD),
        "Paths that need an approval by a human.",
    ),
    key(
        "limits",
        Shape::Map(LIMITS),
        "The most that one push may bring, and the most within an hour or a day.",
    ),
    key(
        "freeze",
        Shape::Maps(FREEZE),
        "Times when refs do not move, for whoever has this boundary.",
    ),
    key(
        "signature",
        Shape::Choice(NEEDS),
        "Signatures of new commits and tags: `required`, or `allowed` (what is signed must hold). Without it nobody looks.",
    ),
    key(
        "max_certificate_lifetime",
        Shape::Lifetime,
        "Signatures count only when made with an ssh certificate that holds no longer than this: `1h`.",
    ),
    key(
        "push_certificate",
        Shape::Choice(NEEDS),
        "Signed pushes (`git push --signed`): `required`, or `allowed` (what is signed must hold). Without it nobody looks.",
    ),
    key(
        "checks",
        Shape::Levels,
        "Levels by check (`secrets`) or by rule (`secret/github-pat`): `off`, `warn`, `hold`, `deny`; content rules also by confidence: `{ certain: deny, likely: deny, possible: warn }`.",
    ),
];

/// One of `refs:`
pub(super) static REF_ALLOW: &[Key] = &[
    required(
        "match",
        Shape::Patterns { presets: false },
        "Globs over full ref names: `refs/heads/agents/**`.",
    ),
    required(
        "may",
        Shape::Choices(REF_MAY),
        "`create`, `update` (fast-forward), `force` (any other move; making a ref again that was deleted, without what it held), `delete`. With `own` the operations but `create` hold only for refs that this identity created, by the ledger.",
    ),
];

/// One of `paths:`
pub(super) static PATH_ALLOW: &[Key] = &[
    required(
        "match",
        Shape::Patterns { presets: true },
        "Globs over paths, or `@preset`.",
    ),
    required(
        "may",
        Shape::Choices(PATH_OPS),
        "`add`, `modify`, `delete`, `mode` (the executable bit of a file that is there already; a new file may have it with `add` alone), `symlink`, `submodule`. A rename is a delete and an add.",
    ),
];

/// One of `deny:` or `hold:`
pub(super) static GUARD: &[Key] = &[
    required(
        "id",
        Shape::Text,
        "A short name, shown to the pusher and used by approvals.",
    ),
    required(
        "paths",
        Shape::Patterns { presets: true },
        "Globs over paths, or `@preset`.",
    ),
];

/// `limits:`
pub(super) static LIMITS: &[Key] = &[
    key("refs", Shape::Count, "Ref updates."),
    key("commits", Shape::Count, "New commits."),
    key("files", Shape::Count, "Distinct paths changed."),
    key(
        "added_lines",
        Shape::Count,
        "Lines added, summed over the new commits.",
    ),
    key(
        "file_bytes",
        Shape::Size,
        "Size of one changed file: `512KiB`.",
    ),
    key(
        "bytes",
        Shape::Size,
        "Size of all files that the new commits add or modify, each content once.",
    ),
    key(
        "pushes_per_hour",
        Shape::Count,
        "Pushes of the identity that pass within any 60 minutes. At most 3600.",
    ),
    key(
        "attempts_per_hour",
        Shape::Count,
        "Pushes of the identity that are judged within any 60 minutes, whatever the answer. At most 3600.",
    ),
    key(
        "pushes_per_day",
        Shape::Count,
        "Pushes of the identity that pass on one day of UTC.",
    ),
    key("commits_per_day", Shape::Count, "New commits of these."),
    key("added_lines_per_day", Shape::Count, "Lines that these add."),
    key(
        "suspend_after",
        Shape::Count,
        "Refusals in a row that suspend the identity until a person resumes it. Agents and services; never people.",
    ),
];

/// One of `freeze:`
pub(super) static FREEZE: &[Key] = &[
    required(
        "from",
        Shape::Time,
        "First moment, as `2026-12-20T00:00:00Z`.",
    ),
    key(
        "until",
        Shape::Time,
        "First moment when it is over. Default: until the policy changes.",
    ),
    key(
        "refs",
        Shape::Patterns { presets: false },
        "Globs over full ref names, matched in every spelling that a file system takes for the same. Default: every ref.",
    ),
    key("reason", Shape::Text, "Why; told to the pusher."),
];

/// One of `suppressions:`
pub(super) static SUPPRESSION: &[Key] = &[
    required("id", Shape::Text, "A short name, told and recorded."),
    key(
        "rule",
        Shape::Text,
        "Id of one rule, `secret/...` or `unicode/...`. Needed without `fingerprint`.",
    ),
    key(
        "path",
        Shape::Patterns { presets: false },
        "Globs over paths, matched on the exact bytes. Needed without `fingerprint`; with it, the value is suppressed there alone.",
    ),
    key(
        "fingerprint",
        Shape::Fingerprints,
        "The value, as the refusal shows it: all 12 digits. Hidden text has none.",
    ),
    key(
        "repositories",
        Shape::Patterns { presets: false },
        "Globs over repository names. Default: every repository.",
    ),
    key(
        "identities",
        Shape::Texts,
        "Names of the identities that it holds for. Default: everybody.",
    ),
    key(
        "boundaries",
        Shape::Texts,
        "Names of the boundaries that it holds for. Default: every boundary.",
    ),
    required("owner", Shape::Text, "Who answers for it."),
    required("reason", Shape::Text, "Why the value does no harm."),
    required(
        "until",
        Shape::Time,
        "First moment when it no longer holds, as `2027-01-01T00:00:00Z`.",
    ),
];

/// One of `tests:`
pub(super) static TEST: &[Key] = &[
    required("as", Shape::Text, "Name of the identity that pushes."),
    required("ref", Shape::Text, "Full name of the ref."),
    key(
        "op",
        Shape::Choice(REF_OPS),
        "What happens to the ref. Default: it is created or updated, whichever is allowed.",
    ),
    key(
        "repository",
        Shape::Text,
        "Name of the repository, for identities with `repositories`.",
    ),
    key(
        "change",
        Shape::Texts,
        "Path changes: `modify docs/a.md`, `add x`, `delete x`, `mode x`, `symlink x`, `submodule x`.",
    ),
    required(
        "expect",
        Shape::Choice(VERDICTS),
        "`accept`, `hold` or `reject`.",
    ),
];

/// The top of a repository's own policy.
pub(super) static REPOSITORY_POLICY: &[Key] = &[
    required("version", Shape::Version, "Version of the format: `1`."),
    required(
        "boundaries",
        Shape::Named(BOUNDARY),
        "`\"*\"` narrows every agent; a boundary's name narrows whoever has it.",
    ),
];
