//! The coordinator on a socket: an axum shell around [`core`](crate::core).
//!
//! [`Server`] owns the sockets and the tasks, [`Handle`] is what a host program keeps. Job requests are held and woken,
//! uploads and downloads stream, faults break connections. The clock is tokio's, so that tests may pause it; [`Local`]
//! is the same without a socket.
//!
//! ```
//! use runner_coordinator::core::{Coordinator, EventKind, NewJob, NewRunner, Options};
//! use runner_coordinator::http::{Server, ServerOptions};
//! use serde_json::json;
//!
//! # async fn example(folder: &std::path::Path) -> std::io::Result<()> {
//! let coordinator = Coordinator::new(Options::default());
//! let address = ([127, 0, 0, 1], 0).into();
//! let server = Server::bind(address, coordinator, ServerOptions::new(folder)).await?;
//! let handle = server.handle();
//! let runner = handle.create_runner(NewRunner::default());
//! let mut events = handle.events();
//! let job = handle.enqueue(NewJob::new(json!({ "job_info": { "name": "build" } })));
//! println!("a runner with token {:?} may poll {}", runner.token, server.url());
//! while let Some(event) = events.recv().await {
//!     match event.kind {
//!         EventKind::TraceAppended { job, offset, .. } => {
//!             println!("{}", String::from_utf8_lossy(&handle.read_trace(job, offset)));
//!         }
//!         EventKind::JobFinished { .. } => break,
//!         _ => {}
//!     }
//! }
//! println!("artifacts: {:?}", handle.artifact(job, "archive"));
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod connection;
mod events;
mod handle;
mod local;
mod respond;
mod server;
mod store;
mod upload;

pub use axum::body::Body;
pub use events::Events;
pub use handle::Handle;
pub use local::{Local, Lost};
pub use server::{Server, ServerOptions};
pub use store::ArtifactStore;
