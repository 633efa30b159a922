//! `boundaries:` from nodes to layers.

use std::fmt;
use std::sync::Arc;

use super::Known;
use super::boundary::{Allow, Allows, CheckLevel, Guard, Layer, Levels, Ops, Target, Written};
use super::diagnostic::{At, Log, quoted};
use super::keys::{self, BOUNDARY, CONFIDENCES, GUARD, LEVELS, LIMITS, PATH_ALLOW, REF_ALLOW};
use super::limits::{Limit, Limits};
use super::pattern::Pattern;
use super::presets::{preset, presets};
use super::read::{self, Fields};
use super::signing;
use crate::finding::{Level, PolicyAt};
use crate::standing::PER_HOUR_MAX;
use crate::yaml::{Node, Value};

/// Reads boundaries of one file.
pub(super) struct Reader<'r, 't> {
    pub(super) file: &'r Arc<str>,
    pub(super) known: &'r Known<'r>,
    pub(super) log: &'r mut Log<'t>,
}

impl<'t> Reader<'_, 't> {
    /// Every boundary of the map, with the place of its name.
    pub(super) fn boundaries(&mut self, node: &Node<'t>) -> Vec<(At, Arc<Layer>)> {
        let Value::Map(entries) = &node.value else {
            self.log.error(
                node.at,
                format!(
                    "`boundaries` must be a map of names, not {}",
                    node.value.kind()
                ),
            );
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|(key, value)| {
                super::sections::check_name(&key.name, key.at, "boundary", self.log);
                let layer = self.boundary(&key.name, key.at, value)?;
                Some((key.at, Arc::new(layer)))
            })
            .collect()
    }

    fn at(&self, at: At, what: impl Into<Arc<str>>) -> PolicyAt {
        PolicyAt {
            file: self.file.clone(),
            line: at.line,
            what: what.into(),
        }
    }

    fn boundary(&mut self, name: &str, at: At, node: &Node<'t>) -> Option<Layer> {
        let what = format_args!("boundary `{}`", quoted(name));
        let fields = read::fields(node, BOUNDARY, what, at, self.log)?;
        let refs = self.allows(
            name,
            &fields,
            "refs",
            REF_ALLOW,
            keys::REF_MAY,
            Self::ref_pattern,
        );
        let paths = self.allows(
            name,
            &fields,
            "paths",
            PATH_ALLOW,
            keys::PATH_OPS,
            Self::target,
        );
        let freezes = fields
            .get("freeze")
            .map(|node| super::freeze::read(self.file, node, self.log))
            .unwrap_or_default();
        let deny = self.guards(&fields, "deny");
        let hold = self.guards(&fields, "hold");
        if let Some(paths) = &paths
            && self.log.examined().is_some()
        {
            self.warn_covered(paths, &deny);
        }
        Some(Layer {
            name: name.to_owned(),
            at: self.at(at, format!("boundary {}", quoted(name))),
            refs,
            paths,
            freezes,
            limits: self.limits(&fields),
            checks: self.checks(&fields),
            signing: signing::of_boundary(&fields, self.file, self.log),
            deny,
            hold,
        })
    }

    fn allows<T>(
        &mut self,
        owner: &str,
        fields: &Fields<'_, 't>,
        list: &'static str,
        table: &'static [keys::Key],
        ops: &'static [&'static str],
        read_target: fn(&mut Self, &Node<'t>) -> Option<T>,
    ) -> Option<Allows<T>>
    where
        T: Written,
    {
        let node = fields.get(list)?;
        let items = read::list(node, format_args!("`{list}`"), self.log)?;
        let what = format_args!("an entry of `{list}`");
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            let Some(entry) = read::fields(item, table, what, item.at, self.log) else {
                continue;
            };
            let targets: Vec<T> = entry
                .get("match")
                .map(|node| read::one_or_more(node, "`match`", self.log))
                .unwrap_or_default()
                .iter()
                .filter_map(|node| read_target(self, node))
                .collect();
            let mut may = Ops::default();
            let mut words = Vec::new();
            if let Some(node) = entry.get("may") {
                for word in read::one_or_more(node, "`may`", self.log) {
                    if let Some(op) = read::choice(word, ops, "`may`", self.log) {
                        may.insert(u8::try_from(op).expect("there are six operations"));
                        words.push(ops[op]);
                    }
                }
            }
            let narrowed = ["update", "force", "delete"];
            if words.contains(&"own") && !words.iter().any(|word| narrowed.contains(word)) {
                self.log
                    .error(item.at, "`own` narrows `update`, `force` and `delete`, and none of them is here")
                    .note("`may: [create, update, own]` creates any ref here, and updates those that it created");
            }
            let named: Vec<String> = targets.iter().map(Written::written).collect();
            entries.push(Allow {
                targets,
                may,
                place: item.at,
                at: self.at(
                    item.at,
                    format!("{list}: {} may {}", named.join(", "), words.join(", ")),
                ),
            });
        }
        let at = fields.key_at(list);
        Some(Allows {
            entries,
            at: self.at(at, format!("{list} of boundary {}", quoted(owner))),
        })
    }

    fn ref_pattern(&mut self, node: &Node<'t>) -> Option<Pattern> {
        ref_pattern(node, self.log)
    }

    fn target(&mut self, node: &Node<'t>) -> Option<Target> {
        let written = read::text(node, "a path", self.log)?;
        if let Some(name) = written.strip_prefix('@') {
            let found = preset(name);
            if found.is_none() {
                let names: Vec<String> = presets()
                    .iter()
                    .map(|preset| format!("@{}", preset.name))
                    .collect();
                self.log
                    .error(node.at, format!("unknown preset `{}`", quoted(written)))
                    .suggest(written, names.iter().map(String::as_str))
                    .note("a path that starts with `@`: write `\\@`");
            }
            return found.map(Target::Preset);
        }
        read::pattern(node, "a path", self.log).map(Target::Pattern)
    }

    fn guards(&mut self, fields: &Fields<'_, 't>, list: &'static str) -> Vec<Guard> {
        let Some(node) = fields.get(list) else {
            return Vec::new();
        };
        let items = read::list(node, format_args!("`{list}`"), self.log).unwrap_or_default();
        let what = format_args!("an entry of `{list}`");
        let mut guards: Vec<Guard> = Vec::with_capacity(items.len());
        for item in items {
            let Some(entry) = read::fields(item, GUARD, what, item.at, self.log) else {
                continue;
            };
            let id = entry
                .get("id")
                .and_then(|node| read::text(node, "`id`", self.log))
                .unwrap_or("");
            if let Some(node) = entry.get("id") {
                super::sections::check_name(id, node.at, "`id`", self.log);
                if let Some(first) = guards.iter().find(|guard| guard.id == id) {
                    self.log
                        .error(node.at, format!("the id `{}` is here twice", quoted(id)))
                        .note(format!("first on line {}", first.line));
                }
            }
            let targets = entry
                .get("paths")
                .map(|node| read::one_or_more(node, "`paths`", self.log))
                .unwrap_or_default()
                .iter()
                .filter_map(|node| self.target(node))
                .collect();
            guards.push(Guard {
                id: id.to_owned(),
                targets,
                line: item.at.line,
            });
        }
        guards
    }

    /// An allow that a deny covers whole can never matter.
    fn warn_covered(&mut self, paths: &Allows<Target>, deny: &[Guard]) {
        for entry in &paths.entries {
            for target in &entry.targets {
                let covering = deny.iter().find(|guard| {
                    guard.targets.iter().any(|denied| match (denied, target) {
                        (Target::Pattern(denied), Target::Pattern(allowed)) => {
                            denied.includes(allowed)
                        }
                        (Target::Preset(denied), Target::Preset(allowed)) => {
                            denied.name == allowed.name
                        }
                        (Target::Preset(denied), Target::Pattern(allowed)) => {
                            allowed.is_plain() && denied.matches(&allowed.literal_prefix())
                        }
                        (Target::Pattern(denied), Target::Preset(_)) => denied.as_written() == "**",
                    })
                });
                if let Some(guard) = covering {
                    self.log
                        .warn(
                            entry.place,
                            format!(
                                "`{}` is allowed here, but `deny: {}` on line {} refuses all of it",
                                quoted(&target.as_written()),
                                quoted(&guard.id),
                                guard.line
                            ),
                        )
                        .note("a deny always wins: this entry never matters");
                }
            }
        }
    }

    fn limits(&mut self, fields: &Fields<'_, 't>) -> Limits {
        let mut limits = Limits::default();
        let Some(node) = fields.get("limits") else {
            return limits;
        };
        let Some(entries) =
            read::fields(node, LIMITS, "`limits`", fields.key_at("limits"), self.log)
        else {
            return limits;
        };
        for (name, slot) in limits.slots_mut() {
            let Some(node) = entries.get(name) else {
                continue;
            };
            let what = format_args!("`{name}`");
            let max = match name {
                "file_bytes" | "bytes" => read::size(node, what, self.log),
                _ => read::count(node, what, self.log),
            };
            let too_many = PER_HOUR_MAX as u64;
            match max {
                Some(max) if name.ends_with("_per_hour") && max > too_many => {
                    self.log
                        .error(node.at, format!("{what} is more than {too_many}"))
                        .note("one push a second: more is no limit");
                }
                Some(0) if name == "suspend_after" => {
                    self.log
                        .error(node.at, format!("{what} is 0"))
                        .note("the number of refusals in a row that suspend; without the key nobody is suspended");
                }
                _ => {}
            }
            *slot = max.map(|max| Limit {
                max,
                at: PolicyAt {
                    file: self.file.clone(),
                    line: node.at.line,
                    what: match &node.value {
                        Value::Scalar(written) => format!("limits: {name}: {written}").into(),
                        _ => "limits".into(),
                    },
                },
            });
        }
        limits
    }

    fn checks(&mut self, fields: &Fields<'_, 't>) -> Vec<CheckLevel> {
        let Some(node) = fields.get("checks") else {
            return Vec::new();
        };
        let Value::Map(entries) = &node.value else {
            self.log.error(
                node.at,
                format!(
                    "`checks` must be a map of levels, not {}",
                    node.value.kind()
                ),
            );
            return Vec::new();
        };
        let mut checks = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if !self.known.has(&key.name) {
                self.log
                    .error(
                        key.at,
                        format!("unknown check or rule `{}`", quoted(&key.name)),
                    )
                    .suggest(&key.name, self.known.checks.iter().copied())
                    .note("`ringfence rules list` shows the rules");
            } else if (self.known.fixed)(&key.name) {
                self.log
                    .warn(
                        key.at,
                        format!("the level of `{}` is fixed", quoted(&key.name)),
                    )
                    .note("this entry changes nothing");
            } else if self.known.is_of_pack(&key.name) && self.log.examined().is_some() {
                warn_of_pack(key.at, &key.name, self.log);
            }
            if let Some(levels) = self.levels(&key.name, value) {
                let level = match levels {
                    Levels::Plain(level) => LEVELS[level as usize],
                    Levels::ByConfidence { .. } => "by confidence",
                };
                checks.push(CheckLevel {
                    name: key.name.clone().into_owned(),
                    levels,
                    at: self.at(key.at, format!("checks: {}: {level}", quoted(&key.name))),
                });
            }
        }
        checks
    }

    fn levels(&mut self, name: &str, node: &Node<'t>) -> Option<Levels> {
        let what = format_args!("`{}`", quoted(name));
        let Value::Map(entries) = &node.value else {
            return level(node, what, self.log).map(Levels::Plain);
        };
        let (mut certain, mut likely, mut possible) = (None, None, None);
        for (key, value) in entries {
            let slot = match &*key.name {
                "certain" => &mut certain,
                "likely" => &mut likely,
                "possible" => &mut possible,
                other => {
                    self.log
                        .error(key.at, format!("unknown confidence `{}`", quoted(other)))
                        .suggest(other, CONFIDENCES.iter().copied());
                    continue;
                }
            };
            *slot = level(value, what, self.log);
        }
        Some(Levels::ByConfidence {
            certain,
            likely,
            possible,
        })
    }
}

/// A rule id that is right only when a rule pack says so.
pub(super) fn warn_of_pack(at: At, name: &str, log: &mut Log<'_>) {
    log.warn(at, format!("rule `{}` is not built in", quoted(name)))
        .note("a rule pack under `rules` must define it: `ringfence rules list --rules DIR` shows");
}

fn level(node: &Node<'_>, what: fmt::Arguments<'_>, log: &mut Log<'_>) -> Option<Level> {
    let index = read::choice(node, LEVELS, what, log)?;
    Some([Level::Off, Level::Warn, Level::Hold, Level::Deny][index])
}

/// A glob over full ref names.
pub(super) fn ref_pattern(node: &Node<'_>, log: &mut Log<'_>) -> Option<Pattern> {
    let pattern = read::pattern(node, "a ref", log)?;
    let written = pattern.as_written();
    if pattern.literal_prefix().starts_with(b"refs/") || written == "**" {
        return Some(pattern);
    }
    let bare = written.trim_start_matches('/');
    let full = match bare {
        bare if bare.starts_with("refs/") => bare.to_owned(),
        bare if bare.starts_with("heads/") || bare.starts_with("tags/") => format!("refs/{bare}"),
        bare => format!("refs/heads/{bare}"),
    };
    log.error(
        node.at,
        format!(
            "`{}` can never match: every ref starts with `refs/`",
            quoted(written)
        ),
    )
    .note(format!("did you mean `{}`?", quoted(&full)));
    None
}
