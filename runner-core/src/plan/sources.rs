//! From an empty place to a checked-out commit.

use runner_api::payload::{HookName, ObjectFormat};

use super::op::{Command, Condition, GitConfigEntry, Op, Origin};
use super::remote::Remote;
use super::rewrites::rewrites;
use super::stage::Body;
use super::steps::{commands, variables};
use super::submodules;
use super::whole::Context;
use crate::variables::{GitStrategy, SubmoduleStrategy, flags};

/// External configuration of git: credentials, rewrites, headers. The only file that holds the job token.
const EXTERNAL_CONFIG: &str = ".gitlab-runner.ext.conf";
/// The same name as a pattern, to find it among included files.
const EXTERNAL_CONFIG_PATTERN: &str = r"\.gitlab-runner\.ext\.conf$";
/// Template for new repositories.
const TEMPLATE: &str = "git-template";
/// What was fetched into a repository, in its own folder.
const FETCHED: &str = "runner-fetched";
/// Git's global configuration when URLs go without tokens.
const GLOBAL_CONFIG: &str = ".glr.gconf";

/// TLS settings of git, and the variables that hold their files' paths.
const TLS_FILES: [(&str, &str); 3] = [
    ("sslCAInfo", "CI_SERVER_TLS_CA_FILE"),
    ("sslCert", "CI_SERVER_TLS_CERT_FILE"),
    ("sslKey", "CI_SERVER_TLS_KEY_FILE"),
];

impl Context<'_> {
    pub(super) fn external_config(&self) -> String {
        self.temp(EXTERNAL_CONFIG)
    }

    /// What makes the repository in the current folder read the external configuration, in place of an older one.
    pub(super) fn include_external_config(&self) -> [String; 5] {
        ["config", "--replace-all", "include.path", &self.external_config(), EXTERNAL_CONFIG_PATTERN]
            .map(str::to_owned)
    }

    /// `git` with the arguments that every command for the network gets.
    pub(super) fn network_git(&self) -> Command {
        let command = Command::new(["git"]);
        match self.remote.origin().filter(|_| self.is_on(flags::USE_GIT_PROACTIVE_AUTH)) {
            Some(origin) => command.args(["-c".to_owned(), format!("http.{origin}.proactiveAuth=basic")]),
            None => command,
        }
    }

    fn user_agent(&self) -> [String; 2] {
        let program = self.inputs.program;
        ["-c".to_owned(), format!("http.userAgent=gitlab-runner {} {}", program.version, program.platform)]
    }

    fn uses_git(&self) -> bool {
        matches!(self.options.git_strategy, GitStrategy::Clone | GitStrategy::Fetch)
    }

    fn cleans_git_config(&self) -> bool {
        let default = !self.place.shared && self.options.git_strategy != GitStrategy::None;
        self.inputs.settings.clean_git_config.unwrap_or(default)
    }
}

pub(super) fn prepare_script(context: &Context<'_>) -> Body {
    Body::Ops(vec![
        Op::Greeting { via: context.place.hostname.clone() },
        // Whatever an earlier job left there, its variables above all, must not reach this one.
        Op::RemoveTree(context.dirs.temp_dir.clone()),
    ])
}

pub(super) fn get_sources(context: &Context<'_>) -> Body {
    if let SubmoduleStrategy::Invalid(_) = context.options.submodule_strategy {
        return Body::Refused("unknown GIT_SUBMODULE_STRATEGY".to_owned());
    }
    if context.options.submodule_paths.iter().any(|word| word == ":(exclude)") {
        let message = "GIT_SUBMODULE_PATHS: \":(exclude)\" must stand directly before a path";
        return Body::Refused(message.to_owned());
    }
    let mut ops = variables(context, true);
    ops.extend([export("GIT_TERMINAL_PROMPT", "0"), export("GCM_INTERACTIVE", "Never")]);
    ops.extend(seed_global_config(context));
    if !context.dirs.shared {
        ops.extend(tls_settings(context).into_iter().map(|(key, path, origin)| {
            Op::Run(Command::new(["git", "config", "--global", &format!("http.{origin}.{key}"), &path]))
        }));
    }
    if context.uses_git() {
        ops.extend(commands(Origin::PreClone, &context.inputs.settings.pre_get_sources_script));
        ops.extend(hook(context, &HookName::PreGetSources, Origin::PreClone));
    }
    if !context.options.lfs_skip_smudge {
        // Otherwise the checkout fetches large files one after another.
        ops.push(export("GIT_LFS_SKIP_SMUDGE", "1"));
    }
    ops.extend(strategy(context));
    ops.extend(checkout(context));
    ops.extend(submodules::update(context, context.uses_git()));
    if context.uses_git() {
        ops.extend(hook(context, &HookName::PostGetSources, Origin::PostClone));
        ops.extend(commands(Origin::PostClone, &context.inputs.settings.post_get_sources_script));
    }
    ops.extend(forget_credentials(&context.remote));
    Body::Ops(ops)
}

pub(super) fn clear_worktree(context: &Context<'_>) -> Body {
    let project = &context.dirs.project_dir;
    let clear = vec![
        Op::ChangeDir(project.clone()),
        Op::Run(Command::new(["git", "rm", "-rf", "--ignore-unmatch", "--quiet", "."])),
        Op::Run(Command::new(["git", "clean", "-ffdx", "-q"])),
    ];
    Body::Ops(vec![
        Op::notice("Deleting tracked and untracked files..."),
        Op::when(Condition::IsDir(project.clone()), clear),
    ])
}

/// Removes what a killed git, or a job, may have left in the repository's own folder.
pub(super) fn clean_repository(context: &Context<'_>) -> Vec<Op> {
    let git = format!("{}/.git", context.dirs.project_dir);
    let modules = context.options.submodule_strategy.is_on().then(|| format!("{git}/modules"));
    let leftovers = ["index.lock", "shallow.lock", "HEAD.lock", "hooks/post-checkout", "config.lock"];
    let mut ops: Vec<Op> = leftovers.iter().map(|name| Op::RemoveFile(format!("{git}/{name}"))).collect();
    if let Some(dir) = &modules {
        ops.extend(leftovers.iter().map(|name| Op::RemoveFilesBelow {
            dir: dir.clone(),
            name: name.rsplit('/').next().unwrap_or(name).to_owned(),
        }));
    }
    ops.push(Op::RemoveFilesBelow { dir: format!("{git}/refs"), name: "*.lock".to_owned() });
    if context.cleans_git_config() {
        ops.push(Op::RemoveFile(format!("{git}/config")));
        ops.push(Op::RemoveTree(format!("{git}/hooks")));
        ops.extend(modules.map(Op::CleanModules));
    }
    ops
}

/// Makes git forget the job's user; whether that works does not matter.
pub(super) fn forget_credentials(remote: &Remote) -> Option<Op> {
    let (scheme, _) =
        remote.parts().filter(|(scheme, _)| matches!(*scheme, "http://" | "https://" | "ssh://"))?;
    let host = remote.origin()?.strip_prefix(scheme)?;
    let protocol = scheme.trim_end_matches("://");
    let mut command = Command::new(["git", "credential", "reject"]).hidden();
    command.input = Some(format!("protocol={protocol}\nhost={host}\nusername=gitlab-ci-token\n\n"));
    command.may_fail = true;
    Some(Op::Run(command))
}

fn strategy(context: &Context<'_>) -> Vec<Op> {
    let project = &context.dirs.project_dir;
    let mut ops = match context.options.git_strategy {
        GitStrategy::None => {
            return vec![Op::notice("Skipping Git repository setup"), Op::MakeDir(project.clone())];
        }
        GitStrategy::Empty => {
            return vec![
                Op::notice("Skipping Git repository setup and creating an empty build directory"),
                Op::RemoveTree(project.clone()),
                Op::MakeDir(project.clone()),
            ];
        }
        GitStrategy::Fetch | GitStrategy::Clone => clean_repository(context),
    };
    ops.extend(configure(context));
    match context.options.git_strategy {
        GitStrategy::Clone => {
            ops.push(Op::RemoveTree(project.clone()));
            if context.is_on(flags::USE_GIT_NATIVE_CLONE) {
                ops.push(Op::If {
                    condition: Condition::GitAtLeast(2, 49),
                    then: native_clone(context),
                    otherwise: fetch(context),
                });
            } else {
                ops.extend(fetch(context));
            }
        }
        _ => ops.extend(fetch(context)),
    }
    ops
}

/// The template for new repositories, which makes them read the external configuration.
fn template(context: &Context<'_>) -> Vec<Op> {
    let template = context.temp(TEMPLATE);
    vec![
        Op::RemoveTree(template.clone()),
        Op::MakeDir(template.clone()),
        Op::WriteGitConfig {
            path: format!("{template}/config"),
            entries: vec![
                GitConfigEntry::plain("init", "defaultBranch", "none"),
                GitConfigEntry::plain("fetch", "recurseSubmodules", "false"),
                GitConfigEntry::plain("credential", "interactive", "never"),
                GitConfigEntry::plain("gc", "autoDetach", "false"),
                GitConfigEntry::plain("include", "path", context.external_config()),
            ],
        },
    ]
}

/// The external configuration.
fn configure(context: &Context<'_>) -> Vec<Op> {
    let mut ops = Vec::new();
    if context.inputs.settings.safe_directory_checkout.unwrap_or(!context.dirs.shared) {
        let project = &context.dirs.project_dir;
        ops.push(Op::Run(Command::new(["git", "config", "--global", "--add", "safe.directory", project])));
    }
    let correlation =
        context.inputs.job.correlation_id().filter(|_| context.is_on(flags::USE_GITALY_CORRELATION_ID));
    if let Some(id) = correlation {
        ops.push(Op::notice(format!("Gitaly correlation ID: {id}")));
    }
    ops.push(Op::WriteGitConfig {
        path: context.external_config(),
        entries: external_config(context, correlation),
    });
    ops.push(export("GLR_EXT_GIT_CONFIG_PATH", context.external_config()));
    ops
}

fn external_config(context: &Context<'_>, correlation: Option<&str>) -> Vec<GitConfigEntry> {
    let mut entries = Vec::new();
    if let Some(id) = correlation {
        entries.push(GitConfigEntry::plain("http", "extraHeader", format!("X-Gitaly-Correlation-ID: {id}")));
    }
    if context.is_on(flags::USE_GIT_BUNDLE_URIS) {
        entries.push(GitConfigEntry::plain("transfer", "bundleURI", "true"));
    }
    if context.dirs.shared {
        entries.extend(
            tls_settings(context)
                .into_iter()
                .map(|(key, path, origin)| GitConfigEntry::within("http", &origin, key, path)),
        );
    }
    entries.extend(rewrites(context));
    if context.is_on(flags::GIT_URLS_WITHOUT_TOKENS) {
        entries.extend(credential_helper(context));
    }
    entries
}

/// Answers git's question for a password with the job token from the environment.
fn credential_helper(context: &Context<'_>) -> Vec<GitConfigEntry> {
    let Some(origin) = context.remote.origin().filter(|_| context.remote.is_http()) else {
        return Vec::new();
    };
    let helper = r#"!f() { if [ "$1" = get ]; then echo "password=${CI_JOB_TOKEN}"; fi; }; f"#;
    vec![
        // An empty helper makes git forget the helpers of wider configurations.
        GitConfigEntry::within("credential", origin, "helper", ""),
        GitConfigEntry::within("credential", origin, "helper", helper),
        GitConfigEntry::within("credential", origin, "username", "gitlab-ci-token"),
    ]
}

/// A global configuration of the job's own that includes the user's, so that nothing is written into a home.
fn seed_global_config(context: &Context<'_>) -> Vec<Op> {
    if !context.is_on(flags::GIT_URLS_WITHOUT_TOKENS) {
        return Vec::new();
    }
    // Files that are not there are skipped by git itself.
    let paths = ["~/.gitconfig".to_owned(), "~/.config/git/config".to_owned(), context.external_config()];
    let entries = paths.map(|path| GitConfigEntry::plain("include", "path", path)).to_vec();
    let mut ops = vec![Op::WriteGitConfig { path: context.temp(GLOBAL_CONFIG), entries }];
    if !context.uses_git() {
        ops.push(Op::WriteGitConfig { path: context.external_config(), entries: credential_helper(context) });
    }
    ops
}

/// Path of the configuration that git is pointed to when URLs go without tokens.
pub(super) fn global_config(context: &Context<'_>) -> Option<String> {
    context.is_on(flags::GIT_URLS_WITHOUT_TOKENS).then(|| context.temp(GLOBAL_CONFIG))
}

/// Key, path of the file, and the part of the remote's URL that it is for.
fn tls_settings(context: &Context<'_>) -> Vec<(&'static str, String, String)> {
    let Some(origin) = context.remote.origin().filter(|_| context.remote.is_http()) else {
        return Vec::new();
    };
    TLS_FILES
        .iter()
        .filter(|(_, variable)| context.variables.value(variable).is_some_and(|content| !content.is_empty()))
        .filter_map(|(key, variable)| Some((*key, context.variables.get(variable)?, origin.to_owned())))
        .collect()
}

fn fetch(context: &Context<'_>) -> Vec<Op> {
    let git_info = &context.inputs.job.git_info;
    let project = &context.dirs.project_dir;
    let depth = git_info.depth;
    let title = if depth > 0 {
        format!("Fetching changes with git depth set to {depth}...")
    } else {
        "Fetching changes...".to_owned()
    };
    let mut init = Command::new(["git", "init", project, "--template", &context.temp(TEMPLATE)]);
    match &git_info.repo_object_format {
        None | Some(ObjectFormat::Sha1) => {}
        Some(format) if format.as_str().is_empty() => {}
        Some(format) => init = init.args(["--object-format", format.as_str()]),
    }
    let connect = Op::If {
        condition: Condition::Succeeds(
            Command::new(["git", "remote", "add", "origin", &context.remote.url]).hidden(),
        ),
        then: vec![Op::notice("Created fresh repository.")],
        // A repository that was there before has not read the template.
        otherwise: vec![
            Op::Run(Command::new(["git", "remote", "set-url", "origin", &context.remote.url])),
            Op::Run(Command::new(["git"]).args(context.include_external_config())),
        ],
    };
    let begin = Op::If {
        condition: is_connected(context),
        // The line is git's own; it would find nothing to do.
        then: vec![
            Op::plain(format!("Reinitialized existing Git repository in {project}/.git/")),
            Op::ChangeDir(project.clone()),
        ],
        otherwise: [template(context), vec![Op::Run(init), Op::ChangeDir(project.clone()), connect]].concat(),
    };
    let mut ops = vec![Op::notice(title), begin];
    let fetch = context
        .network_git()
        .args(context.user_agent())
        .args(["fetch", "origin", "--no-recurse-submodules"])
        .args(git_info.refspecs.iter().cloned());
    let extra = context.options.fetch_extra_flags.iter().cloned();
    let fetch = if depth > 0 {
        Op::Run(fetch.args(["--depth".to_owned(), depth.to_string()]).args(extra))
    } else {
        Op::If {
            condition: Condition::IsFile(format!("{project}/.git/shallow")),
            then: vec![Op::Run(fetch.clone().args(["--unshallow"]).args(extra.clone()))],
            otherwise: vec![Op::Run(fetch.args(extra))],
        }
    };
    ops.extend(unless_fetched(context, fetch));
    ops
}

/// Whether there is a repository that a job before has left as this one wants it: most often that was one of the same project.
fn is_connected(context: &Context<'_>) -> Condition {
    let project = &context.dirs.project_dir;
    let settings = r"^(include\.path|remote\.origin\.url)$";
    Condition::All(vec![
        Condition::IsFile(format!("{project}/.git/config")),
        Condition::Prints(
            Command::new(["git", "-C", project, "config", "--local", "--get-regexp", settings]),
            format!("include.path {}\nremote.origin.url {}", context.external_config(), context.remote.url),
        ),
    ])
}

/// Leaves the fetch out where it would bring nothing new: the server's repository does not change, and the same was fetched
/// into this one and is still there.
fn unless_fetched(context: &Context<'_>, fetch: Op) -> Vec<Op> {
    let git_info = &context.inputs.job.git_info;
    let names: Option<Vec<&str>> = git_info
        .refspecs
        .iter()
        .map(|spec| spec.split_once(':').map(|(_, name)| name).filter(|name| !name.contains('*')))
        .collect();
    // Other flags may bring more than these refs.
    let plain =
        context.inputs.settings.sources_stay && context.options.fetch_extra_flags == ["--prune", "--quiet"];
    let Some(names) = names.filter(|names| plain && !names.is_empty()) else { return vec![fetch] };
    let note = format!("{}/.git/{FETCHED}", context.dirs.project_dir);
    let what = format!("{} {}", git_info.depth, git_info.refspecs.join(" "));
    // A ref that git has packed is no file any more, and is fetched again.
    let refs = names.iter().map(|name| format!("{}/.git/{name}", context.dirs.project_dir));
    let refs = refs.map(|path| Condition::Holds(path, git_info.sha.clone()));
    let known =
        Condition::All(std::iter::once(Condition::Holds(note.clone(), what.clone())).chain(refs).collect());
    let anew = vec![Op::RemoveFile(note.clone()), fetch, Op::WriteFile { path: note, text: what }];
    vec![Op::If { condition: known, then: Vec::new(), otherwise: anew }]
}

fn native_clone(context: &Context<'_>) -> Vec<Op> {
    let git_info = &context.inputs.job.git_info;
    let (project, name) = (&context.dirs.project_dir, git_info.ref_name.as_str());
    let mut title = "Cloning repository".to_owned();
    let mut clone = context
        .network_git()
        .args(context.user_agent())
        // The template's own include takes effect only once there is a repository.
        .args(["-c".to_owned(), format!("include.path={}", context.external_config())])
        .args([
            "clone",
            "--no-checkout",
            &context.remote.url,
            project,
            "--template",
            &context.temp(TEMPLATE),
        ]);
    if git_info.depth > 0 {
        clone = clone.args(["--depth".to_owned(), git_info.depth.to_string()]);
    }
    if !name.is_empty() {
        title.push_str(&format!(" for {name}"));
        if git_info.depth > 0 {
            title.push_str(&format!(" with git depth set to {}", git_info.depth));
        }
        clone = clone.args([if name.starts_with("refs/") { "--revision" } else { "--branch" }, name]);
    }
    let mut ops = template(context);
    ops.extend([
        Op::plain("Git version at least \"2.49\""),
        Op::notice(format!("{title}...")),
        Op::Run(clone.args(context.options.clone_extra_flags.iter().cloned())),
        Op::ChangeDir(project.clone()),
    ]);
    ops
}

fn checkout(context: &Context<'_>) -> Vec<Op> {
    if !context.options.git_checkout || !context.uses_git() {
        return vec![Op::notice("Skipping Git checkout")];
    }
    let git_info = &context.inputs.job.git_info;
    let short: String = git_info.sha.chars().take(8).collect();
    let mut checkout = context.network_git().args(["-c", "submodule.recurse=false"]);
    checkout = checkout.args(["checkout", "-f", "-q", git_info.sha.as_str()]);
    let mut ops = vec![
        Op::notice(format!("Checking out {short} as detached HEAD (ref is {})...", git_info.ref_name)),
        Op::Run(checkout),
    ];
    if !context.options.clean_flags.is_empty() {
        ops.push(Op::Run(Command::new(["git", "clean"]).args(context.options.clean_flags.iter().cloned())));
    }
    if !context.options.lfs_skip_smudge {
        ops.push(if_lfs(vec![Op::Run(context.network_git().args(["lfs", "pull"])), Op::plain("")]));
    }
    ops
}

/// Only where git's extension for large files is installed. Git, which would look for commands with a similar name, is not asked where
/// there is none.
pub(super) fn if_lfs(then: Vec<Op>) -> Op {
    let answers = Condition::Succeeds(Command::new(["git", "lfs", "version"]).hidden());
    Op::when(Condition::All(vec![Condition::IsGitCommand("lfs".to_owned()), answers]), then)
}

fn hook(context: &Context<'_>, name: &HookName, origin: Origin) -> Vec<Op> {
    let hooks = context.inputs.job.hooks.iter().filter(|hook| hook.name == *name);
    hooks.flat_map(|hook| commands(origin, &hook.script)).collect()
}

fn export(key: &str, value: impl Into<String>) -> Op {
    Op::Export { key: key.to_owned(), value: value.into() }
}
