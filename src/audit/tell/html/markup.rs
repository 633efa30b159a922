//! The page as it grows: elements, escaped text, and tables.

use super::super::view::{day, number, start, word};

/// Rows of one table; more are counted.
pub(super) const ROWS_MAX: usize = 10_000;
/// Rows that the script shows at a time.
const PAGE: usize = 200;
/// Bytes of all tables; a row that would not fit, and those after it, are counted.
const BYTES_MAX: usize = 32 << 20;
/// Things that a list in a row names.
pub(super) const LISTED_MAX: usize = 10;
/// Letters of a label that never breaks: longer than every word of this program.
pub(super) const LABEL_MAX: usize = 24;

/// Elements and escaped text.
#[derive(Default)]
pub(super) struct Html(pub(super) String);

impl Html {
    /// Markup of this program.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text of anybody.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for letter in word(text).chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&#34;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(letter),
            }
        }
        self
    }

    pub(super) fn count(&mut self, count: u64) -> &mut Self {
        self.raw("<td class=r>").raw(&number(count))
    }

    /// Text that leads to a row, where there is one.
    pub(super) fn link(&mut self, kind: &str, row: Option<usize>, text: &str) -> &mut Self {
        match row {
            Some(row) => self
                .raw(&format!("<a href='#{kind}{row}'>"))
                .text(text)
                .raw("</a>"),
            None => self.text(text),
        }
    }

    /// From one day to another; a date is not broken over lines.
    pub(super) fn days(&mut self, from: &str, to: &str) -> &mut Self {
        self.raw("<span class=t>").text(&day(from));
        self.raw("</span> to <span class=t>")
            .text(&day(to))
            .raw("</span>")
    }

    /// A line below, in small letters.
    pub(super) fn small(&mut self, class: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.raw("<span class='b d ").raw(class).raw("'>");
            self.text(text).raw("</span>");
        }
    }

    /// Text that filters the whole page by an id, where it is one.
    pub(super) fn sought(&mut self, id: &str, text: &str) -> &mut Self {
        match !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => self
                .raw(&format!("<a href='#filter={id}'>"))
                .text(text)
                .raw("</a>"),
            false => self.text(text),
        }
    }

    /// A list that folds.
    pub(super) fn folded(
        &mut self,
        name: &str,
        items: &mut dyn Iterator<Item = String>,
        count: u64,
    ) {
        self.raw("<details><summary>")
            .raw(name)
            .raw("</summary><ul class=m>");
        let mut shown = 0;
        for item in items.take(LISTED_MAX) {
            self.raw("<li>").text(&item);
            shown += 1;
        }
        if count > shown {
            self.raw("<li>and ")
                .raw(&number(count - shown))
                .raw(" more");
        }
        self.raw("</ul></details>");
    }
}

/// A time without seconds.
pub(super) fn moment(time: &str) -> String {
    start(time, 16).replace('T', " ")
}

/// A word in a box. Its class is one of this program's words, whatever the record says.
pub(super) fn badge(out: &mut Html, class: &str, text: &str) {
    let known = ["deny", "hold", "warn", "good"].contains(&class);
    let class = if known { class } else { "deny" };
    out.raw("<span class='l ").raw(class).raw("'>");
    out.text(&start(text, LABEL_MAX)).raw("</span>");
}

/// A table of the page.
pub(super) struct Table<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) about: &'a str,
    /// What the level of its rows is called.
    pub(super) levels: &'a str,
    /// Names; those of numbers behind a `#`.
    pub(super) columns: &'a [&'a str],
    /// What is said instead of an empty table.
    pub(super) none: &'a str,
}

/// What a row is called and filtered by.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) level: String,
    /// The number of its repository.
    pub(super) repository: Option<usize>,
}

/// The page as it grows.
pub(super) struct Page {
    pub(super) body: Html,
    /// Links to its sections.
    pub(super) links: Html,
    /// Rules that say what a cell is, for narrow screens.
    pub(super) labels: String,
    /// What it does not hold.
    pub(super) cut: Vec<String>,
    room: usize,
}

impl Page {
    pub(super) fn new() -> Page {
        Page {
            body: Html::default(),
            links: Html::default(),
            labels: String::new(),
            cut: Vec::new(),
            room: BYTES_MAX,
        }
    }

    /// One section with a table of `total` rows, the cells of each written by `row`.
    pub(super) fn table(
        &mut self,
        table: &Table<'_>,
        total: usize,
        row: &mut dyn FnMut(usize, &mut Html) -> Row,
    ) {
        let Table {
            id,
            title,
            about,
            levels,
            columns,
            none,
        } = table;
        let count = number(total as u64);
        let link = format!("<li><a href='#{id}'>{title}</a> <span class=n>{count}</span>");
        self.links.raw(&link);
        let body = &mut self.body;
        body.raw(&format!(
            "<section id={id} data-l='{levels}' aria-labelledby=h-{id}><h2 id=h-{id}>{title} <span class=n>{count}</span></h2>\
             <p class=about>{}</p>",
            if total == 0 { none } else { about },
        ));
        if total == 0 {
            body.raw("</section>\n");
            return;
        }
        body.raw(&format!(
            "<table class=rows aria-labelledby=h-{id}><thead><tr>"
        ));
        for (place, name) in columns.iter().enumerate() {
            let (class, name) = match name.strip_prefix('#') {
                Some(name) => (" class=r", name),
                None => ("", *name),
            };
            body.raw(&format!("<th scope=col{class}>{name}"));
            let cell = format!("#{id} tr>:nth-child({})::before", place + 1);
            self.labels += &format!("{cell}{{content:\"{name}\"}}");
        }
        body.raw("<tbody>");
        let mut shown = 0_usize;
        for place in 0..total.min(ROWS_MAX) {
            let mut cells = Html::default();
            let row = row(place, &mut cells);
            let Some(room) = self.room.checked_sub(cells.0.len()) else {
                break;
            };
            self.room = room;
            body.raw("\n<tr id=")
                .raw(&row.id)
                .raw(" data-l='")
                .text(&row.level);
            if let Some(repository) = row.repository {
                body.raw(&format!("' data-r='{repository}"));
            }
            // The script shows so many at a time, and need not hide the others first.
            let late = if place < PAGE { "'>" } else { "' class=late>" };
            body.raw(late).raw(&cells.0);
            shown += 1;
        }
        body.raw("</table>");
        if shown < total {
            let cut = format!(
                "{title}: the first {} of {count} are in this page",
                number(shown as u64)
            );
            body.raw("<p><b>Cut.</b> ")
                .raw(&cut)
                .raw("; <code>--format jsonl</code> has all.</p>");
            self.cut.push(cut);
        }
        body.raw("</section>\n");
    }
}
