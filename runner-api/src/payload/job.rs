//! The job itself: typed fields beside the text they were decoded from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::lenient::{Fields, Lenient};
use super::notes::Notes;
use super::recover::recover;
use super::{
    ArtifactSpec, CacheSpec, Dependency, GitInfo, Hook, Image, JobFeatures, JobInfo, JobInput, JobRunnerInfo,
    JobVariable, PolicyOptions, RegistryCredentials, Secret, Step, SuspendOptions, UnknownField,
    UnreadableJob, Warning,
};
use crate::secret::JobToken;

/// A job that GitLab assigned to this runner.
///
/// It can be written to a journal and read back as an equal job: serializing keeps the text as it was received (with all
/// its secrets!) and what was learned with it; deserializing decodes that text again. Changes made to single fields are
/// not part of that text.
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
/// assert_eq!(again, job);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
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
    /// Steps in the syntax of the step runner, as JSON text (as it arrives, or of the list that arrives instead); replaces
    /// [`steps`](Self::steps).
    pub run: Option<String>,
    /// What a policy demands to be told to the user.
    pub policy_options: Option<PolicyOptions>,
    /// Suspension of the job's environment.
    pub suspend_options: Option<SuspendOptions>,
    correlation_id: Option<String>,
    warnings: Vec<Warning>,
    /// How many of the warnings, at their end, are not about the text.
    remarks: usize,
    unknown: Vec<UnknownField>,
    raw: Raw,
}

impl Job {
    /// Decodes a payload.
    ///
    /// ```
    /// assert_eq!(runner_api::Job::from_json(r#"{"id": "7", "token": "t", "steps": 5}"#)?.id, 7);
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `text` is not a JSON object with an id and a token; whatever of them could be found is in the error. A byte
    /// order mark in front of the object is no such problem.
    pub fn from_json(text: impl Into<String>) -> Result<Self, UnreadableJob> {
        let text = text.into();
        let content = text.strip_prefix('\u{feff}').unwrap_or(&text);
        match serde_json::from_str::<&RawValue>(content) {
            Ok(raw) => Self::decode(raw.to_owned()).map_err(|reason| recover(&text, reason)),
            Err(error) => Err(recover(&text, &format!("it is not JSON ({error})"))),
        }
    }

    /// The payload as it was received. It holds every secret of the job.
    ///
    /// ```
    /// let job = runner_api::Job::from_json("{\"id\": 1, \"token\": \"t\", \"x\": [ ]}\n")?;
    /// assert_eq!(job.raw(), "{\"id\": 1, \"token\": \"t\", \"x\": [ ]}");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn raw(&self) -> &str {
        self.raw.0.get()
    }

    /// What could not be understood. The fields in question have their defaults. Of very many problems the first hundred
    /// are listed, and then how many more there are.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "image": "alpine"}"#)?;
    /// assert_eq!(job.warnings()[0].to_string(), "$.image: expected an object, found a text");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The warning that tells that some of what the job shall do could not be understood. A job that has one must not
    /// succeed: part of its script is missing.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(
    ///     r#"{"id": 1, "token": "t", "services": 5, "steps": [{"name": "script", "script": ["make", {"do": "test"}]}]}"#,
    /// )?;
    /// assert_eq!(job.warnings().len(), 2);
    /// assert_eq!(job.lost_script().map(|warning| warning.path()), Some("$.steps[0].script[1]"));
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn lost_script(&self) -> Option<&Warning> {
        self.warnings.iter().find(|warning| warning.loses_script())
    }

    /// The fields that this version does not know, with their values.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "mood": "good"}"#)?;
    /// assert_eq!(job.unknown_fields()[0].path(), "$.mood");
    /// assert_eq!(job.unknown_fields()[0].json(), "\"good\"");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn unknown_fields(&self) -> &[UnknownField] {
        &self.unknown
    }

    /// The id under which the server's logs know the request that gave this job.
    ///
    /// ```
    /// // Only a job that came over the network has one.
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t"}"#)?;
    /// assert_eq!(job.correlation_id(), None);
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
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
        self.remarks += 1;
        self
    }

    /// The job, or why it cannot be one.
    fn decode(raw: Box<RawValue>) -> Result<Self, &'static str> {
        let raw: Arc<RawValue> = raw.into();
        let mut notes = Notes::default();
        let Some(mut fields) = Fields::split(&raw, "$", &mut notes) else {
            return Err("it is not a JSON object");
        };
        let (Some(id), Some(token)) = (
            fields.take_optional("id"),
            fields.take_optional::<JobToken>("token").filter(|token| !token.is_empty()),
        ) else {
            return Err("it lacks an id or a token");
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
            run: fields.take_optional("run").map(|RunSteps(text)| text),
            policy_options: fields.take_optional("policy_options"),
            suspend_options: fields.take_optional("suspend_options"),
            correlation_id: None,
            warnings: Vec::new(),
            remarks: 0,
            unknown: Vec::new(),
            raw: Raw(Arc::clone(&raw)),
        };
        fields.finish();
        (job.warnings, job.unknown) = notes.into_parts();
        Ok(job)
    }
}

/// The text that a job was decoded from.
#[derive(Clone)]
struct Raw(Arc<RawValue>);

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// JSON text within JSON; the same without being wrapped in a text is as good.
struct RunSteps(String);

impl Lenient for RunSteps {
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        match raw.get().as_bytes().first() {
            Some(b'[' | b'{') => Some(Self(raw.get().to_owned())),
            _ => String::decode(raw, path, notes).map(Self),
        }
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
            .field("unknown_fields", &self.unknown)
            .field("correlation_id", &self.correlation_id)
            .finish_non_exhaustive()
    }
}

/// The form in a journal. Fields may be added, never changed.
#[derive(Serialize, Deserialize)]
struct Journaled<P, R> {
    payload: P,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    /// Warnings that are not about the payload's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remarks: Option<R>,
}

impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let about_text = self.warnings.len().saturating_sub(self.remarks);
        let remarks = self.warnings.get(about_text..).filter(|remarks| !remarks.is_empty());
        Journaled { payload: &*self.raw.0, correlation_id: self.correlation_id.clone(), remarks }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Journaled { payload, correlation_id, remarks } =
            Journaled::<Box<RawValue>, Vec<Warning>>::deserialize(deserializer)?;
        let job = Self::decode(payload)
            .map_err(|reason| D::Error::custom(format_args!("the job's payload cannot be used: {reason}")))?;
        let job = remarks.unwrap_or_default().into_iter().fold(job, Self::with_warning);
        Ok(Self { correlation_id, ..job })
    }
}
