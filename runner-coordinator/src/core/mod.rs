#![doc = include_str!("README.md")]

mod answer;
mod artifacts;
mod coordinator;
mod dotenv;
mod endpoint;
mod event;
pub mod fault;
mod ids;
mod job;
mod oddity;
mod options;
mod params;
mod request_job;
mod runner;
mod runners;
mod trace;
mod update_job;

pub use answer::{Answer, Cut, Hold, Payload, Reply};
pub use artifacts::{Admission, Stored, Upload};
pub use coordinator::{Coordinator, RequestRecord};
pub use endpoint::{Endpoint, UnknownEndpoint};
pub use event::{Event, EventKind, EventQueue};
pub use ids::{JobId, RunnerId};
pub use job::{Artifact, Content, FinalUpdate, JobRecord, JobState, JobTicket, NewJob};
pub use oddity::Oddity;
pub use options::Options;
pub use runner::{CreatedRunner, LEGACY_SYSTEM_ID, Manager, NewRunner, Runner};
pub use trace::Trace;

use coordinator::Begun;
