//! Certificates as files: where they lie, and what is in them.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::tls::{Authorities, Identity};
use crate::base_url::BaseUrl;
use crate::error::Error;
use crate::secret::SecretText;

/// Which files hold the certificates for one instance. [`HttpTransportBuilder::certificate_files`] reads them, and
/// reads them again when they change.
///
/// [`HttpTransportBuilder::certificate_files`]: super::HttpTransportBuilder::certificate_files
///
/// ```
/// use std::path::Path;
/// use runner_api::BaseUrl;
/// use runner_api::transport::{CertificateFiles, HttpTransport};
///
/// let url = BaseUrl::parse("https://gitlab.example.com")?;
/// // `gitlab.example.com.crt`, `gitlab.example.com.auth.crt` and `gitlab.example.com.auth.key`, if they are there.
/// let files = CertificateFiles::default().discover(Path::new("/etc/gitlab-runner/certs"), &url);
/// let transport = HttpTransport::builder().certificate_files(files).build()?;
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CertificateFiles {
    /// Authorities to trust in addition to the system's (`tls-ca-file`).
    pub ca: Option<PathBuf>,
    /// The client certificate (`tls-cert-file`); used only together with its key.
    pub certificate: Option<PathBuf>,
    /// The key of the client certificate (`tls-key-file`).
    pub key: Option<PathBuf>,
}

impl CertificateFiles {
    /// The same with this CA file.
    ///
    /// ```
    /// use std::path::Path;
    /// use runner_api::transport::CertificateFiles;
    ///
    /// let files = CertificateFiles::default().with_ca("/etc/ca.crt");
    /// assert_eq!(files.ca.as_deref(), Some(Path::new("/etc/ca.crt")));
    /// ```
    #[must_use]
    pub fn with_ca(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(path.into());
        self
    }

    /// The same with this client certificate and key.
    ///
    /// ```
    /// use std::path::Path;
    /// use runner_api::transport::CertificateFiles;
    ///
    /// let files = CertificateFiles::default().with_client("/etc/runner.crt", "/etc/runner.key");
    /// assert_eq!(files.key.as_deref(), Some(Path::new("/etc/runner.key")));
    /// ```
    #[must_use]
    pub fn with_client(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some(certificate.into());
        self.key = Some(key.into());
        self
    }

    /// Fills in what is not set from a folder that holds certificates by host name: `<host>.crt`, `<host>.auth.crt`
    /// and `<host>.auth.key`. A file that does not exist (now) is not set. The address of an IPv6 host is taken without
    /// brackets.
    ///
    /// Source: GitLab Runner documentation, "Self-signed certificates or custom Certification Authorities".
    ///
    /// ```
    /// use runner_api::BaseUrl;
    /// use runner_api::transport::CertificateFiles;
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(folder.path().join("gitlab.example.com.crt"), "…")?;
    /// let url = BaseUrl::parse("https://gitlab.example.com:8443/sub")?;
    /// let found = CertificateFiles::default().discover(folder.path(), &url);
    /// assert_eq!(found.ca, Some(folder.path().join("gitlab.example.com.crt")));
    /// assert_eq!(found.certificate, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn discover(self, folder: &Path, url: &BaseUrl) -> Self {
        let host = url.host().trim_start_matches('[').trim_end_matches(']');
        let find = |ending: &str| Some(folder.join(format!("{host}{ending}"))).filter(|path| path.is_file());
        Self {
            ca: self.ca.or_else(|| find(".crt")),
            certificate: self.certificate.or_else(|| find(".auth.crt")),
            key: self.key.or_else(|| find(".auth.key")),
        }
    }

    /// Whether the files can be used as they are now. A transport itself is lenient: it warns and goes on without what
    /// it cannot use. This is for commands that would rather tell the user at once.
    ///
    /// ```
    /// use runner_api::transport::CertificateFiles;
    ///
    /// let error = CertificateFiles::default().with_ca("/nonexistent/ca.crt").check().unwrap_err();
    /// assert!(error.is_configuration());
    /// assert_eq!(error.to_string(), "the CA file /nonexistent/ca.crt cannot be read");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`], with the name of the file, when a file is missing, unreadable or not what it should
    /// be, when certificate and key do not belong together, and when only one of them is set.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(path) = &self.ca {
            required(authorities(path)?, "CA file", path)?;
        }
        match (&self.certificate, &self.key) {
            (None, None) => Ok(()),
            (Some(certificate), Some(key)) => {
                required(read(certificate, "certificate file")?, "certificate file", certificate)?;
                required(identity(certificate, key)?, "key file", key).map(|_| ())
            }
            (Some(path), None) => Err(Error::configuration(format!(
                "the certificate file {} has no key file beside it: both or none must be set",
                path.display()
            ))),
            (None, Some(path)) => Err(Error::configuration(format!(
                "the key file {} has no certificate file beside it: both or none must be set",
                path.display()
            ))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths().all(|path| path.is_none())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = Option<&Path>> {
        [&self.ca, &self.certificate, &self.key].into_iter().map(Option::as_deref)
    }
}

/// The authorities in a CA file; `None` when there is no such file.
pub(super) fn authorities(path: &Path) -> Result<Option<Authorities>, Error> {
    let Some(pem) = read(path, "CA file")? else { return Ok(None) };
    let authorities = Authorities::from_pem(pem);
    authorities.map(Some).map_err(|source| {
        Error::configuration_from(format!("the CA file {} cannot be used", path.display()), source)
    })
}

/// A client certificate with its key; `None` when a file is missing.
pub(super) fn identity(certificate: &Path, key: &Path) -> Result<Option<Identity>, Error> {
    let (Some(certificate_pem), Some(key_pem)) =
        (read(certificate, "certificate file")?, read(key, "key file")?)
    else {
        return Ok(None);
    };
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| {
        let (certificate, key) = (certificate.display(), key.display());
        let what = format!("the client certificate {certificate} cannot be used with the key {key}");
        Error::configuration_from(what, source)
    };
    let key_pem = SecretText::new(std::str::from_utf8(&key_pem).map_err(|error| unusable(error.into()))?);
    Identity::from_pem(certificate_pem, key_pem).map(Some).map_err(|error| unusable(error.into()))
}

/// `None` when there is no such file.
fn read(path: &Path, what: &str) -> Result<Option<Bytes>, Error> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => {
            Err(Error::configuration_from(format!("the {what} {} cannot be read", path.display()), source))
        }
    }
}

fn required<T>(found: Option<T>, what: &str, path: &Path) -> Result<T, Error> {
    found.ok_or_else(|| {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        Error::configuration_from(format!("the {what} {} cannot be read", path.display()), source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &CertificateFiles) -> Vec<Option<String>> {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        files.paths().map(|path| path.map(name)).collect()
    }

    #[test]
    fn discovery_fills_in_what_is_not_set() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["h.crt", "h.auth.crt", "h.auth.key", "::1.crt", "g.auth.key"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("g.crt")).unwrap();
        let discover = |files: CertificateFiles, url: &str| {
            names(&files.discover(folder.path(), &BaseUrl::parse(url).unwrap()))
        };
        let some = |name: &str| Some(name.to_owned());
        let none = CertificateFiles::default;
        assert_eq!(
            discover(none(), "https://h:8443/ci"),
            [some("h.crt"), some("h.auth.crt"), some("h.auth.key")]
        );
        assert_eq!(
            discover(none().with_ca("/x/mine.pem"), "https://h"),
            [some("mine.pem"), some("h.auth.crt"), some("h.auth.key")]
        );
        assert_eq!(discover(none(), "https://[::1]:80"), [some("::1.crt"), None, None]);
        assert_eq!(discover(none(), "https://g"), [None, None, some("g.auth.key")]);
        assert_eq!(discover(none(), "https://other"), [None, None, None]);
    }

    #[test]
    fn half_a_pair_is_told() {
        for files in [
            CertificateFiles { certificate: Some("/x/one".into()), ..CertificateFiles::default() },
            CertificateFiles { key: Some("/x/one".into()), ..CertificateFiles::default() },
        ] {
            let error = files.check().unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains("/x/one"), "{error}");
        }
    }
}
