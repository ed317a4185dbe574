//! `artifacts-downloader`

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use runner_api::{DownloadOptions, DownloadTarget, Downloaded, Error, JobClient, RangeOptions};

use super::args::DownloaderArgs;
use super::meter::Meter;
use super::server::{self, Limits};
use crate::files::extract::{self, Format};
use crate::files::fatal::{Fatal, causes};
use crate::files::report::Report;
use crate::files::surroundings::Surroundings;

/// Limits of one request; the flags know none.
const LIMITS: Limits = Limits { total: Duration::from_secs(60 * 60), answer: Duration::from_secs(10 * 60) };

/// Downloads the archive of a job and extracts it into the project folder; gives the exit code. Blocks until everything is
/// done; must not be called from within an async runtime.
pub fn download(args: &DownloaderArgs, surroundings: &mut Surroundings<'_>) -> u8 {
    let proxy = server::proxy(surroundings);
    let staging = args.archiver_staging_dir.clone().filter(|folder| !folder.as_os_str().is_empty());
    let staging = staging.unwrap_or_else(|| surroundings.temporary_folder());
    let Surroundings { folder, out, log, .. } = surroundings;
    let mut report = Report::new(&mut **log);
    let done = server::job(&args.server, &LIMITS, proxy, &mut report).and_then(|job| {
        let archive = tempfile::Builder::new().prefix("artifacts").tempfile_in(&staging);
        let archive = archive.map_err(|error| Fatal::failed("cannot make a temporary file", error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fatal::failed("cannot start", error))?;
        runtime.block_on(fetch(args, &job, archive.path(), &mut **out, &mut report))?;
        extract(archive.path(), folder)
    });
    match done {
        Ok(()) => 0,
        Err(fatal) => {
            report.fatal(fatal);
            1
        }
    }
}

/// Downloads with as many tries as the arguments say. Only the first one may be redirected to the object storage: when that
/// fails, the server itself may still work.
async fn fetch(
    args: &DownloaderArgs,
    job: &JobClient,
    archive: &Path,
    out: &mut dyn Write,
    report: &mut Report<'_>,
) -> Result<(), Fatal> {
    let mut options = DownloadOptions::default();
    options.direct = args.direct_download;
    options.ranges = args.parallel_transfer.then(RangeOptions::default);
    let mut retries = args.retry;
    loop {
        let error = match attempt(args, job, options, archive, out).await {
            Ok(downloaded) => {
                let (id, token) = (job.id(), job.token().short());
                report.info_with(
                    "Downloading artifacts from coordinator... ok",
                    &[
                        ("bytes", &downloaded.bytes),
                        ("correlation_id", &downloaded.request_id),
                        ("id", &id),
                        ("token", &token),
                    ],
                );
                return Ok(());
            }
            Err(error) => error,
        };
        let id = job.id();
        let said = if error.is_not_found() { "not found".to_owned() } else { causes(&error) };
        report.error_with(format_args!("Downloading artifacts from coordinator... {said}"), &[("id", &id)]);
        if error.is_not_found() {
            return Err(Fatal::NotFound);
        }
        if error.is_forbidden() || error.is_unauthorized() {
            return Err(Fatal::PermissionDenied);
        }
        if retries == 0 || error.is_configuration() || error.is_target() {
            return Err(Fatal::failed("the artifacts could not be downloaded", error));
        }
        retries -= 1;
        options.direct = false;
        report.warning_with("Retrying...", &[("context", &"artifacts-downloader")]);
        tokio::time::sleep(args.retry_time).await;
    }
}

async fn attempt(
    args: &DownloaderArgs,
    job: &JobClient,
    options: DownloadOptions,
    archive: &Path,
    out: &mut dyn Write,
) -> Result<Downloaded, Error> {
    let meter = Meter::new("Downloading artifacts", args.server.transfer_meter_frequency);
    let mut target = Metered { archive: archive.to_owned(), file: None, meter: meter.clone() };
    meter.watch(job.download_artifact(options, &mut target), out).await
}

/// The temporary file, with its bytes counted.
struct Metered {
    archive: std::path::PathBuf,
    file: Option<tokio::fs::File>,
    meter: Meter,
}

#[async_trait]
impl DownloadTarget for Metered {
    async fn reset(&mut self) -> io::Result<()> {
        self.file = Some(tokio::fs::File::create(&self.archive).await?);
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.meter.add(piece.len());
        match &mut self.file {
            Some(file) => file.write(piece).await,
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn can_write_at(&self) -> bool {
        true
    }

    async fn write_at(&mut self, offset: u64, piece: Bytes) -> io::Result<()> {
        self.meter.add(piece.len());
        match &mut self.file {
            Some(file) => file.write_at(offset, piece).await,
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.finish().await,
            None => Ok(()),
        }
    }
}

fn extract(archive: &Path, folder: &Path) -> Result<(), Fatal> {
    let unreadable = |error: io::Error| Fatal::failed("the archive cannot be read", error);
    let mut file = File::open(archive).map_err(unreadable)?;
    match Format::of(&mut file).map_err(unreadable)? {
        Format::Zip => extract::zip(file, folder)
            .map_err(|error| Fatal::failed("the archive cannot be extracted", error)),
        Format::Gzip => Err(Fatal::NotSupported("extracting an archive of format gzip".to_owned())),
        Format::TarZstd => Err(Fatal::NotSupported("extracting an archive of format tarzstd".to_owned())),
    }
}

#[cfg(test)]
mod faults;
