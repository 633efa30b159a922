//! The words of every machine-readable text: ledger and report say the same.

use crate::finding::{Confidence, Level, Part};
use crate::policy::Kind;
use crate::push::{Errand, HostKind};
use crate::verdict::Verdict;

/// The word for a verdict in every machine-readable text.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Hold => "hold",
        Verdict::Reject => "reject",
        Verdict::Unjudged => "unjudged",
    }
}

/// The word for a level.
pub(crate) fn level_word(level: Level) -> &'static str {
    match level {
        Level::Off => "off",
        Level::Warn => "warn",
        Level::Hold => "hold",
        Level::Deny => "deny",
    }
}

/// The word for a confidence.
pub(crate) fn confidence_word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Possible => "possible",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
}

/// The word for a kind of identity.
pub(crate) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Agent => "agent",
        Kind::Human => "human",
        Kind::Service => "service",
    }
}

pub(super) fn host_word(host: HostKind) -> &'static str {
    match host {
        HostKind::Plain => "plain",
        HostKind::Gitea => "gitea",
        HostKind::Gitlab => "gitlab",
        HostKind::Gitolite => "gitolite",
        HostKind::Http => "http",
        HostKind::Local => "local",
    }
}

pub(super) fn errand_word(errand: Errand) -> Option<&'static str> {
    match errand {
        Errand::None => None,
        Errand::Merge => Some("merge"),
        Errand::Web => Some("web"),
        Errand::Bookkeeping => Some("bookkeeping"),
    }
}

/// The word for a kind of text, as `scan` names it too.
pub(crate) fn part_word(part: Part) -> &'static str {
    match part {
        Part::Ref => "ref",
        Part::Commit => "commit",
        Part::Path => "path",
        Part::Content => "content",
        Part::SymlinkTarget => "symlink-target",
        Part::Message => "message",
        Part::Author => "author",
        Part::Committer => "committer",
        Part::Header => "header",
        Part::Tag => "tag",
        Part::Tagger => "tagger",
        Part::TagMessage => "tag-message",
    }
}
