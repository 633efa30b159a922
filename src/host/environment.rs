//! Named variables of the host, bounded and checked.

use super::InputError;
use crate::repo::Vars;

/// Longest value taken, in bytes. No account, repository or path name of any host comes near it.
const VALUE_MAX_BYTES: usize = 4096;

/// The process environment, read by name alone.
pub(super) struct Environment<'a>(pub(super) Vars<'a>);

impl Environment<'_> {
    /// The value of one variable. Empty is the same as unset: hosts write `NAME=` for "none".
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, InputError> {
        let refuse = |problem| Err(variable(name, problem));
        let Some(value) = (self.0)(name) else {
            return Ok(None);
        };
        if value.len() > VALUE_MAX_BYTES {
            return refuse("is longer than 4096 bytes");
        }
        match value.into_string() {
            Err(_) => refuse("is not UTF-8"),
            Ok(value) if value.chars().any(char::is_control) => refuse("holds a control character"),
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
        }
    }

    /// The value of one variable that must be there.
    pub(super) fn require(&self, name: &str) -> Result<String, InputError> {
        self.get(name)?
            .ok_or_else(|| variable(name, "is missing or empty"))
    }

    /// A variable that holds a whole number, as hosts write ids.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, InputError> {
        self.get(name)?
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| variable(name, "is not a whole number"))
            })
            .transpose()
    }

    /// Whether a variable holds `true`.
    pub(super) fn is_true(&self, name: &str) -> Result<bool, InputError> {
        Ok(self.get(name)?.is_some_and(|value| value == "true"))
    }
}

/// The error for one variable. The value itself is never shown.
pub(super) fn variable(name: &str, problem: &'static str) -> InputError {
    InputError::Variable {
        name: crate::redact::Quoted(name.as_bytes()).to_string(),
        problem,
    }
}
