//! `exec clean`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Answer, Checkout, Surroundings};

const CACHING: &str = "work: {script: ['mkdir -p kept', 'echo x > kept/file'], cache: {paths: [kept]}}\n";

fn clean(checkout: &Checkout<'_>, arguments: &[&str]) -> Answer {
    let mut command = checkout.surroundings.command();
    command.args(["exec", "clean", "--state-dir"]).arg(checkout.surroundings.path("state")).args(arguments);
    Answer::of(command.current_dir(&checkout.root))
}

/// The one project's folder in the state folder.
fn project(surroundings: &Surroundings) -> PathBuf {
    let entries = std::fs::read_dir(surroundings.path("state")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("project-"))
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_is_listed_and_removed() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, CACHING);
    assert_eq!(clean(&checkout, &[]).expect(0).out, "nothing to remove\n");
    checkout.exec(&["--keep-state"]).expect(0);
    let project = project(&surroundings);
    let name = project.file_name().unwrap().to_string_lossy().into_owned();
    // A folder of a run that died: its lock is nobody's.
    std::fs::create_dir(project.join("runs/7")).unwrap();
    std::fs::write(project.join("runs/7/lock"), "").unwrap();

    let answer = clean(&checkout, &["--dry-run"]).expect(0);
    let lines: Vec<&str> = answer.out.lines().collect();
    assert!(lines[0].starts_with(&format!("would remove caches of {name} (")), "{}", answer.out);
    assert!(
        lines[1].starts_with(&format!("would remove run 1 of {name}, which was kept (")),
        "{}",
        answer.out
    );
    assert!(lines[2].starts_with(&format!("would remove run 7 of {name}, which died (")), "{}", answer.out);
    assert!(
        lines[3].starts_with("would remove ") && lines[3].ends_with("; nothing was removed"),
        "{lines:?}"
    );
    assert_eq!(names(&project.join("runs")), ["1", "7"]);
    assert!(project.join("cache").is_dir());

    let answer = clean(&checkout, &["--runs"]).expect(0);
    assert!(answer.out.lines().last().unwrap().starts_with("removed "), "{}", answer.out);
    assert_eq!(names(&project.join("runs")), Vec::<String>::new());
    assert!(project.join("cache").is_dir());
    clean(&checkout, &["--caches"]).expect(0);
    assert_eq!(names(&project), ["last-pipeline", "lock", "runs"]);
    assert_eq!(clean(&checkout, &[]).expect(0).out, "nothing to remove\n");
    // Numbers go on.
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.lines().last().unwrap().starts_with("pipeline 2: success"), "{}", answer.out);
}

#[test]
fn includes_are_everybodys() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, CACHING);
    let file = surroundings.write("state/includes/remote/abc", "text");
    let answer = clean(&checkout, &[]).expect(0);
    assert_eq!(
        answer.out,
        "what was fetched for includes: stays, all projects share it; --includes removes it\nnothing to remove\n"
    );
    assert!(file.exists());
    let answer = clean(&checkout, &["--includes"]).expect(0);
    assert!(answer.out.starts_with("removed what was fetched for includes ("), "{}", answer.out);
    assert_eq!(names(&surroundings.path("state")), Vec::<String>::new());
}

#[test]
fn all_projects_and_nothing_that_is_not_one() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, CACHING);
    checkout.exec(&["--keep-state"]).expect(0);
    let project = project(&surroundings);
    // What others put there is not touched: no counter, no number, another name.
    for path in ["photos-00000000/cache/x", "cache/x", "runs/1/x", "photos/runs/1/x"] {
        surroundings.write(&format!("state/{path}"), "mine");
    }
    std::fs::create_dir_all(project.join("runs/notes")).unwrap();
    surroundings.write("folder/empty", "");
    let mut command = surroundings.command();
    command.args(["exec", "clean", "--state-dir", "../state"]).current_dir(surroundings.path("folder"));
    let answer = Answer::of(&mut command).expect(2);
    assert!(answer.err.contains("--all-projects does it for all of them"), "{}", answer.err);
    Answer::of(command.arg("--all-projects")).expect(0);
    assert_eq!(names(&project), ["last-pipeline", "lock", "runs"]);
    assert_eq!(names(&project.join("runs")), ["notes"]);
    for path in ["photos-00000000/cache/x", "cache/x", "runs/1/x", "photos/runs/1/x"] {
        assert!(surroundings.path("state").join(path).exists(), "{path}");
    }
}

#[test]
fn links_lead_nowhere() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, CACHING);
    checkout.exec(&["--keep-state"]).expect(0);
    let project = project(&surroundings);
    let precious = surroundings.write("precious/file", "mine");
    let folder = precious.parent().unwrap();
    std::fs::remove_dir_all(project.join("cache")).unwrap();
    std::os::unix::fs::symlink(folder, project.join("cache")).unwrap();
    std::os::unix::fs::symlink(folder, project.join("runs/5")).unwrap();
    std::os::unix::fs::symlink(folder, project.join("runs/1/link")).unwrap();
    std::os::unix::fs::symlink(folder, surroundings.path("state/elsewhere-00000000")).unwrap();
    let answer = clean(&checkout, &["--all-projects"]).expect(0);
    assert!(answer.out.contains("cache is no folder"), "{}", answer.out);
    assert_eq!(names(&project.join("runs")), ["5"]);
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "mine");
}

#[test]
fn a_run_that_is_under_way_stays_as_it_is() {
    let surroundings = Surroundings::new();
    let checkout =
        Checkout::new(&surroundings, "long: {script: [echo ready, sleep 1000], cache: {paths: [x]}}\n");
    let mut child = checkout.exec_command(&["--grace", "1s"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("| ready\n") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the job did not get ready");
    }
    let project = project(&surroundings);
    std::fs::create_dir_all(project.join("cache")).unwrap();
    surroundings.write("state/includes/remote/abc", "text");
    let answer = clean(&checkout, &["--all-projects"]).expect(0);
    assert!(answer.out.contains("stays, it is under way\n"), "{}", answer.out);
    assert!(answer.out.contains("stays, a run of the project is under way\n"), "{}", answer.out);
    assert!(answer.out.contains("for includes: stays, a run is under way\n"), "{}", answer.out);
    assert!(answer.out.ends_with("nothing to remove\n"), "{}", answer.out);
    assert!(project.join("cache").is_dir() && project.join("runs/1/builds").is_dir());
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{rest}");
    assert_eq!(names(&project.join("runs")), Vec::<String>::new());
}

#[test]
fn a_job_of_that_name_is_run_when_it_is_meant() {
    let surroundings = Surroundings::new();
    let checkout =
        Checkout::new(&surroundings, "clean: {script: echo the job}\nother: {script: echo other}\n");
    let run = |arguments: &[&str]| {
        let mut command = surroundings.command();
        command.args(["exec"]).args(arguments).env("XDG_STATE_HOME", surroundings.path("home"));
        Answer::of(command.current_dir(&checkout.root)).expect(0).out
    };
    assert_eq!(run(&["clean"]), "nothing to remove\n");
    assert!(run(&["--", "clean"]).contains("clean | the job\n"));
    assert!(run(&["--no-delay", "clean"]).contains("clean | the job\n"));
    let both = run(&["other", "clean"]);
    assert!(both.contains("clean | the job\n") && both.contains("other | other\n"), "{both}");
}
