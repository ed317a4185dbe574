//! `exec --watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Checkout, Surroundings, git};

const WAITING: &str = "waiting for changes; Ctrl-C ends";

/// A program that watches; what it says is read line by line.
struct Watching {
    child: Child,
    out: BufReader<ChildStdout>,
    said: String,
}

impl Watching {
    fn start(checkout: &Checkout<'_>, arguments: &[&str]) -> Self {
        let mut command = checkout.exec_command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, said: String::new() }
    }

    /// Reads up to a line that ends so; everything that was read since the last time.
    #[track_caller]
    fn until(&mut self, end: &str) -> String {
        let begin = self.said.len();
        loop {
            let at = self.said.len();
            assert_ne!(self.out.read_line(&mut self.said).unwrap(), 0, "no line {end:?} in\n{}", self.said);
            if self.said[at..].trim_end().ends_with(end) {
                return self.said[begin..].to_owned();
            }
        }
    }

    fn interrupt(&self) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    }

    /// The exit code, and what it said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        while self.out.read_line(&mut self.said).unwrap() > 0 {}
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn files_that_count_start_a_run() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "show: {script: ['cat text new/* 2>/dev/null || true', 'echo \"on $CI_COMMIT_BRANCH\"'], cache: {paths: [kept]}}\n",
    );
    checkout.write(".gitignore", "target\n*.log\n");
    checkout.write("text", "first\n");
    checkout.write("target/old", "");
    checkout.commit("second");
    let mut watching = Watching::start(&checkout, &["--watch"]);
    let said = watching.until(WAITING);
    assert!(said.contains("show | first\n") && said.contains("pipeline 1: success"), "{said}");

    // What is ignored, or git's own, or the same as before, starts nothing: the next run is for the next change.
    checkout.write("target/new", "");
    checkout.write("target/deep/new", "");
    checkout.write("a.log", "");
    checkout.git(&["add", "--all"]);
    checkout.write("text", "first\n");
    checkout.write("text", "changed\n");
    let said = watching.until(WAITING);
    assert!(said.contains("changed: text\n"), "{said}");
    assert!(said.contains("show | changed\n") && said.contains("pipeline 2: success"), "{said}");

    // A new folder, and a file in it.
    checkout.write("new/file", "from the new folder\n");
    let said = watching.until(WAITING);
    assert!(said.contains("changed: new/file\n") && said.contains("show | from the new folder\n"), "{said}");
    checkout.write("new/file", "again\n");
    let said = watching.until(WAITING);
    assert!(said.contains("changed: new/file\n") && said.contains("show | again\n"), "{said}");

    // A commit, and another branch.
    checkout.commit("third");
    let said = watching.until(WAITING);
    let head = checkout.git(&["rev-parse", "--short=8", "HEAD"]);
    assert!(said.contains(&format!("changed: HEAD is now {head}\n")), "{said}");
    checkout.git(&["switch", "--quiet", "--create", "other"]);
    let said = watching.until(WAITING);
    assert!(said.contains("changed: branch is now other\n") && said.contains("show | on other\n"), "{said}");
    watching.interrupt();
    assert_eq!(watching.end(), (Some(0), String::new()));
}

#[test]
fn a_change_cancels_the_run_that_is_under_way() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "work:\n  script: ['test ! -e long || { echo ready; sleep 1000; }', echo worked]\n  after_script: ['echo \"after $CI_JOB_STATUS\"']\n",
    );
    checkout.write("long", "");
    let mut watching = Watching::start(&checkout, &["--watch"]);
    watching.until("work | ready");
    std::fs::remove_file(checkout.root.join("long")).unwrap();
    let said = watching.until(WAITING);
    assert!(said.contains("canceling: long changed; --watch=finish would wait for the end\n"), "{said}");
    assert!(said.contains("work | after canceled\n") && said.contains("pipeline 1: canceled"), "{said}");
    assert!(said.contains("changed: long\n") && said.contains("work | worked\n"), "{said}");
    assert!(!said.contains("canceled\nwaiting"), "{said}");

    // Ctrl-C while a run is under way cancels it, and ends.
    checkout.write("long", "");
    watching.until("work | ready");
    watching.interrupt();
    watching.until("work | after canceled");
    assert_eq!(watching.end(), (Some(3), String::new()));
}

#[test]
fn a_run_may_come_to_its_end_first() {
    let surroundings = Surroundings::new();
    let gate = surroundings.path("gate");
    let checkout = Checkout::new(
        &surroundings,
        &format!("work: {{script: ['echo ready', 'cat {}', cat text]}}\n", gate.display()),
    );
    let status = std::process::Command::new("mkfifo").arg(&gate).status().unwrap();
    assert!(status.success());
    checkout.write("text", "first\n");
    let mut watching = Watching::start(&checkout, &["--watch=finish"]);
    for content in ["first", "second"] {
        watching.until("work | ready");
        checkout.write("text", "second\n");
        // The job goes on when its gate is opened and closed.
        std::fs::write(&gate, "").unwrap();
        let said = watching.until(&format!("work | {content}"));
        assert!(!said.contains("canceling"), "{said}");
        if content == "first" {
            let said = watching.until("changed: text");
            assert!(said.contains("pipeline 1: success"), "{said}");
        }
    }
    watching.until(WAITING);
    watching.interrupt();
    assert_eq!(watching.end(), (Some(0), String::new()));
}

#[test]
fn mistakes_are_shown_and_waited_for() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "include: part.yml\n");
    let mut watching = Watching::start(&checkout, &["--watch"]);
    watching.until(WAITING);
    checkout.write("part.yml", "work: {script: [echo worked], need: []}\n");
    let said = watching.until(WAITING);
    assert!(said.contains("changed: part.yml\n") && !said.contains("pipeline"), "{said}");
    checkout.write("part.yml", "work: {script: [echo worked]}\n");
    let said = watching.until(WAITING);
    assert!(said.contains("work | worked\n"), "{said}");
    std::fs::remove_file(checkout.root.join(".gitlab-ci.yml")).unwrap();
    watching.until(WAITING);
    watching.interrupt();
    let (code, err) = watching.end();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("part.yml:1:31: jobs:work config contains unknown keys: need"), "{err}");
    assert!(err.contains("error: there is no "), "{err}");
}

#[test]
fn files_beside_the_tree_count_and_what_it_writes_does_not() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: echo unused}\n");
    let pipeline = surroundings.write(
        "else/where.yml",
        "show: {script: 'mkdir -p out; echo \"word $WORD\" | tee out/f', artifacts: {paths: [out]}}\n",
    );
    // A file outside of any repository belongs to the current folder's.
    let variables = surroundings.write("else/variables", "WORD=one\n");
    let arguments = [
        "--watch",
        "--file",
        pipeline.to_str().unwrap(),
        "--variables-file",
        variables.to_str().unwrap(),
        "--artifacts-to",
        "artifacts",
        "--report",
        "report",
    ];
    let mut watching = Watching::start(&checkout, &arguments);
    let said = watching.until(WAITING);
    assert!(said.contains("show | word one\n"), "{said}");
    assert!(checkout.root.join("artifacts/show/out/f").exists() && checkout.root.join("report").exists());
    surroundings.write("else/variables", "WORD=two\n");
    let said = watching.until(WAITING);
    assert!(said.contains("/else/variables\n") && said.contains("show | word two\n"), "{said}");
    surroundings.write("else/where.yml", "show: {script: 'echo another'}\n");
    let said = watching.until(WAITING);
    assert!(said.contains("/else/where.yml\n") && said.contains("show | another\n"), "{said}");
    assert!(said.contains("pipeline 3: success"), "{said}");
    watching.interrupt();
    assert_eq!(watching.end(), (Some(0), String::new()));
}

#[test]
fn a_linked_worktree_has_its_own_head() {
    let surroundings = Surroundings::new();
    let mut checkout = Checkout::new(&surroundings, "show: {script: 'echo \"on $CI_COMMIT_BRANCH\"'}\n");
    let linked = surroundings.path("linked");
    checkout.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    let main = std::mem::replace(&mut checkout.root, linked);
    let mut watching = Watching::start(&checkout, &["--watch"]);
    watching.until("show | on side");
    watching.until(WAITING);
    // Another worktree's commits are nobody else's.
    git(&surroundings, &main, &["commit", "--quiet", "--allow-empty", "--message", "elsewhere"]);
    checkout.git(&["switch", "--quiet", "--create", "another"]);
    let said = watching.until(WAITING);
    assert!(said.contains("changed: branch is now another\n") && said.contains("pipeline 2: "), "{said}");
    watching.interrupt();
    assert_eq!(watching.end(), (Some(0), String::new()));
}
