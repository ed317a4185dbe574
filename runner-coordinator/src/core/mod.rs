#![doc = include_str!("README.md")]

mod answer;
mod artifact;
mod artifact_type;
mod artifacts;
mod coordinator;
mod dispatch;
mod dotenv;
mod endpoint;
mod event;
pub mod fault;
mod ids;
mod job;
mod job_state;
mod new_job;
mod oddity;
mod options;
mod params;
mod record;
mod request_job;
mod runner;
mod runners;
mod session;
mod storage;
mod trace;
mod update_job;

pub use answer::{Answer, Cut, Hold, Payload, Reply};
pub use artifact::{Artifact, Content};
pub use artifacts::{Admission, Stored, Upload};
pub use coordinator::Coordinator;
pub use dotenv::{Dotenv, DotenvError, parse_dotenv, read_dotenv};
pub use endpoint::{Endpoint, UnknownEndpoint};
pub use event::{Event, EventKind, EventQueue};
pub use ids::{JobId, RunnerId};
pub use job::{FinalUpdate, JobRecord};
pub use job_state::JobState;
pub use new_job::{JobTicket, NewJob};
pub use oddity::Oddity;
pub use options::Options;
pub use record::{FaultRecord, RequestRecord};
pub use runner::{CreatedRunner, LEGACY_SYSTEM_ID, Manager, NewRunner, Runner};
pub use session::Session;
pub use trace::Trace;

use dispatch::Begun;
