//! Versions of components: which tag is meant. <https://docs.gitlab.com/ci/components/#component-versions>

/// The tag that a version means, if it does not name one itself: `~latest` the newest, `1` and `1.2` the newest that
/// begins so. `None` for a version that is meant as it stands.
pub(super) fn newest<'t>(version: &str, tags: impl Iterator<Item = &'t str>) -> Option<Option<&'t str>> {
    let wanted = match version {
        "~latest" => Vec::new(),
        partial => numbers(partial).filter(|numbers| numbers.len() < 3)?,
    };
    let found = tags
        .filter_map(|tag| Some((numbers(tag).filter(|numbers| numbers.len() == 3)?, tag)))
        .filter(|(numbers, _)| numbers.starts_with(&wanted))
        .max_by(|(one, _), (other, _)| one.cmp(other));
    Some(found.map(|(_, tag)| tag))
}

/// `1.2.3` or `v1.2.3` without anything behind: releases only.
fn numbers(text: &str) -> Option<Vec<u64>> {
    text.strip_prefix('v').unwrap_or(text).split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_release_that_begins_so() {
        let tags = ["1.2.3", "v1.10.0", "1.9.0", "2.0.0-rc1", "0.9.9", "nightly"];
        for (version, expected) in [
            ("~latest", Some(Some("v1.10.0"))),
            ("1", Some(Some("v1.10.0"))),
            ("1.2", Some(Some("1.2.3"))),
            ("0", Some(Some("0.9.9"))),
            ("3", Some(None)),
            ("1.2.3", None),
            ("main", None),
            ("0123456789abcdef", None),
        ] {
            assert_eq!(newest(version, tags.into_iter()), expected, "{version}");
        }
    }
}
