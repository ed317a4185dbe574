//! `needs`. <https://docs.gitlab.com/ci/yaml/#needs>

use indexmap::IndexMap;

use super::super::check::{Check, flatten};
use super::super::error::CompileError;
use super::super::job::ForeignNeed;
use super::super::span::Span;
use super::super::yaml::{Map, Node};
use super::parallel::matrix_entries;

/// Most entries of one job, unless the server has another limit.
const MAX_NEEDS: usize = 50;

/// `needs` as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    pub(crate) jobs: Vec<NeedSpec>,
    /// Jobs of other pipelines or projects.
    pub(crate) foreign: Vec<ForeignNeed>,
    /// `needs: {pipeline: …}` of a bridge: takes over the status of another pipeline.
    pub(crate) bridge: bool,
    /// The project whose pipeline that is.
    pub(crate) upstream: Option<String>,
}

/// A needed job, by the name that is written.
#[derive(Debug, Clone)]
pub(crate) struct NeedSpec {
    pub(crate) job: String,
    pub(crate) artifacts: bool,
    pub(crate) optional: bool,
    /// Values of the instances that are needed, in the order of keys; `None`: all instances.
    pub(crate) matrix: Option<Vec<IndexMap<String, String>>>,
    pub(crate) span: Span,
}

/// Reads `needs`.
pub(crate) fn needs(check: &mut Check, node: &Node, location: &str) -> Option<Needs> {
    if let Some(map) = node.as_map() {
        // The hash form is `{pipeline: path}` of a bridge, or a single job.
        if map.get("pipeline").is_some() && map.get("job").is_none() {
            check.hash(node, location, &["pipeline"]);
            let upstream = check.text(map, "pipeline", location);
            return Some(Needs { bridge: true, upstream, ..Needs::default() });
        }
        return not_a_list(check, node, location, "begin the entry with a dash: - job: NAME");
    }
    let Some(items) = flatten(node) else {
        let help = node.as_text().map_or("write a list".to_owned(), |name| format!("write a list: [{name}]"));
        return not_a_list(check, node, location, &help);
    };
    let mut needs = Needs::default();
    for item in items {
        need(check, item, location, &mut needs);
    }
    let (listed, limit) = (needs.jobs.len(), check.needs_limit.unwrap_or(MAX_NEEDS));
    if listed > limit {
        let name = location.split(':').nth(1).unwrap_or_default();
        let message = format!(
            "{name}: one job can only need {limit} others, but you have listed {listed}. See needs keyword \
             documentation for more details"
        );
        let help = "the limit is a setting of the server; where yours allows more, say so with --needs-limit";
        check.push(CompileError::new(&node.span, message).help(help));
    }
    Some(needs)
}

fn not_a_list(check: &mut Check, node: &Node, location: &str, help: &str) -> Option<Needs> {
    let message = format!("{location} config should be an array of strings or hashes");
    check.push(CompileError::new(&node.span, message).help(help));
    None
}

fn need(check: &mut Check, item: &Node, location: &str, needs: &mut Needs) {
    if let Some(name) = item.as_text() {
        needs.jobs.push(NeedSpec {
            job: name.to_owned(),
            artifacts: true,
            optional: false,
            matrix: None,
            span: item.span.clone(),
        });
        return;
    }
    let location = format!("{location}:need");
    let Some(map) = item.as_map() else {
        check.error(&item.span, format!("{location} has an unsupported type"));
        return;
    };
    if map.get("project").is_some() {
        check.hash(item, &location, &["project", "ref", "job", "artifacts", "optional"]);
        needs.foreign.extend(foreign(check, item, map, &location));
        return;
    }
    if map.get("pipeline").is_some() {
        check.hash(item, &location, &["pipeline", "job", "artifacts", "optional"]);
        if map.get("job").is_none() {
            needs.bridge = true;
            needs.upstream = check.text(map, "pipeline", &location);
        } else {
            needs.foreign.extend(foreign(check, item, map, &location));
        }
        return;
    }
    check.hash(item, &location, &["job", "artifacts", "optional", "parallel"]);
    let Some(job) = check.text(map, "job", &location) else {
        if map.get("job").is_none() {
            let error = CompileError::new(&item.span, format!("{location} job can't be blank"));
            check.push(error.help("write {job: NAME}"));
        }
        return;
    };
    needs.jobs.push(NeedSpec {
        job,
        artifacts: check.flag(map, "artifacts", &location).unwrap_or(true),
        optional: check.flag(map, "optional", &location).unwrap_or(false),
        matrix: map.get("parallel").and_then(|node| instances(check, node, &format!("{location}:parallel"))),
        span: item.span.clone(),
    });
}

/// A job of another project, or of another pipeline of this one.
fn foreign(check: &mut Check, item: &Node, map: &Map, location: &str) -> Option<ForeignNeed> {
    let mut text = |key: &str| map.get(key).is_some().then(|| check.text(map, key, location)).flatten();
    let (project, pipeline, git_ref) = (text("project"), text("pipeline"), text("ref"));
    Some(ForeignNeed {
        project,
        pipeline,
        git_ref,
        job: text("job")?,
        artifacts: check.flag(map, "artifacts", location).unwrap_or(true),
        span: item.span.clone(),
    })
}

fn instances(check: &mut Check, node: &Node, location: &str) -> Option<Vec<IndexMap<String, String>>> {
    let map = check.hash(node, location, &["matrix"])?;
    match map.get("matrix") {
        Some(matrix) => matrix_entries(check, matrix, &format!("{location}:matrix")),
        None => {
            check.error(&node.span, format!("{location} config missing required keys: matrix"));
            None
        }
    }
}
