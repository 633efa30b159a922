//! A boundary answers questions: may this ref move, may this path change, what is guarded, how strict is a rule.

use std::sync::Arc;

use super::diagnostic::At;
use super::fold::{self, Folded};
use super::freeze::Freeze;
use super::limits::Limits;
use super::pattern::Pattern;
use super::presets::Preset;
use super::signing::Signing;
use crate::finding::{Confidence, Level, PathOp, PolicyAt, RefOp};

/// What a boundary answers to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This line allows it.
    Allowed(PolicyAt),
    /// This line allows it for refs that the identity created.
    IfOwn(PolicyAt),
    /// No line allows it; the line is where the boundary's list starts.
    Refused(PolicyAt),
}

impl Answer {
    /// Whether it is allowed, at least for a ref of the pusher's own.
    pub fn is_allowed(&self) -> bool {
        !matches!(self, Answer::Refused(_))
    }

    /// The line that decided.
    pub fn at(&self) -> &PolicyAt {
        match self {
            Answer::Allowed(at) | Answer::IfOwn(at) | Answer::Refused(at) => at,
        }
    }
}

/// Not an operation: narrows the operations of an entry to refs of the identity's own. Behind those of [`RefOp`].
pub(super) const OWN: u8 = 4;

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
    pub(super) freezes: Vec<Freeze>,
    pub(super) limits: Limits,
    pub(super) checks: Vec<CheckLevel>,
    pub(super) signing: Signing,
}

impl Layer {
    /// Its name in the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an entry lets refs be deleted that it does not let be forced: then a delete and a create must not be
    /// more than a forced move.
    pub(super) fn deletes_without_force(&self) -> bool {
        self.refs
            .iter()
            .flat_map(|allows| &allows.entries)
            .any(|entry| {
                entry.may.contains(RefOp::Delete as u8) && !entry.may.contains(RefOp::Force as u8)
            })
    }

    /// Whether something of it needs what the ledger knows.
    pub(super) fn asks_the_record(&self) -> bool {
        self.limits.count_over_time() || self.asks_for_owners() || self.deletes_without_force()
    }

    /// Whether it narrows some refs to those of the identity's own.
    pub(super) fn asks_for_owners(&self) -> bool {
        let mut entries = self.refs.iter().flat_map(|allows| &allows.entries);
        entries.any(|entry| entry.may.contains(OWN))
    }

    /// Whether an entry narrows this ref to its owner.
    pub(super) fn narrows_to_owner(&self, name: &[u8]) -> bool {
        let mut entries = self.refs.iter().flat_map(|allows| &allows.entries);
        entries.any(|entry| {
            let matches = |pattern: &Pattern| pattern.matches(name);
            entry.may.contains(OWN) && entry.targets.iter().any(matches)
        })
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
    /// Those of the whole policy.
    freezes: Arc<[Freeze]>,
    limits: Limits,
    signing: Signing,
}

impl Boundary {
    pub(crate) fn new(server: Arc<Layer>, freezes: Arc<[Freeze]>) -> Self {
        Boundary {
            limits: server.limits.clone(),
            signing: server.signing.clone(),
            server,
            narrower: Vec::new(),
            freezes,
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
        let matches = |pattern: &Pattern| pattern.matches(name);
        let free = |may: Ops| may.contains(op as u8) && (op == RefOp::Create || !may.contains(OWN));
        // A layer that allows it freely asks nothing; one that allows it for own refs narrows all the others.
        let answer = self.ask(
            |layer| layer.refs.as_ref(),
            |may| may.contains(op as u8),
            matches,
        );
        let Answer::Allowed(at) = answer else {
            return answer;
        };
        let layers = self.layers().filter_map(|layer| layer.refs.as_ref());
        let mut narrowing = layers.filter_map(|allows| {
            let mut entries = allows
                .entries
                .iter()
                .filter(|entry| entry.may.contains(op as u8) && entry.targets.iter().any(matches));
            let first = entries.next()?;
            let is_free = free(first.may) || entries.any(|entry| free(entry.may));
            (!is_free).then(|| first.at.clone())
        });
        match narrowing.next() {
            Some(at) => Answer::IfOwn(at),
            None => Answer::Allowed(at),
        }
    }

    /// Whether every ref may be moved, whoever created it, as far as entries `refs/**` say so.
    pub fn may_change_every_ref(&self) -> bool {
        self.layers()
            .filter_map(|layer| layer.refs.as_ref())
            .all(|allows| {
                allows.entries.iter().any(|entry| {
                    entry.may.contains(RefOp::Update as u8)
                        && !entry.may.contains(OWN)
                        && entry
                            .targets
                            .iter()
                            .any(|target| target.as_written() == "refs/**")
                })
            })
            && self.server.refs.is_some()
    }

    /// Whether the path may change this way. Every layer must allow it. Guards are asked apart.
    pub fn may_path(&self, path: &[u8], op: PathOp) -> Answer {
        self.ask(
            |layer| layer.paths.as_ref(),
            |may| may.contains(op as u8),
            |target: &Target| target.matches(path),
        )
    }

    /// Whether any path at all may change this way, as far as an entry `**` says so.
    pub fn may_every_path(&self, op: PathOp) -> Answer {
        self.ask(
            |layer| layer.paths.as_ref(),
            |may| may.contains(op as u8),
            |target: &Target| target.as_written() == "**",
        )
    }

    fn ask<'a, T: 'a>(
        &'a self,
        allows: impl Fn(&'a Layer) -> Option<&'a Allows<T>>,
        may: impl Fn(Ops) -> bool,
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
                .find(|entry| may(entry.may) && entry.targets.iter().any(&matches));
            match allowing {
                Some(entry) => {
                    answer.get_or_insert_with(|| Answer::Allowed(entry.at.clone()));
                }
                None => return Answer::Refused(allows.at.clone()),
            }
        }
        answer.unwrap_or_else(|| Answer::Refused(self.server.at.clone()))
    }

    /// Whether some entry lets refs be deleted that it does not let be forced.
    pub fn deletes_without_force(&self) -> bool {
        self.layers().any(Layer::deletes_without_force)
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

    /// Every freeze, those of the whole policy first.
    pub fn freezes(&self) -> impl Iterator<Item = &Freeze> {
        let of_layers = self.layers().flat_map(|layer| &layer.freezes);
        self.freezes.iter().chain(of_layers)
    }

    /// The freeze that holds a ref at this moment. Of several the one that ends last.
    pub fn frozen(&self, name: &[u8], now: jiff::Timestamp) -> Option<&Freeze> {
        self.freezes()
            .filter(|freeze| freeze.is_in_force(now) && freeze.names(name))
            .max_by_key(|freeze| freeze.until.unwrap_or(jiff::Timestamp::MAX))
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

    /// Whether the policy turns a check off as a whole: by its name, and with no word in any layer for a rule that `is_of` it.
    pub fn turns_off(&self, check: &str, is_of: &dyn Fn(&str) -> bool) -> bool {
        let is_off = |entry: &CheckLevel| entry.levels == Levels::Plain(Level::Off);
        let mut entries = self.layers().flat_map(|layer| &layer.checks);
        let named = |entry: &CheckLevel| entry.name == check;
        (self.server.checks.iter()).any(|entry| named(entry) && is_off(entry))
            && entries.all(|entry| is_off(entry) || !(named(entry) || is_of(&entry.name)))
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

    /// Narrows by another boundary of the server's policy, and by what the repository's own says of that one: what
    /// any refuses is refused.
    pub(crate) fn narrow_by(
        &mut self,
        layer: &Arc<Layer>,
        repository: Option<&super::RepositoryPolicy>,
    ) {
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
        let own = repository.map(|own| own.layers_for(&layer.name));
        let own = own.into_iter().flatten().filter(|own| own.name != "*");
        let own: Vec<Arc<Layer>> = own.cloned().collect();
        self.add(Arc::new(layer));
        own.into_iter().for_each(|own| self.add(own));
    }

    /// Narrows by what the repository's own policy says of this boundary, and, for agents, of `*`.
    pub fn narrow(&mut self, repository: &super::RepositoryPolicy, is_agent: bool) {
        let server = Arc::clone(&self.server);
        let layers = repository.layers_for(&server.name);
        for layer in layers.filter(|layer| is_agent || layer.name != "*") {
            self.add(layer.clone());
        }
    }

    fn add(&mut self, narrower: Arc<Layer>) {
        self.limits.take_minimum(&narrower.limits);
        self.signing.narrow(&narrower.signing);
        self.narrower.push(narrower);
    }
}
