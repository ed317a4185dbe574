//! The program `runner-coordinator`, driven as a person would, with a runner made of plain HTTP requests.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::Client;
use serde_json::{Value, json};

struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    url: String,
}

impl Program {
    fn start(jobs: &Path, arguments: &[&str]) -> Self {
        Self::start_with(&[&["--jobs", jobs.to_str().unwrap()], arguments].concat())
    }

    fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_runner-coordinator"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let url = line(&mut out);
        Self { child, out, url }
    }

    /// Waits for the end; the exit code and what was printed until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

/// Plain HTTP only, but the library wants to know a provider of TLS when any crate of the build switched TLS on.
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

async fn post(client: &Client, url: String, body: Value) -> Value {
    client.post(url).json(&body).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn jobs_of_a_folder_are_handed_out_and_told() {
    let jobs = tempfile::tempdir().unwrap();
    std::fs::write(jobs.path().join("1.json"), r#"{"id": 9, "job_info": {"name": "build"}}"#).unwrap();
    std::fs::write(jobs.path().join("2.json"), r#"{"job_info": {"name": "test"}}"#).unwrap();
    std::fs::write(jobs.path().join("notes.txt"), "no job").unwrap();
    let arguments = [
        "--registration-token",
        "reg",
        "--runner-token",
        "glrt-mine",
        "--fault",
        "update_job:1:503",
        "--show-trace",
        "--exit-when-done",
    ];
    let program = Program::start(jobs.path(), &arguments);
    let api = format!("{}/api/v4", program.url);
    let client = client();

    let registered = post(&client, format!("{api}/runners"), json!({ "token": "reg" })).await;
    for (token, state) in [("glrt-mine", "success"), (registered["token"].as_str().unwrap(), "failed")] {
        let job = post(&client, format!("{api}/jobs/request"), json!({ "token": token })).await;
        let (url, token) = (format!("{api}/jobs/{}", job["id"]), job["token"].as_str().unwrap());
        let patch =
            client.patch(format!("{url}/trace")).header("JOB-TOKEN", token).header("Content-Range", "0-4");
        assert_eq!(patch.body("hello").send().await.unwrap().status(), 202);
        let body =
            json!({ "token": token, "state": state, "failure_reason": "script_failure", "exit_code": 3 });
        let mut statuses = Vec::new();
        while statuses.last() != Some(&200) {
            statuses.push(client.put(&url).json(&body).send().await.unwrap().status().as_u16());
        }
        assert_eq!(statuses.len(), if state == "success" { 2 } else { 1 }, "{statuses:?}");
    }

    let (code, told) = program.end();
    assert_eq!(code, Some(1), "a job failed");
    assert_eq!(
        told,
        "job 1 (build): queued from 1.json\n\
         job 2 (test): queued from 2.json\n\
         runner 2: registered\n\
         runner 1: manager <legacy> seen for the first time\n\
         job 1 (build): handed to runner 1\n\
         job 1 (build): running\n\
         job 1 (build): 5 bytes of log from 0 on\n\
         hello\n\
         job 1 (build): success\n\
         runner 2: manager <legacy> seen for the first time\n\
         job 2 (test): handed to runner 2\n\
         job 2 (test): running\n\
         job 2 (test): 5 bytes of log from 0 on\n\
         hello\n\
         job 2 (test): failed, script_failure, exit code 3\n"
    );
}

#[tokio::test]
async fn without_tokens_a_runner_is_made() {
    let jobs = tempfile::tempdir().unwrap();
    std::fs::write(jobs.path().join("a.json"), "{}").unwrap();
    let mut program = Program::start(jobs.path(), &["--root", "/gitlab", "--exit-when-done"]);
    assert!(program.url.ends_with("/gitlab"), "{}", program.url);
    let told = line(&mut program.out);
    let token = told.strip_prefix("runner 1: token ").unwrap();
    assert!(token.starts_with("glrt-"));
    let api = format!("{}/api/v4", program.url);
    let client = client();
    let job = post(&client, format!("{api}/jobs/request"), json!({ "token": token })).await;
    let body = json!({ "token": job["token"], "state": "success" });
    client.put(format!("{api}/jobs/{}", job["id"])).json(&body).send().await.unwrap();
    assert_eq!(program.end().0, Some(0));
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_runner-coordinator")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let jobs = tempfile::tempdir().unwrap();
    let folder = jobs.path().to_str().unwrap();
    let (code, said) = run(&["--jobs", folder, "--fault", "patch_trac:1:503"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("unknown endpoint `patch_trac`; known are register"), "{said}");

    let (code, said) = run(&["--jobs", "/nonexistent/jobs"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("read job payloads from /nonexistent/jobs: No such file"), "{said}");

    std::fs::write(jobs.path().join("a.json"), "[1]").unwrap();
    let (code, said) = run(&["--jobs", folder]);
    assert_eq!(code, Some(2));
    assert!(said.contains("a.json is not a JSON object"), "{said}");
}

/// The next line that is this event, as JSON.
fn event(out: &mut impl BufRead, name: &str) -> Value {
    loop {
        let line = line(out);
        assert!(!line.is_empty(), "ended without {name}");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == name {
            return event;
        }
    }
}

#[tokio::test]
async fn a_script_enqueues_and_cancels_and_events_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let lines = [
        "# a comment",
        "",
        r#"{"do": {"enqueue": {"payload": {"job_info": {"name": "late"}}, "tags": []}}}"#,
        r#"{"when": {"job": 1, "is": "running"}, "do": {"cancel": {"job": 1}}}"#,
        r#"{"when": {"job": 1, "is": "finished"}, "at": "1ms", "do": {"fault": "verify:*:418"}}"#,
        r#"{"when": {"job": 1, "is": "finished"}, "at": "2ms", "do": {"enqueue": {"job_info": {"name": "last"}}}}"#,
    ];
    std::fs::write(&script, lines.join("\n")).unwrap();
    let script = script.to_str().unwrap();
    let arguments = [
        "--script",
        script,
        "--events",
        "json",
        "--exit-when-done",
        "--seed",
        "7",
        "--storage",
        "127.0.0.1:0",
    ];
    let mut program = Program::start_with(&arguments);
    let listening: Value = serde_json::from_str(&program.url).unwrap();
    assert_eq!(listening["event"], "listening");
    assert!(listening["storage"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let api = format!("{}/api/v4", listening["url"].as_str().unwrap());
    let created = event(&mut program.out, "runner_created");
    let queued = event(&mut program.out, "job_queued");
    assert_eq!((&queued["name"], &queued["from"]), (&json!("late"), &json!("the script")));

    let client = client();
    let token = created["token"].as_str().unwrap();
    let job = post(&client, format!("{api}/jobs/request"), json!({ "token": token })).await;
    assert_eq!(job["job_info"]["name"], "late");
    let finished = event(&mut program.out, "job_finished");
    assert_eq!((&finished["job"], &finished["state"]), (&json!(1), &json!("canceled")));
    assert!(finished["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(event(&mut program.out, "job_queued")["name"], "last");
    let verify = client.post(format!("{api}/runners/verify")).json(&json!({})).send().await.unwrap();
    assert_eq!(verify.status(), 418);
    let job = post(&client, format!("{api}/jobs/request"), json!({ "token": token })).await;
    let body = json!({ "token": job["token"], "state": "success" });
    client.put(format!("{api}/jobs/2")).json(&body).send().await.unwrap();
    let (code, _) = program.end();
    assert_eq!(code, Some(1), "one was canceled");
}

#[tokio::test]
async fn jobs_that_appear_later_are_taken() {
    let jobs = tempfile::tempdir().unwrap();
    let mut program = Program::start(jobs.path(), &["--runner-token", "glrt-mine"]);
    // Appears as a whole, so that it is looked at once.
    let put = |name: &str, text: &str| {
        let draft = jobs.path().join("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, jobs.path().join(name)).unwrap();
    };
    put("broken.json", "{");
    let problem = line(&mut program.out);
    assert!(
        problem.starts_with("problem: read the job payload") && problem.contains("broken.json"),
        "{problem}"
    );
    put("late.json", r#"{"job_info": {"name": "late"}}"#);
    assert_eq!(line(&mut program.out), "job 1 (late): queued from late.json");
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_cleanly() {
    for signal in ["INT", "TERM"] {
        let jobs = tempfile::tempdir().unwrap();
        let program = Program::start(jobs.path(), &["--runner-token", "glrt-mine"]);
        let killed =
            Command::new("kill").args(["-s", signal, &program.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(program.end().0, Some(0), "{signal}");
    }
}
