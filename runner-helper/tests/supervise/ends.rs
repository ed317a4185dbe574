//! How stages end, and that nothing of them stays.

use std::process::{Command, Stdio};

use runner_frames::End;
use rustix::event::{PollFd, PollFlags, poll};

use crate::stage::{HELPER, Stage, read_started, variable};

#[test]
fn the_exit_code_is_the_shells() {
    for code in [0, 1, 3, 255] {
        let stage = Stage::new(&format!("echo out; exit {code}"));
        let status = stage.run();
        assert_eq!((status.end, status.stop, status.left), (End::Exit(code), None, 0));
        assert!(status.ended >= status.started);
        assert_eq!(stage.stdout(), "out\n");
    }
}

#[test]
fn a_signal_is_told_as_one() {
    assert_eq!(Stage::new("kill -KILL $$").run().end, End::Signal(9));
    assert_eq!(Stage::new("kill -SEGV $$").run().end, End::Signal(11));
}

#[test]
fn a_background_child_that_holds_stdout_does_not_hold_the_stage() {
    let stage = Stage::new("(sleep 600; echo late) & echo begun; exit 7");
    assert_eq!(stage.run().end, End::Exit(7));
    assert_eq!(stage.stdout(), "begun\n");
    assert!(stage.processes().is_empty());
}

#[test]
fn a_child_in_its_own_session_is_ended() {
    let stage = Stage::new("setsid sleep 600 & echo begun");
    assert_eq!(stage.run().end, End::Exit(0));
    assert!(stage.processes().is_empty());
}

#[test]
fn a_daemon_that_ignores_sigterm_is_ended() {
    let daemon = r#"(setsid bash -c 'trap "" TERM HUP; echo up >$READY; while :; do sleep 600; done' </dev/null >/dev/null 2>&1 &)
        read -r go <$GO; exit 4"#;
    let stage = Stage::new(daemon);
    let supervisor = stage.start();
    assert_eq!(stage.wait_ready(), "up\n");
    stage.let_go();
    assert_eq!(supervisor.wait(), 0);
    let status = stage.status();
    assert_eq!((status.end, status.stop, status.left), (End::Exit(4), None, 0));
    assert!(stage.processes().is_empty());
    assert!(stage.log().contains("killed"), "{}", stage.log());
}

#[test]
fn a_daemon_that_never_stands_still_is_ended() {
    // Each generation starts the next one in a session of its own and dies; all ignore SIGTERM.
    let script = r#"cat >gen.sh <<'EOF'
trap '' TERM
sleep 0.02
setsid bash gen.sh &
EOF
        for i in 1 2 3; do setsid bash gen.sh & done
        sleep 0.2; exit 0"#;
    let stage = Stage::new(script);
    assert_eq!(stage.run().end, End::Exit(0));
    assert!(stage.processes().is_empty());
}

#[test]
fn a_tree_of_children_is_ended() {
    let stage = Stage::new("for i in $(seq 20); do bash -c 'sleep 600 & sleep 600 & wait' & done; exit 0");
    assert_eq!(stage.run().end, End::Exit(0));
    assert!(stage.processes().is_empty());
}

#[test]
fn what_is_left_may_say_goodbye() {
    let script =
        r#"(trap 'echo bye; exit' TERM; echo up >$READY; while :; do sleep 0.01; done) & read -r go <$GO"#;
    let mut stage = Stage::new(script);
    stage.spec.leftover_grace_ms = 60_000;
    let supervisor = stage.start();
    stage.wait_ready();
    stage.let_go();
    assert_eq!(supervisor.wait(), 0);
    assert_eq!(stage.stdout(), "bye\n");
    assert!(!stage.log().contains("killed"));
}

#[test]
fn a_stopped_child_is_ended() {
    let stage = Stage::new("sleep 600 & kill -STOP $!; exit 0");
    assert_eq!(stage.run().end, End::Exit(0));
    assert!(stage.processes().is_empty());
}

#[test]
fn orphans_that_end_are_reaped_at_once() {
    // A zombie would still answer `kill -0`, and this loop would never end.
    let script = r#"pid=$( (sleep 600 >/dev/null 2>&1 & echo $!) )
        kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.01; done; echo gone"#;
    let stage = Stage::new(script);
    assert_eq!(stage.run().end, End::Exit(0));
    assert_eq!(stage.stdout(), "gone\n");
}

#[test]
fn the_end_is_that_of_the_main_process_not_of_what_it_left() {
    let script =
        r#"(trap 'exit 9' TERM; echo up >$READY; while :; do sleep 0.01; done) & read -r go <$GO; exit 2"#;
    let stage = Stage::new(script);
    let supervisor = stage.start();
    stage.wait_ready();
    stage.let_go();
    supervisor.wait();
    assert_eq!(stage.status().end, End::Exit(2));
}

#[test]
fn standard_input_is_at_its_end() {
    let stage = Stage::new("cat; read -r line || echo nothing to read");
    assert_eq!(stage.run().end, End::Exit(0));
    assert_eq!(stage.stdout(), "nothing to read\n");
}

#[test]
fn the_job_is_neither_in_our_session_nor_in_the_supervisors_group() {
    let stage = Stage::new("ps -o pid=,pgid=,sid= -p $$; ps -o sid= -p $PPID; ps -o pgid= -p $PPID");
    stage.run();
    let numbers: Vec<i32> = stage.stdout().split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [pid, pgid, sid, supervisor_sid, supervisor_pgid] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!(pid, pgid);
    assert_eq!(sid, supervisor_sid);
    assert_ne!(pgid, supervisor_pgid);
    assert_ne!(sid, our_session());
}

/// From the process table, because a session that leads out of this process's PID namespace has the number 0 there,
/// which the typed call does not allow for.
fn our_session() -> i32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn an_output_that_cannot_be_written_ends_the_stage_with_a_fault() {
    // A limit on the size of files is a disk that is full for these processes only.
    let stage =
        Stage::new("echo first; read -r go <$GO; trap '' XFSZ; while :; do echo 0123456789abcdef; done");
    stage.command();
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -f 16; exec \"$0\" supervise --dir \"$1\"", HELPER]).arg(&stage.dir);
    let mut limited = limited.stdout(Stdio::piped()).spawn().unwrap();
    read_started(&mut limited);
    stage.wait_until(|stage| stage.stdout() == "first\n");
    stage.let_go();
    assert!(limited.wait().unwrap().success());
    let status = stage.status();
    let End::Fault(fault) = status.end else { panic!("{status:?}") };
    assert!(fault.starts_with("cannot write the stage's output: File too large"), "{fault}");
    assert_eq!((status.stop, status.left), (None, 0));
    assert!(stage.stdout().starts_with("first\n"));
}

#[test]
fn a_removed_output_ends_the_stage_with_a_fault() {
    let mut stage = Stage::new("rm stage/output; echo >$READY; sleep 600");
    stage.spec.check_interval_ms = 20;
    let supervisor = stage.start();
    stage.wait_ready();
    assert_eq!(supervisor.wait(), 0);
    let End::Fault(fault) = stage.status().end else { panic!("{:?}", stage.status()) };
    assert_eq!(fault, "the stage's folder is not there any more; the main process ended: signal 15");
}

#[test]
fn a_removed_folder_ends_the_stage() {
    let mut stage = Stage::new("rm -r stage; echo >$READY; sleep 600");
    stage.spec.check_interval_ms = 20;
    let supervisor = stage.start();
    stage.wait_ready();
    assert_eq!(supervisor.wait(), 1);
    assert!(!stage.dir.exists());
    assert!(stage.processes().is_empty());
}

#[test]
fn a_shell_that_does_not_exist_is_a_fault() {
    let mut stage = Stage::new("true");
    stage.spec.shell = vec!["/no/such/shell".into()];
    let status = stage.run();
    assert_eq!(
        status.end,
        End::Fault("cannot start /no/such/shell: No such file or directory (os error 2)".into())
    );
    assert_eq!(status.output, 0);
    assert!(!stage.dir.join("spec.json").exists());

    let mut stage = Stage::new("true");
    stage.spec.cwd = "/no/such/folder".into();
    assert_eq!(stage.run().end, End::Fault("cannot start bash in /no/such/folder: no such folder".into()));

    let mut stage = Stage::new("true");
    stage.spec.env.push(variable("A\0B", "x"));
    assert!(matches!(stage.run().end, End::Fault(text) if text.starts_with("cannot start bash: ")));
}

#[test]
fn the_control_pipe_is_open_until_the_status_is_there() {
    // Who finds neither a reader of the pipe nor a status concludes that the supervisor died.
    for _ in 0..20 {
        let stage = Stage::new("read -r go <$GO");
        let supervisor = stage.start();
        let control = stage.open_control();
        stage.let_go();
        let mut fds = [PollFd::new(&control, PollFlags::empty())];
        poll(&mut fds, None).unwrap();
        assert!(fds[0].revents().contains(PollFlags::ERR));
        assert!(stage.find_status().is_some());
        supervisor.wait();
    }
}
