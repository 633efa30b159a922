//! First bytes of what is unpacked. The prefilter looks for them with the keywords of the rules. Shared with the build
//! script, so it imports nothing of the crate.

/// Gzip members with each usual set of flags, and zip entries. At least four bytes each.
pub const MARKS: &[&[u8]] = &[
    b"\x1f\x8b\x08\x00",
    b"\x1f\x8b\x08\x01",
    b"\x1f\x8b\x08\x02",
    b"\x1f\x8b\x08\x04",
    b"\x1f\x8b\x08\x08",
    b"\x1f\x8b\x08\x0a",
    b"\x1f\x8b\x08\x0c",
    b"\x1f\x8b\x08\x10",
    b"\x1f\x8b\x08\x18",
    b"PK\x03\x04",
];
