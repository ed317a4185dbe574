//! For browsers: one file that needs nothing else.

use std::collections::HashMap;
use std::fmt::Write;

use runner_coordinator::run::Status;
use unicode_width::UnicodeWidthStr;

use super::route::{Lane, Place, route};
use super::{Graph, Node};

/// Lengths in pixels.
const MARGIN: usize = 20;
const HEAD: usize = 30;
pub(super) const BOX: usize = 32;
pub(super) const ROW: usize = 46;
pub(super) const GAP: usize = 90;
const NARROWEST: usize = 90;
/// Width of a column of text, generously.
const LETTER: usize = 8;
const SMALL_LETTER: usize = 7;
/// Height of what is written below a box.
const REMARK: usize = 14;
const PADDING: usize = 14;

/// Colours follow the reader's choice of light and dark.
const STYLE: &str = "\
.g{font:13px ui-monospace,monospace;--ink:#1f2328;--line:#8c959f;--box:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;--faint:#59636e}\
@media(prefers-color-scheme:dark){.g{--ink:#e6edf3;--line:#6e7681;--box:#161b22;--good:#3fb950;--bad:#f85149;--warn:#d29922;--faint:#8d96a0}}\
.g text{fill:var(--ink)}.g .stage{font-weight:bold}.g .remark{font-size:10px;fill:var(--faint)}\
.g rect{fill:var(--box);stroke:var(--line);stroke-width:1.5}.g path{fill:none;stroke:var(--line);stroke-width:1.5}.g .tip{fill:var(--line);stroke:none}\
.g .good{stroke:var(--good)}.g .bad{stroke:var(--bad)}.g .warn{stroke:var(--warn)}.g .faint{stroke-dasharray:4 3}";

/// The picture. Boxes of jobs link to `#job-N`, N being the job's [index](Node::index).
pub(crate) fn svg(graph: &Graph) -> String {
    let mut places: HashMap<&str, Place> = HashMap::new();
    let (mut x, mut height) = (MARGIN, 0);
    let mut lanes = Vec::new();
    for (at, column) in graph.columns.iter().enumerate() {
        let names = column.nodes.iter().map(|node| label(node).width() * LETTER + 2 * PADDING);
        let remarks = column.nodes.iter().map(|node| node.remarks.join(", ").width() * SMALL_LETTER + 8);
        let stage = column.stage.width() * LETTER;
        let width = names.chain(remarks).chain([stage, NARROWEST]).max().unwrap_or_default();
        lanes.push(Lane { x, width, top: MARGIN + HEAD, boxes: column.nodes.len() });
        for (row, node) in column.nodes.iter().enumerate() {
            let y = MARGIN + HEAD + row * ROW;
            places.insert(&node.name, Place { column: at, x, y, width });
            height = height.max(y + BOX + REMARK);
        }
        x += width + GAP;
    }
    let (width, height) = (x.saturating_sub(GAP) + MARGIN, height + MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"group\" aria-label=\"jobs and what they need\" class=\"g\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
    );
    // Writing to a string cannot fail.
    for (Lane { x, .. }, column) in lanes.iter().zip(&graph.columns) {
        let (y, stage) = (MARGIN + 8, escaped(&column.stage));
        let _ = writeln!(text, "<text class=\"stage\" x=\"{x}\" y=\"{y}\">{stage}</text>");
    }
    for node in graph.nodes() {
        let Some(to) = places.get(node.name.as_str()) else { continue };
        for from in node.needs.iter().flatten().filter_map(|need| places.get(need.as_str())) {
            let _ = writeln!(text, "<path marker-end=\"url(#tip)\" d=\"{}\"/>", route(*from, *to, &lanes));
        }
    }
    for node in graph.nodes() {
        if let Some(place) = places.get(node.name.as_str()) {
            draw(&mut text, node, *place);
        }
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, node: &Node, Place { x, y, width, .. }: Place) {
    let class = node.status.map(|(status, allowed)| class(status, allowed)).unwrap_or_default();
    let title = match node.status {
        Some((Status::Failed, true)) => format!("{}: failed, allowed", node.name),
        Some((status, _)) => format!("{}: {status}", node.name),
        None => node.name.clone(),
    };
    let _ = writeln!(
        text,
        "<a href=\"#job-{}\"><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"6\"/>\
         <text x=\"{}\" y=\"{}\">{}</text></a>",
        node.index,
        escaped(&title),
        x + PADDING,
        y + BOX / 2 + 4,
        escaped(&label(node)),
    );
    if !node.remarks.is_empty() {
        let _ = writeln!(
            text,
            "<text class=\"remark\" x=\"{}\" y=\"{}\">{}</text>",
            x + 4,
            y + BOX + 10,
            node.remarks.join(", ")
        );
    }
}

/// The name behind a sign for the status: colours alone do not tell everybody.
fn label(node: &Node) -> String {
    let sign = match node.status {
        Some((Status::Success, _)) => "\u{2713} ",
        Some((Status::Failed, true)) => "! ",
        Some((Status::Failed | Status::Canceled | Status::Canceling, _)) => "\u{2717} ",
        _ => "",
    };
    format!("{sign}{}", node.name)
}

/// How a status is coloured, as the name of a CSS class.
pub(crate) fn class(status: Status, allowed: bool) -> &'static str {
    match status {
        Status::Success => "good",
        Status::Failed if allowed => "warn",
        Status::Failed | Status::Canceled | Status::Canceling => "bad",
        Status::Manual | Status::Scheduled => "warn",
        _ => "faint",
    }
}

/// As text or attribute of XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            // XML has no way to write these.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{graph, node};
    use super::*;

    #[test]
    fn a_picture() {
        let mut unit = node("a & b", Some(&["compile", "lint", "gone"]));
        unit.status = Some((Status::Failed, false));
        let drawn =
            svg(&graph(&[("build", &[node("compile", None)]), ("test", &[unit, node("lint", None)])]));
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
        assert_eq!(drawn.matches("<rect ").count(), 3);
        assert_eq!(drawn.matches("marker-end").count(), 2, "{drawn}");
        assert!(drawn.contains("<title>a &amp; b: failed</title><rect class=\"bad\""), "{drawn}");
        assert!(drawn.contains(">\u{2717} a &amp; b</text>"), "{drawn}");
    }

    #[test]
    fn what_is_remarked_fits_into_the_picture() {
        let mut publish = node("p", None);
        publish.remarks = vec!["manual", "allowed to fail"];
        let width = |node| {
            let drawn = svg(&graph(&[("x", &[node])]));
            let (_, rest) = drawn.split_once(" width=\"").unwrap();
            rest.split_once('"').unwrap().0.parse::<usize>().unwrap()
        };
        assert!(width(publish) > width(node("p", None)) + 50);
    }

    #[test]
    fn an_allowed_failure_looks_and_reads_like_one() {
        let mut lint = node("lint", None);
        lint.status = Some((Status::Failed, true));
        let drawn = svg(&graph(&[("x", &[lint])]));
        assert!(drawn.contains("<title>lint: failed, allowed</title><rect class=\"warn\""), "{drawn}");
        assert!(drawn.contains(">! lint</text>"), "{drawn}");
    }

    #[test]
    fn an_empty_picture_is_one() {
        assert!(svg(&graph(&[])).ends_with("</svg>\n"));
    }
}
