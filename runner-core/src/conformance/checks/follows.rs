//! Following a stage's output.

use futures_util::StreamExt as _;

use super::super::bench::{Bench, Outcome, ensure, failed, gate, show, stage};
use crate::executor::{FollowEvent, OutputFrame, StageEnd};

const LINES: &str = "i=0\nwhile [ $i -lt 40 ]; do echo \"line $i\"; echo \"odd $i\" >&2; i=$((i+1)); done\nhead -c 200000 /dev/zero\n";

pub(super) async fn output_is_replayed_from_every_offset(bench: &Bench) -> Outcome {
    super::replay(bench).await?;
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let all = job.run(&key, LINES).await?;
    let frames = &all.frames;
    for from in 0..=frames.len() {
        let offset = from.checked_sub(1).map_or(0, |index| frames[index].end);
        let again = job.read(&key, offset).end().await?;
        ensure!(again.end == all.end, "from offset {offset} the stage ended with {}", again.end);
        ensure!(same(&again.frames, &frames[from..]), "from offset {offset} the output differs");
    }
    job.finish().await
}

pub(super) async fn two_followers_see_the_same(bench: &Bench) -> Outcome {
    super::replay(bench).await?;
    let (job, _) = bench.job().await?;
    let key = stage(1);
    job.start(&key, format!("{}echo after\n", gate())).await?;
    let (mut one, mut two) = (job.read(&key, 0), job.read(&key, 0));
    one.until("ready\n").await?;
    two.until("ready\n").await?;
    job.open_gate(&key).await?;
    let (one, two) = tokio::join!(one.end(), two.end());
    let (one, two) = (one?, two?);
    one.expect("ready\nafter\n")?;
    two.expect("ready\nafter\n")?;
    job.finish().await
}

pub(super) async fn a_dropped_stream_loses_nothing(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    job.start(&key, LINES).await?;
    let mut frames: Vec<OutputFrame> = Vec::new();
    let end = loop {
        // One frame of each stream, as if every one broke.
        let mut reading = job.read(&key, frames.last().map_or(0, |frame| frame.end));
        match reading.frame().await? {
            Ok(frame) => frames.push(frame),
            Err(end) => break end,
        }
    };
    let mut offset = 0;
    for frame in &frames {
        ensure!(frame.offset == offset, "a frame begins at {} where {offset} is next", frame.offset);
        offset = frame.end;
    }
    let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    let lines: usize = (0..40).map(|i| format!("line {i}\nodd {i}\n").len()).sum();
    ensure!(bytes == lines + 200_000, "{bytes} bytes came instead of {}", lines + 200_000);
    ensure!(end == StageEnd::Exit(0), "ended with {end} instead of exit code 0");
    job.finish().await
}

pub(super) async fn the_end_is_told_again(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let printed = job.run(&key, "echo text\nexit 4\n").await?;
    let offset = printed.frames.last().map_or(0, |frame| frame.end);
    for _ in 0..2 {
        let again = job.read(&key, offset).end().await?;
        ensure!(again.frames.is_empty(), "behind the last frame there is {:?}", again.frames);
        ensure!(again.end == printed.end, "ended with {}, then with {}", printed.end, again.end);
    }
    job.finish().await
}

pub(super) async fn what_was_not_started_cannot_be_followed(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    bench.doing_now("following a stage that was not started");
    let mut stream = job.environment.follow(&stage(9), 0);
    match stream.next().await {
        Some(FollowEvent::Broken(_)) => {}
        other => return failed(format!("following a stage that was not started gave {other:?}")),
    }
    ensure!(stream.next().await.is_none(), "something came after the stream broke");
    // It is no obstacle for what comes later.
    job.run(&stage(9), "echo now\n").await?.expect("now\n")?;
    job.finish().await
}

pub(super) async fn a_slow_reader_gets_everything(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut slow = job.begin(&key, "head -c 3000000 /dev/zero\necho end\n").await?;
    let mut bytes = 0;
    let mut tail = Vec::new();
    loop {
        // Everybody else goes first, every time.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        match slow.frame().await? {
            Ok(frame) => {
                bytes += frame.bytes.len();
                tail = frame.bytes.to_vec();
                slow.frames.clear();
            }
            Err(end) => {
                ensure!(end == StageEnd::Exit(0), "ended with {end} instead of exit code 0");
                break;
            }
        }
    }
    ensure!(bytes == 3_000_004, "{bytes} bytes came instead of 3000004");
    ensure!(tail.ends_with(b"end\n"), "the output ends with {}", show(&tail));
    job.finish().await
}

/// Frames may be cut differently when they are read again; their bytes and times may not differ.
fn same(left: &[OutputFrame], right: &[OutputFrame]) -> bool {
    let flat = |frames: &[OutputFrame]| -> Vec<(bool, u8)> {
        let bytes = |frame: &OutputFrame| {
            let stdout = frame.stream == crate::executor::OutputStream::Stdout;
            frame.bytes.iter().map(|&byte| (stdout, byte)).collect::<Vec<_>>()
        };
        frames.iter().flat_map(bytes).collect()
    };
    flat(left) == flat(right)
}
