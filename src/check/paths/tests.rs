use super::names::unportable;
use super::*;

#[test]
fn link_targets_inside_the_tree_pass() {
    for (link, target) in [
        ("a", "b"),
        ("docs/a", "../src/b"),
        ("a/b/c", "../../d"),
        ("a", "./b/../c"),
    ] {
        assert_eq!(
            odd_target(BStr::new(link), target.as_bytes()),
            None,
            "{link} -> {target}"
        );
    }
    for (link, target) in [
        ("a", "/etc/passwd"),
        ("a", "../b"),
        ("docs/a", "../../b"),
        ("a", ".git/config"),
        ("a", "x/../.GIT/hooks"),
        ("a", "./../b"),
        ("docs/a", "..//../b"),
        ("a", "C:\\x"),
        ("a", "..\\x"),
    ] {
        assert!(
            odd_target(BStr::new(link), target.as_bytes()).is_some(),
            "{link} -> {target}"
        );
    }
}

#[test]
fn names_that_windows_cannot_hold_are_told() {
    for name in [
        "con", "NUL.txt", "a\\b", "C:x", "a.", "a ", "a::$DATA", "com1", "LPT9.c",
    ] {
        assert!(unportable(name.as_bytes()).is_some(), "{name}");
    }
    for name in [
        "console",
        "null.c",
        "com",
        "common.rs",
        "a.b",
        ".gitignore",
        "aux-file.c",
    ] {
        assert!(unportable(name.as_bytes()).is_none(), "{name}");
    }
}
