//! `POST jobs/:id/artifacts`.
//!
//! A shell that streams uploads to files asks [`Coordinator::admit_upload`] first, stores the `file` part and then
//! calls [`Coordinator::finish_upload`]. A transport that has the whole body in memory calls
//! [`Coordinator::handle`] as for every other request.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{StatusCode, header};
use serde_json::json;

use super::answer::{self, Answer, Plain, add_header};
use super::artifact::{Artifact, Content};
use super::artifact_type::{self, Unfit};
use super::dotenv;
use super::endpoint::Endpoint;
use super::event::EventKind;
use super::fault::Plan;
use super::ids::JobId;
use super::job_state::JobState;
use super::params::Params;
use super::{Begun, Coordinator};
use crate::pipeline::duration;

/// Leave to store an upload.
#[derive(Debug)]
pub struct Admission {
    plan: Box<Plan>,
    delay: Duration,
    job: JobId,
    query: BTreeMap<String, String>,
    limit: Option<u64>,
}

impl Admission {
    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job
    }

    /// `archive`, `junit`, … by the request's query and the other fields of its form.
    #[must_use]
    pub fn artifact_type<'a>(&'a self, form: &'a BTreeMap<String, String>) -> &'a str {
        self.parameter(form, "artifact_type").unwrap_or("archive")
    }

    /// `zip`, `gzip`, `raw`; like [`artifact_type`](Self::artifact_type).
    #[must_use]
    pub fn artifact_format<'a>(&'a self, form: &'a BTreeMap<String, String>) -> &'a str {
        self.parameter(form, "artifact_format").unwrap_or("zip")
    }

    /// Largest size in bytes that will be accepted; what is larger need not be stored.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How long a fault delays the work: to be waited for before anything is stored.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Runners send parameters in the query; GitLab takes them as fields of the form too, and prefers those.
    fn parameter<'a>(&'a self, form: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
        form.get(name).or_else(|| self.query.get(name)).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The `file` part of an upload, stored.
#[derive(Clone)]
pub struct Upload {
    /// Name that the client gave the file.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// Where the content is.
    pub content: Content,
    /// The content itself of a `dotenv` report, which the coordinator reads; `None` for everything else.
    pub dotenv: Option<Bytes>,
    /// The other fields of the form.
    pub form: BTreeMap<String, String>,
}

impl fmt::Debug for Upload {
    /// Leaves out the content of a report, and fields, which may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("filename", &self.filename)
            .field("size", &self.size)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// What became of a stored upload.
#[derive(Debug)]
pub struct Stored {
    /// What to send.
    pub answer: Answer,
    /// Whether the coordinator refers to the content from now on. If not, it may be deleted.
    pub kept: bool,
}

impl Coordinator {
    /// First half of an upload: is the request allowed? The body has not been looked at yet.
    ///
    /// # Errors
    ///
    /// The answer to send when it is not. The client has probably not sent its body by then; reading and dropping
    /// it first makes sure that the client sees the answer.
    pub fn admit_upload(&mut self, parts: &Parts, now: SystemTime) -> Result<Admission, Box<Answer>> {
        match self.begin(parts, &Bytes::new(), now) {
            Begun::Refused(answer) => Err(answer),
            Begun::Go { route, mut plan } if route.endpoint == Endpoint::UploadArtifact => {
                match self.check_upload(&route.key, parts) {
                    Ok(admission) => Ok(Admission { delay: plan.take_delay_before(), plan, ..admission }),
                    Err(refusal) => Err(Box::new(plan.finish(*refusal))),
                }
            }
            Begun::Go { plan, .. } => Err(Box::new(plan.finish(*answer::error(StatusCode::NOT_FOUND)))),
        }
    }

    /// Second half of an upload. `upload` is `None` when the body had no part named `file`.
    pub fn finish_upload(&mut self, admission: Admission, upload: Option<Upload>, now: SystemTime) -> Stored {
        self.advance(now);
        let again = upload.clone().filter(|_| admission.plan.twice);
        let (kept, mut response) = self.keep(&admission, upload, now);
        if again.is_some() {
            // It is there already: nothing more is kept of it.
            response = self.keep(&admission, again, now).1;
        }
        Stored { answer: admission.plan.finish(*response), kept }
    }

    /// `POST jobs/:id/artifacts/authorize`: what GitLab's reverse proxy asks before it takes an upload in.
    pub(super) fn authorize_upload(&self, key: &str, parts: &Parts) -> Plain {
        let admission = match self.check_upload(key, parts) {
            Ok(admission) => admission,
            Err(refusal) => return refusal,
        };
        let announced = Params::query(parts).int("filesize").and_then(|size| u64::try_from(size).ok());
        if admission.limit.zip(announced).is_some_and(|(limit, size)| size > limit) {
            return answer::error(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let mut answer = answer::json(StatusCode::OK, &json!({ "MaximumSize": admission.limit }));
        answer = add_header(answer, "content-type", "application/vnd.gitlab-workhorse+json");
        answer
    }

    /// An upload whose body is in memory.
    pub(super) fn upload(&mut self, key: &str, parts: &Parts, body: &Bytes, now: SystemTime) -> Plain {
        let admission = match self.check_upload(key, parts) {
            Ok(admission) => admission,
            Err(refusal) => return refusal,
        };
        let upload = match file_part(&admission, parts, body) {
            Ok(upload) => upload,
            Err(problem) => return answer::bad_parameter(&problem.to_string()),
        };
        self.keep(&admission, upload, now).1
    }

    fn check_upload(&self, key: &str, parts: &Parts) -> Result<Admission, Plain> {
        if !self.options.artifacts {
            return Err(answer::error(StatusCode::METHOD_NOT_ALLOWED));
        }
        let params = Params::query(parts);
        let job = self.authenticate_job(key, parts, &params)?;
        let query = params.texts();
        let mut admission =
            Admission { plan: Box::default(), delay: Duration::ZERO, job, query, limit: None };
        let form = BTreeMap::new();
        admission.limit = self.artifact_limit(admission.artifact_type(&form));
        // The form may still say something else, but not make a bad query good.
        match artifact_type::check(admission.artifact_type(&form), admission.artifact_format(&form)) {
            Err(unfit) if unfit != Unfit::Pair => Err(unfit_answer(unfit)),
            _ => Ok(admission),
        }
    }

    fn artifact_limit(&self, artifact_type: &str) -> Option<u64> {
        self.options.artifact_type_limits.get(artifact_type).copied().or(self.options.artifact_limit)
    }

    fn keep(&mut self, admission: &Admission, upload: Option<Upload>, now: SystemTime) -> (bool, Plain) {
        let refuse = |answer: Plain| (false, answer);
        let Some(upload) = upload else { return refuse(answer::bad_parameter("file is missing")) };
        let artifact_type = admission.artifact_type(&upload.form);
        let artifact_format = admission.artifact_format(&upload.form);
        if let Err(unfit) = artifact_type::check(artifact_type, artifact_format) {
            return refuse(unfit_answer(unfit));
        }
        if self.artifact_limit(artifact_type).is_some_and(|limit| upload.size > limit) {
            return refuse(answer::error(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let default_life = self.options.artifact_expire_in;
        let Some(job) = self.jobs.get_mut(&admission.job) else {
            return refuse(answer::error(StatusCode::FORBIDDEN));
        };
        // The job may have ended while its upload was on the way.
        if !job.is_on_runner() {
            return refuse(not_on_runner(job.state));
        }
        if let Some(earlier) = job.artifact(artifact_type) {
            let same = earlier.size == upload.size && earlier.crc32 == upload.crc32;
            return refuse(if same {
                answer::number(StatusCode::CREATED)
            } else {
                answer::message(StatusCode::BAD_REQUEST, "another artifact of the same type already exists")
            });
        }
        if let Some(content) = &upload.dotenv {
            match dotenv::read_dotenv(content) {
                Ok(report) => job.dotenv = report.variables,
                Err(problem) => {
                    return refuse(answer::message(StatusCode::BAD_REQUEST, &problem.to_string()));
                }
            }
        }
        let expire_in = admission.parameter(&upload.form, "expire_in");
        let life = expire_in.map_or(default_life, duration::parse);
        job.artifacts.push(Artifact {
            artifact_type: artifact_type.to_owned(),
            artifact_format: artifact_format.to_owned(),
            expire_in: expire_in.map(str::to_owned),
            expires_at: life.and_then(|life| now.checked_add(life)),
            filename: upload.filename.clone(),
            size: upload.size,
            crc32: upload.crc32,
            content: upload.content.clone(),
        });
        let stored = EventKind::ArtifactStored {
            job: admission.job,
            artifact_type: artifact_type.to_owned(),
            filename: upload.filename.clone(),
            size: upload.size,
        };
        self.emit(now, stored);
        (true, answer::number(StatusCode::CREATED))
    }
}

fn unfit_answer(unfit: Unfit) -> Plain {
    match unfit {
        Unfit::Type => answer::bad_parameter("artifact_type does not have a valid value"),
        Unfit::Format => answer::bad_parameter("artifact_format does not have a valid value"),
        Unfit::Pair => answer::message(
            StatusCode::BAD_REQUEST,
            "Validation failed: Invalid file format with specified file type",
        ),
    }
}

pub(super) fn not_on_runner(state: JobState) -> Plain {
    let refusal = answer::error_because(StatusCode::FORBIDDEN, "Job is not processing on runner");
    add_header(refusal, answer::JOB_STATUS, state.as_str())
}

/// The fields of a multipart body in memory: the part named `file`, and the others as text.
fn file_part(admission: &Admission, parts: &Parts, body: &Bytes) -> Result<Option<Upload>, multer::Error> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default())?;
    let body = body.clone();
    let stream = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let read = async {
        let mut multipart = multer::Multipart::new(stream, boundary);
        let (mut file, mut form) = (None, BTreeMap::new());
        while let Some(field) = multipart.next_field().await? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                let filename = field.file_name().unwrap_or_default().to_owned();
                file = Some((filename, field.bytes().await?));
            } else {
                form.insert(name, field.text().await?);
            }
        }
        Ok((file, form))
    };
    // The whole body is there, so the future never waits.
    let (file, form) = read.now_or_never().unwrap_or(Err(multer::Error::IncompleteStream))?;
    let is_dotenv = admission.artifact_type(&form) == "dotenv";
    Ok(file.map(|(filename, content)| Upload {
        filename,
        size: content.len() as u64,
        crc32: crc32fast::hash(&content),
        dotenv: is_dotenv.then(|| content.clone()),
        content: Content::Bytes(content),
        form,
    }))
}
