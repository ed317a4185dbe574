//! Saving what can be saved from a payload that is no usable job.

use serde_json::value::RawValue;
use url::Url;

use super::lenient::{Fields, Object};
use super::mend::mended;
use super::notes::Notes;
use super::{GitInfo, JobInfo, JobVariable};
use crate::secret::{JobToken, SecretText};

/// A payload that was handed out as a job but cannot be one.
///
/// The server believes that this runner has the job now. If an id and a token were found, the job can at least be
/// failed, with a reason, instead of hanging until its time limit. Besides the fields `id` and `token` they are looked for
/// in the other places where GitLab writes them: `job_info.id`, the variables `CI_JOB_ID` and `CI_JOB_TOKEN`, and the
/// repository's address.
///
/// ```
/// // The connection broke in the middle.
/// let broken = runner_api::Job::from_json(r#"{"id": 7, "token": "glcbt-x", "steps": [{"na"#).unwrap_err();
/// assert_eq!(broken.id(), Some(7));
/// assert_eq!(broken.token().map(|token| token.expose()), Some("glcbt-x"));
/// assert!(broken.to_string().starts_with("the job's payload cannot be used: it is not JSON"));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("the job's payload cannot be used: {reason}")]
pub struct UnreadableJob {
    reason: String,
    id: Option<u64>,
    token: Option<JobToken>,
    raw: SecretText,
}

impl UnreadableJob {
    /// The job's id, if it could be found.
    ///
    /// ```
    /// let broken = runner_api::Job::from_json(r#"{"job_info": {"id": 7}, "token": "t"}"#).unwrap_err();
    /// assert_eq!(broken.id(), Some(7));
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// The job's token, if it could be found.
    ///
    /// ```
    /// let broken = runner_api::Job::from_json(r#"{"job_info": {"id": 7}, "token": "t"}"#).unwrap_err();
    /// assert_eq!(broken.token(), Some(&runner_api::JobToken::new("t")));
    /// ```
    #[must_use]
    pub fn token(&self) -> Option<&JobToken> {
        self.token.as_ref()
    }

    /// The text as it was received. It may hold secrets.
    ///
    /// ```
    /// let broken = runner_api::Job::from_json("<html>").unwrap_err();
    /// assert_eq!(broken.raw().expose(), "<html>");
    /// ```
    #[must_use]
    pub fn raw(&self) -> &SecretText {
        &self.raw
    }
}

/// Looks for an id and a token in a text that may break off anywhere.
pub(super) fn recover(text: &str, reason: &str) -> UnreadableJob {
    let found = RawValue::from_string(mended(text)).ok().and_then(|raw| {
        let mut notes = Notes::default();
        let mut fields = Fields::split(&raw, "$", &mut notes)?;
        Some(Found::read(&mut fields))
    });
    let Found { id, token } = found.unwrap_or_default();
    UnreadableJob { reason: reason.to_owned(), id, token, raw: SecretText::new(text) }
}

#[derive(Default)]
struct Found {
    id: Option<u64>,
    token: Option<JobToken>,
}

impl Object for Found {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let id = fields.take_optional("id");
        let token = fields.take_optional("token");
        let info: JobInfo = fields.take("job_info");
        let variables: Vec<JobVariable> = fields.take("variables");
        let git: GitInfo = fields.take("git_info");

        let variable =
            |key| variables.iter().rfind(|variable| variable.key == key).map(|found| found.value.as_str());
        let in_variable = || variable("CI_JOB_ID")?.trim().parse().ok();
        let tokens = [token, variable("CI_JOB_TOKEN").map(JobToken::new), token_in(&git.repo_url)];
        Self {
            id: id.or(info.id).or_else(in_variable),
            token: tokens.into_iter().flatten().find(|token| !token.is_empty()),
        }
    }
}

/// The password in a repository's address, if it is a job's.
fn token_in(repo_url: &str) -> Option<JobToken> {
    let url = Url::parse(repo_url).ok().filter(|url| url.username() == "gitlab-ci-token")?;
    url.password().map(JobToken::new)
}

#[cfg(test)]
mod tests {
    use super::{JobToken, recover};

    #[test]
    fn recovers_what_is_there() {
        for (text, id, token) in [
            ("", None, None),
            ("<html>", None, None),
            ("[1]", None, None),
            (r#"{"id": 7"#, None, None),
            (r#"{"id": 7, "#, Some(7), None),
            (r#"{"id": "7", "token": "t", "x": [[{"#, Some(7), Some("t")),
            (r#"{"id": {}, "token": []}"#, None, None),
            (r#"{"token": "t", "id": -1, "x": 1e999}"#, None, Some("t")),
            (r#"{"token": "t", "steps": {"id": 9}}"#, None, Some("t")),
            (r#"{"id": 7.0, "token": "t", "x": NaN, "y"#, Some(7), Some("t")),
            ("\u{feff}{\"id\": 7, \"x\": \"a\nb\", \"token\": \"t\"}", Some(7), Some("t")),
        ] {
            let job = recover(text, "because");
            assert_eq!(job.id(), id, "{text}");
            assert_eq!(job.token().map(JobToken::expose), token, "{text}");
        }
    }

    #[test]
    fn looks_where_gitlab_repeats_itself() {
        for (text, id, token) in [
            (r#"{"job_info": {"id": 8, "name": "x"}, "token": "", "ID": "?"}"#, Some(8), None),
            (
                r#"{"variables": [{"key": "CI_JOB_ID", "value": "9"}, 5, {"key": "CI_JOB_TOKEN", "value": "v"}, {"#,
                Some(9),
                Some("v"),
            ),
            (
                r#"{"id": 1, "git_info": {"repo_url": "https://gitlab-ci-token:g@h/p.git"}, "token": {}}"#,
                Some(1),
                Some("g"),
            ),
            (r#"{"id": 1, "git_info": {"repo_url": "https://somebody:g@h/p.git"}}"#, Some(1), None),
            (
                r#"{"id": 1, "token": "t", "variables": [{"key": "CI_JOB_TOKEN", "value": "v"}]}"#,
                Some(1),
                Some("t"),
            ),
        ] {
            let job = recover(text, "because");
            assert_eq!(job.id(), id, "{text}");
            assert_eq!(job.token().map(JobToken::expose), token, "{text}");
        }
    }
}
