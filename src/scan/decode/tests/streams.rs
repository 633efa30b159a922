use std::io::Write as _;

use lzma_rust2::{LzmaOptions, LzmaWriter, XzOptions, XzWriter};
use proptest::prelude::*;

use super::*;

/// Few letters in no order, so that no packer leaves them as they are.
fn text() -> Vec<u8> {
    let mut dice = Dice::new(9);
    let mut letter = |_| char::from(b"etaoin s"[dice.below(8)]);
    let lines: String = (0..1500).map(&mut letter).collect();
    format!("{lines}value {} and more\n{lines}", token()).into_bytes()
}

#[test]
fn gzip_with_every_flag() {
    let packed = gzip(&text());
    for flags in 0..32u8 {
        let mut header = packed[..10].to_vec();
        header[3] = flags;
        for (flag, part) in [
            (4, b"\x03\0abc".as_slice()),
            (8, b"name\0"),
            (16, b"note\0"),
            (2, b"\0\0"),
        ] {
            if flags & flag != 0 {
                header.extend(part);
            }
        }
        header.extend(&packed[10..]);
        assert!(finds(&header), "{flags}");
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut packer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut packer = XzWriter::new(Vec::new(), XzOptions::with_preset(6)).unwrap();
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn lzma(text: &[u8]) -> Vec<u8> {
    let options = LzmaOptions::with_preset(6);
    let mut packer = LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

type Packer = fn(&[u8]) -> Vec<u8>;
const PACKERS: [(&str, Packer); 6] = [
    ("gzip", gzip),
    ("zlib", zlib),
    ("bzip2", bzip2),
    ("xz", xz),
    ("lzma", lzma),
    ("zstd", zstd),
];

/// A local header and its data. `sized`: the sizes stand in it; otherwise behind the data.
fn entry(name: &str, flags: u16, method: u16, data: &[u8], sized: bool) -> Vec<u8> {
    let mut zip = b"PK\x03\x04\x14\0".to_vec();
    let flags = if sized { flags } else { flags | 8 };
    zip.extend(flags.to_le_bytes());
    zip.extend(method.to_le_bytes());
    zip.extend([0; 8]);
    let size = if sized {
        u32::try_from(data.len()).unwrap()
    } else {
        0
    };
    zip.extend(size.to_le_bytes());
    zip.extend(size.to_le_bytes());
    zip.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    zip.extend([0, 0]);
    zip.extend(name.as_bytes());
    zip.extend(data);
    if !sized {
        zip.extend(b"PK\x07\x08\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    zip
}

fn tar(name: &str, data: &[u8]) -> Vec<u8> {
    let mut tar = vec![0; 512];
    tar[..name.len()].copy_from_slice(name.as_bytes());
    tar[257..263].copy_from_slice(b"ustar\0");
    tar[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

/// Bytes that every packer makes a little smaller, so that none stores them as they are.
fn noise(length: usize) -> Vec<u8> {
    let mut dice = Dice::new(3);
    (0..length)
        .map(|_| dice.roll().to_le_bytes()[5] | 0x80)
        .collect()
}

#[test]
fn every_format_alone_and_in_the_middle() {
    for (name, pack) in PACKERS {
        let packed = pack(&text());
        let told = scan(&packed);
        assert_eq!(told.matches.len(), 1, "{name}");
        assert_eq!(told.matches[0].via, [name]);
        assert_eq!(told.matches[0].bytes, 0..packed.len(), "{name}");
        if name != "zlib" {
            let framed = [b"bytes before ".as_slice(), &packed, b" and after"].concat();
            let found = scan(&framed).matches;
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].bytes, 13..13 + packed.len(), "{name}");
        }
        let twice = [&pack(b"another"), b"".as_slice(), &packed].concat();
        assert!(name == "zlib" || finds(&twice), "{name}");
    }
}

#[test]
fn every_pair_of_formats() {
    for (outer, wrap) in PACKERS {
        for (inner, pack) in PACKERS {
            assert!(finds(&wrap(&pack(&text()))), "{inner} in {outer}");
        }
        let tar = tar("a/b.txt", &wrap(&tar("c", &text())));
        assert!(finds(&tar), "tar in {outer} in tar");
        let zip = entry("inner.bin", 0, 0, &wrap(&text()), true);
        // Stored: nothing says where a zlib stream starts.
        assert!(outer == "zlib" || finds(&zip), "{outer} stored in zip");
        let jar = wrap(&entry(
            "x.jar",
            0,
            8,
            &deflate(&entry("k", 0, 8, &deflate(&text()), false)),
            true,
        ));
        assert!(finds(&jar), "zip in zip in {outer}");
        let base64 = data_encoding::BASE64.encode(&wrap(&text()));
        assert!(finds(base64.as_bytes()), "{outer} in base64");
        let hex = data_encoding::HEXLOWER.encode(&wrap(&text()));
        assert!(finds(hex.as_bytes()), "{outer} in hex");
    }
}

#[test]
fn zip_entries_of_every_kind() {
    let lzma_entry = |text: &[u8]| {
        let whole = lzma(text);
        [&[9, 20, 5, 0], &whole[..5], &whole[13..]].concat()
    };
    let zip64 = {
        let mut zip = entry("a", 0, 8, &[], true);
        zip[18..26].fill(0xff);
        zip[28] = 20;
        zip.extend(b"\x01\x00\x10\x00");
        zip.extend([0; 16]);
        zip.extend(deflate(&text()));
        zip
    };
    all_found([
        ("deflate", entry("a", 0, 8, &deflate(&text()), true)),
        (
            "sizes behind the data",
            entry("a", 0, 8, &deflate(&text()), false),
        ),
        ("stored", entry("a", 0, 0, &text(), true)),
        ("bzip2", entry("a", 0, 12, &bzip2(&text()), true)),
        ("lzma", entry("a", 0, 14, &lzma_entry(&text()), true)),
        ("zstd", entry("a", 0, 93, &zstd(&text()), true)),
        ("xz", entry("a", 0, 95, &xz(&text()), true)),
        ("zip64", zip64),
        (
            "said to be stored",
            entry("a", 0, 0, &deflate(&text()), true),
        ),
        (
            "said to be encrypted",
            entry("a", 1, 8, &deflate(&text()), true),
        ),
        (
            "said to be unknown",
            entry("a", 0x700, 77, &deflate(&text()), true),
        ),
        ("without a name", entry("", 0, 8, &deflate(&text()), true)),
        ("a name", entry(&token(), 0, 0, b"x", true)),
        (
            "behind a broken entry",
            [
                entry("a", 0, 8, b"\xff\xff\xff", true),
                entry("b", 0, 8, &deflate(&text()), true),
            ]
            .concat(),
        ),
        (
            "behind an encrypted entry",
            [
                entry("a", 1, 8, &noise(100), true),
                entry("b", 0, 8, &deflate(&text()), true),
            ]
            .concat(),
        ),
    ]);
}

#[test]
fn what_nobody_can_look_into_is_told_apart() {
    for (what, text) in [
        (
            "an encrypted entry of a zip archive",
            entry("a", 1, 8, &noise(90), true),
        ),
        (
            "a 7z archive",
            [b"7z\xbc\xaf\x27\x1c\0\x04".as_slice(), &noise(90)].concat(),
        ),
        (
            "a rar archive",
            [b"Rar!\x1a\x07\x01\0".as_slice(), &noise(90)].concat(),
        ),
        (
            "a zip entry of a method that is not known here",
            entry("a", 0, 98, &noise(90), true),
        ),
    ] {
        for text in [text.clone(), gzip(&text)] {
            let told = scan(&text);
            assert!(
                told.unscanned.is_empty() && told.matches.is_empty(),
                "{what}"
            );
            assert_eq!(told.opaque.len(), 1, "{what}");
            assert_eq!(told.opaque[0].1, what);
        }
    }
}

#[test]
fn words_cut_by_the_runs_of_office_files() {
    let (token, at) = (token(), 2);
    let (one, two) = token.split_at(at);
    let docx = format!(
        "<w:p><w:r><w:t>key {one}</w:t></w:r><w:r w:rsidR=\"00A\"><w:rPr><w:b/></w:rPr><w:t>{two}</w:t></w:r></w:p>"
    );
    let pptx = format!("<a:p><a:r><a:t>{one}</a:t></a:r><a:r><a:rPr/><a:t>{two}</a:t></a:r></a:p>");
    let xlsx = format!("<si><r><t>{one}</t></r><r><rPr><b/></rPr><t>{two}</t></r></si>");
    let odt = format!(
        "<text:p><text:span>{one}</text:span><text:span text:style-name=\"T1\">{two}</text:span></text:p>"
    );
    for (name, xml) in [("docx", docx), ("pptx", pptx), ("xlsx", xlsx), ("odt", odt)] {
        assert!(finds(xml.as_bytes()), "{name}");
        let zip = entry("document.xml", 0, 8, &deflate(xml.as_bytes()), true);
        assert!(finds(&zip), "{name} in zip");
    }
    let apart =
        format!("<w:p><w:r><w:t>{one}</w:t></w:r></w:p><w:p><w:r><w:t>{two}</w:t></w:r></w:p>");
    assert!(!finds(apart.as_bytes()));
}

#[test]
fn zlib_in_other_formats() {
    let packed = zlib(&text());
    let pdf = |end: &str| {
        let head = format!("%PDF-1.7\n1 0 obj <</Filter /FlateDecode>> stream{end}");
        [head.as_bytes(), &packed, b"\nendstream endobj"].concat()
    };
    all_found([
        ("PDF", pdf("\n")),
        ("PDF with CRLF", pdf("\r\n")),
        (
            "PNG zTXt",
            [
                b"\x89PNG\r\n\x1a\n\0\0\0\x40zTXtComment\0\0".as_slice(),
                &packed,
            ]
            .concat(),
        ),
        (
            "PNG iTXt",
            [
                b"\x89PNG\r\n\x1a\n\0\0\0\x40iTXtXML\0\x01\0en\0\0".as_slice(),
                &packed,
            ]
            .concat(),
        ),
        (
            "a loose object",
            zlib(&[b"blob 80\0".as_slice(), &text()].concat()),
        ),
        (
            "a loose object in tar",
            tar("o/ab", &zlib(&[b"blob 80\0".as_slice(), &text()].concat())),
        ),
    ]);
}

#[test]
fn a_secret_over_the_border_of_two_pieces() {
    for (name, pack) in PACKERS {
        for before in [(1 << 20) - 20, (1 << 20) - 1, (1 << 20) + 3] {
            let long = [vec![b'.'; before], text(), vec![b'.'; 1 << 18]].concat();
            assert!(finds(&pack(&long)), "{name} {before}");
        }
    }
}

#[test]
fn a_stream_over_the_border_of_two_pieces() {
    // The first bytes come in the first piece, the secret far behind in the next.
    for (name, pack) in PACKERS.into_iter().filter(|(name, _)| *name != "zlib") {
        let inner = pack(&[noise(400_000), text()].concat());
        let outer = gzip(&[vec![b'.'; 900_000], inner].concat());
        assert!(finds(&outer), "{name}");
    }
    let inner = entry(
        "late.jar",
        0,
        8,
        &deflate(&[noise(2_500_000), text()].concat()),
        false,
    );
    assert!(finds(&gzip(&[vec![b'.'; 500_000], inner.clone()].concat())));
    let base64 = data_encoding::BASE64.encode(&inner);
    assert!(finds(&zstd(
        &[vec![b'.'; 900_000], base64.into_bytes()].concat()
    )));
}

#[test]
fn a_stream_that_is_too_large_to_hold_is_told() {
    let inner = gzip(&[noise(6 << 20), text()].concat());
    let told = scan(&gzip(&[vec![b'.'; 900_000], inner].concat()));
    let why: Vec<_> = told.unscanned.iter().map(|(_, why)| *why).collect();
    assert_eq!(why, ["a large compressed part inside another"]);
}

#[test]
fn bombs_are_told() {
    for (name, pack) in PACKERS {
        let bomb = pack(&vec![b'a'; 24 << 20]);
        let limits = Limits {
            decoded: (8 << 20, 0),
            ..Limits::default()
        };
        let told = scan_within(&bomb, limits);
        assert!(told.matches.is_empty());
        let why: Vec<_> = told.unscanned.iter().map(|(_, why)| *why).collect();
        assert_eq!(why, ["unpacks to too much"], "{name}");
    }
}

#[test]
fn too_deep_and_too_many_are_told() {
    for (name, pack) in PACKERS {
        let mut text = text();
        for _ in 0..6 {
            text = pack(&text);
        }
        let told = scan(&text);
        assert_eq!(told.unscanned[0].1, "encoded too many times", "{name}");
    }
    let limits = Limits {
        streams: 3,
        ..Limits::default()
    };
    let many = entry("a", 0, 8, &deflate(b"x"), true).repeat(5);
    let told = scan_within(&many, limits);
    assert_eq!(told.unscanned[0].1, "too many compressed parts");
}

#[test]
fn a_window_beyond_all_bounds_is_told() {
    // A frame with a window of 1.75 TiB, and lzma with one of 4 GiB.
    let frame = [b"\x28\xb5\x2f\xfd\x00\xff".as_slice(), &noise(40)].concat();
    assert_eq!(scan(&frame).unscanned.len(), 1);
    let mut packed = lzma(&text());
    packed[1..5].copy_from_slice(&[0, 0, 0, 0x40]);
    let zip = entry(
        "a",
        0,
        14,
        &[&[9, 20, 5, 0], &packed[..5], &packed[13..]].concat(),
        true,
    );
    assert_eq!(scan(&zip).unscanned.len(), 1);
}

#[test]
fn what_came_out_before_a_fault_is_scanned() {
    // Much before the secret, more behind it: the stream is cut or damaged in what is behind.
    let long = [noise(40_000), text(), noise(400_000)].concat();
    for (name, pack) in PACKERS {
        // bzip2 gives blocks of 900,000 bytes, or nothing.
        if name == "bzip2" {
            continue;
        }
        let whole = pack(&long);
        let cut = &whole[..whole.len() / 2];
        assert!(finds(cut), "{name} cut");
        let mut damaged = whole.clone();
        for byte in &mut damaged[whole.len() / 2..whole.len() / 2 + 64] {
            *byte = !*byte;
        }
        assert!(finds(&damaged), "{name} damaged");
    }
}

#[test]
fn every_prefix_and_every_flipped_byte_of_small_archives() {
    for (name, pack) in PACKERS {
        let whole = entry("a.bin", 0, 8, &deflate(&pack(&text())), false);
        for archive in [pack(&text()), whole] {
            for length in 0..archive.len() {
                let told = scan(&archive[..length]);
                assert!(told.unscanned.is_empty(), "{name} {length}");
            }
            let mut archive = archive;
            for at in 0..archive.len() {
                archive[at] ^= 0x55;
                scan(&archive);
                archive[at] ^= 0x55;
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        mark in 0..crate::scan::marks::MARKS.len(),
        at in 0usize..300,
        zeros in 0usize..300,
    ) {
        let mut text = bytes;
        let at = at.min(text.len());
        text.splice(at..at, crate::scan::marks::MARKS[mark].iter().copied());
        let zeros = zeros.min(text.len());
        text.splice(zeros..zeros, [0; 9]);
        scan(&text);
        scan(&gzip(&text));
    }
}
