//! `reset-token`: new tokens for runners of the configuration.

use super::{Context, client, select::Selector};
use crate::args::ResetTokenArgs;
use crate::config::Edit;
use crate::error::{CliError, Exit};

/// Exchanges the token of each chosen entry and saves it at once: a token that was exchanged and lost is gone for good.
pub(super) async fn run(context: &Context, arguments: &ResetTokenArgs) -> Result<Exit, CliError> {
    let chosen = !arguments.all_runners;
    let selector = Selector {
        name: arguments.name.as_deref().filter(|_| chosen),
        url: arguments.url.as_deref().filter(|_| chosen),
        token: None,
        id: arguments.id.filter(|_| chosen),
    };
    if selector.is_empty() && chosen {
        return Err(CliError::Usage(
            "name the runner with --name, or --url and --id, or say --all-runners".into(),
        ));
    }
    let loaded = context.load()?;
    for entry in selector.apply(context, &loaded)? {
        let client = client::for_entry(&context.host, &entry)?;
        let id = loaded.config.runners.get(entry.position).map_or(0, |runner| runner.id);
        let answer = match &arguments.pat {
            Some(pat) => client.reset_token_by_id(id, pat).await,
            None => client.reset_token(&entry.identity.token).await,
        };
        let answer = answer.map_err(|source| CliError::Server {
            what: format!("the token of {} was not exchanged", entry.identity.name),
            source,
        })?;
        let mut file = Edit::open(&context.config)?;
        file.set(entry.position, "token", answer.token.expose())?;
        file.set_time(entry.position, "token_obtained_at", std::time::SystemTime::now())?;
        file.set_expiry(entry.position, answer.token_expires_at.as_deref())?;
        file.save()?;
        tracing::info!(name = entry.identity.name, "the token was exchanged");
    }
    Ok(Exit::Success)
}
