//! Stages in their order. <https://docs.gitlab.com/ci/yaml/#stages>

/// Stage before and stage after all others.
pub(crate) const PRE: &str = ".pre";
pub(crate) const POST: &str = ".post";

const DEFAULT: [&str; 3] = ["build", "test", "deploy"];

/// `.pre` first and `.post` last, wherever they are written; duplicates merged.
pub(crate) fn ordered(written: Option<Vec<String>>) -> Vec<String> {
    let written = written.unwrap_or_else(|| DEFAULT.map(str::to_owned).into());
    let mut stages = vec![PRE.to_owned()];
    let mut known = std::collections::HashSet::from([PRE.to_owned(), POST.to_owned()]);
    for stage in written {
        if known.insert(stage.clone()) {
            stages.push(stage);
        }
    }
    stages.push(POST.to_owned());
    stages
}

#[cfg(test)]
mod tests {
    use super::ordered;

    #[test]
    fn pre_and_post_are_at_the_ends() {
        assert_eq!(ordered(None), [".pre", "build", "test", "deploy", ".post"]);
        let written = [".post", "b", "a", ".pre", "b"].map(str::to_owned).to_vec();
        assert_eq!(ordered(Some(written)), [".pre", "b", "a", ".post"]);
    }
}
