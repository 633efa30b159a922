//! A policy as a file, before it is read as one.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{At, Log, quoted};
use super::{POLICY_MAX_BYTES, PolicyError};
use crate::yaml;

/// The name of a file without its folder, and its bytes: at most one more than a policy may have.
pub(super) fn read_file(path: &Path) -> Result<(String, Vec<u8>), PolicyError> {
    let name = path
        .file_name()
        .map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy())
        .into_owned();
    let unreadable = |why: &dyn std::fmt::Display| {
        PolicyError::of_file(&name, format!("the policy cannot be read: {why}"))
    };
    // Asked before it is opened: opening a pipe would wait for a writer.
    let meta = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !meta.is_file() {
        return Err(unreadable(&"it is not a regular file"));
    }
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mut text = Vec::new();
    file.take(POLICY_MAX_BYTES as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(&error))?;
    Ok((name, text))
}

/// The text, if it is one.
pub(super) fn checked_text<'t>(file: &Arc<str>, text: &'t [u8]) -> Result<&'t str, PolicyError> {
    if text.len() > POLICY_MAX_BYTES {
        return Err(PolicyError::of_file(
            file,
            format!("the policy is larger than {POLICY_MAX_BYTES} bytes"),
        ));
    }
    std::str::from_utf8(text).map_err(|error| {
        let line = 1 + memchr::memchr_iter(b'\n', &text[..error.valid_up_to()]).count();
        PolicyError::of_file(file, format!("line {line} is not UTF-8"))
    })
}

/// A file that left no value has at least one mistake.
pub(super) fn failed(log: Log<'_>, file: &Arc<str>) -> PolicyError {
    match log.finish(file) {
        Err(error) => error,
        Ok(_) => PolicyError::of_file(file, "the policy is invalid"),
    }
}

/// Checks the version alone: a later one may have other keys.
pub(super) fn check_version(node: &yaml::Node<'_>, log: &mut Log<'_>) -> Option<()> {
    let yaml::Value::Map(entries) = &node.value else {
        log.error(
            node.at,
            format!("a policy must be a map of keys, not {}", node.value.kind()),
        );
        return None;
    };
    let Some((_, version)) = entries.iter().find(|(key, _)| key.name == "version") else {
        log.error(
            At {
                line: 1,
                column: 1,
                width: 1,
            },
            "the policy has no `version`",
        )
        .note("start it with `version: 1`");
        return None;
    };
    match &version.value {
        yaml::Value::Scalar(text) if text == "1" => Some(()),
        yaml::Value::Scalar(text) => {
            log.error(version.at, format!("version `{}` is unknown", quoted(text)))
                .note("this program knows version 1");
            None
        }
        other => {
            log.error(
                version.at,
                format!("`version` must be 1, not {}", other.kind()),
            );
            None
        }
    }
}
