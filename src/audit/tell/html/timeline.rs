//! When agents were at work and when findings came in: one picture, and its numbers as a table.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::super::view::{View, day, number};
use super::markup::Html;

/// Bars that a picture holds.
const BARS_MAX: i64 = 120;
/// The picture, in its own units.
const WIDTH: i64 = 960;
const LEFT: i64 = 44;
/// Where the two charts stand: upper edge and height.
const CHARTS: [(i64, i64); 2] = [(22, 110), (176, 74)];

/// What a bar is made of, the upper chart's two before the lower one's three.
const SERIES: [&str; 5] = [
    "commits of agents",
    "commits of bots",
    "deny",
    "hold",
    "warn",
];

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    /// The number of the unit that a day is in.
    fn of(self, date: Date) -> i64 {
        let (year, month) = (i64::from(date.year()), i64::from(date.month()));
        match self {
            Unit::Day => days(date),
            // 1970 began on a Thursday, weeks begin on Mondays.
            Unit::Week => (days(date) + 3).div_euclid(7),
            Unit::Month => year * 12 + month - 1,
            Unit::Year => year,
        }
    }

    fn name(self, number: i64) -> String {
        match self {
            Unit::Day => date(number),
            Unit::Week => date(number * 7 - 3),
            Unit::Month => format!(
                "{:04}-{:02}",
                number.div_euclid(12),
                number.rem_euclid(12) + 1
            ),
            Unit::Year => format!("{number:04}"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Unit::Day => "day",
            Unit::Week => "week (by its Monday)",
            Unit::Month => "month",
            Unit::Year => "year",
        }
    }
}

fn days(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

fn date(days: i64) -> String {
    let seconds = days.saturating_mul(86_400);
    day(&crate::audit::time(seconds))
}

pub(super) fn write(out: &mut Html, view: &View<'_>) {
    let (bars, unit, outside) = bars(view);
    out.raw("<section id=timeline aria-labelledby=h-t><h2 id=h-t>Timeline</h2>");
    let Some((first, last)) = bars.keys().next().zip(bars.keys().next_back()) else {
        out.raw("<p>No commit of an agent and no finding has a time.</p></section>");
        return;
    };
    let (first, count) = (*first, last - first + 1);
    out.raw("<p class=about>By ").raw(unit.word());
    out.raw(", UTC, by the clocks of those who committed. A commit of two agents counts for both; a finding stands where its first commit does.");
    if outside > 0 {
        out.raw(" Not drawn: ").raw(&number(outside));
        out.raw(" with a time before 2005 or after the audit.");
    }
    out.raw(
        "</p><figure class=chart tabindex=0 role=region aria-label='Timeline, scrolls sideways'>",
    );
    picture(out, &bars, unit, first, count);
    out.raw("</figure><details><summary>The numbers as a table</summary><table><thead><tr><th scope=col>Time");
    for name in SERIES {
        out.raw("<th scope=col class=r>").raw(name);
    }
    out.raw("<tbody>");
    for (place, bar) in &bars {
        out.raw("<tr><th scope=row>").raw(&unit.name(*place));
        for count in bar {
            out.raw("<td class=r>").raw(&number(*count));
        }
    }
    out.raw("</table></details></section>\n");
}

type Bars = BTreeMap<i64, [u64; 5]>;

/// What happened when, in the smallest unit that fits, and how much lies outside of the years that can be true.
fn bars(view: &View<'_>) -> (Bars, Unit, u64) {
    let mut happened: Vec<(&str, usize, u64)> = Vec::new();
    for agent in &view.agents {
        let days = agent.days.iter();
        happened.extend(days.map(|(day, count)| (&**day, usize::from(agent.is_bot), *count)));
    }
    for found in &view.findings {
        let series = match &*found.level {
            "warn" => 4,
            "hold" => 3,
            _ => 2,
        };
        if let Some(commit) = &found.first {
            happened.push((&commit.time, series, 1));
        }
    }
    let read = |text: &str| text.get(..10)?.parse::<Date>().ok();
    let begin = Date::constant(2005, 1, 1);
    let end = read(&view.total.time).unwrap_or(Date::constant(2100, 1, 1));
    let mut outside = 0_u64;
    let mut dated = Vec::with_capacity(happened.len());
    for (text, series, count) in happened {
        match read(text).filter(|date| (begin..=end).contains(date)) {
            Some(date) => dated.push((date, series, count)),
            None => outside = outside.saturating_add(count),
        }
    }
    let ends = dated.iter().map(|(date, ..)| *date).min();
    let ends = ends.zip(dated.iter().map(|(date, ..)| *date).max());
    let fits =
        |unit: &Unit| ends.is_some_and(|(first, last)| unit.of(last) - unit.of(first) < BARS_MAX);
    let units = [Unit::Day, Unit::Week, Unit::Month];
    let unit = units.into_iter().find(fits).unwrap_or(Unit::Year);
    let mut bars = Bars::new();
    for (date, series, count) in dated {
        let bar = &mut bars.entry(unit.of(date)).or_default()[series];
        *bar = bar.saturating_add(count);
    }
    (bars, unit, outside)
}

fn picture(out: &mut Html, bars: &Bars, unit: Unit, first: i64, count: i64) {
    out.raw("<svg viewBox='0 0 960 292' role=img aria-labelledby=tt><title id=tt>Commits of agents above, findings below; the numbers follow as a table</title>");
    // Patterns, so that no meaning hangs on a colour.
    out.raw("<defs><pattern id=p3 width=5 height=5 patternUnits=userSpaceOnUse patternTransform=rotate(45)><path class=s3 d='M0 0V5'/></pattern><pattern id=p4 width=4 height=4 patternUnits=userSpaceOnUse><circle class=s4 cx=1.5 cy=1.5 r=1.1 /></pattern></defs>");
    let room = WIDTH - LEFT;
    let left = |place: i64| LEFT + (place - first) * room / count;
    for (chart, (series, head)) in [(0..2, "Commits"), (2..5, "Findings")]
        .into_iter()
        .enumerate()
    {
        let (top, height) = CHARTS[chart];
        let sum = |bar: &[u64; 5]| {
            bar[series.clone()]
                .iter()
                .fold(0_u64, |a, b| a.saturating_add(*b))
        };
        let most = bars.values().map(sum).max().unwrap_or(0).max(1);
        // Its name, what its bars are, and its scale.
        out.raw(&format!("<text x={LEFT} y={}>{head}</text>", top - 9));
        let mut x = LEFT + 80;
        for place in series.clone() {
            out.raw(&format!(
                "<rect class=c{place} x={x} y={} width=11 height=10 /><text x={} y={}>{}</text>",
                top - 18,
                x + 16,
                top - 9,
                SERIES[place],
            ));
            x += 36 + 7 * SERIES[place].len() as i64;
        }
        for (share, value) in [(0, most), (1, 0)] {
            let y = top + height * share;
            let class = if share == 0 { "g" } else { "axis" };
            out.raw(&format!(
                "<path class={class} d='M{LEFT} {y}H{WIDTH}'/><text x={} y={} text-anchor=end>{}</text>",
                LEFT - 6,
                y + 4,
                number(value),
            ));
        }
        for (place, bar) in bars {
            let (x, end) = (left(*place), left(place + 1));
            let width = (end - x - i64::from(end - x > 3)).max(1);
            let mut told = unit.name(*place);
            let mut rects = String::new();
            let mut foot = top + height;
            for one in series.clone().filter(|one| bar[*one] > 0) {
                let part = u128::from(bar[one]) * height as u128 / u128::from(most);
                // What is there is seen.
                let part = i64::try_from(part).unwrap_or(height).max(2);
                foot -= part;
                rects +=
                    &format!("<rect class=c{one} x={x} y={foot} width={width} height={part} />");
                told += &format!(", {} {}", number(bar[one]), SERIES[one]);
            }
            if !rects.is_empty() {
                out.raw("<g><title>")
                    .raw(&told)
                    .raw("</title>")
                    .raw(&rects)
                    .raw("</g>");
            }
        }
    }
    let step = (count + 9) / 10;
    for place in (0..count).step_by(usize::try_from(step).unwrap_or(1)) {
        let name = unit.name(first + place);
        let at = left(first + place).min(WIDTH - 60);
        out.raw(&format!("<text x={at} y=272>{name}</text>"));
    }
    out.raw("</svg>");
}
