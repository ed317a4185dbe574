//! Jobs in files: payloads as they are, or described.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runner_coordinator::core::NewJob;
use serde::Deserialize;
use serde_json::Value;

/// A folder whose `*.json` become jobs, each once.
#[derive(Debug)]
pub(crate) struct JobFolder {
    folder: PathBuf,
    /// What was seen of each file when it was last read.
    seen: BTreeMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    length: u64,
    changed: Option<SystemTime>,
    taken: bool,
}

/// A file that was looked at.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its name.
    pub(crate) file: String,
    /// The job in it.
    pub(crate) job: Result<NewJob, JobFileError>,
}

/// A file that is no job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobFileError {
    #[error("read job payloads from {path}", path = .0.display())]
    Folder(PathBuf, #[source] io::Error),
    #[error("read the job payload {path}", path = .0.display())]
    Payload(PathBuf, #[source] serde_json::Error),
    #[error("the job payload {path} is not a JSON object", path = .0.display())]
    NotAnObject(PathBuf),
}

/// A job with what GitLab knows besides the payload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    payload: serde_json::Map<String, Value>,
    #[serde(default)]
    tags: BTreeSet<String>,
    /// Seconds.
    timeout: Option<u64>,
    #[serde(default)]
    required_features: BTreeSet<String>,
    #[serde(default = "yes")]
    watched: bool,
}

fn yes() -> bool {
    true
}

impl JobFolder {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: BTreeMap::new() }
    }

    /// The jobs of files that are new, in the order of their names. A file that could not be read is tried again when
    /// it has changed.
    pub(crate) fn look(&mut self) -> Result<Vec<Found>, JobFileError> {
        let unreadable = |error| JobFileError::Folder(self.folder.clone(), error);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files.iter().filter_map(|path| self.take(path)).collect())
    }

    fn take(&mut self, path: &Path) -> Option<Found> {
        // A file that vanished meanwhile is no mistake.
        let metadata = path.metadata().ok()?;
        let (length, changed) = (metadata.len(), metadata.modified().ok());
        if let Some(seen) = self.seen.get(path)
            && (seen.taken || (seen.length, seen.changed) == (length, changed))
        {
            return None;
        }
        let job = read(path);
        self.seen.insert(path.to_owned(), Seen { length, changed, taken: job.is_ok() });
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(Found { file, job })
    }
}

fn read(path: &Path) -> Result<NewJob, JobFileError> {
    let text = std::fs::read(path).map_err(|error| JobFileError::Folder(path.to_owned(), error))?;
    let value: Value =
        serde_json::from_slice(&text).map_err(|error| JobFileError::Payload(path.to_owned(), error))?;
    if !value.is_object() {
        return Err(JobFileError::NotAnObject(path.to_owned()));
    }
    new_job(value).map_err(|error| JobFileError::Payload(path.to_owned(), error))
}

/// A payload as it is, or what describes one: no payload of GitLab's has a key `payload`.
pub(crate) fn new_job(value: Value) -> Result<NewJob, serde_json::Error> {
    if value.get("payload").is_none() {
        return Ok(NewJob::new(value));
    }
    let description: Description = serde_json::from_value(value)?;
    let mut job = NewJob::new(Value::Object(description.payload));
    job.tags = description.tags;
    job.timeout = description.timeout.map(Duration::from_secs);
    job.required_features = description.required_features;
    job.watched = description.watched;
    Ok(job)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn payloads_and_descriptions() {
        let plain = new_job(json!({ "job_info": {} })).unwrap();
        assert_eq!((plain.payload, plain.watched), (json!({ "job_info": {} }), true));
        let described = json!({ "payload": { "x": 1 }, "tags": ["a"], "timeout": 60, "watched": false });
        let job = new_job(described).unwrap();
        assert_eq!((job.payload, job.timeout), (json!({ "x": 1 }), Some(Duration::from_secs(60))));
        assert_eq!((job.tags.len(), job.watched), (1, false));
        assert!(new_job(json!({ "payload": {}, "tag": [] })).is_err());
        assert!(new_job(json!({ "payload": 1 })).is_err());
    }

    #[test]
    fn a_file_is_taken_once_and_tried_again_when_it_was_broken() {
        let folder = tempfile::tempdir().unwrap();
        let mut jobs = JobFolder::new(folder.path().to_owned());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("b.json", "{}");
        write("a.json", "{");
        write("c.txt", "{}");
        let names = |found: Vec<Found>| {
            let name = |found: Found| if found.job.is_ok() { found.file } else { "broken".to_owned() };
            found.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(jobs.look().unwrap()), ["broken", "b.json"]);
        assert_eq!(names(jobs.look().unwrap()), [] as [&str; 0]);
        write("a.json", "{ }");
        write("b.json", "{ }");
        assert_eq!(names(jobs.look().unwrap()), ["a.json"]);
    }
}
