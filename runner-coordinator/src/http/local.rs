//! The coordinator in this process, without a socket.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::handle::Handle;
use super::respond::respond;
use super::store::ArtifactStore;
use super::upload::upload;
use crate::core::{Answer, Coordinator, Cut, Hold, Reply};

/// Largest body that is read into memory. Runners send traces in pieces of 1 MiB.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// A coordinator that is asked by a function call instead of over a socket: bodies stream both ways, requests are held
/// and woken, faults happen, and time is tokio's, so that a test with a paused clock simulates hours at once.
///
/// It is what a test needs for a transport of the client under test. Where that client's bodies are streams of bytes, the
/// transport is two lines:
///
/// ```
/// # use std::pin::Pin;
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// use futures_util::{Stream, TryStreamExt};
/// use runner_coordinator::http::{Body, Local, Lost};
///
/// type Error = Box<dyn std::error::Error + Send + Sync>;
/// type ClientBody = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;
///
/// async fn send(gitlab: &Local, request: Request<ClientBody>) -> Result<Response<ClientBody>, Lost> {
///     let answer = gitlab.send(request.map(Body::from_stream)).await?;
///     Ok(answer.map(|body| Box::pin(body.into_data_stream().map_err(Error::from)) as ClientBody))
/// }
/// ```
///
/// A request and simulated time:
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use http::Request;
/// use runner_coordinator::core::{Coordinator, NewRunner, Options};
/// use runner_coordinator::http::{ArtifactStore, Body, Local, Lost};
/// use secrecy::ExposeSecret;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # tokio::time::pause();
/// let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let gitlab = Local::starting_at(start, Coordinator::new(Options::default()), ArtifactStore::Memory);
/// let runner = gitlab.handle().create_runner(NewRunner::default());
/// let poll = |body: serde_json::Value| {
///     gitlab.send(Request::post("/api/v4/jobs/request").body(body.to_string()).unwrap())
/// };
///
/// let answer = poll(json!({ "token": runner.token.expose_secret() })).await.unwrap();
/// assert_eq!(answer.status(), 204);
/// let cursor = answer.headers()["x-gitlab-last-update"].to_str().unwrap();
///
/// // A long poll of 50 seconds, which pass at once where the clock is paused.
/// let before = tokio::time::Instant::now();
/// poll(json!({ "token": runner.token.expose_secret(), "last_update": cursor })).await.unwrap();
/// assert_eq!(before.elapsed().as_secs(), 50);
///
/// gitlab.handle().add_fault("request_job:1:reset=after".parse().unwrap());
/// assert_eq!(poll(json!({})).await.unwrap_err(), Lost::Reset);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Local {
    shell: Arc<Shell>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// Nothing listens.
    #[error("connection refused by the coordinator")]
    Refused,
    /// The connection is gone; the request may have been processed.
    #[error("connection reset by the coordinator")]
    Reset,
}

#[derive(Debug)]
struct Shell {
    handle: Handle,
    store: ArtifactStore,
    closing: watch::Sender<bool>,
    /// Lets happen what happens by the passing of time.
    timekeeper: JoinHandle<()>,
}

impl Local {
    /// A coordinator whose time is that of the machine. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(coordinator: Coordinator, store: ArtifactStore) -> Self {
        Self::starting_at(SystemTime::now(), coordinator, store)
    }

    /// A coordinator whose time begins with `start` and goes on with tokio's clock. Must be called within a tokio
    /// runtime.
    #[must_use]
    pub fn starting_at(start: SystemTime, coordinator: Coordinator, store: ArtifactStore) -> Self {
        let handle = Handle::new(coordinator, start);
        let timekeeper = tokio::spawn(keep_time(handle.clone()));
        let (closing, _) = watch::channel(false);
        Self { shell: Arc::new(Shell { handle, store, closing, timekeeper }) }
    }

    /// Access for the host program.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.shell.handle.clone()
    }

    /// Asks and waits for the answer. The body of the answer may still break off or stall.
    ///
    /// Uploads and downloads stream: of an artifact in an [`ArtifactStore::Folder`] never more than a piece is in memory.
    /// Other bodies are read whole, up to 64 MiB. Cancel-safe in the way of a network: what was processed, was.
    ///
    /// # Errors
    /// When a fault takes the connection before an answer has begun.
    pub async fn send(&self, request: Request<impl Into<Body>>) -> Result<Response<Body>, Lost> {
        let shell = &self.shell;
        let closing = shell.closing.subscribe();
        let (parts, body) = request.into_parts();
        let body = body.into();
        if shell.handle.with(|coordinator, now| coordinator.leaves_unread(&parts, now)) {
            let answer = shell.reply(Request::from_parts(parts, Bytes::new()), &closing).await;
            let lost = respond(answer, &closing).await;
            // Until here the body was there, but nobody read it.
            drop(body);
            return lost;
        }
        let answer = if is_upload(&parts) {
            Box::pin(upload(&shell.handle, &shell.store, &parts, body)).await
        } else {
            match whole(body).await {
                Ok(body) => shell.reply(Request::from_parts(parts, body), &closing).await,
                Err(status) => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = status;
                    return Ok(response);
                }
            }
        };
        // What was begun before the server went down is processed, but nobody hears of it.
        if shell.handle.with(|coordinator, _| coordinator.is_down()) && answer.cut != Some(Cut::Refused) {
            return Err(Lost::Reset);
        }
        respond(answer, &closing).await
    }

    /// Answers what is held and ends what stalls.
    pub fn close(&self) {
        self.shell.closing.send_replace(true);
    }

    pub(super) fn closes(&self) -> watch::Receiver<bool> {
        self.shell.closing.subscribe()
    }
}

impl Shell {
    async fn reply(&self, request: Request<Bytes>, closing: &watch::Receiver<bool>) -> Answer {
        let mut queue_version = self.handle.queue_version();
        queue_version.mark_unchanged();
        let mut reply = self.handle.with(|coordinator, now| coordinator.handle(request, now));
        loop {
            match reply {
                Reply::Ready(answer) => return *answer,
                Reply::Hold(hold) => reply = self.wait(hold, &mut queue_version, closing).await,
            }
        }
    }

    async fn wait(
        &self,
        hold: Hold,
        queue_version: &mut watch::Receiver<u64>,
        closing: &watch::Receiver<bool>,
    ) -> Reply {
        let until = self.handle.instant_of(hold.until());
        let release = tokio::select! {
            () = closed(closing.clone()) => true,
            _ = queue_version.changed() => false,
            () = tokio::time::sleep_until(until) => false,
        };
        self.handle.with(|coordinator, now| match release {
            true => Reply::Ready(Box::new(coordinator.release(hold, now))),
            false => coordinator.resume(hold, now),
        })
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.timekeeper.abort();
    }
}

fn is_upload(parts: &http::request::Parts) -> bool {
    parts.method == Method::POST && Path::new(parts.uri.path()).ends_with("artifacts")
}

async fn whole(body: Body) -> Result<Bytes, StatusCode> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

pub(super) async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn keep_time(handle: Handle) {
    let mut deadline = handle.deadline();
    loop {
        let next = *deadline.borrow_and_update();
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(handle.instant_of(next)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => handle.with(Coordinator::advance),
            changed = deadline.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}
