//! `artifacts-uploader`

use std::time::Duration;

use runner_api::payload::ArtifactFormat;
use runner_api::retry::RetryPolicy;
use runner_api::transport::Body;
use runner_api::{ArtifactUpload, Error, JobClient};

use super::args::UploaderArgs;
use super::meter::Meter;
use super::server::{self, Limits};
use crate::files::fatal::{Fatal, causes};
use crate::files::pack::{Level, Package};
use crate::files::report::Report;
use crate::files::select::{Project, Wanted};
use crate::files::surroundings::Surroundings;

/// How often an upload is tried: usually, and while the server is only unavailable. Below that the client repeats
/// requests by itself.
const TRIES: u32 = 3;
const TRIES_WHILE_UNAVAILABLE: u32 = 6;

/// The wait before the last of these tries, as a multiple of the others. The first tries follow an outage of ten seconds
/// closely; the last one is for a longer one.
const LAST_WAIT: u32 = 10;

/// Pauses between the requests of one try: none of them is longer than a second, the random part included.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// Selects, packs and uploads artifacts of a job; gives the exit code. Blocks until everything is done; must not be
/// called from within an async runtime.
pub fn upload(args: &UploaderArgs, surroundings: &mut Surroundings<'_>) -> u8 {
    let project = Project::of(surroundings);
    let proxy = server::proxy(surroundings);
    let Surroundings { out, log, upload_wait, .. } = surroundings;
    let mut report = Report::new(&mut **log);
    let limits = Limits { total: args.timeout, answer: args.response_header_timeout };
    let done = server::job(&args.server, &limits, proxy, &mut report).and_then(|job| {
        let Some((package, upload)) = prepare(args, &project, &mut report)? else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fatal::failed("cannot start", error))?;
        let job = job.with_retry(retry());
        let sender = Sender { job, package, upload, args, wait_between: *upload_wait };
        runtime.block_on(sender.send(&mut **out, &mut report))
    });
    match done {
        Ok(()) => 0,
        Err(fatal) => {
            report.fatal(fatal);
            1
        }
    }
}

fn retry() -> RetryPolicy {
    RetryPolicy::default().with_delays(PAUSES.0, PAUSES.1)
}

/// What to send; `None` when there is nothing.
fn prepare(
    args: &UploaderArgs,
    project: &Project,
    report: &mut Report<'_>,
) -> Result<Option<(Package, ArtifactUpload)>, Fatal> {
    if args.metadata.generate_artifacts_metadata {
        return Err(Fatal::NotSupported("--generate-artifacts-metadata".to_owned()));
    }
    let format = match args.artifact_format.as_str() {
        "" => ArtifactFormat::Zip,
        format => ArtifactFormat::from(format),
    };
    let level = Level::parse(&args.compression_level).unwrap_or_else(|| {
        report
            .warning(format_args!("compression level {} is invalid, using default", args.compression_level));
        Level::Default
    });
    let wanted = Wanted { paths: &args.paths, exclude: &args.exclude, untracked: args.untracked };
    let files = project.select(&wanted, report);
    if files.is_empty() {
        report.error("No files to upload");
        return Ok(None);
    }
    if args.verbose || args.ci_debug_trace {
        for file in &files {
            report.info(file.display());
        }
    }
    let package = Package::new(project.folder(), files, &format, level)?;
    let name = base_name(&project.expanded("artifact name", &args.name, report));
    let mut upload = ArtifactUpload::new(format!("{name}{}", package.extension()));
    upload.format = (!args.artifact_format.is_empty()).then_some(format);
    upload.artifact_type.clone_from(&args.artifact_type);
    upload.expire_in.clone_from(&args.expire_in);
    Ok(Some((package, upload)))
}

/// The last part of a name; `default` when nothing is left.
fn base_name(name: &str) -> String {
    match name.trim_end_matches('/').rsplit('/').next() {
        None | Some("" | ".") => "default".to_owned(),
        Some(base) => base.to_owned(),
    }
}

struct Sender<'a> {
    job: JobClient,
    package: Package,
    upload: ArtifactUpload,
    args: &'a UploaderArgs,
    wait_between: Duration,
}

impl Sender<'_> {
    async fn send(&self, out: &mut dyn std::io::Write, report: &mut Report<'_>) -> Result<(), Fatal> {
        let mut tries = 1;
        loop {
            let error = match self.attempt(out).await {
                Ok(request_id) => {
                    self.tell(report, "201 Created", &request_id);
                    return Ok(());
                }
                Err(error) => error,
            };
            let id = self.job.id();
            report.error_with(format_args!("{} {}", self.title(), causes(&error)), &[("id", &id)]);
            if error.is_forbidden() {
                return Err(Fatal::PermissionDenied);
            }
            if error.is_too_large() {
                return Err(Fatal::TooLarge);
            }
            let allowed = if error.is_unavailable() { TRIES_WHILE_UNAVAILABLE } else { TRIES };
            if tries >= allowed || error.is_configuration() {
                return Err(Fatal::failed("the artifacts could not be uploaded", error));
            }
            tries += 1;
            let wait = self.wait_between * if tries == TRIES_WHILE_UNAVAILABLE { LAST_WAIT } else { 1 };
            report.warning_with("Retrying...", &[("context", &"artifacts-uploader"), ("try", &tries)]);
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, out: &mut dyn std::io::Write) -> Result<String, Error> {
        let meter = Meter::new("Uploading artifacts", self.args.server.transfer_meter_frequency);
        let body = Body::source(meter.count(self.package.clone().into_source()));
        let uploaded = meter.watch(self.job.upload_artifact(&self.upload, body), out).await?;
        Ok(uploaded.request_id)
    }

    fn tell(&self, report: &mut Report<'_>, status: &str, request_id: &str) {
        let (id, token) = (self.job.id(), self.job.token().short());
        report.info_with(
            format_args!("{} {status}", self.title()),
            &[("correlation_id", &request_id), ("id", &id), ("responseStatus", &status), ("token", &token)],
        );
    }

    fn title(&self) -> String {
        match self.upload.artifact_type.as_str() {
            "" => "Uploading artifacts to coordinator...".to_owned(),
            kind => format!("Uploading artifacts as \"{kind}\" to coordinator..."),
        }
    }
}

#[cfg(test)]
mod faults;

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn names() {
        for (name, expected) in [
            ("artifacts", "artifacts"),
            ("a/b/c", "c"),
            ("a/", "a"),
            ("", "default"),
            (".", "default"),
            ("/", "default"),
            ("a/.", "default"),
            ("ä b", "ä b"),
        ] {
            assert_eq!(base_name(name), expected, "{name}");
        }
    }
}
