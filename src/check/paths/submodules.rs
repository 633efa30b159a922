//! What a `.gitmodules` may say, read as git reads a file of configuration.

use bstr::ByteSlice as _;

use super::has_drive;
use crate::policy;

/// Why a `.gitmodules` is dangerous, or cannot be read. Every section is asked: which one counts depends on the reader.
pub(super) fn odd(text: &[u8]) -> Option<&'static str> {
    let mut left = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    loop {
        left = left.trim_start();
        match left.first() {
            None => return None,
            Some(b'#' | b';') => left = after_line(left),
            Some(b'[') => {
                let Some((name, rest)) = section(&left[1..]) else {
                    return Some(UNREADABLE);
                };
                if let Some(why) = odd_name(&name) {
                    return Some(why);
                }
                left = rest;
            }
            Some(_) => {
                let Some((key, value, rest)) = variable(left) else {
                    return Some(UNREADABLE);
                };
                if let Some(why) = odd_value(&key, &value) {
                    return Some(why);
                }
                left = rest;
            }
        }
    }
}

const UNREADABLE: &str = "not what git reads as a configuration";

fn after_line(text: &[u8]) -> &[u8] {
    text.find_byte(b'\n').map_or(b"", |end| &text[end + 1..])
}

/// The name behind a `[`, without its quotes, and what follows the `]`: more may stand on the same line.
fn section(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut is_quoted = false;
    let mut at = 0;
    loop {
        match *text.get(at)? {
            b'\n' => return None,
            b']' if !is_quoted => return Some((name, &text[at + 1..])),
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => {
                at += 1;
                name.push(*text.get(at).filter(|byte| **byte != b'\n')?);
            }
            byte => name.push(byte),
        }
        at += 1;
    }
}

/// A key in lower case, its value, and what follows them.
fn variable(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>, &[u8])> {
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let end = text.iter().position(|byte| !is_of_key(byte));
    let (key, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start_with(|c| matches!(c, ' ' | '\t'));
    let key = (!key.is_empty()).then(|| key.to_ascii_lowercase())?;
    match rest.first() {
        // A key alone means yes.
        None | Some(b'\n' | b'#' | b';') => Some((key, Vec::new(), after_line(rest))),
        Some(b'\r') if rest[1..].starts_with(b"\n") => Some((key, Vec::new(), after_line(rest))),
        Some(b'=') => value(&rest[1..]).map(|(value, rest)| (key, value, rest)),
        Some(_) => None,
    }
}

/// A value with its quotes, escapes, continued lines and comment resolved, and what follows it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    // Blanks at its ends count only in quotes.
    let mut kept = 0;
    let mut is_quoted = false;
    let mut left = text;
    loop {
        let (byte, rest) = left
            .split_first()
            .map_or((b'\n', left), |(b, rest)| (*b, rest));
        left = rest;
        match byte {
            b'\n' | b'#' | b';' if !is_quoted => {
                value.truncate(kept);
                let left = if byte == b'\n' {
                    left
                } else {
                    after_line(left)
                };
                return Some((value, left));
            }
            b'\n' => return None,
            b'\r' if left.starts_with(b"\n") => {}
            b'"' => is_quoted = !is_quoted,
            b'\\' => {
                let (&escaped, rest) = left.split_first()?;
                left = rest;
                match escaped {
                    b'\n' => {}
                    b'\r' if left.starts_with(b"\n") => left = &left[1..],
                    b't' => value.push(b'\t'),
                    b'b' => value.push(8),
                    b'n' => value.push(b'\n'),
                    b'\\' | b'"' => value.push(escaped),
                    _ => return None,
                }
                kept = value.len();
            }
            blank if !is_quoted && blank.is_ascii_whitespace() => {
                if kept > 0 {
                    value.push(blank);
                }
            }
            byte => {
                value.push(byte);
                kept = value.len();
            }
        }
    }
}

fn odd_name(name: &[u8]) -> Option<&'static str> {
    if name.iter().any(u8::is_ascii_control) {
        return Some("a submodule name with a control character");
    }
    climbs(name).then_some("a submodule name that climbs")
}

fn odd_value(key: &[u8], value: &[u8]) -> Option<&'static str> {
    if value.iter().any(u8::is_ascii_control) {
        return Some("a control character inside a value");
    }
    let value = value.trim();
    match key {
        b"url" => odd_url(value),
        b"path" => odd_path(value),
        b"update" if value.starts_with(b"!") => Some("an update command"),
        _ => None,
    }
}

fn odd_path(path: &[u8]) -> Option<&'static str> {
    let is_absolute = path.starts_with(b"/") || path.starts_with(b"\\") || has_drive(path);
    let enters_git = || {
        let mut components = path.split(|byte| matches!(byte, b'/' | b'\\'));
        components.any(|name| policy::is_spelling_of(name, ".git"))
    };
    if path.starts_with(b"-") {
        Some("a path that starts with a dash")
    } else if is_absolute || climbs(path) {
        Some("a path that climbs")
    } else {
        enters_git().then_some("a path inside .git")
    }
}

fn odd_url(url: &[u8]) -> Option<&'static str> {
    if url.starts_with(b"-") {
        return Some("a URL that starts with a dash");
    }
    // `helper::address` runs the program git-remote-helper; the colons of an IPv6 address stand elsewhere.
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let scheme = url.iter().take_while(|byte| is_of_scheme(byte)).count();
    if url[scheme..].starts_with(b"::") {
        return Some("a URL with a command transport");
    }
    // What an ssh client would take for an option. `host:path` is short for ssh.
    let (host, path) = match url.find("://") {
        Some(at) => {
            let rest = &url[at + 3..];
            let end = rest.find_byte(b'/').unwrap_or(rest.len());
            (&rest[..end], &b""[..])
        }
        None => match url.find_byte(b':') {
            Some(colon) if !url[..colon].contains(&b'/') => (&url[..colon], &url[colon + 1..]),
            _ => (&b""[..], &b""[..]),
        },
    };
    let address = host.rfind_byte(b'@').map_or(host, |at| &host[at + 1..]);
    if [host, address, path]
        .iter()
        .any(|part| part.starts_with(b"-"))
    {
        return Some("a host or path that starts with a dash");
    }
    let lower = url.to_ascii_lowercase();
    let encoded = [&b"%0a"[..], b"%0d", b"%00"];
    encoded
        .iter()
        .any(|end| lower.contains_str(end))
        .then_some("a URL with an encoded line end")
}

fn climbs(value: &[u8]) -> bool {
    value
        .split(|byte| matches!(byte, b'/' | b'\\' | b' '))
        .any(|part| part == b"..")
}

#[cfg(test)]
mod tests {
    use super::odd;

    #[test]
    fn ordinary_lists_pass() {
        for text in [
            "",
            "[submodule \"lib\"]\n\tpath = lib\n\turl = https://git.example/lib.git\n",
            "[submodule \"lib\"]\r\n\tpath = lib\r\n\turl = ../lib.git\r\n\tbranch = main\r\n",
            "# list\n[submodule \"my lib..v2\"] path = my-lib..v2\n url = git@git.example:org/lib.git ; ssh\n",
            "[submodule \"x\"]\n path = x\n url = https://[2001:db8::1]:8443/x\n shallow\n update = rebase\n",
            "[submodule \"x\"]\n path = \"x y\"\n url = https://git.example/a%20b # ext::x\n",
            "[submodule \"x\"]\n path = x\n url = C:\\\\repos\\\\x",
            "[submodule \"a]b\"] path = x\n[submodule \"a\\\"]b\"] path = x\n",
            "[submodule \"x\"]\r\n path = x y ; why\r\n shallow\r\n url = https://git.example/a\\\r\n/b\r\n",
            "[submodule \"x\"]\n path = x\n url = ./a:-b\n url = a/b:-c\n",
            "[submodule \"x\"]\n path =\tx\t; why\n url = https://git.example/\\\nx\n",
            "[submodule \"x\"]\n path = x\n url = file:///srv/git/x.git\n fetchRecurseSubmodules = on-demand\n",
        ] {
            assert_eq!(odd(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn what_runs_or_writes_elsewhere_is_told_in_every_form() {
        for lines in [
            "url = ext::sh -c id",
            "url = -u./payload",
            "url = \"-u./payload\"",
            "url = \\\n-u./payload",
            "URL=e\"xt\"::sh -c id",
            "url = git+ext::x",
            "url = ssh://-oProxyCommand=id/x",
            "url = ssh://git@-oProxyCommand=id/x",
            "url = git@-oProxyCommand=id:x",
            "url = git.example:-x",
            "url = https://git.example%0aHost/x",
            "url = https://git.example/x%0D%0A",
            "url = \"https://git.example/\\n\"",
            "path = ../x",
            "path = /etc",
            "path = C:/x",
            "path = -x",
            "path = x/.GIT/hooks",
            "path = \"x\r\"",
            "path = \"x\\ty\"",
            "update = !id",
            "Update = \"!\"id",
            "update = \\\n!id",
            "update = \\\r\n!id",
            "branch = main\n\turl = ext::x",
            "branch = main # why\nurl = ext::x",
            "path = x ../y",
            "url = \"a\nb\"",
            "path = x\\ty",
            "path = \"x\\n\"",
            "path = \"x\\b\"",
        ] {
            for head in [
                "[submodule \"x\"]\n\t",
                "[submodule \"x\"] ",
                "[submodule \"x\"]",
                "",
            ] {
                let text = format!("{head}{lines}\n");
                assert!(odd(text.as_bytes()).is_some(), "{text:?}");
            }
        }
        for text in [
            "[submodule \"../../hooks\"]\npath = x\n",
            "\u{feff}[submodule \"../../hooks\"]\npath = x\n",
            "[submodule \"a\\\\..\\\\b\"]\npath = x\n",
            "[submodule \"x\\\"/../y\"]\npath = x\n",
            "[submodule \"x\u{1b}\"]\npath = x\n",
        ] {
            assert!(odd(text.as_bytes()).is_some(), "{text:?}");
        }
    }

    #[test]
    fn what_git_cannot_read_is_not_taken_for_harmless() {
        for text in [
            "[submodule \"x\"\npath = x\n",
            "[submodule",
            "[submodule \"x\"]\nurl = \"x\n",
            "[submodule \"x\"]\nurl = \\q\n",
            "[submodule \"x\"]\nurl ext::x\n",
            "[submodule \"x\"]\n<<<<<<< main\n",
            "[submodule \"x\ny\"]\n",
            "[submodule \"x\\\ny\"]\n",
            "[submodule \"x\"]\npath\rx = y\n",
            "[submodule \"x\"]\npath = x\\\ry\n",
        ] {
            assert_eq!(odd(text.as_bytes()), Some(super::UNREADABLE), "{text:?}");
        }
    }
}
