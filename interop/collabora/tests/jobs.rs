//! Jobs from the coordinator to Collabora's runner and back.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gitlab_runner::job::Job;
use gitlab_runner::{
    GitlabLayer, JobHandler, JobResult, Phase, Runner, RunnerBuilder, UploadableFile, outputln,
};
use runner_coordinator::core::{
    Coordinator, Endpoint, EventKind, JobId, JobState, NewJob, NewRunner, Options,
};
use runner_coordinator::http::{Handle, Server, ServerOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Runs a test with a coordinator and a runner. The runner's log travels through the subscriber.
async fn with_site<F: Future<Output = ()>>(test: impl FnOnce(Handle, Runner) -> F) {
    let address = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(address, Coordinator::new(Options::default()), ServerOptions::in_memory());
    let server = server.await.unwrap();
    let handle = server.handle();
    let token = handle.create_runner(NewRunner::default()).token.expose_secret().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let (layer, jobs) = GitlabLayer::new();
    let subscriber = Registry::default().with(layer);
    let url = server.url().parse().unwrap();
    let runner = RunnerBuilder::new(url, token, folder.path(), jobs).system_id("s_interop").build().await;
    test(handle, runner).with_subscriber(subscriber).await;
    server.shutdown().await;
}

fn payload(name: &str, script: &[&str]) -> Value {
    json!({
        "allow_git_fetch": true,
        "job_info": { "name": name, "stage": "test", "project_id": 1, "project_name": "p" },
        "runner_info": { "timeout": 3600 },
        "git_info": null,
        "variables": [{ "key": "GREETING", "value": "hello", "public": true, "masked": false }],
        "steps": [
            { "name": "script", "script": script, "timeout": 3600, "when": "on_success", "allow_failure": false },
            { "name": "after_script", "script": ["after"], "timeout": 300, "when": "always", "allow_failure": true },
        ],
        "image": null,
        "services": null,
        "artifacts": null,
        "cache": null,
        "credentials": [],
        "dependencies": null,
        "features": { "trace_sections": true },
    })
}

/// Does what the lines of a script say.
struct Words {
    job: Job,
    canceled: Arc<AtomicBool>,
    started: Arc<Notify>,
}

/// Tells when the step that owns it is dropped before its end.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct File(&'static str, Vec<u8>);

#[async_trait::async_trait]
impl UploadableFile for File {
    type Data<'a> = &'a [u8];

    fn get_path(&self) -> Cow<'_, str> {
        self.0.into()
    }

    async fn get_data(&self) -> Result<&'_ [u8], ()> {
        Ok(&self.1)
    }
}

#[async_trait::async_trait]
impl JobHandler<File> for Words {
    async fn step(&mut self, script: &[String], phase: Phase) -> JobResult {
        for line in script {
            outputln!("{:?}: {line}", phase);
            match line.as_str() {
                "greet" => outputln!("{}", self.job.variable("GREETING").ok_or(())?),
                "fail" => return Err(()),
                "wait" => {
                    let _dropped = Dropped(self.canceled.clone());
                    self.started.notify_one();
                    std::future::pending::<()>().await;
                }
                "many" => {
                    for number in 0..20_000 {
                        outputln!("line {number}");
                    }
                }
                "download" => {
                    for dependency in self.job.dependencies() {
                        let mut archive = dependency.download().await.map_err(drop)?.ok_or(())?;
                        let mut text = String::new();
                        archive.file("out/a.txt").ok_or(())?.read_to_string(&mut text).map_err(drop)?;
                        outputln!("{} says {text}", dependency.name());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn get_uploadable_files(&mut self) -> Result<Box<dyn Iterator<Item = File> + Send>, ()> {
        let files =
            [File("out/a.txt", b"made by a job".to_vec()), File("report.xml", b"<testsuites/>".to_vec())];
        Ok(Box::new(files.into_iter()))
    }
}

#[derive(Clone, Default)]
struct Signals {
    canceled: Arc<AtomicBool>,
    started: Arc<Notify>,
}

impl Signals {
    /// Asks for one job and lets it begin.
    async fn take(&self, runner: &mut Runner) -> bool {
        let signals = self.clone();
        let words =
            move |job| async move { Ok(Words { job, canceled: signals.canceled, started: signals.started }) };
        runner.request_job(words).await.unwrap()
    }
}

async fn run(handle: &Handle, runner: &mut Runner, payload: Value) -> JobId {
    let job = handle.enqueue(NewJob::new(payload));
    assert!(Signals::default().take(runner).await);
    handle.finished(job).await;
    runner.drain().await;
    job
}

fn trace(handle: &Handle, job: JobId) -> String {
    String::from_utf8(handle.read_trace(job, 0)).unwrap()
}

#[tokio::test]
async fn a_job_succeeds() {
    with_site(|handle, mut runner| async move {
        assert!(!Signals::default().take(&mut runner).await, "there is no job yet");
        let job = run(&handle, &mut runner, payload("good", &["greet"])).await;
        assert_eq!(handle.state(job), Some(JobState::Success));
        assert_eq!(trace(&handle, job), "Script: greet\nhello\nAfterScript: after\n");
        let (patches, updates, system_id) = handle
            .job(job, |record| {
                let count = |endpoint| record.request_count(endpoint);
                (count(Endpoint::PatchTrace), count(Endpoint::UpdateJob), record.system_id.clone())
            })
            .unwrap();
        assert_eq!((patches, updates, system_id.as_deref()), (1, 1, Some("s_interop")));
    })
    .await;
}

#[tokio::test]
async fn a_job_fails() {
    with_site(|handle, mut runner| async move {
        let job = run(&handle, &mut runner, payload("bad", &["fail", "greet"])).await;
        assert_eq!(handle.state(job), Some(JobState::Failed));
        assert_eq!(trace(&handle, job), "Script: fail\nAfterScript: after\n");
        // It names no reason, and no exit code.
        let end = handle.job(job, |record| (record.failure_reason.clone(), record.exit_code)).unwrap();
        assert_eq!(end, (Some("unknown_failure".to_owned()), None));
    })
    .await;
}

#[tokio::test]
async fn a_long_log_arrives_whole() {
    with_site(|handle, mut runner| async move {
        let job = run(&handle, &mut runner, payload("talk", &["many"])).await;
        let lines: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        assert!(trace(&handle, job) == format!("Script: many\n{lines}AfterScript: after\n"));
        assert_eq!(handle.state(job), Some(JobState::Success));
    })
    .await;
}

#[tokio::test]
async fn artifacts_go_up_and_come_down() {
    with_site(|handle, mut runner| async move {
        let artifact = |kind: &str, format: &str, path: &str| {
            json!({
                "name": kind, "untracked": false, "paths": [path], "when": "on_success", "artifact_type": kind,
                "artifact_format": format, "expire_in": "1 week",
            })
        };
        let mut maker = payload("maker", &["greet"]);
        maker["artifacts"] = json!([artifact("archive", "zip", "out/"), artifact("junit", "gzip", "report.xml")]);
        let mut events = handle.events();
        let maker = run(&handle, &mut runner, maker).await;
        assert_eq!(handle.state(maker), Some(JobState::Success));
        let mut stored = Vec::new();
        while let Some(event) = events.try_recv() {
            if let EventKind::ArtifactStored { artifact_type, .. } = event.kind {
                stored.push(artifact_type);
            }
        }
        assert_eq!(stored, ["archive", "junit"]);
        let (format, size, expires) = handle
            .job(maker, |record| {
                let archive = record.artifact("archive").unwrap();
                (archive.artifact_format.clone(), archive.size, archive.expires_at.is_some())
            })
            .unwrap();
        assert_eq!((format.as_str(), expires), ("zip", true), "parameters come as fields of the form");
        assert!(handle.read_artifact(maker, "junit").await.unwrap().unwrap().starts_with(&[0x1f, 0x8b]));

        let token = handle.job(maker, |record| record.token.expose_secret().to_owned()).unwrap();
        let mut user = payload("user", &["download"]);
        user["dependencies"] = json!([{
            "id": maker.0, "name": "maker", "token": token,
            "artifacts_file": { "filename": "maker.zip", "size": size },
        }]);
        // The first try meets a fault; this client repeats downloads.
        handle.add_fault("download_artifact:1:503".parse().unwrap());
        let user = run(&handle, &mut runner, user).await;
        let said = trace(&handle, user);
        assert!(said.contains("maker says made by a job\n"), "{said}");
        assert_eq!(handle.state(user), Some(JobState::Success));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_canceled() {
    with_site(|handle, mut runner| async move {
        let signals = Signals::default();
        let job = handle.enqueue(NewJob::new(payload("stuck", &["wait"])));
        assert!(signals.take(&mut runner).await);
        signals.started.notified().await;
        // It does not promise to handle `canceling`, so the job is canceled at once; its next piece of log tells it.
        assert_eq!(handle.cancel(job, false), Some(JobState::Canceled));
        runner.drain().await;
        assert!(signals.canceled.load(Ordering::SeqCst), "the step was dropped");
        let updates = handle.job(job, |record| record.request_count(Endpoint::UpdateJob)).unwrap();
        assert_eq!((handle.state(job), updates), (Some(JobState::Canceled), 0));
    })
    .await;
}

#[tokio::test]
async fn a_job_that_needs_more_than_it_can_is_not_handed_out() {
    with_site(|handle, mut runner| async move {
        let mut needy = payload("needy", &["greet"]);
        needy["artifacts"] = json!([{ "paths": ["a"], "exclude": ["b"] }]);
        let job = handle.enqueue(NewJob::new(needy));
        assert!(!Signals::default().take(&mut runner).await);
        let reason = handle.job(job, |record| record.failure_reason.clone()).unwrap();
        assert_eq!(reason.as_deref(), Some("runner_unsupported"));
    })
    .await;
}

#[tokio::test]
async fn several_jobs_at_once() {
    with_site(|handle, mut runner| async move {
        let names: Vec<String> = (0..8).map(|number| format!("job {number}")).collect();
        let jobs: Vec<JobId> =
            names.iter().map(|name| handle.enqueue(NewJob::new(payload(name, &["greet", name])))).collect();
        for _ in &jobs {
            assert!(Signals::default().take(&mut runner).await);
        }
        runner.drain().await;
        for (job, name) in jobs.into_iter().zip(names) {
            assert_eq!(handle.state(job), Some(JobState::Success));
            assert_eq!(
                trace(&handle, job),
                format!("Script: greet\nhello\nScript: {name}\nAfterScript: after\n")
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_coordinator_finds_odd() {
    with_site(|handle, mut runner| async move {
        run(&handle, &mut runner, payload("good", &["greet"])).await;
        let odd: BTreeSet<&str> =
            handle.with(|coordinator, _| coordinator.oddities().iter().map(|odd| odd.what).collect());
        assert_eq!(Vec::from_iter(odd), ["a job update without output", "no User-Agent"]);
    })
    .await;
}
