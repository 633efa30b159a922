//! One page that stands for itself: no network, and nothing runs but the script that its policy names by hash.
//!
//! All tables are complete without the script, which adds filters, sorting and paging to them. What comes from a record
//! is text: it is escaped here, and the script never turns text into elements.

mod findings;
mod inventory;
mod markup;
mod timeline;

use std::io::{self, Read as _, Write};

use sha2::{Digest as _, Sha256};

use super::view::{View, many, number, short};
use findings::Rows;
use markup::{Html, Page, moment};

pub(super) fn page(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (style, script) = assets()?;
    let rows = Rows::new(view);
    let mut page = Page::new();
    page.links.raw("<li><a href='#timeline'>Timeline</a>");
    timeline::write(&mut page.body, view);
    findings::content(&mut page, view, &rows);
    findings::refused(&mut page, view, &rows);
    findings::uncovered(&mut page, view, &rows);
    inventory::agents(&mut page, view, &rows);
    inventory::repositories(&mut page, view);
    inventory::commits(&mut page, &rows);
    inventory::unread(&mut page, view, &rows);
    let mut head = Html::default();
    lead(&mut head, view, &page.cut);
    let style = style + &format!("@media (max-width:46rem){{{}}}", page.labels);
    let hash = |text: &str| data_encoding::BASE64.encode(&Sha256::digest(text));
    write!(
        out,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
        <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; \
        base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'\">\
        <meta name=referrer content=no-referrer><meta name=viewport content='width=device-width,initial-scale=1'>\
        <meta name=color-scheme content='light dark'><title>ringfence audit</title><style>{style}</style></head>\n<body>\
        <a class=skip href='#main'>Skip to the content</a>",
        hash(&style),
        hash(&script),
    )?;
    let Page { body, links, .. } = page;
    out.write_all(head.0.as_bytes())?;
    out.write_all(b"<nav aria-label=Sections><ul>")?;
    out.write_all(links.0.as_bytes())?;
    out.write_all(b"</ul></nav>\n<main id=main tabindex=-1>")?;
    out.write_all(body.0.as_bytes())?;
    let engine = &mut Html::default();
    engine.text(&view.total.engine);
    write!(
        out,
        "</main><footer><p>Made by ringfence {}. Times and names of commits are what those who committed say; signatures were not \
        verified. This page loads nothing and sends nothing.</p></footer>\n<script>{script}</script></body></html>\n",
        engine.0,
    )
}

/// Style and script, which the program carries packed.
fn assets() -> io::Result<(String, String)> {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/page.z"));
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&packed[..]).read_to_string(&mut text)?;
    let (style, script) = text.split_once('\0').ok_or(io::ErrorKind::InvalidData)?;
    Ok((style.to_owned(), script.to_owned()))
}

/// Title, whether it is whole, and what matters first.
fn lead(out: &mut Html, view: &View<'_>, cut: &[String]) {
    let total = &view.total;
    let repositories = view.repositories.len() as u64;
    let them = many(repositories, "repository", "repositories");
    out.raw("<header><h1>Audit of ").raw(&them);
    out.raw("</h1><p class=d>");
    let (since, before) = (total.since.as_deref(), total.until.as_deref());
    let policy = total.policy.as_deref().map(short);
    let ended = (!total.time.is_empty()).then(|| format!("{} UTC", moment(&total.time)));
    for (name, value) in [
        ("Ended ", ended.as_deref()),
        ("Commits from ", since),
        ("Commits before ", before),
        ("Policy ", Some(policy.as_deref().unwrap_or("none"))),
    ] {
        if let Some(value) = value {
            out.raw(name).text(value).raw(". ");
        }
    }
    for note in &view.notes {
        out.raw("Note: ").text(note).raw(". ");
    }
    let (class, title) = match (view.gaps.is_empty(), cut.is_empty()) {
        (true, true) => ("whole", "All that was asked for was looked at"),
        (true, false) => ("gap", "This page does not hold everything"),
        (false, _) => ("gap", "Incomplete: what was not looked at is not clean"),
    };
    out.raw(&format!(
        "</p><section class={class} aria-labelledby=h-gap><h2 id=h-gap>{title}</h2>"
    ));
    if class == "gap" {
        out.raw("<ul>");
        for why in view.gaps.iter().chain(cut) {
            out.raw("<li>").text(why);
        }
        out.raw("</ul><p><a href='#unread'>What was not read</a></p>");
    }
    out.raw("</section><dl class=tiles>");
    let secrets = view.pressing().len() as u64;
    let undeclared = view.undeclared().len() as u64;
    let uncovered = total.uncovered.max(view.uncovered.len() as u64);
    let unread = view.unread();
    let has_policy = total.policy.is_some();
    let has_ledger = view.repositories.iter().any(|one| one.ledger.is_some());
    let unless = |there: bool, what: &str| {
        if there {
            String::new()
        } else {
            what.to_owned()
        }
    };
    let refs = many(total.refs, "ref", "refs");
    let all = format!("of {} in all", many(total.secrets, "secret", "secrets"));
    let known = match has_policy {
        true => format!("{} not declared", number(undeclared)),
        false => "no policy to declare them".to_owned(),
    };
    let replayed = unless(has_policy, "no policy was given");
    let compared = unless(has_ledger, "no ledger was there");
    for (name, id, count, is_bad, more) in [
        (
            "Repositories",
            "repositories",
            repositories,
            false,
            String::new(),
        ),
        ("Commits", "timeline", total.commits, false, refs),
        (
            "Agents",
            "agents",
            total.agents,
            has_policy && undeclared > 0,
            known,
        ),
        (
            "Certain secrets at a tip",
            "secrets",
            secrets,
            secrets > 0,
            all,
        ),
        (
            "Commits not passing",
            "refused",
            total.refused_commits,
            total.refused_commits > 0,
            replayed,
        ),
        (
            "Uncovered by the record",
            "uncovered",
            uncovered,
            uncovered > 0,
            compared,
        ),
        ("Not read", "unread", unread, unread > 0, String::new()),
    ] {
        let class = if is_bad { " class=bad" } else { "" };
        let count = number(count);
        out.raw(&format!(
            "<div{class}><dt><a href='#{id}'>{name}</a></dt><dd>{count}</dd><small>{more}</small></div>"
        ));
    }
    out.raw("</dl></header>\n");
}
