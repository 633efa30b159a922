//! What commits and tags say about who made them: marks of coding agents, and trailers by which somebody signs off,
//! reviews or approves.
//!
//! All of it is text that the author of a commit chose. It is evidence with a named source, never authentication: an
//! agent may leave every mark away. The marks are data, `rules/agents/`, compiled by the build script.

mod trailer;

use std::fmt;

use bstr::ByteSlice as _;

use super::signature::ssh;
use crate::budget::{Budget, Exhausted};
use crate::push::Oid;
use crate::repo::{Commit, History, Signature, Tag};

pub use trailer::Trailer;
use trailer::lines;

include!(concat!(env!("OUT_DIR"), "/agents.rs"));

/// Longest message that is read for marks and trailers, in bytes. An agent's longer one is refused: trailers stand at the end.
pub const MESSAGE_MAX_BYTES: usize = 1 << 20;

/// A coding agent or another program that commits by itself, as commits show it. Texts are in lower case.
#[derive(Debug, PartialEq, Eq)]
pub struct Agent {
    /// Name of its file in `rules/agents/`.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// A program with a fixed task (updates of dependencies), not a coding agent.
    pub is_bot: bool,
    /// Mail addresses, whole.
    pub mails: &'static [&'static str],
    /// Names, whole, or how they end behind a `*`.
    pub names: &'static [&'static str],
    /// Keys of trailers, and how their value begins; empty: any value.
    pub trailers: &'static [(&'static str, &'static str)],
    /// Parts of a line of the message.
    pub lines: &'static [&'static str],
    /// `SHA256:` fingerprints of ssh keys by which the vendor signs.
    pub keys: &'static [&'static str],
    /// Where the vendor tells of these.
    pub references: &'static [&'static str],
}

/// Every agent that is known, by id.
pub fn agents() -> &'static [Agent] {
    AGENTS
}

/// What names an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The author of a commit, or the tagger.
    Author,
    /// The committer.
    Committer,
    /// A trailer of the message.
    Trailer,
    /// Another line of the message.
    Line,
    /// The ssh key of the signature, which nobody has verified here.
    SigningKey,
}

impl Source {
    /// The word in messages and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Author => "author",
            Source::Committer => "committer",
            Source::Trailer => "trailer",
            Source::Line => "message",
            Source::SigningKey => "signing key",
        }
    }
}

/// One mark of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Who is named.
    pub agent: &'static Agent,
    /// By what.
    pub source: Source,
}

/// An agent that new commits or tags of a push name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Who is named.
    pub agent: &'static Agent,
    /// By what, each source once, in their order.
    pub sources: Vec<Source>,
    /// The commits and tags that do, parents before children.
    pub objects: Vec<Oid>,
    /// The ref update that brings the first of them, by its place in the push.
    pub update: usize,
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<&str> = self.sources.iter().map(|source| source.as_str()).collect();
        write!(f, "{} ({})", self.agent.name, sources.join(", "))
    }
}

/// The agents that the new commits and tags of a push name, the first named first. An error: the time is spent.
pub fn of_push(history: &History, budget: &Budget) -> Result<Vec<Claimed>, Exhausted> {
    let commits = history.commits.iter().map(|new| {
        let update = new.updates.first().copied().unwrap_or(0);
        (new.commit.id, update, of_commit(&new.commit))
    });
    let tags = history.tags.iter().map(|new| {
        let update = new.updates.first().copied().unwrap_or(0);
        (new.tag.id, update, of_tag(&new.tag))
    });
    let mut all: Vec<Claimed> = Vec::new();
    for (id, update, claims) in commits.chain(tags) {
        budget.check_time()?;
        for Claim { agent, source } in claims {
            let found = all.iter().position(|one| one.agent.id == agent.id);
            let index = found.unwrap_or_else(|| {
                all.push(Claimed {
                    agent,
                    sources: Vec::new(),
                    objects: Vec::new(),
                    update,
                });
                all.len() - 1
            });
            let one = &mut all[index];
            if !one.sources.contains(&source) {
                one.sources.push(source);
                one.sources.sort_unstable();
            }
            if one.objects.last() != Some(&id) {
                one.objects.push(id);
            }
        }
    }
    Ok(all)
}

/// The agents that a commit names, each once for each source.
pub fn of_commit(commit: &Commit) -> Vec<Claim> {
    let mut claims = Claims::default();
    claims.name(&commit.author, Source::Author);
    claims.name(&commit.committer, Source::Committer);
    claims.message(&commit.message);
    for (name, value) in &commit.headers {
        if name == "gpgsig" || name == "gpgsig-sha256" {
            claims.signature(value);
        }
    }
    claims.0
}

/// The agents that an annotated tag names.
pub fn of_tag(tag: &Tag) -> Vec<Claim> {
    let mut claims = Claims::default();
    if let Some(tagger) = &tag.tagger {
        claims.name(tagger, Source::Author);
    }
    claims.message(&tag.message);
    claims.0
}

#[derive(Default)]
struct Claims(Vec<Claim>);

impl Claims {
    fn add(&mut self, agent: &'static Agent, source: Source) {
        let claim = Claim { agent, source };
        if !self.0.contains(&claim) {
            self.0.push(claim);
        }
    }

    fn name(&mut self, signature: &Signature, source: Source) {
        for agent in of_name(&signature.name, &signature.email) {
            self.add(agent, source);
        }
    }

    fn message(&mut self, message: &[u8]) {
        for trailer in Trailer::all(message) {
            // Each address on the line: a mark counts whoever else stands beside it.
            let mut parts = trailer.value.split(|byte| matches!(byte, b'<' | b'>'));
            let name = parts.next().unwrap_or_default();
            for part in std::iter::once(&b""[..]).chain(parts) {
                for agent in of_name(name, part) {
                    self.add(agent, Source::Trailer);
                }
            }
            let value = trailer.value.to_lowercase();
            let is_its = |(key, start): &(&str, &str)| {
                trailer.key == *key && value.starts_with(start.as_bytes())
            };
            for agent in AGENTS {
                if agent.trailers.iter().any(is_its) {
                    self.add(agent, Source::Trailer);
                }
            }
        }
        let telling = || AGENTS.iter().filter(|agent| !agent.lines.is_empty());
        for line in lines(message).filter(|line| line.len() >= 12) {
            let line = message[line].to_lowercase();
            for agent in telling() {
                if agent.lines.iter().any(|part| line.contains_str(part)) {
                    self.add(agent, Source::Line);
                }
            }
        }
    }

    fn signature(&mut self, armored: &[u8]) {
        let Some(key) = ssh::claimed_key(armored) else {
            return;
        };
        for agent in AGENTS {
            if agent.keys.contains(&key.as_str()) {
                self.add(agent, Source::SigningKey);
            }
        }
    }
}

/// The agents that a name or a mail address is of.
pub fn of_name(name: &[u8], mail: &[u8]) -> impl Iterator<Item = &'static Agent> {
    let (name, mail) = (name.trim().to_lowercase(), mail.trim().to_lowercase());
    let is_name = move |known: &&str| match known.strip_prefix('*') {
        Some(end) => name.ends_with(end.as_bytes()),
        None => name == known.as_bytes(),
    };
    AGENTS.iter().filter(move |agent| {
        agent.mails.iter().any(|known| mail == known.as_bytes()) || agent.names.iter().any(&is_name)
    })
}

/// Whether two names with their mail addresses are of one agent: some sign off by another address than they commit by.
pub fn are_one_agent(one: (&[u8], &[u8]), other: (&[u8], &[u8])) -> bool {
    of_name(one.0, one.1).any(|agent| of_name(other.0, other.1).any(|of| of.id == agent.id))
}

/// The text of `docs/claims.md`.
pub fn docs() -> String {
    let mut text = String::from(DOCS);
    for agent in AGENTS {
        let code = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| format!("`{text}`")).collect()
        };
        let trailers = agent.trailers.iter().map(|(key, value)| match *value {
            "" => format!("`{key}:`"),
            value => format!("`{key}: {value}`"),
        });
        let marks = [code(agent.mails), code(agent.names), trailers.collect()];
        let others = [code(agent.lines), code(agent.keys)];
        let marks = [marks.concat(), others.concat()].concat().join(", ");
        let bot = if agent.is_bot { " (bot)" } else { "" };
        text.push_str(&format!(
            "| `{}` | {}{bot} | {marks} |\n",
            agent.id, agent.name
        ));
    }
    text
}

const DOCS: &str = "\
# Claims: what commits say of agents

<!-- Made from src/identity/claims.rs and rules/agents/: RINGFENCE_WRITE_DOCS=1 cargo test --lib writes it anew. -->

Coding agents leave marks in the commits that they make: an address of their own, a trailer, a line in the message, the
key of their vendor. ringfence reads them from every new commit and annotated tag. They are **evidence, not proof**: an
agent can leave every mark away, and anybody can write one. Who pushes is known from the transport alone.

They serve three ends.

- **The record.** Each decision in the ledger, and each report, lists under `claims` the agents that the push names: which,
  by what (`author`, `committer`, `trailer`, `message`, `signing key`), in how many commits, and the first of these.
- **A boundary for assisted work.** With `claims: { boundary: assisted }` at the top of the policy, or at one person, the
  push of a person whose new commits name an agent is held to that boundary *as well as* the person's own: what either
  refuses is refused. Commits that are on a trusted ref already do not count. Bots with a fixed task do not narrow.
- **No word in the name of others.** An agent's commit with `Signed-off-by`, `Reviewed-by`, `Approved-by`, `Acked-by`,
  `Tested-by` or `Verified-by` (or several in one: `Reviewed-and-tested-by`) of anybody else is refused (`claim/approval`), and so is one with the address of another
  identity of the policy (`claim/identity`). An agent without `authors:` that commits in the name of a bot with a fixed task is
  told (`claim/bot`), unless its name or account has the bot's in it. `Co-authored-by` is no approval. All are of the check `claims`.

Addresses count whole, in any case; a name counts alone only where the table has one. Trailers are read anywhere in the first
MiB of a message (an agent's longer one is refused), in any case, with blanks or other dashes for the hyphens, in letters that only look Latin, and with
values that go on in the next line behind a blank; lines that are quoted with `>` or indented by four blanks are not.

One file an agent in `rules/agents/`: `name`, `kind` (`agent` or `bot`), `references`, and at least one of `mails`, `names`
(`*` at the start: how it ends), `trailers` (`key`, and how the `value` begins), `lines` (part of a line), `keys` (`SHA256:`
fingerprint of the ssh key of a signature).

| id | agent | marks |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Vec<(&'static str, Source)> {
        let mut claims = Claims::default();
        claims.message(text.as_bytes());
        claims
            .0
            .iter()
            .map(|one| (one.agent.id, one.source))
            .collect()
    }

    #[test]
    fn the_docs_say_what_the_data_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/claims.md");
        if std::env::var_os("RINGFENCE_WRITE_DOCS").is_some() {
            std::fs::write(path, docs()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            docs(),
            "RINGFENCE_WRITE_DOCS=1 cargo test --lib"
        );
    }

    #[test]
    fn marks_of_agents() {
        for (text, expected) in [
            (
                "Co-Authored-By: Claude Opus 4.6 (1M context) <noreply@anthropic.com>",
                Some(("claude-code", Source::Trailer)),
            ),
            (
                "co-authored-by: x <NOREPLY@Anthropic.com>",
                Some(("claude-code", Source::Trailer)),
            ),
            (
                "Fix\n\n\u{1f916} Generated with [Claude Code](https://claude.ai/code)\n",
                Some(("claude-code", Source::Line)),
            ),
            (
                "Claude-Session: https://claude.ai/code/session_1",
                Some(("claude-code", Source::Trailer)),
            ),
            (
                "Co-authored-by: Copilot <223556219+Copilot@users.noreply.github.com>",
                Some(("copilot", Source::Trailer)),
            ),
            (
                "Co-authored-by: alice <a@people.example>, x <noreply@anthropic.com> (both)",
                Some(("claude-code", Source::Trailer)),
            ),
            ("Made-with: Cursor", Some(("cursor", Source::Trailer))),
            (
                "Co-authored-by: aider (gpt-5) <aider@aider.chat>",
                Some(("aider", Source::Trailer)),
            ),
            (
                "Assisted-by: Claude:opus [sparse]",
                Some(("unnamed", Source::Trailer)),
            ),
            ("Ai-assisted: true", Some(("unnamed", Source::Trailer))),
            ("Ai-assisted: false", None),
            ("Made-with: care", None),
            ("Mention noreply@anthropic.com in the docs", None),
            ("Co-authored-by: alice <alice@people.example>", None),
            ("> Made-with: Cursor", None),
        ] {
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn names_and_addresses_are_whole() {
        let of = |name: &str, mail: &str| {
            of_name(name.as_bytes(), mail.as_bytes())
                .map(|agent| agent.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("alice (aider)", "alice@people.example"), ["aider"]);
        assert_eq!(
            of(
                "copilot-swe-agent[bot]",
                "198982749+Copilot@users.noreply.github.com"
            ),
            ["copilot"]
        );
        // The name alone is free to choose.
        assert!(of("copilot-swe-agent[bot]", "alice@people.example").is_empty());
        assert!(of("alice", "xnoreply@anthropic.com").is_empty());
    }

    #[test]
    fn an_agent_has_several_addresses() {
        let bot = (
            &b"dependabot[bot]"[..],
            &b"49699333+dependabot[bot]@users.noreply.github.com"[..],
        );
        let signs = (&b"dependabot[bot]"[..], &b"support@github.com"[..]);
        assert!(are_one_agent(bot, signs));
        assert!(!are_one_agent(
            bot,
            (b"dependabot[bot]", b"alice@people.example")
        ));
        assert!(!are_one_agent(
            (b"alice", b"a@people.example"),
            (b"alice", b"a@people.example")
        ));
    }

    #[test]
    fn a_signing_key_has_the_fingerprint_that_ssh_shows() {
        let key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20................................";
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        blob.extend(u32::try_from(key.len()).unwrap().to_be_bytes());
        blob.extend(key);
        blob.extend(b"the rest");
        let armored = format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----",
            data_encoding::BASE64.encode(&blob)
        );
        use sha2::Digest as _;
        let expected = format!(
            "SHA256:{}",
            data_encoding::BASE64_NOPAD.encode(&sha2::Sha256::digest(key))
        );
        assert_eq!(ssh::claimed_key(armored.as_bytes()), Some(expected));
        for torn in [
            "",
            "-----BEGIN SSH SIGNATURE-----",
            "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----",
        ] {
            assert_eq!(ssh::claimed_key(torn.as_bytes()), None);
        }
    }
}
