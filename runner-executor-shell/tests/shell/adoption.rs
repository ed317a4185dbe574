//! Managers that die and managers that come after them.

use std::fs;

use runner_core::executor::{
    Adopter as _, Adoption, Environment, Handle, Shell, StageEnd, StageStatus, Started,
};
use runner_executor_shell::ShellProvider;

use crate::host::{Host, context, journaled, next_frame, read_all, script, stage, text};

async fn adopt(host: &Host, handle: &Handle, job: u64) -> Box<dyn Environment> {
    match host.next_provider().adopt(handle, &context(job)).await.unwrap() {
        Adoption::Live(environment) => environment,
        other => panic!("live, not {other:?}"),
    }
}

#[test]
fn a_job_goes_on_without_a_manager_and_is_adopted() {
    let host = Host::new();
    let key = stage(4);
    let manager =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

    let first = manager();
    let (handle, offset) = first.block_on(async {
        let environment = host.job(7).await;
        let input =
            script("echo one; echo >$READY; read -r go <$GO; echo two; echo >$READY; read -r go <$GO; echo three; exit 3");
        assert_eq!(environment.start(&key, input).await.unwrap(), Started::New);
        host.ready().await;
        let frame = next_frame(&mut environment.follow(&key, 0)).await;
        (journaled(&environment.handle()), frame.end)
    });
    // Everything that this manager had is gone with its runtime.
    drop(first);

    manager().block_on(async {
        let environment = adopt(&host, &handle, 7).await;
        assert_eq!(environment.handle(), handle);
        assert!(matches!(environment.status(&key).await.unwrap(), StageStatus::Running));
        assert_eq!(environment.start(&key, script("echo never")).await.unwrap(), Started::Running);
        host.let_go().await;
        let mut stream = environment.follow(&key, offset);
        assert_eq!(&next_frame(&mut stream).await.bytes[..], b"two\n");
        host.ready().await;
        host.let_go().await;
        let (frames, end) = read_all(stream).await;
        assert_eq!((text(&frames).as_str(), end), ("three\n", StageEnd::Exit(3)));
        assert_eq!(text(&read_all(environment.follow(&key, 0)).await.0), "one\ntwo\nthree\n");
        // The job goes on where it was.
        assert_eq!(environment.start(&stage(5), script("echo after")).await.unwrap(), Started::New);
        assert_eq!(text(&read_all(environment.follow(&stage(5), 0)).await.0), "after\n");
    });
}

#[tokio::test]
async fn a_changed_configuration_changes_no_stage_of_a_job_that_goes_on() {
    let host = Host::new();
    let handle = journaled(&host.job(1).await.handle());
    let mut changed = host.config.clone();
    changed.builds_dir = host.path("elsewhere");
    changed.shell = Shell::Sh;
    changed.login = false;
    let adopted = ShellProvider::new(changed).adopt(&handle, &context(1)).await.unwrap();
    let Adoption::Live(environment) = adopted else { panic!("{adopted:?}") };
    environment.start(&stage(1), script("pwd; echo ${BASH_VERSION:+bash}; shopt login_shell")).await.unwrap();
    let said = text(&read_all(environment.follow(&stage(1), 0)).await.0);
    assert_eq!(said, format!("{}\nbash\nlogin_shell    \ton\n", host.path("builds").display()));
    assert_eq!(environment.handle(), handle);
}

#[tokio::test]
async fn a_stage_that_ended_unseen_is_known() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script("echo unseen; exit 9")).await.unwrap();
    let handle = journaled(&environment.handle());
    read_all(environment.follow(&stage(1), 0)).await;
    drop(environment);
    let environment = adopt(&host, &handle, 1).await;
    assert!(matches!(environment.status(&stage(1)).await.unwrap(), StageStatus::Ended(StageEnd::Exit(9))));
    assert_eq!(environment.start(&stage(1), script("echo never")).await.unwrap(), Started::Ended);
    assert_eq!(text(&read_all(environment.follow(&stage(1), 0)).await.0), "unseen\n");
}

#[tokio::test]
async fn dropping_an_environment_leaves_its_stage_running() {
    let host = Host::new();
    let environment = host.job(1).await;
    let handle = environment.handle();
    environment.start(&stage(1), script("echo >$READY; read -r go <$GO; exit 6")).await.unwrap();
    host.ready().await;
    drop(environment);
    assert!(!host.processes().is_empty());
    let environment = adopt(&host, &handle, 1).await;
    host.let_go().await;
    assert_eq!(read_all(environment.follow(&stage(1), 0)).await.1, StageEnd::Exit(6));
}

#[tokio::test]
async fn what_is_not_there_is_gone() {
    let host = Host::new();
    let reservation = runner_core::executor::Provider::acquire(&host.provider).await.unwrap();
    let never_prepared =
        runner_core::executor::Provider::environment(&host.provider, &reservation, &context(1)).unwrap();
    let handle = never_prepared.handle();
    let Adoption::Gone(error) = host.provider.adopt(&handle, &context(1)).await.unwrap() else {
        panic!("gone")
    };
    assert_eq!(error.to_string(), "the folder of job runner-abc-job-1 is gone");
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_not_ours() {
    let host = Host::new();
    let handle = host.job(1).await.handle();
    fs::write(host.job_folder(1).join("job.json"), r#"{"runner":"abc","job":2}"#).unwrap();
    assert!(matches!(host.provider.adopt(&handle, &context(1)).await.unwrap(), Adoption::NotOurs));
    fs::remove_file(host.job_folder(1).join("job.json")).unwrap();
    assert!(matches!(host.provider.adopt(&handle, &context(1)).await.unwrap(), Adoption::NotOurs));
}

#[tokio::test]
async fn handles_that_make_no_sense_are_refused() {
    let host = Host::new();
    let handle = host.job(1).await.handle();
    let error = |handle: Handle, job| {
        let provider = host.next_provider();
        async move { provider.adopt(&handle, &context(job)).await.unwrap_err().to_string() }
    };
    let other = Handle::new("kubernetes", handle.value().clone());
    assert_eq!(
        error(other, 1).await,
        "cannot adopt job runner-abc-job-1: its handle is one of the executor \"kubernetes\""
    );
    assert_eq!(
        error(handle, 2).await,
        "cannot adopt job runner-abc-job-2: its handle is that of job runner-abc-job-1"
    );
    assert!(error(Handle::new("shell", serde_json::json!(null)), 1).await.contains("cannot be read"));
}
