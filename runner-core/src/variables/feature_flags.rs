//! Feature flags: which exist, what they default to, which this runner honours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::parse;

/// A feature flag of GitLab's runner.
///
/// Source: GitLab documentation, "GitLab Runner feature flags".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureFlag {
    /// Name, beginning with `FF_`.
    pub name: &'static str,
    /// Value when nobody sets it.
    pub default: bool,
    /// What this runner makes of it.
    pub support: Support,
}

/// What this runner makes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Both values do what the documentation says, or the difference has no meaning here.
    Honoured,
    /// Only the default exists; a job or configuration that asks for the other value is told so.
    DefaultOnly,
}

macro_rules! flags {
    ($($(#[$meta:meta])* $constant:ident = $name:literal, $default:literal, $support:ident;)+) => {
        /// Names of the flags, for [`FeatureFlags::is_on`].
        pub mod names {
            $($(#[$meta])* pub const $constant: &str = $name;)+
        }

        /// All known flags.
        pub const FEATURE_FLAGS: &[FeatureFlag] = &[
            $(FeatureFlag { name: $name, default: $default, support: Support::$support },)+
        ];
    };
}

flags! {
    /// No effect; exists for tests.
    TEST_FEATURE = "FF_TEST_FEATURE", false, Honoured;
    /// Docker: a network per job.
    NETWORK_PER_BUILD = "FF_NETWORK_PER_BUILD", false, DefaultOnly;
    /// Kubernetes: run scripts through the exec API.
    USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY = "FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false, DefaultOnly;
    /// Artifacts: ask for a redirect to object storage. Read by the helper.
    USE_DIRECT_DOWNLOAD = "FF_USE_DIRECT_DOWNLOAD", true, Honoured;
    /// Parallel zip.
    USE_FASTZIP = "FF_USE_FASTZIP", true, DefaultOnly;
    /// Docker: no `umask 0000` in the helper.
    DISABLE_UMASK_FOR_DOCKER_EXECUTOR = "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", false, DefaultOnly;
    /// An explicit check of the exit code after each command.
    ENABLE_BASH_EXIT_CODE_CHECK = "FF_ENABLE_BASH_EXIT_CODE_CHECK", false, Honoured;
    /// Windows only.
    USE_WINDOWS_LEGACY_PROCESS_STRATEGY = "FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY", false, DefaultOnly;
    /// The body of a script is piped into, instead of given, an empty input.
    USE_LEGACY_BASH_EVAL = "FF_USE_LEGACY_BASH_EVAL", false, Honoured;
    /// PowerShell only.
    USE_POWERSHELL_PATH_RESOLVER = "FF_USE_POWERSHELL_PATH_RESOLVER", false, DefaultOnly;
    /// Scale the forced log update with the update interval.
    USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL = "FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false, DefaultOnly;
    /// Fold the text of commands with several lines.
    SCRIPT_SECTIONS = "FF_SCRIPT_SECTIONS", false, Honoured;
    /// Clean or delete the project's folder at the end.
    ENABLE_JOB_CLEANUP = "FF_ENABLE_JOB_CLEANUP", false, Honoured;
    /// Kubernetes: keep the image's entrypoint.
    KUBERNETES_HONOR_ENTRYPOINT = "FF_KUBERNETES_HONOR_ENTRYPOINT", false, DefaultOnly;
    /// Quoting that every POSIX shell understands: ours always is.
    POSIXLY_CORRECT_ESCAPES = "FF_POSIXLY_CORRECT_ESCAPES", false, Honoured;
    /// The CA file holds the chain up to the self-signed root.
    RESOLVE_FULL_TLS_CHAIN = "FF_RESOLVE_FULL_TLS_CHAIN", false, DefaultOnly;
    /// PowerShell only.
    DISABLE_POWERSHELL_STDIN = "FF_DISABLE_POWERSHELL_STDIN", false, DefaultOnly;
    /// Kubernetes: the pod's deadline is the job's timeout.
    USE_POD_ACTIVE_DEADLINE_SECONDS = "FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true, DefaultOnly;
    /// Kubernetes: allow patches of the pod in the configuration.
    USE_ADVANCED_POD_SPEC_CONFIGURATION = "FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false, DefaultOnly;
    /// A missing external secret fails the job.
    SECRET_RESOLVING_FAILS_IF_MISSING = "FF_SECRET_RESOLVING_FAILS_IF_MISSING", true, DefaultOnly;
    /// Kubernetes: print the pod's events until it starts.
    PRINT_POD_EVENTS = "FF_PRINT_POD_EVENTS", false, DefaultOnly;
    /// Let git use bundle URIs.
    USE_GIT_BUNDLE_URIS = "FF_USE_GIT_BUNDLE_URIS", true, Honoured;
    /// Strategy `clone` runs `git clone` where git is new enough.
    USE_GIT_NATIVE_CLONE = "FF_USE_GIT_NATIVE_CLONE", false, Honoured;
    /// Kubernetes: run containers under dumb-init.
    USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR = "FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR", false, DefaultOnly;
    /// Docker: `--init`.
    USE_INIT_WITH_DOCKER_EXECUTOR = "FF_USE_INIT_WITH_DOCKER_EXECUTOR", false, DefaultOnly;
    /// Image names in the runner's own log.
    LOG_IMAGES_CONFIGURED_FOR_JOB = "FF_LOG_IMAGES_CONFIGURED_FOR_JOB", false, DefaultOnly;
    /// Docker autoscaler only.
    USE_DOCKER_AUTOSCALER_DIAL_STDIO = "FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO", true, DefaultOnly;
    /// Delete a cache's paths after a failed extraction.
    CLEAN_UP_FAILED_CACHE_EXTRACT = "FF_CLEAN_UP_FAILED_CACHE_EXTRACT", false, Honoured;
    /// Windows only.
    USE_WINDOWS_JOB_OBJECT = "FF_USE_WINDOWS_JOB_OBJECT", false, DefaultOnly;
    /// Lines of the log begin with time and stream. Read by the log path.
    TIMESTAMPS = "FF_TIMESTAMPS", true, Honoured;
    /// Do not rotate the runner's token.
    DISABLE_AUTOMATIC_TOKEN_ROTATION = "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION", false, DefaultOnly;
    /// Older signing of GCS URLs.
    USE_LEGACY_GCS_CACHE_ADAPTER = "FF_USE_LEGACY_GCS_CACHE_ADAPTER", false, DefaultOnly;
    /// Kubernetes: no `umask 0000` in the helper.
    DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR = "FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR", false, DefaultOnly;
    /// Older signing of S3 URLs.
    USE_LEGACY_S3_CACHE_ADAPTER = "FF_USE_LEGACY_S3_CACHE_ADAPTER", false, DefaultOnly;
    /// Git gets the job token from a credential helper, never from a URL.
    GIT_URLS_WITHOUT_TOKENS = "FF_GIT_URLS_WITHOUT_TOKENS", false, Honoured;
    /// Kubernetes: wait until attaching works.
    WAIT_FOR_POD_TO_BE_REACHABLE = "FF_WAIT_FOR_POD_TO_BE_REACHABLE", false, DefaultOnly;
    /// Mask what begins with a known prefix of GitLab's tokens. Read by the log path.
    MASK_ALL_DEFAULT_TOKENS = "FF_MASK_ALL_DEFAULT_TOKENS", true, Honoured;
    /// More labels on metrics.
    EXPORT_HIGH_CARDINALITY_METRICS = "FF_EXPORT_HIGH_CARDINALITY_METRICS", false, DefaultOnly;
    /// Autoscaling executors only.
    USE_FLEETING_ACQUIRE_HEARTBEATS = "FF_USE_FLEETING_ACQUIRE_HEARTBEATS", false, DefaultOnly;
    /// Pauses between tries of a stage: 5 s to 5 min, growing; else 1 s to 5 s. Read by the run.
    USE_EXPONENTIAL_BACKOFF_STAGE_RETRY = "FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", true, Honoured;
    /// Adaptive concurrency of job requests.
    USE_ADAPTIVE_REQUEST_CONCURRENCY = "FF_USE_ADAPTIVE_REQUEST_CONCURRENCY", true, DefaultOnly;
    /// Send the correlation id of the job request with git's HTTP requests.
    USE_GITALY_CORRELATION_ID = "FF_USE_GITALY_CORRELATION_ID", true, Honoured;
    /// Git authenticates before it is asked to.
    USE_GIT_PROACTIVE_AUTH = "FF_USE_GIT_PROACTIVE_AUTH", false, Honoured;
    /// Cache keys become SHA-256 sums in paths.
    HASH_CACHE_KEYS = "FF_HASH_CACHE_KEYS", false, Honoured;
    /// Expand job inputs in the payload.
    ENABLE_JOB_INPUTS_INTERPOLATION = "FF_ENABLE_JOB_INPUTS_INTERPOLATION", true, DefaultOnly;
    /// Get jobs through the job router.
    USE_JOB_ROUTER = "FF_USE_JOB_ROUTER", false, DefaultOnly;
    /// Run scripts through the step runner.
    SCRIPT_TO_STEP_MIGRATION = "FF_SCRIPT_TO_STEP_MIGRATION", false, DefaultOnly;
    /// Transfer caches in parallel ranges.
    USE_PARALLEL_CACHE_TRANSFER = "FF_USE_PARALLEL_CACHE_TRANSFER", false, DefaultOnly;
    /// Download artifacts in parallel ranges.
    USE_PARALLEL_ARTIFACT_TRANSFER = "FF_USE_PARALLEL_ARTIFACT_TRANSFER", false, Honoured;
    /// The whole job as one function of the step runner.
    CONCRETE = "FF_CONCRETE", false, DefaultOnly;
    /// Suspend and resume environments.
    SUSPENDABLE_ENVIRONMENTS = "FF_SUSPENDABLE_ENVIRONMENTS", false, DefaultOnly;
    /// On cancel, only the container engine's own stop.
    USE_NATIVE_CONTAINER_STOP = "FF_USE_NATIVE_CONTAINER_STOP", false, DefaultOnly;
}

/// The flags of one job, resolved: configuration first, then the job's variables, then the default.
///
/// ```
/// use std::collections::BTreeMap;
/// use runner_core::variables::{FeatureFlags, flags};
///
/// let fixed = BTreeMap::from([("FF_SCRIPT_SECTIONS".to_owned(), true)]);
/// let resolved = FeatureFlags::resolve(&fixed, |name| (name == flags::TIMESTAMPS).then(|| "nope".to_owned()));
/// assert!(resolved.is_on(flags::SCRIPT_SECTIONS));
/// assert!(resolved.is_on(flags::TIMESTAMPS));
/// assert_eq!(resolved.warnings(), ["FF_TIMESTAMPS: could not parse feature flag, expected bool, got nope"]);
/// assert_eq!(resolved.changed(), [("FF_SCRIPT_SECTIONS", true)]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureFlags {
    values: BTreeMap<String, bool>,
    warnings: Vec<String>,
}

impl FeatureFlags {
    /// Resolves every known flag. `variable` looks a flag up among the job's variables and the runner's `environment`.
    pub fn resolve(
        configuration: &BTreeMap<String, bool>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut resolved = Self::default();
        for flag in FEATURE_FLAGS {
            let value = configuration.get(flag.name).copied().or_else(|| {
                let text = variable(flag.name)?;
                let value = parse::boolean(&text);
                if value.is_none() {
                    resolved.warnings.push(format!(
                        "{}: could not parse feature flag, expected bool, got {text}",
                        flag.name
                    ));
                }
                value
            });
            let value = value.unwrap_or(flag.default);
            if value != flag.default && flag.support == Support::DefaultOnly {
                resolved.warnings.push(format!("{}: {value} is not supported by this runner", flag.name));
            }
            resolved.values.insert(flag.name.to_owned(), value);
        }
        for name in configuration.keys().filter(|name| !is_known(name)) {
            resolved.warnings.push(format!("{name}: unknown feature flag in the runner's configuration"));
        }
        resolved
    }

    /// Whether a flag is on. A name that is not known is off.
    pub fn is_on(&self, name: &str) -> bool {
        self.values.get(name).copied().unwrap_or(false)
    }

    /// All known flags in the order of their table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        FEATURE_FLAGS.iter().map(|flag| (flag.name, self.is_on(flag.name)))
    }

    /// The flags that differ from their default, for the head of the job's log.
    pub fn changed(&self) -> Vec<(&'static str, bool)> {
        FEATURE_FLAGS
            .iter()
            .filter_map(|flag| self.values.get(flag.name).map(|value| (flag, *value)))
            .filter(|(flag, value)| flag.default != *value)
            .map(|(flag, value)| (flag.name, value))
            .collect()
    }

    /// What the job's log should say about flags: texts that are no booleans, flags that are not supported.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Whether a variable of this name is a feature flag.
pub(crate) fn is_known(name: &str) -> bool {
    FEATURE_FLAGS.iter().any(|flag| flag.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{FEATURE_FLAGS, FeatureFlags, names};

    #[test]
    fn the_table_is_complete_and_without_doubles() {
        let mut sorted: Vec<_> = FEATURE_FLAGS.iter().map(|flag| flag.name).collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 52);
        assert!(sorted.iter().all(|name| name.starts_with("FF_")));
        assert_eq!(FEATURE_FLAGS.iter().filter(|flag| flag.default).count(), 12);
    }

    #[test]
    fn configuration_beats_variables_beat_defaults() {
        let configuration = BTreeMap::from([(names::SCRIPT_SECTIONS.to_owned(), false)]);
        let flags = FeatureFlags::resolve(&configuration, |name| match name {
            names::SCRIPT_SECTIONS | names::HASH_CACHE_KEYS => Some("true".to_owned()),
            names::TIMESTAMPS => Some("0".to_owned()),
            _ => None,
        });
        assert!(!flags.is_on(names::SCRIPT_SECTIONS));
        assert!(flags.is_on(names::HASH_CACHE_KEYS));
        assert!(!flags.is_on(names::TIMESTAMPS));
        assert!(flags.is_on(names::USE_FASTZIP));
        assert_eq!(flags.changed(), [(names::TIMESTAMPS, false), (names::HASH_CACHE_KEYS, true)]);
        assert!(flags.warnings().is_empty());
        assert_eq!(flags.iter().count(), FEATURE_FLAGS.len());
    }

    #[test]
    fn unsupported_values_are_named() {
        let configuration = BTreeMap::from([("FF_OF_TOMORROW".to_owned(), true)]);
        let flags = FeatureFlags::resolve(&configuration, |name| match name {
            names::CONCRETE => Some("true".to_owned()),
            names::USE_FASTZIP => Some("false".to_owned()),
            _ => None,
        });
        assert_eq!(
            flags.warnings(),
            [
                "FF_USE_FASTZIP: false is not supported by this runner",
                "FF_CONCRETE: true is not supported by this runner",
                "FF_OF_TOMORROW: unknown feature flag in the runner's configuration",
            ]
        );
    }
}
