//! Scripts of users, run by real shells.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod script_support;

use std::fs;

use runner_core::executor::{Shell, StageInput};
use runner_core::plan::StageKind;
use runner_core::variables::JobStatus;
use script_support::{Fixture, Ran, shells, variable};
use serde_json::{Value, json};

fn fixture(script: &[&str], changes: &Value) -> Fixture {
    let mut payload = json!({"steps": [{"name": "script", "script": script}]});
    for (key, value) in changes.as_object().unwrap() {
        payload[key] = value.clone();
    }
    let fixture = Fixture::in_folders(&payload);
    fs::create_dir_all(fixture.project()).unwrap();
    fixture
}

/// Runs a script with each shell, which must agree.
#[track_caller]
fn run(script: &[&str]) -> Ran {
    let fixture = fixture(script, &json!({}));
    let input = fixture.script(StageKind::Step);
    let mut runs: Vec<Ran> = shells().iter().map(|shell| fixture.run_with(shell, &input)).collect();
    let first = runs.remove(0);
    for other in runs {
        assert_eq!((&first.code, &first.stdout), (&other.code, &other.stdout), "{}", other.stderr);
    }
    first
}

#[test]
fn script_scenario_21_the_first_failing_line_ends_the_script() {
    let ran = run(&["echo yes", "false", "echo no"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.lines(), ["$ echo yes", "yes", "$ false"]);
}

#[test]
fn script_scenario_23_exit_codes_are_passed_on() {
    assert_eq!(run(&["exit 42"]).code, 42);
    assert_eq!(run(&["(exit 7)", "echo no"]).code, 7);
    assert_eq!(run(&["sh -c 'exit 255'"]).code, 255);
    assert_eq!(run(&["no-such-program"]).code, 127);
}

#[test]
fn script_scenario_25_errexit_can_be_turned_off() {
    let ran = run(&["set +e", "false", "echo still"]);
    assert_eq!((ran.code, ran.lines().last().map(String::as_str)), (0, Some("still")));
    assert_eq!(run(&["set +e", "echo x", "false"]).code, 1);
}

#[test]
fn pipelines_fail_where_the_shell_knows_how() {
    let fixture = fixture(&["false | true", "echo after"], &json!({}));
    let input = fixture.script(StageKind::Step);
    assert_eq!(fixture.run_with(&["bash"], &input).code, 1);
    assert_eq!(fixture.run_with(&["dash"], &input).code, 0);
}

#[test]
fn lines_share_a_shell() {
    let ran = run(&["X=1", "f() { echo \"f $X\"; }", "cd /", "f", "pwd"]).success();
    assert_eq!(ran.lines()[3..], ["$ f", "f 1", "$ pwd", "/"]);
}

#[test]
fn script_scenario_31_input_is_empty() {
    let ran = run(&["cat", "read -r line || echo end"]).success();
    assert_eq!(ran.lines(), ["$ cat", "$ read -r line || echo end", "end"]);
}

#[test]
fn a_shell_that_reads_the_script_from_its_input_runs_all_of_it() {
    use std::io::Write as _;
    let fixture = fixture(&["cat", "echo end"], &json!({}));
    let input = fixture.script(StageKind::Step);
    for shell in shells() {
        let mut command = std::process::Command::new(shell[0]);
        command.args(&shell[1..]).env_clear().env("PATH", script_support::PATH);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().ends_with("\nend\n"));
    }
}

#[test]
fn a_syntax_error_ends_the_script_with_2() {
    let ran = run(&["echo before", "if then"]);
    assert_eq!(ran.code, 2);
}

#[test]
fn commands_are_shown_unexpanded_in_bold_green() {
    let ran = run(&["X='a  b'", "printf %s \"$X\" \\\\n 'ä'"]).success();
    assert!(ran.stdout.contains("\u{1b}[32;1m$ printf %s \"$X\" \\\\n 'ä'\u{1b}[0;m\n"), "{}", ran.stdout);
}

#[test]
fn script_scenario_27_entries_with_several_lines() {
    let ran = run(&["  if true\nthen echo hi\nfi\n\n", "", "cat <<EOF\na $(echo b)\nEOF"]).success();
    assert_eq!(
        ran.lines(),
        [
            "$ if true # collapsed multi-line command",
            "hi",
            "",
            "$ cat <<EOF # collapsed multi-line command",
            "a b"
        ]
    );
}

#[test]
fn script_scenario_28_29_sections_for_entries_with_several_lines() {
    let flag = json!([variable("FF_SCRIPT_SECTIONS", "true")]);
    let script = ["echo one", "if true\nthen echo hi\nfi"];
    let sections = fixture(&script, &json!({ "variables": flag.clone() }));
    let ran = sections.run(StageKind::Step).success();
    let (start, rest) = ran
        .stdout
        .split_once(":section_script_step_1[hide_duration=true,collapsed=true]\r\u{1b}[0K")
        .unwrap();
    assert!(start.rsplit_once("section_start:").unwrap().1.parse::<u64>().unwrap() > 1_600_000_000);
    let (header, rest) = rest.split_once("section_end:").unwrap();
    assert_eq!(header, "\u{1b}[32;1m$ if true\nthen echo hi\nfi\u{1b}[0;m\n");
    assert!(rest.ends_with(":section_script_step_1\r\u{1b}[0Khi\n"), "{rest:?}");

    let without = fixture(&script, &json!({"variables": flag, "features": {"trace_sections": false}}));
    let ran = without.run(StageKind::Step).success();
    assert!(!ran.stdout.contains("section_"));
    assert_eq!(ran.lines()[2..], ["$ if true # collapsed multi-line command", "hi"]);
}

#[test]
fn script_scenario_35_the_runners_scripts_surround_the_jobs() {
    let mut fixture =
        fixture(&["echo \"script $X\"", "eval \"$Y\""], &json!({"variables": [variable("Y", ":")]}));
    fixture.settings.pre_build_script = Some("X=pre; echo pre".to_owned());
    fixture.settings.post_build_script = Some("echo \"post $X\"".to_owned());
    let printed: Vec<_> = fixture
        .run(StageKind::Step)
        .success()
        .lines()
        .into_iter()
        .filter(|line| !line.starts_with('$'))
        .collect();
    assert_eq!(printed, ["pre", "script pre", "post pre"]);
    fixture.job = Fixture::new(&json!({"steps": [{"name": "script", "script": ["false"]}]})).job;
    let ran = fixture.run(StageKind::Step);
    assert_eq!((ran.code, ran.text().contains("post pre")), (1, false));
}

#[test]
fn explicit_checks_catch_what_errexit_does_not() {
    let script = ["set +e", "false", "echo no"];
    let checked =
        fixture(&script, &json!({"variables": [variable("FF_ENABLE_BASH_EXIT_CODE_CHECK", "true")]}));
    let ran = checked.run(StageKind::Step);
    assert_eq!((ran.code, ran.text().contains("\nno\n")), (1, false));
    let good = fixture(
        &["echo a", "true\necho b"],
        &json!({"variables": [variable("FF_ENABLE_BASH_EXIT_CODE_CHECK", "1")]}),
    );
    assert!(good.run(StageKind::Step).success().text().ends_with("\nb\n"));
}

#[test]
fn the_older_form_of_the_envelope_works_too() {
    let changes = json!({"variables": [variable("FF_USE_LEGACY_BASH_EVAL", "true")]});
    for shell in shells() {
        let failing = fixture(&["cat", "exit 9"], &changes);
        assert_eq!(failing.run_with(&shell, &failing.script(StageKind::Step)).code, 9);
        let good = fixture(&["cat", "echo end"], &changes);
        assert!(good.run_with(&shell, &good.script(StageKind::Step)).success().text().ends_with("\nend\n"));
    }
}

#[test]
fn script_scenario_33_debug_trace_shows_commands_as_they_run() {
    let fixture = fixture(&["X=a", "echo $X"], &json!({"variables": [variable("CI_DEBUG_TRACE", "true")]}));
    let ran = fixture.run(StageKind::Step).success();
    assert!(ran.stderr.contains("+ echo a\n"), "{}", ran.stderr);
    assert!(fixture.script(StageKind::PrepareScript).script.contains("set -o xtrace"));
}

#[test]
fn termination_ends_the_script_with_1() {
    // The shell gets the signal while nothing runs in the foreground of the body but a builtin.
    let fixture = fixture(&["kill -TERM $$", "echo still here"], &json!({}));
    let input = fixture.script(StageKind::Step);
    for shell in shells() {
        let ran = fixture.run_with(&shell, &input);
        assert_eq!(ran.code, 1, "{shell:?} {}", ran.stderr);
        assert!(!ran.stderr.contains("trap"), "{}", ran.stderr);
    }
}

#[test]
fn noclobber_of_an_outer_shell_does_not_matter() {
    let fixture = fixture(&["echo a > f", "echo b > f", "cat f"], &json!({}));
    let ran = fixture.run_with(&["bash", "-C"], &fixture.script(StageKind::Step)).success();
    assert!(ran.text().ends_with("\nb\n"));
}

#[test]
fn after_script_sees_how_the_job_ended() {
    let after = json!([
        {"name": "script", "script": ["true"]},
        {"name": "after_script", "script": ["echo \"it $CI_JOB_STATUS\"", "exit 3"]},
    ]);
    let fixture = fixture(&["true"], &json!({ "steps": after }));
    for (status, word) in [
        (JobStatus::Success, "success"),
        (JobStatus::Failed, "failed"),
        (JobStatus::Canceled, "canceled"),
        (JobStatus::TimedOut, "timedout"),
    ] {
        let ran = fixture.run_with(&["bash"], &fixture.script_when(StageKind::AfterScript, status));
        assert_eq!(ran.code, 3);
        assert_eq!(
            ran.lines(),
            ["Running after script...", "$ echo \"it $CI_JOB_STATUS\"", &format!("it {word}"), "$ exit 3"]
        );
    }
}

#[test]
fn a_missing_project_folder_fails_the_stage() {
    let fixture = fixture(&["echo no"], &json!({}));
    fs::remove_dir_all(fixture.project()).unwrap();
    let ran = fixture.run(StageKind::Step);
    assert!(ran.code != 0 && ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn releases_are_expanded_before_the_shell_sees_them() {
    let secret = json!({"key": "TOKEN", "value": "hidden-value", "masked": true});
    let fixture = fixture(
        &["true"],
        &json!({
            "steps": [{"name": "release", "script": ["echo 'v$VERSION' \"$NOPE.\"", "echo '$TOKEN'"]}],
            "variables": [variable("VERSION", "1.2"), secret],
        }),
    );
    assert_eq!(fixture.stage(StageKind::Step).name, "step_release");
    let input = fixture.script(StageKind::Step);
    assert!(!input.script.contains("hidden-value"));
    let lines = fixture.run_with(&["dash"], &input).success().lines();
    assert_eq!(lines, ["$ echo 'v1.2' \".\"", "v1.2 .", "$ echo 'hidden-value'", "hidden-value"]);
}

#[test]
fn the_first_line_names_the_shell() {
    let mut fixture = fixture(&["true"], &json!({}));
    let head = |input: StageInput| input.script.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(head(fixture.script(StageKind::Step)), ["#!/usr/bin/env bash", ""]);
    fixture.place.shell = Shell::Sh;
    assert_eq!(head(fixture.script(StageKind::Step)), ["#!/usr/bin/env sh", ""]);
}
