//! `POST` and `GET jobs/:id/artifacts`, and the object storage that a direct download is redirected to.
//!
//! A shell that streams uploads to files asks [`Coordinator::admit_upload`] first, stores the `file` part and then
//! calls [`Coordinator::finish_upload`]. A transport that has the whole body in memory calls
//! [`Coordinator::handle`] as for every other request.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use secrecy::ExposeSecret;

use super::answer::{self, Answer, Payload, Plain, add_header};
use super::dotenv;
use super::endpoint::Endpoint;
use super::event::EventKind;
use super::fault::Plan;
use super::ids::JobId;
use super::job::{Artifact, Content, JobState};
use super::params::{self, Params};
use super::{Begun, Coordinator};

/// Types that GitLab knows.
const TYPES: &[&str] = &[
    "archive",
    "metadata",
    "trace",
    "junit",
    "sast",
    "dependency_scanning",
    "container_scanning",
    "dast",
    "codequality",
    "license_scanning",
    "performance",
    "metrics",
    "metrics_referee",
    "network_referee",
    "lsif",
    "dotenv",
    "cobertura",
    "terraform",
    "accessibility",
    "cluster_applications",
    "secret_detection",
    "requirements",
    "coverage_fuzzing",
    "browser_performance",
    "load_performance",
    "api_fuzzing",
    "cluster_image_scanning",
    "cyclonedx",
    "requirements_v2",
    "annotations",
    "repository_xray",
    "jacoco",
];

const FORMATS: &[&str] = &["raw", "zip", "gzip", "zipzstd", "tarzstd"];

/// Leave to store an upload.
#[derive(Debug)]
pub struct Admission {
    plan: Plan,
    job: JobId,
    artifact_type: String,
    artifact_format: String,
    expire_in: Option<String>,
    limit: Option<u64>,
}

impl Admission {
    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job
    }

    /// `archive`, `junit`, …
    #[must_use]
    pub fn artifact_type(&self) -> &str {
        &self.artifact_type
    }

    /// `zip`, `gzip`, `raw`, …
    #[must_use]
    pub fn artifact_format(&self) -> &str {
        &self.artifact_format
    }

    /// Largest size in bytes that will be accepted; what is larger need not be stored.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
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
}

impl fmt::Debug for Upload {
    /// Leaves out the content of a report.
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
            Begun::Go { route, plan } if route.endpoint == Endpoint::UploadArtifact => {
                match self.check_upload(&route.key, parts) {
                    Ok(admission) => Ok(Admission { plan, ..admission }),
                    Err(refusal) => Err(Box::new(plan.finish(*refusal))),
                }
            }
            Begun::Go { plan, .. } => Err(Box::new(plan.finish(*answer::error(StatusCode::NOT_FOUND)))),
        }
    }

    /// Second half of an upload. `upload` is `None` when the body had no part named `file`.
    pub fn finish_upload(&mut self, admission: Admission, upload: Option<Upload>, now: SystemTime) -> Stored {
        self.advance(now);
        let (kept, response) = self.keep(&admission, upload, now);
        Stored { answer: admission.plan.finish(*response), kept }
    }

    /// An upload whose body is in memory.
    pub(super) fn upload(&mut self, key: &str, parts: &Parts, body: &Bytes, now: SystemTime) -> Plain {
        let admission = match self.check_upload(key, parts) {
            Ok(admission) => admission,
            Err(refusal) => return refusal,
        };
        let upload = match file_part(parts, body) {
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
        let artifact_type = params.text("artifact_type").unwrap_or("archive");
        if !TYPES.contains(&artifact_type) {
            return Err(answer::bad_parameter("artifact_type does not have a valid value"));
        }
        let artifact_format = params.text("artifact_format").unwrap_or("zip");
        if !FORMATS.contains(&artifact_format) {
            return Err(answer::bad_parameter("artifact_format does not have a valid value"));
        }
        Ok(Admission {
            plan: Plan::default(),
            job,
            artifact_type: artifact_type.to_owned(),
            artifact_format: artifact_format.to_owned(),
            expire_in: params.text("expire_in").map(str::to_owned),
            limit: self.options.artifact_limit,
        })
    }

    fn keep(&mut self, admission: &Admission, upload: Option<Upload>, now: SystemTime) -> (bool, Plain) {
        let refuse = |answer: Plain| (false, answer);
        let Some(upload) = upload else { return refuse(answer::bad_parameter("file is missing")) };
        if admission.limit.is_some_and(|limit| upload.size > limit) {
            return refuse(answer::error(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let Some(job) = self.jobs.get_mut(&admission.job) else {
            return refuse(answer::error(StatusCode::FORBIDDEN));
        };
        // The job may have ended while its upload was on the way.
        if !job.is_on_runner() {
            return refuse(not_on_runner(job.state));
        }
        if let Some(earlier) = job.artifact(&admission.artifact_type) {
            let same = earlier.size == upload.size && earlier.crc32 == upload.crc32;
            return refuse(if same {
                answer::number(StatusCode::CREATED)
            } else {
                answer::message(StatusCode::BAD_REQUEST, "another artifact of the same type already exists")
            });
        }
        if let Some(content) = &upload.dotenv {
            match dotenv::parse(content) {
                Ok(variables) => job.dotenv = variables,
                Err(problem) => {
                    return refuse(answer::message(StatusCode::BAD_REQUEST, &problem.to_string()));
                }
            }
        }
        job.artifacts.push(Artifact {
            artifact_type: admission.artifact_type.clone(),
            artifact_format: admission.artifact_format.clone(),
            expire_in: admission.expire_in.clone(),
            filename: upload.filename.clone(),
            size: upload.size,
            crc32: upload.crc32,
            content: upload.content,
        });
        self.emit(
            now,
            EventKind::ArtifactStored {
                job: admission.job,
                artifact_type: admission.artifact_type.clone(),
                filename: upload.filename,
                size: upload.size,
            },
        );
        (true, answer::number(StatusCode::CREATED))
    }

    /// The archive of a job, for its own token or for that of any running job.
    pub(super) fn download(&self, key: &str, parts: &Parts) -> Plain {
        let params = Params::query(parts);
        let Some(token) = params::token(parts, &params, params::JOB_TOKEN) else {
            return answer::error(StatusCode::UNAUTHORIZED);
        };
        let id = key.parse().map(JobId);
        let Some(job) = id.ok().and_then(|id| self.jobs.get(&id)) else {
            return answer::error(StatusCode::FORBIDDEN);
        };
        let own = job.token.expose_secret() == token;
        let of_running = self
            .active
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .any(|other| other.is_on_runner() && other.token.expose_secret() == token);
        if !(own || of_running) || job.erased {
            return answer::error(StatusCode::FORBIDDEN);
        }
        let Some(archive) = job.artifact("archive") else {
            return answer::message(StatusCode::NOT_FOUND, "404 Not Found");
        };
        if let Some(storage) = &self.options.storage_url
            && params.flag("direct_download") == Some(true)
        {
            let location = format!("{}/storage/{}-archive", storage.trim_end_matches('/'), job.id);
            return add_header(answer::empty(StatusCode::FOUND), "location", &location);
        }
        send(archive, &parts.headers)
    }

    /// An object of the storage. It needs no token: its address stands for a signed one.
    pub(super) fn storage(&self, key: &str, parts: &Parts) -> Plain {
        let artifact = key.split_once('-').and_then(|(id, artifact_type)| {
            let id = id.parse().map(JobId).ok()?;
            self.jobs.get(&id)?.artifact(artifact_type)
        });
        match artifact {
            Some(artifact) => send(artifact, &parts.headers),
            None => answer::error(StatusCode::NOT_FOUND),
        }
    }
}

pub(super) fn not_on_runner(state: JobState) -> Plain {
    let refusal = answer::error_because(StatusCode::FORBIDDEN, "Job is not processing on runner");
    add_header(refusal, answer::JOB_STATUS, state.as_str())
}

/// A file, or the single range of it that was asked for.
fn send(artifact: &Artifact, headers: &HeaderMap) -> Plain {
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, range) = match asked.map(|asked| single_range(asked, artifact.size)) {
        None | Some(Asked::All) => (StatusCode::OK, 0..artifact.size),
        Some(Asked::Part(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Asked::Beyond) => {
            let refusal = answer::empty(StatusCode::RANGE_NOT_SATISFIABLE);
            return add_header(refusal, "content-range", &format!("bytes */{}", artifact.size));
        }
    };
    let payload = match &artifact.content {
        Content::File(path) => Payload::File { path: path.clone(), range: range.clone() },
        Content::Bytes(bytes) => {
            let part = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Payload::Bytes(bytes.slice(part(range.start)..part(range.end)))
        }
    };
    let mut response = answer::with_type(status, "application/octet-stream", Bytes::new());
    *response.body_mut() = payload;
    let name: String = artifact.filename.chars().filter(|char| !char.is_control() && *char != '"').collect();
    response = add_header(response, "content-disposition", &format!("attachment; filename=\"{name}\""));
    response = add_header(response, "accept-ranges", "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range =
            format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), artifact.size);
        response = add_header(response, "content-range", &content_range);
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range<u64>),
    Beyond,
}

/// Reads a `Range` header. Several ranges and malformed ones count as none, which RFC 9110 section 14.2 allows.
fn single_range(asked: &str, size: u64) -> Asked {
    let Some((first, last)) = asked.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::All;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if last < first => Asked::All,
        (Ok(first), _) if first >= size => Asked::Beyond,
        (Ok(first), Ok(last)) => Asked::Part(first..last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Asked::Part(first..size),
        (Err(_), Ok(0)) if first.trim().is_empty() => Asked::Beyond,
        (Err(_), Ok(_)) if first.trim().is_empty() && size == 0 => Asked::Beyond,
        (Err(_), Ok(last)) if first.trim().is_empty() => Asked::Part(size.saturating_sub(last)..size),
        _ => Asked::All,
    }
}

/// The part named `file` of a multipart body in memory.
fn file_part(parts: &Parts, body: &Bytes) -> Result<Option<Upload>, multer::Error> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default())?;
    let body = body.clone();
    let stream = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let read = async {
        let mut multipart = multer::Multipart::new(stream, boundary);
        while let Some(field) = multipart.next_field().await? {
            if field.name() == Some("file") {
                let filename = field.file_name().unwrap_or_default().to_owned();
                return Ok(Some((filename, field.bytes().await?)));
            }
        }
        Ok(None)
    };
    // The whole body is there, so the future never waits.
    let part = read.now_or_never().unwrap_or(Err(multer::Error::IncompleteStream))?;
    let is_dotenv = Params::query(parts).text("artifact_type") == Some("dotenv");
    Ok(part.map(|(filename, content)| Upload {
        filename,
        size: content.len() as u64,
        crc32: crc32fast::hash(&content),
        dotenv: is_dotenv.then(|| content.clone()),
        content: Content::Bytes(content),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (asked, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=2-100", Asked::Part(2..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=5-2", Asked::All),
            ("bytes=0-1,3-4", Asked::All),
            ("lines=0-1", Asked::All),
        ] {
            assert_eq!(single_range(asked, 10), expected, "{asked}");
        }
    }
}
