//! A job in a temporary folder whose scripts are run by real shells.
#![expect(dead_code, reason = "each test program uses its own part")]
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use runner_api::{Job, RunnerToken};
use runner_core::executor::{Place, Shell, Slots, StageInput};
use runner_core::plan::{Plan, PlanError, PlanInputs, StageKind, StagePlan};
use runner_core::script::{StageContext, render};
use runner_core::settings::{JobSettings, RunnerIdentity};
use runner_core::variables::{JobDirs, JobStatus, Program, TlsFiles, Variable, VariableInputs, Variables};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
pub(crate) const JOB_TOKEN: &str = "glcbt-64_T0p_Secret";

/// The payload that most tests start from.
pub(crate) fn base() -> Value {
    json!({
        "id": 123, "token": JOB_TOKEN, "allow_git_fetch": true,
        "job_info": {"name": "test", "project_id": 1},
        "git_info": {
            "repo_url": format!("https://gitlab-ci-token:{JOB_TOKEN}@gitlab.example.com/group/project.git"),
            "ref": "main", "sha": "1ecfd275763eff1d6b4844ea3168962458c9f27a",
            "refspecs": ["+refs/pipelines/9:refs/pipelines/9", "+refs/heads/main:refs/remotes/origin/main"],
            "depth": 20,
        },
        "features": {"trace_sections": true},
        "runner_info": {"timeout": 3600},
        "steps": [{"name": "script", "script": ["echo hello"]}],
    })
}

/// A public variable as the server sends it.
pub(crate) fn variable(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value, "public": true})
}

/// Everything that scripts are made from.
pub(crate) struct Fixture {
    pub(crate) job: Job,
    pub(crate) settings: JobSettings,
    pub(crate) runner: RunnerIdentity,
    pub(crate) program: Program,
    pub(crate) slots: Slots,
    pub(crate) secrets: Vec<Variable>,
    pub(crate) tls: TlsFiles,
    pub(crate) place: Place,
    home: TempDir,
}

impl Fixture {
    /// The base payload with some fields replaced, in a place of the job alone below `/builds`.
    pub(crate) fn new(changes: &Value) -> Self {
        let mut payload = base();
        merge(&mut payload, changes);
        Self {
            job: Job::from_json(payload.to_string()).unwrap(),
            settings: JobSettings::default(),
            runner: RunnerIdentity {
                name: "unit".to_owned(),
                url: Url::parse("https://gitlab.example.com").unwrap(),
                token: RunnerToken::new("glrt-t1_abcdefghijkl"),
                system_id: "s_000000000000".to_owned(),
            },
            program: Program {
                version: "0.1.0".to_owned(),
                revision: "0badcafe".to_owned(),
                platform: "linux/amd64".to_owned(),
            },
            slots: Slots { runner: 3, project: 0 },
            secrets: Vec::new(),
            tls: TlsFiles::default(),
            place: Place {
                builds_dir: "/builds".to_owned(),
                cache_dir: "/cache".to_owned(),
                shared: false,
                shell: Shell::Bash,
                helper: vec!["/usr/bin/gitlab-runner-helper".to_owned()],
                os: "linux".to_owned(),
                hostname: None,
            },
            home: TempDir::new().unwrap(),
        }
    }

    /// The same in real folders, for scripts that are run; git trusts local repositories.
    pub(crate) fn in_folders(changes: &Value) -> Self {
        let mut fixture = Self::new(changes);
        let root = fixture.root();
        fixture.place.builds_dir = root.join("builds").display().to_string();
        fixture.place.cache_dir = root.join("cache").display().to_string();
        fs::write(root.join(".gitconfig"), "[protocol \"file\"]\n\tallow = always\n").unwrap();
        fixture
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap()
    }

    pub(crate) fn inputs(&self) -> VariableInputs<'_> {
        VariableInputs {
            job: &self.job,
            settings: &self.settings,
            runner: &self.runner,
            program: &self.program,
            slots: self.slots,
            secrets: &self.secrets,
            tls: &self.tls,
        }
    }

    pub(crate) fn dirs(&self) -> JobDirs {
        JobDirs::new(&self.inputs(), &self.place).unwrap()
    }

    pub(crate) fn variables(&self) -> Variables {
        Variables::build(&self.inputs(), Some(&self.dirs()))
    }

    pub(crate) fn try_plan(&self) -> Result<Plan, PlanError> {
        let (inputs, dirs, variables) = (self.inputs(), self.dirs(), self.variables());
        Plan::new(&PlanInputs { inputs: &inputs, place: &self.place, dirs: &dirs, variables: &variables })
    }

    pub(crate) fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }

    pub(crate) fn stage(&self, kind: StageKind) -> StagePlan {
        self.plan().stage(kind).unwrap().clone()
    }

    pub(crate) fn script(&self, kind: StageKind) -> StageInput {
        self.script_when(kind, JobStatus::Running)
    }

    pub(crate) fn script_when(&self, kind: StageKind, job_status: JobStatus) -> StageInput {
        let (plan, variables) = (self.plan(), self.variables());
        let context = StageContext { job: &self.job, variables: &variables, job_status };
        render(&plan, plan.stage(kind).unwrap(), &context).unwrap()
    }

    /// Runs a stage with bash.
    pub(crate) fn run(&self, kind: StageKind) -> Ran {
        self.run_with(&["bash"], &self.script(kind))
    }

    /// Runs a script with a shell, as an environment does: files first, then the shell with the rest of the secrets.
    pub(crate) fn run_with(&self, shell: &[&str], input: &StageInput) -> Ran {
        for secret in &input.secrets {
            if let Some(path) = &secret.file {
                fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
                fs::write(path, secret.value.expose_secret()).unwrap();
            }
        }
        let script = self.root().join("script");
        fs::write(&script, &input.script).unwrap();
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(&script).env_clear().env("HOME", self.root());
        command.env("PATH", format!("{}:{PATH}", self.root().join("bin").display()));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C.UTF-8").current_dir(self.root());
        // Input that a command could eat by mistake.
        let eaten = self.root().join("stdin");
        fs::write(&eaten, "echo EATEN\n").unwrap();
        command.stdin(Stdio::from(fs::File::open(eaten).unwrap()));
        for secret in input.secrets.iter().filter(|secret| secret.file.is_none()) {
            command.env(&secret.key, secret.value.expose_secret());
        }
        Ran::of(command.output().unwrap())
    }

    /// Puts a program in front of those of the machine.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.root().join("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn project(&self) -> PathBuf {
        PathBuf::from(self.dirs().project_dir)
    }

    pub(crate) fn temp(&self) -> PathBuf {
        PathBuf::from(self.dirs().temp_dir)
    }
}

/// How a script ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// What was printed, without colours.
    pub(crate) fn text(&self) -> String {
        plain(&self.stdout)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

/// A text without colours.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}

/// Shells of this machine that scripts must work in.
pub(crate) fn shells() -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["bash"]];
    for (path, shell) in [("/usr/bin/dash", vec!["dash"]), ("/usr/bin/busybox", vec!["busybox", "sh"])] {
        if Path::new(path).exists() {
            shells.push(shell);
        }
    }
    shells
}

/// Whether any file below a folder contains a text.
pub(crate) fn any_file_contains(dir: &Path, text: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            if let Some(found) = any_file_contains(&path, text) {
                return Some(found);
            }
        } else if kind.is_file()
            && fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
        {
            return Some(path);
        }
    }
    None
}

fn merge(target: &mut Value, changes: &Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(target.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (target, changes) => *target = changes.clone(),
    }
}
