//! Puts a sample into the files in which people leave secrets: eighteen syntaxes, each as its own language writes it.

/// A kind of file.
pub(crate) struct Syntax {
    /// What it is called in the tables.
    pub(crate) name: &'static str,
    before: &'static str,
    after: &'static str,
    /// A name and a value on one line. `None`: not writable here.
    assign: fn(&Name<'_>, &str) -> Option<String>,
    /// A name and a value of several lines.
    block: fn(&Name<'_>, &str) -> Option<String>,
}

/// What a rule's example is, once it is made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape<'a> {
    /// The secret alone.
    Value(&'a str),
    /// A plain assignment, which every language writes in its own way.
    Named(&'a str, &'a str),
    /// A line of a file that is more than an assignment. Stands as it is.
    Line(&'a str),
    /// Several lines.
    Block(&'a str),
}

const NAME_MAX_BYTES: usize = 48;

/// What kind of example this is.
pub(crate) fn shape(sample: &str) -> Shape<'_> {
    if sample.contains('\n') {
        return Shape::Block(sample);
    }
    let sign = [sample.find('='), sample.find(": ")];
    if let Some(at) = sign.into_iter().flatten().min() {
        let (name, value) = (&sample[..at], &sample[at + 1..]);
        // Tokens may have an equals sign of their own; no name is that long, or has so many digits.
        let is_name = |text: &str| {
            text.len() <= NAME_MAX_BYTES
                && text.chars().filter(char::is_ascii_digit).count() <= 2
                && text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
        };
        let bare = value.trim();
        let quotes = bare.len() >= 2 && bare.starts_with(['"', '\'']) && bare.ends_with(&bare[..1]);
        let inner = if quotes {
            &bare[1..bare.len() - 1]
        } else {
            bare
        };
        // `a=b;c=d` and `https://…` are values of their own.
        let plain = !inner.is_empty()
            && !inner.starts_with("//")
            && !inner.contains(['"', '\'', ' ', ';', '{', '(', '\\']);
        if is_name(name.trim()) && plain {
            return Shape::Named(name.trim(), inner);
        }
    }
    if sample.contains([' ', '"', '\'', '<']) {
        Shape::Line(sample)
    } else {
        Shape::Value(sample)
    }
}

impl Syntax {
    /// The sample in a file of this kind. `None`: no such file holds it.
    pub(crate) fn file(&self, sample: &str) -> Option<String> {
        let inside = match shape(sample) {
            Shape::Value(value) => self.assign(BARE_NAME, value)?,
            Shape::Named(name, value) => self.assign(name, value)?,
            Shape::Line(line) => line.to_owned(),
            Shape::Block(lines) => (self.block)(&Name(BARE_NAME), lines)?,
        };
        Some(format!("{}{inside}\n{}", self.before, self.after))
    }

    /// A name and a value, as this language writes them.
    pub(crate) fn assign(&self, name: &str, value: &str) -> Option<String> {
        (self.assign)(&Name(name), value)
    }
}

/// The name beside a value whose example has none.
const BARE_NAME: &str = "service_token";

/// A name, in the habits of every language.
struct Name<'a>(&'a str);

impl Name<'_> {
    fn words(&self) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut before = '_';
        for letter in self.0.chars() {
            let starts = letter.is_ascii_uppercase() && before.is_ascii_lowercase();
            if starts || matches!(letter, '_' | '-' | '.') {
                words.push(String::new());
            }
            if letter.is_ascii_alphanumeric() {
                words
                    .last_mut()
                    .expect("never empty")
                    .push(letter.to_ascii_lowercase());
            }
            before = letter;
        }
        words.retain(|word| !word.is_empty());
        words
    }

    fn snake(&self) -> String {
        self.words().join("_")
    }

    fn screaming(&self) -> String {
        self.snake().to_ascii_uppercase()
    }

    fn kebab(&self) -> String {
        self.words().join("-")
    }

    fn prose(&self) -> String {
        self.words().join(" ")
    }

    fn pascal(&self) -> String {
        let capital = |word: String| word[..1].to_ascii_uppercase() + &word[1..];
        self.words().into_iter().map(capital).collect()
    }

    fn camel(&self) -> String {
        let pascal = self.pascal();
        pascal[..1].to_ascii_lowercase() + &pascal[1..]
    }

    fn header(&self) -> String {
        let capital = |word: String| word[..1].to_ascii_uppercase() + &word[1..];
        let words: Vec<String> = self.words().into_iter().map(capital).collect();
        words.join("-")
    }
}

/// In double quotes, with backslashes, quotes and line ends escaped.
fn quoted(value: &str) -> String {
    let inner = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{inner}\"")
}

fn single_quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

fn indented(lines: &str, by: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("{by}{line}")).collect();
    lines.join("\n")
}

fn in_xml(value: &str) -> String {
    value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The syntaxes, in the order of the tables.
pub(crate) static SYNTAXES: &[Syntax] = &[
    Syntax {
        name: ".env",
        before: "# local settings\nNODE_ENV=production\nPORT=3000\n",
        after: "LOG_LEVEL=info\n",
        assign: |name, value| {
            let value = if value.contains([' ', '#']) {
                quoted(value)
            } else {
                value.to_owned()
            };
            Some(format!("{}={value}", name.screaming()))
        },
        block: |name, value| Some(format!("{}=\"{value}\"", name.screaming())),
    },
    Syntax {
        name: "YAML",
        before: "version: '3'\nservices:\n  web:\n    image: nginx:1.27\n    environment:\n",
        after: "      LOG_LEVEL: info\n    ports: [\"80:80\"]\n",
        assign: |name, value| {
            let plain =
                !value.contains([' ', '#', ',', '[', ']', '{', '}']) && !value.contains(": ");
            let value = if plain {
                value.to_owned()
            } else {
                quoted(value)
            };
            Some(format!("      {}: {value}", name.snake()))
        },
        block: |name, value| {
            Some(format!(
                "      {}: |\n{}",
                name.snake(),
                indented(value, "        ")
            ))
        },
    },
    Syntax {
        name: "JSON",
        before: "{\n  \"name\": \"web\",\n  \"port\": 8080,\n",
        after: "  \"debug\": false\n}\n",
        assign: |name, value| Some(format!("  {}: {},", quoted(&name.camel()), quoted(value))),
        block: |name, value| Some(format!("  {}: {},", quoted(&name.camel()), quoted(value))),
    },
    Syntax {
        name: "TOML",
        before: "[server]\nhost = \"0.0.0.0\"\nport = 8080\n",
        after: "\n[log]\nlevel = \"info\"\n",
        assign: |name, value| Some(format!("{} = {}", name.snake(), quoted(value))),
        block: |name, value| Some(format!("{} = '''\n{value}\n'''", name.snake())),
    },
    Syntax {
        name: "INI",
        before: "; settings\n[default]\nregion = eu-central-1\n",
        after: "output = json\n",
        assign: |name, value| Some(format!("{} = {value}", name.snake())),
        block: |name, value| Some(format!("{} =\n{}", name.snake(), indented(value, "    "))),
    },
    Syntax {
        name: "Python",
        before: "import requests\n\nBASE = \"https://api.service.example/v1\"\n",
        after: "\n\ndef main():\n    print(requests.get(BASE, timeout=10).status_code)\n",
        assign: |name, value| Some(format!("{} = {}", name.screaming(), quoted(value))),
        block: |name, value| Some(format!("{} = \"\"\"{value}\"\"\"", name.screaming())),
    },
    Syntax {
        name: "TypeScript",
        before: "import { Client } from \"./client\";\n\nexport const options = {\n  retries: 3,\n",
        after: "};\n\nexport const client = new Client(options);\n",
        assign: |name, value| {
            let inner = value.replace('\\', "\\\\").replace('\'', "\\'");
            Some(format!("  {}: '{inner}',", name.camel()))
        },
        block: |name, value| Some(format!("  {}: `{value}`,", name.camel())),
    },
    Syntax {
        name: "Go",
        before: "package main\n\nimport \"fmt\"\n\nfunc main() {\n",
        after: "\tfmt.Println(\"started\")\n}\n",
        assign: |name, value| Some(format!("\t{} := {}", name.camel(), quoted(value))),
        block: |name, value| Some(format!("\t{} := `{value}`", name.camel())),
    },
    Syntax {
        name: "Java",
        before: "package com.example.web;\n\npublic final class Settings {\n    static final int PORT = 8080;\n",
        after: "\n    private Settings() {}\n}\n",
        assign: |name, value| {
            Some(format!(
                "    private static final String {} = {};",
                name.screaming(),
                quoted(value)
            ))
        },
        block: |name, value| {
            let lines: Vec<String> = value
                .lines()
                .map(|line| format!("        {}", quoted(&format!("{line}\n"))))
                .collect();
            Some(format!(
                "    private static final String {} =\n{};",
                name.screaming(),
                lines.join(" +\n")
            ))
        },
    },
    Syntax {
        name: "C#",
        before: "namespace Example.Web;\n\npublic static class Settings\n{\n    public const int Port = 8080;\n",
        after: "}\n",
        assign: |name, value| {
            Some(format!(
                "    public const string {} = {};",
                name.pascal(),
                quoted(value)
            ))
        },
        block: |name, value| {
            let inner = value.replace('"', "\"\"");
            Some(format!(
                "    public const string {} = @\"{inner}\";",
                name.pascal()
            ))
        },
    },
    Syntax {
        name: "shell",
        before: "#!/bin/sh\nset -eu\nexport LANG=C\n",
        after: "exec ./serve --port 8080\n",
        assign: |name, value| Some(format!("export {}={}", name.screaming(), quoted(value))),
        block: |name, value| {
            Some(format!(
                "cat >\"$HOME/.{}\" <<'EOF'\n{value}\nEOF",
                name.kebab()
            ))
        },
    },
    Syntax {
        name: "Dockerfile",
        before: "FROM debian:12-slim\nRUN apt-get update && apt-get install -y curl\n",
        after: "COPY . /app\nCMD [\"/app/serve\"]\n",
        assign: |name, value| {
            let value = if value.contains(' ') {
                quoted(value)
            } else {
                value.to_owned()
            };
            Some(format!("ENV {}={value}", name.screaming()))
        },
        block: |name, value| {
            Some(format!(
                "RUN cat >/etc/{} <<'EOF'\n{value}\nEOF",
                name.kebab()
            ))
        },
    },
    Syntax {
        name: "XML",
        before: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<settings>\n  <port>8080</port>\n",
        after: "</settings>\n",
        assign: |name, value| {
            let name = name.camel();
            Some(format!("  <{name}>{}</{name}>", in_xml(value)))
        },
        block: |name, value| {
            let name = name.camel();
            Some(format!("  <{name}>\n{}\n  </{name}>", in_xml(value)))
        },
    },
    Syntax {
        name: "Markdown",
        before: "# Set-up\n\nInstall the client, then log in.\n\n",
        after: "\nThen start the service with `make run`.\n",
        assign: |name, value| {
            Some(format!(
                "For the demo, set the {} to `{value}` and go on.",
                name.prose()
            ))
        },
        block: |name, value| Some(format!("The {}:\n\n```\n{value}\n```", name.prose())),
    },
    Syntax {
        name: "HTTP header",
        before: "GET /v1/items HTTP/1.1\r\nHost: api.service.example\r\nAccept: application/json\r\n",
        after: "\r\n",
        assign: |name, value| {
            Some(match name.0 {
                BARE_NAME => format!("Authorization: Bearer {value}\r"),
                _ => format!("X-{}: {value}\r", name.header()),
            })
        },
        block: |_, _| None,
    },
    Syntax {
        name: "curl",
        before: "$ cd project\n",
        after: "{\"ok\": true}\n",
        assign: |name, value| {
            let header = match name.0 {
                BARE_NAME => format!("Authorization: Bearer {value}"),
                _ => format!("X-{}: {value}", name.header()),
            };
            Some(format!(
                "$ curl -sS -X POST -H {} https://api.service.example/v1/items",
                single_quoted(&header)
            ))
        },
        block: |name, value| {
            let body = format!("{{{}:{}}}", quoted(&name.camel()), quoted(value));
            Some(format!(
                "$ curl -sS --data {} https://api.service.example/v1/items",
                single_quoted(&body)
            ))
        },
    },
    Syntax {
        name: "SQL",
        before: "CREATE TABLE settings (name text PRIMARY KEY, value text);\n",
        after: "UPDATE settings SET value = '8080' WHERE name = 'port';\n",
        assign: |name, value| {
            Some(format!(
                "INSERT INTO settings (name, value) VALUES ('{}', '{}');",
                name.snake(),
                value.replace('\'', "''")
            ))
        },
        block: |name, value| {
            Some(format!(
                "INSERT INTO settings (name, value) VALUES ('{}', '{}');",
                name.snake(),
                value.replace('\'', "''")
            ))
        },
    },
    Syntax {
        name: "Terraform",
        before: "resource \"example_service\" \"web\" {\n  region = \"eu-central-1\"\n",
        after: "}\n",
        assign: |name, value| Some(format!("  {} = {}", name.snake(), quoted(value))),
        block: |name, value| Some(format!("  {} = <<EOT\n{value}\nEOT", name.snake())),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_told_apart() {
        assert_eq!(shape("ghp_0123"), Shape::Value("ghp_0123"));
        assert_eq!(
            shape("API_KEY=abc/d+e=="),
            Shape::Named("API_KEY", "abc/d+e==")
        );
        assert_eq!(shape("apiKey: 'abc'"), Shape::Named("apiKey", "abc"));
        assert_eq!(shape("https://a:b@c.d/"), Shape::Value("https://a:b@c.d/"));
        assert_eq!(shape("Endpoint=x;Key=y"), Shape::Value("Endpoint=x;Key=y"));
        assert_eq!(shape("curl -u a:b"), Shape::Line("curl -u a:b"));
        assert_eq!(shape("\"key\": \"abc\""), Shape::Line("\"key\": \"abc\""));
        assert_eq!(shape("a\nb"), Shape::Block("a\nb"));
        assert_eq!(shape("="), Shape::Value("="));
        let token = format!("{}=ABCD", "A1b2".repeat(40));
        assert_eq!(shape(&token), Shape::Value(&token));
    }

    #[test]
    fn names_in_every_habit() {
        let name = Name("AWS_secretKey-id");
        assert_eq!(name.words(), ["aws", "secret", "key", "id"]);
        assert_eq!(name.screaming(), "AWS_SECRET_KEY_ID");
        assert_eq!(name.camel(), "awsSecretKeyId");
        assert_eq!(name.pascal(), "AwsSecretKeyId");
        assert_eq!(name.header(), "Aws-Secret-Key-Id");
        assert_eq!(name.kebab(), "aws-secret-key-id");
        assert_eq!(name.prose(), "aws secret key id");
    }

    #[test]
    fn every_syntax_keeps_the_value_whole() {
        for syntax in SYNTAXES {
            let file = syntax.file("API_KEY=abcdef0123").unwrap();
            assert!(file.contains("abcdef0123"), "{}", syntax.name);
            assert!(file.to_ascii_lowercase().contains("api"), "{}", syntax.name);
            let file = syntax.file("abcdef0123").unwrap();
            assert!(file.contains("abcdef0123"), "{}", syntax.name);
            if let Some(file) = syntax.file("first line\nsecond line") {
                assert!(file.contains("first line"), "{}", syntax.name);
                assert!(file.contains("second line"), "{}", syntax.name);
            }
        }
        let several = SYNTAXES
            .iter()
            .filter(|syntax| syntax.file("a\nb").is_some());
        assert!(several.count() >= SYNTAXES.len() - 1);
    }

    #[test]
    fn languages_escape_their_own_way() {
        let in_syntax = |name: &str, value: &str| {
            let syntax = SYNTAXES.iter().find(|syntax| syntax.name == name).unwrap();
            syntax.assign("the_name", value).unwrap()
        };
        assert_eq!(in_syntax("JSON", "a\"b\\c"), r#"  "theName": "a\"b\\c","#);
        assert_eq!(in_syntax("XML", "a&b"), "  <theName>a&amp;b</theName>");
        assert!(in_syntax("SQL", "it's").ends_with("('the_name', 'it''s');"));
        assert_eq!(in_syntax("YAML", "a b"), "      the_name: \"a b\"");
        assert_eq!(in_syntax(".env", "a b"), "THE_NAME=\"a b\"");
    }
}
