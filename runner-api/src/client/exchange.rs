//! One call: request, redirects, retries, report.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::Client;
use super::answer::{Answer, drain};
use super::redirect::{self, Step};
use crate::base_url::{path_template, without_secrets};
use crate::endpoint::Endpoint;
use crate::error::{CallContext, Error};
use crate::observe::CallReport;
use crate::retry::{is_retryable_status, server_delay};
use crate::transport::{Body, TransportError, TransportErrorKind};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LAST_UPDATE: HeaderName = HeaderName::from_static("x-gitlab-last-update");

/// Everything that makes up a call.
pub(super) struct Call {
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    follow_redirects: bool,
}

impl Call {
    pub(super) fn new(endpoint: Endpoint, method: Method, url: Url) -> Self {
        Self { endpoint, method, url, headers: HeaderMap::new(), body: Body::empty(), follow_redirects: true }
    }

    /// Adds a header that authenticates; an empty token gives none.
    pub(super) fn token(mut self, name: &'static str, token: &str) -> Result<Self, Error> {
        if !token.is_empty() {
            let mut value = HeaderValue::from_str(token)
                .map_err(|source| Error::configuration_from("the token is not a header value", source))?;
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        Ok(self)
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Gives a redirect to the caller.
    pub(super) fn without_redirects(mut self) -> Self {
        self.follow_redirects = false;
        self
    }

    /// Asks for a JSON answer.
    pub(super) fn accept_json(self) -> Self {
        self.header(header::ACCEPT, HeaderValue::from_static("application/json"))
    }

    /// Sends JSON.
    pub(super) fn json<T: Serialize>(mut self, body: &T) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|source| Error::configuration_from("the request cannot be written as JSON", source))?;
        self.body = Body::from(Bytes::from(bytes));
        Ok(self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
    }
}

impl Client {
    /// Sends `call` until there is an answer that is not to be repeated, or no answer at all.
    pub(super) async fn exchange(&self, call: Call) -> Result<Answer, Error> {
        let started = Instant::now();
        let request_id = (self.shared.request_id)();
        let (endpoint, method) = (call.endpoint, call.method.clone());
        let path = match self.shared.base.same_origin(&call.url) {
            true => path_template(&call.url),
            false => String::new(),
        };
        let mut progress = Tries::default();
        let result = self.tries(call, &request_id, &mut progress).await;
        let request_id = result.as_ref().map_or(request_id.as_str(), |answer| answer.request_id.as_str());
        let Tries { tries, pushed_back, waited, held_back } = progress;
        self.observer.call_ended(&CallReport {
            endpoint,
            method,
            path: &path,
            status: result.as_ref().map(|answer| answer.status).ok(),
            error: result.as_ref().err(),
            duration: started.elapsed(),
            tries,
            waited,
            held_back,
            pushed_back,
            request_id,
        });
        match &result {
            Ok(answer) => {
                let status = answer.status.as_u16();
                tracing::debug!(%endpoint, status, tries, request_id, "answered");
            }
            Err(error) => tracing::debug!(%endpoint, %error, tries, request_id, "no answer"),
        }
        result
    }

    async fn tries(&self, mut call: Call, request_id: &str, progress: &mut Tries) -> Result<Answer, Error> {
        call.headers.insert(header::USER_AGENT, self.shared.user_agent.clone());
        if let Ok(value) = HeaderValue::from_str(request_id) {
            call.headers.insert(REQUEST_ID, value);
        }
        let mut schedule = self.retry.schedule();
        let ceiling = self.shared.ceiling.as_ref().filter(|_| self.shared.base.same_origin(&call.url));
        loop {
            if let Some(ceiling) = ceiling {
                let arrived = Instant::now();
                ceiling.pass().await;
                progress.held_back += arrived.elapsed();
            }
            progress.tries += 1;
            let context = CallContext {
                method: call.method.clone(),
                url: without_secrets(&call.url),
                tries: progress.tries,
            };
            let again = call.body.try_clone();
            let body = std::mem::take(&mut call.body);
            let (response, url) = self.follow(&call, body, &context).await?;

            let (head, body) = response.into_parts();
            if call.endpoint.tells_queue_position()
                && let Some(value) = head.headers.get(LAST_UPDATE)
            {
                self.remember_last_update(value);
            }
            let retry_after = server_delay(&head.headers, (self.shared.now)());
            progress.pushed_back |= is_retryable_status(head.status);
            if self.retry.retries(call.endpoint, head.status)
                && let Some(again) = again
                && let Some(delay) = schedule.next()
            {
                let delay = retry_after.unwrap_or(delay);
                tracing::debug!(endpoint = %call.endpoint, status = head.status.as_u16(), ?delay, "trying again");
                let answered = Instant::now();
                drain(body).await;
                tokio::time::sleep(delay).await;
                progress.waited += answered.elapsed();
                call.body = again;
                continue;
            }
            let told = head.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
            let request_id = told.unwrap_or(request_id).to_owned();
            return Ok(Answer {
                status: head.status,
                url,
                headers: head.headers,
                body,
                context,
                request_id,
                retry_after,
            });
        }
    }

    /// Sends one request and follows its redirects. Gives the address that answered, too.
    async fn follow(
        &self,
        call: &Call,
        body: Body,
        context: &CallContext,
    ) -> Result<(Response<Body>, Url), Error> {
        let mut url = call.url.clone();
        let mut headers = call.headers.clone();
        let mut body = body;
        let mut redirects = 0;
        loop {
            let again = body.try_clone();
            let response = self.send(&call.method, &url, headers.clone(), body, context).await?;
            if !call.follow_redirects {
                return Ok((response, url));
            }
            let next = match redirect::step(&call.method, &url, response.status(), response.headers()) {
                Step::Stay => return Ok((response, url)),
                Step::Refuse(problem) => {
                    return Err(Error::redirect(context.clone(), response.status(), problem));
                }
                Step::Follow(next) => next,
            };
            redirects += 1;
            if redirects > redirect::LIMIT {
                let problem = format!("it is the end of {} redirects in a row", redirect::LIMIT);
                return Err(Error::redirect(context.clone(), response.status(), problem));
            }
            let Some(again) = again else {
                let problem =
                    format!("it redirects to {}: send the content again, there", without_secrets(&next));
                return Err(Error::redirect(context.clone(), response.status(), problem));
            };
            drain(response.into_body()).await;
            redirect::leave_tokens(&self.shared.base, &call.method, &next, &mut headers);
            (url, body) = (next, again);
        }
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Body,
        context: &CallContext,
    ) -> Result<Response<Body>, Error> {
        let uri: Uri = url.as_str().parse().map_err(|source| {
            let error = TransportError::new(TransportErrorKind::Other, Box::new(source));
            Error::from_transport(context.clone(), error)
        })?;
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let sent = self.shared.transport.send(request).await;
        let answer = sent.map_err(|source| Error::from_transport(context.clone(), source))?;
        self.remember_tls(url, &answer);
        Ok(answer)
    }
}

#[derive(Default)]
struct Tries {
    tries: u32,
    pushed_back: bool,
    waited: Duration,
    held_back: Duration,
}
