//! What git writes to a hook's standard input. It is client text: nothing of it was checked before.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use super::InputError;
use crate::budget::{Exhausted, Resource};
use crate::push::{Command, HashKind, Oid, RefName};
use crate::redact::Quoted;

/// Longest standard input taken, in bytes: 80,000 ref updates with names of usual length.
pub const INPUT_MAX_BYTES: usize = 8 << 20;

/// Reads to the end, or refuses.
pub(super) fn read_all(stdin: &mut dyn Read) -> Result<Vec<u8>, InputError> {
    let mut input = Vec::new();
    let bound = u64::try_from(INPUT_MAX_BYTES).unwrap_or(u64::MAX);
    stdin
        .take(bound.saturating_add(1))
        .read_to_end(&mut input)
        .map_err(InputError::Read)?;
    if input.len() > INPUT_MAX_BYTES {
        return Err(InputError::TooLong);
    }
    Ok(input)
}

/// Refuses more lines than the budget has ref updates, before any of them is looked at.
pub(super) fn check_count(input: &[u8], max_refs: u64) -> Result<(), InputError> {
    let lines = memchr::memchr_iter(b'\n', input).count();
    if u64::try_from(lines).unwrap_or(u64::MAX) > max_refs {
        return Err(InputError::Exhausted(Exhausted {
            resource: Resource::Refs,
            limit: max_refs,
        }));
    }
    Ok(())
}

/// Parses what git writes to pre-receive and post-receive: `<old> SP <new> SP <ref> LF` a line.
///
/// Strict, because the three fields are client text: a hostile client can put a newline into a ref name and so
/// write lines of its own. Any deviation refuses the whole push, never "the last one wins". With `hash` given,
/// ids must have its length; otherwise all ids must have the length of the first.
pub fn read_commands(input: &[u8], hash: Option<HashKind>) -> Result<Vec<Command>, InputError> {
    let mut hash = hash;
    let mut names = HashSet::new();
    lines(input)?
        .map(|(number, line)| {
            let odd = |problem: Cow<'static, str>, bytes: &[u8]| refuse(number, problem, bytes);
            let mut fields = line.split(|byte| *byte == b' ');
            let (Some(old), Some(new), Some(name), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(odd("does not hold exactly two spaces".into(), line));
            };
            let old = object_id(old, &mut hash).map_err(|problem| odd(problem, old))?;
            let new = object_id(new, &mut hash).map_err(|problem| odd(problem, new))?;
            command(number, name, old, new, &mut names)
        })
        .collect()
}

/// The lines of an input that must have some, counted from 1, without their ends.
pub(super) fn lines(input: &[u8]) -> Result<impl Iterator<Item = (usize, &[u8])>, InputError> {
    let Some(body) = input.strip_suffix(b"\n") else {
        if input.is_empty() {
            return Err(InputError::Empty);
        }
        let last = memchr::memrchr(b'\n', input).map_or(0, |at| at + 1);
        let number = memchr::memchr_iter(b'\n', input).count() + 1;
        return Err(refuse(number, "has no line end".into(), &input[last..]));
    };
    Ok(body
        .split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line)))
}

/// One object id, `None` for the zero id. The first id settles the length of all others.
pub(super) fn object_id(
    hex: &[u8],
    hash: &mut Option<HashKind>,
) -> Result<Option<Oid>, Cow<'static, str>> {
    let found = match hex.len() {
        40 => HashKind::Sha1,
        64 => HashKind::Sha256,
        _ => return Err("holds an object id that is not 40 or 64 digits long".into()),
    };
    match *hash {
        None => *hash = Some(found),
        Some(expected) if expected != found => {
            return Err(format!(
                "holds an object id of {} digits where {} are expected",
                hex.len(),
                expected.len_in_hex()
            )
            .into());
        }
        Some(_) => {}
    }
    // git writes lower case alone; an upper-case digit came from something else.
    if !hex
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err("holds an object id with other bytes than lower-case hex digits".into());
    }
    match Oid::from_hex(hex) {
        Ok(id) if id.is_null() => Ok(None),
        Ok(id) => Ok(Some(id)),
        Err(_) => Err("holds an object id that cannot be read".into()),
    }
}

/// Joins the parts of one line, once the name is good and was not seen before.
pub(super) fn command(
    number: usize,
    name: &[u8],
    claimed_old: Option<Oid>,
    new: Option<Oid>,
    names: &mut HashSet<RefName>,
) -> Result<Command, InputError> {
    let valid = RefName::new(name)
        .map_err(|error| refuse(number, format!("names a ref that {error}").into(), name))?;
    if claimed_old.is_none() && new.is_none() {
        return Err(refuse(
            number,
            "asks to delete a ref that does not exist (both ids are zero)".into(),
            name,
        ));
    }
    if !names.insert(valid.clone()) {
        return Err(refuse(number, "names a ref a second time".into(), name));
    }
    Ok(Command {
        name: valid,
        claimed_old,
        new,
    })
}

/// The error for one line.
pub(super) fn refuse(number: usize, problem: Cow<'static, str>, bytes: &[u8]) -> InputError {
    InputError::Line {
        number,
        problem,
        shown: Quoted(bytes).to_string(),
    }
}

#[cfg(test)]
mod tests;
