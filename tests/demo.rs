//! `ringfence demo` as a person runs it.

use std::fs;

use crate::world::{World, both};

#[test]
fn the_demo_shows_every_verdict_and_leaves_nothing_behind() {
    let world = World::new();
    let scratch = world.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let mut command = world.ringfence_command(&scratch);
    let output = command
        .arg("demo")
        .env("TMPDIR", &scratch)
        .output()
        .unwrap();
    let shown = both(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for headline in ["push rejected", "push held", "push not judged"] {
        assert!(
            shown.contains(&format!("remote: error: {headline}")),
            "{shown}"
        );
    }
    assert!(!shown.contains("NOT AS EXPECTED"), "{shown}");
    assert_eq!(
        fs::read_dir(&scratch).unwrap().count(),
        0,
        "something is left"
    );
}
