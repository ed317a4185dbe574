//! A. Addresses and what every request carries. Certificates and shared clients are tested in `it/tls`.

use runner_api::{ClientBuilder, JobAnswer, JobRequest, RunnerCredentials};

use crate::script::{Script, status};

#[tokio::test]
async fn scenario_01_a_relative_root_is_kept_and_slashes_are_left_out() {
    for (url, asked) in [
        ("https://h/sub/ci/", "https://h/sub/api/v4/jobs/request"),
        ("https://h///", "https://h/api/v4/jobs/request"),
        ("https://h:8443/ci", "https://h:8443/api/v4/jobs/request"),
    ] {
        let script = Script::new([status(204)]);
        let client = ClientBuilder::new(url).unwrap().transport(script.clone()).build().unwrap();
        client.request_job(&JobRequest::new(RunnerCredentials::new("t"))).await.unwrap();
        assert_eq!(script.one().url, asked);
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_03_every_request_names_its_agent_and_the_tries_of_a_call_share_an_id() {
    let script = Script::new((0..5).map(|_| status(503)).chain([status(204)]));
    let agent = "gitlab-runner 19.4.0 (main; rust; linux/amd64)";
    let client = script.builder().user_agent(agent).build().unwrap();
    let request = JobRequest::new(RunnerCredentials::new("t"));
    client.request_job(&request).await.unwrap_err();
    assert!(matches!(client.request_job(&request).await, Ok(JobAnswer::NoJob)));

    let asked = script.asked();
    assert!(asked.iter().all(|asked| asked.header("user-agent") == Some(agent)));
    let ids: Vec<_> = asked.iter().map(|asked| asked.header("x-request-id").unwrap()).collect();
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(hex)), "{ids:?}");
    assert!(ids[..5].iter().all(|id| *id == ids[0]) && ids[5] != ids[0], "{ids:?}");
}
