//! What a request costs Envoy, as a picture: by the size of its prompt, and by how many are under way.

use std::fmt::Write as _;

use super::{
    kind::Kind,
    report::{Summary, Throughput},
};

const PANEL: (f64, f64) = (360.0, 180.0);
const LEFT: f64 = 56.0;
const TOP: f64 = 64.0;
const GAP: f64 = 72.0;

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:12px}\
    .axis{stroke:#999}.bare{fill:#9aa5b1}.noop{fill:#5b9bd5}.weir{fill:#0b66c3}\
    @media(prefers-color-scheme:dark){.back{fill:#16181d}text{fill:#ccc}.weir{fill:#6cb2ff}.noop{fill:#3d75a8}.bare{fill:#667}}";

/// The picture, as SVG. Both panels have one scale, which begins at 0.
pub fn svg(summary: &Summary) -> String {
    let sizes = summary.throughput.iter().map(|(size, it)| ((*size).to_owned(), it)).collect::<Vec<_>>();
    let many = summary.concurrency.iter().map(|(many, it)| (many.to_string(), it)).collect::<Vec<_>>();
    let all = sizes.iter().chain(&many).flat_map(|(_, it)| Kind::OURS.map(|kind| it.of(kind).cpu_us.median));
    let most = all.fold(1.0, f64::max);
    let (width, height) = (LEFT + 2.0 * PANEL.0 + GAP + 16.0, TOP + PANEL.1 + 40.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <style>{STYLE}</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (place, kind) in Kind::OURS.into_iter().enumerate() {
        let (x, name) = (LEFT + 80.0 * place as f64, kind.name());
        let _ = writeln!(
            out,
            "<rect class=\"{name}\" x=\"{x}\" y=\"12\" width=\"10\" height=\"10\"/><text x=\"{}\" y=\"21\">{name}</text>",
            x + 15.0
        );
    }
    panel(&mut out, "CPU of Envoy, µs a request, by the prompt's size", &sizes, LEFT, most);
    panel(&mut out, "the same, at 1 KB, by requests under way", &many, LEFT + PANEL.0 + GAP, most);
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, title: &str, groups: &[(String, &Throughput)], left: f64, most: f64) {
    let base = TOP + PANEL.1;
    let _ = writeln!(out, "<text class=\"title\" x=\"{left}\" y=\"{}\">{title}</text>", TOP - 20.0);
    let _ = writeln!(
        out,
        "<line class=\"axis\" x1=\"{left}\" y1=\"{base}\" x2=\"{}\" y2=\"{base}\"/>",
        left + PANEL.0
    );
    let room = PANEL.0 / groups.len().max(1) as f64;
    let bar = room * 0.8 / Kind::OURS.len() as f64;
    for (at, (name, it)) in groups.iter().enumerate() {
        let start = left + room * (at as f64 + 0.1);
        for (place, kind) in Kind::OURS.into_iter().enumerate() {
            let value = it.of(kind).cpu_us.median;
            let (x, tall) = (start + bar * place as f64, value / most * PANEL.1);
            let _ = writeln!(
                out,
                "<rect class=\"{}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.0}</text>",
                kind.name(),
                base - tall,
                bar - 2.0,
                x + bar / 2.0,
                base - tall - 4.0
            );
        }
        let middle = start + room * 0.4;
        let _ = writeln!(
            out,
            "<text x=\"{middle:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            base + 16.0
        );
    }
}
