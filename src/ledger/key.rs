//! The server's key for fingerprints: 32 random bytes in a file beside the ledger.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::LedgerError;
use crate::redact::FingerprintKey;

/// Name of the file, in the ledger's folder.
const KEY_FILE: &str = "fingerprint.key";

/// Reads the key beside the ledger; the first push makes it. Pushes that come at the same moment agree on one.
pub fn key_beside(ledger: &Path) -> Result<FingerprintKey, LedgerError> {
    let folder = folder_of(ledger);
    let path = folder.join(KEY_FILE);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(folder, &path).map_err(LedgerError::Key)?;
            read(&path)
        }
        found => found,
    }
    .map_err(LedgerError::Key)
}

/// Reads the key beside the ledger, and makes none: `None` where there is none that this account may read.
pub fn existing_key_beside(ledger: &Path) -> Option<FingerprintKey> {
    read(&folder_of(ledger).join(KEY_FILE)).ok()
}

fn folder_of(ledger: &Path) -> &Path {
    match ledger.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Reads the key in this very file.
pub fn key_in(path: &Path) -> Result<FingerprintKey, LedgerError> {
    read(path).map_err(LedgerError::Key)
}

/// A key of this run alone, where nothing is recorded.
pub fn passing_key() -> Result<FingerprintKey, LedgerError> {
    random().map(FingerprintKey::new).map_err(LedgerError::Key)
}

fn read(path: &Path) -> io::Result<FingerprintKey> {
    let mut bytes = Vec::with_capacity(33);
    File::open(path)?.take(33).read_to_end(&mut bytes)?;
    match <[u8; 32]>::try_from(bytes) {
        Ok(key) => Ok(FingerprintKey::new(key)),
        Err(_) => Err(io::Error::other("it does not hold 32 bytes")),
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn make(folder: &Path, path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let name = data_encoding::HEXLOWER.encode(&random::<8>()?);
    let draft = folder.join(format!(".{KEY_FILE}.{name}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let made = file
        .write_all(&random::<32>()?)
        .and_then(|()| file.sync_all())
        // A link never replaces: whoever comes second reads the key of the first.
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
