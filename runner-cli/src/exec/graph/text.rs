//! For terminals.

use unicode_width::UnicodeWidthStr;

use super::{Graph, Node};

/// A tree: stages, their jobs, and what these need.
pub(crate) fn text(graph: &Graph) -> String {
    let width = graph.nodes().map(|node| label(node).width()).max().unwrap_or_default();
    let mut text = String::new();
    for column in &graph.columns {
        text.push_str(&column.stage);
        text.push('\n');
        for (index, node) in column.nodes.iter().enumerate() {
            let branch = if index + 1 == column.nodes.len() { "└─" } else { "├─" };
            let label = label(node);
            let padding = " ".repeat(width - label.width());
            let needs = match node.needs.as_deref() {
                None => String::new(),
                Some([]) => "starts at once".to_owned(),
                Some(needs) => format!("◀─ {}", needs.join(", ")),
            };
            text.push_str(format!("{branch} {label}{padding}  {needs}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn label(node: &Node) -> String {
    if node.remarks.is_empty() {
        return node.name.clone();
    }
    format!("{} ({})", node.name, node.remarks.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{graph, node};
    use super::*;

    #[test]
    fn a_tree() {
        let mut deploy = node("deploy", None);
        deploy.remarks = vec!["manual", "allowed to fail"];
        let drawn = text(&graph(&[
            ("build", &[node("compile", None), node("docs", Some(&[]))]),
            ("test", &[node("unit", Some(&["compile", "docs"]))]),
            ("deploy", &[deploy]),
        ]));
        assert_eq!(
            drawn,
            "build\n\
             ├─ compile\n\
             └─ docs                              starts at once\n\
             test\n\
             └─ unit                              ◀─ compile, docs\n\
             deploy\n\
             └─ deploy (manual, allowed to fail)\n"
        );
    }
}
