//! What a loaded file deserves to be told about: unknown keys, keys that this build does not honour yet.

use super::document::{Complaint, Document, Step};
use super::features;
use super::raw::{Config, Runner};
use super::sections::SECTIONS;

/// Keys of the official file, for suggestions; the ones of sections are in [`SECTIONS`].
const GLOBAL: [&str; 14] = [
    "concurrent",
    "check_interval",
    "log_level",
    "log_format",
    "user",
    "listen_address",
    "sentry_dsn",
    "connection_max_age",
    "shutdown_timeout",
    "labels",
    "session_server",
    "machine",
    "experimental",
    "runners",
];
const SESSION_SERVER: [&str; 3] = ["listen_address", "advertise_address", "session_timeout"];
pub(super) const RUNNER: [&str; 53] = [
    "name",
    "url",
    "id",
    "token",
    "token_obtained_at",
    "token_expires_at",
    "tls-ca-file",
    "tls-cert-file",
    "tls-key-file",
    "limit",
    "output_limit",
    "request_concurrency",
    "strict_check_interval",
    "unhealthy_requests_limit",
    "unhealthy_interval",
    "job_status_final_update_retry_limit",
    "labels",
    "executor",
    "builds_dir",
    "cache_dir",
    "clone_url",
    "environment",
    "shell",
    "pre_get_sources_script",
    "post_get_sources_script",
    "pre_build_script",
    "post_build_script",
    "prepare_timeout",
    "get_sources_timeout",
    "stop_grace",
    "debug_trace_disabled",
    "safe_directory_checkout",
    "clean_git_config",
    "proxy_exec",
    "feature_flags",
    "use_slot_cgroups",
    "slot_cgroup_template",
    "step_runner_image",
    "custom_build_dir",
    "artifact",
    "cache",
    "referees",
    "monitoring",
    "experimental",
    "autoscaler",
    "custom",
    "docker",
    "instance",
    "kubernetes",
    "machine",
    "parallels",
    "ssh",
    "virtualbox",
];
const CACHE: [&str; 7] = ["Type", "Path", "Shared", "MaxUploadedArchiveSize", "s3", "gcs", "azure"];
const ARTIFACT: [&str; 2] = ["upload_timeout", "response_header_timeout"];

/// What to say about a key that nobody reads.
pub(super) fn unknown_key(document: &Document, steps: &[Step]) -> Complaint {
    let keys: Vec<&str> = keys(steps).collect();
    let (last, parents) = keys.split_last().map_or(("", &[][..]), |(last, parents)| (*last, parents));
    let hint =
        closest(last, siblings(parents)).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
    document.complain_of_key(steps, format!("unknown key, ignored{hint}"))
}

/// Unknown keys of sections that are kept as they are, and unknown feature flags.
pub(super) fn unknown_in_sections(document: &Document, config: &Config) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (index, runner) in config.runners.iter().enumerate() {
        for section in SECTIONS {
            let Some(table) = table(runner, section.path) else { continue };
            for key in table.keys().filter(|key| section.keys().all(|(known, _)| known != key.as_str())) {
                let mut steps = entry(index);
                steps.extend(
                    section.path.iter().copied().chain([key.as_str()]).map(|key| Step::Key(key.to_owned())),
                );
                found.push(unknown_key(document, &steps));
            }
        }
        for flag in runner.feature_flags.keys() {
            if let Some(message) = features::unknown(flag) {
                let steps =
                    [entry(index), vec![Step::Key("feature_flags".into()), Step::Key(flag.clone())]].concat();
                found.push(document.complain_of_key(&steps, message));
            }
        }
    }
    found
}

/// Keys that are set to something and have no effect in this build, each with its place.
pub(super) fn unsupported(document: &Document, config: &Config) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut say = |prefix: &[Step], path: &[&str], set: bool| {
        if set {
            let mut steps = prefix.to_vec();
            steps.extend(path.iter().map(|key| Step::Key((*key).to_owned())));
            found.push(document.complain_of_key(&steps, "not supported"));
        }
    };
    let server = &config.session_server;
    say(&[], &["user"], filled(config.user.as_deref()));
    say(&[], &["listen_address"], filled(config.listen_address.as_deref()));
    say(&[], &["sentry_dsn"], filled(config.sentry_dsn.as_deref()));
    say(
        &[],
        &["connection_max_age"],
        config.connection_max_age.is_some_and(|age| age.0.as_secs() != 15 * 60),
    );
    say(&[], &["labels"], !config.labels.is_empty());
    say(&[], &["session_server", "listen_address"], filled(server.listen_address.as_deref()));
    say(&[], &["session_server", "advertise_address"], filled(server.advertise_address.as_deref()));
    say(
        &[],
        &["session_server", "session_timeout"],
        server.session_timeout.is_some_and(|s| s != 0 && s != 1800),
    );
    say(&[], &["machine"], config.machine.as_ref().is_some_and(is_set));
    say(&[], &["experimental"], config.experimental.as_ref().is_some_and(is_set));
    for (index, runner) in config.runners.iter().enumerate() {
        let entry = entry(index);
        say(&entry, &["token_expires_at"], expires(runner));
        say(&entry, &["labels"], !runner.labels.is_empty());
        say(&entry, &["proxy_exec"], runner.proxy_exec == Some(true));
        say(&entry, &["use_slot_cgroups"], runner.use_slot_cgroups == Some(true));
        say(&entry, &["slot_cgroup_template"], !runner.slot_cgroup_template.is_empty());
        say(&entry, &["step_runner_image"], !runner.step_runner_image.is_empty());
        say(&entry, &["referees"], runner.referees.as_ref().is_some_and(is_set));
        say(&entry, &["monitoring"], runner.monitoring.as_ref().is_some_and(is_set));
        say(&entry, &["experimental"], runner.experimental.as_ref().is_some_and(is_set));
        say(&entry, &["cache", "Type"], !runner.cache.r#type.is_empty());
        say(&entry, &["cache", "Path"], !runner.cache.path.is_empty());
        say(&entry, &["cache", "Shared"], runner.cache.shared);
        let largest = runner.cache.max_uploaded_archive_size;
        say(&entry, &["cache", "MaxUploadedArchiveSize"], largest.is_some_and(|size| size != 0));
    }
    found
}

/// The name among `known` that somebody who wrote `name` may have meant.
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 6)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Steps to the entry at `index`.
pub(super) fn entry(index: usize) -> Vec<Step> {
    vec![Step::Key("runners".to_owned()), Step::Index(index)]
}

fn siblings(parents: &[&str]) -> Vec<&'static str> {
    match parents {
        [] => GLOBAL.to_vec(),
        ["session_server"] => SESSION_SERVER.to_vec(),
        ["runners"] => RUNNER.to_vec(),
        ["runners", "cache"] => CACHE.to_vec(),
        ["runners", "artifact"] => ARTIFACT.to_vec(),
        ["runners", "custom_build_dir"] => vec!["enabled"],
        ["runners", rest @ ..] => SECTIONS
            .iter()
            .filter(|section| section.path == rest)
            .flat_map(|s| s.keys().map(|(key, _)| key))
            .collect(),
        _ => Vec::new(),
    }
}

fn keys(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    })
}

fn table<'a>(runner: &'a Runner, path: &[&str]) -> Option<&'a toml::Table> {
    match path {
        ["autoscaler"] => runner.autoscaler.as_ref(),
        ["custom"] => runner.custom.as_ref(),
        ["docker"] => runner.docker.as_ref(),
        ["instance"] => runner.instance.as_ref(),
        ["kubernetes"] => runner.kubernetes.as_ref(),
        ["machine"] => runner.machine.as_ref(),
        ["parallels"] => runner.parallels.as_ref(),
        ["ssh"] => runner.ssh.as_ref(),
        ["virtualbox"] => runner.virtualbox.as_ref(),
        ["cache", "s3"] => runner.cache.s3.as_ref(),
        ["cache", "gcs"] => runner.cache.gcs.as_ref(),
        ["cache", "azure"] => runner.cache.azure.as_ref(),
        _ => None,
    }
}

/// The official runner renews a token that expires; year 1 stands for "never".
fn expires(runner: &Runner) -> bool {
    runner.token_expires_at.and_then(|at| at.date).is_some_and(|date| date.year > 1)
}

fn filled(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// Whether a table says anything: empty tables and zero values are what the official `register` leaves behind.
fn is_set(table: &toml::Table) -> bool {
    table.values().any(|value| match value {
        toml::Value::String(text) => !text.is_empty(),
        toml::Value::Integer(number) => *number != 0,
        toml::Value::Boolean(set) => *set,
        toml::Value::Array(values) => !values.is_empty(),
        toml::Value::Table(table) => is_set(table),
        toml::Value::Float(_) | toml::Value::Datetime(_) => true,
    })
}
