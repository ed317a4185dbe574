//! Variables of whole jobs: numbers 1 to 19 of the scenarios of scripts.

use serde_json::{Value, json};

use super::house::{House, assert_none, assert_order, job, steps, success, variable};

/// Runs a job with these variables; its log.
fn said(house: &mut House, script: &[&str], variables: &Value) -> String {
    let id = house.run(job(script, json!({ "variables": variables })));
    assert_eq!(house.end(id), success(), "{}", house.trace(id));
    house.trace(id)
}

#[test]
fn script_scenario_01_03_references_are_replaced_once_and_as_documented() {
    let variables = json!([
        variable("A", "$B"),
        variable("B", "$C"),
        variable("C", "1"),
        variable("D", "x$$y"),
        variable("E", "${NOPE}z"),
        variable("F", "$"),
        variable("G", "${A"),
        variable("H", "${X:-d}"),
    ]);
    let print = r#"printf '<%s>' "$A" "$B" "$C" "$D" "$E" "$F" "$G" "${H-unset}"; echo"#;
    let trace = said(&mut House::new(), &[print], &variables);
    assert_order(&trace, &["<$C><1><1><x$y><z><$><A><>\n"]);
}

#[test]
fn script_scenario_04_05_a_file_variable_is_a_file_while_the_job_runs() {
    let mut house = House::new();
    let variables = json!([
        { "key": "F", "value": "line1\nline2", "file": true, "public": true },
        variable("G", "path=$F"),
    ]);
    let trace =
        said(&mut house, &["echo \"at $F\"; echo \"$G\"; od -An -c \"$F\" | tr -d ' \\n'; echo"], &variables);
    let path = house.project().with_extension("tmp").join("F");
    let parts = [format!("at {}\n", path.display()), format!("path={}\n", path.display())];
    assert_order(&trace, &[&parts[0], &parts[1], "line1\\nline2\n"]);
    assert!(!path.parent().unwrap().exists(), "{}", path.display());
}

#[test]
fn script_scenario_07_09_15_what_the_runner_says_and_what_the_job_says() {
    let entry = "environment = [\"K=cfg\", \"L=$CI_PROJECT_ID\"]\n[runners.feature_flags]\nFF_SCRIPT_SECTIONS = false";
    let variables = json!([
        variable("K", "job"),
        variable("CI_PROJECT_ID", "1"),
        variable("CI_RUNNER_VERSION", "x"),
        variable("FF_SCRIPT_SECTIONS", "true"),
    ]);
    let print = "echo \"<$K><$L><$CI_RUNNER_VERSION><$FF_SCRIPT_SECTIONS>\"";
    let trace = said(&mut House::with(entry), &[print, "echo \\\n  lines"], &variables);
    assert_order(&trace, &[&format!("<job><1><{}><false>\n", env!("CARGO_PKG_VERSION")), "\nlines\n"]);
    assert_none(&trace, &["section_script_step"]);
}

#[test]
fn script_scenario_11_13_what_must_not_be_seen_is_not_seen() {
    let variables = json!([{ "key": "PASSWORD", "value": "s3cret", "masked": true }]);
    let script =
        ["printf s3c; sleep 0.1; printf ret; echo", "echo \"https://h/?x-amz-signature=deadbeef&b=1\""];
    let trace = said(&mut House::new(), &script, &variables);
    assert_order(&trace, &["\n[MASKED]\n", "\nhttps://h/?x-amz-signature=[MASKED]&b=1\n"]);
    // In the line that shows the command, too.
    assert_eq!(trace.matches("[MASKED]").count(), 3, "{trace}");
    assert_none(&trace, &["s3cret", "deadbeef"]);
}

#[test]
fn script_scenario_17_what_a_stage_leaves_is_there_in_the_next() {
    let mut house = House::new();
    let steps = steps(&["echo X=1 >> $GITLAB_ENV"], &["echo \"X is $X\""]);
    let id = house.run(job(&[], json!({ "steps": steps })));
    assert_order(&house.trace(id), &["X is 1\n", "Job succeeded\n"]);
}

/// The half of the shell executor.
#[test]
fn script_scenario_19_a_machine_is_shared() {
    let print = "echo \"<${CI_SHARED_ENVIRONMENT-unset}><${CI_DISPOSABLE_ENVIRONMENT-unset}>\"";
    assert_order(&said(&mut House::new(), &[print], &json!([])), &["\n<true><unset>\n"]);
}
