//! How statuses combine, and when a created job starts.

use runner_coordinator::pipeline::When;
use runner_coordinator::run::{Start, Status, StatusSet, start};

/// `!` after a status means that the failure is allowed: `failed!` is a warning, `manual!` is optional.
fn set(text: &str) -> StatusSet {
    let mut set = StatusSet::default();
    for word in text.split_whitespace() {
        let name = word.trim_end_matches('!');
        let found: Vec<Status> = ALL.into_iter().filter(|status| status.as_str() == name).collect();
        assert_eq!(found.len(), 1, "no status {name}");
        set.insert(found[0], word.ends_with('!'));
    }
    set
}

const ALL: [Status; 11] = [
    Status::Created,
    Status::WaitingForResource,
    Status::Pending,
    Status::Running,
    Status::Canceling,
    Status::Success,
    Status::Failed,
    Status::Canceled,
    Status::Skipped,
    Status::Manual,
    Status::Scheduled,
];

#[test]
fn combined_status() {
    for (jobs, expected) in [
        ("skipped", "skipped"),
        ("skipped manual!", "skipped"),
        ("success", "success"),
        ("success skipped failed! manual! canceled!", "success"),
        ("failed!", "success"),
        ("created", "created"),
        ("created failed! manual!", "created"),
        ("canceled", "canceled"),
        ("canceled success skipped failed!", "canceled"),
        ("canceled failed", "failed"),
        ("pending", "pending"),
        ("pending created skipped failed!", "pending"),
        ("created skipped", "pending"),
        ("pending success", "running"),
        ("running", "running"),
        ("running failed created manual", "running"),
        ("canceling canceled", "running"),
        ("waiting_for_resource created", "waiting_for_resource"),
        ("waiting_for_resource manual", "waiting_for_resource"),
        ("manual", "manual"),
        ("manual created", "manual"),
        ("manual failed success", "manual"),
        ("scheduled", "scheduled"),
        ("scheduled created failed", "scheduled"),
        ("manual scheduled", "manual"),
        ("success created", "running"),
        ("failed created", "running"),
        ("failed", "failed"),
        ("failed success skipped failed!", "failed"),
    ] {
        let combined = set(jobs).combined().map(Status::as_str);
        assert_eq!(combined, Some(expected), "{jobs}");
    }
    assert_eq!(StatusSet::default().combined(), None);
}

#[test]
fn combined_status_of_needs() {
    for (needs, expected) in [
        ("success skipped", "skipped"),
        ("running skipped", "skipped"),
        ("manual!", "skipped"),
        ("running manual!", "skipped"),
        ("manual", "pending"),
        ("success running", "pending"),
        ("created", "pending"),
        ("scheduled success", "pending"),
        ("success failed!", "success"),
        ("failed running", "pending"),
        ("failed success", "failed"),
        ("canceled success", "canceled"),
        ("canceled failed", "failed"),
    ] {
        let combined = set(needs).combined_needs().map(Status::as_str);
        assert_eq!(combined, Some(expected), "{needs}");
    }
    assert_eq!(StatusSet::default().combined_needs(), None);
}

#[test]
fn start_rules() {
    use Start::{Now, Skip, Wait};
    let complete = [Status::Success, Status::Skipped, Status::Failed, Status::Canceled];
    let table = [
        // when, by needs, after success, skipped, failed, canceled
        (When::OnSuccess, false, [Now, Now, Skip, Skip]),
        (When::OnSuccess, true, [Now, Skip, Skip, Skip]),
        (When::Manual, false, [Now, Now, Skip, Skip]),
        (When::Manual, true, [Now, Skip, Skip, Skip]),
        (When::Delayed, false, [Now, Now, Skip, Skip]),
        (When::Delayed, true, [Now, Skip, Skip, Skip]),
        (When::OnFailure, false, [Skip, Skip, Now, Skip]),
        (When::OnFailure, true, [Skip, Skip, Now, Skip]),
        (When::Always, false, [Now, Now, Now, Skip]),
        (When::Always, true, [Now, Now, Now, Skip]),
    ];
    for (when, by_needs, expected) in table {
        for (before, expected) in complete.into_iter().zip(expected) {
            assert_eq!(start(when, Some(before), by_needs), expected, "{when:?} after {before}, {by_needs}");
        }
        for before in ALL.into_iter().filter(|status| !status.is_complete()) {
            assert_eq!(start(when, Some(before), by_needs), Wait, "{when:?} after {before}");
        }
        let alone = if when == When::OnFailure { Skip } else { Now };
        assert_eq!(start(when, None, by_needs), alone, "{when:?} without predecessors");
    }
}
