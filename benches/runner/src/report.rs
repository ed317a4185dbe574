//! Tables: for the terminal and for `docs/performance.md`.

use crate::figure::{Figure, Samples, Target};
use crate::machine::Machine;

/// Prints figures as they come.
pub fn print(figures: &[Figure]) {
    for figure in figures {
        let reached = match figure.reached() {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        println!(
            "{:<58} {:>22} {:>34} {:>6}  {:<18} {reached}",
            figure.name,
            format!("{} {}", spread(&figure.ours), figure.unit),
            reference(figure),
            ratio(figure),
            target(figure),
        );
    }
}

/// How many targets are reached.
pub fn summary(figures: &[Figure]) -> String {
    let judged: Vec<bool> = figures.iter().filter_map(Figure::reached).collect();
    let reached = judged.iter().filter(|reached| **reached).count();
    format!("{reached} of {} targets reached", judged.len())
}

/// The same as Markdown.
pub fn markdown(machine: &Machine, figures: &[Figure]) -> String {
    let mut text = format!("{machine}\n\n");
    text.push_str("| Figure | Ours | Reference | Ratio | Target | | Official |\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for figure in figures {
        let reached = match figure.reached() {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "",
        };
        text.push_str(&format!(
            "| {} | {} {} | {} | {} | {} | {reached} | {} |\n",
            figure.name,
            spread(&figure.ours),
            figure.unit,
            reference(figure),
            ratio(figure),
            target(figure),
            figure.official,
        ));
    }
    text.push_str(&format!("\n{}\n", summary(figures)));
    text
}

/// The median, and the range when there is one.
fn spread(samples: &Samples) -> String {
    let (least, most) = samples.range();
    match samples.len() {
        0 => "-".to_owned(),
        1 => number(samples.median()),
        _ => format!("{} ({}–{})", number(samples.median()), number(least), number(most)),
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn reference(figure: &Figure) -> String {
    figure
        .reference
        .as_ref()
        .map(|(what, samples)| format!("{what}: {}", spread(samples)))
        .unwrap_or_default()
}

fn ratio(figure: &Figure) -> String {
    figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default()
}

fn target(figure: &Figure) -> String {
    match figure.target {
        Some(Target::AtMost(most)) => format!("≤ {} {}", number(most), figure.unit),
        Some(Target::Over(more)) => format!("≤ reference + {}", number(more)),
        Some(Target::Share(share)) => format!("≥ {share} × reference"),
        None => String::new(),
    }
}
