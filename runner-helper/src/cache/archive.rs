//! `cache-archiver`

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runner_api::payload::ArtifactFormat;

use super::args::ArchiverArgs;
use crate::files::Surroundings;
use crate::files::extract;
use crate::files::fatal::Fatal;
use crate::files::pack::{Level, Package};
use crate::files::report::Report;
use crate::files::select::{Project, Wanted};

/// What is kept beside an archive: whoever lists caches wants to know their keys.
const METADATA: &str = "metadata.json";

/// Selects and packs files into an archive on this machine; gives the exit code.
pub fn archive(args: &ArchiverArgs, surroundings: &mut Surroundings<'_>) -> u8 {
    let project = Project::of(surroundings);
    let file = surroundings.folder.join(&args.file);
    let alternate = args.alternate_file.as_ref().map(|file| surroundings.folder.join(file));
    let mut report = Report::new(&mut *surroundings.log);
    match keep(args, &project, &file, alternate.as_deref(), &mut report) {
        Ok(()) => 0,
        Err(fatal) => {
            report.fatal(fatal);
            1
        }
    }
}

fn keep(
    args: &ArchiverArgs,
    project: &Project,
    file: &Path,
    alternate: Option<&Path>,
    report: &mut Report<'_>,
) -> Result<(), Fatal> {
    args.storage.refuse()?;
    if !matches!(args.compression_format.as_str(), "" | "zip") {
        return Err(Fatal::NotSupported(format!("--compression-format {}", args.compression_format)));
    }
    let level = Level::parse(&args.compression_level).unwrap_or_else(|| {
        report
            .warning(format_args!("compression level {} is invalid, using default", args.compression_level));
        Level::Default
    });
    let metadata = metadata(&args.metadata)?;
    if let Some(alternate) = alternate.filter(|alternate| !file.exists() && alternate.exists()) {
        fs::create_dir_all(folder_of(file))
            .and_then(|()| fs::rename(alternate, file))
            .map_err(|error| Fatal::failed(format!("cannot take {}", alternate.display()), error))?;
    }
    let wanted = Wanted { paths: &args.paths, exclude: &args.exclude, untracked: args.untracked };
    let files = project.select(&wanted, report);
    if files.is_empty() {
        report.warning("No files to cache.");
        return Ok(());
    }
    if args.verbose {
        for file in &files {
            report.info(file.display());
        }
    }
    if is_up_to_date(file, project.folder(), &files) {
        report.info("Archive is up to date!");
    } else {
        pack(project.folder(), files, level, file)
            .map_err(|error| Fatal::failed(format!("cannot write {}", file.display()), error))?;
        let beside = folder_of(file).join(METADATA);
        replace(&beside, 0o640, None, |to| to.write_all(metadata.as_bytes()))
            .map_err(|error| Fatal::failed(format!("cannot write {}", beside.display()), error))?;
    }
    report.info("No URL provided, cache will not be uploaded to shared cache server. Cache will be stored only locally.");
    Ok(())
}

/// The metadata as it is kept: names in lower case, sorted.
fn metadata(text: &str) -> Result<String, Fatal> {
    let given: BTreeMap<String, String> = match text {
        "" => BTreeMap::new(),
        text => serde_json::from_str(text)
            .map_err(|error| Fatal::failed("--metadata is no JSON object of texts", error))?,
    };
    let kept: BTreeMap<String, String> =
        given.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    serde_json::to_string(&kept).map_err(|error| Fatal::failed("--metadata cannot be kept", error))
}

/// Whether the archive holds just these files, and none of them has changed since it was made. What cannot be told is no.
fn is_up_to_date(archive: &Path, folder: &Path, files: &BTreeSet<PathBuf>) -> bool {
    let Ok(made) = fs::metadata(archive).and_then(|found| found.modified()) else { return false };
    let Ok(names) = File::open(archive).map_err(drop).and_then(|file| extract::names(file).map_err(drop))
    else {
        return false;
    };
    let unchanged = |file: &PathBuf| {
        let modified = fs::symlink_metadata(folder.join(file)).and_then(|found| found.modified());
        modified.is_ok_and(|modified| modified < made)
    };
    names == files.iter().map(|file| file.to_string_lossy().into_owned()).collect()
        && files.iter().all(unchanged)
}

/// How far the times of files may be behind the clock: the kernel stamps them by its tick.
const TICK: Duration = Duration::from_millis(20);

/// The archive's time is when packing began: what changes meanwhile is newer.
fn pack(folder: &Path, files: BTreeSet<PathBuf>, level: Level, archive: &Path) -> io::Result<()> {
    let began = SystemTime::now() - TICK;
    let package = Package::new(folder, files, &ArtifactFormat::Zip, level).map_err(io::Error::other)?;
    replace(archive, 0o600, Some(began), |to| package.write(to))
}

/// Writes a file beside its place and moves it there.
fn replace(
    file: &Path,
    mode: u32,
    modified: Option<SystemTime>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(file);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut temporary = tempfile::Builder::new().prefix("archive_").tempfile_in(folder)?;
    let mut buffered = io::BufWriter::new(temporary.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    if let Some(modified) = modified {
        temporary.as_file().set_modified(modified)?;
    }
    temporary.persist(file)?;
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}
