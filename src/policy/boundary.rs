//! A boundary answers questions: may this ref move, may this path change, what is guarded, how strict is a rule.

use std::sync::Arc;

use super::diagnostic::At;
use super::fold::{self, Folded};
use super::pattern::Pattern;
use super::presets::Preset;
use super::signing::Signing;
use crate::finding::{Confidence, Level, PathOp, PolicyAt, RefOp};

/// What a boundary answers to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This line allows it.
    Allowed(PolicyAt),
    /// No line allows it; the line is where the boundary's list starts.
    Refused(PolicyAt),
}

impl Answer {
    /// Whether it is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Answer::Allowed(_))
    }

    /// The line that decided.
    pub fn at(&self) -> &PolicyAt {
        match self {
            Answer::Allowed(at) | Answer::Refused(at) => at,
        }
    }
}

/// A limit with the line that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The greatest value that passes.
    pub max: u64,
    /// The line.
    pub at: PolicyAt,
}

/// `limits:` of a boundary. `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Ref updates in one push.
    pub refs: Option<Limit>,
    /// New commits in one push.
    pub commits: Option<Limit>,
    /// Distinct paths changed by the new commits.
    pub files: Option<Limit>,
    /// Lines added by the new commits, summed.
    pub added_lines: Option<Limit>,
    /// Bytes of one changed file.
    pub file_bytes: Option<Limit>,
}

impl Limits {
    fn take_minimum(&mut self, other: &Limits) {
        for (mine, theirs) in [
            (&mut self.refs, &other.refs),
            (&mut self.commits, &other.commits),
            (&mut self.files, &other.files),
            (&mut self.added_lines, &other.added_lines),
            (&mut self.file_bytes, &other.file_bytes),
        ] {
            if let Some(limit) = theirs
                && mine.as_ref().is_none_or(|mine| limit.max < mine.max)
            {
                *mine = Some(limit.clone());
            }
        }
    }

    /// Every limit that is set, with its key.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Limit)> {
        [
            ("refs", &self.refs),
            ("commits", &self.commits),
            ("files", &self.files),
            ("added_lines", &self.added_lines),
            ("file_bytes", &self.file_bytes),
        ]
        .into_iter()
        .filter_map(|(key, limit)| Some((key, limit.as_ref()?)))
    }
}

/// A set of operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ops(u8);

impl Ops {
    pub(super) fn insert(&mut self, op: u8) {
        self.0 |= 1 << op;
    }

    pub(super) fn contains(self, op: u8) -> bool {
        self.0 & (1 << op) != 0
    }

    /// The words of the operations, in the order of the table.
    pub(super) fn names(self, words: &'static [&'static str]) -> Vec<&'static str> {
        (0..)
            .zip(words)
            .filter(|(op, _)| self.contains(*op))
            .map(|(_, word)| *word)
            .collect()
    }
}

/// What a list of paths names.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Pattern(Pattern),
    Preset(&'static Preset),
}

impl Target {
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Target::Pattern(pattern) => pattern.matches(path),
            Target::Preset(preset) => preset.matches(path),
        }
    }

    /// The glob that guards the path, as written.
    fn guards(&self, path: &[u8], folded: &Folded<'_>, replaces_folder: bool) -> Option<String> {
        match self {
            Target::Pattern(pattern) => {
                let hit = pattern.matches_either(path, folded)
                    || (replaces_folder && pattern.leads_through(path, folded));
                hit.then(|| pattern.as_written().to_owned())
            }
            Target::Preset(preset) => preset
                .find(path, folded)
                .or_else(|| {
                    replaces_folder
                        .then(|| preset.find_folder(path, folded))
                        .flatten()
                })
                .map(|glob| format!("@{} ({})", preset.name, glob.written)),
        }
    }

    pub(super) fn as_written(&self) -> String {
        match self {
            Target::Pattern(pattern) => pattern.as_written().to_owned(),
            Target::Preset(preset) => format!("@{}", preset.name),
        }
    }
}

/// Something that knows how the policy writes it.
pub(super) trait Written {
    fn written(&self) -> String;
}

impl Written for Pattern {
    fn written(&self) -> String {
        self.as_written().to_owned()
    }
}

impl Written for Target {
    fn written(&self) -> String {
        self.as_written()
    }
}

/// One of `refs:` or `paths:`.
#[derive(Debug, Clone)]
pub(super) struct Allow<T> {
    pub(super) targets: Vec<T>,
    pub(super) may: Ops,
    pub(super) at: PolicyAt,
    pub(super) place: At,
}

/// A list of allows, with the line where it starts.
#[derive(Debug, Clone)]
pub(super) struct Allows<T> {
    pub(super) entries: Vec<Allow<T>>,
    pub(super) at: PolicyAt,
}

/// One of `deny:` or `hold:`.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) id: String,
    pub(super) targets: Vec<Target>,
    pub(super) line: u32,
}

/// What `checks:` says of one check or rule.
#[derive(Debug, Clone)]
pub(super) struct CheckLevel {
    pub(super) name: String,
    pub(super) levels: Levels,
    pub(super) at: PolicyAt,
}

/// A level, or one by confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Levels {
    Plain(Level),
    ByConfidence {
        certain: Option<Level>,
        likely: Option<Level>,
        possible: Option<Level>,
    },
}

impl CheckLevel {
    fn level(&self, confidence: Option<Confidence>) -> Option<Level> {
        match (self.levels, confidence) {
            // `secrets: deny` means deny what is sure, and tell of the rest.
            (Levels::Plain(level), Some(Confidence::Possible)) if self.name == "secrets" => {
                Some(level.min(Level::Warn))
            }
            (Levels::Plain(level), _) => Some(level),
            (Levels::ByConfidence { likely, .. }, Some(Confidence::Likely)) => likely,
            (Levels::ByConfidence { possible, .. }, Some(Confidence::Possible)) => possible,
            // What has no grade is a fact.
            (Levels::ByConfidence { certain, .. }, Some(Confidence::Certain) | None) => certain,
        }
    }
}

/// One boundary as one file writes it. Nobody but [`Boundary`] looks inside.
#[derive(Debug, Clone)]
pub struct Layer {
    pub(super) name: String,
    pub(super) at: PolicyAt,
    /// `None`: a server boundary allows nothing, a repository's one says nothing.
    pub(super) refs: Option<Allows<Pattern>>,
    pub(super) paths: Option<Allows<Target>>,
    pub(super) deny: Vec<Guard>,
    pub(super) hold: Vec<Guard>,
    pub(super) limits: Limits,
    pub(super) checks: Vec<CheckLevel>,
    pub(super) signing: Signing,
}

impl Layer {
    /// Its name in the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The level that this layer names: by rule first, then by check.
    fn level(
        &self,
        check: &str,
        rule: &str,
        confidence: Option<Confidence>,
    ) -> Option<(Level, &PolicyAt)> {
        [rule, check].into_iter().find_map(|name| {
            let entry = self.checks.iter().find(|entry| entry.name == name)?;
            Some((entry.level(confidence)?, &entry.at))
        })
    }
}

/// What one identity may do in one repository: the server's boundary, and what the repository narrows.
#[derive(Debug, Clone)]
pub struct Boundary {
    server: Arc<Layer>,
    narrower: Vec<Arc<Layer>>,
    limits: Limits,
    signing: Signing,
}

impl Boundary {
    pub(crate) fn new(server: Arc<Layer>) -> Self {
        Boundary {
            limits: server.limits.clone(),
            signing: server.signing.clone(),
            server,
            narrower: Vec::new(),
        }
    }

    /// Its name in the server's policy.
    pub fn name(&self) -> &str {
        &self.server.name
    }

    /// Where it stands in the server's policy.
    pub fn at(&self) -> &PolicyAt {
        &self.server.at
    }

    /// Every layer, the server's first.
    pub(super) fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&*self.server).chain(self.narrower.iter().map(|layer| &**layer))
    }

    /// Whether the ref may change this way. Every layer must allow it.
    pub fn may_ref(&self, name: &[u8], op: RefOp) -> Answer {
        self.ask(
            op as u8,
            |layer| layer.refs.as_ref(),
            |pattern: &Pattern| pattern.matches(name),
        )
    }

    /// Whether the path may change this way. Every layer must allow it. Guards are asked apart.
    pub fn may_path(&self, path: &[u8], op: PathOp) -> Answer {
        self.ask(
            op as u8,
            |layer| layer.paths.as_ref(),
            |target: &Target| target.matches(path),
        )
    }

    /// Whether any path at all may change this way, as far as an entry `**` says so.
    pub fn may_every_path(&self, op: PathOp) -> Answer {
        self.ask(
            op as u8,
            |layer| layer.paths.as_ref(),
            |target: &Target| target.as_written() == "**",
        )
    }

    fn ask<'a, T: 'a>(
        &'a self,
        op: u8,
        allows: impl Fn(&'a Layer) -> Option<&'a Allows<T>>,
        matches: impl Fn(&T) -> bool,
    ) -> Answer {
        let mut answer = None;
        for (index, layer) in self.layers().enumerate() {
            let Some(allows) = allows(layer) else {
                if index == 0 {
                    return Answer::Refused(layer.at.clone());
                }
                continue;
            };
            let allowing = allows
                .entries
                .iter()
                .find(|entry| entry.may.contains(op) && entry.targets.iter().any(&matches));
            match allowing {
                Some(entry) => {
                    answer.get_or_insert_with(|| Answer::Allowed(entry.at.clone()));
                }
                None => return Answer::Refused(allows.at.clone()),
            }
        }
        answer.unwrap_or_else(|| Answer::Refused(self.server.at.clone()))
    }

    /// Patterns of refs that may be created or updated, as written; for hints.
    pub fn own_refs(&self) -> Vec<String> {
        self.server
            .refs
            .iter()
            .flat_map(|allows| &allows.entries)
            .filter(|entry| {
                entry.may.contains(RefOp::Create as u8) || entry.may.contains(RefOp::Update as u8)
            })
            .flat_map(|entry| &entry.targets)
            .map(|pattern| pattern.as_written().to_owned())
            .collect()
    }

    /// The `deny` that guards the path, whatever allows it: its id and line. With `replaces_folder`, something that
    /// is no folder stands where a guarded pattern expects one.
    pub fn denied(&self, path: &[u8], replaces_folder: bool) -> Option<(String, PolicyAt)> {
        self.guard("deny", |layer| &layer.deny, path, replaces_folder)
    }

    /// The `hold` that guards the path.
    pub fn held(&self, path: &[u8], replaces_folder: bool) -> Option<(String, PolicyAt)> {
        self.guard("hold", |layer| &layer.hold, path, replaces_folder)
    }

    fn guard(
        &self,
        list: &str,
        guards: impl Fn(&Layer) -> &[Guard],
        path: &[u8],
        replaces_folder: bool,
    ) -> Option<(String, PolicyAt)> {
        let folded = fold::path(path);
        self.layers().find_map(|layer| {
            guards(layer).iter().find_map(|guard| {
                let target = guard
                    .targets
                    .iter()
                    .find_map(|target| target.guards(path, &folded, replaces_folder))?;
                let at = PolicyAt {
                    file: layer.at.file.clone(),
                    line: guard.line,
                    what: format!("{list}: {}: {target}", guard.id).into(),
                };
                Some((guard.id.clone(), at))
            })
        })
    }

    /// The limits: the least of every layer.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it asks of signatures: the strictest of every layer.
    pub fn signing(&self) -> &Signing {
        &self.signing
    }

    /// The level that the policy names for a rule. `None`: it names neither the rule nor its check.
    ///
    /// A repository may only be stricter, and this does not know the rule's default: where the server names no
    /// level, use [`Boundary::level_or`], which does.
    pub fn level(
        &self,
        check: &str,
        rule: &str,
        confidence: Option<Confidence>,
    ) -> Option<(Level, PolicyAt)> {
        let (level, at) = self.server.level(check, rule, confidence)?;
        Some(self.stricter(check, rule, confidence, level, at.clone()))
    }

    /// The level of a rule whose default is `default`: the server's word, else the default, and what the
    /// repository makes stricter.
    pub fn level_or(
        &self,
        check: &str,
        rule: &str,
        confidence: Option<Confidence>,
        default: Level,
    ) -> (Level, PolicyAt) {
        let (level, at) = match self.server.level(check, rule, confidence) {
            Some((level, at)) => (level, at.clone()),
            None => (
                default,
                PolicyAt {
                    file: self.server.at.file.clone(),
                    line: 0,
                    what: format!("default of {rule}").into(),
                },
            ),
        };
        self.stricter(check, rule, confidence, level, at)
    }

    fn stricter(
        &self,
        check: &str,
        rule: &str,
        confidence: Option<Confidence>,
        level: Level,
        at: PolicyAt,
    ) -> (Level, PolicyAt) {
        self.narrower
            .iter()
            .filter_map(|layer| layer.level(check, rule, confidence))
            .fold((level, at), |strictest, (level, at)| {
                if level > strictest.0 {
                    (level, at.clone())
                } else {
                    strictest
                }
            })
    }

    /// Narrows by another boundary of the server's policy: what either refuses is refused.
    pub(crate) fn narrow_by(&mut self, layer: &Arc<Layer>) {
        // A server's boundary without `refs` or `paths` allows none; as a narrower layer it would say nothing of them.
        let mut layer = Layer::clone(layer);
        let nothing = layer.at.clone();
        layer.refs.get_or_insert_with(|| Allows {
            entries: Vec::new(),
            at: nothing.clone(),
        });
        layer.paths.get_or_insert_with(|| Allows {
            entries: Vec::new(),
            at: nothing,
        });
        self.limits.take_minimum(&layer.limits);
        self.signing.narrow(&layer.signing);
        self.narrower.push(Arc::new(layer));
    }

    /// Narrows by what the repository's own policy says of this boundary, and, for agents, of `*`.
    pub fn narrow(&mut self, repository: &super::RepositoryPolicy, is_agent: bool) {
        let layers = repository.layers_for(&self.server.name);
        for layer in layers.filter(|layer| is_agent || layer.name != "*") {
            self.limits.take_minimum(&layer.limits);
            self.signing.narrow(&layer.signing);
            self.narrower.push(layer.clone());
        }
    }
}
