//! Compares what became of a job with what must have become of it.

use std::io::{Cursor, Read};

use runner_coordinator::core::FinalUpdate;

use crate::expect::{Outcome, compare, compare_cut, same};
use crate::jobs::{Kind, Spec};
use crate::mask::shown;
use crate::stamps::{Unstamped, unstamped};
use crate::trace::Trace;
use crate::wire::JobWire;

/// What the server knows of a job.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) outcome: Outcome,
    pub(crate) trace: Vec<u8>,
    pub(crate) last: Option<FinalUpdate>,
    /// The stored archive.
    pub(crate) archive: Option<Vec<u8>>,
    /// How often it reached a final state.
    pub(crate) endings: usize,
    /// Faults of its final updates, at least.
    pub(crate) troubles: usize,
}

/// Everything that is wrong.
pub(crate) fn problems(spec: &Spec, found: &Found, wire: Option<&JobWire>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |what: &str, result: Result<(), String>| {
        if let Err(problem) = result {
            problems.push(format!("{what}: {problem}"));
        }
    };
    note("end", equal(&found.outcome, &spec.outcome()));
    note("trace", trace(spec, found));
    note("artifact", artifact(spec, found));
    note("end", equal(&found.endings, &1));
    note("last update", last_update(spec, found));
    if let Some(wire) = wire {
        note("wire", wire.problems.first().map_or(Ok(()), |problem| Err(problem.clone())));
        note("updates", updates(found, wire));
    }
    problems
}

fn equal<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} where {expected:?} is expected")) }
}

fn trace(spec: &Spec, found: &Found) -> Result<(), String> {
    if spec.is_cut() {
        return compare_cut(&found.trace, spec);
    }
    let Unstamped { text, errors } = match spec.stamped {
        true => unstamped(&found.trace, spec.kind == Kind::Errors)?,
        false => Unstamped { text: found.trace.clone(), errors: Vec::new() },
    };
    let trace = Trace::read(&text)?;
    let expected = spec.sections();
    let names: Vec<&str> = trace.sections.iter().map(|(name, _)| name.as_str()).collect();
    let wanted: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    equal(&names, &wanted)?;
    for (name, body) in &expected {
        compare(trace.section_named(name)?, body).map_err(|problem| format!("{name}: {problem}"))?;
    }
    said(spec, &trace.said)?;
    same(&errors, &shown(&spec.program.errors(), &spec.secrets))
        .map_err(|problem| format!("errors: {problem}"))
}

/// What the runner says of itself and of the job's end.
fn said(spec: &Spec, said: &[String]) -> Result<(), String> {
    let mut expected = vec!["Running with runner ".to_owned(), "  on tested ".to_owned()];
    if !spec.stamped || !spec.downloads_directly() {
        expected.push("  feature flags: ".to_owned());
    }
    expected.extend(spec.said());
    let fits = said.len() == expected.len()
        && said.iter().zip(&expected).all(|(said, start)| said.starts_with(start));
    if fits { Ok(()) } else { Err(format!("the runner said {said:?}")) }
}

fn artifact(spec: &Spec, found: &Found) -> Result<(), String> {
    let expected = spec.artifact.as_ref().filter(|_| spec.has_stored_artifact());
    match (&found.archive, expected) {
        (None, None) => Ok(()),
        (Some(_), None) => Err("there is one".to_owned()),
        (None, Some(_)) => Err("there is none".to_owned()),
        (Some(archive), Some(expected)) => {
            let mut archive =
                zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| error.to_string())?;
            equal(&archive.len(), &1)?;
            let mut content = Vec::new();
            let mut file = archive.by_index(0).map_err(|error| error.to_string())?;
            equal(&file.name().map_err(|error| error.to_string())?.into_owned(), &spec.artifact_name())?;
            file.read_to_end(&mut content).map_err(|error| error.to_string())?;
            if content == expected.content { Ok(()) } else { Err("another content".to_owned()) }
        }
    }
}

/// The runner's last word has checksum and size of the trace that the server has.
fn last_update(spec: &Spec, found: &Found) -> Result<(), String> {
    match &found.last {
        // The server ended it: there was nothing to say.
        None if spec.is_cut() => Ok(()),
        None => Err("there is none".to_owned()),
        Some(last) if last.trace_is_complete() && last.trace_bytesize == found.trace.len() as u64 => Ok(()),
        Some(last) => Err(format!("{last:?}, and the trace has {} bytes", found.trace.len())),
    }
}

/// The end is told once, and again only as long as the server did not answer properly; always the same.
fn updates(found: &Found, wire: &JobWire) -> Result<(), String> {
    let Some(first) = wire.finals.first() else { return Ok(()) };
    if let Some(other) = wire.finals.iter().find(|update| *update != first) {
        return Err(format!("said {first}, then {other}"));
    }
    let allowed = 1 + found.troubles;
    if wire.finals.len() > allowed {
        return Err(format!(
            "{} final updates although only {} had trouble",
            wire.finals.len(),
            found.troubles
        ));
    }
    Ok(())
}
