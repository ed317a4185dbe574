//! Files of version 1, kept as they were written. A change that makes these tests fail is a change of the format.

use std::time::{Duration, SystemTime};

use runner_frames::{Decoder, Encoder, End, FILE_HEADER, Status, StopKind, Stream};

const OUTPUT: &[u8] = include_bytes!("fixtures/output-v1.golden");
const STATUS: &[u8] = include_bytes!("fixtures/status-v1.golden");

fn at(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

fn output() -> [(Stream, u64, &'static [u8]); 4] {
    [
        (Stream::Stdout, 1_700_000_000_000_001, b"first line\n"),
        (Stream::Stderr, 1_700_000_000_250_000, b"\x1b[31mwarning\x1b[0m\r"),
        (Stream::Stdout, 1_700_000_000_249_999, &[0, 255, 10, 13, 128]),
        (Stream::Stdout, 1_700_000_001_000_000, b"no line end"),
    ]
}

fn status() -> Status {
    let mut status = Status::new(End::Signal(9), at(1_700_000_000_000_000), at(1_700_000_012_345_678));
    status.stop = Some(StopKind::Terminate);
    status.output = OUTPUT.len() as u64;
    status.left = 1;
    status
}

#[test]
fn output_of_version_1_is_read() {
    let mut decoder = Decoder::new(0);
    decoder.push(OUTPUT);
    let mut ends = Vec::new();
    for (stream, time, payload) in output() {
        let frame = decoder.next_frame().unwrap().unwrap();
        assert_eq!((frame.stream, frame.time, frame.payload), (stream, at(time), payload));
        ends.push(frame.end);
    }
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(ends, [35, 68, 89, 116]);
}

#[test]
fn output_of_version_1_is_still_written_so() {
    let mut file = FILE_HEADER.to_vec();
    let mut encoder = Encoder::new();
    for (stream, time, payload) in output() {
        encoder.encode(stream, at(time), payload, &mut file);
    }
    assert_eq!(file, OUTPUT);
}

#[test]
fn status_of_version_1_is_read_and_still_written_so() {
    assert_eq!(Status::parse(STATUS), Ok(status()));
    assert_eq!(status().to_text().as_bytes(), STATUS);
}
