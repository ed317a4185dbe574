//! Git's configuration files.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runner_api::Job;

use crate::plan::{GitConfigEntry, UserInfo};
use crate::variables::split_user_info;

/// What need not be encoded in the user info of a URL.
const USER_INFO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text of a configuration file.
pub(super) fn text(entries: &[GitConfigEntry], job: &Job) -> String {
    let mut text = String::new();
    for entry in entries {
        match entry {
            GitConfigEntry::Value { section, subsection, key, value } => {
                push(&mut text, section, subsection.as_deref(), key, value);
            }
            GitConfigEntry::Rewrite { scheme, user, rest, instead_of } => {
                let url = format!("{scheme}{}{rest}", user_info(*user, job));
                push(&mut text, "url", Some(&url), "insteadOf", instead_of);
            }
        }
    }
    text
}

/// Whether a configuration holds credentials.
pub(super) fn is_secret(entries: &[GitConfigEntry]) -> bool {
    entries.iter().any(|entry| {
        matches!(entry, GitConfigEntry::Rewrite { user: UserInfo::JobToken | UserInfo::Repository, .. })
    })
}

fn user_info(user: UserInfo, job: &Job) -> String {
    match user {
        UserInfo::None => String::new(),
        UserInfo::Git => "git@".to_owned(),
        UserInfo::JobToken => {
            format!("gitlab-ci-token:{}@", utf8_percent_encode(job.token.expose(), USER_INFO))
        }
        UserInfo::Repository => {
            split_user_info(&job.git_info.repo_url).1.map(|user| format!("{user}@")).unwrap_or_default()
        }
    }
}

fn push(text: &mut String, section: &str, subsection: Option<&str>, key: &str, value: &str) {
    text.push('[');
    text.push_str(section);
    if let Some(subsection) = subsection {
        // Git's syntax has no way to write a line end here; nothing that makes sense has one.
        let subsection = subsection.replace(['\n', '\0'], "").replace('\\', r"\\").replace('"', "\\\"");
        text.push_str(&format!(" \"{subsection}\""));
    }
    text.push_str("]\n\t");
    text.push_str(key);
    text.push_str(" = \"");
    for c in value.chars() {
        match c {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            '\t' => text.push_str(r"\t"),
            '\0' => {}
            c => text.push(c),
        }
    }
    text.push_str("\"\n");
}
