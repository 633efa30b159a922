//! Any text as a rule file, and any pattern, name and value in a rule that is right otherwise: the compiler tells what is
//! wrong, or gives rules that work. No panic, bounded time and memory.

#![no_main]

mod seeds;

use libfuzzer_sys::fuzz_target;
use regex::bytes::RegexBuilder;
use ringfence::scan::compile::{self, Keywords, REGEX_MAX_BYTES, Rule};
use ringfence::scan::grams;
use ringfence::scan::prefilter::{Prefilter, Visit};

fuzz_target!(init: seeds::write(seeds::rule_files), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Errors are sentences with the file's name; there is no other way out.
    let told = |text: String| match compile::read(&[("fuzz.yaml".to_owned(), text)]) {
        Ok(rules) => works(&rules),
        Err(errors) => assert!(errors.iter().all(|error| error.contains("fuzz.yaml"))),
    };
    told(text.to_owned());
    let (pattern, word) = text.split_once('\n').unwrap_or((text, "word"));
    told(file(&format!("pattern: {}\n    keywords: [{}]", quoted(pattern), quoted(word))));
    told(file(&format!("names: [{}]\n    value: {}", quoted(word), quoted(pattern))));
});

/// A rule file with one rule, but for the lines that matter.
fn file(lines: &str) -> String {
    format!(
        "provider: Some\nreferences: [https://some.example/]\nrevoke: 'Delete it.'\nrules:\n  - id: secret/some-key\n    \
         title: Some key\n    {lines}\n    confidence: likely\n    examples: ['{{hex:32}}']\n    negative: ['none']\n"
    )
}

/// A YAML string with every character that is not plain written as an escape.
fn quoted(text: &str) -> String {
    let letter = |letter: char| match letter {
        ' ' | '!' | '#'..='[' | ']'..='~' => letter.to_string(),
        _ => format!("\\U{:08x}", u32::from(letter)),
    };
    format!("\"{}\"", text.chars().map(letter).collect::<String>())
}

/// What passed is used as the scanner would: the regex is built within its bound, the keywords are found.
fn works(rules: &[Rule]) {
    for rule in rules {
        // Too large a regex is told when the pack is loaded; it must not take the memory before that.
        let built = RegexBuilder::new(&rule.pattern)
            .unicode(false)
            .size_limit(REGEX_MAX_BYTES)
            .build();
        if let Ok(regex) = built {
            let text = [rule.pattern.as_bytes(), rule.id.as_bytes()].concat();
            let _ = regex.find_iter(&text).take(100).count();
        }
    }
    let Some(words) = Keywords::of(rules) else {
        return;
    };
    let tables = grams::build(&words.everywhere.words, &grams::Common::default(), 1);
    let prefilter = Prefilter::of(&tables).expect("tables of `build`");
    // Every keyword is found where it stands.
    for (number, (keyword, _)) in words.everywhere.words.iter().enumerate().take(200) {
        let text = [b"..", keyword.as_slice(), b".."].concat();
        let mut seen = Seen(Vec::new());
        prefilter.walk(&text, &mut seen);
        assert!(seen.0.contains(&(number, 2)), "a keyword is not found");
    }
}

struct Seen(Vec<(usize, usize)>);

impl Visit for Seen {
    fn keyword(&mut self, keyword: usize, start: usize) {
        self.0.push((keyword, start));
    }
}
