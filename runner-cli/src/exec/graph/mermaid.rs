//! For Markdown: <https://mermaid.js.org/syntax/flowchart.html>.

use std::collections::HashMap;
use std::fmt::Write;

use super::Graph;

/// A flowchart: stages as subgraphs, one after the other.
pub(crate) fn mermaid(graph: &Graph) -> String {
    let ids: HashMap<&str, usize> =
        graph.nodes().enumerate().map(|(index, node)| (node.name.as_str(), index)).collect();
    let mut text = String::from("flowchart LR\n");
    // Writing to a string cannot fail.
    for (index, column) in graph.columns.iter().enumerate() {
        let _ = writeln!(text, "    subgraph s{index}[\"{}\"]", escaped(&column.stage));
        for node in &column.nodes {
            let remarks = match node.remarks.as_slice() {
                [] => String::new(),
                remarks => format!("<br/><i>{}</i>", remarks.join(", ")),
            };
            let id = ids.get(node.name.as_str()).copied().unwrap_or_default();
            let _ = writeln!(text, "        j{id}[\"{}{remarks}\"]", escaped(&node.name));
        }
        text.push_str("    end\n");
    }
    for index in 1..graph.columns.len() {
        // Thick: everything there waits for everything here, unless it says what it needs.
        let _ = writeln!(text, "    s{} ==> s{index}", index - 1);
    }
    for node in graph.nodes() {
        for from in node.needs.iter().flatten().filter_map(|need| ids.get(need.as_str())) {
            let to = ids.get(node.name.as_str()).copied().unwrap_or_default();
            let _ = writeln!(text, "    j{from} --> j{to}");
        }
    }
    text
}

/// Inside quotes everything is text but quotes and what is HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | '`' | '\\' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            c if c.is_control() => escaped.push(' '),
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
    fn a_flowchart() {
        let mut unit = node("unit \"a\": [<1>]", Some(&["compile", "gone"]));
        unit.remarks = vec!["manual"];
        let drawn = mermaid(&graph(&[("build", &[node("compile", None)]), ("test", &[unit])]));
        assert_eq!(
            drawn,
            "flowchart LR\n    subgraph s0[\"build\"]\n        j0[\"compile\"]\n    end\n    subgraph s1[\"test\"]\n        \
             j1[\"unit #34;a#34;: [#60;1#62;]<br/><i>manual</i>\"]\n    end\n    s0 ==> s1\n    j0 --> j1\n"
        );
    }
}
