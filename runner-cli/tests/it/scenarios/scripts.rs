//! Scripts of whole jobs: numbers 21 to 45 and from 121 on of the scenarios of scripts.

use runner_coordinator::core::JobState;
use serde_json::{Value, json};

use super::house::{End, House, assert_none, assert_order, failed, job, steps, success, variable};
use crate::support::Surroundings;

/// Runs a job; how it ended and its log.
fn run(entry: &str, script: &[&str], changes: Value) -> (End, String) {
    let mut house = House::with(entry);
    let id = house.run(job(script, changes));
    (house.end(id), house.trace(id))
}

#[test]
fn script_scenario_21_the_first_command_that_fails_ends_the_script() {
    let (end, trace) = run("", &["false", "echo no"], json!({}));
    assert_eq!(end, failed("script_failure", Some(1)));
    assert_order(&trace, &["$ false\n", "ERROR: Job failed: exit code 1\n"]);
    assert_none(&trace, &["\nno\n", "echo no"]);
}

#[test]
fn script_scenario_23_25_the_shell_decides_about_the_exit_code() {
    assert_eq!(run("", &["exit 42"], json!({})).0, failed("script_failure", Some(42)));
    let (end, trace) = run("", &["set +e", "false", "echo still"], json!({}));
    assert_eq!(end, success());
    assert_order(&trace, &["\nstill\n", "Job succeeded\n"]);
}

#[test]
fn script_scenario_27_28_29_entries_with_several_lines_are_folded() {
    let entry = "if true\nthen echo hi\nfi";
    let folded = "$ if true # collapsed multi-line command\nhi\n";
    let trace = run("", &[entry], json!({})).1;
    assert_order(&trace, &[folded]);
    assert_none(&trace, &["section_script_step"]);

    let flag = json!([variable("FF_SCRIPT_SECTIONS", "true")]);
    let trace = run("", &[entry], json!({ "variables": flag })).1;
    assert_order(
        &trace,
        &[
            "section_start:",
            ":section_script_step_0[hide_duration=true,collapsed=true]\n$ if true\nthen echo hi\nfi\n",
            "section_end:",
            ":section_script_step_0\nhi\n",
        ],
    );

    let trace = run("", &[entry], json!({ "variables": flag, "features": { "trace_sections": false } })).1;
    assert_order(&trace, &[folded]);
    assert_none(&trace, &["section_"]);
}

#[test]
fn script_scenario_31_there_is_no_input() {
    let (end, trace) = run("", &["cat", "echo end"], json!({}));
    assert_eq!(end, success());
    assert_order(&trace, &["$ cat\n$ echo end\nend\n"]);
}

#[test]
fn script_scenario_33_debug_output_shows_every_stage_unless_the_runner_forbids_it() {
    let debug = json!({
        "steps": steps(&["echo $((40 + 2))"], &["echo $((41 + 2))"]),
        "variables": [variable("CI_DEBUG_TRACE", "true"), { "key": "PASSWORD", "value": "hunter2", "masked": true }],
    });
    let traced = ["+ printf 'Running on ", "+ echo 42\n", "+ echo 43\n", "+ rm -rf "];
    let trace = run("", &[], debug.clone()).1;
    assert_order(&trace, &traced);
    assert_none(&trace, &["hunter2"]);
    let trace = run("debug_trace_disabled = true", &[], debug).1;
    assert_order(
        &trace,
        &["WARNING: CI_DEBUG_TRACE: usage is disabled on this runner\n", "\n42\n", "\n43\n"],
    );
    assert_none(&trace, &["\n+ "]);
}

#[test]
fn script_scenario_35_the_runners_scripts_surround_the_script_in_its_shell() {
    let entry = "pre_build_script = \"X=set; echo pre\"\npost_build_script = \"echo post $Y\"";
    let (end, trace) = run(entry, &["echo \"script $X\"; Y=too"], json!({}));
    assert_eq!(end, success());
    assert_order(&trace, &["\npre\n", "\nscript set\n", "\npost too\n"]);
    let (end, trace) = run(entry, &["exit 5"], json!({}));
    assert_eq!(end, failed("script_failure", Some(5)));
    assert_order(&trace, &["\npre\n", "Job failed: exit code 5\n"]);
    assert_none(&trace, &["post"]);
}

#[test]
fn script_scenario_37_conditions_of_a_step_are_the_servers_business() {
    let steps = json!([
        { "name": "script", "script": ["echo first"], "when": "on_failure", "timeout": 1 },
        { "name": "more", "script": ["exit 6"], "allow_failure": true },
        { "name": "never", "script": ["echo never"], "when": "always" },
    ]);
    let (end, trace) = run("", &[], json!({ "steps": steps }));
    assert_eq!(end, failed("script_failure", Some(6)));
    assert_order(&trace, &["\nfirst\n", "Executing \"step_more\" stage of the job script\n"]);
    assert_none(&trace, &["never"]);
}

#[test]
fn script_scenario_39_a_failing_after_script_is_a_warning() {
    let (end, trace) = run("", &[], json!({ "steps": steps(&["true"], &["false"]) }));
    assert_eq!(end, success());
    let warning = "WARNING: after_script failed, but job will continue unaffected: exit code 1\n";
    assert_order(&trace, &[warning, "Job succeeded\n"]);
}

#[test]
fn script_scenario_41_the_scripts_own_limit_leaves_time_for_the_rest() {
    let artifacts = json!([
        { "paths": ["a"], "when": "on_failure", "name": "bad", "artifact_type": "archive", "artifact_format": "zip" },
    ]);
    let changes = json!({
        "steps": steps(&["echo content > a; echo here", "sleep 1000"], &["echo \"after: $CI_JOB_STATUS\""]),
        "variables": [variable("RUNNER_SCRIPT_TIMEOUT", "1s")],
        "artifacts": artifacts,
    });
    let (end, trace) = run("", &[], changes);
    assert_eq!(end, failed("job_execution_timeout", None));
    assert_order(
        &trace,
        &[
            "\nhere\n",
            "after: timedout\n",
            "Uploading artifacts for failed job\n",
            "Cleaning up project directory and file based variables\n",
            "ERROR: Job failed: the script took longer than 1s\n",
        ],
    );
}

/// Scripts are written for every shell: the flag that the official runner needs for dash changes nothing here.
#[test]
fn script_scenario_45_the_smallest_shell_is_good_enough() {
    let odd = "it's \"a\" $HOME `b` \\ ;&|\nsecond line ä";
    let print = "printf '%s' \"$ODD\" > odd; printf 'it has %s bytes\\n' \"$(wc -c < odd | tr -d ' ')\"";
    for flag in ["false", "true"] {
        let odd = json!({ "key": "ODD", "value": odd, "public": true, "raw": true });
        let variables = json!([odd, variable("FF_POSIXLY_CORRECT_ESCAPES", flag)]);
        let (end, trace) = run("shell = \"sh\"", &[print], json!({ "variables": variables }));
        assert_eq!(end, success(), "{trace}");
        assert_order(&trace, &["Using Shell (sh) executor...\n", "it has 39 bytes\n"]);
    }
}

#[test]
fn script_scenario_121_nothing_of_the_job_stays_beside_its_project() {
    let mut house = House::new();
    let script =
        "echo X=1 >> \"$GITLAB_ENV\"; ls -A \"$RUNNER_TEMP_PROJECT_DIR\" | sort; echo content > kept";
    let id = house.run(job(
        &[script],
        json!({
            "variables": [
                { "key": "FILE", "value": "content", "file": true, "public": true },
                { "key": "SECRET_FILE", "value": "hidden content", "file": true, "masked": true },
            ],
        }),
    ));
    assert_eq!(house.end(id), success());
    assert_order(&house.trace(id), &["\nFILE\n", "SECRET_FILE\n", "gitlab_runner_env\n"]);
    assert_eq!(house.sections(id).last().map(String::as_str), Some("cleanup_file_variables"));
    let temp = house.project().with_extension("tmp");
    assert!(!temp.exists() && house.project().join("kept").exists(), "{}", temp.display());
}

#[test]
fn script_scenario_133_folders_are_named_after_runner_slot_and_project() {
    let mut house = House::new();
    let print = "echo \"in $PWD of $CI_PROJECT_DIR in $CI_BUILDS_DIR\"";
    let id = house.run(job(&[print], json!({ "cache": [{ "key": "k", "paths": ["a"] }] })));
    assert_eq!(house.end(id), success());
    assert_eq!(house.short_token.len(), 9);
    let (project, builds) = (house.project(), house.surroundings.path("work/builds"));
    let said = format!("in {0} of {0} in {1}\n", project.display(), builds.display());
    assert_order(&house.trace(id), &[&said]);
    assert!(project.is_dir() && house.surroundings.path("work/cache").is_dir());
}

/// The current folder has a name in the configuration.
#[test]
fn folders_may_be_named_from_the_working_directory_on() {
    let mut house = House::with("builds_dir = \"$PWD/here\"\ncache_dir = \"caches\"");
    let id = house.run(job(&["echo \"in $CI_BUILDS_DIR\""], json!({})));
    assert_eq!(house.end(id), success());
    let said = format!("in {}\n", house.surroundings.path("work/here").display());
    assert_order(&house.trace(id), &[&said]);
    assert!(house.surroundings.path("work/caches").is_dir());
}

/// On a machine that jobs share, none of them chooses where its project lies unless the runner allows it.
#[test]
fn a_jobs_own_folder_needs_the_runners_consent() {
    let own = |entry: &str, path: &str| {
        let (end, trace) = run(entry, &["pwd"], json!({ "variables": [variable("GIT_CLONE_PATH", path)] }));
        (end.1, trace)
    };
    let (reason, trace) = own("", "$CI_BUILDS_DIR/own");
    assert_eq!(reason.as_deref(), Some("script_failure"), "the nearest word for an error of configuration");
    let refusal = "ERROR: Job failed: setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir`";
    assert_order(&trace, &[refusal]);
    let consent = "[runners.custom_build_dir]\nenabled = true";
    let (reason, trace) = own(consent, "$CI_BUILDS_DIR/own");
    assert_eq!(reason, None, "{trace}");
    assert_order(&trace, &["/builds/own\n"]);
    assert_order(&own(consent, "/tmp").1, &["the GIT_CLONE_PATH=\"/tmp\" has to be within "]);
}

/// Running jobs as another user is refused by name: they must not run as whoever runs the program.
#[test]
fn script_scenario_135_another_user_for_jobs_is_refused_by_name() {
    let surroundings = Surroundings::new();
    let entry = "[[runners]]\nurl = \"http://127.0.0.1:1\"\ntoken = \"t\"\nexecutor = \"shell\"\n";
    surroundings.write("config.toml", &format!("concurrent = 1\n{entry}"));
    let answer = surroundings.runner(&["run", "--user", "ci"]).expect(2);
    assert!(
        answer.err.contains("not supported: --user: jobs run as the user of this process"),
        "{}",
        answer.err
    );
    surroundings.write("config.toml", &format!("concurrent = 1\nuser = \"ci\"\n{entry}"));
    let answer = surroundings.runner(&["run"]).expect(2);
    assert!(
        answer.err.contains("not supported: user (") && answer.err.contains("config.toml:2)"),
        "{}",
        answer.err
    );
}

/// The state of the coordinator is that of a user's page: a canceled job is canceled there.
#[test]
fn script_scenario_43_a_job_that_is_canceled_before_it_starts_is_not_run() {
    let mut house = House::new();
    let id = house.enqueue(job(&["echo never"], json!({})));
    house.gitlab.handle().cancel(id, false);
    assert_eq!(house.gitlab.handle().state(id), Some(JobState::Canceled));
    let next = house.run(job(&["echo next"], json!({})));
    assert_eq!(house.end(next), success());
    assert_eq!(house.trace(id), "");
}
