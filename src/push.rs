//! The nouns of a push: object ids, ref names, what a client asks for, who the host says is asking.

use std::fmt;

use bstr::{BStr, BString};
pub use gix_hash::{Kind as HashKind, ObjectId as Oid};

/// A full ref name that passed git's own rules (`git check-ref-format`) and starts with `refs/`.
/// Bytes, not text: git accepts names that are not UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(BString);

/// Longest ref name accepted, in bytes. A path component of a loose ref cannot be longer on common
/// file systems, and a pkt-line holds at most 65,516 bytes.
pub const REF_NAME_MAX_BYTES: usize = 4096;

/// Why a byte string is not a ref name that the gate accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefNameError {
    /// The name does not start with `refs/`.
    #[error("does not start with refs/")]
    OutsideRefs,
    /// The name is longer than [`REF_NAME_MAX_BYTES`].
    #[error("is longer than {REF_NAME_MAX_BYTES} bytes")]
    TooLong,
    /// git itself would refuse the name.
    #[error("is not a valid ref name")]
    Malformed,
}

impl RefName {
    /// Validates `name` by the rules of `git check-ref-format`.
    pub fn new(name: impl Into<Vec<u8>>) -> Result<Self, RefNameError> {
        let name = name.into();
        if !name.starts_with(b"refs/") {
            return Err(RefNameError::OutsideRefs);
        }
        if name.len() > REF_NAME_MAX_BYTES {
            return Err(RefNameError::TooLong);
        }
        match gix_validate::reference::name(BStr::new(&name)) {
            Ok(_) => Ok(RefName(name.into())),
            Err(_) => Err(RefNameError::Malformed),
        }
    }

    /// The whole name, `refs/…`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One line of standard input: what the client asks for. `old` is a claim, never a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The ref as the client named it.
    pub name: RefName,
    /// The value the client claims the ref has; `None` for the zero id (a create).
    pub claimed_old: Option<Oid>,
    /// The value the ref shall get; `None` for the zero id (a delete).
    pub new: Option<Oid>,
}

/// A command after the ref store was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// What the client asked for.
    pub command: Command,
    /// The ref that would really change: `command.name`, or what it points to when it is a
    /// symbolic ref on the server. The boundary is asked about this name and about the given one.
    pub target: RefName,
    /// The value that the ref store holds now.
    pub stored: Option<Oid>,
    /// For `refs/for/<branch>` (AGit): the branch that the commits are proposed for.
    pub proposed_for: Option<RefName>,
}

/// Which program called the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKind {
    /// git over a local path or plain ssh: `receive-pack` with nothing around it.
    Plain,
    /// Gitea or Forgejo.
    Gitea,
    /// GitLab (Gitaly).
    Gitlab,
    /// gitolite3.
    Gitolite,
    /// `git http-backend` behind a web server.
    Http,
    /// No host: the `check` command, the audit, the local pre-push hook.
    Local,
}

/// Whom the host authenticated. Every field comes from the transport, none from pushed content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pusher {
    /// Account name.
    pub account: Option<String>,
    /// The host's number for the account.
    pub account_id: Option<String>,
    /// Mail address of the account, when the host tells it.
    pub email: Option<String>,
    /// The host's number of the deploy key. With a deploy key the account says nothing: hosts fill
    /// in the repository owner.
    pub deploy_key: Option<String>,
    /// `SHA256:…` fingerprint of the ssh key that authenticated.
    pub ssh_key: Option<String>,
    /// Principals of the ssh certificate that authenticated.
    pub ssh_principals: Vec<String>,
    /// A CI job's own token pushed, not a user (Gitea Actions). Its task number, or `unknown`.
    pub ci_task: Option<String>,
}

/// Why the host runs this push itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// A person or program pushed.
    None,
    /// The host merges a pull request on behalf of the pusher.
    Merge,
    /// The host writes a file for the pusher (web editor, API).
    Web,
    /// The forge's own bookkeeping (Gitea: `refs/pull/N/head`), see DESIGN 3.1.
    Bookkeeping,
}

/// All ref updates of one run of the hook, as the host handed them over.
#[derive(Debug, Clone)]
pub struct Push {
    /// The host that called.
    pub host: HostKind,
    /// Whom the host authenticated.
    pub pusher: Pusher,
    /// Why the host itself pushes, if it does.
    pub errand: Errand,
    /// Names of the repository, most specific first: `owner/name`, on plain hosts also `name`.
    pub repository: Vec<String>,
    /// What the client asks for, in the order given. Never empty, no ref twice.
    pub commands: Vec<Command>,
    /// What git tells of a signed push.
    pub certificate: Option<PushCertificate>,
}

/// What git tells of a push certificate. Its signature and what it says are for the gate to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushCertificate {
    /// The blob that holds it.
    pub id: Oid,
    /// The nonce in it.
    pub nonce: Option<String>,
    /// git's word on the nonce: `OK`, `SLOP`, `BAD`, `MISSING`, `UNSOLICITED`.
    pub nonce_status: Option<String>,
    /// Seconds by which it is too old, with `SLOP`.
    pub nonce_slop: Option<i64>,
}
