//! Reading what a stage prints.

use std::fs;
use std::time::Duration;

use runner_core::executor::{OutputStream, StageEnd, StageStatus, Stop};

use crate::host::{Host, broken, next_frame, read_all, script, stage, text};

#[tokio::test]
async fn frames_come_while_the_stage_runs() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment
        .start(&stage(1), script("printf 'no line end'; read -r go <$GO; echo err >&2; exit 4"))
        .await
        .unwrap();
    let mut stream = environment.follow(&stage(1), 0);
    let frame = next_frame(&mut stream).await;
    assert_eq!(
        (frame.offset, frame.stream, &frame.bytes[..]),
        (0, OutputStream::Stdout, &b"no line end"[..])
    );
    host.let_go().await;
    let (frames, end) = read_all(stream).await;
    assert_eq!((frames.len(), frames[0].offset, frames[0].stream), (1, frame.end, OutputStream::Stderr));
    assert_eq!(end, StageEnd::Exit(4));
}

#[tokio::test]
async fn following_can_begin_at_every_offset() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(1);
    environment
        .start(
            &key,
            script("for i in $(seq 30); do echo line $i; echo odd $i >&2; done; head -c 200000 /dev/zero"),
        )
        .await
        .unwrap();
    let (frames, end) = read_all(environment.follow(&key, 0)).await;
    assert!(frames.len() > 4, "{}", frames.len());
    let mut offset = 0;
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(frame.offset, offset, "frames cover the file");
        offset = frame.end;
        let (rest, same_end) = read_all(environment.follow(&key, offset)).await;
        assert_eq!(rest, frames[index + 1..]);
        assert_eq!(same_end, end);
    }
}

#[tokio::test]
async fn readers_can_leave_and_come_back_and_be_many() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(1);
    environment
        .start(&key, script("for i in $(seq 5); do echo $i; echo >$READY; read -r go <$GO; done"))
        .await
        .unwrap();
    let mut offset = 0;
    let mut seen = String::new();
    let all = tokio::spawn(read_all(environment.follow(&key, 0)));
    for _ in 0..5 {
        host.ready().await;
        let frame = next_frame(&mut environment.follow(&key, offset)).await;
        assert_eq!(frame.offset, offset);
        offset = frame.end;
        seen.push_str(&String::from_utf8_lossy(&frame.bytes));
        host.let_go().await;
    }
    assert_eq!(seen, "1\n2\n3\n4\n5\n");
    let (frames, end) = all.await.unwrap();
    assert_eq!((text(&frames), end), (seen, StageEnd::Exit(0)));
}

#[tokio::test]
async fn a_big_output_is_read_as_it_was_printed() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script("seq 2000000; exit 1")).await.unwrap();
    let (frames, end) = read_all(environment.follow(&stage(1), 0)).await;
    let expected: String = (1..=2_000_000).map(|i| format!("{i}\n")).collect();
    assert!(text(&frames) == expected);
    assert_eq!(end, StageEnd::Exit(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_are_followed_with_one_watch() {
    let host = Host::new();
    let watches_before = inotify_instances();
    let mut readers = Vec::new();
    for job in 1..=20 {
        let environment = host.job(job).await;
        environment
            .start(&stage(1), script(&format!("sleep 0.1; echo job {job}; exit {job}")))
            .await
            .unwrap();
        let stream = environment.follow(&stage(1), 0);
        readers.push(tokio::spawn(async move { (job, read_all(stream).await, environment) }));
    }
    for reader in readers {
        let (job, (frames, end), _environment) = reader.await.unwrap();
        assert_eq!(
            (text(&frames), end),
            (format!("job {job}\n"), StageEnd::Exit(i32::try_from(job).unwrap()))
        );
    }
    // Other tests of this process have a few of their own.
    assert!(inotify_instances() < watches_before + 18);
}

fn inotify_instances() -> usize {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy() == "anon_inode:inotify").count()
}

#[tokio::test]
async fn a_stage_that_was_not_started_breaks_the_stream() {
    let host = Host::new();
    let environment = host.job(1).await;
    assert_eq!(
        broken(environment.follow(&stage(9), 0)).await,
        "cannot follow stage step_script: it was not started"
    );
    assert!(matches!(environment.status(&stage(9)).await.unwrap(), StageStatus::NotStarted));
}

#[tokio::test]
async fn a_supervisor_that_dies_breaks_the_stream_and_loses_the_stage() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(1);
    environment.start(&key, script("echo begun; echo >$READY; sleep 600")).await.unwrap();
    let mut stream = environment.follow(&key, 0);
    assert_eq!(&next_frame(&mut stream).await.bytes[..], b"begun\n");
    host.ready().await;
    host.kill_supervisor(1, &key);
    let expected = "stage step_script has no result: its supervisor died";
    assert_eq!(broken(stream).await, expected);
    let StageStatus::Lost(error) = environment.status(&key).await.unwrap() else { panic!("lost") };
    assert_eq!(error.to_string(), expected);
    assert_eq!(environment.start(&key, script("echo again")).await.unwrap_err().to_string(), expected);
    assert!(!host.processes().is_empty(), "its processes are nobody's now");
    environment.stop(&key, Stop::Terminate { grace: Duration::from_secs(60) }).await.unwrap();
    assert!(host.processes().is_empty());
}

#[tokio::test]
async fn an_offset_that_is_no_border_loses_the_stage_instead_of_sending_garbage() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment
        .start(&stage(1), script("echo some text that is long enough to hold a header"))
        .await
        .unwrap();
    read_all(environment.follow(&stage(1), 0)).await;
    let error = broken(environment.follow(&stage(1), 30)).await;
    assert!(
        error.starts_with("stage step_script has no result: no frame at byte 30 of the output file"),
        "{error}"
    );
    assert!(matches!(environment.status(&stage(1)).await.unwrap(), StageStatus::Lost(_)));
}

#[tokio::test]
async fn an_output_that_is_too_short_for_its_status_is_no_success() {
    let host = Host::new();
    let environment = host.job(1).await;
    let key = stage(1);
    environment.start(&key, script("echo one; echo >$READY; read -r go <$GO; echo two")).await.unwrap();
    host.ready().await;
    let mut stream = environment.follow(&key, 0);
    let first = next_frame(&mut stream).await;
    host.let_go().await;
    read_all(stream).await;
    let output = host.stage_folder(1, &key).join("output");
    fs::File::options().write(true).open(&output).unwrap().set_len(first.end).unwrap();
    let error = broken(environment.follow(&key, 0)).await;
    assert!(error.contains("its output ends at"), "{error}");
}

#[tokio::test]
async fn a_status_of_a_later_version_is_left_alone() {
    let host = Host::new();
    let environment = host.job(1).await;
    environment.start(&stage(1), script("true")).await.unwrap();
    read_all(environment.follow(&stage(1), 0)).await;
    let path = host.stage_folder(1, &stage(1)).join("status");
    fs::write(&path, "runner-stage-status 2\nfuture\n").unwrap();
    let StageStatus::Lost(error) = environment.status(&stage(1)).await.unwrap() else { panic!("lost") };
    assert!(
        error.to_string().contains("status record of version 2; this program reads version 1"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "runner-stage-status 2\nfuture\n");
}
