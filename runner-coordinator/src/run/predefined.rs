//! The variables that GitLab predefines, made from [`Facts`].
//!
//! They come in the groups in which a payload orders them, and by where they may be used: [`pre`] in `include`,
//! `workflow` and everything later, [`pipe`] and [`of_job`] also in `rules`, [`persisted`] only in the job itself.
//!
//! <https://docs.gitlab.com/ci/variables/predefined_variables/>

use std::sync::LazyLock;
use std::time::SystemTime;

use jiff::Timestamp;
use regex::Regex;

use super::facts::{Facts, GitRef, MergeRequest};
use super::remote::Remote;
use super::slug::{slug, stable_id};
use super::variable::JobVariable;
use crate::pipeline::{Node, Variable};

/// The version of GitLab whose API the coordinator speaks.
const SERVER_VERSION: [&str; 3] = ["19", "4", "0"];
/// Longer commit messages are cut.
const MAX_MESSAGE: usize = 100_000;
/// Commits whose first line has that many characters have their whole message as the description.
const LONG_TITLE: usize = 100;

/// Known before anything is compiled: usable in `include` and `workflow`.
#[must_use]
pub fn pre(facts: &Facts) -> Vec<Variable> {
    let mut variables = of_project(facts);
    variables.extend(of_commit(facts));
    variables
}

/// Known once there is a pipeline: usable in the `rules` of jobs, together with [`pre`] and [`of_job`].
#[must_use]
pub fn pipe(facts: &Facts) -> Vec<Variable> {
    let mut variables = of_pipeline(facts);
    variables.extend(of_user(facts));
    variables
}

/// What the variables of one job are made of, before the job has an id.
#[derive(Debug, Clone, Copy)]
pub struct JobFacts<'a> {
    /// Full name of the job.
    pub name: &'a str,
    /// Stage.
    pub stage: &'a str,
    /// Whether the job is manual or delayed.
    pub manual: bool,
    /// Position of a `parallel` instance.
    pub node: Option<Node>,
    /// The job's environment.
    pub environment: Option<EnvironmentFacts<'a>>,
}

/// What the variables of an environment are made of.
#[derive(Debug, Clone, Copy)]
pub struct EnvironmentFacts<'a> {
    /// Name, expanded.
    pub name: &'a str,
    /// What the job does to it: `start`, `stop`, …
    pub action: &'a str,
    /// `deployment_tier`; guessed from the name without it.
    pub tier: Option<&'a str>,
}

/// Variables of one job that its `rules` may use.
#[must_use]
pub fn of_job(job: &JobFacts<'_>) -> Vec<Variable> {
    let mut list = List::default();
    list.add("CI_JOB_NAME", job.name);
    list.add("CI_JOB_NAME_SLUG", slug(job.name));
    list.add("CI_JOB_GROUP_NAME", group_name(job.name));
    list.add("CI_JOB_STAGE", job.stage);
    if job.manual {
        list.add("CI_JOB_MANUAL", "true");
    }
    if let Some(node) = job.node {
        list.add("CI_NODE_INDEX", node.index.to_string());
    }
    list.add("CI_NODE_TOTAL", job.node.map_or(1, |node| node.total).to_string());
    if let Some(environment) = &job.environment {
        list.add("CI_ENVIRONMENT_NAME", environment.name);
        list.add("CI_ENVIRONMENT_ACTION", environment.action);
        list.add("CI_ENVIRONMENT_TIER", environment.tier.unwrap_or_else(|| tier(environment.name)));
    }
    list.0
}

/// How many variables only a try has.
pub(super) const PERSISTED: usize = 9;

/// Variables that only the job itself sees: its id and token, and what is made of them.
#[must_use]
pub fn persisted(facts: &Facts, job_id: u64, token: &str, started: SystemTime) -> Vec<JobVariable> {
    let url = facts.project().project_url();
    vec![
        JobVariable::new("CI_PIPELINE_ID", facts.pipeline_id.to_string()),
        JobVariable::new("CI_PIPELINE_URL", format!("{url}/-/pipelines/{}", facts.pipeline_id)),
        JobVariable::new("CI_JOB_ID", job_id.to_string()),
        JobVariable::new("CI_JOB_URL", format!("{url}/-/jobs/{job_id}")),
        JobVariable::masked("CI_JOB_TOKEN", token),
        JobVariable::new("CI_JOB_STARTED_AT", iso8601(started)),
        JobVariable::new("CI_REGISTRY_USER", "gitlab-ci-token"),
        JobVariable::masked("CI_REGISTRY_PASSWORD", token),
        JobVariable::hidden("CI_REPOSITORY_URL", facts.repository_url_with(token)),
    ]
}

/// Server and project.
pub(super) fn of_project(facts: &Facts) -> Vec<Variable> {
    let project = facts.project();
    let server = project.server_url();
    let [major, minor, patch] = SERVER_VERSION;
    let mut list = List::default();
    list.add("CI", "true");
    list.add("GITLAB_CI", "true");
    list.add("CI_LOCAL", "true");
    list.add("CI_SERVER_FQDN", project.fqdn());
    list.add("CI_SERVER_HOST", &project.host);
    list.add("CI_SERVER_PORT", project.port.to_string());
    list.add("CI_SERVER_PROTOCOL", &project.scheme);
    list.add("CI_SERVER_URL", &server);
    list.add("CI_SERVER_SHELL_SSH_HOST", &project.host);
    list.add("CI_SERVER_SHELL_SSH_PORT", project.ssh_port.to_string());
    list.add("CI_SERVER_NAME", "GitLab");
    list.add("CI_SERVER_VERSION", SERVER_VERSION.join("."));
    list.add("CI_SERVER_VERSION_MAJOR", major);
    list.add("CI_SERVER_VERSION_MINOR", minor);
    list.add("CI_SERVER_VERSION_PATCH", patch);
    list.add("CI_SERVER_REVISION", "");
    list.add("CI_API_V4_URL", format!("{server}/api/v4"));
    list.add("CI_API_GRAPHQL_URL", format!("{server}/api/graphql"));
    list.add("GITLAB_FEATURES", "");
    list.add("CI_PROJECT_ID", project.project_id().to_string());
    list.add("CI_PROJECT_NAME", project.project_name());
    list.add("CI_PROJECT_TITLE", project.project_name());
    list.add("CI_PROJECT_DESCRIPTION", "");
    list.add("CI_PROJECT_PATH", &project.path);
    list.add("CI_PROJECT_PATH_SLUG", slug(&project.path));
    list.add("CI_PROJECT_NAMESPACE", project.namespace());
    list.add("CI_PROJECT_NAMESPACE_ID", project.namespace_id().to_string());
    list.add("CI_PROJECT_NAMESPACE_SLUG", slug(project.namespace()));
    list.add("CI_PROJECT_ROOT_NAMESPACE", project.root_namespace());
    list.add("CI_PROJECT_URL", project.project_url());
    list.add("CI_PROJECT_VISIBILITY", "private");
    list.add("CI_PROJECT_REPOSITORY_LANGUAGES", "");
    list.add("CI_PROJECT_CLASSIFICATION_LABEL", "");
    list.add("CI_PROJECT_TOPICS", "");
    list.add("CI_DEFAULT_BRANCH", &facts.default_branch);
    list.add("CI_DEFAULT_BRANCH_SLUG", slug(&facts.default_branch));
    list.add("CI_CONFIG_PATH", &facts.config_path);
    if let Some(registry) = &facts.registry {
        list.add("CI_REGISTRY", registry);
        list.add("CI_REGISTRY_IMAGE", format!("{registry}/{}", project.path).to_lowercase());
    }
    list.0
}

/// Source of the pipeline and the commit.
pub(super) fn of_commit(facts: &Facts) -> Vec<Variable> {
    let reference = facts.git_ref.name();
    let message = truncated(&facts.message);
    let (title, description) = title_and_description(message);
    let mut list = List::default();
    list.add("CI_PIPELINE_SOURCE", &facts.source);
    list.add("CI_PIPELINE_CREATED_AT", iso8601(facts.created_at));
    list.add("CI_COMMIT_SHA", &facts.sha);
    list.add("CI_COMMIT_SHORT_SHA", facts.sha.get(..8).unwrap_or(&facts.sha));
    list.add("CI_COMMIT_BEFORE_SHA", &facts.before_sha);
    list.add("CI_COMMIT_REF_NAME", reference);
    list.add("CI_COMMIT_REF_SLUG", slug(reference));
    list.add("CI_COMMIT_REF_PROTECTED", facts.protected.to_string());
    match &facts.git_ref {
        GitRef::Branch(branch) => list.add("CI_COMMIT_BRANCH", branch),
        GitRef::Tag { name, message } => {
            list.add("CI_COMMIT_TAG", name);
            list.add("CI_COMMIT_TAG_MESSAGE", message.as_deref().unwrap_or_default());
        }
        GitRef::MergeRequest(request) => list.merge_request(request, &facts.project()),
    }
    list.add("CI_COMMIT_MESSAGE", message);
    list.add("CI_COMMIT_MESSAGE_IS_TRUNCATED", (message.len() < facts.message.len()).to_string());
    list.add("CI_COMMIT_TITLE", title);
    list.add("CI_COMMIT_DESCRIPTION", description);
    list.add("CI_COMMIT_TIMESTAMP", &facts.timestamp);
    list.add("CI_COMMIT_AUTHOR", &facts.author);
    list.0
}

pub(super) fn of_pipeline(facts: &Facts) -> Vec<Variable> {
    let mut list = List::default();
    list.add("CI_PIPELINE_IID", facts.pipeline_iid.to_string());
    list.0
}

/// Who started the pipeline. In a payload these come after the variables of the file, which cannot override them.
pub(super) fn of_user(facts: &Facts) -> Vec<Variable> {
    let mut list = List::default();
    list.add("GITLAB_USER_ID", facts.user.id.to_string());
    list.add("GITLAB_USER_LOGIN", &facts.user.login);
    list.add("GITLAB_USER_NAME", &facts.user.name);
    list.add("GITLAB_USER_EMAIL", &facts.user.email);
    list.0
}

impl Facts {
    /// Server and path of the project, whether or not it has a remote.
    #[must_use]
    pub fn project(&self) -> Remote {
        self.remote.clone().unwrap_or_else(|| Remote::local(&self.server_url, &self.directory))
    }

    /// The address that jobs fetch the sources from, with the job's token as password when it is http(s).
    pub(super) fn repository_url_with(&self, token: &str) -> String {
        let Ok(mut url) = url::Url::parse(&self.repository_url) else { return self.repository_url.clone() };
        let takes_credentials = matches!(url.scheme(), "http" | "https")
            && url.set_username("gitlab-ci-token").is_ok()
            && url.set_password(Some(token)).is_ok();
        if takes_credentials { url.into() } else { self.repository_url.clone() }
    }
}

impl Remote {
    /// A number in place of the project's id on its server: the same for the same path.
    #[must_use]
    pub fn project_id(&self) -> u64 {
        stable_id(&self.path)
    }

    /// A number in place of the id of the project's group.
    #[must_use]
    pub fn namespace_id(&self) -> u64 {
        stable_id(self.namespace())
    }
}

/// A number in place of the id of the project's outermost group.
pub(super) fn root_namespace_id(project: &Remote) -> u64 {
    stable_id(project.root_namespace())
}

/// The name without the suffixes by which instances of one job differ.
pub(super) fn group_name(name: &str) -> &str {
    static SUFFIX: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"([\s:]+(\[.*\]|\d+[\s:/\\]+\d+)){1,3}\s*$").ok());
    let end = SUFFIX.as_ref().and_then(|suffix| suffix.find(name)).map_or(name.len(), |found| found.start());
    name[..end].trim_end()
}

/// Guesses an environment's tier from its name.
fn tier(name: &str) -> &'static str {
    const TIERS: [(&str, &[&str]); 4] = [
        ("development", &["dev", "review", "trunk"]),
        ("testing", &["test", "tst", "int", "accept", "acpt", "qa", "qc", "control", "quality"]),
        ("staging", &["stag", "stg", "model", "modl", "pre", "demo", "non"]),
        ("production", &["prod", "prd", "live"]),
    ];
    let name = name.to_lowercase();
    let found = TIERS.iter().find(|(_, parts)| parts.iter().any(|part| name.contains(part)));
    found.map_or("other", |(tier, _)| tier)
}

fn truncated(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE)]
}

fn title_and_description(message: &str) -> (&str, &str) {
    let (title, rest) = message.split_once('\n').unwrap_or((message, ""));
    let title = title.trim_end();
    if title.chars().count() >= LONG_TITLE {
        return (title, message);
    }
    (title, rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest))
}

fn iso8601(time: SystemTime) -> String {
    Timestamp::try_from(time)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[derive(Default)]
struct List(Vec<Variable>);

impl List {
    fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(Variable { key: key.to_owned(), value: value.into(), raw: false });
    }

    fn merge_request(&mut self, request: &MergeRequest, project: &Remote) {
        let (path, url, id) = (&project.path, project.project_url(), project.project_id().to_string());
        self.add("CI_MERGE_REQUEST_ID", "1");
        self.add("CI_MERGE_REQUEST_IID", "1");
        self.add("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/1/head");
        self.add("CI_MERGE_REQUEST_EVENT_TYPE", "detached");
        self.add("CI_MERGE_REQUEST_TITLE", &request.title);
        self.add("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", &request.source_branch);
        self.add("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", &request.source_sha);
        self.add("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", &request.target_branch);
        self.add("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", &request.target_sha);
        self.add("CI_MERGE_REQUEST_DIFF_BASE_SHA", &request.base_sha);
        for owner in ["", "SOURCE_"] {
            self.add(&format!("CI_MERGE_REQUEST_{owner}PROJECT_ID"), &id);
            self.add(&format!("CI_MERGE_REQUEST_{owner}PROJECT_PATH"), path);
            self.add(&format!("CI_MERGE_REQUEST_{owner}PROJECT_URL"), &url);
        }
    }
}
