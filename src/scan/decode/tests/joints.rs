use super::*;
use crate::scan::tests::cpu_time;

/// The token in two pieces, cut at each of a few places, the prefix among them.
fn cuts(form: impl Fn(&str, &str) -> String) -> Vec<Vec<u8>> {
    let token = token();
    let at = |at: usize| form(&token[..at], &token[at..]).into_bytes();
    [1, 2, 4, 9, 20, 39].into_iter().map(at).collect()
}

#[test]
fn two_strings_of_the_common_languages() {
    type Form = fn(&str, &str) -> String;
    let forms: [(&str, Form); 33] = [
        ("plus", |a, b| format!("t = \"{a}\" + \"{b}\";")),
        ("plus, narrow", |a, b| format!("t=\"{a}\"+\"{b}\"")),
        ("plus, two quotes", |a, b| format!("t = '{a}' + \"{b}\"")),
        ("plus, lines", |a, b| {
            format!("t = \"{a}\" +\n        \"{b}\"\n")
        }),
        ("plus first, lines", |a, b| {
            format!("t = \"{a}\"\r\n    + \"{b}\"\r\n")
        }),
        ("beside", |a, b| format!("t = '{a}' '{b}'")),
        ("beside, lines", |a, b| {
            format!("t = (\"{a}\"\n     \"{b}\")")
        }),
        ("PHP", |a, b| format!("$t = '{a}' . '{b}';")),
        ("PHP, narrow", |a, b| format!("$t = \"{a}\".\"{b}\";")),
        ("Basic", |a, b| format!("t = \"{a}\" & \"{b}\"")),
        ("Basic, lines", |a, b| {
            format!("t = \"{a}\" & _\r\n  \"{b}\"")
        }),
        ("Lua", |a, b| format!("t = \"{a}\" .. \"{b}\"")),
        ("D, Jinja", |a, b| format!("{{{{ \"{a}\" ~ \"{b}\" }}}}")),
        ("SQL", |a, b| format!("SELECT '{a}' || '{b}';")),
        ("Elixir", |a, b| format!("t = \"{a}\" <> \"{b}\"")),
        ("Haskell", |a, b| format!("t = \"{a}\" ++ \"{b}\"")),
        ("C++ stream", |a, b| format!("out << \"{a}\" << \"{b}\";")),
        ("template", |a, b| format!("`${{\"{a}\"}}${{\"{b}\"}}`")),
        ("f-string", |a, b| format!("f'{{\"{a}\"}}{{\"{b}\"}}'")),
        ("shell", |a, b| format!("T=\"{a}\"\"{b}\"")),
        ("shell, two quotes", |a, b| format!("T='{a}'\"{b}\"")),
        ("empty strings", |a, b| {
            format!("t = \"\" + \"{a}\" + \"\" + \"{b}\" + \"\"")
        }),
        ("comment between", |a, b| {
            format!("t = \"{a}\" + // why\n  \"{b}\"")
        }),
        ("block comment", |a, b| {
            format!("t = \"{a}\" /* x */ + /* y */ \"{b}\"")
        }),
        ("Python comment", |a, b| {
            format!("t = (\"{a}\"  # one\n     \"{b}\")")
        }),
        ("concat", |a, b| format!("t = \"{a}\".concat(\"{b}\")")),
        ("bytes", |a, b| format!("t = b\"{a}\" + b\"{b}\"")),
        ("PowerShell lines", |a, b| {
            format!("$t = \"{a}\" + `\n  \"{b}\"")
        }),
        ("JSON in a string", |a, b| {
            format!("{{\"source\": \"t = \\\"{a}\\\" + \\\"{b}\\\"\"}}")
        }),
        ("backslash", |a, b| format!("export T={a}\\\n{b}\n")),
        ("backslash in quotes", |a, b| {
            format!("t: \"{a}\\\n   {b}\"\n")
        }),
        ("backslash, CRLF", |a, b| format!("T={a}\\\r\n{b}\r\n")),
        ("backslash between", |a, b| {
            format!("t = \"{a}\" \\\n    \"{b}\"")
        }),
    ];
    for (name, form) in forms {
        for text in cuts(form) {
            assert!(finds(&text), "{name}: {} bytes", text.len());
        }
    }
}

#[test]
fn lists_that_are_joined() {
    let token = token();
    let all: Vec<String> = token
        .chars()
        .map(|letter| format!("\"{letter}\""))
        .collect();
    let pairs: Vec<String> = (0..token.len())
        .step_by(2)
        .map(|at| format!("'{}'", &token[at..at + 2]))
        .collect();
    all_found([
        (
            "JS",
            format!("[\"{}\", \"{}\"].join(\"\")", &token[..3], &token[3..]).into_bytes(),
        ),
        (
            "Python",
            format!("t = ''.join(['{}', '{}'])", &token[..3], &token[3..]).into_bytes(),
        ),
        (
            "PHP",
            format!("implode('', ['{}', '{}'])", &token[..3], &token[3..]).into_bytes(),
        ),
        ("letters", format!("x = [{}]", all.join(", ")).into_bytes()),
        (
            "pairs",
            format!("[{}].join('')", pairs.join(",")).into_bytes(),
        ),
        (
            "pairs in lines",
            format!("''.join([\n{}\n])", pairs.join(",\n  ")).into_bytes(),
        ),
        (
            "whole keyword, no join",
            format!("[\"{}\", \"{}\"]", &token[..7], &token[7..]).into_bytes(),
        ),
        ("pluses", pairs.join(" + ").into_bytes()),
        ("letters and pluses", all.join("+").into_bytes()),
    ]);
}

#[test]
fn behind_a_whole_keyword() {
    let token = token();
    let (a, b) = token.split_at(15);
    all_found([
        (
            "YAML, folded",
            format!("token: >-\n  {a}\n  {b}\n").into_bytes(),
        ),
        (
            "YAML, plain",
            format!("token: {a}\n  {b}\nnext: 1\n").into_bytes(),
        ),
        ("comment", format!("# {a}\n# {b}\n").into_bytes()),
        ("slashes", format!("// {a}\n// {b}\n").into_bytes()),
        ("quotation", format!("> {a}\n> {b}\n").into_bytes()),
        (
            "HTML",
            format!("<code><span>{a}</span><span class=\"x\">{b}</span></code>").into_bytes(),
        ),
        ("PDF", format!("[({a})-3({b})] TJ").into_bytes()),
        ("shell quotes", format!("T={a}'{b}'").into_bytes()),
        ("written line end", format!("\"{a}\\n{b}\"").into_bytes()),
    ]);
}

#[test]
fn forms_inside_forms() {
    let token = token();
    let packed = data_encoding::BASE64.encode(format!("key {token} key").as_bytes());
    let hex = data_encoding::HEXLOWER.encode(token.as_bytes());
    let cut = |text: &str| format!("t = \"{}\" + \"{}\"", &text[..30], &text[30..]);
    let escaped = format!(
        "t = \"{}\" + \"{}\"",
        "gh\\x70",
        token[3..].replace('_', "\\x5f")
    );
    let numbers: Vec<String> = cut(&packed).bytes().map(|byte| byte.to_string()).collect();
    all_found([
        ("base64 in pieces", cut(&packed).into_bytes()),
        ("hex in pieces", cut(&hex).into_bytes()),
        ("escapes in pieces", escaped.into_bytes()),
        (
            "pieces in base64",
            data_encoding::BASE64
                .encode(cut(&token).as_bytes())
                .into_bytes(),
        ),
        (
            "pieces of base64 in numbers",
            numbers.join(", ").into_bytes(),
        ),
        (
            "pieces in UTF-16",
            cut(&token).bytes().flat_map(|byte| [byte, 0]).collect(),
        ),
    ]);
}

#[test]
fn places_of_pieces() {
    let token = token();
    let text = format!("one\nt = \"{}\" + \"{}\";\ntwo", &token[..5], &token[5..]);
    let told = scan(text.as_bytes());
    assert_eq!(told.matches.len(), 1);
    assert_eq!(told.matches[0].bytes, 9..text.len() - 6);
    assert_eq!(told.matches[0].value(), token.as_bytes());
    assert_eq!(told.matches[0].via, ["pieces"]);
}

#[test]
fn a_whole_secret_beside_others_is_found_once() {
    let token = token();
    for text in [
        format!("t = \"{token}\" + \"suffix-of-something\""),
        format!("t = \"https://host.invalid/some/path/\" + \"{token}\""),
        format!("# {token}\n# more"),
        format!("[\"{token}\", \"abcdefgh\"].join(\"\")"),
    ] {
        let told = scan(text.as_bytes());
        assert_eq!(told.matches.len(), 1, "{text}");
        assert!(told.matches[0].via.is_empty());
    }
}

#[test]
fn ordinary_source_gives_nothing() {
    none_found([
        "throw new Error(\"cannot read the file \" + name + \" in the folder\" + \".\" );",
        "String url = \"https://example.com/path/\" + \"to/a/longer/resource/name\" + \".html\";",
        "printf(\"a long format %s \"\n       \"and-its-continuation %d\\n\", a, b);",
        "x = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta'].join('')",
        "password = \"pass\" + \"word-of-the-example\"",
        "api_key = \"abcdefgh\" + \"ijklmnop1234567890qrst\"",
        "#define MACRO(a) \\\n    call_a_function_with_a_long_name(a); \\\n    another_function(a)",
        "docs: tokens begin with ghp_\nand then letters follow them on the next line",
        "AKIA\nWORDS IN UPPER CASE",
        "sk-ant-\nhttps://example.com/abcdefghijklmnop",
        "class=\"one\" id=\"two\" data-x='three' 'four' \"five\"",
        "a,\"b\",\"c\"\n\"d\"\n\"e\"\n\"some-longer-word\"\n\"another-longer-word\"\n",
        "it's a dog's life, isn't it? 'tis \"what\" 'they' \"say\"",
    ]);
}

#[test]
fn hostile_joints_end() {
    for piece in [
        "\"a\" + ",
        "'a''b'",
        "\"\"",
        "\\\n",
        "a\\\n",
        "\" + \"",
        "ghp_\n",
        "ghp_<a>",
        "ghp_\\n",
        "join(\"\")\"a\", ",
        "</w:t>",
        "\"a\"/*",
        "'a',",
        "%25",
        "\\\\\\\\x41",
        "AKIA\"\"",
        "0x41,",
        "41:",
        "oted-printable=",
        "a\0",
        "QUJDREVGR0hJSktMTU5P\n",
    ] {
        let text = piece.repeat((1 << 19) / piece.len());
        let before = cpu_time();
        let _ = Scanner::builtin().scan(text.as_bytes(), &budget());
        assert!((cpu_time() - before).as_secs() < 30, "{piece}");
    }
}
