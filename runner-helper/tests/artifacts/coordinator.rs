//! Both commands against GitLab's side of the Runner API: what one job uploads another one downloads.

use runner_api::{ClientBuilder, Job, JobAnswer, JobRequest, JobUpdate, RunnerCredentials, RunnerInfo};
use runner_coordinator::core::{Coordinator, Endpoint, NewJob, NewRunner, Options};
use runner_coordinator::http::{Handle, Server, ServerOptions};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::fixture::{Ended, Project};

/// A coordinator that runs beside the blocking commands.
struct Site {
    runtime: Runtime,
    server: Server,
    handle: Handle,
    _folder: tempfile::TempDir,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let storage = ServerOptions::new(folder.path());
        let coordinator = Coordinator::new(Options::default());
        let server = runtime.block_on(Server::bind(address, coordinator, storage)).unwrap();
        let handle = server.handle();
        // Another name is another origin.
        let url = server.url().replace("127.0.0.1", "localhost");
        handle.with(|coordinator, _| coordinator.options_mut().storage_url = Some(url));
        Self { runtime, server, handle, _folder: folder }
    }

    /// A job that was handed out and runs.
    fn running_job(&self) -> Job {
        let runner = self.handle.create_runner(NewRunner::default());
        self.handle.enqueue(NewJob::new(json!({})));
        self.runtime.block_on(async {
            let info = RunnerInfo::new("gitlab-runner", "19.4.0");
            let client = ClientBuilder::new(&self.server.url()).unwrap().info(info).build().unwrap();
            let request = JobRequest::new(RunnerCredentials::new(runner.token.expose_secret()));
            let Ok(JobAnswer::Job(job)) = client.request_job(&request).await else { unreachable!("no job") };
            client.job(job.id, job.token.clone()).update(&JobUpdate::running()).await;
            *job
        })
    }

    fn as_job<'a>(&self, job: &'a Job, id: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--token", job.token.expose(), "--id", id], arguments].concat()
    }
}

#[test]
fn what_one_job_leaves_another_one_finds() {
    let site = Site::start();
    let url = site.server.url();
    let job = site.running_job();
    let id = job.id.to_string();
    site.handle.add_fault("upload_artifact:1:503".parse().unwrap());
    site.handle.add_fault("download_artifact:1:truncate=100".parse().unwrap());

    let content = "line\n".repeat(100_000);
    let from =
        Project::new(&[("out/report.txt", &content), ("out/bin/tool", "#!/bin/sh\n"), ("other", "no")]);
    let arguments =
        site.as_job(&job, &id, &["--path", "out", "--artifact-format", "zip", "--artifact-type", "archive"]);
    let Ended { code, log, .. } = from.upload(&url, &arguments);
    assert_eq!(code, 0, "{log}");

    for direct in [&["--retry-time", "1ms"][..], &["--direct-download"]] {
        let to = Project::new(&[]);
        let Ended { code, log, .. } = to.download(&url, &site.as_job(&job, &id, direct));
        assert_eq!(code, 0, "{log}");
        assert_eq!(to.read("out/report.txt"), content);
        assert_eq!(to.read("out/bin/tool"), "#!/bin/sh\n");
        assert!(!to.folder().join("other").exists());
    }
    site.handle.with(|coordinator, _| assert_eq!(coordinator.oddities(), []));

    let Ended { code, log, .. } = Project::new(&[]).download(&url, &site.as_job(&job, "4711", &[]));
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("FATAL: "), "{log}");
    site.runtime.block_on(site.server.shutdown());
}

#[test]
fn a_large_archive_comes_in_parts_when_asked_for() {
    let site = Site::start();
    let url = site.server.url();
    let job = site.running_job();
    let id = job.id.to_string();
    // Nothing that a packer could make smaller than one part.
    let content: String =
        (0_u64..2_100_000).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let from = Project::new(&[("big.txt", content.as_str())]);
    let uploaded = from.upload(&url, &site.as_job(&job, &id, &["--path", "big.txt"]));
    assert_eq!(uploaded.code, 0, "{}", uploaded.log);
    let before = site.handle.with(|coordinator, _| coordinator.request_count(Endpoint::Storage));

    let to = Project::new(&[]);
    let arguments = ["--direct-download", "--parallel-transfer"];
    let downloaded = to.download(&url, &site.as_job(&job, &id, &arguments));
    assert_eq!(downloaded.code, 0, "{}", downloaded.log);
    assert!(to.read("big.txt") == content);
    let asked = site.handle.with(|coordinator, _| coordinator.request_count(Endpoint::Storage)) - before;
    assert!(asked > 2, "{asked} requests to the storage");
    site.runtime.block_on(site.server.shutdown());
}
