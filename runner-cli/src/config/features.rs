//! Names of the official runner's feature flags, to find typing mistakes.
//!
//! Source: GitLab documentation, "GitLab Runner feature flags".

use super::check::closest;

const PREFIX: &str = "FF_";

/// Every flag of releases 15.1 to 19.4, without its prefix.
const FLAGS: [&str; 56] = [
    "CLEAN_UP_FAILED_CACHE_EXTRACT",
    "CMD_DISABLE_DELAYED_ERROR_LEVEL_EXPANSION",
    "CONCRETE",
    "DISABLE_AUTOMATIC_TOKEN_ROTATION",
    "DISABLE_POWERSHELL_STDIN",
    "DISABLE_UMASK_FOR_DOCKER_EXECUTOR",
    "DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR",
    "ENABLE_BASH_EXIT_CODE_CHECK",
    "ENABLE_JOB_CLEANUP",
    "ENABLE_JOB_INPUTS_INTERPOLATION",
    "EXPORT_HIGH_CARDINALITY_METRICS",
    "GIT_URLS_WITHOUT_TOKENS",
    "HASH_CACHE_KEYS",
    "KUBERNETES_HONOR_ENTRYPOINT",
    "LOG_IMAGES_CONFIGURED_FOR_JOB",
    "MASK_ALL_DEFAULT_TOKENS",
    "NETWORK_PER_BUILD",
    "POSIXLY_CORRECT_ESCAPES",
    "PRINT_POD_EVENTS",
    "RESOLVE_FULL_TLS_CHAIN",
    "SCRIPT_SECTIONS",
    "SCRIPT_TO_STEP_MIGRATION",
    "SECRET_RESOLVING_FAILS_IF_MISSING",
    "SKIP_NOOP_BUILD_STAGES",
    "SUSPENDABLE_ENVIRONMENTS",
    "TIMESTAMPS",
    "USE_ADAPTIVE_REQUEST_CONCURRENCY",
    "USE_ADVANCED_POD_SPEC_CONFIGURATION",
    "USE_DIRECT_DOWNLOAD",
    "USE_DOCKER_AUTOSCALER_DIAL_STDIO",
    "USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR",
    "USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL",
    "USE_EXPONENTIAL_BACKOFF_STAGE_RETRY",
    "USE_FASTZIP",
    "USE_FLEETING_ACQUIRE_HEARTBEATS",
    "USE_GITALY_CORRELATION_ID",
    "USE_GIT_BUNDLE_URIS",
    "USE_GIT_NATIVE_CLONE",
    "USE_GIT_PROACTIVE_AUTH",
    "USE_IMPROVED_URL_MASKING",
    "USE_INIT_WITH_DOCKER_EXECUTOR",
    "USE_JOB_ROUTER",
    "USE_LEGACY_BASH_EVAL",
    "USE_LEGACY_GCS_CACHE_ADAPTER",
    "USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY",
    "USE_LEGACY_S3_CACHE_ADAPTER",
    "USE_NATIVE_CONTAINER_STOP",
    "USE_NEW_BASH_EVAL_STRATEGY",
    "USE_NEW_SHELL_ESCAPE",
    "USE_PARALLEL_ARTIFACT_TRANSFER",
    "USE_PARALLEL_CACHE_TRANSFER",
    "USE_POD_ACTIVE_DEADLINE_SECONDS",
    "USE_POWERSHELL_PATH_RESOLVER",
    "USE_WINDOWS_JOB_OBJECT",
    "USE_WINDOWS_LEGACY_PROCESS_STRATEGY",
    "WAIT_FOR_POD_TO_BE_REACHABLE",
];

/// What to say about a flag that nobody knows; `None` for a known one.
pub(crate) fn unknown(name: &str) -> Option<String> {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name);
    if name.starts_with(PREFIX) && FLAGS.contains(&bare) {
        return None;
    }
    let hint = closest(bare, FLAGS).map(|flag| format!("; did you mean {PREFIX}{flag}?")).unwrap_or_default();
    Some(format!("unknown feature flag{hint}"))
}

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn typing_mistakes_are_found() {
        assert_eq!(unknown("FF_USE_FASTZIP"), None);
        assert_eq!(
            unknown("FF_USE_FASTZIPP").as_deref(),
            Some("unknown feature flag; did you mean FF_USE_FASTZIP?")
        );
        assert_eq!(
            unknown("USE_FASTZIP").as_deref(),
            Some("unknown feature flag; did you mean FF_USE_FASTZIP?")
        );
        assert_eq!(unknown("FF_SOMETHING_ELSE").as_deref(), Some("unknown feature flag"));
    }
}
