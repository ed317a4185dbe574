//! `cache-extractor`

use std::fs::File;
use std::io;
use std::path::Path;

use super::args::ExtractorArgs;
use crate::files::Surroundings;
use crate::files::extract::{self, Format};
use crate::files::fatal::Fatal;
use crate::files::report::Report;

/// Extracts an archive of this machine into the project folder; gives the exit code. No archive is exit code 1, too.
pub fn extract(args: &ExtractorArgs, surroundings: &mut Surroundings<'_>) -> u8 {
    let (file, folder) = (surroundings.folder.join(&args.file), surroundings.folder.clone());
    let mut report = Report::new(&mut *surroundings.log);
    match put_back(args, &file, &folder, &mut report) {
        Ok(true) => 0,
        Ok(false) => {
            report.warning("Cache file does not exist");
            1
        }
        Err(fatal) => {
            report.fatal(fatal);
            1
        }
    }
}

/// Whether there is an archive.
fn put_back(
    args: &ExtractorArgs,
    file: &Path,
    folder: &Path,
    report: &mut Report<'_>,
) -> Result<bool, Fatal> {
    args.storage.refuse()?;
    report.info(
        "No URL provided, cache will not be downloaded from shared cache server. Instead a local version of cache will \
         be extracted.",
    );
    let unreadable = |error: io::Error| Fatal::failed(format!("{} cannot be read", file.display()), error);
    let mut archive = match File::open(file) {
        Ok(archive) => archive,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unreadable(error)),
    };
    match Format::of(&mut archive).map_err(unreadable)? {
        Format::Zip => extract::zip(archive, folder)
            .map(|()| true)
            .map_err(|error| Fatal::failed(format!("{} cannot be extracted", file.display()), error)),
        Format::Gzip => Err(Fatal::NotSupported("extracting an archive of format gzip".to_owned())),
        Format::TarZstd => Err(Fatal::NotSupported("extracting an archive of format tarzstd".to_owned())),
    }
}
