//! A job that was written down and read back is the same job.

use runner_api::Job;

use super::FULL;

/// Panics if `job` does not come back equal from JSON, alone or within something else.
pub(crate) fn is_kept(job: &Job) {
    let written = serde_json::to_string(job).unwrap();
    let again: Job = serde_json::from_str(&written).unwrap();
    assert_eq!(&again, job);
    assert_eq!(
        (again.raw(), again.warnings(), again.unknown_fields()),
        (job.raw(), job.warnings(), job.unknown_fields())
    );

    let entries: Vec<Job> = serde_json::from_slice(format!("[{written}, {written}]").as_bytes()).unwrap();
    assert_eq!(&entries[1], job);
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
}

#[test]
fn a_full_job_is_kept() {
    is_kept(&Job::from_json(FULL).unwrap());
}

#[test]
fn an_odd_job_is_kept() {
    for text in [
        r#"{"id": 1, "token": "t"}"#,
        "\u{feff}  {\"id\": \"1\", \"token\": \"t\",\n \"steps\": 5, \"new\": [1e999]}\n",
        r#"{"id": 1, "token": "t", "token": null, "variables": [{"key": "\ud800", "value": "a\u0000b"}]}"#,
        r#"{"id": 1, "token": "t", "job_info": {"time_in_queue_seconds": "NaN"}}"#,
    ] {
        is_kept(&Job::from_json(text).unwrap());
    }
}

#[test]
fn what_is_no_job_does_not_become_one() {
    for text in ["{}", r#"{"payload": {"id": 1}}"#, r#"{"payload": 5}"#, r#"{"id": 1, "token": "t"}"#] {
        assert!(serde_json::from_str::<Job>(text).is_err(), "{text}");
    }
}
