//! Calls about the runner itself: register, verify, unregister, reset the token.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize};

use super::Client;
use super::exchange::Call;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::info::RunnerInfo;
use crate::secret::{RegistrationToken, RunnerToken, SecretText};

/// Who asks: a runner, and which of its managers.
///
/// ```
/// use runner_api::RunnerCredentials;
///
/// let mut credentials = RunnerCredentials::new("glrt-token");
/// credentials.system_id = Some("s_0123456789ab".to_owned());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunnerCredentials {
    /// The runner's token.
    pub token: RunnerToken,
    /// What tells this manager from others with the same token: `s_` or `r_` and twelve letters or digits.
    pub system_id: Option<String>,
}

impl RunnerCredentials {
    /// Credentials without a system id.
    ///
    /// ```
    /// use runner_api::RunnerCredentials;
    ///
    /// assert_eq!(RunnerCredentials::new("glrt-token").system_id, None);
    /// ```
    pub fn new(token: impl Into<RunnerToken>) -> Self {
        Self { token: token.into(), system_id: None }
    }

    /// The same credentials with a system id.
    ///
    /// ```
    /// use runner_api::RunnerCredentials;
    ///
    /// let credentials = RunnerCredentials::new("glrt-token").with_system_id("s_0123456789ab");
    /// assert_eq!(credentials.system_id.as_deref(), Some("s_0123456789ab"));
    /// ```
    #[must_use]
    pub fn with_system_id(mut self, system_id: impl Into<String>) -> Self {
        self.system_id = Some(system_id.into());
        self
    }
}

/// What a legacy registration asks for.
///
/// ```
/// use runner_api::RegisterRequest;
///
/// let mut request = RegisterRequest::new("GR1348941token");
/// request.tag_list = vec!["docker".to_owned(), "linux".to_owned()];
/// request.run_untagged = false;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegisterRequest {
    /// What allows to create a runner.
    pub token: RegistrationToken,
    /// A name for people.
    pub description: String,
    /// A note for administrators.
    pub maintenance_note: String,
    /// The runner's tags.
    pub tag_list: Vec<String>,
    /// Whether it takes jobs without tags. Default: yes.
    pub run_untagged: bool,
    /// Whether it is locked to its project. Default: yes.
    pub locked: bool,
    /// `not_protected` or `ref_protected`; empty leaves it to the server.
    pub access_level: String,
    /// The longest time limit of a job.
    pub maximum_timeout: Option<Duration>,
    /// Whether it starts paused.
    pub paused: bool,
}

impl RegisterRequest {
    /// A registration with defaults.
    ///
    /// ```
    /// let request = runner_api::RegisterRequest::new("GR1348941token");
    /// assert!(request.run_untagged && request.locked && !request.paused);
    /// ```
    pub fn new(token: impl Into<RegistrationToken>) -> Self {
        Self {
            token: token.into(),
            description: String::new(),
            maintenance_note: String::new(),
            tag_list: Vec::new(),
            run_untagged: true,
            locked: true,
            access_level: String::new(),
            maximum_timeout: None,
            paused: false,
        }
    }
}

/// A token that the server gave to a runner.
///
/// ```no_run
/// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
/// let registered = client.register(&runner_api::RegisterRequest::new("GR1348941token")).await?;
/// println!("runner {} until {:?}", registered.id, registered.token_expires_at);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenAnswer {
    /// The runner's id; 0 when the server does not tell it.
    pub id: u64,
    /// The runner's token.
    pub token: RunnerToken,
    /// When the token expires, as RFC 3339 text.
    pub token_expires_at: Option<String>,
}

/// A runner that the server knows. What it does not tell (old servers, a plain-text answer) is empty.
///
/// ```
/// assert_eq!(runner_api::Verified::default().id, 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The runner's id; 0 when the server does not tell it.
    pub id: u64,
    /// The runner's token.
    pub token: Option<RunnerToken>,
    /// When the token expires, as RFC 3339 text.
    pub token_expires_at: Option<String>,
}

impl Client {
    /// Registers a runner with a legacy registration token. Not repeated after an answer that may mean success.
    ///
    /// Source: GitLab's Runner API, `POST /api/v4/runners`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// let registered = client.register(&runner_api::RegisterRequest::new("GR1348941token")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_forbidden`] when the token is unknown; any status but 201; an answer without a token.
    pub async fn register(&self, request: &RegisterRequest) -> Result<TokenAnswer, Error> {
        let token = request.token.expose();
        let body = RegisterBody {
            token,
            description: &request.description,
            maintenance_note: &request.maintenance_note,
            tag_list: request.tag_list.join(","),
            run_untagged: request.run_untagged,
            locked: request.locked,
            access_level: &request.access_level,
            maximum_timeout: request
                .maximum_timeout
                .map(|limit| limit.as_secs())
                .filter(|seconds| *seconds > 0),
            paused: request.paused,
            info: &self.info,
        };
        let call = self.runner_call(Endpoint::Register, Method::POST, &["runners"], token)?;
        self.token_answer(call.accept_json().json(&body)?).await
    }

    /// Asks whether the runner is known, and makes this manager known. A server that does not answer with JSON, or not
    /// at all, is asked a second time, in the way of old servers.
    ///
    /// Source: GitLab's Runner API, `POST /api/v4/runners/verify`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// let credentials = runner_api::RunnerCredentials::new("glrt-token");
    /// match client.verify(&credentials).await {
    ///     Ok(verified) => println!("runner {} is alive", verified.id),
    ///     Err(error) if error.is_forbidden() => println!("the runner was removed"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_forbidden`] when the runner does not exist any more. Every other error says nothing about that.
    pub async fn verify(&self, credentials: &RunnerCredentials) -> Result<Verified, Error> {
        let token = credentials.token.expose();
        let body = ManagerBody { info: Some(&self.info), token, system_id: credentials.system_id.as_deref() };
        let call =
            || self.runner_call(Endpoint::Verify, Method::POST, &["runners", "verify"], token)?.json(&body);

        let first = match self.exchange(call()?.accept_json()).await {
            Ok(answer) if answer.status == StatusCode::OK => answer.json::<TokenBody>().await,
            Ok(answer) => return Err(answer.into_error().await),
            Err(error) => Err(error),
        };
        match first {
            Ok(body) => {
                let token = (!body.token.is_empty()).then(|| RunnerToken::new(body.token));
                Ok(Verified { id: body.id, token, token_expires_at: body.token_expires_at })
            }
            Err(error) if error.is_transport() || error.is_content() => {
                tracing::debug!(%error, "verifying again without asking for JSON");
                let answer = self.exchange(call()?).await?;
                if answer.status != StatusCode::OK {
                    return Err(answer.into_error().await);
                }
                answer.drain().await;
                Ok(Verified::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a runner that was made by a registration.
    ///
    /// Source: GitLab's Runner API, `DELETE /api/v4/runners`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// client.unregister(&runner_api::RunnerToken::new("token")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any status but 204.
    pub async fn unregister(&self, token: &RunnerToken) -> Result<(), Error> {
        let body = ManagerBody { info: None, token: token.expose(), system_id: None };
        let call = self.runner_call(Endpoint::Unregister, Method::DELETE, &["runners"], token.expose())?;
        self.no_content(call.json(&body)?).await
    }

    /// Removes one manager of a runner that was made in GitLab. The runner itself stays.
    ///
    /// Source: GitLab's Runner API, `DELETE /api/v4/runners/managers`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// let credentials = runner_api::RunnerCredentials::new("glrt-token").with_system_id("s_0123456789ab");
    /// client.unregister_manager(&credentials).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any status but 204; 404 means that the server does not know this manager.
    pub async fn unregister_manager(&self, credentials: &RunnerCredentials) -> Result<(), Error> {
        let token = credentials.token.expose();
        let system_id = credentials.system_id.as_deref().or(Some(""));
        let body = ManagerBody { info: None, token, system_id };
        let call =
            self.runner_call(Endpoint::UnregisterManager, Method::DELETE, &["runners", "managers"], token)?;
        self.no_content(call.json(&body)?).await
    }

    /// Exchanges the runner's token for a new one. The old one ends.
    ///
    /// Source: GitLab's Runner API, `POST /api/v4/runners/reset_authentication_token`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// let fresh = client.reset_token(&runner_api::RunnerToken::new("glrt-token")).await?;
    /// println!("valid until {:?}", fresh.token_expires_at);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any status but 201; an answer without a token.
    pub async fn reset_token(&self, token: &RunnerToken) -> Result<TokenAnswer, Error> {
        let body = ManagerBody { info: None, token: token.expose(), system_id: None };
        let call = self.call(Endpoint::ResetToken, Method::POST, &["runners", "reset_authentication_token"]);
        self.token_answer(call.accept_json().json(&body)?).await
    }

    /// Exchanges a runner's token for a new one in the name of a user, by a personal access token.
    ///
    /// Source: GitLab's Runner API, `POST /api/v4/runners/:id/reset_authentication_token`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// let fresh = client.reset_token_by_id(7, &runner_api::SecretText::new("glpat-token")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any status but 201; an answer without a token.
    pub async fn reset_token_by_id(
        &self,
        id: u64,
        personal_token: &SecretText,
    ) -> Result<TokenAnswer, Error> {
        let path = ["runners", &id.to_string(), "reset_authentication_token"];
        // Some proxies refuse a POST that has neither content nor a length.
        let call = self
            .call(Endpoint::ResetToken, Method::POST, &path)
            .header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        self.token_answer(call.token("private-token", personal_token.expose())?.accept_json()).await
    }

    fn call(&self, endpoint: Endpoint, method: Method, path: &[&str]) -> Call {
        Call::new(endpoint, method, self.shared.base.endpoint(path, &[]))
    }

    pub(super) fn runner_call(
        &self,
        endpoint: Endpoint,
        method: Method,
        path: &[&str],
        token: &str,
    ) -> Result<Call, Error> {
        self.call(endpoint, method, path).token("runner-token", token)
    }

    async fn token_answer(&self, call: Call) -> Result<TokenAnswer, Error> {
        let answer = self.exchange(call).await?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.into_error().await);
        }
        let (context, status) = (answer.context.clone(), answer.status);
        let body: TokenBody = answer.json().await?;
        if body.token.is_empty() {
            return Err(Error::content(context, status, "it holds no token", None));
        }
        Ok(TokenAnswer {
            id: body.id,
            token: RunnerToken::new(body.token),
            token_expires_at: body.token_expires_at,
        })
    }

    async fn no_content(&self, call: Call) -> Result<(), Error> {
        let answer = self.exchange(call).await?;
        if answer.status != StatusCode::NO_CONTENT {
            return Err(answer.into_error().await);
        }
        answer.drain().await;
        Ok(())
    }
}

#[derive(Serialize)]
struct RegisterBody<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    token: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    maintenance_note: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    tag_list: String,
    run_untagged: bool,
    locked: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    access_level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_timeout: Option<u64>,
    paused: bool,
    info: &'a RunnerInfo,
}

#[derive(Serialize)]
struct ManagerBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RunnerInfo>,
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct TokenBody {
    #[serde(default, deserialize_with = "null_is_default")]
    id: u64,
    #[serde(default, deserialize_with = "null_is_default")]
    token: String,
    #[serde(default)]
    token_expires_at: Option<String>,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
