//! [`JobOptions`]: what a job asks for through its variables.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Variables, duration, parse};

/// What a job asks for through its variables. A text that makes no sense never fails the job here: the default is taken and
/// [`warnings`](Self::warnings) says so.
///
/// Source: GitLab documentation, "Configuring runners" and "CI/CD YAML syntax reference".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// `CI_DEBUG_TRACE`: scripts show each command they run.
    pub debug_trace: bool,
    /// `CI_DEBUG_SERVICES`: the log shows what services print.
    pub debug_services: bool,
    /// `GIT_CLONE_PATH`: another folder for the project.
    pub clone_path: Option<String>,
    /// `GIT_STRATEGY`.
    pub git_strategy: GitStrategy,
    /// `GIT_CHECKOUT`: whether the commit is checked out.
    pub git_checkout: bool,
    /// `GIT_SUBMODULE_STRATEGY`.
    pub submodule_strategy: SubmoduleStrategy,
    /// `GIT_SUBMODULE_PATHS`: the only submodules to update.
    pub submodule_paths: Vec<String>,
    /// `GIT_SUBMODULE_DEPTH`; 0: everything.
    pub submodule_depth: u64,
    /// `GIT_SUBMODULE_UPDATE_FLAGS`.
    pub submodule_update_flags: Vec<String>,
    /// `GIT_SUBMODULE_FORCE_HTTPS`: SSH URLs of the instance are fetched by HTTPS.
    pub submodule_force_https: bool,
    /// `GIT_CLEAN_FLAGS`.
    pub clean_flags: Vec<String>,
    /// `GIT_CLONE_EXTRA_FLAGS`.
    pub clone_extra_flags: Vec<String>,
    /// `GIT_FETCH_EXTRA_FLAGS`.
    pub fetch_extra_flags: Vec<String>,
    /// `GIT_LFS_SKIP_SMUDGE`: no LFS objects are fetched.
    pub lfs_skip_smudge: bool,
    /// `GET_SOURCES_ATTEMPTS`, 1 to 10.
    pub get_sources_attempts: u16,
    /// `ARTIFACT_DOWNLOAD_ATTEMPTS`, 1 to 10.
    pub artifact_download_attempts: u16,
    /// `RESTORE_CACHE_ATTEMPTS`, 1 to 10.
    pub restore_cache_attempts: u16,
    /// `EXECUTOR_JOB_SECTION_ATTEMPTS`, 1 to 10.
    pub executor_job_section_attempts: u16,
    /// `SECRETS_RETRIEVAL_ATTEMPTS`, 1 to 10.
    pub secrets_retrieval_attempts: u16,
    /// `AFTER_SCRIPT_IGNORE_ERRORS`: a failing after_script does not fail the job.
    pub after_script_ignore_errors: bool,
    /// `CACHE_REQUEST_TIMEOUT` in minutes.
    pub cache_request_timeout: u64,
    /// `RUNNER_SCRIPT_TIMEOUT`: limit for all user steps together.
    pub script_timeout: Option<Duration>,
    /// `RUNNER_AFTER_SCRIPT_TIMEOUT`: limit for after_script.
    pub after_script_timeout: Duration,
    /// What could not be read, one line each, for the job's log.
    pub warnings: Vec<String>,
}

/// Where a job's files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitStrategy {
    /// The folder is deleted, then everything is fetched.
    Clone,
    /// What is there already is used again.
    Fetch,
    /// Nothing is done with git.
    None,
    /// Nothing is done with git, and the folder is empty.
    Empty,
}

/// What is done with submodules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmoduleStrategy {
    /// Nothing.
    None,
    /// Those of the project are updated.
    Normal,
    /// Those of submodules too.
    Recursive,
    /// Another text: fetching the sources fails.
    Invalid(String),
}

impl SubmoduleStrategy {
    /// Whether submodules are updated.
    pub fn is_on(&self) -> bool {
        matches!(self, SubmoduleStrategy::Normal | SubmoduleStrategy::Recursive)
    }
}

/// What the payload and the configuration say about options.
#[derive(Debug, Clone, Copy, Default)]
pub struct OptionDefaults {
    /// Whether `fetch` is the strategy when the job names none: `allow_git_fetch`.
    pub allow_fetch: bool,
    /// `git_info.depth`.
    pub depth: u64,
    /// Whether the runner forbids debug output.
    pub debug_trace_disabled: bool,
}

/// Limit for after_script when the job names none.
pub(crate) const AFTER_SCRIPT_TIMEOUT: Duration = Duration::from_secs(300);

impl JobOptions {
    /// Reads the options.
    pub fn read(variables: &Variables, defaults: &OptionDefaults) -> Self {
        let mut reader = Reader { variables, warnings: Vec::new() };
        let debug_trace = reader.debug("CI_DEBUG_TRACE", defaults.debug_trace_disabled);
        let debug_services = reader.debug("CI_DEBUG_SERVICES", defaults.debug_trace_disabled);
        let git_strategy = reader.strategy(defaults.allow_fetch);
        let submodule_strategy = reader.submodule_strategy();
        Self {
            debug_trace,
            debug_services,
            clone_path: reader.text("GIT_CLONE_PATH").filter(|path| !path.is_empty()),
            git_strategy,
            git_checkout: reader.boolean("GIT_CHECKOUT", true),
            submodule_strategy,
            submodule_paths: reader
                .text("GIT_SUBMODULE_PATHS")
                .map(|text| plain_words(&text))
                .unwrap_or_default(),
            submodule_depth: reader.number("GIT_SUBMODULE_DEPTH", defaults.depth),
            submodule_update_flags: reader.words("GIT_SUBMODULE_UPDATE_FLAGS", &[]),
            submodule_force_https: reader.boolean("GIT_SUBMODULE_FORCE_HTTPS", false),
            clean_flags: reader.words("GIT_CLEAN_FLAGS", &["-ffdx"]),
            clone_extra_flags: reader.words("GIT_CLONE_EXTRA_FLAGS", &[]),
            fetch_extra_flags: reader.words("GIT_FETCH_EXTRA_FLAGS", &["--prune", "--quiet"]),
            lfs_skip_smudge: reader.boolean("GIT_LFS_SKIP_SMUDGE", false),
            get_sources_attempts: reader.attempts("GET_SOURCES_ATTEMPTS"),
            artifact_download_attempts: reader.attempts("ARTIFACT_DOWNLOAD_ATTEMPTS"),
            restore_cache_attempts: reader.attempts("RESTORE_CACHE_ATTEMPTS"),
            executor_job_section_attempts: reader.attempts("EXECUTOR_JOB_SECTION_ATTEMPTS"),
            secrets_retrieval_attempts: reader.attempts("SECRETS_RETRIEVAL_ATTEMPTS"),
            after_script_ignore_errors: reader.boolean("AFTER_SCRIPT_IGNORE_ERRORS", true),
            cache_request_timeout: reader.number("CACHE_REQUEST_TIMEOUT", 10),
            script_timeout: reader.duration("RUNNER_SCRIPT_TIMEOUT"),
            after_script_timeout: reader
                .duration("RUNNER_AFTER_SCRIPT_TIMEOUT")
                .unwrap_or(AFTER_SCRIPT_TIMEOUT),
            warnings: reader.warnings,
        }
    }
}

/// Words of a list in which `none` is a word like any other.
fn plain_words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

struct Reader<'a> {
    variables: &'a Variables,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.variables.get(key)
    }

    fn warn(&mut self, key: &str, text: &str, expected: &str, taken: impl std::fmt::Display) {
        self.warnings.push(format!("{key}: expected {expected}, got \"{text}\"; using {taken}"));
    }

    fn boolean(&mut self, key: &str, default: bool) -> bool {
        let Some(text) = self.text(key).filter(|text| !text.is_empty()) else { return default };
        parse::boolean(&text).unwrap_or_else(|| {
            self.warn(key, &text, "true or false", default);
            default
        })
    }

    fn debug(&mut self, key: &str, disabled: bool) -> bool {
        let asked = self.boolean(key, false);
        if asked && disabled {
            self.warnings.push(format!("{key}: usage is disabled on this runner"));
        }
        asked && !disabled
    }

    fn number(&mut self, key: &str, default: u64) -> u64 {
        let Some(text) = self.text(key).filter(|text| !text.is_empty()) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.warn(key, &text, "a whole number", default);
            default
        })
    }

    fn attempts(&mut self, key: &str) -> u16 {
        let Some(text) = self.text(key).filter(|text| !text.is_empty()) else { return 1 };
        let Ok(number) = text.parse::<i64>() else {
            self.warn(key, &text, "a whole number", 1);
            return 1;
        };
        let clamped = number.clamp(1, 10);
        if clamped != number {
            self.warn(key, &text, "a number in the range [1, 10]", clamped);
        }
        u16::try_from(clamped).unwrap_or(1)
    }

    fn words(&self, key: &str, default: &[&str]) -> Vec<String> {
        match self.text(key).filter(|text| !text.trim().is_empty()) {
            Some(text) => parse::words(&text),
            None => default.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn strategy(&mut self, allow_fetch: bool) -> GitStrategy {
        let (default, name) =
            if allow_fetch { (GitStrategy::Fetch, "fetch") } else { (GitStrategy::Clone, "clone") };
        match self.text("GIT_STRATEGY").as_deref() {
            None | Some("") => default,
            Some("clone") => GitStrategy::Clone,
            Some("fetch") => GitStrategy::Fetch,
            Some("none") => GitStrategy::None,
            Some("empty") => GitStrategy::Empty,
            Some(text) => {
                self.warn("GIT_STRATEGY", text, "one of clone, fetch, none, empty", name);
                default
            }
        }
    }

    fn submodule_strategy(&mut self) -> SubmoduleStrategy {
        match self.text("GIT_SUBMODULE_STRATEGY").as_deref() {
            None | Some("" | "none") => SubmoduleStrategy::None,
            Some("normal") => SubmoduleStrategy::Normal,
            Some("recursive") => SubmoduleStrategy::Recursive,
            Some(text) => {
                let line = format!(
                    "GIT_SUBMODULE_STRATEGY: expected one of none, normal, recursive, got \"{text}\""
                );
                self.warnings.push(line);
                SubmoduleStrategy::Invalid(text.to_owned())
            }
        }
    }

    /// `None` for what is not set, zero or not readable.
    fn duration(&mut self, key: &str) -> Option<Duration> {
        let text = self.text(key)?.trim().to_owned();
        if text.is_empty() {
            return None;
        }
        match duration::parse(&text) {
            Ok(limit) => Some(limit).filter(|limit| !limit.is_zero()),
            Err(error) => {
                self.warnings.push(format!("{key}: ignored \"{text}\": {error}"));
                None
            }
        }
    }
}
