//! The status record and the requests: there and back, and everything that is not one.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use runner_frames::{End, InvalidRequest, Request, Status, StatusError, StopKind};

fn at(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<i32>().prop_map(End::Exit),
        any::<i32>().prop_map(End::Signal),
        "[^\\p{C}]{0,60}".prop_map(End::Fault)
    ]
}

prop_compose! {
    fn status()(end in end(), stop in prop_oneof![Just(None), Just(Some(StopKind::Terminate)), Just(Some(StopKind::Kill))],
                started in any::<u64>(), ended in any::<u64>(), output in any::<u64>(), left in any::<u32>()) -> Status {
        let mut status = Status::new(end, at(started), at(ended));
        status.stop = stop;
        status.output = output;
        status.left = left;
        status
    }
}

proptest! {
    #[test]
    fn a_record_comes_back(status in status()) {
        prop_assert_eq!(Status::parse(status.to_text().as_bytes()), Ok(status));
    }

    #[test]
    fn a_cut_record_is_never_taken_for_a_whole_one(status in status(), cut in any::<prop::sample::Index>()) {
        let text = status.to_text();
        prop_assert!(Status::parse(&text.as_bytes()[..cut.index(text.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_taken_without_panicking(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,100}") {
        let _ = Status::parse(&bytes);
        let _ = Status::parse(format!("runner-stage-status 1\n{text}\ndone\n").as_bytes());
        let _ = text.parse::<Request>();
    }

    #[test]
    fn a_request_comes_back(millis in any::<u64>()) {
        let request = Request::Terminate { grace: Duration::from_millis(millis) };
        prop_assert_eq!(request.to_string().parse(), Ok(request));
    }
}

#[test]
fn unknown_lines_are_skipped_and_unknown_versions_left_alone() {
    let text = "runner-stage-status 1\nend exit 0\ncolour blue\nstarted 1\nended 2\noutput 3\nfuture\ndone\n";
    let mut expected = Status::new(End::Exit(0), at(1), at(2));
    expected.output = 3;
    assert_eq!(Status::parse(text.as_bytes()), Ok(expected));
    assert_eq!(
        Status::parse(b"runner-stage-status 2\n{}"),
        Err(StatusError::UnsupportedVersion { version: 2 })
    );
    assert_eq!(Status::parse(b"hello"), Err(StatusError::NotStatus));
}

#[test]
fn missing_double_and_senseless_lines_are_named() {
    let parse = |body: &str| Status::parse(format!("runner-stage-status 1\n{body}done\n").as_bytes());
    let invalid = |key| Err(StatusError::Invalid { key });
    assert_eq!(parse("started 1\nended 2\noutput 3\n"), invalid("end"));
    assert_eq!(parse("end exit 0\nstarted 1\noutput 3\n"), invalid("ended"));
    assert_eq!(parse("end exit 0\nend exit 1\nstarted 1\nended 2\noutput 3\n"), invalid("end"));
    assert_eq!(parse("end exit zero\n"), invalid("end"));
    assert_eq!(parse("stop maybe\n"), invalid("stop"));
    assert_eq!(parse("output -1\n"), invalid("output"));
}

#[test]
fn the_text_of_a_fault_cannot_add_lines_or_grow() {
    let fault = format!("disk full\nend exit 0\n{}", "ü".repeat(2000));
    let status = Status::new(End::Fault(fault), at(1), at(2));
    let End::Fault(text) = Status::parse(status.to_text().as_bytes()).unwrap().end else {
        panic!("a fault stays a fault")
    };
    assert!(text.starts_with("disk full end exit 0 üü"));
    assert!(text.len() <= 1024);
}

#[test]
fn other_lines_are_no_requests() {
    for line in ["", "kill 9", "terminate", "terminate -1", "terminate 1 2", "KILL", "terminate 1s", "stop"] {
        assert_eq!(line.parse::<Request>(), Err(InvalidRequest), "{line:?}");
    }
}
