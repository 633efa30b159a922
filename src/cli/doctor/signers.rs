//! The files with the keys that may sign.

use super::super::install::lines::{Lines, shown};
use super::check_rights;
use crate::identity::signature::Signers;
use crate::policy::SignerFiles;

/// Keys that cannot be read refuse every push that is asked for signatures. And who can change a file of keys can sign.
pub(super) fn check(files: &SignerFiles, lines: &mut Lines<'_>) {
    for file in files.files() {
        check_rights(file, lines);
    }
    match Signers::examine(files) {
        Ok((signers, notes)) => {
            let (ssh, openpgp) = signers.counts();
            lines.ok(format_args!(
                "the keys that may sign: {ssh} allowed signers of ssh, {openpgp} OpenPGP keys"
            ));
            for note in notes {
                lines.warning(note, "mend it, or take it out");
            }
        }
        Err(why) => lines.error(
            format_args!("every push that is asked for signatures is refused: {why}"),
            format_args!(
                "put the file right, so that the account that runs git can read it: {}",
                files
                    .files()
                    .map(|file| shown(file).to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        ),
    }
}
