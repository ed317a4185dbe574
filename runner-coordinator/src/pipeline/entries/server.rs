//! Keywords whose meaning lies on a server: checked here, so that mistakes are found, and then noted or refused.

use super::super::check::Check;
use super::super::error::{Code, CompileError};
use super::super::job::{IdToken, JobInput, Release, Secret};
use super::super::yaml::{Map, Node, Value};

/// Reads `id_tokens`. <https://docs.gitlab.com/ci/yaml/#id_tokens>
pub(crate) fn id_tokens(check: &mut Check, node: &Node, location: &str) -> Vec<IdToken> {
    let Some(map) = node.as_map() else {
        check.error(&node.span, format!("{location} config should be a hash"));
        return Vec::new();
    };
    let mut tokens = Vec::new();
    for (name, entry) in map.iter() {
        let location = format!("{location}:{name}");
        let Some(token) = check.hash(&entry.value, &location, &["aud"]) else { continue };
        if token.get("aud").is_none() {
            check.error(&entry.key_span, format!("{location} config missing required keys: aud"));
        }
        if let Some(audiences) = check.text_or_texts(token, "aud", &location) {
            tokens.push(IdToken { name: name.to_string(), audiences });
        }
    }
    tokens
}

/// Reads `secrets`. <https://docs.gitlab.com/ci/yaml/#secrets>
pub(crate) fn secrets(check: &mut Check, node: &Node, location: &str) -> Vec<Secret> {
    const PLACES: [&str; 6] = [
        "vault",
        "gcp_secret_manager",
        "azure_key_vault",
        "aws_secrets_manager",
        "akeyless",
        "gitlab_secrets_manager",
    ];
    const KEYS: [&str; 8] =
        [PLACES[0], PLACES[1], PLACES[2], PLACES[3], PLACES[4], PLACES[5], "file", "token"];
    let Some(map) = node.as_map() else {
        check.error(&node.span, format!("{location} config should be a hash"));
        return Vec::new();
    };
    let mut secrets = Vec::new();
    for (name, entry) in map.iter() {
        let location = format!("{location}:{name}");
        let Some(secret) = check.hash(&entry.value, &location, &KEYS) else { continue };
        if PLACES.into_iter().filter(|place| secret.get(place).is_some()).count() != 1 {
            let places = PLACES.join(", ");
            check.error(
                &entry.key_span,
                format!("{location} config must use exactly one of these keys: {places}"),
            );
        }
        check.text(secret, "token", &location);
        let file = check.flag(secret, "file", &location).unwrap_or(true);
        secrets.push(Secret { name: name.to_string(), file });
    }
    secrets
}

/// Reads the `inputs` of a job; each needs a default, because nobody is asked here.
/// <https://docs.gitlab.com/ci/inputs/>
pub(crate) fn inputs(check: &mut Check, node: &Node, location: &str) -> Vec<JobInput> {
    let Some(map) = node.as_map() else {
        check.error(&node.span, format!("{location} config should be a hash"));
        return Vec::new();
    };
    let mut inputs = Vec::new();
    for (name, entry) in map.iter() {
        let location = format!("{location}:{name}");
        let keys = ["type", "default", "description", "options", "regex"];
        let Some(spec) = check.hash(&entry.value, &location, &keys) else { continue };
        let kinds = ["string", "number", "boolean", "array"];
        let kind = check.one_of(spec, "type", &location, &kinds).unwrap_or_else(|| "string".to_owned());
        let Some(default) = spec.get("default") else {
            check.error(&entry.key_span, format!("{location} default can't be blank"));
            continue;
        };
        let fits = match kind.as_str() {
            "number" => matches!(default.value, Value::Int(_) | Value::Float(_)),
            "boolean" => matches!(default.value, Value::Bool(_)),
            "array" => default.as_list().is_some(),
            _ => default.as_text().is_some(),
        };
        match default.to_json().filter(|_| fits) {
            Some(value) => inputs.push(JobInput { name: name.to_string(), kind, value }),
            None => check.error(&default.span, format!("{location} default is not a {kind}")),
        }
    }
    inputs
}

/// Reads `release`. <https://docs.gitlab.com/ci/yaml/#release>
pub(crate) fn release(check: &mut Check, node: &Node, location: &str) -> Option<Release> {
    const KEYS: [&str; 8] =
        ["tag_name", "tag_message", "name", "description", "ref", "released_at", "milestones", "assets"];
    let map = check.hash(node, location, &KEYS)?;
    for key in ["tag_name", "description"] {
        if map.get(key).is_none() {
            check.error(&node.span, format!("{location} {} can't be blank", key.replace('_', " ")));
        }
    }
    let mut text = |key: &str| check.text(map, key, location);
    let (tag_name, description) = (text("tag_name"), text("description"));
    let mut release = Release {
        tag_message: text("tag_message"),
        name: text("name"),
        git_ref: text("ref"),
        released_at: text("released_at"),
        ..Release::default()
    };
    release.milestones = check.text_or_texts(map, "milestones", location).unwrap_or_default();
    let assets =
        map.get("assets").and_then(|node| check.hash(node, &format!("{location}:assets"), &["links"]));
    if let Some(links) = assets.and_then(|assets| assets.get("links")) {
        match links.as_list() {
            Some(items) => release.links = items.iter().filter_map(Node::to_json).collect(),
            None => {
                check.error(
                    &links.span,
                    format!("{location}:assets:links config should be an array of hashes"),
                );
            }
        }
    }
    Some(Release { tag_name: tag_name?, description: description?, ..release })
}

/// Checks `pages` and returns the folder to publish; `None`: the job publishes nothing.
/// <https://docs.gitlab.com/ci/yaml/#pages>
pub(crate) fn pages(check: &mut Check, name: &str, map: &Map, location: &str) -> Option<String> {
    let publish = check.text(map, "publish", location);
    let node = map.get("pages");
    let is_pages = match node.map(|node| &node.value) {
        None => name == "pages",
        Some(Value::Bool(flag)) => *flag,
        Some(_) => true,
    };
    if let (false, Some(entry)) = (is_pages, map.entry("publish").filter(|entry| !entry.value.is_null())) {
        check.error(&entry.key_span, format!("{location} publish can only be used within a `pages` job"));
    }
    let nested = node.filter(|node| !matches!(node.value, Value::Bool(_))).and_then(|node| {
        let location = format!("{location}:pages");
        let map = check.hash(node, &location, &["publish", "path_prefix", "expire_in"])?;
        check.text(map, "publish", &location)
    });
    is_pages.then(|| nested.or(publish).unwrap_or_else(|| "public".to_owned()))
}

/// Keywords that cannot be honoured here. They count only if the job is part of the pipeline.
pub(crate) fn unsupported(map: &Map, name: &str) -> Vec<CompileError> {
    let run = map.entry("run").filter(|entry| !entry.value.is_null());
    run.map(|entry| not_supported(&entry.key_span, name, "run").help("write the steps as `script`"))
        .into_iter()
        .collect()
}

/// A keyword that is valid, but cannot be honoured here.
fn not_supported(span: &super::super::span::Span, job: &str, key: &str) -> CompileError {
    CompileError::new(span, format!("jobs:{job}:{key} is not supported yet")).code(Code::Unsupported)
}
