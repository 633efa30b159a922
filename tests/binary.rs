//! The program as a file.

use std::fs;

use crate::world::RINGFENCE;

/// A static program names no interpreter (`ld.so`), so it runs on servers without glibc's shared libraries.
#[test]
#[cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little"
))]
fn the_program_is_static() {
    const INTERPRETER: u32 = 3;
    let elf = fs::read(RINGFENCE).unwrap();
    assert_eq!(&elf[..4], b"\x7fELF");
    let number = |at: usize, bytes: usize| {
        elf[at..at + bytes]
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds = (0..count).map(|n| number(table + n * size, 4) as u32);
    assert!(
        kinds.into_iter().all(|kind| kind != INTERPRETER),
        "linked dynamically"
    );
}
