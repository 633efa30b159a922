//! The list of suspended identities beside the ledger.
//!
//! Every entry carries the list as it stood, so the end of the ledger tells it. The file keeps it where the ledger was
//! rotated away and the new one is empty. Both are asked, and who is in either is suspended: a list that was edited, or
//! a crash between the two writes, never lets anybody go.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Largest list that is read, in bytes.
const LIST_MAX_BYTES: u64 = 4 << 20;

/// Names, and since when.
pub(super) type Names = BTreeMap<String, String>;

/// A file whose name is the ledger's and something more.
pub(super) fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger
        .file_name()
        .map_or_else(OsString::new, OsString::from);
    name.push(ending);
    ledger.with_file_name(name)
}

fn path(ledger: &Path) -> PathBuf {
    beside(ledger, ".suspended")
}

/// The list of the file; empty where there is none.
pub(super) fn read(ledger: &Path) -> io::Result<Names> {
    let file = match File::open(path(ledger)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Names::new()),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(LIST_MAX_BYTES).read_to_string(&mut text)?;
    let whole = text.split_once('\n').filter(|(list, seal)| {
        seal.strip_suffix('\n') == Some(HEXLOWER.encode(&Sha256::digest(list)).as_str())
    });
    let changed =
        || io::Error::other("the list of suspended identities beside it was changed by hand");
    let (list, _) = whole.ok_or_else(changed)?;
    serde_json::from_str(list).map_err(|_| changed())
}

/// Puts a list in the place of the one before, in one step.
pub(super) fn write(ledger: &Path, names: &Names) -> io::Result<()> {
    let path = path(ledger);
    if names.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let list = serde_json::to_string(names)?;
    let seal = HEXLOWER.encode(&Sha256::digest(&list));
    let draft = beside(ledger, ".suspended.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(format!("{list}\n{seal}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, &path))
}
