//! Starting, asking and stopping.

use std::fs;
use std::path::Path;
use std::time::Duration;

use runner_core::executor::{
    Cause, CleanupReason, NoticeLevel, Notices, PrepareRequest, Provider as _, SecretVariable, Shell,
    StageEnd, StageStatus, Started, Stop,
};
use tokio_util::sync::CancellationToken;

use crate::host::{Host, broken, context, prepare, read_all, script, stage, text};

#[tokio::test]
async fn a_place_is_made_and_described() {
    let host = Host::new();
    let reservation = host.provider.acquire().await.unwrap();
    let environment = host.provider.environment(&reservation, &context(1)).unwrap();
    assert!(!host.config.state_dir.exists(), "making an environment does no I/O");
    let (notices, mut lines) = Notices::channel();
    let place = environment.prepare(PrepareRequest::new(1), notices, CancellationToken::new()).await.unwrap();
    let line = lines.recv().await.unwrap();
    assert_eq!((line.level, line.text.as_str()), (NoticeLevel::Plain, "Using Shell (bash) executor..."));
    assert_eq!((Path::new(&place.builds_dir), place.shared), (host.path("builds").as_path(), true));
    assert_eq!((place.shell, place.helper), (Shell::Bash, host.config.helper.clone()));
    assert!(host.path("builds").is_dir() && host.path("cache").is_dir());
    host.provider.release(reservation).await;
    assert!(host.provider.capacity().borrow().is_available());
}

#[tokio::test]
async fn a_canceled_preparation_makes_nothing() {
    let host = Host::new();
    let reservation = host.provider.acquire().await.unwrap();
    let environment = host.provider.environment(&reservation, &context(1)).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let (notices, _lines) = Notices::channel();
    let error = environment.prepare(PrepareRequest::new(1), notices, cancel).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Canceled);
    assert!(!host.config.state_dir.exists());
}

#[tokio::test]
async fn a_stage_runs_once_however_often_it_is_started() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(4);
    assert!(matches!(environment.status(&key).await.unwrap(), StageStatus::NotStarted));
    let input = script("echo run >>runs; echo up >$READY; read -r go <$GO; exit 3");
    assert_eq!(environment.start(&key, input.clone()).await.unwrap(), Started::New);
    host.ready().await;
    assert!(matches!(environment.status(&key).await.unwrap(), StageStatus::Running));
    assert_eq!(environment.start(&key, input.clone()).await.unwrap(), Started::Running);
    host.let_go().await;
    assert_eq!(read_all(environment.follow(&key, 0)).await.1, StageEnd::Exit(3));
    assert!(matches!(environment.status(&key).await.unwrap(), StageStatus::Ended(StageEnd::Exit(3))));
    assert_eq!(environment.start(&key, input).await.unwrap(), Started::Ended);
    assert_eq!(fs::read_to_string(host.path("builds/runs")).unwrap(), "run\n");
}

#[tokio::test]
async fn attempts_of_a_stage_are_different_stages() {
    let host = Host::new();
    let environment = host.job(1).await;
    for attempt in 1..=3 {
        let key = runner_core::executor::StageKey::new(1, "get_sources", attempt);
        assert_eq!(environment.start(&key, script(&format!("exit {attempt}"))).await.unwrap(), Started::New);
        assert_eq!(read_all(environment.follow(&key, 0)).await.1, StageEnd::Exit(attempt.into()));
    }
}

#[tokio::test]
async fn the_shell_is_a_login_shell_of_the_chosen_kind() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script("shopt -q login_shell && echo login; pwd")).await.unwrap();
    let (frames, _) = read_all(environment.follow(&stage(1), 0)).await;
    assert_eq!(text(&frames), format!("login\n{}\n", host.path("builds").display()));

    let host = Host::with(|config| config.shell = Shell::Sh);
    assert_eq!(host.provider.info().shell, "sh");
    let environment = host.job(1).await;
    environment.start(&stage(1), script("echo sh: $0")).await.unwrap();
    let (frames, end) = read_all(environment.follow(&stage(1), 0)).await;
    assert_eq!(end, StageEnd::Exit(0));
    assert!(text(&frames).starts_with("sh: /"), "{}", text(&frames));
}

#[tokio::test]
async fn only_a_login_shell_reads_the_profile() {
    for (shell, login) in [(Shell::Bash, true), (Shell::Bash, false), (Shell::Sh, true), (Shell::Sh, false)] {
        let host = Host::with(|config| {
            config.shell = shell;
            config.login = login;
        });
        // The home of stages.
        fs::write(host.path(".profile"), "said=' profile'").unwrap();
        let environment = host.job(1).await;
        environment.start(&stage(1), script("echo \"script${said-}\"")).await.unwrap();
        let (frames, end) = read_all(environment.follow(&stage(1), 0)).await;
        let expected = if login { "script profile\n" } else { "script\n" };
        assert_eq!((text(&frames).as_str(), end), (expected, StageEnd::Exit(0)), "{shell:?} {login}");
    }
}

#[tokio::test]
async fn secrets_reach_the_stage_and_leave_with_the_job() {
    let host = Host::new();
    let environment = host.job(1).await;
    let path = host.path("builds/p.tmp/KEY");
    let mut input = script("cat \"$KEY\"; echo \" $TOKEN\"");
    let secret = |key: &str, value: &str, file: Option<&Path>| SecretVariable {
        key: key.into(),
        value: value.to_owned().into(),
        file: file.map(|path| path.to_str().unwrap().to_owned()),
    };
    input.secrets.push(secret("KEY", path.to_str().unwrap(), None));
    input.secrets.push(secret("TOKEN", "s3cret-token", None));
    input.secrets.push(secret("KEY", "s3cret-file", Some(&path)));
    environment.start(&stage(1), input).await.unwrap();
    let (frames, _) = read_all(environment.follow(&stage(1), 0)).await;
    assert_eq!(text(&frames), "s3cret-file s3cret-token\n");
    assert!(path.exists(), "later stages may use it");
    for file in ["job.json", "secret-files"] {
        assert!(!fs::read_to_string(host.job_folder(1).join(file)).unwrap().contains("s3cret"));
    }
    let remains = environment.cleanup(CleanupReason::JobEnded, Duration::from_secs(30)).await.unwrap();
    assert_eq!(remains.items, Vec::<String>::new());
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stage_can_be_asked_to_end() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(1);
    environment
        .start(&key, script("trap 'echo asked; exit 5' TERM; sleep 600 & echo >$READY; wait"))
        .await
        .unwrap();
    host.ready().await;
    environment.stop(&key, Stop::Terminate { grace: Duration::from_secs(60) }).await.unwrap();
    let (frames, end) = read_all(environment.follow(&key, 0)).await;
    assert_eq!((text(&frames).as_str(), end), ("asked\n", StageEnd::Exit(5)));
}

#[tokio::test]
async fn a_stubborn_stage_is_killed_with_everything_that_escaped() {
    let host = Host::new();
    let environment = host.job(1).await;
    let stubborn = "trap '' TERM; setsid sleep 600 & echo >$READY; sleep 600";
    environment.start(&stage(1), script(stubborn)).await.unwrap();
    host.ready().await;
    environment.stop(&stage(1), Stop::Terminate { grace: Duration::from_millis(50) }).await.unwrap();
    assert_eq!(read_all(environment.follow(&stage(1), 0)).await.1, StageEnd::Signal(9));
    environment.start(&stage(2), script(stubborn)).await.unwrap();
    host.ready().await;
    environment.stop(&stage(2), Stop::Kill).await.unwrap();
    assert_eq!(read_all(environment.follow(&stage(2), 0)).await.1, StageEnd::Signal(9));
    assert!(host.processes().is_empty());
}

#[tokio::test]
async fn stopping_what_does_not_run_is_success() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.stop(&stage(1), Stop::Kill).await.unwrap();
    environment.start(&stage(1), script("exit 1")).await.unwrap();
    read_all(environment.follow(&stage(1), 0)).await;
    environment.stop(&stage(1), Stop::Terminate { grace: Duration::ZERO }).await.unwrap();
    assert!(matches!(environment.status(&stage(1)).await.unwrap(), StageStatus::Ended(StageEnd::Exit(1))));
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_is_finished() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(1);
    {
        let start = environment.start(&key, script("echo once; exit 2"));
        let mut start = std::pin::pin!(start);
        assert!(futures_util::poll!(start.as_mut()).is_pending());
    }
    // Starting again waits for the first one, and finds it.
    assert_ne!(environment.start(&key, script("echo twice")).await.unwrap(), Started::New);
    let (frames, end) = read_all(environment.follow(&key, 0)).await;
    assert_eq!((text(&frames).as_str(), end), ("once\n", StageEnd::Exit(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preparation_that_nobody_waits_for_is_in_nobodys_way() {
    let host = Host::new();
    for id in 1..=100 {
        let reservation = host.provider.acquire().await.unwrap();
        let environment = host.provider.environment(&reservation, &context(id)).unwrap();
        {
            let mut first = std::pin::pin!(prepare(environment.as_ref()));
            // What it began goes on in another thread.
            let _ = futures_util::poll!(first.as_mut());
        }
        prepare(environment.as_ref()).await.unwrap();
        environment.cleanup(CleanupReason::JobEnded, Duration::from_secs(30)).await.unwrap();
    }
}

#[tokio::test]
async fn a_supervisor_that_ended_is_no_zombie() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script("true")).await.unwrap();
    let process = format!("/proc/{}", host.supervisor(1, &stage(1)));
    read_all(environment.follow(&stage(1), 0)).await;
    let gone = async {
        while Path::new(&process).exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("reaped");
}

#[tokio::test]
async fn a_shell_that_cannot_start_makes_the_stage_lost() {
    let host = Host::new();
    let environment = host.job(1).await;
    fs::remove_dir(host.path("builds")).unwrap();
    assert_eq!(environment.start(&stage(1), script("true")).await.unwrap(), Started::Ended);
    let expected = format!(
        "stage step_script has no result: cannot start bash in {}: no such folder",
        host.path("builds").display()
    );
    assert_eq!(broken(environment.follow(&stage(1), 0)).await, expected);
    let StageStatus::Lost(error) = environment.status(&stage(1)).await.unwrap() else { panic!("lost") };
    assert_eq!(error.to_string(), expected);
    assert!(!error.is_retriable());
}

#[tokio::test]
async fn a_helper_that_is_none_is_named() {
    for (helper, expected) in [
        (
            "/no/such/helper",
            "cannot start the supervisor /no/such/helper: No such file or directory (os error 2)",
        ),
        ("/bin/false", "cannot use the supervisor /bin/false: it ended with exit status: 1: "),
        ("/bin/true", "cannot start stage step_script: the helper did nothing: /bin/true"),
    ] {
        let host = Host::with(|config| config.helper = vec![helper.to_owned()]);
        let environment = host.job(1).await;
        let error = environment.start(&stage(1), script("echo s3cret")).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(matches!(environment.status(&stage(1)).await.unwrap(), StageStatus::NotStarted));
        assert!(!host.stage_folder(1, &stage(1)).join("script").exists());
        assert!(!host.stage_folder(1, &stage(1)).join("spec.json").exists());
    }
}

#[tokio::test]
async fn paths_and_names_that_cannot_work_are_refused_before_anything_is_made() {
    let host = Host::with(|config| config.builds_dir = "builds".into());
    let reservation = host.provider.acquire().await.unwrap();
    let error = host.provider.environment(&reservation, &context(1)).unwrap_err();
    assert_eq!(error.to_string(), "cannot use builds: the path is not absolute");

    let host = Host::new();
    let mut job = context(1);
    job.key.runner = "../x".into();
    let error = host.provider.environment(&reservation, &job).unwrap_err();
    assert_eq!((error.cause(), error.is_retriable()), (Cause::Configuration, false));
}

#[tokio::test]
async fn a_builds_folder_that_cannot_be_made_is_said_with_a_hint() {
    let host = Host::with(|config| config.builds_dir = "/proc/no/builds".into());
    let reservation = host.provider.acquire().await.unwrap();
    let environment = host.provider.environment(&reservation, &context(1)).unwrap();
    let error = prepare(environment.as_ref()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot make /proc/no/builds: "), "{error}");
}
