//! Where the job token goes, and where it does not: real git against a server on the loopback that asks for credentials.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod git_support;
mod script_support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use git_support::{Repository, git};
use runner_core::plan::StageKind;
use script_support::{Fixture, JOB_TOKEN, any_file_contains, variable};
use serde_json::json;
use url::Url;

/// `gitlab-ci-token` and the job token, as HTTP's basic authentication writes them.
const BASIC: &str = "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTY0X1QwcF9TZWNyZXQ=";

/// A request with its credentials, if it had any, and its correlation id.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: String,
    authorization: Option<String>,
}

/// Asks everybody for credentials, then knows nothing. Ends with the test's process.
fn server() -> (u16, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(seen) = stream.ok().and_then(|stream| answer(&stream)) else { continue };
            if sender.send(seen).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

fn answer(mut stream: &TcpStream) -> Option<Seen> {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let authorization = lines.iter().find_map(|line| line.strip_prefix("Authorization: ")).map(str::to_owned);
    let status = if authorization.is_some() { "404 Not Found" } else { "401 Unauthorized" };
    let answer = format!(
        "HTTP/1.1 {status}\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).ok()?;
    Some(Seen { path, authorization })
}

fn authorizations(seen: &Receiver<Seen>, path: &str) -> Vec<String> {
    seen.try_iter().filter(|seen| seen.path.starts_with(path)).filter_map(|seen| seen.authorization).collect()
}

#[test]
fn the_main_repository_is_fetched_with_the_token_which_stays_out_of_the_project() {
    let (port, seen) = server();
    let url = format!("http://gitlab-ci-token:{JOB_TOKEN}@127.0.0.1:{port}/group/project.git");
    let mut fixture = Fixture::in_folders(&json!({"git_info": {"repo_url": url}}));
    fixture.place.shared = true;
    let input = fixture.script(StageKind::GetSources);
    assert!(!input.script.contains(JOB_TOKEN));
    let ran = fixture.run_with(&["bash"], &input);
    assert_eq!(ran.code, 128, "{}", ran.stderr);
    assert_eq!(authorizations(&seen, "/group/project.git/info/refs"), [BASIC]);
    let remote = git(&fixture.project(), &["config", "remote.origin.url"]);
    assert_eq!(remote, format!("http://127.0.0.1:{port}/group/project.git"));
    assert_eq!(any_file_contains(&fixture.project(), JOB_TOKEN), None);
    assert_eq!(
        any_file_contains(&fixture.temp(), JOB_TOKEN),
        Some(fixture.temp().join(".gitlab-runner.ext.conf"))
    );
    assert!(!format!("{ran:?}").contains(JOB_TOKEN));
}

#[test]
fn a_credential_helper_replaces_urls_with_tokens() {
    let (port, seen) = server();
    let url = format!("http://gitlab-ci-token:{JOB_TOKEN}@127.0.0.1:{port}/group/project.git");
    let variables = json!([
        variable("FF_GIT_URLS_WITHOUT_TOKENS", "true"),
        {"key": "CI_JOB_TOKEN", "value": JOB_TOKEN, "masked": true},
    ]);
    let fixture = Fixture::in_folders(&json!({"git_info": {"repo_url": url}, "variables": variables}));
    let ran = fixture.run(StageKind::GetSources);
    assert_eq!(ran.code, 128, "{}", ran.stderr);
    assert_eq!(authorizations(&seen, "/group/project.git/info/refs"), [BASIC]);
    assert_eq!(any_file_contains(&fixture.root().join("builds"), JOB_TOKEN), None);
    // Steps of the user may fetch as well, and what the home says still counts.
    let config = git(
        &fixture.root(),
        &["config", "-f", &fixture.temp().join(".glr.gconf").display().to_string(), "-l"],
    );
    assert!(config.starts_with("include.path=~/.gitconfig\n"), "{config}");
    assert!(fixture.script(StageKind::Step).script.contains("export GIT_CONFIG_GLOBAL="));
}

#[test]
fn submodules_by_ssh_are_fetched_with_the_token_when_asked_for() {
    let (port, seen) = server();
    let (leaf, repository) = (Repository::new(), Repository::new());
    repository.add_submodule(&leaf, "sub");
    for (ssh_port, submodule) in [
        ("", "git@gitlab.example.com:group/sub.git"),
        ("22", "ssh://git@gitlab.example.com/group/sub.git"),
        ("2222", "ssh://git@gitlab.example.com:2222/group/sub.git"),
    ] {
        git(repository.path(), &["config", "-f", ".gitmodules", "submodule.sub.url", submodule]);
        git(repository.path(), &["commit", "-q", "-a", "-m", "url", "--allow-empty"]);
        let mut fixture = Fixture::in_folders(&json!({
            "git_info": repository.git_info(0),
            "variables": [
                variable("GIT_SUBMODULE_STRATEGY", "normal"), variable("GIT_SUBMODULE_FORCE_HTTPS", "true"),
                variable("CI_SERVER_HOST", "gitlab.example.com"), variable("CI_SERVER_SHELL_SSH_PORT", ssh_port),
            ],
        }));
        fixture.runner.url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let ran = fixture.run(StageKind::GetSources);
        assert_ne!(ran.code, 0);
        let told = authorizations(&seen, "/group/sub.git/info/refs");
        assert!(
            !told.is_empty() && told.iter().all(|value| value == BASIC),
            "{submodule}: {told:?} {}",
            ran.stderr
        );
        assert_eq!(any_file_contains(&fixture.project(), JOB_TOKEN), None);
    }
}

#[test]
fn a_host_that_only_looks_like_the_instance_gets_no_token() {
    let (port, seen) = server();
    let fixture = {
        let mut fixture = Fixture::in_folders(&json!({"git_info": {"repo_url": "/nowhere"}}));
        // The instance "http://127.0.0.1:1" is a beginning of "http://127.0.0.1:1…".
        let short = port / 10;
        fixture.runner.url = Url::parse(&format!("http://127.0.0.1:{short}")).unwrap();
        fixture.settings.pre_get_sources_script = Some(format!(
            "git -c include.path=\"$RUNNER_TEMP_PROJECT_DIR/.gitlab-runner.ext.conf\" ls-remote http://127.0.0.1:{port}/evil.git || :"
        ));
        fixture
    };
    let config = fixture.script(StageKind::GetSources);
    assert!(config.secrets.iter().any(|secret| secret.file.is_some()));
    fixture.run(StageKind::GetSources);
    let requests: Vec<Seen> = seen.try_iter().collect();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|seen| seen.authorization.is_none()), "{requests:?}");
}
