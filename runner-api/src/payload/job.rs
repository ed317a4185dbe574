//! The job itself: typed fields beside the text they were decoded from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::lenient::Fields;
use super::recover::recover;
use super::{
    ArtifactSpec, CacheSpec, Dependency, GitInfo, Hook, Image, JobFeatures, JobInfo, JobInput, JobRunnerInfo,
    JobVariable, PolicyOptions, RegistryCredentials, Secret, Step, SuspendOptions, UnreadableJob, Warning,
};
use crate::secret::JobToken;

/// A job that GitLab assigned to this runner.
///
/// It can be written to a journal and read back: serializing keeps the text as it was received (with all its secrets!)
/// and the correlation id; deserializing decodes that text again.
///
/// Source: GitLab's Runner API, answer of `POST /api/v4/jobs/request`.
///
/// ```
/// use runner_api::Job;
///
/// let job = Job::from_json(r#"{"id": 42, "token": "glcbt-1", "image": null, "job_info": {"name": "test"}, "new": 1}"#)?;
/// assert_eq!(job.id, 42);
/// assert_eq!(job.job_info.name, "test");
/// assert!(job.image.is_none() && job.warnings().is_empty());
///
/// let journaled = serde_json::to_string(&job)?;
/// let again: Job = serde_json::from_str(&journaled)?;
/// assert_eq!(again.raw(), job.raw());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Job {
    /// The job's id.
    pub id: u64,
    /// What authenticates everything that is said about this job.
    pub token: JobToken,
    /// Whether the default git strategy is `fetch`; otherwise it is `clone`.
    pub allow_git_fetch: bool,
    /// Names and numbers around the job.
    pub job_info: JobInfo,
    /// What to check out.
    pub git_info: GitInfo,
    /// The job's time limit.
    pub runner_info: JobRunnerInfo,
    /// Values for the interpolation of job inputs.
    pub inputs: Vec<JobInput>,
    /// The job's variables; of two with the same key the later one counts.
    pub variables: Vec<JobVariable>,
    /// The scripts, in order.
    pub steps: Vec<Step>,
    /// The image to run in, for executors that have images.
    pub image: Option<Image>,
    /// Services to run beside the job.
    pub services: Vec<Image>,
    /// What to upload at the end, one upload each.
    pub artifacts: Vec<ArtifactSpec>,
    /// What to restore at the beginning and save at the end.
    pub cache: Vec<CacheSpec>,
    /// Credentials for image registries.
    pub credentials: Vec<RegistryCredentials>,
    /// Jobs whose artifacts to download first.
    pub dependencies: Vec<Dependency>,
    /// What the server wants and understands.
    pub features: JobFeatures,
    /// Secrets to fetch from elsewhere, by variable name.
    pub secrets: BTreeMap<String, Secret>,
    /// Scripts around the preparation of sources.
    pub hooks: Vec<Hook>,
    /// Steps in the syntax of the step runner, as JSON text; replaces [`steps`](Self::steps).
    pub run: Option<String>,
    /// What a policy demands to be told to the user.
    pub policy_options: Option<PolicyOptions>,
    /// Suspension of the job's environment.
    pub suspend_options: Option<SuspendOptions>,
    correlation_id: Option<String>,
    warnings: Vec<Warning>,
    raw: Arc<RawValue>,
}

impl Job {
    /// Decodes a payload.
    ///
    /// # Errors
    ///
    /// When `text` is not a JSON object with an id and a token; whatever of them could be found is in the error.
    pub fn from_json(text: impl Into<String>) -> Result<Self, UnreadableJob> {
        let text = text.into();
        match RawValue::from_string(text.clone()) {
            Ok(raw) => Self::decode(raw),
            Err(error) => Err(recover(&text, &format!("it is not JSON ({error})"))),
        }
    }

    /// The payload as it was received. It holds every secret of the job.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.raw.get()
    }

    /// What could not be understood. The fields in question have their defaults.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The id under which the server's logs know the request that gave this job.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The value of the last variable with this key, not expanded.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(
    ///     r#"{"id": 1, "token": "t", "variables": [{"key": "A", "value": "1"}, {"key": "A", "value": "2"}]}"#,
    /// )?;
    /// assert_eq!(job.variable("A"), Some("2"));
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn variable(&self, key: &str) -> Option<&str> {
        self.variables
            .iter()
            .rev()
            .find(|variable| variable.key == key)
            .map(|variable| variable.value.as_str())
    }

    pub(crate) fn with_correlation_id(mut self, id: String) -> Self {
        self.correlation_id = Some(id);
        self
    }

    pub(crate) fn with_warning(mut self, warning: Warning) -> Self {
        self.warnings.push(warning);
        self
    }

    fn decode(raw: Box<RawValue>) -> Result<Self, UnreadableJob> {
        let raw: Arc<RawValue> = raw.into();
        let mut warnings = Vec::new();
        let Some(mut fields) = Fields::split(&raw, "$", &mut warnings) else {
            return Err(recover(raw.get(), "it is not a JSON object"));
        };
        let (Some(id), Some(token)) = (
            fields.take_optional("id"),
            fields.take_optional::<JobToken>("token").filter(|token| !token.is_empty()),
        ) else {
            return Err(recover(raw.get(), "it lacks an id or a token"));
        };
        let mut job = Self {
            id,
            token,
            allow_git_fetch: fields.take("allow_git_fetch"),
            job_info: fields.take("job_info"),
            git_info: fields.take("git_info"),
            runner_info: fields.take("runner_info"),
            inputs: fields.take("inputs"),
            variables: fields.take("variables"),
            steps: fields.take("steps"),
            image: fields.take_optional("image"),
            services: fields.take("services"),
            artifacts: fields.take("artifacts"),
            cache: fields.take("cache"),
            credentials: fields.take("credentials"),
            dependencies: fields.take("dependencies"),
            features: fields.take("features"),
            secrets: fields.take("secrets"),
            hooks: fields.take("hooks"),
            run: fields.take_optional("run"),
            policy_options: fields.take_optional("policy_options"),
            suspend_options: fields.take_optional("suspend_options"),
            correlation_id: None,
            warnings: Vec::new(),
            raw: Arc::clone(&raw),
        };
        job.warnings = warnings;
        Ok(job)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The raw text and most lists may hold secrets or be huge: what identifies the job is enough.
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("job_info", &self.job_info)
            .field("git_info", &self.git_info)
            .field("variables", &self.variables)
            .field("warnings", &self.warnings)
            .field("correlation_id", &self.correlation_id)
            .finish_non_exhaustive()
    }
}

/// The form in a journal. Fields may be added, never changed.
#[derive(Serialize, Deserialize)]
struct Journaled<P> {
    payload: P,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
}

impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let correlation_id = self.correlation_id.clone();
        Journaled { payload: &*self.raw, correlation_id }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Journaled { payload, correlation_id } = Journaled::<Box<RawValue>>::deserialize(deserializer)?;
        let job = Self::decode(payload).map_err(D::Error::custom)?;
        Ok(Self { correlation_id, ..job })
    }
}
