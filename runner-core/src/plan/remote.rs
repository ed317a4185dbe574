//! [`Remote`]: the repository's URL, taken apart.

use url::Url;

use super::op::UserInfo;
use crate::variables::{VariableInputs, Variables, authority, split_scheme, split_user_info};

/// Where the repository is, without credentials, and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The URL as it may be written down.
    pub(crate) url: String,
    /// Whose credentials the URL carried.
    pub(crate) user: UserInfo,
}

impl Remote {
    /// The remote of a job: below the runner's `clone_url`, or what the payload says.
    pub(crate) fn of(inputs: &VariableInputs<'_>, variables: &Variables) -> Self {
        let Some(clone_url) = &inputs.settings.clone_url else {
            let (url, user_info) = split_user_info(&inputs.job.git_info.repo_url);
            let user = if user_info.is_some() { UserInfo::Repository } else { UserInfo::None };
            return Self { url, user };
        };
        let (base, user_info) = split_user_info(clone_url.as_str());
        let path = variables.get("CI_PROJECT_PATH").unwrap_or_default();
        let url = format!("{}/{path}.git", base.trim_end_matches('/'));
        let user = match clone_url.scheme() {
            "http" | "https" => UserInfo::JobToken,
            "ssh" => UserInfo::Git,
            _ => UserInfo::None,
        };
        // An SSH user of the configuration's own is no secret and stays in the URL.
        match user_info.filter(|_| user == UserInfo::Git) {
            Some(name) => Self { url: url.replacen("://", &format!("://{name}@"), 1), user: UserInfo::None },
            None => Self { url, user },
        }
    }

    /// Scheme with slashes and what follows: `https://`, `host/path`. `None` for paths and the short form of SSH.
    pub(crate) fn parts(&self) -> Option<(&str, &str)> {
        split_scheme(&self.url)
    }

    /// `scheme://host[:port]`, if the URL has a host.
    pub(crate) fn origin(&self) -> Option<&str> {
        let (scheme, rest) = self.parts()?;
        let authority = authority(rest);
        (!authority.is_empty()).then(|| &self.url[..scheme.len() + authority.len()])
    }

    /// Whether it is fetched by HTTP, encrypted or not.
    pub(crate) fn is_http(&self) -> bool {
        self.parts().is_some_and(|(scheme, _)| scheme == "http://" || scheme == "https://")
    }
}

/// The URL that a runner's authenticated requests go below: `clone_url`, else the runner's own URL; if it is HTTP.
pub(crate) fn http_base(inputs: &VariableInputs<'_>) -> Option<String> {
    let url: &Url = inputs.settings.clone_url.as_ref().unwrap_or(&inputs.runner.url);
    matches!(url.scheme(), "http" | "https")
        .then(|| split_user_info(url.as_str()).0.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::Remote;
    use crate::plan::UserInfo;

    #[test]
    fn origins() {
        for (url, expected) in [
            ("https://h:8443/g/p.git", Some("https://h:8443")),
            ("ssh://h/x", Some("ssh://h")),
            ("file:///srv/x", None),
            ("/srv/x", None),
            ("git@h:g/p.git", None),
        ] {
            assert_eq!(Remote { url: url.to_owned(), user: UserInfo::None }.origin(), expected, "{url}");
        }
    }
}
