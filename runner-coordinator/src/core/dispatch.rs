//! The way of a request: time, faults, counters, route, endpoint.

use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use secrecy::ExposeSecret;

use super::answer::{self, Answer, Cut, Held, Hold, Plain, Reply};
use super::artifacts::not_on_runner;
use super::coordinator::Coordinator;
use super::endpoint::{Endpoint, NoRoute, Route};
use super::fault::Plan;
use super::ids::JobId;
use super::oddity::{self, Oddity};
use super::params::{self, Params};
use super::record::{FaultRecord, RequestRecord};
use super::request_job::Outcome;
use super::runners::missing;

/// How many oddities are kept.
const ODDITIES: usize = 1000;

/// A request that has been routed, counted and checked for faults.
pub(super) enum Begun {
    Go { route: Route, plan: Box<Plan> },
    Refused(Box<Answer>),
}

impl Coordinator {
    /// Takes a request with its whole body and answers it.
    pub fn handle(&mut self, request: Request<Bytes>, now: SystemTime) -> Reply {
        let (parts, body) = request.into_parts();
        let (route, mut plan) = match self.begin(&parts, &body, now) {
            Begun::Go { route, plan } => (route, plan),
            Begun::Refused(answer) => return Reply::Ready(answer),
        };
        let delay = plan.take_delay_before();
        if !delay.is_zero() {
            let until = now.checked_add(delay).unwrap_or(now);
            let held = Held::Delayed { route, parts: Box::new(parts), body };
            return Reply::Hold(Hold { until, plan, held });
        }
        self.process(&route, &parts, &body, plan, now)
    }

    /// Asks again for a held request.
    pub fn resume(&mut self, hold: Hold, now: SystemTime) -> Reply {
        self.advance(now);
        if self.is_down() {
            return Reply::Ready(Box::new(refused()));
        }
        let Hold { until, plan, held } = hold;
        match held {
            Held::Poll { runner, poll } => match self.resume_poll(runner, &poll, until, now) {
                Some(plain) => Reply::Ready(Box::new(plan.finish(*plain))),
                None => Reply::Hold(Hold { until, plan, held: Held::Poll { runner, poll } }),
            },
            held @ Held::Delayed { .. } if now < until => Reply::Hold(Hold { until, plan, held }),
            Held::Delayed { route, parts, body } => self.process(&route, &parts, &body, plan, now),
        }
    }

    /// Answers a held request at once, because the transport is about to close: one that waits for work without work,
    /// one that a fault delays as if the time had come.
    pub fn release(&mut self, hold: Hold, now: SystemTime) -> Answer {
        let Hold { plan, held, .. } = hold;
        match held {
            Held::Poll { runner, poll } => {
                let plain = self
                    .resume_poll(runner, &poll, now, now)
                    .unwrap_or_else(|| answer::empty(StatusCode::NO_CONTENT));
                plan.finish(*plain)
            }
            Held::Delayed { route, parts, body } => match self.process(&route, &parts, &body, plan, now) {
                Reply::Ready(answer) => *answer,
                Reply::Hold(hold) => self.release(hold, now),
            },
        }
    }

    /// Whether a fault wants the body of this request to be left unread. A transport asks before it reads a body, and
    /// then hands the request over with an empty one; the answer is [`Cut::Stall`].
    pub fn leaves_unread(&mut self, parts: &Parts, now: SystemTime) -> bool {
        self.advance(now);
        Route::find(&self.options.root, &parts.method, parts.uri.path())
            .is_ok_and(|route| self.faults.leaves_unread(route.endpoint, route.job(), self.options.seed))
    }

    fn process(
        &mut self,
        route: &Route,
        parts: &Parts,
        body: &Bytes,
        plan: Box<Plan>,
        now: SystemTime,
    ) -> Reply {
        let mut plan = plan;
        if std::mem::take(&mut plan.twice) {
            // A job request that is held would be answered as such at the second time, too.
            let _ = self.process(route, parts, body, Box::default(), now);
        }
        let plain = match route.endpoint {
            Endpoint::RequestJob => match self.request_job(parts, body, now) {
                Outcome::Answer(plain) => plain,
                Outcome::Hold { runner, poll, until } => {
                    let held = Held::Poll { runner, poll };
                    return Reply::Hold(Hold { until, plan, held });
                }
            },
            endpoint if endpoint.is_of_job() => self.handle_job(route, parts, body, now),
            Endpoint::Storage => self.storage(&route.key, parts, now),
            _ => match Params::read(parts, body) {
                Ok(params) => self.handle_runner(route, parts, &params, now),
                Err(refusal) => refusal,
            },
        };
        Reply::Ready(Box::new(plan.finish(*plain)))
    }

    fn handle_runner(&mut self, route: &Route, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        match route.endpoint {
            Endpoint::Register => self.register(parts, params, now),
            Endpoint::Verify => self.verify(parts, params, now),
            Endpoint::Unregister => self.unregister(parts, params, now),
            Endpoint::UnregisterManager => self.unregister_manager(parts, params, now),
            Endpoint::ResetToken => self.reset_token(&route.key, parts, params, now),
            Endpoint::RouterDiscovery => self.router_discovery(parts, params, now),
            _ => answer::error(StatusCode::NOT_FOUND),
        }
    }

    fn handle_job(&mut self, route: &Route, parts: &Parts, body: &Bytes, now: SystemTime) -> Plain {
        let key = &route.key;
        match route.endpoint {
            Endpoint::UpdateJob => match Params::read(parts, body) {
                Ok(params) if params::token(parts, &params, params::JOB_TOKEN).is_none() => {
                    missing(&["token"])
                }
                Ok(params) => match self.authenticate_job(key, parts, &params) {
                    Ok(id) => self.update_job(id, &params, now),
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            },
            Endpoint::PatchTrace => match self.authenticate_job(key, parts, &Params::query(parts)) {
                Ok(id) => self.patch_trace(id, parts, body, now),
                Err(refusal) => refusal,
            },
            Endpoint::AuthorizeArtifact => self.authorize_upload(key, parts),
            Endpoint::UploadArtifact => self.upload(key, parts, body, now),
            _ => self.download(key, parts, now),
        }
    }

    /// The job that a request may speak for: 403 for an unknown id, a wrong token and an erased job; 403 with
    /// `Job-Status` for a job that is not on a runner.
    pub(super) fn authenticate_job(&self, key: &str, parts: &Parts, params: &Params) -> Result<JobId, Plain> {
        let forbidden = || answer::error(StatusCode::FORBIDDEN);
        let id = key.parse().map(JobId).map_err(|_| answer::bad_parameter("id is invalid"))?;
        let job = self.jobs.get(&id).ok_or_else(forbidden)?;
        let token = params::token(parts, params, params::JOB_TOKEN);
        if token != Some(job.token.expose_secret()) {
            return Err(forbidden());
        }
        if job.erased {
            return Err(answer::error_because(StatusCode::FORBIDDEN, "Job has been erased!"));
        }
        if !job.is_on_runner() {
            return Err(not_on_runner(job.state));
        }
        Ok(id)
    }

    /// First steps of every request: time, route, counters, faults.
    pub(super) fn begin(&mut self, parts: &Parts, body: &Bytes, now: SystemTime) -> Begun {
        self.advance(now);
        if self.is_down() {
            return Begun::Refused(Box::new(refused()));
        }
        let found = Route::find(&self.options.root, &parts.method, parts.uri.path());
        if self.options.record_requests {
            self.requests.push(RequestRecord {
                at: now,
                endpoint: found.as_ref().ok().map(|route| route.endpoint),
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                headers: parts.headers.clone(),
                body: body.clone(),
            });
        }
        let route = match found {
            Ok(route) => route,
            Err(no_route) => {
                let status = match no_route {
                    NoRoute::Unknown => StatusCode::NOT_FOUND,
                    NoRoute::Method => StatusCode::METHOD_NOT_ALLOWED,
                };
                let plain = answer::error(status);
                return Begun::Refused(Box::new(Plan::default().finish(*plain)));
            }
        };
        *self.counts.entry(route.endpoint).or_default() += 1;
        let job = route.job().filter(|_| route.endpoint.is_of_job());
        if let Some(record) = job.and_then(|job| self.jobs.get_mut(&job)) {
            *record.requests.entry(route.endpoint).or_default() += 1;
        }
        for what in oddity::find(route.endpoint, parts, body) {
            if self.oddities.len() < ODDITIES {
                self.oddities.push(Oddity { at: now, endpoint: route.endpoint, job, what });
            }
        }
        let mut plan = Box::new(self.faults.plan(route.endpoint, route.job(), self.options.seed));
        if self.options.record_faults {
            let (endpoint, job) = (route.endpoint, route.job());
            let done = plan.effects.iter().cloned();
            self.injected.extend(done.map(|effect| FaultRecord { at: now, endpoint, job, effect }));
        }
        if route.endpoint != Endpoint::Storage {
            plan.request_id = parts.headers.get("x-request-id").cloned();
        }
        if plan.forget > 0
            && let Some(job) = job
        {
            self.forget(job, plan.forget, now);
        }
        match plan.instead() {
            Some(plain) => Begun::Refused(Box::new(plan.finish(*plain))),
            None => Begun::Go { route, plan },
        }
    }
}

/// The answer of a server that is not there.
fn refused() -> Answer {
    let response = *answer::empty(StatusCode::SERVICE_UNAVAILABLE);
    Answer { response, delay: std::time::Duration::ZERO, cut: Some(Cut::Refused) }
}
