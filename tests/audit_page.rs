//! The page of an audit in a real browser: its script runs under its own policy, nothing else does, nothing leaves, and
//! people can use it by keyboard, on a narrow screen and on paper.

use std::time::{Duration, Instant};

use ringfence::audit::record::Finding;
use ringfence::audit::{Form, Record, Repository, Summary, tell_all};
use serde_json::{Value, json};

use crate::browser::Browser;

const FLEET: &str = include_str!("../testdata/audit/fleet.jsonl");
const HOSTILE: &str = include_str!("../testdata/audit/hostile.jsonl");

fn page(records: &[Record]) -> String {
    let mut out = Vec::new();
    tell_all(Form::Html, records, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn records(lines: &str) -> Vec<Record> {
    let read = |line| serde_json::from_str(line).unwrap();
    lines.lines().map(read).collect()
}

/// Rows of a section that the reader sees.
fn seen(browser: &mut Browser, section: &str) -> Vec<String> {
    let rows = browser.value(&format!(
        "[...document.querySelectorAll('#{section} tbody tr')].filter((row) => row.checkVisibility()).map((row) => row.textContent)"
    ));
    let text = |row: &Value| row.as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(text).collect()
}

fn follow(browser: &mut Browser, fragment: &str) {
    // An event of the page's own comes after the task that set it.
    browser.value(&format!(
        "new Promise((done) => {{ addEventListener('hashchange', () => setTimeout(done), {{ once: true }}); location.hash = {}; }})",
        json!(fragment),
    ));
}

/// Nothing of the page is wider than the window, at either width.
fn fits(browser: &mut Browser) {
    for width in [360, 1050, 1300] {
        browser.width(width);
        let wide = browser.value(
            "[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1
              && !one.closest('#timeline, nav, .rows thead, .skip')).map((one) => one.outerHTML.slice(0, 300))",
        );
        assert_eq!(wide, json!([]), "{width}");
        let broken = browser.value(
            "[...document.querySelectorAll('.rows .t')].filter((one) => one.getClientRects().length > 1).map((one) => one.outerHTML)",
        );
        assert_eq!(broken, json!([]), "{width}");
        let overflow = browser.value("document.documentElement.scrollWidth - innerWidth");
        assert!(overflow.as_i64() <= Some(0), "{width}: {overflow}");
    }
}

/// Texts whose colour stands out too little from what is behind them (WCAG 2.2, AA).
const PALE: &str = r"
(() => {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).slice(0, 3).map((one) => one / 255).map((one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (parts(color).length === 3 || parts(color)[3] > 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const own = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll('body *:not(script):not(svg *)')].filter((one) => own(one) && one.checkVisibility()).filter((one) => {
    const pair = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
    return (pair[0] + .05) / (pair[1] + .05) < 4.5;
  }).map((one) => one.outerHTML.slice(0, 200));
})()";

#[test]
fn a_page_can_be_used() {
    let page = page(&records(FLEET));
    let mut browser = Browser::start();
    browser.open(&page);
    // Its own script ran, under its own policy.
    let sections = [
        "secrets",
        "content",
        "refused",
        "uncovered",
        "agents",
        "repositories",
        "commits",
        "unread",
    ];
    let bars =
        browser.value("[...document.querySelectorAll('.bar')].map((bar) => bar.parentElement.id)");
    assert_eq!(bars, json!(sections));
    // What it is made of.
    for (what, wanted) in [
        ("document.documentElement.lang", json!("en")),
        ("document.querySelectorAll('h1').length", json!(1)),
        (
            "document.querySelectorAll('header, nav[aria-label], main, footer').length",
            json!(4),
        ),
        (
            "[...document.querySelectorAll('section')].filter((one) => !document.getElementById(one.getAttribute('aria-labelledby'))).length",
            json!(0),
        ),
        (
            "[...document.querySelectorAll('input, select')].filter((one) => one.labels.length !== 1).length",
            json!(0),
        ),
        (
            "document.querySelectorAll('[style], [onclick], base, link, iframe, img').length",
            json!(0),
        ),
        // Every link leads to a place of this page, or filters it.
        (
            "[...document.querySelectorAll('[href]')].map((one) => one.getAttribute('href')).filter((one) => !(one.startsWith('#') && (one.includes('=') || document.getElementById(one.slice(1)))))",
            json!([]),
        ),
        ("document.querySelectorAll('[src]').length", json!(0)),
        (
            "new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size === document.querySelectorAll('[id]').length",
            json!(true),
        ),
    ] {
        assert_eq!(browser.value(what), wanted, "{what}");
    }

    // Filters can be linked.
    follow(&mut browser, "filter=stripe-live-key&in=secrets");
    assert_eq!(seen(&mut browser, "secrets").len(), 2);
    assert_eq!(
        seen(&mut browser, "agents").len(),
        6,
        "a section that is not meant"
    );
    let told = browser.value("document.querySelector('#secrets output').textContent");
    assert_eq!(told, "2 of 2 that fit, of 8");
    follow(&mut browser, "in=refused&level=hold");
    let held = seen(&mut browser, "refused");
    assert!(held.len() == 1 && held[0].contains("path/held"), "{held:?}");
    follow(&mut browser, "in=secrets&repository=acme%2Fops-scripts");
    let rows = seen(&mut browser, "secrets");
    assert!(
        rows.len() == 2 && rows.iter().all(|row| row.contains("acme/ops-scripts")),
        "{rows:?}"
    );
    // A row that a filter hides is shown to who asks for it.
    follow(&mut browser, "s1");
    let target = browser.value("document.querySelector('#s1').checkVisibility()");
    assert_eq!(target, json!(true));
    follow(&mut browser, "filter=");
    assert_eq!(seen(&mut browser, "secrets").len(), 8);

    // By keyboard: the skip link comes first and is seen.
    browser.value("document.activeElement.blur(); scrollTo(0, 0)");
    browser.open(&page);
    browser.key("Tab", 9, "");
    let skip = browser.value("[document.activeElement.className, document.activeElement.getBoundingClientRect().left >= 0]");
    assert_eq!(skip, json!(["skip", true]));
    browser.key("Enter", 13, "\r");
    assert_eq!(browser.value("document.activeElement.id"), "main");
    browser.value("document.querySelector('#secrets input').focus()");
    browser.text("slack");
    assert_eq!(seen(&mut browser, "secrets").len(), 1);
    assert_eq!(browser.value("location.hash"), "#in=secrets&filter=slack");
    browser.key("Tab", 9, "");
    browser.key("Tab", 9, "");
    browser.key("Tab", 9, "");
    assert_eq!(
        browser.value("document.activeElement.textContent"),
        "Clear filters"
    );
    let outline = browser.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "where one is, is seen");
    browser.key("Enter", 13, "\r");
    assert_eq!(seen(&mut browser, "secrets").len(), 8);
    browser.value("document.querySelectorAll('#agents thead button')[3].focus()");
    for (order, first) in [("ascending", "34"), ("descending", "368")] {
        browser.key("Enter", 13, "\r");
        let sorted = browser.value(
            "[document.activeElement.parentElement.getAttribute('aria-sort'), document.querySelector('#agents tbody tr').cells[3].textContent]",
        );
        assert_eq!(sorted, json!([order, first]));
    }

    for scheme in ["light", "dark"] {
        browser.media(scheme);
        assert_eq!(browser.value(PALE), json!([]), "{scheme}");
    }
    fits(&mut browser);

    // On paper: everything that folds is open, and nothing that only a screen has.
    let paper = browser.paper();
    for text in [
        "deploy/config.staging.env",
        "Refused if replayed",
        "refs/tags/v2.3.0",
        "7Q4M-2KX9",
        "objects/info/alternates",
        "src/rounding.rs",
    ] {
        assert!(paper.contains(text), "{text}: {paper}");
    }
    let is_row = |line: &str| line.contains("acme/ops-scripts") && line.contains("2026-05-07");
    assert!(
        paper.lines().any(is_row),
        "tables are tables on paper: {paper}"
    );
    for text in ["Filter by text", "Show all", "Skip to"] {
        assert!(!paper.contains(text), "{text}");
    }
    browser.was_quiet();
}

#[test]
fn a_page_is_complete_without_its_script() {
    let page = page(&records(FLEET));
    let (before, after) = page.split_once("<script>").unwrap();
    let after = after.split_once("</script>").unwrap().1;
    let mut browser = Browser::start();
    browser.open(&format!("{before}{after}"));
    let rows = browser.value("[...document.querySelectorAll('.rows tbody tr')].filter((row) => row.checkVisibility()).length");
    let told = records(FLEET).len() - 1;
    // Beside the records: commits, and what was not read.
    assert_eq!(rows, json!(told + 22 + 3));
    assert_eq!(
        browser.value("document.querySelectorAll('button, input, select').length"),
        json!(0)
    );
    // Another script does not run, and no style counts: the page names both by hash.
    let evil = "<script>document.title = 'ran'</script><style>h1 { display: none }</style><img src=x onerror=\"document.title = 'ran'\">";
    browser.open(&page.replacen("<header>", &format!("{evil}<header>"), 1));
    let state = browser.value("[document.title, document.querySelector('h1').checkVisibility()]");
    assert_eq!(state, json!(["ringfence audit", true]));
    let said = browser.said();
    assert!(
        said.iter()
            .filter(|one| one.contains("Content Security Policy"))
            .count()
            >= 3,
        "{said:?}"
    );
}

#[test]
fn hostile_names_stay_text() {
    let mut browser = Browser::start();
    browser.open(&page(&records(HOSTILE)));
    for (what, wanted) in [
        (
            "document.querySelectorAll('img, iframe, base, link, [onerror], [onmouseover]').length",
            json!(0),
        ),
        (
            "[document.scripts.length, document.querySelectorAll('h1').length, document.title]",
            json!([1, 1, "ringfence audit"]),
        ),
        (
            "[...document.querySelectorAll('[href]')].filter((one) => !one.getAttribute('href').startsWith('#')).length",
            json!(0),
        ),
        (
            "document.querySelector('#repositories').textContent.includes('<img src=x onerror=alert(1)><script>alert(2)</script>')",
            json!(true),
        ),
        // What turns text around, hides it or steers a terminal is shown by its number.
        (
            "/[^\\x20-\\x7e\\n\u{2195}]/.test(document.body.textContent)",
            json!(false),
        ),
    ] {
        assert_eq!(browser.value(what), wanted, "{what}");
    }
    assert_eq!(seen(&mut browser, "repositories").len(), 23);
    for fragment in [
        "filter=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&in=repositories",
        "filter=x&in=__proto__&level=constructor&repository=__proto__",
        "filter=%E0%A4%A",
        "=",
        "h-secrets",
    ] {
        follow(&mut browser, fragment);
    }
    follow(&mut browser, "filter=onerror&in=repositories");
    assert_eq!(seen(&mut browser, "repositories").len(), 1);
    assert_eq!(
        browser.value("document.querySelectorAll('img').length"),
        json!(0)
    );
    follow(&mut browser, "filter=");
    fits(&mut browser);
    browser.was_quiet();
}

#[test]
fn ten_thousand_findings_stay_usable() {
    let sample = records(FLEET).into_iter().find_map(|one| match one {
        Record::Finding(one) if one.place_count == 3 && one.source == "content" => Some(one),
        _ => None,
    });
    let sample = sample.unwrap();
    let finding = |number: u64| {
        Record::Finding(Box::new(Finding {
            repository: format!("acme/service-{}", number % 40),
            fingerprint: Some(format!("{number:012x}")),
            path: Some(format!("deploy/config-{number}.env")),
            ..(*sample).clone()
        }))
    };
    let mut all: Vec<Record> = (0..10_050).map(finding).collect();
    for number in 0..40 {
        all.push(Record::Repository(Repository {
            repository: format!("acme/service-{number}"),
            status: "complete".into(),
            ..Repository::default()
        }));
    }
    all.push(Record::Summary(Summary {
        status: "complete".into(),
        repositories: 40,
        ..Summary::default()
    }));
    let page = page(&all);
    assert!(page.len() < 16 << 20, "{}", page.len());
    assert!(page.contains("Secrets: the first 10,000 of 10,050 are in this page"));
    let mut browser = Browser::start();
    let start = Instant::now();
    browser.open(&page);
    assert_eq!(seen(&mut browser, "secrets").len(), 200);
    let loaded = start.elapsed();
    follow(&mut browser, "filter=config-77.env&in=secrets");
    assert_eq!(seen(&mut browser, "secrets").len(), 1);
    follow(&mut browser, "s9999");
    assert_eq!(
        browser.value("document.querySelector('#s9999').checkVisibility()"),
        json!(true)
    );
    // The pages before and after it are there, and no more than one is shown.
    assert_eq!(seen(&mut browser, "secrets").len(), 200);
    let told = browser.value("document.querySelector('#secrets output').textContent");
    assert_eq!(told, "9801 to 10000 of 10000");
    browser.value("[...document.querySelectorAll('#secrets > button')][0].click()");
    let told = browser.value("document.querySelector('#secrets output').textContent");
    assert_eq!(told, "9601 to 9800 of 10000");
    let took = start.elapsed();
    // Far above what it takes: a machine may be busy.
    assert!(took < Duration::from_secs(30), "{loaded:?}, {took:?}");
    browser.was_quiet();
}
