//! What a boundary answers to one change, why, and what would have to change for it to pass.

use super::boundary::{Allows, Answer, Boundary, Layer, Target};
use super::keys;
use super::{Expect, Kind};
use crate::finding::{PathOp, PolicyAt, RefOp};

/// The answer to one question, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What was asked: `update refs/heads/main`.
    pub asked: String,
    /// The answer.
    pub answer: Expect,
    /// Why, in a few words.
    pub why: String,
    /// The line that decided.
    pub at: PolicyAt,
    /// What would pass: other pushes first, then the smallest change to the policy.
    pub pass: Vec<String>,
}

/// The word for an operation on a ref.
pub fn ref_op_name(op: RefOp) -> &'static str {
    keys::REF_OPS[op as usize]
}

/// The word for an operation on a path.
pub fn path_op_name(op: PathOp) -> &'static str {
    keys::PATH_OPS[op as usize]
}

/// The operation on a ref with this name.
pub fn ref_op(name: &str) -> Option<RefOp> {
    [RefOp::Create, RefOp::Update, RefOp::Force, RefOp::Delete]
        .into_iter()
        .find(|op| ref_op_name(*op) == name)
}

/// The operation on a path with this name.
pub fn path_op(name: &str) -> Option<PathOp> {
    super::questions::path_op(name)
}

impl Boundary {
    /// Whether a ref may change this way; `None`: created or updated, whichever is allowed.
    pub fn explain_ref(&self, name: &[u8], op: Option<RefOp>) -> Reason {
        let ops = match op {
            Some(op) => vec![op],
            None => vec![RefOp::Update, RefOp::Create],
        };
        let words: Vec<&str> = ops.iter().map(|op| ref_op_name(*op)).collect();
        let asked = format!("{} {}", words.join(" or "), name.escape_ascii());
        let answers: Vec<_> = ops.iter().map(|op| self.may_ref(name, *op)).collect();
        if let Some(allowed) = answers.iter().find(|answer| answer.is_allowed()) {
            return Reason {
                asked,
                answer: Expect::Accept,
                why: match allowed {
                    Answer::IfOwn(_) => "allowed for refs that it created, by the ledger",
                    _ => "allowed",
                }
                .to_owned(),
                at: allowed.at().clone(),
                pass: Vec::new(),
            };
        }
        let at = answers[0].at().clone();
        let op = ops[0];
        let mut pass = Vec::new();
        if matches!(op, RefOp::Force) && self.may_ref(name, RefOp::Update).is_allowed() {
            pass.push("rebase on what the ref holds now, so that it moves forward".to_owned());
        }
        let own = self.own_refs();
        if !own.is_empty() && !self.may_ref(name, RefOp::Update).is_allowed() {
            pass.push(format!("push to a ref that matches {}", own.join(" or ")));
        }
        let refusing = self.refusing(&at, |layer| layer.refs.as_ref());
        pass.extend(refusing.map(|(layer, allows)| {
            let near = allows.and_then(|allows| {
                allows
                    .entries
                    .iter()
                    .find(|entry| entry.targets.iter().any(|pattern| pattern.matches(name)))
            });
            suggestion(
                layer,
                "refs",
                near.map(|entry| (entry.at.line, entry.may.names(keys::REF_MAY))),
                &name.escape_ascii().to_string(),
                words[0],
            )
        }));
        Reason {
            asked,
            answer: Expect::Reject,
            why: format!("no entry of `refs` in boundary {} allows it", self.name()),
            at,
            pass,
        }
    }

    /// The freeze that holds a ref at this moment; `None`: nothing does.
    pub fn explain_freeze(&self, name: &[u8], now: jiff::Timestamp) -> Option<Reason> {
        let freeze = self.frozen(name, now)?;
        let reason = freeze.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        Some(Reason {
            asked: format!("move {} now", name.escape_ascii()),
            answer: Expect::Reject,
            why: format!("frozen {}{reason}", freeze.term()),
            at: freeze.at.clone(),
            pass: vec![
                "push when the freeze is over".to_owned(),
                format!("or take it out ({}:{})", freeze.at.file, freeze.at.line),
            ],
        })
    }

    /// Whether somebody of this kind may change a path this way.
    pub fn explain_path(&self, kind: Kind, path: &[u8], op: PathOp) -> Reason {
        let shown = path.escape_ascii().to_string();
        let asked = format!("{} {shown}", path_op_name(op));
        let reason = |answer, why: String, at: PolicyAt, pass| Reason {
            asked: asked.clone(),
            answer,
            why,
            at,
            pass,
        };
        if kind != Kind::Human && super::is_policy_path(path) {
            let at = PolicyAt {
                file: self.at().file.clone(),
                line: 0,
                what: "built in".into(),
            };
            let way = vec!["let a human change the policy".to_owned()];
            let why = "only a human may change the policy of a repository".to_owned();
            return reason(Expect::Reject, why, at, way);
        }
        // Anything but a folder that takes the place of a guarded folder replaces what is in it.
        let replaces_folder = !matches!(op, PathOp::Delete | PathOp::Mode);
        if let Some((id, at)) = self.denied(path, replaces_folder) {
            let way = vec![
                "leave this path out of the push".to_owned(),
                format!("or take it out of `deny: {id}` ({}:{})", at.file, at.line),
            ];
            return reason(Expect::Reject, format!("`deny: {id}` names it"), at, way);
        }
        let answer = self.may_path(path, op);
        if !answer.is_allowed() {
            let at = answer.at().clone();
            let mut pass = vec!["leave this path out of the push".to_owned()];
            let refusing = self.refusing(&at, |layer| layer.paths.as_ref());
            pass.extend(refusing.map(|(layer, allows)| {
                let near = allows.and_then(|allows| {
                    allows.entries.iter().find(|entry| {
                        entry
                            .targets
                            .iter()
                            .any(|target: &Target| target.matches(path))
                    })
                });
                suggestion(
                    layer,
                    "paths",
                    near.map(|entry| (entry.at.line, entry.may.names(keys::PATH_OPS))),
                    &shown,
                    path_op_name(op),
                )
            }));
            let why = format!("no entry of `paths` in boundary {} allows it", self.name());
            return reason(Expect::Reject, why, at, pass);
        }
        if let Some((id, at)) = self.held(path, replaces_folder) {
            let way = vec!["ask for an approval: `ringfence approve`".to_owned()];
            return reason(Expect::Hold, format!("`hold: {id}` names it"), at, way);
        }
        reason(
            Expect::Accept,
            "allowed".to_owned(),
            answer.at().clone(),
            Vec::new(),
        )
    }

    /// The layer that a refusal comes from, with its list.
    fn refusing<'a, T>(
        &'a self,
        at: &PolicyAt,
        allows: impl Fn(&'a Layer) -> Option<&'a Allows<T>>,
    ) -> Option<(&'a Layer, Option<&'a Allows<T>>)> {
        self.layers()
            .map(|layer| (layer, allows(layer)))
            .find(|(layer, allows)| match allows {
                Some(allows) => allows.at == *at,
                None => layer.at == *at,
            })
    }
}

/// The smallest change to the policy that would let one operation pass.
fn suggestion(
    layer: &Layer,
    list: &str,
    near: Option<(u32, Vec<&str>)>,
    name: &str,
    op: &str,
) -> String {
    let file = &layer.at.file;
    match near {
        Some((line, may)) => format!(
            "or write `may: [{}]` at {file}:{line}",
            may.into_iter().chain([op]).collect::<Vec<_>>().join(", ")
        ),
        None => format!(
            "or add `- {{ match: \"{name}\", may: [{op}] }}` to `{list}` of boundary {} ({file}:{})",
            layer.name, layer.at.line
        ),
    }
}
