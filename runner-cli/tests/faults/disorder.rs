//! The faults of a run.
//!
//! They are such that the protocol promises to survive them. Where a number of tries is limited, so is the number of faults for
//! each job (`^`): an upload is tried three times, so one failure by a rule and one by a moment without a server leave a try;
//! repeated calls have five tries after an answer that invites to.

use fastrand::Rng;

use crate::params::Params;

/// How long a job may wait for its acknowledgement, in seconds.
pub(crate) fn acknowledge_within(params: &Params) -> u64 {
    if params.is_short() { 10 } else { 60 }
}

/// All rules, in the text form of [`runner_coordinator::fault`].
pub(crate) fn rules(params: &Params) -> Vec<String> {
    let mut rng = Rng::with_seed(params.seed ^ 0x00d1_50de);
    let mut rules: Vec<String> = Vec::new();
    let mut add =
        |endpoint: &str, list: &[&str]| rules.extend(list.iter().map(|rule| format!("{endpoint}:{rule}")));
    add("update_job", &UPDATES);
    add("patch_trace", &PATCHES);
    add("upload_artifact", &UPLOADS);
    add("download_artifact", &DOWNLOADS);
    add("request_job", &REQUESTS);
    // Which way an upload and a download break is drawn: only one way for each, see above.
    let lost = ["reset", "reset=after", "truncate=1", "409", "500,delay=300ms"];
    add("upload_artifact", &[&format!("~0.25&^1:{}", lost[rng.usize(..lost.len())])]);
    let lost = [
        "storage:~0.5&^1:truncate=3000",
        "download_artifact:~0.4&^1:truncate=500",
        "download_artifact:~0.4&^1:reset=after",
    ];
    rules.push(lost[rng.usize(..lost.len())].to_owned());
    // Assignments that nobody hears of: GitLab waits for their acknowledgement in vain.
    if params.is_short() {
        rules.extend(
            ["request_job:3:reset=after", "request_job:8:truncate=120", "request_job:14:twice"]
                .map(str::to_owned),
        );
        rules
            .extend(["job:@6s-8500ms:503", "*:@12s-12900ms:down", "patch_trace:30:stall"].map(str::to_owned));
        return rules;
    }
    rules.extend(
        ["request_job:~0.01:reset=after", "request_job:~0.005:truncate=120", "request_job:~0.004:twice"]
            .map(str::to_owned),
    );
    rules.extend(
        ["patch_trace:~0.002:stall", "patch_trace:~0.001:unread", "patch_trace:~0.001:stall=after"]
            .map(str::to_owned),
    );
    rules.extend(["update_job:~0.001&^1:stall", "update_job:~0.001&^1:stall=after"].map(str::to_owned));
    for window in 0..10_u64 {
        let (from, kind) = (20 + 40 * window + rng.u64(..5), window % 2);
        rules.push(match kind {
            0 => format!("*:@{from}s-{}ms:down", from * 1000 + 900),
            _ => format!("job:@{from}s-{}s:503", from + 3),
        });
    }
    rules
}

const REQUESTS: [&str; 9] = [
    "~0.03:reset",
    "~0.03:503",
    "~0.02:500",
    "~0.01:429,header=Retry-After=1",
    "~0.01:throttle=1s",
    "~0.01:409",
    "~0.01:422",
    "~0.01:403",
    "~0.05:delay=200ms",
];

const UPDATES: [&str; 12] = [
    "~0.08&^1:503",
    "~0.05&^1:500",
    "~0.03&^1:429,header=Retry-After=1",
    "~0.02&^1:throttle=1s",
    "~0.04&^1:400",
    "~0.04&^1:409",
    "~0.05&^1:412",
    "~0.06&^1:reset",
    "~0.10&^1:reset=after",
    "~0.03&^1:truncate=1",
    "~0.05&^1:twice",
    "~0.05:delay=200ms",
];

const PATCHES: [&str; 17] = [
    "~0.05&^3:503",
    "~0.03&^3:502",
    "~0.02&^2:429,header=Retry-After=1",
    "~0.01&^1:throttle=1s",
    "~0.02&^2:400",
    "~0.03&^2:404",
    "~0.03&^2:409",
    "~0.02&^2:413",
    "~0.03&^2:416",
    "~0.02&^2:416,header=Range=0-3",
    "~0.06&^3:forget=100",
    "~0.03&^2:forget=100000",
    "~0.06&^3:reset",
    "~0.06&^3:reset=after",
    "~0.03&^2:truncate=1",
    "~0.05&^2:twice",
    "~0.05:delay=100ms",
];

const UPLOADS: [&str; 6] = [
    "~0.2&^1:503",
    "~0.1&^1:500",
    "~0.1&^1:429,header=Retry-After=1",
    "~0.1&^1:twice",
    "~0.1&^1:307,header=Location=",
    "~0.2:delay=100ms",
];

const DOWNLOADS: [&str; 4] =
    ["~0.3&^1:503", "~0.1&^1:500", "~0.1&^1:429,header=Retry-After=1", "~0.2:delay=100ms"];
