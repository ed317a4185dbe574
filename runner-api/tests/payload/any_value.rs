//! Whatever stands at any place of a payload: the job is not lost, and only that place is.

use proptest::prelude::*;
use runner_api::Job;
use runner_api::payload::{UnknownField, Warning};
use serde_json::{Value, json};

use super::{FULL, full};

/// The address of every value in a payload.
pub(crate) fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    if !here.is_empty() {
        all.push(here.to_owned());
    }
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| pointers(value, &format!("{here}/{key}"), all));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| pointers(item, &format!("{here}/{at}"), all));
        }
        _ => {}
    }
}

/// `/steps/0/name` as warnings have it: `$.steps[0].name`.
pub(crate) fn json_path(pointer: &str) -> String {
    pointer.split('/').skip(1).fold("$".to_owned(), |path, part| match part.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) => format!("{path}.{part}"),
    })
}

/// The names of the top-level fields that differ between two jobs.
pub(crate) fn differences(one: &Job, other: &Job) -> Vec<&'static str> {
    macro_rules! differences {
        ($($field:ident),+) => {
            [$((stringify!($field), one.$field != other.$field)),+]
        };
    }
    differences!(
        id,
        token,
        allow_git_fetch,
        job_info,
        git_info,
        runner_info,
        inputs,
        variables,
        steps,
        image,
        services,
        artifacts,
        cache,
        credentials,
        dependencies,
        features,
        secrets,
        hooks,
        run,
        policy_options,
        suspend_options
    )
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// `value` at `pointer` costs that place at most, and every warning names it or something in it.
fn costs_that_place_only(untouched: &(Value, Job), pointer: &str, value: &Value) {
    let mut payload = untouched.0.clone();
    *payload.pointer_mut(pointer).unwrap() = value.clone();
    let job =
        Job::from_json(payload.to_string()).unwrap_or_else(|lost| panic!("{pointer} = {value}: {lost}"));

    let top = pointer.split('/').nth(1).unwrap();
    let differences = differences(&job, &untouched.1);
    assert!(differences.iter().all(|field| *field == top), "{pointer} = {value}: {differences:?}");

    let place = json_path(pointer);
    for path in
        job.warnings().iter().map(Warning::path).chain(job.unknown_fields().iter().map(UnknownField::path))
    {
        let below = path.strip_prefix(&place);
        assert!(
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
            "{pointer}: {path}"
        );
    }
}

fn untouched() -> (Value, Job) {
    (full(), Job::from_json(FULL).unwrap())
}

fn all_pointers() -> Vec<String> {
    let mut all = Vec::new();
    pointers(&full(), "", &mut all);
    all.retain(|pointer| pointer != "/id" && pointer != "/token");
    all
}

#[test]
fn every_kind_of_scalar_at_every_place() {
    at_every_place(&[
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!("text"),
        json!("7"),
    ]);
}

#[test]
fn every_kind_of_container_at_every_place() {
    at_every_place(&[
        json!([]),
        json!([null]),
        json!([[], {}, 1, "a"]),
        json!({}),
        json!({ "key": {} }),
        json!(""),
    ]);
}

fn at_every_place(values: &[Value]) {
    let untouched = untouched();
    for pointer in all_pointers() {
        values.iter().for_each(|value| costs_that_place_only(&untouched, &pointer, value));
    }
}

/// Keys that mean something somewhere.
const KEYS: &[&str] =
    &["name", "Name", "value", "file", "script", "server", "auth", "data", "docker", "url", "id"];

/// Any JSON value, nested a few levels, with keys that mean something.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof!["\\PC{0,6}", prop::sample::select(KEYS).prop_map(str::to_owned)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_at_any_place(pointer in prop::sample::select(all_pointers()), value in any_json()) {
        costs_that_place_only(&untouched(), &pointer, &value);
    }

    #[test]
    fn any_values_at_several_places(
        changes in prop::collection::vec((prop::sample::select(all_pointers()), any_json()), 1..6)
    ) {
        let mut payload = full();
        for (pointer, value) in changes {
            if let Some(place) = payload.pointer_mut(&pointer) {
                *place = value;
            }
        }
        let job = Job::from_json(payload.to_string()).unwrap();
        prop_assert_eq!((job.id, job.token.expose()), (42, "glcbt-secret"));
        prop_assert!(job.warnings().iter().all(|warning| warning.path().starts_with("$.")));
        super::journal::is_kept(&job);
    }

    #[test]
    fn any_id_and_token_cost_the_job_but_not_its_report(id in any_json(), token in any_json()) {
        let mut payload = full();
        payload["id"] = id;
        payload["token"] = token;
        match Job::from_json(payload.to_string()) {
            Ok(job) => prop_assert!(!job.token.is_empty()),
            // GitLab repeats both elsewhere in the payload.
            Err(job) => prop_assert!(job.id().is_some() && job.token().is_some_and(|token| !token.is_empty())),
        }
    }

    #[test]
    fn any_text_is_no_panic(text in ".{0,200}") {
        if let Err(job) = Job::from_json(text.clone()) {
            prop_assert_eq!(job.raw().expose(), &text);
        }
    }

    #[test]
    fn a_payload_cut_anywhere_keeps_what_came_before(cut in 0..FULL.len() - 2) {
        let cut = FULL.floor_char_boundary(cut);
        let broken = Job::from_json(&FULL[..cut]).unwrap_err();
        let complete = |field: &str| FULL.find(field).unwrap() + field.len();
        prop_assert_eq!(broken.id(), (cut >= complete("\"id\": 42,")).then_some(42));
        prop_assert_eq!(broken.token().is_some(), cut >= complete("\"token\": \"glcbt-secret\""));
        prop_assert_eq!(broken.raw().expose(), &FULL[..cut]);
    }
}
