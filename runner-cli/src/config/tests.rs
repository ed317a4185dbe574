//! From text to settings: what is understood, what is said about the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Complaint, Document};
use super::resolve::{Global, JobSide};
use super::{Loaded, Resolved, SystemId};

/// What the official runner leaves behind after a registration: sections without content, zero values.
const REGISTERED: &str = r#"
concurrent = 1
check_interval = 0
shutdown_timeout = 0
connection_max_age = "15m0s"

[session_server]
  session_timeout = 1800

[[runners]]
  name = "builder"
  url = "https://gitlab.example.org"
  id = 7
  token = "glrt-t1_abcdefghijkl"
  token_obtained_at = 2024-05-06T07:08:09Z
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "kubernetes"
  [runners.custom_build_dir]
  [runners.cache]
    MaxUploadedArchiveSize = 0
    [runners.cache.s3]
    [runners.cache.gcs]
    [runners.cache.azure]
  [runners.kubernetes]
    host = "http://localhost:1234/"
    bearer_token_overwrite_allowed = false
    namespace = ""
    privileged = false
    [runners.kubernetes.volumes]
    [runners.kubernetes.dns_config]
"#;

fn load(text: &str) -> Loaded {
    Loaded::parse(Document::new("config.toml", text)).unwrap()
}

fn error(text: &str) -> String {
    Loaded::parse(Document::new("config.toml", text)).unwrap_err().to_string()
}

fn entry(text: &str) -> Result<(Resolved, JobSide), String> {
    let loaded = load(&format!("concurrent = 1\n[[runners]]\nurl = \"https://h\"\ntoken = \"t\"\n{text}"));
    let environment = BTreeMap::from([("TOKEN".to_owned(), "from-environment".to_owned())]);
    let global = Global::resolve(&loaded).unwrap();
    let contact = loaded.contact(0, &SystemId::new(Some("m")), &environment).map_err(|e| e.to_string())?;
    Ok((contact, loaded.job_side(0, &global).map_err(|e| e.to_string())?))
}

fn shorts(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(Complaint::short).collect()
}

#[test]
fn a_registered_file_is_understood_without_a_word() {
    let loaded = load(REGISTERED);
    assert_eq!(shorts(&loaded.unknown()), Vec::<String>::new());
    assert_eq!(shorts(&loaded.unsupported()), Vec::<String>::new());
    let global = Global::resolve(&loaded).unwrap();
    assert_eq!((global.concurrent, global.check_interval), (1, Duration::from_secs(3)));
    assert_eq!(global.shutdown_timeout, Duration::from_secs(30));
    let contact = loaded.contact(0, &SystemId::new(Some("m")), &BTreeMap::new()).unwrap();
    assert_eq!(contact.executor, "kubernetes");
    assert_eq!(contact.identity.token.short(), "abcdefghi");
    assert_eq!(contact.identity.url.as_str(), "https://gitlab.example.org/");
}

#[test]
fn errors_point() {
    assert_eq!(
        error("concurrent = 1\n[[runners]]\n  limit = \"three\"\n"),
        "config.toml:3:11: runners.limit: invalid type: string \"three\", expected i64\n\
         \x20 |\n3 |   limit = \"three\"\n  |           ^^^^^^^"
    );
    assert_eq!(
        error("[[runners]]\nunhealthy_interval = \"soon\"\n"),
        "config.toml:2:22: runners.unhealthy_interval: not a duration: write a number and a unit, such as \"90s\", \
         \"15m\" or \"1h30m\"\n  |\n2 | unhealthy_interval = \"soon\"\n  |                      ^^^^^^"
    );
    let syntax = error("concurrent = \n");
    assert!(syntax.starts_with("config.toml:1:"), "{syntax}");
    assert!(syntax.contains("1 | concurrent = "), "{syntax}");
}

#[test]
fn errors_do_not_show_tokens() {
    let text = error("[[runners]]\ntoken = glrt-secret\n");
    assert!(text.starts_with("config.toml:2:"), "{text}");
    assert!(!text.contains("glrt-secret"), "{text}");
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let loaded = load(
        "concurent = 1\n[[runners]]\nexecuter = \"shell\"\n[runners.cache]\ntype = \"s3\"\n[runners.docker]\nimgae = \"a\"\n\
         [runners.feature_flags]\nFF_TIMESTAMP = true\n[runners.custom_build_dir]\nxyz = 1\n",
    );
    assert_eq!(
        shorts(&loaded.unknown()),
        [
            "config.toml:1:1: concurent: unknown key, ignored; did you mean `concurrent`?",
            "config.toml:3:1: runners.executer: unknown key, ignored; did you mean `executor`?",
            "config.toml:5:1: runners.cache.type: unknown key, ignored; did you mean `Type`?",
            "config.toml:7:1: runners.docker.imgae: unknown key, ignored; did you mean `image`?",
            "config.toml:9:1: runners.feature_flags.FF_TIMESTAMP: unknown feature flag; did you mean FF_TIMESTAMPS?",
            "config.toml:11:1: runners.custom_build_dir.xyz: unknown key, ignored",
        ]
    );
}

#[test]
fn what_has_no_effect_yet_is_said_by_name() {
    let loaded = load(
        "listen_address = \":9252\"\n[session_server]\nlisten_address = \":8093\"\n[[runners]]\nproxy_exec = true\n\
         token_expires_at = 2030-01-01T00:00:00Z\n[runners.cache]\nType = \"s3\"\nShared = true\n\
         [runners.referees.metrics]\nprometheus_address = \"h\"\n",
    );
    let said: Vec<String> = loaded.unsupported().iter().map(Complaint::not_supported).collect();
    assert_eq!(
        said,
        [
            "not supported: listen_address (config.toml:1)",
            "not supported: session_server.listen_address (config.toml:3)",
            "not supported: runners.proxy_exec (config.toml:5)",
            "not supported: runners.token_expires_at (config.toml:6)",
            "not supported: runners.cache.Type (config.toml:8)",
            "not supported: runners.cache.Shared (config.toml:9)",
            "not supported: runners.referees (config.toml:10)",
        ]
    );
}

#[test]
fn settings_have_the_official_defaults() {
    let (contact, side) = entry("").unwrap();
    assert_eq!(contact.tls, super::Tls::default());
    assert_eq!((side.poll.limit, side.poll.request_concurrency), (0, 1));
    assert_eq!(side.poll.unhealthy_requests_limit, 3);
    assert_eq!(side.poll.unhealthy_interval, Duration::from_secs(3600));
    assert_eq!(side.job.output_limit, 4096 * 1024);
    assert_eq!(side.job.final_update_tries, 10);
    assert_eq!(side.job.prepare_timeout, None);
    assert_eq!(side.job.grace, Duration::from_secs(30));
    assert!(!side.poll.strict_check_interval);
    assert!(!side.job.custom_build_dir);
    // Where each job has a builds folder of its own.
    for executor in ["docker", "docker+machine", "docker-autoscaler", "kubernetes"] {
        let (_, side) = entry(&format!("executor = \"{executor}\"\n")).unwrap();
        assert!(side.job.custom_build_dir, "{executor}");
    }
}

#[test]
fn settings_are_taken_over() {
    let (contact, side) = entry(
        "limit = 3\noutput_limit = 10\nrequest_concurrency = 2\nunhealthy_interval = \"2m\"\nprepare_timeout = 5000000000\n\
         stop_grace = \"3s\"\nstrict_check_interval = true\n\
         environment = [\"A=1=2\", \"B=\"]\nshell = \"sh\"\nbuilds_dir = \"/b\"\ntls-ca-file = \"/ca\"\n\
         pre_build_script = \"set -x\"\n[runners.feature_flags]\nFF_TIMESTAMPS = false\n\
         [runners.custom_build_dir]\nenabled = true\n[runners.artifact]\nupload_timeout = \"5m\"\n",
    )
    .unwrap();
    assert_eq!(contact.tls.ca.as_deref(), Some(std::path::Path::new("/ca")));
    assert_eq!((side.poll.limit, side.poll.request_concurrency), (3, 2));
    assert_eq!(side.poll.unhealthy_interval, Duration::from_secs(120));
    assert_eq!(side.job.output_limit, 10 * 1024);
    assert_eq!(side.job.prepare_timeout, Some(Duration::from_secs(5)));
    assert_eq!(side.job.grace, Duration::from_secs(3));
    assert_eq!(side.job.environment, [("A".to_owned(), "1=2".to_owned()), ("B".to_owned(), String::new())]);
    assert_eq!(side.job.pre_build_script.as_deref(), Some("set -x"));
    assert_eq!(side.job.feature_flags, BTreeMap::from([("FF_TIMESTAMPS".to_owned(), false)]));
    assert_eq!(side.job.artifact_upload_timeout, Duration::from_secs(300));
    assert!(side.job.custom_build_dir && side.poll.strict_check_interval);
    assert_eq!((side.shell.as_str(), side.builds_dir.as_deref()), ("sh", Some("/b")));
}

#[test]
fn values_that_cannot_be_used_are_refused() {
    let line = |text: &str| entry(text).unwrap_err().lines().next().unwrap_or_default().to_owned();
    assert_eq!(line("limit = -1"), "config.toml:5:9: runners.limit: must be a number from 0 to 4294967295");
    assert_eq!(
        line("environment = [\"secret\"]"),
        "config.toml:5:15: runners.environment: an element is not written as NAME=VALUE"
    );
    assert_eq!(
        line("shell = \"pwsh\""),
        "config.toml:5:9: runners.shell: not supported: pwsh (supported: bash, sh)"
    );
    assert_eq!(
        line("tls-key-file = \"/k\""),
        "config.toml:5:16: runners.tls-key-file: needs tls-cert-file as well"
    );
}

#[test]
fn url_and_token_come_from_the_environment() {
    let environment = BTreeMap::from([("TOKEN".to_owned(), "from-environment".to_owned())]);
    let contact = |text: &str| {
        load(text).contact(0, &SystemId::new(Some("m")), &environment).map_err(|error| error.to_string())
    };
    let found = contact("[[runners]]\nurl = \"https://h\"\ntoken = \"${TOKEN}\"\n").unwrap();
    assert_eq!(found.identity.token.expose(), "from-environment");
    assert_eq!(
        contact("[[runners]]\nurl = \"https://h\"\ntoken = \"$OTHER\"\n").unwrap_err(),
        "config.toml:3:9: runners.token: the environment variable OTHER is not set; set it or write the value"
    );
    assert_eq!(
        contact("[[runners]]\ntoken = \"t\"\n").unwrap_err().lines().next(),
        Some("config.toml:1:1: runners.url: is empty")
    );
    assert!(
        contact("[[runners]]\nurl = \"h\"\ntoken = \"t\"\n")
            .unwrap_err()
            .starts_with("config.toml:2:7: runners.url: ")
    );
}

#[test]
fn concurrent_is_needed() {
    let resolve = |text: &str| Global::resolve(&load(text)).map_err(|error| error.to_string());
    let message = "must be set and at least 1: how many jobs run at the same time";
    assert_eq!(resolve("check_interval = 5").unwrap_err(), format!("config.toml: concurrent: {message}"));
    assert!(
        resolve("concurrent = 0")
            .unwrap_err()
            .starts_with(&format!("config.toml:1:14: concurrent: {message}"))
    );
    assert!(
        resolve("concurrent = 1\nlog_level = \"loud\"")
            .unwrap_err()
            .contains(":2:13: log_level: there is no log_level loud")
    );
    assert_eq!(resolve("concurrent = 4\ncheck_interval = 5").unwrap().check_interval, Duration::from_secs(5));
}
