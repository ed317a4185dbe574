//! From the file as written to settings: defaults applied, variables expanded, one value per entry.

use std::path::PathBuf;
use std::time::Duration;

use runner_api::{RunnerToken, SecretText};
use runner_core::settings::{JobSettings, PollSettings, RunnerIdentity};
use url::Url;

use super::check::entry;
use super::document::{Complaint, Document, Step};
use super::error::ConfigError;
use super::expand::{Environment, expand};
use super::load::Loaded;
use super::raw::Runner;
use super::system_id::SystemId;
use crate::logging::{Format, Level};

/// The shell that scripts are written for when none is named.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// The global section, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Global {
    /// Jobs of all entries together, at least 1.
    pub(crate) concurrent: u32,
    /// Pause between two job requests of one entry.
    pub(crate) check_interval: Duration,
    /// How long SIGTERM waits for jobs.
    pub(crate) shutdown_timeout: Duration,
    /// How much is logged, unless the command line says something else.
    pub(crate) log_level: Option<Level>,
    /// How log lines look, unless the command line says something else.
    pub(crate) log_format: Option<Format>,
}

impl Global {
    /// Applies the defaults.
    ///
    /// # Errors
    /// When `concurrent` is missing or less than 1.
    pub(crate) fn resolve(loaded: &Loaded) -> Result<Self, ConfigError> {
        let config = &loaded.config;
        let concurrent =
            config.concurrent.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        let concurrent = concurrent.ok_or_else(|| {
            loaded.document.complain(
                &[Step::Key("concurrent".into())],
                "must be set and at least 1: how many jobs run at the same time",
            )
        })?;
        Ok(Self {
            concurrent,
            check_interval: seconds(config.check_interval, 3),
            shutdown_timeout: seconds(config.shutdown_timeout, 30),
            log_level: named(&loaded.document, "log_level", config.log_level.as_deref(), Level::named)?,
            log_format: named(&loaded.document, "log_format", config.log_format.as_deref(), Format::named)?,
        })
    }
}

/// Files for the connection to GitLab; empty paths are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Certificates to trust beside the system's.
    pub(crate) ca: Option<PathBuf>,
    /// The client's certificate and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// One entry, resolved as far as talking to GitLab needs it.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// Position in the file, from 0.
    pub(crate) position: usize,
    /// Name, URL, token, system id.
    pub(crate) identity: RunnerIdentity,
    /// Files for TLS.
    pub(crate) tls: Tls,
    /// Name of the executor as written.
    pub(crate) executor: String,
}

/// What else running jobs needs.
#[derive(Debug, Clone)]
pub(crate) struct JobSide {
    /// How jobs are asked for.
    pub(crate) poll: PollSettings,
    /// How jobs are treated.
    pub(crate) job: JobSettings,
    /// Name of the shell; empty: the executor's choice.
    pub(crate) shell: String,
    /// Root of the projects' folders; `None`: the executor's choice.
    pub(crate) builds_dir: Option<String>,
    /// Root of local caches; `None`: the executor's choice.
    pub(crate) cache_dir: Option<String>,
}

impl Loaded {
    /// Resolves the entry at `position` for talking to GitLab.
    ///
    /// # Errors
    /// When URL or token are missing, or name a variable that is not set, or the URL is none.
    pub(crate) fn contact(
        &self,
        position: usize,
        system_id: &SystemId,
        environment: &Environment,
    ) -> Result<Resolved, ConfigError> {
        let at = At { document: &self.document, position };
        let runner = self.runner(position)?;
        let token = runner.token.as_ref().map(SecretText::expose).unwrap_or_default();
        let token = at.required("token", expand(token, environment))?;
        let url = at.required("url", expand(&runner.url, environment))?;
        // The client's own rules for addresses: http or https, with a host.
        runner_api::BaseUrl::parse(&url).map_err(|error| at.error("url", error.to_string()))?;
        let url = Url::parse(&url).map_err(|error| at.error("url", error.to_string()))?;
        Ok(Resolved {
            position,
            identity: RunnerIdentity {
                name: runner.name.clone(),
                url,
                token: RunnerToken::new(token),
                system_id: system_id.as_str().to_owned(),
            },
            tls: at.tls(runner)?,
            executor: runner.executor.clone(),
        })
    }

    /// Resolves what the entry at `position` says about jobs.
    ///
    /// # Errors
    /// When a value cannot be used; the error points at it.
    pub(crate) fn job_side(&self, position: usize, global: &Global) -> Result<JobSide, ConfigError> {
        let at = At { document: &self.document, position };
        let runner = self.runner(position)?;
        if !runner.shell.is_empty() && !SHELLS.contains(&runner.shell.as_str()) {
            return Err(at
                .error("shell", format!("not supported: {} (supported: bash, sh)", runner.shell))
                .into());
        }
        Ok(JobSide {
            poll: at.poll(runner, global)?,
            job: at.job(runner)?,
            shell: runner.shell.clone(),
            builds_dir: filled(&runner.builds_dir),
            cache_dir: filled(&runner.cache_dir),
        })
    }

    /// The executor of the entry at `position`, as a complaint about it.
    pub(crate) fn executor_complaint(&self, position: usize) -> Complaint {
        let executor =
            self.config.runners.get(position).map(|runner| runner.executor.as_str()).unwrap_or_default();
        let what = if executor.is_empty() { "executor".to_owned() } else { format!("executor {executor}") };
        let mut complaint = At { document: &self.document, position }.error("executor", "not supported");
        complaint.rename(what);
        complaint
    }

    fn runner(&self, position: usize) -> Result<&Runner, ConfigError> {
        self.config.runners.get(position).ok_or_else(|| ConfigError::Edit {
            path: self.document.path().to_owned(),
            what: format!("there is no [[runners]] entry number {}", position + 1),
        })
    }
}

/// Where errors of one entry point.
struct At<'a> {
    document: &'a Document,
    position: usize,
}

impl At<'_> {
    fn error(&self, key: &str, message: impl Into<String>) -> Complaint {
        let mut steps = entry(self.position);
        steps.push(Step::Key(key.to_owned()));
        if self.document.line(&steps).is_some() {
            return self.document.complain(&steps, message);
        }
        // The key is missing: the entry's head is the best place to point at.
        let mut complaint = self.document.complain(&entry(self.position), message);
        complaint.name(&steps);
        complaint
    }

    fn required(&self, key: &str, value: Result<String, String>) -> Result<String, Complaint> {
        match value {
            Ok(value) if value.is_empty() => Err(self.error(key, "is empty")),
            Ok(value) => Ok(value),
            Err(message) => Err(self.error(key, message)),
        }
    }

    fn count(&self, key: &str, value: Option<i64>) -> Result<u32, Complaint> {
        match value {
            None => Ok(0),
            Some(value) => {
                u32::try_from(value).map_err(|_| self.error(key, "must be a number from 0 to 4294967295"))
            }
        }
    }

    fn tls(&self, runner: &Runner) -> Result<Tls, Complaint> {
        let client = match (filled(&runner.tls_cert_file), filled(&runner.tls_key_file)) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err(self.error("tls-cert-file", "needs tls-key-file as well")),
            (None, Some(_)) => return Err(self.error("tls-key-file", "needs tls-cert-file as well")),
        };
        Ok(Tls { ca: filled(&runner.tls_ca_file).map(Into::into), client })
    }

    fn poll(&self, runner: &Runner, global: &Global) -> Result<PollSettings, Complaint> {
        let defaults = PollSettings::default();
        let unhealthy = self.count("unhealthy_requests_limit", runner.unhealthy_requests_limit)?;
        Ok(PollSettings {
            limit: self.count("limit", runner.limit)?,
            request_concurrency: self.count("request_concurrency", runner.request_concurrency)?.max(1),
            check_interval: global.check_interval,
            strict_check_interval: runner.strict_check_interval == Some(true),
            unhealthy_requests_limit: or(unhealthy, defaults.unhealthy_requests_limit),
            unhealthy_interval: duration(runner.unhealthy_interval).unwrap_or(defaults.unhealthy_interval),
        })
    }

    fn job(&self, runner: &Runner) -> Result<JobSettings, Complaint> {
        let defaults = JobSettings::default();
        let kibibytes = self.count("output_limit", runner.output_limit)?;
        let tries =
            self.count("job_status_final_update_retry_limit", runner.job_status_final_update_retry_limit)?;
        let clone_url = filled(&runner.clone_url)
            .map(|url| Url::parse(&url).map_err(|error| self.error("clone_url", error.to_string())))
            .transpose()?;
        Ok(JobSettings {
            output_limit: if kibibytes == 0 { defaults.output_limit } else { u64::from(kibibytes) * 1024 },
            environment: self.environment(runner)?,
            clone_url,
            pre_get_sources_script: filled(&runner.pre_get_sources_script),
            post_get_sources_script: filled(&runner.post_get_sources_script),
            pre_build_script: filled(&runner.pre_build_script),
            post_build_script: filled(&runner.post_build_script),
            prepare_timeout: duration(runner.prepare_timeout),
            get_sources_timeout: duration(runner.get_sources_timeout),
            debug_trace_disabled: runner.debug_trace_disabled,
            safe_directory_checkout: runner.safe_directory_checkout,
            clean_git_config: runner.clean_git_config,
            custom_build_dir: runner.custom_build_dir.enabled.unwrap_or(has_own_builds_dir(&runner.executor)),
            feature_flags: runner.feature_flags.clone(),
            artifact_upload_timeout: duration(runner.artifact.upload_timeout)
                .unwrap_or(defaults.artifact_upload_timeout),
            artifact_response_timeout: duration(runner.artifact.response_header_timeout)
                .unwrap_or(defaults.artifact_response_timeout),
            final_update_tries: or(tries, defaults.final_update_tries),
            // Zero has a meaning here: kill at once.
            grace: runner.stop_grace.map_or(defaults.grace, |grace| grace.0),
            ..defaults
        })
    }

    fn environment(&self, runner: &Runner) -> Result<Vec<(String, String)>, Complaint> {
        runner
            .environment
            .iter()
            .map(|line| match line.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                // The text may be a secret by mistake: it is not shown.
                _ => Err(self.error("environment", "an element is not written as NAME=VALUE")),
            })
            .collect()
    }
}

fn named<T>(
    document: &Document,
    key: &str,
    value: Option<&str>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Complaint> {
    match value.filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => {
                Err(document.complain(&[Step::Key(key.to_owned())], format!("there is no {key} {value}")))
            }
        },
    }
}

fn seconds(value: Option<i64>, default: u64) -> Duration {
    let value = value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
    Duration::from_secs(value.unwrap_or(default))
}

fn duration(value: Option<super::duration::RawDuration>) -> Option<Duration> {
    value.map(|value| value.0).filter(|value| !value.is_zero())
}

fn or(value: u32, default: u32) -> u32 {
    if value == 0 { default } else { value }
}

/// Whether each job of an executor has a builds folder of its own, in which it may choose where its project lies. On a machine
/// that jobs share it could choose the folder of another project.
fn has_own_builds_dir(executor: &str) -> bool {
    executor == "kubernetes" || executor.starts_with("docker")
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
