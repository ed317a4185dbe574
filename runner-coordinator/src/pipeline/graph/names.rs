//! Names of other jobs in `needs` and `dependencies`.

use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::{Captures, Regex};

use super::super::entries::needs::NeedSpec;
use super::super::error::CompileError;
use super::super::job::Need;
use super::super::span::Span;
use super::instances::Instances;

#[expect(clippy::expect_used, reason = "the pattern is a constant")]
static MATRIX_VALUE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\[\[\s*matrix\.([a-zA-Z0-9_]+)\s*\]\]").expect("constant pattern"));

/// The jobs that are needed, by their full names: all instances of a parallel job, or those that are listed. Unknown
/// names are kept, so that they can be reported.
pub(crate) fn resolve_needs(
    needs: &[NeedSpec],
    instances: &Instances,
    own_matrix: &IndexMap<String, String>,
) -> Result<Vec<Need>, CompileError> {
    let mut resolved = Vec::new();
    for need in needs {
        let one = |job: String| Need { job, artifacts: need.artifacts, optional: need.optional };
        match (instances.get(&need.job), &need.matrix) {
            (_, Some(matrix)) => {
                for values in matrix {
                    let values: Result<Vec<String>, CompileError> =
                        values.values().map(|value| with_own_values(value, own_matrix, need)).collect();
                    resolved.push(one(format!("{}: [{}]", need.job, values?.join(", "))));
                }
            }
            (Some(instances), None) => {
                resolved.extend(instances.iter().map(|instance| one(instance.name.clone())));
            }
            (None, None) => resolved.push(one(need.job.clone())),
        }
    }
    Ok(resolved)
}

/// The jobs that `dependencies` names, parallel jobs with all their instances.
pub(super) fn resolve_dependencies(names: &[String], instances: &Instances) -> Vec<String> {
    names
        .iter()
        .flat_map(|name| match instances.get(name) {
            Some(instances) => instances.iter().map(|instance| instance.name.clone()).collect(),
            None => vec![name.clone()],
        })
        .collect()
}

/// The error for a need that no job of the configuration satisfies.
pub(crate) fn unknown_need(job: &str, need: &NeedSpec, missing: &str, instances: &Instances) -> CompileError {
    let error = CompileError::new(&need.span, format!("{job} job: undefined need: {missing}")).missing();
    match super::super::suggest::closest(missing, instances.keys().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// `$[[ matrix.X ]]` stands for the value of X in the instance that needs.
fn with_own_values(
    value: &str,
    own: &IndexMap<String, String>,
    need: &NeedSpec,
) -> Result<String, CompileError> {
    let mut unknown = None;
    let text = MATRIX_VALUE.replace_all(value, |captures: &Captures<'_>| {
        let name = captures.get(1).map_or("", |found| found.as_str());
        own.get(name).cloned().unwrap_or_else(|| {
            unknown = Some(name.to_owned());
            String::new()
        })
    });
    match unknown {
        Some(name) => Err(CompileError::new(
            &need.span,
            format!("need {}: unknown matrix identifier `{name}` in $[[ matrix.{name} ]]", need.job),
        )),
        None => Ok(text.into_owned()),
    }
}

/// The error for a need on a job that exists, but that its rules leave out of this pipeline.
pub(crate) fn left_out(job: &str, span: &Span, missing: &str) -> CompileError {
    CompileError::new(
        span,
        format!(
            "'{job}' job needs '{missing}' job, but '{missing}' does not exist in the pipeline. This might be because of \
             the only, except, or rules keywords. To need a job that sometimes does not exist in the pipeline, use \
             needs:optional."
        ),
    )
}
