//! Byte strings that say that something is packed near them. They are keywords of the prefilter, behind those of the
//! rules, so that looking for them costs no walk of its own. Shared with the build script: imports nothing.

/// Compared with regard to case. Each has at least four bytes.
pub(crate) const MARKS: &[&[u8]] = &[
    // gzip members, with every set of flags that there is.
    b"\x1f\x8b\x08\x00",
    b"\x1f\x8b\x08\x01",
    b"\x1f\x8b\x08\x02",
    b"\x1f\x8b\x08\x03",
    b"\x1f\x8b\x08\x04",
    b"\x1f\x8b\x08\x05",
    b"\x1f\x8b\x08\x06",
    b"\x1f\x8b\x08\x07",
    b"\x1f\x8b\x08\x08",
    b"\x1f\x8b\x08\x09",
    b"\x1f\x8b\x08\x0a",
    b"\x1f\x8b\x08\x0b",
    b"\x1f\x8b\x08\x0c",
    b"\x1f\x8b\x08\x0d",
    b"\x1f\x8b\x08\x0e",
    b"\x1f\x8b\x08\x0f",
    b"\x1f\x8b\x08\x10",
    b"\x1f\x8b\x08\x11",
    b"\x1f\x8b\x08\x12",
    b"\x1f\x8b\x08\x13",
    b"\x1f\x8b\x08\x14",
    b"\x1f\x8b\x08\x15",
    b"\x1f\x8b\x08\x16",
    b"\x1f\x8b\x08\x17",
    b"\x1f\x8b\x08\x18",
    b"\x1f\x8b\x08\x19",
    b"\x1f\x8b\x08\x1a",
    b"\x1f\x8b\x08\x1b",
    b"\x1f\x8b\x08\x1c",
    b"\x1f\x8b\x08\x1d",
    b"\x1f\x8b\x08\x1e",
    b"\x1f\x8b\x08\x1f",
    // A zip entry: jar, wheel, Office files.
    b"PK\x03\x04",
    // zstd.
    b"\x28\xb5\x2f\xfd",
    // The first block of a bzip2 stream, four bytes behind its start.
    b"1AY&SY",
    // xz.
    b"\xfd7zXZ\x00",
    // zlib in PDF streams and in text chunks of PNG.
    b"stream\nx",
    b"stream\r\nx",
    b"zTXt",
    b"iTXt",
    // A header of tar, 257 bytes behind its start.
    b"ustar",
    // What nobody can look into here.
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    // Text runs of Office files: one word may stand in several.
    b"</w:t>",
    b"</a:t>",
    b"</t></r>",
    b"</text:span>",
    // Mail bodies.
    b"oted-printable",
    b"oted-Printable",
    // Lists of strings that become one.
    b"join(\"\")",
    b"join('')",
    b"\"\".join(",
    b"''.join(",
    b"implode(\"\"",
    b"implode(''",
];

/// lzma alone: the properties that its tools write, and the start of the dictionary's size. No keyword: folded, NUL bytes
/// are blanks, and those are everywhere.
#[allow(dead_code, reason = "the build script has no use for it")]
pub(crate) const LZMA: &[u8] = b"\x5d\x00\x00";

/// How the size goes on behind it, for the dictionaries that are made.
#[allow(dead_code, reason = "the build script has no use for it")]
pub(crate) const LZMA_SIZES: &[[u8; 2]] = &[
    [0x01, 0x00],
    [0x04, 0x00],
    [0x08, 0x00],
    [0x10, 0x00],
    [0x20, 0x00],
    [0x40, 0x00],
    [0x80, 0x00],
    [0x00, 0x01],
    [0x00, 0x02],
    [0x00, 0x04],
];
