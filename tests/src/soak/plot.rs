//! A run as a picture: one small chart a series, below each other, as SVG that a browser shows in light and dark.

use std::fmt::Write as _;

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is, with its unit.
    pub title: String,
    /// What is said of it, such as its slope.
    pub note: String,
    /// Minutes since the start, and values.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 120.0;
const MARGIN: (f64, f64) = (64.0, 44.0);
const COLUMNS: usize = 2;

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:12px}\
    .axis{stroke:#999;stroke-width:1}.grid{stroke:#ddd;stroke-width:1}.warm{fill:#8882}\
    .line{fill:none;stroke:#0b66c3;stroke-width:1.3;stroke-linejoin:round}\
    @media(prefers-color-scheme:dark){.back{fill:#16181d}text{fill:#ccc}.grid{stroke:#333}.line{stroke:#6cb2ff}}";

/// The picture. What is before `warm` minutes is shaded. Each chart begins at 0.
pub fn svg(title: &str, series: &[Series], warm: f64) -> String {
    let rows = series.len().div_ceil(COLUMNS);
    let (cell_width, cell_height) = (WIDTH + MARGIN.0 + 24.0, HEIGHT + MARGIN.1 + 24.0);
    let (width, height) = (cell_width * COLUMNS as f64, cell_height * rows as f64 + 34.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <style>{STYLE}</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"12\" y=\"20\">{}</text>\n",
        escaped(title)
    );
    for (place, one) in series.iter().enumerate() {
        let (column, row) = (place % COLUMNS, place / COLUMNS);
        let (x, y) = (cell_width * column as f64 + MARGIN.0, cell_height * row as f64 + MARGIN.1 + 20.0);
        chart(&mut out, one, warm, (x, y));
    }
    out.push_str("</svg>\n");
    out
}

fn chart(out: &mut String, series: &Series, warm: f64, (left, top): (f64, f64)) {
    let last = series.points.last().map_or(1.0, |(x, _)| x.max(1e-9));
    let most = ceiling(series.points.iter().map(|(_, y)| *y).fold(0.0, f64::max));
    let at = |x: f64, y: f64| (left + x / last * WIDTH, top + HEIGHT - y / most * HEIGHT);
    let _ = writeln!(
        out,
        "<text class=\"title\" x=\"{left}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        top - 10.0,
        escaped(&series.title),
        left + WIDTH,
        top - 10.0,
        escaped(&series.note)
    );
    let shaded = (warm / last).min(1.0) * WIDTH;
    let _ = writeln!(
        out,
        "<rect class=\"warm\" x=\"{left}\" y=\"{top}\" width=\"{shaded:.1}\" height=\"{HEIGHT}\"/>"
    );
    for part in [0.0, 0.5, 1.0] {
        let (_, y) = at(0.0, part * most);
        let class = if part == 0.0 { "axis" } else { "grid" };
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left + WIDTH,
            left - 6.0,
            y + 4.0,
            rounded(part * most)
        );
    }
    for part in [0.0, 0.5, 1.0] {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} min</text>",
            left + part * WIDTH,
            top + HEIGHT + 15.0,
            rounded(part * last)
        );
    }
    let line: Vec<String> = series
        .points
        .iter()
        .map(|(x, y)| {
            let (x, y) = at(*x, *y);
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let _ = writeln!(out, "<polyline class=\"line\" points=\"{}\"/>", line.join(" "));
}

/// A round number that is not below this one.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.map(|step| step * power).into_iter().find(|round| *round >= value).unwrap_or(value)
}

fn rounded(value: f64) -> String {
    let digits = usize::from(value.fract().abs() > 1e-6 && value < 100.0);
    format!("{value:.digits$}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_holds_every_point_within_its_frame() {
        let points: Vec<(f64, f64)> = (0..=60).map(|x| (f64::from(x), 40.0 + f64::from(x % 7))).collect();
        let series = Series { title: "a < b".to_owned(), note: "flat".to_owned(), points };
        let picture = svg("a run", &[series], 10.0);
        let line = picture.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(line.split(' ').count(), 61);
        let inside = |pair: &str| {
            let (x, y) = pair.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            (MARGIN.0..=MARGIN.0 + WIDTH).contains(&x) && (0.0..=400.0).contains(&y)
        };
        assert!(line.split(' ').all(inside), "{line}");
        assert!(picture.contains("a &lt; b") && !picture.contains("a < b"));
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 0.7, 41.0, 100.0, 101.0].map(ceiling), [1.0, 0.8, 50.0, 100.0, 150.0]);
    }
}
