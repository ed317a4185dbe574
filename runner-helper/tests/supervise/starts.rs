//! Being started: once, with secrets that do not stay, by somebody who may die.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use runner_frames::{End, SecretFile, folder};

use crate::stage::{HELPER, Stage, read_started, variable};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_second_start_says_that_it_is_running_then_that_it_has_ended() {
    let stage = Stage::new("echo run >>runs; echo up >$READY; read -r go <$GO");
    let supervisor = stage.start();
    stage.wait_ready();
    let again = stage.bare_command().output().unwrap();
    assert_eq!(again.status.code(), Some(folder::EXIT_ALREADY_RUNNING.into()));
    assert_eq!(again.stdout, b"");
    assert!(String::from_utf8_lossy(&again.stderr).ends_with("already running\n"));
    stage.let_go();
    supervisor.wait();
    let again = stage.bare_command().output().unwrap();
    assert_eq!(again.status.code(), Some(folder::EXIT_ALREADY_ENDED.into()));
    assert!(String::from_utf8_lossy(&again.stderr).ends_with("already ended\n"));
    assert_eq!(fs::read_to_string(stage.beside("runs")).unwrap(), "run\n");
}

#[test]
fn of_many_starts_at_once_one_runs() {
    let stage = Stage::new("echo run >>runs; read -r go <$GO");
    stage.command();
    let children: Vec<_> = (0..8)
        .map(|_| stage.bare_command().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    stage.let_go();
    let mut codes: Vec<_> =
        children.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes[0], 0);
    assert!(codes[1..].iter().all(|code| [10, 11].contains(code)), "{codes:?}");
    assert_eq!(fs::read_to_string(stage.beside("runs")).unwrap(), "run\n");
}

#[test]
fn nothing_is_run_again_after_a_supervisor_died() {
    let stage = Stage::new("echo run >>runs; echo up >$READY; sleep 600");
    let supervisor = stage.start();
    stage.wait_ready();
    supervisor.kill();
    let again = stage.command().output().unwrap();
    assert_eq!(again.status.code(), Some(folder::EXIT_LOST.into()));
    assert_eq!(fs::read_to_string(stage.beside("runs")).unwrap(), "run\n");
    assert_eq!(stage.find_status(), None);
    stage.kill_processes();
}

#[test]
fn the_stage_outlives_the_process_that_started_it() {
    let stage = Stage::new("echo before; echo up >$READY; read -r go <$GO; echo after; exit 3");
    stage.command();
    let mut manager = Command::new("bash");
    manager
        .args(["-c", "\"$0\" supervise --dir \"$1\" & exec >/dev/null; wait", HELPER])
        .arg(&stage.dir)
        .stdout(Stdio::piped());
    let mut manager = manager.spawn().unwrap();
    read_started(&mut manager);
    stage.wait_ready();
    manager.kill().unwrap();
    manager.wait().unwrap();
    stage.let_go();
    stage.wait_unlocked();
    assert_eq!(stage.status().end, End::Exit(3));
    assert_eq!(stage.stdout(), "before\nafter\n");
}

#[test]
fn secrets_are_there_for_the_job_and_nowhere_else() {
    let mut stage = Stage::new("cat \"$TOKEN_FILE\"; echo \" $TOKEN\"; echo up >$READY; read -r go <$GO");
    let path = stage.beside("project.tmp").join("TOKEN_FILE");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "an older and longer value").unwrap();
    stage.spec.env.push(variable("TOKEN", "s3cret"));
    stage.spec.env.push(variable("TOKEN_FILE", path.to_str().unwrap()));
    stage.spec.secret_files.push(SecretFile {
        path: path.to_str().unwrap().into(),
        content: "in a file".to_owned().into(),
        mode: 0o600,
    });
    let supervisor = stage.start();
    stage.wait_ready();
    assert!(!stage.dir.join(folder::SPEC).exists(), "gone as soon as the shell runs");
    assert_eq!(mode(&path), 0o600);
    stage.let_go();
    supervisor.wait();
    assert_eq!(stage.stdout(), "in a file s3cret\n");
    assert!(!stage.dir.join(folder::SCRIPT).exists(), "gone when the stage is over");
    assert!(!stage.log().contains("s3cret"));
    for name in [folder::OUTPUT, folder::STATUS, folder::CONTROL, folder::LOCK, folder::LOG] {
        assert_eq!(mode(&stage.dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn folders_of_secret_files_are_made() {
    let mut stage = Stage::new("cat a/b/KEY");
    let path = stage.beside("a/b/KEY");
    stage.spec.secret_files.push(SecretFile {
        path: path.to_str().unwrap().into(),
        content: "value".to_owned().into(),
        mode: 0o400,
    });
    assert_eq!(stage.run().end, End::Exit(0));
    assert_eq!(stage.stdout(), "value");
    assert_eq!((mode(&path), mode(&stage.beside("a/b")), mode(&stage.beside("a"))), (0o400, 0o700, 0o700));
}

#[test]
fn the_environment_is_the_supervisors_with_additions() {
    let mut stage = Stage::new("echo $INHERITED $ADDED $BOTH");
    stage.spec.env.push(variable("ADDED", "added"));
    stage.spec.env.push(variable("BOTH", "first"));
    stage.spec.env.push(variable("BOTH", "second"));
    let mut command = stage.command();
    command.env("INHERITED", "inherited").env("BOTH", "outer").stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(stage.stdout(), "inherited added second\n");
}

#[test]
fn a_folder_without_a_usable_spec_is_refused_and_can_be_tried_again() {
    let stage = Stage::new("echo fine");
    let failed = stage.bare_command().output().unwrap();
    assert_eq!(failed.status.code(), Some(folder::EXIT_FAILED.into()));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("cannot read "));
    fs::write(stage.dir.join(folder::SPEC), "{\"version\": 99}").unwrap();
    let failed = stage.bare_command().output().unwrap();
    assert_eq!(failed.status.code(), Some(folder::EXIT_FAILED.into()));
    assert!(
        String::from_utf8_lossy(&failed.stderr)
            .contains("stage spec of version 99; this program reads version 1")
    );
    assert_eq!(stage.run().end, End::Exit(0));
}

#[test]
fn a_folder_that_does_not_exist_is_said() {
    let failed = Command::new(HELPER).args(["supervise", "--dir", "/no/such/folder"]).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(text.contains("cannot find /no/such/folder: No such file or directory"), "{text}");
}

#[test]
fn commands_that_are_not_built_yet_are_refused_by_name() {
    let refused = Command::new(HELPER).args(["health-check", "--port", "1", "--help"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "not supported: health-check\n");
}
