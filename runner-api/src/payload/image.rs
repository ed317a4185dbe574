//! `image` and `services`.

use super::lenient::{Fields, Object, lenient_text};
use super::variables::JobVariable;
use crate::text_enum::text_enum;

/// An image to run the job in, or a service beside it.
///
/// ```
/// use runner_api::payload::PullPolicy;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "image": {"name": "alpine", "entrypoint": null, "pull_policy": ["always", "soon"]}}"#,
/// )?;
/// let image = job.image.unwrap();
/// assert_eq!(image.name, "alpine");
/// assert_eq!(image.pull_policy, [PullPolicy::Always, PullPolicy::Other("soon".to_owned())]);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The image's reference, before variable expansion.
    pub name: String,
    /// Names under which a service is reached, separated by spaces or commas.
    pub alias: String,
    /// Replaces the image's entrypoint unless empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's command unless empty.
    pub command: Vec<String>,
    /// Ports for the web terminal's proxy.
    pub ports: Vec<Port>,
    /// Variables of this image only.
    pub variables: Vec<JobVariable>,
    /// When to pull the image, to be tried in this order.
    pub pull_policy: Vec<PullPolicy>,
    /// Options of single executors.
    pub executor_opts: ExecutorOptions,
}

impl Object for Image {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            name: fields.take("name"),
            alias: fields.take("alias"),
            entrypoint: fields.take("entrypoint"),
            command: fields.take("command"),
            ports: fields.take("ports"),
            variables: fields.take("variables"),
            pull_policy: fields.take("pull_policy"),
            executor_opts: fields.take("executor_opts"),
        }
    }
}

/// A port of an image.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "services": [{"name": "web", "ports": [{"number": 80, "protocol": "http"}]}]}"#,
/// )?;
/// assert_eq!(job.services[0].ports[0].number, 80);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// The port number.
    pub number: u64,
    /// `http` or `https`.
    pub protocol: String,
    /// A name to reach it by.
    pub name: String,
}

impl Object for Port {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { number: fields.take("number"), protocol: fields.take("protocol"), name: fields.take("name") }
    }
}

/// Options of an image for single executors.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "image": {"executor_opts": {"docker": {"user": 1000, "cpus": 2}}}}"#,
/// )?;
/// let options = job.image.unwrap().executor_opts;
/// assert_eq!(options.docker.user, "1000");
/// assert_eq!(options.unknown, ["docker.cpus"]);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutorOptions {
    /// For Docker.
    pub docker: DockerOptions,
    /// For Kubernetes.
    pub kubernetes: KubernetesOptions,
    /// Options that this version does not know. A runner must refuse a job that has any: the user asked for something
    /// that would silently not happen.
    pub unknown: Vec<String>,
}

impl Object for ExecutorOptions {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let mut unknown = fields.unknown(&["docker", "kubernetes"]);
        let docker: Known<DockerOptions> = fields.take("docker");
        let kubernetes: Known<KubernetesOptions> = fields.take("kubernetes");
        unknown.extend(docker.unknown.iter().map(|key| format!("docker.{key}")));
        unknown.extend(kubernetes.unknown.iter().map(|key| format!("kubernetes.{key}")));
        Self { docker: docker.options, kubernetes: kubernetes.options, unknown }
    }
}

/// Options beside the keys that were not understood.
#[derive(Default)]
struct Known<T> {
    options: T,
    unknown: Vec<String>,
}

/// `image: docker:` options.
///
/// ```
/// let options = runner_api::payload::DockerOptions::default();
/// assert_eq!(options.platform, "");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DockerOptions {
    /// The platform to pull, such as `linux/arm64`.
    pub platform: String,
    /// The user to run as, with an optional group.
    pub user: String,
}

impl Object for Known<DockerOptions> {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            unknown: fields.unknown(&["platform", "user"]),
            options: DockerOptions { platform: fields.take("platform"), user: fields.take("user") },
        }
    }
}

/// `image: kubernetes:` options.
///
/// ```
/// let options = runner_api::payload::KubernetesOptions::default();
/// assert_eq!(options.user, "");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubernetesOptions {
    /// The user id to run as, with an optional group id.
    pub user: String,
}

impl Object for Known<KubernetesOptions> {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { unknown: fields.unknown(&["user"]), options: KubernetesOptions { user: fields.take("user") } }
    }
}

text_enum! {
    /// When an image is pulled.
    ///
    /// ```
    /// use runner_api::payload::PullPolicy;
    /// assert_eq!(PullPolicy::from("if-not-present"), PullPolicy::IfNotPresent);
    /// ```
    pub enum PullPolicy {
        /// Each time.
        Always = "always",
        /// Only when it is not there.
        IfNotPresent = "if-not-present",
        /// Not at all.
        Never = "never",
    }
}

lenient_text!(PullPolicy);
