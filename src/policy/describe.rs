//! A boundary as a person reads it, and as JSON: everything that holds, each with its line.

use serde::Serialize;

use super::boundary::{Boundary, CheckLevel, Guard, Layer, Levels, Target, Written as _};
use super::keys;
use super::limits::Limits;
use crate::finding::{Level, PolicyAt};

/// What one file says of a boundary.
#[derive(Debug, Clone, Serialize)]
pub struct LayerView {
    /// Name of the boundary in that file.
    pub boundary: String,
    /// Where it stands, `policy.yaml:12`.
    pub at: String,
    /// `refs:`; `None`: the file says nothing of them.
    pub refs: Option<Vec<AllowView>>,
    /// `paths:`.
    pub paths: Option<Vec<AllowView>>,
    /// `deny:`.
    pub deny: Vec<GuardView>,
    /// `hold:`.
    pub hold: Vec<GuardView>,
    /// `checks:`.
    pub checks: Vec<CheckView>,
}

/// One of `refs:` or `paths:`.
#[derive(Debug, Clone, Serialize)]
pub struct AllowView {
    /// Globs and presets as written.
    #[serde(rename = "match")]
    pub targets: Vec<String>,
    /// Operations.
    pub may: Vec<&'static str>,
    /// Its line.
    pub at: String,
}

/// One of `deny:` or `hold:`.
#[derive(Debug, Clone, Serialize)]
pub struct GuardView {
    /// `id:`.
    pub id: String,
    /// Globs and presets as written.
    pub paths: Vec<String>,
    /// Its line.
    pub at: String,
}

/// One of `checks:`.
#[derive(Debug, Clone, Serialize)]
pub struct CheckView {
    /// The check or the rule.
    pub name: String,
    /// A level, or one by confidence.
    pub level: String,
    /// Its line.
    pub at: String,
}

/// One of `limits:`, the least of every file.
#[derive(Debug, Clone, Serialize)]
pub struct LimitView {
    /// The key.
    pub name: &'static str,
    /// The greatest value that passes.
    pub max: u64,
    /// The ledger counts it, over several pushes.
    pub over_time: bool,
    /// Its line.
    pub at: String,
}

/// What is asked of signatures, the strictest of every file.
#[derive(Debug, Clone, Serialize)]
pub struct SigningView {
    /// The key.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Its line.
    pub at: String,
}

/// What holds for one identity in one repository.
#[derive(Debug, Clone, Serialize)]
pub struct BoundaryView {
    /// The server's layer first; each later one narrows.
    pub layers: Vec<LayerView>,
    /// The limits.
    pub limits: Vec<LimitView>,
    /// What is asked of signatures.
    pub signing: Vec<SigningView>,
}

/// `policy.yaml:12`
pub fn place(at: &PolicyAt) -> String {
    match at.line {
        0 => at.what.to_string(),
        line => format!("{}:{line}", at.file),
    }
}

impl Boundary {
    /// Everything that it says.
    pub fn view(&self) -> BoundaryView {
        BoundaryView {
            layers: self.layers().map(layer).collect(),
            limits: self
                .limits()
                .each()
                .map(|(name, limit)| LimitView {
                    name,
                    max: limit.max,
                    over_time: Limits::is_over_time(name),
                    at: place(&limit.at),
                })
                .collect(),
            signing: self
                .signing()
                .each()
                .map(|(name, value, at)| SigningView {
                    name,
                    value,
                    at: place(at),
                })
                .collect(),
        }
    }
}

fn layer(layer: &Layer) -> LayerView {
    let guards = |guards: &[Guard]| {
        guards
            .iter()
            .map(|guard| GuardView {
                id: guard.id.clone(),
                paths: guard.targets.iter().map(Target::as_written).collect(),
                at: format!("{}:{}", layer.at.file, guard.line),
            })
            .collect()
    };
    LayerView {
        boundary: layer.name.clone(),
        at: place(&layer.at),
        refs: layer.refs.as_ref().map(|allows| {
            allows
                .entries
                .iter()
                .map(|entry| AllowView {
                    targets: entry
                        .targets
                        .iter()
                        .map(|target| target.written())
                        .collect(),
                    may: entry.may.names(keys::REF_MAY),
                    at: place(&entry.at),
                })
                .collect()
        }),
        paths: layer.paths.as_ref().map(|allows| {
            allows
                .entries
                .iter()
                .map(|entry| AllowView {
                    targets: entry.targets.iter().map(Target::as_written).collect(),
                    may: entry.may.names(keys::PATH_OPS),
                    at: place(&entry.at),
                })
                .collect()
        }),
        deny: guards(&layer.deny),
        hold: guards(&layer.hold),
        checks: layer.checks.iter().map(check).collect(),
    }
}

fn check(entry: &CheckLevel) -> CheckView {
    let word = |level: Level| keys::LEVELS[level as usize];
    let level = match entry.levels {
        Levels::Plain(level) => word(level).to_owned(),
        Levels::ByConfidence {
            certain,
            likely,
            possible,
        } => [
            ("certain", certain),
            ("likely", likely),
            ("possible", possible),
        ]
        .into_iter()
        .filter_map(|(name, level)| Some(format!("{name} {}", word(level?))))
        .collect::<Vec<_>>()
        .join(", "),
    };
    CheckView {
        name: entry.name.clone(),
        level,
        at: place(&entry.at),
    }
}
