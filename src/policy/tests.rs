use std::path::Path;

use super::*;

/// Every file of a folder of `testdata/policies/`, by name.
fn cases(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/policies")
        .join(folder);
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy();
            (name.into_owned(), std::fs::read(&path).expect("a file"))
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn valid_policies_are_valid() {
    for (name, text) in cases("valid") {
        if let Err(error) = Policy::parse(&name, &text, &Known::ANY) {
            panic!("{error}");
        }
    }
}
