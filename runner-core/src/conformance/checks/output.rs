//! What a script prints.

use super::super::bench::{Bench, Outcome, WAIT, ensure, gate, show, stage};
use crate::executor::{StageEnd, Stop};

pub(super) async fn output_keeps_its_order(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let script = "i=0\nwhile [ $i -lt 200 ]; do echo \"out $i\"; echo \"err $i\" >&2; i=$((i+1)); done\n";
    let printed = job.run(&stage(1), script).await?;
    let lines = |name: &str| (0..200).map(|i| format!("{name} {i}\n")).collect::<String>();
    printed.expect(&lines("out"))?;
    let stderr = printed.stderr();
    ensure!(stderr == lines("err").as_bytes(), "standard error has {}", show(&stderr));
    job.finish().await
}

pub(super) async fn frames_leave_no_gap(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let script = "echo one\necho two >&2\nhead -c 300000 /dev/zero\necho three\n";
    let printed = job.run(&stage(1), script).await?;
    ensure!(printed.end.is_success(), "ended with {} instead of exit code 0", printed.end);
    ensure!(!printed.frames.is_empty(), "nothing was printed");
    let mut offset = 0;
    for frame in &printed.frames {
        ensure!(frame.offset == offset, "a frame begins at {} where {offset} is next", frame.offset);
        ensure!(frame.end > frame.offset, "a frame at {} ends at {}", frame.offset, frame.end);
        ensure!(!frame.bytes.is_empty(), "the frame at {} has no bytes", frame.offset);
        offset = frame.end;
    }
    job.finish().await
}

pub(super) async fn bytes_are_verbatim(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\r\x1b[31m\x1b[0K \xff\xfe\xc3\x28 \xe2\x82").collect();
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    // A per cent sign has to be doubled in a format, also when it is written as a number.
    let script = format!("printf '{}'\n", octal.replace("\\045", "%%"));
    let printed = job.run(&stage(1), script).await?;
    let stdout = printed.stdout();
    let differs = stdout.iter().zip(&bytes).position(|(left, right)| left != right);
    ensure!(
        stdout == bytes,
        "{} bytes came instead of {}; the first that differs is number {:?}",
        stdout.len(),
        bytes.len(),
        differs
    );
    job.finish().await
}

pub(super) async fn an_unfinished_last_line_arrives(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    job.run(&stage(1), "echo first\nprintf last").await?.expect("first\nlast")?;
    job.finish().await
}

pub(super) async fn a_prompt_arrives_while_the_stage_waits(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let script = format!("printf 'continue? '\n{}", WAIT.replace("echo ready\n", ""));
    let mut reading = job.begin(&key, script).await?;
    reading.until("continue? ").await?;
    job.stop(&key, Stop::Kill).await?;
    reading.end().await?;
    job.finish().await
}

pub(super) async fn silence_is_no_end(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    // The pause is what is tested: something has to go on waiting for longer than a moment.
    job.run(&stage(1), "echo before\nsleep 1\necho after\n").await?.expect("before\nafter\n")?;
    job.run(&stage(2), "sleep 0.3\n").await?.expect("")?;
    job.finish().await
}

pub(super) async fn large_output_arrives_whole(bench: &Bench) -> Outcome {
    const LINE: &[u8] = b"0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmno\n";
    let (job, _) = bench.job().await?;
    let size = bench.options.large_output;
    let line = String::from_utf8_lossy(LINE);
    let script = format!("yes '{}' | head -c {size}\n", line.trim_end());
    let mut reading = job.begin(&stage(1), script).await?;
    let mut count = 0;
    let end = loop {
        match reading.frame().await? {
            Ok(frame) => {
                let same = continues(LINE, count, &frame.bytes);
                ensure!(same, "the output differs from what was printed behind byte {count}");
                count += frame.bytes.len() as u64;
                reading.frames.clear();
            }
            Err(end) => break end,
        }
    };
    ensure!(count == size, "{count} bytes came instead of {size}");
    ensure!(end == StageEnd::Exit(0), "ended with {end} instead of exit code 0");
    job.finish().await
}

pub(super) async fn standard_input_is_empty(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    // The last command: where scripts come by standard input, nothing of it is left.
    job.run(&stage(1), "echo before\ncat").await?.expect("before\n")?;
    job.finish().await
}

pub(super) async fn background_processes_do_not_hold_the_stage(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    job.run(&stage(1), "sleep 3600 &\necho over\n").await?.expect("over\n")?;
    job.finish().await
}

pub(super) async fn nothing_printed_is_taken_for_a_status(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let lies = "{\"command_exit_code\": 0, \"script\": \"/scripts/step_script\"}\nexit status 0\nJob succeeded\nrunner-stage-status 1\nend exit 0\n";
    let printed = job.run(&stage(1), format!("cat <<'LIES'\n{lies}LIES\nexit 1\n")).await?;
    ensure!(printed.end == StageEnd::Exit(1), "ended with {} instead of exit code 1", printed.end);
    let stdout = printed.stdout();
    ensure!(stdout == lies.as_bytes(), "printed {}", show(&stdout));
    job.finish().await
}

pub(super) async fn output_after_a_request_to_end_arrives(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, format!("{}echo late\n", gate())).await?;
    reading.until("ready\n").await?;
    job.open_gate(&key).await?;
    reading.end().await?.expect("ready\nlate\n")?;
    job.finish().await
}

/// Whether bytes are what comes behind so many of a line that is repeated.
fn continues(line: &[u8], count: u64, mut bytes: &[u8]) -> bool {
    let length = line.len() as u64;
    // Less than the length of the line.
    let mut rest = line.get(usize::try_from(count % length).unwrap_or_default()..).unwrap_or_default();
    while !bytes.is_empty() {
        let (piece, behind) = bytes.split_at(rest.len().min(bytes.len()));
        if !rest.starts_with(piece) {
            return false;
        }
        (bytes, rest) = (behind, line);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::continues;

    #[test]
    fn a_repeated_line_is_recognised_from_anywhere() {
        assert!(continues(b"abc\n", 0, b"abc\nabc\nab"));
        assert!(continues(b"abc\n", 6, b"c\nabc"));
        assert!(!continues(b"abc\n", 6, b"c\nabd"));
        assert!(!continues(b"abc\n", 5, b"c"));
        assert!(continues(b"abc\n", 5, b""));
    }
}
