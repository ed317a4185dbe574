//! Streams with something wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use runner_core::executor::{
    Cause, EnvironmentError, FollowEvent, FollowStream, OutputFrame, OutputStream, StageEnd, StageKey,
};

use crate::broken::Memory;
use crate::fault::Fault;

/// So much output arrives of a stage at the most.
const CUT: u64 = 3_500_000;

/// What follows from a fault for a stream.
pub(crate) fn broken_stream(
    fault: Fault,
    inner: FollowStream,
    key: StageKey,
    from: u64,
    memory: Arc<Mutex<Memory>>,
) -> FollowStream {
    let stream = Broken {
        fault,
        inner,
        key,
        from,
        memory,
        queue: VecDeque::new(),
        last: Bytes::new(),
        lies: None,
        held: None,
        polled: false,
        given: false,
        ended: false,
        active: false,
    };
    Box::pin(stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((event, stream))
    }))
}

struct Broken {
    fault: Fault,
    inner: FollowStream,
    key: StageKey,
    from: u64,
    memory: Arc<Mutex<Memory>>,
    queue: VecDeque<FollowEvent>,
    last: Bytes,
    lies: Option<StageEnd>,
    held: Option<OutputFrame>,
    polled: bool,
    given: bool,
    ended: bool,
    active: bool,
}

impl Broken {
    async fn next(&mut self) -> Option<FollowEvent> {
        if !self.polled {
            self.polled = true;
            if let Some(event) = self.begin() {
                self.ended = true;
                return Some(event);
            }
        }
        while self.queue.is_empty() {
            if self.ended {
                return None;
            }
            let next = self.inner.next();
            let silence = self.fault == Fault::SilenceIsAnEnd && self.last == "before\n";
            let event = if silence {
                let patience = Duration::from_millis(300);
                tokio::time::timeout(patience, next)
                    .await
                    .unwrap_or(Some(FollowEvent::Ended(StageEnd::Exit(0))))
            } else {
                next.await
            };
            match event? {
                FollowEvent::Frame(frame) => self.frame(frame),
                FollowEvent::Ended(end) => self.end(end),
                other @ FollowEvent::Broken(_) => {
                    self.ended = true;
                    self.queue.push_back(other);
                }
            }
        }
        let event = self.queue.pop_front();
        self.given |= matches!(event, Some(FollowEvent::Frame(_)));
        event
    }

    /// An end before the beginning.
    fn begin(&mut self) -> Option<FollowEvent> {
        let mut memory = self.memory.lock().unwrap();
        let broken = |text: &str| Some(FollowEvent::Broken(EnvironmentError::new(Cause::System, text)));
        match self.fault {
            Fault::OneFollower => {
                self.active = memory.active.insert(self.key.clone());
                if self.active { None } else { broken("somebody reads already") }
            }
            Fault::EndIsToldOnce if self.from > 0 && memory.told.contains(&self.key) => {
                broken("the end was told")
            }
            _ => None,
        }
    }

    fn frame(&mut self, mut frame: OutputFrame) {
        self.last = frame.bytes.clone();
        let bytes = frame.bytes.clone();
        let mut memory = self.memory.lock().unwrap();
        match self.fault {
            Fault::StderrAsStdout => frame.stream = OutputStream::Stdout,
            Fault::LossyUtf8 => frame.bytes = String::from_utf8_lossy(&bytes).into_owned().into(),
            Fault::CutsLargeOutput if frame.end > CUT => return,
            Fault::DropsLateOutput if bytes.ends_with(b"late\n") => return,
            Fault::SlowReaderLosesEnd if bytes.ends_with(b"\0end\n") || &bytes[..] == b"end\n" => return,
            Fault::ReplayLosesAFrame
                if self.from == 0 && !self.given && memory.replays.contains(&self.key) =>
            {
                self.given = true;
                return;
            }
            Fault::LosesReadAhead | Fault::DroppedLook if memory.skip.remove(&self.key) => return,
            Fault::BelievesWhatIsPrinted
                if memchr::memmem::find(&bytes, b"\"command_exit_code\": 0").is_some() =>
            {
                self.lies = Some(StageEnd::Exit(0));
            }
            Fault::LineBuffered => {
                if let Some(held) = self.held.take() {
                    self.queue.push_back(FollowEvent::Frame(held));
                }
                if !bytes.ends_with(b"\n") {
                    self.held = Some(frame);
                    return;
                }
            }
            _ => {}
        }
        let end = frame.end;
        let (time, stream) = (frame.time, frame.stream);
        self.queue.push_back(FollowEvent::Frame(frame));
        if self.fault == Fault::EmptyFrame && self.from == 0 && !self.given {
            let empty = OutputFrame { offset: end, end, time, stream, bytes: Bytes::new() };
            self.queue.push_back(FollowEvent::Frame(empty));
        }
    }

    fn end(&mut self, end: StageEnd) {
        self.ended = true;
        let mut memory = self.memory.lock().unwrap();
        if let Some(held) = self.held.take() {
            self.queue.push_back(FollowEvent::Frame(held));
        }
        if self.fault == Fault::AddsNewline && !self.last.is_empty() && !self.last.ends_with(b"\n") {
            self.queue.push_back(FollowEvent::Frame(OutputFrame {
                offset: u64::MAX - 1,
                end: u64::MAX,
                time: std::time::SystemTime::now(),
                stream: OutputStream::Stdout,
                bytes: "\n".into(),
            }));
        }
        memory.told.insert(self.key.clone());
        if self.from == 0 {
            memory.replays.insert(self.key.clone());
        }
        let stopped = memory.stops.contains(&self.key);
        let end = broken_end(self.fault, self.lies.unwrap_or(end), stopped);
        self.queue.push_back(FollowEvent::Ended(end));
        if self.fault == Fault::EndsTwice {
            self.queue.push_back(FollowEvent::Ended(end));
        }
    }
}

/// What follows from a fault for an end.
pub(crate) fn broken_end(fault: Fault, end: StageEnd, stopped: bool) -> StageEnd {
    match (fault, end) {
        (Fault::SignedExitCode, StageEnd::Exit(255)) => StageEnd::Exit(-1),
        (Fault::SignalsAsShellCodes, StageEnd::Signal(signal)) => StageEnd::Exit(128 + signal),
        (Fault::StopIsASignal, StageEnd::Exit(1..)) if stopped => StageEnd::Signal(15),
        _ => end,
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        let mut memory = self.memory.lock().unwrap();
        if self.active {
            memory.active.remove(&self.key);
        }
        let loses = match self.fault {
            Fault::LosesReadAhead => self.given,
            Fault::DroppedLook => !self.given && self.polled,
            _ => false,
        };
        if loses && !self.ended {
            memory.skip.insert(self.key.clone());
        }
    }
}
