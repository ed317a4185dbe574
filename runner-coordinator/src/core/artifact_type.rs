//! Which artifacts GitLab knows, and in which format each comes.
//! <https://docs.gitlab.com/ci/yaml/artifacts_reports/>

/// `raw`, `zip`, `gzip`.
const FORMATS: [&str; 3] = ["raw", "zip", "gzip"];

/// Types with the one format that GitLab takes them in; none where every format is taken.
const TYPES: &[(&str, Option<&str>)] = &[
    ("archive", Some("zip")),
    ("metadata", Some("gzip")),
    ("trace", Some("raw")),
    ("accessibility", Some("raw")),
    ("annotations", Some("gzip")),
    ("api_fuzzing", Some("raw")),
    ("browser_performance", Some("raw")),
    ("cluster_applications", Some("gzip")),
    ("cluster_image_scanning", Some("raw")),
    ("cobertura", Some("gzip")),
    ("codequality", Some("raw")),
    ("container_scanning", Some("raw")),
    ("coverage_fuzzing", Some("raw")),
    ("cyclonedx", Some("gzip")),
    ("dast", Some("raw")),
    ("dependency_scanning", Some("raw")),
    ("dotenv", Some("gzip")),
    ("jacoco", Some("gzip")),
    ("junit", Some("gzip")),
    ("license_scanning", Some("raw")),
    ("load_performance", Some("raw")),
    ("lsif", Some("zip")),
    ("metrics", Some("gzip")),
    ("metrics_referee", Some("gzip")),
    ("network_referee", Some("gzip")),
    ("performance", Some("raw")),
    ("repository_xray", Some("gzip")),
    ("requirements", Some("raw")),
    ("requirements_v2", Some("raw")),
    ("sarif", Some("raw")),
    ("sast", Some("raw")),
    ("scip", None),
    ("secret_detection", Some("raw")),
    ("terraform", Some("raw")),
];

/// Why GitLab does not take an artifact of a type in a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Type,
    Format,
    Pair,
}

/// Whether GitLab takes artifacts of this type in this format.
pub(super) fn check(artifact_type: &str, format: &str) -> Result<(), Unfit> {
    let (_, only) = TYPES.iter().find(|(known, _)| *known == artifact_type).ok_or(Unfit::Type)?;
    if !FORMATS.contains(&format) {
        return Err(Unfit::Format);
    }
    if only.is_some_and(|only| only != format) { Err(Unfit::Pair) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_formats() {
        for (artifact_type, format, expected) in [
            ("archive", "zip", Ok(())),
            ("junit", "gzip", Ok(())),
            ("cyclonedx", "gzip", Ok(())),
            ("sast", "raw", Ok(())),
            ("scip", "gzip", Ok(())),
            ("archive", "raw", Err(Unfit::Pair)),
            ("junit", "zip", Err(Unfit::Pair)),
            ("archive", "tarzstd", Err(Unfit::Format)),
            ("nonsense", "zip", Err(Unfit::Type)),
        ] {
            assert_eq!(check(artifact_type, format), expected, "{artifact_type} {format}");
        }
    }
}
