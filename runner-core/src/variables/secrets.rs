//! What must not appear in a job's log or in its scripts.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use runner_api::Job;
use secrecy::SecretString;

use super::Variables;

impl Variables {
    /// Every secret of the job that is known by its text, each once: the values of masked variables, the job's token, the
    /// tokens of jobs it depends on, the password in the repository's URL, passwords of image registries.
    ///
    /// The log masks them; scripts do not contain them.
    pub fn secrets(&self, job: &Job) -> Vec<SecretString> {
        let mut texts: Vec<String> = self.masked_values().into_iter().map(str::to_owned).collect();
        texts.push(job.token.expose().to_owned());
        texts.extend(
            job.dependencies
                .iter()
                .filter_map(|job| job.token.as_ref())
                .map(|token| token.expose().to_owned()),
        );
        texts.extend(
            job.credentials
                .iter()
                .filter_map(|entry| entry.password.as_ref())
                .map(|text| text.expose().to_owned()),
        );
        if let Some((_, password)) =
            split_user_info(&job.git_info.repo_url).1.and_then(|user| user.split_once(':'))
        {
            texts.push(password.to_owned());
            texts.push(percent_decode_str(password).decode_utf8_lossy().into_owned());
        }
        let mut seen = HashSet::new();
        let texts = texts.into_iter().filter(|text| !text.trim().is_empty() && seen.insert(text.clone()));
        texts.map(SecretString::from).collect()
    }
}

/// A URL without its user info, and the user info. Everything else stays as it was written; what is no URL has none.
pub(crate) fn split_user_info(url: &str) -> (String, Option<&str>) {
    let Some((scheme, rest)) = split_scheme(url) else { return (url.to_owned(), None) };
    match authority(rest).rsplit_once('@') {
        Some((user_info, _)) => (format!("{scheme}{}", &rest[user_info.len() + 1..]), Some(user_info)),
        None => (url.to_owned(), None),
    }
}

/// Scheme with its slashes, and what follows.
pub(crate) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let at = url.find("://")?;
    let scheme = &url[..at];
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then(|| url.split_at(at + 3))
}

/// The part of a URL between scheme and path.
pub(crate) fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::split_user_info;

    #[test]
    fn user_info_is_cut_out_and_nothing_else() {
        for (url, clean, user) in [
            ("https://gitlab-ci-token:JT@h/g/p.git", "https://h/g/p.git", Some("gitlab-ci-token:JT")),
            ("https://h:8443/g/p.git", "https://h:8443/g/p.git", None),
            ("https://u:p@w@h:1/x@y", "https://h:1/x@y", Some("u:p@w")),
            ("ssh://git@h/g/p.git", "ssh://h/g/p.git", Some("git")),
            ("git@h:g/p.git", "git@h:g/p.git", None),
            ("file:///srv/a@b.git", "file:///srv/a@b.git", None),
            ("/srv/a@b.git", "/srv/a@b.git", None),
            ("https://u@h?x=@", "https://h?x=@", Some("u")),
            ("", "", None),
        ] {
            assert_eq!(split_user_info(url), (clean.to_owned(), user), "{url}");
        }
    }
}
