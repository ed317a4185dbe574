//! Keywords that belong to a server: secrets, id tokens, releases, inputs.

use runner_coordinator::pipeline::{IdToken, JobEnvironment, JobInput, Release, Secret};
use runner_coordinator::run::JobVariable;

use crate::support::{Driver, entry, job, settings, value, with};

#[test]
fn secrets_must_be_given() {
    let asks = |name: &str| {
        with(job(name, "test"), |job| {
            let secret = |name: &str, file| Secret { name: name.to_owned(), file };
            job.secrets = vec![secret("S", true), secret("T", false)];
        })
    };
    let driver = Driver::new(vec![asks("a")]);
    assert_eq!(driver.run.job("a").unwrap().failure_reason(), Some("unmet_prerequisites"));
    assert!(
        driver.notes[0].contains("a: no place of `secrets` is asked here; give S with"),
        "{:?}",
        driver.notes
    );
    let mut settings = settings();
    settings.pipeline_variables = vec![JobVariable::masked("S", "x"), JobVariable::masked("T", "y")];
    let driver = Driver::with_settings(vec![asks("a")], settings);
    let entry = |name| entry(driver.payload("a"), name).unwrap().clone();
    assert_eq!((&entry("S")["file"], &entry("S")["masked"]), (&true.into(), &true.into()));
    assert_eq!(entry("T")["file"], serde_json::Value::Null);
}

#[test]
fn id_tokens_claim_what_is_known() {
    let asks = with(job("a", "test"), |job| {
        let audiences = vec!["https://$CI_SERVER_HOST".to_owned()];
        job.id_tokens = vec![IdToken { name: "T".to_owned(), audiences }];
        job.environment = Some(JobEnvironment {
            name: "prod".to_owned(),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let driver = Driver::new(vec![asks.clone()]);
    let entry = entry(driver.payload("a"), "T").unwrap();
    assert_eq!(entry["masked"], true);
    let claims: serde_json::Value = serde_json::from_str(entry["value"].as_str().unwrap()).unwrap();
    for (key, expected) in [
        ("iss", "https://git.example.org"),
        ("sub", "project_path:group/project:ref_type:branch:ref:main"),
        ("aud", "https://git.example.org"),
        ("project_path", "group/project"),
        ("user_login", "ada"),
        ("ref_protected", "true"),
        ("environment", "prod"),
        ("deployment_tier", "production"),
    ] {
        assert_eq!(claims[key], expected, "{key}");
    }
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert!(
        driver.notes[0].contains("id token T is signed with a key of this run alone"),
        "{:?}",
        driver.notes
    );
    // The user's own token counts.
    let mut settings = settings();
    settings.pipeline_variables = vec![JobVariable::masked("T", "own")];
    let driver = Driver::with_settings(vec![asks], settings);
    assert_eq!(value(driver.payload("a"), "T"), Some("own"));
    assert!(driver.notes.is_empty(), "{:?}", driver.notes);
}

#[test]
fn releases_only_when_asked_for() {
    let release = with(job("a", "test"), |job| {
        job.release = Some(Release {
            tag_name: "v-$CI_COMMIT_BRANCH".to_owned(),
            description: "d".to_owned(),
            ..Release::default()
        });
    });
    let driver = Driver::new(vec![release.clone()]);
    assert_eq!(driver.notes, ["a: would release v-main; nothing is released without --release"]);
    assert_eq!(driver.payload("a")["steps"].as_array().unwrap().len(), 1);
    let mut settings = settings();
    settings.release = true;
    let driver = Driver::with_settings(vec![release], settings);
    let step = &driver.payload("a")["steps"][1];
    assert_eq!(
        (&step["name"], &step["when"], &step["allow_failure"]),
        (&"release".into(), &"on_success".into(), &false.into())
    );
    assert_eq!(
        step["script"],
        serde_json::json!(["release-cli create --description \"d\" --tag-name \"v-$CI_COMMIT_BRANCH\""])
    );
    assert!(driver.notes.is_empty());
}

#[test]
fn inputs_of_a_job_are_sent_with_their_type() {
    let asks = with(job("a", "test"), |job| {
        job.inputs =
            vec![JobInput { name: "n".to_owned(), kind: "number".to_owned(), value: serde_json::json!(3) }];
    });
    let driver = Driver::new(vec![asks]);
    assert_eq!(
        driver.payload("a")["inputs"],
        serde_json::json!([{"key": "n", "value": {"type": "number", "content": 3, "sensitive": false}}])
    );
}
