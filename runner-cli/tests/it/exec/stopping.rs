//! Ctrl-C.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Checkout, Surroundings};

const PIPELINE: &str = r#"
long:
  script: ['echo "pid $$"', 'sleep 1000 & echo "pid $!"', 'echo ready', sleep 1000]
  after_script: ['echo "after $CI_JOB_STATUS"']
waiting: {stage: deploy, script: echo never}
"#;

fn start(checkout: &Checkout<'_>) -> Child {
    checkout.exec_command(&[]).stdout(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
}

/// Reads until the job is ready; returns the ids of its processes.
fn processes(out: &mut impl BufRead) -> Vec<Pid> {
    let mut pids = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the job did not get ready");
        let Some((_, text)) = line.trim_end().split_once(" | ") else { continue };
        if let Some(pid) = text.strip_prefix("pid ") {
            pids.push(Pid::from_raw(pid.parse().unwrap()).unwrap());
        }
        if text == "ready" {
            return pids;
        }
    }
}

fn finish(mut child: Child, mut out: impl Read) -> (Option<i32>, String) {
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[test]
fn once_cancels_with_after_script() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, PIPELINE);
    let mut child = start(&checkout);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let pids = processes(&mut out);
    interrupt(&child);
    let (code, rest) = finish(child, out);
    assert_eq!(code, Some(3), "{rest}");
    assert!(rest.contains("canceling; once more to stop without after_script"), "{rest}");
    assert!(rest.contains("| after canceled\n"), "{rest}");
    assert!(rest.lines().last().unwrap().starts_with("pipeline 1: canceled"), "{rest}");
    assert_gone(&surroundings, &pids);
}

#[test]
fn twice_kills() {
    let surroundings = Surroundings::new();
    let pipeline = PIPELINE.replace("echo \"after $CI_JOB_STATUS\"", "echo cleaning; sleep 1000");
    let checkout = Checkout::new(&surroundings, &pipeline);
    let mut child = start(&checkout);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let pids = processes(&mut out);
    interrupt(&child);
    let mut line = String::new();
    while !line.contains("| cleaning") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0);
    }
    interrupt(&child);
    let (code, rest) = finish(child, out);
    assert_eq!(code, Some(3), "{rest}");
    assert!(rest.contains("stopping at once"), "{rest}");
    assert_gone(&surroundings, &pids);
}

/// A job that prints nothing gives the runner no occasion to ask, apart from one every ten seconds: more than this job waits.
#[test]
fn a_silent_job_is_told_at_once() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
long:
  script:
    - trap 'echo told; exit 1' TERM
    - 'echo "pid $$"; echo "pid $$"; echo ready'
    - for step in $(seq 80); do sleep 0.1; done
    - echo "never told"
  after_script: ['echo "after $CI_JOB_STATUS"']
"#,
    );
    let mut child = start(&checkout);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let pids = processes(&mut out);
    interrupt(&child);
    let (code, rest) = finish(child, out);
    assert_eq!(code, Some(3), "{rest}");
    let place = |text: &str| rest.find(text).unwrap_or_else(|| panic!("{text:?} is missing: {rest}"));
    assert!(place("canceling; once more") < place("| told\n"), "{rest}");
    assert!(place("| told\n") < place("| after canceled\n"), "{rest}");
    assert!(!rest.contains("never told"), "{rest}");
    assert_gone(&surroundings, &pids);
}

/// The same when it is the pipeline that cancels.
#[test]
fn a_failure_that_cancels_tells_silent_jobs_at_once() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
workflow: {auto_cancel: {on_job_failure: all}}
long:
  script:
    - trap 'echo told; exit 1' TERM
    - touch "$MARK"
    - for step in $(seq 80); do sleep 0.1; done
    - echo "never told"
bad:
  script:
    - until [ -e "$MARK" ]; do sleep 0.1; done
    # By then the other one's log has been sent.
    - sleep 3
    - exit 3
"#,
    );
    let mark = format!("MARK={}", surroundings.path("mark").display());
    let answer = checkout.exec(&["--variable", &mark, "--jobs", "2"]).expect(1);
    assert!(answer.out.contains("long | told\n") && !answer.out.contains("never told"), "{}", answer.out);
    assert!(answer.out.contains("long | canceled"), "{}", answer.out);
}

/// No process and no file of the run is left.
fn assert_gone(surroundings: &Surroundings, pids: &[Pid]) {
    assert_eq!(pids.len(), 2);
    for pid in pids {
        assert!(test_kill_process(*pid).is_err(), "{pid:?} still runs");
    }
    for project in std::fs::read_dir(surroundings.path("state")).unwrap() {
        let runs = project.unwrap().path().join("runs");
        if runs.is_dir() {
            assert_eq!(std::fs::read_dir(runs).unwrap().count(), 0);
        }
    }
}
