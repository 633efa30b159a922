//! Rule packs of a user: compiled once, kept in a cache that is named by their content, and used beside the rules of
//! the program. A rule with the id of one of the program's takes its place.

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::compile::{self, FILE_MAX_BYTES, Form, GUARDS, RANKS, Rule};
use super::grams::Common;
use super::rules::{self, BUILTIN, Guard, Pack, Rank, SecretRule};
use crate::finding::Confidence;
use crate::order::Order as _;

/// Rule files of one pack, and their bytes together.
const FILES_MAX: usize = 5_000;
const BYTES_MAX: u64 = 32 << 20;

/// A cache larger than this, in bytes, is none of ours.
const CACHE_MAX_BYTES: u64 = 64 << 20;

/// Of the cache file. Another number: compiled anew.
const FORMAT: u32 = 1;

/// A compiled pack of other paths that was written so long ago is taken for one that nobody needs.
const CACHE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A file that was not finished in this time was left by a process that was killed.
const PASSING_KEPT: Duration = Duration::from_secs(3600);

/// Hash functions tried for a user's pack. Fewer than at build time: somebody waits.
const HASH_TRIES: u32 = 20;

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A folder or file cannot be read.
    #[error("{0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// A pipe, a socket or a device: reading it may never end.
    #[error("{0}: is neither a folder nor a file")]
    NoFile(PathBuf),
    /// No rule file is there.
    #[error("{0}: no rule file (*.yaml) in it")]
    Empty(PathBuf),
    /// Too many files, or too many bytes of them.
    #[error(
        "{0}: more than {FILES_MAX} rule files, {FILE_MAX_BYTES} bytes in one or {BYTES_MAX} in all"
    )]
    TooMuch(PathBuf),
    /// Rules that are not right, one line each.
    #[error("{}", .0.join("\n"))]
    Rules(Vec<String>),
    /// Another pack is in use already.
    #[error("another rule pack is in use already")]
    InUse,
}

impl PackError {
    /// One line without the folders of the packs, fit for a pusher who cannot mend it.
    pub fn brief(&self, packs: &[PathBuf]) -> String {
        let mut text = match self {
            PackError::Rules(lines) => {
                let more = match lines.len().saturating_sub(1) {
                    0 => String::new(),
                    more => format!(" (and {more} more)"),
                };
                format!("{}{more}", lines.first().map_or("", String::as_str))
            }
            other => other.to_string(),
        };
        // The longer first: a folder of files may itself be a pack.
        for folder in packs.iter().map(PathBuf::as_path) {
            text = text.replace(&format!("{}/", folder.display()), "");
        }
        for folder in packs.iter().filter_map(|pack| pack.parent()) {
            if folder.parent().is_some() {
                text = text.replace(&format!("{}/", folder.display()), "");
            }
        }
        text.replace('\n', " ")
    }
}

/// What packs bring, see [`examine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// Rules that the program does not have.
    pub added: usize,
    /// Rules that take the place of one of the program's.
    pub replaced: usize,
}

impl std::fmt::Display for Examined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rules = |count: usize| if count == 1 { "rule" } else { "rules" };
        let Examined { added, replaced } = *self;
        write!(f, "{added} {} added", rules(added))?;
        match replaced {
            0 => Ok(()),
            _ => write!(f, ", {replaced} {} replaced", rules(replaced)),
        }
    }
}

/// Reads packs and checks every rule, without the cost of compiling them.
pub fn examine(paths: &[PathBuf]) -> Result<Examined, PackError> {
    let rules = checked(&read_files(paths)?)?;
    let is_replaced = |rule: &&Rule| BUILTIN.find(&rule.id).is_some();
    let replaced = rules.iter().filter(is_replaced).count();
    Ok(Examined {
        added: rules.len() - replaced,
        replaced,
    })
}

static ACTIVE: OnceLock<&'static Pack> = OnceLock::new();

/// The pack that this process uses: that of [`use_pack`], or the program's own.
pub fn active() -> &'static Pack {
    match ACTIVE.get() {
        Some(pack) => pack,
        None => &BUILTIN,
    }
}

/// Makes a pack that of this process. Once, before anything is scanned: a push is judged by one pack.
pub fn use_pack(pack: &'static Pack) -> Result<(), PackError> {
    let used = *ACTIVE.get_or_init(|| pack);
    match std::ptr::eq(used, pack) {
        true => Ok(()),
        false => Err(PackError::InUse),
    }
}

/// The rules of the program and those in the folders and files given. `cache`: a folder that only who runs this can
/// write, or it is not used; the compiled pack is kept there. The pack stays in memory until the process ends.
pub fn load(paths: &[PathBuf], cache: Option<&Path>) -> Result<&'static Pack, PackError> {
    let files = read_files(paths)?;
    let places = paths.iter().map(|path| path.display().to_string());
    let family = format!("rules-{}-", digest("paths", places));
    let cached = cache.filter(|folder| is_ours_alone(folder)).map(|folder| {
        let parts = files.iter().flat_map(|(name, text)| [name, text]);
        let own = format!("{} {}", env!("CARGO_PKG_VERSION"), BUILTIN.checksum());
        let name = digest(&format!("{FORMAT} {own}"), parts);
        folder.join(format!("{family}{name}.pack"))
    });
    if let Some(pack) = cached.as_ref().and_then(|path| read_cache(path)) {
        return Ok(pack);
    }
    let bytes = compiled(&files)?;
    // Without a cache it is only slower.
    if let Some(path) = cached
        && write_cache(&path, &bytes).is_ok()
    {
        remove_stale(&path, &family);
    }
    let pack = Pack::of(Vec::leak(bytes)).expect("it was compiled just now");
    Ok(Box::leak(Box::new(pack)))
}

fn read_files(paths: &[PathBuf]) -> Result<Vec<(String, String)>, PackError> {
    let mut files = Vec::new();
    let mut bytes = 0;
    for path in paths {
        let wrong = |error| PackError::Read(path.clone(), error);
        let mut found = vec![path.clone()];
        if fs::metadata(path).map_err(wrong)?.is_dir() {
            let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(wrong)?.collect();
            let entries = entries.map_err(wrong)?;
            found = entries.iter().map(fs::DirEntry::path).collect();
            found.retain(|path| {
                path.extension()
                    .is_some_and(|ending| ending == "yaml" || ending == "yml")
            });
            found.order();
            if found.is_empty() {
                return Err(PackError::Empty(path.clone()));
            }
        }
        for file in found {
            let name = file.display().to_string();
            // A file of a folder that is a pack too.
            if files.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let wrong = |error| PackError::Read(file.clone(), error);
            if !fs::metadata(&file).map_err(wrong)?.is_file() {
                return Err(PackError::NoFile(file));
            }
            let mut text = String::new();
            let opened = fs::File::open(&file).map_err(wrong)?;
            let read = opened.take(FILE_MAX_BYTES + 1).read_to_string(&mut text);
            bytes += read.map_err(wrong)? as u64;
            if text.len() as u64 > FILE_MAX_BYTES || bytes > BYTES_MAX || files.len() >= FILES_MAX {
                return Err(PackError::TooMuch(path.clone()));
            }
            files.push((name, text));
        }
    }
    Ok(files)
}

/// A name for these parts, each hashed with its length before it.
fn digest(kind: &str, parts: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    hash.update(kind);
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part.as_ref());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

/// The rules of these files, when all of them are right.
fn checked(files: &[(String, String)]) -> Result<Vec<Rule>, PackError> {
    let rules = compile::read(files).map_err(PackError::Rules)?;
    let mut errors = Vec::new();
    for rule in rules.iter().filter(|rule| rule.form != Form::Assigned) {
        if let Err(error) = rules::compiled(&rule.pattern) {
            let error = error.to_string().replace('\n', " ");
            let text = files.iter().find(|(name, _)| *name == rule.file);
            let line = text.map_or(1, |(_, text)| line_of(text, &rule.id));
            errors.push(format!("{}:{line}: {}: {error}", rule.file, rule.id));
        }
    }
    match errors.is_empty() {
        true => Ok(rules),
        false => Err(PackError::Rules(errors)),
    }
}

/// The line that names a rule.
fn line_of(text: &str, id: &str) -> usize {
    let names = |line: &str| {
        let words = line.split(|letter: char| !matches!(letter, 'a'..='z' | '0'..='9' | '-' | '/'));
        line.contains("id:") && words.into_iter().any(|word| word == id)
    };
    1 + text.lines().position(names).unwrap_or(0)
}

fn compiled(files: &[(String, String)]) -> Result<Vec<u8>, PackError> {
    let rules = checked(files)?;
    let replaced: HashSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let kept = BUILTIN.rules().filter(|rule| !replaced.contains(rule.id));
    let all: Vec<Rule> = kept.map(owned).chain(rules.iter().cloned()).collect();
    let too_many = || {
        PackError::Rules(vec![
            "more rules or keywords than a pack can hold".to_owned(),
        ])
    };
    compile::pack(&all, &common_grams(), HASH_TRIES).ok_or_else(too_many)
}

/// A rule of the program as the compiler takes it.
fn owned(rule: &'static SecretRule) -> Rule {
    let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let confidence = match rule.confidence {
        Confidence::Possible => "possible",
        Confidence::Likely | Confidence::Certain => "likely",
    };
    let rank = match rule.rank {
        Rank::Generic => RANKS[0],
        Rank::Context => RANKS[1],
        Rank::Vendor => RANKS[2],
    };
    let guard = match rule.guard {
        Guard::None => GUARDS[0],
        Guard::Assignment => GUARDS[1],
        Guard::Userinfo => GUARDS[2],
        Guard::Tilde => GUARDS[3],
    };
    let about = rule.about();
    Rule {
        id: rule.id.to_owned(),
        title: rule.title.to_owned(),
        provider: about.provider.to_owned(),
        description: about.description.to_owned(),
        form: rule.form,
        pattern: rule.pattern.to_owned(),
        captures: rule.captures,
        keywords: list(about.keywords),
        validator: rule.validator.name().to_owned(),
        confidence: confidence.to_owned(),
        prefix: rule.prefix.map(str::to_owned),
        reach: rule.reach,
        rank: rank.to_owned(),
        edges: rule.edges,
        guard: guard.to_owned(),
        ignore: list(rule.ignore),
        revoke: about.revoke.to_owned(),
        references: list(about.references),
        controls: list(about.controls),
        examples: list(about.examples),
        negatives: list(about.negatives),
        file: about.file.to_owned(),
    }
}

/// The pack, and a checksum behind it: a file that was cut or damaged is made anew.
fn read_cache(path: &Path) -> Option<&'static Pack> {
    let file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len().min(CACHE_MAX_BYTES);
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()? + 1);
    file.take(CACHE_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let sum = bytes.split_off(bytes.len().checked_sub(4)?);
    if crc32fast::hash(&bytes).to_le_bytes() != *sum {
        return None;
    }
    Some(Box::leak(Box::new(Pack::of(Vec::leak(bytes))?)))
}

/// Whether nobody else can write into the folder: its rules are trusted as they stand there.
fn is_ours_alone(folder: &Path) -> bool {
    // Who owns this process, as the kernel says.
    let (Ok(own), Ok(folder)) = (fs::metadata("/proc/self"), fs::metadata(folder)) else {
        return false;
    };
    folder.is_dir() && folder.mode() & 0o022 == 0 && [0, own.uid()].contains(&folder.uid())
}

/// What the build script was given. A stream that cannot be read makes a slower filter, not a wrong one.
fn common_grams() -> Common {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/common-grams.z"));
    let mut text = String::new();
    match flate2::read::ZlibDecoder::new(&packed[..]).read_to_string(&mut text) {
        Ok(_) => Common::read(&text),
        Err(_) => Common::default(),
    }
}

/// Removes compiled packs of the same paths that were made of other rules or by another version, and what killed
/// processes left. Hooks may run beside this one: what they have open they keep, and what is missing they make anew.
fn remove_stale(written: &Path, family: &str) {
    let Some(entries) = written
        .parent()
        .and_then(|folder| fs::read_dir(folder).ok())
    else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with("rules-")) else {
            continue;
        };
        let older = |than: Duration| {
            let age = entry.metadata().and_then(|meta| meta.modified());
            age.is_ok_and(|at| {
                SystemTime::now()
                    .duration_since(at)
                    .is_ok_and(|age| age > than)
            })
        };
        let is_stale = match name.rsplit_once('.') {
            Some((_, "pack")) => name.starts_with(family) || older(CACHE_KEPT),
            Some((_, "tmp")) => older(PASSING_KEPT),
            _ => false,
        };
        if is_stale && entry.path() != written {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Under another name first, so that nobody reads half of it.
fn write_cache(path: &Path, pack: &[u8]) -> std::io::Result<()> {
    let passing = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&passing)?;
    let wrote = file
        .write_all(pack)
        .and_then(|()| file.write_all(&crc32fast::hash(pack).to_le_bytes()))
        .and_then(|()| fs::rename(&passing, path));
    if wrote.is_err() {
        let _ = fs::remove_file(&passing);
    }
    wrote
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Bounds, Budget};
    use crate::scan::{Dice, Scanner, make_sample, test_pack};

    const RULES: &str = r#"
provider: Acme
references: [https://acme.invalid/docs]
revoke: 'Ask the admins.'
rules:
  - id: secret/acme-token
    title: 'Acme token'
    pattern: 'acme_[0-9a-f]{32}'
    keywords: ["acme_"]
    confidence: likely
    public_prefix: 'acme_'
    examples: ['acme_{hex:32}']
    negative: ['acme_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']
  - id: secret/github-pat
    title: 'replaced'
    pattern: 'gxp_[0-9A-Za-z]{36}'
    keywords: ["gxp_"]
    confidence: possible
    examples: ['gxp_{base62:36}']
    negative: ['gxp_']
"#;

    #[test]
    fn a_pack_adds_replaces_and_is_cached() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme.yaml"), RULES).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_path_buf()];
        let ids = |pack: &'static Pack, text: &str| -> Vec<&str> {
            let budget = Budget::new(Bounds::default());
            let told = Scanner::of(pack).scan(text.as_bytes(), &budget).unwrap();
            told.matches.iter().map(|found| found.rule.id).collect()
        };
        let sample = |format: &str| make_sample(format, &mut Dice::new(3)).unwrap();
        for round in 0..2 {
            let pack = load(&paths, Some(cache.path())).unwrap();
            assert_eq!(pack.len(), BUILTIN.len() + 1);
            assert_eq!(ids(pack, &sample("acme_{hex:32}")), ["secret/acme-token"]);
            assert!(ids(pack, &sample("ghp_{crc62:30}")).is_empty());
            assert_eq!(ids(pack, &sample("gxp_{base62:36}")), ["secret/github-pat"]);
            assert_eq!(
                ids(pack, &sample("npm_{crc62:30}")),
                ["secret/npm-access-token"]
            );
            assert_eq!(
                test_pack(pack, Some("secret/acme-token"), 2),
                Vec::<String>::new()
            );
            assert_eq!(
                fs::read_dir(cache.path()).unwrap().count(),
                1,
                "round {round}"
            );
            let examined = Examined {
                added: 1,
                replaced: 1,
            };
            assert_eq!(examine(&paths).unwrap(), examined);
        }
        // What others left there: that of other paths stays, what is no pack of ours too.
        let other = cache.path().join("rules-0-1.pack");
        fs::write(&other, b"").unwrap();
        fs::write(cache.path().join("policy.yaml"), b"").unwrap();
        // Another content is another pack; a damaged cache is made anew.
        fs::write(
            folder.path().join("acme.yaml"),
            RULES.replace("acme_", "acne_"),
        )
        .unwrap();
        let pack = load(&paths, Some(cache.path())).unwrap();
        assert_eq!(ids(pack, &sample("acne_{hex:32}")), ["secret/acme-token"]);
        // That of the same paths with other rules is gone.
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 3);
        assert!(other.exists());
        for entry in fs::read_dir(cache.path()).unwrap() {
            fs::write(entry.unwrap().path(), b"{}").unwrap();
        }
        let pack = load(&paths, Some(cache.path())).unwrap();
        assert_eq!(ids(pack, &sample("acne_{hex:32}")), ["secret/acme-token"]);
    }

    #[test]
    fn a_folder_that_others_can_write_is_no_cache() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme.yaml"), RULES).unwrap();
        let cache = tempfile::tempdir().unwrap();
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(load(&[folder.path().to_path_buf()], Some(cache.path())).is_ok());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let told = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("acme.yaml");
            fs::write(&path, text).unwrap();
            match load(&[path], None) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            }
        };
        for (from, to, says) in [
            (
                "'acme_[0-9a-f]{32}'",
                "'acme_[0-9a-f]+'",
                "acme.yaml:8: the pattern has no bound",
            ),
            (
                "'acme_[0-9a-f]{32}'",
                "'acme_[0-9'",
                "acme.yaml:8: the pattern is not a regex",
            ),
            (
                "'acme_[0-9a-f]{32}'",
                "'acme_(?:ab|cd|ef|gh|ij|kl|mn|op|qr|st|uv|wx|yz|01|23|45|67|89){0,1000}'",
                "acme.yaml:6: secret/acme-token: ",
            ),
            (
                "\"acme_\"",
                "\"ac\"",
                "acme.yaml:6: the keyword `ac` is not 4 to 64 bytes",
            ),
            (
                "confidence: likely",
                "confidence: sure",
                "confidence `sure` is not one of",
            ),
            (
                "title: 'Acme token'",
                "titel: 'Acme token'",
                "acme.yaml:7: ",
            ),
            ("provider: Acme", "provider: [", "acme.yaml:"),
            ("secret/acme-token", "acme token", "kebab-case"),
            ("secret/acme-token", "secret/github-pat", "is already in"),
        ] {
            assert!(RULES.contains(from));
            let error = told(&RULES.replacen(from, to, 1));
            assert!(error.contains(says), "{to}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let missing = load(&[PathBuf::from("/nowhere/at/all")], None);
        assert!(matches!(missing, Err(PackError::Read(..))));
        let empty = tempfile::tempdir().unwrap();
        let none = load(&[empty.path().to_path_buf()], None);
        assert!(matches!(none, Err(PackError::Empty(_))));
    }
}
