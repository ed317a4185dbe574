//! Payloads that are odd as a whole: depth, size, encoding, keys.

use runner_api::payload::Warning;
use runner_api::{Job, JobToken};

fn job(text: &str) -> Job {
    Job::from_json(text).unwrap_or_else(|lost| panic!("{lost}"))
}

fn paths(job: &Job) -> Vec<&str> {
    job.warnings().iter().map(Warning::path).collect()
}

#[test]
fn depth_costs_a_field_and_no_stack() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for value in [deep("[", "]"), deep("{\"a\":", "}").replace(":}", ":1}")] {
        for field in ["new", "steps", "git_info", "image", "secrets", "run", "variables"] {
            let job = job(&format!(r#"{{"id": 1, "{field}": {value}, "token": "t"}}"#));
            assert_eq!((job.id, job.token.expose()), (1, "t"), "{field}");
        }
        let input = format!(
            r#"{{"id": 1, "token": "t", "inputs": [{{"key": "k", "value": {{"content": {value}}}}}]}}"#
        );
        assert_eq!(paths(&job(&input)), ["$.inputs[0].value.content"]);

        let broken =
            Job::from_json(format!(r#"{{"id": 1, "token": "t", "new": {}"#, &value[..value.len() / 2]))
                .unwrap_err();
        assert_eq!((broken.id(), broken.token().is_some()), (Some(1), true));
    }
}

#[test]
fn huge_numbers_cost_their_field() {
    let digits = "9".repeat(100_000);
    let job = job(&format!(
        r#"{{"id": 1, "token": "t", "runner_info": {{"timeout": {digits}, "uuid": {digits}}},
            "job_info": {{"time_in_queue_seconds": 1e99999, "queue_size": -0.5, "user_id": 1e400}}}}"#
    ));
    assert_eq!(
        paths(&job),
        [
            "$.job_info.user_id",
            "$.job_info.time_in_queue_seconds",
            "$.job_info.queue_size",
            "$.runner_info.timeout"
        ]
    );
    assert_eq!(job.runner_info.uuid, digits);
}

#[test]
fn ids_in_other_forms() {
    for id in ["42", "\"42\"", "42.0", "4.2e1", "\" 42 \"", "\"42.0\""] {
        assert_eq!(job(&format!(r#"{{"id": {id}, "token": "t"}}"#)).id, 42, "{id}");
    }
    assert_eq!(job(r#"{"id": 18446744073709551615, "token": 7}"#).id, u64::MAX);
    for id in ["-1", "4.5", "1e99", "\"x\"", "true", "[42]", "18446744073709551616"] {
        let broken = Job::from_json(format!(r#"{{"id": {id}, "token": "t"}}"#)).unwrap_err();
        assert_eq!((broken.id(), broken.token().map(JobToken::expose)), (None, Some("t")), "{id}");
        let repeated =
            Job::from_json(format!(r#"{{"id": {id}, "token": "t", "job_info": {{"id": 42}}}}"#)).unwrap_err();
        assert_eq!(repeated.id(), Some(42), "{id}");
    }
}

#[test]
fn keys_in_other_letter_case_and_twice() {
    let job = job(
        r#"{"ID": 1, "Token": "t", "GIT_INFO": {"Ref": "a", "sha": "b", "SHA": "c"}, "job_info": {"name": "first"},
            "job_info": {"name": "last"}, "job_info": null, "Run": "x"}"#,
    );
    assert_eq!((job.id, job.token.expose(), job.run.as_deref()), (1, "t", Some("x")));
    assert_eq!((job.git_info.ref_name.as_str(), job.git_info.sha.as_str()), ("a", "b"));
    assert_eq!(job.job_info.name, "last");
    assert_eq!((job.warnings(), job.unknown_fields()), (&[][..], &[][..]));
}

#[test]
fn texts_that_are_no_unicode() {
    let job = job(
        "\u{feff}{\"id\": 1, \"token\": \"t\", \"\\udc00\": 1, \"variables\": [{\"key\": \"A\", \"value\": \"x\\ud800y\\u0000\"}]}",
    );
    assert_eq!(job.variable("A"), Some("x\u{fffd}y\0"));
    assert_eq!(job.unknown_fields()[0].path(), "$.\u{fffd}");
    assert_eq!(job.warnings(), []);
}

#[test]
fn almost_json_can_be_failed() {
    for text in [
        "{\"id\": 1, \"token\": \"t\", \"steps\": [\"a\nb\"]}",
        "{\"id\": 1, \"x\": NaN, \"token\": \"t\"}",
        "{\"id\": 1, \"token\": \"t\",}",
        "{\"id\": 1, \"token\": \"t\"}{\"id\": 2, \"token\": \"u\"}",
        "{\"id\": 1, \"token\": \"t\"}<html>",
        "while(1);{\"id\": 1, \"token\": \"t\"}",
    ] {
        let broken = Job::from_json(text).unwrap_err();
        assert_eq!((broken.id(), broken.token().map(JobToken::expose)), (Some(1), Some("t")), "{text}");
    }
}

#[test]
fn scripts_that_are_lost_are_told_apart() {
    for (field, lost) in [
        (r#""steps": 5"#, true),
        (r#""steps": [5]"#, true),
        (r#""steps": [{"name": {}}]"#, true),
        (r#""steps": [{"script": ["a", []]}]"#, true),
        (r#""run": true, "steps": [{"script": "make"}]"#, false),
        (r#""steps": [{"timeout": [], "when": {}}]"#, false),
        (r#""image": 5, "variables": 5"#, false),
        (r#""run": [{"name": "s"}]"#, false),
    ] {
        let job = job(&format!(r#"{{"id": 1, "token": "t", {field}}}"#));
        assert_eq!(job.lost_script().is_some(), lost, "{field}: {:?}", job.warnings());
    }
    assert_eq!(
        job(r#"{"id": 1, "token": "t", "run": [{"name": "s"}]}"#).run.as_deref(),
        Some(r#"[{"name": "s"}]"#)
    );
    assert_eq!(job(r#"{"id": 1, "token": "t", "steps": [{"script": "make"}]}"#).steps[0].script, ["make"]);
}

#[test]
fn the_text_of_what_cannot_be_a_job_is_kept_as_it_was() {
    for text in ["\n\n1", " {\"id\": 1} \n", "\u{feff}[]", "", "<html>"] {
        assert_eq!(Job::from_json(text).unwrap_err().raw().expose(), text);
    }
}
