//! Submodules whose address is relative to the project's: jobs fetch the project from the state folder, and beside it there
//! are no other repositories.

use super::checkout::Checkout;

/// Variables for jobs that lead git from where a relative address points to, beside the served repository, to where it points
/// for the user: beside the remote, or without one beside the checkout. Empty without such submodules.
pub(crate) fn redirection(checkout: &Checkout, served: &str, remote: Option<&str>) -> Vec<(String, String)> {
    let Ok(urls) =
        checkout.git.text(&["config", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.url$"])
    else {
        return Vec::new();
    };
    let relative = urls.lines().filter_map(|line| line.split_once(' ')).map(|(_, url)| url);
    let levels = relative.filter(|url| url.starts_with("../") || url.starts_with("./")).map(levels).max();
    let Some(levels) = levels else { return Vec::new() };
    let own = checkout.root.display().to_string();
    let settings = settings(served, &without_password(remote.unwrap_or(&own)), levels);
    let mut variables = vec![("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string())];
    for (index, (key, value)) in settings.into_iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{index}"), key));
        variables.push((format!("GIT_CONFIG_VALUE_{index}"), value));
    }
    variables
}

/// How many folders up an address leads.
fn levels(url: &str) -> usize {
    url.split('/').take_while(|part| matches!(*part, "." | "..")).filter(|part| *part == "..").count()
}

/// Settings of git: what begins like a folder above the one becomes what begins like that above the other. The longest
/// beginning counts.
fn settings(served: &str, remote: &str, levels: usize) -> Vec<(String, String)> {
    let mut settings = vec![(format!("url.{served}.insteadOf"), served.to_owned())];
    let (mut from, mut to) = (served, remote.trim_end_matches('/'));
    for level in 0..=levels {
        if level > 0 {
            let (Some(above), Some(beside)) = (up(from), up(to)) else { break };
            (from, to) = (above, beside);
        }
        // `git@host:group/project` leads up to `git@host:`.
        let end = if to.ends_with(':') { "" } else { "/" };
        settings.push((format!("url.{to}{end}.insteadOf"), format!("{from}/")));
    }
    if remote.starts_with('/') || remote.starts_with("file://") {
        settings.push(("protocol.file.allow".to_owned(), "always".to_owned()));
    }
    settings
}

fn up(address: &str) -> Option<&str> {
    match address.rfind('/') {
        Some(at) if !address[..at].ends_with(['/', ':']) => address.get(..at),
        Some(_) => None,
        None => {
            address.rfind(':').and_then(|at| address.get(..=at)).filter(|above| above.len() < address.len())
        }
    }
}

/// Jobs can print their variables.
fn without_password(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) if url.password().is_some() => {
            let _ = url.set_password(None);
            url.into()
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{levels, settings, without_password};

    #[test]
    fn addresses_lead_up() {
        assert_eq!((levels("../lib"), levels("./lib"), levels("../../a/b"), levels("x")), (1, 0, 2, 0));
        let served = "file:///s/runs/1/sources.git";
        let pairs = |remote: &str, levels| -> Vec<String> {
            settings(served, remote, levels)
                .into_iter()
                .skip(1)
                .map(|(key, value)| format!("{value} {key}"))
                .collect()
        };
        assert_eq!(
            pairs("https://host/group/main.git", 2),
            [
                "file:///s/runs/1/sources.git/ url.https://host/group/main.git/.insteadOf",
                "file:///s/runs/1/ url.https://host/group/.insteadOf",
                "file:///s/runs/ url.https://host/.insteadOf",
            ]
        );
        assert_eq!(pairs("git@host:main.git", 1)[1], "file:///s/runs/1/ url.git@host:.insteadOf");
        // Further up there is nothing.
        assert_eq!(pairs("https://host/main.git", 5).len(), 2);
        assert_eq!(
            pairs("/home/me/main", 1)[1..],
            ["file:///s/runs/1/ url./home/me/.insteadOf", "always protocol.file.allow"]
        );
        assert_eq!(settings(served, "x:y", 1)[0].1, served);
        assert_eq!(without_password("https://me:secret@host/a"), "https://me@host/a");
    }
}
