//! The server: socket, tasks, and the way of a request to the core and back.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connection::{BreakableListener, Breaker};
use super::handle::Handle;
use super::respond::respond;
use super::upload::upload;
use crate::core::{Answer, Coordinator, Hold, Reply};

/// Largest body that is read into memory. Runners send traces in pieces of 1 MiB.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// How long [`Server::shutdown`] waits for requests that are being answered.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Settings of a [`Server`].
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where the files of artifacts are stored. The folder must exist; it and what is in it belong to the host.
    pub artifacts: PathBuf,
}

impl ServerOptions {
    /// Stores artifacts in `artifacts`.
    pub fn new(artifacts: impl Into<PathBuf>) -> Self {
        Self { artifacts: artifacts.into() }
    }
}

/// A coordinator that listens on a socket. Dropping it stops accepting and does not wait for what is being answered.
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    address: SocketAddr,
    root: String,
    closing: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server. Port 0 takes a free one; see [`url`](Self::url).
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        coordinator: Coordinator,
        options: ServerOptions,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let root = coordinator.options().root.clone();
        let handle = Handle::new(coordinator);
        let (closing, closes) = watch::channel(false);
        let state =
            Arc::new(Shell { handle: handle.clone(), artifacts: options.artifacts, closing: closes.clone() });
        let service =
            Router::new().fallback(answer).with_state(state).into_make_service_with_connect_info::<Breaker>();
        let serve = axum::serve(BreakableListener(listener), service).with_graceful_shutdown(closed(closes));
        let tasks = vec![
            tokio::spawn(async move {
                if let Err(error) = serve.await {
                    tracing::error!(%error, "the coordinator's server ended");
                }
            }),
            tokio::spawn(keep_time(handle.clone())),
        ];
        Ok(Self { handle, address, root, closing, tasks })
    }

    /// The URL for a runner's configuration: `http://127.0.0.1:PORT` and the sub folder, if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.root)
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Access for the host program.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops accepting, answers held job requests with `204`, and waits up to 5 seconds for requests that are being
    /// answered. Handles stay usable.
    pub async fn shutdown(mut self) {
        let _ = self.closing.send(true);
        let mut tasks = std::mem::take(&mut self.tasks).into_iter();
        let server = tasks.next();
        tasks.for_each(|task| task.abort());
        if let Some(mut server) = server
            && tokio::time::timeout(SHUTDOWN_GRACE, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.closing.send(true);
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What request handlers need.
struct Shell {
    handle: Handle,
    artifacts: PathBuf,
    closing: watch::Receiver<bool>,
}

async fn answer(
    State(shell): State<Arc<Shell>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    request: Request,
) -> Response {
    let answer = if is_upload(&request) {
        let (parts, body) = request.into_parts();
        Box::pin(upload(&shell.handle, &shell.artifacts, &parts, body)).await
    } else {
        match whole(request).await {
            Ok(request) => shell.reply(request).await,
            Err(status) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = status;
                return response;
            }
        }
    };
    respond(answer, &breaker).await
}

impl Shell {
    async fn reply(&self, request: http::Request<bytes::Bytes>) -> Answer {
        let mut queue_version = self.handle.queue_version();
        queue_version.mark_unchanged();
        let mut reply = self.handle.with(|coordinator, now| coordinator.handle(request, now));
        loop {
            match reply {
                Reply::Ready(answer) => return *answer,
                Reply::Hold(hold) => reply = self.wait(hold, &mut queue_version).await,
            }
        }
    }

    async fn wait(&self, hold: Hold, queue_version: &mut watch::Receiver<u64>) -> Reply {
        let until = self.handle.instant_of(hold.until());
        let release = tokio::select! {
            () = closed(self.closing.clone()) => true,
            _ = queue_version.changed() => false,
            () = tokio::time::sleep_until(until) => false,
        };
        self.handle.with(|coordinator, now| match release {
            true => Reply::Ready(Box::new(coordinator.release(hold, now))),
            false => coordinator.resume(hold, now),
        })
    }
}

fn is_upload(request: &Request) -> bool {
    request.method() == Method::POST && Path::new(request.uri().path()).ends_with("artifacts")
}

async fn whole(request: Request) -> Result<http::Request<bytes::Bytes>, StatusCode> {
    let (parts, body) = request.into_parts();
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(http::Request::from_parts(parts, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Lets happen what happens by the passing of time.
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
