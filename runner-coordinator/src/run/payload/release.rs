//! The step of `release`: one command that calls the release tool, as the server generates it.
//! <https://docs.gitlab.com/ci/yaml/#release>

use crate::pipeline::Release;

/// The command. Variables in the texts are left to the shell.
pub(super) fn command(release: &Release) -> String {
    let mut command = "release-cli create".to_owned();
    let mut add = |flag: &str, value: &str| command.push_str(&format!(" --{flag} {}", quoted(value)));
    if let Some(name) = &release.name {
        add("name", name);
    }
    add("description", &release.description);
    add("tag-name", &release.tag_name);
    for (flag, value) in [
        ("tag-message", &release.tag_message),
        ("ref", &release.git_ref),
        ("released-at", &release.released_at),
    ] {
        if let Some(value) = value {
            add(flag, value);
        }
    }
    for milestone in &release.milestones {
        add("milestone", milestone);
    }
    for link in &release.links {
        add("assets-link", &link.to_string());
    }
    command
}

/// In double quotes, in which only variables mean something.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Release, command};

    #[test]
    fn all_of_a_release() {
        let release = Release {
            tag_name: "$CI_COMMIT_TAG".to_owned(),
            name: Some("Version \"$CI_COMMIT_TAG\"".to_owned()),
            description: "`new`".to_owned(),
            milestones: vec!["m1".to_owned()],
            links: vec![serde_json::json!({"name": "n", "url": "u"})],
            ..Release::default()
        };
        assert_eq!(
            command(&release),
            r#"release-cli create --name "Version \"$CI_COMMIT_TAG\"" --description "\`new\`" --tag-name "$CI_COMMIT_TAG" --milestone "m1" --assets-link "{\"name\":\"n\",\"url\":\"u\"}""#
        );
    }
}
