//! How variables reach scripts: in the text, by the environment, as files, and from stage to stage.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod script_support;

use std::fs;

use runner_core::executor::StageInput;
use runner_core::plan::StageKind;
use script_support::{Fixture, Ran, shells, variable};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

fn fixture(script: &[&str], variables: &Value) -> Fixture {
    let after = ["echo \"after: $X\""];
    let fixture = Fixture::in_folders(&json!({
        "steps": [{"name": "script", "script": script}, {"name": "after_script", "script": after}],
        "variables": variables,
    }));
    fs::create_dir_all(fixture.project()).unwrap();
    fixture
}

#[track_caller]
fn run_all(fixture: &Fixture) -> Ran {
    let input = fixture.script(StageKind::Step);
    let mut last = None;
    for shell in shells() {
        last = Some(fixture.run_with(&shell, &input).success());
    }
    last.unwrap()
}

fn secret<'a>(input: &'a StageInput, key: &str) -> Option<&'a str> {
    input.secrets.iter().find(|secret| secret.key == key).map(|secret| secret.value.expose_secret())
}

#[test]
fn values_arrive_as_they_were() {
    let odd = "a'b \"c\" $HOME `id` \\ ;&|\n second line ä\t";
    let fixture = fixture(
        &[
            "printf '%s' \"$PUBLIC\" > public",
            "printf '%s' \"$HIDDEN\" > hidden",
            "printf '%s' \"$EMPTY|${EMPTY-unset}\" > empty",
        ],
        &json!([
            {"key": "PUBLIC", "value": odd, "public": true, "raw": true},
            {"key": "HIDDEN", "value": odd, "masked": true, "raw": true},
            variable("EMPTY", ""),
        ]),
    );
    for shell in shells() {
        fixture.run_with(&shell, &fixture.script(StageKind::Step)).success();
        for name in ["public", "hidden"] {
            assert_eq!(fs::read_to_string(fixture.project().join(name)).unwrap(), odd, "{shell:?}");
        }
        assert_eq!(fs::read_to_string(fixture.project().join("empty")).unwrap(), "|");
    }
}

#[test]
fn script_scenario_04_05_file_variables() {
    let fixture = fixture(
        &["cat \"$F\"; echo .", "cat \"$S\"; echo .", "echo \"$G\""],
        &json!([
            {"key": "F", "value": "line1\nline2", "file": true, "public": true},
            {"key": "S", "value": "hidden1\n-e hidden2\n", "file": true, "masked": true},
            variable("G", "path=$F"),
        ]),
    );
    let lines = run_all(&fixture).lines();
    let temp = fixture.temp();
    let printed: Vec<_> = lines.iter().filter(|line| !line.starts_with('$')).cloned().collect();
    let path = format!("path={}/F", temp.display());
    assert_eq!(printed, ["line1", "line2.", "hidden1", "-e hidden2", ".", path.as_str()]);
    assert_eq!(fs::read_to_string(temp.join("F")).unwrap(), "line1\nline2");
    fixture.run(StageKind::CleanupFileVariables).success();
    assert!(!temp.exists());
}

#[test]
fn what_may_be_secret_travels_beside_the_script() {
    let fixture = fixture(
        &["true"],
        &json!([
            variable("OPEN", "open-value"),
            {"key": "MASKED", "value": "masked-value", "masked": true, "public": true},
            {"key": "PRIVATE", "value": "private-value"},
            variable("DERIVED", "see masked-value here"),
            variable("EXPANDED", "x${MASKED}x"),
            {"key": "CI_JOB_TOKEN", "value": script_support::JOB_TOKEN},
            variable("CI_REPOSITORY_URL", &format!("https://u:{}@h/x.git", script_support::JOB_TOKEN)),
            {"key": "KEY_FILE", "value": "file-content-is-secret", "file": true},
            {"key": "HIDDEN_BY_LATER", "value": "hidden-by-later", "masked": true},
            variable("HIDDEN_BY_LATER", "open-again"),
        ]),
    );
    for kind in [StageKind::GetSources, StageKind::Step, StageKind::CleanupFileVariables] {
        let input = fixture.script(kind);
        for text in
            ["masked-value", "private-value", "file-content", script_support::JOB_TOKEN, "hidden-by-later"]
        {
            assert!(!input.script.contains(text), "{kind:?} {text}");
        }
        assert!(input.script.contains("OPEN=open-value"));
        assert_eq!(secret(&input, "EXPANDED"), Some("xmasked-valuex"));
        assert_eq!(secret(&input, "PRIVATE"), Some("private-value"));
        assert_eq!(secret(&input, "OPEN"), None);
        assert_eq!(secret(&input, "HIDDEN_BY_LATER"), None);
    }
    let input = fixture.script(StageKind::Step);
    let file = input.secrets.iter().find(|secret| secret.file.is_some()).unwrap();
    assert_eq!(file.file.as_deref(), Some(format!("{}/KEY_FILE", fixture.temp().display()).as_str()));
    let cleanup = fixture.script(StageKind::CleanupFileVariables);
    assert!(cleanup.secrets.iter().all(|secret| secret.file.is_none()));
    assert!(!format!("{input:?}").contains("private-value"));
}

#[test]
fn names_that_no_shell_accepts_are_left_out_with_a_warning() {
    let fixture = fixture(
        &["echo \"$OK\""],
        &json!([
            variable("a-b", "1"), variable("1A", "2"), variable("x;touch /tmp/pwned;", "3"), variable("", "4"),
            {"key": "../../evil", "value": "5", "file": true}, variable("OK", "fine"),
        ]),
    );
    assert!(run_all(&fixture).text().ends_with("\nfine\n"));
    let warned =
        fixture.plan().warnings().iter().filter(|line| line.contains("shells do not accept")).count();
    assert_eq!(warned, 5);
}

#[test]
fn script_scenario_17_later_stages_get_what_earlier_ones_wrote() {
    let fixture = fixture(&["echo X=1 >> $GITLAB_ENV"], &json!([variable("X", "from the job")]));
    run_all(&fixture);
    let ran = fixture.run(StageKind::AfterScript).success();
    assert_eq!(ran.lines().last().map(String::as_str), Some("after: 1"));
}

#[test]
fn the_environment_file_is_read_kindly() {
    let fixture = fixture(
        &["printf '%s|' \"$A\" \"$B\" \"$C\" \"$D\" \"$E\"; echo; env | grep -c '^_runner' || :"],
        &json!([]),
    );
    fs::create_dir_all(fixture.temp()).unwrap();
    let lines = [
        "# a comment",
        "",
        "A=one two",
        "  \t B=\"quoted\" \t",
        "   # another",
        "bad-name=1",
        "1X=2",
        "=3",
        "ü=4",
        "C=a=b \\n $HOME `id` '",
        "HOME",
        "A=later",
        "D=#kept",
        "E=no line end",
    ];
    for shell in shells() {
        fs::write(fixture.temp().join("gitlab_runner_env"), lines.join("\n")).unwrap();
        let ran = fixture.run_with(&shell, &fixture.script(StageKind::Step)).success();
        let text = ran.text();
        assert!(
            text.contains("\nlater|\"quoted\"|a=b \\n $HOME `id` '|#kept|no line end|\n0\n"),
            "{shell:?} {text}"
        );
        let warnings: Vec<_> = text.lines().filter(|line| line.starts_with("WARNING: ")).collect();
        assert_eq!(warnings.len(), 4, "{shell:?} {text}");
        assert_eq!(warnings[0], "WARNING: GITLAB_ENV: ignored \"bad-name\": not the name of a variable");
    }
}

#[test]
fn a_readonly_variable_in_the_environment_file_is_told() {
    let fixture = fixture(&["echo done"], &json!([]));
    fs::create_dir_all(fixture.temp()).unwrap();
    fs::write(fixture.temp().join("gitlab_runner_env"), "UID=5\n").unwrap();
    let ran = fixture.run(StageKind::Step).success();
    assert!(ran.text().contains("WARNING: GITLAB_ENV: cannot set UID\n"), "{}", ran.text());
}

#[test]
fn a_job_begins_without_the_files_of_another() {
    let fixture = fixture(&["true"], &json!([]));
    let stale = fixture.temp().join("git-template");
    fs::create_dir_all(&stale).unwrap();
    fs::write(fixture.temp().join("gitlab_runner_env"), "X=stale\n").unwrap();
    let ran = fixture.run(StageKind::PrepareScript).success();
    assert!(!fixture.temp().exists());
    assert!(ran.text().starts_with("Running on ") && ran.text().ends_with("...\n"), "{}", ran.text());
}

#[test]
fn the_greeting_names_the_host_that_is_known() {
    let mut fixture = fixture(&["true"], &json!([]));
    fixture.place.hostname = Some("the manager".to_owned());
    let ran = fixture.run(StageKind::PrepareScript).success();
    assert!(ran.text().ends_with(" via the manager...\n"), "{}", ran.text());
}
