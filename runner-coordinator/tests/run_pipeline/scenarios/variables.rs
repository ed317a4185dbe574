//! Variables: levels, expansion, dotenv, environments.

use runner_coordinator::pipeline::JobEnvironment;
use runner_coordinator::run::{Finished, GitRef, JobVariable, PipelineRun};

use crate::support::{Driver, entry, job, need, needs, pipeline, settings, value, variable, with};

#[test]
fn scenario_31_server_expands_known_names_only() {
    let a = with(job("a", "test"), |job| job.variables = vec![variable("B", "$A-$C"), variable("A", "x")]);
    assert_eq!(value(Driver::new(vec![a]).payload("a"), "B"), Some("x-$C"));
}

#[test]
fn scenario_33_expand_false() {
    let a = with(job("a", "test"), |job| {
        job.variables = vec![variable("A", "$B"), variable("B", "b"), variable("C", "$A")];
        job.variables[0].raw = true;
    });
    let driver = Driver::new(vec![a]);
    let payload = driver.payload("a");
    assert_eq!(entry(payload, "A").unwrap()["raw"], true);
    assert_eq!((value(payload, "A"), value(payload, "C")), (Some("$B"), Some("$A")));
    assert_eq!(entry(payload, "C").unwrap().get("raw"), None);
}

#[test]
fn scenario_35_levels_of_variables() {
    let a = || {
        with(job("a", "test"), |job| {
            job.variables =
                vec![variable("GITLAB_USER_LOGIN", "z"), variable("X", "yaml"), variable("Y", "$X")];
        })
    };
    let driver = Driver::new(vec![a()]);
    assert_eq!(value(driver.payload("a"), "GITLAB_USER_LOGIN"), Some("ada"));
    assert_eq!(value(driver.payload("a"), "Y"), Some("yaml"));

    let mut settings = settings();
    settings.project_variables = vec![JobVariable::masked("X", "project"), JobVariable::hidden("P", "p")];
    settings.pipeline_variables = vec![JobVariable::new("GITLAB_USER_LOGIN", "cli")];
    let driver = Driver::with_settings(vec![a()], settings.clone());
    let payload = driver.payload("a");
    assert_eq!(value(payload, "GITLAB_USER_LOGIN"), Some("cli"));
    assert_eq!(value(payload, "Y"), Some("project"));
    assert_eq!(entry(payload, "X").unwrap()["masked"], true);
    assert_eq!(entry(payload, "P").unwrap()["public"], false);

    settings.pipeline_variables.push(JobVariable { file: true, ..JobVariable::hidden("X", "cli") });
    let driver = Driver::with_settings(vec![a()], settings);
    assert_eq!(value(driver.payload("a"), "X"), Some("cli"));
    assert_eq!(entry(driver.payload("a"), "X").unwrap()["file"], true);
    assert_eq!(value(driver.payload("a"), "Y"), Some("$X"), "the runner knows the path of a file variable");
}

#[test]
fn scenario_37_tag() {
    let mut settings = settings();
    settings.facts.git_ref = GitRef::Tag { name: "v1".to_owned(), message: None };
    let driver = Driver::with_settings(vec![job("a", "test")], settings);
    let payload = driver.payload("a");
    assert_eq!(value(payload, "CI_COMMIT_TAG"), Some("v1"));
    assert_eq!(value(payload, "CI_COMMIT_REF_NAME"), Some("v1"));
    assert_eq!(value(payload, "CI_COMMIT_BRANCH"), None);
    assert_eq!(payload["git_info"]["ref_type"], "tag");
    assert_eq!(
        payload["git_info"]["refspecs"],
        serde_json::json!(["+refs/pipelines/7:refs/pipelines/7", "+refs/tags/v1:refs/tags/v1"])
    );
}

// The rest of scenario 57 is in the payload and dotenv tests.
#[test]
fn scenario_57_dotenv_beats_yaml_in_later_stages() {
    let with_x = |job| with(job, |job| job.variables = vec![variable("X", "yaml")]);
    let mut driver = Driver::new(vec![
        job("a", "build"),
        job("b", "build"),
        with_x(job("later", "test")),
        with_x(with(needs(job("other", "test"), &["a"]), |job| {
            job.needs = Some(vec![runner_coordinator::pipeline::Need { artifacts: false, ..need("a") }]);
        })),
        with_x(with(job("none", "test"), |job| job.dependencies = Some(Vec::new()))),
    ]);
    let dotenv = |value: &str| Finished {
        dotenv: vec![("X".to_owned(), value.to_owned()), ("Y".to_owned(), "$X!".to_owned())],
        ..Finished::success()
    };
    driver.finish("a", dotenv("from a"));
    driver.finish("b", dotenv("from b"));
    assert_eq!(value(driver.payload("later"), "X"), Some("from b"));
    assert_eq!(value(driver.payload("later"), "Y"), Some("from b!"));
    assert_eq!(value(driver.payload("other"), "X"), Some("yaml"));
    assert_eq!(value(driver.payload("none"), "X"), Some("yaml"));
    assert_eq!(driver.payload("later")["artifacts"], serde_json::Value::Null);
}

#[test]
fn environments() {
    let a = with(job("a", "deploy"), |job| {
        job.variables = vec![variable("APP", "shop")];
        job.environment = Some(JobEnvironment {
            name: "review/$APP".to_owned(),
            url: Some("https://$CI_ENVIRONMENT_SLUG.example.org".to_owned()),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let driver = Driver::new(vec![a]);
    let payload = driver.payload("a");
    let slug = runner_coordinator::run::environment_slug("review/shop");
    assert_eq!(value(payload, "CI_ENVIRONMENT_NAME"), Some("review/shop"));
    assert_eq!(value(payload, "CI_ENVIRONMENT_TIER"), Some("development"));
    assert_eq!(value(payload, "CI_ENVIRONMENT_ACTION"), Some("start"));
    assert_eq!(value(payload, "CI_ENVIRONMENT_SLUG"), Some(slug.as_str()));
    assert_eq!(value(payload, "CI_ENVIRONMENT_URL"), Some(format!("https://{slug}.example.org").as_str()));
}

#[test]
fn the_address_of_an_environment_may_come_from_the_job_itself() {
    let a = with(job("a", "deploy"), |job| {
        job.environment = Some(JobEnvironment {
            name: "demo".to_owned(),
            url: Some("$ADDRESS".to_owned()),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let mut driver = Driver::new(vec![a]);
    let dotenv = vec![("ADDRESS".to_owned(), "https://demo.example.org".to_owned())];
    driver.finish("a", Finished { dotenv, ..Finished::success() });
    assert_eq!(driver.run.environment("a"), Some(("demo".to_owned(), "https://demo.example.org".to_owned())));
}

#[test]
fn a_circle_through_dotenv_is_noted_not_fatal() {
    let later = with(job("later", "test"), |job| job.variables = vec![variable("A", "$B")]);
    let mut driver = Driver::new(vec![job("first", "build"), later]);
    let dotenv = vec![("B".to_owned(), "$A".to_owned())];
    driver.finish("first", Finished { dotenv, ..Finished::success() });
    assert_eq!(value(driver.payload("later"), "A"), Some("$B"));
    assert_eq!(driver.notes.len(), 1, "{:?}", driver.notes);
}

#[test]
fn every_definition_of_a_variable_tells_where_it_comes_from() {
    let a = with(job("a", "test"), |job| {
        job.variables = vec![variable("A", "$B"), variable("B", "file"), variable("GITLAB_USER_LOGIN", "z")];
        job.environment = Some(JobEnvironment {
            name: "prod".to_owned(),
            url: Some("https://$A".to_owned()),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let mut settings = settings();
    settings.project_variables =
        vec![JobVariable::hidden("P", "project"), JobVariable::hidden("B", "project")];
    settings.pipeline_variables = vec![JobVariable::new("B", "line")];
    let run = PipelineRun::new(pipeline(vec![a]), settings).unwrap();
    let all = run.variables("a").unwrap();
    let shown = |name: &str| {
        let of_name = all.iter().filter(|definition| definition.variable.key == name);
        let each = of_name.map(|definition| {
            let over = if definition.overridden { " (overridden)" } else { "" };
            format!("{:?} {}{over}", definition.level, definition.variable.value)
        });
        each.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(shown("A"), "File line");
    assert_eq!(shown("B"), "File file (overridden), Project project (overridden), Pipeline line");
    assert_eq!(shown("P"), "Project project");
    assert_eq!(shown("GITLAB_USER_LOGIN"), "File z (overridden), User ada");
    assert_eq!(shown("CI_ENVIRONMENT_URL"), "Environment https://line");
    assert_eq!(shown("CI_ENVIRONMENT_NAME"), "Predefined prod");
    assert_eq!(shown("CI_COMMIT_BRANCH"), "Predefined main");
    assert_eq!((shown("CI_JOB_TOKEN"), shown("CI_JOB_ID")), (String::new(), String::new()));
    assert!(run.variables("none").is_none());
}
