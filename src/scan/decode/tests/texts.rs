use proptest::prelude::*;

use super::*;

fn each(join: &str, form: impl Fn(u8) -> String) -> String {
    token().bytes().map(form).collect::<Vec<_>>().join(join)
}

fn spread(text: &str, letter: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    text.bytes().flat_map(letter).collect()
}

fn base64() -> String {
    data_encoding::BASE64
        .encode(format!("some text, then {} and the rest of it", token()).as_bytes())
}

fn lines(text: &str, width: usize, before: &str, after: &str) -> Vec<u8> {
    let line = |at: usize| {
        let line = &text[at..text.len().min(at + width)];
        format!("{before}{line}{after}\n")
    };
    (0..text.len())
        .step_by(width)
        .map(line)
        .collect::<String>()
        .into_bytes()
}

#[test]
fn mail() {
    let token = token();
    let text = format!(
        "Content-Transfer-Encoding: quoted-printable\n\nkey=3D{}\n",
        token.replace('_', "=5F")
    );
    let plain = crate::scan::decode::joints::from_quoted_printable(text.as_bytes(), 0);
    assert!(
        plain.text.ends_with(format!("key={token}\n").as_bytes()),
        "{:?}",
        String::from_utf8_lossy(&plain.text)
    );
    assert!(
        finds(text.as_bytes()),
        "{:?}",
        scan(text.as_bytes()).unscanned
    );
}

#[test]
fn letters_apart() {
    let token = token();
    let text = format!("key={token};");
    let utf32 = spread(&text, |letter| vec![letter, 0, 0, 0]);
    let utf16 = spread(&text, |letter| vec![letter, 0]);
    all_found([
        ("UTF-32LE", utf32.clone()),
        ("UTF-32BE", spread(&text, |letter| vec![0, 0, 0, letter])),
        ("UTF-16BE", spread(&text, |letter| vec![0, letter])),
        (
            "UTF-16 in other bytes",
            [
                b"MZ\x90\0\x03\x04\xff\xffabc".as_slice(),
                &utf16,
                b"\xff\xfe\xfdabc",
            ]
            .concat(),
        ),
        (
            "UTF-16 in UTF-8 text",
            [b"some words and then ".as_slice(), &utf16, b" more words"].concat(),
        ),
        (
            "UTF-32 in other bytes",
            [b"\xff\xfe\xfdabcd".as_slice(), &utf32].concat(),
        ),
        ("two NUL bytes", spread(&text, |letter| vec![letter, 0, 0])),
        (
            "a NUL byte inside",
            format!("{}\0{}", &token[..12], &token[12..]).into_bytes(),
        ),
        (
            "NUL bytes around",
            format!("\0\0\0{token}\0\0\0").into_bytes(),
        ),
        (
            "base64 in UTF-16",
            spread(&base64(), |letter| vec![letter, 0]),
        ),
        (
            "a letter without width inside",
            format!("{}\u{200b}{}", &token[..12], &token[12..]).into_bytes(),
        ),
    ]);
    let told = scan(&[b"12345".as_slice(), &utf16].concat());
    assert_eq!(told.matches[0].via, ["utf-16"]);
    assert_eq!(told.matches[0].bytes.start, 5 + 2 * 4);
    assert!(told.matches[0].bytes.len() <= 2 * token.len());
}

#[test]
fn line_ends_and_long_lines() {
    let token = token();
    let long = "x = [1, 2]; ".repeat(5 << 20 >> 4);
    all_found([
        ("CRLF", format!("a\r\n{token}\r\nb\r\n").into_bytes()),
        ("CR alone", format!("a\r{token}\rb\r").into_bytes()),
        ("a long line", format!("{long}{token}{long}").into_bytes()),
    ]);
}

#[test]
fn escapes() {
    let token = token();
    let with = |escape: &str| token.replace('_', escape).into_bytes();
    all_found([
        ("percent twice", with("%255F")),
        ("percent three times", with("%25255f")),
        ("JSON", with("\\u005f")),
        ("JSON in JSON", with("\\\\u005f")),
        ("braces", with("\\u{5f}")),
        ("long", with("\\U0000005f")),
        ("octal", with("\\137")),
        ("HTML name", with("&lowbar;")),
        (
            "all octal",
            each("", |byte| format!("\\{byte:03o}")).into_bytes(),
        ),
        (
            "all in braces",
            each("", |byte| format!("\\u{{{byte:x}}}")).into_bytes(),
        ),
        (
            "all percent, twice",
            each("", |byte| format!("%25{byte:02x}")).into_bytes(),
        ),
        (
            "inside a token",
            format!(
                "{}\\u0{:03x}{}",
                &token[..9],
                token.as_bytes()[9],
                &token[10..]
            )
            .into_bytes(),
        ),
        (
            "quoted-printable",
            format!(
                "Content-Transfer-Encoding: quoted-printable\n\nkey=3D{}=\n{}\n",
                &token.replace('_', "=5F")[..20],
                &token.replace('_', "=5F")[20..]
            )
            .into_bytes(),
        ),
        (
            "soft line break",
            format!("text {}=\r\n{} text", &token[..12], &token[12..]).into_bytes(),
        ),
    ]);
    let url =
        "https:\\/\\/user:".to_owned() + &sample::make("{base62:24}", &mut Dice::new(4)).unwrap();
    let told = scan(format!("{{\"url\": \"{url}@host.invalid\\/db\"}}").as_bytes());
    assert_eq!(told.matches.len(), 1);
    let text = format!("one\ntwo {}", token.replace('_', "%5F"));
    assert_eq!(scan(text.as_bytes()).matches[0].bytes, 8..text.len());
}

#[test]
fn folded_base64() {
    let packed = base64();
    for width in [24, 40, 64] {
        all_found([
            ("plain", lines(&packed, width, "", "")),
            ("indented", lines(&packed, width, "\t\t", "")),
            ("# comment", lines(&packed, width, "# ", "")),
            ("// comment", lines(&packed, width, "// ", "")),
            ("-- comment", lines(&packed, width, "-- ", "")),
            (" * comment", lines(&packed, width, " * ", "")),
            ("> quoted", lines(&packed, width, "> ", "")),
            ("quotes and +", lines(&packed, width, "  \"", "\" +")),
            ("quotes before +", lines(&packed, width, "  + '", "'")),
            ("quotes alone", lines(&packed, width, "  \"", "\"")),
            ("list", lines(&packed, width, "  \"", "\",")),
            ("backslashes", lines(&packed, width, "", "\\")),
            ("PHP", lines(&packed, width, "  . \"", "\"")),
            ("CRLF", lines(&packed, width, "", "\r")),
            (
                "written line ends",
                String::from_utf8(lines(&packed, width, "", ""))
                    .unwrap()
                    .replace('\n', "\\n")
                    .into_bytes(),
            ),
            ("notebook", lines(&packed, width, "    \"  '", "'\\n\",")),
        ]);
    }
    all_found([
        (
            "data URL",
            format!("<img src=\"data:text/plain;base64,{packed}\">").into_bytes(),
        ),
        (
            "escaped slashes",
            data_encoding::BASE64
                .encode(format!("???>>>{}???", token()).as_bytes())
                .replace('/', "\\/")
                .into_bytes(),
        ),
        (
            "base32",
            data_encoding::BASE32
                .encode(token().as_bytes())
                .into_bytes(),
        ),
        (
            "base32 in text",
            format!("x = '{}'", data_encoding::BASE32.encode(token().as_bytes())).into_bytes(),
        ),
    ]);
}

#[test]
fn numbers() {
    let token = token();
    all_found([
        (
            "decimal",
            format!("[{}]", each(", ", |byte| byte.to_string())).into_bytes(),
        ),
        (
            "decimal, narrow",
            each(",", |byte| byte.to_string()).into_bytes(),
        ),
        (
            "decimal, lines",
            each(",\n    ", |byte| byte.to_string()).into_bytes(),
        ),
        (
            "decimal, blanks",
            each(" ", |byte| byte.to_string()).into_bytes(),
        ),
        (
            "prefixed",
            format!("{{ {} }};", each(", ", |byte| format!("0x{byte:02x}"))).into_bytes(),
        ),
        (
            "prefixed, upper",
            each(",", |byte| format!("0X{byte:02X}")).into_bytes(),
        ),
        (
            "colons",
            each(":", |byte| format!("{byte:02x}")).into_bytes(),
        ),
        (
            "dashes",
            each("-", |byte| format!("{byte:02X}")).into_bytes(),
        ),
        (
            "blanks",
            each(" ", |byte| format!("{byte:02x}")).into_bytes(),
        ),
        (
            "letters",
            format!("[{}]", each(", ", |byte| format!("'{}'", byte as char))).into_bytes(),
        ),
        (
            "letters, narrow",
            format!("{{{}}}", each(",", |byte| format!("\"{}\"", byte as char))).into_bytes(),
        ),
        (
            "escapes",
            each("", |byte| format!("\\x{byte:02x}")).into_bytes(),
        ),
    ]);
    for before in 0..60 {
        let text = format!(
            "{}[{}]",
            "x".repeat(before),
            each(", ", |byte| byte.to_string())
        );
        assert!(finds(text.as_bytes()), "{before}");
    }
    let text = format!("let a = [{}];", each(", ", |byte| byte.to_string()));
    let told = scan(text.as_bytes());
    let place = &told.matches[0].bytes;
    assert!(place.start >= 9 && place.end <= text.len() - 2);
    assert_eq!(told.matches[0].value(), token.as_bytes());
}

#[test]
fn notebooks() {
    let token = token();
    let (one, two) = token.split_at(2);
    let notebook = |cell: &str, output: &str| {
        serde_json::json!({"cells": [{
            "cell_type": "code",
            "source": cell.split_inclusive('\n').collect::<Vec<_>>(),
            "outputs": [{"output_type": "stream", "text": [output]}, {"data": {"text/plain": [format!("'{output}'")]}}],
        }], "nbformat": 4})
    };
    for (name, notebook) in [
        (
            "source",
            notebook(&format!("import os\nkey = \"{token}\"\nprint(1)\n"), ""),
        ),
        ("output", notebook("print(key)\n", &format!("{token}\n"))),
        (
            "split source",
            notebook(&format!("key = \"{one}\" + \"{two}\"\n"), ""),
        ),
        (
            "split over lines",
            notebook(&format!("key = (\"{one}\" +\n       \"{two}\")\n"), ""),
        ),
        (
            "base64 output",
            notebook("x\n", &format!("b'{}'\n", base64())),
        ),
        (
            "bytes",
            notebook(
                &format!("bytes([{}])\n", each(", ", |byte| byte.to_string())),
                "",
            ),
        ),
    ] {
        for text in [
            notebook.to_string(),
            serde_json::to_string_pretty(&notebook).unwrap(),
        ] {
            assert!(finds(text.as_bytes()), "{name}: {}", text.len());
        }
    }
}

#[test]
fn ordinary_numbers_and_letters_give_nothing() {
    none_found([
        "const TABLE: [u8; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];",
        "let crc = [0x00, 0x07, 0x0e, 0x09, 0x1c, 0x1b, 0x12, 0x15, 0x38, 0x3f, 0x36, 0x31, 0x24, 0x23];",
        "fingerprint 16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48 on 2024-01-02 10:11:12",
        "2024-01-02 2024-01-03 2024-01-04 2024-01-05 10:00 11:00 12:00",
        "1024, 2048, 4096, 70000, 12, 13, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
        "words: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q']",
        "THE_QUICK_BROWN_FOX ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "printf(\"%d%%25\\n\", 100 % 25); /\\d+\\/\\w+\\.(\\d{3})\\/\\/x/",
        "\u{feff}text with a mark of byte order, and \\u00e9\\u00e8",
    ]);
}

proptest! {
    #[test]
    fn no_text_panics(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "ghp_", "abcdefgh01234567", "\"", "'", " + ", "\\", "\n", "\r\n", "\\n", "%25", "5F", "&#", ";", ",", "0x41, ", "65, ",
            "</w:t>", "<w:t>", "join(\"\")", "\u{200b}", "\0", "a\0", "AKIA", "4142:", "=", "\\u005f", "\\137", "}${", " .. ",
            "// ", "/* ", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo", ")-3(", "printable", "quoted-printable",
        ]), 0..60)) {
        scan(pieces.concat().as_bytes());
    }
}
