//! What a job's stages do and say, with real processes and real HTTP.

use async_trait::async_trait;
use runner_api::ClientBuilder;
use runner_api::transport::{Body, HttpTransport, TlsData, Transport, TransportError};
use runner_coordinator::core::{JobId, JobState};
use runner_core::manager::Manager;
use serde_json::json;

use crate::support::{Payload, PlainShell, Rig};

/// Runs one job to its end.
async fn run(payload: Payload) -> (Rig, JobId) {
    let rig = Rig::over_http().await;
    let running = rig.start(PlainShell::provider(rig.folder("jobs")));
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert!(std::fs::read_dir(rig.folder("jobs")).unwrap().next().is_none(), "the job's folder is left");
    (rig, job)
}

/// The names in the markers of sections, in order.
fn markers(trace: &str) -> Vec<String> {
    let parts = trace.lines().filter_map(|line| line.split("section_").nth(1));
    parts
        .map(|marker| {
            let mut fields = marker.split(':');
            let kind = fields.next().unwrap();
            format!("{kind} {}", fields.nth(1).unwrap())
        })
        .collect()
}

fn assert_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is missing or misplaced in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[tokio::test]
async fn a_job_succeeds_stage_by_stage() {
    let payload = Payload::new(["echo one from $CI_JOB_STATUS"])
        .step("release", ["echo two"])
        .after_script(["echo three after $CI_JOB_STATUS"]);
    let (rig, job) = run(payload).await;

    assert_eq!(rig.gitlab.state(job), JobState::Success);
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let trace = rig.gitlab.trace(job);
    let sections = [
        "prepare_executor",
        "prepare_script",
        "get_sources",
        "step_script",
        "step_release",
        "after_script",
        "cleanup_file_variables",
    ];
    let expected: Vec<String> =
        sections.iter().flat_map(|name| [format!("start {name}"), format!("end {name}")]).collect();
    assert_eq!(markers(&trace), expected, "{trace}");
    assert_order(
        &trace,
        &[
            "Running with runner 1.2.3 (01234567)\n",
            "  on under test ",
            ", system ID: s_0123456789ab\n",
            "Preparing the \"plain\" executor\n",
            "Using a folder and sh...\n",
            "Preparing environment\n",
            "Getting source from Git repository\n",
            "Executing \"step_script\" stage of the job script\n",
            "$ echo one from $CI_JOB_STATUS\n",
            "one from running\n",
            "Executing \"step_release\" stage of the job script\n",
            "two\n",
            "Running after_script\n",
            "three after success\n",
            "Cleaning up project directory and file based variables\n",
            "Job succeeded\n",
        ],
    );
    rig.end().await;
}

#[tokio::test]
async fn sections_are_for_servers_that_want_them() {
    let (rig, job) = run(Payload::new(["echo one"]).field("features", json!({}))).await;
    let trace = rig.gitlab.trace(job);
    assert!(!trace.contains("section_"), "{trace}");
    assert_order(&trace, &["Preparing environment\n", "one\n", "Job succeeded\n"]);
    rig.end().await;
}

#[tokio::test]
async fn a_script_fails_with_its_exit_code() {
    let payload = Payload::new(["echo one", "exit 7", "echo never"])
        .step("release", ["echo never"])
        .after_script(["echo after $CI_JOB_STATUS"]);
    let (rig, job) = run(payload).await;

    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(7)));
    let trace = rig.gitlab.trace(job);
    assert_order(&trace, &["one\n", "after failed\n", "ERROR: Job failed: exit code 7\n"]);
    assert!(!trace.contains("\nnever"), "{trace}");
    assert!(!trace.contains("step_release"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn a_script_that_is_killed_has_no_exit_code_of_its_own() {
    let (rig, job) = run(Payload::new(["kill -9 $$"])).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(-1)));
    assert_order(&rig.gitlab.trace(job), &["Job failed: killed by signal 9\n"]);
    rig.end().await;
}

#[tokio::test]
async fn a_failing_after_script_is_ignored() {
    let (rig, job) = run(Payload::new(["true"]).after_script(["exit 4"])).await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let warning = "WARNING: after_script failed, but job will continue unaffected: exit code 4\n";
    assert_order(&rig.gitlab.trace(job), &[warning, "Job succeeded\n"]);
    rig.end().await;
}

#[tokio::test]
async fn a_failing_after_script_counts_when_the_job_says_so() {
    let payload = Payload::new(["true"]).after_script(["exit 4"]);
    let (rig, job) = run(payload.variable("AFTER_SCRIPT_IGNORE_ERRORS", "false")).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(4)));
    rig.end().await;
}

#[tokio::test]
async fn the_first_failure_is_the_one_that_is_reported() {
    let payload = Payload::new(["exit 3"]).after_script(["exit 4"]);
    let (rig, job) = run(payload.variable("AFTER_SCRIPT_IGNORE_ERRORS", "false")).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(3)));
    rig.end().await;
}

#[tokio::test]
async fn script_scenario_11_masked_values_do_not_reach_gitlab() {
    let payload = Payload::new(["echo the password is $PASSWORD", "printf hun; printf ter2; echo"])
        .masked("PASSWORD", "hunter2")
        .after_script(["echo still $PASSWORD"]);
    let (rig, job) = run(payload).await;
    let trace = rig.gitlab.trace(job);
    assert_order(&trace, &["the password is [MASKED]\n", "[MASKED]\n", "still [MASKED]\n"]);
    assert!(!trace.contains("hunter2"), "{trace}");
    let token = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().token.clone());
    assert!(!trace.contains(secrecy::ExposeSecret::expose_secret(&token)), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn a_masked_value_that_contains_the_jobs_folder_does_not_reach_gitlab() {
    let payload = Payload::new(["echo it is $WHERE", "printf %s/hun $CI_PROJECT_DIR; printf ter2; echo"])
        .masked("WHERE", "$CI_PROJECT_DIR/hunter2");
    let (rig, job) = run(payload).await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let trace = rig.gitlab.trace(job);
    assert_order(&trace, &["it is [MASKED]\n", "[MASKED]\n"]);
    assert!(!trace.contains("hunter2"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn contents_of_masked_files_do_not_reach_gitlab() {
    let payload =
        Payload::new(["echo it is in $(basename $KEY); cat $KEY"]).masked_file("KEY", "hunter2-hunter2\n");
    let (rig, job) = run(payload).await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let trace = rig.gitlab.trace(job);
    assert_order(&trace, &["it is in KEY\n", "[MASKED]\n"]);
    assert!(!trace.contains("hunter2"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn scenario_109_a_cache_that_cannot_be_saved_or_found_is_no_failure() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::over_http().await;
    let helper = rig.folder("helper").join("helper");
    std::fs::write(&helper, "#!/bin/sh\ncase \"$2\" in --help) exit 0 ;; esac\necho \"$1 breaks\"; exit 1\n")
        .unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let running = rig.start(PlainShell::with_helper(rig.folder("jobs"), &helper));
    let payload = Payload::new(["echo runs"]).field("cache", json!([{ "key": "k", "paths": ["a"] }]));
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_order(
        &rig.gitlab.trace(job),
        &[
            "Checking cache for k...\n",
            "cache-extractor breaks\n",
            "Failed to extract cache\n",
            "runs\n",
            "Creating cache k...\n",
            "cache-archiver breaks\n",
            "Failed to create cache\n",
            "Job succeeded\n",
        ],
    );
    rig.end().await;
}

/// A connection that was made with certificates.
#[derive(Debug)]
struct WithCertificates(HttpTransport);

#[async_trait]
impl Transport for WithCertificates {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let mut answer = self.0.send(request).await?;
        let data = TlsData::new("the chain\n").with_client("the certificate\n", "the key\n".into());
        answer.extensions_mut().insert(data);
        Ok(answer)
    }
}

#[tokio::test]
async fn certificates_of_the_connection_are_files_of_the_job() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, PlainShell::provider(rig.folder("jobs")));
    let transport = WithCertificates(HttpTransport::builder().build().unwrap());
    let url = entry.identity.url.as_str();
    entry.client = ClientBuilder::new(url).unwrap().transport(transport).build().unwrap();
    let running = rig.start_with(Manager::builder().runner(entry));
    let script = "cat $CI_SERVER_TLS_CA_FILE $CI_SERVER_TLS_CERT_FILE; grep -c key $CI_SERVER_TLS_KEY_FILE";
    let job = rig.gitlab.enqueue(Payload::new([script]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_order(&rig.gitlab.trace(job), &["the chain\n", "the certificate\n", "1\n"]);
    rig.end().await;
}

#[tokio::test]
async fn a_policy_is_named_before_its_job_begins() {
    let policy = json!({
        "execution_policy_job": true, "policy_name": "scan everything",
        "policy_variables_override_allowed": false, "policy_variables_override_exceptions": ["DEPTH", "IMAGE"],
    });
    let (rig, job) = run(Payload::new(["echo runs"]).field("policy_options", policy)).await;
    let expected = [
        "Job of the policy \"scan everything\".\n",
        "User-defined variables do not override those of the policy, except DEPTH, IMAGE.\n",
        "Preparing the \"plain\" executor\n",
        "runs\n",
    ];
    assert_order(&rig.gitlab.trace(job), &expected);
    rig.end().await;
    let (rig, job) =
        run(Payload::new(["echo runs"]).field("policy_options", json!({ "policy_name": "scan" }))).await;
    assert!(!rig.gitlab.trace(job).contains("policy"));
    rig.end().await;
}

#[tokio::test]
async fn odd_fields_are_told_and_the_job_runs() {
    let payload = Payload::new(["echo runs"]).field("cache", json!("everything")).field("new", json!({}));
    let (rig, job) = run(payload).await;
    assert_eq!(rig.gitlab.state(job), JobState::Success);
    assert_order(&rig.gitlab.trace(job), &["WARNING: the job's description: ", "cache", "runs\n"]);
    rig.end().await;
}

#[tokio::test]
async fn output_keeps_its_order_and_loses_nothing() {
    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i + 1)); done";
    let (rig, job) = run(Payload::new([script])).await;
    let trace = rig.gitlab.trace(job);
    let lines: Vec<&str> = trace.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (0..5000).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, expected);
    rig.end().await;
}
