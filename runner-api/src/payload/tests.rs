//! What cannot be tested from outside: `Debug` of a whole job, and what the client adds to it.

use super::*;

const FULL: &str = include_str!("../../tests/payload/full.json");

#[test]
fn debug_shows_no_secret() {
    let job = Job::from_json(FULL.replace("\"hooks\"", "\"new\": \"secret-new\", \"hooks\"")).unwrap();
    for shown in [
        format!("{job:?}"),
        format!("{:?}", job.credentials),
        format!("{:?}", job.dependencies),
        format!("{:?}", job.secrets),
        format!("{:?}", job.inputs[0]),
        format!("{:?}", job.git_info),
        format!("{:?}", job.unknown_fields()),
        format!("{:?}", Job::from_json(r#"{"id": 1, "token": "secret""#).unwrap_err()),
    ] {
        assert!(
            !shown.contains("secret-") && !shown.contains("\"secret\"") && !shown.contains(":secret@"),
            "{shown}"
        );
    }
    assert_eq!(job.unknown_fields()[0].json(), "\"secret-new\"");
}

#[test]
fn what_the_client_adds_is_journaled() {
    let job = Job::from_json(FULL.replace("true", "[]")).unwrap();
    let about_text = job.warnings().len();
    let job =
        job.with_correlation_id("c0ffee".to_owned()).with_warning(Warning::new("$", "announced as text"));
    let again: Job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
    assert_eq!(again, job);
    assert_eq!((again.correlation_id(), again.warnings().len()), (Some("c0ffee"), about_text + 1));

    let older = format!(r#"{{"payload": {FULL}, "correlation_id": "c"}}"#);
    assert_eq!(serde_json::from_str::<Job>(&older).unwrap().correlation_id(), Some("c"));
}
