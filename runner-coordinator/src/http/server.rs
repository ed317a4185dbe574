//! The server: sockets, tasks, and the way of a request to the core and back.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::connection::{BreakableListener, Breaker};
use super::handle::Handle;
use super::local::{Local, closed};
use super::store::ArtifactStore;
use crate::core::Coordinator;

/// How long [`Server::shutdown`] waits for requests that are being answered.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Settings of a [`Server`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Where artifacts are kept.
    pub artifacts: ArtifactStore,
    /// Address of an object storage of its own, another origin than the API, to which direct downloads are redirected;
    /// port 0 takes a free one. Without it the API's address serves what
    /// [`Options::storage_url`](crate::core::Options::storage_url) may lead to.
    pub storage: Option<SocketAddr>,
}

impl ServerOptions {
    /// Keeps artifacts in a folder. It must exist; it and what is in it belong to the host.
    pub fn new(artifacts: impl Into<PathBuf>) -> Self {
        Self { artifacts: ArtifactStore::Folder(artifacts.into()), storage: None }
    }

    /// Keeps artifacts in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Redirects direct downloads to an object storage that listens on this address.
    #[must_use]
    pub fn with_storage(mut self, address: SocketAddr) -> Self {
        self.storage = Some(address);
        self
    }
}

/// A coordinator that listens on a socket. Dropping it stops accepting and does not wait for what is being answered.
#[derive(Debug)]
pub struct Server {
    local: Local,
    address: SocketAddr,
    storage: Option<SocketAddr>,
    root: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server. Port 0 takes a free one; see [`url`](Self::url).
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        mut coordinator: Coordinator,
        options: ServerOptions,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let root = coordinator.options().root.clone();
        let mut listeners = vec![(listener, Serves::Everything)];
        let mut storage = None;
        if let Some(wanted) = options.storage {
            let listener = TcpListener::bind(wanted).await?;
            let address = listener.local_addr()?;
            coordinator.options_mut().storage_url = Some(format!("http://{address}{root}"));
            listeners = vec![(listeners.remove(0).0, Serves::Api), (listener, Serves::Storage)];
            storage = Some(address);
        }
        let local = Local::new(coordinator, options.artifacts);
        let tasks = listeners
            .into_iter()
            .map(|(listener, serves)| serve(listener, serves, local.clone(), format!("{root}/storage/")))
            .collect::<io::Result<_>>()?;
        Ok(Self { local, address, storage, root, tasks })
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

    /// The address of the object storage, if it has one of its own.
    #[must_use]
    pub fn storage_address(&self) -> Option<SocketAddr> {
        self.storage
    }

    /// Access for the host program.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.local.handle()
    }

    /// Stops accepting, answers held job requests with `204`, and waits up to 5 seconds for requests that are being
    /// answered. Handles stay usable.
    pub async fn shutdown(mut self) {
        self.local.close();
        let tasks = std::mem::take(&mut self.tasks);
        let end = tokio::time::Instant::now() + SHUTDOWN_GRACE;
        for mut task in tasks {
            if tokio::time::timeout_at(end, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.local.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What an address answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    Everything,
    Api,
    Storage,
}

#[derive(Debug)]
struct Site {
    local: Local,
    serves: Serves,
    /// Paths that begin like this are those of the object storage.
    storage: String,
}

fn serve(listener: TcpListener, serves: Serves, local: Local, storage: String) -> io::Result<JoinHandle<()>> {
    let closes = local.closes();
    let listener = BreakableListener::new(listener, local.handle().down())?;
    let site = Arc::new(Site { local, serves, storage });
    let service =
        Router::new().fallback(answer).with_state(site).into_make_service_with_connect_info::<Breaker>();
    let serve = axum::serve(listener, service).with_graceful_shutdown(closed(closes));
    Ok(tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "the coordinator's server ended");
        }
    }))
}

async fn answer(
    State(site): State<Arc<Site>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    request: Request,
) -> Response {
    let for_storage = request.uri().path().starts_with(&site.storage);
    if site.serves != Serves::Everything && for_storage != (site.serves == Serves::Storage) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    site.local.send(request).await.unwrap_or_else(|_| {
        breaker.pull();
        Response::new(Body::empty())
    })
}
