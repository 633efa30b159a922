//! A whole history through the scan: every blob of a repository, commit and tag messages too, read by
//! `git cat-file --batch`.

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rayon::prelude::*;

use crate::tally::Tally;

/// Objects are taken in lots of about this size: enough for all cores, small enough for memory.
const LOT_BYTES: usize = 32 << 20;

/// Scans the repository and prints the figures.
pub(crate) fn print(repository: &Path, show: usize) -> Result<(), String> {
    let paths = paths(repository)?;
    let mut child = git(repository)
        .args([
            "cat-file",
            "--batch-all-objects",
            "--batch",
            "--unordered",
            "--buffer",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("git does not start: {error}"))?;
    let mut objects = BufReader::new(child.stdout.take().ok_or("no output of git")?);
    let mut tally = Tally::default();
    loop {
        let mut lot = Vec::new();
        let mut bytes = 0;
        while bytes < LOT_BYTES
            && let Some((id, kind, content)) = next(&mut objects)?
        {
            bytes += content.len();
            if kind != "tree" {
                lot.push((id, content));
            }
        }
        if bytes == 0 {
            break;
        }
        let of_lot = lot
            .par_iter()
            .map(|(id, content)| {
                let name = match paths.get(id) {
                    Some(path) => [&id.as_bytes()[..8], b" ", path].concat(),
                    None => id.as_bytes()[..8].to_vec(),
                };
                Tally::of(&name, content)
            })
            .reduce(Tally::default, Tally::and);
        tally = tally.and(of_lot);
    }
    let ended = child.wait().map_err(|error| error.to_string())?;
    if !ended.success() {
        return Err(format!("git cat-file: {ended}"));
    }
    tally.print(&repository.display().to_string(), show);
    Ok(())
}

fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository);
    command
}

/// Where each blob of the history stands; one place is enough to find it.
fn paths(repository: &Path) -> Result<HashMap<String, Vec<u8>>, String> {
    let listed = git(repository)
        .args(["rev-list", "--objects", "--all"])
        .output()
        .map_err(|error| format!("git does not start: {error}"))?;
    if !listed.status.success() {
        return Err(format!(
            "{}: git rev-list: {}",
            repository.display(),
            listed.status
        ));
    }
    let line = |line: &[u8]| {
        let space = memchr::memchr(b' ', line)?;
        let id = String::from_utf8(line[..space].to_vec()).ok()?;
        Some((id, line[space + 1..].to_vec()))
    };
    Ok(listed
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(line)
        .collect())
}

/// The next object: `ID SP KIND SP SIZE LF`, the content, LF.
fn next(objects: &mut impl std::io::BufRead) -> Result<Option<(String, String, Vec<u8>)>, String> {
    let mut head = String::new();
    objects
        .read_line(&mut head)
        .map_err(|error| error.to_string())?;
    if head.is_empty() {
        return Ok(None);
    }
    let mut words = head.split_whitespace();
    let (Some(id), Some(kind), Some(size)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("git cat-file says: {}", head.trim_end()));
    };
    let size: u64 = size
        .parse()
        .map_err(|_| format!("git cat-file says: {}", head.trim_end()))?;
    let mut content = Vec::new();
    let read = objects
        .by_ref()
        .take(size + 1)
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    if read as u64 != size + 1 || content.pop() != Some(b'\n') {
        return Err(format!("git cat-file ends inside {id}"));
    }
    Ok(Some((id.to_owned(), kind.to_owned(), content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_one_by_one() {
        let mut stream: &[u8] = b"0a blob 3\na\nb\n0b commit 0\n\n";
        assert_eq!(
            next(&mut stream).unwrap(),
            Some(("0a".into(), "blob".into(), b"a\nb".to_vec()))
        );
        assert_eq!(
            next(&mut stream).unwrap(),
            Some(("0b".into(), "commit".into(), Vec::new()))
        );
        assert_eq!(next(&mut stream).unwrap(), None);
        assert!(next(&mut b"0a missing\n".as_slice()).is_err());
        assert!(next(&mut b"0a blob 9\nab\n".as_slice()).is_err());
    }
}
