//! The decoder of job payloads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_api::Job;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    match Job::from_json(text.as_str()) {
        Ok(job) => {
            assert!(!job.token.is_empty());
            assert!(job.warnings().iter().all(|warning| warning.path().starts_with('$')));
            assert!(job.unknown_fields().iter().all(|field| field.json() != "null"));
            let _ = (format!("{job:?}"), job.lost_script(), job.runner_info.job_timeout());
            let written = serde_json::to_string(&job).expect("a job can be journaled");
            let again: Job = serde_json::from_str(&written).expect("a journaled job can be read");
            assert_eq!(again, job);
        }
        Err(broken) => {
            assert_eq!(broken.raw().expose(), text);
            assert!(!evidently_a_job(&text), "{broken}");
            let _ = format!("{broken:?}");
        }
    }
});

/// What another decoder takes for an object with an id and a token.
fn evidently_a_job(text: &str) -> bool {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return false };
    let token = fields.get("token").and_then(Value::as_str);
    fields.get("id").is_some_and(Value::is_u64) && token.is_some_and(|token| !token.is_empty())
}
