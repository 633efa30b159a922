//! Standard input: the raw-protocol table, and a slow reference.

use proptest::prelude::*;

use super::*;

const A: &str = "1111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222";
const ZERO: &str = "0000000000000000000000000000000000000000";
const LONG: &str = "abababababababababababababababababababababababababababababababab";

fn refused(input: impl AsRef<[u8]>) -> String {
    read_commands(input.as_ref(), None).unwrap_err().to_string()
}

#[test]
fn create_update_delete() {
    let input = format!("{ZERO} {A} refs/heads/a\n{A} {B} refs/heads/b\n{A} {ZERO} refs/heads/c\n");
    let commands = read_commands(input.as_bytes(), Some(HashKind::Sha1)).unwrap();
    let seen: Vec<_> = commands
        .iter()
        .map(|command| (command.claimed_old.is_some(), command.new.is_some()))
        .collect();
    assert_eq!(seen, [(false, true), (true, true), (true, false)]);
}

#[test]
fn names_need_not_be_utf8() {
    let mut input = format!("{ZERO} {A} refs/heads/").into_bytes();
    input.extend_from_slice(b"\xff\xfe\n");
    let commands = read_commands(&input, None).unwrap();
    assert_eq!(commands[0].name.as_bytes(), b"refs/heads/\xff\xfe");
}

#[test]
fn sha256() {
    let input = format!("{LONG} {LONG} refs/heads/a\n");
    assert!(read_commands(input.as_bytes(), None).is_ok());
    assert!(read_commands(input.as_bytes(), Some(HashKind::Sha256)).is_ok());
    assert!(read_commands(input.as_bytes(), Some(HashKind::Sha1)).is_err());
}

#[test]
fn no_lines() {
    assert_eq!(refused(""), "no ref updates on standard input");
}

#[test]
fn a_forged_line_is_a_duplicate() {
    // What git feeds when a second command is named "refs/heads/x\n<0> <B> refs/heads/evil".
    let input = format!(
        "{ZERO} {A} refs/heads/evil\n{ZERO} {A} refs/heads/x\n{ZERO} {B} refs/heads/evil\n"
    );
    assert_eq!(
        refused(input),
        "line 3 of standard input names a ref a second time: refs/heads/evil"
    );
}

#[test]
fn every_deviation_is_one_clear_error() {
    let cases: &[(&[u8], &str)] = &[
        (
            b"\n",
            "line 1 of standard input does not hold exactly two spaces: \"\"",
        ),
        (
            b"garbage\n",
            "line 1 of standard input does not hold exactly two spaces: garbage",
        ),
        (
            b"a b c d\n",
            "line 1 of standard input does not hold exactly two spaces: a b c d",
        ),
        (
            b"a b refs/heads/x\n",
            "line 1 of standard input holds an object id that is not 40 or 64 digits long: a",
        ),
    ];
    for (input, message) in cases {
        assert_eq!(refused(input), *message);
    }
    let named = |name: &str| refused(format!("{ZERO} {A} {name}\n"));
    assert_eq!(
        named("HEAD"),
        "line 1 of standard input names a ref that does not start with refs/: HEAD"
    );
    assert_eq!(
        named("refs/heads/../x"),
        "line 1 of standard input names a ref that is not a valid ref name: refs/heads/../x"
    );
    assert_eq!(
        named("refs/heads/\x1b[31m"),
        "line 1 of standard input names a ref that is not a valid ref name: \"refs/heads/\\033[31m\""
    );
    assert_eq!(
        named("refs/heads/x\r"),
        "line 1 of standard input names a ref that is not a valid ref name: \"refs/heads/x\\r\""
    );
    assert!(named("refs/heads/a b").contains("exactly two spaces"));
    assert!(named("").contains("does not start with refs/"));
    assert_eq!(
        refused(format!("{A} {A} refs/heads/a\n{A} {A} refs/heads/b")),
        format!("line 2 of standard input has no line end: {A} {A} refs/heads/b")
    );
    assert_eq!(
        refused(format!("{A} {A} refs/heads/a\n\n")),
        "line 2 of standard input does not hold exactly two spaces: \"\""
    );
    assert_eq!(
        refused(format!("{ZERO} {ZERO} refs/heads/a\n")),
        "line 1 of standard input asks to delete a ref that does not exist (both ids are zero): refs/heads/a"
    );
    assert_eq!(
        refused(format!("{A} {LONG} refs/heads/a\n")),
        format!(
            "line 1 of standard input holds an object id of 64 digits where 40 are expected: {LONG}"
        )
    );
    let upper = "A".repeat(40);
    assert_eq!(
        refused(format!("{ZERO} {upper} refs/heads/a\n")),
        format!(
            "line 1 of standard input holds an object id with other bytes than lower-case hex digits: {upper}"
        )
    );
}

#[test]
fn a_name_of_a_megabyte_is_cut_in_the_message() {
    let message = refused(format!("{ZERO} {A} refs/heads/{}\n", "x".repeat(1 << 20)));
    assert!(message.len() < 400, "{message}");
}

/// The rules once more, slowly and without sharing code with the parser: text where text will do, git2 for names.
fn reference(input: &[u8]) -> Option<Vec<(Vec<u8>, String, String)>> {
    if input.is_empty() || input.last() != Some(&b'\n') {
        return None;
    }
    let mut found: Vec<(Vec<u8>, String, String)> = Vec::new();
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    lines.pop();
    for line in lines {
        let spaces: Vec<usize> = (0..line.len()).filter(|at| line[*at] == b' ').collect();
        let [first, second] = spaces[..] else {
            return None;
        };
        let old = std::str::from_utf8(&line[..first]).ok()?.to_owned();
        let new = std::str::from_utf8(&line[first + 1..second])
            .ok()?
            .to_owned();
        let name = line[second + 1..].to_vec();
        let hex = |id: &str| id.chars().all(|digit| "0123456789abcdef".contains(digit));
        let ids = [&old, &new];
        if !ids.iter().all(|id| hex(id) && [40, 64].contains(&id.len())) {
            return None;
        }
        let length = found.first().map_or(old.len(), |line| line.1.len());
        if ids.iter().any(|id| id.len() != length)
            || ids.iter().all(|id| id.chars().all(|digit| digit == '0'))
        {
            return None;
        }
        // libgit2 takes text alone; a stand-in letter for other bytes keeps its verdict.
        let text: String = name
            .iter()
            .map(|byte| if *byte < 0x80 { char::from(*byte) } else { 'x' })
            .collect();
        if !text.starts_with("refs/")
            || !git2::Reference::is_valid_name(&text)
            || found.iter().any(|line| line.0 == name)
        {
            return None;
        }
        found.push((name, old, new));
    }
    Some(found)
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[0-9a-f]{40}",
        4 => Just(ZERO.to_owned()),
        1 => "[0-9a-f]{64}",
        1 => "[0-9a-fA-F]{38,41}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "refs/heads/[a-c]{1,3}",
        4 => "refs/[a-z./@{~^:?*\\\\-]{1,8}",
        1 => "[a-zA-Z/]{0,8}",
        1 => "refs/heads/\\PC{1,4}",
        1 => "refs/[ \t\r\n\u{1}\u{7f}a]{1,5}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    (
        id(),
        id(),
        name(),
        prop_oneof![16 => Just("\n"), 1 => Just(""), 1 => Just(" \n"), 1 => Just("\r\n")],
    )
        .prop_map(|(old, new, name, end)| format!("{old} {new} {name}{end}"))
}

proptest! {
    #[test]
    fn accepts_exactly_what_the_reference_accepts(lines in prop::collection::vec(line(), 0..4)) {
        let input = lines.concat().into_bytes();
        let seen = read_commands(&input, None).ok().map(|commands| {
            commands.into_iter().map(|command| (
                command.name.as_bytes().to_vec(),
                command.claimed_old.map(|id| id.to_string()),
                command.new.map(|id| id.to_string()),
            )).collect::<Vec<_>>()
        });
        let zero_is_none = |id: String| id.bytes().any(|digit| digit != b'0').then_some(id);
        let expected = reference(&input).map(|lines| {
            lines.into_iter().map(|(name, old, new)| (name, zero_is_none(old), zero_is_none(new))).collect::<Vec<_>>()
        });
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn never_panics(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_commands(&input, None);
        let _ = read_commands(&input, Some(HashKind::Sha256));
    }
}
