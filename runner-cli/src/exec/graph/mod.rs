//! The pipeline as a picture: stages as columns, jobs in them, arrows for what jobs need.
//!
//! Jobs without `needs` wait for all earlier stages; that is what the columns say, so only `needs` are drawn.

mod mermaid;
mod route;
mod svg;
mod text;

use runner_coordinator::pipeline::{AllowFailure, Job, Pipeline, When, Work};
use runner_coordinator::run::Status;

pub(crate) use mermaid::mermaid;
pub(crate) use svg::{class, escaped, svg};
pub(crate) use text::text;

/// A pipeline to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    /// Stages with jobs in them, in order.
    pub(crate) columns: Vec<Column>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) stage: String,
    pub(crate) nodes: Vec<Node>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its position among the jobs that the graph was made of.
    pub(crate) index: usize,
    pub(crate) name: String,
    /// What is special about it: `manual`, `allowed to fail`.
    pub(crate) remarks: Vec<&'static str>,
    /// Jobs that it needs; `None`: all of the earlier stages.
    pub(crate) needs: Option<Vec<String>>,
    /// How it went, and whether a failure of it counts.
    pub(crate) status: Option<(Status, bool)>,
}

impl Graph {
    /// The pipeline before it runs.
    pub(crate) fn of(pipeline: &Pipeline) -> Self {
        Self::new(&pipeline.stages, pipeline.jobs.iter().map(|job| (job, None)))
    }

    /// Jobs with how they went, and whether a failure does not count.
    pub(crate) fn new<'a>(
        stages: &[String],
        jobs: impl Iterator<Item = (&'a Job, Option<(Status, bool)>)>,
    ) -> Self {
        let mut columns: Vec<Column> =
            stages.iter().map(|stage| Column { stage: stage.clone(), nodes: Vec::new() }).collect();
        for (index, (job, status)) in jobs.enumerate() {
            if let Some(column) = columns.iter_mut().find(|column| column.stage == job.stage) {
                column.nodes.push(Node::of(index, job, status));
            }
        }
        columns.retain(|column| !column.nodes.is_empty());
        Self { columns }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.columns.iter().flat_map(|column| &column.nodes)
    }
}

impl Node {
    fn of(index: usize, job: &Job, status: Option<(Status, bool)>) -> Self {
        let mut remarks = Vec::new();
        remarks.extend(match job.when {
            When::OnSuccess => None,
            When::OnFailure => Some("on failure"),
            When::Always => Some("always"),
            When::Manual => Some("manual"),
            When::Delayed => Some("delayed"),
        });
        if matches!(job.work, Work::Trigger(_)) {
            remarks.push("starts a pipeline");
        }
        if !matches!(job.allow_failure, AllowFailure::No) {
            remarks.push("allowed to fail");
        }
        let needs = job.needs.as_ref().map(|needs| needs.iter().map(|need| need.job.clone()).collect());
        Self { index, name: job.name.clone(), remarks, needs, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node as tests write it.
    pub(super) fn node(name: &str, needs: Option<&[&str]>) -> Node {
        let needs = needs.map(|needs| needs.iter().map(|&need| need.to_owned()).collect());
        Node { index: 7, name: name.to_owned(), remarks: Vec::new(), needs, status: None }
    }

    pub(super) fn graph(columns: &[(&str, &[Node])]) -> Graph {
        let column =
            |(stage, nodes): &(&str, &[Node])| Column { stage: (*stage).to_owned(), nodes: nodes.to_vec() };
        Graph { columns: columns.iter().map(column).collect() }
    }
}
