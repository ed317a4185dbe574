//! What arrives in the output file.

use std::fs;
use std::time::{Duration, SystemTime};

use runner_frames::{Decoder, End, Stream, folder};

use crate::stage::{Piece, Stage};

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn both_streams_are_kept_apart_and_in_order() {
    let stage = Stage::new(
        "echo one; echo >$READY; read -r go <$GO; echo two >&2; echo >$READY; read -r go <$GO; echo three",
    );
    let supervisor = stage.start();
    for expected in 1..=2 {
        stage.wait_ready();
        stage.wait_until(|stage| stage.pieces().len() == expected);
        stage.let_go();
    }
    supervisor.wait();
    let piece = |stream, text: &str| Piece { stream, payload: text.into() };
    assert_eq!(
        stage.pieces(),
        [piece(Stream::Stdout, "one\n"), piece(Stream::Stderr, "two\n"), piece(Stream::Stdout, "three\n")]
    );
}

#[test]
fn text_without_a_line_end_is_there_at_once() {
    let stage = Stage::new("printf 'half a li'; read -r go <$GO; printf 'ne'");
    let supervisor = stage.start();
    stage.wait_until(|stage| stage.stdout() == "half a li");
    assert_eq!(stage.find_status(), None);
    stage.let_go();
    supervisor.wait();
    assert_eq!(stage.stdout(), "half a line");
}

#[test]
fn frames_carry_the_time_of_printing() {
    let before = SystemTime::now();
    let stage = Stage::new("echo x");
    let status = stage.run();
    let bytes = fs::read(stage.dir.join(folder::OUTPUT)).unwrap();
    let mut decoder = Decoder::new(0);
    decoder.push(&bytes);
    let time = decoder.next_frame().unwrap().unwrap().time;
    let micro = Duration::from_micros(1);
    assert!(before - micro <= time && time <= status.ended + micro, "{before:?} {time:?} {status:?}");
}

#[test]
fn any_bytes_are_kept() {
    let stage = Stage::new("cat binary; cat binary >&2");
    let bytes = noise(300_001);
    fs::write(stage.beside("binary"), &bytes).unwrap();
    assert_eq!(stage.run().end, End::Exit(0));
    assert!(stage.printed(Stream::Stdout) == bytes);
    assert!(stage.printed(Stream::Stderr) == bytes);
}

#[test]
fn a_big_output_is_kept_byte_for_byte() {
    let stage = Stage::new("cat big");
    let bytes = noise(64 << 20);
    fs::write(stage.beside("big"), &bytes).unwrap();
    assert_eq!(stage.run().end, End::Exit(0));
    assert!(stage.printed(Stream::Stdout) == bytes);
}

#[test]
fn what_was_printed_before_the_end_is_kept_even_by_children() {
    let stage =
        Stage::new("for i in $(seq 50); do (seq 1000) & done; wait; seq 20000; seq 20000 >&2; exit 1");
    assert_eq!(stage.run().end, End::Exit(1));
    let lines = |stream| stage.printed(stream).iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!((lines(Stream::Stdout), lines(Stream::Stderr)), (50 * 1000 + 20_000, 20_000));
}

#[test]
fn a_closed_output_is_no_end() {
    let stage = Stage::new("exec >&- 2>&-; echo up >$READY; read -r go <$GO; exit 8");
    let supervisor = stage.start();
    stage.wait_ready();
    stage.let_go();
    supervisor.wait();
    let status = stage.status();
    assert_eq!((status.end, status.output), (End::Exit(8), 0));
}

#[test]
fn nothing_printed_can_be_taken_for_a_frame_or_a_status() {
    let stage = Stage::new("cat fake; cat fake2; exit 3");
    let earlier = Stage::new("echo inner");
    earlier.run();
    let output = fs::read(earlier.dir.join(folder::OUTPUT)).unwrap();
    let status = fs::read(earlier.dir.join(folder::STATUS)).unwrap();
    fs::write(stage.beside("fake"), &output).unwrap();
    fs::write(stage.beside("fake2"), &status).unwrap();
    assert_eq!(stage.run().end, End::Exit(3));
    assert_eq!(stage.printed(Stream::Stdout), [output, status].concat());
}
