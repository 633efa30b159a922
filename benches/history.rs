//! Realistic histories: successive published versions of crates, committed one after another with branches and merges, and
//! packed as a server packs them.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The versions of one crate, oldest first.
pub(crate) struct Series {
    pub name: String,
    pub versions: Vec<PathBuf>,
}

/// Crates of which the folders hold more than one version: `benches/versions` fetches such below `target/versions`; what
/// cargo has unpacked on this machine does too.
pub(crate) fn series(folders: &[PathBuf]) -> Vec<Series> {
    let mut found: BTreeMap<String, BTreeMap<Vec<u64>, PathBuf>> = BTreeMap::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let Some((name, version)) = name.rsplit_once('-') else {
                continue;
            };
            let numbers: Vec<Option<u64>> =
                version.split('.').map(|part| part.parse().ok()).collect();
            if let Some(numbers) = numbers.into_iter().collect::<Option<Vec<u64>>>() {
                found
                    .entry(name.to_owned())
                    .or_default()
                    .insert(numbers, path);
            }
        }
    }
    found
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| Series {
            name,
            versions: versions.into_values().collect(),
        })
        .collect()
}

/// One state of a tree: its files.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// Writes a bare repository. Every state is a commit on `main`; each fourth one goes by a branch and a merge. `None`: the
/// folder stays as it was in the state before.
pub(crate) fn write(repo: &Path, steps: impl Iterator<Item = BTreeMap<String, Files>>) {
    git(repo, &["init", "-q", "--bare", "-b", "main", "."]);
    let mut import = Command::new("git");
    let mut import = import
        .args(["-C"])
        .arg(repo)
        .args(["fast-import", "--quiet", "--max-pack-size=4g"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut out = BufWriter::new(import.stdin.take().expect("it was asked for"));
    let mut mark = 0;
    let mut main = 0;
    for (number, folders) in steps.enumerate() {
        let by_branch = number % 4 == 3 && main > 0;
        let name = if by_branch { "topic" } else { "main" };
        mark += 1;
        commit(&mut out, name, mark, number, main, None, &folders);
        if by_branch {
            // Meanwhile something small happened on main, so that the merge is one.
            let note = vec![("note".to_owned(), format!("step {number}\n").into_bytes())];
            let notes = BTreeMap::from([("notes".to_owned(), note)]);
            commit(&mut out, "main", mark + 1, number, main, None, &notes);
            commit(
                &mut out,
                "main",
                mark + 2,
                number,
                mark + 1,
                Some(mark),
                &folders,
            );
            mark += 2;
        }
        main = mark;
    }
    out.write_all(b"done\n").expect("git reads");
    drop(out);
    assert!(import.wait().expect("git ends").success());
    git(repo, &["repack", "-adfq", "--depth=50", "--window=10"]);
}

fn commit(
    out: &mut impl Write,
    branch: &str,
    mark: u64,
    number: usize,
    from: u64,
    merged: Option<u64>,
    folders: &BTreeMap<String, Files>,
) {
    let time = 1_600_000_000 + mark * 3_600;
    let author = [
        "alice <alice@example.com>",
        "docs-bot <docs-bot@agents.example>",
    ][number % 2];
    let message = format!("Step {number}");
    let mut text = format!(
        "commit refs/heads/{branch}\nmark :{mark}\nauthor {author} {time} +0000\ncommitter {author} {time} +0000\n\
         data {}\n{message}\n",
        message.len()
    );
    if from > 0 {
        text += &format!("from :{from}\n");
    }
    if let Some(merged) = merged {
        text += &format!("merge :{merged}\n");
    }
    out.write_all(text.as_bytes()).expect("git reads");
    for (folder, files) in folders {
        writeln!(out, "D {folder}").expect("git reads");
        for (path, bytes) in files {
            writeln!(out, "M 100644 inline {folder}/{path}\ndata {}", bytes.len())
                .expect("git reads");
            out.write_all(bytes).expect("git reads");
            out.write_all(b"\n").expect("git reads");
        }
    }
    out.write_all(b"\n").expect("git reads");
}

/// The states of a repository that holds some crates: in each step the next version of each.
pub(crate) fn steps(
    series: &[&Series],
    most: usize,
) -> impl Iterator<Item = BTreeMap<String, Files>> {
    let count = series
        .iter()
        .map(|one| one.versions.len())
        .max()
        .unwrap_or(0);
    (0..count.min(most)).map(move |step| {
        let of = series.iter().filter_map(|one| {
            let path = one.versions.get(step)?;
            let mut files = Files::new();
            read(path, path, &mut files);
            files.sort();
            Some((one.name.clone(), files))
        });
        of.collect()
    })
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for path in std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() {
            read(root, &path, files);
        } else if let (Ok(bytes), Ok(name)) = (std::fs::read(&path), path.strip_prefix(root)) {
            let name = name.to_string_lossy().into_owned();
            // What fast-import would take for quoting is left out.
            if !name.contains(['"', '\n']) && name != ".cargo-ok" {
                files.push((name, bytes));
            }
        }
    }
}

/// Runs git, which must succeed.
pub(crate) fn git(repo: &Path, args: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(repo)
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .status();
    assert!(status.expect("git is installed").success(), "git {args:?}");
}
