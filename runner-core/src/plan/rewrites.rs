//! Which URLs git replaces by ones with credentials.

use super::op::{GitConfigEntry, UserInfo};
use super::remote::http_base;
use super::whole::Context;
use crate::variables::flags;

/// Rewrites for the external configuration, each once.
///
/// Every replaced beginning is either a whole repository's URL or ends where the host ends. A beginning without its final
/// slash would also match hosts that merely begin with the instance's name, and hand them the job token.
pub(super) fn rewrites(context: &Context<'_>) -> Vec<GitConfigEntry> {
    let with_tokens = !context.is_on(flags::GIT_URLS_WITHOUT_TOKENS);
    let user = if with_tokens { UserInfo::JobToken } else { UserInfo::None };
    let mut list = Vec::new();
    if with_tokens && context.remote.user != UserInfo::None {
        list.extend(rewrite(context.remote.user, &context.remote.url, &context.remote.url));
    }
    if let Some(base) = http_base(context.inputs).map(|base| format!("{base}/")) {
        if with_tokens {
            list.extend(rewrite(user, &base, &base));
        }
        if context.options.submodule_force_https {
            list.extend(ssh_beginnings(context).iter().filter_map(|ssh| rewrite(user, &base, ssh)));
        }
        if let Some(origin) = context.remote.origin().filter(|_| with_tokens && context.remote.is_http()) {
            let origin = format!("{origin}/");
            list.extend(rewrite(user, &origin, &origin));
        }
    }
    let mut unique: Vec<GitConfigEntry> = Vec::new();
    for entry in list {
        if !unique.contains(&entry) {
            unique.push(entry);
        }
    }
    unique
}

/// `used` with credentials in place of `instead_of`; nothing if `used` is no URL.
fn rewrite(user: UserInfo, used: &str, instead_of: &str) -> Option<GitConfigEntry> {
    let at = used.find("://")? + 3;
    Some(GitConfigEntry::Rewrite {
        scheme: used[..at].to_owned(),
        user,
        rest: used[at..].to_owned(),
        instead_of: instead_of.to_owned(),
    })
}

/// How URLs of the instance begin that are fetched by SSH.
fn ssh_beginnings(context: &Context<'_>) -> Vec<String> {
    let variable = |key| context.variables.get(key).filter(|text| !text.is_empty());
    let Some(host) = variable("CI_SERVER_SHELL_SSH_HOST").or_else(|| variable("CI_SERVER_HOST")) else {
        return Vec::new();
    };
    match variable("CI_SERVER_SHELL_SSH_PORT").filter(|port| port != "22") {
        None => vec![format!("git@{host}:"), format!("ssh://git@{host}/")],
        Some(port) => vec![format!("ssh://git@{host}:{port}/")],
    }
}
