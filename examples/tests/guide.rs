//! The program of the client's guide does what the guide says, and is the one that the guide shows.

#[path = "../examples/one_job.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod one_job;

use runner_coordinator::core::{Coordinator, JobState, NewJob, NewRunner, Options};
use runner_coordinator::http::{Server, ServerOptions};
use secrecy::ExposeSecret;
use serde_json::json;

#[test]
fn the_guide_shows_the_example() {
    let guide = include_str!("../../docs/guide/client.md");
    let (_header, program) = include_str!("../examples/one_job.rs").split_once("\n\n").unwrap();
    assert!(guide.contains(program), "copy examples/one_job.rs to docs/guide/client.md");
}

#[tokio::test]
async fn jobs_are_run_and_reported_through_faults() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { long_poll: std::time::Duration::ZERO, ..Options::default() };
    let server = Server::bind(
        ([127, 0, 0, 1], 0).into(),
        Coordinator::new(options),
        ServerOptions::new(folder.path()),
    )
    .await
    .unwrap();
    let gitlab = server.handle();
    let runner = gitlab.create_runner(NewRunner::default());
    gitlab.add_fault("patch_trace:1:503".parse().unwrap());
    gitlab.add_fault("update_job:2:502".parse().unwrap());
    let step = |lines: &[&str]| json!([{ "name": "script", "script": lines }]);
    let greet = gitlab.enqueue(NewJob::new(json!({
        "job_info": { "name": "greet" },
        "variables": [{ "key": "WHO", "value": "world" }],
        "steps": step(&["echo \"hello $WHO\""]),
    })));
    let fail = gitlab.enqueue(NewJob::new(json!({ "steps": step(&["echo doomed", "exit 3"]) })));
    let odd = gitlab.enqueue(NewJob::new(json!({ "steps": 5 })));

    let url = server.url();
    let take_one = || one_job::take_one(&url, runner.token.expose_secret());
    assert_eq!(take_one().await.unwrap(), format!("job {greet} (greet): exit code 0, delivered"));
    assert_eq!(gitlab.state(greet), Some(JobState::Success));
    assert_eq!(gitlab.read_trace(greet, 0), b"hello world\n");
    assert!(take_one().await.unwrap().ends_with("exit code 3, delivered"));
    assert_eq!(gitlab.state(fail), Some(JobState::Failed));
    assert!(take_one().await.unwrap().contains("delivered"));
    assert_eq!(gitlab.state(odd), Some(JobState::Failed));
    assert_eq!(gitlab.read_trace(odd, 0), b"WARNING: $.steps: expected a list, found a number\n");
    assert_eq!(take_one().await.unwrap(), "there is nothing to do");
    server.shutdown().await;
}
