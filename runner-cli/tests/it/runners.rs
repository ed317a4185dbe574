//! `register`, `list`, `verify`, `unregister`, `reset-token` against a coordinator over HTTP.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Answer, GitLab, Surroundings};
use runner_coordinator::core::{Endpoint, NewRunner};
use secrecy::{ExposeSecret, SecretString};

const REGISTRATION: &str = "GR1348941registration";

fn created(gitlab: &GitLab) -> String {
    gitlab.handle().create_runner(NewRunner::default()).token.expose_secret().to_owned()
}

fn entry(name: &str, url: &str, token: &str) -> String {
    format!(
        "# about {name}\n[[runners]]\n  name = \"{name}\"\n  url = \"{url}\"\n  token = \"{token}\"\n  executor = \"shell\"\n"
    )
}

#[test]
fn a_runner_of_gitlab_is_registered() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let token = created(&gitlab);
    let answer = surroundings
        .runner(&[
            "register",
            "--non-interactive",
            "--url",
            &gitlab.url(),
            "--token",
            &token,
            "--name",
            "mine",
            "--executor",
            "shell",
            "--limit",
            "2",
            "--feature-flags",
            "FF_TIMESTAMPS:false",
            "--custom_build_dir-enabled=false",
        ])
        .expect(0);
    assert!(!format!("{answer:?}").contains(&token), "{answer:?}");
    let text = surroundings.read_config();
    assert!(text.starts_with("concurrent = 1\ncheck_interval = 0\n"), "{text}");
    let (_, registered) = text.split_once("[[runners]]\n").unwrap();
    let lines: Vec<&str> = registered.lines().filter(|line| !line.contains("token_obtained_at")).collect();
    assert_eq!(
        lines,
        [
            "  name = \"mine\"",
            &format!("  url = \"{}\"", gitlab.url()),
            "  id = 1",
            &format!("  token = \"{token}\""),
            "  token_expires_at = 0001-01-01T00:00:00Z",
            "  limit = 2",
            "  executor = \"shell\"",
            "",
            "  [runners.feature_flags]",
            "    FF_TIMESTAMPS = false",
            "",
            "  [runners.custom_build_dir]",
            "    enabled = false",
        ]
    );
    let mode = std::fs::metadata(surroundings.config()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let system_id = std::fs::read_to_string(surroundings.path(".runner_system_id")).unwrap();
    let managers = gitlab.handle().with(|coordinator, _| {
        coordinator
            .runners()
            .flat_map(|runner| runner.managers.keys().cloned().collect::<Vec<_>>())
            .collect::<Vec<_>>()
    });
    assert_eq!(managers, [system_id]);
}

#[test]
fn scenario_17_what_is_set_in_gitlab_is_not_set_here() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let token = created(&gitlab);
    let url = gitlab.url();
    let register = |flag: &str| {
        let common =
            ["register", "--non-interactive", "--url", &url, "--executor", "shell", "--tag-list", "x"];
        surroundings.runner(&[&common[..], &[flag, &token]].concat())
    };
    let requests = |endpoint| gitlab.handle().with(|coordinator, _| coordinator.request_count(endpoint));

    let refused = register("--token").expect(2);
    assert!(refused.err.contains("are set there, not here"), "{refused:?}");
    assert_eq!(requests(Endpoint::Verify), 0);

    // Given as a registration token, as old scripts do it, they are ignored.
    let registered = register("--registration-token").expect(0);
    assert!(registered.err.contains("ignored here"), "{registered:?}");
    assert_eq!((requests(Endpoint::Verify), requests(Endpoint::Register)), (1, 0));
    assert!(surroundings.read_config().contains("executor = \"shell\""));
}

#[test]
fn a_registration_token_makes_a_runner() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    gitlab.handle().register_token(SecretString::from(REGISTRATION));
    surroundings
        .command()
        .args(["register", "-c"])
        .arg(surroundings.config())
        .env("REGISTER_NON_INTERACTIVE", "true")
        .env("CI_SERVER_URL", gitlab.url())
        .env("REGISTRATION_TOKEN", REGISTRATION)
        .env("RUNNER_NAME", "from the environment")
        .env("RUNNER_TAG_LIST", "linux,big")
        .env("RUNNER_EXECUTOR", "docker")
        .env("DOCKER_IMAGE", "alpine:3")
        .env("KUBERNETES_IMAGE", "of another executor")
        .status()
        .unwrap();
    let text = surroundings.read_config();
    assert!(
        text.contains("  [runners.docker]\n    image = \"alpine:3\"\n    volumes = [\"/cache\"]\n"),
        "{text}"
    );
    assert!(!text.contains("kubernetes") && !text.contains(REGISTRATION), "{text}");
    let tags = gitlab.handle().with(|coordinator, _| {
        coordinator
            .runners()
            .map(|runner| (runner.description.clone(), runner.tags.clone(), runner.run_untagged))
            .next()
    });
    let (description, tags, run_untagged) = tags.unwrap();
    assert_eq!(description, "from the environment");
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), ["big", "linux"]);
    assert!(!run_untagged);
}

#[test]
fn a_person_is_asked() {
    use std::io::Write;
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let token = created(&gitlab);
    let mut child = surroundings
        .command()
        .args(["register", "-c"])
        .arg(surroundings.config())
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let answers = format!("{}\n{token}\n\nkubernetes\n", gitlab.url());
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for question in
        ["Enter the GitLab instance URL", "Enter the registration token", "Enter a name", "Enter an executor"]
    {
        assert!(said.contains(question), "{said}");
    }
    assert!(said.contains("not supported yet: executor kubernetes"), "{said}");
    assert!(surroundings.read_config().contains("executor = \"kubernetes\""));
}

#[test]
fn nothing_is_written_when_gitlab_refuses() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let url = gitlab.url();
    let register = |more: &[&str]| {
        let mut arguments = vec!["register", "--non-interactive", "--url", &url, "--executor", "shell"];
        arguments.extend(more);
        surroundings.runner(&arguments)
    };
    let answer = register(&["--token", "glrt-nobody"]).expect(1);
    assert!(answer.err.contains("GitLab does not know this token"), "{}", answer.err);
    assert!(answer.err.contains("403"), "{}", answer.err);
    assert!(!answer.err.contains("glrt-nobody"), "{}", answer.err);
    let answer = register(&["--token", "glrt-nobody", "--locked=false"]).expect(2);
    assert!(answer.err.contains("are set there, not here"), "{}", answer.err);
    let answer = register(&[]).expect(2);
    assert!(answer.err.contains("--token is needed"), "{}", answer.err);
    let answer = register(&["--token", "t", "--executor", "shel"]).expect(2);
    assert!(
        answer.err.contains("cannot be used multiple times") || answer.err.contains("there is no executor"),
        "{}",
        answer.err
    );
    assert!(!surroundings.config().exists());
}

#[test]
fn a_template_is_merged() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let token = created(&gitlab);
    let template = surroundings.write(
        "template.toml",
        "[[runners]]\ntoken = \"x\"\nlimit = 5\n[runners.kubernetes]\nnamespace = \"ci\"\nimage = \"alpine\"\n",
    );
    surroundings
        .runner(&[
            "register",
            "-n",
            "-u",
            &gitlab.url(),
            "-t",
            &token,
            "--executor",
            "kubernetes",
            "--kubernetes-image",
            "busybox",
            "--template-config",
            template.to_str().unwrap(),
        ])
        .expect(0);
    let text = surroundings.read_config();
    assert!(text.contains("limit = 5"), "{text}");
    assert!(
        text.contains("  [runners.kubernetes]\n    image = \"busybox\"\n    namespace = \"ci\"\n"),
        "{text}"
    );
    assert!(text.contains(&token), "{text}");
}

#[test]
fn the_list_shows_no_token() {
    let surroundings = Surroundings::new();
    let text = entry("one", "https://one.example.org", "glrt-t1_abcdefghijklmnop")
        + &entry("second", "https://two", "$TOKEN");
    surroundings.write("config.toml", &format!("concurrent = 1\nunknown_key = 1\n{text}"));
    let answer = surroundings.runner(&["list"]).expect(0);
    assert_eq!(
        answer.out,
        "one     Executor=shell Token=abcdefghi URL=https://one.example.org\n\
         second  Executor=shell Token=$TOKEN URL=https://two\n"
    );
    assert!(answer.err.contains("config.toml:2:1: unknown_key: unknown key, ignored"), "{}", answer.err);
}

#[test]
fn a_file_that_is_wrong_is_said_with_its_line() {
    let surroundings = Surroundings::new();
    surroundings.write("config.toml", "concurrent = 1\n[[runners]]\n  limit = \"many\"\n");
    let answer = surroundings.runner(&["list"]).expect(2);
    assert!(answer.err.starts_with("error: "), "{}", answer.err);
    assert!(answer.err.contains("config.toml:3:11: runners.limit: "), "{}", answer.err);
    assert!(answer.err.contains("3 |   limit = \"many\"\n  |           ^^^^^^"), "{}", answer.err);
    let answer = Answer::of(surroundings.command().args(["list", "-c", "nowhere.toml"])).expect(2);
    assert!(answer.err.contains("there is no nowhere.toml"), "{}", answer.err);
}

#[test]
fn removed_runners_are_found_and_deleted() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let (alive, url) = (created(&gitlab), gitlab.url());
    let dead = "glrt-dead0000000";
    let (head, alive) = ("concurrent = 1\n", entry("alive", &url, &alive));
    surroundings.write("config.toml", &format!("{head}{}\n{alive}", entry("dead", &url, dead)));
    let answer = surroundings.runner(&["verify"]).expect(1);
    assert!(answer.out.contains("is removed  runner=dead00000 name=dead"), "{}", answer.out);
    assert!(answer.out.contains("is valid"), "{}", answer.out);
    assert!(answer.err.contains("verify --delete"), "{}", answer.err);
    surroundings.runner(&["verify", "--name", "alive"]).expect(0);
    surroundings.runner(&["verify", "--name", "nobody"]).expect(2);
    surroundings.runner(&["verify", "--delete"]).expect(0);
    assert_eq!(surroundings.read_config(), format!("{head}\n{alive}"));
}

#[test]
fn a_certificate_file_that_is_not_there_is_said() {
    let surroundings = Surroundings::new();
    let text = entry("mine", "http://127.0.0.1:1", "glrt-a") + "  tls-ca-file = \"/nonexistent/ca.crt\"\n";
    std::fs::write(surroundings.config(), text).unwrap();
    let answer = surroundings.runner(&["verify"]).expect(1);
    assert!(answer.err.contains("the CA file /nonexistent/ca.crt cannot be read"), "{answer:?}");
    assert!(answer.out.contains("Connection refused"), "{answer:?}");
}

#[test]
fn an_unreachable_instance_removes_nothing() {
    let surroundings = Surroundings::new();
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("concurrent = 1\n{}", entry("far", &format!("http://127.0.0.1:{port}"), "glrt-x"));
    surroundings.write("config.toml", &text);
    let answer = surroundings.runner(&["verify", "--delete"]).expect(1);
    assert!(answer.out.contains("failed, nothing is known"), "{}", answer.out);
    assert_eq!(surroundings.read_config(), text);
}

#[test]
fn unregistering_removes_what_gitlab_confirmed() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    gitlab.handle().register_token(SecretString::from(REGISTRATION));
    let url = gitlab.url();
    surroundings
        .runner(&["register", "-n", "-u", &url, "-r", REGISTRATION, "--executor", "shell", "--name", "made"])
        .expect(0);
    let unknown = entry("unknown", &url, "nobody-knows-this");
    let text = surroundings.read_config() + &unknown;
    surroundings.write("config.toml", &text);
    let answer = surroundings.runner(&["unregister", "--all-runners"]).expect(1);
    assert!(answer.err.contains("not unregistered"), "{}", answer.err);
    let text = surroundings.read_config();
    assert!(text.contains("name = \"unknown\"") && !text.contains("name = \"made\""), "{text}");
    assert_eq!(gitlab.handle().with(|coordinator, _| coordinator.runners().count()), 0);
    surroundings.runner(&["unregister"]).expect(2);
}

#[test]
fn a_token_is_exchanged() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    let (old, url) = (created(&gitlab), gitlab.url());
    surroundings.write("config.toml", &entry("mine", &url, &old));
    let answer = surroundings.runner(&["reset-token", "--name", "mine"]).expect(0);
    let text = surroundings.read_config();
    assert!(!text.contains(&old) && text.contains("token = \"glrt-"), "{text}");
    assert!(text.starts_with("# about mine\n") && text.contains("token_obtained_at = "), "{text}");
    assert!(!answer.err.contains("glrt-"), "{}", answer.err);
    surroundings.runner(&["verify"]).expect(0);
}

#[test]
fn helper_commands_are_there() {
    let surroundings = Surroundings::new();
    let answer = surroundings.runner(&["cache-init", "x"]).expect(0);
    assert!(answer.err.contains("cannot let everybody write to"), "{}", answer.err);
    let version = surroundings.runner(&["--version"]).expect(0);
    assert_eq!(version.out, format!("runner {}\n", env!("CARGO_PKG_VERSION")));
}
