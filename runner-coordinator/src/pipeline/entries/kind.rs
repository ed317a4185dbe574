//! What cannot be a job, and what was probably meant.

use super::super::error::CompileError;
use super::super::suggest;
use super::super::yaml::{Entry, Map, Value};
use super::default::DEFAULT_KEYS;
use super::job::JOB_KEYS;
use super::root::KEYWORDS;

/// The mistake of a job that has nothing to do.
pub(super) fn nothing_to_do(name: &str, entry: &Entry) -> CompileError {
    let message = format!("jobs:{name} config should implement the script:, run:, or trigger: keyword");
    CompileError::new(&entry.key_span, message).help(what_was_meant(name, entry)).missing()
}

fn what_was_meant(name: &str, entry: &Entry) -> String {
    if let Some(map) = entry.value.as_map() {
        return in_a_job(name, map);
    }
    if DEFAULT_KEYS.contains(&name) {
        return format!("`{name}` for all jobs belongs into `default`, for one job into that job");
    }
    if JOB_KEYS.contains(&name) {
        return format!("`{name}` belongs into a job: indent it below the job's name");
    }
    if let Some(near) = suggest::closest(name, KEYWORDS) {
        return format!("did you mean `{near}`?");
    }
    let glued = |text: &str| JOB_KEYS.into_iter().find(|key| text.starts_with(&format!("{key}:")));
    match &entry.value.value {
        Value::Null => "the job is empty; its keywords are indented below its name".to_owned(),
        Value::Text(text) => match glued(text) {
            Some(key) => format!("a blank is missing after `{key}:`"),
            None => "a job is a hash with `script`".to_owned(),
        },
        _ => "a job is a hash with `script`".to_owned(),
    }
}

fn in_a_job(name: &str, map: &Map) -> String {
    let works = ["script", "trigger", "run"];
    let unknown =
        map.iter().map(|(key, _)| &**key).filter(|key| !JOB_KEYS.contains(key) && !works.contains(key));
    let meant = unknown.filter_map(|key| Some((key, suggest::closest(key, works)?))).next();
    if let Some((key, near)) = meant {
        return format!("did you mean `{near}` where it says `{key}`?");
    }
    if let Some(near) = suggest::closest(name, KEYWORDS) {
        return format!("did you mean the keyword `{near}`? If this is a job, it needs `script`");
    }
    "a template for other jobs has a name that begins with a dot; every other job needs `script`".to_owned()
}
