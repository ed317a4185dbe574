//! The job's stages as data.
//!
//! A [`Plan`] says which stages a job has, in which order, when each of them runs, and what it does: a list of [`Op`]s that
//! [`script`](crate::script) turns into the text of a shell. A plan can be printed, compared and written to a journal: it
//! names secrets, it does not hold them.
//!
//! | Stage | Runs | Where |
//! | --- | --- | --- |
//! | `prepare_script` | first | helper |
//! | `get_sources`, `restore_cache`, `download_artifacts` | while nothing failed, several tries | helper |
//! | `clear_worktree` | between the first and the second try of `get_sources` | helper |
//! | `step_…`, in the payload's order | while nothing failed | job |
//! | `after_script` | once the steps were reached, however they ended | job |
//! | `archive_cache`, `upload_artifacts_on_success` | after a success | helper |
//! | `archive_cache_on_failure`, `upload_artifacts_on_failure` | after a failure | helper |
//! | `cleanup_file_variables` | last | helper |
//!
//! Preparing the place and resolving external secrets are not scripts and not part of it.
//!
//! ```
//! use runner_api::{Job, RunnerToken};
//! use runner_core::executor::{Place, Shell, Slots};
//! use runner_core::plan::{JobDirs, Plan, PlanInputs};
//! use runner_core::script::{StageContext, render};
//! use runner_core::settings::{JobSettings, RunnerIdentity};
//! use runner_core::variables::{JobStatus, Program, TlsFiles, VariableInputs, Variables};
//!
//! let job = Job::from_json(r#"{"id": 1, "token": "t", "steps": [{"name": "script", "script": ["make"]}]}"#)?;
//! let runner = RunnerIdentity {
//!     name: "mine".into(),
//!     url: "https://gitlab.example.com".parse()?,
//!     token: RunnerToken::new("glrt-abcdefghijkl"),
//!     system_id: "s_0123456789ab".into(),
//! };
//! let program = Program { version: "1.0.0".into(), revision: "0badcafe".into(), platform: "linux/amd64".into() };
//! let inputs = VariableInputs {
//!     job: &job,
//!     settings: &JobSettings::default(),
//!     runner: &runner,
//!     program: &program,
//!     slots: Slots { runner: 0, project: 0 },
//!     secrets: &[],
//!     tls: &TlsFiles::default(),
//! };
//! let place = Place {
//!     builds_dir: "/builds".into(),
//!     cache_dir: "/cache".into(),
//!     shared: false,
//!     shell: Shell::Bash,
//!     helper: vec!["/usr/bin/gitlab-runner-helper".into()],
//!     os: "linux".into(),
//!     hostname: None,
//! };
//! let dirs = JobDirs::new(&inputs, &place)?;
//! let variables = Variables::build(&inputs, Some(&dirs));
//! let plan = Plan::new(&PlanInputs { inputs: &inputs, place: &place, dirs: &dirs, variables: &variables })?;
//!
//! let context = StageContext { job: &job, variables: &variables, job_status: JobStatus::Running };
//! for stage in plan.stages().iter().filter(|stage| !stage.is_empty()) {
//!     let input = render(&plan, stage, &context)?;
//!     println!("{}: {} bytes of script, {} secrets", stage.name, input.script.len(), input.secrets.len());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where this differs from GitLab's own runner, on purpose:
//!
//! * Tokens are never arguments of a program: the helper gets them by its environment, git by a file.
//! * The temporary folder is removed at the beginning and at the end, with everything an earlier job left in it.
//! * A rewrite of URLs that adds the job token ends with a slash, so that it cannot match a longer host name.
//! * Helper commands are looked for one by one: a helper without, say, caches is a warning, not a failure.
//! * Local cache archives are named by absolute paths.
//! * Configuration of submodules is removed by repository, so that branches named `config` survive.

mod artifacts;
mod cache;
mod cache_key;
mod cleanup;
mod op;
mod remote;
mod rewrites;
mod sources;
mod stage;
mod steps;
mod submodules;
mod whole;

pub use crate::variables::{DirsError, JobDirs};
pub use op::{Command, Condition, GitConfigEntry, Op, Origin, Output, Secret, Style, UserCommand, UserInfo};
pub use stage::{Body, Runs, StageKind, StagePlan};
pub use whole::{Plan, PlanError, PlanInputs};
