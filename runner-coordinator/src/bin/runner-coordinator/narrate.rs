//! What happened, in words or as JSON.

use std::io::{self, Write};

use runner_coordinator::core::{Event, EventKind, JobId};
use runner_coordinator::http::Handle;
use serde_json::{Map, Value, json};

use super::arguments::Form;

/// Tells events, each in one line.
pub(crate) struct Narrator {
    pub(crate) handle: Handle,
    pub(crate) form: Form,
    pub(crate) show_trace: bool,
}

impl Narrator {
    pub(crate) fn tell(&self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        match self.form {
            Form::Text => self.tell_text(event, out),
            Form::Json => self.tell_json(event, out),
        }
    }

    /// Where the coordinator listens: the first line.
    pub(crate) fn tell_address(
        &self,
        url: &str,
        storage: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match self.form {
            Form::Text => {
                writeln!(out, "{url}")?;
                storage.map_or(Ok(()), |storage| writeln!(out, "storage: {storage}"))
            }
            Form::Json => {
                writeln!(out, "{}", json!({ "event": "listening", "url": url, "storage": storage }))
            }
        }
    }

    /// A runner that exists from the start, with a token that nobody knows yet.
    pub(crate) fn tell_runner(&self, id: u64, token: &str, out: &mut impl Write) -> io::Result<()> {
        match self.form {
            Form::Text => writeln!(out, "runner {id}: token {token}"),
            Form::Json => {
                writeln!(out, "{}", json!({ "event": "runner_created", "runner": id, "token": token }))
            }
        }
    }

    /// A job that was enqueued, and what it comes from.
    pub(crate) fn tell_queued(&self, job: JobId, from: &str, out: &mut impl Write) -> io::Result<()> {
        match self.form {
            Form::Text => writeln!(out, "{}: queued from {from}", self.job(job)),
            Form::Json => {
                let line =
                    json!({ "event": "job_queued", "job": job.0, "name": self.name(job), "from": from });
                writeln!(out, "{line}")
            }
        }
    }

    /// Something that did not work and does not end the program.
    pub(crate) fn tell_problem(&self, problem: &str, out: &mut impl Write) -> io::Result<()> {
        match self.form {
            Form::Text => writeln!(out, "problem: {problem}"),
            Form::Json => writeln!(out, "{}", json!({ "event": "problem", "problem": problem })),
        }
    }

    fn tell_json(&self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        let mut line = Map::new();
        let mut set = |key: &str, value: Value| drop(line.insert(key.to_owned(), value));
        set("at", json!(jiff::Timestamp::try_from(event.at).unwrap_or_default().to_string()));
        let (name, job) = match &event.kind {
            EventKind::RunnerRegistered { runner } => {
                set("runner", json!(runner.0));
                ("runner_registered", None)
            }
            EventKind::RunnerUnregistered { runner } => {
                set("runner", json!(runner.0));
                ("runner_unregistered", None)
            }
            EventKind::ManagerCreated { runner, system_id } => {
                set("runner", json!(runner.0));
                set("system_id", json!(system_id));
                ("manager_created", None)
            }
            EventKind::ManagerDeleted { runner, system_id } => {
                set("runner", json!(runner.0));
                set("system_id", json!(system_id));
                ("manager_deleted", None)
            }
            EventKind::JobAssigned { job, runner } => {
                set("runner", json!(runner.0));
                ("job_assigned", Some(*job))
            }
            EventKind::JobStarted { job } => ("job_started", Some(*job)),
            EventKind::TraceAppended { job, offset, length } => {
                set("offset", json!(offset));
                set("length", json!(length));
                if self.show_trace {
                    set("text", json!(String::from_utf8_lossy(&self.trace(*job, *offset, *length))));
                }
                ("trace_appended", Some(*job))
            }
            EventKind::TraceCut { job, length } => {
                set("length", json!(length));
                ("trace_cut", Some(*job))
            }
            EventKind::ArtifactStored { job, artifact_type, filename, size } => {
                set("artifact_type", json!(artifact_type));
                set("filename", json!(filename));
                set("size", json!(size));
                set("path", json!(self.handle.artifact(*job, artifact_type)));
                ("artifact_stored", Some(*job))
            }
            EventKind::JobCanceling { job } => ("job_canceling", Some(*job)),
            EventKind::JobFinished { job, state, failure_reason, exit_code } => {
                set("state", json!(state.as_str()));
                set("failure_reason", json!(failure_reason));
                set("exit_code", json!(exit_code));
                ("job_finished", Some(*job))
            }
            other => {
                set("what", json!(format!("{other:?}")));
                ("other", None)
            }
        };
        set("event", json!(name));
        if let Some(job) = job {
            set("job", json!(job.0));
            set("name", json!(self.name(job)));
        }
        writeln!(out, "{}", Value::Object(line))
    }

    fn tell_text(&self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        match &event.kind {
            EventKind::RunnerRegistered { runner } => writeln!(out, "runner {runner}: registered"),
            EventKind::RunnerUnregistered { runner } => writeln!(out, "runner {runner}: unregistered"),
            EventKind::ManagerCreated { runner, system_id } => {
                writeln!(out, "runner {runner}: manager {system_id} seen for the first time")
            }
            EventKind::ManagerDeleted { runner, system_id } => {
                writeln!(out, "runner {runner}: manager {system_id} unregistered")
            }
            EventKind::JobAssigned { job, runner } => {
                writeln!(out, "{}: handed to runner {runner}", self.job(*job))
            }
            EventKind::JobStarted { job } => writeln!(out, "{}: running", self.job(*job)),
            EventKind::TraceAppended { job, offset, length } => {
                writeln!(out, "{}: {length} bytes of log from {offset} on", self.job(*job))?;
                if self.show_trace {
                    let text = self.trace(*job, *offset, *length);
                    out.write_all(&text)?;
                    if !text.ends_with(b"\n") {
                        writeln!(out)?;
                    }
                }
                Ok(())
            }
            EventKind::TraceCut { job, length } => {
                writeln!(out, "{}: log cut to {length} bytes by a fault", self.job(*job))
            }
            EventKind::ArtifactStored { job, artifact_type, filename, size } => {
                write!(out, "{}: {artifact_type} {filename} stored, {size} bytes", self.job(*job))?;
                match self.handle.artifact(*job, artifact_type) {
                    Some(path) => writeln!(out, ", in {}", path.display()),
                    None => writeln!(out),
                }
            }
            EventKind::JobCanceling { job } => writeln!(out, "{}: canceling", self.job(*job)),
            EventKind::JobFinished { job, state, failure_reason, exit_code } => {
                write!(out, "{}: {state}", self.job(*job))?;
                if let Some(reason) = failure_reason {
                    write!(out, ", {reason}")?;
                }
                if let Some(code) = exit_code {
                    write!(out, ", exit code {code}")?;
                }
                writeln!(out)
            }
            other => writeln!(out, "{other:?}"),
        }
    }

    fn job(&self, job: JobId) -> String {
        format!("job {job} ({})", self.name(job))
    }

    fn name(&self, job: JobId) -> String {
        self.handle.job(job, |record| record.name().to_owned()).unwrap_or_default()
    }

    fn trace(&self, job: JobId, offset: u64, length: u64) -> Vec<u8> {
        let mut text = self.handle.read_trace(job, offset);
        text.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        text
    }
}
