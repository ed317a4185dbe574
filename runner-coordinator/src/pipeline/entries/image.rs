//! `image` and `services`. <https://docs.gitlab.com/ci/yaml/#image>

use super::super::check::{Check, in_quotes, strings};
use super::super::error::CompileError;
use super::super::job::{Image, Service};
use super::super::yaml::{Map, Node};
use super::variables::job_variables;

const IMAGE_KEYS: [&str; 6] = ["name", "entrypoint", "docker", "kubernetes", "pull_policy", "ports"];
const SERVICE_KEYS: [&str; 9] =
    ["name", "entrypoint", "docker", "kubernetes", "pull_policy", "ports", "alias", "command", "variables"];
const PULL_POLICIES: [&str; 3] = ["always", "if-not-present", "never"];

/// Reads `image`: a name, or a hash.
pub(crate) fn image(check: &mut Check, node: &Node, location: &str) -> Option<Image> {
    if let Some(name) = node.as_text() {
        return named(check, node, name, location);
    }
    if node.as_map().is_none() {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash or a string"));
        check.push(in_quotes(error, node));
        return None;
    }
    let map = check.hash(node, location, &IMAGE_KEYS)?;
    image_hash(check, node, map, location)
}

/// Reads `services`: a list of names or hashes.
pub(crate) fn services(check: &mut Check, node: &Node, location: &str) -> Option<Vec<Service>> {
    let Some(items) = node.as_list() else {
        let error = CompileError::new(&node.span, format!("{location} config should be an array"));
        check.push(error.help("write a list, each service with a dash"));
        return None;
    };
    let location = format!("{location}:service");
    Some(items.iter().filter_map(|item| service(check, item, &location)).collect())
}

fn named(check: &mut Check, node: &Node, name: &str, location: &str) -> Option<Image> {
    if name.trim().is_empty() {
        check.error(&node.span, format!("{location} config can't be blank"));
        return None;
    }
    Some(Image { name: name.to_owned(), ..Image::default() })
}

fn service(check: &mut Check, node: &Node, location: &str) -> Option<Service> {
    if let Some(name) = node.as_text() {
        return named(check, node, name, location).map(|image| Service { image, ..Service::default() });
    }
    if node.as_map().is_none() {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash or a string"));
        check.push(in_quotes(error, node));
        return None;
    }
    let map = check.hash(node, location, &SERVICE_KEYS)?;
    let image = image_hash(check, node, map, location)?;
    Some(Service {
        image,
        alias: check.text(map, "alias", location),
        command: check.texts(map, "command", location),
        variables: map
            .get("variables")
            .map(|node| job_variables(check, node, &format!("{location}:variables")))
            .unwrap_or_default(),
    })
}

fn image_hash(check: &mut Check, node: &Node, map: &Map, location: &str) -> Option<Image> {
    let Some(name) = check.text(map, "name", location).filter(|name| !name.trim().is_empty()) else {
        if map.get("name").is_none_or(|name| name.as_text().is_some()) {
            check.error(&node.span, format!("{location} name can't be blank"));
        }
        return None;
    };
    if map.get("ports").is_some() {
        check.ignore("ports");
    }
    let docker = options(check, map, "docker", location, &["platform", "user"]);
    let kubernetes = options(check, map, "kubernetes", location, &["user"]);
    let [docker_platform, docker_user] = docker;
    let [_, kubernetes_user] = kubernetes;
    Some(Image {
        name,
        entrypoint: check.texts(map, "entrypoint", location),
        pull_policy: map
            .get("pull_policy")
            .map(|node| pull_policy(check, node, location))
            .unwrap_or_default(),
        docker_platform,
        docker_user,
        kubernetes_user,
    })
}

/// `platform` and `user` of `docker` or `kubernetes`.
fn options(check: &mut Check, map: &Map, key: &str, location: &str, keys: &[&str]) -> [Option<String>; 2] {
    let location = format!("{location}:{key}");
    let Some(options) = map.get(key).and_then(|node| check.hash(node, &location, keys)) else {
        return [None, None];
    };
    // A user may be written as a number.
    let mut option = |key: &str| match options.get(key) {
        Some(node) if node.as_text().is_none() && node.scalar_text().is_some() => node.scalar_text(),
        _ => check.text(options, key, &location),
    };
    [option("platform"), option("user")]
}

fn pull_policy(check: &mut Check, node: &Node, location: &str) -> Vec<String> {
    let policies =
        node.as_text().map(|policy| vec![policy.to_owned()]).or_else(|| strings(node)).unwrap_or_default();
    let valid =
        !policies.is_empty() && policies.iter().all(|policy| PULL_POLICIES.contains(&policy.as_str()));
    if !valid {
        check.error(
            &node.span,
            format!("{location} pull policy should be one of, or an array of: {}", PULL_POLICIES.join(", ")),
        );
        return Vec::new();
    }
    policies
}
