//! `GET jobs/:id/artifacts`, and the object storage that a direct download is redirected to.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::Coordinator;
use super::answer::{self, Payload, Plain, add_header};
use super::artifact::{Artifact, Content};
use super::ids::JobId;
use super::params::{self, Params};

/// How long the address of a direct download is valid.
const ADDRESS_LIFE: Duration = Duration::from_secs(10 * 60);

impl Coordinator {
    /// The archive of a job, for its own token or for that of any running job.
    pub(super) fn download(&self, key: &str, parts: &Parts, now: SystemTime) -> Plain {
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
        let Some(archive) = job.artifact("archive").filter(|archive| !archive.is_expired(now)) else {
            return answer::message(StatusCode::NOT_FOUND, "404 Not Found");
        };
        if let Some(storage) = &self.options.storage_url
            && params.flag("direct_download") == Some(true)
        {
            let key = format!("{}-archive", job.id);
            let query = self.sign(&key, now.checked_add(ADDRESS_LIFE).unwrap_or(now));
            let location = format!("{}/storage/{key}?{query}", storage.trim_end_matches('/'));
            return add_header(answer::empty(StatusCode::FOUND), "location", &location);
        }
        send(archive, &parts.headers)
    }

    /// An object of the storage. It needs no token: its address is signed, and valid for a while.
    pub(super) fn storage(&self, key: &str, parts: &Parts, now: SystemTime) -> Plain {
        let expires = Params::query(parts)
            .int("expires")
            .and_then(|expires| u64::try_from(expires).ok())
            .and_then(|expires| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires)));
        let Some(expires) = expires.filter(|at| Some(self.sign(key, *at).as_str()) == parts.uri.query())
        else {
            return storage_error(
                StatusCode::FORBIDDEN,
                "SignatureDoesNotMatch",
                "the address is not signed",
            );
        };
        if now >= expires {
            return storage_error(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
        }
        let artifact = key.split_once('-').and_then(|(id, artifact_type)| {
            let id = id.parse().map(JobId).ok()?;
            self.jobs.get(&id)?.artifact(artifact_type)
        });
        match artifact {
            Some(artifact) => send(artifact, &parts.headers),
            None => storage_error(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."),
        }
    }

    /// The query of an address that is valid until then.
    fn sign(&self, key: &str, until: SystemTime) -> String {
        let expires = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let signed = Sha256::digest(format!("{}\n{key}\n{expires}", self.options.seed));
        let signature = signed.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("expires={expires}&signature={signature}")
    }
}

/// An error as object storages word it.
fn storage_error(status: StatusCode, code: &str, message: &str) -> Plain {
    let xml =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    answer::with_type(status, "application/xml", Bytes::from(xml))
}

/// A file, or the single range of it that was asked for.
fn send(artifact: &Artifact, headers: &HeaderMap) -> Plain {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = artifact.etag();
    // Of a file that has changed since, the whole is sent.
    let asked = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|known| known == etag));
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
    response = add_header(response, "etag", &etag);
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
