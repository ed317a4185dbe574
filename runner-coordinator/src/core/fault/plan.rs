//! What the rules make of each call.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::rule::{Effect, Fault};
use crate::core::answer::{self, Answer, Cut, Payload, Plain};
use crate::core::endpoint::Endpoint;
use crate::core::ids::{JobId, mix};

/// All rules with what they have counted.
#[derive(Debug, Default)]
pub(in crate::core) struct Faults {
    rules: Vec<Rule>,
    /// From when windows count.
    start: Option<SystemTime>,
    /// The last time that was told of.
    now: Option<SystemTime>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    /// Calls that it saw.
    seen: u64,
    /// How often it acted on calls of each job, where that is limited.
    acted: BTreeMap<JobId, u32>,
}

impl Faults {
    pub(in crate::core) fn add(&mut self, fault: Fault) {
        self.rules.push(Rule { fault, seen: 0, acted: BTreeMap::new() });
    }

    pub(in crate::core) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Time passes.
    pub(in crate::core) fn advance(&mut self, now: SystemTime) {
        self.start.get_or_insert(now);
        self.now = Some(now);
    }

    /// Whether a rule says that nothing listens.
    pub(in crate::core) fn is_down(&self) -> bool {
        self.rules.iter().any(|rule| rule.fault.has(&Effect::Down) && self.is_open(&rule.fault))
    }

    /// When listening ends or begins next.
    pub(in crate::core) fn next_turn(&self) -> Option<SystemTime> {
        let (start, now) = (self.start?, self.now?);
        self.rules
            .iter()
            .filter(|rule| rule.fault.has(&Effect::Down))
            .filter_map(|rule| rule.fault.window)
            .flat_map(|window| [Some(window.from), window.until])
            .filter_map(|edge| start.checked_add(edge?))
            .filter(|edge| *edge > now)
            .min()
    }

    /// Whether the body of the next call of this endpoint for this job is to be left unread. Counts nothing.
    pub(in crate::core) fn leaves_unread(&self, endpoint: Endpoint, job: Option<JobId>, seed: u64) -> bool {
        self.rules.iter().enumerate().any(|(place, rule)| {
            rule.fault.has(&Effect::Unread)
                && rule.fault.sees(endpoint)
                && self.is_open(&rule.fault)
                && rule.acts(place, rule.seen + 1, job, seed)
        })
    }

    /// Counts a call, which may concern a job, and collects what happens to it.
    pub(in crate::core) fn plan(&mut self, endpoint: Endpoint, job: Option<JobId>, seed: u64) -> Plan {
        let mut plan = Plan { now: self.now, ..Plan::default() };
        let open: Vec<bool> = self.rules.iter().map(|rule| self.is_open(&rule.fault)).collect();
        for ((place, rule), open) in self.rules.iter_mut().enumerate().zip(open) {
            if !open || !rule.fault.sees(endpoint) {
                continue;
            }
            rule.seen += 1;
            if rule.acts(place, rule.seen, job, seed) {
                if let Some(job) = job.filter(|_| rule.fault.per_job.is_some()) {
                    *rule.acted.entry(job).or_default() += 1;
                }
                for effect in &rule.fault.effects {
                    plan.add(effect);
                }
            }
        }
        plan
    }

    fn is_open(&self, fault: &Fault) -> bool {
        let Some(window) = fault.window else { return true };
        let (Some(start), Some(now)) = (self.start, self.now) else { return false };
        window.contains(now.duration_since(start).unwrap_or_default())
    }
}

impl Rule {
    /// Whether it acts at its call of this number.
    fn acts(&self, place: usize, number: u64, job: Option<JobId>, seed: u64) -> bool {
        let drawn = || mix(mix(seed, place as u64), number);
        let acted = || job.and_then(|job| self.acted.get(&job)).copied().unwrap_or_default();
        self.fault.calls.include(number)
            && self.fault.chance.is_none_or(|chance| chance.hits(drawn()))
            && self.fault.per_job.is_none_or(|times| acted() < times.get())
    }
}

/// What happens to one call.
#[derive(Debug, Default)]
pub(in crate::core) struct Plan {
    now: Option<SystemTime>,
    instead: Option<Instead>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    delay_before: Duration,
    delay: Duration,
    /// How the connection ends without processing.
    lost_before: Option<Cut>,
    /// How the connection ends after processing.
    lost_after: Option<Cut>,
    pub(in crate::core) forget: u64,
    /// Whether the request is processed twice.
    pub(in crate::core) twice: bool,
    /// Everything that happens to the call.
    pub(in crate::core) effects: Vec<Effect>,
    /// `X-Request-Id` of the request, which GitLab sends back.
    pub(in crate::core) request_id: Option<HeaderValue>,
}

#[derive(Debug)]
enum Instead {
    Status(StatusCode),
    Throttle(Duration),
}

impl Plan {
    fn add(&mut self, effect: &Effect) {
        self.effects.push(effect.clone());
        match effect {
            Effect::Status(status) => {
                self.instead.get_or_insert(Instead::Status(*status));
            }
            Effect::Throttle(patience) => {
                self.instead.get_or_insert(Instead::Throttle(*patience));
            }
            Effect::Header(name, value) => self.headers.push((name.clone(), value.clone())),
            Effect::Body(body) => self.body = Some(body.clone()),
            Effect::DelayBefore(delay) => self.delay_before += *delay,
            Effect::Delay(delay) => self.delay += *delay,
            Effect::ResetBefore => lose(&mut self.lost_before, Cut::NoAnswer),
            Effect::StallBefore | Effect::Unread => lose(&mut self.lost_before, Cut::Stall),
            Effect::ResetAfter => lose(&mut self.lost_after, Cut::NoAnswer),
            Effect::StallAfter => lose(&mut self.lost_after, Cut::Stall),
            Effect::Truncate(length) => lose(&mut self.lost_after, Cut::Body(*length)),
            Effect::StallBody(length) => lose(&mut self.lost_after, Cut::StallBody(*length)),
            Effect::Forget(length) => self.forget += length,
            Effect::Twice => self.twice = true,
            // Looked at when connections are accepted.
            Effect::Down => {}
        }
    }

    /// How long the request waits before it is processed. Counts once.
    pub(in crate::core) fn take_delay_before(&mut self) -> Duration {
        std::mem::take(&mut self.delay_before)
    }

    /// The answer of a request that is not processed.
    pub(in crate::core) fn instead(&self) -> Option<Plain> {
        if self.lost_before.is_some() {
            return Some(answer::empty(StatusCode::INTERNAL_SERVER_ERROR));
        }
        match self.instead.as_ref()? {
            Instead::Status(status) if *status == StatusCode::NO_CONTENT || status.is_redirection() => {
                Some(answer::empty(*status))
            }
            Instead::Status(status) => Some(answer::error(*status)),
            Instead::Throttle(patience) => {
                Some(throttled(*patience, self.now.unwrap_or(SystemTime::UNIX_EPOCH)))
            }
        }
    }

    /// Puts the rest of the plan on an answer.
    pub(in crate::core) fn finish(self, mut response: Response<Payload>) -> Answer {
        let request_id = self.request_id.map(|id| (HeaderName::from_static("x-request-id"), id));
        for (name, value) in request_id.into_iter().chain(self.headers) {
            response.headers_mut().insert(name, value);
        }
        if let Some(body) = self.body {
            *response.body_mut() = Payload::Bytes(body);
        }
        let delay = self.delay_before + self.delay;
        Answer { response, delay, cut: self.lost_before.or(self.lost_after) }
    }
}

/// Of two ways to lose the connection the first counts.
fn lose(way: &mut Option<Cut>, cut: Cut) {
    way.get_or_insert(cut);
}

/// The answer of GitLab's request throttle, which sits before the API and does not speak JSON.
/// <https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers>
fn throttled(patience: Duration, now: SystemTime) -> Plain {
    const LIMIT: u64 = 2000;
    let body = Bytes::from_static(b"Retry later\n");
    let mut answer = answer::with_type(StatusCode::TOO_MANY_REQUESTS, "text/plain", body);
    let reset = now.checked_add(patience).unwrap_or(now);
    let reset_unix = reset.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    for (name, value) in [
        ("ratelimit-limit", LIMIT.to_string()),
        ("ratelimit-name", "throttle_unauthenticated_api".to_owned()),
        ("ratelimit-observed", (LIMIT + 1).to_string()),
        ("ratelimit-remaining", "0".to_owned()),
        ("ratelimit-reset", reset_unix.to_string()),
        ("ratelimit-resettime", answer::http_date(reset)),
        (header::RETRY_AFTER.as_str(), patience.as_secs().to_string()),
    ] {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 7;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn faults(rules: &[&str]) -> Faults {
        let mut faults = Faults::default();
        faults.advance(at(0));
        for rule in rules {
            faults.add(rule.parse().unwrap());
        }
        faults
    }

    fn acting_calls(rule: &str, calls: u64) -> Vec<u64> {
        let mut faults = faults(&[rule]);
        (1..=calls).filter(|_| faults.plan(Endpoint::PatchTrace, None, SEED).instead().is_some()).collect()
    }

    #[test]
    fn call_selectors() {
        assert_eq!(acting_calls("patch_trace:2:503", 5), [2]);
        assert_eq!(acting_calls("patch_trace:2-3:503", 5), [2, 3]);
        assert_eq!(acting_calls("patch_trace:4-:503", 5), [4, 5]);
        assert_eq!(acting_calls("patch_trace:%2:503", 5), [2, 4]);
        assert_eq!(acting_calls("job:*:503", 2), [1, 2]);
        assert_eq!(acting_calls("*:1:reset", 2), [1]);
        assert_eq!(acting_calls("update_job:*:503", 5), [] as [u64; 0]);
    }

    #[test]
    fn a_chance_is_drawn_from_the_seed() {
        let first = acting_calls("*:~0.25:503", 4000);
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        assert_eq!(acting_calls("*:~0.25:503", 4000), first);
        assert_eq!(acting_calls("*:~0:503", 100), [] as [u64; 0]);
        assert_eq!(acting_calls("*:~1:503", 100).len(), 100);
        let mut other = faults(&["*:~0.25:503"]);
        let other: Vec<u64> = (1..=4000)
            .filter(|_| other.plan(Endpoint::PatchTrace, None, SEED + 1).instead().is_some())
            .collect();
        assert_ne!(other, first);
        // The same chance at another place draws other calls.
        let mut two = faults(&["*:~0.25:503", "*:~0.25:header=x=y"]);
        let together = (0..4000).filter(|_| {
            let plan = two.plan(Endpoint::PatchTrace, None, SEED);
            plan.instead().is_some() && !plan.headers.is_empty()
        });
        assert!((150..350).contains(&together.count()));
    }

    #[test]
    fn a_chance_is_drawn_among_the_selected_calls() {
        let acting = acting_calls("*:%2&~0.5:503", 1000);
        assert!(acting.iter().all(|call| call % 2 == 0) && (200..300).contains(&acting.len()));
    }

    #[test]
    fn a_rule_may_be_limited_for_each_job() {
        let mut faults = faults(&["patch_trace:^2:503"]);
        let mut acts_on =
            |job: Option<u64>| faults.plan(Endpoint::PatchTrace, job.map(JobId), SEED).instead().is_some();
        assert_eq!([1, 2, 1, 1, 2, 2].map(Some).map(&mut acts_on), [true, true, true, false, true, false]);
        assert_eq!([None; 4].map(&mut acts_on), [true; 4]);
    }

    #[test]
    fn a_window_opens_and_closes() {
        let mut faults = faults(&["*:@10s-20s:503"]);
        let mut acts_at = |seconds| {
            faults.advance(at(seconds));
            faults.plan(Endpoint::PatchTrace, None, SEED).instead().is_some()
        };
        assert_eq!([0, 9, 10, 19, 20].map(&mut acts_at), [false, false, true, true, false]);
    }

    #[test]
    fn calls_are_counted_within_the_window() {
        let mut faults = faults(&["*:2&@10s-:503"]);
        let mut acts_at = |seconds| {
            faults.advance(at(seconds));
            faults.plan(Endpoint::PatchTrace, None, SEED).instead().is_some()
        };
        assert_eq!([0, 1, 10, 11, 12].map(&mut acts_at), [false, false, false, true, false]);
    }

    #[test]
    fn listening_ends_and_begins() {
        let mut faults = faults(&["*:@10s-18s:down", "patch_trace:@2s-:503"]);
        assert_eq!((faults.is_down(), faults.next_turn()), (false, Some(at(10))));
        faults.advance(at(10));
        assert_eq!((faults.is_down(), faults.next_turn()), (true, Some(at(18))));
        faults.advance(at(18));
        assert_eq!((faults.is_down(), faults.next_turn()), (false, None));
    }

    #[test]
    fn effects_of_several_rules_add_up() {
        let mut faults = faults(&[
            "job:*:delay=1s,forget=2",
            "patch_trace:1:503,delay=2s,delay-before=4s,forget=3",
            "patch_trace:1:500,header=x=y",
        ]);
        let plan = faults.plan(Endpoint::PatchTrace, None, SEED);
        assert_eq!(plan.forget, 5);
        let instead = plan.instead().unwrap();
        let answer = plan.finish(*instead);
        assert_eq!(answer.response.status(), 503);
        assert_eq!(answer.response.headers()["x"], "y");
        assert_eq!(answer.delay, Duration::from_secs(7));
        assert_eq!(answer.cut, None);
    }

    #[test]
    fn of_two_losses_the_first_counts() {
        for (rules, cut, processed) in [
            (["*:1:truncate=5", "*:1:reset=after"], Cut::Body(5), true),
            (["*:1:stall=after", "*:1:truncate=5"], Cut::Stall, true),
            (["*:1:stall=9", "*:1:reset"], Cut::NoAnswer, false),
            (["*:1:unread", "*:1:reset"], Cut::Stall, false),
        ] {
            let plan = faults(&rules).plan(Endpoint::PatchTrace, None, SEED);
            assert_eq!(plan.instead().is_none(), processed, "{rules:?}");
            assert_eq!(plan.finish(*answer::empty(StatusCode::OK)).cut, Some(cut), "{rules:?}");
        }
    }

    #[test]
    fn unread_bodies_are_known_before() {
        let mut faults = faults(&["upload_artifact:2:unread"]);
        for unread in [false, true, false] {
            assert_eq!(faults.leaves_unread(Endpoint::UploadArtifact, None, SEED), unread);
            assert!(!faults.leaves_unread(Endpoint::PatchTrace, None, SEED));
            let plan = faults.plan(Endpoint::UploadArtifact, None, SEED);
            assert_eq!(plan.instead().is_some(), unread);
        }
    }

    #[test]
    fn the_throttle_speaks_as_gitlabs_does() {
        let mut faults = faults(&["*:1:throttle=7s"]);
        let plan = faults.plan(Endpoint::RequestJob, None, SEED);
        let answer = plan.instead().unwrap();
        assert_eq!(answer.status(), 429);
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert_eq!(header("content-type"), "text/plain");
        assert_eq!(header("retry-after"), "7");
        assert_eq!(header("ratelimit-reset"), "1700000007");
        assert_eq!(header("ratelimit-resettime"), "Tue, 14 Nov 2023 22:13:27 GMT");
    }
}
