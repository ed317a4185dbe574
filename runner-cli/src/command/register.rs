//! `register`: connects a runner to GitLab and adds it to the configuration.
//!
//! Everything is asked first, then GitLab, then the file is written: a prompt that is left alone leaves nothing behind.

use std::io::BufRead;
use std::time::{Duration, SystemTime};

use clap::ArgMatches;
use runner_api::{Client, RegisterRequest, RunnerCredentials, RunnerToken, SecretText};
use toml_edit::Array;

use super::prompt::Prompt;
use super::{Context, client, unregister};
use crate::args::{self, RegisterArgs};
use crate::config::{Edit, NewEntry, SystemId, Tls};
use crate::error::{CliError, Exit};

/// Executors of the official runner.
const EXECUTORS: [&str; 11] = [
    "custom",
    "docker",
    "docker+machine",
    "docker-autoscaler",
    "docker-windows",
    "instance",
    "kubernetes",
    "parallels",
    "shell",
    "ssh",
    "virtualbox",
];

/// Which of GitLab's two ways a token goes.
enum Token {
    /// Of a runner that exists: it is verified.
    Authentication(RunnerToken),
    /// One that makes a new runner.
    Registration(SecretText),
}

/// What GitLab said.
struct Answer {
    token: RunnerToken,
    id: u64,
    expires: Option<String>,
    /// Whether id and expiry are known.
    complete: bool,
}

pub(super) async fn run(
    context: &Context,
    arguments: &RegisterArgs,
    matches: Option<&ArgMatches>,
) -> Result<Exit, CliError> {
    let mut entry = given(arguments, matches)?;
    if let Some(path) = &arguments.template_config {
        let text = std::fs::read_to_string(path)
            .map_err(CliError::system(format!("cannot read the template {}", path.display())))?;
        entry.fill_from_template(path, &text)?;
    }
    let mut file = Edit::open(&context.config)?;
    let system_id = context.system_id();
    let interactive = !arguments.non_interactive;
    let mut prompt = Prompt::new(std::io::stdin().lock(), std::io::stderr(), interactive);

    let url = prompt.ask(
        Some(entry.text(&["url"])),
        "Enter the GitLab instance URL (for example, https://gitlab.com/)",
        "",
        "url",
    )?;
    entry.set(&["url"], url.as_str());
    let token = token(arguments, &mut prompt)?;
    let name = prompt.ask(
        Some(entry.text(&["name"])),
        "Enter a name for the runner. This is stored only in the local config.toml file",
        &context.host.name(),
        "name",
    )?;
    entry.set(&["name"], name.as_str());
    executor(&mut entry, &mut prompt)?;
    drop(prompt);

    let tls = Tls {
        ca: path(&entry, "tls-ca-file"),
        client: path(&entry, "tls-cert-file").zip(path(&entry, "tls-key-file")),
    };
    let client = client::build(&context.host, &url, &tls, entry.text(&["executor"]))?;
    let answer = connect(&client, token, arguments, &name, &system_id).await?;
    entry.set(&["token"], answer.token.expose());
    if answer.complete {
        entry.set(&["id"], i64::try_from(answer.id).unwrap_or_default());
        entry.set_time("token_obtained_at", SystemTime::now());
        entry.set_expiry(answer.expires.as_deref());
    }
    hints(&file, &entry, &context.config);
    let executor = entry.text(&["executor"]).to_owned();
    let saved = file.append(entry).and_then(|()| file.save());
    if let Err(error) = saved {
        if !arguments.leave_runner {
            undo(&client, &answer, &system_id).await;
        }
        return Err(error.into());
    }
    tracing::info!("runner registered and added to {}", context.config.display());
    if executor != "shell" {
        tracing::warn!(
            "not supported yet: executor {executor}; this program cannot run its jobs, the entry is for another one"
        );
    }
    Ok(Exit::Success)
}

/// The entry as flags and environment give it.
fn given(arguments: &RegisterArgs, matches: Option<&ArgMatches>) -> Result<NewEntry, CliError> {
    let given = &arguments.entry;
    let mut entry = NewEntry::default();
    let texts: [(&[&str], &Option<String>); 19] = [
        (&["name"], &arguments.name),
        (&["url"], &arguments.url),
        (&["executor"], &given.executor),
        (&["shell"], &given.shell),
        (&["unhealthy_interval"], &given.unhealthy_interval),
        (&["builds_dir"], &given.builds_dir),
        (&["cache_dir"], &given.cache_dir),
        (&["clone_url"], &given.clone_url),
        (&["pre_get_sources_script"], &given.pre_get_sources_script),
        (&["post_get_sources_script"], &given.post_get_sources_script),
        (&["pre_build_script"], &given.pre_build_script),
        (&["post_build_script"], &given.post_build_script),
        (&["prepare_timeout"], &given.prepare_timeout),
        (&["get_sources_timeout"], &given.get_sources_timeout),
        (&["step_runner_image"], &given.step_runner_image),
        (&["tls-ca-file"], &given.tls_ca_file),
        (&["tls-cert-file"], &given.tls_cert_file),
        (&["tls-key-file"], &given.tls_key_file),
        (&["token"], &None),
    ];
    for (path, value) in texts {
        if let Some(value) = value {
            entry.set(path, value.as_str());
        }
    }
    let numbers = [
        ("limit", given.limit),
        ("output_limit", given.output_limit),
        ("request_concurrency", given.request_concurrency),
        ("unhealthy_requests_limit", given.unhealthy_requests_limit),
        ("job_status_final_update_retry_limit", given.job_status_final_update_retry_limit),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            entry.set(&[key], i64::from(value));
        }
    }
    let switches: [(&[&str], Option<bool>); 6] = [
        (&["strict_check_interval"], given.strict_check_interval),
        (&["debug_trace_disabled"], given.debug_trace_disabled),
        (&["safe_directory_checkout"], given.safe_directory_checkout),
        (&["clean_git_config"], given.clean_git_config),
        (&["proxy_exec"], given.proxy_exec),
        (&["custom_build_dir", "enabled"], given.custom_build_dir_enabled),
    ];
    for (path, value) in switches {
        if let Some(value) = value {
            entry.set(path, value);
        }
    }
    if !given.env.is_empty() {
        entry.set(&["environment"], given.env.iter().map(String::as_str).collect::<Array>());
    }
    for text in &given.feature_flags {
        for (flag, value) in
            args::pairs(text).ok_or_else(|| CliError::Usage(args::map_error("feature-flags")))?
        {
            let set = value.as_bool().or_else(|| value.as_str()?.parse().ok());
            let set = set
                .ok_or_else(|| CliError::Usage(format!("feature flag {flag}: the value is true or false")))?;
            entry.set(&["feature_flags", &flag], set);
        }
    }
    if let Some(matches) = matches {
        args::fill_sections(matches, &mut entry).map_err(CliError::Usage)?;
    }
    Ok(entry)
}

fn token<R: BufRead, W: std::io::Write>(
    arguments: &RegisterArgs,
    prompt: &mut Prompt<R, W>,
) -> Result<Token, CliError> {
    let server = &arguments.server;
    let for_server = !server.tag_list.is_empty()
        || server.run_untagged.is_some()
        || server.locked.is_some()
        || server.access_level.is_some()
        || server.maximum_timeout.is_some()
        || server.paused.is_some()
        || server.maintenance_note.is_some();
    if let Some(token) = &arguments.token {
        let token = RunnerToken::new(token.expose());
        if token.is_created_in_gitlab() && for_server {
            return Err(CliError::Usage(
                "tags, --run-untagged, --locked, --access-level, --maximum-timeout, --paused and --maintenance-note \
                 of a runner that was created in GitLab are set there, not here"
                    .into(),
            ));
        }
        return Ok(Token::Authentication(token));
    }
    let given = arguments.registration_token.as_ref().map(SecretText::expose);
    let text = prompt.ask(given, "Enter the registration token", "", "token")?;
    let token = RunnerToken::new(text.as_str());
    if !token.is_created_in_gitlab() {
        return Ok(Token::Registration(SecretText::new(text)));
    }
    if for_server {
        tracing::warn!(
            "tags, access level and the like of a runner that was created in GitLab are set there; ignored here"
        );
    }
    Ok(Token::Authentication(token))
}

/// Asks for the executor and what it cannot do without, and drops what belongs to others.
fn executor<R: BufRead, W: std::io::Write>(
    entry: &mut NewEntry,
    prompt: &mut Prompt<R, W>,
) -> Result<(), CliError> {
    let question = format!("Enter an executor: {}", EXECUTORS.join(", "));
    let executor = prompt.ask(Some(entry.text(&["executor"])), &question, "", "executor")?;
    if !EXECUTORS.contains(&executor.as_str()) {
        return Err(CliError::Usage(format!(
            "there is no executor {executor}; choose one of {}",
            EXECUTORS.join(", ")
        )));
    }
    entry.set(&["executor"], executor.as_str());
    let (sections, needed): (&[&str], &[(&str, &str)]) = match executor.as_str() {
        "docker" | "docker-windows" => (&["docker"], &[("docker", "image")]),
        "docker+machine" => (&["docker", "machine"], &[("docker", "image")]),
        "docker-autoscaler" => (&["docker", "autoscaler"], &[("docker", "image")]),
        "instance" => (&["instance", "autoscaler"], &[]),
        "kubernetes" => (&["kubernetes"], &[]),
        "ssh" => (&["ssh"], &[("ssh", "host"), ("ssh", "user")]),
        "parallels" => (&["parallels", "ssh"], &[("parallels", "base_name"), ("ssh", "user")]),
        "virtualbox" => (&["virtualbox", "ssh"], &[("virtualbox", "base_name"), ("ssh", "user")]),
        "custom" => (&["custom"], &[]),
        _ => (&[], &[]),
    };
    let all = [
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
    for other in all.iter().filter(|section| !sections.contains(section)) {
        entry.remove(other);
    }
    for (section, key) in needed {
        let flag = format!("{section}-{}", key.replace('_', "-"));
        let value =
            prompt.ask(Some(entry.text(&[section, key])), &format!("Enter {key} of {section}"), "", &flag)?;
        entry.set(&[section, key], value);
    }
    if sections.contains(&"docker") {
        entry.add_cache_volume();
    }
    Ok(())
}

async fn connect(
    client: &Client,
    token: Token,
    arguments: &RegisterArgs,
    name: &str,
    system_id: &SystemId,
) -> Result<Answer, CliError> {
    let refused = |what: &str| {
        let what = what.to_owned();
        move |source| CliError::Server { what, source }
    };
    match token {
        Token::Authentication(token) => {
            let credentials = RunnerCredentials::new(token.clone()).with_system_id(system_id.as_str());
            let verified =
                client.verify(&credentials).await.map_err(refused("GitLab does not know this token"))?;
            let created_in_gitlab = token.is_created_in_gitlab();
            if created_in_gitlab && verified.id == 0 {
                return Err(CliError::Failed("GitLab did not say which runner this token belongs to".into()));
            }
            Ok(Answer {
                token,
                id: verified.id,
                expires: verified.token_expires_at,
                complete: created_in_gitlab,
            })
        }
        Token::Registration(token) => {
            let server = &arguments.server;
            let mut request = RegisterRequest::new(token.expose());
            request.description = name.to_owned();
            request.maintenance_note = server.maintenance_note.clone().unwrap_or_default();
            request.run_untagged = server.tag_list.is_empty() || server.run_untagged.unwrap_or(false);
            request.tag_list = server.tag_list.clone();
            request.locked = server.locked.unwrap_or(true);
            request.access_level = server.access_level.clone().unwrap_or_default();
            request.maximum_timeout = server.maximum_timeout.map(Duration::from_secs);
            request.paused = server.paused.unwrap_or(false);
            let answer =
                client.register(&request).await.map_err(refused("GitLab did not register the runner"))?;
            Ok(Answer {
                token: answer.token,
                id: answer.id,
                expires: answer.token_expires_at,
                complete: true,
            })
        }
    }
}

async fn undo(client: &Client, answer: &Answer, system_id: &SystemId) {
    if let Err(error) = unregister::from_server(client, &answer.token, system_id.as_str()).await {
        tracing::error!("the runner stays registered at GitLab: {error}");
    }
}

fn hints(file: &Edit, entry: &NewEntry, path: &std::path::Path) {
    if file.has_token(entry.text(&["token"])) {
        tracing::warn!("there is another entry with this token in {}", path.display());
    }
    for key in ["limit", "request_concurrency"] {
        if entry.integer(key) > file.concurrent() {
            tracing::warn!(
                "{key} is greater than concurrent ({}), which limits all runners together",
                file.concurrent()
            );
        }
    }
}

fn path(entry: &NewEntry, key: &str) -> Option<std::path::PathBuf> {
    Some(entry.text(&[key])).filter(|text| !text.is_empty()).map(Into::into)
}
