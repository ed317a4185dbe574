//! A compiled job: everything that the keywords of one `.gitlab-ci.yml` job say, after includes, `extends`, defaults,
//! `parallel` and rules have been applied.
//!
//! A [`Job`] is plain data. The compiler makes it, the scheduler decides by it when the job starts, and the payload
//! builder turns it into what a runner receives. Texts are as written: nothing here has been expanded by a shell.

use std::time::Duration;

use serde::Serialize;

use super::span::Span;

/// One job of a pipeline, an instance of `parallel` counting as one job.
///
/// Keywords and their meaning: <https://docs.gitlab.com/ci/yaml/#job-keywords>.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Full name, with the suffix of a parallel instance: `test 1/3`, `test: [linux, stable]`.
    pub name: String,
    /// The key under which the job is written, before `parallel` made several of it.
    pub base: String,
    /// Stage, always one of [`Pipeline::stages`](super::Pipeline::stages).
    pub stage: String,
    /// What the job does: run a script, or start another pipeline.
    pub work: Work,
    /// When the job starts once its predecessors are done; the matching rule has already been applied.
    pub when: When,
    /// How long a [`When::Delayed`] job waits.
    pub start_in: Option<Duration>,
    /// Whether a failure counts.
    pub allow_failure: AllowFailure,
    /// `needs`, resolved to full job names. `None`: the job waits for all earlier stages.
    pub needs: Option<Vec<Need>>,
    /// Entries of `needs` that name jobs of other pipelines. The job does not wait for them; it downloads their artifacts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_needs: Vec<ForeignNeed>,
    /// `dependencies`, resolved to full job names. `None`: not given.
    pub dependencies: Option<Vec<String>>,
    /// Variables of the job in the order of precedence, lowest first: top level, workflow rule, job, matrix, rule.
    pub variables: Vec<Variable>,
    /// Position of a `parallel` instance.
    pub node: Option<Node>,
    /// Image for executors that have one.
    pub image: Option<Image>,
    /// Services for executors that have them.
    pub services: Vec<Service>,
    /// `artifacts`, reports included.
    pub artifacts: Option<Artifacts>,
    /// `cache` entries in the order written.
    pub cache: Vec<Cache>,
    /// `retry`.
    pub retry: Retry,
    /// `timeout` of the job.
    pub timeout: Option<Duration>,
    /// `tags`.
    pub tags: Vec<String>,
    /// `interruptible`.
    pub interruptible: bool,
    /// `resource_group`, unexpanded.
    pub resource_group: Option<String>,
    /// `environment`.
    pub environment: Option<JobEnvironment>,
    /// `coverage`: the expression between the slashes.
    pub coverage: Option<String>,
    /// `hooks:pre_get_sources_script`, flattened.
    pub pre_get_sources_script: Vec<String>,
    /// Text of `manual_confirmation`.
    pub manual_confirmation: Option<String>,
    /// `id_tokens`: tokens that prove to others which job asks.
    pub id_tokens: Vec<IdToken>,
    /// `secrets`, by the names of the variables that they become.
    pub secrets: Vec<Secret>,
    /// `inputs`: values that the runner puts into the script.
    pub inputs: Vec<JobInput>,
    /// `release`.
    pub release: Option<Release>,
    /// `pages`: the folder that GitLab would publish, unexpanded; part of the artifacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<String>,
    /// Where the job's key stands.
    #[serde(skip)]
    pub span: Span,
}

impl Job {
    /// A job without any other keyword.
    #[must_use]
    pub fn new(name: impl Into<String>, stage: impl Into<String>, work: Work) -> Self {
        let name = name.into();
        Self {
            base: name.clone(),
            name,
            stage: stage.into(),
            work,
            when: When::OnSuccess,
            start_in: None,
            allow_failure: AllowFailure::No,
            needs: None,
            foreign_needs: Vec::new(),
            dependencies: None,
            variables: Vec::new(),
            node: None,
            image: None,
            services: Vec::new(),
            artifacts: None,
            cache: Vec::new(),
            retry: Retry::default(),
            timeout: None,
            tags: Vec::new(),
            interruptible: false,
            resource_group: None,
            environment: None,
            coverage: None,
            pre_get_sources_script: Vec::new(),
            manual_confirmation: None,
            id_tokens: Vec::new(),
            secrets: Vec::new(),
            inputs: Vec::new(),
            release: None,
            pages: None,
            span: Span::default(),
        }
    }
}

/// One entry of `id_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdToken {
    /// Name of the variable.
    pub name: String,
    /// `aud`: for whom it is, unexpanded.
    pub audiences: Vec<String>,
}

/// One entry of `secrets`. Where the server would look it up is not kept: no such place is asked here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Name of the variable.
    pub name: String,
    /// Whether the variable holds the path of a file with the value.
    pub file: bool,
}

/// One entry of a job's `inputs`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobInput {
    /// Name.
    pub name: String,
    /// `string`, `number`, `boolean` or `array`.
    pub kind: String,
    /// The value: its default.
    pub value: serde_json::Value,
}

/// `release`; texts are unexpanded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Release {
    /// `tag_name`.
    pub tag_name: String,
    /// `tag_message`.
    pub tag_message: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `description`.
    pub description: String,
    /// `ref`.
    pub git_ref: Option<String>,
    /// `released_at`.
    pub released_at: Option<String>,
    /// `milestones`.
    pub milestones: Vec<String>,
    /// `assets:links`, each as JSON.
    pub links: Vec<serde_json::Value>,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Work {
    /// `script` with its companions, each flattened to a list of commands.
    Script {
        /// `before_script`: runs in the same shell as `script`.
        before_script: Vec<String>,
        /// `script`.
        script: Vec<String>,
        /// `after_script`: a shell of its own, whatever the outcome.
        after_script: Vec<String>,
    },
    /// `trigger`: starts another pipeline and runs nothing itself.
    Trigger(Trigger),
}

/// `trigger`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trigger {
    /// What is started.
    pub target: TriggerTarget,
    /// `strategy: depend` or `mirror`: the job takes the status of what it started.
    pub depend: bool,
    /// `forward`: which variables the other pipeline gets.
    pub forward: Forward,
}

/// `trigger:forward`: which variables become pipeline variables of the pipeline that is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// Those of the trigger job, inherited ones included.
    pub yaml_variables: bool,
    /// Those of this pipeline.
    pub pipeline_variables: bool,
}

impl Default for Forward {
    fn default() -> Self {
        Self { yaml_variables: true, pipeline_variables: false }
    }
}

/// What a [`Trigger`] starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TriggerTarget {
    /// A pipeline of another project.
    Project {
        /// Full path of the project, unexpanded.
        project: String,
        /// Branch, unexpanded; the project's default branch without it.
        branch: Option<String>,
    },
    /// A child pipeline of the same project, made of these files.
    Include(Vec<ChildInclude>),
}

/// One entry of `trigger:include`. Texts are unexpanded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChildInclude {
    /// Where the file is.
    pub source: ChildSource,
    /// Values for its `spec:inputs`, as JSON.
    pub inputs: serde_json::Map<String, serde_json::Value>,
    /// `rules`, as JSON: whether the file takes part, decided when the pipeline starts.
    pub rules: Option<serde_json::Value>,
    /// `integrity` of a file at an address.
    pub integrity: Option<String>,
}

/// Where a file of a child pipeline is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildSource {
    /// In the repository.
    Local(String),
    /// In the archive of a job that has run before.
    Artifact {
        /// Path in the archive.
        artifact: String,
        /// Full name of the job.
        job: String,
    },
    /// In another project.
    Project {
        /// Full path of the project.
        project: String,
        /// The files.
        files: Vec<String>,
        /// Branch, tag or commit; the default branch without it.
        git_ref: Option<String>,
    },
    /// At an address.
    Remote(String),
    /// With the server.
    Template(String),
    /// A component, as `host/project/name@version`.
    Component(String),
}

impl From<&str> for ChildInclude {
    /// A file of the repository without inputs.
    fn from(path: &str) -> Self {
        Self {
            source: ChildSource::Local(path.to_owned()),
            inputs: serde_json::Map::new(),
            rules: None,
            integrity: None,
        }
    }
}

/// `when` of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Starts when the predecessors succeeded.
    OnSuccess,
    /// Starts when a predecessor failed.
    OnFailure,
    /// Starts whatever the predecessors did.
    Always,
    /// Waits until somebody plays it.
    Manual,
    /// Waits [`Job::start_in`] first.
    Delayed,
}

impl When {
    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnSuccess => "on_success",
            Self::OnFailure => "on_failure",
            Self::Always => "always",
            Self::Manual => "manual",
            Self::Delayed => "delayed",
        }
    }
}

/// `allow_failure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum AllowFailure {
    /// A failure fails the pipeline.
    No,
    /// No failure counts.
    Yes,
    /// Failures with these exit codes do not count.
    ExitCodes(Vec<i32>),
}

/// One entry of `needs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Full name of the needed job.
    pub job: String,
    /// Whether the job's artifacts are downloaded.
    pub artifacts: bool,
    /// Whether the pipeline is valid without that job.
    pub optional: bool,
}

/// One entry of `needs` that names a job of another pipeline.
/// <https://docs.gitlab.com/ci/yaml/#needsproject>, <https://docs.gitlab.com/ci/yaml/#needspipelinejob>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignNeed {
    /// Full path of the project, unexpanded; of the same project without it.
    pub project: Option<String>,
    /// Id of the pipeline, unexpanded; with a project the last one of [`git_ref`](Self::git_ref).
    pub pipeline: Option<String>,
    /// Branch or tag of the project, unexpanded.
    pub git_ref: Option<String>,
    /// Full name of the job, unexpanded.
    pub job: String,
    /// Whether the job's artifacts are downloaded.
    pub artifacts: bool,
    /// Where it stands.
    #[serde(skip)]
    pub span: Span,
}

/// A variable as GitLab would send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Name.
    pub key: String,
    /// Value, unexpanded.
    pub value: String,
    /// `expand: false`: the value is never expanded.
    pub raw: bool,
}

/// Position of a `parallel` instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Node {
    /// `CI_NODE_INDEX`, from 1.
    pub index: u32,
    /// `CI_NODE_TOTAL`.
    pub total: u32,
}

/// `image`, or the image part of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Reference, unexpanded.
    pub name: String,
    /// `entrypoint`; `None` keeps the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// `pull_policy`, in order of preference.
    pub pull_policy: Vec<String>,
    /// `docker:platform`.
    pub docker_platform: Option<String>,
    /// `docker:user`.
    pub docker_user: Option<String>,
    /// `kubernetes:user`.
    pub kubernetes_user: Option<String>,
}

/// One entry of `services`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The image.
    pub image: Image,
    /// Host names, separated by blanks or commas.
    pub alias: Option<String>,
    /// `command`; `None` keeps the image's own.
    pub command: Option<Vec<String>>,
    /// Variables of this service alone.
    pub variables: Vec<Variable>,
}

/// When an archive or cache is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepWhen {
    /// After success.
    #[default]
    OnSuccess,
    /// After failure.
    OnFailure,
    /// Always.
    Always,
}

/// `artifacts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Artifacts {
    /// `name`, unexpanded.
    pub name: Option<String>,
    /// `paths`.
    pub paths: Vec<String>,
    /// `exclude`.
    pub exclude: Vec<String>,
    /// `untracked`.
    pub untracked: bool,
    /// `when`.
    pub when: KeepWhen,
    /// `expire_in` as written.
    pub expire_in: Option<String>,
    /// `reports`, one entry per kind in the order written.
    pub reports: Vec<Report>,
}

/// One kind of `artifacts:reports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Artifact type as sent to runners: `junit`, `dotenv`, `cobertura`, …
    pub kind: String,
    /// Paths of the report's files.
    pub paths: Vec<String>,
}

/// One entry of `cache`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// `key`.
    pub key: CacheKey,
    /// `paths`.
    pub paths: Vec<String>,
    /// `untracked`.
    pub untracked: bool,
    /// `policy`, unexpanded; `pull-push` by default.
    pub policy: String,
    /// `when`.
    pub when: KeepWhen,
    /// `fallback_keys`, unexpanded.
    pub fallback_keys: Vec<String>,
    /// `unprotect`.
    pub unprotect: bool,
}

/// `cache:key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum CacheKey {
    /// Text, unexpanded; `default` when not given.
    Text(String),
    /// A hash over files of the commit.
    Files {
        /// Files or globs.
        files: Vec<String>,
        /// Hash the last commit of each file instead of its content.
        commits: bool,
        /// `prefix`, unexpanded.
        prefix: Option<String>,
    },
}

/// `retry`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// How many times at the most, 0 to 2.
    pub max: u8,
    /// Failure reasons that are retried; empty with empty `exit_codes` means all.
    pub when: Vec<String>,
    /// Exit codes that are retried.
    pub exit_codes: Vec<i32>,
}

/// `environment`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobEnvironment {
    /// `name`, unexpanded.
    pub name: String,
    /// `url`, unexpanded.
    pub url: Option<String>,
    /// `action`; `start` by default.
    pub action: String,
    /// `deployment_tier`.
    pub tier: Option<String>,
    /// `on_stop`.
    pub on_stop: Option<String>,
}
