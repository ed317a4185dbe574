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

/// The table once more, as it is written down: the first row that fits counts. `only`: nothing else occurs; `any`: one of
/// them occurs.
const TABLE: [(&str, &str, &str); 11] = [
    ("only", "skipped ignored", "skipped"),
    ("only", "success skipped warning ignored", "success"),
    ("only", "created warning ignored", "created"),
    ("only", "canceled success skipped warning ignored", "canceled"),
    ("only", "pending created skipped warning ignored", "pending"),
    ("any", "running pending", "running"),
    ("any", "waiting_for_resource", "waiting_for_resource"),
    ("any", "manual", "manual"),
    ("any", "scheduled", "scheduled"),
    ("any", "created", "running"),
    ("only", "success failed canceled skipped warning ignored", "failed"),
];

/// What a job counts as, and a job that does: status, and whether its failure is allowed.
const KINDS: [(&str, Status, bool); 12] = [
    ("created", Status::Created, true),
    ("waiting_for_resource", Status::WaitingForResource, true),
    ("pending", Status::Pending, true),
    ("running", Status::Running, true),
    ("success", Status::Success, true),
    ("failed", Status::Failed, false),
    ("canceled", Status::Canceled, false),
    ("skipped", Status::Skipped, true),
    ("manual", Status::Manual, false),
    ("scheduled", Status::Scheduled, true),
    ("warning", Status::Failed, true),
    ("ignored", Status::Manual, true),
];

/// What jobs of these kinds are together.
pub(crate) fn by_the_table(kinds: &[&str]) -> &'static str {
    let fits = |(how, row, _): &&(&str, &str, &'static str)| {
        let mut row = row.split(' ');
        match *how {
            "only" => {
                let row: Vec<&str> = row.collect();
                kinds.iter().all(|kind| row.contains(kind))
            }
            _ => row.any(|kind| kinds.contains(&kind)),
        }
    };
    TABLE.iter().find(fits).map_or("no row fits", |(_, _, result)| *result)
}

/// What needs of these kinds are together.
pub(crate) fn needs_by_the_table(kinds: &[&str]) -> &'static str {
    let unfinished = kinds.iter().any(|kind| !["success", "failed", "canceled", "warning"].contains(kind));
    match () {
        () if kinds.contains(&"skipped") || kinds.contains(&"ignored") => "skipped",
        () if unfinished => "pending",
        () => by_the_table(kinds),
    }
}

#[test]
fn every_combination_is_as_in_the_table() {
    for bits in 1_u32..1 << KINDS.len() {
        let chosen: Vec<_> =
            (0..KINDS.len()).filter(|bit| bits & (1 << bit) != 0).map(|bit| KINDS[bit]).collect();
        let kinds: Vec<&str> = chosen.iter().map(|(kind, ..)| *kind).collect();
        let mut set = StatusSet::default();
        for (_, status, allow_failure) in &chosen {
            set.insert(*status, *allow_failure);
        }
        assert_eq!(set.combined().map(Status::as_str), Some(by_the_table(&kinds)), "{kinds:?}");

        let of_needs = set.combined_needs().map(Status::as_str);
        assert_eq!(of_needs, Some(needs_by_the_table(&kinds)), "needs: {kinds:?}");
        assert_eq!(set.has_failure(), kinds.contains(&"failed"));
        assert_eq!(set.has_warning(), kinds.contains(&"warning"));
    }
    // What is not in the table: being stopped counts as running, and an allowed cancel as a warning.
    let single = |status, allowed| {
        let mut set = StatusSet::default();
        set.insert(status, allowed);
        set
    };
    assert_eq!(single(Status::Canceling, false), single(Status::Running, false));
    assert_eq!(single(Status::Canceled, true), single(Status::Failed, true));
}
