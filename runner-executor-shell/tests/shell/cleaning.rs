//! Cleaning up, and finding what nobody cleaned up.

use std::fs;
use std::time::Duration;

use runner_core::executor::{
    CleanupReason, Environment, Janitor as _, JobKey, Orphan, SecretVariable, StageStatus,
};

use crate::host::{Host, context, script, stage};

const STUBBORN: &str = "trap '' TERM; setsid sleep 600 & echo >$READY; sleep 600";
const SOON: Duration = Duration::from_secs(30);

async fn clean(environment: &dyn Environment) -> Vec<String> {
    environment.cleanup(CleanupReason::JobEnded, SOON).await.unwrap().items
}

#[tokio::test]
async fn what_runs_is_ended_and_everything_is_removed() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script("true")).await.unwrap();
    environment.start(&stage(2), script(STUBBORN)).await.unwrap();
    host.ready().await;
    assert_eq!(clean(environment.as_ref()).await, Vec::<String>::new());
    assert!(host.processes().is_empty());
    assert!(!host.job_folder(1).exists());
    assert!(host.config.state_dir.exists());
    assert_eq!(clean(environment.as_ref()).await, Vec::<String>::new(), "again is no error");
    // What was started and removed must not be taken for something that can be started.
    assert!(matches!(environment.status(&stage(2)).await.unwrap(), StageStatus::Lost(_)));
}

#[tokio::test]
async fn an_environment_that_was_never_prepared_is_clean() {
    let host = Host::new();
    let reservation = runner_core::executor::Provider::acquire(&host.provider).await.unwrap();
    let environment =
        runner_core::executor::Provider::environment(&host.provider, &reservation, &context(1)).unwrap();
    assert_eq!(clean(environment.as_ref()).await, Vec::<String>::new());
}

#[tokio::test]
async fn processes_without_a_supervisor_are_ended() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script(STUBBORN)).await.unwrap();
    host.ready().await;
    host.kill_supervisor(1, &stage(1));
    assert!(!host.processes().is_empty());
    assert_eq!(clean(environment.as_ref()).await, Vec::<String>::new());
    assert!(host.processes().is_empty());
    assert!(!host.job_folder(1).exists());
}

#[tokio::test]
async fn what_cannot_be_removed_is_said_and_its_folder_kept() {
    let host = Host::new();
    let environment = host.job(1).await;
    let path = host.path("builds/KEY");
    let mut input = script("rm \"$FILE\"; mkdir \"$FILE\"");
    let text = path.to_str().unwrap().to_owned();
    input.secrets.push(SecretVariable { key: "FILE".into(), value: text.clone().into(), file: None });
    input.secrets.push(SecretVariable {
        key: "FILE".into(),
        value: "s3cret".to_owned().into(),
        file: Some(text),
    });
    environment.start(&stage(1), input).await.unwrap();
    crate::host::read_all(environment.follow(&stage(1), 0)).await;
    let items = clean(environment.as_ref()).await;
    assert_eq!(items, [format!("{}: Is a directory (os error 21)", path.display())]);
    assert!(host.job_folder(1).exists());
    fs::remove_dir(path).unwrap();
    assert_eq!(clean(environment.as_ref()).await, Vec::<String>::new());
    assert!(!host.job_folder(1).exists());
}

#[tokio::test]
async fn the_janitor_finds_and_removes_what_no_job_owns() {
    let host = Host::new();
    for job in [1, 2, 3] {
        let environment = host.job(job).await;
        environment.start(&stage(1), script(STUBBORN)).await.unwrap();
        host.ready().await;
    }
    fs::create_dir(host.config.state_dir.join("runner-abc-job-4")).unwrap();
    fs::create_dir(host.config.state_dir.join("somebody-elses")).unwrap();
    fs::write(host.config.state_dir.join("a-file"), "").unwrap();

    let provider = host.next_provider();
    let key = |job| JobKey { runner: "abc".into(), job };
    let orphans = provider.scan(&[key(2)]).await.unwrap();
    let jobs: Vec<Option<JobKey>> = orphans.iter().map(|orphan| orphan.job.clone()).collect();
    assert_eq!(jobs, [Some(key(1)), Some(key(3)), None]);
    for orphan in &orphans {
        provider.reap(orphan).await.unwrap();
        provider.reap(orphan).await.unwrap();
    }
    assert_eq!(provider.scan(&[key(2)]).await.unwrap(), []);
    assert!(host.job_folder(2).exists() && !host.job_folder(1).exists() && !host.job_folder(4).exists());
    assert!(host.config.state_dir.join("somebody-elses").exists());
    assert!(!host.processes().is_empty(), "those of job 2 go on");

    for orphan in provider.scan(&[]).await.unwrap() {
        provider.reap(&orphan).await.unwrap();
    }
    assert!(host.processes().is_empty());
}

#[tokio::test]
async fn the_janitor_stays_in_its_folder() {
    let host = Host::new();
    host.job(1).await;
    let elsewhere = host.path("builds");
    let orphan = Orphan { job: None, location: elsewhere.to_str().unwrap().to_owned() };
    let error = host.provider.reap(&orphan).await.unwrap_err();
    assert!(error.to_string().contains("it is not in the state folder of this runner"), "{error}");
    let sneaky = format!("{}/..", host.config.state_dir.display());
    assert!(host.provider.reap(&Orphan { job: None, location: sneaky }).await.is_err());
    assert!(elsewhere.exists());
}

#[tokio::test]
async fn a_machine_without_a_state_folder_has_no_orphans() {
    let host = Host::new();
    assert_eq!(host.provider.scan(&[]).await.unwrap(), []);
}
