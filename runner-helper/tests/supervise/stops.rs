//! Being asked to end.

use runner_frames::{End, Request, StopKind};
use rustix::process::Signal;

use crate::stage::Stage;

/// Ignores SIGTERM, and so does everything that it starts.
const STUBBORN: &str = "trap '' TERM; echo up >$READY; sleep 600";

#[test]
fn a_script_can_end_itself_within_the_grace() {
    let stage = Stage::new("trap 'echo asked; exit 5' TERM; sleep 600 & echo up >$READY; wait");
    let supervisor = stage.start();
    stage.wait_ready();
    stage.terminate(60_000);
    assert_eq!(supervisor.wait(), 0);
    let status = stage.status();
    assert_eq!((status.end, status.stop), (End::Exit(5), Some(StopKind::Terminate)));
    assert_eq!(stage.stdout(), "asked\n");
}

#[test]
fn one_that_ignores_it_is_killed_after_the_grace() {
    let stage = Stage::new(STUBBORN);
    let supervisor = stage.start();
    stage.wait_ready();
    stage.terminate(100);
    assert_eq!(supervisor.wait(), 0);
    let status = stage.status();
    assert_eq!((status.end, status.stop), (End::Signal(9), Some(StopKind::Terminate)));
}

#[test]
fn kill_is_at_once() {
    let stage = Stage::new(STUBBORN);
    let supervisor = stage.start();
    stage.wait_ready();
    stage.request(Request::Kill);
    assert_eq!(supervisor.wait(), 0);
    let status = stage.status();
    assert_eq!((status.end, status.stop), (End::Signal(9), Some(StopKind::Kill)));
}

#[test]
fn a_second_request_shortens_the_grace() {
    let stage = Stage::new(STUBBORN);
    let supervisor = stage.start();
    stage.wait_ready();
    stage.terminate(600_000);
    stage.write_control("terminate 50\nterminate 600000\n");
    assert_eq!(supervisor.wait(), 0);
    assert_eq!(stage.status().stop, Some(StopKind::Terminate));
}

#[test]
fn escaped_children_get_the_signal_and_the_grace_too() {
    let script = r#"setsid bash -c 'trap "echo child asked; exit" TERM; echo up >$READY; while :; do sleep 0.01; done' & wait"#;
    let stage = Stage::new(script);
    let supervisor = stage.start();
    stage.wait_ready();
    stage.terminate(60_000);
    assert_eq!(supervisor.wait(), 0);
    assert_eq!(stage.status().end, End::Signal(15));
    assert_eq!(stage.stdout(), "child asked\n");
}

#[test]
fn escaped_children_that_ignore_it_are_killed() {
    let script =
        r#"(setsid bash -c 'trap "" TERM; echo up >$READY; while :; do sleep 600; done' &) ; sleep 600"#;
    let stage = Stage::new(script);
    let supervisor = stage.start();
    stage.wait_ready();
    stage.terminate(100);
    assert_eq!(supervisor.wait(), 0);
    assert_eq!(stage.status().end, End::Signal(15));
    assert!(stage.processes().is_empty());
}

#[test]
fn it_can_be_stopped_before_it_printed_anything() {
    let stage = Stage::new("sleep 600; echo never");
    let supervisor = stage.start();
    stage.terminate(60_000);
    assert_eq!(supervisor.wait(), 0);
    let status = stage.status();
    assert_eq!((status.end, status.stop), (End::Signal(15), Some(StopKind::Terminate)));
    assert_eq!(status.output, 0);
    assert!(stage.pieces().is_empty());
}

#[test]
fn sigterm_to_the_supervisor_stops_with_the_default_grace() {
    let mut stage = Stage::new(STUBBORN);
    stage.spec.default_grace_ms = 100;
    let supervisor = stage.start();
    stage.wait_ready();
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.wait(), 0);
    let status = stage.status();
    assert_eq!((status.end, status.stop), (End::Signal(9), Some(StopKind::Terminate)));
}

#[test]
fn interrupts_and_hangups_do_not_reach_the_job() {
    let stage = Stage::new("echo up >$READY; read -r go <$GO; echo done");
    let supervisor = stage.start();
    stage.wait_ready();
    supervisor.signal(Signal::HUP);
    supervisor.signal(Signal::INT);
    stage.let_go();
    assert_eq!(supervisor.wait(), 0);
    assert_eq!((stage.status().end, stage.status().stop), (End::Exit(0), None));
    assert_eq!(stage.stdout(), "done\n");
}

#[test]
fn the_job_gets_signals_as_every_program_does() {
    // Nothing that the supervisor does about signals is inherited.
    let stage = Stage::new("grep -E '^Sig(Ign|Blk)' /proc/self/status");
    stage.run();
    let ours = [1, 2, 13, 15, 17, 25].iter().map(|signal| 1_u64 << (signal - 1)).sum::<u64>();
    for line in stage.stdout().lines() {
        let (_, mask) = line.split_once('\t').unwrap();
        assert_eq!(u64::from_str_radix(mask, 16).unwrap() & ours, 0, "{line}");
    }
    assert_eq!(stage.stdout().lines().count(), 2);
}

#[test]
fn other_lines_are_noted_and_do_no_harm() {
    let stage = Stage::new("echo up >$READY; read -r go <$GO; exit 6");
    let supervisor = stage.start();
    stage.wait_ready();
    stage.write_control("explode\n");
    stage.write_control(&format!("{}\n", "kill ".repeat(90)));
    stage.write_control("kill");
    stage.let_go();
    assert_eq!(supervisor.wait(), 0);
    assert_eq!((stage.status().end, stage.status().stop), (End::Exit(6), None));
    assert!(stage.log().contains("not a request: \"explode\""), "{}", stage.log());
}
