//! Whether a failed job is tried again.

use crate::pipeline::Retry;

/// Failures of GitLab's own scheduler are tried again this often without being asked for.
const SCHEDULER_RETRIES: usize = 2;
/// Failures that another try would only repeat.
const NEVER: [&str; 5] = [
    "ci_quota_exceeded",
    "no_matching_runner",
    "missing_dependency_failure",
    "forward_deployment_failure",
    "environment_creation_failure",
];

/// Decides by the job's `retry`, why it failed, and how often it has been tried already (at least once).
///
/// <https://docs.gitlab.com/ci/yaml/#retry>
pub(super) fn is_retried(retry: &Retry, reason: &str, exit_code: Option<i64>, tries: usize) -> bool {
    if NEVER.contains(&reason) {
        return false;
    }
    let matches = (retry.when.is_empty() && retry.exit_codes.is_empty())
        || retry.when.iter().any(|when| when == "always" || when == reason)
        || retry.exit_codes.iter().any(|code| Some(i64::from(*code)) == exit_code);
    let most = match (usize::from(retry.max), reason) {
        (most, _) if most > 0 && matches => most,
        (_, "scheduler_failure") => SCHEDULER_RETRIES,
        _ => 0,
    };
    tries.saturating_sub(1) < most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(max: u8, when: &[&str], exit_codes: &[i32]) -> Retry {
        Retry {
            max,
            when: when.iter().map(|when| (*when).to_owned()).collect(),
            exit_codes: exit_codes.to_vec(),
        }
    }

    #[test]
    fn decisions() {
        let script = |retry: &Retry, code, tries| is_retried(retry, "script_failure", Some(code), tries);
        assert!(!script(&retry(0, &[], &[]), 1, 1));
        assert!(script(&retry(2, &[], &[]), 1, 2));
        assert!(!script(&retry(2, &[], &[]), 1, 3));
        assert!(script(&retry(1, &["always"], &[]), 1, 1));
        assert!(script(&retry(1, &["script_failure"], &[]), 1, 1));
        assert!(!script(&retry(1, &["runner_system_failure"], &[]), 1, 1));
        // Exit codes alone do not mean "always"; with reasons either is enough.
        assert!(script(&retry(1, &[], &[137]), 137, 1));
        assert!(!script(&retry(1, &[], &[137]), 1, 1));
        assert!(script(&retry(1, &["runner_system_failure"], &[137]), 137, 1));
        assert!(is_retried(&retry(1, &["runner_system_failure"], &[137]), "runner_system_failure", None, 1));
    }

    #[test]
    fn reasons_with_a_rule_of_their_own() {
        assert!(is_retried(&Retry::default(), "scheduler_failure", None, 2));
        assert!(!is_retried(&Retry::default(), "scheduler_failure", None, 3));
        // A `retry` that speaks of other reasons leaves this one as it is.
        assert!(is_retried(&retry(1, &["script_failure"], &[]), "scheduler_failure", None, 2));
        assert!(!is_retried(&retry(1, &["scheduler_failure"], &[]), "scheduler_failure", None, 2));
        for reason in NEVER {
            assert!(!is_retried(&retry(2, &["always"], &[]), reason, None, 1), "{reason}");
        }
    }
}
