//! `tests:` from nodes to questions that the policy must answer.

use super::diagnostic::{Log, quoted};
use super::keys::{self, TEST};
use super::read;
use super::{Expect, Home, Identity, TestCase};
use crate::finding::{PathOp, RefOp};
use crate::push::RefName;
use crate::yaml::Node;

pub(super) fn tests<'t>(
    node: &Node<'t>,
    identities: &[Identity],
    log: &mut Log<'t>,
) -> Vec<TestCase> {
    let items = read::list(node, "`tests`", log).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| test(item, identities, log))
        .collect()
}

fn test<'t>(node: &Node<'t>, identities: &[Identity], log: &mut Log<'t>) -> Option<TestCase> {
    let fields = read::fields(node, TEST, "a test", node.at, log)?;
    let identity = fields.get("as").and_then(|node| {
        let name = read::text(node, "`as`", log)?;
        let found = identities.iter().find(|identity| identity.name == name);
        if found.is_none() && !identities.is_empty() {
            log.error(
                node.at,
                format!("identity `{}` is not defined", quoted(name)),
            )
            .suggest(
                name,
                identities.iter().map(|identity| identity.name.as_str()),
            );
        }
        found
    });
    let name = fields.get("ref").and_then(|node| {
        let name = read::text(node, "`ref`", log)?;
        RefName::new(name)
            .map_err(|error| {
                log.error(node.at, format!("the ref `{}` {error}", quoted(name)));
            })
            .ok()
    });
    let op = fields
        .get("op")
        .and_then(|node| read::choice(node, keys::REF_OPS, "`op`", log))
        .map(|index| [RefOp::Create, RefOp::Update, RefOp::Force, RefOp::Delete][index]);
    let repository = fields
        .get("repository")
        .and_then(|node| read::text(node, "`repository`", log))
        .map(str::to_owned);
    if let Some(identity) = identity
        && matches!(&identity.home, Home::Listed(listed) if !listed.is_empty())
        && repository.is_none()
    {
        log.error(
            node.at,
            format!(
                "this test needs a `repository`: `{}` has a boundary for each",
                quoted(&identity.name)
            ),
        );
    }
    let mut changes = Vec::new();
    if let Some(node) = fields.get("change") {
        for node in read::one_or_more(node, "`change`", log) {
            changes.extend(read::text(node, "a change", log).and_then(|text| {
                change(text).or_else(|| {
                    log.error(node.at, format!("`{}` is not a change", quoted(text)))
                        .note("a change: an operation, a space and a path: `modify docs/a.md`")
                        .note(format!("operations: {}", keys::PATH_OPS.join(", ")));
                    None
                })
            }));
        }
    }
    let expect = fields
        .get("expect")
        .and_then(|node| read::choice(node, keys::VERDICTS, "`expect`", log))
        .map(|index| [Expect::Accept, Expect::Hold, Expect::Reject][index])?;
    Some(TestCase {
        identity: identity?.name.clone(),
        name: name?,
        op,
        repository,
        changes,
        expect,
        line: node.at.line,
    })
}

/// `modify docs/a.md`
pub(super) fn change(text: &str) -> Option<(PathOp, String)> {
    let (op, path) = text.split_once(' ')?;
    let op = path_op(op)?;
    (!path.is_empty()).then(|| (op, path.to_owned()))
}

/// The operation with this name.
pub(super) fn path_op(name: &str) -> Option<PathOp> {
    let index = keys::PATH_OPS.iter().position(|word| *word == name)?;
    Some(
        [
            PathOp::Add,
            PathOp::Modify,
            PathOp::Delete,
            PathOp::Mode,
            PathOp::Symlink,
            PathOp::Submodule,
        ][index],
    )
}
