//! `image` and `services`.

use serde_json::{Map, Value, json};

use crate::pipeline::{Image, Service, Variable};

pub(super) fn image(image: &Image) -> Value {
    json!({
        "name": image.name,
        "entrypoint": image.entrypoint,
        "ports": [],
        "executor_opts": executor_opts(image),
        "pull_policy": pull_policy(image),
    })
}

pub(super) fn service(service: &Service) -> Value {
    let Service { image, alias, command, variables } = service;
    json!({
        "name": image.name,
        "alias": alias,
        "command": command,
        "entrypoint": image.entrypoint,
        "ports": [],
        "executor_opts": executor_opts(image),
        "pull_policy": pull_policy(image),
        "variables": variables.iter().map(variable).collect::<Vec<_>>(),
    })
}

fn variable(variable: &Variable) -> Value {
    let mut entry = json!({"key": variable.key, "value": variable.value});
    if variable.raw {
        entry["raw"] = true.into();
    }
    entry
}

fn pull_policy(image: &Image) -> Value {
    if image.pull_policy.is_empty() { Value::Null } else { json!(image.pull_policy) }
}

/// Only what was given: a runner fails a job that asks for options it does not know.
fn executor_opts(image: &Image) -> Value {
    let object = |entries: &[(&str, &Option<String>)]| {
        let given =
            entries.iter().filter_map(|(key, value)| Some(((*key).to_owned(), json!(value.as_ref()?))));
        given.collect::<Map<String, Value>>()
    };
    let docker = object(&[("platform", &image.docker_platform), ("user", &image.docker_user)]);
    let kubernetes = object(&[("user", &image.kubernetes_user)]);
    let mut options = Map::new();
    for (executor, entries) in [("docker", docker), ("kubernetes", kubernetes)] {
        if !entries.is_empty() {
            options.insert(executor.to_owned(), entries.into());
        }
    }
    options.into()
}
