//! Caches: restored before the steps, saved after them.

use runner_api::payload::CacheSpec;

use super::artifacts::{applies, helper, with_helper};
use super::cache_key::{CacheKey, clean_path, sanitize};
use super::op::{Command, Condition, Op};
use super::stage::Body;
use super::steps::enter;
use super::whole::Context;
use crate::variables::flags;

/// What a cache's policy allows.
struct Policy {
    pull: bool,
    push: bool,
}

pub(super) fn restore(context: &Context<'_>) -> Body {
    each(context, |spec| restore_one(context, spec), |_| true)
}

pub(super) fn archive(context: &Context<'_>, success: bool) -> Body {
    each(context, |spec| archive_one(context, spec), |spec| applies(spec.when.as_ref(), success))
}

/// All caches with something in them that are wanted. A job whose policy does not exist is refused.
fn each(
    context: &Context<'_>,
    one: impl Fn(&CacheSpec) -> Result<Vec<Op>, String>,
    wanted: impl Fn(&CacheSpec) -> bool,
) -> Body {
    let mut ops = Vec::new();
    for spec in context.inputs.job.cache.iter().filter(|spec| spec.untracked || !spec.paths.is_empty()) {
        if !wanted(spec) {
            continue;
        }
        match one(spec) {
            Ok(more) => ops.extend(more),
            Err(message) => return Body::Refused(message),
        }
    }
    if ops.is_empty() {
        return Body::Ops(ops);
    }
    Body::Ops(enter(context).into_iter().chain(ops).collect())
}

fn restore_one(context: &Context<'_>, spec: &CacheSpec) -> Result<Vec<Op>, String> {
    let mut ops = Vec::new();
    let Some(key) = usable(context, &raw_key(context, spec), "extraction", &mut ops) else { return Ok(ops) };
    if !policy(context, spec, &key)?.pull {
        ops.push(Op::notice(format!("Not downloading cache {} due to policy", key.human)));
        return Ok(ops);
    }
    let mut keys = vec![key];
    keys.extend(fallbacks(context, spec, &mut ops));
    ops.push(with_helper(context, "Extracting cache", chain(context, spec, &keys)));
    Ok(ops)
}

/// Tries one key after the other until one works. That none works is no failure.
fn chain(context: &Context<'_>, spec: &CacheSpec, keys: &[CacheKey]) -> Vec<Op> {
    let Some((key, rest)) = keys.split_first() else { return Vec::new() };
    let extract = helper(context, "cache-extractor").args([
        "--file".to_owned(),
        file(context, &key.path),
        "--timeout".to_owned(),
        context.options.cache_request_timeout.to_string(),
    ]);
    let mut failed = vec![Op::warning("Failed to extract cache")];
    if context.is_on(flags::CLEAN_UP_FAILED_CACHE_EXTRACT) {
        for path in &spec.paths {
            let path = context.variables.expand(path);
            if let Some(inside) = inside(context, &path) {
                failed.extend([Op::plain(format!("Removing {path}")), Op::RemoveTree(inside)]);
            }
        }
    }
    failed.extend(chain(context, spec, rest));
    vec![
        Op::notice(format!("Checking cache for {}...", key.human)),
        Op::If {
            condition: Condition::Succeeds(extract),
            then: vec![Op::notice("Successfully extracted cache")],
            otherwise: failed,
        },
    ]
}

fn archive_one(context: &Context<'_>, spec: &CacheSpec) -> Result<Vec<Op>, String> {
    let mut ops = Vec::new();
    let Some(key) = usable(context, &raw_key(context, spec), "archiving", &mut ops) else { return Ok(ops) };
    if !policy(context, spec, &key)?.push {
        ops.push(Op::notice(format!("Not uploading cache {} due to policy", key.human)));
        return Ok(ops);
    }
    let create = vec![
        Op::notice(format!("Creating cache {}...", key.human)),
        Op::If {
            condition: Condition::Succeeds(archiver(context, spec, &key)),
            then: vec![Op::notice("Created cache")],
            otherwise: vec![Op::warning("Failed to create cache")],
        },
    ];
    ops.push(with_helper(context, "Creating cache", create));
    Ok(ops)
}

fn archiver(context: &Context<'_>, spec: &CacheSpec, key: &CacheKey) -> Command {
    let mut command = helper(context, "cache-archiver").args(["--file".to_owned(), file(context, &key.path)]);
    if let Some(alternate) = &key.alternate {
        command = command.args(["--alternate-file".to_owned(), file(context, alternate)]);
    }
    let timeout = context.options.cache_request_timeout.to_string();
    command = command.args(["--timeout", &timeout]);
    for path in &spec.paths {
        command = command.args(["--path", path]);
    }
    if spec.untracked {
        command = command.args(["--untracked"]);
    }
    command.args(["--metadata".to_owned(), serde_json::json!({ "cachekey": key.human }).to_string()])
}

/// The cache's key, expanded; without one, named after job and ref.
fn raw_key(context: &Context<'_>, spec: &CacheSpec) -> String {
    if spec.key.is_empty() {
        let job = context.inputs.job;
        return clean_path(&format!("{}/{}", job.job_info.name, job.git_info.ref_name));
    }
    context.variables.expand(&spec.key)
}

/// A usable key, or the reason why there is none as a line for the log.
fn usable(context: &Context<'_>, raw: &str, action: &str, ops: &mut Vec<Op>) -> Option<CacheKey> {
    match CacheKey::new(raw, context.is_on(flags::HASH_CACHE_KEYS)) {
        Ok(key) => {
            ops.extend(key.warning.as_deref().map(Op::warning));
            Some(key)
        }
        Err(reason) => {
            ops.push(Op::notice(format!("Skipping cache {action} due to {reason}")));
            None
        }
    }
}

/// Further keys to try: the cache's own, then the job's.
fn fallbacks(context: &Context<'_>, spec: &CacheSpec, ops: &mut Vec<Op>) -> Vec<CacheKey> {
    let mut raw: Vec<String> = spec.fallback_keys.iter().map(|key| context.variables.expand(key)).collect();
    if let Some(global) = context.variables.get("CACHE_FALLBACK_KEY").filter(|key| !key.is_empty()) {
        // Caches of protected branches must not be readable by naming them here.
        let clean = sanitize(&global).unwrap_or_default();
        if clean.trim_end_matches(|c: char| c == '.' || c.is_whitespace()).ends_with("-protected") {
            ops.push(Op::warning(format!(
                "CACHE_FALLBACK_KEY \"{global}\" not allowed to end in \"-protected\""
            )));
        } else {
            raw.push(global);
        }
    }
    raw.iter().filter_map(|key| usable(context, key, "extraction", ops)).collect()
}

fn policy(context: &Context<'_>, spec: &CacheSpec, key: &CacheKey) -> Result<Policy, String> {
    let text = context.variables.expand(spec.policy.as_ref().map_or("", |policy| policy.as_str()));
    match text.as_str() {
        "" | "pull-push" => Ok(Policy { pull: true, push: true }),
        "pull" => Ok(Policy { pull: true, push: false }),
        "push" => Ok(Policy { pull: false, push: true }),
        other => Err(format!("unknown cache policy {other} for {}", key.human)),
    }
}

/// The archive of a key; its name does not depend on the format.
fn file(context: &Context<'_>, key: &str) -> String {
    format!("{}/{key}/cache.zip", context.dirs.cache_dir)
}

/// The absolute form of a path, if it lies below the project's folder.
fn inside(context: &Context<'_>, path: &str) -> Option<String> {
    let project = &context.dirs.project_dir;
    let absolute = if path.starts_with('/') { path.to_owned() } else { format!("{project}/{path}") };
    let clean = format!("/{}", clean_path(&absolute));
    clean
        .strip_prefix(project.as_str())
        .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
        .then_some(clean)
}
