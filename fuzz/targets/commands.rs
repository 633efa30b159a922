//! Any bytes as what git writes to the hook: a list of commands that is written again to the byte, or one error.

#![no_main]

mod seeds;

use libfuzzer_sys::fuzz_target;
use ringfence::host::read_commands;
use ringfence::push::{HashKind, Oid};

fn inputs() -> Vec<Vec<u8>> {
    let (none, one) = ("0".repeat(40), "12".repeat(20));
    let long = "ab".repeat(32);
    [
        format!("{none} {one} refs/heads/x\n"),
        format!("{one} {none} refs/tags/v1\n{none} {one} refs/heads/agents/x/y\n"),
        format!("{long} {long} refs/for/main\n"),
        format!("{none} {one} refs/heads/x\n{none} {one} refs/heads/x\n"),
        format!("{none} {one} refs/heads/a b\n"),
    ]
    .map(String::into_bytes)
    .into()
}

fuzz_target!(init: seeds::write(inputs), |data: &[u8]| {
    for hash in [None, Some(HashKind::Sha1), Some(HashKind::Sha256)] {
        let Ok(commands) = read_commands(data, hash) else {
            continue;
        };
        assert!(!commands.is_empty());
        // Nothing was guessed, dropped or read twice: the same bytes come out.
        let kind = commands
            .iter()
            .flat_map(|command| [command.claimed_old, command.new])
            .flatten()
            .map(|id| id.to_string().len())
            .next()
            .expect("a command has an id");
        let hex = |id: Option<Oid>| id.map_or_else(|| "0".repeat(kind), |id| id.to_string());
        let mut written = Vec::new();
        for command in &commands {
            written.extend(format!("{} {} ", hex(command.claimed_old), hex(command.new)).bytes());
            written.extend(command.name.as_bytes());
            written.push(b'\n');
        }
        assert_eq!(written, data);
    }
});
