//! Where a project lives, read from the URL of its git remote.

use url::Url;

/// Server and path of a project. Credentials in the URL are dropped when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `http` or `https`: how the server's pages are reached.
    pub scheme: String,
    /// Host name.
    pub host: String,
    /// Port of the server's pages.
    pub port: u16,
    /// Port of git over ssh.
    pub ssh_port: u16,
    /// Full path of the project: `group/subgroup/project`.
    pub path: String,
}

impl Remote {
    /// Reads `http(s)://`, `ssh://` and `user@host:path` forms. `None` for everything else, such as a local folder.
    ///
    /// ```
    /// use runner_coordinator::run::Remote;
    ///
    /// let remote = Remote::parse("git@git.example.org:group/project.git").unwrap();
    /// assert_eq!(remote.server_url(), "https://git.example.org");
    /// assert_eq!(remote.path, "group/project");
    /// ```
    #[must_use]
    pub fn parse(remote: &str) -> Option<Self> {
        let remote = remote.trim();
        let (url, ssh) = match Url::parse(remote) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => (url, false),
            Ok(url) if matches!(url.scheme(), "ssh" | "git+ssh" | "ssh+git") => (url, true),
            _ => (Url::parse(&scp_form(remote)?).ok()?, true),
        };
        let path = url.path().trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        if path.is_empty() {
            return None;
        }
        let scheme = if ssh { "https" } else { url.scheme() };
        Some(Self {
            scheme: scheme.to_owned(),
            host: url.host_str()?.to_ascii_lowercase(),
            port: if ssh { 443 } else { url.port_or_known_default()? },
            ssh_port: if ssh { url.port().unwrap_or(22) } else { 22 },
            path: path.to_owned(),
        })
    }

    /// A project that has no remote: `local/<directory>` on `localhost`, with scheme and port of `server_url`.
    #[must_use]
    pub fn local(server_url: &str, directory: &str) -> Self {
        let url = Url::parse(server_url).ok();
        let scheme = url.as_ref().map_or("http", Url::scheme).to_owned();
        let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or(80);
        Self { scheme, host: "localhost".to_owned(), port, ssh_port: 22, path: format!("local/{directory}") }
    }

    /// Host, with the port unless it is the scheme's own.
    #[must_use]
    pub fn fqdn(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Address of the server, without a trailing slash.
    #[must_use]
    pub fn server_url(&self) -> String {
        format!("{}://{}", self.scheme, self.fqdn())
    }

    /// Address of the project's page.
    #[must_use]
    pub fn project_url(&self) -> String {
        format!("{}/{}", self.server_url(), self.path)
    }

    /// Last part of the path.
    #[must_use]
    pub fn project_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The path without its last part; empty for a project without a group.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// First part of the path.
    #[must_use]
    pub fn root_namespace(&self) -> &str {
        self.namespace().split('/').next().unwrap_or_default()
    }
}

/// Turns `user@host:path` into a URL. A path may hold a colon, and so may a Windows folder: without a user, only a
/// host with a dot or of several letters is taken for one.
fn scp_form(remote: &str) -> Option<String> {
    if remote.contains("://") {
        return None;
    }
    let (host, path) = remote.split_once(':')?;
    let has_user = host.contains('@');
    if host.contains('/') || host.is_empty() || (!has_user && host.len() < 2) {
        return None;
    }
    Some(format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, String, u16) {
        let remote = Remote::parse(url).unwrap();
        (remote.server_url(), remote.path, remote.ssh_port)
    }

    #[test]
    fn forms_of_git_remotes() {
        let https = |path: &str, ssh| ("https://git.example.org".to_owned(), path.to_owned(), ssh);
        for (url, expected) in [
            ("https://git.example.org/group/project.git", https("group/project", 22)),
            ("https://user:secret@git.example.org/group/sub/project", https("group/sub/project", 22)),
            ("git@git.example.org:group/project.git", https("group/project", 22)),
            ("git.example.org:group/project.git/", https("group/project", 22)),
            ("ssh://git@git.example.org:2222/group/project.git", https("group/project", 2222)),
        ] {
            assert_eq!(parsed(url), expected, "{url}");
        }
        assert_eq!(parsed("http://Git.local:8080/a/b").0, "http://git.local:8080");
    }

    #[test]
    fn folders_are_not_remotes() {
        for text in
            ["/srv/git/project.git", "../project", "file:///srv/git/x", "c:/git/x", "", "https://host/"]
        {
            assert_eq!(Remote::parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_the_path() {
        let remote = Remote::parse("https://git.example.org/top/mid/project").unwrap();
        assert_eq!(
            (remote.project_name(), remote.namespace(), remote.root_namespace()),
            ("project", "top/mid", "top")
        );
        let local = Remote::local("http://127.0.0.1:4567", "tool");
        assert_eq!(local.project_url(), "http://localhost:4567/local/tool");
    }
}
