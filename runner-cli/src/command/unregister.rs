//! `unregister`: removes runners from GitLab, then from the configuration.

use runner_api::{Error, RunnerCredentials, RunnerToken};

use super::{Context, client, select::Selector};
use crate::args::UnregisterArgs;
use crate::config::{Edit, Loaded, Resolved, Tls};
use crate::error::{CliError, Exit};

/// An entry leaves the configuration only when GitLab confirmed.
pub(super) async fn run(context: &Context, arguments: &UnregisterArgs) -> Result<Exit, CliError> {
    let selector = Selector {
        name: arguments.name.as_deref(),
        url: arguments.url.as_deref().filter(|_| !arguments.all_runners),
        token: arguments.token.as_ref().filter(|_| !arguments.all_runners),
        id: None,
    };
    if selector.is_empty() && !arguments.all_runners {
        return Err(CliError::Usage(
            "name the runner with --name, or --url and --token, or say --all-runners".into(),
        ));
    }
    let loaded = context.load()?;
    if let (None, Some(url), Some(token)) = (selector.name, selector.url, selector.token)
        && selector.apply(context, &loaded).is_err()
    {
        return foreign(context, url, &RunnerToken::new(token.expose())).await;
    }
    let entries =
        if arguments.all_runners { all(context, &loaded) } else { selector.apply(context, &loaded)? };
    let mut done = Vec::new();
    let mut failed = 0;
    for entry in &entries {
        let client = client::for_entry(&context.host, entry)?;
        match from_server(&client, &entry.identity.token, &entry.identity.system_id).await {
            Ok(()) => {
                tracing::info!(name = entry.identity.name, "unregistered");
                done.push(entry.position);
            }
            Err(error) => {
                tracing::error!(name = entry.identity.name, "not unregistered: {error}");
                failed += 1;
            }
        }
    }
    if !done.is_empty() {
        let mut file = Edit::open(&context.config)?;
        file.remove(&done)?;
        file.save()?;
    }
    match failed {
        0 => Ok(Exit::Success),
        _ => Err(CliError::Failed(format!(
            "{failed} of {} runners were not unregistered and stay",
            entries.len()
        ))),
    }
}

/// Removes a runner, or this manager of a runner that was created in GitLab.
pub(super) async fn from_server(
    client: &runner_api::Client,
    token: &RunnerToken,
    system_id: &str,
) -> Result<(), Error> {
    if token.is_created_in_gitlab() {
        client.unregister_manager(&RunnerCredentials::new(token.clone()).with_system_id(system_id)).await
    } else {
        client.unregister(token).await
    }
}

/// A runner that is not in the configuration.
async fn foreign(context: &Context, url: &str, token: &RunnerToken) -> Result<Exit, CliError> {
    let client = client::build(&context.host, url, &Tls::default(), "")?;
    let refused = |source| CliError::Server { what: "the runner was not unregistered".to_owned(), source };
    from_server(&client, token, context.system_id().as_str()).await.map_err(refused)?;
    tracing::info!("unregistered; it was not in {}", context.config.display());
    Ok(Exit::Success)
}

/// All entries that can be resolved; the others are said and stay.
fn all(context: &Context, loaded: &Loaded) -> Vec<Resolved> {
    let system_id = context.system_id();
    (0..loaded.config.runners.len())
        .filter_map(|position| match loaded.contact(position, &system_id, &context.host.environment) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::error!("{error}");
                None
            }
        })
        .collect()
}
