//! The address of the Runner API, made from the address that a user writes down.

use url::Url;

use crate::error::Error;

/// The normalised address of one GitLab instance: its Runner API lies at `<instance>/api/v4/`.
///
/// All slashes at the end and one `/ci` (a leftover of very old configurations) are left out; a relative URL root is
/// kept. Only `http` and `https` are possible.
///
/// ```
/// use runner_api::BaseUrl;
///
/// let base = BaseUrl::parse("https://gitlab.example.com:8443/sub/ci/")?;
/// assert_eq!(base.as_str(), "https://gitlab.example.com:8443/sub/api/v4/");
/// assert!(BaseUrl::parse("gitlab.example.com").is_err());
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Normalises `url`.
    ///
    /// ```
    /// use runner_api::BaseUrl;
    ///
    /// assert_eq!(BaseUrl::parse("https://h/ci/")?, BaseUrl::parse("https://h")?);
    /// assert!(BaseUrl::parse("unix:///run/gitlab.sock").unwrap_err().is_configuration());
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `url` cannot be parsed or is neither `http` nor `https`.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let trimmed = url.trim_end_matches('/');
        let trimmed = trimmed.strip_suffix("/ci").unwrap_or(trimmed);
        if !trimmed.contains("://") {
            return Err(Error::configuration(
                "the instance URL must begin with http:// or https://, then a host",
            ));
        }
        let parsed = Url::parse(&format!("{trimmed}/api/v4/"))
            .map_err(|source| Error::invalid_url("the instance URL cannot be parsed", source))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
            return Err(Error::configuration(format!(
                "the instance URL has scheme `{}`: only http or https are supported",
                parsed.scheme()
            )));
        }
        Ok(Self(parsed))
    }

    /// The address of the API, with a slash at the end. It may contain user information if the user wrote some.
    ///
    /// ```
    /// use runner_api::BaseUrl;
    ///
    /// assert_eq!(BaseUrl::parse("https://gitlab.example.com")?.as_str(), "https://gitlab.example.com/api/v4/");
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host name or address.
    ///
    /// ```
    /// use runner_api::BaseUrl;
    ///
    /// assert_eq!(BaseUrl::parse("https://gitlab.example.com:8443/sub")?.host(), "gitlab.example.com");
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address of an endpoint: `segments` are appended and percent-encoded one by one.
    pub(crate) fn endpoint(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Whether `other` has the same scheme, host and port.
    pub(crate) fn same_origin(&self, other: &Url) -> bool {
        self.0.origin() == other.origin()
    }
}

impl std::fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BaseUrl").field(&without_secrets(&self.0)).finish()
    }
}

/// `url` as it may be shown: without user information, query and fragment.
pub(crate) fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have user information.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The path of `url` with `{id}` in place of segments that are numbers.
pub(crate) fn path_template(url: &Url) -> String {
    let number = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments = url.path().split('/').map(|segment| if number(segment) { "{id}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, path_template};

    #[test]
    fn normalisation() {
        for (input, expected) in [
            ("https://h", "https://h/api/v4/"),
            ("https://h/", "https://h/api/v4/"),
            ("https://h///", "https://h/api/v4/"),
            ("https://h/ci", "https://h/api/v4/"),
            ("https://h/ci/", "https://h/api/v4/"),
            ("https://h/ci/ci/", "https://h/ci/api/v4/"),
            ("https://h:8443/sub/ci/", "https://h:8443/sub/api/v4/"),
            ("https://h/sub/ci/", "https://h/sub/api/v4/"),
            ("http://h/gitlab", "http://h/gitlab/api/v4/"),
            ("http://[::1]:80/", "http://[::1]/api/v4/"),
        ] {
            assert_eq!(BaseUrl::parse(input).unwrap().as_str(), expected, "{input}");
        }
    }

    #[test]
    fn refuses_what_is_not_http() {
        for input in ["", "h", "ftp://h", "/x", "https://", "file:///x", "h:80"] {
            let error = BaseUrl::parse(input).unwrap_err();
            assert!(error.is_configuration(), "{input}: {error}");
        }
    }

    #[test]
    fn endpoints_keep_the_root_and_encode_segments() {
        let base = BaseUrl::parse("https://h/sub").unwrap();
        let url = base.endpoint(&["jobs", "1/2", "trace"], &[("debug_trace", "true"), ("x", "a b&")]);
        assert_eq!(url.as_str(), "https://h/sub/api/v4/jobs/1%2F2/trace?debug_trace=true&x=a+b%26");
    }

    #[test]
    fn numbers_leave_the_path() {
        for (url, expected) in [
            ("https://h/api/v4/jobs/42/trace?debug_trace=false", "/api/v4/jobs/{id}/trace"),
            (
                "https://h/2/api/v4/runners/7/reset_authentication_token",
                "/{id}/api/v4/runners/{id}/reset_authentication_token",
            ),
            ("https://h/api/v4/jobs/request", "/api/v4/jobs/request"),
            ("https://h", "/"),
        ] {
            assert_eq!(path_template(&url.parse().unwrap()), expected);
        }
    }

    #[test]
    fn debug_hides_user_information() {
        let base = BaseUrl::parse("https://user:pass@h/").unwrap();
        assert_eq!(format!("{base:?}"), "BaseUrl(\"https://h/api/v4/\")");
    }
}
