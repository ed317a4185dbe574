//! The artifacts that jobs left.

use std::path::Path;

use unicode_width::UnicodeWidthStr;

use crate::exec::report::{JobReport, size};
use crate::exec::ui::Styles;

/// Artifacts that are listed.
const LISTED: usize = 30;

/// Where they are.
#[derive(Debug, Clone, Copy)]
pub(in crate::exec) enum Place<'a> {
    /// Unpacked into this folder.
    Unpacked(&'a Path),
    /// As they were uploaded, in this folder.
    Kept(&'a Path),
    /// Nowhere, once this run has ended.
    Gone,
}

/// A line for each artifact: job, file, kind, size, number of files in it. Empty when there is none.
pub(in crate::exec) fn kept(jobs: &[JobReport], place: Place<'_>, styles: Styles) -> Vec<String> {
    let all: Vec<[String; 5]> = jobs
        .iter()
        .flat_map(|job| job.artifacts.iter().map(move |artifact| (job, artifact)))
        .map(|(job, artifact)| {
            let files = match artifact.files {
                Some(1) => "1 file".to_owned(),
                Some(files) => format!("{files} files"),
                None => String::new(),
            };
            [job.row.name.clone(), artifact.file.clone(), artifact.kind.clone(), size(artifact.size), files]
        })
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    let head = styles.head();
    let place = match place {
        Place::Unpacked(folder) => format!("unpacked into {}", folder.display()),
        Place::Kept(folder) => format!("in {}", folder.display()),
        Place::Gone => "gone with this run; --artifacts-to DIR unpacks them".to_owned(),
    };
    let mut lines = vec![format!("{head}artifacts{head:#} ({place})")];
    let width = |column: usize| all.iter().map(|cells| cells[column].width()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    for cells in all.iter().take(LISTED) {
        let padding = |column: usize| " ".repeat(widths[column].saturating_sub(cells[column].width()));
        let [job, file, kind, size, files] = cells;
        let line = format!(
            "  {job}{}  {file}{}  {kind}{}  {}{size}  {files}",
            padding(0),
            padding(1),
            padding(2),
            padding(3)
        );
        lines.push(line.trim_end().to_owned());
    }
    if all.len() > LISTED {
        lines.push(format!("  … and {} more", all.len() - LISTED));
    }
    lines
}

#[cfg(test)]
mod tests {
    use runner_coordinator::run::Status;

    use super::*;
    use crate::exec::report::Artifact;
    use crate::exec::ui::Row;

    #[test]
    fn artifacts_are_listed() {
        let artifact = |kind: &str, file: &str, size, files| Artifact {
            kind: kind.to_owned(),
            file: file.to_owned(),
            size,
            files,
        };
        let mut build = JobReport::new(Row::sample("build", Status::Success, None));
        build.artifacts = vec![
            artifact("archive", "artifacts.zip", 2048, Some(12)),
            artifact("junit", "junit.xml.gz", 100, None),
        ];
        let nothing = JobReport::new(Row::sample("lint", Status::Success, None));
        let styles = Styles { colour: false };
        assert_eq!(
            kept(&[build, nothing], Place::Unpacked(Path::new("out")), styles),
            [
                "artifacts (unpacked into out)",
                "  build  artifacts.zip  archive  2.0 KiB  12 files",
                "  build  junit.xml.gz   junit      100 B",
            ]
        );
        let nothing = JobReport::new(Row::sample("lint", Status::Success, None));
        assert!(kept(&[nothing], Place::Gone, styles).is_empty());
        let mut many = JobReport::new(Row::sample("many", Status::Success, None));
        many.artifacts = (0..40).map(|_| artifact("archive", "a.zip", 1, Some(1))).collect();
        let lines = kept(&[many], Place::Gone, styles);
        assert_eq!(lines[1], "  many  a.zip  archive  1 B  1 file");
        assert_eq!(lines.last().unwrap(), "  … and 10 more");
    }
}
